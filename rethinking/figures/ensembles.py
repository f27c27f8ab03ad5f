"""Ensembles: what voting gains against the number of members, for clean, half corrupted and random labels.

Members differ in their initial weights and batch order, in their bootstrap sample of the training set too (bagging,
Breiman 1996), in their network, or are one network's views of five crops of a test image. Predictions are joined by
majority vote (ties go to the smallest class) or by the average of probabilities.

    rethinking figure ensembles                 500 images, one ensemble of each kind: minutes
    rethinking figure ensembles --scale cpu     2,000 images, three ensembles of each kind
"""

from statistics import median
from typing import Any

import numpy as np

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import (
    ASIDE,
    MIX_LOOKS,
    MIXES,
    UNSTATED,
    fitted,
    labels,
    line,
    missing_note,
)
from rethinking.figures.kit.panels import STATISTIC, size_note
from rethinking.plotting import WIDTH, not_run
from rethinking.record import Record

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "What an ensemble gains in test accuracy over its members, against its size."
MEMBERS = 6
OVER = {"networks": "the best member", "crops": "the centre crop"}  # what a gain is over, where it is not their mean
NETWORK = "mlp-3x512"
NETWORKS = ("mlp-3x512", "mlp-1x512", "alexnet")
DEPARTURES = [
    "An extension: the paper trains no ensemble.",
    f"Ensembles of up to {MEMBERS} {NETWORK}; of the networks {', '.join(NETWORKS)}; of one {NETWORK}'s five crops. "
    "Ensembles of a kind share no member and no corruption; seeds counts ensembles.",
    "Accuracy is of the first 2,000 test images, whose logits the records keep (float16). The gain is over the mean "
    "accuracy of the members; of the networks, which are unequal, over the best of them; with crops, over the centre "
    "crop, which the network was trained on. The best is found on these very images. A tied vote goes to the smallest "
    "class.",
    "cpu: 2,000 images; quick: 500; a run stops when every training example is right, or after 200 epochs (quick: "
    "100).",
    UNSTATED,
]
IMAGES = {"quick": 500, "cpu": 2000}
KINDS = ("initial weights", "bootstrap", "networks", "crops")
JOINS = ("vote", "mean probability")


def _name(kind: str, word: str, member: int) -> str:
    return f"{kind}, {word}, member {member}"


def runs(setting: Setting) -> Specs:
    n = IMAGES.get(setting.scale, FULL)
    wanted: Specs = {}
    for word, p in MIXES.items():
        fields: dict[str, Any] = {"n": n, "corruptions": labels(p)}

        def members(k: int, fields: dict[str, Any] = fields, **more: Any) -> list[Any]:
            """The k-th member of every ensemble."""
            keep = {"keep": ("test_logits",)} | fields | more
            return [setting.spec(MEMBERS * e + k, data_seed=e, **keep) for e in range(setting.seeds)]

        for k in range(MEMBERS):
            wanted[_name("initial weights", word, k)] = members(k, model=NETWORK)
            wanted[_name("bootstrap", word, k)] = members(k, model=NETWORK, bootstrap=True)
        for k, network in enumerate(NETWORKS):
            wanted[_name("networks", word, k)] = members(0, model=network)
        wanted[_name("crops", word, 0)] = members(0, model=NETWORK, keep=("crop_logits",))
    return wanted


def joined(logits: list[np.ndarray], join: str) -> np.ndarray:
    """Predicted classes, int64 (N,), of members' logits, each (N, classes), by one of JOINS."""
    if join == "vote":
        classes = logits[0].shape[1]
        return sum(np.eye(classes, dtype=np.int64)[part.argmax(1)] for part in logits).argmax(1)
    parts = [np.exp(part.astype(np.float64) - part.max(1, keepdims=True)) for part in logits]
    return sum(part / part.sum(1, keepdims=True) for part in parts).argmax(1)


def _members(
    records: Records | dict[str, list[Record]], kind: str, word: str, ensemble: int
) -> list[np.ndarray] | None:
    """The logits of an ensemble's members, None where a run is missing."""
    names = [_name(kind, word, k) for k in range({"networks": len(NETWORKS), "crops": 1}.get(kind, MEMBERS))]
    found = [records[name][ensemble] for name in names]
    there = [r for r in found if r]
    if len(there) < len(found):
        return None
    if kind == "crops":
        return list(there[0].arrays["crop_logits"])
    return [r.arrays["test_logits"] for r in there]


def accuracies(
    records: Records | dict[str, list[Record]], kind: str, word: str, ensemble: int, join: str
) -> list[tuple[float, float]]:
    """Accuracy in % of one member and of an ensemble's first 1, 2, ... members together.

    Of one member: the mean of single ones; of networks, which are unequal, the best so far; of crops, the centre one's,
    which the network was trained on. Empty where a run is missing.
    """
    logits = _members(records, kind, word, ensemble)
    first = records[_name(kind, word, 0)][ensemble]
    if logits is None or first is None:
        return []
    truth = first.arrays["test_labels"]
    alone = [100 * float((part.argmax(1) == truth).mean()) for part in logits]
    found = []
    for k in range(1, len(logits) + 1):
        one = {"crops": alone[0], "networks": max(alone[:k])}.get(kind, sum(alone) / len(alone))
        found.append((one, one if k == 1 else 100 * float((joined(logits[:k], join) == truth).mean())))
    return found


