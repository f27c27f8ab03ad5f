"""Data larger than memory: what is trained on them is, to the last bit, what is trained on data in memory."""

import numpy as np
import pytest
import torch
from PIL import Image
from small_images import IMAGES, LABELS, TINY
from torchvision import tv_tensors

import rethinking as rt
from rethinking import arrays, catalog, data
from rethinking.arrays import Stored
from rethinking.engines.execute import execute
from rethinking.errors import InputError
from rethinking.files import Refused
from rethinking.record import Runs, format_curve
from rethinking.spec import Part, RunSpec
from rethinking.training import Training, handed, kept, rows, shelf
from rethinking.training.batches import prepare

RNG = np.random.default_rng(5)
CPU = torch.device("cpu")


@pytest.fixture
def mine(home, tmp_path):
    """The small images as an own data set."""
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:9], y_test=LABELS[:9])
    data.add("mine", tmp_path / "a.npz")


def larger(monkeypatch):
    """From here on nothing of the small images fits in memory."""
    monkeypatch.setattr(arrays, "HELD", 20 * IMAGES[0].nbytes)
    monkeypatch.setattr(arrays, "PART", 4 * IMAGES[0].nbytes)
    monkeypatch.setattr(rows, "IN_MEMORY", 1000)
    monkeypatch.setattr(rows, "PIECE", 3 * IMAGES[0].size)


# --- arrays on the disk ---------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    (tmp_path / "array").write_bytes(b"head" + IMAGES.tobytes())
    return Stored(tmp_path / "array", IMAGES.shape, np.uint8, 4)


@pytest.mark.parametrize(
    "index", [0, -1, np.int64(7), slice(None), slice(3, 9), slice(-5, None, 2), slice(9, 3), [4, 4, 0], np.arange(5)]
)
def test_rows_of_an_array_on_disk_are_those_of_the_array(index, stored):
    found = stored[index]
    assert (found.dtype, found.shape) == (np.uint8, IMAGES[index].shape)
    assert np.array_equal(found, IMAGES[index])
    assert (stored.shape, stored.ndim, len(stored), stored.nbytes) == (IMAGES.shape, 4, 30, IMAGES.nbytes)
    assert np.array_equal(np.concatenate(list(arrays.parts_of(stored))), IMAGES)
    assert arrays.digest_of(stored) == arrays.digest_of(IMAGES)


@pytest.mark.parametrize("index", [30, -31, [0, 30], [-1]])
def test_rows_that_there_are_not_are_an_index_error(index, stored):
    with pytest.raises(IndexError):
        stored[index]


def test_an_array_on_disk_is_not_taken_into_memory_whole(stored, monkeypatch):
    assert np.array_equal(np.asarray(stored), IMAGES)
    monkeypatch.setattr(arrays, "HELD", 20 * IMAGES[0].nbytes)
    for whole in (lambda: np.asarray(stored), lambda: stored[:], lambda: stored[:, 2:4], lambda: stored[:21]):
        with pytest.raises(InputError, match=r"2\d|30 examples of .*array are .* bytes, more than .*: take fewer"):
            whole()
    assert len(stored[:20]) == 20


def test_an_array_on_disk_that_was_cut_off_is_refused(stored):
    stored.path.write_bytes(stored.path.read_bytes()[:-1])
    assert len(stored[:29]) == 29
    with pytest.raises(Refused, match="shorter than it was"):
        stored[29]


# --- training -------------------------------------------------------------------------------------

SETTINGS = [
    {},
    {"corruptions": (Part(name="random_labels"),), "held_out": 4},
    {"corruptions": (Part(name="gaussian"),), "bootstrap": True},
    {"corruptions": (Part(name="random_pixels"), Part(name="partial_labels", options={"p": 0.5})), "crop": 28},
    {"regularizers": (Part(name="horizontal_flip", options={"probability": 0.5}),), "bootstrap": True, "crop": 28},
    {"model": "inception", "model_options": {}, "n": 8, "steps": 2, "batch_size": 4, "held_out": 2},
]


