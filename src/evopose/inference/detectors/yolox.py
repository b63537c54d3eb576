"""YOLOX: a score of being something times one of being a person, over three grids.

Source: Ge et al., arXiv 2107.08430; Megvii-BaseDetection/YOLOX (Apache-2.0): the letterbox of
`yolox/data/data_augment.py`, the grids of `demo_postprocess` in `yolox/utils/demo_utils.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.images import Image
from evopose.errors import ModelError
from evopose.inference.boxes import Boxes, clipped_boxes
from evopose.inference.detectors.network import PERSON, Network

STRIDES = (8, 16, 32)
GREY = 114
"""What fills the input beside the image."""


@dataclass(frozen=True, kw_only=True)
class Yolox:
    """A detector of YOLOX's form; `open_yolox` makes one of a network."""

    name: str
    input_hw: tuple[int, int]
    run: Callable[[NDArray[np.float32]], NDArray[np.floating]]
    """From an input (1, 3, H, W), BGR in 0 to 255, to (1, A, 5 + classes) of its anchor points."""
    threshold: float = 0.3
    overlap: float = 0.45
    """Of two boxes with a larger intersection over union the worse is left out."""
    decoded: bool = False
    """Whether `run` gives centres and sizes in pixels, not offsets and logarithms."""

    def __call__(self, image: Image) -> Boxes:
        """Return the persons of an image (H, W, 3), RGB, uint8, best first."""
        canvas, zoom = letterbox(image, self.input_hw)
        # In this order: NumPy would keep the canvas's, and ONNX Runtime copy it again.
        bgr = canvas.transpose(2, 0, 1)[None, ::-1].astype(np.float32, order="C")
        found = self.run(bgr)[0]
        scores = found[:, 4] * found[:, 5 + PERSON]
        likely = np.flatnonzero(scores >= self.threshold)  # few: the rest is not decoded
        xyxy = self._boxes(found[likely, :4].astype(np.float64), likely) / zoom
        # The letterbox shrinks the image about its corner, not about its first pixel's centre.
        return _suppressed(
            clipped_boxes(xyxy - 0.5, scores[likely].astype(np.float64), image.shape[:2]),
            self.overlap,
        )

    def _boxes(self, raw: NDArray[np.float64], cells: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return left, top, right, bottom in pixels of the input, of the raw rows of cells."""
        centre, size = raw[:, :2], raw[:, 2:]
        if not self.decoded:
            corners, strides = anchor_points(self.input_hw)
            stride = strides[cells]
            centre, size = (centre + corners[cells]) * stride, np.exp(size) * stride
        return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def open_yolox(network: Network, name: str, threshold: float) -> Yolox | None:
    """Return the detector of a network of YOLOX's form, None for one of another form.

    The network is run once, on grey: a file that leaves sizes open shows what it gives, and one
    exported with its decoding inside (`--decode_in_inference`) shows that.

    Raises: ModelError if it cannot be run, or gives other cells than YOLOX has.
    """
    input_hw, outputs = network.image_hw, network.outputs
    if input_hw is None or len(network.inputs) != 1 or len(outputs) != 1:
        return None
    cells = len(anchor_points(input_hw)[0])
    classes = outputs[0].shape[-1] if outputs[0].fits(1, cells, None) else 0
    if classes is not None and classes < 5 + PERSON + 1:
        return None

    def run(image: NDArray[np.float32]) -> NDArray[np.floating]:
        return np.asarray(network.run([outputs[0].name], image)[0])

    seen = run(np.full((1, 3, *input_hw), GREY, np.float32))
    if seen.shape[:2] != (1, cells) or seen.shape[2] < 5 + PERSON + 1:
        raise ModelError(
            f"{network.path} is no YOLOX: of an image {input_hw[0]}x{input_hw[1]} it makes an "
            f"array {seen.shape}, where (1, {cells}, 5 + classes) is expected"
        )
    # Offsets are about half a cell; centres in pixels are half the input's width, on average.
    decoded = bool(np.mean(seen[0, :, 0]) > min(STRIDES))
    return Yolox(name=name, input_hw=input_hw, run=run, threshold=threshold, decoded=decoded)


def letterbox(image: Image, size_hw: tuple[int, int]) -> tuple[Image, float]:
    """Return the image shrunk or grown into the top left of (h, w), grey beside it, and by what."""
    height, width = image.shape[:2]
    zoom = min(size_hw[0] / height, size_hw[1] / width)
    inner = (max(1, int(width * zoom)), max(1, int(height * zoom)))
    canvas = np.full((*size_hw, 3), GREY, np.uint8)
    canvas[: inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    return canvas, zoom


@lru_cache(maxsize=8)
def anchor_points(size_hw: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the cells' corners (A, 2: x, y, in cells) and strides (A, 1) of an input's grids."""
    corners, strides = [], []
    for stride in STRIDES:
        rows, columns = np.indices((size_hw[0] // stride, size_hw[1] // stride))
        corners.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    points = (np.concatenate(corners).astype(float), np.concatenate(strides).astype(float))
    for array in points:
        array.flags.writeable = False  # they are shared
    return points


def _suppressed(boxes: Boxes, overlap: float) -> Boxes:
    """Return the boxes, best first, without those that lie on a better one."""
    xyxy, scores = boxes.xyxy, boxes.scores
    if not len(scores):
        return boxes
    xywh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)
    kept = np.asarray(cv2.dnn.NMSBoxes(xywh.tolist(), scores.tolist(), 0.0, overlap), int).ravel()
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    return Boxes(xyxy=xyxy[kept], scores=scores[kept])
