"""The records on disk: pruned, bound, verified."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from rethinking import catalog
from rethinking.cli.options import (
    FilePath,
    checkpoints_option,
    data_option,
    device_option,
    json_option,
    out_option,
    print_json,
    reading,
    runs_option,
)
from rethinking.errors import InputError
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

    A run that no figure needs or was drawn from is left alone unless --unreferenced is given. What is being made, and
    what has a link in it, is always left alone. A checkpoint goes, too, whose run's folder is gone, and which is older
    than an hour.
    """
    from rethinking.record import Runs, archived

    runs = Runs(runs_dir, checkpoints)
    archive = archived(runs.root)
    kept = _needed(out) | archive
    kept |= runs.measured(kept)
    doomed, swept, left = [], [], Counter[str]()
    for found in runs.survey():
        name = found.path.name
        kind = ("" if found.complete else "unfinished ") + ("" if name in kept else "unreferenced ")
        if found.link:
            click.echo(f"  kept, {found.link} is a link: {name}")
        elif not found.run:
            click.echo(f"  kept, not a run: {name}")
        elif found.busy:
            click.echo(f"  kept, a process is making it: {name}")
        elif weights:
            if found.complete and found.weights:
                doomed.append(found)
                click.echo(f"  weights       {name}")
        else:
            swept += [found] if found.temporary or found.stale else []
            if name in archive:
                continue
            if kind and ("unreferenced" not in kind or unreferenced):
                doomed.append(found)
                click.echo(f"  {kind.strip().replace(' ', ', '):<13} {name}")
            elif kind:
                left[kind.strip().replace(" ", ", ")] += 1
    strays = [] if weights else runs.strays(Path(out))
    for path in strays:
        click.echo(f"  {'checkpoint' if path.is_dir() else 'half-written':<13} {path.name}")
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
    elif yes or click.confirm(f"delete {question}?"):
        runs.writable()
        done = 0
        for found in swept:
            runs.delete(found, only="temporary")
        for path in strays:
            reason = runs.sweep(path)
            if reason:
                click.echo(f"  kept, {reason}: {path.name}")
                orphans = [each for each in orphans if each != path]
        for found in doomed:
            reason = runs.delete(found, only="weights" if weights else "run")
            done += not reason
            if reason:
                click.echo(f"  kept, {reason}: {found.path.name}")
        click.echo(f"deleted {counted(done, len(orphans)) or 'nothing'}")


def _needed(out: str) -> set[str]:
    """The runs that a figure needs at any scale, or was drawn from."""
    from rethinking import figures as fig
    from rethinking.engines.local import resolve_precision

    kept = {run for path in Path(out).glob("*.json") for run in fig.drawn(path)["runs"]}
    for name, entry in catalog.entries("figures").items():
        for scale in fig.SCALES:
            for model in entry.constants["MODELS"]:
                chosen = fig.setting(name, scale, model, None, resolve_precision("auto", "cpu"))
                kept |= {spec.run_id for spec in fig.unique(fig.specs(name, chosen))}
    return kept


@click.command()
@runs_option
def digest(runs_dir: str) -> None:
    """Bind records made before records held digests: add a line for each of their files to runs/DIGESTS.

    runs/ARCHIVE, where it is there, is bound as it is now. No other line is changed. A record that is not what its
    lines say is named, and nothing is added.
    """
    from rethinking.record import Runs

    added = Runs(runs_dir).digest()
    click.echo(f"{Path(runs_dir) / 'DIGESTS'}: {added} lines written" if added else "all is bound already")


@click.command()
@click.option("--deep", type=click.IntRange(0), default=0, help="Make so many records again, and compare every bit.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the choice of those records.")
@click.option(
    "--readme",
    type=FilePath(path_type=Path),
    help="The README with the scoreboard; else that beside the --out folder, where it has one.",
)
@click.option("--html", type=FilePath(path_type=Path), help="Also compare a page that `report --html` wrote.")
@device_option
@json_option
@out_option
@runs_option
@data_option
def verify(
    deep: int,
    seed: int,
    readme: Path | None,
    html: Path | None,
    device: str,
    as_json: bool,
    out: str,
    runs_dir: str,
    data_dir: str | None,
) -> int:
    """Check records against specs and digests, drawn figures against records, pictures and pages against figures.

    A finding is a line; the exit status is 1 where there is any. Records that took more than ten minutes are not made
    again by --deep.
    """
    from rethinking import report
    from rethinking import verify as checks
    from rethinking.engines.local import resolve_device
    from rethinking.record import Runs

    runs_dir, out = reading(runs_dir, out)
    runs, device = Runs(runs_dir), resolve_device(device)
    for folder in (runs.root, Path(out)):
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder: name it with --{'runs' if folder is runs.root else 'out'}")
    counts = {"records": len(list(runs.root.glob("*/result.json"))), "figures": len(list(Path(out).glob("*.json")))}

    def found() -> Iterator[str]:
        yield from checks.records(runs)
        sound = yield from checks.drawn(runs, Path(out))
        beside = readme or Path(out).parent / "README.md"
        there = readme or report.has_generated(beside)
        counts["pages"] = (yield from checks.pages(beside, sound)) if there else 0
        if html:
            counts["pages"] += 1
            yield from checks.page(html, sound, Path(out))
        yield from checks.deep(runs, deep, seed, device=device, data_dir=data_dir) if deep else ()

    findings = []
    for finding in found():
        findings.append(finding)
        if not as_json:
            click.echo(plain(finding))
    if as_json:
        print_json(counts | {"findings": findings})
    else:
        told = f"{counts['records']} records, {counts['figures']} drawn figures and {counts['pages']} pages"
        click.echo(f"{told}: {len(findings) or 'no'} findings")
    return int(bool(findings))
