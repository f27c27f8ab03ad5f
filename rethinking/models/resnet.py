"""ResNet-20 for CIFAR-10: the small residual network, for regularizers that act on residual blocks.

He et al. 2016, section 4.2, with 28x28 input; 269,034 trainable parameters (28x28x3 input, 10 classes). Shortcuts
have no parameters (option A there: every second position, new channels zero). Batch norm has an offset but no scale,
as in the small Inception; the source has both. Not one of [zhang2017]'s networks; learning rate 0.1 is the source's.

    input (N, 3, 28, 28) -> conv 3x3/16
      -> [block(16)] x 3 -> [block(32)] x 3 -> [block(64)] x 3      28 x 28 -> 14 x 14 -> 7 x 7
      -> mean over positions -> linear -> logits (N, classes)
    block(c): x -> ReLU(shortcut(x) + conv 3x3/c (ReLU(conv 3x3/c (x)))), every conv with batch norm
"""

import torch.nn.functional as F
from torch import Tensor, nn

from rethinking.layers import Linear, OffsetBatchNorm2d, Residual

VARIANTS = {"resnet-20": {"blocks": 3}}
PAPER = {"learning_rate": 0.1}
HAS = ["convolutions", "residual blocks", "batch normalization"]


class Shortcut(nn.Module):
    """Every `stride`-th position, zeros for new channels: (N, in, H, W) -> (N, out, H / stride, W / stride)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        self.stride, self.new = stride, channels_out - channels_in

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.new)) if self.new else x


def _conv(channels_in: int, channels_out: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
    return [conv, OffsetBatchNorm2d(channels_out, eps=1e-5)]


class ResNet(nn.Module):
    """The network drawn above.

    Args:
        num_classes, in_channels: any positive numbers; image_size: any that survives two halvings.
        blocks: residual blocks in each of the three stages; 6 blocks + 2 layers in all.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, image_size: int = 28, *, blocks: int = 3):
        super().__init__()
        self.stem = nn.Sequential(*_conv(in_channels, 16), nn.ReLU(inplace=True))
        stages: list[nn.Module] = []
        width = 16
        for channels in (16, 32, 64):
            for k in range(blocks):
                stride = 2 if k == 0 and channels > 16 else 1
                inner = [*_conv(width, channels, stride), nn.ReLU(inplace=True), *_conv(channels, channels)]
                shortcut = Shortcut(width, channels, stride) if stride > 1 else nn.Identity()
                stages.append(Residual(nn.Sequential(*inner), shortcut))
                width = channels
        self.blocks = nn.Sequential(*stages)
        self.fc = Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(self.stem(x)).mean(dim=(2, 3)))


build = ResNet
