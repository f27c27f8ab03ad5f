"""What Table 2 and Figure 2(a) share: the rows, their runs on ImageNet, what they depart in."""

from dataclasses import dataclass
from typing import Any

from rethinking.figures import Setting
from rethinking.figures.kit import Frame, Measure, final, listed
from rethinking.record import Record
from rethinking.spec import ImageNetSpec, Part
from rethinking.spec.imagenet import TRAIN as ALL


@dataclass(frozen=True)
class Row:
    """A row of the paper's Table 2; accuracies in %, top-1 and top-5."""

    random: bool
    augmentation: bool
    dropout: bool
    decay: bool
    train: float
    train5: float
    test: float
    test5: float

    @property
    def name(self) -> str:
        """A key in words: "random labels, dropout, weight decay"."""
        on = {"augmentation": self.augmentation, "dropout": self.dropout, "weight decay": self.decay}
        parts = [word for word, given in on.items() if given] or ["no regularizer"]
        return ", ".join(["random labels"] * self.random + parts)

    @property
    def regularizers(self) -> str:
        """In a sentence: "with dropout and weight decay", "without a regularizer"."""
        name = self.name.removeprefix("random labels, ")
        return "without a regularizer" if name == "no regularizer" else f"with {listed(name.split(', '))}"


ROWS = [
    Row(False, True, True, True, 92.18, 99.21, 77.84, 93.92),
    Row(False, True, False, False, 92.33, 99.17, 72.95, 90.43),
    Row(False, False, False, True, 90.60, 100.0, 67.18, 86.44),
    Row(False, False, False, False, 99.53, 100.0, 59.80, 80.38),
    Row(True, False, True, True, 91.18, 97.95, 0.09, 0.49),
    Row(True, False, False, True, 87.81, 96.15, 0.12, 0.50),
    Row(True, False, False, False, 95.20, 99.14, 0.11, 0.56),
]
BY_NAME = {row.name: row for row in ROWS}
REGULARIZED, AUGMENTED, DECAYED, PLAIN = (row.name for row in ROWS[:4])
# Test accuracy at its best along the run, where the paper gives it, in %: top-1, and top-5.
BEST, BEST5 = {DECAYED: 72.57, PLAIN: 63.16}, {DECAYED: 91.31, PLAIN: 84.49}

# A rehearsal: it shows that the whole path works, and says nothing about ImageNet.
REHEARSAL: dict[str, Any] = {"data": "rehearsal", "n": 200, "test": 100, "classes": 10, "network": "small"}
REHEARSAL |= {"image_size": 24, "batch_size": 20, "processes": 2, "steps": 100, "eval_every": 10}
REHEARSAL |= {"batch_norm_decay": 0.9}


def spec(setting: Setting, seed: int, row: str) -> ImageNetSpec:
    """The run of a row: at scale quick a rehearsal, else the real thing."""
    asked = BY_NAME[row]
    fields: dict[str, Any] = {"augmentation": asked.augmentation, "seed": seed, "data_seed": seed}
    fields |= {} if asked.dropout else {"dropout": 0.0}
    fields |= {} if asked.decay else {"weight_decay": 0.0}
    if asked.random:
        fields["corruptions"] = (Part(name="random_labels"),)
    return ImageNetSpec.make(**fields, **(REHEARSAL if setting.scale == "quick" else {"precision": "bfloat16"}))


def heading(setting: Setting) -> str:
    """What stands above the panels."""
    if setting.scale == "quick":
        return f"REHEARSAL of a small network on {REHEARSAL['n']} small images: no evidence"
    return f"ImageNet, Inception v3, all {ALL:,} images, 1 seed"


def rehearsed(t: Frame) -> str:
    """What a figure finds in rehearsals; nothing of others."""
    return "A rehearsal, which finds nothing about ImageNet" if t.data["n"].max() < ALL else ""


def _best(record: Record) -> float:
    return 100 * max(record.curve["test_accuracy"])


TRAIN, TEST = (
    final("train_accuracy", "training accuracy, top-1 (%)"),
    final("test_accuracy", "test accuracy, top-1 (%)"),
)
TRAIN5, TEST5 = final("train_top5", "training accuracy, top-5 (%)"), final("test_top5", "test accuracy, top-5 (%)")
BEST_TEST = Measure("best_test", "best test accuracy, top-1 (%)", _best)
BEST_TEST5 = Measure("best_test5", "best test accuracy, top-5 (%)", lambda r: 100 * max(r.curve["test_top5"]))
GAIN = Measure("gain", "gain of early stopping (points)", lambda r: _best(r) - 100 * r.final["test_accuracy"])

DEPARTURES = [
    "Synchronous training: 8 processes with 32 images each take every step together, where the paper's 50 workers are "
    "asynchronous. The learning rate is 0.1, times 0.16 every 30 epochs, for 90 epochs; the paper gives neither a rate "
    "nor a length.",
    "The set-up is that of TensorFlow's own package, from memory: RMSProp with decay 0.9, momentum 0.9, epsilon 1 "
    "under the root and a mean square that begins at 1; label smoothing 0.1 and the auxiliary head, weight 0.4, in "
    "every row; weight decay 4e-5 on the weights of convolutions and linear layers; dropout that keeps 0.8. "
    "Evaluations use the weights themselves, not a moving average of them.",
    "The network is torchvision's Inception v3 with its initialisation, 27,161,264 trained numbers with the auxiliary "
    "head; its batch norms have a scale beside the offset.",
    "Batch norm normalizes the 32 images of each process by themselves, with epsilon 0.001; its running statistics "
    "have decay 0.9997 and are the mean over the processes.",
    "Augmentation, from memory: a random part of 5 to 100 % of an image, flipped half of the time, with other "
    "brightness, saturation, hue and contrast. Without it, and in evaluations, the central 87.5 % of each side. Parts "
    "are scaled by bilinear interpolation with antialiasing, which the paper does not tell.",
    "Training accuracy is measured in evaluation mode without augmentation, along the run on 50,000 images evenly "
    "spaced, at the end on all; the paper does not say how. One seed, in bfloat16 autocast.",
    "cpu: the runs of paper. quick: a rehearsal of a small network on a folder of 200 small images, no evidence.",
]
