"""Batches: keypoints follow their pixels, and nothing depends on how they are made."""

import itertools
import logging
import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest

from evopose.data import Augmentation, CropSpec, batches, build_crops, loader, read_coco
from evopose.errors import ConfigError
from evopose.skeleton import COCO_PERSON
from evopose.structures import ImageRecord, Instance, PoseDataset

FULL = Augmentation(half_body=0.5, colour=0.2)
LEFT_WRIST, RIGHT_WRIST = 9, 10


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "aligned"])
def dotted(request, tmp_path_factory):
    """Crops of 48 images that show one keypoint, the left wrist, as a soft white dot on black."""
    folder = tmp_path_factory.mktemp("dotted")
    rng = np.random.default_rng(0)
    images, people = [], []
    ys, xs = np.indices((400, 300))
    for i in range(48):
        keypoints = np.ones((17, 3), np.float32)
        keypoints[:, :2] = rng.uniform((100, 100), (200, 300), (17, 2))
        x, y = keypoints[LEFT_WRIST, :2]
        blob = 255 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 2 / 5**2)
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), np.repeat(blob[..., None], 3, axis=2).astype(np.uint8))
        images.append(ImageRecord(id=i, path=path, height=400, width=300))
        people.append(
            Instance(id=i, image_id=i, box_xyxy=np.array([80.0, 80, 220, 320]), area=1.0,
                     keypoints=keypoints)
        )  # fmt: skip
    data = PoseDataset(
        name="dots", skeleton=COCO_PERSON, images=tuple(images), instances=tuple(people)
    )
    spec = CropSpec(input_hw=(96, 64), align_corners=request.param)
    return build_crops(data, spec, cache_dir=folder / "cache")


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "aligned"])
def people(request, shared, tmp_path_factory):
    """Crops of real persons."""
    path = shared / "data/fixtures/coco/test_coco.json"
    data = read_coco(path, name="few", image_folders=[path.parent])
    spec = CropSpec(input_hw=(96, 64), align_corners=request.param)
    return build_crops(data, spec, cache_dir=tmp_path_factory.mktemp("people"))


def one_epoch(cache, augmentation, **options):
    defaults = {"batch_size": 8, "seed": 0, "epoch": 0, "shuffle": False, "threads": 0}
    return list(batches(cache, augmentation=augmentation, **defaults | options))


def dots(images):
    """The centre (B, 2) of what is brighter than the fill."""
    grey = images[..., 0].astype(float)
    bright = np.maximum(grey - 130, 0)  # the fill is 124
    ys, xs = np.indices(grey.shape[1:])
    total = np.maximum(bright.sum(axis=(1, 2)), 1)
    return np.stack([(xs * bright).sum((1, 2)), (ys * bright).sum((1, 2))], axis=1) / total[:, None]


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation.none(),
        Augmentation.flip_only(),
        replace(Augmentation.none(), scale=0.3),
        replace(Augmentation.none(), rotation_probability=1.0),
        replace(Augmentation.none(), half_body=1.0),
        replace(Augmentation(), flip=1.0, half_body=0.5),
        replace(Augmentation(), half_body=0.5),
    ],
)
def test_keypoints_follow_their_pixels(dotted, augmentation):
    found = missing = 0
    for batch in one_epoch(dotted, augmentation):
        flipped = loader.draw(augmentation, 48, np.random.default_rng([0, 0, 1])).flip[batch.index]
        wrist = np.where(flipped, RIGHT_WRIST, LEFT_WRIST)
        xy = batch.keypoints[np.arange(len(batch)), wrist]
        visible = batch.visible[np.arange(len(batch)), wrist]
        inner = visible & ((xy > 8) & (xy < (55, 87))).all(axis=1)  # the whole dot can be seen
        np.testing.assert_allclose(dots(batch.images)[inner], xy[inner], atol=0.15)
        found, missing = found + inner.sum(), missing + (~visible).sum()
    assert found >= 12
    assert augmentation.half_body or augmentation.scale or missing == 0


def test_plain_crops_are_exact_slices_and_flips_exact_mirrors(people):
    top, left = people.spec.offset_hw
    plain = people.images[:, top : top + 96, left : left + 64]
    (batch,) = one_epoch(people, Augmentation.none(), batch_size=99)
    np.testing.assert_array_equal(batch.images, plain)
    np.testing.assert_allclose(
        batch.keypoints, people.keypoints[..., :2] - (left, top), rtol=0, atol=1e-4
    )
    (mirrored,) = one_epoch(people, replace(Augmentation.none(), flip=1.0), batch_size=99)
    np.testing.assert_array_equal(mirrored.images, plain[:, :, ::-1])
    swap = COCO_PERSON.flip_index
    np.testing.assert_allclose(
        mirrored.keypoints[:, swap], (63, 0) + (-1, 1) * batch.keypoints, rtol=0, atol=1e-4
    )
    inside = ((batch.keypoints >= 0) & (batch.keypoints < (64, 96))).all(axis=-1)
    np.testing.assert_array_equal(batch.visible, (people.keypoints[..., 2] > 0) & inside)
    assert batch.visible.any()


def test_what_lies_outside_is_not_visible(dotted):
    for batch in one_epoch(dotted, FULL):
        inside = ((batch.keypoints >= 0) & (batch.keypoints < (64, 96))).all(axis=-1)
        np.testing.assert_array_equal(batch.visible, inside)  # all of them are labelled
    assert not np.concatenate([b.visible for b in one_epoch(dotted, FULL)]).all()


