"""Records, and what was drawn from them, against each other: one line a finding. No torch is imported here."""

import random
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rethinking import figures, plotting
from rethinking.engines import local
from rethinking.engines.made_with import explanation
from rethinking.errors import InputError
from rethinking.record import Record, Runs, archive, archived, digests, read
from rethinking.record.read import check_plug_ins

DEEP_SECONDS = 600.0  # records that took longer are not made again by `deep`


def records(runs: Runs) -> Iterator[str]:
    """What is wrong with the records of a folder: with their specs, curves, arrays, logs, plug-ins or digests."""
    folders = {p.parent.name: p.parent for p in sorted(runs.root.glob("*/result.json"))}
    listed = digests.listed(runs.root)
    for folder in folders.values():
        yield from record(folder)
    for run in sorted(listed.keys() - folders.keys()):
        yield f"{runs.root / run} is in {digests.LIST}, but no complete record is there: bring it back"
    try:
        kept = archived(runs.root)
    except InputError as error:
        yield str(error)
        return
    for run in sorted(kept - folders.keys()):
        yield f"{runs.root / run} is in {archive.LIST}, but no complete record is there: bring it back"


def record(folder: Path) -> Iterator[str]:
    """What is wrong with one complete record."""
    try:
        held = read(folder)
        digests.check(folder, held.result, weights=True)
        check_plug_ins(held.spec, held.environment, folder)
        if held.spec.kept:
            held.arrays  # noqa: B018  (reading checks it)
        held.online  # noqa: B018
        if folder.name in digests.listed(folder.parent):
            digests.check_listed(folder)
        elif not digests.OWN & held.result.keys():
            yield f"{folder} has no digests, and no line in {digests.LIST}: run `rethinking digest`"
    except InputError as error:
        yield str(error)


def drawn(runs: Runs, folder: Path) -> Iterator[str]:
    """What is wrong with the drawn figures of a folder: each is made again from the records, and its numbers compared.

    Of a figure of scale quick, whose runs depend on the machine, the records that it names are compared alone.
    """
    for path in sorted(folder.glob("*.json")):
        try:
            yield from _drawn(runs, path)
        except InputError as error:
            yield str(error)


def _drawn(runs: Runs, path: Path) -> Iterator[str]:
    then = figures.drawn(path)
    for form in plotting.FORMATS:
        picture = path.with_suffix(f".{form}")
        if form in then.get("formats", plotting.USUAL) and not picture.is_file():
            yield f"{picture} is missing: draw {then['figure']} again with --redraw"
    if then["scale"] == "quick":
        now = then | {"runs": figures.made_by(read(runs.root / run) for run in then["runs"])}
    else:
        setting = figures.setting_of(then)
        stem = figures.stem(then["figure"], setting)
        if stem != path.stem:
            yield f"{path} is of {stem}: give it its name back"
        now = figures.numbers(then["figure"], setting, runs)
    keys = [k for k in dict.fromkeys([*then, *now]) if k != "formats" and then.get(k) != now.get(k)]
    if keys:
        differ = ", ".join(k + _where(then.get(k), now.get(k)) for k in keys)
        yield f"{path} is not of the records there are ({differ}): draw it again with --redraw"


def _where(then: Any, now: Any) -> str:
    """Of two dicts, the first key at which they differ; else nothing."""
    if isinstance(then, dict) and isinstance(now, dict):
        return f" at {next(k for k in [*then, *now] if then.get(k) != now.get(k))}"
    return ""


@dataclass(frozen=True)
class Origin:
    """What a picture was drawn from.

    Attributes:
        about: what it says of itself, as rethinking.figures.provenance. runs: the runs that it was drawn from; None
        where those that are known are others. findings: what is wrong with these runs, or with the numbers beside the
        picture.
    """

    about: dict[str, Any]
    runs: tuple[str, ...] | None
    findings: tuple[str, ...]


def whence(path: Path, runs: Runs, folder: Path) -> Origin:
    """What a picture, or the .json beside it, was drawn from, and whether that still verifies.

    The picture's digest of its runs is compared with the .json beside it, then with that of its name in `folder`, then
    with the runs that the figure asks for and that are there.

    Raises:
        InputError: a file that does not say what it was drawn from.
    """
    about = figures.provenance(figures.drawn(path)) if path.suffix == ".json" else figures.about(path)
    findings: list[str] = []
    for beside in dict.fromkeys([path.with_suffix(".json"), folder / f"{path.stem}.json"]):
        numbers = figures.drawn(beside) if beside.is_file() else None
        if numbers and figures.provenance(numbers)["runs"] == about["runs"]:
            with _noted(findings):
                findings += _drawn(runs, beside)
            return _origin(about, numbers["runs"], runs, findings)
    for precision in ("float32", "bfloat16"):
        with _noted(findings):
            chosen = figures.setting(
                about["figure"], about["scale"], about["model"], about["seeds"] if about["asked"] else None, precision
            )
            there = [s.run_id for s in figures.unique(figures.specs(about["figure"], chosen)) if runs.complete(s)]
            if figures.provenance(about | {"claims": [], "runs": there})["runs"] == about["runs"]:
                return _origin(about, there, runs, [])
    what = "other runs than those that the figure asks for and that are there"
    return Origin(about, None, tuple(dict.fromkeys(findings)) or (f"{path} was drawn from {what}: name other --runs",))


def _origin(about: dict[str, Any], names: Iterable[str], runs: Runs, findings: list[str]) -> Origin:
    for run in names:
        if (runs.root / run / "result.json").is_file():
            findings += record(runs.root / run)
        else:
            findings.append(f"{runs.root / run} has no complete record: bring it back, or name other --runs")
    return Origin(about, tuple(names), tuple(dict.fromkeys(findings)))


@contextmanager
def _noted(findings: list[str]) -> Iterator[None]:
    """An InputError becomes a finding."""
    try:
        yield
    except InputError as error:
        findings.append(str(error))


def deep(runs: Runs, count: int, seed: int = 0, *, device: str = "cpu", data_dir: str | None = None) -> Iterator[str]:
    """Make records again, in a folder that is thrown away, and yield where they differ.

    Args:
        count: how many, drawn by `seed` from those that took at most DEEP_SECONDS on such a device.
    """
    found = [r for r in runs.complete_records() if _within(r, device)]
    for first in random.Random(seed).sample(found, min(count, len(found))):
        difference, second = made_again(first, device=device, data_dir=data_dir)
        if difference:
            reason = explanation(first.environment, second.environment)
            yield f"{first.path} made again is another: {difference}; {reason}"


def _within(record: Record, device: str) -> bool:
    made = record.environment
    return (made.get("seconds") or 0) <= DEEP_SECONDS and device.startswith(str(made.get("device")))


def made_again(
    record: Record, *, device: str = "cpu", data_dir: str | None = None, until: int | None = None
) -> tuple[str | None, Record]:
    """Train a record's spec again in a folder that is thrown away.

    Args:
        until: train and compare up to this step alone.

    Returns:
        Where the other first differs, None where it does not; and the other, of which files are gone.

    Raises:
        InputError: the run failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        other = Runs(scratch)
        failures = local.run([record.spec], other, device=device, workers=1, data_dir=data_dir, until=until)
        if failures:
            raise InputError(f"{record.spec.run_id} failed: {failures[0].reason}")
        second = other.begun(record.spec)
        return record.difference(second, until), second
