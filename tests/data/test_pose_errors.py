"""Errors of poses: where they lie, how often they happen, what is rejected."""

from dataclasses import replace

import numpy as np
import pytest

from evopose.data.pose_errors import (
    GOOD,
    INVERSION,
    JITTER,
    KINDS,
    MISS,
    NOT_KNOWN,
    SWAP,
    Synthesised,
    error_rates,
    similarity_distances,
    synthesise,
)
from evopose.metrics.oks import oks
from evopose.skeleton import COCO_PERSON, Skeleton

K = 17
AREA = 9000.0
SIGMAS = np.array(COCO_PERSON.sigmas)
FLIP = COCO_PERSON.flip_index
RATES = error_rates(COCO_PERSON)
ALL = np.ones(K, bool)
NOBODY = np.zeros((0, K, 3))
STANDING = np.array(
    [
        (100, 40), (106, 34), (94, 34), (114, 38), (86, 38), (128, 70), (72, 70), (140, 110),
        (60, 110), (138, 150), (62, 150), (118, 150), (82, 150), (120, 200), (80, 200),
        (122, 250), (78, 250),
    ],
    float,
)  # fmt: skip
SPREAD = STANDING * 20
"""So large that no keypoint could be taken for another."""
NEAR = np.concatenate([STANDING * 20 + (9000, 300), np.ones((K, 1))], axis=1)[None]


def make(keypoints=SPREAD, labelled=ALL, *, seed=0, **options) -> Synthesised:
    defaults = {
        "area": AREA, "sigmas": SIGMAS, "flip_index": FLIP, "near": NOBODY, "rates": RATES,
        "rng": np.random.default_rng(seed),
    }  # fmt: skip
    return synthesise(keypoints, labelled, **(defaults | options))


def many(count: int, *args, **options) -> tuple[np.ndarray, np.ndarray]:
    """Return poses (count, K, 3) and kinds (count, K)."""
    found = [make(*args, seed=i, **options) for i in range(count)]
    return np.stack([one.pose for one in found]), np.stack([one.kinds for one in found])


def only(kind: int):
    """Rates under which every keypoint has this error, where it can."""
    one, none = np.ones(K), np.zeros(K)
    is_kind = [one if kind == other else none for other in range(len(KINDS))]
    return replace(
        RATES,
        jitter=np.stack([is_kind[JITTER]] * 2),
        miss=np.stack([is_kind[MISS]] * 3),
        inversion=is_kind[INVERSION],
        swap=np.stack([is_kind[SWAP]] * 2),
    )


