"""`torchrun --nproc-per-node N -m rethinking.imagenet`: one run on a folder of images, to its record."""

import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # DDP would warn of find_unused_parameters: see train.py

import click
import torch
import torch.distributed as dist
from torch.distributed.checkpoint import CheckpointException

from rethinking import figures
from rethinking.arithmetic import as_begun
from rethinking.engines.execute import packed
from rethinking.engines.made_with import arithmetic, environment, together
from rethinking.engines.progress import Progress
from rethinking.errors import InputError
from rethinking.imagenet import checkpoint, reading, train
from rethinking.imagenet.train import Group
from rethinking.paths import expand
from rethinking.record import Record, Runs, Writer, check_plug_ins, leased
from rethinking.record.write import CHECKPOINTS
from rethinking.spec import LARGEST, Context, ImageNetSpec, Outcome, Unfit, from_bytes, from_file

FIGURES = ("table2", "fig2a")
SLOW = "see whether the disk answers, or give fewer --loaders; the same command goes on from the last checkpoint"
TIME, STOP = 1, 2  # why a checkpoint is written: it is time, or the run is asked to stop


class Stopped(BaseException):
    """The run was asked to stop, and its checkpoint is written."""


class OwnError(InputError):
    """What went wrong in this process alone."""


def spec_of(name: str, runs_dir: Path = Path("runs")) -> ImageNetSpec:
    """From a spec's file, - for standard input, or the name of a run: one in `runs_dir`, or that a figure needs.

    Raises InputError for anything else, and for another kind of run.
    """
    known = {
        spec.run_id: spec
        for figure in FIGURES
        for scale in figures.SCALES
        for spec in figures.unique(figures.specs(figure, figures.setting(figure, scale)))
    }
    if name in known:
        spec: Any = known[name]
    elif name == "-":
        spec = from_bytes(sys.stdin.buffer.read(LARGEST + 1))
    else:
        file = next((path for path in (Path(name), runs_dir / name / "spec.json") if path.is_file()), None)
        if file is None:
            named = f"no run in {runs_dir}, and no run of {' or '.join(FIGURES)}"
            raise InputError(f"{name} is no file, {named}: `rethinking plan table2` names these")
        spec = from_file(file)
    if not isinstance(spec, ImageNetSpec):
        raise InputError(f"{name} is of the run {spec.run_id}, which is made by `rethinking run --spec`: give it there")
    return spec


@click.command()
@click.option("--spec", "name", required=True, help="A spec.json, -, or the name of a run that table2 needs.")
@click.option("--data", "path", required=True, help="The folder with train/CLASS/*.JPEG and val/CLASS/*.JPEG.")
@click.option("--runs", "runs_dir", default="runs", show_default=True, help="Folder of the records.")
@click.option("--checkpoints", help="Folder of the checkpoints, seen by all processes; default beside the records.")
@click.option("--weights", help="Folder of the trained weights; default beside the records.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--loaders", type=click.IntRange(0), default=0, help="Processes that read images, for each that trains.")
@click.option(
    "--every", type=click.FloatRange(0), default=600.0, show_default=True, help="Seconds between checkpoints."
)
@click.option("--anew", is_flag=True, help="Begin anew where a checkpoint is damaged or another run's; deletes it.")
@click.option("--check", is_flag=True, help="Read every image once, name those that cannot be read, and end.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but what goes wrong.")
def command(
    name: str,
    path: str,
    runs_dir: str,
    checkpoints: str | None,
    weights: str | None,
    device: str,
    loaders: int,
    every: float,
    anew: bool,
    check: bool,
    quiet: bool,
) -> None:
    """Train one run on a folder of images, by as many processes as its spec says, and record it.

    Stopped by SIGTERM, or killed, the same command goes on from the last checkpoint, to the same record.
    """
    size, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    if math.isnan(every):
        raise InputError("--every is nan: give seconds, 0 or more")
    if name == "-" and size > 1:
        raise InputError(f"{size} processes cannot read one standard input: give --spec a file or a name")
    spec = spec_of(name, expand(runs_dir))
    if size != spec.processes:
        count = "1 process" if spec.processes == 1 else f"{spec.processes} processes"
        raise InputError(f"the spec is of {count}, started are {size}: `{spec.command}`")
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if cuda and local >= (gpus := torch.cuda.device_count()):
        shows = "1 GPU" if gpus == 1 else f"{gpus} GPUs"
        raise InputError(f"device is {device}, and this machine shows {shows}: give one a process, or --device cpu")
    place = torch.device(f"cuda:{local}" if cuda else "cpu")
    if cuda:
        torch.cuda.set_device(place)
    folder = reading.opened(spec, expand(path), loaders)  # its loaders begin before gloo's threads
    runs = Runs(expand(runs_dir), *(each and expand(each) for each in (checkpoints, weights)))
    with _group(size, place) as group, as_begun():
        if not cuda:
            torch.set_num_threads(1)
        if check:
            sys.exit(_checked(folder, group))
        record = make(spec, folder, runs, place, group, every=every, anew=anew, quiet=quiet)
        if group.rank == 0 and not quiet:
            click.echo(record)


