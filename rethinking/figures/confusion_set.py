"""Confusion set: of networks that all fit true labels, do norms and sharpness follow how badly they generalize?

Neyshabur et al. 2017, "Exploring Generalization in Deep Learning", Figure 3: a network is trained to fit 10,000 images
with true labels and, beside them, 0 to 5,000 with random ones. The more of these, the worse it generalizes. Norms over
the squared margin rise with the test error; sharpness does not follow it.

    rethinking figure confusion_set                 1,000 images and 0 to 500, one seed: minutes
    rethinking figure confusion_set --scale cpu     10,000 images and 0 to 5,000, three seeds: under an hour
"""

import math
from functools import partial
from typing import Any

from rethinking.claims import rounded
from rethinking.figures import CHEAP, Setting, _probed
from rethinking.figures._parts import UNSTATED
from rethinking.figures.capacity_measures import NORMS, in_logs, over_margin
from rethinking.figures.kit import Claim, Frame, Grid, Lines, Measure, Table, column, made, minus, ordered
from rethinking.figures.kit.measures import error
from rethinking.spec import Part, ProbeSpec, RunSpec

CAPTION = (
    "Test error, norms over the squared margin and sharpness of networks that fit true labels and random ones beside."
)
THEIRS = (
    "Nothing of its own; Neyshabur et al. 2017: the more images with random labels are fitted besides, the higher the "
    "test error; norms over the squared margin rise with it, sharpness does not follow it."
)
DEPARTURES = [
    "The paper's network is a VGG; ours are MLPs. What is compared is the shape, not numbers.",
    "The first 10,000 images have true labels (quick: 1,000), the next ones, up to 5,000 (quick: 500), random ones.",
    _probed.AT_EQUAL_LOSS,
    "MLP 3x512 ends between 0.006 and 0.0094 nats. Its norms alone rise at every step; over the squared margin they "
    "fall at the one, from 2,000 to 3,000 random labels, where two of three seeds end at a lower loss than before.",
    "The number of images grows with that of random labels, as in the paper. Norms over the squared margin and "
    "sharpness grow with the number of images on true labels, too: see capacity_measures and sharpness. How much of "
    "the rise is the images' alone is not told apart here.",
    "MLPs: three seeds (quick: one), in float32 (quick: in bfloat16 where the processor multiplies it), for at most "
    "200 epochs (quick: 100).",
    "Sharpness is a lower bound, found by projected gradient ascent of 20 steps (quick: 10) from one start, on all "
    "training images. In figure sharpness three starts differ by up to 17 %.",
    _probed.WEIGHTS,
    UNSTATED,
]
TRAINED, CAPACITY, SHARPNESS = "the run", "capacity", "sharpness"


def sizes(setting: Setting) -> tuple[int, tuple[int, ...]]:
    """Images with true labels, and with random ones."""
    return (1000, (0, 250, 500)) if setting.scale == "quick" else (10_000, (0, 1000, 2000, 3000, 4000, 5000))


def grid(setting: Setting) -> Grid:
    what = (TRAINED, CAPACITY, SHARPNESS)
    return Grid("{network}, {random:,} random labels, {what}", network=CHEAP, random=sizes(setting)[1], what=what)


def spec(setting: Setting, seed: int, network: str, random: int, what: str) -> RunSpec | ProbeSpec:
    true, _ = sizes(setting)
    tail = (Part(name="random_tail", options={"first": true}),) if random else ()
    n = true + random
    run = setting.spec(seed, model=network, n=n, corruptions=tail, **_probed.to_equal_loss(n))
    steps = 10 if setting.scale == "quick" else 20
    options = {"images": n, "steps": steps, "restarts": 1} if what == SHARPNESS else {}
    return run if what == TRAINED else _probed.probed(run, what, **options)


ERROR, SHARP = error("test_accuracy"), column(SHARPNESS, "sharpness (nats)")
OVER = {norm: over_margin(norm) for norm in NORMS}
MORE = {norm: minus(OVER[norm], f"{norm}_more", "rise of log10(norm / margin²)", random=0) for norm in NORMS}
MEASURES = [_probed.REACHED]
BY = "{:,} random labels: {}"
TABLE = Table(
    "run",
    {
        "training loss (nats)": (column("train_loss", form="{:.4f}"), {"what": CAPACITY}),
        "test error (%)": (ERROR, {"what": TRAINED}),
        **{f"{name} / margin² (log10)": (OVER[norm], {"what": CAPACITY}) for norm, name in NORMS.items()},
        "sharpness (nats)": (SHARP, {"what": SHARPNESS}),
    },
    by="{network}, {random:,} random labels",
)
_SHOWN: list[tuple[str, Measure, str]] = [
    ("test error", ERROR, TRAINED),
    ("sharpness", SHARP, SHARPNESS),
    *((name, MORE[norm], CAPACITY) for norm, name in NORMS.items()),
]
PANELS = [
    Lines(
        title=title,
        x="random",
        y=measure,
        hue="network",
        only={"what": what},
        legend="outside lower center" if title == "test error" else None,
        room=0.03,
        xlabel="random labels",
    )
    for title, measure, what in _SHOWN
]
ACROSS, HEIGHT = 3, 4.9


def heading(setting: Setting) -> str:
    true, random = sizes(setting)
    return f"CIFAR-10, {true:,} images with true labels and up to {random[-1]:,} with random ones"


