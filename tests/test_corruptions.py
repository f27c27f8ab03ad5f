"""Laws of every corruption found in the folders, and what each one means."""

import hashlib
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import binom
from torch.utils.data import DataLoader, Dataset

from rethinking import catalog, corruptions
from rethinking.corruptions import Facts, corrupt_arrays, corrupt_example
from rethinking.errors import InputError
from rethinking.spec import Part, RunSpec

FACTS = Facts(10, (120.0, 110.0, 100.0), (3600.0, 3000.0, 2500.0))
ALL = catalog.names("corruptions")
RNG = np.random.default_rng(7)
IMAGES = RNG.integers(0, 256, (40, 12, 12, 3), dtype=np.uint8)
IMAGES.flags.writeable = False
LABELS = RNG.integers(0, 10, 40)


def part(name: str) -> Part:
    """The corruption with every option in the middle of its range."""
    options = {}
    for key, limits in catalog.find("corruptions", name).constants.get("OPTIONS", {}).items():
        options[key] = limits.get("default", (limits.get("ge", 0.0) + limits.get("le", 1.0)) / 2)
    return Part(name=name, options=options)


def whole(name: str, images=IMAGES, labels=LABELS, **kwargs):
    return corrupt_arrays(images, labels, [part(name)], facts=FACTS, **kwargs)


class Anybody(Dataset):
    """Somebody's map-style data set, its images of any kind."""

    def __init__(self, kind=np.asarray):
        self.kind = kind

    def __len__(self):
        return len(LABELS)

    def __getitem__(self, index):
        return self.kind(IMAGES[index]), int(LABELS[index])


def wrap(name: str, dataset=None, **kwargs):
    wrapper = getattr(corruptions, "".join(w.capitalize() for w in name.split("_")))
    facts = {"num_classes": 10, "mean": FACTS.mean, "variance": FACTS.variance}
    return wrapper(dataset or Anybody(), **(facts | part(name).options | kwargs))


def collate(batch):
    return [(np.asarray(image), label) for image, label in batch]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("split", ["train", "test"])
def test_three_uses_agree_bit_for_bit(name, split):
    images, labels = whole(name, seed=3, split=split)
    wrapped = wrap(name, seed=3, split=split)
    for i in range(len(LABELS)):
        image, label = corrupt_example(IMAGES[i], int(LABELS[i]), i, [part(name)], facts=FACTS, seed=3, split=split)
        for other, other_label in ((images[i], labels[i]), wrapped[i]):
            assert other.dtype == image.dtype
            assert np.array_equal(other, image)
            assert other_label == label


@pytest.mark.parametrize("name", ALL)
def test_example_does_not_depend_on_n_or_order(name):
    images, labels = whole(name)
    few_images, few_labels = whole(name, IMAGES[:11], LABELS[:11])
    assert np.array_equal(images[:11], few_images)
    assert np.array_equal(labels[:11], few_labels)
    wrapped = wrap(name)
    for i in RNG.permutation(len(LABELS)):
        assert np.array_equal(wrapped[i][0], images[i])
        assert wrapped[i][1] == labels[i]
    assert np.array_equal(wrapped[-1][0], images[-1])
    with pytest.raises(IndexError):
        wrapped[len(LABELS)]


@pytest.mark.parametrize("name", ALL)
def test_leaves_its_arguments_alone(name):
    images, labels = IMAGES.copy(), LABELS.copy()
    whole(name)
    assert np.array_equal(images, IMAGES)
    assert np.array_equal(labels, LABELS)


@pytest.mark.parametrize("name", ALL)
def test_seed_matters(name):
    a, b = whole(name, seed=0), whole(name, seed=1)
    assert not (np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]))


