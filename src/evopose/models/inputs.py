"""How an image becomes a network's input, and how its heatmaps are read: values without torch."""

from dataclasses import dataclass, field
from typing import Any

from evopose.codecs import CODECS
from evopose.errors import ModelError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """How an image becomes the network's input: (pixel * scale - mean) / std, by channel."""

    color: str = "RGB"
    """`RGB` or `BGR`: the order of the channels, and of `mean` and `std`."""
    scale: float = 1 / 255
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    box_padding: float = 1.25
    """Side of the crop over side of the box, after the box got the input's side ratio."""

    def __post_init__(self) -> None:
        if self.color not in ("RGB", "BGR"):
            raise ModelError(f"color must be RGB or BGR, got {self.color!r}")

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "InputSpec":
        """Return the specification whose fields JSON holds."""
        return cls(**value | {k: tuple(value[k]) for k in ("mean", "std") if k in value})


@dataclass(frozen=True, kw_only=True)
class CodecSpec:
    """The codec that reads the heatmaps: a name in `CODECS` and its parameters."""

    name: str = "gaussian"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def align_corners(self) -> bool:
        """Whether the network's crops are cut with `geometry.crop_affine`'s `align_corners`."""
        return self.name in CODECS and CODECS[self.name].align_corners
