"""What the paper does not state: are rows of Table 1 met with another batch size and other initial weights, too?

[zhang2017] names neither. Rows of Table 1 without a regularizer, on true and on random labels, with one choice made
otherwise: the same schedule by epochs, the same order of images, and initial weights from the same draws, at the
variance of Glorot & Bengio 2010 (equation 16), He et al. 2015 (equation 10) or LeCun, Bottou, Orr & Müller 1998
(equation 16).

    rethinking figure unstated                 2,000 images: minutes
    rethinking figure unstated --scale cpu     all 50,000 images for 90 epochs
"""

from dataclasses import replace
from typing import Any

from rethinking.claims import rounded
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import BUDGET, MIXES, UNSTATED
from rethinking.figures._parts import labels as labels_of
from rethinking.figures.kit import Claim, Frame, Grid, Rows, Table, bounded, epochs_to_fit, final, listed, ordered
from rethinking.figures.table1 import BY_NAME, TOLERANCE, Row, bounds, run_of
from rethinking.spec import RunSpec

MODELS = ["mlp-3x512", "mlp-1x512", "alexnet", "inception", "inception-nobn"]
SEEDS = {"quick": 1, "cpu": 1, "paper": 1}
CAPTION = "Test accuracy on true labels and epochs to fit random ones, by batch size and initial weights."
THEIRS = "Nothing of its own: Table 1 has one number a row, without its batch size and initial weights."
DEPARTURES = [
    UNSTATED,
    BUDGET,
    "A run with another batch size has as many epochs, and its learning rate falls after as "
    "many; at quick a batch holds no more than all images. The rate is the paper's with every choice.",
    "Initial weights are the same uniform draws at another scale, biases are zero. The variance is 2 / (fan_in + "
    "fan_out) by Glorot & Bengio 2010, 2 / fan_in by He et al. 2015, whose own draws are Gaussian, 1 / fan_in by "
    "LeCun, Bottou, Orr & Müller 1998.",
    "Glorot's were taken because all five networks train with them. Inception without batch norm had diverged "
    "with He's at the paper's learning rate, in trials of which there are no records.",
    "One seed, the first of Table 1. AlexNet is evaluated every fifth epoch at cpu and paper.",
]
OURS = "ours: batch 128, Glorot"
CHOICES: dict[str, dict[str, Any]] = {
    OURS: {},
    "batch 64": {"batch_size": 64},
    "batch 256": {"batch_size": 256},
    "He initialization": {"initial_weights": "he"},
    "LeCun initialization": {"initial_weights": "lecun"},
}
OTHERS = [choice for choice in CHOICES if choice != OURS]
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


TRAIN, TEST, EPOCHS = final("train_accuracy"), final("test_accuracy"), replace(epochs_to_fit(), form="{:g}")
MEASURES = [TRAIN, TEST]
TABLE = Table("run", {"training accuracy (%)": TRAIN, "test accuracy (%)": TEST, "epochs to 99 %": EPOCHS})


def row_of(setting: Setting, labels: str) -> Row | None:
    """Of Table 1, without a regularizer; None for a network that is not in it."""
    return BY_NAME.get(setting.model if labels == TRUE else f"{setting.model}, {RANDOM}")


def panels(setting: Setting) -> list[Rows]:
    row = row_of(setting, TRUE)
    paper = dict.fromkeys(CHOICES, row.test) if row else {}
    margin = TOLERANCE[row.network] if row else 0.0
    bands = dict.fromkeys(CHOICES, (row.test - margin, row.test + margin)) if row else {}

    def of(labels: str) -> dict[str, Any]:
        return {"by": "choice", "only": {"labels": labels}, "looks": dict.fromkeys(CHOICES, labels)}

    return [
        Rows(x=TEST, paper=paper, bands=bands, xlabel="test accuracy, true labels (%)", **of(TRUE)),
        Rows(x=EPOCHS, xlabel="epochs to 99 %, random labels", xlim=(0, None), **of(RANDOM)),
    ]


def notes(setting: Setting) -> list[str]:
    row = row_of(setting, TRUE)
    return [f"bar: within {TOLERANCE[row.network]:g} points of the paper's"] if row else []


def finding(t: Frame, network: str) -> str | None:
    tests = t.known(TEST, "choice", labels=TRUE)
    random = {choice: part for choice, part in t.where(labels=RANDOM).groups("choice").items() if not part.gone}
    if OURS not in tests or len(tests) == 1 or not random.keys() - {OURS}:
        return None
    first, *rest = (f"{rounded(tests[choice]):.1f}{{}} with {choice}" for choice in OTHERS if choice in tests)
    others = listed([first.format(" %"), *(each.format("") for each in rest)])
    others = others.replace(" initialization and", " and")  # a title has two lines
    true = {choice: t.where(labels=TRUE, choice=choice) for choice in tests}
    late = [[choice for choice, part in parts.items() if not part.fitted] for parts in (true, random)]
    fitted = f"are not fitted with {listed(late[1])}" if late[1] else "are fitted"
    reached = f"{others} on true labels (ours: {rounded(tests[OURS]):.1f}"
    reached += f"; not fitted with {listed(late[0])})" if late[0] else ")"
    return f"{network} reaches {reached}, and random ones {fitted}"


def claims(setting: Setting) -> list[Claim]:
    found = []
    for labels in (TRUE, RANDOM):
        row = row_of(setting, labels)
        if row is None:
            continue
        train, test = bounds(row)
        found.append(
            bounded(
                train,
                test,
                fitted=False,
                id=f"unstated.{labels.split()[0]}.{{choice}}",
                name=f"{labels}, {{choice}}",
                each={"choice": OTHERS},
                where={"labels": labels},
                source="zhang2017, Table 1, extended",
                statement=f"{row.name}, with {{choice}}: the training set is fitted, and test accuracy is near the "
                "paper's",
                paper=f"training {row.train:.2f} %, test {row.test:.2f} %",
                rule=f"as of Table 1, but of one seed: training accuracy is at least {train.least:g} %, and test "
                f"accuracy is within {TOLERANCE[setting.model]:g} points of the paper's, in the median where there are "
                "more; judged from n = 50,000 on; made before these runs",
                ours=lambda t: f"training {t.spread(TRAIN, ' %')}, test {t.spread(TEST, ' %')}",
                numbers=lambda t: {TRAIN.label: t.numbers(TRAIN), TEST.label: t.numbers(TEST)},
                least_n=FULL,
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
            each={"choice": OTHERS},
            source="zhang2017, Figure 1(b), extended",
            statement="random labels are fitted with {choice}, later than true ones",
            paper="slower by a small constant factor, for Inception, AlexNet and MLP 1x512",
            rule="random labels are fitted, and the median epochs to 99 % training accuracy are more than with true "
            "ones; judged from n = 2,000 on; made before these runs",
            ours=lambda t: t.texts_by(EPOCHS, "labels", "{0}: {1} epochs", whole=True),
            numbers=lambda t: t.numbers_by(EPOCHS, "labels", whole=True),
            least_n=2000,
        ),
    ]
