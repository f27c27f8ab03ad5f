"""Every file that a run, a checkpoint, a cache, a figure or a page has, damaged in every way."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import sets
from PIL import Image
from tally import DETECTED, HARMLESS, SILENT, Budget, Tally

from rethinking import data, verify
from rethinking.engines import execute
from rethinking.errors import InputError
from rethinking.files import json_of
from rethinking.record import Runs, digests, leased, read
from rethinking.spec import kind_of

SAME = "the JSON that is read back is the same"
FIGURE = "rademacher-cpu"  # of few runs


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
    right = {path: _meaning(path) for path in made}
    files = [p for path in made for p in sorted(path.iterdir()) if p.is_file()]

    def use(path: Path) -> Any:
        _sound(verify.record(path))
        return _meaning(path)

    for file, what in sets.with_damage(files, chance, budget):
        path = file.parent
        tally.judge(f"{path.name}/{file.name}, {what}", lambda path=path: use(path), right[path], SAME)

    def whole() -> Any:
        _sound(verify.records(runs))
        return {path: _meaning(path) for path in made}

    listed = Budget(budget.tries // 20, 1e9)
    for file, what in sets.with_damage([runs.root / digests.LIST], chance, listed):
        tally.judge(f"{file.name}, {what}", whole, right, "the same lines")
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
            elif path.name in digests.listed(runs.root):  # else it is an unfinished run
                tally.judge(f"{path.name}/{file.name} is gone", lambda: _sound(verify.records(runs)), None)
            for other in made:
                if other != path and (other / file.name).is_file() and (other / file.name).read_bytes() != whole:
                    shutil.copy(other / file.name, file)
                    tried = f"{path.name}/{file.name} is that of {other.name}"
                    tally.judge(tried, lambda path=path: use(path), right[path])
            file.write_bytes(whole)
        moved = path.rename(path.with_name("toy-100-tiny-s0-0123456789"))
        tally.judge(f"{path.name} has another name", lambda moved=moved: use(moved), "refused")
        moved.rename(path)


def checkpoints(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """The checkpoint of a run that was broken off: damaged, stale or another run's."""
    tally, runs, spec = Tally("checkpoints"), Runs(folder / "runs"), sets.TRAINED
    root = str(sets.toy(folder / "data"))
    stale = None
    for until in (3, 5):
        execute.execute(spec, runs, data_dir=root, until=until)
        file = runs.path(spec) / "checkpoint.safetensors"
        stale = stale or file.read_bytes()
    whole = file.read_bytes()

    def use() -> str:
        with leased(runs, spec) as writer:
            saved = execute._saved(writer, kind_of(spec))
        return repr(saved and (saved[0], {k: v.tolist() for k, v in saved[1].items()}))

    right = use()
    for place, what in sets.with_damage([file], chance, budget):
        tally.judge(f"{place.name}, {what}", use, right)
    execute.execute(sets.NOISY, runs, data_dir=root, until=3)
    others = {"of another run": (runs.path(sets.NOISY) / "checkpoint.safetensors").read_bytes(), "stale": stale}
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    others["without a digest"] = safetensors.torch.save(
        safetensors.torch.load(whole), {"notes": header["__metadata__"]["notes"]}
    )
    others["of metadata of another type"] = safetensors.torch.save(
        safetensors.torch.load(whole), header["__metadata__"] | {"notes": "[" * 9000}
    )
    for what, content in others.items():
        file.write_bytes(content)
        tally.judge(f"a checkpoint {what}", use, right)
    file.unlink()
    tally.judge("no checkpoint", use, right)
    return tally


