"""Taking networks apart: where their layers are, and how layers are changed without renaming a parameter.

A layer is changed where it stands: something is put before or after it, or it becomes another class. Its parameters,
their names and whatever was put there before stay, so the networks with and without a regularizer share their initial
weights.
"""

import copy
from collections.abc import Collection, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.overrides import TorchFunctionMode

from rethinking.errors import InputError
from rethinking.seeds import untouched

Layer = nn.Conv2d | nn.Linear
_NORMS = nn.LayerNorm | nn.RMSNorm
_STOPS = nn.Conv2d | nn.Linear | nn.ReLU | nn.MaxPool2d


class Passed(nn.ReLU):
    """A ReLU whose work the layer before it has taken over: the identity."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def copied(network: nn.Module) -> nn.Module:
    """A copy of a network with nothing in common; what a hook computes from parameters is copied as it stands.

    That is the weight of torch.nn.utils.weight_norm and spectral_norm, which copy.deepcopy alone refuses.
    """
    computed = (t for m in network.modules() for t in vars(m).values() if isinstance(t, Tensor) and not t.is_leaf)
    return copy.deepcopy(network, {id(t): t.detach().clone() for t in computed})


def walk(network: nn.Module) -> list[nn.Module]:
    """Convolutions, linear layers, ReLUs and max-poolings in order of definition, each once; nothing inside them."""
    found: list[nn.Module] = []
    for child in network.children():
        found += [child] if isinstance(child, _STOPS) else walk(child)
    return list(dict.fromkeys(found))


def layers(network: nn.Module) -> list[Layer]:
    """Convolutions and linear layers in order of definition: the first reads the image, the last gives the logits."""
    return [m for m in walk(network) if isinstance(m, Layer)]


def weighted(network: nn.Module) -> list[Layer]:
    """Every convolution and linear layer, those that a regularizer has added too."""
    return [m for m in network.modules() if isinstance(m, Layer)]


def of_norms(network: nn.Module) -> set[int]:
    """The ids of the parameters of layer norms, which may have several axes."""
    return {id(p) for m in network.modules() if isinstance(m, _NORMS) for p in m.parameters(recurse=False)}


def weights(network: nn.Module) -> list[nn.Parameter]:
    """The trainable weights of layers of any kind, each once: parameters of two axes or more, but not those of norms.

    Raises:
        InputError: none.
    """
    norms = of_norms(network)
    found = [p for p in network.parameters() if p.requires_grad and p.ndim > 1 and id(p) not in norms]
    if not found:
        raise InputError(
            "the network has no trainable weights of two axes or more, as layers have: drop what acts on them"
        )
    return found


def activations(network: nn.Module, never: Collection[nn.Module] = ()) -> list[tuple[Layer, nn.ReLU]]:
    """Every ReLU with the layer that it follows, in order of definition; those `never` called are left out."""
    pairs = []
    layer: Layer | None = None
    for module in (m for m in walk(network) if m not in never):
        if isinstance(module, Layer):
            layer = module
        elif isinstance(module, nn.ReLU) and layer is not None:
            pairs.append((layer, module))
    return pairs


def activated(network: nn.Module, never: Collection[nn.Module] = ()) -> list[Layer]:
    """The layers that a ReLU follows, each once, in order of definition. never: as of `activations`."""
    return list(dict.fromkeys(layer for layer, _ in activations(network, never)))


def in_order(found: Sequence[Layer], calls: Sequence[nn.Module]) -> list[Layer]:
    """Layers in the order in which they are called first, see `called`; where that is not known, as they are given."""
    return sorted(found, key=lambda layer: calls.index(layer) if layer in calls else -1)


def hidden_linear(network: nn.Module) -> list[nn.Linear]:
    """Linear layers with a ReLU right after them, in order of definition."""
    return [a for a, b in _neighbours(network) if isinstance(a, nn.Linear) and isinstance(b, nn.ReLU)]


def activation_before(network: nn.Module, layer: nn.Module) -> nn.Module | None:
    """The ReLU right before `layer`, None where something else is."""
    return next((a for a, b in _neighbours(network) if b is layer and isinstance(a, nn.ReLU)), None)


class Bare(nn.ReLU):
    """Stands for a call of torch.relu, or F.relu, where a network has no module for it."""


class _Bare(TorchFunctionMode):
    """Adds a `Bare` to `found` for every such call that is not a module's, as long as no nn.ReLU is `within`."""

    def __init__(self, found: list[nn.Module]):
        self.found, self.within = found, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self.within and getattr(func, "__name__", "") in ("relu", "relu_"):
            self.found.append(Bare())
        return func(*args, **(kwargs or {}))


