"""The results section of the README, made from the records by one command and checked by another.

Every drawn figure in the figures folder that is evidence (scale cpu or paper) is a section: its picture, our numbers
(median over seeds, with their range), the verdict on each of its claims, what is missing, the departures. Before them
an overview, and every claim that did not replicate.
"""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rethinking import catalog, claims, figures
from rethinking.claims import NOT_JUDGED, NOT_REPLICATED, NOT_RUN, REPLICATED, Verdict, told
from rethinking.errors import InputError
from rethinking.record import Runs, write

BEGIN = "<!-- results: written by `rethinking report`, not by hand -->"
END = "<!-- end of results -->"
WORDS = (REPLICATED, NOT_REPLICATED, NOT_RUN, NOT_JUDGED)


@dataclass(frozen=True)
class Section:
    """A drawn figure: its name and setting, the stem of its files, its verdicts, its text in Markdown."""

    name: str
    setting: figures.Setting
    stem: str
    verdicts: list[Verdict]
    text: str

    @property
    def title(self) -> str:
        """The figure, the network where it is of one, and the seeds where they were asked for."""
        network = "" if self.setting.model == figures.ALL else f", {self.setting.model}"
        return f"`{self.name}`{network}" + (f", {self.setting.seeds} seeds" if self.setting.asked else "")

    @property
    def link(self) -> str:
        """The title, as a link to the section."""
        return f"[{self.title}](#{self.stem})"

    @property
    def rank(self) -> int:
        """The effects, the paper's figures, tables and theorem, then what it says elsewhere, then what extends it."""
        if self.name == "effects":
            return -1
        if re.match(r"(fig|table|theorem)\d", self.name):
            return 0
        return 1 if any(map(_of_the_paper, self.verdicts)) else 2


def evidence(folder: Path) -> list[tuple[str, figures.Setting]]:
    """Figure and setting of every drawn file of `folder` that is evidence, by name."""
    found = []
    for path in sorted(folder.glob("*.json"), key=lambda p: p.stem):
        drawn = figures.drawn(path)
        if drawn["scale"] != "quick" and "data" not in drawn:  # of other data it is no evidence on the paper
            found.append((drawn["figure"], figures.setting_of(drawn)))
    return found


def results(runs: Runs, folder: Path, link: str) -> str:
    """The section in Markdown, markers included.

    Args:
        runs: the records. folder: of the drawn figures. link: that folder's path from the file it is for.
    """
    sections: list[Section] = []
    used: set[str] = set()
    for name, setting in evidence(folder):
        wanted = figures.specs(name, setting)
        records = {c: [runs.find(s) for s in group] for c, group in wanted.items()}
        verdicts = [claims.judge(c, wanted, records) for c in figures.claims_of(catalog.load("figures", name), setting)]
        there = {r.path.name: r for group in records.values() for r in group if r}
        used |= there.keys()
        stem = figures.stem(name, setting)
        drawn = figures.drawn(folder / f"{stem}.json")
        if drawn["runs"] != figures.made_by(there.values()):
            raise InputError(
                f"{folder / stem}.json is not of the records there are: run `rethinking figure {name} --scale "
                f"{setting.scale} --redraw`, with its --model and --seeds, and then report again"
            )
        text = _text(name, verdicts, drawn, f"{link}/{stem}.svg")
        sections.append(Section(name, setting, stem, verdicts, text))
    sections.sort(key=lambda s: s.rank)
    all_verdicts = [v for s in sections for v in s.verdicts]
    own = [v for v in all_verdicts if _of_the_paper(v)]
    summary = (
        f"{_counts(all_verdicts)}: {len(all_verdicts)} claims, judged on {len(used)} records. Of them {len(own)} are "
        f"the paper's own ({_counts(own)}); the others, whose source stands beside what it says, extend it. "
        "Ours is the median over seeds, with their range. The rule of each verdict stands in its figure's file and is "
        "not loosened to suit a result; the history of that file and of the records tells which was written first. A "
        "number outside its tolerance is *not replicated*, whatever the explanation."
    )
    parts = [BEGIN, summary, _overview(sections), "What did not replicate:", _failures(sections)]
    for s in sections:
        head = f"### {s.title}, scale {s.setting.scale}: {_counts(s.verdicts)}"
        parts += [f'<a id="{s.stem}"></a>', head, s.text]
    return "\n\n".join([*parts, END])


