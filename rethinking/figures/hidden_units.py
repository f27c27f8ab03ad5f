"""Hidden units: do norms of the weights tell why wider networks generalize better, beyond a width that fits?

Neyshabur et al. 2017, "Exploring Generalization in Deep Learning", Figure 4: networks with one hidden layer of 8 to
8,192 units on MNIST. The test error falls with their number, far beyond the width that fits the training set. Norms
over the squared margin all fall up to 128 units. From there on l2 and l1-path rise, l2-path and spectral go on falling.

    rethinking figure hidden_units                 five widths on 2,000 images, one seed: minutes
    rethinking figure hidden_units --scale cpu     eleven widths on all 60,000 images: an hour or two of training
"""

import math
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

from rethinking.claims import CENSORED
from rethinking.figures import Setting, _probed
from rethinking.figures._parts import UNSTATED
from rethinking.figures._probed import STOP_LOSS
from rethinking.figures.capacity_measures import NORMS, in_logs, over_margin
from rethinking.figures.kit import Claim, Frame, Grid, Lines, Measure, Table, column, made, ordered
from rethinking.figures.kit.measures import error
from rethinking.figures.kit.panels import seeds_note
from rethinking.spec import EPOCH, ProbeSpec, RunSpec

NETWORK = "mlp-1x512"
CAPTION = "Test error and norms over the squared margin against the width of a network with one hidden layer, on MNIST."
THEIRS = (
    "Nothing of its own; Neyshabur et al. 2017: test error falls with width, far beyond what fits the training set; "
    "norms over the squared margin fall up to 128 units, and from there on only some of them."
)
DEPARTURES = [
    f"A run stops at a training cross-entropy of {STOP_LOSS} nats, at an evaluation, one an epoch, or after 90 epochs "
    "(quick: 100). Networks that do not get there are drawn as they end, where they have a positive margin: their loss "
    "is higher, their margin smaller. A claim on norms over the margin is not judged where one does not.",
    "The images are whitened one by one, as everywhere here; the paper does not say how it prepares them.",
    "The learning rate is that of MLP 1x512 at every width, 0.01; the paper's is not stated for this figure.",
    UNSTATED,
]
TRAINED, CAPACITY = "the run", "capacity"
FULL, TURN = 60_000, 128  # images of MNIST, and units where two of the norms turn
RISING = ("l2", "l1_path")


def widths(setting: Setting) -> tuple[int, ...]:
    step = 2 if setting.scale == "quick" else 1
    return tuple(2**k for k in range(3, 14, step))[: 5 if step == 2 else None]


def grid(setting: Setting) -> Grid:
    return Grid("{units:,} units, {what}", units=widths(setting), what=(TRAINED, CAPACITY))


