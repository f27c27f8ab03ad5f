"""The engine on a Ray cluster: the runs of the local engine, made by its nodes, recorded by this process.

No disk is shared. A node returns a finished record as bytes, and this process reads it and puts it in place with a
rename, so that whatever is lost, a node or this process, what is recorded stays and the same command goes on. What is
in flight is at most a few runs for each core, so this process holds no more than those.
"""

import math
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rethinking import revision
from rethinking.engines import node
from rethinking.engines.connection import Share, connected, first_line
from rethinking.engines.fleet import Fleet
from rethinking.engines.local import Failure, default_workers, stopping
from rethinking.engines.made_with import deciding
from rethinking.engines.progress import Progress
from rethinking.engines.roster import Roster
from rethinking.errors import InputError
from rethinking.record import Runs
from rethinking.spec import ProbeSpec, Spec, kind_of

LEAST = 0.0001  # of a GPU that a run can take, the finest that Ray counts
UNTOUCHED = {"LD_PRELOAD"}  # of what decides arithmetic: it names a file of one machine


def device_of(device: str, gpus: float) -> str:
    """The device of a cluster's runs, "cpu" or "cuda". gpus: of each run, 0 where none was asked for.

    Raises InputError for one GPU, which Ray hands out, and for a word that does not fit the number of GPUs.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"--device is {device!r}, and the engine ray hands out the GPUs: give auto, cpu or cuda")
    if not (math.isfinite(gpus) and (gpus == 0 or LEAST <= gpus <= 1 or (gpus > 1 and gpus == int(gpus)))):
        share = f"a share of one GPU from {LEAST:g} on, as 0.25"
        raise InputError(f"--gpus-per-run is {gpus:g}, allowed are {share}, and whole numbers")
    if device == "cpu" and gpus:
        raise InputError(f"--gpus-per-run is {gpus:g} beside --device cpu: leave one of them out")
    if device == "cuda" and not gpus:
        raise InputError("--device is cuda, and --gpus-per-run is not given: give how many a run takes, as 1 or 0.25")
    return "cuda" if gpus else "cpu"


def run(
    specs: Sequence[Spec],
    runs: Runs,
    *,
    address: str | None = None,
    gpus: float = 0.0,
    workers: int | None = None,
    data_dir: str | None = None,
    wait: bool = True,
    anew: bool = False,
    deadline: float = math.inf,
    quiet: bool = False,
    threads: int = 1,
) -> list[Failure]:
    """Make every run of `specs` that is not complete, as `rethinking.engines.local.run` does, on a cluster's nodes.

    A run whose node is lost is made again elsewhere: from its checkpoint where the folder of checkpoints is another
    than that of the records and the nodes share it, else from its beginning. Ctrl-C and SIGTERM end what is in flight.
    Where the cluster's head or this node's own Ray is lost, Ray ends this process, with status 1.

    Args:
        address: HOST:PORT of the cluster; None for one that is started on this machine, and ended in the end.
        gpus: of each run: 0 for the CPU, a share of one GPU, or a whole number. workers: the most runs in flight; of a
        cluster that is started here its cores. threads: the cores of a run on the CPU.
        Others are those of the local engine.

    Returns:
        The runs that failed, with the reason.

    Raises:
        InputError: no such cluster, a wrong token, too few cores or GPUs, now or once nodes are lost; a node that lacks
        the data, or has another version of the package or of a plug-in, or does not say.
    """
    waiting = [spec for spec in specs if not runs.complete(spec)]
    if not waiting or time.monotonic() >= deadline:
        return []
    device = "cuda" if gpus else "cpu"
    cores = (workers or default_workers("cpu")) * threads
    failures: list[Failure] = []
    job = uuid.uuid4().hex[:12]
    with stopping(), connected(address, cores, gpus) as cluster:  # Ray takes a while to start
        parts = [(part, Share(threads, gpus, alone)) for part, alone in _parts(waiting, runs, device)]
        terms = _terms(job, waiting, runs, device=device, alone=False, data_dir=data_dir, threads=threads)
        roster = Roster(cluster, terms)
        for _, share in parts:
            cluster.check_room(share)
        roster.check(cluster.nodes(Share(threads, gpus)))
        runs.writable()
        notes = roster.check_shared()
        for part, share in parts:
            terms = replace(terms, alone=share.alone)
            room = sum(cluster.nodes(share, roster.fit).values())
            at_once = max(1, min(room, len(part), *([workers] if workers else [])))
            with Progress(part, at_once, quiet) as progress:
                while notes:
                    progress.note(notes.pop())
                fleet = Fleet(cluster, terms, share, part, runs, progress, roster)
                fleet.anew, fleet.deadline = anew, deadline
                fleet.most = workers if address is not None else None
                try:
                    fleet.work(wait)
                except (InputError, cluster.ray.exceptions.RayError) as error:
                    told = str(error)
                    if not isinstance(error, InputError):
                        told = f"the connection to {cluster.address} was lost ({first_line(error)})"
                        told += ": see to the cluster, and the same command goes on"
                    if before := [*failures, *fleet.failures]:
                        first = f"{before[0].spec.run_id}: {before[0].reason}"
                        told += f"; runs that had failed before: {len(before)}, the first {first}"
                    raise InputError(told) from None
                finally:
                    fleet.dismiss()
            failures += fleet.failures
            if time.monotonic() >= deadline:
                break
    return failures


def _parts(specs: Sequence[Spec], runs: Runs, device: str) -> list[tuple[list[Spec], bool]]:
    """The runs in the order in which they can be made: networks, what measures them, and what has a node to itself."""
    measured = {s.run.run_id: s.run for s in specs if isinstance(s, ProbeSpec) and not runs.complete(s.run)}
    every = {**measured, **{spec.run_id: spec for spec in specs}}.values()
    alone = [device == "cpu" and kind_of(spec).alone for spec in every]
    ranked = [(spec, (lonely, isinstance(spec, ProbeSpec))) for spec, lonely in zip(every, alone, strict=True)]
    ranks = sorted({rank for _, rank in ranked})
    return [([spec for spec, rank in ranked if rank == each], each[0]) for each in ranks]


def _terms(
    job: str, specs: Sequence[Spec], runs: Runs, *, device: str, alone: bool, data_dir: str | None, threads: int
) -> node.Terms:
    kinds = {(tuple(sorted(spec.plug_ins.items())), spec.data): spec for spec in specs}
    shared = runs.checkpoints if runs.checkpoints != runs.root else None
    folders = [os.path.abspath(os.path.expanduser(f)) for f in os.environ.get(node.PLUG_INS, "").split(os.pathsep) if f]
    return node.Terms(
        job=job,
        code=revision.code(),
        version=revision.told(),
        specs=tuple(spec.to_json() for spec in kinds.values()),
        plug_ins=tuple(plug_ins for plug_ins, _ in kinds),
        plug_in_folders=os.pathsep.join(folders),
        data_dir=str(Path(data_dir).absolute()) if data_dir else None,
        device=device,
        alone=alone,
        threads=threads,
        variables=tuple((name, os.environ[name]) for name in sorted(deciding(os.environ) - UNTOUCHED)),
        checkpoints=None if shared is None else str(shared.absolute()),
        owner=str(runs.root.absolute()),
    )
