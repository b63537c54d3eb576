"""AP and AR, held against pycocotools."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from evopose.errors import DataError
from evopose.metrics.coco_ap import AP_NAMES, coco_ap, undefined
from evopose.skeleton import COCO_PERSON
from evopose.structures import Instance

SIGMAS = COCO_PERSON.sigmas


def person(number, image, rng, *, crowd=False, labelled=True, size=80.0):
    xy = rng.uniform(0, size, (17, 2)) + rng.uniform(0, 200, 2)
    visible = rng.integers(0, 3, 17) if labelled else np.zeros(17)
    keypoints = np.column_stack([xy * (visible[:, None] > 0), visible]).astype(np.float32)
    low, high = xy.min(axis=0), xy.max(axis=0)
    return Instance(
        id=number,
        image_id=image,
        box_xyxy=np.concatenate([low, high]),
        keypoints=keypoints,
        area=float((high - low).prod() * 0.53),
        is_crowd=crowd,
    )


def found(instances, rng, *, noise, ties=False):
    """Return results near the persons, some twice, some about nobody."""
    results = []
    for one in instances:
        for _ in range(rng.integers(0, 3)):
            keypoints = one.keypoints.astype(float).copy()
            keypoints[:, :2] += rng.normal(0, noise, (17, 2))
            keypoints[:, 2] = rng.random(17)
            score = float(rng.integers(1, 4)) if ties else float(rng.random())
            results.append(
                {
                    "image_id": one.image_id,
                    "category_id": 1,
                    "keypoints": keypoints.ravel().tolist(),
                    "score": score,
                }
            )
    return results


def by_pycocotools(instances, results, sigmas=SIGMAS):
    truth = COCO()
    truth.dataset = {
        "images": [{"id": i} for i in sorted({one.image_id for one in instances})],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {
                "id": number,
                "image_id": one.image_id,
                "category_id": 1,
                "iscrowd": int(one.is_crowd),
                "num_keypoints": one.num_labelled,
                "keypoints": one.keypoints.astype(float).ravel().tolist(),
                "bbox": [*one.box_xyxy[:2], *(one.box_xyxy[2:] - one.box_xyxy[:2])],
                "area": one.area,
            }
            for number, one in enumerate(instances, 1)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes([dict(one) for one in results]), "keypoints")
        judge.params.kpt_oks_sigmas = np.array(sigmas)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ties", [False, True])
def test_random_results_have_pycocotools_numbers(seed, ties) -> None:
    rng = np.random.default_rng(seed)
    instances = [
        person(
            number,
            int(rng.integers(1, 9)),
            rng,
            crowd=rng.random() < 0.15,
            labelled=rng.random() < 0.8,
            size=float(rng.choice([20, 80, 250])),
        )
        for number in range(1, 60)
    ]
    results = found(instances, rng, noise=4.0, ties=ties)
    ours = coco_ap(instances, results, SIGMAS)
    theirs = by_pycocotools(instances, results)
    assert list(ours) == list(AP_NAMES)
    assert 0.05 < theirs[0] < 0.95
    np.testing.assert_allclose([ours[name] for name in AP_NAMES], theirs, atol=1e-12)


def test_another_skeletons_sigmas_are_used() -> None:
    rng = np.random.default_rng(0)
    instances = [person(n, 1, rng) for n in range(1, 10)]
    results = found(instances, rng, noise=4.0)
    loose = (0.2,) * 17
    ours = coco_ap(instances, results, loose)
    theirs = by_pycocotools(instances, results, loose)
    assert [-1 if v is None else v for v in ours.values()] == pytest.approx(theirs.tolist())
    assert ours["AP"] > coco_ap(instances, results, SIGMAS)["AP"]


def test_the_reference_problems(shared) -> None:
    folder = shared / "data/conformance"
    cases = json.loads((folder / "expected.json").read_text())["cases"]
    ours = [case for case in cases if case["sigmas"] == "COCO" and case["area"] == "as given"]
    assert ours
    for case in ours:
        truth = json.loads((folder / case["gt"]).read_text())
        instances = [
            Instance(
                id=one["id"],
                image_id=one["image_id"],
                box_xyxy=np.add(one["bbox"], [0, 0, *one["bbox"][:2]]),
                keypoints=np.array(one["keypoints"], np.float32).reshape(-1, 3),
                area=one["area"],
                is_crowd=bool(one["iscrowd"]),
            )
            for one in truth["annotations"]
        ]
        images = {one.image_id for one in instances}
        results = json.loads((folder / case["dt"]).read_text())
        found = coco_ap(instances, [r for r in results if r["image_id"] in images], SIGMAS)
        np.testing.assert_allclose(list(found.values()), case["stats"], atol=1e-9)


def test_what_nothing_defines_is_none_and_says_why() -> None:
    rng = np.random.default_rng(1)
    crowd = [person(1, 1, rng, crowd=True)]
    assert coco_ap(crowd, found(crowd, rng, noise=1), SIGMAS) == dict.fromkeys(AP_NAMES)
    assert "no person has labelled keypoints" in undefined(crowd)["AP"]
    large = [person(1, 1, rng, size=400.0)]
    result = coco_ap(large, [], SIGMAS)
    assert result["AP"] == result["ARL"] == 0.0
    assert result["APM"] is None
    assert undefined(large).keys() == {"APM", "ARM"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": [0.0] * 48}, "48 numbers in keypoints; expected 51"),
        ({"image_id": 99}, "names image 99, of which there are no annotations"),
        ({"score": float("nan")}, "the score nan; expected a finite number"),
    ],
)
def test_results_that_cannot_be_judged_are_refused(change, message) -> None:
    rng = np.random.default_rng(2)
    instances = [person(1, 1, rng)]
    good = {"image_id": 1, "category_id": 1, "keypoints": [1.0] * 51, "score": 0.5}
    with pytest.raises(DataError, match=message):
        coco_ap(instances, [good | change], SIGMAS)
