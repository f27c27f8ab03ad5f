"""Sharpness: does it tell memorized from learned labels, alone or beside a norm of the weights?

Neyshabur et al. 2017, "Exploring Generalization in Deep Learning", Figure 2: the largest rise of the training loss in a
small box about the weights. Alone it fails, as on small sets random labels are less sharp; beside a norm it separates.
So does the expected sharpness, under Gaussian moves, beside their divergence from the prior: a PAC-Bayes bound.

    rethinking figure sharpness                 250 to 2,000 images, one seed: minutes
    rethinking figure sharpness --scale cpu     10,000 to all 50,000 images, the runs of capacity_measures
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from rethinking.figures import CHEAP, Setting, _probed
from rethinking.figures._parts import UNSTATED
from rethinking.figures._probed import LABELS, NONE, RANDOM, REGULARIZED, TRUE
from rethinking.figures.capacity_measures import BEFORE, MARGIN, MLPS, TO_THE_END, at_one_loss, over_margin, sizes
from rethinking.figures.capacity_measures import spec as capacity
from rethinking.figures.kit import Claim, Frame, Grid, Lines, Measure, NamedPoints, Table, Together, listed, made
from rethinking.figures.kit.measures import UNMEASURED
from rethinking.plotting import NAMES
from rethinking.record import Record
from rethinking.spec import ProbeSpec

CAPTION = "Sharpness against the number of training images, and against the l2-path norm over the squared margin."
THEIRS = (
    "Nothing of its own; Neyshabur et al. 2017: sharpness alone does not tell random labels from true ones, beside a "
    "norm it does."
)
DEPARTURES = [
    "Sharpness is a lower bound, found by projected gradient ascent from 3 starts of 20 steps (quick: 1 of 10) on the "
    "first 2,000 training images. Of two networks of figure confusion_set 60 steps found 0.4 and 4.1 % more than 20.",
    "Expected sharpness is a mean over 10 draws (quick: 3) on the first 1,000 training images (quick: 500), at the "
    "paper's alpha of 5e-4 and at a sigma found by bisection, as later work takes it; the paper draws several alphas.",
    "The paper's networks are VGGs; ours are MLPs. What is compared is the shape, not numbers.",
    _probed.AT_EQUAL_LOSS,
    MLPS,
    TO_THE_END,
    MARGIN,
    _probed.WEIGHTS,
    UNSTATED,
]
CAPACITY, SHARPNESS, PAC_BAYES = "capacity", "sharpness", "pac_bayes"


def grid(setting: Setting) -> Grid:
    of: dict[str, Any] = {"network": CHEAP, "images": sizes(setting), "labels": list(LABELS)}
    return Grid("{network}, n = {images:,}, {labels}, {probe}", probe=(CAPACITY, SHARPNESS, PAC_BAYES), **of)


def spec(setting: Setting, seed: int, probe: str, network: str, images: int, labels: str) -> ProbeSpec:
    norms = capacity(setting, seed, network, images, NONE, labels)
    if probe == CAPACITY:
        return norms
    few = {SHARPNESS: {"steps": 10, "restarts": 1}, PAC_BAYES: {"draws": 3, "depth": 8, "images": 500}}
    usual = {"images": 1000} if probe == PAC_BAYES else {}
    return _probed.probed(norms.run, probe, **(few[probe] if setting.scale == "quick" else usual))


def read(records: Sequence[Record]) -> float | str:
    """Of the probes' records of a run."""
    return next((record.final[SHARPNESS] for record in records if SHARPNESS in record.curve), UNMEASURED)


def bound(name: str, searched: bool, label: str) -> Measure:
    """A column of the bound's record, by the paper's rule or with the sigma searched for.

    The divergence as log10, expected sharpness in 1e-4 nats.
    """

    def of(records: Sequence[Record]) -> float | str:
        rows = [row for r in records if "kl" in r.curve for row in r.rows if row["searched"] == searched]
        found = rows[0][name] if rows else UNMEASURED
        if isinstance(found, str):
            return found
        return 1e4 * found if name == "expected" else math.log10(found) if name == "kl" and found > 0 else found

    return Together(f"{name}_{int(searched)}", label, of, over="probe")


