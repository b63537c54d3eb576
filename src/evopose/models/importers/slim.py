"""Variables of TensorFlow 1.x networks made with slim: their names, layouts and companions.

A variable's name is its scope and its part: `resnet_v1_50/conv1/weights`, and for the batch norm
of that convolution `resnet_v1_50/conv1/BatchNorm/gamma`.
"""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from evopose.errors import ModelError
from evopose.models.resnet import RESNET_BLOCKS

_PARTS = {"weight": "weights", "bias": "biases"}
_BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_COUNTER = "num_batches_tracked"
_SLOTS = ("Adam", "Adam_1", "Momentum", "RMSProp", "RMSProp_1", "ExponentialMovingAverage")
_TRAINING = {
    "beta1_power": "a state of Adam",
    "beta2_power": "a state of Adam",
    "global_step": "the number of steps trained",
    "Variable": "the learning rate",
}


def slim_names(ours: Iterable[str], scopes: Mapping[str, str]) -> dict[str, str]:
    """Return our name -> the variable's, for the names of a state dict.

    `scopes` maps our module to the variable's scope (`trunk.conv1` to `resnet_v1_50/conv1`); a
    batch norm's scope ends in `BatchNorm`. Counters of batches have no counterpart.
    """
    names = {}
    for name in ours:
        module, _, part = name.rpartition(".")
        if part != _COUNTER:
            scope = scopes[module]
            parts = _BATCH_NORM if scope.endswith("BatchNorm") else _PARTS
            names[name] = f"{scope}/{parts[part]}"
    return names


def slim_resnet_scopes(depth: int, scope: str, *, module: str = "trunk") -> dict[str, str]:
    """Return our module -> the variables' scope, for a `resnet_v1` under `scope`."""
    scopes = {
        f"{module}.conv1": f"{scope}/conv1",
        f"{module}.bn1": f"{scope}/conv1/BatchNorm",
    }
    for layer, blocks in enumerate(RESNET_BLOCKS[depth], 1):
        for block in range(blocks):
            ours = f"{module}.layer{layer}.{block}"
            theirs = f"{scope}/block{layer}/unit_{block + 1}/bottleneck_v1"
            for i in (1, 2, 3):
                scopes[f"{ours}.conv{i}"] = f"{theirs}/conv{i}"
                scopes[f"{ours}.bn{i}"] = f"{theirs}/conv{i}/BatchNorm"
        first = f"{module}.layer{layer}.0.downsample"
        shortcut = f"{scope}/block{layer}/unit_1/bottleneck_v1/shortcut"
        scopes |= {f"{first}.0": shortcut, f"{first}.1": f"{shortcut}/BatchNorm"}
    return scopes


def slim_resnet(names: Iterable[str]) -> tuple[str, int]:
    """Return scope and depth of the `resnet_v1` among these variables.

    Raises: ModelError if there is none, or one with a number of units that no depth has.
    """
    found = (re.match(r"(resnet_v1[^/]*)/block(\d)/unit_(\d+)/", name) for name in names)
    units = {match.groups() for match in found if match}
    for scope in {scope for scope, *_ in units}:
        counts = tuple(sum(unit[:2] == (scope, str(i)) for unit in units) for i in range(1, 5))
        for depth, wanted in RESNET_BLOCKS.items():
            if counts == wanted:
                return scope, depth
        raise ModelError(
            f"the blocks of {scope} have {counts} units; expected "
            f"{' or '.join(map(str, RESNET_BLOCKS.values()))}"
        )
    raise ModelError("it has no variables of a ResNet: resnet_v1_50/block1/unit_1/...")


def to_torch(array: Tensor) -> Tensor:
    """Return a kernel in torch's layout, anything else as it is.

    (h, w, in, out) becomes (out, in, h, w); of transposed convolutions, (h, w, out, in) becomes
    (in, out, h, w).
    """
    return array.permute(3, 2, 0, 1) if array.ndim == 4 else array


def training_only(name: str) -> str | None:
    """Return why a variable is of training alone, or None if it is a weight."""
    stem, _, last = name.rpartition("/")
    if stem and last in _SLOTS:
        return f"a state of the optimizer for {stem}"
    return _TRAINING.get(name)
