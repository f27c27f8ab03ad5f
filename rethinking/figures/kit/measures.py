"""What is read off a run, or off a run and its baseline of the same seed."""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import pandas as pd

from rethinking.claims import CENSORED
from rethinking.figures.kit.frame import Cell, Condition, ended
from rethinking.record import Record, Row
from rethinking.record.frame import label_bits, memorized_bits
from rethinking.spec import RunSpec

UNMEASURED = "not measured"
LOSSLESS = "without a finite loss"  # of what is read off a loss; "diverged" is said of times


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
            start = None if place is None else ended(plain[place], data["state"].iloc[place])
            if value is None or start is None:
                out.append(None)
            elif isinstance(start, str):
                out.append(f"{word} {start}")
            else:
                out.append(value if isinstance(value, str) else self.by(value, start))
        return out

    @property
    def unit(self) -> str:
        """As text after a number, from the label."""
        known = {"%": " %", "points": " points", "nats": " nats", "1e-4 nats": " × 1e-4 nats"}
        return known.get(self.label.rpartition("(")[2].removesuffix(")"), "")

    def _read(self, record: Record, given: Condition) -> float | int | str:
        return self.of(record, **given) if not self.needs or self.needs in record.curve else UNMEASURED


def baselines(data: pd.DataFrame, baseline: Condition) -> list[int | None]:
    """The row of the baseline of every row of a frame: of the same seed, with these coordinates; None for none."""
    others = [c for c in data.columns[: list(data.columns).index("seed") + 1] if c not in baseline]
    at = data[list(baseline)].eq(pd.Series(baseline)).all(axis=1)
    keys = list(data[others].itertuples(index=False, name=None))
    places = {key: place for place, key in enumerate(keys) if at.iloc[place]}
    return [places.get(key) for key in keys]


@dataclass(frozen=True)
class Paired(Measure):
    """A number of a run and its baseline, read together: `of` is given both records."""

    def cells(self, data: pd.DataFrame, records: Sequence[Record | None]) -> list[Cell]:
        """Its value for every row of a frame: None where the run, or its baseline, is missing."""
        places = baselines(data, dict(self.baseline))
        others = [None if place is None else records[place] for place in places]
        return [self.of(r, o) if r and o else None for r, o in zip(records, others, strict=True)]


def at_last_shared(name: str, of: Callable[[Row, Row], float], **baseline: Any) -> Measure:
    """Of the evaluations of a run and its baseline at the last step at which both used as many test images."""

    def read(record: Record, other: Record) -> float | str:
        first, second = ({(row["step"], row["test_images"]): row for row in r.rows} for r in (record, other))
        shared = max(first.keys() & second.keys(), default=None)
        return "no shared evaluation" if shared is None else of(first[shared], second[shared])

    return Paired(name, name, read, baseline=tuple(baseline.items()))


@dataclass(frozen=True)
class Together(Measure):
    """A number of the runs that differ in one coordinate only: `of` is given their records, in the frame's order.

    Attributes:
        over: the coordinate. With it among the parameters the runs' rows may have different numbers.
    """

    over: str = ""

    def cells(self, data: pd.DataFrame, records: Sequence[Record | None]) -> list[Cell]:
        """Its value for every row of a frame: None where one of the runs is missing."""
        names = [c for c in data.columns[: list(data.columns).index("seed") + 1] if c != self.over]
        keys = list(data[names].itertuples(index=False, name=None))
        groups: dict[object, list[Record | None]] = {}
        for key, record in zip(keys, records, strict=True):
            groups.setdefault(key, []).append(record)
        known: dict[tuple[object, ...], Cell] = {}
        given = data[list(self.parameters)].to_dict("records")
        places = [(key, *values.values()) for key, values in zip(keys, given, strict=True)]
        for place, values in zip(places, given, strict=True):
            there = [record for record in groups[place[0]] if record]
            if place not in known:
                known[place] = self.of(there, **values) if len(there) == len(groups[place[0]]) else None
        return [known[place] for place in places]


