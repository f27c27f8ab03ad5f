"""The engine on a Ray cluster: the records of the local engine, whatever is lost; one line for what cannot be.

The cluster is Ray's own for tests: several nodes on this machine. They share no folder but where a test names one.
"""

import errno
import hashlib
import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from command import PLUG_INS, cli, one_line

from rethinking import machine, revision
from rethinking.engines import cluster as engine
from rethinking.engines import connection, fleet, local, node
from rethinking.engines.execute import execute
from rethinking.engines.fleet import AHEAD, Fleet
from rethinking.engines.progress import Progress
from rethinking.engines.roster import Roster
from rethinking.errors import InputError
from rethinking.record import Runs, digests, lease, leased, make, outdated, parcel, write
from rethinking.spec import KernelSpec, Part, ProbeSpec, RunSpec, from_file

ROOT = Path(__file__).parent.parent
STORE = 80_000_000  # bytes of a node's object store: Ray takes no less
SEEDS = 20  # of toyfig, which has two runs a seed
BEFORE, BETWEEN = 8, 16  # records that there are when the first command is killed, and when a node is
NEITHER = ("rethinking-run-3", "rethinking-others")  # folders: one of a run that begins, one of nobody here
FAST = {"RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "1000"}


def patiently(start):
    """What a function starts; on a busy machine Ray may give up too soon, and is asked again."""
    for again in (True, True, False):
        try:
            return start()
        except Exception:
            if not again:
                raise


class Nodes:
    """A cluster of a head and further nodes.

    Attributes:
        scratch: the temporary folder of every node.
    """

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        sized = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
        sized["env_vars"] = self.env()
        self.cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=sized))
        self.address = self.cluster.address

    def env(self, **more: str) -> dict[str, str]:
        return {"TMPDIR": str(self.scratch), "PYTHONPATH": str(ROOT), **more}

    def add(self, **env: str):
        one = {"num_cpus": 1, "object_store_memory": STORE, "env_vars": self.env(**env)}
        return patiently(lambda: self.cluster.add_node(**one))

    def kill(self, one) -> None:
        self.cluster.remove_node(one, allow_graceful=False)

    def clean(self) -> bool:
        """Whether nothing of a run is left on the nodes: no folder, no process."""
        listed = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
        return not self.left() and f"{self.scratch}/{node.SCRATCH}" not in listed

    def clear(self) -> None:
        """Delete what killed nodes have left, between tests."""
        for folder in self.left():
            shutil.rmtree(folder)

    def left(self) -> list[Path]:
        """The scratch folders of runs."""
        return [*self.scratch.glob(f"{node.SCRATCH}*")]

    def busy(self) -> bool:
        """Whether a run is being made."""
        return bool([*self.scratch.glob("*/*/lease-*")])


@pytest.fixture(autouse=True)
def as_before():
    """What a node's own process does to its environment is undone where a test does it in this one."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="module")
def nodes():
    """One cluster for all tests, with a token."""
    folder = Path(tempfile.mkdtemp(prefix="rt-", dir="/tmp"))  # short: the names of sockets have at most 107 bytes
    (folder / "ray").mkdir()
    settings = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64, "RAY_TMPDIR": str(folder)} | connection.SETTINGS
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (settings | FAST | connection.PATIENT).items():
            patch.setenv(name, value)
        made = Nodes(folder)
        yield made
        made.cluster.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def words(toy_dir, folder, address, *more):
    where = ("--runs", folder / "runs", "--out", folder / "figures", "--data-dir", toy_dir, "--device", "cpu")
    return [str(w) for w in ("figure", "toyfig", *where, "--engine", "ray", "--address", address, *more)]


@pytest.fixture
def driver():
    """Starts a command; what still runs when the test ends is killed."""
    started: list[subprocess.Popen] = []

    def start(*given, **env):
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "rethinking", *given],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | env,
                cwd=ROOT,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def records(folder):
    return sorted(path.parent.name for path in folder.glob("runs/*/result.json"))


def wait_for(condition, process=None, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        if process is not None and process.poll() is not None:
            pytest.fail(f"it has ended, with status {process.returncode}: {process.communicate()}")
        time.sleep(0.05)


def freeze(scratch, frozen):
    """Stop a process that is at a run in a node's scratch folder, and add its id to `frozen`; whether there is one."""
    for owner in scratch.glob("*/*/lease-*/owner.json"):
        with suppress(OSError, ValueError):  # the run ends meanwhile
            pid = json.loads(owner.read_text())["pid"]
            os.kill(pid, signal.SIGSTOP)
            if owner.exists():
                frozen.append(pid)
                return True
            os.kill(pid, signal.SIGCONT)
    return False


def heard(process, text, seconds=300):
    """What a process writes to standard error until that is among it."""
    said, end = b"", time.monotonic() + seconds
    while text.encode() not in said:
        left = end - time.monotonic()
        assert left > 0, said
        if select.select([process.stderr], [], [], left)[0]:
            part = os.read(process.stderr.fileno(), 65536)
            assert part, said
            said += part
    return said.decode()


def told(text, what):
    """The runs of which lines of progress say that."""
    return [line.split(" ")[0].rstrip(":") for line in text.splitlines() if line.endswith(f": {what}")]


