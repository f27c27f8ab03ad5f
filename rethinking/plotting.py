"""Shared pieces of the figures, and the one style sheet. matplotlib is imported when something is drawn."""

import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, TreeBuilder, XMLParser

from rethinking.errors import InputError, not_imported
from rethinking.files import acting, content_of, json_in, reason
from rethinking.paths import write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Formats of pictures, with the metadata that would change from drawing to drawing; and where what a picture says of
# itself stands in them.
FORMATS: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
ABOUT = {"svg": "Description", "pdf": "Subject", "png": "Description"}
LARGEST = 50_000_000  # bytes of a picture that is read
DEPTH = 100  # of elements within each other in an SVG; those of this package have 9
MOST = 1_000_000  # of elements and their attributes; those of this package have 10,000
USUAL = ("svg", "pdf")  # what is drawn unless others are asked for
DPI = 300  # dots per inch
WIDTH = 6.75  # inches, the text width of a page

# One name, one look everywhere: its colour (Okabe and Ito's, safe for the colour-blind), its dash, its marker.
LOOKS: dict[str, dict[str, Any]] = {
    # Conditions, and labels half corrupted.
    "true labels": {"color": "#000000", "linestyle": "-", "marker": "o"},
    "random labels": {"color": "#D55E00", "linestyle": (0, (5, 1.5)), "marker": "s"},
    "shuffled pixels": {"color": "#0072B2", "linestyle": (0, (1, 1)), "marker": "^"},
    "random pixels": {"color": "#009E73", "linestyle": (0, (5, 1.5, 1, 1.5)), "marker": "D"},
    "Gaussian": {"color": "#CC79A7", "linestyle": (0, (3, 1, 1, 1, 1, 1)), "marker": "v"},
    "half random labels": {"color": "#56B4E9", "linestyle": (0, (1, 1)), "marker": "^"},
    # Labels corrupted more and more, between true and random ones: from black to orange.
    "20 % corrupted": {"color": "#2B1300", "linestyle": (0, (8, 2)), "marker": "v"},
    "40 % corrupted": {"color": "#552600", "linestyle": (0, (3, 1)), "marker": "^"},
    "60 % corrupted": {"color": "#803800", "linestyle": (0, (5, 1.5, 1, 1.5)), "marker": "D"},
    "80 % corrupted": {"color": "#AA4B00", "linestyle": (0, (1, 1)), "marker": "P"},
    # Networks; the dash tells a network from a condition where both are drawn.
    "inception": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "inception-nobn": {"color": "#56B4E9", "linestyle": (0, (5, 1.5)), "marker": "D"},
    "alexnet": {"color": "#009E73", "linestyle": (0, (5, 1.5, 1, 1.5)), "marker": "^"},
    "mlp-3x512": {"color": "#CC79A7", "linestyle": (0, (1, 1)), "marker": "v"},
    "mlp-1x512": {"color": "#D55E00", "linestyle": (0, (3, 1, 1, 1, 1, 1)), "marker": "s"},
    # Free weights, and weights held to two values: a colour for the values, a dash for the layers.
    "free": {"color": "#000000", "linestyle": "-", "marker": "o"},
    "{−1, +1}, first layer": {"color": "#0072B2", "linestyle": (0, (5, 1.5)), "marker": "^"},
    "{−1, +1}, all layers": {"color": "#0072B2", "linestyle": (0, (1, 1)), "marker": "v"},
    "{0, 1}, first layer": {"color": "#D55E00", "linestyle": (0, (5, 1.5)), "marker": "s"},
    "{0, 1}, all layers": {"color": "#D55E00", "linestyle": (0, (1, 1)), "marker": "D"},
    # Penalties.
    "no penalty": {"color": "#000000", "linestyle": "-", "marker": "o"},
    "L1": {"color": "#D55E00", "linestyle": (0, (1, 1)), "marker": "s"},
    "strong L1": {"color": "#CC79A7", "linestyle": (0, (5, 1.5, 1, 1.5)), "marker": "D"},
    "L2": {"color": "#0072B2", "linestyle": (0, (5, 1.5)), "marker": "^"},
    # Kernels, their bandwidths from narrow to wide, and the two ways to build the network of Theorem 1.
    "MNIST pixels": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "MNIST Gabor": {"color": "#D55E00", "linestyle": (0, (5, 1.5)), "marker": "s"},
    "CIFAR-10 pixels": {"color": "#009E73", "linestyle": (0, (1, 1)), "marker": "^"},
    "width 1": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "width 2": {"color": "#D55E00", "linestyle": (0, (5, 1.5)), "marker": "s"},
    "width 4": {"color": "#009E73", "linestyle": (0, (1, 1)), "marker": "^"},
    "no bandwidth": {"color": "#000000", "linestyle": "-", "marker": "v"},
    "least norm": {"color": "#000000", "linestyle": "-", "marker": "o"},
    "centres at random points": {"color": "#D55E00", "linestyle": "-", "marker": "s"},
    "also fits random test labels": {"color": "#0072B2", "linestyle": "-", "marker": "^"},
    "random direction, midpoint biases": {"color": "#D55E00", "linestyle": (0, (5, 1.5)), "marker": "s"},
    "chosen direction and biases": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    # Quantities.
    "test error": {"color": "#000000", "linestyle": (0, (5, 1.5)), "marker": "s"},
    "training error": {"color": "#000000", "linestyle": "-", "marker": "o"},
    # What regularizers act on.
    "none": {"color": "0.6", "linestyle": (0, (5, 1.5)), "marker": "*"},
    "weights": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "units": {"color": "#D55E00", "linestyle": "-", "marker": "s"},
    "normalization": {"color": "#009E73", "linestyle": "-", "marker": "^"},
    "data": {"color": "#000000", "linestyle": "-", "marker": "D"},
    "labels": {"color": "#CC79A7", "linestyle": "-", "marker": "v"},
    "gradient": {"color": "#56B4E9", "linestyle": "-", "marker": "P"},
    "other": {"color": "0.45", "linestyle": ":", "marker": "X"},
}


