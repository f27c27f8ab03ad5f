"""Table 1: five networks on CIFAR-10, with and without random crop and weight decay, on true and random labels.

[zhang2017] Table 1: training and test accuracy of 19 rows.

    rethinking figure table1                   reduced; `rethinking plan` says how long
    rethinking figure table1 --scale cpu       MLPs and AlexNet on all 50,000 images, Inception reduced: hours
    rethinking figure table1 --scale paper     the paper's sizes, for a GPU
"""

from dataclasses import dataclass
from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import (
    BUDGET,
    DECAYED,
    UNSTATED,
    WEIGHT_DECAY,
    decay,
    labels,
    least_seeds,
    missing_note,
    percent,
    present,
    reduced_note,
    seeds_note,
)
from rethinking.plotting import NETWORKS, WIDTH, not_run
from rethinking.record import Record
from rethinking.spec import Part, Spec

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Training and test accuracy of every row of Table 1; paper hollow, ours filled, one point per seed."
DEPARTURES = [
    DECAYED,
    UNSTATED,
    BUDGET,
    "Training accuracy of rows with random crop is of the centre crops. It must be 99 %, and 99.9 % for random "
    "labels of MLP 3x512, of which the paper says 100.",
    "quick, and Inception at cpu: fewer images.",
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


def specs(setting: Setting, network: str, **fields: Any) -> list[Spec]:
    """One spec per seed of a row of Tables 1 or 4: AlexNet on all images at scale cpu too.

    Inception on random labels stops when fitted, as in Figure 1(a).
    """
    size = {"n": FULL} if network == "alexnet" and setting.scale == "cpu" else {}
    random = bool(setting.spec(0, model=network, **fields).corruptions)
    make = setting.until_fitted if random and network.startswith("inception") else setting.spec
    return [make(seed, model=network, **(size | fields)) for seed in setting.seeds_of(network)]


def row_label(name: str, runs: list[Any]) -> str:
    """What a row of Tables 1 or 4 is called in a picture: with its seeds, and n where that is reduced."""
    return f"{name}{reduced_note(runs[0].n or 0)}, {seeds_note(len(runs))}"


def runs(setting: Setting) -> Specs:
    crop = (Part(name="random_crop"),)
    return {
        row.name: specs(
            setting,
            row.network,
            corruptions=labels(float(row.random)),
            regularizers=(crop if row.crop else ()) + (decay(WEIGHT_DECAY) if row.decay else ()),
        )
        for row in ROWS
    }


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(WIDTH, 4.6))
    figure.set_layout_engine("none")
    first = figure.add_axes((0.46, 0.1, 0.235, 0.83))  # by hand: the labels are wider than a panel
    axes = [first, figure.add_axes((0.735, 0.1, 0.235, 0.83), sharey=first)]
    axes[1].tick_params(labelleft=False)
    wanted = runs(setting)
    for k, row in enumerate(ROWS):
        look = NETWORKS[row.network]
        for panel, column, theirs in zip(axes, ("train_accuracy", "test_accuracy"), (row.train, row.test), strict=True):
            panel.plot(theirs, k, "o", mfc="none", mec="black", ms=7, clip_on=False)
            ours = present(percent(records[row.name], column))
            panel.plot(ours, [k] * len(ours), look["marker"], color=look["color"], ms=3.5, clip_on=False)
            if not ours:
                not_run(panel, k, fontsize=6)
    axes[0].set_yticks(range(len(ROWS)), [row_label(row.name, wanted[row.name]) for row in ROWS], fontsize=6)
    axes[0].invert_yaxis()
    axes[0].set(xlabel="training accuracy (%)", xlim=(0, 100))
    axes[1].set(xlabel="test accuracy (%)", xlim=(0, 100))
    for panel in axes:
        panel.grid(axis="y", lw=0.3)
    told = "paper hollow, ours filled, one point per seed"
    figure.suptitle(f"Table 1, CIFAR-10: {told}{missing_note(records)}", fontsize=8)
    return figure, {"n": {row.name: wanted[row.name][0].n for row in ROWS}, "table": _table(setting, records)}


def _table(setting: Setting, records: Records) -> list[dict[str, Any]]:
    wanted = runs(setting)
    return [
        {
            "row": row.name,
            "n": [wanted[row.name][0].n],
            "paper train (%)": [row.train],
            "train (%)": percent(records[row.name], "train_accuracy"),
            "paper test (%)": [row.test],
            "test (%)": percent(records[row.name], "test_accuracy"),
        }
        for row in ROWS
    ]


def _claim(row: Row) -> Claim:
    tolerance = TOLERANCE[row.network]

    def measure(groups: dict[str, list[Record]]) -> Reading:
        train = present(percent(groups[row.name], "train_accuracy"))
        test = present(percent(groups[row.name], "test_accuracy"))
        holds = min(train) >= least and abs(median(test) - row.test) <= tolerance
        text = f"training {spread(train, unit=' %')}, test {spread(test, unit=' %')}"
        return Reading(holds, text, {"training accuracy (%)": list(train), "test accuracy (%)": list(test)})

    least = 99.9 if row.random and row.network == "mlp-3x512" else 99.0
    return Claim(
        name=row.name,
        source="zhang2017, Table 1",
        statement=f"{row.name}: fits the training set, and test accuracy is the paper's",
        paper=f"training {row.train:.2f} %, test {row.test:.2f} %",
        tolerance=f"training at least {least:g} % in every seed, the median test accuracy within {tolerance:g} points",
        conditions=(row.name,),
        measure=measure,
        least_n=FULL,
        least_seeds=least_seeds(row.network),
    )


def claims(setting: Setting) -> list[Claim]:
    return [_claim(row) for row in ROWS]
