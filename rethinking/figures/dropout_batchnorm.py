"""Dropout and batch normalization: alone, together, in both orders.

Li et al. 2019 (CVPR, section 3): dropout before a batch norm shifts the variance that it sees between training and
test, so the two together do worse than batch norm alone; dropout after the last batch norm does not.

    rethinking figure dropout_batchnorm                 500 images, one seed: minutes
    rethinking figure dropout_batchnorm --scale cpu     2,000 images, three seeds
"""

from dataclasses import replace
from typing import Any

from rethinking.claims import Claim, Records, Specs
from rethinking.figures import Setting
from rethinking.figures._parts import UNSTATED
from rethinking.figures._sweeps import CAVEAT, NETWORKS, SIZE, WORDS, better, specs, stacks
from rethinking.spec import Part

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Training accuracy on random labels and test accuracy on true labels, with dropout and batch norm."
NO_SHIFT = "batch-norm statistics are measured without dropout here, so the shift of variance cannot arise"
DEPARTURES = [
    "An extension: the paper does not have dropout.",
    "Li et al. explain what they see by batch norm's averages, taken with dropout on and used with it off. Here they "
    "are measured anew at each evaluation with dropout off, so this figure does not test their claims: it shows what "
    "is left without that shift.",
    CAVEAT,
    SIZE,
    UNSTATED,
]
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
    keys = {stack: _name(stack, "true") for stack in (one, other)}
    return replace(better(name, "Li et al. 2019, section 3", statement, paper, keys), not_judged=NO_SHIFT)


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
