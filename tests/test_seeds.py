"""Hash -> seed -> generator: the draws of every committed record, as literal values, and that one file makes them."""

import hashlib
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import rethinking
from rethinking import models, seeds


def test_the_initial_weights_of_a_layer_stay_what_they_were():
    """To the last bit, of the layer's own name alone."""
    network = models.initialise(nn.Sequential(nn.Linear(3, 2), nn.Conv2d(1, 1, 2)), 7)
    assert network[0].weight.tolist() == [
        [-0.1720169484615326, 0.885177493095398, -0.026244377717375755],
        [-0.06468286365270615, 0.4083811640739441, 0.0597846657037735],
    ]
    assert network[1].weight.flatten().tolist() == [
        0.701924741268158,
        -0.14063066244125366,
        0.7841122150421143,
        0.3611280024051666,
    ]


def test_the_draws_of_a_training_stay_what_they_were():
    generator = seeds.keyed_generator("cpu", 3, "batches", 0)
    assert generator.initial_seed() == 65190928891258400
    assert torch.randint(1000, (5,), generator=generator).tolist() == [508, 71, 700, 421, 979]
    assert seeds.keyed_generator("cpu", "monte_carlo").initial_seed() == 53770205915030208


@pytest.mark.parametrize("size", [1, 7, 16, 32])
def test_a_number_is_the_beginning_of_a_hash(size):
    digest = hashlib.sha256(b"3/batches/0").hexdigest()
    assert seeds.number(size, 3, "batches", 0) == int(digest[: 2 * size], 16)


def test_no_other_file_seeds_torch_or_makes_a_number_of_a_hash():
    """A second copy of the rule could drift from the first."""
    files = {path: path.read_text(encoding="utf-8") for path in Path(rethinking.__file__).parent.rglob("*.py")}
    for pattern in (r"\.manual_seed\(", r"from_bytes\(.*\"big\""):
        assert [path.name for path, text in files.items() if re.search(pattern, text)] == ["seeds.py"]
