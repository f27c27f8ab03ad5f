"""Corruptions around anybody's data set, against a slow reference that is written here and shares no code with them."""

import copy
import dataclasses
import functools
import hashlib
import pickle
import random
import types
import warnings
from collections import namedtuple
from collections.abc import Callable, MutableMapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset, TensorDataset, random_split
from torchvision import tv_tensors
from torchvision.datasets import CIFAR10, MNIST, ImageFolder
from torchvision.transforms import ToTensor
from torchvision.transforms.v2 import functional as F

from rethinking import corruptions, data
from rethinking.corruptions import (
    Gaussian,
    PartialLabels,
    RandomLabels,
    RandomPixels,
    RandomSigns,
    ShuffledPixels,
    _features,
    _samples,
    corrupt_arrays,
)
from rethinking.errors import InputError
from rethinking.spec import Part
from rethinking.training import handed

N = 6
RNG = np.random.default_rng(11)
LABELS = [2, 0, 1, 1, 2, 0]
LABEL_WRAPPERS = [RandomLabels, PartialLabels, RandomSigns]
PIXEL_WRAPPERS = [ShuffledPixels, RandomPixels, Gaussian]


def whole_set(wrapper, dataset, **kwargs):
    """A wrapper with its options in the middle of their range."""
    return wrapper(dataset, **(({"p": 0.5} if wrapper is PartialLabels else {}) | kwargs))


# --- the slow reference: streams, then each corruption of an array (H, W, C) and a label, in plain loops ------------


def stream(seed, word, split, index):
    """A new generator for each example, of Philox with a hashed key and the example's place as counter."""
    key = hashlib.sha256(f"{seed}/{word}".encode()).digest()[:16]
    place = 0 if split is None else int.from_bytes(hashlib.sha256(split.encode()).digest()[:8], "big")
    counter = np.array([0, 0, index, place], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "big"), counter=counter))


def moved(array, order):
    width = array.shape[1]
    out = np.empty_like(array)
    for place, source in enumerate(order):
        out[place // width, place % width] = array[source // width, source % width]
    return out


def slow_shuffled(array, seed):
    return moved(array, stream(seed, "shuffled_pixels", None, 0).permutation(array.shape[0] * array.shape[1]))


def slow_random_pixels(array, seed, split, index):
    order = stream(seed, "random_pixels", split, index).permutation(array.shape[0] * array.shape[1])
    return moved(array, order)


def slow_gaussian(arrays, seed, split, index):
    channels = arrays[0].shape[2]
    noise = stream(seed, "gaussian", split, index).standard_normal(arrays[index].shape, dtype=np.float32)
    out = np.empty(noise.shape, np.float32)
    for c in range(channels):
        values = np.concatenate([a[:, :, c].ravel() for a in arrays]).astype(np.longdouble)
        mean = values.sum() / len(values)
        variance = ((values - mean) ** 2).sum() / len(values)
        deviation = np.sqrt(np.float32(np.float64(variance)))
        out[:, :, c] = noise[:, :, c] * deviation + np.float32(np.float64(mean))
    return out


def slow_class(label, classes, p, among, seed, split, index):
    generator = stream(seed, "partial_labels", split, index)
    if among == "all":
        other = list(range(classes))[generator.integers(classes)]
    else:
        other = [c for c in range(classes) if c != label][generator.integers(classes - 1)]
    return other if generator.random() < p else label


def slow_permutation(targets, p, seed, split, index):
    draws = [stream(seed, "partial_labels", split, i).random(2) for i in range(len(targets))]
    chosen = [i for i in range(len(targets)) if draws[i][0] < p]
    order = sorted(chosen, key=lambda i: draws[i][1])
    return targets[order[chosen.index(index)]] if index in chosen else targets[index]


def slow_normal(targets, p, seed, split, index):
    generator = stream(seed, "partial_labels", split, index)
    if generator.random() >= p:
        return targets[index]
    mean = sum(targets) / len(targets)
    variance = sum((t - mean) ** 2 for t in targets) / len(targets)
    return mean + variance**0.5 * generator.standard_normal()


# --- twelve kinds of data set --------------------------------------------------------------------------------------


class Samples(Dataset):
    """Samples as they are, with what else a data set has."""

    def __init__(self, samples, **attributes):
        self.samples = samples
        self.read = 0
        vars(self).update(attributes)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        self.read += 1
        return self.samples[index]


def bytes_of(*shape):
    return RNG.integers(0, 256, (N, *shape), dtype=np.uint8)


def chw(array):
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))


def from_chw(tensor):
    return tensor.numpy().transpose(1, 2, 0)


def from_picture(image):
    array = np.asarray(image)
    return array if array.ndim == 3 else array[..., None]


def from_row(vector):
    return np.asarray(vector).reshape(-1, 1, 1)


@dataclasses.dataclass
class Kind:
    """A data set, its truth, and how the test reads its samples.

    Attributes:
        arrays: (H, W, C) each. named: arguments that the wrappers need. place: of image and label in a sample.
        array: a feature as (H, W, C). classes: how many the data set says it has.
    """

    dataset: Any
    arrays: Any
    labels: Any
    array: Callable
    named: dict = dataclasses.field(default_factory=dict)
    place: tuple = (0, 1)
    regression: bool = False
    classes: int = 3


def cifar_like():
    arrays = bytes_of(6, 5, 3)
    samples = [(Image.fromarray(a), y) for a, y in zip(arrays, LABELS, strict=True)]
    return Kind(Samples(samples, classes=["a", "b", "c"], targets=LABELS), arrays, LABELS, from_picture)


def mnist_like():
    arrays = bytes_of(7, 7, 1).astype(np.float32) / 255
    samples = [(chw(a), torch.tensor(y)) for a, y in zip(arrays, LABELS, strict=True)]
    return Kind(Samples(samples, targets=torch.tensor(LABELS)), arrays, LABELS, from_chw)


def files_of(path, name):
    folder = path / name
    folder.mkdir(parents=True)
    return folder


