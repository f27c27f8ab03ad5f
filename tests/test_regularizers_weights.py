"""Regularizers of weights and gradients, and normalizations, each against a slow reference or a law of its own."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toys import CLASSES, build, generator, spec, with_it

from rethinking import catalog, models, regularizers
from rethinking import surgery as places
from rethinking.errors import InputError
from rethinking.layers import LocalResponseNorm
from rethinking.regularizers.batch_norm import BatchNorm
from rethinking.regularizers.dropout import Dropout
from rethinking.regularizers.restricted_weights import RestrictedConv2d, RestrictedLinear, bound, restrict
from rethinking.spec import Part
from rethinking.training import Training


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


KINDS_OF_WEIGHTS = {
    "Conv1d": (lambda: nn.Conv1d(2, 4, 3), "weight"),
    "Conv3d": (lambda: nn.Conv3d(2, 4, 3), "weight"),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 4, 3), "weight"),
    "Embedding": (lambda: nn.Embedding(5, 4), "weight"),
    "GRU": (lambda: nn.GRU(5, 4), "weight_ih_l0"),
    "attention": (lambda: nn.MultiheadAttention(4, 1), "in_proj_weight"),
    "parameter": (lambda: nn.ParameterDict({"w": nn.Parameter(torch.ones(3, 4))}), "w"),
    "weight norm": (
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(5, 4)),
        "parametrizations.weight.original1",
    ),
}


@pytest.mark.parametrize("kind", KINDS_OF_WEIGHTS)
def test_weights_of_layers_of_any_kind_are_decayed_shrunk_and_bounded(kind):
    make, name = KINDS_OF_WEIGHTS[kind]
    network = nn.Sequential(make(), nn.LayerNorm((3, 4)), nn.Linear(3, 3))
    run = regularizers.Run(CLASSES, generator(), momentum=0.0, rate=0.1)
    before = copy.deepcopy(dict(network.named_parameters()))
    key = f"0.{name}"
    decay = regularizers.build(Part(name="weight_decay", options={"strength": 0.5}), run)
    decayed = next(
        g for g in decay.parameters(network, [{"params": list(network.parameters())}]) if "weight_decay" in g
    )
    assert any(p is network.get_parameter(key) for p in decayed["params"])
    assert not any(p is network[1].weight or p.ndim < 2 for p in decayed["params"])
    regularizers.build(Part(name="l1", options={"strength": 0.5}), run).after_step(network)
    assert torch.equal(network.get_parameter(key), F.softshrink(before[key], 0.05))
    assert torch.equal(network[1].weight, before["1.weight"])
    bounded = regularizers.build(Part(name="max_norm", options={"bound": 0.01}), run)
    if kind == "ConvTranspose2d":
        with pytest.raises(InputError, match="rows, and those of a ConvTranspose2d"):
            bounded.network(network)
        return
    bounded.after_step(bounded.network(network))
    assert network.get_parameter(key).flatten(1).norm(dim=1).max() < 0.01001


@pytest.mark.parametrize("name", ["weight_decay", "l1", "max_norm"])
def test_what_acts_on_weights_refuses_a_network_that_has_none_to_train(name):
    network = nn.Sequential(nn.Linear(3, 3).requires_grad_(False), nn.BatchNorm1d(3))
    with pytest.raises(InputError, match="no trainable weights of two axes or more"):
        build(name, **{first_option(name): 0.1}).network(network)


def first_option(name):
    return next(iter(catalog.find("regularizers", name).constants["OPTIONS"]))


def test_a_tied_weight_is_shrunk_once_and_a_frozen_one_never():
    network = nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(3)))
    network[1].weight = network[0].weight
    network[2].requires_grad_(False)
    before = [layer.weight.detach().clone() for layer in network]
    run = regularizers.Run(CLASSES, generator(), momentum=0.0, rate=0.1)
    regularizers.build(Part(name="l1", options={"strength": 0.5}), run).after_step(network)
    assert torch.equal(network[0].weight, F.softshrink(before[0], 0.05))
    regularizers.build(Part(name="max_norm", options={"bound": 0.01}), run).after_step(network)
    restricted = regularizers.build(Part(name="restricted_weights", options={"values": "signs", "layer": 3}), run)
    network[2].weight.data *= 100
    before[2] *= 100
    restricted.after_step(restricted.network(network))
    assert torch.equal(network[2].weight, before[2])


@pytest.mark.parametrize("kind", [k for k in KINDS_OF_WEIGHTS if k != "attention"])
def test_restricted_weights_leaves_none_free_in_silence(kind):
    network = nn.Sequential(KINDS_OF_WEIGHTS[kind][0](), nn.Linear(3, 3))
    with pytest.raises(InputError, match="the network has other weights: drop it"):
        build("restricted_weights", values="signs").network(network)


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


def test_weight_decay_is_on_weights_only_and_shrinks_by_the_formula(toy):
    """One step from the same weights differs by exactly -rate * strength * w on weights, nothing on biases."""
    strength = Part(name="weight_decay", options={"strength": 0.1})
    for model in ("carrier", "tiny"):  # the second with offsets of batch norm
        decayed, plain = Training(spec(strength, model=model), toy), Training(spec(model=model), toy)
        before = {k: v.clone() for k, v in plain.network.state_dict().items()}
        rate = plain.spec.learning_rate
        plain.train_step(), decayed.train_step()
        after = dict(decayed.network.named_parameters())
        for name, parameter in plain.network.named_parameters():
            shrink = rate * 0.1 * before[name] if name.endswith("weight") and parameter.ndim > 1 else 0
            torch.testing.assert_close(after[name], parameter - shrink, rtol=1e-5, atol=1e-6)
            assert parameter.ndim > 1 or torch.equal(after[name], parameter)


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


def test_restricted_weights_clips_to_glorots_range_and_refuses_another(toy):
    part = Part(name="restricted_weights", options={"values": "signs"})
    with pytest.raises(InputError, match="initial_weights is 'he', and restricted_weights clips to Glorot's range"):
        Training(spec(part, model="mlp-1x512", initial_weights="he"), toy)
    Training(spec(part, model="mlp-1x512"), toy).train_step()
