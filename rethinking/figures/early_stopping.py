"""Early stopping on held-out training images: what it gains against patience, for clean and corrupted labels.

[zhang2017] section 3: early stopping could improve generalization, and on CIFAR-10 gains nothing. Here a run stops
once `patience` evaluations have not improved on the best accuracy so far, and returns to that; judged by images of the
training set that are not trained on and whose labels are corrupted like the rest. The test set is only read off.

    rethinking figure early_stopping                 500 images, one seed: minutes
    rethinking figure early_stopping --scale cpu     2,000 images, three seeds
"""

from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import (
    ASIDE,
    MIX_LOOKS,
    MIXES,
    STATISTIC,
    UNSTATED,
    fitted,
    labels,
    least_seeds,
    line,
    missing_note,
    numbered,
    percent,
    seeds_note,
    size_note,
)
from rethinking.plotting import WIDTH, not_run
from rethinking.record import Record
from rethinking.spec import EPOCH

MODELS = ["mlp-3x512", "mlp-1x512", "alexnet"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "What stopping early gains in test accuracy, against patience, for true, half random and random labels."
DEPARTURES = [
    "The paper reads early stopping off the test curve (Figure 2). Here a fifth of the training images is held out, "
    "their labels corrupted like the rest, and the test set plays no part.",
    "Patience is counted in evaluations, one an epoch (paper: of 40,000 images), without a higher held-out accuracy; "
    "held-out loss may stop elsewhere. What stopping returns is the evaluation with the highest.",
    "Every evaluation uses all test images. The gain is over the last evaluation.",
    "cpu: 2,000 images, of which 400 are held out; quick: 500 and 100. The whole budget is trained: 100 epochs "
    "(quick 40, paper 80).",
    UNSTATED,
]
IMAGES = {"quick": 500, "cpu": 2000}
PATIENCE = (1, 2, 4, 8, 16, 32)
EPOCHS = {"quick": 40, "cpu": 100, "paper": 80}


def runs(setting: Setting) -> Specs:
    n = IMAGES.get(setting.scale, FULL)
    epoch = -(-(n - n // 5) // 128)
    fields: dict[str, Any] = {"n": n, "held_out": n // 5, "stop": "budget", "interim_test": 10_000}
    fields |= {"eval_every": min(epoch, EPOCH), "steps": EPOCHS[setting.scale] * epoch}
    return {
        word: [setting.spec(k, corruptions=labels(p), **fields) for k in range(setting.seeds)]
        for word, p in MIXES.items()
    }


def stopped(record: Record, patience: int) -> int:
    """The row that early stopping returns: the best held-out accuracy before `patience` rows without a better one."""
    accuracies = record.curve["held_out_accuracy"]
    best = 0
    for k, accuracy in enumerate(accuracies):
        if accuracy > accuracies[best]:
            best = k
        elif k - best >= patience:
            break
    return best


def _gains(group: list[Record | None] | list[Record], patience: int) -> list[float | None]:
    """Points of test accuracy that stopping gains over the last evaluation, per seed."""
    tests = [None if r is None else (r, r.curve["test_accuracy"]) for r in group]
    return [None if t is None else 100 * (t[1][stopped(t[0], patience)] - t[1][-1]) for t in tests]


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.1))
    n = IMAGES.get(setting.scale, FULL)
    table, series = [], {}
    for word, look in MIX_LOOKS.items():
        group = records[word]
        gains = {p: _gains(group, p) for p in PATIENCE}
        line(left, {p * 2 ** ASIDE[word]: [g for g in gains[p] if g is not None] for p in PATIENCE}, look, word)
        for k, record in numbered(group):
            held = [100 * a for a in record.curve["held_out_accuracy"]]
            right.plot(record.curve["epoch"], held, color=look["color"], linestyle=look["linestyle"], lw=0.8)
            series[f"{word}, seed {k}"] = {"epoch": record.curve["epoch"], "held-out accuracy (%)": held}
        for p in PATIENCE:
            ends = [None if r is None else r.curve["epoch"][stopped(r, p)] for r in group]
            table.append(
                {
                    "run": f"{word}, patience {p}",
                    "n": [n],
                    "returned to epoch": ends,
                    "gain in test accuracy (points)": gains[p],
                    "final test accuracy (%)": percent(group, "test_accuracy"),
                }
            )
    left.set_xscale("log", base=2)
    left.set_xticks(PATIENCE, [str(p) for p in PATIENCE])
    left.minorticks_off()
    left.axhline(0, color="0.5", lw=0.6)
    left.set(
        xlabel="patience (evaluations, one an epoch)", ylabel="gain in test accuracy over\nthe last evaluation (points)"
    )
    right.axhline(10, color="0.5", lw=0.6)
    right.set(xlabel="epochs", ylabel="held-out accuracy (%)")
    right.set_ylim(bottom=0)
    if any(any(group) for group in records.values()):
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    else:
        not_run(left)
    head = f"{setting.model}, CIFAR-10, {size_note(n)}, a fifth of them held out, {seeds_note(setting.seeds)}"
    told = f"left: {STATISTIC}; right: every seed, held-out labels corrupted alike, thin line: chance"
    figure.suptitle(f"{head}{missing_note(records)}\n{told}", fontsize=7)
    return figure, {"series": series, "table": table}


# --- claims ---------------------------------------------------------------------------------------

JUDGED = 8  # the patience that claims are judged at


def claims(setting: Setting) -> list[Claim]:
    def gain(word: str, statement: str, paper: str, tolerance: str, holds: Any) -> Claim:
        def measure(groups: dict[str, list[Record]]) -> Reading:
            gains = [g for g in _gains(groups[word], JUDGED) if g is not None]
            return Reading(
                fitted(groups[word]) and holds(gains), spread(gains, unit=" points"), {"gain (points)": list(gains)}
            )

        return Claim(
            name=f"gain, {word}",
            source="zhang2017, section 3, extended",
            statement=statement,
            paper=paper,
            tolerance=f"patience {JUDGED}: {tolerance}, every run fitted",
            conditions=(word,),
            measure=measure,
            least_n=2000,
            least_seeds=least_seeds(setting.model),
        )

    return [
        gain(
            "true labels",
            "early stopping gains nothing on true labels",
            "no gain on CIFAR-10",
            "a gain of at most 2 points in every seed",
            lambda g: max(g) <= 2,
        ),
        gain(
            "half random labels",
            "early stopping helps on half random labels, by 5 points or more",
            "early stopping could potentially improve generalization",
            "a gain of 5 points in every seed",
            lambda g: min(g) >= 5,
        ),
        gain(
            "random labels",
            "early stopping does not help on random labels",
            "test accuracy at chance",
            "a gain within 2 points of 0 in every seed",
            lambda g: all(abs(x) <= 2 for x in g),
        ),
    ]
