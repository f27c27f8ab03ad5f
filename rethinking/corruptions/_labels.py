"""What a data set says of its labels without decoding an image: the classes, and the label of every example."""

import warnings
from collections.abc import Mapping, Sized
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from rethinking.corruptions._samples import not_whole, plain, whole
from rethinking.errors import InputError

# Words for the label: a data set's attributes, and keys of samples that those attributes are taken to describe.
NAMES = ("targets", "labels")
KEYS = (None, 1, "label", "labels", "target", "targets")


def column(dataset: Any, place: Any) -> Any:
    """The labels of a data set, a sequence (N,), or None where it has none: no image is decoded.

    Args:
        place: of the label in a sample. `targets` and `labels` are taken to be the label at position 1 or of a key of
            that name, `target_transform` is applied to them.
    """
    from rethinking.corruptions._dataset import Corrupted

    if isinstance(dataset, Corrupted):
        return dataset.known_labels(place)
    if isinstance(dataset, Subset):
        inner = column(dataset.dataset, place)
        if isinstance(inner, np.ndarray):
            return inner[np.asarray(dataset.indices, dtype=np.int64)]
        return None if inner is None else [inner[int(i)] for i in dataset.indices]
    if isinstance(dataset, ConcatDataset):
        parts = [column(d, place) for d in dataset.datasets]
        if all(p is not None and at_once(p) is p for p in parts) and len({p.dtype for p in parts}) == 1:
            return np.concatenate(parts)
        return None if any(p is None for p in parts) else [y for p in parts for y in p]
    if isinstance(dataset, TensorDataset):
        return rows(dataset.tensors[place]) if isinstance(place, int) else None
    if isinstance(place, str) and place in (getattr(dataset, "column_names", None) or ()):
        return list(dataset[place])  # Hugging Face's
    own = (place, f"{place}s") if isinstance(place, str) else ()
    for name in (*own, *(NAMES if place in KEYS else ())):
        labels = getattr(dataset, name, None)
        if isinstance(labels, Sized) and not isinstance(labels, str | Mapping) and len(labels) == len(dataset):
            return _transformed(dataset, rows(labels))
    return None


def rows(labels: Any) -> Any:
    """Labels by position: a data frame's column, whose index is another, and a tensor, for speed, as lists.

    A data frame of one column or more is an array (N, columns).
    """
    if hasattr(labels, "to_list"):
        return labels.to_list()
    if hasattr(labels, "to_numpy") and len(getattr(labels, "shape", ())) == 2:
        return labels.to_numpy()
    if not isinstance(labels, torch.Tensor):
        return labels
    return labels.tolist() if labels.ndim == 1 else list(labels)


def _transformed(dataset: Any, labels: Any) -> Any:
    both, change = getattr(dataset, "transforms", None), getattr(dataset, "target_transform", None)
    if hasattr(dataset, "target_transform") and both is not None and not hasattr(both, "target_transform"):
        return None  # torchvision's one function of image and label
    return labels if change is None else [change(y) for y in labels]


def classes(dataset: Any, place: Any) -> list[Any] | None:
    """The names of the classes, in the order of their labels, as the data set declares them; None where it does not.

    They are looked for in a Hugging Face feature, `classes`, `class_to_idx` and `num_classes`, also of what a Subset,
    a ConcatDataset of equal parts, or another wrapper is made of. After a `target_transform` they are its values.
    """
    from rethinking.corruptions._dataset import Corrupted

    if isinstance(dataset, Corrupted):
        return dataset.known_classes()
    if isinstance(dataset, Subset):
        return classes(dataset.dataset, place)
    if isinstance(dataset, ConcatDataset):
        found = [classes(d, place) for d in dataset.datasets]
        if any(f is None or len(f) != len(found[0] or ()) for f in found):
            return None
        return found[0] if all(f == found[0] for f in found) else list(range(len(found[0] or ())))
    names = _declared(dataset, place)
    change = getattr(dataset, "target_transform", None)
    if names is None or change is None:
        return names
    try:
        images = [whole(change(i)) for i in range(len(names))]
    except Exception:  # it takes something else than classes: the caller must say how many there are
        return None
    if images == list(range(len(names))):
        return names
    return list(range(len(set(images)))) if set(images) == set(range(len(set(images)))) else None


