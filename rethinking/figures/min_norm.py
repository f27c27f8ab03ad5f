"""Minimum-norm solutions: error and norm over bandwidths, and how SGD finds the least norm by itself.

[zhang2017] section 5: the norm of the solution does not tell how it generalizes; SGD from zero on a linear model
converges to the solution of least norm. Added here: how both depend on the bandwidth, and two other solutions, which
fit the training set as well and do not generalize.

    rethinking figure min_norm                  2,000 images, minutes
    rethinking figure min_norm --scale cpu      12,000 images: half an hour on two cores
    rethinking figure min_norm --scale paper    all images, for a GPU with 24 GiB
"""

import math
from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import Setting
from rethinking.figures._parts import (
    numbered,
)
from rethinking.figures.kit.panels import seeds_note
from rethinking.plotting import WIDTH
from rethinking.record import Record
from rethinking.spec import KernelSpec, LinearSpec

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 1, "paper": 1}
CAPTION = "Error and norm of minimum-norm solutions over bandwidths; SGD on a linear model against the least norm."
DEPARTURES = [
    "The paper reports one number for each kernel, without its bandwidth.",
    "Targets are one-hot, 0 and 1, not centred; the norm is of the ten functions together. The paper states neither.",
    "The paper argues from the span of the images that SGD finds the least norm, and does not measure it.",
    "Kernels: quick 2,000, cpu 12,000 images; SGD on 2,000 at most.",
    "SGD here takes one image a step, with the step 1 / |x|^2 and no momentum; the linear model has no bias.",
]
IMAGES = {"quick": 2000, "cpu": 12_000}
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # gamma times the median squared distance
KERNELS: dict[str, dict[str, Any]] = {
    "MNIST pixels": {"data": "mnist"},
    "MNIST Gabor": {"data": "mnist", "features": "gabor"},
    "CIFAR-10 pixels": {"data": "cifar10"},
}
# Images, whitened or raw, and epochs: enough for 1e-3 where that is within reach.
DESCENTS = {
    "quick": ((50, True, 600), (100, True, 600), (300, True, 600)),
    "cpu": (
        (50, True, 600),
        (100, True, 600),
        (300, True, 600),
        (600, True, 3000),
        (300, False, 3000),
        (2000, False, 100),
    ),
}
CONVERGES = 300  # images at which SGD is judged
CONVERGED = 1e-3  # relative distance to W*
SOLUTIONS = {
    "minimum": "least norm",
    "random_centres": "centres at random points",
    "test_labels": "also fits random test labels",
}
LOOKS: dict[str, dict[str, Any]] = {
    "MNIST pixels": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "MNIST Gabor": {"color": "#D55E00", "marker": "s", "linestyle": (0, (5, 1.5))},
    "CIFAR-10 pixels": {"color": "#009E73", "marker": "^", "linestyle": (0, (1, 1))},
}
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), (0, (2, 2)))


def _descents(setting: Setting) -> tuple[tuple[int, bool, int], ...]:
    return DESCENTS.get(setting.scale, DESCENTS["cpu"])


def _descent_name(n: int, whitened: bool) -> str:
    return f"SGD, n = {n}, {'whitened' if whitened else 'raw'}"


