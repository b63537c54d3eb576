"""Decoding inside an exported file: what a codec does in NumPy, as layers of the network."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from evopose.codecs import GaussianCodec, SoftArgmaxCodec, make_codec
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
            f"a file cannot decode as {name} does: it decodes {' and '.join(DECODERS)} inside; "
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
        highest = flat.gather(2, best)
        found = (
            (x + 0.25 * higher[0]) * (input_w / w),
            (y + 0.25 * higher[1]) * (input_h / h),
            self._scores(flat, highest),
        )
        return torch.cat(found, 2)

    def _scores(self, flat: Tensor, highest: Tensor) -> Tensor:
        if self.codec.activation == "none":
            return highest / self.codec.peak
        assert self.codec.sigma is not None  # set at construction
        total = torch.exp(flat - highest).sum(2, keepdim=True)
        return (2 * math.pi * self.codec.sigma**2 / total).clamp(max=1.0)


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


DECODERS: dict[str, Callable[..., nn.Module]] = {
    "gaussian": GaussianDecoder,
    "soft_argmax": SoftArgmaxDecoder,
}
"""Codec -> its decoding as layers."""
