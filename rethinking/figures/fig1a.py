"""Figure 1(a): networks fit random labels and random pixels.

[zhang2017] Figure 1(a): training loss of the small Inception on CIFAR-10 against steps, under five conditions. All
reach zero; true labels first, random labels last, random pixels and Gaussian before random labels.

    rethinking figure fig1a                                   200 or 500 images, minutes on two cores
    rethinking figure fig1a --scale cpu --model mlp-3x512     all 50,000 images, 5 to 15 minutes a run on one core
    rethinking figure fig1a --scale paper                     the paper's sizes, for a GPU
"""

import math
from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread, told
from rethinking.figures import Setting
from rethinking.figures._parts import BUDGET, UNSTATED, fits, fitted, present, times_to_fit
from rethinking.plotting import CONDITIONS, WIDTH
from rethinking.record import Record
from rethinking.spec import Part, RunSpec

MODELS = ["inception", "alexnet", "mlp-3x512", "mlp-1x512", "inception-nobn"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Training loss and accuracy against steps on CIFAR-10 under five conditions; one line per seed."
DEPARTURES = [
    "Loss and accuracy are of the whole training set at an evaluation; the paper does not say how it averages. That "
    "the loss reaches 0 is judged by the accuracy.",
    "Gaussian inputs are drawn with each channel's mean and variance, not clipped, and whitened as images are.",
    UNSTATED,
    BUDGET,
    "The paper's figure is of Inception; other networks (--model) are judged by the same rules.",
    "quick, and cpu for all but the MLPs: fewer images.",
]
CORRUPTIONS = {
    "true labels": (),
    "random labels": (Part(name="random_labels"),),
    "shuffled pixels": (Part(name="shuffled_pixels"),),
    "random pixels": (Part(name="random_pixels"),),
    "Gaussian": (Part(name="gaussian"),),
}

SHOWN = 1.5  # times the slowest run's steps to 99 %: what is after it is at 100 %


def runs(setting: Setting) -> Specs:
    seeds = range(setting.seeds) if setting.scale == "cpu" else setting.seeds_of(setting.model)

    def spec(seed: int, parts: tuple[Part, ...]) -> RunSpec:
        goes_on = not parts and seed == 0 and setting.model.startswith("inception")  # to the end: a row of Table 1
        return setting.spec(seed) if goes_on else setting.until_fitted(seed, corruptions=parts)

    return {condition: [spec(seed, parts) for seed in seeds] for condition, parts in CORRUPTIONS.items()}


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.2), sharex=True)
    series: dict[str, Any] = {}
    for condition, group in records.items():
        look = CONDITIONS[condition]
        series[condition] = [_series(record) for record in group]
        done = [r for r in group if r]
        partly = f" ({len(done)} of {len(group)} seeds)" if len(done) < len(group) else ""
        for k, record in enumerate(done):
            label = condition + partly if k == 0 else None
            line = {"color": look["color"], "linestyle": look["linestyle"]}
            steps = record.curve["step"]
            left.plot(steps, record.curve["train_loss"], **line)
            right.plot(steps, [100 * a for a in record.curve["train_accuracy"]], **line)
            for axes, column, factor in ((left, "train_loss", 1), (right, "train_accuracy", 100)):
                axes.plot(steps[-1], factor * record.final[column], look["marker"], color=look["color"], zorder=3)
            right.plot([], [], **line, marker=look["marker"], label=label)
        if not done:
            right.plot([], [], " ", label=f"{condition}: not run")
    n = setting.spec(0).n
    left.set(xlabel="step (batches of 128)", ylabel="training loss (nats)")
    right.set(xlabel="step (batches of 128)", ylabel="training accuracy (%)")
    ends = [r.final["step"] for group in records.values() for r in group if r]
    times = [r.steps_to_fit() for group in records.values() for r in group if r]
    left.set_xlim(0, 1.02 * max(ends, default=1))
    cut = ""
    shown = SHOWN * max(present(times), default=math.inf)
    if None not in times and shown < max(ends, default=0):
        left.set_xlim(0, shown)
        cut = f"\nshown to step {shown:,.0f} of {max(ends):,}"
    left.set_ylim(-0.02, None)
    right.set_ylim(0, 101)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    scale = f"REDUCED: {n:,} of 50,000 images" if setting.reduced else "all 50,000 images"
    count = len(records["true labels"])
    seeds = "1 seed" if count == 1 else f"{count} seeds, one line each"
    figure.suptitle(f"{setting.model}, CIFAR-10, {scale}, {seeds}{cut}", fontsize=8)
    return figure, {"n": n, "reduced": setting.reduced, "series": series, "table": _table(n, records)}


