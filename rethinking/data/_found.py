"""What was found where data are to be added from: one split, or both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_BYTES = 2_000_000_000  # of the images of a split, one byte a value
LAYOUTS = "a folder with one folder of images a class, an .npz, .npy files, or CIFAR-10's or MNIST's official files"


@dataclass(frozen=True)
class Pair:
    """One split as it was found. images: uint8 (N, H, W, C). labels: a name or whole number each. names: by number."""

    images: np.ndarray
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
