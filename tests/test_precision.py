"""The precision: bfloat16's products are made in float32 where torch has no kernels for them, and nowhere else."""

import pytest
import torch
import torch.nn.functional as F
from test_regularizers import carrier
from torch import nn
from torch.utils import flop_counter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from toys import ALL, part, spec

from rethinking import catalog, precision, regularizers
from rethinking.training import Training, kept

CPU = torch.device("cpu")


@pytest.fixture
def without_kernels(monkeypatch):
    monkeypatch.setattr(precision, "has_kernels", lambda device: False)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


IMAGES, TOKENS = drawn(4, 8, 9, 9), drawn(3, 5, 8)
CASES = {  # what is computed, of what
    "convolution": (lambda x, w, b: F.conv2d(x, w, b, padding=1), IMAGES, drawn(16, 8, 3, 3), drawn(16)),
    "in groups": (lambda x, w, b: F.conv2d(x, w, b, stride=2, groups=4), IMAGES, drawn(8, 2, 3, 3), drawn(8)),
    "dilated": (lambda x, w, b: F.conv2d(x, w, b, dilation=2), IMAGES, drawn(6, 8, 2, 2), drawn(6)),
    "transposed": (F.conv_transpose2d, IMAGES, drawn(8, 5, 3, 3), drawn(5)),
    "of a sequence": (lambda x, w, b: F.conv1d(x, w, b), IMAGES[:, :, 0], drawn(4, 8, 3), drawn(4)),
    "of a volume": (lambda x, w, b: F.conv3d(x, w, b), drawn(2, 3, 4, 4, 4), drawn(4, 3, 2, 2, 2), drawn(4)),
    "linear": (F.linear, drawn(7, 8), drawn(5, 8), drawn(5)),
    "linear, of tokens": (F.linear, TOKENS, drawn(6, 8), drawn(6)),
    "two products of tokens": (lambda x, w, b: (x @ w) @ b, TOKENS, drawn(3, 8, 4), drawn(3, 4, 5)),
    "of a vector": (lambda x, w, b: (x @ w) @ b, drawn(6, 8), drawn(8, 5), drawn(5)),
    "added to products": (lambda x, w, b: torch.baddbmm(x, w, b), drawn(3, 5, 6), drawn(3, 5, 8), drawn(3, 8, 6)),
    "summed products": (lambda x, w, b: torch.addbmm(x, w, b), drawn(5, 6), drawn(3, 5, 8), drawn(3, 8, 6)),
}


