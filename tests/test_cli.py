"""The command line as a user meets it: bad input in one line, nothing imported that is not needed, plug-ins."""

import csv
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from rethinking.cli import main
from rethinking.cli.spec_options import spec_of
from rethinking.record import Runs, digests
from rethinking.spec import Part, RunSpec

RUN = ("run", "--data", "toy", "--n", "64", "--model", "tiny", "--steps", "4", "--eval-every", "2", "--device", "cpu")


def cli(*words, limit=None, **env):
    def setup():
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "rethinking.cli", *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | {k: str(v) for k, v in env.items()},
        preexec_fn=setup,
        timeout=300,
        check=False,
    )


def imported(*words, cwd=None):
    """The names of the modules that a command imports."""
    code = f"""
import sys
import time
from rethinking.cli import main
try:
    main({list(map(str, words))!r})
finally:
    print("MODULES", *sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split("MODULES")[1].split())


def one_line(done):
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.endswith((": starting", ": failed"))]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("rethinking: ")
    return lines[0]


@pytest.mark.parametrize("words", [("--help",), ("list",), ("figure", "--help"), ("data", "where", "toy")])
def test_help_and_list_import_neither_torch_nor_matplotlib(words):
    assert not {"torch", "matplotlib"} & imported(*words)


def test_a_second_figure_trains_nothing_and_imports_no_torch(toy_dir, tmp_path):
    words = (
        "figure",
        "toyfig",
        "--data-dir",
        toy_dir,
        "--runs",
        tmp_path / "runs",
        "--out",
        tmp_path,
        "--device",
        "cpu",
    )
    first = cli(*words)
    assert first.returncode == 0, first.stderr
    assert first.stderr.count(": done at step") == 4
    written = (tmp_path / "toyfig-quick.svg").read_bytes()
    modules = imported(*words)
    assert "matplotlib" in modules
    assert "torch" not in modules
    second = cli(*words)
    assert second.stderr == ""
    assert second.stdout == first.stdout
    assert (tmp_path / "toyfig-quick.svg").read_bytes() == written


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("figure", "figure1a"), "unknown figure 'figure1a': did you mean 'fig1a'?"),
        (("figure", "fig1a", "--scale", "huge"), "scale is 'huge', allowed are quick, cpu, paper"),
        (("figure", "fig1a", "--model", "resnet"), "unknown network 'resnet': did you mean 'resnet-20'? known"),
        (("figure", "fig1a", "--seeds", "0"), "0 is not in the range"),
        (("figure", "toyfig", "--shard", "3/2"), "shard is '3/2'"),
        (("figure", "fig1a", "--redraw"), "no record for fig1a at scale quick"),
        (("figure", "theorem1", "--model", "alexnet", "--redraw"), "no record for theorem1"),
        (("run", "--device", "tpu"), "device is 'tpu', allowed are auto, cpu, cuda"),
        (("run", "--regularize", "batch_norm=on"), "batch_norm.on is 'on': give true or false"),
        (("run", "--corruption", "random_labels", "--corruption", "partial_labels=1"), "random_labels is given more"),
        (("run", "--corruption", "partial_label=0.5"), "did you mean 'partial_labels'?"),
        (("run", "--corruption", "partial_labels=1.5"), "partial_labels.p is 1.5"),
        (("run", "--corruption", "partial_labels=-0.1"), "partial_labels.p is -0.1"),
        (("run", "--corruption", "partial_labels=nan"), "partial_labels.p is nan"),
        (("run", "--regularize", "weight_decay=-1"), "weight_decay.strength is -1"),
        (("run", "--regularize", "dropout=1"), "dropout.rate is 1: input should be less than 1"),
        (("run", "--model", "alexnet", "--regularize", "stochastic_depth"), "alexnet has none: take resnet-20"),
        (("run", "--n", "0"), "n is 0"),
        (("run", "--n", "50001"), "cifar10 has 50000 training images"),
        (("run", "--batch-size", "0"), "batch_size is 0"),
        (("run", "--lr", "-0.1"), "learning_rate is -0.1"),
        (("run", "--lr", "nan"), "learning_rate is nan"),
        (("run", "--lr", "fast"), "not a valid float"),
        (("run", "--seed", "-1"), "seed is -1"),
        (("run", "--data", "cifar"), "did you mean 'cifar10'?"),
        (("run", "--no-such-option",), "No such option"),
        (("run", "--spec", "missing.json"), "missing.json: cannot be read (No such file or directory)"),
        (("show", "nothing"), "no single complete run 'nothing'"),
        (("list", "things"), "unknown kind 'things'"),
        (("data", "fetch", "imagenet"), "unknown data set 'imagenet'"),
        (("bench", "--model", "vgg"), "unknown network 'vgg'"),
        (("nonsense",), "No such command"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2(words, message, tmp_path):
    done = cli(*words, *(("--runs", tmp_path / "runs") if words[0] in ("figure", "run", "show") else ()))
    assert message in one_line(done)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"n": "100"}', "n is '100'"),
        ('{"n": 100, "epochs": 3}', "unknown field 'epochs'"),
        ('{"n": 100', "not valid JSON"),
        ('{"n": 100, "n": 200}', "n is given 2 times: give it once"),
        ('{"kind": ["a"]}', "kind is ['a'], known are"),
        ("[" * 100_000, "not valid JSON"),
        ("\x00", "not valid JSON"),
    ],
)
def test_bad_spec_files(text, message, tmp_path):
    file = tmp_path / "spec.json"
    file.write_text(text)
    assert message in one_line(cli("run", "--spec", file, "--runs", tmp_path / "runs"))


def test_options_beside_a_spec_file(tmp_path):
    file = tmp_path / "spec.json"
    file.write_text(RunSpec().to_json())
    assert "--n is given beside --spec" in one_line(cli("run", "--spec", file, "--n", 3))


def test_a_run_its_record_and_what_is_shown(toy_dir, tmp_path):
    where = ("--data-dir", toy_dir, "--runs", tmp_path / "runs")
    first = cli(*RUN, "--corruption", "partial_labels=0.5", "--regularize", "weight_decay=1e-3", *where)
    assert first.returncode == 0, first.stderr
    folder = next((tmp_path / "runs").iterdir())
    shown = cli("show", folder.name[-10:], "--runs", tmp_path / "runs")
    assert shown.stdout == first.stdout
    assert "ended: at its budget, step 4" in shown.stdout
    text = cli("show", folder.name, "--json", "--runs", tmp_path / "runs").stdout
    whole = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert whole["curve"]["online_loss"][0] is None
    assert whole["spec"]["corruptions"] == [{"name": "partial_labels", "options": {"p": 0.5}}]
    assert whole["environment"]["threads"] == 1
    other = cli(
        "run", "--spec", folder / "spec.json", "--device", "cpu", "--data-dir", toy_dir, "--runs", tmp_path / "again"
    )
    assert other.returncode == 0
    again = tmp_path / "again" / folder.name / "curve.csv"
    assert again.read_bytes() == (folder / "curve.csv").read_bytes()


def test_a_record_can_be_compared_with_a_new_run(toy_dir, tmp_path):
    where = ("--data-dir", toy_dir, "--runs", tmp_path / "runs")
    assert "has no record" in one_line(cli(*RUN, "--compare", *where))
    assert cli(*RUN, *where).returncode == 0
    file = next((tmp_path / "runs").glob("*/spec.json"))
    same = cli("run", "--spec", file, "--compare", "--device", "cpu", *where)
    assert same.returncode == 0
    assert "the same curve, to the last bit" in same.stdout
    result = file.with_name("result.json")
    kept = {k: v for k, v in json.loads(result.read_text()).items() if not k.startswith("digest")}
    result.write_text(json.dumps(kept))  # as records were before they held digests
    curve = file.with_name("curve.csv")
    lines = curve.read_text().splitlines()
    lines[2] = lines[2].replace("0.05", "0.06")
    curve.write_text("\n".join(lines) + "\n")
    other = cli("run", "--spec", file, "--compare", "--device", "cpu", *where)
    assert other.returncode == 1
    assert "from step 2 on another curve: learning_rate 0.06 against 0.05" in other.stdout
    assert other.stdout.count("made by: commit ") == 2
    assert "training accuracy: at most 0.00 points apart, at step 0" in other.stdout


def test_the_records_of_two_folders_are_compared_without_training(toy_dir, tmp_path):
    """As one of a GPU with its twin of a CPU: how far apart they are, and when each has fitted."""
    first, second = tmp_path / "cpu", tmp_path / "gpu"
    assert cli(*RUN, "--data-dir", toy_dir, "--runs", first).returncode == 0
    shutil.copytree(first, second)
    file = next(first.glob("*/spec.json"))
    words = ("run", "--spec", file, "--compare", "--device", "cpu", "--runs", first)
    same = cli(*words, "--with", second, "--data-dir", tmp_path / "nowhere")
    assert (same.returncode, same.stderr) == (0, "")
    assert "the same curve, to the last bit" in same.stdout
    path = second / file.parent.name / "curve.csv"
    curve = list(csv.DictReader(path.read_text().splitlines()))
    moved = 1.0 if float(curve[1]["train_accuracy"]) < 0.5 else 0.0
    by = abs(moved - float(curve[1]["train_accuracy"]))
    curve[1]["train_accuracy"] = str(moved)
    path.write_text("\n".join([",".join(curve[0]), *(",".join(row.values()) for row in curve)]) + "\n")
    result = json.loads(path.with_name("result.json").read_text())
    path.with_name("result.json").write_text(json.dumps(digests.sealed(result, path.parent)))
    other = cli(*words, "--with", second)
    assert other.returncode == 1
    step = curve[1]["step"]
    assert f"training accuracy: at most {100 * by:.2f} points apart, at step {step}\n" in other.stdout
    assert "steps to 99 % training accuracy: " in other.stdout
    assert "has no record in" in one_line(cli(*words, "--with", tmp_path / "empty"))
    assert "--with is given without --compare" in one_line(cli(*RUN, "--with", second))


@pytest.mark.parametrize("field", RunSpec.model_fields)
def test_every_field_of_a_spec_is_an_option_of_run(field):
    """With the field's name, description and default; model_options are beside --model."""
    command = main.commands["run"]
    options = {p.name: p for p in command.get_params(click.Context(command))}
    if field == "model_options":
        assert field not in options
        return
    about = RunSpec.model_fields[field]
    assert about.description
    assert options[field].help.startswith(about.description)
    assert options[field].multiple == (about.default == ())
    if about.default not in (None, ()) and about.default is not False:
        assert f"[default: {about.default}]" in options[field].help


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ("--lr 0.5 --batch-size 7 --stop fitted", {"learning_rate": 0.5, "batch_size": 7, "stop": "fitted"}),
        ("--model mlp-1x512,width=9", {"model": "mlp-1x512", "model_options": {"width": 9}}),
        ("--keep test_logits --bootstrap", {"bootstrap": True, "keep": ("test_logits",)}),
        ("--corruption random_labels --data-seed 3", {"corruptions": (Part(name="random_labels"),), "data_seed": 3}),
        ("--regularize weight_decay=0.5", {"regularizers": (Part(name="weight_decay", options={"strength": 0.5}),)}),
    ],
)  # fmt: skip
def test_the_options_of_run_are_the_fields_of_its_spec(words, fields):
    command = main.commands["run"]
    given = command.make_context("run", words.split()).params
    given = {k: v for k, v in given.items() if k in RunSpec.model_fields and v}
    assert spec_of(given, "cpu").identity == RunSpec.make(**fields).identity


