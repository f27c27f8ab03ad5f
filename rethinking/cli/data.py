"""Data sets: fetched, checked, found."""

from typing import Any

import click

from rethinking import catalog
from rethinking.cli.options import (
    FilePath,
    among,
    completed,
    confirmed,
    data_option,
    json_option,
    print_json,
    quiet_option,
    say,
)


@click.group(invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """Get, add, verify and find data sets."""
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
@click.argument("name")
@click.argument("path", type=FilePath())
@click.option("--labels", type=FilePath(), help="The labels of a single .npy of images.")
@click.option("--test", type=FilePath(), help="The test set, where it is not beside the training set.")
@click.option("--test-labels", type=FilePath(), help="The labels of a single .npy of test images.")
@click.option("--hold-out", type=float, metavar="SHARE", help="Hold a share of the images out as the test set, as 0.2.")
@click.option("--channels", metavar="first|last", shell_complete=among(("first", "last")), help="Of arrays.")
@click.option("--size", type=int, metavar="PIXELS", help="Scale the shorter side to so many, cut the centre square.")
@quiet_option
@json_option
@data_option
def add(name: str, path: str, quiet: bool, as_json: bool, data_dir: str | None, **options: Any) -> None:
    """Add your own data set as NAME from PATH: measured, copied into the data folder, verified ever after.

    PATH is a folder with one folder of images a class (or train and test folders of these), an .npz, a .npy with
    --labels, a folder of .npy files, or a folder in the layout of CIFAR-10 or MNIST. NAME is then a data set like any
    other.

    \b
    rethinking data add pets photos/pets --hold-out 0.2 --size 32
    rethinking figure fig1a --data pets
    """
    from rethinking import data as sets

    folder = sets.add(name, path, data_dir, say=say(quiet), **options)
    if as_json:
        print_json({"name": name, "folder": str(folder), **sets.entry(name, data_dir).constants})
    elif not quiet:
        click.echo(f"{name}: {sets.entry(name, data_dir).summary}\n  {folder}")


@data.command()
@click.argument("name", shell_complete=among(lambda: [n for n, entry in catalog.entries("data").items() if entry.own]))
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
def remove(name: str, yes: bool, data_dir: str | None) -> None:
    """Remove the data set NAME that `data add` has added. Records of its runs stay."""
    from rethinking import data as sets

    folder = sets.remove(name, data_dir, lambda folder: yes or confirmed(f"remove {name} from {folder}?"))
    click.echo(f"{name}: removed from {folder}" if folder else f"{name}: kept")


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