def curve(spec):
    rows_of = [evaluation.as_row() for evaluation in Training(spec, data.load("mine")).evaluations()]
    return format_curve(rows_of)


@pytest.mark.parametrize("fields", SETTINGS)
def test_a_run_on_data_larger_than_memory_is_that_of_the_data_in_memory(fields, mine, monkeypatch):
    spec = RunSpec.make(data="mine", **(TINY | {"batch_size": 8, "keep": ("test_logits",)} | fields))
    right = curve(spec)
    larger(monkeypatch)
    assert isinstance(data.load("mine").train.images, Stored)
    training = Training(spec, data.load("mine"))
    assert isinstance(training.train_images, rows.Rows)
    assert isinstance(training.test_images, rows.Rows)
    assert curve(spec) == right


@pytest.mark.parametrize("fields", [{}, SETTINGS[-1]])
def test_a_run_on_large_inputs_is_that_of_the_data_in_memory(fields, mine, monkeypatch):
    """Inputs of which fewer than EVAL_BATCH are evaluated at once, in memory as on the disk."""
    spec = RunSpec.make(data="mine", **(TINY | {"batch_size": 8, "interim_test": 9} | fields))
    monkeypatch.setattr(rows, "EVAL_NUMBERS", 4 * IMAGES[0].size)
    sizes = []
    split = torch.Tensor.split
    monkeypatch.setattr(torch.Tensor, "split", lambda self, size, *a: sizes.append(size) or split(self, size, *a))
    right = curve(spec)
    assert {4} == {size for size in sizes if isinstance(size, int)}
    larger(monkeypatch)
    assert curve(spec) == right


@pytest.mark.parametrize(
    ("shape", "batch"),
    [
        ((1, 28, 28), 500),
        ((3, 32, 32), 500),
        ((3, 105, 105), 500),
        ((3, 106, 106), 497),
        ((3, 224, 224), 111),
        ((3, 640, 640), 13),
        ((3, 3000, 3000), 1),
        ((50,), 500),
        ((), 500),
    ],
)
def test_what_is_made_at_once_is_bounded_in_bytes_whatever_the_size_of_an_input(shape, batch):
    """64 MiB of float32, or one input. A batch has as many inputs where all of them are held in memory."""
    asked, count = [], min(2 * batch + 1, 600)

    def make(places):
        asked.append(len(places))
        return torch.zeros(()).expand(len(places), *shape)

    found = rows.Rows(make, np.arange(count), shape)
    parts = [(len(part), part.nbytes) for part in rows.evaluated(found)]
    most, each = 64 * 2**20, 4 * int(np.prod(shape))
    assert max(size for _, size in parts) <= max(most, each)
    assert max(asked) * each <= max(most, each)
    assert sum(asked) == count
    held = torch.zeros(()).expand(count, *shape)
    assert [n for n, _ in parts] == [len(part) for part in rows.evaluated(held)]
    assert [n for n, _ in parts][:-1] == [batch] * (len(parts) - 1)
    asked.clear()
    assert len(rows.gather(found, torch.arange(batch + 1))) == batch + 1  # a training batch has the size of its spec
    assert max(asked) * each <= max(most, each)


def test_crops_that_are_kept_are_those_of_the_data_in_memory(mine, monkeypatch):
    def crops():
        training = Training(spec, data.load("mine"))
        return kept(training)["crop_logits"], training

    spec = RunSpec.make(data="mine", **(TINY | {"crop": 28, "keep": ("crop_logits",)}))
    right, _ = crops()
    larger(monkeypatch)
    found, training = crops()
    assert isinstance(training.test_images, rows.Rows)
    assert np.array_equal(found, right)


