"""SimpleBaseline's public checkpoints, and ImageNet's ResNets to start one from.

Source: names of microsoft/human-pose-estimation.pytorch (at 49f3f44) and of
leoxiaobin/deep-high-resolution-net.pytorch (at 6f69e46), `lib/models/pose_resnet.py`; mmpose
(at 759b39c), `HeatmapHead`, and `TopdownHeatmapSimpleHead` before its 1.0; torchvision and timm.
"""

from collections.abc import Iterable

from evopose.errors import ModelError
from evopose.models.importers.checkpoint import (
    HEAD,
    Checkpoint,
    adopt,
    chosen_input_hw,
    opened,
    unwrapped,
)
from evopose.models.importers.contract import Arrays, Imported, Importer, ImportOptions
from evopose.models.inputs import InputSpec
from evopose.models.resnet import RESNET_BLOCKS
from evopose.models.simple_baseline import (
    SimpleBaseline,
    SimpleBaselineConfig,
    build_simple_baseline,
)

_TRUNK = "trunk."
_DECONVOLUTIONS = "deconv_layers."
_MARK = "layer4.0.conv1.weight"
_HEADS = ("head.", "keypoint_head.")
"""Of mmpose 1.x, and of what came before."""
_CAFFE = "its name says caffe: bottlenecks have their stride on the first 1x1 convolution"
_CLASSIFIER = {"fc.": "ImageNet's classifier"}
_NORMALISATION = {"data_preprocessor.": "the pixels' mean and deviation, which are ImageNet's"}
_SMOOTHED = ("resnetaa", "resnetblur")
"""Variants of timm with a ResNet's arrays that smooth before they halve the resolution."""


def _is_authors(arrays: Arrays) -> bool:
    names, _ = unwrapped(arrays)
    return _MARK in names and any(name.startswith(_DECONVOLUTIONS) for name in names)


def _read_authors(arrays: Arrays, options: ImportOptions) -> Imported:
    checkpoint = opened(arrays, {_TRUNK: "", "": ""})
    return _adopted(checkpoint, options, input=InputSpec(color="BGR"))


def _is_mmpose(arrays: Arrays) -> bool:
    return "backbone." + _MARK in unwrapped(arrays)[0] and bool(_head(arrays))


def _read_mmpose(arrays: Arrays, options: ImportOptions) -> Imported:
    prefixes = {_TRUNK: "backbone.", "": _head(arrays)}
    return _adopted(opened(arrays, prefixes, _NORMALISATION), options)


def _head(arrays: Arrays) -> str:
    """Return what stands before the names of the head, nothing if it is not a SimpleBaseline's."""
    names, _ = unwrapped(arrays)
    for head in _HEADS:
        if any(name.startswith(head + _DECONVOLUTIONS) for name in names):
            return head
    return ""


def _is_imagenet(arrays: Arrays) -> bool:
    names, _ = unwrapped(arrays)
    return _MARK in names and all(
        name.startswith(("conv1.", "bn1.", "layer", *_CLASSIFIER)) for name in names
    )


def _read_imagenet(arrays: Arrays, options: ImportOptions) -> Imported:
    if any(word in options.file_name.lower() for word in _SMOOTHED):
        raise ModelError(
            "its name says that this ResNet smooths before it halves the resolution, which a "
            "SimpleBaseline's does not; take a plain ResNet-50, 101 or 152"
        )
    checkpoint = opened(arrays, {_TRUNK: "", "": ""}, _CLASSIFIER)
    return _adopted(
        checkpoint,
        options,
        fresh=(_DECONVOLUTIONS, HEAD),
        notes=("ImageNet's weights: the layers after the trunk start fresh",),
    )


def _adopted(
    checkpoint: Checkpoint,
    options: ImportOptions,
    *,
    input: InputSpec | None = None,
    fresh: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Imported:
    depth = _depth(checkpoint)
    caffe = "caffe" in options.file_name.lower()

    def build(num_keypoints: int) -> SimpleBaseline:
        config = SimpleBaselineConfig(
            input_hw=chosen_input_hw(options),
            num_keypoints=num_keypoints,
            depth=depth,
            stride_on_1x1=caffe,
        )
        return build_simple_baseline(config, seed=options.seed)

    if caffe:
        notes = (*notes, _CAFFE)
    return adopt(build, checkpoint, options, input=input, fresh=fresh, notes=notes)


def _depth(checkpoint: Checkpoint) -> int:
    """Return the ResNet's depth, by its number of blocks.

    Raises: ModelError for blocks of two convolutions, or a number of them that no depth has.
    """
    blocks = tuple(_blocks(checkpoint, layer) for layer in range(1, 5))
    if checkpoint.name("trunk.layer1.0.conv3.weight") not in checkpoint.arrays:
        raise ModelError(
            "its blocks are not bottlenecks of three convolutions, as in ResNet-18 and 34; "
            f"a SimpleBaseline here stands on a ResNet-{_spoken(RESNET_BLOCKS)}"
        )
    for depth, wanted in RESNET_BLOCKS.items():
        if blocks == wanted:
            return depth
    raise ModelError(
        f"its four layers have {blocks} blocks; expected {_spoken(RESNET_BLOCKS.values())}"
    )


def _blocks(checkpoint: Checkpoint, layer: int) -> int:
    beginning = checkpoint.name(f"{_TRUNK}layer{layer}.")
    names = (name for name in checkpoint.arrays if name.startswith(beginning))
    return len({name.removeprefix(beginning).partition(".")[0] for name in names})


def _spoken(choices: Iterable[object]) -> str:
    *most, last = map(str, choices)
    return f"{', '.join(most)} or {last}"


SIMPLE_BASELINE = Importer(
    summary="SimpleBaseline, its authors' checkpoints (COCO, MPII) and those of HRNet's repository",
    recognises=_is_authors,
    read=_read_authors,
)
SIMPLE_BASELINE_MMPOSE = Importer(
    summary="SimpleBaseline of mmpose 0.x and 1.x", recognises=_is_mmpose, read=_read_mmpose
)
RESNET_IMAGENET = Importer(
    summary="ResNet-50, 101 or 152 of torchvision or timm: ImageNet's trunk for a SimpleBaseline",
    recognises=_is_imagenet,
    read=_read_imagenet,
)