def test_a_full_disk_loses_nothing(toy_dir, tmp_path):
    where = ("--data-dir", toy_dir, "--runs", tmp_path)
    done = cli(*RUN, *where, limit=4096)  # bytes: enough for a spec, not for weights
    assert "File too large" in one_line(done)
    runs = Runs(tmp_path)
    assert [(found.run, found.complete) for found in runs.survey()] == [(True, False)]
    assert not list(tmp_path.glob("*/lease-*"))
    assert not list(tmp_path.glob("*/.*"))
    assert cli(*RUN, *where).returncode == 0


def test_runs_that_cannot_be_written(toy_dir, tmp_path):
    (tmp_path / "file").touch()
    done = cli(*RUN, "--data-dir", toy_dir, "--runs", tmp_path / "file")
    assert "cannot write to" in one_line(done)


def test_a_device_that_is_not_there(toy_dir, tmp_path):
    done = cli(*RUN[:-1], "cuda:77", "--data-dir", toy_dir, "--runs", tmp_path)
    assert "device 'cuda:77' is not available here" in one_line(done)


def test_no_network_and_no_data(tmp_path):
    words = (
        "run",
        "--data",
        "nowhere",
        "--model",
        "tiny",
        "--device",
        "cpu",
        "--data-dir",
        tmp_path,
        "--runs",
        tmp_path,
    )
    done = cli(*words)
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 2
    assert "nowhere could not be had" in line
    assert "no network" in line
    assert "Traceback" not in done.stderr


