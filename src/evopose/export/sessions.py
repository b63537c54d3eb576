"""Files of ONNX Runtime and OpenVINO, opened on the CPU. No torch."""

from pathlib import Path
from typing import Any

from evopose.errors import ModelError


def open_onnx(path: Path, *, threads: int = 0) -> Any:
    """Return ONNX Runtime's session of a file; `threads` 0: as many as it takes.

    Raises: ModelError for a file that is not there, or cannot be run.
    """
    import onnxruntime

    _require(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            path, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its exceptions share no base of their own
        raise ModelError(f"{path} is no ONNX network that can be run: {error}") from error


def read_openvino(path: Path) -> Any:
    """Return OpenVINO's model of an .xml or .onnx file, not compiled yet.

    Raises: ModelError for a file that is not there, or cannot be read.
    """
    import openvino

    _require(path)
    try:
        return openvino.Core().read_model(path)
    except RuntimeError as error:
        raise ModelError(
            f"{path} is no network that OpenVINO can run: {_last_line(error)}"
        ) from error


def compile_openvino(model: Any, *, threads: int = 0, precision: str = "f32") -> Any:
    """Return OpenVINO's compiled model of what `read_openvino` returned.

    `precision`: what it is asked to compute in, which it does where the processor can. `threads` 0:
    all. Raises: ModelError if it cannot be run.
    """
    import openvino

    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
    }
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        return openvino.Core().compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot run the network: {_last_line(error)}") from error


def _require(path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"there is no file {path}")


def _last_line(error: RuntimeError) -> str:
    return str(error).strip().splitlines()[-1]
