"""The HTML page of all results: complete, well-formed, one file alone, and with whatever it is given shown as text."""

import dataclasses
import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from statistics import median

import pytest
from command import cli, one_line
from test_pages import cell

from rethinking import figures, verify
from rethinking.errors import InputError
from rethinking.record import Runs
from rethinking.report import html, model, pages, prose, slides
from rethinking.report.model import Result, visible

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "figures"
HOSTILE = '</script><script>alert(1)</script><img onerror="a()">\x1b[31m\x07*b*[l](javascript:x)`c`$x^2$&lt;|\u202e~~'
PAPER = "https://arxiv.org/abs/1611.03530"  # the page's one link to elsewhere, which nothing loads
ACTING = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]"  # on a terminal, or on the order of a line
SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">{}</svg>'


class Parsed(HTMLParser):
    """A page: its elements' names and attributes, ids, links, and text; every element closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.cells, self.open, self.text = [], [], [], ""
        self.feed(text)
        assert not self.open
        self.ids = [a["id"] for _, a in self.elements if "id" in a]

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        self.open += [] if tag in ("meta", "br", "input", "img") else [tag]
        self.cells += [""] * (tag in ("td", "th"))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        data = data.replace("\N{NO-BREAK SPACE}", " ")
        self.text += data
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data


@pytest.fixture(scope="module")
def page(results):
    return html.page(results, FIGURES)


def test_the_page_is_one_sound_file_that_loads_nothing(page):
    parsed = Parsed(page)
    assert len(page.encode()) < 3_000_000
    assert len(parsed.ids) == len(set(parsed.ids)) > 100
    links = {a["href"] for _, a in parsed.elements if "href" in a}
    assert links - {f"#{name}" for name in parsed.ids} == {PAPER}
    for _, attributes in parsed.elements:
        assert not {"src", "srcset", "action", "xlink:href"} & attributes.keys()
        assert not any(key.startswith("on") for key in attributes)
        used = re.findall(r"url\(#([^)]*)\)", "".join(map(str, attributes.values())))
        assert {*used, attributes.get("aria-labelledby", "main")} <= set(parsed.ids)
    assert not re.search(r"url\((?!#)|@import", page)
    assert all(attributes["scope"] in ("col", "row") for tag, attributes in parsed.elements if tag == "th")
    assert page.count("<table") == page.count("<caption>") > 20


def test_every_verdict_and_every_cell_is_there(page, results):
    parsed = Parsed(page)
    for result in results:
        part = Parsed(re.search(rf'<article aria-labelledby="figure-{result.stem}">.*?</article>', page, re.S)[0])
        cells = [str(cell(value)) for row in result.numbers["table"] for value in row.values()]
        assert not Counter(cells) - Counter(part.cells)
        for claim in result.numbers["claims"]:
            assert f"{claim['verdict']}: {claim['statement']}. Source: " in part.text
            row = {claim["statement"] + claim["id"], claim["ours"] or claim["reason"], claim["tolerance"]}
            assert row <= set(parsed.cells)
        assert all(text in parsed.text for text in result.numbers["departures"])
    assert page.count('<tr id="claim-') == sum(len(result.judged) for result in results)


# The summary's own words around a number, the claim and the name under which that stands, and its form.
SUMMARY = [
    ("MLP 3x512 reaches {} % training accuracy and ", "table1.mlp-3x512.random_labels", "training accuracy (%)", ".2f"),
    (" training accuracy and {} % test accuracy.", "table1.mlp-3x512.random_labels", "test accuracy (%)", ".2f"),
    ("the same network reaches {} % test accuracy.", "table1.mlp-3x512", "test accuracy (%)", ".2f"),
    ("takes MLP 1x512 {} times the steps", "fig1b.slower.mlp-1x512", "p = 1", ".2f"),
    ("With weight decay MLP 3x512 reaches {} %", "table4.mlp-3x512.weight_decay", "training accuracy (%)", ".2f"),
    ("changes AlexNet's test accuracy by {} points", "effects.weight_decay.alexnet", "change (points)", "+.2f"),
    ("Theorem 1 has {} weights here", "theorem1.weights", "weights", ",.0f"),
    ("with a largest error of {}.", "theorem1.fits", "largest error", ".1e"),
]


def test_the_summary_has_ten_sentences_in_each_language_with_the_models_numbers(page, results):
    pairs = prose.sentences(results)
    assert len(pairs) == 10
    english = " ".join(each for each, _ in pairs).replace("\N{MINUS SIGN}", "-")
    for words, name, key, form in SUMMARY:
        (claim,) = (c for r in results for c in r.numbers["claims"] if c["id"] == name)
        assert words.format(format(median(claim["numbers"][key]), form)) in english, words
    assert all(len({tuple(re.findall(r"\d[\d.,]*\d", text)) for text in pair}) == 1 for pair in pairs)
    assert f'<div lang="zh"><p>{pairs[0][1]}' in page


def test_effects_are_of_the_larger_scale_where_both_are_drawn(results, tmp_path):
    (paper,) = (r for r in results if r.name == "effects")
    setting, other = dataclasses.replace(paper.setting, scale="cpu"), paper.numbers | {"table": [{"effect": "FEWER"}]}
    found = [Result("effects", setting, "effects-cpu", other), paper]
    assert found == model.ranked(found)
    for result in found:
        shutil.copy(FIGURES / "effects-paper.svg", tmp_path / f"{result.stem}.svg")
    (section,) = re.findall(r'<section aria-labelledby="effects">.*?</section>', html.page(found, tmp_path), re.S)
    assert "FEWER" not in section
    assert slides.chosen(found) == [paper]


def hostile():
    """A drawn figure whose every text is markup."""
    claim = dict.fromkeys(("id", "name", "statement", "paper", "tolerance", "ours"), HOSTILE)
    claim |= {"own": False, "verdict": "holds", "source": HOSTILE, "n": [1], "seeds": 1, "reason": None, "numbers": {}}
    numbers = {"caption": HOSTILE, "finding": HOSTILE, "departures": [HOSTILE], "claims": [claim], "missing": [HOSTILE]}
    numbers |= {"table": [{HOSTILE: HOSTILE, "b": [HOSTILE]}], "runs": {HOSTILE: {"commit": HOSTILE, "seconds": 1}}}
    return Result("fig1a", figures.Setting("cpu", HOSTILE, 1), "fig1a-cpu", numbers)


def test_markup_in_names_labels_and_claims_is_shown_as_text(tmp_path):
    inside = '<script>a()</script><style>*{}</style><foreignObject/><g onload="a()" style="fill:url(http://x.y)">'
    inside += '<use xlink:href="http://x.y#a"/><text>&lt;b&gt;</text><image href="http://x.y"/></g>'
    (tmp_path / "fig1a-cpu.svg").write_text(SVG.format(inside))
    parsed = Parsed(html.page([hostile()], tmp_path))
    tags = Counter(tag for tag, _ in parsed.elements)
    assert [tags[name] for name in ("script", "style", "img", "foreignobject")] == [1, 1, 0, 0]
    for _, attributes in parsed.elements:
        links = {key: value for key, value in attributes.items() if value != PAPER}
        assert not any(key.startswith("on") or "http" in str(value) for key, value in links.items())
    assert parsed.text.count(visible(HOSTILE)) >= 12
    assert not re.search(ACTING, parsed.text)


def test_the_same_in_markdown():
    shown = pages.cell(HOSTILE)
    assert not re.search(r"[<>&$~*`|#\[\]]", re.sub(r"\\.", "", shown))
    assert re.sub(r"\\(.)", r"\1", shown) == visible(HOSTILE)
    for text in pages.pages([hostile()]).values():
        assert not re.search(ACTING, text)
        rest = re.sub(r"^    .*", "", text, flags=re.M).replace(shown, "").replace(pages.code(HOSTILE), "")
        assert not re.search("alert|onerror|javascript", rest)


@pytest.mark.parametrize("content", [None, "", "<html/>", SVG.replace("viewBox", "box").format("")])
def test_a_picture_that_is_missing_or_none_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "fig1a-cpu.svg").write_text(content)
    with pytest.raises(InputError, match=r"fig1a-cpu\.svg cannot be read .*: draw its figure again with --redraw"):
        html.page([hostile()], tmp_path)


def test_the_command_writes_the_page(tmp_path, monkeypatch):
    for path in FIGURES.glob("theorem1-cpu.*"):
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(ROOT)
    done = cli("report", "--json", "--out", tmp_path, "--html", tmp_path / "page.html")
    assert json.loads(done.stdout)["bytes"] == (tmp_path / "page.html").stat().st_size > 50_000
    for name in ("theorem1-cpu.json", "theorem1-cpu.svg"):  # or anybody's text
        before = (tmp_path / name).read_bytes()
        line = one_line(cli("report", "--out", tmp_path, "--html", tmp_path / name))
        assert f"{name} is there, and was not written by this command: name another with --html" in line
        assert (tmp_path / name).read_bytes() == before


def test_a_page_is_compared_with_what_the_records_give(tmp_path, monkeypatch):
    monkeypatch.chdir(FIGURES.parent)
    for file in FIGURES.glob("rademacher-cpu.*"):
        shutil.copy(file, tmp_path)
    page, where = tmp_path / "page.html", ("--out", tmp_path)
    assert cli("report", "--html", page, *where).returncode == 0
    assert cli("report", "--check", "--html", page, *where).returncode == 0
    result = model.results(Runs("runs"), tmp_path)
    assert list(verify.page(page, result, tmp_path)) == []
    text = page.read_text()
    for other in (text.replace("0.9", "0.8"), text[:-1], ""):
        assert other != text
        page.write_text(other)
        stale = f"{page} is stale: run `rethinking report --html`"
        assert list(verify.page(page, result, tmp_path)) == [stale]
        done = cli("report", "--check", "--html", page, *where)
        assert (done.returncode, done.stderr) == (1, f"{page}: stale: run `rethinking report --html`\n")
        assert page.read_text() == other
    page.unlink()
    (missing,) = verify.page(page, result, tmp_path)
    assert "cannot be read (No such file or directory): name another with --html" in missing
    assert "not compared" in next(verify.page(page, None, tmp_path))


def test_a_page_of_nothing_in_no_folder_or_named_as_an_option_is_refused(tmp_path, monkeypatch):
    (tmp_path / "none").mkdir()
    monkeypatch.chdir(tmp_path)
    where = ("report", "--runs", ROOT / "runs")
    assert "name a folder with --out" in one_line(cli(*where, "--out", tmp_path / "none", "--html", "page.html"))
    assert "no folder" in one_line(cli(*where, "--out", FIGURES, "--html", tmp_path / "typo" / "page.html"))
    assert "'--help', an option" in one_line(cli(*where, "--html", "--help"))
    assert {path.name for path in tmp_path.iterdir()} == {"none"}
