"""Ensembles: what voting gains against the number of members, for clean, half corrupted and random labels.

Members differ in their initial weights and batch order, in their bootstrap sample of the training set too (bagging,
Breiman 1996), in their network, or are one network's views of five crops of a test image. Predictions are joined by
majority vote (ties go to the smallest class) or by the average of probabilities.

    rethinking figure ensembles                 500 images, one ensemble of each kind: minutes
    rethinking figure ensembles --scale cpu     2,000 images, three ensembles of each kind
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from rethinking.claims import rounded, spread
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import MIXES, SMALL, UNSTATED, labels
from rethinking.figures.kit import (
    Bound,
    Claim,
    Conditions,
    Frame,
    Grid,
    Lines,
    Measure,
    Table,
    Together,
    bounded,
    listed,
)
from rethinking.figures.kit.measures import UNMEASURED, finite
from rethinking.record import Record
from rethinking.spec import RunSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NETWORK = "mlp-3x512"
NETWORKS = ("mlp-3x512", "mlp-1x512", "alexnet")
CAPTION = "What an ensemble gains in test accuracy over its members, against its size."
MEMBERS = {"initial weights": 6, "bootstrap": 6, "networks": len(NETWORKS), "crops": 5}
OVER = {"networks": "the best member", "crops": "the centre crop"}  # what a gain is over, where it is not their mean
THEIRS = "Nothing of its own; Yousan AI 2019: ensembles improve generalization. Breiman 1996: so does bagging."
DEPARTURES = [
    "An extension: the paper trains no ensemble.",
    f"Ensembles of up to {max(MEMBERS.values())} {NETWORK}; of the networks {', '.join(NETWORKS)}; of one {NETWORK}'s "
    "five crops. Ensembles of a kind share no member and no corruption; seeds counts ensembles.",
    "Accuracy is of the first 2,000 test images, whose logits the records keep (float16). The gain is over the mean "
    "accuracy of the members; of the networks, which are unequal, over the best of them; with crops, over the centre "
    "crop, which the network was trained on. The best is found on these very images. A tied vote goes to the smallest "
    "class.",
    "Members on bootstrap samples see fewer images than the set has, and their ensemble's gain is over them: what as "
    "many networks of other initial weights on the whole set reach, together and alone, stands beside it. "
    "The networks are unequal, and all count alike: what each reaches alone, and how far AlexNet is above the two "
    "MLPs, stands beside the gain.",
    SMALL,
    UNSTATED,
]
VOTE, MEAN = "vote", "mean probability"
READ_AT = {"join": (VOTE, MEAN)}
EVERY = Grid("{kind}, {labels}, member {members}", kind=list(MEMBERS), labels=list(MIXES), members=range(1, 7))
GRID = Conditions(EVERY.naming, [c for c in EVERY if c["members"] <= MEMBERS[c["kind"]]])


def seeds(setting: Setting, **condition: Any) -> range:
    return range(setting.seeds)


def spec(setting: Setting, seed: int, kind: str, members: int, **mix: str) -> RunSpec:
    """Of the last of so many members; seed: of the ensemble. Every crop is a view of one network."""
    own = members - 1 if kind in ("initial weights", "bootstrap") else 0
    n = {"quick": 500, "cpu": 2000}.get(setting.scale, FULL)
    fields: dict[str, Any] = {"n": n, "corruptions": labels(MIXES[mix["labels"]]), "bootstrap": kind == "bootstrap"}
    fields |= {"model": NETWORKS[members - 1] if kind == "networks" else NETWORK}
    fields |= {"keep": ("crop_logits" if kind == "crops" else "test_logits",)}
    return setting.spec(MEMBERS["initial weights"] * seed + own, data_seed=seed, **fields)


def joined(logits: list[np.ndarray], join: str) -> np.ndarray:
    """Predicted classes, int64 (N,), of members' logits, each (N, classes); of a tied vote the smallest."""
    if join == VOTE:
        classes = logits[0].shape[1]
        return sum(np.eye(classes, dtype=np.int64)[part.argmax(1)] for part in logits).argmax(1)
    parts = [np.exp(part.astype(np.float64) - part.max(1, keepdims=True)) for part in logits]
    return sum(part / part.sum(1, keepdims=True) for part in parts).argmax(1)


