"""The pages that are written by hand: their snippets run, their commands parse, their links lead somewhere."""

import inspect
import json
import re
import shlex
from pathlib import Path
from pkgutil import resolve_name

import click
import matplotlib
import matplotlib.pyplot as plt
import pytest
from command import cli
from test_imports import ROOMS, ROOT

from rethinking import claims, figures
from rethinking.cli.group import Group
from rethinking.cli.root import main
from rethinking.figures.kit.frame import COMPUTED
from rethinking.figures.kit.measures import LOSSLESS, UNMEASURED
from rethinking.record.frame import STATES
from rethinking.record.read import ENDED
from rethinking.spec import PROBE, RunSpec
from rethinking.spec.training import KEPT
from rethinking.training import keep

HERE = Path(__file__).parents[1]
DOCS = HERE / "docs"
WRITTEN = [HERE / "README.md", *sorted(DOCS.glob("*.md"))]
PAGES = [*WRITTEN, *sorted((DOCS / "results").glob("*.md"))]
FENCE = re.compile(r"^(?P<in> *)```(?P<kind>[^\n]*)\n(?P<text>.*?)^(?P=in)```$", re.M | re.S)
GIVEN = re.compile(r"Write this as `plugins/(\w+)/(\w+)\.py`[^`]*```python\n(.*?)^```$", re.M | re.S)


def named(path):
    return str(path.relative_to(HERE))


def snippets(text):
    """The Python of a page, in order."""
    return [found["text"] for found in FENCE.finditer(text) if found["kind"] == "python"]


def commands(text):
    """The words after `rethinking` of every command line of a page, without what is said of it beside it."""
    shown = [f["text"] for f in FENCE.finditer(text) if f["kind"] in ("console", "bash")]
    shown.append("\n".join(re.findall(r"^ {4}(.*)", FENCE.sub("", text), re.M)))
    lines = re.findall(r"^ *(?:\$ |exec )?(?:[\w./]*/)?rethinking +(.+)$", "\n".join(shown), re.M)
    return [shlex.split(re.split(r" {2,}|\t| #", line)[0]) for line in lines]


def parsed(words, command=main):
    """Parse a command line without running it; click raises what is wrong with it."""
    if isinstance(command, click.Group):
        assert words, f"{command.name} needs a command"
        assert words[0] in command.commands, f"{words[0]} is no command"
        parsed(words[1:], command.commands[words[0]])
    else:
        command.make_context(command.name, list(words)).close()


def run(page, tmp_path, monkeypatch):
    """Run a page's Python beside the records, in a folder for what it writes."""
    for name in ("runs", "figures"):
        (tmp_path / name).symlink_to(HERE / name)
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    names = {"__name__": page.stem}
    for snippet in snippets(page.read_text("utf-8")):
        exec(compile(snippet, named(page), "exec"), names)
    plt.close("all")


WITH_SNIPPETS = [p for p in WRITTEN if snippets(p.read_text("utf-8"))]


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=named)
def test_every_snippet_runs(page, tmp_path, monkeypatch):
    run(page, tmp_path, monkeypatch)


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p.read_text("utf-8"))], ids=named)
def test_every_command_line_parses(page):
    for words in commands(page.read_text("utf-8")):
        parsed(words)


def test_every_command_that_reads_a_wheels_records_is_named():
    told = (DOCS / "records.md").read_text("utf-8").partition("So do the commands ")[2].partition(".\n")[0]
    called = {name: inspect.unwrap(c.callback).__code__.co_names for name, c in main.commands.items() if c.callback}
    reads = {name for name, names in called.items() if {"reading", "_folders"} & {*names}}
    assert {name.split()[0] for name in re.findall(r"`([^`]+)`", told)} == reads


def test_every_run_that_a_page_names_is_recorded_or_one_of_table_2():
    wanted = figures.unique(figures.specs("table2", figures.setting("table2", "paper")))
    known = {path.name for path in (HERE / "runs").iterdir()} | {spec.run_id for spec in wanted}
    told = {name for page in WRITTEN for name in re.findall(r"[\w.-]+-[0-9a-f]{10}\b", page.read_text("utf-8"))}
    assert len(told) >= 2
    assert told <= known


