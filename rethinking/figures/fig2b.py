"""Figure 2(b): batch normalization steadies training and moves test accuracy by 3 to 4 points.

[zhang2017] Figure 2(b): training and test accuracy of Inception on CIFAR-10 against steps, with and without batch
normalization, no explicit regularizer; the running best is shaded: what early stopping could gain.

    rethinking figure fig2b                   200 or 500 images; `rethinking plan` says how long
    rethinking figure fig2b --scale cpu       2,000 images
    rethinking figure fig2b --scale paper     the paper's sizes, for a GPU
"""

from itertools import accumulate
from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import (
    BUDGET,
    UNSTATED,
    fits,
    fitted,
    gain,
    missing_note,
    percent,
    present,
    seeds_note,
    size_note,
)
from rethinking.plotting import NETWORKS, WIDTH
from rethinking.record import Record

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 1, "paper": 3}
CAPTION = "Training and test accuracy against steps with and without batch normalization; shaded: the running best."
DEPARTURES = [
    UNSTATED,
    BUDGET,
    "Evaluations before the last use the first 2,000 test images (quick: 250), the last all 10,000.",
    "That batch norm makes training steadier is drawn and not judged.",
    "quick and cpu: fewer images.",
]
COMPARED = {"inception": "with batch norm", "inception-nobn": "without batch norm"}


def runs(setting: Setting) -> Specs:
    return {m: [setting.spec(k, model=m) for k in setting.seeds_of(m)] for m in COMPARED}


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 2.9), sharex=True, sharey=True)
    series = {}
    for axes, (column, word) in zip(panels, (("train_accuracy", "training"), ("test_accuracy", "test")), strict=True):
        for network, group in records.items():
            look = NETWORKS[network]
            done = [r for r in group if r]
            for k, record in enumerate(done):
                steps, values = record.curve["step"], [100 * a for a in record.curve[column]]
                label = COMPARED[network] if k == 0 else None
                axes.plot(steps, values, color=look["color"], linestyle=look["linestyle"], label=label)
                interim = values[:-1]  # the last is on other test images
                best = list(accumulate(interim, max))
                axes.fill_between(steps[:-1], interim, best, color=look["color"], alpha=0.25, lw=0)
                axes.plot(steps[-1], values[-1], look["marker"], color=look["color"], clip_on=False)
            if not done:
                axes.plot([], [], " ", label=f"{COMPARED[network]}: not run")
            series[network] = [r and {"run": r.path.name, **{c: r.curve[c] for c in COLUMNS}} for r in group]
        axes.set(xlabel="step (batches of 128)", ylabel=f"{word} accuracy (%)", ylim=(0, 100))
        axes.set_xlim(0, None)
        axes.yaxis.set_tick_params(labelleft=True)
    panels[0].legend(loc="lower right")
    n = setting.spec(0, model="inception").n or 0
    seeds = seeds_note(len(records["inception"]))
    title = f"Inception, CIFAR-10, true labels, {size_note(n)}, {seeds}{missing_note(records)}"
    told = "shaded: below the best so far; last point, test accuracy: all 10,000 images, before it 2,000"
    figure.suptitle(f"{title}\n{told}", fontsize=7)
    table = [
        {
            "run": COMPARED[m],
            "n": [n],
            "training accuracy (%)": percent(group, "train_accuracy"),
            "test accuracy (%)": percent(group, "test_accuracy"),
            "gain of early stopping (points)": [None if r is None else gain(r) for r in group],
        }
        for m, group in records.items()
    ]
    return figure, {"n": n, "series": series, "table": table}


COLUMNS = ("step", "train_accuracy", "test_accuracy")


def _test(groups: dict[str, list[Record]], network: str) -> list[float]:
    return present(percent(groups[network], "test_accuracy"))


def _difference(groups: dict[str, list[Record]]) -> Reading:
    pairs = zip(_test(groups, "inception"), _test(groups, "inception-nobn"), strict=True)
    values = [a - b for a, b in pairs]
    numbers: dict[str, list[float | None]] = {"test accuracy, with minus without (points)": list(values)}
    return Reading(fitted(*groups.values()) and 1 <= median(values) <= 6, spread(values, unit=" points"), numbers)


def _no_gain(groups: dict[str, list[Record]]) -> Reading:
    values = [gain(r) for group in groups.values() for r in group]
    return Reading(
        fitted(*groups.values()) and max(values) <= 2, spread(values, unit=" points"), {"gain (points)": list(values)}
    )


def _fits(network: str) -> Claim:
    return Claim(
        name=f"fits {COMPARED[network]}",
        source="zhang2017, Table 1",
        statement=f"Inception {COMPARED[network]} fits the training set at learning rate 0.1",
        paper="training accuracy reaches 100 %",
        tolerance="training accuracy of at least 99 % in every seed; from n = 2,000 on, a shape",
        conditions=(network,),
        measure=lambda groups: fits(groups, network),
        least_n=2000,
    )


def claims(setting: Setting) -> list[Claim]:
    return [
        *map(_fits, COMPARED),
        Claim(
            name="gain of batch norm",
            source="zhang2017, section 3 and Figure 2(b)",
            statement="batch norm moves test accuracy by 3 to 4 points",
            paper="3 to 4 points; 85.75 against 82.00 % in Table 1",
            tolerance="median over seeds between 1 and 6 points, every run fitted",
            conditions=tuple(COMPARED),
            measure=_difference,
            least_n=FULL,
        ),
        Claim(
            name="no gain from early stopping",
            source="zhang2017, section 3",
            statement="early stopping gains nothing on CIFAR-10",
            paper="no gain",
            tolerance="best minus latest test accuracy on the same test images at most 2 points, and fitted, in every "
            "seed",
            conditions=tuple(COMPARED),
            measure=_no_gain,
            least_n=FULL,
        ),
    ]
