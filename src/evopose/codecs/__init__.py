"""Codecs: how keypoints become heatmaps, and heatmaps keypoints.

SimCC is not among them: it reads two vectors a keypoint, one an axis, and no heatmap.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evopose.codecs.dark import DarkCodec
from evopose.codecs.gaussian import GaussianCodec
from evopose.codecs.grids import Grid
from evopose.codecs.megvii import MegviiCodec
from evopose.codecs.soft_argmax import SoftArgmaxCodec
from evopose.codecs.udp import UdpCodec
from evopose.errors import ConfigError

__all__ = [
    "CODECS",
    "Codec",
    "DarkCodec",
    "GaussianCodec",
    "Grid",
    "MegviiCodec",
    "SoftArgmaxCodec",
    "UdpCodec",
    "make_codec",
]


class Codec(Protocol):
    """Between keypoints in crop pixels and heatmaps, for one input and one heatmap size."""

    @property
    def flip_shift(self) -> int:
        """Heatmap pixels to the right by which the answer to a mirrored crop, mirrored back, is
        moved."""

    @property
    def align_corners(self) -> bool:
        """Whether its crops' corner pixels lie on the box's corners; else their edges do."""

    @property
    def grid(self) -> Grid:
        """How heatmap pixels lie on the crop."""

    def encode(
        self, xy_crop: NDArray[np.floating], visible: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return heatmaps (B, K, h, w) of keypoints (B, K, 2); zero where not visible (B, K)."""

    def decode(
        self, heatmaps: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return keypoints (B, K, 2) in crop pixels and scores (B, K) of heatmaps (B, K, h, w)."""


class CodecClass(Protocol):
    """What is known of a codec before there are sizes, and how it is made."""

    @property
    def align_corners(self) -> bool:
        """As `Codec.align_corners`."""

    def __call__(self, *args: Any, **params: Any) -> Codec:
        """Return the codec with these parameters."""


CODECS: dict[str, CodecClass] = {
    "gaussian": GaussianCodec,
    "dark": DarkCodec,
    "udp": UdpCodec,
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
