"""Whatever the public functions are given, they do what they say, or raise an InputError of one line."""

import inspect
import os
from pathlib import Path

import pytest
import torch
from torch import nn

import rethinking as rt
from rethinking import data, models
from rethinking.errors import InputError


class Hostile(os.PathLike):
    """A path that raises when it is asked for its text."""

    def __fspath__(self):
        raise RuntimeError("no")


class Elsewhere(os.PathLike):
    """A path of another type than text."""

    def __fspath__(self):
        return b"\xff"


ODD = {
    "None": None,
    "True": True,
    "number": 3,
    "negative": -1,
    "fraction": 1.5,
    "nan": float("nan"),
    "huge": 10**400,
    "bytes": b"x",
    "empty text": "",
    "nul": "a\0b",
    "long": "x" * 300,
    "deep": "x/" * 3000,
    "surrogate": "\udcff",
    "lines": "a\nb",
    "pattern": "*",
    "list": [],
    "nested": [[None]],
    "dict": {},
    "dict of numbers": {1: 2},
    "object": object(),
    "class": dict,
    "function": lambda: None,
    "hostile": Hostile(),
    "path of bytes": Elsewhere(),
    "path": Path("nothing"),
    "file": Path("file"),
    "file's name": "file",
    "below a file": "file/below",
    "module": nn.Linear(2, 2),
    "tensor": torch.zeros(2),
    "record": "RECORD",  # stands for one
}


def trained(spec, data=None, device="cpu", network=None):
    return list(rt.train(spec, data, device, network))


TOY = {"dataset": "toy", "network": "tiny", "n": 16, "steps": 1, "batch_size": 8, "device": "cpu", "progress": False}
# The public functions, each with arguments that it takes; the rest of its own is None or as it says.
CALLS = {
    "experiment": (rt.experiment, TOY),
    "experiment of one's own": (
        rt.experiment,
        TOY | {"dataset": (torch.rand(16, 5), torch.arange(16) % 2), "network": nn.Linear(5, 2)},
    ),
    "network": (rt.network, {"device": "cpu", "progress": False}),
    "records": (lambda root: rt.records(root).frame(), {"root": "runs"}),
    "figure": (rt.figure, {"name": "toyfig"}),
    "compare": (rt.compare, {}),
    "train": (trained, {}),
    "RunSpec.make": (rt.RunSpec.make, {}),
    "Part.parse": (rt.Part.parse, {"kind": "corruptions", "text": "random_labels"}),
    "data.load": (data.load, {"name": "toy"}),
    "data.torch_dataset": (data.torch_dataset, {"name": "toy"}),
    "data.folder": (data.folder, {"path": "images"}),
    "data.check": (data.check, {"name": "toy"}),
    "data.facts": (data.facts, {"name": "toy"}),
    "models.build": (models.build, {"name": "tiny"}),
}
# Arguments that are passed on under their names.
SPEC = ["model", "model_options", "steps", "stop", "learning_rate", "momentum", "batch_size", "eval_every", "precision"]
SPEC += ["held_out", "keep", "crop", "lr_decay", "decay_every"]
MORE = {
    "experiment": [*SPEC[2:], "unknown"],
    "RunSpec.make": [*SPEC, "data", "n", "corruptions", "regularizers", "seed", "data_seed", "unknown"],
    "models.build": ["unknown"],
}


@pytest.fixture(scope="module")
def place(toy_runs, toy_dir, tmp_path_factory):
    """A folder to be in, with the toy data and records, what the functions take, and a record."""
    folder, before = tmp_path_factory.mktemp("place"), Path.cwd()
    (folder / "file").write_text("text")
    (folder / "runs").symlink_to(toy_runs)
    for name in "ab":
        (folder / "images/train" / name).mkdir(parents=True)
        (folder / "images/train" / name / "1.png").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETHINKING_DATA", str(toy_dir))
        patch.chdir(folder)
        record = rt.records("runs").records[0]
        both = rt.experiment(**TOY)
        given = {
            "network": {"run": record.path.name},
            "compare": {"result": both, "baseline": both},
            "train": {"spec": both.spec, "data": data.load("toy")},
        }
        yield record, given
    assert Path.cwd() == before


@pytest.mark.parametrize("name", CALLS)
def test_an_odd_argument_is_one_clear_line_or_is_taken(name, place):
    function, usual = CALLS[name]
    record, given = place
    usual = usual | given.get(name, {})
    function(**usual)
    parameters = inspect.signature(function).parameters.values()
    named = [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)] + MORE.get(name, [])
    found = []
    for parameter in named:
        for what, value in ODD.items():
            try:
                function(**usual | {parameter: record if what == "record" else value})
            except InputError as error:
                if "\n" in str(error):
                    found.append(f"{parameter}={what}: {str(error)[:200]!r}")
            except Exception as error:
                found.append(f"{parameter}={what}: {type(error).__name__}: {str(error)[:200]!r}")
    assert not found, "\n".join(["", *found])
