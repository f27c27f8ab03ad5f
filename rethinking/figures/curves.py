"""Training and test error over training: underfitting, overfitting, and the best point between them.

The classic two curves, for true, half and fully random labels: where test error is lowest is where early stopping
would stop; to its left the network underfits, to its right it overfits. The survey's remark that training error may
start above test error is judged on the error as it is usually reported, the mean over an epoch's batches.

    rethinking figure curves                  2,000 images, a minute on two cores
    rethinking figure curves --scale cpu      MLP 1x512 on all 50,000 images (runs of fig1b)
"""

from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import Setting
from rethinking.figures._parts import (
    BUDGET,
    MIX_LOOKS,
    MIXES,
    UNSTATED,
    fitted,
    gain,
    labels,
    least_seeds,
    missing_note,
    seeds_note,
    size_note,
)
from rethinking.plotting import WIDTH, not_run
from rethinking.record import Record
from rethinking.spec import RunSpec

MODELS = ["mlp-1x512", "mlp-3x512", "alexnet", "inception"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Training and test error against epochs; dotted, where stopping gains 3 points: the lowest test error."
DEPARTURES = [
    UNSTATED,
    BUDGET,
    "Evaluations before the last use the first 2,000 test images (quick: 250), the last one all; the best point is "
    "among the former.",
    "quick, and cpu for all but the MLPs: fewer images.",
]
ZONES = 3.0  # points that stopping must gain for zones to be drawn: less is noise of 2,000 test images


def runs(setting: Setting) -> Specs:
    return {
        condition: [_every_epoch(setting.spec(k, corruptions=labels(p))) for k in range(setting.seeds)]
        for condition, p in MIXES.items()
    }


def _every_epoch(spec: RunSpec) -> RunSpec:
    return spec.replace(eval_every=spec.epoch_steps)


def best(record: Record) -> tuple[float, float]:
    """Epoch and test error (%) of the lowest test error between the first evaluation and the last.

    These alone use the same test images.
    """
    pairs = list(zip(record.curve["test_accuracy"], record.curve["epoch"], strict=True))
    pairs = pairs[1:-1] or pairs
    accuracy, epoch = max(pairs, key=lambda pair: (pair[0], -pair[1]))
    return epoch, 100 * (1 - accuracy)


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(WIDTH, 2.6), sharey=True)
    for look, word in (("-", "training"), ("--", "test")):
        panels[0].plot([], [], look, color="black", label=word)
    table = []
    for axes, (condition, group) in zip(panels, records.items(), strict=True):
        done = [r for r in group if r]
        for record in done:
            epochs = record.curve["epoch"]
            axes.plot(epochs, _error(record, "train_accuracy"), "-", color=MIX_LOOKS[condition]["color"])
            axes.plot(epochs, _error(record, "test_accuracy"), "--", color=MIX_LOOKS[condition]["color"], lw=1)
        if done and min(gain(r) for r in done) < ZONES:
            axes.annotate(
                f"no zones: stopping gains under {ZONES:g} points",
                (1, 1.01),
                xycoords="axes fraction",
                fontsize=6,
                ha="right",
            )
        elif done:
            middle = median(best(r)[0] for r in done)
            axes.axvline(middle, color="0.4", linestyle=":", lw=0.9)
            axes.axvspan(0, middle, color="0.94", zorder=0)
            axes.annotate("underfits", (0, 1.01), xycoords=("data", "axes fraction"), fontsize=6)
            axes.annotate("overfits", (1, 1.01), xycoords="axes fraction", fontsize=6, ha="right")
        else:
            not_run(axes)
        axes.set_title(condition, pad=10)
        axes.set(xlabel="epoch", ylim=(0, 100))
        axes.set_xlim(0, None)
        table.append(
            {
                "condition": condition,
                "n": [setting.spec(0).n],
                "best epoch": [None if r is None else best(r)[0] for r in group],
                "best test error (%)": [None if r is None else best(r)[1] for r in group],
                "final test error (%)": [None if r is None else _error(r, "test_accuracy")[-1] for r in group],
                "first epoch's training error as trained (%)": [None if r is None else _first(r)[0] for r in group],
                "test error after it (%)": [None if r is None else _first(r)[1] for r in group],
            }
        )
    panels[0].set_ylabel("error (%)")
    panels[0].legend(loc="center right", bbox_to_anchor=(1.0, 0.3))
    size = size_note(setting.spec(0).n or 0)
    title = f"{setting.model}, CIFAR-10, {size}, {seeds_note(setting.seeds)}, one line each{missing_note(records)}"
    figure.suptitle(title, fontsize=8)
    return figure, {"n": setting.spec(0).n, "reduced": setting.reduced, "table": table}


def _error(record: Record, column: str) -> list[float]:
    return [100 * (1 - a) for a in record.curve[column]]


def _first(record: Record) -> tuple[float, float]:
    """Training error (%) as met while training up to the first evaluation, and the test error there."""
    return 100 * (1 - record.curve["online_accuracy"][1]), 100 * (1 - record.curve["test_accuracy"][1])


def _overfits(groups: dict[str, list[Record]]) -> Reading:
    values = [gain(r) for r in groups["half random labels"]]
    later = all(best(r)[0] > r.curve["epoch"][1] for r in groups["half random labels"] if len(r.curve["epoch"]) > 2)
    numbers: dict[str, list[float | None]] = {"lost after the best point": list(values)}
    later &= fitted(groups["half random labels"])
    return Reading(later and min(values) >= 5, spread(values, unit=" points"), numbers)


def _above(groups: dict[str, list[Record]]) -> Reading:
    pairs = [_first(r) for r in groups["true labels"]]
    values = [a - b for a, b in pairs]
    learned = min(r.final["test_accuracy"] for r in groups["true labels"]) >= 0.2
    return Reading(
        learned and min(values) >= 1, spread(values, unit=" points"), {"training minus test error": list(values)}
    )


def claims(setting: Setting) -> list[Claim]:
    return [
        Claim(
            name="overfits half random labels",
            source="the survey's two curves",
            statement="with half random labels test error falls, then rises: there is a best point to stop at",
            paper="a U-shaped curve of test error",
            tolerance="lowest after the first epoch, the latest on the same test images at least 5 points above, and "
            "fitted, in every seed; from n = 2,000 on, a shape",
            conditions=("half random labels",),
            measure=_overfits,
            least_n=2000,
            least_seeds=least_seeds(setting.model),
        ),
        Claim(
            name="training error starts above test error",
            source="the survey's remark",
            statement="training error may start above test error",
            paper="it may",
            tolerance="first epoch's mean training error at least 1 point above the test error after it, and in the "
            "end test accuracy at least twice chance, in every seed; n >= 2,000",
            conditions=("true labels",),
            measure=_above,
            least_n=2000,
            least_seeds=least_seeds(setting.model),
        ),
    ]