@pytest.mark.slow
def test_the_tutorial_s_commands_do_what_it_says(tmp_path, monkeypatch):
    """All but the check of every record, which CI makes anyway."""
    (tmp_path / "runs").symlink_to(HERE / "runs")
    (tmp_path / "figures").mkdir()
    monkeypatch.chdir(tmp_path)
    for words in commands((DOCS / "tutorial.md").read_text("utf-8")):
        if words != ["verify"]:
            done = cli(*words)
            assert done.returncode == 0, done.stderr
    drawn = json.loads((tmp_path / "figures" / "fig1b-paper.json").read_text("utf-8"))
    assert drawn == json.loads((HERE / "figures" / "fig1b-paper.json").read_text("utf-8"))


@pytest.mark.parametrize("page", [p for p in WRITTEN if GIVEN.search(p.read_text("utf-8"))], ids=named)
def test_a_plug_in_that_a_page_shows_is_found_and_checked(page, found, tmp_path, monkeypatch):
    given = GIVEN.findall(page.read_text("utf-8"))
    found(**{f"{kind}__{name}": text for kind, name, text in given})
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    for kind, name, text in given:
        variant = re.search(r'^VARIANTS = \{"([\w-]+)"', text, re.M)
        lines = [["list", kind, variant[1] if variant else name], *([["plan", name]] if kind == "figures" else [])]
        for words in lines:
            done = cli(*words)
            assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_figure_that_a_page_shows_is_drawn_and_judged(found, tmp_path, monkeypatch, cifar10):
    """With fewer images than the page's."""
    ((kind, name, text),) = GIVEN.findall((DOCS / "own-figure.md").read_text("utf-8"))
    fewer = text.replace("until_fitted(seed, ", "until_fitted(seed, n=100, ")
    assert fewer != text
    found(**{f"{kind}__{name}": fewer})
    monkeypatch.chdir(tmp_path)
    done = cli("figure", name, "--device", "cpu", "--quiet")
    assert done.returncode == 0, done.stderr
    (claim,) = json.loads((tmp_path / "figures" / f"{name}-quick.json").read_text("utf-8"))["claims"]
    assert claim["verdict"] in ("holds", "does not hold")
    assert claim["ours"].startswith("at p = 0.5: ")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_to_a_file(page):
    text = FENCE.sub("", page.read_text("utf-8"))
    links = [link for link in re.findall(r"\]\(<?([^)\s>]+)>?\)", text) if not re.match(r"[a-z]+:", link)]
    gone = [link for link in links if not (page.parent / link.partition("#")[0]).exists()]
    assert not gone


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_page_is_long(page):
    assert page.stat().st_size <= (12_000 if page.name == "README.md" else 60_000)


def test_a_page_that_names_a_notebook_says_how_it_is_opened():
    texts = {named(page): " ".join(page.read_text("utf-8").split()) for page in WRITTEN}
    naming = {name for name, text in texts.items() if "](notebooks/" in text}
    assert {"docs/records.md", "docs/tutorial.md"} <= naming
    assert naming == {name for name, text in texts.items() if "`jupytext --to notebook " in text}


def test_every_page_is_in_the_site_s_contents():
    listed = set(re.findall(r"^[\w/-]+$", (DOCS / "index.md").read_text("utf-8"), re.M))
    assert listed >= {page.stem for page in DOCS.glob("*.md")} - {"index"}


def test_the_reference_explains_every_argument_by_names_that_it_has():
    text = (DOCS / "python.md").read_text("utf-8")
    functions = re.findall(r"auto(?:function|method):: ([\w.]+)", text)
    assert len(functions) > 15
    for name in functions:
        told = inspect.getdoc(resolve_name(name)) or ""
        others = [f"{name.rpartition('.')[0]}.{other}" for other in re.findall(r"as in `(\w+)`", told)]
        all_told = "\n".join([told, *(inspect.getdoc(resolve_name(other)) or "" for other in others)])
        signature = inspect.signature(inspect.unwrap(resolve_name(name)))
        takes = [argument for argument in signature.parameters if argument not in ("self", "cls")]
        gone = [argument for argument in takes if not re.search(rf"\b{argument}(, \w+)*:", all_told)]
        assert len(takes) < 2 or not gone, name  # of one argument the first line tells
        known = {function.rpartition(".")[2] for function in functions}
        assert {other.rpartition(".")[2] for other in others} | set(re.findall(r"see `([\w.]+)`", told)) <= known, name
        assert "catalog." not in told, name


