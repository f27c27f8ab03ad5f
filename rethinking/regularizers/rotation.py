"""Rotation: each image of a batch is turned about its centre by an angle of its own.

[zhang2017] appendix E, Table 4: up to 25 degrees. The angle is uniform over [-angle, angle]. angle in [0, 180]; 0 is
none; practice: the paper's 25. Bilinear between pixels, black outside: the paper says neither, TensorFlow's rotate
fills with zeros. Original pixels, cropped and whitened afterwards. Not together with a corruption of pixels, whose
images are cut before they are corrupted.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from rethinking.regularizers import Base

OPTIONS = {"angle": {"type": "float", "ge": 0.0, "le": 180.0, "default": 25.0, "description": "at most, in degrees"}}
NULL = {"angle": 0.0}
PRACTICE = {"angle": 25.0}
FAMILY = "data"
STRENGTHS = (5.0, 15.0, 25.0, 45.0, 90.0)
REFUSES = "pixels"


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Turn image i counterclockwise by degrees[i] about its centre; bilinear, 0 outside.

    Args:
        images: float (B, C, H, W), of any pixel size. degrees: float (B,).

    Returns:
        Same shape, in channels_last memory.
    """
    _, _, height, width = images.shape
    angle = degrees.deg2rad()
    cosine, sine = angle.cos(), angle.sin()
    y = torch.arange(height, device=images.device) - (height - 1) / 2  # pixels from the centre, downwards
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    turn = (cosine[:, None, None], sine[:, None, None])
    from_x = turn[0] * x[None, None, :] - turn[1] * y[None, :, None]  # (B, H, W): where a pixel comes from
    from_y = turn[1] * x[None, None, :] + turn[0] * y[None, :, None]
    grid = torch.stack([from_x * (2 / width), from_y * (2 / height)], dim=-1)
    turned = F.grid_sample(images.contiguous(), grid, padding_mode="zeros", align_corners=False)
    return turned.contiguous(memory_format=torch.channels_last)


class Regularizer(Base):
    def __init__(self, angle: float):
        self.angle = angle
        self.wants_originals = angle > 0

    def batch(self, images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        if self.angle == 0:
            return images, labels
        degrees = torch.empty(len(images), device=images.device).uniform_(-self.angle, self.angle, generator=generator)
        return rotate(images, degrees), labels
