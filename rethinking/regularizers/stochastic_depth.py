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
from rethinking.surgery import become

OPTIONS = {"rate": {"type": "float", "ge": 0.0, "le": 1.0, "default": 0.5, "description": "of the last block left out"}}
NULL = {"rate": 0.0}
PRACTICE = {"rate": 0.5}
FAMILY = "units"
STRENGTHS = (0.2, 0.5, 0.7, 0.9, 1.0)
NEEDS = "residual blocks"


class StochasticResidual(Residual):
    """A block whose branch is not even computed where it is left out; in evaluation it counts `survival` times."""

    survival: float
    run: Run

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.relu(self.shortcut(x) + self.survival * self.branch(x))
        if torch.rand((), generator=self.run.generator, device=x.device) < self.survival:
            return super().forward(x)
        nothing = sum(p.sum() for p in self.branch.parameters()) * 0  # gradients of 0: with none momentum would stop
        return self.relu(self.shortcut(x) + nothing)


class Regularizer(Base):
    def __init__(self, rate: float):
        self.rate = rate

    def network(self, network: nn.Module) -> nn.Module:
        blocks = [m for m in network.modules() if isinstance(m, Residual) and m not in self.run.uncalled]
        for k, block in enumerate(blocks if self.rate else [], start=1):
            become(block, StochasticResidual, survival=1 - k / len(blocks) * self.rate, run=self.run)
        return network
