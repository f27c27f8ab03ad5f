"""`rethinking verify`: nothing to find in what is sound, one line for each thing that is not."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from command import cli
from test_theory_records import SPECS

from rethinking import figures, report, verify
from rethinking.engines import local
from rethinking.engines.execute import execute
from rethinking.errors import InputError
from rethinking.record import Record, Runs, digests, read
from rethinking.report import export, html, model

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


def unsealed(place):
    """The folders of the records that only the list of digests binds, as they have none of their own."""
    results = sorted((place / "runs").glob("*/result.json"))
    return [path.parent for path in results if digests.OWN.isdisjoint(json.loads(path.read_text()))]


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
    assert "ARCHIVE has no line in DIGESTS: run `rethinking digest`" in findings(place)[0]
    Runs(place / "runs").digest()
    assert findings(place) == [
        f"{place / 'runs' / 'cifar10-once'} is in ARCHIVE, but no complete record is there: bring it back"
    ]


def test_a_record_that_is_gone_is_found(place):
    folder = unsealed(place)[0]
    shutil.rmtree(folder)
    found = findings(place)
    assert found[0] == f"{folder} is in DIGESTS, but no complete record is there: bring it back"
    assert f"runs at {folder.name}" in found[1]
    assert len(found) == 2


def test_a_record_that_nothing_binds_is_found(place):
    (place / "runs" / "DIGESTS").unlink()
    found = findings(place)
    assert 0 < len(found) == len(unsealed(place))
    assert all(line.endswith("has no digests, and no line in DIGESTS: run `rethinking digest`") for line in found)
    Runs(place / "runs").digest()
    assert findings(place) == []


def test_a_record_that_was_made_again_is_not_the_one_in_the_list(place):
    folder = unsealed(place)[0]
    sealed = digests.sealed(read(folder).result, folder)
    (folder / "result.json").write_text(json.dumps(sealed))
    assert read(folder).result == sealed
    (found,) = findings(place)
    assert "result.json was changed, by the SHA-256 in DIGESTS" in found


def test_weights_are_checked_where_they_are(place):
    folder = unsealed(place)[0]
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


def resealed(path, **changes):
    """Write what a drawn figure's .json holds, with other values, and the digest that it then has."""
    held = {k: v for k, v in (json.loads(path.read_text()) | changes).items() if k != "digest"}
    path.write_text(json.dumps(held | {"digest": digests.of_result(held)}))


def test_every_number_of_a_drawn_figure_is_compared(place):
    path = place / "figures" / f"{DRAWN}.json"
    whole = path.read_text()
    drawn = json.loads(whole)
    run = "another-0123456789"
    another = {"missing": [run], "runs": {run: next(iter(drawn["runs"].values()))}, "figure": "another", "asked": True}
    another |= {"scale": "quick", "model": "another", "seeds": 7, "digests": {"another": ""}}
    for key in drawn.keys() - {"figure", "scale", "model", "seeds", "asked", *digests.OWN}:
        resealed(path, **{key: another.get(key) or drawn[key][1:]})
        (found,) = findings(place)
        assert found.startswith(f"{path} is not of the records there are ({key}")
        path.write_text(whole)
    resealed(path, extra=1)
    assert "(extra)" in findings(place)[0]
    for key in drawn.keys() - {"digest"}:
        path.write_text(json.dumps(drawn | {key: another.get(key) or drawn[key][1:]}))
        changed = f"{path} was changed since it was drawn, by its own SHA-256: draw it again, or move it away"
        assert findings(place) == [changed]
    path.write_text(whole[:-20])
    (found,) = findings(place)
    assert re.fullmatch(rf"{re.escape(str(path))} is not valid JSON \(.*\): draw it again, or move it away", found)


def another_picture(path):
    other = next(p for p in sorted(ROOT.glob(f"figures/*{path.suffix}")) if p.stem != path.stem)
    path.write_bytes(other.read_bytes())


def altered(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))


@pytest.mark.parametrize("form", ["svg", "pdf"])
@pytest.mark.parametrize(
    ("change", "line"),
    [
        (another_picture, "is not the picture drawn with"),
        (altered, "is not the picture drawn with"),
        (lambda path: path.write_bytes(b""), "is not the picture drawn with"),
        (Path.unlink, "is missing: draw"),
        (lambda path: path.with_suffix(".png").write_bytes(path.read_bytes()), "was not drawn with"),
    ],
)
def test_a_picture_is_the_one_that_was_drawn_with_its_numbers(form, change, line, place):
    path = place / "figures" / f"{DRAWN}.{form}"
    change(path)
    (found,) = findings(place)
    assert line in found
    assert str(path.with_suffix("")) in found
    found = model.results(Runs(place / "runs"), place / "figures")
    with pytest.raises(InputError, match=line):
        export.crate(found, Runs(place / "runs"), place / "figures")
    with pytest.raises(InputError, match=line):
        html.save(place / "page.html", Runs(place / "runs"), place / "figures")
    assert not (place / "page.html").exists()


