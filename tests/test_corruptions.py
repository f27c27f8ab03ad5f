"""Laws of every corruption found in the folders, and what each one means."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import Dataset

from rethinking import catalog, corruptions
from rethinking.corruptions import Facts, Keyed, apply, corrupt_arrays, corrupt_example
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
        middle = 5 if limits["type"] == "int" else (limits.get("ge", 0.0) + limits.get("le", 1.0)) / 2
        options[key] = limits.get("default", middle)
    return Part(name=name, options=options)


def draws(name: str) -> bool:
    """Whether it draws from the generator that it is given."""
    module, keyed, options = catalog.load("corruptions", name), Keyed(3, name, "train"), part(name).options
    for index in range(len(LABELS)):
        generator = keyed(index)
        before = str(generator.bit_generator.state)
        apply(module, IMAGES[index], int(LABELS[index]), lambda _, same=generator: same, index, FACTS, options)
        if str(generator.bit_generator.state) != before:
            return True
    return False


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


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("split", ["train", "test"])
def test_three_uses_agree_bit_for_bit(name, split):
    """Whatever the number of examples and their order; another seed draws otherwise, if at all; no argument changes."""
    images, labels = IMAGES.copy(), LABELS.copy()
    whole_images, whole_labels = whole(name, images, labels, seed=3, split=split)
    assert np.array_equal(images, IMAGES)
    assert np.array_equal(labels, LABELS)
    few = whole(name, IMAGES[:11], LABELS[:11], seed=3, split=split)
    other = whole(name, seed=4, split=split)
    assert draws(name) != (np.array_equal(other[0], whole_images) and np.array_equal(other[1], whole_labels))
    wrapped = wrap(name, seed=3, split=split)
    for i in RNG.permutation(len(LABELS)).tolist():
        image, label = corrupt_example(IMAGES[i], int(LABELS[i]), i, [part(name)], facts=FACTS, seed=3, split=split)
        uses = [(whole_images[i], whole_labels[i]), wrapped[i], wrapped[i - len(LABELS)]]
        for found, found_label in [*uses, *([(few[0][i], few[1][i])] if i < 11 else [])]:
            assert found.dtype == image.dtype
            assert np.array_equal(found, image)
            assert found_label == label
    with pytest.raises(IndexError):
        wrapped[len(LABELS)]


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


def test_ends_of_partial_labels_are_one_run_each():
    def run(name="partial_labels", **options):
        return RunSpec(corruptions=(Part(name=name, options=options),)).run_id

    assert run(p=1.0) == run(p=1) == run(p=1.0, among="all") == run("random_labels") != run(p=1.0, among="others")
    assert run(p=0.0) == run(p=0.0, among="others") == RunSpec().run_id
    assert run("random_labels") != run(p=0.5) == run(p=0.5, among="all")


def test_a_random_tail_is_true_labels_and_then_those_of_random_labels():
    def labels(name, **options):
        return corrupt_arrays(IMAGES, LABELS, [Part(name=name, options=options)], facts=FACTS, seed=2)[1]

    for first in (0, 1, 25, 39, 40, 10_000):
        expected = np.concatenate([LABELS[:first], labels("random_labels")[first:]])
        assert np.array_equal(labels("random_tail", first=first), expected)
        wrapped = corruptions.RandomTail(Anybody(), first, seed=2, num_classes=10)
        assert wrapped.targets.tolist() == expected.tolist()
    tail, all_random = ((Part(name=n, options=o),) for n, o in (("random_tail", {"first": 0}), ("random_labels", {})))
    assert RunSpec(corruptions=tail).run_id == RunSpec(corruptions=all_random).run_id
    with pytest.raises(InputError, match=r"random_tail\.first is -1: .*greater than or equal to 0"):
        RunSpec.make(corruptions=(Part(name="random_tail", options={"first": -1}),))


DRAWN = {  # of the train split and of the test split
    "random_labels": ("878e89", "72b135"),
    "partial_labels": ("5aaa5b", "e6121e"),
    "random_signs": ("b1d47a", "cd47bd"),
    "random_tail": ("b2978f", "d23704"),
    "shuffled_pixels": ("1a6c50", "1a6c50"),
    "random_pixels": ("c1f46f", "866320"),
    "gaussian": ("4fa2d0", "9d624a"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_draws_stay_what_they_were(name):
    """A numpy that draws otherwise would change every committed record's data without a word."""
    drawn = [b"".join(a.tobytes() for a in whole(name, split=split)) for split in ("train", "test")]
    assert tuple(hashlib.sha256(d).hexdigest()[:6] for d in drawn) == DRAWN[name]
    assert set(DRAWN) == {p.stem for p in Path(corruptions.__file__).parent.glob("[!_]*.py")}