def relative(measure: Measure, **baseline: Any) -> Measure:
    """The ratio of a measure to that of the run of the same seed with these coordinates."""
    label = f"{measure.label}, relative to {_condition(baseline)}"
    name, base = f"{measure.name}_ratio", tuple(baseline.items())
    return replace(measure, name=name, label=label, whole=False, baseline=base)


def minus(measure: Measure, name: str, label: str, **baseline: Any) -> Measure:
    """The difference between a measure and that of the run of the same seed with these coordinates."""
    return replace(measure, name=name, label=label, baseline=tuple(baseline.items()), by=operator.sub)


def _condition(coordinates: dict[str, Any]) -> str:
    pairs = coordinates.items()
    return ", ".join(v if isinstance(v, str) else f"{name} = {v:g}" for name, v in pairs)


def steps_to_fit() -> Measure:
    """Steps to 99 % training accuracy, or censored."""

    def of(record: Record) -> int | str:
        steps = record.steps_to_fit()
        return CENSORED if steps is None else steps

    return Measure("steps", "steps to 99 % training accuracy", of, whole=True, needs="train_accuracy")


def epochs_to_fit() -> Measure:
    """Epochs to 99 % training accuracy, or censored."""

    def of(record: Record) -> float | str:
        steps = record.steps_to_fit()
        return CENSORED if steps is None else record.curve["epoch"][record.curve["step"].index(steps)]

    return Measure("epochs", "epochs to 99 % training accuracy", of)


def final(column: str, label: str = "") -> Measure:
    """100 times a column's last value: "test_accuracy", "train_accuracy"."""
    return Measure(column, label or f"{_word(column)} (%)", lambda r: 100 * r.final[column], needs=column)


def error(column: str) -> Measure:
    """100 minus `final`: "test_accuracy" -> test error in %."""
    name = column.replace("accuracy", "error")
    return Measure(name, f"{_word(name)} (%)", lambda r: 100 - 100 * r.final[column], needs=column)


def first_error(column: str) -> Measure:
    """100 minus 100 times a column at the first evaluation after the start: an error in %."""
    return Measure(f"first_{column}", f"{_word(column)} of the first epoch", lambda r: 100 * (1 - r.curve[column][1]))


def _word(column: str) -> str:
    return column.replace("train_", "training ").replace("_", " ")


def highest() -> Measure:
    """The highest training accuracy of the whole set, in %, of evaluations with a finite loss; 0 where none is."""

    def of(record: Record) -> float:
        pairs = zip(record.curve["train_accuracy"], record.whole, strict=True)
        return 100 * max((a for a, whole in pairs if whole), default=0.0)

    return Measure("highest", "highest training accuracy (%)", of, needs="train_accuracy")


def bits_memorized() -> Measure:
    """The share of the training labels' bits that the network has memorized: a lower bound, from its last loss.

    Of m labels, 1 - cross-entropy / log(classes), not below 0; a loss that is not finite has none, nor has a run on a
    bootstrap sample.
    """

    def of(record: Record) -> float | str:
        bits, most = memorized_bits(record), label_bits(cast(RunSpec, record.spec))
        if most is None:
            return UNMEASURED
        return LOSSLESS if bits is None else bits / most

    return Measure("bits", "share of the labels' bits memorized", of)


def comparable(record: Record) -> list[int]:
    """The evaluations on the same test images, by their numbers: all but the last, and but the fit's."""
    images = record.curve["test_images"]
    return [k for k in range(len(images) - 1) if images[k] == images[0]]


def gain() -> Measure:
    """What stopping at the best evaluation would gain over the latest one on the same test images, in points."""

    def of(record: Record) -> float:
        values = [record.curve["test_accuracy"][k] for k in comparable(record)]
        return 100 * (max(values) - values[-1]) if values else 0.0

    return Measure("gain", "gain of early stopping (points)", of)


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


