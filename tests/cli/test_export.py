"""`evopose export` in fewer bits: its cost is told, kept in the file, and what `evaluate` finds."""

import json

import onnx
import pytest

KINDS = [
    ("--int8", "onnx", "int8"),
    ("--half", "onnx", "float16"),
    ("--half", "openvino", "bfloat16"),
]


@pytest.mark.parametrize(("flag", "kind", "precision"), KINDS)
def test_what_it_costs_is_what_evaluate_finds(
    evopose, finished_run, dots, tmp_path, flag, kind, precision
):
    if kind == "openvino":
        pytest.importorskip("openvino")
    file = tmp_path / f"pose.{'xml' if kind == 'openvino' else 'onnx'}"
    made = evopose(
        "export", finished_run, flag, "--format", kind, "--calibrate", dots, "--out", file,
        "--threads", 1, "--json",
    )  # fmt: skip
    assert made.code == 0, made.err
    oks = made.json["oks"]
    assert made.json["precision"] == precision
    assert (oks["data"], oks["split"]) == (dots.name, "val")
    assert oks["loss"] == pytest.approx(oks["mean_oks_float32"] - oks["mean_oks"])
    for model, mean in ((file, oks["mean_oks"]), (finished_run, oks["mean_oks_float32"])):
        runtime = {"onnx": "onnxruntime", "openvino": "openvino"}[kind]
        done = evopose(
            "evaluate", model, dots, "--threads", 1, "--json",
            "--runtime", "pytorch" if model is finished_run else runtime,
        )  # fmt: skip
        assert done.code == 0, done.err
        assert done.json["mean_oks"] == pytest.approx(mean, abs=1e-9)
        assert done.json["persons"] == oks["persons"]


def test_int8_told_written_and_used(evopose, finished_run, dots, tmp_path):
    file = tmp_path / "pose.onnx"
    made = evopose("export", finished_run, "--int8", "--calibrate", dots, "--out", file)
    assert made.code == 0, made.err
    count = len(json.loads((dots / "train.json").read_text())["images"])
    source = f"{count} of {count} persons of {dots.name}, train, seed 0"
    assert f"calibrated on {source}" in made.out
    assert "mean OKS: " in made.out
    assert "(standard error)" in made.out
    (text,) = (p.value for p in onnx.load(file).metadata_props if p.key == "evopose_export")
    about = json.loads(text)
    assert about["calibrated_on"] == source
    assert f"mean OKS: {about['oks']['mean_oks']:.4f}, in float32" in made.out
    photo = sorted((dots / "images").iterdir())[0]
    done = evopose(
        "predict", file, photo, "--detector", "none", "--runtime", "onnxruntime", "--threads", 1,
        "--out", tmp_path / "seen", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["persons"] == 1


def test_half_without_data_says_that_nothing_was_measured(evopose, finished_run, tmp_path):
    made = evopose("export", finished_run, "--half", "--out", tmp_path / "pose.onnx")
    assert made.code == 0, made.err
    assert "loses of mean OKS was not measured: give --calibrate DATA" in made.out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--int8"], "--int8 needs persons to calibrate on: give --calibrate DATA"),
        (["--int8", "--half"], "--half and --int8 are two precisions; give one"),
        (["--calibrate", "people"], "--calibrate is for --int8 and --half"),
        (["--half", "--annotations", "a.json"], "--annotations is for --calibrate DATA"),
        (["--int8", "--calibrate", "nowhere"], "nowhere"),
        (
            ["--int8", "--format", "openvino", "--out", "pose.xml"],
            "openvino files are float32 or half; int8 is for onnx",
        ),
    ],
)
def test_exports_in_fewer_bits_that_cannot_be(evopose, tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    done = evopose("export", "default", *given)
    assert done.code == 2
    assert message in done.err
    assert list(tmp_path.iterdir()) == []


def test_data_of_other_keypoints_is_refused_at_once(evopose, dots, tmp_path):
    done = evopose(
        "export", "default", "--int8", "--calibrate", dots, "--out", tmp_path / "pose.onnx"
    )
    assert done.code == 2
    assert "the model knows the keypoints nose, left_eye" in done.err
    assert list(tmp_path.iterdir()) == []
