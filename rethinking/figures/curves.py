"""Training and test error over training: underfitting, overfitting, and the best point between them.

The classic two curves, for true, half and fully random labels: where test error is lowest is where early stopping
would stop; to its left the network underfits, to its right it overfits. The remark of Yousan AI 2019 that training
error may start above test error is judged on the error as it is usually reported, the mean over an epoch's batches.

    rethinking figure curves                  2,000 images, a minute on two cores
    rethinking figure curves --scale cpu      MLP 1x512 on all 50,000 images (runs of fig1b)
"""

from typing import Any

from rethinking.figures import Setting
from rethinking.figures._parts import BUDGET, MIXES, UNSTATED, if_told, labels, least_seeds
from rethinking.figures.kit import Bound, Claim, Curves, Frame, Grid, Measure, Table, Zones, bounded, listed
from rethinking.figures.kit.measures import best_epoch, best_error, error, final, first_error, gain
from rethinking.spec import RunSpec

MODELS = ["mlp-1x512", "mlp-3x512", "alexnet", "inception"]
OTHER_DATA = True
CAPTION = "Training and test error against epochs; dotted, where stopping gains 3 points: the lowest test error."
THEIRS = (
    "Nothing of its own; Yousan AI 2019: training error may start above test error, and overfitting follows "
    "underfitting."
)
DEPARTURES = [
    UNSTATED,
    BUDGET,
    "Evaluations before the last use the first 2,000 test images (quick: 250), the last one all; the best point is "
    "among the former.",
    "The best of many evaluations lies above the last by chance, too: with random labels nothing can be gained.",
    "The mean over an epoch's batches is of weights from half an epoch earlier, on average, than those of the "
    "test error. The table has the training error of the same weights, too.",
    "At scale quick, and at cpu for all networks but the MLPs, runs are on fewer images.",
]
GRID = Grid("{labels}", labels=list(MIXES))


def spec(setting: Setting, seed: int, **condition: str) -> RunSpec:
    run = setting.spec(seed, corruptions=labels(MIXES[condition["labels"]]))
    return run.replace(eval_every=run.epoch_steps)


BEST, LOWEST, LAST, GAIN, ACCURACY = best_epoch(), best_error(), error("test_accuracy"), gain(), final("test_accuracy")
BEFORE, AFTER = first_error("online_accuracy"), first_error("test_accuracy")
START = Measure("start", "training minus test error (points)", lambda r: float(BEFORE.of(r)) - float(AFTER.of(r)))
WHOLE = first_error("train_accuracy")
LATE = Measure("late", "the best epoch is after the first", lambda r: best_epoch().of(r) > r.curve["epoch"][1])
IMAGES = Measure("same", "test images of evaluations before the last", lambda r: r.curve["test_images"][0], whole=True)
MEASURES = [GAIN, ACCURACY, START, LATE, IMAGES]
COLUMNS: dict[str, Any] = {"best epoch": BEST, "best test error (%)": LOWEST}
COLUMNS["of test images"] = lambda t: next((int(v) for v in t.values(IMAGES)), None)
COLUMNS |= {"lost after it on the same test images (points)": GAIN, "final test error, of all test images (%)": LAST}
COLUMNS |= {"first epoch's training error as trained (%)": BEFORE, "training error after it (%)": WHOLE}
COLUMNS |= {"test error after it (%)": AFTER}
TABLE = Table("condition", COLUMNS)
LINES: dict[str, Any] = {"x": "epoch", "columns": {"train_accuracy": "-", "test_accuracy": "--"}, "factor": 100}
LINES |= {"error": True, "hue": "labels", "zones": Zones(BEST, GAIN, 3.0), "xlabel": "epoch", "ylim": (0, 100)}
LINES |= {"ylabel": "error (%); solid: training, dashed: test", "legend": None}
LINES |= {"ends": "the run's end, of all test images"}
PANELS = [Curves(only={"labels": mix}, title=mix, **LINES) for mix in MIXES]


def finding(t: Frame, network: str) -> str:
    gains = t.known(GAIN, "labels").items()
    lost = listed(f"{points:.2f} with {labels.removesuffix(' labels')}" for labels, points in gains)
    best = f"after its best epoch, on {max(t.known(IMAGES, 'labels').values()):,.0f} test images"
    by_chance = ", by chance" * (list(gains)[-1][0] == "random labels")
    return f"Points of test accuracy that {network} loses {best}: {lost} labels{by_chance}"


LEAST: dict[str, Any] = {"least_n": 2000, "least_seeds": least_seeds}


def claims(setting: Setting) -> list[Claim]:
    of = setting.subject
    starts_above = bounded(
        Bound(START, least=1),
        Bound(ACCURACY, least=of.learned),
        fitted=False,
        key="training minus test error",
        id="curves.starts_above",
        name="training error starts above test error",
        where={"labels": "true labels"},
        source="Yousan AI 2019, on training error",
        statement="training error, as the mean over an epoch's batches, may start above test error",
        paper="training error may start above test error",
        rule="in every seed the mean training error of the first epoch is at least 1 point above the test error after "
        f"it, and the final test accuracy is at least {of.learned_words}; judged from n = 2,000 on",
        **LEAST,
    )
    return [
        bounded(
            Bound(GAIN, least=5),
            Bound(LATE, above=0),
            key="lost after the best point",
            id="curves.overfits",
            name="overfits half random labels",
            where={"labels": "half random labels"},
            source="Yousan AI 2019, on underfitting and overfitting",
            statement="with half random labels test error falls, then rises: there is a best point to stop at",
            paper="a U-shaped curve of test error",
            rule="in every seed test error is lowest later than at the first epoch, ends at least 5 points above that "
            "on the same test images, and the run is fitted; judged from n = 2,000 on",
            **LEAST,
        ),
        if_told(of, starts_above),
    ]
