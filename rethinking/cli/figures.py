"""Figures: which runs they need, training those, drawing."""

import math
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click

from rethinking import catalog
from rethinking.cli.options import (
    among,
    anew_option,
    checkpoints_option,
    completed,
    data_option,
    device_option,
    need_data,
    out_option,
    runs_option,
    workers_option,
)
from rethinking.errors import InputError

SCALES = ("quick", "cpu", "paper")  # as of rethinking.figures, which takes a while to import


def _figures(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in ("all", *catalog.names("figures")) if name.startswith(incomplete)]


def figure_options(command):
    """The options that say what a figure is drawn for."""
    for option in (
        click.option("--model", shell_complete=completed("models"), help="Another network than the figure's own."),
        click.option("--seeds", type=click.IntRange(1, 1000), help="Number of seeds; default the figure's own."),
        click.option(
            "--scale",
            default="quick",
            show_default=True,
            shell_complete=among(SCALES),
            help="quick (minutes, reduced), cpu (hours on a CPU) or paper (the paper's sizes, for a GPU).",
        ),
        click.argument("figures", nargs=-1, required=True, shell_complete=_figures),
    ):
        command = option(command)
    return command


def _settings(figures: tuple[str, ...], scale: str, model: str | None, seeds: int | None, device: str) -> list[Any]:
    from rethinking.engines.local import resolve_precision
    from rethinking.figures import setting

    if "all" in figures and len(figures) > 1:
        raise InputError(f"figures are {' '.join(figures)}: all is every figure, and stands alone")
    names = catalog.names("figures") if figures == ("all",) else list(dict.fromkeys(figures))
    precision = resolve_precision("auto", device)
    return [(name, setting(name, scale, model, seeds, precision)) for name in names]


@click.command()
@figure_options
@device_option
@workers_option
@click.option("--shard", help="i/n: train only every n-th of the runs, for job arrays that share one runs folder.")
@click.option("--redraw", is_flag=True, help="Train nothing; draw from the records there are.")
@anew_option
@click.option("--minutes", type=float, help="Stop cleanly after so many minutes, and say what is left.")
@out_option
@runs_option
@checkpoints_option
@data_option
def figure(
    figures: tuple[str, ...],
    scale: str,
    seeds: int | None,
    model: str | None,
    device: str,
    workers: int | None,
    shard: str | None,
    redraw: bool,
    anew: bool,
    minutes: float | None,
    out: str,
    runs_dir: str,
    checkpoints: str | None,
    data_dir: str | None,
) -> None:
    """Reproduce FIGURES (names, or all): train the runs that are missing, draw, judge the paper's claims.

    Writes figures/<name>-<scale>.svg, .pdf and .json (the plotted numbers and the verdicts). A run is trained once,
    whichever figures need it, in the order of the figures; a second call trains nothing.

    On one GPU that is lent for a quarter of an hour, six runs at once, the most important figures first:

    \b
    rethinking figure fig2b fig1a table1 table4 fig1b --scale paper --device cuda --workers 6 --minutes 14

    When the minutes are over, all runs stop with a checkpoint, nothing is drawn, the exit status is 130, and the same
    command goes on.
    """
    started = time.monotonic()
    from rethinking import figures as fig
    from rethinking.engines import local
    from rethinking.record import Runs

    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"--minutes is {minutes:g}, allowed are numbers above 0")
    if minutes is not None and redraw:
        raise InputError("--minutes is given beside --redraw, which trains nothing: leave one out")
    runs = Runs(runs_dir, checkpoints)
    device = local.resolve_device(device)
    chosen = _settings(figures, scale, model, seeds, device)
    wanted = {s.run_id: s for name, setting in chosen for s in fig.unique(fig.specs(name, setting))}
    share = list(wanted.values())
    if shard is not None:
        share = local.shard_of(share, local.parse_shard(shard))
    for spec in wanted.values():
        runs.find(spec)  # a damaged record is better known before training than after
    if redraw and not any(runs.complete(spec) for spec in wanted.values()):
        where = f"{', '.join(figures)} at scale {scale}"
        raise InputError(f"{runs_dir} has no record for {where}: name another scale, other --runs, or train")
    failures, left = [], False
    if not redraw:
        missing = [spec for spec in share if not runs.complete(spec)]
        need_data(missing, runs, data_dir)
        deadline = math.inf if minutes is None else started + 60 * minutes
        options: dict[str, Any] = {"device": device, "workers": workers, "data_dir": data_dir, "deadline": deadline}
        options["anew"] = anew
        failures = local.run(share, runs, wait=shard is None, **options)
        left = minutes is not None and _print_left(missing, runs, failures)
    # Where no run is there, an empty figure would replace one.
    some = not failures or any(runs.complete(spec) for spec in wanted.values())
    if some and not left:
        for name, setting in chosen:
            _print_drawn(name, fig.draw(name, setting, runs, Path(out)))
    if failures:
        first = failures[0]
        raise InputError(f"{len(failures)} of {len(share)} runs failed; {first.spec.run_id}: {first.reason}")
    if left:
        raise click.Abort


