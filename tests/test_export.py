"""What other programs are given: the same numbers everywhere, nothing of it markup; a crate that tells its parts."""

import csv
import errno
import io
import json
import math
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
from command import cli, one_line
from test_pages import DRAWN, README, cell, tables

from rethinking import catalog, figures
from rethinking.record import Runs, leased
from rethinking.report import export, html, model
from rethinking.report.escape import latex
from rethinking.spec import Part, ProbeSpec, RunSpec

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "figures"


@pytest.fixture(scope="module")
def found(results):
    return [result for result in results if result.name in ("table1", "table3", "table4")]


def read_csv(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_same_number_stands_in_readme_pages_latex_csv_and_crate(found, results):
    csvs = [dict(zip(export._CELLS, row, strict=True)) for row in export.cells(found)]
    texts = export.tables(found)
    crate = export.crate(found, Runs(ROOT / "runs"), FIGURES)
    whole = html.page(results, FIGURES)
    for result in found:
        drawn = DRAWN[result.stem]
        page = (ROOT / "docs" / "results" / f"{result.stem}.md").read_text()
        (article,) = re.findall(rf'<article aria-labelledby="figure-{result.stem}">.*?</article>', whole, re.S)
        head, rows = next((h, r) for h, r in tables(page) if h[0] == "row")
        paged = {row[head[0]]: row for row in rows}
        assert json.loads(crate[f"figures/{result.stem}.json"].read_text()) == drawn
        for row in drawn["table"]:
            shown = [k for k in row if k in ("train (%)", "test (%)", "test error (%)", "norm")]
            for column in shown:
                where = (result.stem, row["row"], column)
                mine = [c["value"] for c in csvs if (c["figure"], c["row"], c["column"]) == where]
                assert mine == ["" if v is None else v for v in row[column]]
                if row["row"] in paged:
                    assert paged[row["row"]][column] == cell(row[column])
            (line,) = re.findall(rf'<th scope="row">{re.escape(row["row"])}</th>.*', article)
            assert all(f"<td>{cell(row[column])}</td>" in line for column in shown)
            told = [f"& {latex(cell(row[column]))}" for column in shown]
            assert any(all(each in line for each in told) for line in texts[f"{result.stem}.tex"].splitlines())
    assert {c["seed"] for c in csvs if c["column"].startswith("paper")} == {""}
    assert "" not in {c["seed"] for c in csvs if not c["column"].startswith("paper")}
    own = model.counts(c for r in results if r.name in ("table4", "weight_decay") for c in r.judged if c.own)
    assert f"{own} |" in next(line for line in README.read_text().splitlines() if "**Table 4**" in line)


def test_the_papers_error_is_a_number_beside_its_own_number_of_filters_alone():
    setting = figures.setting("table3", "cpu")
    numbers = figures.numbers("table3", setting, Runs(ROOT / "runs"))
    result = model.Result("table3", setting, "table3-cpu", numbers)
    theirs = {row: value for _, row, column, _, value in export.cells([result]) if column == "paper (%)"}
    told = {"MNIST pixels, width 1": "1.2", "CIFAR-10 pixels, width 1": "46"}  # with the paper's own digits
    told |= {"CIFAR-10 conv, 16,000 filters": "17 with 32,000 filters"}
    told |= {"CIFAR-10 conv, 16,000 filters, penalty": "15 with 32,000 filters"}
    assert {row: theirs[row] for row in told} == told
    (text,) = export.tables([result]).values()
    assert all(f"{row} & " in text and f" & {value} & " in text for row, value in told.items())
    assert "Some rows are reduced." in text
    marked = [row for row in catalog.load("figures", "table3").PANELS[0].paper if "filters" in row]
    assert marked == ["CIFAR-10 conv, 32,000 filters", "CIFAR-10 conv, 32,000 filters, penalty"]


def test_a_cell_of_all_seeds_has_no_place_among_them():
    row = {"row": "a", "loss": "0.0098 (0.0098 to 0.0099)", "steps": [3, None], "paper steps": [4]}
    result = SimpleNamespace(stem="f", numbers={"table": [row]})
    told = [("loss", "", row["loss"]), ("steps", 0, 3), ("steps", 1, ""), ("paper steps", "", 4)]
    assert export.cells([result]) == [("f", "a", *each) for each in told]


def test_tables_are_set_as_the_paper_has_them_with_booktabs_and_escaped(found):
    for text in export.tables(found).values():
        assert text.count("\\toprule") == text.count("\\bottomrule") == 1
        columns = len(re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1])
        rows = [line for line in text.splitlines() if line.endswith(r" \\")]
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {columns - 1}
        assert not re.search(r"(?<!\\)[%#]", text.partition("\n")[2])
    assert "network & random crop & weight decay & labels" in export.tables(found)["table1-paper.tex"]
    hostile = "\\input{x} & \x1b[31m 100 %"
    numbers = found[-1].numbers | {"table": [{"row": hostile, "n": [1], "train (%)": [hostile]}]}
    bad = model.Result("table4", found[-1].setting, found[-1].stem, numbers)
    (text,) = export.tables([bad]).values()
    assert r"\textbackslash{}input\{x\} \& \textbackslash{}x1b[31m 100 \%" in text
    assert "\\input" not in text


