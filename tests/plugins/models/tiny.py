"""Tiny: one convolution with batch norm, for tests that train."""

import os

from torch import nn

from rethinking.layers import OffsetBatchNorm2d

PAPER = {"learning_rate": 0.05}


def build(num_classes=10, in_channels=3, image_size=28):
    if os.environ.get("TINY_PRINTS"):
        print("a network is built")
    return nn.Sequential(
        nn.Conv2d(in_channels, 8, 3, stride=4, padding=1),
        OffsetBatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 49, num_classes),
    )