def _series(record: Record | None) -> dict[str, Any] | None:
    if record is None:
        return None
    columns = ("step", "train_loss", "train_accuracy", "test_accuracy")
    finite = {c: [v if math.isfinite(v) else None for v in record.curve[c]] for c in columns}  # JSON knows no NaN
    return {"run": record.path.name, **finite}


def _table(n: int | None, records: Records) -> list[dict[str, Any]]:
    """One row per condition, one value per seed; null where a run is missing, CENSORED where it did not fit."""
    return [
        {
            "condition": condition,
            "n": [n],
            "steps to 99 %": times_to_fit(group),
            "final training accuracy (%)": [None if r is None else 100 * r.final["train_accuracy"] for r in group],
            "test accuracy (%)": [None if r is None else 100 * r.final["test_accuracy"] for r in group],
        }
        for condition, group in records.items()
    ]


# --- claims ---------------------------------------------------------------------------------------


def _source(setting: Setting) -> str:
    return "zhang2017, Figure 1(a)" + ("" if setting.model == MODELS[0] else ", extended")


def _fits(setting: Setting, condition: str) -> Claim:
    return Claim(
        name=f"fits {condition}",
        source=_source(setting),
        statement=f"the network fits the training set under {condition}",
        paper="training loss reaches 0",
        tolerance="training accuracy of at least 99 % in every seed; from n = 200 on, a shape",
        conditions=(condition,),
        measure=lambda groups: fits(groups, condition),
        least_n=200,
    )


def _final_test(groups: dict[str, list[Record]], condition: str) -> list[float]:
    return [100 * r.final["test_accuracy"] for r in groups[condition]]


def _above_chance(groups: dict[str, list[Record]]) -> Reading:
    values = _final_test(groups, "true labels")
    return Reading(min(values) >= 20, spread(values, unit=" %"), {"test accuracy (%)": list(values)})


def _at_chance(groups: dict[str, list[Record]]) -> Reading:
    values = _final_test(groups, "random labels")
    at_chance = fitted(groups["random labels"]) and all(8 <= v <= 12 for v in values)
    return Reading(at_chance, spread(values, unit=" %"), {"test accuracy (%)": list(values)})


def _order(groups: dict[str, list[Record]]) -> Reading:
    steps = {c: [r.steps_to_fit() for r in group] for c, group in groups.items()}
    text = "; ".join(f"{c} {told(times_to_fit(group))}" for c, group in groups.items())
    numbers: dict[str, list[float | None]] = {f"steps, {c}": list(v) for c, v in steps.items()}
    # A censored run took longer than any that fitted.
    middle = {c: median(math.inf if s is None else s for s in v) for c, v in steps.items()}
    others = [middle[c] for c in middle if c not in ("true labels", "random labels")]
    true, random = middle["true labels"], middle["random labels"]
    holds = true < min(others) and max(true, *others) < random < math.inf
    return Reading(holds, f"steps to 99 %: {text}", numbers)


def claims(setting: Setting) -> list[Claim]:
    return [
        *(_fits(setting, condition) for condition in CORRUPTIONS),
        Claim(
            name="true labels generalize",
            source="zhang2017, Table 1",
            statement="test accuracy of true labels is far above chance",
            paper="50.51 to 85.75 % without regularization, by network",
            tolerance="at least 20 %, twice chance, in every seed; from n = 200 on, no number of the paper's",
            conditions=("true labels",),
            measure=_above_chance,
            least_n=200,
        ),
        Claim(
            name="random labels do not generalize",
            source="zhang2017, Table 1",
            statement="test accuracy of random labels is at chance",
            paper="9.78 to 10.61 %, by network",
            tolerance="within 2 points of 10 %, and fitted, in every seed; from n = 200 on, chance being no matter of "
            "size",
            conditions=("random labels",),
            measure=_at_chance,
            least_n=200,
        ),
        Claim(
            name="order of fitting",
            source=_source(setting),
            statement="true labels are fitted first, random labels last",
            paper="true labels, then the three pixel corruptions, then random labels",
            tolerance="medians over seeds of the steps to 99 % training accuracy, strictly in this order, random "
            "labels fitted; from n = 2,000 on, an order",
            conditions=tuple(CORRUPTIONS),
            measure=_order,
            least_n=2000,
            least_seeds=3,
        ),
    ]
