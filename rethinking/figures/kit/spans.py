"""Rows of points with their range, named once for panels that stand side by side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import pandas as pd

from rethinking.claims import CENSORED
from rethinking.figures.kit.frame import MISSING, Frame
from rethinking.figures.kit.measures import Measure, finite, highest
from rethinking.figures.kit.panels import STATISTIC, Panel
from rethinking.plotting import NOTE, look_of, not_run
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = 5  # shades, at most


@dataclass(frozen=True)
class Spans(Panel):
    """A row for every value of a coordinate, every seed as a point, their range as a line.

    A censored number is an arrow at the right end, what has none otherwise a cross at the left one.

    Attributes:
        x: the measure. by: the coordinate, or a format string of several. only: coordinates of the runs drawn.
        shown_as: whose colour and marker they have. named: rows have their names; False for a panel right of one that
        has them. mark: where a vertical line is. shades: a coordinate whose values within a row are drawn one below
        the other, as medians, from light to dark. blocks: a coordinate; where it changes a line parts the rows.
        ticks: of a logarithmic axis.
    """

    x: Measure = field(default_factory=highest)
    by: str = ""
    only: dict[str, Any] = field(default_factory=dict)
    shown_as: str = ""
    named: bool = True
    mark: float | None = None
    shades: str = ""
    blocks: str = ""
    ticks: Sequence[float] = ()

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        arrows = "arrow: not fitted within the budget; cross: training diverges"
        return f"{STATISTIC}; light to dark: rising {self.shades}\n{arrows}" if self.shades else ""

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        import seaborn

        look, chosen = look_of(self.shown_as), frame.where(**self.only)
        there = set(chosen.names(self.by))
        rows = {row: part for row, part in frame.groups(self.by).items() if row in there}
        colors = seaborn.light_palette(look["color"], LEVELS + 2)[2:]
        points = []
        for place, (row, whole) in enumerate(rows.items()):
            levels = whole.groups(self.shades) if self.shades else {row: whole}
            for k, part in enumerate(levels.values()):
                height = place + 0.8 * ((k + 0.5) / len(levels) - 0.5)
                color = colors[math.ceil(LEVELS * (k + 1) / len(levels)) - 1]
                points += self._span(axes, height, part.where(**self.only), color)
            if (whole.where(**self.only).data["state"] == MISSING).all():
                not_run(axes, place, fontsize=NOTE)
        if points:
            dots = pd.DataFrame(points, columns=["x", "y", "color"])
            style = {"marker": look["marker"], "s": 12, "clip_on": False, "zorder": 3, "edgecolor": "none"}
            seaborn.scatterplot(dots, x="x", y="y", c=list(dots["color"]), legend=False, ax=axes, **style)
        names = [self._name(row, part) for row, part in rows.items()]
        axes.set_yticks(range(len(rows)), names if self.named else [""] * len(rows))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="y", lw=0.3)
        if self.blocks:
            kinds = [part.data[self.blocks].iloc[0] for part in rows.values()]
            for k in (k for k in range(1, len(kinds)) if kinds[k] != kinds[k - 1]):
                axes.axhline(k - 0.5, color="0.4", lw=0.7)
        if self.mark is not None:
            axes.axvline(self.mark, color="0.4", lw=0.7, linestyle=":", zorder=0)
        if self.log:
            axes.set_xscale("log")
            axes.set_xticks(self.ticks, [f"{x:g}" for x in self.ticks])
            axes.minorticks_off()
        axes.set(xlabel=self.xlabel, ylabel="")
        axes.set_xlim(*self.xlim)

    def _span(self, axes: "Axes", height: float, part: Frame, color: Any) -> list[tuple[float, float, Any]]:
        """Draws the line and the marks of a height; gives its points."""
        values = part.values(self.x.name)
        numbers = finite(values)
        if numbers:
            axes.plot([min(numbers), max(numbers)], [height, height], color=color, lw=0.8, solid_capstyle="butt")
        middle = [median(values)] if self.shades and values else values
        for value in (v for v in middle if not math.isfinite(v)):
            late = value == math.inf and (part.data["state"] == CENSORED).any()
            spot = (0.99, ">") if late else (0.01, "x")
            axes.plot(
                spot[0], height, spot[1], color=color, ms=3.5, transform=axes.get_yaxis_transform(), clip_on=False
            )
        return [(v, height, color) for v in middle if math.isfinite(v)]

    def _name(self, row: Any, part: Frame) -> str:
        if not self.shades:
            return f"{row}{_partly(part)}"
        levels = part.groups(f"{{{self.shades}}}")
        gone = {name: " (not run)" * bool((one.data["state"] == MISSING).all()) for name, one in levels.items()}
        return f"{row}: {', '.join(f'{name}{_partly(one)}{gone[name]}' for name, one in levels.items())}"


def _partly(part: Frame) -> str:
    """What a name says where some of its seeds are whole and others are not: " (1 of 3 seeds)"."""
    whole = (part.data["state"] != MISSING).groupby(part.data["seed"]).all()
    some = (part.data["state"] != MISSING).any()
    return f" ({whole.sum()} of {len(whole)} seeds)" if some and not whole.all() else ""
