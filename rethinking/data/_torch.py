"""A split of a verified data set as a torch Dataset."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from rethinking.arrays import Stored
from rethinking.errors import InputError

KINDS = ("pil", "tensor")


def check_kind(image: str) -> None:
    """Raise InputError for a kind of image that there is not."""
    if image not in KINDS:
        raise InputError(f"image is {image!r}: give 'pil' or 'tensor'")


class Images(Dataset):
    """Samples (image, label), as torchvision's data sets give them.

    Args:
        name, split: words. images: uint8 (N, H, W, C). labels: int64 (N,). classes: the names. image: of KINDS.
        transform: applied to an image.

    Attributes:
        data: the images. targets: the labels, a list of int. classes, class_to_idx: the names and their labels.
    """

    def __init__(
        self,
        name: str,
        split: str,
        images: np.ndarray | Stored,
        labels: np.ndarray,
        classes: tuple[str, ...],
        image: str = "pil",
        transform: Callable[[Any], Any] | None = None,
    ):
        check_kind(image)
        if image == "pil" and images.shape[-1] > 4:
            raise InputError(f"{name} has images of {images.shape[-1]} channels, as no PIL image: give image='tensor'")
        self.name, self.split, self.image, self.transform = name, split, image, transform
        self.data, self.targets, self.classes = images, labels.tolist(), list(classes)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class."""
        return {name: i for i, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        pixels = self.data[index]
        image: Any
        if self.image == "pil":
            image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        else:
            image = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
        return (image if self.transform is None else self.transform(image)), self.targets[index]

    def __repr__(self) -> str:
        return f"{self.name}, {self.split}: {len(self)} examples ({self.image} image, label)"
