"""Capacity measures: norms over the squared margin against the number of images: do they tell memorized from learned?

Neyshabur et al. 2017, "Exploring Generalization in Deep Learning", Figure 1: of networks that fit their training set,
norms of the weights over the squared margin are higher on random labels, and the gap grows with the number of images.
Beyond it: in how many matched pairs, of one seed, network, size and regularizer, and for the worst network.

    rethinking figure capacity_measures                 250 to 2,000 images, one seed: minutes
    rethinking figure capacity_measures --scale cpu     10,000 to all 50,000 images: hours of training
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from rethinking.figures import CHEAP, FULL, Setting, _probed
from rethinking.figures._parts import ALEXNET, UNSTATED
from rethinking.figures._parts import labels as corrupted
from rethinking.figures._probed import LABELS, NONE, RANDOM, REGULARIZED, REGULARIZERS, TRUE
from rethinking.figures.kit import (
    Bound,
    Claim,
    Conditions,
    Frame,
    Lines,
    Measure,
    Table,
    bounded,
    column,
    made,
    minus,
    ordered,
)
from rethinking.plotting import NAMES
from rethinking.record import Record
from rethinking.spec import ProbeSpec

CAPTION = "Norms of the weights over the squared margin against the number of training images, true and random labels."
THEIRS = (
    "Nothing of its own; Neyshabur et al. 2017: norms over the squared margin are higher on random labels than on "
    "true ones, the more so the more images."
)
MLPS = (
    "MLP 1x512 and MLP 3x512: three seeds each, in float32, on 10,000 and 20,000 images for at most 200 epochs, on all "
    "50,000 for the paper's 90; quick: one seed, in bfloat16 where the processor multiplies it, on 250, 1,000 and "
    "2,000 images for at most 100."
)
TO_THE_END = (
    f"MLP 1x512 on all 50,000 images does not get to {_probed.STOP_LOSS} nats within the paper's schedule. It is "
    "trained to the end of the schedule and drawn as it is then; no claim on networks at one loss is about it."
)
BEFORE = "those on 50,000 images, which end above 0.01 nats, counted"
MARGIN = (
    "The margin is the 5th percentile over the training set; the paper's plots, like these, leave out the factors of "
    "depth and width. A network without a positive margin has no number. At 0.01 nats some training examples are still "
    "wrong, which the 0.1th percentile is of."
)
DEPARTURES = [
    "The paper's networks are VGGs; ours are MLPs, and at one size AlexNet. What is compared is the shape, not "
    "numbers.",
    _probed.NOT_PROBED,
    _probed.AT_EQUAL_LOSS,
    MLPS,
    TO_THE_END,
    "AlexNet, one seed, is trained on all 50,000 images in bfloat16 autocast to the end of the paper's schedule, and "
    "compared as it is then, as a question that leaves the loss open; quick: on 500 images, until every training "
    f"example is right. {ALEXNET}",
    MARGIN,
    _probed.WITH_ONE,
    "Networks with regularizers, and those on as many images without, stop when every training example is right, or at "
    "the budget of figure regularizers, and are compared as they are then. With dropout random labels have twice the "
    "budget of true ones: they may end at a lower loss, with a larger margin, for that reason.",
    _probed.WEIGHTS,
    UNSTATED,
]
NORMS = {"l2": "l2", "l1_path": "l1-path", "l2_path": "l2-path", "spectral": "spectral"}
GRID_LABEL = "{network}, n = {images:,}, {regularizer}, {labels}"


def sizes(setting: Setting) -> tuple[int, ...]:
    return (250, 1000, 2000) if setting.scale == "quick" else (10_000, 20_000, FULL)


def grid(setting: Setting) -> Conditions:
    largest = [("alexnet", 500 if setting.scale == "quick" else FULL, NONE)]
    few = [(REGULARIZED, 500 if setting.scale == "quick" else 2000, one) for one in REGULARIZERS]
    each = [(m, n, NONE) for m in CHEAP for n in sizes(setting)] + largest + few
    rows = [{"network": m, "images": n, "regularizer": one} for m, n, one in each]
    return Conditions(GRID_LABEL, [row | {"labels": word} for row in rows for word in LABELS])


def spec(setting: Setting, seed: int, network: str, images: int, regularizer: str, labels: str) -> ProbeSpec:
    p = LABELS[labels]
    if network in CHEAP and images not in sizes(setting):
        run = _probed.regularized(setting, seed, p, regularizer)
    elif network not in CHEAP or (network != REGULARIZED and images == FULL):
        run = _probed.run(setting, seed, network, p)
    else:
        whole = replace(setting, scale="paper") if images == FULL else setting
        fields = _probed.to_equal_loss(images)
        run = whole.spec(seed, model=network, n=images, corruptions=corrupted(p), **fields)
    return _probed.probed(run, "capacity")


def at_one_loss(setting: Setting, network: str) -> list[int]:
    """The numbers of images on which a network's runs, without a regularizer, stop at STOP_LOSS."""
    return [n for n in sizes(setting) if network == REGULARIZED or n != FULL]


