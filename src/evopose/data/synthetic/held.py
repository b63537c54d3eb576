"""Things that people hold, wear, stand on or hang from.

Each is a few polygons in camera coordinates, in statures of an average adult; it is drawn before
or after its person, as it lies behind or in front of the trunk.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from evopose.data.synthetic.body import Array
from evopose.data.synthetic.draw import NOBODY, Camera, Canvas
from evopose.data.synthetic.figure import Figure
from evopose.data.synthetic.outfit import NEUTRALS, sample_cloth

_CIRCLE = 2 * np.pi * np.arange(12) / 12
_DISC = np.column_stack([np.cos(_CIRCLE), np.sin(_CIRCLE), np.zeros(12)])
_L_WRIST, _L_ANKLE = 9, 15


@dataclass(frozen=True, kw_only=True)
class Part:
    """One piece of a thing."""

    points: Array
    """(M, 3) a convex polygon, or the way of a line."""
    shade: float
    """What its thing's colour is multiplied with."""
    width: float = 0.0
    """Of a line; 0 for a polygon."""


@dataclass(frozen=True, kw_only=True)
class Grip:
    """Where a person can hold, wear or stand on things."""

    keypoints: Array
    """(17, 3)"""
    size: float
    """Stature."""

    @property
    def hand(self) -> Array:
        """The palm (3,) of the hand nearer to the camera."""
        side = _L_WRIST + int(self.keypoints[_L_WRIST, 2] > self.keypoints[_L_WRIST + 1, 2])
        return np.asarray(self.keypoints[side] + 0.06 * self.size * self.along(side))

    def along(self, wrist: int) -> Array:
        """The unit vector (3,) of the forearm to the wrist."""
        way = self.keypoints[wrist] - self.keypoints[wrist - 2]
        return np.asarray(way / (np.linalg.norm(way) + 1e-9))


@dataclass(frozen=True, kw_only=True)
class Thing:
    """What one person has."""

    parts: list[Part]
    colour: Array
    behind: bool


def sample_thing(rng: np.random.Generator, figure: Figure) -> Thing:
    """Return something that suits what the person does: a bar to hang from, a seat's wheels,
    or anything to hold, wear or stand on."""
    grip = Grip(keypoints=figure.keypoints, size=figure.stature)
    kinds = [_bar] if figure.support == "bar" else _BY_SUPPORT.get(figure.support, _ANYWHERE)
    parts = kinds[int(rng.random() * len(kinds))](rng, grip)
    depth = float(np.mean([part.points[:, 2].mean() for part in parts]))
    trunk = float(figure.keypoints[[5, 6, 11, 12], 2].mean())
    colour = (
        NEUTRALS[int(rng.random() * len(NEUTRALS))] if rng.random() < 0.5 else sample_cloth(rng)
    )
    return Thing(parts=parts, colour=colour, behind=depth > trunk + 0.02 * figure.stature)


def draw_thing(canvas: Canvas, thing: Thing, camera: Camera, gain: Array) -> None:
    """Draw `thing` as nobody's, lit by `gain` (3,)."""
    for part in thing.parts:
        fill = (*(thing.colour * part.shade * gain).clip(0, 255).tolist(), NOBODY)
        points = camera.to_canvas(part.points)
        if part.width:
            width = max(round(2 * part.width * camera.scale), 1)
            cv2.polylines(canvas, [points], False, fill, width, cv2.LINE_8, Camera.SHIFT)
        else:
            cv2.fillConvexPoly(canvas, points, fill, cv2.LINE_8, Camera.SHIFT)


def _ball(rng: np.random.Generator, grip: Grip) -> list[Part]:
    radius = grip.size * rng.uniform(0.04, 0.11)
    centre = grip.hand + (rng.random(3) - 0.5) * radius
    spot = 0.45 * radius * _DISC - (0.3 * radius, 0.3 * radius, 0)
    return [
        Part(points=centre + radius * _DISC, shade=0.9),
        Part(points=centre + spot, shade=1.25),
    ]


def _racket(rng: np.random.Generator, grip: Grip) -> list[Part]:
    way = _direction(rng)
    neck, middle = grip.hand + 0.16 * grip.size * way, grip.hand + 0.28 * grip.size * way
    turned = _oval(rng, way) * grip.size * (0.12, 0.085)
    ring = middle + _DISC[:, :1] * turned[:, 0] + _DISC[:, 1:2] * turned[:, 1]
    closed = np.vstack([ring, ring[:1]])
    return [
        Part(points=np.stack([grip.hand, neck]), shade=0.6, width=0.02),
        Part(points=closed, shade=1.0, width=0.015),
    ]


