"""What a COCO file holds before its annotations are looked at: its object, and its images."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evopose.data.checks import refuse, refuse_doubled, whole_numbers
from evopose.errors import DataError
from evopose.structures import ImageRecord

Record = dict[str, Any]

LISTS = ("images", "annotations", "categories")


def load_content(path: Path, lists: Sequence[str] = LISTS) -> Record:
    """Return the object of a COCO file; those of its keys that are `lists` hold lists of objects.

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
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in lists):
        came = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise DataError(
            f"{path} is not COCO keypoint JSON: expected an object with lists {', '.join(lists)}; "
            f"got {came or 'an empty object'}"
        )
    for key in lists:
        strange = (i for i, r in enumerate(content[key]) if not isinstance(r, dict))
        refuse(strange, path, f"entries of {key!r} are no objects, at positions")
    return content


@dataclass(frozen=True, kw_only=True)
class FoundImages:
    """The images that a file lists, and which of them are there."""

    images: tuple[ImageRecord, ...]
    """Those that are there, in the file's order."""
    absent: tuple[str, ...]
    """Names of those that are not."""
    folder: Path
    """Where they lie."""


def find_images(records: list[Record], path: Path, folders: Sequence[Path]) -> FoundImages:
    """Return the images of a file's `images`, looked for in the folder that holds most of a few of
    them.

    Raises: DataError that says what is wrong with the records; none for images that are absent.
    """
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
    known = [str(name) for name in names]
    probe = known[:: max(1, len(known) // 16)]
    folder = max(folders, key=lambda f: sum((f / n).is_file() for n in probe))
    there = [(folder / name).is_file() for name in known]
    rows = zip(ids.tolist(), known, height.tolist(), width.tolist(), there, strict=True)
    return FoundImages(
        images=tuple(
            ImageRecord(id=i, path=folder / name, height=h, width=w)
            for i, name, h, w, is_there in rows
            if is_there
        ),
        absent=tuple(name for name, is_there in zip(known, there, strict=True) if not is_there),
        folder=folder,
    )
