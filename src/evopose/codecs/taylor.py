"""From the highest pixel to the summit: one step of Newton on the logarithm of a heatmap.

The logarithm of a Gaussian is a parabola, whose summit one step finds exactly. Networks give
ragged heatmaps, so that they are blurred first. Blurring is linear, so that it is worked out near
the highest pixel alone, which is all that the step reads; scaling the blurred heatmap back to its
old maximum, as the authors do, adds a constant to the logarithm and moves nothing.

Source: DARK (Zhang et al., CVPR 2020, arXiv 1910.06278), section 3.2.
"""

from collections.abc import Callable
from math import floor
from typing import Generic, NamedTuple, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.codecs import heatmaps as shared
from evopose.codecs.grids import Grid
from evopose.errors import ConfigError

Array = NDArray[np.float64]
Values = TypeVar("Values")
LONGEST = 3.0
"""Standard deviations of the target, on either axis, beyond which a step is not believed."""


def checked_blur_kernel(side: int | None, sigma: float) -> int:
    """Return `side`; for None that which goes with targets of `sigma`: 11 for 2, 17 for 3.

    It is the largest odd side whose Gaussian, by OpenCV's rule 0.3 ((side - 1) / 2 - 1) + 0.8, is
    no wider than the target.

    Raises: ConfigError for a side that is not odd and positive.
    """
    if side is None:
        return max(1, 2 * floor((sigma - 0.8) / 0.3 + 1 + 1e-9) + 1)
    if side < 1 or side % 2 == 0:
        raise ConfigError(f"expected an odd blur_kernel of at least 1 (no blur), got {side}")
    return side


class Derivatives(NamedTuple, Generic[Values]):
    """Of a parabola at its middle, one of each for every heatmap."""

    dx: Values
    dy: Values
    dxx: Values
    dxy: Values
    dyy: Values


class SummitCodec(Protocol):
    """What `read_summits` needs to know of a codec; the numbers are set at construction."""

    @property
    def grid(self) -> Grid:
        """How heatmap pixels lie on the crop."""

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of the heatmaps."""

    @property
    def sigma(self) -> float | None:
        """Of the targets, in heatmap pixels."""

    @property
    def peak(self) -> float:
        """The heatmap's value at the keypoint."""

    @property
    def blur_kernel(self) -> int | None:
        """Side of the kernel that blurs."""

    @property
    def activation(self) -> str:
        """What the network's output is."""


def read_summits(
    codec: SummitCodec,
    heatmaps: NDArray[np.floating],
    derivatives: Callable[[Array], Derivatives[Array]],
    *,
    reach: int,
) -> tuple[Array, Array]:
    """Return keypoints (B, K, 2) in crop pixels and scores (B, K) of heatmaps (B, K, h, w);
    `derivatives` and `reach` as in `summits`."""
    assert codec.sigma is not None
    assert codec.blur_kernel is not None
    flat, best, highest = shared.rows_of(heatmaps, codec.heatmap_hw)
    xy = summits(
        flat,
        best,
        derivatives,
        heatmap_hw=codec.heatmap_hw,
        reach=reach,
        sigma=codec.sigma,
        blur_kernel=codec.blur_kernel,
        logits=codec.activation == "softmax",
    )
    score = shared.scores(
        flat, highest, activation=codec.activation, peak=codec.peak, sigma=codec.sigma
    )
    shape = heatmaps.shape[:2]
    return codec.grid.to_crop(xy).reshape(*shape, 2), score.reshape(shape)


