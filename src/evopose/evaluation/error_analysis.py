"""What goes wrong: every keypoint good or of one kind of error, and the AP that each kind costs.

Source: Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation",
ICCV 2017, and its code (coco-analyze).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evopose.evaluation.matching import (
    RECALLS,
    Bools,
    Curves,
    Floats,
    Ints,
    Matches,
    Problem,
    accumulate,
    make_problem,
    match,
    pair_oks,
    similarities,
)
from evopose.skeleton import Skeleton
from evopose.structures import Instance

KINDS = ("good", "jitter", "inversion", "swap", "miss")
GOOD, JITTER, INVERSION, SWAP, MISS = range(5)
UNLABELLED = -1

MEANINGS = {
    "good": "at the right place, as people would agree (similarity of 0.85 or more)",
    "jitter": "near the right place (similarity of 0.5 to 0.85)",
    "inversion": "at the mirror keypoint of the same person: left and right confused",
    "swap": "at the same or the mirror keypoint of another person",
    "miss": "near none of them",
    "scoring": "results ranked otherwise than by how good they are",
    "background": "results that fit no person (OKS below 0.1)",
    "not found": "persons that no result fits",
}
"""What each kind of keypoint and each further loss is."""

NEAR, RIGHT, FITS = 0.5, 0.85, 0.1
"""Similarities from which a keypoint is near a place and good, and the OKS from which a result is
taken for a person's, however wrong."""

ORDER = (MISS, SWAP, INVERSION, JITTER)
"""The order in which errors are corrected one after another, the paper's."""

Correction = Literal["truth", "paper"]


