"""Table 1: five networks on CIFAR-10, with and without random crop and weight decay, on true and random labels.

[zhang2017] Table 1: training and test accuracy of 19 rows.

    rethinking figure table1                   reduced; `rethinking plan` says how long
    rethinking figure table1 --scale cpu       MLPs and AlexNet on all 50,000 images, Inception reduced: hours
    rethinking figure table1 --scale paper     the paper's sizes, for a GPU
"""

from dataclasses import dataclass
from typing import Any

from rethinking.claims import floored, rounded
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import (
    BUDGET,
    DECAYED,
    NO_GAIN,
    UNSTATED,
    WEIGHT_DECAY,
    decay,
    labels,
    least_seeds,
    no_gain,
)
from rethinking.figures._score import Score
from rethinking.figures.kit import Bound, Claim, Frame, Grid, Rows, Table, bounded, final, gain, listed
from rethinking.spec import Part, RunSpec

CAPTION = "Training and test accuracy of every row of Table 1; paper hollow, ours filled, one point per seed."
THEIRS = (
    "All five networks fit true and random labels, to at least 99.34 %. Test accuracy goes from 50.51 to 85.75 % "
    "without a regularizer, up to 89.31 % with one, and is at chance with random labels."
)
DEPARTURES = [
    DECAYED,
    UNSTATED,
    BUDGET,
    "The margins of test accuracy are wider than the differences between some rows of a network: that a row is met "
    "does not tell which regularizer was on. Figure effects judges the differences.",
    "Training accuracy of rows with random crop is of the centre crops. It must be 99 %, and 99.9 % for random "
    "labels of MLP 3x512, of which the paper says 100.",
    "The gain of early stopping is between evaluations before the last, on the first 2,000 test images (quick: 250): "
    "there one standard error of an accuracy of 50 % is 1.1 points. The test accuracies of the rows are of all 10,000. "
    "On all training images AlexNet is evaluated every fifth epoch, the other networks every epoch.",
    "At scale quick, and at cpu for Inception, runs are on fewer images.",
]


@dataclass(frozen=True)
class Row:
    """A row of the paper's table; accuracies in %."""

    network: str
    crop: bool
    decay: bool
    random: bool
    train: float
    test: float

    @property
    def name(self) -> str:
        """A key in words: "inception, random crop, weight decay"."""
        parts = [(self.random, "random labels"), (self.crop, "random crop"), (self.decay, "weight decay")]
        return ", ".join([self.network, *(text for given, text in parts if given)])


ROWS = [
    Row("inception", True, True, False, 100.0, 89.05),
    Row("inception", True, False, False, 100.0, 89.31),
    Row("inception", False, True, False, 100.0, 86.03),
    Row("inception", False, False, False, 100.0, 85.75),
    Row("inception", False, False, True, 100.0, 9.78),
    Row("inception-nobn", False, True, False, 100.0, 83.00),
    Row("inception-nobn", False, False, False, 100.0, 82.00),
    Row("inception-nobn", False, False, True, 100.0, 10.12),
    Row("alexnet", True, True, False, 99.90, 81.22),
    Row("alexnet", True, False, False, 99.82, 79.66),
    Row("alexnet", False, True, False, 100.0, 77.36),
    Row("alexnet", False, False, False, 100.0, 76.07),
    Row("alexnet", False, False, True, 99.82, 9.86),
    Row("mlp-3x512", False, True, False, 100.0, 53.35),
    Row("mlp-3x512", False, False, False, 100.0, 52.39),
    Row("mlp-3x512", False, False, True, 100.0, 10.48),
    Row("mlp-1x512", False, True, False, 99.80, 50.39),
    Row("mlp-1x512", False, False, False, 100.0, 50.51),
    Row("mlp-1x512", False, False, True, 99.34, 10.61),
]
TOLERANCE = {"inception": 3.0, "inception-nobn": 3.0, "alexnet": 3.0, "mlp-3x512": 2.5, "mlp-1x512": 2.5}  # points
BY_NAME = {row.name: row for row in ROWS}
GRID = Grid("{row}", row=list(BY_NAME))


def spec(setting: Setting, seed: int, row: str) -> RunSpec:
    asked = BY_NAME[row]
    crop = (Part(name="random_crop"),) if asked.crop else ()
    regularizers = crop + (decay(WEIGHT_DECAY) if asked.decay else ())
    return run_of(setting, seed, asked.network, corruptions=labels(float(asked.random)), regularizers=regularizers)


