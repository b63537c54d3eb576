"""PoseFix as its authors trained it with TensorFlow 1.x, and ImageNet's ResNets to start one from.

The arrays are the checkpoint's variables by name (`resnet_v1_152/conv1/weights`).

Source: scopes of mks0601/PoseFix_RELEASE `main/model.py`, `lib/nets/basemodel.py` and the input of
`main/gen_batch.py`, `main/config.py` at 5556364; ImageNet's from tensorflow/models, `slim`.
"""

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from evopose.errors import ModelError
from evopose.models.importers.contract import (
    Arrays,
    Imported,
    Importer,
    ImportOptions,
    load_strictly,
)
from evopose.models.importers.report import ImportReport
from evopose.models.importers.slim import (
    slim_names,
    slim_resnet,
    slim_resnet_scopes,
    to_torch,
    training_only,
)
from evopose.models.inputs import CodecSpec, InputSpec
from evopose.models.posefix import TRUNK_STRIDE, PoseFix, PoseFixConfig, build_posefix

DEFAULT_INPUT_HW = (384, 288)
INPUT = InputSpec(color="BGR", scale=1.0, mean=(123.68, 116.78, 103.94), std=(1.0, 1.0, 1.0))
"""Pixels as OpenCV reads them, blue first, less ImageNet's means, red first: the authors' order."""
CODEC = CodecSpec(name="soft_argmax", params={"activation": "softmax"})

_TRUNK = re.compile(r"resnet_v1[^/]*/")
_UP = re.compile(r"up[123]/")
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
    net, names = _network(arrays, options, options.num_keypoints or held)
    skipped = {name: why for name in arrays if (why := training_only(name))}
    fresh: tuple[str, ...] = ()
    notes: list[str] = []
    if held != net.config.num_keypoints:
        fresh = (_LAST,)
        reason = f"for {held} keypoints, {net.config.num_keypoints} are wanted"
        skipped |= {name: reason for name in arrays if name.startswith("out/")}
        notes.append(
            f"the last layer and the first one's channels of the pose start fresh: the file's are "
            f"{reason}"
        )
    return _filled(net, names, arrays, options, skipped=skipped, fresh=fresh, notes=notes)


def _read_imagenet(arrays: Arrays, options: ImportOptions) -> Imported:
    net, names = _network(arrays, options, options.num_keypoints or 17)
    skipped = {
        name: why
        for name in arrays
        if (why := training_only(name) or _CLASSIFIER.get(name.split("/")[1]))
    }
    return _filled(
        net,
        names,
        arrays,
        options,
        skipped=skipped,
        fresh=("deconv_layers.", _LAST),
        notes=[
            "ImageNet's weights: the layers after the trunk and the pose's channels start fresh"
        ],
    )


def _network(
    arrays: Arrays, options: ImportOptions, num_keypoints: int
) -> tuple[PoseFix, dict[str, str]]:
    """Return the network of these arrays, and our names -> the file's."""
    scope, depth = slim_resnet(arrays)
    config = PoseFixConfig(
        input_hw=options.input_hw or _named_hw(options.file_name) or DEFAULT_INPUT_HW,
        num_keypoints=num_keypoints,
        depth=depth,
    )
    net = build_posefix(config, seed=options.seed)
    scopes = slim_resnet_scopes(depth, scope) | {_LAST.rstrip("."): "out"}
    for i in range(3):
        scopes[f"deconv_layers.{3 * i}"] = f"up{i + 1}"
        scopes[f"deconv_layers.{3 * i + 1}"] = f"up{i + 1}/BatchNorm"
    return net, slim_names(net.state_dict(), scopes)


def _filled(
    net: PoseFix,
    names: Mapping[str, str],
    arrays: Arrays,
    options: ImportOptions,
    *,
    skipped: Mapping[str, str],
    fresh: tuple[str, ...],
    notes: list[str],
) -> Imported:
    """Return `net` with all arrays that are not `skipped`, and what became of each."""
    taken = {name: array for name, array in arrays.items() if name not in skipped}
    for name, array in taken.items():
        if not array.is_floating_point():
            raise ModelError(f"{name} holds {_dtype(array)}, expected floating point")
    ours = {theirs: our for our, theirs in names.items()}
    given = {ours.get(name, name): to_torch(array) for name, array in taken.items()}
    adapted = dict(_adapted(taken))
    first, built = given.get(_FIRST), net.trunk.conv1.weight.detach()
    if fresh and first is not None and first.shape != built.shape and first.shape[1] >= 3:
        given[_FIRST] = torch.cat((first[:, :3].float(), built[:, 3:]), 1)
        adapted[names[_FIRST]] += ", the image's channels alone"
    load_strictly(net, given, source=names, fresh=fresh)
    if not options.input_hw and not _named_hw(options.file_name):
        height, width = DEFAULT_INPUT_HW
        notes = [*notes, f"neither an option nor its name gives an input size: {height}x{width}"]
    report = ImportReport(
        source=options.file_name,
        used=tuple(taken),
        adapted=tuple(f"{name}: {what}" for name, what in adapted.items()),
        skipped=tuple(f"{name}: {why}" for name, why in skipped.items()),
        notes=tuple(notes),
    )
    return Imported(net=net, report=report, input=INPUT, codec=CODEC, trained_head=not fresh)


def _adapted(arrays: Arrays) -> Iterator[tuple[str, str]]:
    for name, array in arrays.items():
        done = []
        if array.ndim == 4:
            order = "(in, out, h, w)" if _UP.match(name) else "(out, in, h, w)"
            done.append(f"axes to torch's {order}")
        if array.dtype != torch.float32:
            done.append(f"{_dtype(array)} -> float32")
        if done:
            yield name, ", ".join(done)


def _dtype(array: Tensor) -> str:
    return str(array.dtype).removeprefix("torch.")


def _named_hw(file_name: str) -> tuple[int, int] | None:
    """Return the last HxW of a file's name that the network can take."""
    for height, width in reversed(re.findall(r"(?<!\d)(\d{2,4})x(\d{2,4})(?!\d)", file_name)):
        if int(height) % TRUNK_STRIDE == int(width) % TRUNK_STRIDE == 0:
            return int(height), int(width)
    return None


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
