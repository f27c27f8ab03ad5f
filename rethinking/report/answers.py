"""The page that answers what probes of networks ask: what tells memorized from learned labels, what breaks sooner."""

from collections.abc import Sequence

from rethinking import figures
from rethinking.report import model
from rethinking.report.model import Judged, Result
from rethinking.report.pages import NOTE, cell, claims_table

FILE = "memorized.md"
TITLE = "Memorized and learned labels"
LEAD = (
    "Networks that fit random labels have memorized them; on true labels they learn as well. The same networks are "
    "trained on both and probed: what tells the two apart, and which breaks sooner? The page of each figure has its "
    "numbers, its picture and its departures. Ours is a median over seeds with the range, unless a 95 % interval is "
    "named."
)
# A question, and what the ids of the claims that answer it begin with.
QUESTIONS = (
    ("Which norm tells memorized from learned labels, in how many of the pairs?", ("capacity_measures.tells.",)),
    ("Does sharpness tell them apart, alone or beside a norm?", ("sharpness.",)),
    ("Do norms and sharpness follow the test error?", ("confusion_set.", "hidden_units.")),
    ("Are memorized images easier to break by changed pixels?", ("one_pixel.memorized.",)),
    ("Are they easier to break by moving or scaling them?", ("shift.memorized",)),
    (
        "Are they easier to break by deleting units of the network, or by noise on them?",
        ("deletion.memorized.", "deletion.order.", "deletion.noise."),
    ),
    ("Does a regularizer protect them when units are deleted?", ("deletion.dropout.", "deletion.batch_norm.")),
)


def of(claims: Sequence[Judged], begin: tuple[str, ...]) -> list[Judged]:
    """The claims whose ids begin so."""
    return [claim for claim in claims if claim.id.startswith(begin)]


def page(found: Sequence[Result]) -> str:
    """The page: a question, the verdicts on the claims that answer it, and the claims."""
    kept = model.once(found)
    parts = [NOTE, f"# {TITLE}", LEAD]
    for question, begin in QUESTIONS:
        claims = of(kept, begin)
        if claims:
            stems = {claim.result for claim in claims}
            told = [f"{cell(figures.headline(r.numbers))} ([{r.stem}]({r.stem}.md))." for r in found if r.stem in stems]
            lead = f"**{model.counts(claims)}.** {' '.join(told)}"
            parts += [f"## {question}", lead, claims_table(claims, where=True)]
    return "\n\n".join(parts) + "\n"
