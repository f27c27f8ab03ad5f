"""Real-valued targets: which others they change places with, and the Gaussian that they are drawn from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from rethinking.corruptions import Facts, Keyed, _samples
from rethinking.corruptions._features import NUMBERS
from rethinking.errors import InputError


def permuted(count: int, keyed: Keyed, p: float) -> np.ndarray:
    """Whose target each of `count` examples gets, int64 (count,): those drawn with probability p change places."""
    source = np.arange(count)
    draws = keyed.draws(source)
    chosen = np.flatnonzero(draws.random() < p)
    # The order of independent uniform numbers is a uniform permutation.
    source[chosen] = chosen[np.argsort(draws.random()[chosen], kind="stable")]
    return source


def moments(targets: Sequence[Any], given: Facts) -> Facts:
    """Mean and variance of the targets, component by component, where they are not given.

    Raises:
        InputError: targets that are no finite numbers, of several shapes, or all equal; moments of another shape.
    """
    reals = [real(y, i) for i, y in enumerate(targets)]
    for i, each in enumerate(reals):
        if each.shape != reals[0].shape:
            raise InputError(
                f"the target of dataset[{i}] has the shape {each.shape}, that of dataset[0] {reals[0].shape}: "
                "give them one shape, or say regression='permutation'"
            )
    values = np.array(reals, dtype=np.float64)
    mean = np.array(given.mean or values.mean(axis=0)).reshape(-1)
    variance = np.array(given.variance or values.var(axis=0)).reshape(-1)
    if not variance.any():
        raise InputError(f"all targets are {values.flat[0]:g}, so their Gaussian is that number: give variance")
    shape = values.shape[1:]
    if {mean.size, variance.size} - {1, int(np.prod(shape))}:
        raise InputError(f"mean and variance are {mean.size} and {variance.size} numbers, a target has {shape}")
    return Facts(0, tuple(mean.tolist()), tuple(variance.tolist()))


def real(target: Any, index: int) -> np.ndarray:
    """A target as float64. Raises InputError where it is no finite number or array of them."""
    try:
        value = np.asarray(_samples.plain(target))
        numbers = value.dtype.kind in NUMBERS and not isinstance(target, Image.Image)  # "3", dates, 1j are none
        value = value.astype(np.float64) if numbers else np.array(np.nan)
    except (TypeError, ValueError, RuntimeError):
        value = np.array(np.nan)
    if not np.isfinite(value).all():
        raise InputError(
            f"the target of dataset[{index}] is {_samples.describe(target)}, "
            "not a finite real number, or array or tensor of them: mend it, or say regression='permutation'"
        )
    return value