def same(some, others):
    assert len(some) == len(others)
    for a, b in zip(some, others, strict=True):
        for field in ("images", "keypoints", "visible", "index"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))


def test_threads_start_and_repetition_change_nothing(dotted):
    options = {"shuffle": True, "seed": 5, "epoch": 2, "batch_size": 7}
    truth = one_epoch(dotted, FULL, **options)
    assert [len(b) for b in truth] == [7] * 6 + [6]
    for threads, lookahead in ((0, 1), (1, 1), (3, 2), (4, 50)):
        same(truth, one_epoch(dotted, FULL, threads=threads, lookahead=lookahead, **options))
    for start in (0, 3, 6, 7, 9):
        same(truth[start:], one_epoch(dotted, FULL, start=start, **options))
    same(truth[:6], one_epoch(dotted, FULL, drop_last=True, **options))


def test_a_sample_is_the_same_in_any_batch(dotted):
    def by_sample(**options):
        return {
            int(index): (batch.images[i], batch.keypoints[i])
            for batch in one_epoch(dotted, FULL, **options)
            for i, index in enumerate(batch.index)
        }

    truth = by_sample()
    assert sorted(truth) == list(range(48))
    chosen = np.array([40, 3, 3, 17])
    for options in ({"batch_size": 5, "shuffle": True}, {"indices": chosen}):
        found = by_sample(**options)
        assert set(found) == (set(chosen) if "indices" in options else set(truth))
        for index, (image, keypoints) in found.items():
            np.testing.assert_array_equal(image, truth[index][0])
            np.testing.assert_array_equal(keypoints, truth[index][1])
    order = [b.index.tolist() for b in one_epoch(dotted, FULL, indices=chosen)]
    assert order == [[40, 3, 3, 17]]


@pytest.mark.parametrize("processes", [2, 5])
def test_shares_of_a_batch_make_up_the_batch(dotted, processes):
    options = {"shuffle": True, "seed": 5, "epoch": 2, "batch_size": 7, "start": 4}
    truth = one_epoch(dotted, FULL, indices=np.arange(38), **options)
    shares = [
        one_epoch(dotted, FULL, indices=np.arange(38), **options, share=slice(i, None, processes))
        for i in range(processes)
    ]
    assert [len(batch) for batch in truth] == [7, 3]
    assert any(len(share[-1]) == 0 for share in shares) == (processes > 3)
    for number, batch in enumerate(truth):
        for i, share in enumerate(shares):
            for field in ("images", "keypoints", "visible", "index", "affines", "flip"):
                whole, part = getattr(batch, field), getattr(share[number], field)
                np.testing.assert_array_equal(part, whole[i::processes])


def test_seed_and_epoch_change_order_and_augmentation(dotted):
    epochs = [
        one_epoch(dotted, FULL, shuffle=True, seed=seed, epoch=epoch)
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
    ]
    for a, b in itertools.combinations(epochs, 2):
        assert (a[0].index != b[0].index).any()
        first = {int(i): x for batch in a for i, x in zip(batch.index, batch.images, strict=True)}
        second = {int(i): x for batch in b for i, x in zip(batch.index, batch.images, strict=True)}
        assert sum((first[i] != second[i]).any() for i in first) > 40
    assert sorted(np.concatenate([b.index for b in epochs[0]])) == list(range(48))


def test_an_iterator_closed_early_leaves_no_thread(dotted):
    def ours():
        return [t for t in threading.enumerate() if t.name.startswith("evopose-batches")]

    running = batches(
        dotted, batch_size=2, augmentation=FULL, seed=0, epoch=0, shuffle=True, threads=2
    )
    next(running)
    assert ours()
    running.close()
    assert not ours()


def test_at_most_lookahead_batches_are_made_ahead(dotted, monkeypatch):
    made, make = [], loader._make
    monkeypatch.setattr(loader, "_make", lambda *a: made.append(1) or make(*a))
    running = batches(
        dotted, batch_size=2, augmentation=FULL, seed=0, epoch=0, shuffle=True, lookahead=3
    )
    assert not made
    next(running)
    running.close()
    assert 1 <= len(made) <= 4


def test_a_skeleton_without_pairs_is_never_flipped(dotted, caplog):
    loader._say_once.cache_clear()
    mouse = replace(COCO_PERSON, keypoints=tuple(f"point {i}" for i in range(17)), flip_pairs=None)
    cache = replace(dotted, skeleton=mouse)
    options = replace(Augmentation.flip_only(), half_body=0.5)
    with caplog.at_level(logging.WARNING):
        same(one_epoch(cache, options), one_epoch(cache, Augmentation.none()))
    assert [r.message for r in caplog.records] == [
        "left-right pairs of the keypoints are unknown: nothing is flipped",
        "half-body crops need COCO's keypoint names: none are made",
    ]


def test_half_body_waits_for_enough_keypoints(dotted):
    always = replace(Augmentation.none(), half_body=1.0)
    plain = one_epoch(dotted, Augmentation.none())
    same(plain, one_epoch(dotted, replace(always, half_body_min_keypoints=17)))
    halves = one_epoch(dotted, replace(always, half_body_min_keypoints=16))
    assert all((a.images != b.images).any() for a, b in zip(plain, halves, strict=True))


def test_numbers_that_cannot_be_are_refused(dotted):
    for wrong in ({"batch_size": 0}, {"start": -1}, {"threads": -1}, {"lookahead": 0}):
        with pytest.raises(ConfigError, match="expected batch_size and lookahead of at least 1"):
            one_epoch(dotted, FULL, **wrong)
