"""One sample of anybody's data set: its label and its feature found, read, and put back in a copy of the sample."""

import copy
import dataclasses
import difflib
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from rethinking.errors import InputError

POSITIONS = {"image": 0, "label": 1}  # of a sample that is a tuple or a list


def describe(value: Any) -> str:
    """A value in a few words, for an error's line."""
    if isinstance(value, torch.Tensor | np.ndarray) and _size(value) != 1:
        kind = "tensor" if isinstance(value, torch.Tensor) else "array"
        return f"{kind} of shape {tuple(value.shape)}, {value.dtype}"
    text = repr(value.item() if isinstance(value, torch.Tensor | np.ndarray | np.generic) else value)
    return f"{text if len(text) <= 40 else text[:37] + '...'} ({type(value).__name__})"


def _size(value: Any) -> int:
    """The number of elements of an array or a tensor; 1 of anything else."""
    if isinstance(value, torch.Tensor):
        return value.numel()
    return value.size if isinstance(value, np.ndarray) else len(value) if isinstance(value, list | tuple) else 1


def plain(value: Any) -> Any:
    """A tensor as an array, of float32 where numpy lacks its dtype; anything else as it is."""
    if not isinstance(value, torch.Tensor):
        return value
    value = value.detach().cpu().as_subclass(torch.Tensor)
    odd = value.dtype == torch.bfloat16 or "float8" in str(value.dtype)
    return (value.float() if odd else value).numpy()


def near(word: str, known: Any) -> str:
    """ "did you mean 'label'? " where a known word is near, else nothing."""
    found = difflib.get_close_matches(word, [k for k in known if isinstance(k, str)], n=1, cutoff=0.6)
    return f"did you mean {found[0]!r}? " if found else ""


def locate(sample: Any, given: Any, role: str) -> Any:
    """The key, position or attribute of the sample's `role`.

    Args:
        sample: a mapping, a tuple or list, or an object with attributes. given: what the caller named, or None.
        role: "image" or "label", which are at positions 0 and 1 where nothing is named.

    Raises:
        InputError: nothing there, or a mapping or an object of which nothing was named.
    """
    if isinstance(sample, Mapping):
        keys = ", ".join(map(repr, sample.keys()))  # some, as tensordict's, are iterated over otherwise
        if given is None:
            raise InputError(f"a sample has the keys {keys}: say which is the {role}, {role}=KEY")
        if given not in sample.keys():  # noqa: SIM118
            raise InputError(f"a sample has no key {given!r}: {near(str(given), sample.keys())}its keys are {keys}")
        return given
    if isinstance(sample, tuple | list):
        fields = getattr(sample, "_fields", ())
        place = POSITIONS[role] if given is None else given
        if place in fields:
            place = fields.index(place)
        if isinstance(place, bool) or not isinstance(place, int):
            known = f"one of {', '.join(fields)}, or " if fields else ""
            raise InputError(f"{role}={given!r}, but a sample is a {type(sample).__name__}: give {known}a position")
        if not -len(sample) <= place < len(sample):
            raise InputError(
                f"a sample has {len(sample)} parts, none at position {place} for the {role}: "
                f"give its position, {role}=0 to {len(sample) - 1}"
                if sample
                else "a sample is empty: give (image, label)"
            )
        return place % len(sample)
    if isinstance(given, str) and hasattr(sample, given):
        return given
    if dataclasses.is_dataclass(sample):
        known = ", ".join(f.name for f in dataclasses.fields(sample))
        raise InputError(f"a sample is a {type(sample).__name__} with {known}: say which is the {role}, {role}=NAME")
    raise InputError(
        f"a sample is {describe(sample)}: the data set must give (image, label), a longer tuple, or a dict; "
        "of two arrays make one with torch.utils.data.TensorDataset(images, labels)"
    )


def take(sample: Any, place: Any) -> Any:
    """What is at the place that `locate` found."""
    return sample[place] if isinstance(sample, Mapping | tuple | list) else getattr(sample, place)


def put(sample: Any, place: Any, value: Any) -> Any:
    """A shallow copy of the sample, of its kind, with the value at that place; the rest are the same objects.

    Raises:
        InputError: a sample of a class of its own whose copies share their fields, or whose field cannot be set.
    """
    if type(sample) is dict:
        return {**sample, place: value}
    if isinstance(sample, tuple):
        parts = (*sample[:place], value, *sample[place + 1 :])
        if type(sample) is tuple:
            return parts
        return type(sample)(*parts) if hasattr(sample, "_fields") else type(sample)(parts)
    if isinstance(sample, list):
        changed: Any = copy.copy(sample)
        changed[place] = value
        return changed
    before, kind = take(sample, place), type(sample).__name__
    for duplicate in (copy.copy, _with_stores_of_its_own):
        try:
            changed = duplicate(sample)
            _set(changed, place, value)
        except (AttributeError, TypeError, NotImplementedError):
            if isinstance(sample, Mapping):  # one that cannot be changed
                return {**sample, place: value}
            raise InputError(
                f"a sample is a {kind}, whose {place} cannot be set: give (image, label) or a dict"
            ) from None
        now = take(sample, place)
        if now is before or not same(now, value) or same(before, value):
            break
        _set(sample, place, before)  # the copy shares its fields
    else:
        raise InputError(f"a sample is a {kind}, whose copies share their fields: give it __copy__, or give a dict")
    for found in _read(changed, place):
        if found is not value and not same(found, value):
            raise InputError(f"a sample is a {kind}, which keeps {place} elsewhere too: give (image, label) or a dict")
    return changed


