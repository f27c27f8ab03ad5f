"""What several figures share: corrupted labels by p, weight decay, chance, departures."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from rethinking.claims import exact
from rethinking.figures import CHEAP, FULL, Subject
from rethinking.figures._subject import percent
from rethinking.figures.kit import Bound, Claim, Frame, Measure, bounded, gain
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
INCEPTION = (
    "Inception at scale paper: 64 epochs (25,024 steps) or, where the question is when it fits, until every training "
    "example is right; evaluations on the way measure 2,000 training images, which also give batch norm its "
    "statistics, and all where the fit is near: only those count. Fewer images: a run stops when every training "
    "example is right."
)
INTERIM = (
    "Evaluations before the last use the first 2,000 test images (quick: 250), the last one all. The best of many "
    "evaluations lies above the latest by chance, too: figure curves shows by how much on random labels."
)
# What no_gain judges, in words.
NO_GAIN = (
    "on the first 2,000 test images (quick: 250) the best accuracy is at most 2 points above the latest, in every "
    "seed, and every run is fitted"
)
ALEXNET = "In bfloat16 AlexNet's local response normalization is lost where it changes a unit by less than 0.25 %."
BUDGET = (
    "All 50,000 images: 90 epochs (35,190 steps); MLPs in float32, other networks in bfloat16 autocast. "
    f"{INCEPTION} {ALEXNET}"
)
SMALL = (
    "cpu: 2,000 images; quick: 500; a run stops when every training example is right, or after 200 epochs (quick: 100)."
)
DECAYED = (
    f"Weight decay {WEIGHT_DECAY:g} on the weights of convolutions and linear layers; the paper states no strength; "
    "figure weight_decay asks which agrees with its rows."
)


def at_chance(subject: Subject, measure: Measure, error: bool = False, by_median: bool = False, **rest: Any) -> Claim:
    """The claim that random labels leave an accuracy (or an error) at chance, which is another for every data set.

    Where the classes of the test set are too unlike for chance to be one number, or its images are too few to tell it,
    it is not judged. rest: of `bounded`.
    """
    chance = 100 - subject.chance if error else subject.chance
    bound = Bound(measure, chance - subject.tolerance, chance + subject.tolerance, by_median=by_median)

    def answer(t: Frame) -> str:
        word = ["at chance" if bound.holds(t) else "not at chance"] if subject.balanced else []
        return ", ".join([*word, *([] if t.fitted else ["not fitted"])])

    claim = bounded(bound, answer=answer, **rest)
    if subject.papers:
        return claim

    def ours(t: Frame) -> str:
        text = f"{t.spread(measure, ' %')}, chance is {chance:g} %"
        share = f"{percent(subject.largest, 2):g} % of the test images"
        unlike = f"; its largest class has {share}, so that chance is no one number"
        return text if subject.balanced else text + unlike

    # Runs that are not fitted decide it in any case.
    one = replace(claim, ours=ours, holds=lambda t: claim.holds(t) if subject.balanced or not t.fitted else None)
    return if_told(subject, one)


def if_told(subject: Subject, claim: Claim) -> Claim:
    """A claim on test accuracies, not judged where the test images are too few for its rule to tell anything."""
    if subject.tells:
        return claim

    def ours(t: Frame) -> str:
        return f"{claim.ours(t) if claim.ours else ''}; {subject.too_few}"

    return replace(claim, ours=ours, holds=lambda t: None)


def no_gain(**texts: Any) -> Claim:
    """The claim that early stopping gains little, at most 2 points; the paper says no gain. texts: of the claim."""
    shared: dict[str, Any] = {"source": "zhang2017, section 3", "rule": NO_GAIN, "least_n": FULL}
    return bounded(Bound(gain(), most=2), key="gain (points)", **shared | texts)


def near_chance(subject: Subject, values: Sequence[float], error: bool = False) -> bool | None:
    """Whether accuracies (or errors), in %, are at chance; None where that is no one number, or cannot be told."""
    chance = 100 - subject.chance if error else subject.chance
    clear = subject.balanced and subject.tells
    return all(exact(abs(v - chance)) <= subject.tolerance for v in values) if clear else None


def decay(strength: float) -> tuple[Part, ...]:
    """The regularizers of a run with that weight decay, none for 0."""
    return (Part(name="weight_decay", options={"strength": strength}),) if strength else ()


def labels(p: float) -> tuple[Part, ...]:
    """The corruptions of a run whose labels are corrupted with probability p."""
    return (Part(name="partial_labels", options={"p": p}),)


def least_seeds(network: str, **rest: Any) -> int:
    """Seeds below which a claim on a network is not judged: 3 where they are cheap. rest: what else it is of."""
    return 3 if network in CHEAP else 1


def sizes(usual: Iterable[int], most: int, least: int = 3) -> tuple[int, ...]:
    """Of usual sizes those that a set of `most` images has, and the whole of it.

    Where these are fewer than `least`, an eighth, a quarter and a half of the set, and the whole: at least two, as a
    set has two images.
    """
    there = (*(size for size in usual if size < most), most)
    return there if len(there) >= least else tuple(sorted({max(1, most // part) for part in (8, 4, 2, 1)}))
