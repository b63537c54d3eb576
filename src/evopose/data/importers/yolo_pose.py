"""YOLO pose labels: a text file an image, a line a thing, all numbers in parts of the image.

`class x y width height`, the box's centre first, then x y or x y visibility of each keypoint. With
two numbers a keypoint is not labelled where it is (0, 0) or negative. A number times the image's
width or height is a pixel coordinate: the format's own conversion from COCO divides by them.

SOURCE is `data.yaml`, a folder with it, or (with a skeleton given) a folder of `images/` and
`labels/`. All splits that it names are imported, or one with `--as`.

Source: Ultralytics' documentation of pose datasets (`kpt_shape`, `flip_idx`, `kpt_names`).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evopose.data.checks import refuse
from evopose.data.importers.labels import (
    FormatSkeleton,
    LabelledImage,
    LabelledInstance,
    Labels,
    Options,
    Points,
)
from evopose.data.importers.reading import load_text
from evopose.data.importers.yolo_description import YoloDescription, describe
from evopose.errors import ConfigError, DataError

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
_LARGEST = 4.0
"""Parts of an image: beyond, numbers are no parts."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    image_id: int
    where: str
    kind: int
    box: Points
    keypoints: Points


def read_yolo_pose(source: Path, options: Options) -> dict[str, Labels]:
    """Return the splits that the source names. Raises: DataError if it is another or damaged."""
    described = describe(source, options)
    return {
        split: _split(folder, described, options) for split, folder in described.folders.items()
    }


def _split(folder: Path, described: YoloDescription, options: Options) -> Labels:
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in _SUFFIXES)
    if not files:
        raise DataError(f"{folder} holds no images")
    labels = {f: label_file(f) for f in files}
    _refuse_orphans(folder, labels)
    images = tuple(
        LabelledImage(id=i, name=f.relative_to(folder).as_posix()) for i, f in enumerate(files, 1)
    )
    lines = [
        line
        for image, file in zip(images, files, strict=True)
        if labels[file].is_file()
        for line in _lines(labels[file], image.id, described)
    ]
    kept, skipped = _of_classes(lines, described, options)
    if not kept:
        raise DataError(f"{folder}: no labelled thing in {len(images)} images' label files")
    unlabelled = len(images) - len({line.image_id for line in lines})
    return Labels(
        described=FormatSkeleton(
            category=_category(kept, described),
            skeleton=described.skeleton,
            sigmas_source=described.sigmas_source,
        ),
        images=images,
        instances=tuple(
            LabelledInstance(
                id=i, image_id=line.image_id, keypoints=line.keypoints, box_xywh=line.box,
                extra={"class": described.name_of(line.kind)},
            )
            for i, line in enumerate(kept, 1)
        ),
        folders=(folder,),
        normalised=True,
        skipped=skipped,
        assumptions=(
            *described.assumptions,
            *((f"{unlabelled} images without labels are kept as background",) * (unlabelled > 0)),
        ),
    )  # fmt: skip


def label_file(image: Path) -> Path:
    """Return where an image's labels lie: the last folder `images` in its path is `labels`."""
    parts = list(image.parts)
    at = [i for i, p in enumerate(parts[:-1]) if p == "images"]
    if at:
        parts[at[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")


def _refuse_orphans(folder: Path, labels: dict[Path, Path]) -> None:
    """Refuse label files whose image is missing."""
    beside = label_file(folder / "image.jpg").parent
    known = set(labels.values())
    orphans = (
        (f for f in sorted(beside.rglob("*.txt")) if f not in known) if (beside != folder) else ()
    )
    refuse((f.name for f in orphans), beside, f"label files without an image in {folder}")


def _lines(path: Path, image_id: int, described: YoloDescription) -> Iterable[_Line]:
    if path.stat().st_size == 0:
        return
    seen: set[str] = set()
    for number, text in enumerate(load_text(path).splitlines(), 1):
        if not text.strip():
            continue
        where = f"{path}, line {number}"
        if text.strip() in seen:
            raise DataError(f"{where}: the same line twice; take one out")
        seen.add(text.strip())
        yield _line(text.split(), where, image_id, described)


def _line(cells: list[str], where: str, image_id: int, described: YoloDescription) -> _Line:
    count = len(described.skeleton)
    needs = f"class, 4 numbers of the box, then {count} x 2 or {count} x 3 numbers"
    dims = described.dims or (len(cells) - 5) / count
    if dims not in (2, 3) or len(cells) != 5 + count * dims:
        expected = f"{needs} ({described.dims} a keypoint)" if described.dims else needs
        raise DataError(f"{where}: expected {expected}; got {len(cells)} values")
    try:
        numbers = np.array([float(c) for c in cells])
    except ValueError as error:
        raise DataError(f"{where}: expected {needs}; {error}") from error
    if not np.isfinite(numbers).all() or not float(cells[0]).is_integer():
        raise DataError(f"{where}: expected a whole number as class, and finite numbers")
    box, points = numbers[1:5], numbers[5:].reshape(count, int(dims))
    if np.abs(np.concatenate([box, points[:, :2].ravel()])).max() > _LARGEST or (box < 0).any():
        raise DataError(
            f"{where}: boxes and keypoints must be in parts of the image's width and height "
            f"(0 to 1); got {np.abs(numbers[1:]).max():g}"
        )
    return _Line(
        image_id=image_id, where=where, kind=int(numbers[0]),
        box=np.concatenate([box[:2] - box[2:] / 2, box[2:]]), keypoints=_keypoints(points, where),
    )  # fmt: skip


def _keypoints(points: Points, where: str) -> Points:
    """Return (K, 3) of points (K, 2 or 3); unlabelled ones are zeros."""
    if points.shape[1] == 3:
        seen = points[:, 2]
        if not np.isin(seen, (0, 1, 2)).all():
            raise DataError(f"{where}: visibility must be 0, 1 or 2")
    else:
        seen = np.where((points < 0).any(axis=1) | (points == 0).all(axis=1), 0.0, 2.0)
    labelled = seen[:, None] > 0
    return np.concatenate([np.where(labelled, points[:, :2], 0), seen[:, None]], axis=-1)


def _of_classes(
    lines: list[_Line], described: YoloDescription, options: Options
) -> tuple[list[_Line], dict[str, int]]:
    unknown = (f"{line.kind} ({line.where})" for line in lines if not described.knows(line.kind))
    refuse(unknown, described.source, f"classes are {', '.join(described.names.values())}; got")
    absent = [c for c in options.categories if c not in described.names.values()]
    if absent:
        raise ConfigError(
            f"{described.source} has no class {', '.join(absent)}; it has "
            f"{', '.join(described.names.values()) or 'no names'}"
        )
    chosen = options.categories
    kept = [line for line in lines if not chosen or described.name_of(line.kind) in chosen]
    left = len(lines) - len(kept)
    return kept, {"of categories not chosen": left} if left else {}


def _category(lines: list[_Line], described: YoloDescription) -> str:
    kinds: Counter[Any] = Counter(line.kind for line in lines)
    return described.name_of(next(iter(kinds))) if len(kinds) == 1 else "object"
