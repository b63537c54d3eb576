"""Finding persons: an image in, boxes out. YOLOX by ONNX Runtime.

Source: Ge et al., arXiv 2107.08430; Megvii-BaseDetection/YOLOX (Apache-2.0): the letterbox of
`yolox/data/data_augment.py`, the grids of `demo_postprocess` in `yolox/utils/demo_utils.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.images import Image
from evopose.errors import ModelError
from evopose.inference.boxes import Boxes
from evopose.models.download import OnBytes, fetch

STRIDES = (8, 16, 32)
GREY = 114
"""What fills the input beside the image."""
PERSON = 0
"""The class of persons among COCO's 80."""


class Detector(Protocol):
    """Finds persons."""

    @property
    def name(self) -> str:
        """What to call it in a report."""

    def __call__(self, image: Image) -> Boxes:
        """Return the persons of an image (H, W, 3), RGB, uint8, best first."""


@dataclass(frozen=True, kw_only=True)
class PublishedDetector:
    """A detector that can be fetched."""

    url: str
    sha256: str
    summary: str


DETECTORS: dict[str, PublishedDetector] = {
    "yolox-nano": PublishedDetector(
        url="https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_nano.onnx",
        sha256="695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14",
        summary="0.9 M parameters, 25.8 AP of COCO's 80 classes at 416x416; Apache-2.0",
    ),
}
"""Every detector by name."""


def open_detector(
    name: str | Path,
    *,
    threshold: float = 0.3,
    threads: int = 0,
    on_progress: OnBytes | None = None,
) -> Detector:
    """Return the detector of that name, fetched the first time, or of a YOLOX-shaped ONNX file.

    Boxes below the score `threshold` are left out. `threads` 0: as many as ONNX Runtime takes.

    Raises: ModelError for an unknown name, a file that is none or of another shape, a failed
    digest; DownloadFailed without a network.
    """
    path = Path(name)
    if str(name) in DETECTORS:
        published = DETECTORS[str(name)]
        path = fetch(published.url, sha256_prefix=published.sha256, on_progress=on_progress)
    elif not path.is_file():
        raise ModelError(
            f"{str(name)!r} is neither a detector's name ({', '.join(DETECTORS)}) nor an ONNX file"
        )
    session, input_hw, input_name = _open(path, threads)
    return Yolox(
        name=path.stem if path.suffix else str(name),
        input_hw=input_hw,
        run=lambda x: session.run(None, {input_name: x})[0],
        threshold=threshold,
    )


@dataclass(frozen=True, kw_only=True)
class Yolox:
    """YOLOX: a score of being something times one of being a person, over three grids."""

    name: str
    input_hw: tuple[int, int]
    run: Callable[[NDArray[np.float32]], NDArray[np.floating]]
    """From an input (1, 3, H, W), BGR in 0 to 255, to (1, A, 5 + classes) of its anchor points."""
    threshold: float = 0.3
    overlap: float = 0.45
    """Of two boxes with a larger intersection over union the worse is left out."""

    def __call__(self, image: Image) -> Boxes:
        """Return the persons of an image (H, W, 3), RGB, uint8, best first."""
        crop, zoom = letterbox(image, self.input_hw)
        found = self.run(crop.transpose(2, 0, 1)[None, ::-1].astype(np.float32))[0]
        scores = np.asarray(found[:, 4] * found[:, 5 + PERSON], np.float64)
        xyxy = self._boxes(found[:, :4].astype(np.float64)) / zoom
        # The letterbox shrinks the image about its corner, not about its first pixel's centre.
        xyxy = (xyxy - 0.5).clip(-0.5, np.tile(np.array(image.shape[1::-1]) - 0.5, 2))
        inside = (xyxy[:, 2:] - xyxy[:, :2] >= 1).all(axis=1)  # and not in the grey
        likely = inside & (scores >= self.threshold)
        return _suppressed(xyxy[likely], scores[likely], self.overlap)

    def _boxes(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (A, 4) left, top, right, bottom in pixels of the input, from offsets in cells and
        logarithms of sizes."""
        corner, stride = anchor_points(self.input_hw)
        centre, size = (raw[:, :2] + corner) * stride, np.exp(raw[:, 2:]) * stride
        return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def letterbox(image: Image, size_hw: tuple[int, int]) -> tuple[Image, float]:
    """Return the image shrunk or grown into the top left of (h, w), grey beside it, and by what."""
    height, width = image.shape[:2]
    zoom = min(size_hw[0] / height, size_hw[1] / width)
    inner = (max(1, int(width * zoom)), max(1, int(height * zoom)))
    canvas = np.full((*size_hw, 3), GREY, np.uint8)
    canvas[: inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    return canvas, zoom


def anchor_points(size_hw: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the cells' corners (A, 2: x, y, in cells) and strides (A, 1) of an input's grids."""
    corners, strides = [], []
    for stride in STRIDES:
        rows, columns = np.indices((size_hw[0] // stride, size_hw[1] // stride))
        corners.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    return np.concatenate(corners).astype(np.float64), np.concatenate(strides).astype(np.float64)


def _suppressed(xyxy: NDArray[np.float64], scores: NDArray[np.float64], overlap: float) -> Boxes:
    if not len(scores):
        return Boxes(xyxy=xyxy, scores=scores)
    xywh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)
    kept = np.asarray(cv2.dnn.NMSBoxes(xywh.tolist(), scores.tolist(), 0.0, overlap), int).ravel()
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    return Boxes(xyxy=xyxy[kept], scores=scores[kept])


def _open(path: Path, threads: int) -> tuple[Any, tuple[int, int], str]:
    """Return a session on the CPU, its input's size and name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            path, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its exceptions share no base of their own
        raise ModelError(f"{path} is no ONNX network that can be run: {error}") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shapes = f"inputs {[i.shape for i in inputs]}, outputs {[o.shape for o in outputs]}"
    size = inputs[0].shape[2:] if len(inputs) == 1 and len(inputs[0].shape) == 4 else []
    if len(outputs) == 1 and len(size) == 2 and all(isinstance(s, int) and s > 0 for s in size):
        input_hw = (size[0], size[1])
        anchors, answer = len(anchor_points(input_hw)[0]), outputs[0].shape
        if len(answer) == 3 and answer[1] == anchors and answer[2] >= 5 + PERSON + 1:
            return session, input_hw, inputs[0].name
    raise ModelError(
        f"{path} is no detector of YOLOX's shape: expected one image (1, 3, H, W) in, and one "
        f"(1, A, 5 + classes) for the A cells of the strides 8, 16 and 32 out; it has {shapes}"
    )
