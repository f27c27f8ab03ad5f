"""That a measure lies between two bounds."""

import math
from collections.abc import Sequence
from typing import Any

from rethinking.claims import CENSORED
from rethinking.figures.kit.claim import NO, YES, Claim, made
from rethinking.figures.kit.frame import FITTED, Condition, Frame
from rethinking.figures.kit.measures import Measure


def bounded(
    measure: Measure,
    unit: str,
    *,
    between: tuple[float, float] = (-math.inf, math.inf),
    above: float = -math.inf,
    by_median: bool = False,
    fitted: bool = True,
    at: Condition | None = None,
    met: Sequence[list[float]],
    missed: Sequence[list[float]],
    key: str = "",
    **texts: Any,
) -> Claim:
    """The claim that every seed's number lies between two bounds, and that every run was fitted.

    Args:
        measure: with its unit; its label, or `key`, names the numbers in the figure's file. between: bounds, which
        count as met. above: a bound that does not. by_median: the median over seeds is judged. fitted: False where
        that is not asked. at: coordinates of the rows that are read. met, missed: examples, each of one number a seed,
        that the claim judges as met and as missed, by a hair. texts: of the claim.
    """
    at, name = at or {}, measure.name

    def holds(t: Frame) -> bool:
        read = t.where(**at)
        values = [read.median(name)] if by_median else read.values(name)
        inside = all(between[0] <= v <= between[1] and v > above for v in values)
        return inside and (t.fitted or not fitted)

    def example(values: list[float], **more: Any) -> Frame:
        columns: dict[str, Any] = {**(at or {}), name: values, **more}
        return made(**columns)

    examples = [(example(values), YES) for values in met] + [(example(values), NO) for values in missed]
    if fitted:
        late = [FITTED] * len(met[0]) + [CENSORED]
        examples.append((example([*met[0], met[0][0]], state=late), NO))
    return Claim(
        holds=holds,
        ours=lambda t: t.where(**at).spread(name, unit),
        numbers=lambda t: {key or measure.label: t.where(**at).numbers(name)},
        examples=examples,
        **texts,
    )
