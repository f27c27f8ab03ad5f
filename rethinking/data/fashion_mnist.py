"""Fashion-MNIST: 70,000 grey images of 28 x 28 pixels, ten kinds of clothing (Xiao et al. 2017).

Official source: the host that torchvision knows. Fallback: the idx files that Debian's package dataset-fashion-mnist
installs.
"""

from pathlib import Path

from rethinking.data import Arrays
from rethinking.data._sources import idx_folder, official_download

SIZES = {"train": 60_000, "test": 10_000}
SHAPE = (28, 28, 1)
CLASSES = [
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
]
LARGEST_CLASS = {"train": 0.1, "test": 0.1}
MEAN = [72.94035223214286]
VARIANCE = [8103.813271926953]
SHA256 = {
    "train_images": "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
    "train_labels": "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
    "test_images": "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
    "test_labels": "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
}
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def sources():
    return [
        ("the files of Debian's dataset-fashion-mnist", lambda _: idx_folder(DEBIAN)),
        ("the official download", official_download("FashionMNIST", from_folder)),
    ]


def from_folder(folder: Path) -> Arrays:
    """From the four idx files, gzipped or not, in the folder, or in FashionMNIST/raw, as torchvision, or raw below."""
    return idx_folder(folder, "FashionMNIST/raw", "raw")
