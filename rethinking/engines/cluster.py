"""The engine on a Ray cluster: the runs of the local engine, made by its nodes, recorded by this process.

No disk is shared. A node returns a finished record as bytes, and this process puts it in place with a rename, so that
whatever is lost, a node or this process, what is recorded stays and the same command goes on. What is in flight is at
most a few runs for each core, so this process holds no more than those.
"""

import math
import os
import time
import uuid
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rethinking import revision
from rethinking.engines import node
from rethinking.engines.connection import Cluster, Share, connected, first_line
from rethinking.engines.local import POLL, Failure, default_workers, stopping
from rethinking.engines.made_with import deciding
from rethinking.engines.progress import Progress
from rethinking.errors import InputError
from rethinking.record import Runs, Writer, leased, parcel, write
from rethinking.record.digests import check_weights
from rethinking.spec import ProbeSpec, Spec, kind_of

AHEAD = 2  # runs in flight for each that the nodes can make at once, so that none waits for this process
COUNT_EVERY = 10.0  # seconds between looks at what nodes there are
LOST = 10  # times that a run's node, or the process there, may be lost or told to end
HELD = 20.0  # seconds until a run is tried again that another node seems to be at
UNTOUCHED = {"LD_PRELOAD"}  # of what decides arithmetic: it names a file of one machine


class _Unfinished(Exception):
    """Gives a lease up without a record."""