def apart(poses: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.linalg.norm(poses[..., :2] - places, axis=-1)


def test_distances_are_those_of_the_similarity() -> None:
    """At d(s) from the truth, the OKS of a keypoint alone is s."""
    for similarity, distances in zip(
        (0.85, 0.5, 0.1), similarity_distances(AREA, SIGMAS), strict=True
    ):
        for k in range(K):
            truth = np.zeros((1, K, 3))
            truth[0, k, 2] = 2
            moved = np.zeros((1, K, 2))
            moved[0, k, 0] = distances[k]
            assert oks(moved, truth, np.array([AREA]), SIGMAS)[0] == pytest.approx(similarity)


@pytest.mark.parametrize("kind", [GOOD, JITTER, MISS])
def test_errors_about_the_truth_lie_in_their_ring(kind) -> None:
    good, half, most = similarity_distances(AREA, SIGMAS)
    low, high = {GOOD: (0 * good, good), JITTER: (good, half), MISS: (half, most)}[kind]
    poses, kinds = many(300, flip_index=None, rates=only(kind))
    assert (kinds == kind).all()
    r = (apart(poses, SPREAD) - low) / (high - low)
    assert r.min() >= -1e-4
    assert r.max() <= 1 + 1e-4
    np.testing.assert_allclose(r.mean(axis=0), 0.5, atol=0.08)  # uniform in the distance
    np.testing.assert_allclose((r < 0.25).mean(axis=0), 0.25, atol=0.08)
    turn = poses[..., :2] - SPREAD
    np.testing.assert_allclose((turn > 0).mean(axis=0), 0.5, atol=0.12)  # in every direction


def test_inversions_lie_about_the_mirror_keypoint() -> None:
    _, half, _ = similarity_distances(AREA, SIGMAS)
    poses, kinds = many(200, rates=only(INVERSION))
    assert (kinds[:, 1:] == INVERSION).all()
    assert not poses[:, 0].any()  # the nose has no mirror, and nothing else was allowed
    assert (kinds[:, 0] == NOT_KNOWN).all()
    r = (apart(poses, SPREAD[FLIP]) / half)[:, 1:]
    assert r.max() <= 1 + 1e-4
    np.testing.assert_allclose(r.mean(), 0.5, atol=0.02)
    _, kinds = many(3, flip_index=None)
    assert not (kinds == INVERSION).any()


def test_swaps_lie_about_the_near_persons_same_or_mirror_keypoint() -> None:
    _, half, _ = similarity_distances(AREA, SIGMAS)
    near = NEAR.copy()
    near[0, 5, 2] = 0  # its left shoulder is not there: shoulders have one place to go to
    poses, kinds = many(200, near=near, rates=only(SWAP))
    assert (kinds == SWAP).all()
    same, mirror = (apart(poses, near[0, order, :2]) <= half * 1.001 for order in (range(K), FLIP))
    assert (same | mirror).all()
    both = np.setdiff1d(np.arange(1, K), (5, 6))
    np.testing.assert_allclose(same[:, both].mean(), 0.5, atol=0.03)
    assert mirror[:, 5].all()
    assert same[:, 6].all()
    assert (make(near=NOBODY, rates=only(SWAP)).kinds == NOT_KNOWN).all()


@pytest.mark.parametrize(
    ("labelled", "near", "crowded"), [(17, 0, False), (17, 1, False), (10, 1, True), (5, 2, True),
                                      (15, 3, True), (15, 2, False)]
)  # fmt: skip
def test_frequencies_are_the_papers(labelled, near, crowded) -> None:
    """Chi-square of each keypoint's kinds, against the release's numbers written out."""
    mask = np.arange(K) >= K - labelled
    persons = np.concatenate([NEAR + np.array([9000 * i, 0, 0]) for i in range(near)] or [NOBODY])
    estimated = np.concatenate([SPREAD, np.ones((K, 1))], axis=1)
    count = 1000
    _, kinds = many(count, labelled=mask, near=persons, estimated=estimated)
    share = np.stack([(kinds == kind).sum(axis=0) for kind in range(len(KINDS))])
    expected = np.array([release(k, labelled, crowded) for k in range(K)]).T
    expected[INVERSION] *= mask[FLIP] & (np.arange(K) != FLIP)
    expected[SWAP] *= near > 0
    expected /= expected.sum(axis=0)
    assert not share[expected == 0].any()
    chi = np.where(expected > 0, (share - count * expected) ** 2, 0)
    chi = (chi / np.where(expected > 0, count * expected, 1)).sum(axis=0)
    assert chi.max() < 25  # of 4 degrees of freedom: p = 5e-5, for 17 keypoints
    assert chi.mean() < 7


def release(k: int, labelled: int, crowded: bool) -> list[float]:
    """Probabilities of `synthesize_pose`, in the order of KINDS."""
    few = labelled <= 10
    if k == 0 or k >= 13:
        jitter = 0.15 if few else 0.10
    elif k <= 10:
        jitter = 0.20 if few else 0.15
    else:
        jitter = 0.25 if few else 0.20
    row = 0 if labelled <= 5 else 1 if few else 2
    if k <= 4:
        miss = (0.15, 0.10, 0.02)[row]
    elif k in (5, 6, 15, 16):
        miss = (0.20, 0.13, 0.05)[row]
    else:
        miss = (0.25, 0.15, 0.10)[row]
    part = 0 if k <= 4 else 1 if k <= 10 else 2
    inversion = (0.01, 0.03, 0.06)[part]
    swap = ((0.02, 0.15, 0.10) if crowded else (0.01, 0.06, 0.03))[part]
    return [1 - jitter - miss - inversion - swap, jitter, inversion, swap, miss]


def test_candidates_nearer_to_another_keypoint_are_rejected() -> None:
    """With wrists 12 pixels apart and d(.5) about 14, each error must stay with its source."""
    close = SPREAD.copy()
    close[10] = close[9] + (12, 0)
    near = NEAR.copy()
    near[0, 9:11, :2] = close[9] + np.array([(6, 20), (6, -20)])
    places = np.stack([close[9], close[10], *near[0, [9, 10], :2]])
    half = similarity_distances(AREA, SIGMAS)[1][9]
    assert half > 12
    for kind, own in ((GOOD, (0,)), (JITTER, (0,)), (INVERSION, (1,)), (SWAP, (2, 3))):
        poses, kinds = many(150, close, near=near, rates=only(kind))
        assert (kinds[:, 9] == kind).all()
        away = apart(poses[:, 9, None], places)
        rivals = [i for i in range(2 if kind == SWAP else 4) if i not in own]
        assert (away[:, own].min(axis=1) < away[:, rivals].min(axis=1)).all()
    poses, _ = many(150, close, near=near, rates=only(MISS))
    away = np.sort(apart(poses[:, 9, None], places), axis=1)
    assert (away[:, 0] >= half - 1e-3).all()
    assert (away[:, 0] <= similarity_distances(AREA, SIGMAS)[2][9] + 1e-3).all()


def test_an_error_without_a_place_leaves_its_chance_to_the_others() -> None:
    """Eight persons hold their wrists in a ring about this one's: a jitter is nearer to theirs."""
    good = similarity_distances(AREA, SIGMAS)[0][9]
    turn = np.arange(8) * np.pi / 4
    ring = np.zeros((8, K, 3))
    ring[:, 9, :2] = SPREAD[9] + 0.9 * good * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    ring[:, 9, 2] = 1
    _, kinds = many(2000, near=ring)
    assert (kinds[:, 8] == JITTER).mean() == pytest.approx(0.15, abs=0.03)
    assert not (kinds[:, 9] == JITTER).any()
    chance = RATES.probabilities(K, 8)[:, 9]
    found = np.array([(kinds[:, 9] == kind).mean() for kind in (GOOD, INVERSION, SWAP, MISS)])
    expected = chance[[GOOD, INVERSION, SWAP, MISS]] / (1 - chance[JITTER])
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_keypoints_in_one_place_are_not_nearer_than_each_other() -> None:
    close = SPREAD.copy()
    close[10] = close[9]
    _, kinds = many(400, close)
    assert (kinds[:, 9:11] == GOOD).mean() == pytest.approx(0.72, abs=0.05)


def test_what_is_not_labelled_starts_from_an_estimate_or_has_no_place() -> None:
    labelled = np.arange(K) % 3 != 0
    nonsense = np.where(labelled[:, None], SPREAD, np.nan)
    poses, kinds = many(30, nonsense, labelled)
    assert not poses[:, ~labelled].any()
    assert (kinds[:, ~labelled] == NOT_KNOWN).all()
    assert (poses[:, labelled, 2] == 1).all()
    estimated = np.concatenate([SPREAD + 1000, np.ones((K, 1))], axis=1)
    estimated[6, 2] = 0
    poses, _ = many(100, nonsense, labelled, estimated=estimated, flip_index=None)
    assert not poses[:, 6].any()
    most = similarity_distances(AREA, SIGMAS)[2]
    own = np.where(labelled[:, None], SPREAD, SPREAD + 1000)
    assert (np.delete(apart(poses, own) - most, 6, axis=1) < 1e-3).all()


def test_the_same_seed_gives_the_same_pose() -> None:
    first, again, other = (make(STANDING, near=NEAR, seed=seed) for seed in (7, 7, 8))
    assert first.pose.dtype == np.float32
    np.testing.assert_array_equal(first.pose, again.pose)
    assert (first.pose[:, :2] != other.pose[:, :2]).all()


def test_keypoints_of_other_names_have_an_elbows_rates() -> None:
    names = ("left_knee", "withers", "nose", "left_paw")
    mine, coco = error_rates(Skeleton(keypoints=names)), COCO_PERSON.keypoints.index
    for n in (1, 2, 4):  # of 4, as of 5, 9 and 17 of 17
        found = mine.probabilities(n, 0)
        whole = RATES.probabilities({1: 5, 2: 9, 4: 17}[n], 0)
        for i, name in enumerate(("left_knee", "left_elbow", "nose", "left_elbow")):
            np.testing.assert_allclose(found[:, i], whole[:, coco(name)])
    assert (RATES.probabilities(1, 9)[GOOD] > 0.25).all()
