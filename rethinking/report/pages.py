"""Markdown pages of the results: an index, one page a figure, the departures that figures share."""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rethinking import figures
from rethinking.claims import EXTENSION, NOT_REPLICATED
from rethinking.imagenet import cost
from rethinking.report import model
from rethinking.report.model import Artefact, Judged, Result, visible
from rethinking.spec import ImageNetSpec, Spec

NOTE = "<!-- written by `rethinking report`, not by hand -->"
LARGEST = 60_000  # bytes of a page; what a table has more is in the figure's .json
SIDES = ("what the paper shows", "what ours shows")
KINDS = ((True, "The paper's own claims"), (False, "Extensions: another network, other data, another source"))


def cell(text: str) -> str:
    """Text as it stands in a cell of a table: no markup, no formula, no line break, nothing that acts on a terminal."""
    for mark in "\\`*_[]<>|#&$~":
        text = text.replace(mark, f"\\{mark}")
    return visible(" ".join(text.split()))


def code(text: str) -> str:
    """Text as code in a cell of a table: between more backticks than it holds."""
    text = visible(" ".join(text.split())).replace("|", "\\|")
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if len(ticks) > 1 else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head. Cells are written as they are: see `cell`."""
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))


def scoreboard(rows: Sequence[Artefact], link: str) -> str:
    """The paper's artefacts, one a row, and the verdicts on all of them.

    Args:
        link: the path of the results pages from the page that the table stands on.
    """
    out = [["in the paper", "what", "the paper's number", "ours", "here", "the paper's claims", "pages"]]
    for row in rows:
        pages = ", ".join(f"[{stem}]({link}{stem}.md)" for stem in row.stems) or "none"
        numbers = [cell(row.paper), cell(row.ours)]
        out.append([f"**{row.name}**", row.about, *numbers, row.status, model.counts(row.judged), pages])
    every = model.counts(claim for row in rows for claim in row.judged)
    ours = "Ours is the median over seeds with the range, where there are several."
    return f"{table(out)}\n\nIn all: {every}. {model.SHARED} {ours}"


def claims_table(judged: Sequence[Judged], *, where: bool = False, rules: bool = True) -> str:
    """Claims with their verdicts, one a row. where: the figure's page is named too. rules: with the rule in words."""
    head = ["verdict", "claim", "id", "source says", "ours (median, range over seeds)", *["rule"] * rules, "n", "seeds"]
    rows = [head + ["page"] * where]
    for claim in judged:
        n = ", ".join(f"{k:,}" for k in claim.n)
        row = [
            f"**{claim.verdict}**",
            cell(claim.statement),
            code(claim.id),
            cell(claim.says),
            cell(claim.ours),
            *[cell(claim.rule)] * rules,
            n,
        ]
        rows.append([*row, str(claim.seeds), *([f"[{claim.result}]({claim.result}.md)"] * where)])
    return table(rows)


def numbers(result: Result, most: int) -> str:
    """The figure's table, cut after `most` bytes."""
    shown = [row for row in result.numbers.get("table", []) if _has_numbers(row)]
    gone = len(result.numbers.get("table", [])) - len(shown)
    out, size, left = [], 0, 0
    for head, rows in groupby(shown, key=list):  # a row of other columns begins another table
        lines = []
        for row in rows:
            line = [cell(model.as_text(value)) for value in row.values()]
            size += sum(map(len, line)) + 3 * len(line)
            if size > most:
                left += 1
            else:
                lines.append(line)
        if lines:
            out.append(table([[cell(name) for name in head], *lines]))
    notes = [f"{gone} of {gone + len(shown)} rows are not run."] if gone else []
    notes += [f"{left} more rows are in `figures/{result.stem}.json`."] if left else []
    return "\n\n".join([*out, *notes])


def _has_numbers(row: dict[str, Any]) -> bool:
    _, *cells = row
    return any(v is not None for key in cells if key != "n" and not key.startswith("paper") for v in row[key])


