"""The results as one HTML page that needs nothing else: a scoreboard, every claim, every figure, a discussion guide.

The page is page.html, filled by jinja2 with autoescape on. Figures are inline SVG that is written anew from an allowed
set of elements and attributes, so that nothing of a picture can run. The page's own script is named by its hash in a
content security policy, which forbids every other script and every request.
"""

import base64
import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from rethinking import catalog, claims, figures
from rethinking.claims import EXTENSION, NOT_JUDGED, NOT_REPLICATED, NOT_RUN, REPLICATED
from rethinking.errors import InputError
from rethinking.paths import write
from rethinking.record import Runs
from rethinking.report import model
from rethinking.report.model import Artefact, Judged, Result, visible

LARGEST = 3_000_000  # bytes of the page
TEMPLATE = "page.html"
SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
# What a picture may hold. A style sheet would act on the whole page, and metadata says nothing to its readers.
ELEMENTS = {"svg", "g", "defs", "clipPath", "path", "use", "rect", "circle", "ellipse", "line", "polyline", "polygon"}
ELEMENTS |= {"image", "text", "tspan", "linearGradient", "radialGradient", "stop", "pattern", "mask"}
ATTRIBUTES = {"id", "d", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "width", "height", "points"}
ATTRIBUTES |= {"transform", "style", "clip-path", "clip-rule", "mask", "fill", "stroke", "opacity", "offset", "viewBox"}
ATTRIBUTES |= {"gradientUnits", "gradientTransform", "patternUnits", "preserveAspectRatio", "text-anchor", "href"}
ROUNDED = {"d", "x", "y", "points", "width", "height"}  # to a hundredth of a point

# What a reading group can ask of each of the paper's figures and tables, and what would change our mind.
QUESTIONS: dict[str, tuple[list[str], str]] = {
    "Figure 1(a)": (
        [
            "Why do random pixels and Gaussian images fit earlier than random labels on natural images?",
            "Which explanation of generalization survives when the same network fits noise?",
        ],
        "A network of the paper's size that is trained to the end and does not fit one of the five conditions.",
    ),
    "Figure 1(b)": (
        [
            "The paper calls the factor small and constant: small compared with what?",
            "Does the slowdown measure how hard the labels are, or how the optimizer copes with them?",
        ],
        "A factor that grows with the number of images, or that leaves the paper's range at some corruption.",
    ),
    "Figure 1(c)": (
        [
            "Between true and random labels, what part of the test error is noise in the labels alone?",
            "Would a network that stopped before it fits the corrupted labels have a lower test error?",
        ],
        "A test error that does not rise with the corruption, or that leaves chance at fully random labels.",
    ),
    "Figure 2(a)": (
        ["Early stopping helps on ImageNet in the paper: what differs from CIFAR-10?"],
        "Runs on ImageNet; there are none here.",
    ),
    "Figure 2(b)": (
        ["Does batch normalization regularize, or does it ease optimization, and how could one tell?"],
        "A gain of early stopping on CIFAR-10 that is larger than the range over seeds.",
    ),
    "Table 1": (
        [
            "If each regularizer moves test accuracy by a few points, what carries the rest of generalization?",
            "How large must a change be before one seed can show it?",
        ],
        "More seeds in which a change has the other sign, or weight decay of the strength that the paper used.",
    ),
    "Table 2": (
        ["How far can a network with random labels of a million images go in the time that true ones take?"],
        "Runs on ImageNet; there are none here.",
    ),
    "Table 3": (
        [
            "A larger norm comes with the smaller test error: what does this say of norm as a measure of complexity?",
            "Which choice of kernel or whitening would close the gap to the paper's error on CIFAR-10?",
        ],
        "The paper's own preprocessing, if it gave its error with our solver.",
    ),
    "Table 4": (
        ["Does a regularizer that lets random labels be fitted still restrict what the network learns?"],
        "A regularizer at its usual strength that keeps random labels from being fitted, in every seed.",
    ),
    "Theorem 1": (
        ["The construction depends on the data: what does it say of networks that SGD finds?"],
        "A sample of distinct points that the construction does not fit to the precision of its arithmetic.",
    ),
    "Section 5": (
        ["SGD picks the solution of minimum norm in a linear model: is there an analogue for deep networks?"],
        "A linear model on which SGD from zero converges to another solution.",
    ),
}