@dataclass(frozen=True, kw_only=True)
class ErrorAnalysis:
    """The errors of some results, counted and weighed."""

    keypoints: tuple[str, ...]
    """K names."""
    counts: NDArray[np.int64]
    """(K, 5) labelled keypoints of matched results, by keypoint and `KINDS`."""
    inversions_known: bool
    """Whether the skeleton has mirror keypoints; else nothing can be an inversion."""
    results: int
    persons: int
    matched: int
    """Results that fit a person, as COCO matches them at an OKS of 0.1."""
    background: int
    """Results that fit nobody."""
    not_found: int
    """Persons whom no result fits."""
    ap: float | None
    """COCO's AP as it is; None without persons."""
    alone: dict[str, float]
    """AP with only one loss mended: an error's kind, "scoring", "background" or "not found"."""
    in_turn: dict[str, float]
    """AP with the losses mended one after another, in this order."""
    by_keypoint: dict[str, float]
    """AP with all errors of one keypoint corrected."""
    precision: Floats
    """(101,) the mean precision over the thresholds of OKS at recalls of 0 to 1."""
    precision_50: Floats
    """(101,) at an OKS of 0.5."""
    precision_75: Floats
    """(101,) at an OKS of 0.75."""
    pairs: "Kinds"
    """Each matched result, the person it fits, and the kinds of its keypoints."""

    def gains(self, name: str) -> tuple[float, float]:
        """Return what mending a loss gains: alone, and in its turn."""
        names = list(self.in_turn)
        place = names.index(name)
        before = self.ap if place == 0 else self.in_turn[names[place - 1]]
        assert self.ap is not None and before is not None
        return self.alone[name] - self.ap, self.in_turn[name] - before

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, the curves and single results left out."""
        return {
            "source": "Ronchi and Perona, ICCV 2017",
            "thresholds": {"near": NEAR, "good": RIGHT, "fits": FITS},
            "inversions_known": self.inversions_known,
            "results": self.results,
            "persons": self.persons,
            "matched": self.matched,
            "background": self.background,
            "not_found": self.not_found,
            "counts": dict(zip(KINDS, self.counts.sum(axis=0).tolist(), strict=True)),
            "by_keypoint": {
                name: dict(zip(KINDS, row, strict=True))
                | {"ap_corrected": self.by_keypoint.get(name)}
                for name, row in zip(self.keypoints, self.counts.tolist(), strict=True)
            },
            "ap": self.ap,
            "ap_corrected_alone": self.alone,
            "ap_corrected_in_turn": self.in_turn,
        }


def analyse_errors(
    instances: Sequence[Instance],
    results: Sequence[dict[str, Any]],
    skeleton: Skeleton,
    *,
    correction: Correction = "truth",
) -> ErrorAnalysis:
    """Return what kinds of errors COCO `results` have, and what AP each kind costs.

    A result is matched to a person as COCO does at an OKS of 0.1, so that also poor ones are looked
    at. Of its labelled keypoints one is good where its similarity to the truth is 0.85 or more.
    Else the nearest decides, by similarity, of the truth, the mirror keypoint of the same person
    (inversion) and the same or mirror keypoint of others in the image (swap): jitter where it is
    the truth, miss where even the nearest is below 0.5.

    An error is corrected by putting the keypoint on the truth. With `correction="paper"` it comes
    only as near as the next better kind is: a jitter to a similarity of 0.85, a miss to 0.5, an
    inversion or swap as near to the truth as it is to the wrong keypoint. AP then stays below 1,
    and what is left goes to background and persons not found.

    Then results are scored by their OKS, each person to the result that fits best and none to
    further ones: no order has a higher AP. Then results and persons that do not fit anyone at an
    OKS of 0.1 are removed. What is lacking to 1 after that, good keypoints lack.

    Differs from the paper's code: a good keypoint stays good if another one is nearer still (mirror
    keypoints often lie together); scores are not thinned by soft suppression; results and persons
    left over are told at an OKS of 0.1 and not at each threshold.
    """
    problem = make_problem(instances, results, skeleton.sigmas)
    similarity = similarities(problem)
    kinds = classify(problem, similarity, skeleton)
    judge = _Judge(problem, similarity, kinds, correction)
    curves = judge.curves()
    counts = np.stack([(kinds.kind == k).sum(axis=0) for k in range(len(KINDS))], axis=1)
    some = problem.counted.any()
    names = skeleton.keypoints
    precision = np.nan_to_num(curves.precision[0])
    return ErrorAnalysis(
        keypoints=names,
        counts=counts.astype(np.int64),
        inversions_known=bool(skeleton.flip_pairs),
        results=len(results),
        persons=int(problem.counted.sum()),
        matched=len(kinds.result),
        background=int(judge.background.sum()),
        not_found=int(judge.missed.sum()),
        ap=_ap(curves) if some else None,
        alone=judge.alone() if some else {},
        in_turn=judge.in_turn() if some else {},
        by_keypoint={n: judge.without(KINDS[1:], k) for k, n in enumerate(names)} if some else {},
        precision=precision.mean(axis=0),
        precision_50=precision[0],
        precision_75=precision[5],
        pairs=kinds,
    )


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """Matched results, the persons they fit, and what their keypoints are."""

    result: Ints
    """(M,)"""
    person: Ints
    """(M,)"""
    kind: NDArray[np.int8]
    """(M, K) places in `KINDS`, -1 where the person has no label."""
    nearest: Floats
    """(M, K) similarity to the nearest of what a keypoint could be."""
    ignored: Ints
    """Results that match a crowd, an unlabelled person, or that are beyond the 20 of an image."""


def classify(problem: Problem, similarity: Floats, skeleton: Skeleton) -> Kinds:
    """Return the kinds of the keypoints of all matched results; `similarity` is that of pairs."""
    found = match(problem, pair_oks(problem, similarity), thresholds=np.array([FITS]))
    fits = (found.person[0] >= 0) & ~found.ignored[0]
    result, person = found.result[fits], found.person[0][fits]
    kept = np.zeros(len(problem.scores), np.bool_)
    kept[found.result[~found.ignored[0]]] = True
    at = np.full(len(problem.scores), -1, np.intp)
    at[result] = np.arange(len(result))
    pair = np.flatnonzero(at[problem.pair_result] >= 0)
    row = at[problem.pair_result[pair]]
    own_pair = problem.pair_person[pair] == person[row]
    shape = len(result), len(skeleton)
    own, mirror, others = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    labelled = problem.labelled
    with_labels = np.where(labelled[problem.pair_person[pair]], similarity[pair], 0.0)
    own[row[own_pair]] = with_labels[own_pair]
    np.maximum.at(others, row[~own_pair], with_labels[~own_pair])
    index = skeleton.flip_index if skeleton.flip_pairs else np.arange(len(skeleton))
    mirrored = _mirror_similarities(problem, pair, index)
    paired = index != np.arange(len(index))
    mirror[row[own_pair]] = np.where(paired, mirrored[own_pair], 0.0)
    np.maximum.at(others, row[~own_pair], mirrored[~own_pair])
    nearest = np.maximum(np.maximum(own, mirror), others)
    # of equally near ones the person's own, then the mirror
    kind = np.select(
        [own >= RIGHT, nearest < NEAR, own >= nearest, mirror >= nearest],
        [GOOD, MISS, JITTER, INVERSION],
        SWAP,
    )
    return Kinds(
        result=result,
        person=person,
        kind=np.where(labelled[person], kind, UNLABELLED).astype(np.int8),
        nearest=nearest,
        ignored=np.flatnonzero(~kept),
    )


def _mirror_similarities(problem: Problem, pair: Ints, index: Ints) -> Floats:
    """Return the similarities of some pairs to the persons' keypoints in mirrored order."""
    mirrored = replace(
        problem,
        truth=problem.truth[:, index],
        pair_result=problem.pair_result[pair],
        pair_person=problem.pair_person[pair],
    )
    labelled = mirrored.labelled[mirrored.pair_person]
    return np.where(labelled, similarities(mirrored), 0.0)


