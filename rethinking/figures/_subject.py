"""What a figure is of: the paper's data, or somebody's own, with its sizes, its words and its chance level."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rethinking import catalog
from rethinking.claims import exact, rounded
from rethinking.constants import BALANCED
from rethinking.spec import RunSpec, Spec, image_size

CIFAR10 = "cifar10"
FULL = 50_000  # its training images
WORDS = {CIFAR10: "CIFAR-10", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}


def percent(share: float, digits: int = 1) -> float:
    """A share above 0, in %, to so many decimals, but below 1 % to two significant digits."""
    return rounded(share, digits if share >= 1 else 1 - math.floor(math.log10(share)))


@dataclass(frozen=True)
class Subject:
    """The data set that a figure is of.

    Attributes:
        data: its name. crop: as in a spec, canonical.
    """

    data: str = CIFAR10
    crop: int | None = None

    @property
    def papers(self) -> bool:
        """Whether it is the paper's: CIFAR-10, cut as there."""
        return self == Subject()

    @property
    def _constants(self) -> dict[str, Any]:
        return catalog.find("data", self.data).constants

    @property
    def name(self) -> str:
        """What it is called in pictures and tables, with the crop where one was asked for."""
        name = WORDS.get(self.data, self.data)
        return name if self.crop is None else f"{name}, the centre {self.crop} x {self.crop}"

    @property
    def full(self) -> int:
        """Its training images."""
        return self._constants["SIZES"]["train"]

    @property
    def test(self) -> int:
        """Its test images."""
        return self._constants["SIZES"]["test"]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that networks see, pixels."""
        return image_size(self.data, self.crop)

    @property
    def cropped(self) -> bool:
        """Whether networks see less than the whole of an image."""
        return self.size != tuple(self._constants["SHAPE"][:2])

    @property
    def chance(self) -> float:
        """What guessing one of its classes gives, whatever their shares, in %, as it is shown."""
        return percent(self._equal)

    @property
    def _equal(self) -> float:
        """The same to the last digit: each class's share where all are alike."""
        return 100 / len(self._constants["CLASSES"])

    def _error(self, share: float) -> float:
        """Three standard errors of an accuracy of `share` %, on so many test images, but at least 2: points."""
        p = share / 100
        return max(2.0, math.ceil(30 * 100 * math.sqrt(p * (1 - p) / self.test)) / 10)

    @property
    def tolerance(self) -> float:
        """Points within which an accuracy is at chance: 2, or three standard errors of so many test images."""
        return self._error(self.chance)

    @property
    def largest(self) -> float:
        """The share of the largest class in the test set, in %; an equal share where it is not known."""
        return 100 * self._constants["LARGEST_CLASS"]["test"] if self.counted else self._equal

    @property
    def counted(self) -> bool:
        """Whether the share of the largest class is known."""
        return "LARGEST_CLASS" in self._constants

    @property
    def balanced(self) -> bool:
        """Whether its classes are alike enough for chance to be one number."""
        return exact(self.largest - BALANCED * self._equal) <= 0

    @property
    def tells(self) -> bool:
        """Whether the test images suffice to tell what is at chance, and what is learned, from all else."""
        return self.tolerance <= (100 - self.chance) / 2 and self.learned <= 100

    @property
    def too_few(self) -> str:
        """Why they do not."""
        return f"{self.test:,} test images are too few to tell what is learned from guessing, {self._guessing:g} %"

    @property
    def within(self) -> str:
        """Of the rule that an accuracy is at chance: how near."""
        why = f", three standard errors of {self.test:,} test images," if self.tolerance > 2 else ""
        return f"within {self.tolerance:g} points{why}"

    @property
    def _guessing(self) -> float:
        """What is reached without learning anything, in %: chance, or the share of the largest class."""
        return percent(max(self._equal, self.largest))

    @property
    def learned(self) -> float:
        """The test accuracy, in %, from which on something was learned: a ninth of the way from guessing to 100.

        On few test images further, so that what is learned is never at chance.
        """
        base = self._guessing
        return round(max(base + (100 - base) / 9, base + self._error(base) + 0.1), 1)

    @property
    def learned_words(self) -> str:
        """The same in words."""
        base = self._guessing
        if self.learned == 2 * self.chance:
            return "twice chance"
        guessing = f"{base:g} %, {'chance' if base == self.chance else 'the share of the largest class'}"
        if self.learned > base + (100 - base) / 9 + 0.1:
            return f"three standard errors of {self.test:,} test images above {guessing}"
        return f"a ninth of the way from {guessing}, to 100 %"

    @property
    def facts(self) -> str:
        """The set in a phrase."""
        height, width, channels = self._constants["SHAPE"]
        colour = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
        cut = f", of which the centre {self.size[0]} x {self.size[1]} is seen" if self.size != (height, width) else ""
        return (
            f"{self.name}: {self.full:,} training and {self.test:,} test images, {height} x {width} pixels{cut}, "
            f"{colour}, {len(self._constants['CLASSES'])} classes"
        )


def terms(subject: Subject, wanted: Sequence[Spec]) -> list[str]:
    """How the runs of other data are made: what stands where a figure of the paper's data lists its departures."""

    def between(values: Iterable[float]) -> str:
        each = sorted(set(values))
        return f"{each[0]:,}" if len(each) == 1 else f"{each[0]:,} to {each[-1]:,}"

    runs = [spec for spec in wanted if isinstance(spec, RunSpec)]
    epochs = between(round(s.steps / s.epoch_steps) for s in runs)
    trained = [(s.n or 0) - s.held_out for s in runs]
    images, batches = between(trained), between(min(s.batch_size, n) for s, n in zip(runs, trained, strict=True))
    held = f", {between(s.held_out for s in runs)} more held out," if any(s.held_out for s in runs) else ""
    early = ", or when every training example is right" if all(s.stop == "fitted" for s in runs) else ""
    largest = f"; the largest class has {percent(subject.largest, 2):g} % of the test images" if subject.counted else ""
    return [
        f"{subject.facts}.",
        "Each image is whitened by itself; corruptions are drawn once, before that.",
        f"A run trains on {images} images{held} in batches of {batches}, and ends after {epochs} epochs{early}. SGD "
        f"with momentum, whose learning rate falls by 5 % every {between(s.decay_every for s in runs)} steps. Fitted "
        "means 99 % training accuracy at some evaluation.",
        f"Chance is {subject.chance:g} %, a class guessed at random{largest}.",
    ]
