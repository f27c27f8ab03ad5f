"""The probes `noise`, `selectivity` and `pac_bayes`: each against a slow or exact reference, and their laws."""

import copy
import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from test_probes import TINY, generator, network, probe, subject, trained_rows
from torch import nn
from torch.distributions import Normal, kl_divergence

from rethinking.errors import InputError
from rethinking.layers import OffsetBatchNorm2d
from rethinking.probes import _folding, capacity, deletion, noise, pac_bayes, selectivity
from rethinking.spec import Part
from rethinking.surgery import activations, weighted

NARROW = TINY.replace(model="mlp-1x512", model_options={"width": 12}, learning_rate=0.01)


def hidden(trained, images):
    """The layers of NARROW, and the activations of images (N, 12)."""
    first, last = weighted(trained.network)
    return first, last, F.relu(F.linear(images.flatten(1), first.weight, first.bias))


# --- noise ----------------------------------------------------------------------------------------


def test_no_noise_is_the_network_and_noise_is_that_of_a_loop_over_units(toy):
    trained = subject(toy, NARROW)
    inputs, labels = (each[:40] for each in trained.train)
    rows = trained_rows(probe("noise", NARROW, images=40, repeats=2, points=2, most=1.5), trained)
    assert [(row["repeat"], row["scale"]) for row in rows] == [(r, s) for r in (1, 2) for s in (0.0, 0.75, 1.5)]
    assert rows[0]["accuracy"] == rows[3]["accuracy"] == trained.accuracy(inputs, labels)
    draws = generator()
    with torch.no_grad():
        _, last, activity = hidden(trained, inputs)
        spread = activity.std(0, correction=0)
        for row in rows:
            unit = torch.randn(activity.shape, generator=draws)
            moved = torch.stack([a + row["scale"] * spread * e for a, e in zip(activity, unit, strict=True)])
            right = (F.linear(moved, last.weight, last.bias).argmax(1) == labels).double().mean().item()
            assert row["accuracy"] == pytest.approx(right, abs=1.5 / 40)  # a tie may be rounded the other way


def test_noise_is_in_units_of_every_units_own_spread(toy):
    """A unit times c and what reads it by 1 / c: the same noise, the same accuracy."""
    trained, accuracies = subject(toy, NARROW), []
    for c in (1.0, 8.0):
        first, last = weighted(trained.network)
        first.weight.data[3] *= c
        first.bias.data[3] *= c
        last.weight.data[:, 3] /= c
        rows = trained_rows(probe("noise", NARROW, images=60), trained)
        accuracies.append([row["accuracy"] for row in rows])
    assert accuracies[0] == pytest.approx(accuracies[1], abs=1.5 / 60)
    assert min(accuracies[0]) < accuracies[0][0]


# --- selectivity ----------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["zero", "mean"])
def test_damage_is_that_of_networks_without_the_unit_and_selectivity_the_formulas(toy, to):
    trained = subject(toy, NARROW)
    inputs, labels = (each[:50] for each in trained.train)
    made = selectivity.measure(trained, generator(), images=50, units=50, to=to)
    with torch.no_grad():
        (row,) = rows = [next(made)]
        with pytest.raises(StopIteration) as end:
            next(made)
        _, last, activity = hidden(trained, inputs)

        def judged(moved):
            logits = F.linear(moved, last.weight, last.bias)
            return F.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).double().mean().item()

        loss, accuracy = judged(activity)
        slow = {"selectivity": [], "rise": [], "fall": []}
        for unit in range(12):
            means = [activity[labels == k, unit].mean().item() for k in range(4)]
            top = max(means)
            others = (sum(means) - top) / 3
            slow["selectivity"].append((top - others) / (top + others) if top > 0 else 0.0)
            moved = activity.clone()
            moved[:, unit] = activity[:, unit].mean() if to == "mean" else 0
            now = judged(moved)
            slow["rise"].append(now[0] - loss)
            slow["fall"].append(accuracy - now[1])
    for name, values in slow.items():
        np.testing.assert_allclose(end.value.value[name], values, atol=2e-5)
        assert rows[0][name] == pytest.approx(np.mean(values), abs=1e-5)
    assert end.value.value["unit"].tolist() == list(range(row["units"])) == list(range(12))
    assert row["worst_fall"] == pytest.approx(max(slow["fall"]))
    assert row["correlation"] == pytest.approx(spearmanr(slow["selectivity"], slow["rise"]).statistic, abs=0.02)


