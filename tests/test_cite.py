"""Citations: of what the docstrings cite and nothing else; pictures that say what they were drawn from."""

import ast
import json
import re
import shutil
import struct
import zlib
from pathlib import Path

import pytest
from command import cli, one_line

import rethinking
from rethinking import catalog, figures, plotting, revision, verify
from rethinking.figures.kit import declared
from rethinking.record import Runs
from rethinking.report import cite, citing, references
from rethinking.report.escape import latex
from rethinking.streams import plain

ROOT = Path(__file__).parents[1]
HOSTILE = 'a}\\input{x}%\n\x1b[2J\u202e$_^~#&|<"\u2212'


def entries(text):
    """A BibTeX text by key, read character by character as BibTeX does: braces balance, `\\{` does not count."""
    found, rest = {}, text
    while rest.strip():
        head = re.match(r"\s*@(\w+)\{([a-z0-9]+),\n", rest)
        assert head, rest[:80]
        fields, rest = {}, rest[head.end() :]
        while not rest.startswith("}"):
            name = re.match(r"  (\w+) = \{", rest)
            assert name, rest[:80]
            depth, at = 1, name.end()
            while depth:
                depth += {"{": 1, "}": -1}.get(rest[at], 0)
                at += 2 if rest[at] == "\\" else 1
            fields[name[1]], rest = rest[name.end() : at - 1], rest[at:].removeprefix(",\n")
        assert head[2] not in found
        found[head[2]], rest = fields | {"": head[1]}, rest[1:]
    return found


def docstrings():
    for path in Path(rethinking.__file__).parent.rglob("*.py"):
        if path.name not in ("references.py", "references_s_to_z.py", "citing.py"):
            yield path, path.read_text("utf-8")


