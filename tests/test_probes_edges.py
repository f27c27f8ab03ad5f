"""The probes `shift` and `one_pixel`: each against a slow reference, networks with known answers, and their laws."""

import dataclasses
import math
from collections import Counter
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from test_probes import CARRIER, TINY, generator, probe, subject, trained_rows
from torch import nn

from rethinking import catalog, intervals, models, probes
from rethinking.errors import InputError
from rethinking.images import Split, whiten
from rethinking.probes import _attacks, one_pixel, shift
from rethinking.probes._pixels import Pixels
from rethinking.seeds import keyed_generator
from rethinking.spec import Part

MLP = TINY.replace(model="mlp-3x512", model_options={"width": 24}, learning_rate=0.01)


def with_network(toy, network, images=None):
    """A trained subject whose network is a given one; images: those of both splits, instead of the toy's first 24."""
    images = toy.train.images[:24] if images is None else images
    split = Split(images, np.arange(len(images)) % 4)
    spec = CARRIER.replace(n=len(images), corruptions=())
    trained = subject(dataclasses.replace(toy, train=split, test=split), spec)
    trained._training.network = network.eval()
    return dataclasses.replace(trained, network=network)


def random_network(*layers, seed=0):
    network = models.initialise(nn.Sequential(*layers), seed)
    for parameter in network.parameters():
        parameter.data.mul_(3)
    return network


def convolution():
    return random_network(nn.Conv2d(3, 6, 5, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 64, 4))


# --- the images -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"held_out": 20, "bootstrap": True},
        {"corruptions": (Part(name="shuffled_pixels"), Part(name="random_labels")), "bootstrap": True},
        {"corruptions": (Part(name="gaussian"),)},
    ],
)
def test_pixels_are_what_the_network_is_given_before_the_whitening(toy, fields):
    trained = subject(toy, CARRIER.replace(**fields))
    for split in ("train", "test"):
        pixels, given = trained.pixels(split, 30), getattr(trained, split)[0][:30]
        assert torch.equal(whiten(pixels).permute(0, 3, 1, 2), given)
        plain = tuple(part for part in trained.spec.corruptions if part.name != "random_labels")
        without = (
            subject(toy, trained.spec.replace(corruptions=plain)) if plain != trained.spec.corruptions else trained
        )
        assert torch.equal(trained.true_labels(split, 30), getattr(without, split)[1][:30])
    if any(part.name != "random_labels" for part in trained.spec.corruptions):
        with pytest.raises(InputError, match="is of the centre crop alone, which has no pixels around it"):
            trained.originals("train", 30)
    else:
        assert torch.equal(trained.originals("train", 30)[:, 2:30, 2:30].float(), trained.pixels("train", 30))


# --- shift ----------------------------------------------------------------------------------------


def bilinear(image, y, x):
    """A value of an image (H, W, C) between its pixels."""
    top, left = (min(int(np.floor(v)), side - 2) for v, side in ((y, image.shape[0]), (x, image.shape[1])))
    dy, dx = y - top, x - left
    above = (1 - dx) * image[top, left] + dx * image[top, left + 1]
    below = (1 - dx) * image[top + 1, left] + dx * image[top + 1, left + 1]
    return (1 - dy) * above + dy * below


def slow_copies(image, reach, scales, pad):
    """All copies of one image (H, W, C), one by one, of a crop of 28: {offset: copy}, [copy of each scale]."""
    image = np.pad(image.astype(float), ((pad, pad), (pad, pad), (0, 0)))
    start = 2 + pad
    moved = {
        (i, j): image[start + i : start + i + 28, start + j : start + j + 28]
        for i in range(-reach, reach + 1)
        for j in range(-reach, reach + 1)
    }
    centre = start + 13.5
    scaled = [
        np.array(
            [[bilinear(image, centre + (i - 13.5) / s, centre + (j - 13.5) / s) for j in range(28)] for i in range(28)]
        )
        for s in scales
    ]
    return moved, scaled


