"""Dropout and batch normalization: alone, together, in both orders.

Li et al. 2019 (CVPR, section 3): dropout before a batch norm shifts the variance that it sees between training and
test, so the two together do worse than batch norm alone; dropout after the last batch norm does not.

    rethinking figure dropout_batchnorm                 500 images, one seed: minutes
    rethinking figure dropout_batchnorm --scale cpu     2,000 images, three seeds
"""

from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import Setting
from rethinking.figures._parts import UNSTATED, percent, present
from rethinking.figures._sweeps import CAVEAT, IMAGES, NETWORKS, SIZE, WORDS, specs, stacks
from rethinking.record import Record
from rethinking.spec import Part

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Training accuracy on random labels and test accuracy on true labels, with dropout and batch norm."
DEPARTURES = ["An extension: the paper does not have dropout.", CAVEAT, SIZE, UNSTATED]
DROPOUT = Part(name="dropout", options={"rate": 0.5})
BEFORE, AFTER = (Part(name="batch_norm", options={"place": place}) for place in ("before", "after"))
STACKS: dict[str, tuple[Part, ...]] = {
    "neither": (),
    "dropout": (DROPOUT,),
    "batch norm": (BEFORE,),
    "batch norm after ReLU": (AFTER,),
    "batch norm, ReLU, dropout": (BEFORE, DROPOUT),
    "ReLU, batch norm, dropout": (AFTER, DROPOUT),
    "ReLU, dropout, batch norm": (DROPOUT, AFTER),
}
NETWORK = NETWORKS[0]


def _name(stack: str, word: str) -> str:
    return f"{stack}, {word} labels"


def runs(setting: Setting) -> Specs:
    return {
        _name(stack, word): specs(setting, NETWORK, word, *parts) for word in WORDS for stack, parts in STACKS.items()
    }


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    return stacks(setting, records, NETWORK, {stack: {w: _name(stack, w) for w in WORDS} for stack in STACKS})


# --- claims ---------------------------------------------------------------------------------------


def _better(name: str, one: str, other: str, statement: str, paper: str) -> Claim:
    def measure(groups: dict[str, list[Record]]) -> Reading:
        high, low = (present(percent(groups[_name(s, "true")], "test_accuracy")) for s in (one, other))
        ours = f"{one}: {spread(high)} %; {other}: {spread(low)} %"
        return Reading(median(high) > median(low), ours, {one: list(high), other: list(low)})

    return Claim(
        name=name,
        source="Li et al. 2019, section 3",
        statement=statement,
        paper=paper,
        tolerance="true labels: a higher median test accuracy over seeds; an order, from n = 2,000 on",
        conditions=tuple(_name(s, "true") for s in (one, other)),
        measure=measure,
        least_n=IMAGES[NETWORK],
        least_seeds=3,
    )


def claims(setting: Setting) -> list[Claim]:
    return [
        _better(
            "worse together",
            "batch norm after ReLU",
            "ReLU, dropout, batch norm",
            "batch norm alone does better than with dropout before it",
            "the two together often do worse than batch norm alone",
        ),
        _better(
            "the order matters",
            "ReLU, batch norm, dropout",
            "ReLU, dropout, batch norm",
            "dropout after batch norm does better than before it",
            "dropout after all batch norms avoids the shift of variance",
        ),
    ]