def torchvision_cifar10(path):
    """torchvision's own class, on official batches of six images."""
    arrays, folder = bytes_of(32, 32, 3), files_of(path, CIFAR10.base_folder)
    rows = arrays.transpose(0, 3, 1, 2).reshape(N, -1)
    (folder / "data_batch_1").write_bytes(pickle.dumps({"data": rows, "labels": LABELS}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CIFAR10, "train_list", [("data_batch_1", None)])
        patch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": None})
        patch.setattr(CIFAR10, "_check_integrity", lambda self: True)
        dataset = CIFAR10(path)
    return Kind(dataset, arrays, LABELS, from_picture, classes=10)


def torchvision_mnist(path):
    """torchvision's own class with its usual transform, on idx files of six images."""
    arrays, folder = bytes_of(28, 28, 1), files_of(path, "MNIST/raw")
    for name, array in (("images-idx3", arrays[..., 0]), ("labels-idx1", np.array(LABELS, np.uint8))):
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        for split in ("train", "t10k"):
            (folder / f"{split}-{name}-ubyte").write_bytes(header + array.tobytes())
    dataset = MNIST(path, transform=ToTensor())
    return Kind(dataset, arrays.astype(np.float32) / 255, LABELS, from_chw, classes=10)


def image_folder(path):
    arrays = bytes_of(5, 8, 3)
    labels = sorted(LABELS)
    for i, (a, y) in enumerate(zip(arrays, labels, strict=True)):
        (path / "abc"[y]).mkdir(exist_ok=True)
        Image.fromarray(a).save(path / "abc"[y] / f"{i}.png")
    return Kind(ImageFolder(path), arrays, labels, from_picture)


def subset_of_a_wrapper():
    inner, indices = cifar_like(), [5, 0, 3, 1]
    arrays = [slow_shuffled(inner.arrays[i], 9) for i in indices]
    dataset = Subset(ShuffledPixels(inner.dataset, seed=9), indices)
    return Kind(dataset, arrays, [LABELS[i] for i in indices], from_picture)


class Feature:
    names = ("a", "b", "c")
    num_classes = 3


class HuggingFace(Samples):
    """A column of labels without decoding, and declared features."""

    column_names = ("pixel_values", "label", "id")
    features = {"label": Feature()}

    def __getitem__(self, index):
        return [s["label"] for s in self.samples] if index == "label" else super().__getitem__(index)


def dicts():
    arrays = bytes_of(4, 4, 3)
    samples = [{"pixel_values": chw(a), "label": y, "id": f"{y}"} for a, y in zip(arrays, LABELS, strict=True)]
    named = {"image": "pixel_values", "label": "label"}
    return Kind(HuggingFace(samples), arrays, LABELS, from_chw, named, ("pixel_values", "label"))


def colour_64():
    arrays = bytes_of(64, 64, 3)
    samples = [(chw(a), np.int32(y)) for a, y in zip(arrays, LABELS, strict=True)]
    return Kind(Samples(samples, class_to_idx={"a": 0, "b": 1, "c": 2}), arrays, LABELS, from_chw)


def grey_16_bit():
    arrays = RNG.integers(0, 65536, (N, 6, 9, 1), dtype=np.uint16)
    samples = [(Image.fromarray(a[..., 0]), y) for a, y in zip(arrays, LABELS, strict=True)]
    assert samples[0][0].mode == "I;16"
    return Kind(Samples(samples, labels=np.array(LABELS)), arrays, LABELS, from_picture)


def numpy_first():
    arrays = RNG.normal(size=(N, 4, 7, 5)).astype(np.float32)  # five channels: the shape does not tell
    samples = [(a.transpose(2, 0, 1).copy(), np.array([y])) for a, y in zip(arrays, LABELS, strict=True)]
    named = {"channels": "first", "num_classes": 3}
    return Kind(Samples(samples), arrays, LABELS, lambda a: a.transpose(1, 2, 0), named)


def numpy_last():
    arrays = bytes_of(4, 7, 4)
    samples = [[a, y] for a, y in zip(arrays, LABELS, strict=True)]
    return Kind(Samples(samples, targets=LABELS), arrays, LABELS, np.asarray, {"channels": "last"})


def vectors():
    arrays = RNG.normal(3, 2, size=(N, 17, 1, 1)).astype(np.float32)
    dataset = TensorDataset(torch.from_numpy(arrays[:, :, 0, 0]), torch.tensor(LABELS))
    return Kind(dataset, arrays, LABELS, from_row)


def tokens():
    arrays = [RNG.integers(0, 9999, (5 + i, 1, 1)) for i in range(N)]  # of unlike lengths
    samples = [(torch.from_numpy(a[:, 0, 0].copy()), y) for a, y in zip(arrays, LABELS, strict=True)]
    return Kind(Samples(samples, num_classes=3), arrays, LABELS, from_row)


def triples():
    arrays = bytes_of(6, 5, 3)
    samples = [(Image.fromarray(a), f"{y}.png", y) for a, y in zip(arrays, LABELS, strict=True)]
    dataset = Samples(samples, classes=["a", "b", "c"], targets=[2, 1, 0, 1, 0, 0])  # not of what is at position 2
    return Kind(dataset, arrays, LABELS, from_picture, {"label": 2}, (0, 2))


def regression():
    arrays = bytes_of(5, 5, 1)
    targets = RNG.normal(5, 3, N).tolist()
    samples = [(chw(a), y) for a, y in zip(arrays, targets, strict=True)]
    return Kind(Samples(samples, targets=np.array(targets)), arrays, targets, from_chw, regression=True)


KINDS = {
    f.__name__: f
    for f in (
        torchvision_cifar10, torchvision_mnist, cifar_like, mnist_like, image_folder,
        subset_of_a_wrapper, dicts, colour_64, grey_16_bit, numpy_first,
        numpy_last, vectors, tokens, triples, regression,
    )
}  # fmt: skip


def make(name, path) -> Kind:
    of_files = ("image_folder", "torchvision_cifar10", "torchvision_mnist")
    return KINDS[name](files_of(path, name)) if name in of_files else KINDS[name]()


def cells(kind: Kind, seed, split):
    """[(wrapper, i -> (array (H, W, C), label))]: every corruption of one kind of data set."""
    arrays, labels, count = list(kind.arrays), kind.labels, kind.classes
    named = kind.named | {"seed": seed, "split": split}
    pixels = [
        (ShuffledPixels, lambda i: slow_shuffled(arrays[i], seed)),
        (RandomPixels, lambda i: slow_random_pixels(arrays[i], seed, split, i)),
        (Gaussian, lambda i: slow_gaussian(arrays, seed, split, i)),
    ]
    out = [(w(kind.dataset, **named), lambda i, f=f: (f(i), labels[i])) for w, f in pixels]

    def add(wrapper, label):
        out.append((wrapper, lambda i: (arrays[i], label(i))))

    add(RandomSigns(kind.dataset, **named), lambda i: int(stream(seed, "random_signs", split, i).integers(2)))
    for p in (1.0, 0.5):
        options = () if p == 1 else (p,)
        wrapper = RandomLabels if p == 1 else PartialLabels
        if kind.regression:
            for how, slow in (("permutation", slow_permutation), ("gaussian", slow_normal)):
                wrapped = wrapper(kind.dataset, *options, regression=how, **named)
                add(wrapped, lambda i, p=p, slow=slow: slow(labels, p, seed, split, i))
            continue
        wrapped = wrapper(kind.dataset, *options, **named)
        add(wrapped, lambda i, p=p: slow_class(labels[i], count, p, "all", seed, split, i))
        others = PartialLabels(kind.dataset, p, among="others", **named)
        add(others, lambda i, p=p: slow_class(labels[i], count, p, "others", seed, split, i))
    return [(wrapper, functools.cache(expected)) for wrapper, expected in out]


class Together(Dataset):
    """Several data sets in one loader, whose workers then start once; a shorter one begins again."""

    def __init__(self, parts):
        self.parts = parts

    def __len__(self):
        return max(map(len, self.parts))

    def __getitem__(self, index):
        return [part[index % len(part)] for part in self.parts]


def hold(kind, wrapper, expected, index, sample):
    """A sample of a wrapper is the reference's, to the last bit, and of the kind of the data set's own."""
    image_at, label_at = kind.place
    own = kind.dataset[index]
    array, label = expected(index)
    image = sample[image_at]
    assert type(sample) is type(own)
    assert len(sample) == len(own)
    if isinstance(wrapper, Gaussian):
        assert isinstance(image, np.ndarray if isinstance(own[image_at], Image.Image) else type(own[image_at]))
    else:
        assert type(image) in (type(own[image_at]), Image.Image)
    found = kind.array(image)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)
    signs = isinstance(wrapper, RandomSigns) and kind.regression
    assert type(sample[label_at]) is (int if signs else type(own[label_at]))
    if isinstance(label, float) and wrapper.regression == "gaussian":
        assert sample[label_at] == pytest.approx(label, rel=1e-12)
    else:
        assert np.asarray(sample[label_at]).item() == label
        assert np.shape(sample[label_at]) == np.shape(own[label_at])


