"""The results, once: every drawn figure with its table and its verdicts, made again from the records.

Pages, the README's scoreboard and other views are made from this model alone.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rethinking import catalog, claims, figures
from rethinking.claims import NOT_JUDGED, NOT_REPLICATED, NOT_RUN, REPLICATED
from rethinking.errors import InputError
from rethinking.record import Record, Runs
from rethinking.spec import Spec

OWN, EXTENSIONS = "the paper's own claims", "extensions"
SHARED = "Claims may share runs and measurements, so that these are not counts of independent results."
JUDGED = [word for both in ((k, claims.EXTENSION[k]) for k in (REPLICATED, NOT_REPLICATED)) for word in both]


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict, as a drawn figure's file has it.

    Attributes:
        result: the figure's stem. rule: the tolerance. ours: or why there is no verdict. The rest as in
        rethinking.claims.Verdict.
    """

    result: str
    id: str
    own: bool
    verdict: str
    name: str
    source: str
    statement: str
    paper: str
    rule: str
    ours: str
    n: tuple[int, ...]
    seeds: int

    @property
    def size(self) -> str:
        """Full size, or reduced."""
        return "full size" if min(self.n, default=0) >= figures.FULL else "reduced"

    @property
    def says(self) -> str:
        """What the source reports; of an extension with the source's name."""
        return self.paper if self.own else f"{self.source}: {self.paper}"

    @property
    def weight(self) -> tuple[bool, int, int]:
        """Of several verdicts on a claim that with the largest counts: judged or not, images, seeds."""
        return self.verdict in JUDGED, min(self.n, default=0), self.seeds


@dataclass(frozen=True)
class Result:
    """A drawn figure.

    Attributes:
        name, setting, stem: of the figure, and of its files. numbers: the content of its .json that the records give.
    """

    name: str
    setting: figures.Setting
    stem: str
    numbers: dict[str, Any]

    @cached_property
    def judged(self) -> list[Judged]:
        """Its claims."""
        return [judged_of(self.stem, claim) for claim in self.numbers["claims"]]

    @property
    def title(self) -> str:
        """The figure's name in words, the network where it is of one, the seeds where they were asked for."""
        network = "" if self.setting.model == figures.ALL else f", {self.setting.model}"
        return f"{artefact(self.name) or self.name}{network}" + (
            f", {self.setting.seeds} seeds" if self.setting.asked else ""
        )

    @property
    def theirs(self) -> str:
        """What the paper shows, or another source, in a sentence or two."""
        return str(catalog.find("figures", self.name).constants.get("THEIRS", "Nothing on this: it is an extension."))

    @property
    def ours(self) -> str:
        """What the runs show, in a sentence."""
        gone = len(self.numbers["missing"])
        none = f"Nothing yet: none of the {counted(gone)} that it needs is made"
        return f"{(figures.headline(self.numbers) if self.numbers['runs'] else none).rstrip('.')}."

    @property
    def command(self) -> str:
        """What draws it, training what is missing."""
        own = figures.setting(self.name, self.setting.scale)
        model = f" --model {self.setting.model}" if self.setting.model != own.model else ""
        seeds = f" --seeds {self.setting.seeds}" if self.setting.asked else ""
        redraw = " --redraw" if self.by_hand else ""
        return f"rethinking figure {self.name} --scale {self.setting.scale}{model}{seeds}{redraw}"

    @cached_property
    def by_hand(self) -> list[Spec]:
        """Those of its runs that no engine makes: of a figure's own data and networks alone."""
        own = figures.setting(self.name, self.setting.scale)
        return [spec for spec in figures.unique(figures.specs(self.name, own)) if spec.command]

    @property
    def sizes(self) -> list[int]:
        """Numbers of training images of its claims, or of its runs."""
        return sorted({n for claim in self.judged for n in claim.n})

    @property
    def rank(self) -> tuple[int, str]:
        """The effects, the paper's figures, tables and theorem, what it says elsewhere, what extends it."""
        if self.name == "effects":
            return -1, self.stem
        if artefact(self.name):
            return 0, self.stem
        return (1 if any(claim.own for claim in self.judged) else 2), self.stem


def artefact(name: str) -> str:
    """What the paper calls the figure that is drawn by this name: "Figure 1(a)", "Table 1"; else nothing."""
    found = re.fullmatch(r"(fig|table|theorem)(\d+)([a-z]?)", name)
    if not found:
        return ""
    kind, number, letter = found.groups()
    return (
        {"fig": "Figure", "table": "Table", "theorem": "Theorem"}[kind] + f" {number}" + (f"({letter})" * bool(letter))
    )


def judged_of(stem: str, claim: dict[str, Any]) -> Judged:
    """A claim as the .json of the drawn figure `stem` has it."""
    same = ("id", "own", "verdict", "name", "source", "statement", "paper", "seeds")
    ours = claim["ours"] or claim["reason"] or ""
    return Judged(stem, rule=claim["tolerance"], ours=ours, n=tuple(claim["n"]), **{name: claim[name] for name in same})


