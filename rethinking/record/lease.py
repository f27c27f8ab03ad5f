"""The lease of a run: who is making it now.

On the owner's own machine its process tells whether it lives. On another one the clocks may differ, so the reader
measures the owner's silence by its own clock: since it saw the time of the owner's file change last. At its first look
it has seen no change, and the silence counts from the file's time, or from now where that is in the future. So

- a command that looks once gives up a lease whose file is older than SILENCE by its clock, and takes any other as held;
- a command that waits gives up every lease after SILENCE, also one that is dated in the future;
- an owner whose clock is SILENCE or more behind looks dead at a first look: clocks must agree to two minutes there.
"""

import errno
import functools
import hashlib
import json
import math
import os
import re
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rethinking.errors import InputError
from rethinking.files import Refused, content_of, json_in
from rethinking.paths import write, written_as
from rethinking.spec import from_file

HEARTBEAT = 10.0  # seconds between signs of life of whoever makes a run
SILENCE = 180.0  # seconds without one after which a lease from another machine is given up
PATIENCE = 10.0  # seconds that whoever is done waits for its last sign of life to be written
OWNER = 10_000  # bytes of a lease's file, which has some 100
NOTES = "progress.json"  # beside owner.json

_signs: dict[Path, tuple[int, float]] = {}  # the last sign of life seen: a file's time, and when its silence began


def run_named(path: Path) -> str | None:
    """The name of the run whose spec.json is at `path`, None where it is no spec."""
    try:
        return from_file(path).run_id
    except InputError:
        return None


@contextmanager
def hold(folder: Path, notes: dict[str, Any] | None = None, brief: bool = False) -> Iterator[Path | None]:
    """Hold the lease of the run in `folder`, which exists; yields its folder, None where another has it.

    A lease is the atomic mkdir of lease-<k>; the highest k owns the run. Whoever finds its owner dead (the process is
    gone, or on another machine it has been silent for SILENCE seconds) takes lease-<k+1>: of two who try, one succeeds,
    and nothing is ever taken away from a live owner. File locks would not do: across machines they may not exclude. A
    folder that is empty in the end is removed. Where the folder was moved away meanwhile, and another process holds one
    of its name, that one's lease stays.

    Args:
        notes: what others can read of the run while it is made (`making`), written at each sign of life; may change.
        brief: it is held for far less than SILENCE, and gives no sign of life, which saves a thread. On a full disk
        it has no owner's name, so that others heed it for HEARTBEAT seconds: what makes room must be able to have it.

    Raises:
        InputError: the number of a lease is as long as a file's name can be.
    """
    latest = _latest(folder)
    if held(folder):
        yield None
        return
    mine = folder / f"lease-{0 if latest is None else _number(latest) + 1}"
    try:
        mine.mkdir()
        made = mine.stat()
    except (FileExistsError, FileNotFoundError):  # another was first, or has just given an impossible run up
        yield None
        return
    except OSError as error:
        if latest is None or error.errno != errno.ENAMETOOLONG:
            raise
        raise InputError(f"{latest} has the last number that a lease can have: delete it") from None
    stop = threading.Event()
    beat: threading.Thread | None = None
    try:
        try:
            write(mine / "owner.json", json.dumps(_bound(_me())))
        except OSError as error:
            if not brief or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
        if not brief:
            beat = threading.Thread(target=_beat, args=(mine / "owner.json", made, stop, notes or {}), daemon=True)
            beat.start()
        yield mine
    finally:
        stop.set()
        if beat is not None:
            beat.join(PATIENCE)  # else what it is writing would keep the lease's folder
        if _is_mine(mine, made):
            for old in _leases(folder):
                if _number(old) <= _number(mine):
                    _remove(old)
        with suppress(OSError):  # not empty
            folder.rmdir()


def _is_mine(lease: Path, made: os.stat_result) -> bool:
    """Whether a lease is the folder that this process has made, and no other process has named itself its owner.

    A number of a folder that is gone may be given to another one, so that it alone does not tell.
    """
    try:
        owner = _owner(lease / "owner.json")
        return os.path.samestat(lease.stat(), made) and owner in (None, tuple(_me().values()))
    except OSError:
        return False


def _remove(lease: Path) -> None:
    """Delete the files of a lease, and its folder where nothing else is in it; of a link, the link alone."""
    with suppress(OSError):
        if lease.is_symlink():  # what it leads to is somebody else's
            lease.unlink()
            return
        for file in list(lease.iterdir()):
            if is_of_a_lease(file.name):
                file.unlink(missing_ok=True)
        lease.rmdir()


def _number(path: Path) -> int:
    return int(path.name.partition("-")[2])


def _leases(folder: Path) -> list[Path]:
    """The leases of a run, live or not; an earlier version of this package called them claim-<k>."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return [folder / name for name in os.listdir(folder) if is_lease(name)]
    return []


def is_lease(name: str) -> bool:
    """Whether a file of a run's folder has a lease's name."""
    return re.fullmatch("(lease|claim)-[0-9]+", name) is not None


def is_of_a_lease(name: str) -> bool:
    """Whether a file in a lease's folder is one that `hold` writes."""
    return (written_as(name) or name) in ("owner.json", NOTES)


def _latest(folder: Path) -> Path | None:
    return max(_leases(folder), key=_number, default=None)


def held(folder: Path) -> bool:
    """Whether a live process is making the run in `folder`."""
    latest = _latest(folder)
    return latest is not None and _alive(latest)


def freed(folder: Path) -> bool:
    """Whether no live process is making the run in `folder`; leases of dead ones are then removed.

    So the process that makes it next, which may never have looked before, need not wait for their silence, too.
    """
    if held(folder):
        return False
    if _leases(folder):
        with (
            suppress(OSError, InputError),
            hold(folder),
        ):  # what stops this stops the run as well, and is reported there
            pass
    return True


