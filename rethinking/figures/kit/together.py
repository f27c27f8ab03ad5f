"""What is read off several runs of one seed together, as off the members of an ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from rethinking.figures.kit.frame import Cell
from rethinking.figures.kit.measures import Measure
from rethinking.record import Record


@dataclass(frozen=True)
class Together(Measure):
    """A number of the runs that differ in one coordinate only: `of` is given their records, in the frame's order.

    Attributes:
        over: the coordinate. With it among the parameters the runs' rows may have different numbers.
    """

    over: str = ""

    def cells(self, data: pd.DataFrame, records: Sequence[Record | None]) -> list[Cell]:
        """Its value for every row of a frame: None where one of the runs is missing."""
        names = [c for c in data.columns[: list(data.columns).index("seed") + 1] if c != self.over]
        keys = list(data[names].itertuples(index=False, name=None))
        groups: dict[tuple[object, ...], list[Record | None]] = {}
        for key, record in zip(keys, records, strict=True):
            groups.setdefault(key, []).append(record)
        out: list[Cell] = []
        for key, given in zip(keys, data[list(self.parameters)].to_dict("records"), strict=True):
            there = [record for record in groups[key] if record]
            out.append(self.of(there, **given) if len(there) == len(groups[key]) else None)
        return out
