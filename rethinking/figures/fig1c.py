"""Figure 1(c): test error after the fit rises to chance as labels are corrupted.

[zhang2017] Figure 1(c): test error against label corruption p, over the runs of Figure 1(b); at p = 1 it is 90 %.

    rethinking figure fig1c                   reduced, the runs of fig1b; `rethinking plan` says how long
    rethinking figure fig1c --scale cpu       MLP 1x512 on all 50,000 images, the others reduced: hours
    rethinking figure fig1c --scale paper     the paper's sizes, for a GPU
"""

from itertools import accumulate
from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import Setting, _parts, fig1b
from rethinking.figures._parts import (
    BUDGET,
    LEVELS,
    STATISTIC,
    UNSTATED,
    fitted,
    least_seeds,
    line,
    mark_missing,
    missing_note,
    present,
    seeds_note,
    size_note,
)
from rethinking.figures.fig1b import COMPARED, name
from rethinking.plotting import NETWORKS, WIDTH
from rethinking.record import Record

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Test error after training against label corruption p."
DEPARTURES = [
    "Test error at the end of the run, whether it fitted or not, on all 10,000 test images with their true labels.",
    UNSTATED,
    BUDGET,
    "quick, and Inception and AlexNet at cpu: fewer images.",
]


def runs(setting: Setting) -> Specs:
    return fig1b.runs(setting)


def errors(records: Records | dict[str, list[Record]], network: str) -> dict[float, list[float | None]]:
    """Test error in %, by p and seed; None where missing."""
    out = {}
    for p in LEVELS:
        out[p] = _parts.errors(records[name(network, p)])
    return out


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(WIDTH * 0.7, 3.0))
    for network in COMPARED:
        points = {p: present(v) for p, v in errors(records, network).items()}
        n = setting.spec(0, model=network).n or 0
        label = f"{network}: {size_note(n)}, {seeds_note(len(setting.seeds_of(network)))}"
        line(axes, points, NETWORKS[network], label if any(points.values()) else None)
        if not any(points.values()):
            axes.plot([], [], " ", label=f"{network}: not run")
    for p in LEVELS:
        mark_missing(axes, p, *(records[name(network, p)] for network in COMPARED))
    axes.axhline(90, color="0.4", lw=0.7, linestyle=":")
    axes.annotate("chance, 90 %", (0.0, 91), fontsize=6, color="0.35")
    axes.set(xlabel="label corruption p", ylabel="test error (%)", xlim=(-0.03, 1.03), ylim=(0, 100))
    axes.legend(loc="lower right")
    figure.suptitle(f"CIFAR-10{missing_note(records)}\n{STATISTIC}", fontsize=7)
    table = [
        {
            "run": name(network, p),
            "n": [setting.spec(0, model=network).n],
            "test error (%)": errors(records, network)[p],
        }
        for network in COMPARED
        for p in LEVELS
    ]
    return figure, {"n": {m: setting.spec(0, model=m).n for m in COMPARED}, "table": table}


def _chance(network: str) -> Claim:
    def measure(groups: dict[str, list[Record]]) -> Reading:
        values = [100 * (1 - r.final["test_accuracy"]) for r in groups[name(network, 1.0)]]
        held = fitted(groups[name(network, 1.0)]) and abs(median(values) - 90) <= 2
        return Reading(held, spread(values, unit=" %"), {"test error (%)": list(values)})

    return Claim(
        name=f"chance at p = 1, {network}",
        source="zhang2017, Figure 1(c)",
        statement=f"with random labels the test error of {network} is that of chance",
        paper="90 %",
        tolerance="median over seeds within 2 points of 90 %, every run fitted; from n = 2,000 on, chance being no "
        "matter of size",
        conditions=(name(network, 1.0),),
        measure=measure,
        least_n=2000,
        least_seeds=least_seeds(network),
    )


def _rises(network: str) -> Claim:
    def measure(groups: dict[str, list[Record]]) -> Reading:
        each = errors(groups, network)
        middle = [median(present(each[p])) for p in LEVELS]
        rises = all(b >= a - 1 for a, b in zip(accumulate(middle, max), middle[1:], strict=False))
        holds = rises and middle[-1] - middle[0] >= 5 and abs(middle[-1] - 90) <= 2
        holds &= fitted(*groups.values())
        ours = ", ".join(f"{spread(present(each[p]), unit=' %')} at p = {p:g}" for p in (0.0, 0.5, 1.0))
        return Reading(holds, ours, {f"p = {p:g}": v for p, v in each.items()})

    return Claim(
        name=f"rises with p, {network}",
        source="zhang2017, Figure 1(c)",
        statement=f"the test error of {network} rises with p",
        paper="rises to 90 %",
        tolerance="medians over seeds never are more than 1 point below the highest so far, and end within 2 points of "
        "90 % and 5 or more above p = 0, every run fitted; from n = 2,000 on, a shape",
        conditions=tuple(name(network, p) for p in LEVELS),
        measure=measure,
        least_n=2000,
        least_seeds=least_seeds(network),
    )


def claims(setting: Setting) -> list[Claim]:
    return [*map(_rises, COMPARED), *map(_chance, COMPARED)]
