"""Generated pages against the drawn figures' files: every cell, verdict and count on a page is of a figure's JSON."""

import dataclasses
import json
import math
import re
import shutil
from collections import Counter
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import pytest
from command import cli
from scipy.stats import binomtest

from rethinking import catalog, figures, report
from rethinking.errors import InputError
from rethinking.record import Record, Runs
from rethinking.report import answers, html, model, pages, prose
from rethinking.spec import RunSpec

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DRAWN = {path.stem: json.loads(path.read_text()) for path in sorted(ROOT.glob("figures/*.json"))}
DRAWN = {stem: drawn for stem, drawn in DRAWN.items() if drawn["scale"] != "quick"}
OWN = ("replicated", "not replicated", "not run", "not judged at this scale")
EXTENSION = ("holds", "does not hold", "not run", "not judged")
PAGES = ROOT / "docs" / "results"
ARTEFACTS = {
    "Figure 1(a)": ["fig1a"],
    "Figure 1(b)": ["fig1b"],
    "Figure 1(c)": ["fig1c"],
    "Figure 2(a)": ["fig2a"],
    "Figure 2(b)": ["fig2b"],
    "Table 1": ["table1", "effects"],
    "Table 2": ["table2"],
    "Table 3": ["table3"],
    "Table 4": ["table4", "weight_decay"],
    "Theorem 1": ["theorem1"],
    "Section 2.2": ["rademacher"],
    "Section 5": ["min_norm"],
}


def tables(text):
    """Every table of a Markdown text: its head, and its rows as dicts; without the escapes of markup."""
    for block in re.findall(r"(?:^\|.*\n)+", text + "\n", re.M):
        head, _, *rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]
        head, *rows = [
            [re.sub(r"\\([\\`*_\[\]<>|#&$~])", r"\1", each.strip()) for each in row] for row in (head, *rows)
        ]
        yield head, [dict(zip(head, row, strict=True)) for row in rows]


def cell(values):
    """What a cell must say of the values of its seeds."""
    if not isinstance(values, list):
        return values
    if not values:
        return "not asked for"
    there = [re.sub(r"^(\d{1,3})(\d{3})$", r"\1,\2", v) if isinstance(v, str) else v for v in values if v is not None]
    numbers = [v for v in there if not isinstance(v, str)]
    late = [v for word in ("censored", "diverged") for v in there if v == word] if numbers else []
    words = Counter(v for v in there if isinstance(v, str) and v not in late)
    parts = [f"{word} in {n} run{'s' * (n > 1)}" if len(there) > 1 else word for word, n in words.items()]
    if numbers:
        places = 0 if all(isinstance(v, int) for v in numbers) else 2
        ranked = [f"{v:,.{places}f}" for v in sorted(numbers)] + late
        half = len(ranked) // 2
        middle = ranked[half]
        if len(ranked) % 2 == 0 and half < len(numbers):
            middle = f"{median(sorted(numbers)[half - 1 : half + 1]):,.{places}f}"
        parts.insert(0, middle if len(ranked) == 1 else f"{middle} ({ranked[0]} to {ranked[-1]})")
    few = [f"{len(there)} of {len(values)} seeds"] if there and len(there) < len(values) else []
    return ", ".join([*parts, *few]) or "not run"


def has_numbers(row):
    return any(v is not None for k, cells in [*row.items()][1:] if k[:5] != "paper" and k != "n" for v in cells)


def told(claim):
    """The row of a claim."""
    return {
        "verdict": f"**{claim['verdict']}**",
        "claim": claim["statement"],
        "id": f"`{claim['id']}`",
        "source says": claim["paper"] if claim["own"] else f"{claim['source']}: {claim['paper']}",
        "ours (median, range over seeds)": claim["ours"] or claim["reason"] or "",
        "rule": claim["tolerance"],
        "n": ", ".join(f"{n:,}" for n in claim["n"]),
        "seeds": str(claim["seeds"]),
    }


