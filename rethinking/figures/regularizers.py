"""Every regularizer at its typical strength, on identical networks: does it stop memorization, does it help?

[zhang2017] section 3: regularization may help generalization, but does not stop memorization. Each regularizer of the
package: how much longer random labels take to be fitted than without it, how many of their bits are memorized, and the
change of test accuracy on true labels, paired by seed.

    rethinking figure regularizers                 500 images, one seed: minutes
    rethinking figure regularizers --scale cpu     2,000 images (alexnet 1,000), three seeds
"""

import math
from dataclasses import replace
from statistics import median
from typing import Any

from rethinking.claims import exact, rounded
from rethinking.constants import FAMILIES
from rethinking.figures import Setting, _sweeps
from rethinking.figures._sweeps import BASELINE, CHANGE, LEAST, NETWORKS, RANDOM, RATIO, TEST, TRUE, acting, budget
from rethinking.figures.kit import Claim, Conditions, Frame, Spans, fits, listed, made
from rethinking.figures.kit.measures import Paired

OTHER_DATA = True
CAPTION = "Time to fit random labels, bits memorized, and change of test accuracy on true labels, at typical strength."
TIMES = {"dropout": 2}
THEIRS = "Of three regularizers: they may help generalization, and do not stop memorization."
DEPARTURES = _sweeps.departures(
    "Random labels with dropout have twice the budget: its authors say that it takes two to three times as long to "
    "train (Srivastava et al. 2014, conclusion). Within the usual budget they are not fitted.",
    "True labels with dropout have the usual budget all the same. Where they are not fitted within it, as the table "
    "says, the change of test accuracy is that of a network which is not trained to the end.",
)


def grid(setting: Setting) -> Conditions:
    usual = _sweeps.grid(setting, typical=True)
    longer = {c["regularizer"]: {"times": TIMES[c["regularizer"]]} for c in usual if c["regularizer"] in TIMES}
    given = [c | longer.get(c["regularizer"], {}) if c["labels"] == "random" else c for c in usual]
    return Conditions(usual.naming, given)


seeds, spec = _sweeps.seeds, _sweeps.spec
# Whether a regularizer ever acts: not where every curve is the baseline's, to the last bit.
ACTS = Paired("acts", "", lambda run, base: run.difference(base) is not None, baseline=tuple(BASELINE.items()))
MEASURES = [ACTS]
HEIGHT = 6.4


def fits_true(t: Frame) -> bool | None:
    """Whether every run on true labels is fitted; None where one is missing."""
    true = t.where(**TRUE)
    return None if true.gone else true.fitted


TABLE = _sweeps.table()
TABLE = replace(TABLE, columns=dict(TABLE.columns) | {"true labels fitted in every seed": fits_true})


def panels(setting: Setting) -> list[Spans]:
    return _sweeps.panels(setting, _sweeps.NAME, blocks="family")


def notes(setting: Setting) -> list[str]:
    return [budget(setting), "random labels with dropout: twice as many", _sweeps.BLOCKS]


def finding(t: Frame, network: str) -> str | None:
    if t.gone:
        return None
    parts = acting(t)
    changes = [part.one(CHANGE, **TRUE) for part in parts.values()]
    fitted = [part.where(**RANDOM).data["times"].max() for part in parts.values() if part.where(**RANDOM).fitted]
    longer = sum(times > 1 for times in fitted)
    fit = f"Random labels are fitted in {len(fitted)} of {pairs(t)}"
    if longer:
        fit = (
            f"Of {len(parts)} pairs of network and regularizer {len(fitted) - longer} fit random labels, {longer} more "
        )
        fit += "at twice the budget"
    return (
        f"{fit}; test accuracy on true labels changes by {rounded(min(changes)):+.1f} to {rounded(max(changes)):+.1f} "
        "points"
    )


def pairs(t: Frame) -> str:
    """How many there are to count: "30 pairs of network and regularizer (25 regularizers)"."""
    names = {name for part in acting(t).values() for name in part.data["regularizer"].iloc[0].split(" with ")}
    return f"{len(acting(t))} pairs of network and regularizer ({len(names)} regularizers)"


def slowest(t: Frame) -> str:
    ratios = {name: r for name, part in acting(t).items() if not math.isnan(r := part.median(RATIO))}
    if not ratios:
        return f"{pairs(t)}; the baseline is not fitted"
    most = max(ratios, key=lambda name: ratios[name])
    return f"{pairs(t)}; at most {acting(t)[most].text(RATIO)} times the baseline's time: {most}"


def shares(t: Frame) -> dict[str, list[float]]:
    """By regularizer the size of its change over what random labels cost the same network, seed by seed."""
    out = {}
    for part in t.groups("network").values():
        true, random = (part.where(regularizer="none", labels=word).values(TEST) for word in ("true", "random"))
        costs = [a - b for a, b in zip(true, random, strict=True)]
        for name, one in acting(part).items():
            changes = one.where(**TRUE).values(CHANGE)
            out[name] = [abs(c) / cost if cost > 0 else math.inf for c, cost in zip(changes, costs, strict=True)]
    return out


