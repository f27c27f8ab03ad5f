"""What figures of stacked regularizers share: dropout_advice and dropout_batchnorm."""

from typing import Any

from rethinking.figures._sweeps import IMAGES, NETWORKS
from rethinking.figures.kit import Claim, Spans, Table, always_higher, final, highest, steps_to_fit

LEARNS = 20.0  # % of true labels, twice chance: what is below is not trained at all
RANDOM_LABEL = "random labels: highest\ntraining accuracy (%)\ndotted: 99 %, fitted"


def stack_table(by: str) -> Table:
    """The numbers of a figure whose conditions are stacks of regularizers and WORDS. by: the coordinate."""
    steps, train, test = steps_to_fit(), final("train_accuracy"), final("test_accuracy")
    random, true = {"labels": "random"}, {"labels": "true"}
    columns: dict[str, Any] = {
        "steps to 99 %, random labels": (steps, random),
        "training accuracy, random labels (%)": (train, random),
        "training accuracy, true labels (%)": (train, true),
        "test accuracy, true labels (%)": (test, true),
    }
    return Table("run", columns, by=by)


def stack_panels(by: str) -> list[Spans]:
    """What stacks of regularizers, one a row, do to random and to true labels. by: the coordinate."""
    random: dict[str, Any] = {"only": {"labels": "random"}, "shown_as": "random labels"}
    true: dict[str, Any] = {"only": {"labels": "true"}, "shown_as": "true labels", "named": False}
    return [
        Spans(x=highest(), by=by, xlabel=RANDOM_LABEL, xlim=(0, 102), mark=99, **random),
        Spans(x=final("test_accuracy"), by=by, xlabel="true labels:\ntest accuracy (%)", **true),
    ]


def better(by: str, *order: str, **texts: Any) -> Claim:
    """The claim that of stacks on the first network the first always reaches the highest test accuracy on true labels.

    Args:
        by: the coordinate of stacks. texts: of the claim.
    """
    return always_higher(
        by,
        order,
        final("test_accuracy"),
        " %",
        LEARNS,
        where={"labels": "true"},
        rule="true labels: a higher test accuracy in every seed, all at least twice chance; an order, n >= 2,000",
        least_n=IMAGES[NETWORKS[0]],
        least_seeds=3,
        **texts,
    )
