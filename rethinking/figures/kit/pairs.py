"""What is read off two runs together, and the order of conditions seed by seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rethinking.figures.kit.claim import NO, YES, Claim, Numbers, made
from rethinking.figures.kit.frame import Cell, Frame
from rethinking.figures.kit.measures import Measure, baselines
from rethinking.record import Record, Row


@dataclass(frozen=True)
class Paired(Measure):
    """A number of a run and its baseline, read together: `of` is given both records."""

    def cells(self, data: pd.DataFrame, records: Sequence[Record | None]) -> list[Cell]:
        """Its value for every row of a frame: None where the run, or its baseline, is missing."""
        places = baselines(data, dict(self.baseline))
        others = [None if place is None else records[place] for place in places]
        return [self.of(r, o) if r and o else None for r, o in zip(records, others, strict=True)]


def at_last_shared(name: str, label: str, of: Callable[[Row, Row], float], **baseline: Any) -> Measure:
    """Of the evaluations of a run and its baseline at the last step at which both used as many test images."""

    def read(record: Record, other: Record) -> float | str:
        first, second = ({(row["step"], row["test_images"]): row for row in r.rows} for r in (record, other))
        shared = max(first.keys() & second.keys(), default=None)
        return "no shared evaluation" if shared is None else of(first[shared], second[shared])

    return Paired(name, label, read, baseline=tuple(baseline.items()))


def always_higher(by: str, order: Sequence[str], measure: Measure, unit: str, least: float, **texts: Any) -> Claim:
    """That in every seed the first of `order` has a higher number than each of the others, and none is below `least`.

    Args:
        by: the coordinate whose values are in `order`. least: below it a run counts as not trained. texts: of the
        claim; its `where` without `by`.
    """
    name = measure.name

    def holds(t: Frame) -> bool:
        high, *others = (t.where(**{by: value}).values(name) for value in order)
        trained = min(min(values) for values in (high, *others)) >= least
        return trained and all(a > b for low in others for a, b in zip(high, low, strict=True))

    def ours(t: Frame) -> str:
        parts = {value: t.where(**{by: value}) for value in order}
        words = {value: "" if min(part.values(name)) >= least else " (not trained)" for value, part in parts.items()}
        return "; ".join(f"{value}: {part.spread(name)}{unit}{words[value]}" for value, part in parts.items())

    def numbers(t: Frame) -> Numbers:
        return {value: t.where(**{by: value}).numbers(name) for value in order}

    def example(first: Sequence[float], *others: Sequence[float]) -> Frame:
        """Made up: the numbers of each of `order`, two seeds; those after the given ones are as the last."""
        given = [first, *others, *[others[-1]] * (len(order) - 1 - len(others))]
        cells = [(value, v) for value, pair in zip(order, given, strict=True) for v in pair]
        columns: dict[str, Any] = {by: [value for value, _ in cells], name: [v for _, v in cells]}
        return made(**columns)

    low, middle, high = least, least + 10, least + 20
    examples = [
        (example([middle + 0.1, high + 0.1], [middle, high]), YES),
        (example([middle, high + 0.1], [middle, high]), NO),
        (example([middle, high], [low, low]), YES),
        (example([middle, high], [low - 0.1, low]), NO),
    ]
    if len(order) > 2:
        examples.append((example([middle, high], *[[low, low]] * (len(order) - 2), [middle, low]), NO))
    where = {**texts.pop("where", {}), by: list(order)}
    return Claim(holds=holds, ours=ours, numbers=numbers, where=where, examples=examples, **texts)
