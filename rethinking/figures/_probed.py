"""The networks that probes measure: on true labels, on random ones and on mixes, and with one regularizer each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rethinking.figures import Setting, _sweeps
from rethinking.figures._parts import BUDGET, UNSTATED, least_seeds
from rethinking.figures._parts import labels as corrupted
from rethinking.figures.kit import Claim, Frame, Measure, made
from rethinking.figures.kit.frame import Numbers
from rethinking.figures.kit.measures import UNMEASURED
from rethinking.intervals import wilson
from rethinking.record import Record
from rethinking.spec import Part, ProbeSpec, RunSpec

NETWORKS = ("mlp-1x512", "mlp-3x512", "alexnet")
LABELS = {"true labels": 0.0, "random labels": 1.0}  # and their p
TRUE, RANDOM = LABELS
SPLITS = {"training images": 0, "test images": 1}  # and a probe's column `test`
TRAINING, TEST = SPLITS
NONE = "no regularizer"
REGULARIZERS = {NONE: "none", "dropout": "labels", "batch_norm": "normalization", "weight_decay": "weights"}  # as looks
REGULARIZED = "mlp-3x512"  # the network that they are tried on
CLEAR = 1.1  # times another sharpness: what a search from another start does not make up for
STOP_LOSS = 0.01  # nats: the training cross-entropy at which large studies of such measures compare networks
AT_ONE_LOSS = f"{REGULARIZED} at {STOP_LOSS} nats"  # stopped there, on true and on random labels
AT_EQUAL_LOSS = (
    f"Networks are compared near one training cross-entropy: a run stops at the first evaluation, one an epoch, at "
    f"{STOP_LOSS} nats or below. The fewer epochs a network needs, the further below it may end, and the larger its "
    "margin then is; the table tells the loss. A claim is not judged where a run with this stop does not get there "
    "within its budget."
)
WEIGHTS = (
    "Weights are no part of the records. Where they are gone the run is trained again, and must come out with the same "
    "curve."
)
NOT_PROBED = "Inception is not probed: the weights of its runs on all 50,000 images were not kept."
DEPARTURES = [
    NOT_PROBED,
    "Networks: MLP 1x512 and MLP 3x512 (three seeds) and AlexNet (one) on all 50,000 images, at the end of the paper's "
    "schedule; quick: on 2,000 and 500 images. Their training loss is then several times as large on random labels as "
    f"on true ones, and how far they are fitted may be part of what breaks. {AT_ONE_LOSS} is therefore compared too: "
    "its runs stop at the first evaluation, one an epoch, at that training cross-entropy or below, or at the end of "
    "their budget; the table of capacity_measures tells the loss that they end at.",
    WEIGHTS,
    UNSTATED,
    BUDGET,
]
WITH_ONE = (
    "Regularizers: MLP 3x512 on 2,000 images (quick: 500), each regularizer at its typical strength, the runs of "
    "figure regularizers."
)


def run(setting: Setting, seed: int, network: str, p: float, **fields: Any) -> RunSpec:
    """A network trained on labels corrupted with probability p: on all images, as at scale paper; at quick on few.

    network: or AT_ONE_LOSS.
    """
    whole = setting if setting.scale == "quick" else replace(setting, scale="paper")
    if network == AT_ONE_LOSS:
        network, fields = REGULARIZED, to_equal_loss(whole.images(REGULARIZED)) | fields
    return whole.spec(seed, model=network, corruptions=corrupted(p), **fields)


def regularized(setting: Setting, seed: int, p: float, regularizer: str) -> RunSpec:
    """REGULARIZED with that one at its typical strength, on true (p = 0) or random labels (p = 1)."""
    small = setting if setting.scale == "quick" else replace(setting, scale="cpu")
    stack = () if regularizer == NONE else _sweeps.typical(regularizer)
    times = 2 if regularizer == "dropout" and p else 1  # as in figure regularizers
    return _sweeps.run(small, seed, REGULARIZED, "random" if p else "true", *stack, times=times)


def to_equal_loss(n: int) -> dict[str, Any]:
    """Fields of a run on n images that stops at STOP_LOSS, to within an epoch."""
    return {"stop": "budget", "stop_loss": STOP_LOSS, "eval_every": -(-n // 128)}


def _reached(record: Record, without: bool = True) -> float:
    """Whether a run ended at its loss or below. without: of one that was to stop at none."""
    run = record.spec.run if isinstance(record.spec, ProbeSpec) else record.spec
    stop = getattr(run, "stop_loss", None)
    return float(without if stop is None else record.final["train_loss"] <= 1.001 * stop)  # summed in another order


REACHED = Measure("reached", "whether the run stopped at its loss", _reached, needs="train_loss")
AT_ONE = Measure(
    "at_one",
    "whether the run and that on true labels stopped at a loss",
    lambda record: _reached(record, without=False),
    needs="train_loss",
    baseline=(("labels", TRUE),),
    by=min,
)


def at_equal_loss(claim: Claim) -> Claim:
    """The claim, not judged where a run that is to stop at a loss ended above it."""

    def late(t: Frame) -> int:
        return t.values(REACHED).count(0.0)

    def ours(t: Frame) -> str:
        return f"{late(t)} runs end above {STOP_LOSS} nats; " * bool(late(t)) + claim.summary(t)[0]

    def example(t: Frame, reached: float = 1.0) -> Frame:
        return Frame(t.data.assign(**{REACHED.name: reached, f"{REACHED.name}_state": ""}))

    return replace(
        claim,
        finds=lambda t: t,
        holds=lambda t: None if late(t) else claim.judged(t),
        ours=ours,
        numbers=lambda t: claim.summary(t)[1],
        met=[example(t) for t in claim.met],
        missed=[example(t) for t in claim.missed],
        unjudged=[*(example(t) for t in claim.unjudged), example(claim.met[0], 0.0)],
    )


def beside_unseen(claim: Claim, measure: Measure) -> Claim:
    """A claim on training images, with the measure on unseen images of the same networks told beside it."""

    def ours(t: Frame) -> str:
        seen, unseen = (t.where(images=images) for images in (TRAINING, TEST))
        return f"{claim.summary(seen)[0]}; of unseen images {words(unseen, measure)}"

    def numbers(t: Frame) -> Numbers:
        seen, unseen = (t.where(images=images) for images in (TRAINING, TEST))
        return claim.summary(seen)[1] | unseen.numbers_by(measure, "labels", "{}, unseen images")

    def examples(frames: Sequence[Frame]) -> list[Frame]:
        return [Frame(t.data.assign(images=TRAINING)) for t in frames]

    return replace(
        claim,
        where=claim.where | {"images": [TRAINING, TEST]},
        holds=lambda t: claim.holds(t.where(images=TRAINING)),
        ours=ours,
        numbers=numbers,
        met=examples(claim.met),
        missed=examples(claim.missed),
        unjudged=examples(claim.unjudged),
    )


def probed(run: RunSpec, probe: str, **options: Any) -> ProbeSpec:
    """The probe of a run's network."""
    return ProbeSpec.make(run=run, probe=Part(name=probe, options=options))


