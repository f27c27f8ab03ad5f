"""What would end a training hours later, said before it: folders, room on the disk, memory."""

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.machine import WORKER_MEMORY, free_memory
from rethinking.paths import check_writable, nearest
from rethinking.record import Runs
from rethinking.spec import ProbeSpec, Spec

BYTES = 4  # of a weight
RECORD = 9_000  # bytes of a record without weights, on average of those of this package


def weights(spec: Spec) -> int:
    """Bytes of a run's weights, of a network whose file tells its parameters; else 0: it is not known."""
    network = dict(spec.named).get("models")
    if network is None or getattr(spec, "model_options", {}):
        return 0
    told = catalog.find("models", network).constants.get("PAPER", {}).get("parameters", 0)
    return BYTES * (told.get(network, 0) if isinstance(told, dict) else told)


def space(specs: Sequence[Spec], runs: Runs, workers: int) -> tuple[int, int]:
    """Bytes on disk that runs take: their weights in the end, and checkpoints of those that run at once.

    A probe takes those of the run that it measures, once whatever its probes, and none where its weights are there. A
    checkpoint has the weights, the momentum of each, and is written beside the one that it replaces.
    """
    trained = {run.run_id: run for run in (spec.run if isinstance(spec, ProbeSpec) else spec for spec in specs)}
    sizes = [weights(run) for run in trained.values() if not runs.weights_of(run).is_file()]
    return sum(sizes), 4 * sum(sorted(sizes, reverse=True)[:workers])


def launched(specs: Sequence[Spec]) -> str:
    """What there is to say of missing runs that no engine makes, in a line: the commands that do."""
    first, more = specs[0].command, len(specs) - 1
    rest = f", and so on for {more} more, which `rethinking plan` names" if more else ""
    count = "1 run is" if not more else f"{len(specs)} runs are"
    return f"{count} missing that no engine makes: give `{first}`{rest}, then draw with --redraw"


def before_training(specs: Sequence[Spec], runs: Runs, *, device: str, workers: int | None, count: int) -> list[str]:
    """What may go wrong in training `specs`, in a line each; what must is refused.

    Args:
        workers: as asked for, None where not. count: how many there will be.

    Raises:
        InputError: a run that no engine makes; a folder that cannot be written, or has no room for what is expected.
    """
    if by_hand := [spec for spec in specs if spec.command]:
        raise InputError(launched(by_hand))
    check_writable(runs.root, "--runs")
    check_writable(runs.checkpoints, "--checkpoints")
    check_writable(runs.weights, "--weights")
    places = Counter[Path]()
    for place, size in zip((runs.weights, runs.checkpoints), space(specs, runs, count), strict=True):
        places[place] += size
    for device_number in {os.stat(nearest(place)).st_dev for place in places}:
        here = [place for place in places if os.stat(nearest(place)).st_dev == device_number]
        needed, free = sum(places[place] for place in here), shutil.disk_usage(nearest(here[0])).free
        if needed > free:
            raise InputError(
                f"{len(specs)} runs take {in_bytes(needed)} on the disk of {here[0]}, {in_bytes(free)} are free: make "
                "room, as with `rethinking prune --weights`, or name another folder"
            )
    memory = free_memory() if device == "cpu" and workers else None
    if memory is not None and count > 1 and count * WORKER_MEMORY > memory:
        fit = max(1, memory // WORKER_MEMORY)
        return [
            f"{count} workers take up to {in_bytes(count * WORKER_MEMORY)} of memory, {in_bytes(memory)} are free: "
            f"those beyond {fit} may be killed, and --workers {fit} is sure"
        ]
    return []


def in_bytes(count: int) -> str:
    """Bytes as text."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
