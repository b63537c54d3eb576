"""MSPN: one to four stages, each a ResNet and an upsampling path, features handed from one to the
next (cross-stage aggregation), and heatmaps at four resolutions of every stage.

Source: Li et al., 2019 (arXiv 1901.00148); megvii-research/MSPN at a84f750,
`exps/mspn.2xstg.coco/network.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, overload

import torch
from torch import Tensor, nn
from torch.nn import functional

from evopose.errors import ConfigError
from evopose.models.checks import check_outline
from evopose.models.conv_norm import ConvNorm
from evopose.models.network import PoseNetwork
from evopose.models.resnet import RESNET_BLOCKS, RESNET_CHANNELS, resnet_layer

MAX_STAGES = 4
UNITS = 4
"""Resolutions, and with them heatmaps, of a stage."""
STEM_CHANNELS = 64
HEATMAP_STRIDE = 4
LARGEST_STRIDE = 32


@dataclass(frozen=True, kw_only=True)
class MSPNConfig:
    """Everything that determines an MSPN but its weights."""

    input_hw: tuple[int, int] = (256, 192)
    """Multiples of 32."""
    num_keypoints: int = 17
    stages: int = 2
    """1 to 4."""
    depth: int = 50
    """Of each stage's ResNet: 50, 101 or 152; the authors' are 50."""
    channels: int = 256
    """Of the upsampling path."""
    bias: bool = True
    """Whether convolutions have a bias before their batch norm: True in the authors' code, False
    in mmpose's, which computes the same."""

    def __post_init__(self) -> None:
        check_outline(self.input_hw, self.num_keypoints, multiple=LARGEST_STRIDE)
        if not 1 <= self.stages <= MAX_STAGES:
            raise ConfigError(f"stages must be 1 to {MAX_STAGES}, got {self.stages}")
        if self.depth not in RESNET_BLOCKS:
            raise ConfigError(
                f"depth must be one of {', '.join(map(str, RESNET_BLOCKS))}, got {self.depth}"
            )
        if self.channels < 1:
            raise ConfigError(f"channels must be at least 1, got {self.channels}")


class MSPN(PoseNetwork):
    """The network of one configuration.

    `forward` takes images (N, 3, H, W), H and W multiples of 32, and returns heatmaps
    (N, K, H / 4, W / 4). Names in the state dict are the authors', but that bottlenecks are named
    as in torchvision, and `stage0` is `stages.0`.
    """

    def __init__(self, config: MSPNConfig) -> None:
        super().__init__()
        self.config = config
        stem = ConvNorm(3, STEM_CHANNELS, 7, stride=2, bias=config.bias)
        self.top = nn.ModuleDict({"conv": stem})
        self.stages = nn.ModuleList(
            Stage(config, last=i == config.stages - 1) for i in range(config.stages)
        )

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """(height, width) of the heatmaps at `config.input_hw`."""
        height, width = self.config.input_hw
        return height // HEATMAP_STRIDE, width // HEATMAP_STRIDE

    @overload
    def forward(self, images: Tensor, every_stage: Literal[False] = False) -> Tensor: ...
    @overload
    def forward(self, images: Tensor, every_stage: bool) -> Tensor | tuple[Tensor, ...]: ...
    def forward(self, images: Tensor, every_stage: bool = False) -> Tensor | tuple[Tensor, ...]:
        """Return heatmaps (N, K, H / 4, W / 4) of images (N, 3, H, W).

        With `every_stage`, those of every stage and in it of every unit, from coarse to fine:
        4 * stages tensors of that shape, the last of which is the network's answer.
        """
        x: Tensor = self.top["conv"](images)
        x = functional.max_pool2d(x, 3, 2, padding=1)
        heatmaps: list[Tensor] = []
        skips: list[Tensor] = []
        for stage in self.stages:
            found, skips, x = stage(x, skips)
            heatmaps += found
        return tuple(heatmaps) if every_stage else heatmaps[-1]