def test_a_unit_of_one_class_is_selective_and_one_of_all_is_not():
    means = torch.tensor([[1.0, 2.0, 0.0, 3.0], [0.0, 2.0, 0.0, 1.0], [0.0, 2.0, 0.0, 1.0]])
    assert selectivity.selectivity(means).tolist() == [1.0, 0.0, 0.0, 0.5]
    assert selectivity.spearman(np.array([1.0, 2.0, 5.0]), np.array([3.0, 1.0, 0.0])) == pytest.approx(-1)
    assert selectivity.spearman(np.array([1.0, 2.0, 5.0]), np.zeros(3)) == 0.0


@pytest.mark.parametrize(("name", "options"), [("batch_norm", {"place": "after"}), ("maxout", {"pieces": 2})])
def test_selectivity_of_negative_activations_is_refused(toy, name, options):
    trained = subject(toy, NARROW.replace(regularizers=(Part(name=name, options=options),)))
    weighted(trained.network)[0].bias.data.sub_(3)  # maxima below 0 too
    with pytest.raises(InputError, match=r"class means down to -.*: measure a network whose units end in") as caught:
        trained_rows(probe("selectivity", NARROW, images=50), trained)
    assert "\n" not in str(caught.value)


def test_behind_a_norm_after_the_relu_its_output_is_what_is_clamped(toy):
    trained = subject(toy, NARROW.replace(regularizers=(Part(name="batch_norm", options={"place": "after"}),)))
    x, gone = trained.train[0][:16], torch.arange(12) == 5
    ((_, relu),) = activations(trained.network)
    _, last, hidden_units = hidden(trained, x)
    with torch.no_grad(), deletion.clamped([relu], [gone], [torch.zeros(12)]):
        read = relu.after[0](hidden_units) * ~gone
        torch.testing.assert_close(trained.network(x), F.linear(read, last.weight, last.bias), rtol=1e-4, atol=1e-4)


def test_a_deleted_map_is_as_a_network_without_that_filter(toy):
    """With batch norm, whose offset goes with it."""
    trained = subject(toy, TINY)
    x = trained.train[0][:8]
    conv, norm, relu, _, last = trained.network
    gone = torch.arange(8) == 5
    small = nn.Sequential(nn.Conv2d(3, 7, 3, stride=4, padding=1), OffsetBatchNorm2d(7), nn.ReLU(), nn.Flatten())
    small.append(nn.Linear(7 * 49, 4)).eval()
    with torch.no_grad():
        for ours, theirs in ((small[0], conv), (small[1], norm)):
            for name, value in theirs.state_dict().items():
                ours.state_dict()[name].copy_(value[~gone])
        small[4].weight.copy_(last.weight.view(4, 8, 49)[:, ~gone].flatten(1))
        small[4].bias.copy_(last.bias)
        with deletion.clamped([relu], [gone], [torch.zeros(8)]):
            torch.testing.assert_close(trained.network(x), small(x), rtol=1e-4, atol=1e-5)