def same_bits(one: Path, other: Path) -> None:
    """That records agree in all that does not tell when and where they were made."""
    names = sorted(path.name for path in one.glob("*-*"))
    assert names == sorted(path.name for path in other.glob("*-*"))
    for name in names:
        files = sorted(path.name for path in (one / name).iterdir())
        assert files == sorted(path.name for path in (other / name).iterdir())
        for file in set(files) - {"environment.json", "result.json"}:
            assert (one / name / file).read_bytes() == (other / name / file).read_bytes(), (name, file)


def test_a_sweep_ends_with_the_records_of_the_local_engine_whatever_is_killed(nodes, driver, toy_dir, tmp_path):
    """Forty runs: the first command is killed, then a node under the second. Only what was in flight is made twice."""
    (apart := nodes.scratch / "second").mkdir()
    second = nodes.add(TMPDIR=str(apart))
    given = words(toy_dir, tmp_path, nodes.address, "--seeds", SEEDS)
    process = driver(*given)
    wait_for(lambda: len(records(tmp_path)) >= BEFORE, process)
    os.killpg(process.pid, signal.SIGKILL)
    _, first = process.communicate()
    before = {name: (tmp_path / "runs" / name / "result.json").stat().st_mtime_ns for name in records(tmp_path)}
    process = driver(*given)
    wait_for(lambda: len(records(tmp_path)) >= BETWEEN, process)
    frozen: list[int] = []
    wait_for(lambda: freeze(apart, frozen), process)
    try:
        nodes.kill(second)
        _, said = process.communicate(timeout=500)
    finally:
        with suppress(ProcessLookupError):  # it may have gone with its node
            os.kill(frozen[0], signal.SIGKILL)
    assert process.returncode == 0, said

    for name, time_ns in before.items():
        assert (tmp_path / "runs" / name / "result.json").stat().st_mtime_ns == time_ns
    begun, lost = told(said, "starting"), told(said, "its node was lost")
    flying = AHEAD * 2  # of two nodes with a core each
    assert not set(begun) & set(before)
    assert len(set(told(first, "starting")) - set(before)) <= flying
    assert 1 <= len(lost) <= flying, said
    assert 1 <= len(begun) - len(set(begun)) <= len(lost)
    assert not [*tmp_path.glob("runs/*/lease-*")]

    wanted = [from_file(path) for path in tmp_path.glob("runs/*/spec.json")]
    assert len(wanted) == len(records(tmp_path)) == 2 * SEEDS
    here, there = Runs(tmp_path / "local"), Runs(tmp_path / "runs")
    assert local.run(wanted, here, workers=1, data_dir=str(toy_dir), quiet=True) == []
    same_bits(there.root, here.root)
    assert len({runs.find(spec).environment["variables"] for runs in (here, there) for spec in wanted}) == 1
    done = cli("verify", "--runs", there.root, "--out", tmp_path / "figures")
    assert done.returncode == 0, done.stdout + done.stderr


def test_ctrl_c_leaves_cluster_and_records_clean(nodes, driver, toy_dir, tmp_path):
    nodes.clear()
    process = driver(*words(toy_dir, tmp_path, nodes.address, "--seeds", 1), TOY_STEPS="1000000")
    wait_for(nodes.busy, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "rethinking: stopped; the same command goes on from here"
    assert "Traceback" not in said
    assert [*(tmp_path / "runs").iterdir()] == []
    assert not (tmp_path / "figures").exists()
    wait_for(nodes.clean, seconds=60)


def test_with_shared_checkpoints_a_preempted_sweep_goes_on_to_the_same_bits(nodes, driver, toy_dir, tmp_path):
    nodes.clear()
    shared = ("--checkpoints", tmp_path / "checkpoints", "--seeds", 1)
    steps = {"TOY_STEPS": "3000"}
    runs, saved, seconds = Runs(tmp_path / "runs", tmp_path / "checkpoints"), list[str](), 0.25
    while not saved and seconds < 300:  # until a run has begun to train: on a busy machine that takes a while
        process = driver(*words(toy_dir, tmp_path, nodes.address, *shared), **steps)
        wait_for(nodes.busy, process)
        time.sleep(seconds)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=120)
        assert process.returncode in (130, 143), said
        begun = [path.parent.name for path in (tmp_path / "checkpoints").glob("*/checkpoint.safetensors")]
        saved = [name for name in begun if runs.reached(runs.root / name)]
        seconds *= 2
    assert saved
    process = driver(*words(toy_dir, tmp_path, nodes.address, *shared), **steps)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    for name in saved:
        assert re.search(rf"{name}.*: resumed at step [1-9]", said), said
    specs = [from_file(path) for path in (tmp_path / "runs").glob("*/spec.json")]
    assert local.run(specs, Runs(tmp_path / "local"), workers=1, data_dir=str(toy_dir), quiet=True) == []
    same_bits(tmp_path / "runs", tmp_path / "local")
    assert [*(tmp_path / "checkpoints").iterdir()] == []
    wait_for(nodes.clean, seconds=60)


