"""The estimator and what it returns."""

import json
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import PIL.Image
import pytest
import torch

from evopose.data.images import read_image
from evopose.data.video_writing import VideoWriter
from evopose.data.videos import open_video
from evopose.errors import ConfigError, DataError
from evopose.inference import estimator as module
from evopose.inference.boxes import Boxes
from evopose.inference.estimator import PoseEstimator
from evopose.inference.model_files import DEFAULT_FILE
from evopose.inference.poses import Poses
from evopose.metrics.oks import oks
from evopose.models.card import read_card
from evopose.skeleton import COCO_PERSON

IMAGE = np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)


class TwoBoxes:
    """A detector that sees the two halves of any image."""

    name = "halves"

    def __call__(self, image):
        height, width = image.shape[:2]
        rows = [[0, 0, width / 2, height], [width / 2, 0, width, height]]
        return Boxes(xyxy=np.array(rows, float), scores=np.array([0.9, 0.5]))


@pytest.fixture(scope="module")
def estimator() -> PoseEstimator:
    return PoseEstimator.load(runtime="pytorch", detector=TwoBoxes())


def poses(count: int = 2, **more) -> Poses:
    rng = np.random.default_rng(1)
    given = {
        "keypoints": rng.uniform(0, 60, (count, 17, 3)) / (1, 1, 60),
        "boxes_xyxy": np.array([[1.0, 2, 30, 50]] * count),
        "box_scores": np.full(count, 0.9),
        "scores": np.full(count, 0.5),
        "skeleton": COCO_PERSON,
    }
    return Poses(**given | more)


def test_the_default_is_small_and_explains_itself():
    assert DEFAULT_FILE.stat().st_size < 8e6
    card = read_card(DEFAULT_FILE)
    assert card.skeleton == COCO_PERSON
    assert {"genotype", "data", "notice"} <= card.provenance.keys()


def test_files_arrays_and_batches_agree(estimator, tmp_path):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), IMAGE[..., ::-1])
    single = estimator(IMAGE)
    assert len(single) == 2
    assert single.box_scores.tolist() == [0.9, 0.5]
    for found in (estimator(path), *estimator.each([IMAGE, str(path)])):
        np.testing.assert_allclose(found.keypoints, single.keypoints, atol=1e-3)
        assert np.array_equal(found.image, IMAGE)
    assert estimator(path).source == str(path)


def test_given_boxes_are_left_top_width_height(estimator):
    found = estimator(IMAGE, boxes=[[10, 20, 40, 50]])
    assert found.boxes_xyxy.tolist() == [[10, 20, 50, 70]]
    alone = PoseEstimator(pipeline=estimator.pipeline)
    assert alone(IMAGE).boxes_xyxy.tolist() == [[-0.5, -0.5, 119.5, 89.5]]
    assert len(estimator(IMAGE, boxes=np.empty((0, 4)))) == 0
    assert len(estimator(IMAGE, boxes=[])) == 0


def test_each_image_has_its_boxes(estimator):
    images = [IMAGE, IMAGE, IMAGE]
    found = estimator.each(images, [[[10, 20, 40, 50]], [], None])
    assert [len(one) for one in found] == [1, 0, 2]
    for boxes, told in (([[]] * 2, "2 boxes and more images"), ([[]] * 4, "3 images and more box")):
        with pytest.raises(DataError, match=told):
            list(estimator.each(images, boxes))


def test_pictures_of_pillow_are_images(estimator, tmp_path):
    picture = PIL.Image.fromarray(IMAGE)
    turned = PIL.Image.Exif()
    turned[0x112] = 6
    picture.save(tmp_path / "turned.png", exif=turned)
    for one in (picture, PIL.Image.open(tmp_path / "turned.png"), picture.convert("RGBA")):
        assert np.array_equal(estimator(one, boxes=[]).image, IMAGE)
    grey = estimator(picture.convert("L"), boxes=[]).image
    assert np.array_equal(grey[..., 0], np.asarray(picture.convert("L")))
    assert estimator(PIL.Image.open(tmp_path / "turned.png"), []).source.endswith("turned.png")


@pytest.mark.parametrize(
    ("image", "boxes", "message"),
    [
        (IMAGE[..., 0], None, r"\(H, W, 3\) uint8 in RGB; got an array of shape \(90, 120\)"),
        (IMAGE / 255, None, "float64"),
        ("absent.jpg", None, "there is no absent.jpg"),
        (IMAGE, [[1, 2, 3]], r"boxes are \(P, 4\)"),
        (IMAGE, [[1, 2, 0, 4]], "a width and a height above 0"),
        (IMAGE, [[1, 2, 3, 4], [120, 2, 5, 6]], "120,2,5,6 .* lies outside .* 120 pixels wide and"),
        (IMAGE, "abc", r"boxes are \(P, 4\).*; got 'a"),
        (IMAGE, [[1, 2, 3, 4], [1, 2]], r"boxes are \(P, 4\).*; got \[\[1"),
        (IMAGE[:0], None, r"shape \(0, 120, 3\)"),
        (torch.zeros(9, 9, 3), None, "got Tensor"),
        (b"photo.jpg", None, "got bytes"),
        (["a.jpg", "b.jpg"], None, "got list; for several use `each`"),
    ],
)
def test_what_cannot_be_looked_at(estimator, image, boxes, message):
    with pytest.raises(DataError, match=message):
        estimator(image, boxes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is a number of persons from 1.*got 0 and 0"),
        ({"threads": -1}, "threads one of threads, 0 for all; got 32 and -1"),
        ({"detector": 3}, "detector is a name, .* or None; got 3"),
    ],
)
def test_what_cannot_be_loaded(options, message):
    with pytest.raises(ConfigError, match=message):
        PoseEstimator.load(**options)


