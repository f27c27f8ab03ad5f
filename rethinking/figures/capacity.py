"""What limits memorization, size or values? Random labels fitted against width, with free and with restricted weights.

A network whose weights are {0, 1} or {-1, +1} times one scale a layer holds a bit a weight; a narrower one with free
weights holds fewer numbers of 32 bits. On the first layer, or on all of them.

    rethinking figure capacity                 500 images, one seed: minutes
    rethinking figure capacity --scale cpu     2,000 images, three seeds
"""

from typing import Any

from rethinking.claims import CENSORED
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import UNSTATED, labels
from rethinking.figures.kit import Claim, Frame, Grid, Lines, Table, final, listed, made, mostly, steps_to_fit
from rethinking.spec import EPOCH, Part, RunSpec

MODELS = ["mlp-3x512", "mlp-1x512"]
OTHER_DATA = True
CAPTION = "Training accuracy on random labels against width, with free weights and with weights held to two values."
THEIRS = (
    "The effective capacity of the networks suffices to memorize the data. The paper varies neither width nor the "
    "weights' values."
)
DEPARTURES = [
    "An extension: the paper varies neither width nor the weights' values.",
    "The learning rate is the paper's for the network at every width; biases stay free.",
    "cpu: 2,000 images, quick: 500; a run stops when every training example is right, or after 200 epochs (quick: "
    "100). paper: all 50,000 images, 64 epochs. Where a run is not fitted, its training accuracy mostly still rises "
    "then: with more epochs it may be.",
    "Restricted: straight-through gradients (BinaryConnect), one fixed scale a layer. Weights of {0, 1} have a "
    "positive mean, so that units grow from layer to layer, the more the wider: in all layers it may be training that "
    "fails.",
    UNSTATED,
]
WIDTHS = {"quick": (8, 64, 512), "cpu": tuple(2**k for k in range(1, 10)), "paper": (8, 32, 128, 512, 2048)}
IMAGES = {"quick": 500, "cpu": 2000}
EPOCHS = {"quick": 100, "cpu": 200, "paper": 64}
FREE, SIGNS, BITS = "free", "{−1, +1}, all layers", "{0, 1}, all layers"
KINDS: dict[str, tuple[str, int] | None] = {  # weights -> the values they are held to, and on which layer (0: all)
    FREE: None,
    "{−1, +1}, first layer": ("signs", 1),
    SIGNS: ("signs", 0),
    "{0, 1}, first layer": ("bits", 1),
    BITS: ("bits", 0),
}


def grid(setting: Setting) -> Grid:
    return Grid("{weights}, width {width}", weights=list(KINDS), width=WIDTHS[setting.scale])


def _parts(weights: str) -> tuple[Part, ...]:
    held = KINDS[weights]
    return (Part(name="restricted_weights", options={"values": held[0], "layer": held[1]}),) if held else ()


