"""Stochastic depth: in training, the branch of a residual block is left out at random, for a whole batch at a time.

Huang et al. 2016 (ECCV): H_l = ReLU(b_l f_l(H_{l-1}) + shortcut), b_l ~ Bernoulli(p_l) (equation 2), with survival
falling linearly with depth, p_l = 1 - (l / L) (1 - p_L) (equation 4), l from 1 to L; evaluation multiplies f_l by p_l
(equation 5). rate = 1 - p_L, the last block's probability of being left out, in [0, 1]; 0 is none; practice there: 0.5.
For networks with residual blocks.
"""

import torch
from torch import Tensor, nn

from rethinking.layers import Residual
from rethinking.regularizers import Base, Run
from rethinking.regularizers._places import after

OPTIONS = {"rate": {"type": "float", "ge": 0.0, "le": 1.0, "default": 0.5, "description": "of the last block left out"}}
NULL = {"rate": 0.0}
PRACTICE = {"rate": 0.5}
NEEDS = "residual blocks"


class Survival(nn.Module):
    """A branch's output times 0 or 1 in training, times its probability of survival in evaluation."""

    def __init__(self, survival: float, run: Run):
        super().__init__()
        self.survival, self.run = survival, run

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x * self.survival
        alive = torch.rand((), generator=self.run.generator, device=x.device) < self.survival
        return x * alive.to(x.dtype)


class Regularizer(Base):
    def __init__(self, rate: float):
        self.rate = rate

    def network(self, network: nn.Module) -> nn.Module:
        blocks = [m for m in network.modules() if isinstance(m, Residual)] if self.rate else []
        for k, block in enumerate(blocks, start=1):
            after(block.branch, Survival(1 - k / len(blocks) * self.rate, self.run))
        return network
