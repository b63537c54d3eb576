"""Splits by image: stable, disjoint, never empty."""

import json
from dataclasses import replace

import pytest

from data.small_sets import coco_content, write_images
from evopose.data import fitness_split, read_coco, split_by_image
from evopose.data.splits import subset
from evopose.errors import DataError


@pytest.fixture
def thirty(make_dataset):
    path = make_dataset(images=30)
    return read_coco(path, name="train", image_folders=[path.parent / "images"])


def ids(dataset):
    return {image.id for image in dataset.images}


def test_fitness_is_a_tenth_that_stays_when_images_come_and_go(thirty):
    train, fitness = fitness_split(thirty)
    assert ids(train) | ids(fitness) == ids(thirty)
    assert not ids(train) & ids(fitness)
    fewer = subset(thirty, ids(thirty) - {min(ids(train)), min(ids(fitness))}, name="fewer")
    some_train, some_fitness = fitness_split(fewer)
    assert ids(some_train) <= ids(train)
    assert ids(some_fitness) <= ids(fitness)


def test_fitness_share_of_many_images(shared):
    path = shared / "data/people/annotations/person_keypoints_train.json"
    whole = read_coco(path, name="train", image_folders=[shared / "data/people/images"])
    train, fitness = fitness_split(whole)
    assert len(fitness.images) / len(whole.images) == pytest.approx(0.1, abs=0.012)
    assert len(train.instances) + len(fitness.instances) == len(whole.instances)
    assert train.skipped["crowd"] + fitness.skipped["crowd"] == 8
    moved = replace(
        whole, images=tuple(replace(i, path=i.path.relative_to(shared)) for i in whole.images)
    )
    assert ids(fitness_split(moved)[1]) == ids(fitness)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_small_sets_have_both_sides(make_dataset, count):
    path = make_dataset(images=count)
    data = read_coco(path, name="train", image_folders=[path.parent / "images"])
    train, fitness = fitness_split(data)
    assert train.trainable
    assert fitness.trainable
    assert len(ids(train)) + len(ids(fitness)) == count


def test_one_image_cannot_be_split(make_dataset):
    path = make_dataset(images=1)
    data = read_coco(path, name="train", image_folders=[path.parent / "images"])
    with pytest.raises(DataError, match="one image with persons cannot both train"):
        fitness_split(data)


def test_images_without_persons_are_spread_too(tmp_path):
    content = coco_content(40)
    write_images(tmp_path, content)
    for one in content["annotations"][:30]:
        one["keypoints"] = [0] * 51
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content))
    found = split_by_image(read_coco(path, name="all", image_folders=[tmp_path]), seed=0)
    assert {n: len(d.images) for n, d in found.items()} == {"train": 32, "val": 4, "test": 4}
    assert {n: len(d.trainable) for n, d in found.items()} == {"train": 8, "val": 1, "test": 1}
    assert found["val"].skipped == {"crowd": 0, "no keypoints": 3}
