"""Paired bootstrap of two evaluations: against images written out as often as drawn, and on
made-up models."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evopose.errors import DataError
from evopose.evaluation.comparison import compare, draws, weighted_mean
from evopose.evaluation.judging import Evaluation, as_results, judge
from evopose.metrics.coco_ap import AP_NAMES, coco_ap
from evopose.skeleton import Skeleton
from evopose.structures import ImageRecord, Instance, PoseDataset

SKELETON = Skeleton(keypoints=("a", "b", "c"), sigmas=(0.05, 0.08, 0.03))
IMAGES = 60


@pytest.fixture(scope="module")
def dataset() -> PoseDataset:
    rng = np.random.default_rng(0)
    people = []
    for number in range(1, 121):
        xy = rng.uniform(0, 300, (3, 2))
        people.append(
            Instance(
                id=number, image_id=int(rng.integers(1, IMAGES + 1)),
                keypoints=np.concatenate([xy, np.full((3, 1), 2)], axis=1).astype(np.float32),
                box_xyxy=np.array([0.0, 0, 300, 300]), area=float(rng.uniform(2000, 30000)),
            )
        )  # fmt: skip
    records = [
        ImageRecord(id=i, path=Path("x"), height=300, width=300) for i in range(1, IMAGES + 1)
    ]
    return PoseDataset(
        name="made up", skeleton=SKELETON, images=tuple(records), instances=tuple(people)
    )


def model(dataset: PoseDataset, noise: float, seed: int) -> Evaluation:
    """Return the evaluation of a model that is off by so many pixels."""
    rng = np.random.default_rng(seed)
    people = sorted(dataset.trainable, key=lambda one: one.image_id)
    truth = np.stack([one.keypoints for one in people]).astype(float)
    found = truth.copy()
    found[..., :2] += rng.normal(0, noise, truth[..., :2].shape)
    results = as_results([one.image_id for one in people], found, rng.random(len(people)))
    return judge(dataset, people, results, nearest=np.arange(len(people)), boxes="made up")


def test_the_numbers_are_those_of_the_evaluations(dataset):
    first, second = model(dataset, 12, 1), model(dataset, 9, 2)
    told = compare(dataset, first, second, resamples=200).differences
    assert set(told) == {"mean OKS", *AP_NAMES}
    for name in AP_NAMES:
        assert told[name].first == pytest.approx(first.ap[name], abs=1e-12)
        assert told[name].second == pytest.approx(second.ap[name], abs=1e-12)
    assert told["mean OKS"].first == pytest.approx(first.mean_oks)
    for one in told.values():
        assert one.low <= one.high
        assert one.resamples == 200


def test_a_better_model_is_told_and_noise_is_not(dataset):
    first, better, other = model(dataset, 12, 1), model(dataset, 6, 2), model(dataset, 12, 3)
    clear = compare(dataset, first, better, resamples=300).differences
    assert clear["AP"].clear
    assert clear["AP"].difference > 0.1
    assert clear["AP"].better == clear["mean OKS"].better == 1
    back = compare(dataset, better, first, resamples=300).differences["AP"]
    assert (back.low, back.high) == pytest.approx((-clear["AP"].high, -clear["AP"].low))
    assert back.better == 0
    noise = compare(dataset, first, other, resamples=300).differences
    assert not noise["mean OKS"].clear
    assert 0 < noise["mean OKS"].better < 1
    same = compare(dataset, first, first, resamples=50).differences["AP"]
    assert (same.low, same.difference, same.high, same.better) == (0, 0, 0, 0)


def test_seeds_repeat_and_resamples_are_paired(dataset):
    first, second = model(dataset, 12, 1), model(dataset, 11, 2)
    once, again, other = (
        compare(dataset, first, second, resamples=100, seed=seed).to_json() for seed in (1, 1, 2)
    )
    assert once == again
    assert once["differences"]["AP"]["low"] != other["differences"]["AP"]["low"]
    # paired, the interval is narrower than that of one model's own spread
    shifted = [one | {"score": one["score"] / 2} for one in first.results]
    paired = compare(dataset, first, replace(first, results=shifted), resamples=100)
    assert paired.differences["AP"].high == pytest.approx(0, abs=1e-12)


def test_intervals_are_those_of_images_copied_as_often_as_drawn(dataset):
    first, second = model(dataset, 12, 1), model(dataset, 9, 2)
    ours = compare(dataset, first, second, resamples=30, seed=4).differences
    changes = []
    for counts in draws(IMAGES, 30, seed=4).astype(int):
        row = np.repeat(np.arange(1, IMAGES + 1), counts)
        people, found = [], ([], [])
        for number, image in enumerate(row.tolist(), start=1):
            people += [replace(one, image_id=number) for one in dataset.instances
                       if one.image_id == image]  # fmt: skip
            for kept, one in zip(found, (first, second), strict=True):
                kept += [r | {"image_id": number} for r in one.results if r["image_id"] == image]
        numbers = [coco_ap(people, kept, SKELETON.sigmas) for kept in found]
        changes.append([numbers[1][name] - numbers[0][name] for name in AP_NAMES])
    judged = dict(zip(AP_NAMES, np.array(changes).T, strict=True))
    for name, change in judged.items():
        interval = np.quantile(change, [0.025, 0.975])
        np.testing.assert_allclose((ours[name].low, ours[name].high), interval, atol=1e-9)
        assert ours[name].better == (change > 0).mean()


def test_draws_and_means():
    weights = draws(7, 500, seed=3)
    assert weights.shape == (500, 7)
    assert (weights.sum(axis=1) == 7).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.15)
    values, image = np.array([1.0, 3.0, 8.0]), np.array([0, 0, 2])
    means = weighted_mean(values, image, np.array([[1, 0, 1], [2, 1, 0], [0, 3, 0]]))
    np.testing.assert_allclose(means, [4, 2, np.nan])


def test_numbers_that_are_undefined_in_a_resample_are_left_out(dataset):
    """Only one image holds a person of medium size: many resamples have none."""
    small = {one.id for one in dataset.instances if one.area < 96**2}
    keep = min(small)
    people = tuple(one for one in dataset.instances if one.id not in small or one.id == keep)
    few = replace(dataset, instances=people)
    told = compare(few, model(few, 12, 1), model(few, 6, 2), resamples=200).differences
    assert told["AP"].resamples == 200
    assert 90 < told["APM"].resamples < 160  # 1 - 1 / e of 200 is 126
    large = replace(dataset, instances=tuple(one for one in people if one.id != keep))
    assert "APM" not in compare(large, model(large, 9, 1), model(large, 9, 2)).differences


def test_other_persons_are_refused(dataset):
    first = model(dataset, 12, 1)
    with pytest.raises(DataError, match="are of 120 and 119 persons, not of the same"):
        compare(dataset, first, replace(first, ids=first.ids[1:]))
