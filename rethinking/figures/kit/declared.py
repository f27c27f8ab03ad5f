"""From a declared figure to its runs, its picture, its numbers and its verdicts."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import product
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rethinking import claims as verdicts
from rethinking.claims import Reading, Records, Specs
from rethinking.errors import InputError
from rethinking.figures._setting import ALL, usual_model
from rethinking.figures.kit.claim import Claim
from rethinking.figures.kit.curves import Curves
from rethinking.figures.kit.frame import Condition, Conditions, Frame, Untold
from rethinking.figures.kit.lines import Lines
from rethinking.figures.kit.measures import Measure, highest
from rethinking.figures.kit.panels import Panel, missing_note, of_one_seed, title
from rethinking.figures.kit.points import Points
from rethinking.figures.kit.rows import Rows
from rethinking.plotting import NAMES, WIDTH
from rethinking.record import Record
from rethinking.spec import ProbeSpec, RunSpec, Spec

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

    from rethinking.figures._setting import Setting


def is_declared(module: ModuleType) -> bool:
    """Whether a figure's file declares a grid."""
    return hasattr(module, "GRID") or hasattr(module, "grid")


def declared(module: ModuleType, setting: "Setting", what: str) -> Any:
    """A part of a figure, "grid", "panels", "claims", "notes", that its file has as a constant or as a function.

    The function is given the setting. There need not be notes.
    """
    if hasattr(module, what):
        return getattr(module, what)(setting)
    return getattr(module, "NOTES", []) if what == "notes" else getattr(module, what.upper())


def readings_of(module: ModuleType) -> list[Condition]:
    """The coordinates at which measures with parameters read every run; one without any where there are none."""
    at = getattr(module, "READ_AT", {})
    return [dict(zip(at, values, strict=True)) for values in product(*at.values())]


Asked = list[tuple[str, Condition, int, Spec]]


def _asked(module: ModuleType, setting: "Setting") -> Asked:
    """(label, condition, seed, spec) of every run."""
    grid: Conditions = declared(module, setting, "grid")
    out = []
    for condition in grid:
        seeds = range(setting.seeds)
        if hasattr(module, "seeds"):
            seeds = module.seeds(setting, **condition)
        elif usual_model(module) == ALL:  # of several networks, though it may be drawn of one
            first = module.spec(setting, 0, **condition)
            run = first.run if isinstance(first, ProbeSpec) else first
            seeds = setting.seeds_of(run.model) if isinstance(run, RunSpec) else seeds
        label = grid.label(condition)
        out += [(label, condition, seed, module.spec(setting, seed, **condition)) for seed in seeds]
    return out


def runs(module: ModuleType, setting: "Setting") -> Specs:
    """The specs by the label of their condition, one a seed."""
    wanted: Specs = {}
    for label, _, _, spec in _asked(module, setting):
        wanted.setdefault(label, []).append(spec)
    return wanted


def measures_of(module: ModuleType, setting: "Setting") -> list[Measure]:
    """Every measure that a figure's table and panels name, and those in its MEASURES, which its rules alone read."""
    shown = ("x", "y", "interval")
    axes = [getattr(panel, axis, None) for panel in declared(module, setting, "panels") for axis in shown]
    named = [*getattr(module, "MEASURES", ()), highest()]
    for what in (*module.TABLE.columns.values(), *axes):
        parts = what.values() if isinstance(what, dict) else what if isinstance(what, tuple) else [what]
        named += [m for m in parts if isinstance(m, Measure)]
    return list({m.name: m for m in named}.values())


def frame(
    module: ModuleType, setting: "Setting", records: Records, asked: Asked | None = None
) -> tuple[Frame, list[Record | None], list[str]]:
    """The frame of a figure's runs, with the record and the condition's label of each row: one a run and reading.

    Args:
        records: by label, one a seed; conditions that are not among them are left out. asked: every run, where known.
    """
    rows, found, labels = [], [], []
    counts: dict[str, int] = {}
    for label, condition, seed, spec in asked or _asked(module, setting):
        if label not in records:
            continue
        record = records[label][counts.get(label, 0)]
        counts[label] = counts.get(label, 0) + 1
        for reading in readings_of(module):
            rows.append((condition | reading, seed, spec.n, spec.run_id, record))
            found.append(record)
            labels.append(label)
    full = getattr(module, "TRAINING_IMAGES", setting.subject.full)
    return Frame.of(rows, measures_of(module, setting), full), found, labels


