"""What every pair of axes has: looks, labels, limits, lines of reference, legend; how n, seeds and title are said."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rethinking.figures._subject import FULL
from rethinking.figures.kit.frame import COMPUTED, MISSING, Frame
from rethinking.figures.kit.measures import Measure
from rethinking.plotting import LOOKS, NOTE, WIDTH, look_of
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

LINE = 120  # characters of a legend's size that stand side by side on the width of a page
MANY = 4  # entries of a legend on axes: more stand closer
ROOM = 1.3  # beyond the last number of a logarithmic axis: a factor
Limits = tuple[float | None, float | None]
STATISTIC = "median over seeds; the bar is their range"  # where a mark is a median
EACH_SEED, OF_SPANS = "a point a seed", ", the line their range"
LINE_OF = f"line: median over seeds; {EACH_SEED}"
RANGE, INTERVAL = "; bar: their range", ", its bar the 95 % interval"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes.

    Attributes:
        only: coordinates of the runs drawn. hue: the coordinate by which lines differ. looks: a value of it, or a row
        -> whose colour, dash and marker it has, where not its own. xlabel, ylabel: with units; else the measure's.
        xlim, ylim: of the axes. reference: (value, text) of a horizontal line, or several. band: (low, high, text) of
        a shaded one. side: where their text stands, else the lines' left and the band's right. legend: where, as
        matplotlib says it, "outside ..." for beside all panels; None for no legend. title: over the axes. log, ylog:
        logarithmic. xticks, yticks: where they are, else where matplotlib has them.
    """

    only: dict[str, Any] = field(default_factory=dict)
    hue: str | None = None
    looks: Mapping[Any, str] = field(default_factory=dict)
    xlabel: str = ""
    ylabel: str = ""
    xlim: tuple[float | None, float | None] = (None, None)
    ylim: tuple[float | None, float | None] = (None, None)
    reference: tuple[float, str] | list[tuple[float, str]] | None = None
    band: tuple[float, float, str] | None = None
    side: str = ""
    legend: str | None = "best"
    title: str = ""
    log: bool = False
    ylog: bool = False
    xticks: Sequence[float] = ()
    yticks: Sequence[float] = ()

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        return ""

    @property
    def lines_of_reference(self) -> list[tuple[float, str]]:
        """As a list."""
        given = self.reference or []
        return given if isinstance(given, list) else [given]

    def look(self, value: Any, among: Iterable[Any] = ()) -> dict[str, Any]:
        """Colour, dash and marker of a value of `hue`, or of a row. among: all of them, in order."""
        unlisted = [v for v in dict.fromkeys(among) if self.looks.get(v, v) not in LOOKS]
        return look_of(self.looks.get(value, value), unlisted.index(value) if value in unlisted else 0)

    def words(self, axes: "Axes", text: str, height: float, usual: str) -> None:
        """Write on a line or a band, on its left or its right."""
        side = self.side or usual
        where: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "bottom", "ha": side}
        where |= {"textcoords": "offset points", "fontsize": NOTE, "color": "0.35"}
        axes.annotate(text, (0.99 if side == "right" else 0.01, height), (0, 1.5), **where)

    def label(self, axis: str) -> str:
        """What an axis says: what is given, else the measure's label."""
        measure = getattr(self, axis, None)
        measure = measure[0] if isinstance(measure, tuple) else measure
        return getattr(self, f"{axis}label") or (measure.label if isinstance(measure, Measure) else "")

    def scale(self, axes: "Axes") -> None:
        """Scales and ticks."""
        if self.log and axes.get_xscale() != "log":
            axes.set_xscale("log")
        if self.ylog:
            axes.set_yscale("log")
        for axis, ticks in ((axes.xaxis, self.xticks), (axes.yaxis, self.yticks)):
            if ticks:
                axis.set_ticks(ticks, [f"{v:g}" for v in ticks])
                axis.set_ticks([], minor=True)

    def finish(self, axes: "Axes") -> None:
        """Everything but the data."""
        if self.band:
            low, high, text = self.band
            axes.axhspan(low, high, color="0.93", zorder=0)
            self.words(axes, text, high, "right")
        for value, text in self.lines_of_reference:
            axes.axhline(value, color="0.4", lw=0.7, linestyle=":")
            self.words(axes, text, value, "left")
        axes.set(xlabel=self.label("x"), ylabel=self.label("y"))
        if self.title:
            axes.set_title(self.title)
        self.scale(axes)
        if self.xlim != (None, None):
            axes.set_xlim(*self.xlim)
        if self.ylim != (None, None):
            axes.set_ylim(*self.ylim)
        if axes.get_legend_handles_labels()[1]:
            self.explain(axes)

    def explain(self, axes: "Axes") -> None:
        """The legend of what is drawn on `axes`."""
        handles, texts = axes.get_legend_handles_labels()
        if self.legend and self.legend.startswith("outside"):
            wide = round(LINE * axes.figure.get_figwidth() / WIDTH)  # type: ignore[union-attr]
            room = wide // (6 + max(map(len, texts)))  # of entries side by side
            columns = 1 if "right" in self.legend else max(1, min(len(texts), room))
            axes.figure.legend(handles, texts, loc=self.legend, ncols=columns)  # type: ignore[call-overload]
        elif self.legend:
            between = 0.25 if len(texts) > MANY else 0.5
            axes.legend(loc=self.legend, labelspacing=between)  # type: ignore[call-overload]


