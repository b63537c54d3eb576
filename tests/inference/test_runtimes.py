"""What runs a network: PyTorch judges ONNX Runtime and OpenVINO, file by file."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from evopose.codecs import make_codec
from evopose.errors import ConfigError, ModelError
from evopose.export import ExportOptions, export_model, parity
from evopose.export.sessions import open_onnx
from evopose.inference.runtimes import choose_runtime, open_pose_model
from evopose.inference.runtimes.exporting import exported_once
from evopose.inference.runtimes.pytorch import TorchModel
from evopose.models.evopose2d_plan import EvoPose2DConfig
from evopose.models.inputs import CodecSpec, InputSpec
from evopose.models.modelfile import LoadedModel, load_model, model_card, save_model
from evopose.skeleton import COCO_PERSON
from random_networks import S, random_network

CROPS = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """Return a model file that wants BGR, so that a mistake in the order of channels shows."""
    net = random_network(
        EvoPose2DConfig(genotype=S, input_hw=(64, 64), scaling_reference=None), seed=3
    )
    spec = InputSpec(color="BGR", mean=(0.4, 0.5, 0.3), std=(0.2, 0.3, 0.25))
    card = model_card(net, skeleton=COCO_PERSON, codec=CodecSpec(name="gaussian"), input=spec)
    return save_model(tmp_path_factory.mktemp("model") / "model.safetensors", net, card)


@pytest.fixture(scope="module")
def expected(file) -> np.ndarray:
    return TorchModel.of(load_model(file)).heatmaps(CROPS)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize(
    ("kind", "suffix", "runtime"),
    [
        ("onnx", ".onnx", "onnxruntime"),
        ("onnx", ".onnx", "openvino"),
        ("openvino", ".xml", "openvino"),
    ],
)
def test_every_runtime_gives_the_same(file, expected, tmp_path, kind, suffix, runtime, normalise):
    if runtime == "openvino":
        pytest.importorskip("openvino")
    path = tmp_path / f"model{suffix}"
    report = export_model(load_model(file), path, kind, ExportOptions(normalise=normalise))
    assert report.parity.heatmap_difference < 1e-4
    model = open_pose_model(path, runtime=runtime, threads=1)
    assert model.card == load_model(file).card
    assert model.heatmap_hw == expected.shape[2:]
    assert model.runtime.startswith(runtime)
    for crops, ours in ((CROPS, expected), (CROPS[:1], expected[:1])):
        np.testing.assert_allclose(model.heatmaps(crops), ours, atol=1e-4 * np.ptp(expected))


@pytest.mark.parametrize(
    ("name", "params"),
    [("gaussian", {}), ("dark", {"activation": "softmax"}), ("udp", {"activation": "none"})],
)
def test_decoding_inside_finds_what_the_codec_finds(file, tmp_path, name, params):
    net, card = load_model(file)
    model = LoadedModel(net, replace(card, codec=CodecSpec(name=name, params=params)))
    path = tmp_path / "model.onnx"
    report = export_model(model, path, "onnx", ExportOptions(decode=True))
    assert report.parity.unstable < report.parity.keypoints / 10
    images = np.ascontiguousarray(CROPS.transpose(0, 3, 1, 2), np.float32)
    heatmaps, keypoints = open_onnx(path, threads=1).run(
        ["heatmaps", "keypoints"], {"images": images}
    )
    xy, scores = make_codec(name, (64, 64), heatmaps.shape[2:], **params).decode(heatmaps)
    np.testing.assert_allclose(keypoints[..., :2], xy, atol=0.1)
    np.testing.assert_allclose(keypoints[..., 2], scores, rtol=1e-3, atol=1e-3)


def test_openvino_decodes_inside_as_the_codec_does(file, tmp_path):
    pytest.importorskip("openvino")
    net, card = load_model(file)
    model = LoadedModel(
        net, replace(card, codec=CodecSpec(name="dark", params={"activation": "softmax"}))
    )
    report = export_model(model, tmp_path / "model.xml", "openvino", ExportOptions(decode=True))
    assert report.parity.keypoint_difference < 0.1
    assert report.parity.unstable < report.parity.keypoints / 10


def test_a_file_that_is_not_the_network_is_not_written(file, tmp_path, monkeypatch):
    from evopose.export import onnx as writer

    write = writer.write

    def spoilt(job, path) -> None:
        write(job, path)
        model = onnx.load(path)
        weights = max(model.graph.initializer, key=lambda one: len(one.raw_data))
        array = onnx.numpy_helper.to_array(weights) * 1.01
        weights.CopyFrom(onnx.numpy_helper.from_array(array, weights.name))
        onnx.save(model, path)

    monkeypatch.setattr(writer, "write", spoilt)
    with pytest.raises(ModelError, match="the exported file is not the network"):
        export_model(load_model(file), tmp_path / "model.onnx", "onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_model_file_is_exported_once(file, tmp_path, monkeypatch, expected):
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path))
    told: list[str] = []
    for _ in range(2):
        model = open_pose_model(file, runtime="onnxruntime", threads=1, on_export=told.append)
        np.testing.assert_allclose(model.heatmaps(CROPS), expected, atol=1e-4 * np.ptp(expected))
    assert told == ["onnxruntime"]


def test_what_the_last_bit_of_the_images_moves_is_rounding(file, monkeypatch):
    """A network that was hardly trained may magnify it above the tolerance."""
    model = load_model(file)
    net = TorchModel.of(model)

    def run(scale):
        def answer(images):
            found = net.heatmaps(images.transpose(0, 2, 3, 1).astype(np.uint8))
            return [found + np.float32(scale) * np.sign(found)]

        return answer

    monkeypatch.setattr(parity, "HEATMAP_TOLERANCE", 1e-12)
    spread = float(np.ptp(net.heatmaps(CROPS)))
    parity.check_parity(run(1e-7 * spread), model, ExportOptions())
    with pytest.raises(ModelError, match="is not the network: heatmaps differ by 1"):
        parity.check_parity(run(1e-4 * spread), model, ExportOptions())


def test_a_damaged_export_in_the_cache_is_made_again(file, tmp_path, monkeypatch, expected):
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path))
    open_pose_model(file, runtime="onnxruntime", threads=1)
    (made,) = (tmp_path / "exported").glob("*/model.onnx")
    made.write_bytes(made.read_bytes()[:1000])
    model = open_pose_model(file, runtime="onnxruntime", threads=1)
    np.testing.assert_allclose(model.heatmaps(CROPS), expected, atol=1e-4 * np.ptp(expected))


def test_files_that_are_not_ours(file, tmp_path):
    path = tmp_path / "model.onnx"
    export_model(load_model(file), path, "onnx")
    model = onnx.load(path)
    told = {one.key: one.value for one in model.metadata_props}
    newer = told | {
        "evopose_export": json.dumps(json.loads(told["evopose_export"]) | {"format": 2})
    }
    for metadata, message in (({}, "was not written by `evopose export`"), (newer, "format 2")):
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, metadata)
        onnx.save(model, path)
        with pytest.raises(ModelError, match=message):
            open_pose_model(path, runtime="onnxruntime")
    path.write_bytes(b"no network")
    with pytest.raises(ModelError, match="no ONNX network that can be run"):
        open_pose_model(path, runtime="onnxruntime")
    with pytest.raises(ModelError, match="unpickled or run as code"):
        open_pose_model(tmp_path / "model.torchscript")


@pytest.mark.parametrize(
    ("name", "runtime", "device", "message"),
    [
        ("a.onnx", "pytorch", "cpu", "run by onnxruntime or openvino, not by pytorch"),
        ("a.onnx", "auto", "cuda:0", "is run on the CPU"),
        ("a.safetensors", "tensorrt", "cpu", "a runtime is auto, onnxruntime"),
        ("a.safetensors", "onnxruntime", "cuda:0", "--device cuda:0 is for pytorch"),
    ],
)
def test_what_cannot_run(name, runtime, device, message):
    with pytest.raises(ConfigError, match=message):
        choose_runtime(Path(name), runtime, device)


def test_threads_are_pytorchs_too(file):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        open_pose_model(file, runtime="pytorch", threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_gpu_is_pytorchs():
    assert choose_runtime(Path("a.safetensors"), "auto", "cuda:0") == "pytorch"


def test_an_exported_file_needs_no_torch(file, tmp_path, monkeypatch):
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path))
    exported_once(file)
    script = (
        "import sys, numpy as np; from evopose.inference.estimator import PoseEstimator;"
        f"e = PoseEstimator.load({str(file)!r}, detector=None, runtime='onnxruntime', threads=1);"
        "print(len(e(np.zeros((80, 60, 3), np.uint8)))); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "False"]
