"""The results as slides."""

from pathlib import Path

import click

from rethinking.cli.options import FilePath, among, json_option, need_folder, print_json, reading, runs_option
from rethinking.paths import check_writable
from rethinking.streams import plain

FORMATS = ("pdf", "png")


@click.command()
@click.option(
    "--out",
    default="slides",
    show_default=True,
    type=FilePath(path_type=Path),
    help="Folder of the slides.",
)
@click.option(
    "--format",
    "formats",
    default="pdf",
    show_default=True,
    shell_complete=among(FORMATS),
    help="pdf (one file), png (a file a slide), or both, separated by commas.",
)
@click.option(
    "--figures",
    "drawn",
    default="figures",
    show_default=True,
    type=FilePath(),
    help="Folder of the drawn figures.",
)
@json_option
@runs_option
def slides(out: Path, formats: str, drawn: str, as_json: bool, runs_dir: str) -> None:
    """Draw 16:9 slides for a talk from the records: a figure and its finding each, the scoreboard last."""
    from rethinking.plotting import pictures
    from rethinking.record import Runs
    from rethinking.report.slides import save

    asked = pictures(formats, FORMATS)
    check_writable(out, "--out")
    runs_dir, drawn = reading(runs_dir, drawn)
    need_folder(runs_dir, "--runs")
    files = save(out, asked, Runs(runs_dir), Path(drawn))
    if as_json:
        print_json({"files": [str(file) for file in files]})
        return
    for file in files:
        click.echo(plain(file))
