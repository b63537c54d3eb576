"""Lists of images without labels, in the form of COCO's image_info files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from evopose.data.image_lists import lists_images_alone, name_of_list, read_image_list
from evopose.errors import DataError
from evopose.skeleton import COCO_PERSON


@pytest.fixture
def coco(tmp_path) -> Path:
    """A folder as COCO's: a list of three images of test-dev2017, two of them in test2017."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "test2017").mkdir()
    images = [
        {"id": i, "file_name": f"{i:012}.jpg", "height": 20, "width": 30, "license": 1}
        for i in (3, 1, 16)
    ]
    for one in images[:2]:
        cv2.imwrite(str(tmp_path / "test2017" / one["file_name"]), np.zeros((20, 30, 3), np.uint8))
    write(tmp_path, {"info": {}, "licenses": [], "categories": [{"id": 1, "name": "person"}],
                     "images": images})  # fmt: skip
    return tmp_path


def write(folder: Path, content: object) -> Path:
    file = folder / "annotations" / "image_info_test-dev2017.json"
    file.write_text(json.dumps(content))
    return file


def read(folder: Path, **changes: object):
    file = folder / "annotations" / "image_info_test-dev2017.json"
    if changes:
        write(folder, json.loads(file.read_text()) | changes)
    return read_image_list(file, root=folder)


def test_what_is_there_is_read_and_what_is_absent_named(coco) -> None:
    found = read(coco)
    assert found.name == "test-dev2017"
    assert [(one.id, one.path, one.height, one.width) for one in found.images] == [
        (3, coco / "test2017" / "000000000003.jpg", 20, 30),
        (1, coco / "test2017" / "000000000001.jpg", 20, 30),
    ]
    assert found.absent == ("000000000016.jpg",)
    assert found.folder == coco / "test2017"
    assert (found.skeleton, found.labels) == (None, 0)


def test_a_list_is_told_by_its_content(coco, tmp_path) -> None:
    file = coco / "annotations" / "image_info_test-dev2017.json"
    assert lists_images_alone(file)
    assert not lists_images_alone(write(coco, {"images": [], "annotations": []}))
    assert not lists_images_alone(write(coco, [{"image_id": 3}]))
    assert not lists_images_alone(tmp_path / "none.json")


def test_labels_and_keypoints_of_a_file_are_told(coco) -> None:
    names = list(COCO_PERSON.keypoints)
    category = {"id": 1, "name": "person", "keypoints": names}
    found = read(coco, annotations=[{}, {}], categories=[category])
    assert found.labels == 2
    assert found.skeleton is not None
    assert found.skeleton.sigmas == COCO_PERSON.sigmas


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images": []}, "lists no images"),
        ({"images": None}, "expected an object with lists images"),
        ({"images": [7]}, "entries of 'images' are no objects, at positions: 0"),
        ({"images": [{"id": 1}]}, "each needs a whole number as 'height'"),
        (
            {"images": [{"id": 1, "file_name": "x.jpg", "height": 2, "width": 2}]},
            r"none of its 1 images is there \(the first: x.jpg\); looked in .*test2017",
        ),
    ],
)
def test_what_lists_nothing_is_refused(coco, changes, said) -> None:
    with pytest.raises(DataError, match=said):
        read(coco, **changes)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("image_info_test2017.json", "test2017"),
        ("person_keypoints_val2017.json", "val2017"),
        ("people.json", "people"),
    ],
)
def test_what_images_are_called(file, name) -> None:
    assert name_of_list(Path(file)) == name
