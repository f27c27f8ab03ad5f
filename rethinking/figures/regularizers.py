"""Every regularizer at the strength of practice, on identical networks: does it stop memorization, does it help?

[zhang2017] section 3: regularization may help generalization, but does not stop memorization. Each of the catalogue:
training accuracy on random labels, and the change of test accuracy on true labels against the same network without,
paired by seed.

    rethinking figure regularizers                 500 images, one seed: minutes
    rethinking figure regularizers --scale cpu     2,000 images (alexnet 1,000), three seeds
"""

from dataclasses import replace
from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import Setting
from rethinking.figures._parts import (
    UNSTATED,
    fits,
    fitted,
    highest,
    missing_note,
    percent,
    present,
)
from rethinking.figures._sweeps import (
    CAVEAT,
    CLEAN,
    EXTENSION,
    IMAGES,
    NETWORKS,
    PRECISE,
    RANDOM_LABEL,
    SIZE,
    TRIED,
    WORDS,
    Sweep,
    budget,
    changes,
    fate_later,
    idle,
    paired,
    paper_says,
    partly,
    row,
    runs_of,
    say,
    size,
    specs,
    sweeps,
    tried_longer,
    without,
)
from rethinking.figures.kit.panels import seeds_note
from rethinking.plotting import CONDITIONS, WIDTH, not_run
from rethinking.record import Record

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Training accuracy on random labels, and what test accuracy on true labels gains, at practice's strength."
DEPARTURES = [
    EXTENSION,
    "That a change is small is judged of each regularizer; that random labels cost 30 points, beside which it is "
    "small, once for each network, without a regularizer.",
    CAVEAT,
    CLEAN,
    TRIED,
    SIZE,
    UNSTATED,
]
HARMLESS = 10.0  # points of test accuracy
IDLE = "it never acts at that strength: every curve is that of the twin without"
COST = 30.0  # points of test accuracy that random labels cost
CHANCE = 10.0  # %
IMPLICIT = ("normalization", "data")


def runs(setting: Setting) -> Specs:
    return runs_of(setting, [(s, (s.practice,)) for s in sweeps(setting)])


def _networks(setting: Setting) -> list[str]:
    there = {s.network for s in sweeps(setting)}
    return [m for network in NETWORKS for m in (network, network + PRECISE) if m in there]


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    chosen = sweeps(setting)
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 0.17 * len(chosen) + 1.1), sharey=True)
    for y, sweep in enumerate(chosen):
        ours = present(highest(records[sweep.condition(sweep.practice, "random")]))
        twins = present(highest(records[sweep.twin("random")]))
        left.plot(twins, [y] * len(twins), "s", mec="0.4", mfc="none", ms=5, mew=0.6, clip_on=False)
        gains = paired(records, sweep, sweep.practice, "true", "test_accuracy")
        for axes, values, condition in ((left, ours, "random labels"), (right, gains, "true labels")):
            look = CONDITIONS[condition]
            if values:
                axes.plot(
                    values, [y] * len(values), look["marker"], color=look["color"], ms=3, alpha=0.8, clip_on=False
                )
                axes.plot([min(values), max(values)], [y, y], color=look["color"], lw=0.8)
            else:
                not_run(axes, y, fontsize=5)
    keys = [[s.condition(s.practice, w) for w in WORDS] for s in chosen]
    names = [f"{s.name}: {say(s.practice)}{partly(records, *k)}" for s, k in zip(chosen, keys, strict=True)]
    left.set_yticks(range(len(chosen)), names, fontsize=6)
    left.set_ylim(len(chosen) - 0.5, -0.5)
    left.axvline(99, color="0.4", lw=0.6, linestyle=":")
    left.set(xlabel=RANDOM_LABEL, xlim=(0, 102))
    right.axvline(0, color="0.4", lw=0.6)
    right.set_xlabel("true labels:\nchange of test accuracy (points)\nagainst the twin without")
    for axes in (left, right):
        axes.grid(axis="y", lw=0.3)
    before = chosen[0].family
    for y, sweep in enumerate(chosen):
        if sweep.family != before:
            for axes in (left, right):
                axes.axhline(y - 0.5, color="0.5", lw=0.6)
        before = sweep.family
    head = f"CIFAR-10, {size(setting)}, {seeds_note(setting.seeds)}{missing_note(records)}"
    told = f"filled: with, hollow: without; blocks: {', '.join(dict.fromkeys(s.family for s in chosen))}"
    figure.suptitle(f"{head}\n{budget(setting)}\n{told}", fontsize=7)
    return figure, {"table": _table(setting, records)}


def _table(setting: Setting, records: Records) -> list[dict[str, Any]]:
    change = "change of test accuracy (points)"
    table = []
    for network in _networks(setting):
        n = specs(setting, network, "true")[0].n
        alone = {w: without(network, w) for w in WORDS}
        twins = row(records, f"{network}, none", n, alone)
        table.append(twins | {change: [None if r is None else 0.0 for r in records[alone["true"]]]})
        for sweep in (s for s in sweeps(setting) if s.network == network):
            keys = {w: sweep.condition(sweep.practice, w) for w in WORDS}
            cells = row(records, f"{network}, {sweep.regularizer}, {say(sweep.practice)}", n, keys)
            table.append(cells | {change: changes(records, sweep, sweep.practice, "true", "test_accuracy")})
    return table


# --- claims ---------------------------------------------------------------------------------------


