"""PAC-Bayes: how far the training loss rises on average when the weights are moved at random, and a formal bound.

Neyshabur et al. 2017, "Exploring Generalization in Deep Learning", section 2: with weights w and Gaussian v of the
deviations s_i, the expected sharpness is the mean of L(w + v) - L(w). A bound of the moved network's expected loss, for
m training images and with probability 1 - delta, has the form

    L(w) + expected sharpness + 4 sqrt((KL + ln(2 m / delta)) / m)

as the literature quotes the paper. `bound` is the formal value of that and guarantees nothing. The theorem asks for a
prior fixed before training and for a bounded loss; here the priors depend on the trained weights, and cross-entropy is
unbounded. L and its rise are means over the first `images`, while m counts the whole training set.

Two rules give the deviations, both of which grow with the weight:

    0  the paper's: s_i = alpha (10 |w_i| + 1) and KL = sum of w_i^2 / (2 s_i^2)
    1  the magnitude-aware one of Jiang et al. 2020, "Fantastic Generalization Measures and Where to Find Them": s_i^2 =
       sigma^2 w_i^2 + epsilon^2, with the largest sigma, found by bisection in [0, 2], at which the mean accuracy over
       the draws falls by `fall` at most; KL = 1/2 sum of ln(s^2 / s_i^2), that to the Gaussian about 0 of the one
       variance s^2 = mean of s_i^2 + w_i^2, which makes it least

All trained parameters move, biases too, in float32 whatever the precision of the run; loss and accuracy are over the
training images measured. Every sigma is tried with the same draws of the unit Gaussian.
"""

import math
from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor

from rethinking.layers import two_logits
from rethinking.probes._trained import judged
from rethinking.surgery import copied

OPTIONS = {
    "images": {"type": "int", "ge": 1, "default": 2000, "description": "training images measured, the first ones"},
    "draws": {"type": "int", "ge": 1, "le": 1000, "default": 10, "description": "of the weights' moves"},
    "alpha": {"type": "float", "gt": 0.0, "default": 5e-4, "description": "size of the moves, of the paper's rule"},
    "depth": {"type": "int", "ge": 1, "le": 60, "default": 15, "description": "steps of the bisection"},
    "fall": {"type": "float", "gt": 0.0, "lt": 1.0, "default": 0.1, "description": "of the accuracy, at the sigma"},
    "epsilon": {"type": "float", "gt": 0.0, "default": 1e-3, "description": "deviation of a weight of 0 at the least"},
    "delta": {"type": "float", "gt": 0.0, "lt": 1.0, "default": 0.05, "description": "in the formal bound"},
}
COLUMNS = {
    "searched": {"meaning": "0: the paper's rule; 1: magnitude-aware, sigma by bisection", "unit": "1", "whole": True},
    "size": {"meaning": "alpha, or sigma", "unit": "1"},
    "loss": {"meaning": "mean cross-entropy of the network itself", "unit": "nats"},
    "expected": {"meaning": "expected sharpness: mean rise of it over the draws", "unit": "nats"},
    "expected_fall": {"meaning": "mean fall of the accuracy over the draws", "unit": "fraction"},
    "kl": {"meaning": "divergence of the moved weights from the prior", "unit": "nats"},
    "bound": {"meaning": "formal value for the moved network's expected loss, no guarantee", "unit": "nats"},
}
PART = 500  # images held at a time


def measure(trained, generator, *, images, draws, alpha, depth, fall, epsilon, delta):
    inputs, labels = (each[:images] for each in trained.train)
    network = copied(trained.network).float()
    parameters = [p for p in network.parameters() if p.requires_grad]
    plain = [p.detach().clone() for p in parameters]

    def measured():
        logits = [two_logits(network(x.to(torch.float32, copy=True))) for x in inputs.split(PART)]
        return judged(torch.cat(logits), labels)

    loss, accuracy = measured()
    beginning = generator.get_state()

    def moved(deviations):
        """The mean rise of the loss and fall of the accuracy over the draws."""
        generator.set_state(beginning)
        found = []
        for _ in range(draws):
            trained.on_part()
            for parameter, weight, deviation in zip(parameters, plain, deviations, strict=True):
                parameter.data = weight + deviation * torch.randn(weight.shape, generator=generator).to(weight)
            found.append(measured())
        return tuple(a - b for a, b in zip(map(fmean, zip(*found, strict=True)), (loss, accuracy), strict=True))

    def aware(sigma):
        return [(sigma**2 * w.square() + epsilon**2).sqrt() for w in plain]

    low, high = 0.0, 2.0
    for _ in range(depth):
        middle = (low + high) / 2
        low, high = (middle, high) if -moved(aware(middle))[1] <= fall else (low, middle)
    rules = [[alpha * (10 * w.abs() + 1) for w in plain], aware(low)]
    for searched, (deviations, kl) in enumerate(zip(rules, (scaled_kl, least_kl), strict=True)):
        rise, change = moved(deviations)
        divergence, m = kl(plain, deviations), len(trained.train[1])
        yield {
            "searched": searched,
            "size": low if searched else alpha,
            "loss": loss,
            "expected": rise,
            "expected_fall": -change,
            "kl": divergence,
            "bound": loss + rise + 4 * math.sqrt((divergence + math.log(2 * m / delta)) / m),
        }


def scaled_kl(weights: Sequence[Tensor], deviations: Sequence[Tensor]) -> float:
    """Of N(w, s_i^2) from N(0, s_i^2): tensors of one shape each."""
    return sum((w / s).double().square().sum().item() / 2 for w, s in zip(weights, deviations, strict=True))


def least_kl(weights: Sequence[Tensor], deviations: Sequence[Tensor]) -> float:
    """Of N(w, s_i^2) from the nearest N(0, s^2): tensors of one shape each."""
    w, s = (torch.cat([each.double().flatten() for each in parts]) for parts in (weights, deviations))
    return ((w.square() + s.square()).mean().log() - s.square().log()).sum().item() / 2


def forwards(run, *, images, draws, depth, **_):
    """Images that it evaluates."""
    return images * (1 + draws * (depth + 2))
