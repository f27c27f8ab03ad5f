"""Partially corrupted labels: each label, with probability p, becomes a random class.

[zhang2017] section 2.1. Each label is drawn independently, so the number of corrupted labels is binomial (n, p). Two
conventions give the random class, and the rate of labels that change, of K classes:

    among="all"      uniform over all classes, the true one included, as in the paper: p * (1 - 1 / K) change
    among="others"   uniform over the other classes, as most papers on label noise define its rate: p change

So among="all" at p has the distribution of among="others" at p * (1 - 1 / K). At p = 1, labels drawn from all classes
say nothing of the true ones; labels drawn from the others still say which class is not the true one.
"""

import numpy as np

from rethinking.corruptions import Facts
from rethinking.errors import InputError

ACTS_ON = "labels"
OPTIONS = {
    "p": {"type": "float", "ge": 0.0, "le": 1.0, "description": "probability of corrupting a label"},
    "among": {
        "type": "str",
        "choices": ["all", "others"],
        "default": "all",
        "late": True,
        "description": "the classes that a corrupted label is drawn from, the true one included or not",
    },
}
SAME_AS = [({"p": 0.0}, None), ({"p": 1.0}, "random_labels"), ({"p": 0.0, "among": "others"}, None)]
REGRESSION = True


def corrupt(image: np.ndarray, label: int, generator: np.random.Generator, facts: Facts, *, p: float, among="all"):
    """image: as it is, (H, W, C) or (H, W) of any dtype. label: an int below facts.num_classes. p: in [0, 1].

    Raises InputError where another class is asked for and there is none.
    """
    return image, int(relabel(label, generator, facts, p=p, among=among))


def relabel(labels, draws, facts: Facts, *, p: float, among="all"):
    """An int, of one generator, or int64 (N,), of the draws of all. Raises InputError as `corrupt` does."""
    # The class is drawn first, so that p = 1 is random_labels and, the seed held, the corrupted set grows with p.
    if among == "others":
        if facts.num_classes < 2:
            raise InputError(f"among='others' of {facts.num_classes} classes: there must be two or more")
        other = draws.integers(facts.num_classes - 1)
        other = other + (other >= labels)
    else:
        other = draws.integers(facts.num_classes)
    return np.where(draws.random() < p, other, labels)
