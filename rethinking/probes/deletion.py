"""Deletion: accuracy on the training set as more and more units or feature maps are switched off, in random order.

Morcos et al. 2018, "On the importance of single directions for generalization",
section 2.3: a unit is deleted by clamping its activation, a feature map's at all positions, to zero, or to its mean
over the training images (`to`); units add up in an order drawn anew for each repeat. A unit is what a ReLU gives, a
feature map before it is pooled. Of maxout it is the maximum, and with batch_norm's place=after the norm's output. With
`to` zero, what reads it gets nothing from it; zeroed incoming weights, a replication's way, would leave the offset of a
batch norm. `layer` is counted from 1 at the image; 0 is all layers at once.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rethinking import models
from rethinking.errors import InputError
from rethinking.probes._folding import hooked
from rethinking.probes._trained import Trained
from rethinking.surgery import activations

OPTIONS = {
    "images": {"type": "int", "ge": 1, "default": 2000, "description": "training images measured, the first ones"},
    "repeats": {"type": "int", "ge": 1, "le": 1000, "default": 3, "description": "orders of deletion"},
    "points": {"type": "int", "ge": 1, "le": 1000, "default": 10, "description": "shares deleted, besides none"},
    "to": {"type": "str", "choices": ["zero", "mean"], "default": "zero", "description": "what units are clamped to"},
}
COLUMNS = {
    "layer": {"meaning": "whose units are deleted, counted from 1 at the image; 0: of all", "unit": "1", "whole": True},
    "repeat": {"meaning": "the order of deletion, from 1", "unit": "1", "whole": True},
    "units": {"meaning": "units or feature maps there are", "unit": "units", "whole": True},
    "deleted": {"meaning": "how many of them are deleted", "unit": "units", "whole": True},
    "share": {"meaning": "deleted / units", "unit": "fraction"},
    "accuracy": {"meaning": "over the training images measured", "unit": "fraction"},
}


def measure(trained, generator, *, images, repeats, points, to):
    inputs, labels = (each[:images] for each in trained.train)
    relus = trained.relus()
    means = mean_activations(trained, relus, inputs)
    widths = [len(mean) for mean in means]
    values = means if to == "mean" else [torch.zeros_like(mean) for mean in means]
    for layer in range(len(relus) + 1):
        first = sum(widths[: layer - 1]) if layer else 0
        units = widths[layer - 1] if layer else sum(widths)
        for repeat in range(1, repeats + 1):
            order = first + torch.randperm(units, generator=generator)
            for deleted in dict.fromkeys(round(units * k / points) for k in range(points + 1)):
                gone = torch.zeros(sum(widths), dtype=torch.bool)
                gone[order[:deleted]] = True
                with clamped(relus, gone.to(inputs.device).split(widths), values):
                    accuracy = trained.accuracy(inputs, labels)
                yield {
                    "layer": layer,
                    "repeat": repeat,
                    "units": units,
                    "deleted": deleted,
                    "share": deleted / units,
                    "accuracy": accuracy,
                }


def forwards(run, *, images, repeats, points, **_):
    """Images that it evaluates."""
    layers = len(activations(models.build(run.model, **run.model_options)))
    return images * ((layers + 1) * repeats * (points + 1) + 1)


def clamped(relus: Sequence[nn.Module], gone: Sequence[Tensor], values: Sequence[Tensor]) -> Any:
    """A context in which units are clamped.

    Args:
        relus: whose outputs are (N, units, ...). gone, values: (units,) each, which are clamped, and to what.
    """

    def clamp(k: int, given: Tensor, output: Tensor) -> Tensor:
        shape = (1, -1, *[1] * (output.ndim - 2))
        return torch.where(gone[k].view(shape), values[k].to(output.dtype).view(shape), output)

    return hooked(relus, clamp)


def mean_activations(trained: Trained, relus: Sequence[nn.Module], inputs: Tensor, power: int = 1) -> list[Tensor]:
    """The mean activation of every unit, or of its power, over images and positions: float32 (units,) for each ReLU.

    Raises InputError where a ReLU does not act once on an image, or is given (N, tokens, units).
    """
    sums: dict[int, Tensor] = {}
    seen = [0] * len(relus)
    linear = {relu for layer, relu in activations(trained.network) if isinstance(layer, nn.Linear)}

    def add(k: int, given: Tensor, output: Tensor) -> None:
        if output.ndim not in ((2,) if relus[k] in linear else (2, 4)):
            kind = "linear layer" if relus[k] in linear else "convolution"
            raise InputError(
                f"{trained.spec.model} has {tuple(output.shape)} at a ReLU behind a {kind}: units "
                "must be the second axis of 2, or maps that of 4, so measure another network"
            )
        values = output.double() ** power
        total = values.flatten(2).mean(2).sum(0) if output.ndim > 2 else values.sum(0)
        sums[k] = sums[k] + total if k in sums else total
        seen[k] += len(output)

    with hooked(relus, add):
        trained.logits(inputs)
    if set(seen) != {len(inputs)}:
        raise InputError(f"{trained.spec.model} uses a ReLU twice or not at all: units cannot be told apart")
    return [(sums[k] / len(inputs)).float() for k in range(len(relus))]
