"""The laws that every regularizer in the folder obeys, that of docs/plug-ins.md included."""

import functools
import math
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toys import ALL, AUGMENTATION, CLASSES, broken_off, build, curve, gone_on, part, spec

import rethinking as rt
from rethinking import catalog, models
from rethinking.constants import FEATURES
from rethinking.engines.execute import execute
from rethinking.errors import InputError
from rethinking.precision import products
from rethinking.record import Runs
from rethinking.spec import Part, RunSpec, check_parts
from rethinking.spec.part import _options_model
from rethinking.training import Training, bfloat16
from rethinking.training.batches import permutation


@functools.cache
def carrier(name: str) -> str:
    """The first network, small ones first, that can carry it."""
    for model in dict.fromkeys(["carrier", "tiny", *catalog.names("models")]):
        try:
            network = models.build(model, CLASSES)
            check_parts((Part(name=name),), (), model, models.features(network))
            build(name, **part(name, "PRACTICE").options).network(network)
        except InputError:
            continue
        return model
    raise AssertionError(f"no network can carry {name}")


def on(name: str, which: str = "PRACTICE", **fields) -> RunSpec:
    return spec(part(name, which), model=carrier(name), **fields)


class Curves(dict):
    """Curves by key, each trained once, when first asked for."""

    def __init__(self, make, toy):
        self.make, self.toy = make, toy

    def __missing__(self, key: str) -> str:
        self[key] = curve(self.make(key), self.toy)
        return self[key]


@pytest.fixture(scope="module")
def plain(toy):
    """By network, without a regularizer."""
    return Curves(lambda model: spec(model=model), toy)


@pytest.fixture(scope="module")
def practised(toy):
    """By regularizer, at practice's strength."""
    return Curves(on, toy)


@pytest.fixture(scope="module")
def slower(toy):
    """The same at a smaller learning rate."""
    return Curves(lambda name: on(name, learning_rate=0.01), toy)


@pytest.mark.parametrize("name", ALL)
def test_null_is_bitwise_nothing_and_practice_is_not(toy, plain, practised, name):
    """And every weight that the networks with and without it share starts identical."""
    assert RunSpec.make(model=carrier(name), data="toy", regularizers=(part(name, "NULL"),)).regularizers == ()
    assert curve(on(name, "NULL"), toy) == plain[carrier(name)]
    assert practised[name] != plain[carrier(name)]
    assert "nan" not in practised[name].split("\n", 2)[2]  # it trained
    without = dict(Training(spec(model=carrier(name)), toy).network.named_parameters())
    with_it = dict(Training(on(name), toy).network.named_parameters())
    assert {k for k in without if k.endswith("weight")} <= set(with_it)
    assert all(torch.equal(without[k], with_it[k]) for k in set(without) & set(with_it))


def resumes(run, toy, whole):
    """Whether a run that was broken off ends as the whole one: gone on from its state, from a pickle, and itself.

    Evaluation changes nothing of it, and gives the same each time.
    """
    first, rows = broken_off(run, toy)
    before = first.state()
    again = first.evaluate()
    assert (again.train_loss, again.test_loss) == (rows[-1]["train_loss"], rows[-1]["test_loss"])
    after = first.state()
    assert all(torch.equal(before[k], after[k]) for k in before)  # weights, statistics, generator
    second, copied = Training(run, toy), pickle.loads(pickle.dumps(first))
    second.restore(before)
    first.train_step()  # they go on apart
    return gone_on(second, rows) == gone_on(copied, rows) == whole


@pytest.mark.parametrize("name", ALL)
def test_evaluation_changes_nothing_and_a_run_resumes_and_pickles_bitwise(toy, practised, name):
    assert resumes(on(name), toy, practised[name])


def choices() -> list[tuple[str, str, str]]:
    """Every (regularizer, option, word) that is not the default."""
    found = []
    for name in ALL:
        for key, limits in catalog.find("regularizers", name).constants["OPTIONS"].items():
            usual = part(name, "PRACTICE").options.get(key, limits.get("default"))
            null = catalog.find("regularizers", name).constants["NULL"].get(key)
            found += [(name, key, word) for word in limits.get("choices", ()) if word not in (usual, null)]
    return found


