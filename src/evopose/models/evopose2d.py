"""EvoPose2D: seven stages of inverted residual blocks and three transposed convolutions.

The module works on images turned by 180 degrees, with every spatial kernel turned as well:
TensorFlow's 'same' padding at stride 2 (the extra pixel goes to the bottom and right) then is
torch's symmetric padding, and nothing is padded or cropped by hand. `forward` does the turning.

Source: EvoPose2D (arXiv 2011.08446); official `nets/evopose2d.py` at ea05b81.
"""

import math

import torch
from torch import Tensor, nn

from evopose.models.evopose2d_plan import BlockPlan, EvoPose2DConfig, heatmap_hw, plan
from evopose.models.layers import ACTIVATIONS, DepthwiseConv2d, StochasticDepth, batch_norm
from evopose.models.network import PoseNetwork

KERNEL_ROTATION = 180
"""Degrees by which the module's kernels are turned against the official ones."""
TRUNCATED_STDDEV = 0.87962566
"""Standard deviation of a unit normal cut at two sigma."""


class EvoPose2D(PoseNetwork):
    """The network of one genotype.

    `forward` takes upright images (N, 3, H, W), RGB, normalised by ImageNet's mean and standard
    deviation, and returns heatmaps (N, K, h, w). The layout is channels-last inside.
    """

    def __init__(self, config: EvoPose2DConfig) -> None:
        super().__init__()
        self.config = config
        shape = plan(config)
        self.stem_conv = nn.Conv2d(3, shape.stem, 3, 2, padding=1, bias=False)
        self.stem_bn = batch_norm(shape.stem)
        self.stem_activation = ACTIVATIONS[shape.stem_activation]
        self.stages = nn.ModuleList(
            nn.Sequential(*(InvertedResidual(block) for block in stage)) for stage in shape.stages
        )
        channels = shape.blocks[-1].channels_out
        self.head = nn.Sequential()
        for width in shape.head:
            self.head.append(HeadBlock(channels, width, config.head_kernel, config.head_activation))
            channels = width
        final = config.final_kernel
        self.final_conv = nn.Conv2d(channels, config.num_keypoints, final, padding=final // 2)

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """(height, width) of the heatmaps at `config.input_hw`."""
        return heatmap_hw(self.config)

    def forward(self, images: Tensor) -> Tensor:
        """Return heatmaps (N, K, h, w) of images (N, 3, H, W)."""
        x = images.flip(2, 3).contiguous(memory_format=torch.channels_last)
        x = self.stem_activation(self.stem_bn(self.stem_conv(x)))
        for stage in self.stages:
            x = stage(x)
        heatmaps: Tensor = self.final_conv(self.head(x)).flip(2, 3)
        return heatmaps


class InvertedResidual(nn.Module):
    """MBConv with squeeze-excite: expand, depthwise, excite, project (Tan and Le, ICML 2019)."""

    def __init__(self, shape: BlockPlan) -> None:
        super().__init__()
        self.shape = shape
        self.activation = ACTIVATIONS[shape.activation]
        hidden = shape.hidden
        if shape.expand != 1:
            self.expand_conv = nn.Conv2d(shape.channels_in, hidden, 1, bias=False)
            self.expand_bn = batch_norm(hidden)
        self.dwconv = DepthwiseConv2d(hidden, shape.kernel, shape.stride)
        self.bn = batch_norm(hidden)
        self.se_reduce = nn.Conv2d(hidden, shape.squeeze, 1)
        self.se_expand = nn.Conv2d(shape.squeeze, hidden, 1)
        self.project_conv = nn.Conv2d(hidden, shape.channels_out, 1, bias=False)
        self.project_bn = batch_norm(shape.channels_out)
        self.drop = StochasticDepth(shape.drop_rate if shape.skip else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output (N, C_out, H', W') for x (N, C_in, H, W)."""
        y: Tensor = x
        if self.shape.expand != 1:
            y = self.activation(self.expand_bn(self.expand_conv(y)))
        y = self.activation(self.bn(self.dwconv(y)))
        gate = self.activation(self.se_reduce(y.mean((2, 3), keepdim=True)))
        y = y * torch.sigmoid(self.se_expand(gate))
        y = self.project_bn(self.project_conv(y))
        if self.shape.skip:
            y = x + self.drop(y)
        return y


class HeadBlock(nn.Module):
    """A transposed convolution that doubles the resolution, batch norm and activation."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, activation: str = "silu"
    ) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        padding = (kernel - 1) // 2
        self.conv = nn.ConvTranspose2d(
            channels_in,
            channels_out,
            kernel,
            stride=2,
            padding=padding,
            output_padding=2 * padding + 2 - kernel,
            bias=False,
        )
        self.bn = batch_norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C_out, 2 H, 2 W) for x (N, C_in, H, W)."""
        y: Tensor = self.activation(self.bn(self.conv(x)))
        return y


def build_evopose2d(config: EvoPose2DConfig, *, seed: int = 0) -> EvoPose2D:
    """Return the network that `config` describes, freshly initialised from `seed`."""
    with torch.device("meta"):
        net = EvoPose2D(config)
    net.to_empty(device="cpu")
    initialise(net, torch.Generator().manual_seed(seed))
    return net


@torch.no_grad()
def initialise(net: EvoPose2D, generator: torch.Generator) -> None:
    """Draw every weight of `net` anew: Keras' variance scaling with Keras' fan-out.

    Kernels: normal cut at two sigma, stddev sqrt(2 / fan_out) / 0.8796; the final convolution:
    uniform within sqrt(1 / fan_out). fan_out is the last axis of the kernel in Keras' layout times
    k * k: output channels for convolutions, 1 for depthwise, input channels for transposed ones.
    """
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            depthwise = module.groups > 1
            last_axis = 1 if depthwise else module.weight.shape[0]
            fan_out = last_axis * math.prod(module.kernel_size)
            if module is net.final_conv:
                bound = math.sqrt(1 / fan_out)
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            else:
                std = math.sqrt(2 / fan_out) / TRUNCATED_STDDEV
                nn.init.trunc_normal_(
                    module.weight, 0.0, std, -2 * std, 2 * std, generator=generator
                )
            if module.bias is not None:
                nn.init.zeros_(module.bias)
