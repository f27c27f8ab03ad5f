"""Inputs of a run that are made batch by batch, where all of them together would take too much memory.

The one loop indexes, slices and splits its inputs. So it can do with `Rows`, inputs that are nowhere as a whole: each
batch is read, corrupted and whitened when it is asked for, and comes out as it would from a tensor of all.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

IN_MEMORY = 2**31  # bytes of a split's inputs that are held as one tensor on the CPU
PIECE = 1 << 24  # numbers that are made at once, since making takes several times the memory of what is made
EVAL_BATCH = 500  # inputs of a batch of an evaluation, and of one that batch-norm statistics are measured on
FORWARD_BATCH = 125  # of them that pass a convolutional network at a time on a CPU, whose caches hold what layers give
EVAL_NUMBERS = 1 << 24  # that such a batch has at most, as 500 images of 105 x 105 pixels in colour
SHARE = 0.3  # of a GPU's free memory, likewise


def too_many(size: int, device: torch.device) -> bool:
    """Whether inputs of so many bytes are made batch by batch."""
    if device.type != "cuda" or size <= IN_MEMORY:
        return size > IN_MEMORY
    free, _ = torch.cuda.mem_get_info(device)
    return size > SHARE * free


def at_once(numbers: int, each: int) -> int:
    """How many inputs of `each` numbers are at most so many numbers together; one of them may be more."""
    return max(1, numbers // max(each, 1))


class Rows:
    """Inputs (N, ...) that are made when they are asked for.

    Args:
        make: from the places of some examples, int64 (B,), their inputs (B, ...), on the device. places: int64 (N,), of
        these inputs, in order. shape: of one input. read: numbers that are read for one, where it is cut out of more.
    """

    def __init__(self, make: Callable[[np.ndarray], Tensor], places: np.ndarray, shape: tuple[int, ...], read: int = 0):
        self._make, self._places, self._read = make, places, max(read, math.prod(shape))
        self.shape = (len(places), *shape)
        self.ndim = len(self.shape)
        self._format = torch.contiguous_format

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, part: slice) -> "Rows":
        return self._of(self._places[part])

    @property
    def nbytes(self) -> int:
        """Bytes that all of them would take, 4 a number."""
        return 4 * math.prod(self.shape)

    def to(self, device: torch.device) -> "Inputs":
        """The same inputs on a device: made there batch by batch, or held there where they fit."""
        if too_many(self.nbytes, device):
            make = self._make
            return Rows(lambda places: make(places).to(device), self._places, self.shape[1:], self._read)
        out, place = torch.empty(0), 0
        for part in self.split(at_once(PIECE, self._read)):
            out = out if place else torch.empty(self.shape, dtype=part.dtype, device=device)
            out[place : place + len(part)] = part
            place += len(part)
        return out

    def at(self, index: Tensor) -> "Rows":
        """Those at the places `index`, int64 (M,), of these."""
        return self._of(self._places[index.cpu().numpy()])

    def made(self, index: Tensor) -> Tensor:
        """The inputs at the places `index`, int64 (B,), as a tensor in the memory format of these."""
        return self._inputs(self._places[index.cpu().numpy()])

    def split(self, size: int) -> Iterator[Tensor]:
        """All of them in turn, in tensors of at most `size`."""
        for first in range(0, len(self), size):
            yield self._inputs(self._places[first : first + size])

    def contiguous(self, memory_format: torch.memory_format) -> "Rows":
        """The same inputs, made in that memory format."""
        other = self._of(self._places)
        other._format = memory_format
        return other

    def _of(self, places: np.ndarray) -> "Rows":
        other = Rows(self._make, places, self.shape[1:], self._read)
        other._format = self._format
        return other

    def _inputs(self, places: np.ndarray) -> Tensor:
        out, count = torch.empty(0), at_once(PIECE, self._read)
        for first in range(0, max(len(places), 1), count):
            made = self._make(places[first : first + count])
            if not first:
                shape = (len(places), *made.shape[1:])
                out = torch.empty(shape, dtype=made.dtype, device=made.device, memory_format=self._format)
            out[first : first + count] = made
        return out


Inputs = Tensor | Rows


def evaluated(images: Inputs, copies: bool = False) -> Iterator[Tensor]:
    """All inputs in turn, in the batches of an evaluation.

    How many are in one follows from the size of an input alone, so that the last bits of sums and of batch-norm
    statistics do not depend on whether the inputs are held in memory.

    copies: none of them shares memory with `images`, for a network that may change its input in place.
    """
    parts = images.split(min(EVAL_BATCH, at_once(EVAL_NUMBERS, math.prod(images.shape[1:]))))
    return (part.clone() for part in parts) if copies and isinstance(images, Tensor) else iter(parts)


def part_of(images: Inputs, count: int) -> Tensor:
    """The first so many inputs, as a tensor."""
    return images[:count] if isinstance(images, Tensor) else images.made(torch.arange(min(count, len(images))))


def chosen_of(images: Inputs, index: Tensor) -> Inputs:
    """The inputs at the places `index`, int64 (M,), as many as they are."""
    return gather(images, index) if isinstance(images, Tensor) else images.at(index)


def some_of(images: Inputs, labels: Tensor, count: int, spaced: bool) -> tuple[Inputs, Tensor]:
    """So many examples: the first; or evenly spaced ones, for data that may lie class by class."""
    if not spaced or count >= len(labels):
        return images[:count], labels[:count]
    index = torch.arange(count, device=labels.device) * len(labels) // count
    return chosen_of(images, index), labels[index]


def gather(images: Inputs, index: Tensor) -> Tensor:
    """images[index] in the memory format of `images`, (N, ...); by rows, in a seventh to a half of the time."""
    if isinstance(images, Rows):
        return images.made(index)
    if images.ndim < 3:
        return images[index]
    if images.is_contiguous():
        return images.flatten(1).index_select(0, index).reshape(-1, *images.shape[1:])
    rows = images.permute(0, 2, 3, 1)
    return rows.flatten(1).index_select(0, index).reshape(-1, *rows.shape[1:]).permute(0, 3, 1, 2)
