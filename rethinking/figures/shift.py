"""Shift: how often an image's class changes as it moves by a pixel or is scaled, memorized or learned.

Azulay & Weiss 2019, "Why do deep convolutional networks generalize so poorly to small image transformations?": small
shifts change what a network says. Crops of CIFAR-10's 32 x 32 pixels move by up to 2 pixels, with real pixels at the
border, and are scaled by up to 10 %. Averaging over the crops, and voting, is multi-crop testing.

    rethinking figure shift                 500 images of each split, networks on 2,000 and 500 images: minutes
    rethinking figure shift --scale cpu     5,000 images of each split, all 50,000 trained on
"""

from dataclasses import replace
from typing import Any

from rethinking.claims import rounded
from rethinking.figures import Setting, _probed
from rethinking.figures._probed import AT_ONE_LOSS, LABELS, NETWORKS, SPLITS, TEST, TRAINING, TRUE
from rethinking.figures.kit import Bound, Claim, Frame, Grid, Lines, Measure, Table, bounded, over_rows
from rethinking.record import Record
from rethinking.spec import ProbeSpec

CAPTION = (
    "Copies of 5,000 images (quick: 500) of each split, moved or scaled, whose likeliest class is not that of the "
    "image unmoved."
)
THEIRS = "Nothing of its own; Azulay & Weiss 2019: small shifts of an image change what a network says."
DEPARTURES = [
    "Measured on the first 5,000 training images, with the labels trained on, and the first 5,000 test images (quick: "
    "500 each). Copies are moved by exactly so many pixels, in all directions: 8 by one pixel, 16 by two; or scaled "
    "down and up. Neighbours are one pixel further down and to the right. The authors move images of another set, so "
    "that the shape is compared, not numbers.",
    "Images do not move by more than 2 pixels, so that no border has to be made up.",
    *_probed.DEPARTURES,
]
READ_AT = {"images": (TRAINING, TEST), "moved": (0, 1, 2), "scaled": (0, 2, 4, 6, 8, 10)}
GRID = Grid("{network}, {labels}", network=[*NETWORKS, AT_ONE_LOSS], labels=list(LABELS))


def spec(setting: Setting, seed: int, network: str, labels: str) -> ProbeSpec:
    run = _probed.run(setting, seed, network, LABELS[labels])
    return _probed.probed(run, "shift", images=500 if setting.scale == "quick" else 5000)


def crops(name: str, label: str, first: str, less: str = "") -> Measure:
    """A column of the row of one split's crops that move by up to 2 pixels, in %; less another one."""
    where = {"scaled": 0, "reach": 2}
    return over_rows(
        name,
        lambda row: 100 * (row[first] - (row[less] if less else 0)),
        label,
        lambda images: where | {"test": SPLITS[images]},
        ("images",),
    )


def changed(scaled: int, how: str, unit: float) -> Measure:
    """Of the copies moved by exactly so many pixels, or scaled by so many %, those with another class; none at 0."""
    rows = over_rows(
        f"changed_{how}",
        lambda row: 100 * row["edge_change"],
        "class changes (%)",
        lambda images, **by: {"test": SPLITS[images], "scaled": scaled, "reach": unit * by[how]},
        ("images", how),
    )

    def of(record: Record, **at: Any) -> float | int | str:
        return rows.of(record, **at) if at[how] else 0.0

    return replace(rows, of=of)


MOVED, SCALED = changed(0, "moved", 1), changed(1, "scaled", 0.01)
ABSOLUTE = crops("absolute", "mean change of the probability (points)", "absolute_change")
AVERAGE = crops("average", "gain of averaging 25 crops (points)", "averaged_accuracy", "accuracy")
VOTE = crops("vote", "gain of a vote of 25 crops (points)", "voted_accuracy", "accuracy")
MEASURES = [_probed.PROBED]
ONE: dict[str, Any] = {"moved": 1, "scaled": 0}
TENTH: dict[str, Any] = {"moved": 0, "scaled": 10}
TABLE = Table(
    "run",
    {
        "accuracy (%)": (crops("accuracy", "", "accuracy"), ONE),
        "moved 1 pixel: class changes (%)": (MOVED, ONE),
        "2 pixels (%)": (MOVED, ONE | {"moved": 2}),
        "neighbours: class changes (%)": (crops("change", "", "change"), ONE),
        "probability changes (points)": (ABSOLUTE, ONE),
        "two crops agree (%)": (crops("agreement", "", "agreement"), ONE),
        "jaggedness (points)": (crops("jaggedness", "", "jaggedness"), ONE),
        "scaled by 10 %: class changes (%)": (SCALED, TENTH),
        "average of crops gains (points)": (AVERAGE, ONE),
        "vote gains (points)": (VOTE, ONE),
    },
    by="{network}, {labels}, {images}",
)
_LOOK: dict[str, Any] = {"hue": "labels", "ylim": (0, 100), "ylabel": "class changes (%)"}
_PIXELS: dict[str, Any] = {"x": "moved", "y": MOVED, "xlabel": "pixels moved", "xticks": (0, 1, 2), **_LOOK}
_SCALES: dict[str, Any] = {"x": "scaled", "y": SCALED, "xlabel": "scaled by (%)", **_LOOK}
PANELS = [
    Lines(
        title=f"{m},\n{images}" if m == AT_ONE_LOSS else f"{m}, {images}",
        only={"network": m, "images": images, other: 0},
        legend="upper left" if (m, images, other) == (NETWORKS[0], TRAINING, "moved") else None,
        **look,
    )
    for networks in (NETWORKS, [AT_ONE_LOSS])
    for images, other, look in (
        (TRAINING, "scaled", _PIXELS),
        (TEST, "scaled", _PIXELS),
        (TRAINING, "moved", _SCALES),
    )
    for m in networks
]


