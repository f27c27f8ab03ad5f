"""What a figure draws for itself, on the frame and with the frame of axes of the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rethinking.figures.kit.frame import Frame
from rethinking.figures.kit.panels import Panel
from rethinking.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def nothing(axes: "Axes", frame: Frame) -> None:
    """Draw nothing."""


@dataclass(frozen=True)
class Own(Panel):
    """A panel of one figure.

    Attributes:
        paint: draws the frame on axes. only: coordinates of the runs drawn.
    """

    paint: "Callable[[Axes, Frame], None]" = nothing
    only: dict[str, Any] = field(default_factory=dict)

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        self.paint(axes, frame.where(**self.only))
        self.finish(axes)
