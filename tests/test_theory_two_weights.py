"""Least squares in an L1 and an L2 ball, against brute force and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso, Ridge

from rethinking.errors import InputError
from rethinking.spec import Context, TwoWeightsSpec
from rethinking.theory.two_weights import in_l1_ball, in_l2_ball, problem, run


def made_up(seed, n=200):
    """Curvature, slope and offset, with the points and targets they are of."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 2))
    y = x @ rng.normal(size=2) + rng.normal(size=n)
    return x.T @ x / n, x.T @ y / n, x, y


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 1.0, 2.0])
def test_nothing_in_the_ball_is_better(seed, part):
    h, b, *_ = made_up(seed)
    free = np.linalg.solve(h, b)
    around = np.linspace(0, 2 * np.pi, 20_001)
    circle = np.stack([np.cos(around), np.sin(around)], 1)
    for solve, size in ((in_l1_ball, lambda w: np.abs(w).sum(-1)), (in_l2_ball, lambda w: np.sqrt((w * w).sum(-1)))):
        t = part * size(free)
        w = solve(h, b, t)
        assert size(w) <= t * (1 + 1e-9) + 1e-12
        others = t * circle / size(circle)[:, None]
        loss = lambda v: ((v @ h) * v).sum(-1) - 2 * v @ b  # noqa: E731
        assert loss(w) <= loss(others).min() + 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_scikit_learn(seed):
    h, b, x, y = made_up(seed)
    lasso = Lasso(alpha=0.1, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x, y).coef_
    np.testing.assert_allclose(in_l1_ball(h, b, np.abs(lasso).sum()), lasso, atol=1e-6)
    ridge = Ridge(alpha=20.0, fit_intercept=False).fit(x, y).coef_
    np.testing.assert_allclose(in_l2_ball(h, b, float(np.linalg.norm(ridge))), ridge, atol=1e-6)


def test_the_loss_is_the_mean_squared_error(toy):
    labels = toy.train.labels
    h, b, offset = problem(toy.train.images, labels, 4)
    x = np.stack([toy.train.images[:, :16].mean((1, 2, 3)), toy.train.images[:, 16:].mean((1, 2, 3))], 1)
    x = (x - x.mean(0)) / x.std(0)
    y = np.where(labels < 2, 1.0, -1.0)
    w = np.array([0.3, -0.7])
    assert offset + w @ h @ w - 2 * b @ w == pytest.approx(((y - y.mean() - x @ w) ** 2).mean())


def test_rows_go_from_nothing_to_the_free_solution(toy):
    rows = list(run(TwoWeightsSpec(data="toy", n=200, radii=11), Context(toy, torch.device("cpu"))))
    assert [row["step"] for row in rows] == list(range(11))
    assert (rows[0]["l1_first"], rows[0]["l2_second"]) == (0, 0)
    for name in ("first", "second", "loss"):
        assert rows[-1][f"l1_{name}"] == pytest.approx(rows[-1][f"l2_{name}"])
    for ball in ("l1", "l2"):
        losses = [row[f"{ball}_loss"] for row in rows]
        assert losses == sorted(losses, reverse=True)


def test_a_half_that_never_changes_is_refused(toy):
    images = toy.train.images.copy()
    images[:, :16] = 7
    with pytest.raises(InputError, match="same brightness in all"):
        problem(images, toy.train.labels, 4)
