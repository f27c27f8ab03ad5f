"""Theorem 1: a network with 2n + d weights fits any labels, built, not trained.

[zhang2017] section 4 and appendix C: weights against n, and the largest error of two evaluations of two constructions;
beside them a network of the paper's that SGD fits to random labels, and the depth-k forms of the corollary.

    rethinking figure theorem1                  100 to 2,000 images, a minute or two, most of it SGD's
    rethinking figure theorem1 --scale cpu      to all 50,000 images: two minutes, and SGD's run of fig1a
    rethinking figure theorem1 --scale paper    the same
"""

from typing import Any

from rethinking import catalog
from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import Setting
from rethinking.figures._parts import present, times_to_fit
from rethinking.plotting import WIDTH
from rethinking.record import Record
from rethinking.spec import Part, Theorem1Spec

MODELS = ["mlp-3x512", "mlp-1x512", "alexnet", "inception", "inception-nobn"]
SEEDS = {"quick": 1, "cpu": 1, "paper": 1}
CAPTION = "Weights and largest error of networks built to fit random labels of n CIFAR-10 images, beside SGD's."
DEPARTURES = [
    "Labels are the numbers 0 to 9 of one output; the trained network has ten outputs.",
    "A bias may equal the projection of the point before it, where the paper has it strictly between two.",
    "Depth k counts layers of weights, so k = 2 is the theorem's own network; weights are counted as wired, nonzero.",
    "Points are the original images, d = 3,072; the trained network sees 28 x 28 pixels, whitened.",
]
SIZES = {"quick": (100, 300, 1000, 2000), "cpu": (100, 300, 1000, 3000, 10_000, 50_000)}
DEPTHS = (2, 4, 8)
FULL = 50_000
PIXELS = 3072  # d
SGD = "SGD"
LOOKS: dict[str, dict[str, Any]] = {
    "random": {"color": "#D55E00", "marker": "s"},
    "chosen": {"color": "#0072B2", "marker": "o"},
}
WORDS = {"random": "random direction, midpoint biases", "chosen": "chosen direction and biases"}


def _sizes(setting: Setting) -> tuple[int, ...]:
    return SIZES.get(setting.scale, SIZES["cpu"])


def _name(construction: str, n: int, depth: int = 2) -> str:
    return f"{construction}, n = {n}" + (f", k = {depth}" if depth > 2 else "")