def caches(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """The arrays of a data set in the cache, and an own one's arrays and description."""
    tally, root = Tally("cached data"), sets.toy(folder / "data")
    rng = np.random.default_rng(0)
    np.savez(folder / "mine.npz", images=rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8), labels=np.arange(60) % 3)
    data.add("mine", folder / "mine.npz", root, hold_out=0.2)

    def use(name: str) -> list[bytes]:
        found = data.load(name, root)
        return [a.tobytes() for s in (found.train, found.test) for a in (s.images, s.labels)]

    for name in ("toy", "mine"):
        right, files = use(name), sorted(p for p in (root / name).iterdir() if p.is_file())
        half = Budget(budget.tries // 2, 1e9) if budget.tries else budget
        for file, what in sets.with_damage(files, chance, half):
            tally.judge(f"{name}/{file.name}, {what}", lambda name=name: use(name), right, "the same images and labels")
    return tally


def folders(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """What `data add` reads: pictures in folders, .npz and .npy. Damage is refused, or shows in no array."""
    tally, images = Tally("data to add"), folder / "images"
    rng = np.random.default_rng(0)
    for k in range(12):
        place = images / f"class{k % 3}"
        place.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        picture.save(place / f"{k}.{('png', 'bmp', 'gif')[k % 3]}")
    arrays = {"images": rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8), "labels": np.arange(30) % 3}
    np.savez(folder / "packed.npz", **arrays)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    ways: list[tuple[list[Path], Path, dict[str, Any]]] = [
        (sorted(images.rglob("*.*")), images, {}),
        ([folder / "packed.npz"], folder / "packed.npz", {}),
        ([folder / "images.npy", folder / "labels.npy"], folder / "images.npy", {"labels": folder / "labels.npy"}),
    ]

    def use(path: Path, options: dict[str, Any]) -> bool:
        root = sets.fresh(folder / "data")
        data.add("mine", path, root, hold_out=0.25, **options)
        found = data.load("mine", root)
        return all(s.images.dtype == np.uint8 and len(s.images) == len(s.labels) for s in (found.train, found.test))

    for files, path, options in ways:
        third = Budget(budget.tries // 3, 1e9)
        for file, what in sets.with_damage(files, chance, third):
            why = "it is read as the file now is: no digest is known of other people's files"
            tally.judge(f"{file.name}, {what}", lambda path=path, options=options: use(path, options), True, why)
            assert not (folder / "data" / "mine").exists() or (folder / "data" / "mine" / "train_images.npy").is_file()
    return tally


def drawn(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """The .json of a drawn figure, against the records that it was drawn from."""
    tally, runs = Tally("drawn figures"), Runs(folder / "runs")
    (folder / "figures").mkdir()
    for form in ("json", "svg", "pdf"):
        shutil.copy(sets.ROOT / "figures" / f"{FIGURE}.{form}", folder / "figures")
    file = folder / "figures" / f"{FIGURE}.json"
    held = json.loads(file.read_text())
    for run in held["runs"]:
        shutil.copytree(sets.ROOT / "runs" / run, folder / "runs" / run)
    lines = (sets.ROOT / "runs" / digests.LIST).read_text().splitlines(keepends=True)
    (folder / "runs").mkdir(exist_ok=True)
    (folder / "runs" / digests.LIST).write_text("".join(x for x in lines if x[66:].partition("/")[0] in held["runs"]))

    def use() -> Any:
        _sound(verify.drawn(runs, folder / "figures"))
        return json_of(file)

    right = use()
    for _, what in sets.with_damage([file], chance, budget):
        tally.judge(f"{file.name}, {what}", use, right, SAME)
    whole, odd = file.read_text(), {"nested": "[" * 100_000, "a long number": '{"figure": ' + "9" * 5000 + "}"}
    odd |= {"a null": "null", "not a number": whole.replace("1", "NaN", 1), "infinite": whole.replace("1", "1e999", 1)}
    odd["a lone surrogate"] = whole.replace("figure", "\\ud800", 1)
    for what, content in odd.items():
        file.write_text(content)
        tally.judge(f"{file.name} is {what}", use, right, SAME)
    file.write_text(whole)
    return tally


def pages(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """Generated pages and the README's scoreboard: what is changed is stale, or lies outside what is generated."""
    from rethinking import report

    tally = Tally("pages")
    for name in ("figures", "docs", "runs"):
        (folder / name).symlink_to(sets.ROOT / name)
    (folder / "docs").unlink()
    shutil.copytree(sets.ROOT / "docs" / "results", folder / "docs" / "results")
    readme = shutil.copy(sets.ROOT / "README.md", folder / "README.md")
    files = [Path(readme), *sorted((folder / "docs" / "results").glob("*.md"))]
    fresh: dict[Path, str] = {}
    model_results = report.model.results
    found = model_results(Runs(sets.ROOT / "runs"), sets.ROOT / "figures")  # made from the records once, not every time
    report.model.results = lambda runs, folder: found
    try:
        if report.update(Path(readme), Runs(folder / "runs"), folder / "figures", check=True):
            raise RuntimeError("the committed pages are stale")
        fresh = {file: file.read_text() for file in files}
        for file, what in sets.with_damage(files, chance, budget):
            try:
                stale = report.update(Path(readme), Runs(folder / "runs"), folder / "figures", check=True)
            except (InputError, UnicodeDecodeError) as error:
                tally.judge(f"{file.name}, {what}", lambda error=error: _raise(error), None)
                continue
            if file in stale:
                tally.add(DETECTED, f"{file.name}, {what}")
            elif file == files[0] and _board(file.read_text()) == _board(fresh[file]):
                tally.add(HARMLESS, f"{file.name}, {what}", "the README's own text is written by hand")
            else:
                tally.add(SILENT, f"{file.name}, {what}")
    finally:
        report.model.results = model_results
    return tally


def _raise(error: Exception) -> None:
    raise error


def _board(text: str) -> str:
    from rethinking import report

    return text.partition(report.BEGIN)[2].partition(report.END)[0]
