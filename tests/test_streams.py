"""Streams that close, signals outside of training, input without end, and folders under ~."""

import os
import signal
import subprocess
import sys

import pytest
from command import RUN, cli, one_line

from rethinking.record import Runs
from rethinking.spec import RunSpec


def shell(line, *, cwd=None, **env):
    """A line of bash, `rethinking` being this package's command; its status is that of the first in a pipe."""
    head = f'rethinking() {{ {sys.executable} -m rethinking.cli "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", head + line + "; exit ${PIPESTATUS[0]}"],
        capture_output=True, text=True, env=os.environ | {k: str(v) for k, v in env.items()}, timeout=300, check=False,
        cwd=cwd,
    )  # fmt: skip


def test_a_reader_that_goes_is_no_failure():
    for words in ("list", "list regularizers", "run --help"):
        done = shell(f"rethinking {words} | head -1")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count("\n") == 1


def test_output_that_a_full_disk_refuses_is_one_line():
    assert "No space left on device" in one_line(shell("rethinking list > /dev/full"))


@pytest.mark.parametrize("streams", ["2>&1 | head -c 1 | wc -c", "2>&- >&-", "2>/dev/full", "0<&- 2>&- >&-"])
def test_training_goes_on_whoever_listens(toy_dir, tmp_path, streams):
    where = ("--data-dir", toy_dir, "--runs", tmp_path / "runs")
    done = shell(f"rethinking {' '.join(map(str, (*RUN, *where)))} {streams}", TINY_PRINTS=1)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert Runs(tmp_path / "runs").named(folder.name).result["steps"] == 4
    assert (folder / "curve.csv").read_text().startswith("step,")


@pytest.mark.parametrize(
    ("sent", "status", "line"),
    [(signal.SIGTERM, 143, "rethinking: stopped by SIGTERM"), (signal.SIGINT, 130, "rethinking: stopped")],
)
def test_a_signal_outside_of_training_is_one_line(tmp_path, sent, status, line):
    os.mkfifo(tmp_path / "spec.json")  # it waits there
    words = [sys.executable, "-m", "rethinking.cli", "run", "--spec", tmp_path / "spec.json"]
    listening = {"stderr": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen(
            words, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **listening
        ) as process,
        (tmp_path / "spec.json").open("wb"),
    ):  # once it reads there
        process.send_signal(sent)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told.strip()) == (status, f"{line}; the same command goes on from here")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["rethinking", "rethinking.cli"])
def test_a_signal_while_modules_are_imported_is_one_line(tmp_path, sent, module):
    (tmp_path / "click.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    words = [sys.executable, "-m", module, "list"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pipes["env"] = os.environ | {"PYTHONPATH": path}
    with subprocess.Popen(words, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **pipes) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(sent)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (128 + sent, "rethinking: stopped\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_spec_is_read_in_every_encoding_of_json_and_from_standard_input(toy_dir, tmp_path, encoding):
    spec = RunSpec(data="toy", n=64, model="tiny", steps=4, eval_every=2)
    file = tmp_path / "spec.json"
    file.write_bytes(spec.to_json().encode(encoding))
    rest = f"--device cpu --data-dir {toy_dir} --runs {tmp_path / 'runs'}"
    assert shell(f"rethinking run --spec - {rest} < {file}").returncode == 0
    assert Runs(tmp_path / "runs").complete(spec)
    again = shell(f"rethinking run --spec {file} {rest}")
    assert (again.returncode, again.stderr) == (0, "")  # it has a record


def test_no_spec_is_read_without_end(tmp_path):
    assert "larger than 4,000,000 bytes" in one_line(cli("run", "--spec", "/dev/zero"))
    assert "standard input: larger than" in one_line(shell("rethinking run --spec - < /dev/zero"))


def test_the_home_folder_is_meant_by_a_tilde(toy_dir, tmp_path):
    words = " ".join(map(str, RUN))
    home = {"HOME": tmp_path, "RETHINKING_DATA": "~/data"}
    (tmp_path / "data").symlink_to(toy_dir)
    (tmp_path / "here").mkdir()
    done = shell(f"rethinking {words} --runs='~/runs' --checkpoints='~/checkpoints'", cwd=tmp_path / "here", **home)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert list((tmp_path / "here").iterdir()) == []
    assert shell("rethinking data where toy --data-dir='~/x'", **home).stdout == f"{tmp_path}/x/toy\n"
    unknown = one_line(shell("rethinking data where toy --data-dir='~nobody-of-that-name'"))
    assert "names a home folder that is not known: write the whole path" in unknown
