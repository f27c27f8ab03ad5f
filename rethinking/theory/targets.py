"""Labels as the targets of linear equations, and how often their solution is wrong."""

import numpy as np
import torch
from torch import Tensor

from rethinking.errors import InputError


def distinct(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Indices of the first of each set of equal images, int64, ascending.

    Raises:
        InputError: two equal images with different labels, by their numbers.
    """
    first: dict[bytes, int] = {}
    kept = []
    for i, image in enumerate(np.ascontiguousarray(images)):
        j = first.setdefault(image.tobytes(), i)
        if j == i:
            kept.append(i)
        elif labels[i] != labels[j]:
            raise InputError(
                f"images {j} and {i} are equal, their labels {labels[j]} and {labels[i]} are not: nothing interpolates "
                f"both; give a penalty above 0 or drop one"
            )
    return np.array(kept, dtype=np.int64)


def one_hot(labels: np.ndarray, classes: int, device: torch.device) -> Tensor:
    """The target coding: float64 (n, classes), 1 for the label and 0 elsewhere."""
    return torch.eye(classes, dtype=torch.float64, device=device)[torch.from_numpy(labels).to(device)]


def error(scores: Tensor, labels: np.ndarray) -> float:
    """Share of the (N, classes) scores whose largest is not at the label, (N,)."""
    return float((scores.argmax(1).cpu().numpy() != labels).mean())
