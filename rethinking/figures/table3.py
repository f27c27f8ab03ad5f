"""Table 3: minimum-norm interpolation of whole training sets by kernels, over bandwidths.

[zhang2017] section 5 and Table 3: K alpha = y without regularization, test error: MNIST raw pixels 1.2 %, with Gabor
features 0.6 %, CIFAR-10 raw pixels 46 %, with the features of a random convolutional network of 32,000 filters 17 %,
with an l2 penalty 15 %. A penalty improves neither MNIST model; the norm, 220 raw against 390 Gabor, does not tell
which generalizes.

    rethinking figure table3                  2,000 images, minutes
    rethinking figure table3 --scale cpu      all images, at most 16,000 filters: two cores, 24 GiB, hours
    rethinking figure table3 --scale paper    all images and 32,000 filters, for a GPU with 24 GiB
"""

import math
from itertools import pairwise
from typing import Any

from rethinking.claims import exact, rounded, spread
from rethinking.figures import Setting, _kernels
from rethinking.figures._kernels import BAND, GABOR, KERNELS, PAPER_ERROR, PAPER_NORM, PIXELS, RAW, by
from rethinking.figures._score import Score
from rethinking.figures.kit import Bound, Claim, Conditions, Frame, Rows, Table, bounded, column, listed, made, of_row
from rethinking.spec import KernelSpec, Spec
from rethinking.spec.theory import PER_FILTER

SEEDS = {"quick": 1, "cpu": 1, "paper": 1}
CAPTION = "Test error and norm of minimum-norm solutions, Gaussian kernels and random convolutional features."
PENALTY = 0.01  # l2, in units of the kernel's mean diagonal
THEIRS = (
    "Solutions that fit every label, without a penalty, have test errors of 1.2 % on MNIST pixels, 0.6 % with Gabor "
    "features, 46 % on CIFAR-10 pixels and 17 % with 32,000 random convolutional filters. Norm does not tell which "
    "generalizes."
)
DEPARTURES = [
    "The paper names neither its kernel on MNIST nor its bandwidths. Ours is Gaussian, at widths 1, 2 and 4: gamma is "
    "the width over the median squared distance of 2,000 training points. Claims on the paper's numbers are judged at "
    "width 1. The rule was fixed before any full run, but after sweeps on held-out training images (n = 8,000; at "
    "widths 1, 2, 3 the error was 57.3, 53.2, 52.1 % on CIFAR-10, 2.10, 2.00, 2.08 % on MNIST, 0.98, 1.03, 1.05 % with "
    "Gabor) and knowing the paper's 46 % on CIFAR-10, where it is not the held-out choice.",
    "Which of pixels and Gabor features has the larger norm depends on the bandwidth; which has the smaller error does "
    "not: `min_norm` has both on 12,000 images.",
    *_kernels.DEPARTURES,
    "Random convolutional features: a linear kernel on 8 sums a filter (6 x 6 patches, whitened; two-sided rectifier; "
    "four quadrants). The paper names Coates & Ng 2012 and the number of filters. Its error of 17 % is the text's; a "
    "printing of the table shows 83 %, the accuracy. cpu: at most 16,000 filters instead of 32,000; quick: 800.",
    f"One penalty, {PENALTY:g} of the kernel's mean diagonal: of 1e-4 to 0.1 the best on 2,000 held-out training "
    "images for random convolutional features at n = 4,000 with 800 filters. The paper does not give its own.",
    "cpu: the run with the penalty on MNIST pixels was paused for other work: its minutes, and the core-hours "
    "below, have the pause in them.",
]
CONV = "CIFAR-10 conv"
IMAGES = {"quick": 2000}
FILTERS = {"quick": (50, 200, 800), "cpu": (1000, 4000, 16_000), "paper": (500, 2000, 8000, 32_000)}


def row(kernel: str, filters: int, penalty: float, **_: Any) -> str:
    return kernel + (f", {filters:,} filters" if filters else "") + (", penalty" if penalty else "")


def label(width: float, **condition: Any) -> str:
    return row(**condition) + (f", width {width:g}" if width else "")


def grid(setting: Setting) -> Conditions:
    most = FILTERS[setting.scale]
    least = IMAGES.get(setting.scale, 50_000) // PER_FILTER  # with fewer filters nothing interpolates
    cases = [(kernel, width, 0, 0.0) for kernel in KERNELS for width in BAND]
    cases += [(kernel, 1.0, 0, PENALTY) for kernel in PAPER_NORM]
    cases += [(CONV, 0.0, filters, 0.0) for filters in most if filters >= least]
    cases += [(CONV, 0.0, filters, PENALTY) for filters in most]
    names = ("kernel", "width", "filters", "penalty")
    return Conditions(label, [dict(zip(names, case, strict=True)) for case in cases])


