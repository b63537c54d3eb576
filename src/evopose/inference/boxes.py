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


def on_image(xyxy: NDArray[np.float64], size_hw: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which boxes (P, 4) have a part in an image."""
    height, width = size_hw
    return np.asarray(
        (xyxy[:, 2:] > -0.5).all(axis=1) & (xyxy[:, :2] < (width - 0.5, height - 0.5)).all(axis=1)
    )


def require_on_image(xyxy: NDArray[np.float64], size_hw: tuple[int, ...]) -> None:
    """Raise DataError for a box (P, 4) that has no part in an image."""
    height, width = size_hw
    for left, top, right, bottom in xyxy[~on_image(xyxy, size_hw)].tolist():
        raise DataError(
            f"the box {left:g},{top:g},{right - left:g},{bottom - top:g} (left, top, width, "
            f"height) lies outside the image, which is {width} pixels wide and {height} high"
        )


def read_boxes(path: Path, images: Sequence[Path]) -> dict[Path, Boxes]:
    """Return the boxes that a JSON file holds for these images; none for one it does not name.

    A file name fits an image whose path ends with it, or which is the same file. Results name
    images by id: those whose file name is that number, as COCO's are. Crowds are left out. So are
    boxes without width or height, and what is no person (see `_persons`): the log counts them, and
    names that fit no image, and images without boxes.

    Raises: DataError if the file cannot be read, is of no known form or has numbers that are not
    finite, if a name in it fits several of the images, or if it names none of them.
    """
    content = load_json(path, EXPECTED)
    try:
        rows, names, others = _rows(content)
        image_of = _match(names, images, path)
        grouped = _by_image(rows, image_of, images, path)
        found = {
            image: boxes_xywh([box for box, _ in pairs], [score for _, score in pairs])
            for image, pairs in grouped.items()
        }
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no boxes as they are expected: {EXPECTED}") from error
    if not image_of:
        named = names[0] if names else "nothing"
        raise DataError(
            f"{path} names {named}, and none of the {len(images)} images, {images[0].name} first; "
            "it must name them by their file names, results by the numbers in those"
        )
    if others:
        log.warning("%s: %d boxes of other things than persons are left out", path, others)
    if unknown := len(names) - len(image_of):
        log.warning("%s names %d images that are none of those given", path, unknown)
    without = [image for image, one in found.items() if not len(one.scores)]
    if without:
        log.warning(
            "%d of %d images have no boxes in %s, %s first",
            *(len(without), len(found), path, without[0]),
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


def _rows(content: Any) -> tuple[list[Row], list[str], int]:
    """Return the boxes of persons, what names each of the file's images, and how many boxes are of
    something else."""
    categories: list[dict[str, Any]] = []
    if isinstance(content, list):
        names = {one["image_id"]: str(int(one["image_id"])) for one in content}
        given = content
    elif "annotations" in content:
        names = {one["id"]: str(one["file_name"]) for one in content["images"]}
        given = [one for one in content["annotations"] if not one.get("iscrowd")]
        categories = content.get("categories", [])
    else:
        rows = [(name, box, 1.0) for name, boxes in content.items() for box in boxes]
        return rows, list(content), 0
    kept = _persons(given, categories)
    rows = [(names[one["image_id"]], one["bbox"], float(one.get("score", 1))) for one in kept]
    return rows, list(dict.fromkeys(names.values())), len(given) - len(kept)


def _persons(rows: list[dict[str, Any]], categories: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of persons: of the categories of that name, or, where nobody names any and
    there are several, of COCO's number 1; those without a category; all, if none is for persons."""
    kinds = {row["category_id"] for row in rows if "category_id" in row}
    if categories:
        kept = {one["id"] for one in categories if str(one.get("name")).lower() == "person"}
    else:
        kept = kinds & {1}
    return [row for row in rows if not kept or row.get("category_id") in {None, *kept}]


def _match(names: list[str], images: Sequence[Path], path: Path) -> dict[str, Path]:
    """Return the image of each name that fits one."""
    called: dict[str, list[Path]] = {}
    for image in dict.fromkeys(images):
        number = {str(int(image.stem))} if image.stem.isdecimal() else set()
        for key in {image.name, image.resolve().name} | number:
            called.setdefault(key, []).append(image)
    found: dict[str, Path] = {}
    for name in names:
        parts = PurePath(name).parts
        fitting = [
            image
            for image in called.get(PurePath(name).name, [])
            if name.isdecimal()
            or image.parts[-len(parts) :] == parts
            or image.resolve() == Path(name).resolve()
        ]
        if len(fitting) > 1:
            raise DataError(
                f"{path}: {name} may be {' or '.join(map(str, fitting))}; name more of its path"
            )
        if fitting:
            found[name] = fitting[0]
    return found


def _by_image(
    rows: list[Row], image_of: dict[str, Path], images: Sequence[Path], path: Path
) -> dict[Path, list[tuple[list[float], float]]]:
    found: dict[Path, list[tuple[list[float], float]]] = {image: [] for image in images}
    empty = 0
    for name, box, score in rows:
        if len(box) != 4 or not all(isinstance(v, int | float) for v in box):
            raise ValueError(box)
        if not all(map(math.isfinite, (*box, score))):
            raise DataError(f"{path}: box {box} of {name}, score {score}: not finite")
        if min(box[2:]) <= 0:
            empty += 1
        elif name in image_of:
            found[image_of[name]].append((box, score))
    if empty:
        log.warning("%s: %d boxes without width or height are left out", path, empty)
    return found
