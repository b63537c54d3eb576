"""How people hold themselves: drawn from the prior of real poses, or from postures made by hand."""

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
from evopose.data.synthetic.prior import sample_prior
from evopose.data.synthetic.stances import ACROBATICS, ARMS, STANCES, Stance

PRIOR_SHARE = 0.7
"""Of people who do nothing acrobatic, how many hold themselves as the prior says."""
TUMBLED_SHARE = 0.25
"""Of acrobats, how many have a pose of the prior, turned any way."""

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


@dataclass(frozen=True, kw_only=True)
class _Table:
    """Stances to draw from."""

    stances: tuple[Stance, ...]
    cumulative: Array
    """(N,) cumulated weights."""
    own_arms: float
    """How many draws take arms that go with the stance; the others take any."""


def _table(stances: dict[str, Stance], own_arms: float) -> _Table:
    return _Table(
        stances=tuple(stances.values()),
        cumulative=np.cumsum([stance.weight for stance in stances.values()]),
        own_arms=own_arms,
    )


_EVERYDAY, _ACROBATIC = _table(STANCES, own_arms=0.6), _table(ACROBATICS, own_arms=0.85)
_ARM_CUMULATIVE = np.cumsum([a[0] for a in ARMS.values()])
_ARM_NAMES = list(ARMS)


@dataclass(frozen=True, kw_only=True)
class Pose:
    """How one person holds the body."""

    angles_deg: Array
    """(15, 3) for `body.articulate`."""
    support: str
    """ground, seat, air or bar."""
    view: Array | None = None
    """(3,) yaw, pitch and roll of the body to the camera in degrees; None where any is as good."""


def sample_pose(rng: np.random.Generator, acrobatics: float = 0.0) -> Pose:
    """Return a pose inside the joints' limits; a share `acrobatics` of all are acrobats'."""
    kind, mirrored = rng.random(), rng.random() < 0.5
    if kind < acrobatics * (1 - TUMBLED_SHARE):
        return _from_stance(rng, _ACROBATIC, mirrored)
    if kind < acrobatics:
        return _tumbled(rng, _from_prior(rng, mirrored, spread=1.2))
    if rng.random() < PRIOR_SHARE:
        return _from_prior(rng, mirrored, spread=1.0)
    return _from_stance(rng, _EVERYDAY, mirrored)


def _from_prior(rng: np.random.Generator, mirrored: bool, spread: float) -> Pose:
    angles, view = sample_prior(rng, spread)
    vary = _SPREAD * rng.standard_normal((BONE_COUNT, 3)).clip(-2.5, 2.5)
    for bone in (FOREARM, HAND, FOOT):  # the labels do not tell how these are turned
        angles[bone : bone + 2, 1:] = vary[bone : bone + 2, 1:]
    angles[HAND : HAND + 2, 0] = 8 + vary[HAND : HAND + 2, 0]
    hips, knees = angles[THIGH : THIGH + 2, 0], angles[SHANK : SHANK + 2, 0]
    sole = (0.5 * (knees - hips)).clip(-40, 25)
    angles[FOOT : FOOT + 2, 0] = 0.5 * sole + vary[FOOT : FOOT + 2, 0]
    sits = hips.min() > 50 and 40 < knees.mean() < 115 and rng.random() < 0.7
    if mirrored:
        angles, view = _mirrored(angles), view * (-1, 1, -1)
    return _posed(angles, "seat" if sits else "ground", view)


def _from_stance(rng: np.random.Generator, table: _Table, mirrored: bool) -> Pose:
    stance = table.stances[_draw(rng, table.cumulative)]
    angles = np.zeros((BONE_COUNT, 3))
    angles[PELVIS, 0], angles[CHEST, 0], angles[HEAD, 0] = stance.lean, 5, 4 - 0.35 * stance.lean
    for side in (0, 1):
        angles[THIGH + side] = stance.thighs[side]
        angles[SHANK + side, 0] = stance.knees[side]
        angles[FOOT + side, 0] = stance.ankles[side]
    for side, name in enumerate(_sample_arms(rng, stance, table.own_arms)):
        _, angles[UPPER_ARM + side], angles[FOREARM + side, 0] = ARMS[name]
        angles[HAND + side, 0] = 8
    angles += stance.spread * _SPREAD * rng.standard_normal((BONE_COUNT, 3)).clip(-2.5, 2.5)
    angles = angles.clip(_LOW, _HIGH)
    if mirrored:
        angles = _mirrored(angles)
    angles[THIGH : THIGH + 2, 0] += angles[PELVIS, 0]
    angles[PELVIS, 0] += rng.uniform(*stance.flip)
    angles[PELVIS, 2] += rng.uniform(*stance.wheel) * (-1 if mirrored else 1)
    return _posed(angles, stance.support)


def _tumbled(rng: np.random.Generator, pose: Pose) -> Pose:
    """Return the pose in the air, the body turned any way."""
    angles = pose.angles_deg.copy()
    angles[PELVIS] += (rng.uniform(-180, 180), 0, rng.uniform(-60, 60))
    return Pose(angles_deg=angles, support="air")


def _posed(angles: Array, support: str, view: Array | None = None) -> Pose:
    """Return the pose of anatomical angles."""
    angles[FOOT : FOOT + 2, 0] += 90.0
    return Pose(angles_deg=angles * _SIGN, support=support, view=view)


def _sample_arms(rng: np.random.Generator, stance: Stance, own: float) -> tuple[str, str]:
    if stance.arms and rng.random() < own:
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