RISE = bound("expected", False, "expected sharpness (1e-4 nats)")
KL, KL_SEARCHED = (bound("kl", searched, "log10 of KL (nats)") for searched in (False, True))
SIGMA = bound("size", True, "sigma")
SHARP, NORM = Together("sharp", "sharpness (nats)", read, over="probe"), over_margin("l2_path")
MEASURES = [_probed.REACHED]
ONCE: dict[str, Any] = {"probe": CAPACITY}
TABLE = Table(
    "run",
    {"sharpness (nats)": SHARP, "l2-path / margin² (log10)": NORM, "expected sharpness (1e-4 nats)": RISE}
    | {"log10 of KL": KL, "sigma, by bisection": SIGMA, "log10 of KL at that sigma": KL_SEARCHED},
    only=ONCE,
    by="{network}, n = {images:,}, {labels}",
)
PER_MARGIN = "log10 of l2-path norm / margin²"
PANELS = [
    *(
        Lines(
            x="images",
            y=SHARP,
            hue="labels",
            log=True,
            title=m,
            only={"network": m, **ONCE},
            legend=where,
            ylim=(0, None),
            xlabel="training images n",
        )
        for m, where in zip(CHEAP, ("outside lower center", None), strict=True)
    ),
    *(
        NamedPoints(
            x=x, y=y, by="labels", named=False, title=m, only={"network": m, **ONCE}, ylim=(0, None), xlabel=label
        )
        for x, y, label in ((NORM, SHARP, PER_MARGIN), (KL, RISE, KL.label))
        for m in CHEAP
    ),
]


def notes(setting: Setting) -> list[str]:
    ascents = "one ascent of 10 steps" if setting.scale == "quick" else "three ascents of 20 steps"
    return [f"{ascents} on the first 2,000 training images at most"]


ACROSS, HEIGHT = 2, 6.6


def finding(t: Frame, network: str) -> str | None:
    true, random = (t.known(SHARP, "images", network=REGULARIZED, labels=word, **ONCE) for word in (TRUE, RANDOM))
    told = [f"{true[n]:.2g} and {random[n]:.2g} on {n:,} images" for n in true if n in random]
    what = f"The sharpness of {NAMES[REGULARIZED]}, in nats, with true and with random labels"
    return f"{what}: {listed(told)}" if told else None


def points(t: Frame, labels: str, x: Measure, y: Measure) -> list[tuple[float, float]]:
    """Two measures of every run on these labels, as norm and sharpness."""
    part = t.where(labels=labels, **ONCE)
    return list(zip(part.values(x), part.values(y), strict=True))


def separable(t: Frame, x: Measure = NORM, y: Measure = SHARP) -> bool:
    """Whether a straight line parts random labels from true ones: all differences lie in an open half-plane."""
    pairs = [(a - c, b - d) for a, b in points(t, RANDOM, x, y) for c, d in points(t, TRUE, x, y)]
    angles = sorted(math.atan2(y, x) for x, y in pairs)
    gaps = [b - a for a, b in pairwise([*angles, angles[0] + 2 * math.pi])]
    numbers = all(math.isfinite(v) for pair in pairs for v in pair) and (0.0, 0.0) not in pairs
    return numbers and max(gaps) > math.pi + 1e-9


def alone(t: Frame, measure: Measure) -> bool:
    """Whether all runs on random labels are on one side of all on true ones, by one measure."""
    random, true = (t.where(labels=word, **ONCE).values(measure) for word in (RANDOM, TRUE))
    return max(true) < min(random) or max(random) < min(true)


def together(t: Frame, x: Measure = NORM, y: Measure = SHARP) -> bool:
    """Whether a straight line parts them, and neither measure does alone."""
    return separable(t, x, y) and not alone(t, x) and not alone(t, y)


def parted(t: Frame, x: Measure, y: Measure, names: tuple[str, str]) -> str:
    """What separates them, and the second measure, as text."""
    by = [name for name, measure in zip(names, (x, y), strict=True) if alone(t, measure)]
    line = f"{listed(by)} alone" if by else "neither alone"
    both = "a line" if separable(t, x, y) else "no line"
    return f"{both} separates them, {line}; {names[1]} {_probed.words(t.where(**ONCE), y)}"


