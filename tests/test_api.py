"""From Python: the same curves as on the command line, anybody's data and network, every wrong input in one line."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from command import cli
from torch import nn
from torch.utils.data import ConcatDataset, Subset, TensorDataset
from toys import Twice

import rethinking as rt
from rethinking import data, figures
from rethinking.engines import execute
from rethinking.engines.local import resolve_precision
from rethinking.errors import InputError
from rethinking.record import Runs, format_curve
from rethinking.regularizers.dropout import Dropout
from rethinking.spec import Part, RunSpec
from rethinking.surgery import copied
from rethinking.training import bfloat16, handed, loop
from rethinking.training import run as training_run
from rethinking.training.batches import prepare

FIELDS = {"n": 120, "steps": 12, "eval_every": 4, "batch_size": 50, "device": "cpu", "progress": False}
SHORT = {"epochs": 2, "learning_rate": 0.05, "device": "cpu", "progress": False}


class Net(nn.Module):
    """A network of a user's, with functions where ours have modules."""

    def __init__(self, inputs=3 * 28 * 28, classes=4):
        super().__init__()
        self.first, self.last = nn.Linear(inputs, 16), nn.Linear(16, classes)

    def forward(self, x):
        return self.last(torch.relu(self.first(x.flatten(1))))


def curve(record) -> str:
    return format_curve(record.rows)


@pytest.fixture
def tensors():
    draws = torch.Generator().manual_seed(0)
    return torch.randn(40, 5, generator=draws), torch.arange(40) % 4


def test_an_experiment_is_the_curve_of_rethinking_run(toy_dir, tmp_path):
    """The same strings, the same curve, bit for bit; in memory, recorded, and by the command line."""
    model = "mlp-1x512,width=16"
    words = {"corruption": "partial_labels=0.5", "regularizers": ["weight_decay=0.001"]}
    inside = rt.experiment("toy", model, **words, **FIELDS, seeds=[3], data_dir=toy_dir)
    command = ["run", "--data", "toy", "--model", model, "--corruption", words["corruption"], "--seed", "3"]
    command += ["--regularize", *words["regularizers"], "--data-seed", "3", "--runs", tmp_path / "runs"]
    command += ["--n", FIELDS["n"], "--steps", FIELDS["steps"], "--eval-every", FIELDS["eval_every"]]
    done = cli(*command, "--batch-size", "50", "--device", "cpu", "--data-dir", toy_dir)
    assert done.returncode == 0, done.stderr
    outside = Runs(tmp_path / "runs").find(inside.spec)
    assert curve(inside.records[0]) == curve(outside)
    saved = rt.experiment("toy", model, **words, **FIELDS, seeds=[3], data_dir=toy_dir, save=tmp_path / "saved")
    assert curve(Runs(tmp_path / "saved").find(inside.spec)) == curve(saved.records[0]) == curve(outside)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "Training", None)  # what is saved is read, not trained again
        again = rt.experiment("toy", model, **words, **FIELDS, seeds=[3], save=tmp_path / "saved")
    assert curve(again.records[0]) == curve(outside)
    for network in (rt.network(outside), saved.network):
        for name, weights in inside.network.state_dict().items():
            assert torch.equal(network.state_dict()[name], weights), name


@pytest.mark.parametrize("corruption", [(), "random_signs"])
def test_the_network_of_a_run_is_its_weights_or_trained_again(toy_dir, tmp_path, corruption):
    result = rt.experiment("toy", "tiny", corruption=corruption, **FIELDS, data_dir=toy_dir, save=tmp_path)
    folder = tmp_path / result.spec.run_id
    file = folder / "weights.safetensors"
    kept, options = file.read_bytes(), {"data_dir": toy_dir, "device": "cpu", "progress": False}
    network = rt.network(folder)
    file.unlink()
    again = rt.network(result.spec.run_id, tmp_path, **options)
    assert file.read_bytes() == kept
    assert not again.training
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    file.write_bytes(kept[:-4] + b"\0\0\0\1")
    with pytest.raises(InputError, match="is another file than its record was completed with"):
        rt.network(folder)


@pytest.mark.parametrize(
    ("model", "parts", "augmented"),
    [("tiny", ["random_pixels", "random_labels"], ()), ("mlp-1x512,width=16", "partial_labels=0.5", "horizontal_flip")],
)
def test_a_data_set_of_ones_own_is_trained_like_the_same_with_a_name(toy, toy_dir, model, parts, augmented):
    """Cut and whitened as the paper has it, or tensors that were prepared outside: the same curve."""
    words = FIELDS | {"corruption": parts, "regularizers": augmented}
    named = rt.experiment("toy", model, **words, data_dir=toy_dir)
    cut = {"root": toy_dir, "transform": lambda image: image.crop((2, 2, 30, 30))}
    pictures, test = (data.torch_dataset("toy", train, **cut) for train in (True, False))
    own = rt.experiment(pictures, model, test=test, preprocess="whiten", **words)
    assert curve(own.records[0]) == curve(named.records[0])
    assert own.memorized_bits == named.memorized_bits
    if not augmented:
        run, words = RunSpec.make(data="toy", n=120, model=model), words | {"corruption": "random_labels"}
        parts = [prepare(toy, run, split, torch.device("cpu")) for split in ("train", "test")]
        own = rt.experiment(parts[0], model, test=TensorDataset(*parts[1]), **words)
        assert curve(own.records[0]) == curve(rt.experiment("toy", model, **words, data_dir=toy_dir).records[0])