class _Judge:
    """The AP of the results with some of their errors mended."""

    def __init__(
        self, problem: Problem, similarity: Floats, kinds: Kinds, correction: Correction
    ) -> None:
        self.problem, self.similarity, self.kinds = problem, similarity, kinds
        corrected = similarities(problem, _corrected(problem, kinds, correction))
        self.corrected = corrected
        self.kind = np.full((len(problem.scores), len(problem.sigmas)), UNLABELLED, np.int8)
        self.kind[kinds.result] = kinds.kind
        self.background = np.ones(len(problem.scores), np.bool_)
        self.background[kinds.result] = False
        self.background[kinds.ignored] = False
        self.missed = problem.counted.copy()
        self.missed[kinds.person] = False

    def oks(self, which: Sequence[str] = (), keypoint: int | None = None) -> Floats:
        """Return the OKS of all pairs, errors of the kinds `which` corrected."""
        if not which:
            return pair_oks(self.problem, self.similarity)
        mend = np.isin(self.kind, [KINDS.index(name) for name in which])
        if keypoint is not None:
            mend &= np.arange(mend.shape[1]) == keypoint
        mended = mend[self.problem.pair_result]
        return pair_oks(self.problem, np.where(mended, self.corrected, self.similarity))

    def curves(self, oks: Floats | None = None, scores: Floats | None = None) -> Curves:
        return accumulate(match(self.problem, self.oks() if oks is None else oks, scores=scores))

    def without(self, which: Sequence[str], keypoint: int | None = None) -> float:
        return _ap(self.curves(self.oks(which, keypoint)))

    def alone(self) -> dict[str, float]:
        """Return the AP with each loss mended alone."""
        found = {KINDS[kind]: self.without([KINDS[kind]]) for kind in ORDER}
        oks = self.oks()
        plain = match(self.problem, oks)
        return found | {
            "scoring": _ap(self.curves(oks, best_scores(self.problem, oks))),
            "background": _ap(accumulate(self._cleared(plain))),
            "not found": _ap(accumulate(self._found_only(plain))),
        }

    def in_turn(self) -> dict[str, float]:
        """Return the AP with the losses mended one after another."""
        found: dict[str, float] = {}
        names = [KINDS[kind] for kind in ORDER]
        for last in range(1, len(names) + 1):
            found[names[last - 1]] = self.without(names[:last])
        oks = self.oks(names)
        scored = match(self.problem, oks, scores=best_scores(self.problem, oks))
        cleared = self._cleared(scored)
        return found | {
            "scoring": _ap(accumulate(scored)),
            "background": _ap(accumulate(cleared)),
            "not found": _ap(accumulate(self._found_only(cleared))),
        }

    def _cleared(self, matches: Matches) -> Matches:
        """Return the matches without results that fit nobody."""
        fits_nobody = self.background[matches.result] & (matches.person < 0)
        return replace(matches, ignored=matches.ignored | fits_nobody)

    def _found_only(self, matches: Matches) -> Matches:
        """Return the matches as if persons that nothing fits were not there."""
        places = self.problem.person_image[self.missed & ~_ever(matches, len(self.missed))]
        less = np.bincount(places, minlength=len(matches.persons))
        return replace(matches, persons=matches.persons - less)