def _stick(rng: np.random.Generator, grip: Grip) -> list[Part]:
    way, ends = _direction(rng), grip.size * np.array([-rng.uniform(0, 0.4), rng.uniform(0.2, 0.9)])
    return [Part(points=grip.hand + ends[:, None] * way, shade=1.0, width=rng.uniform(0.01, 0.03))]


def _bag(rng: np.random.Generator, grip: Grip) -> list[Part]:
    width, height = grip.size * rng.uniform(0.05, 0.12), grip.size * rng.uniform(0.1, 0.24)
    strap = grip.size * rng.uniform(0.03, 0.2)
    top = _by(grip.hand, 0, strap)
    return [
        Part(points=np.stack([_by(top, -width), grip.hand, _by(top, width)]), shade=0.7,
             width=0.012),
        Part(points=_sheet(_by(top, 0, height / 2), width, height / 2), shade=1.0),
        Part(points=_sheet(_by(top, 0, height / 5), width, height / 5), shade=0.85),
    ]  # fmt: skip


def _phone(rng: np.random.Generator, grip: Grip) -> list[Part]:
    half = grip.size * np.array([0.018, 0.035])[:: 1 if rng.random() < 0.7 else -1]
    at = grip.hand - (0, 0.01, 0.01)
    return [
        Part(points=_sheet(at, *half.tolist()), shade=0.4),
        Part(points=_sheet(at, *(0.8 * half).tolist()), shade=1.3),
    ]


def _sheet_in_hands(rng: np.random.Generator, grip: Grip) -> list[Part]:
    """Return a box, a book, a tray or a board between the hands."""
    hands = grip.keypoints[_L_WRIST : _L_WRIST + 2]
    between = hands.mean(axis=0) if np.ptp(hands, axis=0).max() < 0.4 * grip.size else grip.hand
    width, height = grip.size * rng.uniform(0.04, 0.16, 2)
    return [
        Part(points=_sheet(between, width, height), shade=1.0),
        Part(points=_sheet(between - (0, 0.7 * height, 0), width, 0.3 * height), shade=1.2),
    ]


def _umbrella(rng: np.random.Generator, grip: Grip) -> list[Part]:
    radius, height = grip.size * rng.uniform(0.25, 0.4), grip.size * rng.uniform(0.3, 0.5)
    top = grip.hand - (0.05 * grip.size * rng.standard_normal(), height, 0)
    dome = top + radius * _DISC[6:] * (1, 0.5, 1)
    return [
        Part(points=np.stack([grip.hand, top]), shade=0.5, width=0.012),
        Part(points=np.vstack([dome, _by(top, radius)]), shade=1.0),
    ]


def _backpack(rng: np.random.Generator, grip: Grip) -> list[Part]:
    left, right, hips = *grip.keypoints[5:7], grip.keypoints[11:13].mean(axis=0)
    up = (left + right) / 2 - hips
    back = np.cross(left - right, up)
    back *= -0.12 * grip.size * rng.uniform(0.6, 1.3) / (np.linalg.norm(back) + 1e-9)
    across, low = 0.45 * (left - right), hips + 0.25 * up
    corners = np.stack([low - across, low + across, hips + up + across, hips + up - across]) + back
    return [Part(points=corners, shade=1.0), Part(points=0.5 * (corners + corners.mean(0)),
            shade=0.8)]  # fmt: skip


def _board(rng: np.random.Generator, grip: Grip) -> list[Part]:
    """Return a board or skis under the feet."""
    feet = grip.keypoints[_L_ANKLE : _L_ANKLE + 2]
    middle, way = feet.mean(axis=0), feet[0] - feet[1]
    if rng.random() < 0.5 or np.linalg.norm(way) < 0.08 * grip.size:
        way = np.array([1.0, 0.12 * rng.standard_normal(), rng.uniform(-1, 1)])
    way = way / np.linalg.norm(way) * grip.size * rng.uniform(0.2, 0.5)
    down = np.array([0, 0.06 * grip.size, 0])
    if rng.random() < 0.3:
        return [Part(points=np.stack([foot + down - way, foot + down + way]), shade=1.0, width=0.02)
                for foot in feet]  # fmt: skip
    thick = np.array([0, 0.025 * grip.size, 0])
    ends = np.stack([middle - way, middle + way, middle + 0.9 * way + thick,
                     middle - 0.9 * way + thick])  # fmt: skip
    return [Part(points=ends + down, shade=1.0)]


