"""Deletion: training accuracy as units are switched off at random: are memorized labels easier to break?

Morcos et al. 2018, "On the importance of single directions for generalization": the more of the labels are corrupted,
the more a network relies on single units. Units (of AlexNet feature maps too) of all layers are clamped to zero, or to
their mean activation, in random order; the area under accuracy against the share deleted sums it up. Its authors say
that batch normalization discourages reliance on single units, and dropout up to a point. Gaussian noise on all units
at once asks the same, and deleting one unit alone whether those that answer to one class are the important ones.

    rethinking figure deletion                 networks on 2,000 and 500 images, one seed: minutes
    rethinking figure deletion --scale cpu     all 50,000 images: two core-hours of probing, hours of training
"""

import math
from itertools import pairwise
from typing import Any

from rethinking.claims import rounded
from rethinking.figures import CHEAP, Setting, _probed
from rethinking.figures._probed import AT_ONE_LOSS, LABELS, NETWORKS, NONE, RANDOM, REGULARIZERS, TRUE, regularized
from rethinking.figures.kit import (
    Bound,
    Claim,
    Conditions,
    Frame,
    Lines,
    Measure,
    Table,
    bounded,
    made,
    minus,
    over_rows,
)
from rethinking.figures.kit.measures import UNMEASURED
from rethinking.record import Record
from rethinking.spec import ProbeSpec

CAPTION = (
    "Training accuracy on 2,000 images (quick: 500) as units are deleted in random order, by labels and regularizer."
)
THEIRS = (
    "Nothing of its own; Morcos et al. 2018: the more labels are corrupted, the more a network relies on single units."
)
DEPARTURES = [
    "Measured on the first 2,000 training images, in 10 random orders (AlexNet: 3; quick: 500 images, 2 orders), at 16 "
    "shares; the paper has other networks, so that the shape is compared, not numbers.",
    "A deleted unit's activation is clamped; a public replication zeroes incoming weights and biases instead, which is "
    "the same for ReLUs without batch normalization. The order of effects was read in the paper's abstract, that of "
    "noise in a replication's files.",
    "Noise: deviations up to that of each unit's own activation, 3 draws (quick: 2). Units deleted one by one: on the "
    "first 1,000 images (quick: 100, of each layer 128 units at most), to zero.",
    "Intervals over images hold for the random orders and the noise that were drawn, and do not count how much others "
    "would change.",
    _probed.WITH_ONE,
    *_probed.DEPARTURES,
]
POINTS = 16
SHARES = tuple(k / POINTS for k in range(POINTS + 1))
READ_AT = {"share": SHARES}
MIXES = {TRUE: 0.0, **{f"{k} % corrupted": k / 100 for k in (20, 40, 60, 80)}, RANDOM: 1.0}
ALL, SOME = "all", "few"
NOISE, SINGLE = "noise", "single"  # in place of what units are clamped to: other probes
_ALL = [{"network": m, "labels": word} for m in (*NETWORKS, AT_ONE_LOSS) for word in (MIXES if m in CHEAP else LABELS)]
_ALL = [c | {"regularizer": NONE, "images": ALL, "to": "zero"} for c in _ALL]
_ORDER = [*(r for r in REGULARIZERS if r != NONE), NONE]  # drawn last, not under what hardly differs from it
_SOME = [{"network": _probed.REGULARIZED, "labels": word, "regularizer": r} for word in LABELS for r in _ORDER]
_DONE = {NOISE: "noise added", SINGLE: "deleted one by one"}


def label(network: str, images: str, labels: str, regularizer: str, to: str) -> str:
    return f"{network}, {images} images, {labels}, {regularizer}, {_DONE.get(to, f'clamped to {to}')}"


GRID = Conditions(
    label,
    [
        *_ALL,
        *(c | {"to": to} for to in (NOISE, SINGLE) for c in _ALL if c["labels"] in LABELS),
        *(c | {"to": "mean"} for c in _ALL if c["labels"] in LABELS),
        *(c | {"images": SOME, "to": "zero"} for c in _SOME),
    ],
)


