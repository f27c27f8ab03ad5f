"""The data set on the device: crop, corruption, whitening, once; then a batch is one gather."""

import numpy as np
import torch
from torch import Tensor

from rethinking import catalog
from rethinking.corruptions import corrupt_arrays
from rethinking.errors import InputError
from rethinking.images import ImageSet, Split, crop, whiten
from rethinking.seeds import keyed_generator
from rethinking.spec import RunSpec


def prepare(data: ImageSet, spec: RunSpec, split: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """One split of a run, ready on the device.

    Args:
        split: "train", the first spec.n images, or "test", all of them.

    Returns:
        images float32 (N, C, 28, 28) in channels_last memory, whitened; labels int64 (N,).
    """
    source: Split = getattr(data, split)
    count = spec.n if split == "train" else len(source.labels)
    images, labels = corrupt_arrays(
        crop(source.images[:count]),
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
