"""The advice that came with dropout, one step at a time: wider, faster, bounded, longer; and how to average.

Srivastava et al. 2014 (JMLR 15), appendix A: n units become n/p, p the probability of keeping (A.1); a learning rate
10 to 100 times as high and momentum 0.95 to 0.99 (A.2); the norms of incoming weights at most 3 or 4 (A.3); section
7.5: scaling the weights at test time against averaging over sampled masks. Does it let random labels be fitted again?
All of it, and all but the learning rate and momentum.

    rethinking figure dropout_advice                 500 images, one seed: minutes
    rethinking figure dropout_advice --scale cpu     2,000 images, three seeds
"""

from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import (
    UNSTATED,
    fits,
    highest,
    last_shared,
    missing_note,
    percent,
    present,
    seeds_note,
)
from rethinking.figures._sweeps import (
    CAVEAT,
    IMAGES,
    LEARNS,
    NETWORKS,
    RANDOM_LABEL,
    SIZE,
    WORDS,
    budget,
    partly,
    row,
    size,
    specs,
)
from rethinking.plotting import CONDITIONS, WIDTH, not_run
from rethinking.record import Record
from rethinking.spec import Part, Spec

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Dropout's advice one step at a time: training accuracy on random labels, test accuracy on true labels."
NETWORK = NETWORKS[0]
RATE, WIDER, FASTER, MOMENTUM, NORM, LONGER = 0.5, 1024, 0.1, 0.95, 3.0, 4
SLOW = "all but faster"
DEPARTURES = [
    "An extension: the paper has dropout on ImageNet alone (Table 2), at one rate.",
    f"Steps add up: dropout {RATE:g} of hidden units, {WIDER:,} units instead of 512, learning rate {FASTER:g} instead "
    f"of 0.01, momentum {MOMENTUM:g} instead of 0.9 (the lower ends of what is advised), norms of at most {NORM:g}, "
    f"{LONGER} times the steps. {SLOW!r} keeps the usual learning rate and momentum: it was added after the "
    "runs of the other steps, which do not train from the higher ones on.",
    "Dropout divides what is kept by p, so that all units at test time are the network with scaled weights; the "
    "original's form scales at test time only, and so trains otherwise at the same learning rate.",
    CAVEAT,
    SIZE,
    UNSTATED,
]


def _dropout(mode: str = "inverted") -> Part:
    return Part(name="dropout", options={"rate": RATE, "mode": mode})


_WIDE: dict[str, Any] = {"model_options": {"width": WIDER}}
_FAST: dict[str, Any] = {**_WIDE, "learning_rate": FASTER, "momentum": MOMENTUM}
_BOUND = Part(name="max_norm", options={"bound": NORM})
_ALL = "+ longer"
_MASKS, _WITHOUT = "averaged over masks", "without dropout"


def _whole(step: str, fields: dict[str, Any]) -> dict[str, tuple[tuple[Part, ...], dict[str, Any], int]]:
    """The advice as a whole, in the original's form, averaged over masks, and without dropout."""
    stacks: dict[str, tuple[Part, ...]] = {
        "": (_dropout(), _BOUND),
        "scaled at test": (_dropout("weight_scaling"), _BOUND),
        _MASKS: (_dropout("monte_carlo"), _BOUND),
        _WITHOUT: (_BOUND,),
    }
    return {_of(step, variant): (parts, fields, LONGER) for variant, parts in stacks.items()}


def _of(step: str, variant: str) -> str:
    return f"{step}, {variant}" if variant else step


# Regularizers, changed fields, times the budget.
STEPS: dict[str, tuple[tuple[Part, ...], dict[str, Any], int]] = {
    "no dropout": ((), {}, 1),
    "dropout": ((_dropout(),), {}, 1),
    "+ wider": ((_dropout(),), _WIDE, 1),
    "+ faster": ((_dropout(),), _FAST, 1),
    "+ max-norm": ((_dropout(), _BOUND), _FAST, 1),
    **_whole(_ALL, _FAST),
    **_whole(SLOW, _WIDE),
}


def stacks(
    setting: Setting, records: Records, network: str, names: dict[str, dict[str, str]], told: str
) -> tuple[Any, dict[str, Any]]:
    """A figure of stacks of regularizers, one a line: what they do to random and to true labels; and its numbers.

    Args:
        names: stack -> the keys of its runs by word. told: what its title explains.
    """
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 1.1 + 0.21 * len(names)), sharey=True)
    measured = {"random": RANDOM_LABEL, "true": "true labels:\ntest accuracy (%)"}
    for axes, (word, label) in zip(panels, measured.items(), strict=True):
        look = CONDITIONS[f"{word} labels"]
        for y, keys in enumerate(names.values()):
            group = records[keys[word]]
            values = present(highest(group) if word == "random" else percent(group, "test_accuracy"))
            if values:
                axes.plot(values, [y] * len(values), look["marker"], color=look["color"], ms=3, clip_on=False)
                axes.plot([min(values), max(values)], [y, y], color=look["color"], lw=0.8)
            else:
                not_run(axes, y, fontsize=6)
        axes.set_xlabel(label)
        axes.grid(axis="y", lw=0.3)
    panels[0].set_xlim(0, 102)
    panels[0].axvline(99, color="0.4", lw=0.6, linestyle=":")
    rows = [name + partly(records, *keys.values()) for name, keys in names.items()]
    panels[0].set_yticks(range(len(names)), rows, fontsize=7)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    head = f"{network}, CIFAR-10, {size(setting, network)}, {seeds_note(setting.seeds)}{missing_note(records)}"
    figure.suptitle(f"{head}\n{budget(setting, network)}; {told}", fontsize=7)
    n = specs(setting, network, "true")[0].n or FULL
    return figure, {"table": [row(records, stack, n, keys) for stack, keys in names.items()]}


