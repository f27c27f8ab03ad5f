"""Selectivity: whether the units that answer to one class are those whose deletion does damage.

Morcos et al. 2018, "On the importance of single directions for generalization", section 2.3. Of a unit, or a feature
map's mean over positions, with the means over the images of each class,

    selectivity = (mu_max - mu_others) / (mu_max + mu_others)

mu_max is the largest class mean, mu_others the mean of the others; a unit that is never active has 0. It is defined of
activations that are not negative: units with a class mean below 0 are refused. Damage is what deleting that unit alone
does to the training set: how much the mean cross-entropy rises, and accuracy falls. Classes are those of the labels
trained on. `layer` is counted from 1 at the image.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rethinking import models
from rethinking.errors import InputError
from rethinking.probes._trained import judged
from rethinking.probes.deletion import clamped, mean_activations
from rethinking.surgery import activations

OPTIONS = {
    "images": {"type": "int", "ge": 1, "default": 2000, "description": "training images measured, the first ones"},
    "units": {"type": "int", "ge": 1, "default": 512, "description": "of each layer, at most, drawn at random"},
    "to": {"type": "str", "choices": ["zero", "mean"], "default": "zero", "description": "what a unit is clamped to"},
}
COLUMNS = {
    "layer": {"meaning": "whose units are deleted one by one, counted from 1 at the image", "unit": "1", "whole": True},
    "units": {"meaning": "units or feature maps that are deleted", "unit": "units", "whole": True},
    "selectivity": {"meaning": "mean over the units", "unit": "1"},
    "rise": {"meaning": "of the mean cross-entropy, mean over the units deleted alone", "unit": "nats"},
    "fall": {"meaning": "of the accuracy, mean over the same", "unit": "fraction"},
    "worst_fall": {"meaning": "of the accuracy, the largest", "unit": "fraction"},
    "correlation": {
        "meaning": "Spearman's, over units, of selectivity and the rise; 0 where either is constant",
        "unit": "1",
    },
}
ARRAYS = {
    "unit": "int64 (units,): which units they are, layer by layer",
    "selectivity": "float32 (units,): of each",
    "rise": "float32 (units,): of the mean cross-entropy where it is deleted",
    "fall": "float32 (units,): of the accuracy",
}


def measure(trained, generator, *, images, units, to):
    inputs, labels = (each[:images] for each in trained.train)
    relus, present = trained.relus(), labels.unique()
    if len(present) < 2:
        raise InputError("the images measured are of one class, selectivity is between classes: measure more images")
    by_class = [mean_activations(trained, relus, inputs[labels == k]) for k in present]
    least = min(mean.min().item() for means in by_class for mean in means)
    if least < 0:
        raise InputError(
            f"units of {trained.spec.model} have class means down to {least:.3g}, selectivity needs activations of 0 "
            "or more: measure a network whose units end in ReLUs, without maxout or batch_norm's place=after"
        )
    means = mean_activations(trained, relus, inputs)
    values = means if to == "mean" else [torch.zeros_like(mean) for mean in means]
    gone = [torch.zeros(len(mean), dtype=torch.bool, device=inputs.device) for mean in means]
    whole = judged(trained.logits(inputs), labels)
    arrays: dict[str, list[np.ndarray]] = {name: [] for name in ARRAYS}
    for k, flags in enumerate(gone):
        some = torch.randperm(len(flags), generator=generator)[:units].sort().values
        one = selectivity(torch.stack([each[k] for each in by_class])).cpu()[some].numpy()
        damage = []
        for unit in some:
            flags[unit] = True
            with clamped(relus, gone, values):
                damage.append(judged(trained.logits(inputs), labels))
            flags[unit] = False
        loss, accuracy = np.array(damage).T
        rise, fall = loss - whole[0], whole[1] - accuracy
        yield {
            "layer": k + 1,
            "units": len(some),
            "selectivity": one.mean(),
            "rise": rise.mean(),
            "fall": fall.mean(),
            "worst_fall": fall.max(),
            "correlation": spearman(one, rise),
        }
        for name, part in zip(arrays, (some.numpy(), one, rise, fall), strict=True):
            arrays[name].append(part)
    joined = {name: np.concatenate(parts) for name, parts in arrays.items()}
    return {name: array if name == "unit" else array.astype(np.float32) for name, array in joined.items()}


def selectivity(means: Tensor) -> Tensor:
    """(units,) of class means (classes, units), none of them negative."""
    highest = means.amax(0)
    others = (means.sum(0) - highest) / (len(means) - 1)
    return torch.where(highest > 0, (highest - others) / (highest + others), 0.0)


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two arrays (N,); 0 where one is constant."""
    ranks = [pd.Series(each).rank() for each in (a, b)]
    return 0.0 if any(np.ptp(each) == 0 for each in ranks) else float(np.corrcoef(*ranks)[0, 1])


def forwards(run, *, images, units, **_):
    """Images that it evaluates."""
    layers = [layer for layer, _ in activations(models.build(run.model, **run.model_options))]
    return images * (sum(min(units, len(layer.weight)) for layer in layers) + 3)
