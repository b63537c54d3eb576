"""Tracking is judged by who the people truly are, and by a simpler tracker beside it."""

from itertools import permutations

import numpy as np
import pytest

from evopose.errors import ConfigError, DataError
from evopose.inference.tracking import (
    COMMON,
    MARGIN,
    NOBODY,
    Tracker,
    TrackingConfig,
    pose_box,
    similarities,
)
from evopose.metrics.oks import oks
from evopose.skeleton import COCO_PERSON, Skeleton
from moving_people import (
    UPRIGHT,
    Count,
    Faults,
    Seen,
    boxes_of,
    count,
    found,
    greedy,
    overlap,
    walk,
)

SIGMAS = np.array(COCO_PERSON.sigmas)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def followed(sequence: list[Seen], **options: float) -> list[np.ndarray]:
    tracker = Tracker(COCO_PERSON, TrackingConfig(**options))
    return [tracker.update(s.keypoints, s.boxes, s.scores) for s in sequence]


def people(xy: np.ndarray, score: float = 0.9, box_score: float = 1.0) -> Seen:
    """Return what is found if all goes well, of (P, 17, 2)."""
    points = np.concatenate([xy, np.full((*xy.shape[:2], 1), score)], axis=2)
    scores = np.full(len(xy), box_score)
    return Seen(keypoints=points, boxes=boxes_of(xy), scores=scores, whose=np.arange(len(xy)))


def nothing() -> Seen:
    return Seen(
        keypoints=np.empty((0, 17, 3)), boxes=np.empty((0, 4)), scores=np.empty(0),
        whose=np.empty(0, int),
    )  # fmt: skip


def total(counts: list[Count], what: str) -> float:
    return float(sum(getattr(one, what) for one in counts))


HARD = Faults(noise=0.02, missed=0.1, clutter=0.5)


@pytest.mark.parametrize(
    ("faults", "step", "nameless"), [(Faults(), 1, 0.03), (HARD, 1, 0.03), (HARD, 4, 0.1)]
)
def test_people_who_cross_keep_their_ids(faults: Faults, step: int, nameless: float) -> None:
    """Against a simpler tracker, over scenes with misses, noise, clutter, and fewer frames."""
    ours, theirs = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        sequence = found(rng, walk(rng, 4, 210)[::step], faults)
        ours.append(count(sequence, followed(sequence)))
        theirs.append(count(sequence, greedy(sequence)))
    assert total(ours, "switches") <= 0.4 * total(theirs, "switches")
    assert total(ours, "switches") <= 8
    assert total(ours, "ghosts") <= 1
    assert total(theirs, "ghosts") > 20
    assert max(one.nameless for one in ours) < nameless


def test_without_faults_nothing_is_mixed_up(rng: np.random.Generator) -> None:
    perfect = Faults(noise=0, missed=0, clutter=0, hidden_above=2)
    sequence = found(rng, walk(rng, 6, 200), perfect)
    counted = count(sequence, followed(sequence, at_once=0.1, start=0.1))
    assert counted == Count(switches=0, nameless=0.0, ghosts=0, shared=0)


@pytest.mark.parametrize(("hidden", "same"), [(12, True), (20, True), (21, False)])
def test_who_is_hidden_no_longer_than_patience_keeps_the_id(hidden: int, same: bool) -> None:
    """Walking on behind a wall, at 4 pixels a frame."""
    tracker = Tracker(COCO_PERSON, TrackingConfig(patience=20))
    ids = []
    for frame in range(80):
        seen = people((UPRIGHT * 200 + (100 + 4 * frame, 300))[None])
        if 30 <= frame < 30 + hidden:
            seen = nothing()
        ids += tracker.update(seen.keypoints, seen.boxes, seen.scores).tolist()
    assert (set(ids) == {1}) == same
    assert len(set(ids)) == (1 if same else 2)


def test_an_id_needs_a_high_score_or_several_frames() -> None:
    for score, expected in ((0.9, [1, 1, 1, 1]), (0.3, [NOBODY, NOBODY, 1, 1])):
        sequence = [people((UPRIGHT * 200)[None], score)] * 4
        assert np.concatenate(followed(sequence)).tolist() == expected
    unsure = [people((UPRIGHT * 200)[None], 0.35, 0.4)] * 9
    assert set(np.concatenate(followed(unsure)).tolist()) == {NOBODY}


