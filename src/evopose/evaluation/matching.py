"""COCO's matching on arrays, for what must be judged many times; `accumulation` goes on from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.evaluation.problem import Bools, Floats, Ints, Problem, order_by, places_in_runs
from evopose.metrics.truth import AREAS

THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)

_NEAR_ONE = 1 - 1e-10


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
    regular = problem.counted & (area[0] <= problem.area) & (problem.area <= area[1])
    order = problem.by_score if scores is None else order_by(scores, problem.result_image)
    kept = order.kept
    person = np.full((len(thresholds), len(kept)), -1, np.intp)
    least = np.minimum(thresholds, _NEAR_ONE)
    near = np.flatnonzero(oks >= least.min())
    near = near[order.place[problem.pair_result[near]] >= 0]
    for block in _blocks(problem, near, order.rank, oks, regular):
        _match_block(block, person, least, order.place)
    found = person >= 0
    ignored = np.zeros(found.shape, np.bool_)
    threshold, result = np.nonzero(found)
    ignored[threshold, result] = ~regular[person[threshold, result]]
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
    there = np.zeros(len(image), np.bool_)
    there[members] = True
    found = np.flatnonzero(there)
    found = found[np.lexsort((key[found], image[found]))]
    place = np.full(len(image), -1, np.intp)
    place[found] = places_in_runs(image[found])
    return found, place


def _match_block(block: _Block, person: Ints, thresholds: Floats, place: Ints) -> None:
    """Write into `person` (T, S) whom the block's results match, each at its `place` (N,)."""
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
        person[threshold, place[block.result[image, rank]]] = block.person[image, chosen]


def _best(oks: Floats, may: Bools, thresholds: Floats) -> tuple[Bools, Ints]:
    """Return whether (n, T) and where the highest OKS (n, 1, G) among `may` (n, T, G) is reached;
    of equal ones the last, as in COCO's loop."""
    value = np.where(may, oks, -1.0)
    column = value.shape[2] - 1 - value[..., ::-1].argmax(axis=2)
    highest = np.take_along_axis(value, column[..., None], axis=2)[..., 0]
    return highest >= thresholds, column
