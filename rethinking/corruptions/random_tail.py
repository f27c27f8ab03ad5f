"""Random tail: every label from a place in the split on becomes a uniformly random class; those before it stay.

A confusion set, as in Neyshabur et al. 2017, "Exploring Generalization in Deep Learning", Figure 3: of n images the
first are labelled truly, and the network is led astray by the rest. With `first` images of true labels and n in all,
the last n - first have random ones, which are those that random_labels draws there.
"""

import numpy as np

from rethinking.corruptions import Facts

ACTS_ON = "labels"
OPTIONS = {"first": {"type": "int", "ge": 0, "description": "images whose labels stay, the first ones of each split"}}
KEY = "partial_labels"  # the same draws as random_labels
PLACED = True
SAME_AS = [({"first": 0}, "random_labels")]


def corrupt(image: np.ndarray, label: int, generator: np.random.Generator, facts: Facts, *, first: int, index: int):
    """image: as it is, (H, W, C) or (H, W) of any dtype. label: an int below facts.num_classes. index: from 0."""
    return image, int(relabel(label, generator, facts, first=first, index=index))


def relabel(labels, draws, facts: Facts, *, first: int, index):
    """An int, of one generator and one index, or int64 (N,), of the draws and the indices of all."""
    return np.where(index >= first, draws.integers(facts.num_classes), labels)
