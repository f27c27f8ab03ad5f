"""The README's numbers, recomputed from the records by a parser that shares no code with the package."""

import csv
import json
import math
import re
import shutil
from collections import Counter
from pathlib import Path
from statistics import median

import pytest

from rethinking import report
from rethinking.errors import InputError
from rethinking.record import Runs

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


# --- the records, read anew --------------------------------------------------------------------


def read_records():
    found = []
    for result in sorted(ROOT.glob("runs/*/result.json")):
        spec = json.loads((result.parent / "spec.json").read_text())
        if "model" not in spec:
            continue  # it trained no network; see theory's own tests
        with (result.parent / "curve.csv").open() as stream:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]
        found.append((spec, rows))
    return found


RECORDS = read_records()
CORRUPTED = {
    "true labels": [],
    "random labels": [("random_labels", {})],
    "half random labels": [("partial_labels", {"p": 0.5})],
    "shuffled pixels": [("shuffled_pixels", {})],
    "random pixels": [("random_pixels", {})],
    "Gaussian": [("gaussian", {})],
    "random signs": [("random_signs", {})],
}


def curves(model, n, corruption, regularizers=(), slow=False):
    """One curve per seed 0, 1, 2 ... of the runs that fit the description, None where there is none."""
    seeds = {}
    for spec, rows in RECORDS:
        parts = [(c["name"], c["options"]) for c in spec["corruptions"]]
        extra = [(r["name"], r["options"]) for r in spec["regularizers"]]
        same = (spec["model"], spec["n"], parts, extra) == (model, n, corruption, list(regularizers))
        plain = spec["lr_decay"] == (0.999 if slow else 0.95) and spec["batch_size"] == 128
        if same and plain and spec["seed"] == spec["data_seed"] and spec["precision"] == "float32":
            assert spec["seed"] not in seeds, "two runs answer to one row"
            seeds[spec["seed"]] = rows
    return seeds


def fit(rows):
    return next((int(r["step"]) for r in rows if r["train_accuracy"] >= 0.99), "censored")


def best(rows):
    return max(rows[1:], key=lambda r: (r["test_accuracy"], -r["epoch"]))


def gain(rows):
    interim = [r["test_accuracy"] for r in rows[:-1]]
    return 100 * (max(interim) - interim[-1])


MEASURES = {
    "train (%)": lambda r: 100 * r[-1]["train_accuracy"],
    "training accuracy (%)": lambda r: 100 * r[-1]["train_accuracy"],
    "final training accuracy (%)": lambda r: 100 * r[-1]["train_accuracy"],
    "test (%)": lambda r: 100 * r[-1]["test_accuracy"],
    "test accuracy (%)": lambda r: 100 * r[-1]["test_accuracy"],
    "test accuracy on random signs (%)": lambda r: 100 * r[-1]["test_accuracy"],
    "test error (%)": lambda r: 100 - 100 * r[-1]["test_accuracy"],
    "final test error (%)": lambda r: 100 - 100 * r[-1]["test_accuracy"],
    "training error (%)": lambda r: 100 - 100 * r[-1]["train_accuracy"],
    "online": lambda r: 100 * r[-1]["online_accuracy"],
    "steps": fit,
    "steps to 99 %": fit,
    "best epoch": lambda r: best(r)["epoch"],
    "best test error (%)": lambda r: 100 - 100 * best(r)["test_accuracy"],
    "first epoch's training error as trained (%)": lambda r: 100 - 100 * r[1]["online_accuracy"],
    "test error after it (%)": lambda r: 100 - 100 * r[1]["test_accuracy"],
    "correlation, lower bound": lambda r: 2 * max(x["train_accuracy"] for x in r) - 1,
    "gain of early stopping (points)": gain,
}


# --- the README, taken apart --------------------------------------------------------------------


def sections():
    text = README.read_text()
    body = text.split(report.BEGIN)[1].split(report.END)[0]
    for part in body.split("### ")[1:]:
        name, model = re.match(r"`(\w+)`(?:, ([\w-]+))?, scale cpu", part).groups()
        tables = re.findall(r"(?:^\|.*\n)+", part, re.M)
        yield (
            name,
            model,
            [[[c.strip() for c in re.split(r"(?<!\\)\|", row)[1:-1]] for row in t.splitlines()] for t in tables],
        )


def said(cell):
    """The numbers and words of a cell."""
    return re.findall(r"-?[\d,]*\.?\d+|censored|not run", cell.replace("%", ""))


def expected(values, places):
    """What a cell must say of the values of its seeds."""
    numbers = sorted(v for v in values if v != "censored")
    words = []
    if numbers:
        words = [median(numbers)] if len(numbers) == 1 else [median(numbers), numbers[0], numbers[-1]]
    return [f"{v:.{places}f}" for v in words], values.count("censored")


def check_cell(cell, values, wanted_seeds):
    places = 0 if values and all(isinstance(v, int) or v == "censored" for v in values) else 2
    numbers, censored = expected(values, places)
    tokens = said(cell.replace(",", "") if places == 0 and len(values) == 1 else cell.split(" of ")[0])
    told = [t.replace(",", "") for t in tokens if t not in ("censored", "not run")]
    if not values:
        assert cell == "not run"
        return
    for number in numbers:
        near = [t for t in told if math.isclose(float(t), float(number), abs_tol=0.011 if places else 0.51)]
        assert near, (cell, number)
    if censored:
        assert "censored" in cell
    if len(values) < wanted_seeds:
        assert cell.endswith(f"{len(values)} of {wanted_seeds} seeds")


