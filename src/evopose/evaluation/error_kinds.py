"""Every keypoint of a matched result: good, or of one kind of error.

Source: Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation",
ICCV 2017, section 3.1, and its code (coco-analyze, `_find_kpt_errors`).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evopose.evaluation.matching import match
from evopose.evaluation.problem import Bools, Floats, Ints, Problem, similarities
from evopose.skeleton import Skeleton

KINDS = ("good", "jitter", "inversion", "swap", "miss")
GOOD, JITTER, INVERSION, SWAP, MISS = range(len(KINDS))
UNLABELLED = -1

NEAR, RIGHT, FITS = 0.5, 0.85, 0.1
"""Similarities from which a keypoint is near a place and good, and the OKS from which a result is
taken for a person's, however wrong."""


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """Matched results, the persons they fit, and what their keypoints are."""

    result: Ints
    """(M,) places of the results, each once."""
    person: Ints
    """(M,) places of their persons, each once."""
    kind: NDArray[np.int8]
    """(M, K) places in `KINDS`, `UNLABELLED` where the person has no label."""
    nearest: Floats
    """(M, K) similarity to the nearest of all that a keypoint could be."""
    background: Bools
    """(N,) results that fit nobody. The rest, neither matched nor here, is set aside: what matches
    a crowd or an unlabelled person, or is not among an image's 20 of the highest scores."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """(K, 5) how many keypoints of each kind."""
        each = [(self.kind == kind).sum(axis=0) for kind in range(len(KINDS))]
        return np.stack(each, axis=1).astype(np.int64)


def classify(problem: Problem, skeleton: Skeleton) -> Kinds:
    """Return the kinds of the keypoints of all matched results.

    A result is matched to a person as COCO does at an OKS of 0.1, so that also poor ones are looked
    at; `kinds_of` tells the rest.
    """
    matches = match(problem, problem.oks, thresholds=np.array([FITS]))
    (found,) = matches.found
    result, person = matches.result[found.place[found.right]], found.person[found.right]
    kind, nearest = kinds_of(problem, skeleton, result, person)
    alone = ~matches.excused
    alone[found.place] = False
    background = np.zeros(len(problem.scores), np.bool_)
    background[matches.result[alone]] = True
    return Kinds(result=result, person=person, kind=kind, nearest=nearest, background=background)


def kinds_of(
    problem: Problem, skeleton: Skeleton, result: Ints, person: Ints
) -> tuple[NDArray[np.int8], Floats]:
    """Return the kinds (M, K) of keypoints of results (M,), taken for those of persons (M,) of
    their images; and their similarities (M, K) to the nearest of all they could be.

    Of the person's labelled keypoints one is good where its similarity to the truth is 0.85 or
    more. Else the nearest decides, by similarity, of the truth, the mirror keypoint of the same
    person (inversion) and the same or mirror keypoint of others in the image (swap): jitter where
    it is the truth, miss where even the nearest is below 0.5.

    Differs from coco-analyze: a good keypoint stays good if another place is nearer still, as the
    paper has it. Mirror keypoints often lie together.
    """
    own, mirror, others = _nearness(problem, skeleton, result, person)
    nearest = np.maximum(np.maximum(own, mirror), others)
    kind = np.select(
        [own >= RIGHT, nearest < NEAR, own >= nearest, mirror >= nearest],
        [GOOD, MISS, JITTER, INVERSION],
        SWAP,
    )
    return np.where(problem.labelled[person], kind, UNLABELLED).astype(np.int8), nearest


def _nearness(
    problem: Problem, skeleton: Skeleton, result: Ints, person: Ints
) -> tuple[Floats, Floats, Floats]:
    """Return the similarities (M, K) of matched results' keypoints to their own place, to its
    mirror (0 where there is none), and to the same or mirror keypoint of anyone else."""
    row, pairs = pairs_of(problem, result)
    theirs = problem.pair_person[pairs]
    index = skeleton.flip_index if skeleton.flip_pairs else np.arange(len(skeleton))
    same = np.where(problem.labelled[theirs], similarities(problem, pairs), 0.0)
    turned = replace(problem, truth=problem.truth[:, index])
    mirrored = similarities(turned, pairs)
    mirrored = np.where(turned.labelled[theirs], mirrored, 0.0)
    own, mirror, others = (np.zeros((len(result), len(skeleton))) for _ in range(3))
    mine = theirs == person[row]
    own[row[mine]] = same[mine]
    mirror[row[mine]] = np.where(index != np.arange(len(index)), mirrored[mine], 0.0)
    np.maximum.at(others, row[~mine], np.maximum(same, mirrored)[~mine])
    return own, mirror, others


def pairs_of(problem: Problem, result: Ints) -> tuple[Ints, Ints]:
    """Return all pairs of some results (M,), and for each the place of its result among them."""
    sizes = np.bincount(problem.pair_result, minlength=len(problem.scores))
    starts = np.cumsum(sizes) - sizes  # pairs are ordered by their results
    repeats = sizes[result]
    row = np.repeat(np.arange(len(result)), repeats)
    within = np.arange(len(row)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return row, starts[result[row]] + within
