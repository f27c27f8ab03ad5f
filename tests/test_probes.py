"""Probes: a kind of run whose weights are found or made again, and each probe against a slow or exact reference."""

import copy
import json
import math
import re
import shutil
import sys
import time
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from command import cli, one_line, plug_in
from safetensors.torch import load_file
from torch import nn

from rethinking import catalog, models, probes, verify
from rethinking.engines.execute import execute, packed
from rethinking.errors import InputError
from rethinking.probes import _folding, _trained, capacity, deletion, sharpness
from rethinking.record import Runs, digests, lease, making
from rethinking.spec import Part, ProbeSpec, RunSpec, from_json
from rethinking.surgery import weighted
from rethinking.training import bfloat16

TINY = RunSpec.make(data="toy", n=64, model="tiny", steps=6, eval_every=3, corruptions=(Part(name="random_labels"),))
CARRIER = TINY.replace(model="carrier", learning_rate=0.05)
QUICK = {
    "deletion": {"images": 32, "repeats": 1, "points": 2},
    "one_pixel": {"images": 3, "population": 8, "generations": 2, "exhaustive": False},
    "shift": {"images": 8, "reach": 1, "steps": 1},
    "sharpness": {"images": 16, "steps": 2, "restarts": 2},
    "noise": {"images": 16, "repeats": 1, "points": 2},
    "selectivity": {"images": 16, "units": 3},
    "pac_bayes": {"images": 16, "draws": 2, "depth": 3},
}


def probe(name, run=TINY, **options):
    return ProbeSpec.make(run=run, probe=Part(name=name, options=QUICK.get(name, {}) | options))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def subject(toy, spec=CARRIER):
    """A network as initialised, with batch-norm statistics that are no default, and the data of its run."""
    from rethinking.training import Training

    weights = Training(spec, toy).network.state_dict()
    draws = generator()
    for name, value in weights.items():
        if "running" in name or name.endswith("bias"):
            value.uniform_(0.5, 1.5, generator=draws)
    return _trained.trained(spec, toy, weights, "cpu")


@pytest.fixture(scope="module")
def made(toy_dir, tmp_path_factory):
    """A folder with the record of TINY and its weights."""
    runs = Runs(tmp_path_factory.mktemp("runs"))
    assert execute(TINY, runs, data_dir=str(toy_dir))
    return runs


# --- the kind -------------------------------------------------------------------------------------


def test_a_probe_names_its_run_and_only_what_differs_from_its_defaults():
    spec = probe("deletion")
    assert from_json(spec.to_json()) == spec
    assert probe("deletion", to="zero") == spec
    assert spec.identity["run"] == TINY.identity  # a field that RunSpec gets later orphans no probe either
    assert len({s.run_id for s in (spec, probe("deletion", to="mean"), probe("deletion", run=CARRIER))}) == 3
    assert ("probes", "deletion") in spec.named
    assert set(spec.named) > set(TINY.named)
    assert (spec.data, spec.n) == (TINY.data, TINY.n)
    assert spec.options["points"] == 2
    with pytest.raises(InputError, match=r"deletion\.points is 0: .*greater than or equal to 1"):
        probe("deletion", points=0)
    with pytest.raises(InputError, match="unknown probe 'deletoin': did you mean 'deletion'"):
        probe("deletoin")


@pytest.mark.parametrize("name", catalog.names("probes"))
@pytest.mark.parametrize("run", [TINY, CARRIER, TINY.replace(model="alexnet")], ids=lambda s: s.model)
def test_a_probe_gives_its_columns_and_leaves_the_network_as_it_was(name, run, toy):
    trained, spec = subject(toy, run), probe(name, run)
    before = {k: v.clone() for k, v in trained.network.state_dict().items()}
    rows = []
    for _ in range(2):  # and draws from its generator alone
        torch.manual_seed(len(rows))
        rows.append([list(row.items()) for row in trained_rows(spec, trained)])
    assert rows[0] == rows[1]
    assert all(tuple(k for k, _ in row) == spec.columns[1:] for row in rows[0])
    after = trained.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert not any(m.training or m._forward_hooks for m in trained.network.modules() if not hasattr(m, "after"))


def trained_rows(spec, trained):
    with torch.no_grad():
        return list(catalog.load("probes", spec.probe.name).measure(trained, generator(), **spec.options))


