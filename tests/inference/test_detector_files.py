"""Detectors' files of every known form, told apart and read; the detector of who names none."""

import re
from pathlib import Path

import numpy as np
import pytest

from evopose.errors import ModelError
from evopose.inference.detectors import (
    DETECTORS,
    FORMS,
    RtDetr,
    Yolox,
    anchor_points,
    default_detector,
    open_detector,
)
from evopose.inference.detectors.network import open_network
from inference.tiny_detectors import (
    FLOAT,
    HALF,
    INT,
    hugging_face_file,
    rtdetr_file,
    write_onnx,
    yolox_file,
)

CELLS = 126
"""Of an input of 64 x 96: 8 x 12 + 4 x 6 + 2 x 3."""


def answer(cells: int = CELLS, classes: int = 2) -> np.ndarray:
    """One person: cell 14 of stride 8, row 1, column 2 of the smallest input."""
    found = np.zeros((1, cells, 5 + classes), np.float32)
    found[0, 14, :6] = 0.5, 0.5, np.log(2), 0, 0.9, 0.5
    return found


def colours(red: float, green: float, blue: float, size_hw=(100, 200)) -> np.ndarray:
    return np.full((*size_hw, 3), np.rint(np.array([red, green, blue]) * 255), np.uint8)


TINY = {
    "YOLOX": lambda path: yolox_file(path, answer()),
    "RT-DETR or D-FINE of Hugging Face": hugging_face_file,
    "RT-DETR or D-FINE of their authors": rtdetr_file,
}
"""A file of each form."""


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_told_from_the_others(tmp_path, form) -> None:
    file = TINY[form](tmp_path / "tiny.onnx")
    network = open_network(file, threads=1)
    assert [label for label, one in FORMS.items() if one.open(network, "it", 0.3)] == [form]
    detector = open_detector(file, threads=1, threshold=0.1)
    assert detector.name == "tiny"
    found = detector(colours(1, 1, 1))
    assert len(found.scores) > 0
    assert found.xyxy.shape == (len(found.scores), 4)
    assert (np.diff(found.scores) <= 0).all()
    assert not len(open_detector(file, threads=1, threshold=0.999)(colours(0, 0, 0)).scores)


@pytest.mark.parametrize("kind", [FLOAT, HALF])
def test_a_yolox_file_finds_its_person(tmp_path, kind) -> None:
    detector = open_detector(yolox_file(tmp_path / "it.onnx", answer(), kind=kind), threads=1)
    assert isinstance(detector, Yolox)
    assert not detector.decoded
    found = detector(np.zeros((32, 48, 3), np.uint8))
    np.testing.assert_allclose(found.xyxy, [[5.5, 3.5, 13.5, 7.5]], atol=0.02)
    np.testing.assert_allclose(found.scores, [0.45], rtol=1e-3)


def test_a_yolox_file_with_its_decoding_inside_gives_the_same(tmp_path) -> None:
    corners, strides = anchor_points((64, 96))
    decoded = answer()
    decoded[0, :, :2] = (decoded[0, :, :2] + corners) * strides
    decoded[0, :, 2:4] = np.exp(decoded[0, :, 2:4]) * strides
    detector = open_detector(yolox_file(tmp_path / "it.onnx", decoded), threads=1)
    assert isinstance(detector, Yolox)
    assert detector.decoded
    found = detector(np.zeros((32, 48, 3), np.uint8))
    np.testing.assert_allclose(found.xyxy, [[5.5, 3.5, 13.5, 7.5]], atol=1e-5)


def test_open_sizes_are_640(tmp_path) -> None:
    cells = 80 * 80 + 40 * 40 + 20 * 20
    file = yolox_file(
        tmp_path / "it.onnx", answer(cells), image=("n", 3, "h", "w"), says=("n", "a", 7)
    )
    detector = open_detector(file, threads=1)
    assert isinstance(detector, Yolox)
    assert detector.input_hw == (640, 640)
    # Cell 14 of stride 8 is column 14: 16 x 8 about 116, 4 of an input as large as the image.
    found = detector(np.zeros((640, 640, 3), np.uint8))
    np.testing.assert_allclose(found.xyxy, [[107.5, -0.5, 123.5, 7.5]], atol=1e-4)


def reshaping_file(path: Path, columns: int) -> Path:
    """A file that leaves its sizes open, and gives the image's pixels in rows."""
    nodes = [("Reshape", ["images", "shape"], "output", {})]
    ports = [("images", FLOAT, [1, 3, "h", "w"])], [("output", FLOAT, [1, "a", columns])]
    return write_onnx(path, nodes, *ports, shape=np.array([1, -1, columns]))


def test_a_yolox_of_other_cells_than_its_grids_is_refused_when_run(tmp_path) -> None:
    file = reshaping_file(tmp_path / "it.onnx", 8)
    with pytest.raises(ModelError, match=r"makes an array \(1, 153600, 8\), where \(1, 8400, 5 \+"):
        open_detector(file)


