"""The prior over poses: everyday postures of legs, arms and trunk, each with its spread.

Angles in degrees, anatomical and the same for left and right: (flex, twist, spread), where flex
moves a limb forward (a knee backward), twist turns it outward, spread lifts it sideways.
"""

from dataclasses import dataclass

import numpy as np

from evopose.data.synthetic.body import (
    BONE_COUNT,
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
)

Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Stance:
    """One posture of legs and trunk; a mirrored one is drawn as often."""

    weight: float
    thighs: tuple[Triple, Triple]
    """Left and right, from the vertical however the trunk leans."""
    knees: tuple[float, float]
    ankles: tuple[float, float] = (0.0, 0.0)
    lean: float = 0.0
    """Of the trunk, forward."""
    arms: tuple[tuple[str, str], ...] = ()
    """Pairs (left, right) from `ARMS` that go with it; half the draws take one of them."""
    support: str = "ground"
    """What carries the person: ground, seat or air."""
    spread: float = 1.0
    """Scale of the variation of the joint angles."""


STANCES: dict[str, Stance] = {
    "stand": Stance(weight=26, thighs=((2, 8, 4), (2, 8, 4)), knees=(4, 4)),
    "rest": Stance(weight=12, thighs=((0, 5, 3), (16, 14, 8)), knees=(2, 24)),
    "wide": Stance(weight=8, thighs=((2, 12, 17), (2, 12, 17)), knees=(5, 5)),
    "walk": Stance(
        weight=15, thighs=((25, 3, 2), (-17, 3, 2)), knees=(8, 24), ankles=(5, -12), lean=3,
        arms=(("back", "front"),),
    ),
    "run": Stance(
        weight=7, thighs=((58, 0, 3), (-22, 0, 3)), knees=(75, 55), ankles=(0, -25), lean=13,
        arms=(("run back", "run front"),), support="air",
    ),
    "lunge": Stance(weight=4, thighs=((70, 6, 8), (-20, 0, 6)), knees=(75, 25), lean=10),
    "sit": Stance(
        weight=9, thighs=((86, 8, 9), (86, 8, 9)), knees=(84, 84), lean=-3, support="seat",
        arms=(("on knee", "on knee"), ("hold", "hold"), ("on knee", "drink")),
    ),
    "sit low": Stance(
        weight=2, thighs=((98, 12, 16), (98, 12, 16)), knees=(60, 60), lean=-8,
        arms=(("hold", "hold"), ("back", "back")),
    ),
    "crouch": Stance(
        weight=4, thighs=((100, 12, 18), (100, 12, 18)), knees=(125, 125), ankles=(25, 25),
        lean=25, arms=(("hold", "hold"), ("reach", "reach")),
    ),
    "ready": Stance(
        weight=6, thighs=((45, 10, 18), (45, 10, 18)), knees=(65, 65), ankles=(18, 18), lean=28,
        arms=(("hold", "hold"), ("reach", "throw")),
    ),
    "bend": Stance(
        weight=3, thighs=((2, 6, 8), (2, 6, 8)), knees=(10, 10), lean=60,
        arms=(("reach", "reach"), ("hang", "reach")),
    ),
    "jump": Stance(
        weight=4, thighs=((35, 5, 12), (10, 5, 12)), knees=(65, 55), ankles=(-30, -30),
        arms=(("raise", "raise"), ("side", "side")), support="air", spread=1.6,
    ),
    "kick": Stance(
        weight=4, thighs=((65, 0, 6), (-4, 5, 6)), knees=(18, 12), lean=-10,
        arms=(("back", "side"), ("side", "side")), spread=1.3,
    ),
    "kneel": Stance(weight=2, thighs=((82, 5, 8), (2, 0, 6)), knees=(88, 92), ankles=(0, -30)),
}  # fmt: skip

ARMS: dict[str, tuple[float, Triple, float]] = {
    "hang": (30, (3, -12, 8), 12),
    "front": (5, (28, -12, 6), 30),
    "back": (5, (-24, -6, 9), 22),
    "run front": (0, (45, -22, 8), 95),
    "run back": (0, (-42, -10, 14), 85),
    "hip": (7, (-14, -62, 42), 98),
    "raise": (3, (0, 25, 150), 28),
    "wave": (3, (5, 80, 80), 85),
    "drink": (5, (38, -22, 14), 125),
    "reach": (7, (75, -8, 8), 22),
    "side": (3, (4, 5, 82), 15),
    "cross": (5, (24, -62, 6), 98),
    "hold": (16, (22, -32, 9), 85),
    "throw": (2, (15, 75, 95), 95),
    "on head": (2, (12, 80, 128), 122),
    "on knee": (2, (34, -14, 8), 42),
    "overhead": (2, (160, 0, 10), 25),
}
"""Name -> weight, (flex, twist, spread) of the upper arm, bend of the elbow."""