def test_a_map_of_alexnet_is_measured_before_it_is_pooled_and_no_logit_changes(toy):
    """Training has the pooling before the ReLU: capacities, too, are the same either way."""
    trained = subject(toy, TINY.replace(model="alexnet"))
    x, stage = trained.train[0][:16], trained.network.features[0]
    assert isinstance(stage[1], nn.MaxPool2d)
    with torch.no_grad():
        logits, path = trained.logits(x), capacity.paths(_folding.products(trained.network, x[:2]), x, 2)
        relus = trained.relus()
        first = deletion.mean_activations(trained, relus, x)[0]
        own = F.relu(stage[0](x)).mean((0, 2, 3))
        torch.testing.assert_close(first, own, rtol=1e-5, atol=1e-6)
        assert torch.equal(trained.logits(x), logits)
        assert capacity.paths(_folding.products(trained.network, x[:2]), x, 2) == path
        with deletion.clamped(relus[:1], [torch.arange(64) == 5], [first]):
            torch.testing.assert_close(stage[:3](x)[:, 5], first[5].expand(len(x), 14, 14))


# --- the PAC-Bayes bound --------------------------------------------------------------------------


def test_divergences_are_those_of_torchs_distributions():
    draws = generator()
    weights = [torch.randn(3, 4, generator=draws), torch.randn(5, generator=draws)]
    deviations = [torch.rand(w.shape, generator=draws) + 0.1 for w in weights]
    w, s = (torch.cat([each.double().flatten() for each in parts]) for parts in (weights, deviations))

    def slow(prior):
        return kl_divergence(Normal(w, s), Normal(torch.zeros_like(w), prior)).sum().item()

    assert pac_bayes.scaled_kl(weights, deviations) == pytest.approx(slow(s))
    least = pac_bayes.least_kl(weights, deviations)
    best = (w.square() + s.square()).mean().sqrt()
    assert least == pytest.approx(slow(best * torch.ones_like(w)))
    assert all(least < slow(c * best * torch.ones_like(w)) for c in (0.9, 1.1))


def test_expected_sharpness_of_one_image_and_one_layer_is_that_of_the_exact_mean(toy):
    """The logits' difference is Gaussian, so the mean of its softplus is one integral."""
    net = network(nn.Flatten(), nn.Linear(12, 2)).float()
    x, y = torch.randn(1, 3, 2, 2, generator=generator()), torch.tensor([1])
    held = SimpleNamespace(network=net, train=(x, y), on_part=lambda: None, spec=TINY)
    options = {"images": 1, "draws": 4000, "alpha": 0.2, "depth": 1, "fall": 0.1, "epsilon": 1e-3, "delta": 0.05}
    before = [p.clone() for p in net.parameters()]
    with torch.no_grad():
        row = next(pac_bayes.measure(held, generator(), **options))
        layer, flat = net[1], torch.cat([x.flatten(), torch.ones(1)])
        w = torch.cat([layer.weight, layer.bias[:, None]], 1)
        variance = ((0.2 * (10 * w.abs() + 1)) ** 2 * flat**2).sum()
        gap = ((w[0] - w[1]) * flat).sum()
        z = torch.linspace(-8, 8, 4001)
        exact = torch.trapezoid(F.softplus(gap + variance.sqrt() * z) * Normal(0, 1).log_prob(z).exp(), z)
    assert row["loss"] == pytest.approx(F.softplus(gap).item(), rel=1e-5)
    assert row["expected"] == pytest.approx((exact - F.softplus(gap)).item(), rel=0.1)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_sigma_is_where_the_accuracy_falls_as_far_as_it_may(toy):
    """By a slow search over the same draws, and the bound is the formula's."""
    trained = subject(toy, NARROW)
    labels = trained.logits(trained.train[0]).argmax(1)  # all of which are right
    held = SimpleNamespace(network=trained.network, train=(trained.train[0], labels), on_part=lambda: None, spec=NARROW)
    options = {"images": 64, "draws": 5, "alpha": 5e-4, "depth": 12, "fall": 0.2, "epsilon": 1e-3, "delta": 0.05}
    with torch.no_grad():
        paper, searched = pac_bayes.measure(held, generator(), **options)
        assert (paper["searched"], paper["size"], searched["searched"]) == (0, 5e-4, 1)

        def fall(sigma):
            draws, falls = generator(), []
            for _ in range(5):
                net = copy.deepcopy(trained.network)
                for p in net.parameters():
                    p.data += (sigma**2 * p**2 + 1e-6).sqrt() * torch.randn(p.shape, generator=draws)
                falls.append(1 - (net(trained.train[0]).argmax(1) == labels).double().mean().item())
            return np.mean(falls)

        assert searched["expected_fall"] == pytest.approx(fall(searched["size"]), abs=1e-9)
        assert fall(searched["size"]) <= 0.2 < fall(searched["size"] + 2 / 2**12) + 1e-9
    for row in (paper, searched):
        excess = 4 * math.sqrt((row["kl"] + math.log(2 * 64 / 0.05)) / 64)
        assert row["bound"] == pytest.approx(row["loss"] + row["expected"] + excess)


