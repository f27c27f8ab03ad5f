"""The device: every network and regularizer goes through steps and evaluations on fake CUDA tensors, without a GPU.

A fake tensor has a shape, a type and a device, and no values: what would mix two devices on a GPU raises here. What
fake tensors cannot do is replaced, each for its reason:

- a torch.Generator of a GPU cannot be made without one: a CPU generator that knows its device stands in (`Generator`);
- loss.backward() starts a thread of the GPU's: gradients in the shape of the parameters stand in, and the package's own
  backward passes (its torch.autograd.Functions) are called by hand, each right after its forward pass (`by_hand`);
- a value that the program asks for is not there: 0 or 1 stands in, and is counted, as the program would wait for it;
- torch has no fake for its fused SGD: that all it is given is on the GPU is looked at instead (both in `Watch`);
- the default generators' states are values: they are left alone;
- weights are made, drawn and looked at with real values, on the CPU, as for every device.

So neither values, nor torch's own backward passes, nor speed are tested here.
"""

import contextlib
import json
import sys
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from test_probes import probe, trained_rows
from test_regularizers import carrier, choices
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from toys import part

from rethinking import catalog, surgery
from rethinking.errors import InputError
from rethinking.probes import _trained, sharpness
from rethinking.spec import Part, RunSpec
from rethinking.training import Training, bfloat16, kept, loop
from rethinking.training.batches import prepare
from rethinking.training.network import built

# Whether a block's branch is computed is a value, which every training step asks for; no other step waits for the GPU.
WAITS = {"stochastic_depth"}
# Where a GPU refuses operands of two types, and a fake tensor does not.
PRODUCTS = [getattr(torch.ops.aten, name).default for name in ("convolution", "mm", "addmm", "bmm", "baddbmm")]
OWN = [f for f in torch.autograd.Function.__subclasses__() if f.__module__.startswith("rethinking.")]
REAL_GENERATOR, REAL_NUMPY = torch.Generator, torch.Tensor.numpy


class Generator(REAL_GENERATOR):
    """A CPU generator in the place of any device's.

    Attributes:
        device_of: the kind of device that was asked for, by seed, which an operation that is given one can still see.
    """

    device_of: ClassVar[dict[int, str]] = {}

    def __new__(cls, device="cpu"):
        generator = super().__new__(cls)
        generator.meant = torch.device(device).type
        return generator

    def manual_seed(self, seed):
        self.device_of[seed] = self.meant
        return super().manual_seed(seed)

    def set_state(self, state):
        assert state.device.type == "cpu"  # as a GPU's takes it


class Watch(TorchDispatchMode):
    """Gives the values that are asked for, and holds operations to what a GPU asks of them.

    Attributes:
        value: 0 or 1, which is given. asked: how often a value on the GPU was asked for.
    """

    def __init__(self, value):
        super().__init__()
        self.value, self.asked = value, 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [a for a in args if isinstance(a, torch.Tensor)]
        if operation is torch.ops.aten._local_scalar_dense.default and isinstance(args[0], FakeTensor):
            self.asked += args[0].device.type == "cuda"
            kind = args[0].dtype
            return (
                bool(self.value) if kind == torch.bool else float(self.value) if kind.is_floating_point else self.value
            )
        if operation is torch.ops.aten._fused_sgd_.default:
            assert {t.device.type for group in args for t in group} == {"cuda"}
            return None
        if operation in PRODUCTS:
            assert len({t.dtype for t in tensors}) == 1, operation
        if "batch_norm" in str(operation):  # without a scale a GPU's backward pass gives no gradient of the offset
            assert args[1] is not None, operation
        result = operation(*args, **kwargs)
        if torch.Tag.nondeterministic_seeded in operation.tags and isinstance(result, FakeTensor):
            given = [a for a in (*args, *kwargs.values()) if isinstance(a, REAL_GENERATOR)]
            assert given, f"{operation} draws from the global generator"
            assert Generator.device_of[given[0].initial_seed()] == result.device.type, operation
        return result


