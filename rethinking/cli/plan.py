"""What figures would train, and for how long."""

import click

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


@click.command()
@figure_options
@device_option
@workers_option
@json_option
@runs_option
@data_option
def plan(
    figures: tuple[str, ...],
    scale: str,
    seeds: int | None,
    data: str | None,
    crop: int | None,
    model: str | None,
    device: str,
    workers: int | None,
    as_json: bool,
    runs_dir: str,
    data_dir: str | None,
) -> None:
    """Show which runs FIGURES need, which exist, and how long the rest would take here.

    The records tell, by the median of the runs most like each, how fast this machine's processor trains a network, and
    how many epochs a run takes that stops when fitted. A network that they do not tell of is measured by a few
    steps. Data sets that are not on this disk, and would be fetched, are named.
    """
    from rethinking import data as sets
    from rethinking import figures as fig
    from rethinking.engines import checks, estimate, local
    from rethinking.engines.progress import duration, titles
    from rethinking.record import Runs, outdated
    from rethinking.spec import kind_of

    runs = Runs(runs_dir)
    device = local.resolve_device(device)
    chosen = settings(figures, scale, model, seeds, device, data, crop)
    wanted = {s.run_id: s for name, setting in chosen for s in fig.unique(fig.specs(name, setting))}
    old = {s.run_id: name for name, specs in outdated.find(runs, wanted.values()).items() for s in specs}
    missing = [s for s in wanted.values() if s.run_id in old or not runs.complete(s)]
    say_packaged(missing, runs)
    seconds = estimate.seconds(missing, device, runs) if missing else {}
    count = workers or local.default_workers(device)
    launched = [s for s in missing if s.command]
    alone = {s.run_id for s in missing if kind_of(s).alone or s.command}
    expected, most = (
        estimate.makespan([v[k] for key, v in seconds.items() if key not in alone], count)
        + sum(seconds[key][k] for key in alone)
        for k in (0, 1)
    )
    named = titles(list(wanted.values()))
    absent = [n for n in dict.fromkeys(s.data for s in missing if not s.command) if not sets.there(n, data_dir)]
    room = sum(checks.space(missing, count))
    if as_json:
        each = [{"run": key, "title": named[key], "complete": key not in seconds} for key in wanted]
        each = [facts | {"made_with_another": old.get(str(facts["run"]))} for facts in each]
        for facts in each:
            facts["seconds"], facts["seconds_at_most"] = seconds.get(str(facts["run"]), (0.0, 0.0))
        whole = {"runs": each, "to_train": len(missing), "seconds": expected, "seconds_at_most": most}
        print_json({**whole, "workers": count, "device": device, "bytes_on_disk": room, "data_to_fetch": absent})
        return
    for key in wanted:
        left = "exists"
        if key in seconds:
            usual, longest = seconds[key]
            left = duration(usual) + (f", at most {duration(longest)}" if longest > usual else "")
            left += f", again: another version of {old[key]} made it" if key in old else ""
        click.echo(f"  {named[key]:<64}  {left}")
    size = f", {checks.in_bytes(room)} on disk" if room else ""
    click.echo(
        f"{len(wanted)} runs, {len(missing)} to train: {duration(expected)}, at most {duration(most)}, with {count} "
        f"workers on {device}{size}"
    )
    if old:
        plug_ins = " ".join(f"--retrain {name.partition('/')[2]}" for name in dict.fromkeys(old.values()))
        click.echo(f"{len(old)} of them were made with another version of a plug-in: give `figure {plug_ins}`")
    if launched:
        click.echo(checks.launched(launched))
    if absent:
        click.echo(f"not on this disk, and would be fetched: {', '.join(absent)}")
