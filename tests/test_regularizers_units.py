"""Regularizers of units, each against a slow reference or a law of its own."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toys import CLASSES, Twice, build, generator, part, spec, with_it

from rethinking import models, regularizers
from rethinking import surgery as places
from rethinking.errors import InputError
from rethinking.layers import Linear, Residual, two_logits
from rethinking.regularizers.backdrop import Backdrop
from rethinking.regularizers.batch_norm import BatchNorm
from rethinking.regularizers.drop_block import DropBlock
from rethinking.regularizers.dropconnect import DropConnectLinear
from rethinking.regularizers.dropout import Dropout
from rethinking.regularizers.maxout import MaxoutConv2d, MaxoutLinear
from rethinking.regularizers.spatial_dropout import SpatialDropout
from rethinking.regularizers.stochastic_depth import StochasticResidual
from rethinking.regularizers.stochastic_pooling import StochasticPool2d
from rethinking.spec import Part
from rethinking.surgery import become
from rethinking.training import Training


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


def test_monte_carlo_computes_a_layer_that_is_given_several_inputs_for_each():
    """Where next to nothing is dropped, the average is the network's own."""
    network, x = Twice().eval(), torch.randn(3, 5, generator=generator())
    network.out = network._modules.pop("out")  # defined last, so that the encoder is first
    expected = network(x).log_softmax(1)
    network = build("dropout", rate=1e-9, mode="monte_carlo", samples=3).network(network)
    torch.testing.assert_close(network(x), expected)


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
    reference = torch.einsum("bij,ij,bj->bi", mask.float(), layer.weight, x) + layer.bias
    torch.testing.assert_close(y, reference, rtol=1e-4, atol=1e-5)
    upstream = torch.randn(37, 5)
    wanted = (x, layer.weight, layer.bias)
    gradients = (torch.autograd.grad(out, wanted, upstream) for out in (y, reference))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert len({m.numpy().tobytes() for m in mask}) == 37


@pytest.mark.parametrize("rate", [0.25, 0.1, 0.9, 0.99999, 0.9999999])
def test_dropconnect_drops_its_rate(rate):
    layer = Linear(100, 50)
    places.become(layer, DropConnectLinear, rate=rate, run=regularizers.Run(10, generator()))
    mask = layer.mask(40).double()
    assert mask.mean().item() == pytest.approx(1 - rate, abs=0.002)
    assert ((mask[..., 0] - 1 + rate) * (mask[..., 1] - 1 + rate)).mean().abs() < 0.02  # one by one


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


def test_maxouts_pieces_are_padded_like_their_layer():
    layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")
    network = build("maxout", pieces=2).network(nn.Sequential(layer, nn.ReLU()))
    (other,) = network[0].others
    other.load_state_dict({"weight": layer.weight.detach(), "bias": layer.bias.detach() - 1})
    x = torch.rand(1, 1, 5, 5)
    torch.testing.assert_close(other(x), network(x) - 1)


def pooling(share: float = 1.0, **options) -> StochasticPool2d:
    pool = nn.MaxPool2d(**({"kernel_size": 3, "stride": 2, "padding": 1} | options))
    places.become(pool, StochasticPool2d, share=share, run=regularizers.Run(10, generator()))
    return pool


@pytest.mark.parametrize("option", [{"ceil_mode": True}, {"dilation": 2}, {"return_indices": True}])
def test_a_pooling_that_stochastic_pooling_would_change_is_refused(option):
    with pytest.raises(InputError, match="has no ceil_mode, dilation or return_indices, as MaxPool2d"):
        build("stochastic_pooling").network(nn.Sequential(nn.MaxPool2d(2, **option)))


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


def test_stochastic_poolings_evaluation_against_loops_and_its_share():
    """A share of 1 picks at random, in evaluation the expectation; 0 is the maximum, and a half is between the two."""
    x = torch.rand(2, 3, 7, 6, generator=generator()).relu()
    x[0, 0, :4, :4] = 0
    largest, y = F.max_pool2d(x, 3, 2, 1), pooling().eval()(x)
    assert y.shape == largest.shape
    for b, c, i, j in itertools.product(range(2), range(3), range(4), range(3)):
        window = x[b, c, max(0, 2 * i - 1) : 2 * i + 2, max(0, 2 * j - 1) : 2 * j + 2]
        total = window.sum()
        slow = (window.square().sum() / total).item() if total > 0 else 0
        assert y[b, c, i, j].item() == pytest.approx(slow, abs=1e-6)
    torch.testing.assert_close(pooling(0.5).eval()(x), (largest + y) / 2)
    x = torch.rand(50, 4, 8, 8)
    largest = F.max_pool2d(x, 3, 2, 1)
    same = {share: (pooling(share)(x) == largest).float().mean().item() for share in (0.25, 0.5, 1.0)}
    for share in (0.25, 0.5):  # the maximum may be drawn too
        assert same[share] == pytest.approx(1 - share + share * same[1.0], abs=0.03)


def test_a_group_of_one_unit_is_refused_and_one_of_one_map_is_not():
    with pytest.raises(InputError, match="a group of one unit is its own mean: give 2 or more"):
        build("group_norm", channels=1).network(nn.Sequential(nn.Linear(5, 4), nn.ReLU()))
    build("group_norm", channels=1).network(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))


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
