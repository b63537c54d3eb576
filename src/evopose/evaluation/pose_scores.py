"""How poses are scored, and which of those on each other stay."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evopose.errors import ConfigError
from evopose.inference import COUNTED
from evopose.inference.suppression import oks_nms, soft_oks_nms

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


def _hard(
    poses: Floats, scores: Floats, areas: Floats, sigmas: Floats, *, least_score: float | None
) -> tuple[Places, Floats]:
    kept = oks_nms(poses, scores, areas, sigmas, least_score=least_score)
    return kept, scores[kept]


def _keep(
    poses: Floats, scores: Floats, areas: Floats, sigmas: Floats, *, least_score: float | None
) -> tuple[Places, Floats]:
    return np.arange(len(scores)), scores


SUPPRESSIONS: dict[str, Callable[..., tuple[Places, Floats]]] = {
    "hard": _hard,
    "soft": soft_oks_nms,
    "none": _keep,
}
"""From an image's poses, scores, areas, the sigmas and `least_score` to the places that stay, and
their scores."""


@dataclass(frozen=True, kw_only=True)
class ScoreRules:
    """How poses are scored, and which of those on each other stay.

    Raises: ConfigError for values that mean nothing.
    """

    counted_above: float = COUNTED
    """Keypoints of a higher score make up the person's score (`person_scores`)."""
    nms: str = "hard"
    """A name in `SUPPRESSIONS`, for poses in boxes of a detector."""
    nms_counted_above: float | None = None
    """Two poses are compared by keypoints of which both have a higher score; None: by all."""

    def __post_init__(self) -> None:
        if self.nms not in SUPPRESSIONS:
            raise ConfigError(f"--nms is one of {', '.join(SUPPRESSIONS)}, got {self.nms!r}")
        if not math.isfinite(self.counted_above):
            raise ConfigError(f"a keypoint threshold is a number, got {self.counted_above}")
        if self.nms_counted_above is not None:
            if not math.isfinite(self.nms_counted_above):
                raise ConfigError(f"a keypoint threshold is a number, got {self.nms_counted_above}")
            if self.nms == "none":
                raise ConfigError(
                    "--nms none compares no poses: leave --nms-keypoint-threshold out"
                )


def suppress(
    poses: Floats, scores: Floats, areas: Floats, sigmas: Floats, rules: ScoreRules
) -> tuple[Places, Floats]:
    """Return the places of an image's poses (P, K, 3) that stay, and their scores.

    Scores (P,) and areas (P,) are the poses', sigmas (K,) the skeleton's.
    """
    return SUPPRESSIONS[rules.nms](
        poses, scores, areas, sigmas, least_score=rules.nms_counted_above
    )
