"""Networks as products of weights: batch norms taken into the layers before them, and what else there may be."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn

from rethinking import layers
from rethinking.errors import InputError
from rethinking.regularizers.dropout import Dropout, averages_over_masks
from rethinking.regularizers.stochastic_depth import StochasticResidual
from rethinking.surgery import Layer, copied, weighted

_NORM = layers.OffsetBatchNorm2d | nn.modules.batchnorm._BatchNorm
_LAYERS = (nn.Conv2d, nn.Linear, layers.Linear)
_SHRINKS = layers.LocalResponseNorm | nn.LocalResponseNorm


def folded(network: nn.Module) -> nn.Module:
    """A copy in float64 whose batch norms are in the weights and biases of the layers that they follow.

    Args:
        network: in evaluation mode; it stays as it is.

    Raises:
        InputError: a batch norm that does not stand right behind a convolution or linear layer.
    """
    network = copied(network).double().requires_grad_(False)
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            for (_, layer), (name, norm) in pairwise(list(module.named_children())):
                if not hasattr(layer, "after") and _folds(layer, norm):
                    module._modules[name] = nn.Identity()
        behind = getattr(module, "after", None)
        if isinstance(behind, nn.ModuleList) and _folds(module, behind[0]):
            behind[0] = nn.Identity()
    left = [type(m).__name__ for m in network.modules() if isinstance(m, _NORM)]
    if left:
        raise InputError(f"a {left[0]} does not follow a convolution or linear layer: probe a network without it")
    return network


def _folds(layer: nn.Module, norm: nn.Module) -> bool:
    """Take a batch norm into a layer: W <- s W, b <- s (b - mean) + offset, s = scale / sqrt(variance + eps)."""
    if not isinstance(layer, Layer) or not isinstance(norm, _NORM):
        return False
    if norm.running_mean is None or norm.running_var is None:
        return False
    with torch.no_grad():
        scale = getattr(norm, "weight", None)
        factor = (norm.running_var + norm.eps).rsqrt() * (1.0 if scale is None else scale)
        bias = torch.zeros_like(factor) if layer.bias is None else layer.bias
        offset = torch.zeros_like(factor) if norm.bias is None else norm.bias
        layer.weight.mul_(factor.reshape(-1, *[1] * (layer.weight.ndim - 1)))
        layer.bias = nn.Parameter((bias - norm.running_mean) * factor + offset, requires_grad=False)
    return True


def products(network: nn.Module, images: Tensor) -> nn.Module:
    """`folded`, without local response normalization, which shrinks what it is given, and without biases.

    Args:
        images: a few (N, C, H, W), to see what the network does.

    Raises:
        InputError: as `folded`; a network that is not one of products with weights, ReLUs, poolings and sums, or that
        has factors besides the weights.
    """
    if averages_over_masks(network):
        raise InputError(
            "the network is evaluated as a mean over masks (dropout's mode=monte_carlo): probe a run with mode=inverted"
        )
    network = folded(network)
    found = weighted(network)
    other = [type(m).__name__ for m in found if type(m) not in _LAYERS]
    if other:
        raise InputError(f"{other[0]} does more than to multiply by its weights: probe a network without it")
    factors = [type(m).__name__ for m in network.modules() if _scales(m)]
    if factors:
        raise InputError(
            f"{factors[0]} multiplies by a factor in evaluation that norms of the weights leave out: probe a network "
            "without it, as with dropout's mode=inverted"
        )
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, _SHRINKS):
                module._modules[name] = nn.Identity()
    for layer in found:
        layer.bias = None
    x, known = images.double(), {id(layer.weight) for layer in found}
    with torch.no_grad():
        twice = torch.allclose(network(2 * x), 2 * network(x), rtol=1e-9, atol=0.0)
    if not twice or any(id(p) not in known for p in network.parameters()):
        raise InputError(
            "the network is not one of products with weights, ReLUs, poolings and sums, whose output without biases "
            "is proportional to its input: probe another"
        )
    return network


def _scales(module: nn.Module) -> bool:
    """Whether it has a factor of its own in evaluation."""
    return isinstance(module, StochasticResidual) or (isinstance(module, Dropout) and module.scaled_at_test)


@contextmanager
def hooked(modules: Sequence[nn.Module], hook: Callable[[int, Tensor, Tensor], Tensor | None]) -> Iterator[None]:
    """Call hook(k, input, output) after the k-th module has run; a tensor that it returns takes the output's place."""
    with ExitStack() as stack:
        for k, module in enumerate(modules):
            handle = module.register_forward_hook(lambda m, inputs, output, k=k: hook(k, inputs[0], output))
            stack.callback(handle.remove)
        yield
