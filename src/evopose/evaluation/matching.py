"""COCO's matching on arrays, for what must be judged many times; `accumulation` goes on from it.

`metrics.coco_ap` judges one set of results. The error analysis judges dozens of altered ones, and a
bootstrap thousands of weighted ones: here the similarities are computed once, and all images are
matched together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.metrics.truth import Truth, truth_of
from evopose.structures import Instance

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
MOST_RESULTS = 20
"""Results of an image that count: those of the highest scores."""

AREAS = {"": (0.0, 1e10), "M": (32.0**2, 96.0**2), "L": (96.0**2, 1e10)}
"""Areas of the persons that count, by the letter of APM and APL."""

_NEAR_ONE = 1 - 1e-10
_CHUNK = 8192
"""Pairs at once: as much as fits a processor's cache."""


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

    @property
    def labelled(self) -> Bools:
        """(G, K) which keypoints of the persons are labelled."""
        return self.truth[..., 2] > 0


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


def similarities(
    problem: Problem, *, keypoints: Floats | None = None, pairs: Ints | None = None
) -> Floats:
    """Return the keypoint similarities (P, K) of all pairs, or of some (M,); 0 for keypoints
    without a label.

    `keypoints` (N, K, 2) replace those of the results. Of a person with no label at all, COCO takes
    a keypoint for right within the box made three times as wide and high about its centre.

    Source: pycocotools `cocoeval.py`, `computeOks`.
    """
    found = problem.keypoints if keypoints is None else keypoints
    chosen = np.arange(len(problem.pair_result)) if pairs is None else pairs
    similarity = np.empty((len(chosen), len(problem.sigmas)))
    for start in range(0, len(chosen), _CHUNK):
        part = slice(start, start + _CHUNK)
        result, person = problem.pair_result[chosen[part]], problem.pair_person[chosen[part]]
        similarity[part] = _similarities(problem, found[result], person)
    return similarity


def _similarities(problem: Problem, xy: Floats, person: Ints) -> Floats:
    truth = problem.truth[person]
    labelled = truth[..., 2] > 0
    offset = xy - truth[..., :2]
    unknown = np.flatnonzero(~labelled.any(axis=1))
    if len(unknown):
        box = problem.boxes[person[unknown]][:, None]
        size = box[..., 2:]
        before, after = box[..., :2] - size - xy[unknown], xy[unknown] - (box[..., :2] + 2 * size)
        offset[unknown] = np.maximum(before, 0) + np.maximum(after, 0)
        labelled[unknown] = True
    area = (problem.area[person] + np.spacing(1))[:, None]
    with np.errstate(over="ignore"):  # so far away that the similarity is 0
        squared = offset[..., 0] ** 2 + offset[..., 1] ** 2
        return np.where(labelled, np.exp(-squared / (2 * problem.sigmas) ** 2 / area / 2), 0.0)


def pair_oks(problem: Problem, similarity: Floats, *, pairs: Ints | None = None) -> Floats:
    """Return the OKS (P,) of all pairs, or of some, from their keypoints' similarities."""
    count = problem.labelled.sum(axis=1)
    count[count == 0] = len(problem.sigmas)
    person = problem.pair_person if pairs is None else problem.pair_person[pairs]
    return np.asarray(similarity.sum(axis=1) / count[person], np.float64)


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Who was found by which result, for T thresholds of OKS."""

    result: Ints
    """(S,) results that count, the highest score first."""
    image: Ints
    """(S,) their images' places."""
    person: Ints
    """(T, S) places of the persons they match; -1: none."""
    ignored: Bools
    """(T, S) results that are neither right nor wrong."""
    persons: Ints
    """(I,) how many persons of each image are to be found."""


def match(
    problem: Problem,
    oks: Floats,
    *,
    scores: Floats | None = None,
    thresholds: Floats = THRESHOLDS,
    area: tuple[float, float] = AREAS[""],
) -> Matches:
    """Return COCO's matches for the OKS (P,) of all pairs.

    In the order of their scores (`scores` (N,) replace those of the results) an image's results
    take the free person with the highest OKS, those outside `area` and those that do not count
    only if there is no other.

    Source: pycocotools `cocoeval.py`, `evaluateImg`.
    """
    value = problem.scores if scores is None else scores
    regular = problem.counted & (area[0] <= problem.area) & (problem.area <= area[1])
    order = np.lexsort((-value, problem.result_image))
    rank = np.empty(len(order), np.intp)
    rank[order] = _places(problem.result_image[order])
    person = np.full((len(thresholds), len(order)), -1, np.intp)
    least = np.minimum(thresholds, _NEAR_ONE)
    near = np.flatnonzero((oks >= least.min()) & (rank[problem.pair_result] < MOST_RESULTS))
    for block in _blocks(problem, near, rank, oks, regular):
        _match_block(block, person, least)
    kept = order[rank[order] < MOST_RESULTS]
    kept = kept[np.argsort(-value[kept], kind="stable")]
    person = person[:, kept]
    found = person >= 0
    ignored = np.zeros(found.shape, np.bool_)
    ignored[found] = ~regular[person[found]]
    extent = problem.extents[kept]
    outside = (extent < area[0]) | (extent > area[1])
    if outside.any():
        ignored |= ~found & outside
    images = len(problem.images)
    return Matches(
        result=kept,
        image=problem.result_image[kept],
        person=person,
        ignored=ignored,
        persons=np.bincount(problem.person_image[regular], minlength=images),
    )


