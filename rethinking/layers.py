"""Layers that torch lacks, or has too slow."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class OffsetBatchNorm2d(nn.Module):
    """Batch normalization with an offset but no scale, whose statistics are measured, not averaged along the way.

    (N, C, H, W) -> (N, C, H, W): (x - mean) / sqrt(var + eps) + bias (Ioffe & Szegedy 2015, algorithm 1, gamma = 1).
    In training mode mean and variance are the batch's. In evaluation mode they are those collected by the last
    `rethinking.training.batch_norm_statistics`, which belong to the weights of that moment; a moving average
    lags behind them.

    Attributes:
        bias: the trained offset, (C,). running_mean, running_var: float32 (C,). collecting: batches averaged so
        far while statistics are collected, None otherwise.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-3):
        super().__init__()
        self.eps = eps
        self.collecting: int | None = None
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, None, self.bias, False, 0.0, self.eps)
        if self.collecting is None:
            return F.batch_norm(x, None, None, None, self.bias, True, 0.0, self.eps)
        self.collecting += 1
        momentum = 1.0 / self.collecting  # the plain mean over batches
        return F.batch_norm(x, self.running_mean, self.running_var, None, self.bias, True, momentum, self.eps)


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
        total = F.conv2d(x.square(), self._band(x))
        scale = total.mul(self.alpha / self.size).add(self.k)
        if self.beta == 0.75:  # s^-3/4 by two square roots: a power costs ten times as much
            root = scale.rsqrt()
            return x * (root * root.sqrt())
        return x * scale.pow(-self.beta)
