"""Random crop: each image of a batch is cut at a place of its own, to the size of the run's centre crop.

[zhang2017] appendix A and Table 1 (Krizhevsky et al. 2012, section 4.1): 28 x 28 out of CIFAR-10's 32 x 32. The crop is
drawn per image, uniformly over all places, and whitened afterwards. It is on or off; practice switches it on. Not
together with a corruption of pixels, whose images are cut before they are corrupted.
"""

import torch
from torch import Generator, Tensor, nn

from rethinking.errors import InputError
from rethinking.regularizers import Base

OPTIONS = {"on": {"type": "bool", "default": True, "description": "whether to crop at random"}}
NULL = {"on": False}
PRACTICE = {"on": True}
FAMILY = "data"
REFUSES = "pixels"


class Regularizer(Base):
    def __init__(self, on: bool):
        self.wants_originals = on

    def network(self, network: nn.Module) -> nn.Module:
        if self.wants_originals and self.run.margin <= 0:
            raise InputError("random_crop is on, but images are trained on whole: drop it, or give a smaller --crop")
        return network

    def batch(self, images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        if not self.wants_originals:
            return images, labels
        count, _, height, width = images.shape
        size = min(height, width) - max(0, self.run.margin)
        top = torch.randint(height - size + 1, (count,), generator=generator, device=images.device)
        left = torch.randint(width - size + 1, (count,), generator=generator, device=images.device)
        span = torch.arange(size, device=images.device)
        rows = (top[:, None] + span)[:, :, None]  # (B, size, 1)
        columns = (left[:, None] + span)[:, None, :]  # (B, 1, size)
        each = torch.arange(count, device=images.device)[:, None, None]
        return images.permute(0, 2, 3, 1)[each, rows, columns].permute(0, 3, 1, 2), labels
