"""Shuffled pixels: one random permutation of the positions, the same for every image of train and test.

[zhang2017] section 2.1. The colour channels of a position move together.
"""

import numpy as np

from rethinking.corruptions import Facts

ACTS_ON = "pixels"
KEYED_BY = "seed"
OPTIONS: dict[str, dict] = {}
PERMUTES = True


def corrupt(image: np.ndarray, label: int, generator: np.random.Generator, facts: Facts):
    """image: (H, W, C) or (H, W), its dtype stays. label: as it is."""
    height, width = image.shape[:2]
    order = generator.permutation(height * width)
    return image.reshape(height * width, *image.shape[2:])[order].reshape(image.shape), label