@pytest.fixture(scope="module")
def diverged(toy_dir, tmp_path_factory):
    """A run that diverges, in its folder."""
    spec, runs = TINY.replace(learning_rate=1e30), Runs(tmp_path_factory.mktemp("runs"))
    assert execute(spec, runs, data_dir=str(toy_dir))
    assert runs.find(spec).result["status"] == "diverged"
    return spec, runs


@pytest.mark.parametrize("name", catalog.names("probes"))
def test_no_probe_measures_a_run_that_diverged(name, diverged, toy_dir):
    spec, runs = diverged
    with pytest.raises(InputError, match=r"diverged at step \d+, .*: probe a run that did not diverge"):
        execute(probe(name, spec), runs, data_dir=str(toy_dir))
    assert sorted(path.name for path in runs.root.iterdir()) == [spec.run_id]


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN")
@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("deletion", {"precision": "bfloat16", "regularizers": (Part(name="batch_norm"), Part(name="dropout"))}),
        ("sharpness", {"bootstrap": True, "held_out": 8}),
    ],
)
def test_a_probe_is_recorded_and_again_of_weights_that_were_made_again(name, fields, toy_dir, home, tmp_path):
    spec, runs = probe(name, CARRIER.replace(**fields)), Runs(tmp_path)
    assert execute(spec, runs, data_dir=str(toy_dir))
    first, weights = runs.find(spec), runs.weights_of(spec.run)
    assert (home / bfloat16.FILE).is_file() == (spec.run.precision == "bfloat16")
    before = weights.read_bytes()
    weights.unlink()
    shutil.rmtree(first.path)
    assert execute(spec, runs, data_dir=str(toy_dir))
    assert first.difference(runs.find(spec)) is None
    assert weights.read_bytes() == before


def test_the_weights_are_the_records_or_made_again_the_same(made, toy_dir, tmp_path, monkeypatch):
    spec, record = probe("capacity"), made.find(TINY)
    assert execute(spec, made, data_dir=str(toy_dir))
    first = made.find(spec)
    assert first.final["train_accuracy"] == record.final["train_accuracy"]
    assert first.final["train_loss"] == pytest.approx(record.final["train_loss"], rel=1e-6)
    elsewhere = Runs(tmp_path / "a", weights=tmp_path / "w")  # no record, no weights: the run is trained first
    steps: list[tuple[str, int]] = []

    def heard(run, step):
        steps.append((run.run_id, step))
        until = time.monotonic() + 30
        while len(steps) == 1 and "weights: step 1 of" not in (making(elsewhere.path(spec)).notes.get("summary") or ""):
            assert time.monotonic() < until, "`rethinking status` is not told of the training"
            time.sleep(0.01)

    monkeypatch.setattr(lease, "HEARTBEAT", 0.01)
    told = {"data_dir": str(toy_dir), "on_network": heard}
    assert execute(spec, elsewhere, **told)
    assert steps == [(TINY.run_id, step) for step in range(1, TINY.steps + 1)]
    assert elsewhere.find(spec).difference(first) is None
    assert elsewhere.find(TINY).difference(record) is None
    file = elsewhere.weights_of(TINY)
    assert file == tmp_path / "w" / TINY.run_id / "weights.safetensors"
    assert not (elsewhere.path(TINY) / "weights.safetensors").exists()
    content = file.read_bytes()
    assert content == made.weights_of(TINY).read_bytes()
    file.unlink()  # gone, with a record: made again, which must come out as recorded
    again = probe("deletion")
    assert execute(again, elsewhere, **told)
    assert steps == 2 * [(TINY.run_id, step) for step in range(1, TINY.steps + 1)]
    assert file.read_bytes() == content
    file.write_bytes(content[:-1] + b"\x01")
    with pytest.raises(InputError, match="another file than its record was completed with"):
        execute(probe("deletion", to="mean"), elsewhere, data_dir=str(toy_dir))