def test_a_probe_is_measured_on_the_recorded_run_whose_weights_travel(nodes, toy_dir, tmp_path):
    """The run in bfloat16; after the probe one of a kernel, which has its node to itself."""
    fields = {"model": "carrier", "precision": "bfloat16", "regularizers": (Part.parse("regularizers", "batch_norm"),)}
    spec = RunSpec.make(data="toy", n=64, steps=4, eval_every=2, **fields)
    probe = ProbeSpec.make(run=spec, probe=Part.parse("probes", "capacity"))
    kernel = KernelSpec(data="toy", n=60)
    there, here = Runs(tmp_path / "there"), Runs(tmp_path / "here")
    options = {"data_dir": str(toy_dir), "quiet": True}
    assert engine.run([probe, kernel], there, address=nodes.address, **options) == []
    assert local.run([probe, kernel], here, workers=1, **options) == []
    assert there.find(kernel).difference(here.find(kernel)) is None  # it tells its memory, too
    for runs in (there, here):
        shutil.rmtree(runs.path(kernel))
    same_bits(there.root, here.root)
    there.weights_of(spec).unlink()
    shutil.rmtree(there.path(probe))
    assert engine.run([probe], there, address=nodes.address, **options) == []
    same_bits(there.root, here.root)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "No space left on device: a/b"),
        (OSError("no connection"), "no connection"),
    ],
)
def test_an_error_of_the_disk_names_a_file_only_where_it_is_known(error, line):
    assert fleet._told(error) == line


# --- what cannot be --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (("--engine", "dask"), "--engine is 'dask', allowed are local and ray"),
        (("--address", "somewhere:1"), "--address is given, and the engine is local"),
        (("--gpus-per-run", "1"), "--gpus-per-run is given, and the engine is local"),
        (("--engine", "ray", "--address", "127.0.0.1"), "--address is '127.0.0.1', allowed is HOST:PORT"),
        (("--engine", "ray", "--address", "ray://127.0.0.1:1"), "allowed is HOST:PORT"),
        (("--engine", "ray", "--address", "127.0.0.1:1"), "nothing answers at --address 127.0.0.1:1"),
        (("--engine", "ray", "--address", "127.0.0.1:99999"), "nothing answers at --address 127.0.0.1:99999"),
        (("--engine", "ray", "--device", "cuda:0"), "--device is 'cuda:0', and the engine ray hands out the GPUs"),
        (("--engine", "ray", "--device", "cuda"), "--gpus-per-run is not given"),
        (("--engine", "ray", "--gpus-per-run", "1.5"), "--gpus-per-run is 1.5, allowed are"),
        (("--engine", "ray", "--gpus-per-run", "nan"), "--gpus-per-run is nan, allowed are"),
        (
            ("--engine", "ray", "--gpus-per-run", "0.00001"),
            "is 1e-05, allowed are a share of one GPU from 0.0001 on",
        ),
        (("--engine", "ray", "--device", "cpu", "--gpus-per-run", "1"), "beside --device cpu"),
    ],
)
def test_an_engine_that_cannot_be_is_one_line_and_writes_nothing(given, line, toy_dir, tmp_path):
    where = ("--runs", tmp_path / "runs", "--out", tmp_path / "figures", "--data-dir", toy_dir)
    done = cli("figure", "toyfig", *where, *given)
    assert line in one_line(done)
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "figures").exists()


def test_too_few_gpus_and_a_wrong_token_are_one_line(nodes, toy_dir, tmp_path):
    given = words(toy_dir, tmp_path, nodes.address, "--gpus-per-run", 2)
    given.remove("--device")
    given.remove("cpu")
    assert "--gpus-per-run is 2, and no node of" in one_line(cli(*given))
    hasty = {"RAY_gcs_server_port_wait_time_s": "2"}  # for which Ray asks the cluster again, too
    done = cli(*words(toy_dir, tmp_path, nodes.address), RAY_AUTH_TOKEN="b" * 64, **hasty)
    assert f"the cluster at {nodes.address} does not take this token" in one_line(done)
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "figures").exists()


def test_a_node_with_another_plug_in_or_without_the_data_is_one_line(nodes, toy_dir, tmp_path):
    other = tmp_path / "plugins"
    shutil.copytree(PLUG_INS, other)
    with (other / "models" / "tiny.py").open("a") as file:
        file.write("\n# changed\n")
    bad = nodes.add(RETHINKING_PLUGINS=str(other), RETHINKING_DATA=str(tmp_path / "nowhere"))
    try:
        runs = Runs(tmp_path / "runs")
        spec = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)
        with pytest.raises(InputError, match=r"^node \S+ has another version of the plug-in models/tiny"):
            engine.run([spec], runs, address=nodes.address, data_dir=str(toy_dir), quiet=True)
        spec = RunSpec.make(data="mnist", n=64, model="mlp-1x512", steps=4, eval_every=2)
        with pytest.raises(
            InputError, match=r"^node \S+ lacks what the runs need: mnist is not in .*: run `rethinking"
        ):
            engine.run([spec], runs, address=nodes.address, quiet=True)
        assert not runs.root.exists()
    finally:
        nodes.kill(bad)


# Put first on a node's path: there is no such package.
BARE = """
import sys


class Bare:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "rethinking":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Bare)
"""


