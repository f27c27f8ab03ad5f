"""The command `rethinking`, with all of its commands."""

import click

from rethinking.cli.bench import bench
from rethinking.cli.cite import cite, whence
from rethinking.cli.compare import compare
from rethinking.cli.data import data
from rethinking.cli.export import export
from rethinking.cli.figure import figure
from rethinking.cli.group import Group
from rethinking.cli.listing import list_
from rethinking.cli.plan import plan
from rethinking.cli.probe import probe
from rethinking.cli.prune import prune
from rethinking.cli.report import report
from rethinking.cli.runs import run
from rethinking.cli.show import show
from rethinking.cli.slides import slides
from rethinking.cli.status import status
from rethinking.cli.upkeep import digest, verify


def _version(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    if given:
        from rethinking import revision

        click.echo(f"rethinking, version {revision.told()}")
        context.exit()


@click.group(
    cls=Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version, with the commit where there is one.",
)
@click.pass_context
def main(context: click.Context) -> None:
    """Replicates "Understanding deep learning requires rethinking generalization" (Zhang et al., ICLR 2017).

    \b
    rethinking figure fig1a         train what is missing, draw Figure 1(a), judge the paper's claims
    rethinking plan fig1a           what that would train, and for how long
    rethinking status               what is being trained, where, and how far it is
    rethinking list                 data sets, corruptions, networks, regularizers, probes, figures
    rethinking run --model alexnet --corruption partial_labels=0.5 --n 5000

    Runs are kept in runs/ and never trained twice; figures come out in figures/. Anything can be stopped with
    Ctrl-C and goes on: training from its last checkpoint, other runs anew. Completion in bash:
    eval "$(_RETHINKING_COMPLETE=bash_source rethinking)".
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (
    list_,
    figure,
    plan,
    run,
    probe,
    show,
    status,
    prune,
    digest,
    verify,
    report,
    slides,
    cite,
    whence,
    compare,
    export,
    data,
    bench,
):
    main.add_command(command)
