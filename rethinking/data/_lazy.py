"""A folder of images that is read image by image, for sets that do not fit in memory: torchvision's ImageFolder layout.

`path/train/CLASS/*.JPEG` and `path/val/CLASS/*.JPEG`, brought by the user. Opening it lists names; it opens no image,
and asks of no file more than its name. Names are held as bytes in a row, and with labels take some 36 bytes an image.
"""

import hashlib
import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from rethinking.arguments import whole_number
from rethinking.data._files import Unavailable
from rethinking.data._image_folder import SUFFIXES, one_image
from rethinking.data._torch import check_kind
from rethinking.errors import InputError, shown
from rethinking.files import reason

TRAIN = "train"
SPLITS = (TRAIN, "val", "test")  # the folders' names
LAYOUT = "train/CLASS/*.JPEG and val/CLASS/*.JPEG"


@dataclass(frozen=True)
class Known:
    """What is known of a set's list of images. classes: how many. name: a class's, a pattern. sizes: images a split."""

    title: str
    classes: int
    name: str
    sizes: dict[str, int]


# Olga Russakovsky et al. 2015, "ImageNet Large Scale Visual Recognition Challenge", table 2; classes are WordNet's ids.
KNOWN = {"imagenet": Known("ILSVRC 2012", 1000, r"n\d{8}", {"train": 1_281_167, "val": 50_000})}


class Listing:
    """The names of the images of a split, held compactly.

    Args:
        found: of each class, in order, its name and the paths of its images in its folder, in order, "/" between parts.

    Attributes:
        classes: the names. labels: int64 (N,), read-only. digest: SHA-256, in hexadecimal, over a line an image in
        order, "CLASS/FILE<tab>LABEL<line feed>" in UTF-8.
    """

    def __init__(self, found: Iterable[tuple[str, list[str]]]):
        self.classes: list[str] = []
        held, ends, counts, digest = bytearray(), array("Q"), [], hashlib.sha256()
        for label, (name, files) in enumerate(found):
            self.classes.append(name)
            counts.append(len(files))
            digest.update(os.fsencode("".join(f"{name}/{file}\t{label}\n" for file in files)))
            for file in files:
                held += os.fsencode(file)
                ends.append(len(held))
        self.digest = digest.hexdigest()
        self._names, self._ends = bytes(held), np.frombuffer(ends, np.uint64) if ends else np.empty(0, np.uint64)
        self.labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
        self.labels.flags.writeable = False

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> str:
        """The path of an image, "CLASS/FILE"; index from 0."""
        begin = int(self._ends[index - 1]) if index else 0
        return f"{self.classes[self.labels[index]]}/{os.fsdecode(self._names[begin : int(self._ends[index])])}"

    @property
    def nbytes(self) -> int:
        """Bytes that the names and labels take."""
        return len(self._names) + self._ends.nbytes + self.labels.nbytes


class Folder(Dataset):
    """A split of a folder of images as a map-style data set of (image, label), decoded when it is asked for.

    The order is fixed: classes sorted by name, and the images of a class by theirs. Example i of a corruption is the
    i-th of this order. It can be pickled, and is cheap to hand to the workers of a DataLoader.

    Attributes:
        root: the folder of the split. split: its name. classes: names, sorted. labels: int64 (N,), read-only, and the
        same as targets. digest: SHA-256 of the list of images and labels, see `Listing`; of names, not of pixels.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        listing: Listing,
        image: str = "pil",
        size: int | None = None,
        transform: Callable[[Any], Any] | None = None,
        as_stored: bool = False,
    ):
        check_kind(image)
        self.root, self.split, self.image, self.size, self.transform = root, split, image, size, transform
        self._listing, self._as_stored = listing, as_stored
        self.name, self.classes = root.parent.name or split, listing.classes
        self.labels = self.targets = listing.labels
        self.digest = listing.digest

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class."""
        return {name: i for i, name in enumerate(self.classes)}

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the list of images takes, whatever the images have."""
        return self._listing.nbytes

    def path(self, index: int) -> Path:
        """The file of an image. Raises IndexError."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"the index is {index}, the data set has {len(self):,} examples")
        return self.root / self._listing[index % len(self)]

    def __len__(self) -> int:
        return len(self._listing)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """(image, label), the label an int. Raises InputError, which names the file, where it cannot be read."""
        try:
            picture = one_image(self.path(index), self.size, as_stored=self._as_stored)
        except Unavailable as error:
            mend = "put the original file back" if self._as_stored else "mend it or take it away"
            raise InputError(f"{error}: {mend}") from None
        image = torch.from_numpy(np.array(picture).transpose(2, 0, 1).copy()) if self.image == "tensor" else picture
        return (image if self.transform is None else self.transform(image)), int(self.labels[index])

    def __repr__(self) -> str:
        return f"{self.root}: {len(self):,} examples of {len(self.classes)} classes ({self.image} image, label)"


