"""Things near people: seats under them, shadows at their feet, and what hides them from us."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.synthetic.body import Array
from evopose.data.synthetic.draw import NOBODY, Canvas
from evopose.data.synthetic.outfit import NEUTRALS, SKINS

Box = tuple[float, float, float, float]


def draw_shadow(
    image: NDArray[np.uint8], box_xyxy: Array, *, strength: float, flatness: float
) -> None:
    """Darken `image` (H, W, 3) in place at the feet of a figure; the shadow's height is `flatness`
    of the figure's."""
    height, width = image.shape[:2]
    left, top, right, bottom = box_xyxy.tolist()
    small = np.zeros((height // 4 + 1, width // 4 + 1), dtype=np.uint8)
    middle = (int((left + right) / 8), int((bottom - 0.02 * (bottom - top)) / 4))
    axes = (int(0.6 * (right - left) / 4) + 1, int(flatness * (bottom - top) / 4) + 1)
    cv2.ellipse(small, middle, axes, 0, 0, 360, 255 * strength, -1)
    small[:] = cv2.blur(small, (5, 5))
    dark = 255 - np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))
    cv2.multiply(image, cv2.merge([dark] * 3), dst=image, scale=1 / 255)


def draw_seat(
    rng: np.random.Generator, canvas: Canvas, hips: Array, *, scale: float, floor: float
) -> None:
    """Draw what a figure sits on, from `hips` (2,) down to the row `floor`: a block, a stool, a
    chair with a back, or a sofa.

    All in pixels of the image; `scale` is a stature.
    """
    colour = NEUTRALS[int(rng.random() * len(NEUTRALS))]
    half, top = scale * rng.uniform(0.13, 0.24), float(hips[1]) + 0.035 * scale
    left, right = float(hips[0]) - half, float(hips[0]) + half
    floor = max(floor, top + 0.1 * scale)
    kind = rng.random()
    if kind < 0.2:
        left, right = left - 0.5 * scale * rng.random(), right + 0.5 * scale * rng.random()
    if kind < 0.45:
        back = top - scale * rng.uniform(0.15, 0.42)
        _block(canvas, (left, back, right, top), 0.9 * colour)
    slab = top + 0.05 * scale
    if rng.random() < 0.5:
        _block(canvas, (left, slab, right, floor), 0.75 * colour)
    else:
        _legs(canvas, (left, slab, right, floor), 0.012 * scale, 0.7 * colour)
    _block(canvas, (left, top, right, slab), colour)


def draw_occluder(rng: np.random.Generator, canvas: Canvas, box_xyxy: Array) -> None:
    """Draw one of `OCCLUDERS` before the person in `box_xyxy`."""
    left, top, right, bottom = box_xyxy.tolist()
    palette = SKINS if rng.random() < 0.15 else NEUTRALS
    colour = palette[int(rng.random() * 9)] * rng.uniform(0.8, 1.15)
    kinds = list(OCCLUDERS.values())
    kinds[int(rng.random() * len(kinds))](rng, canvas, (left, top, right, bottom), colour)


def _table(rng: np.random.Generator, canvas: Canvas, person: Box, colour: Array) -> None:
    left, top, right, bottom = person
    height, middle = bottom - top, rng.uniform(left, right)
    line, reach = bottom - height * rng.uniform(0.12, 0.5), (right - left) * rng.uniform(0.5, 1.3)
    edge = line + max(0.03 * height, 1.0)
    under = (middle - 0.95 * reach, edge, middle + 0.95 * reach, bottom + 0.1 * height)
    if rng.random() < 0.6:
        _block(canvas, under, 0.8 * colour)
    else:
        _legs(canvas, under, 0.02 * height, 0.7 * colour)
    _block(canvas, (middle - reach, line, middle + reach, edge), 1.15 * colour)


def _crate(rng: np.random.Generator, canvas: Canvas, person: Box, colour: Array) -> None:
    left, top, right, bottom = person
    height, middle = bottom - top, rng.uniform(left, right)
    size, base = height * rng.uniform(0.12, 0.34), bottom - height * 0.5 * rng.random() ** 2
    _block(canvas, (middle - size, base - size, middle + size, base), colour)
    _block(canvas, (middle - size, base - 1.12 * size, middle + size, base - size), 1.2 * colour)


