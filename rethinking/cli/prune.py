"""Deleting runs that nothing needs, and what killed processes have left."""

import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import click

from rethinking import catalog
from rethinking.cli.options import checkpoints_option, confirmed, need_folder, out_option, runs_option
from rethinking.errors import InputError
from rethinking.files import TEXT, state_of
from rethinking.streams import plain


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--unreferenced", is_flag=True, help="Also runs that no figure needs or was drawn from, as of `run`.")
@click.option("--weights", is_flag=True, help="Delete the weights of complete runs, and nothing else.")
@out_option
@runs_option
@checkpoints_option
def prune(yes: bool, unreferenced: bool, weights: bool, out: str, runs_dir: str, checkpoints: str | None) -> None:
    """Delete unfinished runs of figures, and what killed processes left half written, asking first.

    A run that no figure needs or was drawn from, and no kept probe measures, is left alone unless --unreferenced is
    given; the figures are those in the --out folder when it is deleted, not only when you are asked. A run that
    runs/ARCHIVE names, one a line, is always kept. So is one that is being made, or has a link or a file that is none
    of a run in its folder, and with its weights. A checkpoint goes, too, whose run's folder is
    gone, and which is older than an hour and of no other folder's run; one of a run on ImageNet stays.
    """
    from rethinking.record import Runs

    need_folder(runs_dir, "--runs")
    runs = Runs(runs_dir, checkpoints)
    needed = _Needed(runs, Path(out))
    doomed: list[tuple[Any, str]] = []
    swept, left = [], Counter[str]()
    if not weights:
        needed.look()
    for found in runs.survey():
        shown = plain(found.path.name)
        if found.link:
            click.echo(f"  kept, {plain(str(found.link))} is a link: {shown}")
        elif not found.run:
            click.echo(f"  kept, not a run: {shown}")
        elif found.busy:
            click.echo(f"  kept, a process is making it: {shown}")
        else:
            swept += [found] if not weights and (found.temporary or found.stale) else []
            kind = ("weights" if found.complete and found.weights else "") if weights else needed.kind(found)
            if "unreferenced" in kind and not unreferenced:
                left[kind] += 1
            elif kind and found.foreign:
                click.echo(f"  kept, {plain(str(found.foreign))} is no file of a run: {shown}")
            elif kind:
                doomed.append((found, kind))
                click.echo(f"  {kind:<13} {shown}")
    strays = [] if weights else runs.strays(Path(out))
    for path in strays:
        click.echo(f"  {'checkpoint' if path.is_dir() else 'half-written':<13} {plain(path.name)}")
    for kind, count in left.items():
        click.echo(f"  kept: {count} runs, {kind}: give --unreferenced")
    what = "the weights of " if weights else ""
    orphans = [path for path in strays if path.is_dir()]
    files = sum(len(found.temporary) for found in swept) + len(strays) - len(orphans)
    stale = sum(found.stale for found in swept)
    litter = [f"{files} half-written files" if files else "", f"{stale} leases of dead processes" if stale else ""]
    half = " and ".join(filter(None, litter))

    def counted(runs: int, checkpoints: int) -> str:
        told = [f"{what}{runs} runs" if doomed else "", half]
        return " and ".join(filter(None, [*told, f"{checkpoints} checkpoints without a run" if orphans else ""]))

    question = counted(len(doomed), len(orphans))
    if not question:
        click.echo("nothing to prune")
    elif yes or confirmed(f"delete {question}?"):
        runs.writable()
        done = 0
        for found in swept:
            runs.delete(found, only="temporary")
        for path in strays:
            reason = runs.sweep(path)
            if reason:
                click.echo(f"  kept, {reason}: {plain(path.name)}")
                orphans = [each for each in orphans if each != path]
        for found, kind in doomed:
            only = "weights" if weights else "run"
            reason = runs.delete(found, only, partial(needed.meanwhile, found, kind))
            done += not reason
            if reason:
                click.echo(f"  kept, {plain(reason)}: {plain(found.path.name)}")
        click.echo(f"deleted {counted(done, len(orphans)) or 'nothing'}")


