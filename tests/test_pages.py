"""Generated pages against the drawn figures' files: every cell, verdict and count on a page is of a figure's JSON."""

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
DRAWN = {path.stem: json.loads(path.read_text()) for path in sorted(ROOT.glob("figures/*.json"))}
DRAWN = {stem: drawn for stem, drawn in DRAWN.items() if drawn["scale"] != "quick"}
VERDICTS = ("replicated", "not replicated", "not run", "not judged at this scale")
COUNTS = re.compile(rf"(\d+) ({'|'.join(VERDICTS)})(?=[,:)\n])")


def sections(text):
    """(stem of the drawn figure or None, text) of what stands before the first heading, and below each."""
    for part in re.split(r"\n(?=#+ )", text):
        stems = re.findall(r"!\[.*?\]\((?:\S*/)?([\w-]+)\.svg\)", part)
        assert len(stems) <= 1
        yield (stems or [None])[0], part


def tables(text):
    """Every table of a Markdown text: its head, and its rows as dicts."""
    for block in re.findall(r"(?:^\|.*\n)+", text + "\n", re.M):
        head, _, *rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]
        head, *rows = [[cell.strip().replace("\\|", "|") for cell in row] for row in (head, *rows)]
        yield head, [dict(zip(head, row, strict=True)) for row in rows]


def cell(values):
    """What a cell must say of the values of its seeds."""
    if not isinstance(values, list):
        return values
    there = [v for v in values if v is not None]
    numbers = [v for v in there if not isinstance(v, str)]
    late = [math.inf] * there.count("censored") if numbers else []
    words = Counter(v for v in there if isinstance(v, str) and not (late and v == "censored"))
    parts = [f"{count} {word}" if len(there) > 1 else word for word, count in words.items()]
    if numbers:
        places = 0 if all(isinstance(v, int) for v in numbers) else 2
        low, middle, high = (f"{f(numbers + late):,.{places}f}" for f in (min, median, max))
        parts.insert(
            0, (middle if len(numbers + late) == 1 else f"{middle} ({low} to {high})").replace("inf", "censored")
        )
    few = [f"{len(there)} of {len(values)} seeds"] if there and len(there) < len(values) else []
    return ", ".join([*parts, *few]) or "not run"


def has_numbers(row):
    return any(v is not None for k, cells in [*row.items()][1:] if k[:5] != "paper" and k != "n" for v in cells)


def own(claim):
    return claim["source"].startswith("zhang2017") and "extended" not in claim["source"]


def told(claim):
    """The row of a claim."""
    return {
        "verdict": f"**{claim['verdict']}**",
        "claim": claim["statement"],
        "paper": claim["paper"] if own(claim) else f"{claim['source']}: {claim['paper']}",
        "ours": claim["ours"] or claim["reason"] or "",
        "rule": claim["tolerance"],
        "n": ", ".join(f"{n:,}" for n in claim["n"]),
        "seeds": str(claim["seeds"]),
    }


def verdicts(claims):
    return Counter(claim["verdict"] for claim in claims)


def stem_of(link):
    return re.search(r"\((?:\S*[#/])?([\w-]+?)(?:\.md)?\)", link)[1]


def check(text):
    """Hold a generated Markdown text against the drawn figures; returns their stems, those that have a section."""
    shown = []
    failed = [(stem, told(c)) for stem, d in DRAWN.items() for c in d["claims"] if c["verdict"] == "not replicated"]
    for stem, part in sections(text):
        claims, numbers = [], []
        for head, rows in tables(part):
            if {"figure", "what", *VERDICTS} <= set(head):
                for row in rows:
                    counts = {word: int(row[word]) for word in VERDICTS if row[word]}
                    assert counts == verdicts(DRAWN[stem_of(row["figure"])]["claims"])
                    assert row["what"] == DRAWN[stem_of(row["figure"])]["caption"]
                assert sorted(stem_of(row["figure"]) for row in rows) == sorted(DRAWN)
            elif head[:2] == ["figure", "claim"]:
                found = [(stem_of(row["figure"]), {k: v for k, v in row.items() if k != "figure"}) for row in rows]
                expected = [(of, {k: claim[k] for k in head[1:]}) for of, claim in failed]
                assert sorted(found, key=str) == sorted(expected, key=str)
            elif head[0] == "verdict":
                claims += rows
            else:
                numbers += rows
        if stem:
            drawn = DRAWN[stem]
            shown.append(stem)
            assert claims == [told(claim) for claim in drawn["claims"]]
            run = [row for row in drawn.get("table", []) if has_numbers(row)]
            assert numbers == [{k: cell(v) for k, v in row.items()} for row in run]
            missing = re.search(r"^(\d+) of (\d+) rows are not run", part, re.M)
            every = len(drawn.get("table", []))
            assert (missing and (int(missing[1]), int(missing[2]))) == (
                (every - len(run), every) if every > len(run) else None
            )
            assert {word: int(k) for k, word in COUNTS.findall(part.partition("\n")[0] + "\n")} == verdicts(
                drawn["claims"]
            )
        else:
            assert not claims
            assert not numbers
    return shown


