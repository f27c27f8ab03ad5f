"""The runs in flight on a Ray cluster: given to nodes, heard of, put in place, and made again where a node is lost."""

import math
import os
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rethinking.engines import node
from rethinking.engines.connection import Cluster, Share, first_line, only
from rethinking.engines.local import POLL, Failure
from rethinking.engines.progress import Progress, for_weights
from rethinking.engines.roster import Roster
from rethinking.errors import InputError
from rethinking.record import Runs, Writer, leased, parcel, write
from rethinking.record.digests import check_weights
from rethinking.spec import ProbeSpec, Spec

AHEAD = 2  # runs in flight for each that the nodes can make at once, so that none waits for this process
COUNT_EVERY = 10.0  # seconds between looks at what nodes there are
LOST = 10  # times that a run's node, or the process there, may be lost or told to end
HELD = 20.0  # seconds until a run is tried again that another node seems to be at
UNPLACED = "TaskUnschedulableError"  # Ray's word where all nodes that a run was for are lost
AGAIN = 2.0  # seconds until such a run is given to others


class _Unfinished(Exception):
    """Gives a lease up without a record."""


@dataclass
class _Flight:
    """A run that is given to one of some nodes, by Ray's ids, and the lease on its record.

    trains: its last step was one of a network that is trained for it, as a probe wants.
    """

    spec: Spec
    writer: Writer
    lease: ExitStack
    cores: int
    nodes: frozenset[str]
    begun: bool = False
    trains: bool = False


@dataclass
class Fleet:
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
    roster: Roster
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
        self.remote = self.cluster.ray.remote(max_retries=0, num_returns="streaming")(node.make)
        self.held_terms = self.cluster.ray.put(self.terms)
        self._count_again, self._look_again = 0.0, 0.0

    def work(self, wait: bool) -> None:
        """Until every run is done, or is another process's and not waited for, or the deadline."""
        ray = self.cluster.ray
        while self.flying or self.waiting or self.later or (wait and self.elsewhere):
            if time.monotonic() >= self.deadline:
                return
            self._count()
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
            free = [spec for spec in self.elsewhere if self.records.free(spec) and not self._awaits(spec)]
            self.waiting.extend(free)
            self.elsewhere = [spec for spec in self.elsewhere if spec not in free]

    def _limit(self) -> int:
        """How many runs may be in flight."""
        return AHEAD * self._room if self.most is None else min(self.most, AHEAD * self._room)

    def _count(self) -> None:
        """Look at what nodes there are, now and then. Raises InputError where none is left that can make a run."""
        if time.monotonic() < self._count_again:
            return
        self._count_again = time.monotonic() + COUNT_EVERY
        self.cluster.check_room(self.share)
        able = self.cluster.nodes(replace(self.share, alone=False))
        self.roster.ask(able, self.progress.note)
        self.roster.check_left(able)
        room = self.cluster.nodes(self.share, self.roster.fit)
        self._nodes, self._room = frozenset(room), sum(room.values())
        self._cores = self.cluster.cpus(self.share, self.roster.fit)
        for task, flight in list(self.flying.items()):
            # Ray would wait for ever for nodes that are lost.
            if not flight.begun and (flight.cores > self._cores or not flight.nodes & self._nodes):
                self.cluster.ray.cancel(task)
                self._end(task, "its node was lost")
                self.waiting.appendleft(flight.spec)

    def _launch(self, spec: Spec) -> None:
        """Have a node make a run, if it is still to be made."""
        if self._awaits(spec):
            self.elsewhere.append(spec)
            return
        lease = ExitStack()
        try:
            writer = lease.enter_context(leased(self.records, spec))
            if writer is None:
                if not self.records.complete(spec):
                    self.elsewhere.append(spec)
                return
            job = {"spec": spec.model_dump(mode="json"), "name": spec.run_id, "anew": self.anew}
            job["given"] = self._needed(spec)
            writer.notes |= {"device": self.terms.device, "steps": spec.steps}
            asked = {"num_cpus": self._cores, "num_gpus": self.share.gpus, "label_selector": only(self._nodes)}
            task = self.remote.options(name="rethinking", **asked).remote(self.held_terms, job)
            self.flying[task] = _Flight(spec, writer, lease, self._cores, self._nodes)
        except BaseException as error:
            self._release(lease)
            if not isinstance(error, InputError | OSError):
                raise
            self.failures.append(Failure(spec, _told(error)))

    def _awaits(self, spec: Spec) -> bool:
        """Whether another process is making the run that a probe measures."""
        return isinstance(spec, ProbeSpec) and not self.records.complete(spec.run) and self.records.busy(spec.run)

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

    def _tell(self, flight: _Flight, news: dict[str, Any]) -> None:
        notes = flight.writer.notes
        if "step" in news:
            step = news["step"]
            if "network" in step:
                notes["summary"] = for_weights(**step)
            else:
                if flight.trains:
                    notes.pop("summary", None)
                notes |= step
            flight.trains = "network" in step
            self.progress.step(flight.spec, **step)
        if "row" in news:
            notes["summary"] = flight.spec.summary(news["row"])
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
            self._failed(flight.spec, _told(error), False)
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
        if reason == UNPLACED:  # no node has had it: that is not held against the run
            self._count_again = 0.0
            self.later.append((time.monotonic() + AGAIN, spec))
            return
        self.lost[spec.run_id] += 1
        if self.lost[spec.run_id] <= LOST:
            self.waiting.appendleft(spec)
        else:
            self.failures.append(Failure(spec, f"its node was lost {LOST + 1} times ({reason})"))

    def _end(self, task: Any, how: str) -> None:
        flight = self.flying.pop(task)
        if flight.begun:
            self.progress.end(flight.spec, how)
        self._release(flight.lease)

    @staticmethod
    def _release(lease: ExitStack) -> None:
        """Give up a lease; nothing is left of a run that was not begun before."""
        lease.__exit__(_Unfinished, _Unfinished(), None)

    def dismiss(self) -> None:
        """End what the nodes are at, and wait until they have cleared up."""
        if not self.flying:
            return
        lost = suppress(self.cluster.ray.exceptions.RayError)  # with all that was on it
        try:
            for task in self.flying:
                with lost:
                    self.cluster.ray.cancel(task)
            with lost:
                nodes = self.cluster.alive(self.roster.fit)
                self.cluster.each(node.settle, nodes, self.terms, timeout=2 * node.PATIENCE)
        finally:
            for flight in self.flying.values():
                self._release(flight.lease)
            self.flying.clear()


def _told(error: InputError | OSError) -> str:
    """An error in one line."""
    if not isinstance(error, OSError):
        return str(error)
    return f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