def spec(setting: Setting, seed: int, network: str, labels: str, regularizer: str, images: str, to: str) -> ProbeSpec:
    p = MIXES[labels]
    run = _probed.run(setting, seed, network, p) if images == ALL else regularized(setting, seed, p, regularizer)
    quick = setting.scale == "quick"
    if to == SINGLE:
        return _probed.probed(run, "selectivity", **({"images": 100, "units": 128} if quick else {"images": 1000}))
    options = {"images": 500 if quick else 2000, "repeats": 2 if quick else 3 if network == "alexnet" else 10}
    if to == NOISE:
        return _probed.probed(run, "noise", points=POINTS, most=1.0, **options | {"repeats": 2 if quick else 3})
    return _probed.probed(run, "deletion", points=POINTS, to=to, **options)


def area(layer: int, x: str = "share") -> Measure:
    """The area under accuracy against the share deleted, of one layer's units or of all: the mean over the orders.

    x: "scale" for that against the scale of noise on all units.
    """

    def of(record: Record) -> float | str:
        rows = [row for row in record.rows if row.get("layer", 0) == layer and {x, "accuracy"} <= row.keys()]
        rows = [row for row in rows if math.isfinite(row[x])]
        places = sorted({row[x] for row in rows})
        means = [[row["accuracy"] for row in rows if row[x] == place] for place in places]
        heights = [sum(values) / len(values) for values in means]
        slices = zip(places, places[1:], heights, heights[1:], strict=False)
        return 100 * sum((b - a) * (low + high) / 2 for a, b, low, high in slices) if len(places) > 1 else UNMEASURED

    name = "noise_area" if x == "scale" else f"area_{layer}" if layer else "area"
    return Measure(name, "area under accuracy (%)", of)


def _correlation(record: Record) -> float:
    return max(record.curve["correlation"], key=abs)


ACCURACY = over_rows(
    "accuracy",
    lambda row: 100 * row["accuracy"],
    "training accuracy (%)",
    lambda share: {"layer": 0, "share": share},
    ("share",),
)
NOISY = over_rows(
    "noisy", lambda row: 100 * row["accuracy"], "training accuracy (%)", lambda share: {"scale": share}, ("share",)
)
AREA, NOISE_AREA = area(0), area(0, "scale")
CORRELATION = Measure(
    "correlation", "Spearman's correlation of selectivity and damage", _correlation, needs="correlation"
)
CHANGE = minus(AREA, "area_change", "change of the area (points)", regularizer=NONE)
MEASURES = [CHANGE, _probed.PROBED]
AT_ZERO: dict[str, Any] = {"share": 0.0}
TABLE = Table(
    "run",
    {f"accuracy, {share:.0%} deleted (%)": (ACCURACY, {"share": share}) for share in (0.0, 1 / 16, 1 / 4, 1 / 2)}
    | {"area, all layers (%)": (AREA, AT_ZERO), "area under noise (%)": (NOISE_AREA, AT_ZERO)}
    | {f"area, layer {k} (%)": (area(k), AT_ZERO) for k in (1, 2, 3, 4)}
    | {"selectivity and damage, correlation, the largest of a layer": (CORRELATION, AT_ZERO)},
)
_COMMON: dict[str, Any] = {"x": "share", "y": ACCURACY, "xlabel": "share of units deleted", "ylim": (0, 103)}
_MIXED: dict[str, Any] = {"hue": "labels", **_COMMON}
_WITH: dict[str, Any] = {"hue": "regularizer", "looks": REGULARIZERS, **_COMMON}


def _few(setting: Setting) -> str:
    return f"n = {500 if setting.scale == 'quick' else 2000:,}"


