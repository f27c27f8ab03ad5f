"""The results for other programs."""

from pathlib import Path

import click

from rethinking.cli.options import FilePath, among, need_folder, out_option, reading, runs_option
from rethinking.errors import InputError
from rethinking.paths import check_writable
from rethinking.streams import plain

FORMATS = ("crate", "csv", "latex", "tensorboard")


@click.command()
@click.argument("form", metavar="crate|csv|latex|tensorboard", shell_complete=among(FORMATS))
@click.option("--to", required=True, type=FilePath(path_type=Path), help="The folder, which must be empty or missing.")
@out_option
@runs_option
def export(form: str, to: Path, out: str, runs_dir: str) -> None:
    """Write the drawn figures of scales cpu and paper, and their records, in a form that other programs read.

    \b
    crate          RO-Crate (Process Run Crate): figures, records, and which were made from which
    csv            runs, curves, table cells and claims, a row each, with a data dictionary
    latex          Tables 1, 3 and 4 with booktabs, the paper's numbers beside ours
    tensorboard    the curves of all records as events; needs the package tensorboard
    """
    if form not in FORMATS:
        raise InputError(f"the form is {form!r}, allowed are {', '.join(FORMATS)}")
    from rethinking.record import Runs
    from rethinking.report import export as exports
    from rethinking.report import model

    runs_dir, out = reading(runs_dir, out)
    runs = Runs(runs_dir)
    need_folder(runs_dir, "--runs")
    need_folder(out, "--out")
    check_writable(to, "--to")
    exports.check_empty(to)
    if form == "tensorboard":
        click.echo(f"{exports.tensorboard(runs, to)} runs written to {plain(to)}")
        return
    found = model.results(runs, Path(out))
    if form == "crate":
        files = exports.crate(found, runs, Path(out))
    else:
        files = dict(exports.tidy(found, runs) if form == "csv" else exports.tables(found))
    click.echo(f"{len(exports.written(files, to))} files written to {plain(to)}")
