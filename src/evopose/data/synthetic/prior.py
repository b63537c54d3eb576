"""The prior over poses that real people gave: a mixture of Gaussians over joint angles and view.

`pose_prior.npz` holds weights, means and covariances, fitted by `benchmarks/fit_pose_prior.py` to
the keypoints of COCO train2017 (annotations CC BY 4.0), lifted to the angles of this skeleton. A
component averages over a hundred persons or more; no single person's pose is in it.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from evopose.data.synthetic.body import (
    BONE_COUNT,
    CHEST,
    FOREARM,
    HEAD,
    SHANK,
    THIGH,
    UPPER_ARM,
    Array,
)

PRIOR_FILE = Path(__file__).with_name("pose_prior.npz")

ANGLES: tuple[tuple[int, int], ...] = (
    *[(bone, axis) for bone in (CHEST, HEAD) for axis in range(3)],
    *[(bone + side, axis) for bone in (UPPER_ARM, THIGH) for side in (0, 1) for axis in range(3)],
    *[(bone + side, 0) for bone in (FOREARM, SHANK) for side in (0, 1)],
)
"""(bone, axis) of each anatomical angle of the mixture, in its order."""

VIEW = ("yaw", "pitch", "roll")
"""What follows the angles: how the body is turned to the camera."""
YAW = VIEW.index("yaw")

_LIMITS = {
    CHEST: ((-25, 60), (-45, 45), (-30, 30)),
    HEAD: ((-35, 40), (-65, 65), (-20, 20)),
    UPPER_ARM: ((-60, 180), (-90, 90), (-25, 175)),
    THIGH: ((-35, 140), (-45, 60), (-15, 85)),
    FOREARM: ((0, 150),),
    SHANK: ((0, 145),),
}


def _limit(bone: int, axis: int) -> tuple[int, int]:
    return _LIMITS[bone if bone in _LIMITS else bone - 1][axis]


LOW, HIGH = (np.array([_limit(*one)[end] for one in ANGLES], float) for end in (0, 1))
"""(D,) joint limits of the angles."""


@lru_cache(maxsize=1)
def _mixture() -> tuple[Array, Array, Array]:
    """Return the cumulated weights (K,), means (K, D) and Cholesky factors (K, D, D)."""
    with np.load(PRIOR_FILE, allow_pickle=False) as file:
        weights, means = file["weights"].astype(float), file["means"].astype(float)
        covariances = file["covariances"].astype(float)
    return np.cumsum(weights), means, np.linalg.cholesky(covariances)


def sample_prior(rng: np.random.Generator, spread: float = 1.0) -> tuple[Array, Array]:
    """Return anatomical angles (15, 3) inside the joints' limits, and yaw, pitch, roll (3,), in
    degrees, of one draw; `spread` scales the way from the component's mean."""
    cumulative, means, factors = _mixture()
    k = min(int(np.searchsorted(cumulative, rng.random())), len(means) - 1)
    normal = rng.standard_normal((means.shape[1],)).clip(-2.5, 2.5)
    drawn: Array = means[k] + spread * (factors[k] @ normal)
    angles = np.zeros((BONE_COUNT, 3))
    angles[_ROWS, _AXES] = drawn[: len(ANGLES)].clip(LOW, HIGH)
    return angles, drawn[len(ANGLES) :]


_ROWS, _AXES = (np.array(column) for column in zip(*ANGLES, strict=True))
