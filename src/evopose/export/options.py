"""How a network is exported, and what came of it: values without torch."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.errors import ConfigError

PRECISIONS = ("float32", "half", "int8")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How a network is exported."""

    precision: str = "float32"
    """`float32`; `half`: weights in 16 bits; `int8`: all but its end computed in 8."""
    normalise: bool = True
    """Whether the file takes pixels from 0 to 255 and normalises them itself."""
    decode: bool = False
    """Whether it also gives keypoints, found in its heatmaps as the model's codec does."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError(f"a precision is {', '.join(PRECISIONS)}; got {self.precision!r}")

    def stored_precision(self, format: str) -> str:
        """Return what the file is to be run in: `float32`, `float16`, `bfloat16` or `int8`.

        OpenVINO computes in bfloat16 where the processor can, whatever weights are stored in.
        """
        if self.precision != "half":
            return self.precision
        return "bfloat16" if format == "openvino" else "float16"


@dataclass(frozen=True, kw_only=True)
class RealCrops:
    """Persons as the network will see them, to calibrate int8 on and to check parity on."""

    images: NDArray[np.uint8]
    """(N, H, W, 3) in RGB, in random order."""
    source: str
    """Where they are from, in words: it is written into the file."""


@dataclass(frozen=True, kw_only=True)
class OksLoss:
    """The mean OKS of an exported file beside that of the network in float32, over labelled
    persons, each looked for in its own box."""

    data: str
    split: str
    persons: int
    flip_test: bool
    runtime: str
    """What ran the file, in words."""
    mean_oks: float
    mean_oks_float32: float
    standard_error: float
    """Of the difference, persons taken as drawn at random."""

    @property
    def loss(self) -> float:
        """What is lost; below 0: won."""
        return self.mean_oks_float32 - self.mean_oks

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values, the loss among them."""
        return {**asdict(self), "loss": self.loss}


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
    oks: OksLoss | None
    """None: not measured."""
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
            "oks": self.oks.to_json() if self.oks else None,
            "seconds": self.seconds,
        }
