"""Every regularizer of the folder, at rising strengths, on identical networks: what regularizers, dose, frontier share.

A regularizer is tried on the first of NETWORKS that can carry it, at the STRENGTHS that its file names, and some on
AlexNet too. Every run has a twin without: same images, initial weights, batch order and budget.
"""

from dataclasses import dataclass
from statistics import median
from typing import Any

from rethinking import catalog
from rethinking.claims import Records, Specs
from rethinking.constants import FAMILIES
from rethinking.errors import InputError
from rethinking.figures import CHEAP, FULL, Setting
from rethinking.figures._parts import (
    labels,
    percent,
    present,
    times_to_fit,
)
from rethinking.figures.kit import Claim, Spans, Table, always_higher, final, highest, steps_to_fit
from rethinking.figures.kit.panels import size_note
from rethinking.record import Record
from rethinking.spec import Part, check_parts

NETWORKS = ("mlp-3x512", "alexnet", "resnet-20")
QUICK = ("mlp-3x512",)
WORDS = {"true": 0.0, "random": 1.0}  # labels, and their p

OTHER = "other"
WITH = " with "

# Those of the first network tried on AlexNet too, except at quick; "a with b": b at practice's strength beside a.
ON_ALEXNET: dict[str, tuple[float | bool, ...]] = {
    "weight_decay": (5e-4, 5e-3, 0.02),
    "dropout": (0.2, 0.5, 0.8),
    "batch_norm": (True,),
    "random_crop with horizontal_flip": (True,),
    "label_smoothing": (0.1, 0.5, 0.9),
}

# Tried in float32, and so its twins: in bfloat16 the factor of practice's strength rounds to 1.
PRECISE = " (float32)"
IN_FLOAT32 = ("local_response_norm",)

IMAGES = {"mlp-3x512": 2000, "resnet-20": 2000, "alexnet": 1000}
QUICK_IMAGES = 500
# Steps of a run: 5 times what the unregularized network took to fit random labels, seed 0, at this n.
BUDGETS: dict[tuple[str, int], int] = {
    ("mlp-3x512", 500): 180,
    ("mlp-3x512", 1000): 400,
    ("mlp-3x512", 2000): 800,
    ("alexnet", 1000): 960,
    ("resnet-20", 2000): 1920,
}
TWICE = "twice the budget"
# Not fitted within the budget, at no cost of test accuracy: on random labels tried at twice the budget too.
CORNER: dict[tuple[str, str], tuple[float, ...]] = {
    ("dropout", "mlp-3x512"): (0.5,),
    ("rotation", "mlp-3x512"): (45.0,),
    ("dropout", "alexnet"): (0.5,),
    ("stochastic_depth", "resnet-20"): (0.7, 0.9, 1.0),
}
EXTENSION = (
    "An extension: the paper has three regularizers at one strength each, on all 50,000 images. With one of them, "
    "weight decay, its AlexNet does not fit random labels (Table 4)."
)
CAVEAT = (
    "A run has 5 times the steps that the unregularized network takes to fit random labels (seed 0, rounded up to an "
    "evaluation), true labels the same, and stops when every training example is right, so that what slows "
    "fitting trains longer than its twin; at scale paper it has the paper's schedule, to its end. With more steps, or "
    "other n, thresholds move: at cpu, what seems to stop memorization for free is tried at twice the budget."
)
LEARNS = 20.0  # % of true labels, twice chance: what is below is not trained at all
RANDOM_LABEL = "random labels: highest\ntraining accuracy (%)\ndotted: 99 %, fitted"
CLEAN = (
    "Training accuracy is of the images as they are, without augmentation or noise; zhang2017's Table 4 counts the "
    "augmented images, as they were trained on."
)
TRIED = (
    "What mlp-3x512 can carry is tried on it, but for switches and sets at five strengths; the rest on a network that "
    "can: stochastic depth (five strengths) and local response normalization (three) on resnet-20, the others, and "
    "some of the first, on alexnet (three, being costly there). Of a regularizer the first option is swept; the others "
    "are at their defaults, which `rethinking list regularizers NAME` tells."
)
SIZE = (
    "cpu: mlp-3x512 (float32) and resnet-20 on 2,000 images, alexnet on 1,000 (bfloat16 autocast; with local response "
    "normalization, which rounds to none there, float32); resnet-20's batch norm has epsilon 1e-5. quick: mlp-3x512 "
    "on 500. paper: all 50,000 images, 90 epochs."
)


