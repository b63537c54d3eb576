"""Checking datasets: each way of being broken is found, with its severity, number and names."""

import json
import math
import shutil

import cv2
import numpy as np
import pytest

from data.small_sets import coco_content, write_images
from evopose.data import build_crops, open_dataset
from evopose.data.checking import LEVELS, check_dataset
from evopose.data.crops import CropSpec
from evopose.errors import ConfigError, DataError
from evopose.skeleton import COCO_PERSON


def person(content, place=0):
    return content["annotations"][place]


def put(place, **fields):
    """A change that gives one annotation other fields."""
    return lambda content: content["annotations"][place].update(fields)


def put_image(place, **fields):
    return lambda content: content["images"][place].update(fields)


def put_category(**fields):
    return lambda content: content["categories"][0].update(fields)


def without(place, key):
    return lambda content: content["annotations"][place].pop(key)


def keypoint(place, index, x, y, v):
    def change(content):
        content["annotations"][place]["keypoints"][3 * index : 3 * index + 3] = [x, y, v]

    return change


def blank(place):
    """A change after which one person has no labelled keypoint."""
    return put(place, keypoints=[0] * 51, num_keypoints=0)


def never(index):
    """A change after which nobody has keypoint `index`."""

    def change(content):
        for one in content["annotations"]:
            one["keypoints"][3 * index : 3 * index + 3] = [0, 0, 0]
            one["num_keypoints"] = 16

    return change


def renamed(names, **more):
    """A change of the category to other keypoints, as many of them as names."""

    def change(content):
        content["categories"][0].update(keypoints=list(names), skeleton=[[1, 2]], **more)
        for one in content["annotations"]:
            one.update(keypoints=one["keypoints"][: 3 * len(names)], num_keypoints=len(names))

    return change


def both(*changes):
    def change(content):
        for one in changes:
            one(content)

    return change


def again(content):
    """Add the first person a second time, a fifth of a pixel away."""
    twin = json.loads(json.dumps(person(content)))
    twin["id"] = 900
    twin["keypoints"][0] += 0.2
    content["annotations"].append(twin)


def crowd(content):
    content["annotations"].append(
        {"id": 900, "image_id": 1, "category_id": 1, "iscrowd": 1, "num_keypoints": 0,
         "keypoints": [0] * 51, "bbox": [0, 0, 50, 50], "area": 900}
    )  # fmt: skip


def small(content):
    """Shrink the first person's keypoints into 6 pixels of a box of 100 x 120."""
    points = np.array(person(content)["keypoints"], float).reshape(17, 3)
    points[:, :2] = points[:, :2] / 20 + (80, 100)
    person(content)["keypoints"] = points.ravel().tolist()


NAN = math.nan
SIDES = ["nose", "left_ear", "right_ear", "left_paw", "right_paw"]
SIGMAS = [0.05] * 5