# The summary: English, Chinese. Numbers come by name from `values`; a sentence whose numbers are not there is left out.
SENTENCES = [
    (
        "The paper claims that networks which generalize well also fit labels and images that are noise, and that "
        "explicit regularization does not stop them.",
        "论文主张：泛化良好的网络同样能拟合随机标签和噪声图像，而显式正则化并不能阻止这一点。",
    ),
    (
        "Here {own} of its claims are stated with a rule of judgement: {verdicts}.",
        "本项目把论文的 {own} 条主张写成带有判定规则的陈述：{verdicts_zh}。",
    ),
    (
        "{full} of them are about all {all_images} images; all results rest on {records} records of runs.",
        "其中 {full} 条针对全部 {all_images} 张图像；所有结果来自 {records} 条运行记录。",
    ),
    (
        "With random labels mlp-3x512 reaches {random_fit} % training accuracy and {random_test} % test accuracy.",
        "使用随机标签时，mlp-3x512 的训练准确率为 {random_fit} %，测试准确率为 {random_test} %。",
    ),
    (
        "With true labels the same network reaches {true_test} % test accuracy.",
        "使用真实标签时，同一网络的测试准确率为 {true_test} %。",
    ),
    (
        "Fitting random labels takes mlp-1x512 {slower} times the steps of fitting true ones.",
        "mlp-1x512 拟合随机标签所需的步数是拟合真实标签的 {slower} 倍。",
    ),
    (
        "With weight decay mlp-3x512 reaches {decayed_fit} % training accuracy on random labels.",
        "加入权重衰减后，mlp-3x512 在随机标签上的训练准确率为 {decayed_fit} %。",
    ),
    (
        "Weight decay changes AlexNet's test accuracy by {decay} points, by {paper_decay} in the paper, which does not "
        "state its strength.",
        "权重衰减使 AlexNet 的测试准确率变化 {decay} 个百分点，论文中为 {paper_decay}，但论文没有说明其强度。",
    ),
    (
        "The two-layer network of Theorem 1 has {weights} weights here and fits random labels with a largest error of "
        "{error}.",
        "定理 1 的两层网络在这里有 {weights} 个权重，拟合随机标签的最大误差为 {error}。",
    ),
    (
        "Extensions are counted apart ({extensions}); of the paper's figures and tables, {gone} are not run.",
        "扩展实验另行统计（{extensions_zh}）；论文的图表中，{gone_zh} 尚未运行。",
    ),
]
CHINESE = {
    REPLICATED: "已复现",
    NOT_REPLICATED: "未复现",
    NOT_RUN: "未运行",
    NOT_JUDGED: "在此规模下不判定",
    EXTENSION[REPLICATED]: "成立",
    EXTENSION[NOT_REPLICATED]: "不成立",
    EXTENSION[NOT_JUDGED]: "不判定",
    "no claims": "没有主张",
    "Figure": "图",
    "Table": "表",
    "Theorem": "定理",
    "Section": "章节",
}