def test_a_node_without_the_package_is_one_line_and_given_no_run(nodes, driver, toy_dir, tmp_path):
    """It joins while a run is held up, and is there when the next command begins."""
    nodes.clear()
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "sitecustomize.py").write_text(BARE)
    process = driver(*words(toy_dir, tmp_path, nodes.address, "--seeds", 2))
    frozen: list[int] = []
    wait_for(lambda: freeze(nodes.scratch, frozen), process)
    bare = nodes.add(PYTHONPATH=str(tmp_path / "bare"))
    try:
        said = heard(process, "; the runs go to other nodes")
        os.kill(frozen[0], signal.SIGCONT)
        said += process.communicate(timeout=300)[1]
        assert process.returncode == 0, said
        gone = "ModuleNotFoundError: No module named 'rethinking'"
        line = rf"^rethinking: a node of \S+ cannot run the package \({gone}\): install the same version "
        assert len(re.findall(line, said, re.MULTILINE)) == 1, said
        assert len(records(tmp_path)) == 4
        done = cli(*words(toy_dir, tmp_path / "again", nodes.address))
        assert re.match(line, one_line(done))
        assert not (tmp_path / "again").exists()
    finally:
        nodes.kill(bare)


def test_a_node_with_another_version_of_the_package_is_one_line(toy_dir, tmp_path, monkeypatch):
    spec = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)
    terms = engine._terms("a-job", [spec], Runs(tmp_path), device="cpu", alone=False, data_dir=str(toy_dir), threads=1)
    assert node.lacks(terms) is None
    node._lacks.cache_clear()
    monkeypatch.setattr(revision, "code", lambda: "0" * 12)
    told = node.lacks(terms)
    assert re.fullmatch(
        r"node \S+ has another version of the package \(.*, with other code; here .*\): install .*", told
    )


def test_a_parcel_that_is_not_its_record_is_refused(toy_runs, tmp_path):
    folder = next(path.parent for path in sorted(toy_runs.glob("*/result.json")))
    spec = from_file(folder / "spec.json")
    whole = parcel.pack(folder)
    parcel.check(whole, spec, folder)
    for wrong in (
        whole | {"curve.csv": whole["curve.csv"] + b"\n"},
        {name: content for name, content in whole.items() if name != "curve.csv"},
        {name: content for name, content in whole.items() if name != "result.json"},
        whole | {"result.json": b"{"},
        whole | {"more": b""},
        whole | {"curve.csv": "text"},
        [],
        None,
    ):
        with pytest.raises(InputError, match=f"the record of {spec.run_id}"):
            parcel.check(wrong, spec, folder)
    with pytest.raises(InputError, match="of another spec"):
        parcel.check(whole, spec.replace(seed=99), folder)


def resealed(files):
    """A parcel that agrees with itself, whatever it holds."""
    result = json.loads(files["result.json"])
    result["digests"] = {k: hashlib.sha256(v).hexdigest() for k, v in files.items() if k != "result.json"}
    result["digest"] = digests.of_result(result)
    return files | {"result.json": json.dumps(result).encode()}


class Task:
    """Stands for a run that Ray has been given: it tells the events that a test names, then nothing more."""

    def __init__(self, events=()):
        self.events = iter(events)

    def __next__(self):
        return next(self.events)


class Ray:
    """Stands for the package: it hands runs out, and nobody makes them but a test. given: the cores of each task."""

    class exceptions:
        class RayError(Exception):
            pass

        class RayTaskError(RayError):
            pass

    def __init__(self, *cores, answers=()):
        self.cores, self.given, self.asked, self.answers, self.cancelled = list(cores), [], {}, answers, []

    def nodes(self):
        return [{"NodeID": str(k), "Alive": True, "Resources": {"CPU": c}} for k, c in enumerate(self.cores)]

    def remote(self, *functions, **options):
        if functions:
            self.given.append(self.asked.get("num_cpus"))
            return Task(self.answers)
        return lambda function: self

    def options(self, **options):
        self.asked = options
        return self

    def put(self, value):
        return value

    get = put

    def wait(self, tasks, num_returns, timeout):
        return (tasks[:num_returns] if self.answers else []), []

    def cancel(self, task):
        self.cancelled.append(task)


def fleet_of(specs, runs, toy_dir, ray, alone=False):
    """A fleet for runs, on a cluster that stands for one."""
    terms = engine._terms("a-job", specs, runs, device="cpu", alone=alone, data_dir=str(toy_dir), threads=1)
    cluster, share = connection.Cluster(ray, "there"), connection.Share(alone=alone)
    cluster.each = lambda *_, **__: {}  # no node says anything in time
    cluster.ask = lambda function, nodes, *_: {Task(ray.answers): name for name in nodes}
    roster = Roster(cluster, terms)
    roster.fit |= {n["NodeID"] for n in ray.nodes()}
    fleet = Fleet(cluster, terms, share, specs, runs, Progress(specs, 1, True), roster)
    fleet._count()
    return fleet


def counted(fleet, *cores, said=()):
    """The fleet after the cluster's nodes have so many cores, those that have joined were asked, and said that."""
    fleet.cluster.ray.cores, fleet.cluster.ray.answers = list(cores), list(said)
    for _ in range(2):
        fleet._count_again = 0.0
        fleet._count()
    return fleet