WRONG = {
    # change, then what the one finding is
    "image id not whole": (put_image(3, id="4"), ["error:image-id", "error:image-unknown"]),
    "image id twice": (put_image(3, id=3), ["error:image-id-twice", "error:image-unknown"]),
    "image without a name": (put_image(3, file_name=""), ["error:image-name"]),
    "image without a size": (put_image(3, height=0), ["error:image-size"]),
    "image missing": (put_image(3, file_name="x.png"), ["error:image-missing 1 x.png"]),
    "image of another size": (
        put_image(3, width=200, height=160),
        ["error:image-other-size 1 004.png"],
    ),
    "a file as two images": (  # which will be in two splits
        put_image(3, file_name="003.png"),
        ["error:image-in-two-splits 1 003.png = 003.png", "warning:image-listed-twice 1 003.png"],
    ),
    "annotation id not whole": (put(1, id=1.5), ["error:id 1 position 1"]),
    "annotation id twice": (put(1, id=101), ["error:id-twice 1 101"]),
    "annotation of an unknown image": (put(1, image_id=77), ["error:image-unknown 1 102"]),
    "annotation of an unknown category": (
        put(1, category_id=77),
        ["error:category-unknown 1 102"],
    ),
    "other numbers of keypoints": (put(1, keypoints=[1, 2, 2]), ["error:keypoints 1 102"]),
    "keypoints not finite": (keypoint(1, 3, NAN, 5, 2), ["error:keypoints 1 102"]),
    "keypoints no numbers": (keypoint(1, 3, "left", 5, 2), ["error:keypoints 1 102"]),
    "a box of three": (put(1, bbox=[1, 2, 3]), ["error:box 1 102"]),
    "an area that is text": (put(1, area="large"), ["error:area 1 102"]),
    "a strange visibility": (keypoint(1, 3, 60, 60, 3), ["error:visibility 1 102"]),
    "a negative visibility": (
        both(keypoint(1, 3, 60, 60, -1), put(1, num_keypoints=16)), ["error:visibility 1 102"]),
    "an empty box": (put(1, bbox=[30, 40, 0, 120]), ["error:box-empty 1 102"]),
    "a reversed box": (put(1, bbox=[130, 160, -100, -120]), ["error:box-empty 1 102"]),
    "no box": (without(1, "bbox"), ["error:box-empty 1 102"]),
    "a box elsewhere": (put(1, bbox=[300, 40, 100, 120]), ["error:box-elsewhere 1 102"]),
    "a keypoint outside the image": (
        both(keypoint(1, 3, 165, 100, 2), put(1, bbox=[30, 40, 120, 120])),
        ["warning:keypoint-outside-image 1 102"],
    ),
    "a keypoint far from its box": (
        both(put(1, bbox=[30, 40, 40, 40], area=800), keypoint(1, 3, 150, 190, 2)),
        ["warning:keypoint-far-from-box 1 102"],
    ),
    "a keypoint at the corner": (
        both(keypoint(1, 3, 0, 0, 2), put(1, bbox=[0, 0, 130, 160])),
        ["warning:keypoint-at-origin 1 102"],
    ),
    "a box much larger": (small, ["warning:box-much-larger 1 101"]),
    "the same person twice": (again, ["warning:person-twice 1 101 = 900"]),
    "num_keypoints is wrong": (put(1, num_keypoints=12), ["warning:num-keypoints 1 102"]),
    "no area": (without(1, "area"), ["warning:area-missing 1 102"]),
    "an area larger than the box": (put(1, area=60000), ["warning:area-above-box 1 102"]),
    "a keypoint that nobody has": (never(4), ["warning:keypoint-never-labelled 1 right_ear"]),
    "a crowd": (crowd, ["note:crowd 1 900"]),
    "a person without keypoints": (blank(1), ["note:no-keypoints 1 102"]),
    "places without visibility": (
        both(keypoint(1, 3, 60, 60, 0), put(1, num_keypoints=16)),
        ["note:placed-but-unlabelled 1 102"],
    ),
    "no sides in the names": (
        renamed(["head", "tail"], sigmas=[0.05, 0.05]),
        ["warning:flip-pairs-unknown"],
    ),
    "no sigmas": (renamed(SIDES), ["note:sigmas-assumed"]),
    "flip pairs against the names": (
        renamed(SIDES, sigmas=SIGMAS, flip_pairs=[["left_ear", "right_paw"]]),
        ["warning:flip-pairs-unlike-names 3 left_ear/right_ear"],
    ),
    "not an involution": (
        put_category(flip_pairs=[["nose", "left_eye"], ["nose", "right_eye"]]),
        ["error:skeleton"],
    ),
    "sides that do not pair": (renamed(["left_ear", "tail"]), ["error:skeleton"]),
    "too few sigmas": (put_category(sigmas=[0.1]), ["error:skeleton"]),
    "annotations of another category": (
        both(
            lambda content: content["categories"].append({"id": 2, "name": "dog"}),
            lambda content: content["annotations"].append(
                {"id": 900, "image_id": 1, "category_id": 2, "bbox": [0, 0, 9, 9], "area": 9}
            ),
        ),
        ["note:other-categories"],
    ),
    "several categories with keypoints": (
        lambda content: content["categories"].append({"id": 2, "name": "dog", "keypoints": ["a"]}),
        ["error:several-categories 2 person, dog"],
    ),
    "no category with keypoints": (put_category(keypoints=[]), ["error:file"]),
    "no images": (
        lambda content: content.update(images=[]),
        ["error:no-images", "error:image-unknown"],
    ),
    "nobody labelled": (
        lambda content: [blank(i)(content) for i in range(4)],
        ["error:nobody", "note:no-keypoints"],
    ),
}  # fmt: skip
CAUSES_MORE = {"image id not whole", "image without a name", "image without a size", "no images"}
"""What else is wrong follows from it, and is told, too."""
LEAK = "image-in-two-splits"
"""The one error that nothing refuses."""


def told(report):
    return [f"{f.level}:{f.kind} {f.count} {', '.join(f.first)}".strip() for f in report.findings]


