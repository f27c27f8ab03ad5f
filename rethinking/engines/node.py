"""What a node of a Ray cluster does: it says what it lacks, and makes one run at a time.

Ray's own process trains nothing. It keeps a process as those of the local engine, with the same command, environment
variables and threads, so that a run has the same bits on both. The record is made in a scratch folder of the node, and
what it holds is returned as bytes.
"""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from rethinking.errors import InputError

EVERY = 1.0  # seconds between what is told of a run
POLL = 0.25  # seconds between looks at whether Ray wants the task to end
PATIENCE = 20.0  # seconds for a run to write its checkpoint when it is stopped
SCRATCH = "rethinking-run-"  # what the names of scratch folders begin with
FORGOTTEN = 60.0  # seconds after which a scratch folder without a live process is a killed one's
PLUG_INS = "RETHINKING_PLUGINS"


@dataclass(frozen=True)
class Terms:
    """What the runs of one command share, wherever they are made, and what a node must have for them.

    Attributes:
        job: a name for the command, in those of its scratch folders. code, version: of the package, as
        `rethinking.revision` has them. specs: JSON texts, one spec for each choice of plug-ins and data; their digests
        of plug-ins are those of `plug_ins`. plug_in_folders: the driver's RETHINKING_PLUGINS, for a node without its
        own. data_dir: the folder of data sets, None for the node's own. device: "cpu" or "cuda". alone, threads: as of
        the local engine's processes. variables: the driver's environment variables that change arithmetic.
        checkpoints: a folder that nodes may share, None where each keeps its own. owner: the driver's folder of
        records.
    """

    job: str
    code: str
    version: str
    specs: tuple[str, ...]
    plug_ins: tuple[tuple[tuple[str, str], ...], ...]
    plug_in_folders: str
    data_dir: str | None
    device: str
    alone: bool
    threads: int
    variables: tuple[tuple[str, str], ...]
    checkpoints: str | None
    owner: str


def host() -> str:
    """This node's name, as lines about it have it."""
    return socket.gethostname()


