"""Colour: brightness, contrast, saturation and hue of each image are changed by draws of their own.

[zhang2017] section 3 names the four and no ranges; these are TensorFlow's for Inception (slim, distort_color): with x
in [0, 1], brightness x + b, b in [-32, 32] / 255; saturation and contrast by factors in [0.5, 1.5], contrast about each
channel's mean; hue turned by up to 0.2 of a circle; in the order brightness, saturation, hue, contrast (the first of
its four), clipped after the first and at the end. strength in [0, 1] scales all four ranges; 0 is none; practice: 1,
the ranges above. Images of one channel have brightness and contrast only. Original pixels, whitened afterwards, which
undoes what brightness and contrast do to all values alike. Not together with a corruption of pixels, whose images are
cut before they are corrupted.
"""

import torch
from torch import Generator, Tensor

from rethinking.regularizers import Base

OPTIONS = {"strength": {"type": "float", "ge": 0.0, "le": 1.0, "default": 1.0, "description": "scales all ranges"}}
NULL = {"strength": 0.0}
PRACTICE = {"strength": 1.0}
FAMILY = "data"
STRENGTHS = (0.1, 0.25, 0.5, 0.75, 1.0)
REFUSES = "pixels"

BRIGHTNESS, SATURATION, HUE, CONTRAST = 32 / 255, 0.5, 0.2, 0.5


def tint(images: Tensor, saturation: Tensor, hue: Tensor) -> Tensor:
    """Saturation times `saturation`, at most 1, and hue turned by `hue` of a circle, in HSV (Smith 1978).

    Args:
        images: float (B, 3, H, W) in [0, 1], red, green, blue. saturation, hue: float (B,).
    """
    value, _ = images.max(dim=1)
    spread = value - images.amin(dim=1)
    red, green, blue = images.unbind(1)
    safe = spread.clamp_min(1e-12)
    angle = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )  # of the hue, in sixths of a circle
    angle = (angle + 6 * hue[:, None, None]) % 6
    chroma = torch.minimum(spread * saturation[:, None, None], value)
    sixth = (torch.tensor([5.0, 3.0, 1.0], device=images.device)[None, :, None, None] + angle[:, None]) % 6
    return value[:, None] - chroma[:, None] * torch.minimum(sixth, 4 - sixth).clamp(0, 1)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Distance from each channel's mean times factor (B,). images: (B, C, H, W)."""
    mean = images.mean(dim=(2, 3), keepdim=True)
    return torch.lerp(mean, images, factor[:, None, None, None])


class Regularizer(Base):
    def __init__(self, strength: float):
        self.strength = strength
        self.wants_originals = strength > 0

    def batch(self, images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        if self.strength == 0:
            return images, labels
        draw = torch.empty(4, len(images), device=images.device).uniform_(-1, 1, generator=generator) * self.strength
        x = (images / 255 + BRIGHTNESS * draw[0][:, None, None, None]).clamp(0, 1)
        if images.shape[1] == 3:
            x = tint(x, 1 + SATURATION * draw[1], HUE * draw[2])
        return contrast(x, 1 + CONTRAST * draw[3]).clamp(0, 1) * 255, labels
