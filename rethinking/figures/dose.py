"""How much longer do random labels take at rising strengths, how much is memorized, what becomes of true labels?

[zhang2017] tried three regularizers at one strength each, and found that they do not stop memorization, but for AlexNet
with weight decay (Table 4). Here every regularizer of the package, at rising strengths: time to fit random labels
relative to the baseline, the share of their bits memorized, and the change of test accuracy on true labels.

    rethinking figure dose                 500 images, one seed: minutes
    rethinking figure dose --scale cpu     2,000 images (alexnet 1,000), three seeds: hours
"""

import math
from dataclasses import replace
from statistics import median
from typing import Any

from rethinking.claims import CENSORED, exact
from rethinking.figures import Setting, _sweeps
from rethinking.figures._sweeps import LEAST, NETWORKS, RATIO, acting, budget
from rethinking.figures.kit import Claim, Frame, Spans, made
from rethinking.record import Record

OTHER_DATA = True
CAPTION = "Time to fit random labels, bits memorized, and change of test accuracy on true labels, at rising strength."
THEIRS = "Three regularizers at one strength each do not stop memorization, but for AlexNet with weight decay."
DEPARTURES = _sweeps.departures(
    "Where the loss becomes infinite, as with maxout of 6 and 8 pieces at this learning rate, training fails, which is "
    "no regularization.",
    "The budget cuts off what is compared: the more a strength slows true labels, the smaller is the largest ratio "
    "that can still be seen. Where random labels are not fitted within it, their time is a lower bound; where true "
    "labels are not, the strength is not compared at all. Figure budgets has runs of some of these strengths at twice "
    "the budget, and at eight times, most of them on random labels alone; they are not read here.",
)
grid, seeds, spec = _sweeps.grid, _sweeps.seeds, _sweeps.spec
TABLE = _sweeps.table()
HEIGHT = 8.2
SLOWED = 1.5  # times the baseline's: what takes random labels no longer hardly slows them
ALIKE = 1.5


def reached(record: Record) -> float | str:
    if record.result["status"] == "diverged":
        return "diverged"
    return record.steps_to_fit() or record.final["step"]


# Relative to the baseline, the time to fit or, of a censored run, its length: a lower bound.
BOUND = replace(RATIO, name="least_ratio", of=reached)
MEASURES = [BOUND]


def panels(setting: Setting) -> list[Spans]:
    time, *rest = _sweeps.panels(setting, "{regularizer}, {network}", shades="strength", blocks="family")
    label = time.xlabel.replace("random", "true")
    return [time, replace(time, only=_sweeps.TRUE, xlabel=label, shown_as="true labels", named=False), *rest]


def notes(setting: Setting) -> list[str]:
    return [budget(setting), _sweeps.BLOCKS]


def slower(t: Frame) -> dict[str, tuple[float, bool]]:
    """By regularizer and strength how much more random labels are slowed than true ones: the median over seeds.

    With it whether that is a lower bound, as random labels are censored in seeds that it depends on. Seeds that
    diverge, or whose true labels or baseline are not fitted, tell nothing. Strengths that do not slow random labels to
    more than SLOWED times the baseline's time are left out.
    """
    out = {}
    for name, part in acting(t).items():
        random, true = (part.where(labels=word) for word in ("random", "true"))
        rows = zip(random.values(BOUND), true.values(BOUND), random.cells(RATIO), true.cells(RATIO), strict=True)
        known = [(a, a / b, cell) for a, b, cell, fit in rows if isinstance(fit, float) and math.isfinite(a / b)]
        least = [each for each in known if each[2] == CENSORED or isinstance(each[2], float)]
        if least and exact(median(math.inf if cell == CENSORED else a for a, _, cell in least)) > SLOWED:
            factor = median(each for _, each, _ in least)
            out[name] = factor, factor != median(math.inf if cell == CENSORED else each for _, each, cell in least)
    return out


def alike(found: dict[str, tuple[float, bool]]) -> bool | None:
    """Whether no factor is above ALIKE; None where one may be, as it is a lower bound, or where there is none."""
    if any(exact(factor) > ALIKE for factor, _ in found.values()):
        return False
    return None if not found or any(bound for _, bound in found.values()) else True