def seen(dataset, **options):
    held = handed.Handed(dataset, **options)
    spec = handed.HandedSpec.make(data="x", n=held.n, num_classes=held.num_classes, model="net", own_network=True)
    return held.tensors(spec).train[0]


@pytest.mark.parametrize(
    ("image", "options", "expected"),
    [
        (np.arange(90, dtype=np.uint8).reshape(6, 5, 3), {}, lambda a: torch.from_numpy(a).permute(2, 0, 1) / 255),
        (np.arange(24, dtype=np.uint8).reshape(2, 4, 3), {"channels": "first"}, lambda a: torch.from_numpy(a) / 255),
        (np.linspace(-1, 1, 12).reshape(3, 2, 2), {"channels": "first"}, lambda a: torch.from_numpy(a).float()),
        (np.arange(6, dtype=np.uint16).reshape(2, 3), {}, lambda a: torch.from_numpy(a.astype(np.float32)) / 65535),
        (np.arange(6, dtype=">u2").reshape(2, 3), {}, lambda a: torch.from_numpy(a.astype(np.float32)) / 65535),
        (np.linspace(-1, 1, 6, dtype=">f4").reshape(2, 3), {}, lambda a: torch.from_numpy(a.astype("=f4"))),
        (
            np.linspace(-1, 1, 6, dtype=np.longdouble).reshape(2, 3),
            {},
            lambda a: torch.from_numpy(a.astype(np.float32)),
        ),
        (torch.arange(7), {}, lambda a: a),
        ([3, 1, 2], {}, torch.tensor),
    ],
)
def test_inputs_as_they_come_against_a_slow_reference(image, options, expected):
    inputs = seen([(image, 0), (image, 1)], **options)
    assert torch.equal(inputs[1], expected(image))
    assert inputs.dtype == expected(image).dtype


def test_a_data_frame_and_a_device_of_torch_are_taken(tensors):
    frame, column = pd.DataFrame(tensors[0].numpy()).iloc[::-1], pd.Series(tensors[1].numpy()).iloc[::-1]
    found = rt.experiment((frame, column), lambda: Net(5), **(SHORT | {"device": torch.device("cpu")}))
    same = rt.experiment((tensors[0].flip(0), tensors[1].flip(0)), lambda: Net(5), **SHORT)
    assert curve(found.records[0]) == curve(same.records[0])
    whole = rt.experiment((frame, column.to_frame()), lambda: Net(5), **SHORT)
    assert curve(whole.records[0]) == curve(same.records[0])
    with pytest.raises(InputError, match=r"dataset\[0\] is array of shape \(5,\), .*: of a one-hot label give"):
        rt.experiment((frame, frame), lambda: Net(5), **SHORT)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.spectral_norm, nn.utils.parametrizations.weight_norm])
def test_a_weight_that_a_hook_computes_is_copied_too(tensors, norm):
    """Its own copy is a tensor that is no leaf, which copy.deepcopy refuses."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), norm(nn.Linear(5, 4)))
    network(tensors[0])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = rt.experiment(tensors, network, **SHORT)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())
    names = [name for name, _ in network.named_parameters() if "bias" not in name]
    assert not any(torch.equal(found.network.state_dict()[name], before[name]) for name in names)
    expected = copied(found.network)(tensors[0])
    assert torch.equal(found.network(tensors[0]), expected)


def test_a_module_is_copied_and_trained_from_its_weights(tensors):
    """In a process whose threads and generator are left as they were; a function is called under the seed."""
    network, threads, state = Net(5).eval(), torch.get_num_threads(), torch.get_rng_state()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.set_num_threads(2)
    try:
        still, moved = (rt.experiment(tensors, network, **(SHORT | {"learning_rate": rate})) for rate in (1e-30, 0.1))
        first = rt.experiment(tensors, lambda: Net(5), regularizers="dropout", **SHORT, seeds=[0, 1])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    again = rt.experiment(tensors, lambda: Net(5), regularizers="dropout", **SHORT, seeds=[1])
    assert curve(first.records[1]) == curve(again.records[0]) != curve(first.records[0])
    for name, value in before.items():
        assert torch.equal(network.state_dict()[name], value)
        assert torch.equal(still.network.state_dict()[name], value)
        assert not torch.equal(moved.network.state_dict()[name], value)
    with torch.no_grad():
        right = (moved.network(tensors[0]).argmax(1) == tensors[1]).double().mean()
    assert moved.records[0].final["train_accuracy"] == right
    assert not network.training | moved.network.training


def test_layers_draw_by_the_seed_and_data_that_draw_are_the_same_for_each(tensors):
    """torch.nn.Dropout and a random transform draw from the caller's generator, and leave it as it was."""
    network = nn.Sequential(nn.Linear(5, 16), nn.Dropout(), nn.Linear(16, 4))

    class Shaken(TensorDataset):
        def __getitem__(self, index):
            return self.tensors[0][index] + torch.randn(5), self.tensors[1][index]

    torch.manual_seed(1)
    first = rt.experiment(Shaken(*tensors), network, **SHORT, seeds=2)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = rt.experiment(Shaken(*tensors), network, **SHORT, seeds=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert [curve(r) for r in first.records] == [curve(r) for r in again.records]
    assert curve(first.records[0]) != curve(first.records[1])
    fixed = rt.experiment(Shaken(*tensors), nn.Linear(5, 4), **(SHORT | {"learning_rate": 1e-30}), seeds=2).records
    assert fixed[0].final["train_loss"] == fixed[1].final["train_loss"]


class Shifted(nn.Module):
    """A network that begins with a shift of its input, in place or not."""

    def __init__(self, in_place):
        super().__init__()
        self.in_place, self.rest = in_place, nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, x):
        return self.rest(x.sub_(0.5) if self.in_place else x - 0.5)


