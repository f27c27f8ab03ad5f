"""Layers that torch lacks, or has too slow."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class OffsetBatchNorm2d(nn.Module):
    """Batch normalization with an offset but no scale, whose statistics are measured, not averaged along the way.

    (N, C, H, W) -> the same, or (N, C) -> the same: (x - mean) / sqrt(var + eps) + bias (Ioffe & Szegedy 2015,
    algorithm 1, gamma = 1). In training mode mean and variance are the batch's. In evaluation mode they are those
    collected by the last `rethinking.training.batch_norm_statistics`, which belong to the weights of that moment; a
    moving average, which lags behind them, only with a `momentum`.

    Args:
        channels: C. eps: added to the variance. momentum: None, or the weight of the present batch in a moving average
        of means and (unbiased) variances over the training batches, as torch.nn.BatchNorm2d keeps it.

    Attributes:
        bias: the trained offset, (C,). running_mean, running_var: float32 (C,). one: the scale, ones (C,). collecting:
        while statistics are collected, the present batch's share of the images so far; None otherwise.
    """

    running_mean: Tensor
    running_var: Tensor
    one: Tensor

    def __init__(self, channels: int, eps: float = 1e-3, momentum: float | None = None):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.collecting: float | None = None
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("one", torch.ones(channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        scale = None if x.device.type == "cpu" else self.one  # without one a GPU gives an empty gradient of the offset
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, scale, self.bias, False, 0.0, self.eps)
        momentum = self.momentum if self.collecting is None else self.collecting
        if momentum is None:
            return F.batch_norm(x, None, None, scale, self.bias, True, 0.0, self.eps)
        return F.batch_norm(x, self.running_mean, self.running_var, scale, self.bias, True, momentum, self.eps)


class _Product(torch.autograd.Function):
    """x @ weight.T + bias and its gradients by oneDNN, in float32 on the CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _onednn(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (gradient,), (x, weight), needed = gradients, ctx.saved_tensors, ctx.needs_input_grad
        return (
            _onednn(gradient, weight.t(), None) if needed[0] else None,
            _onednn(gradient.t(), x.t(), None) if needed[1] else None,
            gradient.sum(0) if needed[2] else None,
        )


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """torch.nn.functional.linear, (N, in) -> (N, out), whose float32 products on the CPU are oneDNN's.

    torch leaves them to MKL, which on AMD processors does not use AVX-512: 110 GFLOP/s a core against 230.
    """
    plain = x.device.type != "cpu" or x.dtype != torch.float32 or x.ndim != 2 or torch.is_autocast_enabled("cpu")
    if plain or not torch.backends.mkldnn.is_available():
        return F.linear(x, weight, bias)
    return _Product.apply(x, weight, bias)


class Linear(nn.Linear):
    """torch.nn.Linear by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class LocalResponseNorm(nn.Module):
    """Local response normalization across channels (Krizhevsky et al. 2012, section 3.3), as a banded product.

    (N, C, H, W) -> (N, C, H, W): x_c / (k + alpha / size * sum over the `size` channels around c of x^2) ^ beta, the
    same function as torch.nn.LocalResponseNorm, whose three-dimensional pooling takes two thirds of AlexNet's time;
    the sum is here a 1x1 convolution with a 0/1 band.

    Args:
        size: odd number of channels summed over, itself included. alpha, beta, k: the constants above.
    """

    def __init__(self, size: int, alpha: float, beta: float, k: float):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k
        self._bands: dict[tuple, Tensor] = {}

    def _band(self, x: Tensor) -> Tensor:
        key = (x.shape[1], x.device, x.dtype)
        if key not in self._bands:
            channel = torch.arange(x.shape[1], device=x.device)
            near = (channel[:, None] - channel[None, :]).abs() <= self.size // 2
            self._bands[key] = near.to(x.dtype)[:, :, None, None]
        return self._bands[key]

    def forward(self, x: Tensor) -> Tensor:
        return _Normalized.apply(x, self._band(x), self.alpha / self.size, self.beta, self.k)


class _Normalized(torch.autograd.Function):
    """x * s^-beta with s = k + a * band(x^2), and its gradient g * s^-beta - 2 a beta x * band(g x s^-beta / s).

    Written out because autograd's own chain passes over memory twice as often, for a tenth of AlexNet's step.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, band: Tensor, a: float, beta: float, k: float) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # a GPU's would make some of these float32 and not others
            scale = F.conv2d(x.square(), band).mul_(a).add_(k)
            if beta == 0.75:  # by two square roots: a power costs ten times as much
                root = scale.rsqrt()
                factor = root.sqrt().mul_(root)
            else:
                factor = scale.pow(-beta)
        ctx.save_for_backward(x, band, scale, factor)
        ctx.a, ctx.beta = a, beta
        return x * factor

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (x, band, scale, factor) = gradients, ctx.saved_tensors
        direct = gradient * factor
        across = F.conv2d((direct * x).div_(scale), band)
        return direct.addcmul_(x, across, value=-2 * ctx.a * ctx.beta), None, None, None, None


class _Moved(nn.ReLU):
    """A ReLU that `pool_before_relu` has moved."""


def pool_before_relu(network: nn.Module) -> None:
    """Swap every ReLU that is directly before a max-pooling with it, in place: max(ReLU(x)) = ReLU(max(x)).

    Outputs and gradients stay the same to the last bit, and the ReLU has a quarter of the values to pass over.
    `relu_before_pool` undoes it.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            for k in range(len(module) - 1):
                plain = type(module[k]) is nn.ReLU and not hasattr(module[k], "after")  # nothing put behind it
                if plain and type(module[k + 1]) is nn.MaxPool2d:
                    module[k].__class__ = _Moved
                    module[k], module[k + 1] = module[k + 1], module[k]


def relu_before_pool(network: nn.Module) -> None:
    """Put every ReLU that `pool_before_relu` has moved back before its max-pooling, in place; again without effect.

    Outputs stay the same to the last bit, and what the ReLU gives is a feature map before pooling.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            for k in range(1, len(module)):
                if type(module[k]) is _Moved:
                    module[k].__class__ = nn.ReLU
                    module[k - 1], module[k] = module[k], module[k - 1]


class Residual(nn.Module):
    """Residual block: (N, C, H, W) -> ReLU(shortcut(x) + branch(x)) (He et al. 2016, equation 1).

    Args:
        branch, shortcut: modules whose outputs have one shape.
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module):
        super().__init__()
        self.branch, self.shortcut = branch, shortcut
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.shortcut(x) + self.branch(x))


class _Concatenate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        both = torch.cat([a, b], dim=1)
        ctx.channels, ctx.layout = a.shape[1], None if both.is_contiguous() else torch.channels_last
        return both

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        gradient = gradients[0]
        left, right = gradient[:, : ctx.channels], gradient[:, ctx.channels :]
        if ctx.layout is None:
            return left, right
        return left.contiguous(memory_format=ctx.layout), right.contiguous(memory_format=ctx.layout)


def concatenate(a: Tensor, b: Tensor) -> Tensor:
    """torch.cat of (N, A, H, W) and (N, B, H, W) along the channels -> (N, A + B, H, W).

    In channels_last the gradient's two parts are copied: as strided views, torch's own way, they slow the layers before
    them down, by a fifteenth of Inception's step.
    """
    return _Concatenate.apply(a, b)


def two_logits(logits: Tensor) -> Tensor:
    """(N, 1), one logit z, as the two logits (0, z), whose cross entropy is the logistic loss; others as given."""
    return F.pad(logits, (1, 0)) if logits.shape[1] == 1 else logits
