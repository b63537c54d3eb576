"""EvoPose2D models as the official code saves them: Keras `.h5` files, read without TensorFlow.

Shapes and names give genotype, head, kernels and number of keypoints; strides and input size come
from the file's `model_config`, whose other settings are checked against ours.

Source: official `nets/evopose2d.py` at ea05b81; Keras' HDF5 layout (`model_config`,
`model_weights/<layer>/<layer>/<weight>:0`).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evopose.errors import EvoposeError, ModelError
from evopose.genotype import Genotype
from evopose.models.evopose2d import EvoPose2D, build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig, scaling
from evopose.models.importers.contract import Arrays, Imported, Importer, ImportOptions
from evopose.models.importers.hdf5 import MODEL_CONFIG, read_hdf5
from evopose.models.importers.report import ImportReport
from evopose.models.inputs import CodecSpec
from evopose.models.keras_layout import Array, keras_keys, load_arrays, some
from evopose.models.layers import BATCH_NORM_EPS

Settings = dict[str, dict[str, Any]]
"""Layer name -> its settings in `model_config`, with its class under `class_name`."""

OFFICIAL_REFERENCE = 224.0
"""The official code's reference of the compound scaling, in pixels."""

OFFICIAL_CODEC = CodecSpec()
"""Heatmaps with peak 255, sigma 2 at 64 rows."""
_WEIGHTS = "model_weights"
_MARKS = (
    "stem_conv/kernel",
    "block1a_dwconv/depthwise_kernel",
    "head_block1_conv/kernel",
    "final_conv/kernel",
)
_LAYERS = {
    "Activation", "Add", "BatchNormalization", "Conv2D", "Conv2DTranspose", "DepthwiseConv2D",
    "Dropout", "GlobalAveragePooling2D", "InputLayer", "Multiply", "Reshape",
}  # fmt: skip


def read_keras_h5(path: str | Path) -> tuple[EvoPose2D, ImportReport]:
    """Return the network in an official `.h5` file, and what became of each of the file's arrays.

    A file holds the network as built. Where its input size leaves the official scaling at one
    (mean side 224, as in 256x192) the genotype is the searched one and `scaling_reference` stays
    224; otherwise the genotype is that of the built network and `scaling_reference` is None, which
    gives the same layers and the same stochastic depth.

    Raises: ModelError if the file cannot be read or is damaged, or holds anything but an
    EvoPose2D network with its `model_config`.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"cannot import {path}: there is no such file")
    stored, meta = read_hdf5(path)
    try:
        return _network(stored, meta, path.name)
    except EvoposeError as error:
        raise ModelError(f"cannot import {path}: {error}") from error


def _network(
    stored: Mapping[str, Tensor], meta: Mapping[str, Any], source: str
) -> tuple[EvoPose2D, ImportReport]:
    if MODEL_CONFIG not in meta:
        raise ModelError(
            "it has no model_config, so strides and input size are unknown; "
            "save the whole model (model.save), not its weights alone"
        )
    settings = _settings(meta[MODEL_CONFIG])
    arrays, adapted, skipped = _arrays(stored)
    config = _config(arrays, settings)
    net = build_evopose2d(config)
    load_arrays(net, arrays)
    if problems := list(_disagreements(net, settings)):
        raise ModelError(f"its settings are not those of EvoPose2D: {some(problems)}")
    report = ImportReport(
        source=source,
        used=tuple(arrays),
        adapted=tuple(adapted),
        skipped=tuple(skipped),
        notes=tuple(_notes(config, settings)),
    )
    return net, report


def _arrays(stored: Mapping[str, Tensor]) -> tuple[dict[str, Array], list[str], list[str]]:
    arrays, adapted, skipped = {}, [], []
    for path, array in stored.items():
        group, *layer, weight = path.split("/")
        if group != _WEIGHTS or not layer:
            skipped.append(f"{path}: not a weight of the network")
            continue
        name = f"{layer[0]}/{weight.removesuffix(':0')}"
        dtype = str(array.dtype).removeprefix("torch.")
        if not array.is_floating_point():
            raise ModelError(f"{name} holds {dtype}, expected floating-point numbers")
        if dtype != "float32":
            adapted.append(f"{name}: {dtype} -> float32")
        arrays[name] = array.to(torch.float32).numpy()
    return arrays, adapted, skipped


def _settings(model_config: str | bytes) -> Settings:
    try:
        layers = json.loads(model_config)["config"]["layers"]
        return {
            layer["config"]["name"]: {**layer["config"], "class_name": layer["class_name"]}
            for layer in layers
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"its model_config is not that of a Keras model ({error!r})") from error


def _config(arrays: Mapping[str, Array], settings: Settings) -> EvoPose2DConfig:
    """Return the configuration that the arrays' shapes and the settings describe."""
    missing = [name for name in _MARKS if name not in arrays or arrays[name].ndim != 4]
    if missing:
        raise ModelError(
            f"it holds another architecture than EvoPose2D: no {some(missing)}; "
            f"it has {some(arrays)}"
        )
    stem, _, head, final = (arrays[name].shape for name in _MARKS)
    input_hw = _input_hw(settings)
    searched = scaling(input_hw, OFFICIAL_REFERENCE) == (1.0, 1.0)
    return EvoPose2DConfig(
        genotype=Genotype.from_list(_genes(arrays, settings)),
        input_hw=input_hw,
        num_keypoints=final[3],
        stem_channels=stem[3],
        head_channels=head[2],
        head_blocks=sum(bool(re.fullmatch(r"head_block\d+_conv/kernel", n)) for n in arrays),
        head_kernel=head[0],
        final_kernel=final[0],
        scaling_reference=OFFICIAL_REFERENCE if searched else None,
    )


