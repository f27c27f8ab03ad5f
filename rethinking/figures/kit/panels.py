"""What every pair of axes has: looks, labels, limits, lines of reference, legend; how n, seeds and title are said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rethinking.figures import FULL
from rethinking.figures.kit.frame import COMPUTED, MISSING, Frame
from rethinking.plotting import NOTE, WIDTH, look_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE = 120  # characters of a legend's size that stand side by side
STATISTIC = "median over seeds; the bar is their range"


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        hue: the coordinate by which lines differ. looks: a value of it, or a row -> whose colour, dash and marker it
        has, where not its own. xlabel, ylabel: with units. xlim, ylim: of the axes.
        reference: (value, text) of a horizontal line, or several. right: their text stands there. band: (low, high,
        text) of a shaded one. legend: where, as matplotlib says it, "outside ..." for beside all panels; None for no
        legend. title: over the axes. log, ylog: logarithmic. xticks, yticks: where they are, else where matplotlib has
        them.
    """

    xlabel: str = ""
    ylabel: str = ""
    hue: str | None = None
    looks: Mapping[str, str] = field(default_factory=dict)
    xlim: tuple[float | None, float | None] = (None, None)
    ylim: tuple[float | None, float | None] = (None, None)
    reference: tuple[float, str] | list[tuple[float, str]] | None = None
    right: bool = False
    band: tuple[float, float, str] | None = None
    legend: str | None = "best"
    log: bool = False
    title: str = ""
    ylog: bool = False
    xticks: Sequence[float] = ()
    yticks: Sequence[float] = ()

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        return ""

    def look(self, value: Any) -> dict[str, Any]:
        """Colour, dash and marker of a value of `hue`, or of a row."""
        return look_of(self.looks.get(value, value))

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
            x, side = (0.99, "right") if self.right else (0.01, "left")
            where: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "bottom", "ha": side}
            axes.annotate(text, (x, value), fontsize=NOTE, color="0.35", **where)
        axes.set(xlabel=self.xlabel, ylabel=self.ylabel)
        if self.title:
            axes.set_title(self.title)
        self.scale(axes)
        if self.xlim != (None, None):
            axes.set_xlim(*self.xlim)
        if self.ylim != (None, None):
            axes.set_ylim(*self.ylim)
        handles, texts = axes.get_legend_handles_labels()
        if self.legend and texts and self.legend.startswith("outside"):
            room = LINE // (6 + max(map(len, texts)))  # of entries side by side
            columns = 1 if "right" in self.legend else max(1, min(len(texts), room))
            axes.figure.legend(handles, texts, loc=self.legend, ncols=columns)  # type: ignore[call-overload]
        elif self.legend and texts:
            axes.legend(loc=self.legend)  # type: ignore[call-overload]


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
    trained = data[data["state"] != COMPUTED]  # what is computed needs one seed
    per_condition = (
        (data if trained.empty else trained).groupby(coordinates, sort=False, dropna=False)["seed"].nunique()
    )
    if per_condition.nunique() == 1:
        parts.append(seeds_note(int(per_condition.iloc[0])))
    return ", ".join(parts) + missing_note(frame)


def missing_note(frame: Frame) -> str:
    """ "; 3 of 12 runs not run", or nothing."""
    runs = frame.data.drop_duplicates("run")
    gone = int((runs["state"] == MISSING).sum())
    return f"; {gone} of {len(runs)} runs not run" if gone else ""


__all__ = ["STATISTIC", "WIDTH", "Panel", "missing_note", "seeds_note", "size_note", "title"]
