"""DARK's codec: a Gaussian about the keypoint itself; the summit of the blurred heatmap back."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evopose.codecs import heatmaps as shared
from evopose.codecs.grids import Grid, first_pixels
from evopose.codecs.taylor import Derivatives, checked_blur_kernel, read_summits

REACH = 2
"""Pixels on each side of the highest one that the step reads."""


@dataclass(frozen=True, kw_only=True)
class DarkCodec:
    """A Gaussian about each keypoint, unrounded; from the highest pixel, one step to the summit of
    the blurred heatmap's logarithm, back.

    Raises: ConfigError for sizes, sigma, peak or kernel that cannot be.

    Source: DARK (Zhang et al., CVPR 2020); mmpose at 759b39c, `generate_unbiased_gaussian_heatmaps`
    and `refine_keypoints_dark`. Differs from mmpose, which steps to a saddle or a minimum, too, and
    however far: there the highest pixel stays, and where the blurred heatmap is not positive.
    """

    flip_shift: ClassVar[int] = 1
    align_corners: ClassVar[bool] = False

    input_hw: tuple[int, int]
    """Height and width of the network's input."""
    heatmap_hw: tuple[int, int]
    """Height and width of its heatmaps."""
    sigma: float | None = None
    """Standard deviation in heatmap pixels; None: 2 heights / 64."""
    peak: float = 255.0
    """The heatmap's value at the keypoint, and the value whose score is 1."""
    blur_kernel: int | None = None
    """Side of the kernel that blurs heatmaps before decoding, 1 for no blur; None: that of `sigma`,
    11 for 2 and 17 for 3."""
    activation: str = "none"
    """What the network's output is: heatmaps (`none`), or logits over all pixels (`softmax`)."""

    def __post_init__(self) -> None:
        shared.check_sizes(self.input_hw, self.heatmap_hw)
        shared.check_activation(self.activation)
        sigma = shared.checked_sigma(self.sigma, self.peak, self.heatmap_hw)
        object.__setattr__(self, "sigma", sigma)
        object.__setattr__(self, "blur_kernel", checked_blur_kernel(self.blur_kernel, sigma))

    @property
    def grid(self) -> Grid:
        """How heatmap pixels lie on the crop."""
        return first_pixels(self.input_hw, self.heatmap_hw)

    def encode(
        self, xy_crop: NDArray[np.floating], visible: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return heatmaps (B, K, h, w) of keypoints (B, K, 2) in crop pixels.

        Keypoints that are not `visible` (B, K) have heatmaps of zeros.
        """
        assert self.sigma is not None  # set at construction
        (h, w), xy = self.heatmap_hw, self.grid.to_heatmap(np.asarray(xy_crop, np.float64))
        x, y = shared.bells(xy[..., 0], w, self.sigma), shared.bells(xy[..., 1], h, self.sigma)
        return shared.product(x, y, np.where(visible, self.peak, 0.0))

    def decode(
        self, heatmaps: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return keypoints (B, K, 2) in crop pixels and scores (B, K) of heatmaps (B, K, h, w).

        Within two pixels of the border the highest pixel stays. The score is its value divided by
        `peak`; of logits, its probability over that of a perfect Gaussian's peak, at most 1.
        """
        return read_summits(self, heatmaps, derivatives, reach=REACH)


def derivatives(logs: Any) -> Derivatives[Any]:
    """Return the derivatives (...) in the middle of `logs` (..., 5, 5), [y, x], arrays or tensors.

    Second derivatives reach over two pixels on each side, as in the authors' code.
    """
    c = logs[..., 2, 2]
    return Derivatives(
        dx=(logs[..., 2, 3] - logs[..., 2, 1]) / 2,
        dy=(logs[..., 3, 2] - logs[..., 1, 2]) / 2,
        dxx=(logs[..., 2, 4] - 2 * c + logs[..., 2, 0]) / 4,
        dxy=(logs[..., 3, 3] - logs[..., 1, 3] - logs[..., 3, 1] + logs[..., 1, 1]) / 4,
        dyy=(logs[..., 4, 2] - 2 * c + logs[..., 0, 2]) / 4,
    )
