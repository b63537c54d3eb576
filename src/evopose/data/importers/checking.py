"""From labels to COCO records: images are opened, instances checked against them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evopose.data.coco import ASSUMED_AREA
from evopose.data.home import Progress
from evopose.data.images import read_image
from evopose.data.importers.labels import LabelledImage, LabelledInstance, Labels, Points, Record
from evopose.errors import DataError

_SMALLEST_BOX = 16.0
"""Pixels: a box about keypoints is no smaller, where the image has room."""
_FAR = 1.0
_FAR_BOX = 10.0
"""How far a keypoint, and a box, may lie outside, in parts of the image's longer side."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One split, ready to be written."""

    images: list[Record]
    annotations: list[Record]
    paths: dict[str, Path]
    """Where each image lies, by its file name."""
    skipped: Counter[str]
    assumptions: tuple[str, ...]


def check_labels(
    labels: Labels,
    *,
    padding: float,
    skip_damaged: bool = False,
    on_progress: Progress | None = None,
) -> Checked:
    """Return the split as COCO records. Boxes that are not given go about the keypoints.

    With `skip_damaged` images that cannot be used, and instances whose labels cannot, are left out
    and counted.

    Raises: DataError that names the first damaged ones and their number.
    """
    skipped = Counter(labels.skipped)
    _need_labelled(labels.instances, labels)
    paths, sizes, bad = _open_images(labels, on_progress or (lambda *_: None))
    images = {i.id: i for i in labels.images if i.id in sizes}
    problems = {f"image {reason}": names for reason, names in bad.items()}
    kept: list[tuple[LabelledInstance, Points]] = []
    for one in labels.instances:
        if one.image_id not in images:
            skipped["instance of an image that cannot be used"] += 1
            continue
        whole = _in_pixels(one, sizes[one.image_id]) if labels.normalised else one
        box = _box(whole, sizes[one.image_id], padding)
        reason = _problem(whole, box, sizes[one.image_id])
        if reason:
            name = f"{images[one.image_id].name} (annotation {one.id})"
            problems.setdefault(reason, []).append(name)
        else:
            kept.append((whole, box))
    if problems and not skip_damaged:
        raise _complaint(problems, labels)
    _need_labelled([one for one, _ in kept], labels)
    skipped.update({reason: len(names) for reason, names in problems.items()})
    return Checked(
        images=[_image_record(i, sizes[i.id]) for i in images.values()],
        annotations=[_annotation(one, box) for one, box in kept],
        paths={images[i].name: p for i, p in paths.items()},
        skipped=+skipped,
        assumptions=(*labels.assumptions, *_assumed([one for one, _ in kept], padding)),
    )


def _need_labelled(usable: Sequence[LabelledInstance], labels: Labels) -> None:
    if not any(one.keypoints[:, 2].any() and not one.is_crowd for one in usable):
        raise DataError(
            f"nothing to import: of {len(labels.instances)} annotations in {len(labels.images)} "
            "images none that can be used has a labelled keypoint"
        )


def _open_images(
    labels: Labels, on_progress: Progress
) -> tuple[dict[int, Path], dict[int, tuple[int, int]], dict[str, list[str]]]:
    """Return paths and sizes of usable images by id, and names of the others by reason."""
    paths: dict[int, Path] = {}
    sizes: dict[int, tuple[int, int]] = {}
    bad: dict[str, list[str]] = {}
    for number, image in enumerate(labels.images, 1):
        path = _find(image.name, labels.folders)
        reason, size = _look_at(path, image)
        if path is None or size is None:
            bad.setdefault(reason, []).append(image.name)
        else:
            paths[image.id], sizes[image.id] = path, size
        on_progress("images", number, len(labels.images))
    return paths, sizes, bad


def _find(name: str, folders: Sequence[Path]) -> Path | None:
    return next((p for p in (f / name for f in folders) if p.is_file()), None)


def _look_at(path: Path | None, image: LabelledImage) -> tuple[str, tuple[int, int] | None]:
    """Return the size (width, height) of an image that can be used, or the reason why not."""
    if path is None:
        return "is missing", None
    try:
        height, width = read_image(path).shape[:2]
    except DataError:
        return "cannot be read or decoded", None
    if image.size_wh not in (None, (width, height)):
        turned = image.size_wh == (height, width)
        return "is turned against its labels" if turned else "has another size than labelled", None
    return "", (width, height)


