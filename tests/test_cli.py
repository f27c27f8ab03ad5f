"""The command line as a user meets it: bad input in one line, nothing imported that is not needed."""

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import safetensors.numpy
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from command import RUN, RUN_SPEC, cli, one_line

from rethinking import bench, figures, plotting, report
from rethinking.cli import main
from rethinking.cli.spec_options import spec_of
from rethinking.engines import checks
from rethinking.engines.execute import execute
from rethinking.record import Runs, digests, leased
from rethinking.spec import Part, RunSpec

HUGE = "1" + 400 * "0"
SPEC_FILE = "spec.json"


@pytest.fixture
def runs(toy_runs, tmp_path):
    """A copy of the records of toyfig and of RUN, to be changed."""
    return shutil.copytree(toy_runs, tmp_path / "runs")


def toyfig(runs, *more):
    return cli("figure", "toyfig", "--device", "cpu", "--runs", runs, "--out", runs.parent, *more)


def test_a_second_figure_trains_nothing(runs, toy_dir):
    """The first trains what is missing."""
    shutil.rmtree(next(runs.glob("toy-200-*-random_labels-*")))
    first = toyfig(runs, "--data-dir", toy_dir)
    assert first.returncode == 0, first.stderr
    assert first.stderr.count(": done at step") == 1
    written = (runs.parent / "toyfig-quick.svg").read_bytes()
    second = toyfig(runs)
    assert (second.returncode, second.stderr, second.stdout) == (0, "", first.stdout)
    assert (runs.parent / "toyfig-quick.svg").read_bytes() == written


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("figure", "figure1a"), "unknown figure 'figure1a': did you mean 'fig1a'?"),
        (("figure", "fig1a", "--scale", "huge"), "scale is 'huge', allowed are quick, cpu, paper"),
        (("figure", "fig1a", "--model", "resnet"), "unknown network 'resnet': did you mean 'resnet-20'? known"),
        (("figure", "table3", "--model", "alexnet"), "table3 is not of one network, --model alexnet is given"),
        (("figure", "fig1a", "--seeds", "0"), "0 is not in the range"),
        (("figure", "toyfig", "--shard", "3/2"), "shard is '3/2'"),
        (("run", "--device", "cuda:77"), "device 'cuda:77' is not available here"),
        (("run", "--regularize", "batch_norm=on"), "batch_norm.on is 'on': give true or false"),
        (("run", "--corruption", "random_labels", "--corruption", "partial_labels=1"), "random_labels is given more"),
        (("run", "--corruption", "partial_labels=1.5"), "partial_labels.p is 1.5"),
        (("run", "--regularize", "dropout=1"), "dropout.rate is 1: input should be less than 1"),
        (("run", "--lr", "fast"), "not a valid float"),
        (("run", "--no-such-option",), "No such option"),
        (("run", "--spec", "missing.json"), "missing.json: cannot be read (No such file or directory)"),
        (("run", "--spec", SPEC_FILE), "n is '100'"),
        (("run", "--spec", SPEC_FILE, "--n", "3"), "--n is given beside --spec"),
        (("show", "nothing"), "no single complete run 'nothing'"),
        (("list", "things"), "unknown kind 'things'"),
        (("list", "networks", "resnet"), "unknown network 'resnet': did you mean 'resnet-20'?"),
        (("data", "fetch", "imagenet"), "unknown data set 'imagenet'"),
        (("bench", "--model", "vgg"), "unknown network 'vgg'"),
        (("digest", "--runs", "typo"), "typo is no folder: name it with --runs"),
        (("prune", "--runs", "typo"), "typo is no folder: name it with --runs"),
        (("report", "--check", "--runs", ".", "--out", "typo"), "typo is no folder: name it with --out"),
        (("plan", "toyfig", "--data", ""), "--data is empty text"),
        (("figure", "toyfig", "--engine", "ray", "--device", "tpu", "--address", ""), "--address is empty text"),
        (("data", "add", "mine", "x.npy", "--labels", ""), "--labels is empty text"),
        (("nonsense",), "No such command"),
        (("figure", "toyfig", "--out", ""), "--out is empty text"),
        (("figure", "toyfig", "--format", "svg,gif"), "format is 'gif', allowed are svg, pdf, png"),
        (("figure", "toyfig", "--dpi", "99"), "--dpi is given, and svg,pdf has no dots: add png to --format"),
        (("figure", "all", "fig1a"), "all is every figure, and stands alone"),
        (("show", ""), "the run is empty text"),
        (("run", "--precision", "foo"), "precision is 'foo', allowed are auto, float32 and bfloat16"),
        (("run", "--compare", "--json"), "--json is given beside --compare"),
        (("run", "--with", "there"), "--with is given without --compare"),
        (("run", "--model", "mlp-1x512", "--compare"), "has no record"),
        (("run", "--batch-size", HUGE), "input should be less than 9223372036854775808"),
        (("run", "--batch-size", 20 * HUGE), "is not a valid integer"),
        (("run", "--regularize", f"weight_decay={HUGE}"), "input should be a valid number"),
        (("run", "--model", "x y " * 25_000), "unknown network 'x y x y"),
        (("run", "--corruption", "random_labels=" + "it's " * 20_000), "random_labels takes no value"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2(words, message, tmp_path):
    """And what is long is echoed in part."""
    (tmp_path / "spec.json").write_text('{"n": "100"}')
    words = [str(tmp_path / word) if word == SPEC_FILE else word for word in words]
    line = one_line(cli(*words, *(("--runs", tmp_path / "runs") if words[0] in ("figure", "run", "show") else ())))
    assert message in line
    assert len(line) <= 1100
    assert not (tmp_path / "runs").exists()


def test_a_run_its_record_and_what_is_shown(toy_dir, tmp_path):
    where = ("--data-dir", toy_dir, "--runs", tmp_path / "runs")
    more = ("--held-out", "20", "--test-labels", "corrupted", "--keep", "test_logits")
    first = cli(*RUN, "--corruption", "partial_labels=0.5", "--regularize", "weight_decay=1e-3", *more, *where)
    assert first.returncode == 0, first.stderr
    assert re.search(r"test accuracy: .* images, their labels corrupted\n", first.stdout)
    assert re.search(r"held-out accuracy: .* of 20 images, loss", first.stdout)
    assert re.search(r"kept: test_logits, in .*arrays\.npz", first.stdout)
    folder = next((tmp_path / "runs").iterdir())
    shown = cli("show", folder.name[-10:], "--runs", tmp_path / "runs")
    assert shown.stdout == first.stdout
    assert "ended: at its budget, step 4" in shown.stdout
    stopped = cli(*RUN, "--stop-loss", "99", *where)
    assert re.search(r"ended: at its training loss, step \d", stopped.stdout), stopped.stderr
    text = cli("show", folder.name, "--json", "--runs", tmp_path / "runs").stdout
    whole = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert whole["curve"]["online_loss"][0] is None
    assert whole["spec"]["corruptions"] == [{"name": "partial_labels", "options": {"p": 0.5}}]
    assert whole["environment"]["threads"] == 1


def test_a_run_of_many_options_begins_anew_and_keeps_its_weights_elsewhere(toy_dir, tmp_path):
    runs, fields = Runs(tmp_path / "runs"), {"momentum": 0.5, "learning_rate": 0.02, "lr_decay": 0.9, "decay_every": 2}
    fields |= {"batch_size": 16, "bootstrap": True, "interim_test": 10, "seed": 3, "data_seed": 4}
    spec = RUN_SPEC.replace(**fields, evaluation="probe", keep=("weight_quantiles",))
    runs.path(spec).mkdir(parents=True)
    (runs.path(spec) / "spec.json").write_text(spec.to_json())
    (runs.path(spec) / "curve.csv").write_text("of a run whose checkpoint is lost")
    words = [*RUN, "--momentum", 0.5, "--lr", 0.02, "--lr-decay", 0.9, "--decay-every", 2, "--batch-size", 16]
    words += ["--bootstrap", "--interim-test", 10, "--seed", 3, "--data-seed", 4, "--evaluation", "probe"]
    words += ["--keep", "weight_quantiles", "--precision", "float32", "--anew", "--weights", tmp_path / "weights"]
    done = cli(*words, "--runs", runs.root, "--data-dir", toy_dir)
    assert done.returncode == 0, done.stderr
    assert runs.find(spec)
    assert [path.parent.name for path in tmp_path.rglob("weights.safetensors")] == [spec.run_id]
    assert (tmp_path / "weights" / spec.run_id / "weights.safetensors").is_file()


def test_the_list_of_archived_records_is_explained():
    said = " ".join(cli("prune", "--help").stdout.split())
    assert "A run that runs/ARCHIVE names, one a line, is always kept." in said
    assert "and no kept probe measures, is left alone unless --unreferenced is given" in said
    page = " ".join((Path(__file__).parents[1] / "docs" / "commands.md").read_text("utf-8").split())
    assert "nor a run that `runs/ARCHIVE` names, one a line, though no figure is of it" in page


def test_digest_binds_the_list_of_archived_records_once(tmp_path):
    (tmp_path / "ARCHIVE").write_text("cifar10-once\n")
    bound = ("digest", "--runs", tmp_path)
    assert cli(*bound).stdout == f"{tmp_path / 'DIGESTS'}: 1 lines written\n"
    assert cli(*bound).stdout == "all is bound already\n"
    assert (tmp_path / "DIGESTS").read_text().endswith("  ARCHIVE\n")


NETWORK = '''"""One linear layer, of no paper."""

from torch import nn

from rethinking.layers import Linear


def build(num_classes=10, in_channels=3, image_size=28):
    return nn.Sequential(nn.Flatten(), Linear(in_channels * image_size**2, num_classes))
'''


def test_bench_times_a_network_of_no_paper_beside_plain_loops(found, monkeypatch):
    """Each in a session of its own, which a terminal's Ctrl-C does not reach."""
    found(models__mine=NETWORK)
    monkeypatch.setattr(bench, "ROUND", 0.01)
    alone, steps = [], bench._Loop.steps

    def noted(loop, count):
        alone.append(os.getsid(loop.process.pid) == loop.process.pid)
        return steps(loop, count)

    monkeypatch.setattr(bench._Loop, "steps", noted)
    done = cli("bench", "--model", "mine", "--rounds", 1, "--precision", "float32", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert alone == [True] * 12
    assert told["networks"]["mine"]["vs_textbook"] > 0
    assert bench.table(told).splitlines()[-1].startswith("mine  ")


def test_a_record_is_compared_with_a_new_run_or_with_one_of_another_folder(runs, toy_dir):
    """Of another folder without training, as one of a GPU with its like of a CPU."""
    (file,) = runs.glob("toy-64-*/spec.json")
    there = shutil.copytree(runs, runs.parent / "there")
    words = ("run", "--spec", file, "--compare", "--device", "cpu", "--runs", runs)
    assert "has no record in" in one_line(cli(*words, "--with", runs.parent / "empty"))
    for more in (("--data-dir", toy_dir), ("--with", there, "--data-dir", runs / "nowhere")):
        same = cli(*words, *more)
        assert same.returncode == 0, same.stderr
        assert "the same curve, to the last bit" in same.stdout
    path = there / file.parent.name / "curve.csv"
    curve = list(csv.DictReader(path.read_text().splitlines()))
    moved = 1.0 if float(curve[1]["train_accuracy"]) < 0.5 else 0.0
    by, step = abs(moved - float(curve[1]["train_accuracy"])), curve[1]["step"]
    curve[1]["train_accuracy"] = str(moved)
    path.write_text("\n".join([",".join(curve[0]), *(",".join(row.values()) for row in curve)]) + "\n")
    result = json.loads(path.with_name("result.json").read_text())
    path.with_name("result.json").write_text(json.dumps(digests.sealed(result, path.parent)))
    other = cli(*words, "--with", there)
    assert other.returncode == 1
    assert f"training accuracy: at most {100 * by:.2f} points apart, at step {step}\n" in other.stdout
    assert "steps to 99 % training accuracy: " in other.stdout
    anew = cli(*words[:-1], there, "--data-dir", toy_dir)
    assert anew.returncode == 1
    assert f"from step {step} on another curve: train_accuracy " in anew.stdout
    assert anew.stdout.count("made by: commit ") == 2


def test_a_run_without_an_evaluation_is_told_to_be_waited_for_and_not_called_damaged(toy_runs, tmp_path):
    words = (*RUN, "--compare", "--runs", toy_runs, "--with", tmp_path)
    with leased(Runs(tmp_path), RUN_SPEC):
        told = one_line(cli(*words))
    path = Runs(tmp_path).path(RUN_SPEC)
    assert told == f"rethinking: {path} has no evaluation yet: wait until it has one, or name another --with"


def test_a_quiet_comparison_says_nothing_where_nothing_differs(toy_runs, toy_dir):
    done = cli(*RUN, "--compare", "--quiet", "--runs", toy_runs, "--data-dir", toy_dir)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


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
    assert execute(RUN_SPEC, runs, data_dir=str(toy_dir))


@pytest.mark.parametrize("option", ["--out", "--runs", "--checkpoints"])
@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nothing"])
def test_a_folder_that_cannot_be_written_is_said_before_anything_is_done(tmp_path, monkeypatch, option, place):
    """The data, too, is fetched only after that."""
    monkeypatch.setattr("rethinking.data.fetch", lambda *args, **options: pytest.fail("data was fetched"))
    (tmp_path / "file").touch()
    there = {"--runs": tmp_path / "runs", "--out": tmp_path / "out", "--checkpoints": tmp_path / "checkpoints"}
    words = [word for pair in (there | {option: tmp_path / place}).items() for word in pair]
    done = cli("figure", "toyfig", "--device", "cpu", "--data-dir", tmp_path / "data", *words)
    assert f"cannot write to {tmp_path / place}" in one_line(done)
    assert f"name another with {option}" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_runs_that_the_disk_has_no_room_for_are_refused_before_training(tmp_path, monkeypatch):
    free = 4 * 1_209_866 * (1 + 4)  # bytes: a run's weights, and twice a checkpoint, with momentum
    usage = shutil.disk_usage(tmp_path)
    words = ("run", "--model", "mlp-1x512", "--device", "cpu", "--runs", tmp_path / "runs", "--data-dir", tmp_path)
    monkeypatch.setattr("rethinking.data.fetch", lambda *args, **options: pytest.fail("data was fetched"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free - 1))
    assert "1 runs take 24.2 MB on the disk of" in one_line(cli(*words))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
    with pytest.raises(pytest.fail.Exception, match="data was fetched"):
        cli(*words)


def test_more_workers_than_memory_holds_are_said_before_training(monkeypatch):
    specs = [RunSpec(seed=k) for k in range(4)]
    monkeypatch.setattr(checks, "free_memory", lambda: int(2.5 * checks.WORKER_MEMORY))
    options = {"device": "cpu", "workers": 4}
    (line,) = checks.before_training(specs, Runs("runs"), **options, count=4)
    assert "4 workers take up to 8.4 GB of memory, 5.2 GB are free: those beyond 2 may be killed" in line
    assert checks.before_training(specs, Runs("runs"), **options, count=2) == []


def test_no_network_and_no_data(tmp_path):
    done = cli(
        "run", "--data", "nowhere", "--model", "tiny", "--device", "cpu", "--data-dir", tmp_path, "--runs", tmp_path
    )
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 2
    assert "nowhere could not be had" in line
    assert "no network" in line
    assert "Traceback" not in done.stderr


def test_a_damaged_record_is_named_before_training(runs):
    curve = next(runs.glob("toy-64-*/curve.csv"))
    curve.write_text(curve.read_text()[:100])
    assert "curve.csv" in one_line(cli(*RUN, "--runs", runs))
    assert len(curve.read_text()) == 100


def test_prune_asks_keeps_what_figures_need_and_sweeps_what_no_run_accounts_for(runs):
    name, checkpoints = RunSpec(n=100, steps=20).run_id, runs.parent / "checkpoints"
    (runs / "thesis").mkdir()
    (runs / "thesis" / "spec.json").write_text('{"n": 100}')  # a spec, but of no run of that name
    half, stray = runs / ".DIGESTS.rethinking-x1y2z3a4", checkpoints / name / "checkpoint.safetensors"
    stray.parent.mkdir(parents=True)
    half.write_text("half")
    safetensors.numpy.save_file({"step": np.array(3)}, stray, {"notes": json.dumps({"runs": str(runs.resolve())})})
    for path in (half, stray, stray.parent):
        os.utime(path, (0, 0))

    def there():
        return sorted(path.name for path in runs.iterdir() if path != half)

    def prune(*words, **options):
        done = cli("prune", *words, "--runs", runs, "--checkpoints", checkpoints, "--out", runs.parent, **options)
        return done.stdout.splitlines()

    before, weights = there(), list(runs.glob("*/weights.safetensors"))
    refused = prune("--unreferenced", stdin="n\n")
    assert any("unreferenced  toy-64-tiny" in line for line in refused)
    assert "  kept, not a run: thesis" in refused
    assert there() == before
    nobody = cli(
        "prune", "--unreferenced", "--runs", runs, "--checkpoints", checkpoints, "--out", runs.parent, stdin=""
    )
    assert nobody.returncode == 2
    assert re.search(
        r"delete .* runs.* got no answer, as standard input is at its end: give --yes$", nobody.stderr.strip()
    )
    assert there() == before
    assert prune("--weights", "--yes")[-1] == f"deleted the weights of {len(weights)} runs"
    assert len(weights) == len(before) - 1  # all but thesis
    assert not any(path.exists() for path in weights)
    assert half.exists()
    *listed, last = prune("--yes")
    assert {f"  checkpoint    {name}", "  half-written  .DIGESTS.rethinking-x1y2z3a4"} <= set(listed)
    assert "  kept: 1 runs, unreferenced: give --unreferenced" in listed
    assert last == "deleted 1 half-written files and 1 checkpoints without a run"
    assert not half.exists() | stray.parent.exists()
    assert there() == before
    assert prune("--yes", "--unreferenced")
    assert there() == [n for n in before if not n.startswith("toy-64")]


def test_a_run_that_cannot_be_leaves_nothing_behind(toy_dir, tmp_path):
    done = cli(*RUN, "--regularize", "group_norm=7", "--data-dir", toy_dir, "--runs", tmp_path / "runs")
    assert done.returncode == 2
    assert "group_norm cannot go with batch normalization" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "runs").iterdir())