def over_margin(norm: str, percentile: str = "5") -> Measure:
    """The logarithm of a column of the probe over the squared margin, of one of its percentiles."""

    def of(record: Record) -> float | str:
        margin = record.final[f"margin_{percentile}"]
        return record.final[norm] - 2 * math.log10(margin) if margin > 0 else "no margin"

    return Measure(f"{norm}_{percentile}", "log10 of norm / margin²", of, needs=norm)


def more(norm: str, percentile: str = "5") -> Measure:
    """How much larger it is than on true labels."""
    return minus(
        over_margin(norm, percentile), f"{norm}_{percentile}_more", "more on random labels (log10)", labels=TRUE
    )


MORE = {norm: more(norm) for norm in NORMS}
OTHERS = {(norm, percentile): more(norm, percentile) for norm in NORMS for percentile in ("0_1", "10")}
BARE = {norm: minus(column(norm), f"{norm}_bare", "norm, more on random labels (log10)", labels=TRUE) for norm in NORMS}
MEASURES = [*MORE.values(), *OTHERS.values(), *BARE.values(), _probed.REACHED, _probed.AT_ONE]
ACCURACY, LOSS = column("train_accuracy", factor=100), column("train_loss", form="{:.4f}")
WITH_FACTORS = {
    f"{name}, with factors / margin² (log10)": over_margin(f"{norm}_factors") for norm, name in NORMS.items()
}
TABLE = Table(
    "run",
    {"training accuracy (%)": ACCURACY, "training loss (nats)": LOSS, "margin": column("margin_5", form="{:.3f}")}
    | {f"{name} / margin² (log10)": over_margin(norm) for norm, name in NORMS.items()}
    | WITH_FACTORS
    | {"spectral, of reshaped kernels / margin² (log10)": over_margin("spectral_kernel")},
)


def panels(setting: Setting) -> list[Lines]:
    of: dict[str, Any] = {"regularizer": NONE, "images": list(sizes(setting))}
    look: dict[str, Any] = {"x": "images", "hue": "labels", "log": True, "room": 0.03, "xlabel": "training images n"}
    return [
        Lines(
            title=f"{name}, {m}",
            y=over_margin(norm),
            only={"network": m, **of},
            legend="outside lower center" if m == CHEAP[0] and norm == "l2" else None,
            **look,
        )
        for m in CHEAP
        for norm, name in NORMS.items()
    ]


ACROSS, HEIGHT = 4, 4.6


def notes(setting: Setting) -> list[str]:
    """Of the one network that does not stop at the loss."""
    note = "training stops at 0.01 nats; mlp-1x512 on 50,000 images ends above it, and is not judged"
    return [] if setting.scale == "quick" else [note]


