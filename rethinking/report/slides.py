"""The results as slides for a talk: 16:9, a figure and its finding each.

A slide's figure is the figure's own panels, drawn from the records as `rethinking figure` draws them, at a talk's size.
Its title is the figure's own.
"""

import io
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rethinking import catalog, figures, plotting
from rethinking.claims import EXTENSION, NOT_JUDGED, NOT_REPLICATED, NOT_RUN
from rethinking.errors import InputError
from rethinking.paths import check_replaces, write
from rethinking.record import Runs
from rethinking.report import model, prose
from rethinking.report.model import Result, visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = (40 / 3, 7.5)  # inches
TITLE = "rethinking: slides"  # in the metadata of every file
MARK = TITLE.encode()
DPI = 144  # of png: 1,920 x 1,080
LEAST = 16.0  # points of the smallest text
TITLES, WORDS = (28, 25, 22, 20), 20  # points of a slide's title, the first at which it has two lines; of sentences
LEFT, WIDTH, TOP = 0.03, 0.94, 0.8  # of the slide: where lines begin, how long they are, what is below the title
TEXTS = ("font", "axes.title", "axes.label", "legend.font", "xtick.label", "ytick.label")
ENLARGED = 2.0  # lines and markers, against a page
# The figures shown, each with the panels of it that are, all where none is named.
SLIDES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("fig1a", "fig1b", "fig1c", "table1", "fig2b", "table4", "effects"), ()),
    **dict.fromkeys(("early_stopping", "rademacher", "capacity"), ()),
    "theorem1": (0,),
    "table3": (),
}


def chosen(found: Sequence[Result]) -> list[Result]:
    """The slides' figures that have runs: of several drawings of one, that with most of its runs, then the larger."""
    drawn = [[r for r in model.drawings(found, name) if r.numbers["runs"]] for name in SLIDES]
    return [min(each, key=lambda r: len(r.numbers["missing"]) / len(r.numbers["runs"])) for each in drawn if each]


def style() -> AbstractContextManager[Any]:
    """A context in which slides are drawn."""
    plt, stack = plotting.pyplot(), ExitStack()
    stack.enter_context(plotting.style())
    stack.enter_context(plt.rc_context({f"{name}{'.' * (name == 'font')}size": LEAST for name in TEXTS}))
    return stack


def drawn(found: Sequence[Result], runs: Runs) -> list[tuple[Callable[[], "Figure"], dict[str, Any]]]:
    """The slides in order: what draws each, where `style` holds, and what it says of itself."""
    shown = chosen(found)
    slides: list[tuple[Callable[[], Figure], dict[str, Any]]] = [(partial(_opening, found), {})]
    slides += [
        (partial(_figure, result, runs), figures.provenance(result.numbers) | {"slide": number})
        for number, result in enumerate(shown, 2)
    ]
    return [*slides, (partial(_board, found), {}), (partial(_numbers, found), {})]


def save(out: Path, formats: Iterable[str], runs: Runs, folder: Path) -> list[Path]:
    """Write the slides of the drawn figures of `folder`: slides.pdf, slide-01.png and so on. Returns their paths.

    Raises:
        InputError: no drawn figure that is evidence; a figure that is not of the records there are.
    """
    found = model.results(runs, folder)
    if not found:
        raise InputError(f"{folder} has no drawn figure of scale cpu or paper: name a folder with --figures")
    slides = drawn(found, runs)
    names = [f"slide-{number:02d}.png" for number in range(1, len(slides) + 1)] * ("png" in formats)
    for name in [*names, *["slides.pdf"] * ("pdf" in formats)]:
        check_replaces(out / name, MARK, "--out", plotting.LARGEST)
    plt = plotting.pyplot()
    from matplotlib.backends.backend_pdf import PdfPages

    whole = {"slides": [about for _, about in slides if about]}
    about_pdf = {"CreationDate": None, "Title": TITLE, plotting.ABOUT["pdf"]: json.dumps(whole)}
    files: dict[str, bytes] = {}
    document = io.BytesIO()
    with style(), PdfPages(document, metadata=about_pdf) as pages:
        for number, (draw, about) in enumerate(slides, 1):
            figure = draw()
            if "pdf" in formats:
                pages.savefig(figure)
            if "png" in formats:
                picture = io.BytesIO()
                told = {"Title": TITLE, plotting.ABOUT["png"]: json.dumps(about or whole)}
                figure.savefig(picture, format="png", dpi=DPI, metadata=told)
                files[f"slide-{number:02d}.png"] = picture.getvalue()
            plt.close(figure)
    if "pdf" in formats:
        files = {"slides.pdf": document.getvalue()} | files
    for name, content in files.items():
        write(out / name, content, through=True)
    return [out / name for name in files]


