"""Where the people of a scene are, how they are turned, and what camera sees them."""

from dataclasses import dataclass

import numpy as np

from evopose.data.synthetic.body import Array, rotations
from evopose.data.synthetic.config import SceneConfig
from evopose.data.synthetic.draw import Camera, project
from evopose.data.synthetic.figure import Figure, make_figure
from evopose.data.synthetic.held import Thing, sample_thing
from evopose.data.synthetic.pose import Pose, sample_pose

_FACING = np.diag([1.0, -1.0, -1.0])  # from body to camera coordinates for who faces the camera


@dataclass(frozen=True, kw_only=True)
class Shot:
    """How the camera looks at a scene. Angles in degrees."""

    pitch: float
    """From above where positive."""
    steep: bool
    """Whether the pitch is out of the ordinary, so that the view of the prior's poses, in which
    ordinary cameras are contained, does not do."""
    roll: float
    close: bool
    """Whether the camera is near, and perspective strong."""
    group: bool

    def horizon(self, rng: np.random.Generator, height: int) -> int:
        """Return the row at which the ground begins."""
        level = rng.uniform(0.28, 0.72) - (self.pitch / 45 if self.steep else 0.0)
        return int(height * min(max(level, 0.0), 1.0))


def sample_shot(rng: np.random.Generator, config: SceneConfig) -> Shot:
    """Return how a scene is looked at."""
    steep = bool(rng.random() < 0.3)
    return Shot(
        pitch=float(rng.uniform(-30, 60) if steep else rng.uniform(-6, 22)),
        steep=steep,
        roll=float(3.0 * rng.standard_normal()),
        close=bool(rng.random() < 0.35),
        group=bool(rng.random() < config.groups),
    )


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A figure, the camera that sees it, and what it has."""

    figure: Figure
    thing: Thing | None
    camera: Camera
    unplaced_box: Array
    """(4,) at scale 1 and offset 0."""
    yaw: float

    @property
    def box_xyxy(self) -> Array:
        """(4,) around the figure, in pixels of the image."""
        return np.asarray(self.unplaced_box * self.camera.scale + np.tile(self.camera.offset, 2))


def place(
    rng: np.random.Generator,
    count: int,
    image_hw: tuple[int, int],
    horizon: int,
    shot: Shot,
    config: SceneConfig,
) -> list[Placed]:
    """Return figures with their places, the farthest (smallest) first."""
    placed: list[Placed] = []
    for size in np.sort(_sizes(rng, count, image_hw[0], shot, config)).tolist():
        other = placed[-1] if placed and shot.group else None
        pose = sample_pose(rng, config.acrobatics)
        root, yaw = _turn(rng, pose, shot, other)
        sides = _sides(size)
        figure = make_figure(rng, pose, root, sides=sides, coarse=sides < 8)
        thing = sample_thing(rng, figure) if rng.random() < config.things else None
        distance = float(rng.uniform(1.7, 4.0) if shot.close else rng.uniform(3.0, 9.0))
        x, y = np.ascontiguousarray(project(figure.points, distance).T)
        box = np.array([x.min(), y.min(), x.max(), y.max()])
        scale = _scale(size, box, image_hw)
        offset = _offset(rng, scale * box, image_hw, horizon, placed, other)
        camera = Camera(distance=distance, scale=scale, offset=offset)
        placed.append(Placed(figure=figure, thing=thing, camera=camera, unplaced_box=box, yaw=yaw))
    return placed


def _sizes(
    rng: np.random.Generator, count: int, height: int, shot: Shot, config: SceneConfig
) -> Array:
    """Return how many pixels a stature is for each person (count,)."""
    sizes = height * rng.uniform(0.5, 1.0, count) * np.where(np.arange(count), 0.85, 1.0)
    if shot.group:
        sizes = sizes[0] * rng.uniform(0.9, 1.08, count)
    near = (rng.random() if shot.group else rng.random(count)) < config.cropped
    return np.asarray(sizes * np.where(near, rng.uniform(1.2, 2.5, count), 1.0))


def _scale(size: float, box: Array, image_hw: tuple[int, int]) -> float:
    """Return pixels a stature: less than `size` where limbs reach so far that little would show."""
    wide, tall = (box[2:] - box[:2]).tolist()
    scale = min(size, 1.15 * max(image_hw[1], 0.55 * size) / wide)
    return float(min(scale, 1.1 * max(image_hw[0], size) / tall))


def _turn(
    rng: np.random.Generator, pose: Pose, shot: Shot, other: Placed | None
) -> tuple[Array, float]:
    """Return the root's rotation (3, 3) and the yaw in it."""
    if pose.view is None:
        yaw = 42 * rng.standard_normal() if rng.random() < 0.6 else rng.uniform(-180, 180)
        lean = np.array([shot.pitch, 0.0, shot.roll])
    else:
        yaw, pitch, roll = pose.view.tolist()
        lean = np.array([pitch + (shot.pitch if shot.steep else 0.0), 0.0, roll])
    if other is not None and rng.random() < 0.5:
        yaw = other.yaw + (180.0 if rng.random() < 0.6 else 0.0) + 25 * rng.standard_normal()
    tilt, turn = rotations(np.stack([lean, np.array([0.0, yaw, 0.0])]))
    return np.asarray(tilt @ _FACING @ turn), float(yaw)


def _sides(size: float) -> int:
    """Return how many sides a limb needs to look round on a figure of `size` pixels."""
    return next((sides for most, sides in ((110, 6), (160, 8), (320, 16)) if size < most), 32)


def _offset(
    rng: np.random.Generator,
    box: Array,
    image_hw: tuple[int, int],
    horizon: int,
    others: list[Placed],
    embraced: Placed | None,
) -> Array:
    """Return where to put a figure: inside and on the ground, one too tall by its upper part, and
    often near another one, or upon it."""
    height, width = image_hw
    left, top, right, bottom = box.tolist()
    room_x, room_y = width - (right - left), height - (bottom - top)
    x = rng.uniform(min(0.0, room_x), max(0.0, room_x)) - left
    ground = max(horizon + 0.04 * height - (bottom - top), 0.0)
    y = rng.uniform(min(ground, room_y), room_y) if room_y > 0 else 0.25 * room_y * rng.random()
    slip = 0.03 * height * rng.standard_normal(2)
    if embraced is not None:
        there, apart = embraced.camera, embraced.camera.scale * rng.uniform(0.05, 0.28)
        x = there.offset[0] + (apart if rng.random() < 0.5 else -apart)
        y = embraced.box_xyxy[3] - (bottom - top)
    elif others and rng.random() < 0.5:
        near = others[-1].box_xyxy
        x = rng.uniform(near[0], near[2]) - (left + right) / 2
    x = min(max(x, -left - 0.3 * (right - left)), width - right + 0.3 * (right - left))
    return np.array([x, y - top]) + slip
