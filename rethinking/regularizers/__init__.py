"""The regularizers, one file each: a class `Regularizer` with what it does at the named seams of the training loop.

    OPTIONS = {"strength": {"type": "float", "ge": 0.0}, ...}      the first is what NAME=VALUE sets
    NULL = {"strength": 0.0}            options at which training is bit-identical to training without it
    PRACTICE = {"strength": 5e-4}       options that practice uses
    STRENGTHS = (5e-4, 5e-3, 0.05)      what dose and frontier sweep: values of the first option, rising, practice's
                                        among them; without it practice's alone
    FAMILY = "weights"                  what it acts on, one of constants.FAMILIES; without it "other"
    NEEDS = "pooling"                   what a network must have (its HAS, see rethinking.models), or a list of it
    REFUSES = ["pixels", "maxout"]      what it cannot go with: corruptions of pixels or labels, what a network has,
                                        another regularizer
    ONLY = {"samples": {"mode": "monte_carlo"}}     options that count only where another has a value

An option with "late": True came when there were runs already: at its default it is not in a spec, so it orphans none.

The seams are drawn in `rethinking.training.loop`. An option that is not in NULL or PRACTICE keeps its default there.
A regularizer has no state of its own: what it must remember is a buffer or parameter of the network, which checkpoints
hold. What it draws in training comes from the run's generator, at its null it draws nothing, and at evaluation nothing
is random, or keyed.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.spec import Part, check_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Generator, Tensor, nn

__path__ += catalog.plugin_folders("regularizers")

Groups = list[dict[str, Any]]


def no_batch() -> "Tensor":
    """The loss where there is no batch. Raises InputError."""
    raise InputError("a regularizer asks for the loss outside of `gradient`, where there is no batch: mend it")


@dataclass
class Run:
    """What a regularizer may know of the run it is in.

    Attributes:
        num_classes: of the data set. generator: the run's, on the device; checkpoints hold its state.
        momentum: of SGD. margin: pixels by which the data set's images exceed those that are trained on.
        initial_weights: of the spec: glorot, he or lecun.
        step: batches trained before this one. rate: this batch's learning rate.
        calls: while a network that is not the package's is built, its layers and ReLUs in the order in which
        evaluation calls them, as of `rethinking.surgery.called`; empty where that is not known. uncalled: likewise
        those of its modules that neither training nor evaluation calls, so that what is put before or after them would
        do nothing.
        loss: within `gradient` alone, computes the loss of the present batch again, a scalar, at the weights as they
        then are: in the run's precision, with every penalty, and with new draws where layers draw; norms that keep
        running averages move them once more.
    """

    num_classes: int
    generator: "Generator"
    momentum: float = 0.0
    margin: int = 4
    initial_weights: str = "glorot"
    step: int = 0
    rate: float = 0.0
    calls: "Sequence[nn.Module]" = ()
    uncalled: "Sequence[nn.Module]" = ()
    loss: "Callable[[], Tensor]" = no_batch


class Base:
    """A regularizer that does nothing; the seams that are not overridden stay so.

    Attributes:
        wants_originals: `batch` is given float images of the data set's own size in units of a byte, before those of
            all others; between the two the trainer crops what is still too large to the centre, and whitens.
        wants_every_relu: where it acts at a ReLU, a network that has others which are no modules is refused.
        run: set before the first seam, and kept up to date.
    """

    wants_originals = False
    wants_every_relu = True
    run: Run

    def network(self, network: "nn.Module") -> "nn.Module":
        """The network with layers replaced or added, before its weights are drawn. Parameters keep their names.

        Raises:
            InputError: a network that cannot carry it.
        """
        return network

    def parameters(self, network: "nn.Module", groups: Groups) -> Groups:
        """The optimizer's parameter groups (as torch.optim.SGD takes them), from those so far."""
        return groups

    def batch(self, images: "Tensor", labels: "Tensor", generator: "Generator") -> tuple["Tensor", "Tensor"]:
        """A training batch, changed. images: float (B, C, H, W), whitened unless `wants_originals`.

        labels: int64 (B,) or float (B, classes). generator: the run's, on the device.
        """
        return images, labels

    def penalty(self, network: "nn.Module") -> "Tensor | None":
        """A scalar added to the loss, or None."""
        return None

    def gradient(self, network: "nn.Module") -> None:
        """Change the gradients in place, before the step; `self.run.loss` gives the batch's loss at other weights."""

    def after_step(self, network: "nn.Module") -> None:
        """Change the weights in place, after the step."""


def build(part: Part, run: Run | None = None) -> Base:
    """The regularizer named by a spec's part, in `run`.

    Raises:
        InputError: an unknown name, options out of range.
    """
    options = check_options("regularizers", part.name, part.options)
    regularizer = catalog.load("regularizers", part.name).Regularizer(**options)
    if run is not None:
        regularizer.run = run
    return regularizer


def distribution(labels: "Tensor", num_classes: int) -> "Tensor":
    """Labels as float32 (B, classes), rows summing to 1. labels: int64 (B,), or already such."""
    import torch.nn.functional as F

    return F.one_hot(labels, num_classes).float() if labels.ndim == 1 else labels
