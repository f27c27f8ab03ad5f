"""The networks: exact sizes, seeded weights, layers against slow references."""

import copy
import hashlib
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rethinking import bench, catalog, models
from rethinking.corruptions import Facts, corrupt_arrays
from rethinking.errors import InputError
from rethinking.layers import (
    Linear,
    LocalResponseNorm,
    OffsetBatchNorm2d,
    concatenate,
    pool_before_relu,
    relu_before_pool,
)
from rethinking.spec import Part, RunSpec
from rethinking.training import batch_norm_statistics, rows, whiten

ALL = catalog.names("models")


# name: (parameters, learning rate, digest of their names, first weight of the first layer and of the last)
FACTS = {
    "inception": (1_649_402, 0.1, "cf78fe", 0.0259351, 0.0545422),
    "inception-nobn": (1_649_402, 0.1, "9bc438", 0.0259351, 0.0545422),
    "alexnet": (1_387_786, 0.01, "7afaad", 0.0027619, -0.0759133),
    "mlp-3x512": (1_735_178, 0.01, "3df995", -0.0412385, 0.0322713),
    "mlp-1x512": (1_209_866, 0.01, "25d6fe", -0.0412385, -0.0845743),
    "resnet-20": (269_034, 0.1, "26e0fa", 0.0307518, 0.1179382),
}


@pytest.mark.parametrize("name", FACTS)
def test_networks_are_the_papers_and_their_initial_weights_stay_what_they_were(name):
    """[zhang2017] appendix A. Another key, or another name of a parameter, would orphan every committed record."""
    count, rate, names, first, last = FACTS[name]
    network = models.initialise(models.build(name), 0)
    assert models.count_parameters(network) == count
    parameters = dict(network.named_parameters())
    weights = [p.flatten()[0].item() for p in parameters.values() if p.ndim > 1]
    assert (weights[0], weights[-1]) == pytest.approx((first, last), abs=1e-6)
    assert hashlib.sha256(" ".join(parameters).encode()).hexdigest()[:6] == names
    spec = RunSpec(model=name)
    assert (spec.learning_rate, spec.momentum, spec.lr_decay, spec.decay_every) == (rate, 0.9, 0.95, 391)


@pytest.mark.parametrize("name", ALL)
def test_gives_logits_for_any_channels_and_classes_and_weights_of_the_seed_alone(name):
    for channels, classes in ((3, 10), (1, 7)):
        assert models.build(name, classes, channels)(torch.randn(2, channels, 28, 28)).shape == (2, classes)
    torch.manual_seed(1)
    first = models.build(name)
    torch.rand(3)
    second = models.build(name)
    before = torch.get_rng_state()
    first, second = (models.initialise(network, 5).state_dict() for network in (first, second))
    assert torch.equal(before, torch.get_rng_state())
    other = models.initialise(models.build(name), 6).state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)


@pytest.mark.parametrize("how", ["glorot", "he", "lecun"])
def test_initial_weights_are_the_same_draws_at_a_variance_that_fans_tell(how):
    usual = dict(models.initialise(models.build("alexnet"), 0).named_parameters())
    for name, parameter in models.initialise(models.build("alexnet"), 0, how=how).named_parameters():
        if parameter.ndim == 1:
            assert not parameter.any()
            continue
        field = parameter[0, 0].numel()
        incoming, outgoing = parameter.shape[1] * field, parameter.shape[0] * field
        variance = {"glorot": 2 / (incoming + outgoing), "he": 2 / incoming, "lecun": 1 / incoming}[how]
        if parameter.numel() > 10_000:
            assert parameter.var().item() == pytest.approx(variance, rel=0.05)
        ratio = (variance * (incoming + outgoing) / 2) ** 0.5
        torch.testing.assert_close(parameter, ratio * usual[name], rtol=1e-5, atol=0)


