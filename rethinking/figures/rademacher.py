"""Empirical Rademacher complexity: random signs are fitted, so it is near 1.

[zhang2017] section 2.2 argues, without an experiment, that the complexity sup_h (1/n) sum_i sigma_i h(x_i), with h in
[-1, 1], must be about 1, since random labels are fitted. Here networks with one logit are trained on random signs
sigma; with h the sign of the logit the correlation is 2 * (training accuracy) - 1. What SGD reaches is a LOWER BOUND
of the supremum.

    rethinking figure rademacher                 2,000 images, a minute on two cores
    rethinking figure rademacher --scale cpu     MLPs on all 50,000 images, 4 to 6 minutes a run on one core
"""

from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import Setting
from rethinking.figures._parts import (
    BUDGET,
    UNSTATED,
    least_seeds,
    missing_note,
    percent,
    present,
    seeds_note,
    size_note,
)
from rethinking.plotting import NETWORKS, WIDTH, not_run
from rethinking.record import Record
from rethinking.spec import Part

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Correlation with random signs reached by SGD, a lower bound of the empirical Rademacher complexity."
DEPARTURES = [
    "The paper makes this argument without an experiment; the signs, one draw per seed, are this project's.",
    "A lower bound: the supremum over all weights is at least what SGD finds.",
    UNSTATED,
    BUDGET,
    "quick, and cpu for AlexNet: fewer images.",
]
COMPARED = ["mlp-1x512", "mlp-3x512", "alexnet"]


def runs(setting: Setting) -> Specs:
    signs = (Part(name="random_signs"),)
    return {m: [setting.spec(k, model=m, corruptions=signs) for k in setting.seeds_of(m)] for m in COMPARED}


def _correlations(group: list[Any]) -> list[float | None]:
    """2 a - 1, the best over the evaluations: each is a function of the class, so each is a lower bound."""
    return [None if r is None else 2 * max(r.curve["train_accuracy"]) - 1 for r in group]


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(WIDTH * 0.8, 1.9))
    names = []
    for k, (network, group) in enumerate(records.items()):
        look = NETWORKS[network]
        values = present(_correlations(group))
        axes.plot(values, [k] * len(values), look["marker"], color=look["color"], ms=4, clip_on=False)
        if not values:
            not_run(axes, k)
        names.append(f"{network}, {seeds_note(len(group))}\n{size_note(setting.spec(0, model=network).n or 0)}")
    axes.set_yticks(range(len(COMPARED)), names, fontsize=6)
    axes.set_ylim(len(COMPARED) - 0.5, -0.5)
    axes.set(xlabel="correlation with random signs: a lower bound of the complexity", xlim=(0, 1))
    axes.grid(axis="y", lw=0.3)
    figure.suptitle(f"CIFAR-10, random signs, one point per seed{missing_note(records)}", fontsize=8)
    table = [
        {
            "network": m,
            "n": [setting.spec(0, model=m).n],
            "training accuracy (%)": percent(group, "train_accuracy"),
            "correlation, lower bound": _correlations(group),
            "test accuracy on random signs (%)": percent(group, "test_accuracy"),
        }
        for m, group in records.items()
    ]
    return figure, {"n": {m: setting.spec(0, model=m).n for m in COMPARED}, "table": table}


def _claim(network: str) -> Claim:
    def measure(groups: dict[str, list[Record]]) -> Reading:
        values = present(_correlations(groups[network]))
        return Reading(min(values) >= 0.98, spread(values, 4), {"correlation": list(values)})

    return Claim(
        name=f"complexity near 1, {network}",
        source="zhang2017, section 2.2",
        statement=f"the empirical Rademacher complexity of {network} is about 1",
        paper="about 1, by argument",
        tolerance="the lower bound is at least 0.98 (99 % of signs fitted) in every seed; at the n stated",
        conditions=(network,),
        measure=measure,
        least_n=2000,
        least_seeds=least_seeds(network),
    )


def claims(setting: Setting) -> list[Claim]:
    return [_claim(network) for network in COMPARED]