@pytest.mark.parametrize(("border", "reach"), [("real", 2), ("black", 3)])
def test_shifts_are_those_of_a_loop_over_images_and_copies(toy, border, reach):
    trained = with_network(toy, convolution(), toy.train.images[:5])
    rows = list(shift.measure(trained, generator(), images=5, reach=reach, border=border, scale=0.1, steps=2))

    def softmax(copy):
        x = copy / 255
        x = (x - x.mean()) / max(x.std(), 1 / np.sqrt(x.size))
        with torch.no_grad():
            return trained.network(torch.tensor(x.transpose(2, 0, 1)[None], dtype=torch.float32))[0].softmax(0).numpy()

    wanted = {key: [] for key in range(reach + 2)}
    for image, label in zip(toy.train.images[:5], np.arange(5) % 4, strict=True):
        moved, scaled = slow_copies(image, reach, [0.9, 0.95, 1, 1.05, 1.1], reach - 2)
        moved, scaled = {k: softmax(v) for k, v in moved.items()}, [softmax(v) for v in scaled]
        for r in range(1, reach + 1):
            near = {k: p for k, p in moved.items() if max(map(abs, k)) <= r}
            pairs = [(p, near[i + 1, j + 1]) for (i, j), p in near.items() if (i + 1, j + 1) in near]
            edge = [p for k, p in near.items() if max(map(abs, k)) == r]
            wanted[r - 1].append(slow(list(near.values()), pairs, edge, [near[i, i] for i in range(-r, r + 1)], label))
        for r in (1, 2):
            near = scaled[2 - r : 3 + r]
            wanted[reach + r - 1].append(slow(near, list(pairwise(near)), [near[0], near[-1]], near, label))
    assert len(rows) == 2 * (reach + 2)
    for k, row in enumerate(rows):  # the test images are the same ones
        for name, value in {n: np.mean([w[n] for w in wanted[k % (reach + 2)]]) for n in wanted[0][0]}.items():
            assert row[name] == pytest.approx(value, abs=1e-5), (k, name)
    assert {(row["test"], row["scaled"], row["reach"]) for row in rows} == {
        (t, *rest) for t in (0, 1) for rest in [*((0, r) for r in range(1, reach + 1)), (1, 0.05), (1, 0.1)]
    }