def small(t: Frame) -> bool:
    return t.where(regularizer="none").fitted and exact(max(max(v) for v in shares(t).values()) - 1 / 3) <= 0


def largest(t: Frame) -> str:
    found = shares(t)
    name = max(found, key=lambda name: max(found[name]))
    change = acting(t.where(**TRUE))[name].spread(CHANGE, " points")
    most = max(found[name])
    share = f"at most {most:.2f} of it" if math.isfinite(most) else "random labels cost nothing in a seed"
    return f"{share}: {name}, {change}"


def costing(true: float, change: float, state: str = "fitted") -> Frame:
    """Made up: a baseline's test accuracy on true labels, 10 % on random ones, and what a regularizer changes."""
    columns: dict[str, Any] = {"network": "a", "regularizer": ["none", "none", "b"], "strength": 1.0}
    columns |= {"labels": ["true", "random", "true"], "test_accuracy": [true, 10.0, true + change]}
    return made(change=[0.0, 0.0, change], state=["fitted", state, "fitted"], **columns)


def middles(t: Frame, families: list[str]) -> list[float]:
    """The median change of every regularizer of these families that acts."""
    parts = [part for part in acting(t).values() if part.data["family"].iloc[0] in families]
    return [part.median(CHANGE) for part in parts if any(part.values(ACTS))]


def survey(key: str, what: str, name: str, paper: str, one: list[str]) -> Claim:
    """That the median regularizer of some families helps more than that of the others."""
    rest = [family for family in FAMILIES if family not in one]

    def holds(t: Frame) -> bool | None:
        ours, others = middles(t, one), middles(t, rest)
        return t.where(regularizer="none").fitted and median(ours) > median(others) if ours and others else None

    def ours(t: Frame) -> str:
        both = (middles(t, one), middles(t, rest))
        return " against ".join(f"{median(values):+.2f} points" if values else "none acts" for values in both)

    def pair(ours: float, others: float, acts: float = 1.0, state: str = "fitted") -> Frame:
        """Made up: the changes of a regularizer of each side; whether the first acts; the state of the baseline."""
        columns: dict[str, Any] = {"network": "a", "regularizer": ["none", "b", "c"], "strength": 1.0}
        columns |= {"family": ["none", one[0], rest[0]], "change": [0.0, ours, others], "acts": [0.0, acts, 1.0]}
        return made(state=[state, "fitted", "fitted"], **columns)

    return Claim(
        id=f"regularizers.{key}",
        name=name,
        where={"network": NETWORKS[0], "labels": "true"},
        source="Yousan AI 2019, on regularizers",
        statement=f"{what} helps more than the other regularizers, in the median",
        paper=paper,
        rule=f"on {NETWORKS[0]}, the median change of test accuracy is larger over regularizers that act on "
        f"{listed(one)} than over those that act on {listed(rest)}; each change is the median over seeds, and "
        "regularizers that never act are left out; every run without a regularizer is fitted",
        holds=holds,
        ours=ours,
        numbers=lambda t: {"these (points)": list(middles(t, one)), "the others (points)": list(middles(t, rest))},
        met=[pair(1.1, 1.0)],
        missed=[pair(1.0, 1.0), pair(1.1, 1.0, state="censored")],
        unjudged=[pair(1.1, 1.0, acts=0.0)],
        **LEAST,
    )


IMPLICIT, IMPLICIT_NAME = ["normalization", "data"], "implicit methods help more"
CLAIMS = [
    fits(
        id="regularizers.fitted",
        name="still fitted",
        where=RANDOM,
        source="zhang2017, section 3, extended",
        statement="with every regularizer at its typical strength random labels are still fitted",
        paper="regularization does not stop memorization",
        rule="every seed reaches 99 % training accuracy at some evaluation within the budget, which is 5 times the "
        "baseline's time with seed 0, or with dropout within twice that, as its authors say that it takes two to three "
        "times as long; a rule made after the runs, of which dropout's were censored within the budget",
        asked="every seed reaches 99 % training accuracy at some evaluation within the budget, or with dropout within "
        "twice that",
        ours=slowest,
        **LEAST,
    ),
    Claim(
        id="regularizers.small_change",
        name="small change",
        source="zhang2017, section 3, extended",
        statement="no regularizer at its typical strength changes test accuracy by more than a third of what random "
        "labels cost",
        paper="regularization tunes generalization, it does not cause it",
        rule="in every seed, on true labels, the change against the baseline is at most a third of what random labels "
        "cost: the baseline's test accuracy on true labels minus that on random ones; both are fitted; a rule made "
        "after the runs",
        holds=small,
        ours=largest,
        numbers=lambda t: {
            "of the cost, by regularizer": [m if math.isfinite(m := max(v)) else None for v in shares(t).values()]
        },
        met=[costing(40.0, 9.9)],
        missed=[costing(40.0, 10.1), costing(40.0, -10.1), costing(40.0, 9.9, "censored"), costing(10.0, 0.1)],
        **LEAST,
    ),
    survey("implicit", "normalization or augmentation", IMPLICIT_NAME, f"{IMPLICIT_NAME} than explicit ones", IMPLICIT),
    survey("augmentation", "augmentation", "augmentation helps most", "augmentation helps most", ["data"]),
]
