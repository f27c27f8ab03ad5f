"""Records, and what was drawn from them, against each other: one line a finding. No torch is imported here."""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rethinking import figures, plotting
from rethinking.engines import local
from rethinking.errors import InputError
from rethinking.record import Record, Runs, archive, archived, digests, read
from rethinking.record.read import check_plug_ins

DEEP_SECONDS = 600.0  # records that took longer are not made again by `deep`


def records(runs: Runs) -> Iterator[str]:
    """What is wrong with the records of a folder: with their specs, curves, arrays, logs, plug-ins or digests."""
    folders = {p.parent.name: p.parent for p in sorted(runs.root.glob("*/result.json"))}
    listed = digests.listed(runs.root)
    for folder in folders.values():
        try:
            record = read(folder)
            digests.check(folder, record.result, weights=True)
            check_plug_ins(record.spec, record.environment, folder)
            if record.spec.kept:
                record.arrays  # noqa: B018  (reading checks it)
            record.online  # noqa: B018
            if folder.name in listed:
                digests.check_listed(folder)
            elif not digests.OWN & record.result.keys():
                yield f"{folder} has no digests, and no line in {digests.LIST}: run `rethinking digest`"
        except InputError as error:
            yield str(error)
    for run in sorted(listed.keys() - folders.keys()):
        yield f"{runs.root / run} is in {digests.LIST}, but no complete record is there: bring it back"
    try:
        kept = archived(runs.root)
    except InputError as error:
        yield str(error)
        return
    for run in sorted(kept - folders.keys()):
        yield f"{runs.root / run} is in {archive.LIST}, but no complete record is there: bring it back"


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


def deep(runs: Runs, count: int, seed: int = 0, *, device: str = "cpu", data_dir: str | None = None) -> Iterator[str]:
    """Make records again, in a folder that is thrown away, and yield where they differ.

    Args:
        count: how many, drawn by `seed` from those that took at most DEEP_SECONDS on such a device.
    """
    found = [r for r in runs.complete_records() if _within(r, device)]
    for record in random.Random(seed).sample(found, min(count, len(found))):
        difference, _ = made_again(record, device=device, data_dir=data_dir)
        if difference:
            yield f"{record.path} made again is another: {difference}"


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
