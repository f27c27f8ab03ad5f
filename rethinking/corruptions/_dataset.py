"""The torch Dataset wrappers: any corruption around anybody's map-style data set."""

from collections.abc import Sequence, Sized
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from rethinking import catalog
from rethinking.corruptions import Facts, Keyed, apply
from rethinking.errors import InputError
from rethinking.spec import check_options


class Corrupted(Dataset):
    """A data set with one corruption, drawn per example and the same at every access. Wrappers compose and pickle.

    Args:
        dataset: map-style, items (image, label). image: a PIL image, an array (H, W, C) or (H, W), or a tensor
            (C, H, W); the result is of the same kind (of a PIL image an array where the values are no longer bytes).
        seed: of the draw. split: "train", "test" or any other word; each split has its own draws.
        num_classes: default len(dataset.classes). mean, variance: per channel of the full training set, in the
            images' units, where the corruption needs them. options: the corruption's own, as in its OPTIONS.

    Raises:
        InputError: an option out of range, or a fact about the data set that is needed and not given.
    """

    corruption: str

    def __init__(
        self,
        dataset: Any,
        *,
        seed: int = 0,
        split: str = "train",
        num_classes: int | None = None,
        mean: Sequence[float] = (),
        variance: Sequence[float] = (),
        **options: Any,
    ):
        self.dataset, self.seed, self.split = dataset, seed, split
        self.options = check_options("corruptions", self.corruption, options)
        if num_classes is None:
            num_classes = len(getattr(dataset, "classes", ()))
        self.facts = Facts(num_classes, tuple(mean), tuple(variance))
        constants = catalog.find("corruptions", self.corruption).constants
        if constants["ACTS_ON"] == "labels" and num_classes < 1:
            raise InputError(f"{type(self).__name__}: the data set has no `classes`: give num_classes")
        for fact in constants.get("NEEDS", ()):
            if not getattr(self.facts, fact):
                raise InputError(f"{type(self).__name__}: give {fact}, per channel of the full training set")

    @property
    def classes(self) -> Any:
        """The wrapped data set's class names, or 0 ... num_classes - 1."""
        return getattr(self.dataset, "classes", list(range(self.facts.num_classes)))

    def __len__(self) -> int:
        dataset: Sized = self.dataset
        return len(dataset)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        index = range(len(self))[index]  # negative indices count from the end; beyond it is an IndexError
        image, label = self.dataset[index]
        array, like = _to_array(image)
        generator = Keyed(self.seed, self.corruption, self.split)(index)
        module = catalog.load("corruptions", self.corruption)
        array, label = apply(module, array, int(label), generator, self.facts, self.options)
        return like(array), label

    def changed_labels(self) -> np.ndarray:
        """bool (N,): where this wrapper's label differs from the wrapped data set's."""
        return np.array([self[i][1] != int(self.dataset[i][1]) for i in range(len(self))], dtype=bool)


def _to_array(image: Any) -> tuple[np.ndarray, Any]:
    """The image as (H, W, C) or (H, W), and the way back."""
    if isinstance(image, torch.Tensor):
        if image.ndim == 2:
            return image.numpy(), torch.from_numpy
        return image.permute(1, 2, 0).numpy(), lambda a: torch.from_numpy(np.ascontiguousarray(a.transpose(2, 0, 1)))
    if isinstance(image, np.ndarray):
        return image, lambda a: a
    from PIL import Image

    if isinstance(image, Image.Image):
        return np.asarray(image), lambda a: Image.fromarray(a) if a.dtype == np.uint8 else a
    raise InputError(f"an image is a {type(image).__name__}: give PIL images, arrays or tensors")


def wrapper(key: str, name: str) -> type[Corrupted]:
    """The wrapper class `name` of the corruption `key`."""
    module = catalog.load("corruptions", key)
    body = {
        "corruption": key,
        "__module__": "rethinking.corruptions",
        "__qualname__": name,
        "__doc__": f"{module.__doc__}\n\nWraps a map-style data set:\n{Corrupted.__doc__}",
    }
    return type(name, (Corrupted,), body)
