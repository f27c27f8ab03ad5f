"""What a run on a folder of images reads: the two splits, the labels, the order, and the preprocessing.

Preprocessing is that of TensorFlow's Inception in spirit, from memory: in training a random part of the image of 5 to
100 % of its area, flipped or not, with other colours; else the centre. Pixels go from -1 to 1. What is drawn for an
image depends on (seed, epoch, index) alone, so neither on the number of processes nor on that of their helpers.
"""

import atexit
import ctypes
import hashlib
import math
import multiprocessing
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import InterpolationMode, functional

from rethinking import data
from rethinking.corruptions import corrupt_labels
from rethinking.errors import InputError
from rethinking.images import Facts
from rethinking.record.digests import sha256
from rethinking.seeds import number
from rethinking.spec import ImageNetSpec
from rethinking.training.batches import permutation

AREA, ASPECT, TRIES = (0.05, 1.0), (3 / 4, 4 / 3), 100  # of the part that is cut out; tries at one that fits
BRIGHTNESS, SATURATION, HUE, CONTRAST = 32 / 255, (0.5, 1.5), 0.2, (0.5, 1.5)

PR_SET_PDEATHSIG = 1  # of Linux's prctl: the signal that comes when the parent ends
FEW = 5000  # files that are read whole for a digest
WAITED = 300  # seconds for a batch of the loaders, after which something is wrong
# What is read of the two splits.
TRAINED, MEASURED, TESTED, CHECKED = "trained", "measured", "tested", "checked"

Place = tuple[int, int]  # (epoch, index) of an image


@dataclass(frozen=True)
class Folder:
    """The two splits of a folder of images.

    Attributes:
        train, test: map-style data sets of (PIL image, label). reader: of a run's batches.
    """

    train: Any
    test: Any
    reader: "Reader"

    @cached_property
    def digest(self) -> str:
        """Of both lists of names and labels; of a rehearsal's files, too: of what they hold where they are few, else of
        their sizes. Those of ImageNet are too many to be read before each sitting.
        """
        names = f"train {self.train.digest}, val {self.test.digest}"
        if self.reader.spec.data == "imagenet":
            return names
        files = [split.path(index) for split in (self.train, self.test) for index in range(len(split))]
        few, told = len(files) <= FEW, hashlib.sha256()
        for file in files:
            told.update(f"{sha256(file) if few else file.stat().st_size}\n".encode())
        return f"{names}, {'content' if few else 'sizes'} {told.hexdigest()}"


def opened(spec: ImageNetSpec, path: Path, loaders: int = 0) -> Folder:
    """The folder of a run, its lists checked; no image is read.

    loaders: processes that read for this one; they begin here, so before this process has threads: see `Reader`.

    Raises:
        InputError: another layout; other numbers of classes or images than the spec's.
    """
    of = "imagenet" if spec.data == "imagenet" else None
    train, test = (data.folder(path, split, of=of) for split in ("train", "val"))
    found = (len(train), len(test), len(train.classes))
    if found != (spec.n, spec.test, spec.classes):
        raise InputError(
            f"{path} has {found[0]:,} training and {found[1]:,} test images of {found[2]:,} classes, the spec "
            f"{spec.n:,}, {spec.test:,} and {spec.classes:,}: give the folder of the spec"
        )
    return Folder(train, test, Reader(spec, train, test, loaders))


def labels_of(spec: ImageNetSpec, train: Any) -> np.ndarray:
    """int64 (N,): the labels that are trained on, with the run's corruption; no image is looked at."""
    return corrupt_labels(train.labels, spec.corruptions, facts=Facts(spec.classes), seed=spec.data_seed)


