"""What a run goes on from: a folder step-<k> of torch.distributed.checkpoint's files, which appears whole or not.

In it notes.json holds the run's name, its evaluations so far, what it was made with, and the SHA-256 of the other
files. All processes write, and on several machines they must see one disk.
"""

import hashlib
import json
import os
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor

from rethinking.errors import InputError
from rethinking.files import content_of
from rethinking.imagenet.train import Group
from rethinking.paths import sync, write
from rethinking.record.digests import sha256

NOTES = "notes.json"
ADVICE = "give --anew, and it is deleted and the run begins anew"
LARGEST = 100_000_000  # bytes of the notes, which have some 300 an evaluation


def save(place: Path, step: int, state: dict[str, Tensor], group: Group, notes: dict[str, Any]) -> None:
    """Write a checkpoint, together with all processes, and delete those of other steps.

    Args:
        place: the folder of the run's checkpoints. notes: of the first process; those of the others are not looked at.
    """
    whole, part = place / f"step-{step}", place / f".step-{step}"
    if whole.is_dir():  # the run was stopped again before its first step
        return
    if group.rank == 0:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    if group.size > 1:
        dist.barrier()
    with _quiet():
        dcp.save(dict(state), checkpoint_id=part, no_dist=group.size == 1)
    if group.rank == 0:
        write(part / NOTES, json.dumps(_sealed(notes | {"files": _files(part)})))
        os.replace(part, whole)
        sync(place)
        for other in place.iterdir():
            if other != whole:
                shutil.rmtree(other)
    if group.size > 1:
        dist.barrier()


def latest(place: Path, run: str) -> tuple[Path, dict[str, Any]] | None:
    """The last whole checkpoint and its notes; None where there is none.

    Raises InputError where it is damaged, or another run's.
    """
    steps = [(int(path.name[5:]), path) for path in place.glob("step-*") if re.fullmatch(r"step-\d{1,18}", path.name)]
    if not steps:
        return None
    folder = max(steps)[1]
    try:
        notes = json.loads(content_of(folder / NOTES, LARGEST))  # a loss may be NaN, which strict JSON has not
        sound = notes == _sealed(notes) and notes["files"] == _files(folder)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise InputError(f"{folder} is damaged, by its own SHA-256: {ADVICE}")
    if notes["run"] != run:
        raise InputError(f"{folder} is a checkpoint of {notes['run']}, not of {run}: move it there, or {ADVICE}")
    return folder, notes


def load(folder: Path) -> dict[str, Tensor]:
    """All that a checkpoint holds, on the CPU. Raises InputError where it cannot be read."""
    try:
        with _quiet():
            reader = dcp.FileSystemReader(folder)
            known: dict[str, Any] = dict(reader.read_metadata().state_dict_metadata)
            state: dict[str, Any] = {k: torch.empty(m.size, dtype=m.properties.dtype) for k, m in known.items()}
            dcp.load(state, storage_reader=reader, no_dist=True)
    except Exception as error:  # pickle and torch raise what they like at foreign bytes
        raise InputError(f"{folder} cannot be read ({type(error).__name__}): {ADVICE}") from None
    return state


def _files(folder: Path) -> dict[str, str]:
    return {p.name: sha256(p) for p in sorted(folder.iterdir()) if p.name != NOTES}


def _sealed(notes: dict[str, Any]) -> dict[str, Any]:
    rest = {k: v for k, v in notes.items() if k != "sha256"}
    return rest | {"sha256": hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()}


def _quiet() -> warnings.catch_warnings:
    """torch warns that a single process saves and loads without a group, as is meant."""
    return warnings.catch_warnings(action="ignore")
