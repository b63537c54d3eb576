"""Reading COCO keypoint JSON: what is read, and what is said of what cannot be."""

import json
import logging

import numpy as np
import pytest

from evopose.data import read_coco
from evopose.errors import DataError


def read(path):
    return read_coco(path, name="train", image_folders=[path.parent, path.parent / "images"])


def test_values_are_those_of_the_file(make_dataset):
    def change(content):
        first = content["annotations"][0]
        first["bbox"] = [10.5, 20, 30, 40.25]
        first["keypoints"][:6] = [1.5, 2.5, 1, 0, 0, 0]
        content["images"].reverse()

    path = make_dataset(change)
    data = read(path)
    one = data.instances[0]
    assert (one.id, one.image_id, one.area, one.is_crowd) == (101, 1, 6000.0, False)
    assert one.box_xyxy.tolist() == [10.5, 20, 40.5, 60.25]
    assert one.keypoints[:2].tolist() == [[1.5, 2.5, 1], [0, 0, 0]]
    assert one.num_labelled == 16
    assert [image.id for image in data.images] == [4, 3, 2, 1]
    assert data.images[0].path == path.parent / "images/004.png"
    assert (data.images[0].height, data.images[0].width) == (200, 160)
    assert data.skeleton.sigmas[0] == 0.026
    assert not data.skeleton.sigmas_assumed


def test_crowds_and_blank_persons_are_kept_and_counted(make_dataset):
    def change(content):
        one, two, three, _ = content["annotations"]
        one["iscrowd"] = 1
        one["bbox"] = [0, 0, 0, 0]
        two["keypoints"] = [0] * 51
        del three["keypoints"]
        content["categories"].append({"id": 7, "name": "horse"})
        content["annotations"].append({"id": 9, "image_id": 1, "category_id": 7, "bbox": [0] * 4})

    data = read(make_dataset(change))
    assert data.skipped == {"crowd": 1, "no keypoints": 2}
    assert len(data.instances) == 4
    assert [one.id for one in data.trainable] == [104]


def test_an_unknown_area_is_assumed_and_said(make_dataset, caplog):
    def change(content):
        del content["annotations"][0]["area"]
        content["annotations"][1]["area"] = 0

    with caplog.at_level(logging.WARNING):
        data = read(make_dataset(change))
    assert [one.area for one in data.instances] == [6360.0, 6360.0, 6000.0, 6000.0]
    assert "2 persons have no area; 0.53 times their box is taken for it" in caplog.text


def test_skeletons_of_categories(make_dataset):
    def mouse(**more):
        def change(content):
            names = ["snout", "leftear", "rightear", "tailbase"]
            content["categories"][0] = {
                "id": 1, "name": "mouse", "keypoints": names, "skeleton": [[1, 2], [1, 3]], **more
            }  # fmt: skip
            for one in content["annotations"]:
                del one["keypoints"][12:]

        return read(make_dataset(change)).skeleton

    skeleton = mouse()
    assert skeleton.flip_pairs == ((1, 2),)
    assert skeleton.limbs == ((0, 1), (0, 2))
    assert skeleton.sigmas_assumed
    skeleton = mouse(flip_pairs=[["snout", "tailbase"]], sigmas=[0.1, 0.2, 0.2, 0.3])
    assert skeleton.flip_pairs == ((0, 3),)
    assert skeleton.sigmas == (0.1, 0.2, 0.2, 0.3)
    assert not skeleton.sigmas_assumed
    assert mouse(flip_pairs=[]).flip_pairs == ()
    for more, message in (
        ({"flip_pairs": [["snout", "nose"]]}, "flip_pairs name nose, not among the keypoints"),
        ({"flip_pairs": [["snout"]]}, "pairs of names"),
        ({"skeleton": [[0, 1]]}, r"skeleton holds \[0, 1\], which does not name two of its 4"),
        ({"sigmas": [0.1]}, "expected 4 positive OKS sigmas"),
        ({"keypoints": ["snout", "leftear", "b", "c"]}, "cannot tell which keypoint mirrors"),
        ({"keypoints": "snout"}, "must be a list of names, got 'snout'"),
    ):
        with pytest.raises(DataError, match=message):
            mouse(**more)


def test_cocos_names_in_another_order_keep_their_sigmas(make_dataset):
    skeleton = read(make_dataset(lambda c: c["categories"][0]["keypoints"].reverse())).skeleton
    assert skeleton.sigmas[-1] == 0.026
    assert skeleton.sigmas[skeleton.keypoints.index("left_hip")] == 0.107
    left, right = (skeleton.keypoints.index(f"{side}_knee") for side in ("left", "right"))
    assert (left, right) in skeleton.flip_pairs
    limbs = {frozenset(skeleton.keypoints[i] for i in limb) for limb in skeleton.limbs}
    assert frozenset({"left_ankle", "left_knee"}) in limbs


def person(index, **values):
    return lambda content: content["annotations"][index].update(values)


def without(group, index, key):
    return lambda content: content[group][index].pop(key)


