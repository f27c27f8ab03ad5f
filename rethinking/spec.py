"""Specs: everything that determines a result, and nothing else. A run's identity is the hash of its spec.

RunSpec is a training run. Other kinds of run are further subclasses of Spec, told apart by a field `kind`, which
RunSpec does not have.
"""

import functools
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from rethinking import catalog
from rethinking.constants import TYPES
from rethinking.errors import InputError

EPOCH = 391  # steps of batch 128 in one pass over CIFAR-10's 50,000 images: the paper's unit of schedule
LARGEST = 4_000_000  # bytes of a spec.json
NAME = 200  # characters of a run's name before its hash; a file system allows 255


class Part(BaseModel):
    """A corruption or a regularizer by name, with its options: Part(name="partial_labels", options={"p": 0.3})."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    options: dict[str, float | int | bool | str] = {}

    @classmethod
    def parse(cls, kind: str, text: str) -> "Part":
        """From the command line's NAME[=VALUE][,KEY=VALUE]...; VALUE sets the first declared option."""
        head, *rest = text.split(",")
        name, _, value = head.partition("=")
        declared = catalog.find(kind, name).constants.get("OPTIONS", {})
        pairs = [item.partition("=") for item in rest]
        if value or head.endswith("="):
            if not declared:
                raise InputError(f"{text!r}: {name} takes no value: write {name}")
            pairs.insert(0, (next(iter(declared)), "=", value))
        options: dict[str, Any] = {}
        for key, equals, word in pairs:
            if not equals:
                raise InputError(f"{text!r}: {key!r} is not KEY=VALUE")
            if key in options:
                raise InputError(f"{text!r}: {key} is given twice")
            options[key] = _number(word)
        return cls(name=name, options=options)


def _number(word: str) -> float | int | bool | str:
    if word in ("true", "false"):
        return word == "true"
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


@functools.cache
def _options_model(kind: str, name: str) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for key, limits in catalog.find(kind, name).constants.get("OPTIONS", {}).items():
        limits = dict(limits)
        annotation: Any = TYPES[limits.pop("type")]
        if annotation is float:
            limits["allow_inf_nan"] = False
        limits.pop("late", None)
        choices = limits.pop("choices", None)
        if choices:
            annotation = Literal[tuple(choices)]
        fields[key] = (annotation, Field(limits.pop("default", ...), **limits))
    return create_model(f"{kind}.{name}", __config__=ConfigDict(extra="forbid", strict=True), **fields)