def page(result: Result, shared: dict[str, str]) -> str:
    """A figure's page.

    Args:
        shared: departures with their numbers, as model.departures gives them.
    """
    size = ", ".join(f"{n:,}" for n in result.sizes)
    images = f" The claims are judged on {size} training images." if size else ""
    own = [text for text in result.numbers["departures"] if text not in shared]
    numbered = [shared[text] for text in result.numbers["departures"] if text in shared]
    parts = [
        NOTE,
        f"# {cell(result.title)}",
        f"**{cell(figures.headline(result.numbers))}**",
        f"{cell(result.numbers['caption'])}{images}",
        f"![{cell(figures.headline(result.numbers))}](../../figures/{result.stem}.svg)",
        table([SIDES, [cell(result.theirs), cell(result.ours)]]),
    ]
    for of_the_paper, title in KINDS:
        judged = [claim for claim in result.judged if claim.own == of_the_paper]
        if judged:
            parts += [f"## {title}: {model.counts(judged)}", claims_table(judged)]
    parts += ["## Departures from the paper"]
    parts += ["\n".join(f"{k}. {cell(text)}" for k, text in enumerate(own, 1))] if own else []
    if numbered:
        parts.append(f"Shared with other figures: {', '.join(numbered)}; see [departures](departures.md).")
    commits, runs, missing = model.commits(result), len(result.numbers["runs"]), len(result.numbers["missing"])
    told = f"{model.counted(runs)}, {model.hours(result):.1f} core-hours where they were made."
    told += f" {model.counted(missing)} that it needs {'is' if missing == 1 else 'are'} not made." if missing else ""
    told += f" Records are in `runs/`, their names in `figures/{result.stem}.json`; they were made with "
    told += f"{'the commits' if len(commits) > 1 else 'commit'} {', '.join(map(code, commits))}."
    tail = [
        "## How it was made",
        f"    {visible(result.command)}",
        told if runs else f"Nothing is drawn yet: none of the {model.counted(missing)} that it needs is made.",
        *_by_hand(result),
    ]
    left = LARGEST - len("\n\n".join(parts + tail).encode()) - 1000
    if cells := numbers(result, left):
        place = next(k for k, part in enumerate(parts) if part.startswith("## "))
        parts[place:place] = ["## Numbers", cells]
    return "\n\n".join([*parts, *tail]) + "\n"


def _by_hand(result: Result) -> list[str]:
    """How those of a figure's missing runs are made that no engine makes, and what they cost."""
    gone = [spec for spec in result.by_hand if spec.run_id in result.numbers["missing"]]
    if not gone:
        return []
    commands = "\n".join(f"    {visible(spec.command)}" for spec in gone)
    return [
        f"Each of these is made by a command of its own, IMAGENET being the folder of the images:\n\n{commands}",
        *_costs(gone),
    ]


def _costs(specs: Sequence[Spec]) -> list[str]:
    return list(dict.fromkeys(cost.words(spec) for spec in specs if isinstance(spec, ImageNetSpec)))


def departures(found: Sequence[Result], shared: dict[str, str]) -> str:
    """The page of the departures that figures share."""
    parts = [NOTE, "# Departures that several figures share"]
    for text, number in shared.items():
        by = dict.fromkeys(f"[{r.stem}]({r.stem}.md)" for r in found if text in r.numbers["departures"])
        parts += [f"**{number}.** {cell(text)}", f"In {', '.join(by)}."]
    return "\n\n".join(parts) + "\n"


def index(found: Sequence[Result]) -> str:
    """The page of all results: the scoreboard, what did not replicate, every figure."""
    kept = model.once(found)
    own, more = ([claim for claim in kept if claim.own == mine] for mine in (True, False))
    used = {run for result in found for run in result.numbers["runs"]}
    full = [claim for claim in own if claim.size == "full size"]
    parts = [
        NOTE,
        "# Results",
        f"Of the paper's own claims, {len(own)} are stated here: {model.counts(own)}; {len(full)} of them are about "
        f"all training images of CIFAR-10, MNIST or ImageNet. Extensions are counted apart: {len(more)} claims "
        f"({model.counts(more)}). All results rest on {len(used):,} records.",
        "## The paper's figures and tables",
        scoreboard(model.scoreboard(found), ""),
        "## What did not replicate",
        claims_table([c for c in own if c.verdict == NOT_REPLICATED], where=True),
        "## All figures",
        "What probes of trained networks tell of memorized and learned labels has [a page](memorized.md) of its own.",
    ]
    rows = [["page", "scale", "the paper's own claims", "extensions", "what it finds"]]
    for r in found:
        told = [model.counts(c for c in r.judged if c.own == mine) for mine in (True, False)]
        told = ["" if text == "no claims" else text for text in told]
        rows.append([f"[{r.stem}]({r.stem}.md)", r.setting.scale, *told, cell(figures.headline(r.numbers))])
    return "\n\n".join([*parts, table(rows)]) + "\n"


def extensions(found: Sequence[Result]) -> str:
    """The page of the extensions that do not hold."""
    judged = [c for c in model.once(found) if not c.own and c.verdict == EXTENSION[NOT_REPLICATED]]
    return "\n\n".join([NOTE, "# Extensions that do not hold", claims_table(judged, where=True)]) + "\n"


def pages(found: Sequence[Result]) -> dict[str, str]:
    """Every page by its file's name."""
    shared = model.departures(found)
    out = {"index.md": index(found), "departures.md": departures(found, shared), "extensions.md": extensions(found)}
    return out | {f"{result.stem}.md": page(result, shared) for result in found}
