"""`check_dataset`: each thing it finds, and that it finds nothing where nothing is."""

import json
import shutil

import numpy as np
import pytest

from data.small_sets import coco_content, write_images
from evopose.data import open_dataset
from evopose.data.checking import check_dataset
from evopose.data.checking.sheet import check_sheet
from evopose.drawing import SIDE_COLOURS
from evopose.errors import ConfigError, DataError


@pytest.fixture
def make(tmp_path):
    """Write splits of 12, 4 and 4 images after `change(content)` of train; return the folder."""

    def write(change=lambda content: None, *, split="train"):
        first = 1
        for name, count in (("train", 12), ("val", 4), ("test", 4)):
            content = coco_content(count, seed=first)
            for key in ("images", "annotations"):
                for record in content[key]:
                    record["id"] += first
            for i, image in enumerate(content["images"]):
                image["file_name"] = f"{first + i:03}.png"
                content["annotations"][i]["image_id"] = image["id"]
            write_images(tmp_path / "set/images", content)
            if name == split:
                change(content)
            (tmp_path / f"set/{name}.json").write_text(json.dumps(content))
            first += count
        return tmp_path / "set"

    return write


def found(report, *levels):
    """What was found: kind -> (split, count, first)."""
    levels = levels or ("error", "warning")
    return {f.kind: (f.split, f.count, f.first) for f in report.findings if f.level in levels}


def test_nothing_is_found_where_nothing_is(make):
    told = []
    folder = make()
    report = check_dataset(folder, on_progress=lambda *said: told.append(said))
    assert found(report) == {}
    assert [f.kind for f in report.findings] == []
    assert told[-1] == ("images", 20, 20)
    assert {n: (s.images, s.persons, s.keypoints) for n, s in report.splits.items()} == {
        "train": (12, 12, 204), "val": (4, 4, 68), "test": (4, 4, 68),
    }  # fmt: skip
    assert (report.flip_pairs, report.sigmas) == ("from names", "COCO's")
    assert set(report.splits["val"].labelled.values()) == {1.0}


def annotation(index, **values):
    return lambda content: content["annotations"][index].update(values)


def image(index, **values):
    return lambda content: content["images"][index].update(values)


def category(**values):
    return lambda content: content["categories"][0].update(values)


def keypoint(index, place, value, *, others=None):
    def change(content):
        values = content["annotations"][index]["keypoints"]
        if others is not None:
            values[:] = [others if i % 3 == 2 else v for i, v in enumerate(values)]
        values[3 * place : 3 * place + 3] = value

    return change


def remove(section, index, key):
    return lambda content: content[section][index].pop(key)


def twin(content):
    first = content["annotations"][2]
    content["annotations"].append({**first, "id": 900})


def near_twin(content):
    twin(content)
    other = content["annotations"][-1]
    moved = np.reshape(other["keypoints"], (-1, 3)) + np.array([0.3, 0.3, 0])
    other["keypoints"] = moved.ravel().tolist()


ERRORS = {
    "image-id": (image(3, id="x"), (1, ("position 3",))),
    "image-id-twice": (image(3, id=3), (1, ("3",))),
    "image-name": (image(3, file_name=None), (1, ("5",))),
    "image-size": (image(3, width=0), (1, ("5",))),
    "image-missing": (image(3, file_name="gone.png"), (1, ("gone.png",))),
    "image-other-size": (image(3, width=200, height=160),
                         (1, ("004.png (160x200, labelled 200x160)",))),
    "category-unknown": (annotation(2, category_id=8), (1, ("104",))),
    "id": (annotation(2, id=None), (1, ("position 2",))),
    "id-twice": (annotation(2, id=105), (1, ("105",))),
    "image-unknown": (annotation(2, image_id=77), (1, ("104",))),
    "keypoints": (annotation(2, keypoints=[1, 2, 2] * 16), (1, ("104",))),
    "box": (annotation(2, bbox=[1, 2, "3", 4]), (1, ("104",))),
    "area": (annotation(2, area="big"), (1, ("104",))),
    "box-empty": (annotation(2, bbox=[5, 5, 0, 10]), (1, ("104",))),
    "box-elsewhere": (annotation(2, bbox=[160, 5, 9, 9]), (1, ("104",))),
    "visibility": (keypoint(2, 4, [50, 60, 3]), (1, ("104",))),
}  # fmt: skip


