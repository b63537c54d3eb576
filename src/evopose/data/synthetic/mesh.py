"""The body's surface: tubes of rings about the bones, sized to a build and turned with the joints.

A row is the band between two rings of one tube; a row has `SEGMENTS` patches of one colour around
it, beginning at the front and going to the person's left. It has `sides` quads: 8 (every other
patch shows) or a multiple of 16 (each patch is cut into equal parts).
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.data.synthetic.body import (
    CHEST,
    FOOT,
    FOREARM,
    HAND,
    HEAD,
    PELVIS,
    SHANK,
    THIGH,
    UPPER_ARM,
    Array,
    Build,
    Joints,
    head_frame,
    spine_offset,
)

SEGMENTS = 16

Ring = tuple[float, ...]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]
TRUNK: dict[bool, tuple[Ring, ...]] = {
    False: (
        (1.38, 0.026, 0.029, 0.016), (1.26, 0.030, 0.032, 0.009), (1.17, 0.032, 0.032, 0.003),
        (1.13, 0.052, 0.038, -0.003), (1.085, 0.084, 0.046, -0.006), (1.03, 0.102, 0.052, -0.006),
        (0.95, 0.099, 0.057, -0.002), (0.87, 0.096, 0.063, 0.002), (0.77, 0.094, 0.067, 0.005),
        (0.65, 0.090, 0.067, 0.005), (0.53, 0.086, 0.063, 0.004), (0.41, 0.084, 0.060, 0.004),
        (0.29, 0.084, 0.060, 0.002), (0.17, 0.089, 0.062, -0.002), (0.05, 0.094, 0.066, -0.006),
        (-0.07, 0.093, 0.066, -0.008), (-0.17, 0.078, 0.056, -0.006), (-0.25, 0.0, 0.0, 0.0),
    ),
    True: (
        (1.38, 0.023, 0.026, 0.016), (1.26, 0.026, 0.028, 0.009), (1.17, 0.028, 0.029, 0.003),
        (1.13, 0.046, 0.035, -0.003), (1.085, 0.076, 0.042, -0.005), (1.03, 0.093, 0.047, -0.005),
        (0.95, 0.089, 0.052, 0.000), (0.87, 0.086, 0.061, 0.007), (0.77, 0.084, 0.069, 0.013),
        (0.65, 0.081, 0.067, 0.012), (0.53, 0.075, 0.057, 0.004), (0.41, 0.072, 0.054, 0.003),
        (0.29, 0.078, 0.057, 0.001), (0.17, 0.088, 0.061, -0.004), (0.05, 0.096, 0.067, -0.009),
        (-0.07, 0.096, 0.067, -0.011), (-0.17, 0.080, 0.056, -0.008), (-0.25, 0.0, 0.0, 0.0),
    ),
}  # fmt: skip
"""Rings of a man's and a woman's trunk: height as a share of the torso, half width, half depth,
how far to the front; from the neck down."""

LIMBS: dict[int, tuple[Ring, ...]] = {
    UPPER_ARM: (
        (-0.12, 0.0, 0.0, 0), (-0.085, 0.018, 0.021, 0), (0.0, 0.027, 0.030, 0),
        (0.22, 0.029, 0.031, 0), (0.44, 0.026, 0.028, 0.002), (0.66, 0.023, 0.025, 0.001),
        (0.95, 0.021, 0.022, 0), (1.07, 0.012, 0.013, 0), (1.1, 0.0, 0.0, 0),
    ),
    FOREARM: (
        (-0.08, 0.013, 0.014, 0), (0.02, 0.021, 0.0215, 0), (0.2, 0.0225, 0.024, 0),
        (0.45, 0.0195, 0.0215, 0), (0.7, 0.0155, 0.0175, 0), (0.9, 0.0125, 0.0145, 0),
        (1.02, 0.012, 0.0145, 0),
    ),
    HAND: (
        (-0.05, 0.011, 0.014, 0), (0.15, 0.012, 0.019, 0), (0.4, 0.0125, 0.023, 0),
        (0.58, 0.011, 0.022, 0), (0.82, 0.009, 0.018, 0), (0.95, 0.006, 0.011, 0),
        (0.98, 0.0, 0.0, 0),
    ),
    THIGH: (
        (-0.17, 0.020, 0.025, 0), (-0.08, 0.043, 0.049, -0.003), (0.08, 0.052, 0.056, -0.004),
        (0.28, 0.048, 0.053, 0), (0.48, 0.043, 0.047, 0.003), (0.66, 0.038, 0.041, 0.003),
        (0.84, 0.033, 0.036, 0.001), (0.98, 0.0295, 0.032, 0), (1.07, 0.019, 0.021, 0),
    ),
    SHANK: (
        (-0.08, 0.019, 0.021, 0), (0.02, 0.0285, 0.030, 0), (0.14, 0.0275, 0.031, -0.003),
        (0.3, 0.0305, 0.034, -0.008), (0.48, 0.0265, 0.030, -0.006), (0.66, 0.0205, 0.024, -0.003),
        (0.85, 0.0165, 0.0195, 0), (0.99, 0.016, 0.019, 0), (1.05, 0.014, 0.016, 0),
    ),
    FOOT: (
        (-0.26, 0.0, 0.0, -0.024), (-0.2, 0.0185, 0.022, -0.018), (0, 0.0195, 0.026, -0.013),
        (0.2, 0.020, 0.022, -0.018), (0.42, 0.0235, 0.016, -0.0235), (0.6, 0.024, 0.0125, -0.027),
        (0.7, 0.017, 0.009, -0.030), (0.75, 0.0, 0.0, -0.032),
    ),
}  # fmt: skip
"""Rings of each limb: share of the bone's length, half width, half depth, to the front; of the
foot, from heel to toe, half width, half height, upward."""

THUMB: tuple[Ring, ...] = (
    (0.05, 0.006, 0.007, 0.012), (0.3, 0.008, 0.008, 0.027), (0.5, 0.0065, 0.0065, 0.034),
    (0.6, 0.0, 0.0, 0.036),
)  # fmt: skip

SKULL: tuple[Ring, ...] = (
    (0.5, 0.0, 0.0, -0.05), (0.475, 0.42, 0.44, -0.05), (0.41, 0.74, 0.75, -0.05),
    (0.29, 0.95, 0.95, -0.03), (0.14, 1.0, 1.0, 0), (-0.01, 0.97, 0.97, 0),
    (-0.15, 0.90, 0.90, 0.04), (-0.27, 0.80, 0.78, 0.12), (-0.38, 0.66, 0.64, 0.24),
    (-0.465, 0.40, 0.40, 0.39), (-0.5, 0.0, 0.0, 0.44),
)  # fmt: skip
"""Rings of the head: height from its centre in heads, half width and half depth of the widest."""

SCALP: tuple[Ring, ...] = (
    (0.55, 0.0, 0.0, -0.08), (0.52, 0.50, 0.52, -0.08), (0.45, 0.83, 0.84, -0.08),
    (0.31, 1.04, 1.02, -0.06), (0.15, 1.10, 1.06, -0.04), (0.0, 1.09, 1.05, -0.06),
    (-0.14, 1.05, 1.00, -0.08), (-0.27, 1.0, 0.93, -0.1), (-0.42, 0.98, 0.85, -0.15),
    (-0.62, 1.06, 0.80, -0.22), (-0.85, 1.16, 0.76, -0.28), (-1.1, 1.10, 0.66, -0.30),
)  # fmt: skip
"""Rings of the hair, which a style shows in part."""

PART_TRUNK, PART_HEAD, PART_HAIR, PART_SKIRT = PELVIS, HEAD, 15, 16
"""Parts have the number of their bone; hair and skirt have their own, the chest is trunk."""


@dataclass(frozen=True, kw_only=True)
class Template:
    """The rows of every tube but the skirt, before they are sized."""

    rings: Array
    """(R, 2, 4): upper and lower ring of each row: height, half width, half depth, front."""
    bone: Indices
    part: Indices
    tube: Indices
    """(R,) each: the bone that carries the row, what it counts as, and the tube it belongs to."""
    along: Array
    """(R,) how far along the limb: 0 to 1 on the first bone, 1 to 2 on the second, 2 up beyond;
    on trunk and head the height of the row's middle."""
    first: Indices
    last: Indices
    """(R,) each: the rows of the full template that this row joins."""
    head: Indices
    """Rows of head and hair."""
    thighs: tuple[Indices, Indices]
    outward: tuple[Array, Array]
    """Rows of the left and the right thigh, and how far each of their rings lies outward."""


