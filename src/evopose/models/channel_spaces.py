"""Channel spaces: which tensors of an EvoPose2D network share a set of channels.

Every channel axis of every tensor lies in one space: the image, the stem, the stream of a stage,
the hidden channels or the squeeze units of a block, the output of a head block, the keypoints.
Whoever adds, removes or reorders channels of a space does it on all of its axes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from evopose.models.evopose2d_plan import BlockPlan, Plan


class Space(NamedTuple):
    """The name of a set of channels."""

    kind: str
    """image, stem, stage, hidden, squeeze, head or keypoints."""
    stage: int = 0
    """Zero-based stage, or head block."""
    block: int | None = None
    """Zero-based block of the stage, for hidden and squeeze."""


@dataclass(frozen=True, kw_only=True)
class Role:
    """The spaces of one tensor's channel axes."""

    stem: str
    """State-dict key, but for a block's `stages.<i>.<j>.` before it."""
    out: Space
    """Of the channels it produces or normalises."""
    read: Space | None = None
    """Of the channels that a dense kernel reads."""
    transposed: bool = False
    """Whether the axis of `read` comes first, as in torch's transposed convolutions."""
    stage: int | None = None
    block: int | None = None
    """The block it belongs to, if any."""

    @property
    def key(self) -> str:
        """State-dict key."""
        return self.stem if self.stage is None else f"stages.{self.stage}.{self.block}.{self.stem}"

    @property
    def is_kernel(self) -> bool:
        """Whether it is a convolution's kernel."""
        return self.read is not None or self.stem == "dwconv.weight"

    def of_block(self, block: int | None) -> "Role":
        """Return the same tensor's role in block `block` of the stage."""
        return replace(self, block=block)


def roles(shape: Plan) -> Iterator[Role]:
    """Yield the role of every tensor of the network, in the order of its state dict."""
    stream = Space("stem")
    yield Role(stem="stem_conv.weight", out=stream, read=Space("image"))
    yield from _norm("stem_bn", stream)
    for block in shape.blocks:
        out = Space("stage", block.stage)
        for role in _block(block, stream, out):
            yield replace(role, stage=block.stage, block=block.index)
        stream = out
    for index in range(len(shape.head)):
        out = Space("head", index)
        name = f"head.{index}"
        yield Role(stem=f"{name}.conv.weight", out=out, read=stream, transposed=True)
        yield from _norm(f"{name}.bn", out)
        stream = out
    yield from _dense("final_conv", Space("keypoints"), stream, bias=True)


def _block(block: BlockPlan, read: Space, out: Space) -> Iterator[Role]:
    squeeze = Space("squeeze", block.stage, block.index)
    hidden = read
    if block.expand != 1:
        hidden = Space("hidden", block.stage, block.index)
        yield from _dense("expand_conv", hidden, read)
        yield from _norm("expand_bn", hidden)
    yield Role(stem="dwconv.weight", out=hidden)
    yield from _norm("bn", hidden)
    yield from _dense("se_reduce", squeeze, hidden, bias=True)
    yield from _dense("se_expand", hidden, squeeze, bias=True)
    yield from _dense("project_conv", out, hidden)
    yield from _norm("project_bn", out)


def _dense(name: str, out: Space, read: Space, *, bias: bool = False) -> Iterator[Role]:
    yield Role(stem=f"{name}.weight", out=out, read=read)
    if bias:
        yield Role(stem=f"{name}.bias", out=out)


def _norm(name: str, out: Space) -> Iterator[Role]:
    for tensor in ("weight", "bias", "running_mean", "running_var"):
        yield Role(stem=f"{name}.{tensor}", out=out)
