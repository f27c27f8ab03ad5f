"""The torch Dataset wrappers: any corruption around anybody's map-style data set."""

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Subset

from rethinking import catalog, seeds
from rethinking.arguments import whole_number
from rethinking.corruptions import Facts, Keyed, _features, _labels, _samples, _targets, apply, relabelled
from rethinking.corruptions._arguments import check_draws, check_map_style, numbers, options_of, regression_of
from rethinking.corruptions._reading import Moments, at, read
from rethinking.errors import InputError
from rethinking.spec import check_options

CHECKED = 64  # samples, whose labels are compared with those that a data set has beside them


class Corrupted(Dataset):
    """A data set with one corruption, drawn per example and the same at every access. Wrappers compose and pickle.

    Args:
        dataset: map-style: it has a length and gives a sample for an index. A sample is (image, label), a longer tuple
            or list, a dict, a named tuple or a dataclass; the other parts of it are handed on. A label corruption
            never looks at the image, be it a text; a pixel corruption never looks at the label.
        values: the corruption's own options without a default, in their order: PartialLabels(dataset, 0.3).
        seed: of the draw, a whole number; another around the same corruption. split: any word; each has its own draws.
        image, label: where they are in a sample: a position (0 and 1), a key (named by you, never guessed) or a field,
            else, as channels, those of a wrapper inside.
        channels: "first" or "last", of arrays and tensors; of two axes too, (C, n) or (n, C); "none" where every axis
            is of positions. Not needed where the shape tells: two axes are a grey image unless the one is twice the
            other or has 2 to 4 entries; of three, a tensor has channels first unless it seems to have them last, an
            array at the one end that has 1, 3 or 4 entries. What does not tell is refused.
        num_classes: default: as the data set says in `classes`, `class_to_idx`, `num_classes` or a Hugging Face
            feature, else counted once, from its `targets` or `labels`. Pixel corruptions need none.
        mean, variance: of gaussian, per channel of the full training set, in the images' units. By default both are
            measured over the data set, once, here; give the training set's to wrap a test set.
        regression: how real-valued targets are replaced (random and partial labels). "permutation": by the target of
            another example, so that all targets of the set are kept (the one corruption that depends on the number of
            examples). "gaussian": by a Gaussian of the targets' mean and variance, each component by itself; mean and
            variance give others than the measured ones.
        options: the corruption's own, by name, as in its OPTIONS.

    A pixel corruption gives an image of the same kind: a tensor on its device, an array, a PIL image of its mode. A
    vector or a sequence of tokens of n entries has n positions, (H, W) is a grey image. Gaussian gives float32,
    of integers too: of a PIL image an array (H, W, C) or (H, W), of one of mode F an image.

    `targets`, `labels` and columns of the data set are believed where they agree with 64 of its samples, evenly spread;
    then neither the class count nor `changed_labels` reads images. Else all samples are read. Classes are believed
    where the data set declares them, also those that no label of a Subset is of: labels become random over all of them;
    where none of a whole, large set is of one, a warning says so. The class count is in the repr; num_classes= gives
    another.

    A label keeps its kind (int, numpy or tensor). Index i is the position in the wrapped data set, be it a Subset.

    Raises:
        InputError: in one line, at construction: an iterable data set; an argument that is unknown, missing or out of
            range; a sample without the label or the image that was named; a label that is no class; fewer than two
            classes; real-valued targets without `regression`; an image whose channel axis cannot be known; pixels
            without positions or, for gaussian, that are not numbers. At access, an example that is so.
    """

    corruption: str

    def __init__(
        self,
        dataset: Any,
        *values: Any,
        seed: int = 0,
        split: str = "train",
        image: Any = None,
        label: Any = None,
        channels: str | None = None,
        num_classes: int | None = None,
        mean: Any = (),
        variance: Any = (),
        regression: str | None = None,
        **options: Any,
    ):
        constants = catalog.find("corruptions", self.corruption).constants
        with self._named():
            check_map_style(dataset, values, type(self).__name__)
            options = options_of(constants.get("OPTIONS", {}), values, options)
            self.dataset, self.seed, self.split = dataset, whole_number("seed", seed), split
            if not isinstance(split, str):
                raise InputError(f"split is {split!r}: give a word, 'train' or 'test'")
            if channels not in (None, "first", "last", "none"):
                raise InputError(f"channels is {channels!r}: give 'first' or 'last', or 'none'")
            check_draws(dataset, Corrupted, (self.corruption, self.seed, split))
        self.options = check_options("corruptions", self.corruption, options)
        self.facts = Facts()
        with self._named():
            self._acts_on_labels = constants["ACTS_ON"] == "labels"
            self.image = _inherited(dataset, "image", image)
            self.label = _inherited(dataset, "label", label)
            self.channels = _inherited(dataset, "channels", channels)
            self.regression = regression_of(regression, bool(constants.get("REGRESSION")))
            moments = Facts(0, numbers("mean", mean), numbers("variance", variance))
            if self.regression and num_classes is not None:
                raise InputError("regression and num_classes are both given: targets have no classes, give one of them")
            given = None if num_classes is None else whole_number("num_classes", num_classes, least=1)
            self._length = len(dataset)
            self._trusted, self._label_place = False, self.label
            self._seen: str | None = None  # where an array's channels are, from the first example
            first = self._first_samples()
            self._set_classes(given, moments, constants, first.get(0))
            if self.regression:
                self._set_targets(moments)
            elif not self._acts_on_labels:
                if self._length:
                    self._see(_samples.take(first[0], _samples.locate(first[0], self.image, "image")))
                needed = [fact for fact in constants.get("NEEDS", ()) if not getattr(moments, fact)]
                if needed:
                    measured = self._measured()
                    moments = Facts(0, moments.mean or measured[0], moments.variance or measured[1])
                self.facts = Facts(self.facts.num_classes, moments.mean, moments.variance)
            if self._length:
                self._corrupted(first[0], 0)  # what is refused is refused here

    # --- what the data set is ---

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            raise InputError(f"{type(self).__name__}: {error}") from None

    def _first_samples(self) -> dict[int, Any]:
        """The first sample, and whether the labels that the data set has are those of its samples."""
        if not self._length:
            return {}
        with seeds.untouched():
            samples = {0: self.dataset[0]}
        if self.image is not None:
            _samples.locate(samples[0], self.image, "image")
        try:
            self._label_place = _samples.locate(samples[0], self.label, "label")
        except InputError:
            if self._acts_on_labels or self.label is not None:
                raise
            return samples  # a pixel corruption needs none
        known = _labels.column(self.dataset, self._label_place)
        spread = np.linspace(0, self._length - 1, min(self._length, CHECKED)).round().astype(int).tolist()
        with seeds.untouched():
            self._trusted = known is not None and all(
                _samples.same(known[i], _samples.take(self.dataset[i], self._label_place)) for i in spread
            )
        return samples

    def _set_classes(self, given: int | None, moments: Facts, constants: dict, first: Any) -> None:
        place, declared = self._label_place, _labels.classes(self.dataset, self._label_place)
        if constants.get("ONE_LOGIT"):
            self._classes: list[Any] | None = ["-1", "+1"]
            self.facts = Facts(2)
            return
        if self.regression:
            self._classes, self.facts = None, Facts(0)
            return
        if given is not None and (declared is None or len(declared) != given):
            declared = list(range(given))
        if self._acts_on_labels and self._length:
            known = _labels.column(self.dataset, place) if self._trusted else None
            if known is None:
                _labels.as_class(_samples.take(first, place), 0, None)  # what is no class, before how many there are
            else:
                labels = _labels.as_classes(known, None if declared is None else len(declared))
                if given is None and declared is not None and not isinstance(self.dataset, Subset | Corrupted):
                    _labels.tell_unused(labels, declared, type(self).__name__)
                declared = list(range(_labels.counted(labels))) if declared is None else declared
        if self._acts_on_labels and declared is None:
            if not self._trusted and _labels.column(self.dataset, place) is not None:
                raise InputError("the data set's targets are not the labels of its samples: give num_classes")
            raise InputError(
                "the data set has no `classes`, `class_to_idx`, `targets` or `labels` that tell how many classes "
                "its labels have: give num_classes"
            )
        if self._acts_on_labels and declared is not None and len(declared) < 2:
            raise InputError("there is one class, so a random label is the true one: give num_classes=2 or more")
        self._classes = declared
        self.facts = Facts(len(declared or ()), moments.mean, moments.variance)

    def known_classes(self) -> list[Any] | None:
        """The names of the classes, or None where the labels are no classes or nobody has said how many there are."""
        return self._classes

    @property
    def classes(self) -> list[Any]:
        """The wrapped data set's class names, or 0 ... num_classes - 1. AttributeError where nobody has said."""
        if self._classes is None:
            raise AttributeError(f"{type(self).__name__} has no classes: the data set does not say")
        return self._classes

    @property
    def class_to_idx(self) -> dict[Any, int]:
        """The label of each class."""
        return {name: i for i, name in enumerate(self.classes)}

    # --- regression ---

    def _set_targets(self, moments: Facts) -> None:
        if self.options.get("among", "all") != "all":
            raise InputError("among is 'others', and regression targets have no other classes: leave it out")
        self._targets = self._own_labels("targets")
        if self.regression == "permutation":
            if self._length == 1:
                raise InputError("there is one example, whose target has no other to change places with: give more")
            keyed = Keyed(self.seed, self.corruption, self.split)
            self._source = _targets.permuted(self._length, keyed, self.options.get("p", 1.0))
            return
        if not self._length and not (moments.mean and moments.variance):
            raise InputError("the data set has no examples to measure: give mean and variance")
        self.facts = _targets.moments(self._targets, moments)
        del self._targets

    def _target(self, own: Any, index: int) -> Any:
        if self.regression == "permutation":
            source = int(self._source[index])
            if source == index:
                return own
            other = self._targets[source]
            numeric = isinstance(own, int | float | np.number | np.ndarray | torch.Tensor)
            return _samples.like(other, own) if self._trusted and numeric else other
        generator = Keyed(self.seed, self.corruption, self.split)(index)
        if generator.random() >= self.options.get("p", 1.0):
            return own
        shape = np.shape(_targets.real(own, index))
        mean, variance = (np.array(v) for v in (self.facts.mean, self.facts.variance))
        mean, deviation = (v.reshape(shape) if v.size > 1 else v for v in (mean, np.sqrt(variance)))
        return _samples.like((mean + deviation * generator.standard_normal(shape)).reshape(shape), own)

    # --- pixels ---

    def _see(self, image: Any) -> None:
        _features.check(image)
        if self.channels is not None:
            return
        _features.check_grey(image)
        if isinstance(image, np.ndarray) and image.ndim > 2:
            self._seen = _features.order_of(image)

    def _order(self, image: Any) -> str | None:
        if not isinstance(image, torch.Tensor | np.ndarray):
            return None
        if self.channels == "none":
            return None
        if self.channels is not None:
            if image.ndim < 2:
                raise InputError(f"the image is {_samples.describe(image)}, which has no channels: leave channels out")
            return self.channels
        if not isinstance(image, np.ndarray) or image.ndim < 3 or self._seen is None:
            return _features.order_of(image)
        try:
            own = _features.order_of(image)
        except InputError:  # alone it does not tell, the first example did
            own = self._seen
        if own != self._seen:
            raise InputError(
                f"its channels are {own}, those of dataset[0] {self._seen}: say channels='first' or 'last'"
            )
        return self._seen

    def _feature(self, image: Any, index: int) -> Any:
        module = catalog.load("corruptions", self.corruption)
        keyed = Keyed(self.seed, self.corruption, self.split)

        def corrupt(array: np.ndarray) -> np.ndarray:
            return apply(module, array, 0, keyed, index, self.facts, self.options)[0]

        _features.check(image)
        order = self._order(image)
        if catalog.find("corruptions", self.corruption).constants.get("PERMUTES"):
            return _features.permuted(image, order, corrupt)
        return _features.from_array(corrupt(_features.to_array(image, order)), image, order)

    def _measured(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and variance per channel over all examples; of bytes and 16-bit numbers exact before one division."""
        if not self._length:
            raise InputError("the data set has no examples to measure: give mean and variance")
        moments = Moments()

        def add(sample: Any, index: int) -> None:
            image = _samples.take(sample, _samples.locate(sample, self.image, "image"))
            _features.check(image)
            array = _features.to_array(image, self._order(image))
            moments.add(array.reshape(-1, array.shape[2] if array.ndim == 3 else 1), index)

        self._read("mean and variance", add)
        return moments.result()

    # --- examples ---

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        try:
            place = operator.index(index)
        except TypeError:
            hint = "a slice: for part of the set, take torch.utils.data.Subset(wrapped, range(...))"
            what = hint if isinstance(index, slice) else f"{index!r}: give a whole number"
            raise InputError(f"{type(self).__name__}: the index is {what}") from None
        size = len(self)
        if not -size <= place < size:
            raise IndexError(f"{type(self).__name__}: the index is {place}, the data set has {size:,} examples")
        place %= size  # negative indices count from the end
        with self._named(), at(place):
            return self._corrupted(self.dataset[place], place)

    def _corrupted(self, sample: Any, index: int) -> Any:
        if not self._acts_on_labels:
            at = _samples.locate(sample, self.image, "image")
            return _samples.put(sample, at, self._feature(_samples.take(sample, at), index))
        at = _samples.locate(sample, self.label, "label")
        own = _samples.take(sample, at)
        if self.regression:
            return _samples.put(sample, at, self._target(own, index))
        keyed = Keyed(self.seed, self.corruption, self.split)
        label = self._class(own, index, keyed)
        return _samples.put(sample, at, _samples.like(label, own) if _samples.whole(own) is not None else label)

    def _class(self, own: Any, index: int, keyed: Keyed) -> int:
        """The corrupted label, a class."""
        constants = catalog.find("corruptions", self.corruption).constants
        true = 0 if constants.get("ONE_LOGIT") else _labels.as_class(own, index, self.facts.num_classes)
        module = catalog.load("corruptions", self.corruption)
        return apply(module, np.empty((0, 0)), true, keyed, index, self.facts, self.options)[1]

    def _read(self, what: str, part: Callable[[Any, int], Any]) -> list[Any]:
        """part(sample, index) of all samples, one after the other, with progress."""
        return read(self.dataset, self._length, f"{type(self).__name__}: {what}", part)

    # --- labels ---

    def _own_labels(self, what: str) -> Sequence[Any]:
        """The wrapped data set's labels: as it has them, else read from its samples."""
        if self._trusted:
            return _labels.column(self.dataset, self._label_place)
        return self._read(what, lambda sample, _: _samples.take(sample, _samples.locate(sample, self.label, "label")))

    def _replaced(self, labels: Any) -> Any:
        if not self._acts_on_labels:
            return labels
        if self.regression:
            return [self._target(y, i) for i, y in enumerate(labels)]
        module, count = catalog.load("corruptions", self.corruption), len(labels)
        signs = getattr(module, "ONE_LOGIT", False)
        own = np.zeros(count, dtype=np.int64) if signs else _labels.as_classes(labels, self.facts.num_classes)
        keyed = Keyed(self.seed, self.corruption, self.split)
        return relabelled(module, own, np.arange(count), keyed, self.facts, self.options)

    def known_labels(self, place: Any) -> Sequence[Any] | None:
        """The labels at a place of the samples, as this data set gives them; None where images would be decoded."""
        if place == self._label_place:
            labels = _labels.column(self.dataset, place) if self._trusted else None
            return None if labels is None else self._replaced(labels)
        return _labels.column(self.dataset, place)

    @property
    def targets(self) -> np.ndarray:
        """int64 (N,): the labels as this data set gives them; real-valued targets (N, ...) as they are.

        Targets of several shapes are objects (N,).
        """
        with self._named():
            return _labels.as_array(self._replaced(self._own_labels("labels")))

    def changed_labels(self) -> np.ndarray:
        """bool (N,): where this wrapper's label differs from the wrapped data set's."""
        if not self._acts_on_labels:
            return np.zeros(len(self), dtype=bool)
        with self._named():
            own = self._own_labels("labels")
            now = self._replaced(own)
            known = _labels.at_once(own), _labels.at_once(now)
            if known[0] is not None and known[1] is not None:
                return known[0] != known[1]
            return np.array([not _samples.same(a, b) for a, b in zip(own, now, strict=True)], dtype=bool)

    def __repr__(self) -> str:
        inner = repr(self.dataset) if isinstance(self.dataset, Corrupted) else type(self.dataset).__name__
        shown = self.options | {"seed": self.seed, "split": self.split}
        shown |= {k: v for k in ("image", "label", "channels", "regression") if (v := getattr(self, k)) is not None}
        if self._acts_on_labels and not self.regression:
            shown["num_classes"] = self.facts.num_classes
        words = "".join(f", {key}={value!r}" for key, value in shown.items())
        return f"{type(self).__name__}({inner}{words}) of {len(self)} examples"


def _inherited(dataset: Any, name: str, given: Any) -> Any:
    """What was said, here or, of the same samples, to a wrapper inside."""
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return getattr(dataset, name) if given is None and isinstance(dataset, Corrupted) else given
