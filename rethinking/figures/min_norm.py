"""Minimum-norm solutions: error and norm over bandwidths, and how SGD finds the least norm by itself.

[zhang2017] section 5: the norm of the solution does not tell how it generalizes; SGD from zero on a linear model
converges to the solution of least norm. Added here: how both depend on the bandwidth, and two other solutions, which
fit the training set as well and do not generalize.

    rethinking figure min_norm                  2,000 images, minutes
    rethinking figure min_norm --scale cpu      12,000 images: half an hour on two cores
    rethinking figure min_norm --scale paper    all images, for a GPU with 24 GiB
"""

import math
from contextlib import suppress
from typing import Any

from rethinking.claims import spread
from rethinking.figures import Setting, _kernels
from rethinking.figures._kernels import KERNELS, PAPER_ERROR, PAPER_NORM, PIXELS, by
from rethinking.figures._score import Score
from rethinking.figures.kit import Bound, Claim, Conditions, Curves, Frame, Lines, NamedPoints, Table, Tables, bounded
from rethinking.figures.kit.claim import made
from rethinking.figures.kit.frame import Untold
from rethinking.figures.kit.measures import column, falls
from rethinking.spec import KernelSpec, LinearSpec, Spec

SEEDS = {"quick": 1, "cpu": 1, "paper": 1}
CAPTION = "Error and norm of minimum-norm solutions over bandwidths; SGD on a linear model against the least norm."
THEIRS = (
    "SGD from zero on a linear model converges to the solution of minimum norm. On MNIST the norm does not predict "
    "the error: about 220 with 1.2 % on pixels, 390 with 0.6 % on Gabor features."
)
DEPARTURES = [
    *_kernels.DEPARTURES,
    "The paper argues from the span of the images that SGD finds the least norm, and does not measure it.",
    "Kernels: quick 2,000, cpu 12,000 images; SGD on 2,000 at most.",
    "SGD here takes one image a step, with the step 1 / |x|^2 and no momentum; the linear model has no bias.",
]
IMAGES = {"quick": 2000, "cpu": 12_000}
WIDTHS = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]  # gamma times the median squared distance
# Images, pixels and epochs of SGD: enough for 1e-3 where that is within reach; quick: the first three.
DESCENTS = [(50, "whitened", 600), (100, "whitened", 600), (300, "whitened", 600)]
RAW, SHORT = 2000, 100  # raw images, and epochs, that show how slow it is there
DESCENTS += [(600, "whitened", 3000), (300, "raw", 3000), (RAW, "raw", SHORT)]
CONVERGES, CONVERGED = 300, 1e-3  # images at which SGD is judged, and the relative distance to W*
LEAST, CENTRES, SPOILT = "least norm", "centres at random points", "also fits random test labels"
SOLUTIONS = {LEAST: "minimum", CENTRES: "random_centres", SPOILT: "test_labels"}


def label(kernel: str = "", width: float = 0, images: int = 0, pixels: str = "", solution: str = "", **_: Any) -> str:
    return solution or (f"{kernel}, width {width:g}" if kernel else f"SGD, n = {images}, {pixels}")


def grid(setting: Setting) -> Conditions:
    kernels = [{"kernel": kernel, "width": width} for kernel in KERNELS for width in WIDTHS]
    descents = DESCENTS[:3] if setting.scale == "quick" else DESCENTS
    sgd = [{"images": n, "pixels": pixels, "epochs": epochs} for n, pixels, epochs in descents]
    return Conditions(label, [*kernels, *sgd, *({"solution": solution} for solution in SOLUTIONS)])


