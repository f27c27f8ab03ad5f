"""Figure 1(c): test error after the fit rises to chance as labels are corrupted.

[zhang2017] Figure 1(c): test error against label corruption p, over the runs of Figure 1(b); at p = 1 it is 90 %.

    rethinking figure fig1c                   reduced, the runs of fig1b; `rethinking plan` says how long
    rethinking figure fig1c --scale cpu       MLP 1x512 on all 50,000 images, the others reduced: hours
    rethinking figure fig1c --scale paper     the paper's sizes: days on two cores, for a GPU
"""

from itertools import accumulate
from typing import Any

from rethinking.claims import exact, rounded
from rethinking.figures import Setting, Subject
from rethinking.figures._parts import UNSTATED, at_chance, least_seeds, near_chance
from rethinking.figures._score import Score
from rethinking.figures.fig1b import NETWORKS, OVER_P, REDUCED, grid, networks, spec
from rethinking.figures.kit import Claim, Frame, Lines, Table, along, error, listed
from rethinking.figures.table1 import BY_NAME
from rethinking.plotting import NAMES

__all__ = ["grid", "spec"]  # of fig1b: the same runs

OTHER_DATA = ONE_NETWORK = True
CAPTION = "Test error after training against label corruption p."
THEIRS = "The test error of the three networks rises with the corruption, to 90 % at random labels."
DEPARTURES = [
    "Test error at the end of the run, whether it fitted or not, on all 10,000 test images with their true labels.",
    UNSTATED,
    *REDUCED,
]
ERROR = error("test_accuracy")
TABLE = Table("run", {"test error (%)": ERROR})
PAPER = {m: {0.0: 100 - BY_NAME[m].test, 1.0: 100 - BY_NAME[f"{m}, random labels"].test} for m in NETWORKS}  # Table 1


def panels(setting: Setting) -> list[Lines]:
    chance = 100 - setting.subject.chance
    paper, text = PAPER if setting.subject.papers else {}, f"chance, {chance:g} %"
    return [Lines(y=ERROR, paper=paper, reference=(chance, text), ylim=(0, 100), legend="lower right", **OVER_P)]


def finding(t: Frame, network: str) -> str:
    none, every = (t.known(ERROR, "network", p=p) for p in (0.0, 1.0))
    both = [f"{rounded(none[m]):.1f} to {rounded(every[m]):.1f} % ({NAMES.get(m, m)})" for m in none if m in every]
    return f"From true to random labels the test error goes from {listed(both)}"


EACH: dict[str, Any] = {"source": "zhang2017, Figure 1(c)", "least_n": 2000, "least_seeds": least_seeds}
SCORES = [Score(f"{NAMES[m]}, p = 1", claim=f"fig1c.chance.{m}") for m in NETWORKS]
NOT_RISING = along(ERROR, [83, 81.9, 88.1], [83, 85, 87.9], [83.1, 85, 88], [50, 70, 92.1])


def rises(t: Frame, of: Subject, slack: float) -> bool | None:
    """slack: points by which an error may fall where it should rise."""
    middle = list(t.medians(ERROR, "p").values())
    steady = all(exact(a - b) <= slack for a, b in zip(accumulate(middle, max), middle[1:], strict=False))
    return t.fitted and steady and exact(middle[-1] - middle[0]) >= 5 and near_chance(of, middle[-1:], error=True)


def claims(setting: Setting) -> list[Claim]:
    of, each = setting.subject, EACH | {"each": {"network": networks(setting)}}
    chance, slack = 100 - of.chance, 1.0 if of.papers else of.tolerance
    return [
        Claim(
            id="fig1c.rises.{network}",
            name="rises with p, {network}",
            statement="the test error of {network} rises with p",
            paper="rises to 90 %",
            rule=f"the median over seeds is never more than {slack:g} point{'s' * (slack > 1)} below the highest at "
            f"any smaller p; at p = 1 it is {of.within} of {chance:g} %, and at least 5 points above p = 0; every run "
            "is fitted; judged from n = 2,000 on",
            holds=lambda t: rises(t, of, slack),
            ours=lambda t: ", ".join(f"{t.where(p=p).spread(ERROR, ' %')} at p = {p:g}" for p in (0.0, 0.5, 1.0)),
            numbers=lambda t: t.numbers_by(ERROR, "p", "p = {:g}"),
            met=along(ERROR, [83.0, 82.0, 88.0]),
            missed=NOT_RISING + along(ERROR, [50.0, 70.0, 90.0], state="censored"),
            **each,
        ),
        at_chance(
            of,
            ERROR,
            error=True,
            by_median=True,
            id="fig1c.chance.{network}",
            name="chance at p = 1, {network}",
            where={"p": 1.0},
            statement="with random labels the test error of {network} is that of chance",
            paper="90 %",
            rule=f"the median over seeds is {of.within} of {chance:g} %, and every run is fitted; judged from n = "
            "2,000 on, as chance does not depend on n",
            **each,
        ),
    ]