def page(found: Sequence[Result], folder: Path) -> str:
    """The page of `found`, whose pictures are the .svg files of `folder`.

    Raises:
        InputError: a picture that is missing or not an SVG; a page larger than LARGEST.
    """
    shared = model.departures(found)
    networks = sorted(catalog.names("models"), key=len, reverse=True)
    told = [_claim(result, claim, networks) for result in found for claim in result.judged]
    rows = [row | {"anchor": f"claim-{k}"} for k, row in enumerate(told)]
    sections = [
        _figure(result, k, folder, shared, [row for row in rows if row["result"] is result])
        for k, result in enumerate(found)
    ]
    own = [claim for result in found for claim in result.judged if claim.own]
    board = model.scoreboard(found)
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, finalize=_shown)
    script = loader.get_source(environment, TEMPLATE)[0].partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals["anchor"] = anchor
    text = environment.get_template(TEMPLATE).render(
        digest=digest,
        sentences=sentences(found),
        board=[_row(row) for row in board],
        effects=_effects(found),
        claims=rows,
        choices={key: sorted({v for row in rows for v in row[key]}) for key in FILTERS},
        filters=FILTERS,
        figures=sections,
        departures=[
            {"number": number, "text": text, "by": [r.stem for r in found if text in r.numbers["departures"]]}
            for text, number in shared.items()
        ],
        guide=[_guide(row) for row in board],
        summary=_values(found)
        | {
            "hours": f"{sum(_seconds(found).values()) / 3600:,.0f}",
            "missing": f"{len({run for r in found for run in r.numbers['missing']}):,}",
            "refuted": [row for row in rows if row["judged"].verdict == NOT_REPLICATED],
            "one_seed": sum(c.seeds == 1 for c in own if c.verdict in (REPLICATED, NOT_REPLICATED)),
            "judged": sum(c.verdict in (REPLICATED, NOT_REPLICATED) for c in own),
        },
    )
    size = len(text.encode())
    if size > LARGEST:
        raise InputError(f"the page would have {size:,} bytes, allowed are {LARGEST:,}: move figures out of {folder}")
    return text


def save(path: Path, runs: Runs, folder: Path) -> int:
    """Write the page of all drawn figures of `folder` that is evidence, and return its bytes. Raises InputError."""
    if path.is_dir():
        raise InputError(f"--html {path} is a folder: name a file, as {path / 'results.html'}")
    text = page(model.results(runs, folder), folder)
    try:
        write(path, text)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}): name another with --html") from None
    return len(text.encode())


def anchor(stem: str) -> str:
    """The id of a figure's section."""
    return "figure-" + re.sub(r"[^\w.-]", "_", stem)


def _shown(value: Any) -> Any:
    """A template's value; text without characters that act on a terminal or turn the line around."""
    return visible(value) if type(value) is str else value


# --- parts of the page -----------------------------------------------------------------------------

FILTERS = {
    "whose": "whose claim",
    "verdict": "verdict",
    "figure": "figure",
    "network": "network",
    "scale": "scale",
    "size": "size",
}


def _claim(result: Result, judged: Judged, networks: Sequence[str]) -> dict[str, Any]:
    """A claim with what it can be filtered by. networks: the longest name first, as one can be part of another."""
    left, named = f"{judged.id} {judged.statement} {result.setting.model}".lower(), []
    for name in networks:
        shorn = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", " ", left)
        if shorn != left:
            named.append(name)
        left = shorn
    return {
        "judged": judged,
        "result": result,
        "whose": ["the paper's own" if judged.own else "extension"],
        "verdict": [judged.verdict],
        "figure": [result.stem],
        "network": sorted(named) or ["none named"],
        "scale": [result.setting.scale],
        "size": [judged.size],
        "says": judged.paper if judged.own else f"{judged.source}: {judged.paper}",
        "mark": mark(judged.verdict),
        "n": ", ".join(f"{n:,}" for n in judged.n),
        "least": min(judged.n, default=0),
    }


def mark(verdict: str) -> str:
    """The class of a verdict: yes, no or open."""
    positive, negative = (REPLICATED, EXTENSION[REPLICATED]), (NOT_REPLICATED, EXTENSION[NOT_REPLICATED])
    return "yes" if verdict in positive else "no" if verdict in negative else "open"


def _row(row: Artefact) -> dict[str, Any]:
    return {"name": row.name, "about": row.about, "status": row.status, "stems": row.stems} | {
        "counts": model.counts(row.judged)
    }


