"""What figures of stacked regularizers share: dropout_advice and dropout_batchnorm."""

from collections.abc import Sequence
from typing import Any

from rethinking.figures._sweeps import IMAGES, NETWORKS
from rethinking.figures.kit import Claim, Frame, Measure, Spans, Table, made
from rethinking.figures.kit.measures import at_last_shared, final, highest, steps_to_fit

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


def stack_panels(by: str, chance: bool = False) -> list[Spans]:
    """What stacks of regularizers, one a row, do to random and to true labels.

    Args:
        by: the coordinate. chance: it is marked, as some are not trained.
    """
    random: dict[str, Any] = {"only": {"labels": "random"}, "shown_as": "random labels"}
    true: dict[str, Any] = {"only": {"labels": "true"}, "shown_as": "true labels", "named": False}
    return [
        Spans(x=highest(), by=by, xlabel=RANDOM_LABEL, xlim=(0, 102), mark=99, **random),
        Spans(
            x=final("test_accuracy"),
            by=by,
            xlabel="true labels:\ntest accuracy (%)" + "\ndotted: chance" * chance,
            mark=10 if chance else None,
            **true,
        ),
    ]


def shared(by: str, baseline: str) -> list[Measure]:
    """Of a run and its baseline, at the last step where both are evaluated on the same test images.

    They differ in the evaluation alone: both train the same weights until the first to fit them stops. Whether they did
    the online loss tells. by: the coordinate of stacks, of which `baseline` is one.

    Returns:
        The test accuracies of the run and of the baseline, in %; the former minus the latter, in points; whether the
        online losses are the same.
    """
    of = {
        "accuracy": lambda run, _: 100 * run["test_accuracy"],
        "accuracy of the baseline": lambda _, base: 100 * base["test_accuracy"],
        "gap": lambda run, base: 100 * (run["test_accuracy"] - base["test_accuracy"]),
        "same loss": lambda run, base: run["online_loss"] == base["online_loss"],
    }
    return [at_last_shared(f"{name}, {baseline}", read, **{by: baseline}) for name, read in of.items()]


def better(by: str, *order: str, **texts: Any) -> Claim:
    """The claim that of stacks on the first network the first always reaches the highest test accuracy on true labels.

    Args:
        by: the coordinate of stacks, which are in `order`; one below LEARNS is not trained. texts: of the claim.
    """
    test = final("test_accuracy")

    def holds(t: Frame) -> bool:
        high, *others = (t.where(**{by: value}).values(test) for value in order)
        trained = min(min(values) for values in (high, *others)) >= LEARNS
        return trained and all(a > b for low in others for a, b in zip(high, low, strict=True))

    def ours(t: Frame) -> str:
        parts = {value: t.where(**{by: value}) for value in order}
        words = {value: "" if min(part.values(test)) >= LEARNS else " (not trained)" for value, part in parts.items()}
        return "; ".join(f"{value}: {part.spread(test)} %{words[value]}" for value, part in parts.items())

    def example(first: Sequence[float], *others: Sequence[float]) -> Frame:
        """Made up: the numbers of each of `order`, two seeds; those after the given ones are as the last."""
        given = [first, *others, *[others[-1]] * (len(order) - 1 - len(others))]
        names = [value for value in order for _ in first]
        columns: dict[str, Any] = {by: names, "test_accuracy": [v for pair in given for v in pair]}
        return made(**columns)

    return Claim(
        where={"labels": "true", by: list(order)},
        rule="on true labels the one named first has the highest test accuracy in every seed, and all reach at least "
        "twice chance; judged from n = 2,000 on",
        holds=holds,
        ours=ours,
        numbers=lambda t: {value: t.where(**{by: value}).numbers(test) for value in order},
        least_n=IMAGES[NETWORKS[0]],
        least_seeds=3,
        met=[example([30.1, 40.1], [30, 40]), example([30, 40], [20, 20])],
        missed=[
            example([30, 40.1], [30, 40]),
            example([30, 40], [19.9, 20]),
            example([30, 40], *[[20, 20]] * (len(order) - 2), [30, 20]),
        ],
        **texts,
    )
