"""Intervals of a probability."""

import math


def wilson(successes: float, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's interval of a probability, (low, high), in [0, 1] (Wilson 1927).

    Args:
        successes: the sum of the trials' values, each in [0, 1]. trials: at least 1. z: the normal quantile, by
        default of 95 %.
    """
    share, width = successes / trials, z**2 / trials
    middle = (share + width / 2) / (1 + width)
    half = math.sqrt(share * (1 - share) * width + width**2 / 4) / (1 + width)
    return max(0.0, middle - half), min(1.0, middle + half)
