"""One figure: a person built, dressed and posed, as a surface of coloured quads."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from evopose.data.synthetic.body import HEAD, PELVIS, Array, articulate, keypoints_3d, sample_build
from evopose.data.synthetic.face import (
    FINE,
    NEARER,
    PARTS_OF_FACE,
    TWO_SIDED,
    face_colours,
    face_polygons,
)
from evopose.data.synthetic.mesh import (
    COARSE_TEMPLATES,
    PART_HAIR,
    PART_SKIRT,
    SEGMENTS,
    TEMPLATES,
    Flags,
    Indices,
    skirt_vertices,
    vertices,
)
from evopose.data.synthetic.outfit import sample_outfit
from evopose.data.synthetic.paint import paint
from evopose.data.synthetic.pose import Pose

SKIRT_ROWS = 6


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One person's surface in camera coordinates, in statures of an average adult."""

    points: Array
    """(V, 3)"""
    corners: Indices
    """(N, 4) points of each quad, in the order in which the camera sees outsides go round."""
    normals: Array
    """(N, 3) outward, smoothed along the tubes; not of unit length."""
    colours: Array
    """(N, 3)"""
    parts: Indices
    two_sided: Flags
    """(N,) each: what the quad belongs to, and whether its inside shows too."""
    face: Array
    """(F, 8, 3)"""
    face_colours: Array
    """(F, 3)"""
    face_nearer: Array
    face_parts: Indices
    face_two_sided: Flags
    """(F,) each"""
    keypoints: Array
    """(17, 3)"""
    shows: Flags
    """(17,) whether the keypoint's own side of head or trunk is turned to the camera."""
    stature: float
    support: str


def make_figure(
    rng: np.random.Generator, pose: Pose, root: Array, *, sides: int, coarse: bool = False
) -> Figure:
    """Return a person of random build and clothes in `pose`, turned by `root` (3, 3).

    `sides` is how many quads a limb has around it: 6, 8, 16 or a multiple of 16; a `coarse` one has
    half of them along it.
    """
    build = sample_build(rng)
    outfit = sample_outfit(rng, build)
    joints = articulate(build, pose.angles_deg, root)
    colours, thickness, exists = paint(outfit, build, rng)
    template = (COARSE_TEMPLATES if coarse else TEMPLATES)[build.feminine]
    if coarse:
        colours, thickness = colours[template.first], thickness[template.last]
        exists = exists[template.first] | exists[template.last]
    rings = vertices(template, build, joints, thickness, sides)
    if outfit.skirt:
        edges = np.linspace(-0.25, outfit.skirt, SKIRT_ROWS + 1)
        rows = np.stack([edges[:-1], edges[1:]], axis=1)
        rings = np.concatenate([rings, skirt_vertices(build, joints, rows, sides)])
        pleats = 1.0 + 0.06 * rng.standard_normal((SEGMENTS, 1))
        skirt = np.broadcast_to(outfit.skirt_colour * pleats, (SKIRT_ROWS, SEGMENTS, 3))
        colours = np.concatenate([colours, skirt.clip(0, 255)])
        exists = np.concatenate([exists, np.ones((SKIRT_ROWS, SEGMENTS), dtype=bool)])
    topology = _topology(build.feminine, coarse, bool(outfit.skirt), sides)
    points, normals = _surface(rings, topology)
    quad = np.flatnonzero(exists[topology.patch])
    patch = topology.patch[0][quad], topology.patch[1][quad]
    feature_colours, features = face_colours(outfit)
    if coarse:
        features = features & ~FINE
    return Figure(
        points=build.stature * points,
        corners=topology.corners[quad],
        normals=normals[quad],
        colours=colours[patch],
        parts=topology.part[patch[0]],
        two_sided=topology.two_sided[patch[0]],
        face=build.stature * face_polygons(build, joints)[features],
        face_colours=feature_colours[features],
        face_nearer=NEARER[features],
        face_parts=PARTS_OF_FACE[features],
        face_two_sided=TWO_SIDED[features],
        keypoints=build.stature * keypoints_3d(build, joints),
        shows=_turned_to_camera(joints.rotation),
        stature=build.stature,
        support=pose.support,
    )


