"""How far keypoints are from where they are, keypoint by keypoint: PCK, PCKh, AUC, EPE, NME, OKS.

All functions take errors (N, K) in pixels, NaN where a keypoint is not labelled, and return one
number a keypoint and one of all labelled keypoints together, so that a keypoint weighs as much as
it is labelled often. What nothing defines is NaN.

- EPE, the end-point error: the mean distance in pixels. Zimmermann and Brox, ICCV 2017.
- PCK, percentage of correct keypoints: the share of distances of at most a threshold times a size.
  Yang and Ramanan, TPAMI 2013: the size is the longer side of the person's box (`box_sizes`).
  Toshev and Szegedy, CVPR 2014, call it PDJ with the torso's diameter for size (`torso_sizes`).
- PCKh: PCK at half the size of the head. Andriluka, Pishchulin, Gehler and Schiele, CVPR 2014,
  whose code takes 0.6 of the diagonal of an annotated box of the head, which the JSON files of MPII
  do not have. `head_sizes` takes the distance of two keypoints: it is not comparable with MPII's
  table.
- AUC: the area under PCK as a function of the threshold, from 0 to a limit, divided by the limit.
- NME, the normalised mean error: the mean of distances divided by a size, of the eyes or the box in
  works on faces (Sagonas et al., ICCVW 2013).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evopose.metrics.oks import Array

Floats = NDArray[np.float64]

_TORSOS = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))
_HEADS = (("head_top", "upper_neck"), ("head_top", "neck"), ("head", "neck"))


@dataclass(frozen=True, kw_only=True)
class ByKeypoint:
    """A metric of each keypoint, and of all of them."""

    each: Floats
    """(K,), NaN where a keypoint is never labelled."""
    all: float
    """Of all labelled keypoints, each with the same weight."""


def distances(predicted: Array, truth: Array) -> Floats:
    """Return the distances (N, K) in pixels of predicted (N, K, 2) to true keypoints (N, K, 3: x,
    y, visibility), NaN where the visibility is 0."""
    if predicted.shape[:2] != truth.shape[:2] or predicted.shape[2] < 2 or truth.shape[2] != 3:
        raise ValueError(f"expected (N, K, 2) and (N, K, 3), got {predicted.shape}, {truth.shape}")
    with np.errstate(over="ignore"):
        far = np.hypot(*np.moveaxis(predicted[..., :2].astype(float) - truth[..., :2], -1, 0))
    return np.where(truth[..., 2] > 0, far, np.nan)


def epe(errors: Floats) -> ByKeypoint:
    """Return the mean distance in pixels."""
    return _mean(errors)


def nme(errors: Floats, sizes: Floats) -> ByKeypoint:
    """Return the mean distance in sizes (N,), persons without a size left out."""
    return _mean(_relative(errors, sizes))


def pck(errors: Floats, sizes: Floats, threshold: float = 0.2) -> ByKeypoint:
    """Return the share of keypoints at most `threshold` sizes (N,) away, persons without a size
    left out. PCKh@0.5 is this with sizes of heads and 0.5."""
    relative = _relative(errors, sizes)
    return _mean(np.where(np.isnan(relative), np.nan, relative <= threshold))


def auc(errors: Floats, sizes: Floats, limit: float = 0.5) -> ByKeypoint:
    """Return the area under PCK over thresholds from 0 to `limit` sizes (N,), divided by `limit`.

    The integral is exact: a keypoint at distance d adds max(0, 1 - d / limit). Sums over steps of
    thresholds, as papers have them, tend to it. For thresholds in pixels let sizes be 1.
    """
    return _mean(np.maximum(0, 1 - _relative(errors, sizes) / limit))


def keypoint_oks(errors: Floats, area: Floats, sigmas: Floats) -> ByKeypoint:
    """Return the mean similarity of each keypoint, exp(-d^2 / (2 area (2 sigma)^2)), and of all.

    Unlike the mean of `oks` over persons, a person with more labelled keypoints weighs more in it.
    Source: pycocotools `cocoeval.py`, `computeOks`, before its sum over keypoints.
    """
    variance = (2 * np.asarray(sigmas, float)) ** 2
    size = np.asarray(area, float)[:, None] + np.spacing(1)
    with np.errstate(over="ignore"):
        return _mean(np.exp(-(errors**2) / variance / size / 2))


def box_sizes(boxes_xyxy: Array) -> Floats:
    """Return the longer sides (N,) of boxes (N, 4)."""
    sides = np.asarray(boxes_xyxy, float)[:, 2:] - np.asarray(boxes_xyxy, float)[:, :2]
    return np.asarray(sides.max(axis=1))


def torso_sizes(truth: Array, names: Sequence[str]) -> Floats | None:
    """Return the torsos' diameters (N,): left shoulder to right hip, else right shoulder to left
    hip, NaN where neither pair is labelled; None for a skeleton without these."""
    return _between(truth, names, _TORSOS)


def head_sizes(truth: Array, names: Sequence[str]) -> Floats | None:
    """Return the distances (N,) from the top of the head to the neck, NaN where one of them is not
    labelled; None for a skeleton without these."""
    return _between(truth, names, _HEADS)


def _between(truth: Array, names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> Floats | None:
    """Return the first distance of each person that is known and above 0."""
    known = [(a, b) for a, b in pairs if a in names and b in names]
    if not known:
        return None
    found = np.full(len(truth), np.nan)
    for a, b in known:
        ends = truth[:, [names.index(a), names.index(b)]].astype(float)
        length = np.hypot(*(ends[:, 0, :2] - ends[:, 1, :2]).T)
        usable = np.isnan(found) & (ends[..., 2] > 0).all(axis=1) & (length > 0)
        found = np.where(usable, length, found)
    return found


def _relative(errors: Floats, sizes: Floats) -> Floats:
    sizes = np.asarray(sizes, float)
    if sizes.shape != errors.shape[:1]:
        raise ValueError(f"expected {errors.shape[0]} sizes, one a person, got {sizes.shape}")
    usable = np.where(sizes > 0, sizes, np.nan)
    return np.asarray(errors / usable[:, None])


def _mean(values: Floats) -> ByKeypoint:
    """Return means of what is no NaN: of columns, and of all."""
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0).sum(axis=0), known.sum(axis=0)
    each = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    everything = int(count.sum())
    return ByKeypoint(each=each, all=float(total.sum() / everything) if everything else np.nan)
