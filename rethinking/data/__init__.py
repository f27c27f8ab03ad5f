"""The data sets, one file each: where from, checked how.

Sources, in order: the cache, an official copy already on disk, then the file's own, among them the official download,
from the host that torchvision names. Whatever the source, the decoded arrays must have the SHA-256 written in the file
before they are used. The cache holds them as plain .npy files, which are never unpickled.

A data set is a file with literal constants

    SIZES = {"train": 50000, "test": 10000}; SHAPE = (H, W, C); CLASSES = [...]
    MEAN, VARIANCE: per channel of the training set, units of a byte; SHA256 = {"train_images": ..., ...}, of the
    bytes of each array, uint8 in C order

and `sources() -> [(description, function)]`; each function takes a scratch folder and gives the four decoded arrays,
or raises `Unavailable`; `from_folder(folder)` decodes whatever known layout a folder holds.
"""

import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rethinking import catalog
from rethinking.constants import ARRAYS
from rethinking.data._files import Arrays, Unavailable, read_npy
from rethinking.errors import InputError
from rethinking.images import Facts, ImageSet, Split
from rethinking.paths import expand, where_able

if TYPE_CHECKING:
    from rethinking.data._torch import Images

__path__ += catalog.plugin_folders("data")

ABANDONED = 86_400.0  # seconds after which a scratch folder is nobody's

__all__ = [
    "Arrays",
    "ImageSet",
    "Split",
    "Unavailable",
    "check",
    "data_dir",
    "facts",
    "fetch",
    "load",
    "synthetic",
    "torch_dataset",
    "where",
]


def data_dir(root: str | Path | None = None) -> Path:
    """The folder of all data sets: `root`, else $RETHINKING_DATA, else the platform's cache folder.

    Raises InputError where there is neither of them, nor a home folder.
    """
    named = root or os.environ.get("RETHINKING_DATA")
    if named:
        return expand(named)
    import platformdirs

    with suppress(RuntimeError):
        folder = platformdirs.user_cache_dir("rethinking")
        if not folder.startswith("~"):
            return Path(folder)
    raise InputError("no home folder is known to keep data sets in: name a folder with --data-dir or RETHINKING_DATA")


def where(name: str, root: str | Path | None = None) -> Path:
    """The folder in which the data set `name` is kept. Raises InputError for an unknown name."""
    return data_dir(root) / catalog.find("data", name).name


def _file(folder: Path, array: str) -> Path:
    return folder / f"{array}.npy"


def _verify(name: str, arrays: Arrays, source: str) -> None:
    constants = catalog.find("data", name).constants
    for array in ARRAYS:
        values = arrays[array]
        split, kind = array.split("_")
        shape = (constants["SIZES"][split], *(constants["SHAPE"] if kind == "images" else ()))
        if values.dtype != np.uint8 or values.shape != shape:
            raise InputError(f"{name} from {source}: {array} is {values.dtype} {values.shape}, expected uint8 {shape}")
        if kind == "labels" and values.max(initial=0) >= len(constants["CLASSES"]):
            raise InputError(
                f"{name} from {source}: {array} go to {values.max()}, of {len(constants['CLASSES'])} classes"
            )
        digest = hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()
        if digest != constants["SHA256"][array]:
            raise InputError(
                f"{name} from {source}: {array} has SHA-256 {digest}, expected "
                f"{constants['SHA256'][array]}: a damaged copy or another version; delete it, fetch again"
            )


def _read(folder: Path, name: str) -> Arrays:
    constants = catalog.find("data", name).constants
    arrays = {}
    for array in ARRAYS:
        split, kind = array.split("_")
        shape = (constants["SIZES"][split], *(constants["SHAPE"] if kind == "images" else ()))
        try:
            arrays[array] = read_npy(_file(folder, array), shape)
        except Unavailable as error:
            raise InputError(f"{error}: delete {folder}, then run `rethinking data fetch {name}`") from None
    _verify(name, arrays, str(folder))
    return arrays


def _lying(name: str, base: Path) -> Arrays:
    """A data set from the known layout that the data folder `base` has it in, verified. Raises Unavailable."""
    entry = catalog.find("data", name)
    with catalog.blame(entry):
        try:
            arrays = entry.load().from_folder(base)
        except Unavailable as error:
            missing = str(error)
        else:
            _verify(name, arrays, f"the copy in {base}")
            return arrays
    raise Unavailable(missing)


def _kept(arrays: Arrays, folder: Path) -> bool:
    """Whether a copy that lies in the data folder could be stored beside it, in our layout; else it is not ours."""
    try:
        with _scratch(folder.parent) as scratch:
            _store(arrays, scratch / "decoded", folder)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return False
    return True