def finding(t: Frame, network: str) -> str:
    most = int(t.data["random"].max())
    at: list[dict[str, Any]] = [{"network": _probed.REGULARIZED, "random": count} for count in (0, most)]
    errors = [t.one(ERROR, what=TRAINED, **each) for each in at]
    norms = [t.one(OVER["l2_path"], what=CAPACITY, **each) for each in at]
    return (
        f"With {most:,} images with random labels added MLP 3x512 has a test error of {rounded(errors[1]):.1f} %, "
        f"not {rounded(errors[0]):.1f}, and {10 ** (norms[1] - norms[0]):.2g} times the l2-path norm over the squared "
        "margin"
    )


def rises(measure: Measure, what: str, setting: Setting, **texts: Any) -> Claim:
    """That medians over seeds rise with the random labels, from each number of them to the next."""
    usual: dict[str, Any] = {
        "rule": "the median over seeds rises from each number of random labels to the next; judged from n = 10,000 on",
        "each": {"network": CHEAP},
        "where": {"what": what},
    }
    return ordered(measure, "random", [[m] for m in sizes(setting)[1]], **usual | texts)


def above(t: Frame, measure: Measure, times: float = 1.0) -> bool | None:
    """Whether with the most random labels every seed is above all without any, for a number above 0 by so many times.

    None where it is above and not by so much.
    """
    groups = list(t.groups("random").values())
    none, most = (each.values(measure) for each in (groups[0], groups[-1]))
    if not all(map(math.isfinite, [*none, *most])) or min(most) <= max(none):
        return False
    return True if min(most) >= times * max(none) else None


def stays(t: Frame) -> bool | None:
    """Whether sharpness is not above with the most random labels; None where it is, by too little to be sure of."""
    part = t.where(what=SHARPNESS)
    if not all(map(math.isfinite, part.values(SHARP))):
        return False
    higher = above(part, SHARP, _probed.CLEAR)
    return None if higher is None else not higher


def ends(measure: Measure, what: str, *most: float) -> Frame:
    """Made up: two seeds, at 1 and 2 without random labels."""
    columns: dict[str, Any] = {"random": [0, 0, 9, 9], "what": what, measure.name: [1.0, 2.0, *most]}
    return made(**columns)


def claims(setting: Setting) -> list[Claim]:
    paper: dict[str, Any] = {"source": "Neyshabur et al. 2017, Figure 3", "least_n": 10_000, "least_seeds": 3}
    found = [
        rises(
            ERROR,
            TRAINED,
            setting,
            id="confusion_set.error.{network}",
            name="the test error rises, {network}",
            statement="the more random labels {network} fits beside the true ones, the larger is its test error",
            paper="the test error rises with the number of random labels",
            ours=lambda t: t.texts_by(ERROR, "random", BY + " %"),
            **paper,
        ),
        *(
            rises(
                OVER[norm],
                CAPACITY,
                setting,
                id=f"confusion_set.{norm}.{{network}}",
                name=f"{name} rises, {{network}}",
                statement=f"the {name} norm of {{network}} over the squared margin rises with the number of random "
                "labels, as the test error does",
                paper="norms rise with the number of random labels",
                ours=partial(in_logs, measure=OVER[norm], by="random", key=BY),
                **paper,
            )
            for norm, name in NORMS.items()
        ),
        *(
            Claim(
                id=f"confusion_set.ends.{norm}.{{network}}",
                name=f"{name} is higher with the most, {{network}}",
                each={"network": CHEAP},
                where={"what": CAPACITY},
                statement=f"the {name} norm of {{network}} over the squared margin is higher with the most random "
                "labels than without any",
                paper="norms rise with the number of random labels",
                rule="with the most random labels it is higher in every seed than without any in every seed; judged "
                "from n = 10,000 on; a rule made after the runs, beside the one before them, so that norms and "
                "sharpness are also judged by one",
                holds=partial(above, measure=OVER[norm]),
                ours=partial(in_logs, measure=OVER[norm], by="random", key=BY),
                numbers=partial(Frame.numbers_by, measure=OVER[norm], by="random"),
                met=[ends(OVER[norm], CAPACITY, 2.1, 2.1)],
                missed=[ends(OVER[norm], CAPACITY, 2.0, 3.0), ends(OVER[norm], CAPACITY, math.nan, 3.0)],
                **paper,
            )
            for norm, name in NORMS.items()
        ),
        Claim(
            id="confusion_set.sharpness.{network}",
            name="sharpness does not follow, {network}",
            each={"network": CHEAP},
            where={"what": [CAPACITY, SHARPNESS]},  # whose training loss tells whether it is the one of all
            statement="the sharpness of {network} does not follow the number of random labels",
            paper="sharpness does not follow the number of random labels",
            rule="with the most random labels it is not higher in every seed than without any in every seed; where it "
            "is, by less than 10 %, which another start of the search may change, it is not judged; judged from "
            "n = 10,000 on; a rule made after the runs, in place of one that could hardly be missed, and held: that "
            "medians do not rise at every step",
            holds=stays,
            ours=lambda t: t.where(what=SHARPNESS).texts_by(SHARP, "random", BY + " nats"),
            numbers=lambda t: t.where(what=SHARPNESS).numbers_by(SHARP, "random"),
            met=[ends(SHARP, SHARPNESS, 2.0, 3.0)],
            missed=[ends(SHARP, SHARPNESS, 2.2, 3.0), ends(SHARP, SHARPNESS, math.nan, 1.0)],
            unjudged=[ends(SHARP, SHARPNESS, 2.19, 3.0), ends(SHARP, SHARPNESS, 2.01, 3.0)],
            **paper,
        ),
    ]
    return [_probed.at_equal_loss(claim) for claim in found]
