"""Backgrounds, and the things in them that look a little like limbs but are not."""

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.synthetic.body import Array
from evopose.data.synthetic.outfit import NEUTRALS, SKINS, sample_cloth

Image = NDArray[np.uint8]
Colour = list[float]

_TILE = 640


def draw_background(rng: np.random.Generator, height: int, width: int, horizon: int) -> Image:
    """Return a background (H, W, 3): a place whose ground begins at the row `horizon`, its
    clutter, texture, and more or less focus."""
    image = np.empty((height, width, 3), dtype=np.uint8)
    places = list(PLACES.values())
    places[int(rng.random() * len(places))](rng, image, horizon)
    for _ in range(int(rng.random() ** 2 * 10)):
        _clutter(rng, image)
    image = textured(rng, image, strength=rng.uniform(0.04, 0.28), zoom=rng.uniform(0.6, 2.0))
    if rng.random() < 0.5:
        sigma = rng.uniform(0.4, 2.5) * height / 256
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)
    return image


def textured(rng: np.random.Generator, image: Image, *, strength: float, zoom: float) -> Image:
    """Return `image` times cloud-like noise of the given strength around 1."""
    height, width = image.shape[:2]
    rows, columns = (min(int(zoom * side), _TILE) for side in (height, width))
    top, left = (int(rng.random() * (_TILE - side + 1)) for side in (rows, columns))
    part = _clouds()[top : top + rows, left : left + columns]
    stretched = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)
    factor = cv2.convertScaleAbs(stretched, alpha=strength, beta=128 * (1 - strength))
    return np.asarray(cv2.multiply(image, cv2.merge([factor] * 3), scale=1 / 128), dtype=np.uint8)


@lru_cache(maxsize=1)
def _clouds() -> Image:
    """Return the one (640, 640) sheet of noise, mean 128, from which textures are cut."""
    rng = np.random.default_rng(20201116)
    total = np.zeros((_TILE, _TILE), dtype=np.float32)
    for cells, weight in ((10, 1.0), (40, 0.8), (160, 0.7), (640, 0.6)):
        noise = rng.standard_normal((cells, cells)).astype(np.float32)
        total += weight * cv2.resize(noise, (_TILE, _TILE), interpolation=cv2.INTER_CUBIC)
    total = 128 + 50 * (total - total.mean()) / total.std()
    return np.asarray(total.clip(0, 255), dtype=np.uint8)


def _gradient(image: Image, top: int, bottom: int, one: Array, two: Array) -> None:
    """Fill the rows from `top` to `bottom` with a blend of two colours."""
    if bottom > top:
        share = np.linspace(0, 1, bottom - top)[:, None]
        image[top:bottom] = (one + share * (two - one)).clip(0, 255).astype(np.uint8)[:, None]