@pytest.mark.parametrize("layer", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("groups", [1, 4])
def test_what_comes_in_is_what_one_output_sees(layer, groups):
    weight = models.initialise(layer(16, 64, 3, groups=groups), 0, how="he").weight
    assert weight.var().item() == pytest.approx(2 / (16 / groups * 9), rel=0.05)


def test_another_way_to_draw_initial_weights_is_refused():
    assert get_args(models.How) == get_args(RunSpec.model_fields["initial_weights"].annotation)
    with pytest.raises(InputError, match="how is 'xavier': give glorot or he or lecun"):
        models.initialise(nn.Linear(2, 2), 0, how="xavier")


def test_scales_of_torchs_norms_stay_one_and_what_no_seed_determines_is_refused():
    network = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.PReLU(), nn.LayerNorm(6))
    parameters = dict(models.initialise(network, 0).named_parameters())
    assert {k: v.unique().tolist() for k, v in parameters.items() if v.ndim < 2} == {
        "0.bias": [0], "1.weight": [1], "1.bias": [0], "2.weight": [0.25], "3.weight": [1], "3.bias": [0],
    }  # fmt: skip
    norms = nn.Sequential(nn.LayerNorm((2, 3)), nn.RMSNorm((2, 3)), nn.Linear(2, 3))
    norms.bias = nn.Parameter(torch.rand(4, 6))
    norms = dict(models.initialise(norms, 0).named_parameters())
    assert {k: v.unique().tolist() for k, v in norms.items() if k != "2.weight"} == {
        "bias": [0], "0.weight": [1], "0.bias": [0], "1.weight": [1], "2.bias": [0],
    }  # fmt: skip
    network.scale = nn.Parameter(torch.rand(6))
    with pytest.raises(InputError, match="scale is one-dimensional and no constant: call it bias, or make it constant"):
        models.initialise(network, 0)


@pytest.mark.parametrize("beta", [0.75, 0.6])
def test_local_response_norm_is_torchs(beta):
    ours = LocalResponseNorm(size=9, alpha=1e-3, beta=beta, k=1.0)
    theirs = nn.LocalResponseNorm(9, alpha=1e-3, beta=beta, k=1.0)
    x = (5 * torch.randn(4, 64, 7, 7)).requires_grad_()
    y = x.detach().clone().requires_grad_()
    torch.testing.assert_close(ours(x), theirs(y), rtol=1e-5, atol=1e-6)
    weights = torch.randn(4, 64, 7, 7)
    (ours(x) * weights).sum().backward()
    (theirs(y) * weights).sum().backward()
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-4, atol=1e-5)


def test_pooling_before_relu_and_back_changes_no_bit_and_is_not_where_something_is_behind_the_relu():
    network = models.initialise(models.build("alexnet"), 0)
    x, labels = torch.randn(16, 3, 28, 28), torch.arange(16) % 10
    outcomes = []
    names = [name for name, _ in network.named_parameters()]
    for swap in (lambda network: None, pool_before_relu, relu_before_pool):
        swap(network)
        assert isinstance(network.features[0][1], nn.MaxPool2d if swap is pool_before_relu else nn.ReLU)
        network.zero_grad()
        logits = network(x)
        F.cross_entropy(logits, labels).backward()
        outcomes.append([logits.detach(), *(p.grad.clone() for p in network.parameters())])
    assert [name for name, _ in network.named_parameters()] == names
    for before, *others in zip(*outcomes, strict=True):
        for after in others:
            torch.testing.assert_close(after, before, rtol=0, atol=0)
    network = models.build("alexnet")
    network.features[0][1].after = nn.Identity()
    pool_before_relu(network)
    assert isinstance(network.features[0][1], nn.ReLU)
    assert isinstance(network.features[1][1], nn.MaxPool2d)
    relu_before_pool(network)
    relu_before_pool(network)
    assert all(isinstance(network.features[k][1], nn.ReLU) for k in (0, 1))
    network = nn.Sequential(nn.MaxPool2d(2), nn.ReLU())  # as it is defined
    pool_before_relu(network)
    relu_before_pool(network)
    assert isinstance(network[0], nn.MaxPool2d)


def test_batch_norm_is_torchs_with_the_scale_at_one():
    ours, theirs = OffsetBatchNorm2d(6, eps=1e-3), nn.BatchNorm2d(6, eps=1e-3, momentum=None)
    with torch.no_grad():
        theirs.bias.copy_(ours.bias.copy_(torch.randn(6)))
    x = torch.randn(50, 6, 5, 5) * 3 + 1
    torch.testing.assert_close(ours(x), theirs(x))
    theirs.reset_running_stats()
    for part in x.split(10):
        theirs(part)
    for k, part in enumerate(x.split(10), 1):
        ours.collecting = 1 / k
        ours(part)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x), theirs(x))