def test_a_network_that_fails_when_run_is_told(tmp_path) -> None:
    file = reshaping_file(tmp_path / "it.onnx", 7)  # of which 3 x 640 x 640 is no multiple
    with pytest.raises(ModelError, match=r"it.onnx cannot be run on an image \(1, 3, 640, 640\)"):
        open_detector(file)


def test_hugging_face_scores_are_of_red_green_blue_in_0_to_1(tmp_path) -> None:
    detector = open_detector(hugging_face_file(tmp_path / "it.onnx"), threads=1, threshold=0.55)
    assert isinstance(detector, RtDetr)
    found = detector(colours(1.0, 0.6, 0.0))  # the third is below the threshold
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp([-1.0, -0.6])), rtol=1e-5)
    # Of an image of 200 x 100: centre 100, 50 and size 40, 40; centre 50, 50 and size 100, 50.
    expected = np.array([[80, 30, 120, 70], [0, 25, 100, 75]]) - 0.5
    np.testing.assert_allclose(found.xyxy, expected, atol=1e-4)


def test_the_authors_form_leaves_other_classes_out(tmp_path) -> None:
    detector = open_detector(rtdetr_file(tmp_path / "it.onnx"), threads=1, threshold=0.2)
    found = detector(colours(0.4, 1.0, 0.8))
    np.testing.assert_allclose(found.scores, [0.8, 0.4], rtol=1e-5)
    # The first, at 180, 90 with 40 x 40, is cut at the image's border.
    expected = np.array([[160, 70, 200, 100], [80, 30, 120, 70]]) - 0.5
    np.testing.assert_allclose(found.xyxy, expected, atol=1e-4)


@pytest.mark.parametrize("write", [hugging_face_file, rtdetr_file])
def test_open_sizes_of_rtdetr_are_640(tmp_path, write) -> None:
    detector = open_detector(write(tmp_path / "it.onnx", size=("h", "w")), threads=1)
    assert isinstance(detector, RtDetr)
    assert detector.input_hw == (640, 640)
    assert len(detector(colours(1, 1, 1)).scores) >= 2


@pytest.mark.parametrize("classes", [91, 92])
def test_an_older_detr_is_refused(tmp_path, classes) -> None:
    file = hugging_face_file(tmp_path / "detr.onnx", classes=classes)
    with pytest.raises(ModelError, match=f"detr.onnx has {classes} classes, as the older DETRs"):
        open_detector(file)


@pytest.mark.parametrize("inputs", [(1, 3, 64, 96), (1, 64, 96, 3), (4, 3, 64, 96), (1, 3)])
def test_other_networks_are_told_with_what_is_known(tmp_path, inputs) -> None:
    transposed = np.zeros((1, 84, CELLS), np.float32)  # as YOLOv8 has it
    file = yolox_file(tmp_path / "other.onnx", transposed, image=inputs)
    sizes = ", ".join(map(str, inputs))
    with pytest.raises(ModelError) as told:
        open_detector(file)
    message = str(told.value)
    assert f"{file} is no detector of a known form" in message
    assert f"in: images (float)[{sizes}]; out: output (float)[1, 84, {CELLS}]" in message
    assert all(f"{label}: {form.summary}" in message for label, form in FORMS.items())


def test_images_of_bytes_are_told(tmp_path) -> None:
    nodes = [("Identity", ["x"], "y", {})]
    ports = [("x", INT, ["n", 3, 64, 96])], [("y", INT, ["n", 3, 64, 96])]
    file = write_onnx(tmp_path / "it.onnx", nodes, *ports)
    with pytest.raises(ModelError, match=re.escape("in: x (int64)[?, 3, 64, 96]; out: y (int64)")):
        open_detector(file)


@pytest.fixture
def offline(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("EVOPOSE_OFFLINE", "1")
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("EVOPOSE_WEIGHTS", raising=False)
    return tmp_path


def test_without_a_detector_the_reason_is_given(offline) -> None:
    detector, words = default_detector()
    assert detector is None
    assert words.startswith("no persons are looked for, each image is taken for one, whole: ")
    assert "EVOPOSE_OFFLINE is set and yolox_nano.onnx is not on this machine" in words


def test_a_folder_of_weights_that_is_none_is_no_reason_to_go_without(offline, monkeypatch) -> None:
    monkeypatch.setenv("EVOPOSE_WEIGHTS", str(offline / "nowhere"))
    with pytest.raises(ModelError, match="nowhere, which is no folder"):
        default_detector()


def test_what_is_no_number_is_no_answer(tmp_path) -> None:
    spoilt = answer()
    spoilt[0, 20, 4] = np.nan
    with pytest.raises(
        ModelError, match=r"tiny\.onnx answers an image with values that are no numb"
    ):
        open_detector(yolox_file(tmp_path / "tiny.onnx", spoilt), threads=1)


def test_the_default_detector_comes_from_a_folder_of_weights(offline, shared, monkeypatch) -> None:
    monkeypatch.setenv("EVOPOSE_WEIGHTS", str(shared / "data/weights"))
    detector, words = default_detector(threads=1)
    assert detector is not None
    assert detector.name in DETECTORS or detector.name == "yolox_nano"
    assert words == "persons are found by yolox-nano"
