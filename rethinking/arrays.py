"""Arrays in .npy and .npz files, which may claim anything: their size is checked first, and nothing is unpickled."""

import hashlib
import math
import operator
import os
import zipfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

import numpy as np

from rethinking.errors import InputError
from rethinking.files import Refused, opened

HELD = 2_000_000_000  # bytes of an array that is held in memory; a larger one stays on the disk
PART = 1 << 26  # bytes of a larger one that are read at once, where all of it is gone through


def array_in(stream: IO[bytes], most: int) -> np.ndarray:
    """The array of an .npy stream, of plain numbers or text, in at most so many bytes.

    Raises:
        Exception: whatever a decoder raises at foreign bytes; ValueError for a header that is not of what follows it.
    """
    version = np.lib.format.read_magic(stream)
    header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if header is None:
        raise ValueError(f"version {version} of .npy")
    shape, fortran, dtype = header(stream)
    if dtype.hasobject or dtype.kind not in "biufSU":
        raise ValueError(f"it holds {dtype}, no plain numbers or text: save it again, names as array.astype(str)")
    size = dtype.itemsize
    for side in shape:
        size *= side
    if not 0 <= size <= most:
        raise ValueError(f"larger than {most:,} bytes")
    content = stream.read(size + 1)
    if len(content) != size:
        raise ValueError("not as long as its header says")
    array = np.frombuffer(content, dtype)
    return array.reshape(shape[::-1]).transpose() if fortran else array.reshape(shape)


def arrays_at(path: Path, most: int) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name, packed and unpacked in at most so many bytes. Raises as `array_in`."""
    found: dict[str, np.ndarray] = {}
    with opened(path, most) as stream, zipfile.ZipFile(stream) as archive:
        for member in archive.namelist():
            with archive.open(member) as held:
                array = array_in(held, most)
            most -= array.nbytes
            if found.setdefault(member.removesuffix(".npy"), array) is not array:
                raise ValueError(f"{member} is held twice")
    return found


class Stored:
    """An array (N, ...) on the disk, rows of which are read when they are asked for, and not kept.

    It is read, not mapped, so what a process holds does not grow with what it has read. `stored[index]` is a new array,
    for a whole number, a slice, or whole numbers (M,) in any order.

    Args:
        path: a file that holds the values in C order from byte `begin` on. shape, dtype: of the array. file: that file
        where it is open already, and has perhaps no name.

    Raises:
        InputError: more than HELD bytes are asked for at once. OSError: the file cannot be read, or is too short.
    """

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: Any = np.uint8, begin: int = 0, file: IO[bytes] | None = None
    ):
        self.path, self.shape, self.dtype, self.begin, self._file = path, tuple(shape), np.dtype(dtype), begin, file
        self.ndim, self.nbytes = len(shape), math.prod(shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, tuple):
            return np.asarray(self)[index]
        if isinstance(index, slice):
            rows: Any = range(len(self))[index]
            runs = [(rows.start, len(rows))] if rows.step == 1 else [(row, 1) for row in rows]
        else:
            rows = range(len(self))[operator.index(index)] if np.ndim(index) == 0 else np.asarray(index)
            runs = [(int(row), 1) for row in np.atleast_1d(rows)]
        shape = (sum(count for _, count in runs), *self.shape[1:])
        size = math.prod(shape) * self.dtype.itemsize
        if size > HELD:
            raise InputError(
                f"{shape[0]:,} examples of {self.path} are {size:,} bytes, more than {HELD:,} are not held in memory: "
                "take fewer of them"
            )
        out, place = np.empty(shape, self.dtype), 0
        with nullcontext(self._file) if self._file else opened(self.path, self.begin + self.nbytes) as stream:
            for first, count in runs:
                self._read(stream.fileno(), first, out[place : place + count])
                place += count
        return out[0] if isinstance(rows, int) else out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype)

    def _read(self, file: int, first: int, into: np.ndarray) -> None:
        """Fill rows from the one numbered `first` on."""
        if not 0 <= first <= len(self) - len(into):
            raise IndexError(f"the index is {first}, the array has {len(self):,} rows")
        row = self.nbytes // max(len(self), 1)
        rest, at = into.reshape(-1).view(np.uint8), self.begin + first * row
        while len(rest):
            got = np.frombuffer(os.pread(file, min(len(rest), PART), at), np.uint8)
            if not len(got):
                raise Refused("shorter than it was", self.path)
            rest[: len(got)] = got
            rest, at = rest[len(got) :], at + len(got)


def parts_of(array: np.ndarray | Stored) -> Iterator[np.ndarray]:
    """All rows of an array in C order, some megabytes at a time."""
    count = max(1, PART * len(array) // max(array.nbytes, 1))
    for first in range(0, len(array), count):
        yield np.ascontiguousarray(array[first : first + count])


def digest_of(array: np.ndarray | Stored) -> str:
    """The SHA-256, in hexadecimal, of an array's values in C order."""
    digest = hashlib.sha256()
    for part in parts_of(array):
        digest.update(part.data)
    return digest.hexdigest()