@pytest.mark.parametrize(("context", "seed", "split"), [(None, 3, "test"), ("fork", 3, "test"), ("spawn", 0, "train")])
def test_every_kind_of_data_set_under_every_corruption(context, seed, split, tmp_path):
    """Read here, by two workers, and by two that import all anew; twice over; its labels also without its images."""
    kinds = {name: make(name, tmp_path) for name in KINDS}
    matrix = [(name, kind, *cell) for name, kind in kinds.items() for cell in cells(kind, seed, split)]
    loader = DataLoader(
        Together([wrapper for _, _, wrapper, _ in matrix]),
        num_workers=0 if context is None else 2,
        collate_fn=list,
        persistent_workers=context is not None,
        multiprocessing_context=context,
    )
    for _ in range(2):  # epochs
        rows = [row for batch in loader for row in batch]
        assert len(rows) == N
        for i, row in enumerate(rows):
            for (name, kind, wrapper, expected), sample in zip(matrix, row, strict=True):
                try:
                    hold(kind, wrapper, expected, i % len(kind.labels), sample)
                except AssertionError as error:
                    error.add_note(f"{name} under {wrapper}, sample {i}")
                    raise
    for _, kind, wrapper, expected in matrix:
        labels = [expected(i)[1] for i in range(len(kind.labels))]
        assert np.allclose(wrapper.targets, labels, rtol=1e-12, atol=0)
        own = kind.labels if wrapper._acts_on_labels else labels
        assert wrapper.changed_labels().tolist() == [a != b for a, b in zip(labels, own, strict=True)]


# --- what is handed on ---------------------------------------------------------------------------------------------

MODES = ["1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16", "I;16B"]


def picture(mode):
    image = Image.new(mode, (9, 5))
    for x in range(9):
        for y in range(5):
            value = tuple(RNG.integers(0, 256, len(image.getbands())).tolist())
            image.putpixel((x, y), value if len(value) > 1 else 255 * (value[0] > 99) if mode == "1" else value[0])
    if mode == "P":
        image.putpalette(RNG.integers(0, 256, 768, dtype=np.uint8).tobytes())
    return image


TENSORS = {
    "tv_tensor": tv_tensors.Image(torch.arange(48, dtype=torch.uint8).reshape(3, 4, 4)),
    "bfloat16": torch.arange(48.0).reshape(3, 4, 4).to(torch.bfloat16),
    "gradient": torch.arange(48.0).reshape(3, 4, 4).requires_grad_(),
    "strided": torch.arange(48).reshape(3, 4, 4).transpose(1, 2),
    "bool": torch.arange(48).reshape(3, 4, 4) > 20,
    "complex": torch.arange(48.0).reshape(3, 4, 4).to(torch.complex64),
}


@pytest.mark.parametrize("wrapper", LABEL_WRAPPERS + PIXEL_WRAPPERS)
def test_what_a_wrapper_does_not_act_on_is_handed_on_as_the_very_same_object(wrapper):
    things = [
        *map(picture, MODES),
        *TENSORS.values(),
        "a text",
        None,
        object(),
        np.zeros((16, 16, 16)),
        {"t": [1]},
        [1],
    ]
    if wrapper in LABEL_WRAPPERS:
        wrapped = whole_set(wrapper, Samples([(x, i % 3) for i, x in enumerate(things)], num_classes=3))
        assert all(wrapped[i][0] is x for i, x in enumerate(things))
    else:  # and no number of classes is needed, nor a label
        wrapped = wrapper(Samples([(np.ones((4, 4)), y, "more") for y in things]))
        assert all(wrapped[i][1] is y and wrapped[i][2] == "more" for i, y in enumerate(things))
        assert not hasattr(wrapped, "classes")
        assert wrapper(TensorDataset(torch.ones(2, 5)))[1][0].shape == (5,)


