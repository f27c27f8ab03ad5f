"""Why L1 gives zeros and L2 does not, on a real problem of two weights.

x is the mean brightness of an image's upper and of its lower half, each over the training set of mean 0 and variance 1;
y is 1 for the first half of the classes and -1 for the others (CIFAR-10's in order: airplane to deer against dog to
truck), mean taken off. loss(w) = mean (y - x.w)^2 = offset + w^T H w - 2 b^T w, minimised with |w|_1 <= t and with
|w|_2 <= t, t from 0 to the norm of the free solution (Tibshirani 1996, figure 2; Goodfellow et al. 2016, section 7.1).
"""

from typing import Any

import numpy as np

from rethinking.errors import InputError
from rethinking.spec import Context, Outcome, Rows, TwoWeightsSpec


def problem(images: np.ndarray, labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, float]:
    """H (2, 2), b (2,) and the offset of the loss, float64, of bytes (N, H, W, C) and their labels.

    Raises:
        InputError: halves of one brightness in all images, or in a fixed proportion: no single solution.
    """
    middle = images.shape[1] // 2
    halves = [
        part.reshape(len(images), -1).mean(1, dtype=np.float64) for part in (images[:, :middle], images[:, middle:])
    ]
    x = np.stack(halves, 1)
    x -= x.mean(0)
    deviation = x.std(0)
    if not (deviation > 0).all():
        raise InputError("a half of the images has the same brightness in all of them: give other images")
    x /= deviation
    y = np.where(labels < classes / 2, 1.0, -1.0)
    y -= y.mean()
    h, b = x.T @ x / len(x), x.T @ y / len(x)
    if np.linalg.cond(h) > 1e12:
        raise InputError("the two halves are as bright as each other in all images: give other images")
    return h, b, float((y * y).mean())


def in_l1_ball(h: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """The w (2,) of least w^T H w - 2 b^T w with |w|_1 <= t: the best of the free solution and four edges."""
    free = np.linalg.solve(h, b)
    if np.abs(free).sum() <= t:
        return free
    candidates = []
    for first, second in ((1, 1), (1, -1), (-1, -1), (-1, 1)):
        start, way = np.array([first * t, 0.0]), np.array([-first * t, second * t])
        curvature = way @ h @ way
        share = np.clip((way @ (b - h @ start)) / curvature, 0, 1) if curvature > 0 else 0.0
        candidates.append(np.array([(1 - share) * first * t, share * second * t]))
    return min(candidates, key=lambda w: w @ h @ w - 2 * b @ w)


def in_l2_ball(h: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """The same with |w|_2 <= t: (H + penalty I) w = b, the penalty found by bisection."""
    free = np.linalg.solve(h, b)
    if np.linalg.norm(free) <= t:
        return free
    if t == 0:
        return np.zeros(2)
    low, high = 0.0, float(np.linalg.norm(b)) / t  # |w| <= |b| / penalty
    for _ in range(200):
        penalty = (low + high) / 2
        w = np.linalg.solve(h + penalty * np.eye(2), b)
        low, high = (penalty, high) if np.linalg.norm(w) > t else (low, penalty)
    return w


def run(spec: TwoWeightsSpec, context: Context) -> Rows:
    """One row per radius. Raises InputError as `problem` does."""
    data = context.images
    images, labels = data.train.images[: spec.n], data.train.labels[: spec.n]
    h, b, offset = problem(images, labels, data.facts.num_classes)
    free = np.linalg.solve(h, b)
    for step in range(spec.radii):
        radius = step / (spec.radii - 1)
        ends = {
            "l1": in_l1_ball(h, b, radius * np.abs(free).sum()),
            "l2": in_l2_ball(h, b, radius * float(np.linalg.norm(free))),
        }
        row: dict[str, Any] = {"step": step, "radius": radius}
        for name, w in ends.items():
            row[f"{name}_first"], row[f"{name}_second"] = map(float, w)
            row[f"{name}_loss"] = float(offset + w @ h @ w - 2 * b @ w)
        row |= {"curvature_first": float(h[0, 0]), "curvature_second": float(h[1, 1]), "curvature_both": float(h[0, 1])}
        row |= {"slope_first": float(b[0]), "slope_second": float(b[1]), "offset": offset}
        yield row
        context.on_step(step + 1)
    return Outcome()


def estimate(spec: TwoWeightsSpec, device: str, known: object = None) -> tuple[float, float]:
    """Seconds."""
    seconds = 1.0 + 0.005 * spec.radii
    return seconds, seconds
