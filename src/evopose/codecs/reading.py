"""Reading a network's heatmaps by another codec than its own."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.codecs import CODECS, Codec, DarkCodec, Grid, UdpCodec, make_codec
from evopose.codecs.soft_argmax import usual_window
from evopose.errors import ConfigError

TENT = 0.5
"""About the standard deviation, in pixels, of soft_argmax's targets."""


@dataclass(frozen=True, kw_only=True)
class ReadBy:
    """A codec whose keypoints are found by another's decoding.

    Where heatmap pixels lie on the crop, and what scores mean, the network has learned: both stay
    its own codec's.
    """

    own: Codec
    reader: Codec

    @property
    def flip_shift(self) -> int:
        """That of the own codec."""
        return self.own.flip_shift

    @property
    def align_corners(self) -> bool:
        """That of the own codec."""
        return self.own.align_corners

    @property
    def grid(self) -> Grid:
        """That of the own codec."""
        return self.own.grid

    def encode(
        self, xy_crop: NDArray[np.floating], visible: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return what the own codec returns."""
        return self.own.encode(xy_crop, visible)

    def decode(
        self, heatmaps: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return keypoints (B, K, 2) in crop pixels, and the own codec's scores (B, K)."""
        _, scores = self.own.decode(heatmaps)
        xy, _ = self.reader.decode(heatmaps)
        return self.grid.to_crop(self.reader.grid.to_heatmap(xy)), scores


def make_reader(
    decoder: str,
    name: str,
    input_hw: tuple[int, int],
    heatmap_hw: tuple[int, int],
    **params: Any,
) -> Codec:
    """Return the codec `name` with these `params`, its heatmaps read as `decoder` reads its own.

    Raises: ConfigError for an unknown name, and where the heatmaps cannot be read so.
    """
    own = make_codec(name, input_hw, heatmap_hw, **params)
    if decoder == name:
        return own
    if decoder not in CODECS:
        raise ConfigError(f"unknown decoder {decoder!r}; there are: {', '.join(CODECS)}")
    activation = getattr(own, "activation", "none")
    if decoder == "soft_argmax" and activation != "softmax":
        raise ConfigError(
            "soft_argmax reads distributions over pixels, and this network gives heatmaps: it is "
            "for networks trained with the softmax loss"
        )
    if decoder == "megvii" and activation == "softmax":
        raise ConfigError(
            "megvii reads heatmaps, and this network gives logits over pixels: it is for networks "
            "trained on heatmaps (the losses mse, cpn and mspn)"
        )
    told: dict[str, Any] = {}
    if decoder != "megvii":
        told = {"activation": activation}
    if decoder in ("dark", "udp"):
        told |= {"sigma": _sigma(own)}
        if isinstance(own, DarkCodec | UdpCodec):
            told |= {"blur_kernel": own.blur_kernel}
    if decoder == "soft_argmax":
        told |= {"window": usual_window(heatmap_hw[0])}
    return ReadBy(own=own, reader=make_codec(decoder, input_hw, heatmap_hw, **told))


def _sigma(own: Codec) -> float:
    """Return the standard deviation of the codec's targets, in heatmap pixels."""
    if sigma := getattr(own, "sigma", None):
        return float(sigma)
    if kernels := getattr(own, "kernels", None):
        return 0.3 * ((int(kernels[-1]) - 1) / 2 - 1) + 0.8  # OpenCV's rule
    return TENT
