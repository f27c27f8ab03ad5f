"""What is read off several runs of one seed together, as off the members of an ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rethinking.figures.kit.frame import Cell, Condition, Frame
from rethinking.figures.kit.lines import Lines
from rethinking.figures.kit.measures import Measure, finite, highest
from rethinking.figures.kit.panels import STATISTIC
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VOTE, MEAN = "vote", "mean probability"


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


def joined(logits: list[np.ndarray], join: str) -> np.ndarray:
    """Predicted classes, int64 (N,), of members' logits, each (N, classes); of a tied vote the smallest."""
    if join == VOTE:
        classes = logits[0].shape[1]
        return sum(np.eye(classes, dtype=np.int64)[part.argmax(1)] for part in logits).argmax(1)
    parts = [np.exp(part.astype(np.float64) - part.max(1, keepdims=True)) for part in logits]
    return sum(part / part.sum(1, keepdims=True) for part in parts).argmax(1)


@dataclass(frozen=True)
class Gains(Lines):
    """What ensembles gain against their number of members, by MEAN; beside the lines' ends by VOTE, of all members.

    Attributes:
        beside: the measure of that, and the coordinates of its rows. All panels of the measures have the same limits.
    """

    x: str = "members"
    xlabel: str = "members"
    ylabel: str = "gain in test accuracy (points)"
    reference: tuple[float, str] | list[tuple[float, str]] | None = (0, "")
    apart: float = 1.03
    beside: tuple[Measure, Condition] = field(default_factory=lambda: (highest(), {}))

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        lines = f"{STATISTIC.replace('seeds', 'ensembles')}; a seed is an ensemble"
        return f"{lines}\nlines: average of probabilities; dash beside: majority vote of all members"

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        measure, where = self.beside
        dash: dict[str, Any] = {"marker": "_", "linestyle": "none", "ms": 7, "mew": 1.6}
        end = frame.where(**self.only).data[self.x].max() + 0.4
        for value, part in frame.where(**where).groups(self.hue or "").items():
            if part.values(measure.name):
                axes.plot(end, part.median(measure.name), color=self.look(value)["color"], **dash)
        super().draw(axes, frame, records)
        names = [measure.name, *(each.name for each in [self.y] if isinstance(each, Measure))]
        known = finite([v for name in names for v in frame.values(name)]) or [0]
        axes.set_ylim(min(known) - 0.5, max(known) + 0.5)
        most = frame.data[self.x].max()
        axes.set_xlim(0.5, most + 0.7)
        axes.set_xticks(range(1, most + 1))
