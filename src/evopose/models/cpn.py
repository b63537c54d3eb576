"""CPN: a feature pyramid whose every level gives heatmaps (GlobalNet), and a network over all its
levels that gives the answer (RefineNet).

Source: Chen et al., CVPR 2018 (arXiv 1711.07319); chenyilun95/tf-cpn at 48ea10d,
`models/COCO.res50.256x192.CPN/network.py`, `lib/nets/basemodel.py`.
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
from evopose.models.inception_resnet import INCEPTION_CHANNELS, InceptionResNetV2
from evopose.models.network import PoseNetwork
from evopose.models.resnet import RESNET_CHANNELS, Bottleneck, ResNet

RESNET_DEPTHS = (50, 101)
INCEPTION_RESNET = "inception-resnet-v2"
LEVELS = ("res2", "res3", "res4", "res5")
"""The trunk's outputs, at strides 4, 8, 16 and 32, as the authors' scopes name them."""
CHANNELS = 256
REFINE_WIDTH = 128
HEATMAP_STRIDE = 4
LARGEST_STRIDE = 32
BATCH_NORM_EPS = 1e-9
"""As the authors' code has it. TensorFlow's fused op of that time raised it to 1.001e-5, which
makes a difference only for channels whose variance is about as small."""
TRUNCATED_VARIANCE = 1.3
"""slim's factor for what a normal distribution loses when it is cut at two sigma."""

_norm = partial(nn.BatchNorm2d, eps=BATCH_NORM_EPS, momentum=0.01)


@dataclass(frozen=True, kw_only=True)
class CPNConfig:
    """Everything that determines a CPN but its weights."""

    input_hw: tuple[int, int] = (256, 192)
    """Multiples of 32."""
    num_keypoints: int = 17
    depth: int | str = 50
    """The trunk: a ResNet of 50 or 101 layers, or `inception-resnet-v2`."""

    def __post_init__(self) -> None:
        check_outline(self.input_hw, self.num_keypoints, multiple=LARGEST_STRIDE)
        if self.depth not in (*RESNET_DEPTHS, INCEPTION_RESNET):
            raise ConfigError(
                f"depth must be {', '.join(map(str, RESNET_DEPTHS))} or {INCEPTION_RESNET}, "
                f"got {self.depth}"
            )


class CPN(PoseNetwork):
    """The network of one configuration.

    `forward` takes images (N, 3, H, W), H and W multiples of 32, and returns heatmaps
    (N, K, H / 4, W / 4).
    """

    def __init__(self, config: CPNConfig) -> None:
        super().__init__()
        self.config = config
        channels: Sequence[int] = RESNET_CHANNELS
        if isinstance(config.depth, int):
            self.trunk: nn.Module = ResNet(config.depth, norm=_norm)
        else:
            self.trunk = InceptionResNetV2()
            channels = INCEPTION_CHANNELS
        self.global_net = GlobalNet(channels, config.num_keypoints)
        self.refine_net = RefineNet(config.num_keypoints)

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

        With `every_stage`, those of GlobalNet's four levels, from coarse to fine, and RefineNet's:
        5 tensors of that shape, the last of which is the network's answer.
        """
        pyramid, heatmaps = self.global_net(self.trunk(images))
        answer: Tensor = self.refine_net(pyramid)
        return (*heatmaps, answer) if every_stage else answer


class GlobalNet(nn.Module):
    """A feature pyramid from the trunk's outputs, heatmaps on each of its levels."""

    def __init__(self, channels: Sequence[int], num_keypoints: int) -> None:
        super().__init__()
        layer = partial(ConvNorm, norm=_norm)
        self.lateral = nn.ModuleDict(
            {level: layer(width, CHANNELS) for level, width in zip(LEVELS, channels, strict=True)}
        )
        self.merge = nn.ModuleDict(
            {level: nn.Conv2d(CHANNELS, CHANNELS, 1) for level in LEVELS[:-1]}
        )
        self.tmp = nn.ModuleDict({level: layer(CHANNELS, CHANNELS) for level in LEVELS})
        self.pyramid = nn.ModuleDict(
            {level: layer(CHANNELS, num_keypoints, 3, relu=False) for level in LEVELS}
        )

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return the pyramid (N, 256, h, w) from fine to coarse, and its heatmaps from coarse to
        fine at the size of the finest, for the trunk's outputs from fine to coarse."""
        size = features[0].shape[2:]
        pyramid: list[Tensor] = []
        heatmaps: list[Tensor] = []
        for level, feature in reversed(list(zip(LEVELS, features, strict=True))):
            x: Tensor = self.lateral[level](feature)
            if pyramid:
                x = self.merge[level](enlarged(pyramid[0], x.shape[2:])) + x
            pyramid.insert(0, x)
            heatmaps.append(enlarged(self.pyramid[level](self.tmp[level](x)), size))
        return pyramid, heatmaps


