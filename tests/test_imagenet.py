"""Runs on a folder of images by several processes: the laws of training, checkpoints and records, on small JPEG images.

`KILLS=10 python -m pytest tests/test_imagenet.py -k killed` kills a run ten times instead of twice.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from command import cli, one_line
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import inception_v3

from rethinking import corruptions, figures
from rethinking.claims import NOT_JUDGED, NOT_RUN
from rethinking.engines.progress import duration
from rethinking.errors import InputError
from rethinking.figures import _imagenet
from rethinking.imagenet import __main__ as entry
from rethinking.imagenet import checkpoint, cost, network, reading, train
from rethinking.record import Runs, Writer, format_curve
from rethinking.spec import Context, ImageNetSpec, Part, RunSpec
from rethinking.training import bfloat16

ROOT = Path(__file__).parents[1]
KILLS = int(os.environ.get("KILLS", "2"))
CPU, ALONE = torch.device("cpu"), train.Group()
STOPPED = 1  # the status of torchrun that is asked to stop; its processes have 143
SMALL = {"data": "rehearsal", "n": 60, "test": 24, "classes": 6, "network": "small", "image_size": 16}
SMALL |= {"batch_size": 8, "processes": 2, "steps": 20, "eval_every": 7, "interim_train": 30, "batch_norm_decay": 0.9}
RANDOM = (Part(name="random_labels"),)


def spec_of(**fields) -> ImageNetSpec:
    return ImageNetSpec.make(**SMALL | fields)


def write_images(folder: Path, split: str, each: int) -> None:
    """So many small JPEG images of 6 classes, of different sizes."""
    rng = np.random.default_rng(len(split))
    for label in range(6):
        place = folder / split / f"class{label}"
        place.mkdir(parents=True)
        for k in range(each):
            height, width = rng.integers(18, 40, 2)
            pixels = 40 * label + rng.integers(0, 56, (height, width, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(place / f"{k}.JPEG")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, "train", 10)
    write_images(folder, "val", 4)
    return folder


def words(spec: ImageNetSpec, images: Path, runs: Path, *more: str) -> list[str]:
    """The command of a run; torchrun is the module that its script calls."""
    file = runs.parent / f"{spec.run_id}.json"
    file.write_text(spec.to_json())
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(spec.processes)]
    own = ["-m", "rethinking.imagenet", "--spec", file, "--data", images, "--runs", runs, "--device", "cpu"]
    return [sys.executable, *(launcher if spec.processes > 1 else []), *map(str, own), *more]


def launched(spec: ImageNetSpec, images: Path, runs: Path, *more: str):
    """The record of a run that torchrun makes, or goes on with from the checkpoint that is there."""
    reached = last_step(runs)
    done = subprocess.run(words(spec, images, runs, *more), capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert resumed_at(done.stderr) == reached
    return Runs(runs).find(spec)


def weights(record) -> dict[str, torch.Tensor]:
    return safetensors.torch.load((record.path / "weights.safetensors").read_bytes())


def trained(training: train.Training) -> tuple[list[dict], dict[str, torch.Tensor]]:
    """Evaluations and weights of a training in this process."""
    rows = list(training.rows(Context(None, CPU)))
    return rows, training.network.state_dict()


def same_within_rounding(record, rows: list[dict], held: dict[str, torch.Tensor]) -> None:
    assert record.curve["step"] == [row["step"] for row in rows]
    for name in record.spec.columns:
        assert record.curve[name] == pytest.approx([row[name] for row in rows], rel=1e-4, abs=1e-6, nan_ok=True), name
    for name, value in weights(record).items():
        if name.endswith("num_batches_tracked"):  # forward passes, which nothing reads
            continue
        torch.testing.assert_close(
            value, held[name], rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )


# --- two processes against one --------------------------------------------------------------------------


def test_two_processes_without_batch_norm_do_what_one_does(images, tmp_path):
    """With augmentation, dropout, weight decay and random labels, whose draws do not depend on who has an image."""
    spec = spec_of(network="small-nobn", corruptions=RANDOM)
    record = launched(spec, images, tmp_path / "runs")
    alone = spec.replace(processes=1)
    rows, held = trained(train.Training(alone, reading.opened(alone, images), CPU, ALONE))
    same_within_rounding(record, rows, held)
    assert held["fc.weight"].sub(network.build(alone).state_dict()["fc.weight"]).abs().max() > 0.01  # it has trained


class Halves(train.Training):
    """One process that normalizes each half of a batch by itself, and takes the mean of both running statistics."""

    def train_step(self, images, labels):
        for group in self.optimizer.param_groups:
            group["lr"] = self.spec.rate_at(self.step)
        self.optimizer.zero_grad()
        self.dropout.step = self.step
        buffers = list(network.buffers_of(self.network))
        before, after = [b.clone() for b in buffers], []
        size = len(labels) // 2
        for first in (0, size):
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
            self.dropout.first = first
            part, its = images[first : first + size], labels[first : first + size]
            outputs = self.network(part.contiguous(memory_format=torch.channels_last))
            (network.loss_of(self.spec, outputs, its) / 2).backward()
            self.seen += train.sums(outputs[0].detach(), its)
            after.append([b.clone() for b in buffers])
        for buffer, one, other in zip(buffers, *after, strict=True):
            buffer.copy_((one + other) / 2)
        self.optimizer.step()
        self.step += 1


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    """The record of a run of two processes with batch norm that nothing has stopped."""
    return launched(spec_of(), images, tmp_path_factory.mktemp("whole") / "runs")


def test_two_processes_with_batch_norm_do_what_one_does_that_normalizes_halves(images, whole):
    alone = spec_of(processes=1)
    folder = reading.opened(alone, images)
    same_within_rounding(whole, *trained(Halves(alone, folder, CPU, ALONE)))
    _, together = trained(train.Training(alone, folder, CPU, ALONE))
    apart = (weights(whole)["fc.weight"] - together["fc.weight"]).abs().max()
    assert apart > 1e-3  # the whole batch normalized at once is another training


def test_the_record_tells_how_batches_are_shared(whole):
    made = whole.environment
    assert (made["effective_batch"], made["processes"], made["batch_per_process"]) == (8, 2, 4)
    assert made["batch_norm_statistics"].startswith("each process normalizes its own 4 images of a batch")
    assert re.fullmatch("train [0-9a-f]{64}, val [0-9a-f]{64}, content [0-9a-f]{64}", made["data_digest"])
    assert whole.result["status"] == "budget"
    assert whole.curve["step"] == [0, 7, 14, 20]
    assert whole.curve["train_images"] == [30, 30, 30, 60]
    assert set(whole.curve["test_images"]) == {24}
    assert not list(whole.path.glob("checkpoint*"))
    shown = cli("show", whole.path.name, "--runs", whole.path.parent)
    assert f"  {whole.spec.summary(whole.final)}\n" in shown.stdout
    again = cli("run", "--spec", whole.path / "spec.json", "--compare", "--runs", whole.path.parent, "--device", "cpu")
    assert "no engine makes rehearsal-small" in one_line(again)
    threads = cli("run", "--spec", whole.path / "spec.json", "--threads", 1, "--runs", whole.path.parent)
    assert f"which no engine makes: give `{whole.spec.command}`" in one_line(threads)


# --- stopped and gone on with ---------------------------------------------------------------------------


def children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def last_step(runs: Path) -> int:
    found = [int(path.name[5:]) for path in runs.glob("*/checkpoint/step-*")]
    return max(found, default=-1)


def resumed_at(error: str) -> int:
    """The step from which a call says that it has gone on; -1 where it began anew."""
    return int(found[1]) if (found := re.search(r": resumed at step (\d+)$", error, re.M)) else -1


def test_killed_at_random_moments_and_gone_on_with_it_ends_the_same_to_the_bit(images, whole, tmp_path):
    """The first time it is asked to stop, by SIGTERM, instead."""
    runs, spec, draws = tmp_path / "runs", spec_of(), random.Random(0)
    for k, drawn in enumerate(sorted(draws.sample(range(1, spec.steps - 6), KILLS))):
        before, asked = last_step(runs), k == 0
        step = max(drawn, before + 1)
        if step > spec.steps - 6:  # of many kills
            break
        call = words(spec, images, runs, "--every", "0")
        process = subprocess.Popen(call, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        while last_step(runs) < step and process.poll() is None:
            time.sleep(0.002)
        time.sleep(draws.uniform(0, 0.02))
        if asked:
            process.terminate()
        else:
            for pid in (*children(process.pid), process.pid):
                os.kill(pid, signal.SIGKILL)
        error = process.communicate(timeout=300)[1]
        assert process.returncode == (STOPPED if asked else -signal.SIGKILL), error
        assert last_step(runs) >= step, "the run had ended before"
        assert resumed_at(error) == before
        assert asked == ("rethinking: stopped; the same command goes on from here" in error)
    made = launched(spec, images, runs)
    for name in ("curve.csv", "weights.safetensors", "spec.json"):
        assert (made.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    assert not list(made.path.glob("checkpoint*"))


def test_with_loaders_it_stops_at_sigterm_with_its_checkpoint_and_ends_the_same_to_the_bit(images, whole, tmp_path):
    """torchrun sends its SIGTERM to the loaders, too."""
    runs, spec = tmp_path / "runs", spec_of()
    call = words(spec, images, runs, "--every", "0", "--loaders", "1")
    process = subprocess.Popen(call, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while last_step(runs) < 2 and process.poll() is None:
        time.sleep(0.002)
    process.terminate()
    error = process.communicate(timeout=300)[1]
    assert process.returncode == STOPPED, error
    assert "rethinking: stopped; the same command goes on from here" in error
    assert "DataLoader" not in error
    assert last_step(runs) >= 2
    made = launched(spec, images, runs, "--every", "0", "--loaders", "1")
    for name in ("curve.csv", "weights.safetensors"):
        assert (made.path / name).read_bytes() == (whole.path / name).read_bytes(), name


def test_loaders_are_begun_once_and_end_with_their_process(images, tmp_path):
    """Also where it is killed, and where they are asked to end by a signal."""
    code = (
        "import multiprocessing, os, signal, sys\n"
        "from pathlib import Path\n"
        "from rethinking.imagenet import reading\n"
        "from rethinking.spec import from_file\n"
        "spec = from_file(Path(sys.argv[1]))\n"
        "reader = reading.opened(spec, Path(sys.argv[2]), 2).reader\n"
        "pids = sorted(child.pid for child in multiprocessing.active_children())\n"
        "for _ in range(3):\n"
        "    parts = reader.batches(0, 0)\n"
        "    next(parts)\n"
        "    for pid in pids:\n"
        "        os.kill(pid, signal.SIGTERM)\n"
        "    images = [len(labels) for _, labels in reader.measured(reading.TESTED, range(24), 10)]\n"
        "    assert images == [10, 10, 4]\n"
        "assert sorted(child.pid for child in multiprocessing.active_children()) == pids\n"
        "print(*pids, flush=True)\n"
        "if sys.argv[3] == 'killed':\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "spec.json").write_text(spec_of(processes=1).to_json())
    for how, status in (("killed", -signal.SIGKILL), ("ended", 0)):
        call = [sys.executable, "-c", code, tmp_path / "spec.json", images, how]
        done = subprocess.run(call, capture_output=True, text=True, check=False, cwd=ROOT, timeout=300)
        pids = [int(word) for word in done.stdout.split()]
        assert (done.returncode, len(pids)) == (status, 2), done.stderr
        until = time.monotonic() + 60
        while any(running(pid) for pid in pids) and time.monotonic() < until:
            time.sleep(0.01)
        assert not any(running(pid) for pid in pids)


def running(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_checkpoint_holds_all_that_the_next_step_depends_on(images, tmp_path):
    """In one process: broken off at every step and within evaluations, restored into another training."""
    spec = spec_of(processes=1, steps=5, eval_every=2, precision="bfloat16")
    folder = reading.opened(spec, images)
    training, rows, steps = train.Training(spec, folder, CPU, ALONE), [], []

    def after(step):
        place = tmp_path / str(len(steps))
        checkpoint.save(place, step, training.state(), ALONE, {"run": spec.run_id, "rows": list(rows)})
        steps.append(step)

    for row in training.rows(Context(None, CPU, on_step=after)):
        rows.append(row)  # noqa: PERF402 (as it is saved on the way)
    assert steps == [0, 0, 1, 2, 2, 2, 3, 4, 4, 4, 5, 5, 5, 5]  # two batches in an evaluation, at the end three
    for k in range(len(steps)):
        place, notes = checkpoint.latest(tmp_path / str(k), spec.run_id)
        other = train.Training(spec, folder, CPU, ALONE)
        for _ in range(2):
            other.train_step(torch.randn(8, 3, 16, 16), torch.arange(8) % 6)
        other.restore(checkpoint.load(place))
        more = list(other.rows(Context(None, CPU)))
        assert format_curve([*notes["rows"], *more]) == format_curve(rows)
        for name, value in training.network.state_dict().items():
            assert torch.equal(value, other.network.state_dict()[name]), name


def test_a_machine_that_is_wrong_in_bfloat16_makes_no_run_in_it(images, tmp_path, home, monkeypatch):
    spec = spec_of(processes=1, steps=2, eval_every=2, precision="bfloat16")
    folder, runs, tried = reading.opened(spec, images), Runs(tmp_path / "runs"), []

    def wrong(network, few):
        tried.append((str(network), few.shape))
        return 0.05, "output of first"

    with monkeypatch.context() as patched:
        patched.setattr(bfloat16, "worst", wrong)
        for _ in range(2):  # the second time by what was kept
            with pytest.raises(InputError, match="bfloat16 is wrong on this machine: in small the output of first is"):
                entry.make(spec, folder, runs, CPU, ALONE, quiet=True)
    assert tried == [(str(network.build(spec)), (8, 3, 16, 16))]
    assert not runs.complete(spec)
    (home / bfloat16.FILE).unlink()
    assert entry.make(spec, folder, runs, CPU, ALONE, quiet=True) == runs.path(spec)
    (found,) = json.loads((home / bfloat16.FILE).read_text()).values()
    assert 0 < found[0] < bfloat16.LIMIT


# --- bad input --------------------------------------------------------------------------------------------


def refused(capsys, monkeypatch, *call: str) -> str:
    """What the command says of bad input: one line, status 2, nothing written."""
    monkeypatch.setattr(sys, "argv", ["rethinking.imagenet", *map(str, call)])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    out, err = capsys.readouterr()
    assert ended.value.code == 2, err
    lines = [line for line in err.splitlines() if not line.endswith(": starting")]
    assert out == ""
    assert len(lines) == 1, err
    assert lines[0].startswith("rethinking: ")
    return lines[0]


def spoilt(images: Path, tmp_path: Path, how: str) -> Path:
    """A folder of images with a fault."""
    folder = tmp_path / "spoilt"
    write_images(folder, "train", 10)
    if how != "no val":
        write_images(folder, "val", 4)
    if how == "missing class":
        for path in (folder / "val" / "class3").iterdir():
            path.unlink()
        (folder / "val" / "class3").rmdir()
    if how == "fewer":
        (folder / "train" / "class1" / "2.JPEG").unlink()
    if how == "loose":
        (folder / "train" / "0.JPEG").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("no val", "has no folder val"),
        ("missing class", "val has no class class3"),
        (
            "fewer",
            "has 59 training and 24 test images of 6 classes, the spec 60, 24 and 6: give the folder of the spec",
        ),
        ("loose", "0.JPEG is in no folder of a class"),
    ],
)
def test_a_folder_of_another_layout_is_one_line(how, told, images, tmp_path, capsys, monkeypatch):
    spec = spec_of(processes=1)
    (tmp_path / "spec.json").write_text(spec.to_json())
    call = ("--spec", tmp_path / "spec.json", "--data", spoilt(images, tmp_path, how), "--runs", tmp_path / "runs")
    assert told in refused(capsys, monkeypatch, *call)
    assert not (tmp_path / "runs").exists()


def test_other_bad_input_is_one_line(images, tmp_path, capsys, monkeypatch):
    def said(given, *more) -> str:
        file = tmp_path / "spec.json"
        file.write_text(given.to_json())
        return refused(capsys, monkeypatch, "--spec", file, "--data", images, "--runs", tmp_path / "runs", *more)

    assert "the spec is of 2 processes, started are 1: `torchrun --nproc-per-node 2 -m" in said(spec_of())
    assert "which is made by `rethinking run --spec`" in said(RunSpec.make(n=100, model="mlp-1x512"))
    real = said(ImageNetSpec.make(processes=1))
    assert "no class of ILSVRC 2012" in real  # a rehearsal's images cannot stand for ImageNet
    with monkeypatch.context() as started:
        started.setenv("WORLD_SIZE", "2")
        assert "2 processes cannot read one standard input" in refused(
            capsys, monkeypatch, "--spec", "-", "--data", images
        )
    assert "no run of table2" in refused(capsys, monkeypatch, "--spec", "nowhere", "--data", images)
    assert "--loaders" in said(spec_of(processes=1), "--loaders", "-1")
    assert "--every is nan: give seconds" in said(spec_of(processes=1), "--every", "nan")
    line = said(spec_of(processes=1), "--checkpoints", tmp_path / "spec.json")
    assert "spec.json" in line
    assert "name another" in line
    for name, value in (("is_available", True), ("device_count", 1)):
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    monkeypatch.setenv("LOCAL_RANK", "1")
    for device in ("auto", "cuda"):
        line = said(spec_of(processes=1), "--device", device)
        assert f"device is {device}, and this machine shows 1 GPU: give one a process, or --device cpu" in line
    assert not list((tmp_path / "runs").glob("*/result.json"))


def test_an_image_that_cannot_be_read_is_one_line(images, tmp_path, capsys, monkeypatch):
    folder, spec = spoilt(images, tmp_path, ""), spec_of(processes=1)
    (folder / "train" / "class0" / "0.JPEG").write_bytes(b"no image")
    (tmp_path / "spec.json").write_text(spec.to_json())
    call = ("--spec", tmp_path / "spec.json", "--data", folder, "--runs", tmp_path / "runs", "--device", "cpu")
    for loaders in ("0", "1"):
        line = refused(capsys, monkeypatch, *call, "--loaders", loaders)
        assert line.startswith(f"rethinking: {folder / 'train' / 'class0' / '0.JPEG'} cannot be read")
    assert list((tmp_path / "runs").glob("*")) == []
    (folder / "val" / "class5" / "3.JPEG").write_bytes(b"")
    monkeypatch.setattr(sys, "argv", ["rethinking.imagenet", *map(str, call), "--loaders", "1", "--check"])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (1, "2 of 84 images cannot be read\n")
    assert [line.partition(" cannot")[0] for line in err.splitlines()] == [
        f"rethinking: {folder / 'train' / 'class0' / '0.JPEG'}",
        f"rethinking: {folder / 'val' / 'class5' / '3.JPEG'}",
    ]


@pytest.mark.parametrize(("rank", "says"), [("0", True), ("1", True), ("2", False)])
def test_that_another_process_has_ended_is_said_by_the_first_or_the_second(rank, says, capsys, monkeypatch):
    def ended(**_):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer")

    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(entry, "command", ended)
    with pytest.raises(SystemExit):
        entry.main()
    assert ("another process has ended" in capsys.readouterr().err) == says


def test_a_damaged_or_foreign_checkpoint_is_refused_and_anew_begins_again(images, whole, tmp_path):
    spec = spec_of(processes=1, steps=2, eval_every=1)
    folder, runs = reading.opened(spec, images), Runs(tmp_path)
    training = train.Training(spec, folder, CPU, ALONE)
    list(training.rows(Context(None, CPU)))
    place = tmp_path / spec.run_id / "checkpoint"

    def saved(run=spec.run_id, **told) -> Path:
        made = {"device": "cpu", "data_digest": folder.digest} | told
        checkpoint.save(place, 2, training.state(), ALONE, {"run": run, "rows": [], "seconds": 0.0, "made_with": made})
        return place / "step-2"

    def said() -> str:
        with pytest.raises(InputError) as caught:
            entry.make(spec, folder, runs, CPU, ALONE, quiet=True)
        entry._clear(place)
        return str(caught.value)

    file = next(saved().glob("*.distcp"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert "is damaged, by its own SHA-256: give --anew" in said()
    saved("other-0123456789")
    assert "is a checkpoint of other-0123456789" in said()
    saved(data_digest="train x, val y")
    assert "was begun with the images train x, val y" in said()
    saved(device="cuda")
    assert entry.make(spec, folder, runs, CPU, ALONE, anew=True, quiet=True) == runs.path(spec)
    assert runs.find(spec).curve["step"] == [0, 1, 2]


def test_a_kill_before_the_record_is_whole_leaves_weights_that_are_the_runs_own(images, tmp_path, monkeypatch):
    spec, runs = spec_of(processes=1, steps=2, eval_every=1), Runs(tmp_path / "runs", weights=tmp_path / "weights")

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(Writer, "finish", dies)
        with pytest.raises(KeyboardInterrupt):
            entry.make(spec, reading.opened(spec, images), runs, CPU, ALONE, quiet=True)
    assert runs.weights_of(spec).is_file()
    assert entry.make(spec, reading.opened(spec, images), runs, CPU, ALONE, quiet=True) == runs.path(spec)
    assert runs.find(spec)


def test_a_record_of_other_images_is_no_record_of_these_and_what_a_kill_left_is_cleared(images, tmp_path, monkeypatch):
    spec, runs = spec_of(processes=1, steps=2, eval_every=2), Runs(tmp_path / "runs")
    with monkeypatch.context() as killed:
        killed.setattr(entry, "_clear", lambda place: None)
        entry.make(spec, reading.opened(spec, images), runs, CPU, ALONE, quiet=True)
    left = runs.path(spec) / "checkpoint"
    assert left.is_dir()
    assert [(found.complete, found.foreign) for found in runs.survey()] == [(True, None)]
    other = spoilt(images, tmp_path, "")
    made = Runs(tmp_path / "runs")
    assert entry.make(spec, reading.opened(spec, other), made, CPU, ALONE, quiet=True) == runs.path(spec)  # the same
    assert not left.exists()
    Image.new("RGB", (20, 20)).save(other / "val" / "class0" / "0.JPEG")
    with pytest.raises(
        InputError, match=r"was made of the images train .*, here they are train .*: give the folder of"
    ):
        entry.make(spec, reading.opened(spec, other), made, CPU, ALONE, quiet=True)
    monkeypatch.setattr(reading, "FEW", 3)
    sizes = [reading.opened(spec, folder).digest for folder in (images, other)]
    assert sizes[0] != sizes[1]
    assert all(", sizes " in each for each in sizes)


# --- what is drawn, and by what it is keyed ---------------------------------------------------------------


def test_the_parts_of_all_processes_go_through_every_epoch_once():
    spec = spec_of(processes=4, steps=30)
    seen = [place for step in range(30) for rank in range(4) for place in reading.places(spec, step, rank)]
    for epoch in range(4):
        assert sorted(index for e, index in seen if e == epoch) == list(range(60))
    assert [place for step in range(30) for place in reading.places(spec.replace(processes=1), step, 0)] == seen
    assert seen[:60] != [(0, index) for _, index in seen[60:120]]


def test_what_is_drawn_for_an_image_depends_on_seed_epoch_and_index_alone(images):
    spec = spec_of()
    folder = reading.opened(spec, images)
    drawn = reading.Examples(folder.train, folder.train.labels, spec, augmented=True)
    first, label = drawn[1, 7]
    assert (first.shape, first.dtype, label) == ((3, 16, 16), torch.float32, 0)
    assert -1 <= first.min() < first.max() <= 1
    assert torch.equal(first, drawn[1, 7][0])
    other = reading.Examples(folder.train, folder.train.labels, spec.replace(seed=1), augmented=True)
    assert not any(torch.equal(first, each) for each in (drawn[2, 7][0], drawn[1, 8][0], other[1, 7][0]))
    plain = reading.Examples(folder.train, folder.train.labels, spec, augmented=False)
    assert torch.equal(plain[1, 7][0], plain[2, 7][0])


def test_random_labels_are_those_of_the_same_index_everywhere(images):
    spec = spec_of(corruptions=(Part(name="partial_labels", options={"p": 0.5}),), data_seed=3)
    folder = reading.opened(spec, images)
    wrapped = corruptions.PartialLabels(folder.train, p=0.5, seed=3)
    assert reading.labels_of(spec, folder.train).tolist() == [wrapped[i][1] for i in range(60)]
    assert reading.probe(spec, last=False) == list(range(0, 60, 2))


# --- network and optimizer ----------------------------------------------------------------------------------


def test_inception_v3_has_torchvision_s_parameters_and_trains(images):
    fields = {"network": "inception_v3", "image_size": 299, "batch_size": 2, "processes": 1, "steps": 1}
    spec = spec_of(**fields, batch_norm_decay=0.75)
    training = train.Training(spec, reading.opened(spec, images), CPU, ALONE)
    before = {name: value.clone() for name, value in training.network.state_dict().items()}
    last = before["fc.weight"].numel() + before["AuxLogits.fc.weight"].numel() + 12
    of_1000 = 27_161_264 - 1000 * (2048 + 768 + 2)
    assert sum(p.numel() for p in training.network.parameters()) - last == of_1000
    decayed, rest = training.optimizer.param_groups
    norms = [m for m in training.network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(rest["params"]) == 2 * len(norms) + 2
    assert (decayed["weight_decay"], rest["weight_decay"]) == (4e-5, 0)
    assert {m.momentum for m in norms} == {0.25}
    training.train_step(*next(training.folder.reader.batches(0, 0)))
    after = training.network.state_dict()
    assert training.seen[3] == 2
    assert training.bad == train.NEVER
    assert all(
        not torch.equal(before[n], after[n]) for n in ("fc.weight", "AuxLogits.fc.weight", "Conv2d_1a_3x3.bn.bias")
    )


def test_the_cost_rests_on_operations_that_are_counted():
    with torch.device("meta"):
        model = inception_v3(init_weights=False)
        with FlopCounterMode(display=False) as counter:
            sum(head.sum() for head in model(torch.empty(2, 3, 299, 299))).backward()
    assert counter.get_total_flops() / 2 == pytest.approx(cost.OPERATIONS["inception_v3"], rel=0.01)
    spec = ImageNetSpec.make()
    assert cost.estimate(spec, "cuda:0", None)[0] == pytest.approx(cost.device_seconds(spec, "cuda") / 8)
    seen, measured = 450_411 * 256, 89 * 100_000 + 1_281_167 + 50_000
    assert cost.reading_seconds(spec) == pytest.approx(seen * 8.8e-3 + measured * 1.8e-3, rel=2e-3)
    assert cost.reading_seconds(spec.replace(augmentation=False)) == pytest.approx((seen + measured) * 1.8e-3, rel=2e-3)
    assert duration(3600 * 11_311) == "11,000 h"


def test_rmsprop_is_tensorflow_s():
    weight = nn.Parameter(torch.tensor([2.0, -3.0], dtype=torch.float64))
    groups = [{"params": [weight], "weight_decay": 0.1}]
    optimizer = network.RMSProp(groups, rate=0.5, decay=0.9, momentum=0.8, epsilon=0.7)
    for k, start in enumerate(weight.tolist()):
        w, square, velocity = start, 1.0, 0.0
        weight.data = torch.tensor([2.0, -3.0], dtype=torch.float64)
        optimizer.state[weight]["mean_square"].fill_(1)
        optimizer.state[weight]["velocity"].zero_()
        for gradient, rate in ((1.5, 0.5), (-0.5, 0.1), (0.25, 0.1)):
            g = gradient + 0.1 * w
            square = 0.9 * square + 0.1 * g**2
            velocity = 0.8 * velocity + rate * g / (square + 0.7) ** 0.5
            w -= velocity
            weight.grad = torch.full_like(weight, gradient)
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
        assert weight[k].item() == pytest.approx(w, rel=1e-12)


def test_switches_and_schedule():
    spec = ImageNetSpec.make()
    rates = [spec.rate_at(round(epoch * 1_281_167 / 256)) for epoch in (0, 29.9, 30.1, 60.1)]
    assert rates == pytest.approx([0.1, 0.1, 0.016, 0.00256])
    assert spec.epoch_at(spec.steps) == pytest.approx(90, abs=1e-3)
    drop = network.Dropout(0.5, seed=0, first=2, total=4)
    ones = torch.ones(2, 1000)
    assert 400 < (drop(ones) == 0).sum() / 2 < 600
    assert torch.equal(drop(ones), network.Dropout(0.5, 0, 0, 4)(torch.ones(4, 1000))[2:])
    assert torch.equal(drop.eval()(ones), ones)
    assert torch.equal(network.Dropout(0.0, 0, 0, 4)(ones), ones)


def test_a_run_whose_loss_is_not_finite_diverges(images, tmp_path):
    spec = spec_of(processes=1, network="small-nobn", learning_rate=1e30, eval_every=4)
    runs = Runs(tmp_path)
    entry.make(spec, reading.opened(spec, images), runs, CPU, ALONE, quiet=True)
    record = runs.find(spec)
    assert record.result["status"] == "diverged"
    assert record.result["diverged_at"] == 2  # the first batch after the first update
    assert "diverged (loss not finite at step 2), step 4" in cli("show", spec.run_id, "--runs", tmp_path).stdout
    assert record.curve["step"] == [0, 4]
    training = train.Training(spec, reading.opened(spec, images), CPU, ALONE)
    list(training.rows(Context(None, CPU)))
    other = train.Training(spec, training.folder, CPU, ALONE)
    other.restore(training.state())
    assert (other.diverged_at, list(other.rows(Context(None, CPU)))) == (record.result["diverged_at"], [])


# --- figures and pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", entry.FIGURES)
def test_committed_pages_say_not_run_with_command_and_cost(name):
    drawn = json.loads((ROOT / "figures" / f"{name}-paper.json").read_text())
    assert {claim["verdict"] for claim in drawn["claims"]} == {NOT_RUN}
    page = (ROOT / "docs" / "results" / f"{name}-paper.md").read_text()
    assert page.count("| **not run** |") == len(drawn["claims"]) > 1
    specs = figures.unique(figures.specs(name, figures.setting(name, "paper")))
    assert [spec.run_id for spec in specs] == drawn["missing"]
    for spec in specs:
        assert f"\n    {spec.command}\n" in page
        assert entry.spec_of(spec.run_id) == spec
    assert cost.words(specs[0]) in page
    assert re.search(r"about \d+ GPU-hours, .* or about [\d,]+,000 core-hours", page)
    assert all(spec.command.endswith(" --loaders 12") for spec in specs)
    assert "--loaders" not in spec_of().command


@pytest.mark.parametrize("name", entry.FIGURES)
def test_a_rehearsal_is_never_evidence(name, whole):
    for scale in ("cpu", "paper"):
        specs = figures.unique(figures.specs(name, figures.setting(name, scale)))
        told = {(spec.data, spec.n, spec.image_size, spec.network) for spec in specs}
        assert told == {("imagenet", 1_281_167, 299, "inception_v3")}
    numbers = figures.numbers(name, figures.setting(name, "paper"), Runs(whole.path.parent))
    assert numbers["runs"] == {}
    rehearsed = figures.numbers(name, figures.setting(name), Runs(whole.path.parent))
    assert {claim["verdict"] for claim in rehearsed["claims"]} == {NOT_JUDGED}
    with pytest.raises(InputError, match="give data rehearsal for another folder"):
        spec_of(data="imagenet")


def test_without_imagenet_the_figure_says_what_to_do_and_plan_answers(tmp_path):
    line = one_line(cli("figure", "table2", "--scale", "paper", "--runs", tmp_path / "runs", "--out", tmp_path))
    assert "7 runs are missing that no engine makes: give `torchrun --nproc-per-node 8 -m rethinking.imagenet" in line
    assert list(tmp_path.iterdir()) == []
    planned = cli("plan", "table2", "--scale", "paper", "--runs", tmp_path, "--data-dir", tmp_path, "--json")
    told = json.loads(planned.stdout)
    assert (planned.returncode, told["to_train"], told["data_to_fetch"]) == (0, 7, [])
    assert told["seconds"] > 3600
    (tmp_path / "spec.json").write_text(spec_of().to_json())
    asked = cli("run", "--spec", tmp_path / "spec.json", "--runs", tmp_path / "runs", "--device", "cpu")
    assert "1 run is missing that no engine makes: give `torchrun --nproc-per-node 2" in one_line(asked)


def test_the_rows_are_the_paper_s_and_share_their_runs():
    of = {name: figures.unique(figures.specs(name, figures.setting(name, "paper"))) for name in entry.FIGURES}
    assert {s.run_id for s in of["fig2a"]} < {s.run_id for s in of["table2"]}
    switches = [(s.augmentation, s.dropout > 0, s.weight_decay > 0, bool(s.corruptions)) for s in of["table2"]]
    assert switches == [(row.augmentation, row.dropout, row.decay, row.random) for row in _imagenet.ROWS]
