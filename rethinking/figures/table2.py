"""Table 2: Inception v3 on ImageNet, true and random labels, with and without augmentation, dropout and weight decay.

[zhang2017] Table 2: training and test accuracy, top-1 and top-5, of 7 rows. The runs are made by torchrun, one by one:
see `rethinking plan table2 --scale paper`.

    rethinking figure table2 --redraw                   a rehearsal of the whole path on small images, no evidence
    rethinking figure table2 --scale paper --redraw     the paper's sizes: some 160 GPU-hours for all rows
"""

from typing import Any

from rethinking.claims import rounded
from rethinking.figures import _imagenet
from rethinking.figures._imagenet import (
    ALL,
    AUGMENTED,
    BEST,
    BEST5,
    BEST_TEST,
    BEST_TEST5,
    BY_NAME,
    PLAIN,
    REGULARIZED,
    ROWS,
    TEST,
    TEST5,
    TRAIN,
    TRAIN5,
    Row,
)
from rethinking.figures._score import Score
from rethinking.figures.kit import Bound, Claim, Frame, Grid, Rows, Table, bounded, made

SEEDS = {"quick": 1, "cpu": 1, "paper": 1}
TRAINING_IMAGES = ALL
CAPTION = "Training and test accuracy of every row of Table 2; paper hollow, ours filled, one point per seed."
THEIRS = (
    "Inception v3 fits random labels of ImageNet to 95.20 % top-1 without a regularizer, and to 91.18 % with dropout "
    "and weight decay; test accuracy is then at chance. With true labels it falls from 77.84 to 59.80 % when every "
    "regularizer is off, and augmentation alone leaves 72.95 %."
)
DEPARTURES = _imagenet.DEPARTURES
spec, heading = _imagenet.spec, _imagenet.heading
GRID = Grid("{row}", row=list(BY_NAME))
MEASURES = [BEST_TEST, BEST_TEST5]


def _paper(column: str) -> dict[str, float]:
    return {row.name: getattr(row, column) for row in ROWS}


PAPER_TRAIN, PAPER_TEST = _paper("train"), _paper("test")
COLUMNS: dict[str, Any] = {"paper train (%)": PAPER_TRAIN, "train (%)": TRAIN}
COLUMNS |= {"paper train top-5 (%)": _paper("train5"), "train top-5 (%)": TRAIN5}
COLUMNS |= {"paper test (%)": PAPER_TEST, "test (%)": TEST}
COLUMNS |= {"paper test top-5 (%)": _paper("test5"), "test top-5 (%)": TEST5}
COLUMNS |= {"paper best test (%)": {row.name: BEST.get(row.name, "not given") for row in ROWS}}
COLUMNS |= {"best test (%)": BEST_TEST}
COLUMNS |= {"paper best test top-5 (%)": {row.name: BEST5.get(row.name, "not given") for row in ROWS}}
TABLE = Table("row", COLUMNS | {"best test top-5 (%)": BEST_TEST5})
LOOKS = {row.name: "random labels" if row.random else "true labels" for row in ROWS}
BY: dict[str, Any] = {"by": "row", "looks": LOOKS, "xlim": (-4, 104)}  # the ticks 100 and 0 are apart
PANELS = [Rows(x=TRAIN, paper=PAPER_TRAIN, **BY), Rows(x=TEST, paper=PAPER_TEST, **BY)]
RANDOM = {row.name: least for row, least in zip(ROWS[4:], (90, 85, 95), strict=True)}  # least training accuracy, %
PLAIN_RANDOM = ROWS[-1].name
CLOSE, CLOSE_TRAIN = 3, 5  # points


def finding(t: Frame, network: str) -> str:
    fit, chance = (rounded(t.one(m, row=PLAIN_RANDOM), 2) for m in (TRAIN, TEST))
    fitted = Bound(TRAIN, RANDOM[PLAIN_RANDOM]).holds(t.where(row=PLAIN_RANDOM))
    what = "fits random labels of ImageNet to" if fitted else "has on random labels of ImageNet a training accuracy of"
    ours = f"Without a regularizer Inception v3 {what} {fit} %, and tests at {chance} %"
    return _imagenet.rehearsed(t) or ours


SCORES = [Score("random labels, no regularizer", claim="table2.fits.no_regularizer")]
PAPERS: dict[str, Any] = {"source": "zhang2017, Table 2", "least_n": ALL}


def slug(row: str) -> str:
    return row.removeprefix("random labels, ").replace(", ", ".")


