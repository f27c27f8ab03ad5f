"""Points in a plane: a point a condition, or a point a run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from rethinking.claims import NOT_RUN
from rethinking.figures.kit.frame import MISSING, Condition, Frame, Naming, mostly
from rethinking.figures.kit.measures import Measure, finite
from rethinking.figures.kit.panels import STATISTIC, Limits, Panel, around, without_ticks
from rethinking.plotting import NOTE, not_run
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class Points(Panel):
    """Medians over seeds as points, the seeds' range as bars; the axis of x is logarithmic.

    A censored number is a hollow point on the edge, which xlim or ylim gives, or else the numbers do. What diverges in
    most seeds, or has no number, is not drawn.

    Attributes:
        x, y: each a measure and coordinates of the runs that it is of. by: a format string that names a point.
        names: points on the right edge have their names beside it. mark: where a vertical line is. diagonal: y is
        logarithmic too, with the ticks of x, and a line is drawn where both are equal.
    """

    x: tuple[Measure, Condition]
    y: tuple[Measure, Condition]
    by: str
    names: bool = False
    mark: float | None = None
    diagonal: bool = False

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        return f"{STATISTIC}; hollow, on the edge: not fitted within the budget"

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        xs, ys = (frame.where(**of).values(measure) for measure, of in (self.x, self.y))
        limits = around(self.xlim, xs), around(self.ylim, ys) if self.diagonal else self.ylim
        found = [self._point(name, part, limits) for name, part in frame.groups(self.by).items()]
        data = pd.DataFrame([p for p in found if p])
        axes.set_xscale("log")
        if self.diagonal:
            axes.set_yscale("log")
            axes.axline((1, 1), (2, 2), color="0.4", lw=0.7, linestyle=":")
        if self.mark is not None:
            axes.axvline(self.mark, color="0.4", lw=0.7, linestyle=":", zorder=0)
        if not data.empty:
            self._points(axes, data, [k for k in frame.data[self.hue].unique() if k in set(data[self.hue])])
        self.finish(axes)
        axes.set_xlim(*limits[0])
        axes.set_ylim(*limits[1])
        if self.names and not data.empty:
            self._names(axes, data[data["late"] != ""])

    def _points(self, axes: "Axes", data: pd.DataFrame, kinds: list[Any]) -> None:
        import seaborn

        looks = {kind: self.look(kind, kinds) for kind in kinds}
        marks: dict[str, Any] = {kind: look["marker"] for kind, look in looks.items()}
        palette = {kind: look["color"] for kind, look in looks.items()}
        of: dict[str, Any] = {"x": "x", "y": "y", "hue": self.hue, "style": self.hue, "hue_order": kinds, "s": 20}
        of |= {"palette": palette, "markers": marks, "ax": axes, "zorder": 3, "clip_on": False, "legend": False}
        seaborn.scatterplot(data[data["late"] == ""], **of)
        for _, one in data.iterrows():
            bar = {"color": palette[one[self.hue]], "lw": 0.6, "zorder": 2}
            axes.hlines(one["y"], min(one["xs"]), max(one["xs"]), **bar)
            axes.vlines(one["x"], min(one["ys"]), max(one["ys"]), **bar)
        hollow: dict[str, Any] = {"mfc": "white", "ms": 4, "mew": 0.8, "clip_on": False, "zorder": 4}
        for _, one in data[data["late"] != ""].iterrows():
            axes.plot(one["x"], one["y"], marks[one[self.hue]], mec=palette[one[self.hue]], **hollow)
        for (x, y), there in () if self.names else data[data["late"] != ""].groupby(["x", "y"]):
            if len(there) > 1:
                beside: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "va": "center"}
                axes.annotate(f"{len(there)} points", (x, y), (-5, 0), fontsize=NOTE, **beside)
        for kind in kinds:
            axes.plot([], [], marks[kind], color=palette[kind], label=kind)

    def _point(self, name: str, part: Frame, limits: tuple[Limits, Limits]) -> dict[str, Any] | None:
        """Where a condition's point is; None where it has none. limits: of x and of y."""
        both = [(part.where(**of), measure) for measure, of in (self.x, self.y)]
        if any((runs.data["state"] == MISSING).any() or mostly(runs, "diverged") for runs, _ in both):
            return None
        xs, ys = (runs.values(measure) for runs, measure in both)
        x, y = (runs.median(measure) for runs, measure in both)
        if math.isnan(x) or math.isnan(y):
            return None
        late = "x" * (x == math.inf) + "y" * (y == math.inf)
        edge = {k: of[1] if v == math.inf else v for k, v, of in (("x", x, limits[0]), ("y", y, limits[1]))}
        where = {"name": name, "late": late, str(self.hue): part.data[self.hue].iloc[0]}
        spans = {f"{k}s": [edge[k]] if k in late else finite(v) for k, v in (("x", xs), ("y", ys))}
        return {**where, **edge, **spans}

    def _names(self, axes: "Axes", data: pd.DataFrame) -> None:
        """Beside the right edge, rising, so that no line crosses another."""
        low, high = axes.get_ylim()
        line: dict[str, Any] = {"arrowstyle": "-", "lw": 0.4, "color": "0.5", "shrinkA": 1, "shrinkB": 1}
        line |= {"relpos": (0, 0.5), "patchA": None}  # to the name itself: a padded box would reach over its neighbours
        text: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "axes fraction", "va": "center"}
        text |= {"fontsize": NOTE, "arrowprops": line}
        for k, (_, one) in enumerate(data.sort_values("y").iterrows()):
            point, place = (1.02, (one["y"] - low) / (high - low)), (1.12, (k + 0.5) / len(data))
            axes.annotate(one["name"], point, place, **text)


@dataclass(frozen=True, kw_only=True)
class NamedPoints(Panel):
    """A point a run, with its name beside the first of those that share one; names without a point are in the legend.

    Where nothing is run, it says so once, on axes without numbers.

    Attributes:
        x, y: the measures. by: what names a point. named: whether names stand there, which another panel's legend may
        tell.
    """

    x: Measure
    y: Measure
    by: Naming
    named: bool = True

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        named, words = [], []
        for name, part in frame.where(**self.only).groups(self.by).items():
            look, there = (
                self.look(name, frame.names(self.by)),
                part.data[part.data[[self.x.name, self.y.name]].notna().all(axis=1)],
            )
            axes.plot(there[self.x.name], there[self.y.name], look["marker"], color=look["color"])
            if there.empty:
                words.append(part.text(self.x))
                axes.plot([], [], " ", label=f"{name}: {words[-1]}")
                continue
            named.append((name, *there[[self.x.name, self.y.name]].iloc[0]))
        self.finish(axes)
        if not named:
            without_ticks(axes.xaxis)
            without_ticks(axes.yaxis)
            if set(words) == {NOT_RUN} and (legend := axes.get_legend()):
                legend.remove()
                not_run(axes)
        axes.autoscale_view()  # limits that are not given are those of the points before names are placed
        for name, x, y in named if self.named else []:
            left = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[0] < 0.5
            offset, side = ((6, 0), "left") if left else ((-6, 0), "right")
            text: dict[str, Any] = {"textcoords": "offset points", "ha": side, "va": "center", "fontsize": NOTE}
            axes.annotate(name, (x, y), offset, **text)