@dataclass(frozen=True)
class Sweep:
    """A regularizer, or one with another, on a network: its values of rising strength, and the one of practice."""

    regularizer: str
    network: str
    values: tuple[Any, ...]
    practice: Any

    @property
    def name(self) -> str:
        """What it is called in figures."""
        return self.regularizer if self.network == NETWORKS[0] else f"{self.regularizer}, {self.network}"

    @property
    def family(self) -> str:
        """What it acts on, one of constants.FAMILIES, or OTHER."""
        return catalog.find("regularizers", self.first).constants.get("FAMILY", OTHER)

    @property
    def first(self) -> str:
        """The regularizer that is swept, without what it goes with."""
        return self.regularizer.split(WITH)[0]

    def condition(self, value: Any, word: str) -> str:
        """The key of its runs with that value, on `word` labels."""
        return f"{self.network}, {self.regularizer} {say(value)}, {word} labels"

    @property
    def corner(self) -> tuple[float, ...]:
        """Those of its values that are in CORNER."""
        return CORNER.get((self.regularizer, self.network), ())

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all its runs and of their twins."""
        return tuple(c for w in WORDS for c in (self.twin(w), *(self.condition(v, w) for v in self.values)))

    def longer(self, value: Any) -> str:
        """The key of its runs with that value on random labels at twice the budget."""
        return again(self.condition(value, "random"), TWICE)

    def twin(self, word: str) -> str:
        """The key of the runs without it."""
        return without(self.network, word)


def without(network: str, word: str) -> str:
    """The key of a network's runs without a regularizer, on `word` labels."""
    return f"{network}, none, {word} labels"


def say(value: Any) -> str:
    """A strength in words: "0.5", "on", "signs"."""
    return "on" if value is True else value if isinstance(value, str) else f"{value:g}"


def sweeps(setting: Setting) -> list[Sweep]:
    """Every regularizer in the folder, on the network it is tried on at this scale."""
    found = []
    for name in catalog.entries("regularizers"):
        networks = QUICK if setting.scale == "quick" else NETWORKS
        network = next((m for m in networks if _carries(m, name)), None)
        practice = _practice(name)[1]
        values = tuple(catalog.find("regularizers", name).constants.get("STRENGTHS", (practice,)))
        if setting.scale == "quick":
            values = tuple(v for v in values if v in (values[0], practice, values[-1]))
        if network:
            network += PRECISE if name in IN_FLOAT32 else ""
            found.append(Sweep(name, network, values, practice))
    if setting.scale != "quick":
        for name, values in ON_ALEXNET.items():
            found.append(Sweep(name, "alexnet", values, _practice(name.split(WITH)[0])[1]))
    order = (*FAMILIES, OTHER)
    return sorted(found, key=lambda s: (order.index(s.family), s.first))


def _carries(network: str, regularizer: str) -> bool:
    """Whether the network can carry the regularizer."""
    try:
        check_parts((Part(name=regularizer),), (), network, catalog.find("models", network).constants["HAS"])
    except InputError:
        return False
    return True


def _practice(regularizer: str) -> tuple[str, Any]:
    """A regularizer's first option, and its value in practice."""
    constants = catalog.find("regularizers", regularizer).constants
    option = next(iter(constants["OPTIONS"]))
    return option, constants["PRACTICE"][option]


def parts(regularizer: str, value: Any) -> tuple[Part, ...]:
    """The regularizer with its first option so, the others at their defaults, and what it goes with."""
    first, *others = regularizer.split(WITH)
    beside = (Part(name=name, options=dict([_practice(name)])) for name in others)
    return (Part(name=first, options={_practice(first)[0]: value}), *beside)


