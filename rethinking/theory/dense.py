"""Large symmetric positive definite systems in float32, in place: the matrix is never copied.

The matrix is a square row-major tensor, of which the lower triangle is used. torch.linalg would need a second one, and
leaves float32 products on the CPU to MKL, which on AMD processors does not use AVX-512; here nearly all of the work is
oneDNN's products, about twice as fast.
"""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from rethinking import machine
from rethinking.errors import InputError

BLOCK = 1024  # columns factored at a time, fewer (a power of two) in small matrices
ROWS = 2048  # rows of a product at a time: scratch is ROWS times the matrix's width
SCRATCH = 4.0 * (ROWS + BLOCK) + 1000  # bytes per point while a matrix is factored and refined
LAPACK_N = 8000  # size at which the plain factorization is timed
RESERVE = 1e9  # bytes left to everybody else


class NotPositiveError(ArithmeticError):
    """The matrix is not positive definite to float32's precision."""


def product(x: Tensor, y: Tensor) -> Tensor:
    """x @ y.T, (m, k) and (n, k) -> (m, n)."""
    if x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkldnn.is_available():
        return torch.ops.mkldnn._linear_pointwise(x, y, None, "none", [], "")
    return x @ y.T


def cholesky_(k: Tensor, on_part: Callable[[float], None] = lambda part: None) -> None:
    """Replace the lower triangle of k (n, n) by L, k = L L^T; left-looking, BLOCK columns at a time.

    The part above the diagonal blocks is neither read nor written. on_part: called with the fraction done.

    Raises:
        NotPositiveError: a pivot is not positive.
    """
    n = len(k)
    block = min(BLOCK, max(128, 2 ** (n // 16).bit_length() // 2))
    for j in range(0, n, block):
        e = min(j + block, n)
        if j:
            head = k[j:e, :j].contiguous()
            for i in range(j, n, ROWS):
                h = min(i + ROWS, n)
                k[i:h, j:e] -= product(k[i:h, :j], head)
        lower, info = torch.linalg.cholesky_ex(k[j:e, j:e])
        if info.item() or not bool(lower.diagonal().isfinite().all()):
            raise NotPositiveError(f"pivot {j + int(info)} of {n}")
        k[j:e, j:e] = lower
        inverse = torch.linalg.solve_triangular(lower, torch.eye(e - j).to(lower), upper=False)
        for i in range(e, n, ROWS):
            h = min(i + ROWS, n)
            k[i:h, j:e] = product(k[i:h, j:e], inverse)
        on_part(1 - (1 - e / n) ** 2 * (1 + 2 * e / n))


def solve(lower: Tensor, y: Tensor) -> Tensor:
    """x of L L^T x = y, (n, n) and (n, c) -> (n, c), in the matrix's precision."""
    n, x = len(lower), y.to(lower.dtype).clone()
    for j in range(0, n, BLOCK):
        e = min(j + BLOCK, n)
        rest = x[j:e] - lower[j:e, :j] @ x[:j]
        x[j:e] = torch.linalg.solve_triangular(lower[j:e, j:e], rest, upper=False)
    for j in reversed(range(0, n, BLOCK)):
        e = min(j + BLOCK, n)
        rest = x[j:e] - lower[e:, j:e].T @ x[e:]
        x[j:e] = torch.linalg.solve_triangular(lower[j:e, j:e].T, rest, upper=True)
    return x


def refine(
    multiply: Callable[[Tensor], Tensor],
    precondition: Callable[[Tensor], Tensor],
    y: Tensor,
    tolerance: float,
    most: int = 40,
) -> tuple[Tensor, Tensor, list[float]]:
    """Solve A x = y by iterative refinement whose steps are conjugate (preconditioned conjugate gradients).

    Plain refinement diverges where the float32 factor is too far from A; this only slows down.

    Args:
        multiply: A v in float64. precondition: about A^-1 v. y: float64 (n, c). tolerance: of |y - A x| / |y|.
        most: products with A.

    Returns:
        x and y - A x, float64 (n, c), and |y - A x| / |y| after each product.
    """
    whole = y.norm()
    x = precondition(y).to(y)
    r = y - multiply(x)
    history = [(r.norm() / whole).item()]
    z = precondition(r).to(y)
    p, rz = z, (r * z).sum(0)
    while history[-1] > tolerance and len(history) < most:
        q = multiply(p)
        step = rz / (p * q).sum(0)
        step = torch.where(step.isfinite(), step, 0.0)
        x, r = x + step * p, r - step * q
        history.append((r.norm() / whole).item())
        z = precondition(r).to(y)
        rz, before = (r * z).sum(0), rz
        ratio = rz / before
        p = z + torch.where(ratio.isfinite(), ratio, 0.0) * p
    return x, r, history


def lapack_seconds(n: int, device: torch.device) -> float:
    """Seconds of torch.linalg's Cholesky factorization alone of an (n, n) float32 matrix.

    Measured at LAPACK_N points, best of two, and extrapolated as n^3; NaN for fewer.
    """
    if n < LAPACK_N:
        return float("nan")
    k = torch.eye(LAPACK_N, device=device).add_(0.5 / LAPACK_N)
    best = float("inf")
    for _ in range(2):
        start = time.perf_counter()
        torch.linalg.cholesky_ex(k)[1].item()
        best = min(best, time.perf_counter() - start)
    return best * (n / LAPACK_N) ** 3


def free_bytes(device: torch.device) -> float:
    """Memory that could be had: the GPU's, or what this machine and its control groups leave to a process."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # torch's own, for its next use
        return float(torch.cuda.mem_get_info(device)[0] + kept)
    free = machine.free_memory()
    return math.inf if free is None else float(free)


def check_memory(n: int, each: float, device: torch.device) -> None:
    """Refuse a kernel matrix that does not fit, before anything is computed.

    Args:
        n: points. each: further bytes per point.

    Raises:
        InputError: with what is needed, what is free, and the n that would fit.
    """
    free = free_bytes(device) - RESERVE
    need = 4.0 * n * n + each * n
    if need > free:
        fits = int((-each + (each * each + 16.0 * max(free, 0.0)) ** 0.5) / 8)
        raise InputError(
            f"n is {n}: its kernel matrix needs {need / 1e9:.1f} GB, {max(free, 0.0) / 1e9:.1f} GB are free: "
            f"n up to {fits} would fit; give fewer or free memory"
        )
