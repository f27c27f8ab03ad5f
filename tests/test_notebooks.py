"""The notebooks of docs/notebooks, as plain scripts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("notebook", sorted((ROOT / "docs" / "notebooks").glob("*.py")), ids=lambda path: path.stem)
def test_the_notebooks_run_as_they_stand(notebook, tmp_path, mnist):
    """In a folder of their own, beside the records, with less to train than a reader has."""
    (tmp_path / "runs").symlink_to(ROOT / "runs")
    few = os.environ | {"EXAMPLES": "60", "EPOCHS": "2", "MPLBACKEND": "agg", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, notebook], cwd=tmp_path, env=few, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
