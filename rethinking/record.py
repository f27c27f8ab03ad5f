"""Records of runs, and the only module that opens runs/.

A record is a folder `<runs>/<run_id>/`:

    spec.json          what was asked for
    curve.csv          one row per evaluation
    online.csv         the online log: mean loss (nats) and accuracy of the training batches since the line before;
                       runs made before it was kept have none
    environment.json   what it was made with: versions, commit, device, precision, seconds, digests of plug-ins
    arrays.npz         where the spec has `keep`: what is kept of the trained network
    weights.safetensors, checkpoint.safetensors    ignored by git; the checkpoint goes when the run is complete
    claim-0, claim-1 ...    who is training it now
    result.json        written last: its existence means that the run is complete

Every file appears whole or not at all: temporary file, fsync, rename.
"""

import csv
import io
import json
import math
import os
import re
import shutil
import socket
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.spec import RunSpec, Spec

if TYPE_CHECKING:
    import numpy as np

COLUMNS = RunSpec.COLUMNS
HEARTBEAT = 10.0  # seconds between signs of life of whoever trains a run
SILENCE = 180.0  # seconds without one after which a claim from another machine is given up

Row = dict[str, Any]
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
        return _held(self.path(spec))

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

    def begun(self, spec: Spec) -> Record:
        """The record of `spec`, or what there is of its curve so far. Raises InputError."""
        if self.complete(spec):
            return read(self.path(spec))
        path = self.path(spec)
        made_with = _json(path / "environment.json")
        return Record(path, spec, {}, made_with, parse_curve(_text(path / "curve.csv"), path / "curve.csv", spec))

    def reached(self, spec: Spec) -> int | None:
        """The step that an unfinished run goes on from; None where it has no checkpoint. Raises InputError."""
        from safetensors import SafetensorError, safe_open

        path = self.checkpoints / spec.run_id / "checkpoint.safetensors"
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

    def folders(self) -> list[Path]:
        """The folders of runs, complete or not, sorted: those that hold a spec, and have its name."""
        return sorted(p.parent for p in self.root.glob("*/spec.json") if _named(p) == p.parent.name)

    def idle(self) -> list[Path]:
        """The folders that no live process is training, sorted."""
        return [p for p in self.folders() if not _held(p)]

    def unfinished(self) -> list[Path]:
        """Those of them without a result."""
        return [p for p in self.idle() if not (p / "result.json").exists()]

    def delete(self, path: Path) -> bool:
        """Delete a run's folder, result first, so that half of a deletion is an unfinished run.

        Returns:
            False where a live process is training it: it is left alone.
        """
        if _held(path):
            return False
        (path / "result.json").unlink(missing_ok=True)
        shutil.rmtree(path)
        shutil.rmtree(self.checkpoints / path.name, ignore_errors=True)
        return True

    def writable(self) -> None:
        """Raise InputError where records could not be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise InputError(f"cannot write to {self.root} ({error.strerror}): name another with --runs") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(f"{path} cannot be read ({reason}): the record is damaged; move it away") from None


def _named(path: Path) -> str | None:
    """The name of the run whose spec.json is at `path`, None where it is no spec."""
    try:
        return Spec.from_file(path).run_id
    except InputError:
        return None


def _json(path: Path) -> dict[str, Any]:
    text = _text(path)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", type(error).__name__)
        raise InputError(f"{path} is not valid JSON ({reason}): the record is damaged; move it away") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} is not a JSON object: the record is damaged; move it away")
    return value


def read(path: Path) -> Record:
    """Read a complete record.

    Raises:
        InputError: a file that is missing, truncated or foreign; a curve that does not agree with its result.
    """
    result, environment = _json(path / "result.json"), _json(path / "environment.json")
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
    if result.get("status") not in STATUSES or not isinstance(result.get("diverged_at", ""), int | None):
        raise InputError(f"{path / 'result.json'} has no status of a run: the record is damaged; move it away")
    last = {name: value if math.isfinite(value) else None for name, value in ((k, v[-1]) for k, v in curve.items())}
    told = tuple(result.get(k) for k in ("steps", "evaluations", "final"))
    if told != (curve["step"][-1], len(curve["step"]), last):
        raise InputError(f"{path / 'curve.csv'} does not agree with result.json: the record is damaged; move it away")
    if isinstance(spec, RunSpec):
        _check_training(path, spec, result, curve)
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
                curve[name].append(int(value) if name in spec.INTEGERS else float(value))
        except ValueError:
            raise InputError(f"{path}, line {number} is damaged: move the record away") from None
    return curve


def format_curve(rows: Sequence[Row]) -> str:
    """curve.csv of evaluations; floats as the shortest text that reads back to the same bits."""
    lines = [",".join(rows[0])]
    lines += [",".join(repr(row[name]) for name in rows[0]) for row in rows]
    return "\n".join(lines) + "\n"


LOG_COLUMNS = ("step", "online_loss", "online_accuracy")


def format_log(log: Sequence[Sequence[float]]) -> str:
    """online.csv of a `Training.log`: means of six digits."""
    lines = [f"{step:.0f},{loss / images:.6g},{right / images:.6g}" for step, loss, right, images in log]
    return "\n".join([",".join(LOG_COLUMNS), *lines]) + "\n"


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


def write(path: Path, content: bytes | str) -> None:
    """Write a file so that it appears whole or not at all, and stays after a power cut."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
        if os.name == "posix":  # else the name may be lost, though the bytes are not
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class Writer:
    """Writes one run's record; obtained from `claim`, so no other process writes it."""

    def __init__(self, path: Path, spec: Spec, checkpoints: Path | None = None):
        self.path, self.spec = path, spec
        self.checkpoint_path = (checkpoints or path.parent) / path.name / "checkpoint.safetensors"

    @property
    def checkpoint(self) -> bytes | None:
        """The last checkpoint, None where there is none."""
        try:
            return self.checkpoint_path.read_bytes()
        except FileNotFoundError:
            return None

    def save(self, rows: Sequence[Row], checkpoint: bytes, environment: dict[str, Any]) -> None:
        """Keep what is needed to go on from here."""
        write(self.checkpoint_path, checkpoint)
        write(self.path / "environment.json", json.dumps(environment, indent=2) + "\n")
        if not rows:  # stopped within the first evaluation
            return
        write(self.path / "curve.csv", format_curve(rows))

    def finish(
        self,
        rows: Sequence[Row],
        status: str,
        diverged_at: int | None,
        environment: dict[str, Any],
        arrays: "dict[str, np.ndarray] | None" = None,
        log: Sequence[Sequence[float]] = (),
    ) -> None:
        """Complete the record. status: "fitted", "budget" or "diverged", or of a run that trains nothing "computed".

        log: of `Training.log`.
        """
        last = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in rows[-1].items()}
        result = {
            "status": status,
            "steps": rows[-1]["step"],
            "evaluations": len(rows),
            "diverged_at": diverged_at,
            "final": last,
        }
        write(self.path / "curve.csv", format_curve(rows))
        write(self.path / "environment.json", json.dumps(environment, indent=2) + "\n")
        if arrays:
            import numpy as np

            packed = io.BytesIO()
            np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
            write(self.path / "arrays.npz", packed.getvalue())
        if log:
            write(self.path / "online.csv", format_log(log))
        write(self.path / "result.json", json.dumps(result, indent=2, allow_nan=False) + "\n")
        self.checkpoint_path.unlink(missing_ok=True)
        for folder in {self.path, self.checkpoint_path.parent}:
            for left in folder.glob(".*.*"):  # by a sitting that was killed while it wrote
                left.unlink(missing_ok=True)
        if self.checkpoint_path.parent != self.path:
            with suppress(OSError):  # there is none, or something else is in it
                self.checkpoint_path.parent.rmdir()


