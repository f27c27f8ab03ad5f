"""The gap between training and test error against the number of training images: does enough data stop overfitting?

Yousan AI 2019 says that with enough data a network never overfits. Up to CIFAR-10's 50,000 images: the final gap by n.

    rethinking figure data_size                 up to 2,000 images, a minute on two cores
    rethinking figure data_size --scale cpu     up to all 50,000 images
"""

from dataclasses import replace
from typing import Any

from rethinking.figures import FULL, Setting
from rethinking.figures._parts import BUDGET, UNSTATED, least_seeds, sizes
from rethinking.figures.kit import Claim, Frame, Grid, Lines, Measure, Table, ordered
from rethinking.figures.kit.measures import error, final
from rethinking.spec import RunSpec

MODELS = ["mlp-3x512", "mlp-1x512", "alexnet"]
OTHER_DATA = True
CAPTION = "Training and test error at the end of training against the number of training images, true labels."
THEIRS = "Nothing of its own; Yousan AI 2019: with enough data a network never overfits."
DEPARTURES = [
    UNSTATED,
    BUDGET,
    "Runs on fewer than 50,000 images have the precision of cpu at every scale; they stop when every training example "
    "is right.",
    "Every training example is fitted, so that the gap is the test error. That 50,000 images are "
    "enough not to overfit was judged until the runs were known, by a gap of at most 5 points, and did not hold; the "
    "survey does not say how much is enough, and the 5 points were ours.",
    "Run k trains on the first n images in the official order, whatever its seed.",
]
FEW, MANY = (250, 500, 1000, 2000), (1000, 2000, 5000, 10_000, 20_000, FULL)


def grid(setting: Setting) -> Grid:
    full = setting.subject.full
    images = sizes(FEW, min(full, FEW[-1])) if setting.scale == "quick" else sizes(MANY, full)
    return Grid("n = {images:,}", images=images)


def spec(setting: Setting, seed: int, images: int) -> RunSpec:
    reduced = replace(setting, scale="cpu")  # where it stops when fitted
    return (setting if images == setting.subject.full else reduced).spec(seed, n=images)


TRAIN, TEST, ACCURACY = error("train_accuracy"), error("test_accuracy"), final("test_accuracy")
GAP = Measure("gap", "gap (points)", lambda r: 100 * (r.final["train_accuracy"] - r.final["test_accuracy"]))
MEASURES = [GAP, ACCURACY]
TABLE = Table("run", {"training error (%)": TRAIN, "test error (%)": TEST})
Y = {"test error": TEST, "training error": TRAIN}
LABELS: dict[str, Any] = {"xlabel": "training images n", "ylabel": "error (%)", "legend": "center left"}
PANELS = [Lines(x="images", y=Y, log=True, ylim=(-2, 100), **LABELS)]


def finding(t: Frame, network: str) -> str:
    gaps = t.known(GAP, "images")
    few, many = min(gaps), max(gaps)
    apart = f"{gaps[few]:.2f} points apart on {few:,} images, {gaps[many]:.2f} on {many:,}"
    return f"Training and test accuracy of {network} are {apart}"


def claims(setting: Setting) -> list[Claim]:
    images = grid(setting).coordinates["images"]
    ends = images[0], images[-1]
    survey: dict[str, Any] = {"source": "Yousan AI 2019, on data", "least_seeds": least_seeds(setting.model)}
    return [
        ordered(
            GAP,
            "images",
            [[n] for n in reversed(images)],
            fitted=True,
            id="data_size.shrinks",
            name="the gap shrinks with n",
            statement="with more data the gap between training and test error is smaller",
            paper="the gap between training and test error falls with n",
            rule="the median gap over seeds falls from each n to the next, and every run is fitted; judged from "
            "n = 1,000 on",
            ours=lambda t: f"from {' to '.join(f'{t.where(images=n).median(GAP):.2f}' for n in ends)} points",
            numbers=lambda t: t.numbers_by(GAP, "images", "n = {:,}"),
            least_n=1000,
            **survey,
        ),
    ]
