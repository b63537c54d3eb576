"""Weights, images and summaries by formula: parity with an original that the tests do not need.

An original runs once with `formula_weights` of its own checkpoint's names and shapes, on
`formula_image`; tests/golden/parity/NAME.json keeps names, shapes and a `summary` of its heatmaps:

    golden = {"source": "repository, file, commit", "shapes": pack_shapes(shapes),
              "image_hw": [h, w], "heatmaps": summary(heatmaps)}

The test makes the same weights, imports them, and calls `difference(golden["heatmaps"], found)`.
"""

import json
import math
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

PARITY = Path(__file__).parents[1] / "golden" / "parity"
TOLERANCE = 1e-4
"""Largest difference over the range of the original's heatmaps."""

Shape = tuple[int, ...]

_STATISTICS = ("weight", "bias", "running_mean", "running_var")
_GROUPS = {
    "{bn}": (*_STATISTICS, "num_batches_tracked"),
    "{bn4}": _STATISTICS,
    "{slim}": ("gamma", "beta", "moving_mean", "moving_variance"),
}
"""How the packed names write the arrays of one batch norm; `num_batches_tracked` has shape ()."""


def formula_weights(shapes: Mapping[str, Iterable[int]]) -> dict[str, Tensor]:
    """Return an array of each shape: float32, a function of its name, its shape and nothing else.

    Kernels are uniform with variance 1 / fan-in: (out, in, h, w) and (out, in), or TensorFlow's
    (h, w, in, out) where the name ends in `weights`. Gains and variances of batch norms are about
    0.04 and 0.002: their ratio keeps activations in bounds, and an epsilon that is not the
    original's shows. `num_batches_tracked` is an int64 zero.
    """
    return {name: _formula(name, tuple(shape)) for name, shape in shapes.items()}


def formula_image(height: int, width: int, *, channels: int = 3) -> Tensor:
    """Return one image (1, channels, height, width), about -2..2, like no mirror image of itself.

    Channels differ, so that their order matters.
    """
    y = torch.arange(height, dtype=torch.float64)[:, None]
    x = torch.arange(width, dtype=torch.float64)[None, :]
    planes = [
        torch.sin(0.31 * (c + 1) * x + 0.013 * x * y + c) + torch.cos(0.23 * y + 0.7 * c) * 0.9
        for c in range(channels)
    ]
    return torch.stack(planes)[None].float()


def summary(heatmaps: Tensor) -> dict[str, Any]:
    """Return shape, mean, std, min and max, and the values at 40 positions of flat `heatmaps`."""
    flat = heatmaps.detach().double().flatten()
    values = flat[_positions(len(flat))]
    figures = {"mean": flat.mean(), "std": flat.std(), "min": flat.min(), "max": flat.max()}
    return {
        "shape": list(heatmaps.shape),
        **{name: float(f"{value.item():.9g}") for name, value in figures.items()},
        "values": [float(f"{value:.9g}") for value in values.tolist()],
    }


def difference(golden: Mapping[str, Any], heatmaps: Tensor) -> float:
    """Return the largest difference between a summary and `heatmaps`, over the summary's range.

    Shapes must be equal; mean, std, min, max and the values are compared.
    """
    found = summary(heatmaps)
    assert found["shape"] == golden["shape"]
    pairs = [(found[name], golden[name]) for name in ("mean", "std", "min", "max")]
    pairs += zip(found["values"], golden["values"], strict=True)
    span = golden["max"] - golden["min"]
    assert math.isfinite(span)
    assert span > 0
    largest = np.abs(np.diff(np.array(pairs), axis=1)).max() / span
    return float(largest)


def read_golden(name: str) -> dict[str, Any]:
    """Return tests/golden/parity/`name`.json with its shapes unpacked."""
    golden: dict[str, Any] = json.loads((PARITY / f"{name}.json").read_text(encoding="utf-8"))
    return golden | {"shapes": unpack_shapes(golden["shapes"])}


