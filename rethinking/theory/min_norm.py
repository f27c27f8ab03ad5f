"""Minimum-norm interpolation of whole training sets: (K + penalty I) alpha = Y.

[zhang2017] section 5, equation 3 (without a penalty), and Table 3. Y is the n x 10 matrix of one-hot labels, 1 for the
right class and 0 for the others, not centred; the prediction for x is the class with the largest k(x, .) alpha. The
norm is sqrt(tr alpha^T K alpha), the length of the ten functions together in the kernel's space.

The bandwidth rule, one for all rows: gamma = width / m, m the median squared distance of MEDIAN_SAMPLE training points;
width 1 is the median heuristic.
A linear kernel is divided by its mean on the diagonal, so that a penalty means the same for every kernel: the diagonal
of a Gaussian one is 1.

For 60,000 points the matrix is 14.4 GB in float32, and is never copied. Its lower triangle is filled tile by tile and
factored in place. The residual is taken in float64: for a Gaussian kernel from the points, tile by tile, each tile
used for both triangles; for a linear kernel, whose matrix is a sum over more features than can be held, from the mirror
image that is kept in the upper triangle, so that the system solved is that of the float32 matrix.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rethinking.errors import InputError
from rethinking.images import ImageSet
from rethinking.seeds import keyed_generator
from rethinking.spec import Context, KernelSpec, Outcome, Rows
from rethinking.spec.theory import PER_FILTER
from rethinking.theory import dense, features
from rethinking.theory.targets import distinct, error, one_hot

MEDIAN_SAMPLE = 2000  # points
TILE = 1024  # points; a multiple of dense.BLOCK, since a factorization overwrites whole diagonal blocks
SHIFTS = (0.0, 1e-4, 1e-2)  # tried in turn on the diagonal of the preconditioner, where float32 finds no factor
SINGULAR = 1e-2  # relative residual above which the system is said to have no solution


def bandwidth(points: Tensor, width: float, seed: int = 0) -> float:
    """gamma = width / the median squared distance of MEDIAN_SAMPLE points. Raises InputError where it is 0."""
    if not width > 0:
        raise InputError(f"bandwidth is {width:g}, allowed is above 0")
    order = torch.randperm(len(points), generator=keyed_generator("cpu", seed, "bandwidth"))[:MEDIAN_SAMPLE]
    sample = points[order.to(points.device)].double()
    median = torch.pdist(sample).square().median().item() if len(sample) > 1 else 0.0
    if not median > 0:
        raise InputError("the median distance of the points is 0: more than half of them are equal; drop those")
    return width / median


class Gaussian:
    """exp(-gamma |x - y|^2) + penalty on the diagonal, of points (n, d) float32 and a matrix (n, n) float32 to fill.

    The points' mean is taken off: distances stay, and rounding of their squares shrinks.
    """

    def __init__(self, points: Tensor, gamma: float, penalty: float, matrix: Tensor):
        self.mean = points.mean(0)
        self.points = points - self.mean
        self.gamma, self.penalty, self.matrix = gamma, penalty, matrix

    def fill_(self, shift: float = 0.0) -> None:
        """The lower triangle of the matrix, in tiles."""
        n = len(self.points)
        for i in range(0, n, TILE):
            rows = slice(i, min(i + TILE, n))
            for j in range(0, i + 1, TILE):
                columns = slice(j, min(j + TILE, n))
                self.matrix[rows, columns] = _gaussian(self.points[rows], self.points[columns], self.gamma)
        self.matrix.diagonal().fill_(1.0 + self.penalty + shift)

    def multiply(self, v: Tensor) -> Tensor:
        """(K + penalty I) v in float64, from the points; (n, c) -> (n, c)."""
        out = self.penalty * v
        for i in range(0, len(v), TILE):
            rows = slice(i, min(i + TILE, len(v)))
            x = self.points[rows].double()
            for j in range(0, i + 1, TILE):
                columns = slice(j, min(j + TILE, len(v)))
                k = _gaussian(x, self.points[columns].double(), self.gamma)
                if i == j:
                    k.diagonal().fill_(1.0)
                else:
                    out[columns] += k.T @ v[rows]
                out[rows] += k @ v[columns]
        return out

    def predict(self, points: Tensor, alpha: Tensor) -> Tensor:
        """K(points, training points) alpha: (m, d), (n, c) -> float64 (m, c)."""
        out = torch.zeros(len(points), alpha.shape[1]).to(alpha)
        for i in range(0, len(points), TILE):
            x = points[i : i + TILE] - self.mean
            for j in range(0, len(alpha), TILE):
                part = slice(j, j + TILE)
                out[i : i + TILE] += _gaussian(x, self.points[part], self.gamma).double() @ alpha[part]
        return out


def _gaussian(x: Tensor, y: Tensor, gamma: float) -> Tensor:
    """exp(-gamma |x - y|^2), (m, d), (n, d) -> (m, n); the squares are two more columns of the product, not passes."""
    left = torch.cat([2 * gamma * x, -gamma * x.square().sum(1, keepdim=True), x.new_ones(len(x), 1)], 1)
    right = torch.cat([y, y.new_ones(len(y), 1), -gamma * y.square().sum(1, keepdim=True)], 1)
    return dense.product(left, right).exp_()


class Linear:
    """A sum of products of features, kept in the upper triangle while the lower one is factored.

    Args:
        matrix: (n, n) float32, zeros. cross: (m, n) float32, zeros, for the m test points.
    """

    def __init__(self, matrix: Tensor, cross: Tensor):
        self.matrix, self.cross, self.penalty, self.scale = matrix, cross, 0.0, 1.0
        self.diagonal_tiles: list[Tensor] = []

    def add_(self, train: Tensor, test: Tensor) -> None:
        """Add the products of a block of features, (n, f) and (m, f), to the upper triangle and to `cross`."""
        n = len(train)
        for i in range(0, n, TILE):
            rows = slice(i, min(i + TILE, n))
            for j in range(i, n, TILE):
                columns = slice(j, min(j + TILE, n))
                self.matrix[rows, columns] += dense.product(train[rows], train[columns])
            for j in range(0, len(test), TILE):
                self.cross[j : j + TILE, rows] += dense.product(test[j : j + TILE], train[rows])

    def fill_(self, shift: float = 0.0) -> None:
        """Lower triangle: the upper one's mirror image, over the mean diagonal, plus penalty and shift."""
        n = len(self.matrix)
        if not self.diagonal_tiles:
            self.diagonal_tiles = [self.matrix[i : i + TILE, i : i + TILE].clone() for i in range(0, n, TILE)]
            self.scale = sum(t.diagonal().double().sum().item() for t in self.diagonal_tiles) / n
            if not self.scale > 0:
                raise InputError("every feature of every point is 0: other features or points")
        for k, i in enumerate(range(0, n, TILE)):
            rows = slice(i, min(i + TILE, n))
            for j in range(0, i, TILE):
                columns = slice(j, j + TILE)
                self.matrix[rows, columns] = self.matrix[columns, rows].T / self.scale
            self.matrix[rows, rows] = self.diagonal_tiles[k] / self.scale
        self.matrix.diagonal().add_(self.penalty + shift)

    def more(self) -> None:
        """Make ready for further features, after a factorization."""
        for k, tile in enumerate(self.diagonal_tiles):
            rows = slice(k * TILE, k * TILE + len(tile))
            self.matrix[rows, rows] = tile
        self.diagonal_tiles = []

    def multiply(self, v: Tensor) -> Tensor:
        """(K + penalty I) v in float64; (n, c) -> (n, c)."""
        n, out = len(v), torch.zeros_like(v)
        for k, i in enumerate(range(0, n, TILE)):
            rows = slice(i, min(i + TILE, n))
            out[rows] += self.diagonal_tiles[k].double() @ v[rows]
            for j in range(i + TILE, n, TILE):
                columns = slice(j, min(j + TILE, n))
                tile = self.matrix[rows, columns].double()
                out[rows] += tile @ v[columns]
                out[columns] += tile.T @ v[rows]
        return out / self.scale + self.penalty * v

    def predict(self, alpha: Tensor) -> Tensor:
        """K(test points, training points) alpha: (n, c) -> float64 (m, c)."""
        return torch.cat([part.double() @ alpha for part in self.cross.split(TILE)]) / self.scale


