"""The records on disk: bound, verified."""

from collections.abc import Iterator
from pathlib import Path

import click

from rethinking.cli.options import (
    FilePath,
    data_option,
    device_option,
    json_option,
    need_folder,
    out_option,
    print_json,
    reading,
    runs_option,
)
from rethinking.streams import plain


@click.command()
@runs_option
def digest(runs_dir: str) -> None:
    """Bind records made before records held digests: add a line for each of their files to runs/DIGESTS.

    runs/ARCHIVE, where it is there, is bound as it is now. No other line is changed. A record that is not what its
    lines say is named, and nothing is added.
    """
    from rethinking.record import Runs

    need_folder(runs_dir, "--runs")
    added = Runs(runs_dir).digest()
    click.echo(f"{Path(runs_dir) / 'DIGESTS'}: {added} lines written" if added else "all is bound already")


@click.command()
@click.option("--deep", type=click.IntRange(0), default=0, help="Make so many records again, and compare every bit.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the choice of those records.")
@click.option(
    "--readme",
    type=FilePath(path_type=Path),
    help="The README with the scoreboard; else that beside the --out folder, where it has one.",
)
@click.option("--html", type=FilePath(path_type=Path), help="Also compare a page that `report --html` wrote.")
@device_option
@json_option
@out_option
@runs_option
@data_option
def verify(
    deep: int,
    seed: int,
    readme: Path | None,
    html: Path | None,
    device: str,
    as_json: bool,
    out: str,
    runs_dir: str,
    data_dir: str | None,
) -> int:
    """Check records against specs and digests, drawn figures against records, pictures and pages against figures.

    A finding is a line; the exit status is 1 where there is any. Records that took more than ten minutes are not made
    again by --deep; those of a probe are counted with its run's.
    """
    from rethinking import report
    from rethinking import verify as checks
    from rethinking.engines.local import resolve_device
    from rethinking.record import Runs

    runs_dir, out = reading(runs_dir, out)
    runs, device = Runs(runs_dir), resolve_device(device)
    need_folder(runs_dir, "--runs")
    need_folder(out, "--out")
    counts = {"records": len(list(runs.root.glob("*/result.json"))), "figures": len(list(Path(out).glob("*.json")))}

    def found() -> Iterator[str]:
        yield from checks.records(runs)
        sound = yield from checks.drawn(runs, Path(out))
        beside = readme or Path(out).parent / "README.md"
        there = readme or report.has_generated(beside)
        counts["pages"] = (yield from checks.pages(beside, sound)) if there else 0
        if html:
            counts["pages"] += 1
            yield from checks.page(html, sound, Path(out))
        yield from checks.deep(runs, deep, seed, device=device, data_dir=data_dir) if deep else ()

    findings = []
    for finding in found():
        findings.append(finding)
        if not as_json:
            click.echo(plain(finding))
    if as_json:
        print_json(counts | {"findings": findings})
    else:
        told = f"{counts['records']} records, {counts['figures']} drawn figures and {counts['pages']} pages"
        click.echo(f"{told}: {len(findings) or 'no'} findings")
    return int(bool(findings))
