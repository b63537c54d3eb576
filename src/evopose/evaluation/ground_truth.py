"""An annotation file as what results are judged by; the images themselves need not be there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.data.categories import keypoint_category, skeleton_of
from evopose.data.checks import IntArray, number_rows, refuse, refuse_doubled, whole_numbers
from evopose.data.coco import ASSUMED_AREA
from evopose.data.content import load_content
from evopose.data.image_lists import lists_images_alone
from evopose.errors import DataError
from evopose.metrics.truth import Truth
from evopose.skeleton import Skeleton

Record = dict[str, Any]

ASSUME_AREA = "--assume-area"
"""The option of the command line that `assume_area` stands for."""


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """What an annotation file says of one category."""

    truth: Truth
    skeleton: Skeleton
    category: int
    """Its id in the file."""
    categories: dict[int, str]
    """All names of the file's categories by id."""
    notes: dict[str, int]
    """What was decided or is odd, counted."""


def read_ground_truth(path: Path, *, assume_area: bool = False) -> GroundTruth:
    """Return the annotations of the file's one category with keypoints.

    Numbers are taken as pycocotools takes them: `num_keypoints` as the file says, an area of 0 as
    0. `assume_area`: an annotation without `area` has `ASSUMED_AREA` times its box.

    Raises: DataError that says what is wrong, with the first offenders and their number.
    """
    if lists_images_alone(path):
        raise DataError(
            f"{path} lists images without annotations: nothing can be judged by it. Labels of "
            "COCO's test images are with its server alone"
        )
    content = load_content(path)
    category = keypoint_category(content["categories"], where=str(path))
    (number,) = whole_numbers([category], "id", f"{path}, the category with keypoints").tolist()
    skeleton, doubt = _skeleton(category, f"{path}, category {category.get('name')!r}")
    refuse([number] if number < 0 else [], path, "ids of categories must be 0 or more; got")
    if not content["images"]:
        raise DataError(f"{path}: lists no images")
    images = whole_numbers(content["images"], "id", f"{path}, images")
    refuse(images[images < 0], path, "ids of images must be 0 or more; got")
    refuse_doubled(images, path, "images")
    records = [one for one in content["annotations"] if one.get("category_id") == number]
    notes = {
        "annotations of other categories, left out": len(content["annotations"]) - len(records),
        f"category whose limbs or sides cannot be read, so that nothing counts as an inversion "
        f"({doubt})": int(doubt is not None),
    }
    truth = _truth(records, np.sort(images), skeleton, path, assume_area, notes)
    return GroundTruth(
        truth=truth,
        skeleton=skeleton,
        category=number,
        categories={
            c["id"]: str(c.get("name")) for c in content["categories"] if type(c.get("id")) is int
        },
        notes={what: count for what, count in notes.items() if count},
    )


def _skeleton(category: Record, where: str) -> tuple[Skeleton, str | None]:
    """Return the category's skeleton, and what is wrong with its limbs or sides if it goes without
    them: COCO's numbers need neither."""
    try:
        return skeleton_of(category, where=where), None
    except DataError as error:
        plain = {k: v for k, v in category.items() if k != "skeleton"} | {"flip_pairs": []}
        return skeleton_of(plain, where=where), str(error).removeprefix(f"{where}: ")


def _truth(
    records: list[Record],
    images: IntArray,
    skeleton: Skeleton,
    path: Path,
    assume_area: bool,
    notes: dict[str, int],
) -> Truth:
    count = len(skeleton)
    ids = whole_numbers(records, "id", f"{path}, annotations")
    refuse_doubled(ids, path, "annotations")
    image_ids = whole_numbers(records, "image_id", f"{path}, annotations")
    refuse(
        ids[~np.isin(image_ids, images)],
        path,
        "image_id must name one of the images; not so in annotations",
    )
    blank = [0] * (3 * count)
    rows = [r.get("keypoints") or blank for r in records]
    keypoints = number_rows(
        rows, length=3 * count, ids=ids, where=path,
        needs=f"keypoints must be {3 * count} numbers: x, y and visibility of each of the "
        f"category's {count}",
    ).reshape(-1, count, 3)  # fmt: skip
    labelled = (keypoints[..., 2] > 0).sum(axis=1)
    areas, boxes = _areas(records, ids, labelled == 0, path, assume_area, notes)
    given = [r.get("num_keypoints") for r in records]
    filled = [
        {"num_keypoints": int(n) if v is None else v}
        for v, n in zip(given, labelled.tolist(), strict=True)
    ]
    num_keypoints = whole_numbers(filled, "num_keypoints", f"{path}, annotations")
    crowd = [r.get("iscrowd", 0) for r in records]
    refuse(
        (f"{i} ({v!r})" for i, v in zip(ids.tolist(), crowd, strict=True) if v not in (0, 1)),
        path, "iscrowd must be 0 or 1; not so in annotations",
    )  # fmt: skip
    strange = int((~np.isin(keypoints[..., 2], (0, 1, 2))).sum())
    contradicting, zero = int((num_keypoints != labelled).sum()), int((ids == 0).sum())
    notes |= {
        "annotations without num_keypoints; labelled keypoints are counted": given.count(None),
        "annotations whose num_keypoints is not how many keypoints are labelled; as in "
        "pycocotools, where it is 0 they are not to be found": contradicting,
        "keypoints whose visibility is not 0, 1 or 2; as in pycocotools, those above 0 are "
        "labelled": strange,
        "annotation with id 0; it counts like any other here, while pycocotools takes each match "
        "with it for a miss": zero,
    }
    found = Truth(
        images=images,
        image_ids=image_ids,
        keypoints=keypoints,
        boxes=boxes,
        areas=areas,
        crowd=np.array(crowd, bool),
        num_keypoints=num_keypoints,
        sigmas=np.array(skeleton.sigmas),
    )
    notes["persons of area 0: nothing matches them but exactly their keypoints"] = int(
        (found.counts & (areas == 0)).sum()
    )
    return found


def _areas(
    records: list[Record],
    ids: IntArray,
    unlabelled: NDArray[np.bool_],
    path: Path,
    assume_area: bool,
    notes: dict[str, int],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return areas (N,) and boxes (N, 4), a box of zeros where none is needed."""
    without = np.array([r.get("area") is None for r in records], bool)
    if without.any() and not assume_area:
        refuse(
            ids[without], path,
            "OKS needs each annotation's area (of its segmentation, in square pixels); add it, or "
            f"say {ASSUME_AREA} to take {ASSUMED_AREA} times the box for it; annotations without",
        )  # fmt: skip
    boxless = np.array([not r.get("bbox") for r in records], bool)
    needed = boxless & (unlabelled | without)
    refuse(
        ids[needed], path,
        "annotations without labelled keypoints, or without an area, need a bbox "
        "[left, top, width, height]; those without",
    )  # fmt: skip
    boxes = number_rows(
        [r.get("bbox") or [0.0] * 4 for r in records], length=4, ids=ids, where=path,
        needs="bbox must be 4 numbers: left, top, width, height",
    )  # fmt: skip
    given = number_rows(
        [[0.0 if r.get("area") is None else r["area"]] for r in records], length=1, ids=ids,
        where=path, needs="area must be a number",
    )[:, 0]  # fmt: skip
    areas = np.where(without, ASSUMED_AREA * boxes[:, 2] * boxes[:, 3], given)
    refuse(ids[areas < 0], path, "areas must be 0 or more; below are those of annotations")
    notes[f"annotations without area: {ASSUMED_AREA} times their box is taken"] = int(without.sum())
    return areas, boxes