class Flattening(nn.Linear):
    """A layer that flattens its input first."""

    def forward(self, x):
        return super().forward(x.flatten(1))


class Gated(nn.Module):
    """A layer of the input, and one of a parameter of one axis, which scales it."""

    def __init__(self):
        super().__init__()
        self.gate, self.context, self.out = nn.Linear(3, 4), nn.Parameter(torch.ones(3)), nn.Linear(5, 4)

    def forward(self, x):
        return self.out(x) * self.gate(self.context)


IN_HALVES = {
    "a module": (Net(5), ()),
    "a function and regularizers": (lambda: Net(5), ["dropout=0.5", "weight_decay=0.01"]),
    "its input in place": (lambda: Shifted(True), "batch_norm"),
    "tied": (lambda: Twice(), "layer_norm"),
    "a vector": (lambda: Gated(), ()),
    "a transformer": (lambda: Encoding(), ()),
    "by name, a plug-in": ("tiny", "dropout=0.5"),
    "by name": ("mlp-1x512,width=16", "maxout"),
    "flattened": (lambda: nn.Sequential(Flattening(2352, 16), nn.ReLU(), nn.Linear(16, 4)), "dropout=0.5"),
}


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN")
@pytest.mark.parametrize("of", IN_HALVES)
def test_an_experiment_in_bfloat16_is_tried_once_on_its_network_and_gives_the_same_again(tensors, home, of):
    network, part = IN_HALVES[of]
    images = isinstance(network, str) or of == "flattened"
    given = (torch.randn(40, 3, 28, 28, generator=torch.Generator().manual_seed(0)), tensors[1]) if images else tensors
    words = SHORT | {"regularizers": part, "steps": 2, "batch_size": 16, "epochs": None}
    halves = ("bfloat16", "bfloat16", "float32")
    found, again, exact = (rt.experiment(given, network, **words, precision=half).records[0] for half in halves)
    assert curve(found) == curve(again) != curve(exact)
    assert np.isfinite(found.curve["train_loss"]).all()
    ((error, _, _),) = json.loads((home / bfloat16.FILE).read_text()).values()
    assert 0 < error < bfloat16.LIMIT


@pytest.mark.parametrize("part", [(), "batch_norm", "dropout=0.5,mode=monte_carlo,samples=3"])
def test_a_network_that_changes_its_input_in_place_changes_no_example(tensors, part):
    """Neither in an evaluation nor in a check before training, as of a batch of one, nor between two passes."""
    fields = SHORT | {"test": tensors, "regularizers": part, "batch_size": 3, "held_out": 9}
    found = [rt.experiment(tensors, lambda own=own: Shifted(own), **fields) for own in (False, True)]
    assert curve(found[0].records[0]) == curve(found[1].records[0])
    images = tensors[0].clone()
    bfloat16.worst(Shifted(True), images)
    assert torch.equal(images, tensors[0])


@pytest.mark.parametrize("part", ["dropout=0.5", "weight_decay=0.01", "maxout", "dropconnect"])
def test_regularizers_act_on_a_network_of_ones_own(tensors, part):
    """Weights that the two share start the same: at a vanishing rate they stay as given."""
    network = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 4))
    plain, with_it = (rt.experiment(tensors, network, regularizers=r, **SHORT) for r in ((), part))
    assert curve(plain.records[0]) != curve(with_it.records[0])
    fields = SHORT | {"learning_rate": 1e-30, "regularizers": part}
    still, twice = (rt.experiment(tensors, network, **fields).network.state_dict() for _ in range(2))
    for name, value in network.state_dict().items():
        if part != "weight_decay=0.01" and name in still and still[name].shape == value.shape:
            assert torch.equal(still[name], value)
    assert all(torch.equal(still[name], twice[name]) for name in still)


