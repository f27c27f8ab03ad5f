"""What can be named."""

from typing import Any

import click

from rethinking import catalog
from rethinking.errors import InputError


@click.command("list")
@click.argument("kind", required=False, shell_complete=lambda *_: list(catalog.KINDS))
@click.argument("name", required=False)
def list_(kind: str | None, name: str | None) -> None:
    """List what can be named: data, corruptions, models, regularizers, figures (or one KIND of them).

    With a NAME, say what it is, whole, and its options with their defaults.
    """
    if kind is not None and kind not in catalog.KINDS:
        raise InputError(f"unknown kind {kind!r}: allowed are {', '.join(catalog.KINDS)}")
    if kind and name:
        _describe(catalog.find(kind, name))
        return
    for each in [kind] if kind else catalog.KINDS:
        click.secho(each, bold=True)
        for name, entry in catalog.entries(each).items():
            options = entry.constants.get("OPTIONS", {})
            described = ", ".join(f"{k} {_limits(v)}" for k, v in options.items())
            click.echo(f"  {name:<20}  {entry.summary}" + (f" [{described}]" if described else ""))


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
