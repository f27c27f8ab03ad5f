"""What a figure is of: the paper's data, or somebody's own, with its sizes, its words and its chance level."""

import math
from dataclasses import dataclass
from typing import Any

from rethinking import catalog
from rethinking.spec import image_size

CIFAR10 = "cifar10"
FULL = 50_000  # its training images
WORDS = {CIFAR10: "CIFAR-10", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
BALANCED = 1.5  # times chance: a larger class of the test set makes chance no single number


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
        """What guessing one of its classes gives, whatever their shares, in %."""
        return round(100 / len(self._constants["CLASSES"]), 1)

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
        """The share of the largest class in the test set, in %; chance where it is not known."""
        return 100 * self._constants.get("LARGEST_CLASS", {"test": self.chance / 100})["test"]

    @property
    def balanced(self) -> bool:
        """Whether its classes are alike enough for chance to be one number."""
        return self.largest <= BALANCED * self.chance

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
        return round(max(self.chance, self.largest), 1)

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
        if self.learned == 2 * base:
            return "twice chance"
        guessing = f"{base:g} %, {'chance' if base == self.chance else 'the share of the largest class'}"
        if self.learned > base + (100 - base) / 9 + 0.1:
            return f"three standard errors of {self.test:,} test images above {guessing}"
        return f"a ninth of the way from {guessing}, to 100 %"

    @property
    def facts(self) -> str:
        """The set in a phrase."""
        height, width = self._constants["SHAPE"][:2]
        channels = self._constants["SHAPE"][2] if len(self._constants["SHAPE"]) > 2 else 1
        colour = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
        cut = f", of which the centre {self.size[0]} x {self.size[1]} is seen" if self.size != (height, width) else ""
        return (
            f"{self.name}: {self.full:,} training and {self.test:,} test images, {height} x {width} pixels{cut}, "
            f"{colour}, {len(self._constants['CLASSES'])} classes"
        )
