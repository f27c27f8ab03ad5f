"""The regularizers, one file each: a class `Regularizer` with what it does at the named seams of the training loop.

    OPTIONS = {"strength": {"type": "float", "ge": 0.0}, ...}      the first is what NAME=VALUE sets
    NULL = {"strength": 0.0}            options at which training is bit-identical to training without it
    PRACTICE = {"strength": 5e-4}       options that practice uses
    REFUSES = "pixels"                  where it cannot go with a corruption of pixels

The seams are drawn in `rethinking.training.loop`.
"""

from typing import TYPE_CHECKING, Any

from rethinking import catalog
from rethinking.spec import Part, check_options

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

__path__ += catalog.plugin_folders("regularizers")

Groups = list[dict[str, Any]]


class Base:
    """A regularizer that does nothing; the seams that are not overridden stay so.

    Attributes:
        wants_originals: `batch` is given float images of the data set's own size in units of a byte, and the trainer
            crops what is still too large to the centre and whitens, after all regularizers.
    """

    wants_originals = False

    def network(self, network: "nn.Module") -> "nn.Module":
        """The network with layers replaced or added. Parameters that stay keep their names."""
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
        """Change the gradients in place, before the step."""

    def after_step(self, network: "nn.Module") -> None:
        """Change the weights in place, after the step."""


def build(part: Part) -> Base:
    """The regularizer named by a spec's part. Raises InputError for unknown names and options out of range."""
    options = check_options("regularizers", part.name, part.options)
    return catalog.load("regularizers", part.name).Regularizer(**options)
