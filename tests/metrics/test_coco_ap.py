"""COCO's ten numbers against pycocotools, and what hotcoco would let pass."""

import json

import numpy as np
import pytest

from coco_judge import judge
from evopose.errors import DataError
from evopose.metrics.coco_ap import AP_NAMES, coco_ap, undefined
from evopose.skeleton import COCO_PERSON
from evopose.structures import Instance

AREAS = (32.0**2, 96.0**2)
"""Exactly between the sizes of persons: they belong to both."""


def random_people(rng: np.random.Generator, count: int) -> list[Instance]:
    """Return persons of 8 images: crowds, unlabelled ones, and areas at the limits among them."""
    people = []
    for number in range(1, 30):
        keypoints = np.concatenate(
            [rng.uniform(0, 400, (count, 2)), rng.integers(0, 3, (count, 1))], axis=1
        )
        keypoints[:, 2] *= rng.random() > 0.2
        left, top = rng.uniform(0, 200, 2)
        people.append(
            Instance(
                id=number,
                image_id=int(rng.integers(1, 9)),
                box_xyxy=np.array([left, top, left + 150, top + 200]),
                keypoints=keypoints.astype(np.float32),
                area=float(rng.choice([*AREAS, rng.uniform(10, 900), rng.uniform(1000, 60000)])),
                is_crowd=bool(rng.random() < 0.15),
            )
        )
    return people


def random_results(rng: np.random.Generator, people: list[Instance]) -> list[dict]:
    """Return none to eight a person, near it and far, with scores that tie."""
    found = []
    for one in people:
        for _ in range(rng.integers(0, 9)):
            pose = one.keypoints.astype(float)
            pose[:, :2] += rng.normal(0, rng.uniform(0, 20), (len(pose), 2))
            pose[:, 2] = 1
            score = round(float(rng.random()), 1)
            row = {"image_id": one.image_id, "keypoints": pose.ravel().tolist(), "score": score}
            found.append(row | {"category_id": 1})
    return found


def as_coco(people: list[Instance]) -> dict:
    return {
        "images": [{"id": i} for i in sorted({one.image_id for one in people})],
        "categories": [{"id": 1}],
        "annotations": [
            {"id": one.id, "image_id": one.image_id, "category_id": 1, "area": one.area,
             "iscrowd": int(one.is_crowd), "num_keypoints": one.num_labelled,
             "keypoints": one.keypoints.astype(float).ravel().tolist(),
             "bbox": [*one.box_xyxy[:2], *(one.box_xyxy[2:] - one.box_xyxy[:2])]}
            for one in people
        ],
    }  # fmt: skip


def values(numbers) -> list[float]:
    assert tuple(numbers) == AP_NAMES
    return [-1 if value is None else value for value in numbers.values()]


@pytest.mark.parametrize("count", [17, 3])
@pytest.mark.parametrize("seed", range(6))
def test_random_cases_equal_pycocotools(seed, count, capfd):
    rng = np.random.default_rng(seed)
    people = random_people(rng, count)
    results = random_results(rng, people)
    sigmas = COCO_PERSON.sigmas if count == 17 else tuple(rng.uniform(0.02, 0.1, count))
    judged = judge(as_coco(people), results, sigmas)
    numbers = coco_ap(people, results, sigmas)
    assert capfd.readouterr() == ("", "")  # nothing is said past Python's streams
    np.testing.assert_allclose(values(numbers), judged, rtol=0, atol=1e-9)
    assert 0 < numbers["AP"] < 1


def test_numbers_that_nothing_defines_are_none_as_pycocotools_has_minus_one(capfd):
    rng = np.random.default_rng(0)
    people = [one for one in random_people(rng, 3) if one.area > 96**2]
    results = random_results(rng, people)
    numbers = coco_ap(people, results, (0.05,) * 3)
    np.testing.assert_allclose(values(numbers), judge(as_coco(people), results, (0.05,) * 3))
    assert {name for name, value in numbers.items() if value is None} == {"APM", "ARM"}
    assert undefined(people) == dict.fromkeys(
        ("APM", "ARM"), "no person has from 32 x 32 to 96 x 96 pixels"
    )
    nobody = [one for one in random_people(rng, 3) if one.is_crowd]
    assert set(coco_ap(nobody, [], (0.05,) * 3).values()) == {None}
    assert set(undefined(nobody)) == set(AP_NAMES)


def test_what_is_found_where_nobody_is_counts_against_ap():
    rng = np.random.default_rng(1)
    people = random_people(rng, 3)
    results = random_results(rng, people)
    results += [{**one, "image_id": 99, "score": one["score"] + 1} for one in results[:40]]
    content = as_coco(people)
    content["images"].append({"id": 99})
    numbers = coco_ap(people, results, (0.05,) * 3, images=[one["id"] for one in content["images"]])
    np.testing.assert_allclose(
        values(numbers), judge(content, results, (0.05,) * 3), rtol=0, atol=1e-12
    )
    assert numbers["AP"] < coco_ap(people, results[:-40], (0.05,) * 3)["AP"]


def test_whoever_finds_nothing_has_zero():
    people = random_people(np.random.default_rng(0), 3)
    assert set(coco_ap(people, [], (0.05,) * 3).values()) == {0.0}


@pytest.mark.parametrize("case", [0, 1])
def test_published_results(shared, case):
    folder = shared / "data/conformance"
    expected = json.loads((folder / "expected.json").read_text())
    case = expected["cases"][case]
    truth = json.loads((folder / case["gt"]).read_text())
    people = []
    for one in truth["annotations"]:
        left, top, width, height = one["bbox"]
        people.append(
            Instance(
                id=one["id"],
                image_id=one["image_id"],
                box_xyxy=np.array([left, top, left + width, top + height], float),
                keypoints=np.array(one["keypoints"], float).reshape(-1, 3),
                area=one["area"] if case["area"] == "as given" else 0.53 * width * height,
                is_crowd=bool(one["iscrowd"]),
            )
        )
    known = {one.image_id for one in people}
    results = json.loads((folder / case["dt"]).read_text())
    results = [one for one in results if one["image_id"] in known]
    sigmas = COCO_PERSON.sigmas if case["sigmas"] == "COCO" else case["sigmas"]
    numbers = coco_ap(people, results, sigmas)
    np.testing.assert_allclose(values(numbers), case["stats"], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"keypoints": [1.0] * 6}, "has 6 numbers in keypoints; expected 9"),
        ({"image_id": 99}, "names image 99, of which there are no annotations"),
        ({"score": float("nan")}, "has the score nan"),
        ({"keypoints": [float("nan")] * 9}, "keypoints that are not finite numbers"),
    ],
)
def test_results_that_cannot_be_judged_are_refused(change, said):
    rng = np.random.default_rng(0)
    people = random_people(rng, 3)
    results = random_results(rng, people)
    with pytest.raises(DataError, match=said):
        coco_ap(people, [results[0] | change, *results[1:]], (0.05,) * 3)