@pytest.mark.parametrize("name", ["gaussian", "shuffled_pixels", None])
def test_batches_of_data_larger_than_memory_are_rows_of_the_whole(name, mine, monkeypatch):
    spec = RunSpec.make(data="mine", n=20, corruptions=(Part(name=name),) if name else (), model="mlp-1x512")
    whole, labels = prepare(data.load("mine"), spec, "train", CPU)
    larger(monkeypatch)
    found, same = prepare(data.load("mine"), spec, "train", CPU)
    index = torch.from_numpy(RNG.permutation(20))
    assert (tuple(found.shape), found.ndim) == (tuple(whole.shape), 4)
    assert torch.equal(labels, same)
    for batch in (index, index[:1], index[:7]):
        assert torch.equal(rows.gather(found, batch), rows.gather(whole, batch))
    assert torch.equal(torch.cat(list(found[3:].split(6))), whole[3:])
    assert torch.equal(rows.part_of(found.at(index), 4), whole[index[:4]])
    for layout in (torch.contiguous_format, torch.channels_last):
        assert rows.part_of(found.contiguous(memory_format=layout), 4).is_contiguous(memory_format=layout)


def test_inputs_for_which_there_is_room_on_a_device_become_a_tensor(mine, monkeypatch):
    spec = RunSpec.make(data="mine", n=20, model="mlp-1x512")
    whole, _ = prepare(data.load("mine"), spec, "train", CPU)
    with monkeypatch.context() as patch:
        larger(patch)
        found, _ = prepare(data.load("mine"), spec, "train", CPU)
        assert isinstance(found.to(CPU), rows.Rows)
    monkeypatch.setattr(rows, "PIECE", 3 * IMAGES[0].size)
    asked = []
    make = found._make
    monkeypatch.setattr(found, "_make", lambda places: asked.append(len(places)) or make(places))
    assert torch.equal(found.to(CPU), whole)
    assert asked == [3] * 6 + [2]


@pytest.mark.parametrize("fields", [{}, {"crop": 8}, {"crop": 8, "keep": ("crop_logits",)}])
def test_what_is_held_does_not_grow_with_the_set(fields, mine, monkeypatch):
    """The largest array that a run of images on the disk asks for is a batch of an evaluation, whatever the set has."""
    larger(monkeypatch)
    monkeypatch.setattr("rethinking.training.rows.EVAL_BATCH", 6)
    asked = []
    read = Stored.__getitem__
    monkeypatch.setattr(Stored, "__getitem__", lambda self, index: asked.append(len(out := read(self, index))) or out)
    spec = RunSpec.make(data="mine", **(TINY | {"batch_size": 8} | fields))
    loaded = data.load("mine")
    asked.clear()
    training = Training(spec, loaded)
    list(training.evaluations())
    kept(training)
    assert max(asked) == 3  # PIECE, of whole images
    assert sum(asked) > 60


def test_what_needs_all_images_in_memory_is_refused_in_one_line(mine, monkeypatch):
    larger(monkeypatch)
    spec = RunSpec.make(data="mine", **TINY)
    training = Training(spec, data.load("mine"))
    from rethinking.probes._trained import trained

    held = "a probe holds the images of mine in memory, which are too many: probe a run with a smaller"
    for n, most, smaller in ((20, 1, "--crop"), (8, 8, "--crop"), (20, 9, "--n or --crop")):  # of 9 test images
        monkeypatch.setattr(rows, "IN_MEMORY", most * 4 * IMAGES[0].size)
        with pytest.raises(InputError, match=f"{held} {smaller}$"):
            trained(spec.replace(n=n), data.load("mine"), training.network.state_dict(), "cpu")


# --- data add -------------------------------------------------------------------------------------


