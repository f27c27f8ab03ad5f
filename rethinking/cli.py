"""The command line: parse, call, print."""

if __name__ == "__main__":  # before the imports below, which take a while
    from rethinking.__main__ import main as start

    start()

import errno
import json
import math
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from rethinking import catalog, streams
from rethinking.errors import InputError
from rethinking.paths import expand

WORD, LINE = 200, 1000  # characters of one word or quotation, and of all, that a line about an error shows


class _Terminated(BaseException):
    """SIGTERM came, outside of training, which has its own way to stop."""


@contextmanager
def _signals() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, SIGTERM _Terminated; signals that are ignored stay so."""

    def terminate(*_: Any) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else terminate)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _shown(text: str) -> str:
    """A message in one line, what is long in it, as a value that was given, cut in its middle."""

    def cut(text: str, most: int) -> str:
        left_out = len(text) - most
        return text if left_out <= 0 else f"{text[: most * 3 // 4]}…({left_out:,} more)…{text[-(most // 4) :]}"

    long = rf"\S{{{WORD},}}|'[^']{{{WORD},}}'|\"[^\"]{{{WORD},}}\""
    return cut(re.sub(long, lambda word: cut(word[0], WORD), " ".join(text.split())), LINE)


class Group(click.Group):
    """Bad input, a full disk and the like: one line on standard error, exit status 2, no traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        standalone = kwargs.pop("standalone_mode", True)
        streams.prepare()
        try:
            with _signals():
                result: Any = super().main(*args, standalone_mode=False, **kwargs)  # type: ignore[call-overload]
                streams.finish()
        except click.ClickException as error:
            text, status = error.format_message(), 2
        except InputError as error:
            text, status = str(error), 2
        except (click.Abort, KeyboardInterrupt, _Terminated) as error:
            words = list(args[0] if args else kwargs.get("args") or sys.argv[1:])
            resumes = words[:1] in (["run"], ["figure"]) and "--compare" not in words
            by, status = (" by SIGTERM", 143) if isinstance(error, _Terminated) else ("", 130)
            text = f"stopped{by}" + ("; the same command goes on from here" if resumes else "")
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            room = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            advice = "make room, and try again" if room else "mend that or name another folder, and try again"
            text, status = f"{error.strerror or error}{where}: {advice}", 2
        else:
            if standalone:
                sys.exit(result if isinstance(result, int) else 0)
            return result
        with suppress(OSError):
            streams.finish()
        click.echo(f"rethinking: {_shown(text)}", err=True)
        sys.exit(status)


def _names(kind: str):
    """Shell completion for the names of a kind."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        return [n for n in catalog.names(kind) if n.startswith(incomplete)]

    return complete


def _named(context: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    """Refuse empty text, as of a variable that is not set."""
    if given == "":
        raise InputError(f"{parameter.opts[0]} is empty text: give a name, or leave it out")
    return given


class _Path(click.Path):
    """A path, with ~ for the home folder also where the shell leaves it, as in --runs=~/runs; standard input is -."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(str(expand(value)) if value else value, param, ctx)


runs_option = click.option(
    "--runs", "runs_dir", default="runs", show_default=True, help="Folder of the records.", type=_Path()
)
out_option = click.option(
    "--out",
    default="figures",
    show_default=True,
    type=_Path(),
    help="Folder of the drawn files.",
    callback=_named,
)
data_option = click.option(
    "--data-dir",
    type=_Path(),
    callback=_named,
    help="Folder of the data sets; else $RETHINKING_DATA, else the user's cache.",
)
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda (all GPUs) or one GPU, as cuda:0."
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(1),
    help="Worker processes; default one per core (one thread each) as memory holds them, or per GPU, which several can "
    "share.",
)


checkpoints_option = click.option(
    "--checkpoints", type=_Path(), callback=_named, help="Folder of the checkpoints; default beside the records."
)


anew_option = click.option(
    "--anew",
    is_flag=True,
    help="Where a checkpoint is missing, or damaged, stale or foreign, which deletes it, begin the run anew.",
)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="rethinking")
def main() -> None:
    """Replicates "Understanding deep learning requires rethinking generalization" (Zhang et al., ICLR 2017).

    \b
    rethinking figure fig1a         train what is missing, draw Figure 1(a), judge the paper's claims
    rethinking plan fig1a           what that would train, and for how long
    rethinking list                 data sets, corruptions, networks, regularizers, figures
    rethinking run --model alexnet --corruption partial_labels=0.5 --n 5000

    Runs are kept in runs/ and never trained twice; figures come out in figures/. Anything can be stopped with
    Ctrl-C and goes on: training from its last checkpoint, other runs anew. Completion in bash:
    eval "$(_RETHINKING_COMPLETE=bash_source rethinking)".
    """


