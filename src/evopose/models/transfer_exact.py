"""Weight transfer that keeps the parent's function wherever the child can hold it.

Every channel space of the child (`evopose.models.channel_spaces`) gets a map from its channels to
the parent's, or to none for a new one. One rule then serves all tensors: entries between old
channels are copied, kernels aligned at their centres and padded with zeros; what leads from a new
channel to an old one is zero; what produces a new channel keeps its fresh initialisation. An added
block has a batch norm of scale zero at its end, so it starts as the identity.

Where the child is smaller, the channels with the largest sum of |w| over all kernels that write or
read them stay, in their order, one set for everything that a skip ties together; and of a stage's
blocks, the first and those whose last batch norm has the largest scales.

Parts that only one of the two has (an expanding convolution, a head block) are switched on or off
first, see `evopose.models.transfer_switches`.

Source: function-preserving growth as in Net2Net (arXiv 1511.05641); ranking by L1 norm and batch
norm estimation as in Once-for-All (arXiv 1908.09791).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from evopose.models.channel_spaces import Role, Space, roles
from evopose.models.evopose2d import EvoPose2D
from evopose.models.evopose2d_plan import BlockPlan, Plan, plan
from evopose.models.structure_changes import function_losses
from evopose.models.transfer_report import TensorTransfer, TransferReport
from evopose.models.transfer_switches import Rewritten, rewrite

Array = NDArray[np.float32]
Indices = NDArray[np.intp]

NEW = -1
"""In a channel map: the parent has no such channel."""


@dataclass(frozen=True)
class Descent:
    """Where one block of the child comes from."""

    source: int | None
    """The parent's block of the same stage whose weights it takes; None: fresh ones."""
    added: bool
    """Whether it is a block more, to start as the identity."""


Lineage = dict[tuple[int | None, int | None], Descent]
"""(stage, block) of the child -> its descent; (None, None) stands for stem and head."""


def inherit_exact(parent: EvoPose2D, child: EvoPose2D) -> TransferReport:
    """Fill `child`, freshly initialised, in place by the exact rule and return what was done."""
    reasons = tuple(function_losses(parent.config, child.config))
    new, fresh, taken = plan(child.config), _arrays(child), _arrays(parent)
    rewritten = rewrite(plan(parent.config), new, taken)
    old, given = rewritten.plan, rewritten.arrays
    lineage = match_blocks(old, new, given)
    maps = channel_maps(old, new, given, fresh, lineage)
    state, tensors = child.state_dict(), []
    for role in roles(new):
        descent = lineage[role.stage, role.block]
        array, entry = _transfer(role, descent, fresh[role.key], given, maps)
        state[role.key].copy_(torch.from_numpy(array))
        tensors.append(_honest(entry, rewritten, taken))
    return TransferReport(
        rule="exact",
        tensors=tuple(tensors),
        reasons=reasons,
        needs_bn_reestimation=bool(reasons),
    )


def _honest(entry: TensorTransfer, parent: Rewritten, taken: dict[str, Array]) -> TensorTransfer:
    """Return `entry` as seen from the parent as it was, before it was rewritten."""
    if entry.source is None:
        return entry
    original = taken.get(entry.source)
    if entry.source in parent.made:
        source = None if original is None else entry.source
        return replace(entry, source=source, copied=0, filled=entry.copied, whole=False)
    assert original is not None
    return replace(entry, whole=entry.copied == original.size)


def match_blocks(old: Plan, new: Plan, given: dict[str, Array]) -> Lineage:
    """Return the descent of every block of the child.

    `given` holds the parent's tensors. Blocks are added at the end of a stage; they take the
    weights of the parent's last block there if it reads as many channels as it writes.
    """
    lineage: Lineage = {(None, None): Descent(source=None, added=False)}
    for stage, (before, after) in enumerate(zip(old.stages, new.stages, strict=True)):
        kept = _kept_blocks(before, len(after), given)
        last = before[-1]
        template = last.index if last.channels_in == last.channels_out else None
        for index in range(len(after)):
            added = index >= len(kept)
            source = template if added else kept[index]
            lineage[stage, index] = Descent(source=source, added=added)
    return lineage


def channel_maps(
    old: Plan,
    new: Plan,
    given: dict[str, Array],
    fresh: dict[str, Array],
    lineage: Lineage,
) -> dict[Space, Indices]:
    """Return, for every space of the child, the parent's channel of each channel, or `NEW`.

    `given` and `fresh` hold the tensors of parent and child.
    """
    leaders = _leaders(old, new)
    alive = {(key[0], d.source) for key, d in lineage.items() if not d.added}
    scores = _scores(old, given, alive, leaders)
    maps = {}
    for role in roles(new):
        for space, axis in _axes(role):
            size = fresh[role.key].shape[axis]
            ancestor = space
            if space.block is not None:
                ancestor = space._replace(block=lineage[space.stage, space.block].source)
                if ancestor.block is None:
                    maps[space] = np.full(size, NEW)
                    continue
            score = scores[leaders.get(ancestor, ancestor)]
            if space.kind == "keypoints" and len(score) != size:
                score = score[:0]
            maps[space] = _index_map(score, size)
    return maps