@pytest.mark.parametrize(("name", "key", "word"), choices())
def test_every_choice_is_deterministic_at_evaluation_and_resumes(toy, slower, name, key, word):
    options = part(name, "PRACTICE").options | {key: word}
    run = spec(Part(name=name, options=options), model=carrier(name), learning_rate=0.01)
    whole = curve(run, toy)
    assert resumes(run, toy, whole)
    assert whole != slower[name]


@pytest.mark.parametrize(("name", "key", "word"), [*((name, "", "") for name in ALL), *choices()])
def test_an_image_is_evaluated_alike_whatever_passes_with_it_but_for_the_masks_of_monte_carlo(toy, name, key, word):
    options = part(name, "PRACTICE").options | ({key: word} if key else {})
    training = Training(spec(Part(name=name, options=options), model=carrier(name)), toy)
    training.network.eval()
    whole, training._at_once = training.logits(training.train_images), 30
    assert torch.allclose(training.logits(training.train_images), whole, atol=1e-5) == (word != "monte_carlo")


def test_a_second_process_gives_the_same(toy_dir, practised):
    code = """
import pickle, sys
from rethinking import data
from rethinking.record import format_curve
from rethinking.training import train
folder, specs = pickle.load(sys.stdin.buffer)
toy = data.load("toy", folder)
curves = {name: format_curve([e.as_row() for e in train(spec, toy)]) for name, spec in specs.items()}
sys.stdout.buffer.write(pickle.dumps(curves))
"""
    given = pickle.dumps((toy_dir, {name: on(name, steps=8) for name in ALL}))
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, check=True)
    for name, begun in pickle.loads(done.stdout).items():
        assert practised[name].startswith(begun)  # another evaluation follows


@pytest.mark.parametrize("name", ALL)
def test_says_its_source_range_null_and_practice_and_refuses_what_is_out_of_range(name):
    entry = catalog.find("regularizers", name)
    module = entry.load()
    assert entry.summary.endswith(".")
    assert re.search(r"\b(19|20)\d\d\b|zhang2017", module.__doc__)
    assert "ractice" in module.__doc__
    options = entry.constants["OPTIONS"]
    assert set(entry.constants["NULL"]) | set(entry.constants["PRACTICE"]) <= set(options)
    assert next(iter(options)) in entry.constants["NULL"]  # what NAME=VALUE sets is the strength
    assert all("default" in v or k in entry.constants["PRACTICE"] for k, v in options.items())
    for key, limits in options.items():
        bad = [{"str": 1, "bool": 1, "int": 0.5, "float": "much"}[limits["type"]]]
        bad += ["nonsense"] if "choices" in limits else []
        kind = {"int": int, "float": float}.get(limits["type"])
        if kind:
            assert {"ge", "gt"} & set(limits), f"{key} has no lower end"
            bad += [kind(limits[k] - 1) for k in ("ge", "gt") if k in limits]
            bad += [kind(limits[k] + 1) for k in ("le", "lt") if k in limits]
            bad += [kind(limits[k]) for k in ("gt", "lt") if k in limits]
            bad += [math.nan, math.inf] if kind is float else []
        for value in bad:
            given = Part.model_construct(name=name, options=part(name, "PRACTICE").options | {key: value})
            with pytest.raises(InputError, match=rf"^{name}\.{key} is "):
                RunSpec.make(data="toy", model=carrier(name), regularizers=(given,))


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN")
@pytest.mark.parametrize("name", ALL)
def test_is_recorded_in_bfloat16_and_goes_on_to_the_same_record(toy, toy_dir, tmp_path, monkeypatch, name):
    """And the machine is tried once, with the network alone."""
    tried = []
    monkeypatch.setattr(bfloat16, "worst", lambda network, images: tried.append(str(network)) or (0.0, "no layer"))
    monkeypatch.setattr(bfloat16, "data_dir", lambda: tmp_path)
    whole, parts = Runs(tmp_path / "whole"), Runs(tmp_path / "parts")
    half = on(name).replace(steps=3, eval_every=1, precision="bfloat16", held_out=10, bootstrap=True)
    for runs, until in ((whole, None), (parts, 1), (parts, None)):
        assert execute(half, runs, data_dir=str(toy_dir), until=until)
        assert runs.complete(half) == (until is None)
    record = whole.find(half)
    assert record.difference(parts.find(half)) is None
    assert whole.weights_of(half).read_bytes() == parts.weights_of(half).read_bytes()
    assert [math.isfinite(row["train_loss"]) for row in record.rows] == [True] * 4
    weights = whole.weights_of(half)
    kept, content = rt.network(record).state_dict(), weights.read_bytes()
    weights.unlink()
    again = rt.network(record, data_dir=toy_dir, device="cpu", progress=False).state_dict()  # trained again, and kept
    assert all(torch.equal(kept[key], again[key]) and kept[key].isfinite().all() for key in kept | again)
    assert weights.read_bytes() == content
    assert tried == [str(Training(half.replace(regularizers=()), toy).network)]


