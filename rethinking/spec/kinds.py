"""The kinds of run there are: their one contract, their union, and reading a spec of any kind.

A new kind is a class of specs in this folder, a module with `run` and `estimate`, and a line in KINDS.
"""

import json
import pkgutil
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rethinking.errors import InputError
from rethinking.files import content_of, reason
from rethinking.spec.base import Spec
from rethinking.spec.imagenet import ImageNetSpec
from rethinking.spec.probe import ProbeSpec
from rethinking.spec.theory import KernelSpec, LinearSpec, Theorem1Spec, TwoWeightsSpec
from rethinking.spec.training import RunSpec

if TYPE_CHECKING:
    import numpy as np
    import torch

    from rethinking.images import ImageSet

LARGEST = 4_000_000  # bytes of a spec.json

AnySpec = RunSpec | Theorem1Spec | KernelSpec | LinearSpec | TwoWeightsSpec | ProbeSpec | ImageNetSpec


class Unfit(Exception):
    """A saved state that the run cannot go on from; the text says why."""


def _nothing() -> None:
    pass


def _no_weights(run: RunSpec) -> "dict[str, torch.Tensor]":
    raise InputError(f"the weights of {run.run_id} are not at hand: give a context that finds them")


@dataclass
class Context:
    """What a run of any kind is given besides its spec, and where it puts what it can go on from.

    Attributes:
        images: the data set that the spec names. device: to compute on. threads: that a network is trained with on the
        CPU. made_with: what decides how its arithmetic is done, in words.
        on_step: to be called with how far the run is, of the spec's `steps`; what it raises ends the run.
        on_part: to be called every second or so within what takes longer than a step; what it raises ends the run.
        saved: the state that a resumable run goes on from; None for its beginning.
        state: set by a resumable run before its first step: gives its state as it is now, with its "step".
        weights: gives those of a training run's network, by name, on the CPU; from its record, or trained again.
    """

    images: "ImageSet"
    device: "torch.device"
    threads: int = 1
    made_with: str = ""
    on_step: Callable[[int], None] = lambda step: None
    on_part: Callable[[], None] = _nothing
    saved: "dict[str, torch.Tensor] | None" = None
    state: "Callable[[], dict[str, torch.Tensor]] | None" = None
    weights: "Callable[[RunSpec], dict[str, torch.Tensor]]" = _no_weights


@dataclass
class Outcome:
    """How a run ended, and what its record holds besides the curve.

    Attributes:
        status: "computed", or of training "fitted", "stopped" (at the spec's loss), "budget" or "diverged".
        diverged_at: the step of the first loss that was not finite. log: of the online log, a line [step, sum of
        losses, right, images] each. arrays: of arrays.npz, by name. weights: of the trained network, by name.
    """

    status: str = "computed"
    diverged_at: int | None = None
    log: list[list[float]] = field(default_factory=list)
    arrays: "dict[str, np.ndarray]" = field(default_factory=dict)
    weights: "dict[str, torch.Tensor]" = field(default_factory=dict)


Rows = Generator[dict[str, Any], None, Outcome]


@dataclass(frozen=True)
class Kind:
    """How runs of one kind are made. Its functions are named, and imported when first called: they may need torch.

    Attributes:
        spec: the class of its specs, which has the columns of its curves.
        module: of `run(spec, context)`, which yields the rows of the curve, returns an Outcome and writes nothing;
        InputError for data that it cannot be of.
        estimator: of `estimate(spec, device, known)`, seconds of one run on one worker, expected and at most; `known`
        is what the records tell, a rethinking.engines.estimate.Known.
        state: what a checkpoint holds at least; empty where a run that was stopped begins anew. `run` raises Unfit
        before its first row where the rest is not of the run.
        alone: whether a run on the CPU has all cores to itself, instead of one beside other runs.
    """

    spec: type[AnySpec]
    module: str
    estimator: str
    state: tuple[str, ...] = ()
    alone: bool = False

    @property
    def resumable(self) -> bool:
        """Whether a run that was stopped goes on from its checkpoint."""
        return bool(self.state)

    def run(self, spec: Spec, context: Context) -> Rows:
        """The rows of a run's curve, as they are made, and its Outcome."""
        return pkgutil.resolve_name(f"{self.module}:run")(spec, context)

    def estimate(self, spec: Spec, device: str, known: Any) -> tuple[float, float]:
        """Seconds of one run on one worker: expected, and at most."""
        return pkgutil.resolve_name(f"{self.estimator}:estimate")(spec, device, known)


def _computed(spec: type[AnySpec], module: str, alone: bool = False) -> Kind:
    return Kind(spec, module, module, alone=alone)


KINDS = {
    "training": Kind(  # whose spec.json has no field `kind`
        RunSpec, "rethinking.training.run", "rethinking.engines.estimate", state=("step", "schedule")
    ),
    "theorem1": _computed(Theorem1Spec, "rethinking.theory.theorem1", alone=True),  # for its times
    "kernel": _computed(KernelSpec, "rethinking.theory.min_norm", alone=True),  # for its memory
    "linear": _computed(LinearSpec, "rethinking.theory.linear"),
    "two_weights": _computed(TwoWeightsSpec, "rethinking.theory.two_weights"),
    "probe": _computed(ProbeSpec, "rethinking.probes"),
    "imagenet": Kind(  # made by torchrun, see ImageNetSpec.command
        ImageNetSpec, "rethinking.imagenet.train", "rethinking.imagenet.cost", state=("step",)
    ),
}
_KIND_OF = {kind.spec: kind for kind in KINDS.values()}


def kind_of(spec: Spec) -> Kind:
    """The kind of run that a spec is of."""
    return _KIND_OF[type(spec)]  # type: ignore[index]


def from_json(text: str, source: str = "spec") -> AnySpec:
    """A spec of the kind that the JSON names, a training run where it names none. Raises InputError in one line."""
    return _class_of(text, source).from_json(text, source)


def from_bytes(content: bytes, source: str = "standard input") -> AnySpec:
    """From JSON in UTF-8, 16 or 32, with a byte-order mark or without. Raises InputError."""
    if len(content) > LARGEST:
        raise InputError(f"{source}: larger than {LARGEST:,} bytes: is it a spec?")
    try:
        text = content.decode(json.detect_encoding(content))
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: cannot be read ({error})") from None
    return from_json(text, source)


def from_file(path: Path) -> AnySpec:
    """From a JSON file. Raises InputError where it cannot be read or is not a spec."""
    try:
        content = content_of(path, LARGEST)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from None
    return from_bytes(content, str(path))


def _class_of(text: str, source: str) -> type[AnySpec]:
    """The class of a spec.json. Raises InputError for an unknown kind, and for a field given twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for name, count in Counter(name for name, _ in pairs).items():
            if count > 1:
                raise InputError(f"{source}: {name} is given {count} times: give it once")
        return dict(pairs)

    try:
        given = json.loads(text, object_pairs_hook=once)
    except InputError:
        raise
    except (ValueError, RecursionError):
        return RunSpec  # which says what is wrong
    kind = given.get("kind") if isinstance(given, dict) else None
    if kind is None:
        return RunSpec
    known = [name for name, each in KINDS.items() if "kind" in each.spec.model_fields]
    if not isinstance(kind, str) or kind not in known:
        raise InputError(f"{source}: kind is {kind!r}, known are {', '.join(sorted(known))}: leave it out for training")
    return KINDS[kind].spec
