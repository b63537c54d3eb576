"""EfficientNet's arrays by the names of torchvision, timm and Keras, as an EvoPose2D trunk's.

Source: names of torchvision 0.29 `efficientnet.py`, timm 1.0 `efficientnet.py` and
`_efficientnet_blocks.py`, Keras 2.15 `applications/efficientnet.py`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from evopose.errors import ModelError
from evopose.models.importers.checkpoint import unwrapped
from evopose.models.importers.contract import Arrays, some

_CLASSIFIER = "of ImageNet's classifier"
_NORMALISATION = "the pixels' mean and deviation, which the model file's description holds"
_TORCHVISION = {
    "block.0.0": "expand_conv", "block.0.1": "expand_bn", "block.1.0": "dwconv",
    "block.1.1": "bn", "block.2.fc1": "se_reduce", "block.2.fc2": "se_expand",
    "block.3.0": "project_conv", "block.3.1": "project_bn",
}  # fmt: skip
_TORCHVISION_FIRST = {
    "block.0.0": "dwconv", "block.0.1": "bn", "block.1.fc1": "se_reduce",
    "block.1.fc2": "se_expand", "block.2.0": "project_conv", "block.2.1": "project_bn",
}  # fmt: skip
_TIMM = {
    "conv_pw": "expand_conv", "bn1": "expand_bn", "conv_dw": "dwconv", "bn2": "bn",
    "se.conv_reduce": "se_reduce", "se.conv_expand": "se_expand", "conv_pwl": "project_conv",
    "bn3": "project_bn",
}  # fmt: skip
_TIMM_FIRST = {
    "conv_dw": "dwconv", "bn1": "bn", "se.conv_reduce": "se_reduce",
    "se.conv_expand": "se_expand", "conv_pw": "project_conv", "bn2": "project_bn",
}  # fmt: skip
"""A block's layer -> ours; `_FIRST` is of the first stage, whose blocks do not expand."""
_STEMS = {
    "features.0.0": "stem_conv", "features.0.1": "stem_bn",
    "conv_stem": "stem_conv", "bn1": "stem_bn",
}  # fmt: skip
_KERAS_TENSORS = {
    "kernel": "weight", "depthwise_kernel": "weight", "bias": "bias", "gamma": "weight",
    "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var",
}  # fmt: skip
_KERAS_LAYERS = (*_TORCHVISION.values(), "stem_conv", "stem_bn")


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """A classifier's arrays, sorted."""

    arrays: dict[str, Tensor]
    """By the names of an EvoPose2D, in torch's layout, kernels upright."""
    source: dict[str, str]
    """Our name -> the file's."""
    skipped: dict[str, str]
    """The file's name -> why it becomes nothing."""


def torchvision_trunk(arrays: Arrays) -> Trunk:
    """Return the trunk in arrays of torchvision's names. Raises: ModelError for strange ones."""

    def ours(name: str) -> str | None:
        layer, _, tensor = name.rpartition(".")
        match = re.fullmatch(r"features\.(\d)\.(\d+)\.(block\..+)", layer)
        blocks = _TORCHVISION if match and match[1] != "1" else _TORCHVISION_FIRST
        return _ours(layer, tensor, match, blocks, first=1)

    return _sorted(arrays, ours, {"features.8.": _CLASSIFIER, "classifier.": _CLASSIFIER})


def timm_trunk(arrays: Arrays) -> Trunk:
    """Return the trunk in arrays of timm's names. Raises: ModelError for strange ones."""

    def ours(name: str) -> str | None:
        layer, _, tensor = name.rpartition(".")
        match = re.fullmatch(r"blocks\.(\d)\.(\d+)\.(.+)", layer)
        blocks = _TIMM if match and match[1] != "0" else _TIMM_FIRST
        return _ours(layer, tensor, match, blocks, first=0)

    skip = dict.fromkeys(("conv_head.", "bn2.", "classifier."), _CLASSIFIER)
    return _sorted(arrays, ours, skip)


def keras_trunk(arrays: Arrays) -> Trunk:
    """Return the trunk in arrays of Keras' names, `layer/layer/weight:0`, with or without
    `model_weights/` before them. Raises: ModelError for strange ones."""

    def ours(name: str) -> str | None:
        layer, _, tensor = name.removeprefix("model_weights/").removesuffix(":0").partition("/")
        own = _KERAS_TENSORS.get(tensor.rpartition("/")[2])
        match = re.fullmatch(r"block(\d)([a-z])_(\w+)", layer)
        known = (match[3] if match else layer) in _KERAS_LAYERS
        if own is None or not known:
            return None
        if match is None:
            return f"{layer}.{own}"
        return f"stages.{int(match[1]) - 1}.{ord(match[2]) - ord('a')}.{match[3]}.{own}"

    skip = {
        prefix + layer: why
        for prefix in ("", "model_weights/")
        for layer, why in (
            ("top_", _CLASSIFIER), ("predictions/", _CLASSIFIER),
            ("normalization", _NORMALISATION), ("optimizer_weights", "the optimizer's"),
        )
    }  # fmt: skip
    trunk = _sorted(arrays, ours, skip)
    for name, array in trunk.arrays.items():
        if array.ndim == 4:
            depthwise = trunk.source[name].removesuffix(":0").endswith("depthwise_kernel")
            trunk.arrays[name] = array.permute((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
    return trunk


def _ours(
    layer: str, tensor: str, match: re.Match[str] | None, blocks: Mapping[str, str], *, first: int
) -> str | None:
    """Return our name of a layer's tensor; `first` is the file's number of the first stage."""
    if match is None:
        return f"{_STEMS[layer]}.{tensor}" if layer in _STEMS else None
    own = blocks.get(match[3])
    return own and f"stages.{int(match[1]) - first}.{match[2]}.{own}.{tensor}"


def _sorted(arrays: Arrays, ours: Callable[[str], str | None], skip: Mapping[str, str]) -> Trunk:
    """Return the trunk in `arrays`.

    `ours` returns our name of a file's, None where it has none; `skip` maps the beginning of a
    file's name to the reason why such an array becomes nothing.
    """
    bare, wrapper = unwrapped(arrays)
    trunk = Trunk(arrays={}, source={}, skipped={})
    strange = []
    for name, array in bare.items():
        if why := next((why for start, why in skip.items() if name.startswith(start)), None):
            trunk.skipped[wrapper + name] = why
        elif own := ours(name):
            trunk.arrays[own], trunk.source[own] = array, wrapper + name
        else:
            strange.append(wrapper + name)
    if strange:
        raise ModelError(
            f"{len(strange)} arrays are not an EfficientNet's: {some(sorted(strange))}"
        )
    return trunk
