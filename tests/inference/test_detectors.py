"""Detectors find persons where people say they are."""

import re

import numpy as np
import pytest

from evopose.data.images import read_image
from evopose.data.layouts import open_dataset
from evopose.errors import ModelError
from evopose.inference.detectors import DETECTORS, Yolox, letterbox, open_detector
from evopose.models.download import sha256_of

SIZE = (64, 96)
"""Of an input with 8 x 12 + 4 x 6 + 2 x 3 = 126 cells."""


def yolox(persons, **options) -> Yolox:
    """A detector that answers with these cells: place -> (dx, dy, log w, log h, object, class)."""
    answer = np.zeros((1, 126, 7), np.float32)
    for place, (dx, dy, log_w, log_h, something, person) in persons.items():
        answer[0, place, :6] = dx, dy, log_w, log_h, something, person
    return Yolox(name="toy", input_hw=SIZE, run=lambda x: answer, **options)


def test_a_cell_is_a_box_in_the_image() -> None:
    # Cell 14 of stride 8 is row 1, column 2; half a cell on, its centre is (20, 12) in the input.
    found = yolox({14: (0.5, 0.5, np.log(2), np.log(1), 0.9, 0.5)})(np.zeros((32, 48, 3), np.uint8))
    # The input is the image twice as large: a box of 16 x 8 about (20, 12) is 8 x 4 about (10, 6).
    np.testing.assert_allclose(found.xyxy, [[5.5, 3.5, 13.5, 7.5]], atol=1e-6)
    np.testing.assert_allclose(found.scores, [0.45], rtol=1e-6)


def test_cells_of_coarser_grids_follow() -> None:
    # 96 cells of stride 8, then 24 of 16 in rows of 6: 96 + 8 is row 1, column 2: corner (32, 16).
    found = yolox({104: (0, 0, 0, 0, 1, 1), 120: (1, 1, 0, 0, 1, 0.5)})(
        np.zeros((64, 96, 3), np.uint8)
    )
    centres = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2 + 0.5
    np.testing.assert_allclose(centres, [[32, 16], [32, 32]])
    np.testing.assert_allclose(found.xyxy[:, 2:] - found.xyxy[:, :2], [[16, 16], [32, 32]])


def test_the_worse_of_two_boxes_on_each_other_goes() -> None:
    three = {0: (1, 1, 0, 0, 0.8, 1), 1: (0.1, 1, 0, 0, 0.9, 1), 30: (0, 0, 0, 0, 0.2, 1)}
    found = yolox(three)(np.zeros((64, 96, 3), np.uint8))
    np.testing.assert_allclose(found.scores, [0.9], rtol=1e-6)
    assert len(yolox(three, overlap=0.99, threshold=0.1)(np.zeros((64, 96, 3), np.uint8)).xyxy) == 3


def test_boxes_end_where_the_image_ends() -> None:
    found = yolox({0: (0, 0, 3, 3, 1, 1)})(np.zeros((64, 96, 3), np.uint8))
    assert found.xyxy.min() == -0.5


def test_the_input_is_bgr_with_grey_beside() -> None:
    image = np.full((10, 30, 3), (200, 100, 50), np.uint8)
    seen = []
    detector = Yolox(
        name="toy", input_hw=SIZE, run=lambda x: seen.append(x) or np.zeros((1, 126, 7), np.float32)
    )
    assert len(detector(image).scores) == 0
    assert seen[0].shape == (1, 3, *SIZE)
    assert seen[0][0, :, 0, 0].tolist() == [50, 100, 200]
    assert seen[0][0, :, 32:].min() == seen[0][0, :, 32:].max() == 114
    canvas, zoom = letterbox(image, SIZE)
    assert zoom == pytest.approx(3.2)
    assert canvas.shape == (*SIZE, 3)


def test_real_persons_are_found(shared) -> None:
    file = shared / "data/weights/yolox_nano.onnx"
    assert sha256_of(file) == DETECTORS["yolox-nano"].sha256
    detector = open_detector(file, threads=1)
    people = open_dataset(shared / "data/people", only=("val",)).val
    images = [one for one in people.images if one.path.parent.name == "coco"][:30]
    large = covered = 0
    for record in images:
        found = detector(read_image(record.path))
        for one in people.trainable:
            if one.image_id == record.id and one.area > 96**2:
                large += 1
                covered += bool(_iou(one.box_xyxy, found.xyxy).max(initial=0) > 0.5)
    assert large > 20
    assert covered / large > 0.8


def _iou(box, boxes) -> np.ndarray:
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    both = (high - low).clip(0).prod(axis=1)
    return both / ((box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - both)


def test_what_is_no_detector_is_named(tmp_path, monkeypatch) -> None:
    with pytest.raises(ModelError, match=r"neither a detector's name .*yolox-nano.* nor an ONNX"):
        open_detector("yolo")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"not a network")
    with pytest.raises(ModelError, match=re.escape(f"{damaged} is no ONNX network")):
        open_detector(damaged)
    monkeypatch.setenv("EVOPOSE_OFFLINE", "1")
    monkeypatch.delenv("EVOPOSE_WEIGHTS", raising=False)
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=r"EVOPOSE_OFFLINE is set and yolox_nano\.onnx"):
        open_detector("yolox-nano")


def test_a_box_in_the_grey_beside_the_image_is_none() -> None:
    # The image fills the upper half of the input; cell 7 * 12 of stride 8 lies below it.
    found = yolox({84: (0.5, 0.5, 0, 0, 1, 1)})(np.zeros((20, 96, 3), np.uint8))
    assert len(found.scores) == 0
