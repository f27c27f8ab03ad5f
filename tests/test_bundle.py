"""The records that an installed package brings along: a wheel, without its clone, gives the committed figures."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import rethinking
from rethinking import figures
from rethinking.cli.options import say_packaged
from rethinking.errors import InputError
from rethinking.record import Runs, bundle
from rethinking.spec import RunSpec

ROOT = Path(__file__).parents[1]
FIGURE = "fig1a-paper-mlp-3x512.json"


@pytest.mark.slow
def test_an_installed_wheel_redraws_figure_1a_in_an_empty_folder(tmp_path):
    clone, site, runs = tmp_path / "clone", tmp_path / "site", figures.drawn(ROOT / "figures" / FIGURE)["runs"]
    shutil.copytree(ROOT / "rethinking", clone / "rethinking", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", *(f"runs/{run}" for run in runs), "runs/DIGESTS", f"figures/{FIGURE}"):
        (clone / name).parent.mkdir(exist_ok=True, parents=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, clone / name)
    git = ["git", "-C", clone, "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], check=True, capture_output=True, text=True).stdout
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    wheel = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", tmp_path, clone]
    subprocess.run([*pip, *wheel], check=True, capture_output=True)
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", site, *tmp_path.glob("*.whl")], check=True)
    shutil.rmtree(clone)
    empty = tmp_path / "empty"
    empty.mkdir()
    env = os.environ | {"PYTHONPATH": str(site), "RETHINKING_DATA": str(tmp_path / "data")}

    def call(*words):
        done = subprocess.run([sys.executable, *words], cwd=empty, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    call("-m", "rethinking", "figure", "fig1a", "--scale", "paper", "--model", "mlp-3x512", "--redraw", "--quiet")
    assert (empty / "figures" / FIGURE).read_bytes() == (ROOT / "figures" / FIGURE).read_bytes()
    file, records = call("-c", "import rethinking as rt; print(rt.__file__); print(len(rt.records().frame()))").split()
    assert file.startswith(str(site))
    assert call("-m", "rethinking", "--version").endswith(f", commit {head}")
    assert int(records) == len(runs)


@pytest.fixture
def packed(tmp_path, home, monkeypatch):
    """An archive of the package's with one file, and an empty working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("made")
    with tarfile.open(tmp_path / "evidence.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "file", f"runs/{RunSpec().run_id}/result.json")
    monkeypatch.setattr(bundle, "ARCHIVE", tmp_path / "evidence.tar.xz")
    bundle.unpacked.cache_clear()
    yield tmp_path
    bundle.unpacked.cache_clear()


def test_the_packages_records_are_read_only_where_there_is_no_folder_runs(packed, capsys):
    runs, drawn, other = bundle.committed("runs", "figures", "other")
    result = runs / RunSpec().run_id / "result.json"
    assert result.read_text() == "made"
    assert (drawn, other) == (runs.parent / "figures", Path("other"))
    assert bundle.committed("other", "figures") == [Path("other"), Path("figures")]
    assert str(runs) in bundle.advice(Path("other"))
    result.unlink()  # as by a sweep of the cache
    bundle.unpacked.cache_clear()
    assert bundle.committed("runs") == [runs]
    assert result.is_file()
    specs = [RunSpec(), RunSpec(seed=1)]
    say_packaged(specs, Runs("runs"))
    assert f"1 of the runs to train came with the package: `figure --redraw --runs {runs}`" in capsys.readouterr().err
    say_packaged(specs[1:], Runs("runs"))
    say_packaged(specs, Runs(runs))
    assert capsys.readouterr().err == ""
    Path("runs").mkdir()
    assert bundle.committed("runs", "figures") == [Path("runs"), Path("figures")]


def test_without_an_archive_or_a_place_for_it_one_line_says_where_the_records_are(packed, home):
    home.write_text("no folder")
    with pytest.raises(InputError, match=r"cannot be unpacked .*: unpack .*evidence\.tar\.xz yourself"):
        rethinking.records()
    bundle.ARCHIVE.unlink()
    with pytest.raises(InputError, match=r"runs is no folder of runs: .*come with a clone, and with a wheel"):
        rethinking.records()
