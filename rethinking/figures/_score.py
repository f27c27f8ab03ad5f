"""What stands for a figure in one line: a number of the paper's beside ours, from the figure's own numbers."""

import re
from dataclasses import dataclass
from typing import Any

from rethinking.claims import NOT_RUN, told


@dataclass(frozen=True)
class Score:
    """A number of the paper's with ours: of a figure's SCORES, the most telling first, the scoreboard has those run.

    Attributes:
        of: what it is a number of, in a few words. claim: the id of the claim that has both. row: or a row of the
        figure's table that has both. number: which of the claim's numbers, or which column of the row, whose number of
        the paper's is in the column "paper <number>"; of a claim, its text of ours where none is named. paper: what
        the paper has, where that is in no column, or in fewer words than the claim's. unit: of a number, " %".
    """

    of: str
    claim: str = ""
    row: str = ""
    number: str = ""
    paper: str = ""
    unit: str = ""

    def read(self, numbers: dict[str, Any]) -> tuple[str, str] | None:
        """The paper's number and ours, "not run" where it is; None where a figure has neither. numbers: its .json."""
        if self.row:
            found = next((row for row in numbers.get("table", []) if next(iter(row.values())) == self.row), None)
            if found is None or self.number not in found:
                return None
            paper, ours = (self._text(found.get(title, [])) for title in (f"paper {self.number}", self.number))
            return self.paper or paper, ours
        claim = next((claim for claim in numbers["claims"] if claim["id"] == self.claim), None)
        if claim is None:
            return None
        values = claim["numbers"].get(self.number) if self.number else claim["ours"]
        return self.paper or claim["paper"], self._text(values) if values else NOT_RUN

    def _text(self, values: Any) -> str:
        """Median, unit and range, the latter where it is one: "2.80 times (2.76 to 2.80)"; words as they are."""
        middle, _, spread = re.sub(r" \(([\d.]+) to \1\)", "", told(values)).partition(" (")
        unit = self.unit if re.fullmatch(r"[\d.,]+", middle) else ""
        return f"{middle}{unit}" + (f" ({spread}" if spread else "")
