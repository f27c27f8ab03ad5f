"""What is in a folder of records, and deleting it: runs, what killed processes have left, checkpoints without a run.

Only files that this package writes are deleted, by their names. A run whose folder holds anything else is left alone.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rethinking.errors import InputError
from rethinking.files import opened
from rethinking.paths import same, written_as
from rethinking.record import digests
from rethinking.record.lease import held, hold, is_lease, is_of_a_lease, run_named
from rethinking.record.outdated import AGAIN
from rethinking.record.write import CHECKPOINT, CHECKPOINTS, OWN
from rethinking.spec import ImageNetSpec, from_file

if TYPE_CHECKING:
    from rethinking.record.folder import Runs

ELSEWHERE = frozenset({CHECKPOINT, digests.WEIGHTS})  # of a run's files, those that can lie outside its folder
# The files of a checkpoint of a run on ImageNet, as torch.distributed.checkpoint names them, and its notes.
_OF_A_STEP = r"(__[0-9]+)?\.metadata(\.tmp)?|__[0-9]+_[0-9]+\.distcp|notes\.json"
RECENT = 3600.0  # seconds since its last change for which a file that no run accounts for may still be somebody's


@dataclass(frozen=True)
class Found:
    """A folder or link among the runs.

    Attributes:
        path: its place. run: whether it has a spec and a run's name. complete: whether it has a result. busy: whether a
        live process is making it. stale: whether it has the lease of a dead one. weights: whether it has any in it.
        temporary: files that a process was writing, and that a killed one has left. link: one in it, or itself; it is
        not followed. foreign: the first entry that this package did not write.
    """

    path: Path
    run: bool = False
    complete: bool = False
    busy: bool = False
    stale: bool = False
    weights: bool = False
    temporary: tuple[Path, ...] = ()
    link: Path | None = None
    foreign: Path | None = None

    @property
    def again(self) -> bool:
        """Whether it is a run that is made again, and has not replaced its record."""
        return self.path.parent.name == AGAIN


def survey(runs: "Runs") -> Iterator[Found]:
    """What there is in the folder, sorted by name, in time linear in the number of runs: no spec is read.

    Runs that are made again, and have not replaced their record, come last.
    """
    again = runs.root / AGAIN
    for root in (runs.root, *([] if again.is_symlink() else [again])):
        for entry in sorted(os.scandir(root), key=lambda e: e.name) if root.is_dir() else ():
            if entry.is_symlink() or (entry.is_dir() and entry.name != AGAIN):
                found = None
                with suppress(FileNotFoundError):  # another process has deleted it meanwhile
                    found = found_at(runs, Path(entry.path))
                if found:
                    yield found


def found_at(runs: "Runs", path: Path) -> Found:
    """What there is at a path among the runs. Raises FileNotFoundError where it is gone."""
    places = _places(runs, path)
    link = next((p for p in places if p.is_symlink()), None)
    if link is not None:
        return Found(path, link=link)
    entries = [(e, place == path) for place in places for e in _inside(place, place == path)]
    many = any(e.name == CHECKPOINTS for e, _ in entries) and _on_imagenet(path)
    foreign = (e for e, beside in entries if not (_own(e, beside) or (many and _checkpoints(e))))
    link = next((Path(e.path) for e, _ in entries if e.is_symlink()), None)
    names = {e.name for e, beside in entries if beside}
    leases = [e for e, beside in entries if beside and is_lease(e.name)]
    busy = bool(leases) and held(path)
    return Found(
        path,
        run="spec.json" in names and named_as_a_run(path.name),
        complete="result.json" in names,
        busy=busy,
        stale=not busy and any(_own(lease) for lease in leases),
        weights=digests.WEIGHTS in names,
        temporary=tuple(Path(e.path) for e, beside in entries if _half_written(e, beside) and _given_up(e, beside)),
        link=link,
        foreign=next((Path(e.path) for e in foreign), None),
    )


def _inside(place: Path, beside: bool) -> list[os.DirEntry]:
    """What is in one of a run's folders; one that is not beside its record may be gone."""
    try:
        return list(os.scandir(place))
    except (FileNotFoundError, NotADirectoryError):
        if beside:
            raise
        return []


def _places(runs: "Runs", path: Path) -> list[Path]:
    """The folder of a run, and those of its checkpoint and its weights where they are elsewhere."""
    name = path.relative_to(runs.root)
    return list(dict.fromkeys([path, runs.checkpoints / name, runs.weights / name]))


def _half_written(entry: os.DirEntry, beside: bool) -> bool:
    return written_as(entry.name) in _files(beside) and entry.is_file(follow_symlinks=False)