def solve(
    kernel: Gaussian | Linear,
    y: Tensor,
    tolerance: float = 5e-6,
    on_part: Callable[[float], None] = lambda part: None,
) -> tuple[Tensor, Tensor, list[float], dict[str, float]]:
    """Solve (K + penalty I) alpha = y.

    Args:
        kernel: its matrix is overwritten. y: float64 (n, c). tolerance: of the relative residual.
        on_part: called with the fraction done.

    Returns:
        alpha and y - (K + penalty I) alpha, float64 (n, c); the relative residual after each product in float64;
        seconds of "kernel", "factor" and "refine".

    Raises:
        InputError: the kernel is singular: no solution within SINGULAR.
    """
    clock = [time.perf_counter()]
    for shift in SHIFTS:
        kernel.fill_(shift)
        clock.append(time.perf_counter())
        try:
            dense.cholesky_(kernel.matrix, lambda part: on_part(0.1 + 0.7 * part))
            break
        except dense.NotPositiveError:
            clock = [clock[-1]]
    else:
        raise InputError(_singular(len(y), kernel.penalty, float("inf")))
    clock.append(time.perf_counter())
    alpha, left, history = dense.refine(kernel.multiply, lambda v: dense.solve(kernel.matrix, v), y, tolerance)
    clock.append(time.perf_counter())
    if not history[-1] <= SINGULAR:
        raise InputError(_singular(len(y), kernel.penalty, history[-1]))
    return alpha, left, history, dict(zip(("kernel", "factor", "refine"), np.diff(clock).tolist(), strict=True))


