"""Killed before and after every call that changes the file system; killed by signals at random moments.

The law: whatever was complete stays as it is, and the same action, begun again, comes to the same end, with nothing
half written, held or left over.
"""

import builtins
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sets
from tally import HANG, HARMLESS, LOST, SILENT, TRACEBACK, Budget, Tally, apart

from rethinking import data, figures, verify
from rethinking.engines import execute
from rethinking.paths import is_temporary
from rethinking.record import Runs, digests, lease
from rethinking.record.lease import is_lease
from rethinking.spec import Part, ProbeSpec

CALLS = ("fsync", "replace", "rename", "unlink", "remove", "rmdir", "mkdir", "chmod", "utime", "link", "truncate")
SAME = "begun again it comes to the same end, to the bit"
SPEC = sets.TRAINED.replace(seed=1)
PROBE = Part(name="deletion")


class Points:
    """Counts the calls that change the file system, and kills this process at one of them.

    Every call has two points, before and after it; writing to a file has a third, when half of it is written.
    """

    def __init__(self, at: int | None = None):
        self.at, self.count = at, 0

    def pass_(self) -> None:
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **options: Any) -> Any:
            self.pass_()
            result = call(*args, **options)
            self.pass_()
            return result

        return watched

    def opening(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            if not isinstance(mode, str) or not set(mode) & set("wax+"):
                return call(file, mode, *args, **options)
            self.pass_()
            stream = call(file, mode, *args, **options)
            self.pass_()
            return _Stream(stream, self)

        return watched

    def watch(self) -> None:
        """From now on, in this process, which ends with it."""
        for name in CALLS:
            setattr(os, name, self.around(getattr(os, name)))
        os.fdopen = self.opening(os.fdopen)
        builtins.open = io.open = self.opening(builtins.open)


class _Stream:
    """A file that is killed when half of what is written to it is."""

    def __init__(self, stream: Any, points: Points):
        self._stream, self._points = stream, points

    def write(self, content: Any) -> int:
        half = len(content) // 2
        self._stream.write(content[:half])
        self._stream.flush()
        self._points.pass_()
        self._stream.write(content[half:])
        return len(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> "_Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __iter__(self) -> Any:
        return iter(self._stream)


@dataclass
class Action:
    """What is killed: prepare a folder, act in it, and what its end is."""

    name: str
    prepare: Callable[[Path], Any]
    act: Callable[[Path], Any]
    end: Callable[[Path], Any]


def _train(spec: Any, folder: Path, **options: Any) -> None:
    runs, began = Runs(folder / "runs", folder / "checkpoints"), time.monotonic()
    while not execute.execute(spec, runs, data_dir=str(folder.parent / "data"), **options):
        if time.monotonic() - began > 10:
            raise RuntimeError("another process is making it")
        time.sleep(0.05)


def curves(folder: Path) -> dict[str, bytes]:
    """What training gave; not when and where."""
    kept = ("curve.csv", "online.csv", "spec.json", "weights.safetensors", "arrays.npz")
    return {k: v for k, v in sets.tree(folder / "runs").items() if Path(k).name in kept}


def _break_off(folder: Path) -> None:
    apart(lambda: _train(SPEC, folder, until=3))


def _half_written(path: Path) -> bool:
    """Of a figure or a data set: left by a kill, and swept by `prune` or the next fetch when it is old."""
    return is_temporary(path.name) or any(part.startswith(".fetch-") for part in path.parts)


def _prune(folder: Path) -> None:
    runs = Runs(folder / "runs", folder / "checkpoints")
    for found in runs.survey():
        runs.delete(found, only="run" if not found.complete else "weights")


def _figure(folder: Path) -> None:
    runs, setting = Runs(folder / "runs"), figures.Setting("quick", "tiny", 2)
    figures.draw("toyfig", setting, runs, folder / "figures")


def _nothing(folder: Path) -> None:
    pass


def _several(folder: Path) -> None:
    for seed in range(1, 4):
        execute.execute(SPEC.replace(seed=seed), Runs(folder / "runs"), data_dir=str(folder.parent / "data"))
        result = folder / "runs" / SPEC.replace(seed=seed).run_id / "result.json"
        held = result.read_text()
        result.write_text(held[: held.index(',\n  "digests"')] + "\n}\n")


ACTIONS = [
    Action("training", _nothing, lambda f: _train(SPEC, f), curves),
    Action("training that goes on", _break_off, lambda f: _train(SPEC, f), curves),
    Action("training begun anew", _break_off, lambda f: _train(SPEC, f, anew=True), curves),
    Action("a computed run", _nothing, lambda f: _train(sets.COMPUTED[0], f), curves),
    Action("a probe", lambda f: _train(SPEC, f), lambda f: _train(ProbeSpec(run=SPEC, probe=PROBE), f), curves),
    Action("drawing a figure", _nothing, _figure, lambda f: sets.tree(f / "figures", _half_written)),
    Action(
        "fetching data",
        _nothing,
        lambda f: data.fetch("toy", f / "data"),
        lambda f: sets.tree(f / "data", _half_written),
    ),
    Action(
        "binding records",
        _several,
        lambda f: Runs(f / "runs").digest(),
        lambda f: list(verify.records(Runs(f / "runs"))),
    ),
    Action("pruning", _break_off, _prune, lambda f: sorted(p.name for p in (f / "runs").glob("*/*.json"))),
]


def calls(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """Every action is killed at points of its own, drawn again and again, as far as the budget goes."""
    tally, place = Tally("kills at a call"), folder / "place"
    execute.CHECKPOINT_EVERY, lease.HEARTBEAT, before = 0.0, 0.2, (execute.CHECKPOINT_EVERY, lease.HEARTBEAT)
    try:
        _calls(tally, place, folder, budget, chance)
    finally:
        execute.CHECKPOINT_EVERY, lease.HEARTBEAT = before
    return tally


def _calls(tally: Tally, place: Path, folder: Path, budget: Budget, chance: random.Random) -> None:
    sets.toy(folder / "data")
    known = []
    for action in ACTIONS:
        action.prepare(begun(place, folder))
        status, said = apart(lambda action=action: _counted(action, place, folder / "count"))
        if status != 0:
            raise RuntimeError(f"{action.name} does not work when nothing kills it: {said}")
        known.append((action, int((folder / "count").read_text()), action.end(place)))
    points = [(k, at) for k, (_, count, _) in enumerate(known) for at in range(count)]
    chance.shuffle(points)
    for k in budget:
        which, at = points[k % len(points)]
        action, count, end = known[which]
        _one(tally, action, place, folder, f"{action.name}, at {at} of {count}", at, end)


def begun(place: Path, folder: Path) -> Path:
    """An empty place with a complete record that nothing may touch."""
    sets.fresh(place)
    if not (folder / "bystander").exists():
        apart(lambda: execute.execute(sets.NOISY, Runs(folder / "bystander"), data_dir=str(folder / "data")))
    (record,) = (folder / "bystander").iterdir()
    shutil.copytree(record, place / "runs" / record.name)
    if not (folder / "old").exists():
        shutil.copytree(record, folder / "old")
    return place


def _counted(action: Action, place: Path, file: Path) -> None:
    points = Points()
    write = file.write_text
    real = builtins.open
    points.watch()
    action.act(place)
    count = points.count
    builtins.open = io.open = real
    write(str(count))


def _again(action: Action, place: Path) -> None:
    """After a kill; a lease that has lost its owner's name is believed for some time."""
    if any(is_lease(p.name) for p in (place / "runs").glob("*/*")):
        time.sleep(1.5 * lease.HEARTBEAT)
    action.act(place)


def _one(tally: Tally, action: Action, place: Path, folder: Path, tried: str, at: int, end: Any) -> None:
    action.prepare(begun(place, folder))
    bystander = place / "runs" / sets.NOISY.run_id

    def killed() -> None:
        Points(at).watch()
        action.act(place)

    status, said = apart(killed)
    if status is None:
        return tally.add(HANG, tried)
    if status == 0:  # it had fewer calls than when they were counted, so nothing was killed
        return None
    if status != -signal.SIGKILL:
        return tally.add(TRACEBACK, tried, said)
    status, said = apart(lambda: _again(action, place))
    if status != 0:
        return tally.add(HANG if status is None else TRACEBACK, f"{tried}, begun again", said)
    if record(bystander) != record(folder / "old"):
        return tally.add(LOST, tried, "the record beside it is another")
    if action.end(place) != end:
        return tally.add(SILENT, tried, "it comes to another end")
    left = [p.name for p in (place / "runs").rglob("*") if is_temporary(p.name) or is_lease(p.name)]
    if left and action.name not in ("drawing a figure", "fetching data", "binding records", "pruning"):
        return tally.add(SILENT, tried, f"left over: {left}")
    return tally.add(HARMLESS, tried, SAME)


def record(folder: Path) -> dict[str, bytes]:
    """What a record is of: pruning takes its weights, and a kill leaves a lease."""
    return {k: v for k, v in sets.tree(folder).items() if k in (*digests.FILES, "result.json")}


# --- the command and its workers, by signals ------------------------------------------------------

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def start(folder: Path, *more: str) -> subprocess.Popen:
    """The command that draws the tests' figure, of four runs, from data/ into runs/ and figures/ of a folder."""
    words = ("figure", "toyfig", "--data-dir", folder / "data", "--runs", folder / "runs", "--out", folder / "figures")
    return subprocess.Popen(
        [sys.executable, "-m", "rethinking", *map(str, words), "--device", "cpu", "--workers", "1", *more],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"TOY_STEPS": "400"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _workers(process: subprocess.Popen) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    return [int(pid) for pid in listed.stdout.split()]


def signals(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """The command that draws a figure, its worker, or both get a signal at a random moment; then it is begun again."""
    tally = Tally("signals")
    sets.toy(folder / "data")
    whole, took = None, 0.0
    for k in budget:
        if whole is None:
            shutil.copytree(folder / "data", folder / "whole" / "data")
            began = time.monotonic()
            start(folder / "whole").communicate(timeout=300)
            whole, took = curves(folder / "whole"), time.monotonic() - began
        sent, to = SIGNALS[k % 4], ("parent", "worker", "both")[k // 4 % 3]
        place = sets.fresh(folder / "place")
        shutil.copytree(folder / "data", place / "data")
        process = start(place)
        time.sleep(chance.uniform(0.2, took))
        workers = _workers(process)
        for pid in [*([process.pid] if to != "worker" else []), *(workers if to != "parent" else [])]:
            with suppress(ProcessLookupError):
                os.kill(pid, sent)
        tried = f"{signal.Signals(sent).name} to {to}"
        try:
            _, said = process.communicate(timeout=120)
            again = start(place)
            _, said_again = again.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            tally.add(HANG, tried)
            continue
        gone = not any(os.path.exists(f"/proc/{pid}") for pid in workers)
        if "Traceback" in said + said_again:
            tally.add(TRACEBACK, tried, said + said_again)
        elif again.returncode or not gone:
            tally.add(TRACEBACK, tried, said_again or "a worker goes on without its parent")
        elif curves(place) != whole:
            tally.add(SILENT, tried, "it comes to other curves")
        else:
            tally.add(HARMLESS, tried, SAME)
    return tally
