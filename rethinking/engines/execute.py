"""One run of any kind, from its lease to its record: the only place where what makes a run and the record meet."""

import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field

from rethinking import data
from rethinking.arithmetic import as_begun
from rethinking.engines.made_with import arithmetic, environment, together
from rethinking.engines.progress import for_weights
from rethinking.errors import InputError
from rethinking.files import reason
from rethinking.machine import cores
from rethinking.record import Record, Row, Runs, Writer, check_plug_ins, leased, write
from rethinking.record.digests import BEGIN_ANEW, MEASURED, WEIGHTS, bytes_of, check_weights, seal, stamped
from rethinking.spec import Context, Kind, Outcome, RunSpec, Spec, Unfit, kind_of
from rethinking.training.batches import to_device

CHECKPOINT_EVERY = 120.0  # seconds; a checkpoint is taken at the first step after that long, and at every stop
STRETCH = 10.0  # seconds over which the speed of training is taken
UNDISTURBED = 0.95  # of a stretch's time in which this process ran: nothing else wanted its core


class _FarEnough(Exception):
    """`until` is reached."""


class Stopped(BaseException):
    """The run was asked to stop, and its checkpoint is written."""


_stop = threading.Event()
_deferring = False


def ask_to_stop() -> bool:
    """Have the run that is being trained stop at its next step, checkpoint written, by raising Stopped.

    For a signal handler. Returns False where none is being trained, and nothing has to be waited for.
    """
    if _deferring:
        _stop.set()
    return _deferring


@contextmanager
def _stops_deferred() -> Iterator[None]:
    global _deferring
    _deferring = True
    try:
        yield
    finally:
        _deferring = False
        if _stop.is_set():
            _stop.clear()
            raise Stopped


class _Clock:
    """Where the time of a run goes, in seconds of all its sittings.

    Attributes:
        total: training and evaluation. evaluation: of it. rates: steps a second, of undisturbed stretches of this
        sitting. load: the machine's load at the end of each of its stretches.
    """

    def __init__(self, total: float = 0.0, evaluation: float = 0.0):
        self.total, self.evaluation = total, evaluation
        self.rates: list[float] = []
        self.load: list[float] = []
        self._before = self._step_end = time.monotonic()
        self._stretch = (time.monotonic(), time.process_time(), 0)
        self._first: tuple[float, int] | None = None

    def step(self, step: int) -> None:
        """A step has ended."""
        now, used = time.monotonic(), time.process_time()
        self._step_end = now
        since, used_then, first = self._stretch
        if now - since >= STRETCH or not first:
            if first and used - used_then >= UNDISTURBED * (now - since):
                self.rates.append((step - first) / (now - since))
            if first:
                with suppress(AttributeError, OSError):  # not on every system
                    self.load.append(os.getloadavg()[0])
            self._stretch = (now, used, step)

    def left(self, step: int, of: int) -> float:
        """Seconds to the end of the budget, at the speed of this sitting; 0 at its first step, which tells none."""
        if self._first is None:
            self._first = time.monotonic(), step
        began, first = self._first
        return round((time.monotonic() - began) * (of - step) / max(1, step - first), 1)

    def evaluated(self) -> None:
        """An evaluation has ended."""
        now = time.monotonic()
        self.evaluation += now - self._step_end
        self._step_end = now
        self._stretch = (now, time.process_time(), 0)

    def so_far(self) -> float:
        """`total`, up to now."""
        now = time.monotonic()
        self.total, self._before = self.total + now - self._before, now
        return self.total

    def summary(self) -> dict[str, Any]:
        """For the record: seconds, and the median speed where undisturbed, beside the load on the machine."""
        out: dict[str, Any] = {"seconds": round(self.so_far(), 1), "evaluation_seconds": round(self.evaluation, 1)}
        out["steps_per_second"] = round(median(self.rates), 4) if self.rates else None
        out["load"] = round(median(self.load), 2) if self.load else None
        return out


def _load(name: str, root: str | None) -> data.ImageSet:
    """The data set, verified once per process, not once per run; an own one again where it is another now."""
    return _loaded(name, str(data.where(name, root)), data.entry(name, root).digest, root)


@lru_cache(maxsize=2)
def _loaded(name: str, folder: str, digest: str | None, root: str | None) -> data.ImageSet:
    return data.load(name, root)