BAD = {
    "no images": (lambda c: c["images"].clear(), "lists no images"),
    "no annotations": (lambda c: c["annotations"].clear(), "no annotations of category 'person'"),
    "nobody labelled": (
        lambda c: [a.update(keypoints=[0] * 51) for a in c["annotations"]],
        r"no person with labelled keypoints among 4 annotations of 4 images \(0 crowds, 4 without",
    ),
    "no categories key": (lambda c: c.pop("categories"), "not COCO keypoint JSON.*got images, ann"),
    "no keypoints named": (lambda c: c["categories"][0].pop("keypoints"), "no category names key"),
    "two categories": (
        lambda c: c["categories"].append({"id": 2, "name": "dog", "keypoints": ["nose"]}),
        r"2 categories name keypoints \(person, dog\), one is expected; choose with `evopose data ",
    ),
    "unknown category": (person(1, category_id=5), "must name one of the categories.*: 102$"),
    "entry is no object": (lambda c: c["images"].append(3), "'images' are no objects.*: 4$"),
    "image without id": (without("images", 2, "id"), "number as 'id'; got: None at position 2"),
    "image without name": (without("images", 2, "file_name"), "each needs a file_name.*: 3$"),
    "image without width": (without("images", 1, "width"), "number as 'width'; got: None at pos"),
    "image of no height": (lambda c: c["images"][1].update(height=0), "at least 1; ids: 2$"),
    "image ids doubled": (lambda c: c["images"][1].update(id=1), "ids of images must differ.*: 1$"),
    "file missing": (
        lambda c: c["images"][1].update(file_name="gone.png"),
        r"1 of 4 images are missing \(the first: gone.png\); looked in \S+images\. Put them there",
    ),
    "files missing": (
        lambda c: [i.update(file_name=f"no{i['id']}.png") for i in c["images"]],
        r"4 of 4 images are missing \(the first: no1.png, no2.png, no3.png, no4.png\); looked in "
        r"\S+set, \S+images",
    ),
    "image unknown": (person(2, image_id=77), "image_id must name one of the images.*: 103$"),
    "image id is text": (person(2, image_id="3"), "number as 'image_id'; got: '3' at position 2"),
    "ids doubled": (person(2, id=101), "ids of annotations must differ; given twice: 101$"),
    "too few values": (
        person(0, keypoints=[1, 2, 2] * 16),
        r"keypoints must be 51 numbers.*the category's 17; other numbers.*: 101 \(48\)$",
    ),
    "keypoints are text": (person(0, keypoints="1 2 2"), r"other numbers of values.*101 \(str\)$"),
    "a value is text": (
        person(0, keypoints=["a", *[2] * 50]),
        "51 numbers.*not all finite numbers in annotations: 101$",
    ),
    "a value is NaN": (person(3, keypoints=[float("nan"), *[2] * 50]), "not all finite.*: 104$"),
    "a value is null": (person(3, keypoints=[None, *[2] * 50]), "not all finite numbers.*: 104$"),
    "box infinite": (person(3, bbox=[0, 0, float("inf"), 1]), "bbox must be 4 numbers.*: 104$"),
    "area is text": (person(3, area="big"), "area must be a number; not all finite.*: 104$"),
    "box short": (person(3, bbox=[0, 0, 1]), r"bbox must be 4 numbers.*: 104 \(3\)$"),
    "box of no area": (
        person(1, bbox=[5, 5, 0, 10]),
        r"need a box that has an area \(give each a bbox .* or take it out\).*: 102$",
    ),
    "box absent": (without("annotations", 1, "bbox"), "need a box that has an area.*: 102$"),
    "box elsewhere": (person(1, bbox=[160, 5, 9, 9]), "box must touch the image.*: 102$"),
    "visibility": (
        person(1, keypoints=[3, 3, 3] * 17),
        r"visibility must be 0 \(not labelled\), 1 \(hidden\) or 2 \(seen\).*: 102$",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_told(make_dataset, name):
    change, message = BAD[name]
    path = make_dataset(change)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_many_offenders_are_counted(make_dataset):
    def change(content):
        for one in content["annotations"]:
            one["bbox"] = [0, 0, 0, 0]

    with pytest.raises(DataError, match=r"101, 102, 103, 104, 105, \.\.\. \(12 in all\)$"):
        read(make_dataset(change, images=12))


def test_files_that_are_no_json(tmp_path):
    path = tmp_path / "labels.json"
    with pytest.raises(DataError, match="there is no annotation file"):
        read(path)
    for text, message in (
        (b'{"images": [', "not JSON, or is cut off: Expecting value: line 1 column 13"),
        (b"", "not JSON, or is cut off"),
        (b"\xff\xfe\x00\x01", "not JSON, or is cut off"),
        (b"[" * 100_000, "not JSON, or is cut off"),
        (b'[{"score": 1}]', "is not COCO keypoint JSON: expected an object with lists .*got list"),
        (b"{}", "got an empty object"),
    ):
        path.write_bytes(text)
        with pytest.raises(DataError, match=message):
            read(path)
    with pytest.raises(DataError, match=r"cannot read .*: Is a directory"):
        read_coco(tmp_path, name="train", image_folders=[tmp_path])


def test_real_annotations_equal_pycocotools(shared, capsys):
    from pycocotools.coco import COCO

    path = shared / "data/fixtures/coco/test_coco.json"
    data = read_coco(path, name="val", image_folders=[path.parent])
    coco = COCO(str(path))
    assert [i.id for i in data.images] == [i["id"] for i in json.loads(path.read_text())["images"]]
    assert len(data.instances) == len(coco.getAnnIds()) > 0
    for one in data.instances:
        (truth,) = coco.loadAnns(one.id)
        assert one.num_labelled == truth["num_keypoints"]
        assert one.area == truth["area"]
        assert one.image_id == truth["image_id"]
        left, top, width, height = truth["bbox"]
        np.testing.assert_allclose(one.box_xyxy, [left, top, left + width, top + height])
        np.testing.assert_array_equal(one.keypoints.ravel(), truth["keypoints"])
