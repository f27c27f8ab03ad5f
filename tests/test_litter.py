"""What a kill leaves behind is swept: a lease of a complete run, half of a deletion, half of a drawn figure."""

import json
import os
import shutil
import time

import pytest
from command import cli

from rethinking.record import Runs, leased, litter
from rethinking.spec import RunSpec

SPEC = RunSpec(n=100, model="mlp-1x512", steps=20)


def complete(runs):
    with leased(runs, SPEC) as writer:
        row = dict.fromkeys(RunSpec().columns, 0.5) | {"step": 20, "test_images": 64}
        writer.finish([row], "budget", None, {"commit": "abc", "seconds": 1.5})
    return writer.path


@pytest.mark.parametrize("by", ["asking for it", "prune"])
def test_the_lease_of_whoever_completed_a_run_and_was_killed_is_swept(tmp_path, by):
    path = complete(Runs(tmp_path))
    before = sorted(p.name for p in path.iterdir())
    (path / "lease-0").mkdir()
    owner = {"host": "another", "pid": 1, "started": "1"}
    (path / "lease-0" / "owner.json").write_text(json.dumps(owner))
    os.utime(path / "lease-0" / "owner.json", (0, 0))
    if by == "prune":
        done = cli("prune", "--yes", "--runs", tmp_path, "--out", tmp_path)
        assert "deleted 1 leases of dead processes" in done.stdout
    else:
        with leased(Runs(tmp_path), SPEC) as writer:
            assert writer is None
    assert sorted(p.name for p in path.iterdir()) == before


def test_half_of_a_deletion_is_a_run_that_can_be_deleted(tmp_path, monkeypatch):
    runs, count, unlink = Runs(tmp_path), 0, os.unlink
    path = complete(runs)
    (found,) = runs.survey()

    def dies(*args, **options):
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        unlink(*args, **options)

    monkeypatch.setattr(os, "unlink", dies)
    with pytest.raises(KeyboardInterrupt):
        runs.delete(found)
    monkeypatch.undo()
    (found,) = runs.survey()
    assert (found.run, found.complete) == (True, False)
    assert runs.delete(found) == ""
    assert not path.exists()


def test_a_half_drawn_figure_is_swept_when_it_is_old_and_nothing_else(tmp_path):
    runs, drawn = Runs(tmp_path / "runs"), tmp_path / "figures"
    runs.root.mkdir()
    drawn.mkdir()
    half = ".rethinking-x1y2z3a4"
    names = [f".fig1a-cpu.svg{half}", f".fig1a-cpu.json{half}", ".fig1a-cpu.pdf.rethinking-fresh_12"]
    names += ["fig1a-cpu.svg", f".notes.md{half}", f".svg{half}", f".DIGESTS{half}", ".fig1a-cpu.svg.autosave"]
    for name in names:
        (drawn / name).write_bytes(b"half")
        os.utime(drawn / name, (time.time() - 7200 * ("fresh" not in name),) * 2)
    found = runs.strays(drawn)
    assert [p.name for p in found] == sorted(names[:2])
    assert [runs.sweep(path) for path in found] == ["", ""]
    assert sorted(p.name for p in drawn.iterdir()) == sorted(names[2:])


@pytest.mark.parametrize("gone", ["the run", "the folder of its checkpoint"])
def test_what_another_process_deletes_meanwhile_stops_no_survey(tmp_path, monkeypatch, gone):
    runs = Runs(tmp_path / "runs", tmp_path / "checkpoints")
    path = complete(runs)
    elsewhere = runs.checkpoints / path.name
    elsewhere.mkdir(parents=True)
    places = litter._places

    def meanwhile(runs, path):
        shutil.rmtree(path if gone == "the run" else elsewhere)
        return places(runs, path)

    monkeypatch.setattr(litter, "_places", meanwhile)
    assert [found.complete for found in runs.survey()] == ([] if gone == "the run" else [True])
