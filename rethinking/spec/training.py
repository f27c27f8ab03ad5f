"""The spec of a training run."""

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.spec.base import Column, ImagesSpec, Positive, Seed, misended
from rethinking.spec.cropping import canonical_crop, image_size
from rethinking.spec.part import (
    Part,
    canonical_corruptions,
    canonical_regularizers,
    changed_options,
    check_parts,
    check_signs,
)

if TYPE_CHECKING:
    import numpy as np

EPOCH = 391  # steps of batch 128 in one pass over CIFAR-10's 50,000 images: the paper's unit of schedule
FITTED = 0.99  # training accuracy that counts as fitted, not 1: the paper's MLP 1x512 ends at 99.34 % on random labels
PROBE = 2000  # training images of an evaluation between whole ones
STATISTICS = 10_000  # training images that batch-norm statistics are measured on, at most
IMAGES = "images"
# Types that may be, and sides, of the arrays that `keep` names, as rethinking.training.keep makes them; None for any.
KEPT: dict[str, tuple[Any, ...]] = {
    "test_logits": (("float16",), IMAGES, None),
    "crop_logits": (("float16",), 5, IMAGES, None),
    "test_labels": (("uint8", "uint16"), IMAGES),
    "quantiles": (("float32",), None),
    "zeros": (("int64",), 2),
}