def look_of(name: Any, k: int = 0) -> dict[str, Any]:
    """Colour, dash and marker of what is drawn by a name: black for none, grey crosses for one that is not listed.

    k: the place, from 0, among several that are not listed: the others have a grey, a dash and a marker of their own.
    """
    unlisted = shade(k) if k else {"color": "0.4", "linestyle": "-", "marker": "x"}
    return LOOKS.get(name, unlisted) if name else {"color": "#000000", "linestyle": "-", "marker": "o"}


def shade(k: int) -> dict[str, Any]:
    """Grey, dash and marker of the k-th of several in order, from 0."""
    dashes = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), (0, (2, 2)))
    return {"color": str(min(0.7, 0.1 * k)), "linestyle": dashes[k % len(dashes)], "marker": "os^Dvx"[k % 6]}


NAMES = {"inception": "Inception", "inception-nobn": "Inception without batch norm", "alexnet": "AlexNet"}
NAMES |= {"mlp-3x512": "MLP 3x512", "mlp-1x512": "MLP 1x512", "resnet-20": "ResNet-20"}  # in sentences
NOTE = 6.5  # points; words inside a picture
FINDING = 9  # points; a figure's title
PATCH = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # behind words that stand on a line

RAISED = str.maketrans("0123456789-\N{MINUS SIGN}", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻")

STYLE = {
    "font.family": "sans-serif",
    # The first is drawn: matplotlib brings it, and seaborn would take Arial where there is one. In an SVG, whose text
    # is text, the second has letters nearly as wide, for a reader who lacks the first.
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "font.size": 8,
    "axes.titlesize": 8,
    "figure.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "text.parse_math": False,  # a label may have a $ in it
    "svg.hashsalt": "rethinking",  # element ids that do not change from drawing to drawing
    "svg.fonttype": "none",  # text stays text, which is found, copied, read aloud and edited
    "pdf.fonttype": 42,
}


def pyplot() -> Any:
    """matplotlib.pyplot. Raises InputError where a setting of the user's keeps matplotlib from being imported."""
    try:
        import matplotlib.pyplot
    except Exception as error:  # it raises what it likes at a variable or a file of settings
        told = not_imported(error)
        if told is None:
            raise
        raise told from None
    return matplotlib.pyplot


@contextmanager
def style(agg: bool = True) -> Iterator[None]:
    """A context in which everything is drawn: seaborn's ticks, with STYLE on top; leaves no trace but agg.

    A user's own settings of matplotlib, and the date that a variable may ask for, have no part in it.

    agg: whether matplotlib draws into files from now on; False leaves a notebook's way of showing pictures alone.

    Raises:
        InputError: matplotlib cannot be used, or not with the way of showing pictures that MPLBACKEND names.
    """
    pyplot()
    import matplotlib.style
    import seaborn

    if agg:
        matplotlib.use("agg")
    _own_fonts_first()
    date = os.environ.pop("SOURCE_DATE_EPOCH", None)  # pictures have none
    try:
        with matplotlib.style.context({**seaborn.axes_style("ticks"), **STYLE}, after_reset=True):
            yield
    except ImportError as error:
        if "backend" not in str(error):
            raise
        raise InputError(f"matplotlib cannot draw ({reason(error)}): mend the variable MPLBACKEND") from None
    finally:
        if date is not None:
            os.environ["SOURCE_DATE_EPOCH"] = date


@cache
def _own_fonts_first() -> None:
    """Have matplotlib take the fonts that it brings before the system's of the same name, which draw other bytes."""
    from matplotlib import font_manager, get_data_path

    own = Path(get_data_path(), "fonts", "ttf")
    for file in sorted(own.glob("DejaVu*.ttf")):
        font_manager.fontManager.addfont(file)  # also forgets what was found before
    font_manager.fontManager.ttflist.sort(key=lambda font: Path(font.fname).parent != own)


def not_run(axes: "Axes", row: float | None = None, words: str = "not run", **text: Any) -> None:
    """Write words in the middle of `axes`, or of its row at height `row`; text: as of matplotlib's annotate."""
    where = ((0.5, 0.5), "axes fraction") if row is None else ((0.5, row), axes.get_yaxis_transform())
    axes.annotate(words, where[0], xycoords=where[1], ha="center", va="center", bbox=PATCH, **text)


def wrapped(figure: "Figure", text: str, size: float, room: float, weight: str = "normal") -> str:
    """Text with line breaks, none before a "%", so that no line is longer than `room` inches, but for a long word."""
    line = figure.text(0, 0, "", fontsize=size, weight=weight, parse_math=False)
    lines: list[str] = []
    for word in re.findall(r"\S+(?:\s+%\S*)*", text):
        line.set_text(f"{lines[-1]} {word}" if lines else word)
        if lines and line.get_window_extent().width / figure.dpi <= room:
            lines[-1] = line.get_text()
        else:
            lines.append(word)
    line.remove()
    return "\n".join(lines)


def titled(figure: "Figure", finding: str) -> None:
    """Write a finding above the conditions, which are the suptitle; the picture grows by the finding's lines."""
    width, height = figure.get_size_inches()
    conditions = figure.suptitle(figure.get_suptitle(), y=0.5)  # a place of its own: the layout leaves it alone
    room = 0.97 * width
    words = tighter = wrapped(figure, finding, FINDING, room, "bold")
    while room > 1 and tighter.count("\n") == words.count("\n"):  # lines of about one length
        words, room = tighter, 0.95 * room
        tighter = wrapped(figure, finding, FINDING, room, "bold")
    above, gap = 1.25 * FINDING / 72 * (1 + words.count("\n")), 0.05  # inches
    below = conditions.get_window_extent().height / figure.dpi
    figure.set_size_inches(width, height := height + above + gap)
    conditions.set_y(1 - (above + 2 * gap) / height)
    style: dict[str, Any] = {"fontsize": FINDING, "weight": "bold", "ha": "center", "va": "top", "parse_math": False}
    figure.text(0.5, 1 - gap / height, words, **style)
    if engine := figure.get_layout_engine():
        engine.set(rect=(0, 0, 1, 1 - (above + below + 3 * gap) / height))  # type: ignore[call-arg]


def pictures(text: str, known: Iterable[str] = FORMATS) -> tuple[str, ...]:
    """Formats from text, "svg,png", in the order of those that are known. Raises InputError."""
    asked = [word.strip().lower() for word in text.split(",")]
    for word in asked:
        if word not in known:
            raise InputError(f"format is {word!r}, allowed are {', '.join(known)}, separated by commas")
    return tuple(word for word in known if word in asked)


def without_mathematics(figure: "Figure") -> None:
    """Write powers on logarithmic axes in plain characters, "10⁻³", as no text is read as mathematics."""
    from matplotlib.ticker import Formatter, LogFormatterMathtext

    class Plain(Formatter):
        def __init__(self, of: Formatter):
            self.of = of

        def set_axis(self, axis: Any) -> None:
            super().set_axis(axis)
            self.of.set_axis(axis)

        def set_locs(self, locs: Any) -> None:
            self.of.set_locs(locs)

        def __call__(self, x: float, pos: int | None = None) -> str:
            text = re.sub(r"\\mathdefault|[${}]", "", self.of(x, pos)).replace(r"\times", "×")
            return re.sub(r"\^(.*)", lambda m: m[1].translate(RAISED), text)

    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if isinstance(major := axis.get_major_formatter(), LogFormatterMathtext):
            axis.set_major_formatter(Plain(major))
        if isinstance(minor := axis.get_minor_formatter(), LogFormatterMathtext):
            axis.set_minor_formatter(Plain(minor))


def save(
    figure: "Figure", stem: Path, formats: Iterable[str] = USUAL, dpi: int = DPI, about: dict[str, Any] | None = None
) -> list[Path]:
    """Write stem.svg, stem.pdf and the like, the same bytes every time, and close the figure.

    formats: of FORMATS. dpi: dots per inch of those that have dots. about: what each says of itself, see `about`.
    """
    from matplotlib.text import Text

    paths = []
    for form in formats:
        buffer = io.BytesIO()
        told = {} if about is None else {"Title": stem.name, ABOUT[form]: json.dumps(about)}
        figure.savefig(buffer, format=form, metadata=FORMATS[form] | told, dpi=dpi)
        if mark := next((m for text in figure.findobj(Text) if (m := acting(text.get_text()))), ""):
            raise InputError(f"{stem.name} draws the character {mark!a}, which would act on a terminal: take it out")
        path = stem.with_name(f"{stem.name}.{form}")
        write(path, buffer.getvalue(), through=True)
        paths.append(path)
    pyplot().close(figure)
    return paths


def about(path: Path) -> dict[str, Any]:
    """What a picture that `save` wrote says of itself. Raises InputError where it is none, or says nothing."""
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise InputError(f"{path} is no picture of a figure: give one of {', '.join('.' + each for each in FORMATS)}")
    try:
        content = content_of(path, LARGEST)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({reason(error)}): name another file") from None
    try:
        found = json_in(_READERS[form](content))
        if not isinstance(found, dict):
            raise ValueError
    except Exception:  # decoders of pictures raise what they like at foreign bytes
        raise InputError(f"{path} does not say what it was drawn from: draw it again") from None
    return found


def svg_of(content: bytes) -> Element:
    """The root of an SVG as those that `save` writes: no entities, which could fill the memory, and no deep nesting.

    Raises:
        ValueError, LookupError, SyntaxError: it is none; LookupError of an unknown encoding.
    """
    if b"<!ENTITY" in content:
        raise ValueError("it declares entities")
    parser = XMLParser(target=_Shallow())
    parser.feed(content)
    return parser.close()


class _Shallow(TreeBuilder):
    """Refuses elements nested deeper than DEPTH, and more than MOST of them and their attributes."""

    depth = parts = 0

    def start(self, tag: Any, attrs: Any) -> Any:
        self.depth += 1
        self.parts += 1 + len(attrs)
        if self.depth > DEPTH or self.parts > MOST:
            raise ValueError("nested too deeply, or of too many elements")
        return super().start(tag, attrs)

    def end(self, tag: str) -> Element:
        self.depth -= 1
        return super().end(tag)


def _of_svg(content: bytes) -> str:
    found = svg_of(content).find(".//{http://purl.org/dc/elements/1.1/}description")
    return "" if found is None else found.text or ""


def _of_pdf(content: bytes) -> str:
    found = re.search(rb"/Subject \(((?:[^\\()]++|\\.)*+)\)", content, re.DOTALL)
    return re.sub(rb"\\(.)", rb"\1", found[1]).decode("ascii") if found else ""


def _of_png(content: bytes) -> str:
    from PIL.PngImagePlugin import PngImageFile

    with PngImageFile(io.BytesIO(content)) as image:  # of any size, as with --dpi 2400: no pixel is decoded
        return str(image.info["Description"])


_READERS = {"svg": _of_svg, "pdf": _of_pdf, "png": _of_png}
