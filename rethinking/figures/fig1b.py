"""Figure 1(b): the time to fit grows by a small constant factor as labels are corrupted.

[zhang2017] Figure 1(b): steps to fit the training set at label corruption p, relative to p = 0, for Inception, AlexNet
and MLP 1x512: between 1 and 4. Every network starts fresh at every p. "Fitted" is the first evaluation with 99 %
training accuracy; a run that does not get there is drawn as censored, never as a number.

    rethinking figure fig1b                   reduced; `rethinking plan` says how long
    rethinking figure fig1b --scale cpu       MLP 1x512 on all 50,000 images, the others reduced: hours
    rethinking figure fig1b --scale paper     the paper's sizes: days on two cores, for a GPU
"""

from rethinking.claims import CENSORED
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import BUDGET, LEVELS, UNSTATED, labels, least_seeds
from rethinking.figures.kit import NO, YES, Claim, Frame, Grid, Lines, Table, made, relative, steps_to_fit
from rethinking.spec import RunSpec

MODELS = ["all"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
OTHER_DATA = True
CAPTION = "Steps to 99 % training accuracy relative to p = 0 of the same seed, against label corruption p."
DEPARTURES = [
    '"Fitted" is the first evaluation with 99 % training accuracy; the paper names no rule.',
    UNSTATED,
    "The time is known to one evaluation: an epoch at full size, four epochs where reduced.",
    BUDGET,
    "quick, and Inception and AlexNet at cpu: fewer images.",
]
NETWORKS = ["inception", "alexnet", "mlp-1x512"]
GRID = Grid("{network}, p = {p:g}", network=NETWORKS, p=LEVELS)


def seeds(setting: Setting, network: str, p: float) -> range:
    return setting.seeds_of(network)


def spec(setting: Setting, seed: int, network: str, p: float) -> RunSpec:
    if network == "inception" and p == 0 and seed == 0:  # goes on to the end: a row of Table 1
        return setting.spec(seed, model=network)
    return setting.until_fitted(seed, model=network, corruptions=labels(p))


STEPS, RATIO = steps_to_fit(), relative(steps_to_fit(), p=0.0)
TABLE = Table("run", {"steps": STEPS, "ratio": RATIO})


def panels(setting: Setting) -> list[Lines]:
    whose = "the paper's range, " if setting.papers else ""
    return [
        Lines(
            x="p",
            y=RATIO,
            hue="network",
            named=True,
            band=(1, 4, f"{whose}1 to 4"),
            xlabel="label corruption p",
            ylabel="time to fit relative to p = 0 (ratio of steps)",
            ylim=(0, None),
            legend="upper left",
        )
    ]


def small(t: Frame) -> bool:
    middle = t.medians(RATIO.name, "p")
    return all(1 <= v <= 4 for v in middle.values()) and middle[1.0] > 1


def at(*levels: float):
    return lambda t: ", ".join(f"at p = {p:g} {t.where(p=p).text(RATIO.name)}" for p in levels)


def numbers(t: Frame) -> dict[str, list[float | None]]:
    return {f"p = {p:g}": part.numbers(RATIO.name) for p, part in t.groups("p").items()}


def ratios(*values: float | str) -> Frame:
    """Made up: p from 0 in equal steps, one seed."""
    state = ["censored" if v == CENSORED else "fitted" for v in values]
    return made(p=[k / (len(values) - 1) for k in range(len(values))], steps_ratio=list(values), state=state)


CLAIMS = [
    Claim(
        id="fig1b.factor.{network}",
        name="constant factor, {network}",
        each={"network": NETWORKS},
        source="zhang2017, Figure 1(b)",
        statement="corrupted labels slow the fit of {network} by a small constant factor",
        paper="between 1 and 4, for every p",
        rule="medians over seeds between 1 and 4 at every p, above 1 at p = 1; a censored run is above 4; "
        "p = 0 is always fitted",
        holds=small,
        ours=at(0.5, 1.0),
        numbers=numbers,
        least_n=FULL,
        least_seeds=least_seeds,
        examples=[
            (ratios(1.0, 2.0, 4.0), YES),
            (ratios(1.0, 2.0, 4.01), NO),
            (ratios(1.0, 0.99, 2.0), NO),
            (ratios(1.0, 2.0, 1.0), NO),
            (ratios(1.0, 2.0, CENSORED), NO),
            (ratios(1.0, 2.0, "p = 0 censored"), NO),
        ],
    ),
    Claim(
        id="fig1b.slower.{network}",
        name="slower, {network}",
        each={"network": NETWORKS},
        where={"p": [0.0, 1.0]},
        source="zhang2017, Figure 1(b)",
        statement="{network} fits random labels more slowly than true ones",
        paper="slower, for every network",
        rule="the median over seeds of the ratio at p = 1 is above 1, every run fitted; from n = 2,000 on",
        holds=lambda t: t.fitted and t.where(p=1.0).median(RATIO.name) > 1,
        ours=at(1.0),
        numbers=numbers,
        least_n=2000,
        least_seeds=least_seeds,
        examples=[
            (ratios(1.0, 1.01), YES),
            (ratios(1.0, 1.0), NO),
            (ratios(1.0, CENSORED), NO),
        ],
    ),
]
