"""Own data sets: images and labels that somebody has, measured, described and put into the data folder.

Nothing is written before all of it is right. See `rethinking.data._layouts` for what can be added.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rethinking import catalog
from rethinking.constants import ARRAYS, BALANCED
from rethinking.data._files import Arrays, Unavailable
from rethinking.data._folder import file_of, scratch_in, write_arrays
from rethinking.data._found import Chosen
from rethinking.data._image_folder import Decoded
from rethinking.data._layouts import Pair, found_at
from rethinking.errors import InputError
from rethinking.images import label_type
from rethinking.paths import data_dir, expand

MOST_CLASSES = 65_536  # labels are kept in two bytes at most
LONGEST_NAME = 200  # characters of a class's name


def sources() -> list[Any]:
    """None: an own data set is added."""
    return []


def from_folder(folder: Path) -> Arrays:
    """Nothing: an own data set lies in its own folder alone. Raises Unavailable."""
    raise Unavailable("its folder is gone")


def add(
    name: str,
    path: str | Path,
    root: str | Path | None = None,
    *,
    labels: str | Path | None = None,
    test: str | Path | None = None,
    test_labels: str | Path | None = None,
    hold_out: float | None = None,
    channels: str | None = None,
    size: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Put images and labels into the data folder as the data set `name`, with a description, and return its folder.

    The order of each split is drawn once (seed 0), so that its first images are of all classes. Official layouts keep
    their order.

    Args:
        path: see `rethinking.data._layouts.LAYOUTS`. root: the data folder. labels: of a single .npy of images.
        test: where the test set is, if not beside the training set; test_labels: of a single .npy there.
        hold_out: the share of the images that become the test set, above 0 and below 1, where there is none.
        channels: "first" or "last", of arrays whose shape does not tell. size: scale the shorter side of each image to
        so many pixels, and cut out the centre square. say: called with a line for what is worth knowing.

    Raises:
        InputError: a name that is taken or cannot be one; whatever is wrong with the files, in one line.
    """
    if not isinstance(name, str) or not isinstance(path, str | Path):
        raise InputError(f"name and path are {name!r} and {path!r}: give text, and where the data are")
    folder = _free(name, root)
    if hold_out is not None and (test is not None or not (isinstance(hold_out, int | float) and 0 < hold_out < 1)):
        given = "beside --test" if test is not None else repr(hold_out)
        raise InputError(f"--hold-out is {given}: give a share above 0 and below 1, and no --test")
    if size is not None and not (isinstance(size, int) and 1 <= size <= 1024):
        raise InputError(f"--size is {size!r}: give 1 to 1024 pixels")
    try:
        found = found_at(expand(path), labels, channels, size, say)
        other = None if test is None else found_at(expand(test), test_labels, channels, size, say)
    except Unavailable as error:
        raise InputError(f"{error}: nothing was added") from None
    if test is not None and found.test is not None:
        raise InputError(f"{path} has a test set, and --test names another: leave --test out")
    if other is not None and other.test is not None:
        raise InputError(f"--test names {test}, which has a training and a test set: name its test set alone")
    drawn = np.random.default_rng(0)
    train, held = found.train, other.train if other else found.test
    classes, numbers = _classes(train, held)
    words = f"from {found.layout}"
    for place, each in ((path, found), (test, other)):
        if each is not None and each.left_out:
            say(f"{place}: {_listed(each.left_out)} left out; taken: {_listed(each.taken)}")
            words += f", without {_listed(each.left_out)}"
    places = [np.arange(len(each)) for each in numbers]
    if held is None:
        held, places = train, _parted(numbers[0], hold_out, drawn, path)
        numbers = [numbers[0][each] for each in places]
        words += f", {len(numbers[1]):,} held out as the test set"
    elif hold_out is not None:
        raise InputError(f"{path} has a test set: leave --hold-out out")
    train, held = _alike(train, held, say)
    kept = (found.in_order, (other or found).in_order)  # the order of each split, as of an official layout
    orders = [np.arange(len(n)) if k else drawn.permutation(len(n)) for n, k in zip(numbers, kept, strict=True)]
    words += "" if all(kept) else ", in an order drawn once"
    arrays: dict[str, Any] = {}
    for k, (split, pair) in enumerate((("train", train), ("test", held))):
        arrays[f"{split}_images"] = Chosen(pair.images, places[k][orders[k]])
        arrays[f"{split}_labels"] = numbers[k][orders[k]]
    _put(name, arrays, classes, words, folder)
    counts = np.bincount(arrays["test_labels"], minlength=len(classes))
    if counts.max() * len(classes) > BALANCED * counts.sum():
        order = np.argsort(-counts, kind="stable")
        sizes = ", ".join(f"{ascii(classes[k])[1:-1][:40]} {counts[k]:,}" for k in order[:5])
        say(
            f"{name}: test images by class: {sizes}{', ...' * (len(order) > 5)}; the largest class has more than "
            f"{BALANCED:g} equal shares, so that chance is no one number, and figures do not judge claims about it"
        )
    return folder


