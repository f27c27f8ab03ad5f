"""What is being trained, where, and how far it is."""

import math
import os
from pathlib import Path
from typing import Any

import click

from rethinking.cli.options import checkpoints_option, json_option, print_json, runs_option
from rethinking.errors import InputError
from rethinking.streams import plain


@click.command()
@json_option
@runs_option
@checkpoints_option
def status(as_json: bool, runs_dir: str, checkpoints: str | None) -> None:
    """Show which runs are being made, by any process on any machine that shares the folder, and how far each is.

    Also where its log is, and which runs were begun and stopped. What is on another machine is known to a few seconds.
    """
    from rethinking.record import Runs, making

    runs = Runs(runs_dir, checkpoints)
    source = click.get_current_context().get_parameter_source("runs_dir")
    if not runs.root.is_dir() and (source is not click.core.ParameterSource.DEFAULT or os.path.lexists(runs.root)):
        raise InputError(f"{runs.root} is no folder: name the records' with --runs")
    made, stopped, complete = [], [], 0
    for found in runs.survey():
        now = making(found.path) if found.busy else None
        complete += found.complete
        if now is not None:
            made.append(_facts(found.path, now, runs))
        elif found.run and not found.complete:
            step, refused = _saved(runs, found.path)
            stopped.append({"run": found.path.name, **_fields(found.path), "step": step, "refused": refused})
    if as_json:
        print_json({"runs": str(runs.root), "making": made, "stopped": stopped, "complete": complete})
        return
    for facts in made:
        click.echo(f"  {plain(facts['run'])}: {plain(_line(facts))}")
    for facts in stopped:
        where = "before its first checkpoint" if facts["step"] is None else f"at step {facts['step']:,}"
        click.echo(f"  {plain(facts['run'])}: {plain(facts['refused'] or f'stopped {where}{_of(facts)}')}")
    if not runs.root.is_dir():
        click.echo(f"there is no folder {runs.root} here: nothing has been trained")
        return
    click.echo(f"{runs.root}: {len(made)} being made, {len(stopped)} stopped, {complete} complete")


def _facts(path: Path, now: Any, runs: Any) -> dict[str, Any]:
    """What is known of a run that is being made; None where it is not."""
    notes = {key: _typed(now.notes.get(key), kind) for key, kind in NOTED.items()}
    if notes["step"] is None:  # just begun, or by an earlier version of this package
        notes["step"], _ = _saved(runs, path)
    where = {"host": now.host, "here": now.here, "process": now.pid, "log": now.log}
    return {"run": path.name, **_fields(path), **notes, **where, "silent_seconds": round(now.silence, 1)}


NOTED = {"step": int, "seconds_left": float, "device": str, "summary": str}


def _typed(value: Any, kind: type) -> Any:
    """A value as read from another process's notes, None where it is of another type."""
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if number and abs(value) < 1e15 and math.isfinite(value) else None
    if kind is str and isinstance(value, str):
        return " ".join(value.split())[:200]
    return value if type(value) is kind else None


def _fields(path: Path) -> dict[str, Any]:
    """The budget of the run in a folder, by its spec; None where that cannot be read."""
    from rethinking.spec import from_file

    try:
        return {"steps": from_file(path / "spec.json").steps}
    except InputError:
        return {"steps": None}


def _saved(runs: Any, path: Path) -> tuple[int | None, str | None]:
    """The step of a run's checkpoint, None where there is none; why it is refused, None where it is not."""
    try:
        return runs.reached(path), None
    except InputError as error:
        return None, str(error)


def _of(facts: dict[str, Any]) -> str:
    return "" if facts["steps"] is None else f" of at most {facts['steps']:,}"


def _line(facts: dict[str, Any]) -> str:
    from rethinking.engines.progress import duration

    parts = ["starting" if facts["step"] is None else f"step {facts['step']:,}{_of(facts)}"]
    parts += [facts["summary"]] if facts["summary"] else []
    parts += [f"{duration(facts['seconds_left'])} left at most"] if facts["seconds_left"] else []
    place = "this machine" if facts["here"] else facts["host"]
    parts.append(f"on {place}{', ' + facts['device'] if facts['device'] else ''}, process {facts['process']}")
    parts += [f"silent for {facts['silent_seconds']:.0f} s"] if facts["silent_seconds"] > 30 else []
    return ", ".join(parts) + (f"; log: {facts['log']}" if facts["log"] else "")
