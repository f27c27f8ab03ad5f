"""The results as one HTML page that needs nothing else: a scoreboard, every claim, every figure, a discussion guide.

The page is page.html, filled by jinja2 with autoescape on. Figures are inline SVG that is written anew from an allowed
set of elements and attributes, so that nothing of a picture can run. The page's own script is named by its hash in a
content security policy, which forbids every other script and every request.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from rethinking import catalog, figures
from rethinking.claims import EXTENSION, NOT_JUDGED, NOT_REPLICATED, NOT_RUN, REPLICATED
from rethinking.errors import InputError
from rethinking.files import content_of, reason
from rethinking.paths import check_replaces, write
from rethinking.record import Runs
from rethinking.report import model, prose
from rethinking.report.model import Artefact, Judged, Result, visible
from rethinking.report.svg import Glyphs, picture

LARGEST = 3_000_000  # bytes of the page
TEMPLATE = "page.html"
MARK = b'<meta name="generator" content="rethinking report">'


def page(found: Sequence[Result], folder: Path) -> str:
    """The page of `found`, whose pictures are the .svg files of `folder`.

    Raises:
        InputError: a picture that is missing or not an SVG; a page larger than LARGEST.
    """
    shared = model.departures(found)
    networks = sorted(catalog.names("models"), key=len, reverse=True)
    told = [_claim(result, claim, networks) for result in found for claim in result.judged]
    rows = [row | {"anchor": f"claim-{k}"} for k, row in enumerate(told)]
    glyphs: Glyphs = {}
    sections = [
        _figure(result, k, folder, glyphs, shared, [row for row in rows if row["result"] is result])
        for k, result in enumerate(found)
    ]
    kept = model.once(found)
    own = [claim for claim in kept if claim.own]
    board = model.scoreboard(found)
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, finalize=_shown)
    script = loader.get_source(environment, TEMPLATE)[0].partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals["anchor"] = anchor
    text = environment.get_template(TEMPLATE).render(
        digest=digest,
        sentences=prose.sentences(found),
        board=[_row(row) for row in board],
        shared=model.SHARED,
        effects=next(map(tables, model.drawings(found, "effects")), []),
        claims=rows,
        choices={key: sorted({v for row in rows for v in row[key]}) for key in FILTERS},
        filters=FILTERS,
        figures=sections,
        departures=[
            {"number": number, "text": text, "by": [r.stem for r in found if text in r.numbers["departures"]]}
            for text, number in shared.items()
        ],
        guide=[_guide(row) for row in board],
        summary=prose.values(found)
        | {
            "hours": f"{model.hours(*found):,.0f}",
            "missing": f"{len({run for r in found for run in r.numbers['missing']}):,}",
            "refuted": [row for row in rows if row["judged"] in own and row["judged"].verdict == NOT_REPLICATED],
            "one_seed": sum(c.seeds == 1 for c in own if c.verdict in (REPLICATED, NOT_REPLICATED)),
            "judged": sum(c.verdict in (REPLICATED, NOT_REPLICATED) for c in own),
        },
    )
    size = len(text.encode())
    if size > LARGEST:
        raise InputError(f"the page would have {size:,} bytes, allowed are {LARGEST:,}: move figures out of {folder}")
    return text


def of_records(runs: Runs, folder: Path) -> str:
    """The page of all drawn figures of `folder` that is evidence. Raises InputError."""
    found = model.results(runs, folder)
    if not found:
        raise InputError(f"{folder} has no drawn figure of scale cpu or paper: name a folder with --out")
    model.check_pictures(found, folder)
    return page(found, folder)


def is_stale(path: Path, text: str) -> bool:
    """Whether a file is not the page whose text is given, as `rethinking report --html` writes it."""
    try:
        return content_of(path, LARGEST) != text.encode()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({reason(error)}): name another with --html") from None


def save(path: Path, runs: Runs, folder: Path) -> int:
    """Write the page of all drawn figures of `folder` that is evidence, and return its bytes. Raises InputError."""
    if path.is_dir():
        raise InputError(f"--html {path} is a folder: name a file, as {path / 'results.html'}")
    check_replaces(path, MARK, "--html", LARGEST)
    text = of_records(runs, folder)
    try:
        write(path, text, through=True)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}): name another with --html") from None
    return len(text.encode())


def anchor(stem: str) -> str:
    """The id of a figure's section."""
    return "figure-" + re.sub(r"[^\w.-]", "_", stem)


