"""What an experiment gives."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pandas as pd
from torch import nn

from rethinking import plotting
from rethinking.claims import spread
from rethinking.claims import told as in_words
from rethinking.paths import data_in
from rethinking.record import Record
from rethinking.record.frame import SETTINGS, Tidy, label_bits
from rethinking.spec import RunSpec, Spec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACCURACIES = {"train_accuracy": "training", "test_accuracy": "test", "held_out_accuracy": "held-out"}


class Result(Tidy):
    """A run a seed, as data frames, a plot and trained networks.

    `frame`, `curves` and `online` are those of `rethinking.records`.

    Args:
        records: a run a seed, in memory or on disk. networks: what gives the trained network of each. data_dir: the
            folder of their data set, where it is not the usual one.
    """

    def __init__(
        self, records: list[Record], networks: Sequence[Callable[[], nn.Module]], data_dir: str | Path | None = None
    ):
        self.records, self._networks, self._root = records, networks, data_dir

    def frame(self, wanted: Iterable[Spec] = ()) -> pd.DataFrame:
        """One row a run, as the `frame` of `rethinking.records`."""
        with data_in(self._root):
            return super().frame(wanted)

    @property
    def specs(self) -> list[RunSpec]:
        """What was trained, a spec a seed."""
        return [r.spec for r in self.records]  # type: ignore[misc]

    @property
    def spec(self) -> RunSpec:
        """The spec of the first seed; where data and network have names, what `rethinking run --spec` takes as JSON."""
        return self.specs[0]

    @cached_property
    def networks(self) -> list[nn.Module]:
        """The trained networks, on the CPU and in evaluation mode, one a seed."""
        return [make() for make in self._networks]

    @property
    def network(self) -> nn.Module:
        """The trained network of the first seed."""
        return self.networks[0]

    @property
    def memorized_bits(self) -> float:
        """m log2(classes) minus the summed cross-entropy of the m training labels in bits, not below 0.

        m is n without those held out. The median over the seeds; NaN where a loss is not finite, and with a bootstrap
        sample. `frame()` has every seed's.
        """
        bits = self.frame()["memorized_bits"]
        return math.nan if bits.isna().any() else float(median(bits))

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Accuracy (%) against epochs, one line a seed, on `ax` or on a new figure."""
        plt = plotting.pyplot()
        import seaborn

        axes = plt.subplots(figsize=(5, 3.2), layout="constrained")[1] if ax is None else ax
        long = self.curves().melt(["seed", "epoch"], list(ACCURACIES), "set", "accuracy").dropna(subset="accuracy")
        values = {"epoch": long["epoch"].astype(float), "accuracy": 100 * long["accuracy"].astype(float)}
        long = long.assign(set=long["set"].map(ACCURACIES), **values)
        seaborn.lineplot(long, x="epoch", y="accuracy", hue="set", style="set", units="seed", estimator=None, ax=axes)
        axes.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(0, 101), title=subject(self.spec))
        axes.legend(title=None)
        return axes

    def __repr__(self) -> str:
        frame = self.frame()
        parts = [in_words(frame["state"].tolist())]
        for name in ("train_accuracy", "test_accuracy"):
            there = [100 * v for v in frame[name].dropna()]
            parts += [f"{ACCURACIES[name]} accuracy {spread(there, unit=' %')}"] if there else []
        with data_in(self._root):
            most = label_bits(self.spec)
        parts += [f"{self.memorized_bits:,.0f} of {most:,.0f} bits memorized"] if most is not None else []
        return f"{subject(self.spec)}, {counted(len(frame))}: {'; '.join(parts)}"

    def _repr_html_(self) -> str:
        columns = ["seed", "state", "steps", "steps_to_fit", *ACCURACIES, "memorized_bits"]
        return page(repr(self), self.frame()[columns])


def subject(spec: RunSpec) -> str:
    """What a run is of, in words."""
    condition, regularizer = (SETTINGS[name][1](spec) for name in ("condition", "regularizer"))
    return f"{spec.model} on {spec.n:,} of {spec.data}, {condition}" + f", {regularizer}" * bool(spec.regularizers)


def counted(seeds: int) -> str:
    """ "1 seed", "3 seeds"."""
    return f"{seeds} seed{'s' * (seeds != 1)}"


def page(text: str, frame: pd.DataFrame, picture: str = "") -> str:
    """HTML for a notebook: a picture, a line, and a table of what has a value."""
    table: Any = frame.dropna(axis=1, how="all")
    shown = table.to_html(index=False, na_rep="–", float_format=lambda v: f"{v:,.4g}") if len(table.columns) else ""
    return f"{picture}<p>{escape(text)}</p>{shown}"
