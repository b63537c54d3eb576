"""PoseFix's codec: four weighted pixels for each keypoint; the mean place back."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evopose.codecs import heatmaps as shared
from evopose.codecs.grids import Grid, first_pixels
from evopose.errors import ConfigError


def usual_window(rows: int) -> int:
    """Return the window, in heatmap pixels, for heatmaps of so many rows: an eighth of them."""
    return max(1, rows // 8)


@dataclass(frozen=True, kw_only=True)
class SoftArgmaxCodec:
    """A keypoint's heatmap is a distribution over pixels, whose mean is the keypoint.

    Pixel (0, 0) of the heatmap lies on pixel (0, 0) of the crop.

    Raises: ConfigError for sizes that are not positive, or another activation.

    Source: mks0601/PoseFix_RELEASE `main/model.py` at 5556364, `render_onehot_heatmap`,
    `extract_coordinate`.
    """

    flip_shift: ClassVar[int] = 1
    align_corners: ClassVar[bool] = False

    input_hw: tuple[int, int]
    """Height and width of the network's input."""
    heatmap_hw: tuple[int, int]
    """Height and width of its heatmaps."""
    activation: str = "none"
    """What the network's output is: distributions (`none`), or their logits (`softmax`)."""
    window: int | None = None
    """Heatmap pixels from the highest one, on either axis, within which the mean is taken; None:
    over all, as released. A network that is unsure between two places has its mean over all between
    them, and with a little probability everywhere a mean drawn to the middle."""

    def __post_init__(self) -> None:
        shared.check_sizes(self.input_hw, self.heatmap_hw)
        shared.check_activation(self.activation)
        if self.window is not None and self.window < 1:
            raise ConfigError(f"window must be at least 1 pixel, or None, got {self.window}")

    @property
    def grid(self) -> Grid:
        """How heatmap pixels lie on the crop."""
        return first_pixels(self.input_hw, self.heatmap_hw)

    def encode(
        self, xy_crop: NDArray[np.floating], visible: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return heatmaps (B, K, h, w) of keypoints (B, K, 2) in crop pixels: the weights of
        bilinear interpolation, their sum made one where some lie outside.

        Keypoints that are not `visible` (B, K), or lie a heatmap pixel outside, have zeros.
        """
        x, y = np.moveaxis(np.where(visible[..., None], xy_crop, -np.inf) / self._stride, -1, 0)
        maps = self._tent(y, self.heatmap_hw[0])[..., :, None]
        maps = maps * self._tent(x, self.heatmap_hw[1])[..., None, :]
        total = maps.sum(axis=(2, 3), keepdims=True)
        return np.asarray(maps / np.where(total > 0, total, 1), np.float32)

    def decode(
        self, heatmaps: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return keypoints (B, K, 2) in crop pixels and scores (B, K) of heatmaps (B, K, h, w).

        The mean place, in the window, and the share of all that the four pixels around it have. A
        heatmap without anything in it gives the origin and 0.
        """
        height, width = self.heatmap_hw
        if heatmaps.ndim != 4 or heatmaps.shape[2:] != (height, width):
            raise ValueError(f"expected heatmaps (B, K, {height}, {width}), got {heatmaps.shape}")
        share = self._distribution(np.asarray(heatmaps, np.float64))
        near = share if self.window is None else self._near(share, self.window)
        x, y = near.sum(axis=2) @ np.arange(width), near.sum(axis=3) @ np.arange(height)
        rows, columns = (
            np.abs(np.arange(side) - at[..., None]) < 1 for side, at in ((height, y), (width, x))
        )
        score = np.einsum("bkhw,bkh,bkw->bk", share, rows, columns)
        return np.stack([x, y], axis=-1) * self._stride, score

    @property
    def _stride(self) -> NDArray[np.float64]:
        """Crop pixels a heatmap pixel, in x and y."""
        stride: NDArray[np.float64] = np.divide(self.input_hw[::-1], self.heatmap_hw[::-1])
        return stride

    def _distribution(self, heatmaps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what sums to one over the pixels of each heatmap, or is zero."""
        if self.activation == "softmax":
            weight = np.exp(heatmaps - heatmaps.max(axis=(2, 3), keepdims=True))
        else:
            weight = heatmaps.clip(0)
        total = weight.sum(axis=(2, 3), keepdims=True)
        share: NDArray[np.float64] = weight / np.where(total > 0, total, 1)
        return share

    def _near(self, share: NDArray[np.float64], window: int) -> NDArray[np.float64]:
        """Return what lies in the window about each heatmap's highest pixel, made to sum to one."""
        height, width = self.heatmap_hw
        best = share.reshape(*share.shape[:2], -1).argmax(axis=2)
        rows, columns = (
            np.abs(np.arange(side) - at[..., None]) <= window
            for side, at in zip((height, width), np.divmod(best, width), strict=True)
        )
        near = share * rows[..., :, None] * columns[..., None, :]
        total = near.sum(axis=(2, 3), keepdims=True)
        return np.asarray(near / np.where(total > 0, total, 1))

    def _tent(self, centre: NDArray[np.floating], length: int) -> NDArray[np.float64]:
        """Return (B, K, length): 1 at each centre, falling to 0 one pixel away."""
        away = np.abs(np.arange(length) - centre[..., None])
        tent: NDArray[np.float64] = (1 - away).clip(0)
        return tent