def _shown(value: Any) -> Any:
    """A template's value; text without characters that act on a terminal or turn the line around.

    A line does not break before a "%".
    """
    return visible(value).replace(" %", "\N{NO-BREAK SPACE}%") if type(value) is str else value


# --- parts of the page -----------------------------------------------------------------------------

FILTERS = {"whose": "whose claim"} | {key: key for key in ("verdict", "figure", "network", "scale", "size")}


def _claim(result: Result, judged: Judged, networks: Sequence[str]) -> dict[str, Any]:
    """A claim with what it can be filtered by. networks: the longest name first, as one can be part of another."""
    of = "" if result.name == "theorem1" else result.setting.model  # whose network is built; one is drawn beside it
    left, named = f"{judged.id} {judged.statement} {of}".lower(), []
    for name in networks:
        shorn = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", " ", left)
        if shorn != left:
            named.append(name)
        left = shorn
    return {
        "judged": judged,
        "result": result,
        "whose": ["the paper's own" if judged.own else "extension"],
        "verdict": [judged.verdict],
        "figure": [result.stem],
        "network": sorted(named) or ["none named"],
        "scale": [result.setting.scale],
        "size": [judged.size],
        "says": judged.says,
        "mark": mark(judged.verdict),
        "n": ", ".join(f"{n:,}" for n in judged.n),
        "least": min(judged.n, default=0),
    }


def mark(verdict: str) -> str:
    """The class of a verdict: yes, no or open."""
    positive, negative = (REPLICATED, EXTENSION[REPLICATED]), (NOT_REPLICATED, EXTENSION[NOT_REPLICATED])
    return "yes" if verdict in positive else "no" if verdict in negative else "open"


def _row(row: Artefact) -> dict[str, Any]:
    return vars(row) | {"status": row.status, "counts": model.counts(row.judged)}


def _figure(
    result: Result, number: int, folder: Path, glyphs: Glyphs, shared: dict[str, str], rows: list[dict[str, Any]]
) -> dict[str, Any]:
    texts, finding = result.numbers["departures"], figures.headline(result.numbers)
    return {
        "stem": result.stem,
        "title": result.title,
        "finding": finding,
        "caption": result.numbers["caption"],
        "theirs": result.theirs,
        "ours": result.ours,
        "svg": Markup(picture(folder / f"{result.stem}.svg", f"{result.title}: {finding}", f"p{number}", glyphs)),
        "tables": tables(result),
        "claims": rows,
        "counts": model.counts_apart(result.judged),
        "departures": [text for text in texts if text not in shared],
        "shared": [shared[text] for text in texts if text in shared],
        "command": result.command,
        "runs": model.counted(len(result.numbers["runs"])) if result.numbers["runs"] else "",
        "missing": model.counted(len(result.numbers["missing"])) if result.numbers["missing"] else "",
        "hours": f"{model.hours(result):,.1f}",
        "commits": model.commits(result),
        "scale": result.setting.scale,
        "sizes": ", ".join(f"{n:,}" for n in result.sizes),
    }


def tables(result: Result) -> list[tuple[list[str], list[list[str]]]]:
    """The data behind a figure: (head, rows of cells); a row of other columns begins another table."""
    grouped = groupby(result.numbers.get("table", []), key=list)
    return [(head, [[model.as_text(v) for v in row.values()] for row in rows]) for head, rows in grouped]


def _guide(row: Artefact) -> dict[str, Any]:
    """The discussion of an artefact; thin: what its evidence lacks."""
    questions, mind = prose.QUESTIONS.get(row.name, ([], ""))
    judged = [c for c in row.judged if c.verdict not in (NOT_RUN, NOT_JUDGED)]
    gone = [c.id for c in row.judged if c.verdict == NOT_RUN]
    thin = [f"{len(gone)} of {len(row.judged)} claims are not run: {', '.join(gone)}."] if gone else []
    one = [c.id for c in judged if c.seeds == 1]
    thin += [f"{len(one)} of {len(judged)} judged claims rest on one seed: {', '.join(one)}."] if one else []
    small = [c.id for c in judged if c.size == "reduced"]
    few = f"of {len(judged)} judged claims rest on fewer than {figures.FULL:,} images"
    thin += [f"{len(small)} {few}: {', '.join(small)}."] if small else []
    thin += [] if row.judged else ["There are no runs."]
    return _row(row) | {"questions": questions, "mind": mind, "thin": thin}
