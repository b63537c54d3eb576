"""The colours that a person's looks give to the rows of the mesh."""

import numpy as np

from evopose.data.synthetic.body import FOOT, FOREARM, HAND, SHANK, THIGH, UPPER_ARM, Array, Build
from evopose.data.synthetic.mesh import (
    PART_HAIR,
    PART_HEAD,
    PART_TRUNK,
    SEGMENTS,
    TEMPLATES,
    Flags,
    Indices,
)
from evopose.data.synthetic.outfit import Outfit

HAIR_OPEN: dict[str, tuple[float, ...]] = {
    "short": (0, 0, 0, 48, 74, 115, 130, 999, 999, 999, 999),
    "fringe": (0, 0, 0, 0, 62, 115, 130, 999, 999, 999, 999),
    "bob": (0, 0, 0, 46, 62, 68, 74, 82, 90, 999, 999),
    "long": (0, 0, 0, 42, 60, 66, 72, 80, 90, 96, 104),
    "tail": (0, 0, 0, 46, 74, 110, 130, 150, 165, 167, 170),
    "veil": (0, 0, 0, 0, 48, 52, 54, 50, 0, 0, 0),
    "thin": (999, 999, 999, 110, 88, 115, 130, 999, 999, 999, 999),
    "none": (999,) * 11,
}
"""Style -> for each row of `SCALP`, the angle in degrees from the front within which there is
none."""
_AWAY_FROM_FRONT = np.abs((np.arange(SEGMENTS) * 360 / SEGMENTS + 180) % 360 - 180)
"""(S,) degrees from the front to the middle of each patch."""

_HIP_ROWS = 5
"""Rows at the trunk's lower end that trousers or a skirt cover."""


def paint(outfit: Outfit, build: Build, rng: np.random.Generator) -> tuple[Array, Array, Flags]:
    """Return the rows' colours (R, S, 3), what clothes add (R,) and which patches exist (R, S)."""
    part, along = TEMPLATES[build.feminine].part, TEMPLATES[build.feminine].along
    colour = np.empty((len(part), SEGMENTS, 3))
    colour[:] = outfit.skin
    thick, exists = np.zeros(len(part)), np.ones((len(part), SEGMENTS), dtype=bool)
    _paint_top(colour, thick, outfit, part, along)
    _paint_legs(colour, thick, outfit, part, along)
    exists[_limb(part, THIGH) & (along < outfit.skirt - 0.1)] = False  # the skirt hides them
    cloth = (part != PART_HEAD) & (part != PART_HAIR) & ~_limb(part, HAND)
    grain = rng.standard_normal((len(part), SEGMENTS, 1))
    colour *= 1.0 + grain * np.where(cloth, outfit.grain, 0.006)[:, None, None]
    _paint_head(colour, thick, exists, outfit, part, grain)
    return colour.clip(0, 255), thick, exists


def _limb(part: Indices, bone: int) -> Flags:
    return np.asarray((part == bone) | (part == bone + 1))


def _paint_top(colour: Array, thick: Array, outfit: Outfit, part: Indices, along: Array) -> None:
    both = _limb(part, UPPER_ARM) | _limb(part, FOREARM)
    sleeves = np.flatnonzero(both & (along < outfit.sleeve))
    trunk = np.flatnonzero(part == PART_TRUNK)
    hem = len(trunk) - _HIP_ROWS + outfit.tail
    tail, trunk = trunk[hem - outfit.tail : hem], trunk[outfit.neckline : hem]
    shirt, second = np.concatenate([trunk, sleeves]), outfit.top_second
    colour[shirt] = outfit.top
    if outfit.pattern == "bands":
        colour[trunk[::2]] = colour[sleeves[::2]] = second
    elif outfit.pattern == "pinstripe":
        colour[shirt, ::2] = 0.6 * outfit.top + 0.4 * second
    elif outfit.pattern == "check":
        colour[shirt[::2], ::2] = colour[shirt[1::2], 1::2] = 0.35 * outfit.top + 0.65 * second
    elif outfit.pattern == "yoke":
        colour[trunk[:5]] = colour[sleeves] = second
    elif outfit.pattern == "print":
        colour[np.ix_(trunk[3:6], np.array([15, 0, 1]))] = second
    thick[shirt] = outfit.looseness[0]
    thick[tail] += 0.014
    if outfit.jacket is not None:
        colour[np.ix_(trunk, np.arange(2, SEGMENTS - 1))] = outfit.jacket
        colour[sleeves] = outfit.jacket
        thick[shirt] += 0.006


def _paint_legs(colour: Array, thick: Array, outfit: Outfit, part: Indices, along: Array) -> None:
    both = _limb(part, THIGH) | _limb(part, SHANK)
    legs = both & (along < outfit.leg_length)
    hips = np.flatnonzero(part == PART_TRUNK)[outfit.tail - _HIP_ROWS :]
    colour[hips] = outfit.skirt_colour if outfit.skirt else outfit.legs
    colour[legs] = outfit.legs
    thick[hips], thick[legs] = 0.5 * outfit.looseness[1], outfit.looseness[1]
    if outfit.side_stripe:
        for bone, patch in ((THIGH, 4), (THIGH + 1, 12), (SHANK, 4), (SHANK + 1, 12)):
            colour[legs & (part == bone), patch] = outfit.top_second
    if outfit.belt and not outfit.tail:
        colour[hips[0]] = 0.4 * outfit.shoes
    if outfit.socks is not None:
        colour[_limb(part, SHANK) & (along >= max(outfit.leg_length, 1.7))] = outfit.socks
    feet = np.flatnonzero(_limb(part, FOOT))
    colour[feet], thick[feet] = outfit.shoes, 0.002
    colour[np.ix_(feet, np.arange(6, 11))] = outfit.soles


def _paint_head(
    colour: Array, thick: Array, exists: Flags, outfit: Outfit, part: Indices, grain: Array
) -> None:
    hair, head = np.flatnonzero(part == PART_HAIR), np.flatnonzero(part == PART_HEAD)
    exists[hair] = np.array(HAIR_OPEN[outfit.hair_style])[:, None] <= _AWAY_FROM_FRONT
    colour[hair] = outfit.hair * (1.0 + 0.12 * grain[hair[0]] + 0.05 * grain[hair])
    if outfit.hair_style == "veil":
        thick[hair[6:]] = 0.012
    if outfit.headwear is not None:
        rows = hair if outfit.hair_style == "veil" else hair[:4]
        colour[rows] = outfit.headwear * (1.0 + 0.05 * grain[rows])
        if outfit.hair_style != "veil":
            exists[rows] = True
    exists[head[:4]] &= ~exists[hair[:4]]  # the scalp under the hair
    if outfit.beard:
        chin = np.ix_(head[-3:], np.flatnonzero(_AWAY_FROM_FRONT < 100))
        colour[chin] = 0.6 * outfit.hair + 0.4 * outfit.skin
