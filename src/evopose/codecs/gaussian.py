"""The official codec: Gaussian heatmaps, arg-max with a quarter-pixel step."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evopose.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class GaussianCodec:
    """A Gaussian for each keypoint; the highest pixel, moved a quarter, back.

    Raises: ConfigError for sizes, sigma or peak that are not positive.

    Source: official `dataset/dataloader.py`, `generate_heatmaps`; `validate.py`, `get_preds`.
    """

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
        if min(*self.input_hw, *self.heatmap_hw) < 1:
            raise ConfigError(
                f"expected positive sizes, got input {self.input_hw}, heatmap {self.heatmap_hw}"
            )
        if self.activation not in ("none", "softmax"):
            raise ConfigError(f"activation must be none or softmax, got {self.activation!r}")
        if self.sigma is None:
            object.__setattr__(self, "sigma", 2 * self.heatmap_hw[0] / 64)
        if self.truncate is not None and self.truncate <= 0:
            raise ConfigError(f"truncate must be positive, or None, got {self.truncate}")
        if not (self.sigma and self.sigma > 0 and self.peak > 0):
            raise ConfigError(
                f"expected a positive sigma and peak, got sigma {self.sigma}, peak {self.peak}"
            )

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
        x = self._bell(centre[..., 0], w) * np.where(visible, self.peak, 0)[..., None]
        y = self._bell(centre[..., 1], h)
        return y.astype(np.float32)[..., :, None] * x.astype(np.float32)[..., None, :]

    def decode(
        self, heatmaps: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return keypoints (B, K, 2) in crop pixels and scores (B, K) of heatmaps (B, K, h, w).

        The highest pixel, a quarter pixel toward the higher neighbour on each axis unless it lies
        within a pixel of the border. The score is its value divided by `peak`; of logits, its
        probability over that of a perfect Gaussian's peak, at most 1.
        """
        (input_h, input_w), (h, w) = self.input_hw, self.heatmap_hw
        if heatmaps.ndim != 4 or heatmaps.shape[2:] != (h, w):
            raise ValueError(f"expected heatmaps (B, K, {h}, {w}), got {heatmaps.shape}")
        flat = heatmaps.reshape(-1, h * w)
        row = np.arange(len(flat))
        best = flat.argmax(axis=1)
        y, x = np.divmod(best, w)
        inside = (x > 1) & (x < w - 1) & (y > 1) & (y < h - 1)
        at = np.where(inside, best, 0)
        step_x, step_y = (np.where(inside, step, 0) for step in (1, w))
        dx = np.sign(flat[row, at + step_x] - flat[row, at - step_x])
        dy = np.sign(flat[row, at + step_y] - flat[row, at - step_y])
        xy = np.stack([(x + 0.25 * dx) * input_w / w, (y + 0.25 * dy) * input_h / h], axis=-1)
        score = self._scores(flat, flat[row, best].astype(np.float64))
        shape = heatmaps.shape[:2]
        return xy.reshape(*shape, 2), score.reshape(shape)

    def _scores(
        self, flat: NDArray[np.floating], highest: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the score of each row of `flat` (B * K, h * w) with its highest value."""
        if self.activation == "none":
            return highest / self.peak
        assert self.sigma is not None  # set at construction
        total = np.exp(flat - highest[:, None].astype(flat.dtype)).sum(axis=1, dtype=np.float64)
        score: NDArray[np.float64] = np.minimum(2 * np.pi * self.sigma**2 / total, 1.0)
        return score

    def _bell(self, centre: NDArray[np.float64], length: int) -> NDArray[np.float64]:
        """Return (B, K, length): the Gaussian of each centre along one axis, peak 1."""
        assert self.sigma is not None  # set at construction
        away: NDArray[np.float64] = np.arange(length) - centre[..., None]
        bell: NDArray[np.float64] = np.exp(-((away / self.sigma) ** 2) / 2)
        if self.truncate is not None:
            bell[np.abs(away) > self.truncate * self.sigma] = 0
        return bell