class Reused(nn.Module):
    """Two hidden layers and one ReLU, called after each."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.out, self.relu = nn.Linear(5, 16), nn.Linear(16, 16), nn.Linear(16, 4), nn.ReLU()

    def forward(self, x):
        return self.out(self.relu(self.fc2(self.relu(self.fc1(x)))))


def in_a_row():
    act = nn.ReLU()
    return nn.Sequential(nn.Linear(5, 16), act, nn.Linear(16, 16), act, nn.Linear(16, 4))


@pytest.mark.parametrize("part", ["maxout", "batch_norm", "layer_norm", "backdrop=0.5", "dropout=0.5"])
def test_a_relu_that_follows_several_layers_carries_no_regularizer(tensors, part):
    """What is put at it would be at the wrong layers, or at several; but a layer may be called with its ReLU twice."""
    with pytest.raises(InputError, match="calls the ReLU 1 after 0, 2 and defines it after 0"):
        rt.experiment(tensors, in_a_row, regularizers=part, **SHORT)
    rt.experiment(tensors, lambda: Twice(), regularizers=part, **SHORT)
    rt.experiment(tensors, in_a_row, regularizers="weight_decay=0.01", **SHORT)
    if part != "dropout=0.5":  # which is put before linear layers
        with pytest.raises(InputError, match="calls the ReLU relu after fc1, fc2 and defines it after out"):
            rt.experiment(tensors, Reused(), regularizers=part, **SHORT)


class Mixed(nn.Module):
    """A hidden layer with a module for its ReLU, and one without; a token of its own, as transformers have."""

    def __init__(self, relu):
        super().__init__()
        self.fc1, self.act, self.fc2, self.out = nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 16), nn.Linear(16, 4)
        self.relu, self.token = relu, nn.Parameter(torch.zeros(1, 5))

    def forward(self, x):
        return self.out(self.relu(self.fc2(self.act(self.fc1(x + self.token)))))


@pytest.mark.parametrize("relu", [torch.relu, F.relu, torch.Tensor.relu, F.relu_], ids=["torch", "F", "method", "F_"])
def test_a_relu_that_is_no_module_is_not_left_out_in_silence(tensors, relu):
    for part in ("batch_norm", "layer_norm", "maxout", "backdrop=0.5"):
        with pytest.raises(InputError, match=r"calls torch\.relu beside nn\.ReLU: .* so make each a torch\.nn\.ReLU"):
            rt.experiment(tensors, Mixed(relu), regularizers=part, **SHORT)
    for part in ("weight_decay=0.01", "dropout=0.5"):  # which acts before linear layers
        rt.experiment(tensors, Mixed(relu), regularizers=part, **SHORT)
    rt.experiment(tensors, Mixed(nn.Tanh()), regularizers="layer_norm", **SHORT)


class Squared(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight.square(), self.bias)


@pytest.mark.parametrize("part", ["maxout", "dropconnect", "restricted_weights=signs"])
def test_a_layer_of_ones_own_does_not_lose_what_it_does(tensors, part):
    network = nn.Sequential(Squared(5, 16), nn.ReLU(), Squared(16, 4))
    with pytest.raises(InputError, match=r"has a Squared, whose own forward .* would replace"):
        rt.experiment(tensors, network, regularizers=part, **SHORT)
    rt.experiment(tensors, network, regularizers="dropout=0.5", **SHORT)


def test_what_stands_in_two_places_is_regularized_once(tensors):
    """A block in two parts of a network, and a layer with two ReLUs."""
    block, layer = nn.Sequential(nn.Linear(5, 5), nn.ReLU()), nn.Linear(5, 5)
    shared = nn.Sequential(nn.Sequential(block, nn.Linear(5, 5)), nn.Sequential(block, nn.Linear(5, 4)))
    twice = nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(5, 4))
    for network in (shared, twice):
        for part in ("batch_norm", "layer_norm", "group_norm=5"):
            found = rt.experiment(tensors, network, regularizers=part, **SHORT).network
            assert {len(m.after) for m in found.modules() if hasattr(m, "after")} == {1}
    found = rt.experiment(tensors, shared, regularizers="dropout=0.5", **SHORT).network
    assert {len(m.before) for m in found.modules() if hasattr(m, "before")} == {1}


class HeadFirst(nn.Module):
    """Defines its layers from the last to the first."""

    def __init__(self):
        super().__init__()
        self.out, self.body = nn.Linear(16, 4), nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))
        self.first = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 16))

    def forward(self, x):
        return self.out(self.body(self.first(x)))


def test_layers_are_counted_as_they_are_called(tensors):
    for part, name in (("restricted_weights=signs,layer=1", "first.0"), ("dropconnect", "body.0")):
        found = rt.experiment(tensors, HeadFirst(), regularizers=part, **SHORT).network
        assert [key for key, m in found.named_modules() if "Restricted" in str(type(m)) or "Drop" in str(type(m))] == [
            name
        ]


class InTraining(nn.Linear):
    """What only goes wrong while it is trained: two outputs, or none."""

    def __init__(self, wrong):
        super().__init__(5, 4)
        self.wrong = wrong

    def forward(self, x):
        return self.wrong(super().forward(x)) if self.training else super().forward(x)


def failing(x):
    raise RuntimeError("not trained so")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: InTraining(lambda x: (x, x)),
            "gives a tuple for 2 inputs .* in training, not 4 logits each",
        ),
        (lambda: InTraining(failing), "does not take inputs .*: not trained so"),
        (lambda: nn.Linear(5, 4, dtype=torch.complex64), r"has weight in torch\.complex64"),
    ],
)
def test_what_cannot_be_trained_is_one_line_before_anything_is(tensors, make, message):
    with pytest.raises(InputError, match=message):
        rt.experiment(tensors, make(), **SHORT)


def test_another_number_of_classes_is_advised_where_it_can_be_said(tensors, toy_dir):
    """Not of random signs, which are two, nor of a data set that has its own."""
    named = {"steps": 1, "device": "cpu", "progress": False, "data_dir": toy_dir}
    for dataset, network, fields, advice in (
        (tensors, Net(5, 7), SHORT, "4 outputs, or say num_classes"),
        (tensors, Net(5, 4), SHORT | {"corruption": "random_signs"}, "2 outputs, or 1"),
        ("toy", Net(classes=7), named, "4 outputs"),
    ):
        with pytest.raises(InputError, match=rf"logits each: give it {advice}$"):
            rt.experiment(dataset, network, **fields)


class Tokens(nn.Module):
    """A linear layer of every token, (N, tokens, units), and the mean over tokens."""

    def __init__(self, width, tokens=5):
        super().__init__()
        self.tokens, self.up, self.relu, self.last = tokens, nn.Linear(1, width), nn.ReLU(), nn.Linear(width, 4)

    def forward(self, x):
        return self.last(self.relu(self.up(x.unflatten(1, (self.tokens, 1)))).mean(1))


@pytest.mark.parametrize("width", [5, 6])  # as many as tokens, which a norm of the second axis would take for units
@pytest.mark.parametrize("part", ["batch_norm", "batch_norm=true,place=after", "layer_norm", "group_norm"])
def test_norms_of_tokens_are_refused_by_their_name(tensors, width, part):
    with pytest.raises(InputError, match=f"{part.partition('=')[0]} takes .images, units."):
        rt.experiment(tensors, Tokens(width), regularizers=part + f"={width}" * (part == "group_norm"), **SHORT)


class Patches(nn.Module):
    """Maps as tokens, (N, positions, maps), before the ReLU, or as units, (N, maps), where they are pooled."""

    def __init__(self, pooled=False):
        super().__init__()
        self.pooled, self.read, self.relu, self.last = pooled, nn.Conv2d(3, 4, 2, 2), nn.ReLU(), nn.Linear(4, 4)

    def forward(self, x):
        maps = self.read(x).flatten(2)
        return self.last(self.relu(maps.mean(2)) if self.pooled else self.relu(maps.mT).mean(1))


MAPS = ["spatial_dropout=0.5", "drop_block=0.5,block=2", "local_response_norm=0.1"]


@pytest.mark.parametrize("part", [*MAPS, "batch_norm=true,place=after"])
@pytest.mark.parametrize("side", [4, 8])  # as many tokens as maps, and more
def test_what_acts_on_maps_refuses_tokens_by_its_name(part, side):
    given = torch.rand(20, 3, side, side, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 4
    name = part.partition("=")[0]
    line = rf"^{name} takes .images, maps, height, width. behind a convolution, the network has \(2, \d+, 4\) there"
    with pytest.raises(InputError, match=line):
        rt.experiment(given, Patches(), regularizers=part, **SHORT)
    if part in MAPS:
        with pytest.raises(InputError, match=rf"^{name} takes .* has \(2, 4\) there"):
            rt.experiment(given, Patches(pooled=True), regularizers=part, **SHORT)
    else:
        assert rt.experiment(given, Patches(pooled=True), regularizers=part, **SHORT)


def test_what_only_a_regularizer_makes_fail_is_not_the_networks_fault(tensors, monkeypatch):
    def fails(layer, x):
        raise RuntimeError("not so")

    monkeypatch.setattr("rethinking.regularizers.group_norm.GroupNorm.forward", fails)
    network = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 4))
    with pytest.raises(InputError, match=r"cannot be computed with layer_norm \(not so\): drop"):
        rt.experiment(tensors, network, regularizers="layer_norm", **SHORT)


class Put(nn.Linear):
    """Writes what it gives into a tensor in float32, as autocast forbids."""

    def forward(self, x):
        out = torch.zeros(len(x), 4)
        out[torch.arange(len(x))] = super().forward(x)
        return out


def test_what_autocast_cannot_compute_is_told_by_the_precision(tensors):
    with pytest.raises(InputError, match=r"cannot be computed in bfloat16 \(Index put .*: give precision float32"):
        rt.experiment(tensors, Put(5, 4), precision="bfloat16", **SHORT)
    rt.experiment(tensors, Put(5, 4), **SHORT)


class Squeezed(nn.Linear):
    def forward(self, x):
        return super().forward(x).squeeze()


def test_a_network_that_squeezes_one_example_is_refused_before_training(tensors):
    with pytest.raises(InputError, match=r"cannot be evaluated on one example \(it gives \(4,\)\), .*squeeze"):
        rt.experiment(tensors, Squeezed(5, 4), held_out=1, batch_size=13, **SHORT)
    by_batch = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6, track_running_stats=False), nn.Linear(6, 4))
    assert rt.experiment(tensors, by_batch, batch_size=20, **SHORT)  # which never sees one alone here


def test_the_class_of_a_network_that_takes_no_arguments_makes_it(tensors):
    made, by_class = (rt.experiment(tensors, network, **SHORT).records[0] for network in (lambda: Twice(), Twice))
    assert curve(made) == curve(by_class)
    assert by_class.spec.model == "Twice"


def test_a_learning_rate_of_0_is_none(tensors):
    with pytest.raises(InputError, match="learning_rate is 0"):
        rt.experiment(tensors, Net(5), **(SHORT | {"learning_rate": 0}))


def test_dropouts_first_layer_is_the_first_that_is_called(tensors):
    def dropped(network, part):
        found = rt.experiment(tensors, network, regularizers=part, **(SHORT | {"epochs": 1})).network
        return {name.removesuffix(".0") for name, m in found.named_modules() if isinstance(m, Dropout)}

    assert dropped(Twice(), "dropout=0.5,input=0.2") == {"encoder.0.before", "out.before"}
    assert dropped(Twice(), "dropout=0.5,where=last") == {"out.before"}
    signals = [nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 2, 2), nn.Flatten(), nn.Linear(8, 6), nn.Linear(6, 4)]
    assert dropped(nn.Sequential(*signals), "dropout=0.5") == {"3.before", "4.before"}
    with pytest.raises(
        InputError, match=r"dropout.input is 0.2, the network's first layer is a Conv1d: leave input out"
    ):
        dropped(nn.Sequential(*signals), "dropout=0.5,input=0.2")


class Attending(nn.Module):
    """Attention over five tokens, which never calls its out_proj; a layer and a pooling that are not called at all."""

    def __init__(self, linear):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 1, batch_first=True)
        self.head = nn.Linear(20, 4) if linear else nn.Conv1d(5, 4, 4)
        self.unused = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.MaxPool2d(2))

    def forward(self, x):
        x = self.attention(*3 * [x[:, :, None].expand(-1, -1, 4)])[0]
        return self.head(x.flatten(1) if isinstance(self.head, nn.Linear) else x).flatten(1)


class ByWeight(nn.Module):
    """A layer whose weight is used without calling it, before one that is called."""

    def __init__(self):
        super().__init__()
        self.first, self.out = nn.Linear(5, 5), nn.Linear(5, 4)

    def forward(self, x):
        return self.out(F.linear(x, self.first.weight).tanh())


def test_a_layer_that_is_never_called_carries_no_regularizer(tensors):
    for part in ("dropout=0.5", "dropout=0.5,mode=monte_carlo,where=last"):
        network = rt.experiment(tensors, Attending(True), regularizers=part, **SHORT).network
        assert [name for name, m in network.named_modules() if isinstance(m, Dropout)] == ["head.before.0"]
    with pytest.raises(InputError, match="calls no linear layers or convolutions of images, which dropout"):
        rt.experiment(tensors, Attending(False), regularizers="dropout=0.5", **SHORT)
    for part in ("dropconnect", "stochastic_pooling"):
        with pytest.raises(InputError, match=f"Attending calls no layers that {part} acts on: drop it"):
            rt.experiment(tensors, Attending(True), regularizers=part, **SHORT)
    with pytest.raises(InputError, match="linear layers that are called, and the network has other weights: drop it"):
        rt.experiment(tensors, ByWeight(), regularizers="restricted_weights=signs", **SHORT)
    found = rt.experiment(tensors, ByWeight(), regularizers="restricted_weights=signs,layer=1", **SHORT).network
    assert type(found.out).__name__ == "RestrictedLinear"
    rt.experiment(tensors, Attending(True), regularizers="weight_decay=0.01", **SHORT)


class Outgrown(nn.Module):
    """Two layers with a ReLU and a pooling that are not used any more, and attention between a layer and its ReLU."""

    def __init__(self):
        super().__init__()
        self.old = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True))
        self.layer, self.attention = nn.Conv2d(1, 4, 1), nn.MultiheadAttention(5, 1, batch_first=True)
        self.relu, self.pool, self.out = nn.ReLU(), nn.MaxPool2d((1, 2)), nn.Linear(8, 4)

    def forward(self, x):
        x = self.attention(*3 * [x[:, None]])[0]
        return self.out(self.pool(self.relu(self.layer(x[:, None]))).flatten(1))


@pytest.mark.parametrize(
    ("part", "kind", "places"),
    [
        ("batch_norm", "BatchNorm", ["layer.after.0"]),
        ("batch_norm,place=after", "BatchNorm", ["relu.after.0"]),
        ("layer_norm", "GroupNorm", ["layer.after.0"]),
        ("group_norm=2", "GroupNorm", ["layer.after.0"]),
        ("local_response_norm=0.1", "LocalResponseNorm", ["relu.after.0"]),
        ("spatial_dropout=0.1", "SpatialDropout", ["relu.after.0"]),
        ("drop_block=0.1", "DropBlock", ["relu.after.0"]),
        ("backdrop", "Backdrop", ["relu.after.0"]),
        ("maxout", "MaxoutConv2d", ["layer"]),
        ("stochastic_pooling", "StochasticPool2d", ["pool"]),
    ],
)
def test_a_relu_or_a_pooling_that_is_never_called_is_left_out(tensors, part, kind, places):
    network = rt.experiment(tensors, Outgrown(), regularizers=part, **(SHORT | {"epochs": 1})).network
    assert [name for name, m in network.named_modules() if type(m).__name__ == kind] == places


class Aided(nn.Module):
    """A head besides the last layer, which only training calls."""

    def __init__(self):
        super().__init__()
        self.aux = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 4))
        self.first, self.out = nn.Linear(5, 6), nn.Linear(6, 4)

    def forward(self, x):
        h = self.first(x).tanh()
        return self.out(h) + self.aux(h) if self.training else self.out(h)


def test_a_layer_that_only_training_calls_carries_a_regularizer(tensors):
    def changed(part, kind):
        found = rt.experiment(tensors, Aided(), regularizers=part, **(SHORT | {"epochs": 1})).network
        return [name for name, m in found.named_modules() if type(m).__name__ == kind]

    assert changed("restricted_weights=signs", "RestrictedLinear") == ["aux.0", "aux.2", "first", "out"]
    assert changed("restricted_weights=signs,layer=1", "RestrictedLinear") == ["first"]
    assert changed("dropout=0.5", "Dropout") == ["aux.0.before.0", "aux.1.after.0", "out.before.0"]
    assert changed("layer_norm", "GroupNorm") == ["aux.0.after.0"]


class Encoding(nn.Module):
    """A layer of a transformer, which torch computes in one go in evaluation, from the weights of its layers."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True), nn.Linear(20, 4)

    def forward(self, x):
        return self.head(self.layer(x[:, :, None].expand(-1, -1, 4)).flatten(1))


