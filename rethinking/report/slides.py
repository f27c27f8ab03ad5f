"""The results as slides for a talk: a dozen, 16:9, a figure and its finding each.

A slide's figure is the figure's own panels, drawn from the records as `rethinking figure` draws them, at a talk's size.
Its title is the finding, whose numbers are those of the claims; where they are not there it is the figure's caption.
"""

import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rethinking import catalog, claims, figures, plotting
from rethinking.claims import EXTENSION, NOT_JUDGED, NOT_REPLICATED, NOT_RUN
from rethinking.errors import InputError
from rethinking.paths import write
from rethinking.record import Runs
from rethinking.report import model, prose
from rethinking.report.model import Result, visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = (40 / 3, 7.5)  # inches
DPI = 144  # of png: 1,920 x 1,080
LEAST = 16.0  # points of the smallest text
TITLE, WORDS = 28, 20  # points of a slide's title, and of its sentences
LEFT, WIDTH, TOP = 0.03, 0.94, 0.8  # of the slide: where lines begin, how long they are, what is below the title
# Whose numbers a title tells, and what they are called there: the first that has them.
NETWORKS = {"inception": "Inception", "alexnet": "AlexNet", "mlp-3x512": "MLP 3x512", "mlp-1x512": "MLP 1x512"}
TEXTS = ("font", "axes.title", "axes.label", "legend.font", "xtick.label", "ytick.label")
ENLARGED = 2.0  # lines and markers, against a page
Number = tuple[str, str, str]  # of a claim's id, under a name, written in a format


@dataclass(frozen=True)
class Slide:
    """A figure with its finding.

    Attributes:
        figure: its name. finding: a sentence; numbers: those in its braces, as in rethinking.report.prose.NUMBERS, with
        "{network}" for one of NETWORKS. panels: those shown, all where none is named.
    """

    figure: str
    finding: str
    numbers: dict[str, Number] = field(default_factory=dict)
    panels: tuple[int, ...] = ()


SLIDES = (
    Slide(
        "fig1a",
        "{network} fits random labels in {random} steps, true labels in {true}, and random pixels in {pixels}",
        {
            "random": ("fig1a.order.{network}", "steps, random labels", ",.0f"),
            "true": ("fig1a.order.{network}", "steps, true labels", ",.0f"),
            "pixels": ("fig1a.pixels_first.{network}", "steps, random pixels", ",.0f"),
        },
    ),
    Slide(
        "fig1b",
        "{network} takes {half} times as long to fit half random labels, and {all} times for random ones",
        {
            "half": ("fig1b.factor.{network}", "p = 0.5", ".1f"),
            "all": ("fig1b.factor.{network}", "p = 1", ".1f"),
        },
    ),
    Slide(
        "fig1c",
        "The test error of {network} rises from {none} % with true labels to {all} % with random ones, which is chance",
        {
            "none": ("fig1c.rises.{network}", "p = 0", ".1f"),
            "all": ("fig1c.rises.{network}", "p = 1", ".1f"),
        },
    ),
    Slide(
        "table4",
        "With weight decay {network} still reaches {fit} % training accuracy on random labels",
        {"fit": ("table4.{network}.weight_decay", "training accuracy (%)", ".2f")},
    ),
    Slide(
        "effects",
        "Random crop changes the test accuracy of AlexNet by {crop} points, weight decay by {decay}",
        {
            "crop": ("effects.random_crop.alexnet", "change (points)", "+.2f"),
            "decay": ("effects.weight_decay.alexnet", "change (points)", "+.2f"),
        },
    ),
    Slide(
        "early_stopping",
        "Stopping early changes test accuracy by {true} points with true labels, by {half} where half are random",
        {
            "true": ("early_stopping.true_labels", "gain (points)", "+.2f"),
            "half": ("early_stopping.half_random_labels", "gain (points)", "+.2f"),
        },
    ),
    Slide(
        "rademacher",
        "Random signs are fitted up to a correlation of {near}: Rademacher complexity bounds nothing here",
        {"near": ("rademacher.near_1.mlp-3x512", "correlation", ".4f")},
    ),
    Slide(
        "capacity",
        "Random labels are fitted from {free} units a layer on, and with weights of −1 and +1 alone from {held} on",
        {
            "free": ("capacity.fitted.free", "narrowest width that fits", ".0f"),
            "held": ("capacity.fitted.-1_+1_all_layers", "narrowest width that fits", ".0f"),
        },
    ),
    Slide(
        "theorem1",
        "A two-layer network of {weights} weights fits random labels of all images, with a largest error of {error}",
        {"weights": prose.NUMBERS["weights"], "error": prose.NUMBERS["error"]},
        panels=(0,),
    ),
    Slide(
        "table3",
        "Minimum-norm solutions, which fit every label, have {gabor} % test error on MNIST, {pixels} % on CIFAR-10",
        {
            "gabor": ("table3.error.mnist_gabor", "test error (%)", ".2f"),
            "pixels": ("table3.error.cifar10_pixels", "test error (%)", ".2f"),
        },
    ),
)


def finding(slide: Slide, result: Result) -> str:
    """A slide's title: its sentence where its numbers are there, else the figure's caption."""
    judged = {claim["id"]: claim["numbers"] for claim in result.numbers["claims"] if claim["ours"]}
    own = f".{result.setting.model}"
    for network in NETWORKS:
        told = {"network": NETWORKS[network]}
        for name, (claim, key, form) in slide.numbers.items():
            of = claim.format(network=network)
            values = [v for v in judged.get(of, judged.get(of.removesuffix(own), {})).get(key, []) if v is not None]
            if values:
                told[name] = re.sub("^-", "\u2212", format(claims.median(values), form))
        if told.keys() >= slide.numbers.keys():
            return slide.finding.format(**told)
    return str(result.numbers["caption"])


