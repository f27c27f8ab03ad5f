"""The engine: results that depend on nothing but the spec, whatever is killed, shared or interrupted."""

import dataclasses
import json
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import pytest
import safetensors.torch
import torch
from command import cli

import rethinking
from rethinking import catalog, figures, machine, probes, revision
from rethinking.cli import main
from rethinking.engines import checks, estimate, execute, local, made_with
from rethinking.errors import InputError
from rethinking.record import Runs, digests, lease, leased, read, write
from rethinking.spec import Part, ProbeSpec, RunSpec, kind_of

SPEC = RunSpec(data="toy", n=200, model="tiny", steps=60, eval_every=20)
WANTED = figures.unique(figures.specs("toyfig", figures.Setting("quick", "tiny", 1)))


def command(*words, **env):
    return subprocess.Popen(
        [sys.executable, "-m", "rethinking.cli", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | env,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )


def figure(toy_dir, folder, *more, **env):
    words = ("figure", "toyfig", "--data-dir", toy_dir, "--runs", folder / "runs", "--out", folder / "figures")
    return command(*words, "--device", "cpu", *more, **env)


def curves(folder):
    return {p.parent.name: p.read_bytes() for p in folder.glob("*/curve.csv")}


def workers_of(process) -> list[int]:
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    return [int(pid) for pid in children.stdout.split()]


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def test_the_number_of_workers_and_their_places_do_not_matter(toy_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "gpu_count", lambda: 2)
    assert local.places("cuda", 3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert local.places("cuda:1", 2) == ["cuda:1", "cuda:1"]
    assert local.places("cpu", 2) == ["cpu", "cpu"]
    monkeypatch.setattr(local, "gpu_count", lambda: 1)
    started, spawn = [], local._spawn

    def on_the_cpu(runs, device, **more):
        started.append(device)
        return spawn(runs, "cpu", **more)

    monkeypatch.setattr(local, "_spawn", on_the_cpu)
    specs = [SPEC, SPEC.replace(seed=1), SPEC.replace(corruptions=(Part(name="gaussian"),))]
    for workers, device in ((1, "cpu"), (2, "cuda")):
        runs = Runs(tmp_path / str(workers))
        assert local.run(specs, runs, device=device, workers=workers, data_dir=str(toy_dir)) == []
    assert started == ["cpu", "cuda:0", "cuda:0"]  # several workers share a GPU
    assert len(curves(tmp_path / "1")) == 3
    assert curves(tmp_path / "1") == curves(tmp_path / "2")
    assert not list(tmp_path.glob("*/*/lease-*"))


# Trains in a fork of itself for every folder that it is told, and prints its process id, its steps and its exit status:
# what a run costs to start is paid once.
DRIVER = """
import os, signal, sys
from rethinking.engines import execute as engine
from rethinking.record import Runs
from rethinking.spec import RunSpec
engine.CHECKPOINT_EVERY = 0.1
spec, data_dir = RunSpec.from_json(sys.argv[1]), sys.argv[2]
say = lambda step: print(step, flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        signal.signal(signal.SIGTERM, lambda *_: engine.ask_to_stop() or os._exit(143))
        folder = line.strip()
        try:
            done = engine.execute(spec, Runs(folder, folder + "-checkpoints"), data_dir=data_dir, on_step=say)
        except engine.Stopped:
            os._exit(143)
        os._exit(0 if done else 1)
    print(child, flush=True)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


STOPS = int(os.environ.get("STOPS", "4"))


class Driver:
    """A process that trains `spec` when told to, again and again."""

    def __init__(self, spec, toy_dir):
        words = [sys.executable, "-c", DRIVER, spec.to_json(), str(toy_dir)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, folder) -> int:
        """The process id of one that trains into `folder`."""
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> tuple[list[int], int]:
        """The steps that it had still to say, and its exit status."""
        steps = []
        while not (line := self.process.stdout.readline()).startswith("ended"):
            steps.append(int(line))
        return steps, int(line.split()[1])

    def close(self) -> None:
        self.process.communicate(timeout=60)


@pytest.mark.timeout(900)
def test_stopped_and_killed_at_random_moments_it_ends_the_same(toy_dir, tmp_path):
    """By SIGTERM, which loses no step, and by SIGKILL, in turn; in or outside an evaluation."""
    spec = SPEC.replace(steps=80 * STOPS, eval_every=7, evaluation="probe")  # often in an epoch, of two steps
    driver = Driver(spec, toy_dir)
    driver.start(tmp_path / "whole")
    assert driver.end()[1] == 0
    chance = random.Random(0)
    last, reached = 0, []
    for k in range(STOPS):
        process = driver.start(tmp_path / "killed")
        reached.append(int(driver.process.stdout.readline()))
        assert not last or reached[-1] == last + 1  # stopped by SIGTERM, it had saved its last step
        time.sleep(chance.uniform(0, 0.1))
        asked = time.monotonic()
        os.kill(process, (signal.SIGTERM, signal.SIGKILL)[k % 2])
        steps, status = driver.end()
        assert time.monotonic() - asked < 10
        assert status == (143, -signal.SIGKILL)[k % 2], "it ended before it was stopped often enough"
        last = [reached[-1], *steps][-1] if k % 2 == 0 else 0
        assert not Runs(tmp_path / "killed").complete(spec)
        assert not list((tmp_path / "killed").glob("*/checkpoint*"))  # they have a folder of their own
    assert reached == sorted(reached)
    assert reached[-1] > reached[0] + STOPS // 2  # it did go on from where it was
    driver.start(tmp_path / "killed")
    assert driver.end()[1] == 0
    driver.close()
    whole, killed = Runs(tmp_path / "whole").path(spec), Runs(tmp_path / "killed").path(spec)
    for name in ("curve.csv", "online.csv", "weights.safetensors"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()
    assert not list(tmp_path.glob("*-checkpoints/*"))


class Stopped(Exception):
    pass


def stop_at(step):
    def on_step(now):
        if now == step:
            raise Stopped

    return on_step


def begun(runs, toy_dir, step=25, spec=SPEC):
    """The checkpoint of a run that was stopped at a step, saved after every one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "CHECKPOINT_EVERY", 0.0)
        with pytest.raises(Stopped):
            execute.execute(spec, runs, data_dir=str(toy_dir), on_step=stop_at(step))
    return runs.checkpoints / spec.run_id / "checkpoint.safetensors"


def resumed_at(runs, toy_dir, spec=SPEC, **options):
    """The step from which a run goes on to its end, None where it begins anew."""
    steps = []
    assert execute.execute(spec, runs, data_dir=str(toy_dir), on_resume=steps.append, **options)
    return steps[0] if steps else None


@pytest.fixture(scope="module")
def whole(toy_dir, tmp_path_factory):
    """The curve of the run that nothing stopped."""
    runs = Runs(tmp_path_factory.mktemp("whole"))
    assert resumed_at(runs, toy_dir) is None
    return curves(runs.root)


@pytest.mark.parametrize("step", [1, 20, 21])
def test_stopped_at_any_step_it_ends_the_same_and_names_every_commit(toy_dir, tmp_path, monkeypatch, whole, step):
    runs = Runs(tmp_path)
    for name, stop in (("one", step), ("two", 45), ("two", None)):
        monkeypatch.setattr(made_with, "commit", lambda name=name: name)
        begun(runs, toy_dir, stop) if stop else resumed_at(runs, toy_dir)
    assert curves(tmp_path) == whole
    found = runs.find(SPEC).environment
    commits = "one, then two" if step > 1 else "two"  # at its first step nothing was saved
    assert (found["commit"], found["device"]) == (commits, "cpu")
    assert found["seconds"] > 0


OTHER = SPEC.replace(seed=1)


def test_a_checkpoint_that_is_not_the_runs_last_is_one_line_and_the_run_begins_anew_only_when_told(
    toy_dir, tmp_path, monkeypatch, whole
):
    runs = Runs(tmp_path / "runs")
    usual = execute.environment
    monkeypatch.setattr(execute, "environment", lambda *args: usual(*args) | {"device": "cuda"})
    file, foreign = begun(runs, toy_dir), begun(runs, toy_dir, spec=OTHER).read_bytes()
    on_cuda = file.read_bytes()
    monkeypatch.setattr(execute, "environment", usual)
    with pytest.raises(InputError, match="was begun on cuda, this is cpu: give --device cuda"):
        resumed_at(runs, toy_dir)
    for path in (file, file.with_name("curve.csv")):
        path.unlink()
    file = begun(runs, toy_dir)
    stale = file.read_bytes()
    assert stale != on_cuda
    begun(runs, toy_dir, 45)
    last = file.read_bytes()
    damaged = r"checkpoint\.safetensors is damaged .*: give --anew"
    wrong = [(content, damaged) for content in (last[: len(last) // 2], last[:40], b"", b"\xff" * 9)]
    wrong.append((foreign, f"is a checkpoint of {OTHER.run_id}, not of {SPEC.run_id}: .* give --anew"))
    wrong.append((stale, r"checkpoint\.safetensors is stale, its evaluations are not those of .*curve"))
    earlier = safetensors.torch.save({}, {"notes": '{"rows": [], "seconds": 1}'})
    wrong.append((earlier, r"checkpoint\.safetensors is of an earlier version .* give --anew"))
    for content, message in wrong:
        file.write_bytes(content)
        before = {p: p.read_bytes() for p in runs.root.glob("*/*")}
        with leased(runs, SPEC) as writer, pytest.raises(InputError, match=message):
            execute._saved(writer, kind_of(SPEC))
        assert {p: p.read_bytes() for p in runs.root.glob("*/*")} == before
    with pytest.raises(InputError, match="is of an earlier version"):
        resumed_at(runs, toy_dir)
    copy = Runs(shutil.copytree(runs.root, tmp_path / "copy"))
    (copy.path(SPEC) / file.name).write_bytes(last)
    assert resumed_at(copy, toy_dir) > 40
    assert resumed_at(runs, toy_dir, anew=True) is None
    assert curves(runs.root)[SPEC.run_id] == curves(copy.root)[SPEC.run_id] == whole[SPEC.run_id]


def odd_checkpoints(state, notes):
    """Tensors and notes that a checkpoint of SPEC cannot have, by what is odd."""
    weight = next(name for name in state if name.startswith("network."))
    step, row = state["step"], notes["rows"][0]
    tensors = {
        "two steps": {"step": torch.tensor([1, 2])},
        "half a step": {"step": torch.tensor(3.5)},
        "a step of bfloat16": {"step": torch.tensor(3.5, dtype=torch.bfloat16)},
        "no step that is": {"step": torch.tensor(float("nan"))},
        "a step before the first": {"step": 0 * step - 1},
        "a step after the last": {"step": 0 * step + 10**9},
        "another weight": {"network.other": state[weight].clone()},
        "a momentum of no weight": {"momentum.other": state[weight].clone()},
        "a generator without bytes": {"generator": state["generator"][:9].clone()},
        "a generator of zeros": {"generator": 0 * state["generator"]},
        "a log of three columns": {"log": state["log"][:, :3].contiguous()},
        "a log of nothing": {"log": state["log"] * float("nan")},
        "a schedule of nothing": {"schedule": state["schedule"] * float("inf")},
        **{f"another shape of {name}": {name: torch.zeros(3, 5, 7)} for name in state},
        **{f"another type of {name}": {name: tensor.to(torch.complex64)} for name, tensor in state.items()},
    }
    for what, changed in tensors.items():
        yield what, state | changed, notes
    for name in state.keys() - {"ended"}:
        if not name.startswith("momentum."):
            yield f"no {name}", {k: v for k, v in state.items() if k != name}, notes
    told = {"seconds": [-1, "1", None, [], float("inf")], "evaluation_seconds": [-1, None]}
    told |= {"made_with": [None, [], "x", {}], "rows": [None, 5, "x", {}, [5], [[1]], [{}], [row | {"more": 1}]]}
    told["rows"] += [[row | {name: value}] for name in ("step", "train_loss") for value in ("1", None, True, [], {})]
    for key, values in told.items():
        yield f"no {key}", state, {k: v for k, v in notes.items() if k != key}
        for value in values:
            yield f"{key} {value!r}", state, notes | {key: value}
    for odd in ([], None, 5, "x"):
        yield f"notes {odd!r}", state, odd


def test_a_checkpoint_with_the_right_digest_and_odd_content_is_one_line(toy_dir, tmp_path):
    runs = Runs(tmp_path)
    file = begun(runs, toy_dir)
    whole = file.read_bytes()
    state = safetensors.torch.load(whole)
    metadata = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])["__metadata__"]
    count = 0
    for what, tensors, notes in odd_checkpoints(state, json.loads(metadata["notes"])):
        odd = safetensors.torch.save(tensors, {"notes": json.dumps(notes), **digests.seal(SPEC.run_id)})
        file.write_bytes(digests.stamped(odd))
        with pytest.raises(InputError, match=r"checkpoint\.safetensors|curve\.csv|was begun on") as caught:
            resumed_at(runs, toy_dir)
        assert "\n" not in str(caught.value), what
        try:
            assert runs.reached(SPEC) is not None
        except InputError as error:
            assert "\n" not in str(error), what  # noqa: PT017
        count += 1
    assert count > 80
    deep = safetensors.torch.save(state, {"notes": 10**5 * "[", **digests.seal(SPEC.run_id)})
    file.write_bytes(digests.stamped(deep))
    with pytest.raises(InputError, match="its notes are not of such a run"):
        resumed_at(runs, toy_dir)
    file.write_bytes(whole)
    assert resumed_at(runs, toy_dir) > 20


def test_a_begun_run_without_its_checkpoint_begins_anew_only_when_told(toy_dir, tmp_path, whole):
    """As when --checkpoints is forgotten: what was trained is not lost without a word."""
    runs, elsewhere = Runs(tmp_path / "runs"), Runs(tmp_path / "runs", tmp_path / "checkpoints")
    file = begun(elsewhere, toy_dir)
    curve = (runs.path(SPEC) / "curve.csv").read_bytes()
    with pytest.raises(InputError, match=r"its checkpoint is not in .*: name their folder with --checkpoints, or give"):
        resumed_at(runs, toy_dir)
    assert (runs.path(SPEC) / "curve.csv").read_bytes() == curve
    copied = Runs(shutil.copytree(runs.root, tmp_path / "copied"))
    assert resumed_at(copied, toy_dir, anew=True) is None
    saved = file.read_bytes()  # a version before saved checkpoints without a digest: a flipped bit would go unseen
    header = json.loads(saved[8 : 8 + int.from_bytes(saved[:8], "little")])
    metadata = {"notes": header["__metadata__"]["notes"]}
    file.write_bytes(safetensors.torch.save(safetensors.torch.load(saved), metadata))
    with pytest.raises(InputError, match=r"checkpoint\.safetensors is of an earlier version .* no digest: give --anew"):
        resumed_at(elsewhere, toy_dir)
    file.write_bytes(saved)
    assert resumed_at(elsewhere, toy_dir) > 20
    assert curves(copied.root) == curves(runs.root) == whole


def test_a_record_made_with_another_version_of_a_plug_in_is_refused(toy_dir, tmp_path, monkeypatch):
    runs = Runs(tmp_path)
    resumed_at(runs, toy_dir)
    begun(runs, toy_dir, spec=OTHER)
    tiny = catalog.find("models", "tiny")
    assert runs.find(SPEC).environment["plug_ins"]["models/tiny"] == tiny.digest
    changed = catalog._files("models") | {"tiny": dataclasses.replace(tiny, digest="0" * 12)}
    monkeypatch.setattr(
        catalog, "_files", lambda kind, known=catalog._files: changed if kind == "models" else known(kind)
    )
    for again in (lambda: runs.find(SPEC), lambda: resumed_at(runs, toy_dir, OTHER)):
        with pytest.raises(InputError, match=r"made with another version of models/tiny\.py: make that again"):
            again()
    assert read(runs.path(SPEC)).spec == SPEC  # it can still be looked at


def test_the_packages_own_files_have_no_digest_and_others_have():
    own = [e for kind in catalog.KINDS for e in catalog.entries(kind).values() if "plugins" not in str(e.path)]
    assert len(own) > 40
    assert all(e.digest is None for e in own)
    assert SPEC.plug_ins.keys() == {"data/toy", "models/tiny"}
    assert RunSpec(n=100).plug_ins == {}


def test_the_commit_is_that_of_the_code_as_it_was_loaded(monkeypatch):
    before = revision.commit()
    monkeypatch.setattr(revision.subprocess, "run", lambda *args, **kwargs: pytest.fail("git was asked again"))
    assert revision.commit() == before


def test_two_processes_train_each_run_once(toy_dir, tmp_path):
    """What a plug-in prints there disturbs nothing."""
    pair = [figure(toy_dir, tmp_path, "--workers", 1, "--seeds", 1, TINY_PRINTS="1") for _ in range(2)]
    output = [p.communicate(timeout=300)[0] for p in pair]
    assert [p.returncode for p in pair] == [0, 0], output
    assert "a network is built" in "".join(output)
    assert not any("Traceback" in text for text in output)
    done = [line.split(":")[0] for text in output for line in text.splitlines() if ": done at step" in line]
    assert sorted(done) == sorted(s.run_id for s in WANTED)
    assert all("HOLDS" in text for text in output)


WORKER = """
import json, pathlib, sys
for line in sys.stdin:
    if json.loads(line)["spec"]["model"] == "tiny":
        raise SystemExit(9)
    pathlib.Path(sys.argv[1]).mkdir()
    pathlib.Path(sys.argv[1], "result.json").touch()
    print(json.dumps({"event": "done"}), flush=True)
"""


def test_a_run_whose_worker_dies_twice_is_reported_and_the_others_finish(tmp_path, monkeypatch):
    """With workers that train nothing."""
    good, runs = SPEC.replace(model="mlp-1x512"), Runs(tmp_path)
    words = [sys.executable, "-c", WORKER, runs.path(good)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    monkeypatch.setattr(local, "_spawn", lambda *args, **more: subprocess.Popen(words, **pipes))
    failures = local.run([SPEC, good], runs, workers=1)
    assert [f.spec for f in failures] == [SPEC]
    assert "status 9, twice" in failures[0].reason
    assert runs.complete(good)
    assert not runs.complete(SPEC)


def test_a_lease_from_the_future_is_given_up_after_its_silence_and_its_run_trained(toy_dir, tmp_path, monkeypatch):
    """By a worker that has not waited itself."""
    monkeypatch.setattr(lease, "SILENCE", 1.0)  # of this process alone, not of its worker
    runs = Runs(tmp_path)
    file = runs.path(SPEC) / "lease-0" / "owner.json"
    write(file, json.dumps({"host": "elsewhere", "pid": 1, "started": "1"}))
    os.utime(file, (time.time() + 3600, time.time() + 3600))
    start = time.monotonic()
    assert local.run([SPEC], runs, workers=1, data_dir=str(toy_dir), deadline=start + 60) == []
    assert runs.complete(SPEC)
    assert not list(tmp_path.glob("*/lease-*"))


@pytest.mark.parametrize("wait", [True, False])
def test_a_run_that_seems_held_when_its_worker_has_died_is_taken_up_again(tmp_path, wait):
    """Also where nothing of other processes is waited for, as in a shard."""
    codes = [
        "input(); raise SystemExit(9)",
        f"""
import json, pathlib
input()
print(json.dumps({{"event": "busy"}}), flush=True)
input()
path = pathlib.Path({str(tmp_path)!r}, {SPEC.run_id!r})
path.mkdir()
(path / "result.json").touch()
print(json.dumps({{"event": "done"}}), flush=True)
input()
""",
    ]

    def spawn(place):
        words = [sys.executable, "-c", codes.pop(0)]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    with local.selectors.DefaultSelector() as selector, local.Progress() as progress:
        crew = local._Crew([SPEC], Runs(tmp_path), spawn, selector, progress)
        crew.deadline = time.monotonic() + 60
        try:
            crew.work(["cpu"], wait)
        finally:
            crew.dismiss()
    assert crew.failures == []
    assert Runs(tmp_path).complete(SPEC)


@pytest.mark.parametrize("held", ["records", "checkpoints"])
def test_a_probe_whose_run_is_being_trained_is_given_out_again_when_that_has_ended(held, tmp_path, monkeypatch):
    """By a worker that finds the run held: there, or, with weights to be made again, where its checkpoint is."""
    monkeypatch.setattr(local, "POLL", 0.05)
    run = SPEC.replace(model="mlp-1x512")
    probe, runs = ProbeSpec.make(run=run, probe=Part(name="capacity")), Runs(tmp_path / "records", tmp_path / "saved")
    place = (runs.root if held == "records" else runs.checkpoints) / run.run_id
    place.mkdir(parents=True)
    code = f"""
import json, pathlib, sys
for line in sys.stdin:
    busy = any(pathlib.Path({str(place)!r}).glob("lease-*"))
    if not busy:
        path = pathlib.Path({str(runs.path(probe))!r})
        path.mkdir(parents=True)
        (path / "result.json").touch()
    print(json.dumps({{"event": "busy" if busy else "done"}}), flush=True)
"""

    def spawn(place):
        words = [sys.executable, "-c", code]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    given = []
    with ExitStack() as other, local.selectors.DefaultSelector() as selector, local.Progress() as progress:
        other.enter_context(lease.hold(place))
        monkeypatch.setattr(progress, "begin", given.append)
        crew = local._Crew([probe], runs, spawn, selector, progress)
        crew.deadline = time.monotonic() + 2
        try:
            crew.work(["cpu"], True)
            assert given == [probe]
            other.close()
            crew.deadline = time.monotonic() + 60
            crew.work([], True)
        finally:
            crew.dismiss()
    assert given == [probe, probe]
    assert runs.complete(probe)


def test_interrupted_and_killed_in_every_way_everything_ends_cleanly_and_goes_on(toy_dir, tmp_path):
    """The command by SIGTERM and SIGKILL: its workers end with it; then a worker, which is replaced."""

    def begun():
        process = figure(toy_dir, tmp_path, "--workers", 1, "--seeds", 1)
        wait_for(lambda: workers_of(process) and list(tmp_path.glob("runs/*/lease-*/owner.json")))
        return process, workers_of(process)

    for sent in (signal.SIGTERM, signal.SIGKILL):  # at SIGINT it is Python that raises what SIGTERM does here
        process, workers = begun()
        process.send_signal(sent)
        output, _ = process.communicate(timeout=60)
        wait_for(lambda workers=workers: not any(os.path.exists(f"/proc/{pid}") for pid in workers))
        if sent != signal.SIGKILL:
            assert process.returncode == 130
            assert output.strip().splitlines()[-1] == "rethinking: stopped; the same command goes on from here"
            assert "Traceback" not in output
            assert not list(tmp_path.glob("runs/*/lease-*"))
            assert not list(tmp_path.glob("runs/*/.*"))
    for stale in tmp_path.glob("runs/*/lease-*"):
        shutil.rmtree(stale)
    process, workers = begun()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "its worker died" in output
    assert "HOLDS" in output
    assert len(curves(tmp_path / "runs")) == len(WANTED)


def test_a_worker_whose_command_is_killed_writes_its_checkpoint(toy_dir, tmp_path, capfd):
    runs, spec = Runs(tmp_path), SPEC.replace(steps=10**6)
    process = local._spawn(runs, "cpu", str(toy_dir), alone=False, threads=1)
    worker = local._Worker(process, "cpu")
    worker.send(spec, None, False, runs.again)
    while json.loads(worker.output.readline())["event"] != "step":
        pass
    worker.output.close()
    time.sleep(1.2)  # it has a step to tell every half second
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(30) == 143
    assert runs.reached(spec) > 0
    assert capfd.readouterr().err == ""


def test_shards_share_out_all_runs(toy_dir, tmp_path):
    specs = [SPEC.replace(seed=k) for k in range(7)]
    shares = [local.shard_of(specs, f"{i}/3") for i in (1, 2, 3)]
    assert sorted(s.seed for share in shares for s in share) == list(range(7))
    words = ("figure", "toyfig", "--seeds", 1, "--shard", "2/2", "--workers", 1, "--device", "cpu")
    where = ("--data-dir", toy_dir, "--runs", tmp_path / "runs", "--out", tmp_path)
    done = cli(*words, *where)
    assert done.returncode == 0, done.stderr
    assert list(curves(tmp_path / "runs")) == [WANTED[1].run_id]
    assert "NOT RUN" in done.stdout
    (drawn,) = tmp_path.glob("toyfig-*.json")
    before = drawn.read_bytes()
    where = ("--data-dir", toy_dir, "--runs", tmp_path / "others", "--out", tmp_path)
    done = cli(*words[:5], "3/3", *words[6:], *where)
    assert (done.returncode, done.stderr) == (0, "rethinking: toyfig is not drawn: none of its runs is complete\n")
    assert drawn.read_bytes() == before
    for bad in ("0/2", "3/2", "x", "1/0", "²/3"):
        with pytest.raises(InputError, match="shard is"):
            local.shard_of(specs, bad)


def test_precision_and_workers_are_resolved_for_the_device():
    assert local.resolve_precision("auto", "cuda:0") == "bfloat16"
    assert local.resolve_precision("float32", "cuda") == "float32"
    assert local.default_workers("cuda:3") == 1
    assert local.default_workers("cpu") >= 1
    assert local.resolve_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("flags : fpu avx512f avx512_bf16", "bfloat16"),
        ("flags : fpu amx_bf16 amx_tile", "bfloat16"),
        ("flags : fpu avx2 avx512f amx_bf16x", "float32"),
        (None, "float32"),
    ],
)
def test_a_cpu_multiplies_bfloat16_where_it_says_so(monkeypatch, flags, precision):
    def read_text(path):
        assert str(path) == "/proc/cpuinfo"
        if flags is None:
            raise OSError
        return flags

    monkeypatch.setattr(local.Path, "read_text", read_text)
    assert local.resolve_precision("auto", "cpu") == precision


# What a machine's files say: of no control group, of one in version 2, of one in version 1 within another, and of a
# container that sees its own group as the top.
GROUPS = {
    "none": ("", {}, (8, 64)),
    "unlimited": ("0::/job", {"job/cpu.max": "max 100000", "job/memory.max": "max"}, (8, 64)),
    "half a core": ("0::/job", {"job/cpu.max": "50000 100000"}, (1, 64)),
    "two cores, of the group around it": ("0::/job/step", {"job/cpu.max": "200000 100000"}, (2, 64)),
    "memory": ("0::/job/step", {"job/memory.max": "9000000000", "job/memory.current": "3000000000",
                                "job/step/memory.max": "max"}, (8, 6)),
    "memory that cached files hold": ("0::/job", {"job/memory.max": "9000000000", "job/memory.current": "8000000000",
                                      "job/memory.stat": "anon 5\ninactive_file 7000000000\n"}, (8, 8)),
    "version 1": ("4:cpu,cpuacct:/job\n3:memory:/job\n0::/",
                  {"cpu/job/cpu.cfs_quota_us": "300000", "cpu/job/cpu.cfs_period_us": "100000",
                   "memory/job/memory.limit_in_bytes": "4000000000", "memory/job/memory.usage_in_bytes": "1000000000"},
                  (3, 3)),
    "version 1, a container": ("4:cpu:/docker/12ab\n3:memory:/docker/12ab",
                               {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000",
                                "memory/memory.limit_in_bytes": "2000000000",
                                "memory/memory.usage_in_bytes": "1500000000"}, (8, 0.5)),
}  # fmt: skip


def test_as_many_workers_as_cores_and_memory_of_every_control_group_hold(tmp_path, monkeypatch):
    assert machine.free_memory(tmp_path) is None  # where nothing says what memory is free there is a worker per core
    assert machine.workers_that_fit(tmp_path) == machine.cores(tmp_path) >= 1
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for case, (own, files, (cores, gigabytes)) in GROUPS.items():
        files = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
        files |= {"proc/self/cgroup": own, "proc/meminfo": "MemTotal: 99000000 kB\nMemAvailable:   62500000 kB\n"}
        for name, text in files.items():
            (tmp_path / case / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / case / name).write_text(text)
        fit = int(gigabytes * 10**9 / machine.WORKER_MEMORY)
        found = [of(tmp_path / case) for of in (machine.cores, machine.free_memory, machine.workers_that_fit)]
        assert found == [cores, gigabytes * 10**9, max(1, min(cores, fit))], case


@pytest.mark.parametrize("visible", [None, "", "0,-1", "0,0", "none", "99", "GPU-0", " 0"])
def test_gpus_are_counted_as_cuda_counts_them(monkeypatch, visible):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    count = 0
    if torch.cuda.is_available():  # in a process of its own: torch asks once
        words = [sys.executable, "-W", "ignore", "-c", "import torch; print(torch.cuda.device_count())"]
        count = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert local.gpu_count() == count
    assert local.resolve_device("auto") == ("cuda" if count else "cpu")
    with pytest.raises(InputError, match=f"device 'cuda:{count}' is not available here"):
        local.resolve_device(f"cuda:{count}")


@pytest.mark.parametrize(("started", "asked", "count"), [(0, 0, 2), (100, 0, 0), (0, 3, 0)])
def test_the_driver_is_started_and_asked_and_an_error_of_either_is_no_gpu(monkeypatch, capsys, started, asked, count):
    """The code of the process that counts, with a stand-in for CUDA's driver; both calls return 0 where they work."""
    calls = []

    class Driver:
        def __init__(self, name):
            calls.append(name)

        def cuInit(self, flags):
            calls.append(flags)
            return started

        def cuDeviceGetCount(self, number):
            number._obj.value = 2
            return asked

    monkeypatch.setattr("ctypes.CDLL", Driver)
    exec(machine._COUNT, {})
    assert capsys.readouterr().out == f"{count}\n"
    assert calls == [machine._DRIVER, 0]


def test_gpus_that_the_driver_counts_are_used(monkeypatch):
    """The driver is a library that is there, and counts two."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "two of this test")  # which no count is known of
    monkeypatch.setattr(machine, "_DRIVER", None)  # this process itself
    monkeypatch.setattr(machine, "_torch_has_cuda", lambda: True)
    monkeypatch.setattr(machine, "_COUNT", "print(2)")
    assert machine.gpu_count() == 2
    assert local.resolve_device("auto") == "cuda"
    assert local.resolve_device("cuda:1") == "cuda:1"
    assert (local.default_workers("cuda"), local.places("cuda", 3)) == (2, ["cuda:0", "cuda:1", "cuda:0"])
    with pytest.raises(InputError, match=r"'cuda:2' is not available here \(GPUs seen: cuda:0 to cuda:1\): use one of"):
        local.resolve_device("cuda:2")


def clone_of_the_package(folder):
    """A checkout of this package, of another version; its commit."""
    shutil.copytree(Path(rethinking.__file__).parent, folder / "rethinking", ignore=shutil.ignore_patterns("*.pyc"))
    with (folder / "rethinking" / "__init__.py").open("a") as file:
        file.write('__version__ = "9.9"\n')
    git = ["git", "-C", str(folder), "-c", "user.name=me", "-c", "user.email=me@here"]
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "another version")):
        subprocess.run([*git, *words], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout[:12]


STRAYS = ("queue", "random", "select", "json", "selectors", "signal", "numpy", "torch", "tqdm", "safetensors")
IN_A_NOTEBOOK = """
import os, queue, random, select, selectors, signal, subprocess, sys
sys.path.insert(0, sys.argv[1])
import rethinking.engines.local as local
from rethinking.record import Runs
from rethinking.spec import from_json
os.chdir(sys.argv[2])
if __name__ == "__main__":
    print(local.run([from_json(sys.argv[3])], Runs("runs"), data_dir=sys.argv[4], workers=1))
"""


@pytest.mark.parametrize("start", ["where it is", "from a script there"])
def test_workers_import_what_their_parent_imported_whatever_lies_around(toy_dir, tmp_path, start):
    """The parent's copy of the package, not the installed one, and nothing of the working directory."""
    commit = clone_of_the_package(tmp_path / "clone")
    here = tmp_path / "here"
    (here / "rethinking").mkdir(parents=True)  # as in the folder above a clone
    (tmp_path / "clone" / "queue.py").touch()  # the parent has its own already
    for name in STRAYS:
        (here / f"{name}.py").write_text("raise SystemExit('a stray file was imported')\n")
    words = [sys.executable, "-c", IN_A_NOTEBOOK]  # the working directory is on its path, as ""
    if start == "from a script there":
        (tmp_path / "script.py").write_text(IN_A_NOTEBOOK)
        words = [sys.executable, tmp_path / "script.py"]
    done = subprocess.run(
        [*words, tmp_path / "clone", here, SPEC.to_json(), toy_dir], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == "[]\n", done.stdout + done.stderr
    found = Runs(here / "runs").find(SPEC).environment
    assert (found["rethinking"], found["commit"]) == ("9.9", f"{commit}")


def test_the_commit_of_another_users_checkout_is_known(tmp_path):
    commit = clone_of_the_package(tmp_path)
    (tmp_path / "bin").mkdir()
    git = tmp_path / "bin" / "git"
    git.write_text(f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {shutil.which("git")} "$@"\n')
    git.chmod(0o755)
    refused = subprocess.run([git, "-C", tmp_path, "status"], capture_output=True, text=True)
    assert "dubious ownership" in refused.stderr
    code = "import sys; sys.path.insert(0, sys.argv[1]); from rethinking import revision; print(revision.commit())"
    environ = os.environ | {"PATH": f"{git.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, env=environ)
    assert done.stdout == f"{commit}\n", done.stderr


def test_a_checkout_of_somebody_else_above_the_code_is_not_asked(tmp_path, monkeypatch):
    """Its configuration may name programs."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "rethinking").mkdir()
    assert revision._of_its_owner(tmp_path / "rethinking")
    real = Path.lstat

    def foreign(path):
        found = real(path)
        return os.stat_result((*found[:4], found.st_uid + (path.name == ".git"), *found[5:10]))

    monkeypatch.setattr(Path, "lstat", foreign)
    assert not revision._of_its_owner(tmp_path / "rethinking")


def test_the_commit_that_pip_installed_from_is_known(tmp_path, monkeypatch):
    commit = "0123456789abcdef" * 2 + "01234567"
    (tmp_path / "rethinking").mkdir()
    about = tmp_path / "rethinking-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: rethinking\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    for text, expected in (
        (f'{{"url": "file:///x", "vcs_info": {{"vcs": "git", "commit_id": "{commit}"}}}}', commit[:12]),
        ('{"url": "file:///x", "dir_info": {}}', "unknown"),
        ("{", "unknown"),
    ):
        (about / "direct_url.json").write_text(text)
        assert revision._installed_from(tmp_path / "rethinking") == expected
    assert revision._installed_from(tmp_path) == "unknown"  # another copy's
    for text, expected in ((f"{commit[:12]}+changes\n", f"{commit[:12]}+changes"), ("<b>", "unknown")):
        (tmp_path / "rethinking" / revision.BUILT_FROM).write_text(text)  # of a wheel
        assert revision._installed_from(tmp_path / "rethinking") == expected


def test_when_its_minutes_are_over_it_stops_and_a_second_call_finishes(toy_dir, tmp_path, monkeypatch):
    """In the order of the figure, with the records of a call that nothing ended, to the last bit."""
    monkeypatch.setenv("TOY_STEPS", "80")
    where = ("--runs", tmp_path / "runs", "--checkpoints", tmp_path / "checkpoints", "--out", tmp_path / "figures")
    words = ("figure", "toyfig", "--seeds", 1, "--device", "cpu", "--data-dir", toy_dir, "--workers", 1, *where)
    first, second = figures.unique(figures.specs("toyfig", figures.Setting("quick", "tiny", 1)))

    def late(crew):  # the minutes are over in the midst of the second run
        return crew.progress.began.get(second.run_id, (0, -1))[1] >= 0

    done = cli(*words, "--minutes", "1e-6")
    assert (done.returncode, (tmp_path / "runs").exists()) == (130, False)
    assert "2 runs were missing: 0 complete, 0 under way, 2 not begun" in done.stdout
    with monkeypatch.context() as patch:
        patch.setattr(local._Crew, "late", late)
        done = cli(*words, "--minutes", 5)
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[-1] == "rethinking: stopped; the same command goes on from here"
    step = Runs(tmp_path / "runs", tmp_path / "checkpoints").reached(second)
    assert 0 < step < 80
    assert done.stdout.splitlines() == [
        f"  complete   {first.run_id}",
        f"  under way  {second.run_id}, step {step:,} of at most 80",
        "2 runs were missing: 1 complete, 1 under way, 0 not begun",
    ]
    assert not list(tmp_path.glob("runs/*/lease-*"))
    assert not list(tmp_path.glob("figures/*"))
    done = cli(*words, "--minutes", 5)
    assert done.returncode == 0, done.stderr
    assert f"{second.run_id}: resumed at step {step}" in done.stderr.splitlines()
    assert "1 runs were missing: 1 complete, 0 under way, 0 not begun" in done.stdout
    assert list(tmp_path.glob("figures/*.svg"))
    for spec in (first, second):
        execute.execute(spec, Runs(tmp_path / "whole"), data_dir=str(toy_dir))
    for name in ("curve.csv", "online.csv", "weights.safetensors"):
        for spec in (first, second):
            ours, theirs = (tmp_path / f / spec.run_id / name for f in ("runs", "whole"))
            assert ours.read_bytes() == theirs.read_bytes()
    for wrong in ("0", "-1", "nan", "inf"):
        said = cli("figure", "toyfig", "--minutes", wrong).stderr
        assert said == f"rethinking: --minutes is {wrong}, allowed are numbers above 0\n"


def test_what_is_left_is_no_part_of_json_and_is_not_said_when_quiet(toy_dir, tmp_path):
    where = ("--runs", tmp_path / "runs", "--out", tmp_path / "figures", "--data-dir", toy_dir, "--device", "cpu")
    words = ("figure", "toyfig", "--seeds", 1, "--minutes", "1e-6", *where)
    told = cli(*words, "--json")
    assert (told.returncode, told.stdout) == (130, "")
    assert "2 runs were missing: 0 complete, 0 under way, 2 not begun" in told.stderr
    told = cli(*words, "--quiet")
    assert (told.returncode, told.stdout) == (130, "")
    assert "missing" not in told.stderr


def test_a_crew_is_late_from_its_deadline_on(toy_dir, tmp_path):
    start = time.monotonic()
    assert local.run([SPEC.replace(steps=10**6)], Runs(tmp_path), deadline=start + 1, data_dir=str(toy_dir)) == []
    assert 1 <= time.monotonic() - start < 16
    assert not Runs(tmp_path).complete(SPEC)


def test_the_paper_table_is_trained_in_the_order_of_its_figures(tmp_path, monkeypatch):
    """Every run once, as derived from the figures."""
    named = ("fig2b", "fig1a", "table1", "table4", "fig1b")
    asked = []
    monkeypatch.setattr(local, "run", lambda specs, runs, **options: asked.extend(specs) or [])
    monkeypatch.setattr("rethinking.cli.engine.need_data", lambda *args: None)
    words = ("figure", *named, "--scale", "paper", "--minutes", "14", "--device", "cpu", "--workers", "6")
    with pytest.raises(SystemExit) as ended:
        main([*words, "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "figures")])
    assert ended.value.code == 130
    assert list(tmp_path.iterdir()) == []
    wanted = [s for name in named for s in figures.unique(figures.specs(name, figures.setting(name, "paper")))]
    assert [s.run_id for s in asked] == list(dict.fromkeys(s.run_id for s in wanted))
    assert len(asked) < len(wanted)  # some are of several figures


def test_a_run_alone_gives_back_what_it_has_freed():
    """Kept beside a matrix that fills the memory, temporaries of many sizes end the run; other runs gain from it."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("only glibc is told to keep memory")
    code = """
import pathlib, numpy
large, above = numpy.ones(300 << 17), numpy.ones(1 << 17)
del large
lines = pathlib.Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmRSS")))
"""
    megabytes = {}
    for alone in (False, True):
        words = [sys.executable, "-c", code]
        done = subprocess.run(
            words, env=local.worker_environment("cpu", alone), capture_output=True, text=True, check=True
        )
        megabytes[alone] = int(done.stdout) / 1024
    assert megabytes[True] < 200 < 300 < megabytes[False]


def test_what_plan_expects_of_committed_runs_is_what_they_took():
    """Each left out of what is known: a median error of at most 30 %, expected lengths included."""
    runs = estimate.past(Runs(Path(__file__).parents[1] / "runs"))
    assert len(runs) > 1400
    known = {name: estimate.Known(runs, name) for name in {run.device_name for run in runs}}
    errors = []
    for run in runs:
        image = known[run.device_name].image(run.spec, but=run.name)
        if image is not None:
            expected, most = known[run.device_name].seconds(run.spec, image, but=run.name)
            assert 0 < expected <= most * 1.001
            errors.append(abs(expected - run.seconds) / run.seconds)
    assert len(errors) > 1400
    assert median(errors) <= 0.3


@pytest.mark.parametrize("listed", [False, True])
def test_what_a_record_was_not_completed_with_is_no_measure_of_time(toy_dir, tmp_path, listed):
    runs = Runs(tmp_path)
    assert execute.execute(SPEC, runs, data_dir=toy_dir)
    if listed:  # as a record of before there were digests
        result = json.loads((runs.path(SPEC) / "result.json").read_text())
        (runs.path(SPEC) / "result.json").write_text(json.dumps({k: result[k] for k in digests.RESULT}))
        files = [path for path in runs.path(SPEC).iterdir() if path.name != digests.WEIGHTS]
        lines = [f"{digests.sha256(path)}  {SPEC.run_id}/{path.name}" for path in files]
        (tmp_path / "DIGESTS").write_text("\n".join(lines) + "\n")
    assert [name for name, *_ in runs.summaries()] == [SPEC.run_id]
    file = runs.path(SPEC) / "environment.json"
    file.write_text(re.sub(r'"seconds": [\d.]+', '"seconds": 9000', file.read_text()))
    assert not list(runs.summaries())


def test_a_run_is_expected_to_be_fitted_after_as_many_epochs_as_others_on_other_numbers_of_images():
    many = RunSpec.make(model="mlp-1x512", n=2000, steps=3200, stop="fitted").model_dump(mode="json")
    few = many | {"n": 380, "steps": 300}
    known = estimate.Known([estimate.Past("a", many, "cpu", 16 * 10, 1e-4, 1.0)], "cpu")
    assert known.share(few) == pytest.approx(10 * 3 / 300)
    assert known.share(few | {"steps": 20}) == 1
    assert estimate.Known([], "cpu").share(few) == pytest.approx(24 * 3 / 300)
    assert estimate.makespan([3.0, 1.0], 10**20) == 3.0
    at_loss = few | {"stop": "budget", "stop_loss": 0.01}  # of such runs those that stop when fitted tell nothing
    assert known.share(at_loss) == pytest.approx(24 * 3 / 300)
    told = estimate.Known([estimate.Past("b", at_loss, "cpu", 3 * 50, 1e-4, 1.0)], "cpu")
    assert (told.share(at_loss), told.share(few)) == (pytest.approx(50 * 3 / 300), pytest.approx(24 * 3 / 300))


def test_a_plan_counts_the_training_of_lost_weights_once(tmp_path):
    """Of two probes of a run whose weights are gone the first takes its training too; of one that has them none."""
    run = RunSpec.make(model="mlp-1x512", n=100)
    there = run.replace(seed=1)
    known = estimate.Known([], "", lambda spec: spec == there)
    assert [known.lacks(spec) for spec in (run, there, run, there)] == [True, False, False, False]


def test_where_no_record_tells_a_probe_is_planned_with_the_training_of_its_run(monkeypatch):
    """Each kind of network is measured once."""
    run, measured = RunSpec.make(model="mlp-1x512", n=100, steps=1000), []
    monkeypatch.setattr(estimate, "_measure", lambda spec, device: measured.append(spec.model) or 1e-3)
    known = estimate.Known([], "")
    probe = ProbeSpec.make(run=run, probe=Part(name="capacity"))
    (expected, _), (alone, _) = (probes.estimate(probe, "cpu", known) for _ in range(2))
    trained, _ = estimate.estimate(run, "cpu", known)
    assert trained > 1000 * 100 * 1e-3
    assert (expected - alone, measured) == (pytest.approx(trained), ["mlp-1x512"])


def test_a_plan_of_a_probe_follows_the_records_of_such_probes_that_trained_nothing(monkeypatch):
    run = RunSpec.make(model="mlp-1x512", n=100, steps=1000)
    probe = ProbeSpec.make(run=run, probe=Part(name="shift", options={"images": 100}))
    twice = ProbeSpec.make(run=run.replace(seed=1), probe=Part(name="shift", options={"images": 200}))
    other = ProbeSpec.make(run=run.replace(model="mlp-3x512"), probe=probe.probe)
    monkeypatch.setattr(estimate, "_measure", lambda spec, device: 1e-3)
    trained = estimate.Past(run.run_id, run.model_dump(mode="json"), "cpu", 1000, 1e-3, 60.0)
    records = [(probe, 61.0), (twice, 8.0), (other, 1.0)]  # the first trained its run again
    known = estimate.Known([trained], "cpu", lambda spec: True, records)
    assert probes.estimate(probe, "cpu", known) == (4.0, 4.0)


def test_records_of_gpus_and_of_one_thread_tell_how_long_others_take(monkeypatch, toy_runs):
    (name, spec, made, result), *_ = Runs(toy_runs).summaries()
    for threads, told in ((None, 1), (1, 1), (2, 0)):
        monkeypatch.setattr(Runs, "summaries", lambda self, n=threads: [(name, spec, made | {"threads": n}, result)])
        assert len(estimate.past(Runs(toy_runs))) == told


def test_a_plan_counts_a_run_once_whatever_its_probes(tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "_measure", lambda spec, device: 1e-3)
    run, runs = RunSpec.make(model="mlp-1x512", n=100, steps=1000), Runs(tmp_path)
    first, second = (ProbeSpec.make(run=run, probe=Part(name=name)) for name in ("capacity", "noise"))
    apart = [
        sum(each[0] for each in estimate.seconds(specs, "cpu", runs).values()) for specs in ([run], [first, second])
    ]
    together = estimate.seconds([first, run, second], "cpu", runs)
    assert sum(each[0] for each in together.values()) == pytest.approx(apart[1])
    assert together[run.run_id][0] == pytest.approx(apart[0])
    weights = 4 * 1_209_866
    assert checks.space([first, second], runs, 2) == checks.space([run], runs, 2) == (weights, 4 * weights)
    (tmp_path / run.run_id).mkdir()
    runs.weights_of(run).touch()
    assert checks.space([first, second], runs, 2) == (0, 0)


def test_work_counts_evaluations_as_the_loop_makes_them():
    """All of 50,000 images with 2,000 for testing, and 10,000 for batch norm; with the probe 2,000 of each."""
    fields = RunSpec.make(n=50_000, steps=391, eval_every=391).model_dump(mode="json")
    assert estimate.work(fields, 391, 1) == 391 * 128 + 0.37 * 62_000
    assert estimate.work(fields | {"model": "mlp-1x512"}, 391, 1) == 391 * 128 + 0.37 * 52_000
    assert estimate.work(fields | {"evaluation": "probe"}, 0, 1) == pytest.approx(0.37 * (6000 + 4 * 60_000))
