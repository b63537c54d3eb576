"""COCO keypoint JSON: one file becomes one checked dataset."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.data.categories import keypoint_category, skeleton_of
from evopose.data.checks import IntArray, number_rows, refuse, refuse_doubled, whole_numbers
from evopose.errors import DataError
from evopose.structures import ImageRecord, Instance, PoseDataset

log = logging.getLogger(__name__)

ASSUMED_AREA = 0.53
"""A person's area as a part of its box, where the file gives none."""

Record = dict[str, Any]


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


def load_content(path: Path) -> Record:
    """Return the object of a COCO keypoint file, its three lists of objects checked.

    Raises: DataError if it cannot be read, or is something else.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"there is no annotation file {path}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON, or is cut off: {error}") from error
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in keys):
        came = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise DataError(
            f"{path} is not COCO keypoint JSON: expected an object with lists {', '.join(keys)}; "
            f"got {came or 'an empty object'}"
        )
    for key in keys:
        strange = (i for i, r in enumerate(content[key]) if not isinstance(r, dict))
        refuse(strange, path, f"entries of {key!r} are no objects, at positions")
    return content


def _images(records: list[Record], path: Path, folders: Sequence[Path]) -> tuple[ImageRecord, ...]:
    if not records:
        raise DataError(f"{path}: lists no images")
    where = f"{path}, images"
    ids = whole_numbers(records, "id", where)
    refuse_doubled(ids, path, "images")
    height, width = (whole_numbers(records, key, where) for key in ("height", "width"))
    refuse(ids[(height < 1) | (width < 1)], where, "height and width must be at least 1; ids")
    names = [r.get("file_name") for r in records]
    refuse(
        (i for i, n in zip(ids.tolist(), names, strict=True) if not isinstance(n, str) or not n),
        where, "each needs a file_name; those of these ids have none"
    )  # fmt: skip
    paths = _find_images([str(n) for n in names], path, folders)
    return tuple(
        ImageRecord(id=i, path=p, height=h, width=w)
        for i, p, h, w in zip(ids.tolist(), paths, height.tolist(), width.tolist(), strict=True)
    )


def _find_images(names: list[str], path: Path, folders: Sequence[Path]) -> list[Path]:
    """Return the images' paths in the folder that holds most of a few of them."""
    probe = names[:: max(1, len(names) // 16)]
    folder = max(folders, key=lambda f: sum((f / n).is_file() for n in probe))
    paths = [folder / n for n in names]
    absent = [n for n, p in zip(names, paths, strict=True) if not p.is_file()]
    if absent:
        looked = folders if len(absent) == len(names) else [folder]
        raise DataError(
            f"{path}: {len(absent)} of {len(names)} images are missing (the first: "
            f"{', '.join(absent[:5])}); looked in {', '.join(map(str, looked))}. Put them there, "
            "or take them and their annotations out of the file"
        )
    return paths


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
