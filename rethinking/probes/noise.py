"""Noise: accuracy on the training set as more and more Gaussian noise is added to the activations of all units.

Morcos et al. 2018, "On the importance of single directions for generalization", section 2.3, from memory: noise of mean
zero on every unit at once, whose deviation is `scale` times that of the unit's own activation over the training images.
A unit is what a ReLU gives, a feature map before it is pooled; at each position of a map noise is drawn anew, and the
deviation is over positions too. With batch_norm's place=after the noise is added behind the norm, which is the same, as
it scales with the activation.
"""

import torch

from rethinking.probes._folding import hooked
from rethinking.probes.deletion import mean_activations

OPTIONS = {
    "images": {"type": "int", "ge": 1, "default": 2000, "description": "training images measured, the first ones"},
    "repeats": {"type": "int", "ge": 1, "le": 1000, "default": 3, "description": "draws at each scale"},
    "points": {"type": "int", "ge": 1, "le": 1000, "default": 8, "description": "scales, besides none"},
    "most": {"type": "float", "gt": 0.0, "default": 2.0, "description": "the largest scale, the others evenly below"},
}
COLUMNS = {
    "repeat": {"meaning": "the draw, from 1", "unit": "1", "whole": True},
    "scale": {"meaning": "deviation of the noise over that of the unit's activation", "unit": "1"},
    "accuracy": {"meaning": "over the training images measured", "unit": "fraction"},
}


def measure(trained, generator, *, images, repeats, points, most):
    inputs, labels = (each[:images] for each in trained.train)
    relus = trained.relus()
    means, squares = (mean_activations(trained, relus, inputs, power) for power in (1, 2))
    spread = [(s - m.square()).clamp_min(0).sqrt() for m, s in zip(means, squares, strict=True)]
    for repeat in range(1, repeats + 1):
        for k in range(points + 1):
            scale = most * k / points

            def noisy(place, given, output, scale=scale):
                draw = torch.randn(output.shape, generator=generator).to(output)
                return output + scale * spread[place].to(output).view(1, -1, *[1] * (output.ndim - 2)) * draw

            with hooked(relus, noisy):
                accuracy = trained.accuracy(inputs, labels)
            yield {"repeat": repeat, "scale": scale, "accuracy": accuracy}


def forwards(run, *, images, repeats, points, **_):
    """Images that it evaluates."""
    return images * (repeats * (points + 1) + 2)
