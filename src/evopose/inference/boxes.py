"""Boxes of persons that someone else has found: files of them, matched with images by name."""

import json
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.errors import DataError

log = logging.getLogger(__name__)

EXPECTED = (
    'COCO results [{"image_id": 7, "bbox": [x, y, w, h], "score": 0.9}, ...], COCO annotations '
    '(an object with "images" and "annotations"), or {"file.jpg": [[x, y, w, h], ...], ...}'
)


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """The persons of one image."""

    xyxy: NDArray[np.float64]
    """(P, 4) in pixels of the image."""
    scores: NDArray[np.float64]
    """(P,), 1 where nobody gave one."""


def boxes_xywh(rows: Iterable[Sequence[float]], scores: Iterable[float] | None = None) -> Boxes:
    """Return boxes of rows of left, top, width, height."""
    xywh = np.array([list(row) for row in rows], np.float64).reshape(-1, 4)
    xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    given = np.ones(len(xyxy)) if scores is None else np.array(list(scores), np.float64)
    return Boxes(xyxy=xyxy, scores=given)


def whole_image(height: int, width: int) -> Boxes:
    """Return one box about all of an image."""
    return Boxes(xyxy=np.array([[-0.5, -0.5, width - 0.5, height - 0.5]]), scores=np.ones(1))


def clipped_boxes(
    xyxy: NDArray[np.float64], scores: NDArray[np.float64], size_hw: tuple[int, ...]
) -> Boxes:
    """Return the boxes cut at the borders of an image, without those of less than a pixel there."""
    height, width = size_hw
    cut = xyxy.clip(-0.5, (width - 0.5, height - 0.5, width - 0.5, height - 0.5))
    inside = (cut[:, 2:] - cut[:, :2] >= 1).all(axis=1)
    return Boxes(xyxy=cut[inside], scores=scores[inside])


def read_boxes(path: Path, images: Sequence[Path]) -> dict[Path, Boxes]:
    """Return the boxes that a JSON file holds for these images; none for one it does not name.

    A file name fits an image whose path ends with it. Results name images by id: those whose file
    name is that number, as COCO's are. Crowds are left out; boxes without width or height, too,
    which the log counts.

    Raises: DataError if the file cannot be read, is of no known form or has numbers that are not
    finite, if a file that it names fits none of the images or several, or if it knows none of the
    images.
    """
    content = load_json(path, EXPECTED)
    try:
        rows, strict = _rows(content)
        grouped = _by_image(rows, images, strict=strict, path=path)
        found = {
            image: boxes_xywh([box for box, _ in pairs], [score for _, score in pairs])
            for image, pairs in grouped.items()
        }
    except (LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no boxes as they are expected: {EXPECTED}") from error
    if not any(len(one.scores) for one in found.values()):
        raise DataError(
            f"{path} has no boxes for any of the {len(images)} images, {images[0].name} first; "
            "it must name them by their file names, results by the numbers in those"
        )
    return found


Row = tuple[str, list[float], float]
"""What names the image, left, top, width and height, and the box's score."""


def load_json(path: Path, expected: str) -> Any:
    """Return what a JSON file holds.

    Raises: DataError if it cannot be read, or is no JSON, saying what was `expected`.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; expected {expected}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}; expected {expected}") from error


def _rows(content: Any) -> tuple[list[Row], bool]:
    """Return the file's boxes, and whether each must fit an image."""
    if isinstance(content, list):
        rows = [(str(int(r["image_id"])), r["bbox"], float(r.get("score", 1))) for r in content]
        return rows, False
    if not isinstance(content, dict):
        raise ValueError(content)
    if "annotations" in content:
        names = {one["id"]: str(one["file_name"]) for one in content["images"]}
        people = [r for r in content["annotations"] if not r.get("iscrowd")]
        return [(names[r["image_id"]], r["bbox"], float(r.get("score", 1))) for r in people], False
    return [(name, box, 1.0) for name, boxes in content.items() for box in boxes], True


def _by_image(
    rows: list[Row], images: Sequence[Path], *, strict: bool, path: Path
) -> dict[Path, list[tuple[list[float], float]]]:
    found: dict[Path, list[tuple[list[float], float]]] = {image: [] for image in images}
    by_name: dict[str, list[Path]] = {}
    for image in images:
        by_name.setdefault(image.name, []).append(image)
        if image.stem.isdecimal():
            by_name.setdefault(str(int(image.stem)), []).append(image)
    empty = 0
    for name, box, score in rows:
        parts = PurePath(name).parts
        if len(box) != 4 or not all(isinstance(v, int | float) for v in box):
            raise ValueError(box)
        if not all(map(math.isfinite, (*box, score))):
            raise DataError(f"{path}: box {box} of {name}, score {score}: not finite")
        if min(box[2:]) <= 0:
            empty += 1
            continue
        candidates = by_name.get(PurePath(name).name, [])
        fitting = [i for i in candidates if i.parts[-len(parts) :] == parts or name.isdecimal()]
        if len(fitting) > 1:
            raise DataError(
                f"{path}: {name} may be {' or '.join(map(str, fitting))}; name more of its path"
            )
        if not fitting and strict:
            raise DataError(f"{path} has boxes of {name}, which is none of the images given")
        for image in fitting:
            found[image].append((box, score))
    if empty:
        log.warning("%s: %d boxes without width or height are left out", path, empty)
    return found
