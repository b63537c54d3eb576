"""The colours that a person's looks give to the rows of the mesh."""

from dataclasses import dataclass
from functools import lru_cache

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
_HAIR = {
    style: np.array(angles)[:, None] <= _AWAY_FROM_FRONT for style, angles in HAIR_OPEN.items()
}

_HIP_ROWS = 5
"""Rows at the trunk's lower end that trousers or a skirt cover."""


def paint(outfit: Outfit, build: Build, rng: np.random.Generator) -> tuple[Array, Array, Flags]:
    """Return the rows' colours (R, S, 3), what clothes add (R,) and which patches exist (R, S)."""
    template, rows = TEMPLATES[build.feminine], _rows(build.feminine)
    part, along = template.part, template.along
    colour = np.empty((len(part), SEGMENTS, 3))
    colour[:] = outfit.skin
    thick, exists = np.zeros(len(part)), np.ones((len(part), SEGMENTS), dtype=bool)
    _paint_top(colour, thick, outfit, rows, along)
    _paint_legs(colour, thick, outfit, rows, part, along)
    exists[rows.thighs & (along < outfit.skirt - 0.1)] = False  # the skirt hides them
    grain = rng.standard_normal((len(part), SEGMENTS, 1))
    colour *= 1.0 + grain * (0.006 + (outfit.grain - 0.006) * rows.cloth)
    _paint_head(colour, thick, exists, outfit, rows, grain)
    return np.minimum(np.maximum(colour, 0), 255), thick, exists


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Which rows (R,) of a template are what."""

    arms: Flags
    legs: Flags
    thighs: Flags
    shanks: Flags
    feet: Indices
    trunk: Indices
    head: Indices
    hair: Indices
    cloth: Array
    """(R, 1, 1) 1 where clothes are."""


@lru_cache(maxsize=2)
def _rows(feminine: bool) -> _Rows:
    part = TEMPLATES[feminine].part

    def limb(*bones: int) -> Flags:
        return np.isin(part, [bone + side for bone in bones for side in (0, 1)])

    cloth = (part != PART_HEAD) & (part != PART_HAIR) & ~limb(HAND)
    return _Rows(
        arms=limb(UPPER_ARM, FOREARM),
        legs=limb(THIGH, SHANK),
        thighs=limb(THIGH),
        shanks=limb(SHANK),
        feet=np.flatnonzero(limb(FOOT)),
        trunk=np.flatnonzero(part == PART_TRUNK),
        head=np.flatnonzero(part == PART_HEAD),
        hair=np.flatnonzero(part == PART_HAIR),
        cloth=cloth[:, None, None].astype(float),
    )


def _paint_top(colour: Array, thick: Array, outfit: Outfit, rows: _Rows, along: Array) -> None:
    sleeves, trunk = np.flatnonzero(rows.arms & (along < outfit.sleeve)), rows.trunk
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


def _paint_legs(
    colour: Array, thick: Array, outfit: Outfit, rows: _Rows, part: Indices, along: Array
) -> None:
    legs = rows.legs & (along < outfit.leg_length)
    hips = rows.trunk[outfit.tail - _HIP_ROWS :]
    colour[hips] = outfit.skirt_colour if outfit.skirt else outfit.legs
    colour[legs] = outfit.legs
    thick[hips], thick[legs] = 0.5 * outfit.looseness[1], outfit.looseness[1]
    if outfit.side_stripe:
        for bone, patch in ((THIGH, 4), (THIGH + 1, 12), (SHANK, 4), (SHANK + 1, 12)):
            colour[legs & (part == bone), patch] = outfit.top_second
    if outfit.belt and not outfit.tail:
        colour[hips[0]] = 0.4 * outfit.shoes
    if outfit.socks is not None:
        colour[rows.shanks & (along >= max(outfit.leg_length, 1.7))] = outfit.socks
    colour[rows.feet], thick[rows.feet] = outfit.shoes, 0.002
    colour[rows.feet, 6:11] = outfit.soles


def _paint_head(
    colour: Array, thick: Array, exists: Flags, outfit: Outfit, rows: _Rows, grain: Array
) -> None:
    hair, head = rows.hair, rows.head
    exists[hair] = _HAIR[outfit.hair_style]
    colour[hair] = outfit.hair * (1.0 + 0.12 * grain[hair[0]] + 0.05 * grain[hair])
    if outfit.hair_style == "veil":
        thick[hair[6:]] = 0.012
    if outfit.headwear is not None:
        worn = hair if outfit.hair_style == "veil" else hair[:4]
        colour[worn] = outfit.headwear * (1.0 + 0.05 * grain[worn])
        if outfit.hair_style != "veil":
            exists[worn] = True
    exists[head[:4]] &= ~exists[hair[:4]]  # the scalp under the hair
    if outfit.beard:
        chin = np.ix_(head[-3:], np.flatnonzero(_AWAY_FROM_FRONT < 100))
        colour[chin] = 0.6 * outfit.hair + 0.4 * outfit.skin
