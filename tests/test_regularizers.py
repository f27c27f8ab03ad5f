"""The regularizers: laws of every one in the folder, and a slow reference or a law of its own for each."""

import copy
import functools
import math
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rethinking import catalog, models, regularizers
from rethinking.constants import FEATURES
from rethinking.errors import InputError
from rethinking.layers import Linear, LocalResponseNorm, Residual
from rethinking.record import format_curve
from rethinking.regularizers import _places as places
from rethinking.regularizers._places import become
from rethinking.regularizers.backdrop import Backdrop
from rethinking.regularizers.batch_norm import BatchNorm
from rethinking.regularizers.colour import contrast, tint
from rethinking.regularizers.drop_block import DropBlock
from rethinking.regularizers.dropconnect import DropConnectLinear
from rethinking.regularizers.dropout import Dropout
from rethinking.regularizers.maxout import MaxoutConv2d, MaxoutLinear
from rethinking.regularizers.mixup import beta
from rethinking.regularizers.restricted_weights import RestrictedConv2d, RestrictedLinear, bound, restrict
from rethinking.regularizers.rotation import rotate
from rethinking.regularizers.spatial_dropout import SpatialDropout
from rethinking.regularizers.stochastic_depth import StochasticResidual
from rethinking.regularizers.stochastic_pooling import StochasticPool2d
from rethinking.spec import Part, RunSpec, check_parts
from rethinking.training import Training, train
from rethinking.training.batches import two_logits

ALL = catalog.names("regularizers")
CLASSES = 4  # of the toy data set
LABELS = torch.arange(200) % CLASSES


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(name: str, **options) -> regularizers.Base:
    """A regularizer in a run of its own."""
    return regularizers.build(Part(name=name, options=options), regularizers.Run(CLASSES, generator()))


def with_it(name: str, model: str, num_classes: int = 10, **options) -> nn.Module:
    """A network of the package with one regularizer, with the weights of seed 0."""
    return models.initialise(build(name, **options).network(models.build(model, num_classes)), 0)


def spec(*parts: Part, **fields) -> RunSpec:
    """A small run whose parts go through the loop as they are, nulls too."""
    common = {"data": "toy", "model": "carrier", "n": 80, "batch_size": 32, "steps": 24, "eval_every": 4}
    return RunSpec.make(**(common | fields)).model_copy(update={"regularizers": parts})


def curve(run: RunSpec, toy) -> str:
    return format_curve([e.as_row() for e in train(run, toy)])


def broken_off(run: RunSpec, toy) -> tuple[Training, list[dict]]:
    """A run of `spec`, and its curve so far, after 8 steps: in the midst of an epoch, which has 3."""
    training, rows = Training(run, toy), []
    for evaluation in training.evaluations():
        rows.append(evaluation.as_row())
        if evaluation.step == 8:
            break
    return training, rows


def gone_on(training: Training, rows: list[dict]) -> str:
    return format_curve(rows + [e.as_row() for e in training.evaluations()])


# --- laws of every regularizer in the folder --------------------------------------------------


def part(name: str, which: str) -> Part:
    return Part(name=name, options=catalog.find("regularizers", name).constants[which])


AUGMENTATION = [name for name in ALL if build(name, **part(name, "PRACTICE").options).wants_originals]


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


@pytest.mark.parametrize("name", ALL)
def test_null_is_bitwise_nothing_and_practice_is_not(toy, plain, practised, name):
    assert curve(on(name, "NULL"), toy) == plain[carrier(name)]
    assert practised[name] != plain[carrier(name)]
    assert "nan" not in practised[name].split("\n", 2)[2]  # it trained


@pytest.mark.parametrize("name", ALL)
def test_shared_weights_start_identical(toy, name):
    without = dict(Training(spec(model=carrier(name)), toy).network.named_parameters())
    with_it = dict(Training(on(name), toy).network.named_parameters())
    shared = set(without) & set(with_it)
    assert {k for k in without if k.endswith("weight")} <= shared
    assert all(torch.equal(without[k], with_it[k]) for k in shared)


@pytest.mark.parametrize("name", ALL)
def test_evaluation_is_deterministic_and_changes_nothing(toy, name):
    training = Training(on(name), toy)
    training.train_step()
    training.evaluate()
    before = training.state()
    a, b = training.evaluate(), training.evaluate()
    assert (a.train_loss, a.test_loss) == (b.train_loss, b.test_loss)
    after = training.state()
    assert all(torch.equal(before[k], after[k]) for k in before)  # weights, statistics, generator


@pytest.mark.parametrize("name", ALL)
def test_resume_is_bitwise_exact(toy, practised, name):
    first, rows = broken_off(on(name), toy)
    second = Training(on(name), toy)
    second.restore(first.state())
    assert gone_on(second, rows) == practised[name]


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
def test_every_choice_is_deterministic_at_evaluation_and_resumes(toy, name, key, word):
    options = part(name, "PRACTICE").options | {key: word}
    run = spec(Part(name=name, options=options), model=carrier(name), learning_rate=0.01)
    first, rows = broken_off(run, toy)
    before = first.state()
    again = first.evaluate()
    assert (again.train_loss, again.test_loss) == (rows[-1]["train_loss"], rows[-1]["test_loss"])
    assert all(torch.equal(before[k], v) for k, v in first.state().items())
    second = Training(run, toy)
    second.restore(before)
    whole = curve(run, toy)
    assert gone_on(second, rows) == whole
    assert whole != curve(on(name, learning_rate=0.01), toy)


@pytest.mark.parametrize("name", ALL)
def test_pickles_in_the_middle_of_a_run(toy, practised, name):
    training, rows = broken_off(on(name), toy)
    copied = pickle.loads(pickle.dumps(training))
    training.train_step()  # the two go on apart
    assert gone_on(copied, rows) == practised[name]


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
    given = pickle.dumps((toy_dir, {name: on(name) for name in ALL}))
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, check=True)
    assert pickle.loads(done.stdout) == {name: practised[name] for name in ALL}


@pytest.mark.parametrize("name", ALL)
def test_strength_out_of_range_is_refused(name):
    options = catalog.find("regularizers", name).constants["OPTIONS"]
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
            given = part(name, "PRACTICE").options | {key: value}
            with pytest.raises(InputError, match=rf"^{name}\.{key} is ") as caught:
                RunSpec.make(
                    data="toy", model=carrier(name), regularizers=(Part.model_construct(name=name, options=given),)
                )
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ALL)
def test_null_is_left_out_of_a_spec(name):
    assert RunSpec.make(model=carrier(name), data="toy", regularizers=(part(name, "NULL"),)).regularizers == ()


@pytest.mark.parametrize("name", ALL)
def test_says_its_source_range_null_and_practice(name):
    entry = catalog.find("regularizers", name)
    module = entry.load()
    assert entry.summary.endswith(".")
    assert re.search(r"\b(19|20)\d\d\b|zhang2017", module.__doc__)
    assert "ractice" in module.__doc__
    options = entry.constants["OPTIONS"]
    assert set(entry.constants["NULL"]) | set(entry.constants["PRACTICE"]) <= set(options)
    assert next(iter(options)) in entry.constants["NULL"]  # what NAME=VALUE sets is the strength
    assert all("default" in v or k in entry.constants["PRACTICE"] for k, v in options.items())


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN")
@pytest.mark.parametrize("name", ALL)
def test_trains_in_bfloat16(toy, name):
    last = list(train(on(name, precision="bfloat16", steps=6), toy))[-1]
    assert math.isfinite(last.train_loss)
    assert math.isfinite(last.online_loss)