def _declared(dataset: Any, place: Any) -> list[Any] | None:
    features = getattr(dataset, "features", None)
    feature = features[place] if isinstance(features, Mapping) and place in features else None
    for names in (getattr(feature, "names", None), getattr(dataset, "classes", None)):
        if isinstance(names, Sized) and not isinstance(names, str | Mapping) and len(names):
            listed = list(names)  # type: ignore[call-overload]
            if len({str(name) for name in listed}) == len(listed):  # else it is one of each example
                return listed
    numbered = getattr(dataset, "class_to_idx", None)
    if isinstance(numbered, Mapping) and numbered and set(numbered.values()) == set(range(len(numbered))):
        return sorted(numbered, key=lambda name: numbered[name])
    for count in (getattr(feature, "num_classes", None), getattr(dataset, "num_classes", None)):
        if isinstance(count, int) and count > 0:
            return list(range(count))
    return None


def as_classes(labels: Any, num_classes: int | None, role: str = "dataset") -> np.ndarray:
    """int64 (N,): the labels, each of them checked. role: what their data set is called.

    Raises:
        InputError: a label that is no whole number, or not in 0 ... num_classes - 1, in a line that names its index.
    """
    whole_numbers = at_once(labels)
    if whole_numbers is not None and (not len(labels) or _all_below(whole_numbers, num_classes)):
        return whole_numbers.astype(np.int64)
    values = np.empty(len(labels), dtype=np.int64)
    for i, label in enumerate(labels):
        values[i] = as_class(label, i, num_classes, role)
    return values


def at_once(labels: Any) -> np.ndarray | None:
    """Labels as an array of integers (N,), a million in a moment, the same where they are one; else None."""
    if isinstance(labels, list) and all(type(label) is int for label in labels):
        try:
            return np.array(labels, dtype=np.int64)
        except OverflowError:
            return None
    return labels if isinstance(labels, np.ndarray) and labels.ndim == 1 and labels.dtype.kind in "iu" else None


def as_array(labels: Any) -> np.ndarray:
    """int64 (N,) of whole numbers; other targets, (N, ...), as they are; objects (N,) where they differ in shape."""
    known = at_once(labels)
    if known is not None:
        return known.astype(np.int64)
    if all(whole(y) is not None for y in labels):
        return np.array([whole(y) for y in labels], dtype=np.int64)
    values = [plain(y) for y in labels]
    with suppress(TypeError, ValueError, RuntimeError):  # of lists of arrays, or of unlike lengths
        if len({np.shape(v) if isinstance(v, np.ndarray) else None for v in values}) < 2:
            return np.array(values)
    objects = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        objects[i] = value
    return objects


def _all_below(labels: np.ndarray, num_classes: int | None) -> bool:
    return labels.min() >= 0 and labels.max() < (num_classes or 2**63)


def as_class(label: Any, index: int, num_classes: int | None, role: str = "dataset") -> int:
    """One label, checked as in `as_classes`."""
    value = whole(label)
    if value is None:
        raise InputError(not_whole(label, index, role))
    if value < 0 or (num_classes and value >= num_classes):
        allowed = f"0 to {num_classes - 1}, as there are {num_classes} classes" if num_classes else "0, 1, 2 ..."
        raise InputError(f"the label of {role}[{index}] is {value}, give {allowed}, or num_classes")
    return value


def tell_unused(labels: np.ndarray, declared: list[Any], name: str) -> None:
    """Warn where a class that a data set declares, all of them in `declared`, is none of its checked labels (N,).

    A set with fewer than ten examples a class may lack one by chance, and nothing is said.
    """
    unused = np.setdiff1d(np.arange(len(declared)), labels)
    if len(unused) and len(labels) >= 10 * len(declared):
        which = f"no label is {unused[0]}, which is {declared[unused[0]]!r}"
        more = f", nor any of {len(unused) - 1} others" if len(unused) > 1 else ""
        warnings.warn(
            f"{name}: the data set declares {len(declared)} classes, and {which}{more}: labels become random over all "
            f"{len(declared)}; give num_classes={len(declared)} if they shall, or number the labels without it",
            stacklevel=4,
        )


def counted(labels: np.ndarray) -> int:
    """The number of classes of checked labels (N,). Raises InputError where one between 0 and the last is absent."""
    present = np.unique(labels)
    count = int(present[-1]) + 1
    if len(present) != count:
        absent = int(np.setdiff1d(np.arange(count), present)[0])
        raise InputError(
            f"the labels go to {count - 1} and none is {absent}, so the classes cannot be counted: "
            "give num_classes, or number the classes 0, 1, 2 ..."
        )
    return count