def spec(setting: Setting, seed: int, kernel: str, width: float, filters: int, penalty: float) -> Spec:
    """One run gives every count of filters, with and without the penalty."""
    fields: dict[str, Any] = {"n": IMAGES.get(setting.scale), "seed": seed}
    if kernel == CONV:
        fields |= {"data": "cifar10", "kernel": "linear", "features": "conv", "penalties": (0.0, PENALTY)}
        return KernelSpec.make(filters=FILTERS[setting.scale], **fields)
    return KernelSpec.make(width=width, penalties=(penalty,), **fields, **KERNELS[kernel])


AT = ("filters", "penalty")
ERROR, NORM = column("test_error", "test error (%)", 100, "{:.2f}", AT), column("norm", form="{:.0f}", at=AT)
RESIDUAL, WRONG = column("residual", form="{:.0e}", at=AT), column("train_error", at=AT)
EXACT = (Bound(RESIDUAL, below=1e-5), Bound(WRONG, most=0))
TIMES = of_row("times", lambda r: r["seconds"] / r["lapack_seconds"], at=AT)  # the factorization's
GIB = of_row("gib", lambda r: r["peak_gigabytes"] / 1.073741824, at=AT)
MEASURES = [WRONG, TIMES, GIB]
PAPER_FILTERS, PAPER_CONV = 32_000, {0.0: 17, PENALTY: 15}  # the paper's test errors in %, by penalty


def theirs(filters: int, penalty: float) -> float | str:
    """The paper's test error in %; in words beside fewer filters than the paper's."""
    number = PAPER_CONV[penalty]
    return number if filters == PAPER_FILTERS else f"{number} with {PAPER_FILTERS:,} filters"


# Of the paper, by row; of features those with the most filters of a scale.
ERRORS = PAPER_ERROR | {row(CONV, f[-1], p): theirs(f[-1], p) for f in FILTERS.values() for p in PAPER_CONV}
MARKED = {name: error for name, error in ERRORS.items() if not isinstance(error, str)}  # in the picture
COLUMNS: dict[str, Any] = {
    "paper (%)": lambda t: str(ERRORS.get(row(**t.data.iloc[0]), "none")),  # with the paper's own digits
    "paper norm": lambda t: PAPER_NORM.get(row(**t.data.iloc[0]), "none"),
    "test error (%)": ERROR,
    "norm": NORM,
    "residual": RESIDUAL,
    "filters": of_row("count", lambda r: r["filters"], form="{:.0f}", at=AT),
    "minutes": column("seconds", factor=1 / 60, form="{:.1f}", at=AT),
    "factorization alone, by LAPACK instead (minutes)": column("lapack_seconds", factor=1 / 60, form="{:.1f}", at=AT),
    "peak GB": column("peak_gigabytes", form="{:.1f}", at=AT),
}
TABLE = Table("row", COLUMNS)
LOOK: dict[str, Any] = {"by": row, "hue": "width", "log": True}
LOOK |= {"looks": {width: f"width {width:g}" for width in BAND} | {0.0: "no bandwidth"}}
WRONG_OF: dict[str, Any] = {"xlim": (0.3, 100), "xticks": (0.5, 1, 2, 5, 10, 20, 50)}
WRONG_OF |= {"xlabel": "test error (%), logarithmic"}
NORM_OF: dict[str, Any] = {"xlabel": "norm √(tr αᵀKα)", "xlim": (100, 10_000), "legend": "outside lower center"}
NOTES = ["width: γ × median squared distance"]
PANELS = [
    Rows(spans=True, x=ERROR, paper=MARKED, legend=None, **WRONG_OF, **LOOK),
    Rows(spans=True, x=NORM, paper=PAPER_NORM, **NORM_OF, **LOOK),
]


def heading(setting: Setting) -> str:
    return f"Minimum-norm interpolation, {_kernels.size(IMAGES.get(setting.scale))}, all 10,000 test images"