def spec(setting: Setting, seed: int, units: int, what: str) -> RunSpec | ProbeSpec:
    n, epochs = (2000, 100) if setting.scale == "quick" else (FULL, 90)
    epoch = -(-n // 128)
    length = {"steps": epochs * epoch, "decay_every": epoch if n == FULL else EPOCH, **_probed.to_equal_loss(n)}
    run = setting.spec(seed, data="mnist", model=NETWORK, model_options={"width": units}, n=n, **length)
    return run if what == TRAINED else _probed.probed(run, CAPACITY)


ERROR = error("test_accuracy")
OVER = {norm: over_margin(norm) for norm in NORMS}
MEASURES = [_probed.REACHED]
TABLE = Table(
    "units",
    {
        "training accuracy (%)": (column("train_accuracy", factor=100), {"what": CAPACITY}),
        "training loss (nats)": (column("train_loss", form="{:.4f}"), {"what": CAPACITY}),
        "test error (%)": (ERROR, {"what": TRAINED}),
        "margin": (column("margin_5", form="{:.3f}"), {"what": CAPACITY}),
    }
    | {f"{name} / margin² (log10)": (OVER[norm], {"what": CAPACITY}) for norm, name in NORMS.items()},
    by="{units:,} units",
)
_SHOWN: list[tuple[str, Measure, str]] = [
    ("test error", ERROR, TRAINED),
    ("training error", error("train_accuracy"), TRAINED),
    *((name, OVER[norm], CAPACITY) for norm, name in NORMS.items()),
]
PANELS = [
    Lines(title=title, x="units", y=measure, only={"what": what}, log=True, legend=None, room=0.03, xlabel="units")
    for title, measure, what in _SHOWN
]
ACROSS, HEIGHT = 3, 4.6


def heading(setting: Setting) -> str:
    of = "REDUCED: 2,000 of 60,000 images" if setting.scale == "quick" else f"all {FULL:,} images"
    return f"one hidden layer, MNIST, {of}, {seeds_note(setting.seeds)}"


def finding(t: Frame, network: str) -> str:
    most = int(t.data["units"].max())
    few, many = (t.one(ERROR, units=units, what=TRAINED) for units in (TURN, most))
    return f"On MNIST {TURN} hidden units have {few:.2f} % test error, {most:,} have {many:.2f} %"


def falling(norm: str, t: Frame) -> bool | None:
    """Whether medians fall from each width to the next, of those that have the number; None of fewer than three."""
    middle = [v for v in t.medians(OVER[norm], "units").values() if math.isfinite(v)]
    return all(a > b for a, b in pairwise(middle)) if len(middle) > 2 else None


def claims(setting: Setting) -> list[Claim]:
    paper: dict[str, Any] = {"source": "Neyshabur et al. 2017, Figure 4", "least_n": FULL, "least_seeds": 3}
    narrow = [u for u in widths(setting) if u <= TURN]
    wide = [u for u in widths(setting) if u >= TURN]
    far = wide if len(wide) == 3 else wide[::3]

    def narrower(norm: str, *values: float) -> Frame:
        columns: dict[str, Any] = {"units": list(range(len(values))), OVER[norm].name: list(values)}
        return made(**columns)

    falls = ordered(
        ERROR,
        "units",
        [[wide[-1]], [TURN], [narrow[0]]],
        id="hidden_units.error",
        name="the test error falls",
        where={"what": TRAINED, "units": [narrow[0], TURN, wide[-1]]},
        statement=f"the test error on MNIST is lower with {TURN} hidden units, which fit the training set, than with "
        f"{narrow[0]}, and lower again with {wide[-1]:,}",
        paper="the test error falls up to 8,192 units",
        rule=f"the median test error over seeds falls from {narrow[0]} to {TURN} units and from there to "
        f"{wide[-1]:,}, and every run of {TURN} units is fitted; judged on all 60,000 images",
        ours=lambda t: t.texts_by(ERROR, "units", "{:,} units: {} %"),
        **paper,
    )
    late = falls.met[0].data.copy()
    late.loc[late["units"] == TURN, "state"] = CENSORED
    found = [
        replace(
            falls,
            holds=lambda t: falls.judged(t) and t.where(units=TURN).fitted,
            missed=[*falls.missed, Frame(late)],
        )
    ]
    for norm, name in NORMS.items():
        rising = norm in RISING
        goes, way = ("rises", "rises") if rising else ("goes on falling", "falls")
        told: dict[str, Any] = {
            "ours": lambda t, norm=norm: in_logs(t, OVER[norm], "units", "{:,} units: {}"),
            "numbers": lambda t, norm=norm: t.numbers_by(OVER[norm], "units"),
        }
        found += [
            _probed.at_equal_loss(
                Claim(
                    id=f"hidden_units.narrow.{norm}",
                    name=f"{name} falls up to 128 units",
                    where={"what": CAPACITY, "units": narrow},
                    statement=f"the {name} norm over the squared margin falls with the number of hidden units up to "
                    "128",
                    paper="all norms fall up to 128 units",
                    rule="the median over seeds of its logarithm falls from each width to the next up to 128 units; "
                    "widths without a positive margin in every seed are left out, and three must remain; not judged "
                    f"where a run ends above {STOP_LOSS} nats, as its margin is smaller for that reason, which was "
                    "added when the runs were known: before, it was judged all the same; judged on all 60,000 images",
                    holds=partial(falling, norm),
                    met=[narrower(norm, 3.0, 2.0, 1.0), narrower(norm, math.nan, 2.0, 1.0, 0.9)],
                    missed=[narrower(norm, 3.0, 2.0, 2.0)],
                    unjudged=[narrower(norm, math.nan, 2.0, 1.0)],
                    **told | paper,
                )
            ),
            _probed.at_equal_loss(
                ordered(
                    OVER[norm],
                    "units",
                    [[u] for u in (far if rising else reversed(far))],
                    id=f"hidden_units.wide.{norm}",
                    name=f"{name} {goes} beyond 128 units",
                    where={"what": CAPACITY, "units": far},
                    statement=f"the {name} norm over the squared margin {goes} with the number of hidden units beyond "
                    "128",
                    paper="beyond 128 units l2 and l1-path rise, l2-path and spectral go on falling",
                    rule=f"the median over seeds of its logarithm {way} from {far[0]} units to {far[1]:,} and from "
                    f"there to {far[2]:,}; not judged where a run ends above {STOP_LOSS} nats; judged on all 60,000 "
                    "images",
                    **told | paper,
                )
            ),
        ]
    return found