def finding(t: Frame, network: str) -> str:
    more = t.known(MORE["l2_path"], "images", network=REGULARIZED, regularizer=NONE, labels=RANDOM)
    most = max(more)
    return (
        f"On {most:,} images the l2-path norm of {NAMES[REGULARIZED]} over the squared margin is "
        f"{10 ** more[most]:.2g} times as large with random labels as with true ones"
    )


GROUP = "{network}, {regularizer}"
WITHOUT_MARGIN = "a pair without a positive margin counts as not larger"


def alike(t: Frame) -> bool:
    """Whether every percentile of the margin has the same sign of every difference."""
    part = t.where(labels=RANDOM)
    pairs = [zip(part.values(MORE[norm]), part.values(other), strict=True) for (norm, _), other in OTHERS.items()]
    return all(a * b > 0 for each in pairs for a, b in each)


def pair(more_of: Mapping[str, Any] = MappingProxyType({})) -> Frame:
    """Made up: a pair of runs of two networks each, whose differences are 1, but for some."""
    columns: dict[str, Any] = {measure.name: 1.0 for measure in MEASURES} | dict(more_of)
    return made(**{"labels": RANDOM, "network": ["a", "b"], "regularizer": NONE, **columns})


def shared(norm: str, larger: int, count: int) -> Frame:
    """Made up: pairs of one network, some of which have more."""
    columns: dict[str, Any] = {MORE[norm].name: [1.0] * larger + [0.0] * (count - larger), _probed.AT_ONE.name: 1.0}
    return made(**{"labels": RANDOM, "network": "a", "regularizer": NONE, **columns})


def told_signs(t: Frame) -> str:
    """In how many of the differences each percentile has the sign of the 5th, as text."""
    part = t.where(labels=RANDOM)
    same: dict[str, list[bool]] = {"0_1": [], "10": []}
    for (norm, percentile), other in OTHERS.items():
        both = zip(part.values(MORE[norm]), part.values(other), strict=True)
        same[percentile] += [a * b > 0 for a, b in both]
    words = {"0_1": "0.1th", "10": "10th"}
    each = (f"{sum(kept)} of {len(kept)} signs stay with the {words[key]}" for key, kept in same.items())
    return ", ".join(each)


def in_logs(t: Frame, measure: Measure, by: str, key: str) -> str:
    """A logarithm for every value of a coordinate, as text with its unit. key: as of `Frame.texts_by`."""
    return f"{t.texts_by(measure, by, key)}; in orders of magnitude (log10)"


def by_images(more: Measure, t: Frame) -> str:
    """What is more on random labels, by the number of images."""
    return in_logs(t.where(labels=RANDOM), more, "images", "n = {:,}: {}")


def matched(norm: str, t: Frame) -> tuple[Frame, dict[str, _probed.Pairs]]:
    """The frame, and its pairs."""
    return t, _probed.pairs_of(MORE[norm], GROUP, t)


def told_pairs(norm: str, found: tuple[Frame, dict[str, _probed.Pairs]]) -> str:
    """In how many pairs, how far the runs of the worst are fitted, and in how many the norm alone is larger."""
    t, pairs = found
    name, worst = _probed.worst(pairs)
    runs = t.groups(GROUP)[name]
    fitted = " and ".join(f"{runs.where(labels=word).spread(ACCURACY, ' %')} on {word}" for word in LABELS)
    alone = _probed.pairs_of(BARE[norm], GROUP, t).values()
    return (
        _probed.in_pairs(pairs)
        + f", whose training accuracy is {fitted}" * (worst.larger < worst.count)
        + f"; the norm without the margin in {sum(p.larger for p in alone)} of {sum(p.count for p in alone)}"
    )


