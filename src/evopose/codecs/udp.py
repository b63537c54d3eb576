"""UDP's codec: DARK's, without the half pixel between crop, heatmap and their mirror images."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evopose.codecs import heatmaps as shared
from evopose.codecs.grids import Grid, corners
from evopose.codecs.taylor import Derivatives, checked_blur_kernel, read_summits

REACH = 1
"""Pixels on each side of the middle one that the step reads."""


@dataclass(frozen=True, kw_only=True)
class UdpCodec:
    """A Gaussian about each keypoint, unrounded; from the highest pixel, one step to the summit of
    the blurred heatmap's logarithm, back. Lengths are counted from pixel to pixel, size - 1: the
    corner pixels of the heatmap lie on those of the crop, whose corner pixels lie on the box's
    corners. So the mirrored crop's answer is the mirrored answer, and nothing needs a shift.

    Raises: ConfigError for sizes, sigma, peak or kernel that cannot be.

    Source: UDP (Huang et al., CVPR 2020, arXiv 1911.07524); mmpose at 759b39c, `UDPHeatmap`
    (Gaussian form) and `refine_keypoints_dark_udp`. Differs from mmpose: values are not raised to
    0.001, and the highest pixel stays where the blurred heatmap is not positive or has no summit
    nearby, and on the border, where mmpose steps half a pixel outward.
    """

    flip_shift: ClassVar[int] = 0
    align_corners: ClassVar[bool] = True

    input_hw: tuple[int, int]
    """Height and width of the network's input."""
    heatmap_hw: tuple[int, int]
    """Height and width of its heatmaps."""
    sigma: float | None = None
    """Standard deviation in heatmap pixels; None: 2 heights / 64."""
    peak: float = 255.0
    """The heatmap's value at the keypoint, and the value whose score is 1."""
    truncate: float | None = 3.0
    """Standard deviations, counted from the keypoint's pixel on either axis, beyond which the
    target is zero; None: never."""
    blur_kernel: int | None = None
    """Side of the kernel that blurs heatmaps before decoding, 1 for no blur; None: that of `sigma`,
    11 for 2 and 17 for 3."""
    activation: str = "none"
    """What the network's output is: heatmaps (`none`), or logits over all pixels (`softmax`)."""

    def __post_init__(self) -> None:
        shared.check_sizes(self.input_hw, self.heatmap_hw)
        shared.check_activation(self.activation)
        shared.check_truncate(self.truncate)
        sigma = shared.checked_sigma(self.sigma, self.peak, self.heatmap_hw)
        object.__setattr__(self, "sigma", sigma)
        object.__setattr__(self, "blur_kernel", checked_blur_kernel(self.blur_kernel, sigma))

    @property
    def grid(self) -> Grid:
        """How heatmap pixels lie on the crop."""
        return corners(self.input_hw, self.heatmap_hw)

    def encode(
        self, xy_crop: NDArray[np.floating], visible: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return heatmaps (B, K, h, w) of keypoints (B, K, 2) in crop pixels.

        Keypoints that are not `visible` (B, K) have heatmaps of zeros.
        """
        (h, w), xy = self.heatmap_hw, self.grid.to_heatmap(np.asarray(xy_crop, np.float64))
        x, y = self._bell(xy[..., 0], w), self._bell(xy[..., 1], h)
        return shared.product(x, y, np.where(visible, self.peak, 0.0))

    def decode(
        self, heatmaps: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return keypoints (B, K, 2) in crop pixels and scores (B, K) of heatmaps (B, K, h, w).

        On the border the highest pixel stays. The score is its value divided by `peak`; of logits,
        its probability over that of a perfect Gaussian's peak, at most 1.
        """
        return read_summits(self, heatmaps, derivatives, reach=REACH)

    def _bell(self, centre: NDArray[np.float64], length: int) -> NDArray[np.float64]:
        """Return (B, K, length): the Gaussian of each centre along one axis, peak 1."""
        assert self.sigma is not None  # set at construction
        bell = shared.bells(centre, length, self.sigma)
        if self.truncate is not None:
            pixel = np.floor(centre + 0.5)[..., None]
            bell[np.abs(np.arange(length) - pixel) > self.truncate * self.sigma] = 0
        return bell


def derivatives(logs: Any) -> Derivatives[Any]:
    """Return the derivatives (...) in the middle of `logs` (..., 3, 3), [y, x], arrays or tensors.

    The mixed derivative is that of the authors' code, over two opposite corners.
    """
    c, left, right = logs[..., 1, 1], logs[..., 1, 0], logs[..., 1, 2]
    above, below = logs[..., 0, 1], logs[..., 2, 1]
    corners_sum = logs[..., 0, 0] + logs[..., 2, 2]
    return Derivatives(
        dx=(right - left) / 2,
        dy=(below - above) / 2,
        dxx=right - 2 * c + left,
        dxy=(corners_sum - right - below + 2 * c - left - above) / 2,
        dyy=below - 2 * c + above,
    )
