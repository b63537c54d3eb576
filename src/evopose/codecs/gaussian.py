"""The official codec: Gaussian heatmaps, arg-max with a quarter-pixel step."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evopose.codecs import heatmaps as shared
from evopose.codecs.grids import Grid, first_pixels


@dataclass(frozen=True, kw_only=True)
class GaussianCodec:
    """A Gaussian for each keypoint; the highest pixel, moved a quarter, back.

    Raises: ConfigError for sizes, sigma or peak that are not positive.

    Source: official `dataset/dataloader.py`, `generate_heatmaps`; `validate.py`, `get_preds`.
    """

    flip_shift: ClassVar[int] = 1
    align_corners: ClassVar[bool] = False

    input_hw: tuple[int, int]
    """Height and width of the network's input."""
    heatmap_hw: tuple[int, int]
    """Height and width of its heatmaps."""
    sigma: float | None = None
    """Standard deviation in heatmap pixels; None: 2 heights / 64, the official value."""
    peak: float = 255.0
    """The heatmap's value at the keypoint, and the value whose score is 1."""
    round_centre: bool = True
    """Centre on the nearest heatmap pixel, as the official code does. Rounding costs up to half a
    heatmap pixel, which is much at low resolution; False centres on the keypoint itself."""
    truncate: float | None = None
    """Standard deviations from the centre, on either axis, beyond which the target is zero."""
    activation: str = "none"
    """What the network's output is: heatmaps (`none`), or logits over all pixels (`softmax`)."""

    def __post_init__(self) -> None:
        shared.check_sizes(self.input_hw, self.heatmap_hw)
        shared.check_activation(self.activation)
        shared.check_truncate(self.truncate)
        sigma = shared.checked_sigma(self.sigma, self.peak, self.heatmap_hw)
        object.__setattr__(self, "sigma", sigma)

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
        (input_h, input_w), (h, w) = self.input_hw, self.heatmap_hw
        centre = np.asarray(xy_crop, np.float64) * (w / input_w, h / input_h)
        if self.round_centre:
            centre = np.floor(centre + 0.5)
        x, y = self._bell(centre[..., 0], w), self._bell(centre[..., 1], h)
        return shared.product(x, y, np.where(visible, self.peak, 0.0))

    def decode(
        self, heatmaps: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return keypoints (B, K, 2) in crop pixels and scores (B, K) of heatmaps (B, K, h, w).

        The highest pixel, a quarter pixel toward the higher neighbour on each axis unless it lies
        within a pixel of the border. The score is its value divided by `peak`; of logits, its
        probability over that of a perfect Gaussian's peak, at most 1.
        """
        (input_h, input_w), (h, w) = self.input_hw, self.heatmap_hw
        assert self.sigma is not None  # set at construction
        flat, best, highest = shared.rows_of(heatmaps, self.heatmap_hw)
        row = np.arange(len(flat))
        y, x = np.divmod(best, w)
        inside = (x > 1) & (x < w - 1) & (y > 1) & (y < h - 1)
        at = np.where(inside, best, 0)
        step_x, step_y = (np.where(inside, step, 0) for step in (1, w))
        dx = np.sign(flat[row, at + step_x] - flat[row, at - step_x])
        dy = np.sign(flat[row, at + step_y] - flat[row, at - step_y])
        xy = np.stack([(x + 0.25 * dx) * input_w / w, (y + 0.25 * dy) * input_h / h], axis=-1)
        score = shared.scores(
            flat, highest, activation=self.activation, peak=self.peak, sigma=self.sigma
        )
        shape = heatmaps.shape[:2]
        return xy.reshape(*shape, 2), score.reshape(shape)

    def _bell(self, centre: NDArray[np.float64], length: int) -> NDArray[np.float64]:
        """Return (B, K, length): the Gaussian of each centre along one axis, peak 1."""
        assert self.sigma is not None  # set at construction
        bell = shared.bells(centre, length, self.sigma)
        if self.truncate is not None:
            away = np.abs(np.arange(length) - centre[..., None])
            bell[away > self.truncate * self.sigma] = 0
        return bell
