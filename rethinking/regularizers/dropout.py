"""Dropout: in training, units that feed a linear layer are dropped at random, per image.

Srivastava et al. 2014 (JMLR 15), section 4: r ~ Bernoulli(1 - rate), y <- r * y, on what every linear layer is given,
except a first one, whose inputs are the image's pixels: those are dropped with probability `input`, in any network.
`rate` is the probability of dropping (theirs is of keeping), in [0, 1); 0 is none. Practice there: 0.5 for hidden
units, 0.2 for inputs (section 6.1.1). `mode`:

    inverted         y is divided by 1 - rate in training; evaluation uses the network as it is
    weight_scaling   training as in the equation; evaluation multiplies by 1 - rate, the original's (its figure 2)
    monte_carlo      trained as inverted; evaluation averages the class probabilities of `samples` networks with masks
                     of their own, from a keyed generator (section 7.5)

`where`: before every linear layer but a first one, or the last alone, after all that normalizes (Li et al. 2019).
It and a batch_norm after the activation (place=after) stand in the order in which the two are given.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from rethinking.errors import InputError
from rethinking.layers import two_logits
from rethinking.regularizers import Base, Run
from rethinking.seeds import keyed_generator
from rethinking.surgery import activation_before, after, before, in_order, kept, layers

OPTIONS = {
    "rate": {"type": "float", "ge": 0.0, "lt": 1.0, "default": 0.5, "description": "probability of dropping a unit"},
    "input": {"type": "float", "ge": 0.0, "lt": 1.0, "default": 0.0, "description": "probability of dropping a pixel"},
    "mode": {"type": "str", "choices": ["inverted", "weight_scaling", "monte_carlo"], "default": "inverted"},
    "where": {"type": "str", "choices": ["all", "last"], "default": "all", "late": True},
    "samples": {
        "type": "int",
        "ge": 1,
        "le": 10_000,
        "default": 20,
        "description": "masks averaged over by monte_carlo",
    },
}
NULL = {"rate": 0.0, "input": 0.0}
PRACTICE = {"rate": 0.5}
FAMILY = "units"
STRENGTHS = (0.2, 0.5, 0.7, 0.8, 0.9)
ONLY = {"samples": {"mode": "monte_carlo"}}


class Dropout(nn.Module):
    """Drops entries of a tensor of any shape.

    Attributes:
        sampling: the generator of masks in evaluation mode, None where nothing is dropped there.
    """

    def __init__(self, rate: float, scaled_at_test: bool, run: Run):
        super().__init__()
        self.rate, self.scaled_at_test, self.run = rate, scaled_at_test, run
        self.sampling: Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        generator = self.run.generator if self.training else self.sampling
        if generator is None:
            return x * (1 - self.rate) if self.scaled_at_test else x
        mask = kept(x, self.rate, generator)
        return x * mask if self.scaled_at_test else x * mask.div_(1 - self.rate)


class MonteCarlo:
    """A forward hook of the network: in evaluation mode logits become log probabilities, averaged over masks.

    Of a network with one logit they are of its two classes. What `first`, a layer before every mask, makes of its first
    input is computed once: of mlp-3x512 two thirds of a pass.
    """

    def __init__(self, layers: list[Dropout], samples: int, first: nn.Module | None):
        self.layers, self.samples, self.first = layers, samples, first
        self.given: list[Tensor] = []

    def keep(self, network: nn.Module, inputs: tuple[Tensor]) -> None:
        """A forward pre-hook of a network that may change its input in place: every pass is given it as it was."""
        self.given = [] if network.training else [x.detach().clone() for x in inputs]

    def __call__(self, network: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        before, self.given = self.given, []
        collecting = any(getattr(m, "collecting", None) is not None for m in network.modules())
        if network.training or collecting:  # batch-norm statistics are of the network without masks
            return output
        generator = keyed_generator(output.device, "monte_carlo")
        for layer in self.layers:
            layer.sampling = generator
        if self.first is not None:
            self.first.forward = _once(self.first.forward)
        passes = []
        try:
            for _ in range(self.samples):
                for x, given in zip(inputs, before, strict=False):
                    if not torch.equal(x, given):
                        x.copy_(given)
                passes.append(F.log_softmax(two_logits(network.forward(*inputs)).float(), dim=1))
        finally:
            for layer in self.layers:
                layer.sampling = None
            if self.first is not None:
                del self.first.forward
        return torch.logsumexp(torch.stack(passes), dim=0) - math.log(self.samples)


def averages_over_masks(network: nn.Module) -> bool:
    """Whether an evaluation of the network is a mean over masks, as `mode=monte_carlo` makes it."""
    return any(isinstance(hook, MonteCarlo) for hook in network._forward_hooks.values())


def _once(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The same function, whose value for the first input is computed once; a copy, which may be changed in place."""
    found: list[tuple[Tensor, tuple, Tensor]] = []  # the input, held so that its memory is not another's

    def again(x: Tensor) -> Tensor:
        if x.is_inference():  # nothing tells whether it was changed in place
            return forward(x)
        place = (x.untyped_storage()._cdata, x.storage_offset(), x.shape, x.stride(), x.dtype, x._version)
        if not found:
            found.append((x, place, forward(x)))
        return found[0][2].clone() if found[0][1] == place else forward(x)

    return again


class Regularizer(Base):
    wants_every_relu = False  # without one it acts before the next layer

    def __init__(self, rate: float, input: float, mode: str, where: str, samples: int):
        self.rate, self.input, self.mode, self.where, self.samples = rate, input, mode, where, samples

    def network(self, network: nn.Module) -> nn.Module:
        put: list[Dropout] = []

        def dropout(rate: float) -> Dropout:
            put.append(Dropout(rate, self.mode == "weight_scaling", self.run))
            return put[-1]

        found = [layer for layer in layers(network) if layer not in self.run.uncalled]
        if not found:
            raise InputError(
                "the network calls no linear layers or convolutions of images, which dropout is put before: drop it"
            )
        called = [m for m in self.run.calls if not isinstance(m, nn.ReLU)]
        first = called[0] if called else found[0]
        others = in_order([m for m in found if m is not first], called)
        if self.input:
            if first not in found:
                kind = type(first).__name__
                raise InputError(
                    f"dropout.input is {self.input:g}, the network's first layer is a {kind}: leave input out"
                )
            before(first, dropout(self.input))
        if self.where == "last":
            others = others[-1:]
        for layer in others if self.rate else []:
            if isinstance(layer, nn.Linear):
                relu = activation_before(network, layer)
                before(layer, dropout(self.rate)) if relu is None else after(relu, dropout(self.rate))
        if put and self.mode == "monte_carlo":
            average = MonteCarlo(put, self.samples, first if first in found and not self.input else None)
            network.register_forward_hook(average)
            if self.run.calls:  # not the package's
                network.register_forward_pre_hook(average.keep)
        return network