def counted(claims):
    """Their verdicts as a page counts them: 1 holds, 2 hold."""
    count = Counter(claim["verdict"] for claim in claims)
    many = {"holds": "hold", "does not hold": "do not hold"}
    words = [word for word in dict.fromkeys([*OWN, *EXTENSION]) if count[word]]
    return ", ".join(f"{count[w]} {many.get(w, w) if count[w] > 1 else w}" for w in words) or "no claims"


def every_claim(own):
    """(stem, claim) of the paper's own claims, or of the extensions."""
    return [(stem, c) for stem, drawn in DRAWN.items() for c in drawn["claims"] if c["own"] == own]


def check_figure(stem, text):
    """Hold a figure's page against its file."""
    drawn = DRAWN[stem]
    assert f"(../../figures/{stem}.svg)" in text
    found = [(head, rows) for head, rows in tables(text)]
    claims = [row for head, rows in found if head[0] == "verdict" for row in rows]
    sides = [(head, rows) for head, rows in found if head[0] == "what the paper shows"]
    assert [head for head, _ in sides] == [["what the paper shows", "what ours shows"]]
    ours = figures.headline(drawn) if drawn["runs"] else f"Nothing yet: none of the {len(drawn['missing'])} runs that"
    ours += "." if drawn["runs"] else " it needs is made."
    assert [row["what ours shows"] for _, rows in sides for row in rows] == [ours]
    numbers = [row for head, rows in found if head[0] not in ("verdict", "what the paper shows") for row in rows]
    own, more = ([c for c in drawn["claims"] if c["own"] == which] for which in (True, False))
    assert claims == [told(c) for c in own + more]
    heads = [f"## The paper's own claims: {counted(own)}"] * bool(own)
    heads += [f"## Extensions: another network, other data, another source: {counted(more)}"] * bool(more)
    assert re.findall(r"^## (?:The paper|Extensions).*", text, re.M) == heads
    run = [row for row in drawn.get("table", []) if has_numbers(row)]
    cut = re.search(r"^(\d+) more rows are in", text, re.M)
    shown = run[: len(run) - int(cut[1])] if cut else run
    assert numbers == [{k: " ".join(str(cell(v)).split()) for k, v in row.items()} for row in shown]
    missing, every = re.search(r"^(\d+) of (\d+) rows are not run", text, re.M), len(drawn.get("table", []))
    assert (missing and (int(missing[1]), int(missing[2]))) == ((every - len(run), every) if every > len(run) else None)
    runs = f"{len(drawn['runs']):,} run{'s' * (len(drawn['runs']) != 1)}, "
    assert (runs if drawn["runs"] else f"none of the {len(drawn['missing'])} runs that it needs is made") in text


def of_row(name):
    """The paper's own claims of a row: those of its figures, and those on another network whose source is the row's."""
    for stem, drawn in DRAWN.items():
        usual = stem == f"{drawn['figure']}-{drawn['scale']}"
        for claim in drawn["claims"]:
            if claim["own"] and (drawn["figure"] in ARTEFACTS[name] if usual else claim["source"].endswith(name)):
                yield claim