class RefineNet(nn.Module):
    """The coarser a level, the more bottlenecks; then all levels together give the heatmaps."""

    def __init__(self, num_keypoints: int) -> None:
        super().__init__()
        block = partial(Bottleneck, width=REFINE_WIDTH, channels_out=CHANNELS, norm=_norm)
        self.cascade = nn.ModuleDict(
            {
                level: nn.Sequential(*(block(CHANNELS) for _ in range(count)))
                for count, level in enumerate(LEVELS)
            }
        )
        self.final_bottleneck = block(len(LEVELS) * CHANNELS)
        self.refine_out = ConvNorm(CHANNELS, num_keypoints, 3, relu=False, norm=_norm)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Return heatmaps at the size of the finest level, for the pyramid from fine to coarse."""
        size = pyramid[0].shape[2:]
        levels = [
            enlarged(blocks(x), size)
            for blocks, x in zip(self.cascade.values(), pyramid, strict=True)
        ]
        heatmaps: Tensor = self.refine_out(self.final_bottleneck(torch.cat(levels, 1)))
        return heatmaps


def enlarged(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return x (N, C, h, w) at `size`, a multiple of (h, w), as TensorFlow 1 resizes bilinearly.

    Pixel i of the result lies at i / factor of x, and behind its last pixel x goes on with that
    pixel's value: `tf.image.resize_bilinear` with neither `align_corners` nor half-pixel centres.
    """
    height, width = size
    if (height, width) == tuple(x.shape[2:]):
        return x
    padded = functional.pad(x, (0, 1, 0, 1), mode="replicate")
    corners = functional.interpolate(
        padded, size=(height + 1, width + 1), mode="bilinear", align_corners=True
    )
    return corners[:, :, :-1, :-1]


def build_cpn(config: CPNConfig, *, seed: int = 0) -> CPN:
    """Return the network that `config` describes, freshly initialised from `seed`.

    As its authors do, who replace the ResNet's weights by ImageNet's: kernels of the trunk and of
    all bottlenecks from a normal distribution of variance 2.6 / fan-in, cut at two sigma; those of
    all other convolutions uniform within sqrt(6 / (fan-in + fan-out)); biases zero, batch norms as
    the identity.
    """
    with torch.device("meta"):
        net = CPN(config)
    net.to_empty(device="cpu")
    _initialise(net, torch.Generator().manual_seed(seed))
    return net


@torch.no_grad()
def _initialise(net: CPN, generator: torch.Generator) -> None:
    bottlenecks = ("trunk.", "refine_net.cascade.", "refine_net.final_bottleneck.")
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d):
            if name.startswith(bottlenecks):
                fan_in = math.prod(module.weight.shape[1:])
                std = math.sqrt(2 * TRUNCATED_VARIANCE / fan_in)
                nn.init.trunc_normal_(
                    module.weight, 0.0, std, -2 * std, 2 * std, generator=generator
                )
            else:
                nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
