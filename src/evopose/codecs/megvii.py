"""The codec of CPN and MSPN: a blurred pixel for each keypoint; a quarter step to the second
maximum back."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.codecs import heatmaps as shared
from evopose.codecs.grids import Grid, edges
from evopose.errors import ConfigError

BORDER = 10
"""Zeros around a heatmap before it is blurred for decoding, in heatmap pixels."""
STEP = 0.25
"""From the highest pixel toward the second highest, in heatmap pixels."""


@dataclass(frozen=True, kw_only=True)
class MegviiCodec:
    """The keypoint's pixel, blurred by OpenCV's Gaussian; the highest pixel of the blurred heatmap,
    moved a quarter toward the second highest, back.

    Raises: ConfigError for sizes, kernels or a peak that cannot be.

    Source: megvii-research/MSPN at a84f750, `JointsDataset.generate_heatmap`, `test.py`
    `get_results`; chenyilun95/tf-cpn at 48ea10d, `dataset.py` `joints_heatmap_gen`, `mptest.py`.
    Differs from tf-cpn: heatmaps are not divided by their maximum before they are blurred, which
    changes nothing but for heatmaps without a positive pixel.
    """

    flip_shift: ClassVar[int] = 0
    align_corners: ClassVar[bool] = False

    input_hw: tuple[int, int]
    """Height and width of the network's input."""
    heatmap_hw: tuple[int, int]
    """Height and width of its heatmaps."""
    kernels: tuple[int, ...] = (15, 11, 9, 7, 5)
    """Sides of the Gaussian kernels, wide to narrow, each one level of supervision; `encode` takes
    the last. As in MSPN; CPN has the first four at 256x192, and 23, 17, 13, 9 at 384x288."""
    blur_kernel: int = 5
    """Side of the kernel that blurs heatmaps before decoding: 5 in MSPN, 21 in CPN."""
    peak: float = 255.0
    """The heatmap's value at the keypoint."""
    score_offset: float = 0.5
    """Added to value / peak, so that scores are 0.5 where there is nothing and 1.5 at best."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernels", tuple(self.kernels))
        shared.check_sizes(self.input_hw, self.heatmap_hw)
        if not self.kernels or any(side < 1 or side % 2 != 1 for side in self.kernels):
            raise ConfigError(f"expected kernels with odd positive sides, got {self.kernels}")
        if not 1 <= self.blur_kernel <= 2 * BORDER + 1 or self.blur_kernel % 2 == 0:
            raise ConfigError(
                f"expected an odd blur_kernel of 1 to {2 * BORDER + 1}, got {self.blur_kernel}"
            )
        if self.peak <= 0:
            raise ConfigError(f"expected a positive peak, got {self.peak}")

    @property
    def grid(self) -> Grid:
        """How heatmap pixels lie on the crop when they are read."""
        return edges(self.input_hw, self.heatmap_hw)

    def encode(
        self, xy_crop: NDArray[np.floating], visible: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return heatmaps (B, K, h, w) of keypoints (B, K, 2) in crop pixels, of the last kernel.

        Keypoints that are not `visible` (B, K), or outside the crop, have heatmaps of zeros.
        """
        return self._encode(xy_crop, visible, self.kernels[-1:])[:, 0]

    def encode_levels(
        self, xy_crop: NDArray[np.floating], visible: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return heatmaps (B, L, K, h, w) as `encode` does, of each of the L kernels."""
        return self._encode(xy_crop, visible, self.kernels)

    def decode(
        self, heatmaps: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return keypoints (B, K, 2) in crop pixels and scores (B, K) of heatmaps (B, K, h, w).

        Heatmap pixel i is i + 1/2 strides from the crop's edge. The score is the heatmap's own
        value at the highest pixel of the blurred one, divided by `peak`, plus `score_offset`.
        """
        (input_h, input_w), (h, w) = self.input_hw, self.heatmap_hw
        if heatmaps.ndim != 4 or heatmaps.shape[2:] != (h, w):
            raise ValueError(f"expected heatmaps (B, K, {h}, {w}), got {heatmaps.shape}")
        maps = heatmaps.reshape(-1, h, w)
        flat = self._blurred(maps)
        row = np.arange(len(flat))
        best = flat.argmax(axis=1)
        flat[row, best] = 0.0
        y, x = np.divmod(best, w + 2 * BORDER)
        second_y, second_x = np.divmod(flat.argmax(axis=1), w + 2 * BORDER)
        away = np.hypot(second_x - x, second_y - y)
        step = STEP / np.maximum(away, 1.0)
        x_found = np.clip(x - BORDER + step * (second_x - x), 0, w - 1)
        y_found = np.clip(y - BORDER + step * (second_y - y), 0, h - 1)
        at = maps[row, np.rint(y_found).astype(int), np.rint(x_found).astype(int)]
        score = at.astype(np.float64) / self.peak + self.score_offset
        xy = np.stack([(x_found + 0.5) * input_w / w, (y_found + 0.5) * input_h / h], axis=-1)
        shape = heatmaps.shape[:2]
        return xy.reshape(*shape, 2), score.reshape(shape)

    def _encode(
        self,
        xy_crop: NDArray[np.floating],
        visible: NDArray[np.bool_],
        kernels: tuple[int, ...],
    ) -> NDArray[np.float32]:
        (input_h, input_w), (h, w) = self.input_hw, self.heatmap_hw
        pixel = np.floor(np.asarray(xy_crop, np.float64) * (w / input_w, h / input_h)).astype(int)
        x, y = np.moveaxis(pixel, -1, 0)
        inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
        x, y = np.where(inside, x, 0), np.where(inside, y, 0)
        peak = np.where(inside & visible, np.float32(self.peak), np.float32(0))[..., None]
        levels = [
            (bells(side, h)[y] * peak)[..., :, None] * bells(side, w)[x][..., None, :]
            for side in kernels
        ]
        return np.stack(levels, axis=1)

    def _blurred(self, maps: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return (N, pixels) of `maps` (N, h, w), with a border and blurred."""
        count, h, w = maps.shape
        height, width = h + 2 * BORDER, w + 2 * BORDER
        bordered = np.zeros((count, height, width))
        bordered[:, BORDER:-BORDER, BORDER:-BORDER] = maps
        if count and self.blur_kernel > 1:
            # One above the other: their borders keep them apart.
            kernel = (self.blur_kernel, self.blur_kernel)
            column = bordered.reshape(count * height, width)
            bordered = np.asarray(cv2.GaussianBlur(column, kernel, 0), np.float64)
        return bordered.reshape(count, height * width)


@lru_cache(maxsize=64)
def bells(kernel: int, length: int) -> NDArray[np.float32]:
    """Return (length, length): in row i a one at i, blurred along the row, its highest value 1.

    The two-dimensional blur is the product of two of these. Near an end the row is mirrored, as
    OpenCV does by default, so that the highest value may lie a pixel beside i.
    """
    rows = np.asarray(
        cv2.GaussianBlur(np.eye(length, dtype=np.float32), (kernel, 1), 0), np.float32
    ).reshape(length, length)
    rows /= rows.max(axis=1, keepdims=True)
    rows.setflags(write=False)
    return rows
