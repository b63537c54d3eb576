"""What every pose network offers to training, evaluation and files."""

import inspect
from typing import Any

from torch import nn


class PoseNetwork(nn.Module):
    """A network from crops (N, 3, H, W) to heatmaps (N, K, h, w).

    One with intermediate supervision takes `forward(images, every_stage=True)`, and then returns
    a tuple of heatmaps, its answer last. One that refines poses takes them as second argument.
    """

    config: Any
    """A frozen dataclass: `input_hw`, `num_keypoints`, and all else that determines the network."""
    refines = False
    """Whether `forward` also takes poses (N, K, 3): x, y in crop pixels, and whether given."""

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """(height, width) of the heatmaps at `config.input_hw`."""
        raise NotImplementedError


def shows_every_stage(net: nn.Module) -> bool:
    """Return whether `net` has intermediate supervision."""
    return "every_stage" in inspect.signature(net.forward).parameters