class _Known(Runs):
    """The same runs, each read once: many stand in several figures."""

    def __init__(self, runs: Runs):
        vars(self).update(vars(runs))
        self._read: dict[str, Record | None] = {}

    def find(self, spec: Spec) -> Record | None:
        """As of Runs."""
        if spec.run_id not in self._read:
            self._read[spec.run_id] = super().find(spec)
        return self._read[spec.run_id]


def results(runs: Runs, folder: Path) -> list[Result]:
    """Every drawn figure of `folder` that is evidence (scale cpu or paper), by rank.

    Raises:
        InputError: a figure's file is not what the records give; a damaged record; a plug-in's mistake.
    """
    found = []
    runs = _Known(runs)
    for name, setting in figures.evidence(folder):
        stem = figures.stem(name, setting)
        path = folder / f"{stem}.json"
        drawn, again = figures.unbound(figures.drawn(path)), figures.numbers(name, setting, runs)
        if drawn != again:
            raise InputError(
                f"{path} is not of the records there are: run `rethinking figure --redraw`, and then report again"
            )
        found.append(Result(name, setting, stem, drawn))
    return ranked(found)


def check_pictures(found: Iterable[Result], folder: Path) -> None:
    """Raise InputError unless the pictures of results are those that were drawn with their .json in `folder`."""
    for result in found:
        path = folder / f"{result.stem}.json"
        for line in figures.wrong_pictures(path, figures.drawn(path)):
            raise InputError(line)


def ranked(found: Iterable[Result]) -> list[Result]:
    """Results in the order in which they are shown."""
    return sorted(found, key=lambda result: result.rank)


def once(found: Iterable[Result]) -> list[Judged]:
    """Every claim of results with one verdict, where drawings of several sizes have it: what counts are made of.

    That is a verdict on runs before one that says they are not there, then that on more images, then on more seeds.
    """
    kept: dict[str, Judged] = {}
    for claim in (claim for result in found for claim in result.judged):
        if claim.id not in kept or claim.weight > kept[claim.id].weight:
            kept[claim.id] = claim
    return list(kept.values())


def counts(judged: Iterable[Judged]) -> str:
    """How many of each verdict: "11 replicated, 8 not run"."""
    return claims.counted(claim.verdict for claim in judged)


def counts_apart(judged: Sequence[Judged]) -> list[tuple[str, str]]:
    """The same of the paper's own claims and of extensions, which are never added up; what has none is left out."""
    parts = [(title, [c for c in judged if c.own == own]) for own, title in ((True, OWN), (False, EXTENSIONS))]
    return [(title, counts(part)) for title, part in parts if part]


# --- the paper's artefacts -------------------------------------------------------------------------

# Every figure, table and theorem of the paper, and its sections on what has none of these; what is drawn of it here, in
# the order in which their numbers are shown; and what the paper reports of that of which nothing is drawn.
ARTEFACTS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "Figure 1(a)": (("fig1a",), "five conditions are fitted by Inception", ""),
    "Figure 1(b)": (("fig1b",), "time to fit against label corruption, relative to true labels", ""),
    "Figure 1(c)": (("fig1c",), "test error against label corruption", ""),
    "Figure 2(a)": (("fig2a",), "early stopping on ImageNet, Inception v3", ""),
    "Figure 2(b)": (("fig2b",), "batch normalization and early stopping, Inception", ""),
    "Table 1": (("table1", "effects"), "training and test accuracy, 19 rows", ""),
    "Table 2": (("table2",), "ImageNet, Inception v3, true and random labels", ""),
    "Table 3": (("table3",), "test error of minimum-norm kernel solutions", ""),
    "Table 4": (("table4", "weight_decay"), "random labels fitted with regularizers, training accuracy", ""),
    "Theorem 1": (("theorem1",), "a network with 2n + d weights fits any labels", ""),
    "Section 2.2": (("rademacher",), "random signs are fitted: Rademacher complexity", ""),
    "Section 5": (("min_norm",), "SGD finds the solution of minimum norm", ""),
}
ELSEWHERE = "elsewhere"  # in the paper, what a plug-in's claims may be of


@dataclass(frozen=True)
class Artefact:
    """A row of the scoreboard.

    Attributes:
        name: the paper's. about: in a few words. judged: the paper's own claims on it. stems: of the figures here,
        first of those that are drawn of it, then of others that have claims of it.
        paper, ours: one number, or a few of one kind, in words.
    """

    name: str
    about: str
    judged: list[Judged]
    stems: tuple[str, ...]
    paper: str
    ours: str

    @property
    def status(self) -> str:
        """Full size, reduced or not run; the first two with "partly" where some of its claims are not run."""
        there = [claim for claim in self.judged if claim.verdict not in (NOT_RUN, NOT_JUDGED)]
        if not there:
            return "not run"
        partly = "partly, " if any(claim.verdict == NOT_RUN for claim in self.judged) else ""
        return partly + ("full size" if all(claim.size == "full size" for claim in there) else "reduced")


