"""Object keypoint similarity."""

import numpy as np
from numpy.typing import NDArray

from evopose.metrics.truth import Truth

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


def best_oks(
    truth: Truth, image_ids: NDArray[np.int64], xy: Array
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.intp]]:
    """Return M persons, the best similarity that any pose of their image has to each, and that
    pose's place: 0 and -1 where no pose is of their image.

    The persons (M,) are places in `truth` of those that are to be found and have labelled
    keypoints. Poses are `image_ids` (N,) and `xy` (N, K, 2).
    """
    order = np.argsort(image_ids, kind="stable")
    persons = np.flatnonzero(truth.counts & (truth.keypoints[..., 2] > 0).any(axis=1))
    places = truth.image_ids[persons]
    first = np.searchsorted(image_ids[order], places)
    number = np.searchsorted(image_ids[order], places, side="right") - first
    best = np.zeros(len(persons))
    nearest = np.full(len(persons), -1)
    for part in _parts(number):
        person = np.repeat(part, number[part])
        within = np.arange(len(person)) - np.repeat(
            np.cumsum(number[part]) - number[part], number[part]
        )
        pose, whom = order[first[person] + within], persons[person]
        similarity = oks(xy[pose], truth.keypoints[whom], truth.areas[whom], truth.sigmas)
        np.maximum.at(best, person, similarity)
        reached = np.flatnonzero(similarity == best[person])[::-1]  # of equal ones the first stays
        nearest[person[reached]] = pose[reached]
    return persons, best, nearest


def _parts(number: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Return the places of persons in runs of about 2^14 pairs with poses."""
    run = np.cumsum(number) >> 14
    return np.split(np.arange(len(number)), np.flatnonzero(np.diff(run)) + 1)
