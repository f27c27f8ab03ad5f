"""Is what is not fitted within the budget fitted later? Random labels at two and eight times the budget.

A run that is censored says nothing on longer ones. Here some are given more: what slows random labels beyond 5 times
the baseline's time either delays their memorization or stops it, as far as a longer budget tells.

    rethinking figure budgets                 500 images, one seed: minutes
    rethinking figure budgets --scale cpu     2,000 images (alexnet 1,000), three seeds: an hour or two beyond dose
"""

from dataclasses import replace
from typing import Any

from rethinking.claims import CENSORED
from rethinking.figures import Setting, _sweeps
from rethinking.figures._sweeps import BASELINE, CHANGE, LEAST, NETWORKS, RANDOM, SHARE, STEPS, TRUE, budget, images_of
from rethinking.figures.kit import Bound, Claim, Conditions, Frame, Spans, bounded, fits, listed, made, mostly
from rethinking.spec import RunSpec

CAPTION = "Time to fit random labels and bits memorized, at once, twice and eight times the budget."
FEWER = 1000
DROPOUT = (0.2, 0.5, 0.7, 0.8, 0.9)
# (network, regularizer, strengths, times the budget) on random labels
FOLLOWED: list[tuple[str, str, tuple[float, ...], int]] = [
    ("mlp-3x512", "dropout", (0.5,), 2),
    ("mlp-3x512", "rotation", (45.0,), 2),
    ("alexnet", "dropout", (0.5,), 2),
    ("resnet-20", "stochastic_depth", (0.7, 0.9, 1.0), 2),
    ("mlp-3x512", "l1", (0.003,), 8),
    ("mlp-3x512", "max_norm", (0.25,), 8),
    ("mlp-3x512", "weight_decay", (0.1,), 8),
    ("mlp-3x512", "backdrop", (0.8,), 8),
    ("mlp-3x512", "dropconnect", (0.9,), 8),
    ("mlp-3x512", "dropout", (0.7,), 8),
    ("mlp-3x512", "dropout with batch_norm", (0.5,), 8),
    ("mlp-3x512", "rotation", (90.0,), 8),
    ("mlp-3x512", "disturb_label", (0.4, 0.6, 0.8), 8),
    ("mlp-3x512", "gradient_noise", (0.1,), 8),
]
# Of these strengths those at which not fitting random labels cost no test accuracy.
FREE = {(network, name, v) for network, name, strengths, times in FOLLOWED if times == 2 for v in strengths}
# Those which were not fitted then, judged as they stand beside those which were.
NOT_THEN: list[tuple[str, str, tuple[float, ...], int]] = [("mlp-3x512", "dropout", (0.7, 0.8), 2)]
THEIRS = "Nothing on budgets: the paper does not say how long it trained where a network fails to converge."
DEPARTURES = _sweeps.departures(
    "Which strengths are run for longer was chosen after the runs at one budget. Twice the budget: those that were not "
    "fitted and cost no test accuracy, and dropout, whose threshold had moved in a trial. Eight times: on mlp-3x512, "
    "those that were not fitted though true labels were learned to more than twice chance, and dropout with batch norm "
    "before it.",
    "They are a selection: the share of them that is fitted later is not that of all strengths that are not fitted.",
    "Runs of one condition and seed with different budgets are the same, step for step, until the shorter one ends.",
)
ONWARD = "(trained on)"  # a baseline on true labels, to the end of the budget, every example being right before


def _networks(setting: Setting) -> tuple[str, ...]:
    return NETWORKS[:1] if setting.scale == "quick" else NETWORKS


def grid(setting: Setting) -> Conditions:
    networks = _networks(setting)
    mlp, plain, random, both = NETWORKS[0], BASELINE["strength"], ["random"], ["random", "true"]
    wanted: list[tuple[str, str, Any, int, list[str], int | None]] = [
        *((network, "none", plain, 1, both, None) for network in networks),
        *((network, "none", ONWARD, 1, ["true"], None) for network in networks),
        (mlp, "none", plain, 2, both, None),
        *((mlp, "dropout", v, times, both, None) for v in DROPOUT for times in (1, 2)),
    ]
    for network, name, strengths, most in (each for each in FOLLOWED if each[0] in networks):
        wanted += [(network, name, v, times, random, None) for v in strengths for times in (1, most)]
    if setting.scale == "cpu":
        wanted += [(mlp, "none", plain, 1, both, FEWER), *((mlp, "dropout", v, 1, both, FEWER) for v in DROPOUT)]
    rows: list[dict[str, Any]] = []
    for network, name, strength, times, words, n in wanted:
        one = _sweeps.condition(network, name, strength, times) | {"images": n or images_of(setting, network)}
        rows += [row for word in words if (row := one | {"labels": word}) not in rows]
    return Conditions(_sweeps.LABEL + ", {images:,} images", rows)


seeds = _sweeps.seeds


def spec(setting: Setting, seed: int, images: int, strength: Any, **condition: Any) -> RunSpec:
    run = _sweeps.spec(setting, seed, strength=strength, n=images, **condition)
    return run.replace(stop="budget") if strength == ONWARD else run


ROW = _sweeps.NAME + ", {images:,} images"
TABLE = _sweeps.table(ROW + ", {times} x the budget")
HEIGHT = 6.4


def panels(setting: Setting) -> list[Spans]:
    alike = "once, twice, 8 times the budget"
    return _sweeps.panels(setting, ROW, longest=60, shades="times", alike=alike)[:2]


def notes(setting: Setting) -> list[str]:
    return [budget(setting), "after a row's name: times this budget"]


