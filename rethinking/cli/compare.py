"""Two runs, or two folders of records, against each other."""

from pathlib import Path

import click

from rethinking.cli.options import FilePath, json_option, print_json, reading, runs_option
from rethinking.streams import plain


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--out",
    type=FilePath(path_type=Path),
    help="Draw the two here as well: a file that ends with .svg, .pdf or .png.",
)
@json_option
@runs_option
def compare(first: str, second: str, out: Path | None, as_json: bool, runs_dir: str) -> None:
    """Tell how A and B differ in spec, environment, curve and verdict: two runs, or two folders of records.

    A run is named by its folder, or as in `show` by its name in --runs.

    \b
    rethinking compare runs another-labs-runs --out compare.svg
    """
    from rethinking.report import difference

    root = Path(*reading(runs_dir))
    a, b = (difference.side(str(root) if text == runs_dir else text, root) for text in (first, second))
    found = difference.compared(a, b)
    if out is not None:
        out = difference.plot(found, (first, second), out)
    if as_json:
        print_json({"a": first, "b": second, "lines": found.lines, "file": None if out is None else str(out)})
        return
    for line in found.lines:
        click.echo(plain(line))
    if out is not None:
        click.echo(f"  {plain(out)}")
