"""The arithmetic of a run's precision: autocast to bfloat16, and its products where a processor has none of its own.

A processor without instructions for bfloat16 is left to torch's plain loops, which take a dozen times as long as its
products in float32. There each product is of the same bfloat16 numbers, but made and summed in float32 and rounded
once, as instructions for bfloat16 do it: only the order of the sum differs.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

# Every product of tensors that lies below autograd, forward and backward.
PRODUCTS = frozenset(
    getattr(torch.ops.aten, name)
    for name in (
        *("mm", "addmm", "bmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "matmul", "linear"),
        *("convolution", "_convolution", "convolution_backward"),
    )
)


@contextmanager
def forward(device: torch.device, precision: str) -> Iterator[None]:
    """Around forward passes in a spec's precision, float32 or bfloat16, of which the backward pass is in `products`."""
    with products(device, precision), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        yield


def products(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Around backward passes: products of bfloat16 are made in float32 where the device has none of its own."""
    return _InFloat32() if precision == "bfloat16" and not native(device) else nullcontext()


def native(device: torch.device) -> bool:
    """Whether torch's libraries have kernels for bfloat16: on a GPU, and where oneDNN has some for the processor."""
    if device.type != "cpu":
        return True
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class _InFloat32(TorchDispatchMode):
    """Widens what products of bfloat16 are given, and rounds what they give."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket not in PRODUCTS or not any(map(_is_half, args)):
            return func(*args, **kwargs)
        args, kwargs = tree_map(lambda x: x.float() if _is_half(x) else x, (args, kwargs))
        return tree_map(lambda x: x.bfloat16() if isinstance(x, Tensor) else x, func(*args, **kwargs))


def _is_half(value: object) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.bfloat16
