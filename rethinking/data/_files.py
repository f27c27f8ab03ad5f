"""Reading files that may be damaged, huge or something else: one door for each kind, its size limited beforehand.

Whatever is wrong with a file raises `Unavailable`, in one line.
"""

import gzip
import hashlib
import io
import math
import os
import struct
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from rethinking import arrays
from rethinking.arrays import Stored
from rethinking.files import content_of, opened, reason

LARGEST = 250_000_000  # bytes of a file, packed or unpacked; the largest official one has 170 million
HEADER = 10_000  # bytes of an .npy file beside the values, at most
Arrays = dict[str, np.ndarray]
_BYTES = np.dtype(np.uint8)


class Unavailable(Exception):
    """A source that has nothing to give here; the text says why."""


@contextmanager
def decoding(what: object) -> Iterator[None]:
    """Turn whatever a decoder raises at foreign bytes, and a read at a disk, into Unavailable: what cannot be read."""
    try:
        yield
    except Unavailable:
        raise
    except Exception as error:
        raise Unavailable(f"{what} cannot be read ({reason(error)})") from None


def _limited(stream: IO[bytes] | gzip.GzipFile) -> bytes:
    content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"larger than {LARGEST:,} bytes")
    return content


def read_bytes(path: Path) -> bytes:
    """What a file holds."""
    with decoding(path):
        return content_of(path, LARGEST)


def official(content: bytes, what: object, algorithm: str, digest: str) -> bytes:
    """`content`, where it has that digest, so that it may be decoded. algorithm: "sha256" or "md5"."""
    if hashlib.new(algorithm, content, usedforsecurity=False).hexdigest() != digest:
        raise Unavailable(f"{what} is not the official file ({algorithm.upper()}): is it complete? It is not opened")
    return content


def members(path: Path, algorithm: str, digest: str, folder: str) -> Callable[[str], bytes]:
    """A function that reads the files, by their name, in a `folder` of an official tar archive."""
    content = official(read_bytes(path), path, algorithm, digest)
    with decoding(path):
        archive = tarfile.open(fileobj=io.BytesIO(content))  # noqa: SIM115 (a view of bytes: nothing has to be closed)

    def read(name: str) -> bytes:
        with decoding(f"{name} in {path}"):
            member = archive.extractfile(f"{folder}/{name}")
            if member is None:
                raise ValueError("not a file")
            return _limited(member)

    return read


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array, of 1 to 3 axes, of an idx file, gzipped or not."""
    raw = read_bytes(path)
    with decoding(path):
        if raw[:2] == b"\x1f\x8b":
            raw = _limited(gzip.GzipFile(fileobj=io.BytesIO(raw)))
        zeros, kind, ndim = struct.unpack(">HBB", raw[:4])
        if zeros or kind != 8 or not 1 <= ndim <= 3:
            raise ValueError("not an idx file of bytes")
        shape = struct.unpack(f">{ndim}I", raw[4 : 4 + 4 * ndim])
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * ndim).reshape(shape)


def read_npy(path: Path, shape: tuple[int, ...], dtype: np.dtype = _BYTES) -> np.ndarray | Stored:
    """The array of that shape and dtype, C order, in an .npy file: nothing is unpickled, no memory taken for another.

    One of more than arrays.HELD bytes is read when rows of it are asked for.
    """
    size = math.prod(shape) * dtype.itemsize
    with decoding(path), opened(path, size + HEADER) as stream:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("not an array of bytes")
        held, fortran, kind = np.lib.format.read_array_header_1_0(stream)
        if (held, fortran, kind) != (shape, False, dtype):
            raise ValueError(f"it holds {kind} {held}, expected {dtype} {shape}")
        if os.fstat(stream.fileno()).st_size - stream.tell() != size:
            raise ValueError("not as long as its header says")
        if size > arrays.HELD:
            return Stored(path, shape, dtype, stream.tell())
        array = np.empty(shape, dtype)
        if stream.readinto(array.data.cast("B")) != size:
            raise ValueError("cut off while it was read")
        return array
