"""Mixup: each image of a batch and its label are mixed with another of the batch.

Zhang et al. 2018 (ICLR), section 2: x <- l x_i + (1 - l) x_j, y <- l y_i + (1 - l) y_j, labels one-hot, l drawn from
Beta(alpha, alpha), j by a permutation of the batch. One l an image (the authors' code draws one a batch). alpha >= 0; 0
is none, 1 draws l uniformly, infinity would halve every image. Practice there on CIFAR-10: 1. Original pixels, whitened
afterwards. Not together with a corruption of pixels, whose images are cut before they are corrupted.
"""

import torch
from torch import Generator, Tensor

from rethinking.regularizers import Base, distribution

OPTIONS = {
    "alpha": {"type": "float", "ge": 0.0, "default": 1.0, "description": "both parameters of the Beta distribution"}
}
NULL = {"alpha": 0.0}
PRACTICE = {"alpha": 1.0}
FAMILY = "data"
STRENGTHS = (0.1, 0.2, 0.5, 1.0, 4.0)
REFUSES = "pixels"


def beta(alpha: float, count: int, generator: Generator, device: torch.device) -> Tensor:
    """`count` draws of Beta(alpha, alpha), float32 in [0, 1]; by logarithms: a small alpha would underflow."""
    shape = torch.full((2, count), alpha + 1, device=device)
    gamma = torch._standard_gamma(shape, generator=generator).log()  # Gamma(a) is Gamma(a + 1) U^(1 / a)
    uniform = 1 - torch.rand(2, count, generator=generator, device=device)  # in (0, 1]
    gamma += uniform.log() / alpha
    return torch.sigmoid(gamma[0] - gamma[1])


class Regularizer(Base):
    def __init__(self, alpha: float):
        self.alpha = alpha
        self.wants_originals = alpha > 0

    def batch(self, images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        if self.alpha == 0:
            return images, labels
        share = beta(self.alpha, len(images), generator, images.device)
        other = torch.randperm(len(images), generator=generator, device=images.device)
        targets = distribution(labels, self.run.num_classes)
        images = torch.lerp(images[other], images, share[:, None, None, None])
        return images, torch.lerp(targets[other], targets, share[:, None])
