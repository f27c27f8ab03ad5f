"""How strong must a regularizer be before random labels can no longer be fitted, and what is left at that strength?

[zhang2017] tried three regularizers at one strength each, and found that they do not stop memorization, but for AlexNet
with weight decay (Table 4). Here every one of the catalogue, at rising strengths: training accuracy on random labels,
training and test accuracy on true labels. The threshold is the weakest strength swept at which random labels are not
fitted, within a budget that is stated.

    rethinking figure dose                 500 images, one seed: minutes
    rethinking figure dose --scale cpu     2,000 images (alexnet 1,000), three seeds: hours
"""

import math
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs
from rethinking.figures import Setting
from rethinking.figures._parts import (
    UNSTATED,
    highest,
    mark_missing,
    missing_note,
    percent,
    present,
)
from rethinking.figures._sweeps import (
    CAVEAT,
    CLEAN,
    EXTENSION,
    IMAGES,
    LEARNS,
    NETWORKS,
    SIZE,
    TRIED,
    TWICE,
    WITH,
    WORDS,
    Sweep,
    accuracy,
    again,
    budget,
    diverged,
    fate_later,
    memorized,
    paired,
    paper_says,
    parts,
    row,
    runs_of,
    say,
    size,
    specs,
    sweeps,
    threshold,
    tried_longer,
)
from rethinking.figures.kit.panels import seeds_note
from rethinking.plotting import CONDITIONS, WIDTH
from rethinking.record import Record

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Training accuracy on random labels, training and test accuracy on true labels, against each strength."
DEPARTURES = [
    EXTENSION,
    "Fitted means 99 % training accuracy at some evaluation, as in time to fit; the figure draws the highest on random "
    "labels. A run may end below it, as the table tells; read at its end, a threshold may be a strength lower.",
    CAVEAT,
    CLEAN,
    "A run whose loss became infinite counts as one that did not fit, on either kind of labels, as with maxout of 6 "
    "and 8 pieces at this learning rate: training fails there, which is no regularization.",
    "Dropout is repeated at twice the budget and at another n. It was chosen because a trial had shown that its "
    "threshold moves.",
    TRIED,
    SIZE,
    UNSTATED,
]
REPEATED = "dropout"
OTHER_N = 1000
# Labels, what is read of their runs, its name, its look.
LOOKS: list[tuple[str, Callable[..., list[float | None]], str, dict[str, Any]]] = [
    ("random", highest, "highest training accuracy, random labels", CONDITIONS["random labels"]),
    (
        "true",
        partial(percent, column="train_accuracy"),
        "training accuracy, true labels",
        CONDITIONS["true labels"] | {"linestyle": ":", "marker": "."},
    ),
    ("true", partial(percent, column="test_accuracy"), "test accuracy, true labels", CONDITIONS["true labels"]),
]
COLUMNS = 5
HATCH = "////"


def _repeats(setting: Setting) -> list[tuple[Sweep, str, dict[str, int]]]:
    """The sweeps that are repeated, what is said of a repeat, and how its `specs` differ."""
    if setting.scale != "cpu":
        return []
    sweep = next(s for s in sweeps(setting) if s.regularizer == REPEATED)
    return [(sweep, TWICE, {"times": 2}), (sweep, f"n = {OTHER_N:,}", {"n": OTHER_N})]


def runs(setting: Setting) -> Specs:
    wanted = runs_of(setting, [(s, s.values) for s in sweeps(setting)])
    for sweep, told, how in _repeats(setting):
        for word in WORDS:
            wanted[again(sweep.twin(word), told)] = specs(setting, sweep.network, word, **how)
            for v in sweep.values:
                one = specs(setting, sweep.network, word, *parts(sweep.regularizer, v), **how)
                wanted[again(sweep.condition(v, word), told)] = one
    return wanted


def _repeated(records: Records | dict[str, list[Record]], told: str) -> dict[str, Any]:
    """The records of a repeat, under the keys of the sweep it repeats."""
    return {c.removesuffix(f", {told}"): g for c, g in records.items() if c.endswith(f", {told}")}


