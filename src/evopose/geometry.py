"""The one spelling of geometry.

x points right, y points down. A pixel's centre has integer coordinates, so an image W wide covers
x from -0.5 to W - 0.5. Boxes are `xyxy` (left, top, right, bottom), sizes are `_hw` or `_wh`.
Coordinates are in pixels of the original image unless a name ends in `_crop` (pixels of the
network's input) or `_heatmap` (pixels of its output). An affine map is a (2, 3) matrix A with
`xy_out = A[:, :2] @ xy_in + A[:, 2]`.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def box_to_crop(
    box_xyxy: Array, *, input_hw: tuple[int, int], padding: float
) -> tuple[Array, float]:
    """Return the crop's centre (2,) and its scale in image pixels per crop pixel.

    The box is widened about its centre to the side ratio of `input_hw` and enlarged by `padding`.

    Source: official `dataset/dataloader.py`, `preprocess` (centre, side ratio, times 1.25).
    """
    left, top, right, bottom = (float(v) for v in box_xyxy)
    height, width = input_hw
    side = max(bottom - top, (right - left) * height / width)
    return np.array([(left + right) / 2, (top + bottom) / 2]), side * padding / height


def boxes_about(xy: Array, known: NDArray[np.bool_], *, margin: float, least: float) -> Array:
    """Return boxes (N, 4) `xyxy` about the `known` (N, K) ones of points (N, K, 2).

    Each side is `margin` times their extent, or times `least` where they have none. A row in which
    nothing is known is NaN.
    """
    some = known.any(axis=1, keepdims=True)
    low = np.where(known[..., None], xy, np.inf).min(axis=1)
    high = np.where(known[..., None], xy, -np.inf).max(axis=1)
    low, high = np.where(some, low, np.nan), np.where(some, high, np.nan)
    half = np.where(high == low, least, high - low) * margin / 2
    centre = (low + high) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def crop_affine(
    centre: Array,
    scale: float,
    *,
    input_hw: tuple[int, int],
    rotation_deg: float = 0.0,
    flip: bool = False,
    align_corners: bool = False,
) -> Array:
    """Return the (2, 3) affine from image to crop coordinates.

    `centre` (2,) lands on (W / 2, H / 2) of the crop; `scale` is in image pixels per crop pixel;
    a positive `rotation_deg` turns the picture clockwise about the centre; `flip` mirrors the crop
    left to right about its middle column (W - 1) / 2, after the rotation.

    With `align_corners` lengths are counted from pixel to pixel, W - 1 and H - 1 for W and H: the
    centre lands on ((W - 1) / 2, (H - 1) / 2), and what would span W pixels spans W - 1.

    Source: official `dataset/dataloader.py`, `transform`. With `align_corners` UDP (Huang et al.,
    CVPR 2020), section 3.2; mmpose `get_udp_warp_matrix` at 759b39c.
    """
    height, width = input_hw
    angle = np.deg2rad(rotation_deg)
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    linear = np.array([[cos, -sin], [sin, cos]])
    middle = np.array([width / 2, height / 2])
    if align_corners:
        linear *= shrinkage(input_hw)[:, None]
        middle -= 0.5
    affine = np.column_stack([linear, middle - linear @ centre])
    if flip:
        affine[0] = -affine[0]
        affine[0, 2] += width - 1
    return affine


def shrinkage(input_hw: tuple[int, int]) -> Array:
    """Return (W - 1) / W and (H - 1) / H, by which `align_corners` makes x and y of a crop less."""
    return 1 - 1 / np.array(input_hw[::-1], np.float64)


def apply_affine(affine: Array, xy: Array) -> Array:
    """Return `xy` (..., 2) mapped by `affine` (2, 3)."""
    return xy @ affine[:, :2].T + affine[:, 2]


def invert_affine(affine: Array) -> Array:
    """Return the (2, 3) affine that undoes `affine`."""
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])


def compose_affine(outer: Array, inner: Array) -> Array:
    """Return the (2, 3) affine that applies `inner` first, then `outer`."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])
