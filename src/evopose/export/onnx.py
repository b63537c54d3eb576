"""ONNX files, written by PyTorch's exporter and run by ONNX Runtime.

It is the exporter by TorchScript: it needs no further package, and takes a second for an EvoPose2D
where the one by `torch.export` takes twelve, for a graph of the same operations.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch

from evopose.export.job import ExportJob, Run
from evopose.export.metadata import INPUT, OPSET, output_names
from evopose.export.narrowing import to_half, to_int8
from evopose.export.network import as_input, example_images, exported_network
from evopose.export.sessions import open_onnx

CALIBRATION_BATCH = 8
"""How many crops are seen at once: every value between layers is kept meanwhile."""


def write(job: ExportJob, path: Path) -> None:
    """Write the network as an ONNX file of the precision asked for, N free."""
    write_float32(job, path)
    if job.options.precision == "half":
        to_half(path)
    elif job.options.precision == "int8":
        assert job.crops is not None  # as export_model demands
        images = job.crops.images
        firsts = range(0, len(images), CALIBRATION_BATCH)
        to_int8(
            path,
            (as_input(job.model, images[i : i + CALIBRATION_BATCH], job.options) for i in firsts),
        )
    set_metadata(path, job.metadata)


def write_float32(job: ExportJob, path: Path) -> None:
    """Write the network as an ONNX file in float32, N free, without metadata."""
    outputs = output_names(job.options)
    network = exported_network(job.model, job.options)
    with warnings.catch_warnings(), torch.inference_mode():
        # PyTorch calls this exporter legacy, and its tracer warns of sizes that become constants,
        # as they shall: the parity check runs the file with other batches.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example_images(job.model.card.input_hw),),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=outputs,
            dynamic_axes={name: {0: "N"} for name in (INPUT, *outputs)},
        )


def set_metadata(path: Path, metadata: Mapping[str, str]) -> None:
    """Set the texts in an ONNX file's `metadata_props`."""
    model = onnx.load(path)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save(model, path)


def open_run(path: Path, *, threads: int = 0) -> Run:
    """Return ONNX Runtime's run of a file, on the CPU; `threads` 0: all."""
    session = open_onnx(path, threads=threads)
    return lambda images: [np.asarray(one) for one in session.run(None, {INPUT: images})]
