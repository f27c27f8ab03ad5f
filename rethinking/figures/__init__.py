"""The figures and tables, one file each: the runs it needs, how it is drawn, what it claims.

A figure is declared (see rethinking.figures.kit) or is one of a kind, a file with

    MODELS = [...]                    where it is of one network, which --model may name: its usual ones, the default
                                      first, of other data at quick the first MLP; else ["all"]
    SEEDS = {"quick": 1, ...}         seeds at each scale; else 1, 3 and 3
    CAPTION = "..."                   one sentence
    DEPARTURES = ["...", ...]         where we differ from the paper, or it is silent
    THEIRS = "..."                    what the paper shows of it, or another source; it need not be there
    OTHER_DATA = True                 it can be drawn of any data set; else of the paper's alone
    ONE_NETWORK = True                of several networks, it can be drawn of one, whichever, on other data
    runs(setting) -> {condition: [Spec, one per seed]}
    draw(setting, records) -> (matplotlib figure, {"series": plotted numbers ...})
    claims(setting) -> [Claim, ...]

It reads records and never trains. Scales differ only in fields of the specs.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from rethinking import catalog, claims, plotting
from rethinking.claims import Records, Specs, Verdict
from rethinking.constants import USUAL
from rethinking.errors import InputError
from rethinking.figures._asked import beyond, claims_of, extended, named, runs_of
from rethinking.figures._drawn import about, digest_of, drawn, provenance, unbound, wrong_pictures
from rethinking.figures._setting import ALL, CHEAP, MOST_SEEDS, SCALES, Setting
from rethinking.figures._subject import FULL, Subject, terms
from rethinking.files import acting
from rethinking.paths import check_replaces
from rethinking.record import Record, Runs, digests, write
from rethinking.spec import Spec, canonical_crop

__path__ += catalog.plugin_folders("figures")

__all__ = ["CHEAP", "FULL", "SCALES", "Drawn", "Setting", "Subject", "about", "digest_of", "draw", "drawn", "numbers"]
__all__ += ["provenance", "setting", "specs", "stem", "unbound", "unique", "wrong_pictures"]

MARK = b'"figure":'  # in all that is drawn


@dataclass(frozen=True)
class Drawn:
    """A figure of the records there are: what its .json holds, its verdicts, missing runs; its files, once drawn."""

    numbers: dict[str, Any]
    verdicts: list[Verdict]
    missing: list[Spec]
    files: list[Path] = field(default_factory=list)


def setting(
    name: str,
    scale: str = "quick",
    model: str | None = None,
    seeds: int | None = None,
    precision: str = "float32",
    data: str | None = None,
    crop: int | None = None,
) -> Setting:
    """The setting of figure `name`, defaults filled in. Raises InputError."""
    entry = catalog.find("figures", name)
    if scale not in SCALES:
        raise InputError(f"scale is {scale!r}, allowed are {', '.join(SCALES)}")
    models = entry.constants["MODELS"]
    alone = entry.constants.get("ONE_NETWORK") and data not in (None, "cifar10")
    if model not in (None, ALL) and models == [ALL] and not alone:
        raise InputError(f"{name} is not of one network, --model {model} is given: leave it out")
    if model not in (None, ALL):
        catalog.find("models", model)
    default = (USUAL["figures"]["SEEDS"] | entry.constants["SEEDS"])[scale]
    data = data or "cifar10"
    catalog.find("data", data)
    cheap = [each for each in models if each in CHEAP] if scale == "quick" and data != "cifar10" else []
    own = Setting(scale, model or [*cheap, *models][0], default, precision, data=data, crop=canonical_crop(data, crop))
    if not own.subject.papers and not entry.constants.get("OTHER_DATA"):
        can = [n for n, e in catalog.entries("figures").items() if e.constants.get("OTHER_DATA")]
        raise InputError(f"{name} is of CIFAR-10 alone, as in the paper: figures of other data are {', '.join(can)}")
    if seeds is None:
        return own
    if not 1 <= seeds <= MOST_SEEDS:
        raise InputError(f"seeds is {seeds}, allowed are 1 to {MOST_SEEDS:,}")
    given = replace(own, seeds=seeds, asked=True)
    return own if seeds == default and unique(specs(name, given)) == unique(specs(name, own)) else given


def setting_of(numbers: dict[str, Any], precision: str = "float32") -> Setting:
    """The setting that a figure was drawn for, from its `drawn` numbers. Raises InputError.

    precision: that of quick runs, which the numbers do not tell.
    """
    seeds = numbers["seeds"] if numbers["asked"] else None
    of = numbers.get("data"), numbers.get("crop")
    return setting(numbers["figure"], numbers["scale"], numbers["model"], seeds, precision, *of)


def evidence(folder: Path) -> list[tuple[str, Setting]]:
    """Figure and setting of every drawn file of `folder` that is evidence, by file name.

    It is of scale cpu or paper, and of the paper's data.

    Raises:
        InputError: a .json that is not a drawn figure, or has another one's name.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        each = drawn(path)
        own = f"{each['figure']}-{each['scale']}"
        if each["scale"] != "quick" and "data" not in each:
            try:
                found.append((each["figure"], setting_of(each)))
            except InputError as error:
                gone = each["figure"] not in catalog.entries("figures")
                hint = "; where it is a plug-in's, name its folder in RETHINKING_PLUGINS" * gone
                raise InputError(f"{path}: {error}{hint}") from None
            own = stem(*found[-1])
        elif path.stem.startswith(own):  # perhaps of a plug-in that is not here
            continue
        if own != path.stem:
            raise InputError(f"{path} is of {own}: give it its name back")
    return found


