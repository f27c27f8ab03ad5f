"""What is read off a run, or off a run and its baseline of the same seed."""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

from rethinking.claims import CENSORED
from rethinking.figures.kit.frame import Cell, Condition
from rethinking.record import Record
from rethinking.record.frame import label_bits, memorized_bits
from rethinking.spec import RunSpec

UNMEASURED = "not measured"


@dataclass(frozen=True)
class Measure:
    """A number of a run.

    Attributes:
        name: of its column. label: of an axis, with the unit. of: a record -> a number, or a word where there is none.
        whole: it is a whole number. baseline: coordinates of the run of the same seed that it is compared with. by: how
        its value and the baseline's are. parameters: coordinates of the row that `of` is given too, by name. needs: a
        column of the curve; a run of a kind that lacks it is UNMEASURED. form: a format string, where tables have it
        as text. baseline_name: what the baseline is called, where not by its coordinates.
    """

    name: str
    label: str
    of: Callable[..., float | int | str]
    whole: bool = False
    baseline: tuple[tuple[str, Any], ...] = ()
    by: Callable[[float, float], float] = operator.truediv
    parameters: tuple[str, ...] = ()
    needs: str = ""
    form: str = ""
    baseline_name: str = ""

    def cells(self, data: pd.DataFrame, records: Sequence[Record | None]) -> list[Cell]:
        """Its value for every row of a frame: None where the run, or its baseline, is missing."""
        given = data[list(self.parameters)].to_dict("records")
        plain: list[Cell] = [None if r is None else self._read(r, g) for r, g in zip(records, given, strict=True)]
        if not self.baseline:
            return plain
        base = dict(self.baseline)
        word = self.baseline_name or _condition(base)
        out: list[Cell] = []
        for value, place in zip(plain, baselines(data, base), strict=True):
            start = None if place is None else plain[place]
            if value is None or start is None:
                out.append(None)
            elif isinstance(start, str):
                out.append(f"{word} {start}")
            else:
                out.append(value if isinstance(value, str) else self.by(value, start))
        return out

    def _read(self, record: Record, given: Condition) -> float | int | str:
        return self.of(record, **given) if not self.needs or self.needs in record.curve else UNMEASURED


def baselines(data: pd.DataFrame, baseline: Condition) -> list[int | None]:
    """The row of the baseline of every row of a frame: of the same seed, with these coordinates; None for none."""
    others = [c for c in data.columns[: list(data.columns).index("seed") + 1] if c not in baseline]
    at = data[list(baseline)].eq(pd.Series(baseline)).all(axis=1)
    keys = list(data[others].itertuples(index=False, name=None))
    places = {key: place for place, key in enumerate(keys) if at.iloc[place]}
    return [places.get(key) for key in keys]


def difference(name: str, one: Measure, other: Measure, label: str) -> Measure:
    """One measure minus another of the same run; a state where one of them has no number."""

    def of(record: Record) -> float | str:
        a, b = one.of(record), other.of(record)
        return a if isinstance(a, str) else b if isinstance(b, str) else a - b

    return Measure(name, label, of)


def steps_to_fit() -> Measure:
    """Steps to 99 % training accuracy, or censored."""

    def of(record: Record) -> int | str:
        if "train_accuracy" not in record.curve:
            return UNMEASURED
        steps = record.steps_to_fit()
        return CENSORED if steps is None else steps

    return Measure("steps", "steps to 99 % training accuracy", of, whole=True, needs="train_accuracy")


def epochs_to_fit() -> Measure:
    """Epochs to 99 % training accuracy, or censored."""

    def of(record: Record) -> float | str:
        steps = record.steps_to_fit()
        return CENSORED if steps is None else record.curve["epoch"][record.curve["step"].index(steps)]

    return Measure("epochs", "epochs to 99 % training accuracy", of)