def spec(setting: Setting, seed: int, weights: str, width: int) -> RunSpec:
    n = setting.within(IMAGES.get(setting.scale, FULL))
    epoch = -(-n // 128)
    fields: dict[str, Any] = {"n": n, "corruptions": labels(1.0), "stop": "fitted", "eval_every": min(4 * epoch, EPOCH)}
    fields["steps"] = EPOCHS[setting.scale] * epoch
    return setting.spec(seed, model_options={"width": width}, regularizers=_parts(weights), **fields)


STEPS, TRAIN = steps_to_fit(), final("train_accuracy")
TABLE = Table("run", {"training accuracy (%)": TRAIN, "steps to 99 %": STEPS})
BY: dict[str, Any] = {"x": "width", "hue": "weights", "log": True, "xlabel": "units of each hidden layer"}
SAYS = "training accuracy, random labels (%)\nfine dotted: 99 %, fitted, and {:g} %, chance"


def panels(setting: Setting) -> list[Lines]:
    chance = setting.subject.chance
    dotted = [(99, ""), (chance, "")]
    label, legend = SAYS.format(chance), "outside right center"
    return [Lines(y=TRAIN, reference=dotted, ylabel=label, ylim=(0, 102), legend=legend, **BY)]


def notes(setting: Setting) -> list[str]:
    return [f"at several widths, with weights free or held to two values; at most {EPOCHS[setting.scale]} epochs"]


def fitting(t: Frame) -> list[int]:
    """The widths at which most seeds are fitted."""
    return [width for width, part in t.groups("width").items() if mostly(part, "fitted")]


def onward(t: Frame) -> bool:
    """Whether at every width that is wider than a fitted one most seeds are fitted, too."""
    found = fitting(t)
    return bool(found) and found == list(t.groups("width"))[-len(found) :]


def finding(t: Frame, network: str) -> str | None:
    if t.gone:
        return None
    (epochs,) = {round(most / -(-n // 128)) for most, n in zip(t.data["most_steps"], t.data["n"], strict=True)}
    words = {FREE: "free weights", SIGNS: "−1 and +1 alone", BITS: "0 and 1 alone"}

    def units(part: Frame) -> str:
        if not (found := fitting(part)):
            return "at no width"
        return f"from {found[0]} units on" if onward(part) else f"at {listed(map(str, found))} units"

    if not fitting(t):
        return f"Random labels are not fitted within {epochs} epochs at any width, with {listed(words.values())}"
    kinds = listed(f"with {words[k]} {units(t.where(weights=k))}" for k in words)
    return f"Random labels are fitted within {epochs} epochs {kinds}"


def where_fitted(t: Frame) -> str:
    if found := fitting(t):
        return f"from width {found[0]} on" if onward(t) else f"of the widths swept at {listed(map(str, found))}"
    middle = t.medians(TRAIN, "width")
    best = max(middle, key=lambda w: middle[w])
    return f"at none; {t.where(width=best).spread(TRAIN)} % at width {best}"


def compared(t: Frame) -> tuple[int, float, int | None] | None:
    """The widest width at which signs stay below 99 %, the accuracy there, the narrowest free weights to reach it."""
    signs, free = (t.where(weights=kind).medians(TRAIN, "width") for kind in (SIGNS, FREE))
    short = [w for w, accuracy in signs.items() if accuracy < 99]
    if not short:  # at the ceiling there is nothing to compare
        return None
    reached = signs[short[-1]]
    return short[-1], reached, next((w for w, accuracy in free.items() if accuracy >= reached), None)


def comparison(found: tuple[int, float, int | None] | None) -> str:
    if not found:
        return f"fitted at every width with {SIGNS}"
    width, reached, same = found
    where = f"width {same}" if same else "no width"
    return f"{reached:.2f} % with {SIGNS} at width {width}; free weights reach that at {where}"


def ended(*states: str, width: Any = 8) -> Frame:
    """Made up: how the runs of three seeds at a width stand."""
    return made(width=width, state=list(states), train_accuracy=90.0)


def accuracies(signs: list[float], free: list[float]) -> Frame:
    """Made up: training accuracies at widths 8, 16, ..., one seed."""
    widths = [8 * 2**k for k in range(len(signs))]
    kinds = [SIGNS] * len(signs) + [FREE] * len(free)
    return made(weights=kinds, width=widths * 2, train_accuracy=signs + free)


def claims(setting: Setting) -> list[Claim]:
    narrowest, epochs = WIDTHS[setting.scale][0], EPOCHS[setting.scale]
    least: dict[str, Any] = {"least_n": 2000, "least_seeds": 3}
    return [
        Claim(
            id="capacity.fitted.{weights}",
            name="{weights}: fitted",
            each={"weights": list(KINDS)},
            source="zhang2017, section 2.2, extended",
            statement="random labels are fitted at some width, weights {weights}",
            paper="the effective capacity suffices to memorize the data",
            rule="at one of the widths swept, most seeds reach 99 % training accuracy within the budget",
            holds=lambda t: bool(fitting(t)),
            ours=where_fitted,
            numbers=lambda t: {"narrowest width that fits": [float(w) for w in fitting(t)[:1]]},
            met=[ended("fitted", "fitted", CENSORED), ended(CENSORED, "fitted", width=[8, 16])],
            missed=[ended("fitted", CENSORED, CENSORED), ended("fitted", CENSORED), ended("diverged")],
            **least,
        ),
        Claim(
            id="capacity.size_limits",
            name="size limits",
            where={"weights": FREE, "width": narrowest},
            source="the project's own question",
            statement=f"at width {narrowest} even free weights do not memorize random labels within {epochs} epochs",
            paper="none",
            rule="no seed reaches 99 % training accuracy within the budget, and none diverges",
            holds=lambda t: set(t.data["state"]) == {CENSORED},
            reads=(TRAIN, " %", "training accuracy (%)"),
            met=[made(train_accuracy=[98.9, 20.0], state=CENSORED)],
            missed=[
                made(train_accuracy=[99.0, 20.0], state=["fitted", CENSORED]),
                made(train_accuracy=[10.0, 20.0], state=["diverged", CENSORED]),
            ],
            **least,
        ),
        Claim(
            id="capacity.values_limit",
            name="values limit",
            where={"weights": [SIGNS, FREE]},
            source="Yousan AI 2019, on capacity",
            statement=f"within {epochs} epochs weights of "
            "{{−1, +1}} in all layers memorize no more than free weights of a narrower network",
            paper="what values weights may take limits capacity, not only how many there are",
            rule="at the largest width where the median training accuracy over seeds with {{−1, +1}} is below 99 %, a "
            "narrower network of free weights reaches that median; accuracies are read at the end of the budget, or "
            "when fitted; a rule made after the runs",
            finds=compared,
            holds=lambda found: found and found[2] is not None and found[2] < found[0],
            ours=comparison,
            numbers=lambda found: {"width of free weights": [found[2] and float(found[2])]} if found else {},
            met=[
                accuracies([50.0, 90.0, 99.0], [90.0, 95.0, 99.0]),
                accuracies([50.0, 90.0, 98.9], [90.0, 98.9, 99.0]),
            ],
            missed=[
                accuracies([50.0, 90.0, 99.0], [89.9, 95.0, 99.0]),
                accuracies([50.0, 90.0, 98.9], [90.0, 98.8, 99.0]),
                accuracies([50.0, 90.0], [50.0, 89.9]),
            ],
            unjudged=[accuracies([99.0, 99.0], [90.0, 99.0])],
            **least,
        ),
    ]
