"""Citations: this software, the paper, and the source of every method in a figure or of a claim."""

import difflib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rethinking import catalog, figures, revision
from rethinking.errors import InputError
from rethinking.report import model
from rethinking.report.citing import of_figure
from rethinking.report.escape import latex
from rethinking.report.references import PAPER
from rethinking.report.works import Work
from rethinking.streams import plain

TITLE = "rethinking: a replication of Understanding deep learning requires rethinking generalization"
AUTHORS = "The rethinking authors"
YEAR = 2026  # of this version, which the commit makes precise
KEY = "rethinking"
_PLACE = {"inproceedings": "booktitle", "incollection": "booktitle", "article": "journal", "book": "publisher"}
_PLACE |= {"techreport": "institution", "misc": "howpublished"}
_RIS = {"inproceedings": "CPAPER", "article": "JOUR", "book": "BOOK", "techreport": "RPRT", "incollection": "CHAP"}
_CSL = {"inproceedings": "paper-conference", "article": "article-journal", "book": "book", "techreport": "report"}
_CSL |= {"incollection": "chapter"}


@dataclass(frozen=True)
class Citation:
    """What is cited.

    Attributes:
        note: what of this software, in a sentence; empty for all of it. works: the paper first.
    """

    note: str
    works: tuple[Work, ...]


def citation(what: str | None, folder: Path) -> Citation:
    """What to cite for a figure, or for a claim of a drawn one by its id; None for the software and the paper alone.

    Of several drawings that have a claim, that of the paper's data, then of scale cpu or paper, then the one that
    counts on the pages of results, see `model.once`.

    Args:
        folder: of the drawn figures, whose claims have verdicts.

    Raises:
        InputError: neither a figure, nor one as it is drawn, "fig1a-paper", nor a claim of one.
    """
    if what is None:
        return Citation("", (PAPER,))
    if what in catalog.names("figures"):
        return _citation(f"Figure {what}: {catalog.load('figures', what).CAPTION}", what)
    known, found = [], []
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stem):
        drawn = figures.drawn(path)
        known += [path.stem, *(claim["id"] for claim in drawn["claims"])]
        if path.stem == what:
            return _citation(plain(f"Figure {what}: {drawn['caption']}"), drawn["figure"])
        for claim in (model.judged_of(path.stem, c) for c in drawn["claims"] if c["id"] == what):
            rank = "data" not in drawn, drawn["scale"] != "quick", claim.weight
            found.append((rank, claim, drawn["figure"]))
    if found:
        _, claim, name = max(found, key=lambda each: each[0])
        note = f"Claim {what}, {claim.result}: {claim.statement}; source: {claim.says}; ours: {claim.ours}; "
        note += f"verdict: {claim.verdict}, by the rule: {claim.rule}"
        return _citation(plain(note), name)
    near = difflib.get_close_matches(what, [*catalog.names("figures"), *known], 3)
    hint = f"did you mean {', '.join(near)}?" if near else "see `rethinking list figures`"
    raise InputError(f"{what!r} is neither a figure nor the id of a claim in {folder}: {hint}")


def _citation(note: str, figure: str) -> Citation:
    """A note with the works of a figure; what plug-ins cite beside them is told in it."""
    sources = of_figure(figure)
    others = f". Cited by plug-ins, and not listed here: {'; '.join(sources.others)}" if sources.others else ""
    return Citation(f"{note.rstrip('.')}{others}" if others else note, sources.works)


def _fields(cited: Citation) -> dict[str, str]:
    """Those of this software, under BibTeX's names."""
    known = revision.commit() != revision.UNKNOWN
    about = [cited.note] * bool(cited.note) + [f"Commit {revision.commit()}"] * known
    note = plain(". ".join(about).replace("..", "."))
    return {"title": TITLE, "year": str(YEAR), "version": revision.VERSION, "note": note}


def bibtex(cited: Citation) -> str:
    """An entry for the software, and one a work."""
    own = [("author", f"{{{AUTHORS}}}"), *((k, latex(v)) for k, v in _fields(cited).items() if v)]
    return "\n\n".join([_entry("software", KEY, own), bibtex_of(cited.works)])