@as_begun()
def execute(
    spec: Spec,
    runs: Runs,
    *,
    device: str = "cpu",
    data_dir: str | None = None,
    on_step: Callable[[int], None] = lambda step: None,
    on_evaluation: Callable[[Row], None] = lambda row: None,
    on_resume: Callable[[int], None] = lambda step: None,
    on_network: Callable[[RunSpec, int], None] = lambda run, step: None,
    until: int | None = None,
    anew: bool = False,
    threads: int = 1,
) -> bool:
    """Make the run of `spec` to its end and record it, going on from its checkpoint where there is one.

    A run of a kind that is not resumable is made from the beginning.

    Args:
        spec: the run. runs: where its record goes. device: a torch device. data_dir: see rethinking.data.data_dir.
        on_step, on_evaluation: called as the run goes on; what they raise ends it, resumable. on_resume: called with
        the step of the checkpoint that the run goes on from. on_network: called with a run and its step as it is
        trained for its weights, which a probe reads. until: break a training run off after that step, and its
        evaluation, with its curve so far and a checkpoint written. anew: begin anew where the checkpoint is refused
        as damaged, stale, another run's or an earlier version's, which deletes it, or is missing. threads: to train a
        network with on the CPU.

    Returns:
        True when the record is complete, or as far as asked; False when another process is making it, or is training
        the run that it needs.

    Raises:
        InputError: no data, no such device; a checkpoint that is refused, of another kind of device, or made with other
        plug-ins.
        OSError: the disk is full, or not writable.
        Stopped: `ask_to_stop` was called, and the checkpoint is written.
    """
    elsewhere = False  # whether another process is training the run whose weights are wanted
    with suppress(_FarEnough), leased(runs, spec) as writer:
        if writer is None:
            return runs.complete(spec)
        writer.notes |= {"device": device, "steps": spec.steps}

        def trained(run: RunSpec) -> dict[str, torch.Tensor]:
            nonlocal elsewhere

            def reached(step: int) -> None:
                writer.notes["summary"] = for_weights(run.run_id, step, run.steps)
                on_network(run, step)

            found = _weights(run, runs, on_step=reached, device=device, data_dir=data_dir, anew=anew)
            writer.notes.pop("summary", None)
            if found is None:
                elsewhere = True
                raise _FarEnough
            weights, made_with[MEASURED] = found
            return weights

        kind = kind_of(spec)
        context = Context(_load(spec.data, data_dir), to_device(device), threads, weights=trained)
        if context.device.type == "cpu":
            torch.set_num_threads(cores() if kind.alone else threads)
        made_with = environment(spec, context.device)
        context.made_with = arithmetic(made_with)
        rows: list[Row] = []
        clock = _Clock()
        try:
            saved = _saved(writer, kind) if kind.resumable else None
        except InputError:
            if not anew:
                raise
            saved = None
        if saved is None:
            writer.discard()  # what another beginning of the run has left
        else:
            notes, context.saved = saved
            rows, before = notes["rows"], notes["made_with"]
            clock = _Clock(notes["seconds"], notes["evaluation_seconds"])
            if before["device"] != made_with["device"]:
                raise InputError(
                    f"{spec.run_id} was begun on {before['device']}, this is {made_with['device']}: give --device "
                    f"{before['device']}, or delete its folder to begin again"
                )
            check_plug_ins(spec, before, writer.path)
            made_with = together(before, made_with)
            on_resume(int(context.saved["step"]))
        saved_at = time.monotonic()

        def save() -> None:
            nonlocal saved_at
            if context.state is None:
                return
            so_far = {"rows": rows, "seconds": clock.so_far(), "evaluation_seconds": clock.evaluation}
            so_far |= {"made_with": made_with, "runs": str(runs.owner.resolve())}
            metadata = {"notes": json.dumps(so_far), **seal(spec.run_id)}
            writer.save(rows, safetensors.torch.save(context.state(), metadata), made_with)
            saved_at = time.monotonic()

        def stop() -> None:
            if _stop.is_set():
                save()
                raise Stopped

        def after(step: int) -> None:
            if kind.resumable and until is not None and step > until:
                save()
                raise _FarEnough
            clock.step(step)
            writer.notes["step"], writer.notes["seconds_left"] = step, clock.left(step, spec.steps)
            on_step(step)
            stop()
            if time.monotonic() - saved_at >= CHECKPOINT_EVERY:
                save()

        context.on_step, context.on_part = after, stop
        with _stops_deferred() if kind.resumable else nullcontext():
            made = kind.run(spec, context)
            while True:
                try:
                    row = next(made)
                except StopIteration as end:
                    outcome: Outcome = end.value
                    break
                except Unfit as error:
                    advice = "delete it, and give --anew"
                    raise InputError(f"{writer.checkpoint_path} is of another run ({error}): {advice}") from None
                clock.evaluated()
                rows.append(row)
                writer.notes["summary"] = spec.summary(row)
                on_evaluation(row)
            save()  # what is killed while the record is completed goes on from here
            if outcome.weights:
                writer.keep(packed(outcome.weights, spec.run_id))
            made_with |= clock.summary() if kind.resumable else {"seconds": round(clock.so_far(), 1)}
            writer.finish(rows, outcome.status, outcome.diverged_at, made_with, outcome.arrays, outcome.log)
    return not elsewhere


