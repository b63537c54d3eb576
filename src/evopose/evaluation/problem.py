"""All persons and results of the same images as arrays, and how similar each is to each.

`metrics.coco_ap` judges one set of results. The error analysis judges dozens of altered ones, and a
bootstrap thousands of weighted ones: here OKS is computed once, for all images together; `matching`
goes on from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.metrics.truth import Truth, truth_of
from evopose.structures import Instance

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

MOST_RESULTS = 20
"""Results of an image that count: those of the highest scores."""

_CHUNK = 1024
"""Pairs at once: as much as fits a processor's cache."""

_VANISHING = -745.2
"""The exponential of less is 0, and takes several times as long as others."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """All persons and results of the same images, and the pairs of both that could match."""

    sigmas: Floats
    """(K,)"""
    images: NDArray[np.int64]
    """(I,) ids, ascending."""
    keypoints: Floats
    """(N, K, 2) x and y of the results, in their order."""
    scores: Floats
    """(N,)"""
    extents: Floats
    """(N,) areas of the results: of what encloses their keypoints, or as their file has them."""
    result_image: Ints
    """(N,) place of each result's image in `images`."""
    truth: Floats
    """(G, K, 3) x, y and visibility of the persons, in their order."""
    boxes: Floats
    """(G, 4) left, top, width, height"""
    area: Floats
    """(G,)"""
    crowd: Bools
    """(G,)"""
    counted: Bools
    """(G,) which persons are to be found: no crowds, at least one labelled keypoint."""
    person_image: Ints
    """(G,) place of each person's image in `images`."""
    pair_result: Ints
    """(P,) results and ..."""
    pair_person: Ints
    """(P,) ... persons of the same image, each with each, in the order of the results."""

    @cached_property
    def by_score(self) -> "Order":
        """The order of the results by their scores."""
        return order_by(self.scores, self.result_image)

    @cached_property
    def labelled(self) -> Bools:
        """(G, K) which keypoints of the persons are labelled."""
        return np.asarray(self.truth[..., 2] > 0)

    @cached_property
    def labels(self) -> Ints:
        """(G,) how many they are."""
        return np.asarray(self.labelled.sum(axis=1))

    @cached_property
    def oks(self) -> Floats:
        """(P,) the OKS of all pairs."""
        return np.concatenate(
            [pair_oks(self, part, _similarities(self, self.keypoints, part))
             for part in _parts(len(self.pair_result))]
        )  # fmt: skip


def make_problem(
    instances: Sequence[Instance],
    results: Sequence[dict[str, Any]],
    sigmas: Sequence[float],
    *,
    images: Sequence[int] = (),
) -> Problem:
    """Return the persons and COCO results of one category as arrays.

    `images` are ids of images that have neither persons nor results, should they count.
    """
    ids = [one["image_id"] for one in results]
    known = [*ids, *(one.image_id for one in instances), *images]
    return problem_of(
        truth_of(instances, sigmas, known),
        image_ids=np.array(ids, np.int64),
        keypoints=np.array([one["keypoints"] for one in results], np.float64),
        scores=np.array([one["score"] for one in results], np.float64),
    )


def problem_of(
    truth: Truth,
    *,
    image_ids: NDArray[np.int64],
    keypoints: Floats,
    scores: Floats,
    areas: Floats | None = None,
) -> Problem:
    """Return persons and results of one category; the results' images (N,) are among the truth's,
    their keypoints are 3 K numbers each, their areas (N,) by default those about the keypoints."""
    images = truth.images
    xy = keypoints.reshape(-1, len(truth.sigmas), 3)[..., :2]
    if areas is None:
        with np.errstate(over="ignore"):
            areas = np.ptp(xy, axis=1).prod(axis=1)
    result_image = np.searchsorted(images, image_ids)
    person_image = np.searchsorted(images, truth.image_ids)
    pair_result, pair_person = _pairs(result_image, person_image, len(images))
    return Problem(
        sigmas=truth.sigmas,
        images=images,
        keypoints=xy,
        scores=scores,
        extents=areas,
        result_image=result_image,
        truth=truth.keypoints,
        boxes=truth.boxes,
        area=truth.areas,
        crowd=truth.crowd,
        counted=truth.counts,
        person_image=person_image,
        pair_result=pair_result,
        pair_person=pair_person,
    )


