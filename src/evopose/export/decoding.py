"""Decoding inside an exported file: what a codec does in NumPy, as layers of the network."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from evopose.codecs import (
    DarkCodec,
    GaussianCodec,
    SoftArgmaxCodec,
    UdpCodec,
    dark,
    make_codec,
    udp,
)
from evopose.codecs.taylor import LONGEST, Derivatives, blur_matrix
from evopose.errors import ModelError
from evopose.models.card import ModelCard


def make_decoder(card: ModelCard, heatmap_hw: tuple[int, int]) -> nn.Module:
    """Return what finds keypoints (N, K, 3: x, y in crop pixels, score) in heatmaps (N, K, h, w) as
    the card's codec does.

    Raises: ModelError for a codec that cannot be written as layers.
    """
    name = card.codec.name
    if name not in DECODERS:
        raise ModelError(
            f"a file cannot decode as {name} does: it decodes {', '.join(DECODERS)} inside; "
            "export without --decode, and evopose decodes what the file answers"
        )
    return DECODERS[name](make_codec(name, card.input_hw, heatmap_hw, **card.codec.params))


class GaussianDecoder(nn.Module):
    """As `GaussianCodec.decode`: the highest pixel, a quarter toward the higher neighbour."""

    def __init__(self, codec: GaussianCodec) -> None:
        super().__init__()
        self.codec = codec

    def forward(self, heatmaps: Tensor) -> Tensor:
        """Return keypoints (N, K, 3) of heatmaps (N, K, h, w)."""
        (input_h, input_w), (h, w) = self.codec.input_hw, self.codec.heatmap_hw
        flat = heatmaps.flatten(2)
        best = flat.argmax(2, keepdim=True)
        y = torch.div(best, w, rounding_mode="floor")
        x = best - y * w
        inside = (x > 1) & (x < w - 1) & (y > 1) & (y < h - 1)
        at = torch.where(inside, best, w)  # of what lies at the border, any pixel with neighbours
        higher = [
            torch.sign(flat.gather(2, at + step) - flat.gather(2, at - step)) * inside
            for step in (1, w)
        ]
        found = (
            (x + 0.25 * higher[0]) * (input_w / w),
            (y + 0.25 * higher[1]) * (input_h / h),
            _scores(self.codec, flat, flat.gather(2, best)),
        )
        return torch.cat(found, 2)


class SummitDecoder(nn.Module):
    """As `codecs.taylor.read_summits`: one step from the highest pixel to the blurred summit."""

    blur: Tensor
    around: Tensor

    def __init__(
        self,
        codec: DarkCodec | UdpCodec,
        derivatives: Callable[[Tensor], Derivatives[Tensor]],
        reach: int,
    ) -> None:
        super().__init__()
        assert codec.sigma is not None  # set at construction, as is the kernel
        assert codec.blur_kernel is not None
        self.codec, self.derivatives, self.reach = codec, derivatives, reach
        self.longest = LONGEST * codec.sigma
        self.wide = reach + codec.blur_kernel // 2
        side = 2 * self.wide + 1
        self.register_buffer("blur", torch.tensor(blur_matrix(codec.blur_kernel, side)).float())
        row = codec.heatmap_hw[1] + 2 * self.wide
        places = torch.arange(side)[:, None] * row + torch.arange(side)
        self.register_buffer("around", places.flatten())

    def forward(self, heatmaps: Tensor) -> Tensor:
        """Return keypoints (N, K, 3) of heatmaps (N, K, h, w)."""
        h, w = self.codec.heatmap_hw
        flat = heatmaps.flatten(2)
        best = flat.argmax(2, keepdim=True)
        highest = flat.gather(2, best)
        y = torch.div(best, w, rounding_mode="floor")
        x = best - y * w
        dx, dy, dxx, dxy, dyy = self.derivatives(self._logarithms(heatmaps, highest, x, y))
        determinant = dxx * dyy - dxy * dxy
        summit = (determinant > 0) & (dxx < 0)
        safe = torch.where(summit, determinant, 1.0)
        steps = (dxy * dy - dyy * dx) / safe, (dxy * dx - dxx * dy) / safe
        summit = summit & (steps[0].abs() <= self.longest) & (steps[1].abs() <= self.longest)
        taken = summit[..., None] & self._inner(x, w) & self._inner(y, h)
        grid = self.codec.grid
        found = [
            (at + torch.where(taken, step[..., None], 0.0)) * stride + offset
            for at, step, stride, offset in zip(
                (x, y), steps, grid.stride_xy, grid.offset_xy, strict=True
            )
        ]
        return torch.cat((*found, _scores(self.codec, flat, highest)), 2)

    def _logarithms(self, heatmaps: Tensor, highest: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the logarithms (N, K, s, s) of blurred heatmaps around pixels x, y (N, K, 1)."""
        logits = self.codec.activation == "softmax"
        logarithms = logits and self.codec.blur_kernel == 1  # already
        if logits:
            heatmaps = heatmaps - highest[..., None]
        if logits and not logarithms:
            heatmaps = torch.exp(heatmaps)
        padded = pad(heatmaps, [self.wide] * 4)
        begin = y * padded.shape[3] + x
        window = padded.flatten(2).gather(2, begin + self.around)
        side = 2 * self.wide + 1
        window = window.reshape(*window.shape[:2], side, side)
        if logarithms:
            return window
        blurred = self.blur @ window @ self.blur.T
        positive = blurred > 0
        return torch.where(positive, torch.log(torch.where(positive, blurred, 1.0)), math.nan)

    def _inner(self, at: Tensor, side: int) -> Tensor:
        return (at >= self.reach) & (at < side - self.reach)


