"""OCHuman: COCO's 17 keypoints of people who hide one another.

Two forms: the COCO form that OCHuman's API writes (`ochuman_coco_format_*.json`), and the original
`ochuman.json` with 19 keypoints and a visibility of its own (0 missing, 1 seen, 2 hidden by the
person, 3 hidden by others). The original is converted as that API does: 1 and 2 become 2 (seen), 3
becomes 1 (hidden), the area is that of the box; head and neck are left out.

Source: Zhang et al., CVPR 2019; OCHumanApi, `ochumanApi/ochuman.py`.
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
from evopose.data.importers.skeletons import COCO
from evopose.errors import DataError

_COCO_VISIBILITY = np.array([0, 2, 2, 1])


def read_ochuman(source: Path, options: Options) -> dict[str, Labels]:
    """Return OCHuman as one split. Raises: DataError if the file is another or damaged."""
    content = load_json(source)
    if isinstance(content, dict) and "keypoint_names" in content:
        labels = _original(content, source, options)
    else:
        labels = read_coco_form(source, options, COCO, format="ochuman", content=content)
    return {options.split or "train": labels}


def _original(content: Record, path: Path, options: Options) -> Labels:
    no_categories(options, "ochuman")
    names = content["keypoint_names"]
    wanted = COCO.skeleton.keypoints
    if not isinstance(names, list) or not set(wanted) <= set(map(str, names)):
        raise wrong_format(path, "ochuman", f"keypoint_names with {', '.join(wanted)}", content)
    where = f"{path}, images"
    records = need_objects(content.get("images"), ("file_name", "width", "height"), where)
    sizes = number_table(
        [[r["width"], r["height"]] for r in records], (2,), where=where,
        names=range(len(records)), needs="width and height must be numbers",
    )  # fmt: skip
    refuse(np.flatnonzero((sizes < 1).any(axis=1)), where, "sizes must be at least 1; positions")
    files = image_names([r["file_name"] for r in records], where)
    doubled = [n for n, times in Counter(files).items() if times > 1]
    refuse(doubled, where, "images must differ; given twice")
    images = tuple(
        LabelledImage(id=i, name=n, size_wh=(int(w), int(h)))
        for i, (n, (w, h)) in enumerate(zip(files, sizes.tolist(), strict=True), 1)
    )
    people = [
        (image, one)
        for image, record in zip(images, records, strict=True)
        for one in need_objects(record.get("annotations"), ("bbox", "keypoints"), where)
    ]
    labelled = [(image, one) for image, one in people if one["keypoints"] is not None]
    if not labelled:
        raise DataError(f"{path}: no person with keypoints")
    return Labels(
        described=COCO,
        images=images,
        instances=tuple(_people(labelled, [str(n) for n in names], path)),
        folders=image_folders(path, options.images),
        skipped={"person without keypoints": len(people) - len(labelled)},
        assumptions=(
            "visibility: seen and hidden by the person itself became 2, hidden by others 1",
            "area: that of the box, as OCHuman's own conversion",
            "left out: the keypoints head and neck, which COCO does not have",
        ),
    )


def _people(
    labelled: list[tuple[LabelledImage, Record]], names: list[str], path: Path
) -> list[LabelledInstance]:
    at: Any = {
        "where": path,
        "names": [f"{m.name}, person {i}" for i, (m, _) in enumerate(labelled)],
    }
    keypoints = number_table(
        [one["keypoints"] for _, one in labelled], (3 * len(names),),
        needs=f"keypoints must be {3 * len(names)} numbers", **at,
    ).reshape(-1, len(names), 3)  # fmt: skip
    boxes = number_table(
        [one["bbox"] for _, one in labelled], (4,),
        needs="bbox must be left, top, right, bottom", **at,
    )  # fmt: skip
    boxes[:, 2:] -= boxes[:, :2]
    strange = ~np.isin(keypoints[..., 2], (0, 1, 2, 3)).all(axis=1)
    refuse(np.array(at["names"])[strange], path, "visibility must be 0 to 3; not so in")
    keypoints[..., 2] = _COCO_VISIBILITY[keypoints[..., 2].astype(int)]
    order = [names.index(n) for n in COCO.skeleton.keypoints]
    rows = zip(labelled, keypoints, boxes, strict=True)
    return [
        LabelledInstance(
            id=i, image_id=image.id, keypoints=shifted(points[order], 0), box_xywh=box,
            area=float(box[2] * box[3]),
        )
        for i, ((image, _), points, box) in enumerate(rows, 1)
    ]  # fmt: skip
