"""OpenVINO files (.xml with .bin beside it), converted from ONNX."""

from pathlib import Path

import numpy as np

from evopose.export import onnx as onnx_files
from evopose.export.job import ExportJob, Floats, Run
from evopose.export.sessions import compile_openvino, read_openvino


def write(job: ExportJob, path: Path) -> None:
    """Write the network as `path` (.xml) and its .bin; of precision `half`, weights as float16.

    The metadata stand in `rt_info`, each under its key.
    """
    import openvino

    between = path.with_suffix(".onnx")
    onnx_files.write(job, between)
    model = read_openvino(between)
    for key, text in job.metadata.items():
        model.set_rt_info(text, key)
    openvino.save_model(model, path, compress_to_fp16=job.options.precision == "half")
    between.unlink()


def open_run(path: Path, *, threads: int = 0) -> Run:
    """Return OpenVINO's run of a file in float32, on the CPU; `threads` 0: all."""
    request = compile_openvino(read_openvino(path), threads=threads).create_infer_request()

    def run(images: Floats) -> list[Floats]:
        answers = request.infer({0: images})
        return [np.array(answers[i]) for i in range(len(answers))]

    return run
