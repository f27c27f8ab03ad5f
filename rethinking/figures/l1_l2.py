"""L1 and L2: the distributions of trained weights, exact zeros counted, and why one gives zeros and the other does not.

The same network trained without a penalty, with an L1 penalty (a proximal step, so zeros are exact) and with weight
decay (L2); and least squares in two weights on CIFAR-10, whose loss contours meet the two balls (Tibshirani 1996,
figure 2).

    rethinking figure l1_l2                 500 images, one seed: a minute
    rethinking figure l1_l2 --scale cpu     2,000 images, three seeds
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from rethinking.claims import rounded
from rethinking.figures import Setting
from rethinking.figures._parts import UNSTATED
from rethinking.figures._sweeps import CAVEAT, IMAGES, MLP_SIZE, NETWORKS, WORDS, run
from rethinking.figures.kit import Bound, Claim, Conditions, Frame, Grid, Measure, Own, Table, bounded, listed, made
from rethinking.figures.kit.measures import final, highest, steps_to_fit
from rethinking.plotting import look_of, not_run
from rethinking.record import Record
from rethinking.spec import Part, Spec, TwoWeightsSpec

NETWORK = NETWORKS[0]
CAPTION = "Trained weights without a penalty, with L1 and with L2; loss contours meeting the L1 and the L2 ball."
L1, STRONG, L2 = 1e-3, 3e-3, 0.02
THEIRS = "Nothing of its own; Yousan AI 2019 and Tibshirani 1996: L1 gives weights that are exactly 0, L2 small ones."
DEPARTURES = [
    "An extension: the paper shows no weights, and has no L1 penalty.",
    f"Strengths: L1 {L1:g} and, strong, {STRONG:g}; weight decay {L2:g}. They and the claims were fixed after runs of "
    "an earlier version had been seen, in which L1 acted at a tenth of its strength.",
    "Distributions are of the first layer, which holds two thirds of the weights, from 1,001 quantiles that the "
    "records keep; zeros are counted over all weight matrices, biases left out.",
    "Two weights: brightness of an image's upper and lower half against the class, first or last five, least squares.",
    CAVEAT,
    MLP_SIZE,
    UNSTATED,
]
PENALTIES: dict[str, tuple[Part, ...]] = {
    "no penalty": (),
    "L1": (Part(name="l1", options={"strength": L1}),),
    "strong L1": (Part(name="l1", options={"strength": STRONG}),),
    "L2": (Part(name="weight_decay", options={"strength": L2}),),
}
TWO = "two weights"
RUNS = Grid("", labels=list(WORDS), penalty=list(PENALTIES))


def label(labels: str = "", penalty: str = "", problem: str = "") -> str:
    return problem or f"{penalty}, {labels} labels"


GRID = Conditions(label, [*RUNS, {"problem": TWO}])


def seeds(setting: Setting, **condition: str) -> range:
    return range(1 if "problem" in condition else setting.seeds)


def spec(setting: Setting, seed: int, penalty: str = "no penalty", labels: str = "true", problem: str = "") -> Spec:
    trained = run(setting, seed, NETWORK, labels, *PENALTIES[penalty])
    return TwoWeightsSpec.make(n=trained.n) if problem else trained.replace(keep=("weight_quantiles",))


def on_axes(ball: str) -> Measure:
    """At how many radii between none and the free solution a weight in the ball is 0; of L2, or changes its sign."""

    def of(record: Record) -> int:
        weights = list(zip(record.curve[f"{ball}_first"], record.curve[f"{ball}_second"], strict=True))[1:-1]
        before = weights if ball == "l1" else [weights[0], *weights[:-1]]
        return sum(a * c <= 0 or b * d <= 0 for (a, b), (c, d) in zip(weights, before, strict=True))

    return Measure(ball, f"radii, {ball.upper()}", of, needs=f"{ball}_first")


def part_zero(record: Record) -> float:
    """The part of all weights that is exactly 0, in %."""
    counts = [held for name, held in record.arrays.items() if name.startswith("zeros/")]
    return 100 * float(sum(c[0] for c in counts)) / float(sum(c[1] for c in counts))


ZEROS = Measure("zeros", "weights exactly 0 (%)", part_zero, needs="train_accuracy")
TRAIN, HIGHEST, CORNERS, CROSSED = final("train_accuracy"), highest(), on_axes("l1"), on_axes("l2")
RADII = Measure("radii", "radii between none and the free solution", lambda r: len(r.curve["step"]) - 2, needs="radius")
MEASURES = [CORNERS, CROSSED, RADII]
COLUMNS_OF_RUNS = {ZEROS.label: ZEROS, "steps to 99 %": steps_to_fit(), TRAIN.label: TRAIN}
TABLE = Table("run", {**COLUMNS_OF_RUNS, "test accuracy (%)": final("test_accuracy")}, only={"labels": list(WORDS)})
EDGES = np.linspace(-0.1, 0.1, 82)  # of bins
LEAST = 0.1  # % of the weights: of 1,001 quantiles one
Records = Sequence[Record | None]


def density(record: Record) -> np.ndarray:
    """The part of the first layer's weights in each bin of EDGES, in %, (81,), from evenly spaced quantiles."""
    quantiles = record.arrays["quantiles/layers.0.weight"]
    return 100 * np.diff(np.searchsorted(quantiles, EDGES, side="left") / len(quantiles))


