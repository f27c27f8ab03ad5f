"""Theorem 1: a network with 2n + d weights fits any labels, built, not trained.

[zhang2017] section 4 and appendix C: weights against n, and the largest error of two evaluations of two constructions;
beside them a network of the paper's that SGD fits to random labels, and the depth-k forms of the corollary.

    rethinking figure theorem1                  100 to 2,000 images, a minute or two, most of it SGD's
    rethinking figure theorem1 --scale cpu      to all 50,000 images: two minutes, and SGD's run of fig1a
    rethinking figure theorem1 --scale paper    the same
"""

import math
from typing import Any

from rethinking import catalog
from rethinking.figures import FULL, Setting
from rethinking.figures._score import Score
from rethinking.figures.kit import Bound, Claim, Conditions, Frame, Measure, Own, Table, Tables, bounded, made
from rethinking.figures.kit.measures import UNMEASURED, column, of_row, steps_to_fit
from rethinking.plotting import NOTE, look_of
from rethinking.spec import Part, Spec, Theorem1Spec

MODELS = ["mlp-3x512", "mlp-1x512", "alexnet", "inception", "inception-nobn"]
SEEDS = {"quick": 1, "cpu": 1, "paper": 1}
CAPTION = "Weights and largest error of networks built to fit random labels of n CIFAR-10 images, beside SGD's."
THEIRS = (
    "A two-layer ReLU network with 2n + d weights fits any labels of n distinct points in d dimensions; the paper "
    "proves it and builds none."
)
DEPARTURES = [
    "Labels are the numbers 0 to 9 of one output; the trained network has ten outputs.",
    "A bias may equal the projection of the point before it, where the paper has it strictly between two.",
    "Depth k counts layers of weights, so k = 2 is the theorem's own network; weights are counted as wired, nonzero.",
    "Points are the original images, d = 3,072; the trained network sees 28 x 28 pixels, whitened.",
]
SIZES = {"quick": (100, 300, 1000, 2000), "cpu": (100, 300, 1000, 3000, 10_000, FULL)}
DEPTHS, PIXELS = (2, 4, 8), 3072  # k, d
SGD = "SGD"
BUILT = {"random": "random direction, midpoint biases", "chosen": "chosen direction and biases"}


def sizes(setting: Setting) -> tuple[int, ...]:
    return SIZES.get(setting.scale, SIZES["cpu"])


def label(construction: str, images: int = 0, depth: int = 2, **_: Any) -> str:
    return SGD if construction == SGD else f"{construction}, n = {images}" + (f", k = {depth}" if depth > 2 else "")


def grid(setting: Setting) -> Conditions:
    cases = [(construction, n, 2) for construction in BUILT for n in sizes(setting)]
    cases += [("chosen", sizes(setting)[-1], k) for k in DEPTHS[1:]]
    built = [{"construction": construction, "images": n, "depth": k} for construction, n, k in cases]
    return Conditions(label, [*built, {"construction": SGD, "network": setting.model}])


def spec(setting: Setting, seed: int, construction: str, images: int = 0, depth: int = 2, network: str = "") -> Spec:
    if construction == SGD:
        return setting.spec(seed, corruptions=(Part(name="random_labels"),))
    return Theorem1Spec.make(n=images, construction=construction, depth=depth, seed=seed, data_seed=seed)


def parameters(network: str) -> int:
    """Trained numbers of a network for CIFAR-10, as its file tells the paper's count, else counted."""
    told = catalog.find("models", network).constants.get("PAPER", {}).get("parameters")
    told = told.get(network) if isinstance(told, dict) else told
    if told is not None:
        return told
    from rethinking import models

    return models.count_parameters(models.build(network))


WEIGHTS, NONZEROS, WIDTH = (column(name, form="{:.0f}") for name in ("weights", "nonzeros", "width"))
ERROR, PLAIN, CONDITION, LARGEST, LEMMA_1 = (
    column(name, form="{:.2g}") for name in ("module_error", "plain_error", "condition", "largest_weight", "eigenvalue")
)
RIGHT, STEPS, BUILDING = column("plain_right"), steps_to_fit(), column("construction_seconds", form="{:.3f}")
TIMES = of_row("times", lambda r: r["construction_seconds"] / (r["project_seconds"] + r["sort_seconds"]), form="{:.1f}")
MEASURES = [RIGHT]
EXACT = Bound(ERROR, most=1e-5)
COLUMNS = {"weights": WEIGHTS, "nonzeros": NONZEROS, "width": WIDTH, "error": ERROR, "plain error": PLAIN}
COLUMNS |= {"largest weight": LARGEST, "Lemma 1": LEMMA_1, "condition at least": CONDITION, "seconds": BUILDING}
COLUMNS |= {"times X a and a sort": TIMES}
SECONDS = Measure("run_seconds", "", lambda r: r.environment.get("seconds", UNMEASURED))
OF_SGD: dict[str, Any] = {"weights": lambda t: parameters(t.data["network"].iloc[0]), "steps to 99 %": STEPS}
OF_SGD |= {"seconds": SECONDS}
TABLE = Tables(
    Table("network", COLUMNS, only={"construction": list(BUILT)}),
    Table("network", OF_SGD, by="SGD, {network}", only={"construction": SGD}),
)


