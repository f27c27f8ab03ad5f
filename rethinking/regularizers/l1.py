"""L1: every step moves the weights towards zero by a constant, and those that would cross it stay exactly zero.

Tibshirani 1996, equation 1 (there a bound on the sum, here its penalty), by the proximal step after the update (Parikh
& Boyd 2014, section 6.5.2, soft thresholding): w <- sign(w) max(|w| - rate * strength / (1 - momentum), 0), on the
weights of all layers (parameters of two axes or more), not on biases or norms. Momentum adds up 1 / (1 - momentum)
gradients of the loss, so the threshold does too: at rest the gradient is `strength`, as in the penalized loss.
strength >= 0, nats per unit of weight; 0 is none, and a strength above the loss's gradient leaves no weight. Practice:
1e-5, the example in Keras's documentation.
"""

import torch
import torch.nn.functional as F
from torch import nn

from rethinking.regularizers import Base
from rethinking.surgery import weights

OPTIONS = {"strength": {"type": "float", "ge": 0.0, "description": "coefficient of the sum of absolute weights"}}
NULL = {"strength": 0.0}
PRACTICE = {"strength": 1e-5}
FAMILY = "weights"
STRENGTHS = (1e-05, 0.0001, 0.0005, 0.001, 0.003)


class Regularizer(Base):
    def __init__(self, strength: float):
        self.strength = strength

    def network(self, network: nn.Module) -> nn.Module:
        if self.strength:
            weights(network)  # refuses a network without
        return network

    @torch.no_grad()
    def after_step(self, network: nn.Module) -> None:
        if self.strength == 0:
            return
        threshold = self.run.rate * self.strength / (1 - self.run.momentum)
        for weight in weights(network):
            weight.copy_(F.softshrink(weight, threshold))
