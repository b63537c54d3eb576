"""The annotations of one category as columns: what a results file is judged by."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.structures import Instance

AP_NAMES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
"""In the order of COCO: M are persons of an area of 32 x 32 to 96 x 96 pixels, L larger ones."""

AREAS = {"": (0.0, 1e5**2), "M": (32.0**2, 96.0**2), "L": (96.0**2, 1e5**2)}
"""Areas of persons by the letter in a number's name, limits included. Source: pycocotools `Params`.
"""

_SPOKEN = {
    "": "has an area of 100000 x 100000 pixels or less",
    "M": "has from 32 x 32 to 96 x 96 pixels",
    "L": "has above 96 x 96 pixels",
}


@dataclass(frozen=True, kw_only=True)
class Truth:
    """All annotations of some images, crowds and persons without labelled keypoints included."""

    images: NDArray[np.int64]
    """(I,) ids of the images that are judged, those without annotations too."""
    image_ids: NDArray[np.int64]
    """(N,) the image of each annotation."""
    keypoints: NDArray[np.float64]
    """(N, K, 3) x, y and visibility; those above 0 are labelled."""
    boxes: NDArray[np.float64]
    """(N, 4) left, top, width, height."""
    areas: NDArray[np.float64]
    """(N,) in square pixels."""
    crowd: NDArray[np.bool_]
    """(N,)"""
    num_keypoints: NDArray[np.int64]
    """(N,) labelled keypoints, as the file says: where it says 0, nobody needs to be found."""
    sigmas: NDArray[np.float64]
    """(K,) OKS sigmas."""

    @cached_property
    def counts(self) -> NDArray[np.bool_]:
        """(N,) who is to be found: no crowds, and none without labelled keypoints."""
        return np.asarray(~self.crowd & (self.num_keypoints != 0))

    def to_coco(self, category: int = 1, others: Sequence[int] = ()) -> dict[str, Any]:
        """Return the annotations as COCO's JSON has them, numbered from 1, of this category.

        `others` are ids of categories that exist beside it.
        """
        columns = (
            self.image_ids, self.crowd.astype(int), self.num_keypoints, self.boxes, self.areas,
            self.keypoints.reshape(-1, 3 * len(self.sigmas)),
        )  # fmt: skip
        rows = zip(*(column.tolist() for column in columns), strict=True)
        names = [str(i) for i in range(len(self.sigmas))]
        return {
            "images": [{"id": i} for i in self.images.tolist()],
            "categories": [
                {"id": category, "name": str(category), "keypoints": names},
                *({"id": other, "name": str(other)} for other in others if other != category),
            ],
            "annotations": [
                {"id": number, "image_id": image, "category_id": category, "iscrowd": crowd,
                 "num_keypoints": count, "bbox": box, "area": area, "keypoints": keypoints}
                for number, (image, crowd, count, box, area, keypoints) in enumerate(rows, start=1)
            ],
        }  # fmt: skip


def truth_of(
    instances: Sequence[Instance], sigmas: Sequence[float], images: Sequence[int] | None = None
) -> Truth:
    """Return the instances as columns; `images` are those judged (default: those of instances)."""
    count = len(sigmas)
    image_ids = np.array([one.image_id for one in instances], np.int64)
    corners = np.array([one.box_xyxy for one in instances], np.float64).reshape(-1, 4)
    keypoints = np.array([one.keypoints for one in instances], np.float64).reshape(-1, count, 3)
    return Truth(
        images=np.unique(image_ids if images is None else np.array(images, np.int64)),
        image_ids=image_ids,
        keypoints=keypoints,
        boxes=np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1),
        areas=np.array([one.area for one in instances], np.float64),
        crowd=np.array([one.is_crowd for one in instances], bool),
        num_keypoints=(keypoints[..., 2] > 0).sum(axis=1),
        sigmas=np.array(sigmas, np.float64),
    )


def why_undefined(truth: Truth) -> dict[str, str]:
    """Return why numbers are not defined, by name; empty where all ten are.

    A number is defined where somebody of its areas is to be found.
    """
    nobody = "no person has labelled keypoints, crowds aside"
    if not len(truth.areas):
        nobody = "there are no annotations"
    if not truth.counts.any():
        return dict.fromkeys(AP_NAMES, nobody)
    reasons: dict[str, str] = {}
    areas = truth.areas[truth.counts]
    for letter, (low, high) in AREAS.items():
        if not ((low <= areas) & (areas <= high)).any():
            names = [name for name in AP_NAMES if area_of(name) == letter]
            reasons |= dict.fromkeys(names, f"no person {_SPOKEN[letter]}")
    return reasons


def area_of(name: str) -> str:
    """Return the letter of `AREAS` that a number is restricted to, by its name."""
    return name[2:] if name[2:] in AREAS else ""
