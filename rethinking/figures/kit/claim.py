"""A claim, its rule, and made-up examples that the rule must judge as they say."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from math import inf
from typing import Any, NamedTuple

import pandas as pd

from rethinking import claims as verdicts
from rethinking.claims import CENSORED, exact
from rethinking.figures._subject import FULL
from rethinking.figures.kit.frame import FITTED, Condition, Frame, Numbers
from rethinking.figures.kit.measures import Measure, highest

HAIR = 2e-9
YES, NO, UNJUDGED = verdicts.REPLICATED, verdicts.NOT_REPLICATED, verdicts.NOT_JUDGED  # of an example


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a paper says, or what extends it, and when the runs bear it out.

    In the texts {names} stand for the values of `each`.

    Attributes:
        id: stable, as "fig1b.factor.{network}": what can be cited. name: its key in the drawn figure's file.
        source: paper and place. statement: in a sentence. paper: what the source reports. rule: when it holds, in
        words.
        holds: the rule, of the frame of the runs that it is about; None where it says nothing. finds: what holds, ours
        and numbers are given instead of the frame.
        reads: the measure that it rests on, with its unit and its key in the file: what the runs give is then its
        median and range. ours, numbers: that as text and as numbers, where it is more.
        where: coordinates of those runs. each: coordinates for whose every value there is such a claim.
        least_n, least_seeds: training images and seeds below which it is not judged; least_seeds may depend on the
        values of `each`, or where there are none on the figure's network.
        answer, asked: of other data or another network than the paper's, what holds in a word or two, "fitted", or a
        function of the frame that says what does and what does not; and the rule in words where it is not the same.
        own_network: on another network than the figure's own it is an extension.
        met, missed, unjudged: examples, of the first of `each`: frames that meet the rule, that miss it, and of which
        it says nothing. Of each condition of the rule there is one that misses it by a hair.
    """

    id: str
    name: str
    source: str
    statement: str
    paper: str
    rule: str
    holds: Callable[[Any], bool | None]
    finds: Callable[[Frame], Any] = lambda frame: frame
    reads: tuple[Measure, str, str] | None = None
    ours: Callable[[Any], str] | None = None
    numbers: Callable[[Any], Numbers] | None = None
    where: dict[str, Any] = field(default_factory=dict)
    each: dict[str, Sequence[Any]] = field(default_factory=dict)
    least_n: int = 1
    least_seeds: int | Callable[..., int] = 1
    answer: str | Callable[[Frame], str] = ""
    asked: str = ""
    own_network: bool = False
    met: Sequence[Frame] = ()
    missed: Sequence[Frame] = ()
    unjudged: Sequence[Frame] = ()

    @property
    def examples(self) -> list[tuple[Frame, str]]:
        """Every example with the verdict that it must get."""
        groups = ((YES, self.met), (NO, self.missed), (UNJUDGED, self.unjudged))
        return [(frame, verdict) for verdict, frames in groups for frame in frames]

    @property
    def measured(self) -> set[str]:
        """The columns of numbers that its examples have, those of measures and of coordinates."""
        names = {str(name) for frame, _ in self.examples for name in frame.data}
        return {name.removesuffix("_state") for name in names if name.endswith("_state")} & names

    def every(self, model: str = "") -> "list[Claim]":
        """One claim for each combination of `each`, texts and coordinates filled in. model: the figure's network."""
        out = []
        for values in product(*self.each.values()):
            one = dict(zip(self.each, values, strict=True))
            texts = {k: getattr(self, k).format(**one) for k in ("id", "name", "statement", "paper", "rule", "source")}
            texts["id"] = slug(texts["id"])
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
            text, numbers = frame.spread(measure, unit), {key: frame.numbers(measure)}
        found = self.finds(frame)
        told = self.numbers(found) if self.numbers else numbers
        finite = {k: [v if v is None or math.isfinite(v) else None for v in values] for k, values in told.items()}
        return self.ours(found) if self.ours else text, finite

    def answered(self, frame: Frame, holds: bool | None) -> str:
        """The answer of a complete frame: "not fitted"."""
        if callable(self.answer):
            return self.answer(frame)
        return f"{'' if holds else 'not '}{self.answer}" if self.answer else ""

    def judged(self, frame: Frame) -> bool | None:
        """Whether a complete frame meets the rule."""
        return self.holds(self.finds(frame))

    def verdict(self, frame: Frame) -> str:
        """The verdict on a complete frame."""
        holds = self.judged(frame)
        return UNJUDGED if holds is None else YES if holds else NO


def slug(name: str) -> str:
    """A name that can be cited and stand in a link: of small letters, digits, points and signs, "_" for the rest."""
    return re.sub(r"(?<=\.)_|_$", "", re.sub(r"[^a-z0-9.+-]+", "_", name.lower().replace("\N{MINUS SIGN}", "-")))


def fits(**texts: Any) -> Claim:
    """That every run was fitted: 99 % training accuracy at some evaluation, and not diverged. texts: of the claim."""
    measure = highest()
    usual: dict[str, Any] = {
        "holds": lambda t: t.fitted,
        "reads": (measure, " %", "highest training accuracy (%)"),
        "ours": lambda t: f"{t.spread(measure, ' %')} at the highest",
        "answer": lambda t: "fitted" if t.fitted else f"not fitted within {t.budget}",
        "met": [made(state=FITTED)],
        "missed": [made(state=[FITTED, CENSORED])],
    }
    return Claim(**usual | texts)


