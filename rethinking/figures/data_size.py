"""The gap between training and test error against the number of training images: does enough data stop overfitting?

The survey says that with enough data a network never overfits. Up to CIFAR-10's 50,000 images: the final gap by n.

    rethinking figure data_size                 up to 2,000 images, a minute on two cores
    rethinking figure data_size --scale cpu     up to all 50,000 images
"""

from itertools import pairwise
from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import (
    BUDGET,
    STATISTIC,
    UNSTATED,
    errors,
    fitted,
    least_seeds,
    line,
    mark_missing,
    missing_note,
    present,
    seeds_note,
)
from rethinking.plotting import CONDITIONS, WIDTH, not_run
from rethinking.record import Record

MODELS = ["mlp-3x512", "mlp-1x512", "alexnet"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Training and test error at the end of training against the number of training images, true labels."
DEPARTURES = [
    UNSTATED,
    BUDGET,
    "Runs on fewer than 50,000 images have the precision of cpu at every scale; they stop when every training example "
    "is right.",
    "Run k trains on the first n images in the official order, whatever its seed.",
]
SIZES = {
    "quick": (250, 500, 1000, 2000),
    "cpu": (1000, 2000, 5000, 10_000, 20_000, FULL),
    "paper": (1000, 2000, 5000, 10_000, 20_000, FULL),
}


def _name(n: int) -> str:
    return f"n = {n:,}"


def _specs(setting: Setting, n: int) -> list[Any]:
    if n == FULL:
        return [setting.spec(k, n=n) for k in range(setting.seeds)]
    reduced = Setting("cpu", setting.model, setting.seeds)  # where it stops when fitted
    return [reduced.spec(k, n=n) for k in range(setting.seeds)]


def runs(setting: Setting) -> Specs:
    return {_name(n): _specs(setting, n) for n in SIZES[setting.scale]}


def _gaps(group: list[Any]) -> list[float]:
    return [100 * (r.final["train_accuracy"] - r.final["test_accuracy"]) for r in group if r]


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(WIDTH * 0.6, 2.9))
    levels = SIZES[setting.scale]
    true = CONDITIONS["true labels"]
    for column, look, told in (
        ("test_accuracy", true | {"linestyle": "--", "marker": "s"}, "test error"),
        ("train_accuracy", true, "training error"),
    ):
        line(axes, {n: present(errors(records[_name(n)], column)) for n in levels}, look, label=told)
    for n in levels:
        mark_missing(axes, n, records[_name(n)])
    axes.set_xscale("log")
    axes.set_xticks(levels, [f"{n:,}" for n in levels], rotation=30)
    axes.minorticks_off()
    axes.set(xlabel="training images n", ylabel="error (%)", ylim=(-2, 100))
    if any(any(group) for group in records.values()):
        axes.legend(loc="center left")
    else:
        not_run(axes)
    seeds = seeds_note(setting.seeds)
    reduced = "" if FULL in levels else f", REDUCED: at most {levels[-1]:,} of {FULL:,} images"
    figure.suptitle(f"{setting.model}, CIFAR-10, {seeds}{reduced}{missing_note(records)}\n{STATISTIC}", fontsize=7)
    table = [
        {
            "run": _name(n),
            "n": [n],
            "training error (%)": errors(group, "train_accuracy"),
            "test error (%)": errors(group),
        }
        for n, group in zip(levels, records.values(), strict=True)
    ]
    return figure, {"n": list(levels), "table": table}


def claims(setting: Setting) -> list[Claim]:
    levels = SIZES[setting.scale]

    def shrinks(groups: dict[str, list[Record]]) -> Reading:
        middle = [median(_gaps(groups[_name(n)])) for n in levels]
        ours = f"from {middle[0]:.2f} to {middle[-1]:.2f} points"
        numbers: dict[str, list[float | None]] = {_name(n): list(_gaps(groups[_name(n)])) for n in levels}
        held = fitted(*groups.values()) and all(b < a for a, b in pairwise(middle))
        return Reading(held, ours, numbers)

    def closes(groups: dict[str, list[Record]]) -> Reading:
        group = groups[_name(levels[-1])]
        values = _gaps(group)
        learns = median([r.final["test_accuracy"] for r in group]) >= 0.2
        return Reading(learns and median(values) <= 5, spread(values, unit=" points"), {"gap (points)": list(values)})

    return [
        Claim(
            name="the gap shrinks with n",
            source="the survey's claim on data",
            statement="more data overfit less",
            paper="the gap between training and test error falls with n",
            tolerance="medians over seeds fall from each n to the next, every run fitted; from n = 1,000 on, a shape",
            conditions=tuple(map(_name, levels)),
            measure=shrinks,
            least_n=1000,
            least_seeds=least_seeds(setting.model),
        ),
        Claim(
            name="enough data end overfitting",
            source="the survey's claim on data",
            statement=f"{levels[-1]:,} images are enough data for this network not to overfit",
            paper="with enough data, how much it does not say, a network never overfits",
            tolerance="medians over seeds: gap at the largest n at most 5 points, test accuracy at least twice chance",
            conditions=(_name(levels[-1]),),
            measure=closes,
            least_n=FULL,
            least_seeds=least_seeds(setting.model),
        ),
    ]