def test_every_column_of_the_csv_files_has_a_meaning(found, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    names = [n for r in found for n in r.numbers["runs"]]
    for run in names[:2] + names[-2:] + [n for n in names if "kernel" in n][:1]:
        if not (runs / run).exists():
            (runs / run).symlink_to(ROOT / "runs" / run)
    files = export.tidy(found, Runs(runs))
    known = {(row["file"], row["column"]): row["meaning"] for row in read_csv(files["dictionary.csv"])}
    for file, text in files.items():
        rows = read_csv(text)
        assert rows, file
        if file != "dictionary.csv":
            assert {column for f, column in known if f == file} == set(rows[0])
    assert all(known.values())
    assert sum(r["verdict"] == "replicated" for r in read_csv(files["claims.csv"])) == sum(
        c["verdict"] == "replicated" for r in found for c in r.numbers["claims"]
    )


@pytest.mark.parametrize(
    ("form", "file"), [("crate", "figures/table1-paper.svg"), ("csv", "claims.csv"), ("latex", "table1-paper.tex")]
)
def test_the_command_writes_each_form(form, file, found, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "figures").mkdir()
    for path in FIGURES.glob("table1-paper.*"):
        shutil.copy(path, tmp_path / "figures")
    for run in next(result for result in found if result.stem == "table1-paper").numbers["runs"]:
        (tmp_path / "runs" / run).symlink_to(ROOT / "runs" / run)
    where = ("--runs", tmp_path / "runs", "--out", tmp_path / "figures")
    done = cli("export", form, "--to", tmp_path / "to", *where)
    assert done.returncode == 0, done.stderr
    written = [path for path in (tmp_path / "to").rglob("*") if path.is_file()]
    assert done.stdout == f"{len(written)} files written to {tmp_path / 'to'}\n"
    assert tmp_path / "to" / file in written


def test_what_probes_measure_is_in_a_csv_file_for_each(tmp_path):
    runs, run = Runs(tmp_path / "runs"), RunSpec.make(data="toy", n=64, model="tiny")
    for name in ("capacity", "deletion"):
        spec = ProbeSpec.make(run=run, probe=Part(name=name))
        with leased(runs, spec) as writer:
            arrays = {kept: np.zeros(1) for kept in spec.kept}
            row = {column.name: 1 if column.whole else 0.5 for column in spec.described}
            writer.finish([row], "computed", None, {"seconds": 1.0, "weights": "0" * 64}, arrays)
        assert read_csv(export.tidy([], runs)[f"probe-{name}.csv"]) == [
            {"run": spec.run_id, **{key: str(value) for key, value in row.items()}}
        ]


def test_a_crate_tells_every_file_and_which_run_made_it(found, tmp_path):
    files = export.crate(found[-1:], Runs(ROOT / "runs"), FIGURES)
    export.written(files, tmp_path / "crate")
    graph = json.loads((tmp_path / "crate" / "ro-crate-metadata.json").read_text())["@graph"]
    by_id = {entity["@id"]: entity for entity in graph}
    assert len(by_id) == len(graph)
    there = {str(p.relative_to(tmp_path / "crate")) for p in (tmp_path / "crate").rglob("*") if p.is_file()}
    assert {e["@id"] for e in graph if e["@type"] == "File"} == there - {"ro-crate-metadata.json"}
    made = {e["@id"] for e in graph if e["@type"] == "CreateAction"}
    assert made == {f"#{run}" for run in found[-1].numbers["runs"]} | {f"#{found[-1].stem}"}
    for run, told in found[-1].numbers["runs"].items():
        tool = by_id[by_id[f"#{run}"]["instrument"]["@id"]]
        assert (tool["@type"], tool["version"]) == ("SoftwareApplication", f"commit {told['commit']}")
        assert by_id[f"#{run}"]["description"].startswith(
            f"Took {told['seconds']:,.0f} seconds on {told['device_name']}"
        )
    assert len({by_id[f"#{run}"]["instrument"]["@id"] for run in found[-1].numbers["runs"]}) > 1
    assert not any("arxiv" in e.get("url", "") for e in graph)
    for entity in graph:
        for key in ("instrument", "object", "result", "hasPart", "mentions"):
            value = entity.get(key, [])
            assert all(each["@id"] in by_id for each in (value if isinstance(value, list) else [value]))
    with pytest.raises(Exception, match="not an empty folder"):
        export.written(files, tmp_path / "crate")


def test_what_is_missing_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    words = ("--runs", ROOT / "runs", "--out", FIGURES)
    told = one_line(cli("export", "tensorboard", "--to", tmp_path / "x", *words))
    assert "pip install 'rethinking[tensorboard]'" in told
    assert not (tmp_path / "x").exists()
    assert "allowed are crate, csv" in one_line(cli("export", "word", "--to", tmp_path))


def test_an_export_that_cannot_be_leaves_the_folder_as_it_was(found, tmp_path, monkeypatch):
    """Of figures without a table of the paper; of curves when the disk is full, which is after the first here."""
    (tmp_path / "to").mkdir()
    for file in FIGURES.glob("theorem1-cpu.*"):
        shutil.copy(file, tmp_path)
    words = ("export", "latex", "--to", tmp_path / "to", "--runs", ROOT / "runs", "--out", tmp_path)
    assert "no drawn figure is of Table 1, 3 or 4: draw one" in one_line(cli(*words))
    assert (tmp_path / "to").is_dir()

    class Full:
        def __init__(self, folder):
            Path(folder).mkdir()

        def add_event(self, event):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            pass

    names = {"compat.proto.event_pb2": "Event", "compat.proto.summary_pb2": "Summary"}
    for name, what in (names | {"summary.writer.event_file_writer": "EventFileWriter"}).items():
        fake = SimpleNamespace(**{what: Full if what == "EventFileWriter" else MagicMock()})
        monkeypatch.setitem(sys.modules, f"tensorboard.{name}", fake)
    (tmp_path / "runs").mkdir()
    run = next(iter(found[0].numbers["runs"]))
    (tmp_path / "runs" / run).symlink_to(ROOT / "runs" / run)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match="No space left"):
        export.tensorboard(Runs(tmp_path / "runs"), tmp_path / "to")
    assert sorted(tmp_path.iterdir()) == before
    assert not list((tmp_path / "to").iterdir())


