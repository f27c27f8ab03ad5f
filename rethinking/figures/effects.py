"""Effects: what random crop, weight decay and batch norm change in test accuracy, by pairs of runs of one seed.

[zhang2017] argues by differences between rows of its Table 1. Two runs that differ in one thing, with the same initial
weights and the same order of batches, judge a difference far more sharply than levels. Runs of Table 1.

    rethinking figure effects                   reduced; `rethinking plan` says how long
    rethinking figure effects --scale paper     the paper's sizes: the runs of table1
"""

import math
import re

from rethinking.claims import exact
from rethinking.figures import FULL, Setting, table1
from rethinking.figures._parts import BUDGET, DECAYED, UNSTATED, least_seeds
from rethinking.figures.kit import Claim, Frame, Grid, Measure, Rows, Table, final, listed, made, minus
from rethinking.figures.table1 import BY_NAME
from rethinking.plotting import NAMES
from rethinking.spec import Spec

CAPTION = "Test accuracy with minus without, by pairs of runs of one seed; paper hollow, ours filled, a point a seed."
THEIRS = (
    "Random crop raises Inception's test accuracy by 3.56 points and AlexNet's by 3.59; weight decay changes that of "
    "AlexNet by 1.29, and of the other networks by at most 1.00 without random crop. Differences of rows of Table 1."
)
CROP, DECAY, BOTH = ", random crop", ", weight decay", ", random crop, weight decay"
# effect -> the rows of Table 1 without it and with it
PAIRS: dict[str, tuple[str, str]] = {}
for m in ("inception", "alexnet"):
    PAIRS[f"random crop, {m}"] = m, m + CROP
    PAIRS[f"random crop, {m} with weight decay"] = m + DECAY, m + BOTH
for m in ("inception", "inception-nobn", "alexnet", "mlp-3x512", "mlp-1x512"):
    PAIRS[f"weight decay, {m}"] = m, m + DECAY
for m in ("inception", "alexnet"):
    PAIRS[f"weight decay, {m} with random crop"] = m + CROP, m + BOTH
PAIRS["batch norm, inception"] = "inception-nobn", "inception"
PAIRS["batch norm, inception with weight decay"] = "inception-nobn" + DECAY, "inception" + DECAY
ROWS = {effect: (BY_NAME[without], BY_NAME[with_it]) for effect, (without, with_it) in PAIRS.items()}
PAPER = {effect: round(with_it.test - without.test, 2) for effect, (without, with_it) in ROWS.items()}
JUDGED = [effect for effect, change in PAPER.items() if abs(change) >= 1]
SMALL = [f"{effect} ({change:+.2f})" for effect, change in PAPER.items() if effect not in JUDGED]
DEPARTURES = [
    "The paper has one run a row. Ours are pairs of runs of one seed that differ in the one thing. The margin is that "
    "of two independent samples of test images; both runs see the same ones, so the true one is smaller.",
    "A change of less than 1 point in the paper is shown and not judged, as the paper has one run a row, and two "
    f"samples of 10,000 test images differ by more by chance: {listed(SMALL)}.",
    DECAYED,
    UNSTATED,
    BUDGET,
    "The rule of every claim here came after the runs of AlexNet and the MLPs, and before those of Inception on all "
    "50,000 images.",
]
GRID = Grid("{effect}, {arm}", effect=list(PAIRS), arm=["without", "with"])


def spec(setting: Setting, seed: int, effect: str, arm: str) -> Spec:
    return table1.spec(setting, seed, PAIRS[effect][arm == "with"])


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
        looks={effect: row.network for effect, (_, row) in ROWS.items()},
        zero=True,
        xlabel="change in test accuracy (points)\nbar: half to twice the paper's, where it is judged",
        bands={effect: (PAPER[effect] / 2, 2 * PAPER[effect]) for effect in JUDGED},
    )
]


def finding(t: Frame, network: str) -> str | None:
    """Of the networks that have both the first whose runs are there."""
    changes = t.known(CHANGE, "effect", arm="with")
    for m in ("inception", "alexnet"):
        told = [(word, f"{word}, {m}") for word in ("random crop", "weight decay")]
        if all(effect in changes for _, effect in told):
            texts = (f"{changes[e]:+.2f} points with {word} (paper: {PAPER[e]:+.2f})" for word, e in told)
            return f"{NAMES[m]}'s test accuracy changes by {listed(texts)}"
    return None


def signed(text: str) -> str:
    """A text of changes with the sign of those above 0, too: "+0.93 points (+0.73 to +1.31)"."""
    return re.sub(r"(?<![\d.,+-])(?=\d)", "+", text)


def claim(effect: str) -> Claim:
    theirs = PAPER[effect]

    def holds(t: Frame) -> bool:
        changes = t.where(arm="with")
        alike = min(v / theirs for v in changes.values(CHANGE)) > 0
        return alike and 0.5 <= exact(changes.median(CHANGE) / theirs) <= 2

    def pair(*shares: float) -> Frame:
        """Made up: shares of the paper's change, one a seed."""
        return made(arm=["with"] * len(shares), change=[s * theirs for s in shares])

    return Claim(
        id=f"effects.{effect.replace(', ', '.')}",
        name=effect,
        where={"effect": effect},
        source="zhang2017, Table 1",
        statement=f"{effect}: test accuracy changes in the paper's direction, by half to twice as much",
        paper=f"{theirs:+.2f} points",
        rule="the change has the paper's sign in every seed, and its median over seeds is between half and twice the "
        "paper's; a rule made after the runs of AlexNet and the MLPs",
        holds=holds,
        ours=lambda t: signed(t.where(arm="with").spread(CHANGE, " points")),
        numbers=lambda t: {"change (points)": t.where(arm="with").numbers(CHANGE)},
        least_n=FULL,
        least_seeds=least_seeds(ROWS[effect][1].network),
        met=[pair(0.5), pair(2.0, 1.9, 2.0)],
        missed=[pair(0.49), pair(2.01), pair(1.0, 1.0, -0.1)],
    )


CLAIMS = [claim(effect) for effect in JUDGED]
