"""Spatial dropout: in training, whole feature maps are dropped at random, per image.

Tompson et al. 2015 (CVPR), section 3.2: x_c -> m_c x_c / (1 - rate), m_c ~ Bernoulli(1 - rate) drawn for each image and
channel c, here after every convolution's ReLU (there before one of 1x1), so that evaluation uses the network as it is.
`rate` is the probability of dropping, in [0, 1); 0 is none. Practice: 0.1 where, as here, every convolution has it;
more where one has. For networks with convolutions.
"""

from torch import Tensor, nn

from rethinking.regularizers import Base, Run
from rethinking.surgery import activations, after, kept, of_maps

OPTIONS = {"rate": {"type": "float", "ge": 0.0, "lt": 1.0, "description": "probability of dropping a feature map"}}
NULL = {"rate": 0.0}
PRACTICE = {"rate": 0.1}
FAMILY = "units"
STRENGTHS = (0.1, 0.3, 0.6)
NEEDS = "convolutions"


class SpatialDropout(nn.Module):
    """(B, C, H, W) -> the same, each (image, channel) dropped or divided by 1 - rate."""

    def __init__(self, rate: float, run: Run):
        super().__init__()
        self.rate, self.run = rate, run

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * kept(x[:, :, :1, :1], self.rate, self.run.generator).div_(1 - self.rate)


class Regularizer(Base):
    def __init__(self, rate: float):
        self.rate = rate

    def network(self, network: nn.Module) -> nn.Module:
        for layer, relu in activations(network, self.run.uncalled) if self.rate else []:
            if isinstance(layer, nn.Conv2d):
                after(relu, of_maps(SpatialDropout(self.rate, self.run), "spatial_dropout"))
        return network