def test_tensorboard_reads_the_curves_that_are_exported(toy_runs, tmp_path):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    done = cli("export", "tensorboard", "--to", tmp_path / "events", "--runs", toy_runs, "--out", tmp_path)
    records = Runs(toy_runs).complete_records()
    assert (done.returncode, done.stdout) == (0, f"{len(records)} runs written to {tmp_path / 'events'}\n"), done.stderr
    assert {path.name for path in (tmp_path / "events").iterdir()} == {record.path.name for record in records}
    for record in records:
        (file,) = (tmp_path / "events" / record.path.name).iterdir()
        read = [
            (event.step, v.tag, v.simple_value)
            for event in loader.LegacyEventFileLoader(str(file)).Load()
            for v in event.summary.value
        ]
        expected = [
            (row["step"], key, value)
            for row in record.rows
            for key, value in row.items()
            if key != "step" and math.isfinite(value)
        ]
        assert read == [(step, key, float(np.float32(value))) for step, key, value in expected]


def test_whole_numbers_that_a_table_has_as_text_get_commas_and_other_words_stay():
    told = [model.as_text([word]) for word in ("6356", "126.9", "1e-05", "2,000", "fails to converge", "999")]
    assert told == ["6,356", "126.9", "1e-05", "2,000", "fails to converge", "999"]
