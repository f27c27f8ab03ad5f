"""A row for every value of a coordinate, a point a seed, beside what the paper gives."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rethinking.figures.kit.frame import Frame, Naming
from rethinking.figures.kit.measures import Measure, finite, highest
from rethinking.figures.kit.panels import Panel, seeds_note
from rethinking.plotting import NOTE, PATCH
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Rows(Panel):
    """A row for every value of a coordinate, a point a seed; the paper's number beside them, hollow, and on top.

    Panels of rows stand beside each other and share the rows, which the first one names.

    Attributes:
        x: the measure. by: the coordinate. only: coordinates of the runs drawn. paper: by row, its number, or words
        where it has none. bands: a row -> (low, high), drawn as a bar. zero: draw a line there. named: a row's name has
        its seeds, for rows that differ in them.
    """

    x: Measure = field(default_factory=highest)
    by: Naming = ""
    only: dict[str, Any] = field(default_factory=dict)
    paper: Mapping[str, float | str] = field(default_factory=dict)
    bands: dict[str, tuple[float, float]] = field(default_factory=dict)
    zero: bool = False
    named: bool = False

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        return ("paper hollow, ours filled, " if self.paper else "") + "a point a seed"

    def height(self, frame: Frame) -> float:
        """Of the picture, in inches."""
        return 1.1 + 0.2 * frame.where(**self.only).names(self.by).nunique()

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        rows = frame.where(**self.only).groups(self.by)
        for k, (row, part) in enumerate(rows.items()):
            if row in self.bands:
                axes.plot(self.bands[row], [k, k], color="0.85", lw=5, solid_capstyle="butt", zorder=0)
            self._dots(axes, k, part, self.look(row))
            if isinstance(self.paper.get(row, ""), int | float):
                axes.plot(self.paper[row], k, "o", mfc="none", mec="black", ms=7, zorder=5, clip_on=False)
        axes.set_yticks(range(len(rows)), [self._name(row, part) for row, part in rows.items()])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="y", lw=0.3)
        if self.zero:
            axes.axvline(0, color="0.4", lw=0.7)
        axes.set(xlabel=self.xlabel, ylabel="")
        self.scale(axes)
        axes.set_xlim(*self.xlim)
        for k, (row, part) in enumerate(rows.items()):
            self._words(axes, k, row, part)

    def _dots(self, axes: "Axes", height: float, part: Frame, look: dict[str, Any]) -> None:
        import seaborn

        dots = {"marker": look["marker"], "color": look["color"], "s": 26, "zorder": 4, "clip_on": False}
        there = part.data[part.data[self.x.name].notna()]
        seaborn.scatterplot(there.assign(row=height), x=self.x.name, y="row", legend=False, ax=axes, **dots)

    def _name(self, row: str, part: Frame) -> str:
        return f"{row}{_reduced(part)}" + (f", {seeds_note(part.data['seed'].nunique())}" if self.named else "")

    def _words(self, axes: "Axes", height: int, row: str, part: Frame) -> None:
        """What has no number, at the end of the row where there is more room."""
        theirs = self.paper.get(row)
        words = [f"paper: {theirs}"] if isinstance(theirs, str) else []
        drawn = finite(part.values(self.x.name))
        if not drawn:
            words.append(part.text(self.x.name))
        elif None in part.cells(self.x.name):
            words.append("partly run")
        if not words:
            return
        drawn += [*self.bands.get(row, ()), *([] if theirs is None or isinstance(theirs, str) else [theirs])]
        low, high = axes.get_xlim()
        if axes.get_xscale() == "log":
            low, high, *drawn = (math.log(v) for v in (low, high, *drawn))
        left = not drawn or min(drawn) - low >= high - max(drawn)
        axes.annotate(
            "; ".join(words),
            (0.02 if left else 0.98, height),
            xycoords=axes.get_yaxis_transform(),
            ha="left" if left else "right",
            va="center",
            fontsize=NOTE,
            bbox=PATCH,
        )


def _reduced(part: Frame) -> str:
    """What a row's name says where it was not trained on all images."""
    n = int(part.data["n"].iloc[0])
    return "" if n == part.data["all"].iloc[0] else f" (REDUCED: n = {n:,})"


@dataclass(frozen=True)
class Bands(Rows):
    """Rows whose runs differ in `hue` too: a point a run, its look by `hue`, and their range as a band."""

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        chosen = frame.where(**self.only)
        for k, part in enumerate(chosen.groups(self.by).values()):
            drawn = finite(part.values(self.x.name))
            if len(drawn) > 1:
                axes.plot([min(drawn), max(drawn)], [k, k], color="0.85", lw=5, solid_capstyle="butt", zorder=0)
        super().draw(axes, frame, records)
        for value in chosen.data[self.hue].unique() if self.legend else ():
            look = self.look(value)
            axes.plot([], [], look["marker"], color=look["color"], label=self.looks.get(value, str(value)))
        if self.legend:
            handles, names = axes.get_legend_handles_labels()
            axes.figure.legend(handles, names, loc=self.legend, ncols=len(names))  # type: ignore[call-overload]

    def _dots(self, axes: "Axes", height: float, part: Frame, look: dict[str, Any]) -> None:
        for value, some in part.groups(self.hue or "").items():
            super()._dots(axes, height, some, self.look(value))

    def _name(self, row: str, part: Frame) -> str:
        return row