def device_of(device: str, gpus: float) -> str:
    """The device of a cluster's runs, "cpu" or "cuda". gpus: of each run, 0 where none was asked for.

    Raises InputError for one GPU, which Ray hands out, and for a word that does not fit the number of GPUs.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"--device is {device!r}, and the engine ray hands out the GPUs: give auto, cpu or cuda")
    if not (math.isfinite(gpus) and (0 <= gpus <= 1 or (gpus > 1 and gpus == int(gpus)))):
        raise InputError(f"--gpus-per-run is {gpus:g}, allowed are a share of one GPU, as 0.25, and whole numbers")
    if device == "cpu" and gpus:
        raise InputError(f"--gpus-per-run is {gpus:g} beside --device cpu: leave one of them out")
    if device == "cuda" and not gpus:
        raise InputError("--device is cuda, and --gpus-per-run is not given: give how many a run takes, as 1 or 0.25")
    return "cuda" if gpus else "cpu"


def run(
    specs: Sequence[Spec],
    runs: Runs,
    *,
    address: str | None = None,
    gpus: float = 0.0,
    workers: int | None = None,
    data_dir: str | None = None,
    wait: bool = True,
    anew: bool = False,
    deadline: float = math.inf,
    quiet: bool = False,
    threads: int = 1,
) -> list[Failure]:
    """Make every run of `specs` that is not complete, as `rethinking.engines.local.run` does, on a cluster's nodes.

    A run whose node is lost is made again elsewhere: from its checkpoint where the folder of checkpoints is another
    than that of the records and the nodes share it, else from its beginning. Ctrl-C and SIGTERM end what is in flight.

    Args:
        address: HOST:PORT of the cluster; None for one that is started on this machine, and ended in the end.
        gpus: of each run: 0 for the CPU, a share of one GPU, or a whole number. workers: the most runs in flight; of a
        cluster that is started here its cores. threads: the cores of a run on the CPU.
        Others are those of the local engine.

    Returns:
        The runs that failed, with the reason.

    Raises:
        InputError: no such cluster, a wrong token, too few cores or GPUs; a node that lacks the data, or has another
        version of the package or of a plug-in.
    """
    waiting = [spec for spec in specs if not runs.complete(spec)]
    if not waiting or time.monotonic() >= deadline:
        return []
    device = "cuda" if gpus else "cpu"
    cores = (workers or default_workers("cpu")) * threads
    failures: list[Failure] = []
    job = uuid.uuid4().hex[:12]
    with connected(address, cores, gpus) as cluster, stopping():
        for part, alone in _parts(waiting, runs, device):
            share = Share(threads, gpus, alone)
            terms = _terms(job, part, runs, device=device, alone=alone, data_dir=data_dir, threads=threads)
            cluster.check_room(share)
            cluster.check_nodes(terms, share)
            runs.writable()
            notes = cluster.check_shared(terms, share)
            room = sum(cluster.nodes(share).values())
            at_once = min(room, len(part), *([workers] if workers else []))
            with Progress(part, at_once, quiet) as progress:
                for note in notes:
                    progress.note(note)
                fleet = _Fleet(cluster, terms, share, part, runs, progress)
                fleet.anew, fleet.deadline = anew, deadline
                fleet.most = workers if address is not None else None
                try:
                    fleet.work(wait)
                except cluster.ray.exceptions.RayError as error:
                    told = f"the connection to {cluster.address} was lost ({first_line(error)})"
                    raise InputError(f"{told}: see to the cluster, and the same command goes on") from None
                finally:
                    fleet.dismiss()
            failures += fleet.failures
            if time.monotonic() >= deadline:
                break
    return failures


def _parts(specs: Sequence[Spec], runs: Runs, device: str) -> list[tuple[list[Spec], bool]]:
    """The runs in the order in which they can be made: networks, what measures them, and what has a node to itself."""
    measured = {s.run.run_id: s.run for s in specs if isinstance(s, ProbeSpec) and not runs.complete(s.run)}
    every = {**measured, **{spec.run_id: spec for spec in specs}}.values()
    alone = [device == "cpu" and kind_of(spec).alone for spec in every]
    ranked = [(spec, (lonely, isinstance(spec, ProbeSpec))) for spec, lonely in zip(every, alone, strict=True)]
    ranks = sorted({rank for _, rank in ranked})
    return [([spec for spec, rank in ranked if rank == each], each[0]) for each in ranks]


def _terms(
    job: str, specs: Sequence[Spec], runs: Runs, *, device: str, alone: bool, data_dir: str | None, threads: int
) -> node.Terms:
    kinds = {(tuple(sorted(spec.plug_ins.items())), spec.data): spec for spec in specs}
    shared = runs.checkpoints if runs.checkpoints != runs.root else None
    folders = [os.path.abspath(os.path.expanduser(f)) for f in os.environ.get(node.PLUG_INS, "").split(os.pathsep) if f]
    return node.Terms(
        job=job,
        code=revision.code(),
        version=revision.told(),
        specs=tuple(spec.to_json() for spec in kinds.values()),
        plug_ins=tuple(plug_ins for plug_ins, _ in kinds),
        plug_in_folders=os.pathsep.join(folders),
        data_dir=str(Path(data_dir).absolute()) if data_dir else None,
        device=device,
        alone=alone,
        threads=threads,
        variables=tuple((name, os.environ[name]) for name in sorted(deciding(os.environ) - UNTOUCHED)),
        checkpoints=None if shared is None else str(shared.absolute()),
        owner=str(runs.root.absolute()),
    )


@dataclass
class _Flight:
    """A run that a node is given, and the lease on its record."""

    spec: Spec
    writer: Writer
    lease: ExitStack
    begun: bool = False


@dataclass
class _Fleet:
    """The runs in flight, and what is still to be made.

    Attributes:
        flying: by the task. waiting: not in flight. later: tried again when the time, of time.monotonic, is come.
        elsewhere: another process of this machine's records is making them. most: in flight; None for what the nodes
        can make. lost, failed: how often each run was. failures: those that failed for good.
    """

    cluster: Cluster
    terms: node.Terms
    share: Share
    specs: Sequence[Spec]
    runs: Runs
    progress: Progress
    anew: bool = False
    deadline: float = math.inf
    most: int | None = None
    failures: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.waiting, self.elsewhere = deque(self.specs), list[Spec]()
        self.later: list[tuple[float, Spec]] = []
        self.flying: dict[Any, _Flight] = {}
        self.lost, self.failed = Counter[str](), Counter[str]()
        # Checkpoints are the nodes' alone, who hold them; here only the record is held.
        self.records = Runs(self.runs.root, None, self.runs.weights, again=self.runs.again)
        remote = self.cluster.ray.remote(max_retries=0, num_returns="streaming")(node.make)
        options: dict[str, Any] = {"num_cpus": self.cluster.cpus(self.share), "name": "rethinking"}
        self.task = remote.options(**options, num_gpus=self.share.gpus)
        self.held_terms = self.cluster.ray.put(self.terms)
        self._room, self._count_again, self._look_again = 0, 0.0, 0.0

    def work(self, wait: bool) -> None:
        """Until every run is done, or is another process's and not waited for, or the deadline."""
        ray = self.cluster.ray
        while self.flying or self.waiting or self.later or (wait and self.elsewhere):
            if time.monotonic() >= self.deadline:
                return
            self._recall(wait)
            while self.waiting and len(self.flying) < self._limit():
                self._launch(self.waiting.popleft())
            pause = min(POLL, max(0.0, self.deadline - time.monotonic()))
            if not self.flying:
                time.sleep(pause if self.waiting or self.later or self.elsewhere else 0)
                continue
            tasks = list(self.flying)
            ready, _ = ray.wait(tasks, num_returns=1, timeout=pause)
            if ready:
                ready, _ = ray.wait(tasks, num_returns=len(tasks), timeout=0)
            for task in ready:
                self._hear(task)

    def _recall(self, wait: bool) -> None:
        """Have those wait again whose time has come."""
        now = time.monotonic()
        self.waiting.extend(spec for at, spec in self.later if at <= now)
        self.later = [(at, spec) for at, spec in self.later if at > now]
        if wait and self.elsewhere and now >= self._look_again:
            self._look_again = now + POLL
            free = [spec for spec in self.elsewhere if self.records.free(spec)]
            self.waiting.extend(free)
            self.elsewhere = [spec for spec in self.elsewhere if spec not in free]

    def _limit(self) -> int:
        """How many runs may be in flight."""
        if self.most is not None:
            return self.most
        if time.monotonic() >= self._count_again:
            self._count_again = time.monotonic() + COUNT_EVERY
            self._room = sum(self.cluster.nodes(self.share).values())
        return AHEAD * max(1, self._room)

    def _launch(self, spec: Spec) -> None:
        """Have a node make a run, if it is still to be made."""
        lease = ExitStack()
        try:
            writer = lease.enter_context(leased(self.records, spec))
        except InputError as error:
            self.failures.append(Failure(spec, str(error)))
            return
        if writer is None:
            lease.close()
            if not self.records.complete(spec):
                self.elsewhere.append(spec)
            return
        flight = _Flight(spec, writer, lease)
        try:
            job = {"spec": spec.model_dump(mode="json"), "name": spec.run_id, "anew": self.anew}
            job["given"] = self._needed(spec)
        except InputError as error:
            self._release(flight)
            self.failures.append(Failure(spec, str(error)))
            return
        writer.notes |= {"device": self.terms.device, "steps": spec.steps}
        self.flying[self.task.remote(self.held_terms, job)] = flight

    def _needed(self, spec: Spec) -> dict[str, parcel.Parcel]:
        """The record and the weights, where they are, of the run that a probe measures."""
        if not isinstance(spec, ProbeSpec):
            return {}
        record = self.records.find(spec.run)
        if record is None:
            raise InputError(f"the run that it measures, {spec.run.run_id}, could not be made")
        weights = self.records.weights_of(spec.run)
        if weights.is_file():
            check_weights(weights, record.result)
        return {spec.run.run_id: parcel.pack(record.path, weights)}

    def _hear(self, task: Any) -> None:
        """Take what the node says of a run next."""
        ray, flight = self.cluster.ray, self.flying[task]
        spec = flight.spec
        try:
            event = ray.get(next(task))
        except StopIteration:
            self._gone(task, "it ended without a word")
            return
        except ray.exceptions.RayTaskError as error:
            self._end(task, "failed")
            self._failed(spec, first_line(error), True)
            return
        except ray.exceptions.RayError as error:
            self._gone(task, type(error).__name__)
            return
        try:
            self._heed(task, flight, event)
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            if task in self.flying:
                self._end(task, "failed")
            self._failed(spec, f"a node sent what is no answer ({type(error).__name__})", False)

    def _heed(self, task: Any, flight: _Flight, event: dict[str, Any]) -> None:
        """Act on one of the events of `node.make`."""
        spec = flight.spec
        match event.pop("event"):
            case "begin":
                flight.begun = True
                self.progress.begin(spec)
            case "resumed":
                self.progress.resumed(spec, event["step"])
            case "progress":
                self._tell(flight, event)
            case "done":
                self._tell(flight, event)
                self._done(task, event["files"])
            case "busy":
                self._end(task, "another process is training it")
                self.later.append((time.monotonic() + HELD, spec))
            case "stopped":
                self._gone(task, "its process there was told to end")
            case "error":
                self._end(task, "failed")
                self._failed(spec, event["message"], event["retry"])
            case "unfit":
                raise InputError(event["message"])

    def _tell(self, flight: _Flight, news: dict[str, Any]) -> None:
        if "step" in news:
            flight.writer.notes["step"] = news["step"]
            self.progress.step(flight.spec, news["step"])
        if "row" in news:
            flight.writer.notes["summary"] = flight.spec.summary(news["row"])
            self.progress.evaluation(flight.spec, news["row"])

    def _done(self, task: Any, files: dict[str, parcel.Parcel]) -> None:
        """Put a record in place, and with it weights that were made again. Of what is not sound nothing is kept."""
        flight = self.flying[task]
        try:
            weights = self._made_again(flight.spec, files)
            parcel.place(flight.writer, files[flight.spec.run_id])
            for path, content in weights.items():
                if not os.path.lexists(path):
                    write(path, content)
            flight.lease.close()
        except (InputError, OSError) as error:
            self._end(task, "failed")
            told = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
            self._failed(flight.spec, told, False)
            return
        del self.flying[task]
        self.progress.end(flight.spec, "done")

    def _made_again(self, spec: Spec, files: dict[str, parcel.Parcel]) -> dict[Path, bytes]:
        """The weights, besides the record, that a node has made of the run that a probe measures, by their place."""
        others = files.keys() - {spec.run_id}
        if not others:
            return {}
        record = self.records.find(spec.run) if isinstance(spec, ProbeSpec) else None
        if record is None or others != {record.spec.run_id}:
            raise InputError(f"a node sent more than the record of {spec.run_id}: {parcel.AGAIN}")
        return {self.records.weights_of(record.spec): parcel.weights_in(files[record.spec.run_id], record)}

    def _failed(self, spec: Spec, reason: str, retry: bool) -> None:
        self.failed[spec.run_id] += 1
        if retry and self.failed[spec.run_id] == 1:
            self.waiting.appendleft(spec)
        else:
            self.failures.append(Failure(spec, reason))

    def _gone(self, task: Any, reason: str) -> None:
        """A node, or Ray's process there, was lost."""
        spec = self.flying[task].spec
        self._end(task, "its node was lost")
        self.lost[spec.run_id] += 1
        if self.lost[spec.run_id] <= LOST:
            self.waiting.appendleft(spec)
        else:
            self.failures.append(Failure(spec, f"its node was lost {LOST + 1} times ({reason})"))

    def _end(self, task: Any, how: str) -> None:
        flight = self.flying.pop(task)
        if flight.begun:
            self.progress.end(flight.spec, how)
        self._release(flight)

    @staticmethod
    def _release(flight: _Flight) -> None:
        """Give up a lease; nothing is left of a run that was not begun before."""
        flight.lease.__exit__(_Unfinished, _Unfinished(), None)

    def dismiss(self) -> None:
        """End what the nodes are at, and wait until they have cleared up."""
        if not self.flying:
            return
        with suppress(self.cluster.ray.exceptions.RayError):  # it is gone, with all that was on it
            for task in self.flying:
                self.cluster.ray.cancel(task)
            nodes = self.cluster.nodes(self.share)
            self.cluster.each(node.settle, nodes, self.terms, timeout=2 * node.PATIENCE)
        for flight in self.flying.values():
            self._release(flight)
        self.flying.clear()
