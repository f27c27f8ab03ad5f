"""Gaussian: every image's pixels from a Gaussian with the data set's mean and variance per channel, fixed per image.

[zhang2017] section 2.1. float32, in the units of the images, neither rounded nor clipped.
"""

import numpy as np

from rethinking.corruptions import Facts

ACTS_ON = "pixels"
OPTIONS: dict[str, dict] = {}
NEEDS = ("mean", "variance")


def corrupt(image: np.ndarray, label: int, generator: np.random.Generator, facts: Facts):
    noise = generator.standard_normal(image.shape, dtype=np.float32)
    mean = np.array(facts.mean, dtype=np.float32)
    deviation = np.sqrt(np.array(facts.variance, dtype=np.float32))  # (C,), or (1,) for grey images (H, W)
    return noise * deviation + mean, label
