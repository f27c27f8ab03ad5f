"""Layer normalization of every hidden layer, before its ReLU.

Ba, Kiros & Hinton 2016 (arXiv:1607.06450), equations 3 and 4: (x - mean) / sqrt(variance + 1e-5), mean and variance of
one image over all units of the layer (of a convolution: channels and positions), then (1 + scale) x + offset, one of
each a channel, both 0 at the start. On or off; practice: on. For networks without batch normalization of their own: the
MLPs, AlexNet, Inception without BN.
"""

from torch import nn

from rethinking.regularizers import Base
from rethinking.regularizers.group_norm import GroupNorm
from rethinking.surgery import activated, after, of_units

OPTIONS = {"on": {"type": "bool", "default": True, "description": "whether to normalize"}}
NULL = {"on": False}
PRACTICE = {"on": True}
FAMILY = "normalization"
REFUSES = ["batch normalization", "batch_norm", "group_norm"]


class Regularizer(Base):
    def __init__(self, on: bool):
        self.on = on

    def network(self, network: nn.Module) -> nn.Module:
        for layer in activated(network, self.run.uncalled) if self.on else []:
            after(layer, of_units(GroupNorm(1, layer.weight.shape[0]), layer, "layer_norm"))
        return network
