"""Files of boxes, matched with images by name; boxes at an image's borders."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from evopose.errors import DataError
from evopose.inference.boxes import clipped_boxes, on_image, read_boxes, whole_image

IMAGES = [Path("a/000000000007.jpg"), Path("a/one.jpg"), Path("b/two.jpg")]


def written(tmp_path, content) -> Path:
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize(
    "content",
    [
        [
            {"image_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5},
            {"image_id": 8, "bbox": [0, 0, 1, 1]},
        ],
        {
            "images": [{"id": 1, "file_name": "000000000007.jpg"}, {"id": 2, "file_name": "x.jpg"}],
            "annotations": [
                {"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5},
                {"image_id": 1, "bbox": [9, 9, 9, 9], "iscrowd": 1},
                {"image_id": 2, "bbox": [0, 0, 1, 1]},
            ],
        },
    ],
    ids=["results", "annotations"],
)
def test_boxes_find_their_image(tmp_path, content) -> None:
    found = read_boxes(written(tmp_path, content), IMAGES)
    np.testing.assert_array_equal(found[IMAGES[0]].xyxy, [[1, 2, 4, 6]])
    assert found[IMAGES[0]].scores.tolist() == [0.5]
    assert [len(found[image].scores) for image in IMAGES] == [1, 0, 0]


def test_boxes_by_file_name(tmp_path) -> None:
    content = {"two.jpg": [[0, 0, 5, 5], [1, 1, 5, 5]], "a/one.jpg": [[2, 2, 2, 2]]}
    found = read_boxes(written(tmp_path, content), IMAGES)
    assert [len(found[image].scores) for image in IMAGES] == [0, 1, 2]
    assert (found[IMAGES[2]].scores == 1).all()


def test_boxes_of_no_size_are_left_out_and_counted(tmp_path, caplog) -> None:
    file = written(tmp_path, {"one.jpg": [[0, 0, 0, 5], [0, 0, 5, -1], [0, 0, 5, 5]]})
    assert len(read_boxes(file, IMAGES)[IMAGES[1]].scores) == 1
    assert "boxes.json: 2 boxes without width or height are left out" in caplog.text


def kinds_of(tmp_path, kinds: list[int | None], *names: str) -> list[float]:
    """Lefts of the boxes that are kept of a box of each kind, the n-th with its left at n."""
    rows = [
        {"image_id": 7, "bbox": [at, 0, 5, 5]} | ({} if kind is None else {"category_id": kind})
        for at, kind in enumerate(kinds)
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    images = [{"id": 7, "file_name": "one.jpg"}, {"id": 8, "file_name": "000000000007.jpg"}]
    labels = {"images": images, "categories": categories, "annotations": rows}
    found = read_boxes(written(tmp_path, labels if names else rows), IMAGES)
    return found[IMAGES[1] if names else IMAGES[0]].xyxy[:, 0].tolist()


def test_only_persons_are_taken_for_persons(tmp_path, caplog) -> None:
    assert kinds_of(tmp_path, [2, 1, None, 2], "car", "Person") == [0, 2, 3]
    assert "boxes.json: 1 boxes of other things than persons are left out" in caplog.text
    assert kinds_of(tmp_path, [2, 1, None], "cat", "dog") == [0, 1, 2]
    assert kinds_of(tmp_path, [3, 1, None, 1]) == [1, 2, 3]
    assert kinds_of(tmp_path, [3, 3, None]) == [0, 1, 2]
    assert kinds_of(tmp_path, [3, 4]) == [0, 1]


def test_images_without_boxes_and_boxes_without_images_are_counted(tmp_path, caplog) -> None:
    found = read_boxes(written(tmp_path, {"one.jpg": [], "x.jpg": [[0, 0, 5, 5]]}), IMAGES[1:2])
    assert len(found[IMAGES[1]].scores) == 0
    assert "1 of 1 images have no boxes in" in caplog.text
    assert "boxes.json, a/one.jpg first" in caplog.text
    assert "boxes.json names 1 images that are none of those given" in caplog.text
    caplog.clear()
    read_boxes(written(tmp_path, {"one.jpg": [[0, 0, 5, 5]]}), IMAGES[1:2])
    assert not caplog.records


def test_a_path_to_the_same_file_is_its_name(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "a", target_is_directory=True)
    boxes = [[0, 0, 5, 5]]
    for name in ("a/one.jpg", "link/one.jpg", "a/../a/one.jpg"):
        file = written(tmp_path, {os.path.join(tmp_path, name): boxes})  # noqa: PTH118
        assert len(read_boxes(file, [*IMAGES, Path("b/one.jpg")])[IMAGES[1]].scores) == 1
    assert len(read_boxes(written(tmp_path, {"7": boxes}), [Path("7")])[Path("7")].scores) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"one.jpg": [[0, 0, float("nan"), 5]]},
            r"box \[0, 0, nan, 5\] of one.jpg, score 1.0: not finite",
        ),
        ([{"image_id": 7, "bbox": [0, 0, 1, 1], "score": float("inf")}], "score inf: not finite"),
        (
            {"three.jpg": [[0, 0, 5, 5]]},
            "names three.jpg, and none of the 3 images, 000000000007.jpg first",
        ),
        ({"one.jpg": [[0, 0, 5]]}, "holds no boxes as they are expected"),
        ([{"image_id": 9, "bbox": [0, 0, 1, 1]}], "names 9, and none of the 3 images"),
        ({}, "names nothing, and none of the 3 images"),
        ({"images": [], "annotations": [7]}, "holds no boxes as they are expected"),
        ("boxes", "holds no boxes as they are expected"),
    ],
)
def test_what_fits_not_is_told(tmp_path, content, message) -> None:
    with pytest.raises(DataError, match=message):
        read_boxes(written(tmp_path, content), IMAGES)


def test_a_name_of_two_images_is_told(tmp_path) -> None:
    file = written(tmp_path, {"one.jpg": [[0, 0, 5, 5]]})
    with pytest.raises(DataError, match=r"one.jpg may be a/one.jpg or b/one.jpg; name more of"):
        read_boxes(file, [*IMAGES, Path("b/one.jpg")])


def test_boxes_on_an_image_have_a_part_in_it() -> None:
    xyxy = np.array([[-9.0, -9, 0, 0], [19, 9, 30, 30], [-9, 0, -1, 5], [20, 0, 30, 5]])
    assert on_image(xyxy, (10, 20)).tolist() == [True, True, False, False]


def test_boxes_end_at_the_borders() -> None:
    xyxy = np.array([[-9.0, -9, 99, 99], [4, 4, 4.9, 8], [18.9, 2, 30, 5], [3, 3, 5, 5]])
    boxes = clipped_boxes(xyxy, np.array([0.9, 0.8, 0.7, 0.6]), (10, 20))
    np.testing.assert_array_equal(boxes.xyxy, [whole_image(10, 20).xyxy[0], [3, 3, 5, 5]])
    assert boxes.scores.tolist() == [0.9, 0.6]
