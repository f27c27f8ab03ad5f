"""The networks that probes measure: on true labels, on random ones and on mixes, and with one regularizer each."""

from dataclasses import replace
from typing import Any

from rethinking.figures import Setting, _sweeps
from rethinking.figures._parts import BUDGET, UNSTATED
from rethinking.figures._parts import labels as corrupted
from rethinking.figures._parts import least_seeds as _least_seeds
from rethinking.figures.kit import Frame, Measure
from rethinking.spec import Part, ProbeSpec, RunSpec

NETWORKS = ("mlp-1x512", "mlp-3x512", "alexnet")
LABELS = {"true labels": 0.0, "random labels": 1.0}  # and their p
TRUE, RANDOM = LABELS
NONE = "no regularizer"
REGULARIZERS = {NONE: "none", "dropout": "units", "batch_norm": "normalization", "weight_decay": "weights"}  # as looks
REGULARIZED = "mlp-3x512"  # the network that they are tried on
DEPARTURES = [
    "Networks: MLP 1x512 and MLP 3x512 (three seeds) and AlexNet (one) on all 50,000 images, at the end of the paper's "
    "schedule; quick: on 2,000 and 500 images.",
    "Weights are no part of the records. Where they are gone the run is trained again, and must come out with the same "
    "curve.",
    UNSTATED,
    BUDGET,
]
WITH_ONE = (
    "Regularizers: MLP 3x512 on 2,000 images (quick: 500), each regularizer at its typical strength, the runs of "
    "figure regularizers."
)


def seeds(setting: Setting, network: str, **condition: Any) -> range:
    """At scales cpu and paper one of a network that takes long to train."""
    return setting.seeds_of(network)


def least_seeds(network: str, **rest: Any) -> int:
    """Below which a claim is not judged."""
    return _least_seeds(network)


def run(setting: Setting, seed: int, network: str, p: float, **fields: Any) -> RunSpec:
    """A network trained on labels corrupted with probability p: on all images, as at scale paper; at quick on few."""
    whole = setting if setting.scale == "quick" else replace(setting, scale="paper")
    return whole.spec(seed, model=network, corruptions=corrupted(p), **fields)


def regularized(setting: Setting, seed: int, p: float, regularizer: str) -> RunSpec:
    """REGULARIZED with that one at its typical strength, on true (p = 0) or random labels (p = 1)."""
    small = setting if setting.scale == "quick" else replace(setting, scale="cpu")
    stack = () if regularizer == NONE else _sweeps.typical(regularizer)
    times = 2 if regularizer == "dropout" and p else 1  # as in figure regularizers
    return _sweeps.run(small, seed, REGULARIZED, "random" if p else "true", *stack, times=times)


def probed(run: RunSpec, probe: str, **options: Any) -> ProbeSpec:
    """The probe of a run's network."""
    return ProbeSpec.make(run=run, probe=Part(name=probe, options=options))


def two(t: Frame, measure: Measure) -> tuple[list[float], list[float]]:
    """A measure on true and on random labels, seed by seed."""
    return t.where(labels=TRUE).values(measure), t.where(labels=RANDOM).values(measure)


def numbers(t: Frame, measure: Measure) -> dict[str, list[float | None]]:
    """The same for a figure's file."""
    return t.where(labels=[TRUE, RANDOM]).numbers_by(measure, "labels")


def words(t: Frame, measure: Measure, unit: str = " %") -> str:
    """The same as text."""
    return " against ".join(f"{t.where(labels=one).spread(measure, unit)} on {one}" for one in (RANDOM, TRUE))
