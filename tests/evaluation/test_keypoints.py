"""Errors keypoint by keypoint, as `evopose evaluate` tells them."""

import json

import numpy as np
import pytest

from evopose.evaluation.keypoints import keypoint_errors
from evopose.skeleton import COCO_PERSON, Skeleton


def test_what_a_skeleton_permits():
    rng = np.random.default_rng(0)
    truth = np.concatenate([rng.uniform(0, 100, (5, 17, 2)), np.full((5, 17, 1), 2)], axis=2)
    truth[:, 0, 2] = 0
    truth[1, 5:7, 2] = 0  # no shoulders, so no torso
    predicted = truth[..., :2] + [3, 4]
    predicted[:, 9] += 1000
    boxes = np.tile([0.0, 0, 50, 100], (5, 1))
    found = keypoint_errors(
        predicted, truth, boxes_xyxy=boxes, areas=np.full(5, 2500.0), skeleton=COCO_PERSON
    ).to_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    rows = found["keypoints"]
    assert list(rows) == ["all", *COCO_PERSON.keypoints]
    assert rows["nose"] == {"labelled": 0} | dict.fromkeys(list(rows["nose"])[1:])
    assert rows["left_knee"]["epe"] == pytest.approx(5)
    assert rows["left_knee"]["nme"] == pytest.approx(0.05)
    assert rows["left_knee"]["auc"] == pytest.approx(1 - 5 / 20)
    assert rows["left_knee"]["oks"] == pytest.approx(np.exp(-25 / 2500 / 2 / (2 * 0.087) ** 2))
    assert rows["left_wrist"]["pck"] == 0
    assert rows["all"]["labelled"] == 16 * 5 - 2
    assert rows["all"]["pck"] == pytest.approx(1 - 5 / 78)
    assert found["persons_with_size"] == {"pck": 5, "pck_torso": 4}
    assert set(found["keypoint_metrics"]) == set(rows["all"]) - {"labelled"}


def test_a_head_permits_pckh_and_no_names_no_torso():
    skeleton = Skeleton(keypoints=("head", "neck", "tail"))
    truth = np.array([[[0, 0, 2], [0, 10, 2], [40, 40, 2]]], float)
    found = keypoint_errors(
        truth[..., :2] + [[4.9, 0], [0, 5.1], [0, 0]], truth,
        boxes_xyxy=np.array([[0.0, 0, 50, 50]]), areas=np.array([900.0]), skeleton=skeleton,
    )  # fmt: skip
    np.testing.assert_array_equal(found.values["pckh"].each, [1, 0, 1])
    assert "pck_torso" not in found.values