def places(spec: ImageNetSpec, step: int, rank: int) -> list[Place]:
    """Which images a process has in the step-th batch, from 0: its part of the next along the epochs' permutations."""
    first = step * spec.batch_size + rank * spec.per_process
    return [
        (at // spec.n, int(_order(spec, at // spec.n)[at % spec.n])) for at in range(first, first + spec.per_process)
    ]


_orders: dict[tuple[int, int, int], Tensor] = {}


def _order(spec: ImageNetSpec, epoch: int) -> Tensor:
    """The permutation of an epoch; the last two asked for are held, as a batch may lie in both."""
    key = spec.n, spec.seed, epoch
    if key not in _orders:
        while len(_orders) > 1:
            del _orders[next(iter(_orders))]
        _orders[key] = permutation(*key)
    return _orders[key]


def drawing(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The generator of what is drawn for an image in an epoch."""
    counter = np.array([0, 0, index, epoch], np.uint64)
    return np.random.Generator(np.random.Philox(key=number(16, seed, "imagenet images"), counter=counter))


class Examples(Dataset):
    """Examples by their place: image float32 (3, S, S) from -1 to 1, and label.

    Args:
        images: map-style, of (PIL image, label). labels: int64 (N,), instead of theirs. augmented: as the spec says;
        False for evaluations.
    """

    def __init__(self, images: Any, labels: Sequence[int] | np.ndarray, spec: ImageNetSpec, augmented: bool):
        self.images, self.labels, self.spec, self.augmented = images, labels, spec, augmented

    def __getitem__(self, place: Place) -> tuple[Tensor, int]:
        epoch, index = place
        image, spec = self.images[index][0], self.spec
        if self.augmented:
            pixels = augment(image, spec.image_size, drawing(spec.seed, epoch, index))
        else:
            pixels = centre(image, spec.image_size, spec.centre)
        return pixels * 2 - 1, int(self.labels[index])


def centre(image: Image.Image, size: int, share: float) -> Tensor:
    """float32 (3, size, size) from 0 to 1: the middle of an image, `share` of each side, scaled."""
    width, height = (max(1, round(share * side)) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return _part(image, top, left, height, width, size)


def augment(image: Image.Image, size: int, draw: np.random.Generator) -> Tensor:
    """The same of a random part, flipped half of the time, with random brightness, saturation, hue and contrast."""
    width, height = image.size
    top, left, tall, wide = 0, 0, height, width
    for _ in range(TRIES):
        area = draw.uniform(*AREA) * width * height
        aspect = draw.uniform(*ASPECT)
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top, left, tall, wide = int(draw.integers(height - h + 1)), int(draw.integers(width - w + 1)), h, w
            break
    pixels = _part(image, top, left, tall, wide, size)
    if draw.random() < 0.5:
        pixels = functional.hflip(pixels)
    pixels = (pixels + draw.uniform(-BRIGHTNESS, BRIGHTNESS)).clamp(0, 1)
    pixels = functional.adjust_saturation(pixels, draw.uniform(*SATURATION))
    pixels = functional.adjust_hue(pixels, draw.uniform(-HUE, HUE))
    return functional.adjust_contrast(pixels, draw.uniform(*CONTRAST))


def _part(image: Image.Image, top: int, left: int, height: int, width: int, size: int) -> Tensor:
    cut = functional.resized_crop(image, top, left, height, width, [size, size], InterpolationMode.BILINEAR)
    return functional.to_tensor(cut)


class _Faults(Dataset):
    """What is wrong with an image, by 0 for training or 1 for test and its index; "" where it can be read."""

    def __init__(self, *splits: Any):
        self.splits = splits

    def __getitem__(self, place: Place) -> str:
        try:
            self.splits[place[0]][place[1]]
        except InputError as error:
            return str(error)
        return ""


class _Sets(Dataset):
    """Several data sets as one, by what is read and the place."""

    def __init__(self, sets: dict[str, Dataset]):
        self.sets = sets

    def __getitem__(self, which: tuple[str, Place]) -> Any:
        return self.sets[which[0]][which[1]]


class _Asked:
    """The batches that are to be read, which can be exchanged for others: a batch sampler."""

    batches: Iterable[list[tuple[str, Place]]] = ()

    def __iter__(self) -> Iterator[list[tuple[str, Place]]]:
        return iter(self.batches)


class Reader:
    """The batches of a run, read in this process or by `loaders` of its own, which begin here and stay to the end.

    They are forked, so this process must not have other threads yet, as gloo's: a lock that one of these holds at that
    moment would be held in the loader for ever. What is asked for ends what was asked for before.
    """

    def __init__(self, spec: ImageNetSpec, train: Any, test: Any, loaders: int = 0):
        self.spec, self._asked = spec, _Asked()
        labels = labels_of(spec, train)
        sets: dict[str, Dataset] = {
            TRAINED: Examples(train, labels, spec, spec.augmentation),
            MEASURED: Examples(train, labels, spec, augmented=False),
            TESTED: Examples(test, test.labels, spec, augmented=False),
            CHECKED: _Faults(train, test),
        }
        several: dict[str, Any] = {
            "num_workers": loaders,
            "persistent_workers": True,
            "worker_init_fn": _as_loader,
            "timeout": WAITED,
            "multiprocessing_context": "fork" if sys.platform == "linux" else None,
        }
        asked: Any = self._asked
        pin = torch.cuda.is_available()
        self._loader = DataLoader(_Sets(sets), batch_sampler=asked, pin_memory=pin, **several if loaders else {})
        if loaders:
            atexit.register(end_loaders)
            iter(self._loader)

    def batches(self, rank: int, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """A process's parts of the batches from a step on: images float32 (N, 3, S, S), labels int64 (N,)."""
        steps = range(step, self.spec.steps)
        return self._read([(TRAINED, place) for place in places(self.spec, k, rank)] for k in steps)

    def measured(self, which: str, indices: Sequence[int], size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Examples of MEASURED or TESTED by index, for an evaluation, in batches of `size` at most."""
        firsts = range(0, len(indices), size)
        return self._read([(which, (0, i)) for i in indices[first : first + size]] for first in firsts)

    def faults(self, rank: int, size: int) -> Iterator[str]:
        """A line for each image that cannot be read, of every size-th image of both splits."""
        whole = [(part, index) for part, count in enumerate((self.spec.n, self.spec.test)) for index in range(count)]
        mine = whole[rank::size]
        firsts = range(0, len(mine), self.spec.per_process)
        for lines in self._read([(CHECKED, place) for place in mine[k : k + self.spec.per_process]] for k in firsts):
            yield from filter(None, lines)

    def _read(self, batches: Iterable[list[tuple[str, Place]]]) -> Iterator[Any]:
        self._asked.batches = batches
        return iter(self._loader)


def _as_loader(_: int) -> None:
    """In a loader: it ends with its trainer, which at SIGTERM still ends its step."""
    for ignored in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ignored, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_loaders() -> None:
    """At this process's end: multiprocessing would ask the loaders to end by SIGTERM, and wait for ever."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler raises where a loader was killed
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()


def probe(spec: ImageNetSpec, last: bool) -> list[int]:
    """Which training images an evaluation measures: evenly spaced, as classes lie one after the other; or all."""
    count = spec.n if last else min(spec.n, spec.interim_train)
    return [k * spec.n // count for k in range(count)]
