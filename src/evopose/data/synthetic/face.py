"""The face: eyes, brows, nose, mouth and ears as octagons on the skull."""

import numpy as np

from evopose.data.synthetic.body import EAR, EYE, HEAD, NOSE, Array, Build, Joints, head_frame
from evopose.data.synthetic.mesh import PART_HAIR, PART_HEAD, SKULL, Flags
from evopose.data.synthetic.outfit import Outfit

_PROFILE = np.array(SKULL)[::-1]
_CIRCLE = 2 * np.pi * np.arange(8) / 8


def _on_skull(x: float, y: float, half_width: float, half_height: float, out: float) -> Array:
    """Return an octagon (8, 3) on the front of the skull, `out` of its half depth before it."""
    px, py = x + half_width * np.cos(_CIRCLE), y - half_height * np.sin(_CIRCLE)
    a, b, front = (np.interp(py, _PROFILE[:, 0], _PROFILE[:, i]) for i in (1, 2, 3))
    depth = b * np.sqrt((1 - (px / a) ** 2).clip(0.05, 1))
    return np.stack([px, py, depth + front + out], axis=1)


def _ear(sign: float) -> Array:
    """Return an octagon (8, 3) that leans out of the side of the head towards the back."""
    along, up = 0.19 * np.cos(_CIRCLE), 0.13 * np.sin(_CIRCLE)
    x = sign * (EAR[0] + 0.05 - 0.55 * along)
    return np.stack([x, EAR[1] + up, EAR[2] + along], axis=1)


def _nose(*corners: tuple[float, float, float]) -> Array:
    return np.array([corners[i * len(corners) // 8] for i in range(8)])


def _brim() -> Array:
    """Return an octagon (8, 3): the brim of a cap, from the forehead forward."""
    side, front = 0.85 * np.cos(_CIRCLE), 0.85 - 0.75 * np.sin(_CIRCLE)
    return np.stack([side, 0.20 - 0.06 * front, front], axis=1)


_BRIDGE, _TIP = (0.0, 0.03, 1.0), NOSE
_LEFT_WING, _RIGHT_WING = (0.19, -0.17, 0.98), (-0.19, -0.17, 0.98)

FEATURES: tuple[tuple[str, float, Array], ...] = (
    ("skin", 0.0, _ear(1.0)),
    ("skin", 0.0, _ear(-1.0)),
    ("brim", 0.014, _brim()),
    ("frame", 0.010, _on_skull(EYE[0], -0.01, 0.30, 0.085, 0.04)),
    ("frame", 0.010, _on_skull(-EYE[0], -0.01, 0.30, 0.085, 0.04)),
    ("lens", 0.011, _on_skull(EYE[0], -0.01, 0.25, 0.068, 0.05)),
    ("lens", 0.011, _on_skull(-EYE[0], -0.01, 0.25, 0.068, 0.05)),
    ("socket", 0.011, _on_skull(EYE[0], 0.008, 0.24, 0.05, 0.01)),
    ("socket", 0.011, _on_skull(-EYE[0], 0.008, 0.24, 0.05, 0.01)),
    ("white", 0.012, _on_skull(EYE[0], 0.0, 0.20, 0.034, 0.01)),
    ("white", 0.012, _on_skull(-EYE[0], 0.0, 0.20, 0.034, 0.01)),
    ("iris", 0.013, _on_skull(EYE[0], 0.0, 0.095, 0.034, 0.02)),
    ("iris", 0.013, _on_skull(-EYE[0], 0.0, 0.095, 0.034, 0.02)),
    ("brow", 0.012, _on_skull(EYE[0] + 0.01, 0.085, 0.24, 0.016, 0.02)),
    ("brow", 0.012, _on_skull(-EYE[0] - 0.01, 0.085, 0.24, 0.016, 0.02)),
    ("lips", 0.012, _on_skull(0.0, -0.315, 0.30, 0.026, 0.02)),
    ("mouth", 0.013, _on_skull(0.0, -0.312, 0.26, 0.008, 0.03)),
    ("skin", 0.012, _nose(_BRIDGE, _LEFT_WING, _TIP)),
    ("skin", 0.012, _nose(_BRIDGE, _TIP, _RIGHT_WING)),
    ("under", 0.012, _nose(_TIP, _LEFT_WING, _RIGHT_WING)),
)
"""What colours it, how much nearer it counts when drawn, and its corners in head units (half
widths, heights, half depths)."""

_CORNERS = np.stack([corners for _, _, corners in FEATURES])
NEARER = np.array([nearer for _, nearer, _ in FEATURES])
PARTS_OF_FACE = np.array([PART_HAIR if kind == "brim" else PART_HEAD for kind, _, _ in FEATURES])
TWO_SIDED = np.arange(len(FEATURES)) < 3
"""Ears and brim are thin, and seen from behind as well."""
FINE = np.array([kind in ("frame", "white", "iris", "mouth") for kind, _, _ in FEATURES])
"""Too small to be seen of a small figure."""
_GLASSES = np.array([kind in ("frame", "lens") for kind, _, _ in FEATURES])
_BRIM = np.array([kind == "brim" for kind, _, _ in FEATURES])


def face_polygons(build: Build, joints: Joints) -> Array:
    """Return the features' corners (F, 8, 3) in camera coordinates."""
    centre, size = head_frame(build)
    local = _CORNERS * size + centre
    return np.asarray(local @ joints.rotation[HEAD].T + joints.position[HEAD])


def face_colours(outfit: Outfit) -> tuple[Array, Flags]:
    """Return the features' colours (F, 3) and which of them exist (F,)."""
    skin = outfit.skin
    brow = 0.8 * outfit.hair if outfit.hair[0] < 140 else 0.6 * outfit.hair
    colours = {
        "skin": 0.97 * skin,
        "under": 0.72 * skin,
        "frame": np.full(3, 35.0),
        "brim": skin if outfit.headwear is None else 0.9 * outfit.headwear,
        "lens": 0.9 * skin + 18.0,
        "socket": 0.62 * skin,
        "white": np.full(3, 238.0),
        "iris": 0.35 * outfit.hair,
        "brow": brow,
        "lips": 0.72 * skin * (1.05, 0.80, 0.82),
        "mouth": 0.35 * skin,
    }
    exists = (outfit.glasses | ~_GLASSES) & (outfit.brim | ~_BRIM)
    return np.stack([colours[kind] for kind, _, _ in FEATURES]), exists
