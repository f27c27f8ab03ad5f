"""The README's numbers, recomputed from the records by a parser that shares no code with the package."""

import csv
import json
import math
import re
import shutil
from collections import Counter
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from rethinking import report
from rethinking.errors import InputError
from rethinking.record import Runs

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


# --- the records, read anew --------------------------------------------------------------------


def read_records():
    """(spec, curve) of every training run, and of every other."""
    found, theory = [], []
    for result in sorted(ROOT.glob("runs/*/result.json")):
        spec = json.loads((result.parent / "spec.json").read_text())
        with (result.parent / "curve.csv").open() as stream:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]
        if "kind" in spec:
            theory.append((spec, rows))
            continue
        spec["folder"] = result.parent
        rows[0]["seconds"] = json.loads((result.parent / "environment.json").read_text())["seconds"]
        rows[0]["diverged"] = json.loads(result.read_text())["status"] == "diverged"
        found.append((spec, rows))
    return found, theory


RECORDS, THEORY = read_records()
USUAL = {"held_out": 0, "bootstrap": False, "keep": [], "model_options": {}, "momentum": 0.9, "batch_size": 128}


def usual(spec, **fields):
    """Whether a spec has these fields, and else what all runs have but those of a figure that changes it."""
    return all(spec.get(key, USUAL.get(key)) == value for key, value in (USUAL | fields).items())


CORRUPTED = {
    "true labels": [],
    "random labels": [("random_labels", {})],
    "half random labels": [("partial_labels", {"p": 0.5})],
    "shuffled pixels": [("shuffled_pixels", {})],
    "random pixels": [("random_pixels", {})],
    "Gaussian": [("gaussian", {})],
    "random signs": [("random_signs", {})],
}