def spec(setting: Setting, seed: int, kernel: str = "", width: float = 1, solution: str = "", **descent: Any) -> Spec:
    if kernel:
        return KernelSpec.make(n=IMAGES.get(setting.scale), width=width, seed=seed, **KERNELS[kernel])
    if solution:
        return LinearSpec.make(n=CONVERGES, solution=SOLUTIONS[solution], data_seed=seed)
    n, epochs, whitened = descent["images"], descent["epochs"], descent["pixels"] == "whitened"
    steps = {"steps": epochs * n, "eval_every": max(1, epochs // 100) * n}
    return LinearSpec.make(n=n, whitened=whitened, seed=seed, data_seed=seed, **steps)


ERROR, NORM = column("test_error", "test error (%)", 100, "{:.2f}"), column("norm", "norm √(tr αᵀKα)", form="{:.4g}")
RESIDUAL, WRONG = column("residual", form="{:.1g}"), column("train_error")
DISTANCE, EPOCHS = column("distance", form="{:.2g}"), column("epoch", form="{:.0f}")
MEASURES = [WRONG]
ALL = {"test error (%)": ERROR, "norm": NORM, "residual": RESIDUAL}
OF_SGD = {"condition": column("condition", form="{:.3g}"), "distance": DISTANCE, "epochs": EPOCHS}
OF_SGD |= {"rate predicted": column("rate", form="{:.2g}"), "measured": falls("distance", 1e-10)}
GAUSSIAN, SGD, LINEAR = {"kernel": list(KERNELS)}, {"pixels": ["whitened", "raw"]}, {"solution": list(SOLUTIONS)}
TABLE = Tables(Table("run", ALL, only=GAUSSIAN), Table("run", ALL | OF_SGD, only=SGD), Table("run", ALL, only=LINEAR))
WIDE: dict[str, Any] = {"x": "width", "hue": "kernel", "only": GAUSSIAN, "log": True, "ylog": True, "xticks": WIDTHS}
WIDE |= {"xlabel": "width = γ × median squared distance"}
SLOW: dict[str, Any] = {"hue": "n = {images:,.0f}, {pixels}", "only": SGD, "shades": True, "symlog": True, "ylog": True}
SLOW |= {"xlabel": "epochs of SGD on a linear model", "ylabel": "|W − W*| / |W*|"}
THREE: dict[str, Any] = {"by": "solution", "only": LINEAR, "log": True, "xlim": (0.3, 500), "ylim": (80, 92)}
THREE |= {"xlabel": f"norm |W| of three that fit the same {CONVERGES} images"}
TICKS = (0.5, 1, 2, 5, 10, 20, 50)
NORM_LINES = [(float(v), f"{k}, the paper's") for k, v in PAPER_NORM.items()]
ERROR_LINES: dict[str, Any] = {"reference": [(float(v), "") for v in PAPER_ERROR.values()]}
ERROR_LINES["ylabel"] = "test error (%), logarithmic\nfine dotted, the paper's:\n"
ERROR_LINES["ylabel"] += ", ".join(f"{v:g}" for v in PAPER_ERROR.values())
PANELS = [
    Lines(y=ERROR, yticks=TICKS, ylim=(0.4, 120), legend=None, **ERROR_LINES, **WIDE),
    Lines(y=NORM, reference=NORM_LINES, side="right", ylim=(30, 3000), legend="upper right", **WIDE),
    Curves(x="epoch", columns={"distance": None}, reference=(CONVERGED, "converged"), ylim=(1e-15, 3), **SLOW),
    NamedPoints(x=NORM, y=ERROR, **THREE),
]
ACROSS, HEIGHT = 2, 4.8


def heading(setting: Setting) -> str:
    return f"Minimum norm, kernels on {_kernels.size(IMAGES.get(setting.scale))}; linear model on CIFAR-10"


def finding(t: Frame, network: str) -> str:
    norms, errors = ([t.one(m, kernel=PIXELS, width=width) for width in WIDTHS] for m in (NORM, ERROR))
    there: dict[str, Any] = {"images": CONVERGES, "pixels": "whitened"}
    apart = f"{t.one(DISTANCE, **there):.2g} from the least norm in {t.one(EPOCHS, **there):.0f} epochs"
    apart += f" on {CONVERGES} images, whitened"
    with suppress(Untold):  # quick has none
        there = {"images": RAW, "pixels": "raw"}
        apart += f", {t.one(DISTANCE, **there):.1f} in {t.one(EPOCHS, **there):.0f} on {RAW:,} raw"
    those = f"{int(t.where(kernel=PIXELS).data['n'].iloc[0]):,} of MNIST"
    return (
        f"SGD ends {apart}; over widths norms on {those} vary "
        f"{max(norms) / min(norms):.0f}-fold, errors {max(errors) / min(errors):.1f}-fold"
    )


def over_widths(t: Frame) -> tuple[list[float], list[float]]:
    """Norms and test errors."""
    return list(t.medians(NORM, "width").values()), list(t.medians(ERROR, "width").values())


def hardly(norms: list[float], errors: list[float]) -> bool:
    """Whether the norm changes by a factor of at least 3 and the error by at most a fifth; not without a number."""
    known = all(map(math.isfinite, norms + errors))
    return known and max(norms) >= 3 * min(norms) and max(errors) <= 1.2 * min(errors)


def change(norms: list[float], errors: list[float]) -> str:
    return f"norm {max(norms):.0f} to {min(norms):.0f}, error {max(errors):.2f} to {min(errors):.2f} %"


def larger(t: Frame) -> bool:
    fits = not any(t.values(WRONG)) and max(t.values(RESIDUAL)) < 1e-6
    least, others = t.where(solution=LEAST), t.where(solution=[CENTRES, SPOILT])
    above = all(min(others.values(m)) > max(least.values(m)) for m in (NORM, ERROR))
    return fits and above and min(others.values(ERROR)) >= 85


def three(norms: Any = (1, 1.1, 2), errors: Any = (84, 85, 90), left: float = 9e-7, wrong: float = 0) -> Frame:
    """Made up: the three solutions."""
    return made(solution=list(SOLUTIONS), norm=norms, test_error=errors, residual=left, train_error=wrong)


def two(norms: list[float], errors: list[float]) -> Frame:
    """Made up: at two widths."""
    return made(width=[1, 2], norm=norms, test_error=errors)


CONVERGENCE = "SGD converges to it"
SCORES = [
    Score(f"relative distance to it on {CONVERGES} whitened images", claim="min_norm.sgd"),
    Score(
        f"on {RAW:,} raw ones, after {SHORT} epochs",
        row=label(images=RAW, pixels="raw"),
        number="distance",
        paper=CONVERGENCE,
    ),
]
EXTENDED: dict[str, Any] = {"source": "zhang2017, section 5, extended"}
CLAIMS = [
    Claim(
        id="min_norm.norm_and_error",
        name="norm does not predict the error",
        where={"kernel": PIXELS, "width": [0.5, 1.0, 2.0]},
        statement="over bandwidths the norm changes much more than the error",
        paper=_kernels.ONE_WIDTH,
        rule="on MNIST pixels, over widths 0.5 to 2, the norm changes by a factor of at least 3 and the error by at "
        "most a fifth",
        finds=over_widths,
        holds=lambda found: hardly(*found),
        ours=lambda found: change(*found),
        numbers=lambda found: dict(zip(("norm", "test error (%)"), found, strict=True)),
        least_n=10_000,
        met=[two([3, 9], [5, 6])],
        missed=[two([3.01, 9], [5, 5]), two([1, 9], [5, 6.01]), two([1, 9], [5, math.nan])],
        **EXTENDED,
    ),
    bounded(
        Bound(DISTANCE, most=CONVERGED),
        fitted=False,
        id="min_norm.sgd",
        name="SGD finds the least norm",
        where={"images": CONVERGES, "pixels": "whitened"},
        source="zhang2017, section 5",
        statement="SGD from zero on a linear model converges to the minimum-norm solution",
        paper=CONVERGENCE,
        rule=f"the relative distance to it is at most {CONVERGED:g} on {CONVERGES} whitened images, in every seed",
        ours=lambda t: f"{max(t.values(DISTANCE)):.2g} after {max(t.values(EPOCHS)):.0f} epochs",
    ),
    Claim(
        id="min_norm.others",
        name="other solutions do not generalize",
        where=LINEAR,
        statement="other solutions fit the training set, do not generalize, and have a larger norm",
        paper="the least-norm solution is one of many",
        rule="in every seed all residuals are below 1e-6 and no training example is wrong, and the others have a test "
        "error of at least 85 %, above that of the least norm, and a larger norm",
        holds=larger,
        ours=lambda t: by(t, "solution", lambda p: f"norm {p.spread(NORM)}, test error {spread(p.values(ERROR), 1)} %"),
        numbers=lambda t: t.numbers_by(NORM, "solution", "norm, {}"),
        met=[three()],
        missed=[
            *(three(left=1e-6), three(wrong=0.01), three(norms=(1, 1, 2)), three(norms=(1, 0.9, 2))),
            *(three(errors=errors) for errors in ((80, 84.9, 90), (85, 85, 90))),
        ],
        **EXTENDED,
    ),
    *_kernels.over_bandwidths("min_norm", 10_000),
]
