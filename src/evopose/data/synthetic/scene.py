"""Scenes: people in a place, under a light, through a camera, with their keypoints."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.synthetic.background import Image, draw_background
from evopose.data.synthetic.body import Array, rotations
from evopose.data.synthetic.camera import photographed, sample_light, under
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

    Raises: ConfigError for empty ranges, shares outside 0 to 1, too many persons.
    """

    height: tuple[int, int] = (160, 256)
    width: tuple[int, int] = (128, 256)
    """Least and largest size of the images in pixels."""
    persons: tuple[int, int] = (1, 3)
    """Least and largest number of persons; fewer are likelier than more."""
    occluders: float = 0.3
    """Share of scenes with something before a person."""
    cropped: float = 0.3
    """Share of persons so near that the image cuts them."""
    degraded: float = 0.5
    """Share of scenes with blur, or with compression like a bad JPEG's."""

    def __post_init__(self) -> None:
        for name, least in (("height", 32), ("width", 32), ("persons", 1)):
            low, high = getattr(self, name)
            if not least <= low <= high:
                raise ConfigError(
                    f"{name} must be (low, high), {least} <= low <= high; got {low, high}"
                )
        if self.persons[1] > MOST_PERSONS:
            raise ConfigError(
                f"a scene holds {MOST_PERSONS} persons at most, got {self.persons[1]}"
            )
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
        return np.asarray(project(points, self.distance) * self.scale + self.offset)

    @property
    def box_xyxy(self) -> Array:
        return np.asarray(self.unplaced_box * self.scale + np.tile(self.offset, 2))


def draw_scene(seed: int, index: int, config: SceneConfig = SceneConfig()) -> Scene:
    """Return scene `index` of the endless series `seed`: the same bytes wherever it is drawn."""
    rng = np.random.default_rng((seed, index))
    height, width = (int(rng.integers(r[0], r[1] + 1)) for r in (config.height, config.width))
    least, most = config.persons
    count = least + int((most - least + 1) * rng.random() ** 1.8)
    light = sample_light(rng)
    horizon = int(height * rng.uniform(0.28, 0.72))
    image = under(light, draw_background(rng, height, width, horizon))
    placed = _place(rng, count, (height, width), horizon, config)
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
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    image = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGBA2RGB), dtype=np.uint8)
    image = photographed(rng, image, config.degraded)
    return Scene(image=image, persons=tuple(p for p in persons if p is not None))


def _place(
    rng: np.random.Generator,
    count: int,
    image_hw: tuple[int, int],
    horizon: int,
    config: SceneConfig,
) -> list[_Placed]:
    """Return figures with their places, the farthest (smallest) first."""
    height, width = image_hw
    pitch, roll = rng.uniform(-6, 22), 3.0 * rng.standard_normal()
    sizes = height * rng.uniform(0.5, 1.0, count) * np.where(np.arange(count), 0.85, 1.0)
    sizes *= np.where(rng.random(count) < config.cropped, rng.uniform(1.2, 2.2, count), 1.0)
    placed: list[_Placed] = []
    for size in np.sort(sizes).tolist():
        fallen = (90.0 if rng.random() < 0.5 else -90.0) if rng.random() < 0.035 else 0.0
        yaw = 42 * rng.standard_normal() if rng.random() < 0.6 else rng.uniform(-180, 180)
        tilt, turn = rotations(np.array([[pitch, 0, roll + fallen], [0, yaw, 0]]))
        figure = make_figure(rng, sample_pose(rng), tilt @ _FACING @ turn, sides=_sides(size))
        distance = float(rng.uniform(2.6, 8.0))
        x, y = np.ascontiguousarray(project(figure.points, distance).T)
        box = np.array([x.min(), y.min(), x.max(), y.max()])
        scale = min(size, 1.15 * max(width, 0.55 * size) / float(box[2] - box[0]))
        offset = _offset(rng, scale * box, image_hw, horizon, placed)
        placed.append(
            _Placed(figure=figure, distance=distance, scale=scale, offset=offset, unplaced_box=box)
        )
    return placed


def _sides(size: float) -> int:
    """Return how many sides a limb needs to look round on a figure of `size` pixels."""
    return 8 if size < 130 else 16 if size < 260 else 32


def _offset(
    rng: np.random.Generator,
    box: Array,
    image_hw: tuple[int, int],
    horizon: int,
    others: list[_Placed],
) -> Array:
    """Return where to put a figure: inside and on the ground, one too tall by its upper part, and
    often near another one."""
    height, width = image_hw
    left, top, right, bottom = box.tolist()
    room_x, room_y = width - (right - left), height - (bottom - top)
    x = rng.uniform(min(0.0, room_x), max(0.0, room_x)) - left
    if others and rng.random() < 0.5:
        there = others[-1].box_xyxy
        x = rng.uniform(there[0], there[2]) - (left + right) / 2
        x = min(max(x, -left - 0.3 * (right - left)), width - right + 0.3 * (right - left))
    ground = max(horizon + 0.04 * height - (bottom - top), 0.0)
    y = rng.uniform(min(ground, room_y), room_y) if room_y > 0 else 0.25 * room_y * rng.random()
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
    xy = one.to_image(one.figure.keypoints)
    seen = visibility(canvas, xy, one.figure, number)
    if (seen == 2).sum() < 3:
        return None
    first = number * PARTS
    mask = cv2.inRange(canvas[..., 3], first, first + PARTS - 1)
    x, y, w, h = cv2.boundingRect(mask)
    labelled = xy[seen > 0]
    low = np.minimum(np.array([x, y]) / 2 - 0.5, labelled.min(axis=0))
    high = np.maximum(np.array([x + w, y + h]) / 2 - 0.5, labelled.max(axis=0))
    keypoints = np.column_stack([xy, seen]) * (seen > 0)[:, None]
    return Person(
        keypoints=keypoints.astype(np.float32),
        box_xyxy=np.concatenate([low, high]),
        area=cv2.countNonZero(mask) / 4,
    )