def slow(copies, pairs, edge, path, label):
    """The readings of one image, from the probabilities of its copies."""
    kinds, own, classes = [p.argmax() for p in copies], path[len(path) // 2].argmax(), range(len(path[0]))
    mean = np.mean(copies, 0)
    return {
        "accuracy": own == label,
        "mean_accuracy": np.mean([k == label for k in kinds]),
        "edge_accuracy": np.mean([p.argmax() == label for p in edge]),
        "averaged_accuracy": mean.argmax() == label,
        "voted_accuracy": max(classes, key=lambda c: (kinds.count(c), mean[c])) == label,
        "change": np.mean([a.argmax() != b.argmax() for a, b in pairs]),
        "absolute_change": np.mean([abs(b[a.argmax()] - a[a.argmax()]) for a, b in pairs]),
        "edge_change": np.mean([p.argmax() != own for p in edge]),
        "agreement": np.mean([a == b for a in kinds for b in kinds]),
        "jaggedness": sum(abs(b[own] - a[own]) for a, b in pairwise(path)),
    }


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def test_a_network_that_does_not_see_where_things_are_never_changes_its_mind(toy):
    images = np.zeros((20, 32, 32, 3), np.uint8)
    images[:, 8:-8, 8:-8] = toy.train.images[:20, 8:-8, 8:-8]
    blind = random_network(nn.Conv2d(3, 8, 1), nn.ReLU(), Mean(), nn.Linear(8, 4))
    options = {"images": 20, "reach": 5, "border": "black", "scale": 0.0, "steps": 1}
    for row in shift.measure(with_network(toy, blind, images), generator(), **options):
        assert (row["change"], row["edge_change"], row["agreement"]) == (0, 0, 1)
        assert row["jaggedness"] == pytest.approx(0, abs=1e-5)
        names = ("mean", "edge", "averaged", "voted")
        assert {row[f"{name}_accuracy"] for name in names} == {row["accuracy"]}
    seeing = random_network(nn.Conv2d(3, 8, 5, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(512, 4))
    assert all(r["change"] > 0 for r in shift.measure(with_network(toy, seeing, images), generator(), **options))


def test_borders_are_what_they_are_called(toy):
    images = torch.from_numpy(toy.train.images[:3]).float()
    for border in ("black", "inpainted"):
        around = shift.padded(images, 9, border)
        assert torch.equal(around[:, 9:-9, 9:-9], images)
        around[:, 9:-9, 9:-9] = 0
        assert (around == 0).all() == (border == "black")
    filled = shift.padded(images, 9, "inpainted")
    assert images.min() <= filled.min() <= filled.max() <= images.max()
    flat = torch.full((2, 32, 32, 3), 77.0)
    torch.testing.assert_close(shift.padded(flat, 9, "inpainted"), torch.full((2, 50, 50, 3), 77.0))


def test_a_border_matters_only_to_crops_that_pass_the_edge(toy):
    trained = subject(toy)
    given = {b: trained_rows(probe("shift", CARRIER, images=8, border=b), trained) for b in ("real", "black")}
    assert given["real"] == given["black"]
    with pytest.raises(InputError, match=r"^reach is 3: the images have 2 real pixels around the crop, 3 are needed"):
        trained_rows(probe("shift", CARRIER, reach=3), trained)
    with pytest.raises(
        InputError, match=r"^scale is 0\.2: the images have 2 real pixels around the crop, 4 are needed"
    ):
        trained_rows(probe("shift", CARRIER, scale=0.2), trained)
    whole = subject(toy, MLP.replace(crop=32))
    with pytest.raises(InputError, match=r"0 real pixels .* give less, or border=black or inpainted$"):
        trained_rows(probe("shift", whole.spec), whole)
    assert len(trained_rows(probe("shift", whole.spec, images=8, reach=1, border="inpainted", steps=1), whole)) == 4


def test_shifts_do_not_depend_on_how_many_images_go_together(toy, monkeypatch):
    trained, spec = subject(toy), probe("shift", CARRIER, images=20, border="inpainted", reach=3, steps=1)
    before = trained_rows(spec, trained)
    monkeypatch.setattr(shift, "PART", 7)
    assert trained_rows(spec, trained) == [pytest.approx(row, abs=1e-6) for row in before]


# --- one pixel ------------------------------------------------------------------------------------


def candidates(subject, count, pixels, seed=0):
    draws = generator(seed)
    which = torch.randint(len(subject.images), (count,), generator=draws)
    places = torch.randint(subject.images.shape[1], (count, pixels), generator=draws)
    places[::3, -1] = places[::3, 0]  # twice the same
    return which, places, torch.randint(256, (count, pixels, 3), generator=draws).float()


@pytest.mark.parametrize(
    "parts", [(), (Part(name="batch_norm", options={"on": True}),), (Part(name="dropout", options={"rate": 0.5}),)]
)
@pytest.mark.parametrize("pixels", [1, 5])
def test_the_short_cut_is_the_plain_way(toy, parts, pixels):
    trained = subject(toy, MLP.replace(regularizers=parts))
    given = Pixels(trained, trained.pixels("train", 10))
    assert given.quick
    which, places, colours = candidates(given, 600, pixels)
    with torch.no_grad():
        quick = given.logits(which, places, colours)
        given.quick = False
        torch.testing.assert_close(quick, given.logits(which, places, colours), rtol=1e-4, atol=1e-4)


def test_the_short_cut_is_left_where_a_network_does_not_begin_linearly(toy):
    for spec in (
        CARRIER,
        MLP.replace(precision="bfloat16"),
        MLP.replace(regularizers=(Part(name="maxout", options={"pieces": 2}),)),
    ):
        trained = subject(toy, spec)
        with torch.no_grad():
            given = Pixels(trained, trained.pixels("train", 4))
            assert not given.quick
            which, places, colours = candidates(given, 30, 2)
            alone = torch.cat(
                [given.logits(*each) for each in zip(which.split(1), places.split(1), colours.split(1), strict=True)]
            )
            torch.testing.assert_close(given.logits(which, places, colours), alone, rtol=3e-2, atol=3e-2)


def test_an_attack_changes_no_more_than_its_pixels_to_bytes(toy, monkeypatch):
    trained = subject(toy)
    given, seen = Pixels(trained, trained.pixels("train", 2)), []
    monkeypatch.setattr(given, "_plainly", lambda *each: seen.append(each) or Pixels._plainly(given, *each))
    attacks = one_pixel.Attacks.of(trained.train[1][:2], 4, True)
    with torch.no_grad():
        one_pixel.evolve(given, attacks, generator(), 3, 30, 4, "confident")
        one_pixel.search(given, attacks)
    assert seen
    for which, places, colours in seen:
        changed = given.changed(which, places, colours).flatten(1, 2)
        assert ((changed != given.images[which]).any(2).sum(1) <= places.shape[1]).all()
        assert changed.min() >= 0
        assert changed.max() <= 255
        assert torch.equal(changed, changed.round())


def test_the_gradient_ranks_changes_by_what_they_do_to_first_order(toy):
    """Of all changes, at once or by generations, it finds what the exhaustive search finds, and sees none twice."""
    trained = subject(toy)
    given = Pixels(trained, trained.pixels("train", 3))
    for targeted in (False, True):
        attacks = one_pixel.Attacks.of(trained.train[1][:3], 4, targeted)
        with torch.no_grad():
            whole = one_pixel.search(given, attacks)
            for population, generations in ((10_000, 0), (1_000, 9)):
                every = one_pixel.descend(given, attacks, population, generations, "changed")
                assert torch.equal(attacks.succeeded(every.kind), attacks.succeeded(whole.kind))
                unbroken = len(attacks.label) - int(attacks.succeeded(every.kind).sum())
                assert 6272 * unbroken <= every.forwards <= 6272 * len(attacks.label)
            images = given.images[attacks.image][:, None]
            slope = given.slope(images, attacks.cost)
            for place in (0, 400, 783):
                step = torch.zeros_like(images)
                step[:, :, place, 0] = 1.0
                costs = [attacks.cost(asked(trained, images + sign * step)) for sign in (1.0, -1.0)]
                risen = ((costs[0] - costs[1]) / 2).float()
                torch.testing.assert_close(slope[:, :, place, 0], risen, rtol=0.05, atol=1e-5)


def gradient_search(trained, image, cost, population, generations):
    """`descend` of one attack, step by step: the changes (place, corner) that each generation evaluates."""
    corners = torch.tensor(list(np.ndindex(2, 2, 2))) * 255.0
    seen, begun, origins, evaluated = {}, set(), [image], []
    for _ in range(generations + 1):
        slopes = []
        for origin in origins:
            x = origin.clone().requires_grad_()
            cost(asked(trained, x[None, None])).backward()
            slopes.append(x.grad)
        each = [(slope[:, None] * (corners - image[:, None])).sum(2) for slope in slopes]  # (places, corners)
        order = [divmod(k, 8) for k in torch.stack(each).amin(0).flatten().argsort().tolist()]
        evaluated.append(sorted([change for change in order if change not in seen][:population]))
        for place, k in evaluated[-1]:
            changed = image.clone()
            changed[place] = corners[k]
            seen[place, k] = cost(asked(trained, changed[None, None])).item()
        if min(seen.values()) < 0:
            break
        origins = []
        for place, k in sorted(seen, key=seen.get):
            if place not in begun and len(origins) < 3:
                begun.add(place)
                origins.append(image.clone())
                origins[-1][place] = corners[k]
    return evaluated


@pytest.mark.parametrize("targeted", [False, True])
def test_the_gradient_search_is_that_of_each_attack_alone(toy, monkeypatch, targeted):
    trained = subject(toy)
    given, calls = Pixels(trained, trained.pixels("train", 2)), []
    attacks = one_pixel.Attacks.of(trained.train[1][:2], 4, targeted)
    logits = given.logits
    monkeypatch.setattr(given, "logits", lambda *each, **options: calls.append(each) or logits(*each, **options))
    with torch.no_grad():
        found = one_pixel.descend(given, attacks, 12, 3, "changed")
    names = [tuple(each.long().tolist()) for each in torch.tensor(list(np.ndindex(2, 2, 2))) * 255.0]
    expected = []  # by generation, of the attacks that go on
    for k in range(len(attacks.label)):
        image = given.images[attacks.image[k]]
        steps = gradient_search(trained, image, lambda logits, k=k: attacks[k : k + 1].cost(logits), 12, 3)
        expected += [(generation, k, step) for generation, step in enumerate(steps)]
    seen = [
        sorted(
            (int(p), names.index(tuple(c.long().tolist()))) for p, c in zip(places[:, 0], colours[:, 0], strict=True)
        )
        for _, places, colours in calls
    ]
    assert seen == [step for _, _, step in sorted(expected)]
    assert found.forwards == sum(map(len, seen))


def asked(trained, images):
    """Logits (A, M, classes) of images (A, M, H W, C) before whitening."""
    flat = images.flatten(0, 1).unflatten(1, (28, 28))
    return trained.network(whiten(flat).permute(0, 3, 1, 2)).unflatten(0, images.shape[:2])


class Looks(nn.Module):
    """Two classes: whether the first channel of one pixel is above the image's mean."""

    def __init__(self, row, column):
        super().__init__()
        self.at = row, column

    def forward(self, x):
        z = x[:, 0, self.at[0], self.at[1]]
        return torch.stack([-z, z, z - 1e6, z - 1e6], 1)


def test_a_network_that_looks_at_one_pixel_is_broken_there_and_nowhere_else(toy):
    images = toy.train.images[:24].copy()
    images[:, 2 + 7, 2 + 20] = np.where(np.arange(24) % 2, 250, 5)[:, None]  # far from the mean
    trained = with_network(toy, Looks(7, 20), images)
    given, labels = Pixels(trained, trained.pixels("train", 2)), torch.tensor([0, 1])
    with torch.no_grad():
        place = torch.arange(28 * 28).repeat_interleave(8)[:, None]
        corners = torch.tensor(list(np.ndindex(2, 2, 2))).float().repeat(28 * 28, 1)[:, None] * 255
        kind = given.logits(torch.zeros_like(place[:, 0]), place, corners).argmax(1)
        hits = place[:, 0][kind != 0]
        assert hits.tolist() == [7 * 28 + 20] * 4  # the corners with red
        reached = one_pixel.search(given, one_pixel.Attacks.of(labels, 4, True)).kind
        assert reached.tolist() == [1, 0, 0, 0, 1, 1]  # no class but these two is ever given
        attacks = one_pixel.Attacks.of(labels.repeat(2), 4, False)
        attacks = dataclasses.replace(attacks, image=attacks.image % 2)
        assert (one_pixel.evolve(given, attacks, generator(), 1, 150, 60, "changed").kind != attacks.label).any()
        few = one_pixel.descend(given, one_pixel.Attacks.of(labels, 4, True), 4, 0, "changed").kind
        assert few.tolist() == reached.tolist()  # the four changes that matter come first
    several = probe("one_pixel", images=2, method="gradient", pixels=2).options
    with pytest.raises(InputError, match=r"method=gradient changes one pixel, and pixels is 2"):
        list(one_pixel.measure(trained, generator(), **several))
    options = probe("one_pixel", images=2, population=4, generations=0, exhaustive=True).options
    rows = list(one_pixel.measure(trained, generator(), **options))
    assert [(r["images"], r["broken"], r["missed"], r["forwards"]) for r in rows] == [
        (2, 0, 2, 8),
        (2, 2, 0, 2 * 6272),
    ] * 2


class Grey:
    """What an attack asks of `Pixels`, of grey images and a network of their bytes."""

    def __init__(self, images, network):
        self.images, self.shape, self.network = images.flatten(1, 2), images.shape[1:], network

    def logits(self, which, places, colours, part=0):
        images = self.images[which].clone()
        for k in range(places.shape[1]):
            images[torch.arange(len(which)), places[:, k]] = colours[:, k]
        return self.network(images.flatten(1) / 255)


def test_the_evolution_finds_nothing_that_trying_everything_denies_and_most_of_the_rest():
    network = random_network(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3), seed=4)
    images = torch.randint(256, (120, 4, 4, 1), generator=generator()).float()
    with torch.no_grad():
        given = Grey(images, network)
        label = network(given.images.flatten(1) / 255).argmax(1)
        places = torch.arange(16).repeat_interleave(256)[:, None]
        bytes_ = torch.arange(256.0).repeat(16)[:, None, None]
        reach = [given.logits(torch.full_like(places[:, 0], k), places, bytes_).argmax(1).unique() for k in range(120)]
        for targeted in (False, True):
            attacks = one_pixel.Attacks.of(label, 3, targeted)
            found = one_pixel.evolve(given, attacks, generator(), 1, 40, 40, "changed")
            possible = torch.tensor(
                [
                    bool((r == t).any()) if targeted else len(r) > 1
                    for r, t in ((reach[i], t) for i, t in zip(attacks.image, attacks.target, strict=True))
                ]
            )
            hit = attacks.succeeded(found.kind)
            assert not (hit & ~possible).any()
            assert 0.1 < possible.double().mean() < 0.9
            assert hit[possible].double().mean() > 0.95
            corners = one_pixel.search(given, attacks)
            assert not (attacks.succeeded(corners.kind) & ~possible).any()
            assert corners.forwards == 120 * 16 * 2
            confident = one_pixel.evolve(given, attacks, generator(), 1, 40, 40, "confident")
            assert torch.equal(attacks.succeeded(confident.kind), hit)  # the same, after as many forwards or more
            assert confident.forwards >= found.forwards
            assert (confident.probability[hit] >= found.probability[hit] - 1e-12).double().mean() > 0.9
        last = torch.tensor([[[0.0, 0.0], [-9.0, 9.0]]])
        attack = one_pixel.Attacks(*torch.tensor([[0], [0], [-1]]))
        assert attack.cost(last)[0].tolist() == [0.0, -18.0]  # the log odds of p = 1/2 and of 1 / (1 + e^18)


def test_of_a_hundred_classes_both_rules_have_the_same_successes():
    """No class ever has more than 5 %, so that the label's probability alone would end an evolution at once."""
    network = random_network(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 100), seed=4)
    network[2].weight.data /= 100
    network[2].bias.data.zero_()
    with torch.no_grad():
        given = Grey(torch.randint(256, (40, 4, 4, 1), generator=generator()).float(), network)
        logits = network(given.images.flatten(1) / 255)
        assert logits.softmax(1).max() < 0.05
        attacks = one_pixel.Attacks.of(logits.argmax(1), 100, False)
        ends = [
            attacks.succeeded(one_pixel.evolve(given, attacks, generator(), 1, 8, 20, until).kind)
            for until in ("changed", "confident")
        ]
    assert 0 < ends[0].sum() < 40
    assert torch.equal(*ends)


