"""OKS-NMS, hard and soft, against a loop-for-loop second implementation of the source's rules."""

import math

import numpy as np
import pytest

from evopose.inference.suppression import oks_nms, pairwise_oks, soft_oks_nms
from evopose.skeleton import COCO_PERSON

SIGMAS = np.array(COCO_PERSON.sigmas)


def crowd(seed: int, persons: int = 6):
    """Return poses around some persons, their scores and areas; some poses are given twice."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 60, (persons, 17, 2))
    which = rng.integers(0, persons, 5 * persons)
    xy = centres[which] + rng.normal(
        0, rng.choice([0.3, 3.0], (len(which), 1, 1)), (len(which), 17, 2)
    )
    poses = np.concatenate([xy, rng.random((len(which), 17, 1))], axis=2)
    poses[-1] = poses[0]
    return poses, rng.random(len(which)), rng.uniform(500, 3000, len(which))


def similarity(a, b, area_a, area_b, least=None) -> float:
    found = []
    for k in range(len(SIGMAS)):
        if least is None or (a[k][2] > least and b[k][2] > least):
            squared = (a[k][0] - b[k][0]) ** 2 + (a[k][1] - b[k][1]) ** 2
            found.append(math.exp(-squared / (2 * SIGMAS[k]) ** 2 / ((area_a + area_b) / 2) / 2))
    return sum(found) / len(found) if found else 0.0


def hard(poses, scores, areas, threshold, least=None) -> list[int]:
    left = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = []
    while left:
        best, *rest = left
        kept.append(best)
        left = [
            i for i in rest
            if similarity(poses[best], poses[i], areas[best], areas[i], least) <= threshold
        ]  # fmt: skip
    return kept


def soft(poses, scores, areas, threshold, most) -> tuple[list[int], list[float]]:
    now = dict(enumerate(scores.tolist()))
    kept, lowered = [], []
    while now and len(kept) < most:
        best = max(now, key=lambda i: now[i])
        kept.append(best)
        lowered.append(now.pop(best))
        for i in now:
            overlap = similarity(poses[best], poses[i], areas[best], areas[i])
            now[i] *= math.exp(-(overlap**2) / threshold)
    return kept, lowered


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("least", [None, 0.3])
def test_hard_suppression_equals_loops(seed, least):
    poses, scores, areas = crowd(seed)
    matrix = pairwise_oks(poses, areas, SIGMAS, least_score=least)
    assert matrix[1, 2] == pytest.approx(
        similarity(poses[1], poses[2], areas[1], areas[2], least), rel=1e-10
    )
    np.testing.assert_array_equal(matrix, matrix.T)
    for threshold in (0.9, 0.5):
        kept = oks_nms(poses, scores, areas, SIGMAS, threshold=threshold, least_score=least)
        assert kept.tolist() == hard(poses, scores, areas, threshold, least)
        assert 1 < len(kept) < len(poses)


@pytest.mark.parametrize("seed", range(5))
def test_soft_suppression_equals_loops(seed):
    poses, scores, areas = crowd(seed)
    for most in (20, 100):
        kept, lowered = soft_oks_nms(poses, scores, areas, SIGMAS, most=most)
        places, values = soft(poses, scores, areas, 0.9, most)
        assert kept.tolist() == places
        np.testing.assert_allclose(lowered, values, rtol=1e-10)
        assert len(kept) == min(most, len(poses))
        assert (np.diff(lowered) <= 0).all()


def test_of_equal_scores_the_first_stays_and_nothing_is_nothing():
    poses = np.zeros((3, 17, 3))
    poses[2] += 300
    scores, areas = np.full(3, 0.5), np.full(3, 900.0)
    assert oks_nms(poses, scores, areas, SIGMAS).tolist() == [0, 2]
    none = poses[:0], scores[:0], areas[:0]
    assert oks_nms(*none, SIGMAS).tolist() == []
    assert soft_oks_nms(*none, SIGMAS)[0].tolist() == []
