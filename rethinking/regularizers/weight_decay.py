"""Weight decay: every step shrinks the weights towards zero.

Krogh & Hertz 1991, equation 2: g <- g + strength * w, torch.optim.SGD's coefficient, on the weights of
all layers (parameters of two axes or more), not on biases or norms. strength >= 0; 0 is none, and where learning rate x
strength reaches 1 the weights are gone in a step. [zhang2017] does not say its strength; practice on CIFAR-10: 5e-4.
"""

from torch import nn

from rethinking.regularizers import Base, Groups
from rethinking.surgery import weights

OPTIONS = {"strength": {"type": "float", "ge": 0.0, "description": "coefficient of the weights in the gradient"}}
NULL = {"strength": 0.0}
PRACTICE = {"strength": 5e-4}
FAMILY = "weights"
STRENGTHS = (0.0005, 0.005, 0.02, 0.05, 0.1)


class Regularizer(Base):
    def __init__(self, strength: float):
        self.strength = strength

    def network(self, network: nn.Module) -> nn.Module:
        if self.strength:
            weights(network)  # refuses a network without
        return network

    def parameters(self, network: nn.Module, groups: Groups) -> Groups:
        if not self.strength:
            return groups
        ours = {id(weight) for weight in weights(network)}
        split: Groups = []
        for group in groups:
            decayed = [p for p in group["params"] if id(p) in ours]
            others = [p for p in group["params"] if id(p) not in ours]
            split += [group | {"params": decayed, "weight_decay": self.strength}] if decayed else []
            split += [group | {"params": others}] if others else []
        return split
