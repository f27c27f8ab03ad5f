"""Small Inception for CIFAR-10, with and without batch normalization.

[zhang2017] appendix A, figure 3 there; 1,649,402 trainable parameters in both variants (28x28x3 input,
10 classes). One count for both has one natural reading, taken here: with batch norm a convolution has no bias
and the norm has an offset but no scale (TF-slim's default, epsilon 0.001); without it the convolution has the bias.

    input (N, 3, 28, 28) -> conv 3x3/96
      -> inc(32, 32) -> inc(32, 48) -> down(80)                                       28 x 28 -> 14 x 14
      -> inc(112, 48) -> inc(96, 64) -> inc(80, 80) -> inc(48, 96) -> down(96)        14 x 14 -> 7 x 7
      -> inc(176, 160) -> inc(176, 160) -> mean over positions -> linear -> logits (N, classes)
"""

from torch import Tensor, nn

from rethinking.layers import Linear, OffsetBatchNorm2d, concatenate

VARIANTS = {"inception": {"batch_norm": True}, "inception-nobn": {"batch_norm": False}}
PAPER = {"learning_rate": 0.1, "parameters": 1_649_402}
HAS = {
    "inception": ["convolutions", "pooling", "batch normalization"],
    "inception-nobn": ["convolutions", "pooling"],
}


class Conv(nn.Sequential):
    """Convolution, batch norm (or a bias), ReLU: (N, in, H, W) -> (N, out, H / stride, W / stride)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, *, batch_norm: bool):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=not batch_norm)
        if batch_norm:
            self.norm = OffsetBatchNorm2d(channels_out, eps=1e-3)
        self.relu = nn.ReLU(inplace=True)


class Inc(nn.Module):
    """Inception block: 1x1 convolution beside 3x3 convolution, concatenated -> (N, a + b, H, W)."""

    def __init__(self, channels_in: int, a: int, b: int, *, batch_norm: bool):
        super().__init__()
        self.one = Conv(channels_in, a, 1, batch_norm=batch_norm)
        self.three = Conv(channels_in, b, 3, batch_norm=batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        return concatenate(self.one(x), self.three(x))


class Down(nn.Module):
    """Downsampling block: 3x3 convolution beside 3x3 max-pooling, stride 2 -> (N, in + c, H / 2, W / 2)."""

    def __init__(self, channels_in: int, c: int, *, batch_norm: bool):
        super().__init__()
        self.conv = Conv(channels_in, c, 3, stride=2, batch_norm=batch_norm)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return concatenate(self.conv(x), self.pool(x))


class Inception(nn.Module):
    """The network drawn above.

    Args:
        num_classes, in_channels: any positive numbers; image_size: any that survives two halvings.
        batch_norm: False gives Inception without batch normalization.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, image_size: int = 28, *, batch_norm: bool = True):
        super().__init__()
        width = 96
        blocks: list[nn.Module] = [Conv(in_channels, width, 3, batch_norm=batch_norm)]

        def inc(a: int, b: int) -> None:
            nonlocal width
            blocks.append(Inc(width, a, b, batch_norm=batch_norm))
            width = a + b

        def down(c: int) -> None:
            nonlocal width
            blocks.append(Down(width, c, batch_norm=batch_norm))
            width += c

        for a, b in ((32, 32), (32, 48)):
            inc(a, b)
        down(80)
        for a, b in ((112, 48), (96, 64), (80, 80), (48, 96)):
            inc(a, b)
        down(96)
        for a, b in ((176, 160), (176, 160)):
            inc(a, b)
        self.blocks = nn.Sequential(*blocks)
        self.fc = Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(x).permute(0, 2, 3, 1).flatten(1, 2).mean(dim=1))


build = Inception
