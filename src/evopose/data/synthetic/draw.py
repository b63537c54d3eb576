"""Drawing a figure into a canvas, and which of its keypoints show.

Figures are drawn polygon by polygon from back to front into a canvas of twice the image's size
whose fourth channel says which part of whom is on top: visibility is read from it.
"""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.synthetic.body import FOOT, FOREARM, HAND, SHANK, THIGH, UPPER_ARM, Array
from evopose.data.synthetic.figure import Figure
from evopose.data.synthetic.mesh import PART_HEAD, PART_SKIRT, PART_TRUNK

Canvas = NDArray[np.uint8]
"""(2 H, 2 W, 4): R, G, B, and who is on top: `PARTS` values a person, or `NOBODY`."""

PARTS = 20
NOBODY = 255


@dataclass(frozen=True, kw_only=True)
class Light:
    """Light on a scene."""

    direction: Array
    """(3,) unit vector towards the light, in camera coordinates."""
    key: Array
    ambient: Array
    """(3,) each: RGB strength of the directed and of the surrounding light."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """What sees one figure."""

    SHIFT: ClassVar[int] = 3
    """Corners are given to OpenCV in fractions of a canvas pixel, with so many binary digits."""

    distance: float
    """From the hips, in statures of an average adult."""
    scale: float
    """Pixels of the image a stature, at that distance."""
    offset: Array
    """(2,) where the hips' middle is seen, in pixels of the image."""

    def to_image(self, points: Array) -> Array:
        """Return (..., 2) where `points` (..., 3) are seen, in pixels of the image."""
        return np.asarray(project(points, self.distance) * self.scale + self.offset)

    def to_canvas(self, points: Array) -> NDArray[np.int32]:
        """Return (..., 2) where `points` (..., 3) are seen, in eighths of a canvas pixel."""
        pixels = (2 * self.to_image(points) + 0.5).clip(-4000, 4000)
        fixed: NDArray[np.int32] = np.rint(pixels * (1 << self.SHIFT)).astype(np.int32)
        return fixed


