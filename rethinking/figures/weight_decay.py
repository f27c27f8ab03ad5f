"""Which strengths of weight decay are consistent with the paper's tables? An inference of this project.

[zhang2017] states no strength. Swept here per network: training accuracy on random labels (Table 4) and on true labels,
test accuracy on true labels (Table 1), all on the same images. A strength is consistent with a network's rows where
random labels are fitted or not as the paper says, true labels are fitted, and test accuracy is within the rows'
tolerance. A threshold found on few images says nothing of 50,000: n is stated.

    rethinking figure weight_decay                 reduced; `rethinking plan` says how long
    rethinking figure weight_decay --scale cpu     MLPs and AlexNet on all 50,000 images: hours
"""

from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import (
    BUDGET,
    UNSTATED,
    WEIGHT_DECAY,
    decay,
    labels,
    least_seeds,
    line,
    mark_missing,
    missing_note,
    percent,
    present,
)
from rethinking.figures.kit.panels import seeds_note
from rethinking.figures.table1 import ROWS, TOLERANCE, specs
from rethinking.figures.table4 import FAILED
from rethinking.figures.table4 import ROWS as ROWS4
from rethinking.plotting import NETWORKS, WIDTH
from rethinking.record import Record

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Training accuracy on random labels and test accuracy on true labels against the strength of weight decay."
DEPARTURES = [
    "An inference of this project: the paper states no strength, and may have used each network's own default.",
    "Inception is not swept, and the row of weight decay with random crop not asked for.",
    BUDGET,
    "The gain over no weight decay, a difference of two of the paper's single runs, is not asked for.",
    "Weight decay acts on the weights of convolutions and linear layers, not on biases.",
    UNSTATED,
]
STRENGTHS = (0.0, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3)
SWEPT = ["mlp-1x512", "mlp-3x512", "alexnet"]
ROW = {r.network: r for r in ROWS if r.decay and not r.crop}
ROW4 = {r.network: r for r in ROWS4 if r.regularizer == "weight decay"}


def _name(network: str, strength: float, labels_: str) -> str:
    return f"{network}, {strength:g}, {labels_} labels"


def runs(setting: Setting) -> Specs:
    return {
        _name(network, strength, word): specs(setting, network, corruptions=labels(p), regularizers=decay(strength))
        for network in SWEPT
        for strength in STRENGTHS
        for word, p in (("true", 0.0), ("random", 1.0))
    }


def consistent(records: Records | dict[str, list[Record]], network: str, strength: float) -> bool | None:
    """Whether a strength agrees with the network's rows of Tables 1 and 4; None where a run is missing, and for 0."""
    true, random = (records[_name(network, strength, word)] for word in ("true", "random"))
    if not strength or None in true or None in random:
        return None
    memorized = median(present(percent(random, "train_accuracy")))
    test = median(present(percent(true, "test_accuracy")))
    train = median(present(percent(true, "train_accuracy")))
    agrees = memorized < FAILED if ROW4[network].train is None else memorized >= 99
    return agrees and train >= 99 and abs(test - ROW[network].test) <= TOLERANCE[network]


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 3, figsize=(WIDTH, 3.8), sharex=True, sharey="row")
    places = {s: k for k, s in enumerate(STRENGTHS)}
    table = []
    for column, network in enumerate(SWEPT):
        look = NETWORKS[network]
        n = specs(setting, network)[0].n or 0
        for axes, word, of in (
            (panels[0][column], "random", "train_accuracy"),
            (panels[1][column], "true", "test_accuracy"),
        ):
            points = {float(places[s]): present(percent(records[_name(network, s, word)], of)) for s in STRENGTHS}
            line(axes, points, look)
            for s in STRENGTHS:
                if consistent(records, network, s):
                    axes.axvspan(places[s] - 0.4, places[s] + 0.4, color="0.9", zorder=0)
                mark_missing(axes, places[s], records[_name(network, s, word)])
        panels[0][column].axhline(99, color="0.4", lw=0.6, linestyle=":")
        if ROW4[network].train is None:
            panels[0][column].annotate(
                "paper: fails to converge", (0.5, 0.5), xycoords="axes fraction", fontsize=6, ha="center"
            )
        panels[1][column].axhline(ROW[network].test, color="0.4", lw=0.8, linestyle="--")
        size = f"all {n:,} images" if n == FULL else f"REDUCED: n = {n:,}"
        seeds = seeds_note(len(setting.seeds_of(network)))
        panels[0][column].set_title(f"{network}, {size}, {seeds}", fontsize=7)
        panels[1][column].set_xticks(list(places.values()), [f"{s:g}" for s in STRENGTHS], rotation=45, fontsize=6)
        panels[1][column].set_xlabel("weight decay")
        for s in STRENGTHS:
            agrees = consistent(records, network, s)
            table.append(
                {
                    "run": f"{network}, {s:g}",
                    "n": [n],
                    "training accuracy, random labels (%)": percent(
                        records[_name(network, s, "random")], "train_accuracy"
                    ),
                    "training accuracy, true labels (%)": percent(records[_name(network, s, "true")], "train_accuracy"),
                    "test accuracy, true labels (%)": percent(records[_name(network, s, "true")], "test_accuracy"),
                    "consistent with the paper's rows": [
                        "no decay" if not s else None if agrees is None else _yes(agrees)
                    ],
                }
            )
    panels[0][0].set_ylabel("training accuracy,\nrandom labels (%)")
    panels[1][0].set_ylabel("test accuracy,\ntrue labels (%)")
    panels[0][0].set_ylim(0, 102)
    told = "grey: consistent with the paper's rows; dotted: 99 %; dashed: the paper's test accuracy"
    figure.suptitle(f"CIFAR-10; {told}{missing_note(records)}", fontsize=7)
    return figure, {"table": table}


def _yes(agrees: bool) -> str:
    return "yes" if agrees else "no"


def _claim(network: str) -> Claim:
    def measure(groups: dict[str, list[Record]]) -> Reading:
        agrees = [s for s in STRENGTHS if s and consistent(groups, network, s)]
        told = ", ".join(f"{s:g}" for s in agrees) or "none of those swept"
        numbers: dict[str, list[float | None]] = {"consistent strengths": list(agrees)}
        return Reading(bool(agrees), f"consistent: {told}", numbers)

    row, row4 = ROW[network], ROW4[network]
    fate = "random labels not fitted" if row4.train is None else "random labels fitted"
    return Claim(
        name=f"a consistent strength, {network}",
        source="zhang2017, Tables 1 and 4, extended",
        statement=f"one strength of weight decay gives {network}'s rows with weight decay alone",
        paper=f"{fate}, test accuracy {row.test:.2f} % on true labels",
        tolerance=f"some strength swept from {STRENGTHS[1]:g} to {STRENGTHS[-1]:g} meets both rows: fitted means 99 %, "
        f"not fitted below {FAILED} %, test within {TOLERANCE[network]:g} points",
        conditions=tuple(_name(network, s, word) for s in STRENGTHS if s for word in ("true", "random")),
        measure=measure,
        least_n=FULL,
        least_seeds=least_seeds(network),
    )


def claims(setting: Setting) -> list[Claim]:
    return [_claim(network) for network in SWEPT]


assert WEIGHT_DECAY in STRENGTHS
