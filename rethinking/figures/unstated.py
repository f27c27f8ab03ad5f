"""What the paper does not state: does Table 1 depend on the batch size and the initial weights taken here?

[zhang2017] names neither. Rows of Table 1 without a regularizer, on true and on random labels, with one choice made
otherwise: the same schedule by epochs, the same order of images, and initial weights from the same draws.

    rethinking figure unstated                 2,000 images: minutes
    rethinking figure unstated --scale cpu     all 50,000 images for 90 epochs
"""

from typing import Any

from rethinking.claims import rounded
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import BUDGET, MIXES, UNSTATED
from rethinking.figures._parts import labels as labels_of
from rethinking.figures.kit import Claim, Frame, Grid, Rows, Table, bounded, epochs_to_fit, final, ordered
from rethinking.figures.table1 import BY_NAME, TOLERANCE, Row, bounds, run_of
from rethinking.spec import RunSpec

MODELS = ["mlp-3x512", "mlp-1x512", "alexnet", "inception", "inception-nobn"]
SEEDS = {"quick": 1, "cpu": 1, "paper": 1}
CAPTION = "Test accuracy on true labels, and epochs to fit random ones, where the paper's silence is filled otherwise."
THEIRS = "Nothing of its own: Table 1 has one number a row, without its batch size and initial weights."
DEPARTURES = [
    "The learning rate is the paper's, with which these choices go more or less well together. It falls each epoch, "
    "whatever the batch size, and runs have the same number of epochs.",
    "Initial weights are uniform with zero biases, drawn alike but for their scale: variance 2 / (fan_in + fan_out) "
    "(Glorot & Bengio 2010, ours), 2 / fan_in (He et al. 2015), 1 / fan_in (LeCun et al. 1998).",
    "One seed, that of the first run of Table 1.",
    UNSTATED,
    BUDGET,
]
OURS = "batch 128, Glorot (ours)"
CHOICES: dict[str, dict[str, Any]] = {
    OURS: {},
    "batch 64": {"batch_size": 64},
    "batch 256": {"batch_size": 256},
    "He": {"initial_weights": "he"},
    "LeCun": {"initial_weights": "lecun"},
}
TRUE, RANDOM = "true labels", "random labels"
GRID = Grid("{labels}, {choice}", labels=[TRUE, RANDOM], choice=list(CHOICES))


def spec(setting: Setting, seed: int, labels: str, choice: str) -> RunSpec:
    """The run of Table 1 with one choice made otherwise, and as many epochs of everything."""
    usual = run_of(setting, seed, setting.model, corruptions=labels_of(MIXES[labels]))
    other = usual.replace(**CHOICES[choice])
    for name in ("steps", "eval_every", "decay_every"):
        steps = getattr(usual, name) * other.epoch_steps / usual.epoch_steps
        other = other.replace(**{name: max(1, round(steps))})
    return other


TRAIN, TEST, EPOCHS = final("train_accuracy"), final("test_accuracy"), epochs_to_fit()
MEASURES = [TRAIN, TEST]
TABLE = Table("run", {"training accuracy (%)": TRAIN, "test accuracy (%)": TEST, "epochs to 99 %": EPOCHS})


def row_of(setting: Setting, labels: str) -> Row:
    """Of Table 1, without a regularizer."""
    return BY_NAME[setting.model if labels == TRUE else f"{setting.model}, {RANDOM}"]


def panels(setting: Setting) -> list[Rows]:
    paper = dict.fromkeys(CHOICES, row_of(setting, TRUE).test)

    def of(labels: str) -> dict[str, Any]:
        return {"by": "choice", "only": {"labels": labels}, "looks": dict.fromkeys(CHOICES, labels)}

    return [
        Rows(x=TEST, paper=paper, xlabel="test accuracy, true labels (%)", **of(TRUE)),
        Rows(x=EPOCHS, xlabel="epochs to 99 %, random labels", **of(RANDOM)),
    ]


def finding(t: Frame, network: str) -> str:
    tests = t.known(TEST, "choice", labels=TRUE).values()
    reached = f"{rounded(min(tests)):.1f} to {rounded(max(tests)):.1f} % test accuracy"
    random = t.where(labels=RANDOM)
    fitted = "random labels are fitted with all of them" if random.fitted else "random labels are not fitted with all"
    return f"With other batch sizes and initial weights {network} reaches {reached}, and {fitted}"


def claims(setting: Setting) -> list[Claim]:
    others = [choice for choice in CHOICES if choice != OURS]
    shared: dict[str, Any] = {"each": {"choice": others}, "least_n": FULL, "source": "zhang2017, Table 1, extended"}
    found = []
    for labels in (TRUE, RANDOM):
        row = row_of(setting, labels)
        train, test = bounds(row)
        found.append(
            bounded(
                train,
                test,
                fitted=False,
                id=f"unstated.{labels.split()[0]}.{{choice}}",
                name=f"{labels}, {{choice}}",
                where={"labels": labels},
                statement=f"Table 1's row on {labels} comes out with {{choice}}, too",
                paper=f"training {row.train:.2f} %, test {row.test:.2f} %",
                rule=f"as of Table 1, made before these runs: training accuracy is at least {train.least:g} % in every "
                f"seed, and the median test accuracy is within {TOLERANCE[setting.model]:g} points of the paper's",
                ours=lambda t: f"training {t.spread(TRAIN, ' %')}, test {t.spread(TEST, ' %')}",
                numbers=lambda t: {TRAIN.label: t.numbers(TRAIN), TEST.label: t.numbers(TEST)},
                **shared,
            )
        )
    return [
        *found,
        ordered(
            EPOCHS,
            "labels",
            [[TRUE], [RANDOM]],
            id="unstated.slower.{choice}",
            name="random labels take longer, {choice}",
            statement="random labels take longer to fit than true ones with {choice}",
            paper="longer, by a small constant factor (section 2.1)",
            rule="the median epochs to 99 % training accuracy are more with random labels than with true ones; made "
            "before these runs",
            ours=lambda t: t.texts_by(EPOCHS, "labels", "{0}: {1} epochs"),
            numbers=lambda t: t.numbers_by(EPOCHS, "labels"),
            **(shared | {"least_n": 2000}),
        ),
    ]
