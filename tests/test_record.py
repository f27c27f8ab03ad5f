"""Records: whole or not at all, one owner, damaged and foreign ones refused in one line."""

import dataclasses
import errno
import json
import math
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import threading
import time
import zipfile
from decimal import Decimal

import numpy as np
import pytest
import safetensors.numpy

from rethinking import record
from rethinking.errors import InputError
from rethinking.record import Runs, digests, lease, leased, read, write
from rethinking.spec import RunSpec

KEPT = {"test_logits": np.arange(6, dtype=np.float16).reshape(3, 2), "test_labels": np.zeros(3, np.uint8)}
SPEC = RunSpec(n=100, model="mlp-1x512", steps=20)


def row(step, **changes):
    values = dict.fromkeys(RunSpec().columns, 0.1 + step / 3) | {"step": step, "test_images": 64}
    return values | changes


def complete(runs: Runs, spec: RunSpec = SPEC, rows=None, arrays=None):
    with leased(runs, spec) as writer:
        assert writer is not None
        writer.finish(rows or [row(0), row(20)], "budget", None, {"commit": "abc"}, arrays)
    return runs.path(spec)


def test_writes_and_reads_back(tmp_path):
    runs = Runs(tmp_path)
    assert runs.find(SPEC) is None
    path = complete(runs)
    found = runs.find(SPEC)
    assert found is not None
    assert found.spec == SPEC
    assert found.curve["train_loss"] == [0.1, 0.1 + 20 / 3]  # to the last bit
    assert found.final["step"] == 20
    assert sorted(p.name for p in path.iterdir()) == ["curve.csv", "environment.json", "result.json", "spec.json"]


def test_how_far_two_curves_are_apart_is_at_equal_steps_of_equal_images(tmp_path):
    spec = SPEC.replace(n=4000, evaluation="probe", eval_every=10)

    def found(name, *seen):
        rows = [row(step, train_accuracy=right, train_images=images) for step, images, right in seen]
        complete(Runs(tmp_path / name), spec, rows)
        return Runs(tmp_path / name).find(spec)

    first = found("a", (0, 2000, 0.1), (10, 2000, 0.5), (15, 4000, 0.99), (20, 4000, 1.0))
    second = found("b", (0, 2000, 0.125), (10, 4000, 0.9), (18, 4000, 0.99), (20, 4000, 0.75))
    assert first.apart(second) == second.apart(first) == (0.25, 20)
    assert first.up_to(15).apart(second.up_to(18)) == pytest.approx((0.025, 0))
    assert (first.steps_to_fit(), second.steps_to_fit()) == (15, 18)
    assert first.up_to(10).steps_to_fit() is None
    assert first.up_to(10).final["step"] == 10
    assert first.up_to(None) is first


def test_what_is_kept_is_read_back_compared_and_its_damage_seen(tmp_path):
    spec = SPEC.replace(keep=("test_logits", "weight_quantiles"))
    held = KEPT | {"zeros/a": np.array([1, 2])}
    records = []
    for name, scale in (("a", 1), ("b", 1), ("c", 2)):
        path = complete(Runs(tmp_path / name), spec, arrays=held | {"zeros/a": scale * held["zeros/a"]})
        records.append(Runs(tmp_path / name).find(spec))
    assert {k: v.tolist() for k, v in records[0].arrays.items()} == {k: v.tolist() for k, v in held.items()}
    assert records[0].arrays["test_logits"].dtype == np.float16
    assert records[0].difference(records[1]) is None
    assert records[0].difference(records[2]) == "the same curve, but other arrays kept: zeros/a"
    assert (tmp_path / "a" / path.name / "arrays.npz").read_bytes() == (
        tmp_path / "b" / path.name / "arrays.npz"
    ).read_bytes()
    whole = (without_digests(path) / "arrays.npz").read_bytes()
    for content in (whole[:-20], b"", b"PK"):
        (path / "arrays.npz").write_bytes(content)
        with pytest.raises(InputError, match=r"arrays\.npz cannot be read"):
            Runs(tmp_path / "c").find(spec).arrays  # noqa: B018


def without_digests(path):
    """A record as they were made before they held digests."""
    result = json.loads((path / "result.json").read_text())
    kept = {k: v for k, v in result.items() if k not in digests.OWN}
    (path / "result.json").write_text(json.dumps(kept, indent=2) + "\n")
    return path


