"""Theorem 1's network: it fits any labels, its weights are counted, its forms agree, its errors teach."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rethinking.errors import InputError
from rethinking.spec import Context, Theorem1Spec
from rethinking.theory import theorem1


def points(n, d=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (n, d), generator=generator, dtype=torch.uint8)
    return x, torch.randint(0, 10, (n,), generator=generator)


def off_by(network, x, y):
    with torch.no_grad():
        return (network(x) - y).abs().max().item(), (network.plain(x) - y).abs().max().item()


def matrix(network, x):
    """A_ij = max(a.x_i - b_j, 0), points sorted by a.x."""
    z = network.project(x).detach().sort().values
    return (z[:, None] - network.biases[0].detach()).clamp_min(0).numpy()


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 60),
    depth=st.integers(2, 6),
    seed=st.integers(0, 99),
    low=st.sampled_from([-3.0, 0.0, 0.25, 100.0]),
    chosen=st.booleans(),
)
def test_every_depth_fits_any_labels(n, depth, seed, low, chosen):
    depth = min(depth, n + 1)
    x, y = points(n, seed=seed)
    labels = low + y.double() / 3
    network = theorem1.construct(x, labels, depth=depth, seed=seed, chosen=chosen)
    assert network.depth == depth
    assert depth > 2 or sum(p.numel() for p in network.parameters()) == 2 * n + 20
    assert max(off_by(network, x, labels)) < 1e-8 * max(1, abs(low)) * 100


@pytest.mark.parametrize("depth", [2, 4, 8])
def test_depth_k_has_width_of_order_n_over_k_and_n_plus_d_nonzeros(depth):
    n, d = 1000, 20
    x, y = points(n, d)
    network = theorem1.construct(x, y, depth=depth)
    assert network.width <= 2 * n / depth + 4
    assert network.nonzeros() <= 4 * n + d + 10 * depth
    assert max(off_by(network, x, y)) < 1e-5


def test_nonzeros_are_those_of_the_dense_matrices():
    """The depth-3 network written out as dense layers, counted."""
    x, y = points(40)
    network = theorem1.construct(x, y, depth=3)
    (b1, b2), (w1, w2) = [[p.detach() for p in ps] for ps in (network.biases, network.weights)]
    low = min(b1[0], b2[0])
    m = len(b1)
    second = torch.zeros(len(b2) + 1, m + 1, dtype=torch.float64)  # rows: kinks, sum; columns: kinks, a.x
    second[:-1, -1] = 1
    second[-1, :-1] = w1
    hidden = torch.cat([(network.project(x)[:, None] - b1).relu(), (network.project(x) - low)[:, None].relu()], 1)
    hidden = (hidden @ second.T - torch.cat([b2 - low, low.new_zeros(1)])).relu()
    out = hidden @ torch.cat([w2, low.new_ones(1)])
    assert (out - y).abs().max() < 1e-6
    # A weight or bias that happens to be 0 is stored all the same: bounds, not equality.
    stored = 20 + len(b1) + 1 + m + (second != 0).sum().item() - (w1 != 0).sum().item() + len(b2) + len(w2) + 1
    assert abs(network.nonzeros() - stored) <= 3


def test_is_the_networks_function_between_points_too():
    """The evaluation in the order of the kinks and the plain pass are one function."""
    x, y = points(200)
    for depth in (2, 3, 5):
        network = theorem1.construct(x, y, depth=depth)
        other, _ = points(500, seed=1)
        with torch.no_grad():
            assert torch.allclose(network(other), network.plain(other), atol=1e-6)


@pytest.mark.parametrize("chosen", [True, False])
def test_lemma_1(chosen):
    """A is lower triangular; its smallest eigenvalue is min(a.x_i - b_i), and bounds the condition number."""
    x, y = points(60)
    network, facts = theorem1.build(x, y, chosen=chosen)
    a = matrix(network, x)
    assert np.allclose(a, np.tril(a))
    unit = network.direction.norm().item() * float(x.max())
    assert np.linalg.eigvals(a).real.min() / unit == pytest.approx(facts.eigenvalue)
    assert np.linalg.cond(a) >= facts.condition * (1 - 1e-9)
    w = np.linalg.solve(a, network(x).detach().numpy()[network.project(x).detach().numpy().argsort()])
    assert np.allclose(w, network.weights[0].detach().numpy(), rtol=1e-4, atol=1e-6 * abs(w).max())


@pytest.mark.parametrize("shift", [-1.0, 0.5])
@pytest.mark.parametrize("depth", [2, 3])
def test_points_may_have_any_sign(shift, depth):
    x = torch.rand(50, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - shift - 1
    y = torch.arange(50) % 3
    for chosen in (True, False):
        network, facts = theorem1.build(x, y, depth=depth, chosen=chosen)
        assert max(off_by(network, x, y)) < 1e-6
        assert facts.eigenvalue > 0
    assert theorem1.construct(torch.tensor([[-1.0], [0.0]]), torch.tensor([0, 1]))(torch.tensor([[-1.0]])) == 0


def test_the_chosen_network_is_better_than_a_random_one():
    x, y = points(3000, 50)
    chosen, random = (theorem1.build(x, y, chosen=c) for c in (True, False))
    assert chosen[1].largest_weight < random[1].largest_weight
    assert off_by(chosen[0], x, y)[1] < off_by(random[0], x.double(), y)[1]


def test_projections_of_bytes_are_exact_in_any_order():
    x, y = points(300, 500)
    network = theorem1.construct(x, y)
    shuffled = torch.randperm(500, generator=torch.Generator().manual_seed(1))
    z = x.double()[:, shuffled] @ network.direction.detach()[shuffled]
    assert torch.equal(z, network.project(x).detach())
    assert torch.equal(network.project(x[:7]), network.project(x)[:7])


def test_repeated_points_with_one_label_are_fine_and_with_two_are_named():
    x, y = points(30)
    x[17], y[17] = x[4], y[4]
    assert max(off_by(theorem1.construct(x, y), x, y)) < 1e-5
    assert max(off_by(theorem1.construct(x, y, depth=4), x, y)) < 1e-5
    y[17] = (y[4] + 1) % 10
    with pytest.raises(InputError, match=rf"points 4 and 17 are equal, their labels {y[4]} and {y[17]} are not"):
        theorem1.construct(x, y)


@pytest.mark.parametrize("depth", [1, 32])
def test_a_depth_out_of_range_is_one_line(depth):
    with pytest.raises(InputError, match=rf"depth is {depth}, allowed is 2 to n \+ 1 = 31"):
        theorem1.construct(*points(30), depth=depth)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"depth": 1}, r"depth is 1: .*greater than or equal to 2"),
        ({"construction": "best"}, r"construction is 'best': .*'chosen' or 'random'"),
        ({"n": 50_001}, r"n is 50001, cifar10 has 50000 training images"),
        ({"model": "alexnet"}, r"unknown field 'model': known are data, n, kind"),
    ],
)
def test_bad_specs_are_one_line(fields, message):
    with pytest.raises(InputError, match=message):
        Theorem1Spec.make(**fields)


def test_fits_random_labels_of_real_images(cifar10):
    spec = Theorem1Spec(n=2000)
    (row,) = theorem1.run(spec, Context(cifar10, torch.device("cpu")))
    assert tuple(row) == spec.columns
    assert row["weights"] == 2 * 2000 + 3072
    assert row["module_error"] < 1e-5
    assert row["plain_right"] == 1
    assert row["plain_error"] < 1e-4