def _gain(pair: tuple[float, float]) -> float:
    return pair[1] - pair[0]


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(KINDS), figsize=(WIDTH, 2.7), sharey=True)
    n = IMAGES.get(setting.scale, FULL)
    table = []
    for axes, kind in zip(panels, KINDS, strict=True):
        for word, look in MIX_LOOKS.items():
            for join in JOINS:
                every = [accuracies(records, kind, word, e, join) for e in range(setting.seeds)]
                there = [values for values in every if values]
                if join == JOINS[1] and there:
                    sizes = range(1, len(there[0]) + 1)
                    line(axes, {k + ASIDE[word]: [_gain(v[k - 1]) for v in there] for k in sizes}, look)
                elif there:
                    ends = [_gain(v[-1]) for v in there]
                    axes.plot(len(there[0]) + 0.3, median(ends), marker="_", color=look["color"], ms=7, mew=1.6)
                table.append(
                    {
                        "run": f"{kind}, {word}, {join}",
                        "n": [n],
                        "members": [len(v) if v else None for v in every],
                        "compared with (%)": [v[-1][0] if v else None for v in every],
                        "ensemble (%)": [v[-1][1] if v else None for v in every],
                        "gain (points)": [_gain(v[-1]) if v else None for v in every],
                    }
                )
        if not any(v is not None for row in table[-len(MIX_LOOKS) * len(JOINS) :] for v in row["members"]):
            not_run(axes)
        axes.axhline(0, color="0.5", lw=0.6)
        axes.set_title(f"by {kind}\nover {OVER.get(kind, 'the mean of the members')}", fontsize=7)
        axes.set(xlabel="members", xlim=(0.6, 6.6), xticks=range(1, MEMBERS + 1))
    panels[0].set_ylabel("gain in test accuracy (points)")
    if any(any(group) for group in records.values()):
        for word, look in MIX_LOOKS.items():
            panels[0].plot([], [], **look, ms=3, label=word)
        panels[0].plot(
            [], [], marker="_", linestyle="none", color="0.3", ms=7, mew=1.6, label="majority vote, all members"
        )
        figure.legend(loc="outside lower center", ncols=4, fontsize=6.5)
    count = f"{setting.seeds} ensemble{'s' * (setting.seeds > 1)}"
    head = f"{NETWORK}, CIFAR-10, {size_note(n)}, {count} of each kind{missing_note(records)}"
    figure.suptitle(f"{head}\nlines: average of probabilities; {STATISTIC.replace('seeds', 'ensembles')}", fontsize=7)
    return figure, {"table": table}


# --- claims ---------------------------------------------------------------------------------------


def claims(setting: Setting) -> list[Claim]:
    def gains(groups: dict[str, list[Record]], kind: str, word: str) -> list[float]:
        held = [accuracies(groups, kind, word, e, JOINS[1]) for e in range(setting.seeds)]
        return [_gain(v[-1]) for v in held if v]

    def conditions(kind: str, word: str) -> tuple[str, ...]:
        return tuple(c for c in runs(setting) if c.startswith(f"{kind}, {word}, "))

    def helps(kind: str, word: str) -> Claim:
        over = f", over {OVER[kind]}" if kind in OVER else ""

        def measure(groups: dict[str, list[Record]]) -> Reading:
            found = gains(groups, kind, word)
            return Reading(min(found) > 0, spread(found, unit=" points"), {"gain (points)": list(found)})

        return Claim(
            name=f"{kind}, {word}",
            source="the survey's claim on ensembles",
            statement=f"an ensemble by {kind} helps on {word}{over}",
            paper="ensembles reduce the test error",
            tolerance=f"average of probabilities: a gain above 0{over}, in every ensemble",
            conditions=conditions(kind, word),
            measure=measure,
            least_n=2000,
            least_seeds=3,
        )

    def chance(groups: dict[str, list[Record]]) -> Reading:
        found = gains(groups, KINDS[0], "random labels")
        held = fitted(*groups.values()) and all(abs(g) <= 2 for g in found)
        return Reading(held, spread(found, unit=" points"), {"gain (points)": list(found)})

    return [
        *(helps(kind, word) for kind in KINDS for word in ("true labels", "half random labels")),
        Claim(
            name="random labels",
            source="zhang2017, section 2.1, extended",
            statement="an ensemble of networks that memorized random labels predicts no better than one",
            paper="test accuracy at chance on random labels",
            tolerance="by initial weights, average of probabilities: a gain within 2 points of 0, every ensemble, all "
            "members fitted",
            conditions=conditions(KINDS[0], "random labels"),
            measure=chance,
            least_n=2000,
            least_seeds=3,
        ),
    ]