def medians(t: Frame) -> str:
    """Of a penalty's runs, for the legend: true / random labels."""
    if t.gone:
        return "not all run"
    told = ((ZEROS, " % zeros"), (TRAIN, " % right"))
    return "; ".join(
        " / ".join(f"{rounded(v):.1f}" for v in t.medians(m, "labels").values()) + unit for m, unit in told
    )


def paint_weights(word: str, axes: Any, t: Frame, records: Records) -> None:
    """The distributions of the first layer's weights, a line a run."""
    for penalty, part in t.where(labels=list(WORDS)).groups("penalty").items():
        look = {k: v for k, v in look_of(penalty).items() if k != "marker"}
        there = [r for i in part.where(labels=word).data.index if (r := records[i])]
        for record in there:
            axes.plot((EDGES[:-1] + EDGES[1:]) / 2, np.maximum(density(record), LEAST), lw=0.9, **look)
        axes.plot([], [], label=f"{penalty}: {medians(part)}", **look)
        if not there:
            not_run(axes)
    axes.locator_params(axis="x", nbins=4)


def tell_weights(word: str, t: Frame, records: Records) -> dict[str, Any]:
    rows = t.where(labels=word).data[["penalty", "seed"]].itertuples()
    there = [(f"{row.penalty}, {word} labels, seed {row.seed}", r) for row in rows if (r := records[row.Index])]
    return {name: {"share of weights (%)": density(record).round(3).tolist()} for name, record in there}


def tell_balls(t: Frame, records: Records) -> dict[str, Any]:
    names = ("radius", "l1_first", "l1_second", "l2_first", "l2_second")
    record = records[t.where(problem=TWO).data.index[0]]
    return {TWO: {name: record.curve[name] for name in names}} if record else {}


def paint_balls(axes: Any, t: Frame, records: Records) -> None:
    """Contours of the loss through the two solutions, the two balls, and the paths of solutions."""
    record = records[t.where(problem=TWO).data.index[0]]
    if not record:
        not_run(axes)
        return
    curve = record.curve
    last = {name: values[-1] for name, values in curve.items()}
    free = np.array([last["l2_first"], last["l2_second"]])
    far = 1.25 * float(np.abs(free).sum()) or 1.0
    x, y = np.meshgrid(*[np.linspace(-far, far, 241)] * 2)
    loss = last["offset"] - 2 * (last["slope_first"] * x + last["slope_second"] * y)
    loss += last["curvature_first"] * x * x + last["curvature_second"] * y * y + 2 * last["curvature_both"] * x * y
    corners = [k for k in range(1, len(curve["step"]) - 1) if 0.0 in (curve["l1_first"][k], curve["l1_second"][k])]
    row = corners[-1] if corners else len(curve["step"]) // 2  # the largest ball met in a corner
    levels = sorted({curve["l1_loss"][row], curve["l2_loss"][row]})
    if loss.min() < levels[0] and levels[-1] < loss.max():
        axes.contour(x, y, loss, levels=levels, colors="0.6", linewidths=0.8)
    turn = np.linspace(0, 2 * np.pi, 181)
    diamond, circle = np.array([[1, 0, -1, 0, 1], [0, 1, 0, -1, 0]]), np.stack([np.cos(turn), np.sin(turn)])
    for ball, shape in (("l1", np.abs(free).sum() * diamond), ("l2", np.linalg.norm(free) * circle)):
        look, path = look_of(ball.upper()), (curve[f"{ball}_first"], curve[f"{ball}_second"])
        axes.plot(*(curve["radius"][row] * shape), color=look["color"], lw=0.9)
        axes.plot(*path, color=look["color"], linestyle=look["linestyle"])
        axes.plot(path[0][row], path[1][row], "o", color=look["color"], ms=4)
    axes.plot(*free, "x", color="black", ms=5)
    axes.set_xlim(-0.75 * far, 0.55 * far)
    axes.set_ylim(-0.4 * far, 1.1 * far)
    axes.set_aspect("equal")


