"""Splitting a dataset by image, and the digest that names its content."""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from evopose.errors import DataError
from evopose.structures import Instance, PoseDataset

FITNESS_SHARE = 0.1
"""The part of the training images that measures fitness."""


def split_by_image(dataset: PoseDataset, *, seed: int) -> dict[str, PoseDataset]:
    """Return `train`, `val` and `test`: 80, 10 and 10 percent of the images, drawn by `seed`.

    Images with and without persons to train on are drawn apart, so that each split has both.

    Raises: DataError if fewer than 3 images have persons to train on.
    """
    peopled = {i.image_id for i in dataset.trainable}
    if len(peopled) < 3:
        raise DataError(
            f"{dataset.name}: {len(peopled)} images have persons with keypoints, too few to split "
            "into train, val and test; label at least 3, or give a file a split"
        )
    rng = np.random.default_rng(seed)
    chosen: dict[str, set[int]] = {"train": set(), "val": set(), "test": set()}
    ids = sorted(image.id for image in dataset.images)
    for group in ([i for i in ids if i in peopled], [i for i in ids if i not in peopled]):
        tenth = (
            max(1, round(len(group) / 10)) if group and group[0] in peopled else len(group) // 10
        )
        order = [group[i] for i in rng.permutation(len(group))]
        chosen["val"].update(order[:tenth])
        chosen["test"].update(order[tenth : 2 * tenth])
        chosen["train"].update(order[2 * tenth :])
    return {name: subset(dataset, ids, name=name) for name, ids in chosen.items()}


def fitness_split(train: PoseDataset) -> tuple[PoseDataset, PoseDataset]:
    """Return what a search trains on and the tenth of the images it measures fitness on.

    An image's file name alone decides (with its folder's), so its side never changes when other
    images come or go. If chance leaves a side without persons, one image changes sides. Images of
    further datasets (`added`) train and never measure.

    Raises: DataError if fewer than 2 images have persons to train on.
    """
    own = {image.id: _rank(image.path) for image in train.images if not image.added}
    people = {i.image_id for i in train.trainable if i.image_id in own}
    peopled = sorted(people, key=lambda i: (own[i], i))
    if len(peopled) < 2:
        raise DataError(
            f"{train.name}: one image with persons cannot both train a network and measure its "
            "fitness; label at least 2, better hundreds"
        )
    fitness = {i for i, r in own.items() if r < FITNESS_SHARE}
    fitness.add(peopled[0])
    fitness.discard(peopled[-1])
    rest = {image.id for image in train.images} - fitness
    return (
        subset(train, rest, name=f"{train.name} without fitness"),
        subset(train, fitness, name=f"{train.name} fitness"),
    )


def subset(dataset: PoseDataset, image_ids: Collection[int], *, name: str) -> PoseDataset:
    """Return the dataset of these images alone."""
    instances = tuple(i for i in dataset.instances if i.image_id in image_ids)
    return PoseDataset(
        name=name,
        skeleton=dataset.skeleton,
        images=tuple(image for image in dataset.images if image.id in image_ids),
        instances=instances,
        skipped=count_skipped(instances),
    )


def count_skipped(instances: Iterable[Instance]) -> dict[str, int]:
    """Return how many of them training leaves out, by reason."""
    skipped = {"crowd": 0, "no keypoints": 0}
    for one in instances:
        if one.is_crowd:
            skipped["crowd"] += 1
        elif one.num_labelled == 0:
            skipped["no keypoints"] += 1
    return skipped


def dataset_digest(datasets: Sequence[PoseDataset]) -> str:
    """Return 64 hexadecimal digits that name the content: labels, image names and file sizes.

    It does not depend on where the dataset lies.
    """
    digest = hashlib.sha256()
    for dataset in datasets:
        images = [
            (i.id, file_key(i.path), i.height, i.width, i.path.stat().st_size)
            for i in dataset.images
        ]
        head = [dataset.name, dataset.skeleton.to_json(), images]
        digest.update(json.dumps(head, sort_keys=True).encode())
        digest.update(labels_as_bytes(dataset.instances))
    return digest.hexdigest()


def labels_as_bytes(instances: Sequence[Instance]) -> bytes:
    """Return every number of the labels, to be hashed."""
    numbers = [(i.id, i.image_id, i.is_crowd) for i in instances]
    parts = [np.array(numbers, np.int64), np.array([i.area for i in instances], np.float64)]
    if instances:
        parts.append(np.stack([i.box_xyxy for i in instances]).astype(np.float64))
        parts.append(np.stack([i.keypoints for i in instances]).astype(np.float64))
    return b"".join(part.tobytes() for part in parts)


def file_key(path: Path) -> str:
    """Return the file's name with its folder's, which tells images apart wherever they lie."""
    return f"{path.parent.name}/{path.name}"


def _rank(path: Path) -> float:
    """Return a number in [0, 1) that the file's name decides."""
    return int.from_bytes(hashlib.sha256(file_key(path).encode()).digest()[:8]) / 2**64
