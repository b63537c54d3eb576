"""Files in fewer bits: NumPy judges the rounding, PyTorch what comes out, `evaluate` the loss."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from evopose.errors import ConfigError, ModelError
from evopose.export import ExportOptions, RealCrops, export_model
from evopose.inference.runtimes import open_pose_model
from evopose.inference.runtimes.pytorch import TorchModel
from evopose.models.evopose2d_plan import EvoPose2DConfig
from evopose.models.inputs import CodecSpec
from evopose.models.modelfile import LoadedModel, load_model, model_card, save_model
from evopose.skeleton import COCO_PERSON
from random_networks import SMALL, random_network

CROPS = np.random.default_rng(0).integers(0, 256, (24, 64, 64, 3)).astype(np.uint8)
REAL = RealCrops(images=CROPS, source="24 crops of noise")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> LoadedModel:
    net = random_network(
        EvoPose2DConfig(genotype=SMALL, input_hw=(64, 64), scaling_reference=None), seed=3
    )
    card = model_card(net, skeleton=COCO_PERSON, codec=CodecSpec(name="gaussian"))
    return load_model(save_model(tmp_path_factory.mktemp("m") / "model.safetensors", net, card))


@pytest.fixture(scope="module")
def expected(model) -> np.ndarray:
    return TorchModel.of(model).heatmaps(CROPS)


@pytest.fixture(scope="module")
def int8(model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "model.onnx"
    report = export_model(model, path, "onnx", ExportOptions(precision="int8"), crops=REAL)
    assert (report.precision, report.oks) == ("int8", None)
    assert report.parity.real_crops == 16
    return path


def noise(got: np.ndarray, expected: np.ndarray) -> float:
    """Return how large what was added is, beside what varies."""
    return float(np.sqrt(np.mean((got - expected) ** 2)) / expected.std())


def arrays(graph) -> dict[str, np.ndarray]:
    return {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}


def test_half_is_near_and_half_as_large(model, expected, tmp_path):
    for precision in ("float32", "half"):
        export_model(
            model, tmp_path / f"{precision}.onnx", options=ExportOptions(precision=precision)
        )
    sizes = [(tmp_path / f"{p}.onnx").stat().st_size for p in ("half", "float32")]
    assert sizes[0] / sizes[1] < 0.55
    graph = onnx.load(tmp_path / "half.onnx").graph
    assert {a.dtype for a in arrays(graph).values() if a.dtype.kind == "f"} == {np.dtype("float16")}
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    found = open_pose_model(tmp_path / "half.onnx", runtime="onnxruntime", threads=1)
    assert "float16" in found.runtime
    assert 0 < noise(found.heatmaps(CROPS), expected) < 0.01


@pytest.mark.parametrize("precision", ["half", "int8"])
def test_decoding_inside_stays_float32(model, tmp_path, precision):
    """In float16 places beyond 128 would be whole eighths of a pixel."""
    from evopose.codecs import make_codec
    from evopose.export.sessions import open_onnx

    path = tmp_path / "model.onnx"
    options = ExportOptions(precision=precision, decode=True)
    export_model(model, path, options=options, crops=REAL)
    images = np.ascontiguousarray(CROPS.transpose(0, 3, 1, 2), np.float32)
    heatmaps, keypoints = open_onnx(path, threads=1).run(None, {"images": images})
    xy, scores = make_codec("gaussian", (64, 64), heatmaps.shape[2:]).decode(heatmaps)
    np.testing.assert_allclose(keypoints[..., :2], xy, atol=1e-4)
    np.testing.assert_allclose(keypoints[..., 2], scores, rtol=1e-5, atol=1e-6)


def test_int8_weights_are_the_network_s_rounded(model, int8, tmp_path):
    export_model(model, tmp_path / "float32.onnx")
    floats = arrays(onnx.load(tmp_path / "float32.onnx").graph)
    graph = onnx.load(int8).graph
    stored = arrays(graph)
    checked = 0
    for node in graph.node:
        name = node.input[0].removesuffix("_quantized")
        if node.op_type != "DequantizeLinear" or floats.get(name, np.zeros(0)).ndim != 4:
            continue
        weight, whole, scale = floats[name], stored[node.input[0]], stored[node.input[1]]
        assert whole.dtype == np.int8
        assert np.abs(whole).max() <= 64
        scale = np.expand_dims(scale, [i for i in range(4) if i != node.attribute[0].i])
        assert (np.abs(whole * scale - weight) <= 0.501 * scale).all(), name
        checked += 1
    assert checked == sum(a.ndim == 4 for a in floats.values()) - 1
    assert floats["net.final_conv.weight"].tobytes() == stored["net.final_conv.weight"].tobytes()


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_int8_is_run_by_both(int8, expected, runtime):
    if runtime == "openvino":
        pytest.importorskip("openvino")
    found = open_pose_model(int8, runtime=runtime, threads=1)
    assert "int8" in found.runtime
    for count in (1, 24):
        assert 0 < noise(found.heatmaps(CROPS[:count]), expected[:count]) < 0.2


def test_openvino_says_what_it_computes_in(model, tmp_path):
    pytest.importorskip("openvino")
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        pytest.skip("it is not known what this processor can")
    export_model(model, tmp_path / "m.xml", "openvino", ExportOptions(precision="half"))
    told = open_pose_model(tmp_path / "m.xml", threads=1).runtime
    if flags & {"avx512_bf16", "amx_bf16"}:
        assert ", bfloat16, cpu" in told
    elif not {one for one in flags if one.startswith(("avx512", "bf16"))}:
        assert ", bfloat16 asked for, computed in float32, cpu" in told
    else:
        pytest.skip("bfloat16 may be computed by other means here")


def test_int8_is_the_same_again(model, int8, tmp_path):
    export_model(model, tmp_path / "m.onnx", options=ExportOptions(precision="int8"), crops=REAL)
    assert (tmp_path / "m.onnx").read_bytes() == int8.read_bytes()


def test_int8_says_what_it_was_calibrated_on(int8):
    (text,) = (one.value for one in onnx.load(int8).metadata_props if one.key == "evopose_export")
    about = json.loads(text)
    assert (about["precision"], about["calibrated_on"]) == ("int8", "24 crops of noise")
    assert about["oks"] is None


def test_what_there_is_not(model, tmp_path):
    int8, half = ExportOptions(precision="int8"), ExportOptions(precision="half")
    with pytest.raises(ConfigError, match="int8 needs persons to calibrate on"):
        export_model(model, tmp_path / "m.onnx", options=int8)
    with pytest.raises(ConfigError, match="openvino files are float32 or half; int8 is for onnx"):
        export_model(model, tmp_path / "m.xml", "openvino", int8, crops=REAL)
    with pytest.raises(ConfigError, match="half is for onnx and openvino"):
        export_model(model, tmp_path / "m.torchscript", "torchscript", half)
    with pytest.raises(ConfigError, match="a precision is float32, half, int8; got 'int4'"):
        ExportOptions(precision="int4")


def test_a_measurement_that_fails_leaves_no_file(model, tmp_path):
    def fails(path: Path):
        assert path.is_file()
        raise ModelError("no such keypoints")

    with pytest.raises(ModelError, match="no such keypoints"):
        export_model(
            model, tmp_path / "m.onnx", options=ExportOptions(precision="half"), measure=fails
        )
    assert list(tmp_path.iterdir()) == []
