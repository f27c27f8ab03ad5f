"""Random pixels: every image has a fixed permutation of its positions of its own.

[zhang2017] section 2.1. The colour channels of a position move together.
"""

from rethinking.corruptions.shuffled_pixels import corrupt

ACTS_ON = "pixels"
OPTIONS: dict[str, dict] = {}
PERMUTES = True

__all__ = ["corrupt"]  # the same function as shuffled pixels, keyed by the example and not by the seed alone
