"""Data sets: fetched, checked, found."""

import click

from rethinking import catalog
from rethinking.cli.options import FilePath, completed, data_option, json_option, print_json, quiet_option, say


@click.group(invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """Get, verify and find data sets."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@data.command()
@click.argument("names", nargs=-1, required=True, shell_complete=completed("data"))
@click.option("--from", "source", type=FilePath(), help="A folder that holds the official files or the fallback's.")
@quiet_option
@data_option
def fetch(names: tuple[str, ...], source: str | None, quiet: bool, data_dir: str | None) -> None:
    """Get data sets: a copy on disk, the official download, then the fallback; verified by SHA-256."""
    from rethinking import data as sets

    for name in names:
        catalog.find("data", name)
    for name in names:
        sets.fetch(name, data_dir, source=source, say=say(quiet))


@data.command()
@click.argument("names", nargs=-1, required=True, shell_complete=completed("data"))
@json_option
@data_option
def check(names: tuple[str, ...], as_json: bool, data_dir: str | None) -> None:
    """Verify the copies on disk by SHA-256."""
    from rethinking import data as sets

    found = {}
    for name in names:
        found[name] = str(sets.check(name, data_dir))
        if not as_json:
            click.echo(f"{name}: right, in {found[name]}")
    if as_json:
        print_json({name: {"folder": folder, "right": True} for name, folder in found.items()})


@data.command()
@click.argument("name", shell_complete=completed("data"))
@json_option
@data_option
def where(name: str, as_json: bool, data_dir: str | None) -> None:
    """Print the folder of a data set, which may not exist yet."""
    from rethinking import data as sets

    folder = sets.where(name, data_dir)
    if as_json:
        print_json({"name": name, "folder": str(folder), "exists": folder.is_dir()})
    else:
        click.echo(folder)
