"""Claims of the paper, and what our records say of them."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import ROUND_HALF_UP, Decimal
from statistics import median
from typing import Annotated, Any

from pydantic import Field

from rethinking.record import Record
from rethinking.spec import Spec

REPLICATED = "replicated"
NOT_REPLICATED = "not replicated"
NOT_RUN = "not run"
NOT_JUDGED = "not judged at this scale"
OWN = (REPLICATED, NOT_REPLICATED, NOT_RUN, NOT_JUDGED)  # verdicts on the paper's own claims
# Those on extensions, which are never added up with them: another network, other data, another source.
EXTENSION = {REPLICATED: "holds", NOT_REPLICATED: "does not hold", NOT_RUN: NOT_RUN, NOT_JUDGED: "not judged"}
MANY = {"holds": "hold", "does not hold": "do not hold"}  # of several claims
CENSORED = "censored"  # a time to fit longer than the run
DIVERGED = "diverged"  # the same of a run that ended there, as its loss was not finite

Count = Annotated[int, Field(ge=0, lt=2**63)]
Specs = dict[str, list[Spec]]  # condition -> one run per seed
Records = dict[str, list[Record | None]]  # the same, None where a run is missing


def counts(verdicts: Iterable[str]) -> dict[str, int]:
    """How many there are of each verdict, of those that there are."""
    count = Counter(verdicts)
    return {word: count[word] for word in dict.fromkeys([*OWN, *EXTENSION.values()]) if count[word]}


def counted(verdicts: Iterable[str]) -> str:
    """The same in words: "11 replicated, 8 not run, 1 holds, 2 do not hold"."""
    count = counts(verdicts).items()
    return ", ".join(f"{n} {word if n == 1 else MANY.get(word, word)}" for word, n in count) or "no claims"


@dataclass(frozen=True)
class Reading:
    """What a claim's measurement gave.

    holds: within the tolerance; None where it says nothing. ours: as text, with spread over seeds; then the reason.
    answer: what a question to other data is answered with before that, in a word or two: "not fitted".
    """

    holds: bool | None
    ours: str
    numbers: dict[str, list[float | None]]
    answer: str = ""


@dataclass(frozen=True)
class Claim:
    """A number, an order or a shape in a paper, and how ours is measured.

    Attributes:
        name: a key. id: stable, what can be cited. source: paper and place; see `own`. statement: in a sentence.
        paper: what the paper reports, as text.
        tolerance: the rule of judgement, in words, fixed before the runs.
        conditions: the runs it is measured on. measure: of their records, one list of seeds per condition.
        least_n, least_seeds: training images and seeds below which it is not judged. larger: the scale that has the
        images it needs, if this has not.
    """

    name: str
    source: str
    statement: str
    paper: str
    tolerance: str
    conditions: tuple[str, ...]
    measure: Callable[[dict[str, list[Record]]], Reading]
    least_n: int = 1
    least_seeds: int = 1
    id: str = ""
    larger: str = ""

    @property
    def own(self) -> bool:
        """Whether the claim is the paper's own: of [zhang2017], and not said to extend it."""
        return self.source.startswith("zhang2017") and "extended" not in self.source


@dataclass(frozen=True)
class Verdict:
    """A judged claim.

    Attributes:
        id, name, source, statement, paper, tolerance: the claim's. own: it is the paper's own. verdict: one of OWN, or
            of EXTENSION's values. ours: what the runs give. reason: what is missing where it was not judged.
    """

    id: str
    own: bool
    name: str
    source: str
    statement: str
    paper: str
    tolerance: str
    verdict: str
    ours: str | None
    n: list[Count]
    seeds: Count
    reason: str | None
    numbers: dict[str, list[float | None]]

    def as_json(self) -> dict[str, Any]:
        """The attributes, in order."""
        return asdict(self)


