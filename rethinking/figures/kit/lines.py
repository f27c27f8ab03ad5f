"""Lines over a coordinate: medians over seeds, with every seed as a point and their range as a bar."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from rethinking.claims import CENSORED
from rethinking.figures.kit.frame import MISSING, Cell, Condition, Frame, ended
from rethinking.figures.kit.measures import Measure, finite
from rethinking.figures.kit.panels import INTERVAL, LINE_OF, RANGE, Panel, seeds_note, size_note, without_ticks
from rethinking.plotting import NOTE
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HOLLOW: dict[str, Any] = {"linestyle": "none", "mfc": "none", "ms": 7}  # what is not ours
CROWD = 8  # levels at most whose numbers stand side by side


@dataclass(frozen=True, kw_only=True)
class Lines(Panel):
    """Medians over seeds as lines over a coordinate, with every seed as a point and their range as a bar.

    A line breaks where its median is no number, as where most seeds are censored.

    Attributes:
        x: the coordinate. y: a measure, with coordinates of the runs that it is of where they are fewer; or several by
        name, which then differ as lines do.
        named: in the legend, with n and seeds, for lines that differ in them. headed: so is the title. apart: on a
        logarithmic axis, the factor from one line's x to the next one's, where their bars would hide each other.
        places: the values of x stand at equal distances, so that 0 may stand beside powers of ten; without an xlabel
        they have no names, as the panel below has them. shaded: a rule of the runs at one of these places, and in
        words; where it holds the place is shaded. paper: by the value of `hue` what the paper gives at some x, hollow.
        interval: the measures of the ends of each run's own interval at 95 %, which bars then show instead of the
        seeds' range. room: above the highest number, as a share of it.
    """

    x: str
    y: Measure | tuple[Measure, Condition] | dict[str, Measure]
    named: bool = False
    headed: bool = False
    apart: float = 1.0
    places: bool = False
    shaded: tuple[Callable[[Frame], Cell], str] | None = None
    paper: Mapping[Any, Mapping[float, float]] = field(default_factory=dict)
    interval: tuple[Measure, Measure] | None = None
    room: float = 0.15

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        bar = INTERVAL if self.interval else RANGE
        dark = f"\ndark columns: {self.shaded[1]}" if self.shaded else ""
        return LINE_OF + bar + "; hollow: the paper's" * bool(self.paper) + dark

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        chosen, among = frame.where(**self.only), frame.names(self.hue) if self.hue else ()
        y, of = self.y if isinstance(self.y, tuple) else (self.y, {})
        measures, frame, parts = y if isinstance(y, dict) else {"": y}, chosen.where(**of), chosen.groups(self.x)
        if self.places:
            place = {level: k for k, level in enumerate(parts)}
            frame = Frame(frame.data.assign(**{self.x: frame.data[self.x].map(place)}))
        top = self._top([v for m in measures.values() for v in frame.values(m)])
        for name, measure in measures.items():
            groups = frame.groups(self.hue) if self.hue else {name: frame}
            for k, (value, whole) in enumerate(groups.items()):
                look, part = self.look(value, among), self._moved(whole, k - (len(groups) - 1) / 2)
                self._line(axes, part, measure, look, self._label(value, part), value in self.paper)
                late = part.data[part.data[f"{measure.name}_state"] == CENSORED]
                for x, states in late.groupby(self.x)["state"]:
                    words = " and ".join(sorted({str(ended(CENSORED, state)) for state in states}))
                    axes.plot(x, 0.97 * top, marker=6, color=look["color"], ms=6)
                    axes.annotate(words, (x, 0.95 * top), fontsize=NOTE, rotation=90, ha="center", va="top")
        for value, given in self.paper.items():
            axes.plot(*zip(*given.items(), strict=True), **self.look(value, among) | HOLLOW, clip_on=False)
        self._mark_missing(axes, frame, list(measures.values()))
        levels = list(frame.data[self.x].unique())
        axes.update_datalim([(x, 0) for x in levels], updatey=False)  # else words stand outside where runs are missing
        if self.log:
            axes.set_xscale("log")
            turned = 0 if max(levels) < 1000 else 30 if len(levels) <= CROWD else 90
            axes.set_xticks(levels, [f"{x:,}" for x in levels], rotation=turned)
            axes.minorticks_off()
        axes.autoscale_view(scaley=False)
        empty = all(frame.data[m.name].isna().all() for m in measures.values())
        if empty:  # nothing that a scale could be taken from
            least, most = min(levels), max(levels)
            edge = 0.08 * (most - least) or 1.0  # words stand beside the axis, not on it
            times = max(1.2, (most / least) ** 0.08) if self.log else 1.0
            axes.set_xlim(*((least / times, most * times) if self.log else (least - edge, most + edge)))
        self.finish(axes)
        axes.set_ylim(self.ylim[0], top)
        if empty and (legend := axes.get_legend()):
            legend.set_loc("upper right")  # above the words at the axis
        if empty and self.ylim[1] is None and not self.lines_of_reference and not self.band:
            without_ticks(axes.yaxis)
        if self.places:
            axes.set_xticks(range(len(parts)), [f"{level:g}" for level in parts], rotation=45)
            axes.tick_params(labelbottom=bool(self.xlabel))
            axes.set_xlim(-0.5, len(parts) - 0.5)
        for k, part in enumerate(parts.values()):
            if self.shaded and self.shaded[0](part) is True:
                axes.axvspan(k - 0.4, k + 0.4, color="0.87", lw=0, zorder=-1)
        if self.headed:
            n, seeds = int(chosen.data["n"].iloc[0]), chosen.data["seed"].nunique()
            axes.set_title(f"{self.title}, n = {n:,}, {seeds_note(seeds)}")

    def _top(self, values: Sequence[float]) -> float:
        """Where the axis ends: above every number, the band, and every reference where there are no numbers."""
        if self.ylim[1] is not None:
            return self.ylim[1]
        known = [v for v in values if math.isfinite(v)] or [value for value, _ in self.lines_of_reference]
        most = max(known + ([self.band[1]] if self.band else []), default=1.0)
        return (1 + self.room) * most if most > 0 else (1 - self.room) * most

    def _moved(self, part: Frame, places: float) -> Frame:
        if self.apart == 1:
            return part
        return Frame(part.data.assign(**{self.x: part.data[self.x] * self.apart**places}))

    def _label(self, value: Any, part: Frame) -> str:
        if not self.named:
            return str(value)
        n, full, seeds = int(part.data["n"].iloc[0]), int(part.data["all"].iloc[0]), part.data["seed"].nunique()
        return f"{value}: {size_note(n, full)}, {seeds_note(seeds)}"

    def _line(self, axes: "Axes", part: Frame, measure: Measure, look: dict[str, Any], label: str, paper: bool) -> None:
        """paper: whether it has marks of the paper's, which the legend then shows where ours are not run."""
        import seaborn

        data = part.data
        there = data[data[measure.name].notna()]
        if there.empty:
            words = "not run" if (data["state"] == MISSING).all() else "no number"
            axes.plot([], [], **look | HOLLOW if paper else {"linestyle": "none"}, label=f"{label}: {words}")
            return
        run = (data["state"] != MISSING).groupby(data[self.x]).any()
        label += "" if run.all() else f", {run.sum()} of {len(run)} points run"
        line = {"color": look["color"], "linestyle": look["linestyle"]}
        places = dict(sorted(part.groups(self.x).items()))
        middle = [one.median(measure) if one.values(measure) else math.nan for one in places.values()]
        axes.plot(list(places), [v if math.isfinite(v) else math.nan for v in middle], **line)  # it breaks there
        if self.interval:
            low, high = (there[end.name] for end in self.interval)
            axes.vlines(there[self.x], low, high, color=look["color"], lw=0.6)
        for x, one in places.items() if not self.interval else ():
            if len(known := finite(one.values(measure))) > 1:
                axes.vlines(x, min(known), max(known), color=look["color"], lw=0.8)
        where: dict[str, Any] = {"x": self.x, "y": measure.name, "legend": False, "ax": axes}
        seaborn.scatterplot(there, **where, marker=look["marker"], color=look["color"], s=12, alpha=0.8, lw=0)
        axes.plot([], [], **line, marker=look["marker"], ms=3.5, label=label)

    def _mark_missing(self, axes: "Axes", frame: Frame, measures: Sequence[Measure]) -> None:
        """Say above the axis where no line that is begun has runs at x, and where one has some of its seeds there.

        Why none has a number there, as "no margin", is said too. What a line lacks altogether, the legend says.
        """
        lines = frame.groups(self.hue).values() if self.hue and self.legend else []
        begun = [part for part in lines if (part.data["state"] != MISSING).any()]
        text: dict[str, Any] = {"rotation": 90, "fontsize": NOTE, "ha": "center", "color": "0.35"}
        for value, part in (Frame(pd.concat([part.data for part in begun])) if begun else frame).groups(self.x).items():
            missing = part.data["state"] == MISSING
            each = missing.groupby(part.data[self.hue]) if begun else [("", missing)]
            if missing.all() or any(one.any() and not one.all() for _, one in each):
                words = "not run" if missing.all() else "partly run"
            else:
                known = part.data[~missing]  # the others are a line's that has no run here
                states = {state for measure in measures for state in known[f"{measure.name}_state"]}
                drawn = not states.isdisjoint({"", CENSORED})
                words = "" if drawn else ", ".join(sorted("no baseline" if s == MISSING else s for s in states))
            if words:
                axes.annotate(words, (value, 0.02), xycoords=("data", "axes fraction"), **text)