def test_a_clean_dataset_gives_no_findings(make_dataset):
    report = check_dataset(make_dataset())
    assert report.findings == ()
    assert (report.flip_pairs, report.sigmas) == ("from names", "COCO's")
    assert report.keypoints == COCO_PERSON.keypoints


@pytest.mark.parametrize("case", WRONG)
def test_each_way_of_being_wrong_is_found(make_dataset, case):
    change, expected = WRONG[case]
    file = make_dataset(change)
    found = told(check_dataset(file))
    for piece in expected:
        assert any(line.startswith(piece) for line in found), found
    assert len(found) == len(expected) or case in CAUSES_MORE, found
    refused = any(line.startswith("error") and LEAK not in line for line in found)
    assert refused == refuses(file), "errors are what evopose refuses"


def refuses(file):
    """Whether opening the data, or cutting its crops, ends in an error."""
    try:
        for dataset in open_dataset(file).found.values():
            build_crops(
                dataset, CropSpec(input_hw=(64, 48)), cache_dir=file.parent / "crops", workers=1
            )
    except DataError:
        return True
    return False


@pytest.fixture
def make_splits(tmp_path):
    """Write a folder with train and val of four images each, after `change(train, val)`."""

    def make(change=lambda train, val: None):
        root = tmp_path / "folder"
        contents = []
        for split, first in (("train", 0), ("val", 10)):
            content = coco_content(4, seed=first)
            for image, one in zip(content["images"], content["annotations"], strict=True):
                image.update(id=image["id"] + first, file_name=f"{image['id'] + first:03}.png")
                one.update(id=one["id"] + first, image_id=image["id"])
            write_images(root / "images" / split, content)
            contents.append(content)
        change(*contents)
        (root / "annotations").mkdir()
        for split, content in zip(("train", "val"), contents, strict=True):
            path = root / f"annotations/person_keypoints_{split}.json"
            path.write_text(json.dumps(content))
        return root

    return make


def only(report):
    (found,) = report.findings
    return found


def test_clean_splits_give_no_findings(make_splits):
    report = check_dataset(make_splits())
    assert report.findings == ()
    assert [(n, s.images, s.persons, s.keypoints) for n, s in report.splits.items()] == [
        ("train", 4, 4, 68),
        ("val", 4, 4, 68),
    ]


def test_an_image_in_two_splits_is_a_leak(make_splits):
    root = make_splits()
    shutil.copy(root / "images/train/002.png", root / "images/val/013.png")
    found = only(check_dataset(root))
    assert (found.level, found.kind, found.count) == ("error", "image-in-two-splits", 1)
    assert found.first == ("002.png = 013.png",)
    assert "train and val" in found.describe()


def test_an_image_twice_in_one_split(make_splits):
    root = make_splits()
    shutil.copy(root / "images/val/012.png", root / "images/val/013.png")
    found = only(check_dataset(root))
    assert (found.level, found.kind, found.split) == ("warning", "image-twice", "val")
    assert found.first == ("012.png = 013.png",)


def test_an_image_twice_in_one_file_leaks_where_the_file_is_split_so(make_dataset):
    file = make_dataset(images=12)
    split_of = {i.path.name: n for n, d in open_dataset(file).found.items() for i in d.images}
    train = sorted(name for name, split in split_of.items() if split == "train")
    (val,) = (name for name, split in split_of.items() if split == "val")
    images = file.parent / "images"
    shutil.copy(images / train[0], images / train[1])
    assert only(check_dataset(file)).level == "warning"
    shutil.copy(images / train[2], images / val)
    kinds = {f.kind: f for f in check_dataset(file).findings}
    assert kinds["image-in-two-splits"].level == "error"
    assert set(kinds["image-in-two-splits"].first[0].split(" = ")) == {train[2], val}