def empty_canvas(background: NDArray[np.uint8]) -> Canvas:
    """Return a canvas with `background` (H, W, 3) on it and nobody."""
    height, width = background.shape[:2]
    canvas = cv2.cvtColor(background, cv2.COLOR_RGB2RGBA)  # the fourth channel is 255: NOBODY
    canvas = cv2.resize(canvas, (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(canvas, dtype=np.uint8)


def project(points: Array, distance: float) -> Array:
    """Return (..., 2) where a camera `distance` before the hips sees `points` (..., 3)."""
    return np.asarray(points[..., :2] * (distance / (distance + points[..., 2:])))


def draw_figure(
    canvas: Canvas, figure: Figure, light: Light, camera: Camera, *, number: int
) -> None:
    """Draw `figure` as the scene's person `number`."""
    points, face = camera.to_canvas(figure.points), camera.to_canvas(figure.face)
    quads = points[figure.corners]
    seen = np.flatnonzero((figure.two_sided | (_turn(quads) > 0)) & _inside(quads, canvas))
    seen_face = np.flatnonzero(figure.face_two_sided | (_turn(face[:, ::2]) > 0))
    corners = figure.face[seen_face]
    normals = np.concatenate([figure.normals[seen], _normals(corners[:, ::2])])
    colours = np.concatenate([figure.colours[seen], figure.face_colours[seen_face]])
    parts = np.concatenate([figure.parts[seen], figure.face_parts[seen_face]])
    fills = np.column_stack([_lit(normals, colours, light), number * PARTS + parts]).tolist()
    depth = np.concatenate(
        [
            figure.points[:, 2][figure.corners[seen]] @ _QUARTERS,
            corners[:, :, 2] @ _EIGHTHS - figure.face_nearer[seen_face],
        ]
    )
    polygons = [*quads[seen], *face[seen_face]]
    fill, line, shift = cv2.fillConvexPoly, cv2.LINE_8, Camera.SHIFT
    for i in np.argsort(-depth, kind="stable").tolist():
        fill(canvas, polygons[i], fills[i], line, shift)


_QUARTERS, _EIGHTHS = np.full(4, 1 / 4), np.full(8, 1 / 8)


def _inside(quads: NDArray[np.int32], canvas: Canvas) -> NDArray[np.bool_]:
    """Return (N,) whether quads (N, 4, 2) of an ordinary size can touch the canvas."""
    height, width = canvas.shape[:2]
    x, y = quads[:, 0, 0], quads[:, 0, 1]
    reach = 1 + int(
        np.abs(quads[:, 2] - quads[:, 0]).max() + np.abs(quads[:, 3] - quads[:, 1]).max()
    )
    unit = 1 << Camera.SHIFT
    return np.asarray(
        (x > -reach) & (x < width * unit + reach) & (y > -reach) & (y < height * unit + reach)
    )


def _turn(quads: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return (N,) above 0 where the corners (N, 4, 2) go round as the camera sees outsides."""
    x, y = quads[..., 0], quads[..., 1]
    return np.asarray(
        (x[:, 2] - x[:, 0]) * (y[:, 3] - y[:, 1]) - (y[:, 2] - y[:, 0]) * (x[:, 3] - x[:, 1])
    )


def _normals(quads: Array) -> Array:
    """Return outward normals (N, 3), not of unit length, of quads (N, 4, 3)."""
    (x1, y1, z1), (x2, y2, z2) = (quads[:, 2] - quads[:, 0]).T, (quads[:, 3] - quads[:, 1]).T
    return np.stack([y2 * z1 - z2 * y1, z2 * x1 - x2 * z1, x2 * y1 - y2 * x1], axis=1)


def _lit(normals: Array, colours: Array, light: Light) -> Array:
    """Return the colours (N, 3) of surfaces that face along `normals` (N, 3) under `light`."""
    length = np.sqrt(np.einsum("ij,ij->i", normals, normals)) + 1e-12
    unit = normals / np.where(normals[:, 2] > 0.3 * length, -length, length)[:, None]
    towards = np.minimum(np.maximum((unit @ light.direction + 0.2) / 1.2, 0), 1)[:, None]
    sky = (0.75 - 0.25 * unit[:, 1])[:, None]
    edge = (0.72 + 0.28 * np.sqrt(np.maximum(-unit[:, 2], 0)))[:, None]
    lit = colours * edge * (light.ambient * sky + light.key * towards)
    return np.asarray(np.minimum(np.maximum(lit, 0), 255))


_BOTH = (PART_TRUNK, PART_SKIRT)
_OWN_PARTS: tuple[tuple[int, ...], ...] = (
    *[(PART_HEAD,)] * 5,
    *[(PART_TRUNK, UPPER_ARM + s) for s in (0, 1)],
    *[(UPPER_ARM + s, FOREARM + s) for s in (0, 1)],
    *[(FOREARM + s, HAND + s) for s in (0, 1)],
    *[(*_BOTH, THIGH + s) for s in (0, 1)],
    *[(PART_SKIRT, THIGH + s, SHANK + s) for s in (0, 1)],
    *[(SHANK + s, FOOT + s) for s in (0, 1)],
)
"""For each keypoint the parts that show it where they are on top."""

_OWN = np.array([np.isin(np.arange(PARTS), parts) for parts in _OWN_PARTS])
_OWN_TURNED = _OWN & ~np.isin(np.arange(PARTS), _BOTH)
_OWN_TURNED[:5] = False
"""(17, PARTS): the same as flags, and what is left where the side is turned away."""
_AROUND = np.array([(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)])


def visibility(canvas: Canvas, keypoints: Array, figure: Figure, number: int) -> NDArray[np.int64]:
    """Return COCO's visibility (17,): 0 out of the image, 1 hidden by whatever is there, 2 seen.

    `keypoints` (17, 2) in pixels of the image.
    """
    most = np.array(canvas.shape[:2])
    inside = ((keypoints >= 0) & (keypoints <= most[::-1] // 2 - 1)).all(axis=1)
    centre = np.rint(2 * keypoints[inside, ::-1] + 0.5).astype(int)
    rows, columns = (centre[:, None] + _AROUND).clip(0, most - 1).transpose(2, 0, 1)
    part = canvas[rows, columns, 3].astype(int) - number * PARTS
    own = np.where(figure.shows[:, None], _OWN, _OWN_TURNED)[inside]
    of_own = np.take_along_axis(own, part.clip(0, PARTS - 1), axis=1)
    seen = (of_own & (part >= 0) & (part < PARTS)).any(axis=1)
    out = np.zeros(17, dtype=np.int64)
    out[inside] = np.where(seen, 2, 1)
    return out
