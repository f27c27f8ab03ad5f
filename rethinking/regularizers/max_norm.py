"""Max-norm: after every step, each unit's incoming weights are put back into a ball.

Srebro & Shraibman 2005; Srivastava et al. 2014, section 5.1: w <- w min(1, bound / |w|), |w| the Euclidean norm of one
unit's weights (a linear layer's row, a convolution's filter), biases left out. bound >= 0 in units of weight; 0
switches it off, and the smaller the bound above 0, the stronger. Practice: 3, the lower end of the 3 to 4 in appendix
A.3 there.
"""

import torch
from torch import nn

from rethinking.errors import InputError
from rethinking.regularizers import Base
from rethinking.surgery import weights

OPTIONS = {"bound": {"type": "float", "ge": 0.0, "description": "of the norm of a unit's incoming weights; 0: none"}}
NULL = {"bound": 0.0}
PRACTICE = {"bound": 3.0}
FAMILY = "weights"
STRENGTHS = (3.0, 1.0, 0.5, 0.25, 0.1)


_TRANSPOSED = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d


class Regularizer(Base):
    def __init__(self, bound: float):
        self.bound = bound

    def network(self, network: nn.Module) -> nn.Module:
        if self.bound:
            weights(network)  # refuses a network without
            other = next((m for m in network.modules() if isinstance(m, _TRANSPOSED)), None)
            if other is not None:
                raise InputError(f"max_norm bounds rows, and those of a {type(other).__name__} are of no unit: drop it")
        return network

    @torch.no_grad()
    def after_step(self, network: nn.Module) -> None:
        if self.bound == 0:
            return
        for weight in weights(network):
            norm = torch.linalg.vector_norm(weight, dim=tuple(range(1, weight.ndim)), keepdim=True)
            weight.mul_((self.bound / norm).clamp_max(1.0))  # norm 0 gives infinity, clamped
