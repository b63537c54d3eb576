"""Scenes: people in a place, under a light, through a camera, with their keypoints."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.synthetic.background import Image, draw_background, textured
from evopose.data.synthetic.body import Array, rotations
from evopose.data.synthetic.draw import (
    NOBODY,
    PARTS,
    Canvas,
    Light,
    draw_figure,
    empty_canvas,
    project,
    visibility,
)
from evopose.data.synthetic.figure import Figure, make_figure
from evopose.data.synthetic.pose import sample_pose
from evopose.data.synthetic.props import draw_occluder, draw_seat, draw_shadow
from evopose.errors import ConfigError

MOST_PERSONS = NOBODY // PARTS
_FACING = np.diag([1.0, -1.0, -1.0])  # from body to camera coordinates for who faces the camera


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """What scenes are drawn of.

    Raises: ConfigError for empty ranges, shares outside 0 to 1, or more persons than `MOST_PERSONS`.
    """

    height: tuple[int, int] = (160, 256)
    width: tuple[int, int] = (128, 256)
    """Least and largest size of the images in pixels."""
    persons: tuple[int, int] = (1, 3)
    """Least and largest number of persons; fewer are likelier than more."""
    occluders: float = 0.3
    """Share of scenes with something before a person."""
    cropped: float = 0.2
    """Share of persons so near that the image cuts them."""
    degraded: float = 0.5
    """Share of scenes with blur, or with compression like a bad JPEG's."""

    def __post_init__(self) -> None:
        for name, least in (("height", 32), ("width", 32), ("persons", 1)):
            low, high = getattr(self, name)
            if not least <= low <= high:
                raise ConfigError(f"{name} must be (low, high), {least} <= low <= high; got {low, high}")
        if self.persons[1] > MOST_PERSONS:
            raise ConfigError(f"a scene holds {MOST_PERSONS} persons at most, got {self.persons[1]}")
        for name in ("occluders", "cropped", "degraded"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be a share from 0 to 1, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Person:
    """One labelled person of a scene."""

    keypoints: NDArray[np.float32]
    """(17, 3): x, y in pixels and COCO's visibility; zeros outside the image."""
    box_xyxy: NDArray[np.float64]
    """(4,) around what is seen of the person and the labelled keypoints, inside the image."""
    area: float
    """Square pixels of the person that are seen, as COCO's segmentations count them."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An image and the people in it."""

    image: Image
    """(H, W, 3) RGB."""
    persons: tuple[Person, ...]
    """From back to front. Who shows fewer than three keypoints is scenery and not listed."""


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """A figure and the camera that sees it."""

    figure: Figure
    distance: float
    scale: float
    offset: Array
    unplaced_box: Array
    """(4,) at scale 1 and offset 0."""

    def to_image(self, points: Array) -> Array:
        return project(points, self.distance) * self.scale + self.offset

    @property
    def box_xyxy(self) -> Array:
        return self.unplaced_box * self.scale + np.tile(self.offset, 2)


def draw_scene(seed: int, index: int, config: SceneConfig = SceneConfig()) -> Scene:
    """Return scene `index` of the endless series `seed`: the same bytes wherever it is drawn."""
    rng = np.random.default_rng((seed, index))
    height, width = (int(rng.integers(r[0], r[1] + 1)) for r in (config.height, config.width))
    least, most = config.persons
    count = least + int((most - least + 1) * rng.random() ** 1.8)
    light = _sample_light(rng)
    image = draw_background(rng, height, width)
    image = _times(image, light.ambient + 0.75 * light.key)
    placed = _place(rng, count, height, width, config)
    for one in placed:
        if one.figure.support != "air":
            draw_shadow(image, one.box_xyxy, strength=0.5)
    canvas = empty_canvas(image)
    for number, one in enumerate(placed):
        _draw(rng, canvas, one, light, number)
    if rng.random() < config.occluders:
        target = placed[int(rng.random() * len(placed))]
        draw_occluder(rng, canvas, target.box_xyxy)
    persons = [_label(canvas, one, number) for number, one in enumerate(placed)]
    image = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    image = _photographed(rng, cv2.cvtColor(image, cv2.COLOR_RGBA2RGB), config)
    return Scene(image=image, persons=tuple(p for p in persons if p is not None))


def _sample_light(rng: np.random.Generator) -> Light:
    direction = np.array([rng.uniform(-1, 1), rng.uniform(-1.1, -0.1), rng.uniform(-1, 0.25)])
    warmth = rng.standard_normal(2)[:, None] * (0.05, 0.0, -0.06) + 1.0
    key = rng.uniform(0.25, 0.85)
    return Light(
        direction=direction / np.linalg.norm(direction),
        key=key * warmth[0],
        ambient=(0.98 - 0.62 * key) * rng.uniform(0.85, 1.1) * warmth[1],
    )


def _place(
    rng: np.random.Generator, count: int, height: int, width: int, config: SceneConfig
) -> list[_Placed]:
    """Return figures with their places, the farthest (smallest) first."""
    pitch, roll = rng.uniform(-6, 22), 3.0 * rng.standard_normal()
    sizes = np.sort(height * rng.uniform(0.5, 1.0, count) * np.where(np.arange(count), 0.85, 1))
    placed: list[_Placed] = []
    for size in sizes.tolist():
        fallen = (90.0 if rng.random() < 0.5 else -90.0) if rng.random() < 0.035 else 0.0
        yaw = 42 * rng.standard_normal() if rng.random() < 0.6 else rng.uniform(-180, 180)
        if rng.random() < config.cropped:
            size *= rng.uniform(1.2, 2.2)
        tilt, turn = rotations(np.array([[pitch, 0, roll + fallen], [0, yaw, 0]]))
        figure = make_figure(rng, sample_pose(rng), tilt @ _FACING @ turn, sides=_sides(size))
        distance = float(rng.uniform(2.6, 8.0))
        x, y = np.ascontiguousarray(project(figure.points, distance).T)
        box = np.array([x.min(), y.min(), x.max(), y.max()])
        scale = min(size, 1.15 * max(width, 0.55 * size) / float(box[2] - box[0]))
        offset = _offset(rng, scale * box, height, width, placed)
        placed.append(
            _Placed(
                figure=figure, distance=distance, scale=scale, offset=offset, unplaced_box=box
            )
        )
    return placed


def _sides(size: float) -> int:
    """Return how many sides a limb needs to look round on a figure of `size` pixels."""
    return 8 if size < 110 else 16 if size < 260 else 32


def _offset(
    rng: np.random.Generator, box: Array, height: int, width: int, others: list[_Placed]
) -> Array:
    """Return where to put a figure: mostly inside; a tall one by its head; often near another."""
    left, top, right, bottom = box.tolist()
    room_x, room_y = width - (right - left), height - (bottom - top)
    x = rng.uniform(min(0.0, room_x), max(0.0, room_x)) - left
    if others and rng.random() < 0.5:
        there = others[-1].box_xyxy
        x = rng.uniform(there[0], there[2]) - (left + right) / 2
        x = min(max(x, -left - 0.3 * (right - left)), width - right + 0.3 * (right - left))
    y = room_y * rng.random() ** 0.6 if room_y > 0 else -0.25 * room_y * -rng.random()
    slip = 0.03 * height * rng.standard_normal(2)
    return np.array([x, y - top]) + slip


def _draw(
    rng: np.random.Generator, canvas: Canvas, one: _Placed, light: Light, number: int
) -> None:
    figure = one.figure
    if figure.support == "seat":
        hips = one.to_image(figure.keypoints[11:13]).mean(axis=0)
        scale = one.scale * figure.stature
        draw_seat(rng, canvas, hips, scale=scale, floor=one.box_xyxy[3] - 0.03 * scale)
    draw_figure(
        canvas, figure, light,
        distance=one.distance, scale=one.scale, offset=one.offset, number=number,
    )  # fmt: skip


def _label(canvas: Canvas, one: _Placed, number: int) -> Person | None:
    height, width = canvas.shape[0] // 2, canvas.shape[1] // 2
    xy = one.to_image(one.figure.keypoints)
    seen = visibility(canvas, xy, one.figure, number)
    if (seen == 2).sum() < 3:
        return None
    first = number * PARTS
    mask = cv2.inRange(canvas[..., 3], first, first + PARTS - 1)
    x, y, w, h = cv2.boundingRect(mask)
    labelled = xy[seen > 0]
    low = np.minimum((np.array([x, y]) - 0.5) / 2 - 0.25, labelled.min(axis=0))
    high = np.maximum((np.array([x + w, y + h]) - 0.5) / 2 - 0.25, labelled.max(axis=0))
    edge = np.array([width, height]) - 0.5
    keypoints = np.column_stack([xy, seen]).astype(np.float32) * (seen > 0)[:, None]
    return Person(
        keypoints=keypoints.astype(np.float32),
        box_xyxy=np.concatenate([low.clip(-0.5, edge), high.clip(-0.5, edge)]),
        area=cv2.countNonZero(mask) / 4,
    )


def _photographed(rng: np.random.Generator, image: Image, config: SceneConfig) -> Image:
    """Return the image as a camera takes it: uneven light, grain, noise, blur, compression."""
    height, width = image.shape[:2]
    image = textured(rng, image, strength=rng.uniform(0.02, 0.07), zoom=rng.uniform(1.2, 2.0))
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    slope = rng.uniform(-0.22, 0.22, 2)
    gain = 1.0 + slope[0] * x + slope[1] * y - rng.uniform(0, 0.22) * (x * x + y * y)
    gain = (gain * rng.uniform(0.85, 1.3)).astype(np.float32)
    blur = rng.random() / config.degraded if config.degraded else 1.0
    if blur < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.3) * height / 256)
    elif blur < 0.7:
        image = cv2.filter2D(image, -1, _streak(rng, max(3, height // 40)))
    values = image * gain[..., None]
    noise = rng.uniform(0.5, 7.0)
    values += np.float32(noise) * _noise(rng, values.size).reshape(values.shape)
    image = values.clip(0, 255).astype(np.uint8)
    if 0.7 <= blur < 1.0:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(25, 75))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
    return image


def _streak(rng: np.random.Generator, most: int) -> Array:
    """Return the kernel of a moved camera."""
    size = 2 * int(rng.uniform(1, most / 2 + 1)) + 1
    kernel = np.zeros((size, size), dtype=np.float32)
    angle, middle = rng.uniform(0, np.pi), size // 2
    step = middle * np.array([np.cos(angle), np.sin(angle)])
    start, end = (middle - step).round().astype(int), (middle + step).round().astype(int)
    cv2.line(kernel, start.tolist(), end.tolist(), 1.0, 1)
    return kernel / kernel.sum()


def _times(image: Image, gain: Array) -> Image:
    table = np.arange(256)[:, None] * gain
    return np.asarray(cv2.LUT(image, table.clip(0, 255).astype(np.uint8)[None]))


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