def relative(measure: Measure, **baseline: Any) -> Measure:
    """The ratio of a measure to that of the run of the same seed with these coordinates."""
    label = f"{measure.label}, relative to {_condition(baseline)}"
    return Measure(f"{measure.name}_ratio", label, measure.of, baseline=tuple(baseline.items()))


def minus(measure: Measure, name: str, label: str, **baseline: Any) -> Measure:
    """The difference between a measure and that of the run of the same seed with these coordinates."""
    return Measure(name, label, measure.of, baseline=tuple(baseline.items()), by=operator.sub)


def _condition(coordinates: dict[str, Any]) -> str:
    pairs = coordinates.items()
    return ", ".join(v if isinstance(v, str) else f"{name} = {v:g}" for name, v in pairs)


def final(column: str, label: str = "") -> Measure:
    """100 times a column's last value: "test_accuracy", "train_accuracy"."""
    return Measure(column, label or f"{_word(column)} (%)", lambda r: 100 * r.final[column], needs=column)


def error(column: str) -> Measure:
    """100 minus `final`: "test_accuracy" -> test error in %."""
    name = column.replace("accuracy", "error")
    return Measure(name, f"{_word(name)} (%)", lambda r: 100 - 100 * r.final[column])


def _word(column: str) -> str:
    return column.replace("train_", "training ").replace("_", " ")


def highest() -> Measure:
    """The highest training accuracy of the whole set, in %, of evaluations with a finite loss; 0 where none is."""

    def of(record: Record) -> float | str:
        if "train_accuracy" not in record.curve:
            return UNMEASURED
        pairs = zip(record.curve["train_accuracy"], record.whole, strict=True)
        return 100 * max((a for a, whole in pairs if whole), default=0.0)

    return Measure("highest", "highest training accuracy (%)", of, needs="train_accuracy")


def bits_memorized() -> Measure:
    """The share of the training labels' bits that the network has memorized: a lower bound, from its last loss.

    Of m labels, 1 - cross-entropy / log(classes), not below 0; a loss that is not finite has none.
    """

    def of(record: Record) -> float | str:
        bits = memorized_bits(record)
        return "diverged" if bits is None else bits / label_bits(cast(RunSpec, record.spec))

    return Measure("bits", "share of the labels' bits memorized", of)


def gain() -> Measure:
    """What stopping at the best evaluation would gain over the latest one on the same test images, in points."""

    def of(record: Record) -> float:
        values = [record.curve["test_accuracy"][k] for k in comparable(record)]
        return 100 * (max(values) - values[-1]) if values else 0.0

    return Measure("gain", "gain of early stopping (points)", of)


def comparable(record: Record) -> list[int]:
    """The evaluations on the same test images, by their numbers: all but the last, and but the fit's."""
    images = record.curve["test_images"]
    return [k for k in range(len(images) - 1) if images[k] == images[0]]


def _best(record: Record) -> tuple[float, float]:
    """(epoch, test error in %) of the lowest test error after the first evaluation, on the same test images."""
    epochs, accuracies = record.curve["epoch"], record.curve["test_accuracy"]
    best = max(comparable(record)[1:] or range(len(epochs)), key=lambda k: (accuracies[k], -epochs[k]))
    return epochs[best], 100 * (1 - accuracies[best])


def best_epoch() -> Measure:
    """The epoch of the lowest test error after the first evaluation."""
    return Measure("best_epoch", "best epoch", lambda r: _best(r)[0])


def best_error() -> Measure:
    """The lowest test error after the first evaluation, in %."""
    return Measure("best_error", "lowest test error (%)", lambda r: _best(r)[1])


def first_error(column: str) -> Measure:
    """100 minus 100 times a column at the first evaluation after the start: an error in %."""
    return Measure(f"first_{column}", f"{_word(column)} of the first epoch", lambda r: 100 * (1 - r.curve[column][1]))


def finite(values: Sequence[float]) -> list[float]:
    """Those that are numbers."""
    return [v for v in values if math.isfinite(v)]