class Bound(NamedTuple):
    """Bounds of a measure in every seed: `least` and `most` count as met, `above` and `below` do not; to 1e-9.

    by_median: the median over seeds is judged instead.
    """

    measure: Measure
    least: float = -inf
    most: float = inf
    above: float = -inf
    below: float = inf
    by_median: bool = False

    def holds(self, t: Frame) -> bool:
        """Whether the runs lie within; without a number they do not."""
        values = [exact(v) for v in ([t.median(self.measure)] if self.by_median else t.values(self.measure))]
        least, most, above, below = map(exact, (self.least, self.most, self.above, self.below))
        return bool(values) and all(least <= v <= most and above < v < below for v in values)

    @property
    def examples(self) -> tuple[list[list[float]], list[list[float]]]:
        """Numbers of three seeds that meet it, and that miss it: by a hair, in a seed or in the median."""
        met, missed = [], []
        for edge, out in self.edges:
            met.append([edge, edge, out if self.by_median else edge])
            missed.append([out, out if self.by_median else edge, edge])
        return met, missed

    @property
    def edges(self) -> list[tuple[float, float]]:
        """For each bound a number that meets it by a hair, and one that misses it by a hair."""
        low = self.least if self.above == -inf else self.above + HAIR
        high = self.most if self.below == inf else self.below - HAIR
        return [(v, v + away) for v, away in ((low, -HAIR), (high, HAIR)) if math.isfinite(v)]


def bounded(*bounds: Bound, fitted: bool = True, at: Condition | None = None, key: str = "", **texts: Any) -> Claim:
    """That numbers lie within bounds, and that every run was fitted; it makes its own examples.

    Args:
        bounds: of the measure that is told, then of others. fitted: False where that is not asked. at: coordinates of
        the rows that are read. key: of the numbers in the figure's file, where it is not the measure's label. texts:
        of the claim.
    """
    rows, told = at or {}, bounds[0].measure

    def example(cells: dict[str, Any]) -> Frame:
        """Made up: three seeds that meet every bound, but for some cells."""
        return made(**{**rows, **{b.measure.name: [b.edges[0][0]] * 3 for b in bounds}, **cells})

    late = [example({"state": [FITTED, FITTED, CENSORED]})] if fitted else []
    usual: dict[str, Any] = {
        "holds": lambda t: all(b.holds(t.where(**rows)) for b in bounds) and (t.fitted or not fitted),
        "ours": lambda t: t.where(**rows).spread(told, told.unit),
        "numbers": lambda t: {key or told.label: t.where(**rows).numbers(told)},
        "met": [example({b.measure.name: values}) for b in bounds for values in b.examples[0]],
        "missed": late + [example({b.measure.name: values}) for b in bounds for values in b.examples[1]],
    }
    return Claim(**usual | texts)


def ordered(
    measure: Measure,
    by: str,
    groups: Sequence[Sequence[Any]],
    fitted: bool = False,
    censored: bool = False,
    at: Condition | None = None,
    **texts: Any,
) -> Claim:
    """That medians over seeds rise: those of the values of a coordinate in a group are all above the group before.

    Args:
        groups: values of `by`; those that have no run do not count. fitted: every run must be. censored: the medians
        of the last group may be. at: coordinates of the rows that are read. texts: of the claim.
    """
    rows = at or {}

    def holds(t: Frame) -> bool:
        middle = t.where(**rows).medians(measure, by)
        levels = [[middle[value] for value in group if value in middle] for group in groups]
        rising = all(max(low) < min(high) for low, high in pairwise(levels))
        return rising and (censored or max(levels[-1]) < inf) and (t.fitted or not fitted)

    steps = {value: k for k, group in enumerate(groups) for value in group}

    def example(state: str = FITTED, but: dict[Any, Any] | None = None) -> Frame:
        """Made up: every group a step above the one before, but for some numbers."""
        columns: dict[str, Any] = {by: list(steps), measure.name: list((steps | (but or {})).values())}
        return made(state=state, **rows, **columns)

    late = example(but={list(steps)[-1]: CENSORED})
    usual: dict[str, Any] = {
        "holds": holds,
        "numbers": lambda t: t.where(**rows).numbers_by(measure, by),
        "met": [example(), late] if censored else [example()],
        "missed": [
            *(example(but={value: k + 1}) for value, k in steps.items() if k < len(groups) - 1),
            *([] if censored else [late]),
            *([example(CENSORED)] if fitted else []),
        ],
    }
    return Claim(**usual | texts)


def along(measure: Measure, *rows: Sequence[float | str], state: str = FITTED) -> list[Frame]:
    """Examples: a measure's values over p, from 0 to 1 in equal steps, one seed.

    Args:
        rows: the values of one example each; a run whose value is CENSORED is so. state: of the other runs.
    """
    out = []
    for values in rows:
        places = [k / max(1, len(values) - 1) for k in range(len(values))]
        states = [CENSORED if v == CENSORED else state for v in values]
        columns: dict[str, Any] = {"p": places, measure.name: list(values), "state": states}
        out.append(made(**columns))
    return out


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