class SoftArgmaxDecoder(nn.Module):
    """As `SoftArgmaxCodec.decode` over the whole heatmap: the mean place."""

    rows: Tensor
    columns: Tensor

    def __init__(self, codec: SoftArgmaxCodec) -> None:
        super().__init__()
        if codec.window is not None:
            raise ModelError(
                "a file cannot decode soft_argmax in a window inside; export without --decode"
            )
        self.codec = codec
        height, width = codec.heatmap_hw
        self.register_buffer("rows", torch.arange(height, dtype=torch.float32))
        self.register_buffer("columns", torch.arange(width, dtype=torch.float32))

    def forward(self, heatmaps: Tensor) -> Tensor:
        """Return keypoints (N, K, 3) of heatmaps (N, K, h, w)."""
        (input_h, input_w), (height, width) = self.codec.input_hw, self.codec.heatmap_hw
        if self.codec.activation == "softmax":
            share = torch.softmax(heatmaps.flatten(2), 2).reshape(heatmaps.shape)
        else:
            weight = heatmaps.clamp(min=0)
            total = weight.sum((2, 3), keepdim=True)
            share = weight / torch.where(total > 0, total, 1.0)
        x = (share.sum(2) * self.columns).sum(2, keepdim=True)
        y = (share.sum(3) * self.rows).sum(2, keepdim=True)
        near_x = ((self.columns - x).abs() < 1).float()
        near_y = ((self.rows - y).abs() < 1).float()
        score = ((share * near_x[:, :, None]).sum(3) * near_y).sum(2, keepdim=True)
        return torch.cat((x * (input_w / width), y * (input_h / height), score), 2)


def _scores(codec: GaussianCodec | DarkCodec | UdpCodec, flat: Tensor, highest: Tensor) -> Tensor:
    """Return the scores (N, K, 1) of heatmaps (N, K, h * w) and their highest values."""
    if codec.activation == "none":
        return highest / codec.peak
    assert codec.sigma is not None  # set at construction
    total = torch.exp(flat - highest).sum(2, keepdim=True)
    return (2 * math.pi * codec.sigma**2 / total).clamp(max=1.0)


DECODERS: dict[str, Callable[..., nn.Module]] = {
    "gaussian": GaussianDecoder,
    "dark": partial(SummitDecoder, derivatives=dark.derivatives, reach=dark.REACH),
    "udp": partial(SummitDecoder, derivatives=udp.derivatives, reach=udp.REACH),
    "soft_argmax": SoftArgmaxDecoder,
}
"""Codec -> its decoding as layers."""