def test_linear_is_torchs():
    """Output and all three gradients, against double precision."""
    ours = Linear(70, 30)
    theirs = nn.Linear(70, 30).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(9, 70, requires_grad=True)
    y = x.detach().double().requires_grad_()
    gradient = torch.randn(9, 30)
    ours(x).backward(gradient)
    theirs(y).backward(gradient.double())
    torch.testing.assert_close(ours(x).double(), theirs(y), rtol=1e-5, atol=1e-5)
    for a, b in ((x, y), (ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        torch.testing.assert_close(a.grad.double(), b.grad, rtol=1e-5, atol=1e-5)


def test_alexnet_is_the_papers_with_the_tutorials_constants():
    """[zhang2017] appendix A, layer by layer with torch's own functions; torch divides alpha by the size, 9."""
    network = models.initialise(models.build("alexnet"), 0)
    x = 3 * torch.randn(3, 3, 28, 28)  # large enough for the normalization to be felt
    y = x
    for stage in network.features:
        y = F.conv2d(y, stage[0].weight, stage[0].bias, padding=2).relu()
        y = F.local_response_norm(F.max_pool2d(y, 3, 2, 1), 9, 9 * 0.001 / 9, 0.75, 1.0)
    assert y.shape == (3, 64, 7, 7)
    first, second, last = network.classifier[::2]
    for layer in (first, second):
        y = F.linear(y.flatten(1), layer.weight, layer.bias).relu()
    y = F.linear(y, last.weight, last.bias)
    torch.testing.assert_close(network(x), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["inception", "inception-nobn"])
def test_inception_is_the_papers(name):
    """[zhang2017] appendix A, block by block with torch's own functions."""
    network = models.initialise(models.build(name), 0)
    x = torch.randn(3, 3, 28, 28)

    def layer(x, part, stride=1):
        y = F.conv2d(x, part.conv.weight, part.conv.bias, stride, part.conv.weight.shape[-1] // 2)
        if name == "inception":
            y = F.batch_norm(y, None, None, None, part.norm.bias, True, 0, 1e-3)
        return y.relu()

    first, *others = network.blocks
    y, shapes = layer(x, first), []
    for k, block in enumerate(others):
        if k in (2, 7):
            y = torch.cat([layer(y, block.conv, stride=2), F.max_pool2d(y, 3, 2, 1)], dim=1)
        else:
            y = torch.cat([layer(y, block.one), layer(y, block.three)], dim=1)
        shapes.append((*y.shape[1:],))
    assert shapes == [
        *((64, 28, 28), (80, 28, 28), (160, 14, 14)),
        *((160, 14, 14), (160, 14, 14), (160, 14, 14), (144, 14, 14), (240, 7, 7)),
        *((336, 7, 7), (336, 7, 7)),
    ]
    kernels = [tuple(m.kernel_size) for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert kernels == [(3, 3), *[(1, 1), (3, 3)] * 2, (3, 3), *[(1, 1), (3, 3)] * 4, (3, 3), *[(1, 1), (3, 3)] * 2]
    y = F.linear(y.mean((2, 3)), network.fc.weight, network.fc.bias)
    torch.testing.assert_close(network(x), y, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "hidden"), [("mlp-1x512", 1), ("mlp-3x512", 3)])
def test_an_mlp_is_its_layers_in_a_row(name, hidden):
    network = models.initialise(models.build(name), 0)
    y = x = torch.randn(3, 3, 28, 28)
    *others, last = network.layers[::2]
    assert [m.out_features for m in others] == [512] * hidden
    for layer in others:
        y = F.linear(y.flatten(1), layer.weight, layer.bias).relu()
    torch.testing.assert_close(network(x), F.linear(y, last.weight, last.bias), rtol=1e-4, atol=1e-5)


def test_resnet_20_is_nine_blocks_of_two_layers():
    """He et al. 2016, section 4.2, block by block with torch's own functions."""
    network = models.initialise(models.build("resnet-20"), 0)
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in network.modules()) == 20
    x = torch.randn(3, 3, 28, 28)

    def layer(x, conv, norm, stride=1):
        return F.batch_norm(F.conv2d(x, conv.weight, None, stride, 1), None, None, None, norm.bias, True, 0, 1e-5)

    y = layer(x, *network.stem[:2]).relu()
    for k, block in enumerate(network.blocks):
        down = k in (3, 6)
        branch = layer(y, *block.branch[:2], stride=2 if down else 1).relu()
        shortcut = torch.cat([y[:, :, ::2, ::2], torch.zeros_like(y[:, :, ::2, ::2])], dim=1) if down else y
        y = (shortcut + layer(branch, *block.branch[3:5])).relu()
    assert y.shape == (3, 64, 7, 7)
    torch.testing.assert_close(network(x), network.fc(y.mean((2, 3))), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_concatenate_is_torchs(layout):
    a, b = (torch.randn(2, c, 5, 5).to(memory_format=layout).requires_grad_() for c in (3, 4))
    gradient = torch.randn(2, 7, 5, 5).to(memory_format=layout)
    ours, theirs = concatenate(a, b), torch.cat([a, b], dim=1)
    assert torch.equal(ours, theirs)
    for x, y in zip(
        torch.autograd.grad(ours, (a, b), gradient), torch.autograd.grad(theirs, (a, b), gradient), strict=True
    ):
        assert torch.equal(x, y)


def test_statistics_belong_to_the_present_weights_and_weigh_every_image_alike(monkeypatch):
    """After any change of weights, evaluation and training mode agree on the training set in one batch."""
    network = models.initialise(models.build("inception", 4), 0)
    images = torch.randn(12, 3, 28, 28)
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(1.5).add_(0.01)
        before = copy.deepcopy(dict(network.named_parameters()))
        expected = network(images)
        batch_norm_statistics(network, images)
        assert network.training
        assert all(m.collecting is None for m in network.modules() if isinstance(m, OffsetBatchNorm2d))
        assert all(torch.equal(p, before[k]) for k, p in network.named_parameters())
        torch.testing.assert_close(network.eval()(images), expected, rtol=1e-2, atol=1e-2)
    monkeypatch.setattr(rows, "EVAL_BATCH", 20)
    norm = OffsetBatchNorm2d(3)
    images = torch.randn(41, 3, 4, 4)
    images[40] += 10
    batch_norm_statistics(norm, images)
    torch.testing.assert_close(norm.running_mean, images.mean((0, 2, 3)))


def test_flops_of_a_step_are_those_of_the_forward_pass_and_of_the_gradients_but_the_images():
    network = bench.plain_network("mlp-1x512", bench.synthetic("cifar10", 4))
    first, last = 2352 * 512, 512 * 10  # multiply-adds
    assert bench.flops(network, torch.randn(2, 3, 28, 28)) == 2 * 2 * (2 * first + 3 * last)


@pytest.mark.parametrize("name", ["mlp-1x512", "mlp-3x512"])
def test_an_mlp_cannot_tell_shuffled_pixels_from_true_ones(name):
    """With the first layer's weights permuted alike it trains alike, in float64 up to rounding. So initial weights that
    are independent and identically distributed give no order of fitting between the two: [zhang2017] Figure 1(a)."""
    rng = np.random.default_rng(3)
    images, labels = rng.integers(0, 256, (32, 28, 28, 3), dtype=np.uint8), rng.integers(0, 10, 32)
    shuffle = [Part(name="shuffled_pixels")]
    places = np.arange(28 * 28 * 3, dtype=np.int64).reshape(3, 28, 28).transpose(1, 2, 0)[None]
    order = corrupt_arrays(places, labels[:1], shuffle, facts=Facts())[0][0].transpose(2, 0, 1).ravel()
    assert (order != np.arange(2352)).mean() > 0.9

    def losses(images, network):
        inputs = whiten(torch.from_numpy(images.copy())).permute(0, 3, 1, 2).double()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
        told = []
        for _ in range(10):
            loss = F.cross_entropy(network(inputs), torch.from_numpy(labels))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            told.append(loss.item())
        return told

    first, second, third = (models.initialise(models.build(name, width=64), 5).double() for _ in range(3))
    with torch.no_grad():
        weight = next(second.parameters())
        weight.copy_(weight[:, torch.from_numpy(order)])
    true = losses(images, first)
    shuffled = corrupt_arrays(images, labels, shuffle, facts=Facts())[0]
    assert true[-1] < 0.8 * true[0]
    assert losses(shuffled, second) == pytest.approx(true, rel=1e-6)  # whitening is in float32
    assert losses(shuffled, third) != pytest.approx(true, rel=1e-3)