def test_a_damaged_record_is_named_before_training(toy_dir, tmp_path):
    where = ("--data-dir", toy_dir, "--runs", tmp_path)
    assert cli(*RUN, *where).returncode == 0
    curve = next(tmp_path.glob("*/curve.csv"))
    curve.write_text(curve.read_text()[:100])
    assert "curve.csv" in one_line(cli(*RUN, *where))
    assert len(curve.read_text()) == 100


def test_prune_asks_and_keeps_what_figures_need(toy_dir, tmp_path):
    where = ("--data-dir", toy_dir, "--runs", tmp_path / "runs")
    assert cli("figure", "toyfig", "--out", tmp_path, "--seeds", 1, "--device", "cpu", *where).returncode == 0
    assert cli(*RUN, *where).returncode == 0
    mine = tmp_path / "runs" / "thesis"
    mine.mkdir()
    (mine / "spec.json").write_text('{"n": 100}')  # a spec, but of no run of that name
    before = sorted(p.name for p in (tmp_path / "runs").iterdir())
    refused = subprocess.run(
        [sys.executable, "-m", "rethinking.cli", "prune", "--unreferenced", "--runs", str(tmp_path / "runs")],
        input="n\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "unreferenced  toy-64-tiny" in refused.stdout
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == before
    assert "kept, not a run: thesis" in refused.stdout
    usual = cli("prune", "--yes", "--runs", tmp_path / "runs").stdout.splitlines()
    assert usual == [
        "  kept, not a run: thesis",
        "  kept: 1 runs, unreferenced: give --unreferenced",
        "nothing to prune",
    ]
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == before
    weights = list((tmp_path / "runs").glob("*/weights.safetensors"))
    assert cli("prune", "--weights", "--yes", "--runs", tmp_path / "runs").stdout.endswith(
        f"deleted the weights of {len(weights)} runs\n"
    )
    assert len(weights) == len(before) - 1  # all but thesis
    assert not any(path.exists() for path in weights)
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == before
    assert cli("prune", "--yes", "--unreferenced", "--runs", tmp_path / "runs").returncode == 0
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == [n for n in before if not n.startswith("toy-64")]


def test_prune_sweeps_what_no_run_accounts_for(tmp_path):
    name = RunSpec(n=100, steps=20).run_id
    half, checkpoint = tmp_path / "runs" / ".DIGESTS.x1y2z3a4", tmp_path / "checkpoints" / name
    half.parent.mkdir()
    checkpoint.mkdir(parents=True)
    for path in (half, checkpoint / "checkpoint.safetensors"):
        path.write_text("half")
    for path in (half, checkpoint / "checkpoint.safetensors", checkpoint):
        os.utime(path, (0, 0))
    where = ("--runs", tmp_path / "runs", "--checkpoints", tmp_path / "checkpoints", "--out", tmp_path)
    assert cli("prune", "--yes", "--weights", *where).stdout == "nothing to prune\n"
    assert cli("prune", "--yes", *where).stdout.splitlines() == [
        f"  checkpoint    {name}",
        "  half-written  .DIGESTS.x1y2z3a4",
        "deleted 1 half-written files and 1 checkpoints without a run",
    ]
    assert not half.exists()
    assert not checkpoint.exists()
    assert cli("prune", "--yes", *where).stdout == "nothing to prune\n"


def test_a_run_that_cannot_be_leaves_nothing_behind(toy_dir, tmp_path):
    done = cli(*RUN, "--regularize", "group_norm=7", "--data-dir", toy_dir, "--runs", tmp_path / "runs")
    assert done.returncode == 2
    assert "group_norm cannot go with batch normalization" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "runs").iterdir())


