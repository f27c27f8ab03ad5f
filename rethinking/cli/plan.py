"""What figures would train, and for how long."""

import math
from typing import Any

import click

from rethinking.cli.engine import engine_of, engine_option, gpus_option
from rethinking.cli.figure_options import figure_options, settings
from rethinking.cli.options import (
    data_option,
    device_option,
    json_option,
    print_json,
    runs_option,
    say_packaged,
    workers_option,
)
from rethinking.errors import InputError


@click.command()
@figure_options
@device_option
@workers_option
@engine_option
@gpus_option
@click.option("--price", type=float, help="Of a core's hour, or on GPUs of a GPU's: tells what the runs cost.")
@json_option
@runs_option
@data_option
def plan(
    device: str,
    workers: int | None,
    engine: str,
    gpus_per_run: float | None,
    price: float | None,
    as_json: bool,
    runs_dir: str,
    data_dir: str | None,
    **asked: Any,
) -> None:
    """Show which runs FIGURES need, which exist, and how long the rest would take here.

    How fast this machine's processor trains a network, and how many epochs a run takes that stops when fitted, are the
    medians of the most similar records. A network without such a record is measured by a few steps. Data sets that are
    not on this disk, and would be fetched, are named.

    Core-hours and GPU-hours are those that the runs take, whatever number of workers or nodes shares them; with
    --engine ray they are what the cluster would take if its nodes were like this machine. Those of runs that share a
    GPU assume that each is as fast as one that has the GPU to itself.
    """
    from rethinking import data as sets
    from rethinking import figures as fig
    from rethinking.engines import checks, estimate, local
    from rethinking.engines.progress import duration, titles
    from rethinking.record import Runs, outdated
    from rethinking.spec import kind_of

    runs = Runs(runs_dir)
    if price is not None and not (math.isfinite(price) and price >= 0):
        raise InputError(f"--price is {price:g}, allowed are finite numbers from 0")
    maker = engine_of(engine, device, gpus_per_run)
    device = local.resolve_device(maker.device)  # a cluster's GPUs are measured by this machine's
    chosen = settings(device=device, **asked)
    wanted = {s.run_id: s for name, setting in chosen for s in fig.unique(fig.specs(name, setting))}
    found = outdated.find(runs, wanted.values())
    old: dict[str, list[str]] = {}
    for name, specs in found.items():
        for spec in (each for each in specs if each.run_id in wanted):  # not the runs that probes alone need
            old.setdefault(spec.run_id, []).append(name)
    missing = [s for s in wanted.values() if s.run_id in old or not runs.complete(s)]
    say_packaged(missing, runs)
    seconds = estimate.seconds(missing, device, runs) if missing else {}
    count = workers or local.default_workers(device)
    launched = [s for s in missing if s.command]
    alone = {s.run_id for s in missing if (device == "cpu" and kind_of(s).alone) or s.command}
    expected, most = (
        estimate.makespan([v[k] for key, v in seconds.items() if key not in alone], count)
        + sum(seconds[key][k] for key in alone)
        for k in (0, 1)
    )
    named = titles(list(wanted.values()))
    hours = _hours(seconds, _taken(missing, maker, count), price)
    here = [] if engine == "ray" else [s.data for s in missing if not s.command]  # a cluster's nodes have their own
    absent = [name for name in dict.fromkeys(here) if not sets.there(name, data_dir)]
    room = sum(checks.space(missing, runs, count))
    if as_json:
        each = [{"run": key, "title": named[key], "complete": key not in seconds} for key in wanted]
        each = [facts | {"made_with_another": old.get(str(facts["run"]), [])} for facts in each]
        for facts in each:
            facts["seconds"], facts["seconds_at_most"] = seconds.get(str(facts["run"]), (0.0, 0.0))
        whole = {
            **hours,
            "bytes_of_records": checks.RECORD * len(missing),
            "engine": engine,
            "runs": each,
            "to_train": len(missing),
            "seconds": expected,
            "seconds_at_most": most,
        }
        print_json({**whole, "workers": count, "device": device, "bytes_on_disk": room, "data_to_fetch": absent})
        return
    for key in wanted:
        left = "exists"
        if key in seconds:
            usual, longest = seconds[key]
            left = duration(usual) + (f", at most {duration(longest)}" if longest > usual else "")
            left += f", again: another version of {', '.join(old[key])} made it" if key in old else ""
        click.echo(f"  {named[key]:<64}  {left}")
    size = f", {checks.in_bytes(room)} on disk" if room else ""
    click.echo(
        f"{len(wanted)} runs, {len(missing)} to train: {duration(expected)}, at most {duration(most)}, with {count} "
        f"workers on {device}{size}"
    )
    if missing:
        click.echo(_summary(hours, price) + f", {checks.in_bytes(checks.RECORD * len(missing))} of records")
    if found:
        plug_ins = " ".join(f"--retrain {name.partition('/')[2]}" for name in found)
        which = f"{len(old)} of them were" if old else "runs that their probes measure were"
        click.echo(f"{which} made with another version of a plug-in: give `figure {plug_ins}`")
    if launched:
        click.echo(checks.launched(launched))
    if absent:
        click.echo(f"not on this disk, and would be fetched: {', '.join(absent)}")


def _taken(specs: list[Any], maker: Any, workers: int) -> dict[str, tuple[float, float]]:
    """The cores and the GPUs that each run has to itself, by run_id; of GPUs that workers share, its part."""
    from rethinking.machine import cores, gpu_count
    from rethinking.spec import kind_of

    on_cpu = maker.device == "cpu"
    there = gpu_count() if maker.device == "cuda" else 1
    gpus = 0.0 if on_cpu else maker.gpus if maker.name == "ray" else min(1.0, there / workers)
    out = {}
    for spec in specs:
        if spec.command:  # by several processes, with a core or a GPU each
            out[spec.run_id] = (min(spec.processes, cores()), 0.0) if on_cpu else (spec.processes, spec.processes)
        else:
            out[spec.run_id] = (cores() if on_cpu and kind_of(spec).alone else 1, gpus)
    return out


def _hours(
    seconds: dict[str, tuple[float, float]], taken: dict[str, tuple[float, float]], price: float | None
) -> dict[str, float | None]:
    """What the runs take: of cores, of GPUs, and of money; each expected, and to the end of every budget."""
    out: dict[str, float | None] = {}
    for k, most in enumerate(("", "_at_most")):
        core, gpu = (sum(each[k] * taken[key][of] for key, each in seconds.items()) / 3600 for of in (0, 1))
        out[f"core_hours{most}"], out[f"gpu_hours{most}"] = core, gpu
        out[f"cost{most}"] = None if price is None else price * (gpu or core)
    return out


def _summary(hours: dict[str, float | None], price: float | None) -> str:
    from rethinking.engines.progress import rounded

    kinds = [("core_hours", "core-hours")] + ([("gpu_hours", "GPU-hours")] if hours["gpu_hours"] else [])
    known = {key: rounded(value or 0.0) for key, value in hours.items()}
    told = [f"{known[key]} {name}, at most {known[f'{key}_at_most']}" for key, name in kinds]
    if price is not None:
        unit = "GPU" if hours["gpu_hours"] else "core"
        told.append(f"cost {known['cost']}, at most {known['cost_at_most']}, at {price:g} an hour of a {unit}")
    return "; ".join(told)
