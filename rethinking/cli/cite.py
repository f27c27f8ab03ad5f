"""Citations, and what a picture was made from."""

from pathlib import Path

import click

from rethinking import catalog
from rethinking.cli.options import among, out_option
from rethinking.errors import InputError

FORMATS = ("text", "bibtex", "ris", "csl")  # of rethinking.report.cite, which takes a while to import


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in catalog.names("figures") if name.startswith(incomplete)]


@click.command()
@click.argument("what", required=False, metavar="[FIGURE|CLAIM]", shell_complete=_complete)
@click.option(
    "--format", "form", default="text", show_default=True, shell_complete=among(FORMATS), help=f"{', '.join(FORMATS)}."
)
@out_option
def cite(what: str | None, form: str, out: str) -> None:
    """Cite this software with its version and commit, the paper, and the source of every method in a figure.

    A claim is named by its id, as on the pages of results and in figures/*.json; its verdict is cited with it.

    \b
    rethinking cite                                  the software and the paper
    rethinking cite regularizers --format bibtex     and every method in the figure
    rethinking cite fig1b.factor.alexnet
    """
    if form not in FORMATS:
        raise InputError(f"format is {form!r}, allowed are {', '.join(FORMATS)}")
    from rethinking.report import cite as citations

    click.echo(citations.FORMATS[form](citations.citation(what, Path(out))))
