"""A small seeded part of each part of the campaign (tests/campaign): nothing lost, silent, hung or traced back."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parent / "campaign"
sys.path.insert(0, str(CAMPAIGN))

from parts import PARTS  # noqa: E402
from tally import DETECTED, HARMLESS, Budget, Tally  # noqa: E402

# Pages need every figure made again, as test_pages does; several processes and signals are in test_engine.
SMALL = {"records": 80, "checkpoints": 40, "caches": 30, "folders": 30, "drawn": 4, "specs": 200}
SMALL |= {"archives": 12, "hosts": 12}
FORKING = ("calls", "command_lines", "constants", "full_disk")  # in a process of their own


@pytest.mark.parametrize("name", SMALL)
def test_a_small_part_of_the_campaign_ends_well(name, tmp_path):
    part, tries = PARTS[name]
    tally = part(tmp_path, Budget(SMALL[name]), random.Random(1))
    assert tally.bad == []
    assert tally.ended[DETECTED] + tally.ended[HARMLESS] >= SMALL[name] // 2 > 0
    assert SMALL.keys() <= PARTS.keys()
    assert tries >= SMALL[name]


def test_what_forks_ends_well_too(tmp_path):
    words = [sys.executable, str(CAMPAIGN), *FORKING, "--scale", "0.01", "--seed", "1"]
    done = subprocess.run(
        words, capture_output=True, text=True, env=os.environ | {"TMPDIR": str(tmp_path)}, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line.rpartition("  ")[0][:20].strip(): line.split()[-6:] for line in done.stdout.splitlines()[1:6]}
    assert all(sum(map(int, counts[:2])) for counts in rows.values())
    assert len(rows) == len(FORKING) + 1


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
