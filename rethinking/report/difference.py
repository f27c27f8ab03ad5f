"""Two runs, or two folders of records, side by side: what differs in spec, environment, curve and verdict."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from rethinking import catalog, claims, figures, plotting
from rethinking.claims import Specs
from rethinking.errors import InputError
from rethinking.files import DAMAGED
from rethinking.paths import check_replaces
from rethinking.record import Record, Runs, digests, read
from rethinking.report.model import counted
from rethinking.revision import VERSION
from rethinking.spec import RunSpec, Spec
from rethinking.streams import plain

SEEDS = ("seed", "data_seed")
# A and B, apart in grey, too.
LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "black", "linestyle": "-", "linewidth": 2.2},
    {"color": "#E69F00", "linestyle": (0, (4, 2)), "linewidth": 1.3},
)
MARK = b'"compare": ['  # in what the plot says of itself
WIDEST = 100  # characters of a name below a plot
FEW = 5  # runs that a line names; the others are counted
OPEN = {claims.NOT_RUN, claims.NOT_JUDGED, claims.EXTENSION[claims.NOT_JUDGED]}  # no verdict
VARYING = ("seconds",)  # of an environment: differs from one making to the next
Pair = tuple[Record, Record]


@dataclass
class Difference:
    """What differs.

    Attributes:
        lines: in words. pairs: the records that were compared, for the plot.
    """

    lines: list[str] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)


def _told(value: Any) -> str:
    """A value of a spec or an environment in words: "weight_decay strength 0.0005", "yes", "none", "not said"."""
    if value is None:
        return "not said"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        own, rest = (value["name"], value["options"]) if value.keys() == {"name", "options"} else ("", value)
        return f"{own} {', '.join(f'{key} {_told(each)}' for key, each in rest.items())}".strip() or "none"
    if isinstance(value, list | tuple):
        return " and ".join(map(_told, value)) or "none"
    return str(value) or "none"


def _named(runs: Iterable[str]) -> str:
    names = sorted(runs)
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


def fields(a: Spec, b: Spec) -> dict[str, tuple[Any, Any]]:
    """The fields of two specs that differ, with both values; None where a spec's kind has no such field."""
    first, second = a.model_dump(mode="json"), b.model_dump(mode="json")
    keys = dict.fromkeys([*first, *second])
    return {k: (first.get(k), second.get(k)) for k in keys if first.get(k) != second.get(k)}