def _post(rng: np.random.Generator, canvas: Canvas, person: Box, colour: Array) -> None:
    left, top, right, bottom = person
    height, middle = bottom - top, rng.uniform(left, right)
    thick = height * rng.uniform(0.012, 0.052)
    above = height * rng.random()
    _block(canvas, (middle - thick, top - above, middle + thick, bottom + 0.1 * height), colour)


def _plant(rng: np.random.Generator, canvas: Canvas, person: Box, colour: Array) -> None:
    left, top, right, bottom = person
    height, middle = bottom - top, rng.uniform(left, right)
    base = bottom - height * 0.3 * rng.random()
    for dx, dy, shade in rng.random((14, 3)).tolist():
        x, y = middle + 0.35 * height * (dx - 0.5), base - 0.3 * height * (dy - 0.4)
        green = (45 + 50 * shade, 80 + 70 * shade, 35 + 35 * shade, NOBODY)
        cv2.circle(canvas, (int(2 * x), int(2 * y)), int(height * (0.04 + 0.06 * shade)), green, -1)


def _edge(rng: np.random.Generator, canvas: Canvas, person: Box, colour: Array) -> None:
    """Draw something near that ends the view at one side."""
    left, _, right, _ = person
    width, height = canvas.shape[1] / 2, canvas.shape[0] / 2
    reach = (right - left) * 0.35 * rng.random()
    if rng.random() < 0.5:
        _block(canvas, (right - reach, 0.0, width, height), 0.6 * colour)
    else:
        _block(canvas, (0.0, 0.0, left + reach, height), 0.6 * colour)


def _fence(rng: np.random.Generator, canvas: Canvas, person: Box, colour: Array) -> None:
    left, top, right, bottom = person
    height, thick = bottom - top, max((bottom - top) * rng.uniform(0.006, 0.02), 0.5)
    upper = bottom - height * rng.uniform(0.25, 0.7)
    reach = (right - left) * rng.uniform(0.2, 1.0)
    for x in np.arange(left - reach, right + reach, height * rng.uniform(0.08, 0.25)).tolist():
        _block(canvas, (x - thick, upper, x + thick, bottom + 0.05 * height), colour)
    for y in (upper, upper + 0.8 * (bottom - upper)):
        _block(canvas, (left - reach, y - thick, right + reach, y + thick), 1.1 * colour)


def _branch(rng: np.random.Generator, canvas: Canvas, person: Box, colour: Array) -> None:
    """Draw something long and bent, as thick as a limb, across."""
    left, top, right, bottom = person
    height, ends = bottom - top, rng.random((3, 2)) * 1.4 - 0.2
    points = (ends * (right - left, height) + (left, top)) * 2
    fill = (*colour.clip(0, 255).tolist(), NOBODY)
    width = max(round(2 * height * rng.uniform(0.015, 0.06)), 1)
    cv2.polylines(canvas, [points.astype(np.int32)], False, fill, width)


OCCLUDERS: dict[str, Callable[[np.random.Generator, Canvas, Box, Array], None]] = {
    "table": _table,
    "crate": _crate,
    "post": _post,
    "plant": _plant,
    "edge": _edge,
    "fence": _fence,
    "branch": _branch,
}
"""Name -> what draws it, in a colour, before the person in a box."""


def _legs(canvas: Canvas, box_xyxy: Box, thick: float, colour: Array) -> None:
    left, top, right, bottom = box_xyxy
    for x in (0.93 * left + 0.07 * right, 0.07 * left + 0.93 * right):
        _block(canvas, (x - thick, top, x + thick, bottom), colour)


def _block(canvas: Canvas, box_xyxy: Box, colour: Array) -> None:
    """Fill a box that belongs to nobody, lit from its left side to its right."""
    left, upper, right, lower = (round(2 * v) for v in box_xyxy)
    strips = 4
    for i in range(strips):
        shade = (colour * (1.08 - 0.08 * i)).clip(0, 255)
        x = (left + (right - left) * i // strips, left + (right - left) * (i + 1) // strips)
        cv2.rectangle(canvas, (x[0], upper), (x[1], lower), (*shade.tolist(), NOBODY), -1)
