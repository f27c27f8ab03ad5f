"""Runs made with another version of a plug-in than is there now: named once, and made again on demand."""

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.files import json_of
from rethinking.record.lease import hold, is_lease
from rethinking.spec import Spec

if TYPE_CHECKING:
    from rethinking.record.folder import Runs

ASIDE = ".replaced"  # in the folder of the runs: what is being made again, until that is complete
Outdated = dict[str, list[Spec]]  # "models/mine" -> the runs


def changed(spec: Spec, environment: dict[str, Any]) -> list[str]:
    """The plug-ins of a run, as "models/mine", that had other files when the run was made or begun."""
    then, now = environment.get("plug_ins", {}), spec.plug_ins
    return [name for name in sorted(now) if isinstance(then, dict) and then.get(name, now[name]) != now[name]]


def line(name: str, runs: Sequence[str]) -> str:
    """What there is to say of runs, at least one, that a changed plug-in has made out of date."""
    kind, _, named = name.partition("/")
    entry = catalog.entries(kind).get(named)
    file = f"{kind}/{entry.path.name}" if entry else f"{name}.py"  # a helper's
    which = f"{runs[0]} was" if len(runs) == 1 else f"{len(runs)} runs ({runs[0]} among them) were"
    again = f"`rethinking run --again` or `figure --retrain {named}`"
    return f"{which} made with another version of {file}: make that again with {again}, or bring the file back"


def find(runs: "Runs", specs: Iterable[Spec]) -> Outdated:
    """Of runs that are complete or begun, those that are out of date, by plug-in. Damaged ones are left to others."""
    found: Outdated = {}
    for spec in (s for s in specs if s.plug_ins):
        for name in _made_with(runs.path(spec), spec):
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


def set_aside(runs: "Runs", found: Outdated) -> list[Spec]:
    """Move what there is of runs that are out of date into runs/.replaced, so that they are made again.

    `settle` deletes it when the new run is complete, and puts it back where nothing of that was made. Where a record
    set aside before is of the plug-ins that are there now, it comes back at once.

    Returns:
        The specs of the runs to be made again.

    Raises:
        InputError: one is being made, or has links in it.
    """
    every = {spec.run_id: spec for specs in found.values() for spec in specs}
    there = {each.path.name: each for each in runs.survey() if each.path.name in every}
    again = []
    for name, spec in every.items():
        reason = f"{there[name].link} is a link" if name in there and there[name].link else ""
        with nullcontext() if reason or name not in there else hold(runs.path(spec)) as mine:
            reason = reason or ("a process is making it" if name in there and mine is None else "")
            if reason:
                settle(runs, every.values())
                raise InputError(f"{runs.root / name} cannot be made again ({reason}): wait, or move it away")
            if not _aside(runs, spec).exists():
                _move(runs.path(spec), _aside(runs, spec))
                if runs.checkpoints != runs.root:
                    _move(runs.checkpoints / name, runs.checkpoints / ASIDE / name)
            else:  # what was begun since is out of date itself
                _clear(runs, spec)
        if _made_with(_aside(runs, spec), spec):
            again.append(spec)
        else:
            _put_back(runs, spec)
    return again


def settle(runs: "Runs", specs: Iterable[Spec]) -> None:
    """Of runs that were set aside, delete those that were made again, and put back those that were not begun."""
    for spec in specs:
        if not _aside(runs, spec).is_dir() or runs.busy(spec):
            continue
        if runs.complete(spec):
            shutil.rmtree(_aside(runs, spec))
            shutil.rmtree(runs.checkpoints / ASIDE / spec.run_id, ignore_errors=True)
        elif not (runs.checkpoints / spec.run_id / "checkpoint.safetensors").exists():
            _put_back(runs, spec)
    for folder in {runs.root, runs.checkpoints}:
        with suppress(OSError):  # not there, or not empty
            (folder / ASIDE).rmdir()


def _aside(runs: "Runs", spec: Spec) -> Path:
    return runs.root / ASIDE / spec.run_id


def _made_with(folder: Path, spec: Spec) -> list[str]:
    """The plug-ins by which what is in a folder is out of date."""
    with suppress(InputError):
        return changed(spec, json_of(folder / "environment.json"))
    return []


def _move(path: Path, to: Path) -> None:
    """Rename a folder, without the leases in it, where it is there."""
    to.parent.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):
        os.rename(path, to)
        for left in [each for each in to.iterdir() if is_lease(each.name)]:
            shutil.rmtree(left)


def _clear(runs: "Runs", spec: Spec) -> None:
    """Delete what was begun of a run, under its lease."""
    for folder in {runs.path(spec), runs.checkpoints / spec.run_id}:
        for file in [each for each in folder.glob("*") if each.is_file()]:
            file.unlink()


def _put_back(runs: "Runs", spec: Spec) -> None:
    """Put a run that was set aside where it was, unless it is made there now."""
    path = runs.path(spec)
    path.mkdir(exist_ok=True)
    with hold(path) as mine:  # which removes the folder where it is empty
        if mine is None or runs.complete(spec):
            return
        _clear(runs, spec)
    with suppress(OSError):
        _move(_aside(runs, spec), path)
        if runs.checkpoints != runs.root:
            _move(runs.checkpoints / ASIDE / spec.run_id, runs.checkpoints / spec.run_id)
