"""Gradient noise: Gaussian noise, less from step to step, is added to every gradient.

Neelakantan et al. 2015, equation 1: g <- g + N(0, strength / (1 + t)^decay), t the step from 0; the strength is a
variance (eta there), decay its gamma. strength >= 0; 0 is none. Practice there: strength 0.01, 0.3 or 1, decay 0.55.
"""

import torch
from torch import nn

from rethinking.regularizers import Base

OPTIONS = {
    "strength": {"type": "float", "ge": 0.0, "description": "variance of the noise at the first step"},
    "decay": {"type": "float", "ge": 0.0, "default": 0.55, "description": "exponent of its fall"},
}
NULL = {"strength": 0.0}
PRACTICE = {"strength": 0.01}
FAMILY = "gradient"
STRENGTHS = (0.0001, 0.001, 0.01, 0.1, 1.0)


class Regularizer(Base):
    def __init__(self, strength: float, decay: float):
        self.strength, self.decay = strength, decay

    def gradient(self, network: nn.Module) -> None:
        if self.strength == 0:
            return
        deviation = (self.strength / (1 + self.run.step) ** self.decay) ** 0.5
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.grad += torch.empty_like(parameter.grad).normal_(0, deviation, generator=self.run.generator)