def damage(path, name, change):
    text = (path / name).read_text()
    (path / name).write_text(change(text))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("curve.csv", lambda t: t[: len(t) // 2], "curve.csv"),
        ("curve.csv", lambda t: "\n".join(t.splitlines()[:-1]) + "\n", "does not agree with result.json"),
        ("curve.csv", lambda t: t.rstrip() + "1\n", "does not agree with result.json"),
        ("curve.csv", lambda t: t.replace("step", "Step"), "is not a curve"),
        ("curve.csv", lambda t: t.replace("0.1,", "x,"), "line 2 is damaged"),
        ("spec.json", lambda t: t[:30], "not valid JSON"),
        ("spec.json", lambda t: t.replace('"n": 100', '"n": 101'), "a foreign record"),
        ("spec.json", lambda t: t.replace("{", '{"extra": 1,', 1), "unknown field 'extra'"),
        ("result.json", lambda t: t[:10], "is not valid JSON"),
        ("result.json", lambda t: "[]", "is not a JSON object"),
        ("result.json", lambda t: "[" * 100_000, "is not valid JSON"),
        ("result.json", lambda t: t.replace('"budget"', "1"), "has no status of a run"),
        ("result.json", lambda t: t.replace("{", '{"digests": {},', 1), "does not agree with its own SHA-256"),
        ("result.json", lambda t: t.replace("{", '{"digest": "",', 1), "does not agree with its own SHA-256"),
        ("result.json", lambda t: t.replace("{", '{"extra": 1,', 1), "has other fields than a result"),
        ("result.json", lambda t: t.replace('"status"', '"state"'), "has other fields than a result"),
        ("result.json", lambda t: t.replace('"budget"', '"fitted"'), "says fitted, which its curve does not"),
        ("result.json", lambda t: t.replace('"budget"', '"diverged"'), "says diverged, which its curve does not"),
        ("result.json", lambda t: t.replace('"budget"', '"computed"'), "says computed, which its curve does not"),
        ("result.json", lambda t: t.replace('"steps": 20', '"steps": 19'), "does not agree with result.json"),
        ("result.json", lambda t: t.replace('"diverged_at": null', '"diverged_at": "x"'), "has no status of a run"),
        ("curve.csv", lambda t: t + "1" * 200_000, "is not a curve"),
        ("spec.json", lambda t: "", "the record is damaged; move it away"),
        ("environment.json", lambda t: "", "is not valid JSON"),
        ("environment.json", lambda t: '{"plug_ins": 5}', "has plug_ins of another kind"),
        ("environment.json", lambda t: '{"plug_ins": [1]}', "has plug_ins of another kind"),
        ("environment.json", lambda t: '{"plug_ins": {"none/a": "1"}}', "has plug_ins of another kind"),
        ("environment.json", lambda t: '{"seconds": "1"}', "has seconds of another kind"),
        ("environment.json", lambda t: '{"commit": []}', "has commit of another kind"),
        ("curve.csv", lambda t: t.replace("20,", "9" * 400 + ","), "line 3 is damaged"),
        ("curve.csv", lambda t: t.replace("20,", "9" * 5000 + ","), "line 3 is damaged"),
    ],
)
def test_damaged_and_foreign_records_are_one_line(tmp_path, name, change, message):
    path = without_digests(complete(Runs(tmp_path)))
    damage(path, name, change)
    with pytest.raises(InputError, match=message) as caught:
        Runs(tmp_path).find(SPEC)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["200 MB", "folder", "pipe", "device"])
def test_a_file_that_is_no_records_json_is_not_read(tmp_path, kind):
    path = complete(Runs(tmp_path)) / "environment.json"
    if kind == "200 MB":
        os.truncate(path, 200_000_000)
        message = r"larger than 1,000,000 bytes"
    else:
        path.unlink()
        {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "device": lambda: path.symlink_to("/dev/zero")}[kind]()
        message = "not a regular file"
    with pytest.raises(InputError, match=message):
        read(path.parent)


def exact(content):
    """What JSON in UTF-8 says, with numbers as decimals and objects as pairs: nothing is rounded, merged or dropped."""
    kinds = {"parse_float": Decimal, "parse_int": Decimal, "parse_constant": Decimal}
    return json.loads(content.decode("utf-8"), object_pairs_hook=lambda pairs: ("object", pairs), **kinds)