NUMBER = r"\d[\d,.]*(?:e-\d+)?"
# What each number of the scoreboard is of: the id of a claim, and which of its numbers where that is not its text; or a
# row of a table and its column.
BOARD = {
    "Figure 1(a)": {
        "random labels": ("fig1a.fits.random_labels", "highest training accuracy (%)"),
        "shuffled pixels": ("fig1a.fits.shuffled_pixels", "highest training accuracy (%)"),
        "random pixels": ("fig1a.fits.random_pixels", "highest training accuracy (%)"),
        "Gaussian images": ("fig1a.fits.gaussian", "highest training accuracy (%)"),
    },
    "Figure 1(b)": {
        "Inception, p = 1": {"inception, p = 1": "ratio"},
        "AlexNet, p = 1": {"alexnet, p = 1": "ratio"},
        "MLP 1x512, p = 1": {"mlp-1x512, p = 1": "ratio"},
    },
    "Figure 1(c)": {
        "Inception, p = 1": ("fig1c.chance.inception",),
        "AlexNet, p = 1": ("fig1c.chance.alexnet",),
        "MLP 1x512, p = 1": ("fig1c.chance.mlp-1x512",),
    },
    "Figure 2(b)": {
        "with minus without batch norm": ("fig2b.moved",),
        "fitted with batch norm": ("fig2b.fits.inception", "highest training accuracy (%)"),
    },
    "Table 1": {"MLP 3x512, random labels": ("table1.mlp-3x512.random_labels",)},
    "Table 3": {"MNIST pixels": ("table3.error.mnist_pixels",), "CIFAR-10 pixels": ("table3.error.cifar10_pixels",)},
    "Table 4": {
        "AlexNet with weight decay": {"alexnet, weight decay": "train (%)"},
        "MLP 3x512 with weight decay": {"mlp-3x512, weight decay": "train (%)"},
    },
    "Theorem 1": {"weights": ("theorem1.weights",)},
    "Section 2.2": {"MLP 3x512": ("rademacher.near_1.mlp-3x512",)},
    "Section 5": {
        "relative distance to it on 300 whitened images": ("min_norm.sgd",),
        "on 2,000 raw ones, after 100 epochs": {"SGD, n = 2000, raw": "distance"},
    },
}


def told_of(source):
    """The numbers of a claim, or of the row of a table, that BOARD names, as a page writes them."""
    if isinstance(source, dict):
        ((name, column),) = source.items()
        every = (r for stem in ("fig1b-paper", "table4-paper", "min_norm-cpu") for r in DRAWN[stem]["table"])
        (row,) = (r for r in every if next(iter(r.values())) == name)
        texts = [cell(row[column])]
    else:
        (claim,) = (c for _, c in every_claim(True) if c["id"] == source[0])
        texts = [cell(claim["numbers"][key]) for key in source[1:]] or [claim["ours"]]
    return {number for text in texts for number in re.findall(NUMBER, str(text))}


def check_board(text):
    """Hold the scoreboard against the files."""
    rows = next(rows for head, rows in tables(text) if head[0] == "in the paper")
    assert [row["in the paper"].strip("*") for row in rows] == list(ARTEFACTS)
    everything = [claim for _, claim in every_claim(True)]
    assert f"In all: {counted(everything)}." in text
    assert sorted(c["id"] for name in ARTEFACTS for c in of_row(name)) == sorted(c["id"] for c in everything)
    for row, (name, names) in zip(rows, ARTEFACTS.items(), strict=True):
        claims = list(of_row(name))
        assert row["the paper's claims"] == counted(claims)
        ids = {claim["id"] for claim in claims}
        holding = {s for s, d in DRAWN.items() if ids & {c["id"] for c in d["claims"] if c["own"]}}
        assert holding <= set(re.findall(r"\[([\w.-]+)\]\(", row["pages"])), name
        judged = [c for c in claims if not c["verdict"].startswith(("not run", "not judged"))]
        full = all(min(c["n"]) == 50_000 or "theorem1" in names or "table3" in names for c in judged)
        partly = any(c["verdict"] == "not run" for c in claims)
        status = ("partly, " if partly else "") + ("full size" if full else "reduced") if judged else "not run"
        assert row["here"] == status
        assert (row["ours"] == "not run") == (status == "not run")
        for part in row["ours"].split("; ") if status != "not run" else ():
            label, value = part.rsplit(": ", 1)
            numbers = set(re.findall(NUMBER, value))
            assert numbers, part
            assert numbers <= told_of(BOARD[name][label]), part
        theirs = [c["paper"] for c in claims] + [
            str(cell(v))
            for s in DRAWN.values()
            if s["figure"] in names
            for r in s["table"]
            for k, v in r.items()
            if k[:5] == "paper"
        ]
        parts = [each.rpartition(": ")[2].removesuffix(" %") for each in row["the paper's number"].split("; ")]
        assert not names or all(any(part in each for each in theirs) for part in parts)


