"""Official `.h5` files: heatmaps as TensorFlow computed them, and what is not such a file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from evopose.errors import ModelError
from evopose.models.evopose2d_plan import plan
from evopose.models.importers.keras_h5 import read_keras_h5
from evopose.models.keras_layout import export_arrays, load_arrays

CASES = ("tiny_random.h5", "tiny_random_mixed_bf16.h5")


@pytest.fixture
def folder(shared: Path) -> Path:
    return shared / "reference" / "keras_h5"


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A file of its own to damage."""
    path = tmp_path / "model.h5"
    shutil.copyfile(folder / CASES[0], path)
    return path


@pytest.mark.parametrize("name", CASES)
def test_heatmaps_are_those_of_tensorflow(folder: Path, name: str) -> None:
    cases = json.loads((folder / "index.json").read_text())["cases"]
    (case,) = (case for case in cases if case["h5"] == name)
    net, report = read_keras_h5(folder / name)
    source, _, key = case["input"].rpartition(":")
    images = np.load(folder / (source or case["io"]))[key]
    expected = np.load(folder / case["io"])[case["heatmaps"]]
    with torch.no_grad():
        found = net.eval()(torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert found.shape == expected.shape
    error = np.abs(found.numpy() - expected).max() / np.abs(expected).max()
    assert error < case["tolerance"]
    config = net.config
    assert config.genotype.to_list() == case["genotype"]
    assert list(config.input_hw) == case["input_hw"]
    assert config.head_channels == case["head_channels"]
    assert config.final_kernel == case["final_kernel"]
    assert config.num_keypoints == case["num_keypoints"]
    assert config.scaling_reference == 224
    assert set(report.used) == set(export_arrays(net))
    assert (report.skipped, report.adapted) == ((), ())
    assert report.source == name
    assert ("mixed_bfloat16" in report.summary()) == ("bf16" in name)


def test_the_weights_are_those_of_the_file(folder: Path) -> None:
    net, _ = read_keras_h5(folder / CASES[0])
    arrays = export_arrays(net)
    with h5py.File(folder / CASES[0]) as file:
        for name, array in arrays.items():
            layer, weight = name.split("/")
            stored = file[f"model_weights/{layer}/{layer}/{weight}:0"][()]
            assert stored.tobytes() == array.tobytes(), name


def test_stochastic_depth_is_that_of_the_file(folder: Path) -> None:
    net, _ = read_keras_h5(folder / CASES[0])
    with h5py.File(folder / CASES[0]) as file:
        layers = json.loads(file.attrs["model_config"])["config"]["layers"]
    drops = {
        layer["config"]["name"]: layer["config"]["rate"]
        for layer in layers
        if layer["class_name"] == "Dropout"
    }
    ours = {
        f"block{block.stage + 1}{'abcd'[block.index]}_drop": block.drop_rate
        for block in plan(net.config).blocks
        if block.skip and block.drop_rate
    }
    assert ours == pytest.approx(drops)


def resize_input(file: h5py.File) -> None:
    edit_layers(
        file,
        lambda layer: (
            {**layer, "batch_input_shape": [None, 384, 288, 3]}
            if "batch_input_shape" in layer
            else layer
        ),
    )


def test_another_input_size_keeps_the_built_network(copy: Path) -> None:
    before, _ = read_keras_h5(copy)
    with h5py.File(copy, "r+") as file:
        resize_input(file)
    net, report = read_keras_h5(copy)
    assert net.config.input_hw == (384, 288)
    assert net.config.scaling_reference is None
    assert "no scaling" in report.summary()
    blocks = [(b.hidden, b.channels_out, b.kernel, b.stride) for b in plan(net.config).blocks]
    assert blocks == [
        (b.hidden, b.channels_out, b.kernel, b.stride) for b in plan(before.config).blocks
    ]


def test_arrays_beside_the_network_are_reported(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        file["optimizer_weights/Adam/iterations:0"] = np.int64(3)
    _, report = read_keras_h5(copy)
    assert report.skipped == ("optimizer_weights/Adam/iterations:0: not a weight of the network",)


def test_another_precision_is_converted_and_reported(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        group = file["model_weights/final_conv/final_conv"]
        half = group["bias:0"][()].astype(np.float16)
        del group["bias:0"]
        group["bias:0"] = half
    net, report = read_keras_h5(copy)
    assert report.adapted == ("final_conv/bias: float16 -> float32",)
    assert np.array_equal(net.final_conv.bias.detach().numpy(), half.astype(np.float32))


def edit_layers(file: h5py.File, edit: Callable[[dict], dict]) -> None:
    config = json.loads(file.attrs["model_config"])
    for layer in config["config"]["layers"]:
        layer["config"] = edit(layer["config"])
    file.attrs["model_config"] = json.dumps(config)


def set_in_layer(name: str, setting: str, value: object) -> Callable[[h5py.File], None]:
    return lambda file: edit_layers(
        file, lambda layer: {**layer, setting: value} if layer["name"] == name else layer
    )


def replace_array(name: str, array: np.ndarray | None) -> Callable[[h5py.File], None]:
    layer, weight = name.split("/")
    path = f"model_weights/{layer}/{layer}/{weight}:0"

    def change(file: h5py.File) -> None:
        if path in file:
            del file[path]
        if array is not None:
            file[path] = array

    return change


def remove_model_config(file: h5py.File) -> None:
    del file.attrs["model_config"]


def break_model_config(file: h5py.File) -> None:
    file.attrs["model_config"] = "{"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (replace_array("block2b_bn/beta", None), "1 missing: block2b_bn/beta"),
        (replace_array("top_conv/kernel", np.zeros(3, "f")), "1 unexpected: top_conv/kernel"),
        (
            replace_array("block2b_bn/beta", np.zeros(3, "f")),
            r"block2b_bn/beta has shape \(3,\), expected \(48,\)",
        ),
        (replace_array("block2b_bn/beta", np.zeros(48, "i")), "block2b_bn/beta holds int"),
        (
            replace_array("final_conv/kernel", None),
            "another architecture than EvoPose2D: no final_conv/kernel; it has block1a_bn/beta",
        ),
        (replace_array("block1a_project_conv/kernel", None), "stage 1 is incomplete"),
        (set_in_layer("block2a_dwconv", "strides", [3, 3]), "stride must be 1 or 2, got 3"),
        (set_in_layer("block2b_dwconv", "strides", [2, 2]), r"strides \[2, 2\], expected \[1, 1\]"),
        (set_in_layer("stem_activation", "activation", "relu"), "activation relu, expected swish"),
        (set_in_layer("stem_bn", "epsilon", 1e-5), "stem_bn has epsilon 1e-05, expected 0.001"),
        (set_in_layer("stem_conv", "name", "first"), "model_config has no layer stem_conv"),
        (set_in_layer("input_5", "batch_input_shape", [None, None, None, 3]), "needs one input"),
        (remove_model_config, "no model_config, so strides and input size are unknown"),
        (break_model_config, "model_config is not that of a Keras model"),
    ],
)
def test_a_file_that_differs_is_refused(
    copy: Path, damage: Callable[[h5py.File], None], message: str
) -> None:
    with h5py.File(copy, "r+") as file:
        damage(file)
    with pytest.raises(ModelError, match=message) as caught:
        read_keras_h5(copy)
    assert str(copy) in str(caught.value)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_file_cut_off_is_refused(copy: Path, share: float) -> None:
    content = copy.read_bytes()
    copy.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match="damaged or cut off"):
        read_keras_h5(copy)


def test_what_is_no_hdf5_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    with pytest.raises(ModelError, match="no such file"):
        read_keras_h5(path)
    path.write_bytes(b"not a model")
    with pytest.raises(ModelError, match="not an HDF5 file"):
        read_keras_h5(path)


def test_arrays_that_do_not_fit_leave_the_network_unchanged(folder: Path) -> None:
    net, _ = read_keras_h5(folder / CASES[0])
    before = export_arrays(net)
    changed = {name: array + 1 for name, array in before.items()}
    changed["final_conv/bias"] = np.zeros(3, np.float32)
    with pytest.raises(ModelError, match="1 of another shape: final_conv/bias"):
        load_arrays(net, changed)
    after = export_arrays(net)
    assert all(np.array_equal(array, after[name]) for name, array in before.items())
