"""Errors of keypoints against a loop-for-loop second implementation, and by hand."""

import math

import numpy as np
import pytest

from evopose.metrics import oks
from evopose.metrics.pck import (
    auc,
    box_sizes,
    distances,
    epe,
    head_sizes,
    keypoint_oks,
    nme,
    pck,
    torso_sizes,
)

NAMES = ("head_top", "neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip")


@pytest.fixture
def people():
    """Poses, labels with a keypoint that nobody has, and sizes, one of them not there."""
    rng = np.random.default_rng(0)
    truth = np.concatenate(
        [rng.uniform(0, 200, (12, 6, 2)), rng.integers(0, 3, (12, 6, 1))], axis=2
    )
    truth[:, 4, 2] = 0
    predicted = np.concatenate(
        [truth[..., :2] + rng.normal(0, 15, (12, 6, 2)), rng.random((12, 6, 1))], axis=2
    )
    sizes = rng.uniform(30, 90, 12)
    sizes[3] = np.nan
    return predicted, truth, sizes


def looped(predicted, truth, value):
    """Return the means of value(person, distance) of each keypoint and of all, the slow way."""
    each, everything = [], []
    for k in range(truth.shape[1]):
        found = []
        for person in range(len(truth)):
            if truth[person, k, 2] > 0:
                dx = predicted[person, k, 0] - truth[person, k, 0]
                dy = predicted[person, k, 1] - truth[person, k, 1]
                got = value(person, math.sqrt(dx * dx + dy * dy))
                if not math.isnan(got):
                    found.append(got)
        each.append(sum(found) / len(found) if found else math.nan)
        everything += found
    return [*each, sum(everything) / len(everything)]


METRICS = {
    "epe": (lambda errors, sizes: epe(errors), lambda d, size: d),
    "nme": (nme, lambda d, size: d / size),
    "pck": (pck, lambda d, size: d / size if math.isnan(size) else float(d <= 0.2 * size)),
    "pckh": (
        lambda errors, sizes: pck(errors, sizes, 0.5),
        lambda d, size: d / size if math.isnan(size) else float(d <= 0.5 * size),
    ),
    "auc": (
        lambda errors, sizes: auc(errors, sizes, 0.4),
        lambda d, size: d / size if math.isnan(size) else max(0.0, 1 - d / (0.4 * size)),
    ),
}
"""By name: ours, and the value of one keypoint at a distance of a person of a size."""


@pytest.mark.parametrize("name", METRICS)
def test_metrics_equal_loops(people, name):
    predicted, truth, sizes = people
    metric, value = METRICS[name]
    ours = metric(distances(predicted, truth), sizes)
    expected = looped(predicted, truth, lambda i, d: value(d, sizes[i]))
    np.testing.assert_allclose([*ours.each, ours.all], expected, rtol=1e-12)
    assert math.isnan(ours.each[4])
    assert ours.all > 0


def test_the_area_is_that_under_the_curve(people):
    predicted, truth, sizes = people
    errors = distances(predicted, truth)
    steps = (np.arange(4000) + 0.5) / 4000 * 0.4
    curve = [pck(errors, sizes, step).all for step in steps]
    assert auc(errors, sizes, 0.4).all == pytest.approx(np.mean(curve), abs=1e-4)


def test_similarities_of_keypoints_make_up_those_of_persons(people):
    predicted, truth, _ = people
    area, sigmas = np.linspace(500, 5000, 12), np.linspace(0.02, 0.1, 6)
    errors = distances(predicted, truth)
    by_person = oks(predicted[..., :2], truth, area, sigmas)
    for i in range(len(truth)):
        alone = keypoint_oks(errors[i : i + 1], area[i : i + 1], sigmas).all
        np.testing.assert_allclose(alone, by_person[i], rtol=1e-12)
    assert 0 < keypoint_oks(errors, area, sigmas).all < 1


def test_sizes_by_hand():
    truth = np.zeros((3, 6, 3))
    truth[..., 2] = 2
    truth[:, 0, :2], truth[:, 1, :2] = (0, 0), (3, 4)
    truth[:, 2, :2], truth[:, 5, :2] = (0, 10), (6, 18)
    truth[:, 3, :2], truth[:, 4, :2] = (0, 0), (5, 12)
    truth[1, 2, 2] = truth[2, 2, 2] = truth[2, 4, 2] = truth[2, 1, 2] = 0
    np.testing.assert_array_equal(torso_sizes(truth, NAMES), [10, 13, np.nan])
    np.testing.assert_array_equal(head_sizes(truth, NAMES), [5, 5, np.nan])
    assert torso_sizes(truth[:, :2], NAMES[:2]) is None
    assert head_sizes(truth[:, 1:], NAMES[1:]) is None
    boxes = np.array([[10.0, 20, 13, 24]])
    np.testing.assert_allclose(box_sizes(boxes), [4])


def test_nothing_labelled_is_nan_and_shapes_are_checked():
    errors = distances(np.zeros((2, 3, 2)), np.zeros((2, 3, 3)))
    assert math.isnan(epe(errors).all)
    assert math.isnan(pck(np.zeros((2, 3)), np.full(2, np.nan)).all)
    with pytest.raises(ValueError, match="expected"):
        distances(np.zeros((2, 3, 2)), np.zeros((2, 4, 3)))
    with pytest.raises(ValueError, match="expected 2 sizes"):
        pck(errors, np.ones(3))
