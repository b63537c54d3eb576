"""Object keypoint similarity."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def oks(predicted: Array, truth: Array, area: Array, sigmas: Array) -> NDArray[np.float64]:
    """Return the similarity (N,) of each prediction to its truth, in [0, 1].

    `predicted` (N, K, 2) and `truth` (N, K, 3: x, y, visibility) are in one frame, `area` (N,) in
    its square pixels, `sigmas` (K,). Keypoints of visibility 0 do not count; a row with none
    labelled is NaN.

    Source: pycocotools `cocoeval.py`, `computeOks` (for truths with labelled keypoints).
    """
    if predicted.shape[:2] != truth.shape[:2] or len(area) != len(truth):
        raise ValueError(
            f"expected (N, K, 2), (N, K, 3) and (N,), got {predicted.shape}, {truth.shape} and "
            f"{np.shape(area)}"
        )
    labelled = truth[..., 2] > 0
    variance = (2 * np.asarray(sigmas, np.float64)) ** 2
    size = np.asarray(area, np.float64)[:, None] + np.spacing(1)
    with np.errstate(over="ignore"):  # so far away that the similarity is 0
        squared = ((predicted.astype(np.float64) - truth[..., :2]) ** 2).sum(axis=-1)
        similarity = np.exp(-squared / variance / size / 2)
    count = labelled.sum(axis=1)
    total = np.where(labelled, similarity, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