def _template(feminine: bool) -> Template:
    tubes: list[tuple[int, int, tuple[Ring, ...]]] = [(PELVIS, PART_TRUNK, TRUNK[feminine])]
    for bone, limb in (*LIMBS.items(), (HAND, THUMB)):
        tubes += [(bone + side, bone + side, limb) for side in (0, 1)]
    tubes += [(HEAD, PART_HEAD, SKULL), (HEAD, PART_HAIR, SCALP)]
    rings, bones, parts, numbers, along = [], [], [], [], []
    for number, (bone, part, tube) in enumerate(tubes):
        start = {FOREARM: 1, SHANK: 1, HAND: 2, FOOT: 2}.get(bone - (bone + 1) % 2, 0)
        for upper, lower in pairwise(tube):
            rings.append((upper, lower))
            bones.append(bone)
            parts.append(part)
            numbers.append(number)
            along.append(start + (upper[0] + lower[0]) / 2)
    return Template(
        rings=np.array(rings),
        bone=np.array(bones),
        part=np.array(parts),
        tube=np.array(numbers),
        along=np.array(along),
        first=np.arange(len(bones)),
        last=np.arange(len(bones)),
        **_special_rows(np.array(rings), np.array(bones)),
    )


def _special_rows(rings: Array, bone: Indices) -> dict[str, Any]:
    """Return what a template keeps of head and thighs."""
    thighs = [np.flatnonzero(bone == THIGH + side) for side in (0, 1)]
    # COCO's hip lies a little outside the joint
    outward = [
        sign * 0.012 * (1 - rings[rows, :, :1].clip(0, 1))
        for rows, sign in zip(thighs, (-1.0, 1.0), strict=True)
    ]
    return {
        "head": np.flatnonzero(bone == HEAD),
        "thighs": tuple(thighs),
        "outward": tuple(outward),
    }


