"""Capacity: norms of the weights and margins, as Neyshabur et al. 2017 compare networks on true and random labels.

Neyshabur, Bhojanapalli, McAllester, Srebro, "Exploring Generalization in Deep Learning" (NeurIPS 2017), section 2. With
the layers' weights W_i, i = 1 to d, layer i of h_i units (of a convolution: feature maps), all as decimal logarithms:

    l2         product of |W_i|_F^2                              with factors: of 4 |W_i|_F^2
    l1_path    (sum over paths of the product of |w|)^2          with factors: of |2 w|
    l2_path    sum over paths of the product of w^2              with factors: of 4 h_i w^2
    spectral   product of |W_i|_2^2                              with factors: of h_i |W_i|_2^2

The paper divides each by the squared margin, a percentile over the training set of f[y] - max over others of f: take
2 log10(margin) away. The columns hold both apart, as a network that does not fit its images has no positive margin.

Batch norms are folded into the weights first; biases do not count. A path leads from an input pixel to a logit. The
sums are one forward pass of ones through the absolute or squared weights, in float64: a max-pooling passes its largest
value on, a mean over positions counts with its factor, unsquared, and local response normalization, which only shrinks,
is left out. A convolution's spectral norm is exact, of the operator on images of the size that it is given with zeros
around them (Lanczos); `spectral_kernel` has that of the kernel reshaped to (out, in x height x width). Networks with
factors besides their weights in evaluation, of dropout's mode=weight_scaling or of stochastic_depth, are refused.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from rethinking.errors import InputError
from rethinking.probes._folding import hooked, products
from rethinking.surgery import Layer, weighted

COLUMNS = {
    "train_accuracy": {"meaning": "of the whole training set", "unit": "fraction"},
    "train_loss": {"meaning": "mean cross-entropy over the same", "unit": "nats"},
    "margin_0_1": {"meaning": "the 0.1th percentile of the margins over the same", "unit": "logits"},
    "margin_5": {"meaning": "the 5th percentile", "unit": "logits"},
    "margin_10": {"meaning": "the 10th percentile", "unit": "logits"},
    "depth": {"meaning": "layers of weights", "unit": "layers", "whole": True},
    "l2": {"meaning": "product of squared Frobenius norms", "unit": "log10"},
    "l2_factors": {"meaning": "the same with the factors of depth", "unit": "log10"},
    "l1_path": {"meaning": "squared sum over paths of products of absolute weights", "unit": "log10"},
    "l1_path_factors": {"meaning": "the same with the factors of depth", "unit": "log10"},
    "l2_path": {"meaning": "sum over paths of products of squared weights", "unit": "log10"},
    "l2_path_factors": {"meaning": "the same with the factors of depth and width", "unit": "log10"},
    "spectral": {"meaning": "product of squared spectral norms", "unit": "log10"},
    "spectral_factors": {"meaning": "the same with the factors of width", "unit": "log10"},
    "spectral_kernel": {"meaning": "as spectral, of the convolutions' reshaped kernels", "unit": "log10"},
}
ARRAYS = {
    "margins": "float32 (1001,): the margins' quantiles, evenly spaced from the smallest to the largest",
    "frobenius": "float64 (depth,): the layers' Frobenius norms, in order of definition",
    "spectral": "float64 (depth,): their spectral norms",
}
QUANTILES = 1001
PERCENTILES = {"margin_0_1": 0.1, "margin_5": 5.0, "margin_10": 10.0}
LANCZOS, EVERY, CLOSE = 500, 10, 1e-7  # steps at most and between looks; an eigenvalue's residual when it is found


def measure(trained, generator):
    images, labels = trained.train
    logits = trained.logits(images).double()
    found = margins(logits, labels).cpu().numpy()
    network = products(trained.network, images[:2])
    layers = weighted(network)
    frobenius = torch.stack([layer.weight.norm() for layer in layers])
    spectral = torch.tensor(spectral_norms(network, images[:1].double(), generator), dtype=torch.float64)
    kernels = torch.tensor([largest(layer.weight.flatten(1)) for layer in layers], dtype=torch.float64)
    widths = torch.tensor([float(len(layer.weight)) for layer in layers], dtype=torch.float64)

    def product(squares: Tensor) -> float:
        return squares.cpu().log10().sum().item()

    yield {
        "train_accuracy": (logits.argmax(1) == labels).double().mean().item(),
        "train_loss": F.cross_entropy(logits, labels).item(),
        **{name: np.percentile(found, percent) for name, percent in PERCENTILES.items()},
        "depth": len(layers),
        "l2": product(frobenius.square()),
        "l2_factors": product(4 * frobenius.square()),
        "l1_path": 2 * paths(network, images, 1),
        "l1_path_factors": 2 * paths(network, images, 1, [2.0] * len(layers)),
        "l2_path": paths(network, images, 2),
        "l2_path_factors": paths(network, images, 2, (4 * widths).tolist()),
        "spectral": product(spectral.square()),
        "spectral_factors": product(widths * spectral.square()),
        "spectral_kernel": product(kernels.square()),
    }
    return {
        "margins": np.quantile(found, np.linspace(0, 1, QUANTILES)).astype(np.float32),
        "frobenius": frobenius.cpu().numpy(),
        "spectral": spectral.numpy(),
    }


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """f[y] - max over others of f: (N, classes), int64 (N,) -> (N,)."""
    own = logits.gather(1, labels[:, None])
    return (own - logits.scatter(1, labels[:, None], -math.inf).amax(1, keepdim=True)).squeeze(1)


def paths(network: nn.Module, images: Tensor, power: int, factors: list[float] | None = None) -> float:
    """log10 of the sum over all paths of the product of factor |w|^power.

    Args:
        network: of `products`; it stays as it is. images: (N, C, H, W), whose size counts. factors: one a layer.
    """
    layers = weighted(network)
    plain = [layer.weight.data for layer in layers]
    try:
        for layer, weight, factor in zip(layers, plain, factors or [1.0] * len(layers), strict=True):
            layer.weight.data = weight.abs() ** power * factor
        for shift in (0, 150, 300):  # the sum is proportional to the input: beyond 1e308 ones become small
            total = network(torch.full_like(images[:1], 10.0**-shift, dtype=torch.float64)).sum().item()
            if math.isfinite(total):
                return math.log10(total) + shift if total > 0 else -math.inf
    finally:
        for layer, weight in zip(layers, plain, strict=True):
            layer.weight.data = weight
    raise InputError("the sum over paths passes 1e600: probe a network of less depth or smaller weights")


def spectral_norms(network: nn.Module, image: Tensor, generator: Generator) -> list[float]:
    """The largest singular value of every layer, a convolution's on images of the size that it is given.

    Args:
        network: of `products`. image: float64 (1, C, H, W). generator: on the CPU, of Lanczos' beginning.
    """
    layers = weighted(network)
    given: dict[int, Tensor] = {}

    def keep(k: int, x: Tensor, output: Tensor) -> None:
        given[k] = x

    with hooked(layers, keep):
        network(image)
    return [_spectral(layer, given[k], generator) for k, layer in enumerate(layers)]


def largest(matrix: Tensor) -> float:
    """The largest singular value of a float64 matrix."""
    small = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    return math.sqrt(torch.linalg.eigvalsh(small @ small.T)[-1].clamp_min(0).item())


def _spectral(layer: Layer, x: Tensor, generator: Generator) -> float:
    if isinstance(layer, nn.Linear):
        return largest(layer.weight)
    with torch.enable_grad():  # the operator's transpose is its gradient
        x = torch.zeros_like(x, requires_grad=True)
        y = layer._conv_forward(x, layer.weight.detach(), None)
    v = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)
    basis = [v.flatten() / v.norm()]
    diagonal: list[float] = []
    beside: list[float] = []
    most = min(LANCZOS, x.numel())
    for step in range(1, most + 1):
        out = layer._conv_forward(basis[-1].view_as(x), layer.weight.detach(), None)
        (back,) = torch.autograd.grad(y, x, out, retain_graph=True)
        w = back.flatten()
        diagonal.append((w @ basis[-1]).item())
        held = torch.stack(basis)
        for _ in range(2):  # once leaves what rounding has brought back
            w = w - held.T @ (held @ w)
        beside.append(w.norm().item())
        if step % EVERY == 0 or step == most or beside[-1] == 0:
            small = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
            small += torch.diag(torch.tensor(beside[:-1], dtype=torch.float64), -1)  # whose lower half is read
            values, vectors = torch.linalg.eigh(small)
            if beside[-1] * abs(vectors[-1, -1]) <= CLOSE * values[-1]:
                return math.sqrt(max(values[-1].item(), 0.0))
        basis.append(w / beside[-1])
    raise InputError(f"the spectral norm of a convolution is not found in {LANCZOS} steps: are its weights finite?")
