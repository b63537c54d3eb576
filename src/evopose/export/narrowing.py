"""ONNX files in fewer bits: float16, and int8 calibrated on crops, by ONNX Runtime's own tools."""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx

from evopose.export.job import Floats
from evopose.export.metadata import HEATMAPS, INPUT

CONVOLUTIONS = ("Conv", "ConvTranspose")


def to_half(path: Path) -> None:
    """Rewrite a float32 file as float16; what goes in and comes out, and decoding, stay float32.

    Where a processor has no arithmetic of float16, ONNX Runtime computes in float32.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = onnx.load(path)
    decoding = [node.name for node in model.graph.node if node.name.startswith("/decoder/")]
    with _quietly():
        half = convert_float_to_float16(model, keep_io_types=True, node_block_list=decoding)
    _drop_detours(half.graph)
    onnx.save(half, path)


def to_int8(path: Path, batches: Iterable[Floats]) -> None:
    """Rewrite a float32 file so that the network, but for its last convolution, computes in 8 bits.

    Weights are rounded channel by channel to 7 bits: with 8, sums overflow on processors without
    VNNI. Values between layers get the range that they have in `batches` of images (N, 3, H, W) as
    the file takes them: the mean of the batches' extremes, which rare ones widen less. What gives
    the heatmaps stays float32, since steps of 8 bits would make neighbouring pixels equal, and so
    do normalisation and decoding.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quant_pre_process, quantize_static

    prepared = path.with_name(f"prepared-{path.name}")
    try:
        with _quietly():
            quant_pre_process(path, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                path,
                _reader(batches),
                quant_format=QuantFormat.QDQ,
                nodes_to_exclude=_kept_in_float(onnx.load(prepared).graph),
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"CalibMovingAverage": True},
            )
    finally:
        prepared.unlink(missing_ok=True)


def _drop_detours(graph: Any) -> None:
    """Let what is float32, and is read as float32, not become float16 between."""
    casts = {one.output[0]: one for one in graph.node if one.op_type == "Cast"}
    for node in casts.values():
        before = casts.get(node.input[0])
        if before is not None and _target(before) == onnx.TensorProto.FLOAT16:
            node.CopyFrom(
                onnx.helper.make_node(
                    "Cast", before.input, node.output, node.name, to=_target(node)
                )
            )
    used = {name for node in graph.node for name in node.input}
    used |= {one.name for one in graph.output}
    for node in [n for n in casts.values() if n.output[0] not in used]:
        graph.node.remove(node)


def _target(cast: Any) -> int:
    """Return the type to which a node casts."""
    return int(onnx.helper.get_node_attr_value(cast, "to"))


def _reader(batches: Iterable[Floats]) -> Any:
    """Return the batches as ONNX Runtime's calibration asks for them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.waiting = iter(batches)

        def get_next(self) -> dict[str, Floats] | None:
            images = next(self.waiting, None)
            return None if images is None else {INPUT: images}

    return Reader()


def _kept_in_float(graph: Any) -> list[str]:
    """Return the names of nodes outside the network, and of those from its last convolution on
    (its last ones, where heatmaps are a sum)."""
    makers = {name: node for node in graph.node for name in node.output}
    kept = [node.name for node in graph.node if not node.name.startswith("/net/")]
    waiting = [HEATMAPS]
    while waiting:
        node = makers.get(waiting.pop())
        if node is None:
            continue
        kept.append(node.name)
        if node.op_type not in CONVOLUTIONS:
            waiting += node.input
    return kept


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the tools from advising on the root logger, and from warning of weights that are
    rounded, which is what they are asked for; parity and OKS tell what it costs."""
    log = logging.getLogger()
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
