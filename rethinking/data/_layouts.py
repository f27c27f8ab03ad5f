"""What can be added as an own data set, and how it is read.

A folder of images, one folder a class, with the test set in a folder beside it or named apart; an .npz, or .npy files;
a folder in the official layout of CIFAR-10 or MNIST. Nothing is decoded before its size is known to be allowed, and
nothing runs by being unpickled.
"""

import io
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tqdm import tqdm

from rethinking.data._files import LARGEST, Unavailable, decoding, read_bytes
from rethinking.data._sources import idx_folder
from rethinking.errors import InputError
from rethinking.paths import expand

MOST_BYTES = 2_000_000_000  # of the images of a split, one byte a value
MOST_PIXELS = 50_000_000  # of one image
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "WEBP", "TIFF")
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".pnm", ".webp", ".tif", ".tiff"}
GREY = ("L", "1")
COLOURS = ("RGB", "P", "RGBA", "LA", "PA", "CMYK", "YCbCr", *GREY)
TRAIN, TEST = ("train", "training"), ("test", "testing", "val", "valid", "validation")
# What arrays are called: of both splits together, then of the two.
SINGLE = (("images", "x", "data", "image"), ("labels", "y", "targets", "label"))
KEYS = {
    "train": (("train_images", "x_train", "images_train"), ("train_labels", "y_train", "labels_train")),
    "test": (("test_images", "x_test", "images_test"), ("test_labels", "y_test", "labels_test")),
}
LAYOUTS = "a folder with one folder of images a class, an .npz, .npy files, or CIFAR-10's or MNIST's official files"


@dataclass(frozen=True)
class Pair:
    """One split as it was found. images: uint8 (N, H, W, C). labels: a name or whole number each. names: by number."""

    images: np.ndarray
    labels: Sequence[str] | np.ndarray
    names: Sequence[str] = ()


@dataclass(frozen=True)
class Found:
    """What a path holds. layout: in words. in_order: its order is kept, as of an official layout."""

    layout: str
    train: Pair
    test: Pair | None = None
    in_order: bool = False


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
        raise InputError(f"{path} is nothing that can be added: name {LAYOUTS}")
    for layout in (_idx, _cifar):
        found = layout(path)
        if found:
            return _only_as_it_is(found, size)
    if any(path.glob("*.npy")):
        with _arrays(path, None) as held:
            return _from_arrays(path, held, channels, size)
    return _image_folder(path, size, say)


def _only_as_it_is(found: Found, size: int | None) -> Found:
    if size is not None:
        raise InputError(f"--size is given, but {found.layout} is taken as it is: leave it out")
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
        yield {f.stem.lower(): (str(f), lambda f=f: f.open("rb")) for f in sorted(path.glob("*.npy"))}  # type: ignore[misc]
    elif path.suffix.lower() == ".npz":
        with decoding(path):
            archive = zipfile.ZipFile(path)
        with archive:
            yield {
                Path(member).stem.lower(): (f"{member} in {path}", lambda m=member: archive.open(m))  # type: ignore[misc]
                for member in archive.namelist()
            }
    else:
        if labels is None:
            raise InputError(f"{path} holds images alone: name their labels with --labels LABELS.npy")
        other = expand(labels)
        yield {"images": (str(path), lambda: path.open("rb")), "labels": (str(other), lambda: other.open("rb"))}


def _from_arrays(path: Path, held: dict[str, tuple[str, Open]], channels: str | None, size: int | None) -> Found:
    def named(words: Sequence[str]) -> str | None:
        return next((word for word in words if word in held), None)

    pairs = {}
    for split, (images, labels) in {**KEYS, "": SINGLE}.items():
        first, second = named(images), named(labels)
        if first and second:
            pairs[split] = _pair(held[first], held[second], channels)
    whole = pairs.get("train") or pairs.get("")
    if whole is None:
        there = ", ".join(held) or "nothing"
        raise InputError(
            f"{path} holds {there}: name the arrays train_images, train_labels, test_images and test_labels, or images "
            "and labels"
        )
    found = Found(f"arrays ({path.suffix or '.npy'})", whole, pairs.get("test"))
    return _only_as_it_is(found, size)


def _pair(images: tuple[str, Open], labels: tuple[str, Open], channels: str | None) -> Pair:
    pixels, numbers = _images(_read(*images), images[0], channels), _labels(_read(*labels), labels[0])
    if len(pixels) != len(numbers):
        raise InputError(f"{images[0]} has {len(pixels):,} images, {labels[0]} {len(numbers):,} labels: give a pair")
    return Pair(pixels, numbers)