def test_a_thing_is_described_with_its_options():
    told = cli("list", "regularizers", "dropout").stdout
    assert "Srivastava et al. 2014" in told
    assert "rate in [0, 1): probability of dropping a unit; default 0.5; null 0.0; practice 0.5" in told
    assert "unknown regularizer 'drop'" in one_line(cli("list", "regularizers", "drop"))
    assert cli("list", "networks").stdout == cli("list", "models").stdout
    assert cli("list", "datasets").stdout == cli("list", "data").stdout


def test_the_bare_command_is_its_help():
    for words in ((), ("data",)):
        bare, told = cli(*words), cli(*words, "--help")
        assert (bare.returncode, bare.stdout) == (0, told.stdout)


def test_facts_are_told_as_json_too(runs, toy_dir):
    """Strict JSON that says what the lines say."""
    data, where, home = ("--data-dir", toy_dir), ("--runs", runs), runs.parent
    out = ("--out", home / "out")

    def facts(*words, status=0):
        done = cli(*words, "--json")
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))

    assert facts("list", "regularizers", "dropout")["regularizers"]["dropout"]["options"]["rate"]["lt"] == 1
    assert facts("data", "where", "toy", *data) == {"name": "toy", "folder": str(toy_dir / "toy"), "exists": True}
    assert facts("data", "check", "toy", *data) == {"toy": {"folder": str(toy_dir / "toy"), "right": True}}
    planned = facts("plan", "toyfig", "--device", "cpu", "--runs", home / "none", "--data-dir", home)
    assert planned["to_train"] == 4
    told = cli("plan", "toyfig", "--runs", home / "none", "--data-dir", toy_dir, "--device", "cpu").stdout
    assert "4 runs, 4 to train" in told
    assert "would be fetched" not in told
    assert planned["data_to_fetch"] == ["toy"]
    assert not any(run["complete"] for run in planned["runs"])
    assert not (home / "none").exists()
    (drawn,) = facts("figure", "toyfig", "--device", "cpu", "--quiet", "--format", "png", *data, *where, *out)
    assert drawn["files"] == [str(home / "out" / f"toyfig-quick.{form}") for form in ("png", "json")]
    assert [claim["verdict"] for claim in drawn["claims"]] == ["holds", "not judged"]
    assert facts("plan", "toyfig", "--device", "cpu", *where, *data)["to_train"] == 0
    assert facts("verify", *where, *out) == {"records": 5, "figures": 1, "pages": 0, "findings": []}
    (home / "out" / "toyfig-quick.png").unlink()
    assert "toyfig-quick.png is missing" in facts("verify", *where, *out, status=1)["findings"][0]
    readme = home / "README.md"
    readme.write_text(f"{report.BEGIN}\n{report.END}\n")
    (home / "nothing").mkdir()
    written = ("report", "--readme", readme, "--out", home / "nothing", *where)
    assert facts(*written, "--check", status=1) == {
        "readme": str(readme),
        "up_to_date": False,
        "written": False,
        "of_no_figure": [],
    }
    assert facts(*written) == {"readme": str(readme), "up_to_date": True, "written": True, "of_no_figure": []}
    assert facts(*written, "--check")["up_to_date"]