def _complaint(problems: dict[str, list[str]], labels: Labels) -> DataError:
    parts = []
    for reason, names in problems.items():
        more = f", ... ({len(names)} in all)" if len(names) > 3 else ""
        parts.append(f"{reason}: {', '.join(names[:3])}{more}")
    looked = f" (looked in {', '.join(map(str, labels.folders))}; --images names another folder)"
    missing = looked if "image is missing" in problems else ""
    return DataError(
        f"labels that cannot be used: {'; '.join(parts)}{missing}. Mend them, or import without "
        "them with --skip-damaged"
    )


def _in_pixels(one: LabelledInstance, size_wh: tuple[int, int]) -> LabelledInstance:
    assert one.box_xywh is not None, "formats in parts of the image have boxes"
    keypoints = one.keypoints * (*size_wh, 1)
    return LabelledInstance(
        id=one.id, image_id=one.image_id, keypoints=keypoints,
        box_xywh=one.box_xywh * (*size_wh, *size_wh), is_crowd=one.is_crowd, extra=one.extra,
    )  # fmt: skip


def _box(one: LabelledInstance, size_wh: tuple[int, int], padding: float) -> Points:
    """Return the box as given, or one about the keypoints within the image."""
    if one.box_xywh is not None:
        return one.box_xywh
    seen = one.keypoints[one.keypoints[:, 2] > 0, :2]
    if not len(seen):
        return np.zeros(4)
    low, high = seen.min(axis=0), seen.max(axis=0)
    margin = np.maximum(padding * (high - low).max(), (_SMALLEST_BOX - (high - low)) / 2)
    low, high = np.clip(low - margin, 0, size_wh), np.clip(high + margin, 0, size_wh)
    return np.concatenate([low, high - low])


def _problem(one: LabelledInstance, box: Points, size_wh: tuple[int, int]) -> str:
    """Return why an instance cannot be used, or nothing."""
    image = np.array(size_wh, float)
    labelled = one.keypoints[:, 2] > 0
    points = one.keypoints[labelled, :2]
    slack = _FAR * image.max()
    low, high = box[:2], box[:2] + box[2:]
    if (points < -slack).any() or (points > image + slack).any():
        return "a keypoint is far outside the image"
    if (box[2:] < 0).any():
        return "the box has a negative size"
    if (low < -_FAR_BOX * image.max()).any() or (high > image + _FAR_BOX * image.max()).any():
        return "the box reaches far out of the image"
    if one.is_crowd or not labelled.any():
        return ""
    if (box[2:] == 0).any():
        return "the box has no area"
    if (low >= image).any() or (high <= 0).any():
        return "the box does not touch the image"
    return ""


def _image_record(image: LabelledImage, size_wh: tuple[int, int]) -> Record:
    own = {"id": image.id, "file_name": image.name, "width": size_wh[0], "height": size_wh[1]}
    return {**image.extra, **own}


def _annotation(one: LabelledInstance, box: Points) -> Record:
    area = ASSUMED_AREA * float(box[2] * box[3]) if one.area is None else one.area
    return {
        **one.extra,
        "id": one.id,
        "image_id": one.image_id,
        "category_id": 1,
        "keypoints": [v for x, y, s in one.keypoints.tolist() for v in (_n(x), _n(y), int(s))],
        "num_keypoints": int((one.keypoints[:, 2] > 0).sum()),
        "bbox": [_n(v) for v in box.tolist()],
        "area": _n(area),
        "iscrowd": int(one.is_crowd),
    }


def _n(value: float) -> float | int:
    """Return the number as files have it: whole ones without a point, others to a millionth."""
    return int(value) if value.is_integer() else round(value, 6)


def _assumed(kept: Sequence[LabelledInstance], padding: float) -> list[str]:
    boxless = sum(one.box_xywh is None for one in kept)
    no_area = sum(one.area is None for one in kept)
    notes = []
    if boxless:
        notes.append(
            f"box: about the keypoints, wider by {padding:g} of their longer extent on every "
            f"side, within the image ({boxless} boxes)"
        )
    if no_area:
        notes.append(f"area: {ASSUMED_AREA:g} of the box ({no_area} instances without one)")
    return notes
