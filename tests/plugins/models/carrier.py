"""Carrier: one of everything that regularizers ask for, and no normalization, for their law tests."""

from torch import nn

from rethinking.layers import Linear, Residual

PAPER = {"learning_rate": 0.1}


def build(num_classes=10, in_channels=3, image_size=28):
    side = -(-image_size // 7)
    return nn.Sequential(
        nn.Conv2d(in_channels, 16, 3, stride=4, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
        Residual(
            nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(16, 16, 3, padding=1)),
            nn.Identity(),
        ),
        nn.Flatten(),
        Linear(16 * side * side, 32),
        nn.ReLU(inplace=True),
        Linear(32, num_classes),
    )