@pytest.mark.parametrize("how", ["empty", "text", "cut off"])
def test_images_that_do_not_open(make_dataset, how):
    file = make_dataset()
    path = file.parent / "images/002.png"
    if how == "cut off":
        image = cv2.imread(str(path))
        path = path.with_suffix(".jpg")
        jpeg = cv2.imencode(".jpg", image)[1].tobytes()
        path.write_bytes(jpeg[: len(jpeg) // 2])
        content = json.loads(file.read_text())
        content["images"][1]["file_name"] = path.name
        file.write_text(json.dumps(content))
    else:
        path.write_bytes(b"" if how == "empty" else b"no image")
    found = only(check_dataset(file))
    assert (found.level, found.kind, found.first) == ("error", "image-unreadable", (path.name,))


def test_an_image_of_nobody_that_does_not_open_is_a_warning(make_dataset):
    file = make_dataset(blank(1))
    (file.parent / "images/002.png").write_bytes(b"no image")
    levels = {f.kind: f.level for f in check_dataset(file).findings}
    assert levels == {"image-unreadable": "warning", "no-keypoints": "note"}
    assert not refuses(file)


def test_an_image_turned_against_its_labels_is_told_with_both_sizes(make_dataset):
    file = make_dataset(put_image(0, width=200, height=160))
    found = only(check_dataset(file))
    assert found.first == ("001.png (160x200, labelled 200x160)",)


@pytest.mark.parametrize(("key", "groups"), [("video", 3), ("name:([0-9]).png", 4)])
def test_a_group_in_two_splits_is_a_leak(make_splits, key, groups):
    def change(*contents):
        for content in contents:
            for image in content["images"]:
                image["video"] = f"v{image['id'] % 3}"

    found = only(check_dataset(make_splits(change), group=key))
    assert (found.level, found.kind, found.count) == ("error", "group-in-two-splits", groups)
    assert "(train, val)" in found.first[0]
    assert "--group" in found.mend


def test_groups_of_one_split_each_are_no_finding(make_splits):
    def change(train, val):
        for content, name in ((train, "a"), (val, "b")):
            for image in content["images"]:
                image["video"] = name

    assert check_dataset(make_splits(change), group="video").findings == ()


def test_a_group_in_a_file_that_will_be_split_is_a_leak(make_dataset):
    def change(content):
        for image in content["images"]:
            image["video"] = "one"

    found = only(check_dataset(make_dataset(change, images=12), group="video"))
    assert found.first == ("one (train, val, test)",)


@pytest.mark.parametrize(
    ("key", "error", "said"),
    [
        ("name:(.*", ConfigError, "no regular expression"),
        ("name:.*", ConfigError, "0 groups"),
        ("video", DataError, "says nothing of 001.png"),
    ],
)
def test_a_group_that_is_none_is_refused(make_dataset, key, error, said):
    with pytest.raises(error, match=said):
        check_dataset(make_dataset(), group=key)


def test_splits_whose_skeletons_differ(make_splits):
    def change(train, val):
        val["categories"][0]["keypoints"].reverse()

    found = only(check_dataset(make_splits(change)))
    assert (found.level, found.kind, found.split) == ("error", "skeletons-differ", "val")


def test_a_split_that_training_needs(make_splits):
    root = make_splits()
    (root / "annotations/person_keypoints_val.json").unlink()
    found = only(check_dataset(root))
    assert (found.level, found.kind) == ("warning", "no-split")
    assert "val" in found.text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"images": []}'])
def test_a_file_that_is_none_leaves_the_other_to_be_checked(make_splits, text):
    root = make_splits(lambda train, val: put(0, area=0)(val))
    (root / "annotations/person_keypoints_train.json").write_text(text)
    found = {f.kind: (f.level, f.split) for f in check_dataset(root).findings}
    assert found == {"file": ("error", "train"), "area-missing": ("warning", "val")}


def test_all_that_is_wrong_is_found_at_once(make_dataset):
    changes = [WRONG[case][0] for case in ("a strange visibility", "a box elsewhere", "no area")]
    places = [put(0, bbox=[30, 40, 0, 9]), keypoint(2, 0, 500, 60, 2), put(3, num_keypoints=1)]
    report = check_dataset(make_dataset(both(*changes, *places)))
    kinds = {f.kind for f in report.findings}
    assert kinds >= {"visibility", "box-elsewhere", "area-missing", "box-empty",
                     "keypoint-outside-image", "num-keypoints"}  # fmt: skip
    levels = [LEVELS.index(f.level) for f in report.findings]
    assert levels == sorted(levels), "errors come first"


def test_only_the_first_offenders_are_named(make_dataset):
    file = make_dataset(lambda content: [put(i, area=0)(content) for i in range(8)], images=8)
    found = only(check_dataset(file))
    assert found.count == 8
    assert found.first == ("101", "102", "103", "104", "105")
    assert ", ..." in found.describe()


def test_real_people(shared):
    report = check_dataset(shared / "data/fixtures/coco/test_coco.json")
    assert report.sigmas == "COCO's"
    assert report.count("error") == 0
