"""A point a condition in a plane: one measure against another, each of its own runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import pandas as pd

from rethinking.figures.kit.frame import MISSING, Condition, Frame, mostly
from rethinking.figures.kit.measures import Measure, finite, highest
from rethinking.figures.kit.panels import STATISTIC, Panel
from rethinking.plotting import NOTE
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Points(Panel):
    """Medians over seeds as points, the seeds' range as bars.

    A censored number is a hollow point on the edge, which xlim or ylim gives. What diverges in most seeds, or has no
    number, is not drawn.

    Attributes:
        x, y: each a measure and coordinates of the runs that it is of. by: a format string that names a point.
        names: points on the right edge have their names beside it. mark: where a vertical line is. diagonal: draw
        where both are equal. ticks: of logarithmic axes, the second for y as well.
    """

    x: tuple[Measure, Condition] = field(default_factory=lambda: (highest(), {}))
    y: tuple[Measure, Condition] = field(default_factory=lambda: (highest(), {}))
    by: str = ""
    names: bool = False
    mark: float | None = None
    diagonal: bool = False
    ticks: Sequence[float] = ()

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        return f"{STATISTIC}; hollow, on the edge: not fitted within the budget"

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        found = [self._point(name, part) for name, part in frame.groups(self.by).items()]
        data = pd.DataFrame([p for p in found if p])
        axes.set_xscale("log")
        if self.diagonal:
            axes.set_yscale("log")
            axes.axline((1, 1), (2, 2), color="0.4", lw=0.7, linestyle=":")
        if self.mark is not None:
            axes.axvline(self.mark, color="0.4", lw=0.7, linestyle=":", zorder=0)
        for setter, on in ((axes.set_xticks, True), (axes.set_yticks, self.diagonal)):
            if on:
                setter(self.ticks, [f"{v:g}" for v in self.ticks])
        axes.minorticks_off()
        if not data.empty:
            self._points(axes, data, [k for k in frame.data[self.hue].unique() if k in set(data[self.hue])])
        self.finish(axes)
        if self.names and not data.empty:
            self._names(axes, data[data["late"] != ""])

    def _points(self, axes: "Axes", data: pd.DataFrame, kinds: list[Any]) -> None:
        import seaborn

        looks = {kind: self.look(kind) for kind in kinds}
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
        for kind in kinds:
            axes.plot([], [], marks[kind], color=palette[kind], label=kind)

    def _point(self, name: str, part: Frame) -> dict[str, Any] | None:
        """Where a condition's point is; None where it has none."""
        both = [(part.where(**of), measure.name) for measure, of in (self.x, self.y)]
        if any((runs.data["state"] == MISSING).any() or mostly(runs, "diverged") for runs, _ in both):
            return None
        xs, ys = (runs.values(name) for runs, name in both)
        x, y = median(xs), median(ys)
        if math.isnan(x) or math.isnan(y):
            return None
        late = "x" * (x == math.inf) + "y" * (y == math.inf)
        edge = {k: of[1] if v == math.inf else v for k, v, of in (("x", x, self.xlim), ("y", y, self.ylim))}
        where = {"name": name, "late": late, str(self.hue): part.data[self.hue].iloc[0]}
        spans = {f"{k}s": [edge[k]] if k in late else finite(v) for k, v in (("x", xs), ("y", ys))}
        return {**where, **edge, **spans}

    def _names(self, axes: "Axes", data: pd.DataFrame) -> None:
        """Beside the right edge, rising, so that no line crosses another."""
        low, high = axes.get_ylim()
        for k, (_, one) in enumerate(data.sort_values("y").iterrows()):
            axes.annotate(
                one["name"],
                (1.02, (one["y"] - low) / (high - low)),
                (1.12, (k + 0.5) / len(data)),
                xycoords="axes fraction",
                textcoords="axes fraction",
                fontsize=NOTE,
                va="center",
                arrowprops={
                    "arrowstyle": "-",
                    "lw": 0.4,
                    "color": "0.5",
                    "shrinkA": 1,
                    "shrinkB": 1,
                    "relpos": (0, 0.5),
                },
            )
