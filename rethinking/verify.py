"""Records, what was drawn from them, and pages, against each other: one line a finding. No torch is imported here."""

import random
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rethinking import catalog, figures, plotting, report
from rethinking.engines import local
from rethinking.engines.made_with import explanation
from rethinking.errors import InputError
from rethinking.record import Record, Runs, archive, archived, check_current, digests, read
from rethinking.record.lease import held
from rethinking.record.write import CHECKPOINT, CHECKPOINTS
from rethinking.report import model
from rethinking.report.html import is_stale
from rethinking.report.html import page as whole_page
from rethinking.report.model import Result
from rethinking.spec import ProbeSpec, from_file, kind_of

PRECISIONS = ("float32", "bfloat16")
DEEP_SECONDS = 600.0  # records that took longer are not made again by `deep`


def records(runs: Runs) -> Iterator[str]:
    """What is wrong with the records of a folder: with their specs, curves, arrays, logs, plug-ins or digests."""
    folders = {p.parent.name: p.parent for p in sorted(runs.root.glob("*/result.json"))}
    listed = digests.listed(runs.root)
    for folder in folders.values():
        yield from record(folder)
    absent = listed.keys() - folders.keys() - {digests.ARCHIVE}
    for run in sorted(absent):
        yield f"{runs.root / run} is in {digests.LIST}, but no complete record is there: bring it back"
    for folder in sorted(p.parent for p in runs.root.glob("*/spec.json")):
        if folder.name not in folders.keys() | absent:
            yield from _without_result(folder, runs)
    try:
        kept = archived(runs.root)
    except InputError as error:
        yield str(error)
        return
    if (runs.root / archive.LIST).exists() and archive.LIST not in listed:
        yield f"{runs.root / archive.LIST} has no line in {digests.LIST}: run `rethinking digest`"
    for run in sorted(kept - folders.keys()):
        yield f"{runs.root / run} is in {archive.LIST}, but no complete record is there: bring it back"


def record(folder: Path) -> Iterator[str]:
    """What is wrong with one complete record."""
    try:
        found = read(folder)
        digests.check(folder, found.result, weights=True)
        check_current(found, weights=True)
        if found.spec.kept:
            found.arrays  # noqa: B018  (reading checks it)
        found.online  # noqa: B018
        if folder.name in digests.listed(folder.parent):
            digests.check_listed(folder)
        elif not digests.OWN & found.result.keys():
            yield f"{folder} has no digests, and no line in {digests.LIST}: run `rethinking digest`"
    except InputError as error:
        yield str(error)


def _without_result(folder: Path, runs: Runs) -> Iterator[str]:
    """What is wrong with the folder of a run that has no result: that it has files which a complete run alone has."""
    last = [folder / name for name in ("online.csv", "arrays.npz", digests.WEIGHTS)]
    with suppress(InputError):
        if not kind_of(from_file(folder / "spec.json")).resumable:  # such a run writes nothing before its end
            last.append(folder / "curve.csv")
    file = next((path for path in last if path.exists()), None)
    saved = (runs.checkpoints / folder.name / name for name in (CHECKPOINT, CHECKPOINTS))
    begun = any(path.exists() for path in saved) or held(folder)
    if file is not None and not begun:
        yield f"{folder / 'result.json'} is missing, and {file.name} is there: bring it back, or make the run again"


def drawn(runs: Runs, folder: Path) -> Generator[str, None, list[Result] | None]:
    """What is wrong with the drawn figures of a folder.

    Each is made again from the records, and its numbers compared; its pictures must be those drawn with them.

    Returns:
        The figures that are evidence, None where the numbers of one of them are not those of the records.
    """
    found: list[Result] | None = []
    for path in sorted(folder.glob("*.json")):
        try:
            result, evidence = yield from _drawn(runs, path)
        except InputError as error:
            yield str(error)
            result, evidence = None, True
        if evidence:
            found = None if found is None or result is None else [*found, result]
    for path in sorted(p for form in plotting.FORMATS for p in folder.glob(f"*.{form}")):
        names = (f"{name}-{scale}" for name in catalog.names("figures") for scale in figures.SCALES)
        if not path.with_suffix(".json").is_file() and path.stem.startswith(tuple(names)):
            yield f"{path} has no {path.stem}.json beside it: bring that back, or move the picture away"
    return found if found is None else model.ranked(found)