def _panels(setting: Setting) -> list[tuple[Sweep, str]]:
    return [(s, "") for s in sweeps(setting)] + [(s, told) for s, told, _ in _repeats(setting)]


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    panels = _panels(setting)
    height = math.ceil((len(panels) + 1) / COLUMNS)
    figure, grid = plt.subplots(height, COLUMNS, figsize=(WIDTH, 1.25 * height + 0.5), sharey=True)
    flat = grid.flatten()
    table = []
    hows = {told: how for _, told, how in _repeats(setting)}
    for axes, (sweep, told) in zip(flat, panels, strict=False):
        own = _repeated(records, told) if told else records
        _panel(axes, sweep, own)
        title = sweep.name.replace(WITH, f"\n{WITH.strip()} ").replace(", ", "\n") + (f"\n{told}" if told else "")
        axes.set_title(title, fontsize=6, pad=7)
        n = specs(setting, sweep.network, "true", **hows.get(told, {}))[0].n
        twins = row(own, f"{sweep.network}, none" + (f", {told}" if told else ""), n, {w: sweep.twin(w) for w in WORDS})
        table += [twins] if twins not in table else []
        for value in sweep.values:
            name = f"{sweep.network}, {sweep.regularizer}, {say(value)}" + (f", {told}" if told else "")
            table.append(row(own, name, n, {w: sweep.condition(value, w) for w in WORDS}))
    for axes in flat[len(panels) :]:
        axes.axis("off")
    for _, _, label, look in LOOKS:
        flat[-1].plot(
            [], [], color=look["color"], linestyle=look["linestyle"], marker=look["marker"], ms=3, label=label
        )
    figure.legend(*flat[-1].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=6)
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy (%)", fontsize=6)
    told = "bold: practice's strength; grey: random labels not fitted within the budget; hatched: training diverges"
    left = "above the weakest that are not fitted: test accuracy on true labels"
    head = f"CIFAR-10, {size(setting)}, {seeds_note(setting.seeds)}{missing_note(records)}"
    figure.suptitle(f"{head}\n{budget(setting)}\n{told}\n{left}", fontsize=7)
    return figure, {"table": table}


def _panel(axes: Any, sweep: Sweep, records: Records) -> None:
    places = range(len(sweep.values) + 1)
    for word, read, _, look in LOOKS:
        keys = [sweep.twin(word), *(sweep.condition(v, word) for v in sweep.values)]
        values = [present(read(records[k])) for k in keys]
        for x, seeds in zip(places, values, strict=True):
            axes.plot([x] * len(seeds), seeds, look["marker"], color=look["color"], ms=2, alpha=0.7)
        middle = [median(v) if v else math.nan for v in values]
        axes.plot(places, middle, color=look["color"], linestyle=look["linestyle"], lw=1)
    for x, value in enumerate(sweep.values, 1):
        groups = [records[sweep.condition(value, w)] for w in WORDS]
        if memorized(records[sweep.condition(value, "random")]) is False:
            hatch = HATCH if diverged(records, sweep, value) else None
            axes.axvspan(x - 0.5, x + 0.5, fc="0.88", ec="0.6", hatch=hatch, zorder=0, lw=0)
        mark_missing(axes, x, *groups)
    stops = threshold(records, sweep)
    left = None if stops is None else accuracy(records, sweep.condition(stops, "true"), "test_accuracy")
    if left is not None:
        x = 1 + sweep.values.index(stops)
        axes.annotate(f"{left:.1f} %", (x, 1), xycoords=("data", "axes fraction"), fontsize=5.5, ha="center")
    axes.set_xticks(places, ["none", *map(say, sweep.values)], fontsize=5.5, rotation=45)
    for label, value in zip(axes.get_xticklabels()[1:], sweep.values, strict=True):
        label.set_fontweight("bold" if value == sweep.practice else "normal")
    axes.set(ylim=(0, 105), xlim=(-0.5, len(sweep.values) + 0.5))
    axes.tick_params(axis="y", labelsize=6)