def span(axes: Any, t: Frame) -> list[int]:
    """The numbers of images, which set the axis, also where no run is there."""
    ns = sorted(int(n) for n in t.where(construction="chosen").data["images"].unique())
    axes.set_xlim(ns[0] / 1.5, ns[-1] * 1.5)
    return ns


def paint_weights(axes: Any, t: Frame, _: Any) -> None:
    built, sgd = t.where(construction="chosen"), t.where(construction=SGD)
    ns = span(axes, built)
    axes.plot(ns, [2 * n + PIXELS for n in ns], color="black", lw=0.8, label="2n + d")
    for k, marker in zip(DEPTHS, "o^v", strict=True):
        data, fill = built.where(depth=k).data, "full" if k == 2 else "none"
        name, measure = (f"built, depth {k}", WEIGHTS) if k == 2 else (f"built, depth {k}: nonzeros", NONZEROS)
        style = {"color": "#0072B2" if k == 2 else "#009E73", "fillstyle": fill}
        axes.plot(data["images"], data[measure.name], marker, label=name, **style)
    network, n = sgd.data[["network", "n"]].iloc[0]
    axes.plot(n, parameters(network), "*", color="black", ms=8, clip_on=False)
    steps = f"99 % after {sgd.text(STEPS, whole=True)} steps" if sgd.fitted else "not run" if sgd.gone else "not fitted"
    words = f"{network}, SGD:\n{steps}"
    text = {"textcoords": "offset points", "ha": "right", "va": "top", "fontsize": NOTE}
    axes.annotate(words, (n, parameters(network)), (-6, -2), **text)


def paint_errors(axes: Any, t: Frame, _: Any) -> None:
    span(axes, t)
    ways = {
        "plain pass": ("-", "full"),
        "summed in the order of the kinks": ((0, (4, 2)), "none"),
        "rounding × Lemma 1's condition": (":", None),
    }
    for construction, words in BUILT.items():
        look, data = look_of(words), t.where(construction=construction, depth=2).data
        values = [data[PLAIN.name], data[ERROR.name], 2.2e-16 * data[CONDITION.name]]
        for (dash, fill), y in zip(ways.values(), values, strict=True):
            style = {"marker": look["marker"], "fillstyle": fill} if fill else {"lw": 0.9}
            axes.plot(data["images"], y.clip(lower=1e-13), linestyle=dash, color=look["color"], **style)
        axes.plot([], [], look["marker"], color=look["color"], label=words)
    for name, (dash, fill) in ways.items():
        axes.plot(
            [], [], linestyle=dash, color="black", marker="o" if fill else "", fillstyle=fill or "none", label=name
        )


AXES: dict[str, Any] = {"log": True, "ylog": True, "xlabel": "training images n", "legend": "upper left"}
AXES_OF_ERRORS: dict[str, Any] = {"reference": (0.5, "above: rounding finds another label")}
PANELS = [
    Own(paint=paint_weights, ylabel="weights and biases, but for zeros", ylim=(2e3, 2e8), **AXES),
    Own(
        paint=paint_errors, ylabel="largest error over all labels (0 to 9)", ylim=(1e-13, 1e9), **AXES_OF_ERRORS, **AXES
    ),
]


def heading(setting: Setting) -> str:
    most = sizes(setting)[-1]
    size = f"REDUCED: to {most:,} of {FULL:,} images" if most < FULL else f"to all {FULL:,} images"
    return f"Theorem 1 on CIFAR-10, random labels, {size}, float64"


def finding(t: Frame, network: str) -> str:
    last = {"construction": "chosen", "depth": 2, "images": max(t.data["images"].dropna())}
    network, images = f"A two-layer network of {t.one(WEIGHTS, **last):,.0f} weights", f"{last['images']:,.0f} images"
    error = f"a largest error of {t.one(ERROR, **last):.2g} where it is summed in the order of its kinks"
    if EXACT.holds(t.where(**last)):
        return f"{network} fits random labels of {images}, with {error}"
    return f"{network}, built from random labels of {images}, has {error}"