def finding(t: Frame, network: str) -> str:
    at: dict[str, Any] = {"width": 1.0, "penalty": 0.0}
    errors = t.known(ERROR, "kernel", **at)
    those = t.where(kernel=list(errors), **at)
    told = listed(f"{v:.2f} % on {k} (paper: {PAPER_ERROR[k]:g})" for k, v in errors.items())
    what = "that fit every label" if all(bound.holds(those) for bound in EXACT) else "without a penalty"
    return f"Kernels {what} have test errors of {told}"


SCORES = [
    Score(kernel, claim=f"table3.error.{key}") for kernel, key in ((PIXELS, "mnist_pixels"), (RAW, "cifar10_pixels"))
]


def error(key: str, kernel: str, within: float, filters: int = 0, penalty: float = 0.0) -> Claim:
    paper = PAPER_CONV[penalty] if filters else PAPER_ERROR[kernel]

    def few(t: Frame) -> bool:
        return bool(filters) and t.data["filters"].max() < PAPER_FILTERS

    def ours(t: Frame) -> str:
        count = f"{int(t.data['filters'].max()):,}"
        text = t.spread(ERROR, " %") + (f" with {count} filters" if filters else "")
        return f"needs {PAPER_FILTERS:,} filters, has {count}" if few(t) else text

    def example(apart: float, count: int = PAPER_FILTERS) -> Frame:
        """Made up: two runs, one of them the tolerance times `apart` from the paper's number."""
        return made(test_error=[paper, paper + apart * within], filters=count if filters else 0)

    return Claim(
        id=f"table3.error.{key}",
        name=kernel + (", penalty" if penalty else ""),
        where={"kernel": kernel, "width": 0.0 if filters else 1.0, "filters": filters, "penalty": penalty},
        source="zhang2017, Table 3",
        statement=f"the minimum-norm solution of {kernel}{', with an l2 penalty,' if penalty else ''} has about the "
        "paper's test error",
        paper=f"{paper:g} %",
        rule=f"the test error is within {within:g} points of the paper's in every seed"
        + f"; judged with {PAPER_FILTERS:,} filters" * bool(filters),
        holds=lambda t: None if few(t) else all(exact(abs(e - paper)) <= within for e in t.values(ERROR)),
        reads=(ERROR, " %", "test error (%)"),
        ours=ours,
        least_n=60_000 if kernel in PAPER_NORM else 50_000,
        met=[example(0.99)],
        missed=[example(1.01), example(-1.01)],
        unjudged=[example(0, 16_000)] if filters else [],
    )


def within(t: Frame) -> bool:
    errors, paper = t.values(ERROR), PAPER_ERROR[t.data["kernel"].iloc[0]]
    return all(map(math.isfinite, errors)) and min(errors) <= paper <= max(errors)


def falling(t: Frame) -> tuple[list[list[float]], float]:
    """The test errors of every seed with the penalty, by rising count of filters; the lowest on pixels."""
    seeds = t.where(kernel=CONV, penalty=PENALTY).groups("seed").values()
    return [part.values(ERROR) for part in seeds], min(t.where(kernel=RAW).values(ERROR))


def fall(seeds: list[list[float]], pixels: float) -> bool:
    return all(all(b < a for a, b in pairwise(errors)) and errors[-1] < pixels for errors in seeds)


def counts(raw: float, *errors: float) -> Frame:
    """Made up: pixels, and with the penalty from few to many filters."""
    kernels, penalties = [RAW] + [CONV] * len(errors), [0.0] + [PENALTY] * len(errors)
    return made(kernel=kernels, penalty=penalties, test_error=[raw, *errors])


def penalties(t: Frame) -> list[list[float]]:
    """The test errors without and with the penalty, by seed."""
    return [t.where(penalty=penalty).values(ERROR) for penalty in (0.0, PENALTY)]


OF_MNIST: dict[str, Any] = {"least_n": 60_000, "where": {"kernel": [PIXELS, GABOR], "width": 1.0, "penalty": 0.0}}


