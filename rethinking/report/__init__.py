"""The results as pages, made from the records by one command and checked by the same.

`model` reads every drawn figure and makes its numbers again from the records; `pages` writes them as Markdown: the
README's scoreboard, and docs/results/, an index and a page a figure.
"""

from collections.abc import Sequence
from pathlib import Path

from rethinking.errors import InputError
from rethinking.files import TEXT, content_of, text_of
from rethinking.paths import check_replaces
from rethinking.record import Runs, write
from rethinking.report import answers, model, pages
from rethinking.report.model import Result

BEGIN = "<!-- scoreboard: written by `rethinking report`, not by hand -->"
END = "<!-- end of scoreboard -->"
RESULTS = Path("docs", "results")


def update(readme: Path, runs: Runs, folder: Path, *, check: bool = False) -> dict[Path, bool]:
    """Write the README's scoreboard, between its markers, and the pages of docs/results beside it.

    A page that no drawn figure has any more is not deleted, as somebody may have kept notes in it.

    Args:
        readme: the file. runs: the records. folder: of the drawn figures. check: only look.

    Returns:
        The files that were not as the records have them; of each, whether it is, or would be, written.

    Raises:
        InputError: a README without the two markers; a damaged record; a figure that is not of the records there are;
        a file that this command did not write where a page goes.
    """
    _parts(readme)
    fresh = generated(readme, model.results(runs, folder))
    wrong = stale(readme, fresh)
    if not check:
        for path in fresh.keys() & {*wrong} - {readme}:
            check_replaces(path, pages.NOTE.encode(), "--readme", TEXT)
        (readme.parent / RESULTS).mkdir(parents=True, exist_ok=True)
        for path in wrong:
            if path in fresh:
                write(path, fresh[path], through=True)
    return {path: path in fresh for path in wrong}


def generated(readme: Path, found: Sequence[Result]) -> dict[Path, str]:
    """The README and every page of results, as they are to be made from what was drawn, by their place.

    Raises InputError as `update`.
    """
    before, after = _parts(readme)
    board = pages.scoreboard(model.scoreboard(found), f"{RESULTS.as_posix()}/")
    results = readme.parent / RESULTS
    fresh = {readme: f"{before}{BEGIN}\n\n{board}\n\n{END}{after}"}
    every = pages.pages(found) | {answers.FILE: answers.page(found)}
    return fresh | {results / name: content for name, content in every.items()}


def stale(readme: Path, fresh: dict[Path, str]) -> list[Path]:
    """The files that are not as `fresh` has them, and generated pages that it does not have."""
    wrong = [path for path, content in fresh.items() if not path.exists() or content_of(path, TEXT) != content.encode()]
    return [*wrong, *sorted(_there(readme) - fresh.keys())]


def has_generated(readme: Path) -> bool:
    """Whether there is a scoreboard in a README, or a page of results beside it."""
    return bool(_there(readme)) or (readme.exists() and BEGIN.encode() in content_of(readme, TEXT))


def _there(readme: Path) -> set[Path]:
    return {p for p in (readme.parent / RESULTS).glob("*.md") if pages.NOTE.encode() in content_of(p, TEXT)}


def _parts(readme: Path) -> tuple[str, str]:
    """What a README has before its scoreboard, and after it."""
    text = text_of(readme, "call this in a clone, name another with --readme, or give --html, which needs none")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{readme} has no scoreboard: put the lines {BEGIN!r} and {END!r} where it shall be")
    return before, after
