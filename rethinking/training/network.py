"""The network of a run: built or copied, regularized, initialised under the seed. On the CPU: the same everywhere."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from rethinking import models, precision, regularizers
from rethinking.errors import InputError
from rethinking.images import IMAGE_SIZE
from rethinking.layers import OffsetBatchNorm2d, pool_before_relu
from rethinking.seeds import reseed, untouched
from rethinking.spec import RunSpec, check_parts, is_null
from rethinking.surgery import Bare, activations, called, copied, uncalled
from rethinking.training.rows import Inputs, evaluated

Source = nn.Module | Callable[[], nn.Module]  # a network of one's own: it, or what makes it


def unlike(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str | None:
    """Where tensors differ from others in name, type or shape, in words; None where they do not."""
    kinds = [{name: f"{t.dtype} {tuple(t.shape)}" for name, t in tensors.items()} for tensors in (given, own)]
    odd = [name for name in dict.fromkeys([*own, *given]) if kinds[0].get(name) != kinds[1].get(name)]
    return f"{odd[0]} is {kinds[0].get(odd[0])}, expected {kinds[1].get(odd[0])}" if odd else None


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors to be saved: on the CPU, contiguous; of those that share memory, as tied weights do, one is no copy."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        place = own.untyped_storage()._cdata  # of the storage itself, which fake tensors have, too
        found[name] = own.clone() if place in seen else own
        seen.add(place)
    return found


def give(network: nn.Module, weights: Mapping[str, Tensor], what: object) -> None:
    """Give a network its weights. what: to call them in an error. Raises InputError where they are of another one."""
    problem = unlike(weights, network.state_dict())
    if problem:
        raise InputError(f"{what} is of another network ({problem}): delete it, and the run is trained again")
    network.load_state_dict(weights)


def built(
    spec: RunSpec,
    parts: Sequence[regularizers.Base],
    shape: tuple[int, ...],
    logits: int,
    own: Source | None = None,
    images: Tensor | None = None,
) -> nn.Module:
    """The network that a run trains, in training mode.

    The spec's own gets every weight from the seed, see `rethinking.models.initialise`. A module is copied and keeps the
    weights that it has. What makes one is called with the default generators at the seed. In all three cases,
    parameters that a regularizer adds, or gives another shape, are drawn from the seed.

    Args:
        parts: the regularizers. shape: of one input, (C, H, W) for a network of the spec. logits: its outputs.
        images: a few inputs, on the CPU, of a network that is not the package's: where its ReLUs are is then checked.

    Raises:
        InputError: a regularizer that the network cannot carry; images that no network of the spec takes; no module.
    """
    with untouched():  # layers draw weights when made, which `initialise` then replaces, and maybe buffers
        reseed(spec.seed)
        if own is None:
            if len(shape) != 3 or shape[1] != shape[2]:
                raise InputError(f"{spec.model} takes square images (C, H, W), these are {shape}: give another network")
            network = models.build(spec.model, logits, shape[0], shape[1], **spec.model_options)
            if shape[1] != IMAGE_SIZE:
                _check_size(network, shape, spec.model)
        else:
            if spec.initial_weights != RunSpec.model_fields["initial_weights"].default:
                told = f"initial_weights is {spec.initial_weights!r}"
                raise InputError(f"{told}, and a network of one's own has the weights that it has: leave it out")
            network = _copied(own) if isinstance(own, nn.Module) else _called(own)
        given = {} if own is None else {name: p.detach().clone() for name, p in network.named_parameters()}
        check_parts(spec.regularizers, spec.corruptions, spec.model, models.features(network))
        passes: list[list[nn.Module]] = [[], []]  # what evaluation and training call
        if images is not None and parts:
            passes = [called(network, images, training=training) for training in (False, True)]
        calls, _ = passes
        never = uncalled(network, images) if images is not None and calls else []
        for part, r in zip(spec.regularizers, parts, strict=True):
            r.run.calls, r.run.uncalled = calls, never
            relus = _relus(network, never) if calls else {}
            acts = images is not None and not is_null(part)
            network = _carrying(r, network, spec.model) if acts else r.network(network)
            if not isinstance(network, nn.Module):
                kind = type(network).__name__
                raise InputError(f"network of the regularizer {name_of(r)} gives {kind}, no torch Module: mend it")
            _check_relus(r, relus, network, passes, spec.model)
            r.run.calls = r.run.uncalled = ()
    if own is None:
        models.initialise(network, spec.seed, how=spec.initial_weights)
        pool_before_relu(network)
        return network
    kept = {name for name, p in network.named_parameters() if name in given and given[name].shape == p.shape}
    models.initialise(network, spec.seed, kept=kept)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in kept:
                parameter.copy_(given[name])
    return network


def _check_size(network: nn.Module, shape: tuple[int, ...], name: str) -> None:
    """Raise InputError where a network of the spec cannot take images of a shape (C, H, W)."""
    try:
        with torch.no_grad():
            copied(network).eval()(torch.zeros(1, *shape))
    except (RuntimeError, ValueError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        size = f"{shape[1]} x {shape[2]}"
        raise InputError(
            f"{name} cannot take images of {size} pixels ({reason}): give --crop {IMAGE_SIZE}, or another network"
        ) from None


def _copied(network: nn.Module) -> nn.Module:
    if any(isinstance(p, UninitializedParameter) for p in network.parameters()):
        raise InputError("the network has lazy layers, which have no weights yet: call it once on a few images first")
    if isinstance(network, torch.jit.ScriptModule):
        raise InputError(
            "the network is a scripted one, whose copy cannot be trained: give it as before torch.jit.script"
        )
    try:
        return copied(network).cpu().train()
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"the network cannot be copied ({reason}): give a function that makes one") from None


def _called(make: Callable[[], nn.Module]) -> nn.Module:
    network = make()
    if not isinstance(network, nn.Module):
        raise InputError(f"the function gives {type(network).__name__}: let it return a torch.nn.Module")
    return _copied(network)


_SEAMS = ("parameters", "batch", "penalty", "gradient", "after_step")


def _carrying(regularizer: regularizers.Base, network: nn.Module, name: str) -> nn.Module:
    """A network that is not the package's, regularized. Raises InputError where there is nothing to act on."""
    never = tuple(f"{key}." for key, m in network.named_modules() if m in regularizer.run.uncalled)
    before = _layers(network, never)
    try:
        network = regularizer.network(network)
    except InputError:
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{name} cannot carry {name_of(regularizer)} ({reason}): drop it") from None
    idle = all(getattr(type(regularizer), seam) is getattr(regularizers.Base, seam) for seam in _SEAMS)
    if idle and isinstance(network, nn.Module) and _layers(network, never) == before:
        raise InputError(
            f"{name} calls no layers that {name_of(regularizer)} acts on: drop it, or build them with torch.nn"
        )
    return network


