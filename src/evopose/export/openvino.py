"""OpenVINO files (.xml with .bin beside it), converted from ONNX."""

from pathlib import Path
from typing import Any

import numpy as np

from evopose.export import onnx as onnx_files
from evopose.export.job import ExportJob, Floats, Run


def write(job: ExportJob, path: Path) -> None:
    """Write the network as `path` (.xml) and its .bin; of precision `half`, weights as float16.

    The metadata stand in `rt_info`, each under its key.
    """
    import openvino

    between = path.with_suffix(".onnx")
    onnx_files.write(job, between)
    model = openvino.Core().read_model(between)
    for key, text in job.metadata.items():
        model.set_rt_info(text, key)
    openvino.save_model(model, path, compress_to_fp16=job.options.precision == "half")
    between.unlink()


def open_run(path: Path, *, threads: int = 0, precision: str = "f32") -> Run:
    """Return OpenVINO's run of a file, on the CPU; `precision` is what it is asked to compute in,
    which it does where the processor can; `threads` 0: all."""
    import openvino

    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
    }
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()

    def run(images: Floats) -> list[Floats]:
        answers = request.infer({0: images})
        return [np.array(answers[i]) for i in range(len(answers))]

    return run