def _alike(train: Pair, test: Pair, say: Callable[[str], None]) -> tuple[Pair, Pair]:
    """Both splits with images of one shape: of folders of images, grey ones in colour where the others are.

    Raises InputError.
    """
    pairs = {"training": train, "test": test}
    shapes = {name: pair.images.shape[1:] for name, pair in pairs.items()}  # (H, W, C)
    if len(set(shapes.values())) == 1:
        return train, test
    folders = [pair.images for pair in pairs.values() if isinstance(pair.images, Decoded)]
    of_one_size = shapes["training"][:2] == shapes["test"][:2]
    if of_one_size and len(folders) == 2:
        grey, colour = sorted(shapes, key=lambda name: shapes[name][2])
        say(f"the {grey} images are grey, and are kept in colour, as the {colour} images are")
        return replace(train, images=folders[0].in_colour()), replace(test, images=folders[1].in_colour())
    told = " and ".join(" x ".join(map(str, shape)) for shape in shapes.values())
    one = "one number of channels" if of_one_size else "one size" + ", as with --size 32" * (len(folders) == 2)
    raise InputError(f"training and test images are {told}: bring them to {one}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(ascii(name)[1:-1][:40] for name in names[:5]) + ", ..." * (len(names) > 5)


def remove(name: str, root: str | Path | None = None, sure: Callable[[Path], bool] = bool) -> Path | None:
    """Delete the own data set `name` from the data folder, and return what was its folder.

    Args:
        sure: asked with the folder when nothing speaks against it; where it says no, all is kept and None returned.

    Raises:
        InputError: there is no such own data set, or its folder has another file.
    """
    folder = data_dir(root) / name
    if not re.fullmatch(catalog.NAME, name) or not (folder / catalog.DESCRIPTION).is_file():
        known = name in catalog.names("data")
        what = f"no own data set, its copy is in {folder}" if known else f"not in {folder.parent}"
        raise InputError(f"{name} is {what}: `rethinking data remove` deletes what `data add` has added")
    files = {catalog.DESCRIPTION, *(file_of(folder, array).name for array in ARRAYS)}

    def checked(place: Path) -> tuple[int, ...]:
        other = sorted(entry.name for entry in os.scandir(place) if entry.name not in files or entry.is_dir())
        if other:
            raise InputError(f"{folder / other[0]} is no file of the data set {name}: move it away, then remove {name}")
        held = (place / catalog.DESCRIPTION).lstat()
        return held.st_ino, held.st_ctime_ns, held.st_size

    before = checked(folder)
    if not sure(folder):
        return None
    with scratch_in(folder.parent) as doomed:
        try:
            os.replace(folder, doomed / name)
        except FileNotFoundError:
            raise InputError(f"{name} was removed meanwhile by another process") from None
        try:  # what somebody did while the question stood is not lost
            if checked(doomed / name) != before:
                raise InputError(f"{name} is another data set meanwhile: give the command again to remove that")
        except BaseException:
            os.rename(doomed / name, folder)
            raise
    return folder


class _Measure:
    """What is measured of the arrays of a data set while they are written."""

    def __init__(self, channels: int):
        self.counts = np.zeros((channels, 256), dtype=np.int64)  # of each value in the training images
        self.digests = {name: hashlib.sha256() for name in ARRAYS}

    def add(self, name: str, part: np.ndarray) -> None:
        self.digests[name].update(part.data)
        if name == "train_images":
            for c, counts in enumerate(self.counts):
                counts += np.bincount(part[..., c].ravel(), minlength=256)


def _described(arrays: dict[str, Any], measured: _Measure, classes: Sequence[str], words: str) -> dict[str, Any]:
    """What is kept of a data set beside its arrays: the constants of its kind, measured, and a line on it."""
    values, share = np.arange(256), measured.counts / measured.counts.sum(1, keepdims=True)
    mean = share @ values
    variance = (share * (values - mean[:, None]) ** 2).sum(1)
    sizes = {split: len(arrays[f"{split}_labels"]) for split in ("train", "test")}
    largest = {s: float(np.bincount(arrays[f"{s}_labels"]).max() / sizes[s]) for s in sizes}
    height, width, channels = arrays["train_images"].shape[1:]
    colour = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
    text = (
        f"{sizes['train']:,} training and {sizes['test']:,} test images, {height} x {width} pixels, {colour}, "
        f"{len(classes)} classes; own, {words}."
    )
    return {
        "TEXT": text,
        "SIZES": sizes,
        "SHAPE": [height, width, channels],
        "CLASSES": list(classes),
        "LARGEST_CLASS": largest,
        "MEAN": mean.tolist(),
        "VARIANCE": variance.tolist(),
        "SHA256": {name: digest.hexdigest() for name, digest in measured.digests.items()},
    }


def _free(name: str, root: str | Path | None) -> Path:
    """The folder of a new data set. Raises InputError where its name is taken or none."""
    if not re.fullmatch(catalog.NAME, name):
        swapped = ", and before the path" if Path(name).exists() else ""
        raise InputError(f"{name!r} cannot name a data set: give 1 to 40 letters, digits and _{swapped}")
    folder = data_dir(root) / name
    if catalog.own_set(name, root):
        raise InputError(f"{name} exists, in {folder}: give another name, or first `rethinking data remove {name}`")
    named = (kind for kind in catalog.KINDS if name in catalog.names(kind))
    if any(named) or re.fullmatch(r"all|quick|cpu|paper|\d+seeds|crop\d+", name) or os.path.lexists(folder):
        raise InputError(f"{name} is taken: give another name")
    return folder


def _put(name: str, arrays: dict[str, Any], classes: Sequence[str], words: str, folder: Path) -> None:
    needed, measured = sum(each.nbytes for each in arrays.values()), _Measure(arrays["train_images"].shape[3])
    with scratch_in(folder.parent) as scratch:
        free = shutil.disk_usage(scratch).free
        if needed > free:
            raise InputError(f"{name} takes {needed:,} bytes, {folder.parent} has {free:,} free: name another folder")
        with tqdm(total=needed, desc=name, unit="B", unit_scale=True, disable=None, leave=False) as bar:

            def seen(array: str, part: np.ndarray) -> None:
                measured.add(array, part)
                bar.update(part.nbytes)

            try:
                write_arrays(arrays, scratch / name, seen)
            except Unavailable as error:
                raise InputError(f"{error}: nothing was added") from None
        description = _described(arrays, measured, classes, words)
        for known, entry in catalog.entries("data").items():
            if entry.constants["SHA256"] == description["SHA256"]:
                raise InputError(f"these are the images and labels of {known}: use --data {known}")
        text = catalog.written(catalog.sealed(description))
        (scratch / name / catalog.DESCRIPTION).write_text(text, encoding="utf-8")
        try:
            os.rename(scratch / name, folder)
        except OSError:
            if not os.path.lexists(folder):
                raise
            raise InputError(f"{name} was added meanwhile by another process: give another name") from None


# --- labels ---------------------------------------------------------------------------------------


def _classes(train: Pair, test: Pair | None) -> tuple[list[str], list[np.ndarray]]:
    """The names of the classes, and the labels of each split as their numbers."""
    values = sorted(set(_list(train.labels)))
    if len(values) < 2:
        raise InputError(f"the training set has {len(values)} class: give two or more")
    if len(values) > MOST_CLASSES:
        raise InputError(f"the training set has {len(values):,} classes: {MOST_CLASSES:,} are the most")
    place = {value: k for k, value in enumerate(values)}
    numbers = []
    for pair in (train, test) if test else (train,):
        labels = _list(pair.labels)
        for k, value in enumerate(labels):
            if value not in place:
                raise InputError(f"test label {value!r} at index {k} is of no class of the training set: mend it")
        numbers.append(np.array([place[v] for v in labels], dtype=label_type(len(values))))
    named = [train.names[v] if isinstance(v, int) and 0 <= v < len(train.names) else str(v) for v in values]
    named = named if len(set(named)) == len(named) else [str(v) for v in values]
    for name in named:
        if len(name) > LONGEST_NAME or not name.isprintable():  # as half of a surrogate pair is not
            what = f"the class {name[:40]!r} has no name of at most {LONGEST_NAME} printable characters"
            raise InputError(f"{what}: rename it")
    return named, numbers


def _list(labels: Sequence[str] | np.ndarray) -> list[Any]:
    try:
        return labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    except (ValueError, SystemError) as error:  # of a character that there is not
        raise InputError(f"the labels are no text ({error}): save them again, as labels.astype(str)") from None


def _parted(numbers: np.ndarray, share: float | None, drawn: np.random.Generator, path: Any) -> list[np.ndarray]:
    """Where the images of the training set and of the test set, drawn at random, are in the whole set."""
    if share is None:
        raise InputError(f"{path} has no test set: name one with --test, or hold some out with --hold-out 0.2")
    count = len(numbers)
    held = round(share * count)
    if not 0 < held < count:
        raise InputError(f"--hold-out {share:g} leaves {held} of {count} images for the test set: give another share")
    order = drawn.permutation(count)
    test, train = np.sort(order[:held]), np.sort(order[held:])
    missing = set(numbers.tolist()) - set(numbers[train].tolist())
    if missing:
        count_of = f"{len(missing)} class{'es' * (len(missing) > 1)}"
        raise InputError(f"--hold-out {share:g} leaves no training image of {count_of}: hold out fewer")
    return [train, test]
