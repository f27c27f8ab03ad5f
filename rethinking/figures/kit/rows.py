"""A row for every value of a coordinate: seeds as points beside what the paper gives, or with their range as a line."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from rethinking.claims import CENSORED, DIVERGED
from rethinking.figures.kit.frame import MISSING, Frame, Naming
from rethinking.figures.kit.measures import LOSSLESS, Measure, finite
from rethinking.figures.kit.panels import EACH_SEED, OF_SPANS, STATISTIC, Panel, around, seeds_note
from rethinking.plotting import NOTE, PATCH, look_of, not_run
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = 5  # shades, at most
BAR: dict[str, Any] = {"color": "0.85", "lw": 5, "solid_capstyle": "butt", "zorder": 0}


@dataclass(frozen=True, kw_only=True)
class Rows(Panel):
    """A row for every value of a coordinate, a point a seed; the paper's number beside them, hollow, and on top.

    Panels of rows stand beside each other and share the rows, which the first one names.

    Attributes:
        x: the measure. by: the coordinate. paper: by row, its number, or words where it has none. bands: a row ->
        (low, high), drawn as a bar. zero: draw a line there. named: a row's name has its seeds, for rows that differ
        in them. spans: runs differ in `hue` too, whose value gives a point its look; their range is drawn as a bar.
    """

    x: Measure
    by: Naming
    paper: Mapping[str, float | str] = field(default_factory=dict)
    bands: dict[str, tuple[float, float]] = field(default_factory=dict)
    zero: bool = False
    named: bool = False
    spans: bool = False

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        hollow = any(not isinstance(given, str) for given in self.paper.values())
        return "paper hollow, ours filled, " * hollow + ("grey: our range" if self.spans else EACH_SEED)

    def height(self, frame: Frame) -> float:
        """Of the picture, in inches."""
        return 1.1 + 0.2 * frame.where(**self.only).names(self.by).nunique()

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        rows, among = frame.where(**self.only).groups(self.by), frame.names(self.hue) if self.hue else ()
        for k, (row, part) in enumerate(rows.items()):
            drawn = finite(part.values(self.x)) if self.spans else self.bands.get(row, ())
            if len(drawn) > 1:
                axes.plot([min(drawn), max(drawn)], [k, k], **BAR)
            for value, some in part.groups(self.hue).items() if self.spans and self.hue else [(row, part)]:
                self._dots(axes, k, some, self.look(value, among))
            if isinstance(self.paper.get(row, ""), int | float):
                axes.plot(self.paper[row], k, "o", mfc="none", mec="black", ms=7, zorder=5, clip_on=False)
        rows_of(axes, [self._name(row, part) for row, part in rows.items()])
        if self.zero:
            axes.axvline(0, color="0.4", lw=0.7)
        axes.set(xlabel=self.label("x"), ylabel="")
        self.scale(axes)
        axes.set_xlim(*self.xlim)
        if self.xlim[0] is not None and self.xlim[1] is None:
            left, right = axes.get_xlim()
            axes.set_xlim(right=right + 0.04 * (right - left))  # marks are whole
        for k, (row, part) in enumerate(rows.items()):
            self._words(axes, k, row, part)
        if self.spans and self.hue and self.legend:
            for value, part in frame.where(**self.only).groups(self.hue).items():
                look, label = self.look(value, among), self.looks.get(value, str(value))
                label += "" if finite(part.values(self.x)) else f": {part.text(self.x)}"
                axes.plot([], [], look["marker"], color=look["color"], label=label)
            self.explain(axes)

    def _dots(self, axes: "Axes", height: float, part: Frame, look: dict[str, Any]) -> None:
        import seaborn

        dots = {"marker": look["marker"], "color": look["color"], "s": 26, "zorder": 4, "clip_on": False}
        there = part.data[part.data[self.x.name].notna()]
        seaborn.scatterplot(there.assign(row=height), x=self.x.name, y="row", legend=False, ax=axes, **dots)

    def _name(self, row: str, part: Frame) -> str:
        """With n where it was not trained on all images, and the number of seeds."""
        n = int(part.data["n"].iloc[0])
        reduced = "" if n == part.data["all"].iloc[0] or self.spans else f" (REDUCED: n = {n:,})"
        return f"{row}{reduced}" + (f", {seeds_note(part.data['seed'].nunique())}" if self.named else "")

    def _words(self, axes: "Axes", height: int, row: str, part: Frame) -> None:
        """What has no number, at the end of the row where there is more room."""
        theirs = self.paper.get(row)
        words = [f"paper: {theirs}"] if isinstance(theirs, str) else []
        drawn = finite(part.values(self.x))
        if not drawn:
            words.append(part.text(self.x))
        elif None in part.cells(self.x):
            words.append("partly run")
        if not words:
            return
        drawn += [*self.bands.get(row, ()), *([] if theirs is None or isinstance(theirs, str) else [theirs])]
        low, high = axes.get_xlim()
        if axes.get_xscale() == "log":
            low, high, *drawn = (math.log(v) for v in (low, high, *drawn))
        left = not drawn or min(drawn) - low >= high - max(drawn)
        where: dict[str, Any] = {"xycoords": axes.get_yaxis_transform(), "ha": "left" if left else "right"}
        text = "; ".join(words)
        axes.annotate(text, (0.02 if left else 0.98, height), va="center", fontsize=NOTE, bbox=PATCH, **where)


@dataclass(frozen=True, kw_only=True)
class Spans(Panel):
    """A row for every value of a coordinate, every seed as a point, their range as a line.

    A censored number is an arrow at the right end, of training that diverges a cross at the left one. Why there is no
    number otherwise, as of a baseline that is not fitted, is said in the row.

    Attributes:
        x: the measure. by: the coordinate, or a format string of several. shown_as: whose colour and marker they have.
        named: rows have their names; False for a panel right of one that has them. mark: where a vertical line is.
        shades: a coordinate whose values within a row are drawn one below the other, as medians, from light to dark.
        alike: where a value of `shades` has one shade in all rows, what light to dark means, in words.
        blocks: a coordinate; where it changes a line parts the rows.
    """

    x: Measure
    by: str
    shown_as: str
    named: bool = True
    mark: float | None = None
    shades: str = ""
    alike: str = ""
    blocks: str = ""

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        if not self.shades:
            return EACH_SEED + OF_SPANS
        arrows = "arrow: not fitted within the budget; cross: training diverges"
        return f"{STATISTIC}; light to dark: {self.alike or f'rising {self.shades}'}\n{arrows}"

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        import seaborn

        look, there = look_of(self.shown_as), set(frame.where(**self.only).names(self.by))
        rows = {row: part for row, part in frame.groups(self.by).items() if row in there}
        colors = seaborn.light_palette(look["color"], LEVELS + 2)[2:]
        every = sorted(set(frame.data[self.shades])) if self.alike else []
        points = []
        for place, (row, whole) in enumerate(rows.items()):
            levels = whole.groups(self.shades) if self.shades else {row: whole}
            for k, (level, part) in enumerate(levels.items()):
                height = place + 0.8 * ((k + 0.5) / len(levels) - 0.5)
                rank, count = (every.index(level), len(every)) if self.alike else (k, len(levels))
                color = colors[math.ceil(LEVELS * (rank + 1) / count) - 1]
                points += self._span(axes, height, part.where(**self.only), color)
            runs = whole.where(**self.only)
            if (runs.data["state"] == MISSING).all():
                not_run(axes, place, fontsize=NOTE)
            elif why := sorted({c for c in runs.cells(self.x) if isinstance(c, str)} - {CENSORED, DIVERGED, LOSSLESS}):
                not_run(axes, place, ", ".join(why), fontsize=NOTE)
        if points:
            dots = pd.DataFrame(points, columns=["x", "y", "color"])
            style = {"marker": look["marker"], "s": 12, "clip_on": False, "zorder": 3, "edgecolor": "none"}
            seaborn.scatterplot(dots, x="x", y="y", c=list(dots["color"]), legend=False, ax=axes, **style)
        rows_of(axes, [self._name(row, part) if self.named else "" for row, part in rows.items()])
        if self.blocks:
            kinds = [part.data[self.blocks].iloc[0] for part in rows.values()]
            for k in (k for k in range(1, len(kinds)) if kinds[k] != kinds[k - 1]):
                axes.axhline(k - 0.5, color="0.4", lw=0.7)
        if self.mark is not None:
            axes.axvline(self.mark, color="0.4", lw=0.7, linestyle=":", zorder=0)
        self.scale(axes)
        axes.set(xlabel=self.label("x"), ylabel="")
        axes.set_xlim(*(around(self.xlim, frame.where(**self.only).values(self.x)) if self.log else self.xlim))

    def _span(self, axes: "Axes", height: float, part: Frame, color: Any) -> list[tuple[float, float, Any]]:
        """Draws the line and the marks of a height; gives its points."""
        values = part.values(self.x)
        if numbers := finite(values):
            axes.plot([min(numbers), max(numbers)], [height, height], color=color, lw=0.8, solid_capstyle="butt")
        middle = [part.median(self.x)] if self.shades and values else values
        states = set(part.data["state"])
        lost = not states.union(part.data[f"{self.x.name}_state"]).isdisjoint({DIVERGED, LOSSLESS})
        for value in (v for v in middle if v == math.inf or (math.isnan(v) and lost)):
            late = value == math.inf and CENSORED in states
            spot, mark = (0.99, ">") if late else (0.01, "x")
            style = {"color": color, "ms": 3.5, "transform": axes.get_yaxis_transform(), "clip_on": False}
            axes.plot(spot, height, mark, **style)
        return [(v, height, color) for v in middle if math.isfinite(v)]

    def _name(self, row: Any, part: Frame) -> str:
        if not self.shades:
            return f"{row}{_partly(part)}"
        levels = part.groups(f"{{{self.shades}}}")
        gone = {name: " (not run)" * bool((one.data["state"] == MISSING).all()) for name, one in levels.items()}
        return f"{row}: {', '.join(f'{name}{_partly(one)}{gone[name]}' for name, one in levels.items())}"


def rows_of(axes: "Axes", names: Sequence[str]) -> None:
    """Name the rows, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", lw=0.3)


def _partly(part: Frame) -> str:
    """What a name says where some of its seeds are whole and others are not: " (1 of 3 seeds)"."""
    whole = (part.data["state"] != MISSING).groupby(part.data["seed"]).all()
    some = (part.data["state"] != MISSING).any()
    return f" ({whole.sum()} of {len(whole)} seeds)" if some and not whole.all() else ""
