"""The spec of a run on ImageNet, or of a rehearsal of one. Importing it imports no torch."""

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from rethinking import catalog
from rethinking.spec.base import Column, Positive, Seed, Spec, misended
from rethinking.spec.part import Part, canonical_corruptions
from rethinking.spec.theory import Above0

TRAIN, TEST, CLASSES = 1_281_167, 50_000, 1000  # images and classes of ImageNet, as its challenge has it
LOADERS = 12  # processes that read for each process that trains: see rethinking.imagenet.cost
LEAST_SIZE = {"inception_v3": 299, "small": 8, "small-nobn": 8}  # pixels of a side; of the auxiliary head, 299

Share = Annotated[float, Field(ge=0, lt=1)]


class ImageNetSpec(Spec):
    """A network trained on a folder of images by several processes, each of which normalizes its own part of a batch.

    Table 2 and Figure 2(a) of [zhang2017], with TensorFlow's set-up of Inception v3; what that leaves open, or what is
    another here, is a field. Batches follow one another along the epochs' permutations, so all have the same size and
    one may end an epoch and begin the next. See rethinking.imagenet.

    Each field's description says what it is.
    """

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("step", "batches trained", "batches", whole=True),
        Column("epoch", "passes over the training set", "epochs"),
        Column("learning_rate", "of the next batch", "1"),
        Column("train_loss", "mean cross-entropy over `train_images` training images, in evaluation mode", "nats"),
        Column("train_accuracy", "of the same, top-1, with the labels trained on", "fraction"),
        Column("train_top5", "of the same, top-5", "fraction"),
        Column("test_loss", "mean cross-entropy over all test images, in evaluation mode", "nats"),
        Column("test_accuracy", "of the same, top-1, with true labels", "fraction"),
        Column("test_top5", "of the same, top-5", "fraction"),
        Column(
            "online_loss", "mean cross-entropy over the training batches since the last evaluation; NaN at 0", "nats"
        ),
        Column("online_accuracy", "of the same, top-1, as they were seen: augmented, in training mode", "fraction"),
        Column("online_top5", "of the same, top-5", "fraction"),
        Column("train_images", "training images measured: evenly spaced, all of them at the end", "images", whole=True),
        Column("test_images", "test images measured", "images", whole=True),
    )

    kind: Literal["imagenet"] = "imagenet"
    data: Literal["imagenet", "rehearsal"] = Field(
        default="imagenet", description="rehearsal: any folder of that layout; never evidence."
    )
    n: Positive = Field(default=TRAIN, description="Training images that the folder has.")
    test: Positive = Field(default=TEST, description="Test images that the folder has.")
    classes: Annotated[int, Field(ge=2, le=100_000)] = Field(default=CLASSES, description="Classes that it has.")
    corruptions: tuple[Part, ...] = Field(default=(), description="Of the training labels; drawn once, by index.")
    network: Literal["inception_v3", "small", "small-nobn"] = Field(
        default="inception_v3", description="torchvision's, with its auxiliary head; small ones are for rehearsals."
    )
    image_size: Annotated[int, Field(ge=8, le=1024)] = Field(default=299, description="Pixels of a side.")
    augmentation: bool = Field(default=True, description="Random resized crop, flip and colours; else the centre.")
    centre: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.875, description="Share of each side of an image that is kept where nothing is drawn."
    )
    dropout: Share = Field(default=0.2, description="Probability that a unit before the last layer is dropped.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        default=4e-5, description="On the weights of convolutions and linear layers."
    )
    label_smoothing: Share = Field(default=0.1, description="Share of a target that is spread over all classes.")
    auxiliary: Annotated[float, Field(ge=0)] = Field(default=0.4, description="Weight of the auxiliary head's loss.")
    batch_norm_decay: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.9997, description="Of the running statistics that evaluations use."
    )
    batch_size: Positive = Field(default=256, description="Images in a batch, of all processes together.")
    processes: Positive = Field(default=8, description="Processes that share a batch, evenly.")
    learning_rate: Above0 = Field(default=0.1, description="At step 0.")
    lr_decay: Annotated[float, Field(gt=0, le=1)] = Field(default=0.16, description="Factor at each decay.")
    decay_epochs: Above0 = Field(default=30.0, description="Epochs between decays of the learning rate.")
    rms_decay: Share = Field(default=0.9, description="RMSProp's, of the mean square of the gradients.")
    momentum: Share = Field(default=0.9, description="RMSProp's.")
    epsilon: Above0 = Field(default=1.0, description="RMSProp's, added under the root.")
    steps: Positive = Field(default=450_411, description="Batches; by default those of 90 epochs.")
    eval_every: Positive = Field(default=5005, description="Steps between evaluations; by default an epoch.")
    interim_train: Positive = Field(default=TEST, description="Training images in evaluations before the last.")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="bfloat16 is autocast; weights stay float32."
    )
    data_seed: Seed = Field(default=0, description="Of the corruptions.")
    seed: Seed = Field(default=0, description="Of initial weights, order, augmentation and dropout.")

    @model_validator(mode="before")
    @classmethod
    def _from_lists(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}  # JSON has no tuples

    @model_validator(mode="after")
    def _check(self) -> "ImageNetSpec":
        object.__setattr__(self, "corruptions", canonical_corruptions(self.corruptions))
        for name in (part.name for part in self.corruptions):
            constants = catalog.find("corruptions", name).constants
            if constants["ACTS_ON"] != "labels" or constants.get("ONE_LOGIT"):
                raise ValueError(f"corruption {name} is none of class labels: give random_labels or partial_labels")
        if self.data == "imagenet" and (self.n, self.test, self.classes) != (TRAIN, TEST, CLASSES):
            raise ValueError(
                f"data is imagenet with {self.n:,} training and {self.test:,} test images of {self.classes:,} classes: "
                f"it has {TRAIN:,}, {TEST:,} and {CLASSES:,}; give data rehearsal for another folder"
            )
        if self.batch_size % self.processes:
            raise ValueError(
                f"batch_size is {self.batch_size} for {self.processes} processes: give a multiple of their number"
            )
        if self.image_size < LEAST_SIZE[self.network]:
            raise ValueError(
                f"image_size is {self.image_size}, {self.network} takes {LEAST_SIZE[self.network]} pixels and more"
            )
        return self

    def contradiction(self, result: dict[str, Any], curve: dict[str, list]) -> str | None:
        steps = curve["step"]
        ended = {"budget": steps[-1] == self.steps, "diverged": result["diverged_at"] is not None}
        return misended(result, steps, ended)

    @property
    def named(self) -> list[tuple[str, str]]:
        return [("corruptions", part.name) for part in self.corruptions]  # the data are a user's own folder

    @property
    def words(self) -> list[str]:
        parts: list[str] = [self.data, self.network]
        parts += [part.word for part in self.corruptions]
        switches = {"augmentation": self.augmentation, "dropout": self.dropout, "weight_decay": self.weight_decay}
        parts += [name for name, on in switches.items() if on]
        return [*parts, f"s{self.seed}"]

    def summary(self, row: dict[str, Any]) -> str:
        return f"top-1 {100 * row['train_accuracy']:.2f} % training, {100 * row['test_accuracy']:.2f} % test"

    @property
    def command(self) -> str:
        launcher = f"torchrun --nproc-per-node {self.processes}" if self.processes > 1 else "python"
        rest = f"IMAGENET --loaders {LOADERS}" if self.data == "imagenet" else "FOLDER"
        return f"{launcher} -m rethinking.imagenet --spec {self.run_id} --data {rest}"

    @property
    def trained(self) -> int:
        """Images in the training set."""
        return self.n

    @property
    def per_process(self) -> int:
        """Images of a batch that one process has."""
        return self.batch_size // self.processes

    def epoch_at(self, step: int) -> float:
        """Passes over the training set before the step-th batch, counted from 0."""
        return step * self.batch_size / self.n

    def rate_at(self, step: int) -> float:
        """The learning rate of the step-th batch, counted from 0."""
        return self.learning_rate * self.lr_decay ** math.floor(self.epoch_at(step) / self.decay_epochs)
