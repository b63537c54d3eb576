"""OpenVINO files (.xml with .bin beside it), converted from ONNX."""

from collections.abc import Mapping
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
    onnx_files.write_float32(job, between)
    model = read_openvino(between)
    for key, text in job.metadata.items():
        model.set_rt_info(text, key)
    openvino.save_model(model, path, compress_to_fp16=job.options.precision == "half")
    between.unlink()


def set_metadata(path: Path, metadata: Mapping[str, str]) -> None:
    """Set the texts in the `rt_info` of a file that `write` wrote."""
    import openvino

    model = read_openvino(path)
    for key, text in metadata.items():
        model.set_rt_info(text, key)
    again = path.with_name(f"again-{path.name}")  # weights are mapped from the file that is read
    openvino.save_model(model, again, compress_to_fp16=False)  # as they are
    for suffix in (".bin", ".xml"):
        again.with_suffix(suffix).replace(path.with_suffix(suffix))


def open_run(path: Path, *, threads: int = 0) -> Run:
    """Return OpenVINO's run of a file in float32, on the CPU; `threads` 0: all."""
    request = compile_openvino(read_openvino(path), threads=threads).create_infer_request()

    def run(images: Floats) -> list[Floats]:
        answers = request.infer({0: images})
        return [np.array(answers[i]) for i in range(len(answers))]

    return run
