"""A contact sheet of labelled persons, each row again mirrored, so that a wrong flip pair shows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evopose.data.checking.reading import Labels
from evopose.data.images import Image, read_image, warp_crop
from evopose.drawing import contact_sheet, draw_pose
from evopose.errors import DataError
from evopose.geometry import apply_affine, box_to_crop, crop_affine

COLUMNS = 8
ROWS = 3
CELL_HW = (256, 192)
"""Of a person; in pixels."""


def check_sheet(splits: Sequence[Labels], source: str) -> Image | None:
    """Return persons spread evenly over the splits, none chosen, with their keypoints.

    Below each row comes the same row mirrored as training mirrors it: image and keypoints turned
    over, left and right names exchanged by the flip pairs. A limb that is blue (left) in one must
    be orange (right) in the other; where it is not, or lines go astray, a pair is wrong or
    missing. Without flip pairs there are no mirrored rows; without limbs, lines join the flip
    pairs. None where nobody can be drawn.
    """
    first = next((s.skeleton for s in splits if s.skeleton is not None), None)
    if first is None:
        return None
    skeleton = replace(first, limbs=first.limbs or first.flip_pairs or ())
    alike = [s for s in splits if s.skeleton and s.skeleton.keypoints == first.keypoints]
    tiles: list[Image] = []
    captions: list[str] = []
    drawn = [one for labels, rows in _chosen(alike) for one in _crops(labels, rows)]
    columns = min(COLUMNS, len(drawn))
    for start in range(0, len(drawn), COLUMNS):
        row = drawn[start : start + COLUMNS]
        row += [(np.full((*CELL_HW, 3), 255, np.uint8), np.zeros((len(skeleton), 3)), "")] * (
            columns - len(row)
        )
        tiles += [draw_pose(crop, points, skeleton) for crop, points, _ in row]
        captions += [name for *_, name in row]
        if skeleton.flip_pairs is not None:
            turned = [
                (_mirror(crop), _mirror_points(points, crop.shape[1])) for crop, points, _ in row
            ]
            tiles += [draw_pose(c, p[skeleton.flip_index], skeleton) for c, p in turned]
            captions += [name and "mirrored" for *_, name in row]
    if not tiles:
        return None
    rows = "below each row mirrored: the same lines must come, blue for orange"
    if skeleton.flip_pairs is None:
        rows = "flip pairs unknown, nothing is mirrored"
    title = f"{source} (blue: left, orange: right, yellow: neither); {rows}"
    return contact_sheet(tiles, columns=columns, captions=captions, cell_hw=CELL_HW, title=title)


def _chosen(splits: Sequence[Labels]) -> list[tuple[Labels, list[int]]]:
    """Return rows of persons for the sheet: as many of each split as there are, evenly spread."""
    rows = [np.flatnonzero(s.persons & (s.boxes[:, 2:] > 0).all(axis=1)) for s in splits]
    shares = [0] * len(splits)
    left = COLUMNS * ROWS
    for done, i in enumerate(sorted(range(len(splits)), key=lambda i: len(rows[i]))):
        shares[i] = min(len(rows[i]), left // (len(splits) - done))
        left -= shares[i]
    places = [np.linspace(0, len(r) - 1, n).astype(int) for r, n in zip(rows, shares, strict=True)]
    return [(s, r[p].tolist()) for s, r, p in zip(splits, rows, places, strict=True)]


def _crops(labels: Labels, rows: Sequence[int]) -> list[tuple[Image, np.ndarray, str]]:
    """Return (crop, keypoints in it, caption) of persons whose images open."""
    found = []
    split = "" if labels.split == "all" else f"{labels.split} "
    for row in rows:
        image_id = labels.image_ids[row]
        picture = None if image_id is None else labels.pictures.get(image_id)
        if picture is None or picture.path is None:
            continue
        try:
            image = read_image(picture.path)
        except DataError:
            continue  # the findings tell of it
        box = labels.boxes[row].copy()
        box[2:] += box[:2]
        centre, scale = box_to_crop(box, input_hw=CELL_HW, padding=1.25)
        affine = crop_affine(centre, scale, input_hw=CELL_HW)
        points = np.nan_to_num(labels.keypoints[row])
        points[:, :2] = apply_affine(affine, points[:, :2])
        found.append(
            (warp_crop(image, affine, size_hw=CELL_HW), points, f"{split}{labels.names[row]}")
        )
    return found


def _mirror(crop: Image) -> Image:
    return np.ascontiguousarray(crop[:, ::-1])


def _mirror_points(points: np.ndarray, width: int) -> np.ndarray:
    return np.column_stack([width - 1 - points[:, 0], points[:, 1:]])
