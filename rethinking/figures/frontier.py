"""Every (regularizer, strength) as a point: memorization left against test accuracy.

[zhang2017] holds that regularization does not stop memorization, and that its help is of another kind. What would
speak against that is a corner of this plot: random labels not fitted within the budget, and test accuracy on true
labels at least that of the network without. What lands there is named.

    rethinking figure frontier                 500 images, one seed: minutes
    rethinking figure frontier --scale cpu     2,000 images (alexnet 1,000), three seeds: the runs of dose
"""

from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs
from rethinking.figures import Setting
from rethinking.figures._parts import UNSTATED, missing_note, present, seeds_note
from rethinking.figures._sweeps import (
    CAVEAT,
    CLEAN,
    EXTENSION,
    FAMILIES,
    IMAGES,
    OTHER,
    SIZE,
    Sweep,
    changes,
    highest,
    memorized,
    paired,
    runs_of,
    say,
    size,
    sweeps,
)
from rethinking.plotting import WIDTH
from rethinking.record import Record

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Training accuracy on random labels against the change of test accuracy on true labels, every strength."
DEPARTURES = [
    EXTENSION,
    "Augmented images differ at every step: that they are not fitted within the budget is no memory that is lacking, "
    "and the paper fits them, with a slower decay of the learning rate, in Table 4.",
    CAVEAT,
    CLEAN,
    SIZE,
    UNSTATED,
]
LOOKS = dict(
    zip(
        (*FAMILIES, OTHER),
        (
            ("#0072B2", "o"),
            ("#D55E00", "s"),
            ("#009E73", "^"),
            ("#000000", "D"),
            ("#CC79A7", "v"),
            ("#56B4E9", "P"),
            ("#777777", "X"),
        ),
        strict=True,
    )
)
FITTED = 99.0  # %
NAMED = 8  # points of the corner whose names the figure holds; its .json has them all


def runs(setting: Setting) -> Specs:
    return runs_of(setting, [(s, s.values) for s in sweeps(setting)])


def _against(records: Records | dict[str, list[Record]], sweep: Sweep, value: Any) -> bool | None:
    """Whether a point lies in the corner that speaks against the paper; None where runs are missing."""
    change = changes(records, sweep, value, "true", "test_accuracy")
    fate = memorized(records[sweep.condition(value, "random")])
    return None if fate is None or None in change else not fate and median(present(change)) >= 0


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(WIDTH, 3.8))
    series: dict[str, dict[str, Any]] = {}
    families = set()
    corner: list[tuple[float, float, str]] = []
    for sweep in sweeps(setting):
        color, marker = LOOKS[sweep.family]
        for value in sweep.values:
            x = highest(records, sweep.condition(value, "random"))
            change = paired(records, sweep, value, "true", "test_accuracy")
            if x is None or not change:
                continue
            y = median(change)
            filled = value == sweep.practice
            axes.plot(x, y, marker, color=color, mfc=color if filled else "white", ms=5, zorder=3, clip_on=False)
            families.add(sweep.family)
            against = _against(records, sweep, value)
            if against:
                corner.append((x, y, f"{sweep.regularizer} {say(value)}"))
            series[f"{sweep.name}, {say(value)}"] = {
                "highest training accuracy on random labels (%)": x,
                "change of test accuracy (points)": y,
                "speaks against": against,
            }
    for k, (x, y, text) in enumerate(corner[: NAMED + 1]):
        words = text if k < NAMED else f"and {len(corner) - NAMED} more"
        named = axes.annotate(words, (x, y), xytext=(-6, 4 + 8 * k), textcoords="offset points", fontsize=6, ha="right")
        named.set_in_layout(False)
    axes.set_xlim(0, 102)
    low, high = axes.get_ylim()
    axes.axhline(0, color="0.4", lw=0.6)
    axes.fill_between([0, FITTED], 0, max(high, 5), color="0.9", zorder=0, lw=0, label="would speak against the claim")
    axes.set_ylim(min(low, -5), max(high, 5))
    for family in LOOKS:
        if family in families:
            axes.plot([], [], LOOKS[family][1], color=LOOKS[family][0], label=family)
    axes.plot([], [], "o", color="0.3", mfc="white", label="hollow: another strength than practice's")
    axes.set(
        xlabel="highest training accuracy on random labels (%), median over seeds",
        ylabel="change of test accuracy on true labels\n(points, median of paired seeds)",
    )
    figure.legend(loc="outside lower center", ncols=4, fontsize=6)
    figure.suptitle(f"CIFAR-10, {size(setting)}, {seeds_note(setting.seeds)}{missing_note(records)}", fontsize=7)
    return figure, {"series": series}


def claims(setting: Setting) -> list[Claim]:
    chosen = sweeps(setting)

    def corner(groups: Records | dict[str, list[Record]]) -> tuple[int, str]:
        found = [f"{s.name} {say(v)}" for s in chosen for v in s.values if _against(groups, s, v)]
        there = [_against(groups, s, v) is not None for s in chosen for v in s.values]
        gone = "" if all(there) else f" ({len(there) - sum(there)} more are not run)"
        named = f": {', '.join(found)}" if found else ""
        return len(found), f"{len(found)} of {sum(there)} points speak against it{named}{gone}"

    def measure(groups: Records | dict[str, list[Record]]) -> Reading:
        found, text = corner(groups)
        return Reading(not found, text, {"points in the corner": [float(found)]})

    def decided(records: Records) -> Reading | None:
        reading = measure(records)
        return None if reading.holds else reading

    return [
        Claim(
            name="no free lunch",
            source="zhang2017, section 3, extended",
            statement="no regularizer, at any strength swept, stops memorization and keeps test accuracy",
            paper="regularization does not stop memorization",
            tolerance="no point with random labels not fitted (99 %, median over seeds) and a median change of test "
            "accuracy on true labels of 0 or more",
            conditions=tuple(runs(setting)),
            measure=measure,
            decided=decided,
            least_n=min(IMAGES.values()),
            least_seeds=3,
        )
    ]
