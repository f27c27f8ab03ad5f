"""A corruption or a regularizer by name, with its options: what there is to give, and what goes together."""

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from rethinking import arguments, catalog
from rethinking.constants import TYPES
from rethinking.errors import InputError
from rethinking.files import reason

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class Door(ModelMetaclass):
    """Has classes whose objects users make raise InputError, in one line, where pydantic has several."""

    def __call__(cls, *args: Any, **fields: Any) -> Any:
        try:
            return super().__call__(*args, **fields)
        except ValidationError as error:
            raise InputError(one_line(error, cls)) from None  # type: ignore[arg-type]
        except UnicodeEncodeError as error:
            raise InputError(f"a field has {reason(error)}: give text that can be written") from None


class Part(BaseModel, metaclass=Door):
    """A corruption or a regularizer by name, with its options: Part(name="partial_labels", options={"p": 0.3})."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    options: dict[str, float | int | bool | str] = {}

    @classmethod
    def parse(cls, kind: str, text: str) -> "Part":
        """From the command line's NAME[=VALUE][,KEY=VALUE]...; VALUE sets the first declared option.

        Args:
            kind: "corruptions", "regularizers" or "probes". text: as partial_labels=0.3.

        Raises:
            InputError: an unknown name; what is no KEY=VALUE; an option given twice.
        """
        for name, value in (("kind", kind), ("text", text)):
            arguments.text(name, value)
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

    @property
    def word(self) -> str:
        """Of a run's name: the part's name, and the values of its options."""
        values = "-".join(f"{v:g}" if isinstance(v, float) else str(v) for v in self.options.values())
        return self.name + (f"-{values}" if values else "")


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
    model = _options_model(kind, name)
    try:
        return model(**options).model_dump()
    except ValidationError as error:
        raise InputError(one_line(error, model, f"{name}.")) from None


def one_line(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """What is first wrong with the fields of a model, what is allowed and what to do; prefix: before a field's name."""
    problem = error.errors()[0]
    where = prefix + ".".join(str(p) for p in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = (model if len(problem["loc"]) == 1 else Part).model_fields  # parts are what nests
        return f"unknown field {where!r}" + (f": known are {', '.join(known)}" if known else ": remove it")
    if problem["type"] == "missing":
        return f"{where} is missing: give a value"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] == "json_invalid":
        return f"not valid JSON ({problem['msg']}): is the file complete?"
    if problem["type"] == "bool_type":
        return f"{where} is {problem['input']!r}: give true or false"
    return f"{where or 'the spec'} is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def check_signs(corruptions: tuple[Part, ...], test_labels: str) -> None:
    constants = {c.name: catalog.find("corruptions", c.name).constants for c in corruptions}
    of_labels = [name for name, each in constants.items() if each["ACTS_ON"] == "labels"]
    for name in (n for n in of_labels if constants[n].get("ONE_LOGIT")):
        if len(of_labels) > 1:
            other = next(n for n in of_labels if n != name)
            raise ValueError(f"{name} leaves nothing of the labels for {other}: drop one")
        if test_labels != "true":
            raise ValueError(f"test_labels is {test_labels!r}: {name} draws those of the test set anyway: leave it out")


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
        part = _settled("corruptions", part)
        same_as = catalog.find("corruptions", part.name).constants.get("SAME_AS", [])
        for options, other in same_as:
            if part.options == options:
                part = None if other is None else Part(name=other)  # type: ignore[assignment]
                break
        if part is not None and part.name in [p.name for p in kept]:
            raise InputError(f"corruption {part.name} is given more than once: give it once")
        if part is not None:
            kept.append(part)
    return tuple(sorted(kept, key=lambda p: catalog.find("corruptions", p.name).constants["ACTS_ON"] == "labels"))


def changed_options(network: catalog.Entry, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a network that differ from its own, checked. Raises InputError."""
    if not options and "OPTIONS" not in network.constants:
        return {}
    own = {k: v for k, v in network.variant.items() if k in network.constants.get("OPTIONS", {})}
    checked = check_options("models", network.name, own | options)
    usual = network.late | own
    return {k: v for k, v in checked.items() if k not in usual or v != usual[k]}


def canonical_regularizers(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    checked = [_checked("regularizers", p) for p in parts]
    names = [p.name for p in checked]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"regularizer {name} is given {names.count(name)} times: give it once")
    return tuple(_settled("regularizers", p) for p in checked if not is_null(p))


def is_null(part: Part) -> bool:
    """Whether a regularizer does nothing. Raises InputError for options that it has not."""
    null = catalog.find("regularizers", part.name).constants["NULL"]
    options = check_options("regularizers", part.name, part.options)
    return all(options[name] == value for name, value in null.items())


def _settled(kind: str, part: Part) -> Part:
    """One name for what is the same: an option that counts only where another has some value is at its default
    elsewhere, and one that was added late is left out at its default.
    """
    entry, options = catalog.find(kind, part.name), part.options
    for name, only in entry.constants.get("ONLY", {}).items():
        if any(options[k] != v for k, v in only.items()):
            options = options | {name: entry.constants["OPTIONS"][name]["default"]}
    options = {k: v for k, v in options.items() if k not in entry.late or v != entry.late[k]}
    return Part(name=part.name, options=options)
