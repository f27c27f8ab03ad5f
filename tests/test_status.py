"""What is said while runs go on, by the process that makes them and by `rethinking status` beside it."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors.numpy
from click.testing import CliRunner

from rethinking.cli import main
from rethinking.engines import progress
from rethinking.record import Runs, digests, lease, leased, making
from rethinking.spec import Part, ProbeSpec, RunSpec

SPEC = RunSpec(data="toy", n=64, model="tiny", steps=40, eval_every=2)


def status(root, *words):
    done = CliRunner().invoke(main, ["status", "--runs", str(root), *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout) if words else done.stdout


def until(condition):
    """Wait for what a heartbeat's thread does."""
    end = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT", 0.02)


def test_a_run_that_is_being_made_is_told_with_how_far_it_is(tmp_path, fast):
    runs = Runs(tmp_path)
    with leased(runs, SPEC) as writer:
        assert status(tmp_path, "--json")["making"][0]["step"] is None
        assert f"{SPEC.run_id}: starting" in status(tmp_path)
        writer.notes |= {"step": 12, "seconds_left": 180.0, "device": "cpu", "summary": "training accuracy 50.0 %"}
        until(lambda: making(writer.path).notes.get("step") == 12)
        (facts,) = status(tmp_path, "--json")["making"]
        assert (facts["run"], facts["step"], facts["steps"], facts["process"]) == (SPEC.run_id, 12, 40, os.getpid())
        assert facts["here"]
        line, total = status(tmp_path).splitlines()
        assert "step 12 of at most 40, training accuracy 50.0 %, 3 min left at most, on this machine, cpu" in line
        assert total == f"{tmp_path}: 1 being made, 0 stopped, 0 complete"
    assert [p.name for p in writer.path.iterdir()] == ["spec.json"]  # no lease stays, whatever its thread was writing
    assert status(tmp_path, "--json")["stopped"] == [{"run": SPEC.run_id, "steps": 40, "step": None, "refused": None}]


def test_a_run_on_another_machine_is_told_with_its_log(tmp_path, fast):
    with leased(Runs(tmp_path), SPEC) as writer:
        writer.notes |= {"step": 3, "log": "/home/a/train.log"}
        until(lambda: making(writer.path).notes.get("step") == 3)
        owner = next(writer.path.glob("lease-*")) / "owner.json"
        owner.write_text(json.dumps({"host": "node7/boot/pid", "pid": 1, "started": "1"}))
        text = status(tmp_path)
        assert "step 3 of at most 40, on node7, process 1; log: /home/a/train.log" in text
        assert not status(tmp_path, "--json")["making"][0]["here"]


@pytest.mark.parametrize(
    "notes",
    [
        '{"step": "3", "seconds_left": 1e999, "log": 7, "summary": [], "device": {}}',
        '{"seconds_left": 1' + 400 * "0" + "}",
        "[1]",
        "{",
        "[" * 5000,
        "\x00" * 20_000,
    ],
)
def test_damaged_notes_tell_nothing(tmp_path, notes):
    with leased(Runs(tmp_path), SPEC) as writer:
        (next(writer.path.glob("lease-*")) / "progress.json").write_text(notes)
        (facts,) = status(tmp_path, "--json")["making"]
        assert {facts[key] for key in ("step", "seconds_left", "summary", "device")} == {None}
        assert "starting" in status(tmp_path)


def test_what_others_write_moves_no_cursor(tmp_path):
    (tmp_path / "x\r\x1b[2J-0123456789").mkdir()
    (tmp_path / "x\r\x1b[2J-0123456789" / "spec.json").write_text(SPEC.to_json())
    with leased(Runs(tmp_path), SPEC) as writer:
        mine = next(writer.path.glob("lease-*"))
        (mine / "progress.json").write_text(json.dumps({"step": 3, "summary": "a\x1b[2J", "log": "/b\r\x9b2J"}))
        (mine / "owner.json").write_text(json.dumps({"host": "node7/boot/pid", "pid": 1, "started": "1"}))
        told = status(tmp_path)
    assert "log: /b" in told
    assert all(mark.isprintable() or mark == "\n" for mark in told), ascii(told)


def test_a_damaged_checkpoint_is_told_and_not_its_step(tmp_path):
    runs = Runs(tmp_path)
    with leased(runs, SPEC) as writer:
        writer.save([], safetensors.numpy.save({"step": np.array(7)}, digests.seal(SPEC.run_id) | {"notes": ""}), {})
        file = writer.checkpoint_path
    assert "stopped at step 7 of at most 40" in status(tmp_path)
    whole = bytearray(file.read_bytes())
    whole[-8] ^= 128
    file.write_bytes(whole)
    (facts,) = status(tmp_path, "--json")["stopped"]
    assert (facts["step"], "is damaged (another SHA-256)" in facts["refused"]) == (None, True)
    assert f"{SPEC.run_id}: {facts['refused']}\n" in status(tmp_path)