def better(name: str, source: str, statement: str, paper: str, keys: dict[str, str]) -> Claim:
    """The claim that of stacks on the first network the first always reaches the highest test accuracy on true labels.

    Args:
        keys: stack -> the key of its runs on true labels.
    """

    def measure(groups: dict[str, list[Record]]) -> Reading:
        found = {stack: present(percent(groups[key], "test_accuracy")) for stack, key in keys.items()}
        high, *others = found.values()
        untrained = {stack: " (not trained)" for stack, values in found.items() if min(values) < LEARNS}
        ours = "; ".join(f"{stack}: {spread(v)} %{untrained.get(stack, '')}" for stack, v in found.items())
        held = not untrained and all(all(a > b for a, b in zip(high, low, strict=True)) for low in others)
        return Reading(held, ours, {stack: list(values) for stack, values in found.items()})

    return Claim(
        name=name,
        source=source,
        statement=statement,
        paper=paper,
        tolerance="true labels: a higher test accuracy in every seed, all at least twice chance; an order, n >= 2,000",
        conditions=tuple(keys.values()),
        measure=measure,
        least_n=IMAGES[NETWORKS[0]],
        least_seeds=3,
    )


def _name(step: str, word: str) -> str:
    return f"{step}, {word} labels"


def runs(setting: Setting) -> Specs:
    def of(word: str, parts: tuple[Part, ...], fields: dict[str, Any], times: int) -> list[Spec]:
        """Runs, with as many evaluations whatever the budget: one over masks takes as long as 20."""
        usual = specs(setting, NETWORK, word, *parts, times=times)
        return [s.replace(**fields, eval_every=times * s.eval_every) for s in usual]

    return {_name(step, word): of(word, *how) for word in WORDS for step, how in STEPS.items()}


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    told = f"{LONGER} times that from {_ALL!r} on"
    return stacks(setting, records, NETWORK, {step: {w: _name(step, w) for w in WORDS} for step in STEPS}, told)


# --- claims ---------------------------------------------------------------------------------------


def claims(setting: Setting) -> list[Claim]:
    needs: dict[str, Any] = {"least_n": IMAGES[NETWORK], "least_seeds": 3}

    def higher(statement: str, *steps: str) -> Claim:
        keys = {step: _name(step, "true") for step in steps}
        name = f"{steps[0]} over {steps[1]}"
        return better(name, "Srivastava et al. 2014, appendix A", statement, "it does", keys)

    def masks(groups: dict[str, list[Record]], whole: str) -> Reading:
        """Both train the same weights, until the first to have fitted them stops; the online loss tells."""
        pairs = zip(*(groups[_name(step, "true")] for step in (_of(whole, _MASKS), whole)), strict=True)
        rows = [last_shared(*pair) for pair in pairs]
        gaps = [100 * (averaged["test_accuracy"] - scaled["test_accuracy"]) for averaged, scaled in rows]
        alike = all(a["online_loss"] == b["online_loss"] for a, b in rows)
        learned = [100 * row["test_accuracy"] for pair in rows for row in pair]
        if min(learned) < LEARNS:
            return Reading(None, f"nothing is trained: {spread(learned)} %", {"points": list(gaps)})
        held = alike and all(abs(g) <= 1 for g in gaps)
        return Reading(held, spread(gaps, unit=" points"), {"points": list(gaps)})

    def memorizes(groups: dict[str, list[Record]], whole: str) -> Reading:
        learned = present(percent(groups[_name(whole, "true")], "train_accuracy"))
        if min(learned) < LEARNS:
            return Reading(None, f"nothing is trained, true labels: {spread(learned)} %", {})
        return fits(groups, _name(whole, "random"))

    def of(whole: str, advised: str) -> list[Claim]:
        return [
            higher(
                f"dropout {advised} generalizes better than none, plain or {advised}",
                *(whole, "no dropout", _of(whole, _WITHOUT)),
            ),
            higher(f"dropout {advised} generalizes better than plain dropout", whole, "dropout"),
            Claim(
                name=f"masks against scaling, {whole}",
                source="Srivastava et al. 2014, section 7.5",
                statement=f"averaging dropout {advised} over 20 masks predicts as well as one pass of all units",
                paper="from about 50 masks on the two agree within a standard deviation",
                tolerance="true labels, the last step that both evaluate on the same test images: test accuracy within "
                "1 point in every seed, the same online loss; not judged where one is below twice chance",
                conditions=tuple(_name(step, "true") for step in (_of(whole, _MASKS), whole)),
                measure=lambda groups: masks(groups, whole),
                **needs,
            ),
            Claim(
                name=f"memorizes, {whole}",
                source="zhang2017, section 3, extended",
                statement=f"dropout used {advised} still lets random labels be fitted",
                paper="regularization does not stop memorization",
                tolerance="99 % training accuracy within the budget, every seed; not judged where true labels are not "
                "fitted to twice chance",
                conditions=(_name(whole, "random"), _name(whole, "true")),
                measure=lambda groups: memorizes(groups, whole),
                **needs,
            ),
        ]

    return [*of(_ALL, "as advised"), *of(SLOW, "as advised at the usual learning rate")]
