"""What is measured on the trained network of a run."""

import click

from rethinking.cli.options import (
    anew_option,
    check_before,
    checkpoints_option,
    completed,
    data_option,
    device_option,
    json_option,
    need_data,
    quiet_option,
    runs_option,
    weights_option,
)
from rethinking.cli.show import complete_run, print_record
from rethinking.errors import InputError


@click.command()
@click.argument("run", shell_complete=complete_run)
@click.argument("probe", shell_complete=completed("probes"), metavar="NAME[=VALUE][,KEY=VALUE]")
@anew_option
@quiet_option
@json_option
@device_option
@runs_option
@checkpoints_option
@weights_option
@data_option
def probe(
    run: str,
    probe: str,
    anew: bool,
    quiet: bool,
    as_json: bool,
    device: str,
    runs_dir: str,
    checkpoints: str | None,
    weights: str | None,
    data_dir: str | None,
) -> None:
    """Measure the trained network of a complete RUN and record what comes out, or say where that record is.

    \b
    rethinking probe cifar10-2000-mlp-1x512-s0 capacity
    rethinking probe 1a2b3c4d5e deletion,images=5000,to=mean

    RUN is as in `rethinking show`; `rethinking list probes` has the names. Weights that are gone are made again, by
    training the run, which must come out as its record has it.
    """
    from rethinking.engines import local
    from rethinking.record import Runs
    from rethinking.spec import KINDS, Part, ProbeSpec, kind_of

    device = local.resolve_device(device)
    runs = Runs(runs_dir, checkpoints, weights)
    record = runs.named(run)
    if kind_of(record.spec) is not KINDS["training"]:
        raise InputError(f"{record.path.name} is of no network that probes know: give a training run")
    spec = ProbeSpec.make(run=record.spec, probe=Part.parse("probes", probe))
    if runs.find(spec) is None:
        check_before([spec], runs, device, 1)
        need_data([spec], runs, data_dir, quiet)
        failures = local.run([spec], runs, quiet=quiet, device=device, workers=1, data_dir=data_dir, anew=anew)
        if failures:
            raise InputError(f"{spec.run_id} failed: {failures[0].reason}")
    if not quiet or as_json:
        print_record(runs.named(spec.run_id), as_json)
