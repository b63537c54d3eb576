"""`evopose predict` and `export` from the command line: sources, videos, exported files."""

import json

import cv2
import numpy as np
import pytest

from evopose.cli.predict import split_model
from evopose.data.video_writing import VideoWriter
from evopose.errors import ConfigError


@pytest.fixture
def photo(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), image)
    return path


def test_a_photo_alone_is_enough(evopose, photo, tmp_path):
    done = evopose(
        "predict", photo, "--out", tmp_path / "out", "--detector", "none", "--runtime", "pytorch",
        "--threads", 1, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["model"] == "default"
    assert (done.json["images"], done.json["persons"], done.json["failed"]) == (1, 1, [])
    (result,) = json.loads((tmp_path / "out/results.json").read_text())
    assert len(result["keypoints"]) == 51
    assert result["bbox"] == [-0.5, -0.5, 80, 60]
    assert cv2.imread(str(tmp_path / "out/photo.jpg")).shape == (60, 80, 3)


def test_photos_of_one_name_are_drawn_apart(evopose, photo, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.png").write_bytes(photo.read_bytes())
    done = evopose(
        "predict", photo, tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out",
        "--detector", "none", "--runtime", "pytorch", "--threads", 1,
    )  # fmt: skip
    assert done.code == 0, done.err
    drawn = {path.name for path in (tmp_path / "out").glob("*.jpg")}
    assert drawn == {"photo.jpg", "a-photo.jpg", "b-photo.jpg"}


def test_a_video_is_drawn_and_told_frame_by_frame(evopose, photo, tmp_path):
    frame = cv2.imread(str(photo))[..., ::-1]
    with VideoWriter(tmp_path / "still.mp4", fps=10) as writer:
        for _ in range(5):
            writer.write(frame)
    done = evopose(
        "predict", tmp_path / "still.mp4", photo, "--out", tmp_path / "out", "--detector", "none",
        "--runtime", "pytorch", "--threads", 1, "--frames", 4, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    (video,) = done.json["videos"]
    assert (video["frames"], video["written"]) == (4, ["still.jsonl", "still.mp4"])
    lines = (tmp_path / "out/still.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 1, 2, 3]
    film = cv2.VideoCapture(str(tmp_path / "out/still.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 4


def test_a_video_that_is_none_is_named(evopose, tmp_path):
    (tmp_path / "film.mp4").write_bytes(bytes(1000))
    done = evopose(
        "predict", tmp_path / "film.mp4", "--out", tmp_path / "out", "--detector", "none",
        "--runtime", "pytorch", "--threads", 1,
    )  # fmt: skip
    assert done.code == 1
    assert "left out: cannot read" in done.out


def test_what_is_exported_is_used_as_the_model_is(evopose, photo, tmp_path):
    made = evopose("export", "default", "--out", tmp_path / "pose.onnx", "--json")
    assert made.code == 0, made.err
    assert made.json["parity"]["heatmap_difference"] < 1e-4
    found = {}
    for model, runtime in (("default", "pytorch"), (tmp_path / "pose.onnx", "onnxruntime")):
        out = tmp_path / runtime
        done = evopose(
            "predict", model, photo, "--out", out, "--detector", "none", "--runtime", runtime,
            "--threads", 1,
        )  # fmt: skip
        assert done.code == 0, done.err
        found[runtime] = json.loads((out / "predictions.json").read_text())["images"][0]["persons"]
    ours, theirs = (np.array(persons[0]["keypoints"]) for persons in found.values())
    np.testing.assert_allclose(theirs[:, 2], ours[:, 2], atol=1e-4)
    assert np.median(np.abs(theirs - ours)[:, :2]) < 0.1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--format", "tflite"], "--format is onnx, openvino, torchscript; got 'tflite'"),
        (["--out", "pose.pb"], "onnx files end in .onnx; pose.pb does not"),
        (
            ["--half", "--format", "torchscript", "--out", "pose.torchscript"],
            "torchscript files are float32; half is for onnx and openvino",
        ),
    ],
)
def test_exports_that_cannot_be(evopose, given, message):
    done = evopose("export", "default", *given)
    assert done.code == 2
    assert message in done.err


def test_the_first_word_is_a_model_where_it_names_one(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.safetensors").touch()
    photos = tmp_path / "photos"
    photos.mkdir()
    for word in ("default", "hrnet-w32", "evopose2d-s-256x192", "a.onnx", "a.xml", str(run)):
        assert split_model([word, "photo.jpg"]) == (word, ["photo.jpg"])
    for word in ("photo.jpg", str(photos), "https://example.org/a.jpg", "webcam:0", "*.png"):
        assert split_model([word, "b.jpg"]) == (None, [word, "b.jpg"])
    with pytest.raises(ConfigError, match="default is a model; name what it is to look at"):
        split_model(["default"])