def runs(setting: Setting) -> Specs:
    wanted: Specs = {}
    largest = _sizes(setting)[-1]
    cases = [(c, n, 2) for c in LOOKS for n in _sizes(setting)] + [("chosen", largest, k) for k in DEPTHS[1:]]
    for construction, n, depth in cases:
        wanted[_name(construction, n, depth)] = [
            Theorem1Spec.make(n=n, construction=construction, depth=depth, seed=seed, data_seed=seed)
            for seed in range(setting.seeds)
        ]
    wanted[SGD] = [setting.spec(seed, corruptions=(Part(name="random_labels"),)) for seed in range(setting.seeds)]
    return wanted


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.9))
    sizes = _sizes(setting)
    series: dict[str, Any] = {}
    left.plot(sizes, [2 * n + PIXELS for n in sizes], color="#000000", linewidth=0.8, label="2n + d")
    for construction, look in LOOKS.items():
        done = {n: [r for r in records[_name(construction, n)] if r] for n in sizes}
        columns = ("weights", "module_error", "plain_error", "plain_right", "condition", "largest_weight", "gap")
        series[construction] = {
            "n": [n for n in sizes if done[n]],
            **{c: [[r.final[c] for r in group] for group in done.values() if group] for c in columns},
        }
        points = [(n, r.final) for n, group in done.items() for r in group]
        if not points:
            right.plot([], [], " ", label=f"{WORDS[construction]}: not run")
            continue
        ns = [n for n, _ in points]
        if construction == "chosen":
            left.plot(ns, [f["weights"] for _, f in points], "o", color=look["color"], label="built, depth 2")
        for column, dash, fill in (("plain_error", "-", "full"), ("module_error", (0, (4, 2)), "none")):
            ordinate = [max(f[column], 1e-13) for _, f in points]
            right.plot(ns, ordinate, linestyle=dash, fillstyle=fill, **look)
        right.plot(ns, [2.2e-16 * f["condition"] for _, f in points], ":", color=look["color"], linewidth=0.9)
    for k, marker in zip(DEPTHS[1:], "^v", strict=True):
        for record in records[_name("chosen", sizes[-1], k)]:
            if record:
                left.plot(
                    sizes[-1], record.final["nonzeros"], marker, color="#009E73", fillstyle="none",
                    label=f"built, depth {k}: nonzeros",
                )  # fmt: skip
    parameters = _parameters(setting.model)
    sgd = [r for r in records[SGD] if r]
    if sgd:
        n = sgd[0].spec.n
        fits = present([r.steps_to_fit() for r in sgd])
        ended = f"99 % after {spread(fits, 0)} steps" if fits else "99 % not reached"
        ended += f"\n({len(sgd) - len(fits)} censored)" if 0 < len(fits) < len(sgd) else ""
        left.plot(n, parameters, "*", color="#000000", markersize=8, clip_on=False)
        left.annotate(
            f"{setting.model}, SGD:\n{ended}", (n, parameters), xytext=(-6, -2),
            textcoords="offset points", ha="right", va="top", fontsize=7,
        )  # fmt: skip
    else:
        left.plot([], [], " ", label=f"{setting.model}, SGD: not run")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="training images n", xlim=(sizes[0] / 1.5, sizes[-1] * 1.5))
    left.set(ylabel="weights and biases, but for zeros")
    left.set_ylim(2e3, 2e8)
    left.legend(loc="upper left")
    right.axhline(0.5, color="#777777", linewidth=0.7)
    right.text(sizes[0], 0.4, "above: rounding finds another label", fontsize=6.5, va="top", color="#555555")
    right.set(ylabel="largest error over all labels (0 to 9)")
    right.set_ylim(1e-13, 1e9)
    from matplotlib.lines import Line2D

    entries = [Line2D([], [], label=WORDS[c], linestyle=" ", **look) for c, look in LOOKS.items()]
    entries += [
        Line2D([], [], color="#000000", label="plain pass", marker="o"),
        Line2D([], [], color="#000000", label="kinks in order", linestyle=(0, (4, 2)), marker="o", fillstyle="none"),
        Line2D([], [], color="#000000", label="rounding × Lemma 1's condition", linestyle=":", linewidth=0.9),
    ]
    right.legend(handles=entries, loc="upper left", fontsize=6.5)
    reduced = sizes[-1] < FULL
    scale = f"REDUCED: to {sizes[-1]:,} of 50,000 images" if reduced else "to all 50,000 images"
    figure.suptitle(f"Theorem 1 on CIFAR-10, random labels, {scale}, float64", fontsize=8)
    numbers = {"n": sizes[-1], "reduced": reduced, "series": series, "table": _table(setting, records)}
    return figure, numbers


def _parameters(model: str) -> int:
    """Trained numbers of a network for CIFAR-10, as its file tells the paper's count, else counted."""
    told = catalog.find("models", model).constants.get("PAPER", {}).get("parameters")
    told = told.get(model) if isinstance(told, dict) else told
    if told is not None:
        return told
    from rethinking import models

    return models.count_parameters(models.build(model))


def _table(setting: Setting, records: Records) -> list[dict[str, Any]]:
    """One row per network, one value per seed; null where a run is missing."""
    rows: list[dict[str, Any]] = []
    for name, group in records.items():
        if name == SGD:
            rows.append(
                {
                    "network": f"SGD, {setting.model}",
                    "weights": [_parameters(setting.model)],
                    "steps to 99 %": times_to_fit(group),
                    "seconds": [None if r is None else r.environment.get("seconds") for r in group],
                }
            )
            continue
        rows.append(
            {
                "network": name,
                "weights": _column(group, "weights"),
                "nonzeros": _column(group, "nonzeros"),
                "width": _column(group, "width"),
                "error": _column(group, "module_error", "{:.1e}"),
                "plain error": _column(group, "plain_error", "{:.1e}"),
                "largest weight": _column(group, "largest_weight", "{:.1e}"),
                "Lemma 1": _column(group, "eigenvalue", "{:.1e}"),
                "condition at least": _column(group, "condition", "{:.1e}"),
                "seconds": _column(group, "construction_seconds", "{:.3f}"),
                "times X a and a sort": [None if r is None else f"{_ratio(r):.1f}" for r in group],
            }
        )
    return rows


def _column(group: list[Record | None], column: str, form: str = "{}") -> list[Any]:
    return [None if r is None else form.format(r.final[column]) for r in group]


