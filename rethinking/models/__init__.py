"""The networks, one file each: `build(num_classes, in_channels, image_size, **variant) -> nn.Module`.

A file may say, as literals,

    VARIANTS = {name: options}          its named variants
    OPTIONS = {"width": {"type": "int", "ge": 1}}    what of these a run may change, as --model mlp-1x512,width=64;
                                        each with a default, here or in VARIANTS; "late": True of one that came
                                        when there were runs already, so that they keep their names
    PAPER = {"learning_rate": 0.01, "parameters": 1_387_786}    of a network of the paper: what a run takes where it
                                        does not say; how many weights it has (by variant: {name: ...}), which tells
                                        `plan` their room, and figures that the network is the paper's
    HAS = ["convolutions", "pooling"]   what regularizers ask for, all of `features`; by variant: {name: [...]}

Without HAS, a regularizer that the network cannot carry is refused when training starts, not when the spec is made.
"""

import inspect
import math
from collections.abc import Container
from typing import TYPE_CHECKING, Any, Literal, get_args

from rethinking import catalog
from rethinking.arguments import size, taking
from rethinking.errors import InputError
from rethinking.seeds import keyed_generator

if TYPE_CHECKING:
    from torch import nn

__path__ += catalog.plugin_folders("models")
How = Literal["glorot", "he", "lecun"]  # initial weights are drawn; as a spec's initial_weights


@taking(num_classes=size, in_channels=size, image_size=size)
def build(name: str, num_classes: int = 10, in_channels: int = 3, image_size: int = 28, **options: Any) -> "nn.Module":
    """A network by name, with torch's own (unseeded) initial weights; `initialise` gives it seeded ones.

    Args:
        name: one that `rethinking list models` shows. num_classes: of the logits. in_channels, image_size: of the
            images, their side in pixels. options: passed on, over the variant's own.

    Returns:
        A module that maps float images (N, in_channels, image_size, image_size) to logits (N, num_classes).

    Raises:
        InputError: an unknown name; options that there are not; a file whose `build` gives no module.
    """
    from torch import nn

    entry = catalog.find("models", name)
    own, given = entry.load().build, entry.late | entry.variant | options
    try:
        inspect.signature(own).bind(num_classes, in_channels, image_size, **given)
    except TypeError as error:
        raise InputError(f"{name} cannot be built so ({error}): give options that its build takes") from None
    network = own(num_classes, in_channels, image_size, **given)
    if not isinstance(network, nn.Module):
        raise InputError(f"build of {entry.path} gives {type(network).__name__}, no torch Module: mend it")
    return network


def initialise(network: "nn.Module", seed: int, kept: Container[str] = (), how: How = "glorot") -> "nn.Module":
    """Set every parameter from `seed`, in place.

    Each parameter is drawn by a generator of its own, keyed by (seed, name): networks that share a parameter share its
    initial value, whatever else they hold, on every device. Weights are uniform, by default with variance 2 / (fan_in +
    fan_out) (Glorot & Bengio 2010, equation 16; that of TensorFlow's layers), biases zero. The paper names none. Other
    parameters of one axis, and those of layer norms, whatever their axes, keep the constant they were made with.

    Args:
        network: any module on the CPU. seed: a non-negative integer. kept: names of parameters that stay as they are.
        how: "glorot"; or the same draws at another variance: "he" at 2 / fan_in, "lecun" at 1 / fan_in (figure unstated
            has the sources).

    Raises:
        InputError: such a parameter that is no constant, whose values no seed would determine; another `how`.
    """
    import torch
    from torch import nn

    from rethinking.surgery import of_norms

    if how not in get_args(How):
        raise InputError(f"how is {how!r}: give {' or '.join(get_args(How))}")
    norms = of_norms(network)
    backward = {id(m.weight): m.groups for m in network.modules() if isinstance(m, nn.modules.conv._ConvTransposeNd)}
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in kept:
                continue
            if name.rpartition(".")[2] == "bias":
                parameter.zero_()
                continue
            if parameter.ndim < 2 or id(parameter) in norms:
                if parameter.numel() and (parameter != parameter.flatten()[0]).any():
                    what = "one-dimensional" if parameter.ndim < 2 else "of a norm"
                    raise InputError(f"{name} is {what} and no constant: call it bias, or make it constant")
                continue
            field = math.prod(parameter.shape[2:])
            outgoing, incoming = parameter.shape[0] * field, parameter.shape[1] * field
            if id(parameter) in backward:  # a transposed convolution's inputs come first
                outgoing, incoming = incoming, outgoing
                incoming //= 1 if how == "glorot" else backward[id(parameter)]  # as old records have it
            fans = {"glorot": incoming + outgoing, "he": incoming, "lecun": 2 * incoming}[how]
            bound = math.sqrt(6 / max(1, fans))  # whose variance is 2 / fans
            draws = keyed_generator("cpu", seed, name)
            parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=draws))
    return network


def features(network: "nn.Module") -> set[str]:
    """What of a network regularizers ask for: the words that a file's HAS holds."""
    from torch import nn

    from rethinking.layers import LocalResponseNorm, OffsetBatchNorm2d, Residual
    from rethinking.surgery import hidden_linear

    kinds: dict[str, Any] = {
        "convolutions": nn.Conv2d,
        "pooling": nn.MaxPool2d,
        "residual blocks": Residual,
        "batch normalization": OffsetBatchNorm2d | nn.modules.batchnorm._BatchNorm,
        "local response normalization": LocalResponseNorm | nn.LocalResponseNorm,
    }
    found = {name for name, kind in kinds.items() if any(isinstance(m, kind) for m in network.modules())}
    return found | ({"hidden linear layers"} if hidden_linear(network) else set())


def count_parameters(network: "nn.Module") -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