def _weights(run: RunSpec, runs: Runs, **options: Any) -> tuple[dict[str, torch.Tensor], str] | None:
    """The weights of a run's network, by name, on the CPU, and the SHA-256 of their file.

    Where they are gone, the run is trained again, with such options of `execute`. One without a record is recorded. One
    whose weights alone are gone is trained elsewhere, from the checkpoint of the last try where there is one, and must
    come out as its record has it; its weights are then kept.

    Returns:
        None where another process is training it.

    Raises:
        InputError: the record or the weights are damaged; the run diverged; trained again, it is another.
    """
    record = runs.find(run)
    if record is None:
        if not execute(run, runs, **options):
            return None
        record = runs.find(run)
        assert record is not None
    if record.result["status"] == "diverged":
        at = f"{run.run_id} diverged at step {record.result['diverged_at']:,}"
        raise InputError(f"{at}, and nothing can be measured on its weights: probe a run that did not diverge")
    path = runs.weights_of(run)  # of a run that was made again, where it has replaced its record
    if not path.is_file():
        with tempfile.TemporaryDirectory() as scratch:
            other = Runs(scratch, runs.checkpoints)
            other.owner = runs.root
            if not execute(run, other, threads=record.threads, **options):
                return None
            second = other.find(run)
            assert second is not None
            difference = record.difference(second)
            content = as_recorded(safetensors.torch.load(other.weights_of(run).read_bytes()), record)
            if difference is None and content is None:
                difference = "the same curve, but other weights"
            if difference or content is None:
                made = record.environment
                raise InputError(
                    f"the weights of {run.run_id} are not in {path.parent}, and trained again on this "
                    f"{options['device']} it is another run ({difference}): name their folder with --weights, or make "
                    f"them where the run was made ({made.get('device_name')}, torch {made.get('torch')})"
                )
            write(path, content)
    check_weights(path, record.result)
    advice = "delete it, and the run is trained again"
    content = bytes_of(path, advice)
    return _tensors(content, path, advice), hashlib.sha256(content).hexdigest()


def tensors(path: Path, advice: str) -> dict[str, torch.Tensor]:
    """What a file of weights holds, on the CPU. Raises InputError where it cannot be read."""
    return _tensors(bytes_of(path, advice), path, advice)


def _tensors(content: bytes, path: Path, advice: str) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load(content)
    except Exception as error:  # safetensors and torch raise what they like at foreign bytes
        raise InputError(f"{path} is damaged ({reason(error)}): {advice}") from None


def packed(weights: dict[str, torch.Tensor], run: str) -> bytes:
    """The file of a run's weights, by name and on the CPU, with its digest and the run's name."""
    return stamped(safetensors.torch.save(weights, seal(run)))


def as_recorded(weights: dict[str, torch.Tensor], record: Record) -> bytes | None:
    """The file of weights that were made again, as its record was completed with it; None where they are others.

    An earlier version of this package wrote the file without its digest.
    """
    held = record.result.get("digests", {}).get(WEIGHTS)
    forms = (packed(weights, record.spec.run_id), safetensors.torch.save(weights))
    return next((form for form in forms if held in (None, hashlib.sha256(form).hexdigest())), None)


def _saved(writer: Writer, kind: Kind) -> tuple[dict[str, Any], dict[str, torch.Tensor]] | None:
    """The notes and the training state of a run's checkpoint, None where there is none.

    Raises:
        InputError: it is damaged, stale, of another run, of an earlier version of this package or, though the run was
        begun, not there.
    """
    found = writer.checkpoint
    if found is None:
        if (writer.path / "curve.csv").exists():  # begun with checkpoints elsewhere, or copied without them
            place = writer.checkpoint_path.parent
            advice = "name their folder with --checkpoints, or give --anew, and the run begins anew"
            raise InputError(f"{writer.path} was begun, and its checkpoint is not in {place}: {advice}")
        return None
    saved, metadata = found
    file = writer.checkpoint_path
    state = _tensors(saved, file, BEGIN_ANEW)
    try:
        notes = json.loads(metadata["notes"])
        _Notes.model_validate(notes)
        columns = [(c.name, int if c.whole else float) for c in writer.spec.described]
        if any([(k, type(v)) for k, v in row.items()] != columns for row in notes["rows"]):
            raise ValueError
    except (ValueError, RecursionError):
        raise InputError(f"{file} is damaged (its notes are not of such a run): {BEGIN_ANEW}") from None
    if not state.keys() >= set(kind.state):
        raise InputError(f"{file} is of an earlier version of this package: {BEGIN_ANEW}")
    if state["step"].dtype != torch.int64 or state["step"].ndim:
        raise InputError(f"{file} is damaged (its step is no whole number): {BEGIN_ANEW}")
    writer.check_rows(notes["rows"])
    return notes, state


class _MadeWith(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")
    device: str


class _Notes(BaseModel):
    """What a checkpoint's metadata tell of a run so far. seconds: of training and evaluation; of evaluation alone."""

    model_config = ConfigDict(strict=True, extra="allow")

    rows: list[dict[str, int | float]]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    evaluation_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    made_with: _MadeWith