def same(value, told):
    """Whether a value read is what `exact` tells of its text; a float is the one nearest to the decimal."""
    if isinstance(value, dict):
        head, pairs = told
        return head == "object" and len(value) == len(pairs) and all(same(value[k], v) for k, v in pairs)
    if isinstance(value, list):
        return isinstance(told, list) and len(value) == len(told) and all(map(same, value, told))
    if isinstance(value, float):
        return math.isfinite(value) and value == float(told) and (value == 0) == (told == 0)
    return value == told and isinstance(value, bool) == isinstance(told, bool)


WORDS = [
    b"-0.0", b"1E5", b"9" * 18, b"0.1e-7", b"null", b"true", rb'"\ud83d\ude00"', b'"\xc3\xa9"', b"{}",
    b"[[1, {}]]", b'""',
]  # fmt: skip
STONES = [
    b"NaN", b"-Infinity", b"1e999", b"1e-999", b"9" * 30, b"-" + b"9" * 5000, rb'"\ud800"', b'"\xff"', b"\x00", b'"',
    b"\xef\xbb\xbf", b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b"[" * 900 + b"]" * 900, b'{"a":' * 2000, b",", b":",
    b"[" * 100_000, b'"\xed\xa0\x80"', rb'{"\uDC00":1}', b"0." + b"9" * 5000 + b"e5000",
]  # fmt: skip


def spoilt(content, rng):
    """JSON with one or two of its values or bytes replaced, added or gone, some by what parsers stumble over."""
    for _ in range(rng.choice((1, 1, 2))):
        a, b = rng.choice([m.span() for m in re.finditer(rb'(?<=: )("[^"]*"|[^ ",}]+)', content)] or [(0, 0)])
        k = rng.randrange(len(content) + 1)
        content = rng.choice(
            [
                *3 * [content[:a] + rng.choice(rng.choice((WORDS, STONES))) + content[b:]],
                content[:k] + rng.choice(rng.choice((WORDS, STONES))) + content[k:],
                content[:k] + rng.randbytes(1) + content[k + 1 :],
                content[:k],
                content[:a] + content[b:],
            ]
        )
    return content


def test_whatever_a_records_json_holds_it_is_read_as_it_says_or_refused_in_one_line(tmp_path):
    path, rng, read_as, refused = without_digests(complete(Runs(tmp_path))), random.Random(0), 0, []
    whole = {name: (path / name).read_bytes() for name in ("result.json", "environment.json", "spec.json")}
    made_with = {"commit": "abc", "seconds": 1.5, "plug_ins": {}, "threads": 1, "torch": "2", "numpy": "1"}
    whole["environment.json"] = json.dumps(made_with).encode()
    tried = [("environment.json", whole["environment.json"].replace(b'"abc"', stone)) for stone in STONES]
    tried += [("result.json", whole["result.json"].replace(b'"budget"', stone)) for stone in STONES]
    bad = (b"", "{}".encode("utf-16"), b"\xef\xbb\xbf{}")
    tried += [(name, content) for name in whole for content in bad]
    certain = len(tried)  # which is refused
    names = 200 * ["environment.json"] + 40 * ["result.json", "spec.json"]
    tried += [(name, spoilt(whole[name], rng)) for name in names]
    for k, (name, content) in enumerate(tried):
        for each, right in whole.items():
            (path / each).write_bytes(content if each == name else right)
        try:
            found = read(path)
        except InputError as error:
            refused.append(str(error))
            continue
        assert k >= certain, content[:200]
        read_as += 1
        assert found.spec == SPEC
        if name != "spec.json":
            assert same(found.result if name == "result.json" else found.environment, exact(content)), content[:200]
    assert min(read_as, len(refused) - certain) > 20  # both are tried
    for line in refused:
        line.encode()
        assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((0, 0, 20), "steps do not rise from 0"),
        ((0, 15, 10, 20), "steps do not rise from 0"),
        ((5, 20), "steps do not rise from 0"),
        ((0, 10), "says budget, which its curve does not"),
    ],
)
def test_a_curve_of_no_run_is_refused(tmp_path, steps, message):
    complete(Runs(tmp_path), rows=[row(k) for k in steps])
    with pytest.raises(InputError, match=message):
        Runs(tmp_path).find(SPEC)


def npy(shape, dtype="<f2", content=b"", head="{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}"):
    """A file whose header claims anything."""
    header = head.format(dtype, shape).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