def stem(name: str, chosen: Setting) -> str:
    """The drawn file's name: figure, scale, and the data, network and seeds where they are not the figure's own."""
    default = setting(name, chosen.scale)
    parts = [name, chosen.scale]
    parts += [chosen.data] if chosen.data != default.data else []
    parts += [f"crop{chosen.crop}"] if chosen.crop is not None else []
    parts += [chosen.model] if chosen.model != default.model else []
    parts += [f"{chosen.seeds}seeds"] if chosen.asked else []
    return "-".join(parts)


def specs(name: str, chosen: Setting) -> Specs:
    """The runs a figure needs, by condition. Raises InputError where a plug-in's file does not tell them."""
    entry = catalog.find("figures", name)
    module = entry.load()
    with catalog.blame(entry):
        wanted = runs_of(module, chosen)
        groups = wanted.values() if isinstance(wanted, dict) else [None]
        if not all(isinstance(g, list | tuple) and g and all(isinstance(s, Spec) for s in g) for g in groups):
            raise InputError(f"runs of {entry.path} must give a dict, condition -> list of specs: mend it")
        for claim in claims_of(module, chosen) if entry.digest else ():  # before anything is trained
            unknown = [c for c in claim.conditions if c not in wanted]
            if unknown or not claim.conditions:
                named = repr(unknown[0]) if unknown else "none"
                raise InputError(
                    f"claim {claim.name!r} of {entry.path} has the condition {named}, not one of runs: mend it"
                )
    return wanted


def unique(wanted: Specs) -> list[Spec]:
    """Every run once, in order."""
    return list({spec.run_id: spec for group in wanted.values() for spec in group}.values())


