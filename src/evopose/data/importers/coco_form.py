"""Datasets that come as COCO-like JSON with a skeleton of their own."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from evopose.data.checks import refuse, refuse_doubled, whole_numbers
from evopose.data.importers.detect import normal_name
from evopose.data.importers.labels import (
    FormatSkeleton,
    LabelledImage,
    LabelledInstance,
    Labels,
    Options,
    Points,
    Record,
)
from evopose.data.importers.reading import (
    image_folders,
    image_names,
    load_json,
    need_objects,
    number_table,
    wrong_format,
)
from evopose.errors import ConfigError, DataError

_OWN_KEYS = {
    "id", "image_id", "category_id", "keypoints", "num_keypoints", "bbox", "area", "iscrowd"
}  # fmt: skip


def read_coco_form(
    path: Path,
    options: Options,
    described: FormatSkeleton,
    *,
    format: str,
    content: object = None,
    offset: float = 0.0,
    with_boxes: bool = True,
    area_of_box: float | None = None,
    species_key: str | None = None,
    assumptions: tuple[str, ...] = (),
) -> Labels:
    """Return the labels in a COCO-like file whose categories have the keypoints of `described`.

    `offset` is taken from labelled coordinates and boxes (1 where the format counts from 1). Where
    a file gives no area it is `area_of_box` times the box. Categories of equal keypoints become
    one; with `species_key` each instance keeps its category's name under it.

    Raises: DataError if the file is of another format, or its records are damaged.
    """
    content = load_json(path) if content is None else content
    if not isinstance(content, dict) or not all(
        isinstance(content.get(k), list) for k in ("images", "annotations", "categories")
    ):
        expected = "an object with the lists images, annotations, categories"
        raise wrong_format(path, format, expected, content)
    categories = _chosen_categories(content, path, options, described, format)
    images = _images(content["images"], f"{path}, images")
    records, skipped = _of_categories(content, categories, path)
    instances = _instances(records, len(described.skeleton), path, offset, with_boxes, area_of_box)
    known = {image.id for image in images}
    strange = (i.id for i in instances if i.image_id not in known)
    refuse(strange, path, "image_id must name one of the images; not so in annotations")
    if species_key:
        instances = [
            replace(i, extra={**i.extra, species_key: categories[r["category_id"]]})
            for i, r in zip(instances, records, strict=True)
        ]
    if options.categories:
        images, without = _with_instances(images, instances)
        skipped["image without the chosen categories"] = without
    name = next(iter(categories.values())) if len(categories) == 1 else described.category
    return Labels(
        described=replace(described, category=name),
        images=tuple(images),
        instances=tuple(instances),
        folders=image_folders(path, options.images),
        skipped=+skipped,
        assumptions=assumptions,
    )


def _chosen_categories(
    content: Record, path: Path, options: Options, described: FormatSkeleton, format: str
) -> Mapping[int, str]:
    """Return the names of the chosen categories by id, all of the format's keypoints."""
    where = f"{path}, categories"
    records = need_objects(content["categories"], ("id", "name"), where)
    refuse_doubled(whole_numbers(records, "id", where), where, "categories")
    names = [str(r["name"]) for r in records]
    unknown = [n for n in options.categories if n not in names]
    if unknown:
        raise ConfigError(f"{path} has no category {', '.join(unknown)}; it has {', '.join(names)}")
    chosen = [r for r in records if not options.categories or r["name"] in options.categories]
    expected = list(described.skeleton.keypoints)
    fitting = [r for r in chosen if _keypoint_names(r) == expected]
    if not fitting:
        more = ", ..." if len(expected) > 17 else ""
        needs = f"a category with the {len(expected)} keypoints {', '.join(expected[:17])}{more}"
        raise wrong_format(path, format, needs, content)
    if len(fitting) < len(chosen):
        others = ", ".join(str(r["name"]) for r in chosen if r not in fitting)
        raise DataError(
            f"{path}: the categories have different keypoints: {others} not those of "
            f"{', '.join(str(r['name']) for r in fitting[:8])}; choose with --category, or take "
            "the others out of the file"
        )
    return {r["id"]: str(r["name"]) for r in fitting}


def _keypoint_names(category: Record) -> list[str]:
    names = category.get("keypoints")
    return [normal_name(n) for n in names] if isinstance(names, list) else []


