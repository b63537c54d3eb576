"""COCO's ten numbers for keypoints: AP and AR, at two strictnesses, for two sizes of person.

Computed by hotcoco (MIT), whose matching and accumulation equal pycocotools' to the bit; tests hold
it against pycocotools. What is done here because hotcoco would do otherwise:

- Fewer sigmas than keypoints are taken without a word: they are counted first.
- A result of an unknown image is left out with a line on standard error: it is refused.
- `summarize` prints past Python's standard output: the means are taken here.
- Other sigmas than COCO's bring a warning: every skeleton here has its own.
- Numbers that nothing defines are -1: they become None, and `undefined` says why.
- pycocotools takes a match with annotation 0 for none, hotcoco does not: they are counted from 1.
- An empty list of results cannot be read: whoever finds nothing has 0.

`ten_numbers` is the core: it takes what hotcoco has read, from values or quicker and smaller from
files, and trusts it. `coco_ap` checks and takes values; `evaluation.results` checks files.
"""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evopose.errors import DataError
from evopose.metrics.truth import AP_NAMES, Truth, area_of, truth_of, why_undefined
from evopose.structures import Instance

if TYPE_CHECKING:
    from hotcoco import COCO

__all__ = ["AP_NAMES", "Numbers", "coco_ap", "nothing_found", "ten_numbers", "undefined"]

Numbers = dict[str, float | None]


def coco_ap(
    instances: Sequence[Instance],
    results: Sequence[dict[str, Any]],
    sigmas: Sequence[float],
    *,
    images: Sequence[int] | None = None,
) -> Numbers:
    """Return the ten numbers by name, None where nothing defines one.

    `results` are COCO results of one category: `image_id`, `keypoints` (3 K numbers) and `score`.
    `instances` are all annotations of the images, with one OKS sigma a keypoint: crowds and
    persons without labelled keypoints are neither to be found nor held against who finds them. Of
    an image's results the 20 of the highest scores count. `images` are the ids of all images that
    were searched; what is found where nobody is counts against AP. Default: those of `instances`.

    Raises: DataError for a result of another number of keypoints, with numbers that are not finite,
    or of an image that is not among these.

    Source: pycocotools `cocoeval.py`, `COCOeval` with `iouType` keypoints.
    """
    truth = truth_of(instances, sigmas, images)
    _check(results, set(truth.images.tolist()), len(sigmas))
    if not results or not truth.counts.any():
        return nothing_found(truth)
    from hotcoco import COCO

    judged = COCO(truth.to_coco())
    found = judged.load_res([{**one, "category_id": 1} for one in results])
    return ten_numbers(judged, found, sigmas)


def undefined(instances: Sequence[Instance]) -> dict[str, str]:
    """Return why numbers are not defined, by name; empty where all ten are."""
    count = len(instances[0].keypoints) if instances else 1
    return why_undefined(truth_of(instances, (1.0,) * count))


def nothing_found(truth: Truth) -> Numbers:
    """Return the ten numbers of no results: 0 where someone was to be found, else None."""
    missing = why_undefined(truth)
    return {name: None if name in missing else 0.0 for name in AP_NAMES}


def ten_numbers(
    truth: "COCO", found: "COCO", sigmas: Sequence[float] | NDArray[np.float64], category: int = 1
) -> Numbers:
    """Return the ten numbers of results that hotcoco has read, by one category.

    `found` comes from `truth.load_res`. Nothing is checked: sigmas must be as many as keypoints.
    """
    from hotcoco import COCOeval

    judge = COCOeval(truth, found, "keypoints")
    judge.params.kpt_oks_sigmas = [float(s) for s in sigmas]
    judge.params.cat_ids = [category]
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
    thresholds = {"50": slice(0, 1), "75": slice(5, 6)}
    areas = {"": 0, "M": 1, "L": 2}
    numbers: Numbers = {}
    for name in AP_NAMES:
        table = precision if name.startswith("AP") else recall
        values = table[thresholds.get(name[2:], slice(None)), ..., areas[area_of(name)], :]
        defined = values[values > -1]
        numbers[name] = float(defined.mean()) if defined.size else None
    return numbers


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
    rows = np.array([one["keypoints"] for one in results], float).reshape(-1, 3 * count)
    for i in np.flatnonzero(~np.isfinite(rows).all(axis=1))[:1]:
        raise DataError(
            f"a result of image {results[i]['image_id']} has keypoints that are not finite numbers"
        )