def _read(what: str, opened: Open) -> np.ndarray:
    """An array from .npy: its size is checked before memory is taken for it, and nothing is unpickled."""
    with decoding(what), opened() as stream:
        version = np.lib.format.read_magic(stream)
        header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if header is None:
            raise ValueError(f"version {version} of .npy")
        shape, fortran, dtype = header(stream)
        if dtype.hasobject or dtype.kind not in "biufSU":
            raise ValueError(f"it holds {dtype}, no plain numbers or text")
        count = 1
        for side in shape:
            count *= side
        if count * dtype.itemsize > MOST_BYTES:
            raise ValueError(f"larger than {MOST_BYTES:,} bytes")
        content = _exactly(stream, count * dtype.itemsize)
        array = np.frombuffer(content, dtype)
        return array.reshape(shape[::-1]).transpose() if fortran else array.reshape(shape)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size + 1)
    if len(content) != size:
        raise ValueError("not as long as its header says")
    return content


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


# --- a folder of images ---------------------------------------------------------------------------


def _folders(path: Path) -> dict[str, Path]:
    return {f.name: f for f in sorted(path.iterdir()) if f.is_dir() and not f.name.startswith(".")}


def _image_folder(path: Path, size: int | None, say: Callable[[str], None]) -> Found:
    below = _folders(path)
    words = {name.lower(): folder for name, folder in below.items()}
    train = next((words[w] for w in TRAIN if w in words), None)
    if train and set(words) <= {*TRAIN, *TEST}:
        test = next((words[w] for w in TEST if w in words), None)
        return Found("a folder of images", _split(train, size, say), _split(test, size, say) if test else None)
    return Found("a folder of images", _split(path, size, say))


def _split(path: Path, size: int | None, say: Callable[[str], None]) -> Pair:
    """The images below a folder with one folder a class."""
    files: list[tuple[Path, str]] = []
    other = 0
    for name, folder in _folders(path).items():
        below = sorted(f for f in folder.rglob("*") if not f.name.startswith(".") and f.is_file())
        images = [f for f in below if f.suffix.lower() in SUFFIXES]
        other += len(below) - len(images)
        if not images:
            raise InputError(f"{folder} holds no image ({', '.join(sorted(SUFFIXES))}): fill it or take it away")
        files += [(f, name) for f in images]
    if not files:
        there = any(f.suffix.lower() in SUFFIXES for f in path.iterdir())
        what = "images, but not in one folder a class" if there else "nothing that can be added"
        raise InputError(f"{path} holds {what}: name {LAYOUTS}")
    if other:
        say(f"{path}: {other} files that are no images are left out")
    return Pair(_decoded([f for f, _ in files], size), [name for _, name in files])


def _decoded(files: list[Path], size: int | None) -> np.ndarray:
    """The images in files, uint8 (N, H, W, C), C 1 where all are grey: headers first, so that sizes are known."""
    from PIL import ImageOps

    shapes: dict[tuple[int, int], Path] = {}
    grey = True
    for file in tqdm(files, desc="sizes", unit="image", disable=None, leave=False):
        with _opened(file) as image:
            if image.mode not in COLOURS:
                raise Unavailable(f"{file} has pixels of mode {image.mode}: convert it to 8 bits, grey or colour")
            if image.width * image.height > MOST_PIXELS:
                raise Unavailable(f"{file} is {image.width} x {image.height} pixels, more than {MOST_PIXELS:,}")
            if getattr(image, "is_animated", False):
                raise Unavailable(f"{file} holds several pictures: save one of them alone")
            grey &= image.mode in GREY
            shapes.setdefault(image.size if size is None else (size, size), file)
    if len(shapes) > 1:
        (a, one), (b, two) = list(shapes.items())[:2]
        raise Unavailable(
            f"images differ in size, {one} is {a[0]} x {a[1]} pixels, {two} {b[0]} x {b[1]}: bring them to one with "
            "--size 32, which scales the shorter side and cuts the centre"
        )
    width, height = next(iter(shapes))
    shape = (len(files), height, width, 1 if grey else 3)
    if len(files) * height * width * shape[3] > MOST_BYTES:
        raise Unavailable(f"{len(files):,} images of {width} x {height} pixels are more than {MOST_BYTES:,} bytes")
    out = np.empty(shape, np.uint8)
    for k, file in enumerate(tqdm(files, desc="images", unit="image", disable=None, leave=False)):
        with _opened(file) as image:
            see_through = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            if see_through and image.convert("RGBA").getextrema()[3][0] < 255:
                raise Unavailable(f"{file} has transparent pixels: save it without")
            plain = image.convert("L" if grey else "RGB")
            plain = plain if size is None else ImageOps.fit(plain, (size, size))
            out[k] = np.asarray(plain).reshape(shape[1:])
    return out


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """An image whose header is read; whatever its decoder raises, and Pillow's warning of bombs, is Unavailable."""
    from PIL import Image

    with decoding(file), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        if file.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST:,} bytes")
        with Image.open(file, formats=FORMATS) as image:
            yield image