def _ratio(record: Record) -> float:
    final = record.final
    return final["construction_seconds"] / (final["project_seconds"] + final["sort_seconds"])


# --- claims ---------------------------------------------------------------------------------------


def claims(setting: Setting) -> list[Claim]:
    largest = _sizes(setting)[-1]
    chosen, plain = _name("chosen", largest), _name("random", largest)
    deep = tuple(_name("chosen", largest, k) for k in DEPTHS)

    def weights(groups: dict[str, list[Record]]) -> Reading:
        counted = [r.final["weights"] for r in groups[chosen]]
        ours = f"{counted[0]:,} = 2 × {largest:,} + {PIXELS:,}" if counted[0] == 2 * largest + PIXELS else str(counted)
        return Reading(all(c == 2 * largest + PIXELS for c in counted), ours, {"weights": list(counted)})

    def fits(groups: dict[str, list[Record]]) -> Reading:
        errors = [r.final["module_error"] for r in groups[chosen]]
        return Reading(max(errors) <= 1e-5, f"largest error {max(errors):.1e}", {"largest error": list(errors)})

    def rounds(groups: dict[str, list[Record]]) -> Reading:
        ours, theirs = ([r.final["plain_error"] for r in groups[c]] for c in (chosen, plain))
        right = min(r.final["plain_right"] for r in groups[chosen])
        text = f"{100 * right:.2f} % of labels; error {max(ours):.1e}, of the random direction {max(theirs):.1e}"
        holds = right == 1 and max(ours) < min(0.07, *theirs)
        return Reading(holds, text, {"chosen": list(ours), "random": list(theirs)})

    def quick(groups: dict[str, list[Record]]) -> Reading:
        ratios = [_ratio(r) for r in groups[chosen]]
        return Reading(max(ratios) <= 5, f"{max(ratios):.1f} times", {"ratio": list(ratios)})

    def bound(groups: dict[str, list[Record]]) -> Reading:
        text, numbers, holds = [], {}, True
        for k, name in zip(DEPTHS, deep, strict=True):
            width, nonzeros = 2 * largest // k + 4, 4 * largest + PIXELS + 10 * k
            for r in groups[name]:
                f = r.final
                holds &= f["width"] <= width and f["nonzeros"] <= nonzeros and f["module_error"] <= 1e-5
                text.append(
                    f"k = {k}: width {f['width']:,} (bound {width:,}), {f['nonzeros']:,} nonzeros (bound "
                    f"{nonzeros:,}), error {f['module_error']:.0e}"
                )
            numbers[f"nonzeros, k = {k}"] = [r.final["nonzeros"] for r in groups[name]]
        return Reading(holds, "; ".join(text), numbers)

    return [
        Claim(
            name="2n + d weights",
            source="zhang2017, Theorem 1",
            statement="a two-layer ReLU network with 2n + d weights represents the sample",
            paper="2n + d",
            tolerance="the module's parameters, counted, are 2n + d",
            conditions=(chosen,),
            measure=weights,
        ),
        Claim(
            name="fits any labels",
            source="zhang2017, Theorem 1",
            statement="it fits random labels of every image",
            paper="any labels of any n distinct points",
            tolerance="within 1e-5 of every label, in the module's own evaluation",
            conditions=(chosen,),
            measure=fits,
        ),
        Claim(
            name="plain pass",
            source="zhang2017, Theorem 1, extended",
            statement="a plain float64 forward pass recovers every label by rounding",
            paper="nothing on rounding",
            tolerance="every label, with a largest error below 0.07 and below that of a random direction's network",
            conditions=(chosen, plain),
            measure=rounds,
            least_n=FULL,
        ),
        Claim(
            name="construction is quick",
            source="zhang2017, appendix C, extended",
            statement="the network is built in O(n log n) beyond the projection",
            paper="sort, then solve a triangular system",
            tolerance="at most 5 times one product X a plus one sort, in the same run",
            conditions=(chosen,),
            measure=quick,
            least_n=FULL,
        ),
        Claim(
            name="depth k",
            source="zhang2017, Corollary 1",
            statement="depth k does it with width O(n / k) and O(n + d) weights",
            paper="width O(n / k), O(n + d) weights",
            tolerance="k = 2, 4, 8: width at most 2n / k + 4, nonzeros at most 4n + d + 10k, error at most 1e-5",
            conditions=deep,
            measure=bound,
        ),
    ]
