"""ONNX files of detectors' forms, a few nodes each: they answer by arithmetic on their input."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, HALF, INT = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64

Port = tuple[str, int, list[int | str]]


def write_onnx(path: Path, nodes, inputs: list[Port], outputs: list[Port], **constants) -> Path:
    graph = helper.make_graph(
        [helper.make_node(kind, ins, [out], **more) for kind, ins, out, more in nodes],
        "tiny",
        [helper.make_tensor_value_info(*port) for port in inputs],
        [helper.make_tensor_value_info(*port) for port in outputs],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def yolox_file(
    path: Path,
    answer: np.ndarray,
    *,
    image: tuple = (1, 3, 64, 96),
    says: tuple | None = None,
    kind: int = FLOAT,
) -> Path:
    """A file that answers with `answer` (1, A, 5 + classes), whatever it sees; `says`: the shape
    that it states."""
    constant = np.asarray(answer, np.float16 if kind == HALF else np.float32)
    nothing = constant.dtype.type(0)
    nodes = [
        ("ReduceMean", ["images"], "mean", {"keepdims": 0}),
        ("Mul", ["mean", "nothing"], "zero", {}),
        ("Add", ["answer", "zero"], "output", {}),
    ]
    inputs = [("images", kind, list(image))]
    outputs = [("output", kind, list(says or constant.shape))]
    return write_onnx(path, nodes, inputs, outputs, answer=constant, nothing=nothing)


COLOURS = np.float32([[0.5, 0.5, 0.2, 0.4], [0.25, 0.5, 0.5, 0.5], [0.9, 0.9, 0.2, 0.4]])
"""Three boxes, centre and size in shares of the image: how likely they are persons is the image's
mean red, green and blue."""


def hugging_face_file(path: Path, *, classes: int = 80, size: tuple = (32, 64)) -> Path:
    """A file whose three queries are persons with logits of the image's mean colours, and dogs
    (class 1) for sure."""
    person, dog = np.zeros((2, 1, 3, classes), np.float32)
    person[..., 0], dog[..., 1] = 1, 9
    nodes = [
        ("ReduceMean", ["pixel_values"], "means", {"axes": [2, 3], "keepdims": 0}),
        ("Unsqueeze", ["means", "last"], "column", {}),
        ("Mul", ["column", "person"], "persons", {}),
        ("Add", ["persons", "dog"], "logits", {}),
        ("Identity", ["boxes"], "pred_boxes", {}),
    ]
    inputs = [("pixel_values", FLOAT, ["batch", 3, *size])]
    outputs = [("logits", FLOAT, ["batch", 3, classes]), ("pred_boxes", FLOAT, ["batch", 3, 4])]
    constants = {"person": person, "dog": dog, "boxes": COLOURS[None], "last": np.array([-1])}
    return write_onnx(path, nodes, inputs, outputs, **constants)


def rtdetr_file(path: Path, *, size: tuple = (32, 64)) -> Path:
    """A file of the authors' form: scores are the mean colours, the second box is a dog's."""
    centre, half = COLOURS[:, :2], COLOURS[:, 2:] / 2
    corners = np.concatenate([centre - half, centre + half], axis=1)[None]
    nodes = [
        ("ReduceMean", ["images"], "scores", {"axes": [2, 3], "keepdims": 0}),
        ("Cast", ["orig_target_sizes"], "size", {"to": FLOAT}),
        ("Concat", ["size", "size"], "sizes", {"axis": 1}),
        ("Unsqueeze", ["sizes", "middle"], "scale", {}),
        ("Mul", ["corners", "scale"], "boxes", {}),
        ("Identity", ["kinds"], "labels", {}),
    ]
    inputs = [("images", FLOAT, ["N", 3, *size]), ("orig_target_sizes", INT, ["N", 2])]
    outputs = [
        ("labels", INT, ["N", 3]),
        ("boxes", FLOAT, ["N", 3, 4]),
        ("scores", FLOAT, ["N", 3]),
    ]
    constants = {"corners": corners, "kinds": np.array([[0, 16, 0]]), "middle": np.array([1])}
    return write_onnx(path, nodes, inputs, outputs, **constants)