def test_every_citation_in_the_package_is_a_work_and_every_work_is_cited():
    name = r"(?:Yousan )?[A-Z][A-Za-z]+"
    pattern = rf"{name}(?:, {name})*(?: et al\.| & {name})? (?:19|20)\d\d\b"
    known = {each for work in references.WORKS for each in work.names}
    for path, text in docstrings():
        for found in re.findall(pattern, " ".join(text.replace("#", " ").split())):
            assert found in known or re.match("ICLR|NeurIPS|ILSVRC|In |November", found), (path, found)
    pages = [path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md")]
    used = {work for text in [*(text for _, text in docstrings()), *pages] for work in citing.cited(text)}
    assert used | {references.PAPER} == set(references.WORKS)
    assert len({work.key for work in references.WORKS}) == len(references.WORKS)


@pytest.mark.parametrize("name", catalog.names("figures"))
def test_a_figure_cites_this_software_the_paper_and_what_it_is_made_of_in_every_format(name):
    cited = cite.citation(name, ROOT / "figures")
    found = entries(cite.bibtex(cited))
    assert list(found)[:2] == [cite.KEY, "zhang2017"]
    assert (found[cite.KEY]["version"], found[cite.KEY]["year"]) == (revision.VERSION, str(cite.YEAR))
    assert all(str(cite.YEAR) in write(cited) for write in cite.FORMATS.values())
    keys = list(found)
    assert [item["id"] for item in json.loads(cite.csl(cited))] == keys
    assert cite.ris(cited).count("TY  - ") == cite.ris(cited).count("\nER  - ") == len(keys)
    assert len(cite.text(cited).splitlines()) == len(keys)
    for work in cited.works:
        assert work.title in cite.text(cited)
        assert work.title in cite.ris(cited)


def test_the_source_of_each_method_is_cited_with_the_figure_that_uses_it_alone():
    keys = {name: [work.key for work in citing.of_figure(name).works] for name in ("fig1b", "regularizers", "table3")}
    assert {"wan2013", "ghiasi2018", "ioffe2015"} <= set(keys["regularizers"])
    assert {"coates2011", "daugman1985"} <= set(keys["table3"])
    assert not {"wan2013", "daugman1985", "he2016"} & set(keys["fig1b"])


def test_what_plug_ins_cite_beside_the_known_works_is_told(found):
    """Sources are read from their files; a plug-in that cites known works alone adds nothing to the note."""
    about = "Mine (Foret et al. 2021, algorithm 1; Natarajan, Dhillon & Ravikumar 2013; Wan et al. 2013)"
    text = (Path(__file__).parent / "plugins" / "figures" / "toyfig.py").read_text(encoding="utf-8")
    model = (Path(__file__).parent / "plugins" / "models" / "tiny.py").read_text(encoding="utf-8")
    assert "not listed" not in cite.citation("toyfig", ROOT / "figures").note
    found(figures__mine=text.replace("tiny", "mytiny"), models__mytiny=model.replace('"""', f'"""{about}. ', 1))
    cited = cite.citation("mine", ROOT / "figures")
    told = "Cited by plug-ins, and not listed here: mytiny (Foret et al. 2021, Natarajan, Dhillon & Ravikumar 2013)"
    assert cited.note == f"Figure mine: Toy. {told}"
    assert [work.key for work in cited.works if work.key != "zhang2017"] == ["glorot2010", "wan2013"]
    assert all(told in (write(cited).replace("\\&", "&")) for write in cite.FORMATS.values())


def test_no_source_of_a_claim_is_a_work_without_a_name():
    """It is the paper's, the project's own question, or names a work that is cited with the figure."""
    for path in (ROOT / "figures").glob("*.json"):
        name = json.loads(path.read_text("utf-8"))["figure"]
        module, setting = catalog.load("figures", name), figures.setting(name, "cpu")
        for claim in declared.declared(module, setting, "claims") if declared.is_declared(module) else []:
            found = citing.cited(claim.source)
            assert found or claim.source.startswith(("zhang2017", "the project's own question")), claim.id


def test_a_work_of_one_name_and_another_title_is_cited_in_every_format():
    """The survey's author has one name, and its title is Chinese."""
    (survey,) = citing.cited("Yousan AI 2019, on data")
    fields = entries(cite.bibtex_of([survey]))["yousanai2019"]
    assert fields["author"] == "{Yousan AI}"
    cited = cite.citation("data_size", ROOT / "figures")
    assert survey in cited.works
    assert "AU  - Yousan AI\n" in cite.ris(cited)
    assert {"literal": "Yousan AI"} in [name for item in json.loads(cite.csl(cited)) for name in item["author"]]
    told = next(line for line in cite.text(cited).splitlines() if line.startswith("Yousan AI. How to increase"))
    assert told.endswith(f"Tencent Cloud developer community, 2019, in Chinese {survey.more['origtitle']}.")


def test_a_claim_is_cited_by_its_id_with_its_numbers_its_rule_and_its_verdict():
    claim = json.loads((ROOT / "figures" / "table4-paper.json").read_text())["claims"][0]
    told = cli("cite", claim["id"], "--out", ROOT / "figures").stdout
    assert f"Claim {claim['id']}" in told
    assert f"verdict: {claim['verdict']}" in told
    for stem, source in (("fig2b-paper", ""), ("early_stopping-cpu", "zhang2017, section 3, extended: ")):
        claim = json.loads((ROOT / "figures" / f"{stem}.json").read_text())["claims"][-1]
        parts = [claim["statement"], f"source: {source}{claim['paper']}", f"ours: {claim['ours']}", claim["tolerance"]]
        cited = cite.citation(claim["id"], ROOT / "figures")
        for form, write in cite.FORMATS.items():
            assert all((latex(text) if form == "bibtex" else text) in write(cited) for text in parts), form
    assert "did you mean" in one_line(cli("cite", claim["id"] + "x", "--out", ROOT / "figures"))
    assert "allowed are text, bibtex" in one_line(cli("cite", "--format", "word"))


def test_of_several_drawings_of_a_claim_the_one_that_counts_is_cited(tmp_path):
    paper = figures.unbound(figures.drawn(ROOT / "figures" / "fig1a-paper.json"))
    fewer = paper | {"scale": "cpu", "claims": [claim | {"n": [2000]} for claim in paper["claims"]]}
    mine = paper | {"scale": "cpu", "data": "shapes", "crop": None}
    quick = paper | {"scale": "quick", "claims": [claim | {"n": [60_000]} for claim in paper["claims"]]}
    claim, cited = paper["claims"][0]["id"], []
    for stem, numbers in (("a-shapes", mine), ("b-quick", quick), ("a-cpu", fewer), ("c-paper", paper)):  # each better
        (tmp_path / f"{stem}.json").write_text(json.dumps(numbers))
        cited.append(cite.citation(claim, tmp_path).note.partition(": ")[0])
    assert cited == [f"Claim {claim}, {stem}" for stem in ("a-shapes", "b-quick", "a-cpu", "c-paper")]


def test_what_others_wrote_is_escaped():
    assert plain(HOSTILE) == 'a}\\input{x}% \\x1b[2J\\u202e$_^~#&|<"\u2212'
    text = latex(HOSTILE)
    assert re.sub(r"\\text\w+\{\}|\\[&%$#_{}]|\$-\$", "", text) == "ainputx x1b[2Ju202e"
    fields = entries(cite.bibtex(cite.Citation(HOSTILE, (references.PAPER,))))["rethinking"]
    assert latex(HOSTILE) in fields["note"]


def test_every_file_tells_the_same_version_title_and_licence():
    cff, zenodo = (ROOT / "CITATION.cff").read_text(), json.loads((ROOT / ".zenodo.json").read_text())
    assert rethinking.__version__ == zenodo["version"] == re.search(r"^version: (.+)$", cff, re.M)[1]
    setup = ast.parse((ROOT / "setup.py").read_text()).body[-1].value
    assert {k.arg: k.value for k in setup.keywords}["version"].value == rethinking.__version__
    assert re.search(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(), re.M)[1] == rethinking.__version__
    assert cite.TITLE == zenodo["title"] == re.search(r'^title: "(.+)"$', cff, re.M)[1]
    assert cite.AUTHORS == zenodo["creators"][0]["name"] == re.search(r"^  - name: (.+)$", cff, re.M)[1]
    assert str(cite.YEAR) == re.search(r"^  year: (.+)$", cff, re.M)[1]
    abstract = " ".join(cff[cff.index("abstract: >-") : cff.index("type:")].split())
    assert zenodo["description"].removesuffix("</p>").endswith(abstract[abstract.index("Figures are") :])
    preferred = cff[cff.index("preferred-citation") : cff.index("references")]
    assert all(text in preferred for text in (cite.TITLE, cite.AUTHORS, f"version: {rethinking.__version__}"))
    assert cli("--version").stdout == f"rethinking, version {revision.told()}\n"


def test_a_picture_says_what_it_was_drawn_from_and_whether_that_still_verifies(tmp_path):
    chosen, runs = figures.setting("table4", "paper"), Runs(tmp_path / "runs")
    numbers = figures.drawn(ROOT / "figures" / "table4-paper.json")
    for run in numbers["runs"]:
        shutil.copytree(ROOT / "runs" / run, runs.root / run)
    shutil.copy(ROOT / "runs" / "DIGESTS", runs.root)
    drawn = figures.draw("table4", chosen, runs, tmp_path / "a", plotting.FORMATS)
    expected = figures.provenance(numbers)
    assert expected["commits"] == sorted({run["commit"] for run in numbers["runs"].values()})
    assert expected["claims"] == [claim["id"] for claim in numbers["claims"]]
    assert [plotting.about(file) for file in drawn.files[:3]] == [expected] * 3
    alone = shutil.copy(drawn.files[0], tmp_path / "renamed.svg")
    for file in (*drawn.files, alone):
        found = verify.whence(Path(file), runs, tmp_path / "none")
        assert (sorted(found.runs), found.findings) == (sorted(numbers["runs"]), ())
    changed = tmp_path / drawn.files[0].name  # and the .json that it was drawn with is in --out
    changed.write_bytes(drawn.files[0].read_bytes().replace(b"</svg>", b"<!-- by hand --></svg>"))
    (line,) = verify.whence(changed, runs, tmp_path / "a").findings
    assert line.startswith(f"{changed} is not the picture drawn with {drawn.files[-1]}, by its SHA-256: ")
    elsewhere = shutil.copy(changed, tmp_path / "another name.svg")
    (line,) = verify.whence(Path(elsewhere), runs, tmp_path / "a").findings
    assert line.startswith(f"{elsewhere} is not the picture drawn with {drawn.files[-1]}, by its SHA-256: ")
    told = cli("whence", alone, "--runs", runs.root, "--out", tmp_path / "a").stdout
    assert told.endswith(f"{len(numbers['runs'])} runs: they verify\n")
    told = cli("whence", elsewhere, "--runs", runs.root, "--out", tmp_path / "none").stdout
    assert "they verify; whether the picture was altered is not known here" in told
    assert f"commits of its runs: {', '.join(sorted({r['commit'] for r in numbers['runs'].values()}))}" in told
    first, second, *_ = numbers["runs"]
    (runs.root / first / "curve.csv").write_text("step\n")
    damaged = cli("whence", drawn.files[1], "--runs", runs.root, "--out", tmp_path)
    assert damaged.returncode == 1
    assert f"{first}/curve.csv is not a curve" in damaged.stdout
    shutil.rmtree(runs.root / second)  # the runs that are left are not those of the picture
    assert verify.whence(Path(alone), runs, tmp_path / "none").runs is None
    for name, content in (("a.svg", "<svg/>"), ("b.pdf", "%PDF"), ("c.png", ""), ("d.gif", ""), ("e.svg", "<")):
        (tmp_path / name).write_text(content)
        assert re.search("does not say|no picture", one_line(cli("whence", tmp_path / name)))


def png(width, *chunks):
    """A picture of so many pixels a side, with chunks before its pixels, which are not there."""
    head = struct.pack(">IIBBBBB", width, width, 8, 2, 0, 0, 0)
    told = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(b"0")), (b"IEND", b"")]
    parts = [struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in told]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def svg(about, start=b""):
    text = about if isinstance(about, bytes) else json.dumps(about).encode()
    ours = b'<svg xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description>' + text + b"</dc:description></svg>"
    return start + ours