OF_WEIGHTS: dict[str, Any] = {"xlabel": "weight, first layer", "ylabel": "weights in a bin of 0.0025 (%)", "ylog": True}
OF_WEIGHTS |= {"xlim": (-0.06, 0.06), "ylim": (0.1, 150), "yticks": (0.1, 1, 10, 100)}
PANELS = [
    Own(
        paint=partial(paint_weights, word),
        series=partial(tell_weights, word),
        title=f"{word} labels",
        legend="outside lower center" if word == "true" else None,
        **OF_WEIGHTS,
    )
    for word in WORDS
]
OF_BALLS: dict[str, Any] = {"xlabel": "weight of the upper half", "ylabel": "weight of the lower half"}
PANELS += [Own(paint=paint_balls, series=tell_balls, title=TWO, **OF_BALLS)]
NOTES = [
    "below: weights exactly 0 in all layers, training accuracy; true / random labels, medians over seeds",
    "left: every seed a line, from 0.1 %, the resolution, up; right: solutions in the balls of L1 and L2",
    "right: ellipses: the loss; cross: no penalty; lines: solutions as the ball grows; dots: those in the balls drawn",
]


def finding(t: Frame, network: str) -> str:
    zeros = t.known(ZEROS, "penalty", labels="true")
    texts = listed(f"{rounded(v):.1f} % with {k}" for k, v in zeros.items())
    return f"Weights that are exactly 0, on true labels: {texts}"


def sparse(t: Frame) -> bool:
    values = {penalty: part.values(ZEROS) for penalty, part in t.groups("penalty").items()}
    return min(values["L1"]) >= 50 and max(values["L2"] + values["no penalty"]) < 0.1


def parts(l1: float, l2: float, none: float) -> Frame:
    """Made up: % of weights 0 by penalty."""
    return made(penalty=["no penalty", "L1", "L2"], zeros=[none, l1, l2])


LEAST_RUNS: dict[str, Any] = {"least_n": IMAGES[NETWORK], "least_seeds": 3}
CLAIMS = [
    Claim(
        id="l1_l2.zeros",
        name="zeros, L1",
        where={"labels": "true", "penalty": ["no penalty", "L1", "L2"]},
        source="Tibshirani 1996, section 2",
        statement="L1 sets most weights to exactly 0, L2 none",
        paper="L1 gives zeros, L2 shrinks",
        rule="on true labels, in every seed, at least 50 % of all weights are 0 with L1, and less than 0.1 % with L2 "
        "and with no penalty",
        holds=sparse,
        ours=lambda t: t.texts_by(ZEROS, "penalty", "{}: {} %"),
        numbers=lambda t: t.numbers_by(ZEROS, "penalty"),
        met=[parts(50.0, 0.09, 0.09)],
        missed=[parts(49.9, 0.0, 0.0), parts(50.0, 0.1, 0.0), parts(50.0, 0.0, 0.1)],
        **LEAST_RUNS,
    ),
    bounded(
        Bound(ZEROS, least=50),
        Bound(TRAIN, least=99),
        fitted=False,
        id="l1_l2.zeros_memorize",
        name="zeros memorize, L1",
        where={"labels": "random", "penalty": "L1"},
        source="zhang2017, section 3, extended",
        statement="with L1 a network most of whose weights are exactly 0 stays fitted to random labels",
        paper="regularization does not stop memorization",
        rule="on random labels, in every seed, the final training accuracy is at least 99 %, with at least 50 % of the "
        "weights 0; that a run reaches 99 % on the way, which counts as fitted elsewhere, is not enough",
        ours=lambda t: (
            f"{t.spread(TRAIN)} % at the end with {t.spread(ZEROS)} % zeros; {t.spread(HIGHEST)} % at the highest"
        ),
        **LEAST_RUNS,
    ),
    Claim(
        id="l1_l2.corners",
        name="corners",
        where={"problem": TWO},
        source="Tibshirani 1996, figure 2",
        statement="with two weights the contours of the loss meet the L1 ball in a corner, and the L2 ball never on an "
        "axis",
        paper="the corner of the L1 ball gives a zero",
        rule="of the radii between 0 and that of the solution without a penalty, a weight is 0 at one or more with L1; "
        "with L2 a weight is 0 at none, and none changes its sign from one radius to the next",
        holds=lambda t: min(t.values("l1")) > 0 and max(t.values("l2")) == 0,
        ours=lambda t: (
            f"L1: a weight is 0 at {t.median('l1'):.0f} of {t.median('radii'):.0f} radii; "
            f"L2: 0, or changes its sign, at {t.median('l2'):.0f}"
        ),
        numbers=lambda t: {CORNERS.label: t.numbers("l1"), CROSSED.label: t.numbers("l2")},
        least_n=2000,
        met=[made(l1=1, l2=0)],
        missed=[made(l1=0, l2=0), made(l1=1, l2=1)],
    ),
]