def _wheels(rng: np.random.Generator, grip: Grip) -> list[Part]:
    """Return something like a bicycle under who sits."""
    feet = grip.keypoints[_L_ANKLE : _L_ANKLE + 2].mean(axis=0)
    seat, hands = grip.keypoints[11:13].mean(axis=0), grip.keypoints[9:11].mean(axis=0)
    ahead = (hands - seat) * (1, 0, 1) + (1e-6, 0, 0)
    ahead /= np.linalg.norm(ahead)
    way = ahead * grip.size * rng.uniform(0.28, 0.36)
    radius = grip.size * rng.uniform(0.16, 0.21)
    circle = np.vstack([_DISC, _DISC[:1]])
    hubs = [_by(feet - way, 0, -0.02), _by(feet + way, 0, -0.02)]
    around = (ahead, np.array([0, 1.0, 0]))
    rims = [hub + radius * (circle[:, :1] * around[0] + circle[:, 1:2] * around[1]) for hub in hubs]
    frame = np.stack([hubs[0], _by(seat, 0, 0.05), _by(hands, 0, 0.06), hubs[1], feet, hubs[0]])
    return [*[Part(points=rim, shade=0.5, width=0.02) for rim in rims],
            Part(points=frame, shade=1.0, width=0.018)]  # fmt: skip


def _bar(rng: np.random.Generator, grip: Grip) -> list[Part]:
    """Return a bar through the hands, or two rings with ropes."""
    wrists = grip.keypoints[_L_WRIST : _L_WRIST + 2]
    hands = wrists + 0.06 * grip.size * np.stack([grip.along(_L_WRIST), grip.along(_L_WRIST + 1)])
    if rng.random() < 0.25:
        ropes = [np.stack([hand, hand - (0, 2 * grip.size, 0)]) for hand in hands]
        return [Part(points=rope, shade=1.0, width=0.012) for rope in ropes]
    middle, way = hands.mean(axis=0), (hands[0] - hands[1]) * (1, 1, 0.3) + (1e-6, 0, 0)
    way = way / np.linalg.norm(way) * grip.size * rng.uniform(0.4, 2.0)
    thick = rng.uniform(0.012, 0.03)
    return [Part(points=np.stack([middle - way, middle + way]), shade=1.0, width=thick)]


HELD: dict[str, Callable[[np.random.Generator, Grip], list[Part]]] = {
    "ball": _ball,
    "racket": _racket,
    "stick": _stick,
    "bag": _bag,
    "phone": _phone,
    "sheet": _sheet_in_hands,
    "umbrella": _umbrella,
    "backpack": _backpack,
    "board": _board,
    "wheels": _wheels,
    "bar": _bar,
}
"""Name -> the parts of a thing for a person."""

_ANYWHERE = [HELD[name] for name in ("ball", "racket", "stick", "bag", "phone", "sheet", "backpack",
                                     "board", "umbrella")]  # fmt: skip
_BY_SUPPORT = {
    "seat": [HELD[name] for name in ("wheels", "wheels", "phone", "sheet", "bag", "backpack")],
    "air": [HELD[name] for name in ("ball", "board", "stick", "racket", "backpack")],
}


def _by(point: Array, x: float, y: float = 0.0) -> Array:
    """Return the point (3,) moved to the right and down."""
    return np.asarray(point + np.array([x, y, 0.0]))


def _direction(rng: np.random.Generator) -> Array:
    way = rng.standard_normal(3) * (1, 1, 0.6)
    return np.asarray(way / (np.linalg.norm(way) + 1e-9))


def _oval(rng: np.random.Generator, way: Array) -> Array:
    """Return (3, 2): two unit vectors of a plane that holds `way`."""
    other = np.cross(way, _direction(rng))
    return np.stack([way, other / (np.linalg.norm(other) + 1e-9)], axis=1)


def _sheet(centre: Array, half_width: float, half_height: float) -> Array:
    x, y = half_width, half_height
    return np.asarray(centre + np.array([(-x, -y, 0), (x, -y, 0), (x, y, 0), (-x, y, 0)]))
