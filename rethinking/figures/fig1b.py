"""Figure 1(b): the time to fit grows by a small constant factor as labels are corrupted.

[zhang2017] Figure 1(b): steps to fit the training set at label corruption p, relative to p = 0, for Inception, AlexNet
and MLP 1x512: between 1 and 4. Every network starts fresh at every p. "Fitted" is the first evaluation with 99 %
training accuracy; a run that does not get there is drawn as censored, never as a number.

    rethinking figure fig1b                   reduced; `rethinking plan` says how long
    rethinking figure fig1b --scale cpu       MLP 1x512 on all 50,000 images, the others reduced: hours
    rethinking figure fig1b --scale paper     the paper's sizes, for a GPU
"""

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from rethinking.claims import CENSORED, Claim, Reading, Records, Specs, told
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import (
    BUDGET,
    LEVELS,
    STATISTIC,
    UNSTATED,
    fitted,
    labels,
    least_seeds,
    line,
    mark_missing,
    missing_note,
    seeds_note,
    size_note,
    times_to_fit,
)
from rethinking.plotting import NETWORKS, WIDTH
from rethinking.record import Record
from rethinking.spec import RunSpec

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Steps to 99 % training accuracy relative to p = 0 of the same seed, against label corruption p."
DEPARTURES = [
    '"Fitted" is the first evaluation with 99 % training accuracy; the paper names no rule.',
    UNSTATED,
    "The time is known to one evaluation: an epoch at full size, four epochs where reduced.",
    BUDGET,
    "quick, and Inception and AlexNet at cpu: fewer images.",
]
COMPARED = ["inception", "alexnet", "mlp-1x512"]


def name(network: str, p: float) -> str:
    """The condition of a network at p."""
    return f"{network}, p = {p:g}"


def runs(setting: Setting) -> Specs:
    def spec(network: str, p: float, seed: int) -> RunSpec:
        if network == "inception" and p == 0 and seed == 0:  # goes on to the end: a row of Table 1
            return setting.spec(seed, model=network)
        return setting.until_fitted(seed, model=network, corruptions=labels(p))

    return {
        name(network, p): [spec(network, p, k) for k in setting.seeds_of(network)]
        for network in COMPARED
        for p in LEVELS
    }


def ratios(
    records: Records | dict[str, list[Record]], network: str, levels: Sequence[float] = LEVELS
) -> dict[float, list[float | None]]:
    """Time to fit relative to p = 0 of the same seed, by p.

    None where a run is missing, infinite where it is censored, NaN where p = 0 is.
    """
    base = records[name(network, 0.0)]
    out: dict[float, list[float | None]] = {}
    for p in levels:
        out[p] = []
        for zero, record in zip(base, records[name(network, p)], strict=True):
            if zero is None or record is None:
                out[p].append(None)
                continue
            start, steps = zero.steps_to_fit(), record.steps_to_fit()
            out[p].append(math.nan if start is None else math.inf if steps is None else steps / start)
    return out


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(WIDTH * 0.7, 3.0))
    found = {network: ratios(records, network) for network in COMPARED}
    top = 1.15 * max([4.0, *(v for each in found.values() for values in each.values() for v in _finite(values))])
    for network, each in found.items():
        look = NETWORKS[network]
        numbers = {p: _finite(values) for p, values in each.items()}
        n = setting.spec(0, model=network).n or 0
        grid = [r.curve["step"][1] / t for r in records[name(network, 0.0)] if r and (t := r.steps_to_fit())]
        read = f", read to within {max(grid):.2f}" if grid else ""  # a fit is seen at the next evaluation
        label = f"{network}: {size_note(n)}, {seeds_note(len(setting.seeds_of(network)))}{read}"
        line(axes, numbers, look, label if any(numbers.values()) else None)
        if not any(numbers.values()):
            ran = any(r for p in LEVELS for r in records[name(network, p)])
            axes.plot([], [], " ", label=f"{network}: {'no ratio, p = 0 missing or censored' if ran else 'not run'}")
        for p, values in each.items():
            if math.inf in values:
                axes.plot(p, 0.97 * top, marker=6, color=look["color"], ms=6)
                axes.annotate(CENSORED, (p, 0.96 * top), fontsize=6, rotation=90, ha="center", va="top")
    for p in LEVELS:
        mark_missing(axes, p, *(records[name(network, p)] for network in COMPARED))
    axes.axhspan(1, 4, color="0.93", zorder=0)
    axes.annotate("the paper's range, 1 to 4", (1.02, 4.04), fontsize=6, ha="right", color="0.35")
    axes.set(xlabel="label corruption p", ylabel="time to fit relative to p = 0 (ratio of steps)", xlim=(-0.03, 1.03))
    axes.set_ylim(0, top)
    axes.legend(loc="upper left", bbox_to_anchor=(0.0, 0.88))
    figure.suptitle(f"CIFAR-10{missing_note(records)}\n{STATISTIC}", fontsize=7)
    return figure, {"n": {m: setting.spec(0, model=m).n for m in COMPARED}, "table": _table(setting, records)}


