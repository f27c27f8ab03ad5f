"""This machine's engine: independent runs in worker processes, on a core each or on GPUs."""

import functools
import json
import math
import os
import re
import selectors
import signal
import subprocess
import sys
import sysconfig
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import rethinking
from rethinking.engines.progress import Progress
from rethinking.errors import InputError
from rethinking.machine import gpu_count, workers_that_fit
from rethinking.record import Runs
from rethinking.spec import Spec, kind_of

POLL = 2.0  # seconds between looks at runs that another process is training
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# glibc keeps freed memory, in huge pages: activations are not faulted in anew each step, a tenth of it in float32.
KEEP_MEMORY = {
    "GLIBC_TUNABLES": ":".join(
        f"glibc.malloc.{k}" for k in ("hugetlb=1", f"mmap_threshold={2**32}", f"trim_threshold={2**32}")
    )
}
# A run that has the machine to itself gives it back: a factorization's temporaries grow with each block, and kept ones
# too small for the next took, unpredictably, up to 10 GB beside a matrix of 14 GB.
RETURN_MEMORY = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
# What a process of ours runs first: it has the parent's path, and this package from where the parent has it.
BOOT = """
import sys
sys.path[:] = {path!r}
from importlib import import_module, util
spec = util.spec_from_file_location("rethinking", {file!r}, submodule_search_locations={folders!r})
sys.modules["rethinking"] = package = util.module_from_spec(spec)
spec.loader.exec_module(package)
import_module({module!r}).main(*{arguments!r})
"""


@dataclass(frozen=True)
class Failure:
    """A run that could not be finished, and why."""

    spec: Spec
    reason: str


@dataclass
class _Worker:
    process: subprocess.Popen
    device: str
    spec: Spec | None = None
    tail: bytes = b""

    @property
    def output(self) -> IO[bytes]:
        """Its standard output: an event a line."""
        assert self.process.stdout is not None
        return self.process.stdout

    def send(self, spec: Spec, until: int | None, anew: bool, again: set[str]) -> None:
        self.spec = spec
        stream: IO[bytes] = self.process.stdin  # type: ignore[assignment]
        try:
            job: dict[str, Any] = {"spec": spec.model_dump(mode="json"), "until": until, "anew": anew}
            job["again"] = sorted(again)
            stream.write(json.dumps(job).encode() + b"\n")
            stream.flush()
        except BrokenPipeError:
            pass  # it died before its first run; seen at its end of output


def resolve_device(device: str) -> str:
    """For "auto" cuda where there is a GPU, else cpu; the others allowed stay.

    Raises InputError for another name than auto, cpu, cuda and cuda:N, and for a GPU that is not there.
    """
    if not re.fullmatch("auto|cpu|cuda(:[0-9]{1,9})?", device):
        raise InputError(f"device is {device!r}, allowed are auto, cpu, cuda and one GPU, as cuda:0")
    if device.startswith("cuda"):
        count, index = gpu_count(), int(device[5:] or 0)
        if index >= count:
            seen = f"GPUs seen: cuda:0 to cuda:{count - 1}" if count else "no NVIDIA GPU is seen"
            raise InputError(
                f"device {device!r} is not available here ({seen}): use {'one of them' if count else 'cpu'}"
            )
    return ("cuda" if gpu_count() else "cpu") if device == "auto" else device