def _ever(matches: Matches, persons: int) -> Bools:
    """Return which persons some result matches at some threshold."""
    found = np.zeros(persons, np.bool_)
    found[matches.person[(matches.person >= 0) & ~matches.ignored]] = True
    return found


def _corrected(problem: Problem, kinds: Kinds, correction: Correction) -> Floats:
    """Return the results' keypoints (N, K, 2) with all errors corrected."""
    found = problem.keypoints.copy()
    target = problem.truth[kinds.person, :, :2].copy()
    if correction == "paper":
        aim = np.select([kinds.kind == JITTER, kinds.kind == MISS], [RIGHT, NEAR], kinds.nearest)
        variance = 2 * problem.area[kinds.person][:, None] * (2 * problem.sigmas) ** 2
        target[..., 0] += np.sqrt(-np.log(np.clip(aim, 1e-300, 1)) * variance)
    wrong = kinds.kind > GOOD
    found[kinds.result] = np.where(wrong[..., None], target, found[kinds.result])
    return found


def best_scores(problem: Problem, oks: Floats) -> Floats:
    """Return the scores (N,) that make AP highest for the OKS (P,) of all pairs: the OKS itself.

    The highest pair of a result and a person to be found is taken first, then the highest of what
    is left. Results that are left over have 0: they come last.
    """
    scores = np.zeros(len(problem.scores))
    free_result = np.ones(len(problem.scores), np.bool_)
    free_person = problem.counted.copy()
    pairs = np.flatnonzero(free_person[problem.pair_person])
    while len(pairs):
        result, person = problem.pair_result[pairs], problem.pair_person[pairs]
        highest = np.zeros(len(scores)), np.zeros(len(free_person))
        np.maximum.at(highest[0], result, oks[pairs])
        np.maximum.at(highest[1], person, oks[pairs])
        both = np.flatnonzero((oks[pairs] == highest[0][result]) & (oks[pairs] == highest[1][person]))
        for pair in both:  # highest for both its result and its person
            r, p = result[pair], person[pair]
            if free_result[r] and free_person[p]:
                scores[r] = oks[pairs[pair]]
                free_result[r] = free_person[p] = False
        pairs = pairs[free_result[result] & free_person[person]]
    return scores


def _ap(curves: Curves) -> float:
    """Return COCO's AP; 1 where no person is left to be found."""
    value = float(curves.ap[0])
    return value if np.isfinite(value) else 1.0


def curve_points(analysis: ErrorAnalysis) -> Mapping[str, Floats]:
    """Return the curves of precision by their name, and the recalls they are at."""
    return {
        "recall": RECALLS,
        "OKS 0.50": analysis.precision_50,
        "OKS 0.75": analysis.precision_75,
        "mean over 0.50 to 0.95": analysis.precision,
    }
