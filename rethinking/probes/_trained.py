"""A trained network and the data of its run, as a probe is given them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rethinking.images import ImageSet
from rethinking.spec import RunSpec
from rethinking.training import Training


@dataclass(frozen=True)
class Trained:
    """A network in evaluation mode, with the weights that its run ended with, and the run's data on the device.

    Attributes:
        spec: of the run. network: maps images to logits; a probe that changes it works on a copy.
        train, test: images float32 (N, C, H, W), whitened, and labels int64 (N,), corrupted as the run's were; those
        held out are in neither. images: the data set as it is on disk. num_classes: of the labels.
        on_part: to be called every second or so by what takes longer; what it raises ends the probe.
    """

    spec: RunSpec
    network: nn.Module
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    images: ImageSet
    num_classes: int
    on_part: Callable[[], None]
    _training: Training

    @property
    def device(self) -> torch.device:
        """That the network and the data are on."""
        return self._training.device

    def logits(self, images: Tensor) -> Tensor:
        """float32 (N, classes) for whitened images (N, C, H, W), in the precision of the run."""
        return self._training.logits(images)

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """The share of images whose likeliest class is their label."""
        return (self.logits(images).argmax(1) == labels).double().mean().item()


def trained(
    spec: RunSpec, images: ImageSet, weights: dict[str, Tensor], device: str, on_part: Callable[[], None] = lambda: None
) -> Trained:
    """The network of a run with its weights.

    Args:
        weights: of the network by name, as its run ended with them. on_part: see Trained.

    Raises:
        InputError: as `Training` does.
    """
    training = Training(spec, images, device)
    training.network.load_state_dict(weights)
    training.network.eval()
    training._on_part = on_part
    return Trained(
        spec,
        training.network,
        (training.train_images, training.train_labels),
        (training.test_images, training.test_labels),
        images,
        training.run.num_classes,
        on_part,
        training,
    )
