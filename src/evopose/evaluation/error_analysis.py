"""What goes wrong, and what it costs: the AP lost to each kind of error.

Source: Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation",
ICCV 2017, and its code (coco-analyze).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evopose.evaluation.accumulation import Curves, accumulate
from evopose.evaluation.error_kinds import (
    FITS,
    GOOD,
    JITTER,
    KINDS,
    MISS,
    NEAR,
    RIGHT,
    Kinds,
    classify,
    pairs_of,
)
from evopose.evaluation.matching import Matches, contenders, match
from evopose.evaluation.problem import (
    Bools,
    Floats,
    Ints,
    Problem,
    make_problem,
    pair_oks,
    similarities,
)
from evopose.skeleton import Skeleton
from evopose.structures import Instance

ERRORS = ("miss", "swap", "inversion", "jitter")
"""Kinds of errors of keypoints in the order in which they are corrected, the paper's."""

LOSSES = {
    "miss": "keypoints that are near nothing they could be",
    "swap": "keypoints at the same or the mirror keypoint of another person",
    "inversion": "keypoints at the mirror keypoint of the same person: left for right",
    "jitter": "keypoints near the right place, but not on it",
    "scoring": "results that are ranked otherwise than by how well they fit",
    "background": "results that fit no person, or one whom a result of a higher score has taken",
    "not found": "persons whom no result fits",
}
"""All that costs AP, in the order in which it is mended: what it is."""

Correction = Literal["truth", "coco-analyze"]