CLAIMS = {
    "terabytes": npy("(1000000000000,)"),
    "more than is there": npy("(3, 2)"),
    "less than is there": npy("(1, 2)", content=bytes(12)),
    "negative": npy("(-1, 2)"),
    "a number without end": npy(f"({'9' * 30},)"),
    "no shape": npy("3"),
    "objects": npy("(1,)", "|O", bytes(8)),
    "nothing a value": npy("(3,)", "|S0"),
    "deep": npy("", head="(" * 9000),
    "a text that never ends": npy("", head=3 * "'" + "abc"),
    "another type": npy("(3, 2)", "<f4", bytes(24)),
    "another number of images": npy("(4, 2)", content=bytes(16)),
    "another number of axes": npy("(3,)", content=bytes(6)),
    "no array": b"hello",
}


@pytest.mark.parametrize("claim", [*CLAIMS, "another name", "twice", "a bomb", "an array alone"])
def test_a_header_of_kept_arrays_is_not_believed(tmp_path, claim):
    """Where no digest binds them, or one that was made for them."""
    spec = SPEC.replace(keep=("test_logits",))
    path = without_digests(complete(Runs(tmp_path), spec, arrays=KEPT)) / "arrays.npz"
    good = npy("(3, 2)", content=bytes(12))
    members = [("test_logits.npy", CLAIMS.get(claim, good)), ("test_labels.npy", npy("(3,)", "|u1", bytes(3)))]
    members += {"another name": [("zeros/a.npy", good)], "twice": [("test_logits", good)]}.get(claim, [])
    members += [("more.npy", npy("(2000000000,)", "|u1", bytes(10**7)))] if claim == "a bomb" else []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members:
            packed.writestr(name, content)
    if claim == "an array alone":
        path.write_bytes(good)
    with pytest.raises(InputError, match=r"arrays\.npz (cannot be read|is not of its spec) .*: the record"):
        read(path.parent).arrays  # noqa: B018


def test_named_needs_one_hit(tmp_path):
    runs = Runs(tmp_path)
    path = complete(runs)
    complete(runs, SPEC.replace(seed=1))
    assert runs.named(path.name[-10:]).path == path
    for bad in ("cifar10", "nothing"):
        with pytest.raises(InputError, match="no single complete run"):
            runs.named(bad)