def _files(beside: bool) -> frozenset[str]:
    """The files of a run that can stand beside its spec, or else elsewhere, where others are of another record."""
    return OWN if beside else ELSEWHERE


def _given_up(entry: os.DirEntry, beside: bool) -> bool:
    """Whether nobody writes a file any more, as far as the lease of its run, which is beside it, tells."""
    with suppress(FileNotFoundError):  # it has just been written whole
        return beside or time.time() - entry.stat().st_mtime > RECENT
    return False


def _own(entry: os.DirEntry, beside: bool = True) -> bool:
    """Whether an entry of one of a run's folders is one that this package makes for that run.

    That is a lease, a file or one that is half written. beside: whether it is the folder of the record.
    """
    if is_lease(entry.name):
        try:
            return entry.is_dir(follow_symlinks=False) and all(map(is_of_a_lease, os.listdir(entry.path)))
        except FileNotFoundError:  # it has just ended
            return True
    return _half_written(entry, beside) or (entry.name in _files(beside) and entry.is_file(follow_symlinks=False))


def _on_imagenet(path: Path) -> bool:
    """Whether the spec of the run in a folder is of a run on ImageNet."""
    with suppress(InputError):
        return isinstance(from_file(path / "spec.json"), ImageNetSpec)
    return False


def _checkpoints(entry: os.DirEntry) -> bool:
    """Whether an entry of a folder of a run on ImageNet is that of its checkpoints, with nothing else in it."""
    if entry.name != CHECKPOINTS or not entry.is_dir(follow_symlinks=False):
        return False
    with suppress(FileNotFoundError):  # another process deletes it
        return all(
            re.fullmatch(r"\.?step-[0-9]+", step.name)
            and step.is_dir(follow_symlinks=False)
            and all(re.fullmatch(_OF_A_STEP, written_as(name) or name) for name in os.listdir(step.path))
            for step in list(os.scandir(entry.path))
        )
    return True


def delete(runs: "Runs", found: Found, only: str = "run", keep: Callable[[], str] = str) -> str:
    """Delete what `survey` found, under the run's lease, where it is still so: what happened meanwhile is not lost.

    The result goes first, so that half of a deletion is an unfinished run. Weights that lie elsewhere stay: the same
    file may be another folder's.

    Args:
        only: "run" for all of it, "weights" for those in its folder, or "temporary" for what a killed process has
            left: the files that it was writing, and its lease.
        keep: asked when the lease is held, of a run: why it is to be kept all the same, empty text where it is not.

    Returns:
        Why it was left alone; empty text where it was deleted.
    """
    path = found.path
    try:
        link = found.link or found_at(runs, path).link
        if link:  # before a lease would be taken behind it
            return f"{link} is a link"
        with hold(path, brief=True) as mine:
            if mine is None:
                return "a process is making it"
            now = found_at(runs, path)
            if only == "temporary":
                return _unlink(now.temporary)
            if now.complete != found.complete:
                return "it was completed meanwhile" if now.complete else "its result is gone meanwhile"
            if now.foreign:
                return f"{now.foreign} is no file of a run"
            if only == "weights":
                return _unlink([path / digests.WEIGHTS]) if now.complete else "it has no result"
            if run_named(path / "spec.json") != path.name:
                return "its spec is not of a run of that name"
            if (path / CHECKPOINT).exists() and not belongs(runs, path / CHECKPOINT):
                return "its checkpoint is of another folder's run"
            elsewhere = runs.checkpoints / path.relative_to(runs.root) / CHECKPOINTS
            if elsewhere.parent != path and elsewhere.exists():
                return f"{elsewhere} does not tell whose it is: delete it first"
            return keep() or _delete(runs, path)
    except FileNotFoundError:
        return "it is gone meanwhile"


def _delete(runs: "Runs", path: Path) -> str:
    """Delete the files of a run, under its lease; a run until the last, which is its spec."""
    (path / "result.json").unlink(missing_ok=True)
    for place in _places(runs, path)[1:]:
        with ExitStack() as held_too:
            if place.is_dir() and held_too.enter_context(hold(place, brief=True)) is not None:
                _empty(runs, place, path)
    _empty(runs, path, path)
    return ""


