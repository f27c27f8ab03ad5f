"""What a run was made with: versions, the machine, and what decides how its arithmetic is done."""

import os
import platform
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rethinking.engines.machine import processor
from rethinking.revision import commit
from rethinking.spec import Spec
from rethinking.streams import plain

if TYPE_CHECKING:
    import torch

# Variables that limit or change how ATen, oneDNN, MKL, OpenMP, the allocators and CUDA's libraries compute.
_LIBRARIES = ("ATEN_", "ONEDNN_", "DNNL_", "MKL_", "OMP_", "KMP_", "GOMP_", "OPENBLAS_", "PYTORCH_", "CUBLAS", "CUDNN_")
_SINGLE = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "NVIDIA_TF32_OVERRIDE")
# Of an environment: what a curve's last bits may depend on. Key -> how it is called.
DECIDING = {
    "device": "device",
    "device_name": "processor",
    "capability": "ATen's capability",
    "variables": "variables",
    "threads": "threads",
    "torch": "torch",
    "numpy": "numpy",
    "precision": "precision",
    "plug_ins": "plug-ins",
    "weights": "weights measured",
    "commit": "commit",
}
MACHINE = ("device_name", "capability", "variables", "threads", "torch")  # of DECIDING: whatever the code
_FOLDERS = re.compile(r"[^\s:=,]*/")
MOST = 4000  # characters that are kept of the variables' values


def environment(spec: Spec, device: "torch.device") -> dict[str, Any]:
    """What this process makes a run with; its seconds, of training and evaluation, are added at the end."""
    plug_ins = {"plug_ins": spec.plug_ins} if spec.plug_ins else {}
    return {**machine(device), "precision": spec.precision, **plug_ins}


def machine(device: "torch.device") -> dict[str, Any]:
    """Versions, the machine, and what decides how its arithmetic is done."""
    import numpy
    import torch
    import torchvision

    import rethinking

    on_cpu = device.type == "cpu"
    return {
        "rethinking": rethinking.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": numpy.__version__,
        "device": device.type,
        "device_name": processor() if on_cpu else torch.cuda.get_device_name(device),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "variables": variables(os.environ),
        "threads": torch.get_num_threads() if on_cpu else None,
    }


def arithmetic(made_with: dict[str, Any]) -> str:
    """Of an environment, what decides how arithmetic is done whatever the code, in a line."""
    return "; ".join(f"{DECIDING[key]} {made_with[key]}" for key in MACHINE)


def variables(environ: Mapping[str, str]) -> str | None:
    """The environment variables that change arithmetic, as "NAME=value NAME=value", sorted; None where there is none.

    Of a file its name is told alone.
    """
    named = sorted(deciding(environ))
    return " ".join(f"{name}={_FOLDERS.sub('', environ[name])}" for name in named)[:MOST] or None


def deciding(environ: Mapping[str, str]) -> set[str]:
    """The names of those environment variables that change arithmetic."""
    return {name for name in environ if name.startswith(_LIBRARIES + _SINGLE)}


def together(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What several sittings made a run with, one after the other where they differ: "2.11, then 2.12"."""

    def each(key: str) -> Any:
        was = before.get(key, now[key])
        same = was == now[key] or str(was).endswith(f", then {now[key]}")
        return was if same else f"{was}, then {now[key]}"

    return {key: each(key) for key in now}


def explanation(first: dict[str, Any], second: dict[str, Any]) -> str:
    """What in two environments may explain that the curves differ, in a line.

    What one of them does not tell, as records made before it was kept, is left out, and counted.
    """
    told, unknown = [], []
    for key, name in DECIDING.items():
        if (key in first) != (key in second):
            unknown.append(name)
        elif first.get(key) != second.get(key):
            ours, theirs = (plain(str(made.get(key) or "none")) for made in (first, second))
            if key == "variables":  # those that are the same in both say nothing
                words = ours.split(), theirs.split()
                ours, theirs = (" ".join(w for w in one if w not in other) for one, other in (words, words[::-1]))
            told.append(f"{name} {ours or 'none'} against {theirs or 'none'}")
    unsaid = f" ({', '.join(unknown)}: one of the two does not tell)" if unknown else ""
    if not told:
        return f"nothing that the two were made with explains it{unsaid}"
    return f"what they were made with may explain it: {'; '.join(told)}{unsaid}"
