"""What codecs of heatmaps share: targets, the highest pixel, scores, and what cannot be."""

import numpy as np
from numpy.typing import NDArray

from evopose.errors import ConfigError

ACTIVATIONS = ("none", "softmax")


def check_sizes(input_hw: tuple[int, int], heatmap_hw: tuple[int, int]) -> None:
    """Raise ConfigError for a side below 1."""
    if min(*input_hw, *heatmap_hw) < 1:
        raise ConfigError(f"expected positive sizes, got input {input_hw}, heatmap {heatmap_hw}")


def check_activation(activation: str) -> None:
    """Raise ConfigError for none of `ACTIVATIONS`."""
    if activation not in ACTIVATIONS:
        raise ConfigError(f"activation must be none or softmax, got {activation!r}")


def checked_sigma(sigma: float | None, peak: float, heatmap_hw: tuple[int, int]) -> float:
    """Return `sigma`, for None the official one: 2 heights / 64.

    Raises: ConfigError for a sigma or a peak that is not positive.
    """
    sigma = 2 * heatmap_hw[0] / 64 if sigma is None else sigma
    if not (sigma > 0 and peak > 0):
        raise ConfigError(f"expected a positive sigma and peak, got sigma {sigma}, peak {peak}")
    return sigma


def check_truncate(truncate: float | None) -> None:
    """Raise ConfigError for a number of standard deviations that is not positive."""
    if truncate is not None and truncate <= 0:
        raise ConfigError(f"truncate must be positive, or None, got {truncate}")


def rows_of(
    heatmaps: NDArray[np.floating], heatmap_hw: tuple[int, int]
) -> tuple[NDArray[np.floating], NDArray[np.intp], NDArray[np.float64]]:
    """Return each heatmap as a row (B * K, h * w), and place and value of its highest pixel.

    Raises: ValueError for heatmaps of another shape than (B, K, h, w).
    """
    h, w = heatmap_hw
    if heatmaps.ndim != 4 or heatmaps.shape[2:] != heatmap_hw:
        raise ValueError(f"expected heatmaps (B, K, {h}, {w}), got {heatmaps.shape}")
    flat = heatmaps.reshape(heatmaps.shape[0] * heatmaps.shape[1], h * w)
    best = flat.argmax(axis=1)
    return flat, best, flat[np.arange(len(flat)), best].astype(np.float64)


def bells(centre: NDArray[np.float64], length: int, sigma: float) -> NDArray[np.float64]:
    """Return (..., length): the Gaussian of each centre (...) along one axis, peak 1."""
    away: NDArray[np.float64] = np.arange(length) - centre[..., None]
    return np.asarray(np.exp(-((away / sigma) ** 2) / 2), np.float64)


def product(
    x: NDArray[np.float64], y: NDArray[np.float64], peak: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return heatmaps (B, K, h, w) of bells (B, K, w) and (B, K, h), `peak` (B, K) high."""
    x = x * peak[..., None]
    return y.astype(np.float32)[..., :, None] * x.astype(np.float32)[..., None, :]


def scores(
    flat: NDArray[np.floating],
    highest: NDArray[np.float64],
    *,
    activation: str,
    peak: float,
    sigma: float,
) -> NDArray[np.float64]:
    """Return the score of each row of `flat` (N, h * w) with its highest value (N,).

    The value divided by `peak`; of logits, the highest pixel's probability over that of a perfect
    Gaussian's peak, at most 1.
    """
    if activation == "none":
        return highest / peak
    shares = flat - highest[:, None].astype(flat.dtype)
    total = np.exp(shares, out=shares).sum(axis=1, dtype=np.float64)
    return np.asarray(np.minimum(2 * np.pi * sigma**2 / total, 1.0), np.float64)
