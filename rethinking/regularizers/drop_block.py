"""DropBlock: in training, square regions of feature maps are dropped at random, per image and channel.

Ghiasi et al. 2018 (NeurIPS), algorithm 1 after every convolution's ReLU: block corners are drawn with probability

    gamma = rate / block^2 * height * width / ((height - block + 1) (width - block + 1))        (equation 1)

among the places where a block fits, so that about `rate` of all units is dropped while it is small; blocks overlap, and
at 0.6 it is 0.42. The rest is multiplied by (units) / (units kept). A map smaller than the block is one block.
Evaluation uses the network as it is. rate in [0, 1), the probability of dropping but for overlaps; 0 is none. Practice
there: 0.1, block 7, on an ImageNet network's last stages, rising from 0 during training (here it is fixed). For
networks with convolutions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rethinking.regularizers import Base, Run
from rethinking.surgery import activations, after, of_maps

OPTIONS = {
    "rate": {"type": "float", "ge": 0.0, "lt": 1.0, "description": "share of the units dropped, but for overlaps"},
    "block": {"type": "int", "ge": 1, "default": 7, "description": "side of a block, in positions"},
}
NULL = {"rate": 0.0}
PRACTICE = {"rate": 0.1}
FAMILY = "units"
STRENGTHS = (0.1, 0.3, 0.6)
NEEDS = "convolutions"


class DropBlock(nn.Module):
    """(B, C, H, W) -> the same, blocks dropped."""

    def __init__(self, rate: float, block: int, run: Run):
        super().__init__()
        self.rate, self.block, self.run = rate, block, run

    def mask(self, x: Tensor) -> Tensor:
        """0 in blocks, 1 elsewhere, in the shape of x."""
        height, width = x.shape[2:]
        tall, wide = min(self.block, height), min(self.block, width)
        places = (height - tall + 1, width - wide + 1)
        gamma = self.rate / (tall * wide) * (height * width) / (places[0] * places[1])
        corners = torch.rand(*x.shape[:2], *places, generator=self.run.generator, device=x.device) < gamma
        dropped = F.pad(corners, (wide - 1, wide - 1, tall - 1, tall - 1))
        for dim, side in ((2, tall), (3, wide)):
            dropped = _any_of(dropped, dim, side)
        return torch.empty_like(x).copy_(~dropped)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        mask = self.mask(x)
        scale = mask.numel() / mask.sum(dtype=torch.float32).clamp_min(1.0)
        return x * mask.mul_(scale.to(x.dtype))


def _any_of(flags: Tensor, dim: int, side: int) -> Tensor:
    """Whether any of `side` neighbours along `dim` is set, (..., K, ...) -> (..., K - side + 1, ...).

    By joins of joins: a max-pooling of the flags would take two thirds of AlexNet's step.
    """
    reach = 1
    while reach < side:
        step = min(reach, side - reach)
        count = flags.shape[dim] - step
        flags = flags.narrow(dim, 0, count) | flags.narrow(dim, step, count)
        reach += step
    return flags


class Regularizer(Base):
    def __init__(self, rate: float, block: int):
        self.rate, self.block = rate, block

    def network(self, network: nn.Module) -> nn.Module:
        for layer, relu in activations(network, self.run.uncalled) if self.rate else []:
            if isinstance(layer, nn.Conv2d):
                after(relu, of_maps(DropBlock(self.rate, self.block, self.run), "drop_block"))
        return network
