"""Implicit regularization on a linear model ([zhang2017] section 5): X W = Y, fewer images n than pixels d.

Every step of SGD from zero adds multiples of the images, so W stays in their span, where there is one solution: that of
least norm, W* = X^T (X X^T)^-1 Y. SGD on |x_i W - y_i|^2 / 2, one image at a time, in a new order each epoch, with the
step 1 / |x_i|^2 (Kaczmarz): the distance to W* falls per epoch by about exp(-rate), rate = n lambda_min / (2 tr X X^T)
(Strohmer & Vershynin 2009, theorem 2, for random rows), lambda_min the smallest eigenvalue of X X^T: the worse the
condition number, the slower.

Nothing but the start keeps SGD there: the training set is fitted as well by solutions that do not generalize.

    random_centres   W = Z^T (X Z^T)^-1 Y, centres z_j of Gaussian noise, with the mean and variance of X
    test_labels      W = least norm that fits Y and also random labels on test images; its error is of the other ones

The targets are one-hot, 1 for the right class and 0 elsewhere, not centred.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from rethinking.errors import InputError
from rethinking.images import IMAGE_SIZE, crop, whiten
from rethinking.seeds import keyed_generator
from rethinking.spec import Context, LinearSpec, Outcome, Rows, crop_size
from rethinking.theory.targets import distinct, error, one_hot
from rethinking.training.batches import permutation


def prepare(images: np.ndarray, whitened: bool, size: int | None = IMAGE_SIZE) -> Tensor:
    """Bytes (N, H, W, C) -> float64 (N, d): cropped to `size` pixels, and whitened image by image, or over 255."""
    x = torch.from_numpy(np.ascontiguousarray(crop(images, size)))
    return (whiten(x) if whitened else x.to(torch.float32) / 255).flatten(1).double()


def least_norm(x: Tensor, y: Tensor) -> Tensor:
    """W* = X^T (X X^T)^-1 Y: float64 (n, d), (n, c) -> (d, c). Raises InputError for n > d or dependent rows."""
    dependent = f"the {len(x)} images of {x.shape[1]} numbers are linearly dependent: give fewer"
    if len(x) > x.shape[1]:
        raise InputError(dependent)
    factor, info = torch.linalg.cholesky_ex(x @ x.T)
    if info.item():
        raise InputError(dependent)
    return x.T @ torch.cholesky_solve(y, factor)


def random_centres(x: Tensor, y: Tensor, seed: int) -> Tensor:
    """An interpolant that is a combination of noise, not of the images: (n, d), (n, c) -> (d, c)."""
    z = torch.randn(x.shape, generator=keyed_generator("cpu", seed, "centres"), dtype=torch.float64).to(x)
    z = z * x.std() + x.mean()
    return z.T @ torch.linalg.solve(x @ z.T, y)


def kaczmarz(
    x: Tensor, y: Tensor, steps: int, seed: int, every: int, on_step: Callable[[int], None]
) -> Iterator[tuple[int, Tensor]]:
    """SGD from zero, one image a step; yields (step, W) at 0, then each `every` steps, and at the end."""
    n = len(x)
    rows, targets, lengths = x.cpu().numpy(), y.cpu().numpy(), x.square().sum(1).cpu().numpy()
    w = np.zeros((x.shape[1], y.shape[1]))
    yield 0, torch.tensor(w).to(x)
    order = np.empty(0, dtype=np.int64)
    for step in range(1, steps + 1):
        epoch, place = divmod(step - 1, n)
        if place == 0:
            order = permutation(n, seed, epoch).numpy()
        i = order[place]
        row = rows[i]
        w += np.outer(row, (targets[i] - row @ w) / lengths[i])
        if step % every == 0 or step == steps:
            on_step(step)
            yield step, torch.tensor(w).to(x)


def run(spec: LinearSpec, context: Context) -> Rows:
    """The rows of SGD's curve, or one row for a solution that is computed directly.

    Raises:
        InputError: more images than pixels; equal images with different labels; no test image left.
    """
    data, device = context.images, context.device
    images, labels = data.train.images[: spec.n], data.train.labels[: spec.n]
    size = crop_size(spec.data)
    kept = distinct(crop(images, size), labels)
    images, labels = images[kept], labels[kept]
    classes = data.facts.num_classes
    x, y = prepare(images, spec.whitened, size).to(device), one_hot(labels, classes, device)
    test, truth = prepare(data.test.images[:], spec.whitened, size).to(device), data.test.labels
    best = least_norm(x, y)
    eigenvalues = torch.linalg.eigvalsh(x @ x.T)

    if spec.solution == "sgd":
        solutions = kaczmarz(x, y, spec.steps, spec.seed, spec.eval_every, context.on_step)
    elif spec.solution == "minimum":
        solutions = iter([(0, best)])
    elif spec.solution == "random_centres":
        solutions = iter([(0, random_centres(x, y, spec.data_seed))])
    else:
        if spec.extra >= len(test):
            raise InputError(f"extra is {spec.extra:,}, there are {len(test):,} test images: give fewer")
        mislabelled, test, truth = test[: spec.extra], test[spec.extra :], truth[spec.extra :]  # judged by the others
        draws = torch.rand(spec.extra, generator=keyed_generator("cpu", spec.data_seed, "test labels"))
        wrong = one_hot((draws.numpy() * classes).astype(np.int64), classes, device)
        solutions = iter([(0, least_norm(torch.cat([x, mislabelled]), torch.cat([y, wrong])))])

    smallest, largest = eigenvalues[0].item(), eigenvalues[-1].item()
    for step, w in solutions:
        fitted = x @ w
        yield {
            "step": step,
            "epoch": step / len(x),
            "distance": ((w - best).norm() / best.norm()).item(),
            "residual": ((fitted - y).norm() / y.norm()).item(),
            "norm": w.norm().item(),
            "train_error": error(fitted, labels),
            "test_error": error(test @ w, truth),
            "test_images": len(test),
            "condition": largest / smallest if smallest > 0 else math.inf,
            "rate": len(x) * max(smallest, 0.0) / (2 * eigenvalues.sum().item()),
        }
    return Outcome()


def estimate(spec: LinearSpec, device: str, known: object = None) -> tuple[float, float]:
    """Seconds, at about 30 microseconds a step."""
    seconds = 3.0 + (3e-5 * spec.steps if spec.solution == "sgd" else 0.0)
    return seconds, seconds
