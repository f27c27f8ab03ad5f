"""A folder of records: what is complete, begun or left behind."""

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from rethinking.errors import InputError
from rethinking.files import json_of, reason, text_of
from rethinking.paths import same, write
from rethinking.record import digests, litter, make, outdated
from rethinking.record.bundle import advice
from rethinking.record.lease import freed, held
from rethinking.record.read import Record, check_current, environment_of, parse_curve, read
from rethinking.record.write import CHECKPOINT, CHECKPOINTS
from rethinking.spec import ProbeSpec, Spec, from_file


class Runs:
    """A folder of records. A replacement in it that a kill has stopped is gone on with when it is opened.

    Args:
        root: the folder; made when first written to. checkpoints, weights: the folders of checkpoints and of trained
        weights, each in a folder with its run's name; None for beside the records. Weights elsewhere are never deleted
        with their record. again: the names of runs to be made again where they are out of date: until such a one
        replaces its record, it is the one that is meant here.

    Attributes:
        owner: the folder whose runs the checkpoints are of; another than `root` where a record is made for a look.

    Raises:
        InputError: what was made again is damaged.
    """

    def __init__(
        self,
        root: str | Path = "runs",
        checkpoints: str | Path | None = None,
        weights: str | Path | None = None,
        *,
        again: Iterable[str] = (),
    ):
        if str(root) == "":
            raise InputError("the folder of the runs is empty text: name one, as --runs runs")
        self.root = self.owner = Path(root)
        places = [self.root if place is None else Path(place) for place in (checkpoints, weights)]
        self.checkpoints, self.weights = (self.root if same(p, self.root) else p for p in places)
        self.again = set(again)
        make.recover(self)

    def path(self, spec: Spec) -> Path:
        """Where the record of `spec` is, or would be."""
        place = self.root / spec.run_id
        renewed = spec.run_id in self.again and outdated.by(place, spec)
        return self.root / outdated.AGAIN / spec.run_id if renewed else place

    def weights_of(self, spec: Spec) -> Path:
        """Where the weights of a run's network are, or would be; of one that is made again, beside its record.

        Those beside a record come first: where it has replaced another, weights elsewhere may still be of that one.
        """
        path = self.path(spec)
        beside = path.parent != self.root or (path / digests.WEIGHTS).is_file()
        return (path if beside else self.weights / path.name) / digests.WEIGHTS

    def complete(self, spec: Spec) -> bool:
        """Whether the run was trained to its end."""
        return (self.path(spec) / "result.json").is_file()

    def busy(self, spec: Spec) -> bool:
        """Whether a live process is training the run."""
        return held(self.path(spec))

    def free(self, spec: Spec) -> bool:
        """Whether no live process makes the run or has its checkpoint; nor those of the run that a probe has to train.

        Leases that dead ones have left are removed.
        """
        specs = [spec]
        if isinstance(spec, ProbeSpec) and not (self.complete(spec.run) and self.weights_of(spec.run).is_file()):
            specs.append(spec.run)
        paths = [self.path(each) for each in specs]
        folders = dict.fromkeys([*paths, *(self.checkpoints / path.relative_to(self.root) for path in paths)])
        return all(freed(folder) for folder in folders)

    def find(self, spec: Spec) -> Record | None:
        """The record of `spec`, None where it is not complete.

        Raises:
            InputError: it is damaged, or was made with another version of a plug-in, or other weights, than are there
            now; its result is gone.
        """
        if not self.complete(spec):
            if not self.busy(spec):
                digests.check_not_lost(self.path(spec))
            return None
        record = read(self.path(spec))
        if record.spec != spec:
            raise InputError(f"{record.path} holds another run's spec: move it away, and the run is made again")
        check_current(record)
        return record

    def measured(self, names: Iterable[str]) -> set[str]:
        """The training runs that probes were measured on, by name; names: of probes' records here, others are skipped.

        Raises InputError for a damaged spec.
        """
        paths = [self.root / name / "spec.json" for name in names if name.startswith("probe-")]
        specs = [from_file(path) for path in paths if path.is_file()]
        return {spec.run.run_id for spec in specs if isinstance(spec, ProbeSpec)}

    def complete_records(self) -> list[Record]:
        """Every complete record, sorted by name, checked as in `find`. Raises InputError for the first unsound one."""
        found = [read(result.parent) for result in sorted(self.root.glob("*/result.json"))]
        for name in digests.listed(self.root).keys() - {record.path.name for record in found}:
            if (self.root / name).is_dir() and not held(self.root / name):
                digests.check_not_lost(self.root / name)
        changed: outdated.Outdated = {}
        for record in found:
            for name in outdated.changed(record.spec, record.environment):
                changed.setdefault(name, []).append(record.spec)
        outdated.refuse(changed)
        return found

    def summaries(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]]:
        """Name, spec, environment and result of every complete record, as their files hold them, sorted by name.

        For a quick look: no curve is read. A record is left out where one of these files cannot be read, or is not what
        the record was completed with.
        """
        for path in sorted(self.root.glob("*/result.json")):
            folder = path.parent
            with suppress(InputError):
                result = json_of(path)
                digests.check(folder, result, of=("spec.json", "environment.json"))
                yield folder.name, json_of(folder / "spec.json"), json_of(folder / "environment.json"), result

    def digest(self) -> int:
        """Add to runs/DIGESTS the files of records that hold no digests of their own; never changes a record's line.

        The line of runs/ARCHIVE is written anew where the list has changed.

        Returns:
            How many lines were written.

        Raises:
            InputError: a record is damaged, or is not what its lines say.
        """
        lines = digests.unlisted(self.root, [read(p.parent).path.name for p in sorted(self.root.glob("*/result.json"))])
        archived = digests.archive_line(self.root)
        if lines or archived:
            file = self.root / digests.LIST
            before = text_of(file, most=digests.MOST).splitlines() if file.exists() else []
            if archived:
                before = [line for line in before if not line.endswith(f"  {digests.ARCHIVE}")]
                lines.append(archived)
            write(file, "\n".join([*before, *lines]) + "\n", through=True)
        return len(lines)

    def begun(self, spec: Spec) -> Record:
        """The record of `spec`, or what there is of its curve so far. Raises InputError, also where that is nothing."""
        if self.complete(spec):
            return read(self.path(spec))
        path = self.path(spec)
        if not (path / "curve.csv").exists():
            raise InputError(f"{path} has no evaluation yet: wait until it has one, or name another --with")
        made_with = environment_of(path / "environment.json")
        return Record(path, spec, {}, made_with, parse_curve(text_of(path / "curve.csv"), path / "curve.csv", spec))

    def reached(self, run: Spec | Path) -> int | None:
        """The step that an unfinished run, or that in a folder, goes on from; None where it has no checkpoint.

        Of a run on ImageNet it is that of its last checkpoint, which is not read.

        Raises InputError where the checkpoint is damaged, another run's or of an earlier version.
        """
        import safetensors.numpy

        folder = run if isinstance(run, Path) else self.path(run)
        path = self.checkpoints / folder.relative_to(self.root) / CHECKPOINT
        try:
            held = digests.bytes_of(path, digests.BEGIN_ANEW)
        except (FileNotFoundError, NotADirectoryError):
            names = [each.name for each in path.with_name(CHECKPOINTS).glob("step-*")]
            return max((int(name[5:]) for name in names if re.fullmatch("step-[0-9]{1,18}", name)), default=None)
        digests.check_checkpoint(held, folder.name, path)
        try:
            step = safetensors.numpy.load(held)["step"]
            if step.shape or step.dtype != "int64" or step < 0:
                raise ValueError("its step is no whole number")
        except Exception as error:  # safetensors and numpy raise what they like at foreign bytes
            raise InputError(f"{path} is damaged ({reason(error)}): {digests.BEGIN_ANEW}") from None
        return int(step)

    def named(self, run: str) -> Record:
        """The record whose folder is, or uniquely begins or ends with, `run`. Raises InputError."""
        if not run:
            raise InputError(f"the run is empty text: give its folder's name in {self.root}")
        known = sorted(p.parent.name for p in self.root.glob("*/result.json"))
        hits = [k for k in known if k == run] or [k for k in known if k.startswith(run) or k.endswith(run)]
        if len(hits) != 1:
            what = f"{len(hits)} runs match: {', '.join(hits[:4])}" if hits else f"{len(known)} runs are there"
            raise InputError(
                f"no single complete run {run!r} in {self.root} ({what}): give its folder's name{advice(self.root)}"
            )
        return read(self.root / hits[0])

    def survey(self) -> Iterator[litter.Found]:
        """What there is in the folder, see `litter.survey`."""
        return litter.survey(self)

    def delete(self, found: litter.Found, only: str = "run", keep: Callable[[], str] = str) -> str:
        """Delete what `survey` found, where it is still so; returns why it was left alone, see `litter.delete`."""
        return litter.delete(self, found, only, keep)

    def strays(self, drawn: Path | None = None) -> list[Path]:
        """What killed processes or deleted runs have left outside the runs' folders, see `litter.strays`."""
        return litter.strays(self, drawn)

    def sweep(self, stray: Path) -> str:
        """Delete one of `strays`, where it still is one; returns why it was left alone, see `litter.sweep`."""
        return litter.sweep(self, stray)

    def writable(self) -> None:
        """Raise InputError where records could not be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise InputError(f"cannot write to {self.root} ({error.strerror}): name another with --runs") from None
