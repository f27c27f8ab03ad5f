"""The data sets, one file each: where from, checked how.

Sources, in order: the cache, an official copy already on disk, then the file's own, among them the official download,
from the host that torchvision names. Whatever the source, the decoded arrays must have the SHA-256 written in the file
before they are used. The cache holds them as plain .npy files, which are never unpickled.

Own data sets, which `add` measures and puts into the data folder, are verified by the digests in their description,
which holds one of itself, too.

A data set is a file with literal constants

    SIZES = {"train": 50000, "test": 10000}; SHAPE = (H, W, C); CLASSES = [...]
    MEAN, VARIANCE: per channel of the training set, units of a byte; SHA256 = {"train_images": ..., ...}, of the
    bytes of each array, uint8 in C order, labels of more than 256 classes uint16 and little-endian

    CROP = 28, where networks are to see the centre of so many pixels alone
    LARGEST_CLASS = {"train": 0.1, "test": 0.1}, the share of the largest class, on which rules on chance rest; where it
    is not named, the classes are taken for equally large

and `sources() -> [(description, function)]`; each function takes a scratch folder and gives the four decoded arrays,
or raises `Unavailable`; `from_folder(folder)` decodes whatever known layout a folder holds.
"""

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rethinking import catalog
from rethinking.arguments import function, path, taking, text
from rethinking.arrays import Stored, digest_of
from rethinking.constants import ARRAYS
from rethinking.data._files import Arrays, Unavailable, read_npy
from rethinking.data._folder import file_of, scratch_in, store
from rethinking.data._own import add, remove
from rethinking.errors import InputError
from rethinking.images import Facts, ImageSet, Split, label_type
from rethinking.paths import data_dir, expand

if TYPE_CHECKING:
    from rethinking.data._lazy import Folder
    from rethinking.data._torch import Images

__path__ += catalog.plugin_folders("data")


__all__ = [
    "Arrays",
    "ImageSet",
    "Split",
    "Unavailable",
    "add",
    "check",
    "data_dir",
    "entry",
    "facts",
    "fetch",
    "folder",
    "load",
    "remove",
    "synthetic",
    "there",
    "torch_dataset",
    "where",
]


@taking(root=path)
def where(name: str, root: str | Path | None = None) -> Path:
    """The folder in which the data set `name` is kept. Raises InputError for an unknown name."""
    return data_dir(root) / entry(name, root).name


@taking(root=path)
def entry(name: str, root: str | Path | None = None) -> catalog.Entry:
    """What the catalogue knows of a data set, an own one of that data folder included. Raises InputError."""
    return catalog.own_set(name, root) or catalog.find("data", name)


def _again(of: catalog.Entry) -> str:
    """What to do where a copy is missing or wrong."""
    if of.own:
        return f"`rethinking data remove {of.name}`, then add it again"
    return f"run `rethinking data fetch {of.name}`"


def _verify(of: catalog.Entry, arrays: Mapping[str, np.ndarray | Stored], source: str) -> None:
    name, constants = of.name, of.constants
    for array in ARRAYS:
        values, (shape, dtype) = arrays[array], _expected(of, array)
        if values.dtype != dtype or values.shape != shape:
            raise InputError(
                f"{name} from {source}: {array} is {values.dtype} {values.shape}, expected {dtype} {shape}"
            )
        if array.endswith("labels") and np.max(values, initial=0) >= len(constants["CLASSES"]):
            raise InputError(
                f"{name} from {source}: {array} go to {np.max(values)}, of {len(constants['CLASSES'])} classes"
            )
        digest = digest_of(values)
        if digest != constants["SHA256"][array]:
            raise InputError(
                f"{name} from {source}: {array} has SHA-256 {digest}, expected "
                f"{constants['SHA256'][array]}: a damaged copy or another version; delete it, then {_again(of)}"
            )