# --- claims: who trains a run ---------------------------------------------------------------------


@contextmanager
def claim(runs: Runs, spec: Spec) -> Iterator[Writer | None]:
    """Hold a run for this process; yields None where another holds it or it is complete.

    A claim is the atomic mkdir of claim-<k>; the highest k owns the run. Whoever finds its owner dead (the process is
    gone, or on another machine, whose clock must agree with ours to a minute, it has been silent for SILENCE seconds)
    takes claim-<k+1>: of two who try, one succeeds, and nothing is ever taken away from a live owner. File locks would
    not do: across machines they may not exclude.
    """
    folder = runs.path(spec)
    if runs.complete(spec):
        yield None
        return
    runs.writable()
    folder.mkdir(exist_ok=True)
    latest = _latest(folder)
    if _held(folder):
        yield None
        return
    mine = folder / f"claim-{0 if latest is None else _number(latest) + 1}"
    try:
        mine.mkdir()
    except (FileExistsError, FileNotFoundError):  # another was first, or has just given an impossible run up
        yield None
        return
    stop = threading.Event()
    try:
        write(mine / "owner.json", json.dumps(_me()))
        beat = threading.Thread(target=_beat, args=(mine / "owner.json", stop), daemon=True)
        beat.start()
        if runs.complete(spec):  # finished between the two looks
            yield None
            return
        if _named(folder / "spec.json") != spec.run_id:  # not there, or damaged
            write(folder / "spec.json", spec.to_json())
        yield Writer(folder, spec, runs.checkpoints)
    except Exception as error:  # a run that cannot be leaves nothing behind; one that the disk stops does
        if not isinstance(error, OSError) and {p.name for p in folder.iterdir()} <= {"spec.json", mine.name}:
            (folder / "spec.json").unlink(missing_ok=True)
        raise
    finally:
        stop.set()
        for old in _claims(folder):
            if _number(old) <= _number(mine):
                shutil.rmtree(old, ignore_errors=True)
        with suppress(OSError):  # not empty
            folder.rmdir()