def test_who_is_known_is_followed_by_unsure_poses() -> None:
    sequence = [people((UPRIGHT * 200)[None], 0.25 if n else 0.9, 0.5) for n in range(9)]
    assert set(np.concatenate(followed(sequence)).tolist()) == {1}


def test_a_box_goes_by_the_pose_only_where_that_is_sure() -> None:
    """By keypoints that lie where they should, and a few that the network sees elsewhere."""
    for score in (0.9, 0.35):
        tracker = Tracker(COCO_PERSON)
        for frame in range(4):
            seen = people((UPRIGHT * 200 + (300 + 5 * frame, 300))[None], score)
            true = seen.boxes[0] + np.tile((5.0, 0.0), 2)
            seen.keypoints[:, 15:, :2] += (150, 40) if frame == 3 else 0
            tracker.update(seen.keypoints, seen.boxes, seen.scores)
        off = np.abs(tracker.boxes().xyxy[0] - true).max()
        assert off > 50 if score > 0.5 else off < 1


def test_a_flicker_is_not_confirmed() -> None:
    once = people((UPRIGHT * 200)[None], 0.3)
    sequence = [nothing() if frame % 3 else once for frame in range(12)]
    assert {i for ids in followed(sequence) for i in ids.tolist()} == {NOBODY}


def test_ids_follow_poses_not_their_order(rng: np.random.Generator) -> None:
    truth = walk(rng, 3, 20) * 0.2 + np.array([0, 300, 600])[None, :, None, None] * (1, 0)
    tracker = Tracker(COCO_PERSON)
    first: dict[int, int] = {}
    for xy in truth:
        order = rng.permutation(3)
        seen = people(xy[order])
        ids = tracker.update(seen.keypoints, seen.boxes, seen.scores)
        names = dict(zip(order.tolist(), ids.tolist(), strict=True))
        first = first or names
        assert names == first
    assert sorted(first.values()) == [1, 2, 3]


def test_equal_frames_give_equal_ids(rng: np.random.Generator) -> None:
    sequence = found(rng, walk(rng, 5, 60), HARD)
    for one, other in zip(followed(sequence), followed(sequence), strict=True):
        assert (one == other).all()


def test_the_assignment_is_the_best_of_all(rng: np.random.Generator) -> None:
    for _ in range(20):
        before = np.stack([UPRIGHT * 200 + rng.normal(0, 40, 2) for _ in range(4)])
        after = before + rng.normal(0, 25, (4, 1, 2))
        one, other = people(before), people(after)
        tracker = Tracker(COCO_PERSON)
        first = tracker.update(one.keypoints, one.boxes, one.scores)
        second = tracker.update(other.keypoints, other.boxes, other.scores)
        matrix = similarities(
            (one.keypoints, one.boxes), (other.keypoints, other.boxes), 2 * SIGMAS
        )
        gain = matrix - TrackingConfig().similarity
        best = max(
            sum(max(gain[i, j], 0) for i, j in enumerate(order)) for order in permutations(range(4))
        )
        kept = [(i, j) for i in range(4) for j in range(4) if first[i] == second[j]]
        assert sum(gain[i, j] for i, j in kept) == pytest.approx(best, abs=1e-9)


def test_similarity_is_oks_and_overlap(rng: np.random.Generator) -> None:
    a = people(np.stack([UPRIGHT * 200, UPRIGHT * 150 + 20]))
    b = people(np.stack([UPRIGHT * 210 + 4, UPRIGHT * 150 - 5, UPRIGHT * 90]))
    a.keypoints[:, 3:6, 2] = b.keypoints[:, 5:8, 2] = 0.1
    got = similarities((a.keypoints, a.boxes), (b.keypoints, b.boxes), SIGMAS)
    areas = [(s.boxes[:, 2:] - s.boxes[:, :2]).prod(axis=1) for s in (a, b)]
    for i in range(2):
        for j in range(3):
            both = (a.keypoints[i, :, 2] > 0.2) & (b.keypoints[j, :, 2] > 0.2)
            truth = np.column_stack([a.keypoints[i, :, :2], both])
            area = np.array([(areas[0][i] + areas[1][j]) / 2])
            near = oks(b.keypoints[j : j + 1, :, :2], truth[None], area, SIGMAS)[0]
            assert got[i, j] == pytest.approx((near + overlap(a.boxes[i], b.boxes[j])) / 2)
    a.keypoints[0, COMMON - 1 :, 2] = 0
    lone = similarities((a.keypoints, a.boxes), (b.keypoints, b.boxes), SIGMAS)
    assert lone[0, 0] == pytest.approx(overlap(a.boxes[0], b.boxes[0]))