@pytest.mark.parametrize("wrapper", [ShuffledPixels, RandomPixels])
def test_pictures_and_tensors_of_every_kind_stay_what_they_are(wrapper):
    word, split = ("shuffled_pixels", None) if wrapper is ShuffledPixels else ("random_pixels", "train")
    order = stream(4, word, split, 0).permutation(45)
    for image in map(picture, MODES):
        found = wrapper(Samples([(image, 0)]), seed=4)[0][0]
        for place, source in enumerate(order.tolist()):
            assert found.getpixel((place % 9, place // 9)) == image.getpixel((source % 9, source // 9))
        assert (found.mode, found.size, found.getpalette()) == (image.mode, image.size, image.getpalette())
    order = stream(4, word, split, 0).permutation(16)
    for image in TENSORS.values():
        found = wrapper(Samples([(image, 0)]), seed=4)[0][0]
        assert type(found) is type(image)
        assert (found.dtype, found.shape, found.requires_grad) == (image.dtype, image.shape, image.requires_grad)
        assert torch.equal(found.flatten(1), image.flatten(1)[:, torch.from_numpy(order)])


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in ("P", "PA")])
def test_gaussian_of_a_picture_of_every_mode_has_its_bands(mode):
    images = [picture(mode) for _ in range(3)]
    arrays = [from_picture(image) for image in images]
    found = Gaussian(Samples([(image, 0) for image in images]), seed=4)[1][0]
    assert isinstance(found, Image.Image if mode == "F" else np.ndarray)  # the one mode that can hold it
    assert np.asarray(found).dtype == np.float32
    assert np.asarray(found).shape == np.asarray(images[1]).shape
    np.testing.assert_allclose(from_picture(found), slow_gaussian(arrays, 4, "train", 1), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint32", ">i4", ">u2", "float16", "float64", "bool"])
def test_arrays_of_every_type_are_permuted_as_they_are_and_measured_right(dtype):
    arrays = [(RNG.random((6, 9, 3)) * 100).astype(dtype) for _ in range(3)]
    dataset = Samples([(a, 0) for a in arrays])
    found = RandomPixels(dataset, seed=4)[1][0]
    assert found.dtype == np.dtype(dtype)
    assert np.array_equal(found, slow_random_pixels(arrays[1], 4, "train", 1))
    np.testing.assert_allclose(Gaussian(dataset, seed=4)[1][0], slow_gaussian(arrays, 4, "train", 1), rtol=1e-5)


def test_lists_and_words_are_sequences_of_positions():
    assert sorted(RandomPixels(Samples([(list("abcdefgh"), 0)]))[0][0]) == list("abcdefgh")
    order = stream(0, "random_pixels", "train", 0).permutation(8).tolist()
    assert RandomPixels(Samples([(list(range(8)), 0)]))[0][0] == order
    assert np.array_equal(RandomPixels(Samples([(np.arange(8), 0)]))[0][0], order)


Point = namedtuple("Point", "image label")


@dataclasses.dataclass(frozen=True)
class Record:
    image: Any
    label: int


def test_samples_keep_their_kind():
    image, expected = np.ones((4, 4)), slow_class(1, 3, 1.0, "all", 0, "train", 0)
    for sample, named in [
        (Point(image, 1), {}),
        (Point(image, 1), {"label": "label"}),
        (Record(image, 1), {"label": "label"}),
        ([image, 1, "x"], {"label": -2}),
        ({0: image, 1: 1}, {"label": 1}),
    ]:
        found = RandomLabels(Samples([sample]), num_classes=3, **named)[0]
        assert type(found) is type(sample)
        kept, label = (found.image, found.label) if isinstance(found, Record) else (found[0], found[1])
        assert kept is image
        assert label == expected
    assert sample == {0: image, 1: 1}  # the data set's own sample is left alone


class Mapped(MutableMapping):
    """Fields in a store that a plain copy shares."""

    def __init__(self, **fields):
        self.store = fields

    def __getitem__(self, key):
        return self.store[key]

    def __setitem__(self, key, value):
        self.store[key] = value

    def __delitem__(self, key):
        del self.store[key]

    def __iter__(self):
        return iter(self.store)

    def __len__(self):
        return len(self.store)


class Graph:
    """Fields as attributes and by key, as graph data sets have them; its copies share the store."""

    def __init__(self, **fields):
        object.__setattr__(self, "store", fields)

    def __getattr__(self, name):
        if name == "store" or name not in self.store:
            raise AttributeError(name)
        return self.store[name]

    def __setattr__(self, name, value):
        self.store[name] = value

    def __getitem__(self, key):
        return self.store[key]


class Graphs(Graph):
    """And copies do not."""

    def __copy__(self):
        return Graphs(**self.store)


@pytest.mark.parametrize("kind", [Mapped, Graph, Graphs, lambda **fields: types.MappingProxyType(fields)])
def test_samples_of_a_class_of_their_own_are_copied_whole_and_left_alone(kind):
    images = [np.arange(12) for _ in range(20)]
    base = [kind(x=x, y=i % 5, more=[i]) for i, x in enumerate(images)]
    named = {"image": "x", "label": "y"}
    shuffled, noisy = ShuffledPixels(base, **named), RandomLabels(base, num_classes=5, **named)
    changed = noisy.changed_labels().tolist()
    for i in range(20):
        for _ in range(2):
            assert np.array_equal(shuffled[i]["x"], slow_shuffled(images[i].reshape(-1, 1, 1), 0).ravel())
            assert noisy[i]["y"] == slow_class(i % 5, 5, 1.0, "all", 0, "train", i)
            assert getattr(noisy[i], "y", noisy[i]["y"]) == noisy[i]["y"]
            assert noisy[i]["more"] is base[i]["more"]
        assert base[i]["x"] is images[i]
        assert base[i]["y"] == i % 5
    assert noisy.changed_labels().tolist() == changed


class Fixed:
    """A property without a setter."""

    y = property(lambda self: 1)


class Twofold:
    """An attribute, and something else by key."""

    def __init__(self):
        self.y = 1

    def __getitem__(self, key):
        return 1


@pytest.mark.parametrize(
    ("label", "classes"),
    [(y, 2) for y in (1, True, np.int64(1), np.array([1]), torch.tensor([1], dtype=torch.uint8))]
    + [(torch.tensor(1, dtype=torch.uint8), 1000)],
    ids=repr,
)
def test_labels_keep_their_kind_where_it_can_hold_the_class(label, classes):
    found = RandomLabels(Samples([(0, label)] * 20), num_classes=classes)
    dtype = torch.int64 if classes > 256 else getattr(label, "dtype", None)
    for i in range(20):
        new = found[i][1]
        assert type(new) is type(label)
        assert getattr(new, "dtype", None) in (dtype, getattr(label, "dtype", None))
        assert np.shape(new) == np.shape(label)
        assert int(np.asarray(new).item()) == slow_class(1, classes, 1.0, "all", 0, "train", i)


# --- the noise's conventions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("among", "rate"), [("all", 0.4 * 3 / 4), ("others", 0.4)])
def test_the_rate_that_results_is_the_docstring_s(among, rate):
    """And what is changed at one p is changed at every larger one; other classes are uniform."""
    dataset = Samples([(0, i % 4) for i in range(2000)], num_classes=4)
    changed = PartialLabels(dataset, 0.4, among=among).changed_labels()
    assert abs(changed.sum() - 2000 * rate) < 6 * (2000 * rate * (1 - rate)) ** 0.5
    wrapped = PartialLabels(dataset, 1.0, among=among)
    assert np.all(wrapped.changed_labels()[changed])
    kinds, share = (4, 1 / 4) if among == "all" else (3, 1 / 3)
    by = np.bincount((wrapped.targets - np.arange(2000)) % 4, minlength=4)[4 - kinds :]
    assert by.sum() == 2000
    assert np.all(np.abs(by - 2000 * share) < 6 * (2000 * share * (1 - share)) ** 0.5)
    parts = [Part(name="partial_labels", options={"p": 1.0, "among": among})]
    own = np.arange(2000) % 4
    _, labels = corrupt_arrays(np.empty((2000, 0, 0)), own, parts, facts=corruptions.Facts(4))
    assert np.array_equal(labels, wrapped.targets)


# --- regression ----------------------------------------------------------------------------------------------------


def bfloat16(y):
    return torch.tensor(y, dtype=torch.bfloat16)


@pytest.mark.parametrize("kind", [float, np.float32, lambda y: torch.tensor([y, 2 * y]), bfloat16])
def test_a_permutation_keeps_the_targets_of_the_set(kind):
    dataset = Samples([(0, kind(y)) for y in np.random.default_rng(1).gamma(2.0, size=300)])
    own = np.array([np.asarray(y.float() if kind is bfloat16 else y) for _, y in dataset])
    found = RandomLabels(dataset, regression="permutation")
    assert found.changed_labels().mean() > 0.95
    partly = PartialLabels(dataset, 0.3, regression="permutation")
    for wrapped in (found, partly):
        assert np.array_equal(np.sort(wrapped.targets, axis=0), np.sort(own, axis=0))
    assert abs(partly.changed_labels().sum() - 90) < 5 + 6 * 63**0.5  # a few stay in place
    assert np.array_equal(PartialLabels(dataset, 1.0, regression="permutation").targets, found.targets)
    for i in range(5):
        assert type(found[i][1]) is type(dataset[i][1])
        assert torch.equal(torch.tensor(found.targets[i]).float(), torch.as_tensor(found[i][1]).float())
    texts = Samples([(0, f"text {i}") for i in range(30)])
    found = RandomLabels(texts, regression="permutation")
    assert sorted(found[i][1] for i in range(30)) == sorted(y for _, y in texts)


def test_gaussian_targets_have_the_targets_moments_of_each_component():
    """Or those that are given; of the slow reference by the matrix, which has one component."""
    own = np.random.default_rng(1).gamma(2.0, size=(1000, 1)) * [1, -10]
    dataset = Samples([(0, torch.tensor(y)) for y in own])
    values = RandomLabels(dataset, regression="gaussian").targets
    assert np.all(np.abs(values.mean(0) - own.mean(0)) < 5 * own.std(0) / 1000**0.5)
    assert np.all(np.abs(values.var(0) / own.var(0) - 1) < 5 * (2 / 1000) ** 0.5)
    other = RandomLabels(dataset, regression="gaussian", mean=(1.0, 2.0), variance=(0.0, 4.0))
    assert np.all(other.targets[:, 0] == 1.0)
    assert other[0][1].dtype == torch.float64
    assert type(RandomLabels(Samples([(0, y) for y in range(9)]), regression="gaussian")[0][1]) is float
    lists = RandomLabels(Samples([(0, [y, y * y]) for y in range(9)]), regression="gaussian")
    assert [type(v) for v in lists[0][1]] == [float, float]


# --- classes, counted once -----------------------------------------------------------------------------------------


def test_classes_come_from_what_a_data_set_is_made_of():
    base = cifar_like().dataset
    parts = random_split(base, [4, 2], generator=torch.Generator().manual_seed(0))
    for dataset in (base, *parts, ConcatDataset([base, base]), Subset(RandomPixels(base), [1]), RandomLabels(base)):
        wrapped = RandomLabels(dataset)
        assert wrapped.classes == ["a", "b", "c"]
        assert len(wrapped) == len(dataset)
    double = RandomLabels(ConcatDataset([base, base]))
    assert double.targets.tolist() == [double[i][1] for i in range(12)]
    assert RandomSigns(base).classes == ["-1", "+1"]
    assert RandomLabels(base, num_classes=7).classes == list(range(7))


def test_a_class_that_is_declared_and_of_no_label_is_told():
    labels = [1, 2] * 15  # as EMNIST's letters, whose class 0 is "N/A"
    letters = Samples([(torch.zeros(1, 2, 2), y) for y in labels], targets=labels, classes=["N/A", "a", "b"])
    with pytest.warns(
        UserWarning, match="RandomLabels: the data set declares 3 classes, and no label is 0, which is 'N/A'"
    ) as told:
        wrapped = RandomLabels(letters)
    assert told[0].filename == __file__  # the line that made the wrapper
    assert wrapped.facts.num_classes == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RandomLabels(letters, num_classes=3)
        RandomLabels(Subset(letters, range(30)))
        RandomLabels(wrapped, seed=1)
        ShuffledPixels(letters)


def test_counting_and_changed_labels_read_no_images():
    dataset = Samples([(0, i % 5) for i in range(500)], targets=[i % 5 for i in range(500)])
    wrapped = RandomLabels(dataset)
    assert dataset.read <= 65  # evenly spread: do its targets speak of its samples?
    dataset.read = 0
    expected = [slow_class(i % 5, 5, 1.0, "all", 0, "train", i) for i in range(500)]
    assert wrapped.targets.tolist() == expected
    assert wrapped.changed_labels().tolist() == [a != i % 5 for i, a in enumerate(expected)]
    assert PartialLabels(wrapped, 0.0).targets.tolist() == expected
    assert dataset.read <= 65


class Transformed(Samples):
    """As torchvision's: targets are raw, samples are not."""

    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image, self.target_transform(label)


THIRDS, QUARTERS = [i % 3 for i in range(9)], [i % 4 for i in range(20)]
NONE = {"target_transform": None}  # and targets that are right here and there
TWO = {"classes": list("abcd"), "target_transform": lambda y: y // 2}
# Data sets whose targets are not the labels of their samples, or might not be; the labels; how many samples are read.
TOLD = {
    "of both": (LABELS, {"targets": [2, 1, 0, 1, 0, 0], "num_classes": 3, "transforms": divmod, **NONE}, 99),
    "a transform of images": (LABELS, {"targets": LABELS, "transforms": F.to_image}, 7),
    "other targets": (THIRDS, {"targets": [2 - y for y in THIRDS], "classes": ["a", "b", "c"]}, 99),
    "a target transform": ([y // 2 for y in QUARTERS], {"targets": QUARTERS, **TWO}, 21),
}


@pytest.mark.parametrize("case", TOLD)
def test_labels_are_those_of_the_samples_whatever_the_targets_say(case):
    labels, attributes, read = TOLD[case]
    transformed = "a target" in case
    of = Transformed if transformed else Samples
    dataset = of([(0, y) for y in (QUARTERS if transformed else labels)], **attributes)
    wrapped = PartialLabels(dataset, 0.0)
    assert wrapped.targets.tolist() == labels
    assert wrapped.facts.num_classes == max(labels) + 1
    assert dataset.read <= read
    assert not wrapped.changed_labels().any()


def test_parts_of_a_data_set_read_no_images_either():
    labels = RNG.integers(0, 5, 4000).tolist()
    dataset = Samples([(0, y) for y in labels], targets=labels, num_classes=5)
    indices = RNG.permutation(4000)[:3000].tolist()
    expected = [labels[i] for i in indices]
    assert PartialLabels(Subset(dataset, indices), 0.0).targets.tolist() == expected
    assert PartialLabels(Subset(Subset(dataset, indices), [3, 1]), 0.0).targets.tolist() == [expected[3], expected[1]]
    both = ConcatDataset([Subset(dataset, indices), dataset])
    assert PartialLabels(both, 0.0).targets.tolist() == expected + labels
    noisy = RandomLabels(dataset, seed=1)
    assert PartialLabels(Subset(noisy, indices), 0.0).targets.tolist() == noisy.targets[indices].tolist()
    assert dataset.read <= 5 * 65


def test_targets_of_another_task_that_mostly_agree_are_not_believed():
    """Two rare positives: the first, the middle and the last example are negative in both."""
    own, other = np.zeros(200, int), np.zeros(200, int)
    own[50:60] = other[120:150] = 1
    wrapped = PartialLabels(Samples([(0, y) for y in own.tolist()], targets=other.tolist()), 0.3, num_classes=2)
    found = [wrapped[i][1] for i in range(200)]
    assert wrapped.targets.tolist() == found
    assert wrapped.changed_labels().tolist() == (np.array(found) != own).tolist()
    with pytest.raises(InputError, match="targets are not the labels of its samples: give num_classes"):
        RandomLabels(wrapped.dataset)


@pytest.mark.parametrize("tensor", [False, True])
def test_channels_that_are_named_move_together_on_two_axes(tensor):
    """(C, n) signals and (n, C) embeddings: positions are the other axis, moments are of each channel."""
    arrays = RNG.normal([0, 100, -5], 1, (N, 8, 1, 3)).astype(np.float32)
    for order in ("first", "last"):
        images = [a[:, 0] if order == "last" else a[:, 0].T.copy() for a in arrays]
        dataset = Samples([(torch.from_numpy(x) if tensor else x, 0) for x in images])

        def seen(image, order=order):
            image = np.asarray(image)
            return (image if order == "last" else image.T)[:, None]

        assert np.array_equal(seen(ShuffledPixels(dataset, channels=order)[1][0]), slow_shuffled(arrays[1], 0))
        found = seen(Gaussian(dataset, channels=order)[1][0])
        np.testing.assert_allclose(found, slow_gaussian(arrays, 0, "train", 1), rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "tensor", "order"),
    [
        ((1, 28, 28), True, "first"),
        ((3, 4, 4), True, "first"),
        ((5, 20, 20), True, "first"),
        ((2, 9, 9), True, "first"),
        ((1, 9, 1), True, "first"),
        ((64, 8, 8), True, "first"),
        ((16, 9, 12), True, "first"),
        ((28, 28, 5), True, None),
        ((28, 30, 5), True, None),
        ((4, 100, 3), True, None),
        ((4, 4, 3), True, None),
        ((28, 28, 1), True, None),
        ((3, 3, 3), True, None),
        ((3, 9, 9), False, "first"),
        ((9, 9, 4), False, "last"),
        ((2, 100, 5), False, None),
        ((9, 9, 2), False, None),
        ((4, 100, 3), False, None),
    ],
)
def test_an_order_of_axes_is_known_or_refused(shape, tensor, order):
    image = torch.zeros(shape) if tensor else np.zeros(shape)
    if order is not None:
        assert _features.order_of(image) == order
        return
    with pytest.raises(InputError, match="say channels='first' or 'last'"):
        ShuffledPixels(Samples([(image, 0)]))


@pytest.mark.parametrize("shape", [(2, 50), (50, 2), (9, 128), (20, 3), (128, 768)])
@pytest.mark.parametrize("wrapper", PIXEL_WRAPPERS)
def test_two_axes_that_may_be_channels_and_positions_are_no_grey_image_unless_it_is_said(shape, wrapper):
    arrays = RNG.normal([[0]], 1, (2, *shape)).astype(np.float32)
    for images in (arrays, torch.from_numpy(arrays)):
        dataset = Samples([(x, 0) for x in images])
        with pytest.raises(InputError, match="one axis may be channels: say channels='first' or 'last', or 'none'"):
            wrapper(dataset)
        grey = np.asarray(wrapper(dataset, channels="none")[1][0])
        slow = {
            ShuffledPixels: lambda x: slow_shuffled(x[1], 0),
            RandomPixels: lambda x: slow_random_pixels(x[1], 0, "train", 1),
            Gaussian: lambda x: slow_gaussian(x, 0, "train", 1),
        }
        np.testing.assert_allclose(grey, slow[wrapper](arrays[..., None])[..., 0], rtol=1e-5)
    assert wrapper(Samples([(np.ones((20, 28)), 0), (np.ones((5, 28)), 0)]))[1][0].shape == (5, 28)
    assert wrapper(Samples([(np.ones((1, 28)), 0)]))[0][0].shape == (1, 28)


def test_axes_that_are_all_positions_are_permuted_together():
    volume = RNG.normal(size=(3, 4, 5)).astype(np.float32)
    flat = volume.reshape(-1, 1, 1)
    dataset = Samples([(volume, 0)])
    found = RandomPixels(dataset, channels="none")[0][0]
    assert np.array_equal(found.reshape(flat.shape), slow_random_pixels(flat, 0, "train", 0))
    found = Gaussian(dataset, channels="none")[0][0]
    np.testing.assert_allclose(found.reshape(flat.shape), slow_gaussian([flat], 0, "train", 0), rtol=1e-5)


def test_a_column_of_a_data_frame_is_read_by_position():
    column = pd.DataFrame({"y": np.arange(40) % 4}).query("index % 3 == 1").y
    dataset = Samples([(0, y) for y in column.tolist()], targets=column)
    assert PartialLabels(dataset, 0.0).targets.tolist() == column.tolist()
    assert seen(handed.Pair(np.zeros((len(column), 2)), column), column.tolist())
    dataset.targets = column.to_frame()
    assert PartialLabels(dataset, 0.0).targets.tolist() == column.tolist()


def seen(dataset, labels):
    return [int(dataset[i][1]) for i in range(len(dataset))] == labels


def test_targets_of_several_shapes_change_places():
    boxes = [torch.randn(i % 3 + 1, 4) for i in range(9)]
    wrapped = RandomLabels([(0, box) for box in boxes], regression="permutation")
    assert wrapped.targets.shape == (9,)
    assert all(np.array_equal(found, wrapped[i][1]) for i, found in enumerate(wrapped.targets))
    assert sorted(len(found) for found in wrapped.targets) == sorted(map(len, boxes))


class Decoded(Samples):
    """Every access decodes the target anew."""

    def __getitem__(self, index):
        return copy.deepcopy(self.samples[index])


@pytest.mark.parametrize(
    "target",
    [
        lambda i: {"boxes": torch.ones(i + 1, 4), "labels": [i]},
        lambda i: [torch.ones(i + 1), torch.ones(2)],
        lambda i: list(range(i + 1)),
        lambda i: Image.new("L", (2 + i, 3), i),
    ],
    ids=["boxes", "lists of tensors", "words", "masks"],
)
def test_targets_of_any_kind_change_places_and_are_known_again(target):
    own = [target(i) for i in range(6)]
    for dataset in (Decoded([(0, y) for y in own]), Decoded([(0, y) for y in own], targets=own)):
        wrapped = PartialLabels(dataset, 0.5, regression="permutation")
        source = [slow_permutation(list(range(6)), 0.5, 0, "train", i) for i in range(6)]
        assert wrapped.changed_labels().tolist() == [i != j for i, j in enumerate(source)]
        assert wrapped.targets.dtype == object
        for i, j in enumerate(source):
            assert repr(wrapped[i][1])[:9] == repr(own[j])[:9]
            assert _samples.same(wrapped[i][1], own[j])
            assert _samples.same(wrapped.targets[i], own[j])


# --- moments, measured once ----------------------------------------------------------------------------------------


def test_moments_are_measured_once_and_not_in_a_worker():
    values = 1e8 + np.random.default_rng(0).normal(size=(N, 6, 5, 3))  # large: they must not cancel
    dataset = Samples([(a, 0) for a in values])
    wrapped = pickle.loads(pickle.dumps(Gaussian(dataset)))
    assert dataset.read <= 3 + N
    before = wrapped.dataset.read
    values = values.reshape(-1, 3)
    assert wrapped.facts.mean == pytest.approx(values.mean(0), rel=1e-14)
    assert wrapped.facts.variance == pytest.approx(values.var(0), rel=1e-6)
    _ = wrapped[0]
    assert wrapped.dataset.read == before + 1
    grey = Samples([(np.zeros((3, 3)), 0)])
    assert Gaussian(grey, mean=2, variance=0.0)[0][0].tolist() == [[2.0] * 3] * 3
    assert Gaussian(grey, mean=(2.0,)).facts == corruptions.Facts(0, (2.0,), (0.0,))


class Noisy(Samples):
    """A transform that draws from the global generators."""

    def __getitem__(self, index):
        _ = random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002
        return self.samples[index]


def test_global_generators_are_not_moved():
    torch.manual_seed(0), random.seed(0), np.random.seed(0)  # noqa: NPY002
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    Gaussian(Noisy([(np.ones((2, 2)), 0)] * 3))
    RandomLabels(Noisy([(0, 1)] * 3), num_classes=2).changed_labels()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2])  # noqa: NPY002


# --- a data set like any other -------------------------------------------------------------------------------------


def test_named_places_are_taken_from_the_wrapper_inside():
    kind = dicts()
    inner = ShuffledPixels(kind.dataset, image="pixel_values", label="label")
    outer = RandomLabels(Subset(inner, range(4)))
    assert outer.label == "label"
    assert torch.equal(outer[2]["pixel_values"], inner[2]["pixel_values"])
    assert outer.changed_labels().tolist() == [outer[i]["label"] != LABELS[i] for i in range(4)]


@pytest.mark.parametrize("wrapper", LABEL_WRAPPERS + PIXEL_WRAPPERS)
def test_indices_pickles_and_words(wrapper):
    dataset = cifar_like().dataset
    wrapped = whole_set(wrapper, dataset, seed=np.int64(7))
    again = pickle.loads(pickle.dumps(wrapped))
    assert len(again) == len(list(wrapped)) == N
    for i in (-1, np.int64(2), torch.tensor(3)):
        assert np.array_equal(np.asarray(again[i][0]), np.asarray(wrapped[int(i)][0]))
        assert again[i][1] == wrapped[int(i)][1]
    assert "seed=7, split='train'" in repr(wrapped)
    assert repr(wrapped).startswith(f"{wrapper.__name__}(Samples")
    assert repr(RandomLabels(wrapped)).startswith(f"RandomLabels({wrapper.__name__}(Samples")
    with pytest.raises(IndexError, match="the index is 6, the data set has 6 examples"):
        wrapped[N]
    for bad, words in ((slice(2), "Subset"), (1.0, "whole number"), ([1, 2], "whole number"), (None, "whole number")):
        with pytest.raises(InputError, match=words):
            wrapped[bad]


def test_channel_order_known_from_the_first_array_holds_for_the_others():
    images = [np.arange(60).reshape(5, 4, 3), np.arange(48).reshape(4, 4, 3), np.arange(9).reshape(3, 1, 3)]
    wrapped = RandomPixels(Samples([(image, 0) for image in images]))
    for i, image in enumerate(images):
        assert np.array_equal(wrapped[i][0], slow_random_pixels(image, 0, "train", i))
    volume = np.arange(120).reshape(2, 3, 4, 5)
    found = RandomPixels(Samples([(volume, 0)]), channels="first")[0][0]
    order = stream(0, "random_pixels", "train", 0).permutation(60)
    assert np.array_equal(found, volume.reshape(2, 60)[:, order].reshape(volume.shape))


@pytest.mark.parametrize("image", ["pil", "tensor"])
def test_a_verified_data_set_as_a_torch_dataset_agrees_with_the_whole_array_path(toy_dir, toy, image):
    for train, split in ((True, "train"), (False, "test")):
        dataset = data.torch_dataset("toy", train=train, root=toy_dir, image=image)
        arrays = getattr(toy, split)
        assert len(dataset) == len(arrays.labels)
        assert dataset.classes == list(toy.classes)
        moments = {"mean": toy.facts.mean, "variance": toy.facts.variance}
        for wrapper in LABEL_WRAPPERS + PIXEL_WRAPPERS:
            given = moments if wrapper is Gaussian else {}
            wrapped = whole_set(wrapper, dataset, seed=2, split=split, **given)
            parts = [Part(name=wrapper.corruption, options=wrapped.options)]
            images, labels = corrupt_arrays(*arrays, parts, facts=toy.facts, seed=2, split=split)
            for i in (0, 1, len(dataset) - 1):
                found, label = wrapped[i]
                found = found.numpy().transpose(1, 2, 0) if image == "tensor" else np.asarray(found)
                assert np.array_equal(found, images[i])
                assert label == labels[i]
            assert np.array_equal(wrapped.targets, labels)
    assert dataset.targets == arrays.labels.tolist()
    with pytest.raises(InputError, match="give 'pil' or 'tensor'"):
        data.torch_dataset("toy", root=toy_dir, image="jpeg")
    with pytest.raises(InputError, match="give True for the training set"):
        data.torch_dataset("toy", "test", root=toy_dir)


# --- refused, at construction, in one line that says what to do ------------------------------------------------------


class Stream(IterableDataset):
    def __iter__(self):
        yield np.zeros((4, 4, 3)), 0


def pairs(images=None, labels=LABELS, **attributes):
    images = [np.zeros((4, 4, 3))] * len(labels) if images is None else images
    return Samples(list(zip(images, labels, strict=True)), **attributes)


REFUSED = {
    "nested": (
        lambda: RandomPixels([(torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged), 0)]),
        "a nested tensor, whose rows are of unlike lengths",
    ),
    "channels of a vector": (lambda: RandomPixels(pairs([np.zeros(9)] * 6), channels="first"), "leave channels out"),
    "no setter": (lambda: RandomLabels([Fixed()] * 9, label="y", num_classes=3), "a Fixed, whose y cannot be set"),
    "kept twice": (
        lambda: RandomLabels([Twofold()] * 9, label="y", num_classes=99),
        "a Twofold, which keeps y elsewhere too: give .image, label. or a dict",
    ),
    "iterable": (lambda: RandomLabels(Stream()), "is iterable.*keyed by its index.*list\\(dataset\\)"),
    "order of arguments": (lambda: PartialLabels(0.3, pairs()), r"data set comes first: PartialLabels\(dataset, 0.3"),
    "near miss": (lambda: PartialLabels(pairs(), prob=0.3), r"prob: did you mean p\?"),
    "deviation": (lambda: Gaussian(pairs(), std=1.0), "did you mean variance .the square"),
    "what is it": (lambda: RandomLabels(pairs(), 3), "num_classes=3 or seed=3"),
    "three by position": (lambda: PartialLabels(pairs(), 0.3, 10), "num_classes=10 or seed=10"),
    "twice": (lambda: PartialLabels(pairs(), 0.3, p=0.5), "p is given twice"),
    "per cent": (lambda: PartialLabels(pairs(), 30, num_classes=3), "p is 30.*less than or equal to 1"),
    "convention": (lambda: PartialLabels(pairs(), 0.3, among="other", num_classes=3), "among is 'other'.*'others'"),
    "seed": (lambda: RandomLabels(pairs(), seed=0.5), "seed is 0.5: give a whole number"),
    "seed of truth": (lambda: RandomLabels(pairs(), seed=True), "seed is True: give a whole number"),
    "split": (lambda: RandomLabels(pairs(), split=True), "split is True: give a word"),
    "keys not named": (lambda: RandomLabels(dicts().dataset), "'pixel_values', 'label', 'id'.*label=KEY"),
    "wrong key": (lambda: RandomLabels(dicts().dataset, label="lable"), "did you mean 'label'"),
    "key of a tuple": (lambda: RandomLabels(pairs(), label="label"), "a sample is a tuple: give a position"),
    "wrong position": (lambda: RandomLabels(pairs(), label=2), "a sample has 2 parts, none at position 2"),
    "no label": (lambda: RandomLabels(TensorDataset(torch.zeros(3, 4))), "a sample has 1 parts"),
    "bare arrays": (lambda: RandomLabels(np.zeros((5, 4, 4))), r"TensorDataset\(images, labels\)"),
    "bare samples": (lambda: RandomPixels([torch.zeros(4)] * 3), r"must give \(image, label\)"),
    "a dict of splits": (lambda: RandomLabels({"train": pairs()}), "a dict of 'train': take one, or of two"),
    "label of pixels": (lambda: RandomPixels(dicts().dataset, image="pixel_values", label="y"), "no key 'y'"),
    "classes of targets": (lambda: RandomLabels(pairs(), regression="gaussian", num_classes=3), "give one of them"),
    "a class": (lambda: RandomLabels(Samples), r"Samples is a class: make a data set of it first, Samples\("),
    "a loader": (lambda: RandomLabels(DataLoader(pairs())), "this is a DataLoader: wrap its data set"),
    "strings": (lambda: RandomLabels(pairs(labels=["cat", "dog"])), r"dataset\[0\] is 'cat'.*map the names to 0, 1"),
    "one-hot": (lambda: RandomLabels(pairs(labels=list(torch.eye(3))), num_classes=3), r"dataset\[0\].*argmax"),
    "real-valued": (lambda: RandomLabels(pairs(labels=[0.5, 1.0])), r"dataset\[0\] is 0.5.*regression='permutation'"),
    "real-valued targets": (lambda: PartialLabels(regression().dataset, 0.5), "regression='permutation' or 'gaussian'"),
    "regression of pixels": (lambda: RandomPixels(pairs(), regression="gaussian"), "leave it out"),
    "unlike targets": (
        lambda: RandomLabels(pairs(labels=[[0.5], [0.5, 1.0]]), regression="gaussian"),
        r"dataset\[1\] has the shape \(2,\)",
    ),
    "not a number": (
        lambda: RandomLabels(pairs(labels=[1.0, float("nan")]), regression="gaussian"),
        r"dataset\[1\] is nan",
    ),
    "outside": (lambda: RandomLabels(pairs(targets=LABELS), num_classes=2), r"dataset\[0\] is 2, give 0 to 1"),
    "unlabelled": (lambda: RandomLabels(pairs(labels=[0, 1, -1], targets=[0, 1, -1])), r"dataset\[2\] is -1"),
    "a gap": (lambda: RandomLabels(pairs(labels=[1, 2, 3], targets=[1, 2, 3])), "none is 0.*give num_classes"),
    "unknown number": (lambda: RandomLabels(pairs()), "give num_classes"),
    "one class": (lambda: RandomLabels(pairs(labels=[0, 0], targets=[0, 0])), "there is one class.*num_classes=2"),
    "one example": (lambda: RandomLabels(pairs(labels=[0.5]), regression="permutation"), "one example.*give more"),
    "channels": (lambda: RandomPixels(pairs([np.zeros((16, 16, 16))], [0])), "say channels='first' or 'last'"),
    "video": (lambda: ShuffledPixels(pairs([torch.zeros(3, 16, 16, 3)], [0])), "say channels='first' or 'last'"),
    "channels of what": (lambda: RandomPixels(pairs(), channels="NHWC"), "channels is 'NHWC': give 'first' or 'last'"),
    "no positions": (lambda: RandomPixels(pairs([3.5], [0])), "which has no positions"),
    "a text": (lambda: RandomPixels(pairs(["a text"], [0])), "turn a text into tokens first"),
    "words": (lambda: Gaussian(pairs([["a", "b"]], [0])), "not made of real numbers"),
    "palette": (lambda: Gaussian(pairs([picture("P")], [0])), r"convert\('RGB'\)"),
    "mixed modes": (lambda: Gaussian(pairs([picture("RGB"), picture("L")], [0, 0])), r"dataset\[1\] has 1 channels"),
    "infinite": (lambda: Gaussian(pairs([np.zeros((2, 2)), np.full((2, 2), np.inf)], [0, 0])), r"dataset\[1\]"),
    "numbers as text": (
        lambda: RandomLabels(pairs(labels=["3", "4"]), regression="gaussian"),
        r"dataset\[0\] is '3' .str., not a finite real number.*regression='permutation'",
    ),
    "complex": (lambda: RandomLabels(pairs(labels=[1j, 2.0]), regression="gaussian"), r"dataset\[0\] is 1j"),
    "complex tensors": (
        lambda: RandomLabels(pairs(labels=list(torch.tensor([1.0 + 1j, 2.0]))), regression="gaussian"),
        r"dataset\[0\] is \(1\+1j\)",
    ),
    "dates": (
        lambda: RandomLabels(pairs(labels=list(np.array(["2020-01-01"] * 2, "M8[D]"))), regression="gaussian"),
        r"dataset\[0\] is .* not a finite real number",
    ),
    "pictures": (lambda: RandomLabels(pairs(labels=[picture("L")] * 2), regression="gaussian"), "not a finite real"),
    "masked": (lambda: Gaussian(pairs([np.ma.masked_less(np.ones((3, 3)), 0)], [0])), "a masked array.*fill it first"),
    "data frame": (lambda: RandomLabels(pd.DataFrame({"x": [1, 2], "y": [0, 1]})), "DataFrame of pandas.*list.zip"),
    "the same draws of a part": (
        lambda: PartialLabels(Subset(PartialLabels(pairs(classes=["a", "b", "c"]), 0.3), [0, 1]), 0.5),
        "whose draws are the same: give another seed, as seed=1",
    ),
    "the same draws of one of several": (
        lambda: PartialLabels(ConcatDataset([pairs(num_classes=3), PartialLabels(pairs(num_classes=3), 0.3)]), 0.5),
        "whose draws are the same: give another seed, as seed=1",
    ),
    "nothing to measure": (lambda: Gaussian(Samples([])), "no examples to measure: give mean and variance"),
    "others of targets": (
        lambda: PartialLabels(regression().dataset, 0.3, among="others", regression="gaussian"),
        "regression targets have no other classes: leave it out",
    ),
    "moments": (lambda: Gaussian(pairs(), mean="x"), "mean is 'x': give a number for each channel"),
    "the same draws": (
        lambda: PartialLabels(RandomLabels(PartialLabels(pairs(classes=["a", "b", "c"]), 0.3), seed=1), 0.5),
        "has PartialLabels with seed 0, whose draws are the same: give another seed, as seed=1",
    ),
    "a class of each example": (
        lambda: RandomLabels(pairs(labels=[0, 1, 0, 1], classes=["cat", "dog", "cat", "dog"])),
        "tell how many classes its labels have: give num_classes",
    ),
    "no other class": (
        lambda: PartialLabels(pairs(labels=[0, 0]), 0.5, among="others", num_classes=1),
        "there is one class",
    ),
}  # fmt: skip


def test_a_data_set_may_have_attributes_of_a_wrappers_name():
    dataset = pairs(classes=["a", "b", "c"], corruption="fog", severity=3)  # as sets of corrupted images do
    assert len(PartialLabels(dataset, 0.5)) == len(dataset)


@pytest.mark.parametrize("case", REFUSED)
def test_a_first_try_is_answered_in_one_line(case):
    build, words = REFUSED[case]
    with pytest.raises(InputError, match=words) as caught:
        build()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_label_out_of_range_that_is_met_later_is_named_by_its_index():
    wrapped = RandomLabels(pairs(labels=[0, 1, 7, 0.5]), num_classes=2)
    for act, words in (
        (lambda: wrapped[2], r"RandomLabels: the label of dataset\[2\] is 7, give 0 to 1"),
        (lambda: wrapped[3], r"the label of dataset\[3\] is 0.5"),
        (wrapped.changed_labels, r"the label of dataset\[2\] is 7"),
    ):
        with pytest.raises(InputError, match=words):
            act()
