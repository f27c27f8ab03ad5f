"""What several figures share: readings of records, median and range, labels, corrupted labels by p."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rethinking.claims import Reading, Records, spread
from rethinking.figures import CHEAP, Subject
from rethinking.figures.kit import Claim, Frame, Measure, bounded, measures
from rethinking.record import Record
from rethinking.spec import Part

# Labels clean, half corrupted and random: p.
MIXES = {"true labels": 0.0, "half random labels": 0.5, "random labels": 1.0}
LEVELS = tuple(round(k / 10, 1) for k in range(11))  # p, the probability of corrupting a label
WEIGHT_DECAY = 5e-4  # of Tables 1 and 4, which state none: the value of practice, fixed before the runs
UNSTATED = (
    "Where the paper is silent: batch size 128, a new batch order each epoch, Glorot-uniform initial weights, zero "
    "biases; batch norm with epsilon 0.001, its statistics measured at each evaluation on the first 10,000 training "
    "images at most; local response normalization over 9 channels with alpha 0.001, beta 0.75, k 1; pooling padded by "
    "1. On fewer images the learning rate falls every 391 steps all the same, not every epoch."
)
BUDGET = (
    "All 50,000 images: 90 epochs (35,190 steps); MLPs in float32, other networks in bfloat16 autocast. Inception at "
    "scale paper: 64 epochs (25,024 steps) or, where the question is when it fits, until every training example is "
    "right; evaluations on the way measure 2,000 training images, which also give batch norm its statistics. Fewer "
    "images: a run stops when every training example is right. In bfloat16 AlexNet's local response normalization is "
    "lost where it changes a unit by less than 0.25 %."
)
SMALL = (
    "cpu: 2,000 images; quick: 500; a run stops when every training example is right, or after 200 epochs (quick: 100)."
)
DECAYED = (
    f"Weight decay {WEIGHT_DECAY:g} on the weights of convolutions and linear layers; the paper states no strength; "
    "figure weight_decay asks which agrees with its rows."
)


def at_chance(subject: Subject, measure: Measure, error: bool = False, **rest: Any) -> Claim:
    """The claim that random labels leave an accuracy (or an error) at chance, which is another for every data set.

    Where the classes of the test set are too unlike for chance to be one number, it is not judged. rest: of `bounded`.
    """
    chance = 100 - subject.chance if error else subject.chance
    bounds = (chance - subject.tolerance, chance + subject.tolerance)
    claim = bounded(measure, " %", between=bounds, answer="at chance", **rest)
    if subject.papers:
        return claim

    def ours(t: Frame) -> str:
        text = f"{t.spread(measure.name, ' %')}, chance is {chance:g} %"
        unlike = f"; its largest class has {subject.largest:.1f} % of the test images, so that chance is no one number"
        return text if subject.balanced else text + unlike

    # Runs that are not fitted decide it in any case.
    return replace(claim, ours=ours, holds=lambda t: claim.holds(t) if subject.balanced or not t.fitted else None)


def near_chance(subject: Subject, values: Sequence[float], error: bool = False) -> bool | None:
    """Whether accuracies (or errors), in %, are at chance; None where that is no one number."""
    chance = 100 - subject.chance if error else subject.chance
    return all(abs(v - chance) <= subject.tolerance for v in values) if subject.balanced else None


def decay(strength: float) -> tuple[Part, ...]:
    """The regularizers of a run with that weight decay, none for 0."""
    return (Part(name="weight_decay", options={"strength": strength}),) if strength else ()


def labels(p: float) -> tuple[Part, ...]:
    """The corruptions of a run whose labels are corrupted with probability p."""
    return (Part(name="partial_labels", options={"p": p}),)


def percent(records: Sequence[Record | None], column: str) -> list[float | None]:
    """100 times a column's last value, per seed; None where the run is missing."""
    return [None if r is None else 100 * r.final[column] for r in records]


def highest(records: Sequence[Record | None]) -> list[float | None]:
    """The highest training accuracy of each run, in %: 99 or more where it was fitted; None where it is missing."""
    of = measures.highest().of
    return [None if r is None else float(of(r)) for r in records]


def numbered(group: Sequence[Record | None]) -> list[tuple[int, Record]]:
    """The runs that are there, each with its seed."""
    return [(seed, record) for seed, record in enumerate(group) if record]


def present(values: Sequence[float | None]) -> list[float]:
    """The values that are there."""
    return [v for v in values if v is not None]


def least_seeds(network: str) -> int:
    """Seeds below which a claim on a network is not judged: 3 where they are cheap."""
    return 3 if network in CHEAP else 1


def mark_missing(axes: Any, x: float, *groups: Sequence[Record | None]) -> None:
    """Write "not run" or "partly run" upright at x where runs of some groups are missing."""
    if not all(map(all, groups)):
        words = "partly run" if any(map(any, groups)) else "not run"
        axes.annotate(words, (x, 0.07), xycoords=("data", "axes fraction"), rotation=90, fontsize=5, ha="center")


def missing_note(records: Records) -> str:
    """ "3 of 12 runs not run", or nothing."""
    runs = [r for group in records.values() for r in group]
    gone = sum(r is None for r in runs)
    return f"; {gone} of {len(runs)} runs not run" if gone else ""


def times_to_fit(records: Sequence[Record | None]) -> list[float | int | str | None]:
    """Steps to 99 % training accuracy per seed, or CENSORED; None where the run is missing."""
    of = measures.steps_to_fit().of
    return [None if r is None else of(r) for r in records]


def errors(records: Sequence[Record | None], column: str = "test_accuracy") -> list[float | None]:
    """100 minus `percent`: errors in %."""
    return [None if a is None else 100 - a for a in percent(records, column)]


def fitted(*groups: Sequence[Record]) -> bool:
    """Whether every run reached 99 % training accuracy at some evaluation, and none diverged."""
    runs = [r for group in groups for r in group]
    return all(r.steps_to_fit() is not None and r.result["status"] != "diverged" for r in runs)


def fits(groups: dict[str, list[Record]], condition: str) -> Reading:
    """Whether every seed's run was fitted."""
    best = present(highest(groups[condition]))
    ours = spread(best, unit=" %") + " at the highest"
    return Reading(fitted(groups[condition]), ours, {"highest training accuracy (%)": list(best)})