def test_a_skeleton_of_one_keypoint_can_be_tracked() -> None:
    tracker = Tracker(Skeleton(keypoints=("beak",)))
    ids = [
        tracker.update(np.array([[[x, 50, 0.9]]]), np.array([[x - 20, 30, x + 20, 70]]), np.ones(1))
        for x in range(100, 200, 5)
    ]
    assert set(np.concatenate(ids).tolist()) == {1}


def test_boxes_are_where_the_people_will_be() -> None:
    tracker = Tracker(COCO_PERSON)
    for frame in range(10):
        seen = people((UPRIGHT * 200 + (100 + 6 * frame, 300))[None])
        tracker.update(seen.keypoints, seen.boxes, np.array([0.8]))
    expected = boxes_of((UPRIGHT * 200 + (160, 300))[None])
    boxes = tracker.boxes()
    np.testing.assert_allclose(boxes.xyxy, expected, atol=1e-6)
    assert boxes.scores.tolist() == [0.8]
    for missed in range(1, 5):
        empty = nothing()
        tracker.update(empty.keypoints, empty.boxes, empty.scores)
        boxes = tracker.boxes().xyxy
        if missed <= TrackingConfig().coast:
            np.testing.assert_allclose(boxes, expected + (6 * missed, 0) * 2, atol=1e-6)
        else:
            assert boxes.shape == (0, 4)


def test_a_box_of_few_keypoints_is_the_last_one_moved() -> None:
    tracker = Tracker(COCO_PERSON)
    for frame in range(6):
        seen = people((UPRIGHT * 200 + (6 * frame, 300))[None])
        seen.keypoints[:, 7:, 2] = 0.15
        tracker.update(seen.keypoints, seen.boxes, seen.scores)
    np.testing.assert_allclose(tracker.boxes().xyxy, seen.boxes + np.array([6, 0, 6, 0]), atol=1e-6)


def test_a_pose_box_holds_drawn_people() -> None:
    """The margin fits the people of synthetic scenes, whose outlines are known."""
    from evopose.data.synthetic import SceneConfig, draw_scene

    whole = SceneConfig(persons=(1, 1), cropped=0, things=0, occluders=0, acrobatics=0)
    people = [p for index in range(40) for p in draw_scene(3, index, whole).persons]
    fit: dict[float, list[float]] = {0.0: [], MARGIN: [], 0.2: []}
    held = []
    for person in people:
        xy = person.keypoints[person.keypoints[:, 2] > 0, :2].astype(float)
        if len(xy) < 16:
            continue
        for margin, overlaps in fit.items():
            overlaps.append(overlap(pose_box(xy, margin), person.box_xyxy))
        held.append(share_held(pose_box(xy), person.box_xyxy))
    medians = {margin: np.median(overlaps) for margin, overlaps in fit.items()}
    assert len(held) > 25
    assert medians[MARGIN] > max(medians[0.0], medians[0.2]) + 0.05
    assert np.median(held) > 0.95


def share_held(outer: np.ndarray, inner: np.ndarray) -> float:
    common = (np.minimum(outer[2:], inner[2:]) - np.maximum(outer[:2], inner[:2])).clip(0)
    return float(common.prod() / (inner[2:] - inner[:2]).prod())


def test_what_is_nowhere_counts_as_unseen() -> None:
    seen = people((UPRIGHT * 200)[None])
    seen.keypoints[0, 4] = np.nan
    assert [ids.tolist() for ids in followed([seen] * 3)] == [[1]] * 3


def test_misuse_is_explained() -> None:
    tracker, seen = Tracker(COCO_PERSON), people((UPRIGHT * 200)[None])
    with pytest.raises(DataError, match=r"expected keypoints \(2, 17, 3\).*got \(1, 17, 3\)"):
        tracker.update(seen.keypoints, seen.boxes, np.ones(2))
    with pytest.raises(DataError, match="must be finite"):
        tracker.update(seen.keypoints, seen.boxes * np.nan, seen.scores)
    with pytest.raises(ConfigError, match="patience is a number of frames, got -1"):
        TrackingConfig(patience=-1)
    with pytest.raises(ConfigError, match="keep <= start <= at_once"):
        TrackingConfig(start=0.01)
    with pytest.raises(ConfigError, match="similarity must lie between 0 and 1"):
        TrackingConfig(similarity=0)