@pytest.mark.parametrize("kind", ERRORS)
def test_errors(make, kind):
    """Each is found with its offenders, and is what training refuses."""
    change, (count, first) = ERRORS[kind]
    folder = make(change)
    report = check_dataset(folder)
    assert found(report, "error")[kind] == ("train", count, first)
    if kind != "image-other-size":  # images are opened when crops are cut
        with pytest.raises(DataError):
            open_dataset(folder)


WARNINGS = {
    "keypoint-outside-image": keypoint(2, 4, [170, 60, 2]),
    "keypoint-at-origin": keypoint(2, 4, [0, 0, 2]),
    "keypoint-far-from-box": annotation(2, bbox=[30, 40, 20, 30]),
    "box-much-larger": lambda content: content["annotations"][2].update(
        keypoints=[v for i in range(17) for v in (50 + i, 60 + i, 2)], bbox=[0, 0, 160, 199]),
    "labelled-as-unlabelled": keypoint(2, 4, [50, 60, 0], others=0),
    "num-keypoints": annotation(2, num_keypoints=3),
    "area-missing": remove("annotations", 2, "area"),
    "area-above-box": annotation(2, area=99999.0),
}  # fmt: skip


@pytest.mark.parametrize("kind", WARNINGS)
def test_warnings(make, kind):
    report = check_dataset(make(WARNINGS[kind]))
    assert found(report)[kind] == ("train", 1, ("104",))
    assert not found(report, "error")
    by_kind = {f.kind: f for f in report.findings}
    assert by_kind[kind].mend


@pytest.mark.parametrize("change", [twin, near_twin])
def test_a_person_twice(make, change):
    assert found(check_dataset(make(change)))["person-twice"] == ("train", 1, ("104 = 900",))


def test_persons_beside_each_other_are_not_one(make):
    def change(content):
        twin(content)
        other = content["annotations"][-1]
        moved = np.reshape(other["keypoints"], (-1, 3)) + np.array([12, 0, 0])
        other["keypoints"] = moved.ravel().tolist()

    assert found(check_dataset(make(change))) == {}


def test_several_problems_are_all_told(make):
    def change(content):
        annotation(0, image_id=77)(content)
        annotation(1, bbox=[0, 0, 0, 0])(content)
        for one in content["annotations"][2:]:
            one["area"] = 0
        image(5, file_name="gone.png")(content)

    report = check_dataset(make(change))
    assert {"image-unknown", "box-empty", "image-missing", "area-missing"} <= set(found(report))
    assert [f.level for f in report.findings] == sorted(f.level for f in report.findings)
    (missing,) = (f for f in report.findings if f.kind == "area-missing")
    assert missing.count == 10
    assert missing.describe() == (
        "train: 10 x person without an area: 104, 105, 106, 107, 108, .... OKS takes 0.53 of the "
        "box for it: give areas (of segmentations) for comparable numbers"
    )


def test_images_are_opened_and_compared(make):
    folder = make()
    images = folder / "images"
    (images / "002.png").write_bytes(b"\x89PNG but no more")
    shutil.copy(images / "003.png", images / "013.png")  # train and val
    shutil.copy(images / "005.png", images / "006.png")  # both train
    told = found(check_dataset(folder))
    assert told == {
        "image-unreadable": ("train", 1, ("002.png",)),
        "image-in-two-splits": ("", 1, ("003.png = 013.png",)),
        "image-twice": ("train", 1, ("005.png = 006.png",)),
    }


