"""pycocotools as the judge of our ten numbers, and random annotations with results to judge."""

import contextlib
import copy
import io
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Content = dict[str, Any]
Results = list[dict[str, Any]]

AREAS = (0.0, 32.0**2, 96.0**2, np.nextafter(96.0**2, 0), 1e10, 2e10)
"""Nothing, and what is exactly between the sizes of persons and so belongs to both."""


def judge(content: Content, results: Results, sigmas: Any, category: int = 1) -> np.ndarray:
    """Return pycocotools' ten numbers, -1 where one is not defined."""
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        coco, found = COCO(), COCO()
        coco.dataset = copy.deepcopy(content)
        coco.createIndex()
        if results:
            found = coco.loadRes(copy.deepcopy(results))
        else:  # it cannot load an empty list
            found.dataset = {**coco.dataset, "annotations": []}
            found.createIndex()
        evaluation = COCOeval(coco, found, "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.params.catIds = [category]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.array(evaluation.stats)


def random_problem(rng: np.random.Generator) -> tuple[Content, Results]:
    """Return annotations and results such as files hold, hard cases among them: crowds, persons
    without keypoints, areas at the limits, num_keypoints that contradict, images without persons,
    equal scores, results given twice, more than 20 an image, far coordinates, exact hits."""
    count = int(rng.choice([1, 3, 17]))
    images = rng.choice(1000, int(rng.integers(1, 9)), replace=False).tolist()
    crowded = float(rng.choice([0, 0.15, 1], p=[0.3, 0.6, 0.1]))
    labelled = float(rng.choice([0, 0.8, 1], p=[0.1, 0.6, 0.3]))
    numbers = rng.choice(np.arange(1, 500), int(rng.integers(0, 30)), replace=False).tolist()
    people = [
        _person(rng, number, int(rng.choice(images)), count, crowded, labelled)
        for number in numbers
    ]
    names = [f"keypoint {i}" for i in range(count)]
    content = {
        "images": [{"id": i, "width": 640, "height": 480, "file_name": "a.jpg"} for i in images],
        "categories": [
            {"id": 1, "name": "person", "keypoints": names,
             "sigmas": rng.uniform(0.02, 0.11, count).tolist()},
            {"id": 3, "name": "ball"},
        ],
        "annotations": people,
    }  # fmt: skip
    found = [one for person in people for one in _finds(rng, person)]
    for image in rng.choice(images, 3).tolist():  # where perhaps nobody is
        row = np.column_stack([rng.uniform(0, 400, (count, 2)), rng.random(count)]).ravel()
        found.append({"image_id": image, "category_id": 1, "keypoints": row.tolist(),
                      "score": float(rng.integers(0, 3))})  # fmt: skip
    found += [dict(one) for one in found if rng.random() < 0.05]
    if rng.random() < 0.3:
        for one in found:
            one["bbox"] = rng.uniform(0, 200, 4).tolist()
    return content, [found[i] for i in rng.permutation(len(found))]


def _person(
    rng: np.random.Generator, number: int, image: int, count: int, crowded: float, labelled: float
) -> dict[str, Any]:
    rows = np.column_stack([rng.integers(0, 400, (count, 2)), rng.integers(0, 3, count)])
    rows[:, 2] *= rng.random() < labelled
    given = int((rows[:, 2] > 0).sum())
    if rng.random() < 0.1:
        given = int(rng.choice([0, 1, count]))
    area = rng.choice([rng.choice(AREAS), rng.uniform(10, 900), rng.uniform(1000, 60000)])
    return {
        "id": number,
        "image_id": image,
        "category_id": int(rng.choice([1, 3], p=[0.95, 0.05])),
        "iscrowd": int(rng.random() < crowded),
        "num_keypoints": given,
        "keypoints": rows.ravel().tolist(),
        "bbox": rng.uniform(0, 200, 4).tolist(),
        "area": float(area),
    }


def _finds(rng: np.random.Generator, person: dict[str, Any]) -> Results:
    found = []
    for _ in range(rng.integers(0, 30) if rng.random() < 0.1 else rng.integers(0, 6)):
        pose = np.array(person["keypoints"], float).reshape(-1, 3)
        kind = rng.integers(8)
        if kind > 1:  # else exactly there
            pose[:, :2] += rng.normal(0, rng.uniform(0, 20), (len(pose), 2))
        if kind == 7:
            pose[:, :2] *= rng.choice([-1.0, 1e6, 1e160])
        pose[:, 2] = rng.choice([0.0, 1.0, rng.random()])
        score = rng.choice([round(float(rng.random()), 1), -1.5, 1e-300, 7.0])
        found.append({"image_id": person["image_id"],
                      "category_id": int(rng.choice([1, 3], p=[0.97, 0.03])),
                      "keypoints": pose.ravel().tolist(), "score": float(score)})  # fmt: skip
    return found
