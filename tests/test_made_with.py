"""What decides how arithmetic is done is recorded, explains a difference, and is tried before bfloat16 is used."""

import json
import re

import pytest
import torch
from command import RUN, RUN_SPEC, cli
from torch import nn

import rethinking as rt
from rethinking import arithmetic as process_state
from rethinking import data, models
from rethinking.engines import made_with
from rethinking.engines.execute import execute
from rethinking.errors import InputError
from rethinking.layers import pool_before_relu
from rethinking.record import Runs, format_curve
from rethinking.spec import Part, RunSpec
from rethinking.training import Training, bfloat16

NETWORKS = ["inception", "inception-nobn", "alexnet", "mlp-3x512", "mlp-1x512"]


def test_variables_that_change_arithmetic_are_told_without_folders_and_others_are_not():
    environ = {
        "OMP_NUM_THREADS": "2",
        "ATEN_CPU_CAPABILITY": "default",
        "LD_PRELOAD": "/usr/lib/libjemalloc.so:/opt/b.so",
        "HOME": "/home/somebody",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    }
    told = "ATEN_CPU_CAPABILITY=default LD_PRELOAD=libjemalloc.so:b.so OMP_NUM_THREADS=2 ONEDNN_MAX_CPU_ISA=AVX2"
    assert made_with.variables(environ) == told
    assert made_with.variables({"PATH": "/bin"}) is None


@pytest.mark.parametrize("key", made_with.DECIDING)
def test_what_alone_differs_is_what_may_explain_a_difference(key):
    first = {k: f"{k}=1 same" for k in made_with.DECIDING}
    second = first | {key: f"{key}=2 same"}
    assert made_with.explanation(first, first) == "nothing that the two were made with explains it"
    told = made_with.explanation(first, second)
    assert told.startswith(f"what they were made with may explain it: {made_with.DECIDING[key]} {key}=1")
    assert told.count(" against ") == 1
    old = {k: v for k, v in first.items() if k != key}
    assert f"({made_with.DECIDING[key]}: one of the two does not tell)" in made_with.explanation(old, first)


def test_a_record_made_under_limited_arithmetic_tells_it_and_a_comparison_names_it(toy_dir, tmp_path):
    words = ("--runs", tmp_path, "--data-dir", toy_dir)
    assert cli(*RUN, *words, ATEN_CPU_CAPABILITY="default").returncode == 0
    (record,) = tmp_path.glob("*/environment.json")
    made = json.loads(record.read_text())
    assert made["capability"] == "DEFAULT"
    assert "ATEN_CPU_CAPABILITY=default" in made["variables"].split()
    compared = cli(*RUN, *words, "--compare")
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        assert compared.returncode == 0
    else:
        assert compared.returncode == 1
        assert "against ATEN_CPU" not in compared.stdout
        assert "may explain it: ATen's capability DEFAULT against " in compared.stdout
        assert "; variables ATEN_CPU_CAPABILITY=default against none" in compared.stdout


BACKENDS = torch.backends
STATES = {  # what a notebook may have changed, and how it is put back
    "float64": (lambda: torch.set_default_dtype(torch.float64), lambda: torch.set_default_dtype(torch.float32)),
    "meta": (lambda: torch.set_default_device("meta"), lambda: torch.set_default_device(None)),
    "no gradients": (lambda: torch.set_grad_enabled(False), lambda: torch.set_grad_enabled(True)),
    "no oneDNN": (
        lambda: setattr(BACKENDS.mkldnn, "enabled", False),
        lambda: setattr(BACKENDS.mkldnn, "enabled", True),
    ),
    "no NNPACK": (lambda: BACKENDS.nnpack.set_flags(False), lambda: BACKENDS.nnpack.set_flags(True)),
    "medium": (
        lambda: torch.set_float32_matmul_precision("medium"),
        lambda: torch.set_float32_matmul_precision("highest"),
    ),
    "flushed": (lambda: torch.set_flush_denormal(True), lambda: torch.set_flush_denormal(False)),
    "deterministic": (
        lambda: torch.use_deterministic_algorithms(True, warn_only=True),
        lambda: torch.use_deterministic_algorithms(False),
    ),
    "bfloat16 convolutions": (
        lambda: setattr(BACKENDS.mkldnn.conv, "fp32_precision", "bf16"),
        lambda: setattr(BACKENDS.mkldnn.conv, "fp32_precision", "none"),
    ),
    "benchmark": (
        lambda: setattr(BACKENDS.cudnn, "benchmark", True),
        lambda: setattr(BACKENDS.cudnn, "benchmark", False),
    ),
    "another number of threads": (
        lambda: torch.set_num_threads(torch.get_num_threads() % 2 + 1),
        lambda: torch.set_num_threads(1),
    ),
}


