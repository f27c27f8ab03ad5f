"""SGD on a linear model finds the least norm; other interpolants have a larger one."""

import numpy as np
import pytest
import torch

from rethinking.errors import InputError
from rethinking.spec import Context, LinearSpec
from rethinking.theory import linear

CPU = torch.device("cpu")


def rows(spec, images):
    return list(linear.run(spec, Context(images, CPU)))


def test_sgd_stays_in_the_span_of_the_images_and_converges():
    rng = np.random.default_rng(0)
    x, y = torch.from_numpy(rng.standard_normal((20, 100))), torch.from_numpy(rng.random((20, 2)))
    best = linear.least_norm(x, y)
    (_, first), *_, (step, w) = linear.kaczmarz(x, y, 6000, 0, 1000, lambda step: None)
    assert not first.any()
    assert step == 6000
    assert (w - best).norm() / best.norm() < 1e-6
    outside = w - x.T @ torch.linalg.solve(x @ x.T, x @ w)
    assert outside.norm() < 1e-10


def test_too_many_images_or_equal_ones_are_one_line(toy):
    with pytest.raises(InputError, match="the 40 images of 30 numbers are linearly dependent: give fewer"):
        linear.least_norm(torch.zeros(40, 30), torch.zeros(40, 2))
    with pytest.raises(InputError, match="linearly dependent"):
        linear.least_norm(torch.ones(3, 30), torch.zeros(3, 2))


def test_sgd_on_real_images_goes_to_the_least_norm_at_the_predicted_rate(cifar10):
    spec = LinearSpec(n=50, steps=50 * 160, eval_every=50 * 40)
    found = rows(spec, cifar10)
    assert tuple(found[0]) == spec.columns
    assert [r["step"] for r in found] == [0, 2000, 4000, 6000, 8000]
    assert found[0]["distance"] == 1
    assert found[-1]["distance"] < 1e-3
    epochs = found[-1]["epoch"] - found[1]["epoch"]
    measured = np.log(found[1]["distance"] / found[-1]["distance"]) / epochs
    assert found[-1]["rate"] / 2 < measured < 10 * found[-1]["rate"]
    x = linear.prepare(cifar10.train.images[:50], spec.whitened).numpy()
    gram = np.linalg.eigvalsh(x @ x.T)
    assert found[-1]["rate"] == pytest.approx(50 * gram[0] / (2 * gram.sum()), rel=1e-6)


def test_interpolants_that_do_not_generalize_have_the_larger_norm(cifar10):
    (least,), (centres,), (labels,) = (
        rows(LinearSpec(n=300, solution=s), cifar10) for s in ("minimum", "random_centres", "test_labels")
    )
    for row in (least, centres, labels):
        assert row["residual"] < 1e-6
        assert row["train_error"] == 0
    assert least["distance"] == 0
    assert min(centres["norm"], labels["norm"]) > 2 * least["norm"]
    assert min(centres["test_error"], labels["test_error"]) > 0.85 > least["test_error"]
    assert (least["test_images"], labels["test_images"]) == (10_000, 9000)  # not those whose labels were made up
    with pytest.raises(InputError, match="extra is 10,000, there are 10,000 test images: give fewer"):
        rows(LinearSpec(n=300, solution="test_labels", extra=10_000), cifar10)