def made_by(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """What each record was made with, by run, sorted: with it a drawn figure tells which records it is of.

    Its threads are among it where they were other than 1.
    """
    told = ("commit", "torch", "device_name", "seconds")
    return {
        r.path.name: {k: r.environment.get(k) for k in told} | ({"threads": r.threads} if r.threads != 1 else {})
        for r in sorted(records, key=lambda r: r.path.name)
    }


def draw(
    name: str,
    chosen: Setting,
    runs: Runs,
    folder: Path,
    formats: Iterable[str] = plotting.USUAL,
    dpi: int = plotting.DPI,
) -> Drawn:
    """Draw a figure from the records there are, into `folder`, as .json and pictures.

    Args:
        formats: of the pictures, of plotting.FORMATS. Those that are there are drawn again in any case: none is left of
        other records than the .json. dpi: dots per inch of those that have dots.

    Raises:
        InputError: a damaged record; a plug-in's mistake.
    """
    entry = catalog.find("figures", name)
    with catalog.blame(entry), plotting.style():
        figure, picture = made(name, entry.load(), chosen, runs)
        base = folder / stem(name, chosen)
        drawn = [f for f in plotting.FORMATS if f in formats or base.with_name(f"{base.name}.{f}").exists()]
        told = json.loads(_json(figure.numbers, entry))
        for file in (base.with_name(f"{base.name}.{form}") for form in (*drawn, "json")):
            check_replaces(file, MARK, "--out", plotting.LARGEST)
        files = plotting.save(picture(), base, drawn, dpi, provenance(told))
    told["digests"] = {file.name: digests.sha256(file) for file in files}
    told["digest"] = digests.of_result(told)
    path = base.with_name(base.name + ".json")
    write(path, _json(told, entry), through=True)
    return replace(figure, files=[*files, path])


def numbers(name: str, chosen: Setting, runs: Runs) -> dict[str, Any]:
    """What `draw` would write as .json, read back, without digests; nothing is drawn. Raises InputError as it does."""
    entry = catalog.find("figures", name)
    with catalog.blame(entry):
        return json.loads(_json(made(name, entry.load(), chosen, runs)[0].numbers, entry))


def _json(told: dict[str, Any], entry: catalog.Entry) -> str:
    table = told.get("table", [])
    if mark := acting(told):
        raise InputError(f"{entry.path} says the character {mark!a}, which would act on a terminal: take it out")
    if not isinstance(table, list) or not all(isinstance(row, dict) and row for row in table):
        raise InputError(f"draw of {entry.path} gives a table that is no list of dicts: mend it")
    try:
        return json.dumps(told, indent=1, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise InputError(f"draw of {entry.path} gives numbers that are no JSON ({error}): mend it") from None


def headline(numbers: dict[str, Any]) -> str:
    """A drawn figure's title: what it finds, else why it finds nothing; its caption, where its file has no finding."""
    if found := numbers.get("finding", numbers["caption"]):
        return str(found)
    gone, there = len(numbers["missing"]), len(numbers["runs"])
    if not gone:
        return "No finding: a number is missing"
    some = f"{gone:,} of its {gone + there:,} runs {'is' if gone == 1 else 'are'} missing"
    made = some if there else "none of its runs is made"
    return f"No finding yet: {made}"


def made(name: str, module: ModuleType, chosen: Setting, runs: Runs) -> tuple[Drawn, Callable[[], Any]]:
    """The figure of the records of `runs`, and what draws its picture and gives matplotlib's figure.

    That alone needs matplotlib, and is to be called where plotting.style holds.
    """
    wanted = runs_of(module, chosen)
    records: Records = {condition: [runs.find(spec) for spec in group] for condition, group in wanted.items()}
    asked = claims_of(module, chosen)
    verdicts = [claims.judge(claim, wanted, records) for claim in asked]
    found = {r.path.name: r for group in records.values() for r in group if r}
    missing = [spec for spec in unique(wanted) if spec.run_id not in found]
    told, drawn = numbers_and_picture(module, chosen, records)
    if beyond(module, chosen) and isinstance(told.get("table"), list):
        told = told | {"table": [named(module, chosen, row) for row in told["table"]]}

    def picture() -> Any:
        figure = drawn()
        plotting.without_mathematics(figure)
        if "finding" in told:
            plotting.titled(figure, headline(told))
        return figure

    told = {
        "figure": name,
        "scale": chosen.scale,
        "model": chosen.model,
        "seeds": chosen.seeds,
        "asked": chosen.asked,
        **({} if chosen.subject.papers else {"data": chosen.data, "crop": chosen.crop}),
        "caption": module.CAPTION.replace("CIFAR-10", chosen.subject.name) + extended(module, chosen),
        "departures": module.DEPARTURES if chosen.subject.papers else terms(chosen.subject, unique(wanted)),
        **told,
        "claims": [v.as_json() for v in verdicts],
        "runs": made_by(found.values()),
        "missing": [spec.run_id for spec in missing],
    }
    return Drawn(told, verdicts, missing), picture


def numbers_and_picture(
    module: ModuleType, chosen: Setting, records: Records
) -> tuple[dict[str, Any], Callable[[], Any]]:
    """A figure's own numbers, and what draws it; a file with a `draw` of its own is drawn for its numbers too."""
    from rethinking.figures.kit import declared

    if declared.is_declared(module):
        return declared.numbers_and_picture(module, chosen, records)
    with plotting.style(agg=False):
        import matplotlib.pyplot as plt

        figure, told = module.draw(chosen, records)
        plt.close(figure)  # it can still be saved
    return told, lambda: figure