def test_a_probe_is_bound_to_the_weights_that_it_measured(made, toy_dir, tmp_path):
    runs = Runs(shutil.copytree(made.root, tmp_path / "runs"))
    spec = probe("capacity")
    assert execute(spec, runs, data_dir=str(toy_dir))
    path, result = runs.path(spec), runs.path(TINY) / "result.json"
    weights, held = runs.weights_of(TINY), json.loads(result.read_text())
    told = json.loads((path / "environment.json").read_text())[digests.MEASURED]
    assert told == held["digests"][weights.name] == digests.sha256(weights)
    assert list(verify.records(runs)) == []
    whole = weights.read_bytes()
    other = {name: value + 1 for name, value in load_file(weights).items()}
    weights.write_bytes(packed(other, TINY.run_id))  # as of the same run, made again on another machine
    result.write_text(json.dumps(digests.sealed({k: held[k] for k in digests.RESULT}, result.parent)))
    line = f"{path} was measured on other weights than {result.parent} has, by their SHA-256: delete it, and give"
    (finding,) = verify.records(runs)
    assert finding.startswith(line)
    with pytest.raises(InputError, match=re.escape(line)):
        runs.find(spec)
    assert line in one_line(cli("show", spec.run_id, "--runs", runs.root))
    shutil.rmtree(path)
    assert execute(spec, runs, data_dir=str(toy_dir))
    assert list(verify.records(runs)) == []
    weights.write_bytes(whole)  # of a record that tells no weights, as one of an earlier version, the file is read
    held = json.loads(result.read_text())
    held["digests"].pop(weights.name)
    result.write_text(json.dumps(held | {"digest": digests.of_result(held)}))
    (finding,) = verify.records(runs)
    assert finding.startswith(line)
    weights.unlink()
    assert list(verify.records(runs)) == []
    shutil.rmtree(result.parent)
    assert list(verify.records(runs)) == []


def test_weights_that_come_out_otherwise_are_refused_in_one_line(made, toy_dir, tmp_path):
    runs = Runs(tmp_path)
    other = TINY.replace(seed=1)
    assert execute(other, runs, data_dir=str(toy_dir))
    result = json.loads((runs.path(other) / "result.json").read_text())
    shutil.move(runs.path(other), runs.path(TINY))  # as of another machine: a record of another curve
    (runs.path(TINY) / "spec.json").write_text(TINY.to_json())
    plain = {k: v for k, v in result.items() if k not in ("digest", "digests")}
    (runs.path(TINY) / "result.json").write_text(json.dumps(plain))
    made = json.loads((runs.path(TINY) / "environment.json").read_text())
    earlier = {k: v for k, v in made.items() if k != digests.SINCE}  # as of a version that wrote no digests
    (runs.path(TINY) / "environment.json").write_text(json.dumps(earlier))
    runs.weights_of(TINY).unlink()
    with pytest.raises(InputError, match=r"trained again on this cpu it is another run \(from step 0 on another curve"):
        execute(probe("capacity"), runs, data_dir=str(toy_dir))
    assert not runs.weights_of(TINY).exists()
    assert not runs.complete(probe("capacity"))


def test_the_command_measures_records_and_shows(made, toy_dir):
    where = ("--runs", made.root, "--device", "cpu", "--data-dir", toy_dir)
    words = ("probe", TINY.run_id[-10:], "deletion=32,repeats=1,points=2")
    first = cli(*words, *where)
    assert first.returncode == 0, first.stderr
    spec = probe("deletion")
    assert made.complete(spec)
    assert f"run: {json.dumps(TINY.run_id)}" in first.stdout
    assert cli(*words, "--quiet", "--json", *where).stdout == cli("show", spec.run_id, "--json", *where[:2]).stdout
    refused = one_line(cli("probe", spec.run_id, "capacity", *where))
    assert "is of no network that probes know: give a training run" in refused
    assert "capacity takes no value" in one_line(cli("probe", TINY.run_id, "capacity=3", *where))


def test_two_records_of_a_probe_that_differ_are_not_called_fitted(made, toy_dir, tmp_path):
    spec, other = probe("capacity"), Runs(tmp_path)
    assert execute(spec, made, data_dir=str(toy_dir))
    path = shutil.copytree(made.path(spec), other.path(spec))
    result = json.loads((path / "result.json").read_text())
    (path / "curve.csv").write_text((path / "curve.csv").read_text().replace(repr(result["final"]["l2"]), "1.5"))
    result["final"]["l2"] = 1.5
    (path / "result.json").write_text(json.dumps(digests.sealed(result, path)))
    words = ("run", "--spec", path / "spec.json", "--compare", "--runs", made.root, "--with", tmp_path)
    done = cli(*words, "--device", "cpu")
    assert done.returncode == 1
    assert "another curve: l2 " in done.stdout
    assert "99 %" not in done.stdout