def _empty(runs: "Runs", place: Path, path: Path) -> None:
    """Delete the files of the run in `path` in one of its folders, under its lease.

    A checkpoint of another folder's run stays, and so do weights that are not beside the record, whatever the folder
    that they are in was named for.
    """
    for entry in sorted(os.scandir(place), key=lambda e: e.name == "spec.json"):
        others = entry.name == CHECKPOINT and not belongs(runs, Path(entry.path))
        others |= entry.name == digests.WEIGHTS and place != path
        if not (is_lease(entry.name) or others) and _own(entry, place == path):
            os.unlink(entry.path)
        elif place == path and _checkpoints(entry) and _on_imagenet(path):
            shutil.rmtree(entry.path)


def belongs(runs: "Runs", checkpoint: Path) -> bool:
    """Whether a checkpoint is of a run of this folder, and not of another one that shares the folder of checkpoints.

    One that does not tell is this folder's where it lies beside its record alone.
    """
    beside, owner = runs.checkpoints == runs.root, owner_of(checkpoint)
    if owner is None:
        return beside
    if same(owner, runs.owner) or not beside:
        return same(owner, runs.owner)
    its = owner / checkpoint.parent.name  # a copy of that folder, or that folder's own checkpoint, kept here
    return not its.is_dir() or any((its / name).exists() for name in ("result.json", CHECKPOINT))


def owner_of(checkpoint: Path) -> Path | None:
    """The folder of the run that has written a checkpoint; None where it does not tell, as in an earlier version."""
    from safetensors import safe_open

    try:
        with opened(checkpoint, digests.LARGEST), safe_open(checkpoint, framework="numpy") as file:
            return Path(json.loads(file.metadata()["notes"])["runs"])
    except Exception:  # safetensors raises what it likes at foreign bytes
        return None


def another(runs: "Runs", checkpoint: Path) -> Path | None:
    """The other folder of records, which is there, whose unfinished run a checkpoint is of; None where it is none."""
    owner = owner_of(checkpoint) if os.path.lexists(checkpoint) else None
    if owner is None or belongs(runs, checkpoint) or not (owner / checkpoint.parent.name).is_dir():
        return None
    return None if (owner / checkpoint.parent.name / "result.json").exists() else owner


def strays(runs: "Runs", drawn: Path | None = None) -> list[Path]:
    """What killed processes or deleted runs have left outside the runs' folders, sorted; no link is followed.

    These are half-written files directly in the folder of the runs or in that of drawn figures, and the folders of
    checkpoints whose run has none. What was changed within the last hour is not among them: it may be in use. Nor are
    checkpoints of another folder's runs.
    """
    if not runs.root.is_dir():  # perhaps misspelt
        return []
    places = dict.fromkeys([runs.root, runs.checkpoints, drawn or runs.root])
    return sorted(path for place in places if place.is_dir() for path in place.iterdir() if _stray(runs, path))


def _stray(runs: "Runs", path: Path) -> bool:
    try:
        if path.is_symlink():
            return False
        if path.is_dir():
            if not named_as_a_run(path.name) or os.path.lexists(runs.root / path.name) or held(path):
                return False
            inside = list(os.scandir(path))
            if any(e.name == digests.WEIGHTS for e in inside) or not all(_own(e, beside=False) for e in inside):
                return False
            changed = max(os.stat(p).st_mtime for p in (path, *inside))
            if any(e.name == CHECKPOINT for e in inside) and not belongs(runs, path / CHECKPOINT):
                return False
        else:
            whole = written_as(path.name) or ""
            if path.parent == runs.root:
                known = whole == digests.LIST
            else:  # drawn figures
                drawn = re.fullmatch(r"[^.].*\.(json|svg|pdf|png)", whole) is not None
                known = path.parent != runs.checkpoints and drawn
            if not known:
                return False
            changed = path.stat().st_mtime
    except OSError:  # gone meanwhile, or not ours
        return False
    return time.time() - changed > RECENT


def sweep(runs: "Runs", stray: Path) -> str:
    """Delete one of `strays`, where it still is one; a checkpoint under its run's lease.

    Returns:
        Why it was left alone; empty text where it was deleted.
    """
    if not _stray(runs, stray):
        return "it is gone or in use meanwhile"
    if not stray.is_dir():
        return _unlink([stray])
    folder = runs.root / stray.name
    try:
        folder.mkdir()
    except FileExistsError:
        return "its run is there meanwhile"
    with hold(folder, brief=True) as mine, hold(stray, brief=True) as its:  # which removes both folders
        if mine is None or its is None:
            return "a process is making it"
        _empty(runs, stray, folder)
    return ""


def named_as_a_run(name: str) -> bool:
    """Whether a folder has a name as runs do."""
    return re.search(r"-[0-9a-f]{10}\Z", name) is not None


def _unlink(paths: Iterable[Path]) -> str:
    for path in paths:
        path.unlink(missing_ok=True)
    return ""
