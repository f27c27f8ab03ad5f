"""Batch normalization of every hidden layer.

Ioffe & Szegedy 2015, algorithm 1: (x - mean) / sqrt(variance + epsilon) + offset, over batch and positions, one mean a
channel or unit; without a scale and with epsilon 0.001, as the parameter count of [zhang2017]'s Inception
implies. On or off; practice: on,
place=before. `place`: before the ReLU (the paper's, section 3.2; the layer's bias, which the mean would take away,
makes way for the offset) or after it. `statistics` for evaluation: measured on the training set at each evaluation, or
running, their moving average over the training batches (step t: 0.9 of the old + 0.1 of the batch's), as most code has
it; where dropout stands before, the average is of dropped units. For networks without batch normalization of their own:
the MLPs, AlexNet, Inception without BN (which becomes Inception).
"""

from torch import Tensor, nn

from rethinking.layers import OffsetBatchNorm2d
from rethinking.regularizers import Base
from rethinking.surgery import Layer, activated, activations, after, of_units

OPTIONS = {
    "on": {"type": "bool", "default": True, "description": "whether to normalize"},
    "place": {"type": "str", "choices": ["before", "after"], "default": "before", "description": "the activation"},
    "statistics": {"type": "str", "choices": ["measured", "running"], "default": "measured", "late": True},
}
NULL = {"on": False}
PRACTICE = {"on": True}
FAMILY = "normalization"
MOMENTUM = 0.1  # of the moving average, torch's
REFUSES = ["batch normalization", "layer_norm", "group_norm"]


class BatchNorm(OffsetBatchNorm2d):
    """The package's batch norm, also of a batch of one value, which is its own mean: the offset."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[1]:
            return x - x + self.bias.to(x.dtype).view(1, -1, *[1] * (x.ndim - 2))
        return super().forward(x)


class Regularizer(Base):
    def __init__(self, on: bool, place: str, statistics: str):
        self.on, self.place = on, place
        self.momentum = MOMENTUM if statistics == "running" else None

    def network(self, network: nn.Module) -> nn.Module:
        if self.on and self.place == "before":
            for layer in activated(network, self.run.uncalled):
                after(layer, self._norm(layer))
                layer.register_parameter("bias", None)
        elif self.on:
            for layer, relu in activations(network, self.run.uncalled):
                after(relu, self._norm(layer))
        return network

    def _norm(self, layer: Layer) -> nn.Module:
        return of_units(BatchNorm(layer.weight.shape[0], 1e-3, self.momentum), layer, "batch_norm")
