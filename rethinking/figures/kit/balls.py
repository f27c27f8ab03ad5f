"""Least squares in two weights: contours of the loss, and the solutions held in L1 and L2 balls of rising radius."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rethinking.figures.kit.frame import Frame
from rethinking.figures.kit.measures import Measure
from rethinking.figures.kit.panels import Panel
from rethinking.plotting import not_run
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = ("radius", "l1_first", "l1_second", "l2_first", "l2_second")


def on_axes(ball: str) -> Measure:
    """At how many radii between none and the free solution a weight in the ball is 0; of L2, or changes its sign."""

    def of(record: Record) -> int:
        weights = list(zip(record.curve[f"{ball}_first"], record.curve[f"{ball}_second"], strict=True))[1:-1]
        before = weights if ball == "l1" else [weights[0], *weights[:-1]]
        return sum(a * c <= 0 or b * d <= 0 for (a, b), (c, d) in zip(weights, before, strict=True))

    return Measure(ball, f"radii, {ball.upper()}", of, needs=f"{ball}_first")


def radii() -> Measure:
    """The number of radii between none and the free solution."""
    return Measure("radii", "radii", lambda r: len(r.curve["step"]) - 2, needs="radius")


@dataclass(frozen=True)
class Balls(Panel):
    """Contours of the loss through the two solutions, the two balls, and the paths of solutions.

    Attributes:
        only: coordinates of the one run drawn.
    """

    only: tuple[tuple[str, Any], ...] = ()

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        record = records[frame.where(**dict(self.only)).data.index[0]]
        if record:
            self._draw(axes, record.curve)
        else:
            not_run(axes)
        self.finish(axes)

    def series(self, frame: Frame, records: Sequence[Record | None]) -> dict[str, Any]:
        """The paths, for the figure's file."""
        record = records[frame.where(**dict(self.only)).data.index[0]]
        return {self.title: {name: record.curve[name] for name in NAMES}} if record else {}

    def _draw(self, axes: "Axes", curve: dict[str, list[float]]) -> None:
        last = {name: values[-1] for name, values in curve.items()}
        free = np.array([last["l2_first"], last["l2_second"]])
        far = 1.25 * float(np.abs(free).sum()) or 1.0
        x, y = np.meshgrid(*[np.linspace(-far, far, 241)] * 2)
        loss = last["offset"] - 2 * (last["slope_first"] * x + last["slope_second"] * y)
        loss += last["curvature_first"] * x * x + last["curvature_second"] * y * y + 2 * last["curvature_both"] * x * y
        corners = [k for k in range(1, len(curve["step"]) - 1) if 0.0 in (curve["l1_first"][k], curve["l1_second"][k])]
        row = corners[-1] if corners else len(curve["step"]) // 2  # the largest ball met in a corner
        levels = sorted({curve["l1_loss"][row], curve["l2_loss"][row]})
        if loss.min() < levels[0] and levels[-1] < loss.max():
            axes.contour(x, y, loss, levels=levels, colors="0.6", linewidths=0.8)
        turn = np.linspace(0, 2 * np.pi, 181)
        diamond, circle = np.array([[1, 0, -1, 0, 1], [0, 1, 0, -1, 0]]), np.stack([np.cos(turn), np.sin(turn)])
        for ball, shape in (("l1", np.abs(free).sum() * diamond), ("l2", np.linalg.norm(free) * circle)):
            look, path = self.look(ball.upper()), (curve[f"{ball}_first"], curve[f"{ball}_second"])
            axes.plot(*(curve["radius"][row] * shape), color=look["color"], lw=0.9)
            axes.plot(*path, color=look["color"], linestyle=look["linestyle"])
            axes.plot(path[0][row], path[1][row], "o", color=look["color"], ms=4)
        axes.plot(*free, "x", color="black", ms=5)
        axes.set_xlim(-0.8 * far, 0.8 * far)
        axes.set_ylim(-0.6 * far, 1.3 * far)
        axes.set_aspect("equal")
