"""Several processes at one folder, shards, a full disk, 50,000 records."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import kills
import sets
from tally import HANG, HARMLESS, LOST, SILENT, TRACEBACK, Budget, Tally, apart

from rethinking.cli import main
from rethinking.engines import execute, local
from rethinking.record import Runs
from rethinking.spec import RunSpec


def processes(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """Two or three commands that want the same runs at once, or their shards: each run is trained once, as by one."""
    tally = Tally("several processes")
    sets.toy(folder / "data")
    alone = sets.fresh(folder / "alone")
    shutil.copytree(folder / "data", alone / "data")
    kills.start(alone).communicate(timeout=600)
    right = kills.curves(alone)
    for k in budget:
        place, count = sets.fresh(folder / "place"), 2 + k % 2
        shutil.copytree(folder / "data", place / "data")
        shards = [("--shard", f"{i + 1}/{count}") if k % 4 > 1 else () for i in range(count)]
        started = []
        for shard in shards:
            started.append(kills.start(place, *shard))
            time.sleep(chance.uniform(0, 0.5))
        tried = f"{count} at once{', shards' if k % 4 > 1 else ''}"
        try:
            said = "".join(process.communicate(timeout=600)[1] for process in started)
        except subprocess.TimeoutExpired:
            tally.add(HANG, tried)
            continue
        if any(process.returncode for process in started):
            tally.add(TRACEBACK, tried, said)
        else:
            same = kills.curves(place) == right
            tally.add(HARMLESS if same else SILENT, tried, "the curves are those of one process" if same else said)
    return tally


def full_disk(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """A file cannot grow beyond some bytes: one line, and with room it comes to the same end."""
    tally, place = Tally("full disk"), folder / "place"
    sets.toy(folder / "data")
    action = kills.ACTIONS[0]
    apart(lambda: action.act(kills.begun(place, folder)))
    end = action.end(place)
    record = kills.record(place / "runs" / sets.NOISY.run_id)
    for _ in budget:
        limit = chance.choice([0, 1, 100, chance.randrange(3000), chance.randrange(60_000)])

        def full(limit: int = limit) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            os.chdir(place)
            local.run = _in_this_process
            words = ["run", "--spec", str(folder / "spec.json"), "--runs", "runs", "--checkpoints", "checkpoints"]
            main(args=[*words, "--data-dir", str(folder / "data"), "--device", "cpu"])

        (folder / "spec.json").write_text(kills.SPEC.to_json())
        kills.begun(place, folder)
        status, said = apart(full)
        again, said_again = apart(lambda: action.act(place))
        tried = f"files of at most {limit} bytes"
        if status is None or again is None:
            tally.add(HANG, tried)
        elif "Traceback" in said + said_again or again:
            tally.add(TRACEBACK, tried, said + said_again)
        elif (now := kills.record(place / "runs" / sets.NOISY.run_id)) != record:
            tally.add(
                LOST, tried, f"{[name for name in record if now.get(name) != record[name]]} of the record beside it"
            )
        else:
            same = action.end(place) == end
            why = "one line, and with room it comes to the same end" if status else "there was room enough"
            tally.add(HARMLESS if same else SILENT, tried, why if same else said)
    return tally


def _in_this_process(specs: list[RunSpec], runs: Runs, *, data_dir: str, **_: object) -> list[object]:
    execute.CHECKPOINT_EVERY = 0.0
    for spec in specs:
        execute.execute(spec, runs, data_dir=data_dir)
    return []


def many(folder: Path, count: int) -> str:
    """`prune` on so many records, a tenth of them unfinished: seconds and memory where most are kept, and none."""
    runs = folder / "runs"
    made = sets.made(Runs(folder / "one"), sets.toy(folder / "data"))[0]
    files = {name: (made / name).read_bytes() for name in ("curve.csv", "environment.json", "result.json")}
    for seed in range(count):
        spec = sets.TRAINED.replace(seed=seed)
        path = runs / spec.run_id
        path.mkdir(parents=True)
        (path / "spec.json").write_text(spec.to_json())
        for name, content in files.items():
            if name != "result.json" or seed % 10:
                (path / name).write_bytes(content)
    code = (
        "import json, resource, sys, time; from rethinking.cli import main; began = time.monotonic()\n"
        "try: main(args=sys.argv[1:])\nexcept SystemExit: pass\n"
        "print(json.dumps([time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))"
    )
    told = []
    for what, place, more in (
        ("few", folder / "one", []),
        ("kept, all but what is unfinished", runs, []),
        ("deleted, all", runs, ["--unreferenced"]),
    ):
        words = ["prune", "--yes", *more, "--runs", str(place), "--out", str(folder / "figures")]
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        seconds, memory = json.loads(done.stdout.splitlines()[-1])
        left = sum(1 for _ in place.glob("*"))
        told.append(f"{what}: {seconds:.1f} s, {memory / 1024:.0f} MB at most, {left:,} folders left")
    return f"prune of {count:,} records; " + "; ".join(told)