def environments(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What two runs were made with that differs, with both values; not how long they took."""
    keys = dict.fromkeys([*a, *b])
    return {k: (a.get(k), b.get(k)) for k in keys if k not in VARYING and a.get(k) != b.get(k)}


def outcome(record: Record) -> str:
    """How a run ended, in a phrase."""
    if record.result["status"] == "computed":
        return record.spec.summary(record.final)
    fit = record.steps_to_fit()
    reached = f"99 % training accuracy at step {fit:,}" if fit is not None else "99 % training accuracy not reached"
    test = record.final["test_accuracy"]
    ended = f"ended {record.ended}" if record.result["status"] != "diverged" else record.ended
    return f"{ended}, step {record.result['steps']:,}; {reached}; test accuracy {100 * test:.2f} %"


def of_runs(a: Record, b: Record) -> Difference:
    """Two runs, which need not be of one spec."""
    told = Difference(pairs=[(a, b)])
    differ = fields(a.spec, b.spec)
    told.lines += [f"spec: {k} {_told(x)} against {_told(y)}" for k, (x, y) in differ.items()] or ["spec: the same"]
    made = environments(a.environment, b.environment)
    told.lines += [f"environment: {k} {_told(x)} against {_told(y)}" for k, (x, y) in made.items()]
    told.lines += [] if made else ["environment: the same"]
    told.lines.append(f"curve: {_curve(a, b)}")
    ours, theirs = outcome(a), outcome(b)
    told.lines.append(f"verdict: {ours} against {theirs}" if ours != theirs else f"verdict: the same: {ours}")
    return told


def _curve(a: Record, b: Record) -> str:
    if a.spec == b.spec:
        difference = a.difference(b)
        if difference is None:
            return "the same, to the last bit"
    elif a.spec.columns != b.spec.columns:
        return "of other columns"
    else:
        difference = "of another spec"
    if "train_accuracy" not in a.curve or "train_accuracy" not in b.curve:
        return difference
    apart = a.apart(b)
    if apart is None:
        return f"{difference}; no evaluations at equal steps"
    return f"{difference}; training accuracy at most {100 * apart[0]:.2f} points apart, at step {apart[1]:,}"


def _read(root: Path) -> tuple[dict[str, Record], dict[str, str]]:
    """The sound records of a folder by name, and why the others are not."""
    sound, damaged = {}, {}
    for path in sorted(root.glob("*/result.json")):
        try:
            record = read(path.parent)
            if wrong := _off_schedule(record):
                raise InputError(f"{path.parent / 'curve.csv'}: {wrong}: {DAMAGED}")
            sound[path.parent.name] = record
        except InputError as error:
            damaged[path.parent.name] = str(error)
    return sound, damaged


def _off_schedule(record: Record) -> str | None:
    """Where a curve has another learning rate than the spec's schedule, in words; None where it has not."""
    spec = record.spec
    if not isinstance(spec, RunSpec):
        return None
    for step, rate in zip(record.curve["step"], record.curve["learning_rate"], strict=True):
        if not math.isclose(rate, spec.rate_at(step), rel_tol=1e-9):
            return f"its learning rate at step {step:,} is {rate:g}, not the spec's {spec.rate_at(step):g}"
    return None


def of_folders(first: Path, second: Path) -> Difference:
    """Two folders of records, run by run, and the verdicts of the figures that have runs in either.

    Raises:
        InputError: a folder without records.
    """
    (a, bad_a), (b, bad_b) = _read(first), _read(second)
    for root, sound, bad in ((first, a, bad_a), (second, b, bad_b)):
        if not sound and not bad:
            raise InputError(f"{root} holds no complete record: name a run's folder, or a folder of records")
    told = Difference()
    told.lines.append(f"records: {len(a) + len(bad_a)} in {first}, {len(b) + len(bad_b)} in {second}")
    for name in a.keys() & b.keys():
        for bound, other, sound, bad in ((a[name], b[name], b, bad_b), (b[name], a[name], a, bad_a)):
            if changed := _changed(bound, other):
                bad[name] = changed
                del sound[name]
                break
    told.lines += [f"damaged: {line}" for line in [*bad_a.values(), *bad_b.values()]]
    only_a, only_b = (
        {n: r for n, r in one.items() if n not in other and n not in bad}
        for one, other, bad in ((a, b, bad_b), (b, a, bad_a))
    )
    for x, y in list(_seeds_apart(only_a, only_b)):
        differ = ", ".join(f"{k} {v} against {w}" for k, (v, w) in fields(x.spec, y.spec).items())
        told.lines.append(f"seed: {x.path.name} against {y.path.name}: {differ}")
        told.pairs.append((x, y))
        del only_a[x.path.name], only_b[y.path.name]
    for root, only in ((first, only_a), (second, only_b)):
        if only:
            told.lines.append(f"only in {root}: {counted(len(only))}: {_named(only)}")
    both = [(a[name], b[name]) for name in a if name in b]
    told.pairs = [*both, *told.pairs]
    told.lines += _environments(told.pairs)
    told.lines += _curves(both)
    told.lines += _verdicts(a, b, (first, second))
    return told


def _changed(bound: Record, other: Record) -> str | None:
    """How a record that nothing binds differs from one of the same making that runs/DIGESTS binds; else None."""
    held = digests.listed(bound.path.parent).get(bound.path.name, {})
    if "digests" in other.result or other.path.name in digests.listed(other.path.parent):
        return None
    if bound.environment != other.environment:  # it was made again
        return None
    there = {name: other.path / name for name in held}
    wrong = [n for n, path in there.items() if not path.is_file() or digests.sha256(path) != held[n]]
    if not wrong:
        return None
    by = bound.path.parent / digests.LIST
    return f"{there[wrong[0]]} is not the file of that run, by its SHA-256 in {by}: bring that back"


def _seeds_apart(a: dict[str, Record], b: dict[str, Record]) -> Iterator[Pair]:
    """Runs that only one folder has each, of specs that differ in seeds alone."""
    left = dict(b)
    for x in a.values():
        for name, y in left.items():
            if type(x.spec) is type(y.spec) and fields(x.spec, y.spec).keys() <= set(SEEDS):
                yield x, y
                del left[name]
                break


def _environments(pairs: Sequence[Pair]) -> list[str]:
    """What the pairs were made with that differs, a line for each pair of values."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for x, y in pairs:
        for key, (ours, theirs) in environments(x.environment, y.environment).items():
            found.setdefault((key, _told(ours), _told(theirs)), []).append(x.path.name)
    return [
        f"environment: {key} {ours} against {theirs} in {len(runs)} of {counted(len(pairs))}: {_named(runs)}"
        for (key, ours, theirs), runs in found.items()
    ] or ["environment: the same"] * bool(pairs)


def _curves(both: Sequence[Pair]) -> list[str]:
    other = {x.path.name: _curve(x, y) for x, y in both if x.difference(y) is not None}
    lines = [f"curve: {run}: {line}" for run, line in list(other.items())[:FEW]]
    lines += [f"curve: {len(other) - FEW} more differ"] if len(other) > FEW else []
    if not both:
        return ["curve: no run that both have"]
    same = f"{len(both) - len(other)} of {counted(len(both))}"
    return [*lines, f"curve: the same to the last bit in {same} that both have"]


def _verdicts(a: dict[str, Record], b: dict[str, Record], roots: tuple[Path, Path]) -> list[str]:
    """The claims whose verdicts differ, of every figure that has runs in either folder, and those of one alone.

    roots: the folders, by their names.
    """
    differ, both, neither = [], 0, 0
    alone: tuple[list[str], list[str]] = ([], [])
    for name, setting, wanted in _settings():
        if not {s.run_id for group in wanted.values() for s in group} & (a.keys() | b.keys()):
            continue
        for claim in figures.claims_of(catalog.load("figures", name), setting):
            found = [
                claims.judge(claim, wanted, {c: [r.get(s.run_id) for s in g] for c, g in wanted.items()})
                for r in (a, b)
            ]
            judged = [v.verdict not in OPEN for v in found]
            which = f"{claim.id or claim.name} of {figures.stem(name, setting)}"
            if not any(judged):
                neither += 1
            elif not all(judged):
                alone[judged.index(True)].append(which)
            else:
                both += 1
                if found[0].verdict != found[1].verdict:
                    said = [f"{v.verdict} ({v.ours})" for v in found]
                    differ.append(f"verdict: {which}: {said[0]} against {said[1]}")
    one = [
        f"verdict: {len(names):,} claim{'s' * (len(names) > 1)} judged in {root} alone: {_named(names)}"
        for root, names in zip(roots, alone, strict=True)
        if names
    ]
    if not both and not one:
        of = f"{neither:,} claims need these runs, and none of them is judged" if neither else "no claim is judged"
        return [f"verdict: {of} in either"]
    same = f"the same in {both - len(differ):,} of {both:,} claim{'s' * (both > 1)}" if both else "no claim"
    rest = f"; {neither:,} more that need these runs are judged in neither" if neither else ""
    return [*differ, *one, f"verdict: {same} judged in both{rest}"]


@cache
def _settings() -> list[tuple[str, figures.Setting, Specs]]:
    """Every figure at every scale, with its runs."""
    found = []
    for name, entry in catalog.entries("figures").items():
        for scale in figures.SCALES:
            for model in entry.constants["MODELS"]:
                for precision in ("float32", "bfloat16") if scale == "quick" else ("float32",):
                    setting = figures.setting(name, scale, model, None, precision)
                    found.append((name, setting, figures.specs(name, setting)))
    return found


# --- on one plot ----------------------------------------------------------------------------------


def plot(found: Difference, names: tuple[str, str], path: Path) -> Path:
    """One pair: its curves over steps. Several: the last value of each measure, one folder against the other.

    Args:
        names: of the two sides. path: of the picture, whose suffix is one of plotting.FORMATS.

    Raises:
        InputError: another suffix; nothing to draw.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in plotting.FORMATS:
        raise InputError(f"--out is {path}, allowed are files that end with .{', .'.join(plotting.FORMATS)}")
    path = path.with_suffix(f".{form}")  # that is written, whatever the case of the one that was given
    check_replaces(path, MARK, "--out", plotting.LARGEST)
    if not found.pairs:
        raise InputError("the two folders have no run in common and none that differs in its seed: leave --out out")
    measures = _measures(found.pairs)
    if not measures:
        raise InputError("the two sides have no measure in common that could be drawn: leave --out out")
    with plotting.style():
        import matplotlib.pyplot as plt

        sides = [f"{letter}: {plain(Path(name).name)}" for letter, name in zip("AB", names, strict=True)]
        size = (plotting.WIDTH, 2.9)
        picture, axes = plt.subplots(1, len(measures), figsize=size, squeeze=False, num="compare", clear=True)
        for one, measure in zip(axes.flat, measures, strict=True):
            there = [p for p in found.pairs if all(measure in r.curve for r in p)]
            if len(found.pairs) == 1:
                for record, look in zip(there[0], LOOKS, strict=True):
                    dot = "o" if len(record.curve["step"]) == 1 else None  # which a line alone would not show
                    one.plot(record.curve["step"], record.curve[measure], marker=dot, **look)
                one.set(xlabel="step", ylabel=measure.replace("_", " "))
            else:
                points = [(x.curve[measure][-1], y.curve[measure][-1]) for x, y in there]
                points = [p for p in points if all(map(math.isfinite, p))]
                one.scatter(*zip(*points, strict=True), s=14, color="black") if points else plotting.not_run(one)
                if points:
                    one.axline((points[0][0], points[0][0]), slope=1, color="0.6", linewidth=0.8)
                one.set(xlabel="A", ylabel="B", title=measure.replace("_", " "))
                one.locator_params(nbins=4)
        words = [name if len(name) <= WIDEST else f"{name[:3]}…{name[-WIDEST + 4 :]}" for name in sides]
        if len(found.pairs) == 1:
            picture.legend(axes.flat[0].lines, words, loc="outside lower left")
        else:
            picture.suptitle("\n".join([*words, "the last value of each run; on the line both have the same"]), size=7)
        of = [record for pair in found.pairs for record in pair]
        commits = sorted({str(record.environment.get("commit")) for record in of})
        about = {"compare": [*names], "runs": sorted({record.path.name for record in of}), "commits": commits}
        (drawn,) = plotting.save(picture, path.with_suffix(""), [form], about=about | {"version": VERSION})
        return drawn


def _measures(pairs: Sequence[Pair]) -> list[str]:
    """At most three columns that most pairs have, those of accuracy and error first."""
    skipped = {"step", "epoch", "learning_rate", "test_images", "train_images", "filters", "features"}
    count = Counter(
        column.name
        for x, y in pairs
        for column in x.spec.described
        if not column.varying and column.name in x.curve and column.name in y.curve and column.name not in skipped
    )
    first = ("train_accuracy", "test_accuracy", "train_error", "test_error", "train_loss")
    ranked = sorted(count, key=lambda name: (-count[name], first.index(name) if name in first else len(first), name))
    return ranked[:3]


def side(text: str, folder: Path) -> Record | Path:
    """What a side of a comparison names: a record's folder, a folder of records, or a run in `folder`. InputError."""
    path = Path(text)
    if (path / "spec.json").is_file():
        if not (path / "result.json").is_file():
            raise InputError(f"{path} is not complete: finish the run, and compare then")
        return read(path)
    if path.is_dir():
        return path
    return Runs(folder).named(text)


def compared(a: Record | Path, b: Record | Path) -> Difference:
    """Two runs or two folders. Raises InputError where one is of each."""
    if isinstance(a, Record) and isinstance(b, Record):
        return of_runs(a, b)
    if isinstance(a, Path) and isinstance(b, Path):
        return of_folders(a, b)
    raise InputError("one is a run and the other a folder of records: name two runs, or two folders")
