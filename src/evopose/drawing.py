"""Drawing: skeletons and heatmaps on images, contact sheets, image files. NumPy and OpenCV only.

Images are (H, W, 3) uint8 in RGB. Nothing draws on its input: every function returns a new image.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.errors import DataError
from evopose.skeleton import Skeleton

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

SIDE_COLOURS: dict[str, Colour] = {
    "left": (0, 174, 239),
    "right": (255, 127, 14),
    "middle": (250, 225, 60),
}
"""The colour of what lies on the left (the person's own left), on the right, and between."""

INK: Colour = (31, 41, 55)
PAPER: Colour = (255, 255, 255)
OUTLINE: Colour = (20, 20, 20)
NAMELESS: Colour = (165, 165, 165)
"""Who has no id yet."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SHIFT = 4  # sub-pixel bits of OpenCV's coordinates
_CAPTION_SCALE = 0.45
_CAPTION_HEIGHT = 20
_TITLE_SCALE = 0.75
_TITLE_HEIGHT = 36


def keypoint_sides(skeleton: Skeleton) -> tuple[str, ...]:
    """Return "left", "right" or "middle" for each keypoint.

    The first of a flip pair is the left one unless the names say otherwise.
    """
    sides = ["middle"] * len(skeleton)
    for first, second in skeleton.flip_pairs or ():
        names = skeleton.keypoints[first].lower(), skeleton.keypoints[second].lower()
        swapped = "right" in names[0] or "left" in names[1]
        sides[first], sides[second] = ("right", "left") if swapped else ("left", "right")
    return tuple(sides)


def draw_pose(
    image: Image,
    keypoints: NDArray[np.floating],
    skeleton: Skeleton,
    *,
    threshold: float = 0.0,
    thickness: int | None = None,
    colour: Colour | None = None,
) -> Image:
    """Return a copy of `image` with limbs and keypoints drawn, coloured by side, outlined in dark.

    `keypoints` (K, 3) holds x, y in pixels of `image` and a score or a COCO visibility: those
    above `threshold` are drawn, and limbs between two that are. `thickness` is that of the limbs in
    pixels; None follows the size of the image and of the pose, so that a small person in a large
    photo stays visible under its skeleton. Enlarge a crop of few pixels before drawing on it. A
    `colour` takes the place of the sides' colours.

    Raises: DataError if `keypoints` is not (K, 3) for the skeleton's K.
    """
    canvas = np.ascontiguousarray(image).copy()
    _draw_pose(canvas, keypoints, skeleton, threshold, thickness, colour)
    return canvas


def draw_poses(
    image: Image,
    keypoints: NDArray[np.floating],
    skeleton: Skeleton,
    *,
    boxes_xyxy: NDArray[np.floating] | None = None,
    ids: NDArray[np.integer] | None = None,
    threshold: float = 0.0,
    thickness: int | None = None,
) -> Image:
    """Return a copy of `image` with the poses (P, K, 3) drawn as `draw_pose` does.

    With `ids` (P,) each person has one colour, the same in every frame, and the id above the box,
    or above the pose without boxes; who has an id below 0 is grey and has no label. `boxes_xyxy`
    (P, 4) are drawn as frames.

    Raises: DataError if shapes do not fit each other.
    """
    poses = np.asarray(keypoints, np.float64)
    if poses.ndim != 3:
        raise DataError(f"expected keypoints (P, {len(skeleton)}, 3), got {poses.shape}")
    for what, given, expected in (
        ("boxes", boxes_xyxy, (len(poses), 4)),
        ("ids", ids, (len(poses),)),
    ):
        if given is not None and np.shape(given) != expected:
            raise DataError(
                f"expected {what} {expected} for {len(poses)} poses, got {np.shape(given)}"
            )
    canvas = np.ascontiguousarray(image).copy()
    labels: list[tuple[str, tuple[float, float], Colour]] = []
    for number, pose in enumerate(poses):
        colour = None if ids is None else id_colour(int(ids[number]))
        corner = None
        if boxes_xyxy is not None and np.isfinite(boxes_xyxy[number]).all():
            corner = _draw_box(canvas, np.asarray(boxes_xyxy[number], np.float64), colour)
        top = _draw_pose(canvas, pose, skeleton, threshold, thickness, colour)
        if ids is not None and colour and ids[number] >= 0 and (corner or top):
            labels.append((str(ids[number]), corner or top or (0, 0), colour))
    for label in labels:  # above all skeletons
        _draw_label(canvas, *label)
    return canvas


def id_colour(number: int) -> Colour:
    """Return the colour of the person with that id; grey below 0.

    Hues go round by the golden ratio, so that ids near each other differ most.
    """
    if number < 0:
        return NAMELESS
    hue = (number * 0.6180339887 + 0.08) % 1.0
    value = 255 - 45 * (number // 2 % 2)
    pixel = np.array([[[hue * 180, 200, value]]], np.uint8)
    red, green, blue = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue


def _draw_pose(
    canvas: Image,
    keypoints: NDArray[np.floating],
    skeleton: Skeleton,
    threshold: float,
    thickness: int | None,
    colour: Colour | None,
) -> tuple[float, float] | None:
    """Draw on the canvas. Returns the left end of the pose's top; None if nothing is drawn."""
    points = np.asarray(keypoints, np.float64)
    if points.shape != (len(skeleton), 3):
        raise DataError(
            f"expected keypoints ({len(skeleton)}, 3) for this skeleton, got {points.shape}"
        )
    near = np.abs(points[:, :2]) < 100 * max(canvas.shape[:2])  # false where not finite, too
    shown = near.all(axis=1) & (points[:, 2] > threshold)
    if not shown.any():
        return None
    there = near.all(axis=1) & (points[:, 2] > 0)  # a lone sure keypoint is as large as others
    width = thickness or _limb_thickness(canvas, points[there, :2])
    sides = keypoint_sides(skeleton)
    limbs = [(a, b) for a, b in skeleton.limbs if shown[a] and shown[b]]
    for border in (True, False):  # all outlines lie under all colours
        for a, b in limbs:
            inner = colour or SIDE_COLOURS[_limb_side(sides[a], sides[b])]
            _line(
                canvas,
                points[a, :2],
                points[b, :2],
                OUTLINE if border else inner,
                width + 2 * border,
            )
    for index in np.flatnonzero(shown):
        _disc(canvas, points[index, :2], 1.1 * width + 1, OUTLINE)
        _disc(canvas, points[index, :2], 1.1 * width, colour or SIDE_COLOURS[sides[index]])
    left, top = points[shown, :2].min(axis=0).tolist()
    return left, top - 3 * width


def _draw_box(
    canvas: Image, box: NDArray[np.float64], colour: Colour | None
) -> tuple[float, float]:
    """Draw a person's frame. Returns its top left corner."""
    limits = np.tile(canvas.shape[1::-1], 2)
    left, top, right, bottom = np.rint(box.clip(-1, limits)).astype(int).tolist()
    width = max(1, round(min(canvas.shape[:2]) / 400))
    for border in (True, False):
        ink = (colour or PAPER) if not border else OUTLINE
        thick = width + 2 * border
        cv2.rectangle(canvas, (left, top), (right, bottom), ink, thick)
    return float(left), float(top)


def _draw_label(canvas: Image, text: str, at: tuple[float, float], colour: Colour) -> None:
    """Write dark on a tag of `colour`, above the point `at` if there is room, all in the image."""
    scale = max(0.4, min(canvas.shape[:2]) / 1000)
    thick = max(1, round(2 * scale))
    (width, height), _ = cv2.getTextSize(text, _FONT, scale, thick)
    room = round(0.4 * height)
    wide, tall = width + 2 * room, height + 2 * room
    left = round(min(max(at[0], 0), max(canvas.shape[1] - wide, 0)))
    top = round(min(max(at[1] - tall, 0), max(canvas.shape[0] - tall, 0)))
    cv2.rectangle(canvas, (left, top), (left + wide - 1, top + tall - 1), colour, cv2.FILLED)
    where = (left + room, top + room + height)
    cv2.putText(canvas, text, where, _FONT, scale, OUTLINE, thick, cv2.LINE_AA)


def _limb_thickness(image: Image, xy: NDArray[np.float64]) -> int:
    """Return a hundredth of the image's shorter side, less where the pose itself is small."""
    height, width = image.shape[:2]
    pose = float((xy.max(axis=0) - xy.min(axis=0)).max()) or height
    return int(max(1, round(min(height / 100, width / 100, pose / 60))))


def _limb_side(first: str, second: str) -> str:
    if first == second or second == "middle":
        return first
    return second if first == "middle" else "middle"


def _line(
    canvas: Image, start: NDArray[np.float64], end: NDArray[np.float64], colour: Colour, width: int
) -> None:
    cv2.line(canvas, _fixed(start), _fixed(end), colour, width, cv2.LINE_AA, _SHIFT)


def _disc(canvas: Image, centre: NDArray[np.float64], radius: float, colour: Colour) -> None:
    fixed_radius = round(radius * 2**_SHIFT)
    cv2.circle(canvas, _fixed(centre), fixed_radius, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _fixed(xy: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(xy[0]) * 2**_SHIFT), round(float(xy[1]) * 2**_SHIFT)


def draw_heatmaps(image: Image, heatmaps: NDArray[np.floating]) -> Image:
    """Return a copy of `image` under the largest of its `heatmaps` (K, h, w), blue to red.

    The highest value of all covers most, zero and what is below it nothing. Heatmap pixel (x, y)
    lies on image pixel (x W / w, y H / h), as codecs place it.
    """
    height, width = image.shape[:2]
    strength = np.maximum(heatmaps.max(axis=0), 0).astype(np.float32)
    strength /= max(float(strength.max()), np.finfo(np.float32).tiny)
    rows, columns = strength.shape
    enlarge = np.array([[width / columns, 0, 0], [0, height / rows, 0]])
    strength = cv2.warpAffine(
        strength, enlarge, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    colours = cv2.applyColorMap((strength * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    opacity = 0.65 * strength[..., None]
    return np.asarray(np.rint(image * (1 - opacity) + colours * opacity), np.uint8)


def contact_sheet(
    tiles: Sequence[Image],
    *,
    columns: int,
    captions: Sequence[str] = (),
    cell_hw: tuple[int, int] = (256, 192),
    gap: int = 12,
    title: str = "",
) -> Image:
    """Return one image with all tiles in rows of `columns`, on white.

    Each tile fills its cell of `cell_hw` pixels as far as its side ratio allows. `captions` (none,
    or one a tile) stand under the tiles, `title` above them, both shortened to what fits.

    Raises: DataError without tiles, or if the captions are not one a tile.
    """
    if not tiles or columns < 1:
        raise DataError(f"a sheet needs tiles and columns, got {len(tiles)} and {columns}")
    if captions and len(captions) != len(tiles):
        raise DataError(f"expected {len(tiles)} captions, one a tile, got {len(captions)}")
    columns = min(columns, len(tiles))
    height, width = cell_hw
    head = _TITLE_HEIGHT if title else 0
    step = height + gap + (_CAPTION_HEIGHT if captions else 0)
    size = (
        head + gap + step * ceil(len(tiles) / columns),
        gap + (width + gap) * columns,
    )
    sheet = np.full((*size, 3), PAPER, np.uint8)
    _text(sheet, title, (gap, head - 6), size[1] - 2 * gap, _TITLE_SCALE)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = head + gap + row * step, gap + column * (width + gap)
        fitted = fit_image(tile, cell_hw)
        y, x = top + (height - fitted.shape[0]) // 2, left + (width - fitted.shape[1]) // 2
        sheet[y : y + fitted.shape[0], x : x + fitted.shape[1]] = fitted
        if captions:
            _text(sheet, captions[number], (left, top + height + 16), width, _CAPTION_SCALE)
    return sheet


def fit_image(image: Image, cell_hw: tuple[int, int]) -> Image:
    """Return `image` resized to the largest size that fits `cell_hw` with its side ratio kept."""
    height, width = image.shape[:2]
    scale = min(cell_hw[0] / height, cell_hw[1] / width)
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size_wh, interpolation=how), np.uint8)


def _text(canvas: Image, text: str, at: tuple[int, int], width: int, scale: float) -> None:
    """Write one line with its baseline's left end `at`, shortened to `width` pixels."""

    def fits(shown: str) -> bool:
        return bool(cv2.getTextSize(shown, _FONT, scale, 1)[0][0] <= width)

    shown = text
    while shown and not fits(shown if shown == text else f"{shown}..."):
        shown = shown[:-1]
    shown = shown if shown == text else f"{shown}..."
    cv2.putText(canvas, shown, at, _FONT, scale, INK, 1, cv2.LINE_AA)


def encode_image(image: Image, suffix: str = ".png") -> bytes:
    """Return the bytes of a PNG or JPEG (quality 90) file, by `suffix`.

    Raises: DataError for any other suffix.
    """
    require_image_suffix(Path(f"image{suffix}"))
    quality = [cv2.IMWRITE_JPEG_QUALITY, 90] if suffix.lower() != ".png" else []
    _, encoded = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
    return bytes(encoded)


def require_image_suffix(path: Path) -> None:
    """Raise DataError if the path does not end as images that we write do."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise DataError(f"images are written as .png, .jpg or .jpeg, not as {path.suffix!r}")


def write_image(path: Path, image: Image) -> None:
    """Write a PNG or JPEG file by the suffix of `path`: the whole of it, or nothing.

    Raises: DataError for any other suffix, or if the file cannot be written.
    """
    content = encode_image(image, path.suffix)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise DataError(f"cannot write image {path}: {error.strerror or error}") from error