def test_restricted_weights_are_restricted_in_evaluation_too(tensors):
    network = rt.experiment(tensors, Encoding(), regularizers="restricted_weights=signs,layer=2", **SHORT).network
    assert type(network.layer.linear2).__name__ == "RestrictedLinear"
    with torch.no_grad():
        evaluated = network(tensors[0])
    torch.testing.assert_close(evaluated, network(tensors[0]).detach())  # with a gradient it calls them


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"dropout": 0.1}, ["dropout=0.1"]),
        ({"dropout": {"rate": 0.1, "where": "last"}, "l1": 0.01}, ["dropout=0.1,where=last", "l1=0.01"]),
        ([{"dropout": 0.1}, "l1=0.01"], ["dropout=0.1", "l1=0.01"]),
        (None, []),
    ],
)
def test_a_dict_has_the_values_that_text_has(tensors, given, text):
    network = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 4))
    a, b = (rt.experiment(tensors, network, regularizers=r, **(SHORT | {"epochs": 1})).spec for r in (given, text))
    assert a.regularizers == b.regularizers
    assert len(a.regularizers) == len(text)


def test_a_data_set_that_is_corrupted_already_is_not_called_true(tensors):
    pixels = rt.corruptions.ShuffledPixels(TensorDataset(*tensors))
    noisy = Subset(rt.corruptions.PartialLabels(pixels, 0.3, seed=7), range(30))
    short = SHORT | {"epochs": 1}
    result = rt.experiment(noisy, Net(5), **short)
    row = result.frame().loc[0]
    assert row["condition"] == "inputs as given + labels as given"
    assert row["data"] == "TensorDataset"
    assert np.isnan(row["p"])
    assert "true labels" not in repr(result)
    again = rt.experiment(noisy, Net(5), corruption={"partial_labels": 0.5}, **short).frame().loc[0]
    assert np.isnan(again["p"])
    assert again["condition"].endswith("+ partially corrupted labels")
    assert rt.experiment(tensors, Net(5), corruption={"partial_labels": 0.5}, **short).frame()["p"].tolist() == [0.5]