def summits(
    rows: NDArray[np.floating],
    best: NDArray[np.intp],
    derivatives: Callable[[Array], Derivatives[Array]],
    *,
    heatmap_hw: tuple[int, int],
    reach: int,
    sigma: float,
    blur_kernel: int,
    logits: bool,
) -> Array:
    """Return the summits (N, 2: x, y in heatmap pixels) of heatmaps, each a row of `rows`
    (N, h * w) with its highest pixel `best` (N,).

    `derivatives` finds those (n,) in the middle of the logarithms (n, 2 reach + 1, 2 reach + 1),
    [y, x], around highest pixels. The highest pixel stays within `reach` of the border, where a
    derivative is NaN or there is no summit, and where the step is longer than `LONGEST` times
    `sigma`.
    """
    h, w = heatmap_hw
    y, x = np.divmod(best, w)
    xy = np.stack([x, y], axis=-1).astype(np.float64)
    inner = np.flatnonzero((x >= reach) & (x < w - reach) & (y >= reach) & (y < h - reach))
    window, inside = _windows(
        rows, inner, x[inner], y[inner], heatmap_hw=heatmap_hw, wide=reach + blur_kernel // 2
    )
    logs = _logarithms(window, inside, blur_kernel=blur_kernel, logits=logits)
    found = newton_step(derivatives(logs))
    near = (np.abs(found) <= LONGEST * sigma).all(axis=1, keepdims=True)
    xy[inner] += np.where(near, found, 0.0)
    return xy


def newton_step(at: Derivatives[Array]) -> Array:
    """Return (N, 2): the step to the summit of the parabola with these derivatives (N,).

    It is NaN where there is none: the Hessian not that of a maximum, or a derivative NaN.
    """
    dx, dy, dxx, dxy, dyy = at
    determinant = dxx * dyy - dxy * dxy
    maximum = (determinant > 0) & (dxx < 0)
    safe = np.where(maximum, determinant, 1.0)
    step = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], axis=-1) / safe[:, None]
    return np.where(maximum[:, None], step, np.nan)


def _windows(
    rows: NDArray[np.floating],
    chosen: NDArray[np.intp],
    x: NDArray[np.intp],
    y: NDArray[np.intp],
    *,
    heatmap_hw: tuple[int, int],
    wide: int,
) -> tuple[Array, NDArray[np.bool_]]:
    """Return (n, 2 wide + 1, 2 wide + 1), [y, x], around pixels x, y (n,) of `chosen` rows (n,),
    and what of it lies inside the heatmap; elsewhere are values of its border."""
    h, w = heatmap_hw
    around = np.arange(-wide, wide + 1)
    down, across = y[:, None] + around, x[:, None] + around
    inside = ((down >= 0) & (down < h))[:, :, None] & ((across >= 0) & (across < w))[:, None, :]
    begin = (chosen * (h * w))[:, None] + down.clip(0, h - 1) * w
    place = begin[:, :, None] + across.clip(0, w - 1)[:, None, :]
    return rows.reshape(-1)[place].astype(np.float64), inside


def _logarithms(
    window: Array, inside: NDArray[np.bool_], *, blur_kernel: int, logits: bool
) -> Array:
    """Return the logarithms (n, s, s) of blurred windows (n, side, side), s = side - kernel + 1.

    Outside the heatmap there are zeros to blur with. A value that is not positive has no logarithm
    and is NaN. With `logits` the windows hold logarithms already, up to a constant each.
    """
    if logits and blur_kernel == 1:
        return window
    if logits:
        window = np.exp(window - window.max(axis=(1, 2), keepdims=True))
    if blur_kernel > 1:
        blur = blur_matrix(blur_kernel, window.shape[1])
        window = np.where(inside, window, 0.0)
        across = np.tensordot(window, blur, axes=(2, 1))
        window = np.tensordot(across, blur, axes=(1, 1)).swapaxes(1, 2)
    positive = window > 0
    return np.where(positive, np.log(np.where(positive, window, 1.0)), np.nan)


def blur_matrix(blur_kernel: int, side: int) -> Array:
    """Return (side - blur_kernel + 1, side), which blurs along one side of a window."""
    kernel = np.asarray(cv2.getGaussianKernel(blur_kernel, 0), np.float64).ravel()
    blur = np.zeros((side - blur_kernel + 1, side))
    for i, row in enumerate(blur):
        row[i : i + blur_kernel] = kernel
    return blur
