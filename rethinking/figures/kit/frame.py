"""Conditions, and the tidy frame of their runs: one row a condition and a seed."""

import math
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import product
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from rethinking.claims import CENSORED, DIVERGED, spread, told
from rethinking.errors import InputError
from rethinking.figures._subject import FULL
from rethinking.record import Record
from rethinking.record.frame import state

if TYPE_CHECKING:
    from rethinking.figures.kit.measures import Measure

MISSING, FITTED, COMPUTED = "missing", "fitted", "computed"


class Untold(Exception):
    """A number that a finding tells is not there: a run is missing, or has none."""


Condition = dict[str, Any]
Cell = float | int | str | None  # a number, a state in words, None where the run is missing
Numbers = dict[str, list[float | None]]
Read: TypeAlias = "Measure | str"
Naming = str | Callable[..., str]  # what names a row: a coordinate, a format string of several, or a function of them


class _Format(string.Formatter):
    """As str.format, but numbers and switches as readers write them: 25.0 is "25", True is "on"."""

    def format_field(self, value: Any, spec: str) -> str:
        if value is True and not spec:
            return "on"
        return super().format_field(value, spec or ("g" if isinstance(value, float) else ""))


class Conditions:
    """The conditions of a figure, listed: not every combination of coordinates is run, nor need all have the same.

    Args:
        label: what names a condition, "{network}, p = {p:g}". conditions: in order.
    """

    def __init__(self, label: Naming, conditions: Iterable[Condition]):
        self.naming, self.conditions = label, list(conditions)

    def __iter__(self) -> Iterator[Condition]:
        return iter(self.conditions)

    @property
    def coordinates(self) -> dict[str, list[Any]]:
        """The values of every coordinate, in order of appearance."""
        pairs = dict.fromkeys((name, value) for condition in self for name, value in condition.items())
        return {name: [v for other, v in pairs if other == name] for name, _ in pairs}

    def label(self, condition: Condition) -> str:
        """What the condition is called."""
        return _name(self.naming, condition)


class Grid(Conditions):
    """Every combination of the coordinates' values, the last varying fastest.

    Args:
        label: as of Conditions. coordinates: a name -> its values.
    """

    def __init__(self, label: Naming, **coordinates: Iterable[Any]):
        combined = product(*coordinates.values())
        super().__init__(label, (dict(zip(coordinates, values, strict=True)) for values in combined))


def _name(naming: Naming, row: Condition) -> str:
    return _Format().format(naming, **row) if isinstance(naming, str) else naming(**row)


def state_of(record: Record | None) -> str:
    """How a run stands: missing; as a record's state is: diverged, censored or fitted; computed, if nothing trained."""
    if record is None:
        return MISSING
    return state(record) if "train_accuracy" in record.curve else COMPUTED


def _most(record: Record | None) -> float:
    return getattr(getattr(record, "spec", None), "steps", math.nan)


