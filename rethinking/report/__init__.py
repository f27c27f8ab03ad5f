"""The results as pages, made from the records by one command and checked by the same.

`model` reads every drawn figure and makes its numbers again from the records; `pages` writes them as Markdown: the
README's scoreboard, and docs/results/, an index and a page a figure.
"""

from pathlib import Path

from rethinking.errors import InputError
from rethinking.files import TEXT, content_of, text_of
from rethinking.record import Runs, write
from rethinking.report import model, pages

BEGIN = "<!-- scoreboard: written by `rethinking report`, not by hand -->"
END = "<!-- end of scoreboard -->"
RESULTS = Path("docs", "results")


def update(readme: Path, runs: Runs, folder: Path, *, check: bool = False) -> list[Path]:
    """Write the README's scoreboard, between its markers, and the pages of docs/results beside it.

    Args:
        readme: the file. runs: the records. folder: of the drawn figures. check: only look.

    Returns:
        The files that were not as the records have them.

    Raises:
        InputError: a README without the two markers; a damaged record; a figure that is not of the records there are.
    """
    text = text_of(readme, "call this in a clone, name another with --readme, or give --html, which needs none")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{readme} has no scoreboard: put the lines {BEGIN!r} and {END!r} where it shall be")
    found = model.results(runs, folder)
    board = pages.scoreboard(model.scoreboard(found), f"{RESULTS.as_posix()}/")
    fresh = {readme: f"{before}{BEGIN}\n\n{board}\n\n{END}{after}"}
    results = readme.parent / RESULTS
    fresh |= {results / name: content for name, content in pages.pages(found).items()}
    there = {path: content_of(path, TEXT) for path in (readme, *results.glob("*.md"))}
    stale = [path for path, content in fresh.items() if there.get(path) != content.encode()]
    stray = sorted(path for path in there.keys() - fresh.keys() if pages.NOTE.encode() in there[path])
    if not check:
        results.mkdir(parents=True, exist_ok=True)
        for path in stale:
            write(path, fresh[path])
        for path in stray:
            path.unlink()
    return [*stale, *stray]