def resolve_precision(precision: str, device: str) -> str:
    """ "auto" is bfloat16 on a GPU and on processors that multiply it natively (AVX512-BF16, AMX), else float32.

    Raises InputError for another word than auto, float32 and bfloat16, which stay.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise InputError(f"precision is {precision!r}, allowed are auto, float32 and bfloat16")
    if precision != "auto":
        return precision
    if device.startswith("cuda"):
        return "bfloat16"
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return "float32"
    return "bfloat16" if {"avx512_bf16", "amx_bf16"} & set(flags) else "float32"


def default_workers(device: str) -> int:
    """One per GPU for "cuda", one for a named GPU, one per usable core for the CPU as far as memory holds them."""
    if device == "cuda":
        return max(1, gpu_count())
    return workers_that_fit() if device == "cpu" else 1


def places(device: str, workers: int) -> list[str]:
    """The torch device of each worker: for "cuda" the GPUs in turn, so that several share one where there are more."""
    return [f"cuda:{k % max(1, gpu_count())}" if device == "cuda" else device for k in range(workers)]


def shard_of(specs: Sequence[Spec], shard: str) -> list[Spec]:
    """The shard "i/n", i from 1: every n-th run of the list, so that n job-array tasks share out all of them.

    Raises InputError where the shard is no such text.
    """
    index, _, count = shard.partition("/")
    plain = re.fullmatch("[0-9]{1,9}/[0-9]{1,9}", shard)
    if not plain or not 1 <= int(index) <= int(count):
        raise InputError(f"shard is {shard!r}, allowed is i/n with 1 <= i <= n, as 2/8")
    return list(specs[int(index) - 1 :: int(count)])


def run(
    specs: Sequence[Spec],
    runs: Runs,
    *,
    device: str = "cpu",
    workers: int | None = None,
    data_dir: str | None = None,
    wait: bool = True,
    until: int | None = None,
    anew: bool = False,
    deadline: float = math.inf,
    quiet: bool = False,
    threads: int = 1,
) -> list[Failure]:
    """Train every run of `specs` that is not complete.

    A worker that dies is replaced, and its run goes on from its checkpoint, once; the other runs finish. Ctrl-C and
    SIGTERM stop all workers and leave everything resumable.

    Args:
        device: "cpu", "cuda" (all GPUs) or a torch device. workers: processes; default `default_workers`.
        wait: whether to wait for runs that another process is training. until: break training runs off after that step.
        anew: begin a run anew whose checkpoint is refused.
        deadline: of time.monotonic; then all workers stop as at SIGTERM, and what is not complete is no failure.
        quiet: say nothing of how the runs go on.
        threads: to train a network with on the CPU, of each worker.

    Returns:
        The runs that failed, with the reason.
    """
    waiting = [spec for spec in specs if not runs.complete(spec)]
    if not waiting or time.monotonic() >= deadline:
        return []
    alone = device == "cpu" and kind_of(waiting[0]).alone
    if device == "cpu" and len({kind_of(spec).alone for spec in waiting}) > 1:  # first all that share the cores
        parts = [[s for s in waiting if kind_of(s).alone is each] for each in (False, True)]
        options: dict[str, Any] = {"device": device, "workers": workers, "data_dir": data_dir, "wait": wait}
        options |= {"until": until, "anew": anew, "deadline": deadline, "quiet": quiet, "threads": threads}
        return [failure for part in parts for failure in run(part, runs, **options)]
    runs.writable()
    count = 1 if alone else min(workers or default_workers(device), len(waiting))
    with stopping(), selectors.DefaultSelector() as selector, Progress(waiting, count, quiet) as progress:
        spawn = functools.partial(_spawn, runs, data_dir=data_dir, alone=alone, threads=threads)
        crew = _Crew(waiting, runs, spawn, selector, progress, until, anew)
        crew.deadline = deadline
        try:
            crew.work(places(device, count), wait)
        finally:
            crew.dismiss()
    return crew.failures


class _Crew:
    """Workers, and the runs that they are given.

    Args:
        specs: the runs. spawn: starts a worker process at a place.

    Attributes:
        deadline: of time.monotonic, when `work` ends. waiting: runs that no worker has. elsewhere: runs that another
        process is training. retried: those that failed once. failures: those that failed for good.
    """

    def __init__(
        self,
        specs: Sequence[Spec],
        runs: Runs,
        spawn: Callable[[str], subprocess.Popen],
        selector: selectors.BaseSelector,
        progress: Progress,
        until: int | None = None,
        anew: bool = False,
    ):
        self.runs, self.spawn, self.selector, self.progress = runs, spawn, selector, progress
        self.until, self.anew, self.deadline = until, anew, math.inf
        self.waiting, self.elsewhere = deque(specs), list[Spec]()
        self.failures, self.retried = list[Failure](), set[str]()
        self.workers: list[_Worker] = []
        self._look_again = 0.0

    def work(self, places: list[str], wait: bool) -> None:
        """Until every run is done, or is another process's and not waited for, or the deadline.

        places: where to start a worker each.
        """
        for place in places:
            self._start(place)
        while any(w.spec for w in self.workers) or self.waiting or self._awaited(wait):
            if self.late():
                return
            for key, _ in self.selector.select(timeout=min(POLL, max(0.0, self.deadline - time.monotonic()))):
                self._listen(key.data)
            if self._awaited(wait) and time.monotonic() >= self._look_again:
                self._look_again = time.monotonic() + POLL
                free = [s for s in self._awaited(wait) if self.runs.free(s)]
                self.waiting.extend(free)
                self.elsewhere = [s for s in self.elsewhere if s not in free]
            if self.waiting and not self.workers:
                self._start(places[0])
            for worker in self.workers:
                if worker.spec is None:
                    self._feed(worker)

    def _awaited(self, wait: bool) -> list[Spec]:
        """The runs elsewhere to wait for: all of them, or those whose worker died here, as its lease may outlive it."""
        return [spec for spec in self.elsewhere if wait or spec.run_id in self.retried]

    def late(self) -> bool:
        """Whether the deadline is over."""
        return time.monotonic() >= self.deadline

    def dismiss(self) -> None:
        """End all workers; a run that one is at stays resumable."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            end(worker.process, 10)

    def _start(self, place: str) -> None:
        worker = _Worker(self.spawn(place), place)
        self.workers.append(worker)
        os.set_blocking(worker.output.fileno(), False)
        self.selector.register(worker.output, selectors.EVENT_READ, worker)
        self._feed(worker)

    def _feed(self, worker: _Worker) -> None:
        """Give it the next run that is still to be done."""
        worker.spec = None
        while self.waiting:
            spec = self.waiting.popleft()
            if not self.runs.complete(spec):
                self.progress.begin(spec)
                worker.send(spec, self.until, self.anew, self.runs.again)
                return

    def _listen(self, worker: _Worker) -> None:
        """Read what it says: whole lines are events, the end of its output is its end."""
        chunk = worker.output.read()
        if chunk == b"":
            self._bury(worker)
            return
        *lines, worker.tail = (worker.tail + (chunk or b"")).split(b"\n")
        for line in lines:
            self._handle(worker, json.loads(line))

    def _handle(self, worker: _Worker, event: dict[str, Any]) -> None:
        spec = worker.spec
        assert spec is not None
        kind = event.pop("event")
        if kind == "step":
            self.progress.step(spec, **event)
        elif kind == "evaluation":
            self.progress.evaluation(spec, event)
        elif kind == "resumed":
            self.progress.resumed(spec, event["step"])
        else:
            if kind == "busy":
                self.elsewhere.append(spec)
            elif kind == "error":
                self._failed(spec, event["message"], event["retry"])
            self.progress.end(spec, {"done": "done", "busy": "another process is training it"}.get(kind, "failed"))
            self._feed(worker)

    def _failed(self, spec: Spec, reason: str, retry: bool) -> None:
        if retry and spec.run_id not in self.retried:
            self.retried.add(spec.run_id)
            self.waiting.appendleft(spec)
        else:
            self.failures.append(Failure(spec, reason))

    def _bury(self, worker: _Worker) -> None:
        """Replace one that has died, where there is still something to do."""
        self.selector.unregister(worker.output)
        self.workers.remove(worker)
        code = end(worker.process, None)
        if worker.spec is not None:
            self._failed(worker.spec, f"its worker ended with status {code}, twice", True)
            self.progress.end(worker.spec, "its worker died")
        if self.waiting:
            self._start(worker.device)


