"""What the public functions are given: a value of another kind than they take is told in one line, before anything."""

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any, TypeVar

from rethinking.errors import InputError, shown
from rethinking.paths import path_of

Kind = Callable[[str, Any], Any]  # of a parameter's name and its value; raises InputError
Function = TypeVar("Function", bound=Callable[..., Any])
MOST = 2**31  # of a whole number that is a size


def path(name: str, value: Any) -> None:
    """A path, as `paths.path_of` takes it."""
    path_of(value, name)


def text(name: str, value: Any) -> None:
    """Text."""
    if not isinstance(value, str):
        raise InputError(f"{name} is {shown(value)}: give text")


def switch(name: str, value: Any) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{name} is {shown(value)}: give True or False")


def whole_number(name: str, value: Any, least: int = 0, most: int | None = None) -> int:
    """The whole number that is given, at least `least`, at most `most`. Raises InputError for anything else."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    above = most is not None and number > most
    if number < least or isinstance(value, bool) or above:
        raise InputError(
            f"{name} is {shown(value)}: give a whole number, " + (f"at most {most:,}" if above else f"{least} or more")
        )
    return number


def size(name: str, value: Any) -> None:
    """A whole number above 0, which is no size beyond all memory."""
    whole_number(name, value, 1, MOST)


def function(name: str, value: Any) -> None:
    """What can be called."""
    if not callable(value):
        raise InputError(f"{name} is {shown(value)}: give a function")


def one_of(*types: type) -> Kind:
    """A value of one of the types."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, types):
            allowed = " or ".join(each.__name__ for each in types)
            raise InputError(f"{name} is {shown(value)}: give a {allowed}")

    return check


def taking(**kinds: Kind) -> Callable[[Function], Function]:
    """Have a function check those of its arguments, by name, when it is called; what is its default passes."""

    def wrap(function: Function) -> Function:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs).arguments
            for name, check in kinds.items():
                if name in given and given[name] is not signature.parameters[name].default:
                    check(name, given[name])
            return function(*args, **kwargs)

        return checked  # type: ignore[return-value]

    return wrap
