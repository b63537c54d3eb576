"""A figure that stands still, and the light on it, for tests of drawn people."""

import numpy as np

from evopose.data.synthetic.body import BONE_COUNT, FOOT, rotations
from evopose.data.synthetic.draw import Light
from evopose.data.synthetic.pose import Pose

LIGHT = Light(direction=np.array([-0.4, -0.6, -0.69]), key=np.full(3, 0.6), ambient=np.full(3, 0.5))


def standing() -> Pose:
    angles = np.zeros((BONE_COUNT, 3))
    angles[FOOT : FOOT + 2, 0] = -90
    angles[3, 2], angles[4, 2] = 20, -20
    return Pose(angles_deg=angles, support="ground")


def root(yaw: float) -> np.ndarray:
    return np.diag([1.0, -1.0, -1.0]) @ rotations(np.array([[0.0, yaw, 0.0]]))[0]
