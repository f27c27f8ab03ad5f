"""Every file that a record, a cache, a figure or a page has, damaged in every way."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sets
import truth
from PIL import Image
from tally import DETECTED, HARMLESS, LOST, SILENT, TRACEBACK, Budget, Tally

from rethinking import data, figures, verify
from rethinking.constants import ALLOWED, NEEDED
from rethinking.engines import estimate
from rethinking.errors import InputError
from rethinking.record import Runs, archive, digests, read
from rethinking.training import Training, bfloat16

SAME = "the JSON that is read back is the same"
FIGURES = ("rademacher-cpu", "table3-cpu")  # of few runs
HELD_OUT = 0.25


def _sound(findings: Any) -> None:
    """Raise what `verify` finds, in its own lines."""
    found = list(findings)
    if found:
        raise InputError(" ".join(found) if len(found) == 1 else f"{found[0]} and {len(found) - 1} more")


def _meaning(path: Path) -> str:
    record = read(path)
    arrays = {k: v.tobytes() for k, v in record.arrays.items()} if (path / "arrays.npz").is_file() else {}
    held = {k: v for k, v in record.result.items() if k not in digests.OWN}
    weights = path / "weights.safetensors"
    held_weights = weights.read_bytes() if weights.is_file() else None
    return repr([record.spec, held, record.environment, record.curve, record.online, arrays, held_weights])


def records(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """Records of four kinds, of which one is bound by runs/DIGESTS, are read, and verified with their weights."""
    tally, runs = Tally("records"), Runs(folder / "runs")
    made = sets.made(runs, sets.toy(folder / "data"))
    right, known = {path: _meaning(path) for path in made}, estimate.past(runs)
    files = [p for path in made for p in sorted(path.iterdir()) if p.is_file()]

    def use(path: Path) -> Any:
        _sound(verify.record(path))
        return _meaning(path)

    for file, what in sets.with_damage(files, chance, budget, tally, runs.root):
        path, tried = file.parent, f"{file.parent.name}/{file.name}, {what}"
        tally.judge(tried, lambda path=path: use(path), right[path], SAME)
        told = "`plan` has its numbers from sound records"
        tally.judge(tried, lambda: [each for each in estimate.past(runs) if each not in known], [], told)

    _swapped(tally, made, runs, use, right)
    return tally


def _swapped(tally: Tally, made: list[Path], runs: Runs, use: Callable[[Path], Any], right: dict[Path, Any]) -> None:
    """Files of one record in another, gone, or of another name."""
    for path in made:
        for file in sorted(p for p in path.iterdir() if p.is_file()):
            whole = file.read_bytes()
            file.unlink()
            if file.name == "weights.safetensors":  # which may be deleted
                tally.judge(
                    f"{file.name} is gone", lambda path=path: _sound(verify.record(path)), None, "weights may go"
                )
            elif file.name != "result.json":
                tally.judge(f"{path.name}/{file.name} is gone", lambda path=path: use(path), right[path])
            else:
                tally.judge(f"{path.name}/{file.name} is gone", lambda: _sound(verify.records(runs)), None)
            if file.name == "result.json" and path.name not in digests.listed(runs.root):
                file.write_text(json.dumps({k: v for k, v in json.loads(whole).items() if k not in digests.OWN}))
                tally.judge(f"{path.name} has lost its digests", lambda path=path: use(path), right[path])
            for other in made:
                if other != path and (other / file.name).is_file() and (other / file.name).read_bytes() != whole:
                    shutil.copy(other / file.name, file)
                    tried = f"{path.name}/{file.name} is that of {other.name}"
                    tally.judge(tried, lambda path=path: use(path), right[path])
            file.write_bytes(whole)
        moved = path.rename(path.with_name("toy-100-tiny-s0-0123456789"))
        tally.judge(f"{path.name} has another name", lambda moved=moved: use(moved), "refused")
        moved.rename(path)


def caches(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """The arrays of a data set in the cache, and an own one's arrays and description: all that enters a curve."""
    tally, root = Tally("cached data"), sets.own(sets.toy(folder / "data"))

    def use(name: str) -> Any:
        found, constants = data.load(name, root), data.entry(name, root).constants
        arrays = [a.tobytes() for s in (found.train, found.test) for a in (s.images, s.labels)]
        words = [constants[key] for key in sorted({*NEEDED["data"], *ALLOWED["data"]} & constants.keys())]
        return arrays, found.classes, found.facts, words, data.entry(name, root).text

    for name in ("toy", "mine"):
        right, files = use(name), sorted(p for p in (root / name).iterdir() if p.is_file())
        half = Budget((budget.tries + 1) // 2, budget.seconds / 2)
        for file, what in sets.with_damage(files, chance, half, tally, root):
            why = "the same images, labels, classes, mean, variance and description"
            tally.judge(f"{name}/{file.name}, {what}", lambda name=name: use(name), right, why)
    return tally


def folders(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """What `data add` reads: pictures in folders, .npz and .npy; damaged, gone, or in another class's folder.

    What is added must be what the damaged files hold by the readings in `truth`, which share no code with the package.
    """
    tally, images = Tally("data to add"), folder / "given" / "images"
    rng = np.random.default_rng(0)
    for k in range(12):
        place = images / f"class{k % 3}"
        place.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        picture.save(place / f"{k}.{('png', 'bmp')[k // 3 % 2]}")
    arrays = {"images": rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8), "labels": np.arange(30) % 3}
    np.savez(images.parent / "packed.npz", **arrays)
    for name, array in arrays.items():
        np.save(images.parent / f"{name}.npy", array)
    pair = [images.parent / "images.npy", images.parent / "labels.npy"]
    ways: list[tuple[list[Path], Path, dict[str, Any], Callable[[], truth.Examples]]] = [
        (sorted(images.rglob("*.*")), images, {}, lambda: truth.of_folder(images)),
        ([images.parent / "packed.npz"], images.parent / "packed.npz", {}, lambda: truth.of_npz(images.parent)),
        (pair, pair[0], {"labels": pair[1]}, lambda: truth.of_npy(*pair)),
    ]
    root = sets.own(folder / "data", "kept")

    def use(path: Path, options: dict[str, Any]) -> Any:
        if (root / "mine").exists():
            data.remove("mine", root)
        data.add("mine", path, root, hold_out=HELD_OUT, **options)
        return truth.of_set(data.load("mine", root))

    def judge(tried: str, path: Path, options: dict[str, Any], reading: Callable[[], truth.Examples]) -> None:
        def right() -> truth.Truth:
            try:
                return truth.expected(reading(), HELD_OUT)
            except Exception:  # of damage that no pixel and no label is in, perhaps, as of a picture's last bytes
                return sound[path]

        why = "it is read as the files now are, which an independent reading confirms, or as they were"
        tally.judge(tried, lambda: use(path, options), right, why)
        whole = ("train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy", "description.json")
        if (root / "mine").exists() and not all((root / "mine" / name).is_file() for name in whole):
            tally.add(SILENT, tried, "half of a data set was added")
        if gone := sets.lost(root / "kept", kept):
            tally.add(LOST, tried, gone)

    kept = sets.tree(root / "kept")
    sound = {path: truth.expected(reading(), HELD_OUT) for _, path, _, reading in ways}
    for files, path, options, reading in ways:
        judge("nothing damaged", path, options, reading)
        third = Budget((budget.tries + 2) // 3, budget.seconds / 3)
        for file, what in sets.with_damage(files, chance, third, tally, images.parent):
            judge(f"{file.name}, {what}", path, options, reading)
    files, path, options, reading = ways[0]
    for file in files:
        held = file.read_bytes()
        file.unlink()
        judge(f"{file.name} is gone", path, options, reading)
        other = images / f"class{(int(file.parent.name[-1]) + 1) % 3}" / file.name
        other.write_bytes(held)
        judge(f"{file.name} is in {other.parent.name}", path, options, reading)
        other.unlink()
        file.write_bytes(held)
    return tally


def _with_records(folder: Path) -> Runs:
    """Two drawn figures with the records that they are of, bound as they are here."""
    (folder / "figures").mkdir()
    (folder / "runs").mkdir()
    wanted = set()
    for figure in FIGURES:
        for form in ("json", "svg", "pdf"):
            shutil.copy(sets.ROOT / "figures" / f"{figure}.{form}", folder / "figures")
        wanted |= set(json.loads((folder / "figures" / f"{figure}.json").read_text())["runs"])
    assert wanted
    for run in wanted:
        shutil.copytree(sets.ROOT / "runs" / run, folder / "runs" / run)
    lines = (sets.ROOT / "runs" / digests.LIST).read_text().splitlines(keepends=True)
    (folder / "runs" / digests.LIST).write_text("".join(x for x in lines if x[66:].partition("/")[0] in wanted))
    return Runs(folder / "runs")


def drawn(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """The .json of drawn figures, against the records that they were drawn from."""
    tally, runs = Tally("drawn figures"), _with_records(folder)
    files = sorted((folder / "figures").glob("*.json"))

    def use() -> Any:
        _sound(verify.drawn(runs, folder / "figures"))
        return [figures.drawn(file) for file in files]

    right = use()
    for file, what in sets.with_damage(files, chance, budget, tally, folder):
        tally.judge(f"{file.name}, {what}", use, right, SAME)
    file = files[0]
    whole, odd = file.read_text(), {"nested": "[" * 100_000, "a long number": '{"figure": ' + "9" * 5000 + "}"}
    odd |= {"a null": "null", "not a number": whole.replace("1", "NaN", 1), "infinite": whole.replace("1", "1e999", 1)}
    odd |= {"a lone surrogate": whole.replace("figure", "\\ud800", 1), "that of another": files[1].read_text()}
    for what, content in odd.items():
        file.write_text(content)
        tally.judge(f"{file.name} is {what}", use, right, SAME)
    file.write_text(whole)
    return tally


def pictures(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """The pictures of drawn figures, in every format: damaged, another figure's, or drawn from other runs."""
    tally, runs, place = Tally("pictures"), _with_records(folder), folder / "figures"
    setting = figures.setting_of(figures.drawn(place / f"{FIGURES[0]}.json"))
    name = FIGURES[0].partition("-")[0]
    figures.draw(name, setting, runs, place, formats=("svg", "pdf", "png"))
    fewer = Runs(folder / "fewer")
    for run in sorted(runs.root.glob("*/"))[1:]:
        shutil.copytree(run, fewer.root / run.name)
    shutil.copy(runs.root / digests.LIST, fewer.root)
    _sound(verify.drawn(runs, place))
    files = sorted(p for p in place.iterdir() if p.suffix != ".json")

    def judge(file: Path, what: str, right: bytes) -> None:
        def use() -> bytes:
            _sound(verify.drawn(runs, place))
            return file.read_bytes()

        tally.judge(f"{file.name}, {what}", use, right, "the bytes are the same")

    whole = {file: file.read_bytes() for file in files}
    for file, what in sets.with_damage(files, chance, budget, tally, folder):
        judge(file, what, whole[file])
    figures.draw(name, setting, fewer, folder / "others", formats=("svg", "pdf", "png"))
    for file in files:
        others = {"drawn from other runs": folder / "others" / file.name}
        others |= {f"that of {other.stem}": other for other in files if other != file and other.suffix == file.suffix}
        others["in another format"] = next(f for f in files if f.suffix != file.suffix)
        for what, other in others.items():
            if other.is_file():
                file.write_bytes(other.read_bytes())
                judge(file, f"it is {what}", whole[file])
        file.unlink()
        tally.judge(f"{file.name} is gone", lambda: _sound(verify.drawn(runs, place)), "refused")
        file.write_bytes(whole[file])
    return tally


def lists(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """runs/DIGESTS and runs/ARCHIVE, the lists that bind records of before and keep records of no figure."""
    tally, runs = Tally("lists of records"), Runs(folder / "runs")
    made = sets.made(runs, sets.toy(folder / "data"))
    names = sorted(path.name for path in made[:3])
    (runs.root / archive.LIST).write_text("# kept, and why\n#\n" + "".join(f"{name}\n" for name in names))
    runs.digest()

    def use() -> Any:
        _sound(verify.records(runs))
        return {path: _meaning(path) for path in made}, archive.archived(runs.root), digests.listed(runs.root)

    right = use()

    files = [runs.root / name for name in (digests.LIST, archive.LIST)]
    for file, what in sets.with_damage(files, chance, budget, tally, runs.root):
        tally.judge(f"{file.name}, {what}", use, right, "the same records are bound, and the same kept")
    return tally


def bfloat16_tried(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """bfloat16.json, which keeps whether a network's arithmetic was right in bfloat16: a refusal must stay one."""
    tally, root = Tally("bfloat16.json"), sets.toy(folder / "data")
    spec = sets.TRAINED.replace(precision="bfloat16")
    before, worst = os.environ.get("RETHINKING_DATA"), bfloat16.worst
    os.environ["RETHINKING_DATA"] = str(root)
    training = Training(spec, data.load("toy", root))
    found = {"error": 0.05, "times": 0}

    def measured(*_: Any) -> tuple[float, str]:
        found["times"] += 1
        return found["error"], "output of 0"

    def use() -> str:
        try:
            bfloat16.check(training, "this machine")
        except InputError:
            if found["error"] <= bfloat16.LIMIT:
                raise
            return "refused"
        return "allowed"

    bfloat16.worst = measured
    try:
        for found["error"] in (0.05, 0.0017):
            file = root / bfloat16.FILE
            file.unlink(missing_ok=True)
            right, first = use(), found["times"]
            whole = file.read_bytes()
            tally.judge("nothing damaged", lambda: (use(), found["times"]), (right, first), "it is not tried again")
            for k in Budget((budget.tries + 1) // 2, budget.seconds / 2):
                what, content = sets.damaged(whole, chance)
                if not k:
                    what, content = "the error made small", whole.replace(b"0.05", b"0.01")
                file.write_bytes(content)
                tally.judge(
                    f"{what}, of a network that is {right}", use, right, "it is tried again, or found as it was"
                )
    finally:
        bfloat16.worst = worst
        if before is None:
            del os.environ["RETHINKING_DATA"]
        else:
            os.environ["RETHINKING_DATA"] = before
    return tally


def pages(folder: Path, budget: Budget, chance: random.Random, root: Path = sets.ROOT) -> Tally:
    """Generated pages and the README's scoreboard: what is changed is stale, or lies outside what is generated.

    root: of README.md, docs/results, figures and runs.
    """
    from rethinking import report

    tally = Tally("pages")
    for name in ("figures", "runs"):
        (folder / name).symlink_to(root / name)
    shutil.copytree(root / "docs" / "results", folder / "docs" / "results")
    readme = Path(shutil.copy(root / "README.md", folder / "README.md"))
    files = [readme, *sorted((folder / "docs" / "results").glob("*.md"))]
    model_results = report.model.results
    found = model_results(Runs(root / "runs"), root / "figures")  # made from the records once, not every time
    report.model.results = lambda runs, folder: found

    def use() -> tuple[bool, bytes]:
        return bool(report.update(readme, Runs(folder / "runs"), folder / "figures", check=True)), _board(readme)

    try:
        right = use()
        if right[0]:
            raise RuntimeError("the committed pages are stale")
        for file, what in sets.with_damage(files, chance, budget, tally, folder):
            try:
                stale = use()[0]
            except InputError as error:
                lines = str(error).count("\n")
                tally.add(TRACEBACK if lines else DETECTED, f"{file.name}, {what}", f"{error}")
            except Exception as error:
                tally.add(TRACEBACK, f"{file.name}, {what}", repr(error))
            else:
                by_hand = file == readme and _board(readme) == right[1]
                outcome = DETECTED if stale else HARMLESS if by_hand else SILENT
                tally.add(
                    outcome, f"{file.name}, {what}", "the README's own text is written by hand" if by_hand else ""
                )
    finally:
        report.model.results = model_results
    return tally


def _board(readme: Path) -> bytes:
    from rethinking import report

    return readme.read_bytes().partition(report.BEGIN.encode())[2].partition(report.END.encode())[0]
