"""Horizontal flip: each image of a batch is mirrored left to right, or not, by a draw of its own.

[zhang2017] appendix E, Table 4 (Krizhevsky et al. 2012, section 4.1): x[c, h, w] <- x[c, h, W - 1 - w] with the given
probability. probability in [0, 1]; 0 is none, 1 mirrors every image always; practice: 0.5. Original pixels, cropped and
whitened afterwards. Not together with a corruption of pixels, whose images are cut before they are corrupted.
"""

import torch
from torch import Generator, Tensor

from rethinking.regularizers import Base

OPTIONS = {"probability": {"type": "float", "ge": 0.0, "le": 1.0, "default": 0.5, "description": "of a mirrored image"}}
NULL = {"probability": 0.0}
PRACTICE = {"probability": 0.5}
FAMILY = "data"
STRENGTHS = (0.02, 0.05, 0.1, 0.25, 0.5)
REFUSES = "pixels"


class Regularizer(Base):
    def __init__(self, probability: float):
        self.probability = probability
        self.wants_originals = probability > 0

    def batch(self, images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        if self.probability == 0:
            return images, labels
        mirrored = torch.rand(len(images), generator=generator, device=images.device) < self.probability
        return torch.where(mirrored[:, None, None, None], images.flip(3), images), labels