def _layers(network: nn.Module, never: tuple[str, ...]) -> list[tuple]:
    """What tells whether a network was changed: of every module its class, its settings and how many hooks it has.

    never: how the names begin of those that are never called, "attention.out_proj."; they are left out.
    """
    plain = int | float | str | bool | None
    found: list[tuple] = []
    for name, m in network.named_modules():
        if f"{name}.".startswith(never):
            continue
        settings = {k: v for k, v in vars(m).items() if isinstance(v, plain)}
        found.append((name, type(m), len(m._forward_hooks), len(m._forward_pre_hooks), settings))
    return found


def _relus(network: nn.Module, never: Sequence[nn.Module]) -> dict[nn.Module, tuple]:
    """Every ReLU that is called, with the layer defined before it, and what tells whether something acts at the two."""
    return {
        relu: (layer, type(relu), len(list(relu.modules())), len(layer._forward_hooks))
        for layer, relu in activations(network, never)
    }


def _check_relus(
    regularizer: regularizers.Base,
    before: dict[nn.Module, tuple],
    network: nn.Module,
    passes: Sequence[Sequence[nn.Module]],
    name: str,
) -> None:
    """Raise InputError where a regularizer acts at a ReLU that does not act on its layer, and on it alone.

    So it is, too, where others of those layers' kind have a ReLU that is no module, which it would leave out.

    before: `_relus` without the regularizer. passes: of `called`, in evaluation and in training.
    """
    after, names = _relus(network, regularizer.run.uncalled), {module: key for key, module in network.named_modules()}
    acts_at = [relu for relu, was in before.items() if after.get(relu) != was]
    kinds = tuple({nn.Linear if isinstance(before[relu][0], nn.Linear) else nn.Conv2d for relu in acts_at})
    bare = any(isinstance(b, Bare) and isinstance(a, kinds) for calls in passes for a, b in pairwise(calls))
    if bare and regularizer.wants_every_relu:
        raise InputError(
            f"{name} calls torch.relu beside nn.ReLU: {name_of(regularizer)} acts at modules alone and would leave "
            "those layers out, so make each a torch.nn.ReLU"
        )
    for relu in acts_at:
        layer, follows = before[relu][0], list[nn.Module | None]()
        for calls in passes:
            last: nn.Module | None = None
            for module in calls:
                if module is relu:
                    follows.append(last)
                last = last if isinstance(module, nn.ReLU) else module
        if set(follows) != {layer}:
            places = ["the input" if m is None else names.get(m, type(m).__name__) for m in dict.fromkeys(follows)]
            listed = ", ".join(places[:5]) + ", ..." * (len(places) > 5) if places else "no layer"
            raise InputError(
                f"{name} calls the ReLU {names.get(relu)} after {listed} and defines it after {names.get(layer)}: "
                f"{name_of(regularizer)} would act in the wrong place, so give each layer a ReLU of its own"
            )


