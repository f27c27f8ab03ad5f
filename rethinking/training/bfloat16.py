"""Whether this machine multiplies in bfloat16 as it should: every layer of a network against float32.

A library's kernel for some shape can be silently wrong on some processor (oneDNN's issue 5494: convolutions with a
stride larger than their kernel). So before a network is first trained in bfloat16 on a machine, each of its
convolutions and linear layers is given the same inputs, weights and output gradients twice: in bfloat16 and, rounded to
it, in float32. The error is the norm of the difference relative to the norm of float32's result. Rounding a sum once to
8 significant bits makes it 0.0017; rounding its parts as well, as oneDNN's emulation does, 0.007; one value in a
thousand that has nothing to do with the right one, 0.04.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rethinking import precision
from rethinking.errors import InputError
from rethinking.files import json_of
from rethinking.paths import data_dir, write
from rethinking.seeds import keyed_generator, seeded
from rethinking.surgery import copied
from rethinking.training.loop import Training
from rethinking.training.network import Source
from rethinking.training.rows import part_of

LIMIT = 0.03  # of the error
IMAGES = 32  # of a batch that is tried
FILE = "bfloat16.json"  # in the data folder: what was tried on the machines that use it
Products = Callable[[Tensor, Tensor], Tensor]  # of a layer's input and weight, without its bias


def worst(network: nn.Module, images: Tensor) -> tuple[float, str]:
    """The largest error of a layer's output, input gradient or weight gradient, and which it is of.

    A layer of one's own may do more than its kind, as one that flattens its input first. Where the plain product of
    what it is given and its weight does not exist, it is not tried.

    Args:
        network: stays as it is. images: float32 (N, ...), on its device.

    Returns:
        The error, from 0 on; inf where a result is not finite.
    """
    found = (0.0, "no layer")
    for name, products, x, w in _layers(network, images):
        generator = keyed_generator("cpu", 0, "bfloat16", name)
        try:
            with torch.no_grad():
                shape = products(x, w).shape
        except RuntimeError:
            continue
        gradient = torch.randn(shape, generator=generator).to(x.device)
        with precision.products(x.device, "bfloat16"):
            tried = _three(products, x.bfloat16(), w.bfloat16(), gradient.bfloat16())
        exact = _three(products, *(t.bfloat16().float() for t in (x, w, gradient)))
        for what, ours, right in zip(("output", "input gradient", "weight gradient"), tried, exact, strict=True):
            apart, size = (ours.float() - right).norm().item(), right.norm().item()
            error = apart / size if size else math.inf if apart else 0.0
            found = max(found, (error if error < math.inf else math.inf, f"{what} of {name}"))
    return found


def _three(products: Products, x: Tensor, w: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    """A layer's output, and the gradients of its input and weight."""
    x, w = x.detach().requires_grad_(), w.detach().requires_grad_()
    with torch.enable_grad():
        out = products(x, w)
        return (out.detach(), *torch.autograd.grad(out, (x, w), gradient))


def _layers(network: nn.Module, images: Tensor) -> Iterator[tuple[str, Products, Tensor, Tensor]]:
    """Every convolution of images and linear layer that a forward pass calls: name, function, input, weight.

    One of one's own that is given no tensor at first, or by another name, is left out.
    """
    network = copied(network)
    calls: list[tuple[str, Products, Tensor, Tensor]] = []
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear):
            products: Products = F.linear
        elif isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros":
            products = _convolution(layer)
        else:
            continue

        def called(layer: Any, inputs: tuple, named: dict, name: str = name, products: Products = products) -> None:
            given = inputs[0] if inputs else named.get("input")
            if isinstance(given, Tensor):
                calls.append((name, products, given.detach(), layer.weight.detach()))

        layer.register_forward_pre_hook(called, with_kwargs=True)
    with seeded("bfloat16"), torch.no_grad():
        network.train()(images.clone())
    return iter(calls)


def _convolution(layer: nn.Conv2d) -> Products:
    return lambda x, w: F.conv2d(x, w, None, layer.stride, layer.padding, layer.dilation, layer.groups)


def check(training: Training, made_with: str, own: Source | None = None) -> None:
    """Refuse to train a network in bfloat16 where this machine's arithmetic is wrong; the network stays as it is.

    Args:
        made_with: the processor, the version of torch and whatever else decides how the arithmetic is done.
        own: of the network, as `Training` has it.

    Raises:
        InputError: a layer's error is above LIMIT.
    """
    spec, images = training.spec, part_of(training.train_images, IMAGES)
    if spec.precision != "bfloat16":
        return
    plain = training.network_for(images, own, plain=True)  # what regularizers add to it rounds as its layers do
    check_network(plain, images, made_with, spec.model)


def check_network(network: nn.Module, images: Tensor, made_with: str, name: str) -> None:
    """Likewise of a network itself.

    What was found is kept in the data folder, where that can be written, so that a network is tried once a machine.

    Args:
        images: float32 (N, ...), a few that it takes, on its device. name: what it is called.
    """
    how = made_with + "; bfloat16's products in float32" * (not precision.has_kernels(images.device))
    key = hashlib.sha256(f"{how}\n{tuple(images.shape[1:])}\n{network}".encode()).hexdigest()
    file = data_dir() / FILE
    known = _known(file)
    if key not in known:
        error, where = worst(network, images)
        known[key] = _bound(key, error if error < math.inf else None, where)
        with suppress(OSError):  # another user's folder, or a full disk: it is tried again
            write(file, json.dumps(known, indent=1) + "\n")
    error, where, _ = known[key]
    if error is None or error > LIMIT:
        told = "is not finite" if error is None else f"is off by {error:.2g} of its norm; rounding explains 0.007"
        raise InputError(
            f"bfloat16 is wrong on this machine: in {name} the {where} {told} (kept in {file}): train in float32, or "
            "with another version of torch"
        )


def _known(file: Path) -> dict[str, list]:
    """What was tried, by key; nothing where the file is not there, or damaged."""
    with suppress(InputError):
        return {key: found for key, found in json_of(file).items() if _is_found(key, found)}
    return {}


def _is_found(key: str, value: object) -> bool:
    """Whether a value is what `check` writes: an error from 0 on, or None where it is not finite; where; a digest."""
    match value:
        case [float() | None as error, str() as where, str()]:
            return (error is None or 0 <= error < math.inf) and value == _bound(key, error, where)
    return False


def _bound(key: str, error: float | None, where: str) -> list:
    """What is kept of a network that was tried, and its SHA-256: what was changed since is as if it were not there."""
    return [error, where, hashlib.sha256(json.dumps([key, error, where]).encode()).hexdigest()]