def finite(values: Sequence[float]) -> list[float]:
    """Those that are numbers."""
    return [v for v in values if math.isfinite(v)]


def column(name: str, label: str = "", factor: float = 1, form: str = "", at: tuple[str, ...] = ()) -> Measure:
    """A column of the last row, times a factor; the state "none" where the run has no such row, or no such column.

    Args:
        label: of an axis. form: in tables. at: coordinates that are columns too: the row has the condition's values.
    """

    return of_row(name, lambda row: factor * row[name], label, form, at)


def of_row(name: str, of: Callable[[Row], float], label: str = "", form: str = "", at: tuple[str, ...] = ()) -> Measure:
    """The same of what a function makes of the row; it raises KeyError where the kind has not the columns."""

    def read(record: Record, **values: Any) -> float | str:
        rows = [row for row in record.rows if all(row.get(key) == value for key, value in values.items())]
        try:
            return of(rows[-1]) if rows else UNMEASURED
        except KeyError:
            return UNMEASURED

    return Measure(name, label or name, read, parameters=at, form=form)


def over_rows(
    name: str, of: Callable[[Row], float], label: str, where: Callable[..., Row], at: tuple[str, ...] = ()
) -> Measure:
    """The mean of what a function makes of the rows with given values, as over the repeats of a probe.

    Where there is no such row, the kind has not the columns, or it is a share of nothing, it is the state "not
    measured".

    Args:
        of: raises KeyError for a column that there is not, ZeroDivisionError for a share of nothing. label: of an axis.
        where: the rows' values by column, from the coordinates `at`, which are those of the condition or the reading;
        close numbers are equal.
    """

    def read(record: Record, **values: Any) -> float | str:
        wanted = where(**values).items()
        try:
            numbers = [of(row) for row in record.rows if all(math.isclose(row[key], v) for key, v in wanted)]
        except (KeyError, ZeroDivisionError):
            return UNMEASURED
        return sum(numbers) / len(numbers) if numbers else UNMEASURED

    return Measure(name, label, read, parameters=at)


def falls(name: str, above: float) -> Measure:
    """-d log / d epoch of a column over the later half of what lies above a value; "none" where it does not fall."""

    def of(record: Record) -> float | str:
        pairs = zip(record.curve.get("epoch", []), record.curve.get(name, []), strict=False)
        kept = [(epoch, math.log(v)) for epoch, v in pairs if v > above]
        kept = kept[len(kept) // 2 :]
        if len(kept) < 2 or kept[0][0] == kept[-1][0]:
            return UNMEASURED
        rate = (kept[0][1] - kept[-1][1]) / (kept[-1][0] - kept[0][0])
        return rate if rate > 0 else UNMEASURED

    return Measure(f"{name}_falls", f"-d log {name} / d epoch", of, form="{:.2g}")


def stopped(record: Record, patience: int) -> int:
    """The row that early stopping returns: the best held-out accuracy before `patience` rows without a better one."""
    accuracies = record.curve["held_out_accuracy"]
    best = 0
    for k, accuracy in enumerate(accuracies):
        if accuracy > accuracies[best]:
            best = k
        elif k - best >= patience:
            break
    return best


def returned_epoch() -> Measure:
    """The epoch that early stopping returns to."""

    def of(record: Record, patience: int) -> float:
        return record.curve["epoch"][stopped(record, patience)]

    return Measure("returned_epoch", "returned to epoch", of, parameters=("patience",))


def stopping_gain() -> Measure:
    """What early stopping gains in test accuracy over the last evaluation, in points."""

    def of(record: Record, patience: int) -> float:
        tests = record.curve["test_accuracy"]
        return 100 * (tests[stopped(record, patience)] - tests[-1])

    return Measure("stopping_gain", "gain in test accuracy (points)", of, parameters=("patience",))
