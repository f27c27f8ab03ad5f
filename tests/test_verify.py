"""`rethinking verify`: nothing to find in what is sound, one line for each thing that is not."""

import json
import re
import shutil
from pathlib import Path

import pytest
from command import cli

from rethinking import figures, verify
from rethinking.record import Runs, digests, read

ROOT = Path(__file__).parents[1]
DRAWN = min(ROOT.glob("figures/*-cpu.json"), key=lambda p: len(json.loads(p.read_text())["runs"]) or 10**6).stem


@pytest.fixture
def place(tmp_path):
    """A committed figure with its records and their digests."""
    (tmp_path / "figures").mkdir()
    for suffix in (".json", ".svg", ".pdf"):
        shutil.copy(ROOT / "figures" / f"{DRAWN}{suffix}", tmp_path / "figures")
    runs = json.loads((ROOT / "figures" / f"{DRAWN}.json").read_text())["runs"]
    for run in runs:
        shutil.copytree(ROOT / "runs" / run, tmp_path / "runs" / run)
    lines = (ROOT / "runs" / "DIGESTS").read_text().splitlines(keepends=True)
    (tmp_path / "runs" / "DIGESTS").write_text("".join(x for x in lines if x[66:].partition("/")[0] in runs))
    return tmp_path


def findings(place):
    runs = Runs(place / "runs")
    found = [*verify.records(runs), *verify.drawn(runs, place / "figures")]
    assert all("\n" not in line for line in found)
    return found


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_nothing_is_found_in_what_is_sound_and_every_change_of_a_record_is(place):
    assert findings(place) == []
    folder = min((place / "runs").glob("*/result.json")).parent
    for file in sorted(folder.iterdir()):
        whole = file.read_bytes()
        file.write_bytes(whole + b" ")
        found = findings(place)
        assert str(file.parent) in found[0]
        assert len(found) == 2  # the record, and the figure that was drawn from it
        file.write_bytes(whole)
    assert findings(place) == []


def test_an_archived_record_that_is_gone_is_found(place):
    (place / "runs" / "ARCHIVE").write_text("cifar10-once\n")
    assert findings(place) == [
        f"{place / 'runs' / 'cifar10-once'} is in ARCHIVE, but no complete record is there: bring it back"
    ]


def test_a_record_that_is_gone_is_found(place):
    folder = min((place / "runs").glob("*/result.json")).parent
    shutil.rmtree(folder)
    found = findings(place)
    assert found[0] == f"{folder} is in DIGESTS, but no complete record is there: bring it back"
    assert f"runs at {folder.name}" in found[1]
    assert len(found) == 2


def test_a_record_that_nothing_binds_is_found(place):
    (place / "runs" / "DIGESTS").unlink()
    found = findings(place)
    assert len(found) == len(list((place / "runs").iterdir()))
    assert all(line.endswith("has no digests, and no line in DIGESTS: run `rethinking digest`") for line in found)
    Runs(place / "runs").digest()
    assert findings(place) == []


def test_a_record_that_was_made_again_is_not_the_one_in_the_list(place):
    folder = min((place / "runs").glob("*/result.json")).parent
    sealed = digests.sealed(read(folder).result, folder)
    (folder / "result.json").write_text(json.dumps(sealed))
    assert read(folder).result == sealed
    (found,) = findings(place)
    assert "result.json was changed, by the SHA-256 in DIGESTS" in found


def test_weights_are_checked_where_they_are(place):
    folder = min((place / "runs").glob("*/result.json")).parent
    (place / "runs" / "DIGESTS").unlink()
    Runs(place / "runs").digest()
    lines = (place / "runs" / "DIGESTS").read_text().splitlines(keepends=True)
    (place / "runs" / "DIGESTS").write_text("".join(x for x in lines if f"  {folder.name}/" not in x))
    weights = folder / digests.WEIGHTS
    weights.write_bytes(b"weights")
    (folder / "result.json").write_text(json.dumps(digests.sealed(read(folder).result, folder)))
    assert findings(place) == []
    weights.write_bytes(b"weightz")
    read(folder)
    (found,) = findings(place)
    assert f"{weights} is another file than its record was completed with" in found
    weights.unlink()
    assert findings(place) == []


def test_every_number_of_a_drawn_figure_is_compared(place):
    path = place / "figures" / f"{DRAWN}.json"
    whole = path.read_text()
    drawn = json.loads(whole)
    for key in drawn.keys() - {"figure", "scale", "model", "seeds", "asked"}:
        path.write_text(json.dumps(drawn | {key: "another"}))
        (found,) = findings(place)
        assert found.startswith(f"{path} is not of the records there are ({key})")
    path.write_text(json.dumps(drawn | {"extra": 1}))
    assert "(extra)" in findings(place)[0]
    path.write_text(whole[:-20])
    (found,) = findings(place)
    assert re.fullmatch(rf"{re.escape(str(path))} is not valid JSON \(.*\): draw it again, or move it away", found)
    path.write_text(whole)
    path.with_suffix(".pdf").unlink()
    (found,) = findings(place)
    assert f"{DRAWN}.pdf is missing" in found


def test_a_figure_of_scale_quick_is_compared_with_the_records_it_names(place):
    drawn = json.loads((place / "figures" / f"{DRAWN}.json").read_text())
    quick = place / "figures" / "quick.json"
    for suffix in (".svg", ".pdf"):
        quick.with_suffix(suffix).touch()
    quick.write_text(json.dumps(drawn | {"scale": "quick"}))
    assert findings(place) == []
    run = next(iter(drawn["runs"]))
    quick.write_text(json.dumps(drawn | {"scale": "quick", "runs": drawn["runs"] | {run: {"commit": "x"}}}))
    (found,) = findings(place)
    assert f"(runs at {run})" in found


def test_numbers_are_those_that_are_drawn(place, tmp_path):
    drawn = json.loads((place / "figures" / f"{DRAWN}.json").read_text())
    setting = figures.setting_of(drawn)
    made = figures.draw(drawn["figure"], setting, Runs(place / "runs"), tmp_path / "new")
    assert json.loads(made.files[-1].read_text()) == figures.numbers(drawn["figure"], setting, Runs(place / "runs"))


def test_the_command_exits_1_where_there_is_a_finding(place):
    words = ("verify", "--runs", place / "runs", "--out", place / "figures")
    done = cli(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("records and 1 drawn figures: no findings\n")
    change(min((place / "runs").glob("*/environment.json")), '"commit"', '"commot"')
    done = cli(*words)
    assert (done.returncode, done.stderr) == (1, "")
    assert "environment.json was changed" in done.stdout
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.usefixtures("forked")
def test_deep_makes_records_again_and_finds_another_curve(toy_dir, tmp_path):
    from rethinking.engines import local
    from rethinking.spec import RunSpec

    runs = Runs(tmp_path / "runs")
    spec = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)
    assert local.run([spec], runs, data_dir=str(toy_dir)) == []
    assert list(verify.deep(runs, 3, data_dir=str(toy_dir))) == []
    folder = runs.path(spec)
    change(folder / "curve.csv", "0.05", "0.06")
    result = {k: v for k, v in json.loads((folder / "result.json").read_text()).items() if k not in digests.OWN}
    (folder / "result.json").write_text(json.dumps(digests.sealed(result, folder)))
    (found,) = verify.deep(runs, 3, data_dir=str(toy_dir))
    other = "from step 0 on another curve: learning_rate 0.06 against 0.05"
    assert found == f"{folder} made again is another: {other}; nothing that the two were made with explains it"
