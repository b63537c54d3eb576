"""Which differences between two EvoPose2D networks an exact transfer cannot bridge."""

from collections.abc import Iterator

from evopose.errors import ModelError
from evopose.models.evopose2d_plan import BlockPlan, EvoPose2DConfig, plan


def function_losses(parent: EvoPose2DConfig, child: EvoPose2DConfig) -> Iterator[str]:
    """Yield why no weights of `child` can reproduce `parent`, one text a difference.

    Raises: ModelError if the networks differ in the number of stages or of head blocks.
    """
    old, new = plan(parent), plan(child)
    for what, before, after in (
        ("stages", len(old.stages), len(new.stages)),
        ("head blocks", len(old.head), len(new.head)),
    ):
        if before != after:
            raise ModelError(
                f"weights pass between networks with the same number of {what}; "
                f"the parent has {before}, the child {after}"
            )
    yield from _shrunk("stem", "channels", old.stem, new.stem)
    for number, stages in enumerate(zip(old.stages, new.stages, strict=True), 1):
        yield from _stage_losses(f"stage {number}", *stages)
    yield from _shrunk("head", "channels", old.head[-1], new.head[-1])
    yield from _shrunk("head", "kernel", parent.head_kernel, child.head_kernel)
    yield from _shrunk("final convolution", "kernel", parent.final_kernel, child.final_kernel)
    if parent.num_keypoints != child.num_keypoints:
        yield (
            f"{parent.num_keypoints} -> {child.num_keypoints} keypoints: "
            "the final convolution is fresh"
        )


def _stage_losses(name: str, old: list[BlockPlan], new: list[BlockPlan]) -> Iterator[str]:
    yield from _shrunk(name, "kernel", old[0].kernel, new[0].kernel)
    yield from _shrunk(name, "blocks", len(old), len(new))
    yield from _shrunk(name, "channels", old[0].channels_out, new[0].channels_out)
    if old[0].stride != new[0].stride:
        yield f"{name}: stride {old[0].stride} -> {new[0].stride}"
    if old[0].skip != new[0].skip:
        yield f"{name}: the first block's skip is switched {'on' if new[0].skip else 'off'}"


def _shrunk(name: str, what: str, before: int, after: int) -> Iterator[str]:
    if after < before:
        yield f"{name}: {what} {before} -> {after}"