def worker_environment(
    device: str, alone: bool = False, threads: int = 1, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment variables of a process that trains on `device`; alone: with all cores to itself."""
    memory = RETURN_MEMORY if alone else KEEP_MEMORY
    return memory | dict(environ) | (dict.fromkeys(THREADS, str(threads)) if device == "cpu" and not alone else {})


def command(module: str, *arguments: str | None) -> list[str]:
    """The command line of a process that calls `main(*arguments)` of a module of this package.

    It imports what this process imports, whatever the working directory holds: this package from the same files, the
    rest along the same path, but for the standard library, which comes first, and the working directory, which comes
    last where this process has it.
    """
    here = os.path.realpath(".")
    places = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    names = ("lib-dynload", "DLLs", "python{}{}.zip".format(*sys.version_info))

    def rank(place: str) -> int:
        if os.path.realpath(place or ".") == here:
            return 2
        return 0 if place in places or os.path.basename(place) in names else 1

    path = [os.path.abspath(place) for place in sorted(map(os.fspath, sys.path), key=rank)]
    file, folders = os.path.abspath(str(rethinking.__file__)), [os.path.abspath(f) for f in rethinking.__path__]
    code = BOOT.format(path=path, file=file, folders=folders, module=f"rethinking.{module}", arguments=arguments)
    return [sys.executable, "-P", "-c", code]


def end(process: subprocess.Popen, patience: float | None) -> int:
    """Wait until a process that is to end has ended, killed after `patience` seconds if any, and close its pipes.

    Returns:
        Its exit status.
    """
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
    status = process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(BrokenPipeError):
            if pipe is not None:
                pipe.close()
    return status


def _spawn(runs: Runs, device: str, data_dir: str | None, alone: bool, threads: int) -> subprocess.Popen:
    folders = (str(runs.root.absolute()), device, *(str(p.absolute()) for p in (runs.checkpoints, runs.weights)))
    words = command("engines.worker", *folders, str(Path(data_dir).absolute()) if data_dir else None, str(threads))
    return subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=worker_environment(device, alone, threads),
        start_new_session=True,
    )


@contextmanager
def stopping() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that a batch system's warning is a clean stop."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread: the caller handles its signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