def _number(path: Path) -> int:
    return int(path.name.removeprefix("claim-"))


def _claims(folder: Path) -> list[Path]:
    return [p for p in folder.glob("claim-*") if re.fullmatch("claim-[0-9]{1,9}", p.name)]


def _latest(folder: Path) -> Path | None:
    return max(_claims(folder), key=_number, default=None)


def _held(folder: Path) -> bool:
    latest = _latest(folder)
    return latest is not None and _alive(latest)


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        try:
            os.utime(path)
        except FileNotFoundError:
            return
        except OSError:  # a network's folder that does not answer now may do so at the next beat
            continue


def _me() -> dict[str, Any]:
    return {"host": _host(), "pid": os.getpid(), "started": _started(os.getpid())}


def _host() -> str:
    """This machine since its last start, and this process namespace: where a process id means something."""
    parts = [socket.gethostname()]
    for read_part in (
        lambda: Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        lambda: os.readlink("/proc/self/ns/pid"),
    ):
        try:
            parts.append(read_part())
        except OSError:
            continue
    return "/".join(parts)


def _started(pid: int) -> str | None:
    """When a process started, as the kernel counts; None where it is gone, a zombie, or this cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _alive(path: Path) -> bool:
    try:
        owner = json.loads((path / "owner.json").read_text())
        host, pid, started = (owner[k] for k in ("host", "pid", "started"))
        seen = (path / "owner.json").stat().st_mtime
    except (OSError, ValueError, TypeError, KeyError):
        try:
            return time.time() - path.stat().st_mtime < HEARTBEAT  # about to write its name
        except OSError:
            return False
    if host == _host() and Path("/proc/self/stat").exists():
        return _started(pid) is not None and _started(pid) == started
    return time.time() - seen < SILENCE