def accuracies(row: Row) -> Claim:
    """That a row with true labels comes out as the paper's."""
    return bounded(
        Bound(TEST, row.test - CLOSE, row.test + CLOSE, by_median=True),
        Bound(TRAIN, row.train - CLOSE_TRAIN, row.train + CLOSE_TRAIN, by_median=True),
        fitted=False,
        id=f"table2.accuracy.{slug(row.name)}",
        name=row.name,
        where={"row": row.name},
        statement=f"true labels, {row.regularizers}: training and test accuracy are near the paper's",
        paper=f"training {row.train:.2f} %, test {row.test:.2f} %",
        rule=f"top-1, in the median over seeds: test accuracy is within {CLOSE} points of the paper's, and training "
        f"accuracy within {CLOSE_TRAIN}",
        ours=lambda t: f"training {t.spread(TRAIN, ' %')}, test {t.spread(TEST, ' %')}",
        numbers=lambda t: {m.label: t.numbers(m) for m in (TRAIN, TEST)},
        **PAPERS,
    )


def fit(row: Row) -> Claim:
    """That random labels are fitted."""
    least = RANDOM[row.name]
    return bounded(
        Bound(TRAIN, least),
        fitted=False,
        id=f"table2.fits.{slug(row.name)}",
        name=f"fits, {row.name}",
        where={"row": row.name},
        statement=f"Inception v3 fits random labels of ImageNet {row.regularizers}",
        paper=f"{row.train:.2f} %",
        rule=f"top-1 training accuracy is at least {least} % in every seed",
        **PAPERS,
    )


def at_chance(row: Row) -> Claim:
    """That random labels leave test accuracy at chance."""
    return bounded(
        Bound(TEST, 0.05, 0.15),
        Bound(TEST5, 0.4, 0.6),
        fitted=False,
        id=f"table2.chance.{slug(row.name)}",
        name=f"chance, {row.name}",
        where={"row": row.name},
        statement=f"random labels, {row.regularizers}: test accuracy is at chance",
        paper=f"{row.test:.2f} % top-1, {row.test5:.2f} % top-5",
        rule="test accuracy is within 0.05 points of 0.1 % top-1, and within 0.1 points of 0.5 % top-5, some three "
        "standard errors of 50,000 images, in every seed",
        ours=lambda t: f"{t.spread(TEST, ' %')} top-1, {t.spread(TEST5, ' %')} top-5",
        numbers=lambda t: {m.label: t.numbers(m) for m in (TEST, TEST5)},
        **PAPERS,
    )


def drop(t: Frame, row: str) -> float:
    """Points of test accuracy that a row is below the one with all regularizers."""
    middle = t.medians(TEST, "row")
    return middle[REGULARIZED] - middle[row]


def tests(*values: float) -> Frame:
    """Made up: test accuracies with all regularizers, with augmentation alone, with none."""
    return made(row=[REGULARIZED, AUGMENTED, PLAIN], test_accuracy=list(values))


CLAIMS = [
    *(accuracies(row) for row in ROWS if not row.random),
    *(fit(row) for row in ROWS if row.random),
    *(at_chance(row) for row in ROWS if row.random),
    Claim(
        id="table2.cost",
        name="all regularizers off",
        where={"row": [REGULARIZED, PLAIN]},
        statement="turning every regularizer off costs about 18 points of test accuracy",
        paper="18.04 points: 77.84 against 59.80 %",
        rule="the difference of the medians, top-1, is between 14 and 22 points",
        holds=lambda t: 14 <= drop(t, PLAIN) <= 22,
        ours=lambda t: f"{drop(t, PLAIN):.2f} points",
        numbers=lambda t: {"points": [drop(t, PLAIN)]},
        met=[tests(78, 70, 64), tests(78, 70, 56)],
        missed=[tests(78, 70, 64.01), tests(78, 70, 55.99)],
        source="zhang2017, Table 2 and section 3",
        least_n=ALL,
    ),
    Claim(
        id="table2.augmentation",
        name="augmentation alone",
        where={"row": [REGULARIZED, AUGMENTED, PLAIN]},
        statement="augmentation alone brings most of what all regularizers bring",
        paper="augmentation alone leaves 72.95 % of 77.84 %; none leaves 59.80 %",
        rule="turning all but augmentation off costs at most half of what turning all off costs, in the medians, "
        "top-1, and the latter is above 0",
        holds=lambda t: 0 < drop(t, PLAIN) >= 2 * drop(t, AUGMENTED),
        ours=lambda t: f"{drop(t, AUGMENTED):.2f} of {drop(t, PLAIN):.2f} points",
        numbers=lambda t: {
            "all but augmentation off (points)": [drop(t, AUGMENTED)],
            "all off (points)": [drop(t, PLAIN)],
        },
        met=[tests(78, 69, 60)],
        missed=[tests(78, 68.99, 60), tests(60, 60, 60)],
        source="zhang2017, Table 2 and section 3",
        least_n=ALL,
    ),
    bounded(
        Bound(TEST, 50),
        fitted=False,
        id="table2.generalizes",
        name="generalizes without a regularizer",
        where={"row": PLAIN},
        source="zhang2017, section 3",
        statement="without any of these regularizers the network still generalizes",
        paper="59.80 %",
        rule="top-1 test accuracy is at least 50 % in every seed, where chance is 0.1 %",
        least_n=ALL,
    ),
]
