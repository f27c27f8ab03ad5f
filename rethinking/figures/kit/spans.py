"""Rows of points with their range, named once for panels that stand side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rethinking.figures.kit.frame import MISSING, Frame
from rethinking.figures.kit.measures import Measure, highest
from rethinking.figures.kit.panels import Panel
from rethinking.plotting import NOTE, look_of, not_run
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Spans(Panel):
    """A row for every value of a coordinate, every seed as a point, their range as a line.

    Attributes:
        x: the measure. by: the coordinate. only: coordinates of the runs drawn. shown_as: whose colour and marker they
        have. named: rows have their names; False for a panel right of one that has them. mark: where a vertical line
        is.
    """

    x: Measure = field(default_factory=highest)
    by: str = ""
    only: dict[str, Any] = field(default_factory=dict)
    shown_as: str = ""
    named: bool = True
    mark: float | None = None

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        import seaborn

        look, rows = look_of(self.shown_as), list(frame.data[self.by].unique())
        data = frame.where(**self.only).data
        there = data[data[self.x.name].notna()]
        of: dict[str, Any] = {"x": self.x.name, "y": self.by, "order": rows, "color": look["color"], "ax": axes}
        if not there.empty:
            line = {"errorbar": ("pi", 100), "linestyle": "none", "marker": "none", "err_kws": {"linewidth": 0.8}}
            seaborn.pointplot(there, estimator="median", **of, **line)
            seaborn.stripplot(there, jitter=False, size=3.5, marker=look["marker"], clip_on=False, zorder=3, **of)
        for place, row in enumerate(rows):
            if row not in set(there[self.by]):
                not_run(axes, place, fontsize=NOTE)
        names = [f"{row}{_partly(part)}" for row, part in frame.groups(self.by).items()]
        axes.set_yticks(range(len(rows)), names if self.named else [""] * len(rows))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="y", lw=0.3)
        if self.mark is not None:
            axes.axvline(self.mark, color="0.4", lw=0.7, linestyle=":")
        axes.set(xlabel=self.xlabel, ylabel="")
        axes.set_xlim(*self.xlim)


def _partly(part: Frame) -> str:
    """What a row's name says where some of its seeds are whole and others are not: " (1 of 3 seeds)"."""
    whole = (part.data["state"] != MISSING).groupby(part.data["seed"]).all()
    some = (part.data["state"] != MISSING).any()
    return f" ({whole.sum()} of {len(whole)} seeds)" if some and not whole.all() else ""
