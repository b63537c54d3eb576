"""PoseFix: a ResNet that sees an image and a pose, and says where the pose should be.

Source: Moon, Chang and Lee, CVPR 2019 (arXiv 1812.03595); mks0601/PoseFix_RELEASE `main/model.py`,
`lib/nets/basemodel.py` at 5556364.
"""

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from evopose.errors import ConfigError
from evopose.models.checks import check_outline
from evopose.models.network import PoseNetwork
from evopose.models.resnet import RESNET_BLOCKS, RESNET_CHANNELS, ResNet

TRUNK_STRIDE = 32
HEAD_BLOCKS = 3
HEAD_CHANNELS = 256
POSE_PEAK = 255.0
"""Height of the Gaussian that stands for a keypoint of the input pose."""
BATCH_NORM_EPS = 1.001e-5
"""The release asks for 1e-9; TensorFlow 1.x's fused batch norm raised that to 1.001e-5."""
BATCH_NORM_MOMENTUM = 0.01
"""Its decay 0.99, in torch's sense."""


@dataclass(frozen=True, kw_only=True)
class PoseFixConfig:
    """Everything that determines a PoseFix but its weights.

    Raises: ConfigError for sizes that 32 does not divide, unknown depths, a sigma of 0 or less.
    """

    input_hw: tuple[int, int] = (384, 288)
    num_keypoints: int = 17
    depth: int = 152
    """Of the ResNet: 50, 101 or 152."""
    sigma: float | None = None
    """Of the input pose's Gaussians, in pixels of the input; None: 3 + height / 64, which is the
    authors' 7 at 256 and 9 at 384 rows."""

    def __post_init__(self) -> None:
        check_outline(self.input_hw, self.num_keypoints, multiple=TRUNK_STRIDE)
        if self.depth not in RESNET_BLOCKS:
            raise ConfigError(
                f"depth must be one of {', '.join(map(str, RESNET_BLOCKS))}, got {self.depth}"
            )
        if self.sigma is None:
            object.__setattr__(self, "sigma", 3 + self.input_hw[0] / 64)
        if not (self.sigma and self.sigma > 0):
            raise ConfigError(f"sigma must be positive, got {self.sigma}")


class PoseFix(PoseNetwork):
    """The network of one configuration.

    `forward` takes images (N, 3, H, W) and poses (N, K, 3: x, y in pixels of the crop, and a third
    number above 0 where the keypoint is known), and returns logits (N, K, H / 4, W / 4): after a
    softmax over all pixels, where each keypoint probably is. The codec `soft_argmax` reads them.
    """

    refines = True
    """It takes poses beside images."""

    def __init__(self, config: PoseFixConfig) -> None:
        super().__init__()
        self.config = config
        norm = functools.partial(nn.BatchNorm2d, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)
        channels_in = 3 + config.num_keypoints
        self.trunk = ResNet(config.depth, channels_in=channels_in, norm=norm)
        self.deconv_layers = nn.Sequential()
        channels = RESNET_CHANNELS[-1]
        for _ in range(HEAD_BLOCKS):
            up = nn.ConvTranspose2d(channels, HEAD_CHANNELS, 4, stride=2, padding=1, bias=False)
            self.deconv_layers.extend((up, norm(HEAD_CHANNELS), nn.ReLU()))
            channels = HEAD_CHANNELS
        self.final_layer = nn.Conv2d(channels, config.num_keypoints, 1)

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """(height, width) of the logits at `config.input_hw`."""
        height, width = ((side // TRUNK_STRIDE) << HEAD_BLOCKS for side in self.config.input_hw)
        return height, width

    def forward(self, images: Tensor, poses: Tensor) -> Tensor:
        """Return logits (N, K, h, w) of images (N, 3, H, W) and poses (N, K, 3) in crop pixels."""
        assert self.config.sigma is not None  # set at construction
        height, width = images.shape[2:]
        maps = pose_maps(poses, size_hw=(height, width), sigma=self.config.sigma)
        x = torch.cat((images, maps.to(images.dtype)), 1)
        logits: Tensor = self.final_layer(self.deconv_layers(self.trunk(x)[-1]))
        return logits


def pose_maps(poses: Tensor, *, size_hw: tuple[int, int], sigma: float) -> Tensor:
    """Return maps (N, K, H, W), float32, of poses (N, K, 3) in pixels of the maps: a Gaussian of
    height 255 at each keypoint, zeros where the third number is not above 0.
    """
    known = poses[..., 2:] > 0
    xy = torch.where(known, poses[..., :2].detach().float(), 0.0)
    y, x = (
        torch.exp(-(((torch.arange(side, device=xy.device) - centre[..., None]) / sigma) ** 2) / 2)
        for side, centre in zip(size_hw, (xy[..., 1], xy[..., 0]), strict=True)
    )
    y = y * (known * POSE_PEAK)
    return y[..., :, None] * x[..., None, :]


def soft_argmax(logits: Tensor) -> Tensor:
    """Return (N, K, 2), float32: the mean place (x, y) under softmax(logits), in its pixels."""
    probability = functional.softmax(logits.float().flatten(2), -1).view(logits.shape)
    columns, rows = probability.sum(2), probability.sum(3)
    places = (torch.arange(p.shape[-1], device=p.device).float() for p in (columns, rows))
    return torch.stack([p @ at for p, at in zip((columns, rows), places, strict=True)], -1)


def build_posefix(config: PoseFixConfig, *, seed: int = 0) -> PoseFix:
    """Return the network that `config` describes, freshly initialised from `seed`.

    As its authors do: convolutions from a normal distribution of variance 2.6 / fan-in, transposed
    ones of deviation 0.01, both cut at two deviations; batch norms as the identity. They replace
    the trunk's weights by ImageNet's, those for the pose's channels aside; see
    `importers.posefix`.
    """
    with torch.device("meta"):
        net = PoseFix(config)
    net.to_empty(device="cpu")
    _initialise(net, torch.Generator().manual_seed(seed))
    return net


@torch.no_grad()
def _initialise(net: PoseFix, generator: torch.Generator) -> None:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            fan_in = module.weight[0].numel()
            std = 0.01 if isinstance(module, nn.ConvTranspose2d) else math.sqrt(2.6 / fan_in)
            _draw_cut_normal(module.weight, std, generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _draw_cut_normal(weight: Tensor, std: float, generator: torch.Generator) -> None:
    """Draw from a normal distribution, and what lies beyond two deviations again, as TensorFlow
    does; many times faster than torch's `trunc_normal_`.
    """
    flat = weight.normal_(0, std, generator=generator).view(-1)
    beyond = (flat.abs() > 2 * std).nonzero()[:, 0]
    while len(beyond):
        flat[beyond] = flat.new_empty(len(beyond)).normal_(0, std, generator=generator)
        beyond = beyond[flat[beyond].abs() > 2 * std]
