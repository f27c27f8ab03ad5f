"""A figure of the paper, in a notebook."""

import io
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rethinking import catalog, claims, figures, plotting
from rethinking.api._result import page
from rethinking.arguments import path, size, taking, text
from rethinking.claims import Verdict
from rethinking.engines.local import resolve_device, resolve_precision
from rethinking.errors import InputError
from rethinking.figures.kit import declared
from rethinking.paths import path_of
from rethinking.record import Runs
from rethinking.record.bundle import advice, committed
from rethinking.record.frame import Tidy
from rethinking.spec import RunSpec, Spec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Drawing:
    """A figure drawn from the records there are.

    Attributes:
        figure: matplotlib's. numbers: what `rethinking figure` writes as .json. verdicts: on the claims. missing: specs
            of runs that have no record, and are shown as not run.
    """

    figure: "Figure"
    numbers: dict[str, Any]
    verdicts: list[Verdict]
    missing: list[Spec]

    def __init__(self, name: str, setting: figures.Setting, runs: Runs):
        plt = plotting.pyplot()
        self.name, self.setting, self.runs = name, setting, runs
        entry = catalog.find("figures", name)
        with catalog.blame(entry), plotting.style(agg=False):
            made, picture = figures.made(name, entry.load(), setting, runs)
            self.figure, self.numbers = picture(), made.numbers
            self.verdicts, self.missing = made.verdicts, made.missing
            plt.close(self.figure)  # it is shown as this object, once

    @property
    def axes(self) -> "list[Axes]":
        """The figure's axes."""
        return self.figure.axes

    @cached_property
    def _frame(self) -> pd.DataFrame:
        module = catalog.load("figures", self.name)
        wanted = figures.specs(self.name, self.setting)
        records = {condition: [self.runs.find(spec) for spec in group] for condition, group in wanted.items()}
        if declared.is_declared(module):
            return declared.frame(module, self.setting, records)[0].data
        tidy = Tidy()
        found = {r.path.name: r for group in records.values() for r in group if r and isinstance(r.spec, RunSpec)}
        tidy.records = list(found.values())
        return tidy.frame(s for s in figures.unique(wanted) if isinstance(s, RunSpec))

    def frame(self) -> pd.DataFrame:
        """The runs, a row each: a figure's coordinates and measures, each with a state, or the frame of its records."""
        return self._frame

    def save(self, folder: str | Path = "figures") -> list[Path]:
        """Write the .svg, .pdf and .json that `rethinking figure` writes."""
        return figures.draw(self.name, self.setting, self.runs, path_of(folder, "folder")).files

    def __repr__(self) -> str:
        told = claims.counted(v.verdict for v in self.verdicts)
        count = len(self.missing)
        missing = f"; {count} {'run is' if count == 1 else 'runs are'} missing" if count else ""
        return f"{figures.stem(self.name, self.setting)}: {told}{missing}"

    def _repr_html_(self) -> str:
        buffer = io.BytesIO()
        with plotting.style(agg=False):
            self.figure.savefig(buffer, format="svg", metadata={"Date": None})
        svg = buffer.getvalue().decode()
        lines = [f"<li><b>{escape(v.verdict)}</b>: {escape(v.statement)}</li>" for v in self.verdicts]
        return page(repr(self), pd.DataFrame(), svg[svg.index("<svg") :]) + f"<ul>{''.join(lines)}</ul>"


@taking(scale=text, model=text, seeds=size, runs=path, data=text, crop=size)
def figure(
    name: str,
    scale: str = "quick",
    model: str | None = None,
    seeds: int | None = None,
    runs: str | Path = "runs",
    *,
    data: str | None = None,
    crop: int | None = None,
) -> Drawing:
    """Draw a figure from the records there are, and judge its claims; nothing is trained, nothing is written.

    Args:
        name: one of `rethinking list figures`. scale, model, seeds, data, crop: as on the command line. runs: their
            folder.

    Raises:
        InputError: an unknown figure, scale, network or data set; a figure of the paper's data alone; no record; a
            damaged one.
    """
    precision = resolve_precision("auto", resolve_device("auto"))
    setting, folder = figures.setting(name, scale, model, seeds, precision, data, crop), Runs(*committed(runs))
    if not any(folder.complete(spec) for spec in figures.unique(figures.specs(name, setting))):
        given = {"model": model, "data": data, "crop": crop, "seeds": seeds}
        options = [f" --{key} {value}" for key, value in given.items() if value is not None]
        command = f"rethinking figure {name} --scale {scale}{''.join(options)}"
        raise InputError(
            f"{runs} has no record for {name} at scale {scale}: name other runs, or train with `{command}`"
            + advice(folder.root)
        )
    return Drawing(name, setting, folder)
