"""Backdrop: units are dropped at random from the backward pass only.

Golkar & Cranmer 2018 (arXiv:1806.01337): a masking layer, here after every ReLU (there at chosen places), is the
identity forwards, and backwards dL/dx = m / mean(m) dL/dy, m a 0/1 mask, so that the gradient's size stays; after
convolutions one draw for each image and position, which all channels share, after linear layers one for each image and
unit. `rate` is the probability of dropping, in [0, 1); 0 is none. Practice: 0.5 (the authors' demonstration has 0.3 to
0.95).
"""

from typing import Any

import torch
from torch import Tensor, nn

from rethinking.regularizers import Base, Run
from rethinking.surgery import activations, after, kept

OPTIONS = {"rate": {"type": "float", "ge": 0.0, "lt": 1.0, "default": 0.5, "description": "probability of dropping"}}
NULL = {"rate": 0.0}
PRACTICE = {"rate": 0.5}
FAMILY = "units"
STRENGTHS = (0.2, 0.5, 0.8, 0.9, 0.95)


class _Mask(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(mask)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.saved_tensors[0], None


class Backdrop(nn.Module):
    """The identity, (B, C, H, W) or (B, C), with a masked gradient."""

    def __init__(self, rate: float, run: Run):
        super().__init__()
        self.rate, self.run = rate, run

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and torch.is_grad_enabled()):
            return x
        mask = kept(x[:, :1] if x.ndim == 4 else x, self.rate, self.run.generator)
        mean = mask.mean(dtype=torch.float32).clamp_min(1 / mask.numel())
        return _Mask.apply(x, mask / mean.to(x.dtype))


class Regularizer(Base):
    def __init__(self, rate: float):
        self.rate = rate

    def network(self, network: nn.Module) -> nn.Module:
        for _, relu in activations(network, self.run.uncalled) if self.rate else []:
            after(relu, Backdrop(self.rate, self.run))
        return network
