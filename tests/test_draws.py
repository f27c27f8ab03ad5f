"""Many labels drawn at once are, bit for bit, those that are drawn one by one."""

from itertools import product

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import ConcatDataset, Subset

from rethinking import catalog, corruptions, data
from rethinking.corruptions import Facts, Keyed, apply, corrupt_arrays, corrupt_example, corrupt_labels, relabelled
from rethinking.errors import InputError
from rethinking.spec import Part

RNG = np.random.default_rng(11)
FAR = 2**32  # from here on an index does not fit into a 32-bit word
INDEX = np.concatenate([np.arange(400), RNG.integers(FAR, 2**40, 200), [FAR - 1, FAR, 2**62]])
AT_ONCE = [
    name
    for name in catalog.names("corruptions")
    if catalog.find("corruptions", name).constants["ACTS_ON"] == "labels"
    and hasattr(catalog.load("corruptions", name), "relabel")
]
# Bounds, the last of which numpy rejects a quarter of the draws below.
CLASSES = (2, 3, 10, 257, 1000, 3 << 30)
VALUES = {"float": (0.0, 0.3, 1.0), "int": (0, 5, FAR + 2**38)}


def options(name):
    """Every combination of some values of a corruption's options."""
    declared = catalog.find("corruptions", name).constants.get("OPTIONS", {})
    values = [limits.get("choices") or VALUES[limits["type"]] for limits in declared.values()]
    return [dict(zip(declared, each, strict=True)) for each in product(*values)]


def test_every_label_corruption_of_the_package_draws_many_at_once():
    assert {"random_labels", "partial_labels", "random_tail", "random_signs"} <= {*AT_ONCE}


@pytest.mark.parametrize("name", AT_ONCE)
@pytest.mark.parametrize("count", CLASSES)
def test_labels_drawn_at_once_are_those_drawn_one_by_one(name, count):
    module, facts, labels = catalog.load("corruptions", name), Facts(count), RNG.integers(0, count, len(INDEX))
    for seed, split, chosen in ((0, "train", 0), (7, "test", 1), (2**63, "dev", 2)):
        for each in options(name)[chosen % 2 :: 2]:
            keyed, nothing = Keyed(seed, name, split), np.empty((0, 0))
            right = [
                apply(module, nothing, int(y), keyed, int(i), facts, each)[1]
                for y, i in zip(labels, INDEX, strict=True)
            ]
            found = relabelled(module, labels, INDEX, keyed, facts, each)
            assert found.dtype == np.int64
            assert found.tolist() == right


def test_draws_are_those_of_numpys_generators_in_any_order():
    """Across the blocks of four words, after halves of words that were kept, and with rejections named."""
    asked = [10, None, 1, 7, None, None, 2**32, 3, 5, None, 2**31 + 1, None, 2, 2, 2, None, 1000, 6, None, 9]
    keyed = Keyed(3, "random_labels", "train")
    draws = keyed.draws(INDEX)
    found = [draws.random() if high is None else draws.integers(high) for high in asked]
    again = 0
    for k, index in enumerate(INDEX.tolist()):
        generator = keyed(index)
        right = [generator.random() if high is None else int(generator.integers(high)) for high in asked]
        if draws.again[k]:
            again += 1
        else:
            assert [column[k].item() for column in found] == right
    assert len(INDEX) * 0.4 < again < len(INDEX) * 0.6  # the bound 2**31 + 1 rejects half


@pytest.mark.parametrize("high", [0, -3, 2**32 + 1])
def test_what_is_drawn_otherwise_is_left_to_numpy(high):
    draws = Keyed(0, "random_labels", "train").draws(np.arange(3))
    assert len(draws.integers(high)) == 3
    assert draws.again.all()


def test_labels_of_chunks_are_those_of_the_whole(monkeypatch):
    labels = RNG.integers(0, 10, 100)
    part = [Part(name="random_tail", options={"first": 30})]
    whole = corrupt_labels(labels, part, facts=Facts(10))
    monkeypatch.setattr(corruptions, "_AT_ONCE", 7)
    assert np.array_equal(corrupt_labels(labels, part, facts=Facts(10)), whole)
    assert np.array_equal(corrupt_labels(labels[:33], part, facts=Facts(10)), whole[:33])


def test_corruptions_of_labels_and_pixels_change_labels_as_in_whole_arrays():
    labels = RNG.integers(0, 10, 40)
    named = (("partial_labels", {"p": 0.5}), ("gaussian", {}), ("random_tail", {"first": 9}))
    parts = [Part(name=name, options=options) for name, options in named]
    facts = Facts(10, (1.0,), (1.0,))
    _, right = corrupt_arrays(np.zeros((40, 2, 2, 1), np.uint8), labels, parts, facts=facts, seed=5, split="test")
    assert np.array_equal(corrupt_labels(labels, parts, facts=facts, seed=5, split="test"), right)


