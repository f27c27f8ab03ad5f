"""Hash -> seed -> generator: every draw is keyed by what it is for, so that none depends on which were made before.

A key is a sequence of numbers and words, as (seed, "batches", epoch). Another rule here, or another key, would change
the data and the initial weights of every committed record.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def number(size: int, *key: object) -> int:
    """The first `size` bytes (1 to 32), big-endian, of the SHA-256 of a key's parts as text joined by "/"."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, key)).encode()).digest()[:size], "big")


def reseed(seed: int) -> None:
    """Put the default generators of torch (those of its GPUs too), Python and numpy at a seed, within `untouched`."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


@contextmanager
def untouched() -> Iterator[None]:
    """Leaves the default generators of torch (those of its GPUs too), Python and numpy as they were."""
    import numpy as np
    import torch

    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    default, gpus = torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
        torch.set_rng_state(default)
        if gpus is not None:
            torch.cuda.set_rng_state_all(gpus)


@contextmanager
def seeded(*key: object) -> Iterator[None]:
    """Other people's code within draws what a key says; outside, the default generators are as they were."""
    with untouched():
        reseed(number(7, *key))
        yield


def keyed_generator(device: "torch.device | str", *key: object) -> "torch.Generator":
    """A torch generator on `device`, seeded by the first 7 bytes of a key's hash."""
    import torch

    return torch.Generator(device).manual_seed(number(7, *key))
