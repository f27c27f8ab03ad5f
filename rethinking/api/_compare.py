"""The difference between two conditions, by seed."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from rethinking.api._result import ACCURACIES, counted, page
from rethinking.errors import InputError
from rethinking.record.frame import SETTINGS, Tidy
from rethinking.training.handed import HandedSpec

MEASURES = (*ACCURACIES, "steps_to_fit", "memorized_bits")


@dataclass(frozen=True, repr=False)
class Comparison:
    """Result minus baseline.

    Attributes:
        changed: the settings that differ, (the baseline's, the result's) by name. left_out: seeds that one alone has.
        own: what was handed over, so that no setting tells it apart: "network", "data".
    """

    differences: pd.DataFrame
    changed: dict[str, tuple[Any, Any]]
    left_out: tuple[int, ...]
    own: tuple[str, ...] = ()

    def frame(self) -> pd.DataFrame:
        """One row a seed that both have: `seed`, then the difference of every measure; <NA> where one has none."""
        return self.differences

    def __repr__(self) -> str:
        words = [f"{name} {of(before)} -> {of(after)}" for name, (before, after) in self.changed.items()]
        parts = []
        for name in MEASURES:
            values = [float(v) for v in self.differences[name].dropna()]
            if values:
                points = name in ACCURACIES
                text = signed([100 * v for v in values] if points else values, 2 if points else 0)
                few = (
                    "" if len(values) == len(self.differences) else f", {len(values)} of {len(self.differences)} seeds"
                )
                parts.append(f"{name.replace('_', ' ')} {text}{' points' * points}{few}")
        left = f" (seeds {', '.join(map(str, self.left_out))} left out)" if self.left_out else ""
        same = "the same settings"
        if self.own:
            verb = "is" if self.own == ("network",) else "are"
            same = f"no setting that is recorded differs ({' and '.join(self.own)} {verb} the caller's own)"
        return f"{', '.join(words) or same}, {counted(len(self.differences))}{left}: {'; '.join(parts)}"

    def _repr_html_(self) -> str:
        return page(repr(self), self.differences)


def of(value: Any) -> str:
    """A setting as text."""
    return str(value) if str(value) else "none"


def signed(values: list[float], digits: int) -> str:
    """Median and range with their signs: "+1.20 (+0.90 to +1.51)"."""
    plus = [f"{v:+,.{digits}f}" for v in (sorted(values)[0], sorted(values)[-1])]
    middle = f"{pd.Series(values).median():+,.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({plus[0]} to {plus[1]})"


def compare(result: Tidy | pd.DataFrame, baseline: Tidy | pd.DataFrame) -> Comparison:
    """The difference of every measure between two conditions, seed by seed, with its range.

    Args:
        result, baseline: of `experiment`, or rows of `rethinking.records(...).frame()`, one a seed.

    Raises:
        InputError: something else; several runs of a seed; no seed that both have.
    """
    frames = {"result": _frame(result, "result"), "baseline": _frame(baseline, "baseline")}
    both = frames["result"].index.intersection(frames["baseline"].index).sort_values()
    if both.empty:
        seeds = [", ".join(map(str, frame.index)) for frame in frames.values()]
        raise InputError(f"result has the seeds {seeds[0]}, baseline {seeds[1]}: give both the same seeds")
    ours, theirs = (frame.loc[both] for frame in frames.values())
    difference = pd.DataFrame(
        {name: ours[name].astype("Float64") - theirs[name].astype("Float64") for name in MEASURES}
    )
    settings = [name for name in SETTINGS if name not in ("run", "seed", "data_seed", "strength", "p")]
    first = [(name, *(_value(frame[name].iloc[0]) for frame in (theirs, ours))) for name in settings]
    changed = {name: (before, after) for name, before, after in first if before != after}
    if "corruptions" in changed:  # which tells more
        changed.pop("condition", None)
    specs = [each.records[0].spec for each in (baseline, result) if isinstance(each, Tidy)]
    handed = [spec for spec in specs if isinstance(spec, HandedSpec)]
    for name in ("preprocess", "num_classes") if len(handed) == 2 else ():
        before, after = (getattr(spec, name) for spec in handed)
        changed |= {name: (before, after)} if before != after else {}
    kinds = {"network": any(s.own_network for s in handed), "data": any(s.num_classes for s in handed)}
    own = tuple(kind for kind, given in kinds.items() if given)
    alone = frames["result"].index.symmetric_difference(frames["baseline"].index)
    return Comparison(difference.reset_index(), changed, tuple(map(int, alone)), own)


def _value(cell: Any) -> Any:
    return None if pd.isna(cell) else cell


def _frame(given: Any, role: str) -> pd.DataFrame:
    frame = given.frame() if isinstance(given, Tidy) else given
    if not isinstance(frame, pd.DataFrame) or not {*SETTINGS, *MEASURES} <= set(frame.columns):
        what = type(given).__name__
        raise InputError(f"{role} is a {what}: give what experiment gave, or rows of rethinking.records(...).frame()")
    repeated = frame["seed"][frame["seed"].duplicated()]
    if len(repeated):
        seed = repeated.iloc[0]
        count = int((frame["seed"] == seed).sum())
        raise InputError(f"{role} has {count} runs of seed {seed}: select the rows of one condition")
    if frame.empty:
        raise InputError(f"{role} has no runs: select other rows")
    return frame.set_index("seed")