def test_samples_count_only_where_masks_are_averaged():
    def named(**options) -> str:
        return RunSpec.make(regularizers=(Part(name="dropout", options={"rate": 0.5} | options),)).run_id

    assert named() == named(samples=7)
    assert named(mode="monte_carlo") != named(mode="monte_carlo", samples=7)


def test_an_option_that_came_late_orphans_no_run():
    late = [
        (name, key, limits["default"])
        for name in ALL
        for key, limits in catalog.find("regularizers", name).constants["OPTIONS"].items()
        if limits.get("late")
    ]
    assert ("batch_norm", "statistics", "measured") in late
    for name, key, default in late:
        told, untold = (
            RunSpec.make(model=carrier(name), data="toy", regularizers=(Part(name=name, options=options),))
            for options in (part(name, "PRACTICE").options | {key: default}, part(name, "PRACTICE").options)
        )
        assert told.run_id == untold.run_id
        assert key not in told.regularizers[0].options


def test_an_option_that_a_network_is_given_late_orphans_no_run_and_is_built_with_its_default(found):
    text = '''"""Mine."""

from torch import nn

VARIANTS = {"grown-2": {"width": 2}, "grown-3": {"width": 3}}
OPTIONS = {"width": {"type": "int", "ge": 1}}


def build(num_classes, in_channels, image_size, width, hidden=4):
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, width), nn.Linear(width, hidden))
'''
    found(models__grown=text)
    before = RunSpec.make(model="grown-3").run_id
    _options_model.cache_clear()
    option = '"width": {"type": "int", "ge": 1}'
    found(models__grown=text.replace(option, option + ', "hidden": {"type": "int", "default": 7, "late": True}'))
    plain, told, other = (
        RunSpec.make(model="grown-3", model_options=options)
        for options in ({}, {"hidden": 7}, {"hidden": 8, "width": 3})
    )
    assert plain.run_id == told.run_id == before
    assert (plain.model_options, other.model_options) == ({}, {"hidden": 8})
    widths = [models.build(run.model, **run.model_options)[-1].out_features for run in (plain, other)]
    assert widths == [7, 8]


def test_a_regularizer_knows_the_step_and_its_rate(toy):
    training = Training(spec(part("l1", "PRACTICE"), lr_decay=0.5, decay_every=2), toy)
    seen = []
    training.regularizers[0].after_step = lambda network: seen.append((training.run.step, training.run.rate))
    for _ in range(4):
        training.train_step()
    assert seen == [(0, 0.1), (1, 0.1), (2, 0.05), (3, 0.05)]
    assert training.regularizers[0].run is training.run