def test_images_are_added_some_at_a_time_and_the_set_is_the_same(home, tmp_path, monkeypatch):
    for k, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        place = tmp_path / "photos" / "abc"[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{k:02}.png")
    data.add("whole", tmp_path / "photos", hold_out=0.3)
    right = catalog.find("data", "whole").constants
    data.remove("whole")
    larger(monkeypatch)
    most = []
    from rethinking.data import _image_folder

    get = _image_folder.Decoded.__getitem__
    monkeypatch.setattr(_image_folder.Decoded, "__getitem__", lambda s, at: most.append(len(at)) or get(s, at))
    data.add("parts", tmp_path / "photos", hold_out=0.3)
    assert catalog.find("data", "parts").constants == right
    assert set(most) <= {4, 3, 2, 1}
    assert data.check("parts") == home / "parts"
    assert isinstance(data.load("parts").train.images, Stored)
    image, label = data.torch_dataset("parts")[3]
    assert np.array_equal(np.asarray(image), data.load("parts").train.images[3])
    assert label == data.load("parts").train.labels[3]


def test_a_set_of_more_than_256_classes_is_added_loaded_and_recorded(home, tmp_path):
    images, labels = RNG.integers(0, 256, (300, 4, 4, 1), dtype=np.uint8), np.arange(300)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    data.add("many", tmp_path / "a.npz")
    assert np.load(home / "many" / "test_labels.npy").dtype == np.dtype("<u2")
    loaded = data.load("many")
    assert (loaded.test.labels.dtype, sorted(loaded.test.labels.tolist())) == (np.int64, labels.tolist())
    assert data.check("many") == home / "many"
    spec = RunSpec.make(data="many", **(TINY | {"keep": ("test_logits",)}))
    runs = Runs(tmp_path / "runs")
    execute(spec, runs)
    record = runs.find(spec)
    kept = record.arrays["test_labels"].tolist()
    assert kept == loaded.test.labels[: len(kept)].tolist()
    assert max(record.arrays["test_labels"]) > 256


def test_a_changed_image_on_disk_is_found_when_it_is_loaded(mine, home, monkeypatch):
    larger(monkeypatch)
    file = home / "mine" / "train_images.npy"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="train_images has SHA-256"):
        data.load("mine")


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(home, tmp_path, monkeypatch):
    from rethinking.data import _own

    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:9], y_test=LABELS[:9])
    monkeypatch.setattr(_own.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 1000}))
    with pytest.raises(InputError, match=r"mine takes 119,847 bytes, .* has 1,000 free: name another folder"):
        data.add("mine", tmp_path / "a.npz")
    assert list(home.iterdir()) == []


# --- data that are handed over --------------------------------------------------------------------


def handed_over(kind):
    """The small images as somebody's data set: a list of (input, label)."""
    return [(kind(image), int(label)) for image, label in zip(IMAGES, LABELS, strict=True)]


def tensor(image):
    return torch.from_numpy(image.transpose(2, 0, 1).copy())


KINDS = {
    "pictures": (Image.fromarray, {"preprocess": "whiten"}),
    "pictures as they come": (Image.fromarray, {}),
    "grey pictures": (lambda image: Image.fromarray(image[..., 0]), {"preprocess": "whiten"}),
    "tensors of bytes": (tensor, {}),
    "tensors of torchvision": (lambda image: tv_tensors.Image(tensor(image)), {"preprocess": "whiten"}),
    "fractions": (lambda image: tensor(image).double() / 255, {"preprocess": "whiten"}),
    "arrays": (lambda image: image.astype(np.float32), {}),
    "vectors": (lambda image: torch.from_numpy(image.reshape(-1)[:50].astype(np.float32)), {}),
    "tokens": (lambda image: torch.from_numpy(image.reshape(-1)[:50].astype(np.int64)), {}),
}
PARTS = [
    (),
    (Part(name="partial_labels", options={"p": 0.5}), Part(name="shuffled_pixels")),
    (Part(name="random_tail", options={"first": 7}), Part(name="random_pixels")),
]


def tensors_of(kind, parts):
    make, fields = KINDS[kind]
    given = handed.Handed(handed_over(make), 20, handed_over(make)[:9])
    spec = handed.HandedSpec.make(
        data="x", n=20, num_classes=3, model="net", own_network=True, corruptions=parts, data_seed=3, **fields
    )
    return given.tensors(spec)


