"""The folder of a data set: its arrays as .npy files, written beside it first."""

import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rethinking.arrays import parts_of
from rethinking.constants import ARRAYS
from rethinking.data._files import Arrays
from rethinking.paths import where_able

SCRATCH = ".rethinking-fetch-"  # begins the name of a scratch folder, so that no user's folder is taken for one
ABANDONED = 86_400.0  # seconds after which a scratch folder is nobody's


def file_of(folder: Path, array: str) -> Path:
    """The file of an array."""
    return folder / f"{array}.npy"


@contextmanager
def scratch_in(base: Path) -> Iterator[Path]:
    """A folder in `base` for as long as it is needed; those that a killed process has left there are deleted."""
    base.mkdir(parents=True, exist_ok=True)
    for left in base.glob(f"{SCRATCH}*"):  # by a fetch that was killed
        named = re.fullmatch(rf"{re.escape(SCRATCH)}[a-z0-9_]{{8}}", left.name)
        if named and not left.is_symlink() and time.time() - left.stat().st_mtime > ABANDONED:
            shutil.rmtree(left, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=base))  # same file system, so the last step is one rename
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def write_arrays(
    arrays: Mapping[str, Any], folder: Path, seen: Callable[[str, np.ndarray], None] = lambda name, part: None
) -> None:
    """Write the four arrays into a new folder, to the disk: some megabytes at a time.

    Args:
        arrays: what `rethinking.arrays.parts_of` takes, with a dtype. seen: called with an array's name and each part
        of it in turn.
    """
    folder.mkdir()
    for array in ARRAYS:
        with file_of(folder, array).open("wb") as stream:
            descr = np.lib.format.dtype_to_descr(arrays[array].dtype)
            header = {"descr": descr, "fortran_order": False, "shape": tuple(arrays[array].shape)}
            np.lib.format.write_array_header_1_0(stream, header)
            for part in parts_of(arrays[array]):
                seen(array, part)
                stream.write(part.data)
            stream.flush()
            with where_able():
                os.fsync(stream.fileno())


def store(arrays: Arrays, scratch: Path, folder: Path) -> None:
    """Put the four arrays into the folder of a data set, where they are not yet; nothing that is there is touched.

    Args:
        scratch: where they are written first, which does not exist, on the same file system.
    """
    write_arrays(arrays, scratch)
    try:
        os.rename(scratch, folder)
        return
    except OSError as error:  # it exists: another process was first, or something is in it
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    for array in ARRAYS:
        if not os.path.lexists(file_of(folder, array)):
            os.rename(file_of(scratch, array), file_of(folder, array))