def test_plan_trains_nothing(toy_dir, tmp_path):
    done = cli("plan", "toyfig", "--runs", tmp_path / "runs", "--data-dir", toy_dir, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "4 runs, 4 to train" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_importing_the_package_is_light():
    code = "import rethinking, sys; print(sorted({'torch', 'matplotlib', 'pydantic', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- one file each -----------------------------------------------------------------------------

NEW = {
    "corruptions/inverted.py": '''"""Inverted: every pixel becomes its negative, a random half of them."""

import numpy as np

ACTS_ON = "pixels"
OPTIONS = {"half": {"type": "float", "ge": 0.0, "le": 1.0}}


def corrupt(image, label, generator, facts, *, half):
    return np.where(generator.random(image.shape) < half, 255 - image, image), label
''',
    "models/onelayer.py": '''"""One linear layer."""

from torch import nn


def build(num_classes=10, in_channels=3, image_size=28):
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, num_classes))
''',
    "figures/newfig.py": '''"""A new figure."""

import matplotlib.pyplot as plt

MODELS = ["onelayer"]
SEEDS = {}
CAPTION = "New."
DEPARTURES = []


def runs(setting):
    from rethinking.spec import Part

    inverted = Part(name="inverted", options={"half": 0.5})
    return {"inverted": [setting.spec(0, data="toy", n=64, steps=4, eval_every=2, corruptions=(inverted,))]}


def draw(setting, records):
    figure, _ = plt.subplots()
    return figure, {}


def claims(setting):
    return []
''',
}


def test_a_new_thing_is_one_file(toy_dir, tmp_path):
    for name, text in NEW.items():
        file = tmp_path / "mine" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    here = Path(__file__).parent
    env = {"RETHINKING_PLUGINS": os.pathsep.join([str(here / "plugins"), str(tmp_path / "mine")])}
    listed = cli("list", **env).stdout
    assert "inverted" in listed
    assert "half in [0, 1]" in listed
    assert "onelayer" in listed
    assert "newfig" in listed
    where = ("--data-dir", toy_dir, "--runs", tmp_path / "runs", "--device", "cpu")
    done = cli("figure", "newfig", "--out", tmp_path, *where, **env)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "newfig-quick.svg").exists()
    again = cli(*RUN[:5], "--model", "onelayer", "--corruption", "inverted=0.2", "--steps", "2", *where, **env)
    assert again.returncode == 0, again.stderr
    laws = subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", "-q", "-k", "inverted or onelayer", "-p", "no:cacheprovider",
         str(here / "test_corruptions.py"), str(here / "test_models.py"), str(here / "test_training.py")],
        capture_output=True, text=True, env=os.environ | env, cwd=here.parent, check=False,
    )  # fmt: skip
    assert laws.returncode == 0, laws.stdout
    assert int(laws.stdout.split(" passed")[0].split()[-1]) >= 8


def test_two_files_with_one_name_are_refused(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "alexnet.py").write_text('"""Mine."""\n')
    assert "both hold the network 'alexnet'" in one_line(cli("list", RETHINKING_PLUGINS=tmp_path))
    assert "not a folder" in one_line(cli("list", RETHINKING_PLUGINS=tmp_path / "missing"))


@pytest.mark.parametrize(
    ("kind", "lacks"),
    [("data", "SIZES"), ("corruptions", "ACTS_ON"), ("regularizers", "OPTIONS"), ("figures", "MODELS")],
)
def test_a_plug_in_without_what_its_kind_must_have_is_one_line(tmp_path, kind, lacks):
    (tmp_path / kind).mkdir()
    (tmp_path / kind / "mine.py").write_text('"""Mine."""\n')
    assert f"mine.py: it has no constant {lacks}" in one_line(cli("list", kind, RETHINKING_PLUGINS=tmp_path))


