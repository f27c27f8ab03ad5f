"""Reading all samples of a data set, one after the other: with progress, without moving the global generators."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tqdm import tqdm

from rethinking import seeds
from rethinking.errors import InputError

LINE_EVERY = 30.0  # seconds between plain lines where there is no terminal


def read(dataset: Any, length: int, name: str, part: Callable[[Any, int], Any]) -> list[Any]:
    """part(sample, index) of all samples. name: of the progress."""
    parts, spoken = [], time.monotonic()
    with seeds.untouched():  # from which a data set's transforms may draw
        for i in tqdm(range(length), desc=name, disable=None, leave=False, dynamic_ncols=True):
            if time.monotonic() - spoken > LINE_EVERY and not sys.stderr.isatty():
                spoken = time.monotonic()
                print(f"{name}: {i} of {length} examples read", file=sys.stderr)
            with at(i):
                parts.append(part(dataset[i], i))
    return parts


@contextmanager
def at(index: int) -> Iterator[None]:
    """The line of an error names the example."""
    try:
        yield
    except InputError as error:
        place = "" if f"dataset[{index}]" in str(error) else f"dataset[{index}]: "
        raise InputError(f"{place}{error}") from None


class Moments:
    """Mean and variance per channel, added up image by image: of small integers in Python's integers, else float64."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Any = None
        self.square: Any = None  # the sum of squares, of deviations where the values are not small integers
        self.exact = False

    def add(self, values: np.ndarray, index: int) -> None:
        """values: (positions, C). Raises InputError where they are not finite, or C is another than before."""
        exact = values.dtype.kind in "bui" and values.dtype.itemsize <= 2
        if self.mean is None:
            self.exact = exact
            self.mean = self.square = np.zeros(values.shape[1], dtype=object if exact else np.float64)
        if len(self.mean) != values.shape[1]:
            raise InputError(
                f"dataset[{index}] has {values.shape[1]} channels, dataset[0] {len(self.mean)}: convert to one of them"
            )
        if exact != self.exact:
            raise InputError(
                f"dataset[{index}] has the dtype {values.dtype}, dataset[0] another: convert to one of them"
            )
        count = len(values)
        if exact:
            small = values.astype(np.int64)
            self.mean = self.mean + small.sum(axis=0).astype(object)
            self.square = self.square + (small * small).sum(axis=0).astype(object)
            self.count += count
            return
        real = values.astype(np.float64)
        if not np.isfinite(real).all():
            raise InputError(f"dataset[{index}] has pixels that are not finite: mend them")
        mean = real.mean(axis=0)
        shift = mean - self.mean
        total = self.count + count
        self.square = self.square + ((real - mean) ** 2).sum(axis=0) + shift**2 * (self.count * count / total)
        self.mean = self.mean + shift * (count / total)
        self.count = total

    def result(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(means, variances), each (C,)."""
        n = self.count
        if self.exact:
            variance = [(n * s - m * m) / (n * n) for m, s in zip(self.mean, self.square, strict=True)]
            return tuple(m / n for m in self.mean), tuple(variance)
        return tuple(self.mean.tolist()), tuple((self.square / n).tolist())
