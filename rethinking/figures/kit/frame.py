"""Conditions, and the tidy frame of their runs: one row a condition and a seed."""

import math
import string
from collections.abc import Sequence
from itertools import product
from statistics import median
from typing import TYPE_CHECKING, Any

import pandas as pd

from rethinking.claims import CENSORED, spread, told
from rethinking.figures._subject import FULL
from rethinking.record import Record
from rethinking.record.frame import state

if TYPE_CHECKING:
    from rethinking.figures.kit.measures import Measure

MISSING, FITTED = "missing", "fitted"

Condition = dict[str, Any]
Cell = float | int | str | None  # a number, a state in words, None where the run is missing


class _Format(string.Formatter):
    """As str.format, but numbers and switches as readers write them: 25.0 is "25", True is "on"."""

    def format_field(self, value: Any, spec: str) -> str:
        if value is True and not spec:
            return "on"
        return super().format_field(value, spec or ("g" if isinstance(value, float) else ""))


class Grid:
    """The conditions of a figure: every combination of the coordinates' values, the last varying fastest.

    Args:
        label: a format string that names a condition, "{network}, p = {p:g}". coordinates: a name -> its values.
    """

    def __init__(self, label: str, **coordinates: Sequence[Any]):
        self.label_format, self.coordinates = label, {k: list(v) for k, v in coordinates.items()}

    def __iter__(self):
        names = list(self.coordinates)
        return (dict(zip(names, values, strict=True)) for values in product(*self.coordinates.values()))

    def label(self, condition: Condition) -> str:
        """What the condition is called."""
        return _Format().format(self.label_format, **condition)


class Conditions(Grid):
    """The conditions of a figure, listed: for coordinates of which not every combination is run.

    Args:
        label: as of Grid. conditions: each with the same coordinates in the same order.
    """

    def __init__(self, label: str, conditions: Sequence[Condition]):
        self.conditions = list(conditions)
        names = self.conditions[0] if self.conditions else {}
        super().__init__(label, **{k: list(dict.fromkeys(c[k] for c in self.conditions)) for k in names})

    def __iter__(self):
        return iter(self.conditions)


def state_of(record: Record | None) -> str:
    """How a run stands: missing, or as a record's state is: diverged, censored or fitted."""
    return MISSING if record is None else state(record)


class Frame:
    """Runs as a tidy table.

    Attributes:
        data: a pandas frame with the coordinates, seed, n, all (the training images that the set has), run (its id),
        state, and for every measure two columns: its
        name, a float that is NaN where there is no number, and <name>_state, which then says why: missing, censored,
        diverged, or a word of the measure's own.
    """

    def __init__(self, data: pd.DataFrame):
        self.data = data

    @classmethod
    def of(
        cls,
        runs: Sequence[tuple[Condition, int, int | None, str, Record | None]],
        measures: "Sequence[Measure]",
        full: int = FULL,
    ) -> "Frame":
        """From (condition, seed, n, run id, record or None) of every run. full: training images of the data set."""
        rows = [
            c | {"seed": seed, "n": n, "all": full, "run": run, "state": state_of(r)} for c, seed, n, run, r in runs
        ]
        data = pd.DataFrame(rows)
        for measure in measures:
            cells = measure.cells(data, [r for *_, r in runs])
            data[measure.name] = [float(v) if isinstance(v, int | float) else math.nan for v in cells]
            data[f"{measure.name}_state"] = [MISSING if v is None else v if isinstance(v, str) else "" for v in cells]
        return cls(data)

    def where(self, **coordinates: Any) -> "Frame":
        """The rows with these coordinates; a list of values means any of them."""
        data = self.data
        for name, value in coordinates.items():
            data = data[data[name].isin(value if isinstance(value, list | tuple) else [value])]
        return Frame(data)

    @property
    def fitted(self) -> bool:
        """Whether every run was."""
        return bool((self.data["state"] == FITTED).all())

    def cells(self, name: str, whole: bool = False) -> list[Cell]:
        """A measure's values by row: numbers, state words, None where missing. whole: as integers."""
        pairs = zip(self.data[name], self.data[f"{name}_state"], strict=True)
        numbers = ((int(v) if whole and not math.isnan(v) else v, state) for v, state in pairs)
        return [None if state == MISSING else state or v for v, state in numbers]

    def values(self, name: str) -> list[float]:
        """A measure's values; a censored one is above every number, a missing one is left out, others are NaN."""
        pairs = zip(self.data[name], self.data[f"{name}_state"], strict=True)
        return [math.inf if state == CENSORED else v for v, state in pairs if state != MISSING]

    def median(self, name: str) -> float:
        """The median of `values`; NaN where one of them is."""
        values = self.values(name)
        return math.nan if any(map(math.isnan, values)) else median(values)

    def medians(self, name: str, by: str) -> dict[Any, float]:
        """`median` for every value of a coordinate, in order of appearance."""
        return {value: self.where(**{by: value}).median(name) for value in self.data[by].unique()}

    def names(self, by: str) -> pd.Series:
        """What each row is called. by: a coordinate, or a format string of several."""
        if "{" not in by:
            return self.data[by]
        return pd.Series([_Format().format(by, **row) for row in self.data.to_dict("records")], self.data.index)

    def groups(self, by: str) -> "dict[Any, Frame]":
        """The rows for every value of a coordinate, or of a format string of several, in order of appearance."""
        names = self.names(by)
        return {value: Frame(self.data[names == value]) for value in names.unique()}

    def spread(self, name: str, unit: str = "") -> str:
        """Median and range as text."""
        return spread(self.values(name), unit=unit)

    def text(self, name: str, whole: bool = False) -> str:
        """Median, range and states as text."""
        return told(self.cells(name, whole))

    def numbers(self, name: str, whole: bool = False) -> list[float | None]:
        """The values, None where there is no number: for JSON. whole: as integers."""
        return [(int(v) if whole else v) if math.isfinite(v) else None for v in self.values(name)]


def mostly(runs: Frame, state: str) -> bool:
    """Whether most of the runs are in that state."""
    return 2 * int((runs.data["state"] == state).sum()) > len(runs.data)
