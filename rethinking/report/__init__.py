"""The results as pages, made from the records by one command and checked by the same.

`model` reads every drawn figure and makes its numbers again from the records; `pages` writes them as Markdown: the
README's scoreboard, and docs/results/, an index and a page a figure.
"""

from pathlib import Path

from rethinking.errors import InputError
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
    try:
        text = readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(f"{readme} cannot be read ({reason}): name another with --readme") from None
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{readme} has no scoreboard: put the lines {BEGIN!r} and {END!r} where it shall be")
    found = model.results(runs, folder)
    board = pages.scoreboard(model.scoreboard(found), f"{RESULTS.as_posix()}/")
    fresh = {readme: f"{before}{BEGIN}\n\n{board}\n\n{END}{after}"}
    results = readme.parent / RESULTS
    fresh |= {results / name: content for name, content in pages.pages(found).items()}
    stale = [path for path, content in fresh.items() if not path.is_file() or path.read_bytes() != content.encode()]
    stray = sorted({p for p in results.glob("*.md") if pages.NOTE.encode() in p.read_bytes()} - fresh.keys())
    if not check:
        results.mkdir(parents=True, exist_ok=True)
        for path in stale:
            write(path, fresh[path])
        for path in stray:
            path.unlink()
    return [*stale, *stray]
