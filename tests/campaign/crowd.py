"""Several processes at one folder, shards, a full disk, 50,000 records."""

import ctypes
import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import kills
import sets
from tally import HANG, HARMLESS, LOST, SILENT, TRACEBACK, Budget, Tally, apart

from rethinking import figures
from rethinking.cli import main
from rethinking.cli.group import Group
from rethinking.engines import execute, local
from rethinking.paths import written_as
from rethinking.record import Runs, Writer, archive, lease
from rethinking.spec import RunSpec


def processes(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """Two or three commands that want the same runs at once, or their shards: each run is completed once, as by one."""
    tally = Tally("several processes")
    furnished = kills.Action("", kills._nothing, kills._nothing, kills._nothing, lambda place, then, now: False)
    place = kills._with_data(folder)
    kills.Command(place).end()
    right, finish = kills.curves(place), Writer.finish
    log = folder / "completed"

    def finished(writer: Writer, *given: Any, **more: Any) -> None:
        finish(writer, *given, **more)
        with log.open("a") as stream:
            stream.write(f"{writer.path.name}\n")

    Writer.finish = finished  # type: ignore[method-assign]
    try:
        for k in budget:
            place, count = kills._with_data(folder), 2 + k % 2
            log.write_text("")
            shards = [("--shard", f"{i + 1}/{count}") if k % 4 > 1 else () for i in range(count)]
            started = []
            for shard in shards:
                started.append(kills.Command(place, *shard))
                time.sleep(chance.uniform(0, 0.5))
            tried = f"{count} at once{', shards' if k % 4 > 1 else ''}"
            ended = [process.end() for process in started]
            said = "".join(text for _, text in ended)
            made = log.read_text().split()
            gone = kills.beside(place, folder, furnished)
            if any(status is None for status, _ in ended):
                tally.add(HANG, tried, said)
            elif any(status for status, _ in ended) or "Traceback" in said:
                tally.add(TRACEBACK, tried, said)
            elif gone:
                tally.add(LOST, tried, gone)
            elif len(set(made)) < len(made) or kills.curves(place) != right:
                tally.add(SILENT, tried, f"completed were {made}")
            else:
                tally.add(HARMLESS, tried, "each run is completed once, and the curves are those of one process")
    finally:
        Writer.finish = finish  # type: ignore[method-assign]
    return tally


OWN = (None, None)  # where a folder of records has its checkpoints and its weights: beside the records
SHARED = {  # where the first and the second of two have them
    "one folder of checkpoints and one of weights": (("checkpoints", "weights"), ("checkpoints", "weights")),
    "checkpoints in the other's records": (OWN, ("first", None)),
    "weights in the other's records": (OWN, (None, "first")),
    "both in the other's records": (OWN, ("first", "first")),
    "each in the other's": (("second", "second"), ("first", "first")),
}


def shared(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """Two folders of records that share places: a run is begun, killed, made, made again and pruned in each.

    Nothing that the other does may change or delete what a folder wrote last; a run's curve is that of any other.
    """
    tally, place, root = Tally("shared folders"), folder / "place", sets.toy(folder / "data")
    alone = Runs(folder / "alone")
    kills.train(kills.SPEC, alone, root)
    right = (alone.path(kills.SPEC) / "curve.csv").read_bytes()
    execute.CHECKPOINT_EVERY, lease.HEARTBEAT, before = 0.0, 0.2, (execute.CHECKPOINT_EVERY, lease.HEARTBEAT)
    try:
        for k in budget:
            sets.fresh(place)
            what = [*SHARED][k % len(SHARED)]
            steps = [(chance.randrange(2), chance.choice([*STEPS]), chance.randrange(1500)) for _ in range(10)]
            steps += [(side, "make", None) for side in range(2)]
            done, outcome, told = _in_turn(SHARED[what], steps, place, root, right)
            tally.add(outcome, f"{what}: {', '.join(done)}", told)
    finally:
        execute.CHECKPOINT_EVERY, lease.HEARTBEAT = before
    return tally


def _in_turn(places: Any, steps: list[Any], place: Path, root: Path, right: bytes) -> tuple[list[str], str, str]:
    """What was done, how it ended, and why. steps: which side does what; the call that it is killed at, if reached."""
    done, owners, status = list[str](), dict[str, int](), None
    for side, step, at in steps:
        name, held = ("first", "second")[side], sets.tree(place, _swept)
        where = [place / each if each else None for each in places[side]]

        def act(step: str = step, at: int | None = at, name: str = name, where: Any = where) -> None:
            kills.Points(at).watch()
            STEPS[step](Runs(place / name, *where), root)

        status, said = apart(act)
        done.append(f"{name} {step}{' killed' if status == -signal.SIGKILL else ''}")
        now = sets.tree(place, _swept)
        changed = {file for file in {*held, *now} if held.get(file) != now.get(file)}
        gone = sorted(file for file in changed if file in held and owners[file] != side)
        owners |= dict.fromkeys(changed, side)
        if gone:
            return done, LOST, f"{gone} of the other folder"
        one = status == 2 and said.count("rethinking: ") == len(said.splitlines()) == 1
        if not one and status not in (0, -signal.SIGKILL):
            return done, HANG if status is None else TRACEBACK, f"status {status}: {said[-2000:]}"
        if step == "make" and status == 0 and now.get(f"{name}/{kills.SPEC.run_id}/curve.csv") != right:
            return done, SILENT, "it comes to another curve"
    return done, HARMLESS, f"the last {'has its curve' if status == 0 else 'is refused in one line'}, nothing is lost"


def _swept(path: Path) -> bool:  # by whoever finds it first
    return bool(written_as(path.name)) or any(map(lease.is_lease, path.parts))


STEPS: dict[str, Callable[[Runs, Path], Any]] = {
    "begin": lambda runs, root: kills.train(kills.SPEC, runs, root, until=3),
    "make": lambda runs, root: kills.train(kills.SPEC, runs, root),
    "make anew": lambda runs, root: kills.train(kills.SPEC, runs, root, anew=True),
    "make again": lambda runs, root: runs.complete(kills.SPEC) and (kills.age(runs), kills.make_again(runs, root)),
    "prune": lambda runs, root: [runs.delete(found) for found in runs.survey()],
    "prune weights": lambda runs, root: [runs.delete(found, "weights") for found in runs.survey()],
}


class Full(kills.Points):
    """From a point on nothing has room on the disk; where its number is odd, one call alone has none."""

    why = "one line, and with room it comes to the same end"

    def pass_(self, room: bool = False) -> None:
        if self.over:
            return
        self.count += 1
        once = bool(self.at and self.at % 2)
        if room and self.at is not None and self.count > self.at and not (once and self.reached):
            self._reached[0] = 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a file")

    def command(self, action: Callable[[], Any]) -> None:
        Group(commands={"act": click.Command("act", callback=action)}).main(args=["act"])

    def expected(self, status: int, said: str) -> bool:
        return status == 0 or (status == 2 and said.count("rethinking: ") == 1 and "Traceback" not in said)


def no_room(folder: Path, budget: Budget, chance: random.Random, among: list[kills.Action] = kills.ACTIONS) -> Tally:
    """Every action gets "no space left on device" at calls of its own that need room."""
    tally = kills.calls(folder, budget, chance, among, Full)
    tally.part = "no room at a call"
    return tally


ENOUGH = "there was room enough"


def full_disk(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """A file cannot grow beyond some bytes, or a tmpfs is full: one line, and with room it comes to the same end.

    Where there was room enough, it counts as no try.
    """
    tally, place = Tally("full disk"), folder / "place"
    action = kills.ACTIONS[0]
    kills.begun(place, folder)
    apart(lambda: action.act(place))
    end = action.end(place)
    mounts = apart(lambda: _mount(place, 1 << 20))[0] == 0
    (folder / "spec.json").write_text(kills.SPEC.to_json())
    for k in budget:
        if mounts and k % 2:
            room = 4096 * chance.randrange(40)
            tried = f"a tmpfs with room for {room} bytes"
            status, said = apart(lambda room=room: _in_a_tmpfs(room, place, folder, end))
            outcome, found, told = said.partition("OUTCOME ")[2].partition(": ")
            if found:
                _add(tally, outcome, tried, told)
            else:
                tally.add(HANG if status is None else TRACEBACK, tried, said)
            continue
        limit = chance.choice([0, 1, 100, chance.randrange(3000), chance.randrange(60_000)])
        kills.begun(place, folder)
        outcome, told = _tried(place, folder, end, lambda limit=limit: _limit(limit))
        _add(tally, outcome, f"files of at most {limit} bytes", told)
    if not mounts:
        tally.notes.append("no tmpfs can be mounted here (that takes root), so files of limited size are all there is")
    return tally


def _add(tally: Tally, outcome: str, tried: str, told: str) -> None:
    """Count a try, but none where nothing was stopped."""
    if outcome != HARMLESS or told != ENOUGH:
        tally.add(outcome, tried, told)


def _limit(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _tried(
    place: Path, folder: Path, end: Any, narrow: Callable[[], None], widen: Callable[[], None] = lambda: None
) -> tuple[str, str]:
    """Train by the command with and without room in a place that `begun` has furnished; how it ended, and why."""

    def act() -> None:
        narrow()
        os.chdir(place)
        local.run = _in_this_process
        words = ["run", "--spec", str(folder / "spec.json"), "--runs", "runs", "--checkpoints", "checkpoints"]
        main(args=[*words, "--data-dir", str(folder / "data"), "--device", "cpu"])

    action = kills.ACTIONS[0]
    status, said = apart(act)
    gone = kills.beside(place, folder, action)
    widen()
    again, said_again = apart(lambda: action.act(place))
    if status is None or again is None:
        return HANG, said + said_again
    if "Traceback" in said + said_again or again or status not in (0, 2):
        return TRACEBACK, said + said_again
    if gone := gone or kills.beside(place, folder, action):
        return LOST, gone
    if action.end(place) != end:
        return SILENT, said
    return HARMLESS, "one line, and with room it comes to the same end" if status else ENOUGH


def _in_a_tmpfs(room: int, place: Path, folder: Path, end: Any) -> None:
    """In a forked process, whose mounts end with it; tells how it ended on standard error."""
    kept = sets.tree(kills.begun(place, folder))
    _mount(place, 1 << 26)
    for name, content in kept.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    system = os.statvfs(place)
    used = system.f_frsize * (system.f_blocks - system.f_bfree)

    def sized(size: int) -> None:
        _called("mount", b"none", bytes(place), b"tmpfs", 32, f"size={size}".encode())  # 32: of a mount that is there

    sized(used + room)
    outcome, told = _tried(place, folder, end, lambda: None, lambda: sized(1 << 26))
    print(f"OUTCOME {outcome}: {told}", end="", file=sys.stderr)


def _mount(place: Path, size: int) -> None:
    """A tmpfs at a place, for this process and those that it starts."""
    _called("unshare", 0x20000)  # CLONE_NEWNS
    _called("mount", b"none", b"/", None, 1 << 14 | 1 << 18, None)  # MS_REC, MS_PRIVATE
    _called("mount", b"none", bytes(place), b"tmpfs", 0, f"size={size}".encode())


def _called(name: str, *given: Any) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    more = (None,) * (2 if name == "mount" and len(given) < 5 else 0)
    if getattr(library, name)(*given, *more):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def _in_this_process(specs: list[RunSpec], runs: Runs, *, data_dir: str, **_: object) -> list[object]:
    execute.CHECKPOINT_EVERY = 0.0
    for spec in specs:
        execute.execute(spec, runs, data_dir=data_dir)
    return []


# --- many records ---------------------------------------------------------------------------------

SECONDS = 15.0  # of the processor that `prune` may take where it keeps all of 50,000 records
GROWTH = 100_000_000  # bytes of memory that it may take for 50,000 records beyond what it takes for few
PRUNE = """
import json, resource, sys, time
from rethinking.cli import main
began = time.monotonic()
try:
    main(args=sys.argv[1:])
except SystemExit as end:
    status = end.code
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([status, time.monotonic() - began, used.ru_utime + used.ru_stime, 1024 * used.ru_maxrss]))
"""


def apart_from_us(words: list[str]) -> tuple[str, str]:
    """The last line of PRUNE, as a shell would call it, and what it wrote to standard error."""
    done = subprocess.run([sys.executable, "-c", PRUNE, *words], capture_output=True, text=True)
    return (done.stdout.splitlines() or [""])[-1], done.stderr


def forked(words: list[str]) -> tuple[str, str]:
    """The same of a forked process, which need not import anything."""

    def act() -> None:
        sys.argv[1:], sys.stdout = words, sys.stderr
        exec(PRUNE, {})

    said = apart(act)[1]
    return (said.splitlines() or [""])[-1], said


measure = apart_from_us


def many(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """`prune` on as many records as there are tries, at full size 50,000: right, quick, and in memory that stays flat.

    Of ten records eight are complete and archived, one is complete and no figure needs it, one is unfinished and no
    figure needs it; a user keeps a file with the first such. A figure needs eight more, every second unfinished. A
    tenth of the seconds and bytes is allowed for every tenth of the 50,000, and as much as few records take.
    """
    tally, runs, count = Tally("many records"), folder / "runs", budget.tries
    made = sets.made(Runs(folder / "one"), sets.toy(folder / "data"))[0]
    settings = [figures.setting("toyfig", "quick", model) for model in ("tiny", "mlp-1x512")]
    needed = [spec for setting in settings for spec in figures.unique(figures.specs("toyfig", setting))]
    specs = [*needed, *(sets.TRAINED.replace(seed=seed) for seed in range(count))]
    kinds: dict[str, list[str]] = {kind: [] for kind in ("needed", "begun", "archived", "spare", "unfinished")}
    for k, spec in enumerate(specs):
        path, number = runs / spec.run_id, k - len(needed)
        kind = ("begun", "needed")[k % 2] if number < 0 else {0: "unfinished", 1: "spare"}.get(number % 10, "archived")
        kinds[kind].append(path.name)
        path.mkdir(parents=True)
        (path / "spec.json").write_text(spec.to_json())
        for name in ("curve.csv", "environment.json", "result.json"):
            if name != "result.json" or kind not in ("begun", "unfinished"):
                os.link(made / name, path / name)
    (folder / "figures").mkdir()
    (runs / archive.LIST).write_text("".join(f"{name}\n" for name in kinds["archived"]))
    noted = kinds["spare"][:1]  # in whose folder a user keeps something
    for name in noted:
        (runs / name / ".notes.md.swp").write_text("a user's")
    base = _pruned(tally, "few", folder / "one", folder, sorted(p.name for p in (folder / "one").iterdir()))
    share = count / 50_000
    allowed = SECONDS * share + base[0], GROWTH * share + base[1]
    everything = sorted(p.name for p in runs.iterdir())
    kept = sorted(set(everything) - set(kinds["begun"]))
    _pruned(tally, "all but what a figure's runs have left unfinished", runs, folder, kept, allowed)
    _pruned(tally, "all, again", runs, folder, kept, allowed)
    kept = sorted(set(kept) - set(kinds["spare"]) - set(kinds["unfinished"]) | set(noted))
    _pruned(tally, "what is archived or needed", runs, folder, kept, None, "--unreferenced")
    names = ("spec.json", "curve.csv", "environment.json", "result.json")
    folders = [runs / name for name in kept if name != archive.LIST]
    whole = all((path / file).is_file() for path in folders for file in names)
    tally.add(HARMLESS if whole else LOST, "what is kept", "every file is there")
    return tally


def _pruned(
    tally: Tally,
    what: str,
    runs: Path,
    folder: Path,
    kept: list[str],
    allowed: tuple[float, float] | None = None,
    *more: str,
) -> tuple[float, float]:
    """One call of `prune`; returns seconds of the processor and bytes at most."""
    words = ["prune", "--yes", *more, "--runs", str(runs), "--out", str(folder / "figures")]
    last, said = measure(words)
    if not last.startswith("[0,"):
        tally.add(TRACEBACK, f"keeping {what}", last + said)
        return 0.0, 0.0
    _, wall, seconds, memory = json.loads(last)
    left = sorted(p.name for p in runs.iterdir())
    told = f"{seconds:.1f} s of the processor, {wall:.1f} s by the clock, {memory / 1e6:.0f} MB at most"
    tally.notes.append(f"prune of {len(left):,}, keeping {what}: {told}")
    if set(kept) - set(left):
        tally.add(LOST, f"keeping {what}", f"{len(set(kept) - set(left)):,} are gone, as {min(set(kept) - set(left))}")
    elif set(left) - set(kept):
        tally.add(SILENT, f"keeping {what}", f"{len(set(left) - set(kept)):,} should be gone")
    elif allowed and (seconds > allowed[0] or memory > allowed[1]):
        tally.add(HANG, f"keeping {what}", f"{told}; allowed are {allowed[0]:.1f} s and {allowed[1] / 1e6:.0f} MB")
    else:
        tally.add(HARMLESS, f"keeping {what}", "the right ones are gone, and no other")
    return seconds, memory
