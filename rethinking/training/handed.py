"""Data and networks without a name: anybody's data set as `Tensors`, and the spec of a run on it."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Subset

from rethinking import arguments, catalog, corruptions
from rethinking.corruptions import _arguments, _dataset, _features, _labels, _samples
from rethinking.errors import InputError
from rethinking.images import whiten
from rethinking.seeds import seeded
from rethinking.spec import RunSpec, canonical_crop
from rethinking.training.batches import Tensors, one_logit
from rethinking.training.rows import Inputs, Rows
from rethinking.training.shelf import Shelf, holder

WHITEN = "whiten"
Features = list[Any] | Shelf
_LARGEST = {torch.uint8: 255, torch.uint16: 65535}  # what becomes 1 in images as they come


class HandedSpec(RunSpec):
    """The spec of a run whose data or network were handed over; no other process can make it from this alone.

    Attributes:
        num_classes: of the data, where they are no data set of the package; 0 where they are.
        own_network: whether `model` is only what the network is called.
        preprocess: "whiten" for the paper's whitening of data that were handed over.
        as_given: what wrappers of rethinking.corruptions had corrupted before, "labels" and "inputs".
    """

    num_classes: Annotated[int, Field(ge=0)] = 0
    own_network: bool = False
    preprocess: str = ""
    as_given: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _resolve_n(cls, given: Any) -> Any:
        return given if given.get("num_classes") else super()._resolve_n(given)  # type: ignore[operator]

    @model_validator(mode="after")
    def _check_n(self) -> "HandedSpec":
        return self if self.num_classes else super()._check_n()  # type: ignore[operator]

    @model_validator(mode="before")
    @classmethod
    def _resolve_rate(cls, given: Any) -> Any:
        if given.get("own_network"):
            return given | ({"learning_rate": 0.01} if given.get("learning_rate") is None else {})
        return super()._resolve_rate(given)  # type: ignore[operator]

    def _check_crop(self) -> None:
        if self.num_classes and self.crop is not None:
            raise ValueError(f"crop is {self.crop}: data that are handed over are taken whole: crop them yourself")
        if not self.num_classes and self.own_network:
            object.__setattr__(self, "crop", canonical_crop(self.data, self.crop))  # of any shape
        elif not self.num_classes:
            super()._check_crop()

    def _entry(self) -> catalog.Entry:
        return catalog.Entry("models", self.model, Path(), "", {}) if self.own_network else super()._entry()


class _Held:
    """Samples (feature, label) that were read, as a map-style data set that says its classes.

    role: what the data set that was handed over is called, "dataset" or "test".
    """

    def __init__(self, features: Features, labels: np.ndarray, num_classes: int, role: str):
        self.features, self.targets, self.classes = features, labels, list(range(num_classes))
        self.role = role

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.features[index], int(self.targets[index])


class Pair:
    """Images and labels, two sequences of one length, as a map-style data set. Raises InputError where they are not.

    Of a data frame the values are taken, by row.
    """

    def __init__(self, images: Any, labels: Any):
        images = images.to_numpy() if hasattr(images, "to_numpy") else images
        counts = [len(each) if getattr(each, "ndim", 1) else 0 for each in (images, labels)]
        if counts[0] != counts[1]:
            raise InputError(
                f"there are {counts[0]:,} images and {counts[1]:,} labels: give (images, labels) of one length"
            )
        if getattr(images, "ndim", 2) == 1 and getattr(labels, "ndim", 1) > 1:
            raise InputError("the labels come first: give (images, labels)")
        self.images, self.targets = images, labels if isinstance(labels, Tensor) else _labels.rows(labels)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.images[index], self.targets[index]


def map_style(dataset: Any, role: str = "dataset") -> Any:
    """A map-style data set: as given, or of a pair of arrays. Raises InputError for anything else."""
    arrays = isinstance(dataset, tuple | list) and len(dataset) == 2
    if arrays and (isinstance(dataset, tuple) or all(isinstance(v, Tensor | np.ndarray) for v in dataset)):
        return Pair(*dataset)
    if isinstance(dataset, DataLoader):
        raise InputError(f"{role} is a DataLoader, which shuffles and repeats: give its data set, loader.dataset")
    try:
        _arguments.check_map_style(dataset, (), role)
    except InputError as error:
        raise InputError(f"{role}: {error}") from None
    return dataset


def _inside(dataset: Any) -> tuple[str, tuple[str, ...]]:
    """What a data set is called, and what wrappers of this package have corrupted in it: "labels", "inputs"."""
    found = []
    while isinstance(dataset, Subset | _dataset.Corrupted):
        if isinstance(dataset, _dataset.Corrupted):
            acts_on = catalog.find("corruptions", dataset.corruption).constants["ACTS_ON"]
            found.append("labels" if acts_on == "labels" else "inputs")
        dataset = dataset.dataset
    if isinstance(dataset, ConcatDataset):
        parts = [_inside(part) for part in dataset.datasets]
        found += [what for _, inner in parts for what in inner]
        if len({name for name, _ in parts}) == 1:
            return parts[0][0], tuple(sorted(set(found)))
    called = getattr(dataset, "name", None)
    if not isinstance(called, str):
        called = "samples" if isinstance(dataset, tuple | list) else type(dataset).__name__
    return called, tuple(sorted(set(found)))


class Handed:
    """A data set of anybody's, read once: into memory, or onto a shelf where it is too large for that.

    Args:
        dataset: of the training examples, map-style or a pair. n: the first so many; None for all. test: likewise, all
        of them; None for none. image, label: where they are in a sample; channels: "first", "last" or "none" (see
        rethinking.corruptions). num_classes: counted where neither this nor the data set tells. progress: of an
        iterable, as tqdm. data_dir: where what does not fit in memory is kept meanwhile, see `paths.data_dir`.

    Attributes:
        name: what the data are called, inside wrappers. as_given: of HandedSpec. n: training examples.
        num_classes: of the labels.

    Raises:
        InputError: in one line: what has no index or length; fewer examples than n, or than two; labels that are no
        classes, or of one class; images whose channel axis cannot be known.
    """

    def __init__(
        self,
        dataset: Any,
        n: int | None = None,
        test: Any = None,
        image: Any = None,
        label: Any = None,
        channels: str | None = None,
        num_classes: int | None = None,
        progress: Callable[[Any], Any] = iter,
        data_dir: str | Path | None = None,
    ):
        if channels not in (None, "first", "last", "none"):
            raise InputError(f"channels is {channels!r}: give 'first' or 'last', or 'none'")
        if num_classes is not None:
            num_classes = arguments.whole_number("num_classes", num_classes, 1, arguments.MOST)
        self._places = {"image": image, "label": label}
        self.channels, self._progress, self._root = channels, progress, data_dir
        self.name, self.as_given = _inside(dataset)
        self._given = {"train": dataset, "test": test}
        dataset = map_style(dataset)
        size = len(dataset)
        if size < 2:
            raise InputError(f"dataset has {size} example{'s' * (size != 1)}: give at least 2")
        if n is not None and (isinstance(n, bool) or not isinstance(n, int | np.integer) or not 2 <= n <= size):
            raise InputError(f"n is {n!r}, the data set has {size:,} examples: give 2 to {size:,}")
        self.n, self._size = size if n is None else int(n), size
        features, labels = self._read(dataset, self.n, "dataset")
        with seeded("reading"):
            place = _samples.locate(dataset[0], label, "label")
        declared = _labels.classes(dataset, place) if num_classes is None else range(num_classes)
        found = _labels.as_classes(labels, None if declared is None else len(declared))
        self.num_classes = _labels.counted(found) if declared is None else len(declared)
        if self.num_classes < 2:
            raise InputError("every label is of one class, so there is nothing to tell apart: give two classes or more")
        self._train = _Held(features, found, self.num_classes, "dataset")
        more = ([], []) if test is None else self._read(map_style(test, "test"), None, "test")
        self._test = _Held(more[0], _labels.as_classes(more[1], self.num_classes, "test"), self.num_classes, "test")

    def _read(self, dataset: Any, n: int | None, role: str) -> tuple[Features, list[Any]]:
        features: Features = []
        labels, count = list[Any](), len(dataset) if n is None else n
        with seeded("reading"):  # a transform that draws gives the same every time
            for i in self._progress(range(count)):
                sample = dataset[i]
                feature, label = (
                    _samples.take(sample, _samples.locate(sample, at, part)) for part, at in self._places.items()
                )
                if _samples.whole(label) is None:
                    raise InputError(_samples.not_whole(label, i, role, targets=False))
                features = features or holder(feature, count, self._root, role)
                features.append(feature)
                labels.append(label)
        return features, labels

    def tensors(self, spec: HandedSpec) -> Tensors:
        """The examples of a run, corrupted by its data seed, on the CPU.

        Images as they come are float32 with channels first: 8-bit ones in fractions of 255, as torchvision's ToTensor
        gives them, 16-bit ones of 65,535; whole numbers of other kinds are int64, as tokens are.

        Raises:
            InputError: inputs of several shapes or types, or that are no finite numbers; a corruption that they cannot
                have; labels to train on that are all one.
        """
        kinds = [self._kind(held.features, held.role) for held in (self._train, self._test)]
        if len(self._test) and kinds[0] != kinds[1]:
            raise InputError(f"test has inputs of {kinds[1]}, dataset of {kinds[0]}: convert them to one")
        moments: dict[str, Any] = {}  # measured over the training set, for the test set too
        train = self._split(spec, "train", self._train, moments)
        self._check_classes(spec, train[1])
        test = (train[0][:0], train[1][:0])
        if len(self._test):
            test = self._split(spec, "test", self._test, moments)
        if test[0].shape[1:] != train[0].shape[1:]:
            shapes = [tuple(images.shape[1:]) for images, _ in (test, train)]
            raise InputError(f"test has inputs of shape {shapes[0]}, dataset of {shapes[1]}: make them the same")
        originals = None
        if spec.preprocess == WHITEN and self._numbers(self._train.features[0]).dtype == torch.uint8:
            originals = self._made(self._train, self._train, self._planes)
        return Tensors(train, test, 2 if one_logit(spec) else self.num_classes, originals)

    def _check_classes(self, spec: HandedSpec, labels: Tensor) -> None:
        """Raise InputError where the part that is trained on has one label; warn where it lacks some of the classes."""
        part = f"the first {spec.trained:,} examples, which are trained on,"
        if len(labels[: spec.trained].unique()) < 2:
            raise InputError(f"{part} are of one class, so there is nothing to tell apart: shuffle the data set first")
        true = set(self._train.targets[: spec.trained].tolist())
        rest = {*self._train.targets[spec.trained :].tolist(), *self._test.targets.tolist()}
        lacking = (rest | set(range(self.num_classes)) if self.n < self._size else rest) - true
        if lacking:
            told = f"{len(true)} of {self.num_classes} classes: shuffle the data set first, if they lie class by class"
            warnings.warn(f"{part} are of {told}", stacklevel=5)

    def _split(self, spec: HandedSpec, split: str, held: _Held, moments: dict[str, Any]) -> tuple[Inputs, Tensor]:
        data: Any = held
        for part in spec.corruptions:
            constants = catalog.find("corruptions", part.name).constants
            true = split == "test" and spec.test_labels == "true" and not constants.get("ONE_LOGIT")
            if constants["ACTS_ON"] == "labels" and true:
                continue
            needs = {name: moments[name] for name in constants.get("NEEDS", ()) if name in moments}
            wrapper = getattr(corruptions, corruptions._camel(part.name))
            drawn = (part.name, spec.data_seed, split)
            _arguments.check_draws(self._given[split], _dataset.Corrupted, drawn, "seeds=[{}]")
            data = wrapper(data, seed=spec.data_seed, split=split, channels=self.channels, **part.options, **needs)
            moments |= {name: getattr(data.facts, name) for name in constants.get("NEEDS", ())}
        images = self._made(held, data, lambda images: self._preprocessed(images, held.features, spec))
        if isinstance(images, Tensor) and images.is_floating_point() and not images.isfinite().all():
            bad = int((~images.flatten(1).isfinite().all(1)).nonzero()[0, 0])
            raise InputError(f"the input of {held.role}[{bad}] is not finite: mend it")
        return images, torch.from_numpy(np.array(data.targets, dtype=np.int64))

    def _made(self, held: _Held, data: Any, change: Callable[[Tensor], Tensor]) -> Inputs:
        """The inputs of `held` as `data` has corrupted them and `change` made of them; of a shelf batch by batch."""
        if not isinstance(held.features, Shelf):
            return change(self._stacked([data[i][0] for i in range(len(data))], held.features, held.role))
        first = [held.features[0]]  # the others are like it

        def make(places: np.ndarray) -> Tensor:
            return change(self._stacked([data[int(i)][0] for i in places], first * len(places), held.role))

        places = np.arange(len(data))
        return Rows(make, places, tuple(make(places[:1]).shape[1:]))

    def _planes(self, images: Tensor) -> Tensor:
        return images if images.ndim == 4 else images[:, None]

    def _numbers(self, feature: Any) -> Tensor:
        """A feature as a tensor, of its own dtype and order of axes."""
        _features.check(feature)
        if isinstance(feature, Tensor) and not feature.is_complex():
            return feature.detach().cpu().as_subclass(Tensor)
        array = np.asarray(_samples.plain(feature))
        if isinstance(feature, Image.Image | np.ma.MaskedArray) or array.dtype.kind not in _features.NUMBERS:
            array = _features.to_array(feature, "last")  # which refuses palettes, and what is no real number
        wide = array.dtype.kind == "f" and array.dtype.itemsize > 8  # which torch lacks, as it lacks other byte orders
        return torch.from_numpy(array.astype(np.float64 if wide else array.dtype.newbyteorder("=")))

    def _kind(self, features: Features, role: str) -> torch.dtype | None:
        """The dtype of all features; of any floating point that of the first. InputError where they are a mixture."""
        first = None
        for i, feature in enumerate([features[0]] if isinstance(features, Shelf) else features):
            kind = feature.dtype if isinstance(feature, Tensor) else self._numbers(feature).dtype
            first = first or kind
            if kind != first and not kind.is_floating_point & first.is_floating_point:
                raise InputError(
                    f"the input of {role}[{i}] is of {kind}, that of {role}[0] of {first}: convert them to one"
                )
        return first and (torch.float32 if first.is_floating_point else first)

    def _stacked(self, features: Sequence[Any], raw: Sequence[Any], role: str) -> Tensor:
        """Features as one tensor (N, ...), channels first. raw: the features before they were corrupted."""
        out: list[Tensor] = []
        for i, (feature, own) in enumerate(zip(features, raw, strict=True)):
            each = self._numbers(feature)
            picture = isinstance(own, Image.Image)
            order = "last" if picture else self.channels or _features.order_of(own)
            named = self.channels is not None and not picture
            if order == "last" and each.ndim > (1 if named else 2):
                each = each.movedim(-1, 0)
            out.append(each[None] if picture and each.ndim == 2 else each)
            if out[-1].shape != out[0].shape:
                shapes = f"{tuple(out[-1].shape)}, that of {role}[0] {tuple(out[0].shape)}"
                raise InputError(f"the input of {role}[{i}] has the shape {shapes}: bring them to one shape")
        return torch.stack(out)

    def _preprocessed(self, images: Tensor, raw: Features, spec: HandedSpec) -> Tensor:
        kind = self._numbers(raw[0]).dtype  # a Gaussian in its place is of the same units
        if images.ndim == 3 and (spec.preprocess == WHITEN or not spec.own_network) and images.dtype != torch.int64:
            images = images[:, None]  # grey
        if spec.preprocess != WHITEN:
            if kind in _LARGEST:
                return images.float() / _LARGEST[kind]
            return images.float() if images.is_floating_point() or images.dtype == torch.bool else images.long()
        if images.ndim != 4 or (kind != torch.uint8 and not self._fractions(raw)):
            raise InputError(f"preprocess is 'whiten', of 8-bit images or fractions, these are {kind}: leave it out")
        values = images.permute(0, 2, 3, 1).contiguous()  # in the order in which a data set with a name is whitened
        return whiten(values if kind == torch.uint8 else 255 * values.float()).permute(0, 3, 1, 2)

    def _fractions(self, raw: Features) -> bool:
        """Whether all values are floats from 0 to 1."""
        if isinstance(raw, Shelf):
            return raw.dtype.kind == "f" and raw.low >= 0 and raw.high <= 1
        values = map(self._numbers, raw)
        return all(v.is_floating_point() and v.min() >= 0 and v.max() <= 1 for v in values)
