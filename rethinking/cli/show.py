"""What a complete run is, and what came out."""

import json
from pathlib import Path
from typing import Any

import click

from rethinking.cli.options import json_option, print_json, reading, runs_option
from rethinking.streams import plain


def complete_run(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    folder = Path(context.params.get("runs_dir") or "runs")
    return sorted(p.parent.name for p in folder.glob("*/result.json") if p.parent.name.startswith(incomplete))


@click.command()
@click.argument("run", shell_complete=complete_run)
@json_option
@runs_option
def show(run: str, as_json: bool, runs_dir: str) -> None:
    """Show a complete RUN: its folder's name in runs/, or enough of its beginning or end."""
    from rethinking.record import Runs, check_current

    record = Runs(*reading(runs_dir)).named(run)
    check_current(record)
    print_record(record, as_json)


def print_record(record: Any, as_json: bool = False) -> None:
    """Print a record: its spec, how it ended, its last accuracies; as JSON, with its whole curve."""
    result, made, spec = record.result, record.environment, record.spec
    if as_json:
        parts = {"run": record.path.name, "spec": spec.model_dump(mode="json"), "result": result}
        print_json({**parts, "environment": made, "curve": record.curve})
        return
    click.secho(record.path.name, bold=True)
    for key, value in spec.shown.items():
        click.echo(f"  {key}: {json.dumps(value)}")
    if result["status"] == "computed":
        for row in record.rows:
            click.echo("  " + ", ".join(f"{k}: {v:.6g}" for k, v in row.items()))
        if spec.kept:
            click.echo(f"  kept: {', '.join(spec.kept)}, in {record.path / 'arrays.npz'}")
        print_made_by(made)
        return
    where = f" (loss not finite at step {result['diverged_at']})" if result["diverged_at"] is not None else ""
    click.echo(f"  ended: {record.ended}{where}, step {result['steps']}")
    if spec.command:  # of another kind than a training run
        click.echo(f"  {spec.summary(record.final)}")
        print_made_by(made)
        return
    fit = record.steps_to_fit()
    click.echo(f"  steps to 99 % training accuracy: {fit if fit is not None else 'censored, not reached'}")
    final = record.final
    click.echo(f"  training accuracy: {100 * final['train_accuracy']:.2f} %, loss {final['train_loss']:.4g}")
    labels = "" if spec.test_labels == "true" else ", their labels corrupted"
    click.echo(f"  test accuracy: {100 * final['test_accuracy']:.2f} % of {final['test_images']} images{labels}")
    if spec.held_out:
        held, loss = 100 * final["held_out_accuracy"], final["held_out_loss"]
        click.echo(f"  held-out accuracy: {held:.2f} % of {spec.held_out} images, loss {loss:.4g}")
    if spec.keep:
        click.echo(f"  kept: {', '.join(spec.keep)}, in {record.path / 'arrays.npz'}")
    print_made_by(made)


def print_made_by(made: dict[str, Any]) -> None:
    """Print what a run was made with."""
    click.echo(
        "  "
        + plain(
            f"made by: commit {made.get('commit')}, torch {made.get('torch')}, {made.get('device_name')}, "
            f"{made.get('threads')} threads, {made.get('precision')}, {made.get('seconds')} s"
        )
    )
