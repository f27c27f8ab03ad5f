"""Confusion set: of networks that all fit true labels, do norms and sharpness follow how badly they generalize?

Neyshabur et al. 2017, "Exploring Generalization in Deep Learning", Figure 3: a network is trained to fit 10,000 images
with true labels and, beside them, 0 to 5,000 with random ones. The more of these, the worse it generalizes. Norms over
the squared margin rise with the test error; sharpness does not follow it.

    rethinking figure confusion_set                 1,000 images and 0 to 500, one seed: minutes
    rethinking figure confusion_set --scale cpu     10,000 images and 0 to 5,000, three seeds: under an hour
"""

import math
from typing import Any

from rethinking.claims import rounded
from rethinking.figures import CHEAP, Setting, _probed
from rethinking.figures._parts import UNSTATED
from rethinking.figures.capacity_measures import NORMS, over_margin
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
    "The number of images grows with that of random labels, as in the paper. Norms over the squared margin grow with "
    "the number of images on true labels, too: see capacity_measures.",
    "MLPs: three seeds (quick: one), in float32 (quick: in bfloat16 where the processor multiplies it), for at most "
    "200 epochs (quick: 100).",
    "Sharpness is a lower bound, found by projected gradient ascent of 20 steps (quick: 10) on all training images. In "
    "two runs 60 steps found 0.4 and 4.1 % more.",
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
        f"With {most:,} random labels added MLP 3x512 has a test error of {rounded(errors[1]):.1f} %, "
        f"not {rounded(errors[0]):.1f}, and {10 ** (norms[1] - norms[0]):.2g} times the l2-path norm over the squared "
        "margin"
    )


def rises(measure: Measure, what: str, setting: Setting, **texts: Any) -> Claim:
    """That medians over seeds rise with the random labels, from each number of them to the next."""
    usual: dict[str, Any] = {
        "rule": "the median over seeds rises from each number of random labels to the next; judged from n = 10,000 on",
        "ours": lambda t: t.texts_by(measure, "random", "{:,}: {}"),
        "each": {"network": CHEAP},
        "where": {"what": what},
    }
    return ordered(measure, "random", [[m] for m in sizes(setting)[1]], **usual | texts)


def stays(t: Frame) -> bool:
    """Whether sharpness with the most random labels is not, in every seed, above that without any in every seed."""
    groups = list(t.where(what=SHARPNESS).groups("random").values())
    none, most = (each.values(SHARP) for each in (groups[0], groups[-1]))
    return all(map(math.isfinite, [*none, *most])) and min(most) <= max(none)


def sharp(*values: float) -> Frame:
    """Made up: sharpness with 0, 1 and 2 random labels."""
    return made(random=[0, 1, 2], what=SHARPNESS, sharpness=list(values))


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
            rule="the lowest sharpness over seeds with the most random labels is not above the highest without any; "
            "judged from n = 10,000 on; a rule made after the runs, as the one before them, that medians do not rise "
            "at every step, could hardly be missed",
            holds=stays,
            ours=lambda t: t.where(what=SHARPNESS).texts_by(SHARP, "random", "{:,}: {}"),
            numbers=lambda t: t.where(what=SHARPNESS).numbers_by(SHARP, "random"),
            met=[sharp(1.0, 2.0, 1.0), sharp(2.0, 1.0, 0.5)],
            missed=[sharp(1.0, 0.5, 1.1), sharp(math.nan, 2.0, 1.0), sharp(1.0, 2.0, math.nan)],
            **paper,
        ),
    ]
    return [_probed.at_equal_loss(claim) for claim in found]