def _singular(n: int, penalty: float, residual: float) -> str:
    return (
        f"the kernel matrix of {n} points is singular to float32 (penalty {penalty:g}, relative residual "
        f"{residual:.1g}): give a larger width, more features or a larger penalty"
    )


def peak_gigabytes(device: torch.device) -> float:
    """Largest memory of this process so far, or of the GPU, in 10^9 bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    try:  # what getrusage tells on Linux is at least the peak of the process that has started this one
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def run(spec: KernelSpec, context: Context) -> Rows:
    """One row per filter count and penalty, but none for penalty 0 where features are fewer than images.

    Raises:
        InputError: too little memory; a singular kernel; equal images with different labels and penalty 0.
    """
    data, device = context.images, context.device
    images, labels = data.train.images[: spec.n], data.train.labels[: spec.n]
    if min(spec.penalties) == 0:
        kept = distinct(images, labels)
        images, labels = images[kept], labels[kept]
    y = one_hot(labels, data.facts.num_classes, device)
    solver = _linear_rows if spec.kernel == "linear" else _gaussian_rows
    with torch.no_grad():
        lapack = dense.lapack_seconds(len(labels), device)
        for step, row in enumerate(solver(spec, images, y, data, device, context.on_step), 1):
            alpha, left, history, seconds, test = (row.pop(k) for k in ("alpha", "left", "history", "clock", "test"))
            fitted = y - left - row["penalty"] * alpha  # K alpha
            yield {
                "step": step,
                "filters": row["filters"],
                "features": row["features"],
                "gamma": row["gamma"],
                "penalty": row["penalty"],
                "first_residual": history[0],
                "residual": history[-1],
                "refinements": len(history),
                "norm": (alpha * fitted).sum().clamp_min(0).sqrt().item(),
                "train_error": error(fitted, labels),
                "test_error": error(test, data.test.labels),
                "test_images": len(test),
                "kernel_seconds": row["kernel_seconds"],
                "factor_seconds": seconds["factor"],
                "refine_seconds": seconds["refine"],
                "seconds": row["seconds"],
                "lapack_seconds": lapack,
                "peak_gigabytes": peak_gigabytes(device),
            }
    return Outcome()


def _gaussian_rows(
    spec: KernelSpec,
    images: np.ndarray,
    y: Tensor,
    data: ImageSet,
    device: torch.device,
    on_step: Callable[[int], None],
) -> Iterator[dict[str, Any]]:
    began = time.perf_counter()
    extract = {"pixels": features.pixels, "gabor": features.gabor}[spec.features]
    points, test = extract(images).to(device), extract(data.test.images[:]).to(device)
    dense.check_memory(len(points), 8.0 * points.shape[1] + dense.SCRATCH, device)
    gamma = bandwidth(points, spec.width, spec.seed)
    matrix = torch.empty(len(points), len(points), device=device)
    for k, penalty in enumerate(spec.penalties):
        kernel = Gaussian(points, gamma, penalty, matrix)
        prepared = time.perf_counter() - began
        alpha, left, history, seconds = solve(kernel, y, spec.tolerance, _percent(on_step, k, len(spec.penalties)))
        yield {
            "filters": 0,
            "features": points.shape[1],
            "gamma": gamma,
            "penalty": penalty,
            "alpha": alpha,
            "left": left,
            "history": history,
            "clock": seconds,
            "test": kernel.predict(test, alpha),
            "kernel_seconds": prepared + seconds["kernel"],
            "seconds": time.perf_counter() - began,
        }
        began = time.perf_counter()


def _linear_rows(
    spec: KernelSpec,
    images: np.ndarray,
    y: Tensor,
    data: ImageSet,
    device: torch.device,
    on_step: Callable[[int], None],
) -> Iterator[dict[str, Any]]:
    n, m = len(images), len(data.test.images)
    counts = spec.filters or (0,)
    extract = {"pixels": features.pixels, "gabor": features.gabor}.get(spec.features)
    held = extract(images[:1]).shape[1] if extract else PER_FILTER * features.FILTERS  # numbers of an image at once
    each = 4.0 * (m + held * (1 + m / n) + TILE) + dense.SCRATCH
    dense.check_memory(n, each, device)
    kernel = Linear(torch.zeros(n, n, device=device), torch.zeros(m, n, device=device))
    began = time.perf_counter()
    if spec.features == "conv":
        bank = features.ConvFeatures(images, counts[-1], spec.seed, device)
        ranges = list(features.conv_blocks(counts))
    for k, count in enumerate(counts):
        if spec.features == "conv":
            for first, last in ranges:
                if (counts[k - 1] if k else 0) <= first < count:
                    kernel.add_(bank.block(images, first, last), bank.block(data.test.images[:], first, last))
                    on_step(int(100 * last / counts[-1]))
            width = PER_FILTER * count
        else:
            assert extract is not None
            train, test = extract(images).to(device), extract(data.test.images[:]).to(device)
            kernel.add_(train, test)
            width = train.shape[1]
            if width < n and min(spec.penalties) == 0:
                raise InputError(f"{n} images of {width} features: a linear kernel is singular; give a penalty above 0")
        summed = time.perf_counter() - began
        for penalty in spec.penalties:
            if penalty == 0 and width < n:
                continue  # fewer features than images: nothing interpolates
            kernel.penalty = penalty
            alpha, left, history, seconds = solve(kernel, y, spec.tolerance)
            yield {
                "filters": count,
                "features": width,
                "gamma": 0.0,
                "penalty": penalty,
                "alpha": alpha,
                "left": left,
                "history": history,
                "clock": seconds,
                "test": kernel.predict(alpha),
                "kernel_seconds": summed + seconds["kernel"],
                "seconds": time.perf_counter() - began,
            }
            began, summed = time.perf_counter(), 0.0
        if count != counts[-1]:
            kernel.more()


def _percent(on_step: Callable[[int], None], done: int, of: int) -> Callable[[float], None]:
    return lambda part: on_step(int(100 * (done + part) / of))


def estimate(spec: KernelSpec, device: str, known: object = None) -> tuple[float, float]:
    """Seconds, from the factorization's rate at 4,096 points; within a factor of two or so."""
    n, each = float(spec.n or 0), _seconds_per_operation(torch.device(device))
    work = len(spec.penalties) * max(1, len(spec.filters)) * (n**3 / 3 + 12 * n**2 * 784)
    work += max(spec.filters, default=0) * (4e5 * (n + 1e4) + 8 * n * (n + 2e4))
    return each * work, each * work


@lru_cache
def _seconds_per_operation(device: torch.device) -> float:
    size, best = 4096, float("inf")
    for _ in range(2):
        k = torch.eye(size, device=device).add_(0.5 / size)
        start = time.perf_counter()
        dense.cholesky_(k)
        best = min(best, time.perf_counter() - start)
    return best / (size**3 / 3)
