"""Every (regularizer, strength) as a point: memorization left against test accuracy.

[zhang2017] holds that regularization does not stop memorization, and that its help is of another kind. What would
speak against that is a corner of this plot: random labels not fitted within the budget, and test accuracy on true
labels at least that of the network without. What lands there is named.

    rethinking figure frontier                 500 images, one seed: minutes
    rethinking figure frontier --scale cpu     2,000 images (alexnet 1,000), three seeds: the runs of dose
"""

from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.constants import FAMILIES
from rethinking.figures import Setting
from rethinking.figures._parts import (
    UNSTATED,
    highest,
    missing_note,
    present,
)
from rethinking.figures._sweeps import (
    CAVEAT,
    CLEAN,
    EXTENSION,
    IMAGES,
    NETWORKS,
    OTHER,
    SIZE,
    TRIED,
    TWICE,
    Sweep,
    again,
    budget,
    changes,
    differences,
    diverged,
    fate_later,
    memorized,
    paired,
    runs_of,
    say,
    size,
    specs,
    sweeps,
    without,
)
from rethinking.figures.kit.panels import seeds_note
from rethinking.plotting import WIDTH
from rethinking.record import Record

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Every strength: what is left of memorization, against the change of test accuracy on true labels."
DEPARTURES = [
    EXTENSION,
    "At cpu, the network of what is found in the corner is trained to the end of the budget without it too, on true "
    "labels: that alone may gain.",
    "Augmented images differ at every step: that they are not fitted within the budget is no memory that is lacking, "
    "and the paper fits them, with a slower decay of the learning rate, in Table 4.",
    CAVEAT,
    CLEAN,
    TRIED,
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
ONWARD = "to the end of the budget"
FITTED_LATER = " †"  # in the figure
NEAR = -2.0  # points of change: what stops memorization at less is named


def runs(setting: Setting) -> Specs:
    wanted = runs_of(setting, [(s, s.values) for s in sweeps(setting)])
    for sweep in sweeps(setting):
        if sweep.corner and setting.scale == "cpu":
            onward = [s.replace(stop="budget") for s in specs(setting, sweep.network, "true")]
            wanted[again(sweep.twin("true"), ONWARD)] = onward
    return wanted


def _onward(records: Records | dict[str, list[Record]], network: str) -> list[float]:
    """What the network without gains in test accuracy, in points, trained on from where all examples were right."""
    alone = without(network, "true")
    return present(differences(records, again(alone, ONWARD), alone, "test_accuracy"))


def _against(records: Records | dict[str, list[Record]], sweep: Sweep, value: Any) -> bool | None:
    """Whether a point lies in the corner that speaks against the paper; None where runs are missing."""
    change = changes(records, sweep, value, "true", "test_accuracy")
    fate = memorized(records[sweep.condition(value, "random")])
    if fate is None or None in change:
        return None
    return not fate and not diverged(records, sweep, value) and median(present(change)) >= 0


def _named(records: Records | dict[str, list[Record]], sweep: Sweep, value: Any) -> str:
    """What a point is called: "dropout 0.5 on alexnet (fitted with twice the budget)"."""
    on = f" on {sweep.network}" if sweep.network != NETWORKS[0] else ""
    return f"{sweep.regularizer} {say(value)}{on}{fate_later(records, sweep, value)}"


def _tried_onward(records: Any) -> list[str]:
    """The networks that are trained to the end of the budget without."""
    return [m for m in NETWORKS if again(without(m, "true"), ONWARD) in records]


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 4.0), sharey=True, width_ratios=[3, 2])
    series: dict[str, dict[str, Any]] = {}
    stopped: list[tuple[float, float, str]] = []
    columns: dict[str, list[tuple[Sweep, Any]]] = {family: [] for family in LOOKS}
    for sweep in sweeps(setting):
        for value in sweep.values:
            random = present(highest(records[sweep.condition(value, "random")]))
            change = paired(records, sweep, value, "true", "test_accuracy")
            x, y = (median(v) if v else None for v in (random, change))
            series[f"{sweep.name}, {say(value)}"] = {
                "highest training accuracy on random labels (%)": x,
                "change of test accuracy (points)": y,
                "speaks against": _against(records, sweep, value),
            }
            if x is None or y is None:
                continue
            fate = memorized(records[sweep.condition(value, "random")])
            if x >= FITTED if fate is None else fate:
                columns[sweep.family].append((sweep, value))
                continue
            if diverged(records, sweep, value):
                left.plot(x, y, "x", color=LOOKS[sweep.family][0], ms=4.5, clip_on=False)
                continue
            _point(left, x, change, sweep, value)
            left.plot([min(random), max(random)], [y, y], color=LOOKS[sweep.family][0], lw=0.6)
            if y >= NEAR:
                stopped.append((x, y, _named(records, sweep, value).replace(f" (fitted with {TWICE})", FITTED_LATER)))
    for network in _tried_onward(records):
        gains = _onward(records, network)
        series[f"{network}, none, {ONWARD}"] = {"change of test accuracy (points)": median(gains) if gains else None}
    for k, points in enumerate(columns.values()):
        for j, (sweep, value) in enumerate(points):
            change = paired(records, sweep, value, "true", "test_accuracy")
            _point(right, k - 0.35 + 0.7 * (j + 0.5) / len(points), change, sweep, value)
    families = {sweep.family for sweep in sweeps(setting)}
    for axes in (left, right):
        axes.axhline(0, color="0.4", lw=0.6, zorder=1)
    low, high = left.get_ylim()
    line = 0.055 * (high - low)
    for k, (x, y, text) in enumerate(sorted(stopped)):  # rising, so that no line crosses a name
        words = {"xytext": (x - 3, high + line * (k + 1)), "fontsize": 6, "ha": "right", "va": "center"}
        line_to = {"arrowstyle": "-", "lw": 0.4, "color": "0.4", "relpos": (1, 0.5), "shrinkA": 0, "shrinkB": 3}
        left.annotate(text, (x, y), arrowprops=line_to, **words)
    high = max(high + line * (len(stopped) + 1), 5)
    left.fill_between([0, FITTED], 0, high, color="0.9", zorder=0, lw=0, label="would speak against the claim")
    left.set(xlim=(0, FITTED), ylim=(min(low, -5), high))
    for family in LOOKS:
        if family in families:
            left.plot([], [], LOOKS[family][1], color=LOOKS[family][0], label=family)
    left.plot([], [], "o", color="0.3", mfc="white", label="hollow: another strength than practice's")
    left.plot([], [], "x", color="0.3", label="training diverges")
    left.set(
        xlabel="highest training accuracy on random labels (%)",
        ylabel="change of test accuracy on true labels\n(points, paired seeds)",
        title=f"random labels not fitted (below {FITTED:g} %)",
    )
    places = [k for k, family in enumerate(LOOKS) if family in families]
    right.set_xticks(places, [list(LOOKS)[k] for k in places], rotation=45, ha="right")
    right.set(xlim=(-0.6, max(places) + 0.6), title=f"fitted ({FITTED:g} % or more)")
    figure.legend(loc="outside lower center", ncols=5, fontsize=6)
    told = f"points: medians over seeds; bars: their range;{FITTED_LATER}: fitted with {TWICE}"
    head = f"CIFAR-10, {size(setting)}, {seeds_note(setting.seeds)}{missing_note(records)}"
    figure.suptitle(f"{head}\n{budget(setting)}\n{told}", fontsize=7)
    return figure, {"series": series}