@pytest.mark.parametrize("name", ALL)
def test_survives_pickling_and_loader_workers(name):
    wrapped = wrap(name, seed=5)
    again = pickle.loads(pickle.dumps(wrapped))
    assert type(again) is type(wrapped)
    loader = DataLoader(again, batch_size=8, num_workers=2, collate_fn=collate, multiprocessing_context="fork")
    for i, (image, label) in enumerate(x for batch in loader for x in batch):
        assert np.array_equal(image, wrapped[i][0])
        assert label == wrapped[i][1]


@pytest.mark.parametrize("name", ALL)
def test_images_of_any_kind(name):
    arrays = wrap(name)
    tensors = wrap(name, Anybody(lambda a: torch.from_numpy(a.transpose(2, 0, 1).copy())))
    pictures = wrap(name, Anybody(Image.fromarray))
    for i in range(5):
        expected = arrays[i][0]
        assert np.array_equal(tensors[i][0].numpy().transpose(1, 2, 0), expected)
        assert np.array_equal(np.asarray(pictures[i][0]), expected)


@pytest.mark.parametrize("name", ["random_pixels", "gaussian"])
def test_test_image_differs_from_train_image(name):
    train, test = whole(name, split="train")[0], whole(name, split="test")[0]
    assert not any(np.array_equal(a, b) for a, b in zip(train, test, strict=True))
    first = {image.tobytes() for image in whole(name, np.repeat(IMAGES[:1], 40, axis=0))[0]}
    assert len(first) == 40  # and every image has its own draw


def test_shuffled_pixels_is_one_permutation_for_train_and_test():
    place = np.arange(144, dtype=np.uint8).reshape(1, 12, 12, 1).repeat(3, axis=3)
    train = whole("shuffled_pixels", place.repeat(5, axis=0), LABELS[:5], split="train")[0]
    test = whole("shuffled_pixels", place.repeat(5, axis=0), LABELS[:5], split="test")[0]
    assert np.array_equal(train, test)
    assert all(np.array_equal(image, train[0]) for image in train)
    assert sorted(train[0, :, :, 0].ravel()) == list(range(144))
    assert not np.array_equal(train[0], place[0])


@pytest.mark.parametrize("name", ["shuffled_pixels", "random_pixels"])
def test_channels_of_a_position_move_together(name):
    before = {tuple(p) for p in IMAGES[0].reshape(-1, 3)}
    assert {tuple(p) for p in whole(name)[0][0].reshape(-1, 3)} == before


@pytest.mark.parametrize(
    ("mean", "variance", "message"),
    [
        ((0.0,), (-1.0,), "variances of 0 or more"),
        ((math.nan,), (1.0,), "finite"),
        ((0.0, 0.0), (1.0, 1.0), "2 and 2, the images have 3 channels: give one of each"),
    ],
)
def test_gaussian_of_impossible_moments_is_one_line(mean, variance, message):
    with pytest.raises(InputError, match=message):
        wrap("gaussian", mean=mean, variance=variance)[0]


def test_gaussian_has_the_given_mean_and_variance_and_is_not_clipped():
    images = whole("gaussian", np.zeros((400, 28, 28, 3), np.uint8), np.zeros(400, np.int64))[0]
    assert images.dtype == np.float32
    values = images.reshape(-1, 3).astype(np.float64)
    count = len(values)
    for c in range(3):
        deviation = FACTS.variance[c] ** 0.5
        assert abs(values[:, c].mean() - FACTS.mean[c]) < 5 * deviation / count**0.5
        assert abs(values[:, c].var() / FACTS.variance[c] - 1) < 5 * (2 / count) ** 0.5
    assert images.min() < 0
    assert images.max() > 255


