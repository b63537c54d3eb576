"""The estimator and what it returns."""

import json

import cv2
import numpy as np
import pytest

from evopose.data.images import read_image
from evopose.data.video_writing import VideoWriter
from evopose.errors import DataError
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


@pytest.mark.parametrize(
    ("image", "boxes", "message"),
    [
        (IMAGE[..., 0], None, r"\(H, W, 3\) uint8 in RGB; got an array of shape \(90, 120\)"),
        (IMAGE / 255, None, "float64"),
        ("absent.jpg", None, "there is no absent.jpg"),
        (IMAGE, [[1, 2, 3]], r"boxes are \(P, 4\)"),
        (IMAGE, [[1, 2, 0, 4]], "a width and a height above 0"),
    ],
)
def test_what_cannot_be_looked_at(estimator, image, boxes, message):
    with pytest.raises(DataError, match=message):
        estimator(image, boxes)


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
    """Twenty of the test persons: on all 700 the default has a mean OKS of 0.622."""
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


def test_arrays_that_do_not_fit():
    with pytest.raises(DataError, match=r"boxes_xyxy must have the shape \(2, 4\)"):
        poses(boxes_xyxy=np.zeros((3, 4)))
