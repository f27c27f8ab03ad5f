"""A drawn figure's SVG as an element of a page, written anew from allowed elements and attributes."""

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from xml.etree.ElementTree import Element

from rethinking.errors import InputError
from rethinking.files import text_of
from rethinking.plotting import LARGEST, svg_of
from rethinking.report.model import visible

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
# What a picture may hold. A style sheet would act on the whole page, and metadata says nothing to its readers.
ELEMENTS = {"svg", "g", "defs", "clipPath", "path", "use", "rect", "circle", "ellipse", "line", "polyline", "polygon"}
ELEMENTS |= {"image", "text", "tspan", "linearGradient", "radialGradient", "stop", "pattern", "mask"}
ATTRIBUTES = {"id", "d", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "width", "height", "points"}
ATTRIBUTES |= {"transform", "style", "clip-path", "clip-rule", "mask", "fill", "stroke", "opacity", "offset", "viewBox"}
ATTRIBUTES |= {"gradientUnits", "gradientTransform", "patternUnits", "preserveAspectRatio", "text-anchor", "href"}
VIEW = r"(-?\d{1,9}(\.\d*)? ){2}\d{1,9}(\.\d*)? \d{1,9}(\.\d*)?"  # left, top, width, height
ROUNDED = {"d", "x", "y", "points", "width", "height"}  # to a hundredth of a point


Glyphs = dict[tuple[str | None, str | None], str]  # by outline and transform the id that they have on the page


def picture(path: Path, label: str, prefix: str, glyphs: Glyphs) -> str:
    """An SVG file as an element of a page: of allowed parts only, its ids of its own, as wide as there is room.

    Args:
        path: the file. label: what a screen reader says. prefix: begins every id, unlike another picture's. glyphs:
        those that the page has; it is given this picture's, so that none is drawn twice on a page.

    Raises:
        InputError: a file that is missing or not an SVG.
    """
    again = "draw its figure again with --redraw"
    text = text_of(path, again, LARGEST)
    try:
        root = svg_of(text.encode())
    except (ValueError, LookupError, SyntaxError):
        raise InputError(f"{path} cannot be read (not an SVG): {again}") from None
    if root.tag != f"{SVG}svg" or not re.fullmatch(VIEW, root.get("viewBox", "")):
        raise InputError(f"{path} cannot be read (not an SVG with a viewBox): {again}")
    used = set(re.findall(r'(?:url\(|xlink:href="|href=")#([^)"]+)', text))
    ids = {name: f"{prefix}-{k}" for k, name in enumerate(sorted(used))}
    width = float(root.get("viewBox", "").split()[2])
    out = [
        f'<svg class="picture" viewBox="{root.get("viewBox")}" style="max-width:{width / 72 * 1.35:.1f}in" role="img" '
        f'focusable="false" aria-label="{escape(visible(label))}">'
    ]
    for child in root:
        _draw(child, ids, glyphs, out)
    return "".join([*out, "</svg>"])


def _draw(element: Element, ids: dict[str, str], glyphs: Glyphs, out: list[str]) -> None:
    """Append the element as text, where it is allowed. ids: those that are referred to, with their names here."""
    name = str(element.tag).removeprefix(SVG)
    if name not in ELEMENTS:
        return
    if name == "path" and element.get("id") in ids and set(element.keys()) <= {"id", "d", "transform"}:
        own = ids[element.attrib["id"]]
        shared = glyphs.setdefault((element.get("d"), element.get("transform")), own)
        if shared != own:
            ids[element.attrib["id"]] = shared
            return
    attributes = [f' {key}="{escape(visible(value))}"' for key, value in _attributes(name, element, ids)]
    inside: list[str] = [escape(visible(element.text or ""))] if name in ("text", "tspan") else []
    for child in element:
        _draw(child, ids, glyphs, inside)
    if not inside and name in ("g", "defs"):
        return
    bare = name == "g" and not attributes  # groups nothing
    if inside:
        out += inside if bare else [f"<{name}", *attributes, ">", *inside, f"</{name}>"]
    else:
        out += [f"<{name}", *attributes, "/>"]


def _attributes(name: str, element: Element, ids: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The element's allowed attributes: ids renamed, coordinates rounded, no address but of this picture."""
    for key, value in element.items():
        key = "href" if key == HREF else key
        if key not in ATTRIBUTES:
            continue
        if key == "id":
            if value in ids:
                yield key, ids[value]
        elif key == "href":
            if value[:1] == "#" and value[1:] in ids:
                yield key, f"#{ids[value[1:]]}"
            elif name == "image" and value.startswith("data:image/png;"):
                yield key, value
        elif key in ROUNDED:
            yield key, _rounded(value)
        else:
            value = re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{ids.get(m[1], '')})", value)
            if not re.search(r"url\((?!#)|[\\@]|image-set|/\*", value):
                yield key, re.sub(r"([:;]) ", r"\1", value) if key == "style" else value


def _rounded(path: str) -> str:
    """Coordinates to a hundredth, without the spaces that separate nothing."""
    text = re.sub(r"-?\d+\.\d{2,}(?![\de])", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), path)
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", text.strip()) if "e" not in text else text
