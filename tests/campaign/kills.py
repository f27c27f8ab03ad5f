"""Killed before and after every call that changes the file system; killed by signals at random moments.

The law: whatever was complete stays as it is, and the same action, begun again, comes to the same end, with nothing
half written, held or left over.
"""

import builtins
import io
import json
import mmap
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
from functools import cache
from pathlib import Path
from typing import Any

import sets
from tally import (
    HANG,
    HARMLESS,
    LOST,
    PATIENCE,
    SILENT,
    TRACEBACK,
    Budget,
    Process,
    Tally,
    alive,
    apart,
    children,
    finish,
)

from rethinking import __main__, catalog, data, figures, verify
from rethinking.data._folder import SCRATCH
from rethinking.engines import execute, local, worker
from rethinking.errors import InputError
from rethinking.paths import written_as
from rethinking.record import Runs, archive, digests, lease, make, outdated, read
from rethinking.record.lease import is_lease
from rethinking.spec import Part, ProbeSpec

CALLS = ("fsync", "replace", "rename", "unlink", "remove", "rmdir", "mkdir", "chmod", "utime", "link", "truncate")
ROOM = ("fsync", "replace", "rename", "mkdir", "link")  # of these, what needs room on the disk
SAME = "begun again it comes to the same end, to the bit"
SPEC = sets.TRAINED.replace(seed=1)
PROBE = Part(name="deletion")
OLD, UNFINISHED = (sets.TRAINED.replace(seed=seed) for seed in (7, 9))