def generated():
    """The README's section of results, and the pages of docs/results where they are."""
    readme = README.read_text().partition(report.BEGIN)[2].partition(report.END)[0]
    return {"README.md": readme} | {str(p.relative_to(ROOT)): p.read_text() for p in ROOT.glob("docs/results/**/*.md")}


def test_every_cell_verdict_and_count_of_a_generated_page_is_of_a_drawn_figure():
    shown = [stem for text in generated().values() for stem in check(text)]
    assert sorted(shown) == sorted(DRAWN)
    heads = [head[:2] for text in generated().values() for head, _ in tables(text)]
    assert ["figure", "scale"] in heads  # the overview
    assert ["figure", "claim"] in heads  # what did not replicate


def test_verdicts_and_records_are_counted_right():
    for text in generated().values():
        whole, found, of_the_paper = text.partition("\n#")[0].partition("Of them")
        if found:
            claims = [claim for drawn in DRAWN.values() for claim in drawn["claims"]]
            used = {run for drawn in DRAWN.values() for run in drawn["runs"]}
            assert {word: int(k) for k, word in COUNTS.findall(whole)} == verdicts(claims)
            assert f"{len(claims)} claims, judged on {len(used)} records" in whole
            assert {word: int(k) for k, word in COUNTS.findall(of_the_paper)} == verdicts(filter(own, claims))
            assert f" {sum(map(own, claims))} are the paper's own" in of_the_paper
            assert used <= {path.parent.name for path in ROOT.glob("runs/*/result.json")}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"\*\*replicated\*\*", "**not replicated**"),
        (r"(\d\.\d)\d( \|)", r"\g<1>0\g<2>1"),  # a cell that goes on
        (r"\| \d+,\d+ \|", "| 1 |"),
        (r"\n\| (?!figure|verdict|-|\*|\[).*\d.*", ""),  # a row less
        (r"\n\| \*\*.*", ""),
        (r"(\| cpu \|) \d", r"\g<1> 99"),
    ],
)
def test_a_page_with_one_change_is_noticed(old, new):
    text = generated()["README.md"]
    changed = re.sub(old, new, text, count=1)
    assert changed != text
    with pytest.raises((AssertionError, ValueError)):
        assert sorted(check(changed)) == sorted(DRAWN)


def test_the_readme_is_up_to_date():
    assert report.update(README, Runs(ROOT / "runs"), ROOT / "figures", check=True)


def test_a_page_is_mended_where_it_is_out_of_date(tmp_path):
    runs, page = Runs(ROOT / "runs"), tmp_path / "README.md"
    (tmp_path / "figures").mkdir()
    shutil.copy(ROOT / "figures" / "table4-paper.json", tmp_path / "figures")
    page.write_text(f"before\n{report.BEGIN}{report.END}\nafter\n")
    assert not report.update(page, runs, tmp_path / "figures", check=True)
    assert not report.update(page, runs, tmp_path / "figures")
    whole = page.read_text()
    assert (whole[:7], whole[-7:]) == ("before\n", "\nafter\n")
    for text in (whole, whole.replace("100", "99", 1)):
        page.write_text(text)
        assert report.update(page, runs, tmp_path / "figures", check=True) == (text == whole)
        assert page.read_text() == text
    assert not report.update(page, runs, tmp_path / "figures")
    assert page.read_text() == whole


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


@pytest.mark.parametrize("gone", [True, False])
def test_a_figure_that_is_not_of_the_records_there_are_is_refused(tmp_path, gone):
    """The records are gone, or one of them was made again."""
    (tmp_path / "figures").mkdir()
    shutil.copy(README, tmp_path / "README.md")
    drawn = json.loads((ROOT / "figures" / "l1_l2-cpu.json").read_text())
    next(iter(drawn["runs"].values()))["seconds"] += not gone
    (tmp_path / "figures" / "l1_l2-cpu.json").write_text(json.dumps(drawn))
    with pytest.raises(InputError, match="is not of the records there are"):
        report.update(tmp_path / "README.md", Runs(tmp_path / "none" if gone else ROOT / "runs"), tmp_path / "figures")
