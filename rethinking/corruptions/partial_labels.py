"""Partially corrupted labels: each label, with probability p, becomes a uniformly random class.

[zhang2017] section 2.1. Each label is drawn independently, so the number of corrupted labels is binomial (n, p), and a
tenth of them are, by chance, the true one: a fraction p * (1 - 1 / num_classes) changes.
"""

import numpy as np

from rethinking.corruptions import Facts

ACTS_ON = "labels"
OPTIONS = {"p": {"type": "float", "ge": 0.0, "le": 1.0, "description": "probability of corrupting a label"}}
SAME_AS = [({"p": 0.0}, None), ({"p": 1.0}, "random_labels")]


def corrupt(image: np.ndarray, label: int, generator: np.random.Generator, facts: Facts, *, p: float):
    """image: as it is, (H, W, C) or (H, W) of any dtype. label: an int below facts.num_classes. p: in [0, 1]."""
    # The class is drawn first, so that p = 1 is random_labels and, the seed held, the corrupted set grows with p.
    other = int(generator.integers(facts.num_classes))
    return image, other if generator.random() < p else label
