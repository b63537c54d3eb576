"""Precision and recall from matches, for many weights of the images at once.

With `matching` it gives the numbers of `metrics.coco_ap`.
"""

from dataclasses import dataclass

import numpy as np

from evopose.evaluation.matching import Matches
from evopose.evaluation.problem import Floats, Ints

RECALLS: Floats = np.linspace(0, 1, 101)


def accumulate(matches: Matches, weights: Floats | None = None) -> "Curves":
    """Return precision and recall, for B weights (B, I) of the images; None: each counts once.

    A whole weight is the same as so many copies of the image, its results beside each other.

    Source: pycocotools `cocoeval.py`, `accumulate`.
    """
    weight = np.ones((1, len(matches.persons))) if weights is None else weights
    by_image = np.ascontiguousarray(weight.T, np.float64)  # (I, B): sums run over whole rows
    persons = matches.persons @ by_image
    each = by_image[matches.image]
    alone = np.cumsum(each * ~matches.excused[:, None], axis=0)  # wrong results, if none matched
    precision = np.zeros((len(weight), len(matches.found), len(RECALLS)))
    recall = np.zeros((len(weight), len(matches.found)))
    with np.errstate(divide="ignore", invalid="ignore"):  # no persons: NaN, below
        for t, found in enumerate(matches.found):
            right = found.place[found.right]
            if not len(right):
                continue
            hits = np.cumsum(each[right], axis=0)
            excused, other = right[matches.excused[right]], found.place[~found.right]
            unseen = other[~matches.excused[other]]
            seen = alone[right] + _before(each, excused, right) - _before(each, unseen, right)
            envelope = np.maximum.accumulate((hits / (seen + np.spacing(1)))[::-1], axis=0)[::-1]
            reached = np.ascontiguousarray((hits / persons).T)
            recall[:, t] = reached[:, -1]
            for b in range(len(weight)):
                places = np.searchsorted(reached[b], RECALLS, side="left")
                inside = places < len(right)
                precision[b, t, inside] = envelope[places[inside], b]
    nobody = persons == 0
    precision[nobody], recall[nobody] = np.nan, np.nan
    return Curves(precision=precision, recall=recall)


def _before(each: Floats, chosen: Ints, places: Ints) -> Floats:
    """Return the sums (M, B) of the `chosen` rows of `each` (S, B) up to and with each place."""
    sums = np.concatenate([np.zeros((1, each.shape[1])), np.cumsum(each[chosen], axis=0)])
    return np.asarray(sums[np.searchsorted(chosen, places, side="right")], np.float64)


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Precision and recall for B weightings and T thresholds; NaN where no person counts."""

    precision: Floats
    """(B, T, 101) at the recalls of `RECALLS`."""
    recall: Floats
    """(B, T) the highest reached."""

    @property
    def ap(self) -> Floats:
        """(B,) the mean precision."""
        return np.asarray(self.precision.mean(axis=(1, 2)), np.float64)
