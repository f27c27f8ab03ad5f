"""Effects: what random crop, weight decay and batch norm change in test accuracy, by pairs of runs of one seed.

[zhang2017] argues by differences between rows of its Table 1. Two runs that differ in one thing, with the same initial
weights and the same order of batches, judge a difference far more sharply than levels. Runs of Table 1.

    rethinking figure effects                   reduced; `rethinking plan` says how long
    rethinking figure effects --scale paper     the paper's sizes: the runs of table1
"""

import math

from rethinking.figures import FULL, Setting
from rethinking.figures._parts import BUDGET, DECAYED, UNSTATED, WEIGHT_DECAY, decay, least_seeds
from rethinking.figures.kit import Claim, Frame, Grid, Measure, Rows, Table, final, made, minus
from rethinking.figures.table1 import ROWS, run_of
from rethinking.spec import Part, Spec

CAPTION = "Test accuracy with minus without, by pairs of runs of one seed; paper hollow, ours filled, a point a seed."
DEPARTURES = [
    "The paper has one run a row. Ours are pairs of runs of one seed that differ in the one thing. The margin is that "
    "of two independent samples of test images; both runs see the same ones, so the true one is smaller.",
    DECAYED,
    UNSTATED,
    BUDGET,
    "The rule of every claim here came after the runs of AlexNet and the MLPs, and before those of Inception on all "
    "50,000 images.",
]
CROP, DECAY = (Part(name="random_crop"),), decay(WEIGHT_DECAY)
# effect -> network and regularizers without it, and with it
PAIRS: dict[str, tuple[tuple[str, tuple[Part, ...]], tuple[str, tuple[Part, ...]]]] = {}
for _network in ("inception", "alexnet"):
    PAIRS[f"random crop, {_network}"] = (_network, ()), (_network, CROP)
    PAIRS[f"random crop, {_network} with weight decay"] = (_network, DECAY), (_network, CROP + DECAY)
for _network in ("inception", "inception-nobn", "alexnet", "mlp-3x512", "mlp-1x512"):
    PAIRS[f"weight decay, {_network}"] = (_network, ()), (_network, DECAY)
for _network in ("inception", "alexnet"):
    PAIRS[f"weight decay, {_network} with random crop"] = (_network, CROP), (_network, CROP + DECAY)
PAIRS["batch norm, inception"] = ("inception-nobn", ()), ("inception", ())
PAIRS["batch norm, inception with weight decay"] = ("inception-nobn", DECAY), ("inception", DECAY)


def _theirs(network: str, parts: tuple[Part, ...]) -> float:
    """The paper's test accuracy of a row of true labels, in %."""
    names = {part.name for part in parts}
    same = (r for r in ROWS if (r.network, r.random) == (network, False))
    return next(r.test for r in same if (r.crop, r.decay) == ("random_crop" in names, "weight_decay" in names))


PAPER = {effect: round(_theirs(*with_it) - _theirs(*without), 2) for effect, (without, with_it) in PAIRS.items()}
JUDGED = [effect for effect, change in PAPER.items() if abs(change) >= 1]  # smaller ones are reported, not judged
GRID = Grid("{effect}, {arm}", effect=list(PAIRS), arm=["without", "with"])


def _run(effect: str, arm: str) -> tuple[str, tuple[Part, ...]]:
    return PAIRS[effect][arm == "with"]


def spec(setting: Setting, seed: int, effect: str, arm: str) -> Spec:
    network, parts = _run(effect, arm)
    return run_of(setting, seed, network, regularizers=parts)


TEST = final("test_accuracy")
CHANGE = minus(TEST, "change", "change in test accuracy (points)", arm="without")
MARGIN = Measure(
    "margin",
    "95 % margin of two independent samples of test images (points)",
    lambda r: 196 * math.sqrt(r.final["test_accuracy"] * (1 - r.final["test_accuracy"]) / r.final["test_images"]),
    baseline=(("arm", "without"),),
    by=math.hypot,
)
TABLE = Table(
    "effect",
    {"paper (points)": PAPER, "ours (points)": CHANGE, "95 % margin of the test sample, at most (points)": MARGIN},
    by="effect",
    only={"arm": "with"},
)
PANELS = [
    Rows(
        x=CHANGE,
        by="effect",
        only={"arm": "with"},
        paper=PAPER,
        looks={effect: network for effect, (_, (network, _)) in PAIRS.items()},
        zero=True,
        xlabel="change in test accuracy (points)\nbar: half to twice the paper's, where it is judged",
        bands={effect: (PAPER[effect] / 2, 2 * PAPER[effect]) for effect in JUDGED},
    )
]


def _claim(effect: str) -> Claim:
    theirs = PAPER[effect]

    def holds(t: Frame) -> bool:
        changes = t.where(arm="with")
        alike = min(v / theirs for v in changes.values(CHANGE)) > 0
        return alike and 0.5 <= changes.median(CHANGE) / theirs <= 2

    def pair(*shares: float) -> Frame:
        """Made up: shares of the paper's change, one a seed."""
        return made(arm=["with"] * len(shares), change=[s * theirs for s in shares])

    return Claim(
        id=f"effects.{effect.replace(', ', '.')}",
        name=effect,
        where={"effect": effect},
        source="zhang2017, Table 1",
        statement=f"{effect}: test accuracy changes as in the paper",
        paper=f"{theirs:+.2f} points",
        rule="the paper's sign in every seed, and the median over seeds between half and twice the paper's change; a "
        "rule made after the runs of AlexNet and the MLPs",
        holds=holds,
        ours=lambda t: t.where(arm="with").spread(CHANGE, " points"),
        numbers=lambda t: {"change (points)": t.where(arm="with").numbers(CHANGE)},
        least_n=FULL,
        least_seeds=least_seeds(_run(effect, "with")[0]),
        met=[pair(0.5), pair(2.0, 1.9, 2.0)],
        missed=[pair(0.49), pair(2.01), pair(1.0, 1.0, -0.1)],
    )


CLAIMS = [_claim(effect) for effect in JUDGED]