def by_hand(function):
    """`function.apply` with its backward pass at once, outside autocast, as autograd runs it."""

    def apply(*inputs):
        assert {t.device.type for t in inputs if isinstance(t, torch.Tensor)} == {"cuda"}
        ctx = SimpleNamespace()
        ctx.save_for_backward = lambda *tensors: setattr(ctx, "saved_tensors", tensors)
        with torch.no_grad():
            result = function.forward(ctx, *inputs)
            with torch.autocast("cuda", enabled=False):
                gradients = function.backward(ctx, torch.ones_like(result))
        for given, gradient in zip(inputs, gradients, strict=True):
            assert gradient is None or (gradient.shape, gradient.device) == (given.shape, given.device)
        return result

    return apply


class FakeTraining(Training):
    """A training on a GPU that is not there."""

    def network_for(self, *args, **options):
        def on_the_cpu(*given):
            with unset_fake_temporarily():
                network = built(*given)
            assert {t.device.type for t in (*network.parameters(), *network.buffers())} == {"cpu"}
            return network

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "built", on_the_cpu)
            return super().network_for(*args, **options)

    def __init__(self, *args):
        with pytest.MonkeyPatch.context() as patch:  # fake tensors cannot be copied with a module
            patch.setattr(sys.modules["rethinking.training.network"], "copied", lambda network: network)
            super().__init__(*args)
        self.network.train()

    _untouched = _seeded = lambda self, *args: contextlib.nullcontext()

    def train_step(self):
        def backward(loss):
            assert (loss.device.type, loss.ndim) == ("cuda", 0)
            for parameter in self.network.parameters():
                parameter.grad = torch.ones_like(parameter)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "backward", backward)
            super().train_step()


@pytest.fixture
def fake(monkeypatch):
    """A context in which tensors are fake and a GPU seems to be there: fake(value) as watch."""
    monkeypatch.setattr(torch, "Generator", Generator)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", torch.backends.cudnn.allow_tf32)  # put back afterwards
    for function in OWN:
        monkeypatch.setattr(function, "apply", by_hand(function))

    def numpy(tensor):
        if not isinstance(tensor, FakeTensor):
            return REAL_NUMPY(tensor)
        assert tensor.device.type == "cpu"
        with unset_fake_temporarily():
            return np.ones(tensor.shape, REAL_NUMPY(torch.empty(0, dtype=tensor.dtype)).dtype)

    monkeypatch.setattr(torch.Tensor, "numpy", numpy)

    @contextlib.contextmanager
    def entered(value):
        with FakeTensorMode(allow_non_fake_inputs=True, allow_fallback_kernels=False), Watch(value) as watch:
            yield watch

    return entered


def spec(*parts, **fields):
    common = {"data": "toy", "n": 80, "batch_size": 32, "steps": 24, "eval_every": 4}
    return RunSpec.make(regularizers=parts, **(common | fields))


def go(fake, toy, run, value):
    """All that a run does, on fake tensors. Returns the number of values that a step waited for."""
    with fake(value) as watch:
        training = FakeTraining(run, toy, "cuda")
        on_it = (*training.network.parameters(), *training.network.buffers(), training.train_images)
        on_it += (training.test_images, training.train_labels, training.test_labels)
        assert {t.device.type for t in on_it} == {"cuda"}
        training._count = lambda *args: None  # whose line of the log, now and then, is waited for
        training.train_step()
        watch.asked = 0
        training.train_step()
        asked = watch.asked
        del training._count
        training.train_step()
        training.evaluate()
        assert training.network.training
        kept(training)
        state = training.state()
        assert {t.device.type for t in state.values()} == {"cpu"}
        training.restore(state)
        training.train_step()
    return asked


MODELS = [*((model, "bfloat16") for model in catalog.names("models")), ("tiny", "float32")]


@pytest.mark.parametrize(("model", "precision"), MODELS)
def test_every_network_trains_on_the_device(fake, toy, model, precision):
    keep = ("test_logits", "crop_logits", "weight_quantiles")
    run = spec(model=model, precision=precision, keep=keep, held_out=10, bootstrap=True)
    assert go(fake, toy, run, 0) == 0
    assert not torch.backends.cudnn.allow_tf32


def stacks(parts, model):
    """Every one of the parts that a network can carry, together with others as far as they go together."""
    found = []
    for one in parts:
        for stack in [*found, []]:
            with contextlib.suppress(InputError):
                spec(*stack, one, model=model)
                stack.append(one)
                found += [stack] * (len(stack) == 1)
                break
    return found


