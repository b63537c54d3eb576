"""Layers that several networks share."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH_NORM_EPS = 1e-3
BATCH_NORM_MOMENTUM = 0.01
"""Keras' momentum 0.99, in torch's sense."""

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": functional.silu,
    "relu": functional.relu,
    "hardswish": functional.hardswish,
}
"""Name -> function. `hardswish` is `silu` in pieces (Howard et al., ICCV 2019); it and `relu` are
the cheap ones on CPUs."""


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Return a batch norm with Keras' constants."""
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution that stays in float32 inside bfloat16 autocast.

    On CPUs its bfloat16 backward is slower than its float32 one.
    """

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__(
            channels, channels, kernel, stride, padding=kernel // 2, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x (N, C, H, W), in x's dtype on the GPU, float32 on the CPU."""
        if x.device.type != "cpu":
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


@dataclass(kw_only=True)
class SharedRows:
    """Which samples are here, of a batch that several processes share. It changes with the batch.

    Random layers draw for the whole of it, so that a sample has the same draw wherever it is.
    """

    count: int = 0
    """Samples of the batch, here and elsewhere."""
    here: slice = field(default_factory=lambda: slice(None))
    """Those that are here."""


class StochasticDepth(nn.Module):
    """Drops a whole residual branch, sample by sample, while training (Huang et al., ECCV 2016).

    Kept branches are scaled by 1 / (1 - rate), as Keras' Dropout does.
    """

    generator: torch.Generator | None = None
    """Where the draws come from; None: torch's global generator. See `use_generator`."""
    rows: SharedRows | None = None
    """What the samples are part of; None: of nothing larger."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Return x (N, C, H, W) with the samples that were drawn set to zero."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        count = len(x) if self.rows is None else self.rows.count
        draw = torch.rand((count, 1, 1, 1), device=x.device, generator=self.generator)
        if self.rows is not None:
            draw = draw[self.rows.here]
        return x * ((draw < keep) / keep).to(x.dtype)


def use_generator(
    net: nn.Module, generator: torch.Generator | None, rows: SharedRows | None = None
) -> None:
    """Let every stochastic layer of `net` draw from `generator`, for `rows` if they are given."""
    for module in net.modules():
        if isinstance(module, StochasticDepth):
            module.generator, module.rows = generator, rows


@torch.no_grad()
def draw_normal(net: nn.Module, generator: torch.Generator, *, std: float = 0.001) -> None:
    """Draw every convolution's weight of `net` from a normal distribution, biases zero.

    Batch norms start as the identity. Source: `init_weights` of Xiao et al. (ECCV 2018) and of
    Sun et al. (CVPR 2019), whose standard deviation is the default.
    """
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=std, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
