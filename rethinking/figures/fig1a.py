"""Figure 1(a): networks fit random labels and random pixels.

[zhang2017] Figure 1(a): training loss of the small Inception on CIFAR-10 against steps, under five conditions. All
reach zero; true labels first, random labels last, random pixels and Gaussian before random labels.

    rethinking figure fig1a                                   200 or 500 images, minutes on two cores
    rethinking figure fig1a --scale cpu --model mlp-3x512     all 50,000 images, 5 to 15 minutes a run on one core
    rethinking figure fig1a --scale paper                     the paper's sizes: a day on two cores, for a GPU
"""

import math
from typing import Any

from rethinking.claims import CENSORED, rounded
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import BUDGET, UNSTATED, at_chance, if_told, least_seeds
from rethinking.figures._score import Score
from rethinking.figures.kit import (
    Bound,
    Claim,
    Curves,
    Frame,
    Grid,
    Measure,
    Table,
    bounded,
    final,
    fits,
    listed,
    mostly,
    ordered,
)
from rethinking.figures.kit.measures import steps_to_fit
from rethinking.spec import Part, RunSpec

MODELS = ["inception", "alexnet", "mlp-3x512", "mlp-1x512", "inception-nobn"]
OTHER_DATA = True
CAPTION = (
    "Training loss and accuracy against steps on CIFAR-10 under five conditions; a line a seed, a mark where 99 % of "
    "the training images are right."
)
THEIRS = (
    "The training loss of Inception reaches 0 under all five conditions. True labels are fitted first and random "
    "labels last; random pixels and Gaussian images start converging faster than random labels."
)
DEPARTURES = [
    "Loss and accuracy are of the whole training set at an evaluation or, where every run has kept a log of them, of "
    "the batches as they were trained on, averaged over a few steps (23 at full size); the paper does not say how it "
    "averages. That the loss reaches 0 is judged by the accuracy.",
    "The loss of the batches as trained rises within an epoch, so that its curve has teeth an epoch wide: images that "
    "come early were last seen half an epoch ago on average, those that come late one and a half.",
    "Gaussian inputs are drawn with each channel's mean and variance, not clipped, and whitened as images are.",
    "That random labels, once their fitting starts, converge quickly (section 2.1) is shown and not judged, as the "
    "paper does not say how quickly: the table has the steps to 20 % and to 99 %.",
    UNSTATED,
    BUDGET,
    "The paper's figure is of Inception; other networks (--model) are judged by the same rules.",
    "At scale quick, and at cpu for all networks but the MLPs, runs are on fewer images.",
]
CONDITIONS = ["true labels", "random labels", "shuffled pixels", "random pixels", "Gaussian"]
GRID = Grid("{condition}", condition=CONDITIONS)


def seeds(setting: Setting, condition: str) -> range:
    return range(setting.seeds) if setting.scale == "cpu" else setting.seeds_of(setting.model)


def spec(setting: Setting, seed: int, condition: str) -> RunSpec:
    if condition == "true labels" and seed == 0 and setting.model.startswith("inception"):
        return setting.spec(seed)  # goes on to the end: a row of Table 1
    corruption = condition.lower().replace(" ", "_")
    return setting.until_fitted(seed, corruptions=() if condition == "true labels" else (Part(name=corruption),))


START = Measure(
    "start",
    "steps to 20 % training accuracy",
    lambda r: next((s for s, a in zip(r.curve["step"], r.curve["train_accuracy"], strict=True) if a >= 0.2), CENSORED),
    whole=True,
)
STEPS, TRAIN, TEST = steps_to_fit(), final("train_accuracy"), final("test_accuracy")
TABLE = Table(
    "condition",
    {
        "steps to 99 %": STEPS,
        "steps to 20 %": START,
        "final training accuracy (%)": TRAIN,
        "test accuracy (%)": TEST,
    },
)
BY: dict[str, Any] = {"hue": "condition", "shown": 1.5}
LOSS: dict[str, Any] = {"columns": {"train_loss": None}, "online": "online_loss", "ylabel": "training loss (nats)"}
RIGHT: dict[str, Any] = {"columns": {"train_accuracy": None}, "online": "online_accuracy", "factor": 100}


def panels(setting: Setting) -> list[Curves]:
    by: dict[str, Any] = {"xlabel": f"step (batches of {min(128, setting.images(setting.model))})", **BY}
    return [
        Curves(ylim=(0, None), legend=None, **LOSS, **by),
        Curves(ylim=(0, 101), ylabel="training accuracy (%)", **RIGHT, **by),
    ]


def finding(t: Frame, network: str) -> str:
    runs = {"Gaussian images" if c == "Gaussian" else c: part for c, part in t.groups("condition").items()}
    there = {condition: part for condition, part in runs.items() if not part.gone}
    steps = {condition: part.one(STEPS) for condition, part in there.items() if mostly(part, "fitted")}
    late = [condition for condition in there if condition not in steps]
    if not steps and not t.gone:
        return f"{network} on {listed(late)}: none was fitted"
    rest = f"; not fitted: {listed(late)}" if late else ""
    if steps.get("true labels") and "random labels" in steps:
        true = steps.pop("true labels")
        times = listed(f"{condition} in {rounded(count / true):.1f}" for condition, count in steps.items())
        return f"{network} fits {times} times the steps of true labels{rest}"
    return f"{network} fits {listed(f'{condition} in {count:,.0f} steps' for condition, count in steps.items())}{rest}"


