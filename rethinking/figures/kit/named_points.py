"""Points in a plane, a run each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rethinking.figures.kit.frame import Frame, Naming
from rethinking.figures.kit.measures import Measure, highest
from rethinking.figures.kit.panels import Panel
from rethinking.plotting import NOTE
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class NamedPoints(Panel):
    """A point a run, with its name beside the first of those that share one; names without a point are in the legend.

    Attributes:
        x, y: the measures. by: what names a point, `looks` if it has another name. only: coordinates of the runs drawn.
    """

    x: Measure = field(default_factory=highest)
    y: Measure = field(default_factory=highest)
    by: Naming = ""
    only: dict[str, Any] = field(default_factory=dict)

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        named = []
        for name, part in frame.where(**self.only).groups(self.by).items():
            words, look = self.looks.get(name, name), self.look(name)
            there = part.data[part.data[[self.x.name, self.y.name]].notna().all(axis=1)]
            axes.plot(there[self.x.name], there[self.y.name], look["marker"], color=look["color"])
            if there.empty:
                axes.plot([], [], " ", label=f"{words}: {part.text(self.x.name)}")
                continue
            named.append((words, *there[[self.x.name, self.y.name]].iloc[0]))
        self.finish(axes)
        for words, x, y in named:
            left = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[0] < 0.5
            offset, side = ((6, 0), "left") if left else ((-6, 0), "right")
            text: dict[str, Any] = {"textcoords": "offset points", "ha": side, "va": "center", "fontsize": NOTE}
            axes.annotate(words, (x, y), offset, **text)