def test_what_the_reference_lists_begins_with_its_name_in_every_line():
    """What a list's item goes on with is indented further, or the site takes it for an item."""
    listed = [resolve_name(name) for name in re.findall(r"auto\w+:: ([\w.]+)", (DOCS / "python.md").read_text("utf-8"))]
    members = [m for c in listed if inspect.isclass(c) for name, m in vars(c).items() if not name.startswith("_")]
    for each in (*listed, *members):
        for part in re.findall(r"^(?:Args|Attributes|Raises):\n((?:    .*\n?)+)", inspect.getdoc(each) or "", re.M):
            items = re.findall(r"^ {4}(?! ).*", part, re.M)
            assert [item for item in items if not re.match(r" {4}[\w*]+(, \w+)*: ", item)] == [], each


def test_what_a_record_keeps_is_explained_with_names_and_sizes():
    page, told = (DOCS / "records.md").read_text("utf-8"), RunSpec.model_fields["keep"].description
    assert [name for name in (*keep._KINDS, *KEPT) if f"`{name}" not in page] == []
    assert [name for name in keep._KINDS if name not in told] == []
    for size in (keep.KEPT_IMAGES, keep.QUANTILES):
        assert f"{size:,}" in page
        assert f"{size:,}" in told


def test_every_exit_status_is_among_what_is_stable():
    (row,) = re.findall(r"^\|.*exit status.*", (DOCS / "contributing.md").read_text("utf-8"), re.M)
    given = {*re.findall(r"\b\d+\b", inspect.getsource(Group.main))}
    assert given == {"0", "1", "2", "130", "143"}
    assert given <= {*re.findall(r"\b\d+\b", row)}


def test_the_glossary_has_every_word():
    text = (DOCS / "verdicts.md").read_text("utf-8")
    heads = {word for head in re.findall(r"^- \*\*(.+?)\*\*", text, re.M) for word in head.split(", ")}
    words = {
        *claims.OWN,
        *claims.EXTENSION.values(),
        *STATES,
        COMPUTED,
        UNMEASURED,
        LOSSLESS,
        claims.told([None]),
        claims.told([]),
    }
    words |= {"full size", "reduced", "partly", "budget", "partly run", "no number"}
    assert words <= heads
    items = {word: item for item in text.split("\n- **") for word in item.partition("**")[0].split(", ")}
    assert all("In `result.json`" in items[status] for status in ENDED if status != "diverged")  # which is one thing


def test_the_protocol_names_every_end_of_a_run_and_every_part_that_an_evaluation_is_of():
    text = " ".join((DOCS / "protocol.md").read_text("utf-8").split())
    assert set(ENDED) == {"budget", "fitted", "stopped", "diverged"}
    for words in ("at its budget", "every training example right (`stop`)", "(`stop_loss`)", "loss that is not finite"):
        assert words in text
    fields = RunSpec.model_fields
    assert fields["interim_test"].default == PROBE == 2000
    assert "of the first 2,000 test images (`interim_test`; 250 at scale `quick`)" in text
    assert figures.setting("fig1a", "quick").spec(0).interim_test == 250
    assert "of the first 2,000 training images, and of all where the fit is near" in text


def test_the_design_lists_the_rooms_that_there_are():
    text = (DOCS / "design.md").read_text("utf-8")
    table = text.split("<!-- rooms, from the top -->")[1].split("<!-- end of rooms -->")[0]
    rows = [set(re.findall(r"`(\w+)`", row.split("|")[1])) for row in re.findall(r"^\| `.*", table, re.M)]
    there = {path.stem for path in ROOT.glob("[!_]*")} | {"__main__"}
    assert rows == [kept for rooms in ROOMS if (kept := rooms & there)]


@pytest.mark.parametrize("title", ["The label of one image", "The strength of one regularizer"])
def test_a_path_through_the_package_is_short_and_right(title):
    text = (DOCS / "design.md").read_text("utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    steps = re.findall(r"^\d+\. `([\w/]+\.py)`: (.*)", text, re.M)
    assert 2 <= len(steps) <= 8
    for path, told in steps:
        source = (HERE / path).read_text("utf-8")
        for name in re.findall(r"`([A-Za-z_.]+)`", told):
            if not name.endswith(".csv"):
                assert re.search(rf"(def|class) {name.split('.')[-1]}\b", source), f"{name} is not in {path}"
