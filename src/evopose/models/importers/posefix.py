"""PoseFix as its authors trained it with TensorFlow 1.x, and ImageNet's ResNets to start one from.

The arrays are the checkpoint's variables by name (`resnet_v1_152/conv1/weights`).

Source: scopes of mks0601/PoseFix_RELEASE `main/model.py`, `lib/nets/basemodel.py` and the input of
`main/gen_batch.py`, `main/config.py` at 5556364; ImageNet's from tensorflow/models, `slim`.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from evopose.models.importers.contract import Arrays, Imported, Importer, ImportOptions
from evopose.models.importers.filling import fill, named_input_hw, size_notes, unfilled
from evopose.models.importers.slim import (
    slim_names,
    slim_resnet,
    slim_resnet_scopes,
    to_torch,
    training_only,
)
from evopose.models.inputs import CodecSpec, InputSpec
from evopose.models.posefix import (
    HEAD_BLOCKS,
    TRUNK_STRIDE,
    PoseFix,
    PoseFixConfig,
    build_posefix,
)

DEFAULT_INPUT_HW = (384, 288)
DEFAULT_KEYPOINTS = 17
"""Of a trunk alone, which says nothing of keypoints."""
INPUT = InputSpec(color="BGR", scale=1.0, mean=(123.68, 116.78, 103.94), std=(1.0, 1.0, 1.0))
"""Pixels as OpenCV reads them, blue first, less ImageNet's means, red first: the authors' order."""
CODEC = CodecSpec(name="soft_argmax", params={"activation": "softmax"})

_TRUNK = re.compile(r"resnet_v1[^/]*/")
_HEAD = ("up1/weights", "out/weights")
_FIRST = "trunk.conv1.weight"
_LAST = "final_layer."
_CLASSIFIER = {"logits": "ImageNet's classifier", "mean_rgb": "the mean colour of its images"}


def _is_posefix(arrays: Arrays) -> bool:
    return all(name in arrays for name in _HEAD) and any(map(_TRUNK.match, arrays))


def _is_imagenet(arrays: Arrays) -> bool:
    weights = [name for name in arrays if training_only(name) is None]
    return bool(weights) and all(map(_TRUNK.match, weights))


def _read_posefix(arrays: Arrays, options: ImportOptions) -> Imported:
    held = arrays["out/weights"].shape[-1]
    config = _config(arrays, options, options.num_keypoints or held)
    if held == config.num_keypoints:
        return _filled(unfilled(PoseFix, config), arrays, options)
    reason = f"for {held} keypoints, {config.num_keypoints} are wanted"
    return _filled(
        build_posefix(config, seed=options.seed),
        arrays,
        options,
        skipped={n: reason for n in arrays if n.startswith("out/") and not training_only(n)},
        fresh=(_LAST,),
        note="the last layer and the first one's channels of the pose start fresh: the file's are "
        + reason,
    )


def _read_imagenet(arrays: Arrays, options: ImportOptions) -> Imported:
    config = _config(arrays, options, options.num_keypoints or DEFAULT_KEYPOINTS)
    parts = {name: name.split("/") for name in arrays}
    return _filled(
        build_posefix(config, seed=options.seed),
        arrays,
        options,
        skipped={n: _CLASSIFIER[p[1]] for n, p in parts.items() if p[1:2] and p[1] in _CLASSIFIER},
        fresh=("deconv_layers.", _LAST),
        note="ImageNet's weights: the layers after the trunk and the first one's channels of the "
        "pose start fresh",
    )


def _config(arrays: Arrays, options: ImportOptions, num_keypoints: int) -> PoseFixConfig:
    return PoseFixConfig(
        input_hw=options.input_hw
        or named_input_hw(options.file_name, multiple=TRUNK_STRIDE)
        or DEFAULT_INPUT_HW,
        num_keypoints=num_keypoints,
        depth=slim_resnet(arrays)[1],
    )


def _filled(
    net: PoseFix,
    arrays: Arrays,
    options: ImportOptions,
    *,
    skipped: Mapping[str, str] | None = None,
    fresh: tuple[str, ...] = (),
    note: str = "",
) -> Imported:
    """Return `net` with all arrays that are not `skipped`, and what became of each.

    Where something is `fresh`, so are the first layer's channels of the pose.
    """
    scope, depth = slim_resnet(arrays)
    names = slim_names(net.state_dict(), _scopes(scope, depth))
    training = {name: why for name in arrays if (why := training_only(name))}
    first = net.trunk.conv1.weight.detach().clone()

    def convert(name: str, array: Tensor) -> tuple[Tensor, str]:
        value = to_torch(array)
        order = "(in, out, h, w)" if name.startswith("up") else "(out, in, h, w)"
        done = f"axes to torch's {order}" if array.ndim == 4 else ""
        if fresh and name == names[_FIRST]:
            value = torch.cat((value[:, :3].float(), first[:, 3:]), 1)
            done += ", the image's channels alone"
        return value, done

    notes = size_notes(options, multiple=TRUNK_STRIDE, default=DEFAULT_INPUT_HW)
    report = fill(
        net,
        arrays,
        options,
        names=names,
        skipped={**training, **(skipped or {})},
        fresh=fresh,
        notes=(note, *notes) if note else notes,
        convert=convert,
    )
    return Imported(net=net, report=report, input=INPUT, codec=CODEC, trained_head=not fresh)


def _scopes(scope: str, depth: int) -> dict[str, str]:
    """Return our module -> the variables' scope."""
    scopes = slim_resnet_scopes(depth, scope) | {_LAST.rstrip("."): "out"}
    for i in range(HEAD_BLOCKS):
        scopes[f"deconv_layers.{3 * i}"] = f"up{i + 1}"
        scopes[f"deconv_layers.{3 * i + 1}"] = f"up{i + 1}/BatchNorm"
    return scopes


POSEFIX = Importer(
    summary="PoseFix, its authors' TensorFlow checkpoints",
    recognises=_is_posefix,
    read=_read_posefix,
)
POSEFIX_IMAGENET = Importer(
    summary="ResNet-50, 101 or 152 v1 of TensorFlow's slim: ImageNet's trunk for a PoseFix",
    recognises=_is_imagenet,
    read=_read_imagenet,
)
