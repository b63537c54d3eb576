"""COCO keypoint JSON: one file becomes one checked dataset."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evopose.data.categories import keypoint_category, skeleton_of
from evopose.data.checks import IntArray, number_rows, refuse, refuse_doubled, whole_numbers
from evopose.data.content import Record, find_images, load_content
from evopose.errors import DataError
from evopose.structures import ImageRecord, Instance, PoseDataset

log = logging.getLogger(__name__)

ASSUMED_AREA = 0.53
"""A person's area as a part of its box, where the file gives none."""


def read_coco(path: Path, *, name: str, image_folders: Sequence[Path]) -> PoseDataset:
    """Return the dataset that a COCO keypoint file describes.

    Images are looked for in the one of `image_folders` that holds most of them. Everything is
    checked before anything is returned; images are not opened. Crowds and persons without labelled
    keypoints are kept, and counted in `skipped`. An area that is missing or 0 becomes
    `ASSUMED_AREA` times the box, and the log says so.

    Raises: DataError that says what is wrong, with the first offenders and their number.
    """
    content = load_content(path)
    category = keypoint_category(content["categories"], where=str(path))
    skeleton = skeleton_of(category, where=f"{path}, category {category.get('name')!r}")
    images = _images(content["images"], path, image_folders)
    table = _table(_of_category(content, category, path), len(skeleton), path)
    _check(table, images, path)
    crowds, blank = int(table.crowd.sum()), int((~table.crowd & ~table.labelled).sum())
    if not table.trainable.any():
        raise DataError(
            f"{path}: no person with labelled keypoints among {len(table.ids)} annotations of "
            f"{len(images)} images ({crowds} crowds, {blank} without keypoints)"
        )
    return PoseDataset(
        name=name,
        skeleton=skeleton,
        images=images,
        instances=_instances(table, path),
        skipped={"crowd": crowds, "no keypoints": blank},
        areas_assumed=int(((table.areas <= 0) & table.trainable).sum()),
    )


def _images(records: list[Record], path: Path, folders: Sequence[Path]) -> tuple[ImageRecord, ...]:
    found = find_images(records, path, folders)
    if found.absent:
        looked = [found.folder] if found.images else folders
        raise DataError(
            f"{path}: {len(found.absent)} of {len(records)} images are missing (the first: "
            f"{', '.join(found.absent[:5])}); looked in {', '.join(map(str, looked))}. Put them "
            "there, or take them and their annotations out of the file"
        )
    return found.images


def _of_category(content: Record, category: Record, path: Path) -> list[Record]:
    """Return the annotations of the keypoint category; others are left out, the log says so."""
    known = [c.get("id") for c in content["categories"]]
    records: list[Record] = content["annotations"]
    strange = (r.get("id") for r in records if r.get("category_id") not in known)
    refuse(strange, path, "category_id must name one of the categories; not so in annotations")
    kept = [r for r in records if r.get("category_id") == category.get("id")]
    if len(kept) < len(records):
        log.info("%s: %d annotations of other categories left out", path, len(records) - len(kept))
    if not kept:
        raise DataError(f"{path}: has no annotations of category {category.get('name')!r}")
    return kept


@dataclass(frozen=True, kw_only=True)
class _Table:
    """The annotations as columns, in the file's order."""

    ids: IntArray
    image_ids: IntArray
    boxes: NDArray[np.float64]  # (N, 4) left, top, width, height
    keypoints: NDArray[np.float64]  # (N, K, 3)
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        return np.asarray((self.keypoints[..., 2] > 0).any(axis=1))

    @property
    def trainable(self) -> NDArray[np.bool_]:
        return ~self.crowd & self.labelled


def _table(records: list[Record], count: int, path: Path) -> _Table:
    where = f"{path}, annotations"
    ids = whole_numbers(records, "id", where)
    refuse_doubled(ids, path, "annotations")
    blank = [0.0] * (3 * count)
    keypoints = number_rows(
        [r.get("keypoints") or blank for r in records], length=3 * count, ids=ids, where=path,
        needs=f"keypoints must be {3 * count} numbers: x, y and visibility of each of the "
        f"category's {count}"
    )  # fmt: skip
    boxes = number_rows(
        [r.get("bbox") or [0.0] * 4 for r in records], length=4, ids=ids, where=path,
        needs="bbox must be 4 numbers: left, top, width, height"
    )  # fmt: skip
    areas = number_rows(
        [[r.get("area") or 0.0] for r in records], length=1, ids=ids, where=path,
        needs="area must be a number"
    )  # fmt: skip
    return _Table(
        ids=ids,
        image_ids=whole_numbers(records, "image_id", where),
        boxes=boxes,
        keypoints=keypoints.reshape(-1, count, 3),
        areas=areas[:, 0],
        crowd=np.array([bool(r.get("iscrowd", 0)) for r in records]),
    )


def _check(table: _Table, images: Sequence[ImageRecord], path: Path) -> None:
    known, at = np.unique([i.id for i in images], return_index=True)
    place = np.minimum(np.searchsorted(known, table.image_ids), len(known) - 1)
    image_wh = np.array([(i.width, i.height) for i in images])[at[place]]
    low, high = table.boxes[:, :2], table.boxes[:, :2] + table.boxes[:, 2:]
    strange = ~np.isin(table.keypoints[..., 2], (0, 1, 2)).all(axis=1)
    flat = table.trainable & (high <= low).any(axis=1)
    outside = table.trainable & ((low >= image_wh) | (high <= 0)).any(axis=1)
    mend = "give each a bbox [left, top, width, height] about the person, or take it out"
    for wrong, complaint in (
        (known[place] != table.image_ids, "image_id must name one of the images"),
        (strange, "visibility must be 0 (not labelled), 1 (hidden) or 2 (seen)"),
        (flat, f"persons with keypoints need a box that has an area ({mend})"),
        (outside, f"a person's box must touch the image ({mend})"),
    ):
        refuse(table.ids[wrong], path, f"{complaint}; not so in annotations")


def _instances(table: _Table, path: Path) -> tuple[Instance, ...]:
    unknown = table.areas <= 0
    areas = np.where(unknown, ASSUMED_AREA * table.boxes[:, 2:].prod(axis=1), table.areas)
    if (unknown & table.trainable).any():
        log.warning("%s: %d persons have no area; %.2f times their box is taken for it",
                    path, (unknown & table.trainable).sum(), ASSUMED_AREA)  # fmt: skip
    boxes = np.concatenate([table.boxes[:, :2], table.boxes[:, :2] + table.boxes[:, 2:]], axis=1)
    keypoints = table.keypoints.astype(np.float32)
    columns = (table.ids, table.image_ids, areas, table.crowd)
    rows = zip(*(c.tolist() for c in columns), boxes, keypoints, strict=True)
    return tuple(
        Instance(id=i, image_id=m, box_xyxy=b, keypoints=k, area=a, is_crowd=c)
        for i, m, a, c, b, k in rows
    )
