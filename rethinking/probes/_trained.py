"""A trained network and the data of its run, as a probe is given them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.images import ImageSet, Split
from rethinking.layers import relu_before_pool
from rethinking.regularizers.dropout import averages_over_masks
from rethinking.spec import RunSpec
from rethinking.surgery import Bare, activations, called
from rethinking.training import Training
from rethinking.training.batches import cropped, trained_on
from rethinking.training.network import give
from rethinking.training.rows import Rows


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

    def relus(self) -> list[nn.ReLU]:
        """The ReLUs behind layers, in order of definition: what they give are the network's units.

        A ReLU before a max-pooling stands there from then on: training has the two the other way round, which is
        faster and gives the same logits, but a feature map is a unit before it is pooled.

        Raises InputError where there is none, where torch.relu is called, whose units would be left out, and where an
        evaluation averages over masks, each of which drops other units.
        """
        if averages_over_masks(self.network):
            raise InputError(
                f"{self.spec.run_id} is evaluated as a mean over masks, each of which drops other units: measure a run "
                "of dropout with mode=inverted"
            )
        relu_before_pool(self.network)
        found = [relu for _, relu in activations(self.network)]
        if not found or any(isinstance(m, Bare) for m in called(self.network, self.train[0][:2])):
            what = "calls torch.relu beside nn.ReLU" if found else "has no nn.ReLU behind a layer"
            raise InputError(f"{self.spec.model} {what}, and units are what such modules give: build it with nn.ReLU")
        return found

    def pixels(self, split: str, count: int) -> Tensor:
        """The first images of a split before they are whitened, cropped and corrupted as the run's were.

        Args:
            split: "train" or "test". count: of images, at most; as many as there are.

        Returns:
            float32 (N, H, W, C) in units of a byte, on the CPU, of the same images as the first of `train` or `test`.
        """
        index = self._places(split, count)
        found, _ = cropped(self.images, self.spec, split, int(index.max()) + 1)
        return torch.from_numpy(found[index.numpy()]).float()

    def true_labels(self, split: str, count: int) -> Tensor:
        """The labels of the same images as they are on disk, before any corruption: int64 (N,), on the CPU."""
        source: Split = getattr(self.images, split)
        return torch.from_numpy(source.labels[self._places(split, count).numpy()]).long()

    def originals(self, split: str, count: int) -> Tensor:
        """The same images as they are on disk, uncropped: uint8 (N, H, W, C), on the CPU.

        Raises InputError where the run corrupts pixels, which it does in the crop alone.
        """
        for part in self.spec.corruptions:
            if catalog.find("corruptions", part.name).constants["ACTS_ON"] == "pixels":
                raise InputError(
                    f"{part.name} is of the centre crop alone, which has no pixels around it: measure a run without it"
                )
        source: Split = getattr(self.images, split)
        return torch.from_numpy(source.images[self._places(split, count).numpy()])

    def _places(self, split: str, count: int) -> Tensor:
        """int64 (N,): where the first images of a split are in the data set."""
        index = trained_on(self.spec) if split == "train" else torch.arange(len(self.images.test.labels))
        return index[:count]


def judged(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """The mean cross-entropy, in nats, and the accuracy of logits (N, classes) with labels (N,)."""
    loss = F.cross_entropy(logits, labels, reduction="none").double().mean().item()
    return loss, (logits.argmax(1) == labels).double().mean().item()


def trained(
    spec: RunSpec, images: ImageSet, weights: dict[str, Tensor], device: str, on_part: Callable[[], None] = lambda: None
) -> Trained:
    """The network of a run with its weights.

    Args:
        weights: of the network by name, as its run ended with them. on_part: see Trained.

    Raises:
        InputError: as `Training` does; weights of another network.
    """
    training = Training(spec, images, device)
    train, test = training.train_images, training.test_images
    if isinstance(train, Rows) or isinstance(test, Rows):
        least = "--crop" if isinstance(test, Rows) else "--n or --crop"  # all test images are held, whatever n is
        raise InputError(
            f"a probe holds the images of {spec.data} in memory, which are too many: probe a run with a smaller {least}"
        )
    give(training.network, weights, f"the file of weights of {spec.run_id}")
    training.network.eval()
    training._on_part = on_part
    return Trained(
        spec,
        training.network,
        (train, training.train_labels),
        (test, training.test_labels),
        images,
        training.run.num_classes,
        on_part,
        training,
    )
