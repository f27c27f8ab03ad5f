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
)
grid, seeds, spec = _sweeps.grid, _sweeps.seeds, _sweeps.spec
TABLE = _sweeps.table()
HEIGHT = 8.2
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
    diverge, or whose true labels or baseline are not fitted, tell nothing.
    """
    out = {}
    for name, part in acting(t).items():
        random, true = (part.where(labels=word) for word in ("random", "true"))
        rows = zip(random.values(BOUND), true.values(BOUND), random.cells(RATIO), true.cells(RATIO), strict=True)
        known = [(a / b, cell) for a, b, cell, fit in rows if isinstance(fit, float) and math.isfinite(a / b)]
        least = [(each, cell) for each, cell in known if cell == CENSORED or isinstance(cell, float)]
        if least:
            factor = median(each for each, _ in least)
            out[name] = factor, factor != median(math.inf if cell == CENSORED else each for each, cell in least)
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
    found = [factor for name, (factor, _) in slower(t).items() if name in known]
    if not found:
        return None
    return (
        f"Of {len(found)} strengths at which every seed fits true and random labels, none slows random labels more "
        f"than {math.ceil(100 * max(found)) / 100:.2f} times as much as true ones"
    )


def most_different(found: dict[str, tuple[float, bool]]) -> str:
    if not found:
        return "at no strength are true labels and the baseline fitted"
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
            rule="at every strength, random labels are slowed (their time to fit over the baseline's) at most "
            f"{ALIKE:g} times as much as true labels, in the median over seeds; a censored time of random labels "
            "counts as the budget, so that this median is a lower bound, which can speak against the claim and not for "
            "it: where it does neither, the claim is not judged; seeds that diverge, or whose true labels or baseline "
            "are not fitted, are left out; a rule made after the runs, and made stricter later: a lower bound spoke "
            "for it",
            finds=slower,
            holds=alike,
            ours=most_different,
            numbers=lambda found: {name: [factor] for name, (factor, _) in found.items()},
            met=[slowed(1.0, 3.0, 9.0, true=2.0), slowed(1.5, "diverged"), slowed(1.0, 1.2, 1.4, cut=1)],
            missed=[slowed(1.0, 3.1, 9.0, true=2.0), slowed(1.0, 1.6, strengths=(1.0, 2.0)), slowed(1.6, cut=1)],
            unjudged=[
                *(slowed(1.6, true=CENSORED), slowed(1.5, cut=1), slowed(1.0, 1.2, 1.4, cut=2)),
                slowed(1.0, cut=1, late="baseline censored"),
            ],
            **LEAST,
        )
    ]
