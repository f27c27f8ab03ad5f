"""Hash -> seed -> generator, in one file. The draws of committed records, as literal values, are in test_models,
test_training, test_regularizers_units and test_corruptions."""

import hashlib
import re
from pathlib import Path

import pytest

import rethinking
from rethinking import seeds


@pytest.mark.parametrize("size", [1, 7, 16, 32])
def test_a_number_is_the_beginning_of_a_hash(size):
    digest = hashlib.sha256(b"3/batches/0").hexdigest()
    assert seeds.number(size, 3, "batches", 0) == int(digest[: 2 * size], 16)


def test_no_other_file_seeds_torch_or_makes_a_number_of_a_hash():
    """A second copy of the rule could drift from the first."""
    files = {path: path.read_text(encoding="utf-8") for path in Path(rethinking.__file__).parent.rglob("*.py")}
    for pattern in (r"\.manual_seed\(", r"from_bytes\(.*\"big\""):
        assert [path.name for path, text in files.items() if re.search(pattern, text)] == ["seeds.py"]