def _figure(
    result: Result, number: int, folder: Path, shared: dict[str, str], rows: list[dict[str, Any]]
) -> dict[str, Any]:
    texts = result.numbers["departures"]
    caption = result.numbers["caption"]
    return {
        "stem": result.stem,
        "title": result.title,
        "caption": caption,
        "svg": Markup(picture(folder / f"{result.stem}.svg", f"{result.title}: {caption}", f"p{number}")),
        "tables": tables(result),
        "claims": rows,
        "counts": [
            (title, model.counts(c for c in result.judged if c.own == own))
            for own, title in ((True, "the paper's own claims"), (False, "extensions"))
            if any(c.own == own for c in result.judged)
        ],
        "departures": [text for text in texts if text not in shared],
        "shared": [shared[text] for text in texts if text in shared],
        "command": result.command,
        "runs": f"{len(result.numbers['runs']):,}",
        "missing": f"{len(result.numbers['missing']):,}",
        "hours": f"{model.hours(result):,.1f}",
        "commits": model.commits(result),
        "scale": result.setting.scale,
        "sizes": ", ".join(f"{n:,}" for n in result.sizes),
    }


def tables(result: Result) -> list[tuple[list[str], list[list[str]]]]:
    """The data behind a figure: (head, rows of cells); a row of other columns begins another table."""
    grouped = groupby(result.numbers.get("table", []), key=list)
    return [(head, [[model.as_text(v) for v in row.values()] for row in rows]) for head, rows in grouped]


def _effects(found: Iterable[Result]) -> list[tuple[list[str], list[list[str]]]]:
    return next((tables(result) for result in found if result.name == "effects"), [])


def _guide(row: Artefact) -> dict[str, Any]:
    """The discussion of an artefact; thin: what its evidence lacks."""
    questions, mind = QUESTIONS[row.name]
    judged = [c for c in row.judged if c.verdict not in (NOT_RUN, NOT_JUDGED)]
    gone = [c.id for c in row.judged if c.verdict == NOT_RUN]
    thin = [f"{len(gone)} of {len(row.judged)} claims are not run: {', '.join(gone)}."] if gone else []
    one = [c.id for c in judged if c.seeds == 1]
    thin += [f"{len(one)} of {len(judged)} judged claims rest on one seed: {', '.join(one)}."] if one else []
    small = [c.id for c in judged if c.size == "reduced"]
    thin += [f"{len(small)} are judged on fewer than {figures.FULL:,} images: {', '.join(small)}."] if small else []
    thin += [] if row.judged else ["There are no runs."]
    return _row(row) | {"questions": questions, "mind": mind, "thin": thin}


# --- numbers in prose ------------------------------------------------------------------------------


def _seconds(found: Iterable[Result]) -> dict[str, float]:
    """Of every run that a figure uses, once."""
    return {run: made["seconds"] or 0 for result in found for run, made in result.numbers["runs"].items()}


def _values(found: Sequence[Result]) -> dict[str, str]:
    """Numbers for prose, by name; those of a claim that is not judged are not there."""
    own = [claim for result in found for claim in result.judged if claim.own]
    more = [claim for result in found for claim in result.judged if not claim.own]
    gone = [row.name for row in model.scoreboard(found) if row.status == NOT_RUN]
    out = {
        "own": str(len(own)),
        "verdicts": model.counts(own),
        "verdicts_zh": _chinese_counts(own),
        "full": str(sum(c.size == "full size" for c in own)),
        "all_images": f"{figures.FULL:,}",
        "records": f"{len(_seconds(found)):,}",
        "extensions": f"{len(more)} claims, {model.counts(more)}",
        "extensions_zh": f"{len(more)} 条：{_chinese_counts(more)}",
        "gone": ", ".join(gone) or "none",
        "gone_zh": "、".join(re.sub("[A-Z][a-z]+", lambda m: CHINESE[m[0]], name) for name in gone) or "没有",
    }
    numbers = {c["id"]: c for result in found for c in result.numbers["claims"] if c["own"] and c["ours"]}
    for name, claim, key, form in (
        ("random_fit", "table1.mlp-3x512.random_labels", "training accuracy (%)", ".2f"),
        ("random_test", "table1.mlp-3x512.random_labels", "test accuracy (%)", ".2f"),
        ("true_test", "table1.mlp-3x512", "test accuracy (%)", ".2f"),
        ("slower", "fig1b.slower.mlp-1x512", "p = 1", ".2f"),
        ("decayed_fit", "table4.mlp-3x512.weight_decay", "training accuracy (%)", ".2f"),
        ("decay", "effects.weight_decay.alexnet", "change (points)", "+.2f"),
        ("weights", "theorem1.weights", "weights", ",.0f"),
        ("error", "theorem1.fits", "largest error", ".1e"),
    ):
        there = [v for v in numbers.get(claim, {}).get("numbers", {}).get(key, []) if v is not None]
        if there:
            out[name] = format(claims.median(there), form)
            out[f"paper_{name}"] = numbers[claim]["paper"].removesuffix(" points")
    return out


