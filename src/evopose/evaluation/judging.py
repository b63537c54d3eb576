"""Poses of a split held against its labels: what every evaluation ends with. Without torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evopose.evaluation.keypoints import KeypointErrors, keypoint_errors
from evopose.metrics import oks
from evopose.metrics.coco_ap import Numbers, coco_ap, undefined
from evopose.structures import Instance, PoseDataset

CATEGORY = 1
"""The `category_id` of results: COCO's person."""


class Measured(Protocol):
    """What is told of any evaluation: of a model, or of results that someone made."""

    @property
    def origin(self) -> str:
        """Where the persons are from, in words."""

    @property
    def oks(self) -> NDArray[np.float64]:
        """(N,) of the persons, in [0, 1]."""

    @property
    def mean_oks(self) -> float | None:
        """The mean over persons; None without any."""

    @property
    def ap(self) -> Numbers:
        """COCO's ten numbers by name; None: not defined here."""

    @property
    def undefined(self) -> dict[str, str]:
        """Why, by name."""

    @property
    def keypoints(self) -> KeypointErrors:
        """PCK and its kin, keypoint by keypoint, of the persons that have a pose."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a pipeline makes of a split, and how well."""

    boxes: str
    """Where the persons' boxes come from."""
    ids: NDArray[np.int64]
    """(N,) ids of the persons' annotations: no crowds, at least one labelled keypoint."""
    oks: NDArray[np.float64]
    """(N,) in [0, 1]; 0 for a person without a pose."""
    results: list[dict[str, Any]]
    """As COCO's server takes them: image_id, category_id, keypoints, score."""
    nearest: NDArray[np.intp]
    """(N,) places in `results` of the persons' poses; -1 for a person without."""
    ap: Numbers
    """COCO's ten numbers by name; None: not defined here."""
    undefined: dict[str, str]
    """Why, by name."""
    keypoints: KeypointErrors
    """PCK and its kin, keypoint by keypoint, of the persons that have a pose."""

    @property
    def mean_oks(self) -> float:
        """The mean over persons."""
        return float(self.oks.mean())

    @property
    def origin(self) -> str:
        """Where the persons are from, in words."""
        return f"their boxes from: {self.boxes}"

    def metrics(self) -> dict[str, Any]:
        """Return all but the results, as JSON values."""
        return {
            "boxes": self.boxes,
            "persons": len(self.oks),
            "persons_with_a_pose": int((self.nearest >= 0).sum()),
            "mean_oks": self.mean_oks,
            **self.ap,
            "undefined": self.undefined,
            **self.keypoints.to_json(),
        }


def judge(
    dataset: PoseDataset,
    persons: list[Instance],
    results: list[dict[str, Any]],
    *,
    nearest: NDArray[np.intp],
    boxes: str,
) -> Evaluation:
    """Return how good `results` of a split are; `nearest` has the place of each person's pose
    among them, -1 for a person without. `boxes` says where the results' boxes come from."""
    found = np.flatnonzero(nearest >= 0)
    chosen = [persons[i] for i in found]
    sigmas = dataset.skeleton.sigmas
    poses = np.array([results[i]["keypoints"] for i in nearest[found]]).reshape(
        len(found), len(sigmas), 3
    )
    labels = np.array([one.keypoints for one in chosen]).reshape(poses.shape)
    areas = np.array([one.area for one in chosen])
    similarity = np.zeros(len(persons))
    similarity[found] = oks(poses[..., :2], labels, areas, np.array(sigmas))
    return Evaluation(
        boxes=boxes,
        ids=np.array([one.id for one in persons], np.int64),
        oks=similarity,
        results=results,
        nearest=nearest,
        ap=coco_ap(
            dataset.instances, results, sigmas, images=[image.id for image in dataset.images]
        ),
        undefined=undefined(dataset.instances),
        keypoints=keypoint_errors(
            poses, labels, areas=areas, skeleton=dataset.skeleton,
            boxes_xyxy=np.array([one.box_xyxy for one in chosen]).reshape(-1, 4),
        ),
    )  # fmt: skip


def as_results(
    image_ids: Sequence[int], keypoints: NDArray[np.float64], scores: NDArray[np.floating]
) -> list[dict[str, Any]]:
    """Return poses (P, K, 3) with scores (P,) as COCO's results."""
    return [
        {
            "image_id": image,
            "category_id": CATEGORY,
            "keypoints": pose.ravel().tolist(),
            "score": score,
        }
        for image, pose, score in zip(image_ids, keypoints, scores.tolist(), strict=True)
    ]