class Points:
    """Counts the calls that change the file system, and kills this process at one of them.

    Every call has two points, before and after it; writing to a file has a third, when half of it is written.
    """

    why = SAME

    def __init__(self, at: int | None = None):
        self.at, self.count, self.over = at, 0, False
        self._reached = mmap.mmap(-1, 1)  # shared with the process that is stopped

    @property
    def reached(self) -> bool:
        """Whether anything was stopped."""
        return self._reached[0] == 1

    def pass_(self, room: bool = False) -> None:
        """A point. room: whether the call needs room on the disk."""
        if self.over:
            return
        if self.count == self.at:
            self._reached[0] = 1
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def command(self, action: Callable[[], Any]) -> None:
        """Do what is to be stopped."""
        action()

    def expected(self, status: int, said: str) -> bool:
        """Whether it ended as it should when it was stopped."""
        return status == -signal.SIGKILL

    def around(self, call: Callable[..., Any], room: bool) -> Callable[..., Any]:
        def watched(*args: Any, **options: Any) -> Any:
            self.pass_(room)
            result = call(*args, **options)
            self.pass_()
            return result

        return watched

    def opening(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            if not isinstance(mode, str) or not set(mode) & set("wax+"):
                return call(file, mode, *args, **options)
            self.pass_(not isinstance(file, int))
            stream = call(file, mode, *args, **options)
            self.pass_()
            return _Stream(stream, self)

        return watched

    def creating(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(file: Any, flags: int, *args: Any, **options: Any) -> Any:
            if not flags & os.O_CREAT:
                return call(file, flags, *args, **options)
            self.pass_(True)
            result = call(file, flags, *args, **options)
            self.pass_()
            return result

        return watched

    def watch(self) -> None:
        """From now on, in this process, which ends with it."""
        os.open = self.creating(os.open)
        for name in CALLS:
            setattr(os, name, self.around(getattr(os, name), name in ROOM))
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
        self._points.pass_(True)
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


def _own_run(place: str, then: bytes, now: bytes | None) -> bool:
    return f"/{SPEC.run_id}/" in place


@dataclass
class Action:
    """What is killed: prepare a folder, act in it, what its end is, and what it may change of what is there before.

    midway: what there may be, at any moment, of files that are written anew: as they were, or as they are in the end.
    lost: what is lost when it is killed, looked at before it is begun again; empty text where nothing is.
    """

    name: str
    prepare: Callable[[Path], Any]
    act: Callable[[Path], Any]
    end: Callable[[Path], Any]
    may: Callable[[str, bytes, bytes | None], bool] = _own_run
    midway: str = ""
    lost: Callable[[Path], str] = lambda folder: ""


def _runs(folder: Path) -> Runs:
    return Runs(folder / "runs", folder / "checkpoints")


def _train(spec: Any, folder: Path, **options: Any) -> None:
    train(spec, _runs(folder), folder.parent / "data", **options)


def train(spec: Any, runs: Runs, data_dir: Path, **options: Any) -> None:
    """Make a run to its end, once whoever held it is believed dead."""
    began = time.monotonic()
    while not execute.execute(spec, runs, data_dir=str(data_dir), **options):
        if time.monotonic() - began > 10:
            raise RuntimeError("another process is making it")
        time.sleep(0.05)


def curves(folder: Path) -> dict[str, bytes]:
    """What training gave; not when and where."""
    kept = ("curve.csv", "online.csv", "spec.json", "weights.safetensors", "arrays.npz")
    return {k: v for k, v in sets.tree(folder / "runs").items() if Path(k).name in kept}


def _break_off(folder: Path) -> None:
    apart(lambda: _train(SPEC, folder, until=3))


def _outdated(folder: Path) -> None:
    """A record of another version of its network, whole."""
    apart(lambda: _train(SPEC, folder))
    age(Runs(folder / "runs"))


def age(runs: Runs) -> None:
    """Make the complete record one of another version of its network."""
    path, weights = runs.path(SPEC), runs.weights_of(SPEC)
    made, held = path / "environment.json", json.loads((path / "result.json").read_text())
    made.write_text(made.read_text().replace(SPEC.plug_ins["models/tiny"], 12 * "0"))
    rest = {key: value for key, value in held.items() if key not in digests.OWN}
    (path / "result.json").write_text(json.dumps(digests.sealed(rest, path, weights)))


def make_again(runs: Runs, data_dir: Path) -> None:
    """Make the record again, where it is of another version."""
    make.begin_again(runs, outdated.find(runs, [SPEC]))
    try:
        execute.execute(SPEC, runs, data_dir=str(data_dir))
    finally:
        make.settle(runs, [SPEC])


def _no_record(folder: Path) -> str:
    """Of the two records, one must stand under its name, whole."""
    try:
        return "" if read(Runs(folder / "runs").path(SPEC)).spec == SPEC else "another record"
    except InputError as error:
        return str(error)


def _half_written(path: Path) -> bool:
    """Of a figure or a data set: left by a kill, and swept by `prune` or the next fetch when it is old."""
    return written_as(path.name) or any(part.startswith(SCRATCH) for part in path.parts)


def _prune(folder: Path) -> None:
    """Delete the run that was broken off, and the weights of a complete one; not the other that was broken off."""
    runs = Runs(folder / "runs", folder / "checkpoints")
    for found in runs.survey():
        if found.path.name == SPEC.run_id:
            runs.delete(found, only="run")
        elif found.complete:
            runs.delete(found, only="weights")


def _pruned(place: str, then: bytes, now: bytes | None) -> bool:
    return _own_run(place, then, now) or (place.endswith(digests.WEIGHTS) and now is None)


def _bound(place: str, then: bytes, now: bytes | None) -> bool:
    return place == f"runs/{digests.LIST}" and now is not None and now.startswith(then)


def _figure(folder: Path) -> None:
    runs, setting = Runs(folder / "runs"), figures.Setting("quick", "tiny", 2)
    figures.draw("toyfig", setting, runs, folder / "figures")


def _figure_before(folder: Path) -> None:
    for form in ("svg", "pdf", "json"):
        (folder / "figures" / f"toyfig-quick-tiny.{form}").write_bytes(b"as it was drawn: " + figures.MARK)
        (folder / "figures" / f"toyfig-quick.{form}").write_bytes(b"as it was drawn: " + figures.MARK)


def _add(folder: Path) -> None:
    if catalog.own_set("added", folder / "data") is None:
        data.add("added", folder.parent / "kept.npz", folder / "data", hold_out=0.5)


def _remove(folder: Path) -> None:
    if catalog.own_set("added", folder / "data") is not None:
        data.remove("added", folder / "data")


def _nothing(folder: Path) -> None:
    pass


def _several(folder: Path) -> None:
    for seed in range(1, 4):
        execute.execute(SPEC.replace(seed=seed), Runs(folder / "runs"), data_dir=str(folder.parent / "data"))
        result = folder / "runs" / SPEC.replace(seed=seed).run_id / "result.json"
        held = result.read_text()
        result.write_text(held[: held.index(',\n  "digests"')] + "\n}\n")
        made = result.with_name("environment.json")
        timed = dict.fromkeys(("seconds", "evaluation_seconds", "steps_per_second", "load"), 0.1)
        told = {k: v for k, v in json.loads(made.read_text()).items() if k != digests.SINCE}
        made.write_text(json.dumps(told | timed))  # the same digests at every try


ACTIONS = [
    Action("training", _nothing, lambda f: _train(SPEC, f), curves),
    Action("training that goes on", _break_off, lambda f: _train(SPEC, f), curves),
    Action("training begun anew", _break_off, lambda f: _train(SPEC, f, anew=True), curves),
    Action("making a run again", _outdated, lambda f: make_again(_runs(f), f.parent / "data"), curves, lost=_no_record),
    Action("a computed run", _nothing, lambda f: _train(sets.COMPUTED[0], f), curves),
    Action("a probe", lambda f: _train(SPEC, f), lambda f: _train(ProbeSpec(run=SPEC, probe=PROBE), f), curves),
    Action(
        "drawing a figure",
        _figure_before,
        _figure,
        lambda f: sets.tree(f / "figures", _half_written),
        lambda place, then, now: place.startswith("figures/toyfig-"),
        "figures/toyfig-",
    ),
    Action(
        "fetching data",
        _nothing,
        lambda f: data.fetch("toy", f / "data"),
        lambda f: sets.tree(f / "data", _half_written),
    ),
    Action("adding data", _nothing, _add, lambda f: sets.tree(f / "data", _half_written)),
    Action(
        "removing data",
        _add,
        _remove,
        lambda f: sets.tree(f / "data", _half_written),
        lambda place, then, now: place.startswith("data/added/"),
    ),
    Action(
        "binding records",
        _several,
        lambda f: Runs(f / "runs").digest(),
        lambda f: [*verify.records(Runs(f / "runs")), (f / "runs" / digests.LIST).read_text()],
        _bound,
        f"runs/{digests.LIST}",
    ),
    Action("pruning", _break_off, _prune, lambda f: sorted(p.name for p in (f / "runs").glob("*/*.json")), _pruned),
]


def calls(
    folder: Path, budget: Budget, chance: random.Random, among: list[Action] = ACTIONS, fault: type[Points] = Points
) -> Tally:
    """Every action is killed at points of its own, drawn again and again, as far as the budget goes.

    Where an action has fewer calls than when they were counted, nothing was killed: it counts as no try.

    fault: what happens at a point; full disks are in `crowd`.
    """
    tally, place = Tally("kills at a call"), folder / "place"
    execute.CHECKPOINT_EVERY, lease.HEARTBEAT, before = 0.0, 0.2, (execute.CHECKPOINT_EVERY, lease.HEARTBEAT)
    try:
        with sets.one_core():
            _calls(tally, place, folder, budget, chance, among, fault)
    finally:
        execute.CHECKPOINT_EVERY, lease.HEARTBEAT = before
    return tally


def _calls(
    tally: Tally,
    place: Path,
    folder: Path,
    budget: Budget,
    chance: random.Random,
    among: list[Action],
    fault: type[Points],
) -> None:
    known = []
    for action in among:
        action.prepare(begun(place, folder))
        before = sets.tree(place)
        status, said = apart(lambda action=action: _counted(action, place, folder / "count", fault))
        if status != 0:
            raise RuntimeError(f"{action.name} does not work when nothing stops it: {said}")
        midway = {
            place_: {before.get(place_), content}
            for place_, content in sets.tree(place).items()
            if action.midway and place_.startswith(action.midway)
        }
        known.append((action, int((folder / "count").read_text()), action.end(place), midway))
    points = [(k, at) for k, (_, count, _, _) in enumerate(known) for at in range(count)]
    chance.shuffle(points)
    late = 0
    for k in budget:
        which, at = points[k % len(points)]
        action, count, end, midway = known[which]
        tried = f"{action.name}, at {at} of {count}"
        late += not _one(tally, action, place, folder, tried, fault(at), end, midway)
    counts = ", ".join(f"{action.name} {count}" for action, count, _, _ in known)
    tally.notes.append(f"{late:,} points were not reached, and count as no try; points there are: {counts}")


def begun(place: Path, folder: Path) -> Path:
    """A place with what nothing may touch: records, lists, an unfinished run, figures, an own data set."""
    template = folder / "template"
    if not template.exists():
        root = str(sets.own(sets.toy(folder / "data"), "kept"))
        status, said = apart(lambda: _furnished(template, folder, root))
        if status:
            raise RuntimeError(said)
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(template, place)
    return place


def _furnished(template: Path, folder: Path, root: str) -> None:
    runs = Runs(template / "runs", template / "checkpoints")
    for spec in (sets.NOISY, OLD):
        execute.execute(spec, runs, data_dir=root)
    sets.bound(runs, OLD)
    execute.execute(UNFINISHED, runs, data_dir=root, until=5)
    for spec in (sets.NOISY, OLD, UNFINISHED):
        (runs.path(spec) / ".notes.md.swp").write_text("a user's")
    (runs.root / archive.LIST).write_text(f"# kept\n{OLD.run_id}\n")
    (template / "figures").mkdir()
    for form in ("json", "svg", "pdf"):
        shutil.copy(sets.ROOT / "figures" / f"fig2b-paper.{form}", template / "figures")
    (template / "data").mkdir()
    shutil.copytree(folder / "data" / "kept", template / "data" / "kept")
    (template / "data" / "bfloat16.json").write_text("{}\n")


def beside(place: Path, folder: Path, action: Action) -> str:
    """What of what an action may not change is gone or another; empty text where all is there."""
    found = [
        sets.lost(place, _kept(folder / "template"), action.may),
        sets.lost(folder / "data", _kept(folder / "data")),
    ]
    return ", ".join(filter(None, found))


@cache
def _kept(folder: Path) -> dict[str, bytes]:
    return sets.tree(folder)


def _counted(action: Action, place: Path, file: Path, fault: type[Points]) -> None:
    points = fault()
    write, real = file.write_text, builtins.open
    points.watch()
    action.act(place)
    count = points.count
    points.over = True
    builtins.open = io.open = real
    write(str(count))


def _again(action: Action, place: Path) -> None:
    """After a kill; a lease that has lost its owner's name is believed for some time."""
    if any(is_lease(p.name) for p in place.rglob("*")):
        time.sleep(1.5 * lease.HEARTBEAT)
    action.act(place)


def _one(
    tally: Tally, action: Action, place: Path, folder: Path, tried: str, points: Points, end: Any, midway: Any
) -> bool:
    """Returns whether the point was reached."""
    action.prepare(begun(place, folder))

    def stopped() -> None:
        points.watch()
        action.act(place)

    status, said = apart(lambda: points.command(stopped))
    if status == 0 and not points.reached:  # it had fewer calls than when they were counted
        return False
    now = sets.tree(place)
    half = [name for name, allowed in midway.items() if now.get(name) not in allowed]
    gone = beside(place, folder, action) or action.lost(place)
    if status is None:
        tally.add(HANG, tried)
    elif not points.expected(status, said):
        tally.add(TRACEBACK, tried, f"status {status}: {said[-2000:]}")
    elif gone or half:
        tally.add(LOST, tried, gone or f"{half} half written")
    else:
        _once_more(tally, action, place, folder, tried, points, end)
    return True


def _once_more(tally: Tally, action: Action, place: Path, folder: Path, tried: str, points: Points, end: Any) -> None:
    status, said = apart(lambda: _again(action, place))
    if status != 0:
        return tally.add(HANG if status is None else TRACEBACK, f"{tried}, begun again", said)
    gone = beside(place, folder, action)
    if gone:
        return tally.add(LOST, f"{tried}, begun again", gone)
    if action.end(place) != end:
        return tally.add(SILENT, tried, "it comes to another end")
    left = [p.name for p in (place / "runs").rglob("*") if written_as(p.name) or is_lease(p.name)]
    swept = ("drawing a figure", "fetching data", "adding data", "removing data", "binding records", "pruning")
    if left and action.name not in swept:
        return tally.add(SILENT, tried, f"left over: {left}")
    return tally.add(HARMLESS, tried, points.why)


def record(folder: Path) -> dict[str, bytes]:
    """What a record is of: pruning takes its weights, and a kill leaves a lease."""
    return {k: v for k, v in sets.tree(folder).items() if k in (*digests.FILES, "result.json")}


# --- the command and its workers, by signals ------------------------------------------------------

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STEPS = "60"  # of each of the figure's four runs
REAL = 10  # of so many tries one is of the command as a shell starts it, the others of forked processes


def words(folder: Path, *more: str) -> list[str]:
    """The command that draws the tests' figure, of four runs, from data/ into runs/ and figures/ of a folder."""
    folders = ("--data-dir", folder / "data", "--runs", folder / "runs", "--out", folder / "figures")
    return ["figure", "toyfig", *map(str, folders), "--device", "cpu", "--workers", "1", *more]


class Command(Process):
    """The command in a forked process, and its workers forked from it, so that neither has to import torch."""

    def __init__(self, folder: Path, *more: str):
        super().__init__(lambda: _command(words(folder, *more)))


class Shell:
    """The command as a shell starts it."""

    def __init__(self, folder: Path, *more: str):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rethinking", *words(folder, *more)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | {"TOY_STEPS": STEPS},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.pid = self._process.pid

    def end(self, patience: float = PATIENCE) -> tuple[int | None, str]:
        """As of Process."""
        try:
            said = self._process.communicate(timeout=patience)[1]
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            return None, self._process.communicate()[1]
        return self._process.returncode, said


def _command(given: list[str]) -> None:
    """In a forked process."""
    os.environ["TOY_STEPS"] = STEPS
    local._spawn, local.POLL, execute.CHECKPOINT_EVERY = _spawn, 0.1, 0.1
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.argv[1:] = given
    __main__.main()


def _spawn(runs: Runs, device: str, data_dir: str | None, alone: bool, threads: int) -> "_Worker":
    folders = [str(place.absolute()) for place in (runs.root, runs.checkpoints, runs.weights)]
    return _Worker(lambda: worker.main(folders[0], device, folders[1], folders[2], data_dir, str(threads)))


class _Worker:
    """A forked worker, with what the engine uses of subprocess.Popen."""

    def __init__(self, serve: Callable[[], None]):
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            os.dup2(theirs_in, 0)
            os.dup2(theirs_out, 1)
            os.closerange(3, 1000)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            sys.stdin, sys.stdout, sys.stderr = (os.fdopen(k, "w" if k else "r") for k in range(3))
            finish(serve)
        os.close(theirs_in)
        os.close(theirs_out)
        self.stdin, self.stdout = os.fdopen(ours_in, "wb"), os.fdopen(ours_out, "rb", buffering=0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises TimeoutExpired."""
        end = time.monotonic() + (PATIENCE if timeout is None else timeout)
        while self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                raise subprocess.TimeoutExpired("worker", timeout or PATIENCE)
            else:
                time.sleep(0.005)
        return self.returncode

    def _send(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """By SIGTERM."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """By SIGKILL."""
        self._send(signal.SIGKILL)


def signals(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """The command that draws a figure, its worker, or both get a signal at a random moment; then it is begun again.

    A signal that came when nobody was there to get it, as after the command's end, counts as no try.
    """
    tally, late = Tally("signals"), 0
    furnished = Action("", _nothing, _nothing, _nothing, lambda place, then, now: False)
    wholes = {}
    for kind in (Command, Shell) if budget.tries >= REAL else (Command,):
        place, began = _with_data(folder), time.monotonic()
        status, said = kind(place).end()
        if status:
            raise RuntimeError(f"the command does not work when nothing stops it: {said}")
        wholes[kind] = time.monotonic() - began, curves(place)
    for k in budget:
        kind = Shell if Shell in wholes and k % REAL == REAL - 1 else Command
        took, whole = wholes[kind]
        sent, to = SIGNALS[k % 4], ("parent", "worker", "both")[k // 4 % 3]
        process = kind(_with_data(folder))
        time.sleep(chance.uniform(0.0, took) if to != "worker" else chance.uniform(0.2, 0.7) * took)
        workers = children(process.pid)
        aimed = [*([process.pid] if to != "worker" else []), *(workers if to != "parent" else [])]
        hit = [pid for pid in aimed if alive(pid)]
        for pid in hit:
            with suppress(ProcessLookupError):
                os.kill(pid, sent)
        tried = f"{signal.Signals(sent).name} to {to}{', as a shell starts it' if kind is Shell else ''}"
        status, said = process.end()
        left = _left(workers)
        gone = beside(place, folder, furnished)
        status_again, said_again = kind(place).end() if status is not None else (None, "")
        if not hit:
            late += 1
        elif status is None or status_again is None:
            tally.add(HANG, tried, said + said_again)
        elif "Traceback" in said + said_again or status_again:
            tally.add(TRACEBACK, tried, said + said_again)
        elif left:
            tally.add(HANG, tried, "a worker goes on without its parent")
        elif gone := gone or beside(place, folder, furnished):
            tally.add(LOST, tried, gone)
        elif curves(place) != whole:
            tally.add(SILENT, tried, "it comes to other curves")
        else:
            tally.add(HARMLESS, tried, SAME)
    tally.notes.append(f"{late} signals came when nobody was there to get them, and count as no try")
    return tally


def _with_data(folder: Path) -> Path:
    place = begun(folder / "place", folder)
    shutil.copytree(folder / "data" / "toy", place / "data" / "toy")
    return place


def _left(workers: list[int], patience: float = 15.0) -> list[int]:
    """Those that still are there after some time. They are then killed."""
    end = time.monotonic() + patience
    while (left := [pid for pid in workers if alive(pid)]) and time.monotonic() < end:
        time.sleep(0.05)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left
