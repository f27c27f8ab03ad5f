"""The way to a Ray cluster: reaching it or starting one here, what it has, and what its nodes lack."""

import fcntl
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rethinking.engines.node import say
from rethinking.errors import InputError
from rethinking.machine import gpu_count

KNOCK = 10.0  # seconds for a port to answer
STORE = 200_000_000  # bytes of the object store of a Ray that is started here, at least 75 MB: records pass through it
WAITED = 600.0  # seconds for the nodes to say what they lack, which reads their data sets
TOKEN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
# Read when Ray is imported. It would send statistics of its use, and ask a cluster that refuses it 20 times.
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_NUM_REDIS_GET_RETRIES": "3"}
# Of a cluster that is started here: on a busy machine its processes take long, in seconds, and may fail to start.
PATIENT = {"RAY_gcs_server_port_wait_time_s": "180", "RAY_worker_register_timeout_seconds": "300"}
TRIES = 3
OWN = "rethinking-ray-"  # what the name of the folder of a Ray begins with that is started here
SHORT = 16  # bytes of the path that it is made in: the names of sockets have 107, of which Ray and OWN need the others


@dataclass(frozen=True)
class Share:
    """What one run takes of a node. alone: all cores of a node of the largest kind."""

    cpus: int = 1
    gpus: float = 0.0
    alone: bool = False


