"""Multi-layer perceptrons: one or three hidden layers of 512 ReLU units.

[zhang2017] appendix A; 1,209,866 and 1,735,178 trainable parameters (28x28x3 input, 10 classes).

    input (N, 3, 28, 28) -> flatten (N, 2352) -> [linear 512, ReLU] x depth -> linear -> logits (N, classes)
"""

from itertools import pairwise

from torch import Tensor, nn

from rethinking.layers import Linear

VARIANTS = {"mlp-1x512": {"depth": 1, "width": 512}, "mlp-3x512": {"depth": 3, "width": 512}}
OPTIONS = {"width": {"type": "int", "ge": 1, "le": 100_000, "description": "units of each hidden layer"}}
PAPER = {"learning_rate": 0.01, "parameters": {"mlp-1x512": 1_209_866, "mlp-3x512": 1_735_178}}
HAS = ["hidden linear layers"]


class MLP(nn.Module):
    """The network drawn above.

    Args:
        num_classes, in_channels, image_size: any positive numbers.
        depth: number of hidden layers. width: units of each.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        image_size: int = 28,
        *,
        depth: int = 1,
        width: int = 512,
    ):
        super().__init__()
        widths = [in_channels * image_size * image_size, *[width] * depth]
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [Linear(a, b), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, Linear(widths[-1], num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.flatten(1))


build = MLP
