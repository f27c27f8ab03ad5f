"""Cutout: a square of each image is blotted out, at a place of its own.

DeVries & Taylor 2017, section 3.2: the square's centre is uniform over the image's pixels, so that it may hang over the
edge; it is filled with the image's mean, which whitening sends to about 0 (there: the data set's). size >= 0, in
pixels; 0 is none; one that leaves nothing but the mean, of twice the image's side, is refused. Practice there on
CIFAR-10: 16. Original pixels, cropped and whitened afterwards. Not together with a corruption of pixels, whose images
are cut before they are corrupted.
"""

import torch
from torch import Generator, Tensor

from rethinking.errors import InputError
from rethinking.images import largest_cutout
from rethinking.regularizers import Base

OPTIONS = {"size": {"type": "int", "ge": 0, "le": 1000, "default": 16, "description": "side of the square, in pixels"}}
NULL = {"size": 0}
PRACTICE = {"size": 16}
FAMILY = "data"
STRENGTHS = (8, 12, 16, 20, 24)
REFUSES = "pixels"


class Regularizer(Base):
    def __init__(self, size: int):
        self.size = size
        self.wants_originals = size > 0

    def batch(self, images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        if self.size == 0:
            return images, labels
        most = largest_cutout(*images.shape[2:])
        if self.size > most:
            of = " x ".join(map(str, images.shape[2:]))
            raise InputError(
                f"cutout's size is {self.size} pixels, which leaves nothing of images of {of}: give at most {most}"
            )
        rows, columns = (self._covered(len(images), side, generator, images.device) for side in images.shape[2:])
        covered = rows[:, None, :, None] & columns[:, None, None, :]
        return torch.where(covered, images.mean(dim=(1, 2, 3), keepdim=True), images), labels

    def _covered(self, count: int, side: int, generator: Generator, device: torch.device) -> Tensor:
        """bool (count, side): `size` places in a row around a centre drawn for each image."""
        first = torch.randint(side, (count, 1), generator=generator, device=device) - self.size // 2
        place = torch.arange(side, device=device)
        return (first <= place) & (place < first + self.size)
