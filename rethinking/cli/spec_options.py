"""The options of `run` that come from the fields of RunSpec: a field's name, type, default and description."""

from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click

from rethinking.cli.options import among, completed

SHORT = {"learning_rate": "lr", "corruptions": "corruption", "regularizers": "regularize"}  # options with other names
BESIDE = {"model_options": "model"}  # a field that is part of another's option
KINDS = {"data": "data", "model": "models", "corruptions": "corruptions", "regularizers": "regularizers"}
MORE = {"precision": (("auto",), "auto is what is fastest on the device.")}  # what the command line alone understands


class SpecCommand(click.Command):
    """A command with an option for each field of RunSpec, which is imported when the command is used."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The fields' options, and then its own."""
        return [*options(), *super().get_params(ctx)]


def name_of(field: str) -> str:
    """The option of a field, as it is given: --lr of learning_rate."""
    field = BESIDE.get(field, field)
    return "--" + SHORT.get(field, field).replace("_", "-")


@cache
def options() -> tuple[click.Option, ...]:
    """One option a field, in the order of the fields; None, False or () where it is not given."""
    from rethinking.spec import RunSpec

    fields = RunSpec.model_fields.items()
    return tuple(_option(name, field) for name, field in fields if name not in BESIDE)


def _option(name: str, field: Any) -> click.Option:
    kind, choices, many = _type(field.annotation)
    settings: dict[str, Any] = {"multiple": True} if many else {"is_flag": True} if kind is bool else {"type": kind}
    choices, more = (choices + MORE[name][0], MORE[name][1:]) if name in MORE else (choices, ())
    words = [field.description, *more]
    if many:
        words.append("Repeatable.")
    if field.default is not None and field.default is not False and field.default != ():
        words.append(f" [default: {field.default}]")
    if name in KINDS:
        settings["shell_complete"] = completed(KINDS[name])
        if name != "data":
            settings["metavar"] = "NAME[=VALUE][,KEY=VALUE]" if many else "NAME[,KEY=VALUE]"
    elif choices:
        settings["metavar"] = "|".join(choices)
        settings["shell_complete"] = among(choices)
    return click.Option([name_of(name), name], help=" ".join(words), **settings)


def _type(annotation: Any) -> tuple[type, tuple[str, ...], bool]:
    """Of a field: the type of one value, its choices, and whether there can be many."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return _type(next(each for each in inner if each is not type(None)))
    if origin is Annotated:
        return _type(inner[0])
    if origin is Literal:
        return str, inner, False
    if origin is tuple:
        kind, choices, _ = _type(inner[0])
        return kind, choices, True
    return (annotation if annotation in (int, float, bool) else str), (), False


def spec_of(given: dict[str, Any], device: str) -> Any:
    """The RunSpec of the options given, by field. Raises InputError."""
    from rethinking.engines import local
    from rethinking.spec import Part, RunSpec, check_several

    given = dict(given)
    for kind in ("corruptions", "regularizers"):
        given[kind] = tuple(Part.parse(kind, text) for text in given.get(kind, ()))
    if "model" in given:
        network = Part.parse("models", given["model"])
        given |= {"model": network.name, "model_options": network.options}
    given["precision"] = local.resolve_precision(given.get("precision", "float32"), device)
    spec = RunSpec.make(**given)
    check_several(spec)
    return spec