def _expected(of: catalog.Entry, array: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of an array of a data set."""
    split, kind = array.split("_")
    count = of.constants["SIZES"][split]
    if kind == "labels":
        return (count,), label_type(len(of.constants["CLASSES"]))
    return (count, *of.constants["SHAPE"]), np.dtype(np.uint8)


def _read(folder: Path, of: catalog.Entry) -> dict[str, np.ndarray | Stored]:
    arrays: dict[str, np.ndarray | Stored] = {}
    for array in ARRAYS:
        try:
            arrays[array] = read_npy(file_of(folder, array), *_expected(of, array))
        except Unavailable as error:
            raise InputError(f"{error}: delete that file, if it is there, then {_again(of)}") from None
    _verify(of, arrays, str(folder))
    return arrays


def _lying(of: catalog.Entry, base: Path) -> Arrays:
    """A data set from the known layout that the data folder `base` has it in, verified. Raises Unavailable."""
    with catalog.blame(of):
        try:
            arrays = of.load().from_folder(base)
        except Unavailable as error:
            missing = str(error)
        else:
            _verify(of, arrays, f"the copy in {base}")
            return arrays
    raise Unavailable(missing)


def there(name: str, root: str | Path | None = None) -> bool:
    """Whether the folder of a data set has any of its arrays. Raises InputError for an unknown name."""
    folder = where(name, root)
    return any(os.path.lexists(file_of(folder, array)) for array in ARRAYS)


def _kept(arrays: Arrays, folder: Path) -> bool:
    """Whether a copy that lies in the data folder could be stored beside it, in our layout; else it is not ours."""
    try:
        with scratch_in(folder.parent) as scratch:
            store(arrays, scratch / "decoded", folder)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return False
    return True


def check(name: str, root: str | Path | None = None) -> Path:
    """Verify the copy on disk and return its folder. Raises InputError where it is missing or wrong."""
    folder, of = where(name, root), entry(name, root)
    if of.own or there(name, root):
        _read(folder, of)
        return folder
    try:
        _lying(of, folder.parent)
    except Unavailable as error:
        raise InputError(f"{name} is not in {folder} ({error}): {_again(of)}") from None
    return folder.parent


def facts(name: str, root: str | Path | None = None) -> Facts:
    """Number of classes, pixel mean and variance of a data set, without loading it.

    Args:
        name: one that `rethinking list data` shows. root: the data folder, as in `load`.

    Raises:
        InputError: an unknown name.
    """
    constants = entry(name, root).constants
    return Facts(len(constants["CLASSES"]), tuple(constants["MEAN"]), tuple(constants["VARIANCE"]))


def synthetic(name: str, n: int) -> ImageSet:
    """Noise in the shapes of a data set, n examples a split: for measuring time, never results."""
    constants = catalog.find("data", name).constants
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, *constants["SHAPE"]), dtype=np.uint8)
    split = Split(images, rng.integers(0, len(constants["CLASSES"]), n))
    return ImageSet(name, tuple(constants["CLASSES"]), split, split, facts(name))


def load(name: str, root: str | Path | None = None) -> ImageSet:
    """The data set `name`, from disk, verified.

    Images of more than 2 GB a split are not held in memory: `.images` is then a `rethinking.arrays.Stored`, whose
    examples are read when they are asked for.

    Args:
        name: one that `rethinking list data` shows. root: the data folder; else $RETHINKING_DATA, else the user's
            cache folder.

    Raises:
        InputError: an unknown name; no copy on disk; a copy whose SHA-256 is not the official one.
    """
    folder, of = where(name, root), entry(name, root)
    arrays: Mapping[str, np.ndarray | Stored]
    if of.own or there(name, root):
        arrays = _read(folder, of)
    else:
        try:
            arrays = lying = _lying(of, folder.parent)
        except Unavailable as error:
            raise InputError(f"{name} is not in {folder} ({error}): {_again(of)}") from None
        _kept(lying, folder)

    def split(which: str) -> Split:
        images = arrays[f"{which}_images"]
        if not isinstance(images, Stored):
            images = np.require(images, requirements=["C", "W"])
        return Split(images, np.asarray(arrays[f"{which}_labels"]).astype(np.int64))

    return ImageSet(name, tuple(of.constants["CLASSES"]), split("train"), split("test"), facts(name, root))


@taking(path=path, split=text, of=text, image=text, transform=function)
def folder(
    path: str | Path,
    split: str = "train",
    *,
    of: str | None = None,
    image: str = "pil",
    size: int | None = None,
    transform: Callable[[Any], Any] | None = None,
) -> "Folder":
    """A split of a folder of images as a map-style torch Dataset of (image, label), read when it is asked for.

    For sets that do not fit in memory: what is held are names and labels, some 36 bytes an image.

    Args:
        path: a folder in the layout of torchvision's ImageFolder, train/CLASS/*.JPEG and val/CLASS/*.JPEG. split: the
            folder "train", "val" or "test" in it, whose classes must be those of train.
        of: "imagenet" holds the list to what is known of ILSVRC 2012: 1,000 classes called by WordNet ids, 1,281,167
            training and 50,000 validation images. The digest of its official list is not known here, and not compared.
            Its images are then taken as they are stored, as torchvision's ImageFolder and TensorFlow take them: none is
            turned upright, and transparency is dropped.
        image: "pil", a PIL image, RGB, or "tensor", uint8 (3, H, W). size: scale the shorter side of each image to so
            many pixels, and cut out the centre square. transform: applied to the image.

    Returns:
        A data set with `labels` int64 (N,), `classes`, sorted by name, and `digest`, the SHA-256 of the list of names
        and labels. Classes are sorted by name, and the images of a class by theirs. Images are turned upright, as their
        EXIF orientation says, which torchvision's own ImageFolder does not do; those of imagenet are not.

    Raises:
        InputError: another layout; a class without images, or that one of the splits lacks; a file that is no image.
            When an image is asked for that cannot be read, is not of 8 bits or, but for imagenet, is transparent, in a
            line that names its file.
    """
    from rethinking.data._lazy import open_folder

    return open_folder(expand(path), split, of=of, image=image, size=size, transform=transform)


@taking(root=path, image=text)
def torch_dataset(
    name: str,
    train: bool = True,
    *,
    root: str | Path | None = None,
    image: str = "pil",
    transform: Callable[[Any], Any] | None = None,
) -> "Images":
    """A split of the data set `name` as a map-style torch Dataset of (image, label), from disk, verified.

    Args:
        name, root: as in `load`. train: the training set, else the test set.
        image: "pil", a PIL image (RGB, or L where grey), as torchvision gives it, or "tensor", uint8 (C, H, W).
        transform: applied to the image. The label is an int; `classes`, `class_to_idx` and `targets` are torchvision's.

    Raises:
        InputError: as `load`; a kind of image that there is not; PIL images asked for of more channels than they have.
    """
    from rethinking.data._torch import Images

    if not isinstance(train, bool):
        raise InputError(f"train is {train!r}: give True for the training set, False for the test set")
    loaded, split = load(name, root), "train" if train else "test"
    arrays: Split = getattr(loaded, split)
    return Images(name, split, *arrays, loaded.classes, image, transform)


def fetch(
    name: str,
    root: str | Path | None = None,
    *,
    source: str | Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Get a data set onto this disk, from the first source that has it, and return its folder.

    Nothing that is in its folder is replaced or deleted: arrays that are missing there are added. A copy in a data
    folder that cannot be written to stays where it lies, and that is the folder returned.

    Args:
        name, root: as in `load`.
        source: a folder to read instead of the usual sources: torchvision's layout, or the fallback's files.
        say: called with a line for each source tried, and for each that has nothing.

    Raises:
        InputError: nothing found, in one line that lists what was tried; a copy with the wrong SHA-256, which stays.
    """
    folder, base, of = where(name, root), data_dir(root), entry(name, root)
    if of.own and source is not None:
        raise InputError(f"{name} is an own data set, which is added and not fetched: {_again(of)}")
    begun = there(name, root)
    whole = begun and all(os.path.lexists(file_of(folder, array)) for array in ARRAYS)
    if of.own or (whole and source is None):
        return check(name, root)
    failures = []
    if source is None:
        copy = f"the copy in {base}"
        say(f"{name}: trying {copy}")
        try:
            arrays = _lying(of, base)
        except (Unavailable, InputError) as error:
            failures.append(f"{copy}: {error}")
            say(f"{name}: {failures[-1]}")
        else:
            place = folder if _kept(arrays, folder) else base
            if begun:
                check(name, root)
            say(f"{name}: verified, in {place}")
            return place
    module = of.load()
    if source is None:
        tries = module.sources()
    else:
        given = expand(source)
        if not given.is_dir():
            raise InputError(f"{source} is not a folder: name one that holds {name}")
        tries = [(str(source), lambda _: module.from_folder(given))]
    with scratch_in(base) as scratch, catalog.blame(of):
        for number, (description, get) in enumerate(tries):
            say(f"{name}: trying {description}")
            place = scratch / str(number)
            place.mkdir()
            try:
                arrays = get(place)
                _verify(of, arrays, description)
            except (Unavailable, InputError) as error:
                failures.append(f"{description}: {error}")
                say(f"{name}: {failures[-1]}")
                continue
            store(arrays, scratch / "decoded", folder)
            if begun:
                check(name, root)
            say(f"{name}: verified, in {folder}")
            return folder
    raise InputError(f"{name} could not be had ({'; '.join(failures)}): give a folder with --from")