class Frame:
    """Runs as a tidy table.

    Attributes:
        data: a pandas frame with the coordinates, seed, n, all (the training images that the set has), run (its id),
        state, most_steps (that it may take; NaN where it is missing, or has none), and for every measure two
        columns: its name, a float that is NaN where there is no number, and <name>_state, which then says why: missing,
        censored, diverged, or a word of the measure's own.

    Methods take a measure, or its name.
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
        coordinates = dict.fromkeys(name for condition, *_ in runs for name in condition)  # None where it has none
        every = [dict.fromkeys(coordinates) | condition for condition, *_ in runs]
        facts = [
            {"seed": seed, "n": n, "all": full, "run": run, "state": state_of(r), "most_steps": _most(r)}
            for _, seed, n, run, r in runs
        ]
        rows = [c | own for c, own in zip(every, facts, strict=True)]
        data = pd.DataFrame(rows)
        read: dict[str, list[Any]] = {}
        for measure in measures:
            if measure.name in coordinates:
                raise ValueError(f"a measure and a coordinate are both called {measure.name!r}: rename one")
            cells = measure.cells(data, [r for *_, r in runs])
            read[measure.name] = [float(v) if isinstance(v, int | float) else math.nan for v in cells]
            read[f"{measure.name}_state"] = [MISSING if v is None else v if isinstance(v, str) else "" for v in cells]
        data = pd.concat([data, pd.DataFrame(read, index=data.index)], axis=1)
        texts = data.select_dtypes("string").columns
        data[texts] = data[texts].astype(object)
        return cls(data.copy())  # a block a type: rows are chosen much faster than of a block a column

    def where(self, **coordinates: Any) -> "Frame":
        """The rows with these coordinates; a list of values means any of them."""
        chosen = None
        for name, value in coordinates.items():
            one = self.data[name].isin(value if isinstance(value, list | tuple) else [value])
            chosen = one if chosen is None else chosen & one
        return Frame(self.data if chosen is None else self.data[chosen])

    @property
    def fitted(self) -> bool:
        """Whether every run was."""
        return bool((self.data["state"] == FITTED).all())

    @property
    def budget(self) -> str:
        """The runs' budget in words, with its steps where that is one known number."""
        steps = set(self.data["most_steps"].dropna()) if "most_steps" in self.data else set()
        return f"its budget of {steps.pop():,.0f} steps" if len(steps) == 1 else "its budget"

    def cells(self, measure: Read, whole: bool = False) -> list[Cell]:
        """Its values by row: numbers, state words, None where missing. whole: as integers.

        A time that is censored as the run diverged is DIVERGED; `values` has both above every number.
        """
        numbers = ((int(v) if whole and not math.isnan(v) else v, state) for v, state in self._pairs(measure))
        plain = [None if state == MISSING else state or v for v, state in numbers]
        return [ended(v, state) for v, state in zip(plain, self.data["state"], strict=True)]

    def _pairs(self, measure: Read) -> Iterable[tuple[float, str]]:
        name = measure if isinstance(measure, str) else measure.name
        if name not in self.data:
            raise InputError(f"a rule reads {name!r}, which the figure does not measure: put that into its MEASURES")
        return zip(self.data[name], self.data[f"{name}_state"], strict=True)

    def values(self, measure: Read) -> list[float]:
        """Its values; a censored one is above every number, a missing one is left out, others are NaN."""
        return [math.inf if state == CENSORED else v for v, state in self._pairs(measure) if state != MISSING]

    def median(self, measure: Read) -> float:
        """The median of `values`; NaN where one of them is."""
        values = self.values(measure)
        return math.nan if any(map(math.isnan, values)) else median(values)

    def one(self, measure: Read, **coordinates: Any) -> float:
        """The median of the rows with these coordinates. Raises Untold where one is missing, or it is no number."""
        part = self.where(**coordinates)
        pairs = list(part._pairs(measure))
        if part.gone or not pairs or any(state == MISSING for _, state in pairs):
            raise Untold
        value = part.median(measure)
        if not math.isfinite(value):
            raise Untold
        return value

    def known(self, measure: Read, by: str, **coordinates: Any) -> dict[Any, float]:
        """`one` for every value of a coordinate for which there is one. Raises Untold where there is none."""
        out = {}
        for value, part in self.where(**coordinates).groups(by).items():
            with suppress(Untold):
                out[value] = part.one(measure)
        if not out:
            raise Untold
        return out

    @property
    def gone(self) -> bool:
        """Whether a run is missing."""
        return MISSING in set(self.data["state"])

    def medians(self, measure: Read, by: str) -> dict[Any, float]:
        """`median` for every value of a coordinate, in order of appearance."""
        return {value: part.median(measure) for value, part in self.groups(by).items()}

    def names(self, by: Naming) -> pd.Series:
        """What names each row."""
        if isinstance(by, str) and "{" not in by:
            return self.data[by]
        return pd.Series([_name(by, row) for row in self.data.to_dict("records")], self.data.index, dtype=object)

    def groups(self, by: Naming) -> "dict[Any, Frame]":
        """The rows of every name, in order of appearance."""
        names = self.names(by)
        rows = names.groupby(names, sort=False).indices
        return {name: Frame(self.data.iloc[rows.get(name, [])]) for name in names.unique()}

    def spread(self, measure: Read, unit: str = "") -> str:
        """Median and range as text, and the states of values that are no number."""
        values = self.values(measure)
        if all(map(math.isfinite, values)):
            return spread(values, unit=unit)
        return told(self.cells(measure), form="{:,.2f}" + unit * (math.inf not in values))  # times have no unit

    def text(self, measure: Read, whole: bool = False) -> str:
        """Median, range and states as text."""
        return told(self.cells(measure, whole))

    def numbers(self, measure: Read, whole: bool = False) -> list[float | None]:
        """The values, None where there is no number: for JSON. whole: as integers."""
        return [(int(v) if whole else v) if math.isfinite(v) else None for v in self.values(measure)]

    def numbers_by(self, measure: Read, by: Naming, key: str = "{}", whole: bool = False) -> Numbers:
        """`numbers` for every value of a coordinate, by `key`, a format string of the value."""
        return {key.format(value): part.numbers(measure, whole) for value, part in self.groups(by).items()}

    def texts_by(self, measure: Read, by: Naming, key: str, between: str = ", ", whole: bool = False) -> str:
        """`text` for every value of a coordinate, each in `key`, a format string of the value and the text."""
        return between.join(key.format(value, part.text(measure, whole)) for value, part in self.groups(by).items())


def ended(cell: Cell, state: str) -> Cell:
    """A cell of a run: a time that is censored as the run diverged is DIVERGED, others as given. state: of the run."""
    return DIVERGED if cell == CENSORED and state == DIVERGED else cell


def mostly(runs: Frame, state: str) -> bool:
    """Whether most of the runs are in that state."""
    return 2 * int((runs.data["state"] == state).sum()) > len(runs.data)


def listed(texts: Iterable[str]) -> str:
    """ "a, b and c". Raises Untold for none."""
    if not (found := list(texts)):
        raise Untold
    *first, last = found
    return f"{', '.join(first)} and {last}" if first else last