def runs(setting: Setting) -> Specs:
    n, seeds = IMAGES.get(setting.scale), range(setting.seeds)
    wanted: Specs = {
        f"{name}, width {width:g}": [KernelSpec.make(n=n, width=width, seed=seed, **fields) for seed in seeds]
        for name, fields in KERNELS.items()
        for width in WIDTHS
    }
    for m, whitened, epochs in _descents(setting):
        steps = {"steps": epochs * m, "eval_every": max(1, epochs // 100) * m}
        wanted[_descent_name(m, whitened)] = [
            LinearSpec.make(n=m, whitened=whitened, seed=seed, data_seed=seed, **steps) for seed in seeds
        ]
    for solution, words in SOLUTIONS.items():
        wanted[words] = [LinearSpec.make(n=CONVERGES, solution=solution, data_seed=seed) for seed in seeds]
    return wanted


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, ((errors, norms), (distances, rates)) = plt.subplots(2, 2, figsize=(WIDTH, 5.2))
    series: dict[str, Any] = {}
    for name, look in LOOKS.items():
        groups = {w: [r for r in records[f"{name}, width {w:g}"] if r] for w in WIDTHS}
        widths = [w for w, group in groups.items() if group]
        for axes, column, factor in ((errors, "test_error", 100), (norms, "norm", 1)):
            middle = [factor * median([r.final[column] for r in groups[w]]) for w in widths]
            series[f"{name}, {column}"] = dict(zip(map(str, widths), middle, strict=True))
            label = (
                name if len(widths) == len(WIDTHS) else f"{name}: {len(WIDTHS) - len(widths)} of {len(WIDTHS)} not run"
            )
            axes.plot(widths, middle, label=label, **look)
    ticks = {"xscale": "log", "yscale": "log", "xlabel": "width = γ × median squared distance"}
    errors.set(ylabel="test error (%)", **ticks)
    norms.set(ylabel="norm √(tr αᵀKα)", **ticks)
    for axes in (errors, norms):
        axes.set_xticks(WIDTHS, [f"{w:g}" for w in WIDTHS])
        axes.minorticks_off()
    errors.set_yticks([0.5, 1, 2, 5, 10, 20, 50, 100], ["0.5", "1", "2", "5", "10", "20", "50", "100"])
    errors.set_ylim(0.5, 700)
    errors.legend(loc="upper left", ncols=2)
    for norm, name in ((220, "pixels"), (390, "Gabor")):
        norms.axhline(norm, color="#999999", linewidth=0.7)
        norms.text(WIDTHS[-1], norm, f"{name} {norm}", ha="right", va="bottom", fontsize=6)
    norms.set_title("lines: [zhang2017], MNIST, 60,000 images", fontsize=6.5, loc="right")

    points: list[tuple[float, float | None, float, bool]] = []
    for dash, (n, whitened, _) in zip(DASHES, _descents(setting), strict=False):
        name = _descent_name(n, whitened)
        for place, (k, record) in enumerate(numbered(records[name])):
            curve = record.curve
            condition = curve["condition"][-1]
            digits, power = f"{condition:.0e}".split("e")
            described = f"n = {n:,}{'' if whitened else ', raw'}: condition ${digits} \\cdot 10^{{{int(power)}}}$"
            epochs, distance = curve["epoch"], curve["distance"]
            grey = str(min(0.8, 0.15 + 0.1 * len(points)))
            shown = [(e, d) for e, d in zip(epochs, distance, strict=True) if d > 1e-12]
            distances.plot(*zip(*shown, strict=True), linestyle=dash, color=grey, label=None if place else described)
            measured = _rate(record)
            points.append((condition, measured, curve["rate"][-1], distance[-1] <= CONVERGED))
            series[f"{name}, seed {k}"] = {"epoch": epochs, "distance": distance}
        if not any(records[name]):
            distances.plot([], [], " ", label=f"n = {n}: not run")
    distances.axhline(CONVERGED, color="#999999", linewidth=0.7)
    distances.annotate("converged", (0.02, CONVERGED), xycoords=("axes fraction", "data"), fontsize=6, va="top")
    distances.set(xlabel="epochs of SGD", ylabel="|W − W*| / |W*|", yscale="log", xscale="symlog")
    distances.set_ylim(1e-12, 3)
    distances.set_xlim(0, None)
    distances.legend(loc="lower left", fontsize=6)
    for near, fill, label in ((True, "full", "measured"), (False, "none", "measured before it converged")):
        there = [(c, m) for c, m, _, converged in points if m is not None and converged == near]
        if there:
            rates.plot(*zip(*there, strict=True), "o", color="#0072B2", fillstyle=fill, label=label)
    if points:
        line = sorted((c, p) for c, _, p, _ in points)
        rates.plot(*zip(*line, strict=True), "-x", color="#000000", linewidth=0.9, label="n λ / (2 tr XXᵀ)")
        rates.set(xscale="log", yscale="log")
    else:
        rates.plot([], [], " ", label="not run")
    rates.set(xlabel="condition number of XXᵀ", ylabel="−d log distance / d epoch")
    rates.legend(loc="lower left")
    text = []
    for words in SOLUTIONS.values():
        done = [r.final for r in records[words] if r]
        if done:
            test = median([100 * f["test_error"] for f in done])
            text.append(f"{words}: norm {median([f['norm'] for f in done]):.3g}, test error {test:.0f} %")
        else:
            text.append(f"{words}: not run")
    first, *others = text
    figure.supxlabel(f"Solutions that fit the same {CONVERGES} images. {first};\n{'; '.join(others)}", fontsize=6.5)
    images = IMAGES.get(setting.scale)
    scale = f"REDUCED: kernels on {images:,} training images" if images else "kernels on all training images"
    seeds = seeds_note(setting.seeds)
    head = f"Minimum norm, {scale}; linear model on CIFAR-10; {seeds}"
    figure.suptitle(f"{head}\nλ: the smallest eigenvalue of XXᵀ", fontsize=7)
    numbers = {"n": images or "all", "reduced": images is not None, "series": series, "table": _table(records)}
    return figure, numbers


def _rate(record: Record) -> float | None:
    """-d log distance / d epoch over the later half of what lies above 1e-10, where the slowest direction is left."""
    pairs = zip(record.curve["epoch"], record.curve["distance"], strict=True)
    kept = [(e, math.log(d)) for e, d in pairs if d > 1e-10]
    kept = kept[len(kept) // 2 :]
    if len(kept) < 2 or kept[0][0] == kept[-1][0]:
        return None
    rate = (kept[0][1] - kept[-1][1]) / (kept[-1][0] - kept[0][0])
    return rate if rate > 0 else None


def _table(records: Records) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    def column(group: list[Record | None], key: str, form: str, factor: float = 1.0) -> list[str | None]:
        return [None if r is None else form.format(factor * r.final[key]) for r in group]

    for name, group in records.items():
        row: dict[str, Any] = {"run": name, "test error (%)": column(group, "test_error", "{:.2f}", 100)}
        row["norm"] = column(group, "norm", "{:.4g}")
        row["residual"] = column(group, "residual", "{:.0e}")
        if name.startswith("SGD"):
            row["condition"] = column(group, "condition", "{:.1e}")
            row["distance"] = column(group, "distance", "{:.1e}")
            row["epochs"] = column(group, "epoch", "{:.0f}")
            row["rate predicted"] = column(group, "rate", "{:.1e}")
            row["measured"] = [None if r is None else f"{_rate(r) or math.nan:.1e}" for r in group]
        rows.append(row)
    return rows


# --- claims ---------------------------------------------------------------------------------------


def _predicts_nothing(groups: dict[str, list[Record]]) -> Reading:
    norms = {c: median([r.final["norm"] for r in group]) for c, group in groups.items()}
    errors = {c: 100 * median([r.final["test_error"] for r in group]) for c, group in groups.items()}
    factor = max(norms.values()) / min(norms.values())
    change = max(errors.values()) / min(errors.values()) - 1
    text = f"norm {max(norms.values()):.0f} to {min(norms.values()):.0f}, error {max(errors.values()):.2f} to "
    numbers: dict[str, list[float | None]] = {"norm": list(norms.values()), "test error (%)": list(errors.values())}
    return Reading(factor >= 3 and change <= 0.2, f"{text}{min(errors.values()):.2f} %", numbers)


def _reaches(groups: dict[str, list[Record]]) -> Reading:
    ends = [r.final["distance"] for group in groups.values() for r in group]
    epochs = [r.final["epoch"] for group in groups.values() for r in group]
    return Reading(max(ends) <= CONVERGED, f"{max(ends):.1e} after {max(epochs):.0f} epochs", {"distance": list(ends)})


def _larger(groups: dict[str, list[Record]]) -> Reading:
    least, *others = SOLUTIONS.values()
    norms = {w: [r.final["norm"] for r in groups[w]] for w in SOLUTIONS.values()}
    tests = {w: [100 * r.final["test_error"] for r in groups[w]] for w in SOLUTIONS.values()}
    fits = all(r.final["train_error"] == 0 and r.final["residual"] < 1e-6 for g in groups.values() for r in g)
    holds = fits and all(
        min(norms[w]) > max(norms[least]) and min(tests[w]) > max(tests[least]) and min(tests[w]) >= 85 for w in others
    )
    text = "; ".join(f"{w}: norm {spread(norms[w])}, test error {spread(tests[w], 1)} %" for w in norms)
    numbers: dict[str, list[float | None]] = {f"norm, {w}": list(v) for w, v in norms.items()}
    return Reading(holds, text, numbers)


def claims(setting: Setting) -> list[Claim]:
    return [
        Claim(
            name="norm does not predict the error",
            source="zhang2017, section 5, extended",
            statement="over bandwidths the norm changes much more than the error",
            paper="one bandwidth a kernel; norm 220 and 1.2 % on pixels, 390 and 0.6 % with Gabor features",
            tolerance="MNIST pixels, widths 0.5 to 2: norm by a factor of at least 3, error by at most a fifth",
            conditions=tuple(f"MNIST pixels, width {w:g}" for w in (0.5, 1.0, 2.0)),
            measure=_predicts_nothing,
            least_n=10_000,
        ),
        Claim(
            name="SGD finds the least norm",
            source="zhang2017, section 5",
            statement="SGD from zero on a linear model converges to the minimum-norm solution",
            paper="it converges to it",
            tolerance=f"relative distance at most {CONVERGED:g} on {CONVERGES} whitened images, in every seed",
            conditions=(_descent_name(CONVERGES, True),),
            measure=_reaches,
        ),
        Claim(
            name="other solutions do not generalize",
            source="zhang2017, section 5, extended",
            statement="other solutions fit the training set, do not generalize, and have a larger norm",
            paper="the least-norm solution is one of many",
            tolerance="residual below 1e-6; test error at least 85 %, above the least norm's; norm larger; every seed",
            conditions=tuple(SOLUTIONS.values()),
            measure=_larger,
        ),
    ]