def claims(setting: Setting) -> list[Claim]:
    most = FILTERS[setting.scale][-1]
    return [
        error("mnist_pixels", PIXELS, 0.3),
        error("mnist_gabor", GABOR, 0.3),
        error("cifar10_pixels", RAW, 3.0),
        error("filters", CONV, 2.0, most),
        error("filters_penalty", CONV, 2.0, most, PENALTY),
        Claim(
            id="table3.band.{kernel}",
            name="within the band, {kernel}",
            each={"kernel": list(KERNELS)},
            where={"penalty": 0.0},
            source="zhang2017, Table 3, extended",
            statement="over bandwidths, errors on {kernel} lie on both sides of the paper's",
            paper="one bandwidth, not stated",
            rule="of the errors at widths 1, 2 and 4 one is at most the paper's, and one is at least the paper's",
            holds=within,
            ours=lambda t: t.texts_by(ERROR, "width", "{1} % at width {0:g}"),
            numbers=lambda t: t.numbers_by(ERROR, "width", "test error (%), width {:g}"),
            least_n=50_000,
            met=[made(kernel=PIXELS, test_error=errors) for errors in ([1.2, 1.3], [1.1, 1.2])],
            missed=[made(kernel=PIXELS, test_error=errors) for errors in ([1.21, 1.3], [1.1, 1.19], [1.2, math.nan])],
        ),
        Claim(
            id="table3.more_filters",
            name="more random filters",
            where={"kernel": [CONV, RAW], "width": [0.0, 1.0]},
            source="zhang2017, section 5, extended",
            statement="features of a random convolutional network beat pixels, the more filters the better",
            paper="15 % with a penalty and 32,000 filters, against 46 % of pixels",
            rule="with the penalty, the error falls from each number of filters to the next, and at the largest it is "
            "below that of pixels",
            finds=falling,
            holds=lambda found: fall(*found),
            ours=lambda found: (
                f"{', '.join(f'{rounded(e):.1f}' for e in found[0][0])} %, against {rounded(found[1]):.1f} % of pixels"
            ),
            numbers=lambda found: {"test error (%)": [*found[0][0]]},
            least_n=50_000,
            met=[counts(19, 22, 20, 18.9)],
            missed=[counts(19, 22, 22, 18.9), counts(19, 22, 20, 19)],
        ),
        Claim(
            id="table3.penalty.{kernel}",
            name="no gain from a penalty, {kernel}",
            each={"kernel": [PIXELS, GABOR]},
            where={"width": 1.0},
            source="zhang2017, section 5",
            statement="an l2 penalty hardly improves {kernel}",
            paper="adding regularization does not improve either model",
            rule="the penalty lowers the test error by at most 0.1 points, and by at most a tenth of it, in every seed",
            finds=penalties,
            holds=lambda pair: all(exact(a - b - min(0.1, a / 10)) <= 0 for a, b in zip(*pair, strict=True)),
            ours=lambda pair: f"{{}} % without, {{}} % with penalty {PENALTY:g}".format(*map(spread, pair)),
            numbers=lambda pair: dict(zip(("without (%)", "with (%)"), pair, strict=True)),
            least_n=60_000,
            met=[made(penalty=[0.0, PENALTY], test_error=[2, 1.91])],
            missed=[made(penalty=[0.0, PENALTY], test_error=errors) for errors in ([2, 1.89], [0.5, 0.449])],
        ),
        _kernels.wrong_way("table3", **OF_MNIST),
        *_kernels.over_bandwidths("table3", 60_000, penalty=0.0),
        bounded(
            *EXACT,
            fitted=False,
            id="table3.interpolates",
            name="interpolates",
            where={"kernel": list(KERNELS), "width": 1.0, "penalty": 0.0},
            source="zhang2017, section 5",
            statement="the training labels are fitted exactly",
            paper="K alpha = y",
            rule="the relative residual is below 1e-5 and no training example is wrong, in every seed",
            ours=lambda t: f"at most {max(t.values(RESIDUAL)):.0e}",
            numbers=lambda t: t.numbers_by(RESIDUAL, "kernel"),
        ),
        bounded(
            Bound(TIMES, most=2),
            Bound(GIB, below=20),
            fitted=False,
            id="table3.small_machine",
            name="small machine",
            source="zhang2017, section 5, extended",
            statement="60,000 points are solved for in little more time and memory than their factorization needs",
            paper="under 3 minutes on 24 cores with 256 GB, of which the matrix in float64 takes 30",
            rule="with pixels and with Gabor features, solving takes at most 2 times LAPACK's factorization alone "
            "(extrapolated from n = 8,000), and memory peaks below 20 GiB",
            ours=lambda t: (
                by(t, "kernel", lambda p: f"{max(p.values(TIMES)):.2f} times the factorization")
                + f"; peak {max(t.values(GIB)):.1f} GiB"
            ),
            numbers=lambda t: t.numbers_by(TIMES, "kernel", "ratio, {}") | {"peak (GiB)": t.numbers(GIB)},
            **OF_MNIST,
        ),
    ]
