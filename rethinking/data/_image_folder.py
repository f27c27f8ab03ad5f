"""A folder of images, one folder a class, with the test set in a folder beside it."""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rethinking.data._files import LARGEST, Unavailable, decoding
from rethinking.data._found import LAYOUTS, Found, Pair
from rethinking.errors import InputError
from rethinking.files import opened

MOST_PIXELS = 50_000_000  # of one image
# As torchvision's ImageFolder: no GIF, of which a damaged one is read in part, without a word.
FORMATS = ("PNG", "JPEG", "BMP", "PPM", "WEBP", "TIFF")
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".pnm", ".webp", ".tif", ".tiff"}
GREY = ("L", "1", "LA")
COLOURS = ("RGB", "P", "RGBA", "PA", "CMYK", "YCbCr", *GREY)
TRAIN, TEST = ("train", "training"), ("test", "testing", "val", "valid", "validation")


# What a part of a set may be called as well, as seg_train or test-images.
PART = "(^|[^a-z])(train(ing)?|test(ing)?|val(id|idation)?)(set)?([^a-z]|$)"
BITS = 0x0102  # of TIFF: bits of each channel
ORIENTATION = 0x0112  # of EXIF: 1 as it is stored, 2 to 8 turned or mirrored, 5 to 8 with its sides exchanged


def _folders(path: Path) -> dict[str, Path]:
    return {f.name: f for f in sorted(path.iterdir()) if f.is_dir() and not f.name.startswith(".")}


def image_folder(path: Path, size: int | None, say: Callable[[str], None]) -> Found:
    """The images at a path. Raises InputError and Unavailable.

    A folder train (or training) with folders in it is the training set, and the first of TEST that has folders in it is
    the test set: what else is there is named and left out. Else each folder is a class.
    """
    below = _folders(path)
    parts = {name.lower(): f for name, f in below.items() if name.lower() in {*TRAIN, *TEST} and _folders(f)}
    train, test = (next((parts[w] for w in words if w in parts), None) for words in (TRAIN, TEST))
    if train is None or (test is None and len(below) > 1 and not set(below) <= {f.name for f in parts.values()}):
        _not_parts(path, below)
        return Found("a folder of images", _split(path, size, say))
    rest = [f.name for f in below.values() if f not in (train, test)]
    rest += sorted(f.name for f in path.iterdir() if f.suffix.lower() in SUFFIXES and f.is_file())
    layout = "a folder of images"
    if test is not None and test.name.lower() not in TEST[:2]:
        say(f"{path}: {test.name} is taken as the test set")
        layout += f" with {test.name} as the test set"
    pairs = _split(train, size, say), _split(test, size, say) if test else None
    return Found(layout, *pairs, taken=tuple(f.name for f in (train, test) if f), left_out=tuple(rest))


def _not_parts(path: Path, below: dict[str, Path]) -> None:
    """Raises InputError where folders that would be classes are rather parts of a set, each with folders of classes."""
    named = [f for name, f in below.items() if re.search(PART, name.lower()) and _folders(f)]
    if len(named) > 1 or any(f.name.lower() in TRAIN for f in named):
        others = ", ".join(ascii(name)[1:-1][:40] for name in list(below)[:5]) + ", ..." * (len(below) > 5)
        raise InputError(
            f"{path} holds {others}, which may be classes or parts of a set: name the training folder, with --test for "
            "the test folder, or call them train and test"
        )


def _split(path: Path, size: int | None, say: Callable[[str], None]) -> Pair:
    """The images below a folder with one folder a class."""
    files: list[tuple[Path, str]] = []
    other = links = hidden = 0
    for name, folder in _folders(path).items():
        every = sorted(folder.rglob("*"))
        found = [f for f in every if not any(part.startswith(".") for part in f.relative_to(folder).parts)]
        hidden += sum(f.suffix.lower() in SUFFIXES and f.is_file() for f in {*every} - {*found})
        below = [f for f in found if f.is_file()]
        gone = next((f for f in found if f.is_symlink() and not f.exists()), None)
        if gone is not None:
            raise InputError(f"{gone} is a link to what is not there: mend it or take it away")
        links += sum(f.is_symlink() and f.is_dir() for f in found)
        images = [f for f in below if f.suffix.lower() in SUFFIXES]
        other += len(below) - len(images)
        if not images:
            raise InputError(f"{folder} holds no image ({', '.join(sorted(SUFFIXES))}): fill it or take it away")
        files += [(f, name) for f in images]
    if not files:
        there = any(f.suffix.lower() in SUFFIXES for f in path.iterdir())
        what = "images, but not in one folder a class" if there else "nothing that can be added"
        raise InputError(f"{path} holds {what}: name {LAYOUTS}")
    loose = sum(f.suffix.lower() in SUFFIXES and f.is_file() for f in path.iterdir())
    if loose:
        say(f"{path}: {loose} images that are in no folder of a class are left out")
    if hidden:
        say(f"{path}: {hidden} images that are hidden, or in a hidden folder, are left out")
    if links:
        say(f"{path}: {links} links to folders within a class are left out")
    if other:
        say(f"{path}: {other} files of no kind that is read here are left out")
    return Pair(_decoded([f for f, _ in files], size, say), [name for _, name in files])


