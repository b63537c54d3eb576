"""How a network is exported, and what came of it: values without torch."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evopose.errors import ConfigError

PRECISIONS = ("float32", "half")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How a network is exported."""

    precision: str = "float32"
    """`float32`, or `half`: weights in 16 bits."""
    normalise: bool = True
    """Whether the file takes pixels from 0 to 255 and normalises them itself."""
    decode: bool = False
    """Whether it also gives keypoints, found in its heatmaps as the model's codec does."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError(f"a precision is {', '.join(PRECISIONS)}; got {self.precision!r}")

    def stored_precision(self, format: str) -> str:
        """Return what the file is to be run in: `float32`, `float16` or `bfloat16`.

        OpenVINO computes in bfloat16 where the processor can, whatever weights are stored in.
        """
        if self.precision != "half":
            return self.precision
        return "bfloat16" if format == "openvino" else "float16"


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far an exported file is from the network, each run on the same crops."""

    crops: int
    real_crops: int
    """Of them, cut from images; the others are random."""
    heatmap_difference: float
    """The largest, as a share of the range of the network's heatmaps."""
    keypoint_difference: float
    """The largest distance between keypoints, in crop pixels, but for the unstable ones."""
    keypoints: int
    unstable: int
    """Keypoints whose place changes with the rounding of a heatmap, such as that between two
    pixels of almost equal height. Their distance is not counted."""


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was written, how large it is, and how near to the network."""

    path: Path
    format: str
    precision: str
    options: ExportOptions
    num_bytes: int
    """Of all files that belong to it."""
    files: tuple[Path, ...]
    parity: Parity
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        options = asdict(self.options)
        del options["precision"]
        return {
            "file": str(self.path),
            "format": self.format,
            "precision": self.precision,
            **options,
            "bytes": self.num_bytes,
            "files": [str(file) for file in self.files],
            "parity": asdict(self.parity),
            "seconds": self.seconds,
        }
