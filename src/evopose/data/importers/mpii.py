"""MPII Human Pose: the JSON of SimpleBaseline, HRNet and MMPose, and MPII-TRB's COCO-like JSON.

Coordinates and centres count pixels from 1, as MATLAB does; 1 is taken off. The box is a square
of 200 `scale` pixels about the centre moved down by 15 `scale`: with evopose's box padding of 1.25
a crop shows what HRNet's does. `joints_vis` 1 becomes 2 (MPII does not say what is hidden), 0
becomes 0. MPII's own `.mat` holds MATLAB structures and is not read: use the JSON.

MPII-TRB has the same body coordinates (so 1 is taken off, too) and 26 points of the contour. Its
`scale` is another one (that of a resizing) and no box: boxes go about the keypoints.

Source: Andriluka et al., CVPR 2014; Duan et al., ICCV 2019; HRNet, `lib/dataset/mpii.py`; MMPose
0.x, `topdown_mpii_dataset.py`.
"""

from pathlib import Path
from typing import Any

import numpy as np

from evopose.data.checks import refuse
from evopose.data.importers.coco_form import read_coco_form, shifted
from evopose.data.importers.labels import LabelledImage, LabelledInstance, Labels, Options, Points
from evopose.data.importers.reading import (
    image_folders,
    image_names,
    load_json,
    need_objects,
    no_categories,
    number_table,
    wrong_format,
)
from evopose.data.importers.skeletons import MPII, MPII_TRB

_KEYS = {"joints", "joints_vis"}
_NEEDED = ("image", "joints", "joints_vis", "center", "scale")
_FROM_ONE = "coordinates: counted from 1 in the file, 1 taken off"


def read_mpii(source: Path, options: Options) -> dict[str, Labels]:
    """Return one split of MPII or MPII-TRB. Raises: DataError if the file is another or damaged."""
    content = load_json(source)
    if isinstance(content, dict):
        labels = read_coco_form(
            source, options, MPII_TRB, format="mpii", content=content, offset=1.0,
            with_boxes=False, assumptions=(_FROM_ONE,),
        )  # fmt: skip
    else:
        labels = _mpii(content, source, options)
    return {options.split or "train": labels}


def _mpii(content: Any, path: Path, options: Options) -> Labels:
    no_categories(options, "mpii")
    if not isinstance(content, list) or not content or not _KEYS & _keys_of(content[0]):
        raise wrong_format(path, "mpii", f"a list of objects with {', '.join(_NEEDED)}", content)
    records = need_objects(content, _NEEDED, path)
    names = image_names([r["image"] for r in records], path)
    at: Any = {"where": path, "names": [f"{n} (position {i})" for i, n in enumerate(names)]}
    joints = number_table(
        [r["joints"] for r in records], (16, 2), needs="joints must be 16 pairs x, y", **at
    )
    visible = number_table(
        [r["joints_vis"] for r in records], (16,), needs="joints_vis must be 16 numbers", **at
    )
    strange = ~np.isin(visible, (0, 1)).all(axis=1)
    refuse(np.array(at["names"])[strange], path, "joints_vis must be 0 or 1; not so in")
    keypoints = shifted(np.concatenate([joints, 2 * visible[..., None]], axis=-1), 1.0)
    boxes = _boxes(
        number_table([r["center"] for r in records], (2,), needs="center must be x, y", **at),
        number_table([r["scale"] for r in records], (), needs="scale must be a number", **at),
        at["names"], path,
    )  # fmt: skip
    _refuse_twins(names, keypoints, path)
    ids = {name: i for i, name in enumerate(dict.fromkeys(names), 1)}
    unused = int(((visible == 0) & (joints > 0).all(axis=-1)).sum())
    notes = (f"{unused} keypoints with coordinates but joints_vis 0: not labelled",)
    return Labels(
        described=MPII,
        images=tuple(LabelledImage(id=i, name=n) for n, i in ids.items()),
        instances=tuple(
            LabelledInstance(id=i, image_id=ids[n], keypoints=k, box_xywh=b)
            for i, (n, k, b) in enumerate(zip(names, keypoints, boxes, strict=True), 1)
        ),
        folders=image_folders(path, options.images),
        assumptions=(
            _FROM_ONE,
            "box: a square of 200 scale about (x, y + 15 scale) of the centre, as HRNet",
            *(notes if unused else ()),
        ),
    )


def _keys_of(record: Any) -> set[Any]:
    return set(record) if isinstance(record, dict) else set()


def _boxes(centres: Points, scales: Points, names: list[str], path: Path) -> Points:
    refuse(np.array(names)[scales <= 0], path, "scale must be positive; not so in")
    side = 200 * scales
    centre = centres + np.stack([np.zeros_like(scales), 15 * scales], axis=-1) - 1
    return np.concatenate([centre - side[:, None] / 2, np.stack([side, side], axis=-1)], axis=-1)


def _refuse_twins(names: list[str], keypoints: Points, path: Path) -> None:
    seen: set[tuple[str, bytes]] = set()
    doubled = []
    for name, points in zip(names, keypoints, strict=True):
        key = (name, points.tobytes())
        if key in seen and points[:, 2].any():
            doubled.append(name)
        seen.add(key)
    refuse(doubled, path, "persons must differ; the same keypoints twice in")
