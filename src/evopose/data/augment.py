"""Augmentation: every draw of an epoch at once, then one affine map and one colour map a sample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evopose.errors import ConfigError
from evopose.geometry import Array, shrinkage
from evopose.skeleton import COCO_PERSON, Skeleton

HALF_BODY_PADDING = 1.5
"""A half body's crop is this much larger than a whole body's about the same extent (official)."""

_UPPER = frozenset(COCO_PERSON.keypoints[:11])  # face, shoulders, elbows, wrists
_GREY = np.array([0.299, 0.587, 0.114])  # the luminance of red, green and blue (BT.601)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What happens to a training sample; the defaults are the official code's, half-body aside.

    Raises: ConfigError for probabilities outside [0, 1] and amounts that make no sense.

    Source: official `dataset/dataloader.py`, `preprocess`, `half_body_transform`. Differs from it:
    there `half_body` 0 fires for half of all persons with enough keypoints; 0.5 here does that.
    """

    flip: float = 0.5
    """Probability of mirroring left and right."""
    scale: float = 0.3
    """The crop covers clip(N(0, 1) * scale + 1, 1 - scale, 1 + scale) times its side."""
    scale_range: tuple[float, float] | None = None
    """The least and the largest of these factors, uniform between them: instead of `scale`."""
    extension: float = 0.0
    """The crop's side first grows by a share of it, uniform from 0 to this."""
    rotation_deg: float = 40.0
    """Turned by clip(N(0, 1) * rotation_deg, +-2 rotation_deg)."""
    rotation_uniform: bool = False
    """Turned by a uniform angle within +-rotation_deg instead."""
    rotation_probability: float = 0.6
    """Probability of being turned."""
    half_body: float = 0.0
    """Probability of a crop about the upper or the lower body alone."""
    half_body_min_keypoints: int = 8
    """Half-body crops are for persons with more labelled keypoints than this."""
    colour: float = 0.0
    """Brightness, contrast and saturation are each multiplied by uniform 1 +- colour."""

    def __post_init__(self) -> None:
        for name in ("flip", "rotation_probability", "half_body"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is a probability, 0 to 1; got {getattr(self, name)}")
        for name in ("scale", "colour"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 0, below 1; got {getattr(self, name)}")
        if self.extension < 0:
            raise ConfigError(f"extension must not be negative; got {self.extension}")
        if self.scale_range and not 0 < self.scale_range[0] <= self.scale_range[1]:
            raise ConfigError(
                f"scale_range must be two positive factors, the smaller first; got "
                f"{self.scale_range}"
            )
        if not 0 <= self.rotation_deg <= 180:
            raise ConfigError(f"rotation_deg must be 0 to 180; got {self.rotation_deg}")

    @classmethod
    def none(cls) -> "Augmentation":
        """Return the augmentation that changes nothing."""
        return cls(flip=0.0, scale=0.0, rotation_probability=0.0)

    @classmethod
    def flip_only(cls) -> "Augmentation":
        """Return the augmentation that mirrors half of the samples, as the paper's search does."""
        return cls(scale=0.0, rotation_probability=0.0)


@dataclass(frozen=True, kw_only=True)
class Draws:
    """What chance decided for each sample of an epoch."""

    flip: NDArray[np.bool_]  # (N,)
    scale: NDArray[np.float64]  # (N,) image pixels a crop pixel, times this
    rotation_deg: NDArray[np.float64]  # (N,)
    half_body: NDArray[np.bool_]  # (N,)
    upper: NDArray[np.bool_]  # (N,) upper rather than lower half, where both can be
    colour: NDArray[np.float32]  # (N, 3, 4) RGB to RGB


def draw(augmentation: Augmentation, count: int, rng: np.random.Generator) -> Draws:
    """Return the draws of `count` samples. Each kind draws always, so one does not move another."""
    a = augmentation
    flip, turn, half, upper = rng.random((4, count))
    scale, angle = rng.standard_normal((2, count))
    colour = rng.uniform(-1, 1, (3, count))
    even_scale, even_angle, extension = rng.random((3, count))
    if a.rotation_uniform:
        angle = (2 * even_angle - 1) * a.rotation_deg
    else:
        angle = np.clip(angle * a.rotation_deg, -2 * a.rotation_deg, 2 * a.rotation_deg)
    if a.scale_range:
        scale = a.scale_range[0] + even_scale * (a.scale_range[1] - a.scale_range[0])
    else:
        scale = np.clip(scale * a.scale + 1, 1 - a.scale, 1 + a.scale)
    return Draws(
        flip=flip < a.flip,
        scale=scale * (1 + extension * a.extension),
        rotation_deg=np.where(turn < a.rotation_probability, angle, 0.0),
        half_body=half < a.half_body,
        upper=upper < 0.5,
        colour=_colour_maps(1 + a.colour * colour),
    )


def upper_body(skeleton: Skeleton) -> NDArray[np.bool_] | None:
    """Return which keypoints (K,) are of the upper body; None where names do not tell.

    Known are COCO's names: face, shoulders, elbows and wrists against hips, knees and ankles.
    """
    if not set(skeleton.keypoints) <= set(COCO_PERSON.keypoints):
        return None
    return np.array([name in _UPPER for name in skeleton.keypoints])


def half_body_frames(
    xy: Array,
    labelled: NDArray[np.bool_],
    *,
    upper: NDArray[np.bool_],
    prefer_upper: NDArray[np.bool_],
    input_hw: tuple[int, int],
    padding: float,
) -> tuple[Array, Array]:
    """Return the centre (B, 2) and scale (B,) of crops about half of each body.

    `xy` (B, K, 2) and the centres are in stored pixels, those of `align_corners` divided by
    `geometry.shrinkage`, scales in such pixels a crop pixel. The
    upper half it is if it has more than 2 labelled keypoints and `prefer_upper` (B,), or 2 or
    fewer; else the lower. A scale is NaN where the half has fewer than 2 keypoints, or no extent.
    """
    above, below = labelled & upper, labelled & ~upper
    take_upper = prefer_upper | (above.sum(axis=1) <= 2)
    chosen = np.where(take_upper[:, None], above, below)[..., None]
    count = chosen.sum(axis=1)
    low = np.where(chosen, xy, np.inf).min(axis=1)
    high = np.where(chosen, xy, -np.inf).max(axis=1)
    width, height = np.where(count >= 2, high - low, 0.0).T
    side = np.maximum(height, width * input_hw[0] / input_hw[1])
    scale = side * padding * HALF_BODY_PADDING / input_hw[0]
    centre = np.where(chosen, xy, 0).sum(axis=1) / np.maximum(count, 1)
    return centre, np.where(side > 0, scale, np.nan)


def crop_affines(
    centre: Array,
    scale: Array,
    rotation_deg: Array,
    flip: NDArray[np.bool_],
    *,
    input_hw: tuple[int, int],
    align_corners: bool = False,
) -> NDArray[np.float64]:
    """Return (B, 2, 3) affines, each `geometry.crop_affine` of its row.

    With `align_corners` the picture that is cut from was itself cut so, at the crop's scale: it is
    turned as the image is that it comes from, whose sides it holds shrunk unlike each other.
    """
    height, width = input_hw
    angle = np.deg2rad(rotation_deg)
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    affines = np.empty((len(scale), 2, 3))
    affines[:, 0, 0], affines[:, 0, 1] = cos, -sin
    affines[:, 1, 0], affines[:, 1, 1] = sin, cos
    middle = np.array([width / 2, height / 2])
    if align_corners:
        shrink = shrinkage(input_hw)
        affines[:, :, :2] *= shrink[:, None] / shrink
        middle -= 0.5
    affines[:, :, 2] = middle - np.einsum("bij,bj->bi", affines[:, :, :2], centre)
    affines[flip, 0] *= -1
    affines[flip, 0, 2] += width - 1
    return affines


def _colour_maps(factors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the maps (N, 3, 4) of saturation, contrast about middle grey, then brightness."""
    brightness, contrast, saturation = factors[:, :, None, None]
    mixed = saturation * np.eye(3) + (1 - saturation) * _GREY
    offset = np.broadcast_to((1 - contrast) * 127.5, (factors.shape[1], 3, 1))
    maps = brightness * np.concatenate([contrast * mixed, offset], axis=2)
    return np.asarray(maps, np.float32)