def test_an_image_of_nobody_may_be_damaged(make):
    folder = make(lambda content: content["annotations"].pop(0))
    (folder / "images/001.png").write_bytes(b"")
    report = check_dataset(folder)
    assert found(report, "warning") == {"image-unreadable": ("train", 1, ("001.png",))}
    assert found(report, "error") == {}
    assert report.splits["train"].empty == 1


def test_a_file_listed_twice(make):
    assert found(check_dataset(make(image(3, file_name="003.png")))) == {
        "image-listed-twice": ("train", 1, ("003.png",))
    }


def test_groups_in_two_splits(make):
    folder = make()
    for name, videos in (("train", "aaabbbcccddd"), ("val", "eedf"), ("test", "gggg")):
        path = folder / f"{name}.json"
        content = json.loads(path.read_text())
        for record, video in zip(content["images"], videos, strict=True):
            record["video"] = video
        path.write_text(json.dumps(content))
    told = found(check_dataset(folder, group="video"))
    assert told == {"group-in-two-splits": ("", 1, ("d (train, val)",))}
    tens = found(check_dataset(folder, group=r"name:(\d+)\d\."))
    assert tens == {"group-in-two-splits": ("", 1, ("01 (train, val, test)",))}
    with pytest.raises(ConfigError, match="0 groups in it; expected --group FIELD"):
        check_dataset(folder, group=r"name:\d")


# Skeletons


def test_skeletons(make):
    names = ["nose", *(f"{s}_{k}" for k in "abcdefgh" for s in ("left", "right"))]
    swapped = [["left_a", "right_b"], ["right_a", "left_b"],
               *[[f"left_{k}", f"right_{k}"] for k in "cdefgh"]]  # fmt: skip
    folder = make()

    def change(**values):
        for split in ("train", "val", "test"):
            path = folder / f"{split}.json"
            content = json.loads(path.read_text())
            content["categories"][0].update(values)
            path.write_text(json.dumps(content))
        return check_dataset(folder)

    report = change(keypoints=names)
    assert found(report, "note").keys() == {"sigmas-assumed", "no-limbs"}
    assert (report.flip_pairs, report.sigmas) == ("from names", "assumed")
    report = change(flip_pairs=swapped, sigmas=[0.1] * 17, skeleton=[[1, 2]])
    assert found(report, "note") == {}
    assert (report.flip_pairs, report.sigmas) == ("given", "given")
    _, count, first = found(report)["flip-pairs-unlike-names"]
    assert count == 4
    assert set(first) == {"left_a/right_a", "left_a/right_b", "right_a/left_b", "left_b/right_b"}
    report = change(flip_pairs=[["left_a", "right_a"], ["left_a", "right_b"]])
    (error, *_) = (f for f in report.findings if f.kind == "skeleton")
    assert "flip pairs must be an involution" in error.text
    report = change(keypoints=[f"point {i}" for i in range(17)], flip_pairs=None)
    assert found(report).keys() == {"flip-pairs-unknown"}
    assert report.flip_pairs == "unknown"


def test_splits_that_differ(make):
    def reverse(content):
        content["categories"][0]["keypoints"].reverse()

    report = check_dataset(make(reverse, split="val"))
    (told,) = (f for f in report.findings if f.level == "error")
    assert told.kind == "skeletons-differ"
    assert told.describe() == (
        "val: has other keypoints, or another order of them, than train. Give the categories of "
        "all splits the same"
    )


def test_a_keypoint_that_nobody_has_labelled(make):
    def change(content):
        for one in content["annotations"]:
            one["keypoints"][3:6] = [0, 0, 0]
            one["num_keypoints"] = 16
            one["keypoints"][8] = 1

    report = check_dataset(make(change))
    assert found(report) == {"keypoint-never-labelled": ("train", 1, ("left_eye",))}
    assert report.splits["train"].labelled["left_eye"] == 0
    assert report.splits["train"].hidden["right_eye"] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"images": [', "is not JSON, or is cut off"), ("[1]", "got list"),
     ('{"images": [], "annotations": [], "categories": []}', "no category names keypoints")],
)  # fmt: skip
def test_files_that_say_nothing(make, text, said):
    folder = make()
    (folder / "train.json").write_text(text)
    report = check_dataset(folder)
    (error,) = (f for f in report.findings if f.level == "error")
    assert (error.kind, error.split) == ("file", "train")
    assert said in error.text
    assert list(report.splits) == ["val", "test"]


