"""A folder of records: what is complete, begun or left behind, and deleting it."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rethinking.errors import InputError
from rethinking.files import json_of, opened, reason, text_of
from rethinking.paths import is_temporary, write
from rethinking.record import digests, outdated
from rethinking.record.bundle import advice
from rethinking.record.lease import freed, held, hold, is_lease, run_named
from rethinking.record.read import Record, check_current, environment_of, parse_curve, read
from rethinking.spec import KINDS, ProbeSpec, Spec, from_file, kind_of

RECENT = 3600.0  # seconds since its last change for which a file that no run accounts for may still be somebody's


class Runs:
    """A folder of records.

    Args:
        root: the folder; made when first written to. checkpoints, weights: the folders of checkpoints and of trained
        weights, each in a folder with its run's name; None for beside the records.
    """

    def __init__(
        self, root: str | Path = "runs", checkpoints: str | Path | None = None, weights: str | Path | None = None
    ):
        if str(root) == "":
            raise InputError("the folder of the runs is empty text: name one, as --runs runs")
        self.root = Path(root)
        self.checkpoints = self.root if checkpoints is None else Path(checkpoints)
        self.weights = self.root if weights is None else Path(weights)

    def path(self, spec: Spec) -> Path:
        """Where the record of `spec` is, or would be."""
        return self.root / spec.run_id

    def weights_of(self, spec: Spec) -> Path:
        """Where the weights of a run's network are, or would be."""
        return self.weights / spec.run_id / digests.WEIGHTS

    def complete(self, spec: Spec) -> bool:
        """Whether the run was trained to its end."""
        return (self.path(spec) / "result.json").is_file()

    def busy(self, spec: Spec) -> bool:
        """Whether a live process is training the run."""
        return held(self.path(spec))

    def free(self, spec: Spec) -> bool:
        """Whether no live process is training the run; leases that dead ones have left are then removed."""
        return freed(self.path(spec))

    def find(self, spec: Spec) -> Record | None:
        """The record of `spec`, None where it is not complete.

        Raises:
            InputError: it is damaged, or was made with another version of a plug-in, or other weights, than are there
            now; its result is gone.
        """
        if not self.complete(spec):
            if not self.busy(spec):
                digests.check_not_lost(self.path(spec))
            return None
        record = read(self.path(spec))
        if record.spec != spec:
            raise InputError(f"{record.path} holds another run's spec: move it away, and the run is made again")
        check_current(record)
        return record

    def measured(self, names: Iterable[str]) -> set[str]:
        """The training runs that probes were measured on, by name; names: of probes' records here, others are skipped.

        Raises InputError for a damaged spec.
        """
        paths = [self.root / name / "spec.json" for name in names if name.startswith("probe-")]
        specs = [from_file(path) for path in paths if path.is_file()]
        return {spec.run.run_id for spec in specs if isinstance(spec, ProbeSpec)}

    def complete_records(self, kind: str | None = None) -> list[Record]:
        """Every complete record, or every one of a kind of run, sorted by name, checked as in `find`.

        Raises InputError for the first that is not sound, of whatever kind.
        """
        found = [read(result.parent) for result in sorted(self.root.glob("*/result.json"))]
        for name in digests.listed(self.root).keys() - {record.path.name for record in found}:
            if (self.root / name).is_dir() and not held(self.root / name):
                digests.check_not_lost(self.root / name)
        found = [record for record in found if kind is None or kind_of(record.spec) is KINDS[kind]]
        changed: outdated.Outdated = {}
        for record in found:
            for name in outdated.changed(record.spec, record.environment):
                changed.setdefault(name, []).append(record.spec)
        outdated.refuse(changed)
        return found

    def summaries(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]]:
        """Name, spec, environment and result of every complete record, as their files hold them, sorted by name.

        For a quick look: no curve is read and no digest checked. A record with a file that cannot be read is left out.
        """
        for path in sorted(self.root.glob("*/result.json")):
            folder = path.parent
            with suppress(InputError):
                spec, made_with = json_of(folder / "spec.json"), json_of(folder / "environment.json")
                yield folder.name, spec, made_with, json_of(path)

    def digest(self) -> int:
        """Add to runs/DIGESTS the files of records that hold no digests of their own; never changes a record's line.

        The line of runs/ARCHIVE is written anew where the list has changed.

        Returns:
            How many lines were written.

        Raises:
            InputError: a record is damaged, or is not what its lines say.
        """
        lines = digests.unlisted(self.root, [read(p.parent).path.name for p in sorted(self.root.glob("*/result.json"))])
        archived = digests.archive_line(self.root)
        if lines or archived:
            file = self.root / digests.LIST
            before = text_of(file, most=digests.MOST).splitlines() if file.exists() else []
            if archived:
                before = [line for line in before if not line.endswith(f"  {digests.ARCHIVE}")]
                lines.append(archived)
            write(file, "\n".join([*before, *lines]) + "\n")
        return len(lines)

    def begun(self, spec: Spec) -> Record:
        """The record of `spec`, or what there is of its curve so far. Raises InputError."""
        if self.complete(spec):
            return read(self.path(spec))
        path = self.path(spec)
        made_with = environment_of(path / "environment.json")
        return Record(path, spec, {}, made_with, parse_curve(text_of(path / "curve.csv"), path / "curve.csv", spec))

    def reached(self, run: Spec | str) -> int | None:
        """The step that an unfinished run, or that of a name, goes on from; None where it has no checkpoint.

        Raises InputError where the checkpoint is damaged.
        """
        from safetensors import safe_open

        path = self.checkpoints / (run if isinstance(run, str) else run.run_id) / "checkpoint.safetensors"
        try:
            with opened(path, digests.LARGEST), safe_open(path, framework="numpy") as held:
                step = held.get_tensor("step")
            if step.shape or step.dtype != "int64" or step < 0:
                raise ValueError("its step is no whole number")
        except FileNotFoundError:
            return None
        except Exception as error:  # safetensors and numpy raise what they like at foreign bytes
            raise InputError(f"{path} is damaged ({reason(error)}): delete it and the run begins anew") from None
        return int(step)

    def named(self, run: str) -> Record:
        """The record whose folder is, or uniquely begins or ends with, `run`. Raises InputError."""
        if not run:
            raise InputError(f"the run is empty text: give its folder's name in {self.root}")
        known = sorted(p.parent.name for p in self.root.glob("*/result.json"))
        hits = [k for k in known if k == run] or [k for k in known if k.startswith(run) or k.endswith(run)]
        if len(hits) != 1:
            what = f"{len(hits)} runs match: {', '.join(hits[:4])}" if hits else f"{len(known)} runs are there"
            raise InputError(
                f"no single complete run {run!r} in {self.root} ({what}): give its folder's name{advice(self.root)}"
            )
        return read(self.root / hits[0])

    def survey(self) -> "Iterator[Found]":
        """What there is in the folder, sorted by name, in time linear in the number of runs: no spec is read."""
        for entry in sorted(os.scandir(self.root), key=lambda e: e.name) if self.root.is_dir() else ():
            if entry.is_symlink() or entry.is_dir():
                yield self._found(Path(entry.path))

    def _found(self, path: Path) -> "Found":
        beside = self.checkpoints / path.name
        link = next((p for p in (path, beside, self.weights / path.name) if p.is_symlink()), None)
        if link is not None:
            return Found(path, link=link)
        entries = list(os.scandir(path))
        if beside != path and beside.is_dir():
            entries += os.scandir(beside)
        apart = self.weights / path.name
        if apart not in (path, beside) and apart.is_dir():
            entries += os.scandir(apart)
        link = next((Path(e.path) for e in entries if e.is_symlink()), None)
        names = {e.name for e in entries}
        busy = any(map(is_lease, names)) and held(path)
        return Found(
            path,
            run="spec.json" in names and _named_as_a_run(path.name),
            complete="result.json" in names,
            busy=busy,
            stale=not busy and any(map(is_lease, names)),
            weights=digests.WEIGHTS in names,
            temporary=tuple(Path(e.path) for e in entries if is_temporary(e.name)),
            link=link,
        )

    def delete(self, found: "Found", only: str = "run") -> str:
        """Delete what `survey` found, under the run's lease, where it is still so: what happened meanwhile is not lost.

        The result goes first, so that half of a deletion is an unfinished run.

        Args:
            only: "run" for all of it, "weights", or "temporary" for what a killed process has left: the files that it
                was writing, and its lease.

        Returns:
            Why it was left alone; empty text where it was deleted.
        """
        path = found.path
        try:
            link = found.link or self._found(path).link
            if link:  # before a lease would be taken behind it
                return f"{link} is a link"
            with hold(path) as mine:
                if mine is None:
                    return "a process is making it"
                now = self._found(path)
                if only == "temporary":
                    return _unlink(now.temporary)
                if now.complete != found.complete:
                    return "it was completed meanwhile" if now.complete else "its result is gone meanwhile"
                if only == "weights":
                    return _unlink([self.weights / path.name / digests.WEIGHTS])
                if run_named(path / "spec.json") != path.name:
                    return "its spec is not of a run of that name"
                (path / "result.json").unlink(missing_ok=True)
                for entry in sorted(os.scandir(path), key=lambda e: e.name == "spec.json"):  # a run until the last
                    if entry.is_dir(follow_symlinks=False) and not is_lease(entry.name):
                        shutil.rmtree(entry.path)
                    elif not entry.is_dir(follow_symlinks=False):
                        os.unlink(entry.path)
                if self.checkpoints / path.name != path:
                    shutil.rmtree(self.checkpoints / path.name, ignore_errors=True)
                if self.weights / path.name != path:
                    shutil.rmtree(self.weights / path.name, ignore_errors=True)
        except FileNotFoundError:
            return "it is gone meanwhile"
        return ""

    def strays(self, drawn: Path | None = None) -> list[Path]:
        """What killed processes or deleted runs have left outside the runs' folders, sorted; no link is followed.

        These are half-written files directly in the folder of the runs or in that of drawn figures, and the folders of
        checkpoints whose run has none. What was changed within the last hour is not among them: it may be in use, by
        another folder's runs, too.
        """
        if not self.root.is_dir():  # perhaps misspelt
            return []
        places = dict.fromkeys([self.root, self.checkpoints, drawn or self.root])
        return sorted(path for place in places if place.is_dir() for path in place.iterdir() if self._stray(path))

    def _stray(self, path: Path) -> bool:
        try:
            if path.is_symlink():
                return False
            if path.is_dir():
                inside = list(os.scandir(path))
                known = all(e.name == "checkpoint.safetensors" or is_temporary(e.name) for e in inside)
                if not known or not all(e.is_file(follow_symlinks=False) for e in inside):
                    return False
                if not _named_as_a_run(path.name) or os.path.lexists(self.root / path.name):
                    return False
                changed = max(os.stat(p).st_mtime for p in (path, *inside))
            else:
                if path.parent == self.root:
                    whole = digests.LIST
                elif path.parent != self.checkpoints:  # drawn figures
                    whole = r"[^.].*\.(json|svg|pdf|png)"
                else:
                    return False
                if not re.fullmatch(rf"\.{whole}\.[a-z0-9_]{{8}}", path.name):
                    return False
                changed = path.stat().st_mtime
        except OSError:  # gone meanwhile, or not ours
            return False
        return time.time() - changed > RECENT

    def sweep(self, stray: Path) -> str:
        """Delete one of `strays`, where it still is one; a checkpoint under its run's lease.

        Returns:
            Why it was left alone; empty text where it was deleted.
        """
        if not self._stray(stray):
            return "it is gone or in use meanwhile"
        if not stray.is_dir():
            return _unlink([stray])
        folder = self.root / stray.name
        try:
            folder.mkdir()
        except FileExistsError:
            return "its run is there meanwhile"
        with hold(folder) as mine:  # which removes the folder
            if mine is None:
                return "a process is making it"
            _unlink(stray.iterdir())
            stray.rmdir()
        return ""

    def writable(self) -> None:
        """Raise InputError where records could not be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise InputError(f"cannot write to {self.root} ({error.strerror}): name another with --runs") from None


@dataclass(frozen=True)
class Found:
    """A folder or link among the runs.

    Attributes:
        path: its place. run: whether it has a spec and a run's name. complete: whether it has a result. busy: whether a
        live process is making it. stale: whether it has the lease of a dead one. weights: whether it has any.
        temporary: files that a process was writing, and that a killed one has left. link: one in it, or itself; it is
        not followed.
    """

    path: Path
    run: bool = False
    complete: bool = False
    busy: bool = False
    stale: bool = False
    weights: bool = False
    temporary: tuple[Path, ...] = ()
    link: Path | None = None


def _named_as_a_run(name: str) -> bool:
    return re.search(r"-[0-9a-f]{10}\Z", name) is not None


def _unlink(paths: Iterable[Path]) -> str:
    for path in paths:
        path.unlink(missing_ok=True)
    return ""