def _images(records: object, where: str) -> list[LabelledImage]:
    images = need_objects(records, ("id", "file_name", "width", "height"), where)
    if not images:
        raise DataError(f"{where}: lists no images")
    ids, width, height = (whole_numbers(images, k, where) for k in ("id", "width", "height"))
    refuse_doubled(ids, where, "images")
    refuse(ids[(height < 1) | (width < 1)], where, "height and width must be at least 1; ids")
    names = image_names([r["file_name"] for r in images], where)
    doubled = [n for n, times in Counter(names).items() if times > 1]
    refuse(doubled, where, "file names must differ; given twice")
    own = {"id", "file_name", "width", "height"}
    return [
        LabelledImage(
            id=i, name=n, size_wh=(w, h), extra={k: v for k, v in r.items() if k not in own}
        )
        for i, n, w, h, r in zip(
            ids.tolist(), names, width.tolist(), height.tolist(), images, strict=True
        )
    ]


def _of_categories(
    content: Record, categories: Mapping[int, str], path: Path
) -> tuple[list[Record], Counter[str]]:
    """Return the annotations of the chosen categories, and how many there are of others."""
    where = f"{path}, annotations"
    keys = ("id", "image_id", "category_id", "keypoints")
    annotations = need_objects(content["annotations"], keys, where)
    whole_numbers(annotations, "category_id", where)
    known = {c["id"] for c in content["categories"]}
    strange = (r["id"] for r in annotations if r["category_id"] not in known)
    refuse(strange, where, "category_id must name one of the categories; not so in")
    kept = [r for r in annotations if r["category_id"] in categories]
    return kept, Counter({"of categories not chosen": len(annotations) - len(kept)})


def _instances(
    records: list[Record],
    count: int,
    path: Path,
    offset: float,
    with_boxes: bool,
    area_of_box: float | None,
) -> list[LabelledInstance]:
    where = f"{path}, annotations"
    ids = whole_numbers(records, "id", where)
    refuse_doubled(ids, where, "annotations")
    image_ids = whole_numbers(records, "image_id", where)
    keypoints = number_table(
        [r["keypoints"] for r in records], (3 * count,), names=ids.tolist(), where=where,
        needs=f"keypoints must be {3 * count} numbers: x, y, visibility of each of {count}",
    ).reshape(-1, count, 3)  # fmt: skip
    seen = keypoints[..., 2]
    strange = ids[~np.isin(seen, (0, 1, 2)).all(axis=1)]
    refuse(strange, where, "visibility must be 0, 1 or 2; not so in")
    keypoints = shifted(keypoints, offset)
    boxes = _boxes(records, ids.tolist(), where, offset) if with_boxes else [None] * len(records)
    areas = number_table(
        [0 if r.get("area") is None else r["area"] for r in records], (), names=ids.tolist(),
        where=where, needs="area must be a number",
    )  # fmt: skip
    refuse(ids[areas < 0], where, "area must not be negative; so in")
    strange_crowds = [r["id"] for r in records if r.get("iscrowd", 0) not in (0, 1, None)]
    refuse(strange_crowds, where, "iscrowd must be 0 or 1; not so in")
    return [
        LabelledInstance(
            id=i,
            image_id=m,
            keypoints=k,
            box_xywh=b,
            area=_area(a, b, area_of_box),
            is_crowd=bool(r.get("iscrowd", 0)),
            extra={key: v for key, v in r.items() if key not in _OWN_KEYS},
        )
        for i, m, k, b, a, r in zip(
            ids.tolist(), image_ids.tolist(), keypoints, boxes, areas.tolist(), records, strict=True
        )
    ]


def _boxes(records: list[Record], ids: list[int], where: str, offset: float) -> list[Points | None]:
    need_objects(records, ("bbox",), where)
    boxes = number_table(
        [r["bbox"] for r in records], (4,), names=ids, where=where,
        needs="bbox must be 4 numbers: left, top, width, height",
    )  # fmt: skip
    boxes[:, :2] -= offset
    return list(boxes)


def _area(given: float, box: Points | None, area_of_box: float | None) -> float | None:
    if given > 0:
        return given
    return None if box is None or area_of_box is None else area_of_box * float(box[2] * box[3])


def shifted(keypoints: Points, offset: float) -> Points:
    """Return keypoints (..., 3) with `offset` taken from x and y; unlabelled ones become zeros."""
    moved = keypoints.copy()
    moved[..., :2] -= offset
    moved[keypoints[..., 2] == 0] = 0
    return moved


def _with_instances(
    images: list[LabelledImage], instances: list[LabelledInstance]
) -> tuple[list[LabelledImage], int]:
    used = {i.image_id for i in instances}
    kept = [image for image in images if image.id in used]
    return kept, len(images) - len(kept)