def specs(setting: Setting, network: str, word: str, *stack: Part, n: int | None = None, times: int = 1) -> list[Any]:
    """A condition's runs, one per seed. network: one of NETWORKS, PRECISE or not. times: of the usual budget."""
    model = network.removesuffix(PRECISE)
    fields: dict[str, Any] = {"model": model, "corruptions": labels(WORDS[word]), "regularizers": stack}
    if model != network:
        fields |= {"precision": "float32"}
    if setting.scale != "paper":
        n = n or (QUICK_IMAGES if setting.scale == "quick" else IMAGES[model])
        epoch = -(-n // 128)
        every = epoch if model in CHEAP else 4 * epoch  # an evaluation costs as much as an epoch of training
        fields |= {"n": n, "steps": times * BUDGETS[model, n], "eval_every": every}
    elif times != 1:
        fields |= {"steps": times * setting.spec(0, **fields).steps}
    return [setting.spec(seed, **fields) for seed in range(setting.seeds)]


def runs_of(setting: Setting, chosen: list[tuple[Sweep, tuple[Any, ...]]]) -> Specs:
    """The runs of some sweeps, each at some values, and their twins without; at cpu, those of CORNER longer too."""
    wanted: Specs = {}
    for word in WORDS:
        for sweep, values in chosen:
            wanted[sweep.twin(word)] = specs(setting, sweep.network, word)
            for value in values:
                wanted[sweep.condition(value, word)] = specs(
                    setting, sweep.network, word, *parts(sweep.regularizer, value)
                )
    for sweep, values in chosen if setting.scale == "cpu" else []:
        for value in (v for v in values if v in sweep.corner):
            stack = parts(sweep.regularizer, value)
            wanted[sweep.longer(value)] = specs(setting, sweep.network, "random", *stack, times=2)
    return wanted


def again(condition: str, told: str) -> str:
    """The key of a condition's runs in a repeat."""
    return f"{condition}, {told}"


def paper_says(sweep: Sweep) -> str:
    """What [zhang2017] says of random labels with such a regularizer."""
    if (sweep.regularizer, sweep.network) == ("weight_decay", "alexnet"):
        return "Table 4: with weight decay AlexNet fails to converge"
    return "regularization does not stop memorization"


def memorized(records: list[Record] | list[Record | None]) -> bool | None:
    """Whether random labels were fitted, to 99 %, in most seeds; None where a run is missing."""
    there = [r for r in records if r]
    fitted = sum(r.steps_to_fit() is not None for r in there)
    return None if len(there) < len(records) else 2 * fitted > len(there)


def fate_later(records: Records | dict[str, list[Record]], sweep: Sweep, value: Any) -> str:
    """What came of a value at twice the budget: " (fitted with twice the budget)"; nothing where it was not tried."""
    key = sweep.longer(value)
    fate = memorized(records[key]) if key in records else None
    return "" if fate is None else f" ({'fitted' if fate else 'not fitted'} with {TWICE})"


def idle(records: dict[str, list[Record]], sweep: Sweep, word: str) -> bool:
    """Whether the regularizer at practice's strength never acted: every curve is the twin's, to the last bit."""
    pairs = zip(records[sweep.condition(sweep.practice, word)], records[sweep.twin(word)], strict=True)
    return all(a.difference(b) is None for a, b in pairs)


def threshold(records: Records | dict[str, list[Record]], sweep: Sweep) -> Any | None:
    """The weakest value swept at which random labels are no longer fitted; None where there is none, or not all ran."""
    fates = [memorized(records[sweep.condition(v, "random")]) for v in sweep.values]
    if None in fates:
        return None
    return next((v for v, fate in zip(sweep.values, fates, strict=True) if not fate), None)


def diverged(records: Records | dict[str, list[Record]], sweep: Sweep, value: Any) -> bool:
    """Whether most runs on random labels or any on true ones diverged: not fitting is then no regularization."""
    random, true = (
        [r.result["status"] == "diverged" for r in records[sweep.condition(value, w)] if r] for w in ("random", "true")
    )
    return 2 * sum(random) > len(random) or any(true)


def accuracy(records: Records | dict[str, list[Record]], condition: str, column: str) -> float | None:
    """The median over seeds of a last accuracy, in %."""
    values = present(percent(records[condition], column))
    return median(values) if values else None


def paired(records: Records | dict[str, list[Record]], sweep: Sweep, value: Any, word: str, column: str) -> list[float]:
    """What the regularizer changes, in points, seed by seed, where both runs are there."""
    return present(changes(records, sweep, value, word, column))


def changes(
    records: Records | dict[str, list[Record]], sweep: Sweep, value: Any, word: str, column: str
) -> list[float | None]:
    """The same with None for a seed of which a run is missing."""
    return differences(records, sweep.condition(value, word), sweep.twin(word), column)


def differences(
    records: Records | dict[str, list[Record]], condition: str, other: str, column: str
) -> list[float | None]:
    """The last values of one condition minus those of another, in points, seed by seed; None where a run is missing."""
    ours, theirs = (percent(records[c], column) for c in (condition, other))
    return [None if a is None or b is None else a - b for a, b in zip(ours, theirs, strict=True)]


def tried_longer(sweep: Sweep, wanted: Specs) -> tuple[str, ...]:
    """The keys at twice the budget that are among those wanted."""
    return tuple(key for key in map(sweep.longer, sweep.corner) if key in wanted)


def row(records: Records, name: str, n: int, conditions: dict[str, str]) -> dict[str, Any]:
    """A row of a table: what the runs on random and on true labels gave. conditions: their keys by word."""
    random, true = records[conditions["random"]], records[conditions["true"]]
    return {
        "run": name,
        "n": [n],
        "steps to 99 %, random labels": times_to_fit(random),
        "training accuracy, random labels (%)": percent(random, "train_accuracy"),
        "training accuracy, true labels (%)": percent(true, "train_accuracy"),
        "test accuracy, true labels (%)": percent(true, "test_accuracy"),
    }


def stack_table(by: str) -> Table:
    """The columns of `row`, for a figure whose conditions are stacks of regularizers and WORDS. by: the coordinate."""
    steps, train, test = steps_to_fit(), final("train_accuracy"), final("test_accuracy")
    random, true = {"labels": "random"}, {"labels": "true"}
    columns: dict[str, Any] = {
        "steps to 99 %, random labels": (steps, random),
        "training accuracy, random labels (%)": (train, random),
        "training accuracy, true labels (%)": (train, true),
        "test accuracy, true labels (%)": (test, true),
    }
    return Table("run", columns, by=by)


def stack_panels(by: str) -> list[Spans]:
    """What stacks of regularizers, one a row, do to random and to true labels. by: the coordinate."""
    random: dict[str, Any] = {"only": {"labels": "random"}, "shown_as": "random labels"}
    true: dict[str, Any] = {"only": {"labels": "true"}, "shown_as": "true labels", "named": False}
    return [
        Spans(x=highest(), by=by, xlabel=RANDOM_LABEL, xlim=(0, 102), mark=99, **random),
        Spans(x=final("test_accuracy"), by=by, xlabel="true labels:\ntest accuracy (%)", **true),
    ]


def better(by: str, *order: str, **texts: Any) -> Claim:
    """The claim that of stacks on the first network the first always reaches the highest test accuracy on true labels.

    Args:
        by: the coordinate of stacks. texts: of the claim.
    """
    return always_higher(
        by,
        order,
        final("test_accuracy"),
        " %",
        LEARNS,
        where={"labels": "true"},
        rule="true labels: a higher test accuracy in every seed, all at least twice chance; an order, n >= 2,000",
        least_n=IMAGES[NETWORKS[0]],
        least_seeds=3,
        **texts,
    )


def partly(records: Records, *conditions: str) -> str:
    """What a row's label says where some of its runs are there and others not: " (1 of 3 seeds)"."""
    groups = [records[c] for c in conditions]
    whole = [all(seeds) for seeds in zip(*groups, strict=True)]
    return f" ({sum(whole)} of {len(whole)} seeds)" if any(map(any, groups)) and not all(whole) else ""


def budget(setting: Setting, *networks: str) -> str:
    """How long the runs on some images may take, for a figure's title. networks: all, where none is named."""
    if setting.scale == "paper":
        return "budget: the paper's schedule"
    images = {m: QUICK_IMAGES if setting.scale == "quick" else IMAGES[m] for m in networks or NETWORKS}
    steps = [f"{BUDGETS[m, n]:,} for {m}" for m, n in images.items() if (m, n) in BUDGETS]
    return f"steps at most {', '.join(steps)}: 5 times what random labels take without"


def size(setting: Setting, *networks: str) -> str:
    """On how many images, for a figure's title. networks: all, where none is named."""
    if setting.scale == "paper":
        return size_note(FULL)
    if setting.scale == "quick":
        return size_note(QUICK_IMAGES)
    if len(networks) == 1:
        return size_note(IMAGES[networks[0]])
    return f"REDUCED: {', '.join(f'{IMAGES[m]:,} ({m})' for m in networks or NETWORKS)} of {FULL:,} images"