class _Needed:
    """The runs that a figure needs at any scale, or was drawn from, or that runs/ARCHIVE names, as of the last `look`.

    Args:
        runs: the records. out: the folder of the drawn figures.
    """

    def __init__(self, runs: Any, out: Path):
        self._runs, self._out = runs, out
        self._listed: tuple[Any, frozenset[str]] = (None, frozenset())
        self._drawn: dict[Path, tuple[Any, frozenset[str]]] = {}
        self._specs: frozenset[str] | None = None
        self.archived, self.kept = frozenset[str](), frozenset[str]()

    def look(self) -> None:
        """Read again what has changed, the drawn figures or the archive list.

        Raises:
            InputError: there is no folder of drawn figures; one of them, or the list, is damaged; the list names a run
            that is not there.
        """
        from rethinking import figures as fig

        archived = self._archive()
        try:
            paths = [Path(entry.path) for entry in os.scandir(self._out) if entry.name.endswith(".json")]
        except OSError as error:
            raise InputError(
                f"the drawn figures in {self._out} cannot be looked at ({error.strerror}), and the runs that they were "
                "drawn from are kept: name their folder with --out, or make it where there are none"
            ) from None
        drawn = {}
        for path in paths:
            state, before = _state(path), self._drawn.get(path)
            drawn[path] = before if before and before[0] == state else (state, frozenset(fig.drawn(path)["runs"]))
        if self._specs is not None and archived is self.archived and drawn == self._drawn:
            return  # as on the last look, of which there is one for every run
        self.archived, self._drawn = archived, drawn
        self._specs = self._specs or _declared()
        kept = self._specs.union(self.archived, *(runs for _, runs in drawn.values()))
        self.kept = kept | self._runs.measured(kept)

    def _archive(self) -> frozenset[str]:
        from rethinking.record import archived
        from rethinking.record.archive import LIST
        from rethinking.record.digests import LIST as DIGESTS

        state = [_state(self._runs.root / name) for name in (LIST, DIGESTS)]
        if self._listed[0] != state:
            names = archived(self._runs.root)
            there = set(os.listdir(self._runs.root)) if names else set()
            gone = sorted(names - there)
            if gone:
                told = f"{self._runs.root / LIST} names {gone[0]!r}, and there is no such run"
                raise InputError(f"{told}: bring it back, or mend the line")
            self._listed = state, names
        return self._listed[1]

    def kind(self, found: Any) -> str:
        """Why a run may be deleted: it is unfinished, unreferenced or both; empty text where it may not."""
        name = found.path.name
        if name in self.archived or (found.again and found.complete):
            return ""
        words = [*([] if found.complete else ["unfinished"]), *([] if name in self.kept else ["unreferenced"])]
        return ", ".join(words)

    def meanwhile(self, found: Any, kind: str) -> str:
        """Why a run is not to be deleted any more, after another look; empty text where it still is of that kind."""
        self.look()
        return "" if self.kind(found) == kind else "it is needed or archived meanwhile"


def _state(path: Path) -> tuple[int | str, ...] | None:
    """What changes with a file; None where it is not there."""
    try:
        return state_of(path, TEXT)
    except FileNotFoundError:
        return None


def _declared() -> frozenset[str]:
    """The runs that a figure needs at any scale, those that its probes are measured on among them."""
    from rethinking import figures as fig
    from rethinking.engines.local import resolve_precision
    from rethinking.spec import ProbeSpec

    kept = set()
    for name, entry in catalog.entries("figures").items():
        for scale in fig.SCALES:
            for model in entry.constants["MODELS"]:
                chosen = fig.setting(name, scale, model, None, resolve_precision("auto", "cpu"))
                for spec in fig.unique(fig.specs(name, chosen)):
                    kept |= {spec.run_id, spec.run.run_id} if isinstance(spec, ProbeSpec) else {spec.run_id}
    return frozenset(kept)
