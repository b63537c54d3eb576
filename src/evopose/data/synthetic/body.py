"""The body: proportions of one person, the bones, and where a pose puts them.

Body coordinates: x to the person's left, y up, z to the front; lengths in units of the stature.
Camera coordinates: x right, y down, z away from the camera.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PELVIS, CHEST, HEAD = 0, 1, 2
UPPER_ARM, FOREARM, HAND, THIGH, SHANK, FOOT = 3, 5, 7, 9, 11, 13
"""Bones: an index each; of a pair this is the left one, and the right one follows it."""

BONE_COUNT = 15
PARENT = np.array([-1, 0, 1, 1, 1, 3, 4, 5, 6, 0, 0, 9, 10, 11, 12])
LEVELS = [np.array(level) for level in ([1, 9, 10], [2, 3, 4, 11, 12], [5, 6, 13, 14], [7, 8])]

_SPINE = 0.35
"""Where the chest turns on the pelvis, as a share of the way from hips to shoulders."""

EYE, NOSE, EAR = (0.41, 0.0, 0.93), (0.0, -0.13, 1.22), (0.98, -0.06, -0.05)
"""Points of the face from the head's centre, in half widths, heights and half depths (left)."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """One person's proportions, as shares of the stature (left and right alike).

    Source: segment lengths of Drillis and Contini (1966), varied; children have the larger heads
    and the shorter legs of growth charts.
    """

    stature: float
    """Height relative to an average adult."""
    head: float
    """Chin to crown."""
    head_width: float
    head_depth: float
    neck: float
    """Shoulder line to chin."""
    torso: float
    """Hip to shoulder line."""
    shoulder: float
    """Half the distance between the shoulder joints."""
    hip: float
    """Half the distance between the hips as COCO labels them, a little outside the joints."""
    upper_arm: float
    forearm: float
    hand: float
    thigh: float
    shank: float
    foot: float
    ankle: float
    """Height of the ankle above the sole."""
    girth: float
    """Thickness of the limbs, 1 on average."""
    belly: float
    """Thickness of the trunk, 1 on average."""
    feminine: bool


def sample_build(rng: np.random.Generator) -> Build:
    """Return a woman, a man or (one in seven) a child, with everyday variation."""
    feminine = bool(rng.random() < 0.5)
    child = float(rng.uniform(0.3, 1.0)) if rng.random() < 0.14 else 0.0
    vary = 1.0 + 0.035 * rng.standard_normal(12).clip(-2.5, 2.5)
    belly = float(np.exp(0.13 * rng.standard_normal() + 0.02))
    lengths = np.array([0.130, 0.052, 0.288, 0.245, 0.246, 0.039]) * vary[:6]
    lengths *= 1.0 + child * np.array([0.40, -0.15, 0.02, -0.12, -0.12, 0.0])
    head, neck, torso, thigh, shank, ankle = (lengths / lengths.sum()).tolist()
    arm = 1.0 - 0.08 * child
    return Build(
        stature=(0.94 if feminine else 1.02) * float(vary[6]) * (1.0 - 0.42 * child),
        head=head,
        head_width=0.69 * head * float(vary[7]),
        head_depth=0.83 * head,
        neck=neck,
        torso=torso,
        shoulder=(0.096 if feminine else 0.105) * float(vary[8]) * (1.0 - 0.08 * child),
        hip=(0.065 if feminine else 0.060) * float(vary[9]),
        upper_arm=0.184 * arm * float(vary[10]),
        forearm=0.148 * arm * float(vary[10]),
        hand=0.105 * arm,
        thigh=thigh,
        shank=shank,
        foot=0.152 * float(vary[11]),
        ankle=ankle,
        girth=(0.92 if feminine else 1.0) * (0.55 + 0.45 * belly) * (1.0 + 0.05 * child),
        belly=belly,
        feminine=feminine,
    )


@dataclass(frozen=True, kw_only=True)
class Joints:
    """Where each bone begins and how it is turned, in camera coordinates."""

    position: Array
    """(15, 3), in units of the stature, from the middle of the hips."""
    rotation: Array
    """(15, 3, 3): columns are the bone's own x, y, z; limbs run along its -y, the foot to the
    toes with z up, trunk and head along +y."""


def rotations(angles_deg: Array) -> Array:
    """Return (N, 3, 3) for (N, 3) angles about x, y, z: first y, then x, then z."""
    cos, sin = np.cos(np.radians(angles_deg)), np.sin(np.radians(angles_deg))
    (ca, cb, cc), (sa, sb, sc) = cos.T, sin.T
    out = np.empty((len(angles_deg), 3, 3))
    x1, y1, z1 = sa * sb, ca, -sa * cb
    out[:, 0, 0], out[:, 0, 1], out[:, 0, 2] = cc * cb - sc * x1, -sc * y1, cc * sb - sc * z1
    out[:, 1, 0], out[:, 1, 1], out[:, 1, 2] = sc * cb + cc * x1, cc * y1, sc * sb + cc * z1
    out[:, 2, 0], out[:, 2, 1], out[:, 2, 2] = -ca * sb, sa, ca * cb
    return out


def articulate(build: Build, angles_deg: Array, root: Array) -> Joints:
    """Return the joints for each bone's angles (15, 3) about its parent's x, y, z.

    `root` (3, 3) turns body coordinates into the camera's.
    """
    rotation = rotations(angles_deg)
    rotation[PELVIS] = root @ rotation[PELVIS]
    offset = bone_offsets(build)
    position = np.zeros((BONE_COUNT, 3))
    for level in LEVELS:
        parent = PARENT[level]
        position[level] = position[parent] + (rotation[parent] @ offset[level, :, None])[:, :, 0]
        rotation[level] = rotation[parent] @ rotation[level]
    return Joints(position=position, rotation=rotation)


def bone_offsets(build: Build) -> Array:
    """Return (15, 3): where each bone begins in its parent's coordinates."""
    up = (1.0 - _SPINE) * build.torso
    return np.array(
        [
            (0.0, 0.0, 0.0),
            (0.0, _SPINE * build.torso, 0.0),
            (0.0, up + build.neck + 0.15 * build.head, 0.0),
            (build.shoulder, up, 0.0),
            (-build.shoulder, up, 0.0),
            *[(0.0, -build.upper_arm, 0.0)] * 2,
            *[(0.0, -build.forearm, 0.0)] * 2,
            (build.hip, 0.0, 0.0),
            (-build.hip, 0.0, 0.0),
            *[(0.0, -build.thigh, 0.0)] * 2,
            *[(0.0, -build.shank, 0.0)] * 2,
        ]
    )


def spine_offset(build: Build) -> float:
    """Return how far above the hips the chest bone begins."""
    return _SPINE * build.torso


def head_frame(build: Build) -> tuple[Array, Array]:
    """Return the head's centre (3,) and its half width, height, half depth (3,) in head space."""
    centre = np.array([0.0, 0.35 * build.head, 0.10 * build.head_depth])
    return centre, np.array([build.head_width / 2, build.head, build.head_depth / 2])


def keypoints_3d(build: Build, joints: Joints) -> Array:
    """Return COCO's 17 keypoints (17, 3) in camera coordinates."""
    centre, size = head_frame(build)
    sides = np.array([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])
    face = np.vstack([NOSE, np.array(EYE) * sides, np.array(EAR) * sides]) * size + centre
    face = face @ joints.rotation[HEAD].T + joints.position[HEAD]
    first = (UPPER_ARM, FOREARM, HAND, THIGH, SHANK, FOOT)
    return np.vstack([face, joints.position[[i + side for i in first for side in (0, 1)]]])
