"""Every regularizer at rising strengths on identical networks: what regularizers, dose, frontier and budgets share.

A regularizer is tried on the first of NETWORKS that can carry it, at the STRENGTHS that its file names, and some on
AlexNet too. The baseline of a run has no regularizer, and the same images, initial weights, batch order and budget.
"""

from dataclasses import replace
from typing import Any, NamedTuple

from rethinking import catalog
from rethinking.constants import FAMILIES
from rethinking.errors import InputError
from rethinking.figures import CHEAP, FULL, Setting
from rethinking.figures._parts import UNSTATED
from rethinking.figures._parts import labels as corrupted
from rethinking.figures.kit import Conditions, Frame, Spans, Table, bits_memorized, final, minus, relative, steps_to_fit
from rethinking.figures.kit.panels import Limits
from rethinking.images import largest_cutout
from rethinking.spec import Part, RunSpec, check_parts

NETWORKS = ("mlp-3x512", "alexnet", "resnet-20")
PRECISE = "resnet-20 in float32"  # in bfloat16 the factor of local response normalization rounds to 1
FIELDS: dict[str, dict[str, Any]] = {PRECISE: {"model": "resnet-20", "precision": "float32"}}
IN_FLOAT32 = ("local_response_norm",)
WORDS = {"true": 0.0, "random": 1.0}  # labels, and their p
OTHER = "other"
# What stands together: the regularizer whose strength is swept, and all of them in order, the others as is typical.
STACKED = {
    "random_crop with horizontal_flip": ("random_crop", ("random_crop", "horizontal_flip")),
    "dropout with batch_norm": ("dropout", ("batch_norm", "dropout")),
}
# What is tried on AlexNet too, except at quick.
ON_ALEXNET: dict[str, tuple[float | bool, ...]] = {
    "weight_decay": (5e-4, 5e-3, 0.02),
    "dropout": (0.2, 0.5, 0.8),
    "batch_norm": (True,),
    "random_crop with horizontal_flip": (True,),
    "label_smoothing": (0.1, 0.5, 0.9),
}
IMAGES = {"mlp-3x512": 2000, "resnet-20": 2000, "alexnet": 1000, PRECISE: 2000}
QUICK_IMAGES = 500
# Steps of a run: 5 times what the unregularized network took to fit random labels, seed 0, at this n.
BUDGETS: dict[tuple[str, int], int] = {
    ("mlp-3x512", 500): 180,
    ("mlp-3x512", 1000): 400,
    ("mlp-3x512", 2000): 800,
    ("alexnet", 1000): 960,
    ("resnet-20", 2000): 1920,
}
CAVEAT = (
    "The budget of a run, with random or true labels, is 5 times the steps that the unregularized network takes to fit "
    "random labels (seed 0, rounded up to an evaluation); it stops earlier when every training example is right. At "
    "scale paper it has the paper's schedule, to its end. A run that is not fitted by then is censored: figure budgets "
    "shows that some are fitted later. A run with a regularizer that slows the fit trains longer than its baseline."
)
SIZE = (
    "cpu: mlp-3x512 (float32) and resnet-20 on 2,000 images, alexnet on 1,000 (bfloat16 autocast; with local response "
    "normalization, which rounds to none there, float32); resnet-20's batch norm has epsilon 1e-5. quick: mlp-3x512 "
    "on 500. paper: all 50,000 images, 90 epochs."
)
MLP_SIZE = "cpu: mlp-3x512 (float32) on 2,000 images. quick: on 500. paper: all 50,000 images, 90 epochs."


def departures(*own: str) -> list[str]:
    """Those of all figures of sweeps, with a figure's own."""
    return [
        "An extension: the paper has three regularizers at one strength each, on all 50,000 images. With one of them, "
        "weight decay, its AlexNet does not fit random labels (Table 4).",
        *own,
        "Rules on times to fit were made after the runs, as they say. An earlier rule called memorization stopped "
        "where random labels are not fitted within the budget; the six strengths of figure dose at which that cost no "
        "test accuracy were fitted within twice the budget.",
        CAVEAT,
        "Bits memorized: 1 - cross-entropy / log(10) of the training labels at the end, a share and a lower bound: "
        "label smoothing leaves a loss though every label is right.",
        "Training accuracy is of the images as they are, without augmentation or noise; zhang2017's Table 4 counts the "
        "augmented images, as they were trained on.",
        "Regularizers that fit an MLP are tried on mlp-3x512, at five strengths unless they are switches or sets. The "
        "others are tried on a network that they fit: stochastic depth (five strengths) and local response "
        "normalization (three) on resnet-20, the rest on alexnet, where some of the former are tried, too (three "
        "strengths, as runs cost more there). The first option of a regularizer is swept; the others are at their "
        "defaults, which `rethinking list regularizers NAME` gives. Plug-ins are swept at scale quick only.",
        SIZE,
        UNSTATED,
    ]


