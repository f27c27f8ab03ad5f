"""Random labels: every label becomes a uniformly random class, which may be the true one.

[zhang2017] section 2.1. Not a permutation of the classes, which would be a mere renaming. Of K classes 1 - 1 / K of the
labels change; for labels that all change, take partial_labels with p = 1 and among = "others".
"""

import numpy as np

from rethinking.corruptions import Facts

ACTS_ON = "labels"
OPTIONS: dict[str, dict] = {}
KEY = "partial_labels"  # the same draws, so partial labels tend to these as p goes to 1
REGRESSION = True


def corrupt(image: np.ndarray, label: int, generator: np.random.Generator, facts: Facts):
    """image: as it is, (H, W, C) or (H, W) of any dtype. label: an int below facts.num_classes."""
    return image, int(relabel(label, generator, facts))


def relabel(labels, draws, facts: Facts):
    """An int, of one generator, or int64 (N,), of the draws of all."""
    return draws.integers(facts.num_classes)
