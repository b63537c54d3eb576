"""Scenes: people in a place, under a light, through a camera, with their keypoints."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.synthetic.background import Image, draw_background, textured
from evopose.data.synthetic.camera import backlit, photographed, sample_light, under
from evopose.data.synthetic.config import SceneConfig
from evopose.data.synthetic.draw import (
    NOBODY,
    PARTS,
    Canvas,
    Light,
    draw_figure,
    empty_canvas,
    visibility,
)
from evopose.data.synthetic.held import draw_thing
from evopose.data.synthetic.place import Placed, place, sample_shot
from evopose.data.synthetic.props import draw_occluder, draw_seat, draw_shadow


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


def draw_scene(seed: int, index: int, config: SceneConfig = SceneConfig()) -> Scene:
    """Return scene `index` of the endless series `seed`: the same bytes wherever it is drawn."""
    rng = np.random.default_rng((seed, index))
    height, width = (int(rng.integers(r[0], r[1] + 1)) for r in (config.height, config.width))
    least, most = config.persons
    count = least + int((most - least + 1) * rng.random() ** 1.8)
    light, shot = sample_light(rng), sample_shot(rng, config)
    horizon = shot.horizon(rng, height)
    image = under(light, draw_background(rng, height, width, horizon))
    if rng.random() < 0.08:
        light = backlit(rng, light)
    placed = place(rng, count, (height, width), horizon, shot, config)
    flatness = 0.05 + 0.25 * np.sin(np.radians(max(shot.pitch, 0.0)))
    for one in placed:
        if one.figure.support in ("ground", "seat"):
            draw_shadow(image, one.box_xyxy, strength=0.5, flatness=flatness)
    canvas = empty_canvas(image)
    for number, one in enumerate(placed):
        _draw(rng, canvas, one, light, number)
    if rng.random() < config.occluders:
        target = placed[int(rng.random() * len(placed))]
        draw_occluder(rng, canvas, target.box_xyxy)
    persons = [_label(canvas, one, number) for number, one in enumerate(placed)]
    image = photographed(rng, _folded(rng, canvas), config.degraded)
    return Scene(image=image, persons=tuple(p for p in persons if p is not None))


def _draw(rng: np.random.Generator, canvas: Canvas, one: Placed, light: Light, number: int) -> None:
    figure, camera, thing = one.figure, one.camera, one.thing
    if figure.support == "seat":
        hips = camera.to_image(figure.keypoints[11:13]).mean(axis=0)
        scale = camera.scale * figure.stature
        draw_seat(rng, canvas, hips, scale=scale, floor=one.box_xyxy[3] - 0.03 * scale)
    gain = light.ambient + 0.6 * light.key
    if thing and thing.behind:
        draw_thing(canvas, thing, camera, gain)
    draw_figure(canvas, figure, light, camera, number=number)
    if thing and not thing.behind:
        draw_thing(canvas, thing, camera, gain)


def _folded(rng: np.random.Generator, canvas: Canvas) -> Image:
    """Return the image (H, W, 3) of a canvas, with folds and patterns on the people."""
    height, width = canvas.shape[0] // 2, canvas.shape[1] // 2
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    image = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGBA2RGB), dtype=np.uint8)
    strength, zoom = 0.45 * rng.random() ** 2, rng.uniform(0.8, 2.5)
    people = (canvas[::2, ::2, 3] != NOBODY).astype(np.uint8)
    return np.asarray(
        cv2.copyTo(textured(rng, image, strength=strength, zoom=zoom), people, image),
        dtype=np.uint8,
    )


def _label(canvas: Canvas, one: Placed, number: int) -> Person | None:
    xy = one.camera.to_image(one.figure.keypoints)
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