def plane(*random: tuple[float, float], x: Measure = NORM, y: Measure = SHARP) -> Frame:
    """Made up: norm and sharpness of runs on true labels, at (0, 0) and (1, 1), and of those on random ones."""
    norms, sharp = zip((0.0, 0.0), (1.0, 1.0), *random, strict=True)
    columns: dict[str, Any] = {"labels": [TRUE] * 2 + [RANDOM] * len(random), "probe": CAPACITY}
    columns |= {x.name: list(norms), y.name: list(sharp)}
    return made(**columns)


BOTH = [plane((0.0, 0.1), (1.0, 1.1)), plane((0.1, 0.0))]  # examples: of the norm and sharpness
BY_ONE = [plane((0.0, 1.1), (1.0, 2.0)), plane((1.1, 0.0), (2.0, 1.0))]


def claims(setting: Setting) -> list[Claim]:
    first = sizes(setting)[0]
    paper: dict[str, Any] = {"source": "Neyshabur et al. 2017, Figure 2", "least_n": 10_000}
    found = [
        _probed.apart(
            SHARP,
            sign=-1,
            id="sharpness.alone.{network}",
            name="less sharp on few images, {network}",
            each={"network": CHEAP},
            where={"images": first},
            statement="on few images {network} is less sharp on random labels than on true ones",
            paper="on small sets networks on random labels are less sharp, so that sharpness alone does not tell them",
            rule="on the fewest images the highest sharpness over seeds on random labels is below the lowest on true "
            "ones; judged at n = 10,000",
            ours=lambda t: _probed.words(t.where(**ONCE), SHARP),
            numbers=lambda t: t.where(**ONCE).numbers_by(SHARP, "labels"),
            **paper,
        )
    ]
    for m in CHEAP:
        whose: dict[str, Any] = {"where": {"network": m, "images": at_one_loss(setting, m)}}
        whose |= paper | {"least_seeds": _probed.least_seeds(m)}
        later = "a rule made after the runs: before, one of the two could meet it by itself"
        later += f", and {BEFORE}" * (m != REGULARIZED)
        found += [
            Claim(
                id=f"sharpness.beside_norm.{m}",
                name=f"beside a norm it separates, {m}",
                statement=f"sharpness together with the l2-path norm of {m} separates random labels from true ones, "
                "and neither does alone",
                paper="sharpness against a norm separates them",
                rule="in the plane of sharpness and the logarithm of the l2-path norm over the squared margin, a "
                "straight line separates all runs on random labels from all on true ones, whatever their seed and "
                "number of images, and no line along an axis does; every run has both numbers; judged from n = 10,000 "
                f"on; {later}",
                holds=together,
                ours=lambda t: parted(t, NORM, SHARP, ("the norm", "sharpness")),
                numbers=lambda t: t.where(**ONCE).numbers_by(SHARP, "labels"),
                met=BOTH,
                missed=[
                    *BY_ONE,
                    plane((0.0, 0.1), (1.1, 1.0)),
                    plane((0.5, 0.5)),
                    plane((0.0, 0.1), (math.nan, 1.1)),
                ],
                **whose,
            ),
            Claim(
                id=f"sharpness.pac_bayes.{m}",
                name=f"expected sharpness beside the divergence separates, {m}",
                statement=f"expected sharpness together with the divergence of the PAC-Bayes bound separates random "
                f"labels of {m} from true ones, and neither does alone",
                paper="expected sharpness and divergence together separate them",
                rule="in the plane of expected sharpness and the logarithm of the divergence, both at an alpha of "
                "5e-4, a straight line separates all runs on random labels from all on true ones, whatever their seed "
                f"and number of images, and no line along an axis does; judged from n = 10,000 on; {later}",
                holds=lambda t: together(t, KL, RISE),
                ours=lambda t: parted(t, KL, RISE, ("the divergence", "expected sharpness in 1e-4 nats")),
                numbers=lambda t: t.where(**ONCE).numbers_by(RISE, "labels"),
                met=[plane((0.0, 0.1), (1.0, 1.1), x=KL, y=RISE)],
                missed=[
                    *(plane(*each, x=KL, y=RISE) for each in (((0.0, 1.1), (1.0, 2.0)), ((1.1, 0.0), (2.0, 1.0)))),
                    plane((0.0, 0.1), (1.1, 1.0), x=KL, y=RISE),
                    plane((0.5, 0.5), x=KL, y=RISE),
                ],
                **whose,
            ),
        ]
    return [_probed.at_equal_loss(claim) for claim in found]
