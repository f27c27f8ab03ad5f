"""The options that say what figures are drawn for."""

from typing import Any

import click

from rethinking import catalog
from rethinking.cli.options import among, completed, named
from rethinking.errors import InputError

SCALES = ("quick", "cpu", "paper")  # as of rethinking.figures, which takes a while to import


def figure_options(command):
    """Options of a command: the figures, and what they are drawn for."""
    for option in (
        click.option("--model", shell_complete=completed("models"), help="Another network than the figure's own."),
        click.option(
            "--data",
            shell_complete=completed("data"),
            callback=named,
            help="Another data set than the paper's CIFAR-10.",
        ),
        click.option("--crop", type=click.IntRange(1), help="Side of the centre square that is kept of each image."),
        click.option("--seeds", type=click.IntRange(1, 1000), help="Number of seeds; default the figure's own."),
        click.option(
            "--scale",
            default="quick",
            show_default=True,
            shell_complete=among(SCALES),
            help="quick (minutes, reduced), cpu (hours on a CPU) or paper (the paper's sizes, for a GPU).",
        ),
        click.argument("figures", nargs=-1, shell_complete=among(lambda: ("all", *catalog.names("figures")))),
    ):
        command = option(command)
    return command


def settings(
    figures: tuple[str, ...],
    scale: str,
    *,
    device: str,
    model: str | None,
    seeds: int | None,
    data: str | None,
    crop: int | None,
) -> list[Any]:
    """Name and setting of each of the figures, "all" being every one that can be of the data. Raises InputError."""
    from rethinking.engines.local import resolve_precision
    from rethinking.figures import setting

    if not figures:
        raise InputError("no figure is given: name one, or all; `rethinking list figures` has them")
    if "all" in figures and len(figures) > 1:
        raise InputError(f"figures are {' '.join(figures)}: all is every figure, and stands alone")
    names = catalog.names("figures") if figures == ("all",) else list(dict.fromkeys(figures))
    if figures == ("all",) and (data or crop):
        names = [name for name in names if catalog.find("figures", name).constants.get("OTHER_DATA")]
    precision = resolve_precision("auto", device)
    return [(name, setting(name, scale, model, seeds, precision, data, crop)) for name in names]
