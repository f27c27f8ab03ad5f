"""Runs made with another version of a plug-in than is there now: named once, and made again on demand."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.files import json_of
from rethinking.spec import ProbeSpec, Spec

if TYPE_CHECKING:
    from rethinking.record.folder import Runs

AGAIN = ".again"  # in the folder of the runs: what is made again, until it is complete and replaces its record
Outdated = dict[str, list[Spec]]  # "models/mine" -> the runs


def changed(spec: Spec, environment: dict[str, Any]) -> list[str]:
    """The plug-ins of a run, as "models/mine", that had other files when the run was made or begun."""
    then, now = environment.get("plug_ins", {}), spec.plug_ins
    return [name for name in sorted(now) if isinstance(then, dict) and then.get(name, now[name]) != now[name]]


def line(name: str, runs: Sequence[str]) -> str:
    """What there is to say of runs, at least one, that a changed plug-in has made out of date."""
    kind, _, named = name.partition("/")
    entry = catalog.entries(kind).get(named)
    if entry and entry.own:
        file, back = f"the data set {named}", "add again the images that it had"
    else:
        file, back = f"{kind}/{entry.path.name}" if entry else f"{name}.py", "bring the file back"  # else a helper's
    which = f"{runs[0]} was" if len(runs) == 1 else f"{len(runs)} runs ({runs[0]} among them) were"
    again = f"`rethinking run --again` or `figure --retrain {named}`"
    return f"{which} made with another version of {file}: make that again with {again}, or {back}"


def needed(specs: Iterable[Spec]) -> list[Spec]:
    """Each of them once, a probe after the run that it measures."""
    each = [s for spec in specs for s in ([spec.run, spec] if isinstance(spec, ProbeSpec) else [spec])]
    return list({spec.run_id: spec for spec in each}.values())


def find(runs: "Runs", specs: Iterable[Spec]) -> Outdated:
    """Of runs that are complete or begun, those that are out of date, by plug-in. Damaged ones are left to others.

    Runs that the probes among them measure are found, too.
    """
    found: Outdated = {}
    for spec in (s for s in needed(specs) if s.plug_ins):
        for name in by(runs.path(spec), spec):
            found.setdefault(name, []).append(spec)
    return found


def refuse(found: Outdated) -> None:
    """Raise InputError where there are any, in one line for all."""
    if found:
        raise InputError("; ".join(line(name, [spec.run_id for spec in specs]) for name, specs in found.items()))


def chosen(found: Outdated, names: Sequence[str], specs: Iterable[Spec]) -> Outdated:
    """Those of the named plug-ins, "mine" or "models/mine"; all must be among them.

    Args:
        specs: every run that is asked for.

    Raises:
        InputError: a name that none of the runs uses; runs that are out of date by other plug-ins.
    """
    used = sorted({name for spec in specs for name in spec.plug_ins})
    for name in names:
        if name not in used and name not in [each.partition("/")[2] for each in used]:
            known = f"they use {', '.join(used)}" if used else "they use none"
            raise InputError(f"--retrain is {name!r}, and no run asked for uses a plug-in of that name: {known}")
    refuse({name: runs for name, runs in found.items() if not {name, name.partition("/")[2]} & set(names)})
    return found


def by(folder: Path, spec: Spec) -> list[str]:
    """The plug-ins by which what is in the folder of a run is out of date; what is damaged is left to others."""
    with suppress(InputError):
        return changed(spec, json_of(folder / "environment.json"))
    return []