class Cluster:
    """A cluster that this process is connected to.

    Attributes:
        ray: the package. address: where it is, in words.
    """

    def __init__(self, ray: Any, address: str) -> None:
        self.ray, self.address = ray, address

    def nodes(self, share: Share, among: Collection[str] | None = None) -> dict[str, int]:
        """The nodes, or those among some, that have room for runs: by Ray's ids how many each can make at once."""
        cpus = self.cpus(share, among)
        found = {}
        for name, has in self.alive(among).items():
            room = int(has.get("CPU", 0) // cpus)
            if share.gpus:
                gpus = has.get("GPU", 0)
                each = int(1 / share.gpus + 1e-9) if share.gpus < 1 else 0  # a run's share is of one GPU
                room = min(room, int(gpus) * each if each else int(gpus // share.gpus))
            if room:
                found[name] = room
        return found

    def cpus(self, share: Share, among: Collection[str] | None = None) -> int:
        """The cores that Ray is to set aside for one run, on the nodes among some."""
        if not share.alone:
            return share.cpus
        return max([1, *(int(has.get("CPU", 0)) for has in self.alive(among).values())])

    def alive(self, among: Collection[str] | None = None) -> dict[str, dict[str, float]]:
        """What the nodes that there are have, by Ray's ids."""
        alive = {n["NodeID"]: n["Resources"] for n in self.ray.nodes() if n["Alive"]}
        return {name: has for name, has in alive.items() if among is None or name in among}

    def check_room(self, share: Share) -> None:
        """Raise InputError where no node can make a run."""
        if self.nodes(share):
            return
        every = self.alive().values()
        most = {kind: max((has.get(kind, 0) for has in every), default=0) for kind in ("GPU", "CPU")}
        if share.gpus > most["GPU"]:
            told = f"--gpus-per-run is {share.gpus:g}, and no node of {self.address} has more than {most['GPU']:g} GPUs"
            raise InputError(f"{told}: give less, or add a node that has more")
        told = f"a run takes cores: {share.cpus}, and no node of {self.address} has more than {most['CPU']:g}"
        raise InputError(f"{told}: add a node that has")

    def ask(self, function: Any, nodes: Iterable[str], *arguments: Any) -> dict[Any, str]:
        """Have some nodes call a function: the tasks, each with Ray's id of its node, for `answer`."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as Only  # fails where it is lost

        task = self.ray.remote(num_cpus=0, max_retries=0, num_returns="streaming")(say)
        strategies = {name: Only(name, soft=False) for name in nodes}
        return {task.options(scheduling_strategy=s).remote(function, *arguments): n for n, s in strategies.items()}

    def answer(self, task: Any) -> Any:
        """What the function gave on a node, once Ray has it.

        Raises InputError where it cannot be called there, as the package is not installed; RayError or StopIteration
        where the node is lost.
        """
        try:
            return self.ray.get(next(task))
        except self.ray.exceptions.RayTaskError as error:
            told = f"a node of {self.address} cannot run the package ({first_line(error)})"
            raise InputError(f"{told}: {SAME}") from None

    def each(self, function: Any, nodes: Iterable[str], *arguments: Any, timeout: float = WAITED) -> dict[str, Any]:
        """What a function gives on each of some nodes, by Ray's ids, but for those that are lost or say nothing.

        Raises InputError as `answer` does.
        """
        asked = self.ask(function, nodes, *arguments)
        ready, _ = self.ray.wait(list(asked), num_returns=len(asked), timeout=timeout) if asked else ([], [])
        said = {}
        for task in ready:
            with suppress(StopIteration, self.ray.exceptions.RayError):
                said[asked[task]] = self.answer(task)
        return said


SAME = "install the same version of it on every node, with the same Python and Ray"


def only(nodes: Iterable[str]) -> dict[str, str]:
    """What has Ray give a task to some nodes alone, by its ids."""
    return {"ray.io/node-id": f"in({','.join(sorted(nodes))})"}


def first_line(error: BaseException) -> str:
    """What an error of Ray says, without the places in its own code: its last line."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def check_address(address: str) -> None:
    """Raise InputError where an address is none, or nothing answers there."""
    host, _, port = address.rpartition(":")
    if not re.fullmatch(r"[^\s/:]+|\[[0-9a-fA-F:.]+\]", host) or not re.fullmatch("[0-9]{1,5}", port):
        raise InputError(f"--address is {address!r}, allowed is HOST:PORT, as `ray start --head` says it")
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK).close()
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        told = "start the cluster, or give the address that `ray start --head` says"
        raise InputError(f"nothing answers at --address {address} ({reason}): {told}") from None


@contextmanager
def connected(address: str | None, cpus: int, gpus: float) -> Iterator[Cluster]:
    """A connection to the cluster at an address, or to one that is started on this machine and ended with it.

    Args:
        address: HOST:PORT; this machine must be one of its nodes. cpus: of a cluster that is started here; gpus: above
        0 where it is to have this machine's GPUs.

    Raises:
        InputError: there is no Ray, nothing answers at the address, or it does not let this process in.
    """
    if address is not None:
        check_address(address)
    own = Path(tempfile.mkdtemp(prefix=OWN, dir=_place())) if address is None else None
    lock = _locked(own) if own else None
    before = dict(os.environ)
    for name, value in (SETTINGS | (PATIENT if own else {})).items():
        os.environ.setdefault(name, value)
    known = any(name in before for name in TOKEN) or os.path.isfile(os.path.expanduser("~/.ray/auth_token"))
    if own and not known:  # else Ray would write one into the home folder
        os.environ[TOKEN[0]] = secrets.token_hex(32)
    if own:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        try:
            import ray
        except ImportError:
            raise InputError("--engine ray needs Ray, which is not installed: pip install ray") from None
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if own:
            options |= {"num_cpus": cpus, "num_gpus": gpu_count() if gpus else 0, "include_dashboard": False}
            options |= {"_temp_dir": str(own), "object_store_memory": STORE}
        handler = signal.getsignal(signal.SIGTERM)
        for again in reversed(range(TRIES if own else 1)):
            try:
                with _hushed():
                    ray.init(address=address or "local", **options)
                break
            except SystemExit:  # Ray's own answer to SIGTERM
                raise KeyboardInterrupt from None
            except Exception as error:  # Ray raises what it likes
                if not again:
                    raise _refused(error, address) from None
                ray.shutdown()
        with suppress(ValueError, TypeError):  # not in the main thread, or of another library's own making
            signal.signal(signal.SIGTERM, handler)
        # What Ray has to say of its nodes it prints to standard output.
        with open(os.devnull, "w") as sink, redirect_stdout(sink):
            yield Cluster(ray, address or "this machine")
    finally:
        if "ray" in sys.modules:
            with suppress(Exception):
                sys.modules["ray"].shutdown()
        if own and lock:
            lock.close()
            shutil.rmtree(own, ignore_errors=True)
        for name in os.environ.keys() - before.keys():
            del os.environ[name]


def _place() -> str:
    """The folder for a Ray that is started here; what killed processes have left there is deleted.

    It is that of temporary files, or /tmp where the names of Ray's sockets would be too long there.
    """
    place = tempfile.gettempdir()
    if len(os.fsencode(place)) > SHORT and os.path.isdir("/tmp") and os.access("/tmp", os.W_OK | os.X_OK):
        place = "/tmp"
    for folder in Path(place).glob(f"{OWN}*"):
        with suppress(OSError):  # it is in use, gone meanwhile, or another user's
            _locked(folder, "r").close()
            shutil.rmtree(folder, ignore_errors=True)
    return place


def _locked(folder: Path, mode: str = "w") -> IO[str]:
    """The lock of a Ray's folder, which its process holds while it lives. Raises OSError where another one does."""
    lock = (folder / "lock").open(mode)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise
    return lock


def _refused(error: Exception, address: str | None) -> InputError:
    causes: list[str] = []
    now: BaseException | None = error
    while now is not None:
        causes.append(str(now))
        now = now.__cause__
    text = " ".join(causes)
    if address is None:
        told = f"Ray cannot be started on this machine ({first_line(error)})"
        return InputError(f"{told}: set TMPDIR to a folder with a short name, or use the engine local")
    if "InvalidAuthToken" in text or "AuthenticationError" in type(error).__name__:
        told = f"the cluster at {address} does not take this token, or wants one: set RAY_AUTH_MODE=token and its token"
        return InputError(f"{told}, as RAY_AUTH_TOKEN or in a file that RAY_AUTH_TOKEN_PATH names")
    if "ersion mismatch" in text:
        return InputError(f"{address} has another version of Ray or Python ({first_line(error)}): {SAME}")
    told = f"no connection to a Ray cluster at {address} ({first_line(error)})"
    return InputError(f"{told}: give the command on one of its machines, as after `ray start --address {address}`")


@contextmanager
def _hushed() -> Iterator[None]:
    """Without what Ray's own threads write to standard error while they connect."""
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)
