"""What was found where data are to be added from: one split, or both."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_BYTES = 2_000_000_000  # of the images of a split that are read as a whole, one byte a value
LAYOUTS = "a folder with one folder of images a class, an .npz, .npy files, or CIFAR-10's or MNIST's official files"


class Chosen:
    """Some images of a split, in an order of their own, which are taken when they are asked for.

    Args:
        images: uint8 (N, H, W, C), as of `Pair`. places: int64 (M,), which of them.
    """

    def __init__(self, images: Any, places: np.ndarray):
        self._images, self._places = images, places
        self.shape = (len(places), *images.shape[1:])
        self.dtype, self.nbytes = np.dtype(np.uint8), math.prod(self.shape)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, part: slice) -> np.ndarray:
        return self._images[self._places[part]]


@dataclass(frozen=True)
class Pair:
    """One split as it was found.

    images: uint8 (N, H, W, C), an array, or what gives the array of those at places int64 (M,), images[places], and has
    a shape. labels: a name or whole number each. names: by number.
    """

    images: Any
    labels: Sequence[str] | np.ndarray
    names: Sequence[str] = ()


@dataclass(frozen=True)
class Found:
    """What a path holds.

    Attributes:
        layout: in words. in_order: its order is kept, as of an official layout. taken: what the pairs are called there.
        left_out: what is there beside them, as a validation set, and is not taken.
    """

    layout: str
    train: Pair
    test: Pair | None = None
    in_order: bool = False
    taken: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
