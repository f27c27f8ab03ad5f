"""The data set on the device: crop, corruption, whitening, once; then a batch is one gather.

An ImageSet is cropped, corrupted and whitened here. `Tensors` are data of anybody's, which are taken as they are.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rethinking import catalog
from rethinking.arrays import Stored
from rethinking.corruptions import corrupt_arrays, corrupt_labels, corrupt_pixels
from rethinking.errors import InputError
from rethinking.images import ImageSet, Split, crop, whiten
from rethinking.seeds import keyed_generator
from rethinking.spec import RunSpec, crop_size
from rethinking.training.rows import Inputs, Rows, chosen_of, too_many

SCRATCH = 1 << 28  # values of images that are made ready at once


def prepare(data: ImageSet, spec: RunSpec, split: str, device: torch.device) -> tuple[Inputs, Tensor]:
    """One split of a run, ready on the device; images that take too much memory are made ready batch by batch.

    Args:
        split: "train", the first spec.n images, or "test", all of them.

    Returns:
        images float32 (N, C, H, W), after the centre crop, in channels_last memory, whitened; labels int64 (N,).
    """
    source: Split = getattr(data, split)
    labels = source.labels[: spec.n if split == "train" else None]
    side = crop_size(spec.data, spec.crop)
    drawn: dict[str, Any] = {"facts": data.facts, "seed": spec.data_seed, "split": split}

    def whitened(places: np.ndarray) -> Tensor:
        """float32 (B, H, W, C)."""
        images = corrupt_pixels(crop(source.images[places], side), places, spec.corruptions, **drawn)
        return whiten(torch.from_numpy(np.ascontiguousarray(images)).to(device))

    if split == "train" or spec.test_labels == "corrupted" or one_logit(spec):
        labels = corrupt_labels(labels, spec.corruptions, **drawn)
    on, places = torch.from_numpy(np.ascontiguousarray(labels)).to(device), np.arange(len(labels))
    height, width, channels = (*(min(side or each, each) for each in source.images.shape[1:3]), source.images.shape[3])
    read = math.prod(source.images.shape[1:])
    if too_many(4 * len(labels) * height * width * channels, device):
        return Rows(lambda chosen: whitened(chosen).permute(0, 3, 1, 2), places, (channels, height, width), read), on
    out = torch.empty((len(labels), height, width, channels), dtype=torch.float32, device=device)
    count = max(1, min(4096, SCRATCH // read))  # so that the scratch memory stays small
    for first in range(0, len(labels), count):
        out[first : first + count] = whitened(places[first : first + count])
    return out.permute(0, 3, 1, 2), on


def cropped(
    data: ImageSet, spec: RunSpec, split: str, count: int | None = None, corrupt_labels: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` images of a split, or all, as a network of the run is given them, but not yet whitened.

    Returns:
        images (N, H, W, C) in units of a byte, after the centre crop and the corruptions: uint8, or float32 where one
        gives that; labels int64 (N,), the data set's own unless `corrupt_labels`.
    """
    source: Split = getattr(data, split)
    return corrupt_arrays(
        crop(source.images[:count], crop_size(spec.data, spec.crop)),
        source.labels[:count],
        spec.corruptions,
        facts=data.facts,
        seed=spec.data_seed,
        split=split,
        corrupt_labels=corrupt_labels,
    )


def trained_on(spec: RunSpec) -> Tensor:
    """int64 (N,) on the CPU: which of the first spec.n images are trained on, in order, one as often as it is drawn."""
    assert spec.n is not None
    count = spec.n - spec.held_out
    if not spec.bootstrap:
        return torch.arange(count)
    return torch.randint(count, (count,), generator=keyed_generator("cpu", spec.seed, "bootstrap"))


@dataclass(frozen=True)
class Tensors:
    """Examples as a network is given them, corrupted and preprocessed already; instead of an ImageSet.

    Attributes:
        train, test: inputs (N, ...) of any dtype, or `Rows` of them, and labels int64 (N,); no test set has no
        examples.
        num_classes: of the labels. originals: uint8 (N, C, H, W), the training images before they were whitened, for
        regularizers that want them; None where the inputs were not whitened.
    """

    train: tuple[Inputs, Tensor]
    test: tuple[Inputs, Tensor]
    num_classes: int
    originals: Inputs | None = None


