"""CPN as its authors trained it with TensorFlow 1.x.

The arrays are the checkpoint's variables by name (`resnet_v1_50/conv1/weights`).

Source: scopes of chenyilun95/tf-cpn at 48ea10d, `models/*/network.py`, `lib/nets/basemodel.py`,
and the input of `models/*/dataset.py`, `config.py`.
"""

from torch import Tensor

from evopose.errors import ModelError
from evopose.models.cpn import CPN, LARGEST_STRIDE, LEVELS, RESNET_DEPTHS, CPNConfig, build_cpn
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

DEFAULT_INPUT_HW = (256, 192)
MEAN_PIXEL = (102.9801, 115.9465, 122.7717)
"""Blue first."""
INPUT = InputSpec(
    color="BGR",
    mean=(MEAN_PIXEL[0] / 255, MEAN_PIXEL[1] / 255, MEAN_PIXEL[2] / 255),
    std=(1.0, 1.0, 1.0),
    box_padding=1.3,
)
"""The authors' boxes are 1.2 times as wide and 1.3 times as high before they get the input's side
ratio; here both are, after it."""
KERNELS = {256: (15, 11, 9, 7), 384: (23, 17, 13, 9)}
"""Height of the input -> the Gaussians of its training."""

_MARKS = ("refine_out/weights", "final_bottleneck/conv1/weights")
_OUTPUTS = ("pyramid/", "refine_out/")
_FRESH = ("global_net.pyramid.", "refine_net.refine_out.")


def _is_cpn(arrays: Arrays) -> bool:
    return all(name in arrays for name in _MARKS)


def _read_cpn(arrays: Arrays, options: ImportOptions) -> Imported:
    scope, depth = slim_resnet(arrays)
    if depth not in RESNET_DEPTHS:
        depths = " or ".join(map(str, RESNET_DEPTHS))
        raise ModelError(f"its trunk is a ResNet-{depth}; a CPN has one of {depths} layers")
    held = arrays[_MARKS[0]].shape[-1]
    config = CPNConfig(
        input_hw=options.input_hw
        or named_input_hw(options.file_name, multiple=LARGEST_STRIDE)
        or DEFAULT_INPUT_HW,
        num_keypoints=options.num_keypoints or held,
        depth=depth,
    )
    same = held == config.num_keypoints
    net = unfilled(CPN, config) if same else build_cpn(config, seed=options.seed)
    skipped = {name: reason for name in arrays if (reason := training_only(name))}
    fresh: tuple[str, ...] = ()
    notes = size_notes(options, multiple=LARGEST_STRIDE, default=DEFAULT_INPUT_HW)
    if not same:
        fresh = _FRESH
        reason = f"for {held} keypoints, {config.num_keypoints} are wanted"
        skipped |= {n: reason for n in arrays if n.startswith(_OUTPUTS) and n not in skipped}
        notes += (f"the last layers start fresh: the file's are {reason}",)
    report = fill(
        net,
        arrays,
        options,
        names=slim_names(net.state_dict(), _scopes(scope, depth)),
        skipped=skipped,
        fresh=fresh,
        notes=notes,
        convert=_convert,
    )
    return Imported(net=net, report=report, input=INPUT, codec=_codec(config), trained_head=same)


def _scopes(scope: str, depth: int) -> dict[str, str]:
    """Return our module -> the variables' scope."""
    scopes = slim_resnet_scopes(depth, scope)
    for count, level in enumerate(LEVELS):
        for part in ("lateral", "tmp", "pyramid"):
            scopes |= _conv_norm(f"global_net.{part}.{level}", f"{part}/{level}")
        scopes[f"global_net.merge.{level}"] = f"merge/{level}"
        for j in range(count):
            scopes |= _bottleneck(f"refine_net.cascade.{level}.{j}", f"{level}/refine_conv{j}")
    scopes |= _bottleneck("refine_net.final_bottleneck", "final_bottleneck")
    return scopes | _conv_norm("refine_net.refine_out", "refine_out")


def _conv_norm(module: str, scope: str) -> dict[str, str]:
    return {f"{module}.conv": scope, f"{module}.bn": f"{scope}/BatchNorm"}


def _bottleneck(module: str, scope: str) -> dict[str, str]:
    layers = {f"{module}.conv{i}": f"{scope}/conv{i}" for i in (1, 2, 3)}
    norms = {f"{module}.bn{i}": f"{scope}/conv{i}/BatchNorm" for i in (1, 2, 3)}
    shortcut = {
        f"{module}.downsample.0": f"{scope}/shortcut",
        f"{module}.downsample.1": f"{scope}/shortcut/BatchNorm",
    }
    return layers | norms | shortcut


def _convert(name: str, array: Tensor) -> tuple[Tensor, str]:
    return to_torch(array), "axes to torch's (out, in, h, w)" if array.ndim == 4 else ""


def _codec(config: CPNConfig) -> CodecSpec:
    kernels = KERNELS.get(config.input_hw[0], KERNELS[256])
    return CodecSpec(name="megvii", params={"kernels": list(kernels), "blur_kernel": 21})


CPN_AUTHORS = Importer(
    summary="CPN, its authors' TensorFlow checkpoints", recognises=_is_cpn, read=_read_cpn
)
