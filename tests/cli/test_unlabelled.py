"""`evopose evaluate` on images without labels, and thresholds of keypoints' scores."""

import json
import zipfile

import pytest


@pytest.fixture
def listed(dots, tmp_path):
    """The val images of dots and one that is not there, listed as COCO's test-dev; and boxes."""
    content = json.loads((dots / "val.json").read_text())
    gone = content["images"][0] | {"id": 10**6, "file_name": "gone.png"}
    file = tmp_path / "annotations" / "image_info_test-dev2017.json"
    file.parent.mkdir()
    file.write_text(
        json.dumps({"info": {}, "licenses": [], "categories": [{"id": 1, "name": "person"}],
                    "images": [*content["images"], gone]})
    )  # fmt: skip
    (tmp_path / "test2017").symlink_to(dots / "images")
    boxes = tmp_path / "boxes.json"
    boxes.write_text(
        json.dumps([
            {"image_id": one["image_id"], "category_id": 1, "bbox": one["bbox"], "score": 0.5}
            for one in content["annotations"]
        ])
    )  # fmt: skip
    return file, boxes


def test_poses_of_unlabelled_images_are_written_and_nothing_is_measured(
    evopose, finished_run, dots, listed, tmp_path
):
    file, boxes = listed
    out = tmp_path / "out"
    common = ["--boxes", boxes, "--threads", 1]
    done = evopose(
        "evaluate", finished_run, tmp_path, "--annotations", f"annotations/{file.name}", *common,
        "--out", out,
    )  # fmt: skip
    assert done.code == 0, done.err
    for said in (
        "has no annotations: poses are written, and nothing is measured",
        "images that are not there, left out: 1 (gone.png)",
        "no AP: nothing is labelled in",
        "keypoints: not COCO's 17 in their order",
    ):
        assert said in done.out
    name = "person_keypoints_test-dev2017_evopose_results"
    assert {one.name for one in out.iterdir()} == {f"{name}.json", f"{name}.zip", "metrics.json"}
    found = json.loads((out / f"{name}.json").read_text())
    with zipfile.ZipFile(out / f"{name}.zip") as packed:
        assert json.loads(packed.read(f"{name}.json")) == found
    written = json.loads((out / "metrics.json").read_text())
    assert (written["AP"], written["images_absent"], written["poses"]) == (None, 1, len(found))
    assert "mean_oks" not in written
    # The same boxes on the labelled split find the same poses.
    labelled = tmp_path / "labelled"
    assert evopose("evaluate", finished_run, dots, *common, "--out", labelled).code == 0
    theirs = json.loads((labelled / "results.json").read_text())
    assert [one["image_id"] for one in found] == [one["image_id"] for one in theirs]
    for one, other in zip(found, theirs, strict=True):
        assert one["keypoints"] == pytest.approx(other["keypoints"], abs=0.0051)


def test_labels_may_be_left_aside(evopose, finished_run, dots, listed, tmp_path):
    _, boxes = listed
    done = evopose(
        "evaluate", finished_run, dots, "--unlabelled", "--boxes", boxes, "--limit", 2,
        "--threads", 1, "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["images"] == done.json["poses"] == 2
    assert "which are not looked at (--unlabelled)" in done.err
    assert "labels of" in done.json["undefined"]["AP"]
    assert done.json["upload"].endswith("person_keypoints_val_evopose_results.zip")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "there are no labelled boxes to look into; give --boxes FILE"),
        (["--boxes", "BOXES"], "say where to with --out DIR"),
        (["--boxes", "BOXES", "--out", "OUT", "--against", "m"], "--against has nothing to compa"),
        (["--boxes", "BOXES", "--detector", "yolox-nano", "--out", "OUT"], "not both"),
    ],
)
def test_what_unlabelled_images_cannot_give_is_told(
    evopose, finished_run, listed, tmp_path, options, said
):
    file, boxes = listed
    given = [{"BOXES": boxes, "OUT": tmp_path / "out"}.get(one, one) for one in options]
    done = evopose("evaluate", finished_run, file, *given)
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "out").exists()


def test_thresholds_of_keypoints_are_used_and_recorded(evopose, finished_run, dots, listed):
    _, boxes = listed
    common = ["evaluate", finished_run, dots, "--threads", 1, "--boxes", boxes, "--json"]
    plain = evopose(*common).json
    assert (plain["keypoint_threshold"], plain["nms"]) == (0.2, "hard")
    assert plain["nms_keypoint_threshold"] is None
    other = evopose(*common, "--keypoint-threshold", 99, "--nms-keypoint-threshold", 0.3)
    assert other.code == 0, other.err
    assert (other.json["keypoint_threshold"], other.json["nms_keypoint_threshold"]) == (99, 0.3)
    (note,) = other.json["notes"].items()
    assert note == (
        "poses of score 0: none of their keypoints scores above 99 (--keypoint-threshold)",
        plain["persons"],
    )


def test_what_is_for_detected_boxes_alone_is_refused_for_labelled_ones(evopose, finished_run, dots):
    for option in (["--nms", "soft"], ["--nms-keypoint-threshold", 0.2]):
        done = evopose("evaluate", finished_run, dots, *option)
        assert done.code == 2
        assert "in labelled boxes each person has one pose" in done.err
