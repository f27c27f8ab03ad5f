"""Restricted weights: a layer computes with weights from {-1, +1} or {0, 1} only, times one fixed scale a layer.

BinaryConnect (Courbariaux et al. 2015), equation 1 and algorithm 1, straight-through: the layer uses w_b = scale where
w >= 0, else -scale (`signs`), or scale where w > 0, else 0 (`bits`); the gradient with respect to w_b changes the real
weight w, which is clipped to its initial range after every step. The scale is the standard deviation of the layer's
initial weights, so that the layer starts with outputs of the usual size (the authors' code has half of Glorot's range
for scale, initial values and clip). {0, 1} adds to all of a layer's outputs half the sum of its inputs, which drowns
the rest after a first layer; layer_norm takes it away again. Biases are free. `values` is free (none), signs or bits;
`layer` is 0 for all layers or the number of one, from 1 at the image. Practice: signs on all layers. Records keep the
real weights, which is why it does not go with what acts on weights, nor with other initial weights than Glorot's.
"""

import math

import torch
from torch import Tensor, nn

from rethinking.errors import InputError
from rethinking.layers import Linear, linear
from rethinking.regularizers import Base
from rethinking.surgery import become, in_order, layers, weights

OPTIONS = {
    "values": {"type": "str", "choices": ["free", "signs", "bits"], "description": "any, {-1, +1} or {0, 1}"},
    "layer": {"type": "int", "ge": 0, "default": 0, "description": "0: all; else one, counted from 1 at the image"},
}
NULL = {"values": "free"}
PRACTICE = {"values": "signs"}
FAMILY = "weights"
STRENGTHS = ("signs", "bits")
REFUSES = ["dropconnect", "maxout", "max_norm", "l1", "weight_decay"]


def restrict(weight: Tensor, values: str) -> Tensor:
    """`weight` in scale * {-1, +1} ("signs") or scale * {0, 1} ("bits"), same shape, scale = bound / sqrt(3).

    `weight` gets the result's gradient unchanged.
    """
    hard = torch.where(weight >= 0, 1.0, -1.0) if values == "signs" else (weight > 0).float()
    return bound(weight) / math.sqrt(3) * hard.to(weight.dtype) + (weight - weight.detach())


def bound(weight: Tensor) -> float:
    """The end of Glorot's uniform range for a weight of that shape (`rethinking.models.initialise`)."""
    field = math.prod(weight.shape[2:])
    return math.sqrt(6 / ((weight.shape[0] + weight.shape[1]) * field))


class RestrictedLinear(Linear):
    """A linear layer with restricted weights."""

    values: str

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, restrict(self.weight, self.values), self.bias)


class RestrictedConv2d(nn.Conv2d):
    """A convolution with restricted weights."""

    values: str

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, restrict(self.weight, self.values), self.bias)


def _nothing(layer: nn.Module, inputs: tuple[Tensor]) -> None:
    """A hook, with which torch's nn.TransformerEncoderLayer calls a layer in evaluation, too, not its weight alone."""


class Regularizer(Base):
    def __init__(self, values: str, layer: int):
        self.values, self.layer = values, layer

    def network(self, network: nn.Module) -> nn.Module:
        if self.values == "free":
            return network
        if self.run.initial_weights != "glorot":
            raise InputError(
                f"initial_weights is {self.run.initial_weights!r}, and restricted_weights clips to Glorot's range: "
                "leave initial_weights out"
            )
        found = in_order([m for m in layers(network) if m not in self.run.uncalled], self.run.calls)
        if self.run.calls:  # those that only training calls are counted last
            found.sort(key=lambda layer: layer not in self.run.calls)
        if self.layer > len(found):
            raise InputError(
                f"restricted_weights.layer is {self.layer}, the network has {len(found)} layers: give 0 to {len(found)}"
            )
        chosen = [found[self.layer - 1]] if self.layer else found
        own = {id(layer.weight) for layer in chosen}
        if any(not isinstance(layer.weight, nn.Parameter) for layer in chosen) or (
            not self.layer and any(id(weight) not in own for weight in weights(network))
        ):
            raise InputError(
                "restricted_weights is of convolutions of images and linear layers that are called, and the network "
                "has other weights: drop it"
            )
        for layer in chosen:
            kind = RestrictedLinear if isinstance(layer, nn.Linear) else RestrictedConv2d
            become(layer, kind, values=self.values)
            if self.run.calls:  # of a network that is not the package's
                layer.register_forward_pre_hook(_nothing)
        return network

    @torch.no_grad()
    def after_step(self, network: nn.Module) -> None:
        for layer in network.modules():
            if isinstance(layer, RestrictedLinear | RestrictedConv2d) and layer.weight.requires_grad:
                layer.weight.clamp_(-bound(layer.weight), bound(layer.weight))
