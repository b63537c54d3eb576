"""Poses to refine follow their samples through every augmentation, and depend on nothing else."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from evopose.data import Augmentation, CropSpec, batches, build_crops, pose_sources
from evopose.data.pose_errors import error_rates, similarity_distances
from evopose.data.pose_sources import GivenPoses, SyntheticErrors, near_persons
from evopose.errors import DataError
from evopose.skeleton import COCO_PERSON
from evopose.structures import ImageRecord, Instance, PoseDataset

K = 17
FLIP = COCO_PERSON.flip_index
PLACES = ((1, 100, 0), (1, 130, 10), (1, 300, 0), (2, 130, 10), (2, 90, -10), (2, 110, 5))
"""Image, and where the person's middle is; the third stands apart from the others."""


@pytest.fixture(scope="module")
def crowd(tmp_path_factory) -> tuple[PoseDataset, object]:
    """Six persons in two images, and their crops."""
    folder = tmp_path_factory.mktemp("crowd")
    rng = np.random.default_rng(0)
    people = []
    for i, (image, x, y) in enumerate(PLACES):
        xy = rng.uniform((x - 30, y + 90), (x + 30, y + 210), (K, 2))
        visibility = rng.choice([0, 1, 2], K, p=[0.2, 0.4, 0.4])
        keypoints = np.concatenate([xy, visibility[:, None]], axis=1).astype(np.float32)
        box = np.array([x - 35.0, y + 80, x + 35, y + 220])
        people.append(
            Instance(id=i, image_id=image, box_xyxy=box, keypoints=keypoints, area=5000.0 + i)
        )
    images = []
    for image in (1, 2):
        path = folder / f"{image}.png"
        cv2.imwrite(str(path), rng.integers(0, 256, (300, 400, 3), np.uint8))
        images.append(ImageRecord(id=image, path=path, height=300, width=400))
    data = PoseDataset(
        name="crowd", skeleton=COCO_PERSON, images=tuple(images), instances=tuple(people)
    )
    return data, build_crops(data, CropSpec(input_hw=(96, 64)), cache_dir=folder / "cache")


def one_epoch(cache, *, epoch=0, batch_size=6, **options):
    defaults = {"augmentation": Augmentation(), "seed": 3, "shuffle": False, "threads": 0}
    return list(batches(cache, batch_size=batch_size, epoch=epoch, **(defaults | options)))


def by_place(source, found, epoch=0) -> dict[int, np.ndarray]:
    return {
        place: pose
        for batch in found
        for place, pose in zip(batch.index.tolist(), source.poses(batch, epoch), strict=True)
    }


def test_near_are_those_whose_boxes_overlap(crowd) -> None:
    data, _ = crowd
    keypoints = np.stack([one.keypoints for one in data.instances])
    ids = np.array([one.image_id for one in data.instances])
    found = [sorted(near.tolist()) for near in near_persons(keypoints, ids)]
    assert found == [[1], [0], [], [4, 5], [3, 5], [3, 4]]
    lonely = np.zeros((2, K, 3))
    lonely[:, 3] = [[50, 50, 2], [55, 50, 1]]  # a keypoint each, within boxes of 20 pixels
    assert [n.tolist() for n in near_persons(lonely, np.array([7, 7]))] == [[1], [0]]
    assert [n.tolist() for n in near_persons(lonely, np.array([7, 8]))] == [[], []]


def test_errors_depend_on_the_sample_alone(crowd) -> None:
    _, cache = crowd
    source = SyntheticErrors(cache, 5)
    whole = by_place(source, one_epoch(cache))
    parts = by_place(SyntheticErrors(cache, 5), one_epoch(cache, batch_size=1, shuffle=True))
    assert sorted(whole) == sorted(parts) == list(range(6))
    for place, pose in whole.items():
        np.testing.assert_array_equal(pose, parts[place])
    other_seed = by_place(SyntheticErrors(cache, 6), one_epoch(cache))
    other_epoch = by_place(source, one_epoch(cache), epoch=1)
    for other in (other_seed, other_epoch):
        assert all(
            (other[i][whole[i][:, 2] > 0] != whole[i][whole[i][:, 2] > 0]).any() for i in whole
        )