# --- slides ---------------------------------------------------------------------------------------


def _titled(figure: "Figure", title: str, *foot: str) -> None:
    """A title of at most two lines, and lines at the foot."""
    for size in TITLES:
        words = plotting.wrapped(figure, visible(title), size, WIDTH * SIZE[0], "bold")
        if words.count("\n") <= 1:
            break
    figure.text(LEFT, 0.965, words, fontsize=size, va="top", parse_math=False, linespacing=1.15, weight="bold")
    lines = [plotting.wrapped(figure, visible(line), LEAST, WIDTH * SIZE[0]) for line in foot]
    figure.text(LEFT, 0.025, "\n".join(lines), fontsize=LEAST, color="0.35", va="bottom", parse_math=False)


def _figure(result: Result, runs: Runs) -> "Figure":
    """A slide of a figure's panels."""
    entry = catalog.find("figures", result.name)
    with catalog.blame(entry):
        figure = figures.made(result.name, entry.load(), result.setting, runs)[1]()
    heading = figure.get_suptitle().replace("\n", "; ")
    figure.suptitle("")
    for text in list(figure.texts):  # its title
        text.remove()
    figure.set_size_inches(*SIZE)
    if panels := SLIDES[result.name]:
        _keep(figure, panels)
    _enlarge(figure)
    if model.artefact(result.name):
        source = f"Zhang et al. 2017, {model.artefact(result.name)}"
    else:
        source = f"{'Zhang et al. 2017' if any(c.own for c in result.judged) else 'An extension'} ({result.name})"
    told = [f"{title[0].upper()}{title[1:]}: {counts}." for title, counts in model.counts_apart(result.judged)]
    _titled(figure, figures.headline(result.numbers), f"{source}. {heading}.", *([" ".join(told)] if told else []))
    foot = figure.texts[-1].get_window_extent().y1 / figure.bbox.height + 0.015
    foot = _lay_legends(figure, foot)
    engine = figure.get_layout_engine()
    engine.set(rect=(0.02, foot, 0.96, TOP + 0.02 - foot), w_pad=0.1)
    figure.draw_without_rendering()
    for axes in figure.axes:
        room = axes.get_window_extent().height / figure.dpi
        label = axes.get_ylabel()
        if any("\n" in plotting.wrapped(figure, line, LEAST, room) for line in label.split("\n")):
            axes.set_ylabel(plotting.wrapped(figure, label, LEAST, room))
    return figure


def _keep(figure: "Figure", panels: Sequence[int]) -> None:
    """Leave these panels alone, side by side."""
    axes = list(figure.axes)
    grid = figure.add_gridspec(1, len(panels))
    for one in (each for k, each in enumerate(axes) if k not in panels):
        one.remove()
    for place, k in enumerate(panels):
        axes[k].set_subplotspec(grid[place])


def _enlarge(figure: "Figure") -> None:
    """Text, lines and points as large as a talk needs."""
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_fontsize(max(LEAST, text.get_fontsize()))
    for line in figure.findobj(Line2D):
        line.set(linewidth=ENLARGED * line.get_linewidth(), markersize=ENLARGED * line.get_markersize())
    for points in figure.findobj(PathCollection):
        points.set_sizes(ENLARGED**2 * points.get_sizes())


