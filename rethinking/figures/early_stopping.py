"""Early stopping on held-out training images: what it gains against patience, for clean and corrupted labels.

[zhang2017] section 3: early stopping could improve generalization, and on CIFAR-10 gains nothing. Here a run stops
once `patience` evaluations have not improved on the best accuracy so far, and returns to that; judged by images of the
training set that are not trained on and whose labels are corrupted like the rest. The test set is only read off.

    rethinking figure early_stopping                 500 images, one seed: minutes
    rethinking figure early_stopping --scale cpu     2,000 images, three seeds
"""

from typing import Any

from rethinking.claims import rounded
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import MIXES, UNSTATED, if_told, labels, least_seeds
from rethinking.figures.kit import Bound, Claim, Curves, Frame, Grid, Lines, Measure, Table, bounded
from rethinking.figures.kit.measures import final, returned_epoch, stopping_gain
from rethinking.record import Record
from rethinking.spec import EPOCH, RunSpec

MODELS = ["mlp-3x512", "mlp-1x512", "alexnet"]
OTHER_DATA = True
CAPTION = "What stopping early gains in test accuracy, against patience, for true, half random and random labels."
THEIRS = "Early stopping could potentially improve generalization; on CIFAR-10 it gains nothing."
DEPARTURES = [
    "The paper reads early stopping off the test curve (Figure 2). Here a fifth of the training images is held out, "
    "their labels corrupted like the rest, and the test set plays no part.",
    "Patience is counted in evaluations, one an epoch (paper: of 40,000 images), without a higher held-out accuracy; "
    "held-out loss may stop elsewhere. What stopping returns is the evaluation with the highest.",
    "Every evaluation uses all test images. The gain is over the last evaluation.",
    "cpu: 2,000 images, of which 400 are held out; quick: 500 and 100. The whole budget is trained: 100 epochs "
    "(quick 40, paper 80).",
    UNSTATED,
]
IMAGES = {"quick": 500, "cpu": 2000}
EPOCHS = {"quick": 40, "cpu": 100, "paper": 80}
GRID = Grid("{labels}", labels=list(MIXES))
READ_AT = {"patience": (1, 2, 4, 8, 16, 32)}


def spec(setting: Setting, seed: int, **condition: str) -> RunSpec:
    n = setting.within(IMAGES.get(setting.scale, FULL))
    epoch = -(-(n - n // 5) // 128)
    fields: dict[str, Any] = {"n": n, "held_out": n // 5, "stop": "budget", "interim_test": 10_000}
    fields |= {"eval_every": min(epoch, EPOCH), "steps": EPOCHS[setting.scale] * epoch}
    return setting.spec(seed, corruptions=labels(MIXES[condition["labels"]]), **fields)


def best(record: Record) -> float:
    """What the evaluation with the highest test accuracy has over the last one, in points."""
    tests = record.curve["test_accuracy"]
    return 100 * (max(tests) - tests[-1])


GAIN, END, TEST = stopping_gain(), returned_epoch(), final("test_accuracy")
MOST = Measure("most_gain", "most that any rule could gain (points)", best)
MEASURES = [MOST]
TABLE = Table(
    "run",
    {"returned to epoch": END, "gain in test accuracy (points)": GAIN, "final test accuracy (%)": TEST},
    by="{labels}, patience {patience}",
)
OVER: dict[str, Any] = {"x": "patience", "hue": "labels", "log": True, "apart": 1.09, "reference": (0, "")}
OVER |= {"xlabel": "patience (evaluations, one an epoch)", "legend": "outside lower center"}
HELD_OUT: dict[str, Any] = {"x": "epoch", "columns": {"held_out_accuracy": None}, "factor": 100, "hue": "labels"}
HELD_OUT |= {
    "xlabel": "epochs",
    "ylabel": "held-out accuracy (%)\nfine dotted line: chance",
    "ylim": (0, None),
    "legend": None,
}


def panels(setting: Setting) -> list[Lines | Curves]:
    return [
        Lines(y=GAIN, ylabel="gain in test accuracy over\nthe last evaluation (points)", **OVER),
        Curves(reference=(setting.subject.chance, ""), **HELD_OUT),
    ]


NOTES = ["a fifth of the images held out, their labels corrupted alike; right: every seed"]
JUDGED = 8  # the patience that claims are judged at


def finding(t: Frame, network: str) -> str:
    true, half, random = (t.one(GAIN, patience=JUDGED, labels=mix) for mix in MIXES)
    return (
        f"Early stopping of patience {JUDGED} changes the test accuracy of {network} by {rounded(true):+.1f} points "
        f"with true labels, {rounded(half):+.1f} where half are random, {rounded(random):+.1f} where all are"
    )


def gained(t: Frame) -> str:
    return f"{t.spread(GAIN, ' points')}; the most that any stopping rule could gain: {t.spread(MOST, ' points')}"


def claims(setting: Setting) -> list[Claim]:
    most = setting.subject.tolerance

    def gain(mix: str, statement: str, paper: str, rule: str, later: str = "", **bounds: Any) -> Claim:
        claim = bounded(
            Bound(GAIN, **bounds),
            key="gain (points)",
            id=f"early_stopping.{mix}",
            name=f"gain, {mix}",
            where={"labels": mix, "patience": JUDGED},
            source="zhang2017, section 3, extended",
            statement=f"early stopping {statement}",
            paper=paper,
            rule=f"with patience {JUDGED} the gain is {rule} in every seed, and every run is fitted"
            + f"; {later}" * bool(later),
            least_n=2000,
            least_seeds=least_seeds(setting.model),
            ours=gained,
        )
        return if_told(setting.subject, claim)

    true, half, random = MIXES
    helps = "helps on half random labels, by 5 points or more"
    could, around = "early stopping could potentially improve generalization", f"within {most:g} points of 0"
    return [
        gain(
            true,
            "changes little on true labels",
            "no gain on CIFAR-10",
            around,
            "a rule made after the runs: before, it had no lower bound, so that any loss would have met it",
            least=-most,
            most=most,
        ),
        gain(half, helps, could, "at least 5 points", least=5),
        gain(random, "does not help on random labels", "test accuracy at chance", around, least=-most, most=most),
    ]