def _drawn(runs: Runs, path: Path) -> Generator[str, None, tuple[Result | None, bool]]:
    """What is wrong with a drawn figure. Returns it, None where its numbers are wrong; and whether it is evidence."""
    then = figures.drawn(path)
    quick = then["scale"] == "quick"
    chosen = [figures.setting_of(then, precision) for precision in (PRECISIONS if quick else PRECISIONS[:1])]
    evidence, stem = not quick and "data" not in then, figures.stem(then["figure"], chosen[0])
    if stem != path.stem:
        yield f"{path} is of {stem}: give it its name back"
        return None, evidence
    yield from figures.wrong_pictures(path, then)
    then = figures.unbound(then)
    differ = None
    for setting in chosen:  # of quick runs a figure does not tell the precision, which was the machine's own
        now = figures.numbers(then["figure"], setting, runs)
        keys = [k for k in dict.fromkeys([*then, *now]) if then.get(k) != now.get(k)]
        if not keys:
            return Result(then["figure"], setting, stem, then), evidence
        differ = differ or ", ".join(k + _where(then.get(k), now.get(k)) for k in keys)
    yield f"{path} is not of the records there are ({differ}): draw it again with --redraw"
    return None, evidence


def pages(readme: Path, found: Sequence[Result] | None) -> Generator[str, None, int]:
    """What is wrong with the pages that are made from drawn figures, see `rethinking.report`.

    Args:
        readme: beside which they lie. found: the figures, as `drawn` returns them.

    Returns:
        How many pages were compared.
    """
    if found is None:
        yield f"{readme} and the pages of results are not compared: mend the figures first"
        return 0
    try:
        fresh = report.generated(readme, found)
        for path in report.stale(readme, fresh):
            yield f"{path} is stale: run `rethinking report`"
    except InputError as error:
        yield str(error)
        return 0
    return len(fresh)


def page(html: Path, found: Sequence[Result] | None, folder: Path) -> Iterator[str]:
    """What is wrong with a file that `rethinking report --html` wrote.

    Args:
        html: the file. found: the figures, as `drawn` returns them. folder: of their pictures.
    """
    if found is None:
        yield f"{html} is not compared: mend the figures first"
        return
    try:
        if is_stale(html, whole_page(found, folder)):
            yield f"{html} is stale: run `rethinking report --html`"
    except InputError as error:
        yield str(error)


def _where(then: Any, now: Any) -> str:
    """Of two dicts, the first key at which they differ; else nothing."""
    if isinstance(then, dict) and isinstance(now, dict):
        return f" at {next(k for k in [*then, *now] if then.get(k) != now.get(k))}"
    return ""


@dataclass(frozen=True)
class Origin:
    """What a picture was drawn from.

    Attributes:
        about: what it says of itself, as rethinking.figures.about. runs: the runs that it was drawn from; None
        where those that are known are others. findings: what is wrong with these runs, with the numbers beside the
        picture, or with the picture. compared: whether the picture was held against the .json drawn with it.
    """

    about: dict[str, Any]
    runs: tuple[str, ...] | None
    findings: tuple[str, ...]
    compared: bool = False


def whence(path: Path, runs: Runs, folder: Path) -> Origin:
    """What a picture, or the .json beside it, was drawn from, and whether that still verifies.

    The picture's digest of its runs is compared with the .json of its name or of its figure's, beside it and then in
    `folder`, then with the runs that the figure asks for and that are there. Where a .json has them, the picture must
    be the one that was drawn with it, whatever its name.

    Raises:
        InputError: a file that does not say what it was drawn from.
    """
    about = figures.provenance(figures.drawn(path)) if path.suffix == ".json" else figures.about(path)
    if "slides" in about:
        each = [_whence(path, one, runs, folder) for one in about["slides"]]
        names = tuple(sorted({run for origin in each for run in origin.runs or ()}))
        findings = tuple(dict.fromkeys(line for origin in each for line in origin.findings))
        return Origin(about, None if any(origin.runs is None for origin in each) else names, findings)
    if "compare" in about:
        return _origin(about, about["runs"], runs, [])
    return _whence(path, about, runs, folder)


