"""A claim, its rule, and made-up examples that the rule must judge as they say."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import pandas as pd

from rethinking import claims as verdicts
from rethinking.claims import CENSORED
from rethinking.figures._subject import FULL
from rethinking.figures.kit.frame import FITTED, Frame
from rethinking.figures.kit.measures import Measure, highest

Numbers = dict[str, list[float | None]]
YES, NO, UNJUDGED = verdicts.REPLICATED, verdicts.NOT_REPLICATED, verdicts.NOT_JUDGED  # of an example


@dataclass(frozen=True)
class Claim:
    """What a paper says, or what extends it, and when the runs bear it out.

    In the texts {names} stand for the values of `each`.

    Attributes:
        id: stable, as "fig1b.factor.{network}": what can be cited. name: its key in the drawn figure's file.
        source: paper and place. statement: in a sentence. paper: what the source reports. rule: when it holds, in
        words.
        holds: the rule, of the frame of the runs that it is about; None where it says nothing.
        reads: the measure that it rests on, with its unit and its key in the file: what the runs give is then its
        median and range. ours, numbers: that as text and as numbers, where it is more.
        where: coordinates of those runs. each: coordinates for whose every value there is such a claim.
        least_n, least_seeds: training images and seeds below which it is not judged; least_seeds may depend on the
        values of `each`, or where there are none on the figure's network.
        answer, asked: of other data or another network than the paper's, what holds in a word or two, "fitted", and
        the rule in words where it is not the same.
        own_network: on another network than the figure's own it is an extension.
        examples: (frame, verdict) pairs, of the first of `each`; among them, for each condition of the rule, one that
        fails it by a hair.
    """

    id: str
    name: str
    source: str
    statement: str
    paper: str
    rule: str
    holds: Callable[[Frame], bool | None]
    reads: tuple[Measure, str, str] | None = None
    ours: Callable[[Frame], str] | None = None
    numbers: Callable[[Frame], Numbers] | None = None
    where: dict[str, Any] = field(default_factory=dict)
    each: dict[str, Sequence[Any]] = field(default_factory=dict)
    least_n: int = 1
    least_seeds: int | Callable[..., int] = 1
    answer: str = ""
    asked: str = ""
    own_network: bool = False
    examples: Sequence[tuple[Frame, str]] = ()

    def every(self, model: str = "") -> "list[Claim]":
        """One claim for each combination of `each`, texts and coordinates filled in. model: the figure's network."""
        out = []
        for values in product(*self.each.values()):
            one = dict(zip(self.each, values, strict=True))
            texts = {k: getattr(self, k).format(**one) for k in ("id", "name", "statement", "paper", "rule", "source")}
            texts["id"] = _slug(texts["id"])
            seeds = self.least_seeds
            if callable(seeds):
                seeds = seeds(**one) if one else seeds(model)
            out.append(replace(self, **texts, where=self.where | one, each={}, least_seeds=seeds))
        return out

    def summary(self, frame: Frame) -> tuple[str, Numbers]:
        """What the runs give, as text and as numbers; None where one is not finite."""
        text, numbers = "", Numbers()
        if self.reads:
            measure, unit, key = self.reads
            text, numbers = frame.spread(measure.name, unit), {key: frame.numbers(measure.name)}
        told = self.numbers(frame) if self.numbers else numbers
        finite = {k: [v if v is None or math.isfinite(v) else None for v in values] for k, values in told.items()}
        return self.ours(frame) if self.ours else text, finite

    def verdict(self, frame: Frame) -> str:
        """The verdict on a complete frame."""
        holds = self.holds(frame)
        if holds is None:
            return verdicts.NOT_JUDGED
        return verdicts.REPLICATED if holds else verdicts.NOT_REPLICATED


def _slug(name: str) -> str:
    """A name that can be cited and stand in a link: of small letters, digits, points and signs, "_" for the rest."""
    return re.sub(r"(?<=\.)_|_$", "", re.sub(r"[^a-z0-9.+-]+", "_", name.lower().replace("\N{MINUS SIGN}", "-")))


def fits(least_n: int = 1, **texts: Any) -> Claim:
    """That every run was fitted: 99 % training accuracy at some evaluation, and not diverged. texts: of the claim."""
    measure = highest()
    return Claim(
        holds=lambda t: t.fitted,
        reads=(measure, " %", "highest training accuracy (%)"),
        ours=lambda t: f"{t.spread(measure.name, ' %')} at the highest",
        least_n=least_n,
        answer="fitted",
        examples=[(made(state="fitted"), YES), (made(state=["fitted", "censored"]), NO)],
        **texts,
    )


def along(
    by: str,
    measure: Measure,
    met: Sequence[Any],
    missed: Sequence[Any],
    unfitted: Sequence[float] = (),
) -> list[tuple[Frame, str]]:
    """Examples of a rule on a measure over a coordinate from 0 to 1 in equal steps, one seed.

    Args:
        met, missed: lists of the measure's values that are met and missed; a run whose value is CENSORED is so.
        unfitted: values that are missed, but only as no run is fitted.
    """

    def one(values: Sequence[float | str], state: str = FITTED) -> Frame:
        places = [k / max(1, len(values) - 1) for k in range(len(values))]
        states = [CENSORED if v == CENSORED else state for v in values]
        columns: dict[str, Any] = {by: places, measure.name: list(values), "state": states}
        return made(**columns)

    late = [(one(unfitted, CENSORED), NO)] if unfitted else []
    return [*((one(v), YES) for v in met), *((one(v), NO) for v in missed), *late]


def hairs(base: dict[str, Any], *changes: dict[str, Any]) -> list[tuple[Frame, str]]:
    """Examples of a rule of several conditions: columns that just meet all, and changes of which each fails one.

    The columns are of `made`.
    """
    return [(made(**base), YES), *((made(**base | change), NO) for change in changes)]


def made(seeds: int = 1, **columns: Any) -> Frame:
    """A made-up frame for examples: columns of one length, or single values, repeated for every seed.

    A value that is text is a measure's state; "state" is that of the runs, fitted where it is not given.
    """
    length = max((len(v) for v in columns.values() if isinstance(v, list | tuple)), default=1)
    wide = {k: list(v) if isinstance(v, list | tuple) else [v] * length for k, v in columns.items()}
    rows = [{k: v[i] for k, v in wide.items()} | {"seed": seed} for i in range(length) for seed in range(seeds)]
    data = pd.DataFrame([{"state": FITTED, "all": FULL} | row for row in rows])
    for name in columns:
        cells = [row[name] for row in rows]
        if any(isinstance(v, int | float) for v in cells):
            data[f"{name}_state"] = [v if isinstance(v, str) else "" for v in cells]
            data[name] = [float("nan") if isinstance(v, str) else v for v in cells]
    return Frame(data)
