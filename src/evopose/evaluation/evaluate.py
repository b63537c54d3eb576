"""A pipeline over the labelled persons of a split: COCO results, OKS, AP."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.data.images import Image, read_image
from evopose.errors import ConfigError, DataError, ModelError
from evopose.evaluation.keypoints import KeypointErrors, keypoint_errors
from evopose.inference.pipeline import Keypoints, Pipeline, person_scores
from evopose.metrics import oks
from evopose.metrics.coco_ap import Numbers, coco_ap, undefined
from evopose.structures import ImageRecord, Instance, PoseDataset

CATEGORY = 1
"""The `category_id` of results: COCO's person."""


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


def evaluate(
    pipeline: Pipeline,
    dataset: PoseDataset,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Return what the pipeline finds in the ground-truth boxes of the split's labelled persons.

    Crowds and persons without labelled keypoints get no prediction, and AP ignores them as COCO
    does. `on_progress` is told how many persons are done, and how many there are.

    Raises: ModelError if the model's keypoints are not the data's; DataError for an image that is
    unreadable or of another size than annotated, or a split with nobody labelled.
    """
    check_skeleton(pipeline, dataset)
    persons: defaultdict[int, list[Instance]] = defaultdict(list)
    for one in dataset.trainable:
        persons[one.image_id].append(one)
    records = [image for image in dataset.images if image.id in persons]
    ordered = [one for image in records for one in persons[image.id]]
    if not ordered:
        raise DataError(f"{dataset.name} has no persons with labelled keypoints to evaluate on")

    def pictures() -> Iterator[tuple[Image, NDArray[np.float64]]]:
        for record in records:
            yield read_checked(record), np.stack([one.box_xyxy for one in persons[record.id]])

    found: list[Keypoints] = []
    done = 0
    for poses in pipeline.predict_each(pictures()):
        found.append(poses)
        done += len(poses)
        on_progress(done, len(ordered))
    keypoints = np.concatenate(found)
    scores = person_scores(keypoints, np.ones(len(keypoints)))
    images = [one.image_id for one in ordered]
    return judge(
        dataset,
        ordered,
        as_results(images, keypoints, scores),
        nearest=np.arange(len(ordered)),
        boxes="ground truth",
    )


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


def some_images(dataset: PoseDataset, count: int) -> PoseDataset:
    """Return the split with `count` of its images that have labelled persons, spread evenly.

    Raises: ConfigError for a count below 1.
    """
    if count < 1:
        raise ConfigError(f"at least one image is needed, got {count}")
    labelled = {one.image_id for one in dataset.trainable}
    images = [image for image in dataset.images if image.id in labelled]
    chosen = np.unique(np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int))
    kept = tuple(images[i] for i in chosen)
    ids = {image.id for image in kept}
    instances = tuple(one for one in dataset.instances if one.image_id in ids)
    return replace(dataset, images=kept, instances=instances)


def check_skeleton(pipeline: Pipeline, dataset: PoseDataset) -> None:
    """Raise ModelError if the model's keypoints are not the data's."""
    ours, theirs = pipeline.card.skeleton.keypoints, dataset.skeleton.keypoints
    if ours != theirs:
        raise ModelError(
            f"the model knows the keypoints {', '.join(ours)}; the data has {', '.join(theirs)}"
        )


def read_checked(record: ImageRecord) -> Image:
    """Return the image (H, W, 3), RGB.

    Raises: DataError if it cannot be read, or has another size than annotated.
    """
    image = read_image(record.path)
    height, width = image.shape[:2]
    if (height, width) != (record.height, record.width):
        raise DataError(
            f"image {record.path} has {width} x {height} pixels (width x height), its annotations "
            f"say {record.width} x {record.height}; `evopose data check` finds all such images"
        )
    return image


def as_results(
    image_ids: Sequence[int], keypoints: Keypoints, scores: NDArray[np.floating]
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
