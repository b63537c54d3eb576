"""Every keypoint's errors, by the metrics that a dataset permits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.metrics import pck as metrics
from evopose.metrics.pck import ByKeypoint
from evopose.skeleton import Skeleton

PCK_THRESHOLD, PCKH_THRESHOLD = 0.2, 0.5
"""Parts of the box or torso, and of the head, that a correct keypoint is away at most."""


@dataclass(frozen=True, kw_only=True)
class KeypointErrors:
    """How well each keypoint of a skeleton is found."""

    names: tuple[str, ...]
    labelled: NDArray[np.int64]
    """(K,) how often each is labelled."""
    values: dict[str, ByKeypoint]
    """By metric: oks, epe, nme, pck and auc always; pck_torso and pckh where the skeleton has a
    torso and a head."""
    sized: dict[str, int]
    """How many persons have the size that a metric divides by."""

    def to_json(self) -> dict[str, Any]:
        """Return `all` and each keypoint by metric, None where nothing is labelled, and what the
        metrics mean."""
        rows: dict[str, dict[str, float | int | None]] = {
            "all": {"labelled": int(self.labelled.sum())}
            | {what: _json(value.all) for what, value in self.values.items()}
        }
        for i, name in enumerate(self.names):
            each = {what: _json(float(value.each[i])) for what, value in self.values.items()}
            rows[name] = {"labelled": int(self.labelled[i]), **each}
        meaning = {what: MEANING[what] for what in self.values}
        return {"keypoints": rows, "keypoint_metrics": meaning, "persons_with_size": self.sized}


MEANING = {
    "oks": "mean similarity of the labelled keypoints",
    "epe": "mean distance in pixels",
    "nme": "mean distance as a part of the longer side of the person's box",
    "pck": f"share at most {PCK_THRESHOLD} of the longer side of the person's box away",
    "auc": f"area under pck from 0 to {PCK_THRESHOLD}, as a part of what is possible",
    "pck_torso": f"share at most {PCK_THRESHOLD} of the torso's diagonal away",
    "pckh": f"share at most {PCKH_THRESHOLD} of the head's length away, from its top to the neck",
}
"""What the numbers are; `metrics.pck` has the definitions and their sources."""

TITLES = {
    "oks": "OKS",
    "pck": f"PCK@{PCK_THRESHOLD}",
    "pckh": f"PCKh@{PCKH_THRESHOLD}",
    "auc": "AUC",
    "epe": "EPE",
    "nme": "NME",
}
"""What those that pages and terminals show are called, in their order."""


def keypoint_errors(
    predicted: NDArray[np.floating],
    truth: NDArray[np.floating],
    *,
    boxes_xyxy: NDArray[np.floating],
    areas: NDArray[np.float64],
    skeleton: Skeleton,
) -> KeypointErrors:
    """Return how far poses (N, K, 2 or 3) are from labels (N, K, 3) of the same persons, with
    their boxes (N, 4) and areas (N,) from the annotations."""
    errors = metrics.distances(predicted, truth)
    box = metrics.box_sizes(boxes_xyxy)
    values = {
        "oks": metrics.keypoint_oks(errors, areas, np.array(skeleton.sigmas)),
        "epe": metrics.epe(errors),
        "nme": metrics.nme(errors, box),
        "pck": metrics.pck(errors, box, PCK_THRESHOLD),
        "auc": metrics.auc(errors, box, PCK_THRESHOLD),
    }
    sized = {"pck": int((box > 0).sum())}
    for what, sizes, threshold in (
        ("pck_torso", metrics.torso_sizes(truth, skeleton.keypoints), PCK_THRESHOLD),
        ("pckh", metrics.head_sizes(truth, skeleton.keypoints), PCKH_THRESHOLD),
    ):
        if sizes is not None:
            values[what] = metrics.pck(errors, sizes, threshold)
            sized[what] = int((sizes > 0).sum())
    return KeypointErrors(
        names=skeleton.keypoints,
        labelled=(~np.isnan(errors)).sum(axis=0),
        values=values,
        sized=sized,
    )


def _json(value: float) -> float | None:
    return None if np.isnan(value) else value