def process():
    """What of the process decides how torch computes."""
    told = torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(), torch.get_num_threads()
    told += torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    nnpack = torch._C._get_nnpack_enabled()
    return told, process_state._read(), process_state._matmul(), process_state._flushes(), nnpack


@pytest.mark.parametrize("name", STATES)
def test_whatever_a_notebook_has_changed_the_curve_is_that_of_a_new_process(name, toy_runs, toy_dir, tmp_path):
    change, back = STATES[name]
    fields = {"n": 64, "steps": 4, "eval_every": 2, "device": "cpu", "data_dir": toy_dir, "progress": False}
    right = Runs(toy_runs).find(RUN_SPEC)
    fresh, threads = process(), torch.get_num_threads()
    try:
        change()
        before = process()
        assert before != fresh
        with process_state.as_begun():
            told, *state = process()
        assert (told[:3], told[4:]) == ((torch.float32, torch.device("cpu"), True), (False, False))
        assert state == [process_state.BEGUN, process_state.MATMUL, False, True]
        (saved,) = rt.experiment("toy", "tiny", save=tmp_path, **fields).records
        (held,) = rt.experiment("toy", "tiny", **fields).records
        network = rt.network(saved.path)
        assert process() == before
    finally:
        back()
        torch.set_num_threads(threads)
    for record in (saved, held):
        assert format_curve(record.rows) == format_curve(right.rows)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert {p.device.type for p in network.parameters()} == {"cpu"}


def test_inference_and_autocast_around_an_experiment_are_not_around_its_training(toy_runs, toy_dir):
    fields = {"n": 64, "steps": 4, "eval_every": 2, "device": "cpu", "data_dir": toy_dir, "progress": False}
    for around in (torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16)):
        with around:
            (record,) = rt.experiment("toy", "tiny", **fields).records
        assert format_curve(record.rows) == format_curve(Runs(toy_runs).find(RUN_SPEC).rows)


class Called(nn.Module):
    """A layer that is called in some way."""

    def __init__(self, layer, call):
        super().__init__()
        self.layer, self.call = layer, call

    def forward(self, x):
        return self.call(self.layer, x)


class Flattening(nn.Linear):
    def forward(self, x):
        return super().forward(x.flatten(1))


class Pairing(nn.Linear):
    def forward(self, pair):
        return super().forward(sum(pair))


class Named(nn.Linear):
    def forward(self, tokens):
        return super().forward(tokens)


@pytest.mark.parametrize(
    ("network", "tried"),
    [
        (Called(nn.Linear(6, 4), lambda layer, x: layer(input=x)), True),
        (Called(nn.Linear(6, 4), lambda layer, x: layer(x[0, 0])), True),
        (Called(nn.Conv2d(5, 2, 3), lambda layer, x: layer(x.reshape(5, 6, 3))), True),
        (Flattening(18, 4), False),
        (Called(Pairing(6, 4), lambda layer, x: layer((x, x))), False),
        (Called(Named(6, 4), lambda layer, x: layer(tokens=x)), False),
    ],
    ids=["by name", "a vector", "one image", "flattened", "no tensor", "another name"],
)
def test_a_layer_is_tried_on_what_it_is_given_or_left_out(network, tried):
    error, where = bfloat16.worst(network, torch.randn(5, 3, 6, generator=torch.Generator().manual_seed(0)))
    assert (0 < error < bfloat16.LIMIT) if tried else (error, where) == (0.0, "no layer"), where