_SIGN = np.ones((BONE_COUNT, 3))
_SIGN[[UPPER_ARM, UPPER_ARM + 1, FOREARM, FOREARM + 1, HAND, HAND + 1, THIGH, THIGH + 1], 0] = -1
_SIGN[[FOOT, FOOT + 1], 0] = -1
_SIGN[[bone + 1 for bone in (UPPER_ARM, FOREARM, HAND, THIGH, SHANK, FOOT)], 1:] = -1

_SPREAD = np.zeros((BONE_COUNT, 3))
for _bone, _row in {
    PELVIS: (4, 0, 2), CHEST: (7, 9, 5), HEAD: (11, 22, 6), UPPER_ARM: (13, 13, 8),
    FOREARM: (14, 12, 0), HAND: (14, 14, 8), THIGH: (7, 7, 4), SHANK: (7, 0, 0), FOOT: (6, 5, 2),
}.items():  # fmt: skip
    _SPREAD[_bone : _bone + (1 if _bone <= HEAD else 2)] = _row

_LOW, _HIGH = np.full((BONE_COUNT, 3), -180.0), np.full((BONE_COUNT, 3), 180.0)
_LOW[HEAD], _HIGH[HEAD] = (-35, -65, -20), (40, 65, 20)
_LOW[FOREARM : FOREARM + 2, 0], _HIGH[FOREARM : FOREARM + 2, 0] = 0, 148
_LOW[SHANK : SHANK + 2, 0], _HIGH[SHANK : SHANK + 2, 0] = 0, 145
_LOW[THIGH : THIGH + 2, 2], _LOW[UPPER_ARM : UPPER_ARM + 2, 2] = -6, 2

_STANCE_CUMULATIVE = np.cumsum([s.weight for s in STANCES.values()])
_ARM_CUMULATIVE = np.cumsum([a[0] for a in ARMS.values()])
_STANCE_LIST, _ARM_NAMES = list(STANCES.values()), list(ARMS)


@dataclass(frozen=True, kw_only=True)
class Pose:
    """How one person holds the body."""

    angles_deg: Array
    """(15, 3) for `body.articulate`."""
    support: str
    """ground, seat or air."""


def sample_pose(rng: np.random.Generator) -> Pose:
    """Return a posture of the prior with its variation, inside the joints' limits."""
    stance = _STANCE_LIST[_draw(rng, _STANCE_CUMULATIVE)]
    angles = np.zeros((BONE_COUNT, 3))
    angles[PELVIS, 0], angles[CHEST, 0], angles[HEAD, 0] = stance.lean, 5, 4 - 0.35 * stance.lean
    for side in (0, 1):
        angles[THIGH + side] = stance.thighs[side]
        angles[SHANK + side, 0] = stance.knees[side]
        angles[FOOT + side, 0] = stance.ankles[side]
    for side, name in enumerate(_sample_arms(rng, stance)):
        _, angles[UPPER_ARM + side], angles[FOREARM + side, 0] = ARMS[name]
        angles[HAND + side, 0] = 8
    angles += stance.spread * _SPREAD * rng.standard_normal((BONE_COUNT, 3)).clip(-2.5, 2.5)
    angles = angles.clip(_LOW, _HIGH)
    if rng.random() < 0.5:
        angles = _mirrored(angles)
    angles[THIGH : THIGH + 2, 0] += angles[PELVIS, 0]
    angles[FOOT : FOOT + 2, 0] += 90.0
    return Pose(angles_deg=angles * _SIGN, support=stance.support)


def _sample_arms(rng: np.random.Generator, stance: Stance) -> tuple[str, str]:
    if stance.arms and rng.random() < 0.6:
        return stance.arms[int(rng.random() * len(stance.arms))]
    left = _ARM_NAMES[_draw(rng, _ARM_CUMULATIVE)]
    return left, left if rng.random() < 0.5 else _ARM_NAMES[_draw(rng, _ARM_CUMULATIVE)]


def _mirrored(angles: Array) -> Array:
    """Return anatomical angles with left and right exchanged."""
    out = angles.copy()
    out[UPPER_ARM::2], out[UPPER_ARM + 1 :: 2] = angles[UPPER_ARM + 1 :: 2], angles[UPPER_ARM::2]
    out[:UPPER_ARM, 1:] *= -1
    return out


def _draw(rng: np.random.Generator, cumulative: Array) -> int:
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
