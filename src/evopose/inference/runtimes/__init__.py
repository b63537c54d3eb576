"""Running a pose network: PyTorch, ONNX Runtime or OpenVINO, each behind one small protocol.

Importing this package loads none of them.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evopose.errors import ConfigError, ModelError
from evopose.models.card import ModelCard

log = logging.getLogger(__name__)

Crops = NDArray[np.uint8]
"""(N, H, W, 3) in RGB."""
Heatmaps = NDArray[np.float32]
"""(N, K, h, w)."""


class PoseModel(Protocol):
    """A network ready to run, whatever runs it."""

    @property
    def card(self) -> ModelCard:
        """What its file says of it."""

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of its heatmaps."""

    @property
    def runtime(self) -> str:
        """What runs it, in words: the library, its precision, the device."""

    def heatmaps(self, crops: Crops) -> Heatmaps:
        """Return the heatmaps of crops of `card.input_hw`."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One line of `RUNTIMES`."""

    package: str
    """What must be installed."""
    suffixes: tuple[str, ...]
    """Of the files that it runs."""
    open: Callable[[Path, str, int], PoseModel]
    """From a file, a device and a number of threads (0: all) to a network ready to run."""


def _openvino(path: Path, device: str, threads: int) -> PoseModel:
    from evopose.inference.runtimes.openvino import OpenVinoModel

    return OpenVinoModel.load(path, threads=threads)


def _onnxruntime(path: Path, device: str, threads: int) -> PoseModel:
    from evopose.inference.runtimes.onnxruntime import OnnxModel

    return OnnxModel.load(path, threads=threads)


def _pytorch(path: Path, device: str, threads: int) -> PoseModel:
    from evopose.inference.runtimes.pytorch import TorchModel
    from evopose.models.modelfile import load_model

    return TorchModel.of(load_model(path), device=device, threads=threads)


RUNTIMES: dict[str, Runtime] = {
    "onnxruntime": Runtime(package="onnxruntime", suffixes=(".onnx",), open=_onnxruntime),
    "openvino": Runtime(package="openvino", suffixes=(".xml", ".onnx"), open=_openvino),
    "pytorch": Runtime(package="torch", suffixes=(".safetensors",), open=_pytorch),
}
"""Every runtime by name, the fastest on a CPU first; by what was measured of the network in the
package (`evopose bench`, docs/results.md): OpenVINO is as fast on larger networks, and slower in
8 bits."""

EXPORTED = tuple(s for r in RUNTIMES.values() for s in r.suffixes if s != ".safetensors")
"""Suffixes of files that `evopose export` wrote and that are run without PyTorch."""
_CODE = (".pt", ".pth", ".ts", ".torchscript")


def installed_runtimes() -> list[str]:
    """Return the names of the runtimes that are installed, the fastest on a CPU first."""
    return [name for name, runtime in RUNTIMES.items() if find_spec(runtime.package)]


def open_pose_model(
    path: str | Path,
    *,
    runtime: str = "auto",
    device: str = "cpu",
    threads: int = 0,
    on_export: Callable[[str], None] = lambda runtime: None,
) -> PoseModel:
    """Return the network of a model file, or of one that `evopose export` wrote, ready to run.

    `runtime` is a name in `RUNTIMES`; `auto` is the fastest that is installed on a CPU, PyTorch on
    any other device. For a runtime other than PyTorch a model file is exported once and kept
    beside the caches, which takes seconds: `on_export` is told for which. `threads` 0: as many as
    the runtime takes.

    Raises: ModelError for a file that is none of these or of no use to the runtime; ConfigError
    for a runtime that there is not, or is not installed.
    """
    file = Path(path)
    if file.suffix in _CODE:
        raise ModelError(
            f"{file} would have to be unpickled or run as code to be read; evopose runs model "
            "files (.safetensors), ONNX (.onnx) and OpenVINO (.xml) files"
        )
    name = choose_runtime(file, runtime, device)
    if file.suffix in RUNTIMES[name].suffixes:
        return RUNTIMES[name].open(file, device, threads)
    from evopose.inference.runtimes.exporting import exported_once

    made = exported_once(file, on_export=lambda: on_export(name))
    try:
        return RUNTIMES[name].open(made, device, threads)
    except ModelError as error:
        log.warning("%s is damaged and is exported again (%s)", made, error)
        made.unlink(missing_ok=True)
        made = exported_once(file, on_export=lambda: on_export(name))
        return RUNTIMES[name].open(made, device, threads)


def choose_runtime(file: Path, runtime: str, device: str) -> str:
    """Return the name of the runtime that `open_pose_model` takes.

    Raises: as `open_pose_model`.
    """
    exported = file.suffix in EXPORTED
    here = installed_runtimes()
    if runtime == "auto":
        if exported and device != "cpu":
            raise ConfigError(
                f"{file} is run on the CPU; for {device} give the model file it was exported from"
            )
        fitting = [n for n in here if not exported or file.suffix in RUNTIMES[n].suffixes]
        if not fitting:
            raise ConfigError(f"to run {file}: pip install openvino")
        return fitting[0] if device == "cpu" else "pytorch"
    if runtime not in RUNTIMES:
        raise ConfigError(f"a runtime is auto, {', '.join(RUNTIMES)}; got {runtime!r}")
    if runtime not in here:
        raise ConfigError(
            f"{runtime} is not installed: pip install {RUNTIMES[runtime].package}; installed are "
            f"{', '.join(here)}"
        )
    if exported and file.suffix not in RUNTIMES[runtime].suffixes:
        fitting = [n for n, r in RUNTIMES.items() if file.suffix in r.suffixes]
        raise ConfigError(f"{file} is run by {' or '.join(fitting)}, not by {runtime}")
    if runtime != "pytorch" and device != "cpu":
        raise ConfigError(f"{runtime} is used on the CPU here; --device {device} is for pytorch")
    return runtime