@dataclass(frozen=True, kw_only=True)
class _Topology:
    """What figures of one kind share."""

    corners: Indices
    """(N, 4) into the points (R cuts, 2, sides)."""
    patch: tuple[Indices, Indices]
    """(N,) each: the row and segment of each quad."""
    part: Indices
    two_sided: Flags
    """(R,) each"""
    inward: Indices
    """(R,) the row itself, or for the cap of a tube its neighbour."""
    above: Indices
    below: Indices
    """(R,) each: the next row of the same tube, itself at the end."""
    after: Indices
    """(sides,) the next vertex around."""
    cuts: int
    """How many bands of quads a row is cut into along the tube."""


@lru_cache(maxsize=32)
def _topology(feminine: bool, coarse: bool, skirt: bool, sides: int) -> _Topology:
    template = (COARSE_TEMPLATES if coarse else TEMPLATES)[feminine]
    extra = SKIRT_ROWS * skirt
    tube = np.concatenate([template.tube, np.full(extra, -1)])
    row = np.arange(len(tube))
    same = np.concatenate([[False], tube[1:] == tube[:-1], [False]])
    above, below = row - same[:-1], row + same[1:]
    inward = np.where(above == row, below, np.where(below == row, above, row))
    cuts = max(sides // SEGMENTS, 1)
    rows = len(tube) * cuts
    index = np.arange(rows * 2 * sides).reshape(rows, 2, sides)
    upper, lower = index[:, 0], index[:, 1]
    after = np.roll(np.arange(sides), -1)
    corners = np.stack([upper, upper[:, after], lower[:, after], lower], axis=2)
    down, around = np.divmod(np.arange(rows * sides), sides)
    hanging_hair = (template.part == PART_HAIR) & (template.along < -0.2)
    return _Topology(
        corners=corners.reshape(-1, 4),
        patch=(down // cuts, around * SEGMENTS // sides),
        part=np.concatenate([template.part, np.full(extra, PART_SKIRT)]),
        two_sided=np.concatenate([hanging_hair, np.zeros(extra, dtype=bool)]),
        inward=inward,
        above=above,
        below=below,
        after=after,
        cuts=cuts,
    )


def _surface(rings: Array, topology: _Topology) -> tuple[Array, Array]:
    """Return points (V, 3) and the quads' normals (N, 3) for rings (R, 2, sides, 3).

    A normal changes smoothly from row to row of a tube, and the caps of tubes take their
    neighbours', so that light shows no seams.
    """
    points = np.ascontiguousarray(rings.transpose(3, 1, 0, 2))
    upper, lower = points[:, 0], points[:, 1]
    x1, y1, z1 = lower[:, :, topology.after] - upper
    x2, y2, z2 = lower - upper[:, :, topology.after]
    normals = np.stack([y2 * z1 - z2 * y1, z2 * x1 - x2 * z1, x2 * y1 - y2 * x1])
    normals /= np.sqrt(np.einsum("ijk,ijk->jk", normals, normals)) + 1e-12
    normals = normals[:, topology.inward]
    above, below = normals + normals[:, topology.above], normals + normals[:, topology.below]
    cuts = topology.cuts
    if cuts == 1:
        return rings.reshape(-1, 3), (0.5 * (above + below)).reshape(3, -1).T
    step = np.arange(cuts)[:, None] / cuts
    smooth = above[:, :, None] + (step + 0.5 / cuts) * (below - above)[:, :, None]
    first, fall = rings[:, 0, None], (rings[:, 1] - rings[:, 0])[:, None]
    step = step.reshape(1, cuts, 1, 1)
    rings = np.stack([first + step * fall, first + (step + 1 / cuts) * fall], axis=2)
    return rings.reshape(-1, 3), smooth.reshape(3, -1).T


def _turned_to_camera(rotation: Array) -> Flags:
    """Return (17,) from the bones' rotations; limbs' keypoints always are."""
    out = np.ones(17, dtype=bool)
    left, _, front = -rotation[HEAD, 2]  # how far each axis of the head points to the camera
    out[0] = front > -0.1
    out[1], out[2] = 0.9 * front + 0.44 * left > 0.12, 0.9 * front - 0.44 * left > 0.12
    out[3], out[4] = left > -0.4, -left > -0.4
    across = -rotation[PELVIS, 2, 0]
    out[[5, 11]], out[[6, 12]] = across > -0.8, -across > -0.8
    return out