class Wanted(NamedTuple):
    """What a network must give.

    Attributes:
        name: what the network is called. classes: that it tells apart. counted: whether these were counted in the
        labels, so that `num_classes` may say another number.
    """

    name: str
    classes: int
    counted: bool


def check_fit(
    network: nn.Module, images: Tensor, wanted: Wanted, spec: RunSpec, plain: Callable[[], nn.Module]
) -> None:
    """Raise InputError unless a network gives every image as many logits as there are classes, and can be trained.

    It is tried in the spec's precision, and on one image in evaluation, too, which may be a last batch.

    Args:
        images: a few, on the network's device. spec: of the run. plain: makes the network without regularizers.
    """
    name, classes, counted = wanted
    if not any(p.requires_grad for p in network.parameters()):
        raise InputError(f"{name} has no weights to train: give a network with parameters that require a gradient")
    for key, p in network.named_parameters():
        if p.dtype != torch.float32 and (p.requires_grad or p.is_floating_point()):
            raise InputError(f"{name} has {key} in {p.dtype}: give network.float(), and a precision to train in")
    tries = [(images, False), (images, True), (images[:1], False)] if len(images) > 1 else [(images, False)]
    for few, training in tries:  # of one example in training see `check_one`
        shape, alone = tuple(few.shape[1:]), len(few) < len(images)
        try:
            with precision.forward(few.device, spec.precision):
                out = _output(network, few, training)
        except InputError:
            raise
        except Exception as error:
            reason = str(error).partition("\n")[0]
            if alone and isinstance(error, ValueError):
                continue  # a batch norm over the batch, in evaluation too: a fault where a batch of one does occur
            if alone:
                raise InputError(_alone(name, reason)) from None
            if spec.precision != "float32" and _works(network, few, training):
                raise InputError(
                    f"{name} cannot be computed in {spec.precision} ({reason}): give precision float32"
                ) from None
            if spec.regularizers and _works(plain(), few, training):
                names = ", ".join(part.name for part in spec.regularizers)
                raise InputError(f"{name} cannot be computed with {names} ({reason}): drop what changes it") from None
            whole = images.dtype == torch.int64
            hint = "; whole numbers are taken as tokens: give images as uint8, uint16 or floating point" * whole
            raise InputError(f"{name} does not take inputs of shape {shape}, {images.dtype}: {reason}{hint}") from None
        outputs = (classes, 1) if classes == 2 else (classes,)  # one logit can tell two classes apart
        if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != len(few) or out.shape[1] not in outputs:
            given = f"{tuple(out.shape)}" if isinstance(out, Tensor) else f"a {type(out).__name__}"
            if alone:
                raise InputError(_alone(name, f"it gives {given}"))
            todo = f"give it {classes} outputs" + ", or 1" * (classes == 2) + ", or say num_classes" * counted
            raise InputError(
                f"{name} gives {given} for {len(few)} inputs of shape {shape}{' in training' * training}, not "
                f"{classes} logits each: "
                + (todo if isinstance(out, Tensor) else "let forward return the logits alone")
            )