def _checked(folder: reading.Folder, group: Group) -> int:
    """Name the images that cannot be read; 1 where there are any."""
    bad = 0
    for line in folder.reader.faults(group.rank, group.size):
        bad += 1
        click.echo(f"rethinking: {line}", err=True)
    bad = int(group.total(torch.tensor(bad)))
    if group.rank == 0:
        every = len(folder.train) + len(folder.test)
        click.echo(f"{bad:,} of {every:,} images cannot be read" if bad else f"all {every:,} images can be read")
    return min(bad, 1)


@contextmanager
def _group(size: int, device: torch.device) -> Iterator[Group]:
    """The processes that torchrun has started."""
    if size == 1:
        yield Group()
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield train.group_here()
    finally:
        dist.destroy_process_group()


def _from_first(group: Group, value: Any) -> Any:
    """What the first process has, in all."""
    held = [value]
    if group.size > 1:
        dist.broadcast_object_list(held, src=0)
    return held[0]


def make(
    spec: ImageNetSpec,
    folder: reading.Folder,
    runs: Runs,
    device: torch.device,
    group: Group,
    *,
    every: float = 600.0,
    anew: bool = False,
    quiet: bool = False,
) -> Path:
    """Make a run to its end and record it, in each of its processes; the first holds the lease and writes.

    Args:
        every: seconds between checkpoints. anew: begin anew where the checkpoint is refused.

    Returns:
        The record's folder.

    Raises:
        InputError: another process makes the run; a record or checkpoint that is refused; an image that cannot be read;
        bfloat16 that is wrong on the first process's machine.
        Stopped: SIGTERM came, and the checkpoint is written.
    """
    with ExitStack() as stack:
        writer, begun = None, {}
        if group.rank == 0:
            try:
                made = runs.find(spec)
                if made is None:
                    writer = stack.enter_context(leased(runs, spec))
                    begun = _begun(spec, folder, writer, device, anew)
                else:
                    begun = _done(made, folder, runs)
            except InputError as error:
                begun = {"error": str(error)}
            except OSError as error:
                begun = {"error": _told(error)}
        begun = _from_first(group, begun)
        if "error" in begun:
            raise InputError(begun["error"])
        if "done" not in begun:
            sitting = _Sitting(spec, folder, device, group, writer, begun, every, quiet)
            with sitting.progress, _terminations(sitting):
                sitting.run()
    return runs.path(spec)


def _done(made: Record, folder: reading.Folder, runs: Runs) -> dict[str, Any]:
    """That there is a record, whose checkpoints are deleted. Raises InputError where it is of other images."""
    held = made.environment.get("data_digest")
    if held != folder.digest:
        raise InputError(
            f"{made.path} was made of the images {held}, here they are {folder.digest}: give the folder of those, or "
            "another --runs"
        )
    _clear(runs.checkpoints / made.path.name / CHECKPOINTS)  # whoever completed it may have been killed right after
    return {"done": True}


def _begun(
    spec: ImageNetSpec, folder: reading.Folder, writer: Writer | None, device: torch.device, anew: bool
) -> dict[str, Any]:
    """What all processes begin with: the place of checkpoints, the last one and its notes. Raises InputError."""
    if writer is None:
        raise InputError(f"another process makes {spec.run_id}: wait for it")
    writer.notes |= {"device": device.type, "steps": spec.steps}
    place = writer.checkpoint_path.parent / CHECKPOINTS
    made_with = environment(spec, device) | train.told(spec) | {"data_digest": folder.digest}
    train.check_precision(spec, device, arithmetic(made_with))
    rest: dict[str, Any] = {"run": spec.run_id, "rows": [], "seconds": 0.0, "made_with": made_with}
    try:
        found = checkpoint.latest(place, spec.run_id)
        if found is not None:
            before = found[1]["made_with"]
            for key, what in (("device", "the device"), ("data_digest", "the images")):
                if before[key] != made_with[key]:
                    raise InputError(
                        f"{spec.run_id} was begun with {what} {before[key]}, here it is {made_with[key]}: go on with "
                        "that, or give --anew"
                    )
            check_plug_ins(spec, before, writer.path)
            rest = {key: found[1][key] for key in rest} | {"made_with": together(before, made_with)}
    except InputError:
        if not anew:
            raise
        _clear(place)
        found = None
    return {"place": place, "from": found and found[0], "notes": rest}


def _clear(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)