def launched(fleet, spec):
    """The task of a run."""
    fleet._launch(spec)
    (task,) = fleet.flying
    return task


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (lambda whole: resealed(whole | {"curve.csv": b"rubbish\n"}), r"curve.csv is not a curve"),
        (lambda whole: resealed({k: v for k, v in whole.items() if k != "curve.csv"}), "curve.csv cannot be read"),
        (lambda whole: resealed(whole | {"environment.json": b"[]"}), "environment.json is not a JSON object"),
        (lambda whole: resealed(whole | {"../../evil": b"x"}), r"it has '../../evil', which is no file of a record"),
        (lambda whole: resealed(whole | {"spec.json": whole["spec.json"] + b" " * 10**6}), "spec.json is larger than"),
        (lambda whole: whole | {"result.json": b"[" * 10**5}, "is not whole"),
        (lambda whole: resealed(whole | {"weights.safetensors": b"rubbish"}), "weights.safetensors is damaged"),
        (lambda whole: None, "it is no files"),
    ],
)
def test_rubbish_that_agrees_with_itself_is_one_failed_run_and_nothing_is_placed(wrong, line, toy_dir, tmp_path):
    spec = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)
    made, runs = Runs(tmp_path / "made"), Runs(tmp_path / "runs")
    assert execute(spec, made, data_dir=str(toy_dir))
    fleet = fleet_of([spec], runs, toy_dir, Ray(1))
    fleet._done(launched(fleet, spec), {spec.run_id: wrong(parcel.pack(made.path(spec)))})
    (failure,) = fleet.failures
    assert line in failure.reason
    assert "\n" not in failure.reason
    assert str(tempfile.gettempdir()) not in failure.reason.replace(str(tmp_path), "")
    assert files_in(runs.root) == []
    assert sorted(tmp_path.iterdir()) == [made.root, runs.root]


def test_weights_that_a_node_sends_are_kept_where_they_are_missing_and_the_runs_own(toy_dir, tmp_path):
    spec = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)
    probe = ProbeSpec.make(run=spec, probe=Part.parse("probes", "capacity"))
    made, runs = Runs(tmp_path / "made"), Runs(tmp_path / "runs")
    assert execute(probe, made, data_dir=str(toy_dir))
    whole, name = parcel.pack(made.path(probe)), spec.run_id
    own = made.weights_of(spec).read_bytes()
    shutil.copytree(made.path(spec), runs.path(spec))
    runs.weights_of(spec).unlink()
    before = files_in(runs.root)
    for wrong in (
        {name: {"weights.safetensors": own[:-1] + b"x"}},
        {name: {"../../evil": own}},
        {name: {"weights.safetensors": own, "curve.csv": b"x"}},
        {"another": {"weights.safetensors": own}},
        {name: None},
    ):
        fleet = fleet_of([probe], runs, toy_dir, Ray(1))
        fleet._done(launched(fleet, probe), {probe.run_id: whole, **wrong})
        assert len(fleet.failures) == 1
        assert files_in(runs.root) == before
    fleet = fleet_of([probe], runs, toy_dir, Ray(1))
    rubbish = resealed(whole | {"curve.csv": b"x"})
    fleet._done(launched(fleet, probe), {probe.run_id: rubbish, name: {"weights.safetensors": own}})
    assert files_in(runs.root) == before
    fleet = fleet_of([probe], runs, toy_dir, Ray(1))
    task = launched(fleet, probe)
    runs.weights_of(spec).write_bytes(b"there meanwhile")
    fleet._done(task, {probe.run_id: whole, name: {"weights.safetensors": own}})
    assert fleet.failures == []
    assert runs.weights_of(spec).read_bytes() == b"there meanwhile"
    runs.weights_of(spec).unlink()
    shutil.rmtree(runs.path(probe))
    fleet = fleet_of([probe], runs, toy_dir, Ray(1))
    fleet._done(launched(fleet, probe), {probe.run_id: whole, name: {"weights.safetensors": own}})
    assert runs.weights_of(spec).read_bytes() == own
    assert files_in(runs.root) == files_in(made.root)


@pytest.mark.parametrize("answer", [{}, 1, {"event": "resumed"}, {"event": "done"}, {"event": "done", "files": 1}])
def test_a_foreign_answer_is_one_failed_run(answer, toy_dir, tmp_path):
    spec = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)
    fleet = fleet_of([spec], Runs(tmp_path / "runs"), toy_dir, Ray(1, answers=[answer]))
    fleet.work(wait=True)
    (failure,) = fleet.failures
    assert failure.reason.startswith("a node sent what is no answer")
    assert (fleet.flying, files_in(tmp_path)) == ({}, [])


def test_a_parcel_replaces_a_record_that_is_out_of_date(toy_dir, tmp_path):
    spec = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)
    made, runs = Runs(tmp_path / "made"), Runs(tmp_path / "runs")
    for each in (made, runs):
        assert execute(spec, each, data_dir=str(toy_dir))
    whole = parcel.pack(made.path(spec))
    file = runs.path(spec) / "environment.json"
    file.write_text(file.read_text().replace(spec.plug_ins["models/tiny"], 12 * "0"))
    make.begin_again(runs, outdated.find(runs, [spec]))
    with leased(runs, spec) as writer:
        parcel.place(writer, whole)
    make.settle(runs, [spec])
    assert [path.name for path in runs.root.iterdir()] == [spec.run_id]
    assert parcel.pack(runs.path(spec)) == whole
    assert runs.find(spec)