def judge(claim: Claim, specs: Specs, records: Records) -> Verdict:
    """The verdict on one claim: on scale first, then on what is missing, then on the measurement."""
    n = sorted({spec.n or 0 for c in claim.conditions for spec in specs[c]})
    seeds = min(len(specs[c]) for c in claim.conditions)

    def verdict(word: str, reading: Reading | None = None, reason: str | None = None) -> Verdict:
        return Verdict(
            claim.id,
            claim.own,
            claim.name,
            claim.source,
            claim.statement,
            claim.paper,
            claim.tolerance,
            word if claim.own else EXTENSION[word],
            reading.ours if reading else None,
            n,
            seeds,
            reason,
            reading.numbers if reading else {},
        )

    if n[0] < claim.least_n or seeds < claim.least_seeds:
        there = f" (--scale {claim.larger} has them)" if claim.larger else ""
        few = [f"n >= {claim.least_n:,}, has {n[0]:,}{there}"] if n[0] < claim.least_n else []
        few += [f"{claim.least_seeds} seeds, has {seeds}"] if seeds < claim.least_seeds else []
        return verdict(NOT_JUDGED, reason=f"needs {'; '.join(few)}")
    missing = [s.run_id for c in claim.conditions for s, r in zip(specs[c], records[c], strict=True) if r is None]
    if missing:
        more = len(missing) - 1
        rest = f" and {more} more run{'s' * (more > 1)} are" if more else " is"
        return verdict(NOT_RUN, reason=f"{missing[0]}{rest} missing")
    reading = claim.measure({c: [r for r in records[c] if r] for c in claim.conditions})
    if reading.holds is None:
        return verdict(NOT_JUDGED, reason=reading.ours)
    return verdict(REPLICATED if reading.holds else NOT_REPLICATED, reading)


def rounded(value: float, digits: int = 1) -> float:
    """A number to so many decimals, halves away from zero, as on paper; what is not finite as it is.

    66.65, which is a little less as a float, is 66.7 and not 66.6.
    """
    if not math.isfinite(value):
        return value
    return float(Decimal(f"{value:.9f}").quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def exact(value: float) -> float:
    """A number without a float's noise, to 1e-9: what is compared with a limit, so that 2 points are at most 2."""
    return round(value, 9)


def floored(value: float, digits: int) -> float:
    """The largest number of so many decimals that is not above a value: what "at least" may say of it."""
    return math.floor(10**digits * value + 1e-6) / 10**digits


def spread(values: Sequence[float], digits: int = 2, unit: str = "", form: str = "") -> str:
    """A median and, over several seeds, the range: "52.39 (52.10 to 52.61)".

    form: a format string of each number, "{:.4f}", in place of `digits`.
    """
    number = (form or f"{{:,.{digits}f}}").format
    text = f"{number(median(values))}{unit}"
    return text if len(values) == 1 else f"{text} ({number(min(values))} to {number(max(values))})"


def told(values: Any, form: str = "") -> str:
    """The values of a row's seeds as text: median and range, words as they are, what is missing said.

    Args:
        values: a word, or a list of one number, word or None a seed; an empty list where no run is asked for. CENSORED,
        and above it DIVERGED, are above every number, and named where the median or the range has them. form: of each
        number, see `spread`.
    """
    if not isinstance(values, list):
        return str(values)
    there = [v for v in values if v is not None]
    if not there:
        return "not run" if values else "not asked for"
    numbers = [v for v in there if not isinstance(v, str)]
    late = sorted(v for v in there if v in (CENSORED, DIVERGED))
    words = [v for v in there if isinstance(v, str) and not (numbers and v in late)]
    counts = {w: f"{words.count(w)} run{'s' * (words.count(w) > 1)}" for w in dict.fromkeys(words)}
    parts = [f"{w} in {count}" if len(there) > 1 else w for w, count in counts.items()]
    if numbers:
        digits = 0 if all(isinstance(v, int) for v in numbers) else 2
        text = spread([*numbers, *[math.inf] * len(late)], digits, form=form)
        if late:
            middle, _, ends = text.partition(" (")
            first = max(0, (len(numbers) + len(late)) // 2 - len(numbers))  # the place of an infinite median in `late`
            text = f"{middle.replace('inf', late[first])} ({ends.replace('inf', late[-1])}"
        parts.insert(0, text)
    text = ", ".join(parts)
    return text if len(there) == len(values) else f"{text}, {len(there)} of {len(values)} seeds"
