"""`evopose data check` and `data synthetic`: what they say, write, and exit with."""

import json
import re

import cv2
import numpy as np
import pytest

from data.small_sets import coco_content, write_images
from evopose.data import open_dataset
from evopose.data.checking import check_dataset
from evopose.data.checking.sheet import CELL_HW, check_sheet
from evopose.drawing import SIDE_COLOURS

GAP, TITLE, CAPTION = 12, 36, 20
"""Pixels between a sheet's cells, above them, and below each."""


@pytest.fixture
def people(tmp_path, monkeypatch):
    """Return a function that writes a file of labels with images, changed; work in its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path / "home"))

    def make(change=lambda content: None, images=4):
        content = coco_content(images)
        write_images(tmp_path / "people/images", content)
        change(content)
        (tmp_path / "people/labels.json").write_text(json.dumps(content))
        return "people"

    return make


def test_a_clean_dataset_exits_with_0_and_draws_a_sheet(evopose, people, tmp_path):
    done = evopose("data", "check", people())
    assert done.code == 0
    assert "0 errors, 0 warnings, 0 notes" in done.out
    assert "drew people-check.jpg" in done.out
    assert cv2.imread(str(tmp_path / "people-check.jpg")) is not None


def broken_area(content):
    content["annotations"][1]["area"] = 0


def broken(content):
    content["annotations"][0]["image_id"] = 77
    broken_area(content)


def test_an_error_exits_with_2_and_all_is_told(evopose, people):
    done = evopose("data", "check", people(broken))
    assert done.code == 2
    error, warning = (line for line in done.out.splitlines() if line[:1] in "ew" and ": " in line)
    assert error.startswith("error   all: 1 x annotation of an image that is not listed: 101.")
    assert warning.startswith("warning all: 1 x person without an area: 102.")
    assert "1 error, 1 warning, 0 notes" in done.out


def test_a_program_gets_one_object(evopose, people):
    done = evopose("data", "check", people(broken), "--json")
    assert done.code == 2
    assert {k: done.json[k] for k in ("errors", "warnings", "notes")} == {
        "errors": 1, "warnings": 1, "notes": 0,
    }  # fmt: skip
    first = done.json["findings"][0]
    assert first.pop("mend")
    assert first == {
        "level": "error", "kind": "image-unknown", "split": "all", "count": 1, "first": ["101"],
        "text": "annotation of an image that is not listed",
    }  # fmt: skip
    assert done.json["sheet"] == "people-check.jpg"
    assert done.json["splits"]["all"]["images"] == 4


def test_a_warning_of_reading_is_not_said_twice(evopose, people, caplog):
    done = evopose("data", "check", people(broken_area))
    assert (done.code, done.err, caplog.records) == (0, "", [])


def test_how_often_each_keypoint_is_labelled(evopose, people):
    def change(content):
        content["annotations"][0]["keypoints"][:3] = [0, 0, 0]
        content["annotations"][0]["num_keypoints"] = 16

    people(change)
    assert "nose" not in evopose("data", "check", "people").out
    assert re.search(r"nose +75%", evopose("data", "check", "people", "-v").out)


def test_a_group_in_two_splits_exits_with_2(evopose, people):
    done = evopose("data", "check", people(images=12), "--group", "name:(0)", "--json")
    assert done.code == 2
    (found,) = done.json["findings"]
    assert (found["kind"], found["first"]) == ("group-in-two-splits", ["0 (train, val, test)"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "there is no nowhere"),
        (["people", "--out", "sheet.gif"], "not as '.gif'"),
        (["people", "--group", "video"], "says nothing of 001.png"),
        (["people", "--annotations", "other.json"], "other.json"),
    ],
)
def test_a_mistake_exits_with_2(evopose, people, arguments, said):
    people()
    done = evopose("data", "check", *arguments)
    assert done.code == 2
    assert said in done.out + done.err


def cell(sheet, row, column):
    top = TITLE + GAP + row * (CELL_HW[0] + GAP + CAPTION)
    left = GAP + column * (CELL_HW[1] + GAP)
    return sheet[top : top + CELL_HW[0], left : left + CELL_HW[1]].astype(int)


def middle_of(image, colour):
    """Return x of the middle of what has about this colour; None if nothing has."""
    _, x = np.nonzero((np.abs(image - np.array(colour)) < 12).all(axis=2))
    return float(np.median(x)) if len(x) > 20 else None


def arms(content):
    """Leave a shoulder and a wrist of the left side, far on the image's left."""
    for one in content["annotations"]:
        points = np.zeros((17, 3))
        points[[5, 7, 9]] = [[40, 60, 2], [40, 90, 2], [40, 120, 2]]
        one.update(keypoints=points.ravel().tolist(), num_keypoints=3)


