"""Table 4: random labels are fitted with explicit regularizers on.

[zhang2017] appendix E, Table 4: training accuracy on random labels with weight decay (four networks), random crop, and
augmentation (left-right flip and rotation up to 25 degrees, Inception). With augmentation the training set changes
every epoch, so the number is the mean accuracy of the batches, as trained on, since the evaluation before the last, and
the decay of the learning rate was slowed from 0.95 to 0.999 per epoch.

    rethinking figure table4                   reduced; `rethinking plan` says how long
    rethinking figure table4 --scale cpu       MLPs and AlexNet on all 50,000 images, Inception reduced: hours
    rethinking figure table4 --scale paper     the paper's sizes, for a GPU
"""

from dataclasses import dataclass
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
from rethinking.figures.table1 import specs
from rethinking.plotting import NETWORKS, PATCH, WIDTH, not_run
from rethinking.record import Record
from rethinking.spec import Part

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
FAILED = 50  # % of training accuracy; a network that "fails to converge" stays below
CAPTION = "Training accuracy on random labels with a regularizer on; paper hollow, ours filled, one point per seed."
DEPARTURES = [
    DECAYED,
    UNSTATED,
    "Rows with augmentation: the learning rate falls by 0.999 per epoch, over twice the budget; the paper trained them "
    "longer and does not say how long. (A reader's notes take the 0.999 for a factor of weight decay.)",
    "The online accuracy is the mean over the batches since the evaluation before the last; the paper's is a running "
    "mean.",
    "Rotation is bilinear, of the whole image, what it uncovers black; the centre is cropped after it.",
    BUDGET,
    f'"Fails to converge" is read as a training accuracy below {FAILED} %.',
    "quick, and Inception at cpu: fewer images; runs with augmentation go on to the end of their budget.",
]


@dataclass(frozen=True)
class Row:
    """A row of the paper's table: training accuracy in %, None where the paper says "failed to converge"."""

    network: str
    regularizer: str
    train: float | None
    online: bool = False

    @property
    def name(self) -> str:
        """A key in words."""
        return f"{self.network}, {self.regularizer}"

    @property
    def column(self) -> str:
        """Which accuracy of the record it is."""
        return "online_accuracy" if self.online else "train_accuracy"


ROWS = [
    Row("inception", "weight decay", 100.0),
    Row("alexnet", "weight decay", None),
    Row("mlp-3x512", "weight decay", 100.0),
    Row("mlp-1x512", "weight decay", 99.21),
    Row("inception", "random crop", 99.93, online=True),
    Row("inception", "flip and rotation", 99.28, online=True),
]
REGULARIZERS = {
    "weight decay": decay(WEIGHT_DECAY),
    "random crop": (Part(name="random_crop"),),
    "flip and rotation": (Part(name="horizontal_flip"), Part(name="rotation", options={"angle": 25.0})),
}


def runs(setting: Setting) -> Specs:
    return {row.name: _specs(setting, row) for row in ROWS}


def _specs(setting: Setting, row: Row) -> list[Any]:
    parts = {"corruptions": labels(1.0), "regularizers": REGULARIZERS[row.regularizer]}
    plain = specs(setting, row.network, **parts)
    return [s.replace(lr_decay=0.999, steps=2 * s.steps, stop="budget") if row.online else s for s in plain]


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(WIDTH, 2.0))
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.46, 0.2, 0.51, 0.68))  # by hand, as in Table 1
    wanted = runs(setting)
    names = []
    for k, row in enumerate(ROWS):
        look = NETWORKS[row.network]
        if row.train is None:
            axes.annotate("paper: fails to converge", (2, k), fontsize=6, va="center", bbox=PATCH)
        else:
            axes.plot(row.train, k, "o", mfc="none", mec="black", ms=7, clip_on=False)
        ours = present(percent(records[row.name], row.column))
        axes.plot(ours, [k] * len(ours), look["marker"], color=look["color"], ms=3.5, clip_on=False)
        if not ours:
            not_run(axes, k, fontsize=6)
        group, online = wanted[row.name], " (online)" if row.online else ""
        names.append(f"{row.name}{online}{reduced_note(group[0].n or 0)}, {seeds_note(len(group))}")
    axes.set_yticks(range(len(ROWS)), names, fontsize=6)
    axes.set_ylim(len(ROWS) - 0.5, -0.5)
    axes.set(xlabel="training accuracy on random labels (%); paper hollow, ours filled", xlim=(0, 100))
    axes.grid(axis="y", lw=0.3)
    figure.suptitle(f"Table 4, CIFAR-10, random labels{missing_note(records)}", fontsize=8)
    return figure, {"n": {row.name: wanted[row.name][0].n for row in ROWS}, "table": _table(setting, records)}


def _table(setting: Setting, records: Records) -> list[dict[str, Any]]:
    wanted = runs(setting)
    return [
        {
            "row": row.name,
            "n": [wanted[row.name][0].n],
            "paper train (%)": ["fails to converge" if row.train is None else row.train],
            "train (%)": percent(records[row.name], row.column),
        }
        for row in ROWS
    ]


def _claim(row: Row) -> Claim:
    def measure(groups: dict[str, list[Record]]) -> Reading:
        train = present(percent(groups[row.name], row.column))
        holds = max(train) < FAILED if row.train is None else min(train) >= 99
        return Reading(holds, spread(train, unit=" %"), {"training accuracy (%)": list(train)})

    fitted = row.train is not None
    return Claim(
        name=row.name,
        source="zhang2017, Table 4",
        statement=f"random labels are {'' if fitted else 'not '}fitted by {row.network} with {row.regularizer}",
        paper=f"{row.train:.2f} %" if fitted else "fails to converge",
        tolerance=f"{'at least 99' if fitted else f'below {FAILED}'} % in every seed",
        conditions=(row.name,),
        measure=measure,
        least_n=FULL,
        least_seeds=least_seeds(row.network),
    )


def claims(setting: Setting) -> list[Claim]:
    return [_claim(row) for row in ROWS]
