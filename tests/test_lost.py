"""Records and users' files are never lost: not by a kill, an answer that comes late, or a name that looks like ours."""

import importlib
import json
import os
import re
import shutil
import time
from functools import partial
from pathlib import Path

import click
import numpy as np
import pytest
import safetensors.numpy
from command import cli, one_line

from rethinking import data
from rethinking.engines.execute import execute
from rethinking.errors import InputError
from rethinking.record import Runs, digests, lease, leased, litter, make, outdated, read
from rethinking.spec import Part, ProbeSpec, RunSpec

DRAWN = Path(__file__).parents[1] / "figures"
SPEC = RunSpec(n=100, model="mlp-1x512", steps=20)
TINY = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)


def complete(runs, spec=SPEC):
    with leased(runs, spec) as writer:
        rows = [dict.fromkeys(RunSpec().columns, 0.5) | {"step": step, "test_images": 64} for step in (0, 20)]
        writer.finish(rows, "budget", None, {"commit": "abc", "seconds": 1.5})
    return writer.path


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def aged(path, text=None, weights=None):
    """Make a record one of another version of its plug-in network, whole as it is.

    text: its environment.json. weights: the file of its weights, where they are elsewhere.
    """
    file, result = path / "environment.json", json.loads((path / "result.json").read_text())
    file.write_text(text or file.read_text().replace(TINY.plug_ins["models/tiny"], 12 * "0"))
    rest = {key: value for key, value in result.items() if key not in digests.OWN}
    (path / "result.json").write_text(json.dumps(digests.sealed(rest, path, weights), indent=2) + "\n")


# --- a run that is made again ---------------------------------------------------------------------


@pytest.fixture
def renewed(toy_dir, tmp_path):
    """A folder in which a record of another version of its network stands, as does what is to be its replacement."""
    runs = Runs(tmp_path / "runs", tmp_path / "checkpoints")
    execute(TINY, runs, data_dir=toy_dir)
    aged(runs.path(TINY))
    (runs.path(TINY) / "notes.txt").write_text("mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make, "put_in_place", lambda *_: None)
        assert make.begin_again(runs, outdated.find(runs, [TINY])) == [TINY]
        assert not runs.complete(TINY)
        assert execute(TINY, runs, data_dir=toy_dir)
    return tmp_path


class Killed(BaseException):
    """What ends a process; nothing that it would do then reaches the disk."""


def killed(act, at):
    """Whether `act` is killed at the call of that number that changes the file system, and does not end."""
    count, dead = 0, {"host": lease._host(), "pid": 2**22 + 1, "started": "1"}

    def counting(call):
        def counted(*args, **options):
            nonlocal count
            count += 1
            if count > at:
                raise Killed
            return call(*args, **options)

        return counted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lease, "_me", lambda: dead)
        for name in ("replace", "unlink", "mkdir", "rmdir", "rename"):
            patch.setattr(os, name, counting(getattr(os, name)))
        try:
            act()
        except Killed:
            return True
    return False