def limits(t: Frame) -> list[tuple[Any, int, int]]:
    """Every row of networks of depth k, with the width and the nonzeros that it may have."""
    rows = list(t.data.itertuples())
    return [(r, 2 * int(r.images) // int(r.depth) + 4, 4 * int(r.images) + PIXELS + 10 * int(r.depth)) for r in rows]


def against_limits(t: Frame) -> str:
    return "; ".join(
        f"k = {int(r.depth)}: width {int(r.width):,} (bound {wide:,}), {int(r.nonzeros):,} nonzeros (bound {most:,}), "
        f"error {r.module_error:.0e}"
        for r, wide, most in limits(t)
    )


def counted(t: Frame) -> str:
    weights, n = int(t.median(WEIGHTS)), int(t.data["images"].iloc[0])
    return f"{weights:,} = 2 × {n:,} + {PIXELS:,}" if weights == 2 * n + PIXELS else f"{weights:,}"


def plain_pass(t: Frame) -> tuple[float, list[float], list[float]]:
    """The part of labels that the chosen construction gives right, and the errors of both."""
    chosen, random = (t.where(construction=construction) for construction in ("chosen", "random"))
    return min(chosen.values(RIGHT)), chosen.values(PLAIN), random.values(PLAIN)


def rounded(right: float, ours: list[float], theirs: list[float]) -> str:
    return f"{100 * right:.2f} % of labels; largest error {max(ours):.2g}, with a random direction {max(theirs):.2g}"


def two(chosen: float, random: float, right: float = 1.0) -> Frame:
    """Made up: the plain pass of both constructions."""
    return made(construction=["chosen", "random"], plain_error=[chosen, random], plain_right=[right, 0.5])


def deep(width: int = 504, nonzeros: int = 7112, error: float = 1e-5) -> Frame:
    """Made up: depth 4, n = 1,000."""
    return made(images=1000, depth=4, width=width, nonzeros=nonzeros, module_error=error)


SCORES = [Score("weights", claim="theorem1.weights")]


def claims(setting: Setting) -> list[Claim]:
    chosen: dict[str, Any] = {"construction": "chosen", "images": sizes(setting)[-1], "depth": 2}
    theorem: dict[str, Any] = {"source": "zhang2017, Theorem 1", "where": chosen}
    return [
        Claim(
            id="theorem1.weights",
            name="2n + d weights",
            statement="a two-layer ReLU network with 2n + d weights represents the sample",
            paper="2n + d",
            rule="the module has exactly 2n + d parameters",
            holds=lambda t: bool((t.data[WEIGHTS.name] == 2 * t.data["images"] + PIXELS).all()),
            ours=counted,
            numbers=lambda t: {"weights": t.numbers(WEIGHTS, whole=True)},
            met=[made(images=100, weights=3272)],
            missed=[made(images=100, weights=weights) for weights in (3271, 3273)],
            **theorem,
        ),
        bounded(
            EXACT,
            fitted=False,
            id="theorem1.fits",
            name="fits any labels",
            statement="the network fits random labels of every image",
            paper="any labels of any n distinct points",
            rule="the module's own evaluation is within 1e-5 of every label",
            ours=lambda t: f"largest error {max(t.values(ERROR)):.2g}",
            key="largest error",
            **theorem,
        ),
        Claim(
            id="theorem1.plain_pass",
            name="plain pass",
            where=chosen | {"construction": list(BUILT)},
            source="zhang2017, Theorem 1, extended",
            statement="a plain float64 forward pass recovers every label by rounding",
            paper="nothing on rounding",
            rule="every label is right, and the largest error is below 0.07 and below that of a network with a random "
            "direction",
            finds=plain_pass,
            holds=lambda found: found[0] == 1 and all(a < 0.07 and a < b for a in found[1] for b in found[2]),
            ours=lambda found: rounded(*found),
            numbers=lambda found: dict(zip(("chosen", "random"), found[1:], strict=True)),
            least_n=FULL,
            met=[two(0.069, 0.07)],
            missed=[two(0.07, 1), two(0.01, 0.01), two(0.01, 1, 0.999), two(0.01, math.nan)],
        ),
        bounded(
            Bound(TIMES, most=5),
            fitted=False,
            id="theorem1.quick",
            name="construction is quick",
            where=chosen,
            source="zhang2017, appendix C, extended",
            statement="the network is built in a few times the time of the projection and one sort",
            paper="sort, then solve a triangular system",
            rule="building takes at most 5 times as long as one product X a and one sort, in the same run",
            ours=lambda t: f"{max(t.values(TIMES)):.1f} times",
            key="ratio",
            least_n=FULL,
        ),
        Claim(
            id="theorem1.depth",
            name="depth k",
            where=chosen | {"depth": list(DEPTHS)},
            source="zhang2017, Corollary 1",
            statement="a network of depth k does so with width O(n / k) and O(n + d) weights",
            paper="width O(n / k), O(n + d) weights",
            rule="for k = 2, 4 and 8 the width is at most 2n / k + 4, the weights other than 0 are at most 4n + d + "
            "10k, and the error is at most 1e-5",
            holds=lambda t: all(r.width <= w and r.nonzeros <= n and r.module_error <= 1e-5 for r, w, n in limits(t)),
            ours=against_limits,
            numbers=lambda t: t.numbers_by(NONZEROS, "depth", "nonzeros, k = {:.0f}", whole=True),
            met=[deep()],
            missed=[deep(width=505), deep(nonzeros=7113), deep(error=1.01e-5)],
        ),
    ]
