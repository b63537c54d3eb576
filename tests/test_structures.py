"""Datasets as values, checked when they are made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evopose.errors import DataError
from evopose.skeleton import Skeleton
from evopose.structures import ImageRecord, Instance, PoseDataset

SKELETON = Skeleton(keypoints=("nose", "tail"))
IMAGE = ImageRecord(id=7, path=Path("a.jpg"), height=40, width=60)


def instance(visibility: tuple[int, int], **options) -> Instance:
    keypoints = np.array([[5, 6, visibility[0]], [7, 8, visibility[1]]], np.float32)
    values = {"id": 1, "image_id": 7, "box_xyxy": np.array([0.0, 0, 9, 9]), "area": 80.0}
    return Instance(**values | {"keypoints": keypoints} | options)


def dataset(*instances: Instance, images: tuple[ImageRecord, ...] = (IMAGE,)) -> PoseDataset:
    return PoseDataset(name="mice", skeleton=SKELETON, images=images, instances=instances)


def test_hidden_keypoints_are_labelled_and_absent_ones_are_not() -> None:
    assert [instance(v).num_labelled for v in ((0, 0), (0, 1), (2, 1))] == [0, 1, 2]


def test_crowds_and_unlabelled_instances_stay_but_are_not_trained_on() -> None:
    kept, crowd, blank = instance((2, 0)), instance((2, 2), is_crowd=True), instance((0, 0))
    mice = dataset(crowd, kept, blank)
    assert mice.instances == (crowd, kept, blank)
    assert mice.trainable == (kept,)


def test_an_annotation_of_no_image_is_an_error() -> None:
    with pytest.raises(DataError, match="mice: annotation 1 names image 8, which is not among"):
        dataset(instance((2, 2), image_id=8))


def test_two_images_of_one_id_are_an_error() -> None:
    with pytest.raises(DataError, match="mice: image ids must differ"):
        dataset(images=(IMAGE, replace(IMAGE, path=Path("b.jpg"))))


@pytest.mark.parametrize("shape", [(3, 3), (2, 2), (6,)])
def test_another_number_of_keypoints_than_the_skeletons_is_an_error(shape) -> None:
    with pytest.raises(DataError, match=r"keypoints of shape .* expected \(2, 3\)"):
        dataset(instance((2, 2), keypoints=np.zeros(shape, np.float32)))
