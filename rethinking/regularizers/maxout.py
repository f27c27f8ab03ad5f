"""Maxout: a hidden unit gives the largest of several linear functions of its input, instead of a ReLU of one.

Goodfellow et al. 2013 (ICML), section 3: h_i = max over k of z_ik, z_ik = W_ik x + b_ik, for every convolution and
linear layer that has a ReLU. The first function keeps the layer's own weights; the others are new weights beside it, so
the network grows with `pieces`. pieces >= 0; 0 is none (the ReLU, itself the maximum of one function and 0), 1 leaves
the network linear. Practice, in the authors' code: 2 (convolutions) to 5. A network's own batch norm, between
layer and ReLU, normalizes the maximum. Not for residual blocks, whose last ReLU follows a sum.
"""

import torch
from torch import Tensor, nn

from rethinking.layers import Linear
from rethinking.regularizers import Base
from rethinking.surgery import Layer, Passed, activations, become

OPTIONS = {"pieces": {"type": "int", "ge": 0, "le": 100, "default": 2, "description": "linear functions a unit"}}
NULL = {"pieces": 0}
PRACTICE = {"pieces": 2}
FAMILY = "units"
STRENGTHS = (2, 3, 4, 6, 8)
REFUSES = ["residual blocks", "batch_norm", "dropconnect", "restricted_weights"]


class MaxoutLinear(Linear):
    """A linear layer and `others` of the same shape: the maximum of their outputs."""

    others: nn.ModuleList

    def forward(self, x: Tensor) -> Tensor:
        return _largest(super().forward(x), x, self.others)


class MaxoutConv2d(nn.Conv2d):
    """A convolution and `others` of the same shape: the maximum of their outputs."""

    others: nn.ModuleList

    def forward(self, x: Tensor) -> Tensor:
        return _largest(super().forward(x), x, self.others)


def _largest(y: Tensor, x: Tensor, others: nn.ModuleList) -> Tensor:
    for other in others:
        y = torch.maximum(y, other(x))
    return y


def _twin(layer: Layer) -> nn.Module:
    """A new layer of the same shape."""
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return Linear(layer.in_features, layer.out_features, bias)
    shape = (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    return nn.Conv2d(*shape, layer.groups, bias, layer.padding_mode)  # type: ignore[arg-type]


class Regularizer(Base):
    def __init__(self, pieces: int):
        self.pieces = pieces

    def network(self, network: nn.Module) -> nn.Module:
        for layer, relu in activations(network, self.run.uncalled) if self.pieces else []:
            others = nn.ModuleList(_twin(layer) for _ in range(self.pieces - 1))
            become(layer, MaxoutLinear if isinstance(layer, nn.Linear) else MaxoutConv2d, others=others)
            become(relu, Passed)
        return network
