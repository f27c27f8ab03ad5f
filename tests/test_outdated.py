"""A plug-in that is edited: its runs are named in one line, and made again when that is asked for."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rethinking.engines.execute import execute
from rethinking.errors import InputError
from rethinking.record import Runs, outdated
from rethinking.spec import RunSpec

PLUGINS = Path(__file__).parent / "plugins"


def test_a_plug_in_that_is_edited_names_its_runs_once_and_makes_them_again(toy_dir, tmp_path):
    shutil.copytree(PLUGINS, tmp_path / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    environment = os.environ | {"RETHINKING_PLUGINS": str(tmp_path / "plugins"), "TOY_STEPS": "30"}

    def call(*words):
        folders = ["--runs", "runs", "--data-dir", str(toy_dir), "--device", "cpu"]
        command = [sys.executable, "-m", "rethinking", *words, *folders]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stderr.strip().splitlines(), done.stdout

    figure = ("figure", "toyfig", "--seeds", "1", "--workers", "1")
    status, told, _ = call(*figure)
    assert status == 0, told
    runs = sorted(path.parent for path in (tmp_path / "runs").glob("*/result.json"))
    old = [(run / "environment.json").read_text() for run in runs]
    file = tmp_path / "plugins" / "models" / "tiny.py"
    file.write_text(file.read_text() + "\n# edited\n")

    status, told, _ = call(*figure)
    assert (status, len(told)) == (2, 1)
    assert re.search(r"2 runs \(.*\) were made with another version of models/tiny\.py: .*--retrain tiny", told[0])
    status, _, plan = call("plan", "toyfig", "--seeds", "1")
    assert status == 0
    assert "2 runs, 2 to train" in plan
    assert plan.count("again: another version of models/tiny made it") == 2
    assert "2 of them were made with another version of a plug-in: give `figure --retrain tiny`" in plan
    status, told, _ = call(*figure, "--retrain", "tinny")
    assert status == 2
    assert "no run asked for uses a plug-in of that name: they use data/toy, models/tiny" in told[0]
    assert [(run / "environment.json").read_text() for run in runs] == old  # nothing was touched

    status, told, _ = call("run", "--spec", str(runs[0] / "spec.json"), "--again")
    assert status == 0, told
    assert "1 run made with another version of models/tiny, made again now" in told[0]
    status, told, _ = call(*figure, "--retrain", "tiny")
    assert status == 0, told
    assert told[0].startswith("rethinking: 1 run made with another version of models/tiny")
    again = [(run / "environment.json").read_text() for run in runs]
    assert all(a != b for a, b in zip(again, old, strict=True))
    status, told, _ = call("run", "--spec", str(runs[0] / "spec.json"), "--again")
    assert (status, told) == (0, [])  # it is made with what is there
    assert (runs[0] / "environment.json").read_text() == again[0]


def test_the_old_record_goes_when_the_new_one_is_complete_and_comes_back_where_none_was_begun(toy_dir, tmp_path):
    spec = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)
    runs = Runs(tmp_path / "runs", tmp_path / "checkpoints")
    execute(spec, runs, data_dir=toy_dir)
    file, kept = runs.path(spec) / "environment.json", runs.root / outdated.ASIDE / spec.run_id
    current = file.read_text()
    old = current.replace(spec.plug_ins["models/tiny"], 12 * "0")
    file.write_text(old)

    def set_aside():
        again = outdated.set_aside(runs, outdated.find(runs, [spec]))
        assert (again == [spec]) == kept.exists() == (not runs.complete(spec))

    set_aside()
    outdated.settle(runs, [spec])  # nothing of it was made
    assert runs.complete(spec)
    assert file.read_text() == old
    set_aside()
    execute(spec, runs, data_dir=toy_dir, until=2)  # stopped: the old one is kept
    outdated.settle(runs, [spec])
    assert (kept / "environment.json").read_text() == old
    file.write_text(old)  # the plug-in is edited again, and then is what made the first record
    (kept / "environment.json").write_text(current)
    set_aside()
    assert runs.find(spec) is not None
    file.write_text(old)
    set_aside()
    execute(spec, runs, data_dir=toy_dir)
    outdated.settle(runs, [spec])
    assert file.read_text() != old
    assert sorted(each.name for each in runs.root.iterdir()) == [spec.run_id]
    assert not any((tmp_path / "checkpoints").iterdir())


def test_runs_without_plug_ins_are_never_out_of_date(tmp_path):
    assert outdated.find(Runs(tmp_path), [RunSpec()]) == {}
    with pytest.raises(InputError, match="no run asked for uses a plug-in of that name: they use none"):
        outdated.chosen({}, ["mine"], [RunSpec()])