class RunSpec(ImagesSpec):
    """A training run: everything that determines its result.

    partial_labels with p = 1 becomes random_labels, with p = 0 no corruption; a regularizer at its null is left out.

    Each field's description is the help text of its option of `rethinking run`.
    """

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("step", "batches trained", "batches", whole=True),
        Column("epoch", "passes over the training set", "epochs"),
        Column("learning_rate", "of the next batch", "1"),
        Column("train_loss", "mean over the training set with its corruption, in evaluation mode", "nats"),
        Column("train_accuracy", "of the same", "fraction"),
        Column("test_loss", "mean over the first `test_images` test images, in evaluation mode", "nats"),
        Column("test_accuracy", "of the same", "fraction"),
        Column("test_images", "how many test images were measured, the first ones", "images", whole=True),
        Column(
            "online_loss",
            "mean over the training batches since the last evaluation as they were seen, augmented and in training "
            "mode; NaN at step 0",
            "nats",
        ),
        Column("online_accuracy", "of the same; soft labels count as their likeliest class", "fraction"),
        Column("held_out_loss", "mean over the images held out, whose labels are corrupted like the rest", "nats"),
        Column("held_out_accuracy", "of the same", "fraction"),
        Column(
            "train_images",
            "how many training images train_loss and train_accuracy are over, the first ones",
            "images",
            whole=True,
        ),
    )

    corruptions: tuple[Part, ...] = Field(
        default=(), description="Applied once before training, those of pixels first; as partial_labels=0.5."
    )
    test_labels: Literal["true", "corrupted"] = Field(
        default="true", description="corrupted: as the training labels are."
    )
    model: str = Field(default="inception", description="Network, with its options, as mlp-1x512,width=64.")
    model_options: dict[str, float | int | bool | str] = Field(
        default={}, description="Of those that the network's file declares, where they differ from its own."
    )
    regularizers: tuple[Part, ...] = Field(default=(), description="In the order given, as weight_decay=5e-4.")
    held_out: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="The last so many of the n images, corrupted like the rest, are not trained on but measured.",
    )
    bootstrap: bool = Field(
        default=False, description="Train on as many draws with replacement, by the seed, from the training images."
    )
    batch_size: Positive = Field(default=128, description="Examples in a batch.")
    learning_rate: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Learning rate at step 0; by default the paper's for the network."
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.9, description="Of SGD, below 1.")
    lr_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.95, description="Factor on the learning rate at each decay, in (0, 1]."
    )
    decay_every: Positive = Field(default=EPOCH, description="Steps between decays of the learning rate.")
    steps: Positive = Field(default=64 * EPOCH, description="Budget in batches.")
    stop: Literal["fitted", "budget"] = Field(
        default="budget", description="fitted ends the run when an evaluation finds every training example right."
    )
    eval_every: Positive = Field(default=EPOCH, description="Steps between evaluations.")
    interim_test: Positive = Field(default=2000, description="Test images in evaluations before the last.")
    evaluation: Literal["all", "probe"] = Field(
        default="all",
        description="probe measures 2,000 training images at each, and all where the fit is near.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="bfloat16 is autocast; weights stay float32."
    )
    keep: tuple[Literal["test_logits", "crop_logits", "weight_quantiles"], ...] = Field(
        default=(),
        description="Arrays that the record holds: test_logits, of the first 2,000 test images; crop_logits, of five "
        "crops of each; weight_quantiles, 1,001 of every weight matrix, and its zeros.",
    )
    data_seed: Seed = Field(default=0, description="Of the corruptions.")
    seed: Seed = Field(default=0, description="Of initial weights, batch order and everything else in training.")
    crop: Positive | None = Field(
        default=None,
        description="Side of the centre square that is kept of each image; by default CIFAR-10's 28, else all.",
    )
    stop_loss: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Ends the run when the mean cross-entropy of all training examples is this or less."
    )
    initial_weights: Literal["glorot", "he", "lecun"] = Field(
        default="glorot",
        description="Uniform; glorot: variance 2 / (fan_in + fan_out), he: 2 / fan_in, lecun: 1 / fan_in. For the "
        "package's networks; one of your own keeps the weights that it has.",
    )

    @model_validator(mode="before")
    @classmethod
    def _resolve_rate(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        model = given.get("model", "inception")
        if isinstance(model, str) and given.get("learning_rate") is None:
            paper = catalog.find("models", model).constants.get("PAPER", {})
            given = given | {"learning_rate": paper.get("learning_rate", 0.01)}
        return given

    @model_validator(mode="after")
    def _check(self) -> "RunSpec":
        network = self._entry()
        object.__setattr__(self, "model_options", changed_options(network, self.model_options))
        object.__setattr__(self, "keep", tuple(sorted(set(self.keep))))
        self._check_crop()
        assert self.n is not None
        if self.held_out >= self.n:
            raise ValueError(f"held_out is {self.held_out} of n = {self.n}: give 0 to {self.n - 1}")
        object.__setattr__(self, "corruptions", canonical_corruptions(self.corruptions))
        object.__setattr__(self, "regularizers", canonical_regularizers(self.regularizers))
        check_signs(self.corruptions, self.test_labels)
        if not any(catalog.find("corruptions", c.name).constants["ACTS_ON"] == "labels" for c in self.corruptions):
            object.__setattr__(self, "test_labels", "true")  # nothing corrupts them
        acts = {catalog.find("corruptions", c.name).constants["ACTS_ON"]: c.name for c in self.corruptions}
        if "crop_logits" in self.keep and "pixels" in acts:
            raise ValueError(f"keep is crop_logits: {acts['pixels']} is of the centre crop alone: drop one of them")
        check_parts(self.regularizers, self.corruptions, self.model, network.constants.get("HAS"))
        return self

    def _check_crop(self) -> None:
        object.__setattr__(self, "crop", canonical_crop(self.data, self.crop))
        height, width = image_size(self.data, self.crop)
        if height != width:
            raise ValueError(
                f"the images of {self.data} are of {height} x {width} pixels, the networks take squares: give --crop "
                f"{min(height, width)}"
            )

    def _entry(self) -> catalog.Entry:
        """The network's file."""
        return catalog.find("models", self.model)

    @property
    def described(self) -> tuple[Column, ...]:
        absent = {"train_images"} if self.evaluation == "all" else set()
        absent |= set() if self.held_out else {"held_out_loss", "held_out_accuracy"}
        return tuple(column for column in super().described if column.name not in absent)

    @property
    def kept(self) -> tuple[str, ...]:
        return self.keep

    def misfit(self, arrays: "dict[str, np.ndarray]") -> str | None:
        weights = {name for name in arrays if name.startswith(("quantiles/", "zeros/"))}
        logits = set(self.keep) - {"weight_quantiles"}
        if arrays.keys() - weights != logits | ({"test_labels"} if logits else set()):
            return f"it holds {', '.join(sorted(arrays)) or 'none'}, and keep is {', '.join(self.keep) or 'none'}"
        if bool(weights) != ("weight_quantiles" in self.keep):
            return f"it holds {len(weights)} arrays of weights, and keep is {', '.join(self.keep)}"
        images = arrays["test_labels"].size if logits else 0
        for name, array in arrays.items():
            dtype, *sides = KEPT[name.partition("/")[0]]
            shape = [images if side == IMAGES else side for side in sides]
            known = [side if side is not None else own for side, own in zip(shape, array.shape, strict=False)]
            if str(array.dtype) not in dtype or array.ndim != len(shape) or list(array.shape) != known:
                return f"{name} is {array.dtype} {array.shape}"
        return None

    def contradiction(self, result: dict[str, Any], curve: dict[str, list]) -> str | None:
        steps = curve["step"]
        ended = {
            "fitted": self.stop == "fitted" and curve["train_accuracy"][-1] == 1.0,
            "stopped": self.stop_loss is not None and curve["train_loss"][-1] <= self.stop_loss,
            "budget": steps[-1] == self.steps,
            "diverged": result["diverged_at"] is not None,
        }
        return misended(result, steps, ended)

    @property
    def named(self) -> list[tuple[str, str]]:
        parts = [(kind, p.name) for kind in ("corruptions", "regularizers") for p in getattr(self, kind)]
        return [*super().named, ("models", self.model), *parts]

    @property
    def words(self) -> list[str]:
        parts = [self.data, str(self.n), self.model, *(f"{k}-{v}" for k, v in self.model_options.items())]
        parts += [part.word for part in (*self.corruptions, *self.regularizers)]
        return [*parts, *([f"crop{self.crop}"] if self.crop else []), f"s{self.seed}"]

    def summary(self, row: dict[str, Any]) -> str:
        train, test = ("-" if v is None else f"{100 * v:.1f} %" for v in (row["train_accuracy"], row["test_accuracy"]))
        return f"training accuracy {train}, test accuracy {test}"

    @property
    def epoch_steps(self) -> int:
        """Steps in one pass over this run's training set."""
        return math.ceil(self.trained / self.batch_size)

    @property
    def trained(self) -> int:
        """Examples in this run's training set."""
        assert self.n is not None
        return self.n - self.held_out

    def rate_at(self, step: int) -> float:
        """The learning rate of the step-th batch, counted from 0."""
        assert self.learning_rate is not None
        return self.learning_rate * self.lr_decay ** (step // self.decay_every)


def check_several(spec: RunSpec) -> None:
    """Raise InputError where a run has one example to train on."""
    if spec.trained < 2:
        held = f" and held_out {spec.held_out}" * bool(spec.held_out)
        raise InputError(f"n is {spec.n}{held}, so there is nothing to tell apart: train on 2 examples or more")
