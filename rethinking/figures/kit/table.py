"""The numbers of a figure, a row a condition."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from rethinking.claims import told
from rethinking.figures.kit.frame import Cell, Condition, Frame, Naming
from rethinking.figures.kit.measures import Measure


@dataclass(frozen=True)
class Table:
    """The numbers of a figure, a row a condition.

    Attributes:
        head: the first column's title. columns: a title -> a measure, a measure and coordinates of the runs that it is
        of, what the paper gives by row, or a function from the row's runs to its one cell, told as yes or no where it
        is a truth. by: what names a row, instead of the condition's label. only: coordinates of the conditions that
        have a row.
    """

    head: str
    columns: Mapping[str, Measure | tuple[Measure, Condition] | Mapping[str, float | str] | Callable[[Frame], Cell]]
    by: Naming | None = None
    only: dict[str, Any] = field(default_factory=dict)

    def rows(self, frame: Frame, labels: Sequence[str]) -> list[dict[str, Any]]:
        """As the drawn figure's file has them: a list of one value a seed in each cell.

        Of a measure with a form the numbers of several seeds are one text in the list's place, their median and range.

        Args:
            labels: of the frame's rows.
        """
        out = []
        chosen = frame.where(**self.only)
        names = chosen.names(self.by) if self.by else pd.Series(labels, frame.data.index)[chosen.data.index]
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
                    cells = part.where(**of).cells(measure.name, measure.whole)
                    row[title] = _formed(cells, measure.form) if measure.form else cells
            out.append(row)
        return out


def _formed(cells: list[Cell], form: str) -> list[Cell] | str:
    if len(cells) > 1 and any(isinstance(c, int | float) for c in cells):
        plain = re.fullmatch(r"\{:(\.\d+)?[defg%]?\}", form)  # no sign, width or comma: with it thousands as elsewhere
        return told(cells, form.replace("{:", "{:,") if plain else form)
    return [form.format(c) if isinstance(c, int | float) else c for c in cells]


def _word(cell: Cell) -> Cell:
    return {True: "yes", False: "no"}[cell] if isinstance(cell, bool) else cell


class Tables:
    """Several tables one below the other, whose columns differ."""

    def __init__(self, *tables: Table):
        self.tables = tables
        self.columns = {(k, title): what for k, table in enumerate(tables) for title, what in table.columns.items()}

    def rows(self, frame: Frame, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Of one after the other."""
        return [row for table in self.tables for row in table.rows(frame, labels)]
