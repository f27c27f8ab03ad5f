"""Random signs: every label becomes +1 or -1 with probability 1/2, for networks of one logit.

[zhang2017] section 2.2, equation 1: the empirical Rademacher complexity is the expected supremum, over a class of
functions, of (1/n) sum_i sigma_i h(x_i) with random signs sigma. Here +1 is class 1 and -1 class 0, in the test set
too, and the network has one logit z, whose sign is its answer: the two classes' logits are (0, z).
"""

import numpy as np

from rethinking.corruptions import Facts

ACTS_ON = "labels"
OPTIONS: dict[str, dict] = {}
ONE_LOGIT = True  # the labels are signs, in every split; nothing is left of the original classes


def corrupt(image: np.ndarray, label: int, generator: np.random.Generator, facts: Facts):
    """image: as it is, (H, W, C) or (H, W) of any dtype. label: 0 or 1."""
    return image, int(relabel(label, generator, facts))


def relabel(labels, draws, facts: Facts):
    """An int, of one generator, or int64 (N,), of the draws of all."""
    return draws.integers(2)