@settings(max_examples=20, deadline=None)
@given(p=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_fraction_of_changed_labels_is_binomial(p, seed):
    true = np.zeros(2000, np.int64)
    parts = [Part(name="partial_labels", options={"p": p})]
    _, labels = corrupt_arrays(np.empty((2000, 0, 0)), true, parts, facts=FACTS, seed=seed)
    low, high = binom.interval(1 - 1e-9, 2000, p * 9 / 10)
    assert low <= (labels != true).sum() <= high


def test_random_labels_are_uniform_over_all_classes():
    _, labels = whole("random_labels", np.empty((20_000, 0, 0)), np.zeros(20_000, np.int64))
    counts = np.bincount(labels, minlength=10)
    assert np.all(np.abs(counts - 2000) < 6 * (20_000 * 0.09) ** 0.5)


def test_partial_labels_end_in_true_and_random_labels():
    def partial(p):
        return wrap("partial_labels", p=p)

    assert not partial(0.0).changed_labels().any()
    assert [partial(1.0)[i][1] for i in range(40)] == [wrap("random_labels")[i][1] for i in range(40)]
    smaller, larger = partial(0.3).changed_labels(), partial(0.7).changed_labels()
    assert np.all(larger[smaller])  # the seed held, the changed set grows with p


def test_ends_of_partial_labels_are_one_run_each():
    def run(name, **options):
        return RunSpec(corruptions=(Part(name=name, options=options),)).run_id

    assert run("partial_labels", p=1.0) == run("partial_labels", p=1) == run("random_labels")
    assert run("partial_labels", p=0.0) == RunSpec().run_id
    assert run("partial_labels", p=0.5) != run("random_labels")


def test_changed_labels_are_exposed():
    wrapped = wrap("partial_labels", p=0.5)
    expected = [wrapped[i][1] != LABELS[i] for i in range(40)]
    assert wrapped.changed_labels().tolist() == expected
    assert any(expected)
    assert not wrap("random_pixels").changed_labels().any()


def test_wrappers_compose():
    both = wrap("random_labels", wrap("shuffled_pixels"), seed=2)
    parts = [part("shuffled_pixels")]
    for i in range(5):
        image, _ = corrupt_example(IMAGES[i], 0, i, parts, facts=FACTS)
        _, label = corrupt_example(IMAGES[i], int(LABELS[i]), i, [part("random_labels")], facts=FACTS, seed=2)
        assert np.array_equal(both[i][0], image)
        assert both[i][1] == label
    assert both.changed_labels().any()


def test_labels_can_be_left_alone():
    parts = [part("random_labels"), part("random_pixels")]
    images, labels = corrupt_arrays(IMAGES, LABELS, parts, facts=FACTS, corrupt_labels=False)
    assert np.array_equal(labels, LABELS)
    assert not np.array_equal(images, IMAGES)


DRAWN = {  # of the train split and of the test split
    "random_labels": ("878e89", "72b135"),
    "partial_labels": ("5aaa5b", "e6121e"),
    "random_signs": ("b1d47a", "cd47bd"),
    "shuffled_pixels": ("1a6c50", "1a6c50"),
    "random_pixels": ("c1f46f", "866320"),
    "gaussian": ("4fa2d0", "9d624a"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_draws_stay_what_they_were(name):
    """A numpy that draws otherwise would change every committed record's data without a word."""
    drawn = [b"".join(a.tobytes() for a in whole(name, split=split)) for split in ("train", "test")]
    assert tuple(hashlib.sha256(d).hexdigest()[:6] for d in drawn) == DRAWN[name]


def test_the_draws_of_every_packaged_corruption_are_held():
    assert set(DRAWN) == {p.stem for p in Path(corruptions.__file__).parent.glob("[!_]*.py")}


def test_bad_options_are_refused_in_one_line():
    with pytest.raises(InputError, match=r"partial_labels\.p is 1\.5.*less than or equal to 1"):
        corruptions.PartialLabels(Anybody(), num_classes=10, p=1.5)
    with pytest.raises(InputError, match="p is missing"):
        corruptions.PartialLabels(Anybody(), num_classes=10)
    with pytest.raises(InputError, match="num_classes"):
        corruptions.RandomLabels(Anybody())
    with pytest.raises(AttributeError):
        _ = corruptions.NoSuchCorruption