def test_what_killed_processes_have_left_on_a_node_is_deleted_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, live, young, other = (tmp_path / name for name in ("rethinking-run-1", "rethinking-run-2", *NEITHER))
    gone = subprocess.Popen(["true"])
    gone.wait()
    for folder, owner in ((dead, {**lease._me(), "pid": gone.pid}), (live, lease._me()), (young, {}), (other, {})):
        (folder / "a-run" / "lease-0").mkdir(parents=True)
        if owner:
            write(folder / "a-run" / "lease-0" / "owner.json", json.dumps(owner))
        age = 0 if folder == young else 2 * node.FORGOTTEN
        for path in (folder / "a-run" / "lease-0", folder):
            os.utime(path, (time.time() - age,) * 2)
    node._sweep()
    assert sorted(tmp_path.iterdir()) == sorted([live, young, other])


def test_a_run_whose_process_is_told_to_end_is_no_failure_of_the_run(toy_dir, tmp_path, monkeypatch):
    """As where a batch system takes a node back; its checkpoint is then written."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spec = RunSpec.make(data="toy", n=64, model="tiny", steps=10**6, eval_every=1000)
    runs = Runs(tmp_path / "runs", tmp_path / "checkpoints")
    runs.checkpoints.mkdir()
    terms = engine._terms("a-job", [spec], runs, device="cpu", alone=False, data_dir=str(toy_dir), threads=1)
    making = node.make(terms, {"spec": spec.model_dump(mode="json"), "name": spec.run_id, "anew": False, "given": {}})
    assert next(making) == {"event": "begin"}
    assert any(event.get("step", {"step": 0})["step"] > 0 for event in making)
    (worker,) = node._kept.values()
    worker.process.terminate()
    assert [*making][-1] == {"event": "stopped"}
    assert runs.reached(spec) > 0
    assert not [*tmp_path.glob(f"{node.SCRATCH}*")]
    worker.stop()
    node._kept.clear()


def test_where_no_node_is_left_the_command_ends_with_one_line(toy_dir, tmp_path):
    spec, ray = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2), Ray(0, 1)
    fleet = fleet_of([spec], Runs(tmp_path / "runs"), toy_dir, ray)
    launched(fleet, spec)
    ray.cores, fleet._count_again = [0], 0.0
    with pytest.raises(InputError, match=r"^a run takes cores: 1, and no node of there has more than 0: add a node"):
        fleet.work(wait=True)
    fleet.dismiss()
    assert (fleet.flying, files_in(tmp_path)) == ({}, [])


def test_a_run_of_a_whole_node_is_given_to_a_smaller_one_where_the_largest_is_lost(toy_dir, tmp_path):
    fleet, spec = fleet_of_one(toy_dir, tmp_path, 1, 2, alone=True)
    fleet.waiting.clear()
    task = launched(fleet, spec)
    counted(fleet, 1)
    assert (fleet.cluster.ray.cancelled, fleet.flying, [*fleet.waiting]) == ([task], {}, [spec])
    launched(fleet, spec)
    assert fleet.cluster.ray.given == [2, 1]
    fleet.dismiss()


def test_whatever_ray_raises_no_lease_stays(toy_dir, tmp_path, monkeypatch):
    specs = [RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2, seed=seed) for seed in (0, 1)]
    fleet = fleet_of(specs, Runs(tmp_path / "runs"), toy_dir, Ray(2))

    def broken(*_, **__):
        raise Ray.exceptions.RayError

    for spec in specs:
        fleet._launch(spec)
    asked = []
    monkeypatch.setattr(fleet.cluster.ray, "cancel", lambda task: (asked.append(task), broken()))
    fleet.dismiss()
    assert len(asked) == 2
    assert files_in(tmp_path) == []
    monkeypatch.setattr(fleet.cluster.ray, "remote", broken)
    with pytest.raises(Ray.exceptions.RayError):
        fleet._launch(specs[0])
    assert files_in(tmp_path) == []


def test_a_node_that_does_not_say_what_it_lacks_is_refused(toy_dir, tmp_path, monkeypatch):
    cluster = connection.Cluster(Ray(1, 1), "there")
    said = {node.host: {"0": "one", "1": "two"}, node.lacks: {"0": None}}
    monkeypatch.setattr(cluster, "each", lambda function, nodes, *_, **__: said[function])
    roster = Roster(cluster, None)
    with pytest.raises(
        InputError, match=r"^node two has not said whether it can make the runs, within 600 s or before "
    ):
        roster.check("01")
    cluster.ray.cores.pop()  # it was lost meanwhile
    roster.check("01")
    assert roster.fit == {"0"}


def fleet_of_one(toy_dir, tmp_path, *cores, alone=False):
    """A fleet on nodes with so many cores, for a run."""
    spec = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)
    return fleet_of([spec], Runs(tmp_path / "runs"), toy_dir, Ray(*cores), alone), spec


def test_a_node_that_joins_is_given_runs_once_it_has_said_that_it_can_make_them(toy_dir, tmp_path):
    fleet, spec = fleet_of_one(toy_dir, tmp_path, 1)
    counted(fleet, 1, 2)
    assert (fleet._limit(), [name for name, _ in fleet.roster.asked.values()]) == (AHEAD, ["1"])
    launched(fleet, spec)
    assert fleet.cluster.ray.asked["label_selector"] == {"ray.io/node-id": "in(0)"}
    fleet.dismiss()
    fleet, spec = fleet_of_one(toy_dir, tmp_path, 1)
    counted(fleet, 1, 2, said=[None])
    assert (fleet._limit(), fleet.roster.asked, fleet.roster.fit) == (3 * AHEAD, {}, {"0", "1"})
    fleet.most = 20  # --workers 20: no more than these nodes hold, or none would be left for those that join
    assert fleet._limit() == 3 * AHEAD
    launched(fleet, spec)
    assert fleet.cluster.ray.asked["label_selector"] == {"ray.io/node-id": "in(0,1)"}
    counted(fleet, 0, 0, 1)  # both are lost, and another one joins
    assert (fleet.flying, [*fleet.waiting], fleet._limit()) == ({}, [spec, spec], 0)


def test_a_node_that_joins_and_cannot_make_runs_is_told_of_and_given_none(toy_dir, tmp_path, monkeypatch):
    fleet, spec = fleet_of_one(toy_dir, tmp_path, 1)
    counted(fleet, 1, 2, said=["node two lacks everything"])
    assert (fleet._limit(), fleet.roster.asked, fleet.roster.fit) == (AHEAD, {}, {"0"})
    asked = []
    monkeypatch.setattr(fleet.cluster, "each", lambda function, nodes, *_, **__: asked.append([*nodes]) or {})
    launched(fleet, spec)
    fleet.dismiss()
    assert asked == [["0"]]
    with pytest.raises(InputError, match=r"^node two lacks everything; no other node is left: "):
        counted(fleet, 0, 2)  # the one that could is lost
    with pytest.raises(InputError, match=r"^a run takes cores: 1, and no node of there has more than 0"):
        counted(fleet, 0, 0)


def test_a_node_that_joins_and_says_nothing_stops_no_other(toy_dir, tmp_path, monkeypatch):
    """Of runs that take a whole node: the largest one that can make them is meant, whatever else there is."""
    fleet, spec = fleet_of_one(toy_dir, tmp_path, 8, 4, alone=True)
    counted(fleet, 8, 4, 16)
    launched(fleet, spec)
    assert (fleet.cluster.ray.given[-1], fleet._limit()) == (8, AHEAD)
    monkeypatch.setattr("rethinking.engines.roster.WAITED", -1)
    counted(fleet, 8, 4, 16)
    assert [*fleet.roster.unfit] == ["2"]
    assert len(fleet.flying) == 1
    counted(fleet, 0, 4, 16)  # the largest one is lost
    assert (fleet.flying, fleet._cores, fleet._limit()) == ({}, 4, AHEAD)


def test_a_run_that_no_node_has_had_is_not_held_lost(toy_dir, tmp_path, monkeypatch):
    """Ray says so at once of nodes that are lost, over and over, until it is known here that they are."""
    fleet, spec = fleet_of_one(toy_dir, tmp_path, 1)
    fleet.waiting.clear()
    lost = type("TaskUnschedulableError", (Ray.exceptions.RayError,), {})

    def get(event):
        raise lost

    monkeypatch.setattr(fleet.cluster.ray, "get", get)
    for _ in range(20):
        fleet.later.clear()
        task = launched(fleet, spec)
        task.events = iter([None])
        fleet._hear(task)
        assert (fleet.flying, fleet.failures, [each for _, each in fleet.later]) == ({}, [], [spec])
    fleet.cluster.ray.cores = [0]
    with pytest.raises(InputError, match="no node of there has more than 0"):
        fleet.work(wait=True)


def test_a_node_whose_process_ends_when_it_is_asked_is_told_of(toy_dir, tmp_path, monkeypatch):
    fleet, _ = fleet_of_one(toy_dir, tmp_path, 1)

    def answer(task):
        raise Ray.exceptions.RayError

    monkeypatch.setattr(fleet.cluster, "answer", answer)
    for _ in range(3):
        counted(fleet, 1, 1, said=[None])
    assert fleet.roster.unfit == {"1": "Ray's process on node 1 ended 3 times when it was asked: see to it"}
    assert fleet.roster.fit == {"0"}


def test_a_probe_waits_for_its_run_where_another_process_makes_it(toy_dir, tmp_path):
    spec = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)
    probe, runs = ProbeSpec.make(run=spec, probe=Part.parse("probes", "capacity")), Runs(tmp_path / "runs")
    fleet = fleet_of([probe], runs, toy_dir, Ray(1))
    with leased(runs, spec):
        fleet.work(wait=False)
        assert (fleet.failures, fleet.elsewhere) == ([], [probe])
        fleet._recall(wait=True)
        assert (fleet.elsewhere, [*fleet.waiting]) == ([probe], [])
    fleet._look_again = 0.0
    fleet._recall(wait=True)
    assert (fleet.elsewhere, [*fleet.waiting]) == ([], [probe])


def test_the_folder_of_a_ray_that_is_started_here_is_short_and_deleted_once_its_process_is_dead(tmp_path, monkeypatch):
    long = tmp_path / (30 * "x")
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert connection._place() == "/tmp"
    monkeypatch.setattr(connection, "SHORT", 1000)
    dead, live = (long / f"{connection.OWN}{name}" for name in ("dead", "live"))
    for folder in (dead, live):
        folder.mkdir()
    connection._locked(dead).close()
    with connection._locked(live):
        assert connection._place() == str(long)
        assert [*long.iterdir()] == [live]


class Sized:
    """What `connection.Cluster` asks of Ray: nodes with so many cores and GPUs, the last one dead."""

    def __init__(self, *sizes):
        alive = [{"NodeID": str(k), "Alive": True, "Resources": {"CPU": c, "GPU": g}} for k, (c, g) in enumerate(sizes)]
        self.nodes = lambda: [*alive, {"NodeID": "dead", "Alive": False, "Resources": {"CPU": 99, "GPU": 99}}]


@pytest.mark.parametrize(
    ("share", "room"),
    [
        (connection.Share(), {"0": 4, "1": 8}),
        (connection.Share(cpus=3), {"0": 1, "1": 2}),
        (connection.Share(gpus=1), {"1": 2}),
        (connection.Share(gpus=0.3), {"1": 6}),  # three share one GPU: none is given parts of two
        (connection.Share(gpus=0.1), {"1": 8}),  # each has a core
        (connection.Share(gpus=2), {"1": 1}),
        (connection.Share(alone=True), {"1": 1}),
    ],
)
def test_the_room_of_a_node_is_what_its_cores_and_gpus_hold(share, room):
    assert connection.Cluster(Sized((4, 0), (8, 2), (0, 0)), "there").nodes(share) == room


@pytest.mark.parametrize(
    ("share", "line"),
    [
        (connection.Share(gpus=4), r"--gpus-per-run is 4, and no node of there has more than 2 GPUs: give less"),
        (connection.Share(cpus=9), r"a run takes cores: 9, and no node of there has more than 8: add a node"),
    ],
)
def test_a_run_that_no_node_holds_is_refused(share, line):
    with pytest.raises(InputError, match=line):
        connection.Cluster(Sized((4, 0), (8, 2)), "there").check_room(share)


def test_the_plan_tells_what_an_engine_would_cost(toy_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "gpu_count", lambda: 0)
    given = ("plan", "toyfig", "--device", "cpu", "--runs", tmp_path, "--data-dir", toy_dir, "--engine", "ray")
    told = json.loads(cli(*given, "--price", 3600, "--json").stdout)
    seconds = [sum(run[key] for run in told["runs"]) for key in ("seconds", "seconds_at_most")]
    assert [told["core_hours"], told["core_hours_at_most"]] == pytest.approx([s / 3600 for s in seconds])
    assert [told["cost"], told["cost_at_most"]] == pytest.approx(seconds)
    assert (told["gpu_hours"], told["bytes_of_records"]) == (0, 9_000 * told["to_train"])
    assert "core-hours, at most" in cli(*given).stdout
    large = ("plan", "table2", "--scale", "paper", "--device", "cpu", "--runs", tmp_path, "--json")
    told = json.loads(cli(*large).stdout)
    processes = min(8, machine.cores())  # that each is started with; estimated for as many cores
    assert told["core_hours"] == pytest.approx(processes * sum(run["seconds"] for run in told["runs"]) / 3600)
    for price in ("-1", "nan", "inf"):
        assert one_line(cli(*given, "--price", price)).startswith(f"rethinking: --price is {price}, allowed are")
    assert "no NVIDIA GPU is seen" in one_line(cli(*given[:2], *given[4:], "--gpus-per-run", 1))


def test_steps_of_a_network_that_is_trained_for_a_probe_are_told_as_such(monkeypatch, tmp_path):
    trained = {"step": 3, "network": "another-run", "steps": 9}
    said = [{"event": "step", **trained}, {"event": "step", "step": 1}, {"event": "busy"}]
    worker = object.__new__(node._Worker)
    worker.scratch, worker.process = tmp_path / "scratch", SimpleNamespace(stdin=io.BytesIO())
    monkeypatch.setattr(worker, "_events", lambda: iter(said))
    monkeypatch.setattr(node, "EVERY", 0.0)
    told = list(worker.make({"spec": {}, "given": {}, "anew": False}))
    assert told == [{"event": "progress", "step": each} for each in (trained, {"step": 1})] + said[-1:]
    heard: list[tuple] = []
    probe = SimpleNamespace(summary=lambda row: f"{row} measured")
    flight = SimpleNamespace(spec=probe, writer=SimpleNamespace(notes={}), trains=False)
    progress = SimpleNamespace(
        step=lambda *args, **named: heard.append((args, named)), evaluation=lambda *args: heard.append((args, {}))
    )
    whole, notes = SimpleNamespace(progress=progress), []
    for each in (told[0], told[1], {"row": 2}, {"step": {"step": 2}}):
        fleet.Fleet._tell(whole, flight, {key: each[key] for key in each.keys() & {"step", "row"}})
        notes.append(dict(flight.writer.notes))
    row = {"summary": "2 measured"}
    assert notes == [
        {"summary": "training another-run for its weights: step 3 of at most 9"},
        {"step": 1},
        {"step": 1} | row,
        {"step": 2} | row,
    ]
    assert heard == [((probe,), trained), ((probe,), {"step": 1}), ((probe, 2), {}), ((probe,), {"step": 2})]
