"""One run, from its claim to its record: the only place where the trainer and the record meet."""

import importlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from rethinking import data
from rethinking.engines.local import cores
from rethinking.record import Row, Runs, Writer, claim, write
from rethinking.spec import RunSpec, Spec
from rethinking.training import Training, kept
from rethinking.training.batches import to_device

CHECKPOINT_EVERY = 30.0  # seconds; a checkpoint is taken at the first evaluation after that long


@lru_cache(maxsize=2)
def _load(name: str, root: str | None) -> data.ImageSet:
    return data.load(name, root)  # verified once per process, not once per run


def execute(
    spec: Spec,
    runs: Runs,
    *,
    device: str = "cpu",
    data_dir: str | None = None,
    on_step: Callable[[int], None] = lambda step: None,
    on_evaluation: Callable[[Row], None] = lambda row: None,
) -> bool:
    """Train `spec` to its end and record it, going on from its checkpoint where there is one.

    A spec of another kind than RunSpec is computed by its RUNNER, from the beginning, and recorded in the same way.

    Args:
        spec: the run. runs: where its record goes. device: a torch device. data_dir: see rethinking.data.data_dir.
        on_step, on_evaluation: called as the run goes on; what they raise ends it, resumable.

    Returns:
        True when the record is complete; False when another process is training it.

    Raises:
        InputError: no data, no such device. OSError: the disk is full, or not writable.
    """
    with claim(runs, spec) as writer:
        if writer is None:
            return runs.complete(spec)
        made_by = commit()  # now, not at the end: the checkout may move on while a run goes on
        if not isinstance(spec, RunSpec):
            _compute(spec, writer, _load(spec.data, data_dir), to_device(device), made_by, on_step, on_evaluation)
            return True
        training = Training(spec, _load(spec.data, data_dir), device)
        rows: list[Row] = []
        seconds = 0.0
        saved = writer.checkpoint
        if saved is not None:
            header = int.from_bytes(saved[:8], "little")
            notes = json.loads(json.loads(saved[8 : 8 + header])["__metadata__"]["notes"])
            rows, seconds = notes["rows"], notes["seconds"]
            training.restore(safetensors.torch.load(saved))
        started = last_save = time.monotonic()
        for evaluation in training.evaluations(on_step):
            rows.append(evaluation.as_row())
            on_evaluation(rows[-1])
            now = time.monotonic()
            if now - last_save >= CHECKPOINT_EVERY and not training.finished:
                notes = json.dumps({"rows": rows, "seconds": seconds + now - started})
                writer.save(rows, safetensors.torch.save(training.state(), {"notes": notes}))
                last_save = time.monotonic()
        seconds += time.monotonic() - started
        weights = {k: v.detach().cpu().contiguous() for k, v in training.network.state_dict().items()}
        write(writer.path / "weights.safetensors", safetensors.torch.save(weights))
        status = "diverged" if training.diverged_at else "fitted" if training.fitted else "budget"
        made_with = environment(spec, training.device, seconds, made_by)
        writer.finish(rows, status, training.diverged_at, made_with, kept(training))
        return True


def _compute(
    spec: Spec,
    writer: Writer,
    images: data.ImageSet,
    device: torch.device,
    made_by: str | None,
    on_step: Callable[[int], None],
    on_row: Callable[[Row], None],
) -> None:
    if device.type == "cpu":
        torch.set_num_threads(cores() if spec.ALONE else 1)
    rows: list[Row] = []
    started = time.monotonic()
    for row in importlib.import_module(spec.RUNNER).run(spec, images, device, on_step):
        rows.append(row)
        on_row(row)
    writer.finish(rows, "computed", None, environment(spec, device, time.monotonic() - started, made_by))


def environment(spec: Spec, device: torch.device, seconds: float, made_by: str | None) -> dict[str, Any]:
    """What a run was made with. seconds: of training and evaluation, all sittings together. made_by: the commit."""
    import numpy
    import torchvision

    import rethinking

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "rethinking": rethinking.__version__,
        "commit": made_by,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": numpy.__version__,
        "device": device.type,
        "device_name": name,
        "threads": torch.get_num_threads() if device.type == "cpu" else None,
        "precision": spec.precision,
        "seconds": round(seconds, 1),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    return " ".join([model or platform.machine(), *(f for f in ("avx2", "avx512f", "avx512_bf16") if f in flags)])


def commit() -> str | None:
    """The commit of this package's checkout, "+changes" where tracked files differ from it; None outside git."""
    here = Path(__file__).parents[1]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=True, env=environ)
        return done.stdout.strip()

    try:
        if not git("ls-files", "__init__.py"):
            return None
        changed = git("status", "--porcelain", "--untracked-files=no", "--", str(here))
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
