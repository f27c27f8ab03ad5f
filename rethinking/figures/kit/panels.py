"""What is drawn: tables as text, lines over an axis, curves over steps; seaborn draws them on the frame."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from rethinking.claims import CENSORED
from rethinking.figures import FULL
from rethinking.figures.kit.frame import MISSING, Condition, Frame
from rethinking.figures.kit.measures import Measure, comparable, finite, highest
from rethinking.plotting import NOTE, PATCH, WIDTH, look_of
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STATISTIC = "median over seeds; the bar is their range"


@dataclass(frozen=True)
class Table:
    """The numbers of a figure, a row a condition.

    Attributes:
        head: the first column's title. columns: a title -> a measure, a measure and coordinates of the runs that it is
        of, or what the paper gives by row. by: what names a row, instead of the condition's label: a coordinate, or a
        format string of several. only: coordinates of the conditions that have a row.
    """

    head: str
    columns: Mapping[str, Measure | tuple[Measure, Condition] | Mapping[str, float | str]]
    by: str | None = None
    only: dict[str, Any] = field(default_factory=dict)

    def rows(self, frame: Frame, labels: Sequence[str]) -> list[dict[str, Any]]:
        """As the drawn figure's file has them: a list of one value a seed in each cell. labels: of the frame's rows."""
        out = []
        chosen = frame.where(**self.only)
        names = chosen.names(self.by) if self.by else pd.Series(labels, frame.data.index)[chosen.data.index]
        for label in names.unique():
            part = Frame(chosen.data[names == label])
            row: dict[str, Any] = {self.head: label, "n": [int(n) for n in part.data["n"].iloc[:1]]}
            for title, what in self.columns.items():
                if isinstance(what, Mapping):
                    row[title] = [what[label]]
                else:
                    measure, of = what if isinstance(what, tuple) else (what, {})
                    row[title] = part.where(**of).cells(measure.name, measure.whole)
            out.append(row)
        return out


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        hue: the coordinate by which lines differ. looks: a value of it, or a row -> whose colour, dash and marker it
        has, where not its own. xlabel, ylabel: with units. xlim, ylim: of the axes.
        reference: (value, text) of a horizontal line, or several. band: (low, high, text) of a shaded one. legend:
        where, as matplotlib says it, "outside ..." for beside all panels; None for no legend.
    """

    xlabel: str = ""
    ylabel: str = ""
    hue: str | None = None
    looks: Mapping[str, str] = field(default_factory=dict)
    xlim: tuple[float | None, float | None] = (None, None)
    ylim: tuple[float | None, float | None] = (None, None)
    reference: tuple[float, str] | list[tuple[float, str]] | None = None
    band: tuple[float, float, str] | None = None
    legend: str | None = "best"
    log: bool = False

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        return ""

    def look(self, value: Any) -> dict[str, Any]:
        """Colour, dash and marker of a value of `hue`, or of a row."""
        return look_of(self.looks.get(value, value))

    def finish(self, axes: "Axes") -> None:
        """Everything but the data."""
        if self.band:
            low, high, text = self.band
            axes.axhspan(low, high, color="0.93", zorder=0)
            axes.annotate(
                text,
                (0.99, high),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                fontsize=NOTE,
                color="0.35",
            )
        several = self.reference if isinstance(self.reference, list) else [self.reference]
        for value, text in (one for one in several if one):
            axes.axhline(value, color="0.4", lw=0.7, linestyle=":")
            axes.annotate(
                text, (0.01, value), xycoords=("axes fraction", "data"), va="bottom", fontsize=NOTE, color="0.35"
            )
        axes.set(xlabel=self.xlabel, ylabel=self.ylabel)
        if self.xlim != (None, None):
            axes.set_xlim(*self.xlim)
        axes.set_ylim(*self.ylim)
        handles, texts = axes.get_legend_handles_labels()
        if self.legend and texts and self.legend.startswith("outside"):
            columns = 1 if "right" in self.legend else len(texts)
            axes.figure.legend(handles, texts, loc=self.legend, ncols=columns)  # type: ignore[call-overload]
        elif self.legend and texts:
            axes.legend(loc=self.legend)  # type: ignore[call-overload]


