"""Single runs: training, comparing and showing them."""

import sys
from pathlib import Path
from typing import Any

import click

from rethinking.cli.engine import Engine, engine_of, engine_options
from rethinking.cli.options import (
    FilePath,
    anew_option,
    checkpoints_option,
    data_option,
    device_option,
    fetch_missing,
    json_option,
    make_again,
    quiet_option,
    reading,
    runs_option,
    weights_option,
)
from rethinking.cli.show import print_made_by, print_record
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
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="CPU cores of this run; their number changes its last bits.  [default: 1; with --compare the record's]",
)
@anew_option
@click.option(
    "--again",
    is_flag=True,
    help="Make it again where a plug-in that it uses has changed since; it then replaces the old one.",
)
@click.option("--with", "other_dir", type=FilePath(), help="With --compare: a folder whose record of it is compared.")
@quiet_option
@json_option
@device_option
@engine_options
@runs_option
@checkpoints_option
@weights_option
@data_option
def run(
    spec_file: Path | None,
    until: int | None,
    compare: bool,
    threads: int | None,
    anew: bool,
    again: bool,
    other_dir: str | None,
    quiet: bool,
    as_json: bool,
    device: str,
    engine: str,
    address: str | None,
    gpus_per_run: float | None,
    runs_dir: str,
    checkpoints: str | None,
    weights: str | None,
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
    from rethinking.record import Runs, make, outdated
    from rethinking.spec import LARGEST, RunSpec, Spec, from_bytes, from_file, kind_of

    given = {k: v for k, v in fields.items() if v is not None and v is not False and v != ()}
    if until is not None and not compare:
        raise InputError("--until is given without --compare: add it, or give the budget as --steps")
    if other_dir is not None and not compare:
        raise InputError("--with is given without --compare: add it, or name the folder as --runs")
    if again and compare:
        raise InputError("--again is given beside --compare, which needs the record there is: leave one out")
    if as_json and compare:
        raise InputError("--json is given beside --compare, which prints lines: leave one out")
    if compare and engine != "local":
        raise InputError("--engine is given beside --compare, which trains here: leave one out")
    maker = engine_of(engine, device, gpus_per_run, address)
    device = maker.device
    _check_threads(threads, maker)
    if spec_file is not None:
        if given:
            raise InputError(
                f"{name_of(next(iter(given)))} is given beside --spec: change the file or leave --spec out"
            )
        standard = str(spec_file) == "-"
        spec: Spec = from_bytes(sys.stdin.buffer.read(LARGEST + 1)) if standard else from_file(spec_file)
    elif not given:
        raise InputError(
            "nothing is said of the run, and Inception on all 50,000 images would take days: say what to train, as "
            "--model mlp-3x512 --n 2000, or --model inception"
        )
    else:
        spec = spec_of(given, device)
    if threads is not None and spec.command:
        raise InputError(f"--threads is given for {spec.run_id}, which no engine makes: give `{spec.command}`")
    if threads is not None and not isinstance(spec, RunSpec):
        raise InputError(f"--threads is given for {spec.run_id}, which trains no network: leave it out")
    (runs_dir,) = reading(runs_dir, quiet=quiet) if compare else [runs_dir]
    runs = Runs(runs_dir, checkpoints, weights)
    if again:
        make_again(runs, outdated.find(runs, [spec]), quiet)
    record = runs.find(spec)
    if not compare:
        if record is None:
            options: dict[str, Any] = {"workers": 1, "data_dir": data_dir, "anew": anew, "threads": threads or 1}
            try:
                failures = maker.run([spec], runs, quiet=quiet, **options)
            finally:
                make.settle(runs, [spec])
            if failures:
                raise InputError(f"{spec.run_id} failed: {failures[0].reason}")
        if not quiet or as_json:
            print_record(runs.named(spec.run_id), as_json)
        return 0
    if record is None:
        raise InputError(f"{spec.run_id} has no record in {runs_dir} to compare with: run it without --compare")
    from rethinking.engines.made_with import explanation
    from rethinking.verify import made_again

    if until is not None and until < record.curve["step"][0]:
        first = f"the first row of {spec.run_id} is at step {record.curve['step'][0]:,}"
        raise InputError(f"--until is {until:,}, and {first}: give that step or a later one")
    if other_dir is None and spec.command:
        raise InputError(f"no engine makes {spec.run_id}: make it again elsewhere by `{spec.command}`, and name --with")
    if other_dir is None:
        fetch_missing([spec.data], data_dir, quiet)
        options = {"data_dir": data_dir, "until": until, "threads": threads, "quiet": quiet}
        difference, second = made_again(record, device=device, **options)
    else:
        there = Runs(other_dir)
        if not there.path(spec).is_dir():
            raise InputError(f"{spec.run_id} has no record in {there.root} to compare with: name another --with")
        second = there.begun(spec)
        difference = record.difference(second, until)
    size = "" if until is None else f" up to step {second.up_to(until).final['step']}"
    if difference or not quiet:
        click.echo(f"{spec.run_id}: {difference or 'the same curve' + size + ', to the last bit'}")
    if difference and kind_of(spec).resumable:
        _print_apart(record.up_to(until), second.up_to(until))
    if difference:
        for made in (record.environment, second.environment):
            print_made_by(made)
        click.echo(f"  {explanation(record.environment, second.environment)}")
    return 1 if difference else 0


def _check_threads(threads: int | None, maker: Engine) -> None:
    from rethinking.machine import cores

    if threads is not None and maker.device != "cpu":
        raise InputError(f"--threads is of a CPU, and the device is {maker.device}: leave it out, or give --device cpu")
    if threads is not None and maker.address is None and threads > cores():
        raise InputError(f"--threads is {threads}, this process may use 1 to {cores()}: give one of them")


def _print_apart(first: Any, second: Any) -> None:
    apart = first.apart(second)
    if apart is None:
        click.echo("  training accuracy: no evaluations at equal steps")
    else:
        click.echo(f"  training accuracy: at most {100 * apart[0]:.2f} points apart, at step {apart[1]:,}")
    fits = [(r.steps_to_fit(), r.final["step"]) for r in (first, second)]
    told = [f"{fit:,}" if fit is not None else f"not reached by step {last:,}" for fit, last in fits]
    click.echo(f"  steps to 99 % training accuracy: {told[0]} against {told[1]}")