def computed(function, *inputs):
    """What it gives, and the gradients of its inputs for the sum of its squares."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    out = function(*inputs)
    return out.dtype, out.float(), *torch.autograd.grad(out.float().square().sum(), inputs)


# Products of torch by another road than the package's list: what its FLOPs are counted of, and those of vectors.
COUNTED = {*flop_counter.flop_registry, *(getattr(torch.ops.aten, name) for name in ("mv", "addmv", "dot", "addbmm"))}


class Seen(TorchDispatchMode):
    """Counts products of a network's pass, and names those of bfloat16."""

    def __init__(self):
        super().__init__()
        self.products, self.half = 0, set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in COUNTED:
            self.products += 1
            if any(isinstance(x, torch.Tensor) and x.dtype == torch.bfloat16 for x in tree_leaves((args, kwargs))):
                self.half.add(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("case", CASES)
def test_a_product_is_float32s_of_the_rounded_numbers_rounded_once(without_kernels, case):
    function, *inputs = CASES[case]

    def rounded(*given):
        """The same by hand, for one product; autograd rounds gradients where it casts back."""
        return function(*(x.bfloat16().float() for x in given)).bfloat16()

    def by_halves(x, w, b):
        return ((x.bfloat16().float() @ w.bfloat16().float()).bfloat16().float() @ b.bfloat16().float()).bfloat16()

    with precision.forward(CPU, "bfloat16"):
        ours = computed(function, *inputs)
    right = computed(by_halves if case in ("two products of tokens", "of a vector") else rounded, *inputs)
    assert ours[0] == right[0] == torch.bfloat16
    for a, b in zip(ours[1:], right[1:], strict=True):
        assert torch.equal(a, b)
    plain = [t.float() for t in computed(lambda *given: function(*(x.bfloat16() for x in given)), *inputs)[1:]]
    for a, b in zip(ours[1:], plain, strict=True):  # as torch has it, but for the order of sums
        assert (a - b).norm() < 0.02 * b.norm()
        assert not torch.equal(b, torch.zeros_like(b))


def went(run, toy) -> Seen:
    """What a run computes, in steps, evaluations and what is kept of it."""
    with Seen() as seen:
        training = Training(run, toy, "cpu")
        training.train_step()
        training.evaluate()
        kept(training)
    return seen


def test_a_product_into_a_given_tensor_is_torchs(without_kernels):
    x, w = drawn(4, 6).bfloat16(), drawn(6, 5).bfloat16()
    out = torch.full((4, 5), torch.nan, dtype=torch.bfloat16)
    with precision.forward(CPU, "bfloat16"):
        assert torch.mm(x, w, out=out) is out
    torch.testing.assert_close(out.float(), (x.float() @ w.float()).bfloat16().float(), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("types", [(torch.bfloat16, torch.float32), (torch.float32, torch.bfloat16)])
def test_types_that_torch_refuses_to_mix_stay_refused(without_kernels, types):
    x, w = drawn(4, 6).to(types[0]), drawn(5, 6).to(types[1])
    with precision.products(CPU, "bfloat16"), pytest.raises(RuntimeError, match="dtype"):
        F.linear(x, w)


def test_an_encoder_is_computed_in_bfloat16_in_evaluation_too(without_kernels):
    """torch's fast path of encoders leaves autocast to what it calls, which a dispatch mode does not see."""
    encoder, tokens = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), TOKENS
    fast = torch.backends.mha.get_fastpath_enabled()
    found = []
    for training in (True, False):
        with torch.no_grad(), precision.forward(CPU, "bfloat16"):
            assert not torch.backends.mha.get_fastpath_enabled()
            found.append(encoder.train(training)(tokens.bfloat16()))
    assert torch.equal(*found)
    assert torch.backends.mha.get_fastpath_enabled() == fast
    with torch.no_grad(), precision.forward(CPU, "float32"):
        assert torch.backends.mha.get_fastpath_enabled() == fast


RUNS = {model: {"model": model} for model in catalog.names("models")}
RUNS |= {f"with {name}": {"part": part(name, "PRACTICE"), "model": carrier(name)} for name in ALL}


@pytest.mark.parametrize("name", RUNS)
def test_no_product_of_a_run_is_left_in_bfloat16_that_a_processor_lacks(without_kernels, toy, name):
    fields = dict(RUNS[name])
    parts = [fields.pop("part")] if "part" in fields else []
    keep = ("test_logits", "crop_logits")
    seen = went(spec(*parts, precision="bfloat16", keep=keep, held_out=10, **fields), toy)
    assert seen.products > 10
    assert not seen.half


@pytest.mark.parametrize(("has", "wanted", "half"), [(True, "bfloat16", True), (False, "float32", False)])
def test_products_are_left_alone_in_float32_and_where_torch_has_kernels(monkeypatch, toy, has, wanted, half):
    monkeypatch.setattr(precision, "has_kernels", lambda device: has)
    monkeypatch.setattr(precision, "_InFloat32", None)  # whoever makes one fails
    seen = went(spec(precision=wanted), toy)
    assert seen.products > 10
    assert bool(seen.half) is half


def test_which_kernels_there_are_is_onednns_to_say_and_a_gpu_has_them(monkeypatch):
    assert precision.has_kernels(torch.device("cuda"))
    for has, says in [(True, True), (True, False), (False, True)]:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda has=has: has)
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda says=says: says)
        assert precision.has_kernels(CPU) is (has and says)


def test_a_gradient_that_a_regularizer_takes_again_is_in_float32_too(without_kernels, toy):
    class Again(regularizers.Base):
        def gradient(self, network):
            self.run.loss().backward()

    training = Training(spec(precision="bfloat16"), toy, "cpu")
    with Seen() as once:
        training.train_step()
    again = Again()
    again.run = training.run
    training.regularizers = [again]
    with Seen() as twice:
        training.train_step()
    assert twice.products == 2 * once.products > 0
    assert not twice.half
