"""Group normalization of every hidden layer, before its ReLU.

Wu & He 2018 (ECCV), equations 1, 2, 6 and 7: (x - mean) / sqrt(variance + 1e-5), mean and variance of one image over a
group of channels and all positions, then (1 + scale) x + offset, one of each a channel, both 0 at the start. `channels`
in a group; 0 is none; it must divide every layer's width, and a group of all is layer_norm. Practice: 16,
among those tried there (table 3; their default is 32 groups a layer). For networks without batch normalization of their
own: the MLPs (units are channels), AlexNet, Inception without BN.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rethinking.errors import InputError
from rethinking.regularizers import Base
from rethinking.surgery import activated, after, of_units

OPTIONS = {"channels": {"type": "int", "ge": 0, "default": 16, "description": "in a group"}}
NULL = {"channels": 0}
PRACTICE = {"channels": 16}
FAMILY = "normalization"
STRENGTHS = (128, 64, 32, 16, 8)
REFUSES = ["batch normalization", "batch_norm", "layer_norm"]


class GroupNorm(nn.Module):
    """(B, C, H, W) or (B, C) -> the same, normalized.

    Attributes:
        scale: less one, (C,), so that zero weights, with which all vectors start, change nothing. bias: (C,).
    """

    def __init__(self, groups: int, width: int):
        super().__init__()
        self.groups = groups
        self.scale = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.groups, (1 + self.scale).to(x.dtype), self.bias.to(x.dtype), 1e-5)


class Regularizer(Base):
    def __init__(self, channels: int):
        self.channels = channels

    def network(self, network: nn.Module) -> nn.Module:
        for layer in activated(network, self.run.uncalled) if self.channels else []:
            width = layer.weight.shape[0]
            if width % self.channels:
                raise InputError(
                    f"group_norm.channels is {self.channels}, a layer has {width} channels: give a divisor of it"
                )
            if self.channels == 1 and isinstance(layer, nn.Linear):
                raise InputError("group_norm.channels is 1, and a group of one unit is its own mean: give 2 or more")
            after(layer, of_units(GroupNorm(width // self.channels, width), layer, "group_norm"))
        return network
