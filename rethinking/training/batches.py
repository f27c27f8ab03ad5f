"""The data set on the device: crop, corruption, whitening, once; then a batch is one gather."""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rethinking import catalog
from rethinking.corruptions import corrupt_arrays
from rethinking.data import ImageSet, Split
from rethinking.errors import InputError
from rethinking.seeds import keyed_generator
from rethinking.spec import RunSpec, crop_size

IMAGE_SIZE = 28  # pixels; the paper's centre crop


def crop(images: Any, size: int | None = IMAGE_SIZE) -> Any:
    """Centre crop of an array or tensor: (N, H, W, C) -> (N, min(H, size), min(W, size), C), a view; None: whole."""
    if size is None:
        return images
    top, left = (max(0, side - size) // 2 for side in images.shape[1:3])
    return images[:, top : top + size, left : left + size]


def whiten(images: Tensor) -> Tensor:
    """Per-image whitening ([zhang2017] appendix A; TensorFlow's per_image_standardization).

    (x / 255 - mean) / max(std, 1 / sqrt(values)), mean and population standard deviation over all values of an image.

    Args:
        images: (N, H, W, C) or (N, C, H, W) of any dtype, in units of a byte (0 to 255).

    Returns:
        float32, same shape.
    """
    flat = images.flatten(1).to(torch.float32) / 255
    deviation, mean = torch.std_mean(flat, dim=1, correction=0, keepdim=True)
    return ((flat - mean) / deviation.clamp_min(1 / math.sqrt(flat.shape[1]))).reshape(images.shape)


def prepare(data: ImageSet, spec: RunSpec, split: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """One split of a run, ready on the device.

    Args:
        split: "train", the first spec.n images, or "test", all of them.

    Returns:
        images float32 (N, C, H, W), after the centre crop, in channels_last memory, whitened; labels int64 (N,).
    """
    source: Split = getattr(data, split)
    count = spec.n if split == "train" else len(source.labels)
    images, labels = corrupt_arrays(
        crop(source.images[:count], crop_size(spec.data, spec.crop)),
        source.labels[:count],
        spec.corruptions,
        facts=data.facts,
        seed=spec.data_seed,
        split=split,
        corrupt_labels=split == "train" or spec.test_labels == "corrupted" or one_logit(spec),
    )
    out = torch.empty(images.shape, dtype=torch.float32, device=device)
    for chunk in torch.arange(len(images)).split(4096):  # so that the scratch memory stays small
        a, b = int(chunk[0]), int(chunk[-1]) + 1
        out[a:b] = whiten(torch.from_numpy(np.ascontiguousarray(images[a:b])).to(device))
    return out.permute(0, 3, 1, 2), torch.from_numpy(np.ascontiguousarray(labels)).to(device)


def one_logit(spec: RunSpec) -> bool:
    """Whether the run's labels are signs, in every split, and its network has one logit."""
    return any(catalog.find("corruptions", c.name).constants.get("ONE_LOGIT") for c in spec.corruptions)


def two_logits(logits: Tensor) -> Tensor:
    """(N, 1), one logit z, as the two logits (0, z), whose cross entropy is the logistic loss; others as given."""
    return F.pad(logits, (1, 0)) if logits.shape[1] == 1 else logits


def gather(images: Tensor, index: Tensor) -> Tensor:
    """images[index] in the memory format of `images`, (N, C, H, W); by rows, in a seventh to a half of the time."""
    if images.is_contiguous():
        return images.flatten(1).index_select(0, index).reshape(-1, *images.shape[1:])
    rows = images.permute(0, 2, 3, 1)
    return rows.flatten(1).index_select(0, index).reshape(-1, *rows.shape[1:]).permute(0, 3, 1, 2)


def permutation(n: int, seed: int, epoch: int) -> Tensor:
    """The order of the training set in one epoch, int64 (n,); drawn on the CPU, so the same for every device."""
    return torch.randperm(n, generator=keyed_generator("cpu", seed, "batches", epoch))


def to_device(name: str) -> torch.device:
    """The torch device of that name. Raises InputError where it is not there."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"device {name!r} is not available here ({reason}): use cpu") from None
    return device
