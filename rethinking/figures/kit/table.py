"""The numbers of a figure, a row a condition."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from rethinking.figures.kit.frame import Cell, Condition, Frame
from rethinking.figures.kit.measures import Measure


@dataclass(frozen=True)
class Table:
    """The numbers of a figure, a row a condition.

    Attributes:
        head: the first column's title. columns: a title -> a measure, a measure and coordinates of the runs that it is
        of, what the paper gives by row, or a function from the row's runs to its one cell, told as yes or no where it
        is a truth. by: what names a row, instead of the condition's label: a coordinate, or a
        format string of several. only: coordinates of the conditions that have a row.
    """

    head: str
    columns: Mapping[str, Measure | tuple[Measure, Condition] | Mapping[str, float | str] | Callable[[Frame], Cell]]
    by: str | None = None
    only: dict[str, Any] = field(default_factory=dict)

    def rows(self, frame: Frame, labels: Sequence[str]) -> list[dict[str, Any]]:
        """As the drawn figure's file has them: a list of one value a seed in each cell. labels: of the frame's rows."""
        out = []
        chosen = frame.where(**self.only)
        names = self._names(chosen) if self.by else pd.Series(labels, frame.data.index)[chosen.data.index]
        for label in names.unique():
            part = Frame(chosen.data[names == label])
            row: dict[str, Any] = {self.head: label, "n": [int(n) for n in part.data["n"].iloc[:1]]}
            for title, what in self.columns.items():
                if isinstance(what, Mapping):
                    row[title] = [what[label]]
                elif callable(what):
                    row[title] = [_word(what(part))]
                else:
                    measure, of = what if isinstance(what, tuple) else (what, {})
                    row[title] = part.where(**of).cells(measure.name, measure.whole)
            out.append(row)
        return out

    def _names(self, chosen: Frame) -> pd.Series:
        by = self.by or ""
        text = by if "{" in by else f"{{{by}}}"
        return pd.Series([text.format(**row) for row in chosen.data.to_dict("records")], chosen.data.index)


def _word(cell: Cell) -> Cell:
    return {True: "yes", False: "no"}[cell] if isinstance(cell, bool) else cell