@dataclass(frozen=True)
class Lines(Panel):
    """Medians over seeds as lines over a coordinate, with every seed as a point and their range as a bar.

    Attributes:
        x: the coordinate. y: a measure, or several by name, which then differ as lines do.
        named: in the legend, with n and seeds, for lines that differ in them. apart: on a logarithmic axis, the factor
        from one line's x to the next one's, where their bars would hide each other.
    """

    x: str = ""
    y: Measure | dict[str, Measure] = field(default_factory=dict)
    named: bool = False
    apart: float = 1.0

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        return STATISTIC

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
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
        _mark_missing(axes, frame, self.x)
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
    by: str = ""
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
        return 1.1 + 0.2 * frame.where(**self.only).data[self.by].nunique()

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        import seaborn

        rows = frame.where(**self.only).groups(self.by)
        for k, (row, part) in enumerate(rows.items()):
            if row in self.bands:
                axes.plot(self.bands[row], [k, k], color="0.85", lw=5, solid_capstyle="butt", zorder=0)
            look = self.look(row)
            dots = {"marker": look["marker"], "color": look["color"], "s": 26, "zorder": 4, "clip_on": False}
            there = part.data[part.data[self.x.name].notna()]
            seaborn.scatterplot(there.assign(row=k), x=self.x.name, y="row", legend=False, ax=axes, **dots)
            if isinstance(self.paper.get(row, ""), int | float):
                axes.plot(self.paper[row], k, "o", mfc="none", mec="black", ms=7, zorder=5, clip_on=False)
        axes.set_yticks(range(len(rows)), [self._name(row, part) for row, part in rows.items()])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="y", lw=0.3)
        if self.zero:
            axes.axvline(0, color="0.4", lw=0.7)
        axes.set(xlabel=self.xlabel, ylabel="")
        axes.set_xlim(*self.xlim)
        for k, (row, part) in enumerate(rows.items()):
            self._words(axes, k, row, part)

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
        above: dict[str, Any] = {"xycoords": "axes fraction", "fontsize": NOTE, "va": "bottom"}
        if not frame.values(self.gain.name):
            return
        if min(frame.values(self.gain.name)) < self.least:
            axes.annotate(f"stopping gains under {self.least:g} points", (1, 1.0), ha="right", **above)
            return
        middle = frame.median(self.best.name)
        axes.axvline(middle, color="0.4", linestyle=":", lw=0.9)
        axes.axvspan(0, middle, color="0.94", zorder=0)
        axes.annotate("underfits", (0, 1.0), **above)
        axes.annotate("overfits", (1, 1.0), ha="right", **above)