@pytest.mark.parametrize("pixels", [1, 2])
def test_an_evolution_evaluates_every_changed_image_once_and_comes_to_the_end_of_one_that_does_not(pixels):
    first, last = (torch.randint(-3, 4, shape, generator=generator()).float() for shape in ((9, 6), (6, 3)))

    def network(images):  # of whole numbers, so that nothing is rounded
        return ((images * 255).round() @ first).relu() @ last / 1024

    images = torch.randint(256, (6, 3, 3, 1), generator=generator()).float()
    with torch.no_grad():
        given = Grey(images, network)
        attacks = one_pixel.Attacks.of(network(given.images.flatten(1) / 255).argmax(1), 3, True)
        logits, asked = given.logits, []
        given.logits = lambda which, places, colours, part: (
            asked.extend(zip(which.tolist(), places.tolist(), colours.tolist(), strict=True))
            or logits(which, places, colours)
        )
        found = one_pixel.evolve(given, attacks, generator(), pixels, 12, 30, "confident")
        assert found.forwards == len(asked) < 12 * 31 * 12
        for image in range(6):  # of two attacks each
            assert max(Counter(map(repr, (each for each in asked if each[0] == image))).values()) <= 2
        seeds = torch.randint(2**63 - 1, (12,), generator=generator())
        for each, seed in enumerate(seeds.tolist()):
            attack, own = attacks[each : each + 1], keyed_generator("cpu", seed, "attack")
            people, cost, least = one_pixel.first(given.shape, pixels, 12, own), torch.full((12,), math.inf), math.inf
            for generation in range(31):
                a, b, c = one_pixel.three(12, own) if generation else [torch.arange(12)] * 3
                children = one_pixel.within(people[a] + 0.5 * (people[b] - people[c]), given.shape)
                place = children[..., :2].long().clamp_max(2)
                which = torch.full((12,), int(attack.image))
                out = logits(which, place[..., 0] * 3 + place[..., 1], children[..., 2:].round())
                own_cost = attack.cost(out[None])[0]
                hit = attack.succeeded(out.argmax(1)[None])[0]
                least = min([least, *own_cost[hit].tolist()])
                people = torch.where((own_cost <= cost)[:, None, None], children, people)
                cost = torch.minimum(cost, own_cost)
                if cost.min() <= _attacks.TOWARDS:
                    break
            assert found.cost[each].item() == least


