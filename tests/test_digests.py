"""Digests: what they are of; records made before are bound by runs/DIGESTS. Every kind of damage is the campaign's."""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from rethinking import verify
from rethinking.errors import InputError
from rethinking.record import Runs, digests, leased, read
from rethinking.spec import RunSpec, Theorem1Spec

ROOT = Path(__file__).parents[1]
SPEC = RunSpec(n=100, model="mlp-1x512", steps=20, keep=("test_logits",))
KEPT = {"test_logits": np.arange(6, dtype=np.float16).reshape(3, 2), "test_labels": np.zeros(3, np.uint8)}
EVALUATION = dict.fromkeys(RunSpec().columns, 0.5) | {"step": 0, "test_images": 64, "train_loss": float("nan")}


def complete(root, spec=SPEC, made=None):
    with leased(Runs(root), spec) as writer:
        (writer.path / digests.WEIGHTS).write_bytes(b"weights")
        rows = [EVALUATION, EVALUATION | {"step": 20, "train_accuracy": 0.1 + 0.2}]
        made, arrays = {"commit": "abc", "seconds": 1.5} | (made or {}), dict(KEPT)
        writer.finish(rows, "budget", None, made, arrays, [(10, 1.0, 3, 8), (20, 0.5, 4, 8)])
    return writer.path


def computed(root):
    """A record of a run of another kind, which has no log, no arrays and no weights."""
    spec = Theorem1Spec.make(n=10)
    with leased(Runs(root), spec) as writer:
        row = {column.name: 1 if column.whole else 1.0 for column in spec.described}
        writer.finish([row], "computed", None, {"commit": "abc"})
    return writer.path


def unbound(path):
    """A record as they were made before they held digests."""
    result = json.loads((path / "result.json").read_text())
    (path / "result.json").write_text(json.dumps({k: v for k, v in result.items() if k not in digests.OWN}))
    return path


def meaning(path):
    found = read(path)
    arrays = {k: v.tolist() for k, v in found.arrays.items()}
    kept = {k: v for k, v in found.result.items() if k not in digests.OWN}
    return repr([found.spec, kept, found.environment, found.curve, found.online, arrays])


