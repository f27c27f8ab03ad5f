"""Shift: how often the likeliest class changes as an image moves by a pixel or is scaled, and what many crops gain.

Azulay & Weiss 2019, "Why do deep convolutional networks generalize so poorly to small image transformations?", section
2, as their published code measures it. Two crops are neighbours where one is a pixel further down and to the right.
`change` is P(top-1 change) between neighbours. `absolute_change` is the mean absolute change between them of the
probability of the first one's likeliest class. `agreement` is the consistency of Zhang 2019: the probability that two
crops drawn independently have the same likeliest class. It is exact here, since all crops are evaluated.

A data set's images may be larger than the crop that a run sees: CIFAR-10's by 2 pixels on each side. Crops that move by
up to 2 pixels then have real pixels at their borders. Beyond the image the border is black, or inpainted as in the
authors' code: unknown pixels become the mean of the known ones near them, weighted by a binomial kernel of 11 x 11, and
so on until all are filled. A scaled copy is sampled bilinearly from the image, about the centre of the crop; this also
blurs it a little, but at scale 1, which is the crop itself. Every copy is whitened by itself, as in training.

A row is about a family of copies of each image: the crops that move by at most `reach` pixels down and right, or the
copies scaled by 1 - reach to 1 + reach in even steps. Consistency rises with accuracy, so every row has both. An image
takes (2 reach + 1)^2 + 2 steps + 1 forward passes, of the largest reach.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rethinking.errors import InputError
from rethinking.images import whiten

OPTIONS = {
    "images": {"type": "int", "ge": 1, "default": 2000, "description": "of each split, the first ones"},
    "reach": {"type": "int", "ge": 1, "le": 16, "default": 2, "description": "pixels that a crop moves at most"},
    "border": {
        "type": "str",
        "choices": ["real", "black", "inpainted"],
        "default": "real",
        "description": "what is beyond the edge of an image; real: nothing, so that no crop passes it",
    },
    "scale": {"type": "float", "ge": 0.0, "le": 0.5, "default": 0.1, "description": "largest change; 0: none"},
    "steps": {"type": "int", "ge": 1, "le": 100, "default": 5, "description": "scales to either side of 1"},
}
COLUMNS = {
    "test": {"meaning": "0: training images, with the labels trained on; 1: test images", "unit": "1", "whole": True},
    "scaled": {"meaning": "0: the copies are crops that move; 1: they are scaled", "unit": "1", "whole": True},
    "reach": {"meaning": "at most so far: pixels down and right, or the change of scale", "unit": "pixels or 1"},
    "copies": {"meaning": "of every image within this reach, itself included", "unit": "copies", "whole": True},
    "images": {"meaning": "measured", "unit": "images", "whole": True},
    "accuracy": {"meaning": "of the images as they are", "unit": "fraction"},
    "mean_accuracy": {"meaning": "of all copies: that of one drawn at random", "unit": "fraction"},
    "edge_accuracy": {"meaning": "of the copies at exactly this reach", "unit": "fraction"},
    "averaged_accuracy": {"meaning": "of the mean over the copies of the probabilities", "unit": "fraction"},
    "voted_accuracy": {
        "meaning": "of the class that most copies give; a tie goes to the larger mean probability",
        "unit": "fraction",
    },
    "change": {"meaning": "neighbouring copies with another likeliest class", "unit": "fraction"},
    "absolute_change": {
        "meaning": "between neighbours, of the probability of the first one's likeliest class; mean of the magnitude",
        "unit": "probability",
    },
    "edge_change": {
        "meaning": "copies at exactly this reach with another likeliest class than the image itself",
        "unit": "fraction",
    },
    "agreement": {"meaning": "pairs of copies, drawn independently, with one likeliest class", "unit": "fraction"},
    "jaggedness": {
        "meaning": "sum of the magnitudes of the steps of the probability of the image's own likeliest class along the "
        "path from one end of the reach to the other, diagonally; mean over images",
        "unit": "probability",
    },
}
ARRAYS = {
    "moved_accuracy": "float32 (2, 2 reach + 1, 2 reach + 1): training and test, pixels down, pixels right",
    "scaled_accuracy": "float32 (2, 2 steps + 1): training and test, scales from 1 - scale up; empty without scales",
}
PART = 500  # images whose copies are held at a time
BINOMIAL = [math.comb(10, k) / 2**10 for k in range(11)]


def measure(trained, generator, *, images, reach, border, scale, steps):
    side = trained.train[0].shape[2]
    scales = [1 + scale * k / steps for k in range(-steps, steps + 1)] if scale else []
    moved, resized = [], []
    for test, split in enumerate(("train", "test")):
        originals, labels = trained.originals(split, images), getattr(trained, split)[1][:images].cpu()
        check_border(originals, side, border, reach, scale)
        crops = probabilities(trained, originals, lambda part: shifted(part, side, reach, border))
        grid = crops.unflatten(0, (2 * reach + 1, 2 * reach + 1))
        for r in range(1, reach + 1):
            within = grid[reach - r : reach + r + 1, reach - r : reach + r + 1]
            neighbours = within[:-1, :-1].flatten(0, 1), within[1:, 1:].flatten(0, 1)
            edge = torch.cat([within[0], within[-1], within[1:-1, 0], within[1:-1, -1]])
            path = within.diagonal().movedim(-1, 0)
            yield {"test": test, "scaled": 0, "reach": r} | readings(
                within.flatten(0, 1), neighbours, edge, path, labels
            )
        moved.append(right(grid, labels))
        line = probabilities(trained, originals, lambda part: scaled(part, side, scales, border))
        for r in range(1, steps + 1) if scales else ():
            path = line[steps - r : steps + r + 1]
            yield {"test": test, "scaled": 1, "reach": scale * r / steps} | readings(
                path, (path[:-1], path[1:]), path[[0, -1]], path, labels
            )
        resized.append(right(line, labels))
    return {
        "moved_accuracy": torch.stack(moved).float().numpy(),
        "scaled_accuracy": torch.stack(resized).float().numpy(),
    }


def forwards(run, *, images, reach, scale, steps, **_):
    """Images that it evaluates at most."""
    return 2 * images * ((2 * reach + 1) ** 2 + (2 * steps + 1) * (scale > 0))


def right(p: Tensor, labels: Tensor) -> Tensor:
    """The accuracy of each copy: probabilities (..., N, classes), int64 (N,) -> float64 (...)."""
    return (p.argmax(-1) == labels).double().mean(-1)


def readings(
    copies: Tensor, neighbours: tuple[Tensor, Tensor], edge: Tensor, path: Tensor, labels: Tensor
) -> dict[str, Any]:
    """The columns of a family of copies, see COLUMNS; each argument but the last has probabilities (M, N, classes).

    Args:
        copies: all, an odd number, the image itself in the middle. neighbours: firsts and seconds. edge: the copies
        at the whole reach. path: an odd number, the image itself in the middle. labels: int64 (N,).
    """
    votes = F.one_hot(copies.argmax(-1), copies.shape[-1]).double().mean(0)  # (N, classes)
    mean = copies.double().mean(0)
    own = path[len(path) // 2].argmax(-1)  # (N,)
    along = path.double().gather(-1, own.expand(len(path), -1)[..., None]).squeeze(-1)  # (len(path), N)
    first, second = (each.double() for each in neighbours)
    likeliest = first.argmax(-1, keepdim=True)
    return {
        "copies": len(copies),
        "images": len(labels),
        "accuracy": right(path[len(path) // 2], labels).item(),
        "mean_accuracy": right(copies, labels).mean().item(),
        "edge_accuracy": right(edge, labels).mean().item(),
        "averaged_accuracy": right(mean, labels).item(),
        "voted_accuracy": right(len(copies) * votes + mean / 2, labels).item(),  # less than one vote
        "change": (likeliest.squeeze(-1) != second.argmax(-1)).double().mean().item(),
        "absolute_change": (second - first).gather(-1, likeliest).abs().mean().item(),
        "edge_change": (edge.argmax(-1) != own).double().mean().item(),
        "agreement": votes.square().sum(-1).mean().item(),
        "jaggedness": along.diff(dim=0).abs().sum(0).mean().item(),
    }


# --- the copies -----------------------------------------------------------------------------------


def probabilities(trained: Any, originals: Tensor, copied: Any) -> Tensor:
    """float32 (copies, N, classes), on the CPU, of uncropped images uint8 (N, H, W, C).

    Args:
        copied: a function of part of the images, float32, that yields each time one copy of all of them.
    """
    parts = []
    for part in originals.split(PART):
        found = [
            trained.logits(whiten(copy.contiguous()).permute(0, 3, 1, 2)).softmax(1).cpu()
            for copy in copied(part.to(trained.device).float())
        ]
        parts.append(torch.stack(found) if found else torch.zeros(0, len(part), trained.num_classes))
    return torch.cat(parts, 1)


def shifted(images: Tensor, side: int, reach: int, border: str) -> Iterator[Tensor]:
    """Crops (N, side, side, C) of images (N, H, W, C), moved by -reach to reach pixels down, and for each right."""
    pad = missing(images.shape[1:3], side, reach)
    canvas, (top, left) = padded(images, pad, border), corner(images.shape[1:3], side, pad)
    for down in range(-reach, reach + 1):
        for across in range(-reach, reach + 1):
            yield canvas[:, top + down :, left + across :][:, :side, :side]


def scaled(images: Tensor, side: int, scales: Iterable[float], border: str) -> Iterator[Tensor]:
    """Copies (N, side, side, C) of the crop of images (N, H, W, C), scaled about its centre; at scale 1 the crop."""
    for scale in scales:
        pad = missing(images.shape[1:3], side, overhang(side, scale))
        canvas, (top, left) = padded(images, pad, border), corner(images.shape[1:3], side, pad)
        if scale == 1:
            yield canvas[:, top : top + side, left : left + side]
            continue
        from_centre = (torch.arange(side, dtype=torch.float64, device=images.device) - (side - 1) / 2) / scale
        height, width = canvas.shape[1:3]
        y = (top + (side - 1) / 2 + from_centre) * 2 / (height - 1) - 1  # pixels' centres go from -1 to 1
        x = (left + (side - 1) / 2 + from_centre) * 2 / (width - 1) - 1
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).float().expand(len(images), -1, -1, -1)
        found = F.grid_sample(canvas.permute(0, 3, 1, 2), grid, padding_mode="border", align_corners=True)
        yield found.permute(0, 2, 3, 1)


def overhang(side: int, scale: float) -> int:
    """Pixels beyond the crop, on each side, that a copy at a scale is sampled from."""
    return max(0, math.ceil((side - 1) / 2 * (1 / scale - 1) - 1e-9))


def corner(shape: Any, side: int, pad: int = 0) -> tuple[int, int]:
    """Top and left of the centre crop of images of a shape (H, W) that are padded all around."""
    return tuple(max(0, each - side) // 2 + pad for each in shape)


def missing(shape: Any, side: int, reach: int) -> int:
    """Pixels by which images (H, W) must be padded, for a crop of so many pixels to move by `reach`."""
    free = [
        room for each, start in zip(shape, corner(shape, side), strict=True) for room in (start, each - side - start)
    ]
    return max(0, reach - min(free))


def check_border(images: Tensor, side: int, border: str, reach: int, scale: float) -> None:
    """Raise InputError where a border of real pixels is asked for and there are too few."""
    for name, value, needed in (("reach", reach, reach), ("scale", scale, overhang(side, 1 - scale))):
        lacking = missing(images.shape[1:3], side, needed)
        if border == "real" and lacking:
            given = f"the images have {needed - lacking} real pixels around the crop"
            raise InputError(
                f"{name} is {value}: {given}, {needed} are needed: give less, or border=black or inpainted"
            )


def padded(images: Tensor, pad: int, border: str) -> Tensor:
    """Images (N, H, W, C) with a border of `pad` pixels that are black or inpainted: (N, H + 2 pad, W + 2 pad, C)."""
    canvas = F.pad(images.permute(0, 3, 1, 2), (pad, pad, pad, pad))
    if border == "inpainted" and pad:
        known = F.pad(torch.ones_like(images[0, :, :, 0]), (pad, pad, pad, pad))[None, None]
        while not known.all():
            weight = blurred(known)
            near = weight > 0
            mean = blurred(canvas) / weight.clamp_min(1e-30)
            canvas = torch.where(known.bool(), canvas, torch.where(near, mean, 0.0))
            known = near.to(known)
    return canvas.permute(0, 2, 3, 1)


def blurred(images: Tensor) -> Tensor:
    """Images (N, C, H, W) convolved with BINOMIAL in both directions, zeros around them."""
    kernel, (n, c, h, w) = torch.tensor(BINOMIAL, dtype=images.dtype, device=images.device), images.shape
    planes = images.reshape(n * c, 1, h, w)
    planes = F.conv2d(planes, kernel.view(1, 1, -1, 1), padding=(5, 0))
    return F.conv2d(planes, kernel.view(1, 1, 1, -1), padding=(0, 5)).view(n, c, h, w)
