"""The lease of a run: who is making it now."""

import json
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rethinking.errors import InputError
from rethinking.record.write import Writer, write
from rethinking.spec import Spec

if TYPE_CHECKING:
    from rethinking.record.read import Runs

HEARTBEAT = 10.0  # seconds between signs of life of whoever makes a run
SILENCE = 180.0  # seconds without one after which a lease from another machine is given up


def run_named(path: Path) -> str | None:
    """The name of the run whose spec.json is at `path`, None where it is no spec."""
    try:
        return Spec.from_file(path).run_id
    except InputError:
        return None


@contextmanager
def leased(runs: "Runs", spec: Spec) -> Iterator[Writer | None]:
    """Hold a run for this process, to make it; yields None where another holds it or it is complete."""
    folder = runs.path(spec)
    if runs.complete(spec):
        yield None
        return
    runs.writable()
    folder.mkdir(exist_ok=True)
    with hold(folder) as mine:
        if mine is None or runs.complete(spec):  # finished between the two looks
            yield None
            return
        try:
            if run_named(folder / "spec.json") != spec.run_id:  # not there, or damaged
                write(folder / "spec.json", spec.to_json())
            yield Writer(folder, spec, runs.checkpoints)
        except Exception as error:  # a run that cannot be leaves nothing behind; one that the disk stops does
            if not isinstance(error, OSError) and {p.name for p in folder.iterdir()} <= {"spec.json", mine.name}:
                (folder / "spec.json").unlink(missing_ok=True)
            raise


@contextmanager
def hold(folder: Path) -> Iterator[Path | None]:
    """Hold the lease of the run in `folder`, which exists; yields its folder, None where another has it.

    A lease is the atomic mkdir of lease-<k>; the highest k owns the run. Whoever finds its owner dead (the process is
    gone, or on another machine, whose clock must agree with ours to a minute, it has been silent for SILENCE seconds)
    takes lease-<k+1>: of two who try, one succeeds, and nothing is ever taken away from a live owner. File locks would
    not do: across machines they may not exclude. A folder that is empty in the end is removed.
    """
    latest = _latest(folder)
    if held(folder):
        yield None
        return
    mine = folder / f"lease-{0 if latest is None else _number(latest) + 1}"
    try:
        mine.mkdir()
    except (FileExistsError, FileNotFoundError):  # another was first, or has just given an impossible run up
        yield None
        return
    stop = threading.Event()
    try:
        write(mine / "owner.json", json.dumps(_me()))
        beat = threading.Thread(target=_beat, args=(mine / "owner.json", stop), daemon=True)
        beat.start()
        yield mine
    finally:
        stop.set()
        for old in _leases(folder):
            if _number(old) <= _number(mine):
                shutil.rmtree(old, ignore_errors=True)
        with suppress(OSError):  # not empty
            folder.rmdir()


def _number(path: Path) -> int:
    return int(path.name.partition("-")[2])


def _leases(folder: Path) -> list[Path]:
    """The leases of a run, live or not; an earlier version of this package called them claim-<k>."""
    return [p for p in folder.glob("*-*") if is_lease(p.name)]


def is_lease(name: str) -> bool:
    """Whether a file of a run's folder has a lease's name."""
    return re.fullmatch("(lease|claim)-[0-9]{1,9}", name) is not None


def _latest(folder: Path) -> Path | None:
    return max(_leases(folder), key=_number, default=None)


def held(folder: Path) -> bool:
    """Whether a live process is making the run in `folder`."""
    latest = _latest(folder)
    return latest is not None and _alive(latest)


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        try:
            os.utime(path)
        except FileNotFoundError:
            return
        except OSError:  # a network's folder that does not answer now may do so at the next beat
            continue


def _me() -> dict[str, Any]:
    return {"host": _host(), "pid": os.getpid(), "started": _started(os.getpid())}


def _host() -> str:
    """This machine since its last start, and this process namespace: where a process id means something."""
    parts = [socket.gethostname()]
    for read_part in (
        lambda: Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        lambda: os.readlink("/proc/self/ns/pid"),
    ):
        try:
            parts.append(read_part())
        except OSError:
            continue
    return "/".join(parts)


def _started(pid: int) -> str | None:
    """When a process started, as the kernel counts; None where it is gone, a zombie, or this cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _alive(path: Path) -> bool:
    try:
        owner = json.loads((path / "owner.json").read_text())
        host, pid, started = (owner[k] for k in ("host", "pid", "started"))
        seen = (path / "owner.json").stat().st_mtime
    except (OSError, ValueError, TypeError, KeyError):
        try:
            return time.time() - path.stat().st_mtime < HEARTBEAT  # about to write its name
        except OSError:
            return False
    if host == _host() and Path("/proc/self/stat").exists():
        return _started(pid) is not None and _started(pid) == started
    return time.time() - seen < SILENCE
