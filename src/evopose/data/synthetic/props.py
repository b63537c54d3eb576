"""Things near people: seats under them, shadows at their feet, and what hides them from us."""

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.synthetic.body import Array
from evopose.data.synthetic.draw import NOBODY, Canvas
from evopose.data.synthetic.outfit import NEUTRALS, SKINS


def draw_shadow(image: NDArray[np.uint8], box_xyxy: Array, *, strength: float) -> None:
    """Darken `image` (H, W, 3) in place at the feet of a figure."""
    height, width = image.shape[:2]
    left, top, right, bottom = box_xyxy.tolist()
    small = np.zeros((height // 4 + 1, width // 4 + 1), dtype=np.uint8)
    middle = (int((left + right) / 8), int((bottom - 0.02 * (bottom - top)) / 4))
    axes = (int(0.6 * (right - left) / 4) + 1, int(0.05 * (bottom - top) / 4) + 1)
    cv2.ellipse(small, middle, axes, 0, 0, 360, 255 * strength, -1)
    small = cv2.blur(small, (5, 5))
    dark = 255 - cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    cv2.multiply(image, cv2.merge([dark] * 3), dst=image, scale=1 / 255)


def draw_seat(
    rng: np.random.Generator, canvas: Canvas, hips: Array, *, scale: float, floor: float
) -> None:
    """Draw what a figure sits on: a block or a stool, from `hips` (2,) down to the row `floor`.

    All in pixels of the image; `scale` is a stature.
    """
    colour = NEUTRALS[int(rng.random() * len(NEUTRALS))]
    half, top = scale * rng.uniform(0.13, 0.24), hips[1] + 0.035 * scale
    floor = max(floor, top + 0.1 * scale)
    slab = top + 0.05 * scale
    _block(canvas, (hips[0] - half, top, hips[0] + half, slab), colour)
    if rng.random() < 0.5:
        _block(canvas, (hips[0] - half, slab, hips[0] + half, floor), 0.75 * colour)
        return
    for at in (-0.85, 0.85):
        leg = hips[0] + at * half
        _block(canvas, (leg - 0.012 * scale, slab, leg + 0.012 * scale, floor), 0.7 * colour)


def draw_occluder(rng: np.random.Generator, canvas: Canvas, box_xyxy: Array) -> None:
    """Draw something before the person in `box_xyxy`: table, crate, post, plant or edge."""
    left, top, right, bottom = box_xyxy.tolist()
    width, height = right - left, bottom - top
    u = rng.random(5).tolist()
    palette = SKINS if rng.random() < 0.15 else NEUTRALS
    colour = palette[int(rng.random() * 9)] * rng.uniform(0.8, 1.15)
    middle = left + width * u[0]
    if u[1] < 0.3:  # a table or a wall before the legs
        line, reach = bottom - height * (0.12 + 0.38 * u[2]), width * (0.5 + 0.8 * u[3])
        edge = line + max(0.03 * height, 1.0)
        _block(canvas, (middle - reach, line, middle + reach, edge), 1.15 * colour)
        if u[4] < 0.6:
            box = (middle - 0.95 * reach, edge, middle + 0.95 * reach, bottom + 0.1 * height)
            _block(canvas, box, 0.8 * colour)
        else:
            for at in (-0.9, 0.9):
                x, thin = middle + at * reach, 0.02 * height
                box = (x - thin, edge, x + thin, bottom + 0.05 * height)
                _block(canvas, box, 0.7 * colour)
    elif u[1] < 0.5:  # a crate or a case
        size, base = height * (0.12 + 0.22 * u[2]), bottom - height * 0.5 * u[3] ** 2
        _block(canvas, (middle - size, base - size, middle + size, base), colour)
        lid = (middle - size, base - 1.12 * size, middle + size, base - size)
        _block(canvas, lid, 1.2 * colour)
    elif u[1] < 0.75:  # a post or a trunk
        thick = height * (0.012 + 0.04 * u[2])
        box = (middle - thick, top - height * u[3], middle + thick, bottom + 0.1 * height)
        _block(canvas, box, colour)
    elif u[1] < 0.9:  # a plant
        base = bottom - height * 0.3 * u[2]
        for dx, dy, shade in rng.random((14, 3)).tolist():
            at = np.array([middle + 0.35 * height * (dx - 0.5), base - 0.3 * height * (dy - 0.4)])
            green = [(45 + 50 * shade), (80 + 70 * shade), (35 + 35 * shade), NOBODY]
            radius = int(2 * height * (0.02 + 0.03 * shade))
            cv2.circle(canvas, (2 * at).astype(int).tolist(), radius, green, -1)
    else:  # the edge of something near
        side = canvas.shape[1] / 2 if u[2] < 0.5 else 0.0
        x = right - 0.35 * width * u[3] if side else left + 0.35 * width * u[3]
        far = canvas.shape[0] / 2
        _block(canvas, (min(x, side), 0.0, max(x, side), far), 0.6 * colour)


def _block(canvas: Canvas, box_xyxy: tuple[float, float, float, float], colour: Array) -> None:
    """Fill a box, lit from its left side to its right."""
    left, upper, right, lower = (round(2 * v) for v in box_xyxy)
    strips = 4
    for i in range(strips):
        shade = (colour * (1.08 - 0.08 * i)).clip(0, 255)
        x = (left + (right - left) * i // strips, left + (right - left) * (i + 1) // strips)
        cv2.rectangle(canvas, (x[0], upper), (x[1], lower), [*shade.tolist(), NOBODY], -1)