# --- claims ---------------------------------------------------------------------------------------


def _at_a_cost(sweep: Sweep, wanted: Specs) -> Claim:
    def measure(groups: dict[str, list[Record]]) -> Reading:
        stops = threshold(groups, sweep)
        base = accuracy(groups, sweep.twin("true"), "test_accuracy")
        fitted = bool(memorized(groups[sweep.twin("random")]))
        numbers: dict[str, list[float | None]] = {
            say(v): list(highest(groups[sweep.condition(v, "random")])) for v in sweep.values
        }
        if not fitted:
            return Reading(False, "random labels are not fitted without it either", numbers)
        if stops is None:
            return Reading(True, f"still fitted at the strongest, {say(sweep.values[-1])}", numbers)
        if diverged(groups, sweep, stops):
            return Reading(None, f"training diverges at {say(stops)}, the first strength that is not fitted", numbers)
        trained = accuracy(groups, sweep.condition(stops, "true"), "train_accuracy")
        if (trained or 0) < LEARNS:
            text = f"nothing is trained at {say(stops)}, the first that is not fitted: true labels {trained:.2f} %"
            return Reading(None, text, numbers)
        left = accuracy(groups, sweep.condition(stops, "true"), "test_accuracy")
        change = paired(groups, sweep, stops, "true", "test_accuracy")
        where = f"stops at {say(stops)}{fate_later(groups, sweep, stops)}"
        ours = f"{where}, test accuracy {left:.2f} % there, {base:.2f} % without"
        return Reading(max(change) < 0, ours, numbers | {"change (points)": list(change)})

    on = f", on {sweep.network}" if sweep.network != NETWORKS[0] else ""
    strengths = [say(v) for v in sweep.values]
    several = f"at {strengths[0]} to {strengths[-1]}" if len(strengths) > 2 else f"at {' and '.join(strengths)}"
    swept = "switched on" if strengths == ["on"] else several
    return Claim(
        name=f"{sweep.name}, no free stop",
        source="zhang2017, section 3, extended",
        statement=f"{sweep.regularizer}{on} does not stop memorization without a loss of test accuracy, {swept}",
        paper=paper_says(sweep),
        tolerance="random labels are fitted (99 % at some evaluation, most seeds) at every strength swept, or at the "
        "weakest at which they are not, test accuracy on true labels is below that without, in every seed; not judged "
        "where training diverges there, or the median of the last training accuracies on true labels is below "
        f"{LEARNS:g} %",
        conditions=(*sweep.keys, *tried_longer(sweep, wanted)),
        measure=measure,
        least_n=min(IMAGES.values()),
        least_seeds=3,
    )


def _stays(sweep: Sweep, told: str) -> Claim:
    conditions = tuple(sweep.condition(v, "random") for v in sweep.values)

    def measure(groups: dict[str, list[Record]]) -> Reading:
        first, second = (threshold(g, sweep) for g in (groups, _repeated(groups, told)))
        words = ["at none" if t is None else f"at {say(t)}" for t in (first, second)]
        return Reading(first == second, f"{words[0]}; {words[1]} with {told}", {})

    return Claim(
        name=f"{sweep.name}, {told}",
        source="the project's own question",
        statement=f"{sweep.regularizer} stops memorization at the same strength with {told}",
        paper="none",
        tolerance="the weakest strength swept at which random labels are not fitted (99 %, most seeds) is the same",
        conditions=conditions + tuple(again(c, told) for c in conditions),
        measure=measure,
        least_n=min(IMAGES.values()),
        least_seeds=3,
    )


def claims(setting: Setting) -> list[Claim]:
    wanted = runs(setting)
    return [
        *(_at_a_cost(sweep, wanted) for sweep in sweeps(setting)),
        *(_stays(sweep, told) for sweep, told, _ in _repeats(setting)),
    ]
