"""An exported network run by OpenVINO, on the CPU."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.export.metadata import CARD, EXPORT, HEATMAPS, INPUT
from evopose.export.sessions import compile_openvino, read_openvino
from evopose.inference.runtimes import Crops, Heatmaps
from evopose.inference.runtimes.metadata import ExportedCard, require_crops
from evopose.models.card import ModelCard

HINTS = {"bfloat16": "bf16", "float16": "f16"}
"""What OpenVINO calls the precision in which it is to compute; otherwise float32."""
NAMES = {"f32": "float32", **{theirs: ours for ours, theirs in HINTS.items()}}


@dataclass(frozen=True, kw_only=True)
class OpenVinoModel:
    """A `PoseModel` of OpenVINO; `OpenVinoModel.load` makes one."""

    compiled: Any
    about: ExportedCard
    asked: str
    """The precision to compute in: what its file says, unless another was given."""

    @classmethod
    def load(
        cls, path: str | Path, *, threads: int = 0, precision: str | None = None
    ) -> "OpenVinoModel":
        """Return the network of an OpenVINO (.xml) or ONNX file; `threads` 0: all.

        `precision`: what to compute in, where the processor can; None: what the file says.

        Raises: ModelError for a file that cannot be run, or that `evopose export` did not write.
        """
        model = read_openvino(Path(path))
        about = ExportedCard.read(_metadata(model), source=str(path))
        asked = precision or about.precision
        compiled = compile_openvino(model, threads=threads, precision=HINTS.get(asked, "f32"))
        return cls(compiled=compiled, about=about, asked=asked)

    @property
    def card(self) -> ModelCard:
        """What the file says of the network."""
        return self.about.card

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of its heatmaps."""
        height, width = (int(d.get_length()) for d in list(self._output.partial_shape)[2:])
        return height, width

    @property
    def runtime(self) -> str:
        """What runs it, in words."""
        import openvino

        version = openvino.__version__.partition("-")[0]
        asked = self.asked
        if asked in HINTS and asked != self.computes:
            asked += f" asked for, computed in {self.computes}"
        return f"openvino {version}, {asked}, cpu"

    @property
    def computes(self) -> str:
        """The precision in which it computes: float32 where the processor has no other."""
        taken: str = self.compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        return NAMES.get(taken, taken)

    @property
    def _output(self) -> Any:
        return self.compiled.output(HEATMAPS)

    def heatmaps(self, crops: Crops) -> Heatmaps:
        """Return the heatmaps of crops."""
        return self.run(self.to_input(crops))

    def to_input(self, crops: Crops) -> NDArray[np.float32]:
        """Return the input of crops."""
        require_crops(crops, self.card)
        return self.about.to_input(crops)

    def run(self, images: NDArray[np.float32]) -> Heatmaps:
        """Return the heatmaps of an input."""
        answer = self.compiled({INPUT: images})
        return np.asarray(answer[self._output], np.float32)


def _metadata(model: Any) -> dict[str, str]:
    """Return our keys of a model's `rt_info`; what an ONNX file said stands one level deeper."""
    found = {}
    for key in (CARD, EXPORT):
        for place in ([key], ["framework", key]):
            if model.has_rt_info(place):
                found[key] = str(model.get_rt_info(place).value)
    return found