class Decoded:
    """The images in files, uint8 (N, H, W, C), decoded when they are asked for: `images[places]`, places int64 (M,).

    Args:
        shape: of all of them. mode: "L", of one channel, or "RGB". size: see `one_image`.
    """

    def __init__(self, files: list[Path], shape: tuple[int, ...], mode: str, size: int | None):
        self._files, self.shape, self._mode, self._size = files, shape, mode, size

    def in_colour(self) -> "Decoded":
        """The same with three channels."""
        return Decoded(self._files, (*self.shape[:3], 3), "RGB", self._size)

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        out = np.empty((len(places), *self.shape[1:]), np.uint8)
        for k, place in enumerate(places):
            out[k] = np.asarray(one_image(self._files[place], self._size, self._mode)).reshape(self.shape[1:])
        return out


def _decoded(files: list[Path], size: int | None, say: Callable[[str], None]) -> Decoded:
    """The images in files, C 1 where all are grey; their headers are read, so that sizes are known."""
    shapes: dict[tuple[int, int], Path] = {}
    grey, turned = True, 0
    for file in tqdm(files, desc="sizes", unit="image", disable=None, leave=False):
        with _opened(file) as image:
            _check(image, file)
            if image.width * image.height > MOST_PIXELS:
                raise Unavailable(f"{file} is {image.width} x {image.height} pixels, more than {MOST_PIXELS:,}")
            grey &= image.mode in GREY
            turned += image.getexif().get(ORIENTATION, 1) in range(2, 9)
            shapes.setdefault(_shown(image) if size is None else (size, size), file)
    if len(shapes) > 1:
        (a, one), (b, two) = list(shapes.items())[:2]
        raise Unavailable(
            f"images differ in size, {one} is {a[0]} x {a[1]} pixels, {two} {b[0]} x {b[1]}: bring them to one with "
            "--size 32, which scales the shorter side and cuts the centre"
        )
    width, height = next(iter(shapes))
    if turned:
        say(f"{turned:,} images are turned upright, as their EXIF orientation says and viewers show them")
    return Decoded(files, (len(files), height, width, 1 if grey else 3), "L" if grey else "RGB", size)


def one_image(file: Path, size: int | None = None, mode: str = "RGB", as_stored: bool = False) -> Any:
    """The image in a file as a PIL image of that mode, upright; its shorter side scaled to `size`, its centre cut out.

    as_stored: neither turned upright nor looked at for transparency, as torchvision's ImageFolder reads it.

    Raises Unavailable where it cannot be read, is not of 8 bits, is transparent, animated, or of more pixels than
    Pillow takes for an honest image.
    """
    with _opened(file) as image:
        _check(image, file)
        return _cut(image.convert(mode), size) if as_stored else _upright(image, file, mode, size)


def _check(image: Any, file: Path) -> None:
    """Raise Unavailable for an image that would be rounded or read in part, of which the header alone is read."""
    if image.mode not in COLOURS or _deep(image):
        mode = image.mode if image.mode not in COLOURS else f"{image.mode} and more than 8 bits"
        raise Unavailable(f"{file} has pixels of mode {mode}: convert it to 8 bits, grey or colour")
    if getattr(image, "is_animated", False) and image.format != "MPO":  # a phone's photograph, then what belongs to it
        raise Unavailable(f"{file} holds several pictures: save one of them alone")


def _deep(image: Any) -> bool:
    """Whether a file has more than 8 bits a value, which Pillow itself brings to 8."""
    coded = image.tile[0].args if image.tile else ""
    if image.format == "PPM":
        return isinstance(coded, tuple) and int(coded[-1]) > 255  # (mode, the largest value)
    if image.format == "TIFF":
        return max(map(int, image.tag_v2.get(BITS, (1,)))) > 8
    return str(image.format) == "PNG" and ";16" in str(coded)  # as "RGB;16B"


def _upright(image: Any, file: Path, mode: str, size: int | None) -> Any:
    """An image of mode L or RGB as viewers show it, cut to a square of `size` pixels. Raises Unavailable."""
    from PIL import ImageOps

    see_through = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    if see_through and image.convert("RGBA").getextrema()[3][0] < 255:
        raise Unavailable(f"{file} has transparent pixels: save it without")
    return _cut(ImageOps.exif_transpose(image).convert(mode), size)


def _cut(image: Any, size: int | None) -> Any:
    """An image cut to a square of `size` pixels; whole where that is None."""
    from PIL import ImageOps

    return image if size is None else ImageOps.fit(image, (size, size))


def _shown(image: Any) -> tuple[int, int]:
    """Width and height of an image as viewers show it, whose header alone is read."""
    turned = image.format != "TIFF" and image.getexif().get(ORIENTATION, 1) in range(5, 9)  # Pillow turns a TIFF itself
    return (image.height, image.width) if turned else image.size


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """An image whose header is read; whatever its decoder raises, and Pillow's warning of bombs, is Unavailable."""
    from PIL import Image, UnidentifiedImageError

    with decoding(file), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with opened(file, LARGEST) as stream:
            try:
                held = Image.open(stream, formats=FORMATS)
            except UnidentifiedImageError:
                raise Unavailable(f"{file} cannot be read (no image, whatever its name)") from None
            with held as image:
                yield image