def write_golden(name: str, golden: Mapping[str, Any]) -> None:
    """Write tests/golden/parity/`name`.json, its `shapes` (name -> shape) packed."""
    content = dict(golden) | {"shapes": pack_shapes(golden["shapes"])}
    rows = []
    for key, value in content.items():
        if isinstance(value, dict):
            inner = (f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            rows.append(f"  {json.dumps(key)}: {{\n" + ",\n".join(inner) + "\n  }")
        else:
            rows.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    PARITY.mkdir(parents=True, exist_ok=True)
    text = "{\n" + ",\n".join(rows) + "\n}\n"
    (PARITY / f"{name}.json").write_text(text, encoding="utf-8")


def pack_shapes(shapes: Mapping[str, Iterable[int]]) -> dict[str, str]:
    """Return shape as text ("64x64x3x3") -> names; a batch norm's arrays are one name.

    >>> pack_shapes({"a.conv.weight": (4, 3, 1, 1), "b.conv.weight": (4, 3, 1, 1)})
    {'4x3x1x1': 'a.conv.weight b.conv.weight'}
    >>> pack_shapes({f"a.bn.{n}": (4,) for n in ("weight", "bias", "running_mean", "running_var")})
    {'4': 'a.bn.{bn4}'}
    """
    left = {name: tuple(shape) for name, shape in shapes.items()}
    packed: dict[str, list[str]] = {}
    for name in tuple(left):
        if name not in left:
            continue
        shape = left[name]
        for mark, members in _GROUPS.items():
            stem, found = name.removesuffix(members[0]), name.endswith(members[0])
            arrays = {f"{stem}{m}": () if m == "num_batches_tracked" else shape for m in members}
            if found and len(shape) == 1 and arrays.items() <= left.items():
                name = stem + mark
                left = {k: v for k, v in left.items() if k not in arrays}
                break
        packed.setdefault("x".join(map(str, shape)), []).append(name)
    return {shape: " ".join(names) for shape, names in packed.items()}


def unpack_shapes(packed: Mapping[str, str]) -> dict[str, Shape]:
    """Return what `pack_shapes` packed; the order of names may differ.

    >>> unpack_shapes({"4": "a.bn.{bn}"})["a.bn.num_batches_tracked"]
    ()
    """
    shapes: dict[str, Shape] = {}
    for text, names in packed.items():
        shape = tuple(int(side) for side in text.split("x") if side)
        for name in names.split():
            stem, brace, mark = name.partition("{")
            for member in _GROUPS[brace + mark] if brace else ("",):
                shapes[stem + member] = () if member == "num_batches_tracked" else shape
    return shapes


def _formula(name: str, shape: Shape) -> Tensor:
    end = name.replace("/", ".").rpartition(".")[2]
    if end == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    unit = _uniform(name, shape)  # -1..1
    if len(shape) > 1:
        fan_in = math.prod(shape[:-1] if end == "weights" else shape[1:])
        return unit * math.sqrt(3 / fan_in)
    if end in ("weight", "gamma"):
        return 0.04 + 0.02 * unit
    if end in ("running_var", "moving_variance"):
        return 0.002 + 0.001 * unit
    return 0.05 * unit


def _uniform(name: str, shape: Shape) -> Tensor:
    """Return numbers in -1..1 of 24 bits each, from a bit generator whose stream numpy keeps."""
    count = math.prod(shape)
    raw = np.random.PCG64(zlib.crc32(name.encode())).random_raw((count + 1) // 2)
    bits = np.ascontiguousarray(raw, dtype="<u8").view("<u4")[:count] >> 8
    unit = bits.astype(np.float32) * np.float32(2**-23) - np.float32(1)
    return torch.from_numpy(unit.reshape(shape))


def _positions(size: int) -> Tensor:
    """Return 40 indices below `size`, spread by the golden ratio."""
    return torch.tensor([int(size * (((i + 1) * 0.6180339887498949) % 1)) for i in range(40)])