def test_one_of_many_leases_wins(tmp_path):
    runs, start, winners = Runs(tmp_path), threading.Barrier(8), []
    release = threading.Event()

    def contend():
        start.wait()
        with leased(runs, SPEC) as writer:
            if writer is not None:
                winners.append(writer)
                release.wait(5)

    threads = [threading.Thread(target=contend) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads[:]:
        t.join(1)
    release.set()
    for t in threads:
        t.join()
    assert len(winners) == 1
    assert list(runs.path(SPEC).glob("lease-*")) == []


def owner(runs, **changes):
    folder = runs.path(SPEC) / "lease-0"
    folder.mkdir(parents=True)
    write(folder / "owner.json", json.dumps(lease._me() | changes))
    return folder / "owner.json"


def test_a_lease_is_held_while_its_owner_lives_and_taken_after(tmp_path):
    """Also one by the name of an earlier version. A process id may since have been given to another process."""
    for name, following in (("lease-0", "lease-1"), ("claim-3", "lease-4")):
        runs = Runs(tmp_path / name)
        folder = owner(runs).parent
        folder = folder.rename(folder.with_name(name))
        with leased(runs, SPEC) as writer:
            assert writer is None
        assert folder.is_dir()
        write(folder / "owner.json", json.dumps(lease._me() | {"started": "1"}))
        with leased(runs, SPEC) as writer:
            assert (writer.path / following).exists()
        assert not list(tmp_path.glob("*/*/*-[0-9]"))


@pytest.mark.parametrize("damage", ["", "{", "pid", "sha256", "half"])
def test_a_live_owner_whose_name_is_damaged_keeps_its_lease(tmp_path, damage):
    runs = Runs(tmp_path)
    with leased(runs, SPEC) as writer:
        file = writer.path / "lease-0" / "owner.json"
        owner = json.loads(file.read_text())
        texts = {"pid": json.dumps(owner | {"pid": 2**22 + 1}), "half": file.read_text()[:40]}
        texts["sha256"] = json.dumps({"sha257" if key == "sha256" else key: value for key, value in owner.items()})
        file.write_text(texts.get(damage, damage))
        os.utime(writer.path / "lease-0", (0, 0))  # long ago
        assert lease.held(writer.path)
        with leased(Runs(tmp_path), SPEC) as other:
            assert other is None


def test_a_lease_gives_signs_of_life_while_it_is_held_and_none_after(tmp_path, monkeypatch):
    assert 3 * record.HEARTBEAT < record.SILENCE
    monkeypatch.setattr(lease, "HEARTBEAT", 0.01)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # without its file it would end anyway
    before, deadline = set(threading.enumerate()), time.monotonic() + 20
    with leased(Runs(tmp_path), SPEC) as writer:
        file = writer.path / "lease-0" / "owner.json"
        (beating,) = set(threading.enumerate()) - before
        for _ in range(3):
            os.utime(file, (0, 0))
            while file.stat().st_mtime == 0:
                assert time.monotonic() < deadline
                time.sleep(0.002)
    beating.join(5)
    assert not beating.is_alive()


class Clocks:
    """This process's clocks, set by hand: `time` may not agree with what dates the files, `monotonic` only counts."""

    def __init__(self, wall):
        self.wall, self.count = wall, 1000.0

    def wait(self, seconds):
        self.wall, self.count = self.wall + seconds, self.count + seconds

    def time(self):
        return self.wall

    def monotonic(self):
        return self.count


@pytest.mark.parametrize(("first", "ahead"), [(0, 0), (3600, 3600), (-100, -100), (-100, -3600)])
def test_another_machines_silence_is_counted_by_the_readers_clock(tmp_path, monkeypatch, first, ahead):
    """A lease is held while its file's time changes, whatever it is, and given up SILENCE after the last change."""
    runs, clocks = Runs(tmp_path), Clocks(10**9)
    monkeypatch.setattr(lease, "time", clocks)
    file = owner(runs, host="elsewhere")
    for k in range(100):  # 1,000 s of life
        then = clocks.wall + (ahead if k else first)
        os.utime(file, (then, then))
        assert runs.busy(SPEC)
        clocks.wait(lease.HEARTBEAT)
    clocks.wait(lease.SILENCE - 2 * lease.HEARTBEAT)
    assert runs.busy(SPEC)
    clocks.wait(lease.HEARTBEAT + 1)
    assert not runs.busy(SPEC)
    with leased(runs, SPEC) as writer:
        assert writer is not None


@pytest.mark.parametrize(("age", "held"), [(-3600, True), (record.SILENCE - 5, True), (record.SILENCE + 5, False)])
def test_a_first_look_goes_by_the_files_time_where_that_is_past(tmp_path, monkeypatch, age, held):
    runs, clocks = Runs(tmp_path), Clocks(10**9)
    monkeypatch.setattr(lease, "time", clocks)
    file = owner(runs, host="elsewhere")
    os.utime(file, (clocks.wall - age, clocks.wall - age))
    assert runs.busy(SPEC) == held
    clocks.wait(10)
    assert runs.busy(SPEC) == (age < 0)


def test_who_waited_out_a_silence_removes_the_lease_for_who_has_not(tmp_path, monkeypatch):
    runs, clocks = Runs(tmp_path), Clocks(10**9)
    monkeypatch.setattr(lease, "time", clocks)
    file = owner(runs, host="elsewhere")
    os.utime(file, (2 * 10**9, 2 * 10**9))
    assert not runs.free(SPEC)
    assert file.exists()
    clocks.wait(lease.SILENCE + 1)
    assert runs.free(SPEC)
    assert not file.parent.exists()
    monkeypatch.setattr(lease, "_signs", {})  # another process
    assert not runs.busy(SPEC)
    assert runs.free(SPEC)


@pytest.mark.parametrize("last", ["lease-999999999", "claim-999999999", f"lease-{10**40}", "lease-0009"])
def test_the_number_after_any_other_is_a_lease(tmp_path, last):
    runs = Runs(tmp_path)
    file = owner(runs, started="1")
    file.parent.rename(file.parents[1] / last)
    with leased(runs, SPEC) as writer:
        assert writer is not None
        (mine,) = writer.path.glob(f"lease-{int(last.partition('-')[2]) + 1}")
        assert runs.busy(SPEC)
        with leased(runs, SPEC) as second:
            assert second is None
    assert not mine.exists()
    assert not list(tmp_path.glob("*/*-[0-9]*"))


def test_a_number_that_no_other_can_follow_is_one_line(tmp_path):
    runs = Runs(tmp_path)
    file = owner(runs, started="1")
    file.parent.rename(file.parents[1] / ("lease-" + 249 * "9"))
    assert runs.free(SPEC)
    with pytest.raises(InputError, match="has the last number that a lease can have: delete it"), leased(runs, SPEC):
        pass


OWNERS = {
    "list": b"[]", "no process": b'{"host": 1}', "nothing": b"", "deep": 10**5 * b"[", "not a number": b"NaN",
    "large": b'{"host": "' + 10**7 * b"x" + b'", "pid": 1, "started": "1"}',
    "not UTF-8": b'{"host": "\xff", "pid": 1, "started": "1"}',
    "digits": b'{"host": "a", "pid": ' + 5000 * b"9" + b', "started": "1"}',
    "a path": b'{"host": "a", "pid": "../..", "started": 1}',
    "a list as host": b'{"host": [], "pid": 1, "started": 1}',
    "half of a surrogate pair": rb'{"host": "\ud800", "pid": 1, "started": 1}',
}  # fmt: skip


@pytest.mark.parametrize("name", [*OWNERS, "folder", "pipe", "link to nothing", "no file, dated in the future"])
def test_a_lease_without_an_owners_name_is_given_up(tmp_path, monkeypatch, name):
    runs, clocks = Runs(tmp_path), Clocks(time.time())
    monkeypatch.setattr(lease, "time", clocks)
    file = owner(runs, host="elsewhere")
    file.unlink()
    if name in OWNERS:
        file.write_bytes(OWNERS[name])
    elif name == "folder":
        file.mkdir()
    elif name == "pipe":
        os.mkfifo(file)
    elif name == "link to nothing":
        file.symlink_to("nothing")
    else:
        os.utime(file.parent, (2**31 - 1, 2**31 - 1))
    assert runs.busy(SPEC)
    clocks.wait(lease.HEARTBEAT + 1)
    if file.exists():  # a damaged file, whose owner may still give signs of life
        assert runs.busy(SPEC)
        clocks.wait(lease.SILENCE)
    assert not runs.busy(SPEC)
    (file.parents[1] / "lease-old").mkdir()
    with leased(runs, SPEC) as writer:
        assert writer is not None


def test_a_lease_of_a_process_that_proc_hides_is_held_until_it_is_silent(tmp_path, monkeypatch):
    """As another user's, where /proc is mounted with hidepid."""
    runs, clocks = Runs(tmp_path), Clocks(time.time())
    owner(runs, pid=2**30)  # which is above any that a kernel gives
    assert not runs.busy(SPEC)

    def another_users(pid, number):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "kill", another_users)
    monkeypatch.setattr(lease, "time", clocks)
    assert runs.busy(SPEC)
    clocks.wait(lease.SILENCE + 1)
    assert not runs.busy(SPEC)


