"""The state of a process that decides how torch computes, as in a process that has just begun.

A record says what its arithmetic was done with, as far as the machine and the environment decide it. A notebook may
have changed more: a data type, a precision, a library that is switched off. `as_begun` puts all of it back for a while.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch

# What torch.backends has in a process that has just begun. Precisions are of float32, "none" for that of what it is
# part of; torch's older names of them, as allow_tf32, cannot be read where both kinds were set, and follow these.
BEGUN: dict[str, Any] = {
    "fp32_precision": "none",
    "mkldnn.enabled": True,
    "mkldnn.deterministic": False,
    "mkldnn.fp32_precision": "none",
    "mkldnn.matmul.fp32_precision": "none",
    "mkldnn.conv.fp32_precision": "none",
    "mkldnn.rnn.fp32_precision": "none",
    "cudnn.enabled": True,
    "cudnn.benchmark": False,
    "cudnn.benchmark_limit": 10,
    "cudnn.deterministic": False,
    "cudnn.allow_tf32": True,
    "cudnn.fp32_precision": "none",
    "cudnn.conv.fp32_precision": "tf32",
    "cudnn.rnn.fp32_precision": "tf32",
    "cuda.matmul.fp32_precision": "none",
    "cuda.matmul.allow_fp16_reduced_precision_reduction": True,
    "cuda.matmul.allow_bf16_reduced_precision_reduction": True,
    "cuda.matmul.allow_fp16_accumulation": False,
}
MATMUL = "highest"  # the precision of float32 by torch's older name, which goes with these
TINY = 1e-310  # of float64: 0 where what is smaller than the smallest normal number is flushed to it


def _place(name: str) -> tuple[Any, str]:
    *parts, last = name.split(".")
    holder: Any = torch.backends
    for part in parts:
        holder = getattr(holder, part)
    return holder, last


def _read() -> dict[str, Any]:
    """Those of BEGUN that can be read: a mix of torch's older and newer names cannot, nor what a version lacks."""
    found = {}
    for name in BEGUN:
        with suppress(RuntimeError, AttributeError):
            found[name] = getattr(*_place(name))
    return found


def _write(values: dict[str, Any], matmul: str | None) -> None:
    """Set what differs alone: what has none of its own is read as that of what it is part of, and goes on to follow."""
    if matmul not in (None, _matmul()):
        torch.set_float32_matmul_precision(matmul)
    for name, value in values.items():
        with suppress(RuntimeError, AttributeError):
            holder, last = _place(name)
            if name == "mkldnn.fp32_precision":  # torch's setter sets that of every library
                torch.backends.mkldnn.set_flags(_fp32_precision=value)
            elif getattr(holder, last) != value:
                setattr(holder, last, value)


def _matmul() -> str | None:
    """The precision of float32 by torch's older name; None where it cannot be read."""
    with suppress(RuntimeError):
        return torch.get_float32_matmul_precision()
    return None


def _flushes() -> bool:
    """Whether this thread flushes denormal numbers to 0."""
    return not torch.tensor([TINY], dtype=torch.float64, device="cpu").mul(1.0).item()


@contextmanager
def as_begun() -> Iterator[None]:
    """What is computed within is computed as in a process that has just begun; afterwards all is as it was.

    That is torch's default data type and device, autograd and autocast, deterministic algorithms, flushing of denormal
    numbers, the number of threads, nnpack, and all of BEGUN.
    """
    with ExitStack() as stack:
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float32)
        if torch.get_default_device().type != "cpu":  # else every call would take longer
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
        determined = torch.are_deterministic_algorithms_enabled()
        stack.callback(torch.use_deterministic_algorithms, determined, warn_only=warn_only)
        torch.use_deterministic_algorithms(False)
        stack.enter_context(torch.backends.nnpack.flags(enabled=True))
        before, matmul = _read(), _matmul()
        stack.callback(_write, before, matmul)
        _write(BEGUN, MATMUL)
        if _flushes():
            stack.callback(torch.set_flush_denormal, True)
            torch.set_flush_denormal(False)
        yield