@pytest.mark.parametrize("part", [lambda d: d, lambda d: Subset(d, range(30)), lambda d: ConcatDataset([d, d])])
def test_noise_upon_noise_of_the_same_draws_is_refused(tensors, part):
    noisy = part(rt.corruptions.PartialLabels(TensorDataset(*tensors), 0.3, seed=1))
    short = SHORT | {"epochs": 1, "corruption": "partial_labels=0.5"}
    with pytest.raises(rt.InputError, match=r"with seed 1, whose draws are the same: give another .* seeds=\[2\]"):
        rt.experiment(noisy, Net(5), **short, seeds=2)
    labels = [noisy[i][1] for i in range(len(noisy))]
    spec = rt.experiment(noisy, Net(5), **short).spec
    slow = rt.corruptions.PartialLabels([(0, y) for y in labels], 0.5, num_classes=4)
    assert handed.Handed(noisy).tensors(spec).train[1].tolist() == [slow[i][1] for i in range(len(noisy))]


@pytest.mark.parametrize("channels", [None, "first", "last", "none"])
def test_two_axes_are_handed_on_as_they_are_and_permuted_where_it_is_said_how(channels):
    signals = torch.randn(12, 2, 30, generator=torch.Generator().manual_seed(0))
    data = (signals, torch.arange(12) % 3)
    given = handed.Handed(data, channels=channels)
    spec = rt.experiment(data, lambda: nn.Sequential(nn.Flatten(), nn.Linear(60, 3)), **SHORT, channels=channels).spec
    plain = given.tensors(spec).train[0]
    assert torch.equal(plain, signals.transpose(1, 2) if channels == "last" else signals)
    shuffled = spec.replace(corruptions=(Part(name="shuffled_pixels"),))
    if channels is None:
        with pytest.raises(rt.InputError, match="one axis may be channels"):
            given.tensors(shuffled)
        return
    wrapped = rt.corruptions.ShuffledPixels([(s, 0) for s in signals], channels=channels)
    found = torch.stack([wrapped[i][0] for i in range(12)])
    assert torch.equal(given.tensors(shuffled).train[0], found.transpose(1, 2) if channels == "last" else found)