@main.command("list")
@click.argument("kind", required=False, shell_complete=lambda *_: list(catalog.KINDS))
@click.argument("name", required=False)
def list_(kind: str | None, name: str | None) -> None:
    """List what can be named: data, corruptions, models, regularizers, figures (or one KIND of them).

    With a NAME, say what it is, whole, and its options with their defaults.
    """
    if kind is not None and kind not in catalog.KINDS:
        raise InputError(f"unknown kind {kind!r}: allowed are {', '.join(catalog.KINDS)}")
    if kind and name:
        _describe(catalog.find(kind, name))
        return
    for each in [kind] if kind else catalog.KINDS:
        click.secho(each, bold=True)
        for name, entry in catalog.entries(each).items():
            options = entry.constants.get("OPTIONS", {})
            described = ", ".join(f"{k} {_limits(v)}" for k, v in options.items())
            click.echo(f"  {name:<20}  {entry.summary}" + (f" [{described}]" if described else ""))


def _describe(entry: catalog.Entry) -> None:
    click.echo(entry.text)
    if entry.digest:
        click.echo(f"  {entry.path}")
    null, practice = (entry.constants.get(word, {}) for word in ("NULL", "PRACTICE"))
    for key, option in entry.constants.get("OPTIONS", {}).items():
        told = {
            "default": entry.variant.get(key, option.get("default")),
            "null": null.get(key),
            "practice": practice.get(key),
        }
        values = "".join(f"; {word} {value}" for word, value in told.items() if value is not None)
        about = f": {option['description']}" if "description" in option else ""
        click.echo(f"  {key} {_limits(option)}{about}{values}")


def _limits(option: dict[str, Any]) -> str:
    if "choices" in option:
        return "|".join(map(str, option["choices"]))
    low = option.get("ge", option.get("gt"))
    high = option.get("le", option.get("lt"))
    if low is None and high is None:
        return option["type"]
    left, right = "[" if "ge" in option else "(", "]" if "le" in option else ")"
    return f"in {left}{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}{right}"


def _need_data(specs: list[Any], runs: Any, data_dir: str | None) -> None:
    """Fetch the data sets of missing runs that are not on disk."""
    _fetch_missing([spec.data for spec in specs if not runs.complete(spec)], data_dir)


def _fetch_missing(names: list[str], data_dir: str | None) -> None:
    """Fetch the data sets that are not on disk."""
    from rethinking import data as sets

    for name in dict.fromkeys(names):
        if not sets.where(name, data_dir).is_dir():
            sets.fetch(name, data_dir, say=lambda line: click.echo(line, err=True))


# --- figures --------------------------------------------------------------------------------------


