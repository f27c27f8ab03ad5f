"""Single runs: training, comparing and showing them."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import click

from rethinking.cli.options import (
    FilePath,
    anew_option,
    checkpoints_option,
    data_option,
    device_option,
    fetch_missing,
    need_data,
    runs_option,
)
from rethinking.cli.spec_options import SpecCommand, name_of, spec_of
from rethinking.errors import InputError


@click.command(cls=SpecCommand)
@click.option(
    "--spec",
    "spec_file",
    type=FilePath(path_type=Path),
    help="A spec.json, or - for standard input, instead of the options above.",
)
@click.option("--until", type=click.IntRange(0), help="With --compare: of the record's curve, up to this step only.")
@click.option("--compare", is_flag=True, help="Train it again elsewhere and compare with the record; exit 1 if other.")
@anew_option
@click.option("--with", "other_dir", type=FilePath(), help="With --compare: a folder whose record of it is compared.")
@device_option
@runs_option
@checkpoints_option
@data_option
def run(
    spec_file: Path | None,
    until: int | None,
    compare: bool,
    anew: bool,
    other_dir: str | None,
    device: str,
    runs_dir: str,
    checkpoints: str | None,
    data_dir: str | None,
    **fields: Any,
) -> int | None:
    """Train one run and record it, or say where its record is.

    \b
    rethinking run --model mlp-3x512 --corruption random_labels --n 2000 --stop fitted
    rethinking run --model alexnet --corruption partial_labels=0.5 --regularize weight_decay=5e-4
    rethinking run --spec runs/<a record>/spec.json --compare
    rethinking run --spec runs/<a record>/spec.json --compare --with runs-of-a-gpu
    """
    from rethinking.engines import local
    from rethinking.record import Runs
    from rethinking.spec import LARGEST, RunSpec, Spec

    given = {k: v for k, v in fields.items() if v is not None and v is not False and v != ()}
    if until is not None and not compare:
        raise InputError("--until is given without --compare: add it, or give the budget as --steps")
    if other_dir is not None and not compare:
        raise InputError("--with is given without --compare: add it, or name the folder as --runs")
    device = local.resolve_device(device)
    if spec_file is not None:
        if given:
            raise InputError(
                f"{name_of(next(iter(given)))} is given beside --spec: change the file or leave --spec out"
            )
        standard = str(spec_file) == "-"
        spec: Spec = Spec.from_bytes(sys.stdin.buffer.read(LARGEST + 1)) if standard else Spec.from_file(spec_file)
    else:
        spec = spec_of(given, device)
    runs = Runs(runs_dir, checkpoints)
    record = runs.find(spec)
    if not compare:
        need_data([spec], runs, data_dir)
        failures = local.run([spec], runs, device=device, workers=1, data_dir=data_dir, anew=anew)
        if failures:
            raise InputError(f"{spec.run_id} failed: {failures[0].reason}")
        print_record(runs.named(spec.run_id))
        return 0
    if record is None:
        raise InputError(f"{spec.run_id} has no record in {runs_dir} to compare with: run it without --compare")
    from rethinking.verify import made_again

    if other_dir is None:
        fetch_missing([spec.data], data_dir)
        difference, second = made_again(record, device=device, data_dir=data_dir, until=until)
    else:
        there = Runs(other_dir)
        if not there.path(spec).is_dir():
            raise InputError(f"{spec.run_id} has no record in {there.root} to compare with: name another --with")
        second = there.begun(spec)
        difference = record.difference(second, until)
    size = "" if until is None else f" up to step {second.final['step']}"
    click.echo(f"{spec.run_id}: {difference or 'the same curve' + size + ', to the last bit'}")
    if difference and isinstance(spec, RunSpec):
        _print_apart(record.up_to(until), second.up_to(until))
    for made in (record.environment, second.environment) if difference else ():
        print_made_by(made)
    return 1 if difference else 0


def _print_apart(first: Any, second: Any) -> None:
    apart = first.apart(second)
    if apart is None:
        click.echo("  training accuracy: no evaluations at equal steps")
    else:
        click.echo(f"  training accuracy: at most {100 * apart[0]:.2f} points apart, at step {apart[1]:,}")
    fits = [(r.steps_to_fit(), r.final["step"]) for r in (first, second)]
    told = [f"{fit:,}" if fit is not None else f"not reached by step {last:,}" for fit, last in fits]
    click.echo(f"  steps to 99 % training accuracy: {told[0]} against {told[1]}")


@click.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the whole curve; null where not finite.")
@runs_option
def show(run: str, as_json: bool, runs_dir: str) -> None:
    """Show a complete RUN: its folder's name in runs/, or enough of its beginning or end."""
    from rethinking.record import Runs

    record = Runs(runs_dir).named(run)
    if as_json:
        finite = {k: [v if math.isfinite(v) else None for v in values] for k, values in record.curve.items()}
        parts = {"spec": record.spec.model_dump(mode="json"), "result": record.result}
        click.echo(json.dumps({**parts, "environment": record.environment, "curve": finite}, indent=1, allow_nan=False))
    else:
        print_record(record)


def print_record(record: Any) -> None:
    result, made = record.result, record.environment
    click.secho(record.path.name, bold=True)
    for key, value in record.spec.identity.items():
        click.echo(f"  {key}: {json.dumps(value)}")
    if result["status"] == "computed":
        for row in record.rows:
            click.echo("  " + ", ".join(f"{k}: {v:.6g}" for k, v in row.items()))
        print_made_by(made)
        return
    ended = {"fitted": "every training example right", "budget": "at its budget", "diverged": "diverged"}
    where = f" (loss not finite at step {result['diverged_at']})" if result["diverged_at"] else ""
    click.echo(f"  ended: {ended[result['status']]}{where}, step {result['steps']}")
    fit = record.steps_to_fit()
    click.echo(f"  steps to 99 % training accuracy: {fit if fit is not None else 'censored, not reached'}")
    final = record.final
    click.echo(f"  training accuracy: {100 * final['train_accuracy']:.2f} %, loss {final['train_loss']:.4g}")
    labels = "" if record.spec.test_labels == "true" else ", their labels corrupted"
    click.echo(f"  test accuracy: {100 * final['test_accuracy']:.2f} % of {final['test_images']} images{labels}")
    if record.spec.held_out:
        held, loss = 100 * final["held_out_accuracy"], final["held_out_loss"]
        click.echo(f"  held-out accuracy: {held:.2f} % of {record.spec.held_out} images, loss {loss:.4g}")
    if record.spec.keep:
        click.echo(f"  kept: {', '.join(record.spec.keep)}, in {record.path / 'arrays.npz'}")
    print_made_by(made)


def print_made_by(made: dict[str, Any]) -> None:
    click.echo(
        f"  made by: commit {made.get('commit')}, torch {made.get('torch')}, {made.get('device_name')}, "
        f"{made.get('threads')} threads, {made.get('precision')}, {made.get('seconds')} s"
    )