def _table(setting: Setting, records: Records) -> list[dict[str, Any]]:
    rows = []
    for network in COMPARED:
        each = ratios(records, network)
        for p in LEVELS:
            ratio = [None if v is None else _word(v) for v in each[p]]
            n = setting.spec(0, model=network).n
            rows.append(
                {"run": name(network, p), "n": [n], "steps": times_to_fit(records[name(network, p)]), "ratio": ratio}
            )
    return rows


def _finite(values: Sequence[float | None]) -> list[float]:
    return [v for v in values if v is not None and math.isfinite(v)]


def _word(ratio: float) -> float | str:
    return "p = 0 censored" if math.isnan(ratio) else CENSORED if math.isinf(ratio) else ratio


def _factor(network: str) -> Claim:
    def measure(groups: dict[str, list[Record]]) -> Reading:
        each = {p: [v for v in values if v is not None] for p, values in ratios(groups, network).items()}
        known = not any(math.isnan(v) for values in each.values() for v in values)
        ours = f"at p = 0.5 {_told(each[0.5])}, at p = 1 {_told(each[1.0])}"
        small = known and all(1 <= median(v) <= 4 for v in each.values())
        return Reading(small and median(each[1.0]) > 1, ours, _numbers(each))

    return Claim(
        name=f"constant factor, {network}",
        source="zhang2017, Figure 1(b)",
        statement=f"corrupted labels slow the fit of {network} by a small constant factor",
        paper="between 1 and 4, for every p",
        tolerance="medians over seeds between 1 and 4 at every p, above 1 at p = 1; a censored run is above 4; "
        "p = 0 is always fitted",
        conditions=tuple(name(network, p) for p in LEVELS),
        measure=measure,
        least_n=FULL,
        least_seeds=least_seeds(network),
    )


def _slower(network: str) -> Claim:
    def measure(groups: dict[str, list[Record]]) -> Reading:
        each = {p: [v for v in values if v is not None] for p, values in ratios(groups, network, (0.0, 1.0)).items()}
        held = fitted(*groups.values()) and median(each[1.0]) > 1
        return Reading(held, f"at p = 1 {_told(each[1.0])}", _numbers(each))

    return Claim(
        name=f"slower, {network}",
        source="zhang2017, Figure 1(b)",
        statement=f"{network} fits random labels more slowly than true ones",
        paper="slower, for every network",
        tolerance="the median over seeds of the ratio at p = 1 is above 1, every run fitted; from n = 2,000 on",
        conditions=(name(network, 0.0), name(network, 1.0)),
        measure=measure,
        least_n=2000,
        least_seeds=least_seeds(network),
    )


def _numbers(each: dict[float, list[float]]) -> dict[str, list[float | None]]:
    return {f"p = {p:g}": [v if math.isfinite(v) else None for v in values] for p, values in each.items()}


def _told(values: list[float]) -> str:
    return told([_word(v) for v in values])


def claims(setting: Setting) -> list[Claim]:
    return [*map(_factor, COMPARED), *map(_slower, COMPARED)]