def _genes(arrays: Mapping[str, Array], settings: Settings) -> Iterator[list[int]]:
    found = (re.match(r"block(\d+)._dwconv/", name) for name in arrays)
    repeats = Counter(int(match[1]) for match in found if match)
    for stage, count in sorted(repeats.items()):
        first = f"block{stage}a_"
        try:
            kernel = arrays[first + "dwconv/depthwise_kernel"].shape[0]
            channels = arrays[first + "project_conv/kernel"].shape[3]
            stride = settings[first + "dwconv"]["strides"][0]
        except (KeyError, IndexError, TypeError) as error:
            raise ModelError(f"its stage {stage} is incomplete ({error!r})") from error
        yield [kernel, count, channels // 8, stride]


def _input_hw(settings: Settings) -> tuple[int, int]:
    inputs = [layer for layer in settings.values() if layer["class_name"] == "InputLayer"]
    shapes = [layer.get("batch_input_shape", layer.get("batch_shape")) for layer in inputs]
    match shapes:
        case [[_, int(height), int(width), 3]]:
            return height, width
    raise ModelError(
        f"it needs one input of shape (N, height, width, 3), model_config has {shapes}"
    )


def _disagreements(net: EvoPose2D, settings: Settings) -> Iterator[str]:
    """Yield what in the file's settings computes something else than `net` does."""
    strides = {}
    for name, key in keras_keys(net).items():
        module = net.get_submodule(key.rpartition(".")[0])
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            strides[name.partition("/")[0]] = list(module.stride)
    yield from (f"model_config has no layer {name}" for name in strides if name not in settings)
    constant = {
        "epsilon": BATCH_NORM_EPS,
        "padding": "same",
        "data_format": "channels_last",
        "groups": 1,
        "dilation_rate": [1, 1],
    }
    for name, layer in settings.items():
        if layer["class_name"] not in _LAYERS:
            yield f"layer {name} is a {layer['class_name']}"
        expected = {**constant, "activation": _activation(name)}
        if name in strides:
            expected["strides"] = strides[name]
        for setting, value in expected.items():
            found = "swish" if layer.get(setting) == "silu" else layer.get(setting, value)
            if found != value:
                yield f"{name} has {setting} {found}, expected {value}"


def _activation(layer: str) -> str:
    if layer.endswith("se_expand"):
        return "sigmoid"
    return "swish" if layer.endswith(("_activation", "se_reduce")) else "linear"


def _notes(config: EvoPose2DConfig, settings: Settings) -> Iterator[str]:
    policy = settings["stem_conv"].get("dtype", "float32")
    if isinstance(policy, dict):
        policy = policy.get("config", {}).get("name")
    if policy != "float32":
        yield f"saved under {policy}; the weights are float32 and compute in it"
    if config.scaling_reference is None:
        yield "the genotype is that of the built network: no scaling is applied to it"


def _recognises(arrays: Arrays) -> bool:
    marks = [f"{_WEIGHTS}/{mark.partition('/')[0]}/" for mark in _MARKS]
    return all(any(name.startswith(mark) for name in arrays) for mark in marks)


def _read(arrays: Arrays, options: ImportOptions) -> Imported:
    net, report = _network(arrays, options.meta, options.file_name)
    if options.input_hw and options.input_hw != net.config.input_hw:
        raise ModelError(
            "its model_config gives the input size "
            f"{net.config.input_hw[0]}x{net.config.input_hw[1]}; leave --input out"
        )
    held, wanted = net.config.num_keypoints, options.num_keypoints
    if wanted is None or wanted == held:
        return Imported(net=net, report=report, codec=OFFICIAL_CODEC)
    fresh = _with_fresh_final(net, wanted, options.seed)
    reason = f"for {held} keypoints, {wanted} are wanted"
    finals = [name for name in report.used if name.startswith("final_conv/")]
    report = replace(
        report,
        used=tuple(name for name in report.used if name not in finals),
        skipped=(*report.skipped, *(f"{name}: {reason}" for name in finals)),
        notes=(*report.notes, f"the last layer starts fresh: the file's is {reason}"),
    )
    return Imported(net=fresh, report=report, codec=OFFICIAL_CODEC, trained_head=False)


def _with_fresh_final(net: EvoPose2D, num_keypoints: int, seed: int) -> EvoPose2D:
    """Return the network for another number of keypoints, its final convolution fresh."""
    made = build_evopose2d(replace(net.config, num_keypoints=num_keypoints), seed=seed)
    state, source = made.state_dict(), net.state_dict()
    made.load_state_dict({k: state[k] if k.startswith("final_conv.") else source[k] for k in state})
    return made


KERAS_EVOPOSE2D = Importer(
    summary="EvoPose2D of its authors: Keras' .h5 of a whole model",
    recognises=_recognises,
    read=_read,
)