def test_errors_are_as_large_as_the_person_is_in_the_augmented_crop(crowd, monkeypatch) -> None:
    """All are good: nowhere farther than d(.85), and nearly that far somewhere."""
    data, cache = crowd
    monkeypatch.setattr(pose_sources, "error_rates", lambda skeleton: rates())
    source = SyntheticErrors(cache, 0)
    shares = []
    for epoch in range(20):
        (batch,) = one_epoch(cache, epoch=epoch)
        poses = source.poses(batch, epoch)
        seen = batch.visibility > 0
        np.testing.assert_array_equal(poses[..., 2] > 0, seen)
        for i, one in enumerate(data.instances):
            scale = abs(np.linalg.det(fitted(one, batch, i)[:2]))
            good = similarity_distances(one.area * scale, COCO_PERSON.sigmas)[0]
            away = np.linalg.norm(poses[i, :, :2] - batch.keypoints[i], axis=1)
            shares.extend((away / good)[seen[i]])
    assert 0.98 < max(shares) < 1.001
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)


def fitted(one: Instance, batch, i: int) -> np.ndarray:
    """Return the map (3, 2) from image to crop, found from the labels before and after."""
    order = FLIP if batch.flip[i] else np.arange(K)
    before = np.concatenate([one.keypoints[order, :2], np.ones((K, 1))], axis=1)
    seen = batch.visibility[i] > 0
    return np.linalg.lstsq(before[seen], batch.keypoints[i][seen])[0]


def rates(**changes):
    """Rates of no error but those of `changes`."""
    coco = error_rates(COCO_PERSON)
    none = {name: 0 * getattr(coco, name) for name in ("jitter", "miss", "inversion", "swap")}
    return replace(coco, **(none | changes))


def test_swaps_reach_the_neighbour_where_the_crop_shows_it(crowd, monkeypatch) -> None:
    data, cache = crowd
    always = rates(swap=np.ones((2, K)))
    monkeypatch.setattr(pose_sources, "error_rates", lambda skeleton: always)
    source = SyntheticErrors(cache, 1)
    flipped = reached = 0
    for epoch in range(12):
        (batch,) = one_epoch(cache, epoch=epoch)
        poses = source.poses(batch, epoch)
        for i, other in ((0, 1), (1, 0)):
            near = data.instances[other].keypoints[FLIP if batch.flip[i] else slice(None)]
            to_crop = fitted(data.instances[i], batch, i)
            there = np.concatenate([near[:, :2], np.ones((K, 1))], axis=1) @ to_crop
            shown = (near[:, 2] > 0) & ((there >= 0) & (there < (64, 96))).all(axis=1)
            scale = abs(np.linalg.det(to_crop[:2]))
            half = similarity_distances(data.instances[i].area * scale, COCO_PERSON.sigmas)[1]
            for k in np.flatnonzero(poses[i, :, 2]):
                choices = [j for j in {k, FLIP[k]} if shown[j]]
                away = np.linalg.norm(poses[i, k, :2] - there[choices], axis=1)
                assert away.min() <= half[k] + 0.01
                reached += 1
            flipped += batch.flip[i]
        assert not poses[2].any()  # it has nobody near
    assert reached > 50
    assert 0 < flipped < 24


def test_given_poses_move_as_the_labels_do(crowd) -> None:
    _, cache = crowd
    source = GivenPoses(cache, np.asarray(cache.keypoints))
    for epoch in range(5):
        (batch,) = one_epoch(cache, epoch=epoch)
        poses = source.poses(batch, epoch)
        assert poses.dtype == np.float32
        np.testing.assert_array_equal(poses[..., 2], batch.visibility)
        seen = batch.visibility > 0
        np.testing.assert_allclose(poses[seen][:, :2], batch.keypoints[seen], atol=1e-3)
        assert not poses[~seen].any()
    with pytest.raises(
        DataError, match=r"expected poses of shape \(6, 17, 3\), .* got \(5, 17, 3\)"
    ):
        GivenPoses(cache, np.zeros((5, 17, 3)))


def test_unlabelled_keypoints_start_from_another_networks_answers(crowd) -> None:
    _, cache = crowd
    guesses = np.asarray(cache.keypoints).copy()
    guesses[..., 2] = 1
    centre = np.array(cache.spec.stored_hw[::-1]) / 2
    guesses[..., :2] = np.where(cache.keypoints[..., 2:] > 0, guesses[..., :2], centre)
    source = SyntheticErrors(cache, 0, estimates=GivenPoses(cache, guesses))
    (batch,) = one_epoch(cache, augmentation=Augmentation.none())
    poses = source.poses(batch, 0)
    unlabelled = cache.keypoints[..., 2] == 0
    assert unlabelled.sum() > 10
    assert (poses[unlabelled][:, 2] == 1).all()
    away = np.linalg.norm(poses[unlabelled][:, :2] - (32, 48), axis=1)
    assert np.median(away) < 5