@dataclass(frozen=True, kw_only=True)
class ErrorAnalysis:
    """The errors of some results, counted and weighed."""

    keypoints: tuple[str, ...]
    """K names."""
    kinds: Kinds
    """Each matched result, the person it fits, and the kinds of its keypoints."""
    inversions_known: bool
    """Whether the skeleton has mirror keypoints; else nothing can be an inversion."""
    results: int
    persons: int
    """Persons to be found: no crowds, at least one labelled keypoint."""
    ap: float | None
    """COCO's AP as it is; None without persons."""
    alone: dict[str, float]
    """AP with one of `LOSSES` mended and the others left; empty without persons."""
    in_turn: dict[str, float]
    """AP with `LOSSES` mended one after another; empty without persons."""
    by_keypoint: dict[str, float]
    """AP with all errors of one keypoint corrected; empty without persons."""
    precision: Floats
    """(T, 101) at the thresholds of OKS and the recalls of `matching`."""

    @property
    def matched(self) -> int:
        """How many results fit a person."""
        return len(self.kinds.result)

    @property
    def background(self) -> int:
        """How many results fit nobody."""
        return int(self.kinds.background.sum())

    @property
    def counts(self) -> NDArray[np.int64]:
        """(K, 5) keypoints of matched results by `KINDS`."""
        return self.kinds.counts

    def gain(self, loss: str) -> float:
        """Return how much higher AP is with one loss mended and the others left."""
        assert self.ap is not None
        return self.alone[loss] - self.ap

    def gain_in_turn(self, loss: str) -> float:
        """Return how much higher AP is with one loss mended after those before it."""
        assert self.ap is not None
        steps = [self.ap, *self.in_turn.values()]
        place = list(self.in_turn).index(loss)
        return steps[place + 1] - steps[place]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, the curve and single results left out."""
        by_keypoint = zip(self.keypoints, self.counts.tolist(), strict=True)
        return {
            "source": "Ronchi and Perona, ICCV 2017",
            "thresholds": {"near": NEAR, "good": RIGHT, "fits": FITS},
            "inversions_known": self.inversions_known,
            "results": self.results,
            "matched": self.matched,
            "background": self.background,
            "set_aside": self.results - self.matched - self.background,
            "persons": self.persons,
            "not_found": self.persons - self.matched,
            "counts": dict(zip(KINDS, self.counts.sum(axis=0).tolist(), strict=True)),
            "by_keypoint": {
                name: dict(zip(KINDS, row, strict=True))
                | {"ap_corrected": self.by_keypoint.get(name)}
                for name, row in by_keypoint
            },
            "ap": self.ap,
            "ap_alone": self.alone,
            "ap_in_turn": self.in_turn,
        }


def analyse_errors(
    instances: Sequence[Instance],
    results: Sequence[dict[str, Any]],
    skeleton: Skeleton,
    *,
    correction: Correction = "truth",
) -> ErrorAnalysis:
    """Return what kinds of errors COCO `results` of one category have, and what AP each costs.

    `classify` tells the kinds. An error is corrected by putting the keypoint on the truth. With
    `correction="coco-analyze"` it comes only nearer, as in the paper's figures: a jitter and a miss
    to half the distance of a similarity of 0.85 and 0.5, an inversion or swap to half the distance
    that it has from the wrong keypoint (the paper has the whole distances, its code half of them).

    Scoring is mended by ranking results by their OKS, each person's best one; no order has a higher
    AP. Then the results and the persons left over are taken away. What is lacking to 1 after that,
    keypoints lack that are good, yet not on the truth.

    Differs from coco-analyze: the corrections; scores are not thinned by soft suppression;
    results and persons are left over if they fit nobody at an OKS of 0.1, not at each threshold: a
    person found badly is not a person not found.

    Nothing is checked here: `coco_ap` refuses what cannot be judged.
    """
    problem = make_problem(instances, results, skeleton.sigmas)
    return errors_of(problem, skeleton, correction=correction)


def errors_of(
    problem: Problem, skeleton: Skeleton, *, correction: Correction = "truth"
) -> ErrorAnalysis:
    """Return what `analyse_errors` does, of results and persons that are arrays already."""
    kinds = classify(problem, skeleton)
    judge = _make_judge(problem, kinds, correction)
    plain = match(problem, problem.oks)
    curves = accumulate(plain)
    some = bool(problem.counted.any())
    each = enumerate(skeleton.keypoints) if some else ()
    return ErrorAnalysis(
        keypoints=skeleton.keypoints,
        kinds=kinds,
        inversions_known=bool(skeleton.flip_pairs),
        results=len(problem.scores),
        persons=int(problem.counted.sum()),
        ap=_ap(curves) if some else None,
        alone=_alone(judge, plain) if some else {},
        in_turn=_in_turn(judge) if some else {},
        by_keypoint={name: judge.ap(ERRORS, keypoint) for keypoint, name in each},
        precision=np.nan_to_num(curves.precision[0]),
    )


@dataclass(frozen=True, kw_only=True)
class _Judge:
    """What is needed to judge results with some of their errors corrected."""

    problem: Problem
    pairs: Ints
    """(M,) the pairs of results with errors: only these can be corrected."""
    contenders: Ints
    """(C,) all pairs that can match, however those are corrected."""
    similarity: Floats
    """(M, K) of the pairs of results with errors as they are ..."""
    corrected: Floats
    """(M, K) ... and with all errors corrected."""
    kind: NDArray[np.int8]
    """(M, K) of their results."""
    background: Bools
    """(N,)"""
    missed: Bools
    """(G,) persons whom no result fits."""

    def oks(self, errors: Sequence[str], keypoint: int | None = None) -> Floats:
        """Return the OKS (P,) of all pairs with some kinds of errors corrected, of one keypoint or
        of all."""
        mended_kinds = np.array([name in errors for name in KINDS] + [False])  # UNLABELLED: -1
        mend = mended_kinds[self.kind]
        if keypoint is not None:
            mend &= np.arange(mend.shape[1]) == keypoint
        rows = np.flatnonzero(mend.any(axis=1))
        mended = np.where(mend[rows], self.corrected[rows], self.similarity[rows])
        oks = self.problem.oks.copy()
        oks[self.pairs[rows]] = pair_oks(self.problem, self.pairs[rows], mended)
        return oks

    def ap(self, errors: Sequence[str], keypoint: int | None = None) -> float:
        """Return the AP with them corrected."""
        oks = self.oks(errors, keypoint)
        return _ap(accumulate(match(self.problem, oks, pairs=self.contenders)))

    def without_background(self, matches: Matches) -> Matches:
        """Return the matches without the results that fit nobody."""
        return replace(matches, excused=matches.excused | self.background[matches.result])

    def without_missed(self, matches: Matches) -> Matches:
        """Return the matches as if the persons whom nothing fits were not there."""
        missed = self.missed.copy()  # another order of results may find one after all
        for found in matches.found:
            missed[found.person[found.right]] = False
        count = np.bincount(self.problem.person_image[missed], minlength=len(matches.persons))
        return replace(matches, persons=matches.persons - count)


def _make_judge(problem: Problem, kinds: Kinds, correction: Correction) -> _Judge:
    wrong = np.flatnonzero((kinds.kind > GOOD).any(axis=1))
    row, pairs = pairs_of(problem, kinds.result[wrong])
    missed = problem.counted.copy()
    missed[kinds.person] = False
    corrected = _corrected(problem, kinds, correction)
    return _Judge(
        problem=problem,
        pairs=pairs,
        contenders=contenders(problem, pairs),
        similarity=similarities(problem, pairs),
        corrected=similarities(problem, pairs, keypoints=corrected),
        kind=kinds.kind[wrong[row]],
        background=kinds.background,
        missed=missed,
    )


def _corrected(problem: Problem, kinds: Kinds, correction: Correction) -> Floats:
    """Return the results' keypoints (N, K, 2) with all errors corrected."""
    found = problem.keypoints.copy()
    target = problem.truth[kinds.person, :, :2].copy()
    if correction == "coco-analyze":
        aim = np.select([kinds.kind == JITTER, kinds.kind == MISS], [RIGHT, NEAR], kinds.nearest)
        variance = 2 * problem.area[kinds.person][:, None] * problem.sigmas**2
        target[..., 0] += np.sqrt(-np.log(np.clip(aim, 1e-300, 1)) * variance)
    wrong = kinds.kind > GOOD
    found[kinds.result] = np.where(wrong[..., None], target, found[kinds.result])
    return found


