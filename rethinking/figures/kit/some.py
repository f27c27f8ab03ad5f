"""That somewhere along a coordinate the runs meet a rule."""

from collections.abc import Callable
from typing import Any

from rethinking.figures.kit.claim import Claim
from rethinking.figures.kit.frame import Cell, Frame


def at_some(by: str, rule: Callable[[Frame], Cell], /, **texts: Any) -> Claim:
    """The claim that the runs at one value of a coordinate, at least, meet a rule.

    Args:
        by: the coordinate, of numbers. rule: of the runs at a value, True where they meet it; its name says what such
        values are. texts: of the claim, with its runs and its examples.
    """
    found = rule.__name__

    def values(t: Frame) -> list[float | None]:
        return [value for value, part in t.groups(by).items() if rule(part) is True]

    return Claim(
        holds=lambda t: bool(values(t)),
        ours=lambda t: f"{found}: {', '.join(f'{v:g}' for v in values(t)) or 'none of those swept'}",
        numbers=lambda t: {f"{found} {by}s": values(t)},
        **texts,
    )