def test_figures_end_with_a_short_summary_quiet_says_nothing_and_old_pictures_are_drawn_again(runs):
    """So none is left that is of other records than the numbers beside it."""
    quiet = toyfig(runs, "--quiet", "--format", "png", "--dpi", "50")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    small = (runs.parent / "toyfig-quick.png").read_bytes()
    drawn = runs.parent / "toyfig-quick.json"
    assert json.loads(drawn.read_text())["digests"] == {"toyfig-quick.png": hashlib.sha256(small).hexdigest()}
    done = toyfig(runs, "theorem1", "--redraw")
    assert (runs.parent / "toyfig-quick.png").read_bytes() != small  # at 300 dots
    assert {path.suffix for path in runs.parent.glob("toyfig-quick.*")} == {".svg", ".pdf", ".png", ".json"}
    held = json.loads(drawn.read_text())["digests"]
    pictures = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in runs.parent.glob("toyfig-quick.[!j]*")}
    assert held == pictures
    last = [line.split(maxsplit=1) for line in done.stdout.splitlines()[-3:]]
    assert last[0] == ["toyfig-quick", "1 holds, 1 not judged"]
    assert last[1][0] == "theorem1-quick"
    assert re.search(r"\d+ not run.*, \d+ runs missing$", last[1][1])
    root = plotting.svg_of((runs.parent / "theorem1-quick.svg").read_bytes())
    lines = ["".join(line.itertext()) for line in root.iter("{http://www.w3.org/2000/svg}text")]
    finding = figures.headline(json.loads((runs.parent / "theorem1-quick.json").read_text()))
    assert finding in " ".join(lines)  # words of an .svg are text
    assert last[2][0] == "in"