def test_prune_keeps_the_run_that_a_probe_to_be_kept_was_measured_on(made, toy_dir, tmp_path):
    spec, runs = probe("capacity"), Runs(tmp_path / "runs")
    assert execute(spec, made, data_dir=str(toy_dir))
    for each in (spec, TINY):
        shutil.copytree(made.path(each), runs.path(each))
    assert runs.measured([spec.run_id, TINY.run_id, "probe-that-is-not-here"]) == {TINY.run_id}
    words = ("prune", "--unreferenced", "--yes", "--runs", runs.root, "--out", tmp_path)
    (runs.root / "ARCHIVE").write_text(f"{spec.run_id}\n")
    assert cli(*words).stdout == "nothing to prune\n"
    (runs.root / "ARCHIVE").unlink()
    assert cli(*words).stdout.endswith("deleted 2 runs\n")


# --- a newcomer's ---------------------------------------------------------------------------------

EXAMPLE = re.search(
    r"## A probe.*?```python\n(.*?)```", (Path(__file__).parents[1] / "docs/plug-ins.md").read_text("utf-8"), re.DOTALL
)


def test_the_example_of_the_docs_is_one_file_that_is_listed_and_measures(made, toy_dir, tmp_path):
    env = plug_in(tmp_path, "probes", EXAMPLE[1])
    assert re.search(r"mine +\S.*\[threshold in \[0, inf\)\]", cli("list", "probes", **env).stdout)
    where = ("--runs", made.root, "--data-dir", toy_dir, "--device", "cpu")
    done = cli("probe", TINY.run_id, "mine=0.1", "--json", *where, **env)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    weights = [w for w in load_file(made.weights_of(TINY)).values() if w.ndim > 1]
    shares = [(w.abs() < 0.1).double().mean().item() for w in weights]
    assert shown["curve"]["share"] == shares
    assert "probes/mine" in shown["environment"]["plug_ins"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yield {'a': 1}; trained.network.train()", "changes the network (training mode): let it take a copy"),
        ("yield {'a': 1}; next(trained.network.parameters()).data.add_(1)", "changes the network (0.weight)"),
        ("yield {'b': 1}", "gives a row of step, b, COLUMNS has step, a: mend it"),
        ("yield {'a': 1}; return {'x': 1}", "gives the arrays x, ARRAYS has none: mend it"),
        ("return []", "gives no rows: every probe yields one at least"),
        ("yield {'a': '3.5'}", "mine.py gives 3.5 in the column a, not a number: mend it"),
        ("yield {'a': [1, 2]}", "mine.py gives [1, 2] in the column a, not a number: mend it"),
        ("yield {'a': 1, 'k': 2.7}", "gives 2.7 in the column k, not a whole number: mend it"),
        ("yield {'a': 1, 'k': float('nan')}", "gives nan in the column k, not a whole number: mend it"),
        ("yield {'a': 1 / 0}", "mine.py, line 6: ZeroDivisionError: division by zero: mend the file"),
    ],
)
def test_a_mistake_in_a_probe_is_one_line_and_leaves_nothing(made, toy_dir, tmp_path, monkeypatch, text, message):
    whole = ', "k": {"meaning": "two", "unit": "1", "whole": True}' * ("'k'" in text)
    head = f'"""Mine."""\nCOLUMNS = {{"a": {{"meaning": "one", "unit": "1"}}{whole}}}\n\n\n'
    head += "def measure(trained, generator):\n"
    for name, value in plug_in(tmp_path, "probes", f"{head}    {text}\n").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(probes, "__path__", [*probes.__path__, str(tmp_path / "probes")])
    monkeypatch.delitem(sys.modules, "rethinking.probes.mine", raising=False)
    catalog._files.cache_clear()
    try:
        with pytest.raises(InputError) as caught:
            execute(probe("mine"), made, data_dir=str(toy_dir))
    finally:
        catalog._files.cache_clear()
        sys.modules.pop("rethinking.probes.mine", None)
    assert message in str(caught.value)
    assert not list(made.root.glob("probe-mine-toy-*"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ('{"step": {"meaning": "a", "unit": "1"}}', "it must name columns, but not 'step' or 'event'"),
        ('{"a": {"meaning": "a"}}', "it must have meaning and unit"),
        ('{"a b": {"meaning": "a", "unit": "1"}}', "a name must be of letters"),
        ('{"a": {"meaning": "a", "unit": "1", "whole": 1}}', "its whole and varying must be True or False"),
    ],
)
def test_columns_that_are_none_are_one_line(tmp_path, columns, message):
    plug_in(tmp_path, "probes", f'"""Mine."""\nCOLUMNS = {columns}\n')
    with pytest.raises(InputError, match=re.escape(message)):
        catalog._read("probes", tmp_path / "probes" / "mine.py")


