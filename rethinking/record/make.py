"""Making a run under its lease; made again, it replaces its record when it is complete.

What is made again is made in runs/.again/<run_id>/, as any run. The record that it replaces stays in its place until
then. They are exchanged file by file, under both leases, the old result first and the new one last: whatever is
stopped in between has the whole new record in the two folders, and the next opening of the runs goes on with it.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rethinking.errors import InputError
from rethinking.files import DAMAGED, content_of, json_of
from rethinking.paths import same, sync, write
from rethinking.record import digests, litter, outdated
from rethinking.record.lease import freed, hold, log_of, run_named
from rethinking.record.outdated import AGAIN
from rethinking.record.read import read
from rethinking.record.write import CHECKPOINT, CHECKPOINTS, Writer, others
from rethinking.spec import Spec

if TYPE_CHECKING:
    from rethinking.record.folder import Runs


@contextmanager
def leased(runs: "Runs", spec: Spec) -> Iterator[Writer | None]:
    """Hold a run for this process, to make it; yields None where another holds it or it is complete.

    Where its checkpoint is elsewhere, that is held, too: another folder of records may share the checkpoints.
    """
    folder = runs.path(spec)
    again = folder.parent != runs.root
    if runs.complete(spec) and not again:
        freed(folder)  # whoever completed it may have been killed right after
        yield None
        return
    runs.writable()
    _check_places(runs, folder)
    folder.mkdir(parents=again, exist_ok=True)
    notes: dict[str, Any] = {"log": log_of("self")}
    with ExitStack() as leases:
        mine = leases.enter_context(hold(folder, notes))
        done = (folder / "result.json").is_file()  # finished between the two looks
        elsewhere = runs.checkpoints / folder.relative_to(runs.root)
        if mine is not None and not done and not same(elsewhere, folder):
            elsewhere.mkdir(parents=True, exist_ok=True)
            mine = leases.enter_context(hold(elsewhere)) and mine
        if mine is None or done:
            yield None
        else:
            yield from _held(runs, spec, folder, mine, notes)
        if mine is not None and again and (folder / "result.json").is_file():
            put_in_place(runs, spec.run_id)


def _check_places(runs: "Runs", folder: Path) -> None:
    """Raise InputError where a run's checkpoint or weights would lie among, or replace, those of another record."""
    for option, place in (("--checkpoints", runs.checkpoints), ("--weights", runs.weights)):
        beside = place / folder.relative_to(runs.root)
        if same(place, runs.root) or same(place, runs.owner):
            continue
        record = next((beside / name for name in ("result.json", "spec.json") if os.path.lexists(beside / name)), None)
        if record is not None:
            raise InputError(f"{record} is of a record, and {option} is no folder of records: name another")
    for place in dict.fromkeys((runs.weights / folder.name, folder)) if folder.parent == runs.root else ():
        names = ("spec.json", "curve.csv") if place == folder else ("curve.csv", CHECKPOINT, "result.json")
        made = [folder / name for name in names]
        made += [] if place == folder else [runs.checkpoints / folder.name / CHECKPOINTS]
        if os.path.lexists(place / digests.WEIGHTS) and not any(path.exists() for path in made):
            raise others(place / digests.WEIGHTS, beside=place == folder)
    saved = runs.checkpoints / folder.relative_to(runs.root) / CHECKPOINT
    if owner := litter.another(runs, saved):
        raise InputError(f"{saved} is of a run in {owner}: name another folder with --checkpoints")


def _held(runs: "Runs", spec: Spec, folder: Path, mine: Path, notes: dict[str, Any]) -> Iterator[Writer]:
    try:
        if run_named(folder / "spec.json") != spec.run_id:  # not there, or damaged
            write(folder / "spec.json", spec.to_json())
        again = folder.parent != runs.root
        checkpoints, weights = (runs.checkpoints / AGAIN, None) if again else (runs.checkpoints, runs.weights)
        yield Writer(folder, spec, checkpoints, notes, weights)
    except Exception as error:  # a run that cannot be leaves nothing behind; one that the disk stops does
        if not isinstance(error, OSError) and {p.name for p in folder.iterdir()} <= {"spec.json", mine.name}:
            (folder / "spec.json").unlink(missing_ok=True)
        raise