class Sweep(NamedTuple):
    """A regularizer, or several, on a network: its rising strengths, and the typical one."""

    regularizer: str
    network: str
    strengths: tuple[Any, ...]
    typical: Any


def sweeps(setting: Setting) -> list[Sweep]:
    """Every regularizer of the package, at quick of plug-ins too, on the network it is tried on at this scale."""
    found, quick = [], setting.scale == "quick"
    for name, entry in catalog.entries("regularizers").items():
        network = next((m for m in NETWORKS[: 1 if quick else None] if _carries(m, name)), None)
        typical = _typical(name)[1]
        if network is None or (entry.digest and not quick) or not _room(setting, name, typical):
            continue
        strengths = tuple(v for v in entry.constants.get("STRENGTHS", (typical,)) if _room(setting, name, v))
        if quick:
            strengths = tuple(v for v in strengths if v in (strengths[0], typical, strengths[-1]))
        found.append(Sweep(name, PRECISE if name in IN_FLOAT32 else network, strengths, typical))
    for name, strengths in () if quick else ON_ALEXNET.items():
        if not _room(setting, _swept(name), None):
            continue
        found.append(Sweep(name, "alexnet", strengths, _typical(_swept(name))[1]))
    order = (*FAMILIES, OTHER)
    return sorted(found, key=lambda s: (order.index(family_of(s.regularizer)), _swept(s.regularizer)))


def _room(setting: Setting, regularizer: str, strength: Any) -> bool:
    """Whether a random crop has anything to cut, and a cutout leaves anything; other regularizers do without."""
    if regularizer == "cutout":
        return strength <= largest_cutout(*setting.subject.size)
    return regularizer != "random_crop" or setting.subject.cropped


def _swept(regularizer: str) -> str:
    return STACKED[regularizer][0] if regularizer in STACKED else regularizer


def family_of(regularizer: str) -> str:
    """What it acts on, one of constants.FAMILIES, or OTHER; of none, none."""
    if regularizer == "none":
        return "none"
    return catalog.find("regularizers", _swept(regularizer)).constants.get("FAMILY", OTHER)


def _carries(network: str, regularizer: str) -> bool:
    """Whether the network can carry the regularizer."""
    try:
        check_parts((Part(name=regularizer),), (), network, catalog.find("models", network).constants["HAS"])
    except InputError:
        return False
    return True


def _typical(regularizer: str) -> tuple[str, Any]:
    """A regularizer's first option, and its typical value."""
    constants = catalog.find("regularizers", regularizer).constants
    option = next(iter(constants["OPTIONS"]))
    return option, constants["PRACTICE"][option]


def parts(regularizer: str, strength: Any) -> tuple[Part, ...]:
    """The regularizer with its first option so, the others at their defaults, and what it stands with."""
    if regularizer == "none":
        return ()
    swept, names = STACKED.get(regularizer, (regularizer, (regularizer,)))
    options = {name: _typical(name) for name in names}
    options[swept] = (options[swept][0], strength)
    return tuple(Part(name=name, options=dict([options[name]])) for name in names)


def typical(regularizer: str) -> tuple[Part, ...]:
    """The regularizer at its typical strength, and what it stands with."""
    return parts(regularizer, _typical(regularizer)[1])


BASELINE: dict[str, Any] = {"family": "none", "regularizer": "none", "strength": "(baseline)", "times": 1}
NAME = "{regularizer} {strength}, {network}"
LABEL = NAME + ", {labels} labels, {times} x the budget"


def condition(network: str, regularizer: str, strength: Any, times: int = 1) -> dict[str, Any]:
    """What is trained, but for its labels; times: of the usual budget."""
    one = {"network": network, "family": family_of(regularizer), "regularizer": regularizer}
    return one | {"strength": strength, "times": times}


def grid(setting: Setting, typical: bool = False) -> Conditions:
    """Every strength of every sweep, or the typical one, and the networks' baselines, on both kinds of labels."""
    chosen = sweeps(setting)
    networks = [m for m in (*NETWORKS, PRECISE) if m in {sweep.network for sweep in chosen}]
    rows = [condition(m, "none", BASELINE["strength"]) for m in networks]
    for s in chosen:
        rows += [condition(s.network, s.regularizer, v) for v in ((s.typical,) if typical else s.strengths)]
    return Conditions(LABEL, [row | {"labels": word} for word in WORDS for row in rows])


def seeds(setting: Setting, **condition: Any) -> range:
    """The setting's, for every network: these runs are short."""
    return range(setting.seeds)


def spec(setting: Setting, seed: int, network: str, regularizer: str, strength: Any, labels: str, **of: Any) -> RunSpec:
    """The run of a condition and a seed. of: family, which decides nothing, times, n."""
    stack = parts(regularizer, strength)
    return run(setting, seed, network, labels, *stack, times=of["times"], n=of.get("n"))