def chosen(found: Sequence[Result]) -> list[tuple[Slide, Result]]:
    """The slides whose figure has runs: of several drawings of one, the first by rank that tells the finding."""
    told = []
    for slide in SLIDES:
        drawn = [result for result in found if result.name == slide.figure and result.numbers["runs"]]
        told += [(slide, result) for result in drawn if finding(slide, result) != result.numbers["caption"]][:1] or [
            (slide, result) for result in drawn[:1]
        ]
    return told


def style() -> AbstractContextManager[Any]:
    """A context in which slides are drawn."""
    import matplotlib.pyplot as plt

    stack = ExitStack()
    stack.enter_context(plotting.style())
    stack.enter_context(plt.rc_context({f"{name}{'.' * (name == 'font')}size": LEAST for name in TEXTS}))  # type: ignore[misc]
    return stack


def drawn(found: Sequence[Result], runs: Runs) -> list[tuple[Callable[[], "Figure"], dict[str, Any]]]:
    """The slides in order: what draws each, where `style` holds, and what it says of itself."""
    shown = chosen(found)
    slides: list[tuple[Callable[[], Figure], dict[str, Any]]] = [(partial(_opening, found), {})]
    slides += [(partial(_figure, s, result, runs), figures.provenance(result.numbers)) for s, result in shown]
    return [*slides, (partial(_board, found), {})]


def save(out: Path, formats: Iterable[str], runs: Runs, folder: Path) -> list[Path]:
    """Write the slides of the drawn figures of `folder`: slides.pdf, slide-01.png and so on. Returns their paths.

    Raises:
        InputError: no drawn figure that is evidence; a figure that is not of the records there are.
    """
    found = model.results(runs, folder)
    if not found:
        raise InputError(f"{folder} has no drawn figure of scale cpu or paper: name a folder with --figures")
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_pdf import PdfPages

    files: dict[str, bytes] = {}
    document = io.BytesIO()
    with style(), PdfPages(document, metadata={"CreationDate": None, "Title": "rethinking: slides"}) as pages:
        for number, (draw, about) in enumerate(drawn(found, runs), 1):
            figure = draw()
            if "pdf" in formats:
                pages.savefig(figure)
            if "png" in formats:
                picture = io.BytesIO()
                told = {plotting.ABOUT["png"]: json.dumps(about)} if about else {}
                figure.savefig(picture, format="png", dpi=DPI, metadata=told)
                files[f"slide-{number:02d}.png"] = picture.getvalue()
            plt.close(figure)
    if "pdf" in formats:
        files = {"slides.pdf": document.getvalue()} | files
    for name, content in files.items():
        write(out / name, content)
    return [out / name for name in files]


# --- slides ---------------------------------------------------------------------------------------


def _wrapped(figure: "Figure", text: str, size: float, room: float, weight: str = "normal") -> str:
    """Text with line breaks, so that no line is longer than `room` inches, but for one long word."""
    line = figure.text(0, 0, "", fontsize=size, weight=weight, parse_math=False)
    lines: list[str] = []
    for word in visible(text).split():
        line.set_text(f"{lines[-1]} {word}" if lines else word)
        if lines and line.get_window_extent().width / figure.dpi <= room:
            lines[-1] = line.get_text()
        else:
            lines.append(word)
    line.remove()
    return "\n".join(lines)


def _titled(figure: "Figure", title: str, *foot: str) -> None:
    """A title of at most two lines, and lines at the foot."""
    words = _wrapped(figure, title, TITLE, WIDTH * SIZE[0], "bold")
    figure.text(LEFT, 0.965, words, fontsize=TITLE, va="top", parse_math=False, linespacing=1.15, weight="bold")
    lines = [_wrapped(figure, line, LEAST, WIDTH * SIZE[0]) for line in foot]
    figure.text(LEFT, 0.025, "\n".join(lines), fontsize=LEAST, color="0.35", va="bottom", parse_math=False)


def _figure(slide: Slide, result: Result, runs: Runs) -> "Figure":
    """A slide of a figure's panels."""
    entry = catalog.find("figures", result.name)
    with catalog.blame(entry):
        figure = figures.made(result.name, entry.load(), result.setting, runs).picture()
    heading = figure.get_suptitle().partition("\n")[0]
    figure.suptitle("")
    figure.set_size_inches(*SIZE)
    if slide.panels:
        _keep(figure, slide.panels)
    _enlarge(figure)
    if model.artefact(result.name):
        source = f"Zhang et al. 2017, {model.artefact(result.name)}"
    else:
        source = f"{'Zhang et al. 2017' if any(c.own for c in result.judged) else 'An extension'} ({result.name})"
    _titled(figure, finding(slide, result), f"{source}. {heading}.", model.counts(result.judged))
    foot = figure.texts[-1].get_window_extent().y1 / figure.bbox.height + 0.015
    foot = _lay_legends(figure, foot)
    engine = figure.get_layout_engine()
    engine.set(rect=(0.02, foot, 0.96, TOP + 0.02 - foot), w_pad=0.1)
    figure.draw_without_rendering()
    for axes in figure.axes:
        room = axes.get_window_extent().height / figure.dpi
        label = axes.get_ylabel()
        if any("\n" in _wrapped(figure, line, LEAST, room) for line in label.split("\n")):
            axes.set_ylabel(_wrapped(figure, label, LEAST, room))
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
        "Of Zhang et al., ICLR 2017. Every number is the median of committed runs.",
    )
    line = WORDS * 1.25 / 72 / SIZE[1]  # of the slide's height
    y = TOP
    for english, _ in prose.sentences(found):
        text = _wrapped(figure, english, WORDS, WIDTH * SIZE[0])
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
