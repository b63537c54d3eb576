"""An exported network run by ONNX Runtime, on the CPU."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evopose.errors import ModelError
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
        session = open_session(path, threads=threads)
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
        require_crops(crops, self.card)
        (answer,) = self.session.run(["heatmaps"], {"images": self.about.to_input(crops)})
        return np.asarray(answer, np.float32)


def open_session(path: str | Path, *, threads: int = 0) -> Any:
    """Return ONNX Runtime's session of a file. Raises: ModelError if it cannot be run."""
    import onnxruntime

    file = Path(path)
    if not file.is_file():
        raise ModelError(f"there is no ONNX file {file}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            file, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its exceptions share no base of their own
        raise ModelError(f"{file} is no ONNX network that can be run: {error}") from error
