"""What every network's configuration checks alike."""

from evopose.errors import ConfigError
from evopose.models.evopose2d_plan import nearest_input_hw


def check_outline(input_hw: tuple[int, int], num_keypoints: int, *, multiple: int = 1) -> None:
    """Raise ConfigError unless a network can take `input_hw` and give `num_keypoints` heatmaps.

    `multiple` must divide both sides of the input.
    """
    if num_keypoints < 1:
        raise ConfigError(f"num_keypoints must be at least 1, got {num_keypoints}")
    if len(input_hw) != 2 or min(input_hw) < 1:
        raise ConfigError(f"input_hw must be (height, width) in pixels, got {input_hw}")
    if any(side % multiple for side in input_hw):
        near = nearest_input_hw(input_hw, multiple)
        raise ConfigError(
            f"input_hw must be multiples of {multiple}, got {input_hw[0]}x{input_hw[1]}; "
            f"the nearest size that fits is {near[0]}x{near[1]}"
        )
