"""DeepLabCut's labels as CSV (Lightning Pose uses them, too), of one animal or several.

Three rows of header (scorer, bodyparts, coords), four with several animals (individuals after
scorer). Then a row a frame: the image's path in one column or in three (labeled-data, video,
image), and x, y of each keypoint, empty where it is not labelled. Coordinates count from 0.
SOURCE is one CSV, or a project's folder with `labeled-data/VIDEO/CollectedData_*.csv`.

There are no boxes: they go about the keypoints, `padding` times the longer extent wider on every
side. Keypoints of the individual `single` (things in the scene, no animal) are left out.

Source: DeepLabCut (Mathis et al., 2018; Lauer et al., 2022), its documentation of the labels.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evopose.data.checks import refuse
from evopose.data.importers.given import given_skeleton
from evopose.data.importers.labels import (
    NOT_PUBLISHED,
    FormatSkeleton,
    LabelledImage,
    LabelledInstance,
    Labels,
    Options,
    Points,
)
from evopose.data.importers.reading import (
    image_folders,
    image_names,
    load_json,
    load_text,
    no_categories,
    usable,
    wrong_format,
)
from evopose.errors import DataError
from evopose.skeleton import Skeleton, flip_pairs_from_names

_SCENE = "single"
_EXPECTED = "a header of rows scorer, (individuals,) bodyparts, coords"


@dataclass(frozen=True, kw_only=True)
class _Sheet:
    """One CSV, its keypoints as (rows, animals, K, 2), not a number where not labelled."""

    path: Path
    images: list[str]
    bodyparts: tuple[str, ...]
    animals: tuple[str, ...]
    xy: Points
    scene: int
    """Labelled keypoints of no animal."""


def read_deeplabcut(source: Path, options: Options) -> dict[str, Labels]:
    """Return the labels as one split. Raises: DataError if a file is another or damaged."""
    no_categories(options, "deeplabcut")
    sheets = [_read_sheet(path) for path in _files(source)]
    first = sheets[0]
    others = (s.path for s in sheets if set(s.bodyparts) != set(first.bodyparts))
    refuse(others, source, f"all files need the bodyparts of {first.path.name}; others in")
    described = _described(first, options)
    names = described.skeleton.keypoints
    images: list[LabelledImage] = []
    instances: list[LabelledInstance] = []
    skipped: Counter[str] = Counter()
    for sheet in sheets:
        skipped["keypoint of the scene, no animal"] += sheet.scene
        order = [sheet.bodyparts.index(n) for n in names]
        for name, animals in zip(sheet.images, sheet.xy[:, :, order], strict=True):
            images.append(LabelledImage(id=len(images) + 1, name=name))
            instances += _animals(animals, sheet, len(images), len(instances))
            skipped["frame without a labelled keypoint"] += int(np.isnan(animals).all())
    folders = _folders(sheets, options)
    images = _placed(images, folders)
    _check_images(images, source)
    return {options.split or "train": Labels(
        described=described,
        images=tuple(images),
        instances=tuple(instances),
        folders=folders,
        skipped=+skipped,
        assumptions=("visibility: labelled keypoints are called seen (2)",),
    )}  # fmt: skip


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    found = sorted(source.glob("labeled-data/*/CollectedData_*.csv"))
    found = found or sorted(source.glob("CollectedData_*.csv"))
    if not found:
        raise DataError(
            f"{source} holds no labeled-data/VIDEO/CollectedData_*.csv; give a project's folder, "
            "or one CSV"
        )
    return found


def _folders(sheets: Sequence[_Sheet], options: Options) -> tuple[Path, ...]:
    """Return where images may lie: below the project, as the paths in the files say, or near."""
    near = [f for s in sheets for f in image_folders(s.path, options.images)]
    projects = [] if options.images else [s.path.parent.parent.parent for s in sheets]
    return tuple(dict.fromkeys((*projects, *near)))


def _read_sheet(path: Path) -> _Sheet:
    try:
        rows = [r for r in csv.reader(io.StringIO(load_text(path))) if any(c.strip() for c in r)]
    except csv.Error as error:
        raise DataError(f"{path} is no CSV: {error}") from error
    keys = [r[0].strip().lower() for r in rows[:4]]
    if keys[:3] == ["scorer", "bodyparts", "coords"]:
        header, body = [rows[0], ["" for _ in rows[0]], rows[1], rows[2]], rows[3:]
    elif keys == ["scorer", "individuals", "bodyparts", "coords"]:
        header, body = rows[:4], rows[4:]
    else:
        content = load_json(path) if path.suffix == ".json" else path
        raise wrong_format(path, "deeplabcut", _EXPECTED, content)
    coords = [c.strip().lower() for c in header[3]]
    if "likelihood" in coords:
        raise DataError(
            f"{path} has columns 'likelihood': these are a network's predictions, no labels; give "
            "CollectedData_*.csv"
        )
    width = len(coords)
    uneven = (f"line {i}" for i, r in enumerate(header + body, 1) if len(r) != width)
    refuse(uneven, path, f"each row needs {width} columns; others in")
    if not body:
        raise DataError(f"{path}: has a header and no frames")
    begin = next((i for i, c in enumerate(coords) if c == "x"), 0)
    columns = [(a.strip(), b.strip()) for a, b in zip(header[1], header[2], strict=True)][begin:]
    if (
        begin == 0
        or coords[begin:] != ["x", "y"] * (len(columns) // 2)
        or (columns[::2] != columns[1::2])
    ):
        raise DataError(f"{path}: each bodypart needs two columns, x and y, after the image's path")
    return _sheet(path, body, columns[::2], begin)


def _sheet(path: Path, body: list[list[str]], columns: list[tuple[str, str]], begin: int) -> _Sheet:
    refuse({c for c in columns if columns.count(c) > 1}, path, "columns given twice")
    own = [c for c in columns if c[0] != _SCENE]
    if not own:
        raise DataError(f"{path}: no columns of an animal")
    animals = tuple(dict.fromkeys(a for a, _ in own))
    bodyparts = tuple(dict.fromkeys(b for _, b in own))
    lacking = (f"{a} {b}" for a in animals for b in bodyparts if (a, b) not in own)
    refuse(lacking, path, "each animal needs the same bodyparts; missing")
    xy = _numbers([row[begin:] for row in body], path).reshape(len(body), len(columns), 2)
    order = [columns.index((a, b)) for a in animals for b in bodyparts]
    scene = [i for i, c in enumerate(columns) if c[0] == _SCENE]
    names = image_names(["/".join(c.strip() for c in row[:begin]) for row in body], path)
    return _Sheet(
        path=path,
        images=names,
        bodyparts=bodyparts,
        animals=animals,
        xy=xy[:, order].reshape(len(body), len(animals), len(bodyparts), 2),
        scene=int(np.isfinite(xy[:, scene]).all(axis=-1).sum()),
    )


def _numbers(cells: list[list[str]], path: Path) -> Points:
    """Return the cells as numbers, empty ones as not a number; x without y is refused."""
    values, strange = np.full((len(cells), len(cells[0])), np.nan), []
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            if cell.strip().lower() in ("", "nan"):
                continue
            try:
                values[i, j] = float(cell)
            except ValueError:
                values[i, j] = np.inf
            if not usable(values[i, j]):
                strange.append(f"{cell!r} in frame {i + 1}")
    refuse(strange, path, "coordinates must be finite numbers or empty; got")
    halves = np.isnan(values[:, ::2]) != np.isnan(values[:, 1::2])
    refuse(np.flatnonzero(halves.any(axis=1)) + 1, path, "x without y, or y without x, in frames")
    return values


def _described(sheet: _Sheet, options: Options) -> FormatSkeleton:
    if options.skeleton is not None:
        given = given_skeleton(options.skeleton)
        if set(given.skeleton.keypoints) != set(sheet.bodyparts):
            raise DataError(
                f"{options.skeleton} must name the bodyparts of {sheet.path}: "
                f"{', '.join(sheet.bodyparts)}; it names {', '.join(given.skeleton.keypoints)}"
            )
        return replace(given, category=given.category if given.category != "object" else "animal")
    try:
        pairs = flip_pairs_from_names(sheet.bodyparts)
    except DataError as error:
        raise DataError(f"{sheet.path}: {error}; in a JSON given with --skeleton") from error
    skeleton = Skeleton(keypoints=sheet.bodyparts, flip_pairs=pairs)
    return FormatSkeleton(category="animal", skeleton=skeleton, sigmas_source=NOT_PUBLISHED)


def _animals(animals: Points, sheet: _Sheet, image_id: int, before: int) -> list[LabelledInstance]:
    """Return the instances of one frame; `animals` is (A, K, 2)."""
    found: list[LabelledInstance] = []
    for name, xy in zip(sheet.animals, animals, strict=True):
        seen = np.isfinite(xy).all(axis=-1)
        if seen.any():
            keypoints = np.concatenate([np.nan_to_num(xy), 2.0 * seen[:, None]], axis=-1)
            found.append(LabelledInstance(
                id=before + len(found) + 1, image_id=image_id, keypoints=keypoints, box_xywh=None,
                extra={"individual": name} if name else {},
            ))  # fmt: skip
    return found


def _placed(images: list[LabelledImage], folders: Sequence[Path]) -> list[LabelledImage]:
    """Return the images without their folders' names where they lie in a folder that was moved."""
    first = Path(images[0].name)
    as_said = any((f / first).is_file() for f in folders)
    if as_said or not any((f / first.name).is_file() for f in folders):
        return images
    return [replace(i, name=Path(i.name).name) for i in images]


def _check_images(images: list[LabelledImage], source: Path) -> None:
    doubled = [n for n, times in Counter(i.name for i in images).items() if times > 1]
    refuse(doubled, source, "each image needs one row; several for")