def numbers_and_picture(
    module: ModuleType, setting: "Setting", records: Records
) -> tuple[dict[str, Any], Callable[[], "MatplotlibFigure"]]:
    """The numbers for the drawn figure's file, and what draws its picture of the same frame."""
    table, found, labels = frame(module, setting, records)
    once = table.where(**readings_of(module)[0])  # a row a run
    panels = declared(module, setting, "panels")
    sizes = sorted({int(n) for n in table.data["n"]})
    numbers: dict[str, Any] = {"finding": _finding(module, setting, table)} if hasattr(module, "finding") else {}
    numbers |= {"n": sizes, "table": module.TABLE.rows(table, labels)}
    if curves := [panel for panel in panels if isinstance(panel, Curves)]:
        drawn = {i for panel in curves for i in once.where(**panel.only).data.index}
        chosen = [i for i in once.data.index if i in drawn]
        columns = dict.fromkeys(c for panel in curves for c in panel.columns)
        numbers["series"] = _series([found[i] for i in chosen], [labels[i] for i in chosen], columns)
    for panel in (each for each in panels if getattr(each, "series", None)):
        numbers.setdefault("series", {}).update(panel.series(table, found))
    return numbers, lambda: _picture(module, setting, _apart(setting, panels), table, found)


def _apart(setting: "Setting", panels: Sequence[Any]) -> Sequence[Any]:
    """The panels; of other data than the paper's, whose curves may lie anywhere, a legend stands below, not on them."""
    shown = [panel for panel in panels if isinstance(panel, Curves | Lines | Points) and panel.legend]
    if setting.subject.papers or len(shown) != 1 or str(shown[0].legend).startswith("outside"):
        return panels
    return [replace(panel, legend="outside lower center") if panel is shown[0] else panel for panel in panels]


def _finding(module: ModuleType, setting: "Setting", table: Frame) -> str | None:
    """What a figure finds, in a sentence; None where numbers are gone.

    It has the name of other data than the paper's, and says where some of its runs are of fewer images than there are.
    """
    network = getattr(module, "NETWORK", setting.model)
    try:
        sentence = module.finding(table, NAMES.get(network, network))
    except Untold:
        return None
    if not sentence:
        return None
    of = "" if setting.subject.papers else f"{setting.subject.name}: "
    least, most = int(table.data["n"].min()), int(table.data["n"].max())
    few = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    named = re.search(r"\d images", sentence)  # the sentence says of how many
    size = f" ({few} images)" if least < table.data["all"].max() and not named else ""
    return of + re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", sentence) + size


