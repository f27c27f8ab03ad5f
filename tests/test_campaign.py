"""A small seeded part of each part of the campaign (tests/campaign); and that each part can fail."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parent / "campaign"
sys.path.insert(0, str(CAMPAIGN))

import crowd  # noqa: E402
import damage  # noqa: E402
import sets  # noqa: E402
import truth  # noqa: E402
from broken import BROKEN, tried  # noqa: E402
from parts import PARTS  # noqa: E402
from tally import DETECTED, HANG, HARMLESS, LOST, SILENT, TRACEBACK, Budget, Process, Tally, alive, table  # noqa: E402

SMALL = {"records": 600, "lists": 40, "leases": 6, "checkpoints": 100, "caches": 200, "bfloat16": 12, "folders": 24}
SMALL |= {"drawn": 2, "specs": 100, "archives": 9, "hosts": 6, "packages": 8}
BROKEN_ALONE = {"pages", "pictures", "many"}  # too slow to be tried here but with one of their checks taken away
FORKING = ("calls", "no_room", "signals", "processes", "shared", "full_disk", "command_lines", "constants")


@pytest.mark.parametrize("name", SMALL)
def test_a_small_part_of_the_campaign_ends_well(name, tmp_path):
    part, tries = PARTS[name]
    tally = part(tmp_path, Budget(SMALL[name]), random.Random(1))
    assert tally.bad == []
    assert tally.ended[DETECTED] + tally.ended[HARMLESS] >= SMALL[name] // 2 > 0
    assert tries >= SMALL[name]


@pytest.mark.parametrize("name", [name for name in BROKEN if name not in FORKING])
def test_a_part_counts_what_a_check_that_is_taken_away_lets_through(name, tmp_path):
    assert tried(name, tmp_path).ended[BROKEN[name].outcome] > 0


def in_a_process(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """Python, whose forked processes inherit nothing of pytest."""
    env = os.environ | {"TMPDIR": str(folder)}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=env, timeout=500)


def test_what_forks_ends_well_too(tmp_path):
    done = in_a_process(tmp_path, str(CAMPAIGN), *FORKING, "--scale", "0.01", "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = done.stdout.splitlines()[1 : len(FORKING) + 1]
    assert all(sum(map(int, line.split()[-6:-4])) for line in rows), done.stdout
    assert "seed 1, scale 0.01" in done.stdout
    assert "kills that hit a live process" in done.stdout


def test_what_forks_counts_a_check_that_is_taken_away(tmp_path):
    chance = ("signals", "processes")  # at moments that no seed fixes: a few tries may all end in another way
    parts = [name for name in FORKING if name not in chance]
    done = in_a_process(tmp_path, str(CAMPAIGN / "broken.py"), *parts)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("noticed: ") == len(parts)


def test_every_part_has_a_breakage():
    assert BROKEN.keys() | {"pages"} == PARTS.keys()  # that of pages is below: it needs a small folder of its own
    assert {*SMALL, *FORKING} == PARTS.keys() - BROKEN_ALONE


def test_a_try_that_ends_badly_is_told(monkeypatch):
    """The judge itself: another meaning, another error, several lines, too long, and what is none of these."""
    tally = Tally("judge")

    def fails(error):
        raise error

    monkeypatch.setattr("tally.PATIENCE", 0.05)
    tally.judge("silent", lambda: 2, 1)
    tally.judge("traceback", lambda: fails(KeyError("x")), 1)
    tally.judge(
        "several lines", lambda: fails(type("Told", (sets.data.InputError,), {"__str__": lambda e: "a\nb"})("")), 1
    )
    tally.judge("one line", lambda: fails(sets.data.InputError("a\nb")), 1)
    tally.judge("a hang", lambda: subprocess.run(["sleep", "5"]), 1)
    tally.judge("sound", lambda: 1, 1)
    tally.judge("what an independent reading refuses is taken", lambda: 1, lambda: fails(ValueError()))
    assert dict(tally.ended) == {SILENT: 2, TRACEBACK: 2, DETECTED: 1, HANG: 1, HARMLESS: 1}
    assert len(tally.bad) == 5
    assert table([tally]).splitlines()[1].split()[1:] == ["7", "1", "1", "2", "2", "0", "1"]


def test_whatever_is_gone_or_another_beside_a_damaged_file_is_lost(tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b" * 99)
    tally = Tally("lost")
    for _ in sets.with_damage([tmp_path / "b"], random.Random(0), Budget(1), tally, tmp_path):
        (tmp_path / "a").unlink()
    assert tally.ended[LOST] == 1
    assert (tmp_path / "b").read_text() == "b" * 99
    (tmp_path / "a").write_text("a")
    for _ in sets.with_damage([tmp_path / "b"], random.Random(0), Budget(1), tally, tmp_path):
        (tmp_path / "b").unlink()  # the damaged one, which may still be mended by hand
    assert tally.ended[LOST] == 2


def test_the_independent_reading_sees_what_another_order_label_or_pixel_is(tmp_path):
    """Right for a set of every layout; another for one with two labels or pixels exchanged."""
    examples = [(bytes([k] * 3), str(k % 2)) for k in range(8)]
    whole = truth.expected(examples, 0.25)
    assert whole == truth.expected(examples[::-1], 0.25)
    assert whole[:3] == (6, 2, ["0", "1"])
    (a, x), (b, y) = examples[:2]
    assert truth.expected([(a, y), (b, x), *examples[2:]], 0.25) != whole
    assert truth.expected([(b"\0\0\1", x), (b, y), *examples[2:]], 0.25) != whole


def test_a_prune_that_is_slow_or_deletes_too_little_is_counted(tmp_path, monkeypatch):
    (tmp_path / "runs" / "a").mkdir(parents=True)
    answer = json.dumps([0, 1.0, 20.0, 1e6])
    monkeypatch.setattr(crowd, "measure", lambda words: (answer, ""))
    for kept, allowed, outcome in (
        (["a"], (30.0, 1e9), HARMLESS),
        (["a"], (10.0, 1e9), HANG),
        (["a"], (30.0, 1e5), HANG),
        ([], None, SILENT),
        (["a", "b"], None, LOST),
    ):
        tally = Tally("many")
        crowd._pruned(tally, "x", tmp_path / "runs", tmp_path, kept, allowed)
        assert dict(tally.ended) == {outcome: 1}


def test_a_page_that_is_taken_for_fresh_is_counted(tmp_path, monkeypatch):
    from rethinking import report

    root = tmp_path / "root"
    root.mkdir()
    damage._with_records(root)
    (root / "README.md").write_text(f"words\n\n{report.BEGIN}\n{report.END}\n")
    report.update(root / "README.md", sets.Runs(root / "runs"), root / "figures")
    for name, changes in (("sound", {}), ("broken", {"update": lambda *_, **__: []})):
        for what, instead in changes.items():
            monkeypatch.setattr(report, what, instead)
        (tmp_path / name).mkdir()
        ended = damage.pages(tmp_path / name, Budget(6), random.Random(0), root).ended
        assert bool(ended[SILENT]) == bool(changes)


def test_only_what_lives_can_be_hit():
    process = Process(lambda: None)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not alive(process.pid)
    assert process.end() == (0, "")
    assert alive(os.getpid())