def test_the_log_of_a_process_is_the_file_that_its_errors_go_to(tmp_path):
    code = "import sys; from rethinking.record.lease import log_of; print(log_of('self'))"

    with (tmp_path / "log").open("w") as log:
        to_file = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=log, text=True, check=True
        )
    assert to_file.stdout.strip() == str(tmp_path / "log")
    to_pipe = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert to_pipe.stdout.strip() == "None"


def test_a_folder_that_is_none_is_one_line(tmp_path):
    done = CliRunner().invoke(main, ["status", "--runs", str(tmp_path / "nothing")])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "is no folder: name the records' with --runs" in done.stderr


def test_where_nothing_was_trained_there_is_nothing_to_tell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in ([], ["--json"]):
        done = CliRunner().invoke(main, ["status", *words])
        assert done.exit_code == 0, done.output
        if words:
            assert json.loads(done.stdout) == {"runs": "runs", "making": [], "stopped": [], "complete": 0}
        else:
            assert done.stdout == "there is no folder runs here: nothing has been trained\n"
    (tmp_path / "runs").write_text("a file")
    assert CliRunner().invoke(main, ["status"]).exit_code == 2


def row(step):
    return {"step": step, "train_accuracy": 0.5, "test_accuracy": 0.25}


def test_the_whole_of_several_runs_is_told(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    specs = [SPEC.replace(seed=k) for k in range(5)]
    with progress.Progress(specs, workers=2) as told:
        assert told.left() is None
        told.begin(specs[0])
        told.begin(specs[1])
        clock[0] = 50.0
        told.step(specs[0], 0)
        told.evaluation(specs[0], row(0))
        clock[0] = 100.0
        told.evaluation(specs[0], row(40))
        told.end(specs[0], "done")
        told.begin(specs[2])
        told.end(specs[1], "another process is training it")
        took = 50.0
        assert told.took == [took]
        assert told.left() == pytest.approx(3 * took / 2)  # 2 is beginning, 3 and 4 wait; 1 is another process's
    lines = capsys.readouterr().err.splitlines()
    assert f"{specs[0].run_id}: starting" in lines
    assert "1 of 5 runs, about 2 min left" in lines


def test_a_probe_that_first_trains_its_network_and_says_its_last_step_alone_took_all_of_that_time(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    probes = [ProbeSpec.make(run=SPEC.replace(seed=k), probe=Part(name="capacity")) for k in range(3)]
    with progress.Progress(probes) as told:
        told.begin(probes[0])
        clock[0] = 200.0
        told.step(probes[0], 30, network=probes[0].run.run_id, steps=40)
        assert told.left() is None  # of how long the probe itself takes this says nothing
        clock[0] = 240.0
        told.step(probes[0], probes[0].steps)
        told.end(probes[0], "done")
        assert told.took == [240.0]
    name, lines = probes[0].run_id, capsys.readouterr().err.splitlines()
    assert f"{name}: training {probes[0].run.run_id} for its weights: step 30 of at most 40" in lines
    assert "1 of 3 runs, about 8 min left" in lines


def test_what_is_left_is_told_when_a_step_has_told_the_speed(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with progress.Progress([SPEC]) as told:
        told.begin(SPEC)
        for second, step in [(100.0, 10), (150.0, 20), (300.0, 20)]:  # as a run that was resumed
            clock[0] = second
            told.step(SPEC, step)
    said = [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said == [
        "starting",
        "step 10 of at most 40",
        "step 20 of at most 40, 2 min left at most",
        "step 20 of at most 40, 7 min left at most",
    ]


def test_one_run_has_no_line_for_the_whole_and_quiet_has_none_at_all(capsys):
    for quiet in (False, True):
        for specs in ([SPEC], [SPEC, SPEC.replace(seed=1)]):
            with progress.Progress(specs, quiet=quiet) as told:
                told.begin(SPEC)
                told.evaluation(SPEC, row(40))
                told.end(SPEC, "done")
            text = capsys.readouterr().err
            assert ("of 2 runs" in text) == (len(specs) == 2 and not quiet)
            assert bool(text) != quiet


def test_titles_say_what_differs_and_the_run_id_does_not():
    several = [SPEC, SPEC.replace(batch_size=16), SPEC.replace(learning_rate=0.5, keep=("test_logits",))]
    titles = progress.titles(several)
    assert list(titles) == [spec.run_id for spec in several]
    assert titles[several[0].run_id].endswith(" (batch_size 128, learning_rate 0.05, keep none)")
    assert titles[several[1].run_id].endswith(" (batch_size 16, learning_rate 0.05, keep none)")
    assert titles[several[2].run_id].endswith(" (batch_size 128, learning_rate 0.5, keep test_logits)")
    assert progress.titles([SPEC, SPEC.replace(steps=50)])[SPEC.run_id] == SPEC.run_id
    assert progress.titles([SPEC]) == {SPEC.run_id: SPEC.run_id}
    probes = [ProbeSpec.make(run=run, probe=Part(name="capacity")) for run in several[:2]]  # what differs in their runs
    assert list(progress.titles(probes).values()) == [f"{p.run_id} (batch_size {p.run.batch_size})" for p in probes]
