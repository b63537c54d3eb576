"""How heatmap pixels lie on the crop."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Heatmap pixel i lies on crop pixel `stride * i + offset`, on each axis."""

    stride_xy: tuple[float, float]
    """Crop pixels a heatmap pixel."""
    offset_xy: tuple[float, float] = (0.0, 0.0)
    """Crop pixels."""

    def to_crop(self, xy_heatmap: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return points (..., 2) of the heatmap in crop pixels."""
        return np.asarray(xy_heatmap * np.array(self.stride_xy) + self.offset_xy, np.float64)

    def to_heatmap(self, xy_crop: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return points (..., 2) of the crop in heatmap pixels."""
        return np.asarray((xy_crop - np.array(self.offset_xy)) / self.stride_xy, np.float64)


def first_pixels(input_hw: tuple[int, int], heatmap_hw: tuple[int, int]) -> Grid:
    """Return the grid whose first pixel lies on the crop's, sides in proportion to each other."""
    return Grid(stride_xy=_ratios(input_hw, heatmap_hw))


def edges(input_hw: tuple[int, int], heatmap_hw: tuple[int, int]) -> Grid:
    """Return the grid of `first_pixels` moved by half a heatmap pixel, as CPN and MSPN do."""
    x, y = _ratios(input_hw, heatmap_hw)
    return Grid(stride_xy=(x, y), offset_xy=(x / 2, y / 2))


def corners(input_hw: tuple[int, int], heatmap_hw: tuple[int, int]) -> Grid:
    """Return the grid whose corner pixels lie on the crop's corner pixels, as UDP's do."""
    (input_h, input_w), (h, w) = input_hw, heatmap_hw
    return Grid(stride_xy=_ratios((input_h - 1, input_w - 1), (max(h - 1, 1), max(w - 1, 1))))


def _ratios(input_hw: tuple[int, int], heatmap_hw: tuple[int, int]) -> tuple[float, float]:
    return input_hw[1] / heatmap_hw[1], input_hw[0] / heatmap_hw[0]