def check(name: str, root: str | Path | None = None) -> Path:
    """Verify the copy on disk and return its folder. Raises InputError where it is missing or wrong."""
    folder = where(name, root)
    if folder.is_dir():
        _read(folder, name)
        return folder
    try:
        _lying(name, folder.parent)
    except Unavailable as error:
        raise InputError(f"{name} is not in {folder} ({error}): run `rethinking data fetch {name}`") from None
    return folder.parent


def facts(name: str) -> Facts:
    """Number of classes, pixel mean and variance of a data set, without loading it."""
    constants = catalog.find("data", name).constants
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

    Args:
        name: one of `catalog.names("data")`. root: the data folder, see `data_dir`.

    Raises:
        InputError: an unknown name; no copy on disk; a copy whose SHA-256 is not the official one.
    """
    folder = where(name, root)
    if folder.is_dir():
        arrays = _read(folder, name)
    else:
        try:
            arrays = _lying(name, folder.parent)
        except Unavailable as error:
            raise InputError(f"{name} is not in {folder} ({error}): run `rethinking data fetch {name}`") from None
        _kept(arrays, folder)
    constants = catalog.find("data", name).constants

    def split(which: str) -> Split:
        images = np.require(arrays[f"{which}_images"], requirements=["C", "W"])
        return Split(images, arrays[f"{which}_labels"].astype(np.int64))

    return ImageSet(name, tuple(constants["CLASSES"]), split("train"), split("test"), facts(name))


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
        name: one of `catalog.names("data")`. train: the training set, else the test set. root: the data folder.
        image: "pil", a PIL image (RGB, or L where grey), as torchvision gives it, or "tensor", uint8 (C, H, W).
        transform: applied to the image. The label is an int; `classes`, `class_to_idx` and `targets` are torchvision's.

    Raises:
        InputError: as `load`; a kind of image that there is not.
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

    A copy in a data folder that cannot be written to stays where it lies, and that is the folder returned.

    Args:
        name: one of `catalog.names("data")`. root: the data folder.
        source: a folder to read instead of the usual sources: torchvision's layout, or the fallback's files.
        say: called with a line for each source tried, and for each that has nothing.

    Raises:
        InputError: nothing found, in one line that lists what was tried; or a copy with the wrong SHA-256.
    """
    folder, base = where(name, root), data_dir(root)
    if folder.is_dir() and source is None:
        return check(name, root)
    failures = []
    if source is None:
        copy = f"the copy in {base}"
        say(f"{name}: trying {copy}")
        try:
            arrays = _lying(name, base)
        except (Unavailable, InputError) as error:
            failures.append(f"{copy}: {error}")
            say(f"{name}: {failures[-1]}")
        else:
            place = folder if _kept(arrays, folder) else base
            say(f"{name}: verified, in {place}")
            return place
    entry = catalog.find("data", name)
    module = entry.load()
    if source is None:
        tries = module.sources()
    else:
        given = expand(source)
        if not given.is_dir():
            raise InputError(f"{source} is not a folder: name one that holds {name}")
        tries = [(str(source), lambda _: module.from_folder(given))]
    with _scratch(base) as scratch, catalog.blame(entry):
        for number, (description, get) in enumerate(tries):
            say(f"{name}: trying {description}")
            place = scratch / str(number)
            place.mkdir()
            try:
                arrays = get(place)
                _verify(name, arrays, description)
            except (Unavailable, InputError) as error:
                failures.append(f"{description}: {error}")
                say(f"{name}: {failures[-1]}")
                continue
            _store(arrays, scratch / "decoded", folder)
            say(f"{name}: verified, in {folder}")
            return folder
    raise InputError(f"{name} could not be had ({'; '.join(failures)}): give a folder with --from")


@contextmanager
def _scratch(base: Path) -> Iterator[Path]:
    base.mkdir(parents=True, exist_ok=True)
    for left in base.glob(".fetch-*"):  # by a fetch that was killed
        if time.time() - left.stat().st_mtime > ABANDONED:
            shutil.rmtree(left, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=".fetch-", dir=base))  # same file system, so the last step is one rename
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _store(arrays: Arrays, scratch: Path, folder: Path) -> None:
    scratch.mkdir()
    for array in ARRAYS:
        with _file(scratch, array).open("wb") as stream:
            np.save(stream, arrays[array], allow_pickle=False)
            stream.flush()
            with where_able():
                os.fsync(stream.fileno())
    while True:
        try:
            os.replace(scratch, folder)
            return
        except OSError as error:  # it exists: fetched again from a named folder, or by another process meanwhile
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        with suppress(FileNotFoundError):
            os.replace(folder, Path(tempfile.mkdtemp(dir=scratch.parent)))
