"""Hash -> seed -> generator: every draw is keyed by what it is for, so that none depends on which were made before.

A key is a sequence of numbers and words, as (seed, "batches", epoch). Another rule here, or another key, would change
the data and the initial weights of every committed record.
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def number(size: int, *key: object) -> int:
    """The first `size` bytes (1 to 32), big-endian, of the SHA-256 of a key's parts as text joined by "/"."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, key)).encode()).digest()[:size], "big")


def seed_default(seed: int) -> None:
    """Put torch's default generator at a seed, for code that draws from it; call it within torch.random.fork_rng."""
    import torch

    torch.default_generator.manual_seed(seed)


def keyed_generator(device: "torch.device | str", *key: object) -> "torch.Generator":
    """A torch generator on `device`, seeded by the first 7 bytes of a key's hash."""
    import torch

    return torch.Generator(device).manual_seed(number(7, *key))