def run_of(setting: Setting, seed: int, network: str, **fields: Any) -> RunSpec:
    """The run of a row of Tables 1 or 4: AlexNet on all images at scale cpu too.

    Inception on random labels stops when fitted, as in Figure 1(a).
    """
    size = {"n": FULL} if network == "alexnet" and setting.scale == "cpu" else {}
    random = bool(setting.spec(0, model=network, **fields).corruptions)
    make = setting.until_fitted if random and network.startswith("inception") else setting.spec
    return make(seed, model=network, **(size | fields))


TRAIN, TEST, GAIN = final("train_accuracy", "training accuracy (%)"), final("test_accuracy"), gain()
MEASURES = [GAIN]
PAPER_TRAIN, PAPER_TEST = ({row.name: getattr(row, column) for row in ROWS} for column in ("train", "test"))
TABLE = Table(
    "row", {"paper train (%)": PAPER_TRAIN, "train (%)": TRAIN, "paper test (%)": PAPER_TEST, "test (%)": TEST}
)
BY: dict[str, Any] = {"by": "row", "looks": {row.name: row.network for row in ROWS}, "named": True, "xlim": (0, 100)}
PANELS = [Rows(x=TRAIN, paper=PAPER_TRAIN, **BY), Rows(x=TEST, paper=PAPER_TEST, **BY)]


def finding(t: Frame, network: str) -> str | None:
    """Of the networks without a regularizer whose runs with true and with random labels are there."""
    fit, test = t.known(TRAIN, "row"), t.known(TEST, "row")
    both = [m for m in TOLERANCE if m in test and f"{m}, random labels" in fit]
    if not both:
        return None
    low, high = (rounded(end(test[m] for m in both)) for end in (min, max))
    random = {m: t.where(row=f"{m}, random labels") for m in both}
    least = {m: floored(min(part.values(TRAIN)), 2) for m, part in random.items()}
    late = [f"{m} ({least[m]:.2f} %)" for m, part in random.items() if not part.fitted]
    told = f"Without a regularizer networks reach {low:.1f} to {high:.1f} % test accuracy"
    if len(late) == len(both):
        return f"{told}; random labels are not fitted"
    some = f"all but {listed(late)}" if late else f"all of them, to at least {min(least.values()):.2f} %"
    return f"{told}; random labels are fitted by {some}"


SCORES = [Score("MLP 3x512, random labels", claim="table1.mlp-3x512.random_labels")]


def bounds(row: Row) -> tuple[Bound, Bound]:
    """What training accuracies, in every seed, and test accuracies, in the median, are those of the paper's row."""
    least = 99.9 if row.random and row.network == "mlp-3x512" else 99.0
    margin = TOLERANCE[row.network]
    return Bound(TRAIN, least), Bound(TEST, row.test - margin, row.test + margin, by_median=True)


def claim(row: Row) -> Claim:
    train, test = bounds(row)
    return bounded(
        train,
        test,
        fitted=False,
        id=f"table1.{row.name.replace(', ', '.')}",
        name=row.name,
        where={"row": row.name},
        source="zhang2017, Table 1",
        statement=f"{row.name}: the training set is fitted, and test accuracy is near the paper's",
        paper=f"training {row.train:.2f} %, test {row.test:.2f} %",
        rule=f"training accuracy is at least {train.least:g} % in every seed, and the median test accuracy over seeds "
        f"is within {TOLERANCE[row.network]:g} points of the paper's",
        ours=lambda t: f"training {t.spread(TRAIN, ' %')}, test {t.spread(TEST, ' %')}",
        numbers=lambda t: {TRAIN.label: t.numbers(TRAIN), TEST.label: t.numbers(TEST)},
        least_n=FULL,
        least_seeds=least_seeds(row.network),
    )


CLAIMS = [
    *map(claim, ROWS),
    no_gain(
        id="table1.no_gain.{row}",
        name="no gain from early stopping, {row}",
        each={"row": [row.name for row in ROWS if row.name == row.network]},
        statement="early stopping gains {row} little on true labels",
        paper="no gain on CIFAR-10",
        rule=f"{NO_GAIN}; when the rule was made, the runs of AlexNet and the MLPs were known, and Inception's on "
        "50,000 images were not",
        least_seeds=lambda row: least_seeds(BY_NAME[row].network),
    ),
]
