"""ResNet, written once: the trunk of SimpleBaseline, CPN, MSPN and PoseFix.

Names in the state dict are those of torchvision and of the authors' code (`conv1`, `bn1`,
`layer1.0.conv1`, `layer1.0.downsample.0`), so that importers have little to rename.

Source: He et al., CVPR 2016 (arXiv 1512.03385), table 1.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

RESNET_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Depth -> bottlenecks in each of the four layers."""
RESNET_CHANNELS = (256, 512, 1024, 2048)
"""Channels of the four layers' outputs, at strides 4, 8, 16 and 32."""

Norm = Callable[[int], nn.Module]


class Bottleneck(nn.Module):
    """1x1 to `width`, 3x3, 1x1 to `channels_out`, around them a shortcut.

    `stride_on_1x1` puts the stride on the first convolution, as the paper and Caffe do; else it is
    on the 3x3, as in torchvision. The shortcut is projected where the shape changes, or always if
    `project` is True.
    """

    def __init__(
        self,
        channels_in: int,
        width: int,
        channels_out: int,
        *,
        stride: int = 1,
        stride_on_1x1: bool = False,
        project: bool = False,
        bias: bool = False,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_on_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(channels_in, width, 1, first, bias=bias)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, padding=1, bias=bias)
        self.bn2 = norm(width)
        self.conv3 = nn.Conv2d(width, channels_out, 1, bias=bias)
        self.bn3 = norm(channels_out)
        self.downsample: nn.Module | None = None
        if project or stride != 1 or channels_in != channels_out:
            shortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=bias)
            self.downsample = nn.Sequential(shortcut, norm(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, channels_out, H / stride, W / stride) for x (N, channels_in, H, W)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


def resnet_layer(
    channels_in: int,
    width: int,
    blocks: int,
    *,
    stride: int,
    stride_on_1x1: bool = False,
    bias: bool = False,
    norm: Norm = nn.BatchNorm2d,
) -> nn.Sequential:
    """Return `blocks` bottlenecks to 4 `width` channels, the first with the stride."""
    return nn.Sequential(
        *(
            Bottleneck(
                4 * width if i else channels_in,
                width,
                4 * width,
                stride=1 if i else stride,
                stride_on_1x1=stride_on_1x1,
                bias=bias,
                norm=norm,
            )
            for i in range(blocks)
        )
    )


class ResNet(nn.Module):
    """The trunk: a stem of stride 4 and four layers, without pooling and classifier.

    `forward` takes images (N, C, H, W) and returns the four layers' outputs, (N, 256, H/4, W/4) to
    (N, 2048, H/32, W/32).
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(
        self,
        depth: int,
        *,
        channels_in: int = 3,
        stride_on_1x1: bool = False,
        bias: bool = False,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, 64, 7, 2, padding=3, bias=bias)
        self.bn1 = norm(64)
        before = 64
        for i, blocks in enumerate(RESNET_BLOCKS[depth]):
            layer = resnet_layer(
                before,
                64 << i,
                blocks,
                stride=2 if i else 1,
                stride_on_1x1=stride_on_1x1,
                bias=bias,
                norm=norm,
            )
            self.add_module(f"layer{i + 1}", layer)
            before = RESNET_CHANNELS[i]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the outputs of the four layers, fine to coarse."""
        x = functional.relu(self.bn1(self.conv1(images)))
        x = functional.max_pool2d(x, 3, 2, padding=1)
        c2 = self.layer1(x)
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        return c2, c3, c4, self.layer4(c4)