def _overview(sections: list[Section]) -> str:
    rows = [["figure", "scale", *WORDS, "what"]]
    for s in sections:
        count = Counter(v.verdict for v in s.verdicts)
        counts = [str(count[word] or "") for word in WORDS]
        rows.append([s.link, s.setting.scale, *counts, catalog.load("figures", s.name).CAPTION])
    return "\n".join(_markdown(rows))


def _failures(sections: list[Section]) -> str:
    rows = [["figure", "claim", "paper", "ours", "n", "seeds"]]
    for s in sections:
        for verdict in s.verdicts:
            if verdict.verdict == NOT_REPLICATED:
                _, statement, paper, ours, _, n, seeds = _claim(verdict)
                rows.append([s.link, statement, paper, ours, n, seeds])
    return "\n".join(_markdown(rows)) if len(rows) > 1 else "Nothing yet."


def _text(name: str, verdicts: list[Verdict], drawn: dict[str, Any], picture: str) -> str:
    """A section's Markdown below its heading."""
    module = catalog.load("figures", name)
    table = drawn.get("table", [])
    lines = [
        module.CAPTION,
        "",
        f"![{name}]({picture})",
        "",
        "<details><summary>Numbers and verdicts</summary>",
        "",
    ]
    shown = [row for row in table if _has_numbers(row)]
    for head, rows in groupby(shown, key=list):  # a row of other columns begins another table
        lines += [*_markdown([head, *([told(v) for v in row.values()] for row in rows)]), ""]
    if len(shown) < len(table):
        lines += [f"{len(table) - len(shown)} of {len(table)} rows are not run.", ""]
    head = ["verdict", "claim", "paper", "ours", "rule", "n", "seeds"]
    lines += [*_markdown([head, *map(_claim, verdicts)]), "", "Departures from the paper:", ""]
    lines += [f"{k}. {departure}" for k, departure in enumerate(module.DEPARTURES, 1)]
    lines += ["", "</details>"]
    return "\n".join(lines)


def _has_numbers(row: dict[str, Any]) -> bool:
    _, *cells = row
    return any(v is not None for key in cells if key != "n" and not key.startswith("paper") for v in row[key])


def _claim(verdict: Verdict) -> list[str]:
    size = ", ".join(f"{n:,}" for n in verdict.n)
    ours = verdict.ours or verdict.reason or ""
    return [
        f"**{verdict.verdict}**",
        verdict.statement,
        verdict.paper if _of_the_paper(verdict) else f"{verdict.source}: {verdict.paper}",
        ours,
        verdict.tolerance,
        size,
        str(verdict.seeds),
    ]


def _of_the_paper(verdict: Verdict) -> bool:
    return verdict.source.startswith("zhang2017") and "extended" not in verdict.source


def _counts(verdicts: list[Verdict]) -> str:
    count = Counter(v.verdict for v in verdicts)
    return ", ".join(f"{count[word]} {word}" for word in WORDS if count[word]) or "no claims"


def _markdown(rows: list[list[str]]) -> list[str]:
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]


def update(readme: Path, runs: Runs, folder: Path, *, check: bool = False) -> bool:
    """Write the section into `readme`, between its markers.

    Args:
        check: only look.

    Returns:
        Whether the section was already as the records have it.

    Raises:
        InputError: a file without the two markers; a damaged record; a figure drawn before its latest records.
    """
    try:
        text = readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(f"{readme} cannot be read ({reason}): name another with --readme") from None
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{readme} has no results section: put the lines {BEGIN!r} and {END!r} where it shall be")
    link = Path(folder).name if folder.parent == readme.parent else str(folder)
    fresh = before + results(runs, folder, link) + after
    if fresh != text and not check:
        write(readme, fresh)
    return fresh == text