def _pairs(first: Ints, second: Ints, groups: int) -> tuple[Ints, Ints]:
    """Return the places of all pairs of the same group, ordered by the first."""
    order = np.argsort(second, kind="stable")
    sizes = np.bincount(second, minlength=groups)
    starts = np.cumsum(sizes) - sizes
    repeats = sizes[first]
    ours = np.repeat(np.arange(len(first)), repeats)
    within = np.arange(len(ours)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return ours, order[starts[first[ours]] + within]


def similarities(problem: Problem, pairs: Ints, *, keypoints: Floats | None = None) -> Floats:
    """Return the keypoint similarities (M, K) of some pairs (M,); 0 for keypoints without a label.

    `keypoints` (N, K, 2) replace those of the results. Of a person with no label at all, COCO takes
    a keypoint for right within the box made three times as wide and high about its centre.

    Source: pycocotools `cocoeval.py`, `computeOks`.
    """
    found = problem.keypoints if keypoints is None else keypoints
    return np.concatenate(
        [_similarities(problem, found, pairs[part]) for part in _parts(len(pairs))]
    )


def _parts(count: int) -> list[slice]:
    """Return the slices of so many pairs, one even of none."""
    return [slice(start, start + _CHUNK) for start in range(0, max(count, 1), _CHUNK)]


def _similarities(problem: Problem, found: Floats, pairs: Ints | slice) -> Floats:
    result, person = problem.pair_result[pairs], problem.pair_person[pairs]
    x = found[..., 0][result] - problem.truth[..., 0][person]
    y = found[..., 1][result] - problem.truth[..., 1][person]
    labelled = problem.labelled[person]
    unknown = np.flatnonzero(problem.labels[person] == 0)
    if len(unknown):
        box = problem.boxes[person[unknown]][:, None]
        at, size = found[result[unknown]], box[..., 2:]
        before, after = box[..., :2] - size - at, at - (box[..., :2] + 2 * size)
        x[unknown], y[unknown] = np.moveaxis(np.maximum(before, 0) + np.maximum(after, 0), -1, 0)
        labelled[unknown] = True
    area = (problem.area[person] + np.spacing(1))[:, None]
    with np.errstate(over="ignore"):  # so far away that the similarity is 0
        exponent = -(x**2 + y**2) / (2 * problem.sigmas) ** 2 / area / 2
    matters = labelled & (exponent > _VANISHING)
    return np.asarray(np.exp(exponent, where=matters, out=np.zeros_like(exponent)), np.float64)


def pair_oks(problem: Problem, pairs: Ints | slice, similarity: Floats) -> Floats:
    """Return the OKS (M,) of some pairs from their keypoints' similarities (M, K)."""
    labels = problem.labels[problem.pair_person[pairs]]
    count = np.where(labels > 0, labels, len(problem.sigmas))
    return np.asarray(similarity.sum(axis=1) / count, np.float64)


def best_oks(problem: Problem) -> tuple[Ints, Floats, Ints]:
    """Return the persons (M,) who are to be found and have labelled keypoints, the best OKS that a
    result which counts has with each, and that result: 0 and -1 where their image has none."""
    persons = np.flatnonzero(problem.counted & (problem.labels > 0))
    pairs = np.flatnonzero(problem.by_score.place[problem.pair_result] >= 0)
    result, person, oks = problem.pair_result[pairs], problem.pair_person[pairs], problem.oks[pairs]
    best = np.zeros(len(problem.area))
    np.maximum.at(best, person, oks)
    nearest = np.full(len(best), -1)
    reached = np.flatnonzero(oks == best[person])[::-1]  # of equal ones the first stays
    nearest[person[reached]] = result[reached]
    return persons, best[persons], nearest[persons]


@dataclass(frozen=True, kw_only=True)
class Order:
    """Which results count, and in which order."""

    rank: Ints
    """(N,) place of each result among those of its image, the highest score first."""
    kept: Ints
    """(S,) results that count, the highest score first."""
    place: Ints
    """(N,) where each is in `kept`; -1: not there."""


def order_by(scores: Floats, image: Ints) -> Order:
    """Return the order of results by scores (N,), in images (N,)."""
    order = np.lexsort((-scores, image))
    rank = np.empty(len(order), np.intp)
    rank[order] = places_in_runs(image[order])
    kept = order[rank[order] < MOST_RESULTS]
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    place = np.full(len(order), -1, np.intp)
    place[kept] = np.arange(len(kept))
    return Order(rank=rank, kept=kept, place=place)


def places_in_runs(sorted_groups: Ints) -> Ints:
    """Return the place of each within its run of equal values."""
    new = np.diff(sorted_groups, prepend=-1) != 0
    index = np.arange(len(sorted_groups))
    return np.asarray(index - np.maximum.accumulate(np.where(new, index, 0)), np.intp)
