"""Lines over a coordinate: medians over seeds, with every seed as a point and their range as a bar."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from rethinking.claims import CENSORED
from rethinking.figures.kit.frame import MISSING, Frame
from rethinking.figures.kit.measures import Measure
from rethinking.figures.kit.panels import STATISTIC, Panel, seeds_note, size_note
from rethinking.plotting import NOTE
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Lines(Panel):
    """Medians over seeds as lines over a coordinate, with every seed as a point and their range as a bar.

    Attributes:
        x: the coordinate. y: a measure, or several by name, which then differ as lines do.
        named: in the legend, with n and seeds, for lines that differ in them. apart: on a logarithmic axis, the factor
        from one line's x to the next one's, where their bars would hide each other. only: coordinates of the runs.
    """

    x: str = ""
    y: Measure | dict[str, Measure] = field(default_factory=dict)
    named: bool = False
    apart: float = 1.0
    only: dict[str, Any] = field(default_factory=dict)

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        return STATISTIC

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        frame = frame.where(**self.only)
        measures = self.y if isinstance(self.y, dict) else {"": self.y}
        top = _top(self, [v for m in measures.values() for v in frame.values(m.name)])
        for name, measure in measures.items():
            groups = frame.groups(self.hue) if self.hue else {name: frame}
            for k, (value, whole) in enumerate(groups.items()):
                look, part = self.look(value), self._moved(whole, k - (len(groups) - 1) / 2)
                self._line(axes, part, measure, look, self._label(value, part))
                late = part.data[part.data[f"{measure.name}_state"] == CENSORED][self.x].unique()
                for x in late:
                    axes.plot(x, 0.97 * top, marker=6, color=look["color"], ms=6)
                    axes.annotate(CENSORED, (x, 0.95 * top), fontsize=NOTE, rotation=90, ha="center", va="top")
        _mark_missing(axes, self._begun(frame), self.x)
        levels = list(frame.data[self.x].unique())
        axes.update_datalim([(x, 0) for x in levels], updatey=False)  # else words stand outside where runs are missing
        if self.log:
            axes.set_xscale("log")
            axes.set_xticks(levels, [f"{x:,}" for x in levels], rotation=30 if max(levels) >= 1000 else 0)
            axes.minorticks_off()
        axes.autoscale_view(scaley=False)
        if all(frame.data[m.name].isna().all() for m in measures.values()):  # nothing that a scale could be taken from
            axes.set_xlim(min(levels) / 1.2 if self.log else min(levels), max(levels) * 1.2)
        self.finish(axes)
        axes.set_ylim(self.ylim[0], self.ylim[1] if self.ylim[1] is not None else top)

    def _begun(self, frame: Frame) -> Frame:
        """The lines of which a run is there: of the others the legend says that they are not run."""
        lines = frame.groups(self.hue).values() if self.hue and self.legend else []
        begun = [part.data for part in lines if (part.data["state"] != MISSING).any()]
        return Frame(pd.concat(begun)) if begun else frame

    def _moved(self, part: Frame, places: float) -> Frame:
        if self.apart == 1:
            return part
        return Frame(part.data.assign(**{self.x: part.data[self.x] * self.apart**places}))

    def _label(self, value: Any, part: Frame) -> str:
        if not self.named:
            return str(value)
        n, full, seeds = int(part.data["n"].iloc[0]), int(part.data["all"].iloc[0]), part.data["seed"].nunique()
        return f"{value}: {size_note(n, full)}, {seeds_note(seeds)}"

    def _line(self, axes: "Axes", part: Frame, measure: Measure, look: dict[str, Any], label: str) -> None:
        import seaborn

        data = part.data
        there = data[data[measure.name].notna()]
        if there.empty:
            words = "not run" if (data["state"] == MISSING).all() else "no number"
            axes.plot([], [], " ", label=f"{label}: {words}")
            return
        gaps = [x for x in data[self.x].unique() if x not in set(there[self.x])]  # the line breaks there
        segments = there[self.x].map(lambda x: sum(gap < x for gap in gaps))
        for k in segments.unique():
            seaborn.lineplot(
                there[segments == k],
                x=self.x,
                y=measure.name,
                estimator="median",
                errorbar=("pi", 100),
                err_style="bars",
                err_kws={"elinewidth": 0.8},
                color=look["color"],
                linestyle=look["linestyle"],
                legend=False,
                ax=axes,
            )
        dots = {"marker": look["marker"], "color": look["color"], "s": 12, "alpha": 0.8, "lw": 0}
        seaborn.scatterplot(there, x=self.x, y=measure.name, legend=False, ax=axes, **dots)
        line = {"color": look["color"], "linestyle": look["linestyle"], "marker": look["marker"], "ms": 3.5}
        axes.plot([], [], **line, label=label)


def _top(panel: Panel, values: Sequence[float]) -> float:
    """Where the axis ends: above every number, the band, and every line of reference where there are no numbers."""
    if panel.ylim[1] is not None:
        return panel.ylim[1]
    several = panel.reference if isinstance(panel.reference, list) else [panel.reference]
    known = [v for v in values if math.isfinite(v)] or [one[0] for one in several if one]
    return 1.15 * max(known + ([panel.band[1]] if panel.band else []), default=1.0)


def _mark_missing(axes: "Axes", frame: Frame, x: str) -> None:
    """Say below the axis, at every x where runs are missing, whether all or some are."""
    for value, part in frame.groups(x).items():
        missing = part.data["state"] == MISSING
        if missing.any():
            words = "not run" if missing.all() else "partly run"
            axes.annotate(
                words,
                (value, 0.02),
                xycoords=("data", "axes fraction"),
                rotation=90,
                fontsize=NOTE,
                ha="center",
                color="0.35",
            )