def test_data_that_lie_class_by_class_are_measured_at_evenly_spaced_places(monkeypatch):
    monkeypatch.setattr(loop, "STATISTICS", 20)
    points, labels = torch.randn(200, 5, generator=torch.Generator().manual_seed(0)), torch.arange(200) // 100
    points[:, 0] += 8 * labels
    torch.manual_seed(0)  # of the network's weights: not every start learns all within 5 epochs
    network = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2))
    fields = SHORT | {"epochs": 5, "regularizers": "batch_norm", "test": (points, labels), "interim_test": 20}
    assert rt.experiment((points, labels), network, **fields).records[0].final["train_accuracy"] == 1
    network[2].load_state_dict({"weight": torch.zeros(2, 16), "bias": torch.tensor([1.0, 0.0])})  # says 0 of all
    still = rt.experiment((points, labels), network, **fields | {"learning_rate": 1e-30}).records[0]
    assert [row["test_images"] for row in still.rows] == [20] * 5 + [200]
    assert {row["test_accuracy"] for row in still.rows} == {0.5}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("part", "count"), [({"n": 10}, 10), ({"held_out": 30}, 10), ({"n": 20, "held_out": 10}, 10)])
def test_a_part_of_one_class_is_not_trained_on_and_one_that_lacks_some_is_told(tensors, part, count):
    images, labels = tensors[0], torch.arange(40) // 10
    with pytest.raises(InputError, match=f"first {count} examples, .* of one class, .* shuffle"):
        rt.experiment((images, labels), lambda: Net(5), num_classes=4, **part, **SHORT)
    with pytest.warns(UserWarning, match="the first 20 examples, which are trained on, are of 2 of 4 classes: shuffle"):
        rt.experiment((images, labels), lambda: Net(5), num_classes=4, n=20, **SHORT)
    rt.experiment((images, labels), lambda: Net(5, 5), num_classes=5, **SHORT)  # nothing has the fifth


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"n": 21, "batch_size": 5}, "n = 21 leaves a batch of one: give n=20 or another batch_size"),
        ({"n": 23, "held_out": 2, "batch_size": 5}, "n = 23 with held_out = 2 leaves a batch of one: give n=22 or"),
        ({"batch_size": 1}, "batch_size is 1: give 2 or more"),
    ],
)
def test_a_batch_of_one_that_batch_norm_cannot_have_is_told_before_training(tensors, fields, line):
    network = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
    with pytest.raises(InputError, match=rf"cannot be trained on one example \(Expected more than 1 value.*{line}"):
        rt.experiment(tensors, network, **SHORT, **fields)
    rt.experiment(tensors, Net(5), **(SHORT | {"epochs": 1}), **fields)  # which can


