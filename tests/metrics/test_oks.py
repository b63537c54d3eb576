"""OKS against pycocotools."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from evopose.metrics import oks
from evopose.skeleton import COCO_PERSON

SIGMAS = np.array(COCO_PERSON.sigmas)


def judge(truths, predictions):
    """Return pycocotools' OKS of every prediction (rows) with every truth, one image."""
    coco = COCO()
    coco.dataset = {
        "images": [{"id": 1}],
        "categories": [{"id": 1}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "iscrowd": 0, **t}
            for i, t in enumerate(truths, start=1)
        ],
    }
    coco.createIndex()
    evaluation = COCOeval(coco, coco.loadRes(predictions), "keypoints")
    evaluation.params.imgIds, evaluation.params.catIds = [1], [1]
    evaluation._prepare()
    # It sorts by score; scores here fall, so rows keep their order.
    return np.array(evaluation.computeOks(1, 1))


def as_prediction(xy, score):
    flat = np.concatenate([xy, np.ones((len(xy), 1))], axis=1).ravel().tolist()
    return {"image_id": 1, "category_id": 1, "keypoints": flat, "score": score}


def test_random_cases_equal_pycocotools(capsys):
    rng = np.random.default_rng(0)
    count = 15
    truth = np.concatenate(
        [rng.uniform(0, 300, (count, 17, 2)), rng.integers(0, 3, (count, 17, 1))], axis=2
    )
    truth[0, :, 2] = 0
    truth[0, 3, 2] = 1
    area = rng.uniform(50, 50000, count)
    predicted = truth[..., :2] + rng.normal(0, rng.uniform(0, 30, (count, 1, 1)), (count, 17, 2))
    truths = [
        {
            "keypoints": t.ravel().tolist(),
            "num_keypoints": int((t[:, 2] > 0).sum()),
            "area": a,
            "bbox": [0, 0, 300, 300],
        }
        for t, a in zip(truth, area, strict=True)
    ]
    judged = judge(truths, [as_prediction(p, 1 - i / 100) for i, p in enumerate(predicted)])
    for j in range(count):
        ours = oks(
            predicted, np.repeat(truth[j : j + 1], count, 0), np.full(count, area[j]), SIGMAS
        )
        np.testing.assert_allclose(ours, judged[:, j], rtol=1e-12, atol=1e-300)
    assert np.diag(judged).max() > 0.5


def test_published_detections_equal_pycocotools(shared, capsys):
    folder = shared / "data/conformance"
    people = json.loads((folder / "fce_gt_dataset.json").read_text())["annotations"]
    people = [p for p in people if p["num_keypoints"] and p["image_id"] == 139099]
    found = json.loads((folder / "fce_dt_dataset.json").read_text())
    found = sorted(
        (d for d in found if d["image_id"] == 139099), key=lambda d: d["score"], reverse=True
    )[:20]
    fields = ("keypoints", "num_keypoints", "area", "bbox")
    judged = judge(
        [{f: p[f] for f in fields} for p in people],
        [{**d, "image_id": 1} for d in found],
    )
    xy = np.array([d["keypoints"] for d in found]).reshape(-1, 17, 3)[..., :2]
    for j, person in enumerate(people):
        truth = np.array([person["keypoints"]], float).reshape(1, 17, 3).repeat(len(xy), 0)
        ours = oks(xy, truth, np.full(len(xy), person["area"]), SIGMAS)
        np.testing.assert_allclose(ours, judged[:, j], rtol=1e-12, atol=1e-300)
    assert judged.max() > 0.8


def test_rows_without_labels_are_nan():
    truth = np.zeros((2, 17, 3))
    truth[1, 5] = 10, 10, 2
    result = oks(truth[..., :2], truth, np.array([100.0, 100.0]), SIGMAS)
    assert np.isnan(result[0])
    assert result[1] == 1.0


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="expected"):
        oks(np.zeros((2, 17, 2)), np.zeros((2, 16, 3)), np.ones(2), SIGMAS)