def words_of(label):
    """Network, corruption and regularizers said by a row, as "alexnet, random labels" or "alexnet, p = 0.3"."""
    model, *parts = [w.strip() for w in label.split(",")]
    corruption, regularizers = [], []
    for part in parts:
        p = re.fullmatch(r"p = ([\d.]+)", part)
        if p:
            value = float(p[1])
            corruption = (
                [] if value == 0 else [("random_labels", {})] if value == 1 else [("partial_labels", {"p": value})]
            )
        elif part == "random labels":
            corruption = [("random_labels", {})]
        elif part == "random crop":
            regularizers.append(("random_crop", {"on": True}))
        elif part == "weight decay":
            regularizers.append(("weight_decay", {"strength": 5e-4}))
        else:
            raise AssertionError(part)
    return model, corruption, regularizers


def runs_of_row(figure, model, head, column):
    """Arguments of `curves` for the runs that a cell is made of."""
    if figure in ("fig1a", "curves"):
        return model, CORRUPTED[head], []
    if figure == "data_size":
        return model, [], []
    if figure == "rademacher":
        return head, CORRUPTED["random signs"], []
    if figure == "fig2b":
        return {"with batch norm": "inception", "without batch norm": "inception-nobn"}[head], [], []
    if figure == "weight_decay":
        network, strength = head.split(", ")
        decay = [("weight_decay", {"strength": float(strength)})] if float(strength) else []
        return network, CORRUPTED["random labels" if "random labels" in column else "true labels"], decay
    if figure == "table4":
        network, regularizer = head.split(", ")
        assert regularizer == "weight decay", "recompute the online rows here too"
        return network, CORRUPTED["random labels"], [("weight_decay", {"strength": 5e-4})]
    return words_of(head)


def check_row(figure, model, header, row):
    cells = dict(zip(header, row, strict=True))
    head = row[0]
    n = int(cells["n"].replace(",", ""))
    checked = 0
    for column, cell in cells.items():
        if column in (header[0], "n", "consistent with the paper's rows") or column.startswith("paper"):
            continue
        network, corruption, regularizers = runs_of_row(figure, model, head, column)
        found = curves(network, n, corruption, regularizers)
        wanted = 1 if figure == "weight_decay" or not network.startswith("mlp") else 3
        found = {k: v for k, v in found.items() if k < wanted}
        if column == "ratio":
            base = {k: fit(v) for k, v in curves(network, n, [], []).items()}
            steps = {k: fit(v) for k, v in found.items() if base.get(k, "censored") != "censored"}
            values = [s if s == "censored" else s / base[k] for k, s in steps.items()]
        else:
            measure = MEASURES[re.sub(r", (true|random) labels", "", column)]
            values = [measure(v) for v in found.values()]
        check_cell(cell, values, wanted)
        checked += bool(values)
    return checked


def test_every_number_of_ours_in_the_readme_comes_from_the_records():
    checked = Counter()
    for figure, model, tables in sections():
        header, _, *rows = tables[0]
        for row in rows:
            checked[figure] += check_row(figure, model, header, row)
    assert all(checked.values())
    assert sum(checked.values()) > 20


def test_the_verdicts_are_counted_right():
    text = README.read_text().split(report.BEGIN)[1].split(report.END)[0]
    total = Counter()
    for part in text.split("### ")[1:]:
        verdicts = Counter(re.findall(r"^\| \*\*([\w ]+)\*\* \|", part, re.M))
        told = {
            w: int(k)
            for k, w in re.findall(
                r"(\d+) (replicated|not replicated|not run|not judged at this scale)\b", part.splitlines()[0]
            )
        }
        assert told == dict(verdicts)
        total += verdicts
    told = {
        w: int(k)
        for k, w in re.findall(
            r"(\d+) (replicated|not replicated|not run|not judged[\w ]*)(?=,|:)", text.split("### ")[0]
        )
    }
    assert all(told[w] >= count for w, count in total.items())
    assert told.get("replicated", 0) == total["replicated"]
    assert told.get("not replicated", 0) == total["not replicated"]


def test_the_readme_is_up_to_date_and_a_changed_number_is_seen(tmp_path):
    assert report.update(README, Runs(ROOT / "runs"), ROOT / "figures", check=True)
    copy = tmp_path / "README.md"
    text = README.read_text()
    shutil.copytree(ROOT / "figures", tmp_path / "figures")
    copy.write_text(text.replace(" claims, judged", " claims, judgd", 1))
    assert not report.update(copy, Runs(ROOT / "runs"), tmp_path / "figures", check=True)
    assert not report.update(copy, Runs(ROOT / "runs"), tmp_path / "figures")
    assert copy.read_text() == text


def test_a_file_without_markers_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(InputError, match="has no results section"):
        report.update(tmp_path / "README.md", Runs(ROOT / "runs"), ROOT / "figures")
