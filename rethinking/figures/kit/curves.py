"""Curves of single runs over steps or epochs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from rethinking.figures.kit.frame import Frame
from rethinking.figures.kit.measures import Measure, comparable
from rethinking.figures.kit.panels import ROOM, Panel
from rethinking.plotting import NOTE, shade
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ZONES = "dotted: the best epoch; before it the run underfits, after it it overfits"


@dataclass(frozen=True)
class Zones:
    """Where a run underfits and where it overfits: before and after its best epoch.

    Attributes:
        best: the measure of that epoch. gain: of what stopping there gains. least: points of it, in every seed, below
        which no zones are drawn: noise of few test images.
    """

    best: Measure
    gain: Measure
    least: float

    def draw(self, axes: "Axes", frame: Frame) -> None:
        """On `axes`."""
        above: dict[str, Any] = {"xycoords": "axes fraction", "fontsize": NOTE, "ha": "right", "va": "bottom"}
        gains = frame.values(self.gain)
        if gains and min(gains) < self.least:
            axes.annotate(f"stopping gains under {self.least:g} points", (1, 1.0), **above)
        elif gains:
            middle = frame.median(self.best)
            axes.axvline(middle, color="0.4", linestyle=":", lw=0.9)
            axes.axvspan(0, middle, color="0.94", zorder=0)


@dataclass(frozen=True, kw_only=True)
class Curves(Panel):
    """A column of the curve, or of the online log where the runs have one, against steps or epochs; a line a run.

    Attributes:
        x: "step" or "epoch". columns: a column -> the dash that it is drawn with, None for the hue's own.
        factor: of the values. error: 100 minus them. online: the column of the online log that is drawn instead, where
        every run drawn has a log. shaded: what falls short of the best so far, of the evaluations on the same test
        images. ends: what the marks at the curves' ends are, in words. shown: times the longest time to fit, where
        every run is fitted: what is after it is cut off, and marks are at the times to fit, in steps. zones: of under-
        and overfitting. symlog: x is linear to 1 and logarithmic beyond. shades: lines differ in order, as shades of
        grey with dashes of their own.
    """

    x: str = "step"
    columns: dict[str, Any]
    factor: float = 1.0
    error: bool = False
    online: str | None = None
    shaded: bool = False
    ends: str = "the run's end"
    shown: float | None = None
    zones: Zones | None = None
    symlog: bool = False
    shades: bool = False

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        mark = f"a curve's mark: {'99 % of the training images right' if self.shown else self.ends}"
        shaded = "in a line's colour: what it is short of its best so far; " * self.shaded
        return shaded + mark + f"\n{ZONES}" * bool(self.zones)

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`; records: of the frame's rows."""
        chosen = frame.where(**self.only)
        drawn = [r for i in chosen.data.index if (r := records[i])]
        logged = bool(self.online and drawn and all(r.online["step"] for r in drawn))
        groups = chosen.groups(self.hue) if self.hue else {"": chosen}
        among = frame.names(self.hue) if self.hue else ()
        for k, (value, part) in enumerate(groups.items()):
            look, label = shade(k) if self.shades else self.look(value, among), str(value)
            there = [r for i in part.data.index if (r := records[i])]
            if not there:
                axes.plot([], [], " ", label=f"{label}: not run" if label else "not run")
                continue
            partly = f" ({len(there)} of {len(part.data)} seeds)" if len(there) < len(part.data) else ""
            color, marker = look["color"], look["marker"]
            for column, dash in self.columns.items():
                linestyle = look["linestyle"] if dash is None else dash
                for record in there:
                    x, y = self._line(record, column, logged)
                    axes.plot(x, y, color=color, linestyle=linestyle, lw=1.1)
                    if self.shaded:
                        self._shade(axes, record, column, color)
                    axes.plot(*self._marked(record, x, y), marker, color=color, ms=4, zorder=3)
            axes.plot([], [], color=color, linestyle=linestyle, marker=marker, label=label + partly)
        if self.symlog:
            axes.set_xscale("symlog")
        self.finish(axes)
        if logged:
            axes.set_ylabel(f"{self.ylabel}, of the batches")
        self._cut(axes, drawn)
        if self.zones:
            self.zones.draw(axes, chosen)
        if self.title:
            axes.set_title(self.title, pad=12)

    def _line(self, record: Record, column: str, logged: bool = False) -> tuple[list[float], list[float]]:
        """x and y of a run."""
        if logged and self.online:
            x, values = record.online["step"], record.online[self.online]
        else:
            x, values = record.curve[self.x], record.curve[column]
        scaled = [self.factor * v for v in values]
        return list(x), [self.factor - v for v in scaled] if self.error else scaled

    def _marked(self, record: Record, x: list[float], y: list[float]) -> tuple[float, float]:
        """Where the mark of a curve is; nowhere, which is NaN, where that is a time to fit and the run has none."""
        if not self.shown:
            return x[-1], y[-1]
        time = record.steps_to_fit()
        return (math.nan, math.nan) if time is None else (time, float(np.interp(time, x, y)))

    def _shade(self, axes: "Axes", record: Record, column: str, color: str) -> None:
        x, y = ([values[k] for k in comparable(record)] for values in self._line(record, column))
        axes.fill_between(x, y, list(accumulate(y, min if self.error else max)), color=color, alpha=0.45, lw=0)

    def _cut(self, axes: "Axes", drawn: Sequence[Record]) -> None:
        """Where the axis ends, and what its label says of that."""
        ends = [r.curve[self.x][-1] for r in drawn]
        times = [r.steps_to_fit() for r in drawn] if self.shown else []
        fits = [t for t in times if t is not None]
        cut = self.shown * max(fits) if self.shown and fits and len(fits) == len(times) else math.inf
        if not ends:
            axes.set_xticks([])
        else:
            axes.set_xlim(0, min(cut, (ROOM if self.symlog else 1.02) * max(ends)))
        if cut < max(ends, default=0):
            axes.set_xlabel(f"{self.xlabel}; shown to {cut:,.0f} of {max(ends):,}")