def claims(setting: Setting) -> list[Claim]:
    neyshabur: dict[str, Any] = {"source": "Neyshabur et al. 2017, Figure 1", "least_n": 10_000, "least_seeds": 3}
    at: dict[str, Any] = {"at": {"labels": RANDOM}, "least_n": 10_000, "least_seeds": 3}
    equal: list[Claim] = []
    tells: list[Claim] = []
    for norm, name in NORMS.items():
        ours = partial(by_images, MORE[norm])
        part: dict[str, Any] = {"where": {"regularizer": NONE, "network": REGULARIZED, "images": list(sizes(setting))}}
        equal += [
            bounded(
                Bound(MORE[norm], above=0),
                fitted=False,
                id=f"capacity_measures.higher.{norm}.{m}",
                name=f"{name} is higher, {m}",
                statement=f"the {name} norm of {m} over the squared margin is higher on random labels",
                paper="higher for random labels, at every number of images",
                rule="in every pair of runs with the same seed and number of images, its logarithm is larger on random "
                f"labels than on true ones; {WITHOUT_MARGIN}; judged from n = 10,000 on"
                + f"; a rule made after the runs: before, {BEFORE}"
                * (m != REGULARIZED),
                where={"regularizer": NONE, "network": m, "images": at_one_loss(setting, m)},
                ours=ours,
                **at | neyshabur,
            )
            for m in CHEAP
        ]
        equal.append(
            ordered(
                MORE[norm],
                "images",
                [[n] for n in sizes(setting)],
                id=f"capacity_measures.grows.{norm}",
                name=f"the gap of {name} grows",
                statement=f"the gap of the {name} norm of {REGULARIZED} over the squared margin grows with the number "
                "of images",
                paper="the gap between random and true labels grows; clearest for l2 and l2-path",
                rule="on mlp-3x512 the difference of its logarithm, random minus true labels, rises from each number "
                "of images to the next, in the median over seeds, and every run has a positive margin; judged from "
                "n = 10,000 on",
                ours=ours,
                **part | at | neyshabur,
            )
        )
        tells.append(
            Claim(
                id=f"capacity_measures.tells.{norm}",
                name=f"{name} tells memorized from learned",
                source="the project's own question",
                statement=f"the {name} norm over the squared margin tells memorized from learned labels on every "
                "network and with every regularizer",
                paper="none",
                rule="for every network and regularizer, it is larger on random labels than on true ones in at least 9 "
                "of 10 pairs of runs with the same seed and number of images, whether they end at one loss or not; "
                f"{WITHOUT_MARGIN}; judged from n = 2,000 on",
                finds=partial(matched, norm),
                holds=lambda found: _probed.mostly_larger(found[1]),
                ours=partial(told_pairs, norm),
                numbers=lambda found: _probed.in_numbers(found[1]),
                least_n=2000,
                met=[pair(), pair({MORE[norm].name: 0.01}), shared(norm, 9, 10)],
                missed=[shared(norm, 8, 10), shared(norm, 2, 3), pair({MORE[norm].name: [1.0, "no margin"]})],
            )
        )
    equal.append(
        Claim(
            id="capacity_measures.percentile",
            name="any percentile of the margin",
            where={"network": REGULARIZED, "regularizer": NONE, "images": list(sizes(setting))},
            statement="the margin's percentile, from the 0.1th to the 10th, does not change which norms are higher",
            paper="any percentile from 0.1 to 10 gives the same picture",
            rule="on mlp-3x512, for all four norms, every difference between random and true labels has the same sign "
            "with the 0.1th and the 10th percentile as with the 5th, and all these margins are positive; judged from "
            "n = 10,000 on",
            holds=alike,
            ours=told_signs,
            numbers=lambda t: {f"{k}, {p}": t.where(labels=RANDOM).numbers(m) for (k, p), m in OTHERS.items()},
            met=[pair(), pair({m.name: -1.0 for m in MEASURES})],
            missed=[pair({m.name: value}) for m in OTHERS.values() for value in (-0.01, [1.0, "no margin"])],
            **neyshabur | {"source": "Neyshabur et al. 2017, section 2"},
        )
    )
    return [*map(_probed.at_equal_loss, equal), *tells]
