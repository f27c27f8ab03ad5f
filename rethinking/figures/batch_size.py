"""Batch size: is mini-batch SGD an implicit regularizer?

Yousan AI 2019 counts the noise of small batches among what regularizes. Test accuracy and time to fit against batch
size, for true, half random and random labels; everything else the same, the learning rate by step too.

    rethinking figure batch_size                 500 images, one seed: minutes
    rethinking figure batch_size --scale cpu     2,000 images, three seeds
"""

from typing import Any

from rethinking.figures import FULL, Setting
from rethinking.figures._parts import MIXES, SMALL, UNSTATED, labels, least_seeds, sizes
from rethinking.figures.kit import Claim, Frame, Grid, Lines, Table, epochs_to_fit, final, fits, made, steps_to_fit
from rethinking.spec import RunSpec

MODELS = ["mlp-3x512", "mlp-1x512", "alexnet"]
OTHER_DATA = True
CAPTION = "Test accuracy and epochs to fit against batch size, for true, half random and random labels."
THEIRS = "Nothing of its own; Yousan AI 2019: the noise of small batches regularizes."
DEPARTURES = [
    "An extension: the paper does not vary the batch size, nor state it.",
    "The learning rate starts the same at every batch size and falls every 391 steps, whatever the batch size: small "
    "batches, with more steps an epoch, end at a lower one.",
    f"{SMALL} paper: all 50,000 images, 64 epochs.",
    UNSTATED,
]
BATCHES = {"quick": (16, 128, 500), "cpu": (8, 32, 128, 512, 2000), "paper": (32, 128, 512, 2048)}
IMAGES, EPOCHS = {"quick": 500, "cpu": 2000, "paper": FULL}, {"quick": 100, "cpu": 200, "paper": 64}


def grid(setting: Setting) -> Grid:
    """Of a set with fewer images the largest batch is its whole."""
    usual = BATCHES[setting.scale]
    batches = sizes(usual, min(usual[-1], setting.within(IMAGES[setting.scale])), least=2)
    return Grid("{labels}, batch {batch:,}", labels=list(MIXES), batch=batches)


def spec(setting: Setting, seed: int, batch: int, **mix: str) -> RunSpec:
    n = setting.within(IMAGES[setting.scale])
    epoch = -(-n // batch)
    length = {"steps": EPOCHS[setting.scale] * epoch, "eval_every": epoch, "stop": "fitted"}
    return setting.spec(seed, n=n, batch_size=batch, corruptions=labels(MIXES[mix["labels"]]), **length)


STEPS, TIME, TEST, TRAIN = steps_to_fit(), epochs_to_fit(), final("test_accuracy"), final("train_accuracy")
TABLE = Table("run", {"steps to 99 %": STEPS, "training accuracy (%)": TRAIN, "test accuracy (%)": TEST})
BY: dict[str, Any] = {"x": "batch", "hue": "labels", "log": True, "xlabel": "batch size", "ylim": (0, None)}


def panels(setting: Setting) -> list[Lines]:
    chance = (setting.subject.chance, "")
    return [
        Lines(y=TEST, ylabel="test accuracy (%)\nfine dotted line: chance", reference=chance, legend=None, **BY),
        Lines(y=TIME, ylabel="epochs to 99 % training accuracy", legend="upper left", **BY),
    ]


def finding(t: Frame, network: str) -> str:
    accuracy = t.known(TEST, "batch", labels="true labels")
    best = max(accuracy, key=lambda batch: accuracy[batch])
    reached = f"{min(accuracy.values()):.2f} to {accuracy[best]:.2f} % test accuracy on true labels"
    batches = f"batches of {min(accuracy):,} to {max(accuracy):,}, the highest with {best:,}"
    return f"{network} reaches {reached} with {batches}"


def claims(setting: Setting) -> list[Claim]:
    batches = grid(setting).coordinates["batch"]
    few, many = batches[0], batches[-1]

    def helps(t: Frame) -> bool | None:
        pairs = list(zip(*(t.where(batch=batch).values(TEST) for batch in (few, many)), strict=True))
        if not t.fitted or all(a < b for a, b in pairs):
            return False
        return True if all(a > b for a, b in pairs) else None

    def accuracies(*tests: float, state: str | list[str] = "fitted") -> Frame:
        """Made up: two seeds with small batches, two with large ones."""
        return made(batch=[few, few, many, many], test_accuracy=list(tests), state=state)

    least: dict[str, Any] = {"least_n": 2000, "least_seeds": least_seeds(setting.model)}
    return [
        fits(
            id="batch_size.fitted.{batch}",
            name="fitted with batch {batch}",
            each={"batch": batches},
            where={"labels": "random labels"},
            source="zhang2017, section 2.1, extended",
            statement="random labels are fitted with batches of {batch:,}",
            paper="SGD fits random labels",
            rule="every seed reaches 99 % training accuracy within the budget",
            **least,
        ),
        Claim(
            id="batch_size.small_help",
            name="small batches help",
            where={"labels": "true labels", "batch": [few, many]},
            source="Yousan AI 2019, on implicit regularization",
            statement=f"batches of {few} reach a higher test accuracy than batches of {many:,}",
            paper="the noise of small batches regularizes",
            rule="on true labels test accuracy is higher with the smaller batches in every seed, and every run is "
            "fitted; it does not hold where it is lower in every seed or a run is not fitted, and is not judged where "
            "seeds disagree; a rule made after the runs: before, the medians over seeds decided, however close",
            holds=helps,
            ours=lambda t: t.texts_by(TEST, "batch", "{1} % with {0:,}"),
            numbers=lambda t: t.numbers_by(TEST, "batch", "true labels, batch {:,}"),
            met=[accuracies(31, 41, 30, 40)],
            missed=[accuracies(30, 40, 31, 41), accuracies(31, 41, 30, 40, state=[*["fitted"] * 3, "censored"])],
            unjudged=[accuracies(31, 39, 30, 40), accuracies(30, 41, 30, 40)],
            **least,
        ),
    ]