def _with_stores_of_its_own(sample: Any) -> Any:
    """A copy whose dicts and lists are copies as well, their contents the same objects."""
    other = copy.copy(sample)
    for name, store in vars(other).items():
        if isinstance(store, dict | list):
            object.__setattr__(other, name, copy.copy(store))
    return other


def _set(sample: Any, place: Any, value: Any) -> None:
    if isinstance(sample, Mapping):
        sample[place] = value  # type: ignore[index]
        return
    try:
        setattr(sample, place, value)
    except AttributeError:  # a frozen dataclass, whose fields are its own
        object.__setattr__(sample, place, value)


def _read(sample: Any, place: Any) -> list[Any]:
    """What is at a place, by every way to read it."""
    found = [take(sample, place)]
    if not isinstance(sample, Mapping) and hasattr(sample, "__getitem__"):
        with suppress(KeyError, IndexError, TypeError, AttributeError, ValueError):  # it has other keys
            found.append(sample[place])
    return found


def whole(label: Any) -> int | None:
    """A class label as an int: of a Python, numpy or tensor integer or bool, of one element; else None."""
    if isinstance(label, int | np.integer | np.bool_):
        return int(label)
    if isinstance(label, torch.Tensor):
        integer = not (label.is_floating_point() or label.is_complex())
        return int(label) if integer and label.numel() == 1 else None
    if isinstance(label, np.ndarray):
        return int(label.item()) if label.dtype.kind in "iub" and label.size == 1 else None
    return None


def not_whole(label: Any, index: int, role: str = "dataset", targets: bool = True) -> str:
    """The line about a label that is no class.

    Args:
        role: what its data set is called, "dataset" or "test". targets: whether the caller takes `regression`.
    """
    what = f"the label of {role}[{index}] is {describe(label)}, not a whole number"
    if isinstance(label, str):
        return f"{what}: map the names to 0, 1, 2 ..."
    if _size(label) > 1:
        other = "; other targets need regression='permutation'" * targets
        return f"{what}: of a one-hot label give the class, label.argmax(){other}"
    if isinstance(label, float | np.floating | np.ndarray | torch.Tensor):
        other = ", or for regression say regression='permutation' or 'gaussian'" * targets
        return f"{what}: give classes 0, 1, 2 ...{other}"
    return f"{what}: give classes 0, 1, 2 ..., or say where the label is, label=POSITION or KEY"


def like(value: Any, own: Any) -> Any:
    """A new label in the kind of the sample's own: a Python, numpy or tensor scalar, or an array of its shape.

    An integer that the kind cannot hold becomes an int64; a real number in place of an integer one of the default
    precision.
    """
    number = np.asarray(plain(value))
    real = number.dtype.kind == "f"
    if isinstance(own, torch.Tensor):
        fits = own.is_floating_point() if real else number.max() <= _largest(own.dtype)
        dtype = own.dtype if fits else torch.get_default_dtype() if real else torch.int64
        return torch.from_numpy(np.array(number)).to(dtype=dtype, device=own.device).reshape(own.shape)
    if isinstance(own, np.ndarray | np.generic):
        fits = own.dtype.kind == "f" if real else number.max() <= _largest(own.dtype)
        result = number.astype(own.dtype if fits else np.float64 if real else np.int64).reshape(own.shape)
        return result if isinstance(own, np.ndarray) else result[()]
    if isinstance(own, bool) and not real and number in (0, 1):
        return bool(number)
    if isinstance(own, list | tuple):
        return type(own)(number.tolist())
    return number.item()


def _largest(dtype: Any) -> float:
    """The largest whole number of a dtype of numpy or torch."""
    if dtype in (torch.bool, np.dtype(bool)):
        return 1
    if isinstance(dtype, torch.dtype):
        return math.inf if dtype.is_floating_point else torch.iinfo(dtype).max
    return int(np.iinfo(dtype).max) if dtype.kind in "iu" else math.inf


def same(a: Any, b: Any) -> bool:
    """Whether two labels, of whatever kind, are one."""
    if a is b:
        return True
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a.keys())  # noqa: SIM118
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    try:
        a, b = (np.asarray(plain(v)) for v in (a, b))
        if a.dtype.kind == b.dtype.kind == "f" and a.dtype != b.dtype:  # float32 samples of float64 targets
            a, b = (v.astype(min(a.dtype, b.dtype, key=lambda d: d.itemsize)) for v in (a, b))
        return a.size == b.size and bool(np.array_equal(a.reshape(-1), b.reshape(-1), equal_nan=a.dtype.kind == "f"))
    except (TypeError, ValueError, RuntimeError):
        return False
