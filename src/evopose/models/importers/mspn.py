"""MSPN's public checkpoints: its authors', and mmpose's.

Source: names and pixels of megvii-research/MSPN at a84f750, `exps/mspn.2xstg.coco/network.py`,
`config.py`, `dataset/attribute.py`; of mmpose (at 759b39c), `MSPN`, `MSPNHead`, and
`TopdownHeatmapMSMUHead` before its 1.0.
"""

import re
from collections.abc import Callable

from evopose.errors import ModelError
from evopose.models.importers.contract import Arrays, Imported, Importer, ImportOptions
from evopose.models.importers.filling import (
    fill,
    named_input_hw,
    size_notes,
    unfilled,
    wrapper_of,
)
from evopose.models.inputs import CodecSpec, InputSpec
from evopose.models.mspn import LARGEST_STRIDE, MSPN, UNITS, MSPNConfig, build_mspn
from evopose.models.resnet import RESNET_BLOCKS

DEFAULT_INPUT_HW = (256, 192)
AUTHORS_INPUT = InputSpec(
    color="BGR", mean=(0.406, 0.456, 0.485), std=(0.225, 0.224, 0.229), box_padding=1.135
)
"""ImageNet's mean and deviation in the pixels' order. The authors' boxes are 1.09 times as wide and
1.135 times as high before they get the input's side ratio; here both are, after it."""
CODEC = CodecSpec(name="megvii", params={"kernels": [15, 11, 9, 7, 5], "blur_kernel": 5})

_AUTHORS_MARK = "stage0.upsample.up1.u_skip.conv.weight"
_MMPOSE_MARK = "backbone.multi_stage_mspn.0.upsample.up1.in_skip.conv.weight"
_HEADS = ("head.", "keypoint_head.")
"""Of mmpose 1.x, and of what came before."""
_NORMALISATION = ("data_preprocessor.", "the pixels' mean and deviation, which are ImageNet's")

Rename = Callable[[str], str]
"""From a name of our state dict to the file's."""


def _authors_name(ours: str) -> str:
    name = re.sub(r"^stages\.(\d+)\.", r"stage\1.", ours)
    name = _projection(name)
    return re.sub(r"(layer\d\.\d+)\.(conv|bn)(\d)\.", r"\1.conv_bn_relu\3.\2.", name)


def _mmpose_name(head: str) -> Rename:
    def rename(ours: str) -> str:
        name = re.sub(r"^top\.conv\.", "backbone.top.top.0.", ours)
        match = re.match(r"stages\.(\d+)\.upsample\.up(\d)\.res_conv(\d)\.(.*)", name)
        if match:
            stage, unit, layer = (int(match[i]) for i in (1, 2, 3))
            level = UNITS * stage + unit - 1
            return f"{head}predict_layers.{level}.conv_layers.{layer - 1}.{match[4]}"
        name = re.sub(r"^stages\.", "backbone.multi_stage_mspn.", _projection(name))
        name = name.replace(".u_skip.", ".in_skip.")
        return re.sub(r"\.skip(\d)\.", r".out_skip\1.", name)

    return rename


def _projection(name: str) -> str:
    return name.replace(".downsample.0.", ".downsample.conv.").replace(
        ".downsample.1.", ".downsample.bn."
    )


def _is_authors(arrays: Arrays) -> bool:
    return wrapper_of(arrays) + _AUTHORS_MARK in arrays


def _is_mmpose(arrays: Arrays) -> bool:
    return wrapper_of(arrays) + _MMPOSE_MARK in arrays


def _read_authors(arrays: Arrays, options: ImportOptions) -> Imported:
    return _read(arrays, options, _authors_name, AUTHORS_INPUT)


def _read_mmpose(arrays: Arrays, options: ImportOptions) -> Imported:
    new, old = _HEADS
    wrapper = wrapper_of(arrays)
    head = old if any(name.startswith(wrapper + old) for name in arrays) else new
    return _read(arrays, options, _mmpose_name(head), InputSpec())


def _read(
    arrays: Arrays, options: ImportOptions, rename: Rename, input_spec: InputSpec
) -> Imported:
    wrapper = wrapper_of(arrays)

    def theirs(ours: str) -> str:
        return wrapper + rename(ours)

    held, config = _config(arrays, options, theirs)
    same = held == config.num_keypoints
    net = unfilled(MSPN, config) if same else build_mspn(config, seed=options.seed)
    names = {ours: theirs(ours) for ours in net.state_dict()}
    beginning, reason = _NORMALISATION
    skipped = {name: reason for name in arrays if name.startswith(wrapper + beginning)}
    fresh: tuple[str, ...] = ()
    notes = size_notes(options, multiple=LARGEST_STRIDE, default=DEFAULT_INPUT_HW)
    if not same:
        fresh = tuple(
            f"stages.{stage}.upsample.up{unit + 1}.res_conv2."
            for stage in range(config.stages)
            for unit in range(UNITS)
        )
        reason = f"for {held} keypoints, {config.num_keypoints} are wanted"
        last = (names[ours] for ours in names if ours.startswith(fresh))
        skipped |= {name: reason for name in last if name in arrays}
        notes += (f"the last layers start fresh: the file's are {reason}",)
    report = fill(net, arrays, options, names=names, skipped=skipped, fresh=fresh, notes=notes)
    return Imported(net=net, report=report, input=input_spec, codec=CODEC, trained_head=same)


def _config(arrays: Arrays, options: ImportOptions, theirs: Rename) -> tuple[int, MSPNConfig]:
    """Return the keypoints of the file, and the configuration of the network to build."""
    up = "stages.{}.upsample.up1."

    def rows(ours: str) -> int:
        if (array := arrays.get(theirs(ours))) is None or not array.ndim:
            raise ModelError(f"it has no {theirs(ours)}, an MSPN's")
        return len(array)

    stages = 1
    while theirs(up.format(stages) + "u_skip.conv.weight") in arrays:
        stages += 1
    held = rows(up.format(0) + "res_conv2.conv.weight")
    return held, MSPNConfig(
        input_hw=options.input_hw
        or named_input_hw(options.file_name, multiple=LARGEST_STRIDE)
        or DEFAULT_INPUT_HW,
        num_keypoints=options.num_keypoints or held,
        stages=stages,
        depth=_depth(arrays, theirs),
        channels=rows(up.format(0) + "u_skip.conv.weight"),
        bias=any(name.endswith(".conv.bias") for name in arrays),
    )


def _depth(arrays: Arrays, theirs: Rename) -> int:
    def blocks(layer: int) -> int:
        count = 0
        ours = f"stages.0.downsample.layer{layer}.{{}}.conv1.weight"
        while theirs(ours.format(count)) in arrays:
            count += 1
        return count

    found = tuple(blocks(layer) for layer in range(1, 5))
    for depth, wanted in RESNET_BLOCKS.items():
        if found == wanted:
            return depth
    raise ModelError(
        f"the layers of its first stage have {found} blocks; expected "
        f"{' or '.join(map(str, RESNET_BLOCKS.values()))}"
    )


MSPN_AUTHORS = Importer(
    summary="MSPN, its authors' checkpoints",
    recognises=_is_authors,
    read=_read_authors,
)
MSPN_MMPOSE = Importer(
    summary="MSPN of mmpose 0.x and 1.x", recognises=_is_mmpose, read=_read_mmpose
)
