"""A plug-in that is edited: its runs are named in one line, and made again when that is asked for."""

import json
import re
import shutil

import pytest
from command import PLUG_INS, cli, one_line

from rethinking import api, catalog, figures, verify
from rethinking.engines.execute import execute
from rethinking.errors import InputError
from rethinking.record import Runs, make, outdated, write
from rethinking.spec import RunSpec


@pytest.fixture
def plug_ins(tmp_path, monkeypatch):
    """A copy of the tests' plug-ins, in their place."""
    folder = shutil.copytree(PLUG_INS, tmp_path / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    with monkeypatch.context() as patch:
        patch.setenv("RETHINKING_PLUGINS", str(folder))
        yield folder
    catalog._files.cache_clear()


def test_a_plug_in_that_is_edited_names_its_runs_once_and_makes_them_again(plug_ins, toy_runs, toy_dir, tmp_path):
    root = shutil.copytree(toy_runs, tmp_path / "runs")

    def call(*words):
        catalog._files.cache_clear()
        done = cli(*words, "--runs", root, "--data-dir", toy_dir, "--device", "cpu")
        return done.returncode, done.stderr.strip().splitlines()

    figure = ("figure", "toyfig", "--seeds", 1, "--workers", 1, "--out", tmp_path / "out")
    runs = [root / s.run_id for s in figures.unique(figures.specs("toyfig", figures.Setting("quick", "tiny", 1)))]
    old = [(run / "environment.json").read_text() for run in runs]
    assert call(*figure) == (0, [])
    file = plug_ins / "models" / "tiny.py"
    file.write_text(file.read_text() + "\n# edited\n")

    status, told = call(*figure)
    assert (status, len(told)) == (2, 1)
    assert re.search(r"2 runs \(.*\) were made with another version of models/tiny\.py: .*--retrain tiny", told[0])
    plan = cli("plan", "toyfig", "--seeds", 1, "--runs", root, "--device", "cpu")
    assert plan.returncode == 0
    assert "2 runs, 2 to train" in plan.stdout
    assert plan.stdout.count("again: another version of models/tiny made it") == 2
    assert "2 of them were made with another version of a plug-in: give `figure --retrain tiny`" in plan.stdout
    status, told = call(*figure, "--retrain", "tinny")
    assert status == 2
    assert "no run asked for uses a plug-in of that name: they use data/toy, models/tiny" in told[0]
    assert [(run / "environment.json").read_text() for run in runs] == old  # nothing was touched

    status, told = call("run", "--spec", runs[0] / "spec.json", "--again")
    assert status == 0, told
    assert "1 run made with another version of models/tiny, made again now" in told[0]
    status, told = call(*figure, "--retrain", "tiny")
    assert status == 0, told
    assert told[0].startswith("rethinking: 1 run made with another version of models/tiny")
    again = [(run / "environment.json").read_text() for run in runs]
    assert all(a != b for a, b in zip(again, old, strict=True))
    assert call("run", "--spec", runs[0] / "spec.json", "--again") == (0, [])  # it is made with what is there
    assert (runs[0] / "environment.json").read_text() == again[0]


PROBES_ALONE = """
import matplotlib.pyplot as plt

from rethinking.spec import Part, ProbeSpec, RunSpec

MODELS = ["all"]
CAPTION = "Probes alone."
DEPARTURES = []
RUN = RunSpec.make(data="toy", n=64, model="mine", steps=4, eval_every=2)


def runs(setting):
    return {"one": [ProbeSpec.make(run=RUN, probe=Part(name="capacity"))]}


def draw(setting, records):
    return plt.figure(), {}


def claims(setting):
    return []
"""


def test_a_figure_of_probes_alone_makes_their_runs_again(found, toy_dir, tmp_path):
    """Once: what a probe measures are the weights of the run that was made again."""
    text = (PLUG_INS / "models" / "tiny.py").read_text()
    found(figures__probed=PROBES_ALONE, models__mine=text)
    root = tmp_path / "runs"

    def call(*words):
        catalog._files.cache_clear()
        done = cli(*words, "--runs", root, "--device", "cpu")
        return done.returncode, done.stdout + done.stderr

    (probe,) = figures.unique(figures.specs("probed", figures.setting("probed")))
    figure = ("figure", "probed", "--workers", 1, "--out", tmp_path / "out", "--data-dir", toy_dir)
    assert call(*figure)[0] == 0
    folders = [root / spec.run_id for spec in (probe, probe.run)]
    old = [(folder / "environment.json").read_text() for folder in folders]
    found(models__mine=text + "\n# edited\n")
    assert "1 of them were made with another version of a plug-in" in call("plan", "probed")[1]
    status, told = call(*figure, "--retrain", "mine")
    assert status == 0, told
    assert "2 runs made with another version of models/mine, made again now" in told
    again = [(folder / "environment.json").read_text() for folder in folders]
    assert all(a != b for a, b in zip(again, old, strict=True))
    assert sorted(each.name for each in root.iterdir()) == sorted(folder.name for folder in folders)
    assert list(verify.records(Runs(root))) == []

    found(models__mine=text + "\n# edited again\n")
    status, told = call("run", "--spec", folders[0] / "spec.json", "--again", "--data-dir", toy_dir)
    assert status == 0, told
    assert list(verify.records(Runs(root))) == []


def test_a_plan_names_every_plug_in_that_figure_asks_for(found, tmp_path):
    """Of runs of several changed ones, and also where probes alone need the runs."""
    found(figures__probed=PROBES_ALONE.replace('"mine"', '"tiny"'))
    for name, which in (("toyfig", "4 of them were"), ("probed", "runs that their probes measure were")):
        runs, words = Runs(tmp_path / name), (name, "--device", "cpu", "--runs", tmp_path / name)
        for spec in figures.unique(figures.specs(name, figures.setting(name))):
            run = getattr(spec, "run", spec)
            made = {"plug_ins": dict.fromkeys(run.plug_ins, 12 * "0")}
            write(runs.path(run) / "environment.json", json.dumps(made))
        advice = f"{which} made with another version of a plug-in: give `figure --retrain toy --retrain tiny`"
        assert advice in cli("plan", *words).stdout
        refused = one_line(cli("figure", *words, "--retrain", "tiny", "--out", tmp_path))
        assert "made with another version of data/toy.py" in refused
        each = json.loads(cli("plan", *words, "--json").stdout)["runs"]
        assert all(run["made_with_another"] == ["data/toy", "models/tiny"] * (name == "toyfig") for run in each)


def test_the_old_record_stays_in_its_place_until_the_new_one_is_complete(toy_dir, tmp_path):
    spec = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)
    runs = Runs(tmp_path / "runs", tmp_path / "checkpoints")
    execute(spec, runs, data_dir=toy_dir)
    place = runs.path(spec)
    file = place / "environment.json"
    old = file.read_text().replace(spec.plug_ins["models/tiny"], 12 * "0")
    file.write_text(old)

    assert make.begin_again(runs, outdated.find(runs, [spec])) == [spec]
    make.settle(runs, [spec])  # nothing of it was made
    assert (runs.complete(spec), Runs(runs.root).complete(spec), file.read_text()) == (False, True, old)
    execute(spec, runs, data_dir=toy_dir, until=2)
    make.settle(runs, [spec])
    assert (runs.reached(spec), Runs(runs.root).complete(spec), file.read_text()) == (3, True, old)
    assert [each.again for each in runs.survey()] == [False, True]
    execute(spec, runs, data_dir=toy_dir)
    make.settle(runs, [spec])
    assert runs.path(spec) == place
    assert runs.find(spec)
    assert file.read_text() != old
    assert sorted(each.name for each in runs.root.iterdir()) == [spec.run_id]
    assert not any((tmp_path / "checkpoints").iterdir())