def _lay_legends(figure: "Figure", foot: float) -> float:
    """Put legends of all panels above the foot, which ends at that height. Returns the height at which they end."""
    for legend in list(figure.legends):
        handles = [handle for handle in legend.legend_handles if handle is not None]
        texts = [text.get_text() for text in legend.get_texts()]
        legend.remove()
        columns = max(1, min(len(texts), 100 // (6 + max(map(len, texts)))))
        where: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, foot), "ncols": columns}
        laid = figure.legend(handles, texts, fontsize=LEAST, **where)
        laid.set_in_layout(False)
        foot = laid.get_window_extent().y1 / figure.bbox.height
    return foot


def _page() -> "Figure":
    import matplotlib.pyplot as plt

    return plt.figure(figsize=SIZE, layout="none")


def _opening(found: Sequence[Result]) -> "Figure":
    """The paper's claim, and what was found."""
    figure = _page()
    _titled(
        figure,
        "Understanding deep learning requires rethinking generalization: a replication",
        "Of Zhang et al., ICLR 2017. Every number of ours comes from committed runs, as the median where there are "
        "several seeds.",
    )
    line = WORDS * 1.25 / 72 / SIZE[1]  # of the slide's height
    y = TOP
    for english, _ in prose.sentences(found):
        text = plotting.wrapped(figure, visible(english), WORDS, WIDTH * SIZE[0])
        taken = line * (1 + text.count("\n"))
        if y - taken < 0.1:
            break
        figure.text(LEFT, y, text, fontsize=WORDS, va="top", parse_math=False, linespacing=1.25)
        y -= taken + 0.4 * line
    return figure


def _board(found: Sequence[Result]) -> "Figure":
    """The paper's artefacts with what became of their claims."""
    figure = _page()
    rows = model.scoreboard(found)
    run = sum(row.status != NOT_RUN for row in rows)
    wrong = sum(claim.verdict == NOT_REPLICATED for row in rows for claim in row.judged)
    _titled(
        figure,
        f"{run} of the paper's {len(rows)} figures, tables and sections are run here, at least in part",
        f"Full size: all images that the paper has. Extensions are not counted here. {wrong} claims did not replicate.",
    )
    step = (TOP - 0.1) / len(rows)
    for k, row in enumerate(rows):
        colour = "0.45" if row.status == NOT_RUN else "black"
        counts = model.counts(row.judged).replace(NOT_JUDGED, EXTENSION[NOT_JUDGED])
        for x, text in ((LEFT, row.name), (0.17, row.status), (0.38, counts)):
            figure.text(x, TOP - k * step, visible(text), fontsize=LEAST, va="top", color=colour, parse_math=False)
    return figure


def _numbers(found: Sequence[Result]) -> "Figure":
    """The paper's numbers beside ours, of what is run."""
    figure = _page()
    rows = model.scoreboard(found)
    there = [row for row in rows if row.ours != NOT_RUN]
    gone = ", ".join(row.name for row in rows if row.ours == NOT_RUN)
    _titled(
        figure,
        f"The paper's number and ours, of {len(there)} of the paper's {len(rows)} figures, tables and sections",
        "Ours is the median over seeds with the range, where there are several." + f" Not run: {gone}." * bool(gone),
    )
    columns = (0.15, 0.5, 0.97)  # where the paper's numbers and ours begin, and where the latter end
    told = [("", "the paper's number", "ours"), *((row.name, row.paper, row.ours) for row in there)]
    starts = list(zip((LEFT, *columns), columns, strict=False))
    wrapped = [
        [
            plotting.wrapped(figure, visible(text), LEAST, (end - x - 0.01) * SIZE[0])
            for (x, end), text in zip(starts, texts, strict=True)
        ]
        for texts in told
    ]
    heights = [LEAST * 1.15 / 72 / SIZE[1] * (1 + max(text.count("\n") for text in texts)) for texts in wrapped]
    gap, y = (TOP - 0.1 - sum(heights)) / len(heights), TOP
    for k, (texts, height) in enumerate(zip(wrapped, heights, strict=True)):
        style: dict[str, Any] = {"fontsize": LEAST, "va": "top", "parse_math": False, "linespacing": 1.1}
        for (x, _), text in zip(starts, texts, strict=True):
            figure.text(x, y, text, color="black" if k else "0.45", **style)
        y -= height + gap
    return figure