class _Same(tuple[Record, ...]):
    """Records that are known again by being the same objects."""

    def __hash__(self) -> int:
        return hash(tuple(map(id, self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and list(map(id, self)) == list(map(id, other))


@lru_cache(maxsize=256)  # each is asked for its four parts, in the table and by claims
def accuracies(records: _Same, kind: str, join: str, members: int) -> tuple[int, float, float, float]:
    """An ensemble's first members: their number, accuracy in % of one, of them together, and what that gains.

    Of one member: the mean of single ones; of networks, which are unequal, the best so far; of crops, the centre one's,
    which the network was trained on.
    """
    kept = list(records[0].arrays["crop_logits"]) if kind == "crops" else [r.arrays["test_logits"] for r in records]
    logits = [part.astype(np.float32) for part in kept]  # exact, and faster than float16
    truth = records[0].arrays["test_labels"]
    alone = [100 * float((part.argmax(1) == truth).mean()) for part in logits]
    one = {"crops": alone[0], "networks": max(alone[:members])}.get(kind, sum(alone) / len(alone))
    together = one if members == 1 else 100 * float((joined(logits[:members], join) == truth).mean())
    return members, one, together, together - one


def measure(part: int, label: str, *read: str) -> Together:
    """A part of `accuracies`: of all members, or of the first ones, where the coordinate "members" is read too."""

    def of(records: Sequence[Record], kind: str, join: str, members: int = 0) -> float:
        return accuracies(_Same(records), kind, join, members or MEMBERS[kind])[part]

    return Together(
        f"part {part} {read}", label, of, whole=part == 0, parameters=("kind", "join", *read), over="members"
    )


def alone(record: Record) -> float | str:
    """The accuracy of a run by itself on the same test images, in %; of one that keeps crops it is not told."""
    if "test_logits" not in record.arrays:
        return UNMEASURED
    return 100 * float((record.arrays["test_logits"].argmax(1) == record.arrays["test_labels"]).mean())


NAMES = ("members", "compared with (%)", "ensemble (%)", "gain (points)")
CELLS = [measure(part, name) for part, name in enumerate(NAMES)]
ONE, TOGETHER = CELLS[1:3]
ALONE = Measure("alone", "accuracy of a run by itself (%)", alone)
MEASURES = [ALONE]
WHOLE, GAIN = CELLS[3], measure(3, "gain in test accuracy (points)", "members")
TABLE = Table("run", {cell.label: cell for cell in CELLS}, by="{kind}, {labels}, {join}", only={"members": 1})


@dataclass(frozen=True, kw_only=True)
class Gains(Lines):
    """What ensembles of a kind gain against their size, by MEAN; beside the lines' ends, by VOTE, of all members.

    All panels have the same limits.
    """

    kind: str

    @property
    def note(self) -> str:
        """What is said above the panels on how they are drawn."""
        lines = "line: median over ensembles; a point an ensemble (a seed); bar: their range"
        return f"{lines}\nlines: average of probabilities; dash beside: majority vote of all members"

    def draw(self, axes: "Axes", frame: Frame, records: Sequence[Record | None]) -> None:
        """On `axes`."""
        most = frame.data["members"].max()
        dash: dict[str, Any] = {"marker": "_", "linestyle": "none", "ms": 7, "mew": 1.6}
        for value, part in frame.where(kind=self.kind, join=VOTE, members=1).groups("labels").items():
            if part.values(WHOLE):
                axes.plot(MEMBERS[self.kind] + 0.4, part.median(WHOLE), color=self.look(value)["color"], **dash)
        super().draw(axes, frame, records)
        known = finite(frame.values(WHOLE) + frame.values(GAIN)) or [0]
        axes.set_ylim(min(known) - 0.5, max(known) + 0.5)
        axes.set_xlim(0.5, most + 0.7)
        axes.set_xticks(range(1, most + 1))


BY: dict[str, Any] = {"x": "members", "y": GAIN, "hue": "labels", "reference": (0, ""), "apart": 1.03}
BY |= {"xlabel": "members", "ylabel": "gain in test accuracy (points)"}
PANELS = [
    Gains(
        kind=kind,
        only={"kind": kind, "join": MEAN},
        title=f"by {kind}\nover {OVER.get(kind, 'the mean member')}",
        legend="outside lower center" if kind == "initial weights" else None,
        **BY,
    )
    for kind in MEMBERS
]


def finding(t: Frame, network: str) -> str:
    gains = t.known(WHOLE, "labels", kind="initial weights", join=MEAN, members=1)
    told = listed(f"{rounded(points):+.1f} with {labels}" for labels, points in gains.items())
    return f"What averaging {MEMBERS['initial weights']} networks of other initial weights gains, in points: {told}"


def judged(kind: str, mix: str, bound: Bound, beside: Sequence[str] = (), **texts: Any) -> Claim:
    """A claim on every ensemble of a kind, all members together, by MEAN. beside: kinds that are told beside it."""
    where = {"kind": [kind, *beside], "labels": mix, "join": MEAN}
    runs: dict[str, Any] = {"id": f"ensembles.{kind}.{mix}", "where": where, "least_n": 2000, "least_seeds": 3}
    return bounded(bound, at={"kind": kind, "members": 1}, **runs, **texts)


def gains(kind: str, t: Frame) -> str:
    """What an ensemble of a kind gains, and what that is to be seen beside."""
    first = t.where(kind=kind, members=1)
    text = first.spread(WHOLE, WHOLE.unit)
    if kind == "bootstrap":
        whole = t.where(kind="initial weights", members=1)
        text += f"; accuracy {first.spread(TOGETHER)} %, of as many networks on the whole set "
        text += f"{whole.spread(TOGETHER)} %, these alone on average {whole.spread(ONE)} %"
    if kind == "networks":
        each = {name: t.where(members=k + 1) for k, name in enumerate(NETWORKS)}
        *others, best = (part.values(ALONE) for part in each.values())
        above = [high - max(low) for high, *low in zip(best, *others, strict=True)]
        text += f"; alone: {', '.join(f'{name}: {part.spread(ALONE)} %' for name, part in each.items())}"
        text += f"; {NETWORKS[-1]} is above the better of the others by {spread(above)} points"
    return text


def helps(kind: str, mix: str) -> Claim:
    over = f", compared with {OVER[kind]}" if kind in OVER else ""
    own = ", compared with its own members, which see fewer images" if kind == "bootstrap" else over
    return judged(
        kind,
        mix,
        Bound(WHOLE, above=0),
        name=f"{kind}, {mix}",
        source="Yousan AI 2019, on ensembles",
        beside=["initial weights"] if kind == "bootstrap" else [],
        statement=f"an ensemble over {kind} helps on {mix}{own}",
        paper="ensembles reduce the test error",
        rule=f"averaging the probabilities gains test accuracy in every ensemble{over}",
        fitted=False,
        ours=lambda t: gains(kind, t),
    )


CHANCE = judged(
    "initial weights",
    "random labels",
    Bound(WHOLE, -2, 2),
    name="random labels",
    source="zhang2017, section 2.1, extended",
    statement="an ensemble of networks that memorized random labels predicts no better than one",
    paper="test accuracy at chance on random labels",
    rule="over initial weights, averaging the probabilities gains within 2 points of 0 in every ensemble, and all "
    "members are fitted",
)
CLAIMS = [*(helps(kind, mix) for kind in MEMBERS for mix in ("true labels", "half random labels")), CHANCE]
