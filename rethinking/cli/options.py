"""Options that several commands share, and what they need before work."""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.paths import data_in, expand


def completed(kind: str):
    """Shell completion for the names of a kind."""
    return among(lambda: catalog.names(kind))


def among(words: Iterable[str] | Callable[[], Iterable[str]]):
    """Shell completion for words, or for those that a function gives when somebody completes one."""
    return lambda context, parameter, incomplete: [
        word for word in (words() if callable(words) else words) if word.startswith(incomplete)
    ]


def named(context: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    """Refuse empty text, as of a variable that is not set."""
    if given == "":
        raise InputError(f"{parameter.opts[0]} is empty text: give a name, or leave it out")
    return given


def data_folder(context: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    """The folder named for data sets is where own ones are found by name, too, as long as the command runs."""
    context.with_resource(data_in(given))
    return given


def confirmed(question: str) -> bool:
    """Whether somebody answers yes; raises InputError where nobody can, as standard input is at its end."""
    try:
        return click.confirm(question)
    except click.Abort as error:
        if isinstance(error.__context__, EOFError):  # else it is Ctrl-C
            click.echo()
            raise InputError(f"{question!r} got no answer, as standard input is at its end: give --yes") from None
        raise


class FilePath(click.Path):
    """A path, with ~ for the home folder also where the shell leaves it, as in --runs=~/runs; standard input is -.

    What looks like an option is refused, as one that stands where a path is due, and so is empty text.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        name = param.opts[0] if param else "a path"
        if str(value).startswith("--"):
            raise InputError(
                f"{name} is given {value!r}, an option: name a file or folder (./{value} for one so named)"
            )
        if value == "":
            raise InputError(f"{name} is empty text: name a file or folder")
        return super().convert(str(expand(value)), param, ctx)


runs_option = click.option(
    "--runs", "runs_dir", default="runs", show_default=True, help="Folder of the records.", type=FilePath()
)
out_option = click.option(
    "--out",
    default="figures",
    show_default=True,
    type=FilePath(),
    help="Folder of the drawn files.",
)
data_option = click.option(
    "--data-dir",
    type=FilePath(),
    callback=data_folder,
    help="Folder of the data sets; else $RETHINKING_DATA, else the user's cache.",
)
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda (all GPUs) or one GPU, as cuda:0."
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(1),
    help="Worker processes; default one per core (one thread each) as memory holds them, or per GPU, which several can "
    "share.",
)


checkpoints_option = click.option(
    "--checkpoints", type=FilePath(), help="Folder of the checkpoints; default beside the records."
)


weights_option = click.option(
    "--weights",
    type=FilePath(),
    help="Folder of the trained weights; default beside the records.",
)


def reading(*folders: str, quiet: bool = False) -> list[str]:
    """Folders to read from, the package's own where the first, a default, is not here; that is said."""
    from rethinking.record.bundle import committed

    places = [str(place) for place in committed(*folders)]
    if places != list(folders):
        say(quiet)(
            f"rethinking: there is no folder {folders[0]} here: reading {places[0]}, which came with the package"
        )
    return places


def need_folder(folder: str | Path, option: str) -> None:
    """Raise InputError where a folder to read from is not there. option: of the command line, which names another."""
    if not Path(folder).is_dir():
        raise InputError(f"{folder} is no folder: name it with {option}")


def say_packaged(missing: list[Any], runs: Any, quiet: bool = False) -> None:
    """Say of runs that are to be trained which ones came with the package."""
    from rethinking.record import Runs
    from rethinking.record.bundle import unpacked

    place = unpacked() if missing else None
    if place is not None and place / "runs" != runs.root:
        count = sum(Runs(place / "runs").complete(spec) for spec in missing)
        where = f"`figure --redraw --runs {place / 'runs'}` draws from them"
        say(quiet or not count)(f"rethinking: {count} of the runs to train came with the package: {where}")


anew_option = click.option(
    "--anew",
    is_flag=True,
    help="Begin a run anew if its checkpoint is missing, damaged, stale or another run's; such a one is deleted.",
)


quiet_option = click.option("--quiet", "-q", is_flag=True, help="Say nothing but what goes wrong.")

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON; null for what is not finite.")


def print_json(value: Any) -> None:
    """Print facts as strict JSON; a number that is not finite is null."""
    click.echo(json.dumps(_finite(value), indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value


def check_before(specs: list[Any], runs: Any, device: str, workers: int | None, here: bool = True) -> None:
    """Refuse what could only fail later for want of a folder or of room; say what may. Raises InputError.

    here: whether the runs are made on this machine, which then has their checkpoints, too.
    """
    from rethinking.engines import checks, local

    if specs:
        count = min(workers or local.default_workers(device), len(specs)) if here else 0
        for line in checks.before_training(specs, runs, device=device, workers=workers, count=count):
            click.echo(f"rethinking: {line}", err=True)


def make_again(runs: Any, found: dict[str, list[Any]], quiet: bool) -> None:
    """Have the runs that changed plug-ins have made out of date made again, and say so: they are missing now."""
    from rethinking.record import make

    make.begin_again(runs, found)
    for name, specs in found.items():
        if specs:
            count = "1 run" if len(specs) == 1 else f"{len(specs)} runs"
            told = f"{count} made with another version of {name}, made again now"
            say(quiet)(f"rethinking: {told}; what is there stays until then")


def say(quiet: bool) -> Callable[[str], None]:
    """Prints a line of progress, unless quiet."""
    return lambda line: None if quiet else click.echo(line, err=True)


def need_data(specs: list[Any], runs: Any, data_dir: str | None, quiet: bool = False) -> None:
    """Fetch the data sets of missing runs that are not on disk."""
    fetch_missing([spec.data for spec in specs if not runs.complete(spec)], data_dir, quiet)


def fetch_missing(names: list[str], data_dir: str | None, quiet: bool = False) -> None:
    """Fetch the data sets that are not on disk."""
    from rethinking import data as sets

    for name in dict.fromkeys(names):
        if not sets.there(name, data_dir):
            sets.fetch(name, data_dir, say=say(quiet))