def say(function: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """What a function gives, the way that `make` tells of a run: where that does not get through, nor will this."""
    yield function(*arguments)


def lacks(terms: Terms) -> str | None:
    """Why this node cannot make the runs, in a line; None where it can. Data sets are read, which takes a while."""
    reason = _lacks(terms)
    return reason and f"node {host()} {reason}"


@lru_cache(maxsize=8)
def _prepared(terms: Terms) -> None:
    """Have this process, and those that it starts, find plug-ins and data sets."""
    _sweep()
    os.environ.setdefault(PLUG_INS, terms.plug_in_folders)
    if terms.data_dir:
        os.environ["RETHINKING_DATA"] = terms.data_dir


@lru_cache(maxsize=8)
def _lacks(terms: Terms) -> str | None:
    _prepared(terms)
    from rethinking import revision
    from rethinking.spec import from_json

    if revision.code() != terms.code:
        there = revision.told()
        other = there if there != terms.version else f"{there}, with other code"
        return f"has another version of the package ({other}; here {terms.version}): install the same one there"
    try:
        from rethinking import data

        for text, wanted in zip(terms.specs, terms.plug_ins, strict=True):
            found, here = from_json(text).plug_ins, dict(wanted)
            for name in sorted(found.keys() | here.keys()):
                if found.get(name) != here.get(name):
                    told = f"digest {found.get(name, 'none')}; here {here.get(name, 'none')}"
                    return f"has another version of the plug-in {name} ({told}): put the same file there"
        for name in dict.fromkeys(from_json(text).data for text in terms.specs):
            data.check(name, terms.data_dir)
    except (InputError, OSError) as error:
        return f"lacks what the runs need: {error}"
    return None


def _sweep() -> None:
    """Delete what processes that were killed have left on this node, as where its Ray was."""
    from rethinking.record.lease import held
    from rethinking.record.parcel import UNPACKED

    place = Path(tempfile.gettempdir())
    for folder in (*place.glob(f"{SCRATCH}*"), *place.glob(f"{UNPACKED}*")):
        with suppress(OSError):  # gone meanwhile, or another user's
            old = time.time() - folder.stat().st_mtime > FORGOTTEN
            if old and not any(held(run) for run in folder.iterdir()):
                shutil.rmtree(folder, ignore_errors=True)


def shares(terms: Terms) -> bool:
    """Whether the folder of checkpoints is on this node."""
    return terms.checkpoints is not None and os.path.isdir(terms.checkpoints)


def make(terms: Terms, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Make a run, and tell of it: a Ray task, whose end at any moment stops the run with a checkpoint.

    Args:
        job: "spec" and "anew" as a worker is given them, "name" of the run, and "given": folder -> files, of other
        records that the run needs.

    Yields:
        {"event": "begin"}, {"event": "resumed", "step": ...}, now and then {"event": "progress", "step":
        {"step": ...}, "row": ...}, and at last one of {"event": "done", "row": ..., "files": {folder: {file: bytes}}},
        of the record and of what was made besides; {"event": "busy"}; {"event": "stopped"}, where somebody else than
        Ray has told the process to end; {"event": "error", "message": ..., "retry": bool}.
    """
    _prepared(terms)
    worker = _worker(terms, os.environ.get("CUDA_VISIBLE_DEVICES"))
    finished = False
    try:
        yield {"event": "begin"}
        yield from worker.make(job)
        finished = True
    finally:
        if not finished:
            worker.stop()
        shutil.rmtree(worker.scratch, ignore_errors=True)


def settle(terms: Terms) -> int:
    """Wait until the runs that were told to end have ended on this node, and delete what they have left.

    Returns:
        How many scratch folders were deleted.
    """
    place, end = Path(tempfile.gettempdir()), time.monotonic() + PATIENCE
    while (left := [*place.glob(f"{_prefix(terms)}*")]) and time.monotonic() < end:
        time.sleep(POLL)
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return len(left)


def _prefix(terms: Terms) -> str:
    return f"{SCRATCH}{terms.job}-"


_kept: "dict[tuple[Terms, str | None], _Worker]" = {}


def _worker(terms: Terms, visible: str | None) -> "_Worker":
    """The process that makes runs on such terms, of this process; visible: the GPUs that Ray lends to the run."""
    key = replace(terms, specs=(), plug_ins=()), visible  # what a process depends on, whatever its runs
    worker = _kept.get(key)
    if worker is None or worker.process.poll() is not None:
        for other in _kept.values():  # one at a time: each holds memory
            other.stop()
        _kept.clear()
        worker = _kept[key] = _Worker(terms)
    return worker


class _Worker:
    """A process of `rethinking.engines.worker`.

    Attributes:
        scratch: where it makes a record; it is there while a run is made.
    """

    def __init__(self, terms: Terms) -> None:
        from rethinking.engines.local import command, worker_environment
        from rethinking.engines.made_with import deciding

        self.scratch = Path(tempfile.mkdtemp(prefix=_prefix(terms)))
        self.scratch.rmdir()
        checkpoints = terms.checkpoints if shares(terms) else None
        places = (str(self.scratch), "cuda:0" if terms.device == "cuda" else "cpu", checkpoints or str(self.scratch))
        rest = (str(self.scratch), terms.data_dir, str(terms.threads), terms.owner)
        ours = {name: value for name, value in os.environ.items() if name not in deciding(os.environ)}
        self.process = subprocess.Popen(
            command("engines.worker", *places, *rest),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=worker_environment(terms.device, terms.alone, terms.threads, ours | dict(terms.variables)),
            start_new_session=True,
        )

    def make(self, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """As `make` yields it."""
        from rethinking.record import parcel

        self.scratch.mkdir(mode=0o700)
        for folder, files in job["given"].items():
            parcel.spread(files, self.scratch / folder)
        with suppress(BrokenPipeError):  # it has died: its output is at its end
            assert self.process.stdin is not None
            words = {"spec": job["spec"], "until": None, "anew": job["anew"], "again": []}
            self.process.stdin.write(json.dumps(words).encode() + b"\n")
            self.process.stdin.flush()
        news: dict[str, Any] = {}
        last = time.monotonic()
        for event in self._events():
            match event:
                case {"event": "step", **told}:
                    news["step"] = told
                case {"event": "evaluation", **row}:
                    news["row"] = row
                case {"event": "done"}:
                    yield {**event, **news, "files": self._files(job)}
                    return
                case {"event": "resumed"}:
                    yield event
                case {"event": "busy" | "error"}:
                    yield event
                    return
            if news and time.monotonic() - last >= EVERY:
                yield {"event": "progress", **news}
                news, last = {}, time.monotonic()
        code = self.process.wait()
        if code in (128 + signal.SIGTERM, -signal.SIGTERM):  # as where a batch system takes the node back
            yield {"event": "stopped"}
            return
        yield {"event": "error", "message": f"its worker ended with status {code}, twice", "retry": True}

    def _files(self, job: dict[str, Any]) -> dict[str, dict[str, bytes]]:
        """The files of the record, and those that were added to what was given."""
        from rethinking.record import parcel

        made = {job["name"]: parcel.pack(self.scratch / job["name"])}
        for folder, files in job["given"].items():
            added = {name: each for name, each in parcel.pack(self.scratch / folder).items() if name not in files}
            made |= {folder: added} if added else {}
        return made

    def _events(self) -> Iterator[dict[str, Any]]:
        """What it says, until it ends. Between its words Ray can end the task at any moment."""
        assert self.process.stdout is not None
        pipe, tail = self.process.stdout.fileno(), b""
        while True:
            if not select.select([pipe], [], [], POLL)[0]:
                continue
            chunk = os.read(pipe, 65536)
            if not chunk:
                return
            *lines, tail = (tail + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)

    def stop(self) -> None:
        """End it; a run that it is at writes its checkpoint."""
        from rethinking.engines.local import end

        self.process.terminate()
        end(self.process, PATIENCE)
