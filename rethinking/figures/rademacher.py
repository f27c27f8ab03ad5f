"""Empirical Rademacher complexity: random signs are fitted, so it is near 1.

[zhang2017] section 2.2 argues, without an experiment, that the complexity sup_h (1/n) sum_i sigma_i h(x_i), with h in
[-1, 1], must be about 1, since random labels are fitted. Here networks with one logit are trained on random signs
sigma; with h the sign of the logit the correlation is 2 * (training accuracy) - 1. What SGD reaches is a LOWER BOUND
of the supremum.

    rethinking figure rademacher                 2,000 images, a minute on two cores
    rethinking figure rademacher --scale cpu     MLPs on all 50,000 images, 4 to 6 minutes a run on one core
"""

from typing import Any

from rethinking.claims import floored, spread
from rethinking.figures import Setting
from rethinking.figures._parts import BUDGET, UNSTATED, least_seeds
from rethinking.figures._score import Score
from rethinking.figures.kit import Bound, Frame, Grid, Measure, Rows, Table, bounded, final, listed
from rethinking.plotting import NAMES
from rethinking.spec import Part, RunSpec

CAPTION = "Correlation with random signs reached by SGD, a lower bound of the empirical Rademacher complexity."
THEIRS = (
    "By argument, without an experiment: as random labels are fitted, the empirical Rademacher complexity is about 1."
)
DEPARTURES = [
    "The paper makes this argument without an experiment; the signs, one draw per seed, are this project's.",
    "A lower bound: the supremum over all weights is at least what SGD finds.",
    UNSTATED,
    BUDGET,
    "At scale quick, and at cpu for AlexNet, runs are on fewer images.",
]
NETWORKS = ["mlp-1x512", "mlp-3x512", "alexnet"]
GRID = Grid("{network}", network=NETWORKS)


def spec(setting: Setting, seed: int, network: str) -> RunSpec:
    return setting.spec(seed, model=network, corruptions=(Part(name="random_signs"),))


# 2 a - 1, the best over the evaluations: each is a function of the class, so each is a lower bound.
CORRELATION = Measure(
    "correlation",
    "correlation with random signs: a lower bound of the complexity",
    lambda r: 2 * max(r.curve["train_accuracy"]) - 1,
)
NEAR_1 = Bound(CORRELATION, least=0.98)
TRAIN, TEST = final("train_accuracy"), final("test_accuracy")


def in_full(t: Frame) -> str | None:
    """The correlation's median and range to four decimals, which tell it from 1; None where no seed is run."""
    values = t.values(CORRELATION)
    some = f", {len(values)} of {len(t.data)} seeds" if len(values) < len(t.data) else ""
    return spread(values, 4) + some if values else None


CELLS: dict[str, Any] = {
    TRAIN.label: TRAIN,
    "correlation, lower bound": in_full,
    "test accuracy on random signs (%)": TEST,
}
TABLE = Table("network", CELLS)
PAPER = dict.fromkeys(NETWORKS, "about 1, by argument")
PANELS = [Rows(x=CORRELATION, by="network", named=True, paper=PAPER, xlim=(0, 1))]


def finding(t: Frame, network: str) -> str:
    reached = t.known(CORRELATION, "network")
    few = {m for m in reached if t.where(network=m).data["n"].max() < t.data["all"].max()}
    names = listed(NAMES[m] + (f" (on {t.where(network=m).data['n'].max():,} images)" * (m in few)) for m in reached)
    those = t.where(network=list(reached))
    told = f"at least {floored(min(those.values(CORRELATION)), 4):.4f} in every seed (1 is perfect)"
    if those.fitted and NEAR_1.holds(those):
        return f"{names} fit random signs: the correlation is {told}"
    return f"The correlation of {names} with random signs is {told}"


SCORES = [Score("MLP 3x512", claim="rademacher.near_1.mlp-3x512")]
CLAIMS = [
    bounded(
        NEAR_1,
        fitted=False,
        key="correlation",
        id="rademacher.near_1.{network}",
        name="complexity near 1, {network}",
        each={"network": NETWORKS},
        source="zhang2017, section 2.2",
        statement="the empirical Rademacher complexity of {network} is about 1",
        paper="about 1, by argument",
        rule="the lower bound is at least 0.98 (99 % of signs fitted) in every seed, on the images stated",
        ours=lambda t: spread(t.values(CORRELATION), 4),
        least_n=2000,
        least_seeds=least_seeds,
    )
]
