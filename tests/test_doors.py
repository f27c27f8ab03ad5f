"""Whatever lies where a file is expected is refused by every door, at once and in one line, and fills no memory."""

import json
import os
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest

from rethinking import catalog, data, figures, plotting
from rethinking.data._files import Unavailable, read_bytes, read_npy
from rethinking.errors import InputError
from rethinking.files import Refused, content_of
from rethinking.paths import check_replaces
from rethinking.record import Record, Runs, Writer, archived, digests, lease, outdated
from rethinking.report import citing, svg, update
from rethinking.spec import RunSpec, from_file
from rethinking.training import bfloat16

SPEC = RunSpec(n=100, model="mlp-1x512", steps=20)
RECORD = Record(Path(), SPEC, {}, {}, {})


def beside(name):
    """A record in the folder of a path, at which its file of that name is."""
    return lambda path: Record(path.parent, SPEC, {}, {}, {})


# The name of the file, and what reads it.
DOORS = {
    "bytes": ("any", lambda path: content_of(path, 10**6)),
    "spec.json": ("spec.json", from_file),
    "arrays.npz": ("arrays.npz", lambda path: beside(path)(path).arrays),
    "online.csv": ("online.csv", lambda path: beside(path)(path).online),
    "curve.csv of a begun run": ("curve.csv", lambda path: Writer(path.parent, SPEC).check_rows([])),
    "the checkpoint": (
        "checkpoint.safetensors",
        lambda path: Writer(path.parent, SPEC).checkpoint,
    ),
    "the step of a checkpoint": (
        "checkpoint.safetensors",
        lambda path: Runs(path.parents[1]).reached(path.parent),
    ),
    "weights": (digests.WEIGHTS, lambda path: digests.check_weights(path, {})),
    "weights with a digest": (digests.WEIGHTS, lambda path: digests.check_weights(path, {"digests": {path.name: ""}})),
    "a file of a record": ("arrays.npz", lambda path: digests._compare(path.parent, (path.name,), {path.name: ""}, "")),
    "DIGESTS": (digests.LIST, lambda path: digests.listed(path.parent)),
    "ARCHIVE": ("ARCHIVE", lambda path: archived(path.parent)),
    "a drawn figure": ("fig1a-cpu.json", figures.drawn),
    **{f"a picture, {form}": (f"a.{form}", figures.about) for form in plotting.FORMATS},
    "a picture in a page": ("a.svg", lambda path: svg.picture(path, "", "", {})),
    "a plug-in": ("mine.py", lambda path: catalog._read("models", path)),
    "a plug-in's citations": ("mine.py", lambda path: citing._source.__wrapped__(path)),
    "the README": ("README.md", lambda path: update(path, Runs(path.parent), path.parent)),
    "a description": (catalog.DESCRIPTION, lambda path: catalog._described.__wrapped__(path)),
    "an official file": ("batch", read_bytes),
    "an array in the cache": ("train_images.npy", lambda path: read_npy(path, (2, 2))),
    "an array to be added": ("a.npy", lambda path: data.add("mine", path, path.parent, labels=path)),
    "an archive to be added": ("a.npz", lambda path: data.add("mine", path, path.parent)),
    "a folder of arrays to be added": (
        "images.npy",
        lambda path: [(path.parent / "labels.npy").touch(), data.add("mine", path.parent, path.parent)],
    ),
}
# What is not there then, and does not stop anything.
PASSED = {
    "a lease's owner": ("owner.json", lease._owner, None),
    "a lease's notes": (lease.NOTES, lease._small, None),
    "what was tried in bfloat16": (bfloat16.FILE, bfloat16._known, {}),
    "what a run was begun with": ("environment.json", lambda path: outdated.by(path.parent, SPEC), []),
}


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def made_up_by_the_kernel(path):
    path.symlink_to("/proc/self/pagemap")  # a regular file, of no bytes and of terabytes


def sparse(path):
    with path.open("wb") as stream:
        stream.truncate(10**13)


@contextmanager
def soon():
    """TimeoutError after a while, as where a FIFO would be waited for."""

    def late(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


OBSTACLES = [Path.mkdir, pipe, device, made_up_by_the_kernel, sparse]


@pytest.mark.parametrize("obstacle", OBSTACLES)
@pytest.mark.parametrize("door", [*DOORS, *PASSED])
def test_what_is_no_file_or_too_large_a_one_is_refused_at_once(tmp_path, door, obstacle):
    name, reads, *instead = (DOORS | PASSED)[door]
    path = tmp_path / "folder" / name
    path.parent.mkdir()
    obstacle(path)
    with soon():
        if instead:
            assert reads(path) == instead[0]
            return
        with pytest.raises((InputError, Unavailable, Refused)) as caught:
            reads(path)
    assert "\n" not in str(caught.value)
    if "to be added" not in door:  # there, a folder may be one of images, and an array is in a folder or an archive
        words = "larger than [0-9,]+ bytes" if obstacle is sparse else "not a regular file|longer than|is missing"
        caught.match(words)


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_what_is_no_file_is_not_written_over_and_not_waited_for(tmp_path, obstacle):
    obstacle(tmp_path / "a.svg")
    with soon(), pytest.raises(InputError, match=r"a\.svg is there, and was not written by this command: name another"):
        check_replaces(tmp_path / "a.svg", b"mark", "--out", plotting.LARGEST)
    assert os.path.lexists(tmp_path / "a.svg")


def test_a_number_that_no_error_of_bfloat16_can_be_is_not_believed(tmp_path):
    good = {key: bfloat16._bound(key, error, "x") for key, error in (("a", 0.01), ("b", None), ("c", 0.0))}
    file = tmp_path / bfloat16.FILE
    file.write_text(json.dumps(good))
    assert bfloat16._known(file) == good
    for odd in ("NaN", "-1", "-0.5", "Infinity", "-Infinity", '"0.5"', "true", "[]", "{}", "0", "1e999", "9" * 5000):
        bound = bfloat16._bound("k", json.loads(odd), "x")[2] if len(odd) < 20 else ""
        file.write_text(f'{{"k": [{odd}, "x", "{bound}"]}}')
        assert bfloat16._known(file) == {}, odd
    for odd in ("null", "[]", "3", '"x"', '{"k": []}', '{"k": null}', '{"k": [0.5]}', '{"k": [0.5, 1]}', "[" * 10**5):
        file.write_text(odd)
        assert bfloat16._known(file) == {}, odd