def finding(t: Frame, network: str) -> str | None:
    """Of what is followed: how much is fitted in the longest runs that every seed has, and is not within the budget.

    What diverges is left out: it is not trained any longer.
    """
    early, chosen, others = 0, list[bool](), list[bool]()
    for part in Frame(t.where(**RANDOM).data.query("regularizer != 'none'")).groups(ROW).values():
        there = [times for times, runs in part.groups("times").items() if not runs.gone]
        if 1 not in there or max(there) == 1 or mostly(part.where(times=1), "diverged"):
            continue
        if mostly(part.where(times=1), "fitted"):
            early += 1
        else:
            free = tuple(part.data[["network", "regularizer", "strength"]].iloc[0]) in FREE
            (chosen if free else others).append(mostly(part.where(times=max(there)), "fitted"))
    late = [*chosen, *others]
    if not late:
        every = (
            "Random labels are fitted within the budget at every strength without divergence that was run for longer"
        )
        return None if t.gone or not early else every
    kinds = [f"{sum(chosen)} of {len(chosen)} that cost no test accuracy"] * bool(chosen)
    kinds += [f"{sum(others)} of {len(others)} others"] * bool(others)
    return (
        f"Of {len(late)} strengths without divergence that leave random labels unfitted, run for longer, "
        f"{sum(late)} are fitted then: {', '.join(kinds)}"
    )


def boundary(t: Frame) -> dict[int, tuple[Any, Any]]:
    """By number of images the weakest strength at which most seeds are not fitted, and the one before it, or None."""
    out = {}
    for n, part in t.groups("images").items():
        strengths = list(part.groups("strength"))
        late = next((k for k, v in enumerate(strengths) if not mostly(part.where(strength=v), "fitted")), None)
        after = None if late is None else strengths[late]
        out[n] = after, strengths[-1] if late is None else strengths[late - 1] if late else None
    return out


def between(found: dict[int, tuple[Any, Any]]) -> str:
    """Where each lies, of the strengths that were tried."""

    def told(late: Any, early: Any) -> str:
        if late is None:
            return f"above {early:g}"
        return f"at most {late:g}" if early is None else f"above {early:g} and at most {late:g}"

    return ", ".join(f"{told(*ends)} on {n:,} images" for n, ends in found.items())


def states(*rows: str) -> Frame:
    """Made up: for each number of images the states of three seeds at three strengths: f is fitted, c censored."""
    cells = [(n, k // 3, {"f": "fitted", "c": CENSORED}[c]) for n, row in enumerate(rows) for k, c in enumerate(row)]
    images, strengths, found = zip(*cells, strict=True)
    return made(images=images, strength=strengths, state=found)


def claims(setting: Setting) -> list[Claim]:
    networks = _networks(setting)
    delays = [
        replace(
            fits(
                id=f"budgets.delays.{network}.{name.replace(' ', '_')}-{strength:g}"
                + f".{times}_times" * (each in NOT_THEN),
                name=f"{name} {strength:g}, {network}" + f", {times} times" * (each in NOT_THEN),
                where={"network": network, "regularizer": name, "strength": strength, "times": times, **RANDOM},
                source="zhang2017, section 3, extended",
                statement=f"with {name} {strength:g} {network} memorizes random labels within {times} times the budget",
                paper="regularization does not stop memorization",
                rule=f"random labels are fitted (99 % training accuracy at some evaluation) within {times} times the "
                f"budget in every seed; a rule {'made after the runs' if times == 2 else 'fixed before the runs'}",
            ),
            ours=lambda t: f"steps: {t.text(STEPS, whole=True)}; share of the bits: {t.text(SHARE)}",
            **LEAST,
        )
        for each in (*FOLLOWED, *NOT_THEN)
        for network, name, strengths, times in [each]
        if network in networks
        for strength in strengths
    ]
    trained_on = [
        bounded(
            Bound(CHANGE, above=-1, below=1),
            at={"strength": ONWARD},
            id=f"budgets.trained_on.{network}",
            name=f"trained on, {network}",
            where={
                "network": network,
                "images": images_of(setting, network),
                "regularizer": "none",
                "times": 1,
                **TRUE,
            },
            source="the project's own question",
            statement=f"{network} gains little test accuracy from further training once every example is right",
            paper="none",
            rule="on true labels and without a regularizer every run is fitted, and training on to the end of the "
            "budget changes test accuracy by less than 1 point in every seed (a regularizer that slows the fit also "
            "trains longer; this bounds what longer training alone can gain); a rule made after the runs",
            key="change (points)",
            **LEAST,
        )
        for network in networks
    ]
    fewer = Claim(
        id="budgets.fewer_images",
        name=f"dropout, n = {FEWER:,}",
        where={"regularizer": "dropout", "network": NETWORKS[0], "times": 1, **RANDOM},
        source="the project's own question",
        statement=f"of the rates of dropout {listed(f'{v:g}' for v in DROPOUT)}, the lowest with which random labels "
        f"are not fitted within the budget is the same on {FEWER:,} images as on 2,000",
        paper="none",
        rule="the lowest rate tried at which most seeds stay below 99 % training accuracy on random labels, within the "
        "budget, which is 5 times the baseline's time with seed 0, is the same for both numbers of images",
        finds=boundary,
        holds=lambda found: len({late for late, _ in found.values()}) == 1,
        ours=between,
        met=[states("fffffcccc", "ffffcfccc")],
        missed=[states("fffffcccc", "ffffccccc"), states("fffffcccc", "fffffffff")],
        **LEAST,
    )
    return [*delays, *trained_on, *([fewer] if setting.scale == "cpu" else [])]
