"""Suppressing poses that are found twice, by their similarity to each other: OKS-NMS.

Poses are those of one image. NumPy alone; of P poses all P x P similarities are computed at once.

Source: HRNet and SimpleBaseline, `lib/nms/nms.py`, `oks_iou`, `oks_nms` and `soft_oks_nms`; the
same in MMPose, `mmpose/evaluation/functional/nms.py`.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

THRESHOLD = 0.9
"""The similarity above which one of two poses is dropped. Source: HRNet's configurations."""

MOST = 20
"""Poses of an image that soft suppression keeps: as many as count for AP."""


def pairwise_oks(
    keypoints: NDArray[np.floating],
    areas: NDArray[np.floating],
    sigmas: NDArray[np.floating],
    *,
    least_score: float | None = None,
) -> Floats:
    """Return the similarities (P, P) of poses (P, K, 3: x, y, score) to each other.

    Both areas (P,) of a pair are averaged: with them the matrix is symmetric. `least_score`:
    keypoints count where both scores are above it, and a pair without any has 0.

    Differs from the source, where of a pair only the second pose's scores are looked at, by a slip
    (`list and list`); nobody sets that threshold by default.
    """
    xy = np.asarray(keypoints, np.float64)[..., :2]
    area = np.asarray(areas, np.float64)
    mean_area = (area[:, None] + area[None]) / 2 + np.spacing(1)
    variance = (2 * np.asarray(sigmas, np.float64)) ** 2
    with np.errstate(over="ignore"):  # so far apart that the similarity is 0
        squared = ((xy[:, None] - xy[None]) ** 2).sum(axis=3)
        similarity = np.exp(-squared / variance / mean_area[..., None] / 2)
    if least_score is None:
        return np.asarray(similarity.mean(axis=2))
    seen = np.asarray(keypoints)[..., 2] > least_score
    both = seen[:, None] & seen[None]
    count = both.sum(axis=2)
    total = np.where(both, similarity, 0).sum(axis=2)
    return np.where(count > 0, total / np.maximum(count, 1), 0.0)


def oks_nms(
    keypoints: NDArray[np.floating],
    scores: NDArray[np.floating],
    areas: NDArray[np.floating],
    sigmas: NDArray[np.floating],
    *,
    threshold: float = THRESHOLD,
    least_score: float | None = None,
) -> NDArray[np.intp]:
    """Return the places of poses that stay, best first.

    From the highest score (P,) down, a pose stays unless its similarity to one that stays is above
    the threshold. Of equal scores the first in the list is the better one (the source leaves that
    to its sort). Arguments as `pairwise_oks`.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    similar = pairwise_oks(keypoints, areas, sigmas, least_score=least_score) > threshold
    waiting = np.ones(len(order), bool)
    kept = []
    for place in order:
        if waiting[place]:
            kept.append(place)
            waiting &= ~similar[place]
    return np.array(kept, np.intp)


def soft_oks_nms(
    keypoints: NDArray[np.floating],
    scores: NDArray[np.floating],
    areas: NDArray[np.floating],
    sigmas: NDArray[np.floating],
    *,
    threshold: float = THRESHOLD,
    most: int = MOST,
    least_score: float | None = None,
) -> tuple[NDArray[np.intp], Floats]:
    """Return the places of the poses that stay, and their lowered scores, best first.

    The best pose is taken out, all others' scores are multiplied by
    exp(-similarity^2 / threshold), and so on until `most` are out: nothing is dropped but what is
    left then. Arguments as `pairwise_oks`.

    Differs from the source, which returns the places alone and whose caller keeps the old scores.
    """
    left = np.array(scores, np.float64)
    similarity = pairwise_oks(keypoints, areas, sigmas, least_score=least_score)
    factors = np.exp(-(similarity**2) / threshold)
    waiting = np.ones(len(left), bool)
    kept, lowered = [], []
    for _ in range(min(most, len(left))):
        best = int(np.argmax(np.where(waiting, left, -np.inf)))
        kept.append(best)
        lowered.append(left[best])
        waiting[best] = False
        left *= factors[best]
    return np.array(kept, np.intp), np.array(lowered, np.float64)