def check_index(text):
    """Hold the index against the files."""
    check_board(text)
    own, more = every_claim(True), every_claim(False)
    used = {run for drawn in DRAWN.values() for run in drawn["runs"]}
    assert f"{len(own)} are stated here: {counted(c for _, c in own)}; " in text
    assert f"{len(more)} claims ({counted(c for _, c in more)})." in text
    assert f"{len(used):,} records" in text
    assert used <= {path.parent.name for path in ROOT.glob("runs/*/result.json")}
    failed = next(rows for head, rows in tables(text) if head[-1] == "page")
    expected = [told(c) | {"page": f"[{stem}]({stem}.md)"} for stem, c in own if c["verdict"] == "not replicated"]
    assert sorted(failed, key=str) == sorted(expected, key=str)
    rows = next(rows for head, rows in tables(text) if head[0] == "page")
    assert sorted(row["page"] for row in rows) == sorted(f"[{stem}]({stem}.md)" for stem in DRAWN)
    for row in rows:
        drawn = DRAWN[re.match(r"\[([\w-]+)\]", row["page"])[1]]
        for which, column in ((True, "the paper's own claims"), (False, "extensions")):
            count = counted(c for c in drawn["claims"] if c["own"] == which)
            assert row[column] == ("" if count == "no claims" else count)
        assert (row["scale"], row["what it finds"]) == (drawn["scale"], figures.headline(drawn))


def test_every_cell_verdict_and_count_of_every_page_is_of_a_drawn_figure():
    assert {path.stem for path in PAGES.glob("*.md")} == {*DRAWN, "index", "departures", "extensions", "memorized"}
    for stem in DRAWN:
        check_figure(stem, (PAGES / f"{stem}.md").read_text())
    check_index((PAGES / "index.md").read_text())
    check_board(README.read_text())
    rows = next(rows for head, rows in tables((PAGES / "extensions.md").read_text()))
    expected = [told(c) | {"page": f"[{s}]({s}.md)"} for s, c in every_claim(False) if c["verdict"] == "does not hold"]
    assert sorted(rows, key=str) == sorted(expected, key=str)


def test_the_page_on_memorized_labels_answers_each_question_with_all_its_claims_and_their_counts():
    text, every = (PAGES / answers.FILE).read_text(), every_claim(False)
    asked = text.split("\n## ")[1:]
    assert [each.partition("\n")[0] for each in asked] == [question for question, _ in answers.QUESTIONS]
    said = set()
    for part, (_, begin) in zip(asked, answers.QUESTIONS, strict=True):
        judged = [(stem, claim) for stem, claim in every if claim["id"].startswith(begin)]
        assert all(any(claim["id"].startswith(each) for _, claim in judged) for each in begin)
        (rows,) = [rows for _, rows in tables(part)]
        listed = [claim for _, claim in judged if ".tells." in claim["id"] and claim["verdict"] != "not run"]
        for claim in listed:
            n = re.sub("; (?!.*;)", " and ", "; ".join(f"{k:,}" for k in claim["n"])).replace(";", ",")
            where = f"(**{claim['verdict']}**, `{claim['id']}`, n = {n}, at least {claim['seeds']} seed"
            (line,) = [line for line in part.splitlines() if where in line]
            assert line.startswith(f"- {pages.cell(claim['statement'])} (")
            assert line.endswith(f"{'s' * (claim['seeds'] > 1)}): {pages.cell(claim['ours'])}.")
        assert sum(line.startswith("- ") for line in part.splitlines()) == len(listed)
        expected = [told(c) | {"page": f"[{stem}]({stem}.md)"} for stem, c in judged if c not in listed]
        for row in expected:
            del row["rule"]  # which stands on the page
        assert sorted(rows, key=str) == sorted(expected, key=str)
        for stem in {stem for stem, _ in judged}:  # a finding stands where its figure first answers
            assert (pages.cell(figures.headline(DRAWN[stem])) in part) == (stem not in said)
            said.add(stem)
    pairs = [claim for _, claim in every if claim["id"].startswith("capacity_measures.tells.")]
    assert len(pairs) == 4
    for claim in (each for each in pairs if each["verdict"] != "not run"):
        found = re.match(r"in (\d+) of (\d+) pairs \(95 % interval (\d+) to (\d+) %, as if", claim["ours"])
        larger, count, low, high = map(int, found.groups())
        exact = binomtest(larger, count).proportion_ci(method="wilson")
        assert (low, high) == (round(100 * exact.low), round(100 * exact.high))


