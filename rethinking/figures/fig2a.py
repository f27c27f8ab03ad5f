"""Figure 2(a): what early stopping could gain on ImageNet.

[zhang2017] Figure 2(a): training and test accuracy of Inception v3 on ImageNet against steps, the running best shaded.
Its runs are rows of Table 2, made by torchrun: see `rethinking plan fig2a --scale paper`.

    rethinking figure fig2a --redraw                   a rehearsal of the whole path on small images, no evidence
    rethinking figure fig2a --scale paper --redraw     the paper's sizes: some 70 GPU-hours, shared with table2
"""

from typing import Any

from rethinking.claims import rounded
from rethinking.figures import _imagenet
from rethinking.figures._imagenet import (
    ALL,
    BEST,
    BEST_TEST,
    BY_NAME,
    DECAYED,
    GAIN,
    PLAIN,
    REGULARIZED,
    TEST,
    TRAIN,
)
from rethinking.figures._score import Score
from rethinking.figures.kit import Bound, Curves, Frame, Grid, Table, bounded

SEEDS = {"quick": 1, "cpu": 1, "paper": 1}
TRAINING_IMAGES = ALL
CAPTION = "Training and test accuracy of Inception v3 on ImageNet against steps; shaded: short of the best so far."
THEIRS = (
    "On ImageNet early stopping could help: without augmentation and dropout, test accuracy ends at 67.18 % after "
    "72.57 % at its best, and without weight decay either at 59.80 % after 63.16 %."
)
DEPARTURES = [
    *_imagenet.DEPARTURES,
    "That the paper's figure has these three rows of Table 2 is inferred from its text.",
]
CURVES = {REGULARIZED: "data", DECAYED: "weights", PLAIN: "none"}  # a row -> whose look it has
spec, heading = _imagenet.spec, _imagenet.heading
GRID = Grid("{row}", row=list(CURVES))
MEASURES = [GAIN]
TABLE = Table(
    "run",
    {
        "train (%)": TRAIN,
        "test (%)": TEST,
        "best test (%)": BEST_TEST,
        "paper gain (points)": {
            row: round(BEST[row] - BY_NAME[row].test, 2) if row in BEST else "not given" for row in CURVES
        },
        "gain of early stopping (points)": GAIN,
    },
)
BY: dict[str, Any] = {"hue": "row", "looks": CURVES, "factor": 100, "shaded": True, "ylim": (0, 103)}
BY |= {"xlabel": "step", "ends": "the run's end; of training, of all training images"}
PANELS = [
    Curves(columns={"train_accuracy": None}, ylabel="training accuracy, top-1 (%)", legend="lower right", **BY),
    Curves(columns={"test_accuracy": None}, ylabel="test accuracy, top-1 (%)", legend=None, **BY),
]


def finding(t: Frame, network: str) -> str:
    gains = [rounded(t.one(GAIN, row=row)) for row in BEST]
    return _imagenet.rehearsed(
        t
    ) or "Without augmentation, early stopping gains {} points with weight decay and {} without".format(*gains)


SCORES = [Score("with weight decay alone", claim="fig2a.early_stopping.weight_decay")]
CLAIMS = [
    bounded(
        Bound(GAIN, 2),
        fitted=False,
        id=f"fig2a.early_stopping.{row.replace(' ', '_')}",
        name=f"early stopping could help, {row}",
        where={"row": row},
        source="zhang2017, section 3 and Figure 2(a)",
        statement=f"on ImageNet early stopping could help {BY_NAME[row].regularizers}",
        paper=f"test accuracy {BY_NAME[row].test:.2f} %, {best:.2f} % at its best",
        rule="the best top-1 test accuracy along the run is at least 2 points above the last, in every seed",
        ours=lambda t: f"test accuracy {t.spread(TEST, ' %')}, {t.spread(BEST_TEST, ' %')} at its best",
        least_n=ALL,
    )
    for row, best in BEST.items()
]
