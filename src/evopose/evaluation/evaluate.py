"""A pipeline over the labelled persons of a split: COCO results, OKS, AP."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evopose.data.images import Image, read_image
from evopose.errors import ConfigError, DataError, ModelError
from evopose.evaluation.judging import Evaluation, as_results, judge
from evopose.evaluation.pose_scores import ScoreRules
from evopose.inference.pipeline import Keypoints, Pipeline, person_scores
from evopose.models.card import ModelCard
from evopose.structures import ImageRecord, Instance, PoseDataset


def evaluate(
    pipeline: Pipeline,
    dataset: PoseDataset,
    *,
    rules: ScoreRules = ScoreRules(),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Return what the pipeline finds in the ground-truth boxes of the split's labelled persons.

    Crowds and persons without labelled keypoints get no prediction, and AP ignores them as COCO
    does. Of `rules` it needs which keypoints count to a score. `on_progress` is told how many
    persons are done, and how many there are.

    Raises: ModelError if the model's keypoints are not the data's; DataError for an image that is
    unreadable or of another size than annotated, or a split with nobody labelled.
    """
    check_skeleton(pipeline.card, dataset)
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
    scores = person_scores(keypoints, np.ones(len(keypoints)), counted_above=rules.counted_above)
    images = [one.image_id for one in ordered]
    return judge(
        dataset,
        ordered,
        as_results(images, keypoints, scores),
        nearest=np.arange(len(ordered)),
        boxes="ground truth",
    )


def some_images(dataset: PoseDataset, count: int) -> PoseDataset:
    """Return the split with `count` of its images, spread evenly: of those that have labelled
    persons, or of all where nobody is labelled.

    Raises: ConfigError for a count below 1.
    """
    if count < 1:
        raise ConfigError(f"at least one image is needed, got {count}")
    labelled = {one.image_id for one in dataset.trainable}
    images = [image for image in dataset.images if image.id in labelled or not labelled]
    chosen = np.unique(np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int))
    kept = tuple(images[i] for i in chosen)
    ids = {image.id for image in kept}
    instances = tuple(one for one in dataset.instances if one.image_id in ids)
    return replace(dataset, images=kept, instances=instances)


def check_skeleton(card: ModelCard, dataset: PoseDataset) -> None:
    """Raise ModelError if the model's keypoints are not the data's."""
    ours, theirs = card.skeleton.keypoints, dataset.skeleton.keypoints
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