ALL = [part(name, "PRACTICE") for name in catalog.names("regularizers")]
VARIED = [Part(name=name, options=part(name, "PRACTICE").options | {key: word}) for name, key, word in choices()]
VARIED += [Part(name="dropout", options={"rate": 0.5, "input": 0.2})]
VARIED += [Part(name="stochastic_pooling", options={"share": 0.5})]


@pytest.mark.parametrize("waiting", [False, True])
def test_every_regularizer_trains_on_the_device(fake, toy, waiting):
    """In bfloat16, where types may mix. A value that a step asks for is 0, and where one may be asked for also 1."""
    by_network: dict[str, list[Part]] = {}
    for one in (*ALL, *VARIED):
        if (one.name in WAITS) is waiting:
            by_network.setdefault(carrier(one.name), []).append(one)
    for model, parts in by_network.items():
        tried = stacks(parts, model)
        assert sum(map(len, tried)) == len(parts)
        for stack in tried:
            for value in (0, 1)[: 1 + waiting]:
                run = spec(*stack, model=model, precision="bfloat16", held_out=10)
                assert (go(fake, toy, run, value) > 0) is waiting


OWN_NETWORKS = [m for m in catalog.names("models") if catalog.find("models", m).digest is None]
ONE_A_FILE = list({catalog.find("models", m).path: m for m in reversed(OWN_NETWORKS)}.values())


@pytest.mark.parametrize("model", ONE_A_FILE)
def test_regularizers_go_with_the_networks_on_the_device(fake, toy, model):
    tried = stacks(ALL, model)
    assert sum(map(len, tried)) > len(ALL) / 2
    for stack in tried:
        with fake(0):
            training = FakeTraining(spec(*stack, model=model, precision="bfloat16"), toy, "cuda")
            training.train_step()
            training.evaluate()


@pytest.mark.parametrize("corruption", catalog.names("corruptions"))
def test_every_corruption_is_prepared_for_the_device(fake, toy, corruption):
    constants = catalog.find("corruptions", corruption).constants
    of = {"float": 0.5, "int": 3}
    options = {name: of[each["type"]] for name, each in constants["OPTIONS"].items() if each["type"] in of}
    run = spec(model="tiny", corruptions=(Part(name=corruption, options=options),))
    with fake(0):
        images, labels = prepare(toy, run, "train", torch.device("cuda"))
    assert (images.device.type, labels.device.type) == ("cuda", "cuda")
    assert images.is_contiguous(memory_format=torch.channels_last)


@pytest.fixture
def measured(monkeypatch):
    """As of `fake`, what is measured beside training: networks are no copies, gradients are in the inputs' shape."""

    def gradients(output, inputs, given=None, **_):
        assert {t.device.type for t in (output, *inputs, *([] if given is None else [given]))} == {"cuda"}
        assert given is None or (given.shape, given.dtype) == (output.shape, output.dtype)
        return tuple(map(torch.ones_like, inputs))

    monkeypatch.setattr(torch.autograd, "grad", gradients)
    for module in (bfloat16, sharpness, surgery):
        monkeypatch.setattr(module, "copied", lambda network: network)


@pytest.mark.parametrize("model", ONE_A_FILE)
def test_a_network_is_tried_in_bfloat16_on_the_device(fake, measured, toy, home, model):
    with fake(0):
        training = FakeTraining(spec(model=model, precision="bfloat16"), toy, "cuda")
        bfloat16.check(training, "a GPU")
    ((error, where, _),) = json.loads((home / bfloat16.FILE).read_text()).values()
    assert (error, where.startswith("weight gradient of ")) == (0, True)


@pytest.mark.parametrize("name", ["deletion", "noise", "sharpness", "shift"])
def test_a_probe_measures_on_the_device(fake, measured, toy, monkeypatch, name):
    """The other probes ask for values, which are not there."""
    monkeypatch.setattr(_trained, "Training", FakeTraining)
    run = spec(model="carrier", precision="bfloat16")
    with fake(0):
        weights = FakeTraining(run, toy, "cuda").network.state_dict()
        subject = _trained.trained(run, toy, weights, "cuda")
        assert trained_rows(probe(name, run), subject)