PROBED = Measure("probed", "images probed", lambda record: record.spec.options.get("images", UNMEASURED), whole=True)


def words(t: Frame, measure: Measure) -> str:
    """A measure on random and on true labels, as text."""
    return " against ".join(f"{t.where(labels=one).spread(measure, measure.unit)} on {one}" for one in (RANDOM, TRUE))


def over_images(t: Frame, measure: Measure, ends: tuple[Measure, Measure] | None = None) -> str:
    """A measure in % on random and on true labels, as text, with 95 % intervals over the images probed.

    Of several seeds the least and the greatest end are told; none where a seed has no share of its images. Without
    `ends`, which are of a run's own interval, low and high, it is Wilson's: numbers from 0 to 1 vary at most as much as
    images that are right or wrong, at the same mean.
    """
    intervals = []
    for part in (t.where(labels=one) for one in (RANDOM, TRUE)):
        values = list(zip(part.values(measure), part.values(PROBED), strict=True))
        each = [[100 * end for end in wilson(v / 100 * n, int(n))] for v, n in values if 0 <= v <= 100 and n > 0]
        low, high = [part.values(end) for end in ends] if ends else ([a for a, _ in each], [b for _, b in each])
        intervals.append(f"{min(low):.1f} to {max(high):.1f}" if each and len(each) == len(values) else "none")
    return f"{words(t, measure)}; 95 % intervals over the images within {' and '.join(intervals)}"


@dataclass(frozen=True)
class Pairs:
    """Matched pairs of runs, on random and on true labels: their number, and in how many random ones have more.

    Both also of the pairs whose runs stopped at one loss.
    """

    larger: int
    count: int
    larger_at_one_loss: int
    at_one_loss: int


def pairs_of(measure: Measure, by: str, t: Frame) -> dict[str, Pairs]:
    """The pairs by name. measure: of the difference; where there is no number it counts as not larger."""
    found = {}
    for name, part in t.where(labels=RANDOM).groups(by).items():
        more, stops = [v > 0 for v in part.values(measure)], [v == 1 for v in part.values(AT_ONE)]
        found[name] = Pairs(sum(more), len(more), sum(a and b for a, b in zip(more, stops, strict=True)), sum(stops))
    return found


