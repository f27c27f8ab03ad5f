"""Trained weights: the part that is exactly 0, and how they are distributed, from what records keep of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rethinking.figures.kit.frame import MISSING, Frame
from rethinking.figures.kit.measures import Measure
from rethinking.figures.kit.panels import Panel
from rethinking.plotting import not_run
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EDGES = np.linspace(-0.1, 0.1, 82)  # of bins
LEAST = 0.1  # % of the weights: of 1,001 quantiles one


def weights_zero() -> Measure:
    """The part of all weights that is exactly 0, in %; the record keeps weight_quantiles."""

    def of(record: Record) -> float:
        counts = [held for name, held in record.arrays.items() if name.startswith("zeros/")]
        return 100 * float(sum(c[0] for c in counts)) / float(sum(c[1] for c in counts))

    return Measure("zeros", "weights exactly 0 (%)", of, needs="train_accuracy")


def density(quantiles: np.ndarray) -> np.ndarray:
    """The part of all weights in each bin of EDGES, in %, (81,), from evenly spaced quantiles, ascending."""
    return 100 * np.diff(np.searchsorted(quantiles, EDGES, side="left") / len(quantiles))


@dataclass(frozen=True)
class Weights(Panel):
    """Distributions of a layer's trained weights on a logarithmic scale, a line a run.

    Attributes:
        layer: its name in the network. only: coordinates of the runs drawn. told: measures whose medians by `by` the
        legend gives beside a value of `hue`, with their unit.
    """

    layer: str = ""
    only: tuple[tuple[str, Any], ...] = ()
    told: tuple[tuple[Measure, str], ...] = ()
    by: str = ""

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        for value, part in frame.where(**dict(self.only)).groups(self.hue or "").items():
            look = {k: v for k, v in self.look(value).items() if k != "marker"}
            there = [r for i in part.data.index if (r := records[i])]
            for record in there:
                axes.plot((EDGES[:-1] + EDGES[1:]) / 2, np.maximum(self._density(record), LEAST), lw=0.9, **look)
            axes.plot([], [], label=f"{value}: {self._medians(frame.where(**{self.hue or '': value}))}", **look)
            if not there:
                not_run(axes)
        axes.set_yscale("log")
        self.finish(axes)
        axes.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
        axes.minorticks_off()
        axes.locator_params(axis="x", nbins=4)

    def series(self, frame: Frame, records: Sequence[Record | None]) -> dict[str, Any]:
        """What is drawn, for the figure's file, by run."""
        chosen = frame.where(**dict(self.only)).data
        there = [(row, r) for row, i in zip(chosen.to_dict("records"), chosen.index, strict=True) if (r := records[i])]
        names = [f"{row[self.hue or '']}, {self.title}, seed {row['seed']}" for row, _ in there]
        shares = [{"share of weights (%)": self._density(record).round(3).tolist()} for _, record in there]
        return dict(zip(names, shares, strict=True))

    def _density(self, record: Record) -> np.ndarray:
        return density(record.arrays[f"quantiles/{self.layer}"])

    def _medians(self, runs: Frame) -> str:
        if MISSING in set(runs.data["state"]):
            return "not all run"
        middles = [(runs.medians(measure.name, self.by).values(), unit) for measure, unit in self.told]
        return "; ".join(" / ".join(f"{v:.1f}" for v in values) + unit for values, unit in middles)