@dataclass(frozen=True, kw_only=True)
class Own(Panel):
    """What one figure draws for itself.

    Attributes:
        paint: draws, given axes, the runs' frame and, by its index, their records. series: from the same frame and
        records what the figure's file has of it.
    """

    paint: "Callable[[Axes, Frame, Sequence[Record | None]], None]"
    series: Callable[[Frame, Sequence[Record | None]], dict[str, Any]] | None = None

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        self.paint(axes, frame, records)
        self.finish(axes)


def around(limits: Limits, values: Sequence[float]) -> Limits:
    """Limits of a logarithmic axis: those given, and for None what the numbers need; as given where there are none."""
    known = [v for v in values if 0 < v < math.inf]
    if not known:
        return limits
    low, high = limits
    return min(known) / ROOM if low is None else low, max(known) * ROOM if high is None else high


def without_ticks(axis: "Axis") -> None:
    """Take the numbers from an axis on which nothing stands."""
    axis.set_ticks([])
    axis.set_ticks([], minor=True)


def seeds_note(count: int) -> str:
    """ "1 seed", "3 seeds"."""
    return f"{count} seed{'s' * (count > 1)}"


def of_one_seed(note: str) -> str:
    """A panel's note without what it says of marks and bars of several seeds."""
    note = note.replace(LINE_OF + INTERVAL, "bar: the 95 % interval")
    for words in (LINE_OF + RANGE, STATISTIC, EACH_SEED + OF_SPANS, f", {EACH_SEED}", EACH_SEED):
        note = note.replace(words, "")
    return note.removeprefix("; ").strip()


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
    trains = not set(data["state"]) <= {COMPUTED, MISSING}  # beside it what is computed needs one seed
    groups = (data[data["state"] != COMPUTED] if trains else data).groupby(coordinates, sort=False, dropna=False)
    least, most = (int(end) for end in (groups["seed"].nunique().min(), groups["seed"].nunique().max()))
    parts.append(seeds_note(most) if least == most else f"{least} to {most} seeds")
    return ", ".join(parts) + missing_note(frame)


def missing_note(frame: Frame) -> str:
    """ "; 3 of 12 runs not run", or nothing."""
    runs = frame.data.drop_duplicates("run")
    gone = int((runs["state"] == MISSING).sum())
    return f"; {gone} of {len(runs)} runs not run" if gone else ""