def test_the_bound_is_a_formal_value_whose_loss_is_of_the_images_measured_and_m_of_all(toy):
    trained = subject(toy, NARROW)
    row = trained_rows(probe("pac_bayes", NARROW, images=8), trained)[0]
    loss = F.cross_entropy(trained.logits(trained.train[0][:8]), trained.train[1][:8]).item()
    assert row["loss"] == pytest.approx(loss, rel=1e-5)
    excess = 4 * math.sqrt((row["kl"] + math.log(2 * 64 / 0.05)) / 64)
    assert row["bound"] == pytest.approx(row["loss"] + row["expected"] + excess)
    assert all("formal" in text for text in (pac_bayes.__doc__, pac_bayes.COLUMNS["bound"]["meaning"]))


class Functional(nn.Module):
    def forward(self, x):
        return torch.relu(x)


def test_what_has_no_units_is_one_line(toy):
    masks = Part(name="dropout", options={"rate": 0.5, "mode": "monte_carlo", "samples": 2})
    trained, masked = subject(toy, NARROW), subject(toy, NARROW.replace(regularizers=(masks,)))
    units = {
        "noise": {"repeats": 1, "points": 1, "most": 1.0},
        "selectivity": {"units": 1, "to": "zero"},
        "deletion": {"repeats": 1, "points": 1, "to": "zero"},
    }
    width = trained.train[0][0].numel()
    for one in (noise, selectivity, deletion):
        options = units[one.__name__.rpartition(".")[2]]
        for hidden_layer, message in (
            ([], "has no nn.ReLU behind a layer"),
            ([nn.Linear(width, 6), nn.ReLU(), nn.Linear(6, width), Functional()], "calls torch.relu beside nn.ReLU"),
        ):
            net = nn.Sequential(nn.Flatten(), *hidden_layer, nn.Linear(width, 4)).eval()
            with pytest.raises(InputError, match=message):
                next(one.measure(dataclasses.replace(trained, network=net), generator(), images=8, **options))
        with pytest.raises(InputError, match=r"is evaluated as a mean over masks, .*: measure .* with mode=inverted"):
            next(one.measure(masked, generator(), images=8, **options))
    with pytest.raises(InputError, match=r"mean over masks .*monte_carlo.*mode=inverted"):
        _folding.products(masked.network, masked.train[0][:2])
    same = dataclasses.replace(trained, train=(trained.train[0][:8], torch.zeros(8, dtype=torch.int64)))
    with pytest.raises(InputError, match="of one class"):
        next(selectivity.measure(same, generator(), images=8, **units["selectivity"]))
    for tokens, size in ((6, 6), (4, 6)):
        split = [nn.Linear(width, tokens), nn.Unflatten(1, (tokens, 1)), nn.Linear(1, size), nn.ReLU()]
        net = nn.Sequential(nn.Flatten(), *split, nn.Flatten(), nn.Linear(tokens * size, 4)).eval()
        trained._training.network = net
        tokened = dataclasses.replace(trained, network=net)
        for one in (noise, selectivity, deletion):
            with pytest.raises(InputError, match=rf", {tokens}, {size}\) at a ReLU behind a linear layer"):
                next(one.measure(tokened, generator(), images=8, **units[one.__name__.rpartition(".")[2]]))
