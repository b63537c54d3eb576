"""Codecs: how keypoints become heatmaps, and heatmaps keypoints."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evopose.codecs.gaussian import GaussianCodec
from evopose.codecs.megvii import MegviiCodec
from evopose.codecs.soft_argmax import SoftArgmaxCodec
from evopose.errors import ConfigError

__all__ = ["CODECS", "Codec", "GaussianCodec", "MegviiCodec", "SoftArgmaxCodec", "make_codec"]


class Codec(Protocol):
    """Between keypoints in crop pixels and heatmaps, for one input and one heatmap size."""

    def encode(
        self, xy_crop: NDArray[np.floating], visible: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return heatmaps (B, K, h, w) of keypoints (B, K, 2); zero where not visible (B, K)."""

    def decode(
        self, heatmaps: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return keypoints (B, K, 2) in crop pixels and scores (B, K) of heatmaps (B, K, h, w)."""


CODECS: dict[str, Callable[..., Codec]] = {
    "gaussian": GaussianCodec,
    "megvii": MegviiCodec,
    "soft_argmax": SoftArgmaxCodec,
}
"""Every codec by name; each is made with `input_hw`, `heatmap_hw` and parameters of its own."""


def make_codec(
    name: str,
    input_hw: tuple[int, int],
    heatmap_hw: tuple[int, int],
    **params: float | str | Sequence[int] | None,
) -> Codec:
    """Return the codec of that name for these sizes.

    Raises: ConfigError for an unknown name or parameter.
    """
    if name not in CODECS:
        raise ConfigError(f"unknown codec {name!r}; there are: {', '.join(CODECS)}")
    try:
        return CODECS[name](input_hw=input_hw, heatmap_hw=heatmap_hw, **params)
    except TypeError as error:
        raise ConfigError(f"codec {name!r}: {error}") from error
