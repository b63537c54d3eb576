"""ImageNet's EfficientNets, B0 to B7, as the trunk of an EvoPose2D network: where a search starts.

The trunk is taken whole or not at all; the head starts fresh. A trunk that EvoPose2D's scaling
would not build at its input size is kept as it is, unscaled.

Source: Tan and Le, ICML 2019 (widths and depths); epsilons and paddings of torchvision 0.29, timm
1.0 and Keras 2.15.
"""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from itertools import groupby

import torch
from torch import Tensor

from evopose.errors import ModelError
from evopose.genotype import GENOTYPES, Genotype
from evopose.models.evopose2d import EvoPose2D, build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig, require_fit, round_filters, scaling
from evopose.models.importers.checkpoint import unwrapped
from evopose.models.importers.contract import (
    Arrays,
    Imported,
    Importer,
    ImportOptions,
    load_strictly,
)
from evopose.models.importers.efficientnet_names import (
    Trunk,
    keras_trunk,
    timm_trunk,
    torchvision_trunk,
)
from evopose.models.importers.report import ImportReport
from evopose.models.inputs import IMAGENET_MEAN, IMAGENET_STD, CodecSpec, InputSpec
from evopose.models.layers import BATCH_NORM_EPS

_SIZES: dict[str, tuple[float, float, tuple[int, int]]] = {
    "B0": (1.0, 1.0, (256, 192)),
    "B1": (1.0, 1.1, (256, 192)),
    "B2": (1.1, 1.2, (256, 192)),
    "B3": (1.2, 1.4, (256, 192)),
    "B4": (1.4, 1.8, (384, 288)),
    "B5": (1.6, 2.2, (512, 384)),
    "B6": (1.8, 2.6, (512, 384)),
    "B7": (2.0, 3.1, (512, 384)),
}
"""Name -> width and depth over B0's, and the input size of the pose network where none is given."""
_REFERENCE = 224.0
"""Mean side at which EvoPose2D's scaling is one, in pixels."""
_DEFAULT_KEYPOINTS = 17
_TORCH_EPS = 1e-5
_BLOCK = re.compile(r"stages\.(\d+)\.(\d+)\.")
_HEAD = ("head.", "final_conv.")
_HEAD_NOTE = "ImageNet's weights: the head starts fresh"
_SYMMETRIC_NOTE = (
    "trained with symmetric padding, where EvoPose2D has TensorFlow's: every convolution of stride "
    "2 looks one pixel further down and right than it did, which training makes good"
)
_UNSCALED_NOTE = (
    "depth and width are the file's, in the genotype itself: EvoPose2D's scaling for this input "
    "size would build another trunk"
)


def _read(
    arrays: Arrays,
    options: ImportOptions,
    *,
    sort: Callable[[Arrays], Trunk],
    by_torch: Collection[str] = (),
) -> Imported:
    """Return the network with the trunk in `arrays`.

    `by_torch` names the sizes that were trained in torch, with its epsilon and symmetric padding;
    the others have TensorFlow's, as an EvoPose2D has.
    """
    trunk = sort(arrays)
    name, genotype, stem = _size(trunk)
    config = _config(name, genotype, stem, options)
    net = build_evopose2d(config, seed=options.seed)
    fitted, adapted = _fitted(trunk, _TORCH_EPS if name in by_torch else BATCH_NORM_EPS)
    load_strictly(net, fitted, source=_spoken(trunk, net), fresh=_HEAD)
    spec, normalisation = _input(arrays)
    return Imported(
        net=net,
        report=ImportReport(
            source=options.file_name,
            used=tuple(trunk.source.values()),
            adapted=tuple(adapted),
            skipped=tuple(f"{skipped}: {why}" for skipped, why in trunk.skipped.items()),
            notes=(
                f"the trunk of EfficientNet-{name}",
                _HEAD_NOTE,
                *((_SYMMETRIC_NOTE,) if name in by_torch else ()),
                *((_UNSCALED_NOTE,) if config.scaling_reference is None else ()),
                *normalisation,
            ),
        ),
        input=spec,
        codec=CodecSpec(),
        trained_head=False,
    )


def _config(name: str, genotype: Genotype, stem: int, options: ImportOptions) -> EvoPose2DConfig:
    input_hw = options.input_hw or _SIZES[name][2]
    as_searched = name == "B0" and scaling(input_hw, _REFERENCE) == (1.0, 1.0)
    config = EvoPose2DConfig(
        genotype=genotype,
        input_hw=input_hw,
        num_keypoints=options.num_keypoints or _DEFAULT_KEYPOINTS,
        stem_channels=stem,
        scaling_reference=_REFERENCE if as_searched else None,
    )
    require_fit(config)
    return config