def test_the_evolution_breaks_more_than_as_many_candidates_at_random():
    network = random_network(nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 3), seed=4)
    with torch.no_grad():
        given = Grey(torch.randint(256, (60, 8, 8, 1), generator=generator()).float(), network)
        attacks = one_pixel.Attacks.of(network(given.images.flatten(1) / 255).argmax(1), 3, True)
        broken = [
            attacks.succeeded(one_pixel.evolve(given, attacks, generator(), 5, *each, "confident").kind).sum()
            for each in ((30, 39), (1200, 0))
        ]
    assert broken[0] > 1.1 * broken[1]


def test_attacks_do_not_depend_on_what_is_attacked_beside_them(toy, monkeypatch):
    trained = subject(toy, MLP)
    given, attacks = Pixels(trained, trained.pixels("train", 12)), one_pixel.Attacks.of(trained.train[1][:12], 4, False)
    results = []
    quickly = given._quickly
    monkeypatch.setattr(given, "_quickly", lambda which, *rest: together_alone(which) or quickly(which, *rest))

    def together_alone(which):
        assert (which == which[0]).all()
        assert len(which) == 30

    for together in (1, 90, 10**6):
        monkeypatch.setattr(one_pixel, "TOGETHER", together)
        with torch.no_grad():
            found = one_pixel.evolve(given, attacks, generator(), 2, 30, 5, "confident")
        results.append((found.kind.tolist(), found.cost.tolist(), found.forwards))
    assert results[0] == results[1] == results[2]
    assert np.isfinite(results[0][1]).any()


