"""An exported network run by ONNX Runtime, on the CPU."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.export.metadata import HEATMAPS, INPUT
from evopose.export.sessions import open_onnx
from evopose.inference.runtimes import Crops, Heatmaps
from evopose.inference.runtimes.metadata import ExportedCard, require_crops
from evopose.models.card import ModelCard


@dataclass(frozen=True, kw_only=True)
class OnnxModel:
    """A `PoseModel` of ONNX Runtime; `OnnxModel.load` makes one."""

    session: Any
    about: ExportedCard

    @classmethod
    def load(cls, path: str | Path, *, threads: int = 0) -> "OnnxModel":
        """Return the network of an ONNX file; `threads` 0: as many as ONNX Runtime takes.

        Raises: ModelError for a file that cannot be run, or that `evopose export` did not write.
        """
        session = open_onnx(Path(path), threads=threads)
        metadata = session.get_modelmeta().custom_metadata_map
        return cls(session=session, about=ExportedCard.read(metadata, source=str(path)))

    @property
    def card(self) -> ModelCard:
        """What the file says of the network."""
        return self.about.card

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of its heatmaps."""
        height, width = self.session.get_outputs()[0].shape[2:]
        return int(height), int(width)

    @property
    def runtime(self) -> str:
        """What runs it, in words."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}, {self.about.precision}, cpu"

    def heatmaps(self, crops: Crops) -> Heatmaps:
        """Return the heatmaps of crops."""
        return self.run(self.to_input(crops))

    def to_input(self, crops: Crops) -> NDArray[np.float32]:
        """Return the input of crops."""
        require_crops(crops, self.card)
        return self.about.to_input(crops)

    def run(self, images: NDArray[np.float32]) -> Heatmaps:
        """Return the heatmaps of an input."""
        (answer,) = self.session.run([HEATMAPS], {INPUT: images})
        return np.asarray(answer, np.float32)