@pytest.mark.parametrize("images", [3, 9])
def test_below_each_row_the_sides_are_exchanged(people, images):
    people(arms, images=images)
    sheet = check_sheet(check_dataset("people").labels, "people")
    rows = [(0, 1)] if images == 3 else [(0, 1), (2, 3)]
    for above, below in rows:
        left = middle_of(cell(sheet, above, 0), SIDE_COLOURS["left"])
        right = middle_of(cell(sheet, below, 0), SIDE_COLOURS["right"])
        assert middle_of(cell(sheet, above, 0), SIDE_COLOURS["right"]) is None
        assert middle_of(cell(sheet, below, 0), SIDE_COLOURS["left"]) is None
        assert right == pytest.approx(CELL_HW[1] - 1 - left, abs=1.5)


def test_a_wrong_flip_pair_goes_astray_in_the_sheet(people):
    def wrong(content):
        arms(content)
        content["categories"][0]["flip_pairs"] = [["left_wrist", "right_ear"]]

    people(wrong)
    sheet = check_sheet(check_dataset("people").labels, "people")
    assert middle_of(cell(sheet, 0, 0), SIDE_COLOURS["left"]) is not None
    assert middle_of(cell(sheet, 1, 0), SIDE_COLOURS["right"]) is None


def test_the_sheet_shows_all_splits(people, monkeypatch, tmp_path):
    for split, first in (("train", 0), ("val", 20), ("test", 40)):
        content = coco_content(20)
        for image, one in zip(content["images"], content["annotations"], strict=True):
            image.update(id=image["id"] + first, file_name=f"{image['id'] + first:03}.png")
            one.update(image_id=image["id"])
        write_images(tmp_path / "sets/images", content)
        (tmp_path / f"sets/{split}.json").write_text(json.dumps(content))
    shown = []
    monkeypatch.setattr(
        "evopose.data.checking.sheet.contact_sheet",
        lambda tiles, **sheet: shown.extend(sheet["captions"]),
    )
    check_sheet(check_dataset("sets").labels, "sets")
    rows = [shown[start : start + 8] for start in range(0, len(shown), 8)]
    assert [row[0] for row in rows[::2]] == ["train 101", "val 101", "test 101"]
    assert [row[-1] for row in rows[::2]] == ["train 120", "val 120", "test 120"]
    assert rows[1::2] == [["mirrored"] * 8] * 3


def test_drawn_people_are_a_dataset_without_errors(evopose, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = evopose("data", "synthetic", "drawn", "--count", 12, "--seed", 3, "--size", "96x64")
    assert done.code == 0
    found = open_dataset("drawn").found
    told = {name: int(n) for n, name in re.findall(r"(\d+) persons to (\w+)", done.out)}
    assert told == {name: len(dataset.trainable) for name, dataset in found.items()}
    assert sum(told.values()) >= 12
    assert {(i.height, i.width) for d in found.values() for i in d.images} == {(96, 64)}
    checked = evopose("data", "check", "drawn", "--json")
    assert (checked.code, checked.json["errors"]) == (0, 0)
    assert {f["kind"] for f in checked.json["findings"]} <= {"keypoint-never-labelled"}


def test_drawn_people_for_a_program(evopose, tmp_path):
    done = evopose("data", "synthetic", tmp_path / "drawn", "--count", 5, "--json")
    assert done.json["data"] == str(tmp_path / "drawn")
    assert set(done.json["persons"]) == {"train", "val", "test"}
    again = evopose("data", "synthetic", tmp_path / "drawn", "--count", 5)
    assert again.code == 2
    assert "holds something already" in again.err