def begin_again(runs: "Runs", found: outdated.Outdated) -> list[Spec]:
    """Have `runs` make the runs that are out of date again. What was begun so, of plug-ins that changed since, goes.

    Returns:
        The specs of these runs.

    Raises:
        InputError: one is being made, or has links in it.
    """
    every = {spec.run_id: spec for specs in found.values() for spec in specs}
    for name, spec in every.items():
        begun = runs.root / AGAIN / name
        for there in (litter.found_at(runs, place) for place in (runs.root / name, begun) if os.path.lexists(place)):
            stale = there.again and outdated.by(begun, spec)
            if there.link or (there.busy and (stale or not there.again)):
                reason = f"{there.link} is a link" if there.link else "a process is making it"
                raise InputError(f"{runs.root / name} cannot be made again ({reason}): wait, or move it away")
            if stale:
                reason = litter.delete(runs, there)
                if reason:
                    raise InputError(f"{begun} cannot be begun anew ({reason}): move it away")
    runs.again |= every.keys()
    return [*every.values()]


def settle(runs: "Runs", specs: Iterable[Spec]) -> None:
    """Of runs that were made again, have those that are complete replace their records, if that is still to be done.

    specs: the runs; those that the probes among them measure are looked at, too.
    """
    for name in sorted({spec.run_id for spec in outdated.needed(specs)} & runs.again):
        if (runs.root / AGAIN / name / "result.json").is_file():
            with hold(runs.root / AGAIN / name) as mine:
                if mine is not None:
                    put_in_place(runs, name)
    for folder in {runs.root, runs.checkpoints}:
        with suppress(OSError):  # not there, or not empty
            (folder / AGAIN).rmdir()


def recover(runs: "Runs") -> None:
    """Go on with every replacement that was stopped: what was made again is complete, and its record is not any more.

    Raises InputError where what was made again is damaged.
    """
    for folder in sorted((runs.root / AGAIN).glob("*")):
        if (folder / "result.json").is_file():
            if (runs.root / folder.name / "result.json").exists():
                continue  # as it was: `begin_again` decides
            with suppress(OSError), hold(folder) as mine:  # of a folder that cannot be written
                if mine is not None:
                    put_in_place(runs, folder.name)
        elif folder.is_dir() and not (folder / "spec.json").exists() and freed(folder):
            with suppress(OSError):  # not empty
                folder.rmdir()
    with suppress(OSError):  # not there, or not empty
        (runs.root / AGAIN).rmdir()


def put_in_place(runs: "Runs", name: str) -> None:
    """Have a run that was made again, complete and held, replace its record; nothing where somebody else holds that.

    Files that are no record's stay, and so do weights elsewhere, which may be another record's: the new ones then go
    beside their record, where `Runs.weights_of` looks first.

    Raises InputError where it is damaged: its record then stays as it is.
    """
    new, old = runs.root / AGAIN / name, runs.root / name
    if old.is_symlink():
        return
    old.mkdir(exist_ok=True)
    with hold(old) as mine:
        if mine is None:
            return
        if (old / "result.json").exists():
            read(new)
        result = json_of(new / "result.json")
        if result.keys() != digests.RESULT | digests.OWN or digests.of_result(result) != result["digest"]:
            raise InputError(f"{new / 'result.json'} does not agree with its own SHA-256: {DAMAGED}")
        kept = runs.weights / name / digests.WEIGHTS
        (old / "result.json").unlink(missing_ok=True)
        foreign = kept.parent != old and kept.exists() and digests.sha256(kept) != result["digests"].get(kept.name)
        for file in (*digests.FILES, digests.WEIGHTS):
            place = kept if file == kept.name and not foreign else old / file
            if file not in result["digests"]:
                place.unlink(missing_ok=True)
            elif (new / file).exists():
                if place != old / file:
                    (old / file).unlink(missing_ok=True)  # it is of the old record
                _move(new / file, place)
        before = runs.checkpoints / name / CHECKPOINT  # of a run that was begun alone
        if before.exists() and litter.belongs(runs, before):
            before.unlink()
            with suppress(OSError):  # not empty
                before.parent.rmdir()
        sync(old)
        os.replace(new / "result.json", old / "result.json")
        sync(old)


def _move(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if os.stat(file).st_dev == os.stat(to.parent).st_dev:
        os.replace(file, to)
    else:
        write(to, content_of(file, digests.LARGEST))
        file.unlink()