class Stage(nn.Module):
    """A ResNet without its stem, and the path up from its last layer to its first."""

    def __init__(self, config: MSPNConfig, *, last: bool) -> None:
        super().__init__()
        inputs = (STEM_CHANNELS, *RESNET_CHANNELS)
        self.downsample = nn.ModuleDict()
        for i, blocks in enumerate(RESNET_BLOCKS[config.depth]):
            self.downsample[f"layer{i + 1}"] = resnet_layer(
                inputs[i], 64 << i, blocks, stride=2 if i else 1, bias=config.bias
            )
        self.upsample = nn.ModuleDict(
            {
                f"up{i + 1}": UpsampleUnit(config, RESNET_CHANNELS[3 - i], unit=i, last=last)
                for i in range(UNITS)
            }
        )

    def forward(
        self, x: Tensor, skips: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Return heatmaps from coarse to fine, and what the next stage takes: skips from fine to
        coarse, and its input (N, 64, H / 4, W / 4).

        `skips` are added to the layers' outputs, if there are any; the last stage returns none,
        and as input what it has.
        """
        features: list[Tensor] = []
        for i, layer in enumerate(self.downsample.values()):
            x = layer(x)
            if skips:
                x = x + skips[i]
            features.append(x)
        size = features[0].shape[2:]
        heatmaps: list[Tensor] = []
        onward: list[Tensor] = []
        below: Tensor | None = None
        for unit, feature in zip(self.upsample.values(), reversed(features), strict=True):
            assert isinstance(unit, UpsampleUnit)
            below = unit(feature, below)
            heatmaps.append(unit.heatmaps(below, size))
            if not unit.last:
                onward.insert(0, unit.skip1(feature) + unit.skip2(below))
        assert below is not None
        finest = self.upsample[f"up{UNITS}"]
        assert isinstance(finest, UpsampleUnit)
        return heatmaps, onward, below if finest.last else finest.cross_conv(below)


class UpsampleUnit(nn.Module):
    """One resolution of the path up: the ResNet's feature, joined with what comes from below."""

    cross_conv: ConvNorm

    def __init__(self, config: MSPNConfig, channels_in: int, *, unit: int, last: bool) -> None:
        super().__init__()
        layer = partial(ConvNorm, bias=config.bias)
        width = config.channels
        self.last = last
        self.u_skip = layer(channels_in, width, relu=False)
        if unit > 0:
            self.up_conv = layer(width, width, relu=False)
        if not last:
            self.skip1 = layer(channels_in, channels_in)
            self.skip2 = layer(width, channels_in)
            if unit == UNITS - 1:
                self.cross_conv = layer(width, STEM_CHANNELS)
        self.res_conv1 = layer(width, width)
        self.res_conv2 = layer(width, config.num_keypoints, 3, relu=False)

    def forward(self, x: Tensor, below: Tensor | None) -> Tensor:
        """Return (N, channels, h, w) for the feature x (N, channels_in, h, w), joined with `below`
        (N, channels, h / 2, w / 2), the output of the unit before, if there is one."""
        out: Tensor = self.u_skip(x)
        if below is not None:
            out = out + self.up_conv(_resized(below, x.shape[2:]))
        return functional.relu(out)

    def heatmaps(self, out: Tensor, size: Sequence[int]) -> Tensor:
        """Return heatmaps (N, K, *size) of the unit's output."""
        return _resized(self.res_conv2(self.res_conv1(out)), size)


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    return functional.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)


def build_mspn(config: MSPNConfig, *, seed: int = 0) -> MSPN:
    """Return the network that `config` describes, freshly initialised from `seed`.

    As its authors do: the ResNets' kernels from a normal distribution of variance 2 / fan-out, all
    other kernels and all biases uniform within 1 / sqrt(fan-in), batch norms as the identity. They
    then load an ImageNet ResNet-50.
    """
    with torch.device("meta"):
        net = MSPN(config)
    net.to_empty(device="cpu")
    _initialise(net, torch.Generator().manual_seed(seed))
    return net


@torch.no_grad()
def _initialise(net: MSPN, generator: torch.Generator) -> None:
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d):
            bound = 1 / math.sqrt(math.prod(module.weight.shape[1:]))
            if ".downsample." in name:
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", nonlinearity="relu", generator=generator
                )
            else:
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
