"""Evaluation in boxes that a detector found: reading them, and what becomes of poses in them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from evopose.data.layouts import open_dataset
from evopose.errors import DataError
from evopose.evaluation.detected import (
    Detections,
    detect,
    evaluate_detections,
    nearest_poses,
    read_detections,
)
from evopose.evaluation.evaluate import evaluate
from evopose.evaluation.pose_scores import SUPPRESSIONS, ScoreRules
from evopose.inference.boxes import Boxes, boxes_xywh
from evopose.inference.pipeline import Pipeline, open_pipeline
from evopose.inference.runtimes.pytorch import TorchModel
from evopose.models.inputs import CodecSpec
from evopose.models.modelfile import LoadedModel, model_card
from random_networks import random_network
from training.toys import NETWORK, make_toy


@pytest.fixture(scope="module")
def dots(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detected")
    toy = make_toy(folder)
    return toy, open_dataset(folder / "dots").val


def pipeline(toy) -> Pipeline:
    net = random_network(NETWORK, seed=0)
    codec = CodecSpec(params={"peak": 1e-3})  # so low that an untrained network's scores count
    card = model_card(net, skeleton=toy.val.cache.skeleton, codec=codec)
    return open_pipeline(TorchModel.of(LoadedModel(net, card)), flip_test=False)


def labelled_boxes(dataset) -> dict[int, Boxes]:
    return {
        image.id: Boxes(
            xyxy=np.array([o.box_xyxy for o in dataset.trainable if o.image_id == image.id]),
            scores=np.ones(sum(o.image_id == image.id for o in dataset.trainable)),
        )
        for image in dataset.images
    }


def test_labelled_boxes_give_what_evaluation_in_them_gives(dots) -> None:
    toy, dataset = dots
    boxes = Detections(by_image=labelled_boxes(dataset))
    ours = evaluate_detections(pipeline(toy), dataset, boxes, source="labels")
    theirs = evaluate(pipeline(toy), dataset)
    assert ours.ap == theirs.ap
    assert ours.mean_oks == pytest.approx(theirs.mean_oks)
    assert ours.metrics()["keypoints"] == theirs.metrics()["keypoints"]
    assert ours.boxes == "labels"


def test_the_same_box_twice_gives_one_pose(dots) -> None:
    toy, dataset = dots
    once = labelled_boxes(dataset)
    twice = {
        i: Boxes(xyxy=np.tile(b.xyxy, (2, 1)), scores=np.repeat([0.9, 0.5], len(b.scores)))
        for i, b in once.items()
    }
    found = evaluate_detections(pipeline(toy), dataset, Detections(by_image=twice), source="")
    single = evaluate_detections(pipeline(toy), dataset, Detections(by_image=once), source="")
    assert len(found.results) == len(single.results)
    ours, theirs = ([r["score"] for r in one.results] for one in (found, single))
    assert min(theirs) > 0.2
    np.testing.assert_allclose(ours, np.array(theirs) * 0.9)  # the better box's


def test_poses_on_each_other_stay_if_asked_for(dots) -> None:
    toy, dataset = dots
    boxes = {
        i: Boxes(xyxy=np.tile(b.xyxy, (2, 1)), scores=np.repeat([0.9, 0.5], len(b.scores)))
        for i, b in labelled_boxes(dataset).items()
    }
    found = {
        nms: evaluate_detections(
            pipeline(toy),
            dataset,
            Detections(by_image=boxes),
            source="",
            rules=ScoreRules(nms=nms),
        ).results
        for nms in SUPPRESSIONS
    }
    assert len(found["none"]) == len(found["soft"]) == 2 * len(found["hard"])
    totals = {nms: sum(r["score"] for r in results) for nms, results in found.items()}
    assert totals["hard"] < totals["soft"] < totals["none"]


def test_a_split_without_labelled_persons_is_refused(dots) -> None:
    toy, dataset = dots
    empty = replace(dataset, instances=())
    with pytest.raises(DataError, match="has no persons with labelled keypoints to evaluate on"):
        evaluate_detections(
            pipeline(toy), empty, Detections(by_image=labelled_boxes(dataset)), source=""
        )


def test_an_image_without_boxes_loses_its_persons(dots) -> None:
    toy, dataset = dots
    boxes = labelled_boxes(dataset)
    lost = next(iter(boxes))
    boxes[lost] = boxes_xywh([])
    found = evaluate_detections(pipeline(toy), dataset, Detections(by_image=boxes), source="")
    missing = [one.image_id == lost for one in dataset.trainable]
    assert (found.nearest[missing] == -1).all()
    assert (found.oks[missing] == 0).all()
    assert found.metrics()["persons_with_a_pose"] == len(missing) - sum(missing)


def test_the_nearest_pose_is_that_of_the_highest_oks(dots) -> None:
    _, dataset = dots
    one = dataset.trainable[0]
    pose = one.keypoints.astype(float)
    results = [
        {"image_id": one.image_id, "keypoints": (pose + np.array([step, 0, 0])).ravel().tolist()}
        for step in (30, 2, 9)
    ]
    others = [r | {"image_id": -1, "keypoints": pose.ravel().tolist()} for r in results]
    sigmas = np.array(dataset.skeleton.sigmas)
    assert nearest_poses([one], others + results, sigmas).tolist() == [4]
    assert nearest_poses([one], others, sigmas).tolist() == [-1]


def test_a_detector_is_asked_for_every_image(dots) -> None:
    _, dataset = dots
    told = []

    class Corner:
        name = "corner"

        def __call__(self, image):
            return boxes_xywh([[0, 0, image.shape[1] / 2, image.shape[0]]], [0.5])

    found = detect(Corner(), dataset, on_progress=lambda done, total: told.append((done, total)))
    assert found.count == len(dataset.images) == told[-1][0] == told[-1][1]
    assert found.by_image[dataset.images[0].id].xyxy[0, 2] == dataset.images[0].width / 2


def rows_of(dataset) -> list[dict]:
    return [
        {"image_id": image.id, "category_id": 1, "bbox": [1, 2, 10, 20], "score": 0.5}
        for image in dataset.images
    ]


def test_a_file_of_boxes_is_read_and_what_is_left_out_counted(dots, tmp_path) -> None:
    _, dataset = dots
    rows = rows_of(dataset)
    rows += [rows[0] | {"category_id": 3}, rows[0] | {"image_id": 10**9}, rows[1] | {"score": 0.1}]
    rows += [rows[0] | {"bbox": [1, 2, 0, 20]}] * 2
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps(rows))
    found = read_detections(file, dataset)
    assert found.count == len(dataset.images) + 1
    second = found.by_image[dataset.images[1].id]
    assert second.xyxy.tolist() == [[1, 2, 11, 22]] * 2
    assert second.scores.tolist() == [0.5, 0.1]
    assert sorted(found.left_out.values()) == [1, 1, 2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bbox": [1, 2, 3]}, r"result 1 is .* expected image_id, category_id, a bbox of four"),
        ({"bbox": [1, 2, 3, float("nan")]}, "result 1 is .*four finite numbers"),
        ({"score": None}, "result 1 is .*a finite score"),
        ({"image_id": "x"}, "result 1 is "),
        ({"image_id": 1.9}, "result 1 is "),
        ({"category_id": True}, "result 1 is "),
        ({"score": "0.5"}, "result 1 is "),
    ],
)
def test_a_damaged_row_is_named(dots, tmp_path, change, said) -> None:
    _, dataset = dots
    rows = rows_of(dataset)
    rows[1] |= change
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps(rows))
    with pytest.raises(DataError, match=said):
        read_detections(file, dataset)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{", "is not JSON"),
        ('{"annotations": []}', "holds a JSON dict; expected"),
        ("[]", "has no boxes for .*: it is empty"),
        (
            '[{"image_id": 77777777, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]',
            "has no boxes for .*: 1 of images that .* has not",
        ),
    ],
)
def test_a_file_that_holds_no_boxes_is_refused(dots, tmp_path, text, said) -> None:
    file = tmp_path / "boxes.json"
    file.write_text(text)
    with pytest.raises(DataError, match=said):
        read_detections(file, dots[1])
    with pytest.raises(DataError, match="cannot read"):
        read_detections(tmp_path / "none.json", dots[1])


def test_the_official_detections_are_read(shared) -> None:
    """118 boxes of the HRNet authors' detector, in the form of their file for val2017."""
    file = shared / "data/detections/test_coco_det_AP_H_56.json"
    rows = json.loads(file.read_text())
    people = open_dataset(shared / "data/people", only=("val",)).val
    ids = sorted({row["image_id"] for row in rows})
    images = tuple(replace(people.images[0], id=i) for i in ids)
    found = read_detections(file, replace(people, images=images, instances=()))
    assert found.count == len(rows) == 118
    assert not found.left_out
    assert found.by_image[785].scores[0] == pytest.approx(0.9999731779)
