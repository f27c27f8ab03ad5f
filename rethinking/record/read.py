"""Reading records: what is missing, truncated or foreign is refused in one line."""

import csv
import io
import json
import math
import os
import re
import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.record import digests
from rethinking.record.lease import freed, held, hold, is_lease, run_named
from rethinking.record.write import LOG_COLUMNS, Row, is_temporary, write
from rethinking.spec import RunSpec, Spec

if TYPE_CHECKING:
    import numpy as np

COLUMNS = RunSpec.COLUMNS
RECENT = 3600.0  # seconds since its last change for which a file that no run accounts for may still be somebody's
LARGEST = 1_000_000  # bytes of a JSON file of a record; those of this package have a thousand
DEPTH = 20  # of lists and objects within each other in it
STATUSES = ("budget", "fitted", "diverged", "computed")  # how a run ended


@dataclass(frozen=True)
class Record:
    """A complete run, read and checked.

    Attributes:
        path: its folder. spec, result: as written. environment: versions, commit, device, seconds.
        curve: column -> list of numbers, one per evaluation.
    """

    path: Path
    spec: Spec
    result: dict[str, Any]
    environment: dict[str, Any]
    curve: dict[str, list]

    @property
    def rows(self) -> list[Row]:
        """The evaluations, one by one."""
        return [dict(zip(self.curve, values, strict=True)) for values in zip(*self.curve.values(), strict=True)]

    @cached_property
    def final(self) -> Row:
        """The last evaluation, which uses all test images."""
        return self.rows[-1]

    @cached_property
    def arrays(self) -> "dict[str, np.ndarray]":
        """What the spec's `keep` names, by its name. Raises InputError where the file is damaged or not there."""
        import numpy as np

        path = self.path / "arrays.npz"
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as held:
                return dict(held)
        except (OSError, EOFError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{path} cannot be read ({error}): the record is damaged; move it away") from None

    @cached_property
    def online(self) -> dict[str, list[float]]:
        """The online log, by column; empty lists for a run made before it was kept. Raises InputError where damaged."""
        path = self.path / "online.csv"
        if not path.is_file():
            return {name: [] for name in LOG_COLUMNS}
        return parse_log(_text(path), path)

    @property
    def whole(self) -> list[bool]:
        """Of each evaluation, whether it measured the whole training set, with a finite loss."""
        finite = [math.isfinite(loss) for loss in self.curve["train_loss"]]
        if "train_images" not in self.curve:
            return finite
        size = self.spec.trained  # type: ignore[attr-defined]
        return [ok and images == size for ok, images in zip(finite, self.curve["train_images"], strict=True)]

    def steps_to_fit(self, threshold: float = 0.99) -> int | None:
        """Steps to the first evaluation of the whole training set with an accuracy >= threshold; None where censored.

        99 % and not 100 %: the paper's own MLP 1x512 ends at 99.34 % on random labels.
        """
        columns = (self.curve["step"], self.curve["train_accuracy"], self.whole)
        return next((s for s, a, whole in zip(*columns, strict=True) if whole and a >= threshold), None)

    def up_to(self, step: int | None) -> "Record":
        """The record with its curve up to that step alone; None: as it is."""
        if step is None:
            return self
        count = sum(each <= step for each in self.curve["step"])
        return replace(self, curve={name: values[:count] for name, values in self.curve.items()})

    def apart(self, other: "Record") -> tuple[float, int] | None:
        """How far the training accuracy of another record of the same spec is from this one's, at most, and where.

        Only evaluations at equal steps, of equally many training images, are compared.

        Returns:
            The largest absolute difference, a fraction, and the first step that has it; None where nothing compares.
        """
        ours, theirs = (
            {(row["step"], row.get("train_images")): row["train_accuracy"] for row in record.rows}
            for record in (self, other)
        )
        both = [(abs(accuracy - theirs[key]), key[0]) for key, accuracy in ours.items() if key in theirs]
        return max(both, key=lambda each: each[0], default=None)

    def difference(self, other: "Record", until: int | None = None) -> str | None:
        """Where another record of the same spec first differs, in its curve or what is kept; None where it does not.

        until: compare the curves up to this step alone.
        """
        fixed = [name for name in self.spec.columns if name not in self.spec.VARYING]
        counts = [sum(until is None or step <= until for step in r.curve["step"]) for r in (self, other)]
        if counts[0] != counts[1]:
            return f"{counts[0]} evaluations against {counts[1]}"
        for k, step in enumerate(self.curve["step"][: counts[0]]):
            for name in fixed:
                ours, theirs = self.curve[name][k], other.curve[name][k]
                if repr(ours) != repr(theirs):
                    return f"from step {step} on another curve: {name} {ours!r} against {theirs!r}"
        if until is not None:
            return None
        if self.online["step"] and other.online["step"] and self.online != other.online:
            return "the same curve, but another online log"
        if getattr(self.spec, "keep", ()):
            for name, array in self.arrays.items():
                if name not in other.arrays or array.tobytes() != other.arrays[name].tobytes():
                    return f"the same curve, but other arrays kept: {name}"
        return None


class Runs:
    """A folder of records.

    Args:
        root: the folder; made when first written to. checkpoints: the folder of checkpoints, each in a folder with
        its run's name; None for beside the records.
    """

    def __init__(self, root: str | Path = "runs", checkpoints: str | Path | None = None):
        if str(root) == "":
            raise InputError("the folder of the runs is empty text: name one, as --runs runs")
        self.root = Path(root)
        self.checkpoints = self.root if checkpoints is None else Path(checkpoints)

    def path(self, spec: Spec) -> Path:
        """Where the record of `spec` is, or would be."""
        return self.root / spec.run_id

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
            InputError: it is damaged, or was made with another version of a plug-in than is there now.
        """
        if not self.complete(spec):
            return None
        record = read(self.path(spec))
        if record.spec != spec:
            raise InputError(f"{record.path} holds another run's spec: move it away, and the run is made again")
        check_plug_ins(spec, record.environment, record.path)
        return record

    def complete_records(self) -> list[Record]:
        """Every complete record, sorted by name, checked as in `find`. Raises InputError for the first that is not."""
        found = [read(result.parent) for result in sorted(self.root.glob("*/result.json"))]
        for record in found:
            check_plug_ins(record.spec, record.environment, record.path)
        return found

    def summaries(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]]:
        """Name, spec, environment and result of every complete record, as their files hold them, sorted by name.

        For a quick look: no curve is read and no digest checked. A record with a file that cannot be read is left out.
        """
        for path in sorted(self.root.glob("*/result.json")):
            folder = path.parent
            with suppress(InputError):
                spec, made_with = _json(folder / "spec.json"), _json(folder / "environment.json")
                yield folder.name, spec, made_with, _json(path)

    def digest(self) -> int:
        """Add to runs/DIGESTS the files of records that hold no digests of their own; never changes a line.

        Returns:
            How many lines were added.

        Raises:
            InputError: a record is damaged, or is not what its lines say.
        """
        lines = digests.unlisted(self.root, [read(p.parent).path.name for p in sorted(self.root.glob("*/result.json"))])
        if lines:
            file = self.root / digests.LIST
            write(file, (file.read_text(encoding="ascii") if file.exists() else "") + "\n".join(lines) + "\n")
        return len(lines)

    def begun(self, spec: Spec) -> Record:
        """The record of `spec`, or what there is of its curve so far. Raises InputError."""
        if self.complete(spec):
            return read(self.path(spec))
        path = self.path(spec)
        made_with = _environment(path / "environment.json")
        return Record(path, spec, {}, made_with, parse_curve(_text(path / "curve.csv"), path / "curve.csv", spec))

    def reached(self, run: Spec | str) -> int | None:
        """The step that an unfinished run, or that of a name, goes on from; None where it has no checkpoint.

        Raises InputError where the checkpoint is damaged.
        """
        from safetensors import SafetensorError, safe_open

        path = self.checkpoints / (run if isinstance(run, str) else run.run_id) / "checkpoint.safetensors"
        try:
            with safe_open(path, framework="numpy") as held:
                return int(held.get_tensor("step"))
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"{path} is damaged ({reason}): delete it and the run begins anew") from None

    def named(self, run: str) -> Record:
        """The record whose folder is, or uniquely begins or ends with, `run`. Raises InputError."""
        if not run:
            raise InputError(f"the run is empty text: give its folder's name in {self.root}")
        known = sorted(p.parent.name for p in self.root.glob("*/result.json"))
        hits = [k for k in known if k == run] or [k for k in known if k.startswith(run) or k.endswith(run)]
        if len(hits) != 1:
            what = f"{len(hits)} runs match: {', '.join(hits[:4])}" if hits else f"{len(known)} runs are there"
            raise InputError(f"no single complete run {run!r} in {self.root} ({what}): give its folder's name")
        return read(self.root / hits[0])

    def survey(self) -> "Iterator[Found]":
        """What there is in the folder, sorted by name, in time linear in the number of runs: no spec is read."""
        for entry in sorted(os.scandir(self.root), key=lambda e: e.name) if self.root.is_dir() else ():
            if entry.is_symlink() or entry.is_dir():
                yield self._found(Path(entry.path))

    def _found(self, path: Path) -> "Found":
        beside = self.checkpoints / path.name
        link = next((p for p in (path, beside) if p.is_symlink()), None)
        if link is not None:
            return Found(path, link=link)
        entries = list(os.scandir(path))
        if beside != path and beside.is_dir():
            entries += os.scandir(beside)
        link = next((Path(e.path) for e in entries if e.is_symlink()), None)
        names = {e.name for e in entries}
        return Found(
            path,
            run="spec.json" in names and _named_as_a_run(path.name),
            complete="result.json" in names,
            busy=any(map(is_lease, names)) and held(path),
            weights=digests.WEIGHTS in names,
            temporary=tuple(Path(e.path) for e in entries if is_temporary(e.name)),
            link=link,
        )

    def delete(self, found: "Found", only: str = "run") -> str:
        """Delete what `survey` found, under the run's lease, where it is still so: what happened meanwhile is not lost.

        The result goes first, so that half of a deletion is an unfinished run.

        Args:
            only: "run" for all of it, "weights", or "temporary" for the files that a killed process was writing.

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
                    return _unlink([path / digests.WEIGHTS])
                if run_named(path / "spec.json") != path.name:
                    return "its spec is not of a run of that name"
                (path / "result.json").unlink(missing_ok=True)
                for entry in list(os.scandir(path)):
                    if entry.is_dir(follow_symlinks=False) and not is_lease(entry.name):
                        shutil.rmtree(entry.path)
                    elif not entry.is_dir(follow_symlinks=False):
                        os.unlink(entry.path)
                if self.checkpoints / path.name != path:
                    shutil.rmtree(self.checkpoints / path.name, ignore_errors=True)
        except FileNotFoundError:
            return "it is gone meanwhile"
        return ""

    def strays(self) -> list[Path]:
        """What killed processes or deleted runs have left outside the runs' folders, sorted; no link is followed.

        These are half-written files directly in the folder of the runs, and the folders of checkpoints whose run has
        none. What was changed within the last hour is not among them: it may be in use, by another folder's runs, too.
        """
        if not self.root.is_dir():  # perhaps misspelt
            return []
        places = [self.root, *([self.checkpoints] if self.checkpoints.is_dir() else [])]
        return sorted(path for place in dict.fromkeys(places) for path in place.iterdir() if self._stray(path))

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
                if path.parent != self.root or not re.fullmatch(rf"\.{digests.LIST}\.[a-z0-9_]{{8}}", path.name):
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
        live process is making it. weights: whether it has any. temporary: files that a process was writing, and that
        a killed one has left. link: one in it, or itself; it is not followed.
    """

    path: Path
    run: bool = False
    complete: bool = False
    busy: bool = False
    weights: bool = False
    temporary: tuple[Path, ...] = ()
    link: Path | None = None


def _named_as_a_run(name: str) -> bool:
    return re.search(r"-[0-9a-f]{10}\Z", name) is not None


def _unlink(paths: Iterable[Path]) -> str:
    for path in paths:
        path.unlink(missing_ok=True)
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(f"{path} cannot be read ({reason}): the record is damaged; move it away") from None


def _json(path: Path) -> dict[str, Any]:
    """The JSON object that a file of a record holds.

    Its numbers are finite and fit into 64 bits, its text can be written as UTF-8, and no key is given twice. All that
    Python would read with another meaning is refused.

    Raises:
        InputError: it cannot be read, or is none.
    """
    damaged = "the record is damaged; move it away"
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} cannot be read (not a file): {damaged}")
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise InputError(f"{path} cannot be read (larger than {LARGEST:,} bytes): {damaged}")
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise InputError(f"{path} cannot be read ({reason}): {damaged}") from None
    try:
        if text.startswith("\ufeff"):
            raise ValueError("it begins with a byte-order mark")
        value = json.loads(text, object_pairs_hook=_once, parse_float=_float, parse_int=_int, parse_constant=_float)
        _check_text(value)
    except RecursionError:
        raise InputError(f"{path} is not valid JSON (nested too deeply): {damaged}") from None
    except ValueError as error:
        half = "half of a surrogate pair" if isinstance(error, UnicodeEncodeError) else None
        reason = half or getattr(error, "msg", str(error))
        raise InputError(f"{path} is not valid JSON ({reason}): {damaged}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} is not a JSON object: {damaged}")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _float(word: str) -> float:
    value = float(word)
    if not math.isfinite(value) or (value == 0 and re.match("-?[0.]*[1-9]", word)):
        raise ValueError(f"{word[:20]} is no number that a float can hold")
    return value


def _int(word: str) -> int:
    if len(word) > 20 or not -(2**63) <= int(word) < 2**63:
        raise ValueError("a whole number of more than 64 bits")
    return int(word)


def _check_text(value: Any, depth: int = 0) -> None:
    """Raise ValueError for text that is not Unicode, a half of a surrogate pair, and for nesting deeper than DEPTH."""
    if depth > DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        value.encode()  # UnicodeEncodeError is a ValueError
    elif isinstance(value, dict | list):
        for part in [*value, *value.values()] if isinstance(value, dict) else value:
            _check_text(part, depth + 1)


def _environment(path: Path) -> dict[str, Any]:
    """What an environment.json holds. Raises InputError also where a value is not of its kind."""
    value = _json(path)
    plug_ins, seconds = value.get("plug_ins", {}), value.get("seconds", 0)
    kinds = "(data|models|corruptions|regularizers)/.+"
    named = isinstance(plug_ins, dict) and all(re.fullmatch(kinds, k, re.DOTALL) for k in plug_ins)
    wrong = None
    if not named or not all(isinstance(digest, str) for digest in plug_ins.values()):
        wrong = "plug_ins"
    elif seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0):
        wrong = "seconds"
    else:
        wrong = next((k for k in ("commit", "device") if not isinstance(value.get(k), str | None)), None)
    if wrong:
        raise InputError(f"{path} has {wrong} of another kind than a record: the record is damaged; move it away")
    return value


def read(path: Path) -> Record:
    """Read a complete record.

    Raises:
        InputError: a file that is missing, truncated or foreign; a curve that does not agree with its result; a file
        that has another digest than the record, or runs/DIGESTS, holds.
    """
    result, environment = _json(path / "result.json"), _environment(path / "environment.json")
    try:
        spec = Spec.from_file(path / "spec.json")
    except InputError as error:
        made_with = environment.get("plug_ins", {})
        gone = [n for n in made_with if n.partition("/")[2] not in catalog.names(n.partition("/")[0])]
        if gone:
            advice = f"it was made with the plug-in {gone[0]}, which is not here: name its folder in RETHINKING_PLUGINS"
        else:
            advice = "the record is damaged; move it away"
        raise InputError(f"{error}: {advice}") from None
    curve = parse_curve(_text(path / "curve.csv"), path / "curve.csv", spec)
    if spec.run_id != path.name:
        raise InputError(f"{path} holds the spec of {spec.run_id}: a foreign record; move it away")
    if result.keys() - digests.OWN != digests.RESULT:
        raise InputError(f"{path / 'result.json'} has other fields than a result: the record is damaged; move it away")
    if result.get("status") not in STATUSES or not isinstance(result.get("diverged_at", ""), int | None):
        raise InputError(f"{path / 'result.json'} has no status of a run: the record is damaged; move it away")
    last = {name: value if math.isfinite(value) else None for name, value in ((k, v[-1]) for k, v in curve.items())}
    told = tuple(result.get(k) for k in ("steps", "evaluations", "final"))
    if told != (curve["step"][-1], len(curve["step"]), last):
        raise InputError(f"{path / 'curve.csv'} does not agree with result.json: the record is damaged; move it away")
    if isinstance(spec, RunSpec):
        _check_training(path, spec, result, curve)
    digests.check(path, result)
    return Record(path, spec, result, environment, curve)


def check_plug_ins(spec: Spec, environment: dict[str, Any], path: Path) -> None:
    """Raise InputError where a run of `spec`, in the folder `path`, was made with other plug-ins than are there now."""
    then, now = environment.get("plug_ins", {}), spec.plug_ins
    for name in sorted(now):
        if isinstance(then, dict) and then.get(name, now[name]) != now[name]:
            kind, _, named = name.partition("/")
            file = catalog.find(kind, named).path.name
            raise InputError(
                f"{path} was made with another version of {kind}/{file}: move it away, and the run is made again, or "
                "bring the file back"
            )


def _check_training(path: Path, spec: RunSpec, result: dict[str, Any], curve: dict[str, list]) -> None:
    """Raise InputError where a curve and how it is said to have ended cannot be of one run of `spec`."""
    steps, right = curve["step"], curve["train_accuracy"][-1] == 1.0
    if steps[0] != 0 or any(a >= b for a, b in pairwise(steps)):
        raise InputError(f"{path / 'curve.csv'}: steps do not rise from 0: the record is damaged; move it away")
    ended = {
        "fitted": spec.stop == "fitted" and right,
        "budget": steps[-1] == spec.steps,
        "diverged": result["diverged_at"] is not None,
    }
    if not ended.get(result["status"], False):
        raise InputError(
            f"{path / 'result.json'} says {result['status']}, which its curve does not: the record is damaged; move it "
            "away"
        )
    if spec.keep and not (path / "arrays.npz").is_file():
        raise InputError(f"{path / 'arrays.npz'} is missing: the record is damaged; move it away")


def parse_curve(text: str, path: Path, spec: Spec) -> dict[str, list]:
    """The columns of a curve.csv. Raises InputError where it is truncated or has other columns than the spec's."""
    columns = spec.columns
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error:  # a field of more than 128 KiB
        rows = []
    if not rows or tuple(rows[0]) != columns or len(rows) < 2:
        raise InputError(f"{path} is not a curve (columns {','.join(columns)}): the record is damaged; move it away")
    curve: dict[str, list] = {name: [] for name in columns}
    for number, row in enumerate(rows[1:], 2):
        try:
            for name, value in zip(columns, row, strict=True):
                curve[name].append(_int(value) if name in spec.INTEGERS else float(value))
        except ValueError:
            raise InputError(f"{path}, line {number} is damaged: move the record away") from None
    return curve


def parse_log(text: str, path: Path) -> dict[str, list[float]]:
    """The columns of an online.csv. Raises InputError where it is damaged."""
    head, *lines = text.splitlines() or [""]
    try:
        rows = [tuple(map(float, line.split(","))) for line in lines]
        if head != ",".join(LOG_COLUMNS) or any(a[0] >= b[0] for a, b in pairwise(rows)):
            raise ValueError
        return {name: [row[k] for row in rows] for k, name in enumerate(LOG_COLUMNS)}
    except (ValueError, IndexError):
        raise InputError(f"{path} is no online log: the record is damaged; move it away") from None
