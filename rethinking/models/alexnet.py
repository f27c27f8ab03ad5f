"""Small AlexNet for CIFAR-10.

[zhang2017] appendix A; 1,387,786 trainable parameters (28x28x3 input, 10 classes), a count that fixes the 64 filters
the text leaves out. Local response normalization has the constants of the TensorFlow CIFAR-10 tutorial: radius 4,
bias 1, alpha 0.001 / 9, beta 0.75. Where that changes a unit by less than 0.25 %, bfloat16 rounds it away.

    input (N, 3, 28, 28) -> [conv 5x5/64, ReLU, max-pool 3x3 stride 2, LRN] twice            28 -> 14 -> 7
      -> flatten (N, 3136) -> linear 384, ReLU -> linear 192, ReLU -> linear -> logits (N, classes)
"""

from torch import Tensor, nn

from rethinking.layers import Linear, LocalResponseNorm

PAPER = {"learning_rate": 0.01, "parameters": 1_387_786}
HAS = ["convolutions", "pooling", "hidden linear layers", "local response normalization"]


class AlexNet(nn.Module):
    """The network drawn above.

    Args:
        num_classes, in_channels: any positive numbers; image_size: any that survives two halvings.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, image_size: int = 28):
        super().__init__()

        def stage(channels: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(channels, 64, 5, padding=2),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(3, stride=2, padding=1),
                LocalResponseNorm(size=9, alpha=1e-3, beta=0.75, k=1.0),
            )

        side = (image_size + 3) // 4
        self.features = nn.Sequential(stage(in_channels), stage(64))
        self.classifier = nn.Sequential(
            Linear(64 * side * side, 384),
            nn.ReLU(inplace=True),
            Linear(384, 192),
            nn.ReLU(inplace=True),
            Linear(192, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


build = AlexNet