MINE = """
ACTS_ON = "labels"
OPTIONS = {}

def corrupt(image, label, generator, facts):
    return image, 0

def relabel(labels, draws, facts):
    return RESULT
"""


@pytest.mark.parametrize(
    ("result", "line"),
    [
        ("labels[:-1]", "must give whole numbers, as many as labels: mend it"),
        ("labels * 1.0", "must give whole numbers, as many as labels: mend it"),
        ("labels + 10", r"gives the label 1\d of 10 classes: mend it"),
        ("labels - 10", r"gives the label -\d+ of 10 classes: mend it"),
    ],
)
def test_a_relabel_that_gives_no_labels_is_named(result, line, found):
    found(corruptions__mine=MINE.replace("RESULT", result))
    with pytest.raises(InputError, match=rf"relabel of .*mine\.py {line}"):
        corrupt_labels(RNG.integers(0, 10, 20), [Part(name="mine")], facts=Facts(10))


# --- a set on disk against the same set in memory -------------------------------------------------


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory):
    """(folder, images, labels): a set of 60 PNG and JPEG files, and what they hold, in the order of their names."""
    root, images, labels = tmp_path_factory.mktemp("lazy"), RNG.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8), []
    for k in range(60):
        labels.append(k // 12)
        place = root / "train" / f"class{k // 12}"
        place.mkdir(parents=True, exist_ok=True)
        file = place / f"{k:03}.{('png', 'JPEG')[k % 2]}"
        Image.fromarray(images[k]).save(file)
        with Image.open(file) as image:
            images[k] = np.asarray(image)
    return data.folder(root), images, np.array(labels)


PARTS = [
    ("random_labels", {}), ("partial_labels", {"p": 0.4, "among": "others"}), ("partial_labels", {"p": 0.4}),
    ("random_tail", {"first": 20}), ("random_signs", {}), ("shuffled_pixels", {}), ("random_pixels", {}),
    ("gaussian", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), PARTS)
def test_a_corruption_of_a_lazily_read_set_is_that_of_the_set_in_memory(name, options, on_disk):
    lazy, images, labels = on_disk
    wrapped = getattr(corruptions, corruptions._camel(name))(lazy, **options, seed=4)
    mean, variance = images.mean((0, 1, 2)), images.astype(np.float64).var((0, 1, 2))
    facts = Facts(2 if name == "random_signs" else 5, wrapped.facts.mean or tuple(mean), tuple(variance))
    if name == "gaussian":
        assert np.allclose(wrapped.facts.mean, mean, rtol=1e-12)
        assert np.allclose(wrapped.facts.variance, variance, rtol=1e-12)
        facts = wrapped.facts
    part = [Part(name=name, options=options)]
    right_images, right_labels = corrupt_arrays(images, labels, part, facts=facts, seed=4)
    assert np.array_equal(wrapped.targets, right_labels)
    assert np.array_equal(corrupt_labels(lazy.labels, part, facts=facts, seed=4), right_labels)
    for i in range(len(lazy)):
        image, label = wrapped[i]
        one = corrupt_example(np.asarray(lazy[i][0]), lazy[i][1], i, part, facts=facts, seed=4)
        for found in (np.asarray(image), one[0]):
            assert np.array_equal(found, right_images[i])
        assert label == one[1] == right_labels[i]
    assert np.array_equal(wrapped.changed_labels(), right_labels != labels)


def test_labels_of_a_lazily_read_set_are_known_without_reading_images(on_disk, monkeypatch):
    lazy, _, labels = on_disk
    wrapped = corruptions.RandomLabels(lazy)
    monkeypatch.setattr(type(lazy), "__getitem__", lambda self, index: pytest.fail("an image is read"))
    assert np.array_equal(wrapped.targets, corrupt_labels(labels, [Part(name="random_labels")], facts=Facts(5)))


def test_parts_of_a_lazily_read_set_have_their_own_labels(on_disk):
    lazy, _, labels = on_disk
    some = Subset(lazy, range(0, 60, 7))
    wrapped = corruptions.PartialLabels(ConcatDataset([some, some]), 0.0, seed=1)
    assert np.array_equal(wrapped.targets, np.concatenate([labels[::7]] * 2))
    assert [wrapped[i][1] for i in range(len(wrapped))] == wrapped.targets.tolist()
