"""What is damaged: complete records of several kinds on the tests' data set, a checkpoint, a figure, caches."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from tally import LOST, Tally

from rethinking import data
from rethinking.engines import execute
from rethinking.record import Runs, digests
from rethinking.spec import LinearSpec, Part, RunSpec, TwoWeightsSpec

ROOT = Path(__file__).parents[2]
TRAINED = RunSpec(data="toy", n=100, model="tiny", steps=8, eval_every=2, keep=("test_logits",))
NOISY = TRAINED.replace(
    corruptions=(Part(name="random_labels"),), regularizers=(Part(name="weight_decay", options={"strength": 0.01}),)
)
COMPUTED = (TwoWeightsSpec(data="toy", n=100, radii=3), LinearSpec(data="toy", n=100, steps=400, eval_every=100))


def toy(folder: Path) -> Path:
    """The data folder with the toy set."""
    data.fetch("toy", folder)
    return folder


def own(folder: Path, name: str = "mine", seed: int = 0) -> Path:
    """The data folder with an own set of 60 small pictures."""
    rng, packed = np.random.default_rng(seed), folder.parent / f"{name}.npz"
    images = rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    np.savez(packed, images=images, labels=np.arange(60) % 3)
    data.add(name, packed, folder, hold_out=0.2)
    return folder


def one_core() -> Any:
    """A context in which computed runs use one core: two threads that wait for each other take the time of ten."""
    return patch.object(execute, "cores", lambda: 1)


def made(runs: Runs, data_dir: Path) -> list[Path]:
    """Complete records of each kind, the second without digests of its own but bound by runs/DIGESTS."""
    torch.set_num_threads(1)
    with one_core():
        for spec in (TRAINED, NOISY, *COMPUTED):
            execute.execute(spec, runs, data_dir=str(data_dir))
    bound(runs, NOISY)
    return [runs.path(spec) for spec in (TRAINED, NOISY, *COMPUTED)]


def bound(runs: Runs, spec: RunSpec) -> None:
    """Make a record one of before records held digests: runs/DIGESTS binds it."""
    result = runs.path(spec) / "result.json"
    for file, lost in ((result, digests.OWN), (result.with_name("environment.json"), {digests.SINCE})):
        kept = {k: v for k, v in json.loads(file.read_text()).items() if k not in lost}
        file.write_text(json.dumps(kept, indent=2) + "\n")
    runs.digest()


def flipped(whole: bytes, chance: random.Random) -> bytes:
    """With one bit turned."""
    at = chance.randrange(len(whole))
    return whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :]


def damaged(whole: bytes, chance: random.Random) -> tuple[str, bytes]:
    """A copy with something wrong, and what: a bit or several turned, cut off, zeros over a part, more at its end."""
    place, length = chance.randrange(len(whole)), chance.randrange(1, 2000)
    several = whole
    for _ in range(chance.randrange(2, 9)):
        several = flipped(several, chance)
    return chance.choice(
        [
            ("a bit flipped", flipped(whole, chance)),
            ("bits flipped", several),
            (f"cut at {place}", whole[:place]),
            (
                f"zeros from {place}",
                whole[:place] + bytes(len(whole[place : place + length])) + whole[place + length :],
            ),
            ("more at its end", whole + chance.randbytes(length)),
            ("a part twice", whole[:place] + whole[place : place + length] + whole[place:]),
            ("empty", b""),
        ]
    )


def tree(folder: Path, but: Callable[[Path], bool] = lambda path: False) -> dict[str, bytes]:
    """Every file below a folder, by its path from there."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and not but(p))
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def lost(folder: Path, held: dict[str, bytes], may: Callable[[str, bytes, bytes | None], bool] | None = None) -> str:
    """What of a `tree` is gone or another by now; empty text where all is there.

    may: whether a file, from what it was to what it is, None for gone, may have been changed so.
    """
    now = tree(folder)
    changed = [place for place, then in held.items() if now.get(place) != then]
    changed = [place for place in changed if not (may and may(place, held[place], now.get(place)))]
    return ", ".join(f"{place} is {'another' if place in now else 'gone'}" for place in changed)


def written(file: Path, content: bytes) -> None:
    """Write a file whose time is later than before: two writes in one tick of the clock are else one to who looks."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_bytes(content)
    after = file.stat()
    if after.st_mtime_ns <= before:
        os.utime(file, ns=(after.st_atime_ns, before + 1))


def with_damage(
    files: list[Path], chance: random.Random, tries: "Iterator[int]", tally: Tally, folder: Path
) -> Iterator[tuple[Path, str]]:
    """One file after the other damaged, and put right again; yields which, and what is wrong with it.

    Afterwards everything else below the folder must be as it was, and the damaged file as it is damaged.
    """
    held = tree(folder)
    for _ in tries:
        file = chance.choice(files)
        whole = file.read_bytes()
        what, content = damaged(whole, chance)
        if content == whole:
            continue
        written(file, content)
        yield file, what
        gone = lost(folder, held | {str(file.relative_to(folder)): content})
        if gone:
            tally.add(LOST, f"{file.name}, {what}", gone)
        written(file, whole)


def fresh(folder: Path) -> Path:
    """The folder, emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
