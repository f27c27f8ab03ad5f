"""The notebooks of docs/notebooks, as plain scripts."""

import runpy
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("notebook", sorted((ROOT / "docs" / "notebooks").glob("*.py")), ids=lambda path: path.stem)
def test_the_notebooks_run_as_they_stand(notebook, tmp_path, monkeypatch, mnist):
    """In a folder of their own, beside the records, with less to train than a reader has."""
    (tmp_path / "runs").symlink_to(ROOT / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXAMPLES", "60")
    monkeypatch.setenv("EPOCHS", "2")
    matplotlib.use("agg")
    runpy.run_path(str(notebook))
    plt.close("all")
