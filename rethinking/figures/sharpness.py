"""Sharpness: does it tell memorized from learned labels, alone or beside a norm of the weights?

Neyshabur et al. 2017, "Exploring Generalization in Deep Learning", Figure 2: the largest rise of the training loss in a
small box about the weights. Alone it fails, as on small sets random labels are less sharp; beside a norm it separates.
So does the expected sharpness, under Gaussian moves, beside their divergence from the prior: a PAC-Bayes bound.

    rethinking figure sharpness                 250 to 2,000 images, one seed: minutes
    rethinking figure sharpness --scale cpu     10,000 to all 50,000 images, the runs of capacity_measures
"""

import math
from collections.abc import Sequence
from functools import partial
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
    "first 2,000 training images. The starts differ by up to 17 %, the highest is up to 12 % above the first.",
    "Both rows of planes, and the claims, leave out the runs that do not stop at the loss.",
    "Expected sharpness at this alpha is some 1e-4 nats, and varies more between seeds than between labels.",
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
MEASURES = [_probed.REACHED, _probed.AT_ONE]
ONCE: dict[str, Any] = {"probe": CAPACITY}
TABLE = Table(
    "run",
    {"sharpness (nats)": SHARP, "l2-path / margin² (log10)": NORM, "expected sharpness (1e-4 nats)": RISE}
    | {"log10 of KL": KL, "sigma, by bisection": SIGMA, "log10 of KL at that sigma": KL_SEARCHED},
    only=ONCE,
    by="{network}, n = {images:,}, {labels}",
)
PER_MARGIN = "log10 of l2-path norm / margin²"


def panels(setting: Setting) -> list[Lines | NamedPoints]:
    lines = [
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
    ]
    planes = [
        NamedPoints(
            x=x,
            y=y,
            by="labels",
            named=False,
            title=m,
            only={"network": m, "images": at_one_loss(setting, m), **ONCE},
            ylim=(0, None),
            xlabel=label,
        )
        for x, y, label in ((NORM, SHARP, PER_MARGIN), (KL, RISE, KL.label))
        for m in CHEAP
    ]
    return [*lines, *planes]


def notes(setting: Setting) -> list[str]:
    ascents = "one ascent of 10 steps" if setting.scale == "quick" else "three ascents of 20 steps"
    return [f"{ascents} on the first 2,000 training images at most", "below: a point a run that stops at 0.01 nats"]


ACROSS, HEIGHT = 2, 6.6


def finding(t: Frame, network: str) -> str | None:
    true, random = (t.known(SHARP, "images", network=REGULARIZED, labels=word, **ONCE) for word in (TRUE, RANDOM))
    told = [f"{true[n]:.1f} and {random[n]:.1f} on {n:,} images" for n in true if n in random]
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


def alone(t: Frame, *measures: Measure) -> list[Measure]:
    """Those that part random labels from true ones by themselves."""
    sides = {each: [t.where(labels=word, **ONCE).values(each) for word in (RANDOM, TRUE)] for each in measures}
    return [each for each, (one, other) in sides.items() if max(one) < min(other) or max(other) < min(one)]


def together(t: Frame, x: Measure = NORM, y: Measure = SHARP) -> bool | None:
    """Whether two measures part random labels from true ones; None where one of them does so alone."""
    return separable(t, x, y) and (None if alone(t, x, y) else True)


def told_together(t: Frame, x: Measure, y: Measure) -> str:
    """The second measure, and which of the two needs no other."""
    names = {NORM: "the norm", SHARP: "sharpness", KL: "the divergence", RISE: "expected sharpness"}
    return "; ".join([pooled(t, y), *(f"{names[each]} alone separates them" for each in alone(t, x, y))])


def gap(t: Frame) -> float:
    """By how many times the lowest sharpness on one kind of labels is above the highest on the other; NaN without."""
    random, true = (t.where(labels=word, **ONCE).values(SHARP) for word in (RANDOM, TRUE))
    numbers = all(math.isfinite(v) for v in (*random, *true))
    return max(min(random) / max(true), min(true) / max(random)) if numbers else math.nan


def mixed(t: Frame) -> bool | None:
    """Whether sharpness alone does not part them; None where it does by too little to be sure of."""
    times = gap(t)
    if math.isnan(times) or times >= _probed.CLEAR:
        return False
    return True if times <= 1 else None


def plane(*random: tuple[float, float], x: Measure = NORM, y: Measure = SHARP) -> Frame:
    """Made up: norm and sharpness of runs on true labels, at (0, 0) and (1, 1), and of those on random ones."""
    norms, sharp = zip((0.0, 0.0), (1.0, 1.0), *random, strict=True)
    columns: dict[str, Any] = {"labels": [TRUE] * 2 + [RANDOM] * len(random), "probe": CAPACITY}
    columns |= {x.name: list(norms), y.name: list(sharp)}
    return made(**columns)


def pooled(t: Frame, measure: Measure) -> str:
    """A measure on random and on true labels, as text, of every seed and number of images."""
    return f"over seeds and numbers of images {_probed.words(t.where(**ONCE), measure)}"


def sharp(*random: float) -> Frame:
    """Made up: sharpness of runs on true labels, 1 and 2, and of those on random ones."""
    columns: dict[str, Any] = {"labels": [TRUE, TRUE, *[RANDOM] * len(random)], SHARP.name: [1.0, 2.0, *random]}
    return made(probe=CAPACITY, **columns)


TELLING = {  # measures that may tell random from true labels, and what they are called
    "sharpness": (SHARP, "sharpness"),
    "expected": (RISE, "expected sharpness"),
    "divergence": (KL, "the divergence of the PAC-Bayes bound"),
}