@dataclass(frozen=True)
class Examples:
    """A run's data on the device.

    Attributes:
        train, held, test: inputs (N, ...) and labels int64 (N,): trained on, held out, of the test set. Inputs that
        take too much memory are `Rows`.
        num_classes: that the labels have; random signs are two. margin: pixels by which the data set's images exceed
        those that are trained on, on the shorter side. chosen: int64 (N,), which of the first n images are trained on;
        None for all of them.
    """

    train: tuple[Inputs, Tensor]
    held: tuple[Inputs, Tensor]
    test: tuple[Inputs, Tensor]
    num_classes: int
    margin: int
    chosen: Tensor | None


def on_device(spec: RunSpec, data: ImageSet | Tensors, device: torch.device) -> Examples:
    """The examples of a run: the last `held_out` set aside, the others drawn with replacement for a bootstrap sample.

    Raises:
        InputError: data that are not the spec's; whole images asked for where there are none.
    """
    assert spec.n is not None
    name = data.name if isinstance(data, ImageSet) else spec.data
    sides = data.test.images.shape[1:3] if isinstance(data, ImageSet) else ()
    count = len(data.train[1])
    if count < spec.n or name != spec.data:
        given = f"{count:,} training images of {name}"
        raise InputError(f"the spec is of {spec.n:,} of {spec.data}, given are {given}: give the data of the spec")
    kept = crop_size(spec.data, spec.crop) if isinstance(data, ImageSet) else None
    margin = max(0, min(sides) - kept) if kept else 0
    if "crop_logits" in spec.keep and not margin:
        size = f"{' x '.join(map(str, sides))} pixels" if sides else "a data set without a name"
        raise InputError(f"keep is crop_logits: images of {size} leave nothing to crop: drop it")
    if isinstance(data, ImageSet):
        (images, labels), test = (prepare(data, spec, split, device) for split in ("train", "test"))
        classes = 2 if one_logit(spec) else data.facts.num_classes
    else:
        (images, labels), test = ((each[0].to(device), each[1].to(device)) for each in (data.train, data.test))
        images, labels = images[: spec.n], labels[: spec.n]
        classes = data.num_classes
    held = images[spec.n - spec.held_out :], labels[spec.n - spec.held_out :]
    chosen = trained_on(spec).to(device)
    part = bool(spec.held_out or spec.bootstrap)
    train = (chosen_of(images, chosen), labels[chosen]) if part else (images, labels)
    return Examples(train, held, test, classes, margin, chosen if part else None)


def originals(spec: RunSpec, data: ImageSet | Tensors, examples: Examples) -> Inputs:
    """uint8 (N, C, H, W): the training images uncropped, of units of a byte, in the order of `examples.train`.

    Raises InputError where there are none.
    """
    device = examples.train[1].device
    found: Inputs
    if isinstance(data, ImageSet):
        images, count = data.train.images, spec.n or 0

        def make(places: np.ndarray) -> Tensor:
            return torch.from_numpy(images[places]).to(device).permute(0, 3, 1, 2)

        height, width, channels = images.shape[1:]
        if isinstance(images, Stored) or too_many(count * height * width * channels, device):
            found = Rows(make, np.arange(count), (channels, height, width))
        else:
            found = torch.from_numpy(images[:count]).to(device).permute(0, 3, 1, 2)
    elif data.originals is None:
        raise InputError("the inputs are not whitened 8-bit images, which augmentation acts on: drop the augmentation")
    else:
        found = data.originals.to(device)[: spec.n]
    return found if examples.chosen is None else chosen_of(found, examples.chosen)


def laid_out(images: Inputs, channels_last: bool) -> Inputs:
    """Inputs in the memory format that a network is fastest with; the same values."""
    planes = channels_last and images.ndim == 4
    return images.contiguous(memory_format=torch.channels_last if planes else torch.contiguous_format)


def one_logit(spec: RunSpec) -> bool:
    """Whether the run's labels are signs, in every split, and its network has one logit."""
    return any(catalog.find("corruptions", c.name).constants.get("ONE_LOGIT") for c in spec.corruptions)


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
