"""Reading a results file in Python, row by row, to say what is wrong with it and where."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evopose.data.checks import refuse
from evopose.errors import DataError

EXPECTED = "a JSON list of results [{image_id, category_id, keypoints, score}, ...]"

_FIELDS = ("image_id", "category_id", "keypoints", "score")


def read_results(path: Path, count: int) -> list[dict[str, Any]]:
    """Return the results with what counts of them. Raises: DataError as `score_results`."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path} is not JSON, or is cut off: {error}; expected {EXPECTED}"
        ) from error
    if not isinstance(content, list):
        came = type(content).__name__
        if isinstance(content, dict):
            came = f"an object with the keys {', '.join(content)}" if content else "an empty object"
            if "annotations" in content:
                came += " (are the two files exchanged?)"
        raise DataError(f"{path}: expected {EXPECTED}, got {came}")
    places = [f"at position {i}" for i, one in enumerate(content) if not isinstance(one, dict)]
    refuse(places, path, f"expected {EXPECTED}; entries that are no objects")
    for field in _FIELDS:
        places = [str(i) for i, one in enumerate(content) if one.get(field) is None]
        refuse(places, path, f"each result needs {', '.join(_FIELDS)}; without {field}, counted "
               "from 0")  # fmt: skip
    for field in ("image_id", "category_id"):
        _refuse_values(content, field, is_id, path, "a whole number of 0 or more")
    _refuse_values(content, "score", is_number, path, "a finite number")
    lengths = (
        f"{i} ({len(one['keypoints']) if isinstance(one['keypoints'], list) else 'no list'})"
        for i, one in enumerate(content)
        if not isinstance(one["keypoints"], list) or len(one["keypoints"]) != 3 * count
    )
    refuse(
        lengths, path,
        f"keypoints must be {3 * count} numbers: x, y and score of each of the {count} in the "
        "annotations; other numbers of values in results, counted from 0",
    )  # fmt: skip
    strange = (i for i, one in enumerate(content) if not all(map(is_number, one["keypoints"])))
    refuse(strange, path, "keypoints must be finite numbers; not so in results, counted from 0")
    return _with_areas(content, path)


def _with_areas(content: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """Return the fields that count: boxes too if the first result has one, as in pycocotools, where
    the areas of finds that match nothing come from them."""
    fields = (*_FIELDS, "bbox") if content and content[0].get("bbox") else _FIELDS
    if "bbox" in fields:
        _refuse_values(
            content, "bbox", is_box, path,
            "4 numbers (left, top, width, height), as the first result has it; take it out of all, "
            "or give it to all",
        )  # fmt: skip
    elif content and content[0].get("segmentation"):
        raise DataError(
            f"{path}: the first result has a segmentation and no bbox, so that areas would be "
            "those of masks; take segmentation out, or add bbox"
        )
    return [{field: one[field] for field in fields} for one in content]


def _refuse_values(
    content: list[dict[str, Any]],
    field: str,
    fits: Callable[[Any], bool],
    path: Path,
    needs: str,
) -> None:
    wrong = (f"{i} ({v!r})" for i, one in enumerate(content) if not fits(v := one.get(field)))
    refuse(wrong, path, f"{field} must be {needs}; not so in results, counted from 0")


def is_id(value: Any) -> bool:
    """Return whether it is a whole number of 0 or more."""
    return type(value) is int and 0 <= value < 2**63


def is_number(value: Any) -> bool:
    """Return whether it is a finite number."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def is_box(value: Any) -> bool:
    """Return whether it is four finite numbers."""
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))