def matched(measure: Measure, t: Frame) -> dict[str, _probed.Pairs]:
    """The pairs of runs of one network, seed and number of images."""
    part, on = t.where(**ONCE), ["network", "images", "seed"]
    random, true = (part.where(labels=word).data.set_index(on) for word in (RANDOM, TRUE))
    more = {measure.name: random[measure.name] - true[measure.name]}
    return _probed.pairs_of(measure, "{network}", Frame(random.assign(**more).reset_index()))


def shared(measure: Measure, larger: int, count: int) -> Frame:
    """Made up: pairs of which some have more on random labels."""
    values = [1.0] * larger + [0.0] * (count - larger) + [0.0] * count
    columns: dict[str, Any] = {"labels": [RANDOM] * count + [TRUE] * count, measure.name: values}
    columns |= {"images": 2 * list(range(count)), _probed.AT_ONE.name: 1.0}
    return made(network="a", **columns, **ONCE)


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
        whose: dict[str, Any] = paper | {"least_seeds": _probed.least_seeds(m)}
        runs = {"network": m, "images": at_one_loss(setting, m)}
        searched = {"where": runs | {"probe": [CAPACITY, SHARPNESS]}}
        moved = {"where": runs | {"probe": [CAPACITY, PAC_BAYES]}}
        later = "; where one of the two does so alone it is not judged; a rule made after the runs: before, it was "
        later += "judged there as well" + f", and earlier still {BEFORE}" * (m != REGULARIZED)
        found += [
            Claim(
                id=f"sharpness.beside_norm.{m}",
                name=f"beside a norm it separates, {m}",
                statement=f"sharpness together with the l2-path norm of {m} separates random labels from true ones",
                paper="sharpness against a norm separates them",
                rule="in the plane of sharpness and the logarithm of the l2-path norm over the squared margin, a "
                "straight line separates all runs on random labels from all on true ones, whatever their seed and "
                f"number of images; every run has both numbers; judged from n = 10,000 on{later}",
                holds=together,
                ours=lambda t: told_together(t, NORM, SHARP),
                numbers=lambda t: t.where(**ONCE).numbers_by(SHARP, "labels"),
                met=[plane((0.0, 0.1), (1.0, 1.1)), plane((0.1, 0.0)), plane((0.0, 1.0))],
                unjudged=[plane((0.0, 1.01)), plane((1.01, 0.0)), plane((-0.01, 1.0))],
                missed=[plane((0.0, 0.1), (1.1, 1.0)), plane((0.5, 0.5)), plane((0.0, 0.1), (math.nan, 1.1))],
                **whose | searched,
            ),
            Claim(
                id=f"sharpness.mixed.{m}",
                name=f"sharpness alone does not separate, {m}",
                statement=f"sharpness alone does not separate random labels of {m} from true ones",
                paper="sharpness alone does not tell random labels from true ones",
                rule="the runs on random labels, whatever their seed and number of images, are not all sharper than "
                "those on true ones, nor all less sharp; where they are, by less than 10 %, which another start of the "
                "search may change, it is not judged; judged from n = 10,000 on; a rule made after the runs",
                holds=mixed,
                ours=lambda t: f"{gap(t):.2f} times apart; {pooled(t, SHARP)}",
                numbers=lambda t: t.where(**ONCE).numbers_by(SHARP, "labels"),
                met=[sharp(2.0, 3.0), sharp(1.0, 0.5), sharp(1.5, 1.6)],
                missed=[sharp(2.2, 3.0), sharp(0.9, 0.5), sharp(2.2, math.nan)],
                unjudged=[sharp(2.19, 3.0), sharp(2.01, 3.0), sharp(0.92, 0.5)],
                **whose | searched,
            ),
            Claim(
                id=f"sharpness.pac_bayes.{m}",
                name=f"expected sharpness beside the divergence separates, {m}",
                statement="expected sharpness together with the divergence of the PAC-Bayes bound separates random "
                f"labels of {m} from true ones",
                paper="expected sharpness and divergence together separate them",
                rule="in the plane of expected sharpness and the logarithm of the divergence, both at an alpha of "
                "5e-4, a straight line separates all runs on random labels from all on true ones, whatever their seed "
                f"and number of images; judged from n = 10,000 on{later}",
                holds=lambda t: together(t, KL, RISE),
                ours=lambda t: told_together(t, KL, RISE),
                numbers=lambda t: t.where(**ONCE).numbers_by(RISE, "labels"),
                met=[plane((0.0, 0.1), (1.0, 1.1), x=KL, y=RISE)],
                unjudged=[plane((0.0, 1.01), x=KL, y=RISE), plane((0.0, -0.01), x=KL, y=RISE)],
                missed=[plane((0.0, 0.1), (1.1, 1.0), x=KL, y=RISE), plane((0.5, 0.5), x=KL, y=RISE)],
                **whose | moved,
            ),
            *(
                Claim(
                    id=f"sharpness.tells.{key}.{m}",
                    name=f"{key} tells memorized from learned, {m}",
                    statement=f"{name} tells memorized from learned labels on {m}",
                    paper="none",
                    rule="it is larger on random labels than on true ones in at least 9 of 10 pairs of runs with the "
                    "same seed and number of images; judged from n = 10,000 on; a rule made after the runs",
                    finds=partial(matched, measure),
                    holds=_probed.mostly_larger,
                    ours=_probed.in_pairs,
                    numbers=_probed.in_numbers,
                    met=[shared(measure, 9, 10), shared(measure, 3, 3)],
                    missed=[shared(measure, 8, 10), shared(measure, 2, 3)],
                    **whose | (searched if key == "sharpness" else moved) | {"source": "the project's own question"},
                )
                for key, (measure, name) in TELLING.items()
            ),
        ]
    return [_probed.at_equal_loss(claim) for claim in found]