RIGHT = {"figure": "fig1a", "scale": "paper", "model": "inception", "seeds": 1, "asked": False, "claims": []}
RIGHT |= {"runs": f"sha256:{64 * '0'}", "version": "1"}
TOLD = json.dumps(RIGHT).encode()
HOSTILE_PICTURES = {
    "text bomb.png": png(1, (b"zTXt", b"Description\0\0" + zlib.compress(bytes(2 * 10**8)))),
    "text bombs.png": png(1, *[(b"zTXt", b"a%d\0\0" % k + zlib.compress(bytes(10**6))) for k in range(100)]),
    "other chunks.png": png(1, (b"iCCP", b"x\0\0" + zlib.compress(bytes(10**8))), (b"iTXt", b"Description\0\1\0\0\0x")),
    "cut.png": png(1)[:40],
    "encoding.svg": svg(RIGHT, b'<?xml version="1.0" encoding="foo-bar"?>'),
    "another encoding.svg": svg(RIGHT, b'<?xml version="1.0" encoding="utf-7"?>'),
    "deep.svg": b"<a>" * 10**6,
    "deep and whole.svg": b"<a>" * 10**5 + svg(RIGHT) + b"</a>" * 10**5,
    "entities.svg": svg(b"&a;", b'<!DOCTYPE s [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>'),
    "entities in UTF-16.svg": svg(b"&a;", b'<!DOCTYPE s [<!ENTITY a "b">]>').decode().encode("utf-16"),
    "many.svg": svg(b"<a/>" * 1_000_001),
    "number.svg": svg(b'{"figure": ' + 5000 * b"9" + b"}"),
    "nested.svg": svg(10**5 * b"["),
    "list.svg": svg([]),
    "twice.svg": svg(TOLD[:-1] + b', "seeds": 2}'),
    "unfinished.pdf": b"%PDF /Subject (" + 10**7 * b"a",
    "backslashes.pdf": b"%PDF /Subject (" + 10**7 * b"\\",
    "again and again.pdf": 10**6 * b"/Subject (",
    "no ASCII.pdf": b"%PDF /Subject (\xff)",
}
OTHERS = {"figure": 5, "scale": "full", "model": None, "seeds": 10**14, "asked": 1, "claims": [[]], "runs": "x"}
HOSTILE_PICTURES |= {f"{key}.svg": svg(RIGHT | {key: value}) for key, value in OTHERS.items()}
HOSTILE_PICTURES |= {"surrogate.svg": svg(RIGHT | {"model": "\ud800"}), "no seeds.svg": svg(RIGHT | {"seeds": 0})}


