"""COCO's ten numbers for keypoints: AP and AR, at two strictnesses, for two sizes of person.

Computed by hotcoco (MIT), whose matching and accumulation equal pycocotools' to the bit; tests hold
it against pycocotools. What is done here because hotcoco would do otherwise:

- Fewer sigmas than keypoints are taken without a word: they are counted first.
- A result of an unknown image is left out with a line on standard error: it is refused.
- `summarize` prints past Python's standard output: the means are taken here.
- Other sigmas than COCO's bring a warning: every skeleton here has its own.
- Numbers that nothing defines are -1: they become None, and `undefined` says why.
- pycocotools takes a match with annotation 0 for none, hotcoco does not: they are counted from 1.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.errors import DataError
from evopose.structures import Instance

AP_NAMES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
"""In the order of COCO: M are persons of an area of 32 x 32 to 96 x 96 pixels, L larger ones."""

Numbers = dict[str, float | None]


def coco_ap(
    instances: Sequence[Instance], results: Sequence[dict[str, Any]], sigmas: Sequence[float]
) -> Numbers:
    """Return the ten numbers by name, None where nothing defines one.

    `results` are COCO results of one category: `image_id`, `keypoints` (3 K numbers) and `score`.
    `instances` are all annotations of those images, with one OKS sigma a keypoint: crowds and
    persons without labelled keypoints are neither to be found nor held against who finds them. Of
    an image's results the 20 of the highest scores count.

    Raises: DataError for a result of another number of keypoints, without a finite score, or of an
    image without annotations.

    Source: pycocotools `cocoeval.py`, `COCOeval` with `iouType` keypoints.
    """
    images = sorted({one.image_id for one in instances})
    _check(results, set(images), len(sigmas))
    if not any(_counts(one) for one in instances):
        return dict.fromkeys(AP_NAMES)
    if not results:  # nothing found: as hotcoco says, which cannot read an empty list of results
        return {name: None if name in undefined(instances) else 0.0 for name in AP_NAMES}
    from hotcoco import COCO, COCOeval

    truth = COCO(
        {
            "images": [{"id": i} for i in images],
            "annotations": [_annotation(i, one) for i, one in enumerate(instances, start=1)],
            "categories": [{"id": 1, "name": "1", "keypoints": [*map(str, range(len(sigmas)))]}],
        }
    )
    found = truth.load_res([{**one, "category_id": 1} for one in results])
    judge = COCOeval(truth, found, "keypoints")
    judge.params.kpt_oks_sigmas = [float(s) for s in sigmas]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sigmas are not COCO's
        judge.evaluate()
        judge.accumulate()
    accumulated = judge.eval
    assert accumulated is not None
    return _summary(np.asarray(accumulated["precision"]), np.asarray(accumulated["recall"]))


def _summary(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> Numbers:
    """Return the ten means of precision (T, R, 1, 3, 1) and recall (T, 1, 3, 1): T thresholds of
    OKS from 0.5 on by 0.05, R recalls, areas all, medium, large; -1 stands for undefined."""
    thresholds = {"": slice(None), "50": slice(0, 1), "75": slice(5, 6)}
    areas = {"": 0, "M": 1, "L": 2}
    numbers: Numbers = {}
    for name in AP_NAMES:
        table, rest = (precision if name.startswith("AP") else recall), name[2:]
        values = table[thresholds.get(rest, slice(None)), ..., areas.get(rest, 0), :]
        defined = values[values > -1]
        numbers[name] = float(defined.mean()) if defined.size else None
    return numbers


def undefined(instances: Sequence[Instance]) -> dict[str, str]:
    """Return why numbers are not defined, by name; empty where all ten are."""
    if not any(_counts(one) for one in instances):
        return dict.fromkeys(AP_NAMES, "no person has labelled keypoints, crowds aside")
    reasons: dict[str, str] = {}
    for letter, low, high in (("M", 32**2, 96**2), ("L", 96**2, 1e5**2)):
        if not any(_counts(one) and low <= one.area <= high for one in instances):
            spoken = "from 32 x 32 to 96 x 96 pixels" if letter == "M" else "above 96 x 96 pixels"
            reasons |= dict.fromkeys((f"AP{letter}", f"AR{letter}"), f"no person has {spoken}")
    return reasons


def _counts(one: Instance) -> bool:
    return not one.is_crowd and one.num_labelled > 0


def _check(results: Sequence[dict[str, Any]], images: set[int], count: int) -> None:
    for one in results:
        if len(one["keypoints"]) != 3 * count:
            raise DataError(
                f"a result of image {one['image_id']} has {len(one['keypoints'])} numbers in "
                f"keypoints; expected {3 * count}: x, y and score of each of {count}"
            )
        if one["image_id"] not in images:
            raise DataError(
                f"a result names image {one['image_id']}, of which there are no annotations; leave "
                "results of other images out"
            )
        if not abs(one["score"]) < float("inf"):
            raise DataError(
                f"a result of image {one['image_id']} has the score {one['score']}; expected a "
                "finite number"
            )


def _annotation(number: int, one: Instance) -> dict[str, Any]:
    left, top, right, bottom = one.box_xyxy.tolist()
    return {
        "id": number,
        "image_id": one.image_id,
        "category_id": 1,
        "iscrowd": int(one.is_crowd),
        "num_keypoints": one.num_labelled,
        "keypoints": one.keypoints.astype(float).ravel().tolist(),
        "bbox": [left, top, right - left, bottom - top],
        "area": float(one.area),
    }