def test_a_stack_trains_and_resumes(toy):
    stack = tuple(
        part(name, "PRACTICE")
        for name in (
            "horizontal_flip", "rotation", "random_crop", "colour", "cutout", "mixup", "label_smoothing",
            "disturb_label", "dropout", "spatial_dropout", "backdrop", "stochastic_pooling", "stochastic_depth",
            "batch_norm", "weight_decay", "l1", "max_norm", "gradient_noise",
            "local_response_norm",
        )
    )  # fmt: skip
    run = spec(*stack, learning_rate=0.01)
    assert resumes(run, toy, curve(run, toy))


@pytest.mark.parametrize(
    ("model", "names", "message"),
    [
        ("mlp-1x512", ["stochastic_depth"], "needs residual blocks, mlp-1x512 has none: take resnet-20"),
        ("mlp-3x512", ["stochastic_pooling"], "stochastic_pooling needs pooling, mlp-3x512 has none: take alexnet or "),
        ("mlp-3x512", ["spatial_dropout"], "spatial_dropout needs convolutions"),
        ("alexnet", ["local_response_norm"], "cannot go with local response normalization, which alexnet has"),
        ("inception", ["dropconnect"], "dropconnect needs hidden linear layers"),
        ("inception", ["batch_norm"], "cannot go with batch normalization, which inception has: take alexnet"),
        ("resnet-20", ["maxout"], "maxout cannot go with residual blocks"),
        ("alexnet", ["maxout", "dropconnect"], "maxout cannot go with dropconnect, which changes what it works on"),
        ("alexnet", ["maxout", "stochastic_pooling"], "stochastic_pooling cannot go with maxout"),
        ("alexnet", ["batch_norm", "maxout"], "maxout cannot go with batch_norm"),
        ("alexnet", ["batch_norm", "group_norm"], "batch_norm cannot go with group_norm"),
        ("alexnet", ["dropconnect", "restricted_weights"], "dropconnect cannot go with restricted_weights"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_when_the_spec_is_made(model, names, message):
    with pytest.raises(InputError, match=message):
        RunSpec.make(model=model, regularizers=tuple(part(name, "PRACTICE") for name in names))


def test_what_wants_original_images_is_drawn_as_of_the_data():
    packaged = {name: entry for name, entry in catalog.entries("regularizers").items() if not entry.digest}
    assert packaged.keys() & set(AUGMENTATION) == {n for n, e in packaged.items() if e.constants["FAMILY"] == "data"}


@pytest.mark.parametrize("name", AUGMENTATION)
def test_augmentation_of_corrupted_pixels_is_refused(name):
    with pytest.raises(InputError, match=f"{name} cannot go with shuffled_pixels, a corruption of pixels"):
        RunSpec.make(regularizers=(part(name, "PRACTICE"),), corruptions=(Part(name="shuffled_pixels"),))


@pytest.mark.parametrize("name", catalog.names("models"))
def test_a_network_has_what_it_says(name):
    """And each feature that a file may name is found in some network."""
    declared = catalog.find("models", name).constants.get("HAS")
    if isinstance(declared, dict):
        declared = declared[name]
    found = models.features(models.build(name))
    assert declared is None or set(declared) == found
    if name == "carrier":
        assert set().union(found, *(models.features(models.build(n)) for n in catalog.names("models"))) == set(FEATURES)


def test_the_regularizer_of_the_page_on_plug_ins_is_held_to_the_laws(
    found, toy, toy_dir, plain, practised, tmp_path, monkeypatch
):
    """As it stands in docs/plug-ins.md."""
    page = (Path(__file__).parents[1] / "docs" / "plug-ins.md").read_text(encoding="utf-8")
    ((name, text),) = re.findall(r"`plugins/regularizers/(\w+)\.py`.*?```python\n(.*?)```", page, flags=re.DOTALL)
    found(**{f"regularizers__{name}": text})
    test_null_is_bitwise_nothing_and_practice_is_not(toy, plain, practised, name)
    test_evaluation_changes_nothing_and_a_run_resumes_and_pickles_bitwise(toy, practised, name)
    test_says_its_source_range_null_and_practice_and_refuses_what_is_out_of_range(name)
    test_is_recorded_in_bfloat16_and_goes_on_to_the_same_record(toy, toy_dir, tmp_path, monkeypatch, name)


SAM = '''"""Sharpness-aware minimization (Foret et al. 2021, algorithm 1); rho >= 0; practice: 0.05."""

import torch

from rethinking.regularizers import Base

OPTIONS = {"rho": {"type": "float", "ge": 0.0, "description": "how far the weights are moved"}}
NULL = {"rho": 0.0}
PRACTICE = {"rho": 0.05}
FAMILY = "gradient"


class Regularizer(Base):
    def __init__(self, rho):
        self.rho = rho

    def gradient(self, network):
        if self.rho == 0:
            return
        moved = [p for p in network.parameters() if p.grad is not None]
        size = torch.stack([p.grad.norm() for p in moved]).norm()
        before = [p.detach().clone() for p in moved]
        with torch.no_grad():
            for p in moved:
                p.add_(self.rho * p.grad / size)
                p.grad = None
        self.run.loss().backward()
        with torch.no_grad():
            for p, own in zip(moved, before):
                p.copy_(own)
'''


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("first", [True, False])
def test_a_second_gradient_is_of_the_same_batch_precision_and_penalties(found, toy, precision, first):
    """Sharpness-aware minimization beside L2 as a penalty: against its algorithm, written out."""
    l2 = '''"""L2 in the loss (Krogh & Hertz 1992); rate >= 0; practice: 0.01."""

from rethinking.regularizers import Base

OPTIONS = {"rate": {"type": "float", "ge": 0.0, "description": "of the squares"}}
NULL = {"rate": 0.0}
PRACTICE = {"rate": 0.01}


class Regularizer(Base):
    def __init__(self, rate):
        self.rate = rate

    def penalty(self, network):
        return self.rate * sum((p**2).sum() for p in network.parameters())
'''
    found(regularizers__sam=SAM, regularizers__in_loss=l2)
    parts = (part("sam", "PRACTICE"), part("in_loss", "PRACTICE"))
    run = spec(*parts[:: 1 if first else -1], precision=precision, momentum=0.0)
    training, plain = Training(run, toy), Training(run.replace(regularizers=()), toy)
    network = plain.network

    def slopes(images, labels):
        with plain._in_precision():
            logits = network(images)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss = loss + 0.01 * sum((p**2).sum() for p in network.parameters())
        with products(plain.device, precision):
            return torch.autograd.grad(loss, list(network.parameters()))

    for step in range(3):
        training.train_step()
        order = permutation(len(plain.train_labels), run.seed, step * run.batch_size // len(plain.train_labels))
        batch = order[step % run.epoch_steps * run.batch_size :][: run.batch_size]
        images, labels = plain.train_images[batch], plain.train_labels[batch]
        own = [p.detach().clone() for p in network.parameters()]
        up = slopes(images, labels)
        size = math.sqrt(sum((slope.double() ** 2).sum().item() for slope in up))
        with torch.no_grad():
            for p, slope in zip(network.parameters(), up, strict=True):
                p += 0.05 * slope / size
        down = slopes(images, labels)
        with torch.no_grad():
            for p, before, slope in zip(network.parameters(), own, down, strict=True):
                p.copy_(before - run.rate_at(step) * slope)
        close = 1e-5 if precision == "float32" else 1e-3
        for mine, theirs in zip(training.network.parameters(), network.parameters(), strict=True):
            assert torch.allclose(mine, theirs, atol=close)
        for a, b in zip(network.parameters(), training.network.parameters(), strict=True):
            a.data.copy_(b.data)  # bfloat16 rounds what differs in the last bits far apart
    pickle.dumps(training)


def test_the_loss_is_asked_for_within_gradient_alone(found, toy):
    odd = SAM.replace("def gradient(self, network)", "def after_step(self, network)")
    found(regularizers__sam=odd)
    training = Training(spec(part("sam", "PRACTICE")), toy)
    with pytest.raises(InputError, match="outside of `gradient`"):
        training.train_step()