def drawings(found: Iterable[Result], name: str) -> list[Result]:
    """Those of one figure: what has runs first, then what is of the larger scale."""
    one = (result for result in found if result.name == name)
    return sorted(one, key=lambda r: (not r.numbers["runs"], -figures.SCALES.index(r.setting.scale)))


def scoreboard(found: Sequence[Result]) -> list[Artefact]:
    """A row for each of ARTEFACTS, and one more where claims are of none; together they have every claim of the paper.

    A claim that drawings of several sizes have counts `once`; one on another network than its figure's where its source
    says that it is from.
    """
    judged: dict[str, list[Judged]] = {name: [] for name in ARTEFACTS}
    kept = once(found)
    for result in found:
        usual = result.setting.model == figures.setting(result.name, result.setting.scale).model
        row = next((name for name, (drawn, *_) in ARTEFACTS.items() if result.name in drawn), ELSEWHERE)
        for claim in (claim for claim in result.judged if claim.own):
            named = [name for name in ARTEFACTS if name.lower() in claim.source.lower()]
            judged.setdefault(row if usual or not named else named[0], []).append(claim)
    rows = []
    for name, claims_of_it in judged.items():
        drawn, about, paper = ARTEFACTS.get(name, ((), "claims of the paper that are of none of these", ""))
        here = [result for name in drawn for result in drawings(found, name)]
        stems = dict.fromkeys([*(r.stem for r in here), *(claim.result for claim in claims_of_it)])
        counting = [claim for claim in claims_of_it if claim in kept]
        rows.append(Artefact(name, about, counting, tuple(stems), *(_numbers(here) or (paper, NOT_RUN))))
    return rows


def _numbers(here: Iterable[Result]) -> tuple[str, str] | None:
    """The paper's number and ours, from the first figure that has them; of those that are run, else the first."""
    for result in here:
        entry = catalog.find("figures", result.name)
        scores = getattr(entry.load(), "SCORES", [])
        told = [(score.of, *read) for score in scores if (read := score.read(result.numbers))]
        told = [each for each in told if each[2] != NOT_RUN] or told[:1]
        if told:
            names, theirs, ours = zip(*told, strict=True)
            paper = theirs[0] if len(set(theirs)) == 1 else _joined(names, theirs)
            return paper, NOT_RUN if set(ours) == {NOT_RUN} else _joined(names, ours)
    return None


def _joined(names: Sequence[str], values: Sequence[str]) -> str:
    """Values with their names: "MNIST pixels: 1.24 %; CIFAR-10 pixels: 49.32 %"."""
    return "; ".join(f"{name}: {value}" for name, value in zip(names, values, strict=True))


def departures(found: Sequence[Result]) -> dict[str, str]:
    """Those that several figures share, each with its number: {"text": "D1"}, the most frequent first."""
    names: dict[str, set[str]] = {}
    for result in found:
        for text in result.numbers["departures"]:
            names.setdefault(text, set()).add(result.name)
    shared = sorted((text for text, by in names.items() if len(by) > 1), key=lambda text: (-len(names[text]), text))
    return {text: f"D{k}" for k, text in enumerate(shared, 1)}


def commits(result: Result) -> list[str]:
    """The commits that its runs were made with, sorted."""
    return sorted({str(made["commit"]) for made in result.numbers["runs"].values()})


def hours(*found: Result) -> float:
    """Core-hours that the runs of figures took where they were made, each run once."""
    runs = {run: made for result in found for run, made in result.numbers["runs"].items()}
    return sum((made["seconds"] or 0) * made.get("threads", 1) for made in runs.values()) / 3600


def counted(runs: int) -> str:
    """How many runs, in words: "1 run"."""
    return "1 run" if runs == 1 else f"{runs:,} runs"


# Characters that act on a terminal or reorder a line: controls but tab and line feed, and marks of direction.
_ACTING = {k: chr(0x2400 + k) for k in range(32) if chr(k) not in "\t\n"} | {0x7F: "\u2421"}
_ACTING |= dict.fromkeys([*range(0x80, 0xA0), 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")
_ACTING |= dict.fromkeys([*range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\ufffd")  # in no file of UTF-8 text


def visible(text: str) -> str:
    """Text with a picture of each character that would act instead of being shown: "\u241b" for escape."""
    return text.translate(_ACTING)


def as_text(value: Any) -> str:
    """A table's cell: the median over seeds with its range, states in words; whole numbers with commas, "6,356"."""
    if isinstance(value, list):
        value = [f"{int(v):,}" if isinstance(v, str) and re.fullmatch(r"\d{4,}", v) else v for v in value]
    return claims.told(value)
