"""Theorem 1 of [zhang2017] (section 4, appendix C): a ReLU network with 2n + d weights fits any labels of n points.

    c(x) = sum_j w_j max(a.x - b_j, 0),    b_1 < a.x_1 <= b_2 < a.x_2 <= ... (points sorted by a.x)

A_ij = max(a.x_i - b_j, 0) is lower triangular, and by Lemma 1 its smallest eigenvalue is min_i (a.x_i - b_i). Solving
A w = y needs no matrix: between two kinks c is a line, whose slope is the sum of the weights so far, so after sorting
the weights are differences of slopes, O(n).

What rounding does to it, and what is done against it:

1. A slope is |y_i+1 - y_i| / gap, and the smallest of n random gaps is about range / n^2. So of many directions the one
   whose worst slope is least is taken; they are combinations of a few, for which one product with X is enough.
2. b_i+1 = a.x_i instead of the middle of the gap: twice the eigenvalue, no overshoot, c stays between its labels.
3. a is made of integers times a power of two, so that on images of bytes a.x is exact, in whatever order it is summed.
4. Slopes are multiples of a power of two, so that their differences w and the sums of w are exact. The module's own
   evaluation adds up in the order of the kinks: value at the kink plus slope times distance, all small numbers.

The plain pass, max(a.x - b, 0) @ w, adds terms as large as the largest slope times the range: float64 leaves an error
of about 1e-16 times that.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.corruptions import corrupt_arrays
from rethinking.errors import InputError
from rethinking.spec import Context, Outcome, Rows, Theorem1Spec

DIRECTIONS = 2  # products with X from which directions are combined
CANDIDATES = 24  # combinations tried
ENTRY_BITS, FACTOR_BITS = 20, 6  # integers: of the products' directions, of the combinations
TIMINGS = 3  # constructions of a run, all the same; the one with the middle ratio of times is told
CHUNK = 8 << 20  # bytes of hidden units at a time in the plain pass


class Interpolant(nn.Module):
    """The network of Theorem 1 (depth 2) or of its corollary (depth k): (N, d) or (N, H, W, C) -> float64 (N,).

    Depth k has k - 1 hidden layers. The first projects on the direction, which its units share; the later ones are
    handed a.x. Each has its n / (k - 1) kinks, one kink that makes it constant beyond its last, and two units that
    carry a.x and the sum so far, both nonnegative, so that ReLU lets them pass:

        x --a--> [kinks 1 .. m, carry] --> [kinks m+1 .. 2m, carry, sum] --> ... --> sum + offset

    Wired so, and not densely, it has O(n + d) nonzero weights; dense layers of the same width would have n^2 / k.

    Args:
        direction: a, float64 (d,). biases, weights: one pair of float64 (m,) per hidden layer, ascending in b.
        offset: added to the output, 0 for depth 2.
    """

    def __init__(self, direction: Tensor, biases: list[Tensor], weights: list[Tensor], offset: float = 0.0):
        super().__init__()
        self.direction = nn.Parameter(direction)
        self.biases = nn.ParameterList(biases)
        self.weights = nn.ParameterList(weights)
        self.offset = offset

    @property
    def depth(self) -> int:
        """Layers of weights: hidden layers and one."""
        return len(self.biases) + 1

    @property
    def width(self) -> int:
        """Units of the widest hidden layer."""
        carried = [0] if self.depth == 2 else [1, *[2] * (self.depth - 2)]
        return max(len(b) + c for b, c in zip(self.biases, carried, strict=True))

    def nonzeros(self) -> int:
        """Weights and biases as wired: a, b and w; beyond depth 2 also the ones that carry a.x and the sum."""
        stored = sum(p.numel() for p in self.parameters())
        later = sum(len(b) for b in list(self.biases)[1:])  # each reads a.x with weight 1
        carries = 0 if self.depth == 2 else 3 * (self.depth - 2) + 1
        return stored + later + carries

    def project(self, x: Tensor) -> Tensor:
        """a.x, float64 (N,); exact where x holds bytes."""
        return x.flatten(1).to(self.direction) @ self.direction

    def forward(self, x: Tensor) -> Tensor:
        """The network's value, its sum taken in the order of the kinks."""
        z = self.project(x)
        total = torch.full_like(z, self.offset)
        for b, w in zip(self.biases, self.weights, strict=True):
            slope = w.cumsum(0)
            value = torch.cat([slope.new_zeros(1), (slope[:-1] * b.diff()).cumsum(0)])
            place = torch.searchsorted(b, z) - 1  # the last kink below z
            inside = place >= 0
            k = place.clamp_min(0)
            total = total + torch.where(inside, value[k] + slope[k] * (z - b[k]), 0.0)
        return total

    def plain(self, x: Tensor) -> Tensor:
        """The network's value as any network's is computed: layer by layer, ReLU and matrix product."""
        z = self.project(x)
        low = min(b[0].item() for b in self.biases)
        rows = max(1, CHUNK // (8 * max(len(b) for b in self.biases)))
        parts = []
        for chunk in z.split(rows):
            carry, total = chunk, torch.zeros_like(chunk)
            for k, (b, w) in enumerate(zip(self.biases, self.weights, strict=True)):
                hidden = torch.sub(carry[:, None], b if k == 0 else b - low).relu_()
                total = total.relu() + hidden @ w
                carry = (carry - low).relu() if k == 0 else carry.relu()
            parts.append(total + self.offset)
        return torch.cat(parts)


@dataclass(frozen=True)
class Facts:
    """What a construction met.

    Attributes:
        gap: smallest distance of two neighbouring projections with different labels, as a fraction of their range.
        eigenvalue: Lemma 1's, min_i (a.x_i - b_i), in units of |a| times a pixel's range (255).
        condition: a lower bound of A's condition number, |A e_1| / eigenvalue. largest_weight: max |w_j|, in the
        units of `eigenvalue`.
        project_seconds, sort_seconds: one product X @ a, one sort. seconds: of the whole construction.
    """

    gap: float
    eigenvalue: float
    condition: float
    largest_weight: float
    project_seconds: float
    sort_seconds: float
    seconds: float


def construct(points: Tensor, labels: Tensor, *, depth: int = 2, chosen: bool = True, seed: int = 0) -> Interpolant:
    """The network that takes each point to its label.

    Args:
        points: (n, d) of any dtype. labels: (n,), any finite numbers. depth: k >= 2.
        chosen: whether direction and biases are chosen as above; else a random direction and the middles of gaps.
        seed: of the directions.

    Raises:
        InputError: two equal points with different labels, by their numbers; depth beyond n + 1; another number of
            labels than of points; a number that is not finite.
    """
    return build(points, labels, depth=depth, chosen=chosen, seed=seed)[0]


def build(
    points: Tensor, labels: Tensor, *, depth: int = 2, chosen: bool = True, seed: int = 0
) -> tuple[Interpolant, Facts]:
    """`construct`, with what it met."""
    n = len(points)
    if not 2 <= depth <= n + 1:
        raise InputError(f"depth is {depth}, allowed is 2 to n + 1 = {n + 1}")
    x = points.flatten(1).to(torch.float64)
    if labels.shape != (n,):
        raise InputError(f"labels have the shape {tuple(labels.shape)} for {n} points: give one number a point")
    if not (x.isfinite().all() and labels.isfinite().all()):
        raise InputError("points or labels hold a NaN or an infinity: give finite numbers")
    y = labels.to(x).cpu().numpy()
    rng = np.random.default_rng([seed, n])
    probe = torch.from_numpy(rng.standard_normal(x.shape[1])).to(x)
    start = time.perf_counter()
    once = x @ probe
    project_seconds = _since(start, x)
    start = time.perf_counter()
    np.sort(once.cpu().numpy())
    sort_seconds = time.perf_counter() - start

    start = time.perf_counter()
    a, z = _direction(x, y, rng) if chosen else _random_direction(x, rng)
    order = np.argsort(z, kind="stable")
    z, y = z[order], y[order]
    _refuse_contradictions(x, y, z, order)
    low = min(0.0, float(y.min())) if depth > 2 else 0.0
    layers = np.array_split(np.arange(n), depth - 1)
    biases, slopes = _at_points(z, y - low) if chosen else _midpoints(z, y - low, [part[0] for part in layers])
    network = _assemble(a, z, biases, slopes, layers, low)
    seconds = _since(start, x)

    unit = float(a.norm()) * (float(x.abs().max()) or 1.0)
    kept = np.concatenate([[True], np.diff(z) > 0])
    eigenvalue = float((z - biases)[kept].min())
    different = np.diff(z)[np.diff(y) != 0]
    gap = float(different.min()) / float(np.ptp(z)) if len(different) else 1.0
    weights = np.diff(slopes, prepend=0.0)
    first_column = float(np.linalg.norm(z - biases[0]))
    largest = float(np.abs(weights).max()) * unit
    facts = Facts(gap, eigenvalue / unit, first_column / eigenvalue, largest, project_seconds, sort_seconds, seconds)
    return network.to(points.device), facts


def _since(start: float, x: Tensor) -> float:
    if x.device.type == "cuda":
        torch.cuda.synchronize(x.device)
    return time.perf_counter() - start


def _random_direction(x: Tensor, rng: np.random.Generator) -> tuple[Tensor, np.ndarray]:
    a = torch.from_numpy(rng.standard_normal(x.shape[1])).to(x)
    a /= a.norm()
    return a, (x @ a).cpu().numpy()


def _direction(x: Tensor, y: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, np.ndarray]:
    """Of CANDIDATES directions the one with the least steep slope, and the projections on it, float64 (n,)."""
    d = x.shape[1]
    integers = np.rint(rng.standard_normal((d, DIRECTIONS)) * 2**ENTRY_BITS)
    factors = np.rint(rng.standard_normal((DIRECTIONS, CANDIDATES)) * 2**FACTOR_BITS)
    basis = torch.from_numpy(integers.T.copy()).to(x)
    projected = torch.stack([x @ b for b in basis], 1).cpu().numpy()  # one pass each: faster than a thin product
    best, best_z, best_steepness = 0, projected[:, 0], math.inf
    for k in range(CANDIDATES):
        z = projected @ factors[:, k]
        order = np.argsort(z)
        ordered = z[order]
        steep = np.abs(np.diff(y[order]))
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = np.where(steep > 0, steep / np.diff(ordered), 0.0)
        steepness = float(slopes.max(initial=0.0)) * float(ordered[-1] - ordered[0])
        if steepness < best_steepness:
            best, best_z, best_steepness = k, z, steepness
    a = integers @ factors[:, best]
    scale = 2.0 ** -round(math.log2(float(np.ptp(best_z)) or 1.0))  # a power of two keeps it exact
    return torch.from_numpy(a * scale).to(x), best_z * scale


def _refuse_contradictions(x: Tensor, y: np.ndarray, z: np.ndarray, order: np.ndarray) -> None:
    for k in np.flatnonzero((np.diff(z) == 0) & (np.diff(y) != 0)):
        i, j = sorted((int(order[k]), int(order[k + 1])))
        if torch.equal(x[i], x[j]):
            first, second = (y[k], y[k + 1]) if order[k] == i else (y[k + 1], y[k])
            raise InputError(
                f"points {i} and {j} are equal, their labels {first:g} and {second:g} are not: no function fits both; "
                f"drop one"
            )
        raise InputError(f"points {i} and {j} fall on one number in every direction tried: give another seed")


def _at_points(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kinks at the points before, and slopes rounded so that sums of their differences are exact; float64 (n,)."""
    typical = float(np.ptp(z)) / len(z) or 1.0
    gaps = np.diff(z, prepend=z[0] - typical)
    biases = np.concatenate([[z[0] - typical], z[:-1]])
    gaps[0] = z[0] - biases[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.where(gaps > 0, np.diff(y, prepend=0.0) / gaps, 0.0)
    repeated = gaps == 0  # a repeated point takes the slope before it, so its weight is 0
    last = np.maximum.accumulate(np.where(repeated, 0, np.arange(len(z))))
    slopes = slopes[last]
    grid = 2.0 ** (math.frexp(float(np.abs(slopes).max()) or 1.0)[1] - 51)
    return biases, np.rint(slopes / grid) * grid


def _midpoints(z: np.ndarray, y: np.ndarray, starts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Kinks in the middle of gaps, the slopes solved one after the other; sorted, float64 (n,).

    starts: where a hidden layer begins; the one before is constant beyond its last point.
    """
    typical = float(np.ptp(z)) / len(z) or 1.0
    biases = np.concatenate([[z[0] - typical], (z[:-1] + z[1:]) / 2])
    slopes, slope = np.empty(len(z)), 0.0
    before = 0.0
    for i in range(len(z)):
        left = 0.0 if i in starts else biases[i] - z[i - 1]
        if z[i] > biases[i]:
            slope = (y[i] - before - slope * left) / (z[i] - biases[i])
        slopes[i], before = slope, y[i]
    return biases, slopes


def _assemble(
    a: Tensor, z: np.ndarray, biases: np.ndarray, slopes: np.ndarray, layers: list[np.ndarray], low: float
) -> Interpolant:
    if len(layers) == 1:
        return Interpolant(a, [_tensor(biases)], [_tensor(np.diff(slopes, prepend=0.0))])
    all_b, all_w = [], []
    for part in layers:
        weights = np.diff(slopes[part], prepend=0.0)
        all_b.append(_tensor(np.append(biases[part], z[part[-1]])))
        all_w.append(_tensor(np.append(weights, -slopes[part[-1]])))
    return Interpolant(a, all_b, all_w, low)


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def run(spec: Theorem1Spec, context: Context) -> Rows:
    """One row: the network built for the spec's images and evaluated on them.

    Raises:
        InputError: two equal images with different labels.
    """
    data, device = context.images, context.device
    images, labels = corrupt_arrays(
        data.train.images[: spec.n],
        data.train.labels[: spec.n],
        spec.corruptions,
        facts=data.facts,
        seed=spec.data_seed,
    )
    chosen = spec.construction == "chosen"
    scale = 1.0 if chosen else 255.0  # bytes are exact, their 255ths are not
    x = torch.from_numpy(np.ascontiguousarray(images)).to(device).flatten(1).to(torch.float64) / scale
    y = torch.from_numpy(np.ascontiguousarray(labels)).to(device, torch.float64)
    built = [build(x, y, depth=spec.depth, chosen=chosen, seed=spec.seed) for _ in range(TIMINGS)]
    network, met = sorted(built, key=lambda pair: pair[1].seconds / pair[1].project_seconds)[TIMINGS // 2]
    with torch.no_grad():
        start = time.perf_counter()
        own = (network(x) - y).abs().max().item()
        module_seconds = _since(start, x)
        start = time.perf_counter()
        plain = network.plain(x)
        plain_seconds = _since(start, x)
    context.on_step(1)
    yield {
        "step": 1,
        "depth": network.depth,
        "width": network.width,
        "weights": sum(p.numel() for p in network.parameters()),
        "nonzeros": network.nonzeros(),
        "gap": met.gap,
        "eigenvalue": met.eigenvalue,
        "condition": met.condition,
        "largest_weight": met.largest_weight,
        "module_error": own,
        "plain_error": (plain - y).abs().max().item(),
        "plain_right": (plain.round() == y).double().mean().item(),
        "project_seconds": met.project_seconds,
        "sort_seconds": met.sort_seconds,
        "construction_seconds": met.seconds,
        "plain_seconds": plain_seconds,
        "module_seconds": module_seconds,
    }
    return Outcome()


def estimate(spec: Theorem1Spec, device: str, known: object = None) -> tuple[float, float]:
    """Seconds, from hidden units evaluated and bytes read; within a factor of two or so."""
    assert spec.n is not None
    seconds = 1.0 + 2e-9 * spec.n**2 + 2e-5 * spec.n
    return seconds, seconds