def _alone(judge: _Judge, plain: Matches) -> dict[str, float]:
    problem = judge.problem
    scored = match(problem, problem.oks, scores=best_scores(problem, problem.oks))
    return {name: judge.ap([name]) for name in ERRORS} | {
        "scoring": _ap(accumulate(scored)),
        "background": _ap(accumulate(judge.without_background(plain))),
        "not found": _ap(accumulate(judge.without_missed(plain))),
    }


def _in_turn(judge: _Judge) -> dict[str, float]:
    oks = judge.oks(ERRORS)
    scored = match(judge.problem, oks, scores=best_scores(judge.problem, oks))
    cleared = judge.without_background(scored)
    return {ERRORS[i]: judge.ap(ERRORS[: i + 1]) for i in range(len(ERRORS))} | {
        "scoring": _ap(accumulate(scored)),
        "background": _ap(accumulate(cleared)),
        "not found": _ap(accumulate(judge.without_missed(cleared))),
    }


def best_scores(problem: Problem, oks: Floats) -> Floats:
    """Return the scores (N,) that make AP highest for the OKS (P,) of all pairs: the OKS itself.

    The highest pair of a result and a person to be found is taken first, then the highest of what
    is left. Results that are left over have 0: they come last.
    """
    scores = np.zeros(len(problem.scores))
    free_result = np.ones(len(problem.scores), np.bool_)
    free_person = problem.counted.copy()
    pairs = np.flatnonzero(free_person[problem.pair_person] & (oks > 0))
    while len(pairs):
        result, person, value = problem.pair_result[pairs], problem.pair_person[pairs], oks[pairs]
        by_result, by_person = np.zeros(len(free_result)), np.zeros(len(free_person))
        np.maximum.at(by_result, result, value)
        np.maximum.at(by_person, person, value)
        highest = (value == by_result[result]) & (value == by_person[person])
        for r, p, v in zip(result[highest], person[highest], value[highest], strict=True):
            if free_result[r] and free_person[p]:  # not taken by an equal one
                scores[r] = v
                free_result[r] = free_person[p] = False
        pairs = pairs[free_result[result] & free_person[person]]
    return scores


def _ap(curves: Curves) -> float:
    """Return COCO's AP; 1 where no person is left to be found."""
    value = float(curves.ap[0])
    return value if np.isfinite(value) else 1.0