def test_every_figure_has_a_page_and_a_row_among_the_commands():
    told = (ROOT / "docs" / "commands.md").read_text()
    own = [name for name, entry in catalog.entries("figures").items() if not entry.digest]
    assert {drawn["figure"] for drawn in DRAWN.values()} == set(own)
    rows = {name for line in re.findall(r"^\| `.*", told, re.M) for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert set(own) <= rows
    assert [name for name in own if "THEIRS" not in catalog.find("figures", name).constants] == []


def test_every_claim_on_every_page_has_an_id_of_its_own():
    ids = [claim["id"] for drawn in DRAWN.values() for claim in drawn["claims"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("first", [True, False])
def test_a_claim_that_is_drawn_at_two_sizes_is_counted_once_at_the_larger(first):
    """As after `rethinking figure all --scale cpu`, which draws beside what is drawn at scale paper."""
    plain = [model.Result(d["figure"], figures.setting_of(d), stem, d) for stem, d in DRAWN.items()]
    other = {a: b for pair in (OWN[:2], EXTENSION[:2]) for a, b in (pair, pair[::-1])}
    small = []
    for result in plain:
        claims = [c | {"n": [1], "verdict": other.get(c["verdict"], c["verdict"])} for c in result.numbers["claims"]]
        setting = dataclasses.replace(result.setting, scale="cpu")
        small.append(model.Result(result.name, setting, f"{result.stem}-small", result.numbers | {"claims": claims}))
    both = small + plain if first else plain + small
    assert prose.values(both) == prose.values(plain)
    rows, alone = model.scoreboard(both), model.scoreboard(plain)
    assert [row.judged for row in rows] == [row.judged for row in alone]
    assert [(row.paper, row.ours, row.status) for row in rows] == [(row.paper, row.ours, row.status) for row in alone]
    assert all(len(row.stems) >= len(less.stems) for row, less in zip(rows, alone, strict=True))
    heads = [pages.index(each).partition("## The paper's figures")[0] for each in (both, plain)]
    assert heads[0] == heads[1]
    assert sorted(pages.extensions(both).splitlines()) == sorted(pages.extensions(plain).splitlines())
    one = next(claim for result in plain for claim in result.judged if claim.verdict == OWN[0])
    gone, few = dataclasses.replace(one, verdict="not run"), dataclasses.replace(one, n=(1,))
    assert model.once([SimpleNamespace(judged=[each]) for each in (gone, few)[:: 1 if first else -1]]) == [few]


def test_counts_are_said_not_to_be_of_independent_results(results):
    numbers = {c["id"]: c["numbers"] for drawn in DRAWN.values() for c in drawn["claims"]}
    (accuracy,), (error,) = (*numbers["fig1a.chance"].values(), *numbers["fig1c.chance.inception"].values())
    assert accuracy + error == 100  # of one run, counted twice
    board = pages.scoreboard(model.scoreboard(results), "")
    assert model.SHARED in board.splitlines()[-1]
    assert board in pages.index(results)
    assert model.SHARED in html.page(results, ROOT / "figures")


def test_core_hours_are_of_every_core_that_a_run_had_and_of_each_run_once():
    run = RunSpec.make(n=100, model="mlp-1x512")
    made = [{"seconds": 1800.0, "threads": threads} for threads in (2, 1, None, "1, then 2")] + [{"seconds": None}]
    records = [Record(Path(f"run-{k}"), run, {}, each, {}) for k, each in enumerate(made)]
    told = figures.made_by(records)
    assert [each.get("threads") for each in told.values()] == [2, None, None, None, None]
    drawn = SimpleNamespace(numbers={"runs": told})
    assert model.hours(drawn) == model.hours(drawn, drawn) == 2.5


def test_departures_have_a_number_where_figures_share_them():
    shared = dict(re.findall(r"^\*\*(D\d+)\.\*\* (.*)", (PAGES / "departures.md").read_text(), re.M))
    for stem, drawn in DRAWN.items():
        text = (PAGES / f"{stem}.md").read_text()
        numbered = re.findall(r"\bD\d+\b", text.partition("Shared with other figures: ")[2].partition("; see")[0])
        own = re.findall(r"^\d+\. (.*)", text.partition("## Departures")[2], re.M)
        plain = [re.sub(r"\\(.)", r"\1", each) for each in own + [shared[number] for number in numbered]]
        assert sorted(plain) == sorted(" ".join(each.split()) for each in drawn["departures"])


def test_the_readme_and_the_pages_are_up_to_date(monkeypatch):
    """With the figures' files, which test_figures makes again from the records."""

    def numbers(name, setting, runs):
        return figures.unbound(figures.drawn(ROOT / "figures" / f"{figures.stem(name, setting)}.json"))

    monkeypatch.setattr(figures, "numbers", numbers)
    assert report.update(README, Runs(ROOT / "runs"), ROOT / "figures", check=True) == {}


def test_the_numbers_of_the_readme_are_those_of_the_figures():
    """Its sentences are written by hand; what is ours or the paper's in them stands in the file of the figure named."""
    text = " ".join(README.read_text().split())

    def row(stem, key):
        return next(r for r in DRAWN[stem]["table"] if next(iter(r.values())) == key)

    def of(stem, key, column):
        return median(row(stem, key)[column])

    conditions = ("true labels", "shuffled pixels", "random pixels", "Gaussian", "random labels")
    steps, wide = ([of(s, c, "steps to 99 %") for c in conditions] for s in ("fig1a-paper", "fig1a-paper-mlp-3x512"))
    test, wide_test = (
        [of(stem, c, "test accuracy (%)") for c in ("true labels", "random labels")]
        for stem in ("fig1a-paper", "fig1a-paper-mlp-3x512")
    )
    fit = of("fig1a-paper", "random labels", "final training accuracy (%)")
    (papers,) = row("table1-paper", "inception")["paper test (%)"]
    with_decay = {m: row("table4-paper", f"{m}, weight decay") for m in ("mlp-3x512", "alexnet")}
    effect = {
        m: row("effects-paper", f"weight decay, {m}")
        for m in ("alexnet", "alexnet with random crop", "mlp-1x512", "mlp-3x512", "inception")
    }
    ours = {m: median(cells["ours (points)"]) for m, cells in effect.items()}
    theirs = {m: f"{cells['paper (points)'][0]:+.2f}" for m, cells in effect.items()}
    (margin,) = effect["alexnet"]["95 % margin of the test sample, at most (points)"]
    of_mlps = [effect[m]["ours (points)"] for m in ("mlp-1x512", "mlp-3x512")]
    widths = [float(row("min_norm-cpu", f"CIFAR-10 pixels, width {w:g}")["test error (%)"][0]) for w in (1, 2, 4, 8)]
    error = next(c for c in DRAWN["table3-cpu"]["claims"] if c["id"] == "table3.error.cifar10_pixels")
    decayed = row("table4-paper", "mlp-1x512, weight decay")
    without = row("table1-paper", "inception-nobn, random labels")
    judged = [(s, c) for s, c in every_claim(True) if c["verdict"] in ("replicated", "not replicated")]
    later = [c["id"] for _, c in judged if re.search(r"made after|were known", c["tolerance"])]
    for sentence in (
        "Inception, the network of the paper's Figure 1(a), classifies "
        f"{test[0]:.2f} % of the test images right (the paper: {papers:.2f}). The same network fits random labels to "
        f"{fit:.2f} %, and its test accuracy is then {test[1]:.2f} %, which is chance. Random labels take it "
        f"{steps[-1] / steps[0]:.1f} times the steps of true ones to reach 99 % training accuracy; shuffled pixels, "
        "random pixels and Gaussian images lie between. "
        f"MLP 3x512 needs {wide[-1] / wide[0]:.1f} times as many steps to reach 99 % training accuracy on random "
        f"labels as on true ones, and its test accuracy falls from {wide_test[0]:.2f} to {wide_test[1]:.2f} %. "
        "With weight decay of 5e-4 (the paper gives no strength) MLP 3x512 still fits random labels to "
        f"{median(with_decay['mlp-3x512']['train (%)']):.2f} %; so does AlexNet, for which the paper reports that it "
        f"then {with_decay['alexnet']['paper train (%)'][0]}.",
        "more than half of the paper's judged claims rest on one seed, and all of Inception's do.",
        f"{len(later)} of the judged ones have a rule that was made or changed when some runs were known",
        f"- MLP 1x512 fits {median(decayed['train (%)']):.2f} % of random labels with a weight decay of 5e-4 (the "
        f"paper: {decayed['paper train (%)'][0]:.2f}), less than the 99 % that counts as fitted here.",
        "- Weight decay of 5e-4, whose strength the paper does not state, changes AlexNet's test accuracy by "
        f"{ours['alexnet']:.2f} points (the paper: {theirs['alexnet']}) and with random crop by "
        f"{ours['alexnet with random crop']:.2f} ({theirs['alexnet with random crop']}).",
        f"Over three seeds the differences of one MLP lie within {max(max(v) - min(v) for v in of_mlps):.1f} points of "
        "each other; with other test images, sampling alone separates two of them by up to "
        f"{math.sqrt(2) * margin:.1f} points in 95 % of cases.",
        "- Inception without batch norm does not fit random labels: its training accuracy after 64 epochs is "
        f"{without['train (%)'][0]:.2f} %, which is chance (the paper: {without['paper train (%)'][0]:.2f} %,",
        f"- The minimum-norm solution of CIFAR-10's pixels has {error['ours']} test error; the paper has "
        f"{error['paper'].removesuffix(' %')}. It is of one bandwidth, as the paper gives none; on 12,000 images "
        f"the best one has {widths[0] - min(widths):.1f} points less than this one.",
        f"MLP 3x512 fits random pixels ({wide[2]:,.0f} steps) and Gaussian images ({wide[3]:,.0f}) before true labels "
        f"({wide[0]:,.0f}); random labels do come last ({wide[-1]:,.0f}).",
        f"- Weight decay changes the test accuracy of MLP 1x512 by {ours['mlp-1x512']:+.2f} points, up in each of 3 "
        f"seeds (the paper: {theirs['mlp-1x512']}), and of MLP 3x512 by {ours['mlp-3x512']:+.2f} "
        f"({theirs['mlp-3x512']}), which would not replicate; of Inception by {ours['inception']:+.2f} "
        f"({theirs['inception']}).",
    ):
        assert " ".join(sentence.split()) in text
    # what the words say without a number
    assert steps[0] < min(steps[1:-1]) <= max(steps[1:-1]) < steps[-1]
    assert max(wide[2:4]) < wide[0] < wide[-1] == max(wide)
    assert [cells["train (%)"] for cells in with_decay.values()] == [[100.0] * 3, [100.0]]
    assert [value > 0 for value in effect["mlp-1x512"]["ours (points)"]] == [True] * 3
    assert all(len(effect[m]["ours (points)"]) == 1 for m in ("alexnet", "alexnet with random crop"))
    assert max(decayed["train (%)"]) < 99
    assert sum(c["seeds"] == 1 for _, c in judged) > len(judged) / 2
    inceptions = [c for stem, c in judged if stem == "fig1a-paper" or "inception" in c["id"]]
    assert {c["seeds"] for c in inceptions} == {1}
    assert len(inceptions) > 9
    over_all = [c for c in DRAWN["weight_decay-cpu"]["claims"] if "alexnet" in c["id"]]
    assert {c["verdict"] for c in over_all} == {"not run"}


def test_a_page_is_mended_where_it_is_out_of_date(tmp_path):
    runs, page = Runs(ROOT / "runs"), tmp_path / "README.md"
    (tmp_path / "figures").mkdir()
    shutil.copy(ROOT / "figures" / "table4-paper.json", tmp_path / "figures")
    page.symlink_to("mine.md")
    page.write_text(f"before\n{report.BEGIN}{report.END}\nafter\n")
    assert page in report.update(page, runs, tmp_path / "figures", check=True)
    assert page in report.update(page, runs, tmp_path / "figures")
    whole = page.read_text()
    assert (whole[:7], whole[-7:]) == ("before\n", "\nafter\n")
    for text in (whole, whole.replace("replicated", "run", 1)):
        page.write_text(text)
        assert report.update(page, runs, tmp_path / "figures", check=True) == ({} if text == whole else {page: True})
        assert page.read_text() == text
    assert report.update(page, runs, tmp_path / "figures") == {page: True}
    assert page.read_text() == whole
    assert page.is_symlink()
    other = tmp_path / "docs" / "results" / "table4-paper.md"
    kept = other.read_text()
    other.write_text(kept.replace("replicated", "run", 1))
    stray = other.with_name("gone-cpu.md")
    stray.write_text(kept)
    assert report.update(page, runs, tmp_path / "figures") == {other: True, stray: False}
    assert (other.read_text(), stray.read_text()) == (kept, kept)  # somebody may have written in it
    told = cli("report", "--readme", page, "--runs", ROOT / "runs", "--out", tmp_path / "figures")
    assert (told.returncode, told.stderr) == (0, f"{stray}: of no drawn figure: delete it\n")
    other.write_text("mine")
    page.write_text(whole.replace("replicated", "run", 1))
    before = page.read_text()
    with pytest.raises(InputError, match=r"table4-paper\.md is there, and was not written by this command"):
        report.update(page, runs, tmp_path / "figures")
    assert (other.read_text(), page.read_text()) == ("mine", before)


@pytest.mark.parametrize("content", ["{", "[1]", "{}", "\xff"])
def test_what_is_no_drawn_figure_is_named(tmp_path, content):
    (tmp_path / "fig1a-cpu.json").write_text(content, encoding="latin1")
    shutil.copy(README, tmp_path / "README.md")
    with pytest.raises(InputError, match=r"fig1a-cpu\.json .*: draw it again"):
        report.update(tmp_path / "README.md", Runs(ROOT / "runs"), tmp_path)


@pytest.mark.parametrize("gone", [True, False])
def test_a_figure_that_is_not_of_the_records_there_are_is_refused(tmp_path, gone):
    """The records are gone, or one of them was made again."""
    (tmp_path / "figures").mkdir()
    shutil.copy(README, tmp_path / "README.md")
    drawn = figures.unbound(json.loads((ROOT / "figures" / "l1_l2-cpu.json").read_text()))
    next(iter(drawn["runs"].values()))["seconds"] += not gone
    (tmp_path / "figures" / "l1_l2-cpu.json").write_text(json.dumps(drawn))
    with pytest.raises(InputError, match="is not of the records there are"):
        report.update(tmp_path / "README.md", Runs(tmp_path / "none" if gone else ROOT / "runs"), tmp_path / "figures")