def _coarse(full: Template) -> Template:
    """Return `full` with the rows of limbs and head joined two and two, for small figures."""
    first: list[int] = []
    for number in np.unique(full.tube).tolist():
        rows = np.flatnonzero(full.tube == number)
        first += rows[:: 1 if number == 0 else 2].tolist()
    begin = np.array(first)
    end = np.concatenate([begin[1:], [len(full.tube)]]) - 1
    return Template(
        rings=np.stack([full.rings[begin, 0], full.rings[end, 1]], axis=1),
        bone=full.bone[begin],
        part=full.part[begin],
        tube=full.tube[begin],
        along=full.along[begin],
        first=begin,
        last=end,
        **_special_rows(np.stack([full.rings[begin, 0], full.rings[end, 1]], 1), full.bone[begin]),
    )


TEMPLATES = {feminine: _template(feminine) for feminine in (False, True)}
COARSE_TEMPLATES = {feminine: _coarse(full) for feminine, full in TEMPLATES.items()}
TRUNK_ROWS = len(TRUNK[False]) - 1


@lru_cache(maxsize=8)
def _around(sides: int) -> tuple[Array, Array]:
    """Return sine and cosine (sides,) of the angles of a ring's vertices from the front; a quad
    follows each."""
    phi = 2 * np.pi * np.arange(sides) / sides - np.pi / min(sides, SEGMENTS)
    return np.sin(phi), np.cos(phi)