def plug_in(folder: Path, kind: str, text: str) -> dict[str, str]:
    """The environment in which a file `mine` of that kind is found, beside the plug-ins of the tests."""
    (folder / kind).mkdir()
    (folder / kind / "mine.py").write_text(text)
    return {"RETHINKING_PLUGINS": os.pathsep.join([str(Path(__file__).parent / "plugins"), str(folder)])}


GOOD = """
OPTIONS = {"strength": {"type": "float", "ge": 0.0}}
NULL = {"strength": 0.0}
PRACTICE = {"strength": 0.1}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('{"type": "float", "ge": 0.0}', '"float"', "OPTIONS['strength'] has type none, allowed are float, int"),
        ('"float"', '"real"', "OPTIONS['strength'] has type 'real', allowed are float, int, bool, str"),
        ('"ge"', '"min"', "OPTIONS['strength'] has 'min', allowed are type, ge"),
        ('"float", "ge"', '"str", "ge"', "OPTIONS['strength'] has 'ge', which is of numbers alone"),
        ('"ge": 0.0', '"default": "much"', "has the default 'much', which is no float"),
        ('"ge": 0.0', '"ge": "a"', "has the ge 'a', which is no float"),
        ('"ge": 0.0', '"choices": "ab"', "has the choices 'ab', which must be a list"),
        ('"ge": 0.0', '"choices": [0.1, "b"]', "has the choice 'b', which is no float"),
        ('NULL = {"strength"', 'NULL = {"strenght"', "NULL names 'strenght', which is not in OPTIONS (strength)"),
        ('PRACTICE = {"strength": 0.1}', "PRACTICE = 0.1", "PRACTICE is 0.1, it must be a dict"),
        ("NULL", "STRENGTHS = (0.2, 0.5)\nNULL", "STRENGTHS is (0.2, 0.5), it must be values of 'strength', with"),
        ("NULL", 'FAMILY = "weight"\nNULL', "FAMILY is 'weight', allowed are weights, units, normalization, data"),
    ],
)
def test_a_plug_in_with_a_mistake_in_its_constants_is_one_line(tmp_path, old, new, message):
    assert old in GOOD
    env = plug_in(tmp_path, "regularizers", '"""Mine."""\n' + GOOD.replace(old, new))
    line = one_line(cli("list", "regularizers", **env))
    assert "mine.py: " in line
    assert message in line


HASHES = 'dict.fromkeys(["train_images"], "")'
DATA = f"""
SIZES = {{"train": 2, "test": 2}}
SHAPE = (28, 28)
CLASSES = ["a"]
MEAN = VARIANCE = [1.0]
SHA256 = {HASHES}
"""


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("regularizers", GOOD.replace('NULL = {"strength": 0.0}', "NULL = {}"), "NULL is empty: it must give at least"),
        ("regularizers", GOOD.replace("0.1}", "-1.0}"), "PRACTICE has strength -1.0, which OPTIONS does not allow"),
        ("regularizers", GOOD.replace("0.1}", "3 * 0.1}"), "PRACTICE is no literal, and so cannot be read without"),
        ("regularizers", GOOD + 'NEEDS = "convolution"', "NEEDS is 'convolution', allowed are convolutions, pooling"),
        ("regularizers", GOOD.replace('"ge": 0.0}', '"ge": 0.0}, "b": {"type": "int"}'), "NULL gives b no value"),
        ("corruptions", 'ACTS_ON = "label"', "ACTS_ON is 'label', allowed are labels, pixels"),
        ("corruptions", 'ACTS_ON = "labels"\nKEYED_BY = "sed"', "KEYED_BY is 'sed', allowed are example, seed"),
        ("corruptions", 'ACTS_ON = "labels"\nSAME_AS = {"p": 0.0}', "it must be a list of (options, name or None)"),
        ("models", 'VARIANTS = {"mine": 3}', "VARIANTS['mine'] is 3, it must be a dict"),
        ("models", 'HAS = "convolutions"', "HAS is 'convolutions', it must be a list"),
        ("models", 'HAS = ["convolution"]', "HAS is ['convolution'], allowed are convolutions, pooling"),
        ("figures", 'MODELS = ["all"]\nSEEDS = {"quick": 0}', "SEEDS['quick'] is 0, it must be a number of seeds"),
        ("data", DATA, "SHA256 is no literal"),
        (
            "data",
            DATA.replace('"train":', '"training":').replace(HASHES, "{}"),
            "SIZES has training, test, it must have",
        ),
        ("data", DATA.replace(HASHES, "{}"), "SHA256 has , it must have train_images, train_labels"),
    ],
)
def test_a_plug_in_of_any_kind_with_a_wrong_constant_is_one_line(tmp_path, kind, text, message):
    line = one_line(cli("list", kind, **plug_in(tmp_path, kind, f'"""Mine."""\n{text}\n')))
    assert "mine.py: " in line
    assert message in line


def test_a_figure_may_have_constants_that_another_kind_has(tmp_path):
    env = plug_in(tmp_path, "figures", '"""Mine."""\nMODELS = ["all"]\nSEEDS = {"quick": 1}\nSIZES = (1, 2)\n')
    assert "mine" in cli("list", "figures", **env).stdout


def test_a_file_named_like_one_of_the_package_is_refused(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mlp.py").write_text('"""Mine."""\nVARIANTS = {"mlp-2x64": {}}\n')
    assert "have one file name: rename one" in one_line(cli("list", "models", RETHINKING_PLUGINS=tmp_path))


@pytest.mark.parametrize(
    ("name", "message"), [("mine.py", "is in no folder of its kind"), ("networks", "mean 'models'")]
)
def test_a_plug_in_in_the_wrong_place_is_one_line(tmp_path, name, message):
    (tmp_path / name).write_text("") if name.endswith(".py") else (tmp_path / name).mkdir()
    assert message in one_line(cli("list", RETHINKING_PLUGINS=tmp_path))


CLAIMING = '''"""Mine."""
from rethinking.claims import Claim, Reading
from rethinking.spec import RunSpec

MODELS = ["all"]
SEEDS = {"quick": 1}
CAPTION = "Mine."
DEPARTURES = []


def runs(setting):
    return {"a": [RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)]}


def draw(setting, records):
    import matplotlib.pyplot as plt

    return plt.figure(), {}


def claims(setting):
    return [Claim("mine", "me", "it holds", "none", "always", ("a",), lambda groups: Reading(True, "1", {}))]
'''


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    return {", "    return None and {", "runs of "),
        ('("a",)', '("b",)', "has the condition 'b', not one of runs"),
        ("return [Claim", "return None and [Claim", "TypeError: 'NoneType' object is not iterable"),
        ("Reading(True", "True or Reading(True", "AttributeError"),
        ("return plt.figure(), {}", "return plt.figure()", "TypeError"),
        ("return plt.figure(), {}", 'return plt.figure(), {"table": [["a", 1]]}', "a table that is no list of dicts"),
        ("def claims", "def claim", "has no claims: every figure needs one"),
    ],
)
def test_a_figure_with_a_mistake_is_one_line_and_draws_nothing(toy_dir, tmp_path, old, new, message):
    assert old in CLAIMING
    env = plug_in(tmp_path, "figures", CLAIMING.replace(old, new))
    where = ("--data-dir", toy_dir, "--runs", tmp_path / "runs", "--out", tmp_path / "drawn", "--device", "cpu")
    done = cli("figure", "mine", *where, **env)  # some are seen only when it is drawn, after lines of training
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert "mine.py" in line
    assert message in line
    assert not list((tmp_path / "drawn").glob("*"))


@pytest.mark.parametrize(
    ("kind", "text", "words", "message"),
    [
        (
            "corruptions",
            'ACTS_ON = "pixels"\n\n\ndef corrupt(image, label, generator, facts):\n    image[0] = 0\n',
            ("--corruption", "mine"),
            "mine.py, line 6: ValueError: assignment destination is read-only",
        ),
        (
            "corruptions",
            'ACTS_ON = "pixels"\n\n\ndef corrupt(image, label, generator, facts):\n    return image[:9], 0\n',
            ("--corruption", "mine"),
            "must give an image of the shape that it is given, and a label",
        ),
        (
            "corruptions",
            'ACTS_ON = "labels"\n\n\ndef corrupt(image, label, generator, facts):\n    return image, label + 0.5\n',
            ("--corruption", "mine"),
            "gives the label",
        ),
        ("corruptions", 'ACTS_ON = "labels"\n', ("--corruption", "mine"), "has no corrupt: every corruption needs one"),
        (
            "models",
            "def build(num_classes, in_channels, image_size):\n    return None\n",
            ("--model", "mine"),
            "mine.py gives NoneType, no torch Module: mend it",
        ),
        (
            "models",
            "from torch import nn\n\n\ndef build(num_classes, in_channels, image_size):\n"
            "    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, 99))\n",
            ("--model", "mine"),
            "not 4 logits each",
        ),
    ],
)
def test_a_run_with_a_mistaken_plug_in_is_one_line_and_leaves_nothing(toy_dir, tmp_path, kind, text, words, message):
    env = plug_in(tmp_path, kind, f'"""Mine."""\n{text}')
    rest = ("--data-dir", toy_dir, "--runs", tmp_path / "runs")
    run = [w for w in RUN if w not in ("--model", "tiny")] if "--model" in words else RUN
    assert message in one_line(cli(*run, *words, "--lr", "0.1", *rest, **env))
    assert not list((tmp_path / "runs").glob("*"))


def test_planning_with_a_mistaken_network_is_one_line(tmp_path):
    env = plug_in(tmp_path, "figures", CLAIMING.replace('model="tiny"', 'model="mine", learning_rate=0.1'))
    text = "    return nn.Sequential(nn.Flatten(), nn.Linear(7, 10))\n"
    plug_in(tmp_path, "models", f'"""Mine."""\nfrom torch import nn\n\n\ndef build(*sizes):\n{text}')
    assert "mine.py: RuntimeError: " in one_line(cli("plan", "mine", "--device", "cpu", **env))


def test_a_record_of_a_plug_in_that_is_not_here_says_so(toy_dir, tmp_path):
    text = '"""Mine."""\nACTS_ON = "labels"\n\n\ndef corrupt(image, label, generator, facts):\n    return image, 0\n'
    env = plug_in(tmp_path, "corruptions", text)
    rest = ("--data-dir", toy_dir, "--runs", tmp_path / "runs")
    assert cli(*RUN, "--corruption", "mine", *rest, **env).returncode == 0
    (record,) = (tmp_path / "runs").iterdir()
    line = one_line(cli("show", record.name, "--runs", tmp_path / "runs"))
    assert "it was made with the plug-in corruptions/mine, which is not here: name its folder" in line


def test_a_folder_of_plug_ins_with_a_misspelt_name_is_one_line(tmp_path):
    (tmp_path / "regularizer").mkdir()
    assert "did you mean 'regularizers'? rename it" in one_line(cli("list", RETHINKING_PLUGINS=tmp_path))


REGULARIZER = (
    '"""Mine."""\nfrom rethinking.regularizers import Base\n'
    + GOOD
    + """
