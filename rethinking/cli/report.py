"""The pages that are written from the records."""

from pathlib import Path

import click

from rethinking.cli.options import FilePath, out_option, runs_option


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where the section is stale.")
@click.option("--readme", default="README.md", show_default=True, type=FilePath(path_type=Path), help="The file.")
@out_option
@runs_option
def report(check: bool, readme: Path, out: str, runs_dir: str) -> int:
    """Write the README's results section from the records: our numbers beside the paper's, and every verdict."""
    from rethinking import report as section
    from rethinking.record import Runs

    fresh = section.update(readme, Runs(runs_dir), Path(out), check=check)
    if check and not fresh:
        click.echo(f"{readme}: the results section is stale: run `rethinking report`", err=True)
    else:
        click.echo(f"{readme}: the results section is {'up to date' if fresh else 'written'}")
    return int(check and not fresh)
