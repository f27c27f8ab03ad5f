"""The pages that are written from the records."""

from pathlib import Path

import click

from rethinking.cli.options import FilePath, json_option, need_folder, out_option, print_json, reading, runs_option
from rethinking.errors import InputError
from rethinking.paths import check_writable


@click.command()
@click.option(
    "--check", is_flag=True, help="Write nothing; exit 1 where a page, that of --html where it is given, is stale."
)
@click.option("--readme", default="README.md", show_default=True, type=FilePath(path_type=Path), help="The file.")
@click.option("--html", type=FilePath(path_type=Path), help="Write one self-contained HTML page to this file instead.")
@json_option
@out_option
@runs_option
def report(check: bool, readme: Path, html: Path | None, as_json: bool, out: str, runs_dir: str) -> int:
    """Write the README's scoreboard and the pages of docs/results from the records, every number and verdict anew."""
    from rethinking import report as results
    from rethinking.record import Runs

    if html:
        from rethinking.report.html import is_stale, of_records, save

        if check:
            runs_dir, out = _folders(runs_dir, out)
            wrong = is_stale(html, of_records(Runs(runs_dir), Path(out)))
            if as_json:
                print_json({"html": str(html), "up_to_date": not wrong})
            else:
                click.echo(f"{html}: {'stale: run `rethinking report --html`' if wrong else 'up to date'}", err=wrong)
            return int(wrong)
        if not html.parent.is_dir():
            raise InputError(f"--html {html} is in {html.parent}, which is no folder: make it, or name another file")
        check_writable(html.parent, "--html")
        runs_dir, out = _folders(runs_dir, out)
        size = save(html, Runs(runs_dir), Path(out))
        if as_json:
            print_json({"html": str(html), "bytes": size})
        else:
            click.echo(f"{html}: written, {size:,} bytes")
        return 0
    need_folder(runs_dir, "--runs")
    need_folder(out, "--out")
    if not check:
        check_writable(readme.parent, "--readme")
    stale = results.update(readme, Runs(runs_dir), Path(out), check=check)
    if as_json:
        left = [str(path) for path, known in stale.items() if not known]
        up_to_date, written = not (stale if check else left), not check and any(stale.values())
        print_json({"readme": str(readme), "up_to_date": up_to_date, "written": written, "of_no_figure": left})
        return int(check and bool(stale))
    for path, known in stale.items():
        told = ("stale: run `rethinking report`" if check else "written") if known else "of no drawn figure: delete it"
        click.echo(f"{path}: {told}", err=check or not known)
    if not stale:
        click.echo("the scoreboard and the pages of results are up to date")
    return int(check and bool(stale))


def _folders(runs: str, out: str) -> list[str]:
    """Of the records and of the drawn figures, as `reading` has them. Raises InputError where one is not there."""
    places = reading(runs, out)
    for place, option in zip(places, ("--runs", "--out"), strict=True):
        need_folder(place, option)
    return places