def check_options(kind: str, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a corruption, regularizer or network, defaults filled in.

    Raises:
        InputError: an unknown name or option, a wrong type, a value out of range.
    """
    catalog.find(kind, name)
    try:
        return _options_model(kind, name)(**options).model_dump()
    except ValidationError as error:
        raise InputError(_one_line(error, f"{name}.", options)) from None


def _one_line(error: ValidationError, prefix: str, given: Any) -> str:
    problem = error.errors()[0]
    where = prefix + ".".join(str(p) for p in problem["loc"])
    if problem["type"] == "extra_forbidden":
        models: list[type[BaseModel]] = [Part, *Spec.__subclasses__()]
        names = next((list(m.model_fields) for m in models if m.__name__ == error.title), [])
        return f"unknown field {where!r}" + (f": known are {', '.join(names)}" if names else ": remove it")
    if problem["type"] == "missing":
        return f"{where} is missing: give a value"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] == "json_invalid":
        return f"not valid JSON ({problem['msg']}): is the file complete?"
    if problem["type"] == "bool_type":
        return f"{where} is {problem['input']!r}: give true or false"
    return f"{where or 'the spec'} is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


Positive = Annotated[int, Field(ge=1, lt=2**63)]  # what a tensor's sizes can be
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Spec(BaseModel):
    """What determines a result. Device, workers and paths do not, and live elsewhere.

    Fields left at their default do not enter the hash, so a field added later orphans no old run; nor does an option of
    a regularizer that says it came late. What is the same has one name; n is always a number.

    Attributes:
        data: a data set's name. n: the first n training images, in the official order; None means all.
        COLUMNS: of the record's curve, "step" first; `columns` has those of this run. INTEGERS: those of them that are
        whole numbers.
        VARYING: those that differ from one making of the run to the next: seconds, memory.
        ALONE: whether a run has the whole machine to itself, instead of one core beside other runs.
        RUNNER: the module whose `run(spec, data, device, on_step)` yields the rows of the curve.
        steps: what `on_step` counts up to. precision: of the arithmetic, in a word or two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    if TYPE_CHECKING:  # of every kind: a field, or a constant of the class

        @property
        def steps(self) -> int: ...

        @property
        def precision(self) -> str: ...

    COLUMNS: ClassVar[tuple[str, ...]]
    INTEGERS: ClassVar[frozenset[str]] = frozenset({"step"})
    VARYING: ClassVar[frozenset[str]] = frozenset()
    ALONE: ClassVar[bool] = False
    RUNNER: ClassVar[str] = ""

    data: str = Field(default="cifar10", description="Data set.")
    n: Positive | None = Field(
        default=None, description="The first n training images, in the official order; default all."
    )

    @model_validator(mode="before")
    @classmethod
    def _resolve_n(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}  # JSON has no tuples
        data, n = (given.get(key, cls.model_fields[key].default) for key in ("data", "n"))
        if isinstance(data, str) and n is None:
            given["n"] = catalog.find("data", data).constants["SIZES"]["train"]
        return given

    @model_validator(mode="after")
    def _check_n(self) -> Self:
        size = catalog.find("data", self.data).constants["SIZES"]["train"]
        if self.n is not None and self.n > size:
            raise ValueError(f"n is {self.n}, {self.data} has {size} training images: give 1 to {size}")
        return self

    @classmethod
    def make(cls, **fields: Any) -> Self:
        """cls(**fields), its errors as one InputError line that names field, value and what is allowed."""
        try:
            return cls(**fields)
        except ValidationError as error:
            raise InputError(_one_line(error, "", fields)) from None

    @classmethod
    def from_json(cls, text: str, source: str = "spec") -> Self:
        """From the JSON of `to_json`; omitted fields take their defaults. Raises InputError in one line.

        Spec.from_json gives the kind of spec that the text names.
        """
        kind = _class_of(text, source) if cls is Spec else cls
        try:
            return kind.model_validate_json(text)  # type: ignore[return-value]
        except ValidationError as error:
            raise InputError(f"{source}: {_one_line(error, '', text)}") from None
        except InputError as error:
            raise InputError(f"{source}: {error}") from None

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """From a JSON file. Raises InputError where it cannot be read or is not a spec."""
        try:
            with path.open("rb") as stream:
                content = stream.read(LARGEST + 1)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        return cls.from_bytes(content, str(path))

    @classmethod
    def from_bytes(cls, content: bytes, source: str = "standard input") -> Self:
        """From JSON in UTF-8, 16 or 32, with a byte-order mark or without. Raises InputError."""
        if len(content) > LARGEST:
            raise InputError(f"{source}: larger than {LARGEST:,} bytes: is it a spec?")
        try:
            text = content.decode(json.detect_encoding(content))
        except UnicodeDecodeError as error:
            raise InputError(f"{source}: cannot be read ({error})") from None
        return cls.from_json(text, source)

    def to_json(self) -> str:
        """All fields, one per line; `from_json` gives back an equal spec."""
        return self.model_dump_json(indent=2) + "\n"

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """The fields that differ from their default, and the kind: what the hash is made of."""
        kind = {"kind": self.kind} if hasattr(self, "kind") else {}
        return kind | self.model_dump(mode="json", exclude_defaults=True)

    @functools.cached_property
    def run_id(self) -> str:
        """Readable name and hash, and the record's folder: cifar10-500-inception-random_labels-s0-1a2b3c4d5e."""
        text = json.dumps(self.identity, sort_keys=True, separators=(",", ":"))
        name = re.sub(r"[^a-zA-Z0-9_.+-]", "_", "-".join(self.words))[:NAME].rstrip("-")
        return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    @property
    def plug_ins(self) -> dict[str, str]:
        """Digests of the files that it names and this package does not hold: {"models/mine": "1a2b3c4d5e6f"}."""
        named = [("data", self.data), *([("models", self.model)] if hasattr(self, "model") else [])]
        named += [(kind, p.name) for kind in ("corruptions", "regularizers") for p in getattr(self, kind, ())]
        found = [(f"{kind}/{name}", catalog.find(kind, name).digest) for kind, name in named]
        return {name: digest for name, digest in found if digest}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of this run's curve."""
        return self.COLUMNS

    @property
    def words(self) -> list[str]:
        """The readable part of the run's name."""
        raise NotImplementedError

    def summary(self, row: dict[str, Any]) -> str:
        """What a row of the curve says, in a phrase."""
        raise NotImplementedError

    def replace(self, **fields: Any) -> Self:
        """A validated copy with some fields changed. Raises InputError."""
        return type(self).make(**{k: getattr(self, k) for k in type(self).model_fields} | fields)


class RunSpec(Spec):
    """A training run: everything that determines its result.

    partial_labels with p = 1 becomes random_labels, with p = 0 no corruption; a regularizer at its null is left out.

    Each field's description is the help text of its option of `rethinking run`.
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "step",
        "epoch",
        "learning_rate",
        "train_loss",
        "train_accuracy",
        "test_loss",
        "test_accuracy",
        "test_images",
        "online_loss",
        "online_accuracy",
    )
    INTEGERS: ClassVar[frozenset[str]] = frozenset({"step", "test_images", "train_images"})

    corruptions: tuple[Part, ...] = Field(
        default=(), description="Applied once before training, those of pixels first; as partial_labels=0.5."
    )
    test_labels: Literal["true", "corrupted"] = Field(
        default="true", description="corrupted: as the training labels are."
    )
    model: str = Field(default="inception", description="Network, with its options, as mlp-1x512,width=64.")
    model_options: dict[str, float | int | bool | str] = Field(
        default={}, description="Of those that the network's file declares, where they differ from its own."
    )
    regularizers: tuple[Part, ...] = Field(default=(), description="In the order given, as weight_decay=5e-4.")
    held_out: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="The last so many of the n images, corrupted like the rest, are not trained on but measured.",
    )
    bootstrap: bool = Field(
        default=False, description="Train on as many draws with replacement, by the seed, from the training images."
    )
    batch_size: Positive = Field(default=128, description="Examples in a batch.")
    learning_rate: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Learning rate at step 0; by default the paper's for the network."
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.9, description="Of SGD, below 1.")
    lr_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.95, description="Factor on the learning rate at each decay, in (0, 1]."
    )
    decay_every: Positive = Field(default=EPOCH, description="Steps between decays of the learning rate.")
    steps: Positive = Field(default=64 * EPOCH, description="Budget in batches.")
    stop: Literal["fitted", "budget"] = Field(
        default="budget", description="fitted ends the run when an evaluation finds every training example right."
    )
    eval_every: Positive = Field(default=EPOCH, description="Steps between evaluations.")
    interim_test: Positive = Field(default=2000, description="Test images in evaluations before the last.")
    evaluation: Literal["all", "probe"] = Field(
        default="all",
        description="probe measures 2,000 training images at each, and all where the fit is near.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="bfloat16 is autocast; weights stay float32."
    )
    keep: tuple[Literal["test_logits", "crop_logits", "weight_quantiles"], ...] = Field(
        default=(), description="Arrays of the trained network that the record holds."
    )
    data_seed: Seed = Field(default=0, description="Of the corruptions.")
    seed: Seed = Field(default=0, description="Of initial weights, batch order and everything else in training.")
    crop: Positive | None = Field(
        default=None,
        description="Side of the centre square that is kept of each image; by default CIFAR-10's 28, else all.",
    )

    @model_validator(mode="before")
    @classmethod
    def _resolve_rate(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        model = given.get("model", "inception")
        if isinstance(model, str) and given.get("learning_rate") is None:
            paper = catalog.find("models", model).constants.get("PAPER", {})
            given = given | {"learning_rate": paper.get("learning_rate", 0.01)}
        return given

    @model_validator(mode="after")
    def _check(self) -> "RunSpec":
        network = catalog.find("models", self.model)
        object.__setattr__(self, "model_options", _changed_options(network, self.model_options))
        object.__setattr__(self, "keep", tuple(sorted(set(self.keep))))
        object.__setattr__(self, "crop", canonical_crop(self.data, self.crop))
        height, width = image_size(self.data, self.crop)
        if height != width:
            raise ValueError(
                f"the images of {self.data} are of {height} x {width} pixels, the networks take squares: give --crop "
                f"{min(height, width)}"
            )
        assert self.n is not None
        if self.held_out >= self.n:
            raise ValueError(f"held_out is {self.held_out} of n = {self.n}: give 0 to {self.n - 1}")
        object.__setattr__(self, "corruptions", canonical_corruptions(self.corruptions))
        object.__setattr__(self, "regularizers", _canonical_regularizers(self.regularizers))
        _check_signs(self.corruptions, self.test_labels)
        if not any(catalog.find("corruptions", c.name).constants["ACTS_ON"] == "labels" for c in self.corruptions):
            object.__setattr__(self, "test_labels", "true")  # nothing corrupts them
        acts = {catalog.find("corruptions", c.name).constants["ACTS_ON"]: c.name for c in self.corruptions}
        if "crop_logits" in self.keep and "pixels" in acts:
            raise ValueError(f"keep is crop_logits: {acts['pixels']} is of the centre crop alone: drop one of them")
        check_parts(self.regularizers, self.corruptions, self.model, network.constants.get("HAS"))
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        probed = ("train_images",) if self.evaluation == "probe" else ()
        return self.COLUMNS + (("held_out_loss", "held_out_accuracy") if self.held_out else ()) + probed

    @property
    def words(self) -> list[str]:
        parts = [self.data, str(self.n), self.model, *(f"{k}-{v}" for k, v in self.model_options.items())]
        for part in (*self.corruptions, *self.regularizers):
            value = "-".join(f"{v:g}" if isinstance(v, float) else str(v) for v in part.options.values())
            parts.append(part.name + (f"-{value}" if value else ""))
        return [*parts, *([f"crop{self.crop}"] if self.crop else []), f"s{self.seed}"]

    def summary(self, row: dict[str, Any]) -> str:
        train, test = ("-" if v is None else f"{100 * v:.1f} %" for v in (row["train_accuracy"], row["test_accuracy"]))
        return f"training accuracy {train}, test accuracy {test}"

    @property
    def epoch_steps(self) -> int:
        """Steps in one pass over this run's training set."""
        return math.ceil(self.trained / self.batch_size)

    @property
    def trained(self) -> int:
        """Examples in this run's training set."""
        assert self.n is not None
        return self.n - self.held_out

    def rate_at(self, step: int) -> float:
        """The learning rate of the step-th batch, counted from 0."""
        assert self.learning_rate is not None
        return self.learning_rate * self.lr_decay ** (step // self.decay_every)


def _class_of(text: str, source: str) -> type[Spec]:
    """The class of a spec.json, by its `kind`. Raises InputError for an unknown one."""
    from rethinking.theory import specs  # noqa: F401  (kinds are subclasses, known once imported)

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
    known = {c.model_fields["kind"].default: c for c in Spec.__subclasses__() if "kind" in c.model_fields}
    if not isinstance(kind, str) or kind not in known:
        raise InputError(f"{source}: kind is {kind!r}, known are {', '.join(sorted(known))}: leave it out for training")
    return known[kind]


def _check_signs(corruptions: tuple[Part, ...], test_labels: str) -> None:
    constants = {c.name: catalog.find("corruptions", c.name).constants for c in corruptions}
    of_labels = [name for name, each in constants.items() if each["ACTS_ON"] == "labels"]
    for name in (n for n in of_labels if constants[n].get("ONE_LOGIT")):
        if len(of_labels) > 1:
            other = next(n for n in of_labels if n != name)
            raise ValueError(f"{name} leaves nothing of the labels for {other}: drop one")
        if test_labels != "true":
            raise ValueError(f"test_labels is {test_labels!r}: {name} draws those of the test set anyway: leave it out")


def canonical_crop(data: str, crop: int | None) -> int | None:
    """A centre crop by its one name: None for the data set's own, or for none where it has none; never more than all.

    data: a data set's name.
    """
    constants = catalog.find("data", data).constants
    largest = max(constants["SHAPE"][:2])
    crop = None if crop is None else min(crop, largest)
    return None if crop == constants.get("CROP", largest) else crop


def crop_size(data: str, crop: int | None = None) -> int | None:
    """Side of the centre square that is kept of a data set's images, by a spec's `crop`; None where all is."""
    return crop or catalog.find("data", data).constants.get("CROP")


def image_size(data: str, crop: int | None = None) -> tuple[int, int]:
    """Height and width of a data set's images after a spec's centre crop."""
    height, width = catalog.find("data", data).constants["SHAPE"][:2]
    side = crop_size(data, crop) or max(height, width)
    return min(height, side), min(width, side)


def check_parts(
    parts: tuple[Part, ...], corruptions: tuple[Part, ...], model: str, has: Iterable[str] | dict[str, Any] | None
) -> None:
    """Refuse regularizers that cannot go together, with the corruptions, or with the network.

    Args:
        has: what the network has, by variant where it is a dict; None where that is not known.

    Raises:
        InputError: the first that cannot.
    """
    known = None if has is None else set(has.get(model, ()) if isinstance(has, dict) else has)
    kinds = {catalog.find("corruptions", c.name).constants["ACTS_ON"]: c.name for c in corruptions}
    names = {p.name for p in parts}
    for part in parts:
        constants = catalog.find("regularizers", part.name).constants
        for need in _list(constants.get("NEEDS")):
            if known is not None and need not in known:
                raise InputError(f"{part.name} needs {need}, {model} has none: {_networks(need)}")
        for refused in _list(constants.get("REFUSES")):
            if refused in kinds:
                raise InputError(
                    f"{part.name} cannot go with {kinds[refused]}, a corruption of {refused}: drop one of them"
                )
            if refused in names:
                raise InputError(
                    f"{part.name} cannot go with {refused}, which changes what it works on: drop one of them"
                )
            if known is not None and refused in known:
                raise InputError(
                    f"{part.name} cannot go with {refused}, which {model} has: {_networks(refused, False)}"
                )


def _list(value: str | list[str] | None) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else value


def _networks(feature: str, has: bool = True) -> str:
    """Advice that names the networks that have a feature, or have it not."""
    fit = []
    for name, entry in catalog.entries("models").items():
        declared = entry.constants.get("HAS")
        declared = declared.get(name, ()) if isinstance(declared, dict) else declared
        if declared is not None and (feature in declared) == has:
            fit.append(name)
    return f"take {' or '.join(fit)}" if fit else "drop it"


def _checked(kind: str, part: Part) -> Part:
    return Part(name=part.name, options=check_options(kind, part.name, part.options))


def canonical_corruptions(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Options checked and filled in, pixels before labels, one name for what is the same. Raises InputError."""
    kept: list[Part] = []
    for part in (_checked("corruptions", p) for p in parts):
        facts = catalog.find("corruptions", part.name).constants
        part = _settled(part, {"OPTIONS": {}} | facts)
        same_as = facts.get("SAME_AS", [])
        for options, other in same_as:
            if part.options == options:
                part = None if other is None else Part(name=other)  # type: ignore[assignment]
                break
        if part is not None and part.name in [p.name for p in kept]:
            raise InputError(f"corruption {part.name} is given more than once: give it once")
        if part is not None:
            kept.append(part)
    return tuple(sorted(kept, key=lambda p: catalog.find("corruptions", p.name).constants["ACTS_ON"] == "labels"))


def _changed_options(network: catalog.Entry, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a network that differ from its own, checked. Raises InputError."""
    own = {k: v for k, v in network.variant.items() if k in network.constants.get("OPTIONS", {})}
    checked = check_options("models", network.name, own | options)
    return {k: v for k, v in checked.items() if k not in own or v != own[k]}


def _canonical_regularizers(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    checked = [_checked("regularizers", p) for p in parts]
    names = [p.name for p in checked]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"regularizer {name} is given {names.count(name)} times: give it once")
    facts = {p.name: catalog.find("regularizers", p.name).constants for p in checked}
    kept = (p for p in checked if any(p.options[k] != v for k, v in facts[p.name]["NULL"].items()))
    return tuple(_settled(p, facts[p.name]) for p in kept)


def _settled(part: Part, facts: dict[str, Any]) -> Part:
    """One name for what is the same: an option that counts only where another has some value is at its default
    elsewhere, and one that was added late is left out at its default.
    """
    options = part.options
    for name, only in facts.get("ONLY", {}).items():
        if any(options[k] != v for k, v in only.items()):
            options = options | {name: facts["OPTIONS"][name]["default"]}
    late = {k: v["default"] for k, v in facts["OPTIONS"].items() if v.get("late")}
    options = {k: v for k, v in options.items() if k not in late or v != late[k]}
    return Part(name=part.name, options=options)