def _arrays(net: EvoPose2D) -> dict[str, Array]:
    state = net.state_dict()
    return {
        role.key: state[role.key].to("cpu", torch.float32).numpy()
        for role in roles(plan(net.config))
    }


def _kept_blocks(blocks: list[BlockPlan], count: int, given: dict[str, Array]) -> list[int]:
    def strength(block: BlockPlan) -> float:
        gamma = given[f"stages.{block.stage}.{block.index}.project_bn.weight"]
        return float(np.mean(np.square(gamma, dtype=np.float64)))

    ranked = sorted(blocks[1:], key=strength, reverse=True)
    return [0, *sorted(block.index for block in ranked[: count - 1])]


def _leaders(old: Plan, new: Plan) -> dict[Space, Space]:
    """Return, for every stream, the first of the streams that skips tie to it in both networks."""
    leaders = {Space("stem"): Space("stem")}
    stream = Space("stem")
    for stage, (before, after) in enumerate(zip(old.stages, new.stages, strict=True)):
        out = Space("stage", stage)
        leaders[out] = leaders[stream] if before[0].skip and after[0].skip else out
        stream = out
    return leaders


def _scores(
    old: Plan,
    given: dict[str, Array],
    alive: set[tuple[int | None, int | None]],
    leaders: dict[Space, Space],
) -> dict[Space, NDArray[np.float64]]:
    """Return the importance of every channel of the parent, over the blocks that stay."""
    scores: dict[Space, NDArray[np.float64]] = {}
    for role in roles(old):
        if not role.is_kernel or (role.stage, role.block) not in alive:
            continue
        weights = np.abs(given[role.key])
        for space, axis in _axes(role):
            others = tuple(a for a in range(weights.ndim) if a != axis)
            leader = leaders.get(space, space)
            scores[leader] = scores.get(leader, 0) + weights.sum(axis=others, dtype=np.float64)
    return scores


def _axes(role: Role) -> Iterator[tuple[Space, int]]:
    yield role.out, int(role.transposed)
    if role.read is not None:
        yield role.read, int(not role.transposed)


def _index_map(score: NDArray[np.float64], size: int) -> Indices:
    if size < len(score):
        return np.sort(np.argsort(-score, kind="stable")[:size])
    return np.concatenate([np.arange(len(score)), np.full(size - len(score), NEW)])


def _transfer(
    role: Role,
    descent: Descent,
    fresh: Array,
    given: dict[str, Array],
    maps: dict[Space, Indices],
) -> tuple[Array, TensorTransfer]:
    """Return one tensor of the child, and what was done to it."""
    if descent.added and role.stem in ("project_bn.weight", "project_bn.bias"):
        entry = TensorTransfer(name=role.key, source=None, copied=0, fresh=0, zeroed=fresh.size)
        return np.zeros_like(fresh), entry
    source = role.key
    if role.stage is not None:
        if descent.source is None:
            return fresh, TensorTransfer(
                name=role.key, source=None, copied=0, fresh=fresh.size, zeroed=0
            )
        source = role.of_block(descent.source).key
    array, copied, zeroed = _combine(role, fresh, given[source], maps)
    return array, TensorTransfer(
        name=role.key,
        source=source if copied else None,
        copied=copied,
        fresh=array.size - copied - zeroed,
        zeroed=zeroed,
        whole=copied == given[source].size,
    )


def _combine(
    role: Role, fresh: Array, given: Array, maps: dict[Space, Indices]
) -> tuple[Array, int, int]:
    """Return `fresh` with `given` put in, the number of entries copied, and of those zeroed."""
    array = fresh.copy()
    to, start = (array.swapaxes(0, 1), given.swapaxes(0, 1)) if role.transposed else (array, given)
    out = maps[role.out]
    old_out = np.flatnonzero(out != NEW)
    if array.ndim == 1:
        to[old_out] = start[out[old_out]]
        return array, len(old_out), 0
    read = np.zeros(1, np.intp) if role.read is None else maps[role.read]
    old_read = np.flatnonzero(read != NEW)
    to_rows, rows = _aligned(to.shape[2], start.shape[2])
    part = start[np.ix_(out[old_out], read[old_read], rows, rows)]
    to[old_out] = 0
    to[np.ix_(old_out, old_read, to_rows, to_rows)] = part
    return array, part.size, len(old_out) * to[0].size - part.size


def _aligned(size: int, given: int) -> tuple[Indices, Indices]:
    """Return the rows that two kernels share when their centres coincide, counted in each."""
    shift = (size - 1) // 2 - (given - 1) // 2
    rows = np.arange(max(0, shift), min(size, shift + given))
    return rows, rows - shift
