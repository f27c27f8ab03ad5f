"""What the wrappers are given, checked: the data set, the corruption's options, numbers."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import ConcatDataset, DataLoader, IterableDataset, Subset

from rethinking import catalog
from rethinking.corruptions import _samples
from rethinking.errors import InputError

REGRESSION = ("permutation", "gaussian")
# Words that people use for an argument.
MEANT = {
    "p": "prob probability rate noise noise_rate noise_level fraction ratio level percent corruption corruption_prob",
    "num_classes": "classes n_classes nclasses num_class number_of_classes num_labels k c",
    "variance": "var std sd stddev sigma deviation",
    "mean": "mu means average",
    "label": "target label_key target_key label_index y labels targets",
    "image": "x input image_key data_key feature features pixels img",
    "channels": "channel data_format layout channel_order channels_first channels_last",
    "seed": "random_state rng generator random_seed data_seed",
    "split": "train subset fold part",
    "among": "over convention uniform",
}


def check_draws(dataset: Any, kind: type[Any], drawn: tuple[str, int, str], argument: str = "seed={}") -> None:
    """Raise InputError where a corruption of a share p is around the same one, whose draws would choose the same.

    Args:
        dataset: looked into through wrappers, subsets and concatenations. kind: the class of wrappers; another data set
            may have attributes of the same names. drawn: the corruption, its seed and split. argument: of another seed.
    """
    corruption, seed, _ = drawn
    if "p" not in catalog.find("corruptions", corruption).constants.get("OPTIONS", {}):
        return
    inside = [dataset]
    while inside:
        each = inside.pop()
        if isinstance(each, kind) and (each.corruption, each.seed, each.split) == drawn:
            told = f"the data set has {type(each).__name__} with seed {seed}, whose draws are the same"
            raise InputError(f"{told}: give another seed, as {argument.format(seed + 1)}")
        if isinstance(each, kind | Subset):
            inside.append(each.dataset)
        elif isinstance(each, ConcatDataset):
            inside += each.datasets


def check_map_style(dataset: Any, values: Sequence[Any], name: str) -> None:
    if (dataset is None or isinstance(dataset, int | float | str | bytes)) and any(
        hasattr(v, "__getitem__") for v in values
    ):
        raise InputError(f"the data set comes first: {name}(dataset, {dataset!r})")
    if isinstance(dataset, DataLoader):
        raise InputError("this is a DataLoader: wrap its data set, then load the wrapper")
    if isinstance(dataset, type):
        raise InputError(f"{dataset.__name__} is a class: make a data set of it first, {dataset.__name__}(...)")
    if isinstance(dataset, Mapping):
        raise InputError(
            f"the data set is a {type(dataset).__name__} of {', '.join(map(repr, dataset.keys()))}: take one, or "
            "of two arrays make torch.utils.data.TensorDataset(images, labels)"
        )
    if hasattr(dataset, "iloc"):
        raise InputError(
            f"the data set is a {type(dataset).__name__} of pandas, whose index is of labels: give a list of samples, "
            "as list(zip(frame['image'], frame['label']))"
        )
    if isinstance(dataset, np.ndarray | torch.Tensor | tuple):
        raise InputError(
            f"the data set is of type {type(dataset).__name__}: give a torch Dataset or a list of samples; "
            "of two arrays make one with torch.utils.data.TensorDataset(images, labels)"
        )
    if isinstance(dataset, IterableDataset) or (hasattr(dataset, "__iter__") and not hasattr(dataset, "__getitem__")):
        raise InputError(
            "the data set is iterable, and the corruption of an example is keyed by its index: "
            "give a map-style data set, for example list(dataset)"
        )
    if not hasattr(dataset, "__getitem__") or isinstance(dataset, str | bytes):
        raise InputError(f"the data set is {_samples.describe(dataset)}: give a map-style torch Dataset")
    if not hasattr(dataset, "__len__"):
        raise InputError("the data set has no length: give a map-style data set with __len__")


def regression_of(given: Any, allowed: bool) -> str | None:
    """How real-valued targets are replaced, None where they are classes. allowed: whether the corruption can."""
    if given is None:
        return None
    if not allowed:
        raise InputError("regression is of RandomLabels and PartialLabels: leave it out")
    if given not in REGRESSION:
        raise InputError(f"regression is {given!r}: give 'permutation' or 'gaussian'")
    return given


def options_of(declared: dict[str, dict], values: Sequence[Any], options: dict[str, Any]) -> dict[str, Any]:
    """The corruption's options, by position and by name."""
    required = [key for key, limits in declared.items() if "default" not in limits]
    if len(values) > len(required):
        extra = values[len(required)]
        raise InputError(
            f"what {_samples.describe(extra)} is cannot be told from its place: "
            + (f"name it, num_classes={extra!r} or seed={extra!r}" if isinstance(extra, int) else "name it, NAME=VALUE")
        )
    known = ["seed", "split", "image", "label", "channels", "num_classes", "mean", "variance", "regression", *declared]
    for name in options:
        if name not in declared:
            meant = next((k for k, words in MEANT.items() if k in known and name.lower() in words.split()), None)
            close = [meant] if meant else difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            square = " (the square of the deviation)" if close == ["variance"] else ""
            hint = f"did you mean {close[0]}{square}? " if close else ""
            raise InputError(f"{name}: {hint}known are {', '.join(known)}")
    placed = dict(zip(required, values, strict=False))
    for name in placed.keys() & options.keys():
        raise InputError(f"{name} is given twice, {placed[name]!r} and {options[name]!r}: give it once")
    return placed | options


def numbers(name: str, value: Any) -> tuple[float, ...]:
    """A number, or one for each channel, as a tuple."""
    if value is None:
        return ()
    try:
        array = np.asarray(_samples.plain(value), dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} is {value!r}: give a number for each channel") from None
    if not np.isfinite(array).all() or (name == "variance" and (array < 0).any()):
        raise InputError(
            f"{name} is {value!r}: give finite numbers" + ", variances of 0 or more" * (name == "variance")
        )
    return tuple(array.reshape(-1).tolist())
