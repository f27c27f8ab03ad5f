"""A small seeded part of each part of the campaign (tests/campaign): nothing lost, silent, hung or traced back."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "campaign"))

from parts import PARTS
from tally import DETECTED, HARMLESS, Budget, Tally

# Those that start processes are in test_engine; pages need every figure made again, as test_pages does.
SMALL = {"calls": 8, "records": 60, "checkpoints": 40, "caches": 30, "folders": 30, "drawn": 4, "specs": 200}
SMALL |= {"command_lines": 12, "constants": 10, "archives": 12, "hosts": 12, "full_disk": 2}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_part_of_the_campaign_ends_well(name, tmp_path):
    part, tries = PARTS[name]
    tally = part(tmp_path, Budget(SMALL[name]), random.Random(1))
    assert tally.bad == []
    assert tally.ended[DETECTED] + tally.ended[HARMLESS] >= SMALL[name] // 2 > 0
    assert SMALL.keys() <= PARTS.keys()
    assert tries >= SMALL[name]


def test_a_try_that_ends_badly_is_told():
    """The judge itself: what is another meaning, another error, several lines, and what is neither."""
    tally = Tally("judge")

    def fails():
        raise KeyError("x")

    tally.judge("silent", lambda: 2, 1)
    tally.judge("traceback", fails, 1)
    tally.judge("sound", lambda: 1, 1)
    assert dict(tally.ended) == {"silent": 1, "tracebacks": 1, "harmless": 1}
    assert len(tally.bad) == 2
