"""Images in memory: a data set, its facts, the crop and the whitening of every image."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rethinking.arrays import Stored
from rethinking.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

IMAGE_SIZE = 28  # pixels; the paper's centre crop


@dataclass(frozen=True)
class Facts:
    """What a corruption may know of the data set.

    Attributes:
        num_classes: number of labels. mean, variance: per channel of the full training set's pixels, in the
            images' own units; finite, a variance not negative.

    Raises:
        InputError: a mean or variance that is none.
    """

    num_classes: int = 0
    mean: tuple[float, ...] = ()
    variance: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not np.isfinite([*self.mean, *self.variance]).all() or min(self.variance, default=0) < 0:
            raise InputError(f"mean {self.mean}, variance {self.variance}: give finite numbers, variances of 0 or more")


class Split(NamedTuple):
    """images: uint8 (N, H, W, C), on the disk where they are too many for memory. labels: int64 (N,)."""

    images: np.ndarray | Stored
    labels: np.ndarray


@dataclass(frozen=True)
class ImageSet:
    """A data set in memory.

    Attributes:
        name, classes: words. train, test: Split. facts: number of classes, pixel mean and variance (bytes).
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    facts: Facts


def crop(images: Any, size: int | None = IMAGE_SIZE) -> Any:
    """Centre crop of an array or tensor: (N, H, W, C) -> (N, min(H, size), min(W, size), C), a view; None: whole."""
    if size is None:
        return images
    top, left = (max(0, side - size) // 2 for side in images.shape[1:3])
    return images[:, top : top + size, left : left + size]


def label_type(num_classes: int) -> np.dtype:
    """The dtype of labels on the disk: bytes, or two of them, little-endian, where there are more than 256 classes."""
    return np.dtype(np.uint8 if num_classes <= 256 else "<u2")


def largest_cutout(height: int, width: int) -> int:
    """Side of the largest square cut out of images: the next covers all of one from wherever its centre is."""
    return 2 * max(height, width) - 2


def whiten(images: "Tensor") -> "Tensor":
    """Per-image whitening ([zhang2017] appendix A; TensorFlow's per_image_standardization).

    (x / 255 - mean) / max(std, 1 / sqrt(values)), mean and population standard deviation over all values of an image.

    Args:
        images: (N, H, W, C) or (N, C, H, W) of any dtype, in units of a byte (0 to 255).

    Returns:
        float32, same shape.
    """
    import torch

    flat = images.flatten(1).to(torch.float32) / 255
    deviation, mean = torch.std_mean(flat, dim=1, correction=0, keepdim=True)
    return ((flat - mean) / deviation.clamp_min(1 / math.sqrt(flat.shape[1]))).reshape(images.shape)
