"""Measures of runs of any kind: the columns that the kind has."""

import math
from collections.abc import Callable
from typing import Any

from rethinking.figures.kit.measures import UNMEASURED, Measure
from rethinking.record import Record, Row


def column(name: str, label: str = "", factor: float = 1, form: str = "", at: tuple[str, ...] = ()) -> Measure:
    """A column of the last row, times a factor; the state "none" where the run has no such row, or no such column.

    Args:
        label: of an axis. form: in tables. at: coordinates that are columns too: the row has the condition's values.
    """

    return of_row(name, lambda row: factor * row[name], label, form, at)


def of_row(name: str, of: Callable[[Row], float], label: str = "", form: str = "", at: tuple[str, ...] = ()) -> Measure:
    """The same of what a function makes of the row; it raises KeyError where the kind has not the columns."""

    def read(record: Record, **values: Any) -> float | str:
        rows = [row for row in record.rows if all(row.get(key) == value for key, value in values.items())]
        try:
            return of(rows[-1]) if rows else UNMEASURED
        except KeyError:
            return UNMEASURED

    return Measure(name, label or name, read, parameters=at, form=form)


def falls(name: str, above: float) -> Measure:
    """-d log / d epoch of a column over the later half of what lies above a value; "none" where it does not fall."""

    def of(record: Record) -> float | str:
        pairs = zip(record.curve.get("epoch", []), record.curve.get(name, []), strict=False)
        kept = [(epoch, math.log(v)) for epoch, v in pairs if v > above]
        kept = kept[len(kept) // 2 :]
        if len(kept) < 2 or kept[0][0] == kept[-1][0]:
            return UNMEASURED
        rate = (kept[0][1] - kept[-1][1]) / (kept[-1][0] - kept[0][0])
        return rate if rate > 0 else UNMEASURED

    return Measure(f"{name}_falls", f"-d log {name} / d epoch", of, form="{:.1e}")
