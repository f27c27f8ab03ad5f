"""The arithmetic of a run's precision: autocast to bfloat16, and its products where torch has no kernels for it.

Where torch's libraries have no kernels for bfloat16, as on a processor without AVX-512, its plain loops take up to a
dozen times as long as products in float32. There each product is of the same bfloat16 numbers, but made and summed in
float32 and rounded once, as instructions for bfloat16 do it: only the order of the sum differs. Left to torch are
attention, and products written into a tensor that is there. Every operation goes through Python on its way, which small
layers called many times feel.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

# The products of tensors that lie below autograd, forward and backward, and make a tensor of their own.
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
    half, fast = precision == "bfloat16", torch.backends.mha.get_fastpath_enabled()
    with products(device, precision) as mode, torch.autocast(device.type, torch.bfloat16, enabled=half):
        try:  # the fast path of torch's encoders leaves autocast to what it calls, which a mode takes it away from
            torch.backends.mha.set_fastpath_enabled(fast and mode is None)
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)


def products(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Around backward passes: products of bfloat16 are made in float32 where torch has no kernels for it."""
    return _InFloat32() if precision == "bfloat16" and not has_kernels(device) else nullcontext()


def has_kernels(device: torch.device) -> bool:
    """Whether torch's libraries have kernels for bfloat16: on a GPU, and where oneDNN has some for the processor."""
    if device.type != "cpu":
        return True
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class _InFloat32(TorchDispatchMode):
    """Widens what products of bfloat16 are given, and rounds what they give."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket not in PRODUCTS or "out" in kwargs:
            return func(*args, **kwargs)
        given = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)]
        if any(x.dtype != torch.bfloat16 for x in given):  # torch refuses to mix
            return func(*args, **kwargs)
        args, kwargs = tree_map(lambda x: x.float() if isinstance(x, Tensor) else x, (args, kwargs))
        return tree_map(lambda x: x.bfloat16() if isinstance(x, Tensor) else x, func(*args, **kwargs))
