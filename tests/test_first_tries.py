"""First tries of somebody who has not read the docs: each is answered by one line that says what to do."""

import re
import sys

import numpy as np
import pytest
import torch
from command import cli, one_line
from torch.utils.data import TensorDataset

import rethinking as rt
from rethinking import corruptions, data

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (12, 8, 8, 3), np.uint8), np.arange(12) % 3
NAMES = np.array(["cat", "dog", "owl"])
X, Y = torch.rand(12, 3, 8, 8), torch.arange(12) % 3
DATASET = TensorDataset(X, Y)
FILES = {
    "good": (IMAGES, LABELS),
    "flat": (IMAGES.reshape(12, -1), LABELS),
    "short": (IMAGES, LABELS[:9]),
    "objects": (IMAGES, NAMES.astype(object)[LABELS]),
    "alone": (IMAGES[:1], LABELS[:1]),
    "same": (IMAGES, 0 * LABELS),
}
RUN = "run --model mlp-1x512 --steps 2"
# The command, or its words; what the line has of what was given and of what to do.
COMMANDS = {
    "data add": "NAME.*--help",
    "data add good.npz good": "1 to 40 letters, digits and _, and before the path",
    "data add mine missing.npz": "not there: name a folder",
    "data add mine flat.npz": r"\(12, 192\): give images",
    "data add mine short.npz": "12 images.*9 labels: give a pair",
    "data add mine objects.npz": r"object.*names as array.astype\(str\)",
    "data add mine alone.npz": "1 class: give two or more",
    "data add mine same.npz": "1 class: give two or more",
    "data add mine keys.npz": "holds foo, bar: name the arrays train_images",
    "run": "nothing is said of the run.*--model mlp-3x512 --n 2000",
    "run good": r"unexpected extra argument \(good\).*`rethinking run --help`",
    f"{RUN} --data good.npz": "`rethinking data add NAME good.npz` makes a file",
    f"{RUN} --data good --n 1": "n is 1, so there is nothing to tell apart: train on 2",
    f"{RUN} --data good --n 1000": "n is 1000, good has 12 training images: give 1 to 12",
    f"{RUN} --data good --runs /proc/none": "cannot write to /proc/none .*: name another with --runs",
    f"{RUN} --corruption random_label": "did you mean 'random_labels'",
    f"{RUN} --device mps": "device is 'mps', allowed are auto, cpu, cuda and one GPU",
    "fig1a": "'fig1a' is a figure, not a command: give `rethinking figure fig1a`",
    "figure": "no figure is given: name one, or all",
    "figure fig1a good": "unknown figure 'good', which is a data set: known are",
    "figure fig1a --data mine": "unknown data set 'mine': known are",
    "figure fig1a --out /proc/none": "cannot write to /proc/none .*: name another with --out",
    "figure fig1a --redraw": "no record for fig1a at scale quick: name another scale, other --runs, or train",
    "list figure": "did you mean `list figures`",
    "list fig1a": "did you mean `list figures fig1a`",
    "show": "RUN.*`rethinking show --help`",
}
FEW = {"epochs": 1, "progress": False}
CALLS = {
    "the data set comes first: experiment": lambda: rt.experiment(torch.nn.Flatten(), DATASET),
    r"the data set comes first: experiment\(dataset, network\)": lambda: rt.experiment(lambda: None, DATASET),
    r"the labels come first: give \(images, labels\)": lambda: rt.experiment((Y, X), net),
    r"TensorDataset\(images, labels\)": lambda: rt.experiment(X, net, **FEW),
    "did you mean corruption": lambda: rt.experiment(DATASET, net, corruptions="random_labels"),
    r"does not take inputs of shape \(3, 8, 8\)": lambda: rt.experiment(DATASET, lambda: torch.nn.Linear(9, 3), **FEW),
    "'dog' .*: map the names to 0, 1, 2": lambda: rt.experiment((IMAGES, NAMES[(LABELS + 1) % 3]), net, **FEW),
    "one class.*: give two classes or more": lambda: rt.experiment((X, 0 * Y), net, **FEW),
    "1 example: give at least 2": lambda: rt.experiment((X[:1], Y[:1]), net, **FEW),
    "n is 100, .*: give 2 to 12": lambda: rt.experiment(DATASET, net, n=100, **FEW),
    r"as one_hot.argmax\(1\)": lambda: rt.experiment((X, torch.eye(3)[Y]), net, **FEW),
    "another with save=": lambda: rt.experiment("good", "mlp-1x512", steps=2, save="/proc/none"),
    "`rethinking data add NAME good.npz`": lambda: data.load("good.npz"),
    "run `rethinking data fetch mnist`": lambda: data.load("mnist"),
    "no folder of runs: name one, or train": lambda: rt.records("runs"),
    "train with `rethinking figure fig1a --scale quick`": lambda: rt.figure("fig1a"),
    r"first: PartialLabels\(dataset, 0.3\)": lambda: corruptions.PartialLabels(0.3, DATASET),
    "say which is the label, label=KEY": lambda: corruptions.RandomLabels([{"a": X[0], "b": 1}] * 2),
}


def net():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))


@pytest.fixture
def desk(tmp_path, home, monkeypatch):
    """A working directory with files of arrays, one of which was added."""
    monkeypatch.chdir(tmp_path)
    for name, (images, labels) in FILES.items():
        np.savez(
            f"{name}.npz", train_images=images, train_labels=labels, test_images=IMAGES[:6], test_labels=LABELS[:6]
        )
    np.savez("keys.npz", foo=IMAGES, bar=LABELS)
    data.add("good", "good.npz")


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("words", COMMANDS)
def test_a_command(words):
    assert re.search(COMMANDS[words], one_line(cli(*words.split())))


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("line", CALLS)
def test_a_call(line):
    with pytest.raises(rt.InputError, match=line):
        CALLS[line]()


def test_windows_is_refused_before_anything_is_imported_that_it_lacks(monkeypatch, capsys):
    from rethinking.__main__ import main

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "rethinking.cli", None)  # so that its import fails
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("rethinking: Windows is not supported: use Linux")