def curves(model, n, corruption, regularizers=(), slow=False, precision="float32"):
    """One curve per seed 0, 1, 2 ... of the runs that fit the description, None where there is none."""
    seeds = {}
    for spec, rows in RECORDS:
        parts = [(c["name"], c["options"]) for c in spec["corruptions"]]
        extra = [(r["name"], r["options"]) for r in spec["regularizers"]]
        same = (spec["model"], spec["n"], parts, extra) == (model, n, corruption, list(regularizers))
        plain = usual(spec) and spec["lr_decay"] == (0.999 if slow else 0.95)
        epoch = -(-n // 128)
        reduced = {"steps": (400 if slow else 200) * epoch, "eval_every": 4 * epoch}
        plain &= n == 50_000 or all(spec[key] == value for key, value in reduced.items())
        if same and plain and spec["seed"] == spec["data_seed"] and spec["precision"] == precision:
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
    """(figure, network or None, scale, first line, tables) of every section."""
    body = README.read_text().split(report.BEGIN)[1].split(report.END)[0]
    for part in body.split("\n### ")[1:]:
        name, model, scale = re.match(r"`(\w+)`(?:, ([\w-]+))?, scale (\w+)", part).groups()
        yield name, model, scale, part, tables_of(part)


def tables_of(text):
    """The cells of every table of a Markdown text, row by row, the head and its rule first."""
    return [
        [[c.strip() for c in re.split(r"(?<!\\)\|", row)[1:-1]] for row in t.splitlines()]
        for t in re.findall(r"(?:^\|.*\n)+", text, re.M)
    ]


def text(values, wanted):
    """What a cell must say of the values of its seeds."""
    numbers = sorted(v for v in values if not isinstance(v, str))
    late = len(numbers) and values.count("censored")
    words = [v for v in values if isinstance(v, str) and not (late and v == "censored")]
    if not values:
        return "not run"
    places = 0 if numbers and all(isinstance(v, int) for v in numbers) else 2
    parts = []
    if late:
        ranked = [f"{v:,.{places}f}" for v in numbers] + ["censored"] * late
        middle = len(ranked) // 2
        exact = ranked[middle] if len(ranked) % 2 or ranked[middle] == "censored" else None
        exact = exact or f"{(numbers[middle - 1] + numbers[middle]) / 2:,.{places}f}"
        parts = [f"{exact} ({ranked[0]} to censored)"]
    elif len(numbers) == 1:
        parts = [f"{numbers[0]:,.{places}f}"]
    elif numbers:
        low, high = (f"{v:,.{places}f}" for v in (numbers[0], numbers[-1]))
        parts = [f"{median(numbers):,.{places}f} ({low} to {high})"]
    for word in dict.fromkeys(words):
        parts.append(f"{words.count(word)} {word}" if len(values) > 1 else word)
    return ", ".join(parts) + (f", {len(values)} of {wanted} seeds" if len(values) < wanted else "")


def same(cell, expected):
    """Equal, but for a last digit that floating point may round either way."""
    ours, theirs = (re.split(r"(\d[\d,]*\.\d+)", t) for t in (cell, expected))
    return len(ours) == len(theirs) and all(
        a == b or (k % 2 and abs(float(a.replace(",", "")) - float(b.replace(",", ""))) < 0.0101)
        for k, (a, b) in enumerate(zip(ours, theirs, strict=True))
    )


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
        return network, CORRUPTED["random labels"], TABLE4[regularizer]
    return words_of(head)


TABLE4 = {
    "weight decay": [("weight_decay", {"strength": 5e-4})],
    "random crop": [("random_crop", {"on": True})],
    "flip and rotation": [("horizontal_flip", {"probability": 0.5}), ("rotation", {"angle": 25.0})],
}
SKIPPED = ("n", "consistent with the paper's rows")


def seeds_wanted(network):
    return 3 if network.startswith("mlp") else 1


def values_of(figure, model, scale, head, n, column):
    """A cell's values, one per seed that was run, and how many seeds it should have."""
    network, corruption, regularizers = runs_of_row(figure, model, head, column)
    online = figure == "table4" and "weight decay" not in head
    found = curves(network, n, corruption, regularizers, slow=online, precision=precision(scale, network))
    wanted = 3 if scale == "paper" or figure == "fig1a" else seeds_wanted(network)
    found = {k: v for k, v in sorted(found.items()) if k < wanted}
    if column == "ratio":
        base = {k: fit(v) for k, v in curves(network, n, [], [], precision=precision(scale, network)).items()}
        steps = {k: fit(v) for k, v in found.items() if k in base}
        unknown = "p = 0 censored"
        values = [unknown if base[k] == "censored" else s if s == "censored" else s / base[k] for k, s in steps.items()]
    else:
        measure = MEASURES["online" if online else re.sub(r", (true|random) labels", "", column)]
        values = [measure(v) for v in found.values()]
    return values, wanted


def precision(scale, network):
    return "float32" if scale == "cpu" and network.startswith("mlp") else "bfloat16"


def test_every_number_of_ours_in_the_readme_comes_from_the_records():
    checked = Counter()
    for figure, model, scale, _, tables in sections():
        for header, _, *rows in tables[:-1]:
            for row in rows:
                checked[figure] += check_row(figure, model, scale, dict(zip(header, row, strict=True)), row[0])
    assert sum(checked.values()) > 40


def check_row(figure, model, scale, cells, head):
    """Hold every cell of ours of a row against the records; returns how many that were run."""
    if figure == "effects":  # in test_effects
        return 0
    if figure in ("theorem1", "table3", "min_norm"):
        return CHECKS_OF_THEORY[figure](model or "mlp-3x512", cells, head)
    if figure in DECLARED:
        return 0
    if figure in CHECKS_OF_REGULARIZATION:
        return CHECKS_OF_REGULARIZATION[figure](model or "mlp-3x512", cells, head)
    checked = 0
    for column, cell in list(cells.items())[1:]:
        if column not in SKIPPED and not column.startswith("paper"):
            n = int(cells["n"].replace(",", ""))
            values, wanted = values_of(figure, model, scale, head, n, column)
            assert same(cell, text(values, wanted)), (figure, head, column, cell, text(values, wanted))
            checked += bool(values)
    return checked


LATE = {"statistics", "where"}  # options that a spec has only where they are not at their defaults
DECLARED = ("regularizers", "dose", "frontier", "budgets")  # rules in test_claims
BUDGETS = {("mlp-3x512", 2000): 800, ("mlp-3x512", 1000): 400, ("resnet-20", 2000): 1920, ("alexnet", 1000): 960}


def test_the_budget_of_a_sweep_is_five_times_what_its_network_takes():
    measured = {}
    for spec, rows in RECORDS:
        key = spec["model"], spec["n"]
        plain = not spec["regularizers"] and spec["stop"] == "fitted" and usual(spec)
        random = [c["name"] for c in spec["corruptions"]] == ["random_labels"]
        if key in BUDGETS and plain and random and spec["seed"] == spec["data_seed"] == 0:
            measured[key] = min(fit(rows), measured.get(key, math.inf))  # of the finest evaluations
    assert {("mlp-3x512", 2000), ("mlp-3x512", 1000), ("alexnet", 1000)} <= set(measured)
    assert {key: 5 * steps for key, steps in measured.items()} == {key: BUDGETS[key] for key in measured}


# --- figures of regularization: what a row says in words, as fields of specs ----------------------


def seeds_of(regularizers, **fields):
    """(spec, curve) by seed of the runs with these fields and regularizers, (name, options that must be so)."""
    found = {}
    for spec, rows in RECORDS:
        parts = [(r["name"], r["options"]) for r in spec["regularizers"]]
        same = [n for n, _ in parts] == [n for n, _ in regularizers]
        same = same and all(
            given.items() <= told.items() and not LATE & (told.keys() - given.keys())
            for (_, told), (_, given) in zip(parts, regularizers, strict=True)
        )
        if same and spec["seed"] == spec["data_seed"] and usual(spec, **{"stop": "fitted"} | fields):
            assert spec["seed"] not in found, "two runs answer to one row"
            found[spec["seed"]] = (spec, rows)
    return dict(sorted(found.items()))


def corruption(words):
    return [{"name": name, "options": options} for name, options in CORRUPTED[words]]


def zeros(spec):
    counts = [held for name, held in np.load(spec["folder"] / "arrays.npz").items() if name.startswith("zeros/")]
    return 100 * float(sum(c[0] for c in counts)) / float(sum(c[1] for c in counts))


def check_columns(cells, runs, measures):
    """Every column but the first two, by its measure of (spec, curve)."""
    for column, cell in list(cells.items())[2:]:
        values = [measures[column](*run) for run in runs.values()]
        assert same(cell, text(values, 3)), (cells, column, text(values, 3))
    return len(cells) * bool(runs)


PLAIN = {column: lambda spec, rows, f=measure: f(rows) for column, measure in MEASURES.items()}
PENALTIES = {
    "no penalty": [],
    "L1": [("l1", {"strength": 1e-3})],
    "strong L1": [("l1", {"strength": 3e-3})],
    "L2": [("weight_decay", {"strength": 0.02})],
}


def check_row_of_l1_l2(model, cells, head):
    penalty, words = head.split(", ")
    fields = {"model": model, "n": 2000, "steps": 800, "keep": ["weight_quantiles"]}
    runs = seeds_of(PENALTIES[penalty], corruptions=corruption(words), **fields)
    return check_columns(cells, runs, PLAIN | {"weights exactly 0 (%)": lambda spec, rows: zeros(spec)})


RESTRICTED = {"{−1, +1}": "signs", "{0, 1}": "bits"}


def check_row_of_capacity(model, cells, head):
    kind, width = head.rsplit(", width ", 1)
    parts = []
    if kind != "free":
        values, layer = kind.rsplit(", ", 1)
        options = {"values": RESTRICTED[values], "layer": {"first layer": 1, "all layers": 0}[layer]}
        parts = [("restricted_weights", options)]
    fields = {"model": model, "n": 2000, "steps": 3200, "corruptions": corruption("random labels")}
    fields |= {"eval_every": 64, "model_options": {} if width == "512" else {"width": int(width)}}
    return check_columns(cells, seeds_of(parts, **fields), PLAIN)


def stopped(rows, patience):
    """The row to return: walk on until the best held-out accuracy is `patience` rows old."""
    held = [row["held_out_accuracy"] for row in rows]
    last = next((k for k in range(len(rows)) if k - held.index(max(held[: k + 1])) >= patience), len(rows) - 1)
    return rows[held.index(max(held[: last + 1]))]


def check_row_of_early_stopping(model, cells, head):
    words, patience = head.rsplit(", patience ", 1)
    runs = seeds_of([], model=model, n=2000, held_out=400, stop="budget", corruptions=corruption(words))

    def gain_of(spec, rows):
        return 100 * (stopped(rows, int(patience))["test_accuracy"] - rows[-1]["test_accuracy"])

    measures = {
        "returned to epoch": lambda spec, rows: stopped(rows, int(patience))["epoch"],
        "gain in test accuracy (points)": gain_of,
        "final test accuracy (%)": PLAIN["test (%)"],
    }
    return check_columns(cells, runs, measures)


DROPOUT, BEFORE, AFTER = (
    ("dropout", {"rate": 0.5, "mode": "inverted"}),
    ("batch_norm", {"place": "before"}),
    ("batch_norm", {"place": "after"}),
)
RUNNING = ("batch_norm", {"place": "after", "statistics": "running"})
STACKS = {
    "neither": [],
    "dropout": [DROPOUT],
    "batch norm": [BEFORE],
    "batch norm after ReLU": [AFTER],
    "batch norm, ReLU, dropout": [BEFORE, DROPOUT],
    "ReLU, batch norm, dropout": [AFTER, DROPOUT],
    "ReLU, dropout, batch norm": [DROPOUT, AFTER],
    "running: ReLU, batch norm": [RUNNING],
    "running: ReLU, dropout, batch norm": [DROPOUT, RUNNING],
    "running: ReLU, batch norm, dropout": [RUNNING, DROPOUT],
    "running: ReLU, batch norm; dropout at the end": [RUNNING, ("dropout", {"rate": 0.5, "where": "last"})],
}


def check_row_of_stack(cells, parts, **fields):
    for column, cell in list(cells.items())[2:]:
        what, words = re.fullmatch(r"(.*), ((?:random|true) labels)(?: \(%\))?", column).groups()
        runs = seeds_of(parts, corruptions=corruption(words), **fields)
        measure = MEASURES[what if what in MEASURES else f"{what} (%)"]
        values = [measure(rows) for _, rows in runs.values()]
        assert same(cell, text(values, 3)), (cells, column, text(values, 3))
    return len(cells)


def check_row_of_dropout_batchnorm(model, cells, head):
    return check_row_of_stack(cells, STACKS[head], model=model, n=2000, steps=800)


WIDE = {"model_options": {"width": 1024}}
FAST = WIDE | {"learning_rate": 0.1, "momentum": 0.95}
BOUND = ("max_norm", {"bound": 3.0})
ADVICE = {
    "no dropout": ([], {}, 800),
    "dropout": ([DROPOUT], {}, 800),
    "+ wider": ([DROPOUT], WIDE, 800),
    "+ faster": ([DROPOUT], FAST, 800),
    "+ max-norm": ([DROPOUT, BOUND], FAST, 800),
}
for whole, changed in (("+ longer", FAST), ("all but faster", WIDE)):
    ADVICE |= {
        whole: ([DROPOUT, BOUND], changed, 3200),
        f"{whole}, scaled at test": ([("dropout", {"rate": 0.5, "mode": "weight_scaling"}), BOUND], changed, 3200),
        f"{whole}, averaged over masks": ([("dropout", {"rate": 0.5, "mode": "monte_carlo"}), BOUND], changed, 3200),
        f"{whole}, without dropout": ([BOUND], changed, 3200),
    }


def check_row_of_dropout_advice(model, cells, head):
    parts, fields, steps = ADVICE[head]
    return check_row_of_stack(
        cells, parts, **({"model": model, "n": 2000, "steps": steps, "learning_rate": 0.01} | fields)
    )


def check_row_of_batch_size(model, cells, head):
    words, batch = head.rsplit(", batch ", 1)
    size = int(batch.replace(",", ""))
    fields = {"model": model, "n": 2000, "batch_size": size, "eval_every": -(-2000 // size)}
    fields["steps"] = 200 * fields["eval_every"]
    return check_columns(cells, seeds_of([], corruptions=corruption(words), **fields), PLAIN)


def ensemble(kind, words, k):
    """Logits of the k-th ensemble's members and the true classes, as lists of lists; None where a run is missing."""
    networks = ["mlp-3x512", "mlp-1x512", "alexnet"] if kind == "networks" else ["mlp-3x512"]
    seeds = [6 * k + j for j in range(1 if kind in ("networks", "crops") else 6)]
    fields = {"n": 2000, "data_seed": k, "corruptions": corruption(words), "regularizers": []}
    fields |= {"bootstrap": kind == "bootstrap", "keep": ["crop_logits" if kind == "crops" else "test_logits"]}
    logits, truth = [], None
    for network in networks:
        for seed in seeds:
            found = [spec for spec, _ in RECORDS if usual(spec, model=network, seed=seed, **fields)]
            if not found:
                return None
            held = np.load(found[0]["folder"] / "arrays.npz")
            truth = held["test_labels"].tolist()
            logits += list(held["crop_logits"]) if kind == "crops" else [held["test_logits"]]
    return [part.astype(float).tolist() for part in logits], truth


def decide(rows, join):
    """The class that members' logits for one image, a list each, give together."""
    classes = range(len(rows[0]))
    if join == "vote":
        votes = Counter(row.index(max(row)) for row in rows)
        return max(classes, key=lambda c: (votes[c], -c))
    sums = [0.0] * len(classes)
    for row in rows:
        powers = [math.exp(z - max(row)) for z in row]
        sums = [s + p / sum(powers) for s, p in zip(sums, powers, strict=True)]
    return sums.index(max(sums))


def check_row_of_ensembles(model, cells, head):
    kind, words, join = head.split(", ")
    found = [ensemble(kind, words, k) for k in range(3)]
    columns = {"members": [], "compared with (%)": [], "ensemble (%)": [], "gain (points)": []}
    for logits, truth in filter(None, found):
        alone = [100 * sum(decide([z], join) == y for z, y in zip(m, truth, strict=True)) / len(truth) for m in logits]
        images = zip(*logits, strict=True)
        together = 100 * sum(decide(rows, join) == y for rows, y in zip(images, truth, strict=True)) / len(truth)
        one = alone[0] if kind == "crops" else max(alone) if kind == "networks" else sum(alone) / len(alone)
        values = (len(logits), one, together, together - one)
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    for column, values in columns.items():
        assert same(cells[column], text(values, 3)), (head, column, cells[column], text(values, 3))
    return len(columns) * any(found)


CHECKS_OF_REGULARIZATION = {
    "dropout_advice": check_row_of_dropout_advice,
    "batch_size": check_row_of_batch_size,
    "ensembles": check_row_of_ensembles,
    "l1_l2": check_row_of_l1_l2,
    "capacity": check_row_of_capacity,
    "early_stopping": check_row_of_early_stopping,
    "dropout_batchnorm": check_row_of_dropout_batchnorm,
}


COLUMNS_OF_THEOREM_1 = {
    "weights": ("{:.0f}", "weights"),
    "nonzeros": ("{:.0f}", "nonzeros"),
    "width": ("{:.0f}", "width"),
    "error": ("{:.1e}", "module_error"),
    "plain error": ("{:.1e}", "plain_error"),
    "largest weight": ("{:.1e}", "largest_weight"),
    "Lemma 1": ("{:.1e}", "eigenvalue"),
    "condition at least": ("{:.1e}", "condition"),
    "seconds": ("{:.3f}", "construction_seconds"),
}


def of_theory(**fields):
    """The rows of the one run of theory whose spec holds these; None where it is not there."""
    found = [rows for spec, rows in THEORY if fields.items() <= spec.items()]
    assert len(found) <= 1, fields
    return found[0] if found else None


def check_cells(cells, row, forms):
    """Every named column, as its form gives the value of the row; "not run" where there is no row."""
    for column, value in forms.items():
        if column in cells:
            assert cells[column] == ("not run" if row is None else value(row)), (cells, column)
    return 0 if row is None else len(forms)


def check_row_of_table_3(model, cells, head):
    name, _, penalty = head.partition(", ")
    data, features = name.split()
    conv = features == "conv"
    fields = {"kind": "kernel", "data": data.lower().replace("-", ""), "features": features.lower(), "width": 1.0}
    fields |= {"n": 60_000 if data == "MNIST" else 50_000, "seed": 0}
    rows = of_theory(**fields, penalties=[0.0, 0.01] if conv else [0.01] if penalty else [0.0])
    kept = [row for row in rows or [] if (row["penalty"] > 0) == bool(penalty)]
    forms = {
        "test error (%)": lambda row: f"{100 * row['test_error']:.2f}",
        "norm": lambda row: f"{row['norm']:.0f}",
        "residual": lambda row: f"{row['residual']:.0e}",
        "filters": lambda row: f"{row['filters']:.0f}",
        "minutes": lambda row: f"{row['seconds'] / 60:.1f}",
        "factorization alone, LAPACK (minutes)": lambda row: f"{row['lapack_seconds'] / 60:.1f}",
        "peak GB": lambda row: f"{row['peak_gigabytes']:.1f}",
    }
    return check_cells(cells, kept[-1] if kept else None, forms)


SOLUTIONS = {
    "least norm": "minimum",
    "centres at random points": "random_centres",
    "also fits random test labels": "test_labels",
}


def check_row_of_min_norm(model, cells, head):
    forms = {
        "test error (%)": lambda row: f"{100 * row['test_error']:.2f}",
        "norm": lambda row: f"{row['norm']:.4g}",
        "residual": lambda row: f"{row['residual']:.0e}",
    }
    if "width" in head:
        data, features, width = re.fullmatch(r"(\S+) (\w+), width (\S+)", head).groups()
        fields = {"kind": "kernel", "data": data.lower().replace("-", ""), "features": features.lower(), "n": 12_000}
        rows = of_theory(**fields, width=float(width))
    elif head in SOLUTIONS:
        rows = of_theory(kind="linear", n=300, whitened=True, solution=SOLUTIONS[head])
    else:
        n, look = re.fullmatch(r"SGD, n = (\d+), (whitened|raw)", head).groups()
        rows = of_theory(kind="linear", n=int(n), whitened=look == "whitened", solution="sgd")
        forms |= {
            "condition": lambda row: f"{row['condition']:.1e}",
            "distance": lambda row: f"{row['distance']:.1e}",
            "epochs": lambda row: f"{row['epoch']:.0f}",
            "rate predicted": lambda row: f"{row['rate']:.1e}",
            "measured": lambda row: f"{slope(rows):.1e}",
        }
    return check_cells(cells, rows and rows[-1], forms)


def slope(rows):
    """-d log distance / d epoch between the middle and the end of what is above 1e-10."""
    above = [row for row in rows if row["distance"] > 1e-10]
    first, last = above[len(above) // 2], above[-1]
    return -math.log(last["distance"] / first["distance"]) / (last["epoch"] - first["epoch"])


def check_row_of_theorem_1(model, cells, head):
    """A built network, or the one of SGD beside it."""
    if head == f"SGD, {model}":
        first = curves(model, 50_000, CORRUPTED["random labels"])[0]
        assert same(cells["steps to 99 %"], text([fit(first)], 1))
        assert same(cells["seconds"], text([first[0]["seconds"]], 1))
        return 1
    construction, n, k = re.fullmatch(r"(\w+), n = (\d+)(?:, k = (\d+))?", head).groups()
    row = of_theory(kind="theorem1", construction=construction, n=int(n), depth=int(k or 2), seed=0)[-1]
    for column, (form, key) in COLUMNS_OF_THEOREM_1.items():
        assert cells[column] == form.format(row[key]), (head, column)
    ratio = row["construction_seconds"] / (row["project_seconds"] + row["sort_seconds"])
    assert cells["times X a and a sort"] == f"{ratio:.1f}"
    return len(COLUMNS_OF_THEOREM_1) + 1


CHECKS_OF_THEORY = {
    "theorem1": check_row_of_theorem_1,
    "table3": check_row_of_table_3,
    "min_norm": check_row_of_min_norm,
}


def with_unit(values, unit="", places=2):
    low, middle, high = (f"{f(values):,.{places}f}" for f in (min, median, max))
    return f"{middle}{unit}" + (f" ({low} to {high})" if len(values) > 1 else "")


# Table 1 and Table 4 of zhang2017: training and test accuracy in %, by the row's words.
PAPER = {
    "inception, random crop, weight decay": (100.0, 89.05),
    "inception, random crop": (100.0, 89.31),
    "inception, weight decay": (100.0, 86.03),
    "inception": (100.0, 85.75),
    "inception, random labels": (100.0, 9.78),
    "inception-nobn, weight decay": (100.0, 83.0),
    "inception-nobn": (100.0, 82.0),
    "inception-nobn, random labels": (100.0, 10.12),
    "alexnet, random crop, weight decay": (99.9, 81.22),
    "alexnet, random crop": (99.82, 79.66),
    "alexnet, weight decay": (100.0, 77.36),
    "alexnet": (100.0, 76.07),
    "alexnet, random labels": (99.82, 9.86),
    "mlp-3x512, weight decay": (100.0, 53.35),
    "mlp-3x512": (100.0, 52.39),
    "mlp-3x512, random labels": (100.0, 10.48),
    "mlp-1x512, weight decay": (99.8, 50.39),
    "mlp-1x512": (100.0, 50.51),
    "mlp-1x512, random labels": (99.34, 10.61),
}


def test_table_1_has_the_papers_numbers_and_the_verdicts_that_follow():
    _, _, scale, _, tables = next(s for s in sections() if s[0] == "table1")
    numbers = {row[0]: dict(zip(tables[0][0], row, strict=True)) for row in tables[0][2:]}
    verdicts = {row[1].split(":")[0]: row for row in tables[1][2:]}
    assert set(verdicts) == set(PAPER)
    for name, (train, test) in PAPER.items():
        row = verdicts[name]
        assert row[2] == f"training {train:.2f} %, test {test:.2f} %"
        network = name.split(",")[0]
        n = 50_000 if network in ("alexnet", "mlp-3x512", "mlp-1x512") else 2000
        wanted = seeds_wanted(network)
        values, _ = values_of("table1", None, scale, name, n, "train (%)")
        tests, _ = values_of("table1", None, scale, name, n, "test (%)")
        if n < 50_000:
            verdict = "not judged at this scale"
        elif len(values) < wanted:
            verdict = "not run"
        else:
            least = 99.9 if name == "mlp-3x512, random labels" else 99.0  # in every seed
            near = 2.5 if network.startswith("mlp") else 3.0
            right = min(values) >= least and abs(median(tests) - test) <= near
            verdict = "replicated" if right else "not replicated"
            assert same(row[3], f"training {with_unit(values, ' %')}, test {with_unit(tests, ' %')}"), name
        assert row[0] == f"**{verdict}**", name
        if name in numbers:
            assert numbers[name]["paper train (%)"] == f"{train:.2f}"
            assert numbers[name]["paper test (%)"] == f"{test:.2f}"


def test_table_4_has_the_papers_numbers_and_the_verdicts_that_follow():
    _, _, scale, _, tables = next(s for s in sections() if s[0] == "table4")
    paper = {"mlp-3x512, weight decay": "100.00 %", "mlp-1x512, weight decay": "99.21 %"}
    paper |= {"inception, weight decay": "100.00 %", "inception, random crop": "99.93 %"}
    paper |= {"inception, flip and rotation": "99.28 %", "alexnet, weight decay": "fails to converge"}
    verdicts = {" with ".join(row[1].split(" fitted by ")[1].split(" with ")): row for row in tables[-1][2:]}
    assert len(verdicts) == len(paper)
    for name, number in paper.items():
        row = verdicts[name.replace(", ", " with ", 1)]
        assert row[2] == number
        network = name.split(",")[0]
        if network == "inception":
            assert row[0] == "**not judged at this scale**"
            continue
        values, wanted = values_of("table4", None, scale, name, 50_000, "train (%)")
        complete = len(values) == wanted
        held = complete and (min(values) >= 99 if "%" in number else max(values) < 50)
        assert not complete or same(row[3], with_unit(values, " %")), name
        verdict = "not run" if not complete else "replicated" if held else "not replicated"
        assert row[0] == f"**{verdict}**", name


def test_verdicts_claims_records_and_missing_rows_are_counted_right():
    body = README.read_text().split(report.BEGIN)[1].split(report.END)[0]
    told_of = re.compile(r"(\d+) (replicated|not replicated|not run|not judged at this scale)(?=[,:\n])")
    total, own, used = Counter(), Counter(), set()
    for _, _, _, part, tables in sections():
        verdicts = Counter(row[0].strip("*") for row in tables[-1][2:])
        assert {w: int(k) for k, w in told_of.findall(part.splitlines()[0] + "\n")} == dict(verdicts)
        total += verdicts
        drawn = json.loads((ROOT / re.search(r"\((figures/.*?)\.svg\)", part)[1]).with_suffix(".json").read_text())
        used |= set(drawn["runs"])
        sources = [v["source"] for v in drawn["claims"]]
        for row, source in zip(tables[-1][2:], sources, strict=True):
            if source.startswith("zhang2017") and not source.endswith("extended"):
                own[row[0].strip("*")] += 1
            else:
                assert row[2].startswith(f"{source}: ")
        shown = sum(len(t) - 2 for t in tables[:-1])
        missing = re.search(r"^(\d+) of (\d+) rows are not run", part, re.M)
        assert len(drawn.get("table", [])) - shown == (int(missing[1]) if missing else 0)
    first = body.split("\n### ")[0]
    whole, of_the_paper = first.split("Of them")
    assert {w: int(k) for k, w in told_of.findall(whole)} == dict(total)
    assert {w: int(k) for k, w in told_of.findall(of_the_paper.replace(")", ","))} == dict(own)
    assert int(re.match(r" (\d+) are the paper's own", of_the_paper)[1]) == sum(own.values())
    assert int(re.search(r"(\d+) claims", first)[1]) == sum(total.values())
    assert int(re.search(r"judged on (\d+) records", first)[1]) == len(used)
    assert used <= {p.parent.name for p in ROOT.glob("runs/*/result.json")}


def test_the_overview_counts_what_the_sections_say_and_lists_every_failure():
    body = README.read_text().split(report.BEGIN)[1].split(report.END)[0]
    first, *rest = body.split("\n### ")
    (head, _, *overview), (_, _, *failures) = tables_of(first)
    targets = re.findall(r'<a id="(.*?)"></a>\n\n### `', body)
    assert [re.search(r"\(#(.*?)\)", row[0])[1] for row in overview] == targets
    assert len(targets) == len(rest)
    expected = []
    for row, target, (name, model, scale, part, tables) in zip(overview, targets, sections(), strict=True):
        assert (row[0], row[1]) == (f"[`{name}`{f', {model}' if model else ''}](#{target})", scale)
        assert f"](figures/{target}.svg)" in part
        claims = tables[-1][2:]
        counts = Counter(claim[0].strip("*") for claim in claims)
        assert {word: int(cell) for word, cell in zip(head[2:-1], row[2:-1], strict=True) if cell} == dict(counts)
        expected += [[row[0], *c[1:4], *c[5:]] for c in claims if c[0] == "**not replicated**"]
    assert failures == expected


def test_the_readme_is_up_to_date_and_a_changed_number_is_seen(tmp_path):
    assert report.update(README, Runs(ROOT / "runs"), ROOT / "figures", check=True)
    copy = tmp_path / "README.md"
    whole = README.read_text()
    shutil.copytree(ROOT / "figures", tmp_path / "figures")
    before, begin, rest = whole.partition(report.BEGIN)
    copy.write_text(before + begin + re.sub(r"(\d\.\d)(\d)", lambda m: m[1] + str((int(m[2]) + 1) % 10), rest, count=1))
    assert copy.read_text() != whole
    assert not report.update(copy, Runs(ROOT / "runs"), tmp_path / "figures", check=True)
    assert not report.update(copy, Runs(ROOT / "runs"), tmp_path / "figures")
    assert copy.read_text() == whole


def test_a_file_without_markers_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(InputError, match="has no results section"):
        report.update(tmp_path / "README.md", Runs(ROOT / "runs"), ROOT / "figures")


@pytest.mark.parametrize("content", ["{", "[1]", "{}", "\xff"])
def test_what_is_no_drawn_figure_is_named(tmp_path, content):
    (tmp_path / "fig1a-cpu.json").write_text(content, encoding="latin1")
    shutil.copy(README, tmp_path / "README.md")
    with pytest.raises(InputError, match=r"fig1a-cpu\.json is not a drawn figure: draw it again"):
        report.update(tmp_path / "README.md", Runs(ROOT / "runs"), tmp_path)


def test_figures_older_than_their_records_are_refused(tmp_path):
    shutil.copytree(ROOT / "figures", tmp_path / "figures")
    shutil.copy(README, tmp_path / "README.md")
    with pytest.raises(InputError, match="is not of the records there are"):
        report.update(tmp_path / "README.md", Runs(tmp_path / "none"), tmp_path / "figures")


def test_a_figure_older_than_a_record_that_was_made_again_is_refused(tmp_path):
    (tmp_path / "figures").mkdir()
    shutil.copy(README, tmp_path / "README.md")
    drawn = json.loads((ROOT / "figures" / "l1_l2-cpu.json").read_text())
    next(iter(drawn["runs"].values()))["seconds"] += 1
    (tmp_path / "figures" / "l1_l2-cpu.json").write_text(json.dumps(drawn))
    with pytest.raises(InputError, match="is not of the records there are"):
        report.update(tmp_path / "README.md", Runs(ROOT / "runs"), tmp_path / "figures")