def test_a_lease_whose_owner_cannot_be_read_now_is_held_for_the_whole_silence(tmp_path, monkeypatch):
    runs, clocks = Runs(tmp_path), Clocks(time.time())
    file = owner(runs, host="elsewhere")
    monkeypatch.setattr(lease, "time", clocks)

    def fail(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(lease, "_owner", fail)
    os.utime(file.parent, (0, 0))
    clocks.wait(lease.HEARTBEAT + 1)
    assert runs.busy(SPEC)
    clocks.wait(lease.SILENCE)
    assert not runs.busy(SPEC)


@pytest.mark.parametrize("kind", ["file", "link to nothing"])
def test_what_only_has_a_leases_name_stops_nothing(tmp_path, kind):
    runs = Runs(tmp_path)
    path = runs.path(SPEC) / "lease-3"
    path.parent.mkdir(parents=True)
    if kind == "file":
        path.touch()
        os.utime(path, (0, 0))
    else:
        path.symlink_to("nothing")
    with leased(runs, SPEC) as writer:
        assert writer is not None


@pytest.mark.skipif(not os.path.exists("/proc/self/comm"), reason="a process has no such name here")
def test_an_owner_whose_process_has_a_name_that_is_no_text_is_known(tmp_path):
    """As of a script whose name the kernel cut in the midst of a letter."""
    code = """
import sys, pathlib
from rethinking.record import lease
pathlib.Path("/proc/self/comm").write_bytes(b"gr" + bytes([0xC3]))
with lease.hold(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout.readline() == "held\n"
        assert lease.held(tmp_path)
        owner.kill()
    assert not lease.held(tmp_path)


def test_a_damaged_spec_of_an_unfinished_run_is_written_again(tmp_path):
    runs = Runs(tmp_path)
    with leased(runs, SPEC) as writer:
        (writer.path / "spec.json").write_text("{")
    complete(runs)
    assert runs.find(SPEC).spec == SPEC


def survey(runs):
    return {found.path.name: found for found in runs.survey()}


def checkpoint_of(root):
    """A checkpoint that a run of a folder has written, as far as prune looks at it."""
    return safetensors.numpy.save({"step": np.array(3)}, {"notes": json.dumps({"runs": str(root.resolve())})})


def everything(root):
    return {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_what_is_there_is_surveyed_and_deleted(tmp_path):
    runs, other = Runs(tmp_path / "runs", tmp_path / "checkpoints"), SPEC.replace(seed=1)
    done = complete(runs)
    with leased(runs, other) as writer:
        write(writer.checkpoint_path, checkpoint_of(runs.root))
        assert survey(runs)[other.run_id].busy
        assert runs.delete(survey(runs)[other.run_id]) == "a process is making it"
        assert (writer.path / "spec.json").exists()
    (tmp_path / "runs" / "thesis").mkdir()
    assert not survey(runs)["thesis"].run
    found = survey(runs)[other.run_id]
    assert (found.run, found.complete, found.busy) == (True, False, False)
    assert runs.delete(found) == ""
    assert not writer.path.exists()
    assert not writer.checkpoint_path.parent.exists()
    assert read(done).spec == SPEC
    assert runs.delete(survey(runs)[SPEC.run_id]) == ""
    assert sorted(p.name for p in runs.root.iterdir()) == ["thesis"]


def test_a_run_that_is_completed_while_the_question_stands_is_kept(tmp_path):
    runs = Runs(tmp_path)
    with leased(runs, SPEC):
        pass
    (asked,) = runs.survey()
    complete(runs)
    before = everything(tmp_path)
    assert runs.delete(asked) == "it was completed meanwhile"
    assert everything(tmp_path) == before
    assert runs.find(SPEC) is not None
    (asked,) = runs.survey()
    (runs.path(SPEC) / "result.json").unlink()
    assert runs.delete(asked) == "its result is gone meanwhile"


@pytest.mark.parametrize("linked", ["run", "result.json", "curve.csv", "checkpoints"])
def test_a_link_is_never_followed(tmp_path, linked):
    real = complete(Runs(tmp_path / "elsewhere"))
    runs = Runs(tmp_path / "runs", tmp_path / "checkpoints")
    runs.root.mkdir()
    folder = runs.path(SPEC)
    if linked == "run":
        folder.symlink_to(real)
    elif linked == "checkpoints":
        shutil.copytree(real, folder)
        runs.checkpoints.mkdir()
        (runs.checkpoints / real.name).symlink_to(real)
    else:
        shutil.copytree(real, folder)
        (folder / linked).unlink()
        (folder / linked).symlink_to(real / linked)
    before, found = everything(tmp_path), survey(runs)[real.name]
    for only in ("run", "weights", "temporary"):
        assert runs.delete(found, only).endswith(" is a link")
    found = dataclasses.replace(found, link=None)  # the link came while the question stood
    assert runs.delete(found).endswith(" is a link")
    assert everything(tmp_path) == before


def test_weights_and_half_written_files_go_alone(tmp_path):
    runs = Runs(tmp_path)
    path = complete(runs)
    before = everything(tmp_path)
    (path / "weights.safetensors").write_bytes(b"weights")
    (path / ".curve.csv.rethinking-x1y2z3a4").write_bytes(b"half")
    found = survey(runs)[path.name]
    assert (found.weights, [p.name for p in found.temporary]) == (True, [".curve.csv.rethinking-x1y2z3a4"])
    assert runs.delete(found, "temporary") == ""
    assert everything(tmp_path) == before | {path / "weights.safetensors": b"weights"}
    assert runs.delete(found, "weights") == ""
    assert everything(tmp_path) == before


def test_what_no_run_accounts_for_is_swept_and_nothing_else(tmp_path):
    runs, old = Runs(tmp_path / "runs", tmp_path / "checkpoints"), time.time() - 7200
    complete(runs)
    gone, fresh, linked = (SPEC.replace(seed=k).run_id for k in (1, 2, 3))
    begun = SPEC.replace(seed=4)
    with leased(runs, begun) as writer:
        write(writer.checkpoint_path, b"checkpoint")
    half = ".rethinking-x1y2z3a4"
    kept = ["runs/.DIGESTS.bak", "runs/.gitignore.bak", "runs/DIGESTS", f"runs/.curve.csv{half}", "checkpoints/.a.b"]
    kept += [f"checkpoints/{fresh}/checkpoint.safetensors", "checkpoints/thesis/checkpoint.safetensors"]
    kept += ["checkpoints/thesis-0123456789/mine", "elsewhere/checkpoint.safetensors", "runs/.DIGESTS.autosave"]
    kept += ["runs/.DIGESTS.rethinking-fresh_12"]
    doomed = [f"runs/.DIGESTS{half}", f"checkpoints/{gone}/checkpoint.safetensors"]
    doomed += [f"checkpoints/{gone}/.checkpoint.safetensors{half}", f"checkpoints/{SPEC.replace(seed=5).run_id}/"]
    for name in (*kept, *doomed):
        (tmp_path / name if name[-1] == "/" else (tmp_path / name).parent).mkdir(parents=True, exist_ok=True)
        if name[-1] != "/":
            (tmp_path / name).write_bytes(checkpoint_of(runs.root) if name.startswith("checkpoints/") else b"half")
    (tmp_path / "checkpoints" / linked).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "runs" / ".DIGESTS.rethinking-l1nkl1nk").symlink_to(tmp_path / "elsewhere" / "checkpoint.safetensors")
    for path in tmp_path.rglob("*"):
        if fresh not in str(path) and "fresh" not in path.name and not path.is_symlink():
            os.utime(path, (old, old))
    before = {p: p.read_bytes() for p in everything(tmp_path) if str(p.relative_to(tmp_path)) not in doomed}
    assert Runs(tmp_path / "misspelt", runs.checkpoints).strays() == []
    found = runs.strays()
    swept = sorted(tmp_path / name for name in (doomed[0], doomed[3], f"checkpoints/{gone}"))
    assert found == swept
    assert [runs.sweep(path) for path in found] == 3 * [""]
    assert everything(tmp_path) == before
    assert not any(path.exists() for path in found)
    assert runs.strays() == []
    assert runs.sweep(found[0]) == "it is gone or in use meanwhile"


def test_a_checkpoint_whose_run_begins_meanwhile_is_kept(tmp_path):
    runs = Runs(tmp_path / "runs", tmp_path / "checkpoints")
    folder = runs.checkpoints / SPEC.run_id
    write(folder / "checkpoint.safetensors", checkpoint_of(runs.root))
    for path in (folder / "checkpoint.safetensors", folder):
        os.utime(path, (0, 0))
    runs.root.mkdir()
    assert runs.strays() == [folder]
    with leased(runs, SPEC):
        assert runs.sweep(folder)
    assert (folder / "checkpoint.safetensors").read_bytes() == checkpoint_of(runs.root)


def test_a_link_stays_where_its_file_is_the_users_and_goes_where_it_is_of_a_record(tmp_path):
    (tmp_path / "link").symlink_to("file")
    write(tmp_path / "link", "new", through=True)
    assert (tmp_path / "file").read_text() == "new"
    write(tmp_path / "link", "another")
    assert [(tmp_path / name).read_text() for name in ("file", "link")] == ["new", "another"]
    runs = Runs(tmp_path / "runs")
    (complete(runs).parent / "ARCHIVE").write_text(f"{SPEC.run_id}\n")
    (tmp_path / "runs" / "DIGESTS").symlink_to("../digests")
    assert runs.digest() == 1
    assert (tmp_path / "digests").is_file()


def test_a_runs_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write to .*name another with --runs"):
        Runs(tmp_path / "file").writable()
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EINVAL, errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_what_a_file_system_cannot_do_is_not_needed_and_a_disk_that_fails_is_not_passed_over(
    tmp_path, monkeypatch, code
):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    write(tmp_path / "file", "old")
    monkeypatch.setattr(os, "fsync", refuse)
    if code in (errno.EIO, errno.ENOSPC):  # the old file is left, and no litter
        for name in ("file", "another"):
            with pytest.raises(OSError, match=os.strerror(code)):
                write(tmp_path / name, "new")
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]
        return
    monkeypatch.setattr(os, "chmod", refuse)
    write(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"
    complete(Runs(tmp_path / "runs"))
    assert Runs(tmp_path / "runs").find(SPEC)
