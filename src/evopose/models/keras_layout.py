"""EvoPose2D's tensors as Keras names and lays them out, and back.

A Keras name is `layer/weight`, for example `block2b_expand_conv/kernel`. Layouts in Keras:
convolutions (k, k, in, out), depthwise (k, k, C, 1), transposed (k, k, out, in). Spatial kernels
are turned by 180 degrees on the way, because the module's are (see `evopose.models.evopose2d`).

Source: official `nets/evopose2d.py` at ea05b81 (layer names), Keras (weight names and layouts).
"""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from evopose.errors import ModelError
from evopose.models.evopose2d import EvoPose2D

Array = NDArray[np.float32]

_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def keras_name(key: str) -> str:
    """Return the Keras name of a state-dict key.

    >>> keras_name("stages.1.2.dwconv.weight"), keras_name("head.0.bn.running_var")
    ('block2c_dwconv/depthwise_kernel', 'head_block1_bn/moving_variance')
    """
    *modules, tensor = key.split(".")
    if modules[0] == "stages":
        stage, block = int(modules[1]), int(modules[2])
        layer = f"block{stage + 1}{chr(ord('a') + block)}_{modules[3]}"
    elif modules[0] == "head":
        layer = f"head_block{int(modules[1]) + 1}_{modules[2]}"
    else:
        layer = modules[0]
    if layer.endswith("bn"):
        return f"{layer}/{_NORM[tensor]}"
    if tensor == "bias":
        return f"{layer}/bias"
    return f"{layer}/depthwise_kernel" if layer.endswith("dwconv") else f"{layer}/kernel"


def keras_keys(net: EvoPose2D) -> dict[str, str]:
    """Return Keras name -> state-dict key of every tensor, in the network's order.

    `num_batches_tracked` is left out: Keras has no such count, and nothing here reads it.
    """
    keys = (key for key in net.state_dict() if not key.endswith("num_batches_tracked"))
    return {keras_name(key): key for key in keys}


def export_arrays(net: EvoPose2D) -> dict[str, Array]:
    """Return a copy of every tensor of `net` in Keras' layout, float32, by Keras name."""
    state = net.state_dict()
    return {name: _to_keras(name, state[key]) for name, key in keras_keys(net).items()}


def load_arrays(net: EvoPose2D, arrays: Mapping[str, Array]) -> None:
    """Fill `net` in place from arrays in Keras' layout, by Keras name.

    Raises: ModelError unless `arrays` has every tensor of `net`, nothing else, and its shapes;
    `net` is then unchanged.
    """
    keys, state = keras_keys(net), net.state_dict()
    expected = {name: _to_keras(name, state[key]).shape for name, key in keys.items()}
    wrong = [
        f"{name} has shape {arrays[name].shape}, expected {shape}"
        for name, shape in expected.items()
        if name in arrays and arrays[name].shape != shape
    ]
    problems = (
        ("missing", [name for name in expected if name not in arrays]),
        ("unexpected", [name for name in arrays if name not in expected]),
        ("of another shape", wrong),
    )
    if found := [f"{len(names)} {what}: {some(names)}" for what, names in problems if names]:
        raise ModelError("the arrays do not fit this EvoPose2D network; " + "; ".join(found))
    for name, key in keys.items():
        state[key].copy_(_from_keras(name, arrays[name]))


def some(names: Iterable[str], most: int = 5) -> str:
    """Return the first few of `names` for a message."""
    names = list(names)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _to_keras(name: str, tensor: torch.Tensor) -> Array:
    array = tensor.detach().to("cpu", torch.float32).numpy()
    if array.ndim == 4:
        axes = (2, 3, 0, 1) if name.endswith("depthwise_kernel") else (2, 3, 1, 0)
        array = array.transpose(axes)[::-1, ::-1]
    return np.array(array, order="C")


def _from_keras(name: str, array: Array) -> torch.Tensor:
    if array.ndim == 4:
        axes = (2, 3, 0, 1) if name.endswith("depthwise_kernel") else (3, 2, 0, 1)
        array = array[::-1, ::-1].transpose(axes)
    return torch.from_numpy(np.array(array, order="C"))  # a copy: no stride stays negative