@pytest.mark.parametrize("model", NETWORKS)
def test_bfloat16_of_every_network_agrees_with_float32_on_this_machine_forward_and_backward(model):
    network = models.initialise(models.build(model, 10, 3, 28), 0)
    pool_before_relu(network)
    images = torch.randn(4, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    error, where = bfloat16.worst(network, images)
    assert 0 < error < bfloat16.LIMIT, where


class Wrong(torch.autograd.Function):
    """A matrix product of which one output in twenty has nothing to do with the right one."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        out = x @ w.T
        if x.dtype == torch.bfloat16:
            out.view(-1)[::20] *= -1
        return out

    @staticmethod
    def backward(ctx, gradient):
        x, w = ctx.saved_tensors
        return gradient @ w, gradient.T @ x


@pytest.mark.parametrize("fault", ["wrong", "nan"])
def test_a_machine_that_is_wrong_in_bfloat16_is_refused_once_tried_and_float32_goes_on(
    fault, tmp_path, home, monkeypatch
):
    data.fetch("toy", home)

    def products(x, w, bias=None):
        if fault == "nan" and x.dtype == torch.bfloat16:
            return torch.nn.functional.linear(x, w) * torch.nan
        return Wrong.apply(x, w)

    right = bfloat16.F.linear
    tried = []
    monkeypatch.setattr(bfloat16, "F", type("F", (), {"linear": staticmethod(products), "conv2d": None}))
    monkeypatch.setattr(bfloat16, "worst", lambda *a, real=bfloat16.worst: tried.append(1) or real(*a))
    fields = {"data": "toy", "model": "mlp-1x512", "model_options": {"width": 8}, "n": 64, "steps": 2}
    half = RunSpec.make(**fields, precision="bfloat16")
    for _ in range(2):
        with pytest.raises(
            InputError, match=r"bfloat16 is wrong on this machine: in mlp-1x512 the .* of layers.*float32"
        ):
            execute(half, Runs(tmp_path / "runs"))
    assert len(tried) == 1
    found = (home / bfloat16.FILE).read_text()
    (home / bfloat16.FILE).write_text(re.sub(r"null|\d\.\d+", "0.001", found))  # changed: nobody found that
    with pytest.raises(InputError, match="bfloat16 is wrong"):
        execute(half, Runs(tmp_path / "runs"))
    assert len(tried) == 2
    assert (home / bfloat16.FILE).read_text() == found
    assert not Runs(tmp_path / "runs").complete(half)
    assert execute(RunSpec.make(**fields), Runs(tmp_path / "runs"))
    monkeypatch.setattr(bfloat16, "F", type("F", (), {"linear": staticmethod(right)}))
    (home / bfloat16.FILE).write_text('{"damaged": ')
    assert execute(half, Runs(tmp_path / "runs"))
    assert len(json.loads((home / bfloat16.FILE).read_text())) == 1
    assert len(tried) == 3


def test_the_network_that_is_tried_is_the_one_that_is_trained_with_one_logit_for_signs(toy, home, monkeypatch):
    tried = []
    monkeypatch.setattr(bfloat16, "worst", lambda network, images: tried.append(str(network)) or (0.0, "no layer"))
    fields = {"data": "toy", "model": "mlp-1x512", "model_options": {"width": 8}, "n": 64, "precision": "bfloat16"}
    trainings = [Training(RunSpec.make(**fields, corruptions=c), toy) for c in ((), (Part(name="random_signs"),))]
    for training in trainings:
        bfloat16.check(training, "this machine")
    assert tried == [str(training.network) for training in trainings]