def test_a_regularizer_knows_the_step_and_its_rate(toy):
    training = Training(spec(part("l1", "PRACTICE"), lr_decay=0.5, decay_every=2), toy)
    seen = []
    training.regularizers[0].after_step = lambda network: seen.append((training.run.step, training.run.rate))
    for _ in range(4):
        training.train_step()
    assert seen == [(0, 0.1), (1, 0.1), (2, 0.05), (3, 0.05)]
    assert training.regularizers[0].run is training.run


# --- several at once, and what cannot be ------------------------------------------------------


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
    whole = curve(run, toy)
    first, rows = broken_off(run, toy)
    second = Training(run, toy)
    second.restore(first.state())
    assert gone_on(second, rows) == whole


@pytest.mark.parametrize(
    ("model", "names", "message"),
    [
        ("mlp-1x512", ["stochastic_depth"], "needs residual blocks, mlp-1x512 has none: take resnet-20"),
        ("mlp-3x512", ["stochastic_pooling"], "stochastic_pooling needs pooling, mlp-3x512 has none: take alexnet or "),
        ("resnet-20", ["stochastic_pooling"], "stochastic_pooling needs pooling, resnet-20 has none"),
        ("mlp-3x512", ["spatial_dropout"], "spatial_dropout needs convolutions"),
        ("mlp-3x512", ["drop_block"], "drop_block needs convolutions"),
        ("mlp-3x512", ["local_response_norm"], "local_response_norm needs convolutions"),
        ("alexnet", ["local_response_norm"], "cannot go with local response normalization, which alexnet has"),
        ("inception", ["dropconnect"], "dropconnect needs hidden linear layers"),
        ("inception", ["batch_norm"], "cannot go with batch normalization, which inception has: take alexnet"),
        ("inception", ["layer_norm"], "layer_norm cannot go with batch normalization"),
        ("resnet-20", ["maxout"], "maxout cannot go with residual blocks"),
        ("alexnet", ["maxout", "dropconnect"], "maxout cannot go with dropconnect, which changes what it works on"),
        ("alexnet", ["maxout", "stochastic_pooling"], "stochastic_pooling cannot go with maxout"),
        ("alexnet", ["batch_norm", "maxout"], "maxout cannot go with batch_norm"),
        ("alexnet", ["batch_norm", "group_norm"], "batch_norm cannot go with group_norm"),
        ("alexnet", ["dropconnect", "restricted_weights"], "dropconnect cannot go with restricted_weights"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_when_the_spec_is_made(model, names, message):
    with pytest.raises(InputError, match=message) as caught:
        RunSpec.make(model=model, regularizers=tuple(part(name, "PRACTICE") for name in names))
    assert "\n" not in str(caught.value)


def test_what_wants_original_images_is_drawn_as_of_the_data():
    packaged = {name: entry for name, entry in catalog.entries("regularizers").items() if not entry.digest}
    assert packaged.keys() & set(AUGMENTATION) == {n for n, e in packaged.items() if e.constants["FAMILY"] == "data"}


@pytest.mark.parametrize("name", AUGMENTATION)
def test_augmentation_of_corrupted_pixels_is_refused(name):
    with pytest.raises(InputError, match=f"{name} cannot go with shuffled_pixels, a corruption of pixels"):
        RunSpec.make(regularizers=(part(name, "PRACTICE"),), corruptions=(Part(name="shuffled_pixels"),))


def test_a_network_that_says_nothing_is_asked_before_training(toy):
    run = RunSpec.make(data="toy", model="tiny", regularizers=(part("stochastic_depth", "PRACTICE"),))
    with pytest.raises(InputError, match="stochastic_depth needs residual blocks, tiny has none"):
        Training(run, toy)


@pytest.mark.parametrize("name", catalog.names("models"))
def test_a_network_has_what_it_says(name):
    declared = catalog.find("models", name).constants.get("HAS")
    if isinstance(declared, dict):
        declared = declared[name]
    assert declared is None or set(declared) == models.features(models.build(name))


def test_each_feature_that_a_file_may_name_is_found_in_some_network():
    assert set().union(*(models.features(models.build(name)) for name in catalog.names("models"))) == set(FEATURES)


# --- data -------------------------------------------------------------------------------------


def test_flip_mirrors_some_images_of_a_batch_and_leaves_the_others():
    images = torch.randn(200, 3, 32, 32)
    flipped, labels = build("horizontal_flip").batch(images, torch.arange(200), generator())
    assert labels.tolist() == list(range(200))
    mirrored = [
        torch.equal(a, torch.from_numpy(b.numpy()[:, :, ::-1].copy())) for a, b in zip(flipped, images, strict=True)
    ]
    same = [torch.equal(a, b) for a, b in zip(flipped, images, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 70 < sum(mirrored) < 130  # half, within four standard deviations
    always, _ = build("horizontal_flip", probability=1.0).batch(images, labels, generator())
    assert torch.equal(always, images.flip(3))


def test_rotation_by_quarter_turns_is_exact():
    images = 255 * torch.rand(4, 3, 32, 32)
    turned = rotate(images, torch.tensor([0.0, 90.0, -90.0, 180.0]))
    for image, result, quarters in zip(images, turned, (0, 1, -1, 2), strict=True):
        torch.testing.assert_close(result, torch.rot90(image, quarters, (1, 2)), rtol=0, atol=1e-2)


def test_rotation_against_scipys():
    from scipy import ndimage

    images = torch.from_numpy(255 * np.random.default_rng(0).random((3, 3, 32, 32)))
    degrees = [25.0, -13.0, 4.5]
    ours = rotate(images.float(), torch.tensor(degrees)).numpy()
    for image, result, angle in zip(images.numpy(), ours, degrees, strict=True):
        theirs = ndimage.rotate(image, angle, axes=(2, 1), reshape=False, order=1)
        np.testing.assert_allclose(result[:, 7:25, 7:25], theirs[:, 7:25, 7:25], atol=0.05)
        assert (result[:, 0, 0] == 0).all()  # outside is black


def test_rotation_draws_an_angle_for_each_image_up_to_the_bound():
    spot = torch.zeros(400, 1, 33, 33)
    spot[:, :, 16, 30:] = 1.0  # on the right, at the height of the centre
    turned, _ = build("rotation").batch(spot, torch.zeros(400, dtype=torch.int64), generator())
    rows = torch.arange(33.0) - 16
    height = (turned.sum((1, 3)) * -rows).sum(1) / turned.sum((1, 2, 3))
    angles = torch.rad2deg(torch.asin((height / 15).clamp(-1, 1)))
    assert angles.abs().max() < 26.5
    assert angles.max() > 22
    assert angles.min() < -22
    assert len(angles.round(decimals=3).unique()) > 300


@pytest.mark.parametrize("name", AUGMENTATION)
def test_augmented_batches_are_cropped_and_whitened_afterwards(name, toy):
    training = Training(spec(part(name, "PRACTICE"), n=8, batch_size=8), toy)
    seen = []
    training.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    training.train_step()
    assert seen[0].shape == (8, 3, 28, 28)
    values = seen[0].flatten(1)
    torch.testing.assert_close(values.mean(1), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(values.std(1, correction=0), torch.ones(8), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", AUGMENTATION)
def test_augmentation_differs_within_a_batch_and_from_batch_to_batch(name):
    """The same image 64 times: one set of draws per call would give 64 equal images."""
    image = (255 * torch.rand(3, 32, 32, generator=generator())).repeat(64, 1, 1, 1)
    if name == "mixup":
        image[1::2] = 255 - image[1::2]
    draws = generator()
    regularizer = build(name)
    first, _ = regularizer.batch(image, LABELS[:64], draws)
    second, _ = regularizer.batch(image, LABELS[:64], draws)
    assert not torch.equal(first, second)
    kinds = len({x.numpy().tobytes() for x in first})
    assert kinds >= {"horizontal_flip": 2, "random_crop": 20, "mixup": 30}.get(name, 50)


def test_random_crop_cuts_each_image_at_its_own_place():
    place = torch.arange(32 * 32, dtype=torch.float32).reshape(1, 1, 32, 32).repeat(200, 3, 1, 1)
    generator = torch.Generator().manual_seed(0)
    crop_at_random = regularizers.build(Part(name="random_crop"), regularizers.Run(CLASSES, generator, margin=4))
    images, labels = crop_at_random.batch(place, torch.arange(200), generator)
    assert images.shape == (200, 3, 28, 28)
    assert labels.tolist() == list(range(200))
    corners = []
    for image in images:
        top, left = divmod(int(image[0, 0, 0]), 32)
        assert torch.equal(image, place[0, :, top : top + 28, left : left + 28])
        corners.append((top, left))
    assert len(set(corners)) == 25  # every one of the 5 x 5 places, within one batch
    again, _ = crop_at_random.batch(place, labels, generator)
    assert not torch.equal(again, images)


def test_colour_keeps_to_bytes_and_its_strength_scales_it():
    images = 255 * torch.rand(100, 3, 8, 8, generator=generator())
    full, _ = build("colour").batch(images, LABELS[:100], generator())
    slight, _ = build("colour", strength=0.01).batch(images, LABELS[:100], generator())
    assert full.min() >= 0
    assert full.max() <= 255
    assert (slight - images).abs().max() < 8
    assert (full - images).abs().mean() > 30 * (slight - images).abs().mean()
    grey, _ = build("colour").batch(images[:, :1], LABELS[:100], generator())
    assert not torch.equal(grey, images[:, :1])


def test_saturation_and_hue_against_the_standard_librarys():
    from colorsys import hsv_to_rgb, rgb_to_hsv

    images = torch.rand(4, 3, 5, 5, generator=generator(1))
    images[0, :, 0, 0] = 0.4  # grey has no hue
    saturation, hue = torch.tensor([0.5, 1.5, 1.0, 1.2]), torch.tensor([0.2, -0.2, 0.0, 0.1])
    ours = tint(images, saturation, hue)
    for k in range(4):
        for i in range(5):
            for j in range(5):
                h, s, v = rgb_to_hsv(*images[k, :, i, j].tolist())
                slow = hsv_to_rgb((h + hue[k].item()) % 1, min(1.0, s * saturation[k].item()), v)
                torch.testing.assert_close(ours[k, :, i, j], torch.tensor(slow), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_colour_against_a_slow_reference(strength):
    """slim's distort_color: brightness, saturation, hue, contrast, with a draw of each for each image."""
    from colorsys import hsv_to_rgb, rgb_to_hsv

    images = 255 * torch.rand(6, 3, 5, 4, generator=generator(1))
    ours, _ = build("colour", strength=strength).batch(images, LABELS[:6], generator())
    draws = strength * torch.empty(4, 6).uniform_(-1, 1, generator=generator())
    for image, result, draw in zip(images.numpy(), ours.numpy(), draws.T.tolist(), strict=True):
        brightness, saturation, hue, contrast = draw
        x = np.clip(image / 255 + 32 / 255 * brightness, 0, 1)
        for i, j in np.ndindex(5, 4):
            h, s, v = rgb_to_hsv(*x[:, i, j].tolist())
            x[:, i, j] = hsv_to_rgb((h + 0.2 * hue) % 1, min(1, s * (1 + 0.5 * saturation)), v)
        mean = x.mean((1, 2), keepdims=True)
        x = np.clip(mean + (x - mean) * (1 + 0.5 * contrast), 0, 1)
        np.testing.assert_allclose(result, 255 * x, atol=0.01)


def test_contrast_is_about_each_channels_mean():
    images = torch.rand(3, 3, 6, 6)
    factor = torch.tensor([0.5, 1.0, 1.5])
    for k, result in enumerate(contrast(images, factor)):
        for c in range(3):
            mean = images[k, c].mean()
            torch.testing.assert_close(result[c], (images[k, c] - mean) * factor[k] + mean)


def test_cutout_blots_out_one_square_an_image():
    images = 255 * torch.rand(300, 3, 32, 32, generator=generator())
    cut, labels = build("cutout", size=10).batch(images, torch.arange(300), generator())
    assert labels.tolist() == list(range(300))
    corners, areas = set(), []
    for before, after in zip(images, cut, strict=True):
        changed = (before != after).any(0)
        rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
        assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()  # a full rectangle
        assert len(rows) <= 10
        assert len(columns) <= 10
        torch.testing.assert_close(after[:, changed], before.mean().expand(3, int(changed.sum())))
        corners.add((int(rows[0]), int(columns[0])))
        areas.append(int(changed.sum()))
    assert max(areas) == 100
    assert min(areas) < 60  # hanging over a corner
    assert len(corners) > 150


def test_mixup_mixes_pixels_and_labels_alike():
    images = torch.zeros(200, 1, 2, 2)
    images[:, 0] = 10.0 ** LABELS[:, None, None]  # the label can be read off the image
    mixed, targets = build("mixup").batch(images, LABELS, generator())
    torch.testing.assert_close(targets.sum(1), torch.ones(200))
    assert ((targets > 0).sum(1) <= 2).all()
    read = (targets * 10.0 ** torch.arange(4)).sum(1)
    torch.testing.assert_close(mixed[:, 0, 0, 0], read, rtol=1e-4, atol=1e-4)
    shares = targets.max(1).values
    assert len(shares.unique()) > 100  # one share an image


def test_mixups_share_is_betas():
    share = beta(0.4, 50_000, generator(), torch.device("cpu"))
    assert share.mean().item() == pytest.approx(0.5, abs=0.01)
    assert share.var().item() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.03)
    tiny = beta(1e-4, 1000, generator(), torch.device("cpu"))
    assert tiny.isfinite().all()
    assert ((tiny < 1e-3) | (tiny > 1 - 1e-3)).float().mean() > 0.98


# --- labels -----------------------------------------------------------------------------------


def test_label_smoothings_targets():
    images = torch.zeros(3, 1, 1, 1)
    _, targets = build("label_smoothing", strength=0.2).batch(images, torch.tensor([1, 0, 3]), generator())
    slow = [[0.8 * (k == label) + 0.2 / 4 for k in range(4)] for label in (1, 0, 3)]
    torch.testing.assert_close(targets, torch.tensor(slow))
    soft = torch.tensor([[0.5, 0.5, 0, 0]])
    _, again = build("label_smoothing", strength=0.2).batch(images[:1], soft, generator())
    torch.testing.assert_close(again, torch.tensor([[0.45, 0.45, 0.05, 0.05]]))


def test_disturbed_labels_are_redrawn_every_batch():
    labels, draws = torch.zeros(20_000, dtype=torch.int64), generator()
    disturb = build("disturb_label", rate=0.4)
    images = torch.zeros(20_000, 1, 1, 1)
    _, first = disturb.batch(images, labels, draws)
    _, second = disturb.batch(images, labels, draws)
    assert not torch.equal(first, second)
    for seen in (first, second):
        shares = torch.bincount(seen, minlength=4) / 20_000
        torch.testing.assert_close(shares, torch.tensor([1 - 0.4 * 3 / 4, 0.1, 0.1, 0.1]), atol=0.012, rtol=0)
    both = ((first != 0) & (second != 0)).float().mean().item()
    assert both == pytest.approx(0.3 * 0.3, abs=0.01)  # independent
    assert torch.equal(labels, torch.zeros(20_000, dtype=torch.int64))
    _, soft = disturb.batch(images, F.one_hot(labels, 4).float(), draws)
    torch.testing.assert_close(soft.mean(0), torch.tensor([0.7, 0.1, 0.1, 0.1]), atol=0.012, rtol=0)
    assert torch.equal(soft.sum(1), torch.ones(20_000))


def test_the_training_set_keeps_its_labels(toy):
    training = Training(spec(part("disturb_label", "PRACTICE")), toy)
    before = training.train_labels.clone()
    for _ in range(6):
        training.train_step()
    assert torch.equal(training.train_labels, before)


# --- units ------------------------------------------------------------------------------------


def test_dropouts_expectation():
    x = torch.rand(40, 50, generator=generator(3)) + 0.5
    for mode, scale in (("inverted", 1.0), ("weight_scaling", 0.7), ("monte_carlo", 1.0)):
        layer = build("dropout", rate=0.3, mode=mode).network(models.build("mlp-1x512")).layers[1].after[0]
        assert isinstance(layer, Dropout)
        seen = torch.stack([layer(x) for _ in range(600)])
        torch.testing.assert_close(seen.mean(0), scale * x, rtol=0.2, atol=0)
        assert seen.mean().item() == pytest.approx(scale * x.mean().item(), rel=0.005)
        up = 1.0 if mode == "weight_scaling" else 1 / 0.7
        assert torch.isclose(seen, up * x).logical_or(seen == 0).all()
        assert (seen == 0).float().mean().item() == pytest.approx(0.3, abs=0.003)
        assert not torch.equal(seen[0][0] == 0, seen[0][1] == 0)  # per image
        layer.eval()
        torch.testing.assert_close(layer(x), scale * x)


def test_dropout_stands_before_every_linear_layer_but_a_first():
    def rates(model: str, **options) -> list[str]:
        network = build("dropout", **options).network(models.build(model))
        return [name.rpartition(".")[0] for name, m in network.named_modules() if isinstance(m, Dropout)]

    assert rates("mlp-3x512") == ["layers.1.after", "layers.3.after", "layers.5.after"]
    assert rates("alexnet") == ["classifier.0.before", "classifier.1.after", "classifier.3.after"]
    assert rates("inception") == ["fc.before"]
    assert rates("mlp-1x512", input=0.2) == ["layers.0.before", "layers.1.after"]
    assert rates("alexnet", rate=0.0, input=0.2) == ["features.0.0.before"]


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


def test_running_statistics_are_torchs_and_leave_training_alone(toy):
    x = torch.randn(4, 9, 6, generator=generator()) * 3 + 1
    norm, theirs = build_norm("running"), nn.BatchNorm1d(6, eps=1e-3)
    for batch in x:
        torch.testing.assert_close(norm(batch), theirs(batch))
    for k in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(norm, k), getattr(theirs, k))
    torch.testing.assert_close(norm.eval()(x[0]), theirs.eval()(x[0]))
    dropped = Part(name="dropout", options={"rate": 0.5})
    curves = []
    for statistics in ("measured", "running"):
        stack = (dropped, Part(name="batch_norm", options={"place": "after", "statistics": statistics}))
        training = Training(spec(*stack, model="mlp-3x512", steps=6, learning_rate=0.01), toy)
        curves.append([e.as_row() for e in training.evaluations()])
    for column, same in (("online_loss", True), ("train_loss", False)):
        assert all((a[column] == b[column]) is same for a, b in zip(curves[0][1:], curves[1][1:], strict=True))


def build_norm(statistics: str) -> BatchNorm:
    """The batch norm that the regularizer puts before the one ReLU of a small network, of six units."""
    network = build("batch_norm", statistics=statistics).network(nn.Sequential(Linear(4, 6), nn.ReLU(), Linear(6, 2)))
    return network[0].after[0]


def test_dropout_at_the_end_leaves_all_but_the_last_layer_alone():
    network = models.build("mlp-3x512")
    network = models.initialise(build("dropout", rate=0.5, where="last").network(network), 0)
    images = torch.randn(40, 3, 28, 28, generator=generator())
    seen = []
    relus = [m for m in network.modules() if isinstance(m, nn.ReLU)]
    for relu in relus:
        relu.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0].relu(), output)))
    network.train()(images)
    dropped = [((full > 0) & (given == 0)).float().mean().item() for full, given in seen]
    assert dropped[:-1] == [0, 0]
    assert dropped[-1] > 0.1


def test_statistics_of_batch_norm_are_measured_without_masks(toy):
    stack = (Part(name="batch_norm"), Part(name="dropout", options={"rate": 0.5, "mode": "monte_carlo"}))
    networks = []
    for regularizers_ in (stack, stack[:1]):
        training = Training(spec(*regularizers_), toy)
        training.evaluate()
        networks.append({k: v for k, v in training.network.state_dict().items() if "running" in k})
    assert len(networks[0]) > 0
    for (_, a), (_, b) in zip(*(sorted(n.items()) for n in networks), strict=True):
        torch.testing.assert_close(a, b)


def test_a_random_crop_of_what_cannot_be_cropped_is_refused():
    run = regularizers.Run(CLASSES, generator(), margin=0)
    with pytest.raises(InputError, match="random_crop is on, but images are trained on whole"):
        regularizers.build(Part(name="random_crop"), run).network(models.build("mlp-1x512"))


@pytest.mark.parametrize("outputs", [3, 1])
def test_monte_carlo_averages_probabilities_over_masks(outputs):
    """Against every one of the 2^6 masks of a layer of six units, weighted by its probability."""
    network = nn.Sequential(nn.Flatten(), Linear(4, 6), nn.ReLU(), Linear(6, outputs))
    network = models.initialise(build("dropout", rate=0.3, mode="monte_carlo", samples=6000).network(network), 0)
    x = torch.randn(5, 4, generator=generator()) * 3
    network.eval()
    hidden = network[1](x).relu()
    exact = torch.zeros(5, max(outputs, 2))
    for k in range(64):
        mask = torch.tensor([float(k >> i & 1) for i in range(6)])
        weight = 0.7 ** mask.sum() * 0.3 ** (6 - mask.sum())
        exact += weight * two_logits(network[3](hidden * mask / 0.7)).softmax(1)
    with torch.no_grad():
        first, second = network(x), network(x)
    assert torch.equal(first, second)
    torch.testing.assert_close(first.exp(), exact, atol=0.02, rtol=0)
    torch.testing.assert_close(first.exp().sum(1), torch.ones(5))
    network.train()
    assert not torch.equal(network(x), network(x))


def test_monte_carlos_masks_stay_what_they_were():
    """Another key of their generator would orphan committed records without a word."""
    network = nn.Sequential(Linear(4, 6), nn.ReLU(), Linear(6, 3))
    network = build("dropout", rate=0.5, mode="monte_carlo", samples=2).network(network).eval()
    nn.init.zeros_(network[0].weight), nn.init.ones_(network[0].bias)
    seen = []
    network[1].after[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    network(torch.zeros(2, 4))
    plain, *masked = seen
    assert plain.unique().tolist() == [1]
    drawn = ["".join("01"[int(x > 0)] for x in mask.flatten()) for mask in masked]
    assert drawn == ["010100011110", "101101111000"]


@pytest.mark.parametrize("dropped", [{}, {"input": 0.2}])
def test_monte_carlo_computes_what_is_before_every_mask_once(dropped, monkeypatch):
    network = models.initialise(models.build("mlp-3x512", width=8), 0)
    network = build("dropout", rate=0.5, mode="monte_carlo", samples=5, **dropped).network(network)
    x, calls = torch.randn(2, 3, 28, 28), []

    def counted(layer, x):
        calls.append(layer)
        return F.linear(x, layer.weight, layer.bias)

    monkeypatch.setattr(Linear, "forward", counted)
    first = next(m for m in network.modules() if isinstance(m, Linear))
    for training, passes in ((False, 2 + 4 * bool(dropped)), (True, 1), (False, 2 + 4 * bool(dropped))):
        calls.clear()
        network.train(training)(x)  # one pass without masks, in evaluation five with
        assert sum(layer is first for layer in calls) == passes
    network.eval()(x).sum().backward()
    assert first.weight.grad is not None


BRANCHES = [f"{k}.{branch}" for k in range(1, 11) for branch in (("conv",) if k in (3, 8) else ("one", "three"))]
RELUS = {  # after convolutions
    "alexnet": ["features.0.1", "features.1.1"],
    "inception": [f"blocks.{place}.relu" for place in ("0", *BRANCHES)],
}
ACTS_AT = {
    "spatial_dropout": (SpatialDropout, RELUS),
    "drop_block": (DropBlock, RELUS),
    "backdrop": (Backdrop, RELUS | {"alexnet": [*RELUS["alexnet"], "classifier.1", "classifier.3"]}),
    "stochastic_pooling": (
        StochasticPool2d,
        {"alexnet": ["features.0.2", "features.1.2"], "inception": ["blocks.3.pool", "blocks.8.pool"]},
    ),
}


@pytest.mark.parametrize("model", ["alexnet", "inception", "inception-nobn"])
@pytest.mark.parametrize("name", ACTS_AT)
def test_acts_at_every_place_that_it_says(name, model):
    kind, where = ACTS_AT[name]
    network = with_it(name, model, **part(name, "PRACTICE").options)
    found = [place.removesuffix(".after.0") for place, m in network.named_modules() if isinstance(m, kind)]
    assert found == where[model.removesuffix("-nobn")]


def test_spatial_dropout_drops_whole_maps_per_image():
    layer = SpatialDropout(0.4, regularizers.Run(10, generator()))
    x = torch.rand(50, 30, 4, 4) + 0.1
    y = layer(x)
    gone = (y == 0).flatten(2)
    assert torch.equal(gone.all(2), gone.any(2))
    assert gone[:, :, 0].float().mean().item() == pytest.approx(0.4, abs=0.05)
    assert len({row.numpy().tobytes() for row in gone[:, :, 0]}) == 50
    kept = ~gone[:, :, 0]
    torch.testing.assert_close(y[kept], x[kept] / 0.6)
    assert layer.eval()(x) is x


def test_drop_block_drops_blocks():
    layer = DropBlock(0.1, 3, regularizers.Run(10, generator()))
    x = torch.ones(40, 30, 14, 14)
    mask = layer.mask(x)
    assert 1 - mask.mean().item() == pytest.approx(0.1, abs=0.02)
    for gone in (mask == 0)[0]:
        covered = torch.zeros(14, 14, dtype=torch.bool)
        for i in range(12):
            for j in range(12):
                if gone[i : i + 3, j : j + 3].all():
                    covered[i : i + 3, j : j + 3] = True
        assert torch.equal(covered, gone)  # nothing is dropped outside a full block
    assert not torch.equal(mask[0], mask[1])
    assert not torch.equal(mask[0, 0], mask[0, 1])
    y = layer(x)
    assert y.mean().item() == pytest.approx(1, abs=1e-4)  # what stays makes up for what goes
    assert DropBlock(0.1, 7, layer.run)(torch.ones(2, 3, 2, 5)).isfinite().all()
    overlapping = DropBlock(0.6, 7, layer.run).mask(torch.ones(40, 30, 28, 28))
    assert 1 - overlapping.mean().item() == pytest.approx(0.42, abs=0.01)
    assert layer.eval()(x) is x


def test_dropconnect_masks_weights_per_image():
    """Against loops over images, outputs and inputs with the masks it drew; gradients against autograd's."""
    network = with_it("dropconnect", "mlp-1x512", rate=0.25)
    assert [type(m) for m in network.modules() if isinstance(m, Linear)] == [DropConnectLinear, Linear]
    layer = Linear(7, 5)
    run = regularizers.Run(10, generator())
    places.become(layer, DropConnectLinear, rate=0.25, run=run)
    nn.init.normal_(layer.bias)
    x = torch.randn(37, 7, requires_grad=True)
    run.generator.manual_seed(5)
    y = layer(x)
    run.generator.manual_seed(5)
    mask = layer.mask(37)
    for b in range(37):
        for i in range(5):
            slow = sum(mask[b, i, j] * layer.weight[i, j] * x[b, j] for j in range(7)) + layer.bias[i]
            assert y[b, i].item() == pytest.approx(slow.item(), abs=1e-5)
    reference = torch.einsum("bij,ij,bj->bi", mask.float(), layer.weight, x) + layer.bias
    upstream = torch.randn(37, 5)
    wanted = (x, layer.weight, layer.bias)
    for ours, theirs in zip(
        torch.autograd.grad(y, wanted, upstream), torch.autograd.grad(reference, wanted, upstream), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert len({m.numpy().tobytes() for m in mask}) == 37
    many = layer.mask(5000).float()
    torch.testing.assert_close(many.mean(0), torch.full((5, 7), 0.75), atol=0.03, rtol=0)
    first, second = many[:, 0, 0] - 0.75, many[:, 0, 1] - 0.75
    assert (first * second).mean().abs() < 0.02  # weights of one output go one by one


@pytest.mark.parametrize("rate", [0.1, 0.9, 0.99999, 0.9999999])
def test_dropconnect_drops_its_rate(rate):
    layer = Linear(100, 50)
    places.become(layer, DropConnectLinear, rate=rate, run=regularizers.Run(10, generator()))
    assert layer.mask(40).double().mean().item() == pytest.approx(1 - rate, abs=0.002)


def test_dropconnects_inference_is_the_gaussians_expectation():
    layer = Linear(200, 3)
    run = regularizers.Run(10, generator())
    places.become(layer, DropConnectLinear, rate=0.5, run=run)
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 200)
    layer.eval()
    ours = layer(x)
    weight, bias = layer.weight.detach().double(), layer.bias.detach().double()
    mean = 0.5 * x.double() @ weight.T + bias
    deviation = (0.25 * x.double().square() @ weight.square().T).sqrt()
    z = torch.randn(200_000, 2, 3, generator=generator(), dtype=torch.float64)
    sampled = (mean + deviation * z).relu().mean(0)
    torch.testing.assert_close(ours.double(), sampled, atol=0.01, rtol=0.01)
    layer.train()
    masked = layer(x.repeat_interleave(20_000, 0)).relu().view(2, 20_000, 3).mean(1)
    torch.testing.assert_close(ours, masked, atol=0.02, rtol=0.02)  # the moments match


def test_maxout_is_the_largest_of_its_pieces():
    network = with_it("maxout", "alexnet", pieces=3)
    plain = models.initialise(models.build("alexnet"), 0)
    images = torch.randn(2, 3, 28, 28)
    conv, linear = network.features[0][0], network.classifier[0]
    assert isinstance(conv, MaxoutConv2d)
    assert isinstance(linear, MaxoutLinear)
    assert torch.equal(conv.weight, plain.features[0][0].weight)
    pieces = [F.conv2d(images, m.weight, m.bias, padding=2) for m in (conv, *conv.others)]
    assert len(pieces) == 3
    slow = torch.stack(pieces).amax(0)
    torch.testing.assert_close(network.features[0][1](conv(images)), slow)  # no ReLU after it
    assert slow.min() < 0
    grown = models.count_parameters(network) - models.count_parameters(plain)
    hidden = sum(p.numel() for k, p in plain.named_parameters() if not k.startswith("classifier.4"))
    assert grown == 2 * hidden
    linear_network = with_it("maxout", "mlp-3x512", pieces=1)
    with torch.no_grad():
        for layer in places.layers(linear_network):
            layer.bias.zero_()
        torch.testing.assert_close(linear_network(2 * images), 2 * linear_network(images), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(linear_network(-images), -linear_network(images), rtol=1e-4, atol=1e-4)


def pooling(share: float = 1.0, **options) -> StochasticPool2d:
    pool = nn.MaxPool2d(**({"kernel_size": 3, "stride": 2, "padding": 1} | options))
    places.become(pool, StochasticPool2d, share=share, run=regularizers.Run(10, generator()))
    return pool


def test_stochastic_poolings_probabilities():
    pool = pooling(kernel_size=2, stride=2, padding=0)
    window = torch.tensor([[0.0, 1.0], [3.0, 6.0]])
    y = pool(window.repeat(20_000, 1, 1, 1)).flatten()
    shares = [(y == value).float().mean().item() for value in (0.0, 1.0, 3.0, 6.0)]
    assert shares == pytest.approx([0.0, 0.1, 0.3, 0.6], abs=0.015)
    assert pool(torch.zeros(1, 1, 2, 2)).item() == 0
    x = torch.rand(5, 2, 7, 7, requires_grad=True)
    pool = pooling()
    (gradient,) = torch.autograd.grad(pool(x).sum(), x)
    assert torch.equal(gradient, gradient.round())  # each window's gradient goes to the one that was picked
    assert gradient.sum() == 5 * 2 * 4 * 4


def test_stochastic_poolings_evaluation_against_loops():
    x = torch.rand(2, 3, 7, 6, generator=generator()).relu()
    x[0, 0, :4, :4] = 0
    y = pooling().eval()(x)
    assert y.shape == F.max_pool2d(x, 3, 2, 1).shape
    for b in range(2):
        for c in range(3):
            for i in range(4):
                for j in range(3):
                    window = x[b, c, max(0, 2 * i - 1) : 2 * i + 2, max(0, 2 * j - 1) : 2 * j + 2]
                    total = window.sum()
                    slow = sum((a / total * a).item() for a in window.flatten()) if total > 0 else 0
                    assert y[b, c, i, j].item() == pytest.approx(slow, abs=1e-6)


def test_stochastic_poolings_share_goes_from_maximum_to_random():
    x = torch.rand(50, 4, 8, 8)
    largest = F.max_pool2d(x, 3, 2, 1)
    same = {share: (pooling(share)(x) == largest).float().mean().item() for share in (0.25, 0.5, 1.0)}
    hit = same[1.0]  # the maximum may be drawn too
    assert same[0.5] == pytest.approx(0.5 + 0.5 * hit, abs=0.03)
    assert same[0.25] == pytest.approx(0.75 + 0.25 * hit, abs=0.03)
    torch.testing.assert_close(pooling(0.5).eval()(x), (largest + pooling().eval()(x)) / 2)


def test_stochastic_depths_survival():
    network = with_it("stochastic_depth", "resnet-20", rate=0.6)
    blocks = [m for m in network.modules() if isinstance(m, StochasticResidual)]
    assert [b.survival for b in blocks] == pytest.approx([1 - k / 9 * 0.6 for k in range(1, 10)])
    block, x = blocks[-1], torch.randn(3, 64, 7, 7)
    whole, shortcut = Residual(block.branch, block.shortcut)(x), x.relu()
    with torch.no_grad():
        kinds = [block(x) for _ in range(500)]
    alive = [torch.equal(y, whole) for y in kinds]
    assert all(a or torch.equal(y, shortcut) for a, y in zip(alive, kinds, strict=True))  # whole, or nothing of it
    assert sum(alive) / 500 == pytest.approx(0.4, abs=0.08)
    block.eval()
    torch.testing.assert_close(block(x), (x + 0.4 * block.branch(x)).relu())


def test_a_branch_left_out_is_a_branch_times_zero():
    def trained(leave_out: bool) -> list[torch.Tensor]:
        """The output and the parameters after a step with the branch, one without, and one with it."""
        network = models.initialise(models.build("resnet-20"), 0)
        block = network.blocks[4]
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
        images = torch.randn(4, 3, 28, 28, generator=generator(1))
        for step in range(3):
            factor = int(step != 1 or leave_out)
            times = block.branch.register_forward_hook(lambda module, x, y, factor=factor: y * factor)
            if leave_out and step == 1:
                become(block, StochasticResidual, survival=0.0, run=regularizers.Run(CLASSES, generator()))
            output = network(images)
            optimizer.zero_grad()
            output.square().mean().backward()
            optimizer.step()
            block.__class__ = Residual
            times.remove()
        return [output, *network.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(trained(True), trained(False), strict=True))


@pytest.mark.parametrize("shape", [(8, 6, 5, 5), (8, 40)])
def test_backdrop_leaves_the_forward_pass_alone_and_masks_the_gradient(shape):
    layer = Backdrop(0.6, regularizers.Run(10, generator()))
    x = torch.randn(shape, requires_grad=True)
    upstream = torch.randn(shape)
    y = layer(x)
    assert torch.equal(y, x)
    (gradient,) = torch.autograd.grad(y, x, upstream)
    factor = gradient / upstream
    level = factor.max()
    assert torch.isclose(factor, level).logical_or(factor == 0).all()
    assert factor.mean().item() == pytest.approx(1, abs=1e-5)  # divided by the mask's mean
    if len(shape) == 4:
        assert torch.equal(factor == 0, (factor[:, :1] == 0).expand(shape))  # channels go together
    assert (factor == 0).float().mean().item() == pytest.approx(0.6, abs=0.15)
    assert layer.eval()(x) is x


def test_backdrops_training_loss_is_the_plain_networks(toy):
    """At one and the same weights the forward pass is untouched in training mode too."""
    masked, plain = Training(spec(part("backdrop", "PRACTICE")), toy), Training(spec(), toy)
    images = plain.train_images[:16]
    assert torch.equal(masked.network(images), plain.network(images))
    masked.train_step(), plain.train_step()
    assert masked._online[0] == plain._online[0]
    weights = dict(plain.network.named_parameters())
    assert any(not torch.equal(p, weights[k]) for k, p in masked.network.named_parameters())


# --- weights and gradients --------------------------------------------------------------------


def norms(network: nn.Module) -> torch.Tensor:
    return torch.cat([m.weight.detach().flatten(1).norm(dim=1) for m in places.weighted(network)])


def test_max_norms_bound_holds_after_every_step(toy):
    training = Training(spec(Part(name="max_norm", options={"bound": 0.9})), toy)
    for _ in range(8):
        training.train_step()
        assert norms(training.network).max() <= 0.9 * (1 + 1e-6)
    free = Training(spec(), toy)
    assert norms(free.network).max() > 0.9


def test_max_norm_scales_only_what_is_too_long():
    network = models.initialise(models.build("mlp-1x512"), 0)
    before = copy.deepcopy(network)
    lengths = before.layers[0].weight.norm(dim=1)
    middle = lengths.median().item()
    build("max_norm", bound=middle).after_step(network)
    for old, new, length in zip(before.layers[0].weight, network.layers[0].weight, lengths, strict=True):
        torch.testing.assert_close(new, old * min(1.0, middle / length.item()))
        assert torch.equal(new, old) or length > middle
    assert torch.equal(network.layers[0].bias, before.layers[0].bias)


def test_l1s_zeros_are_exact_and_its_step_is_the_formula(toy):
    plain = Training(spec(), toy)
    sparse = Training(spec(Part(name="l1", options={"strength": 0.05})), toy)
    plain.train_step(), sparse.train_step()
    after = dict(sparse.network.named_parameters())
    shrink = 0.1 * 0.05 / (1 - 0.9)  # rate times strength, over what momentum leaves
    for name, parameter in plain.network.named_parameters():
        w = parameter.detach()
        slow = w.sign() * (w.abs() - shrink).clamp_min(0) if name.endswith("weight") else w
        torch.testing.assert_close(after[name].detach(), slow, rtol=1e-6, atol=1e-8)
    for _ in range(20):
        plain.train_step(), sparse.train_step()

    def zeros(training: Training) -> float:
        return torch.cat([(m.weight == 0).flatten() for m in places.layers(training.network)]).float().mean().item()

    assert zeros(sparse) > 0.3
    assert zeros(plain) == 0


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_l1_ends_where_the_penalized_loss_is_least(momentum):
    """1/2 (w - 1)^2 + 0.5 |w| is least at 0.5."""
    layer = torch.nn.Linear(1, 1, bias=False)
    run = regularizers.Run(CLASSES, generator(), momentum=momentum, rate=0.01)
    penalty = regularizers.build(Part(name="l1", options={"strength": 0.5}), run)
    sgd = torch.optim.SGD(layer.parameters(), lr=run.rate, momentum=momentum)
    for _ in range(3000):
        sgd.zero_grad()
        (0.5 * (layer.weight - 1) ** 2).sum().backward()
        sgd.step()
        penalty.after_step(layer)
    assert layer.weight.item() == pytest.approx(0.5, abs=1e-3)


def test_weight_decay_is_on_weights_only_and_is_sgds():
    network = models.initialise(models.build("inception"), 0)
    part = Part(name="weight_decay", options={"strength": 0.01})
    groups = regularizers.build(part).parameters(network, [{"params": list(network.parameters())}])
    decay = {id(p): g.get("weight_decay", 0.0) for g in groups for p in g["params"]}
    for name, parameter in network.named_parameters():
        assert decay[id(parameter)] == (0.01 if name.endswith("weight") else 0.0)
    assert len(decay) == len(list(network.parameters()))


def test_weight_decay_shrinks_by_the_formula(toy):
    """One step from the same weights differs by exactly -rate * strength * w on weights, nothing on biases."""
    decayed = Training(spec(Part(name="weight_decay", options={"strength": 0.1})), toy)
    plain = Training(spec(), toy)
    before = {k: v.clone() for k, v in plain.network.state_dict().items()}
    plain.train_step(), decayed.train_step()
    after = dict(decayed.network.named_parameters())
    for name, parameter in plain.network.named_parameters():
        shrink = 0.1 * 0.1 * before[name] if name.endswith("weight") and parameter.ndim > 1 else 0
        torch.testing.assert_close(after[name], parameter - shrink, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("values", ["signs", "bits"])
def test_restricted_weights_are_in_their_set(toy, values):
    training = Training(spec(Part(name="restricted_weights", options={"values": values})), toy)
    layers = places.layers(training.network)
    assert len(layers) == 5
    allowed = {"signs": {-1.0, 1.0}, "bits": {0.0, 1.0}}[values]

    def in_use(layer) -> set[float]:
        scaled = restrict(layer.weight, values) / (bound(layer.weight) / math.sqrt(3))
        return set(scaled.round(decimals=4).unique().tolist())

    assert all(in_use(layer) == allowed for layer in layers)
    for _ in range(5):
        training.train_step()
        for layer in layers:
            assert isinstance(layer, RestrictedLinear | RestrictedConv2d)
            assert layer.weight.abs().max() <= bound(layer.weight)
            if isinstance(layer, RestrictedLinear):
                used = layer(torch.eye(layer.in_features)) - layer.bias  # what the layer really multiplies by
                scale = bound(layer.weight) / math.sqrt(3)
                assert set((used / scale).round(decimals=4).unique().tolist()) <= allowed
            assert in_use(layer) <= allowed


def test_restricted_weights_gradient_goes_straight_through():
    weight = torch.randn(4, 5, requires_grad=True)
    upstream = torch.randn(4, 5)
    for values, low in (("signs", -1.0), ("bits", 0.0)):
        hard = restrict(weight, values)
        scale = math.sqrt(6 / (4 + 5)) / math.sqrt(3)  # Glorot's standard deviation
        torch.testing.assert_close(hard, scale * torch.where(weight > 0, 1.0, low))
        (gradient,) = torch.autograd.grad(hard, weight, upstream)
        assert torch.equal(gradient, upstream)


def test_restricted_weights_learn_by_the_gradient_of_the_weights_in_use():
    layer = torch.nn.Linear(5, 4, bias=False)
    images, upstream = torch.randn(7, 5), torch.randn(7, 4)
    places.become(layer, RestrictedLinear, values="signs")
    layer(images).backward(upstream)
    torch.testing.assert_close(layer.weight.grad, upstream.T @ images)


def test_restricted_weights_on_one_layer():
    network = with_it("restricted_weights", "alexnet", values="bits", layer=3)
    kinds = [isinstance(m, RestrictedLinear | RestrictedConv2d) for m in places.layers(network)]
    assert kinds == [False, False, True, False, False]
    with pytest.raises(InputError, match=r"restricted_weights.layer is 6, the network has 5 layers: give 0 to 5"):
        with_it("restricted_weights", "alexnet", values="bits", layer=6)


def test_gradient_noises_variance_falls():
    network = models.initialise(models.build("mlp-1x512"), 0)
    noise = build("gradient_noise", strength=0.3)
    for step in (0, 1, 50):
        noise.run.step = step
        for p in network.parameters():
            p.grad = torch.full_like(p, 2.0)
        noise.gradient(network)
        added = network.layers[0].weight.grad - 2
        assert added.var().item() == pytest.approx(0.3 / (1 + step) ** 0.55, rel=0.02)
        assert abs(added.mean().item()) < 0.003


# --- normalization ----------------------------------------------------------------------------


def test_batch_norm_makes_inception_of_inception_without_it():
    ours = with_it("batch_norm", "inception-nobn")
    theirs = models.initialise(models.build("inception"), 0)
    assert models.count_parameters(ours) == models.count_parameters(theirs)
    images = torch.randn(6, 3, 28, 28)
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


def test_batch_norm_of_units_is_torchs_and_a_batch_of_one_is_its_own_mean():
    norm, theirs = BatchNorm(6), nn.BatchNorm1d(6, eps=1e-3)
    with torch.no_grad():
        theirs.bias.copy_(norm.bias.normal_())
    x = torch.randn(9, 6)
    torch.testing.assert_close(norm(x), theirs(x))
    torch.testing.assert_close(norm(x[:1]), norm.bias[None])


def test_a_last_batch_of_one_trains(toy):
    last = list(train(spec(part("batch_norm", "PRACTICE"), model="mlp-1x512", n=33, steps=4, learning_rate=0.01), toy))
    assert math.isfinite(last[-1].train_loss)


def test_batch_norm_and_dropout_stand_in_the_order_given():
    after = {"place": "after"}
    for names, kinds in (
        (("dropout", "batch_norm"), [Dropout, BatchNorm]),
        (("batch_norm", "dropout"), [BatchNorm, Dropout]),
    ):
        network = models.build("mlp-1x512")
        for name in names:
            network = build(name, **(after if name == "batch_norm" else {})).network(network)
        assert [type(m) for m in network.layers[1].after] == kinds


@pytest.mark.parametrize(("name", "options"), [("group_norm", {"channels": 16}), ("layer_norm", {})])
def test_group_and_layer_norm_are_torchs(name, options):
    network = with_it(name, "alexnet", **options)
    images = torch.randn(3, 3, 28, 28)
    conv, linear = network.features[0][0], network.classifier[0]
    raw = F.conv2d(images, conv.weight, conv.bias, padding=2)
    groups = 4 if name == "group_norm" else 1
    torch.testing.assert_close(conv(images), F.group_norm(raw, groups), rtol=1e-4, atol=1e-4)
    flat = torch.randn(3, linear.in_features)
    raw = F.linear(flat, linear.weight, linear.bias)
    reference = F.layer_norm(raw, (384,)) if name == "layer_norm" else F.group_norm(raw, 24)
    torch.testing.assert_close(linear(flat), reference, rtol=1e-4, atol=1e-4)
    assert not hasattr(network.classifier[4], "after")  # logits are not normalized


def test_group_norm_says_what_divides():
    with pytest.raises(InputError, match=r"group_norm.channels is 5, a layer has 64 channels: give a divisor"):
        with_it("group_norm", "alexnet", channels=5)


def test_local_response_norm_is_krizhevskys():
    network = with_it("local_response_norm", "inception-nobn", alpha=0.01)
    count = sum(isinstance(m, LocalResponseNorm) for m in network.modules())
    assert count == sum(isinstance(m, nn.Conv2d) for m in network.modules())
    (norm,) = network.blocks[0].relu.after
    x = torch.rand(2, 8, 3, 3)
    y = norm(x)
    for c in range(8):
        total = sum(x[:, j].square() for j in range(max(0, c - 2), min(8, c + 3)))
        torch.testing.assert_close(y[:, c], x[:, c] / (1 + 0.01 * total) ** 0.75)


# --- a newcomer's -----------------------------------------------------------------------------


def tutorial() -> tuple[str, str]:
    """Name and text of the regularizer that README.md writes, as it stands there."""
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"`plugins/regularizers/(\w+)\.py`.*?```python\n(.*?)```", text, flags=re.DOTALL)
    return found


def test_the_readmes_regularizer_is_listed_run_and_held_to_the_laws(toy, toy_dir, tmp_path):
    name, text = tutorial()
    (tmp_path / "plugins" / "regularizers").mkdir(parents=True)
    (tmp_path / "plugins" / "regularizers" / f"{name}.py").write_text(text, encoding="utf-8")
    both = os.pathsep.join([os.environ["RETHINKING_PLUGINS"], str(tmp_path / "plugins")])

    def python(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            capture_output=True,
            text=True,
            env=os.environ | {"RETHINKING_PLUGINS": both},
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert re.search(rf"^  {name} ", python("-m", "rethinking.cli", "list", "regularizers"), flags=re.MULTILINE)
    run = ("run", "--data", "toy", "--n", "64", "--model", "tiny", "--steps", "4", "--eval-every", "2")
    where = ("--device", "cpu", "--data-dir", str(toy_dir), "--runs", str(tmp_path / "runs"))
    python("-m", "rethinking.cli", *run, "--regularize", f"{name}=0.2", *where)
    (record,) = (tmp_path / "runs").iterdir()
    assert record.name.startswith(f"toy-64-tiny-{name}-0.2-s0-")
    without = curve(RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2), toy)
    noisy = (record / "curve.csv").read_text()
    assert noisy.splitlines()[:2] == without.splitlines()[:2]  # the same beginning
    assert noisy != without
    swept = f"""
from rethinking.figures import _sweeps, setting
swept = [s.strengths for s in _sweeps.sweeps(setting("dose")) if s.regularizer == {name!r}]
print(_sweeps.family_of({name!r}), swept)
"""
    assert python("-c", swept) == "data [(0.1, 1.0)]\n"
    laws = python(
        "-m", "pytest", "-n0", "-q", str(Path(__file__)), "-k", f"{name} and not readmes", "-p", "no:cacheprovider"
    )
    assert re.search(r"^\d+ passed, \d+ deselected", laws.splitlines()[-1])
