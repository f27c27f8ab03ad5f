"""One run, from its claim to its record: the only place where the trainer and the record meet."""

import importlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from rethinking import data
from rethinking.engines.local import cores
from rethinking.errors import InputError
from rethinking.record import Row, Runs, Writer, check_plug_ins, claim, write
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
        InputError: no data, no such device; a checkpoint of another kind of device, or made with other plug-ins.
        OSError: the disk is full, or not writable.
    """
    with claim(runs, spec) as writer:
        if writer is None:
            return runs.complete(spec)
        if not isinstance(spec, RunSpec):
            _compute(spec, writer, _load(spec.data, data_dir), to_device(device), on_step, on_evaluation)
            return True
        training = Training(spec, _load(spec.data, data_dir), device)
        made_with = environment(spec, training.device)
        rows: list[Row] = []
        seconds = 0.0
        saved = writer.checkpoint
        if saved is not None:
            file = writer.path / "checkpoint.safetensors"
            try:
                header = int.from_bytes(saved[:8], "little")
                notes = json.loads(json.loads(saved[8 : 8 + header])["__metadata__"]["notes"])
                state = safetensors.torch.load(saved)
            except (ValueError, TypeError, KeyError, OverflowError, MemoryError, SafetensorError) as error:
                reason = str(error).partition("\n")[0]
                raise InputError(f"{file} is damaged ({reason}): delete it and the run begins anew") from None
            if "made_with" not in notes:
                raise InputError(f"{file} is of an earlier version of this package: delete it and the run begins anew")
            rows, seconds, before = notes["rows"], notes["seconds"], notes["made_with"]
            if before["device"] != made_with["device"]:
                raise InputError(
                    f"{spec.run_id} was begun on {before['device']}, this is {made_with['device']}: give --device "
                    f"{before['device']}, or delete its folder to begin again"
                )
            check_plug_ins(spec, before, writer.path)
            made_with = _together(before, made_with)
            training.restore(state)
        started = last_save = time.monotonic()
        for evaluation in training.evaluations(on_step):
            rows.append(evaluation.as_row())
            on_evaluation(rows[-1])
            now = time.monotonic()
            if now - last_save >= CHECKPOINT_EVERY and not training.finished:
                so_far = {"rows": rows, "seconds": seconds + now - started, "made_with": made_with}
                notes = json.dumps(so_far)
                writer.save(rows, safetensors.torch.save(training.state(), {"notes": notes}))
                last_save = time.monotonic()
        seconds += time.monotonic() - started
        weights = {k: v.detach().cpu().contiguous() for k, v in training.network.state_dict().items()}
        write(writer.path / "weights.safetensors", safetensors.torch.save(weights))
        status = "diverged" if training.diverged_at else "fitted" if training.fitted else "budget"
        made_with["seconds"] = round(seconds, 1)
        writer.finish(rows, status, training.diverged_at, made_with, kept(training))
        return True


def _compute(
    spec: Spec,
    writer: Writer,
    images: data.ImageSet,
    device: torch.device,
    on_step: Callable[[int], None],
    on_row: Callable[[Row], None],
) -> None:
    if device.type == "cpu":
        torch.set_num_threads(cores() if spec.ALONE else 1)
    made_with = environment(spec, device)
    rows: list[Row] = []
    started = time.monotonic()
    for row in importlib.import_module(spec.RUNNER).run(spec, images, device, on_step):
        rows.append(row)
        on_row(row)
    made_with["seconds"] = round(time.monotonic() - started, 1)
    writer.finish(rows, "computed", None, made_with)


def environment(spec: Spec, device: torch.device) -> dict[str, Any]:
    """What this process makes a run with; its seconds, of training and evaluation, are added at the end."""
    import numpy
    import torchvision

    import rethinking

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "rethinking": rethinking.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": numpy.__version__,
        "device": device.type,
        "device_name": name,
        "threads": torch.get_num_threads() if device.type == "cpu" else None,
        "precision": spec.precision,
        **({"plug_ins": spec.plug_ins} if spec.plug_ins else {}),
    }


def _together(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What several sittings made a run with, one after the other where they differ: "2.11, then 2.12"."""

    def each(key: str) -> Any:
        was = before.get(key, now[key])
        same = was == now[key] or str(was).endswith(f", then {now[key]}")
        return was if same else f"{was}, then {now[key]}"

    return {key: each(key) for key in now}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    return " ".join([model or platform.machine(), *(f for f in ("avx2", "avx512f", "avx512_bf16") if f in flags)])


@cache
def commit() -> str | None:
    """The commit of this package's checkout when first asked, "+changes" where tracked files differ; None outside git.

    Asked when a process starts: its code stays that commit's, wherever the checkout goes.
    """
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
