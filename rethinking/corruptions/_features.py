"""What a pixel corruption acts on: PIL images, arrays, tensors and lists as arrays (H, W, C), and the way back.

A feature has positions, which a permutation moves, and at each position channels, which stay together:

    PIL image of any mode                  positions (height, width), channels the bands
    tensor or array (n,), list of n        n positions, no channels: a vector or a sequence of tokens
    tensor or array (H, W)                 H * W positions, no channels: a grey image; but where it is said where the
                                           channels are, (C, n) or (n, C): n positions; where the shape is one of a
                                           signal or of points, it must be said
    tensor or array of three or more axes  channels first (C, ...) or last (..., C), positions the other axes
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from rethinking.corruptions._samples import describe, plain
from rethinking.errors import InputError

FEW = range(1, 5)  # channels of grey, grey with alpha, colour, and colour with alpha
USUAL = (1, 3, 4)  # without the second, which is rare
NUMBERS = "buif"  # numpy's kinds of bool, unsigned, signed and floating point


def order_of(feature: Any) -> str | None:
    """Where the channels are: "first", "last", or None where there are none.

    A tensor has them first, which is torch's convention, unless its shape speaks against it: where the last axis has 1
    to 4 entries, the first must have so too, and the others be a square that they are not with the first; where neither
    has so few, the first must not make such a square, nor the last be the shortest. An array has them at the one end
    that has 1, 3 or 4 entries.

    Raises:
        InputError: the shape does not tell.
    """
    if not isinstance(feature, torch.Tensor | np.ndarray) or feature.ndim < 3:
        return None
    tensor = isinstance(feature, torch.Tensor)
    first, last = (feature.shape[end] in (FEW if tensor else USUAL) for end in (0, -1))
    if feature.ndim == 3 and not tensor and first != last:
        return "first" if first else "last"
    if feature.ndim == 3 and tensor:
        a, b, c = feature.shape
        bands = not first and b != c and (a == b or c < min(a, b))  # (28, 28, 5), (28, 30, 5)
        if (not last and not bands) or (first and b == c != a) or a == c == 1:  # (1, n, 1) is the same either way
            return "first"
    raise InputError(
        f"the image is {describe(feature)}, whose channel axis cannot be known: say channels='first' or 'last'"
    )


def check_grey(feature: Any) -> None:
    """Raises InputError where two axes may be channels and positions, as signals (C, n), points and embeddings (n, C).

    That is where the one axis is twice the other or more, or has 2 to 4 entries, which a grey image hardly has. An axis
    of 1 is the same either way.
    """
    if isinstance(feature, torch.Tensor | np.ndarray) and feature.ndim == 2:
        short, long = sorted(feature.shape)
        if short > 1 and (long >= 2 * short or (short in FEW and short != long)):
            raise InputError(
                f"the image is {describe(feature)}, of which one axis may be channels: "
                "say channels='first' or 'last', or 'none' of a grey image"
            )


def _shape(feature: Any, order: str | None) -> tuple[int, int]:
    """(H, W) of the positions; (n, 1) where they are not a plane."""
    if isinstance(feature, Image.Image):
        return feature.height, feature.width
    if isinstance(feature, list | tuple):
        return len(feature), 1
    axes = tuple(feature.shape)
    if order is not None:
        axes = axes[1:] if order == "first" else axes[:-1]
    return (axes[0], axes[1]) if len(axes) == 2 else (int(np.prod(axes)), 1)


def check(feature: Any) -> None:
    """Raises InputError where a feature has no positions."""
    if isinstance(feature, Image.Image):
        return
    if isinstance(feature, torch.Tensor):
        if feature.is_nested:
            raise InputError("the image is a nested tensor, whose rows are of unlike lengths: give one tensor a sample")
        if feature.layout != torch.strided or feature.is_quantized:
            raise InputError(f"the image is {describe(feature)} in a sparse or quantized layout: make it dense")
    elif isinstance(feature, list | tuple):
        if any(isinstance(v, list | tuple | dict | np.ndarray | torch.Tensor | Image.Image) for v in feature):
            raise InputError("the image is a nested list, whose positions cannot be known: make it an array or tensor")
        return
    elif not isinstance(feature, np.ndarray):
        more = ": turn a text into tokens first" if isinstance(feature, str) else ": give an image, array, tensor, list"
        raise InputError(f"the image is {describe(feature)}, which has no positions{more}, or say image=PLACE")
    if feature.ndim == 0:
        raise InputError(f"the image is {describe(feature)}, which has no positions: say image=POSITION or KEY")


def permuted(feature: Any, order: str | None, draw: Callable[[np.ndarray], np.ndarray]) -> Any:
    """The feature with its positions permuted; its kind, dtype, mode, palette, device and gradient stay.

    Args:
        order: as `order_of` gives it, or as it is said, of two axes or more. draw: a permutation of an array (H, W) of
            positions.
    """
    height, width = _shape(feature, order)
    index = draw(np.arange(height * width).reshape(height, width)).reshape(-1)
    if isinstance(feature, list | tuple):
        return type(feature)([feature[i] for i in index])
    if isinstance(feature, Image.Image):
        pixels = np.asarray(feature)
        return _picture(feature, pixels.reshape(height * width, -1)[index].reshape(pixels.shape))
    if isinstance(feature, torch.Tensor):
        index = torch.as_tensor(index, device=feature.device)  # type: ignore[assignment]
    if order is None:
        return _same_class(feature.reshape(-1)[index].reshape(feature.shape), feature)
    if order == "first":
        return _same_class(feature.reshape(feature.shape[0], -1)[:, index].reshape(feature.shape), feature)
    return _same_class(feature.reshape(-1, feature.shape[-1])[index].reshape(feature.shape), feature)


def to_array(feature: Any, order: str | None) -> np.ndarray:
    """The feature's values: (H, W, C) where it has channels, else (H, W); (n, 1) of n positions that are no plane.

    Raises:
        InputError: the values are not numbers.
    """
    if isinstance(feature, Image.Image) and feature.mode in ("P", "PA"):
        raise InputError(
            "the image is a PIL image with a palette, whose pixels are numbers of colours: convert('RGB') first"
        )
    if isinstance(feature, np.ma.MaskedArray):
        raise InputError("the image is a masked array, whose masked values have no place in a mean: fill it first")
    array = np.asarray(plain(feature))
    if array.dtype.kind not in NUMBERS:
        raise InputError(f"the image is {describe(feature)}, which is not made of real numbers: give numbers")
    if array.ndim < 2:
        return array.reshape(-1, 1)
    if isinstance(feature, Image.Image):
        return array
    if order is None:
        return array if array.ndim == 2 else array.reshape(-1, 1)
    if order == "first":
        array = np.moveaxis(array, 0, -1)
    return array if array.ndim == 3 else array.reshape(-1, 1, array.shape[-1])


def from_array(array: np.ndarray, feature: Any, order: str | None) -> Any:
    """An array of `to_array`'s shape as a feature of the same kind; of a PIL image an array where the dtype differs."""
    if isinstance(feature, Image.Image):
        return _picture(feature, array) if array.dtype == np.asarray(feature).dtype else array
    if isinstance(feature, list | tuple):
        return type(feature)(array.reshape(-1).tolist())
    shape = tuple(feature.shape)
    if order == "first":
        array = np.moveaxis(array.reshape(*shape[1:], shape[0]), -1, 0)
    array = np.ascontiguousarray(array.reshape(shape))
    if isinstance(feature, np.ndarray):
        return array
    return _same_class(torch.from_numpy(array).to(feature.device), feature)


def _same_class(result: Any, feature: Any) -> Any:
    """torchvision's tv_tensors and other subclasses of Tensor stay what they are."""
    if isinstance(feature, torch.Tensor) and type(feature) not in (torch.Tensor, torch.nn.Parameter):
        return result.as_subclass(type(feature))
    return result


def _picture(image: Image.Image, pixels: np.ndarray) -> Image.Image:
    """A copy of the image, its mode, palette and info, with these pixels, (H, W) or (H, W, bands)."""
    other = image.copy()
    packed = np.packbits(pixels, axis=1) if image.mode == "1" else np.ascontiguousarray(pixels)
    other.frombytes(packed.tobytes())
    return other