def vertices(
    template: Template, build: Build, joints: Joints, thickness: Array, sides: int
) -> Array:
    """Return (R, 2, sides, 3): the rings of the template's rows in camera coordinates.

    `thickness` (R,) is what clothes add to the half widths, in units of the stature.
    """
    y, a, b, z = np.moveaxis(template.rings * _scales(build)[template.bone][:, None], 2, 0)
    added = thickness[:, None] * np.minimum(np.maximum(100 * a, 0), 1)  # none where a tube closes
    a, b = a + added, b + added
    sin, cos = _around(sides)
    count = len(y)
    local = np.empty((count, 2, sides, 3))
    local[..., 0] = a[..., None] * sin
    local[..., 1] = y[..., None]
    local[..., 2] = b[..., None] * cos + z[..., None]
    local[template.head] += head_frame(build)[0]
    for rows, outward in zip(template.thighs, template.outward, strict=True):
        local[rows, ..., 0] += outward
    flat = local.reshape(count, 2 * sides, 3)
    out = flat @ joints.rotation[template.bone].transpose(0, 2, 1)
    out += joints.position[template.bone][:, None]
    share = ((y[:TRUNK_ROWS] / build.torso - 0.1) / 0.6).clip(0, 1)
    share = np.repeat(share, sides, axis=1)[..., None]
    raised = flat[:TRUNK_ROWS] - np.array([0.0, spine_offset(build), 0.0])
    chest = raised @ joints.rotation[CHEST].T + joints.position[CHEST]
    out[:TRUNK_ROWS] += share * (chest - out[:TRUNK_ROWS])
    return np.asarray(out.reshape(count, 2, sides, 3))


def _scales(build: Build) -> Array:
    """Return (15, 4): what each bone's rings are multiplied with."""
    breadth = build.shoulder / (0.096 if build.feminine else 0.105) * (0.6 + 0.4 * build.belly)
    girth = build.girth
    out = np.empty((15, 4))
    out[PELVIS] = out[CHEST] = (build.torso, breadth, build.belly, 1.0)
    out[HEAD] = (build.head, build.head_width / 2, build.head_depth / 2, build.head_depth / 2)
    lengths = (build.upper_arm, build.forearm, build.hand, build.thigh, build.shank, build.foot)
    for bone, length in zip(LIMBS, lengths, strict=True):
        out[bone : bone + 2] = (-length, girth, girth, 1.0)
    hand, sole = build.hand / 0.105, build.ankle / 0.039
    out[HAND : HAND + 2] = (-build.hand, hand, hand, hand)
    out[FOOT : FOOT + 2] = (-build.foot, build.foot / 0.152, sole, sole)
    return out


def skirt_vertices(build: Build, joints: Joints, rows: Array, sides: int) -> Array:
    """Return (R, 2, sides, 3) of a skirt whose rows begin and end at `rows` (R, 2), shares of the
    thighs' length.

    The cloth hangs around both thighs, whatever they do.
    """
    at = rows.reshape(-1)[:, None]
    hip, knee = joints.position[THIGH : THIGH + 2], joints.position[SHANK : SHANK + 2]
    left, right = hip[0] + at * (knee - hip)[0], hip[1] + at * (knee - hip)[1]
    middle, half = (left + right) / 2, (left - right) / 2
    down = knee.mean(axis=0) - hip.mean(axis=0)
    down = down / (np.linalg.norm(down) + 1e-9)
    width = np.linalg.norm(half, axis=1, keepdims=True) + 1e-9
    side = half / width
    x, y, z = side.T
    front = np.stack([z * down[1] - y * down[2], x * down[2] - z * down[0],
                      y * down[0] - x * down[1]], axis=1)  # fmt: skip
    loose = 0.050 * build.girth + 0.022 * at
    across = side * (width + loose)
    deep = front * (0.030 * build.belly + loose + 0.25 * (width - build.hip).clip(0, 1))
    sin, cos = _around(sides)
    ring = across[:, None] * sin[:, None] + deep[:, None] * cos[:, None]
    return np.asarray((middle[:, None] + ring).reshape(len(rows), 2, sides, 3))
