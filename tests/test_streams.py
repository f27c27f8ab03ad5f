"""Streams that close, signals outside of training, input without end, and folders under ~."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from command import RUN, RUN_SPEC, cli, one_line

from rethinking.record import Runs


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


@pytest.mark.parametrize("streams", ["2>&1 | head -c 1 | wc -c", "0<&- 2>/dev/full >&-"])
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
def test_a_signal_outside_of_training_is_one_line(sent, status, line):
    words = [sys.executable, "-m", "rethinking.cli", "run", "--spec", "-"]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **pipes) as process:
        process.stdin.write(" " * 1_000_000)  # more than a pipe holds: once it reads there, and waits for more
        process.stdin.flush()
        process.send_signal(sent)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told.strip()) == (status, f"{line}; the same command goes on from here")


@pytest.mark.parametrize(("sent", "module"), [(signal.SIGINT, "rethinking"), (signal.SIGTERM, "rethinking.cli")])
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


def test_a_spec_is_read_in_every_encoding_of_json_and_from_standard_input(toy_runs, tmp_path):
    """Of a run that has a record, so that nothing is trained and nothing said."""
    file = tmp_path / "spec.json"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
        file.write_bytes(RUN_SPEC.to_json().encode(encoding))
        done = cli("run", "--spec", file, "--device", "cpu", "--runs", toy_runs)
        assert (done.returncode, done.stderr) == (0, "")
        assert RUN_SPEC.run_id in done.stdout
    done = shell(f"rethinking run --spec - --device cpu --runs {toy_runs} < {file}")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_standard_input_that_is_closed_is_at_its_end(toy_runs, tmp_path):
    assert "standard input: not valid JSON" in one_line(shell("rethinking run --spec - <&-"))
    shutil.copytree(toy_runs, tmp_path / "runs")
    before = sorted((tmp_path / "runs").rglob("*"))
    done = shell("rethinking prune --unreferenced --runs runs --out . <&-", cwd=tmp_path)
    assert "got no answer, as standard input is at its end: give --yes" in done.stderr
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert sorted((tmp_path / "runs").rglob("*")) == before


def test_no_spec_is_read_without_end(tmp_path):
    assert "not a regular file" in one_line(cli("run", "--spec", "/dev/zero"))
    assert "standard input: larger than" in one_line(shell("rethinking run --spec - < /dev/zero"))


def test_the_home_folder_is_meant_by_a_tilde(toy_runs, tmp_path, monkeypatch):
    shutil.copytree(toy_runs, tmp_path / "runs")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    done = cli(*RUN, "--runs=~/runs", "--checkpoints=~/checkpoints")
    assert (done.returncode, done.stderr) == (0, "")  # it has a record
    assert list((tmp_path / "here").iterdir()) == []
    assert cli("data", "where", "toy", "--data-dir=~/x").stdout == f"{tmp_path}/x/toy\n"
    unknown = one_line(cli("data", "where", "toy", "--data-dir=~nobody-of-that-name"))
    assert "names a home folder that is not known: write the whole path" in unknown


@pytest.mark.parametrize("form", ["utf-8:strict", "utf-8:surrogateescape"])
def test_a_name_that_is_no_text_is_printed_as_it_is(tmp_path, form):
    folder = os.fsencode(tmp_path) + b"/a\xff"
    words = [sys.executable, "-m", "rethinking.cli", "data", "where", "toy", b"--data-dir", folder]
    done = subprocess.run(words, capture_output=True, env=os.environ | {"PYTHONIOENCODING": form}, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", folder + b"/toy\n")