REACHED = {"number": "highest training accuracy (%)", "unit": " % fitted"}
SCORES = [
    Score("random labels", claim="fig1a.fits.random_labels", **REACHED),
    Score("shuffled pixels", claim="fig1a.fits.shuffled_pixels", **REACHED),
    Score("random pixels", claim="fig1a.fits.random_pixels", **REACHED),
    Score("Gaussian images", claim="fig1a.fits.gaussian", **REACHED),
]
FASTER = (
    "both take fewer steps to 99 % training accuracy than random labels, in the median over seeds; random labels that "
    "are never fitted count as slower"
)
OWN: dict[str, Any] = {"source": "zhang2017, Figure 1(a)", "own_network": True}
ROW: dict[str, Any] = {"source": "zhang2017, Table 1", "least_n": 200}
ORDER: dict[str, Any] = {"least_n": FULL, "least_seeds": least_seeds}
ORDER |= {"ours": lambda t: f"steps to 99 %: {t.texts_by(STEPS, 'condition', '{} {}', '; ', whole=True)}{nearest(t)}"}
ORDER |= {"numbers": lambda t: t.numbers_by(STEPS, "condition", "steps, {}", whole=True)}


def nearest(t: Frame) -> str:
    """How far before random labels the last of the others is fitted, in words."""
    steps = t.medians(STEPS, "condition")
    labels = steps.pop("random labels", math.inf)
    last = max(steps, key=lambda condition: steps[condition])
    if not math.isfinite(labels) or not steps[last] < labels:
        return ""
    return f"; steps of {last}: {100 * (1 - steps[last] / labels):.0f} % fewer than those of random labels"


def claims(setting: Setting) -> list[Claim]:
    of, mlp = setting.subject, setting.model.startswith("mlp")
    started = ordered(
        START,
        "condition",
        [["random pixels", "Gaussian"], ["random labels"]],
        fitted=True,
        id="fig1a.start",
        name="pixels start before labels",
        where={"condition": ["random labels", "random pixels", "Gaussian"]},
        statement="random pixels and Gaussian inputs start converging before random labels",
        paper="random pixels and Gaussian start converging faster than random labels",
        rule="both take fewer steps than random labels, in the median over seeds, to the first evaluation with 20 % "
        "training accuracy, twice chance, of the images that it uses; every run is fitted; a rule made after the runs",
        **OWN
        | ORDER
        | {
            "source": "zhang2017, section 2.1",
            "ours": lambda t: f"steps to 20 %: {t.texts_by(START, 'condition', '{} {}', '; ', whole=True)}",
            "numbers": lambda t: t.numbers_by(START, "condition", "steps to 20 %, {}", whole=True),
        },
    )
    return [
        *([started] if of.papers else []),
        fits(
            least_n=200,
            id="fig1a.fits.{condition}",
            name="fits {condition}",
            each={"condition": CONDITIONS},
            statement="the network fits the training set under {condition}",
            paper="training loss reaches 0",
            rule="training accuracy of at least 99 % in every seed; judged from n = 200 on",
            **OWN,
        ),
        if_told(
            of,
            bounded(
                Bound(TEST, least=of.learned),
                id="fig1a.generalizes",
                name="true labels generalize",
                where={"condition": "true labels"},
                statement="test accuracy of true labels is far above chance",
                paper="50.51 to 85.75 % without regularization, by network",
                rule=f"at least {of.learned:g} %, {of.learned_words}, in every seed; judged from n = 200 on",
                answer="far above chance",
                fitted=False,
                **ROW,
            ),
        ),
        at_chance(
            of,
            TEST,
            id="fig1a.chance",
            name="random labels do not generalize",
            where={"condition": "random labels"},
            statement="test accuracy of random labels is at chance",
            paper="9.78 to 10.61 %, by network",
            rule=f"{of.within} of {of.chance:g} % in every seed, and every run is fitted; judged from n = 200 on, as "
            "chance does not depend on n",
            **ROW,
        ),
        ordered(
            STEPS,
            "condition",
            [["random pixels", "Gaussian"], ["random labels"]],
            censored=True,
            id="fig1a.pixels_first",
            name="pixels before labels",
            where={"condition": ["random labels", "random pixels", "Gaussian"]},
            statement="random pixels and Gaussian inputs are fitted before random labels",
            paper="random pixels and Gaussian start converging faster than random labels; here, whether they end so",
            rule=f"{FASTER}. When n was raised from 2,000 to 50,000, the MLPs' runs and Inception's on 2,000 images, "
            "which meet it, were known, and Inception's on 50,000 were not",
            asked=FASTER,
            **OWN | ORDER | {"source": "zhang2017, section 2.1"},
        ),
        ordered(
            STEPS,
            "condition",
            [["true labels"], ["shuffled pixels", "random pixels", "Gaussian"], ["random labels"]],
            id="fig1a.order",
            name="order of fitting",
            where={"condition": [c for c in CONDITIONS if not (mlp and c == "shuffled pixels")]},
            statement="true labels are fitted first, random labels last",
            paper="read off the plot: true labels, then the three pixel corruptions, then random labels",
            rule="the medians over seeds of the steps to 99 % training accuracy are strictly in this order, and random "
            "labels are fitted; shuffled pixels do not count for an MLP, whose independent initial weights cannot tell "
            "them from true ones. When they were left out, n raised from 2,000 to 50,000 and Inception's seeds lowered "
            "from 3 to 1, the MLPs' runs were known, and Inception's on 2,000 images, which do not meet it; those on "
            "50,000 were not",
            asked="the medians over seeds of the steps to 99 % training accuracy are strictly in this order, and "
            "random labels are fitted; shuffled pixels do not count for an MLP, which cannot tell them from true ones",
            **OWN | ORDER,
        ),
    ]
