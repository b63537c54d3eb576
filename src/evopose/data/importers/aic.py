"""AI Challenger keypoints (AIC): 14 keypoints.

Two forms: MMPose's COCO-like JSON, whose visibility is COCO's, and the challenge's own list of
`{image_id, human_annotations, keypoint_annotations}`, whose visibility is 1 seen, 2 hidden, 3 not
labelled; there 1 becomes 2, 2 becomes 1, 3 becomes 0. The area is that of the box, as in the
challenge's evaluation. Coordinates count from 0.

Source: Wu et al., arXiv 1711.06475; AI_Challenger_2017, `keypoint_eval.py`.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from evopose.data.checks import refuse
from evopose.data.importers.coco_form import read_coco_form, shifted
from evopose.data.importers.labels import LabelledImage, LabelledInstance, Labels, Options, Record
from evopose.data.importers.reading import (
    image_folders,
    image_names,
    load_json,
    need_objects,
    no_categories,
    number_table,
    wrong_format,
)
from evopose.data.importers.skeletons import AIC
from evopose.errors import DataError

_KEYS = ("image_id", "human_annotations", "keypoint_annotations")
_COCO_VISIBILITY = np.array([0, 2, 1, 0])
_AREA = "area: that of the box, as in the challenge's evaluation"


def read_aic(source: Path, options: Options) -> dict[str, Labels]:
    """Return one split of AIC. Raises: DataError if the file is another or damaged."""
    content = load_json(source)
    if isinstance(content, list):
        labels = _original(content, source, options)
    else:
        labels = read_coco_form(
            source, options, AIC, format="aic", content=content, area_of_box=1.0,
            assumptions=(_AREA,),
        )  # fmt: skip
    return {options.split or "train": labels}


def _original(content: list[Any], path: Path, options: Options) -> Labels:
    no_categories(options, "aic")
    if not content or not isinstance(content[0], dict) or _KEYS[2] not in content[0]:
        raise wrong_format(path, "aic", f"a list of objects with {', '.join(_KEYS)}", content)
    records = need_objects(content, _KEYS, path)
    files = [_file_name(n) for n in image_names([r["image_id"] for r in records], path)]
    doubled = [n for n, times in Counter(files).items() if times > 1]
    refuse(doubled, path, "image_id must differ; given twice")
    images = tuple(LabelledImage(id=i, name=n) for i, n in enumerate(files, 1))
    people = [
        (image, name, box, keypoints)
        for image, record in zip(images, records, strict=True)
        for name, box, keypoints in _named(record, image, path)
    ]
    if not people:
        raise DataError(f"{path}: no person in {len(images)} images")
    return Labels(
        described=AIC,
        images=images,
        instances=tuple(_people(people, path)),
        folders=image_folders(path, options.images),
        assumptions=(_AREA, "visibility: 1, 2, 3 (seen, hidden, not labelled) became 2, 1, 0"),
    )


def _file_name(name: str) -> str:
    return name if Path(name).suffix else f"{name}.jpg"


def _named(record: Record, image: LabelledImage, path: Path) -> list[tuple[str, Any, Any]]:
    boxes, keypoints = record["human_annotations"], record["keypoint_annotations"]
    if (
        not isinstance(boxes, dict)
        or not isinstance(keypoints, dict)
        or set(boxes) != set(keypoints)
    ):
        raise DataError(
            f"{path}, {image.name}: human_annotations and keypoint_annotations must be objects "
            "with the same persons"
        )
    return [(name, boxes[name], keypoints[name]) for name in boxes]


def _people(
    people: list[tuple[LabelledImage, str, Any, Any]], path: Path
) -> list[LabelledInstance]:
    at: Any = {"where": path, "names": [f"{image.name} {name}" for image, name, _, _ in people]}
    keypoints = number_table(
        [k for *_, k in people], (42,), needs="keypoints must be 42 numbers", **at
    ).reshape(-1, 14, 3)  # fmt: skip
    boxes = number_table(
        [b for _, _, b, _ in people], (4,), needs="a box must be left, top, right, bottom", **at
    )
    boxes[:, 2:] -= boxes[:, :2]
    strange = ~np.isin(keypoints[..., 2], (1, 2, 3)).all(axis=1)
    refuse(
        np.array(at["names"])[strange], path,
        "visibility must be 1 (seen), 2 (hidden) or 3 (not labelled); not so in",
    )  # fmt: skip
    keypoints[..., 2] = _COCO_VISIBILITY[keypoints[..., 2].astype(int)]
    rows = zip(people, keypoints, boxes, strict=True)
    return [
        LabelledInstance(
            id=i, image_id=image.id, keypoints=shifted(points, 0), box_xywh=box,
            area=float(box[2] * box[3]),
        )
        for i, ((image, *_), points, box) in enumerate(rows, 1)
    ]  # fmt: skip