def mostly_larger(found: dict[str, Pairs]) -> bool:
    """Whether in at least 9 of 10 pairs, for every name."""
    return all(10 * pairs.larger >= 9 * pairs.count for pairs in found.values())


def notes(setting: Setting) -> list[str]:
    """What the seeds of networks and the names of panels mean, for figures of NETWORKS and AT_ONE_LOSS."""
    one = ["alexnet: one seed"] if len(setting.seeds_of("alexnet")) < setting.seeds else []
    return ["; ".join([*one, f"{AT_ONE_LOSS}: training stopped at that loss"])]


def in_pairs(found: dict[str, Pairs]) -> str:
    """In how many of the pairs, with Wilson's interval, and of those at one loss."""
    larger, count = (sum(getattr(pairs, key) for pairs in found.values()) for key in ("larger", "count"))
    low, high = (100 * end for end in wilson(larger, count))
    text = f"in {larger} of {count} pairs (95 % interval {low:.0f} to {high:.0f} %, as if they were independent)"
    one, of = (sum(getattr(pairs, key) for pairs in found.values()) for key in ("larger_at_one_loss", "at_one_loss"))
    text += f"; at one loss in {one} of {of}" if of < count else ""
    name, least = worst(found)
    told = f"; the worst is {name}, {least.larger} of {least.count}"
    return text + told * (len(found) > 1 and least.larger < least.count)


def worst(found: dict[str, Pairs]) -> tuple[str, Pairs]:
    """Those of which the smallest share is larger, by name."""
    return min(found.items(), key=lambda item: item[1].larger / item[1].count)


def in_numbers(found: dict[str, Pairs]) -> Numbers:
    """The shares of pairs."""
    return {name: [pairs.larger / pairs.count] for name, pairs in found.items()}


def apart(measure: Measure, sign: int = 1, ends: tuple[Measure, Measure] | None = None, **texts: Any) -> Claim:
    """That a measure is larger on random labels than on true ones, the least of the seeds above the largest.

    Args:
        sign: -1 for smaller. ends: of a run's own interval, low and high. It is then compared seed by seed: the claim
        holds where the whole interval is larger in every seed, does not where it is smaller in one, and is else not
        judged. texts: of the claim.
    """

    def two(t: Frame, of: Measure) -> list[list[float]]:
        return [[sign * v for v in t.where(labels=word).values(of)] for word in (TRUE, RANDOM)]

    def holds(t: Frame) -> bool | None:
        if ends is None:
            true, random = two(t, measure)
            return all(b > a for a in true for b in random)  # not where one is no number
        (true_low, random_low), (true_high, random_high) = (two(t, end) for end in ends[::sign])
        if all(b > a for a, b in zip(true_high, random_low, strict=True)):
            return True
        return False if any(b < a for a, b in zip(true_low, random_high, strict=True)) else None

    def example(*random: float) -> Frame:
        """Made up: three seeds, whose intervals reach 5 to either side."""
        values = [sign * v for v in (10.0, 20.0, 20.0, *random)]
        cells = {measure.name: values} | ({PROBED.name: [100] * len(values)} if measure.unit == " %" else {})
        if ends:
            cells |= {ends[0].name: [v - 5 for v in values], ends[1].name: [v + 5 for v in values]}
        columns: dict[str, Any] = {"labels": [TRUE] * 3 + [RANDOM] * 3, **cells}
        return made(**columns)

    below = [example(30.1, 30.1, 20.0), example(30.1, math.nan, 30.1)]
    usual: dict[str, Any] = {
        "where": {"labels": [TRUE, RANDOM]} | texts.pop("where", {}),
        "holds": holds,
        "ours": lambda t: over_images(t, measure, ends) if measure.unit == " %" else words(t, measure),
        "numbers": lambda t: t.numbers_by(measure, "labels"),
        "least_seeds": least_seeds,
        "met": [example(30.1, 30.1, 30.1)],
        "missed": [example(30.1, 30.1, 9.9)] if ends else below,
        "unjudged": [*below, example(30.1, 30.1, 30.0), example(30.1, 30.1, 10.0)] if ends else [],
    }
    return Claim(**usual | texts)


def apart_at_one_loss_too(measure: Measure, **texts: Any) -> list[Claim]:
    """`apart` on each of some networks, and the same on AT_ONE_LOSS."""
    claim = apart(measure, **texts)
    named = claim.id.replace("{network}", f"{REGULARIZED}.at_one_loss")
    seeds = least_seeds(REGULARIZED)
    return [claim, replace(claim, id=named, each=claim.each | {"network": [AT_ONE_LOSS]}, least_seeds=seeds)]