class Regularizer(Base):
    def __init__(self, strength):
        pass

    def batch(self, images, labels, generator):
        return images
"""
)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("return images", "return images, labels", None),
        ("return images", "return images", "batch of the regularizer mine must give images and labels, as many"),
        ("return images", "return images[:3], labels", "batch of the regularizer mine must give images and labels"),
        ("return images", "return images + much, labels", "mine.py, line 13: NameError: name 'much' is not defined"),
        ("import Base", "import Bass", "mine.py, line 2: ImportError: cannot import name 'Bass'"),
    ],
)
def test_a_mistake_in_a_plug_ins_code_is_one_line_that_says_where(toy_dir, tmp_path, old, new, message):
    env = plug_in(tmp_path, "regularizers", REGULARIZER.replace(old, new))
    words = (*RUN, "--regularize", "mine=0.5", "--data-dir", toy_dir, "--runs", tmp_path / "runs")
    done = cli(*words, **env)
    if message is None:
        assert done.returncode == 0, done.stderr
    else:
        assert message in one_line(done)


FIGURE = '''"""Mine."""
MODELS = ["all"]
SEEDS = {"quick": 1}
CAPTION, DEPARTURES = "Mine.", []


def runs(setting):
    return {"one": [setting.spec(0, data="toy", model="tiny", n=50, steps=2, eval_every=1)]}


def draw(setting, records):
    from matplotlib import pyplot

    return pyplot.figure(), {"series": {"one": [1.0]}}


def claims(setting):
    return []
'''


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def draw", "def drawn", "mine.py has no draw: every figure needs one"),
        ("setting.spec", "setting.spek", "mine.py, line 8: AttributeError"),
        ("[1.0]", '[float("nan")]', "gives numbers that are no JSON (Out of range float values"),
        ("pyplot.figure()", "pyplot.figures()", "mine.py, line 14: AttributeError"),
    ],
)
def test_a_mistake_in_a_figure_is_one_line_and_nothing_is_half_written(toy_dir, tmp_path, old, new, message):
    assert old in FIGURE
    env = plug_in(tmp_path, "figures", FIGURE.replace(old, new))
    where = ("--data-dir", toy_dir, "--runs", tmp_path / "runs", "--out", tmp_path / "out", "--device", "cpu")
    done = cli("figure", "mine", *where, **env)
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("figure", "toyfig", "--out", ""), "--out is empty text"),
        (("figure", "toyfig", "--data-dir", ""), "--data-dir is empty text"),
        (("figure", "toyfig", "--shard", ""), "shard is ''"),
        (("show", ""), "the run is empty text"),
        (("figure", "all", "fig1a"), "all is every figure, and stands alone"),
        (("run", "--precision", "foo"), "precision is 'foo', allowed are auto, float32 and bfloat16"),
    ],
)
def test_empty_and_wrong_words_are_one_line(tmp_path, words, message):
    assert message in one_line(cli(*words, "--runs", tmp_path / "runs"))


def test_a_thing_is_described_with_its_options(tmp_path):
    told = cli("list", "regularizers", "dropout").stdout
    assert "Srivastava et al. 2014" in told
    assert "rate in [0, 1): probability of dropping a unit; default 0.5; null 0.0; practice 0.5" in told
    assert "unknown regularizer 'drop'" in one_line(cli("list", "regularizers", "drop"))


def test_what_was_held_out_kept_and_corrupted_is_shown(toy_dir, tmp_path):
    more = ("--held-out", "20", "--test-labels", "corrupted", "--keep", "test_logits")
    done = cli(*RUN, "--corruption", "random_labels", *more, "--data-dir", toy_dir, "--runs", tmp_path)
    assert re.search(r"test accuracy: .* images, their labels corrupted\n", done.stdout)
    assert re.search(r"held-out accuracy: .* of 20 images, loss", done.stdout)
    assert re.search(r"kept: test_logits, in .*arrays\.npz", done.stdout)


# --- streams, signals and folders ----------------------------------------------------------------


def shell(line, *, cwd=None, **env):
    """A line of bash, `rethinking` being this package's command; its status is that of the first in a pipe."""
    head = f'rethinking() {{ {sys.executable} -m rethinking.cli "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", head + line + "; exit ${PIPESTATUS[0]}"],
        capture_output=True, text=True, env=os.environ | {k: str(v) for k, v in env.items()}, timeout=300, check=False,
        cwd=cwd,
    )  # fmt: skip