def open_folder(
    path: Path,
    split: str,
    *,
    of: str | None = None,
    image: str = "pil",
    size: int | None = None,
    transform: Callable[[Any], Any] | None = None,
) -> Folder:
    """A split of a folder of images; see `rethinking.data.folder`."""
    if split not in SPLITS:
        raise InputError(f"split is {shown(split)}: give {', '.join(SPLITS[:-1])} or {SPLITS[-1]}")
    if of is not None and of not in KNOWN:
        raise InputError(f"of is {shown(of)}: give {' or '.join(KNOWN)}, or leave it out")
    size = None if size is None else whole_number("size", size, 1, 1024)
    for name in dict.fromkeys((TRAIN, split)):
        if not (path / name).is_dir():
            raise InputError(f"{path} has no folder {name}: name a folder that holds {LAYOUT}")
    classes, own = _classes(path / TRAIN), _classes(path / split)
    if own != classes:
        _unlike(path, split, classes, own)
    listing = Listing((name, _images(path / split / name)) for name in classes)
    if of is not None:
        _check(path, split, KNOWN[of], listing)
    return Folder(path / split, split, listing, image, size, transform, as_stored=of is not None)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder and not hidden. Raises InputError where it cannot be listed."""
    try:
        with os.scandir(folder) as found:
            yield from (entry for entry in found if not entry.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder} cannot be listed ({reason(error)}): make it readable") from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Raises InputError for a link that leads in a circle."""
    try:
        return entry.is_dir()
    except OSError as error:
        raise InputError(f"{entry.path} cannot be looked at ({reason(error)}): mend it or take it away") from None


def _classes(folder: Path) -> list[str]:
    """The names of the classes in the folder of a split, sorted."""
    classes, first = [], ""
    for entry in _entries(folder):
        if _is_folder(entry):
            classes.append(entry.name)
        else:
            first = min(first or entry.name, entry.name)
    if first:
        hint = f": put it into the folder of its class, as {LAYOUT}" if _is_image(first) else ": take it away"
        raise InputError(f"{folder / first} is in no folder of a class{hint}")
    if not classes:
        raise InputError(f"{folder} has no folders of classes: name a folder that holds {LAYOUT}")
    return sorted(classes)


def _unlike(path: Path, split: str, classes: list[str], own: list[str]) -> None:
    """Raise InputError for a split whose classes are not those of the training set."""
    for there, here, held in ((TRAIN, split, own), (split, TRAIN, classes)):
        absent = sorted({*classes, *own} - {*held})
        if absent:
            more = f", nor {len(absent) - 1:,} others" if len(absent) > 1 else ""
            raise InputError(f"{path / here} has no class {absent[0]}{more}, which {there} has: give both the same")


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


def _images(folder: Path, inside: str = "") -> list[str]:
    """The images of a class, sorted, by their path in its folder, those in folders within it too."""
    found: list[str] = []
    for entry in _entries(folder / inside):
        place = f"{inside}{entry.name}"
        if _is_folder(entry):
            found += _images(folder, f"{place}/")
        elif not _is_image(entry.name):
            raise InputError(f"{entry.path} is of no image format ({', '.join(sorted(SUFFIXES))}): take it away")
        else:
            found.append(place)
    if not found and not inside:
        raise InputError(f"{folder} holds no image ({', '.join(sorted(SUFFIXES))}): fill it or take it away")
    return sorted(found)


def _check(path: Path, split: str, known: Known, listing: Listing) -> None:
    """Raise InputError where a list of images is not what is known of the set. No official digest of it is known."""
    where = path / split
    odd = next((name for name in listing.classes if not re.fullmatch(known.name, name)), None)
    if odd is not None:
        raise InputError(f"{where / odd} is no class of {known.title}, as n01440764: bring the folders as they come")
    if len(listing.classes) != known.classes:
        raise InputError(f"{where} has {len(listing.classes):,} classes, {known.title} {known.classes:,}: complete it")
    if len(listing) != known.sizes.get(split, len(listing)):
        raise InputError(f"{where} has {len(listing):,} images, {known.title} {known.sizes[split]:,}: complete it")