def _chinese_counts(judged: Iterable[Judged]) -> str:
    """The same as model.counts, in Chinese."""
    text = model.counts(judged)
    parts = [re.fullmatch(r"(\d+) (.+)", part) for part in text.split(", ")]
    return "、".join(f"{part[1]} 条{CHINESE[part[2]]}" if part else CHINESE[text] for part in parts)


def sentences(found: Sequence[Result]) -> list[tuple[str, str]]:
    """The summary, a pair of English and Chinese for each sentence."""
    values = _values(found)
    there = [pair for pair in SENTENCES if set(re.findall(r"{(\w+)}", "".join(pair))) <= values.keys()]
    return [(english.format(**values), chinese.format(**values)) for english, chinese in there]


# --- pictures --------------------------------------------------------------------------------------


def picture(path: Path, label: str, prefix: str) -> str:
    """An SVG file as an element of a page: of allowed parts only, its ids of its own, as wide as there is room.

    Args:
        path: the file. label: what a screen reader says. prefix: begins every id, unlike another picture's.

    Raises:
        InputError: a file that is missing or not an SVG.
    """
    try:
        root = ET.fromstring(path.read_bytes())
    except (OSError, ET.ParseError) as error:
        reason = getattr(error, "strerror", None) or "not an SVG"
        raise InputError(f"{path} cannot be read ({reason}): draw its figure again with --redraw") from None
    if root.tag != f"{SVG}svg" or not re.fullmatch(r"[-\d. ]+", root.get("viewBox", "")):
        raise InputError(f"{path} cannot be read (not an SVG with a viewBox): draw its figure again with --redraw")
    used = set(re.findall(r'(?:url\(|xlink:href="|href=")#([^)"]+)', path.read_text("utf-8")))
    ids = {name: f"{prefix}-{k}" for k, name in enumerate(sorted(used))}
    width = float(root.get("viewBox", "").split()[2])
    out = [
        f'<svg class="picture" viewBox="{root.get("viewBox")}" style="max-width:{width / 72 * 1.35:.1f}in" role="img" '
        f'focusable="false" aria-label="{escape(visible(label))}">'
    ]
    for child in root:
        _draw(child, ids, out)
    return "".join([*out, "</svg>"])


def _draw(element: ET.Element, ids: dict[str, str], out: list[str]) -> None:
    """Append the element as text, where it is allowed. ids: those that are referred to, with their names here."""
    name = str(element.tag).removeprefix(SVG)
    if name not in ELEMENTS:
        return
    attributes = [f' {key}="{escape(visible(value))}"' for key, value in _attributes(name, element, ids)]
    inside: list[str] = [escape(visible(element.text or ""))] if name in ("text", "tspan") else []
    for child in element:
        _draw(child, ids, inside)
    if not inside and name in ("g", "defs"):
        return
    bare = name == "g" and not attributes  # groups nothing
    if inside:
        out += inside if bare else [f"<{name}", *attributes, ">", *inside, f"</{name}>"]
    else:
        out += [f"<{name}", *attributes, "/>"]


def _attributes(name: str, element: ET.Element, ids: dict[str, str]) -> Iterator[tuple[str, str]]:
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
