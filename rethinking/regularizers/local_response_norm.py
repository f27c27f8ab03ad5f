"""Local response normalization after every convolution's ReLU.

Krizhevsky et al. 2012, section 3.3: x_c / (k + alpha * sum over the `size` channels around c of x^2) ^ beta, with k = 1
so that alpha = 0 is none (there k = 2, which with alpha is as k = 1 with half of alpha, times 2^-0.75), size 5, beta
0.75. alpha >= 0; practice there: 1e-4 (TensorFlow's CIFAR-10 tutorial: 0.001 / 9, over 9 channels). Train it in
float32: in bfloat16 a factor within 0.25 % of 1, as at 1e-4, rounds to 1. For networks with convolutions and without
local response normalization of their own: the Inceptions, ResNet-20.
"""

from torch import nn

from rethinking.layers import LocalResponseNorm
from rethinking.regularizers import Base
from rethinking.surgery import activations, after, of_maps

OPTIONS = {"alpha": {"type": "float", "ge": 0.0, "description": "coefficient of the sum of squares"}}
NULL = {"alpha": 0.0}
PRACTICE = {"alpha": 1e-4}
FAMILY = "normalization"
STRENGTHS = (0.0001, 0.01, 1.0)
NEEDS = "convolutions"
REFUSES = "local response normalization"


class Regularizer(Base):
    def __init__(self, alpha: float):
        self.alpha = alpha

    def network(self, network: nn.Module) -> nn.Module:
        for layer, relu in activations(network, self.run.uncalled) if self.alpha else []:
            if isinstance(layer, nn.Conv2d):
                norm = LocalResponseNorm(size=5, alpha=5 * self.alpha, beta=0.75, k=1.0)
                after(relu, of_maps(norm, "local_response_norm"))
        return network
