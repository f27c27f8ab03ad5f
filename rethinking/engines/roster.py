"""Which nodes of a Ray cluster can make the runs of a command, by what they have said."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rethinking.engines.connection import WAITED, Cluster
from rethinking.engines.node import Terms, host, lacks, shares
from rethinking.errors import InputError

ANSWER = 120.0  # seconds for a node to say anything
ENDED = 3  # times that Ray's process may end on a node that is asked


class Roster:
    """The nodes that have been asked whether they can make the runs, by Ray's ids.

    Args:
        terms: what a node must have for any run of the command.

    Attributes:
        fit: those that can, which alone are given runs. unfit: those that cannot, and why. asked: those that have
        joined and not said yet, by the task, and when they were asked, of time.monotonic.
    """

    def __init__(self, cluster: Cluster, terms: Terms) -> None:
        self.cluster, self.terms = cluster, terms
        self.fit, self.unfit = set[str](), dict[str, str]()
        self.asked: dict[Any, tuple[str, float]] = {}
        self._ended = Counter[str]()

    def check(self, nodes: Iterable[str]) -> None:
        """Ask the nodes that there are to begin with, and take them in.

        Raises InputError where one that answers cannot make the runs, or does not say, or where none answers.
        """
        there = self.cluster.each(host, nodes, timeout=ANSWER)
        if not there:  # as where this process wants tokens, and the cluster has none
            address = self.cluster.address
            told = f"no node of {address} has answered within {ANSWER:.0f} s: see to the cluster with `ray status`"
            raise InputError(f"{told}, and set RAY_AUTH_MODE and the token as they are there")
        said = self.cluster.each(lacks, there, self.terms)
        silent = sorted(there[name] for name in there.keys() - said.keys() if name in self.cluster.alive())
        if silent:
            raise InputError(_silent(silent[0]))
        reasons = sorted(reason for reason in said.values() if reason)
        if reasons:
            more = f" (and {len(reasons) - 1} more nodes)" if len(reasons) > 1 else ""
            raise InputError(f"{reasons[0]}{more}")
        self.fit |= said.keys()

    def ask(self, nodes: Iterable[str], note: Callable[[str], None]) -> None:
        """Ask those of the nodes that have joined, and hear those that were asked before; nothing is waited for.

        note: is given a line for each reason why one cannot make the runs.
        """
        known = self.fit | self.unfit.keys() | {name for name, _ in self.asked.values()}
        now, new = time.monotonic(), set(nodes) - known
        self.asked |= {task: (name, now) for task, name in self.cluster.ask(lacks, new, self.terms).items()}
        ray = self.cluster.ray
        ready, _ = ray.wait(list(self.asked), num_returns=len(self.asked), timeout=0) if self.asked else ([], [])
        reasons: dict[str, str | None] = {}
        for task in ready:
            name, _ = self.asked.pop(task)
            try:
                reasons[name] = self.cluster.answer(task)
            except InputError as error:
                reasons[name] = str(error)
            except (StopIteration, ray.exceptions.RayError):  # it is lost, or its process has ended: it is asked again
                self._ended[name] += 1
                if self._ended[name] == ENDED:
                    reasons[name] = f"Ray's process on node {name} ended {ENDED} times when it was asked: see to it"
        late = {task: name for task, (name, since) in self.asked.items() if now - since > WAITED}
        for task, name in late.items():
            del self.asked[task]
            reasons[name] = _silent(name)
        for name, reason in reasons.items():
            if reason is None:
                self.fit.add(name)
                continue
            if reason not in self.unfit.values():
                note(f"{reason}; the runs go to other nodes")
            self.unfit[name] = reason

    def check_left(self, nodes: Iterable[str]) -> None:
        """Raise InputError where none of the nodes that have room can make the runs, or may yet say so."""
        if not set(nodes) - self.unfit.keys():
            reason = next(iter(self.unfit.values()), f"the nodes of {self.cluster.address} are lost")
            raise InputError(f"{reason}; no other node is left: the same command goes on once there is one")

    def check_shared(self) -> list[str]:
        """Make the folder of checkpoints, where there is to be one, and say in a line which nodes do not see it."""
        folder = self.terms.checkpoints
        if folder is None:
            return []
        Path(folder).mkdir(parents=True, exist_ok=True)
        sees = self.cluster.each(shares, self.fit, self.terms)
        told = f"{sum(not each for each in sees.values())} of {len(sees)} nodes do not have {folder}"
        return [] if all(sees.values()) else [f"{told}: a run that moves from one begins anew"]


def _silent(name: str) -> str:
    told = f"node {name} has not said whether it can make the runs, within {WAITED:.0f} s or before its process ended"
    return f"{told}: see to it, or take it out of the cluster"