def _whence(path: Path, about: dict[str, Any], runs: Runs, folder: Path) -> Origin:
    findings: list[str] = []
    of = about["figure"], about["scale"], about["model"], about["seeds"] if about["asked"] else None
    stems = [path.stem]
    with suppress(InputError):
        stems.append(figures.stem(about["figure"], figures.setting(*of)))
    for beside in dict.fromkeys(place / f"{stem}.json" for stem in stems for place in (path.parent, folder)):
        numbers = figures.drawn(beside) if beside.is_file() else None
        if numbers and figures.digest_of(numbers["runs"]) == about["runs"]:
            held = None if "slide" in about else numbers.get("digests", {}).get(f"{beside.stem}{path.suffix.lower()}")
            with _noted(findings):
                findings += _drawn(runs, beside)
                findings += _altered(path, beside, held)
            origin = _origin(about, numbers["runs"], runs, findings)
            return replace(origin, compared=path.suffix == ".json" or held is not None)
    for precision in PRECISIONS:
        with _noted(findings):
            chosen = figures.setting(*of, precision)
            there = [s.run_id for s in figures.unique(figures.specs(about["figure"], chosen)) if runs.complete(s)]
            if figures.digest_of(there) == about["runs"]:
                return _origin(about, there, runs, [])
    what = "other runs than those that the figure asks for and that are there"
    return Origin(about, None, tuple(dict.fromkeys(findings)) or (f"{path} was drawn from {what}: name other --runs",))


def _altered(path: Path, beside: Path, held: str | None) -> list[str]:
    """What is wrong with a picture of another place or name than that drawn with a .json, whose SHA-256 is `held`."""
    if held is None or path == beside.with_suffix(path.suffix) or digests.sha256(path) == held:
        return []
    return [f"{path} is not the picture drawn with {beside}, by its SHA-256: take that, or draw it again with --redraw"]


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
    """Make records again, in a folder that is thrown away, and yield where they differ, or could not be made.

    Records that are not sound, which `records` reports, are left out.

    Args:
        count: how many, drawn by `seed` from those that took at most DEEP_SECONDS on such a device, a probe together
            with its run, which is trained again for it.
    """
    records = {record.path.name: record for record in _sound(runs)}
    found = [record for record in records.values() if _within(record, records, device)]
    for first in random.Random(seed).sample(found, min(count, len(found))):
        try:
            difference, second = made_again(first, device=device, data_dir=data_dir)
        except InputError as error:
            yield f"{first.path} could not be made again: {error}"
            continue
        if difference:
            reason = explanation(first.environment, second.environment)
            yield f"{first.path} made again is another: {difference}; {reason}"


def _sound(runs: Runs) -> Iterator[Record]:
    """The complete records of a folder, sorted by name, without those that are damaged or out of date."""
    for result in sorted(runs.root.glob("*/result.json")):
        with suppress(InputError):
            found = read(result.parent)
            check_current(found)
            yield found


def _within(record: Record, records: dict[str, Record], device: str) -> bool:
    """Whether a record is made again by an engine, in so short a time. records: all of its folder, by name."""
    needed = [record]
    if isinstance(record.spec, ProbeSpec):
        if record.spec.run.run_id not in records:
            return False  # how long its training takes is not known
        needed.append(records[record.spec.run.run_id])
    made = [each.environment for each in needed]
    there = all(device.startswith(str(each.get("device"))) for each in made)
    return there and not record.spec.command and sum(each.get("seconds") or 0 for each in made) <= DEEP_SECONDS


def made_again(
    record: Record,
    *,
    device: str = "cpu",
    data_dir: str | None = None,
    until: int | None = None,
    threads: int | None = None,
    quiet: bool = False,
) -> tuple[str | None, Record]:
    """Train a record's spec again in a folder that is thrown away; of a probe first the run that it was measured on.

    Args:
        until: train and compare up to this step alone. threads: of a CPU; those of the record unless told.
        quiet: say nothing of how it goes on.

    Returns:
        Where the other first differs, None where it does not; and the other, of which files are gone.

    Raises:
        InputError: the run failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        other = Runs(scratch)
        for each in (*_measured(record), record):
            options: dict[str, Any] = {"device": device, "workers": 1, "threads": threads or each.threads}
            options |= {"data_dir": data_dir, "until": until if each is record else None, "quiet": quiet}
            failures = local.run([each.spec], other, **options)
            if failures:
                raise InputError(f"{each.spec.run_id} failed: {failures[0].reason}")
        second = other.begun(record.spec)
        return record.difference(second, until), second


def _measured(record: Record) -> list[Record]:
    """The record of the run that a probe was measured on, where it is beside the probe's. Raises InputError."""
    if not isinstance(record.spec, ProbeSpec):
        return []
    folder = record.path.parent / record.spec.run.run_id
    return [read(folder)] if (folder / "result.json").is_file() else []