@pytest.mark.parametrize(
    ("words", "incomplete", "found"),
    [
        (["list"], "regul", {"regularizers"}),
        (["list"], "net", {"networks"}),
        (["list", "networks"], "mlp", {"mlp-1x512", "mlp-3x512"}),
        (["run", "--corruption"], "part", {"partial_labels"}),
        (["run", "--stop"], "", {"fitted", "budget"}),
        (["run", "--precision"], "a", {"auto"}),
        (["figure", "--scale"], "", {"quick", "cpu", "paper"}),
        (["figure"], "al", {"all"}),
        (["show", "--runs", "RUNS"], "toy", {"toy-64-tiny-s0-af416fefe1"}),
    ],
)
def test_names_are_completed(tmp_path, words, incomplete, found):
    (tmp_path / "toy-64-tiny-s0-af416fefe1").mkdir()
    (tmp_path / "toy-64-tiny-s0-af416fefe1" / "result.json").touch()
    words = [str(tmp_path) if word == "RUNS" else word for word in words]
    completion = ShellComplete(main, {}, "rethinking", "_RETHINKING_COMPLETE")
    assert {item.value for item in completion.get_completions(words, incomplete)} == found


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "xterm")])
def test_there_are_no_colours_where_none_are_wanted(monkeypatch, name, value):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    done = CliRunner().invoke(main, ["list", "data"], color=True)  # as on a terminal
    assert ("\x1b" in done.stdout) == (value == "xterm")


def test_the_source_distribution_holds_every_file_of_the_repository(tmp_path):
    root = Path(__file__).parents[1]
    git = ["git", "-C", root, "ls-files"]
    tracked = subprocess.run(git, capture_output=True, text=True, check=True).stdout.splitlines()
    words = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(tmp_path)]
    subprocess.run(words, cwd=root, check=True, capture_output=True)
    sources = (tmp_path / "rethinking.egg-info" / "SOURCES.txt").read_text().splitlines()
    assert set(tracked) - set(sources) == set()
    assert not [name for name in sources if name.endswith(".safetensors") or "claim-" in name]