@dataclass(frozen=True)
class Curves(Panel):
    """A column of the curve, or of the online log where the runs have one, against steps or epochs; a line a run.

    Attributes:
        x: "step" or "epoch". columns: a column -> the dash that it is drawn with, None for the hue's own.
        factor: of the values. error: 100 minus them. only: coordinates of the runs drawn. online: the column of the
        online log that is drawn instead, where every run drawn has a log. shaded: what falls short of the best so far,
        of the evaluations on the same test images. shown: times the longest time to fit, where every run is fitted:
        what is after it is cut off. zones: of under- and overfitting.
    """

    x: str = "step"
    columns: dict[str, Any] = field(default_factory=dict)
    factor: float = 1.0
    error: bool = False
    only: dict[str, Any] = field(default_factory=dict)
    online: str | None = None
    shaded: bool = False
    shown: float | None = None
    zones: Zones | None = None
    title: str = ""

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        return "shaded: short of the best so far; the last point is of all test images" if self.shaded else ""

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`; records: of the frame's rows."""
        import seaborn

        chosen = frame.where(**self.only)
        drawn = [r for i in chosen.data.index if (r := records[i])]
        logged = bool(self.online and drawn and all(r.online["step"] for r in drawn))
        for value, part in chosen.groups(self.hue).items() if self.hue else [("", chosen)]:
            look, label = self.look(value), str(value)
            there = [r for i in part.data.index if (r := records[i])]
            if not there:
                axes.plot([], [], " ", label=f"{label}: not run" if label else "not run")
                continue
            partly = f" ({len(there)} of {len(part.data)} seeds)" if len(there) < len(part.data) else ""
            for column, dash in self.columns.items():
                linestyle = look["linestyle"] if dash is None else dash
                for record in there:
                    data = self._data(record, column, logged)
                    style = {"color": look["color"], "linestyle": linestyle, "lw": 1.1}
                    seaborn.lineplot(data, x=self.x, y="y", estimator=None, legend=False, ax=axes, **style)
                    if self.shaded:
                        same = self._of_curve(record, column).iloc[comparable(record)]
                        best = same["y"].cummin() if self.error else same["y"].cummax()
                        axes.fill_between(same[self.x], same["y"], best, color=look["color"], alpha=0.25, lw=0)
                    axes.plot(
                        data[self.x].iloc[-1], data["y"].iloc[-1], look["marker"], color=look["color"], ms=4, zorder=3
                    )
            axes.plot([], [], color=look["color"], linestyle=linestyle, marker=look["marker"], label=label + partly)
        self.finish(axes)
        if logged:
            axes.set_ylabel(f"{self.ylabel}, of the batches")
        ends = [r.curve[self.x][-1] for r in drawn]
        times = [r.steps_to_fit() for r in drawn]
        fits = [t for t in times if t is not None]
        cut = self.shown * max(fits) if self.shown and fits and len(fits) == len(times) else math.inf
        if ends:
            axes.set_xlim(0, min(cut, 1.02 * max(ends)))
        if cut < max(ends, default=0):
            axes.set_xlabel(f"{self.xlabel}; shown to {cut:,.0f} of {max(ends):,}")
        if self.zones:
            self.zones.draw(axes, chosen)
        if self.title:
            axes.set_title(self.title, pad=12)

    def _data(self, record: Record, column: str, logged: bool) -> pd.DataFrame:
        if logged and self.online:
            return self._scaled(record.online["step"], record.online[self.online])
        return self._of_curve(record, column)

    def _of_curve(self, record: Record, column: str) -> pd.DataFrame:
        return self._scaled(record.curve[self.x], record.curve[column])

    def _scaled(self, x: Sequence[float], values: Sequence[float]) -> pd.DataFrame:
        data = pd.DataFrame({self.x: x, "y": values})
        data["y"] *= self.factor
        if self.error:
            data["y"] = self.factor - data["y"]
        return data


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


def seeds_note(count: int) -> str:
    """ "1 seed", "3 seeds"."""
    return f"{count} seed{'s' * (count > 1)}"


def size_note(n: int, full: int = FULL) -> str:
    """How a figure says on how many images it was trained. full: how many the data set has."""
    return f"all {full:,} images" if n == full else f"REDUCED: {n:,} of {full:,} images"


def title(model: str, frame: Frame, data_name: str = "CIFAR-10") -> str:
    """The network, the data, n and seeds where there is one of each, and how many runs are missing."""
    data, full = frame.data, int(frame.data["all"].iloc[0])
    parts = [] if model == "all" else [model]
    parts.append(data_name)
    if data["n"].nunique() == 1:
        parts.append(size_note(int(data["n"].iloc[0]), full))
    elif data["n"].max() < full:
        parts.append(f"REDUCED: at most {int(data['n'].max()):,} of {full:,} images")
    coordinates = list(data.columns[: list(data.columns).index("seed")])
    per_condition = data.groupby(coordinates, sort=False)["seed"].nunique()
    if per_condition.nunique() == 1:
        parts.append(seeds_note(int(per_condition.iloc[0])))
    gone = int((data["state"] == MISSING).sum())
    return ", ".join(parts) + (f"; {gone} of {len(data)} runs not run" if gone else "")


__all__ = ["WIDTH", "Curves", "Lines", "Panel", "Rows", "Table", "seeds_note", "size_note", "title"]
