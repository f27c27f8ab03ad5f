"""A folder of images, one folder a class, with the test set in a folder beside it."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rethinking.data._files import LARGEST, Unavailable, decoding
from rethinking.data._found import LAYOUTS, MOST_BYTES, Found, Pair
from rethinking.errors import InputError
from rethinking.files import opened

MOST_PIXELS = 50_000_000  # of one image
# As torchvision's ImageFolder: no GIF, of which a damaged one is read in part, without a word.
FORMATS = ("PNG", "JPEG", "BMP", "PPM", "WEBP", "TIFF")
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".pnm", ".webp", ".tif", ".tiff"}
GREY = ("L", "1")
COLOURS = ("RGB", "P", "RGBA", "LA", "PA", "CMYK", "YCbCr", *GREY)
TRAIN, TEST = ("train", "training"), ("test", "testing", "val", "valid", "validation")


def _folders(path: Path) -> dict[str, Path]:
    return {f.name: f for f in sorted(path.iterdir()) if f.is_dir() and not f.name.startswith(".")}


def image_folder(path: Path, size: int | None, say: Callable[[str], None]) -> Found:
    below = _folders(path)
    words = {name.lower(): folder for name, folder in below.items()}
    train = next((words[w] for w in TRAIN if w in words), None)
    if train and set(words) <= {*TRAIN, *TEST}:
        test = next((words[w] for w in TEST if w in words), None)
        rest = tuple(folder.name for folder in below.values() if folder not in (train, test))
        pairs = _split(train, size, say), _split(test, size, say) if test else None
        return Found("a folder of images", *pairs, left_out=rest)
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
        say(f"{path}: {other} files of no kind that is read here are left out")
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
        with opened(file, LARGEST) as stream, Image.open(stream, formats=FORMATS) as image:
            yield image