def _size(trunk: Trunk) -> tuple[str, Genotype, int]:
    """Return the EfficientNet's name, its genotype as built, and its stem's channels.

    Raises: ModelError if it is none of B0 to B7.
    """
    stem = len(trunk.arrays.get("stem_conv.weight", ()))
    rows = list(_rows(trunk.arrays))
    for name, (width, depth, _) in _SIZES.items():
        wanted = [
            [kernel, math.ceil(repeats * depth), round_filters(8 * filters, width) // 8, stride]
            for kernel, repeats, filters, stride in GENOTYPES["efficientnet-b0"].to_list()
        ]
        if stem == round_filters(32, width) and rows == [row[:3] for row in wanted]:
            return name, Genotype.from_list(wanted), stem
    raise ModelError(
        f"its trunk is none of EfficientNet-B0 to B7: a stem of {stem} channels, and stages of "
        f"[kernel, repeats, filters / 8] {rows}"
    )


def _rows(arrays: Mapping[str, Tensor]) -> Iterator[list[int]]:
    """Yield kernel, repeats and filters / 8 of each stage."""
    found = {(int(m[1]), int(m[2])) for name in arrays if (m := _BLOCK.match(name))}
    for stage, blocks in groupby(sorted(found), key=lambda place: place[0]):
        first = f"stages.{stage}.0."
        depthwise = arrays.get(f"{first}dwconv.weight")
        project = arrays.get(f"{first}project_conv.weight")
        if depthwise is None or project is None:
            raise ModelError(f"stage {stage + 1} of its trunk is incomplete")
        yield [depthwise.shape[-1], len(list(blocks)), len(project) // 8]


def _fitted(trunk: Trunk, eps: float) -> tuple[dict[str, Tensor], list[str]]:
    """Return the trunk's arrays as an EvoPose2D computes with them, and what was done to them."""
    fitted, adapted = {}, []
    for name, array in trunk.arrays.items():
        done = []
        if array.is_floating_point() and array.dtype != torch.float32:
            done.append(f"{str(array.dtype).removeprefix('torch.')} -> float32")
        value = array.float() if array.is_floating_point() else array
        if array.ndim == 4 and array.shape[-1] > 1:
            done.append("turned by 180 degrees")
            value = value.flip(2, 3)
        variance = trunk.arrays.get(name.removesuffix("weight") + "running_var")
        if name.endswith("bn.weight") and eps != BATCH_NORM_EPS and variance is not None:
            done.append(f"fitted to epsilon {BATCH_NORM_EPS:g}, it was trained with {eps:g}")
            value = value * ((variance + BATCH_NORM_EPS) / (variance + eps)).sqrt()
        fitted[name] = value
        if done:
            adapted.append(f"{trunk.source[name]}: {', '.join(done)}")
    return fitted, adapted


def _spoken(trunk: Trunk, net: EvoPose2D) -> dict[str, str]:
    """Return what to call each array in a message: a missing one by its neighbour in the file."""
    beside = {ours.rpartition(".")[0]: name for ours, name in trunk.source.items()}
    said = {}
    for ours in net.state_dict():
        layer, _, tensor = ours.rpartition(".")
        said[ours] = f"{tensor} beside {beside[layer]}" if layer in beside else f"our {ours}"
    return said | trunk.source


def _input(arrays: Arrays) -> tuple[InputSpec, tuple[str, ...]]:
    """Return how images are normalised, and what is to be said of it.

    Keras' networks have mean and deviation inside. For ImageNet's weights its `variance` holds the
    deviation, and a layer behind it divides by what is missing.
    """
    inside = {
        kind: array.flatten().tolist()
        for name, array in arrays.items()
        for kind in ("mean", "variance")
        if re.search(rf"(^|/)normalization[^/]*/.*{kind}(:0)?$", name)
    }
    if len(inside) < 2:
        return InputSpec(), ()
    if _near(inside["mean"], IMAGENET_MEAN) and _near(inside["variance"], IMAGENET_STD):
        return InputSpec(), ()
    deviation = tuple(value**0.5 for value in inside["variance"])
    return InputSpec(mean=tuple(inside["mean"]), std=deviation), (
        "it normalises pixels otherwise than ImageNet's weights do; a search and a training feed "
        "every network alike, by ImageNet's mean and deviation",
    )


def _near(found: list[float], expected: tuple[float, ...]) -> bool:
    pairs = zip(found, expected, strict=False)
    return len(found) == len(expected) and all(abs(a - b) < 1e-4 for a, b in pairs)


def _is_torchvision(arrays: Arrays) -> bool:
    names, _ = unwrapped(arrays)
    return {"features.0.0.weight", "features.1.0.block.1.fc1.weight"} <= names.keys()


def _is_timm(arrays: Arrays) -> bool:
    names, _ = unwrapped(arrays)
    return {"conv_stem.weight", "blocks.0.0.se.conv_reduce.weight"} <= names.keys()


def _is_keras(arrays: Arrays) -> bool:
    layers = {name.removeprefix("model_weights/").partition("/")[0] for name in arrays}
    return {"stem_conv", "block1a_dwconv", "top_conv"} <= layers


EFFICIENTNET_TORCHVISION = Importer(
    summary="EfficientNet-B0 to B7 of torchvision: ImageNet's trunk for an EvoPose2D",
    recognises=_is_torchvision,
    read=partial(_read, sort=torchvision_trunk, by_torch=("B0", "B1", "B2", "B3", "B4")),
)
EFFICIENTNET_TIMM = Importer(
    summary="EfficientNet-B0 to B7 of timm (efficientnet_b*): ImageNet's trunk for an EvoPose2D",
    recognises=_is_timm,
    read=partial(_read, sort=timm_trunk, by_torch=_SIZES),
    file_names=r"^efficientnet_b\d",
)
EFFICIENTNET_TIMM_TF = Importer(
    summary="EfficientNet-B0 to B7 of timm from TensorFlow (tf_efficientnet_b*), which an "
    "EvoPose2D computes exactly as they were trained",
    recognises=_is_timm,
    read=partial(_read, sort=timm_trunk),
    file_names=r"^tf_efficientnet_b\d",
)
EFFICIENTNET_KERAS = Importer(
    summary="EfficientNet-B0 to B7 of Keras' applications (.h5): what EvoPose2D's authors began "
    "with",
    recognises=_is_keras,
    read=partial(_read, sort=keras_trunk),
)