def panels(setting: Setting) -> list[Lines]:
    few = _few(setting)
    zero = [
        Lines(title=m, only={"network": m, "images": ALL, "to": "zero"}, legend=where, **_MIXED)
        for m, where in zip(NETWORKS, (None, "upper right", None), strict=True)
    ]
    mean = Lines(
        title="mlp-3x512,\nclamped to the mean", only={"network": "mlp-3x512", "to": "mean"}, legend=None, **_MIXED
    )
    some = [
        Lines(title=f"mlp-3x512, {few},\n{word}", only={"images": SOME, "labels": word}, legend=where, **_WITH)
        for word, where in zip(LABELS, ("outside lower center", None), strict=True)
    ]
    own: dict[str, Any] = {"xlabel": "deviation of noise / of the unit", "legend": None}
    noise = [
        Lines(title=f"{m}, noise", only={"network": m, "to": NOISE}, **_MIXED | own | {"y": NOISY}) for m in NETWORKS
    ]
    one: dict[str, Any] = {"network": AT_ONE_LOSS}
    at_one_loss = [
        Lines(title=f"{AT_ONE_LOSS},\nclamped to zero", only=one | {"to": "zero"}, **_MIXED | {"legend": None}),
        Lines(title=f"{AT_ONE_LOSS},\nclamped to the mean", only=one | {"to": "mean"}, **_MIXED | {"legend": None}),
        Lines(title=f"{AT_ONE_LOSS},\nnoise", only=one | {"to": NOISE}, **_MIXED | own | {"y": NOISY}),
    ]
    return [*zero, mean, *some, *noise, *at_one_loss]


def notes(setting: Setting) -> list[str]:
    count, orders, draws = (
        ("500", "2 random orders", 2) if setting.scale == "quick" else ("2,000", "10 random orders (alexnet: 3)", 3)
    )
    return [
        f"the first {count} training images, {orders}, {POINTS} shares; noise: {draws} draws",
        *_probed.notes(setting),
        f"legend at the foot: regularizers, in the panels with {_few(setting)}",
    ]


def finding(t: Frame, network: str) -> str:
    at = {"network": "mlp-3x512", "images": ALL, "regularizer": NONE, "to": "zero", "share": 1 / 4}
    learned, memorized = (rounded(t.one(ACCURACY, labels=word, **at), 0) for word in LABELS)
    trained = int(t.where(**at).data["n"].max())
    return (
        f"Without a quarter of its units MLP 3x512, trained on {trained:,} images, has {learned:.0f} % of its training "
        f"images right on true labels, {memorized:.0f} % on random ones"
    )


ACROSS, HEIGHT = 3, 9.4
WHOLE: dict[str, Any] = {"images": ALL, "regularizer": NONE, **AT_ZERO}
MORCOS: dict[str, Any] = {"source": "Morcos et al. 2018, abstract", "least_seeds": _probed.least_seeds}


def steps_of(t: Frame) -> list[tuple[str, str, bool | None]]:
    """From each share of corrupted labels to the next: both, and whether the area falls; None where ranges overlap."""
    by_word = {word: part.values(AREA) for word, part in t.groups("labels").items()}
    found: list[tuple[str, str, bool | None]] = []
    for less, more in pairwise(MIXES):
        pairs = [(a, b) for a in by_word[less] for b in by_word[more]]
        lower = True if all(b < a for a, b in pairs) else False if all(b > a for a, b in pairs) else None
        found.append((less, more, lower))
    return found


def falls(t: Frame) -> bool | None:
    """Whether the area falls at every step, all seeds above all of the next; not where it rises at one."""
    each = [step for *_, step in steps_of(t)]
    return False if False in each else None if None in each else True


def areas(t: Frame) -> str:
    undecided = [f"{less} and {more}" for less, more, step in steps_of(t) if step is None]
    told = f"; ranges overlap of {', of '.join(undecided)}" if undecided else ""
    return t.texts_by(AREA, "labels", "{}: {} %") + told


def by_mix(*last: float) -> Frame:
    """Made up: two seeds of each mix, the area falling by 2, the seeds 1 apart, but for those of the last mix."""
    values = [v for k in range(len(MIXES) - 1) for v in (50.0 - 2 * k, 51.0 - 2 * k)]
    return made(labels=[word for word in MIXES for _ in range(2)], area=[*values, *last])


