"""First tries of somebody who has not read the docs: each is answered by one line that says what to do."""

import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from command import cli, one_line
from torch.utils.data import DataLoader, TensorDataset

import rethinking as rt
from rethinking import corruptions, data

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (12, 8, 8, 3), np.uint8), np.arange(12) % 3
NAMES = np.array(["cat", "dog", "owl"])
X, Y = torch.rand(12, 3, 8, 8), torch.arange(12) % 3
DATASET = TensorDataset(X, Y)
MIXED = [((255 * x).byte() if k == 0 else x, y) for k, (x, y) in enumerate(DATASET)]
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
    "data add mine photos.zip": "unpack it first, then name a folder",
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
    f"{RUN} --model mine.py": "put the file into the folder models of one that RETHINKING_PLUGINS names, and give its",
    f"{RUN} --device mps": "device is 'mps', allowed are auto, cpu, cuda and one GPU",
    "fig1a": "'fig1a' is a figure, not a command: give `rethinking figure fig1a`",
    "figure": "no figure is given: name one, or all",
    "figure fig1a good": "unknown figure 'good', which is a data set: known are",
    "figure fig1a --data mine": "unknown data set 'mine': `rethinking data add mine PATH` adds your own; known are",
    "figure fig1a --out /proc/none": "cannot write to /proc/none .*: name another with --out",
    "figure fig1a --redraw": "no record for fig1a at scale quick: name another scale, other --runs, or train",
    "list figure": "did you mean `list figures`",
    "list fig1a": "did you mean `list figures fig1a`",
    "show": "RUN.*`rethinking show --help`",
}
FEW = {"progress": False}
CALLS = {
    r"the data set comes first: experiment\(dataset, network\)": lambda: rt.experiment(net(), DATASET),
    "the data set comes first": lambda: rt.experiment(lambda: None, DATASET),
    r"network is the class Linear: give an instance, Linear\(\.\.\.\)": lambda: try_(DATASET, torch.nn.Linear),
    r"network is the class dict: give an instance": lambda: try_(DATASET, dict),
    "Flatten has no weights to train": lambda: try_(DATASET, torch.nn.Flatten),
    r"the labels come first: give \(images, labels\)": lambda: try_((Y, X)),
    r"TensorDataset\(images, labels\)": lambda: try_(X),
    "there are 4 images and 3 labels": lambda: try_((X[:4], Y[:3])),
    r"dataset is a DataLoader.*loader\.dataset": lambda: try_(DataLoader(DATASET)),
    "no key 'z'": lambda: try_([{"x": X[0], "y": 1}] * 3, image="x", label="z"),
    "did you mean corruption": lambda: try_(corruptions="random_labels"),
    r"epoch: did you mean epochs\?": lambda: try_(epoch=3),
    "epochs is 0: give a whole number, 1 or more": lambda: try_(epochs=0),
    r"did you mean 'random_labels'\?": lambda: try_(corruption="random_lables"),
    r"network does not take inputs of shape \(3, 8, 8\)": lambda: try_(network=lambda: torch.nn.Linear(9, 3)),
    r"has 1\.weight in torch\.float16: give network\.float\(\)": lambda: try_(network=lambda: linear().half()),
    r"is a scripted one, .*: give it as before torch\.jit\.script": lambda: try_(network=scripted),
    r"Linear gives \(2, 4\) .* not 3 logits each": lambda: try_((X[:, 0, 0], Y), torch.nn.Linear(8, 4)),
    "Twofold gives a tuple .* let forward return the logits alone": lambda: try_(network=Twofold()),
    "calls no .* convolutions of images, which dropout is put before: drop it": lambda: try_(
        (X[:, :, 0], Y), torch.nn.Sequential(torch.nn.Conv1d(3, 3, 8), torch.nn.Flatten()), regularizers="dropout"
    ),
    "the function gives int": lambda: try_(network=lambda: 3),
    "tiny takes square images": lambda: try_(TensorDataset(X[:, :, 1:], Y), "tiny"),
    "the network calls no linear layers .*dropout": lambda: try_(
        (X[:, 0, 0], Y), torch.nn.Linear(8, 3), regularizers="dropout"
    ),
    "preprocess is 'whiten', of 8-bit images": lambda: try_(
        (X[:, 0, 0], Y), torch.nn.Linear(8, 3), preprocess="whiten"
    ),
    r"test has inputs of shape \(3,\)": lambda: try_(test=[(torch.zeros(3), 1)]),
    "'dog' .*: map the names to 0, 1, 2": lambda: try_((IMAGES, NAMES[(LABELS + 1) % 3])),
    r"label of dataset\[0\] is 0\.5 \(float\), not a whole number: give classes 0, 1, 2 \.\.\.$": lambda: try_(
        [(x, 0.5) for x in X]
    ),
    r"dataset\[0\] is 0\.0 \(float32\), .*: give classes 0, 1, 2 \.\.\.$": lambda: try_((X, Y.numpy().astype("f4"))),
    r"label of test\[1\] is 0\.5": lambda: try_(test=[(X[0], 1), (X[0], 0.5)]),
    r"label of test\[0\] is 7, give 0 to 2": lambda: try_(test=[(X[0], 7)]),
    r"input of test\[1\] has the shape \(3, 8, 7\), that of test\[0\] \(3, 8, 8\)": lambda: try_(
        test=[(X[0], 1), (X[0, :, :, 1:], 1)]
    ),
    "every label is of one class.*: give two classes or more": lambda: try_((X, 0 * Y)),
    "1 example: give at least 2": lambda: try_((X[:1], Y[:1])),
    "n is 100, the data set has 12 examples: give 2 to 12": lambda: try_(n=100),
    "n is '10', the data set has 12 examples: give 2 to 12": lambda: try_(n="10"),
    "n is 10.0, the data set has 12 examples": lambda: try_(n=10.0),
    "n is True, the data set has 12 examples": lambda: try_(n=True),
    "run is a int: give a record, its folder, or its name": lambda: rt.network(3),
    "num_classes is '4': give a whole number, 1 or more": lambda: try_(num_classes="4"),
    "seeds is '3': give a whole number": lambda: rt.figure("fig1a", seeds="3"),
    "the figure is 3: give its name, one of": lambda: rt.figure(3),
    "the data set's name is 3: give text, as 'cifar10'": lambda: data.load(3),
    "name and path are 'x' and None: give text": lambda: data.add("x", None),
    "--size is '32': give 1 to 1024 pixels": lambda: data.add("x", "good.npz", size="32"),
    "--hold-out is '0.2': give a share above 0": lambda: data.add("x", "good.npz", hold_out="0.2"),
    r"give the class, label\.argmax\(\)$": lambda: try_((X, torch.eye(3)[Y])),
    r"input of dataset\[1\] is of torch.float32, that of dataset\[0\] of torch.uint8": lambda: try_(MIXED),
    "test has inputs of torch.uint8, dataset of torch.float32": lambda: try_(MIXED[1:], test=MIXED[:1]),
    "whole numbers are taken as tokens: give images as uint8": lambda: try_(((255 * X).long(), Y)),
    "n is 1, so there is nothing to tell apart": lambda: try_("good", "mlp-1x512", n=1),
    "corruption is a wrapper.*give its name, 'random_labels'": lambda: try_(corruption=corruptions.RandomLabels),
    "rate is 2: input should be less than 1": lambda: try_(regularizers={"dropout": 2}),
    "is a set, whose order is left to chance": lambda: try_(regularizers={"dropout", "l1=1"}),
    "unknown regularizer 'dropout=0.5'": lambda: try_(regularizers={"dropout=0.5": 0.1}),
    "network is a function of num_classes: give one without": lambda: try_(network=lambda num_classes: net()),
    r"lr: did you mean learning_rate\?": lambda: try_(lr=0.1),
    "weight_decay: give it as regularizers='weight_decay=0.1'": lambda: try_(weight_decay=0.1),
    "a record needs data with a name": lambda: try_(save="runs"),
    "another with save=": lambda: try_("good", "mlp-1x512", steps=2, save="/proc/none"),
    "test is given, and the data set good has its own": lambda: try_("good", "mlp-1x512", test=DATASET),
    "no single complete run 'no-such-run'": lambda: rt.network("no-such-run"),
    "result is a int": lambda: rt.compare(3, 4),
    "`rethinking data add NAME good.npz`": lambda: data.load("good.npz"),
    "run `rethinking data fetch mnist`": lambda: data.load("mnist"),
    "no folder of runs: name one, or train": lambda: rt.records("runs"),
    "train with `rethinking figure fig1a --scale quick`": lambda: rt.figure("fig1a"),
    "say which is the label, label=KEY": lambda: corruptions.RandomLabels([{"a": X[0], "b": 1}] * 2),
}


class Twofold(torch.nn.Module):
    """Logits and what else a network may return."""

    def __init__(self):
        super().__init__()
        self.net = linear()

    def forward(self, x):
        return self.net(x), x


def linear():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is deprecated
        return torch.jit.script(linear())


def try_(dataset=DATASET, network=None, **options):
    rt.experiment(dataset, network or net, **(FEW | options))


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
    Path("photos.zip").write_bytes(b"PK")
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