def bibtex_of(works: Iterable[Work]) -> str:
    """An entry a work."""
    entries = []
    for work in works:
        names = [latex(name) if ", " in name else f"{{{latex(name)}}}" for name in work.authors]
        fields = [("author", " and ".join(names)), ("title", f"{{{latex(work.title)}}}")]
        fields += [(_PLACE[work.kind], latex(work.place)), ("year", str(work.year))]
        fields += [(k, latex(v).replace("-", "--") if k == "pages" else latex(v)) for k, v in work.more.items()]
        fields += [("archiveprefix", "arXiv")] if "eprint" in work.more else []
        entries.append(_entry(work.kind, work.key, fields))
    return "\n\n".join(entries)


def _entry(kind: str, key: str, fields: list[tuple[str, str]]) -> str:
    return f"@{kind}{{{key},\n" + "".join(f"  {name} = {{{value}}},\n" for name, value in fields) + "}"


def ris(cited: Citation) -> str:
    """The same in RIS."""
    own = _fields(cited)
    entries = [[("TY", "COMP"), ("AU", AUTHORS), ("TI", TITLE), ("PY", own["year"])]]
    entries[0] += [("ET", own["version"]), ("N1", own["note"])]
    for work in cited.works:
        first, _, last = work.more.get("pages", "").partition("-")
        lines = [("TY", _RIS.get(work.kind, "GEN")), *(("AU", name) for name in work.authors), ("TI", work.title)]
        lines += [("T2" if work.kind in ("inproceedings", "article", "incollection") else "PB", work.place)]
        lines += [("PY", str(work.year)), ("VL", work.more.get("volume", "")), ("IS", work.more.get("number", ""))]
        lines += [("SP", first), ("EP", last), ("DO", work.more.get("doi", "")), ("UR", _url(work))]
        entries.append(lines)
    return "\n\n".join(
        "\n".join([*(f"{tag}  - {plain(value)}" for tag, value in lines if value), "ER  - "]) for lines in entries
    )


def csl(cited: Citation) -> str:
    """The same in CSL-JSON."""
    own = _fields(cited)
    items: list[dict[str, Any]] = [
        {
            "id": KEY,
            "type": "software",
            "title": TITLE,
            "author": [{"literal": AUTHORS}],
            "issued": {"date-parts": [[YEAR]]},
            "version": own["version"],
            "note": own["note"],
        }
    ]
    for work in cited.works:
        parts = [name.split(", ", 1) for name in work.authors]
        names = [dict(zip(("family", "given") if p[1:] else ("literal",), p, strict=True)) for p in parts]
        item: dict[str, Any] = {
            "id": work.key,
            "type": _CSL.get(work.kind, "article"),
            "title": work.title,
            "author": names,
        }
        item["issued"] = {"date-parts": [[work.year]]}
        item["publisher" if work.kind in ("book", "techreport", "misc") else "container-title"] = work.place
        renamed = {"number": "issue", "pages": "page", "doi": "DOI", "origtitle": "original-title"}
        item |= {renamed.get(k, k): v for k, v in work.more.items() if k != "eprint"}
        items.append({k: v for k, v in (item | {"URL": _url(work)}).items() if v})
    return json.dumps(items, indent=1, ensure_ascii=False)


def text(cited: Citation) -> str:
    """The same as lines to read."""
    note = _fields(cited)["note"]
    lines = [f"{AUTHORS}. {TITLE}, version {revision.VERSION}, {YEAR}."]
    lines[0] += (f" {note}." if note else "").replace("..", ".")
    for work in cited.works:
        names = [" ".join(reversed(name.split(", ", 1))) for name in work.authors]
        more = "".join(f", {label} {work.more[k]}" for k, label in _LABELS.items() if k in work.more)
        lines.append(f"{', '.join(names)}. {work.title}. {work.place}, {work.year}{more}.")
    return "\n".join(map(plain, lines))


_LABELS = {"volume": "volume", "number": "number", "pages": "pages", "doi": "doi", "eprint": "arXiv"}
_LABELS |= {"origtitle": "in Chinese"}


def _url(work: Work) -> str:
    return f"https://arxiv.org/abs/{work.more['eprint']}" if "eprint" in work.more else ""


FORMATS: dict[str, Callable[[Citation], str]] = {"bibtex": bibtex, "ris": ris, "csl": csl, "text": text}
