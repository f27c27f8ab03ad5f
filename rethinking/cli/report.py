"""The pages that are written from the records."""

from pathlib import Path

import click

from rethinking.cli.options import FilePath, json_option, out_option, print_json, runs_option
from rethinking.paths import check_writable


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where the section is stale.")
@click.option("--readme", default="README.md", show_default=True, type=FilePath(path_type=Path), help="The file.")
@json_option
@out_option
@runs_option
def report(check: bool, readme: Path, as_json: bool, out: str, runs_dir: str) -> int:
    """Write the README's results section from the records: our numbers beside the paper's, and every verdict."""
    from rethinking import report as section
    from rethinking.record import Runs

    if not check:
        check_writable(readme.parent, "--readme")
    fresh = section.update(readme, Runs(runs_dir), Path(out), check=check)
    if as_json:
        print_json({"readme": str(readme), "up_to_date": fresh or not check, "written": not check and not fresh})
    elif check and not fresh:
        click.echo(f"{readme}: the results section is stale: run `rethinking report`", err=True)
    else:
        click.echo(f"{readme}: the results section is {'up to date' if fresh else 'written'}")
    return int(check and not fresh)