def _places(sorted_groups: Ints) -> Ints:
    """Return the place of each within its run of equal values."""
    new = np.diff(sorted_groups, prepend=-1) != 0
    index = np.arange(len(sorted_groups))
    return np.asarray(index - np.maximum.accumulate(np.where(new, index, 0)), np.intp)


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Images with about as many persons, padded to the same number."""

    oks: Floats
    """(n, D, G), -1 where there is none; of the persons those that count first."""
    result: Ints
    """(n, D) by rank, -1 where there is none."""
    person: Ints
    """(n, G), -1 where there is none."""
    regular: Bools
    """(n, G)"""
    crowd: Bools
    """(n, G)"""


def _blocks(
    problem: Problem, pairs: Ints, rank: Ints, oks: Floats, regular: Bools
) -> Iterator[_Block]:
    """Yield the images of some pairs, with only those results and persons that are in them."""
    images = len(problem.images)
    ours, row_of = _in_order(problem.pair_result[pairs], problem.result_image, rank)
    theirs, column_of = _in_order(problem.pair_person[pairs], problem.person_image, ~regular)
    results = np.bincount(problem.result_image[ours], minlength=images)
    persons = np.bincount(problem.person_image[theirs], minlength=images)
    image = problem.result_image[problem.pair_result[pairs]]
    least = 0
    while least < persons.max(initial=0):
        most = max(1, 2 * least)
        chosen = np.flatnonzero((persons > least) & (persons <= most))
        least = most
        if not len(chosen):
            continue
        chosen = chosen[np.argsort(-results[chosen], kind="stable")]
        place = np.full(images, -1, np.intp)
        place[chosen] = np.arange(len(chosen))
        shape = len(chosen), results[chosen].max(), persons[chosen].max()
        table = np.full(shape, -1.0)
        result = np.full(shape[:2], -1, np.intp)
        person = np.full((shape[0], shape[2]), -1, np.intp)
        some = ours[place[problem.result_image[ours]] >= 0]
        result[place[problem.result_image[some]], row_of[some]] = some
        some = theirs[place[problem.person_image[theirs]] >= 0]
        person[place[problem.person_image[some]], column_of[some]] = some
        some = pairs[place[image] >= 0]
        at = row_of[problem.pair_result[some]], column_of[problem.pair_person[some]]
        table[place[image[place[image] >= 0]], *at] = oks[some]
        yield _Block(
            oks=table,
            result=result,
            person=person,
            regular=(person >= 0) & regular[person],
            crowd=(person >= 0) & problem.crowd[person],
        )


def _in_order(members: Ints, image: Ints, key: NDArray[Any]) -> tuple[Ints, Ints]:
    """Return the members (each once) ordered by their images and then by `key`, and the place of
    each within its image, by member."""
    found = np.unique(members)
    found = found[np.lexsort((key[found], image[found]))]
    place = np.full(len(image), -1, np.intp)
    place[found] = _places(image[found])
    return found, place


def _match_block(block: _Block, person: Ints, thresholds: Floats) -> None:
    """Write into `person` (T, N) whom the block's results match."""
    free = np.broadcast_to((block.person >= 0)[:, None], (len(block.person), len(thresholds),
                           block.person.shape[1])).copy()  # fmt: skip
    special = (block.person >= 0) & ~block.regular
    for rank in range(block.result.shape[1]):
        here = int((block.result[:, rank] >= 0).sum())  # images are ordered by their results
        oks = block.oks[:here, rank, None]
        taken, column = _best(oks, free[:here] & block.regular[:here, None], thresholds)
        if special[:here].any():
            may = (free[:here] | block.crowd[:here, None]) & special[:here, None]
            again, other = _best(oks, may, thresholds)
            column = np.where(taken, column, other)
            taken = taken | again
        image, threshold = np.nonzero(taken)
        chosen = column[image, threshold]
        free[image, threshold, chosen] = False
        person[threshold, block.result[image, rank]] = block.person[image, chosen]


def _best(oks: Floats, may: Bools, thresholds: Floats) -> tuple[Bools, Ints]:
    """Return whether (n, T) and where the highest OKS (n, 1, G) among `may` (n, T, G) is reached;
    of equal ones the last, as in COCO's loop."""
    value = np.where(may, oks, -1.0)
    column = value.shape[2] - 1 - value[..., ::-1].argmax(axis=2)
    highest = np.take_along_axis(value, column[..., None], axis=2)[..., 0]
    return highest >= thresholds, column
