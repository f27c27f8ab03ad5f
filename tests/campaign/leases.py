"""What an unfinished run has, damaged in every way: its lease, which tells who makes it, and its checkpoint."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import kills
import safetensors.torch
import sets
from click.testing import CliRunner
from tally import LOST, Budget, Tally

from rethinking.cli import main
from rethinking.engines import execute
from rethinking.record import Runs, lease, leased
from rethinking.spec import kind_of

TOLD = "the step that is told is that of a sound checkpoint"


def leases(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """Damaged owner.json and progress.json: of a dead process the run is made, of a live one it is not taken away.

    The silence after which an owner is given up is made short.
    """
    tally, place = Tally("leases"), folder / "place"
    before = lease.HEARTBEAT, lease.SILENCE, execute.CHECKPOINT_EVERY
    lease.HEARTBEAT, lease.SILENCE = 0.1, 0.2
    furnished = kills.ACTIONS[0]
    kills.begun(place, folder)
    kills._train(kills.SPEC, place)
    right = kills.curves(place)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = json.dumps(lease._me() | {"pid": ended.pid})
    notes = json.dumps({"log": None, "device": "cpu", "steps": 8, "step": 3, "seconds_left": 0.1, "summary": "a"})
    try:
        for k in budget:
            runs = Runs(kills.begun(place, folder) / "runs", place / "checkpoints")
            run = runs.path(kills.SPEC)
            run.mkdir()
            (run / "spec.json").write_text(kills.SPEC.to_json())
            if k % 3:
                what = _of_the_dead(run, dead, notes, chance)
                use = lambda run=run: (lease.making(run), lease.held(run), False)[-1]  # noqa: E731
            else:
                what = f"a file of a live process, try {k}"
                use = lambda run=run: _of_the_living(run, chance)  # noqa: E731

            def done(use: Any = use, run: Path = run) -> dict[str, bytes]:
                taken = use()
                kills._train(kills.SPEC, place)
                left = [p.name for p in run.iterdir() if lease.is_lease(p.name)]
                return {taken or f"left over: {left}": b""} if taken or left else kills.curves(place)

            tally.judge(what, done, right, "the run is made, or goes on, and comes to the same end")
            if gone := kills.beside(place, folder, furnished):
                tally.add(LOST, what, gone)
    finally:
        lease.HEARTBEAT, lease.SILENCE, execute.CHECKPOINT_EVERY = before
    return tally


def _damage(file: Path, chance: random.Random) -> str:
    what, content = sets.damaged(file.read_bytes(), chance)
    file.write_bytes(content)
    return f"{file.name}, {what}"


def _of_the_dead(run: Path, owner: str, notes: str, chance: random.Random) -> str:
    """Leases of a process that has ended, one of them damaged; returns how."""
    for number in range(chance.randrange(1, 3)):
        held = run / f"lease-{number}"
        held.mkdir()
        (held / "owner.json").write_text(owner)
        (held / lease.NOTES).write_text(notes)
    return f"{_damage(held / chance.choice(['owner.json', lease.NOTES]), chance)}, of a dead process"


def _of_the_living(run: Path, chance: random.Random) -> str:
    """Hold a run, with heartbeats, and damage a file of the lease; returns whether it is taken away, and after what."""
    with lease.hold(run, {"step": 3}) as held:
        assert held is not None
        end = time.monotonic() + 5
        while not (held / lease.NOTES).is_file() and time.monotonic() < end:
            time.sleep(0.01)
        what = _damage(held / chance.choice(["owner.json", lease.NOTES]), chance)
        for _ in range(2):
            lease.making(run)
            if not lease.held(run):
                return f"taken away from a live process: {what}"
            time.sleep(1.5 * lease.HEARTBEAT)
    return ""


def checkpoints(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """The checkpoint of a run that was broken off: damaged, stale or another run's."""

    def status(root: Path) -> list[int]:
        done = CliRunner().invoke(main, ["status", "--json", "--runs", str(root)], catch_exceptions=False)
        stopped = {run["run"]: run["step"] for run in json.loads(done.stdout)["stopped"]}
        return [stopped[spec.run_id]] if stopped[spec.run_id] is not None else []

    tally, runs, spec = Tally("checkpoints"), Runs(folder / "runs"), sets.TRAINED
    root = str(sets.toy(folder / "data"))
    stale = None
    for until in (3, 5):
        execute.execute(spec, runs, data_dir=root, until=until)
        file = runs.path(spec) / "checkpoint.safetensors"
        stale = stale or file.read_bytes()
    whole = file.read_bytes()

    def use() -> str:
        with leased(runs, spec) as writer:
            saved = execute._saved(writer, kind_of(spec))
        return repr(saved and (saved[0], {k: v.tolist() for k, v in saved[1].items()}))

    right, told = use(), (status(runs.root), runs.reached(spec))
    for place, what in sets.with_damage([file], chance, budget, tally, runs.root):
        tally.judge(f"{place.name}, {what}", use, right)
        tally.judge(f"{place.name}, {what}, as `status` has it", lambda: status(runs.root) or told[0], told[0], TOLD)
        tally.judge(f"{place.name}, {what}, as `figure` has it", lambda: runs.reached(spec), told[1], TOLD)
    execute.execute(sets.NOISY, runs, data_dir=root, until=3)
    others = {"of another run": (runs.path(sets.NOISY) / "checkpoint.safetensors").read_bytes(), "stale": stale}
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    others["without a digest"] = safetensors.torch.save(
        safetensors.torch.load(whole), {"notes": header["__metadata__"]["notes"]}
    )
    others["of metadata of another type"] = safetensors.torch.save(
        safetensors.torch.load(whole), header["__metadata__"] | {"notes": "[" * 9000}
    )
    for what, content in others.items():
        file.write_bytes(content)
        tally.judge(f"a checkpoint {what}", use, right)
        if what != "stale":  # which has reached the step that it says
            tally.judge(f"a checkpoint {what}, as `status` has it", lambda: status(runs.root) or told[0], told[0], TOLD)
            tally.judge(f"a checkpoint {what}, as `figure` has it", lambda: runs.reached(spec), told[1], TOLD)
    file.unlink()
    tally.judge("no checkpoint", use, right)
    return tally