def finding(t: Frame, network: str) -> str | None:
    if t.gone:
        return None
    fitted = {name: part for name, part in acting(t).items() if part.fitted}
    if not fitted:
        return "At no strength are both true and random labels fitted in every seed"
    known = {name for name, part in fitted.items() if all(isinstance(cell, float) for cell in part.cells(RATIO))}
    if not known:
        return None
    found = [factor for name, (factor, _) in slower(t).items() if name in known]
    told = f"Of {len(known)} strengths at which every seed fits true and random labels, "
    if not found:
        return f"{told}none slows random labels more than {SLOWED:g} times"
    return (
        f"{told}{len(found)} slow random ones over {SLOWED:g} times, and at most "
        f"{math.ceil(100 * max(found)) / 100:.2f} times as much as true"
    )


def most_different(found: dict[str, tuple[float, bool]]) -> str:
    if not found:
        return f"none slows random labels more than {SLOWED:g} times where true labels and the baseline are fitted"
    name = max(found, key=lambda name: found[name][0])
    factor, bound = found[name]
    bounds = sum(bound for _, bound in found.values())
    told = f"{len(found)} strengths, {'at least ' * bound}{factor:.2f} times as much at the most: {name}"
    return f"{told}; {bounds} known only from below" if bounds else told


def slowed(
    *random: float | str,
    true: float | str = 1.0,
    strengths: tuple[float, ...] = (1.0, 1.0, 1.0),
    cut: int = 0,
    late: str = CENSORED,
) -> Frame:
    """Made up: how many times as long random labels take, by seed; the same of true ones, or their state.

    cut: of random labels the last so many have no time but a lower bound. late: their state.
    """
    count = len(random)
    columns: dict[str, Any] = {"labels": ["random"] * count + ["true"] * count, "network": "a", "regularizer": "b"}
    fitted: list[float | str] = [1.0] * (count - cut) + [late] * cut
    columns |= {"strength": [*strengths[:count]] * 2, "steps_ratio": [*fitted, *[true] * count]}
    return made(least_ratio=[*random, *[1.0 if isinstance(true, str) else true] * count], **columns)


def claims(setting: Setting) -> list[Claim]:
    there = {sweep.network for sweep in _sweeps.sweeps(setting)}
    return [
        Claim(
            id="dose.slowed_alike.{network}",
            name="slowed alike, {network}",
            each={"network": [m for m in NETWORKS if m in there]},
            source="the project's own question",
            statement="on {network} no strength of a regularizer slows random labels much more than true ones",
            paper="none",
            rule=f"at every strength that slows random labels (their time to fit over the baseline's) more than "
            f"{SLOWED:g} times, it slows them at most {ALIKE:g} times as much as true labels, each in the median over "
            "seeds; a censored time of random labels counts as slower than that, and in the comparison as the budget, "
            "which gives a lower bound: it can speak against the claim and not for it, and where it does neither, the "
            "claim is not judged; seeds that diverge, or whose true labels or baseline are not fitted, are left out; a "
            "rule made after the runs, and changed twice later: before, a lower bound spoke for it, and strengths that "
            "hardly slow random labels counted",
            finds=slower,
            holds=alike,
            ours=most_different,
            numbers=lambda found: {name: [factor] for name, (factor, _) in found.items()},
            met=[
                *(slowed(1.6, 3.0, 9.0, true=2.0), slowed(3.0, "diverged", true=2.0)),
                slowed(2.0, 2.2, 2.4, true=2.0, cut=1),
            ],
            missed=[
                *(slowed(1.6, 3.1, 9.0, true=2.0), slowed(3.0, 3.2, true=2.0, strengths=(1.0, 2.0))),
                *(slowed(1.6, cut=1), slowed(1.51, true=0.5)),
            ],
            unjudged=[
                *(slowed(1.6, true=CENSORED), slowed(1.5, cut=1), slowed(1.0, 1.2, 1.4, cut=2)),
                *(slowed(1.0, cut=1, late="baseline censored"), slowed(1.5, true=0.5)),
            ],
            **LEAST,
        )
    ]