CLAIMS = [
    *_probed.apart_at_one_loss_too(
        AREA,
        sign=-1,
        id="deletion.memorized.{network}.{to}",
        name="memorized labels break sooner, {network}, clamped to {to}",
        each={"network": NETWORKS, "to": ("zero", "mean")},
        where=WHOLE,
        statement="deleting units of {network}, clamped to {to}, breaks memorized labels sooner than learned ones",
        paper="reliance on single units predicts generalization, across shares of corrupted labels",
        rule="the area under training accuracy against the share of units deleted, over all layers: the highest over "
        "seeds on random labels is below the lowest on true ones; judged from n = 2,000 on",
        least_n=2000,
        **MORCOS,
    ),
    *_probed.apart_at_one_loss_too(
        NOISE_AREA,
        sign=-1,
        id="deletion.noise.{network}",
        name="memorized labels break under less noise, {network}",
        each={"network": NETWORKS},
        where=WHOLE | {"to": NOISE},
        statement="Gaussian noise on the activations of {network} breaks memorized labels sooner than learned ones",
        paper="networks that memorize are more sensitive to noise on their units",
        rule="the area under training accuracy against the deviation of the noise, up to that of each unit: the "
        "highest over seeds on random labels is below the lowest on true ones; judged from n = 2,000 on",
        least_n=2000,
        **MORCOS | {"source": "Morcos et al. 2018, from memory, and a replication's files"},
    ),
    bounded(
        Bound(CORRELATION, least=-0.5, most=0.5),
        fitted=False,
        id="deletion.selectivity.{network}",
        name="selectivity is a poor predictor, {network}",
        each={"network": NETWORKS},
        where=WHOLE | {"to": SINGLE, "labels": TRUE},
        statement="on true labels the class selectivity of a unit of {network} predicts poorly how much its deletion "
        "damages",
        paper="class selectivity is a poor predictor of a unit's importance",
        rule="over the units of a layer, Spearman's correlation of selectivity with the rise of the training loss when "
        "the unit alone is deleted is at most 0.5 in size, in every layer and seed; judged from n = 2,000 on",
        least_n=2000,
        **MORCOS,
    ),
    Claim(
        id="deletion.order.{network}",
        name="more corrupted, sooner broken, {network}",
        each={"network": CHEAP},
        where=WHOLE | {"to": "zero"},
        statement="the more of the labels are corrupted, the sooner deleting units breaks {network}",
        paper="reliance on single units predicts generalization, across shares of corrupted labels",
        rule="the area under training accuracy against the share of units deleted falls from each share of corrupted "
        "labels to the next: the highest over seeds is below the lowest of the share before; it does not hold where "
        "the lowest is above the highest of the share before, and is not judged where ranges over seeds overlap; "
        "judged from n = 2,000 on; a rule made after the runs: before, medians over seeds decided, however close",
        holds=falls,
        ours=areas,
        numbers=lambda t: t.numbers_by(AREA, "labels"),
        met=[by_mix(41.0, 41.9)],
        missed=[by_mix(43.1, 44.0)],
        unjudged=[by_mix(41.0, 42.0), by_mix(43.0, 44.0), by_mix(41.0, math.nan)],
        least_n=2000,
        **MORCOS,
    ),
    bounded(
        Bound(ACCURACY, least=95),
        fitted=False,
        id="deletion.spared.{network}",
        name="deleting some does not matter, {network}",
        each={"network": NETWORKS},
        where=WHOLE | {"to": "zero", "labels": TRUE, "share": 1 / 16},
        source="Yousan AI 2019, on neurons",
        statement="on true labels deleting one unit in sixteen of {network} does not matter",
        paper="some neurons matter, and deleting them does not matter",
        rule="training accuracy with 1 / 16 of all units deleted is at least 95 % in every seed; judged "
        "from n = 50,000 on",
        least_n=50_000,
        least_seeds=_probed.least_seeds,
    ),
    *(
        bounded(
            Bound(CHANGE, above=0),
            fitted=False,
            at={"regularizer": one, **AT_ZERO},
            id=f"deletion.{one}.{word.partition(' ')[0]}",
            name=f"{one} protects, {word}",
            where={"images": SOME, "labels": word, "regularizer": [NONE, one]},
            statement=f"{one} makes mlp-3x512 on {word} break later as units are deleted",
            paper="batch normalization discourages reliance on single units; dropout does, up to a point",
            rule=f"the area under training accuracy against the share of units deleted is larger than without {one}, "
            "in every seed; judged from n = 2,000 on",
            least_n=2000,
            **MORCOS | {"least_seeds": 3},
        )
        for one in ("dropout", "batch_norm")
        for word in LABELS
    ),
]