def images_of(setting: Setting, network: str) -> int:
    """How many images the network is trained on."""
    return setting.within({"quick": QUICK_IMAGES, "cpu": IMAGES[network], "paper": FULL}[setting.scale])


def steps_of(setting: Setting, model: str, n: int) -> int:
    """The budget of a reduced run: of other data the one that every figure has."""
    return BUDGETS[model, n] if setting.subject.papers else setting.reduced_steps(n)


def run(
    setting: Setting, seed: int, network: str, word: str, *stack: Part, n: int | None = None, times: int = 1
) -> RunSpec:
    """A network trained on WORDS' labels with a stack of regularizers. times: of the usual budget."""
    fields: dict[str, Any] = {"model": network, "corruptions": corrupted(WORDS[word]), "regularizers": stack}
    fields |= FIELDS.get(network, {})
    model = fields["model"]
    if setting.scale != "paper":
        n = n or images_of(setting, network)
        epoch = -(-n // 128)
        every = epoch if model in CHEAP else 4 * epoch  # an evaluation costs as much as an epoch of training
        fields |= {"n": n, "steps": times * steps_of(setting, model, n), "eval_every": every}
    elif times != 1:
        fields |= {"steps": times * setting.spec(0, **fields).steps}
    return setting.spec(seed, **fields)


# --- measures, and how they are shown -------------------------------------------------------------

BLOCKS = f"blocks, from above: {', '.join(FAMILIES)}"  # a note of panels with such blocks
RANDOM, TRUE = {"labels": "random"}, {"labels": "true"}
STEPS, SHARE, TEST = steps_to_fit(), bits_memorized(), final("test_accuracy")
RATIO = replace(relative(STEPS, **BASELINE), baseline_name="baseline")
CHANGE = replace(minus(TEST, "change", "change of test accuracy (points)", **BASELINE), baseline_name="baseline")
TICKS = (0.5, 1, 2, 5, 10, 20, 40)
LEAST: dict[str, Any] = {"least_n": min(IMAGES.values()), "least_seeds": 3}  # of a claim


def table(by: str = NAME) -> Table:
    """The numbers of a figure of sweeps, a row a name."""
    columns: dict[str, Any] = {
        "steps to 99 %, random labels": (STEPS, RANDOM),
        "relative to the baseline": (RATIO, RANDOM),
        "share of bits memorized": (SHARE, RANDOM),
        "training accuracy, true labels (%)": (final("train_accuracy"), TRUE),
        "test accuracy, true labels (%)": (TEST, TRUE),
        "change of test accuracy (points)": (CHANGE, TRUE),
    }
    return Table("run", columns, by=by)


def limits(setting: Setting, low: float, high: float) -> Limits:
    """Where an axis of times relative to the baseline ends; None where the budget does not tell, but the numbers do.

    That is on other data, and at scale paper, where a run may be longer than 5 times its baseline.
    """
    return (low, high) if setting.subject.papers and setting.scale != "paper" else (None, None)


def panels(setting: Setting, by: str, longest: float = 12, **more: Any) -> list[Spans]:
    """Time to fit and bits memorized of random labels, change of test accuracy on true ones, a row a regularizer."""
    random: dict[str, Any] = {"by": by, "only": RANDOM, "shown_as": "random labels", **more}
    true: dict[str, Any] = random | {"only": TRUE, "shown_as": "true labels", "named": False}
    time: dict[str, Any] = {"log": True, "xticks": TICKS, "xlim": limits(setting, 0.28, longest), "mark": 1, **random}
    return [
        Spans(x=RATIO, xlabel="random labels:\ntime to fit, log\n(baseline: 1)", **time),
        Spans(x=SHARE, xlabel="random labels:\nbits memorized\n(share)", xlim=(0, 1), **random | {"named": False}),
        Spans(x=CHANGE, xlabel="true labels:\ntest accuracy,\nchange (points)", mark=0, **true),
    ]


def acting(t: Frame) -> dict[str, Frame]:
    """The runs of every regularizer and strength by its name, without the baselines'."""
    return Frame(t.data[t.data["regularizer"] != "none"]).groups(NAME)


def budget(setting: Setting, *networks: str) -> str:
    """How long the runs on some images may take, for a figure's title. networks: all, where none is named."""
    if setting.scale == "paper":
        return "budget: the paper's schedule" if setting.subject.papers else "90 epochs at most"
    images = {m: images_of(setting, m) for m in networks or NETWORKS}
    if not setting.subject.papers:
        counts = sorted({setting.reduced_steps(n) for n in images.values()})
        return f"{' or '.join(f'{count:,}' for count in counts)} steps at most"
    steps = [f"{BUDGETS[m, n]:,} for {m}" for m, n in images.items() if (m, n) in BUDGETS]
    return f"steps at most {', '.join(steps)}: 5 times the baseline's on random labels"