def _picture(
    module: ModuleType, setting: "Setting", panels: Sequence[Any], table: Frame, found: Sequence[Record | None]
) -> "MatplotlibFigure":
    import matplotlib.pyplot as plt

    once = table.where(**readings_of(module)[0])  # a row a run
    rows = [panel for panel in panels if isinstance(panel, Rows)]
    beside = any(isinstance(panel, Panel) and (panel.legend or "").startswith("outside right") for panel in panels)
    width = WIDTH if rows or beside or len(panels) > 1 else WIDTH * 0.7
    height = max((panel.height(table) for panel in rows), default=getattr(module, "HEIGHT", 3.0))
    shared = len(rows) == len(panels)
    across = getattr(module, "ACROSS", len(panels))
    size, down = (width, height), -(-len(panels) // across)
    picture, axes = plt.subplots(down, across, figsize=size, squeeze=False, sharey=shared)
    for one, panel in zip(axes.flat, panels, strict=True):
        panel.draw(one, once if isinstance(panel, Curves) else table, found)
    for first, *others in axes:  # a row's label is said once
        for one in others:
            one.set_ylabel("" if one.get_ylabel() == first.get_ylabel() else one.get_ylabel())
    notes = dict.fromkeys(panel.note for panel in panels if isinstance(panel, Panel))
    told = [note if table.data["seed"].nunique() > 1 else of_one_seed(note) for note in notes]
    own = declared(module, setting, "notes")
    if hasattr(module, "heading"):
        head = module.heading(setting) + missing_note(once)
    else:
        head = title(getattr(module, "NETWORK", setting.model), once, setting.subject.name)
    picture.suptitle("\n".join(filter(None, [head, *told, *own])))
    return picture


def _series(
    found: Sequence[Record | None], labels: Sequence[str], drawn: Iterable[str]
) -> dict[str, list[dict[str, Any] | None]]:
    """Columns of the curves by condition; null for what is not finite."""
    columns = dict.fromkeys(("step", "epoch", "train_loss", "train_accuracy", "test_accuracy", *drawn))
    out: dict[str, list[dict[str, Any] | None]] = {}
    for label, record in zip(labels, found, strict=True):
        group = out.setdefault(label, [])
        if record is None:
            group.append(None)
            continue
        curve = {c: [v if math.isfinite(v) else None for v in record.curve[c]] for c in columns if c in record.curve}
        group.append({"run": record.path.name, **curve})
    return out


def claims(module: ModuleType, setting: "Setting") -> list[verdicts.Claim]:
    """The claims, each as a rule on records."""
    found, asked = declared(module, setting, "claims"), _asked(module, setting)
    known = {"seed", "n", "all", "most_steps", *getattr(module, "READ_AT", ())}
    known |= {m.name for m in measures_of(module, setting)} | {name for _, condition, *_ in asked for name in condition}
    for claim in found:
        unknown = sorted(claim.measured - known)
        if unknown:
            told = f"its examples have {unknown[0]!r}, which the figure does not measure"
            raise InputError(f"claim {claim.id}: {told}: put that measure into MEASURES, or take it out of them")
    return [_rule(module, setting, one, asked) for claim in found for one in claim.every(setting.model)]


def _rule(module: ModuleType, setting: "Setting", claim: Claim, asked: Asked) -> verdicts.Claim:
    grid, read_at = declared(module, setting, "grid"), getattr(module, "READ_AT", {})
    of_readings = {name: value for name, value in claim.where.items() if name in read_at}
    for name, wanted in claim.where.items():
        there = read_at[name] if name in read_at else {c.get(name) for c in grid}
        for value in wanted if isinstance(wanted, list | tuple) else [wanted]:
            if value not in there:
                known = ", ".join(map(repr, sorted(there, key=str)))
                raise InputError(f"claim {claim.id} is of {name} {value!r}, and the figure has {known}")

    def meant(condition: Condition) -> bool:
        return all(
            condition.get(name) in (value if isinstance(value, list | tuple) else [value])
            for name, value in claim.where.items()
            if name not in read_at
        )

    def measure(groups: dict[str, list[Record]]) -> Reading:
        whole, _, _ = frame(module, setting, {label: list(group) for label, group in groups.items()}, asked)
        table = whole.where(**of_readings)
        holds = claim.judged(table)
        return Reading(holds, *claim.summary(table), claim.answered(table, holds))

    other = setting.model != usual_model(module)
    named = other and not claim.id.endswith(f".{setting.model}")
    assert isinstance(claim.least_seeds, int)
    return verdicts.Claim(
        id=f"{claim.id}.{setting.model}" if named else claim.id,
        name=claim.name,
        source=claim.source + (", extended" if claim.own_network and other else ""),
        statement=claim.statement,
        paper=claim.paper,
        tolerance=claim.rule if setting.papers else claim.asked or claim.rule,
        conditions=tuple(grid.label(c) for c in grid if meant(c)),
        measure=measure,
        least_n=claim.least_n,
        least_seeds=claim.least_seeds,
    )