def _beat(path: Path, made: os.stat_result, stop: threading.Event, notes: dict[str, Any]) -> None:
    written: dict[str, Any] = {}
    while not stop.wait(HEARTBEAT):
        try:
            if not os.path.samestat(path.parent.stat(), made):
                return
            os.utime(path)
            if notes != written:
                written = dict(notes)
                write(path.with_name(NOTES), json.dumps(written))
        except FileNotFoundError:
            return
        except OSError:  # a network's folder that does not answer now, or a full disk, may do so at the next beat
            continue


@dataclass(frozen=True)
class Making:
    """What there is to know of a run that a live process is making.

    Attributes:
        host: the machine's name; here: whether it is this one. pid: of the process. silence: seconds since its last
        sign of life. notes: how far it is; what is not known is left out, and nothing is sure of its types.
        log: the file that its process's errors go to; None where it is none, or not known.
    """

    host: str
    here: bool
    pid: int
    silence: float
    notes: dict[str, Any]
    log: str | None


def making(folder: Path) -> Making | None:
    """Who is making the run in `folder`, and how far it is; None where no live process is."""
    latest = _latest(folder)
    if latest is None or not _alive(latest):
        return None
    try:
        owner = _owner(latest / "owner.json")
        notes = _small(latest / NOTES) or {}
    except OSError:
        return None
    if owner is None:
        return None
    host, pid, _ = owner
    log = notes.get("log") if isinstance(notes.get("log"), str) else None
    here = host == _host()
    name = "".join(c for c in host.partition("/")[0] if c.isprintable())
    return Making(name, here, pid, _silence(latest / "owner.json"), notes, log_of(pid) if here else log)


def log_of(process: int | str) -> str | None:
    """The file that the standard error of a process goes to, "self" being this one's; None where it is none."""
    try:
        target = os.readlink(f"/proc/{process}/fd/2")
        return _told(target) if stat.S_ISREG(os.stat(target).st_mode) else None
    except (OSError, ValueError):
        return None


def _me() -> dict[str, Any]:
    return {"host": _host(), "pid": os.getpid(), "started": _started(os.getpid())}


def _bound(owner: dict[str, Any]) -> dict[str, Any]:
    """With a SHA-256 of itself: a damaged name of a process that lives must not read as that of a dead one."""
    return owner | {"sha256": hashlib.sha256(json.dumps(owner, sort_keys=True).encode()).hexdigest()}


def _host() -> str:
    """This machine since its last start, and this process namespace: where a process id means something."""
    return _host_of(os.getpid())


@functools.lru_cache(1)
def _host_of(_: int) -> str:
    """The host of this process, whose id it is: a child may be in another namespace."""
    parts = [socket.gethostname()]
    for read_part in (
        lambda: Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        lambda: os.readlink("/proc/self/ns/pid"),
    ):
        try:
            parts.append(read_part())
        except OSError:
            continue
    return _told("/".join(parts))


def _told(name: str) -> str:
    """A name that the system gives as bytes, as text that can be written as UTF-8."""
    return os.fsencode(name).decode(errors="replace")


def _started(pid: int) -> str | None:
    """When a process started, as the kernel counts; None where it is gone, a zombie, or this cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode().split()  # its name may be no text
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _alive(path: Path) -> bool:
    file = path / "owner.json"
    try:
        owner = _owner(file)
    except OSError:  # of a network's folder, perhaps, that does not answer now
        return _silence(file) < SILENCE
    if owner is None:
        named = file.exists()  # though damaged: whoever lives still gives signs
        return _silence(file) < SILENCE if named else _silence(path) < HEARTBEAT  # about to write its name
    host, pid, started = owner
    if host == _host() and Path("/proc/self/stat").exists() and not _hidden(pid):
        now = _started(pid)
        return now is not None and now == started
    return _silence(file) < SILENCE


def _hidden(pid: int) -> bool:
    """Whether there is such a process, and /proc does not tell of it: another user's, where that has hidepid."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return not os.access(f"/proc/{pid}/stat", os.R_OK)
    except (OSError, OverflowError):  # no such process, or none that could be
        pass
    return False


def _owner(path: Path) -> tuple[str, int, Any] | None:
    """Host, process id and start of the owner that an owner.json names; None where it is not there or names none.

    Raises OSError where it cannot be read.
    """
    owner = _small(path)
    if owner is None:
        return None
    rest = {key: value for key, value in owner.items() if key != "sha256"}  # an earlier version wrote none
    if rest.keys() != {"host", "pid", "started"} or owner not in (rest, _bound(rest)):
        return None
    host, pid, started = (owner[key] for key in ("host", "pid", "started"))
    return (host, pid, started) if isinstance(host, str) and type(pid) is int and 0 < pid < 2**63 else None


def _small(path: Path) -> dict[str, Any] | None:
    """The JSON object in a small file; None where it is not there or holds none. Raises OSError where unreadable."""
    try:
        value = json_in(content_of(path, OWNER).decode())
    except (FileNotFoundError, NotADirectoryError, Refused, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _silence(path: Path) -> float:
    """Seconds for which a file or folder has given no sign of life, by this process's clocks; inf where it is gone."""
    try:
        sign = path.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        _signs.pop(path, None)
        return math.inf
    except OSError:
        return 0.0  # not known
    now, before = time.monotonic(), _signs.get(path)
    if before is None:  # the first look: a time in the future tells nothing
        _signs[path] = sign, now - max(0.0, time.time() - sign / 1e9)
    elif before[0] != sign:
        _signs[path] = sign, now
    return now - _signs[path][1]
