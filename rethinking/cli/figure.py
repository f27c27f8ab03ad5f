"""Figures: training the runs that they need, drawing."""

import math
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rethinking.cli.engine import engine_of, engine_options
from rethinking.cli.figure_options import figure_options, settings
from rethinking.cli.options import (
    among,
    anew_option,
    checkpoints_option,
    data_option,
    device_option,
    json_option,
    make_again,
    out_option,
    print_json,
    quiet_option,
    reading,
    runs_option,
    say,
    say_packaged,
    weights_option,
    workers_option,
)
from rethinking.errors import InputError
from rethinking.paths import check_writable
from rethinking.streams import plain

FORMATS = ("svg", "pdf", "png")  # as of rethinking.plotting, which takes a while to import


@click.command()
@figure_options
@device_option
@workers_option
@engine_options
@click.option("--shard", help="i/n: train only every n-th of the runs, for job arrays that share one runs folder.")
@click.option("--redraw", is_flag=True, help="Train nothing; draw from the records there are.")
@anew_option
@click.option(
    "--retrain",
    multiple=True,
    metavar="PLUGIN",
    help="Make the runs again that were made with an earlier version of this plug-in; repeatable.",
)
@click.option("--minutes", type=float, help="Stop cleanly after so many minutes, and say what is left.")
@click.option(
    "--format",
    "formats",
    default="svg,pdf",
    show_default=True,
    shell_complete=among(FORMATS),
    help="Of the pictures: svg, pdf, png, separated by commas.",
)
@click.option("--dpi", type=click.IntRange(10, 2400), help="Dots per inch of png.  [default: 300]")
@quiet_option
@json_option
@out_option
@runs_option
@checkpoints_option
@weights_option
@data_option
def figure(
    figures: tuple[str, ...],
    scale: str,
    device: str,
    workers: int | None,
    engine: str,
    address: str | None,
    gpus_per_run: float | None,
    shard: str | None,
    redraw: bool,
    anew: bool,
    retrain: tuple[str, ...],
    minutes: float | None,
    formats: str,
    dpi: int | None,
    quiet: bool,
    as_json: bool,
    out: str,
    runs_dir: str,
    checkpoints: str | None,
    weights: str | None,
    data_dir: str | None,
    **asked: Any,
) -> None:
    """Reproduce FIGURES (names, or all): train the runs that are missing, draw, judge the paper's claims.

    With --redraw alone, and no FIGURES, what is drawn in the --out folder at scales cpu and paper is drawn again.

    With --data NAME, many can be drawn of another data set, as of one's own (`rethinking data add`): they then ask the
    paper's questions of it, and nothing is replicated.

    Writes figures/<name>-<scale>.svg, .pdf and .json (the plotted numbers and the verdicts). Other formats that are
    there of an earlier drawing are drawn again, too. A run is trained once,
    whichever figures need it, in the order of the figures; a second call trains nothing.

    On one GPU that is lent for a quarter of an hour, six runs at once, the most important figures first:

    \b
    rethinking figure fig2b fig1a table1 table4 fig1b --scale paper --device cuda --workers 6 --minutes 14

    When the minutes are over, all runs stop with a checkpoint, nothing is drawn, the exit status is 130, and the same
    command goes on.
    """
    started = time.monotonic()
    from rethinking import figures as fig
    from rethinking import plotting
    from rethinking.engines import checks, local
    from rethinking.record import Runs, make, outdated
    from rethinking.record.bundle import advice

    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"--minutes is {minutes:g}, allowed are numbers above 0")
    if minutes is not None and redraw:
        raise InputError("--minutes is given beside --redraw, which trains nothing: leave one out")
    if retrain and redraw:
        raise InputError("--retrain is given beside --redraw, which trains nothing: leave one out")
    pictures = plotting.pictures(formats)
    if dpi is not None and "png" not in pictures:
        raise InputError(f"--dpi is given, and {formats} has no dots: add png to --format, or leave it out")
    check_writable(out, "--out")
    drawn_in = out
    if redraw and figures:
        (runs_dir,) = reading(runs_dir, quiet=quiet)
    elif redraw:
        runs_dir, drawn_in = reading(runs_dir, out, quiet=quiet)
    runs = Runs(runs_dir, checkpoints, weights)
    maker = engine_of(engine, device, gpus_per_run, address)
    if figures or not redraw:
        chosen = settings(figures, scale, device=maker.device, **asked)
    else:
        chosen = fig.evidence(Path(drawn_in))
    if not chosen:
        raise InputError(f"{out} has no drawn figure of scale cpu or paper: name figures")
    wanted = {s.run_id: s for name, setting in chosen for s in fig.unique(fig.specs(name, setting))}
    share = list(wanted.values())
    if shard is not None:
        share = local.shard_of(share, shard)
    old = outdated.chosen(outdated.find(runs, wanted.values()), retrain, wanted.values())
    launched = [spec for spec in share if spec.command and not runs.complete(spec)]
    share = [spec for spec in share if not spec.command]
    mine = {spec.run_id for spec in outdated.needed(share)}
    again = {name: [spec for spec in specs if spec.run_id in mine] for name, specs in old.items()}
    stale = {spec.run_id for specs in old.values() for spec in specs}
    for spec in wanted.values():
        if spec.run_id not in stale:
            runs.find(spec)  # a damaged record is better known before training than after
    if launched and not redraw:
        if not share:
            raise InputError(checks.launched(launched))
        say(quiet)(f"rethinking: {checks.launched(launched)}")
    if redraw and not any(spec.command or runs.complete(spec) for spec in wanted.values()):
        where = f"{', '.join(figures)} at scale {scale}"
        raise InputError(
            f"{runs_dir} has no record for {where}: name another scale, other --runs, or train{advice(runs.root)}"
        )
    failures, left = [], False
    if not redraw:
        make_again(runs, again, quiet)
        missing = [spec for spec in share if not runs.complete(spec)]
        say_packaged(missing, runs, quiet)
        deadline = math.inf if minutes is None else started + 60 * minutes
        options: dict[str, Any] = {"workers": workers, "data_dir": data_dir, "deadline": deadline}
        options |= {"anew": anew, "quiet": quiet}
        try:
            failures = maker.run(share, runs, wait=shard is None, **options)
        finally:
            make.settle(runs, share)
        echo: Callable[[str], None] = say(quiet) if quiet or as_json else click.echo
        left = minutes is not None and _print_left(missing, runs, failures, echo)
    if not left:
        drawn = {}
        # A figure without any of its runs would be empty, and replace one that is drawn.
        shown = [each for each in chosen if redraw or _begun(fig.specs(*each), runs)]
        if shown or not failures:
            for name in dict.fromkeys(each[0] for each in chosen if each not in shown):
                say(quiet)(f"rethinking: {name} is not drawn: none of its runs is complete")
        for name, setting in shown:
            stem = fig.stem(name, setting)
            drawn[stem] = fig.draw(name, setting, runs, Path(out), pictures, dpi or plotting.DPI)
            if not quiet and not as_json:
                _print_drawn(name, drawn[stem])
        if as_json and (drawn or not failures):
            print_json([_facts(each) for each in drawn.values()])
        elif len(drawn) > 1 and not quiet:
            _print_summary(drawn)
    if failures:
        first = failures[0]
        raise InputError(f"{len(failures)} of {len(share)} runs failed; {first.spec.run_id}: {first.reason}")
    if left:
        raise click.Abort