def _print_left(specs: list[Any], runs: Any, failures: list[Any]) -> bool:
    """Print where each run is. Returns whether one that has not failed is still to be finished."""
    failed = {failure.spec.run_id for failure in failures}
    states: list[str] = []
    for spec in specs:
        step, state, more = None, "complete", ""
        if not runs.complete(spec):
            step = runs.reached(spec)
            state = "not begun" if step is None else "under way"
            more = "" if step is None else f", step {step:,} of at most {spec.steps:,}"
        if runs.busy(spec):
            state = "elsewhere"
        if spec.run_id in failed:
            state = "failed"
        states.append(state)
        click.echo(f"  {state:<9}  {spec.run_id}{more}")
    counts = Counter(states)
    order = ("complete", "under way", "not begun", "elsewhere", "failed")
    told = ", ".join(f"{counts[state]} {state}" for state in order if counts[state] or state in order[:3])
    click.echo(f"{len(specs)} runs were missing: {told}")
    return any(state not in ("complete", "failed") for state in states)


def _print_drawn(name: str, drawn: Any) -> None:
    from rethinking.claims import told

    numbers = drawn.numbers
    click.secho(f"\n{name}: {numbers['caption']}", bold=True)
    for row in numbers.get("table", []):
        head, *cells = row.items()
        click.echo(f"  {head[1]:<16}  " + "   ".join(f"{k}: {told(v)}" for k, v in cells))
    for verdict in drawn.verdicts:
        click.secho(f"  {verdict.verdict.upper()}", bold=True, nl=False)
        click.echo(f": {verdict.statement}")
        click.echo(f"      {verdict.source}: {verdict.paper}. Ours: {verdict.ours or verdict.reason}.")
        size = ", ".join(f"{n:,}" for n in verdict.n)
        click.echo(f"      Rule: {verdict.tolerance}. n = {size}, seeds: {verdict.seeds}.")
    counts = Counter(v.verdict for v in drawn.verdicts)
    click.echo("  " + (", ".join(f"{k}: {n}" for k, n in counts.items()) or "no claims"))
    if drawn.missing:
        click.echo(f"  {len(drawn.missing)} runs are missing and shown as not run")
    click.echo("  " + "  ".join(str(f) for f in drawn.files))


@click.command()
@figure_options
@device_option
@workers_option
@runs_option
@data_option
def plan(
    figures: tuple[str, ...],
    scale: str,
    seeds: int | None,
    model: str | None,
    device: str,
    workers: int | None,
    runs_dir: str,
    data_dir: str | None,
) -> None:
    """Show which runs FIGURES need, which exist, and how long the rest would take here.

    The records tell, by the median of the runs most like each, how fast this machine's processor trains a network, and
    what share of its budget a run takes that stops when fitted. A network that they do not tell of is measured by a few
    steps.
    """
    from rethinking import figures as fig
    from rethinking.engines import estimate, local
    from rethinking.record import Runs

    runs = Runs(runs_dir)
    device = local.resolve_device(device)
    wanted = {
        s.run_id: s
        for name, setting in _settings(figures, scale, model, seeds, device)
        for s in fig.unique(fig.specs(name, setting))
    }
    missing = [s for s in wanted.values() if not runs.complete(s)]
    seconds = estimate.seconds(missing, device, runs) if missing else {}
    for key in wanted:
        if key not in seconds:
            left = "exists"
        else:
            expected, most = seconds[key]
            left = _duration(expected) + (f", at most {_duration(most)}" if most > expected else "")
        click.echo(f"  {key:<64}  {left}")
    count = workers or local.default_workers(device)
    alone = {s.run_id for s in missing if s.ALONE}
    expected, most = (
        estimate.makespan([v[k] for key, v in seconds.items() if key not in alone], count)
        + sum(seconds[key][k] for key in alone)
        for k in (0, 1)
    )
    click.echo(
        f"{len(wanted)} runs, {len(missing)} to train: {_duration(expected)}, at most {_duration(most)}, with {count} "
        f"workers on {device}"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