class _Sitting:
    """One process's part in making a run, from where it was to its end."""

    def __init__(
        self,
        spec: ImageNetSpec,
        folder: reading.Folder,
        device: torch.device,
        group: Group,
        writer: Writer | None,
        begun: dict[str, Any],
        every: float,
        quiet: bool,
    ):
        self.spec, self.group, self.writer, self.every = spec, group, writer, every
        self.place, self.notes = begun["place"], begun["notes"]
        saved = None if begun["from"] is None else checkpoint.load(begun["from"])
        self.context = Context(folder, device, on_step=self.after, saved=saved)  # type: ignore[arg-type]
        self.progress = Progress([spec], 1, quiet or group.rank > 0)
        self.since = self.saved_at = time.monotonic()
        self.stopping = False

    def run(self) -> None:
        """To the end, and in the first process the record."""
        self.progress.begin(self.spec)
        if self.context.saved is not None:
            self.progress.resumed(self.spec, int(self.context.saved["step"]))
        made = train.run(self.spec, self.context)
        while True:
            try:
                row = next(made)
            except StopIteration as end:
                outcome: Outcome = end.value
                break
            except Unfit as error:
                raise InputError(f"{self.place} is of another run ({error}): {checkpoint.ADVICE}") from None
            except InputError as error:  # of an image; a loader's has its traceback before it
                raise OwnError(str(error).rpartition("InputError: ")[2]) from None
            self.notes["rows"].append(row)
            self.progress.evaluation(self.spec, row)
            if self.writer is not None:
                self.writer.notes["summary"] = self.spec.summary(row)
        self.save()  # what is killed while the record is completed goes on from here
        if self.writer is not None:
            self.writer.keep(packed(outcome.weights, self.spec.run_id))
            made_with = self.notes["made_with"] | {"seconds": round(self.notes["seconds"], 1)}
            self.writer.finish(self.notes["rows"], outcome.status, outcome.diverged_at, made_with)
            _clear(self.place)
        self.progress.end(self.spec, "done")

    def after(self, step: int) -> None:
        """A step has ended, or a batch of an evaluation: all processes agree whether a checkpoint is written."""
        late = self.group.rank == 0 and time.monotonic() - self.saved_at >= self.every
        wanted = torch.tensor(STOP if self.stopping else TIME if late else 0)
        reason = int(self.group.total(wanted, dist.ReduceOp.MAX))
        if reason:
            self.save()
        if reason == STOP:
            raise Stopped
        self.progress.step(self.spec, step)
        if self.writer is not None:
            self.writer.notes["step"] = step

    def save(self) -> None:
        """A checkpoint of now."""
        now = time.monotonic()
        self.notes["seconds"] += now - self.since
        self.since = self.saved_at = now
        assert self.context.state is not None
        state = self.context.state()
        checkpoint.save(self.place, int(state["step"]), state, self.group, self.notes)


@contextmanager
def _terminations(sitting: _Sitting) -> Iterator[None]:
    """SIGTERM and Ctrl-C stop the run after its step."""

    def stop(*_: Any) -> None:
        sitting.stopping = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _told(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}: make room or name another folder, and try again"


def main() -> NoReturn:
    """The command; what goes wrong is one line of the first process, or of the one that it goes wrong in."""
    rank = os.environ.get("RANK", "0")
    text, status, own = "", 0, False
    try:
        command(standalone_mode=False, prog_name="python -m rethinking.imagenet")
    except click.ClickException as error:
        text, status = error.format_message(), 2
    except InputError as error:
        text, status, own = str(error), 2, isinstance(error, OwnError)
    except OSError as error:
        text, status = _told(error), 2
    except CheckpointException as error:
        reason = next(iter(error.failures.values()))[0]
        text, status = f"no checkpoint can be written ({reason}): make room, or name another --checkpoints", 2
    except Stopped:
        text, status = "stopped; the same command goes on from here", 143
    except RuntimeError as error:  # of loaders; gloo's and NCCL's, where another process has ended
        if "DataLoader" in str(error):
            text, status, own = f"{' '.join(str(error).split())}: {SLOW}", 1, True
        elif not any(word in str(error) for word in ("gloo", "NCCL", "peer")):
            raise
        else:
            text, status = "another process has ended; the same command goes on from the last checkpoint", 1
            own = rank == "1"  # it may be the first that has ended
    if text and (rank == "0" or own):
        click.echo(f"rethinking: {' '.join(text.split())}", err=True)
    sys.exit(status)


def _leave(status: int) -> NoReturn:
    """End this process at once. Python's own way out ends threads of gloo and autograd within C++, which may abort."""
    reading.end_loaders()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    try:
        main()
    except SystemExit as end:
        if os.environ.get("WORLD_SIZE", "1") != "1":
            _leave(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise
