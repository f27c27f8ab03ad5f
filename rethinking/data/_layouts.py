"""What can be added as an own data set, and how it is read.

A folder of images, one folder a class, with the test set in a folder beside it or named apart; an .npz, or .npy files;
a folder in the official layout of CIFAR-10 or MNIST. Nothing is decoded before its size is known to be allowed, and
nothing runs by being unpickled.
"""

import io
import pickle
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rethinking.arrays import array_in
from rethinking.data._files import HEADER, decoding, read_bytes
from rethinking.data._found import LAYOUTS, MOST_BYTES, Found, Pair
from rethinking.data._image_folder import image_folder
from rethinking.data._sources import idx_folder
from rethinking.errors import InputError
from rethinking.files import opened
from rethinking.paths import expand

# What arrays are called: of both splits together, then of the two.
SINGLE = (("images", "x", "data", "image"), ("labels", "y", "targets", "label"))
KEYS = {
    "train": (("train_images", "x_train", "images_train"), ("train_labels", "y_train", "labels_train")),
    "test": (("test_images", "x_test", "images_test"), ("test_labels", "y_test", "labels_test")),
}


def found_at(
    path: Path, labels: str | Path | None, channels: str | None, size: int | None, say: Callable[[str], None]
) -> Found:
    """The data at a path, whatever its layout. Raises InputError and Unavailable."""
    if channels not in (None, "first", "last"):
        raise InputError(f"--channels is {channels!r}: give first or last")
    if not path.exists():
        raise InputError(f"{path} is not there: name {LAYOUTS}")
    suffix = path.suffix.lower()
    if labels is not None and suffix != ".npy":
        raise InputError(f"--labels is given, but {path} is no .npy file: leave it out")
    if path.is_file() and suffix in (".npz", ".npy"):
        with _arrays(path, labels) as held:
            return _from_arrays(path, held, channels, size)
    if not path.is_dir():
        packed = "unpack it first, then " if suffix in (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z") else ""
        raise InputError(f"{path} is nothing that can be added: {packed}name {LAYOUTS}")
    for layout in (_idx, _cifar):
        found = layout(path)
        if found:
            return _only_as_it_is(_without_channels(found, channels), size)
    if any(path.glob("*.npy")):
        with _arrays(path, None) as held:
            return _from_arrays(path, held, channels, size)
    return _without_channels(image_folder(path, size, say), channels)


def _only_as_it_is(found: Found, size: int | None) -> Found:
    if size is not None:
        raise InputError(f"--size is given, but {found.layout} is taken as it is: leave it out")
    return found


def _without_channels(found: Found, channels: str | None) -> Found:
    if channels is not None:
        raise InputError(f"--channels is given, but {found.layout} has them in a known order: leave it out")
    return found


def _idx(path: Path) -> Found | None:
    stem = "train-images-idx3-ubyte"
    places = (path, path / "raw", path / "MNIST" / "raw")
    if not any((place / f"{stem}{end}").is_file() for place in places for end in ("", ".gz")):
        return None
    arrays = idx_folder(path, "MNIST/raw", "raw")
    pairs = []
    for split in ("train", "test"):
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        if images.ndim != 4 or labels.ndim != 1 or len(images) != len(labels) or not images.size:
            raise InputError(f"{path}: {split} images {images.shape[:-1]} and labels {labels.shape} are no pair")
        pairs.append(Pair(images, labels))
    return Found("MNIST's layout", pairs[0], pairs[1], in_order=True)


def _cifar(path: Path) -> Found | None:
    for folder in (path, path / "cifar-10-batches-py", path / "cifar-10-batches-bin"):
        for end, read in (("", _pickled), (".bin", _records)):
            batches = sorted(folder.glob(f"data_batch_[0-9]{end}")) + sorted(folder.glob(f"data_batch_[0-9][0-9]{end}"))
            if not batches:
                continue
            if not (folder / f"test_batch{end}").is_file():
                raise InputError(f"{folder} has no test_batch{end}: complete it")
            parts = [read(batch) for batch in batches]
            train = (np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))
            names = _cifar_names(folder)
            pairs = [Pair(*arrays, names) for arrays in (train, read(folder / f"test_batch{end}"))]
            return Found("CIFAR-10's layout", pairs[0], pairs[1], in_order=True)
    return None


def _cifar_names(folder: Path) -> list[str]:
    text, pickled = folder / "batches.meta.txt", folder / "batches.meta"
    if text.is_file():
        with decoding(text):
            return read_bytes(text).decode().split()
    if pickled.is_file():
        names = _unpickled(pickled).get("label_names", [])
        return [str(name) for name in names] if isinstance(names, list) else []
    return []


def _planes(values: np.ndarray) -> np.ndarray:
    """(N, 3072), red, green and blue planes of 32 x 32 -> (N, 32, 32, 3)."""
    return values.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _records(file: Path) -> tuple[np.ndarray, np.ndarray]:
    values = np.frombuffer(read_bytes(file), np.uint8)
    if not values.size or values.size % 3073:
        raise InputError(f"{file} is not made of records of 3,073 bytes: is it complete?")
    rows = values.reshape(-1, 3073)
    return _planes(rows[:, 1:]), rows[:, 0].astype(np.int64)


def _pickled(file: Path) -> tuple[np.ndarray, np.ndarray]:
    batch = _unpickled(file)
    with decoding(file):
        data, labels = batch["data"], batch["labels"]
        if not isinstance(data, _Array) or not all(type(label) is int for label in labels):
            raise ValueError("no data and labels as in CIFAR-10's batches")
        images = _planes(data.bytes())
        if len(images) != len(labels) or not labels:
            raise ValueError(f"{len(images)} images and {len(labels)} labels")
        return images, np.array(labels, dtype=np.int64)


class _Array:
    """What an array of bytes has become in a pickle; nothing of numpy's runs."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def bytes(self) -> np.ndarray:
        """uint8, flat. Raises ValueError."""
        _, shape, dtype, fortran, content = self.state
        if not isinstance(dtype, _Type) or dtype.word != "u1" or fortran or len(shape) != 2:
            raise ValueError("not an array of bytes, (N, 3072)")
        content = content.encode("latin1") if isinstance(content, str) else content
        return np.frombuffer(content, np.uint8).reshape(-1, 3072)


class _Type:
    """What a type of numpy's has become in a pickle."""

    def __init__(self, word: Any = None, *_: Any):
        self.word = word

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like, which bytes have none of."""


class _Unpickler(pickle.Unpickler):
    """Opens pickles of lists, dicts, text and arrays: whatever else they name is refused, nothing is imported."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for what is named. Raises pickle.UnpicklingError."""
        if name == "_reconstruct" and module.startswith("numpy"):
            return lambda *_: _Array()
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return _Type
        if (module, name) == ("_codecs", "encode"):
            return lambda text, *_: text.encode("latin1")
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is not opened")


def _unpickled(file: Path) -> dict[str, Any]:
    content = read_bytes(file)
    with decoding(file):
        held = _Unpickler(io.BytesIO(content), encoding="latin1").load()
        if not isinstance(held, dict):
            raise ValueError("not a dict")
        return {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in held.items()}


# --- arrays ---------------------------------------------------------------------------------------

Open = Callable[[], Any]  # -> a binary stream


@contextmanager
def _arrays(path: Path, labels: str | Path | None) -> Iterator[dict[str, tuple[str, Open]]]:
    """The arrays at a path by name, lower case: (what to call it in an error, how to open it)."""
    if path.is_dir():
        files = sorted(path.glob("*.npy"))
        yield _by_name(path, [(f.stem, str(f), lambda f=f: opened(f, MOST_BYTES + HEADER)) for f in files])  # type: ignore[misc]
    elif path.suffix.lower() == ".npz":
        with ExitStack() as stack:
            with decoding(path):
                stream = stack.enter_context(opened(path, 3 * MOST_BYTES))
                archive = stack.enter_context(zipfile.ZipFile(stream))
            names = archive.namelist()
            yield _by_name(path, [(Path(n).stem, f"{n} in {path}", lambda n=n: archive.open(n)) for n in names])  # type: ignore[misc]
    else:
        if labels is None:
            raise InputError(f"{path} holds images alone: name their labels with --labels LABELS.npy")
        other, most = expand(labels), MOST_BYTES + HEADER
        yield {"images": (str(path), lambda: opened(path, most)), "labels": (str(other), lambda: opened(other, most))}