def figure_options(command):
    """The options that say what a figure is drawn for."""
    for option in (
        click.option("--model", shell_complete=_names("models"), help="Another network than the figure's own."),
        click.option("--seeds", type=click.IntRange(1, 1000), help="Number of seeds; default the figure's own."),
        click.option(
            "--scale",
            default="quick",
            show_default=True,
            help="quick (minutes, reduced), cpu (hours on a CPU) or paper (the paper's sizes, for a GPU).",
        ),
        click.argument("figures", nargs=-1, required=True, shell_complete=_names("figures")),
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


@main.command()
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
        _need_data(missing, runs, data_dir)
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


@main.command()
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


# --- runs -----------------------------------------------------------------------------------------


@main.command()
@click.option(
    "--spec",
    "spec_file",
    type=_Path(path_type=Path),
    help="A spec.json, or - for standard input, instead of the options below.",
)
@click.option("--data", shell_complete=_names("data"), help="Data set.  [default: cifar10]")
@click.option("--n", type=int, help="The first n training images.  [default: all]")
@click.option(
    "--model",
    shell_complete=_names("models"),
    metavar="NAME[,KEY=VALUE]",
    help="Network, as mlp-1x512,width=64.  [default: inception]",
)
@click.option("--corruption", multiple=True, metavar="NAME[=VALUE][,KEY=VALUE]", help="partial_labels=0.5; repeatable.")
@click.option("--regularize", multiple=True, metavar="NAME[=VALUE][,KEY=VALUE]", help="weight_decay=5e-4; repeatable.")
@click.option("--batch-size", type=int, help="Examples in a batch.  [default: 128]")
@click.option("--lr", "learning_rate", type=float, help="Learning rate at the start.  [default: the paper's]")
@click.option("--momentum", type=float, help="Of SGD.  [default: 0.9]")
@click.option("--lr-decay", type=float, help="Factor on the learning rate each --decay-every.  [default: 0.95]")
@click.option("--decay-every", type=int, help="Steps between decays of the learning rate.  [default: 391]")
@click.option("--steps", type=int, help="Budget in batches.  [default: 25024]")
@click.option("--stop", help="fitted (when every training example is right) or budget.  [default: budget]")
@click.option("--eval-every", type=int, help="Steps between evaluations.  [default: 391]")
@click.option("--interim-test", type=int, help="Test images in evaluations before the last.  [default: 2000]")
@click.option(
    "--evaluation", help="all, or probe: 2,000 training images, and all where the fit is near.  [default: all]"
)
@click.option("--test-labels", help="true, or corrupted like the training labels.  [default: true]")
@click.option("--held-out", type=int, help="Hold the last so many of the n images out and measure them.  [default: 0]")
@click.option("--bootstrap", is_flag=True, help="Train on a bootstrap sample of the training images.")
@click.option(
    "--keep", multiple=True, help="test_logits, crop_logits or weight_quantiles, into the record; repeatable."
)
@click.option("--seed", type=int, help="Of initial weights and batch order.  [default: 0]")
@click.option("--data-seed", type=int, help="Of the corruption.  [default: 0]")
@click.option("--precision", help="float32, bfloat16, or auto: what is fastest on the device.  [default: float32]")
@click.option("--until", type=click.IntRange(0), help="With --compare: of the record's curve, up to this step only.")
@click.option("--compare", is_flag=True, help="Train it again elsewhere and compare with the record; exit 1 if other.")
@anew_option
@click.option("--with", "other_dir", type=_Path(), help="With --compare: a folder whose record of it is compared.")
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
    from rethinking.spec import LARGEST, Part, RunSpec, Spec

    given = {k: v for k, v in fields.items() if v is not None and v is not False and v != ()}
    if until is not None and not compare:
        raise InputError("--until is given without --compare: add it, or give the budget as --steps")
    if other_dir is not None and not compare:
        raise InputError("--with is given without --compare: add it, or name the folder as --runs")
    device = local.resolve_device(device)
    if spec_file is not None:
        if given:
            option = next(iter(given)).replace("learning_rate", "lr").replace("_", "-")
            raise InputError(f"--{option} is given beside --spec: change the file or leave --spec out")
        standard = str(spec_file) == "-"
        spec: Spec = Spec.from_bytes(sys.stdin.buffer.read(LARGEST + 1)) if standard else Spec.from_file(spec_file)
    else:
        corruptions = tuple(Part.parse("corruptions", text) for text in given.pop("corruption", ()))
        parts = tuple(Part.parse("regularizers", text) for text in given.pop("regularize", ()))
        if "model" in given:
            network = Part.parse("models", given["model"])
            given |= {"model": network.name, "model_options": network.options}
        given["precision"] = local.resolve_precision(given.get("precision", "float32"), device)
        spec = RunSpec.make(corruptions=corruptions, regularizers=parts, **given)
    runs = Runs(runs_dir, checkpoints)
    record = runs.find(spec)
    if not compare:
        _need_data([spec], runs, data_dir)
        failures = local.run([spec], runs, device=device, workers=1, data_dir=data_dir, anew=anew)
        if failures:
            raise InputError(f"{spec.run_id} failed: {failures[0].reason}")
        _print_record(runs.named(spec.run_id))
        return 0
    if record is None:
        raise InputError(f"{spec.run_id} has no record in {runs_dir} to compare with: run it without --compare")
    from rethinking.verify import made_again

    if other_dir is None:
        _fetch_missing([spec.data], data_dir)
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
        _print_made_by(made)
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


@main.command()
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
        _print_record(record)


def _print_record(record: Any) -> None:
    result, made = record.result, record.environment
    click.secho(record.path.name, bold=True)
    for key, value in record.spec.identity.items():
        click.echo(f"  {key}: {json.dumps(value)}")
    if result["status"] == "computed":
        for row in record.rows:
            click.echo("  " + ", ".join(f"{k}: {v:.6g}" for k, v in row.items()))
        _print_made_by(made)
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
    _print_made_by(made)


def _print_made_by(made: dict[str, Any]) -> None:
    click.echo(
        f"  made by: commit {made.get('commit')}, torch {made.get('torch')}, {made.get('device_name')}, "
        f"{made.get('threads')} threads, {made.get('precision')}, {made.get('seconds')} s"
    )


@main.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--unreferenced", is_flag=True, help="Also runs that no figure needs or was drawn from, as of `run`.")
@click.option("--weights", is_flag=True, help="Delete the weights of complete runs, and nothing else.")
@out_option
@runs_option
@checkpoints_option
def prune(yes: bool, unreferenced: bool, weights: bool, out: str, runs_dir: str, checkpoints: str | None) -> None:
    """Delete unfinished runs of figures, and what killed processes left half written, asking first.

    A run that no figure needs or was drawn from is left alone unless --unreferenced is given. What is being made, and
    what has a link in it, is always left alone. A checkpoint goes, too, whose run's folder is gone, and which is older
    than an hour.
    """
    from rethinking.record import Runs, archived

    runs = Runs(runs_dir, checkpoints)
    kept = _needed(out) | archived(runs.root)
    doomed, swept, left = [], [], Counter[str]()
    for found in runs.survey():
        name = found.path.name
        kind = ("" if found.complete else "unfinished ") + ("" if name in kept else "unreferenced ")
        if found.link:
            click.echo(f"  kept, {found.link} is a link: {name}")
        elif not found.run:
            click.echo(f"  kept, not a run: {name}")
        elif found.busy:
            click.echo(f"  kept, a process is making it: {name}")
        elif weights:
            if found.complete and found.weights:
                doomed.append(found)
                click.echo(f"  weights       {name}")
        else:
            swept += [found] if found.temporary else []
            if kind and ("unreferenced" not in kind or unreferenced):
                doomed.append(found)
                click.echo(f"  {kind.strip().replace(' ', ', '):<13} {name}")
            elif kind:
                left[kind.strip().replace(" ", ", ")] += 1
    strays = [] if weights else runs.strays()
    for path in strays:
        click.echo(f"  {'checkpoint' if path.is_dir() else 'half-written':<13} {path.name}")
    for kind, count in left.items():
        click.echo(f"  kept: {count} runs, {kind}: give --unreferenced")
    what = "the weights of " if weights else ""
    orphans = [path for path in strays if path.is_dir()]
    files = sum(len(found.temporary) for found in swept) + len(strays) - len(orphans)
    half = f"{files} half-written files" if files else ""

    def counted(runs: int, checkpoints: int) -> str:
        told = [f"{what}{runs} runs" if doomed else "", half]
        return " and ".join(filter(None, [*told, f"{checkpoints} checkpoints without a run" if orphans else ""]))

    question = counted(len(doomed), len(orphans))
    if not question:
        click.echo("nothing to prune")
    elif yes or click.confirm(f"delete {question}?"):
        runs.writable()
        done = 0
        for found in swept:
            runs.delete(found, only="temporary")
        for path in strays:
            reason = runs.sweep(path)
            if reason:
                click.echo(f"  kept, {reason}: {path.name}")
                orphans = [each for each in orphans if each != path]
        for found in doomed:
            reason = runs.delete(found, only="weights" if weights else "run")
            done += not reason
            if reason:
                click.echo(f"  kept, {reason}: {found.path.name}")
        click.echo(f"deleted {counted(done, len(orphans)) or 'nothing'}")


def _needed(out: str) -> set[str]:
    """The runs that a figure needs at any scale, or was drawn from."""
    from rethinking import figures as fig
    from rethinking.engines.local import resolve_precision

    kept = {run for path in Path(out).glob("*.json") for run in fig.drawn(path)["runs"]}
    for name, entry in catalog.entries("figures").items():
        for scale in fig.SCALES:
            for model in entry.constants["MODELS"]:
                chosen = fig.setting(name, scale, model, None, resolve_precision("auto", "cpu"))
                kept |= {spec.run_id for spec in fig.unique(fig.specs(name, chosen))}
    return kept


@main.command()
@runs_option
def digest(runs_dir: str) -> None:
    """Bind records made before records held digests: add a line for each of their files to runs/DIGESTS.

    It never changes a line. A record that is not what its lines say is named, and nothing is added.
    """
    from rethinking.record import Runs

    added = Runs(runs_dir).digest()
    click.echo(f"{Path(runs_dir) / 'DIGESTS'}: {added} lines added" if added else "every record is bound already")


@main.command()
@click.option("--deep", type=click.IntRange(0), default=0, help="Make so many records again, and compare every bit.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the choice of those records.")
@device_option
@out_option
@runs_option
@data_option
def verify(deep: int, seed: int, device: str, out: str, runs_dir: str, data_dir: str | None) -> int:
    """Check every record against its spec and digests, and every drawn figure against its records.

    A finding is a line; the exit status is 1 where there is any. Records that took more than ten minutes are not made
    again by --deep.
    """
    from itertools import chain

    from rethinking import verify as checks
    from rethinking.engines.local import resolve_device
    from rethinking.record import Runs

    runs, device = Runs(runs_dir), resolve_device(device)
    for folder in (runs.root, Path(out)):
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder: name it with --{'runs' if folder is runs.root else 'out'}")
    again = checks.deep(runs, deep, seed, device=device, data_dir=data_dir) if deep else ()
    count = 0
    for finding in chain(checks.records(runs), checks.drawn(runs, Path(out)), again):
        click.echo(finding)
        count += 1
    records, figures = (len(list(place.glob(p))) for place, p in ((runs.root, "*/result.json"), (Path(out), "*.json")))
    click.echo(f"{records} records and {figures} drawn figures: {count or 'no'} findings")
    return int(count > 0)


@main.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where the section is stale.")
@click.option("--readme", default="README.md", show_default=True, type=_Path(path_type=Path), help="The file.")
@out_option
@runs_option
def report(check: bool, readme: Path, out: str, runs_dir: str) -> int:
    """Write the README's results section from the records: our numbers beside the paper's, and every verdict."""
    from rethinking import report as section
    from rethinking.record import Runs

    fresh = section.update(readme, Runs(runs_dir), Path(out), check=check)
    if check and not fresh:
        click.echo(f"{readme}: the results section is stale: run `rethinking report`", err=True)
    else:
        click.echo(f"{readme}: the results section is {'up to date' if fresh else 'written'}")
    return int(check and not fresh)


# --- data -----------------------------------------------------------------------------------------


@main.group()
def data() -> None:
    """Get, verify and find data sets."""


@data.command()
@click.argument("names", nargs=-1, required=True, shell_complete=_names("data"))
@click.option("--from", "source", type=_Path(), help="A folder that holds the official files or the fallback's.")
@data_option
def fetch(names: tuple[str, ...], source: str | None, data_dir: str | None) -> None:
    """Get data sets: a copy on disk, the official download, then the fallback; verified by SHA-256."""
    from rethinking import data as sets

    for name in names:
        catalog.find("data", name)
    for name in names:
        sets.fetch(name, data_dir, source=source, say=lambda line: click.echo(line, err=True))


@data.command()
@click.argument("names", nargs=-1, required=True, shell_complete=_names("data"))
@data_option
def check(names: tuple[str, ...], data_dir: str | None) -> None:
    """Verify the copies on disk by SHA-256."""
    from rethinking import data as sets

    for name in names:
        click.echo(f"{name}: right, in {sets.check(name, data_dir)}")


@data.command()
@click.argument("name", shell_complete=_names("data"))
@data_option
def where(name: str, data_dir: str | None) -> None:
    """Print the folder of a data set, which may not exist yet."""
    from rethinking import data as sets

    click.echo(sets.where(name, data_dir))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--model", "models", multiple=True, shell_complete=_names("models"), help="Only these; repeatable.")
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(1), help="Interleaved repetitions.")
@click.option("--precision", default="auto", show_default=True, help="Of our loop: float32, bfloat16 or auto.")
@click.option("--device", default="cpu", show_default=True, help="A torch device.")
def bench(as_json: bool, models: tuple[str, ...], rounds: int, precision: str, device: str) -> None:
    """Time a training step of each network against plain PyTorch loops and the matrix-multiply peak, as ratios."""
    from rethinking import bench as benchmark
    from rethinking.engines.local import resolve_precision

    chosen = list(models) or benchmark.PAPER_NETWORKS
    for name in chosen:
        catalog.find("models", name)
    results = benchmark.measure(chosen, rounds=rounds, precision=resolve_precision(precision, device), device=device)
    click.echo(json.dumps(results, indent=1) if as_json else benchmark.table(results))