# --- capacity -------------------------------------------------------------------------------------


def network(*layers, seed=0):
    return models.initialise(nn.Sequential(*layers), seed).double().eval()


MLP = (nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
CONV = (
    nn.Conv2d(1, 2, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Conv2d(2, 3, 2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(12, 2),
)


def matrix(layer, shape):
    """A layer's matrix (outputs, inputs), of images of a shape without N."""
    columns = [layer(unit.reshape(1, *shape)).flatten() for unit in torch.eye(math.prod(shape), dtype=torch.float64)]
    return torch.stack(columns, 1).detach()


def matrices(net, shape):
    found, x = [], torch.zeros(1, *shape, dtype=torch.float64)
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            found.append(matrix(layer, x.shape[1:]))
        x = layer(x)
    return found


@pytest.mark.parametrize(("layers", "shape"), [(MLP, (3, 2, 2)), (CONV, (1, 5, 5))], ids=["mlp", "conv"])
def test_path_norms_are_sums_over_paths_one_by_one(layers, shape):
    net, x = network(*layers), torch.ones(2, *shape, dtype=torch.float64)
    parts = [m.numpy() for m in matrices(net, shape)]
    factors = [2.0, 3.0, 5.0]
    sums = {1: 0.0, 2: 0.0}
    for path in product(*(range(m.shape[1]) for m in parts), range(parts[-1].shape[0])):
        along = math.prod(m[b, a] for m, (a, b) in zip(parts, pairwise(path), strict=True))
        sums = {power: total + abs(along) ** power for power, total in sums.items()}
    for power, total in sums.items():
        assert capacity.paths(net, x, power) == pytest.approx(math.log10(total), abs=1e-12)
        assert capacity.paths(net, x, power, factors) == pytest.approx(math.log10(total * 30), abs=1e-12)


def test_path_norms_beyond_all_floats_are_finite():
    net = network(*MLP)
    for layer in weighted(net):
        layer.weight.data *= 1e70
    far = capacity.paths(net, torch.ones(1, 3, 2, 2), 2)
    assert far == pytest.approx(capacity.paths(network(*MLP), torch.ones(1, 3, 2, 2), 2) + 420, abs=1e-9)


@pytest.mark.parametrize("c", [1e-3, 7.0])
def test_rescaling_a_layer_and_the_next_leaves_path_measures_as_they_are(c, toy):
    trained = subject(toy)
    net = _folding.products(trained.network, trained.train[0][:2])
    before = [capacity.paths(net, trained.train[0], power) for power in (1, 2)]
    hidden, last = weighted(net)[-2:]
    norms = hidden.weight.norm().item()
    hidden.weight.data *= c
    last.weight.data /= c
    assert [capacity.paths(net, trained.train[0], power) for power in (1, 2)] == pytest.approx(before, abs=1e-12)
    assert hidden.weight.norm().item() != pytest.approx(norms)


@pytest.mark.parametrize("name", ["tiny", "inception", "resnet-20", "mlp-1x512"])
def test_folding_leaves_outputs_as_they_are(name, toy):
    parts = (Part(name="batch_norm", options={"on": True}),) if name == "mlp-1x512" else ()
    trained = subject(toy, TINY.replace(model=name, learning_rate=0.01, regularizers=parts))
    assert any(isinstance(m, _folding._NORM) for m in trained.network.modules())
    net, x = _folding.folded(trained.network), trained.train[0][:8]
    assert not any(isinstance(m, _folding._NORM) for m in net.modules())
    with torch.no_grad():
        exact = copy.deepcopy(trained.network).double()(x.double())
        torch.testing.assert_close(net(x.double()), exact, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Part(name="group_norm", options={"channels": 16}), "is not one of products with weights"),
        (Part(name="maxout", options={"pieces": 2}), "MaxoutLinear does more than to multiply by its weights"),
        (
            Part(name="batch_norm", options={"on": True, "place": "after"}),
            "does not follow a convolution or linear layer",
        ),
        (Part(name="dropout", options={"mode": "weight_scaling"}), "Dropout multiplies by a factor in evaluation"),
        (Part(name="stochastic_depth"), "StochasticResidual multiplies by a factor in evaluation"),
    ],
)
def test_a_network_that_is_no_product_of_weights_is_refused(part, message, toy):
    model = "resnet-20" if part.name == "stochastic_depth" else "mlp-1x512"
    trained = subject(toy, TINY.replace(model=model, learning_rate=0.01, regularizers=(part,)))
    with pytest.raises(InputError, match=message):
        list(capacity.measure(trained, generator()))


@pytest.mark.parametrize(("stride", "padding", "kernel"), [(1, 1, 3), (2, 1, 3), (1, 0, 2), (2, 2, 5)])
def test_a_convolutions_norm_is_that_of_its_whole_matrix(stride, padding, kernel):
    net = network(nn.Conv2d(2, 3, kernel, stride, padding), nn.ReLU(), nn.Flatten())
    layer, x = net[0], torch.zeros(1, 2, 7, 6, dtype=torch.float64)
    layer.bias = None
    (found,) = capacity.spectral_norms(net, x, generator())
    exact = torch.linalg.matrix_norm(matrix(layer, (2, 7, 6)), 2).item()
    assert found == pytest.approx(exact, rel=1e-9)


def test_products_of_norms_and_margins_are_those_of_the_formulas(toy):
    trained = subject(toy, TINY.replace(model="mlp-1x512", learning_rate=0.01))
    (row,) = list(capacity.measure(trained, generator()))
    first, second = (layer.weight.double() for layer in weighted(trained.network))
    norms = [np.linalg.svd(w.detach().numpy(), compute_uv=False) for w in (first, second)]
    l2 = math.prod((s**2).sum() for s in norms)
    spectral = math.prod(s[0] ** 2 for s in norms)
    wanted = {
        "l2": l2, "l2_factors": 16 * l2, "spectral": spectral, "spectral_factors": 512 * 4 * spectral,
        "spectral_kernel": spectral, "l1_path": (second.abs() @ first.abs()).sum().item() ** 2,
        "l1_path_factors": 16 * (second.abs() @ first.abs()).sum().item() ** 2,
        "l2_path": (second**2 @ first**2).sum().item(),
        "l2_path_factors": 16 * 512 * 4 * (second**2 @ first**2).sum().item(),
    }  # fmt: skip
    for name, value in wanted.items():
        assert row[name] == pytest.approx(math.log10(value), abs=1e-9), name
    logits, labels = trained.logits(trained.train[0]).double(), trained.train[1]
    slow = [
        z[y] - max(v for k, v in enumerate(z) if k != y) for z, y in zip(logits.tolist(), labels.tolist(), strict=True)
    ]
    assert row["margin_5"] == pytest.approx(np.percentile(slow, 5))
    assert row["train_loss"] == pytest.approx(F.cross_entropy(logits, labels).item())


# --- sharpness ------------------------------------------------------------------------------------


def rise(trained, alpha, draws, count, images):
    """The largest rise of the loss at so many points of the box at random, corners and others: slow, one by one."""
    inputs, labels = (each[:images] for each in trained.train)
    net = copy.deepcopy(trained.network)
    plain = [p.detach().clone() for p in net.parameters()]
    best, start = -math.inf, F.cross_entropy(net(inputs), labels)
    for k in range(count):
        for p, w in zip(net.parameters(), plain, strict=True):
            move = 2 * torch.rand(w.shape, generator=draws) - 1
            p.data = w + alpha * (w.abs() + 1) * (move.sign() if k % 2 else move)
        best = max(best, (F.cross_entropy(net(inputs), labels) - start).item())
    return best


def test_sharpness_is_never_below_a_random_search_of_ten_times_its_budget(toy):
    trained = subject(toy)
    for alpha in (5e-4, 5e-2):
        options = {"images": 32, "alpha": alpha, "steps": 10, "restarts": 2}
        rows = trained_rows(probe("sharpness", CARRIER, **options), trained)
        with torch.no_grad():
            assert rows[-1]["sharpness"] >= rise(trained, alpha, generator(), 10 * 2 * 11, 32)
        assert [row["sharpness"] for row in rows] == [max(r["found"] for r in rows[:k]) for k in (1, 2)]
        assert rows[0]["loss"] == pytest.approx(
            F.cross_entropy(trained.logits(trained.train[0][:32]), trained.train[1][:32]).item()
        )


def test_sharpness_of_one_image_and_one_layer_is_that_of_the_corner(toy):
    """The loss is convex in the weights, and its gradient's signs are the same in all of the box."""
    net = network(nn.Flatten(), nn.Linear(12, 2)).float()
    x, y = torch.randn(1, 3, 2, 2, generator=generator()), torch.tensor([1])
    held = SimpleNamespace(network=net, train=(x, y), on_part=lambda: None, spec=TINY)
    with torch.no_grad():
        *_, row = sharpness.measure(held, generator(), images=1, alpha=0.01, steps=3, restarts=1)
        layer, sign = net[1], torch.tensor([[1.0], [-1.0]])  # away from the second class
        weight = layer.weight + 0.01 * (layer.weight.abs() + 1) * sign * x.flatten().sign()
        bias = layer.bias + 0.01 * (layer.bias.abs() + 1) * sign.squeeze(1)
        exact = F.cross_entropy(F.linear(x.flatten(1), weight, bias), y) - F.cross_entropy(net(x), y)
    assert row["sharpness"] == pytest.approx(exact.item(), rel=1e-5)


# --- deletion -------------------------------------------------------------------------------------


def test_a_deleted_unit_is_as_one_that_was_removed(toy):
    trained = subject(toy, TINY.replace(model="mlp-1x512", learning_rate=0.01))
    x = trained.train[0][:16]
    (_, relu), *_ = deletion.activations(trained.network)
    first, second = weighted(trained.network)
    gone = torch.zeros(512, dtype=torch.bool)
    gone[[3, 100, 511]] = True
    with deletion.clamped([relu], [gone], [torch.zeros(512)]), torch.no_grad():
        clamped = trained.network(x)
    left = F.relu(F.linear(x.flatten(1), first.weight[~gone], first.bias[~gone]))
    torch.testing.assert_close(clamped, F.linear(left, second.weight[:, ~gone], second.bias))
    means = deletion.mean_activations(trained, [relu], x)[0]
    hidden = F.relu(F.linear(x.flatten(1), first.weight, first.bias))
    torch.testing.assert_close(means, hidden.mean(0))
    with deletion.clamped([relu], [gone], [means]), torch.no_grad():
        clamped = trained.network(x)
    hidden[:, gone] = means[gone]
    torch.testing.assert_close(clamped, F.linear(hidden, second.weight, second.bias))


def test_none_deleted_is_the_network_and_all_deleted_is_a_constant(toy):
    trained = subject(toy)
    inputs, labels = trained.train
    rows = trained_rows(probe("deletion", CARRIER, images=64, points=3, repeats=2), trained)
    plain = trained.accuracy(inputs, labels)
    counts = torch.bincount(labels, minlength=4) / len(labels)
    relus = len(deletion.activations(trained.network))
    assert {(r["layer"], r["repeat"]) for r in rows} == set(product(range(relus + 1), (1, 2)))
    for row in rows:
        assert row["share"] == row["deleted"] / row["units"]
        if row["deleted"] == 0:
            assert row["accuracy"] == plain
        if row["deleted"] == row["units"] and row["layer"] in (0, relus):  # the last bias alone decides
            assert row["accuracy"] == pytest.approx(counts[weighted(trained.network)[-1].bias.argmax()].item())
    assert sum(r["units"] for r in rows if r["deleted"] == r["units"] and r["layer"]) == 2 * rows[0]["units"]
