"""HRNet: parallel branches at strides 4 to 32 that exchange features again and again.

Source: Sun et al., CVPR 2019 (arXiv 1902.09212); leoxiaobin/deep-high-resolution-net.pytorch
`lib/models/pose_hrnet.py` at 6f69e46.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from evopose.errors import ConfigError
from evopose.models.checks import check_outline
from evopose.models.layers import draw_normal
from evopose.models.network import PoseNetwork
from evopose.models.resnet import resnet_layer

STEM_CHANNELS = 64
LAYER1_CHANNELS = 256
BRANCH_BLOCKS = 4
"""Residual blocks of a branch between two exchanges, and bottlenecks of layer1."""
STAGE_MODULES = {2: 1, 3: 4, 4: 3}
"""Stage, which has as many branches -> its modules; each ends in an exchange."""
HEATMAP_STRIDE = 4
LARGEST_STRIDE = 32


@dataclass(frozen=True, kw_only=True)
class HRNetConfig:
    """Everything that determines an HRNet but its weights."""

    input_hw: tuple[int, int] = (256, 192)
    """Multiples of 32: only then the branches' resolutions are whole multiples of each other."""
    num_keypoints: int = 17
    width: int = 32
    """Channels of the branch at stride 4; each next one has twice as many."""

    def __post_init__(self) -> None:
        check_outline(self.input_hw, self.num_keypoints, multiple=LARGEST_STRIDE)
        if self.width < 1:
            raise ConfigError(f"width must be at least 1, got {self.width}")


class HRNet(PoseNetwork):
    """The network of one configuration; names in the state dict are the authors'.

    `forward` takes images (N, 3, H, W), H and W multiples of 32, and returns heatmaps
    (N, K, H / 4, W / 4).
    """

    def __init__(self, config: HRNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width << i for i in range(4)]
        self.conv1 = nn.Conv2d(3, STEM_CHANNELS, 3, 2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.conv2 = nn.Conv2d(STEM_CHANNELS, STEM_CHANNELS, 3, 2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(STEM_CHANNELS)
        self.layer1 = resnet_layer(STEM_CHANNELS, LAYER1_CHANNELS // 4, BRANCH_BLOCKS, stride=1)
        self.transition1 = _transition([LAYER1_CHANNELS], widths[:2])
        self.stage2 = _stage(2, widths)
        self.transition2 = _transition(widths[:2], widths[:3])
        self.stage3 = _stage(3, widths)
        self.transition3 = _transition(widths[:3], widths)
        self.stage4 = _stage(4, widths)
        self.final_layer = nn.Conv2d(config.width, config.num_keypoints, 1)

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """(height, width) of the heatmaps at `config.input_hw`."""
        height, width = self.config.input_hw
        return height // HEATMAP_STRIDE, width // HEATMAP_STRIDE

    def forward(self, images: Tensor) -> Tensor:
        """Return heatmaps (N, K, H / 4, W / 4) of images (N, 3, H, W)."""
        x = functional.relu(self.bn1(self.conv1(images)))
        x = functional.relu(self.bn2(self.conv2(x)))
        branches = [self.layer1(x)]
        for transition, stage in (
            (self.transition1, self.stage2),
            (self.transition2, self.stage3),
            (self.transition3, self.stage4),
        ):
            last = len(branches) - 1
            branches = [move(branches[min(i, last)]) for i, move in enumerate(transition)]
            branches = stage(branches)
        heatmaps: Tensor = self.final_layer(branches[0])
        return heatmaps


class HighResolutionModule(nn.Module):
    """Branches of four residual blocks each, then an exchange: every output sums all branches.

    `forward` takes and returns tensors from fine to coarse, (N, widths[i], h / 2^i, w / 2^i), of
    them the first `outputs`.
    """

    def __init__(self, widths: list[int], outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width) for _ in range(BRANCH_BLOCKS))) for width in widths
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_resample(widths, j, i) for j in range(len(widths)))
            for i in range(outputs)
        )

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Return the exchange's outputs for the branches' inputs."""
        x = [branch(each) for branch, each in zip(self.branches, x, strict=True)]
        outputs = []
        for layers in self.fuse_layers:
            assert isinstance(layers, nn.ModuleList)
            first, *rest = (layer(each) for layer, each in zip(layers, x, strict=True))
            outputs.append(functional.relu(sum(rest, start=first)))
        return outputs


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, at one resolution and one width (He et al., 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, width, H, W) for x of the same shape."""
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + x)


def build_hrnet(config: HRNetConfig, *, seed: int = 0) -> HRNet:
    """Return the network that `config` describes, freshly initialised from `seed`.

    As its authors do: every convolution from N(0, 0.001), batch norms as the identity. They replace
    all but the last layer by ImageNet's weights; see `importers.hrnet`.
    """
    with torch.device("meta"):
        net = HRNet(config)
    net.to_empty(device="cpu")
    draw_normal(net, torch.Generator().manual_seed(seed))
    return net


def _stage(number: int, widths: list[int]) -> nn.Sequential:
    """Return a stage's modules; of the last one of stage 4 only the finest output is used."""
    count = STAGE_MODULES[number]
    outputs = [number] * count
    if number == len(widths):
        outputs[-1] = 1
    return nn.Sequential(*(HighResolutionModule(widths[:number], each) for each in outputs))


def _transition(before: list[int], after: list[int]) -> nn.ModuleList:
    """Return what makes the branches of a stage from those of the one before it.

    A new branch comes from the coarsest one there was, a branch that changes its width from itself.
    """
    layers: list[nn.Module] = []
    for i, width in enumerate(after):
        if i >= len(before):
            layers.append(nn.Sequential(_conv(before[-1], width, 3, stride=2, relu=True)))
        elif width != before[i]:
            layers.append(_conv(before[i], width, 3, relu=True))
        else:
            layers.append(nn.Identity())
    return nn.ModuleList(layers)


def _resample(widths: list[int], source: int, target: int) -> nn.Module:
    """Return what brings branch `source` to the resolution and width of branch `target`."""
    if source == target:
        return nn.Identity()
    if source > target:
        up = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
        return _conv(widths[source], widths[target], 1).append(up)
    down = [
        _conv(widths[source], widths[source], 3, stride=2, relu=True)
        for _ in range(target - source - 1)
    ]
    return nn.Sequential(*down, _conv(widths[source], widths[target], 3, stride=2))


def _conv(
    channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, relu: bool = False
) -> nn.Sequential:
    """Return a convolution and its batch norm, and ReLU if asked."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))