def called(network: nn.Module, images: Tensor, every: bool = False, training: bool = False) -> list[nn.Module]:
    """Layers of any kind and ReLUs in the order in which a forward pass calls them, each as often as it is called.

    A ReLU that is no module is a `Bare` of its own. The pass is one of a copy. Of a network that does not take the
    images nothing is known: no calls.

    Args:
        images: a few inputs (B, ...), on the network's device. every: modules of any kind, not layers and ReLUs alone.
        training: the pass is one in training mode, else in evaluation mode.
    """
    own, found = dict(network.named_modules()), list[nn.Module]()
    copy, bare = copied(network).train(training), _Bare(found)

    def enter(*_: Any) -> None:
        bare.within = True

    def leave(*_: Any, module: nn.Module) -> None:
        bare.within = False
        found.append(module)

    for name, module in copy.named_modules():
        wide = any(p.ndim > 1 for p in module.parameters(recurse=False)) and not isinstance(module, _NORMS)
        if every or wide or isinstance(module, Layer | nn.ReLU):
            if isinstance(module, nn.ReLU):
                module.register_forward_pre_hook(enter)
            module.register_forward_hook(partial(leave, module=own[name]))
    with torch.no_grad(), untouched(), bare:
        try:
            copy(images.clone())
        except Exception:
            return []
    return found


def uncalled(network: nn.Module, images: Tensor) -> list[nn.Module]:
    """Modules that are called neither in training nor in evaluation, nor is anything within them.

    The out_proj of nn.MultiheadAttention is one. Arguments as of `called`; none where nothing is known of one of the
    two passes.
    """
    passes = [set(called(network, images, True, training)) for training in (False, True)]
    return [m for m in network.modules() if all(ran and ran.isdisjoint(m.modules()) for ran in passes)]


def _neighbours(network: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
    pairs: list[tuple[nn.Module, nn.Module]] = []
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            children = [m for m in module if not isinstance(m, nn.Flatten)]
            pairs += pairwise(children)
    return pairs


# --- changes --------------------------------------------------------------------------------------


def before(layer: nn.Module, extra: nn.Module) -> None:
    """Send what `layer` is given through `extra` first; through several in the order in which they were put there."""
    if not hasattr(layer, "before"):
        layer.add_module("before", nn.ModuleList())
        layer.register_forward_pre_hook(_before)
    layer.before.append(extra)  # type: ignore[operator, union-attr]


def after(layer: nn.Module, extra: nn.Module) -> None:
    """Send what `layer` gives through `extra`; through several in the order in which they were put there."""
    if isinstance(layer, nn.Sequential):  # runs all that it holds, so it can hold no list of its own
        layer.add_module(f"after{len(layer)}", extra)
        return
    if not hasattr(layer, "after"):
        layer.add_module("after", nn.ModuleList())
        layer.register_forward_hook(_after)
    layer.after.append(extra)  # type: ignore[operator, union-attr]


def of_units(norm: nn.Module, layer: nn.Module, name: str) -> nn.Module:
    """A norm of (N, units) or (N, maps, H, W), for `after`; it refuses tokens, (N, tokens, units), by `name`."""
    if isinstance(layer, nn.Linear):
        return _of(norm, name, (2,), "(images, units) behind a linear layer")
    return _of(norm, name, (2, 4), _MAPS)


def of_maps(extra: nn.Module, name: str) -> nn.Module:
    """What acts on (N, maps, H, W) behind a convolution, for `after`; it refuses all else by `name`."""
    return _of(extra, name, (4,), _MAPS)


_MAPS = "(images, maps, height, width) behind a convolution"


def _of(extra: nn.Module, name: str, axes: tuple[int, ...], takes: str) -> nn.Module:
    extra.register_forward_pre_hook(partial(_check_axes, name=name, axes=axes, takes=takes))
    return extra


def _check_axes(extra: nn.Module, inputs: tuple[Tensor], name: str, axes: tuple[int, ...], takes: str) -> None:
    if inputs[0].ndim not in axes:
        raise InputError(f"{name} takes {takes}, the network has {tuple(inputs[0].shape)} there: drop it")


def _before(layer: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    x = inputs[0]
    for extra in layer.before:  # type: ignore[union-attr]
        x = extra(x)
    return (x,)


def _after(layer: nn.Module, inputs: tuple[Tensor], x: Tensor) -> Tensor:
    for extra in layer.after:  # type: ignore[union-attr]
        x = extra(x)
    return x


def become(layer: nn.Module, kind: type[nn.Module], **attributes: Any) -> None:
    """Make `layer` one of `kind`, a subclass of its class, with further attributes (modules among them).

    Raises InputError where it is not, as what the layer's own class does would be lost.
    """
    if not issubclass(kind, type(layer)):
        raise InputError(
            f"the network has a {type(layer).__name__}, whose own forward {kind.__name__} would replace: build it of "
            "torch.nn's layers, or drop the regularizer"
        )
    layer.__class__ = kind
    for name, value in attributes.items():
        setattr(layer, name, value)


# --- draws ----------------------------------------------------------------------------------------


def kept(like: Tensor, rate: float, generator: Generator) -> Tensor:
    """A 0/1 mask in shape, type and memory format of `like`; each entry 0 with probability `rate`."""
    return torch.empty_like(like, dtype=torch.float32).uniform_(generator=generator).ge(rate).to(like.dtype)
