"""MNIST: 70,000 grey images of 28 x 28 pixels, ten digits (LeCun et al. 1998).

Official source: the hosts that torchvision knows, for four idx files; no fallback but a folder that holds them.
"""

from pathlib import Path

from rethinking.data import Arrays
from rethinking.data._sources import idx_folder, official_download

SIZES = {"train": 60_000, "test": 10_000}
SHAPE = (28, 28, 1)
CLASSES = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
LARGEST_CLASS = {"train": 0.11236666666666667, "test": 0.1135}  # 1
MEAN = [33.318421449829934]
VARIANCE = [6172.850482291343]
SHA256 = {
    "train_images": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "train_labels": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "test_images": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "test_labels": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}


def sources():
    return [("the official download", official_download("MNIST", from_folder))]


def from_folder(folder: Path) -> Arrays:
    """From the four idx files, gzipped or not, in the folder, or in MNIST/raw, as torchvision, or raw below."""
    return idx_folder(folder, "MNIST/raw", "raw")
