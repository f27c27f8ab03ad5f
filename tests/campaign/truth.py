"""What the files of a data set hold, read without any of the package's code: with other decoders, or by hand.

Pictures: PNG by torchvision's decoder, BMP by its definition. Arrays: numpy's own reading.
"""

import io
import struct
import warnings
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.io import ImageReadMode, decode_png

Examples = list[tuple[bytes, str]]  # pixels (H, W, C) and the class's name
Truth = tuple[Any, ...]


def expected(examples: Examples, held_out: float) -> Truth:
    """What a data set of these examples is, its images in any order: how many are held out, classes, all examples."""
    if len({len(pixels) for pixels, _ in examples}) != 1 or len({label for _, label in examples}) < 2:
        raise ValueError("not of one size, or of one class")
    test = round(held_out * len(examples))
    return len(examples) - test, test, sorted({label for _, label in examples}), Counter(examples), True


def of_set(found: Any) -> Truth:
    """The same of a loaded data set; last whether its mean and variance are those of its training images."""
    examples = [
        (image.tobytes(), found.classes[label])
        for split in (found.train, found.test)
        for image, label in zip(split.images, split.labels, strict=True)
    ]
    pixels = found.train.images.astype(float)
    right = np.allclose(found.facts.mean, pixels.mean((0, 1, 2)), rtol=1e-9)
    right &= np.allclose(found.facts.variance, pixels.var((0, 1, 2)), rtol=1e-9)
    return len(found.train.labels), len(found.test.labels), sorted(found.classes), Counter(examples), bool(right)


def of_folder(folder: Path) -> Examples:
    """Of pictures, a folder a class."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(_picture(file.read_bytes()), file.parent.name) for file in files]


def of_npz(folder: Path) -> Examples:
    """Of packed.npz, whose members' names are read in lower case."""
    with zipfile.ZipFile(folder / "packed.npz") as archive:
        held = {Path(name).stem.lower(): archive.read(name) for name in archive.namelist()}
    return _examples(held["images"], held["labels"])


def of_npy(images: Path, labels: Path) -> Examples:
    """Of two .npy files."""
    return _examples(images.read_bytes(), labels.read_bytes())


def _examples(images: bytes, labels: bytes) -> Examples:
    pixels, numbers = _array(images), _array(labels)
    if pixels.min() < 0 or pixels.max() > 255 or len(pixels) != len(numbers):
        raise ValueError("no pair of pixels and labels")
    return [(x.astype(np.uint8).tobytes(), str(y)) for x, y in zip(pixels, numbers.reshape(-1).tolist(), strict=True)]


def _array(content: bytes) -> np.ndarray:
    stream = io.BytesIO(content)
    array = np.lib.format.read_array(stream, allow_pickle=False)
    if stream.read(1):
        raise ValueError("more than the array")
    return array


def _picture(content: bytes) -> bytes:
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        _check_chunks(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            decoded = decode_png(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB)
        return decoded.permute(1, 2, 0).contiguous().numpy().tobytes()
    if content[:2] == b"BM":
        return _bmp(content)
    raise ValueError("neither of the two")


def _check_chunks(content: bytes) -> None:
    """Of a PNG: every chunk is whole, and has its CRC, up to the last."""
    at, name = 8, b""
    while name != b"IEND":
        (length,) = struct.unpack(">I", content[at : at + 4])
        name, body = content[at + 4 : at + 8], content[at + 4 : at + 8 + length]
        (check,) = struct.unpack(">I", content[at + 8 + length : at + 12 + length])
        if zlib.crc32(body) != check:
            raise ValueError("a chunk has another CRC")
        at += 12 + length


def _bmp(content: bytes) -> bytes:
    """Rows from below, each filled up to a multiple of four bytes, a pixel as blue, green, red."""
    (start,) = struct.unpack("<I", content[10:14])
    size, width, height, _, bits, packing = struct.unpack("<IiiHHI", content[14:34])
    if (size, bits, packing) != (40, 24, 0):
        raise ValueError("another kind of BMP")
    row = (3 * width + 3) // 4 * 4
    held = np.frombuffer(content, np.uint8, abs(height) * row, start).reshape(abs(height), row)
    pixels = held[:, : 3 * width].reshape(abs(height), width, 3)[..., ::-1]
    return (pixels[::-1] if height > 0 else pixels).tobytes()
