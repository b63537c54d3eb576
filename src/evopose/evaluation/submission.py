"""Results as COCO's evaluation server takes them."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evopose.errors import DataError

ALGORITHM = "evopose"
"""What the server is told the method is called: a part of the file's name."""

PLACES, SCORE_PLACES = 2, 6
"""Decimals of pixels and keypoint scores, and of the persons' scores, by which results are ranked.
COCO's own page on results recommends one decimal of a pixel."""


def submission_name(images: str) -> str:
    """Return what the server wants a file of results to be called, without its ending.

    >>> submission_name("test-dev2017")
    'person_keypoints_test-dev2017_evopose_results'

    Source: cocodataset.org, Upload Results (keypoints).
    """
    return f"person_keypoints_{images}_{ALGORITHM}_results"


def rounded(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return COCO results with no more decimals than matter, and with no other fields."""
    return [
        {
            "image_id": one["image_id"],
            "category_id": one["category_id"],
            "keypoints": [round(value, PLACES) for value in one["keypoints"]],
            "score": round(one["score"], SCORE_PLACES),
        }
        for one in results
    ]


def write_submission(
    folder: Path, images: str, results: Sequence[dict[str, Any]]
) -> tuple[Path, Path]:
    """Write results of the images of that name, rounded, as JSON and as the zip that is uploaded;
    return both paths.

    Raises: DataError if they cannot be written.
    """
    text = json.dumps(rounded(results), separators=(",", ":"))
    plain = folder / f"{submission_name(images)}.json"
    packed = plain.with_suffix(".zip")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        plain.write_text(text)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            file.write(plain, plain.name)
    except OSError as error:
        raise DataError(f"cannot write {plain}: {error.strerror or error}") from error
    return plain, packed
