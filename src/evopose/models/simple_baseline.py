"""SimpleBaseline: a ResNet and three transposed convolutions that give the heatmaps.

Source: Xiao, Wu and Wei, ECCV 2018 (arXiv 1804.06208); microsoft/human-pose-estimation.pytorch
`lib/models/pose_resnet.py` at 49f3f44.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evopose.errors import ConfigError
from evopose.models.checks import check_outline
from evopose.models.layers import draw_normal
from evopose.models.network import PoseNetwork
from evopose.models.resnet import RESNET_BLOCKS, RESNET_CHANNELS, ResNet

TRUNK_STRIDE = 32
HEAD_BLOCKS = 3
HEAD_CHANNELS = 256


@dataclass(frozen=True, kw_only=True)
class SimpleBaselineConfig:
    """Everything that determines a SimpleBaseline but its weights."""

    input_hw: tuple[int, int] = (256, 192)
    num_keypoints: int = 17
    depth: int = 50
    """Of the ResNet: 50, 101 or 152."""
    stride_on_1x1: bool = True
    """Where a bottleneck halves the resolution. True: in its first convolution, as in the ResNet
    paper, whose multiply-adds EvoPose2D's tables give; False: in its 3x3, as in torchvision and
    nearly all public weights."""

    def __post_init__(self) -> None:
        check_outline(self.input_hw, self.num_keypoints)
        if self.depth not in RESNET_BLOCKS:
            raise ConfigError(
                f"depth must be one of {', '.join(map(str, RESNET_BLOCKS))}, got {self.depth}"
            )


class SimpleBaseline(PoseNetwork):
    """The network of one configuration.

    `forward` takes images (N, 3, H, W) and returns heatmaps (N, K, H / 4, W / 4), the sides as
    `heatmap_hw` says where 32 does not divide the input's. The state dict has the authors' names,
    with `trunk.` before those of the ResNet.
    """

    def __init__(self, config: SimpleBaselineConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = ResNet(config.depth, stride_on_1x1=config.stride_on_1x1)
        self.deconv_layers = nn.Sequential()
        channels = RESNET_CHANNELS[-1]
        for _ in range(HEAD_BLOCKS):
            up = nn.ConvTranspose2d(channels, HEAD_CHANNELS, 4, stride=2, padding=1, bias=False)
            self.deconv_layers.extend((up, nn.BatchNorm2d(HEAD_CHANNELS), nn.ReLU()))
            channels = HEAD_CHANNELS
        self.final_layer = nn.Conv2d(channels, config.num_keypoints, 1)

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """(height, width) of the heatmaps at `config.input_hw`."""
        height, width = (-(-side // TRUNK_STRIDE) << HEAD_BLOCKS for side in self.config.input_hw)
        return height, width

    def forward(self, images: Tensor) -> Tensor:
        """Return heatmaps (N, K, h, w) of images (N, 3, H, W)."""
        heatmaps: Tensor = self.final_layer(self.deconv_layers(self.trunk(images)[-1]))
        return heatmaps


def build_simple_baseline(config: SimpleBaselineConfig, *, seed: int = 0) -> SimpleBaseline:
    """Return the network that `config` describes, freshly initialised from `seed`.

    As its authors do: every convolution from N(0, 0.001), batch norms as the identity. They replace
    the trunk's weights by ImageNet's; see `importers.simple_baseline`.
    """
    with torch.device("meta"):
        net = SimpleBaseline(config)
    net.to_empty(device="cpu")
    draw_normal(net, torch.Generator().manual_seed(seed))
    return net