def _room(rng: np.random.Generator, image: Image, horizon: int) -> None:
    height, width = image.shape[:2]
    wall, floor = _soft(rng), NEUTRALS[9] * rng.uniform(0.7, 1.3)
    _gradient(image, 0, horizon, wall, 0.9 * wall)
    _gradient(image, horizon, height, 0.8 * floor, floor)
    for _ in range(int(rng.random() * 4)):
        left, right = np.sort(rng.random(2) * width).astype(int).tolist()
        low = horizon if rng.random() < 0.4 else int(horizon * rng.uniform(0.6, 0.9))
        high = int(horizon * rng.uniform(0.05, 0.5))
        cv2.rectangle(image, (left, high), (right, low), (0.55 * wall).tolist(), -1)
        inner = _soft(rng) if rng.random() < 0.7 else np.array([205.0, 222, 240])
        cv2.rectangle(image, (left + 2, high + 2), (right - 2, low - 2), inner.tolist(), -1)
    board = max(height // 60, 1)
    cv2.rectangle(image, (0, horizon - board), (width, horizon), (0.7 * wall).tolist(), -1)
    if rng.random() < 0.5:
        _boards(rng, image, horizon, (0.7 * floor).tolist())


def _boards(rng: np.random.Generator, image: Image, horizon: int, colour: Colour) -> None:
    """Draw lines on the ground that meet behind the horizon."""
    height, width = image.shape[:2]
    vanish = (int(rng.uniform(0, width)), horizon - height // 3)
    for foot in np.linspace(-width, 2 * width, int(rng.uniform(8, 20))).astype(int).tolist():
        share = 1 / (1 + (height - horizon) / (height // 3))
        start = (int(vanish[0] + share * (foot - vanish[0])), horizon)
        cv2.line(image, start, (foot, height), colour, 1, cv2.LINE_AA)


def _street(rng: np.random.Generator, image: Image, horizon: int) -> None:
    height, width = image.shape[:2]
    _sky(rng, image, horizon)
    left = -int(rng.random() * width / 3)
    while left < width:
        right = left + int(width * rng.uniform(0.15, 0.5))
        top, face = int(horizon * rng.uniform(-0.2, 0.7)), _soft(rng)
        cv2.rectangle(image, (left, top), (right, horizon), face.tolist(), -1)
        step, pane = max(int(width * rng.uniform(0.04, 0.09)), 4), (0.55 * face).tolist()
        for x in range(left + step // 2, right - step // 2, step):
            for y in range(top + step // 2, horizon - step, int(1.4 * step)):
                cv2.rectangle(image, (x, y), (x + step // 2, y + (3 * step) // 4), pane, -1)
        left = right + int(rng.random() ** 3 * width / 4)
    grey = np.full(3, rng.uniform(80, 150))
    _gradient(image, horizon, height, 0.85 * grey, grey)
    kerb = horizon + int((height - horizon) * rng.uniform(0.1, 0.5))
    cv2.line(image, (0, horizon), (width, kerb), (1.3 * grey).clip(0, 255).tolist(), 2, cv2.LINE_AA)


def _nature(rng: np.random.Generator, image: Image, horizon: int) -> None:
    height, width = image.shape[:2]
    _sky(rng, image, horizon)
    green = np.array([rng.uniform(60, 120), rng.uniform(95, 150), rng.uniform(40, 75)])
    x = np.linspace(-10, width + 10, 9)
    hills = horizon - height * rng.uniform(0.02, 0.18) * rng.random(9)
    outline = np.vstack([np.column_stack([x, hills]), [(width + 10, height), (-10, height)]])
    cv2.fillPoly(image, [outline.astype(np.int32)], (0.8 * green + 25).tolist())
    _gradient(image, horizon, height, 0.85 * green, 1.1 * green)
    for _ in range(int(rng.random() * 5)):
        at, foot = int(rng.random() * width), horizon + int(rng.uniform(0, 0.1) * height)
        size = height * rng.uniform(0.08, 0.22)
        trunk = (int(at - size / 12), int(foot - 1.6 * size)), (int(at + size / 12), foot)
        cv2.rectangle(image, *trunk, (70.0, 52.0, 38.0), -1)
        for dx, dy, r in (rng.random((7, 3)) * (1.6, 1.2, 0.4) + (-0.8, -0.6, 0.35)).tolist():
            crown = (int(at + size * dx), int(foot - size * (1.9 + dy)))
            cv2.circle(image, crown, int(size * r), (green * (0.5 + 0.6 * r)).tolist(), -1)


def _court(rng: np.random.Generator, image: Image, horizon: int) -> None:
    height, width = image.shape[:2]
    ground = np.array([(70, 130, 60), (176, 100, 62), (60, 96, 150), (200, 186, 150)], float)
    colour = ground[int(rng.random() * 4)] * rng.uniform(0.8, 1.15)
    _gradient(image, 0, horizon, _soft(rng), _soft(rng))
    size = max(height // 40, 2)
    spots = rng.integers(30, 230, (max(horizon // size // 2, 1), max(width // size, 1), 3))
    rows = horizon * 2 // 3
    crowd = cv2.resize(spots.astype(np.uint8), (width, max(rows, 1)))
    image[: len(crowd)] = crowd // 2 + image[: len(crowd)] // 2
    _gradient(image, horizon, height, 0.9 * colour, colour)
    for _ in range(int(rng.random() * 4)):
        ends = (rng.random((2, 2)) * (width, height - horizon) + (0, horizon)).astype(int)
        start, end = ends.tolist()
        cv2.line(image, start, end, (235.0, 235.0, 230.0), max(height // 100, 1), cv2.LINE_AA)


def _studio(rng: np.random.Generator, image: Image, horizon: int) -> None:
    height = len(image)
    colour = _soft(rng)
    _gradient(image, 0, horizon, colour, 1.08 * colour)
    _gradient(image, horizon, height, 1.08 * colour, 0.85 * colour)


def _lights(rng: np.random.Generator, image: Image, horizon: int) -> None:
    height, width = image.shape[:2]
    dark = _soft(rng) * rng.uniform(0.15, 0.6)
    _gradient(image, 0, height, dark, dark * rng.uniform(0.7, 1.4))
    for x, y, r in rng.random((int(rng.uniform(8, 30)), 3)).tolist():
        spot = dark + (_soft(rng) - dark) * rng.uniform(0.2, 0.9)
        at = int(x * width), int((horizon if r < 0.7 else height) * y)
        cv2.circle(image, at, int(1 + height * 0.05 * r), spot.tolist(), -1, cv2.LINE_AA)


def _mess(rng: np.random.Generator, image: Image, horizon: int) -> None:
    """Fill the view with things of every shape and colour."""
    height, width = image.shape[:2]
    image[:] = _soft(rng).astype(np.uint8)
    image[horizon:] = _soft(rng).astype(np.uint8)
    shapes = rng.random((int(rng.uniform(10, 45)), 6))
    for x, y, a, b, turn, kind in shapes.tolist():
        colour = (_soft(rng) if kind < 0.6 else sample_cloth(rng)).tolist()
        axes = (1 + int(width * 0.35 * a * a), 1 + int(height * 0.3 * b * b))
        at = (int(x * width), int(y * height))
        if kind % 0.2 < 0.08:
            cv2.ellipse(image, at, axes, 180 * turn, 0, 360, colour, -1)
        else:
            corners = cv2.boxPoints((at, (2.0 * axes[0], 2.0 * axes[1]), 360 * round(turn, 1)))
            cv2.fillConvexPoly(image, corners.astype(np.int32), colour)


def _thicket(rng: np.random.Generator, image: Image, horizon: int) -> None:
    """Fill the view with leaves, rock or rubble: strong texture of two sizes."""
    height = len(image)
    green = rng.random() < 0.5
    tone = np.array([90.0, 120, 60] if green else _soft(rng))
    _gradient(image, 0, height, tone * rng.uniform(0.5, 1.3), tone * rng.uniform(0.5, 1.3))
    if rng.random() < 0.3:
        _sky(rng, image, horizon)
    for zoom in (rng.uniform(0.15, 0.5), rng.uniform(0.8, 2.0)):
        image[:] = textured(rng, image, strength=rng.uniform(0.3, 0.9), zoom=zoom)


PLACES: dict[str, Callable[[np.random.Generator, Image, int], None]] = {
    "room": _room,
    "street": _street,
    "nature": _nature,
    "court": _court,
    "studio": _studio,
    "lights": _lights,
    "mess": _mess,
    "thicket": _thicket,
}
"""Name -> what draws it; the horizon is a row of the image."""


def _sky(rng: np.random.Generator, image: Image, horizon: int) -> None:
    blue = np.array([rng.uniform(90, 190), rng.uniform(140, 205), rng.uniform(190, 245)])
    _gradient(image, 0, horizon, blue, 0.5 * blue + 115)


def _clutter(rng: np.random.Generator, image: Image) -> None:
    """Draw a pole, a branch or a disc, as often as not in a colour that people have."""
    height, width = image.shape[:2]
    colour = (SKINS if rng.random() < 0.3 else NEUTRALS)[int(rng.random() * 9)]
    u = rng.random(6).tolist()
    start, thick = np.array([u[0] * width, u[1] * height]), height * (0.008 + 0.03 * u[2])
    if u[3] < 0.2:
        at = (int(start[0]), int(start[1]))
        cv2.circle(image, at, int(1.5 * thick), colour.tolist(), -1, cv2.LINE_AA)
        return
    angle = np.pi / 2 if u[3] < 0.5 else 2 * np.pi * u[4]
    for _ in range(1 if u[3] < 0.6 else 3):
        along = np.array([np.cos(angle), np.sin(angle)])
        end, side = start + along * height * (0.1 + 0.3 * u[5]), thick * along[::-1] * (-1, 1)
        corners = np.array([start + side, start - side, end - 0.7 * side, end + 0.7 * side])
        cv2.fillConvexPoly(image, corners.astype(np.int32), colour.tolist(), cv2.LINE_AA)
        start, thick, angle = end, 0.7 * thick, angle + rng.uniform(-0.8, 0.8)


def _soft(rng: np.random.Generator) -> Array:
    """Return the colour of a wall: light or middling, seldom strong."""
    grey, tint = rng.uniform(70, 225), rng.standard_normal(3)
    return (grey + rng.uniform(4, 28) * tint).clip(20, 245)