def _begun(wanted: dict[str, list[Any]], runs: Any) -> bool:
    """Whether a figure has something to show: a complete run, or one that torchrun alone starts, or it needs none."""
    specs = [spec for group in wanted.values() for spec in group]
    return not specs or any(spec.command or runs.complete(spec) for spec in specs)


def _facts(drawn: Any) -> dict[str, Any]:
    told = {key: drawn.numbers[key] for key in ("scale", "model", "seeds", "caption", "claims", "missing")}
    return {"figure": drawn.numbers["figure"], **told, "files": [str(file) for file in drawn.files]}


def _print_summary(drawn: dict[str, Any]) -> None:
    """A line for each figure, and one for all of them, where a claim that two figures judge counts twice."""
    from rethinking.claims import counted

    click.secho(f"\n{len(drawn)} figures", bold=True)
    for name, each in drawn.items():
        missing = f", {len(each.missing)} runs missing" if each.missing else ""
        click.echo(f"  {name:<22}  {counted(v.verdict for v in each.verdicts)}{missing}")
    click.echo(
        f"  {'in all, with extensions':<22}  {counted(v.verdict for each in drawn.values() for v in each.verdicts)}"
    )


def _print_left(specs: list[Any], runs: Any, failures: list[Any], echo: Callable[[str], None]) -> bool:
    """Say where each run is. Returns whether one that has not failed is still to be finished."""
    failed = {failure.spec.run_id for failure in failures}
    states: list[str] = []
    for spec in specs:
        step, state, more = None, "complete", ""
        if not runs.complete(spec):
            try:
                step = runs.reached(spec)
                more = "" if step is None else f", step {step:,} of at most {spec.steps:,}"
            except InputError as error:
                more = f", {error}"
            state = "under way" if more else "not begun"
        if runs.busy(spec):
            state = "elsewhere"
        if spec.run_id in failed:
            state = "failed"
        states.append(state)
        echo(f"  {state:<9}  {spec.run_id}{more}")
    counts = Counter(states)
    order = ("complete", "under way", "not begun", "elsewhere", "failed")
    told = ", ".join(f"{counts[state]} {state}" for state in order if counts[state] or state in order[:3])
    echo(f"{len(specs)} runs were missing: {told}")
    return any(state not in ("complete", "failed") for state in states)


def _print_drawn(name: str, drawn: Any) -> None:
    from rethinking.claims import counted, told

    numbers = drawn.numbers
    click.secho(f"\n{name}: {numbers['caption']}", bold=True)
    for row in numbers.get("table", []):
        head, *cells = row.items()
        click.echo(f"  {plain(head[1]):<16}  " + "   ".join(plain(f"{k}: {told(v)}") for k, v in cells))
    for verdict in drawn.verdicts:
        click.secho(f"  {verdict.verdict.upper()}", bold=True, nl=False)
        click.echo(f": {plain(verdict.statement)}")
        paper = f": {plain(verdict.paper)}. Ours: " if verdict.paper else ": "
        click.echo(f"      {plain(verdict.source)}{paper}{plain(verdict.ours or verdict.reason)}.")
        size = ", ".join(f"{n:,}" for n in verdict.n)
        click.echo(f"      Rule: {plain(verdict.tolerance)}. n = {size}, seeds: {verdict.seeds}.")
    click.echo(f"  {counted(v.verdict for v in drawn.verdicts)}")
    if drawn.missing:
        count = "1 run is" if len(drawn.missing) == 1 else f"{len(drawn.missing)} runs are"
        click.echo(f"  {count} missing and shown as not run")
    click.echo("  " + "  ".join(str(f) for f in drawn.files))
