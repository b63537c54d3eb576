"""Light on a scene, and what a camera does to the picture of it."""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.synthetic.background import Image, textured
from evopose.data.synthetic.draw import Light

_GREY = np.tile([0.299, 0.587, 0.114], (3, 1))


def sample_light(rng: np.random.Generator) -> Light:
    """Return a light from above, warm or cold, hard or soft."""
    direction = np.array([rng.uniform(-1, 1), rng.uniform(-1.1, -0.1), rng.uniform(-1, 0.25)])
    warmth = rng.standard_normal(2)[:, None] * (0.05, 0.0, -0.06) + 1.0
    key = rng.uniform(0.25, 0.85)
    return Light(
        direction=direction / np.linalg.norm(direction),
        key=key * warmth[0],
        ambient=(0.98 - 0.62 * key) * rng.uniform(0.85, 1.1) * warmth[1],
    )


def backlit(rng: np.random.Generator, light: Light) -> Light:
    """Return what of `light` reaches people who stand before it: little."""
    share = rng.uniform(0.08, 0.45)
    return Light(direction=light.direction, key=share * light.key, ambient=share * light.ambient)


def under(light: Light, background: Image) -> Image:
    """Return `background` as `light` shows it."""
    gain = light.ambient + 0.75 * light.key
    table = np.arange(256)[:, None] * gain
    return np.asarray(
        cv2.LUT(background, table.clip(0, 255).astype(np.uint8)[None]), dtype=np.uint8
    )


def photographed(rng: np.random.Generator, image: Image, degraded: float) -> Image:
    """Return `image` as a camera takes it: uneven light, grain, noise; and, with the probability
    `degraded`, out of focus, shaken or badly compressed."""
    height, width = image.shape[:2]
    image = _developed(rng, image)
    image = textured(rng, image, strength=rng.uniform(0.02, 0.07), zoom=rng.uniform(1.2, 2.0))
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    slope = rng.uniform(-0.22, 0.22, 2)
    gain = 1.0 + slope[0] * x + slope[1] * y - rng.uniform(0, 0.22) * (x * x + y * y)
    gain = (gain * rng.uniform(0.85, 1.3)).astype(np.float32)
    values: NDArray[Any] = image * gain[..., None]
    blur = rng.random() / degraded if degraded else 1.0
    if blur < 0.5:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.4, 1.3) * height / 256)
    elif blur < 0.7:
        values = cv2.filter2D(values, -1, _streak(rng, max(3, height // 40)))
    noise = rng.uniform(0.5, 7.0)
    values = values + np.float32(noise) * _noise(rng, values.size).reshape(values.shape)
    image = values.clip(0, 255).astype(np.uint8)
    if 0.7 <= blur < 1.0:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(25, 75))]
        coded = cv2.imencode(".jpg", image, quality)[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return image


def _developed(rng: np.random.Generator, image: Image) -> Image:
    """Return `image` with its colours dull, strong or gone, its contrast weak or hard."""
    saturation = 0.0 if rng.random() < 0.08 else rng.uniform(0.5, 1.35)
    contrast = rng.uniform(0.75, 1.35)
    mixed = contrast * (saturation * np.eye(3) + (1 - saturation) * _GREY)
    shift = np.full((3, 1), (1 - contrast) * 115.0)
    return np.asarray(cv2.transform(image, np.hstack([mixed, shift])), dtype=np.uint8)


def _streak(rng: np.random.Generator, most: int) -> NDArray[np.float32]:
    """Return the kernel of a moved camera."""
    size = 2 * int(rng.uniform(1, most / 2 + 1)) + 1
    kernel = np.zeros((size, size), dtype=np.float32)
    angle, middle = rng.uniform(0, np.pi), size // 2
    step = middle * np.array([np.cos(angle), np.sin(angle)])
    start, end = (middle - step).round().astype(int), (middle + step).round().astype(int)
    cv2.line(kernel, start.tolist(), end.tolist(), 1.0, 1)
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def _noise(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Return `count` standard normal numbers, cut from a sheet: far faster than drawing them."""
    sheet = _noise_sheet()
    if count > len(sheet) // 2:
        return rng.standard_normal(count, dtype=np.float32)
    start = int(rng.random() * (len(sheet) - count))
    return sheet[start : start + count]


@lru_cache(maxsize=1)
def _noise_sheet() -> NDArray[np.float32]:
    return np.random.default_rng(20081446).standard_normal(1 << 20, dtype=np.float32)
