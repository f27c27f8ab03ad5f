"""Dropout and batch normalization: alone, together, in both orders.

Li et al. 2019 (CVPR, "Understanding the disharmony between dropout and batch normalization by variance shift"): batch
norm's running averages, taken with dropout on, do not fit the units that it is given with dropout off, so the two
together do worse than batch norm alone; statistics measured again with dropout off mend it, and so does dropout after
the last batch norm alone.

    rethinking figure dropout_batchnorm                 500 images, one seed: minutes
    rethinking figure dropout_batchnorm --scale cpu     2,000 images, three seeds
"""

from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import Setting
from rethinking.figures._parts import UNSTATED, last_shared
from rethinking.figures._sweeps import CAVEAT, IMAGES, NETWORKS, SIZE, WORDS, better, specs, stacks
from rethinking.record import Record
from rethinking.spec import Part

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = (
    "Training accuracy on random labels and test accuracy on true labels, with dropout and batch norm (running: by its "
    "running averages)."
)
DEPARTURES = [
    "An extension: the paper has dropout on ImageNet alone (Table 2), and does not ask about it beside batch norm.",
    "Li et al. trained convolutional networks on all images for many epochs; here it is an MLP on few. Their running "
    "averages are this figure's lines 'running' (0.9 of the old + 0.1 of the batch's); in the others, as everywhere "
    "else in this package, statistics are measured at each evaluation, without dropout.",
    CAVEAT,
    SIZE,
    UNSTATED,
]
DROPOUT = Part(name="dropout", options={"rate": 0.5})
LAST = Part(name="dropout", options={"rate": 0.5, "where": "last"})
BEFORE, AFTER = (Part(name="batch_norm", options={"place": place}) for place in ("before", "after"))
RUNNING = Part(name="batch_norm", options={"place": "after", "statistics": "running"})
ALONE = "running: ReLU, batch norm"
TOGETHER = "running: ReLU, dropout, batch norm"
AFTER_ALL = "running: ReLU, batch norm; dropout at the end"
MEASURED = "ReLU, dropout, batch norm"
STACKS: dict[str, tuple[Part, ...]] = {
    "neither": (),
    "dropout": (DROPOUT,),
    "batch norm": (BEFORE,),
    "batch norm after ReLU": (AFTER,),
    "batch norm, ReLU, dropout": (BEFORE, DROPOUT),
    "ReLU, batch norm, dropout": (AFTER, DROPOUT),
    MEASURED: (DROPOUT, AFTER),
    ALONE: (RUNNING,),
    TOGETHER: (DROPOUT, RUNNING),
    "running: ReLU, batch norm, dropout": (RUNNING, DROPOUT),
    AFTER_ALL: (RUNNING, LAST),
}
NETWORK = NETWORKS[0]


def _name(stack: str, word: str) -> str:
    return f"{stack}, {word} labels"


def runs(setting: Setting) -> Specs:
    return {
        _name(stack, word): specs(setting, NETWORK, word, *parts) for word in WORDS for stack, parts in STACKS.items()
    }


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    told = "running: statistics are running averages, else measured"
    return stacks(setting, records, NETWORK, {stack: {w: _name(stack, w) for w in WORDS} for stack in STACKS}, told)


# --- claims ---------------------------------------------------------------------------------------


def _better(name: str, one: str, other: str, statement: str, paper: str) -> Claim:
    return better(name, "Li et al. 2019", statement, paper, {stack: _name(stack, "true") for stack in (one, other)})


def _shift(groups: dict[str, list[Record]]) -> Reading:
    """Both train the same weights, until the first to have fitted them stops; the online loss tells."""
    measured, running = (groups[_name(stack, "true")] for stack in (MEASURED, TOGETHER))
    pairs = [last_shared(*pair) for pair in zip(measured, running, strict=True)]
    high, low = ([100 * pair[k]["test_accuracy"] for pair in pairs] for k in (0, 1))
    alike = all(a["online_loss"] == b["online_loss"] for a, b in pairs)
    holds = alike and min(low) >= 20 and all(a > b for a, b in zip(high, low, strict=True))
    ours = f"measured: {spread(high)} %; running: {spread(low)} %"
    return Reading(holds, ours, {"measured": [*high], "running": [*low]})


def claims(setting: Setting) -> list[Claim]:
    return [
        _better(
            "worse together",
            ALONE,
            TOGETHER,
            "with running averages, batch norm alone does better than with dropout before it",
            "the two together often do worse than batch norm alone",
        ),
        Claim(
            name="the shift of variance",
            source="Li et al. 2019",
            statement="of one network, statistics measured without dropout do better than running averages with it",
            paper="averages taken with dropout on do not fit the units with dropout off",
            tolerance="true labels, after dropout, the last step that both evaluate on the same test images: a "
            "higher test accuracy in every seed, both at least twice chance, the same online loss; n >= 2,000",
            conditions=(_name(MEASURED, "true"), _name(TOGETHER, "true")),
            measure=_shift,
            least_n=IMAGES[NETWORK],
            least_seeds=3,
        ),
        _better(
            "the order matters",
            AFTER_ALL,
            TOGETHER,
            "with running averages, dropout after all batch norms does better than before each",
            "dropout after all batch norms avoids the shift of variance",
        ),
    ]
