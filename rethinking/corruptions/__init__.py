"""Corruptions of labels and pixels, drawn once and fixed ([zhang2017] section 2.1).

A corruption is a file with one pure function of an example:

    ACTS_ON = "labels" or "pixels"
    OPTIONS = {"p": {"type": "float", "ge": 0.0, "le": 1.0}, ...}      the first is what NAME=VALUE sets
    KEYED_BY = "example", or "seed": one draw for every image of every split
    KEY = another corruption whose draws it shares; SAME_AS = [(options, name or None)]: what has another name;
    the options are all that there are, but for late ones at their default
    NEEDS = ("mean", "variance"), the facts of pixels that it reads: a wrapper and an experiment measure no others, and
    have () for them
    ONE_LOGIT = True where labels are signs, 0 or 1: the network has one logit, and test labels are drawn, too
    PLACED = True where it depends on where the example is in its split: `corrupt` is then given index= too
    PERMUTES = True where it only permutes positions: a wrapper then keeps every kind of image as it is
    REGRESSION = True where a label is replaced with probability p (1 without that option): a wrapper then does the
    same with real-valued targets
    def corrupt(image, label, generator, facts, **options) -> (image, label)
    def relabel(labels, draws, facts, **options) -> labels        optional, of a label corruption: many at once

with image an array (H, W, C) or (H, W), read-only, whose shape the result keeps, label an int, facts what it may know
of the data set, and generator a numpy.random.Generator keyed by (seed, corruption, split, index). So example i's
corruption depends on nothing but these four: not on how many examples there are, their order, or when they are asked
for. Four uses of the one function, which agree bit for bit:

    corrupt_arrays(images, labels, parts, ...)         whole arrays, once, before training
    corrupt_labels(labels, parts, ...)                 the labels of a set whose images are not in memory
    corrupt_example(image, label, index, parts, ...)   lazily, for sets that do not fit in memory
    RandomLabels(dataset, seed=0, split="train")       a torch Dataset around anybody's map-style data set

`relabel` is for speed. It gives what `corrupt` does of many labels, int64 (N,), with `draws.integers(high)` and
`draws.random()` in place of the generator's, called in the same order; see `rethinking.corruptions._draws`. A million
labels take a tenth of a second. Without it each label takes ten microseconds.

The wrapper of `partial_labels.py` is `rethinking.corruptions.PartialLabels`, and so on for every file.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rethinking import catalog, seeds
from rethinking.corruptions._draws import Draws
from rethinking.errors import InputError
from rethinking.images import Facts

if TYPE_CHECKING:
    from rethinking.corruptions._dataset import Corrupted
    from rethinking.spec import Part

__path__ += catalog.plugin_folders("corruptions")

_AT_ONCE = 1 << 14  # labels, so that what a step of their arithmetic needs stays in a core's cache


class Keyed:
    """Generators keyed by (seed, corruption, split, index): Philox with key = hash(seed, corruption), counter = place.

    Args:
        seed: the data seed. name: the corruption's. split: any word; "train" and "test" in this package.

    Every index has 2^128 draws of its own; streams never overlap.
    """

    def __init__(self, seed: int, name: str, split: str):
        constants = catalog.find("corruptions", name).constants
        self._fixed = constants.get("KEYED_BY") == "seed"
        self._place = 0 if self._fixed else seeds.number(8, split)
        self._bits = np.random.Philox(key=seeds.number(16, seed, constants.get("KEY", name)))
        self._state: Any = self._bits.state
        self._generator = np.random.Generator(self._bits)

    def __call__(self, index: int) -> np.random.Generator:
        """The generator of example `index` (>= 0), at its beginning. Valid until the next call."""
        counter = np.array([0, 0, 0 if self._fixed else index, self._place], dtype=np.uint64)
        # Resetting the state is ten times faster than a new generator for each example.
        self._state["state"]["counter"] = counter
        self._state |= {"buffer_pos": 4, "has_uint32": 0, "uinteger": 0}
        self._bits.state = self._state
        return self._generator

    def draws(self, index: np.ndarray) -> Draws:
        """The generators of all the examples, whole numbers (N,), at their beginning, to draw together."""
        first, second = self._state["state"]["key"].tolist()
        return Draws((first, second), np.zeros_like(index) if self._fixed else index, self._place)


def _steps(parts: Sequence["Part"], seed: int, split: str, corrupt_labels: bool) -> list[tuple[Any, dict, Keyed]]:
    steps = []
    for part in parts:
        module = catalog.load("corruptions", part.name)
        if module.ACTS_ON == "labels" and not corrupt_labels:
            continue
        steps.append((module, part.options, Keyed(seed, part.name, split)))
    return steps


def _placed(module: Any) -> bool:
    return getattr(module, "PLACED", False)


def apply(
    module: Any, image: np.ndarray, label: int, keyed: Keyed, index: int, facts: Facts, options: dict[str, Any]
) -> tuple[np.ndarray, int]:
    """What the `corrupt` of a corruption's module makes of an example, which it cannot change in place.

    Args:
        image: (H, W, C) or (H, W). label: an int. keyed: the corruption's generators. index: the example's, from 0.

    Raises:
        InputError: not an image of the same shape and a label below the number of classes.
    """
    sealed = image.view()
    sealed.flags.writeable = False
    place = {"index": index} if _placed(module) else {}
    result = module.corrupt(sealed, label, keyed(index), facts, **options, **place)
    if not isinstance(result, tuple) or len(result) != 2 or np.shape(result[0]) != image.shape:
        raise InputError(f"corrupt of {module.__file__} must give an image of the shape that it is given, and a label")
    other, label = result
    if not 0 <= label < max(facts.num_classes, 2) or int(label) != label:
        raise InputError(
            f"corrupt of {module.__file__} gives the label {label!r} of {facts.num_classes} classes: mend it"
        )
    return image if other is sealed else other, int(label)


def relabelled(
    module: Any, labels: np.ndarray, index: np.ndarray, keyed: Keyed, facts: Facts, options: dict[str, Any]
) -> np.ndarray:
    """What the module of a label corruption makes of many labels: at each index what `apply` does.

    Args:
        labels: int64 (N,). index: whole numbers (N,), the examples'. Others as in `apply`.

    Returns:
        int64 (N,).

    Raises:
        InputError: its `corrupt` or `relabel` gives no labels below the number of classes, as many as it was given.
    """
    out = np.empty(len(labels), dtype=np.int64)
    nothing = np.empty((0, 0))  # the image is not looked at
    for a in range(0, len(labels), _AT_ONCE):
        own, at = labels[a : a + _AT_ONCE], index[a : a + _AT_ONCE]
        scalar: Any = range(len(own))
        if hasattr(module, "relabel"):
            draws = keyed.draws(at)
            found = module.relabel(own, draws, facts, **options, **({"index": at} if _placed(module) else {}))
            scalar = np.flatnonzero(draws.again)
            if np.shape(found) != own.shape or found.dtype.kind not in "iu":
                raise InputError(f"relabel of {module.__file__} must give whole numbers, as many as labels: mend it")
            out[a : a + len(own)] = found
            wrong = np.flatnonzero(~draws.again & ((found < 0) | (found >= max(facts.num_classes, 2))))
            if len(wrong):
                what = f"the label {found[wrong[0]]} of {facts.num_classes} classes"
                raise InputError(f"relabel of {module.__file__} gives {what}: mend it")
        for i in scalar:
            out[a + i] = apply(module, nothing, int(own[i]), keyed, int(at[i]), facts, options)[1]
    return out


def corrupt_example(
    image: np.ndarray,
    label: int,
    index: int,
    parts: Sequence["Part"],
    *,
    facts: Facts,
    seed: int = 0,
    split: str = "train",
    corrupt_labels: bool = True,
) -> tuple[np.ndarray, int]:
    """One example, corrupted.

    Args:
        image: (H, W, C) or (H, W). label: in [0, facts.num_classes). index: its place in its split, from 0.
        parts: the corruptions, first to last, each a `rethinking.Part`. facts: what they may know of the data set,
            Facts(num_classes, mean, variance), or `rethinking.data.facts(name)`. seed: the data seed. split: any word,
            "train" and "test" in this package; each has its own draws. corrupt_labels: False leaves the label alone.

    Returns:
        image of the same shape (dtype float32 after gaussian, unchanged otherwise) and label.

    Raises:
        InputError: an unknown corruption; a plug-in's that gives no image of that shape, or no label of that many
            classes.
    """
    for module, options, keyed in _steps(parts, seed, split, corrupt_labels):
        image, label = apply(module, image, label, keyed, index, facts, options)
    return image, int(label)


def corrupt_arrays(
    images: np.ndarray,
    labels: np.ndarray,
    parts: Sequence["Part"],
    *,
    facts: Facts,
    seed: int = 0,
    split: str = "train",
    corrupt_labels: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """All examples, corrupted: equal to `corrupt_example` at every index, and leaves its arguments alone.

    Args:
        images: (N, H, W, C) or (N, H, W). labels: int64 (N,). Others as in `corrupt_example`.
    """
    for module, options, keyed in _steps(parts, seed, split, corrupt_labels):
        if module.ACTS_ON == "labels":
            labels = relabelled(module, labels, np.arange(len(labels)), keyed, facts, options)
        else:
            images = _repainted(module, images, np.arange(len(images)), keyed, facts, options)
    return images, labels


def corrupt_pixels(
    images: np.ndarray,
    index: np.ndarray,
    parts: Sequence["Part"],
    *,
    facts: Facts,
    seed: int = 0,
    split: str = "train",
) -> np.ndarray:
    """The images that `corrupt_arrays` gives of some examples of a split. Corruptions of labels change nothing.

    Args:
        images: (N, H, W, C) or (N, H, W). index: whole numbers (N,), the examples'. Others as in `corrupt_example`.
    """
    for module, options, keyed in _steps(parts, seed, split, False):
        images = _repainted(module, images, index, keyed, facts, options)
    return images


def _repainted(
    module: Any, images: np.ndarray, index: np.ndarray, keyed: Keyed, facts: Facts, options: dict[str, Any]
) -> np.ndarray:
    """What the module of a pixel corruption makes of the images of some examples."""
    out = None
    for k, image in enumerate(images):
        image, _ = apply(module, image, 0, keyed, int(index[k]), facts, options)
        out = np.empty((len(images), *image.shape), image.dtype) if out is None else out
        if image.dtype != out.dtype:
            raise InputError(
                f"{module.__name__.rpartition('.')[2]} gives some images as {out.dtype} and others as {image.dtype}: "
                "let it give one"
            )
        out[k] = image
    return images if out is None else out


def corrupt_labels(
    labels: np.ndarray, parts: Sequence["Part"], *, facts: Facts, seed: int = 0, split: str = "train"
) -> np.ndarray:
    """The labels that `corrupt_arrays` gives, int64 (N,), without the images. Corruptions of pixels change nothing.

    Args:
        labels: int64 (N,). Others as in `corrupt_example`.
    """
    for module, options, keyed in _steps(parts, seed, split, True):
        if module.ACTS_ON == "labels":
            labels = relabelled(module, labels, np.arange(len(labels)), keyed, facts, options)
    return labels


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _wrapper(key: str, name: str) -> "type[Corrupted]":
    """The wrapper class `name` of the corruption `key`."""
    from rethinking.corruptions._dataset import Corrupted

    module = catalog.load("corruptions", key)
    body = {
        "corruption": key,
        "__module__": "rethinking.corruptions",
        "__qualname__": name,
        "__doc__": f"{module.__doc__}\n\nWraps a map-style data set:\n{Corrupted.__doc__}",
    }
    return type(name, (Corrupted,), body)


def __getattr__(name: str) -> Any:
    for key in catalog.names("corruptions"):
        if _camel(key) == name:
            globals()[name] = _wrapper(key, name)  # one class object, so that instances pickle
            return globals()[name]
    raise AttributeError(f"module 'rethinking.corruptions' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *map(_camel, catalog.names("corruptions"))])
