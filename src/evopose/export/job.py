"""What an exporter is given, and what runs the file it wrote."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evopose.export.options import ExportOptions, RealCrops
from evopose.models.modelfile import LoadedModel

Crops = NDArray[np.uint8]
"""(N, H, W, 3) in RGB."""
Floats = NDArray[np.float32]
Run = Callable[[Floats], list[Floats]]
"""From images (N, 3, H, W), as the file takes them, to its outputs in order."""


@dataclass(frozen=True, kw_only=True)
class ExportJob:
    """What is to be written."""

    model: LoadedModel
    options: ExportOptions
    metadata: Mapping[str, str]
    crops: RealCrops | None = None
    """To calibrate int8 on."""
