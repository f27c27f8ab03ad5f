"""Somebody's inputs, kept on the disk while they are trained on, where they would take too much memory."""

import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rethinking.arrays import Stored
from rethinking.errors import InputError
from rethinking.paths import data_dir
from rethinking.training import rows

PICTURES = ("L", "RGB")  # modes of a PIL image that is an array of bytes and no more


class Shelf:
    """Inputs of one kind, dtype and shape, in a file without a name, which is gone with this object or its process.

    It is a sequence of what was appended: PIL images of mode L or RGB, arrays, or tensors on the CPU, as plain ones.

    Args:
        first: the first of them, which is not yet appended. count: how many there will be. root: the data folder, see
        `paths.data_dir`. role: what their data set is called in an error, "dataset" or "test".

    Raises:
        InputError: the data folder, which holds the file, has too little space; an input that is unlike the first, or
            not finite.
    """

    def __init__(self, first: Any, count: int, root: str | Path | None = None, role: str = "dataset"):
        array, self._kind = _plain(first)
        self.dtype, self.low, self.high, self._role = array.dtype, np.inf, -np.inf, role
        folder, size = data_dir(root), count * array.nbytes
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if size > free:
            raise InputError(
                f"the data take {size:,} bytes, and {folder}, where they are kept meanwhile, has {free:,} free: name "
                "another folder with RETHINKING_DATA"
            )
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (it is closed with this object)
        weakref.finalize(self, self._file.close)
        self._stored = Stored(folder, (count, *array.shape), array.dtype, file=self._file)
        self._count = 0

    def append(self, feature: Any) -> None:
        """Add one more."""
        array, kind = _plain(feature)
        first = (self._kind, self.dtype, self._stored.shape[1:])
        if (kind, array.dtype, array.shape) != first:
            found, before = (f"{k} of {t} {s}" for k, t, s in ((kind, array.dtype, array.shape), first))
            raise InputError(
                f"the input of {self._role}[{self._count}] is {found}, that of {self._role}[0] {before}: make them one"
            )
        if array.size:
            low, high = array.min(), array.max()
            if not (np.isfinite(low) and np.isfinite(high)):
                raise InputError(f"the input of {self._role}[{self._count}] is not finite: mend it")
            self.low, self.high = min(self.low, low), max(self.high, high)
        self._file.write(np.ascontiguousarray(array).data)
        self._count += 1
        if self._count == len(self._stored):
            self._file.flush()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Any:
        return _KINDS[self._kind](self._stored[index])


_KINDS: dict[str, Callable[[np.ndarray], Any]] = {
    "a picture": Image.fromarray,
    "a tensor": torch.from_numpy,
    "an array": np.asarray,
}


def _plain(feature: Any) -> tuple[np.ndarray, str]:
    """An input as an array, and the name of its kind. Raises InputError where it cannot be kept."""
    if isinstance(feature, Image.Image) and feature.mode in PICTURES:
        return np.asarray(feature), "a picture"
    if isinstance(feature, Tensor) and feature.layout is torch.strided and feature.dtype != torch.bfloat16:
        return feature.detach().cpu().as_subclass(Tensor).numpy(), "a tensor"
    if type(feature) in (np.ndarray, np.memmap) and feature.dtype.kind in "biuf" and feature.dtype.isnative:
        return np.asarray(feature), "an array"
    raise InputError(
        "inputs that do not fit in memory must be PIL images of mode L or RGB, tensors or arrays of real numbers: "
        "convert them"
    )


def holder(first: Any, count: int, root: str | Path | None = None, role: str = "dataset") -> list[Any] | Shelf:
    """What is to hold so many inputs, of which the first is given: a list, or a shelf where they are too many.

    root, role: as of Shelf.
    """
    shape = np.shape(np.asarray(first)) if isinstance(first, Image.Image) else getattr(first, "shape", ())
    if len(shape) and 4 * count * int(np.prod(shape)) > rows.IN_MEMORY:
        return Shelf(first, count, root, role)
    return []
