"""What can be named."""

import difflib
from typing import Any

import click

from rethinking import catalog
from rethinking.cli.options import among, json_option, print_json
from rethinking.errors import InputError

ALSO = {"networks": "models", "datasets": "data"}  # other words for a kind


def _names_of_kind(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    kind = context.params.get("kind") or ""
    kind = ALSO.get(kind, kind)
    return [n for n in catalog.names(kind) if n.startswith(incomplete)] if kind in catalog.KINDS else []


@click.command("list")
@click.argument("kind", required=False, shell_complete=among((*catalog.KINDS, *ALSO)))
@click.argument("name", required=False, shell_complete=_names_of_kind)
@json_option
def list_(kind: str | None, name: str | None, as_json: bool) -> None:
    """List what can be named: data, corruptions, models, regularizers, probes, figures (or one KIND of them).

    With a NAME, say what it is, whole, and its options with their defaults. Models are also called networks, and data
    datasets.
    """
    kind = ALSO.get(kind or "", kind)
    if kind is not None and kind not in catalog.KINDS:
        words = (*catalog.KINDS, *ALSO)
        near = difflib.get_close_matches(kind, words, n=1)
        of = [f"{each} {kind}" for each in catalog.KINDS if kind in catalog.names(each)]
        hint = f"did you mean `list {(near or of)[0]}`? " if near or of else ""
        raise InputError(f"unknown kind {kind!r}: {hint}allowed are {', '.join(words)}")
    kinds = [kind] if kind else catalog.KINDS
    found = {k: [catalog.find(k, name)] if name else list(catalog.entries(k).values()) for k in kinds}
    if as_json:
        print_json({k: {entry.name: _facts(entry) for entry in entries} for k, entries in found.items()})
    elif kind and name:
        _describe(found[kind][0])
    else:
        for each, entries in found.items():
            click.secho(each, bold=True)
            for entry in entries:
                options = entry.constants.get("OPTIONS", {})
                described = ", ".join(f"{k} {_limits(v)}" for k, v in options.items())
                click.echo(f"  {entry.name:<20}  {entry.summary}" + (f" [{described}]" if described else ""))


def _facts(entry: catalog.Entry) -> dict[str, Any]:
    options = {k: dict(v) for k, v in entry.constants.get("OPTIONS", {}).items()}
    for key, value in entry.variant.items():
        if key in options:
            options[key]["default"] = value
    own = {} if entry.digest is None else {"file": str(entry.path)}
    return {"summary": entry.summary, "options": options, **own}


def _describe(entry: catalog.Entry) -> None:
    click.echo(entry.text)
    if entry.digest:
        click.echo(f"  {entry.path}")
    null, practice = (entry.constants.get(word, {}) for word in ("NULL", "PRACTICE"))
    for key, option in entry.constants.get("OPTIONS", {}).items():
        told = {
            "default": entry.variant.get(key, option.get("default")),
            "null": null.get(key),
            "practice": practice.get(key),
        }
        values = "".join(f"; {word} {value}" for word, value in told.items() if value is not None)
        about = f": {option['description']}" if "description" in option else ""
        click.echo(f"  {key} {_limits(option)}{about}{values}")


def _limits(option: dict[str, Any]) -> str:
    if "choices" in option:
        return "|".join(map(str, option["choices"]))
    low = option.get("ge", option.get("gt"))
    high = option.get("le", option.get("lt"))
    if low is None and high is None:
        return option["type"]
    left, right = "[" if "ge" in option else "(", "]" if "le" in option else ")"
    return f"in {left}{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}{right}"