def test_killed_at_any_call_the_old_or_the_new_record_stands_whole(renewed, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT", 0.05)  # for which a lease without its owner's name is believed
    place = renewed / "runs" / TINY.run_id
    old = read(place).environment["plug_ins"]

    def opened(folder):
        return Runs(folder / "runs", folder / "checkpoints", again=[TINY.run_id])

    stood = []
    for at in range(1000):
        folder = shutil.copytree(renewed, tmp_path_factory.mktemp("killed") / "x")
        if not killed(lambda folder=folder: make.settle(opened(folder), [TINY]), at):
            break
        time.sleep(0.1)
        Runs(folder / "runs")  # as any command does
        stood.append(read(folder / "runs" / TINY.run_id).environment["plug_ins"] == old)
        make.settle(opened(folder), [TINY])
        assert outdated.by(folder / "runs" / TINY.run_id, TINY) == []
        assert Runs(folder / "runs").find(TINY)
        assert (folder / "runs" / TINY.run_id / "notes.txt").read_text() == "mine"
        assert sorted(p.name for p in (folder / "runs").iterdir()) == [TINY.run_id]
    assert at > 10
    assert stood == sorted(stood, reverse=True)
    assert {True, False} == set(stood)


def test_a_plug_in_that_is_brought_back_finds_the_old_record(renewed, toy_dir):
    runs, again = Runs(renewed / "runs", renewed / "checkpoints"), renewed / "runs" / outdated.AGAIN / TINY.run_id
    current = (again / "environment.json").read_text()
    (again / "result.json").unlink()  # it was killed before it was complete
    assert "made with another version of models/tiny" in one_line(cli("show", TINY.run_id, "--runs", runs.root))
    status = json.loads(cli("status", "--json", "--runs", runs.root).stdout)
    assert (status["complete"], [each["run"] for each in status["stopped"]]) == (1, [TINY.run_id])
    with pytest.raises(InputError, match="made with another version of models/tiny"):
        runs.find(TINY)
    aged(runs.path(TINY), current)  # as if its file were back
    before = files(runs.path(TINY))
    assert runs.find(TINY)
    assert make.begin_again(runs, outdated.find(runs, [TINY])) == []
    assert execute(TINY, runs, data_dir=toy_dir)
    assert files(runs.path(TINY)) == before
    assert cli("prune", "--yes", "--unreferenced", "--runs", runs.root, "--out", renewed).stdout.startswith("  kept, ")
    assert files(runs.path(TINY)) == before  # with the notes in it
    assert not again.exists()


def test_a_replacement_that_is_damaged_replaces_nothing(renewed):
    runs = Runs(renewed / "runs", renewed / "checkpoints", again=[TINY.run_id])
    (runs.path(TINY) / "curve.csv").write_text("step\n")
    before = files(renewed)
    with pytest.raises(InputError, match=r"curve\.csv"):
        make.settle(runs, [TINY])
    assert files(renewed) == before


def test_what_was_begun_again_with_a_plug_in_that_changed_since_is_begun_anew(renewed, toy_dir):
    runs = Runs(renewed / "runs", renewed / "checkpoints")
    again = runs.root / outdated.AGAIN / TINY.run_id
    aged(again)
    with lease.hold(again), pytest.raises(InputError, match="a process is making it"):
        make.begin_again(runs, outdated.find(runs, [TINY]))
    make.begin_again(runs, outdated.find(runs, [TINY]))
    assert not again.exists()
    assert execute(TINY, runs, data_dir=toy_dir)
    assert runs.path(TINY).parent == runs.root
    assert runs.find(TINY)


def test_the_lease_of_whoever_makes_a_folder_of_that_name_stays(tmp_path):
    folder, parent = tmp_path / "run", os.getppid()
    for pid in (parent, os.getpid()):
        folder.mkdir()
        owner = lease._bound({"host": lease._host(), "pid": pid, "started": lease._started(pid)})
        with lease.hold(folder) as mine:
            os.rename(folder, tmp_path / f"moved-{pid}")
            mine.mkdir(parents=True)
            (mine / "owner.json").write_text(json.dumps(owner))
        assert lease.held(folder)
        shutil.rmtree(folder)


# --- prune, and what changes while it asks ----------------------------------------------------------


def drawn(folder, run):
    """A drawn figure's .json that names a run."""
    told = json.loads((DRAWN / "rademacher-cpu.json").read_text())
    told = {key: value for key, value in told.items() if key not in digests.OWN}
    told["runs"] = {run: next(iter(told["runs"].values()))}
    folder.mkdir(exist_ok=True)
    (folder / "rademacher-cpu.json").write_text(json.dumps(told))


def archive(runs, content):
    (runs / "ARCHIVE").write_bytes(content)


@pytest.mark.parametrize("by", ["drawn", "archived", "bound", "out is gone"])
def test_what_comes_to_be_needed_while_the_question_stands_is_kept(tmp_path, monkeypatch, by):
    runs, out = Runs(tmp_path / "runs"), tmp_path / "figures"
    out.mkdir()
    path, other = complete(runs), complete(runs, SPEC.replace(seed=1))
    before = files(path)

    def asked(question):
        assert "2 runs" in question
        if by == "drawn":
            drawn(out, path.name)
        elif by == "out is gone":
            out.rmdir()
        else:
            archive(runs.root, f"{path.name}\n".encode())
        if by == "bound":
            runs.digest()
        return True

    monkeypatch.setattr(click, "confirm", asked)
    done = cli("prune", "--unreferenced", "--runs", runs.root, "--out", out)
    assert files(path) == before
    assert other.exists() == (by == "out is gone")
    if by == "out is gone":
        assert "cannot be looked at" in one_line(done)
    else:
        assert f"  kept, it is needed or archived meanwhile: {path.name}\n" in done.stdout
        assert done.stdout.endswith("deleted 1 runs\n")


@pytest.mark.parametrize("words", [(), ("--unreferenced",)])
def test_a_missing_folder_of_figures_is_not_no_figures(tmp_path, words):
    path = complete(Runs(tmp_path / "runs"))
    done = cli("prune", "--yes", *words, "--runs", tmp_path / "runs", "--out", tmp_path / "figurs")
    assert re.search(r"figurs cannot be looked at \(No such file or directory\).*--out", one_line(done))
    assert path.exists()
    assert cli("prune", "--yes", "--weights", "--runs", tmp_path / "runs", "--out", tmp_path / "figurs").returncode == 0


@pytest.mark.parametrize(
    "text", ["\ufeff{}\n", "{}\r\n", "# why\r\n\r\n{} \t# kept\r\n", "\ufeff# why\r\n{}", "\ufeff{}\r\n"]
)
def test_an_archive_list_of_another_editor_means_the_same(tmp_path, text):
    runs = Runs(tmp_path / "runs")
    path = complete(runs)
    archive(runs.root, text.format(path.name).encode())
    for _ in ("not bound", "bound"):
        done = cli("prune", "--yes", "--unreferenced", "--runs", runs.root, "--out", tmp_path)
        assert (done.stdout, done.stderr) == ("nothing to prune\n", "")
        assert runs.digest() in (0, 1)


@pytest.mark.parametrize("text", ["{}x\n", "x{}\n", "{}\nno-such-run-0123456789\n", "\u200b{}\n", "\ufeff\ufeff{}\n"])
def test_an_archive_list_that_names_no_run_is_refused(tmp_path, text):
    runs = Runs(tmp_path / "runs")
    path = complete(runs)
    archive(runs.root, text.format(path.name).encode())
    done = cli("prune", "--yes", "--unreferenced", "--runs", runs.root, "--out", tmp_path)
    assert "and there is no such run: bring it back, or mend the line" in one_line(done)
    assert path.exists()


# --- files that are not the package's ---------------------------------------------------------------

MINE = (".notes.md.swp", ".curve.csv.autosave", ".idea.d/x", "analysis/plot.py", "notes.txt", "claim-1/thesis.txt")


def put(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("mine")
    return folder / name


@pytest.mark.parametrize("place", ["runs", "checkpoints"])
@pytest.mark.parametrize("name", MINE)
def test_what_a_user_keeps_in_a_runs_folder_stays_and_so_does_the_run(tmp_path, name, place):
    runs = Runs(tmp_path / "runs", tmp_path / "checkpoints")
    os.utime(put(runs.root / SPEC.run_id, name).parent, (0, 0))  # when it is begun, and completed
    path = complete(runs)
    mine = put(tmp_path / place / path.name, name)
    half = put(path, ".curve.csv.rethinking-x1y2z3a4")
    for left in tmp_path.rglob("*"):
        os.utime(left, (0, 0))
    before = files(tmp_path)
    words = ("prune", "--yes", "--runs", runs.root, "--checkpoints", runs.checkpoints, "--out", tmp_path)
    told = [cli(*words, *more).stdout for more in ((), ("--unreferenced",))]
    assert files(tmp_path) == {k: v for k, v in before.items() if not k.endswith(half.name)}
    assert "deleted 1 half-written files" in told[0]
    assert f"is no file of a run: {path.name}\n" in told[1]
    assert runs.delete(next(runs.survey())).endswith("is no file of a run")
    assert mine.read_text() == "mine"


def checkpoint(of, runs):
    """A file as the checkpoint of a run of that folder, two hours old."""
    notes = {} if of is None else {"runs": str(of.resolve())}
    content = safetensors.numpy.save({"step": np.array(3)}, {"notes": json.dumps(notes)})
    file = put(runs.checkpoints / SPEC.run_id, "checkpoint.safetensors")
    file.write_bytes(content)
    for path in (file, file.parent):
        os.utime(path, (time.time() - 7200,) * 2)
    return file


@pytest.mark.parametrize("of", ["first", "second", None])
def test_a_checkpoint_is_swept_by_the_folder_that_it_is_of(tmp_path, of):
    """Two folders share the folder of checkpoints; of None: of an earlier version, which does not tell."""
    runs = Runs(tmp_path / "first", tmp_path / "checkpoints")
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    file = checkpoint(of and tmp_path / of, runs)
    assert runs.strays() == ([file.parent] if of == "first" else [])
    with leased(runs, SPEC):  # begun here, too
        pass
    (found,) = runs.survey()
    assert runs.delete(found) == ""
    assert not runs.path(SPEC).exists()
    assert file.exists() == (of != "first")


def test_a_checkpoint_in_another_folders_runs_is_that_ones(tmp_path):
    first, second = Runs(tmp_path / "first", tmp_path / "second"), Runs(tmp_path / "second")
    for runs in (first, second):
        with leased(runs, SPEC):
            pass
    file = checkpoint(first.root, first)
    (found,) = second.survey()
    assert second.delete(found) == "its checkpoint is of another folder's run"
    assert file.exists()
    shutil.copy(file, first.path(SPEC))  # so that the other is a copy
    assert second.delete(found) == ""


def test_folders_that_share_checkpoints_never_make_a_run_at_once(tmp_path):
    first, second = (Runs(tmp_path / name, tmp_path / "checkpoints") for name in ("first", "second"))
    with leased(first, SPEC) as one:
        assert one is not None
        with leased(second, SPEC) as other:
            assert other is None
    with leased(second, SPEC) as other:
        assert other is not None
    assert not any((tmp_path / "checkpoints").iterdir())


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("begun", [False, True])
def test_another_folders_checkpoint_is_neither_gone_on_from_nor_deleted(toy_dir, tmp_path, begun, anew):
    first, second = (Runs(tmp_path / name, tmp_path / "checkpoints") for name in ("first", "second"))
    execute(TINY, first, data_dir=toy_dir, until=2)
    file = first.checkpoints / TINY.run_id / "checkpoint.safetensors"
    whole = file.read_bytes()
    if begun:
        second.path(TINY).mkdir(parents=True)
        (second.path(TINY) / "curve.csv").write_text("another curve\n")
    with pytest.raises(InputError, match=r"is of a run in .*first: name another folder with --checkpoints"):
        execute(TINY, second, data_dir=toy_dir, anew=anew)
    assert file.read_bytes() == whole
    assert litter.owner_of(file) == first.root.resolve()
    assert execute(TINY, first, data_dir=toy_dir)
    assert execute(TINY, Runs(tmp_path / "third", tmp_path / "checkpoints"), data_dir=toy_dir)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_lies_elsewhere_and_is_a_record_is_of_another_folder(toy_dir, tmp_path):
    """Whether it is named as the place of checkpoints or of weights, and whatever is begun or deleted."""
    assert execute(TINY, Runs(tmp_path / "theirs"), data_dir=toy_dir)
    before = contents(tmp_path / "theirs")
    for number, places in enumerate([{"checkpoints": tmp_path / "theirs"}, {"weights": tmp_path / "theirs"}]):
        mine = Runs(tmp_path / f"mine-{number}", **places)
        with pytest.raises(InputError, match=r"result\.json is of a record, and --\w+ is no folder of records"):
            execute(TINY, mine, data_dir=toy_dir)
        mine.path(TINY).mkdir(parents=True, exist_ok=True)
        (mine.path(TINY) / "spec.json").write_text(TINY.to_json())
        (found,) = mine.survey()
        assert not found.complete
        assert mine.delete(found).endswith("is no file of a run")
        assert mine.path(TINY).exists()
    assert contents(tmp_path / "theirs") == before


def test_weights_of_another_record_are_never_written_over(toy_dir, tmp_path):
    first, second = (Runs(tmp_path / name, weights=tmp_path / "weights") for name in ("first", "second"))
    assert execute(TINY, first, data_dir=toy_dir)
    file = first.weights_of(TINY)
    whole = file.read_bytes()
    with pytest.raises(InputError, match=r"is there, and of another record: name another folder with --weights"):
        execute(TINY, second, data_dir=toy_dir)
    assert not second.path(TINY).exists()
    file.unlink()
    execute(TINY, second, data_dir=toy_dir, until=2)
    file.write_bytes(whole[:-1] + b"?")  # of one that was completed meanwhile
    with pytest.raises(InputError, match=r"is there, and of another record"):
        execute(TINY, second, data_dir=toy_dir)
    assert file.read_bytes() == whole[:-1] + b"?"
    assert second.reached(TINY) is not None  # nothing is lost
    file.write_bytes(whole)  # as a kill leaves it, between the weights and the result
    assert execute(TINY, second, data_dir=toy_dir)
    (found,) = second.survey()
    file.write_bytes(whole[:-1] + b"?")
    assert second.delete(found) == ""
    assert file.exists()  # it is not what the record was bound to
    file.write_bytes(whole)
    for only in ("weights", "run"):
        (found,) = first.survey()
        assert not found.weights
        assert first.delete(found, only) == ""
        assert file.read_bytes() == whole  # the second may be bound to the same file
    assert not first.path(TINY).exists()


def test_weights_that_another_folder_keeps_among_these_records_are_never_deleted(toy_dir, tmp_path):
    theirs, mine = Runs(tmp_path / "theirs", weights=tmp_path / "mine"), Runs(tmp_path / "mine")
    assert execute(TINY, theirs, data_dir=toy_dir)
    before = contents(tmp_path)
    for anew in (False, True):
        with pytest.raises(InputError, match=r"is there, and of another record: name another folder with --weights"):
            execute(TINY, mine, data_dir=toy_dir, anew=anew)
    (found,) = mine.survey()
    assert not found.run
    assert contents(tmp_path) == before


def test_weights_whose_record_is_gone_are_no_part_of_a_run_that_is_begun_where_they_lie(toy_dir, tmp_path):
    theirs = Runs(tmp_path / "theirs", weights=tmp_path / "mine")
    mine = Runs(tmp_path / "mine", weights=tmp_path / "theirs")
    assert execute(TINY, theirs, data_dir=toy_dir)
    (found,) = theirs.survey()
    assert theirs.delete(found) == ""
    before = contents(tmp_path)
    assert [*before] == [f"mine/{TINY.run_id}/{digests.WEIGHTS}"]
    for runs in (mine, Runs(tmp_path / "mine")):
        with pytest.raises(InputError, match=r"mine/.* is there, and of another record: .* or delete it"):
            execute(TINY, runs, data_dir=toy_dir)
    assert contents(tmp_path) == before


def test_checkpoints_in_the_runs_folder_by_another_name_are_beside_the_records(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "link").symlink_to("runs")
    runs = Runs(tmp_path / "runs", tmp_path / "link", tmp_path / "runs" / ".." / "runs")
    assert {runs.root, runs.checkpoints, runs.weights} == {tmp_path / "runs"}
    assert complete(runs)


# --- data -------------------------------------------------------------------------------------------


def test_fetching_adds_what_is_missing_and_touches_nothing(toy_dir, tmp_path):
    thesis = put(tmp_path / "toy", "thesis.txt")
    scratch = put(tmp_path / ".fetch-notes", "mine.txt")
    os.utime(scratch.parent, (0, 0))
    for more in ({}, {"source": tmp_path}, {"source": tmp_path}):
        assert data.fetch("toy", tmp_path, **more) == data.check("toy", tmp_path)
        (tmp_path / "toy" / "train_labels.npy").unlink()
    assert data.fetch("toy", tmp_path) == data.check("toy", tmp_path)
    damaged = tmp_path / "toy" / "test_images.npy"
    damaged.write_bytes(b"mine")
    before = files(tmp_path)
    for more in ({}, {"source": tmp_path}):
        with pytest.raises(InputError, match=r"test_images\.npy cannot be read .*: delete that file, .*fetch toy"):
            data.fetch("toy", tmp_path, **more)
    assert files(tmp_path) == before
    assert {thesis.read_text(), scratch.read_text()} == {"mine"}


def test_a_folder_without_arrays_is_no_copy(tmp_path):
    thesis = put(tmp_path / "toy", "thesis.txt")
    assert not data.there("toy", tmp_path)
    assert data.load("toy", tmp_path).train.images.shape == (256, 32, 32, 3)  # from the layout that the folder has
    assert data.there("toy", tmp_path)
    assert thesis.read_text() == "mine"


@pytest.mark.parametrize("then", ["a file of a user's", "another set of that name", "nothing is left"])
def test_what_happens_while_the_question_stands_is_not_removed_with_an_own_set(tmp_path, then):
    np.savez(tmp_path / "mine.npz", images=np.zeros((20, 8, 8, 3), np.uint8), labels=np.arange(20) % 2)
    add = partial(data.add, "mine", tmp_path / "mine.npz", tmp_path / "data")
    folder = add(hold_out=0.2)

    def sure(_):
        if then == "a file of a user's":
            put(folder, "thesis.txt")
        else:
            data.remove("mine", tmp_path / "data")
            if then != "nothing is left":
                add(hold_out=0.4)
        there.update(files(folder))
        return True

    there: dict = {}
    with pytest.raises(InputError, match=r"thesis\.txt is no file|is another data set meanwhile|removed meanwhile"):
        data.remove("mine", tmp_path / "data", sure)
    assert files(folder) == there
    assert not list((tmp_path / "data").glob(".*"))


def test_a_lease_that_is_a_link_leads_to_nothing_that_is_deleted(tmp_path):
    place = tmp_path / "elsewhere"
    notes = put(place, "progress.json")
    os.utime(place, (0, 0))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lease-3").symlink_to(place)
    with lease.hold(tmp_path / "run") as mine:
        assert mine is not None
    assert notes.read_text() == "mine"
    assert not (tmp_path / "run").exists()


def test_a_replacement_that_is_gone_on_with_leaves_weights_of_another_record(tmp_path):
    """Whoever opens the runs next may name a folder of weights that had no part in it."""
    made = Runs(tmp_path / "made")
    with leased(made, SPEC) as writer:
        writer.keep(b"the new ones")
        rows = [dict.fromkeys(RunSpec().columns, 0.5) | {"step": step, "test_images": 64} for step in (0, 20)]
        writer.finish(rows, "budget", None, {"commit": "abc", "seconds": 1.5})
    (tmp_path / "runs" / ".again").mkdir(parents=True)
    shutil.move(writer.path, tmp_path / "runs" / ".again" / SPEC.run_id)
    theirs = put(tmp_path / "weights" / SPEC.run_id, digests.WEIGHTS)
    runs = Runs(tmp_path / "runs", weights=tmp_path / "weights")
    assert theirs.read_text() == "mine"
    assert (runs.path(SPEC) / digests.WEIGHTS).read_bytes() == b"the new ones"
    digests.check(runs.path(SPEC), json.loads((runs.path(SPEC) / "result.json").read_text()), weights=True)


def test_weights_elsewhere_stay_when_their_record_is_made_again_and_the_new_ones_are_found(toy_dir, tmp_path):
    """So no probe trains the run a second time, and it can be made again once more."""
    runs, probe = Runs(tmp_path / "runs", weights=tmp_path / "weights"), Part(name="capacity")
    assert execute(TINY, runs, data_dir=toy_dir)
    kept, beside = runs.weights_of(TINY), runs.path(TINY) / digests.WEIGHTS
    new, old = kept.read_bytes(), b"of the old version"
    kept.write_bytes(old)
    aged(runs.path(TINY), weights=kept)
    for there in ((old, new), (old, new), (new, None)):
        if there == (new, None):
            kept.unlink()
        runs = Runs(tmp_path / "runs", weights=tmp_path / "weights")
        make.begin_again(runs, outdated.find(runs, [TINY]))
        assert execute(TINY, runs, data_dir=toy_dir)
        assert tuple(path.read_bytes() if path.exists() else None for path in (kept, beside)) == there
        spec, trained = ProbeSpec.make(run=TINY, probe=probe), []
        note = lambda run, _, trained=trained: trained.append(run)  # noqa: E731
        assert execute(spec, runs, data_dir=toy_dir, on_network=note)
        assert not trained
        shutil.rmtree(runs.path(spec))
        aged(runs.path(TINY))


def test_a_record_that_is_replaced_while_it_is_read_is_read_again_and_not_called_damaged(tmp_path, monkeypatch):
    old, new = (complete(Runs(tmp_path / name)) for name in ("old", "new"))
    (new / "curve.csv").write_text((new / "curve.csv").read_text().replace("0.5", "0.25"))
    result = json.loads((new / "result.json").read_text().replace("0.5", "0.25"))
    rest = {key: value for key, value in result.items() if key not in digests.OWN}
    (new / "result.json").write_text(json.dumps(digests.sealed(rest, new)))
    reading = importlib.import_module("rethinking.record.read")
    expected, text = read(new).curve, reading.text_of

    def meanwhile(path, *words):
        if new.exists():
            for name in ("curve.csv", "environment.json", "result.json"):
                os.replace(new / name, old / name)
            shutil.rmtree(new)
        return text(path, *words)

    monkeypatch.setattr(reading, "text_of", meanwhile)
    assert read(old).curve == expected
    with lease.hold(old):
        (old / "result.json").unlink()
        with pytest.raises(InputError, match="is being replaced by another process: try again in a moment"):
            read(old)
    with pytest.raises(InputError, match=r"result\.json cannot be read .* the record is damaged"):
        read(old)