@pytest.mark.parametrize("name", HOSTILE_PICTURES)
def test_a_hostile_picture_says_nothing_in_one_line_and_fills_no_memory(tmp_path, name):
    (tmp_path / name).write_bytes(HOSTILE_PICTURES[name])
    told = one_line(cli("whence", tmp_path / name, "--runs", tmp_path, "--out", tmp_path))
    assert "does not say what it was drawn from" in told


def test_the_picture_that_those_are_damaged_from_is_read(tmp_path):
    """Pictures of many pixels, as of 2,400 dots per inch, as well: none is decoded, whatever their number."""
    pngs = {f"{width}.png": png(width, (b"tEXt", b"Description\0" + TOLD)) for width in (1, 10_000, 20_000, 100_000)}
    for name, content in {"a.svg": svg(RIGHT), **pngs}.items():
        (tmp_path / name).write_bytes(content)
        assert figures.about(tmp_path / name) == RIGHT


def test_a_citation_is_given_as_json_too(tmp_path):
    told = json.loads(cli("cite", "fig1a", "--json", "--out", tmp_path).stdout)
    assert (told["what"], told["note"].startswith("Figure fig1a: ")) == ("fig1a", True)
    assert told["csl"] == json.loads(cli("cite", "fig1a", "--format", "csl", "--out", tmp_path).stdout)
    assert "--json is given beside --format ris" in one_line(cli("cite", "--json", "--format", "ris"))
