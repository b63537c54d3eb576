"""Weight transfer as the official code does it, to the bit; for comparison and ablation.

What it does, defects included:
- a layer takes its weights from the parent's layer of the same name; if there is none, from the
  alphabetically last block, of any stage, that has such a layer;
- where all shapes of a layer agree, it is copied whole. Otherwise, tensor by tensor: kernels take
  the overlap of their leading channels, centred in space, and leave the rest as initialised;
  kernels whose channels agree but whose sides differ are left alone, depthwise ones included;
- every vector, biases too, takes the leading part and is filled up with the parent's mean.

Source: official `nets/evopose2d.py` (`transfer_params`) and `utils.py`
(`partial_weight_transfer`) at ea05b81.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from evopose.models.evopose2d import EvoPose2D
from evopose.models.evopose2d_plan import plan
from evopose.models.keras_layout import Array, export_arrays, keras_keys, load_arrays
from evopose.models.structure_changes import function_losses
from evopose.models.transfer_report import TensorTransfer, TransferReport


@dataclass(frozen=True)
class Moved:
    """An array of the child after the transfer."""

    array: Array
    source: str | None = None
    """Keras name of the parent's array."""
    copied: int = 0
    filled: int = 0


def inherit_official(parent: EvoPose2D, child: EvoPose2D) -> TransferReport:
    """Fill `child` in place by the official rule and return what was done."""
    reasons = list(function_losses(parent.config, child.config))
    given = export_arrays(parent)
    moved = official_transfer(given, export_arrays(child))
    load_arrays(child, {name: m.array for name, m in moved.items()})
    theirs, ours = keras_keys(parent), keras_keys(child)
    tensors = tuple(
        TensorTransfer(
            name=ours[name],
            source=None if m.source is None else theirs[m.source],
            copied=m.copied,
            fresh=m.array.size - m.copied - m.filled,
            zeroed=0,
            filled=m.filled,
            whole=m.source is not None and m.copied == given[m.source].size,
        )
        for name, m in moved.items()
    )
    if partial := sum(t.fresh + t.filled > 0 for t in tensors):
        reasons.append(f"{partial} tensors have fresh or mean-filled entries")
    for stage, (old, new) in enumerate(
        zip(plan(parent.config).stages, plan(child.config).stages, strict=True), 1
    ):
        if len(new) > len(old):
            reasons.append(f"stage {stage}: added blocks act at once")
    return TransferReport(
        rule="official", tensors=tensors, reasons=tuple(reasons), needs_bn_reestimation=False
    )


def official_transfer(parent: Mapping[str, Array], child: Mapping[str, Array]) -> dict[str, Moved]:
    """Return the child's arrays after the official transfer, by Keras name, in Keras' layout.

    `child` holds its freshly initialised arrays, layer by layer; neither mapping is changed.
    """
    layers = list(dict.fromkeys(map(_layer, parent)))
    moved = {}
    for layer, names in groupby(child, _layer):
        weights = list(names)
        source = layer if layer in layers else _last_of_its_kind(layer, layers)
        if source is None:
            moved.update({name: Moved(child[name]) for name in weights})
            continue
        sources = [f"{source}/{name.partition('/')[2]}" for name in weights]
        pairs = list(zip(weights, sources, strict=True))
        whole = all(child[name].shape == parent[other].shape for name, other in pairs)
        for name, other in pairs:
            given = parent[other]
            moved[name] = (
                Moved(given, other, given.size) if whole else _partial(child[name], given, other)
            )
    return moved


def _layer(name: str) -> str:
    return name.partition("/")[0]


def _last_of_its_kind(layer: str, layers: list[str]) -> str | None:
    kind = layer.partition("_")[2]
    same = [other for other in layers if "block" in other and other.partition("_")[2] == kind]
    return max(same, default=None)


def _partial(fresh: Array, given: Array, source: str) -> Moved:
    if fresh.ndim == 1:
        copied = min(len(fresh), len(given))
        filler = np.full(len(fresh) - copied, np.mean(given), dtype=fresh.dtype)
        array = np.concatenate([given[:copied], filler])
        return Moved(array, source, copied, len(filler))
    if fresh.shape[2:] == given.shape[2:]:
        return Moved(fresh)
    array = fresh.copy()
    side = min(fresh.shape[0], given.shape[0])
    rows, inputs = (min(pair) for pair in zip(fresh.shape[2:], given.shape[2:], strict=True))
    to, start = (fresh.shape[0] - side) // 2, (given.shape[0] - side) // 2
    part = given[start : start + side, start : start + side, :rows, :inputs]
    array[to : to + side, to : to + side, :rows, :inputs] = part
    return Moved(array, source, part.size)
