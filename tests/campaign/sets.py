"""What is damaged: complete records of several kinds on the tests' data set, a checkpoint, a figure, caches."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from rethinking import data
from rethinking.engines import execute
from rethinking.record import Runs, digests
from rethinking.spec import LinearSpec, Part, RunSpec, TwoWeightsSpec

ROOT = Path(__file__).parents[2]
TRAINED = RunSpec(data="toy", n=100, model="tiny", steps=8, eval_every=2, keep=("test_logits",))
NOISY = TRAINED.replace(
    corruptions=(Part(name="random_labels"),), regularizers=(Part(name="weight_decay", options={"strength": 0.01}),)
)
COMPUTED = (TwoWeightsSpec(data="toy", n=100, radii=3), LinearSpec(data="toy", n=100))


def toy(folder: Path) -> Path:
    """The data folder with the toy set."""
    data.fetch("toy", folder)
    return folder


def made(runs: Runs, data_dir: Path) -> list[Path]:
    """Complete records of each kind, the second without digests of its own but bound by runs/DIGESTS."""
    torch.set_num_threads(1)
    for spec in (TRAINED, NOISY, *COMPUTED):
        execute.execute(spec, runs, data_dir=str(data_dir))
    result = runs.path(NOISY) / "result.json"
    held = json.loads(result.read_text())
    result.write_text(json.dumps({k: v for k, v in held.items() if k not in digests.OWN}, indent=2) + "\n")
    runs.digest()
    return [runs.path(spec) for spec in (TRAINED, NOISY, *COMPUTED)]


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


def with_damage(files: list[Path], chance: random.Random, tries: "Iterator[int]") -> Iterator[tuple[Path, str]]:
    """One file after the other damaged, and put right again; yields which, and what is wrong with it."""
    for _ in tries:
        file = chance.choice(files)
        whole = file.read_bytes()
        what, content = damaged(whole, chance)
        if content == whole:
            continue
        file.write_bytes(content)
        yield file, what
        file.write_bytes(whole)


def fresh(folder: Path) -> Path:
    """The folder, emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