@pytest.mark.parametrize("network", [Net(5), lambda: Net(5)])
def test_a_network_of_ones_own_has_the_initial_weights_that_it_has(tensors, network):
    with pytest.raises(InputError, match="initial_weights is 'he', and a network of one's own has the weights that"):
        rt.experiment(tensors, network, **SHORT, initial_weights="he")
    result = rt.experiment(tensors, network, **(SHORT | {"epochs": 1}), initial_weights="glorot")
    assert result.frame()["initial_weights"].isna().all()


def test_memorized_bits_are_what_sending_the_labels_saves(tensors):
    result = rt.experiment(tensors, Net(5), **(SHORT | {"epochs": 40}), seeds=3)
    bits = []
    for network in result.networks:
        with torch.no_grad():
            lost = nn.functional.cross_entropy(network(tensors[0]), tensors[1], reduction="sum") / np.log(2)
        bits.append(40 * 2 - lost.item())
    assert result.frame()["memorized_bits"].tolist() == pytest.approx(bits, rel=1e-4)
    assert result.memorized_bits == pytest.approx(sorted(bits)[1], rel=1e-4)
    assert f"{result.memorized_bits:,.0f} of 80 bits memorized" in repr(result)
    assert result.frame()["test_accuracy"].isna().all()  # there is no test set, and no number


def test_frames_are_those_of_records(toy_dir, tmp_path):
    fields = FIELDS | {"seeds": 2, "data_dir": toy_dir}
    result = rt.experiment("toy", "tiny", corruption="random_labels", **fields, save=tmp_path)
    memory = rt.experiment("toy", "tiny", corruption="random_labels", **fields)
    for frame in ("frame", "curves", "online"):
        ours, theirs = (getattr(each, frame)() for each in (memory, rt.records(tmp_path)))
        pd.testing.assert_frame_equal(*(f.drop(columns="seconds", errors="ignore") for f in (ours, theirs)), rtol=1e-5)
    assert "<table" in result._repr_html_()
    assert (
        repr(rt.records(tmp_path))
        == f"training runs in {tmp_path}: a row a run by .frame(), an evaluation by .curves()"
    )
    axes = result.plot()
    lines = [line for line in axes.lines if len(line.get_xdata()) == 4]
    assert len(lines) == 4  # training and test, two seeds
    assert sorted(lines[0].get_ydata()) == sorted(100 * result.records[0].curve["train_accuracy"][k] for k in range(4))
    axes.figure.clear()


def test_a_comparison_is_the_difference_by_seed(tensors):
    result = rt.experiment(tensors, Net(5), corruption="random_labels", seeds=[0, 1, 2], **SHORT)
    baseline = rt.experiment(tensors, Net(5), seeds=[1, 2, 3], **SHORT)
    both = rt.compare(result, baseline)
    ours, theirs = ([r.final["train_accuracy"] for r in each.records] for each in (result, baseline))
    expected = [ours[1] - theirs[0], ours[2] - theirs[1]]
    assert both.frame()["seed"].tolist() == [1, 2]
    assert both.frame()["train_accuracy"].tolist() == expected
    assert both.frame()["steps_to_fit"].isna().all()  # censored is no number
    assert both.changed == {"corruptions": ("none", "random_labels")}
    low, high = (f"{100 * v:+.2f}" for v in sorted(expected))
    assert f"({low} to {high}) points" in repr(both)
    assert "seeds 0, 3 left out" in repr(both)
    same = rt.compare(baseline, rt.experiment(tensors, Net(5), seeds=[1], **SHORT))
    assert "no setting that is recorded differs (network and data are the caller's own), 1 seed" in repr(same)
    more = rt.experiment(tensors, Net(5, 6), seeds=[1], num_classes=6, **SHORT)
    assert rt.compare(more, baseline).changed == {"num_classes": (4, 6)}
    with pytest.raises(InputError, match="2 runs of seed 1"):
        rt.compare(pd.concat([result.frame(), result.frame().query("seed == 1")]), baseline)
    with pytest.raises(InputError, match="same seeds"):
        rt.compare(result, result.frame().assign(seed=9).head(1))


def test_a_figure_is_the_one_that_the_command_draws(toy_dir, tmp_path):
    setting = figures.setting("toyfig", "quick", None, 1, resolve_precision("auto", "cpu"))
    wanted = figures.unique(figures.specs("toyfig", setting))
    for spec in wanted[:1]:
        execute.execute(spec, Runs(tmp_path), data_dir=str(toy_dir))
    drawing = rt.figure("toyfig", seeds=1, runs=tmp_path)
    assert [s.run_id for s in drawing.missing] == [wanted[1].run_id]
    assert drawing.frame()["state"].tolist()[-1] == "missing"
    assert drawing.numbers == figures.draw("toyfig", setting, Runs(tmp_path), tmp_path / "out").numbers
    assert drawing._repr_html_().startswith("<svg")
    with pytest.raises(InputError, match="has no record for toyfig at scale cpu"):
        rt.figure("toyfig", scale="cpu", runs=tmp_path / "none")
