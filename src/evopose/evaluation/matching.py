"""COCO's matching on arrays, for what must be judged many times; `accumulation` goes on from it."""

from dataclasses import dataclass

import numpy as np

from evopose.evaluation.problem import Bools, Floats, Ints, Problem, order_by
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
    excused: Bools
    """(S,) results that are not wrong where they match nobody."""
    persons: Ints
    """(I,) how many persons of each image are to be found."""
    found: tuple["Found", ...]
    """By threshold."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The matches at one threshold."""

    place: Ints
    """(F,) places of the results in `Matches.result`, ascending."""
    person: Ints
    """(F,) places of their persons."""
    right: Bools
    """(F,) whether the person was to be found; else the match is neither right nor wrong."""


def match(
    problem: Problem,
    oks: Floats,
    *,
    pairs: Ints | None = None,
    scores: Floats | None = None,
    thresholds: Floats = THRESHOLDS,
    area: tuple[float, float] = AREAS[""],
) -> Matches:
    """Return COCO's matches for the OKS (P,) of all pairs, at ascending thresholds.

    In the order of their scores (`scores` (N,) replace those of the results) an image's results
    take the free person with the highest OKS, those outside `area` and those that do not count
    only if there is no other. Only `pairs` (M,) are looked at if they are given.

    Source: pycocotools `cocoeval.py`, `evaluateImg`.
    """
    regular = problem.counted & (area[0] <= problem.area) & (problem.area <= area[1])
    order = problem.by_score if scores is None else order_by(scores, problem.result_image)
    least = np.minimum(thresholds, _NEAR_ONE)
    able = np.flatnonzero(oks >= least[0]) if pairs is None else pairs[oks[pairs] >= least[0]]
    wishes = _wishes(problem, oks, able, order.place, regular)
    found = []
    for reached in least:
        some = np.flatnonzero(wishes.oks >= reached)
        granted = some[_granted(wishes.place[some], wishes.seat[some])]
        person = wishes.person[granted]
        found.append(Found(place=wishes.place[granted], person=person, right=regular[person]))
    extent = problem.extents[order.kept]
    return Matches(
        result=order.kept,
        image=problem.result_image[order.kept],
        excused=(extent < area[0]) | (extent > area[1]),
        persons=np.bincount(problem.person_image[regular], minlength=len(problem.images)),
        found=tuple(found),
    )


def contenders(problem: Problem, changing: Ints) -> Ints:
    """Return the pairs (M,) that are enough for `match` at `THRESHOLDS`, ascending, while nothing
    but the OKS of the `changing` pairs changes, all those of some results.

    Whoever reaches no higher a threshold than an earlier result that has nobody else to match can
    never match: most finds of a person who is found many times.
    """
    place = problem.by_score.place[problem.pair_result]
    fixed = (problem.oks >= THRESHOLDS[0]) & (place >= 0)
    fixed[changing] = False
    pairs = np.flatnonzero(fixed)
    result, person = problem.pair_result[pairs], problem.pair_person[pairs]
    lone = (np.bincount(result)[result] == 1) & ~problem.crowd[person]
    reached = np.searchsorted(THRESHOLDS, problem.oks[pairs], side="right")
    base = (len(THRESHOLDS) + 1) * person  # so that persons do not mix
    order = np.lexsort((place[pairs], person))
    highest = np.maximum.accumulate((base + np.where(lone, reached, 0))[order])
    able = (base + reached)[order] > np.append(-1, highest[:-1])
    return np.union1d(pairs[order[able]], changing)


@dataclass(frozen=True, kw_only=True)
class _Wishes:
    """Whom each result would match, the highest score first, of each what it likes best first."""

    place: Ints
    """(W,) the result's place among those that count."""
    person: Ints
    """(W,)"""
    seat: Ints
    """(W,) what only one can have: a person, or one of a crowd, where there is room for all."""
    oks: Floats
    """(W,)"""


def _wishes(problem: Problem, oks: Floats, pairs: Ints, place: Ints, regular: Bools) -> _Wishes:
    """Return those pairs whose results count, at `place` (N,) or -1."""
    pairs = pairs[place[problem.pair_result[pairs]] >= 0]
    pairs = pairs[np.argsort(place[problem.pair_result[pairs]])]
    result = problem.pair_result[pairs]
    like_next = np.append(result[1:] == result[:-1], False)
    several = np.flatnonzero(like_next | np.roll(like_next, 1))  # few: most wish for one alone
    some = pairs[several]
    person = problem.pair_person[some]
    liked = np.lexsort((-person, -oks[some], ~regular[person], place[problem.pair_result[some]]))
    pairs[several] = some[liked]
    person = problem.pair_person[pairs]
    in_crowd = problem.crowd[person]
    return _Wishes(
        place=place[problem.pair_result[pairs]],
        person=person,
        seat=np.where(in_crowd, len(problem.area) + np.cumsum(in_crowd), person),
        oks=oks[pairs],
    )


def _granted(suitor: Ints, seat: Ints) -> Ints:
    """Return which wishes (W,) are granted, ascending, if the first suitors choose first.

    Not one suitor after another, but all at once: each asks for what is liked best, each seat goes
    to the first who asks, and who is refused or put out asks for the next. The outcome is the same,
    after as many rounds as somebody is refused.

    Source: deferred acceptance, Gale and Shapley, "College Admissions and the Stability of
    Marriage", 1962.
    """
    nobody = len(suitor)
    last = np.append(suitor[1:] != suitor[:-1], True)[:nobody]
    asking = np.flatnonzero(np.roll(last, 1))
    holder = np.full(seat.max(initial=-1) + 1, nobody)
    while len(asking):
        asked = seat[asking]
        before = holder[asked]
        np.minimum.at(holder, asked, asking)
        seated = holder[asked] == asking
        put_out = before[seated & (before < nobody)]
        refused = np.concatenate([asking[~seated], put_out])
        asking = refused[~last[refused]] + 1
    return np.sort(holder[holder < nobody])
