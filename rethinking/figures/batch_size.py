"""Batch size: is mini-batch SGD an implicit regularizer?

The survey counts the noise of small batches among what regularizes. Test accuracy and time to fit against batch size,
for true, half random and random labels; everything else the same, the learning rate by step too.

    rethinking figure batch_size                 500 images, one seed: minutes
    rethinking figure batch_size --scale cpu     2,000 images, three seeds
"""

from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import (
    MIX_LOOKS,
    MIXES,
    UNSTATED,
    fits,
    fitted,
    labels,
    least_seeds,
    line,
    mark_missing,
    missing_note,
    percent,
    present,
    seeds_note,
    size_note,
    times_to_fit,
)
from rethinking.plotting import WIDTH, not_run
from rethinking.record import Record

MODELS = ["mlp-3x512", "mlp-1x512", "alexnet"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Test accuracy and epochs to fit against batch size, for true, half random and random labels."
DEPARTURES = [
    "An extension: the paper does not vary the batch size, nor state it.",
    "The learning rate starts the same at every batch size and falls every 391 steps, whatever the batch size: small "
    "batches, with more steps an epoch, end at a lower one.",
    "cpu: 2,000 images; quick: 500; a run stops when every training example is right, or after 200 epochs (quick: "
    "100). paper: all 50,000 images, 64 epochs.",
    UNSTATED,
]
BATCHES = {"quick": (16, 128, 500), "cpu": (8, 32, 128, 512, 2000), "paper": (32, 128, 512, 2048)}
IMAGES = {"quick": 500, "cpu": 2000}
EPOCHS = {"quick": 100, "cpu": 200, "paper": 64}


def _name(batch: int, word: str) -> str:
    return f"{word}, batch {batch:,}"


def runs(setting: Setting) -> Specs:
    n = IMAGES.get(setting.scale, FULL)
    wanted: Specs = {}
    for word, p in MIXES.items():
        for batch in BATCHES[setting.scale]:
            epoch = -(-n // batch)
            fields: dict[str, Any] = {"n": n, "batch_size": batch, "steps": EPOCHS[setting.scale] * epoch}
            fields |= {"eval_every": epoch, "stop": "fitted", "corruptions": labels(p)}
            wanted[_name(batch, word)] = [setting.spec(k, **fields) for k in range(setting.seeds)]
    return wanted


def _epochs(record: Record) -> float | None:
    steps = record.steps_to_fit()
    return None if steps is None else record.curve["epoch"][record.curve["step"].index(steps)]


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8))
    batches = BATCHES[setting.scale]
    table = []
    for word, look in MIX_LOOKS.items():
        groups = {b: records[_name(b, word)] for b in batches}
        line(left, {b: present(percent(g, "test_accuracy")) for b, g in groups.items()}, look, word)
        line(right, {b: present([_epochs(r) for r in g if r]) for b, g in groups.items()}, look)
        for b, group in groups.items():
            table.append(
                {
                    "run": _name(b, word),
                    "n": [IMAGES.get(setting.scale, FULL)],
                    "steps to 99 %": times_to_fit(group),
                    "training accuracy (%)": percent(group, "train_accuracy"),
                    "test accuracy (%)": percent(group, "test_accuracy"),
                }
            )
    for axes in (left, right):
        for b in batches:
            mark_missing(axes, b, *(records[_name(b, word)] for word in MIX_LOOKS))
        axes.set_xscale("log")
        axes.set_xticks(batches, [f"{b:,}" for b in batches])
        axes.minorticks_off()
        axes.set_xlabel("batch size")
    left.axhline(10, color="0.5", lw=0.6, linestyle=":")
    left.set(ylabel="test accuracy (%); dotted: chance")
    left.set_ylim(bottom=0)
    right.set(ylabel="epochs to 99 % training accuracy;\nnone: censored")
    right.set_ylim(bottom=0)
    if any(any(group) for group in records.values()):
        right.legend(*left.get_legend_handles_labels(), loc="upper left")
    else:
        not_run(left)
    size = size_note(IMAGES.get(setting.scale, FULL))
    head = f"{setting.model}, CIFAR-10, {size}, {seeds_note(setting.seeds)}{missing_note(records)}"
    figure.suptitle(f"{head}\nmedian over seeds; the bar is their range", fontsize=7)
    return figure, {"table": table}


# --- claims ---------------------------------------------------------------------------------------


def claims(setting: Setting) -> list[Claim]:
    batches = BATCHES[setting.scale]
    few, many = _name(batches[0], "true labels"), _name(batches[-1], "true labels")

    def helps(groups: dict[str, list[Record]]) -> Reading:
        small, large = (present(percent(groups[c], "test_accuracy")) for c in (few, many))
        ours = f"{spread(small)} % with {batches[0]}, {spread(large)} % with {batches[-1]:,}"
        holds = fitted(groups[few], groups[many]) and median(small) > median(large)
        return Reading(holds, ours, {few: list(small), many: list(large)})

    def fits_at(batch: int) -> Claim:
        condition = _name(batch, "random labels")
        return Claim(
            name=f"fitted with batch {batch}",
            source="zhang2017, section 2.1, extended",
            statement=f"random labels are fitted with batches of {batch:,}",
            paper="SGD fits random labels",
            tolerance="99 % training accuracy within the budget, in every seed",
            conditions=(condition,),
            measure=lambda groups: fits(groups, condition),
            least_n=2000,
            least_seeds=least_seeds(setting.model),
        )

    return [
        *(fits_at(b) for b in batches),
        Claim(
            name="small batches help",
            source="the survey's claim on implicit regularization",
            statement=f"batches of {batches[0]} reach a higher test accuracy than batches of {batches[-1]:,}",
            paper="the noise of small batches regularizes",
            tolerance="true labels: a higher median over seeds, every run fitted",
            conditions=(few, many),
            measure=helps,
            least_n=2000,
            least_seeds=least_seeds(setting.model),
        ),
    ]