def test_three_candidates_are_different_and_uniform():
    draws = torch.stack([one_pixel.three(5, generator(k)) for k in range(400)], 1).flatten(1)  # (3, 2000)
    assert all(len(set(each)) == 3 for each in draws.T.tolist())
    counts = np.unique(draws.T.numpy(), axis=0, return_counts=True)[1]
    assert len(counts) == 60  # 5 x 4 x 3, expected 33 times each
    assert counts.min() > 10
    assert counts.max() < 65


@pytest.mark.parametrize(("successes", "trials"), [(0, 7), (3, 7), (7, 7), (227, 1000)])
def test_intervals_are_wilsons(successes, trials):
    exact = binomtest(successes, trials).proportion_ci(method="wilson")
    assert intervals.wilson(successes, trials) == pytest.approx((exact.low, exact.high), abs=1e-6)


def test_rows_count_what_the_arrays_hold(toy):
    trained = subject(toy, MLP)
    options = probe("one_pixel", MLP, images=9, exhaustive=True).options
    made, rows = one_pixel.measure(trained, generator(), **options), []
    with torch.no_grad():
        while True:
            try:
                rows.append(next(made))
            except StopIteration as end:
                arrays = end.value
                break
    assert [(r["test"], r["exhaustive"]) for r in rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for row in rows:
        split = ("train", "test")[row["test"]]
        inputs, labels = getattr(trained, split)
        place, label, target, *ends = torch.from_numpy(arrays[split]).T.long()
        assert torch.equal(labels[place], label)
        assert (trained.logits(inputs).argmax(1)[place] == label).all()
        assert (target == -1).all()
        hit = [end != label for end in ends]
        which = row["exhaustive"]
        assert row["images"] == row["attacks"] == len(place) <= 9
        assert row["broken"] == row["successes"] == hit[which].sum()
        assert row["missed"] == (hit[1 - which] & ~hit[which]).sum()
        assert row["low"] <= row["rate"] == row["broken"] / row["images"] <= row["high"]
        assert row["accuracy"] == trained.accuracy(inputs, labels)
    rows = trained_rows(probe("one_pixel", MLP, images=9, targeted=True), trained)
    assert all(r["attacks"] == 3 * r["images"] and r["broken"] <= r["successes"] <= r["attacks"] for r in rows)
    assert [r["exhaustive"] for r in trained_rows(probe("one_pixel", MLP, pixels=3), trained)] == [0, 0]


@pytest.mark.parametrize(
    ("name", "option", "value", "message"),
    [
        ("one_pixel", "pixels", 0, "greater than or equal to 1"),
        ("one_pixel", "population", 3, "greater than or equal to 4"),
        ("one_pixel", "until", "never", "'changed' or 'confident'"),
        ("shift", "reach", 0, "greater than or equal to 1"),
        ("shift", "scale", 0.9, "less than or equal to 0.5"),
        ("shift", "border", "white", "'real', 'black' or 'inpainted'"),
    ],
)
def test_options_out_of_range_are_one_line(name, option, value, message):
    with pytest.raises(InputError, match=rf"^{name}\.{option} is {value!r}: .*{message}") as caught:
        probe(name, **{option: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("shift", {"images": 8, "reach": 2, "steps": 3}),
        ("shift", {"images": 8, "reach": 1, "scale": 0.0}),
        ("deletion", {"images": 16, "repeats": 2, "points": 3}),
        ("noise", {"images": 16, "repeats": 2, "points": 3}),
        ("selectivity", {"images": 8, "units": 20}),
        ("one_pixel", {"images": 2, "population": 30, "generations": 5, "until": "confident"}),
        ("one_pixel", {"images": 2, "population": 30, "generations": 5, "pixels": 3}),
    ],
)
def test_the_time_is_estimated_from_how_many_images_are_evaluated(toy, monkeypatch, name, options):
    trained, spec, counts = subject(toy), probe(name, CARRIER, **options), []
    logits = trained._training.logits
    monkeypatch.setattr(trained._training, "logits", lambda x: counts.append(len(x)) or logits(x))
    trained_rows(spec, trained)
    said = catalog.load("probes", name).forwards(CARRIER, **spec.options)
    if name != "one_pixel":
        assert sum(counts) == said
    else:
        assert said / 4 < sum(counts) - len(toy.test.labels) <= said
    for lacks in (False, True):  # the weights are there, or the run is trained again
        known = SimpleNamespace(
            image_on=lambda run, device: 0.3,
            seconds=lambda run, image: (1.0, 2.0),
            lacks=lambda run, lacks=lacks: lacks,
            probed=lambda spec: [],
        )
        expected, most = probes.estimate(spec, "cpu", known)
        assert expected == pytest.approx(10 + 0.001 * CARRIER.n + 0.1 * said + lacks)
        assert most == pytest.approx(expected + lacks)
