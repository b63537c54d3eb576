"""Inception-ResNet-v2 as a trunk: features at strides 4, 8, 16 and 32.

CPN's paper has a row with this trunk, but its authors released no code of it: where features are
taken from, and that every layer pads to 'same' so that strides are exact, is ours. The network is
the one that its authors released with ImageNet's weights, of 10, 20 and 10 residual blocks; the
paper draws 5, 10 and 5, and a wider stem.

Source: Szegedy et al., AAAI 2017 (arXiv 1602.07261), sections 3.2 and 3.3.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from evopose.models.conv_norm import ConvNorm

INCEPTION_CHANNELS = (192, 320, 1088, 1536)
"""Channels of the four outputs."""

Layer = tuple[int, int | tuple[int, int]]
"""Channels and kernel of a convolution."""
Branches = tuple[tuple[Layer, ...], ...]
"""Chains of convolutions that are read side by side, their outputs joined."""

_ENTRY: Branches = (
    ((96, 1),),
    ((48, 1), (64, 5)),
    ((64, 1), (96, 3), (96, 3)),
)
"""Beside them, an average pool and ((64, 1),)."""
_A: Branches = (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3)))
_B: Branches = (((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1))))
_C: Branches = (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1))))
_REDUCTION_A: Branches = (((384, 3),), ((256, 1), (256, 3), (384, 3)))
_REDUCTION_B: Branches = (
    ((256, 1), (384, 3)),
    ((256, 1), (288, 3)),
    ((256, 1), (288, 3), (320, 3)),
)

_layer = partial(ConvNorm, norm=partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01))
"""Its authors' epsilon, and CPN's momentum."""


class InceptionResNetV2(nn.Module):
    """The trunk, without pooling and classifier.

    `forward` takes images (N, 3, H, W) and returns (N, 192, H/4, W/4) to (N, 1536, H/32, W/32).
    """

    def __init__(self) -> None:
        super().__init__()
        stem, channels_8, channels_16, channels_32 = INCEPTION_CHANNELS
        before = 2080
        self.stem1 = nn.Sequential(_layer(3, 32, 3, stride=2), _layer(32, 32, 3), _layer(32, 64, 3))
        self.stem2 = nn.Sequential(_layer(64, 80), _layer(80, stem, 3))
        self.entry = _branches(stem, _ENTRY)
        self.entry_pool = _layer(stem, 64)
        self.blocks_a = nn.Sequential(*(Residual(channels_8, _A, scale=0.17) for _ in range(10)))
        self.reduction_a = _branches(channels_8, _REDUCTION_A, stride=2)
        self.blocks_b = nn.Sequential(*(Residual(channels_16, _B, scale=0.1) for _ in range(20)))
        self.reduction_b = _branches(channels_16, _REDUCTION_B, stride=2)
        self.blocks_c = nn.Sequential(*(Residual(before, _C, scale=0.2) for _ in range(9)))
        self.last_block = Residual(before, _C, scale=1.0, relu=False)
        self.last = _layer(before, channels_32)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the four outputs, fine to coarse."""
        c2: Tensor = self.stem2(_halved(self.stem1(images)))
        x = _halved(c2)
        mean = functional.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False)
        c3 = self.blocks_a(torch.cat([*_joined(self.entry, x), self.entry_pool(mean)], 1))
        c4 = self.blocks_b(torch.cat([*_joined(self.reduction_a, c3), _halved(c3)], 1))
        x = torch.cat([*_joined(self.reduction_b, c4), _halved(c4)], 1)
        return c2, c3, c4, self.last(self.last_block(self.blocks_c(x)))


class Residual(nn.Module):
    """x plus `scale` times what its branches give, projected to x's channels."""

    def __init__(
        self, channels: int, branches: Branches, *, scale: float, relu: bool = True
    ) -> None:
        super().__init__()
        self.branches = _branches(channels, branches)
        self.project = nn.Conv2d(sum(branch[-1][0] for branch in branches), channels, 1)
        self.scale = scale
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, channels, h, w) for x (N, channels, h, w)."""
        y: Tensor = x + self.scale * self.project(torch.cat(_joined(self.branches, x), 1))
        return functional.relu(y) if self.relu else y


def _branches(channels_in: int, branches: Branches, *, stride: int = 1) -> nn.ModuleList:
    """Return the chains as modules; the last convolution of each has the stride."""
    chains = nn.ModuleList()
    for branch in branches:
        chain, width = nn.Sequential(), channels_in
        for i, (channels, kernel) in enumerate(branch):
            last = i == len(branch) - 1
            chain.append(_layer(width, channels, kernel, stride=stride if last else 1))
            width = channels
        chains.append(chain)
    return chains


def _joined(branches: nn.ModuleList, x: Tensor) -> list[Tensor]:
    return [branch(x) for branch in branches]


def _halved(x: Tensor) -> Tensor:
    """Return the largest of each 3x3, at every second pixel."""
    return functional.max_pool2d(x, 3, 2, padding=1)