def whole(inputs):
    """Inputs as one tensor, taken in another order and two at a time."""
    if isinstance(inputs, torch.Tensor):
        return inputs
    order = torch.arange(len(inputs)).flip(0)
    return torch.cat([rows.gather(inputs, part) for part in order.split(2)]).flip(0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parts", PARTS)
def test_inputs_on_the_shelf_are_those_in_memory(kind, parts, home, monkeypatch):
    right = tensors_of(kind, parts)
    monkeypatch.setattr(rows, "IN_MEMORY", 200)
    found = tensors_of(kind, parts)
    for split in ("train", "test"):
        (inputs, labels), (other, same) = getattr(found, split), getattr(right, split)
        assert isinstance(inputs, rows.Rows)
        assert isinstance(other, torch.Tensor)
        assert tuple(inputs.shape) == tuple(other.shape)
        assert torch.equal(whole(inputs), other)
        assert whole(inputs).dtype == other.dtype
        assert torch.equal(labels, same)
    assert (found.originals is None) == (right.originals is None)
    if right.originals is not None:
        assert torch.equal(whole(found.originals), right.originals)
    assert list(home.iterdir()) == []  # the file has no name


@pytest.mark.parametrize("fields", [{}, {"regularizers": "horizontal_flip=0.5", "corruption": "partial_labels=0.4"}])
def test_an_experiment_on_data_larger_than_memory_is_that_on_data_in_memory(fields, home, monkeypatch):
    def curves():
        data = handed_over(Image.fromarray)
        given = {"test": data[:9], "preprocess": "whiten", "steps": 4, "batch_size": 8, "seeds": 2, "device": "cpu"}
        result = rt.experiment(data, "mlp-1x512,width=8", progress=False, **given, **fields)
        return [record.curve for record in result.records]

    right = curves()
    monkeypatch.setattr(rows, "IN_MEMORY", 200)
    assert curves() == right


def test_a_folder_of_images_is_trained_on_without_being_held(home, tmp_path, monkeypatch):
    for split, count in (("train", 30), ("val", 9)):
        for k in range(count):
            place = tmp_path / split / "abc"[LABELS[k]]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(IMAGES[k]).save(place / f"{k:02}.png")
    monkeypatch.setattr(rows, "IN_MEMORY", 200)
    train, val = (data.folder(tmp_path, split) for split in ("train", "val"))
    given = {"test": val, "preprocess": "whiten", "steps": 2, "batch_size": 8, "device": "cpu", "progress": False}
    result = rt.experiment(train, "mlp-1x512,width=8", corruption="random_labels", **given)
    assert result.records[0].final["test_images"] == 9


ODD = {
    "is a picture of uint8 .*, that of": lambda image, k: Image.fromarray(image[: 31 + (k != 4)]),
    "is an array of int16 .*, that of": lambda image, k: image.astype(np.int16 if k == 4 else np.uint8),
    "is a tensor of .*, that of dataset.0. an array": lambda image, k: image if k != 4 else torch.from_numpy(image),
    r"dataset\[4\] is not finite: mend it": lambda image, k: image / (255.0 * (k != 4)),
    "must be PIL images of mode L or RGB, tensors or": lambda image, k: Image.fromarray(image).convert("CMYK"),
    "tensors or arrays of real numbers: convert them": lambda image, k: tensor(image).bfloat16(),
}


@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")
@pytest.mark.parametrize("line", ODD)
def test_inputs_that_cannot_be_on_one_shelf_are_refused_in_one_line(line, home, monkeypatch):
    monkeypatch.setattr(rows, "IN_MEMORY", 200)
    samples = [(ODD[line](image, k), int(LABELS[k])) for k, image in enumerate(IMAGES)]
    with pytest.raises(InputError, match=line):
        handed.Handed(samples)


def test_a_shelf_for_which_the_disk_is_too_small_is_told_before_it_is_filled(home, monkeypatch):
    monkeypatch.setattr(rows, "IN_MEMORY", 200)
    monkeypatch.setattr(shelf.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 1000}))
    with pytest.raises(InputError, match=r"take 92,160 bytes, and .*data, where .*, has 1,000 free: .*RETHINKING_DATA"):
        handed.Handed(handed_over(Image.fromarray))
