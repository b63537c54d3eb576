"""What a transfer does about parts that a child has and its parent has not, or the reverse.

The exact rule fits channels of parts that both have. Here the parent is rewritten first, as a
network that has the child's parts and computes nearly the same:

- expand ratio 1 -> more: every block of the stage gets an expanding convolution that is the
  identity. Only nearly the same, as an activation follows it.
- expand ratio -> 1: of the hidden channels that read a channel, the one that reads it most stays.
- a head block more: it comes last, before the final convolution, and doubles every pixel; its batch
  norm passes what comes, and the final convolution makes up for the activation.
- a head block less: the last one goes; the final convolution takes over its best linear
  approximation, averaged over the four pixels that it made of one.

For the head the channels before an activation are taken to be normally distributed, as their batch
norm says. Head blocks nearer the trunk stay where they are, so that none reads what it did not.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from evopose.models.evopose2d_plan import BlockPlan, Plan
from evopose.models.layers import ACTIVATIONS, BATCH_NORM_EPS

Array = NDArray[np.float32]
Wide = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """A parent with the parts of its child."""

    plan: Plan
    arrays: dict[str, Array]
    """Its tensors by state-dict key."""
    made: frozenset[str] = frozenset()
    """Keys of the tensors that were computed, not taken."""


def rewrite(old: Plan, new: Plan, given: dict[str, Array]) -> Rewritten:
    """Return the parent of plan `old` and tensors `given` with the parts of a child of plan `new`.

    A parent that has them is returned as it is; `given` is not changed.
    """
    parent = Rewritten(plan=old, arrays=dict(given))
    for before, after in zip(old.stages, new.stages, strict=True):
        if (before[0].expand == 1) != (after[0].expand == 1):
            for block in before:
                switch = _switch_off if after[0].expand == 1 else _switch_on
                parent = switch(parent, block, after[0].expand)
    while len(parent.plan.head) < len(new.head):
        parent = _add_head_block(parent)
    while len(parent.plan.head) > len(new.head):
        parent = _fold_head_block(parent)
    return parent


def _switch_on(parent: Rewritten, block: BlockPlan, expand: int) -> Rewritten:
    prefix, count = f"stages.{block.stage}.{block.index}.", block.channels_in
    made = {f"{prefix}expand_conv.weight": np.eye(count, dtype=np.float32)[:, :, None, None]}
    for name, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
        made[f"{prefix}expand_bn.{name}"] = np.full(count, value, np.float32)
    return _with(parent, made, _with_expand(parent.plan, block, expand))


def _switch_off(parent: Rewritten, block: BlockPlan, expand: int) -> Rewritten:
    prefix, arrays = f"stages.{block.stage}.{block.index}.", dict(parent.arrays)
    kernel = arrays[f"{prefix}expand_conv.weight"][:, :, 0, 0]
    chosen = np.abs(kernel).argmax(axis=0)
    for name in [key for key in arrays if key.startswith(prefix)]:
        stem = name.removeprefix(prefix)
        if stem.startswith("expand_"):
            del arrays[name]
        elif stem.startswith(("dwconv.", "bn.", "se_expand.")):
            arrays[name] = arrays[name][chosen]
        elif stem in ("se_reduce.weight", "project_conv.weight"):
            arrays[name] = arrays[name][:, chosen]
    return replace(parent, plan=_with_expand(parent.plan, block, expand), arrays=arrays)


def _with_expand(plan: Plan, block: BlockPlan, expand: int) -> Plan:
    place = (block.stage, block.index)
    return replace(
        plan,
        blocks=tuple(
            replace(b, expand=expand) if (b.stage, b.index) == place else b for b in plan.blocks
        ),
    )


def _add_head_block(parent: Rewritten) -> Rewritten:
    head, arrays = parent.plan.head, parent.arrays
    last, name = f"head.{len(head) - 1}", f"head.{len(head)}"
    kernel = np.zeros((head[-1], head[-1], *arrays[f"{last}.conv.weight"].shape[2:]), np.float32)
    start = (kernel.shape[2] - 1) // 2
    for channel in range(head[-1]):  # output pixels 2i and 2i + 1 are input pixel i
        kernel[channel, channel, start : start + 2, start : start + 2] = 1
    z, weights = _before(arrays, last)
    y = _activate(parent.plan, z)
    mean, variance, _ = _line(y, y, weights)
    _, slope, offset = _fit(_activate(parent.plan, y), y, weights)
    final = arrays["final_conv.weight"]
    made = {
        f"{name}.conv.weight": kernel,
        f"{name}.bn.weight": np.sqrt(variance + BATCH_NORM_EPS),
        f"{name}.bn.bias": mean,
        f"{name}.bn.running_mean": mean,
        f"{name}.bn.running_var": variance,
        "final_conv.weight": final * slope[:, None, None],
        "final_conv.bias": arrays["final_conv.bias"] + _summed(final, offset),
    }
    return _with(parent, made, replace(parent.plan, head=(*head, head[-1])))


def _fold_head_block(parent: Rewritten) -> Rewritten:
    head, arrays = parent.plan.head, parent.arrays
    name = f"head.{len(head) - 1}"
    gamma, beta, mean, variance = (
        arrays[f"{name}.bn.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    z, weights = _before(arrays, name)
    _, slope, offset = _fit(z, _activate(parent.plan, z), weights)
    scale = gamma / np.sqrt(variance + BATCH_NORM_EPS)
    average = arrays[f"{name}.conv.weight"].sum(axis=(2, 3), dtype=np.float64) / 4
    final = arrays["final_conv.weight"]
    made = {
        "final_conv.weight": np.einsum("kohw,o,io->kihw", final, slope * scale, average),
        "final_conv.bias": arrays["final_conv.bias"]
        + _summed(final, slope * (beta - scale * mean) + offset),
    }
    parent = _with(parent, made, replace(parent.plan, head=head[:-1]))
    kept = {key: one for key, one in parent.arrays.items() if not key.startswith(f"{name}.")}
    return replace(parent, arrays=kept)


def _with(parent: Rewritten, made: dict[str, NDArray[np.floating]], plan: Plan) -> Rewritten:
    floats = {key: array.astype(np.float32) for key, array in made.items()}
    return Rewritten(plan=plan, arrays=parent.arrays | floats, made=parent.made | frozenset(floats))


def _summed(final: Array, offset: Wide) -> Wide:
    """Return what a constant in each channel adds to each heatmap of the final convolution."""
    found: Wide = final.sum(axis=(2, 3), dtype=np.float64) @ offset
    return found


def _before(arrays: dict[str, Array], head: str) -> tuple[Wide, Wide]:
    """Return values (channels, 32) before the activation of a head block, and weights (32,) by
    which sums over them are means: Gauss and Hermite's quadrature of a normal distribution."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    gamma, beta = (arrays[f"{head}.bn.{part}"].astype(np.float64) for part in ("weight", "bias"))
    return beta[:, None] + gamma[:, None] * nodes, weights / weights.sum()


def _activate(plan: Plan, values: Wide) -> Wide:
    found: Wide = ACTIVATIONS[plan.head_activation](torch.from_numpy(values)).numpy()
    return found


def _line(x: Wide, y: Wide, weights: Wide) -> tuple[Wide, Wide, Wide]:
    """Return means of x and, channel by channel, variances of x and covariances of x and y."""
    mean, other = x @ weights, y @ weights
    centred = x - mean[:, None]
    return mean, centred**2 @ weights, (centred * (y - other[:, None])) @ weights


def _fit(x: Wide, y: Wide, weights: Wide) -> tuple[Wide, Wide, Wide]:
    """Return means of x, and slope and offset of the line nearest to y over x, by channel."""
    mean, variance, covariance = _line(x, y, weights)
    slope = covariance / np.maximum(variance, 1e-12)
    return mean, slope, y @ weights - slope * mean