def test_the_digests_are_what_they_are_said_to_be(tmp_path):
    path = complete(tmp_path)
    result = json.loads((path / "result.json").read_text())
    others = [p for p in path.iterdir() if p.name != "result.json"]
    assert len(others) == 6
    assert result["digests"] == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in others}
    rest = {k: v for k, v in result.items() if k != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert result["digest"] == hashlib.sha256(text.encode("ascii")).hexdigest()


def test_a_file_that_is_gone_or_was_added_is_refused_and_weights_may_be_gone(tmp_path):
    path = complete(tmp_path)
    (path / digests.WEIGHTS).unlink()
    before = meaning(path)
    (path / "online.csv").rename(path / "kept")
    with pytest.raises(InputError, match=r"online\.csv is missing, by the SHA-256 in result\.json"):
        read(path)
    (path / "kept").rename(path / "online.csv")
    assert meaning(path) == before
    other = unbound(complete(tmp_path / "other", SPEC.replace(seed=1)))
    (other / "online.csv").unlink()
    (other / "result.json").write_text(json.dumps(digests.sealed(read_result(other), other)))
    (other / "online.csv").write_bytes((path / "online.csv").read_bytes())
    with pytest.raises(InputError, match=r"online\.csv does not belong to it"):
        read(other)


def test_a_sealed_file_is_the_same_whatever_the_order_of_its_metadata():
    weights = {"b": torch.arange(6.0), "a": torch.zeros(2, 3)}
    names = [f"{k:02}" for k in range(20)]
    seals = [digests.seal("run") | {k: k for k in order} for order in (names, names[::-1])]
    first, second = (digests.stamped(safetensors.torch.save(weights, seal)) for seal in seals)
    assert first == second
    found = safetensors.torch.load(first)
    assert all(torch.equal(found[k], v) for k, v in weights.items())
    assert list(json.loads(first[8 : 8 + first[0] + 256 * first[1]])["__metadata__"]) == [*names, "run", "sha256"]


def test_weights_are_bound_by_their_own_digest_where_the_record_holds_none(tmp_path):
    """As of records made before they held digests, whose weights were made again."""
    path, other = (unbound(complete(tmp_path, SPEC.replace(seed=k))) for k in range(2))
    result, file = read_result(path), path / digests.WEIGHTS
    weights = {"a": torch.arange(6.0)}
    held = [digests.stamped(safetensors.torch.save(weights, digests.seal(p.name))) for p in (path, other)]
    for content, message in (
        (held[0], ""),
        (held[1], f"is of {other.name}, not of {path.name}"),
        (safetensors.torch.save(weights), "is bound to its record by no digest"),
        (held[0].replace(b"F32", b"I32"), "is damaged"),
        (held[0][:-1] + b"\x01", "is damaged"),
        (held[0][:-1], "is damaged"),
        (b"weights", "is damaged"),
    ):
        file.write_bytes(content)
        for use in (lambda: digests.check_weights(file, result), lambda: digests.check(path, result, weights=True)):
            if message:
                with pytest.raises(InputError, match=message):
                    use()
            else:
                use()


def read_result(path):
    return json.loads((path / "result.json").read_text())


def test_the_list_is_added_to_and_never_changed(tmp_path):
    runs, file = Runs(tmp_path), tmp_path / "DIGESTS"
    first, second = (unbound(complete(tmp_path, SPEC.replace(seed=k))) for k in range(2))
    complete(tmp_path, SPEC.replace(seed=2))  # which holds its own
    result = (second / "result.json").rename(second / "aside")  # it is not complete
    assert runs.digest() == 6
    before = file.read_text()
    result.rename(second / "result.json")
    assert runs.digest() == 6
    assert file.read_text().startswith(before)
    assert runs.digest() == 0
    lines = [line.split("  ") for line in file.read_text().splitlines()]
    assert {place.split("/")[0] for _, place in lines} == {first.name, second.name}
    assert all(hashlib.sha256((tmp_path / place).read_bytes()).hexdigest() == digest for digest, place in lines)
    whole = file.read_text()
    environment = first / "environment.json"
    environment.write_text(environment.read_text().replace("abc", "abd"))
    complete(tmp_path, SPEC.replace(seed=3))
    for use in (runs.digest, lambda: runs.find(SPEC), lambda: read(first)):
        with pytest.raises(InputError, match=r"environment\.json was changed, by the SHA-256 in DIGESTS"):
            use()
    assert file.read_text() == whole


def test_a_list_that_was_changed_is_read_again_whatever_its_size_and_its_time(tmp_path):
    path = unbound(complete(tmp_path))
    Runs(tmp_path).digest()
    read(path)
    file = tmp_path / digests.LIST
    for _ in range(3):  # faster than a clock ticks
        found, text = file.stat(), file.read_text()
        file.write_text(("0" if text[0] != "0" else "1") + text[1:])
        os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
        with pytest.raises(InputError, match="by the SHA-256 in DIGESTS"):
            read(path)
        file.write_text(text)
        read(path)


def test_a_record_that_has_lost_its_digests_is_damaged_and_one_of_before_them_is_not(tmp_path):
    path = complete(tmp_path, made={digests.SINCE: "AVX2"})
    read(path)
    unbound(path)
    lost = r"result\.json has lost its digests"
    for reader in (read, lambda path: Runs(path.parent).digest(), lambda path: list(Runs(path.parent).find(SPEC))):
        with pytest.raises(InputError, match=lost):
            reader(path)
    assert re.search(lost, " ".join(verify.record(path)))
    read(unbound(complete(tmp_path / "before")))


def test_a_result_that_is_gone_is_missed_by_readers_of_what_is_listed_and_found_by_verify(tmp_path):
    for root in (tmp_path / "listed", tmp_path / "own", tmp_path / "computed"):
        runs, path = Runs(root), (computed if root.name == "computed" else complete)(root)
        (path / digests.WEIGHTS).unlink(missing_ok=True)
        if root.name == "listed":
            unbound(path)
            runs.digest()
        assert list(verify.records(runs)) == []
        (path / "result.json").unlink()
        (found,) = verify.records(runs)
        assert str(path) in found
        assert "bring it back" in found
        if root.name == "listed":
            missing = r"result\.json is missing, by the SHA-256 in DIGESTS: bring it back"
            with pytest.raises(InputError, match=missing):
                runs.find(SPEC)
            with pytest.raises(InputError, match=missing):
                runs.complete_records()
    begun = Runs(tmp_path / "begun")
    with leased(begun, SPEC) as writer:
        writer.save([EVALUATION], safetensors.torch.save({"a": torch.zeros(1)}, digests.seal(SPEC.run_id)), {})
    assert begun.find(SPEC) is None
    assert list(verify.records(begun)) == []


@pytest.mark.parametrize("line", ["x", f"{0:064} a/spec.json", f"{0:064}  a/b.json", f"{0:063}g  a/spec.json", ""])
def test_a_bad_line_of_the_list_is_named(tmp_path, line):
    path = unbound(complete(tmp_path))
    Runs(tmp_path).digest()
    file = tmp_path / "DIGESTS"
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(InputError, match=r"DIGESTS, line 7 is no digest of a file"):
        read(path)


def test_every_committed_record_is_bound():
    names = [p.parent.name for p in (ROOT / "runs").glob("*/result.json")]
    listed = digests.listed(ROOT / "runs")
    own = [name for name in names if read_result(ROOT / "runs" / name).keys() >= digests.OWN]
    assert sorted([*names, digests.ARCHIVE]) == sorted({*listed, *own})
    tracked = subprocess.run(["git", "-C", str(ROOT), "ls-files", "runs/DIGESTS"], capture_output=True, check=True)
    assert tracked.stdout