def test_a_reader_that_goes_is_no_failure():
    for words in ("list", "list regularizers", "run --help"):
        done = shell(f"rethinking {words} | head -1")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count("\n") == 1


def test_output_that_a_full_disk_refuses_is_one_line():
    assert "No space left on device" in one_line(shell("rethinking list > /dev/full"))


@pytest.mark.parametrize("streams", ["2>&1 | head -c 1 | wc -c", "2>&- >&-", "2>/dev/full", "0<&- 2>&- >&-"])
def test_training_goes_on_whoever_listens(toy_dir, tmp_path, streams):
    where = ("--data-dir", toy_dir, "--runs", tmp_path / "runs")
    done = shell(f"rethinking {' '.join(map(str, (*RUN, *where)))} {streams}", TINY_PRINTS=1)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert Runs(tmp_path / "runs").named(folder.name).result["steps"] == 4
    assert (folder / "curve.csv").read_text().startswith("step,")


def heeds_ctrl_c():
    """In a process that is starting: a shell's background job ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("sent", "status", "line"),
    [(signal.SIGTERM, 143, "rethinking: stopped by SIGTERM"), (signal.SIGINT, 130, "rethinking: stopped")],
)
def test_a_signal_outside_of_training_is_one_line(tmp_path, sent, status, line):
    os.mkfifo(tmp_path / "spec.json")  # it waits there
    words = [sys.executable, "-m", "rethinking.cli", "run", "--spec", tmp_path / "spec.json"]
    listening = {"stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        words, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **listening
    ) as process:
        time.sleep(1.0)
        process.send_signal(sent)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told.strip()) == (status, f"{line}; the same command goes on from here")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["rethinking", "rethinking.cli"])
def test_a_signal_while_modules_are_imported_is_one_line(tmp_path, sent, module):
    (tmp_path / "click.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    words = [sys.executable, "-m", module, "list"]
    pipes = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "env": os.environ | {"PYTHONPATH": path},
    }
    with subprocess.Popen(words, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **pipes) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(sent)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (128 + sent, "rethinking: stopped\n")


HUGE = "1" + 400 * "0"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        *(((option, HUGE), "input should be less than 9223372036854775808") for option in ("--batch-size", "--steps")),
        (("--batch-size", 20 * HUGE), "is not a valid integer"),
        (("--regularize", f"weight_decay={HUGE}"), "input should be a valid number"),
        (("--model", "x" * 100_000), "unknown network 'xxx"),
        (("--model", "x y " * 25_000), "unknown network 'x y x y"),
        (("--corruption", "random_labels=" + "it's " * 20_000), "random_labels takes no value"),
    ],
)
def test_what_is_long_is_echoed_in_part(tmp_path, words, message):
    line = one_line(cli("run", *words, "--runs", tmp_path / "runs"))
    assert message in line
    assert len(line) <= 1100


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_spec_is_read_in_every_encoding_of_json_and_from_standard_input(toy_dir, tmp_path, encoding):
    spec = RunSpec(data="toy", n=64, model="tiny", steps=4, eval_every=2)
    file = tmp_path / "spec.json"
    file.write_bytes(spec.to_json().encode(encoding))
    rest = f"--device cpu --data-dir {toy_dir} --runs {tmp_path / 'runs'}"
    assert shell(f"rethinking run --spec - {rest} < {file}").returncode == 0
    assert Runs(tmp_path / "runs").complete(spec)
    again = shell(f"rethinking run --spec {file} {rest}")
    assert (again.returncode, again.stderr) == (0, "")  # it has a record


def test_no_spec_is_read_without_end(tmp_path):
    assert "larger than 4,000,000 bytes" in one_line(cli("run", "--spec", "/dev/zero"))
    assert "standard input: larger than" in one_line(shell("rethinking run --spec - < /dev/zero"))


def test_the_home_folder_is_meant_by_a_tilde(toy_dir, tmp_path):
    words = " ".join(map(str, RUN))
    home = {"HOME": tmp_path, "RETHINKING_DATA": "~/data"}
    (tmp_path / "data").symlink_to(toy_dir)
    (tmp_path / "here").mkdir()
    done = shell(f"rethinking {words} --runs='~/runs' --checkpoints='~/checkpoints'", cwd=tmp_path / "here", **home)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert list((tmp_path / "here").iterdir()) == []
    assert shell("rethinking data where toy --data-dir='~/x'", **home).stdout == f"{tmp_path}/x/toy\n"
    unknown = one_line(shell("rethinking data where toy --data-dir='~nobody-of-that-name'"))
    assert "names a home folder that is not known: write the whole path" in unknown


def test_the_source_distribution_holds_every_file_of_the_repository(tmp_path):
    root = Path(__file__).parents[1]
    git = ["git", "-C", root, "ls-files"]
    tracked = subprocess.run(git, capture_output=True, text=True, check=True).stdout.splitlines()
    words = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(tmp_path)]
    subprocess.run(words, cwd=root, check=True, capture_output=True)
    sources = (tmp_path / "rethinking.egg-info" / "SOURCES.txt").read_text().splitlines()
    assert set(tracked) - set(sources) == set()
    assert not [name for name in sources if name.endswith(".safetensors") or "claim-" in name]
