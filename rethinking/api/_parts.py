"""Corruptions and regularizers as a notebook names them: text, a list, a dict, or parts of a spec."""

from collections.abc import Iterable, Mapping, Set
from typing import Any

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.spec import Part, check_options


def parts_of(kind: str, given: Any) -> tuple[Part, ...]:
    """What was given by name. Raises InputError for what is no name, or has no order."""
    called = "corruption" if kind == "corruptions" else kind
    wrapper = getattr(given, "corruption", None)
    if given is None:
        return ()
    if isinstance(given, Mapping):
        return tuple(_part(kind, name, value) for name, value in given.items())
    if isinstance(wrapper, str):
        raise InputError(f"{called} is a wrapper of data sets: give its name, {wrapper!r}")
    if isinstance(given, str | Part) or not isinstance(given, Iterable):
        given = [given]
    parts: list[Part] = []
    for each in given:
        if isinstance(each, Mapping):
            parts += parts_of(kind, each)
        elif isinstance(each, str | Part) and not isinstance(given, Set):
            parts.append(each if isinstance(each, Part) else Part.parse(kind, each))
        else:
            what = (
                f"is a {type(given).__name__}, whose order is left to chance"
                if isinstance(given, Set)
                else f"has {each!r}"
            )
            raise InputError(
                f"{called} {what}: give text as on the command line, 'NAME=VALUE', a list, or {{NAME: VALUE}}"
            )
    return tuple(parts)


def _part(kind: str, name: Any, value: Any) -> Part:
    """An item of {NAME: VALUE of its first option} or {NAME: {OPTION: VALUE}}; True where it has no options."""
    declared = catalog.find(kind, name if isinstance(name, str) else repr(name)).constants.get("OPTIONS", {})
    if isinstance(value, Mapping):
        options = dict(value)
    elif declared:
        options = {next(iter(declared)): value}
    elif value is True:
        options = {}
    else:
        raise InputError(f"{name} is given the value {value!r} and takes none: write {name!r}, or leave it out")
    return Part(name=name, options=check_options(kind, name, options))
