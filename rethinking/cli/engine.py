"""Where runs are made: the options that say so, and what a command does with them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from rethinking.cli.options import among, check_before, named, need_data
from rethinking.errors import InputError

ENGINES = ("local", "ray")


engine_option = click.option(
    "--engine",
    default="local",
    show_default=True,
    shell_complete=among(ENGINES),
    help="local, this machine, or ray, a Ray cluster.",
)
address_option = click.option(
    "--address",
    callback=named,
    help="With --engine ray: HOST:PORT of the cluster; else $RAY_ADDRESS, else one is started on this machine.",
)
gpus_option = click.option(
    "--gpus-per-run",
    type=float,
    help="With --engine ray: GPUs of a run, a share as 0.25 or whole; else the CPU.",
)


def engine_options(command):
    """The options that name the engine, and where it is."""
    return engine_option(address_option(gpus_option(command)))


@dataclass(frozen=True)
class Engine:
    """What makes the runs of a command.

    Attributes:
        device: "cpu", "cuda" or one GPU, of its runs. address, gpus: of a Ray cluster.
    """

    name: str
    device: str
    address: str | None = None
    gpus: float = 0.0

    def run(
        self, specs: Sequence[Any], runs: Any, *, workers: int | None, data_dir: str | None, quiet: bool, **options: Any
    ) -> list[Any]:
        """Make the runs that are missing, what they need being looked at first. Returns those that failed."""
        from rethinking.engines import cluster, local

        missing = [spec for spec in specs if not runs.complete(spec)]
        options |= {"workers": workers, "data_dir": data_dir, "quiet": quiet}
        if self.name == "ray":
            check_before(missing, runs, self.device, None, here=False)
            return cluster.run(specs, runs, address=self.address, gpus=self.gpus, **options)
        check_before(missing, runs, self.device, workers)
        need_data(missing, runs, data_dir, quiet)
        return local.run(specs, runs, device=self.device, **options)


def engine_of(name: str, device: str, gpus: float | None, address: str | None = None) -> Engine:
    """The engine that is asked for. Raises InputError for one that there is not, and for options of another."""
    from rethinking.engines import cluster, local

    if name not in ENGINES:
        raise InputError(f"--engine is {name!r}, allowed are {' and '.join(ENGINES)}")
    if name == "local":
        for option, given in (("--address", address), ("--gpus-per-run", gpus)):
            if given is not None:
                raise InputError(f"{option} is given, and the engine is local: add --engine ray, or leave it out")
        return Engine(name, local.resolve_device(device))
    device = cluster.device_of(device, gpus or 0.0)
    return Engine(name, device, address or os.environ.get("RAY_ADDRESS") or None, gpus or 0.0)
