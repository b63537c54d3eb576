"""Which differences between two EvoPose2D networks an exact transfer cannot bridge."""

from collections.abc import Iterator

from evopose.errors import ModelError
from evopose.models.evopose2d_plan import BlockPlan, EvoPose2DConfig, plan


def function_losses(parent: EvoPose2DConfig, child: EvoPose2DConfig) -> Iterator[str]:
    """Yield why no weights of `child` can reproduce `parent`, one text a difference.

    Raises: ModelError if the networks differ in the number of stages.
    """
    old, new = plan(parent), plan(child)
    if (before := len(old.stages)) != (after := len(new.stages)):
        raise ModelError(
            "weights pass between networks with the same number of stages; "
            f"the parent has {before}, the child {after}"
        )
    yield from _input_change(parent, child)
    yield from _shrunk("stem", "channels", old.stem, new.stem)
    for number, stages in enumerate(zip(old.stages, new.stages, strict=True), 1):
        yield from _stage_losses(f"stage {number}", *stages)
    yield from _shrunk("head", "channels", old.head[-1], new.head[-1])
    if len(old.head) != len(new.head):
        yield f"head: blocks {len(old.head)} -> {len(new.head)}, which change the heatmaps' size"
    yield from _swapped("head", old.head_activation, new.head_activation)
    yield from _shrunk("head", "kernel", parent.head_kernel, child.head_kernel)
    yield from _shrunk("final convolution", "kernel", parent.final_kernel, child.final_kernel)
    if parent.num_keypoints != child.num_keypoints:
        yield (
            f"{parent.num_keypoints} -> {child.num_keypoints} keypoints: "
            "the final convolution is fresh"
        )


def _input_change(parent: EvoPose2DConfig, child: EvoPose2DConfig) -> Iterator[str]:
    """Yield a change of the input size where that is a gene: the images are others, then.

    Where it is none, the networks are meant to be compared on the same images.
    """
    is_gene = parent.genotype.network.input_size or child.genotype.network.input_size
    if is_gene and parent.input_hw != child.input_hw:
        before, after = ("x".join(map(str, one.input_hw)) for one in (parent, child))
        yield f"input size {before} -> {after}"


def _stage_losses(name: str, old: list[BlockPlan], new: list[BlockPlan]) -> Iterator[str]:
    yield from _shrunk(name, "kernel", old[0].kernel, new[0].kernel)
    yield from _shrunk(name, "blocks", len(old), len(new))
    yield from _shrunk(name, "channels", old[0].channels_out, new[0].channels_out)
    yield from _hidden_losses(name, old, new)
    yield from _swapped(name, old[0].activation, new[0].activation)
    if old[0].stride != new[0].stride:
        yield f"{name}: stride {old[0].stride} -> {new[0].stride}"
    if old[0].skip != new[0].skip:
        yield f"{name}: the first block's skip is switched {'on' if new[0].skip else 'off'}"


def _hidden_losses(name: str, old: list[BlockPlan], new: list[BlockPlan]) -> Iterator[str]:
    """Yield losses inside of the blocks, unless they come with fewer channels read: these are
    named where they are written."""
    before, after = old[0].expand, new[0].expand
    pairs = [(o, n) for o, n in zip(old, new, strict=False) if n.channels_in >= o.channels_in]
    if (before == 1) != (after == 1):
        switched = "off" if after == 1 else "on"
        yield f"{name}: expand ratio {before} -> {after} switches its convolution {switched}"
    elif any(n.hidden < o.hidden for o, n in pairs):
        yield f"{name}: expand ratio {before} -> {after}"
    if cut := next(((o, n) for o, n in pairs if n.squeeze < o.squeeze), None):
        yield f"{name}: SE ratio: {cut[0].squeeze} -> {cut[1].squeeze} squeeze units"


def _swapped(name: str, before: str, after: str) -> Iterator[str]:
    if before != after:
        yield f"{name}: activation {before} -> {after}"


def _shrunk(name: str, what: str, before: int, after: int) -> Iterator[str]:
    if after < before:
        yield f"{name}: {what} {before} -> {after}"
