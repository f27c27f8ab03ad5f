"""Every (regularizer, strength) as a point: how much it slows random labels against what it does to true ones.

[zhang2017] holds that regularization does not stop memorization, and that its help is of another kind. If slowing
memorization were what helps, points would rise to the right; if it always cost accuracy, they would fall.

    rethinking figure frontier                 500 images, one seed: minutes
    rethinking figure frontier --scale cpu     2,000 images (alexnet 1,000), three seeds: the runs of dose
"""

import math
from typing import Any

from rethinking.figures import Setting, _sweeps
from rethinking.figures._sweeps import CHANGE, LEAST, RANDOM, RATIO, TRUE, acting, budget
from rethinking.figures.kit import Claim, Frame, Points, made, mostly

OTHER_DATA = True
CAPTION = "Time to fit random labels against the change of test accuracy, and against time to fit, on true labels."
THEIRS = "Regularization does not stop memorization, and its help is of another kind. The paper varies no strength."
DEPARTURES = _sweeps.departures(
    "Augmented images differ at every step: a network that does not fit them within the budget may have the capacity "
    "to, and the paper fits them, with a slower decay of the learning rate, in Table 4.",
)
grid, seeds, spec = _sweeps.grid, _sweeps.seeds, _sweeps.spec
TABLE = _sweeps.table()
SLOW = 4.0  # times as long as the baseline: what random labels cost at the most in Figure 1(b), and within the budget
HEIGHT = 4.4


def panels(setting: Setting) -> list[Points]:
    both: dict[str, Any] = {"x": (RATIO, RANDOM), "by": _sweeps.NAME, "hue": "family", "xticks": _sweeps.TICKS}
    both |= {"mark": SLOW, "xlim": _sweeps.limits(setting, 0.28, 5.6)}
    both |= {"xlabel": "random labels: time to fit relative\nto the baseline, logarithmic"}
    changed: dict[str, Any] = {"ylabel": "true labels: change of test accuracy (points)", "reference": (0, "")}
    timed: dict[str, Any] = {"ylabel": "true labels: time to fit relative\nto the baseline, logarithmic"}
    timed |= {"yticks": _sweeps.TICKS, "ylim": _sweeps.limits(setting, 0.28, 7.2)}
    timed |= {"legend": "outside lower center", "diagonal": True}
    return [
        Points(y=(CHANGE, TRUE), names=True, legend=None, **changed, **both),
        Points(y=(RATIO, TRUE), **timed, **both),
    ]


def notes(setting: Setting) -> list[str]:
    return [budget(setting), f"dotted: {SLOW:g} times the baseline's time, and no change; right: equal times"]


def slow(t: Frame, fits: bool = True) -> dict[str, float] | None:
    """What becomes of true labels that every seed fits, with what slows random ones much and does not diverge on them.

    fits: False for the strengths at which a seed does not fit true labels, and most do not diverge on them. None where
    a time has nothing to be compared with, as the baseline is not fitted.
    """
    out = {}
    for name, part in acting(t).items():
        random, true = (part.where(labels=word) for word in ("random", "true"))
        if true.fitted != fits or mostly(random, "diverged") or mostly(true, "diverged"):
            continue
        if math.isnan(ratio := random.median(RATIO)):
            return None
        if ratio > SLOW:
            out[name] = true.median(CHANGE)
    return out


def finding(t: Frame, network: str) -> str | None:
    found = None if t.gone else slow(t)
    if found is None or not any(part.where(labels="true").fitted for part in acting(t).values()):
        return None
    if not found:
        return f"No strength that fits true labels slows random ones to more than {SLOW:g} times the baseline's time"
    free = sum(change >= 0 for change in found.values())
    left = slow(t, fits=False) or {}
    return (
        f"Of {len(found) + len(left)} strengths without divergence that slow random labels over {SLOW:g} times or "
        f"leave them unfitted, {len(found)} fit true ones, and {free} of these cost no test accuracy"
    )


def gainers(found: dict[str, float] | None) -> str:
    if found is None:
        return "a baseline is not fitted"
    if not found:
        return f"none that fits true labels slows random ones to more than {SLOW:g} times the baseline's time"
    free = [f"{name} {change:+.2f}" for name, change in found.items() if change >= 0]
    named = f"; the others change it by: {', '.join(free)} points" if free else ""
    return f"{len(found) - len(free)} of {len(found)} strengths that slow them so much cost test accuracy{named}"


def point(ratio: float | str, change: float, state: str = "fitted", true: str = "fitted") -> Frame:
    """Made up: a strength that costs, and one that slows random labels so much, and changes test accuracy so.

    state, true: of the latter's runs on random and on true labels.
    """
    columns: dict[str, Any] = {"labels": ["random", "true"] * 2, "regularizer": "b", "network": "a"}
    columns |= {"strength": [1.0, 1.0, 2.0, 2.0], "change": [0.0, -1.0, 0.0, change]}
    return made(steps_ratio=[4.1, 4.1, ratio, 1.0], state=["fitted", "fitted", state, true], **columns)


def claims(setting: Setting) -> list[Claim]:
    families = dict.fromkeys(_sweeps.family_of(sweep.regularizer) for sweep in _sweeps.sweeps(setting))
    return [
        Claim(
            id=f"frontier.slow_costs.{family}",
            name=f"slow costs, {family}",
            where={"family": ["none", family]},
            source="the project's own question",
            statement=f"where regularizers that act on {family} slow random labels much, and true ones are still "
            "fitted, they cost test accuracy on true ones",
            paper="none",
            rule="at every strength at which true labels are fitted in every seed, and random labels take more than "
            f"{SLOW:g} times the baseline's time or are not fitted within the budget, in the median over seeds, the "
            "median change of test accuracy is below 0; strengths at which most seeds diverge on random labels are "
            "left out; a rule made after the runs, and changed later: before, strengths at which true labels are not "
            "fitted counted too, where test accuracy is that of a network which is not trained to the end",
            finds=slow,
            holds=lambda found: all(change < 0 for change in found.values()) if found else None,
            ours=gainers,
            numbers=lambda found: {name: [change] for name, change in (found or {}).items()},
            met=[
                *(point(4.1, -0.1), point("censored", -0.1, "censored"), point(4.0, 0.0)),
                *(point("censored", 0.0, "diverged"), point("censored", 0.0, "censored", "censored")),
            ],
            missed=[point(4.1, 0.0), point("censored", 0.0, "censored")],
            unjudged=[
                *(point(4.0, 0.0).where(strength=2.0), point("baseline censored", -0.1)),
                point("censored", -0.1, "censored", "censored").where(strength=2.0),
            ],
            **LEAST,
        )
        for family in families
    ]