def _output(network: nn.Module, images: Tensor, training: bool) -> Any:
    """What a copy of the network gives."""
    with torch.no_grad():
        return copied(network).train(training)(images.clone())


def _works(network: nn.Module, images: Tensor, training: bool) -> bool:
    try:
        _output(network, images, training)
    except Exception:
        return False
    return True


def _alone(name: str, reason: str) -> str:
    return (
        f"{name} cannot be evaluated on one example ({reason}), which may be a last batch: keep the axis of "
        "examples in forward, as squeeze() does not"
    )


def check_one(network: nn.Module, image: Tensor, spec: RunSpec) -> None:
    """Raise InputError where a batch of the spec has one example, and the network cannot be trained on that.

    image: (1, ...), on the network's device. The network stays as it is.
    """
    if 1 not in (spec.batch_size, spec.trained % spec.batch_size):
        return
    try:
        with torch.no_grad():
            out = copied(network).train()(image.clone())
    except InputError:
        raise
    except Exception as error:  # as batch norm's, of one value a channel
        reason = str(error).partition("\n")[0]
    else:
        if not isinstance(out, Tensor) or (out.ndim == 2 and len(out) == 1):
            return
        reason = f"it gives {tuple(out.shape)}"
    one = f"{spec.model} cannot be trained on one example ({reason})"
    if spec.batch_size == 1:
        raise InputError(f"{one}, and batch_size is 1: give 2 or more")
    held = f" with held_out = {spec.held_out}" if spec.held_out else ""
    raise InputError(
        f"{one}, and n = {spec.n}{held} leaves a batch of one: give n={(spec.n or 0) - 1} or another batch_size"
    )


def batch_norm_statistics(
    network: nn.Module,
    images: Inputs,
    forward: Callable[[], Any] = torch.no_grad,
    on_part: Callable[[], None] = lambda: None,
    copies: bool = False,
) -> None:
    """Measure the statistics of every batch norm for the present weights: the mean over `images`, batch by batch.

    A moving average lags behind weights that change fast: at n = 500 on Gaussian inputs a network that had fitted its
    training batches to 100 % evaluated to 9 %. Batch norms that keep one all the same are left alone, as is a network
    without any.

    copies: the network is given copies of the images, as one that may change its input in place must be.
    """
    norms = [m for m in network.modules() if isinstance(m, OffsetBatchNorm2d) and m.momentum is None]
    if not norms:
        return
    was = [(m, m.training) for m in norms]
    for norm in norms:
        norm.train()
    seen = 0
    with torch.no_grad(), forward():
        for part in evaluated(images, copies):
            on_part()
            seen += len(part)
            for norm in norms:
                norm.collecting = len(part) / seen
            network(part)
    for norm, training in was:
        norm.train(training)
        norm.collecting = None


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """The network on a device, in channels_last memory; but volumes, which have no such format."""
    if any(p.ndim == 5 for p in network.parameters()):
        return network.to(device)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def gains_from_channels_last(network: nn.Module) -> bool:
    """Whether the network has convolutions of images, which are faster in that memory format."""
    return any(isinstance(m, nn.Conv2d) for m in network.modules())


def name_of(regularizer: regularizers.Base) -> str:
    """What a regularizer is called on the command line."""
    return type(regularizer).__module__.rpartition(".")[2]