def _by_name(path: Path, arrays: list[tuple[str, str, Open]]) -> dict[str, tuple[str, Open]]:
    held: dict[str, tuple[str, Open]] = {}
    for name, what, opening in arrays:
        if held.setdefault(name.lower(), (what, opening))[0] is not what:
            raise InputError(f"{path} holds two arrays called {name.lower()}: take one away")
    return held


def _from_arrays(path: Path, held: dict[str, tuple[str, Open]], channels: str | None, size: int | None) -> Found:
    def named(words: Sequence[str]) -> str | None:
        return next((word for word in words if word in held), None)

    pairs: dict[str, Pair] = {}
    taken: list[str] = []
    for split, (images, labels) in {**KEYS, "": SINGLE}.items():
        first, second = named(images), named(labels)
        if split and bool(first) != bool(second):
            there, absent = (first, labels[0]) if first else (second, images[0])
            raise InputError(f"{path} holds {there} without {absent}: add these, or take those away")
        if first and second and (split or "train" not in pairs):
            taken += [first, second]
            pairs[split] = _pair(held[first], held[second], channels)
    whole = pairs.get("train") or pairs.get("")
    if whole is None:
        there = ", ".join(held) or "nothing"
        raise InputError(
            f"{path} holds {there}: name the arrays train_images, train_labels, test_images and test_labels, or images "
            "and labels"
        )
    rest = tuple(name for name in held if name not in taken)
    found = Found(f"arrays ({path.suffix or '.npy'})", whole, pairs.get("test"), taken=tuple(taken), left_out=rest)
    return _only_as_it_is(found, size)


def _pair(images: tuple[str, Open], labels: tuple[str, Open], channels: str | None) -> Pair:
    pixels, numbers = _images(_read(*images), images[0], channels), _labels(_read(*labels), labels[0])
    if len(pixels) != len(numbers):
        raise InputError(f"{images[0]} has {len(pixels):,} images, {labels[0]} {len(numbers):,} labels: give a pair")
    return Pair(pixels, numbers)


def _read(what: str, opening: Open) -> np.ndarray:
    with decoding(what), opening() as stream:
        return array_in(stream, MOST_BYTES)


def _images(array: np.ndarray, what: str, channels: str | None) -> np.ndarray:
    """Pixels as uint8 (N, H, W, C). Raises InputError."""
    if array.ndim not in (3, 4) or not array.size:
        raise InputError(f"{what} is {array.shape}: give images, (N, H, W), (N, H, W, C) or (N, C, H, W)")
    if array.dtype.kind not in "iu":
        raise InputError(f"{what} is {array.dtype}: give bytes, as (255 * x).round().astype('uint8') of 0 to 1")
    if array.dtype != np.uint8:
        low, high = int(array.min()), int(array.max())
        if low < 0 or high > 255:
            raise InputError(f"{what} is {array.dtype} from {low} to {high}: give bytes, 0 to 255")
        array = array.astype(np.uint8)
    if array.ndim == 3:
        return array[..., None]
    if channels is None:
        first, last = (array.shape[axis] in (1, 3) for axis in (1, 3))
        if first == last:
            raise InputError(f"{what} is {array.shape}, where channels may be first or last: give --channels")
        channels = "first" if first else "last"
    return array.transpose(0, 2, 3, 1) if channels == "first" else array


def _labels(array: np.ndarray, what: str) -> np.ndarray:
    """Whole numbers or text (N,). Raises InputError."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"{what} is {array.shape}: give one label an image, (N,), as one_hot.argmax(1)")
    if array.dtype.kind == "f":
        raise InputError(f"{what} is {array.dtype}: give whole numbers or names as labels")
    return np.char.decode(array, "latin1") if array.dtype.kind == "S" else array