def test_a_detector_that_returns_no_boxes(estimator):
    careless = PoseEstimator(pipeline=estimator.pipeline, detector=lambda _: [[0, 0, 9, 9]])
    with pytest.raises(ConfigError, match=r"returns .*Boxes .*this one returned list"):
        careless(IMAGE)


def test_a_video_that_cannot_be_looked_at_is_told_at_once(estimator, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"there is no video absent\.mp4"):
        estimator.video("absent.mp4")
    path = tmp_path / "still.mp4"
    with VideoWriter(path, fps=10) as writer:
        writer.write(IMAGE)
    for options, message in (({"every": 0}, "n from 1; got 0"), ({"limit": -1}, "got -1")):
        with pytest.raises(ConfigError, match=message):
            estimator.video(path, **options)
    opened = []
    monkeypatch.setattr(module, "open_video", lambda one: opened.append(one) or open_video(path))
    for source in ("webcam:2", "1", 3):
        estimator.video(source)
    assert opened == [2, 1, 3]


def test_a_video_has_ids_and_times(estimator, tmp_path):
    path = tmp_path / "still.mp4"
    with VideoWriter(path, fps=10) as writer:
        for _ in range(6):
            writer.write(IMAGE)
    frames = list(estimator.without_flip_test().video(path, every=2))
    assert [one.frame for one in frames] == list(range(6))
    assert [one.time_s for one in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5], abs=0.01)
    assert frames[0].detected
    assert all(one.ids is not None and len(one.ids) == len(one) for one in frames)
    assert len(list(estimator.video(path, limit=2))) == 2


def test_real_persons_are_found(shared):
    """Twenty of the test persons: on all 700 the default has a mean OKS of 0.657."""
    labels = json.loads((shared / "data/people/annotations/person_keypoints_test.json").read_text())
    files = {one["id"]: one["file_name"] for one in labels["images"]}
    rows = [one for one in labels["annotations"] if one["num_keypoints"] >= 10][::35]
    network = PoseEstimator.load(detector=None, runtime="pytorch")
    scores = []
    for row in rows:
        image = read_image(shared / "data/people/images" / files[row["image_id"]])
        found = network(image, boxes=[row["bbox"]])
        truth = np.array(row["keypoints"], float).reshape(1, 17, 3)
        scores.append(oks(found.xy, truth, np.array([row["area"]]), np.array(COCO_PERSON.sigmas)))
    assert np.mean(scores) > 0.5


def test_coco_results_and_json_hold_what_was_found():
    found = poses(ids=np.array([4, -1]), source="a.jpg", frame=3, time_s=0.1, image=IMAGE)
    first, _ = found.to_coco(17)
    assert first["image_id"] == 17
    assert first["category_id"] == 1
    assert first["bbox"] == [1, 2, 29, 48]
    assert np.reshape(first["keypoints"], (17, 3)) == pytest.approx(found.keypoints[0], abs=1e-4)
    told = json.loads(json.dumps(found.to_json()))
    assert told["frame"] == 3
    assert told["height_width"] == [90, 120]
    assert [one["id"] for one in told["persons"]] == [4, -1]
    assert told["persons"][1]["keypoints"] == found.keypoints[1].tolist()


def test_drawing_and_saving(tmp_path):
    found = poses(image=IMAGE)
    drawn = read_image(found.save(tmp_path / "drawn.png"))
    assert np.array_equal(drawn, found.draw())
    assert (drawn != IMAGE).any(axis=2).mean() > 0.01
    with pytest.raises(DataError, match="hold no image to draw on"):
        poses().draw()
    for canvas in (IMAGE[..., 0], IMAGE / np.float32(255)):
        with pytest.raises(DataError, match=r"an image is \(H, W, 3\) uint8 in RGB; got an array"):
            found.draw(canvas)


def test_a_data_frame_has_a_row_a_keypoint():
    pytest.importorskip("pandas")
    table = poses(ids=np.array([7, 8])).to_dataframe()
    assert len(table) == 34
    assert table["keypoint"].tolist()[:2] == ["nose", "left_eye"]
    assert table["id"].tolist() == [7] * 17 + [8] * 17


def test_supervision_takes_the_poses():
    supervision = pytest.importorskip("supervision")
    found = poses()
    given = found.to_supervision()
    assert isinstance(given, supervision.KeyPoints)
    np.testing.assert_allclose(given.xy, found.xy, rtol=1e-6)


def test_supervision_has_the_scores_of_persons_where_it_takes_them(monkeypatch):
    def newer(*, xy, class_id, data, keypoint_confidence, detection_confidence):
        return keypoint_confidence, detection_confidence

    def older(*, xy, class_id, data, confidence):
        return confidence, None

    found = poses()
    for made in (newer, older):
        monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(KeyPoints=made))
        keypoints, persons = found.to_supervision()
        assert np.array_equal(keypoints, found.keypoint_scores.astype(np.float32))
        assert persons is None or np.array_equal(persons, found.scores)


def test_a_broken_supervision_is_not_said_to_be_missing(monkeypatch, tmp_path):
    (tmp_path / "supervision.py").write_text("import nothing_of_this_name")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "supervision", raising=False)
    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
        poses().to_supervision()
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ConfigError, match="pip install supervision"):
        poses().to_supervision()


def test_arrays_that_do_not_fit():
    with pytest.raises(DataError, match=r"boxes_xyxy must have the shape \(2, 4\)"):
        poses(boxes_xyxy=np.zeros((3, 4)))
