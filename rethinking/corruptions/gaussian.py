"""Gaussian: every image's pixels from a Gaussian with the data set's mean and variance per channel, fixed per image.

[zhang2017] section 2.1. float32, in the units of the images, neither rounded nor clipped.
"""

import numpy as np

from rethinking.corruptions import Facts
from rethinking.errors import InputError

ACTS_ON = "pixels"
OPTIONS: dict[str, dict] = {}
NEEDS = ("mean", "variance")


def corrupt(image: np.ndarray, label: int, generator: np.random.Generator, facts: Facts):
    """float32, of the image's shape, (H, W, C) or (H, W). Raises InputError unless a mean and variance a channel."""
    channels = image.shape[2] if image.ndim == 3 else 1
    if not len(facts.mean) == len(facts.variance) == channels:
        given = f"{len(facts.mean)} and {len(facts.variance)}"
        raise InputError(f"means and variances are {given}, the images have {channels} channels: give one of each")
    noise = generator.standard_normal(image.shape, dtype=np.float32)
    mean = np.array(facts.mean, dtype=np.float32)
    deviation = np.sqrt(np.array(facts.variance, dtype=np.float32))  # (C,), or (1,) for grey images (H, W)
    return noise * deviation + mean, label