def notes(setting: Setting) -> list[str]:
    quick = setting.scale == "quick"
    return [f"the first {500 if quick else 5000:,} images of each split", *_probed.notes(setting)]


def finding(t: Frame, network: str) -> str:
    true, random = (rounded(t.one(MOVED, network="mlp-3x512", labels=w, images=TRAINING, **ONE), 0) for w in LABELS)
    return (
        f"Of the training images of MLP 3x512 moved by one pixel, in eight directions, {true:.0f} % have another class "
        f"on true labels, {random:.0f} % on random labels"
    )


ACROSS, HEIGHT = 3, 8.2
AUTHORS: dict[str, Any] = {"source": "Azulay & Weiss 2019, abstract"}
ARTICLE: dict[str, Any] = {"source": "Yousan AI 2019, on shifts and crops"}
EACH: dict[str, Any] = {"each": {"network": NETWORKS}, "least_n": 50_000, "least_seeds": _probed.least_seeds}
LEARNED: dict[str, Any] = {"labels": TRUE, "images": TEST, **ONE}
QUESTION: dict[str, Any] = EACH | {"source": "the project's own question", "paper": "none", "least_n": 2000}


def memorized(measure: Measure, **texts: Any) -> list[Claim]:
    """That training images of networks on random labels change their class more often than on true ones."""
    return [_probed.beside_unseen(claim, measure) for claim in _probed.apart_at_one_loss_too(measure, **texts)]


CLAIMS = [
    *memorized(
        MOVED,
        id="shift.memorized.{network}",
        name="training images break more easily after random labels, {network}",
        where=ONE,
        statement="moving by one pixel changes the class more often of the training images of a network that memorized "
        "random labels than of those of a network that learned true ones, {network}",
        rule="of the copies of training images moved by one pixel in the eight directions, the share with another "
        "class is larger on random labels than on true ones: the smallest over seeds is above the largest; judged from "
        "n = 2,000 on",
        **QUESTION,
    ),
    *memorized(
        SCALED,
        id="shift.memorized_scaled.{network}",
        name="training images break more easily by scaling after random labels, {network}",
        where=TENTH,
        statement="scaling by 10 % changes the class more often of the training images of a network that memorized "
        "random labels than of those of a network that learned true ones, {network}",
        rule="of the copies of training images scaled by 0.9 and by 1.1, the share with another class is larger on "
        "random labels than on true ones: the smallest over seeds is above the largest; judged from n = 2,000 on",
        **QUESTION,
    ),
    *(
        bounded(
            bound,
            fitted=False,
            id=f"shift.{key}.{{network}}",
            name=f"{name}, {{network}}",
            where=LEARNED,
            statement=statement,
            paper=paper,
            rule=f"on true labels, in every seed, {rule}; judged from n = 50,000 on",
            **source | EACH,
        )
        for key, name, bound, source, statement, paper, rule in (
            (
                "changes",
                "a pixel changes the class",
                Bound(MOVED, least=5),
                AUTHORS,
                "moving a test image by one pixel often changes its class, {network}",
                "small translations can drastically change the prediction",
                "of the copies of test images moved by one pixel in the eight directions, the share with another class "
                "is at least 5 %",
            ),
            (
                "probability",
                "a pixel changes the probability",
                Bound(ABSOLUTE, least=5),
                ARTICLE,
                "a small shift changes the probability of a test image's class much, {network}",
                "a small shift changes the probability much",
                "the probability of a test image's likeliest class changes by at least 5 points on average between "
                "neighbours",
            ),
            (
                "average",
                "averaging crops gains",
                Bound(AVERAGE, above=0),
                ARTICLE,
                "averaging the probabilities of 25 crops gains test accuracy, {network}",
                "multi-crop testing wins competitions",
                "the test accuracy of the mean over 25 crops is above that of the centre crop",
            ),
            (
                "vote",
                "a vote of crops gains",
                Bound(VOTE, above=0),
                ARTICLE,
                "a vote of 25 crops gains test accuracy, {network}",
                "multi-crop testing wins competitions",
                "the test accuracy of a majority vote of 25 crops is above that of the centre crop",
            ),
        )
    ),
]
