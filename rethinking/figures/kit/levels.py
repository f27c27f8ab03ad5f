"""Lines over the values of a coordinate at equal distances, so that 0 may stand beside powers of ten."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rethinking.figures.kit.frame import Cell, Frame
from rethinking.figures.kit.lines import Lines
from rethinking.figures.kit.measures import Measure
from rethinking.figures.kit.panels import seeds_note
from rethinking.plotting import NOTE
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def around(paper: float, margin: float) -> tuple[float, float, str]:
    """The band of what counts as the paper's number."""
    return paper - margin, paper + margin, f"paper: {paper:g} ± {margin:g}"


@dataclass(frozen=True)
class Levels(Lines):
    """A line over the places of a coordinate's values, of one value of `hue`.

    Attributes:
        of: that value. bands: of every value of `hue`. room: what the axis leaves below and above its band.
        headed: the title says `of`, n and seeds. shaded: a rule of the runs of `of` at one place, and in words; where
        it holds the place is shaded. The label of the axis is the measure's.
        Without an xlabel the places have no names: the panel below has them.
    """

    of: str = ""
    bands: Mapping[str, tuple[float, float, str]] = field(default_factory=dict)
    room: float | None = None
    headed: bool = False
    legend: str | None = None
    shaded: tuple[Callable[[Frame], Cell], str] | None = None

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        return super().note + (f"; dark columns: {self.shaded[1]}" if self.shaded else "")

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        mine = frame.where(**{self.hue or "": self.of})
        parts = mine.groups(self.x)
        places = {level: place for place, level in enumerate(parts)}
        moved = Frame(mine.data.assign(**{self.x: mine.data[self.x].map(places)}))
        band = self.bands.get(self.of)
        label = self.y.label if isinstance(self.y, Measure) else self.ylabel
        Lines.draw(replace(self, band=band and (*band[:2], ""), ylabel=label), axes, moved, records)
        for level, part in parts.items():
            if self.shaded and self.shaded[0](part) is True:
                axes.axvspan(places[level] - 0.4, places[level] + 0.4, color="0.87", lw=0, zorder=-1)
        axes.set_xticks(range(len(parts)), [f"{level:g}" for level in parts], rotation=45)
        axes.tick_params(labelbottom=bool(self.xlabel))
        axes.set_xlim(-0.5, len(parts) - 0.5)
        if band:
            low, high, text = band
            where: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "bottom"}
            axes.annotate(text, (0.01, high), fontsize=NOTE, color="0.35", **where)
            axes.set_ylim(*self.ylim if self.room is None else (low - self.room, high + self.room))
        if self.headed:
            n, seeds = int(mine.data["n"].iloc[0]), mine.data["seed"].nunique()
            axes.set_title(f"{self.of}, n = {n:,}, {seeds_note(seeds)}")
