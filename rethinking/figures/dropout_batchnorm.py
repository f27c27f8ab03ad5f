"""Dropout and batch normalization: alone, together, in both orders.

Li et al. 2019 (CVPR, "Understanding the disharmony between dropout and batch normalization by variance shift"): batch
norm's running averages, taken with dropout on, do not fit the units that it is given with dropout off, so the two
together do worse than batch norm alone; statistics measured again with dropout off mend it, and so does dropout after
the last batch norm alone.

    rethinking figure dropout_batchnorm                 500 images, one seed: minutes
    rethinking figure dropout_batchnorm --scale cpu     2,000 images, three seeds
"""

from dataclasses import replace
from typing import Any

from rethinking.claims import rounded
from rethinking.figures import Setting
from rethinking.figures._parts import INTERIM, UNSTATED
from rethinking.figures._stacks import LEARNS, better, shared, stack_panels, stack_table
from rethinking.figures._sweeps import CAVEAT, IMAGES, MLP_SIZE, NETWORKS, WORDS, budget, run
from rethinking.figures.kit import Bound, Claim, Frame, Grid, Measure, bounded
from rethinking.spec import Part, Spec

NETWORK = NETWORKS[0]
CAPTION = (
    "Training accuracy on random labels and test accuracy on true labels, with dropout and batch norm (running: by its "
    "running averages)."
)
THEIRS = (
    "Nothing of its own; Li et al. 2019: dropout before batch norm does worse than batch norm alone, and statistics "
    "measured again without dropout mend it."
)
DEPARTURES = [
    "An extension: the paper has dropout on ImageNet alone (Table 2), and does not ask about it beside batch norm.",
    "Li et al. trained convolutional networks on all images for many epochs; here it is an MLP on few. Their running "
    "averages are this figure's lines 'running' (0.9 of the old + 0.1 of the batch's); in the others, as everywhere "
    "else in this package, statistics are measured at each evaluation, without dropout.",
    "A run stops when every training example is right, or at the end of its budget. Stacks that are fitted late or "
    "never are trained for more steps than the others: what is compared tells its steps.",
    "Dropout after each batch norm still lies before the next one, with a linear layer and a ReLU between.",
    CAVEAT,
    INTERIM,
    MLP_SIZE,
    UNSTATED,
]
DROPOUT = Part(name="dropout", options={"rate": 0.5})
LAST = Part(name="dropout", options={"rate": 0.5, "where": "last"})
BEFORE, AFTER = (Part(name="batch_norm", options={"place": place}) for place in ("before", "after"))
RUNNING = Part(name="batch_norm", options={"place": "after", "statistics": "running"})
ALONE = "running: ReLU, batch norm"
TOGETHER = "running: ReLU, dropout, batch norm"
AFTER_EACH = "running: ReLU, batch norm, dropout"
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
    AFTER_EACH: (RUNNING, DROPOUT),
    AFTER_ALL: (RUNNING, LAST),
}
GRID = Grid("{stack}, {labels} labels", labels=list(WORDS), stack=list(STACKS))


def spec(setting: Setting, seed: int, stack: str, **condition: str) -> Spec:
    return run(setting, seed, NETWORK, condition["labels"], *STACKS[stack])


LOW, HIGH, GAP, SAME = shared("stack", MEASURED)  # by running averages, by measured statistics
STEPS = Measure("last_step", "steps trained", lambda record: int(record.final["step"]), whole=True)
MEASURES = [LOW, HIGH, GAP, SAME, STEPS]
TABLE, PANELS = stack_table("stack"), stack_panels("stack")
HEIGHT = 3.8


def notes(setting: Setting) -> list[str]:
    return [budget(setting, NETWORK), "running: statistics are running averages, else measured"]


def finding(t: Frame, network: str) -> str:
    high, low = (t.one(measure, labels="true", stack=TOGETHER) for measure in (HIGH, LOW))
    return (
        f"After dropout, batch norm reaches {rounded(low):.1f} % test accuracy by its running averages, and "
        f"{rounded(high):.1f} % by statistics measured without dropout"
    )


def accuracies(t: Frame) -> str:
    running = t.where(stack=TOGETHER)
    return f"measured: {running.spread(HIGH)} %; running: {running.spread(LOW)} %"


def higher(*order: str, after: str = "", **texts: Any) -> Claim:
    """The claim that of stacks the first is the best, with the steps of each. after: of a rule made after the runs."""
    claim = better("stack", *order, **{"source": "Li et al. 2019"} | texts)

    def ours(t: Frame) -> str:
        steps = {stack: t.where(stack=stack).text(STEPS, whole=True) for stack in order}
        return f"{claim.summary(t)[0]}; steps: {'; '.join(f'{stack}: {told}' for stack, told in steps.items())}"

    return replace(claim, ours=ours, rule=claim.rule + after)


CLAIMS = [
    higher(
        ALONE,
        TOGETHER,
        id="dropout_batchnorm.worse_together",
        name="worse together",
        statement="batch norm alone does better than batch norm with dropout before it, both with running averages",
        paper="the two together often do worse than batch norm alone",
    ),
    bounded(
        Bound(GAP, below=0),
        Bound(LOW, least=LEARNS),
        Bound(SAME, least=1),
        at={"stack": TOGETHER},
        fitted=False,
        id="dropout_batchnorm.shift_of_variance",
        name="the shift of variance",
        where={"labels": "true", "stack": [MEASURED, TOGETHER]},
        source="Li et al. 2019",
        statement="the same network does better with statistics measured without dropout than with running averages "
        "taken with it",
        paper="averages taken with dropout on do not fit the units with dropout off",
        rule="on true labels, with dropout before batch norm, at the last step where both are evaluated on the same "
        "test images: measured statistics give the higher test accuracy, both give at least twice chance, and the "
        "online losses are the same, in every seed; judged from n = 2,000 on",
        ours=accuracies,
        numbers=lambda t: {k: t.where(stack=TOGETHER).numbers(m) for k, m in (("measured", HIGH), ("running", LOW))},
        least_n=IMAGES[NETWORK],
        least_seeds=3,
    ),
    higher(
        AFTER_ALL,
        TOGETHER,
        id="dropout_batchnorm.order_matters",
        name="the order matters",
        statement="dropout after all batch norms does better than dropout before each, both with running averages",
        paper="dropout after all batch norms avoids the shift of variance",
        after="; the two differ in the amount of dropout and in the steps, too",
    ),
    higher(
        AFTER_EACH,
        TOGETHER,
        id="dropout_batchnorm.after_each",
        name="the order matters at equal dropout",
        source="the project's own question",
        statement="dropout after each batch norm does better than as much dropout before each, both with running "
        "averages",
        paper="none",
        after="; a rule made after the runs, as dropout_batchnorm.order_matters, which does not hold, is of unequal "
        "dropout",
    ),
]
