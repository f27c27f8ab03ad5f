"""What a kill leaves behind is swept: a lease of a complete run, half of a deletion, half of a drawn figure."""

import errno
import json
import os
import shutil
import time

import pytest
from command import cli

from rethinking import verify
from rethinking.record import Runs, lease, leased, litter, write
from rethinking.spec import ImageNetSpec, RunSpec

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


def test_weights_are_deleted_alone_and_stay_where_a_file_is_none_of_a_run(tmp_path):
    path = complete(Runs(tmp_path))
    before = sorted(p.name for p in path.iterdir())
    (path / "weights.safetensors").write_bytes(b"weights")
    (path / "notes.txt").write_text("mine")
    prune = ("prune", "--weights", "--yes", "--runs", tmp_path, "--out", tmp_path)
    assert f"kept, {path / 'notes.txt'} is no file of a run: {path.name}" in cli(*prune).stdout
    assert (path / "weights.safetensors").exists()
    (path / "notes.txt").unlink()
    assert "deleted the weights of 1 runs" in cli(*prune).stdout
    assert sorted(p.name for p in path.iterdir()) == before


def test_weights_in_the_folder_of_the_checkpoints_stay_when_their_run_is_deleted(tmp_path):
    """Where both were named as one folder, of which `prune` is told as that of the checkpoints."""
    runs, scratch = tmp_path / "runs", tmp_path / "scratch"
    path = complete(Runs(runs, scratch, scratch))
    weights = scratch / path.name / "weights.safetensors"
    write(weights, b"weights")
    (tmp_path / "out").mkdir()
    words = ("prune", "--unreferenced", "--yes", "--runs", runs, "--checkpoints", scratch, "--out", tmp_path / "out")
    assert "deleted 1 runs" in cli(*words).stdout
    assert not path.exists()
    assert weights.read_bytes() == b"weights"
    os.utime(weights, (0, 0))
    os.utime(weights.parent, (0, 0))
    assert "nothing to prune" in cli(*words).stdout


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


def test_a_stopped_run_on_imagenet_is_told_of_and_can_be_deleted(tmp_path):
    """By its last checkpoint, which is deleted with it where nothing else is in its folder."""
    runs, spec = Runs(tmp_path / "runs"), ImageNetSpec()
    place = runs.path(spec) / "checkpoint"
    for name in (
        "step-99/__0_0.distcp",
        "step-100000/__3_0.distcp",
        "step-100000/.metadata",
        ".step-100100/notes.json",
    ):
        write(place / name, "")
    write(runs.path(spec) / "spec.json", spec.to_json())
    write(runs.path(spec) / "weights.safetensors", "")  # as of a process killed before it wrote its result
    told = cli("status", "--runs", runs.root, "--checkpoints", runs.root).stdout
    assert f"{spec.run_id}: stopped at step 100,000 of at most 450,411\n" in told
    assert list(verify.records(runs)) == []

    def prune(*words):
        done = cli("prune", "--yes", "--unreferenced", "--runs", runs.root, "--out", tmp_path, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (place / "notes.txt").write_text("mine")
    assert f"kept, {place} is no file of a run: {spec.run_id}\n" in prune()
    (place / "notes.txt").unlink()
    elsewhere = shutil.copytree(place, tmp_path / "saved" / spec.run_id / "checkpoint")
    assert f"kept, {elsewhere} does not tell whose it is: delete it first: " in prune(
        "--checkpoints", tmp_path / "saved"
    )
    assert place.is_dir()
    assert "deleted 1 runs" in prune()
    assert not runs.path(spec).exists()


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


def test_what_makes_room_needs_none_and_what_takes_it_is_told(tmp_path, monkeypatch):
    """On a full disk a run, and a checkpoint without one, can be deleted; a run is not begun."""
    runs = Runs(tmp_path / "runs", tmp_path / "checkpoints")
    path, stray = complete(runs), runs.checkpoints / SPEC.replace(seed=1).run_id
    stray.mkdir(parents=True)
    os.utime(stray, (0, 0))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(lease, "write", full)
    (found,) = runs.survey()
    assert runs.delete(found) == runs.sweep(stray) == ""
    assert not path.exists()
    assert not stray.exists()
    with pytest.raises(OSError, match="No space left"), leased(runs, SPEC):
        pass


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