def _about(sweep: Sweep) -> str:
    on = f" on {sweep.network}" if sweep.network != NETWORKS[0] else ""
    return f"{sweep.regularizer} at practice's {say(sweep.practice)}{on}"


def _still_fitted(sweep: Sweep, wanted: Specs) -> Claim:
    condition = sweep.condition(sweep.practice, "random")

    def measure(groups: dict[str, list[Record]]) -> Reading:
        if idle(groups, sweep, "random"):
            return Reading(None, IDLE, {})
        reading = fits(groups, condition)
        ours = reading.ours + fate_later(groups, sweep, sweep.practice)
        return replace(reading, holds=reading.holds and fitted(groups[sweep.twin("random")]), ours=ours)

    return Claim(
        name=f"{sweep.name}, still fitted",
        source="zhang2017, section 3, extended",
        statement=f"with {_about(sweep)}, random labels are still fitted",
        paper=paper_says(sweep),
        tolerance="99 % training accuracy at some evaluation within the budget, in every seed and without it too",
        conditions=(condition, sweep.twin("random"), *tried_longer(sweep, wanted)),
        measure=measure,
        least_n=min(IMAGES.values()),
        least_seeds=3,
    )


def _harmless(sweep: Sweep) -> Claim:
    def measure(groups: dict[str, list[Record]]) -> Reading:
        if idle(groups, sweep, "true"):
            return Reading(None, IDLE, {})
        change = paired(groups, sweep, sweep.practice, "true", "test_accuracy")
        holds = all(abs(c) <= HARMLESS for c in change) and fitted(groups[sweep.twin("true")])
        return Reading(holds, spread(change, unit=" points"), {"change (points)": list(change)})

    return Claim(
        name=f"{sweep.name}, small change",
        source="zhang2017, section 3, extended",
        statement=f"{_about(sweep)} changes test accuracy on true labels by no more than {HARMLESS:g} points",
        paper="regularization tunes generalization, it does not cause it",
        tolerance="against the twin without, which fits true labels, in every seed",
        conditions=(sweep.condition(sweep.practice, "true"), sweep.twin("true")),
        measure=measure,
        least_n=min(IMAGES.values()),
        least_seeds=3,
    )


def _cost(network: str) -> Claim:
    conditions = tuple(without(network, word) for word in WORDS)

    def measure(groups: dict[str, list[Record]]) -> Reading:
        true, random = (percent(groups[c], "test_accuracy") for c in conditions)
        lost = [a - b for a, b in zip(present(true), present(random), strict=True)]
        held = fitted(groups[conditions[1]]) and min(lost) >= COST
        left = median(present(true)) - CHANCE
        text = f"{spread(lost, unit=' points')}; true labels are {left:.2f} above chance"
        return Reading(held, text, {"cost (points)": list(lost)})

    return Claim(
        name=f"random labels cost more, {network}",
        source="zhang2017, section 3, extended",
        statement=f"random labels cost {network} {COST:g} points of test accuracy or more",
        paper="test accuracy falls to chance",
        tolerance="against true labels, in every seed, random labels fitted",
        conditions=conditions,
        measure=measure,
        least_n=min(IMAGES.values()),
        least_seeds=3,
    )


def _medians(groups: dict[str, list[Record]], chosen: list[Sweep]) -> list[float]:
    acting = [s for s in chosen if not idle(groups, s, "true")]
    return [median(paired(groups, s, s.practice, "true", "test_accuracy")) for s in acting]


def _families(chosen: list[Sweep]) -> str:
    return ", ".join(dict.fromkeys(s.family for s in chosen))


def _survey(name: str, statement: str, paper: str, one: list[Sweep], rest: list[Sweep]) -> Claim:
    def measure(groups: dict[str, list[Record]]) -> Reading:
        ours, others = _medians(groups, one), _medians(groups, rest)
        if not ours or not others:
            return Reading(None, IDLE, {})
        holds = fitted(groups[without(NETWORKS[0], "true")]) and median(ours) > median(others)
        text = f"{median(ours):+.2f} points against {median(others):+.2f}"
        return Reading(holds, text, {"these (points)": list(ours), "the others (points)": list(others)})

    return Claim(
        name=name,
        source="the survey's claim on regularizers",
        statement=statement,
        paper=paper,
        tolerance=f"on {NETWORKS[0]}, of regularizers acting on {_families(one)} against {_families(rest)}: the "
        "median of their changes of test accuracy, each the median over seeds, is larger; without those that never act",
        conditions=tuple(c for s in (*one, *rest) for c in (s.condition(s.practice, "true"), s.twin("true"))),
        measure=measure,
        least_n=min(IMAGES.values()),
        least_seeds=3,
    )


def claims(setting: Setting) -> list[Claim]:
    chosen, wanted = sweeps(setting), runs(setting)
    same = [s for s in chosen if s.network == NETWORKS[0]]
    implicit = [s for s in same if s.family in IMPLICIT]
    explicit = [s for s in same if s.family not in IMPLICIT]
    data = [s for s in same if s.family == "data"]
    return [
        *(_still_fitted(s, wanted) for s in chosen),
        *(_harmless(s) for s in chosen),
        *(_cost(m) for m in _networks(setting) if m in NETWORKS),
        _survey(
            "implicit methods help more",
            "the median normalization or augmentation helps more than the median of the other regularizers",
            "implicit methods help more than explicit ones",
            implicit,
            explicit,
        ),
        _survey(
            "augmentation helps most",
            "the median augmentation helps more than the median of the other regularizers",
            "augmentation helps most",
            data,
            [s for s in same if s.family != "data"],
        ),
    ]
