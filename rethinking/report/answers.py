"""The page that answers what probes of networks ask: what tells memorized from learned labels, what breaks sooner."""

from collections.abc import Sequence

from rethinking import figures
from rethinking.claims import NOT_RUN
from rethinking.figures.kit import listed
from rethinking.figures.kit.panels import seeds_note
from rethinking.report import model
from rethinking.report.model import Judged, Result
from rethinking.report.pages import NOTE, cell, claims_table, code

FILE = "memorized.md"
TITLE = "Memorized and learned labels"
LEAD = (
    "Networks that fit random labels have memorized them; on true labels they learn as well. The same networks are "
    "trained on both and probed: what tells the two apart, and which breaks sooner? The latter compares two networks. "
    "That an image breaks because it is memorized is not shown by it: what unseen images of the two give stands beside "
    "the training images where these are changed. "
    "The page of each figure has its rules, its numbers, its picture and its departures. Ours is a median over seeds "
    "with the range, unless a 95 % interval is named."
)
# A question, and what the ids of the claims that answer it begin with.
QUESTIONS = (
    (
        "Which norm over the squared margin tells memorized from learned labels, in how many of the pairs?",
        (
            "capacity_measures.tells.",
            "capacity_measures.higher.",
            "capacity_measures.grows.",
            "capacity_measures.percentile",
        ),
    ),
    ("Does sharpness, in how many of the pairs, alone or beside a norm?", ("sharpness.",)),
    ("Do norms and sharpness follow the test error?", ("confusion_set.", "hidden_units.")),
    (
        "Are the training images of a network that memorized random labels easier to break by changed pixels than "
        "those of one that learned true labels?",
        ("one_pixel.memorized.",),
    ),
    ("Are they easier to break by moving or scaling them?", ("shift.memorized",)),
    (
        "Does a network that memorized random labels break sooner as units are deleted, or under noise on them?",
        ("deletion.memorized.", "deletion.order.", "deletion.noise."),
    ),
    ("Does a regularizer protect networks when units are deleted?", ("deletion.dropout.", "deletion.batch_norm.")),
)


PAIRS = ".tells."  # in the ids of claims that count pairs of runs


def runs(claim: Judged) -> str:
    """What a claim is judged on: "n = 2,000 and 10,000, at least 3 seeds"."""
    return f"n = {listed(f'{n:,}' for n in claim.n)}, at least {seeds_note(claim.seeds)}"


def page(found: Sequence[Result]) -> str:
    """The page: a question, what the figures find, the claims that say in how many of the pairs, and the others."""
    kept = model.once(found)
    parts, said = [NOTE, f"# {TITLE}", LEAD], set[str]()  # said: whose finding stands on the page
    for question, begin in QUESTIONS:
        claims = [claim for claim in kept if claim.id.startswith(begin)]
        if not claims:
            continue
        stems = {claim.result for claim in claims} - said
        said |= stems
        finds = [f"{cell(figures.headline(r.numbers))} ([{r.stem}]({r.stem}.md))." for r in found if r.stem in stems]
        pairs = [each for each in claims if PAIRS in each.id and each.verdict != NOT_RUN]
        lines = [f"- {cell(c.statement)} (**{c.verdict}**, {code(c.id)}, {runs(c)}): {cell(c.ours)}." for c in pairs]
        parts += [f"## {question}", *[" ".join(finds)] * bool(finds), *["\n".join(lines)] * bool(lines)]
        rest = [each for each in claims if each not in pairs]
        parts += [claims_table(rest, where=True, rules=False)] * bool(rest)
    return "\n\n".join(parts) + "\n"
