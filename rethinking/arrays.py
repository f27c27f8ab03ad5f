"""Arrays in .npy and .npz files, which may claim anything: their size is checked first, and nothing is unpickled."""

import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from rethinking.files import opened


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
