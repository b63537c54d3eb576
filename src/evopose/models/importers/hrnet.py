"""HRNet's public checkpoints, and ImageNet's HRNets to start one from.

Source: names of leoxiaobin/deep-high-resolution-net.pytorch (at 6f69e46),
`lib/models/pose_hrnet.py`; of the same authors' classifiers, which timm shares; mmpose
(at 759b39c), `HRNet`, `HeatmapHead`, and `TopdownHeatmapSimpleHead` before its 1.0.
"""

from evopose.errors import ModelError
from evopose.models.hrnet import HRNet, HRNetConfig, build_hrnet
from evopose.models.importers.checkpoint import (
    HEAD,
    Checkpoint,
    adopt,
    chosen_input_hw,
    opened,
    unwrapped,
)
from evopose.models.importers.contract import Arrays, Imported, Importer, ImportOptions

_BACKBONE = "backbone."
_MARK = "stage4.0.branches.3.0.conv1.weight"
_WIDTH = "transition1.0.0.weight"
"""The first array that has the width of the finest branch."""
_HEADS = ("head.", "keypoint_head.")
"""Of mmpose 1.x, and of what came before."""
_CLASSIFIER = "of ImageNet's classifier"
_EXCHANGE = "an output of the last exchange that only the classifier reads"
_IMAGENET = {
    **dict.fromkeys(("incre_modules.", "downsamp_modules.", HEAD, "classifier."), _CLASSIFIER),
    **{f"stage4.2.fuse_layers.{i}.": _EXCHANGE for i in (1, 2, 3)},
}
_NORMALISATION = {"data_preprocessor.": "the pixels' mean and deviation, which are ImageNet's"}


def _is_authors(arrays: Arrays) -> bool:
    return _MARK in unwrapped(arrays)[0] and not _is_imagenet(arrays)


def _read_authors(arrays: Arrays, options: ImportOptions) -> Imported:
    return _adopted(opened(arrays, {"": ""}), options)


def _is_mmpose(arrays: Arrays) -> bool:
    return _BACKBONE + _MARK in unwrapped(arrays)[0]


def _read_mmpose(arrays: Arrays, options: ImportOptions) -> Imported:
    names, _ = unwrapped(arrays)
    new, old = _HEADS
    head = old if any(name.startswith(old) for name in names) else new
    prefixes = {HEAD: head + HEAD, "": _BACKBONE}
    return _adopted(opened(arrays, prefixes, _NORMALISATION), options)


def _is_imagenet(arrays: Arrays) -> bool:
    names, _ = unwrapped(arrays)
    return _MARK in names and any(name.startswith("incre_modules.") for name in names)


def _read_imagenet(arrays: Arrays, options: ImportOptions) -> Imported:
    return _adopted(
        opened(arrays, {"": ""}, _IMAGENET),
        options,
        fresh=(HEAD,),
        notes=("ImageNet's weights: the last layer starts fresh",),
    )


def _adopted(
    checkpoint: Checkpoint,
    options: ImportOptions,
    *,
    fresh: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Imported:
    width = checkpoint.length(_WIDTH)
    if width is None:
        raise ModelError(f"it has no {checkpoint.wrapper}{checkpoint.name(_WIDTH)}, an HRNet's")

    def build(num_keypoints: int) -> HRNet:
        config = HRNetConfig(
            input_hw=chosen_input_hw(options), num_keypoints=num_keypoints, width=width
        )
        return build_hrnet(config, seed=options.seed)

    return adopt(build, checkpoint, options, fresh=fresh, notes=notes)


HRNET = Importer(
    summary="HRNet, its authors' checkpoints (COCO, MPII)",
    recognises=_is_authors,
    read=_read_authors,
)
HRNET_MMPOSE = Importer(
    summary="HRNet of mmpose 0.x and 1.x", recognises=_is_mmpose, read=_read_mmpose
)
HRNET_IMAGENET = Importer(
    summary="HRNet classifiers of its authors or timm: ImageNet's weights for a pose network",
    recognises=_is_imagenet,
    read=_read_imagenet,
)
