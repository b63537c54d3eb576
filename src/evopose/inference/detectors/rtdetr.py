"""RT-DETR and its kin (D-FINE): a fixed number of queries, each a box with a score a class.

The image is stretched to the network's square, in RGB from 0 to 1; no suppression follows.
Source: Zhao et al., arXiv 2304.08069; lyuwenyu/RT-DETR (Apache-2.0), `rtdetr_postprocessor.py`; of
Hugging Face's transformers (Apache-2.0), `RTDetrImageProcessor` and its ONNX export by optimum.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.images import Image
from evopose.errors import ModelError
from evopose.inference.boxes import Boxes, clipped_boxes
from evopose.inference.detectors.network import PERSON, Network

COCO_NUMBERING = (91, 92)
"""Classes of the older DETRs, which number COCO's categories from 1 and normalise otherwise."""

Found = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Left, top, right, bottom in pixels of the image, from its corner (P, 4); scores (P,)."""


@dataclass(frozen=True, kw_only=True)
class RtDetr:
    """A detector of RT-DETR's form."""

    name: str
    input_hw: tuple[int, int]
    run: Callable[[NDArray[np.float32], tuple[int, int]], Found]
    """From an input (1, 3, H, W), RGB in 0 to 1, and the image's width and height, to persons."""
    threshold: float = 0.3

    def __call__(self, image: Image) -> Boxes:
        """Return the persons of an image (H, W, 3), RGB, uint8, best first."""
        height, width = image.shape[:2]
        shrunk = height > self.input_hw[0] and width > self.input_hw[1]
        square = cv2.resize(
            image,
            self.input_hw[::-1],
            interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR,
        )
        rgb = square.transpose(2, 0, 1)[None].astype(np.float32, order="C")
        rgb /= 255
        corners, scores = self.run(rgb, (width, height))
        likely = np.flatnonzero(scores >= self.threshold)
        likely = likely[np.argsort(-scores[likely], kind="stable")]
        # The image's corner lies half a pixel before its first pixel's centre.
        return clipped_boxes(corners[likely] - 0.5, scores[likely], (height, width))


def open_hugging_face(network: Network, name: str, threshold: float) -> RtDetr | None:
    """Return the detector of a network with `logits` and `pred_boxes`, None for another.

    Raises: ModelError for one whose classes are numbered as the older DETRs' are.
    """
    ports = {port.name: port for port in network.outputs}
    input_hw = network.image_hw
    if input_hw is None or len(network.inputs) != 1 or not {"logits", "pred_boxes"} <= set(ports):
        return None
    if not ports["logits"].fits(1, None, None) or not ports["pred_boxes"].fits(1, None, 4):
        return None
    classes = ports["logits"].shape[-1]
    if classes in COCO_NUMBERING:
        raise ModelError(
            f"{network.path} has {classes} classes, as the older DETRs have, which take other "
            "images and number persons otherwise; RT-DETR and D-FINE have COCO's 80"
        )

    def run(image: NDArray[np.float32], size_wh: tuple[int, int]) -> Found:
        logits, boxes = network.run(["logits", "pred_boxes"], image)
        with np.errstate(over="ignore"):  # of a very small score
            scores = 1 / (1 + np.exp(-logits[0, :, PERSON].astype(np.float64)))
        centre, size = np.split(boxes[0].astype(np.float64), 2, axis=1)
        shares = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
        return shares * (*size_wh, *size_wh), scores

    return RtDetr(name=name, input_hw=input_hw, run=run, threshold=threshold)


def open_rtdetr(network: Network, name: str, threshold: float) -> RtDetr | None:
    """Return the detector of a network with `labels`, `boxes` and `scores`, None for another."""
    ins = {port.name: port for port in network.inputs}
    outs = {port.name: port for port in network.outputs}
    input_hw = network.image_hw
    if input_hw is None or set(ins) != {network.inputs[0].name, "orig_target_sizes"}:
        return None
    if not {"labels", "boxes", "scores"} <= set(outs) or not outs["boxes"].fits(1, None, 4):
        return None
    size_type = np.float32 if ins["orig_target_sizes"].type == "tensor(float)" else np.int64

    def run(image: NDArray[np.float32], size_wh: tuple[int, int]) -> Found:
        labels, boxes, scores = network.run(
            ["labels", "boxes", "scores"], image, orig_target_sizes=np.array([size_wh], size_type)
        )
        persons = labels[0] == PERSON
        return boxes[0][persons].astype(np.float64), scores[0][persons].astype(np.float64)

    return RtDetr(name=name, input_hw=input_hw, run=run, threshold=threshold)