def test_what_only_opening_tells(tmp_path):
    content = coco_content(2)
    write_images(tmp_path, content)
    (tmp_path / "labels.json").write_text(json.dumps(content))
    (error,) = check_dataset(tmp_path).findings
    assert (error.level, error.kind) == ("error", "refused")
    assert "2 images have persons with keypoints, too few to split" in error.text


def test_without_a_val_split(make):
    folder = make()
    (folder / "val.json").unlink()
    assert list(found(check_dataset(folder))) == ["no-split"]


# The contact sheet


def colours_at(sheet, side):
    """Mean x of the pixels of a side's colour in the upper and the lower half of one column."""
    return np.argwhere((sheet == SIDE_COLOURS[side]).all(axis=2))


def test_the_sheet_shows_a_wrong_pair(make):
    """One straight body: its left limbs are at the image's left, its right ones at the right."""

    def straight(pairs):
        def change(content):
            del content["annotations"][1:]
            kind = content["categories"][0]
            kind["keypoints"] = ["left_a", "left_b", "right_a", "right_b", "nose"]
            kind.update(
                skeleton=[[1, 2], [3, 4], [1, 5], [3, 5]], sigmas=[0.1] * 5, flip_pairs=pairs
            )
            content["annotations"][0].update(
                keypoints=[60, 80, 2, 60, 140, 2, 100, 80, 2, 100, 140, 2, 80, 60, 2],
                num_keypoints=5,
                bbox=[50, 50, 60, 100],
            )  # fmt: skip

        folder = make(change)
        return check_sheet(check_dataset(folder).labels, "set")

    sheet = straight([["left_a", "right_a"], ["left_b", "right_b"]])
    middle = sheet.shape[0] // 2
    for half in (sheet[:middle], sheet[middle:]):
        left, right = (colours_at(half, side)[:, 1].mean() for side in ("left", "right"))
        assert left < right
    crossed = straight([["left_a", "right_b"], ["left_b", "right_a"]])
    assert (crossed[:middle] == sheet[:middle]).mean() > 0.99
    upright = {tuple(p) for p in colours_at(sheet[middle:], "left")}
    assert upright != {tuple(p) for p in colours_at(crossed[middle:], "left")}
    assert straight([]) is not None


def test_the_sheet_of_unknown_pairs_mirrors_nothing(make):
    def rename(content):
        content["categories"][0]["keypoints"] = [f"point {i}" for i in range(17)]

    folder = make(rename)
    plain = check_sheet(check_dataset(folder).labels, "set")
    mirrored = check_sheet(check_dataset(make()).labels, "set")
    assert plain.shape[0] < 0.6 * mirrored.shape[0]


# Real data


def test_real_mice_have_no_false_alarms(shared):
    report = check_dataset(shared / "data/animals/openfield")
    assert found(report) == {}
    assert [f.kind for f in report.findings] == ["sigmas-assumed"]
    report = check_dataset(shared / "data/animals/mirror_mouse")
    assert found(report).keys() == {"box-whole-image", "flip-pairs-unknown"}


def test_official_coco_has_no_false_alarms(shared):
    report = check_dataset(shared / "data/fixtures/coco", annotations="test_coco.json")
    assert not {f.kind for f in report.findings} - {"no-keypoints", "crowd"}
    content = json.loads((shared / "data/fixtures/coco/test_coco.json").read_text())
    own = [a for a in content["annotations"] if a["num_keypoints"] and not a["iscrowd"]]
    assert report.splits["all"].persons == len(own)
    assert report.splits["all"].keypoints == sum(a["num_keypoints"] for a in own)