def _point(axes: Any, x: float, change: list[float], sweep: Sweep, value: Any) -> None:
    """A strength at x, with the range over seeds of its changes of test accuracy."""
    color, marker = LOOKS[sweep.family]
    filled = value == sweep.practice
    axes.plot([x, x], [min(change), max(change)], color=color, lw=0.6, zorder=2)
    axes.plot(x, median(change), marker, color=color, mfc=color if filled else "white", ms=4.5, zorder=3, clip_on=False)


def _more_than_training_on(network: str, chosen: list[Sweep]) -> Claim:
    own = [s for s in chosen if s.network == network]
    alone = again(without(network, "true"), ONWARD)

    def measure(groups: dict[str, list[Record]]) -> Reading:
        gains = _onward(groups, network)
        ours = {
            f"{s.regularizer} {say(v)}": paired(groups, s, v, "true", "test_accuracy")
            for s in own
            for v in s.values
            if _against(groups, s, v)
        }
        if not ours:
            return Reading(None, "none speaks against it", {})
        told = ", ".join(f"{name} {spread(values)}" for name, values in ours.items())
        numbers: dict[str, list[float | None]] = {k: list(v) for k, v in {ONWARD: gains, **ours}.items()}
        holds = all(median(values) > median(gains) for values in ours.values())
        return Reading(holds, f"points: {told}; training on without {spread(gains)}", numbers)

    return Claim(
        name=f"more than training on, {network}",
        source="the project's own question",
        statement=f"on {network}, what speaks against the claim gains more than training on without it",
        paper="none",
        tolerance="true labels, medians over seeds: its change of test accuracy against the twin, which stops when "
        f"every training example is right, is above that of the twin trained {ONWARD}",
        conditions=(alone, *dict.fromkeys(key for sweep in own for key in sweep.keys)),
        measure=measure,
        least_n=min(IMAGES.values()),
        least_seeds=3,
    )


def claims(setting: Setting) -> list[Claim]:
    chosen = sweeps(setting)
    points = [(s, v) for s in chosen for v in s.values]
    wanted = runs(setting)

    def corner(groups: Records | dict[str, list[Record]]) -> tuple[int, str]:
        found = sorted(_named(groups, *p) for p in points if _against(groups, *p))
        there = [p for p in points if _against(groups, *p) is not None]
        stopped = sum(not memorized(groups[s.condition(v, "random")]) for s, v in there)
        gone = "" if len(there) == len(points) else f" ({len(points) - len(there)} more are not run)"
        named = f": {', '.join(found)}" if found else ""
        text = f"{len(found)} of {len(there)} points speak against it, of {stopped} that are not fitted{named}{gone}"
        return len(found), text

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
            tolerance="no point with random labels not fitted (to 99 % in most seeds) and a median change of test "
            "accuracy on true labels of 0 or more, where training does not diverge",
            conditions=tuple(c for c in wanted if not c.endswith(ONWARD)),
            measure=measure,
            decided=decided,
            least_n=min(IMAGES.values()),
            least_seeds=3,
        ),
        *(_more_than_training_on(network, chosen) for network in _tried_onward(wanted)),
    ]