def test_a_figure_that_tells_no_pictures_and_a_picture_without_a_figure_are_found(place):
    path = place / "figures" / f"{DRAWN}.json"
    drawn = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in drawn.items() if k not in digests.OWN}))  # as of an earlier version
    (found,) = findings(place)
    assert found.startswith(f"{path} holds no digests of its pictures, as of an earlier version: draw ")
    assert model.results(Runs(place / "runs"), place / "figures")  # its numbers are those of the records
    for key in digests.OWN:
        path.write_text(json.dumps({k: v for k, v in drawn.items() if k != key}))
        assert "was changed since it was drawn" in findings(place)[0]
    path.unlink()
    (place / "figures" / "photo.png").touch()  # somebody's own
    pictures = [path.with_suffix(suffix) for suffix in (".pdf", ".svg")]
    assert findings(place) == [
        f"{picture} has no {path.name} beside it: bring that back, or move the picture away" for picture in pictures
    ]


def test_a_figure_whose_name_is_not_that_of_its_figure_and_scale_is_refused(place):
    path = place / "figures" / f"{DRAWN}.json"
    figure = json.loads(path.read_text())["figure"]
    whole = path.read_text()
    for scale in ("quick", "paper"):  # which would switch checks off
        resealed(path, scale=scale)
        line = f"{path} is of {figure}-{scale}: give it its name back"
        assert findings(place) == [line]
        with pytest.raises(InputError, match=re.escape(line)):
            model.results(Runs(place / "runs"), place / "figures")
    path.write_text(whole)
    for form in ("json", "svg", "pdf"):
        path.with_suffix(f".{form}").rename(path.with_name(f"dose-cpu.{form}"))
    assert findings(place) == [f"{path.with_name('dose-cpu.json')} is of {DRAWN}: give it its name back"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_figure_of_scale_quick_is_compared_with_the_records_of_either_precision(precision, place):
    chosen = figures.setting("curves", "quick", None, None, precision)
    for path in (place / "figures").iterdir():
        path.unlink()
    quick = figures.draw("curves", chosen, Runs(place / "runs"), place / "figures").files[-1]
    assert quick.name == "curves-quick.json"
    assert findings(place) == []
    missing = json.loads(quick.read_text())["missing"]
    assert missing
    resealed(quick, missing=missing[1:])
    (found,) = findings(place)
    assert "is not of the records there are (missing)" in found


def test_pages_are_compared_with_the_figures_that_they_are_made_from(place):
    readme, runs = place / "README.md", Runs(place / "runs")
    readme.write_text(f"# Ours\n\n{report.BEGIN}\n{report.END}\n")
    assert report.update(readme, runs, place / "figures")

    def told(*more):
        done = cli("verify", "--runs", runs.root, "--out", place / "figures", *more, "--json")
        assert done.returncode == bool(json.loads(done.stdout)["findings"])
        return json.loads(done.stdout)["pages"], json.loads(done.stdout)["findings"]

    assert told() == (6, [])
    whole_page = place / "page.html"
    html.save(whole_page, runs, place / "figures")
    assert told("--html", whole_page) == (7, [])
    whole_page.write_text(whole_page.read_text()[:-1])
    assert told("--html", whole_page) == (7, [f"{whole_page} is stale: run `rethinking report --html`"])
    page = place / "docs" / "results" / f"{DRAWN}.md"
    whole = page.read_text()
    page.write_text(whole.replace("runs", "run", 1))
    assert told() == (6, [f"{page} is stale: run `rethinking report`"])
    page.unlink()
    assert told() == (6, [f"{page} is stale: run `rethinking report`"])
    page.write_text(whole)
    stray = page.with_name("gone-cpu.md")
    stray.write_text(whole)
    assert told() == (6, [f"{stray} is stale: run `rethinking report`"])
    stray.unlink()
    readme.write_text(readme.read_text().replace("Figure 1(a)", "Figure 1(b)"))
    assert told() == (6, [f"{readme} is stale: run `rethinking report`"])
    readme.write_text("no scoreboard")  # there are pages, so it must have one
    (found,) = told()[1]
    assert "has no scoreboard" in found
    shutil.rmtree(place / "docs")
    assert told() == (0, [])
    (found,) = told("--readme", readme)[1]
    assert "has no scoreboard" in found
    readme.write_text(report.BEGIN + report.END)
    report.update(readme, runs, place / "figures")
    resealed(place / "figures" / f"{DRAWN}.json", caption="another")
    assert told()[1][1:] == [f"{readme} and the pages of results are not compared: mend the figures first"]


def test_the_command_exits_1_where_there_is_a_finding(place):
    words = ("verify", "--runs", place / "runs", "--out", place / "figures")
    done = cli(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("records, 1 drawn figures and 0 pages: no findings\n")
    change(min((place / "runs").glob("*/environment.json")), '"commit"', '"commot"')
    done = cli(*words)
    assert (done.returncode, done.stderr) == (1, "")
    assert "environment.json was changed" in done.stdout
    assert len(done.stdout.splitlines()) == 3


def test_deep_makes_records_again_and_finds_another_curve(toy_dir, tmp_path):
    from rethinking.spec import RunSpec

    runs = Runs(tmp_path / "runs")
    spec = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)
    assert local.run([spec], runs, data_dir=str(toy_dir)) == []
    words = ("verify", "--deep", 1, "--device", "cpu", "--runs", runs.root, "--out", tmp_path, "--data-dir", toy_dir)
    done = cli(*words)
    assert (done.returncode, done.stdout) == (0, "1 records, 0 drawn figures and 0 pages: no findings\n"), done.stderr
    folder = runs.path(spec)
    change(folder / "curve.csv", "0.05", "0.06")
    result = {k: v for k, v in json.loads((folder / "result.json").read_text()).items() if k not in digests.OWN}
    (folder / "result.json").write_text(json.dumps(digests.sealed(result, folder)))
    (found,) = verify.deep(runs, 3, data_dir=str(toy_dir))
    other = "from step 0 on another curve: learning_rate 0.06 against 0.05"
    assert found == f"{folder} made again is another: {other}; nothing that the two were made with explains it"


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN")
def test_deep_makes_records_of_every_kind_again_and_finds_nothing(toy_dir, home, tmp_path, monkeypatch):
    """In this process, where a worker would. The probe's run is made as a record, and once more for the probe."""
    runs, made = Runs(tmp_path / "runs"), []
    training = SPECS[-1].run.replace(precision="bfloat16", keep=("test_logits", "weight_quantiles"))

    def here(specs, runs, *, data_dir, threads, until, **_):
        made.extend(spec.run_id for spec in specs)
        return [] if all(execute(s, runs, data_dir=data_dir, threads=threads, until=until) for s in specs) else specs

    for spec in (*SPECS, training):
        assert execute(spec, runs, data_dir=str(toy_dir))
    monkeypatch.setattr(verify.local, "run", here)
    assert list(verify.deep(runs, 99, data_dir=str(toy_dir))) == []
    every = [path.name for path in runs.root.iterdir()]
    assert sorted(made) == sorted([*every, SPECS[-1].run.run_id])


def test_deep_goes_on_after_a_damaged_record_and_a_run_that_fails(tmp_path, monkeypatch):
    """Every finding is told, also as JSON; the exit status is 1."""
    for run in sorted(ROOT.glob("runs/*-mlp-1x512-*"))[:2]:
        shutil.copytree(run, tmp_path / "runs" / run.name)
    (tmp_path / "figures").mkdir()
    damaged, sound = sorted(tmp_path.glob("runs/*"))
    (damaged / "curve.csv").write_text("x")
    monkeypatch.setattr(verify, "_within", lambda *_: True)
    monkeypatch.setattr(verify.local, "run", lambda specs, *_, **__: [local.Failure(specs[0], "no memory")])
    words = ("verify", "--deep", 2, "--device", "cpu", "--runs", tmp_path / "runs", "--out", tmp_path / "figures")
    done = cli(*words, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)["findings"]
    assert any(line.startswith(f"{damaged / 'curve.csv'} is not a curve") for line in found)
    assert found[-1] == f"{sound} could not be made again: {sound.name} failed: no memory"


def test_deep_counts_the_training_that_a_probe_needs(monkeypatch):
    from rethinking.spec import Part, ProbeSpec, RunSpec

    monkeypatch.setattr(verify, "made_again", lambda first, **_: ("another", first))
    run = RunSpec.make(data="toy", n=64, model="tiny")
    specs = ProbeSpec.make(run=run, probe=Part(name="capacity")), run

    def again(*seconds, device="cpu"):
        """What is made again on the CPU, where the probe and its run, if that is there, took so long."""
        made = [{"device": "cpu", "seconds": seconds[0]}, {"device": device, "seconds": seconds[-1]}]
        records = [Record(Path(s.run_id), s, {}, m, {}) for s, m, _ in zip(specs, made, seconds, strict=False)]
        monkeypatch.setattr(verify, "_sound", lambda runs: records)
        return {line.split()[0] for line in verify.deep(Runs(), 9)}

    assert again(200.0, 300.0) == {spec.run_id for spec in specs}
    assert again(400.0, 300.0) == {run.run_id}
    assert again(1.0, 601.0) == again(1.0) == again(1.0, 1.0, device="cuda") == set()