def test_runs_without_plug_ins_are_never_out_of_date(tmp_path):
    assert outdated.find(Runs(tmp_path), [RunSpec()]) == {}
    with pytest.raises(InputError, match="no run asked for uses a plug-in of that name: they use none"):
        outdated.chosen({}, ["mine"], [RunSpec()])


NETWORK = """
from torch import nn


class Network(nn.Module):
    def __init__(self, scaled):
        super().__init__()
        self.scaled, self.last = scaled, nn.Linear(3, 4)

    def forward(self, x):
        return self.last(self.scaled(x.mean((2, 3))))


def build(*shape, **options):
    from ._shared import scaled

    return Network(scaled)
"""
SHARED = """
from rethinking.models._parts import scale


def scaled(x):
    return scale.SCALE * x
"""


def test_a_record_is_bound_to_every_file_that_its_plug_ins_import(found, toy_dir, tmp_path, monkeypatch):
    found(models__mine=NETWORK)
    folder = tmp_path / "mine" / "models"
    (folder / "_parts").mkdir()
    (folder / "_parts" / "scale.py").write_text("SCALE = 1.0\n")
    found(models___shared=SHARED, models__other="VARIANTS = {'other': {}}\n\n\ndef build(**options):\n    pass\n")
    spec = RunSpec.make(data="toy", n=64, model="mine", steps=2, eval_every=2)
    assert sorted(spec.plug_ins) == ["data/toy", "models/_parts/scale", "models/_shared", "models/mine"]
    runs = Runs(tmp_path / "runs")
    execute(spec, runs, data_dir=toy_dir)
    made = json.loads((runs.path(spec) / "environment.json").read_text())["plug_ins"]
    assert made == spec.plug_ins
    show = ("show", spec.run_id, "--runs", runs.root)
    assert cli(*show).returncode == 0
    monkeypatch.chdir(tmp_path)
    for name in ("mine.py", "_shared.py", "_parts/scale.py"):
        file = folder / name
        whole = file.read_text()
        file.write_text(whole + "\n# edited\n")
        catalog._files.cache_clear()
        line = f"{spec.run_id} was made with another version of models/{name}: "
        for read in (runs.complete_records, lambda: runs.find(spec), lambda: api.network(spec.run_id)):
            with pytest.raises(InputError, match=re.escape(line)):
                read()
        assert line in one_line(cli(*show))
        assert line in " ".join(verify.record(runs.path(spec)))
        file.write_text(whole)
    catalog._files.cache_clear()
    (folder / "other.py").write_text((folder / "other.py").read_text() + "\n# edited\n")
    assert runs.find(spec) is not None
    older = runs.path(spec) / "environment.json"  # as it was before helpers were kept
    older.write_text(json.dumps(json.loads(older.read_text()) | {"plug_ins": {"models/mine": made["models/mine"]}}))
    assert outdated.changed(spec, json.loads(older.read_text())) == []


def test_a_plug_in_that_is_edited_before_its_process_imports_it_is_refused(found, tmp_path):
    found(models__late=NETWORK, models___shared=SHARED)
    (tmp_path / "mine" / "models" / "_parts").mkdir()
    (tmp_path / "mine" / "models" / "_parts" / "scale.py").write_text("SCALE = 1.0\n")
    catalog._files.cache_clear()
    entry = catalog.find("models", "late")
    for name in ("late.py", "_parts/scale.py"):
        file = tmp_path / "mine" / "models" / name
        whole = file.read_text()
        file.write_text(whole + "\n# edited\n")
        for _ in range(2):
            with pytest.raises(InputError, match=r"late\.py, or what it imports, was changed since this process began"):
                entry.load()
        file.write_text(whole)
    assert entry.load().build
